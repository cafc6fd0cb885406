/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_CONSOLE_TABLES_H
#define WEIR_POOL_CONSOLE_TABLES_H

#include <stdbool.h>

#include "buffer.h"

/* Appends the rows of SHOW subject; false: there is no such subject. */
bool console_show(const char *subject, struct buffer *out);

#endif

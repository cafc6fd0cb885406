/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_MIME_H
#define WEIR_MIME_H

#include "slice.h"

/* Content type of a file by its name; "application/octet-stream" when unknown. Static storage. */
const char *mime_of(struct slice name);

#endif

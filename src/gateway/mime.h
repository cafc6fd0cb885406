/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_MIME_H
#define WEIR_MIME_H

#include "slice.h"

/* Content type of a file by its name; NULL when unknown: then, as on the platform, no type is
 * claimed. Text has its charset. Static storage. */
const char *mime_of(struct slice name);

#endif

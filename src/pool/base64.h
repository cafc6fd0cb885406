/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_BASE64_H
#define WEIR_POOL_BASE64_H

#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"

/* RFC 4648, section 4. */
void base64_encode(const uint8_t *bytes, size_t len, struct buffer *out);
/* The number of bytes, or -1: not base64, or more than cap. */
ssize_t base64_decode(struct slice text, uint8_t *bytes, size_t cap);

#endif

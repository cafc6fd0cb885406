/* SPDX-License-Identifier: Apache-2.0 */
/* base64url without padding (RFC 4648 section 5), as JSON Web Tokens have it. */
#ifndef WEIR_BASE64URL_H
#define WEIR_BASE64URL_H

#include <sys/types.h>

#include "buffer.h"

void base64url_append(struct buffer *out, const void *bytes, size_t len);
/* room: at least 3/4 of the text. The number of bytes, or -1: the text is none, or not the one way
 * of writing its bytes. */
ssize_t base64url_decode(struct slice text, unsigned char *room);

#endif

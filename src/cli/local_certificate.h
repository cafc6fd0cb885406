/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate for this machine's own names (localhost, 127.0.0.1, ::1), for developing: made
 * once, and again before it expires. It is its own issuer, so that who trusts the file trusts
 * nothing else. */
#ifndef WEIR_LOCAL_CERTIFICATE_H
#define WEIR_LOCAL_CERTIFICATE_H

#include <jansson.h>

#include "error.h"

/* dir: an open directory; the files are localhost.pem and localhost-key.pem there. {certificate,
 * key}, both PEM; NULL with err. */
json_t *local_certificate(int dir, struct error *err);

#endif

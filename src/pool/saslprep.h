/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_SASLPREP_H
#define WEIR_POOL_SASLPREP_H

/* A password prepared as RFC 4013 says, or a copy of it where that is not possible (as Postgres
 * does). The caller wipes and frees it. */
char *saslprep(const char *password);

#endif

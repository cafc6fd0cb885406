/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of SCRAM from a password, of as many iterations as somebody else asks for: a quarter of a
 * second of the CPU, which nobody but who asks is to wait for. One after another, in a thread;
 * logins to servers and clients' passwords take turns, so that neither's crowd holds up the other.
 */
#ifndef WEIR_POOL_DERIVE_H
#define WEIR_POOL_DERIVE_H

#include "secret.h"

enum { DERIVE_AT_ONCE_MAX = 10000 }; /* iterations: fewer need no thread, scram_derive does it */

enum derive_for { DERIVE_SERVER, DERIVE_CLIENT };

struct derive;
/* keys NULL: no thread was to be had. */
typedef void derive_fn(void *owner, const char *password, const struct scram_keys *keys);

/* For the salt and the iterations of `like`. Calls back in a later turn, unless it is abandoned
 * before; keys and password are borrowed until then. NULL: too many clients wait already. */
struct derive *derive_start(enum derive_for whom, const char *password,
                            const struct scram_keys *like, derive_fn *on_done, void *owner);
void derive_abandon(struct derive **derive);

#endif

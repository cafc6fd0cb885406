/* SPDX-License-Identifier: Apache-2.0 */
/* Failed logins, by the address that they come from: whoever guesses passwords waits longer and
 * longer to hear that one was wrong, and can not try many at once. Who knows the password does not
 * wait. Requests to cancel what is nobody's are counted alike, and apart. Addresses are counted as
 * one for IPv4, and by their first 64 bits for IPv6. */
#ifndef WEIR_POOL_DENIALS_H
#define WEIR_POOL_DENIALS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr_storage;

enum denied { DENIED_LOGIN, DENIED_CANCEL };

/* False: so many from this address have yet to hear of their failure, or would have if they had not
 * gone, that it may not try now. */
bool denials_may_try(enum denied what, const struct sockaddr_storage *from, uint64_t now_us);
/* What might be tried has failed. → how long it waits to hear of it, in microseconds, at
 * most limit_ms; 0: not at all. */
uint64_t denials_add(enum denied what, const struct sockaddr_storage *from, uint64_t now_us,
                     int64_t limit_ms);

#endif

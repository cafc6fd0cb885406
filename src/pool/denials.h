/* SPDX-License-Identifier: Apache-2.0 */
/* Failed logins, by the address that they come from: whoever guesses passwords waits longer and
 * longer to hear that one was wrong, and can not try many at once. Who knows the password does not
 * wait. Addresses are counted as one for IPv4, and by their first 64 bits for IPv6. */
#ifndef WEIR_POOL_DENIALS_H
#define WEIR_POOL_DENIALS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr_storage;

enum { DENIALS_NO_PLACE = -1 };

/* False: so many from this address wait to hear of their failure that it may not try now. */
bool denials_may_try(const struct sockaddr_storage *from);
/* A login has failed at now_us. → how long it waits to hear of it, in microseconds, at most
 * limit_ms; 0: not at all. While it waits it is in *ret_place, which denials_over() gives back. */
uint64_t denials_add(const struct sockaddr_storage *from, uint64_t now_us, int64_t limit_ms,
                     int *ret_place);
/* It has heard, or has gone. DENIALS_NO_PLACE: nothing. */
void denials_over(int place);

#endif

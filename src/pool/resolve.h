/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts to addresses, by the system's resolver in a thread of its own, so that nobody
 * waits for a name server. Each connection asks anew: a database that moved is found. */
#ifndef WEIR_POOL_RESOLVE_H
#define WEIR_POOL_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

struct resolve;

/* list: to be freed with freeaddrinfo, or NULL with the reason in failure. */
typedef void resolve_fn(void *owner, struct addrinfo *list, const char *failure);

/* Calls back in a later turn, unless it is abandoned before. */
struct resolve *resolve_start(const char *host, uint16_t port, resolve_fn *on_done, void *owner);
void resolve_abandon(struct resolve **resolve);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel requests: from clients, and of our own. While one is under way its server is not lent to
 * anybody else, since a late one would hit what runs then; nor ever again if nobody knows what has
 * become of it. They go the way of the server's connection: with TLS, checked alike, if that has
 * it. */
#ifndef WEIR_POOL_CANCEL_H
#define WEIR_POOL_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct server;
struct sockaddr_storage;

/* A request of whoever is there: not heard where too many have asked for what is nobody's. */
void cancel_asked(uint32_t number, uint32_t key, const struct sockaddr_storage *from);
/* A client's request: forwarded if that session's query still runs. False: it is nobody's. */
bool cancel_for(uint32_t number, uint32_t key);
void cancel_of_client(struct client *client);
/* Asks the server to stop what it runs. */
void cancel_query(struct server *server);
void cancel_tick(void);
/* Is one on its way to a server? */
bool cancel_any(void);

#endif

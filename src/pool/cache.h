/* SPDX-License-Identifier: Apache-2.0 */
/* Results of read-only statements, kept as the bytes of their replies, for a database that asks for
 * it. A client that is in no transaction and whose batch asks one approved statement (approve.h) is
 * answered without a connection, also if it asks first what the statement returns (up to Flush). A
 * result is found by all that it depends on: the statement with its types, the values, the formats,
 * the session's parameters; a pool is of one database and user.
 * Who asks what another client is being answered waits for that answer and asks the database only
 * if it could not be kept.
 * After max_age a result is still given out while a client of our own fetches it anew, for
 * stale_while_revalidate; after that it counts no more. */
#ifndef WEIR_POOL_CACHE_H
#define WEIR_POOL_CACHE_H

#include <sys/uio.h>

#include "pool.h"

/* NULL: it is off. */
struct cache *cache_new(const struct cache_config *config);
void cache_free(struct cache **cache);
/* Of its results, and of the statements, values and parameters that they are found by. */
uint64_t cache_bytes(const struct cache *cache);
uint32_t cache_results(const struct cache *cache);

/* Answers the batches at the front of what a client without a server sends, as far as they are
 * known; returns the rest, for which it may have to wait (client->awaited). */
struct slice cache_answer(struct client *client, struct slice bytes);
/* The client leaves, or asks the database itself. */
void cache_stop_waiting(struct client *client);

/* Are these nothing, or the beginning of a batch that may be known once it is whole? Drivers in
 * workers send each message on its own. */
bool cache_awaits(struct slice bytes);

/* A batch goes to a server that has nothing else to do: is its result to be kept? */
void cache_watch(struct client *client, struct slice bytes);
/* What its client is told of it. */
void cache_note(struct server *server, const struct iovec *parts, int count);
/* That was all; the result is kept, if it is one. */
void cache_keep(struct server *server);
void cache_unwatch(struct server *server);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* LISTEN in transaction mode: one connection of a pool listens for all its clients, channels are
 * counted, and notifications go to everybody who listens.
 *
 * A connection that is to be replaced (RECONNECT, server_lifetime) delivers until its heir listens
 * to all channels, too. The heir's notifications are kept back until then. It sends one itself, a
 * mark: Postgres gives all who listen the same order, so what the old one has before the mark and
 * the heir has behind it is each notification once. */
#ifndef WEIR_POOL_LISTEN_H
#define WEIR_POOL_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

struct buffer;
struct client;
struct expected;
struct pool;
struct server;
struct wire_error;

enum { CLIENT_CHANNELS_MAX = 4096 };

/* Of all channels, and who listens to them. */
uint64_t listen_bytes(void);
/* A simple query. True: it was LISTEN or UNLISTEN alone, and is answered when it holds; until then
 * the client is not read from (client->awaits_listen). */
bool listen_query(struct client *client, struct slice text);
/* The same of an extended query: its tag when it holds. NULL: when the client does not wait
 * (client->awaits_listen), the server that it has is to do it; else the client asks again later. */
const char *listen_command(struct client *client, struct slice text);
/* Is it a LISTEN alone, for what the client listens to already? */
bool listen_has(struct client *client, struct slice text);
/* A SELECT of one column that is called, and has what, pg_listening_channels() would have if the
 * client's server listened to all that the client does. */
void listen_append_channels(const struct client *client, struct buffer *sql);
/* What a text with UNLISTEN in it ends, which the client's server runs. NULL: nothing. */
struct buffer *listen_ends(const struct client *client, struct slice text);
/* The server has done the next of these, or all: it holds at the end of the transaction, and not if
 * that, or a part of it, comes to nothing. */
void listen_note(struct client *client, struct buffer *ends, bool all);
void listen_settle(struct client *client, bool committed);
/* A client whose LISTEN does not hold yet (awaits_listen) does not wait any more. */
void listen_give_up(struct client *client, const struct wire_error *error);
/* The client leaves, or says DISCARD ALL. */
void listen_forget(struct client *client);
/* Its subscriptions go over to another pool, which is its own afterwards. Nothing of them waits. */
void listen_move(struct client *client, struct pool *to);
/* What was kept while the client was in the middle of a row. */
void listen_flush(struct client *client);

/* The listening connection: it is up; a LISTEN of it is through; it has brought a notification (the
 * body of the message); it is gone. */
void listen_begin(struct server *server);
void listen_done(struct server *server, const struct expected *entry);
/* The server refuses the channel, with that ErrorResponse: so do we, to all who asked for it. */
void listen_failed(struct server *server, const char *name, struct slice error);
void listen_notify(struct server *server, struct slice body);
void listen_lost(struct server *server);
/* It did not come about, or its heir did not. */
void listen_unreachable(struct pool *pool, const char *why);
/* Makes the connection anew if it is missing, or is to be replaced. */
void listen_tick(struct pool *pool);

#endif

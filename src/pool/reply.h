/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_REPLY_H
#define WEIR_POOL_REPLY_H

#include "slice.h"

struct server;
struct wire_error;

/* Sends a server's messages to its client, in one write; what the pool asked for itself stays here.
 * Returns what is left: the beginning of a message that must be there whole. false in *ret_sound:
 * the server does not follow the protocol. *ret_free: its client does not need it any more. */
struct slice reply_messages(struct server *server, struct slice bytes, bool *ret_sound,
                            bool *ret_free);

/* Answers what needs no server, if nothing that does stands before it. */
void reply_settle(struct server *server);

/* What its client has set, and the server is not ready after (expect.h): nobody has it, or who
 * knows.
 */
void reply_drop_set(struct server *server);

/* The server is gone: its client hears about everything that is unanswered. */
void reply_lost(struct server *server, const struct wire_error *error);

#endif

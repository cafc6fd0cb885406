/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_FORWARD_H
#define WEIR_POOL_FORWARD_H

#include "slice.h"
#include "wire.h"

struct client;
struct statement;

/* Sends the client's messages to its server, in one write. Returns what is left: the beginning of a
 * message that must be there whole. *ret_end: the client's session is over, with *ret_error unless
 * that is NULL (it said goodbye). */
struct slice forward_messages(struct client *client, struct slice bytes,
                              const struct wire_error **ret_error, bool *ret_end);

/* Are its statements under names of ours on servers? */
bool forward_renames(const struct client *client);
/* The statement of that body (statements.h), as this client's session would read it now: a
 * reference. */
struct statement *forward_intern(const struct client *client, struct slice body);
/* May it have one more named statement, of this Parse's body? */
bool forward_has_room(const struct client *client, struct slice body);

#endif

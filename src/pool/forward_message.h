/* SPDX-License-Identifier: Apache-2.0 */
/* One message of a client that has a server: what the files of forward.h do with it. */
#ifndef WEIR_POOL_FORWARD_MESSAGE_H
#define WEIR_POOL_FORWARD_MESSAGE_H

#include "batch.h"
#include "pool.h"

struct message {
    struct client *client;
    struct server *server;
    struct batch *batch; /* what goes to the server with it */
    const char *start;   /* its type */
    size_t have, size;   /* bytes of it that are there; of all of it */
    bool begun;          /* less of it is there than it takes */
};

/* ---- forward_message.c ---- */
struct slice message_body(const struct message *message);
void message_expect(const struct message *message, enum expect_kind kind);
/* Of a message that is not there as a whole the rest goes where its beginning went. */
void message_pass(const struct message *message);
/* The server gets something that fails, so that it is in the state that an error leaves, and the
 * client gets our error for it. */
void message_refuse(const struct message *message, enum expect_kind kind,
                    const struct wire_error *error);
/* … an ErrorResponse that is there, and is the entry's then. */
void message_refuse_as(const struct message *message, enum expect_kind kind, char *error);
/* What the client means by a name; NULL: nothing. Where the server does not have it and the session
 * reads texts otherwise than it did (it has set a parameter), it is one that the server can get
 * without giving those something else who mean what it was. Borrowed. */
struct statement *message_statement(const struct message *message, struct slice name);
/* A statement that does nothing but set or reset one parameter, alone and outside of a transaction:
 * its session has that from then on, on whatever connection it goes on, so that it leaves nothing
 * behind. True: it is so, *traits say it no more, and *entry does. Else as message_count_reset. */
bool message_sets(const struct message *message, struct slice text, unsigned *traits,
                  struct expected *entry);
/* A RESET of what was set this way counts as something that is left behind. */
unsigned message_count_reset(const struct message *message, unsigned traits);
/* Will it be, perhaps, when it is executed? As far as is known now. */
bool message_may_set(const struct message *message, struct slice text, unsigned traits);
/* By what its statement would leave behind (traits.h). True: it was refused. */
bool message_keep_or_refuse_state(const struct message *message, enum expect_kind kind,
                                  unsigned traits);
/* What is bound to the unnamed portal leaves it as it is known: it may outlast this message, and
 * its Execute is not looked at any more. True: it was refused. */
bool message_leave_command(const struct message *message, enum expect_kind kind);
/* EXECUTE, in SQL, of what the pool has prepared for whomever. True: it was refused. */
bool message_refuse_ours(const struct message *message, enum expect_kind kind, struct slice text,
                         unsigned traits);
/* currval() of an earlier transaction: of another client, perhaps. True: it was refused. */
bool message_refuse_sequence(const struct message *message, enum expect_kind kind, unsigned traits);
/* Of a client to which other connections listen (listen.h), the server it has would say less than
 * is true. */
bool message_has_other_channels(const struct message *message, unsigned traits);
void message_refuse_channels(const struct message *message, enum expect_kind kind);
/* May the pool listen for it? Outside of a transaction; in one, what it asks for holds at its end
 * and may come to nothing. And the listening connection's notifications are in its own encoding. */
bool message_may_listen(const struct message *message);
/* A channel more than it may have, or than there is room for? True: it was refused. */
bool message_refuse_listen(const struct message *message, enum expect_kind kind, struct slice text);
/* A client that is pinned listens on its own server, but not twice to what it listened to before.
 * True: it was answered. */
bool message_listens_already(const struct message *message, struct slice text, bool simple);

/* ---- forward.c: beyond clients_bytes_max ---- */
extern const struct wire_error forward_no_memory;

/* ---- forward_query.c ---- */
void forward_query(const struct message *message);

/* ---- forward_extended.c: false where it does not follow the protocol ---- */
bool forward_parse(const struct message *message);
/* Whatever is there of it, its name's beginning at least. */
void forward_refuse_parse(const struct message *message, const struct wire_error *error);
bool forward_bind(const struct message *message);
bool forward_describe(const struct message *message);
bool forward_execute(const struct message *message);
bool forward_close(const struct message *message);
/* There is no such statement. */
void forward_refuse_missing(const struct message *message, enum expect_kind kind,
                            struct slice name);
/* A client that was told the columns of a statement once reads all results by that, and a statement
 * that is prepared on another connection, later, may return others. So a connection on which a
 * statement is not known to return what this client was told is asked first; until it has answered
 * (reply.c), the Bind waits. True: it does. */
bool forward_verify(const struct message *message);
/* Sends the Parse under our name; entry: for the client, or our own. */
void forward_prepare(const struct message *message, struct statement *statement,
                     struct expected entry);
/* Who asks what is prepared in its session is to see its own statements, and no other client's.
 * True: the server was sent something for that. */
bool forward_own_statements(const struct message *message);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* From a client to its server: what the client's messages ask for is written down (expect.h), names
 * of prepared statements are ours, and everything else goes on as it came. */
#include "forward.h"

#include <stdlib.h>

#include "batch.h"
#include "cache.h"
#include "listen.h"
#include "own.h"
#include "pool.h"
#include "signals.h"
#include "traits.h"

enum {
    NAMES_BYTES_MAX = 64 * 1024, /* within which a message's names must end */
    QUERY_LOOK_BYTES = 16 * 1024 /* of a query that is longer than a read */
};

/* A message that is handled. */
struct message {
    struct client *client;
    struct server *server;
    struct batch *batch;
    const char *start; /* its type */
    size_t have, size; /* bytes of it that are there; of all of it */
};

static const struct wire_error protocol_violation = {
    "08P01", "the message does not follow the protocol", NULL, NULL};
static const struct wire_error too_large = {
    "54000", "a statement of more than 16 MiB can not be prepared through the pool", NULL,
    "Send large values as parameters, by COPY, or in a simple query.", NULL};
static const struct wire_error too_many_statements = {
    "53400", "this session has too many prepared statements",
    "client_statements_max or client_statements_bytes_max is reached",
    "Close statements that are not needed, or raise the limit."};

static struct slice body_of(const struct message *message)
{
    return (struct slice){message->start + WIRE_HEADER_BYTES, message->have - WIRE_HEADER_BYTES};
}

static void expect_reply(const struct message *message, enum expect_kind kind)
{
    expect_push(&message->server->expect, (struct expected){.kind = kind});
}

/* Of a message that is not there as a whole the rest goes where its beginning went. */
static void pass(const struct message *message)
{
    message->client->drop_skipped = false;
    batch_pass(message->batch, message->start, message->have);
}

/* The server gets something that fails, so that it is in the state that an error leaves, and the
 * client gets our error for it. */
static void refuse(const struct message *message, enum expect_kind kind,
                   const struct wire_error *error)
{
    struct buffer *out = batch_compose(message->batch);
    size_t begun = wire_begin(out, kind == EXPECT_QUERY ? 'Q' : 'P');
    if (kind != EXPECT_QUERY)
        wire_text(out, "");
    wire_text(out, "refused by the pool");
    if (kind != EXPECT_QUERY)
        wire_u16(out, 0);
    wire_end(out, begun);
    statement_release(&message->server->unnamed);
    expect_push(&message->server->expect,
                (struct expected){.kind = kind, .refusal = wire_error_copy("ERROR", error)});
}

bool forward_renames(const struct client *client)
{
    const struct pool *pool = client->pool;
    bool has_some = client->names.count > 0 || client->unnamed; /* of before a SET or a reload */
    return has_some || (pool->mode != POOL_SESSION && pool->config->statements_max > 0);
}

/* ---- session state ---- */

/* Locks and libraries outlive the error of the statement that has brought them. */
static void pin(struct client *client, unsigned traits)
{
    struct server *server = client->server;
    bool may_fail =
        server->expect.count == 0 && !(traits & (TRAIT_LOCK | TRAIT_LOAD | TRAIT_NAMED));
    client->pool->counters->pins += !client->pinned;
    server->pin_unproved = may_fail && (!client->pinned || server->pin_unproved);
    client->pinned = true;
    server->dirty = true;
}

/* True: the statement was refused. */
static bool keep_or_refuse_state(const struct message *message, enum expect_kind kind,
                                 unsigned traits)
{
    struct client *client = message->client;
    if (client->pool->state == STATE_ALLOW)
        return false;
    bool session = client->pool->mode == POOL_SESSION, keeps = client->pool->state == STATE_PIN;
    bool refused = (traits & TRAITS_SESSION) && !session && !keeps;
    message->server->worn |= (traits & TRAITS_WORN) && !refused;
    message->server->dirty |= (traits & TRAIT_UNSEEN) != 0; /* who knows what stands behind */
    traits &= TRAITS_SESSION;
    if (!refused) {
        if (traits && !session)
            pin(client, traits);
        return false;
    }
    AUTO_TEXT text = xasprintf("%s is not possible with transaction pooling", traits_name(traits));
    refuse(message, kind,
           &(struct wire_error){"0A000", text,
                                "It would outlive the transaction, and the next transaction of "
                                "this session may run on another server connection.",
                                "Use a pool_mode of session, or session_state = \"pin\"."});
    return true;
}

/* Does a statement run, or is one on its way, that began a transaction perhaps? */
static bool anything_runs(const struct server *server)
{
    bool runs = server->status != 'I' || server->batch_ran;
    for (uint32_t i = 0; i < server->expect.count && !runs; i++) {
        enum expect_kind kind = expect_at(&server->expect, i)->kind;
        runs = kind == EXPECT_QUERY || kind == EXPECT_EXECUTE;
    }
    return runs;
}

/* currval() of an earlier transaction: of another client, perhaps. True: it was refused. */
static bool refuse_sequence(const struct message *message, enum expect_kind kind, unsigned traits)
{
    static const struct wire_error elsewhere = {
        "0A000", "currval() and lastval() are not possible with transaction pooling",
        "The value was drawn in another transaction, perhaps on another server connection, which "
        "may have drawn others since.",
        "Use RETURNING, ask in the same transaction, or use a pool_mode of session.", NULL};
    const struct client *client = message->client;
    if (!(traits & TRAIT_SEQUENCE) || client->pool->mode == POOL_SESSION || client->pinned ||
        client->pool->state == STATE_ALLOW || anything_runs(message->server))
        return false;
    refuse(message, kind, &elsewhere);
    return true;
}

/* Of a client to which other connections listen (listen.h), the server it has would say less than
 * is true. */
static bool has_other_channels(const struct message *message, unsigned traits)
{
    return (traits & TRAIT_CHANNELS) && message->client->subscriptions &&
           message->server->status != 'E';
}

static void refuse_channels(const struct message *message, enum expect_kind kind)
{
    static const struct wire_error elsewhere = {
        "0A000",
        "pg_listening_channels() within a larger statement is not possible with transaction "
        "pooling",
        "The session's channels are listened to by a connection of the pool's own.",
        "Ask SELECT pg_listening_channels() alone, or SELECT * FROM pg_listening_channels(), which "
        "the pool answers; or use a pool_mode of session.",
        NULL};
    refuse(message, kind, &elsewhere);
}

/* ---- simple query ---- */

/* must_wait has seen to it that the status is that of the moment at which the query would run. */
static bool deallocate_ours(const struct message *message, struct slice text)
{
    char name[64];
    if (!forward_renames(message->client) || message->server->status == 'E' ||
        !traits_deallocated(text, name) || !names_remove(&message->client->names, slice_of(name)))
        return false;
    expect_push(&message->server->expect, (struct expected){.kind = EXPECT_COMMAND_DONE,
                                                            .simple = true,
                                                            .called = xstrdup("DEALLOCATE")});
    return true;
}

/* Outside of a transaction; in one, what it asks for holds at its end and may come to nothing. And
 * the listening connection's notifications are in its own encoding. */
static bool may_listen(const struct message *message)
{
    static const char encoding[] = "client_encoding";
    const struct client *client = message->client;
    const struct params *usual = client->pool->welcome;
    return client->pool->mode != POOL_SESSION && client->pool->state != STATE_ALLOW &&
           !client->pinned && !anything_runs(message->server) &&
           (!usual ||
            slice_equal_nocase(params_get(client->params, encoding), params_get(usual, encoding)));
}

/* A client that is pinned listens on its own server, but not twice to what it listened to before.
 */
static bool listens_already(const struct message *message, struct slice text, bool simple)
{
    if (!message->client->pinned || message->server->status == 'E' ||
        !listen_has(message->client, text))
        return false;
    expect_push(&message->server->expect, (struct expected){.kind = EXPECT_COMMAND_DONE,
                                                            .simple = simple,
                                                            .called = xstrdup("LISTEN")});
    return true;
}

/* RESET amid a transaction went to what the connection began with: at once the session has what it
 * began with itself. */
static void set_to_startup(const struct message *message, const char *which)
{
    const struct client *client = message->client;
    const struct server *server = message->server;
    if (server->status != 'T' || server->expect.count > 1)
        return;
    AUTO_BUFFER sql = {0};
    struct slice value = params_get(client->startup_params, which);
    if (strcasecmp(which, "all") == 0) {
        params_append_sql(server->base_params, client->startup_params, &sql);
    } else if (value.ptr) {
        struct params *meant = params_hold(server->base_params);
        meant = params_with(meant, slice_of(which), value);
        params_append_sql(server->base_params, meant, &sql);
        params_release(&meant);
    }
    if (buffer_len(&sql) == 0)
        return;
    buffer_append(&sql, "", 1);
    wire_query(batch_compose(message->batch), sql.data + sql.start);
    expect_reply(message, EXPECT_OWN_QUERY);
}

static bool show_own_statements(const struct message *message);
static void prepare(const struct message *message, struct statement *statement,
                    struct expected entry);

/* True: the pool does it, and the server does not hear of it. Amid a batch it must: the query ends
 * that, and commits what it has done. */
static bool perform_query(const struct message *message, struct slice text, unsigned traits)
{
    if (message->server->batch_open)
        return false;
    if ((traits & (TRAIT_LISTEN | TRAIT_UNLISTEN)) && may_listen(message) &&
        listen_query(message->client, text))
        return true;
    return ((traits & TRAIT_DEALLOCATE) && deallocate_ours(message, text)) ||
           ((traits & TRAIT_LISTEN) && listens_already(message, text, true));
}

/* The statement of the protocol that it executes by name; NULL: it is none. *ret_place: where the
 * name stands. */
static struct statement *executed_by(const struct message *message, struct slice text,
                                     struct slice *ret_place)
{
    char name[64];
    if (message->have < message->size || !forward_renames(message->client) ||
        message->server->status == 'E' || !traits_executed(text, name, ret_place))
        return NULL;
    return names_get(&message->client->names, slice_of(name));
}

/* With the name as the server knows it, instead of what stands at `place`. */
static void pass_execute(const struct message *message, struct slice text, struct slice place,
                         const struct statement *statement)
{
    char ours[SERVER_NAME_BYTES];
    const char *behind = place.ptr + place.len;
    struct buffer *out = batch_compose(message->batch);
    size_t begun = wire_begin(out, 'Q');
    statement_server_name(statement, ours);
    buffer_append(out, text.ptr, (size_t)(place.ptr - text.ptr));
    buffer_append_text(out, ours);
    buffer_append(out, behind, (size_t)(text.ptr + text.len - behind));
    buffer_append(out, "", 1);
    wire_end(out, begun);
}

/* What the server must have before the query runs. It is ended by a Sync: else the server would
 * ignore the query, should anything of it fail. A batch of the client's that is open ends with the
 * query, and not before. */
static void prepare_query(const struct message *message, unsigned traits,
                          struct statement *executed)
{
    struct server *server = message->server;
    bool shows = (traits & TRAIT_PREPARED) && forward_renames(message->client) &&
                 server->status != 'E' && show_own_statements(message);
    bool lacks = executed && !prepared_use(&server->prepared, executed);
    if (lacks)
        prepare(message, executed, (struct expected){.kind = EXPECT_OWN_PARSE});
    if ((!shows && !lacks) || server->batch_open)
        return;
    wire_plain(batch_compose(message->batch), 'S');
    expect_reply(message, EXPECT_OWN_SYNC);
}

static void pass_channels_query(const struct message *message)
{
    AUTO_BUFFER sql = {0};
    listen_append_channels(message->client, &sql);
    buffer_append(&sql, "", 1);
    wire_query(batch_compose(message->batch), sql.data + sql.start);
}

static void on_query(const struct message *message)
{
    struct slice text = body_of(message);
    if (text.len > 0 && message->have == message->size)
        text.len--;
    unsigned traits = traits_of(text) | (message->have < message->size ? TRAIT_UNSEEN : 0);
    struct slice place;
    struct statement *executed = traits & TRAIT_EXECUTE ? executed_by(message, text, &place) : NULL;
    if (perform_query(message, text, traits))
        return;
    traits |= executed ? executed->traits : 0;
    if (keep_or_refuse_state(message, EXPECT_QUERY, traits) ||
        refuse_sequence(message, EXPECT_QUERY, traits))
        return;
    bool channels = has_other_channels(message, traits);
    if (channels && !(message->have == message->size && traits_channels(text))) {
        refuse_channels(message, EXPECT_QUERY);
        return;
    }
    if (traits & TRAIT_UNLISTEN)
        listen_note(message->client, text);
    if ((traits & TRAIT_SIGNAL) && message->server->status != 'E')
        signals_in_query(message->client, text);
    prepare_query(message, traits, executed);
    client_set_unnamed(message->client, NULL); /* a simple query ends it, and its portal */
    statement_release(&message->server->command);
    message->client->unnamed_in_batch = false;
    statement_release(&message->server->unnamed);
    message->server->unnamed_by = 0;
    message->client->pool->counters->queries += !own_is(message->client);
    server_note_query(message->server, text);
    char reset[64];
    bool resets = (traits & TRAIT_RESET) && traits_reset(text, reset);
    expect_push(&message->server->expect,
                (struct expected){.kind = EXPECT_QUERY,
                                  .clears = traits & TRAIT_DISCARD,
                                  .resets = resets ? xstrdup(reset) : NULL});
    if (channels)
        pass_channels_query(message);
    else if (executed)
        pass_execute(message, text, place, executed);
    else
        pass(message);
    if (resets)
        set_to_startup(message, reset);
}

/* ---- extended query ---- */

/* Closes the statement on the server, if it is there. */
static void unprepare(const struct message *message, struct statement *statement)
{
    char name[SERVER_NAME_BYTES];
    if (!prepared_use(&message->server->prepared, statement))
        return;
    statement_server_name(statement, name);
    wire_target(batch_compose(message->batch), 'C', 'S', name);
    expect_push(
        &message->server->expect,
        (struct expected){.kind = EXPECT_OWN_CLOSE, .statement = statement_hold(statement)});
    prepared_remove(&message->server->prepared, statement);
}

/* The server may have so many statements: room for one more. */
static void make_room(const struct message *message)
{
    struct prepared *prepared = &message->server->prepared;
    uint32_t most = (uint32_t)message->client->pool->config->statements_max;
    while (prepared_count(prepared) >= (most > 0 ? most : 1))
        unprepare(message, prepared_oldest(prepared));
}

/* Sends the Parse under our name; kind: for the client, or our own. */
static void prepare(const struct message *message, struct statement *statement,
                    struct expected entry)
{
    char name[SERVER_NAME_BYTES];
    make_room(message);
    statement_server_name(statement, name);
    statement_append_parse(statement, name, batch_compose(message->batch));
    prepared_add(&message->server->prepared, statement, message->client->pool->generation);
    entry.statement = statement_hold(statement);
    expect_push(&message->server->expect, entry);
    message->client->pool->counters->statements_parsed++;
    message->client->pool->counters->server_parses++;
}

/* Who asks what is prepared in its session is to see its own statements, and no other client's.
 * True: the server was sent something for that. */
static bool show_own_statements(const struct message *message)
{
    struct client *client = message->client;
    struct prepared *prepared = &message->server->prepared;
    struct statement *statement;
    uint32_t room = (uint32_t)client->pool->config->statements_max, before;
    before = message->server->expect.count;
    while ((statement = prepared_other(prepared, &client->names)))
        unprepare(message, statement);
    for (uint32_t i = 0; i < client->names.cap && prepared_count(prepared) < room; i++)
        if ((statement = names_at(&client->names, i)) && !prepared_use(prepared, statement))
            prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
    return message->server->expect.count > before;
}

static void set_server_unnamed(struct server *server, struct statement *statement)
{
    statement_release(&server->unnamed);
    server->unnamed = statement_hold(statement);
    server->unnamed_result = 0;
}

/* LISTEN alone waits for its Execute: the pool may do it itself. */
static unsigned traits_to_keep(const struct statement *statement)
{
    char channel[64];
    bool waits =
        (statement->traits & TRAIT_LISTEN) && traits_listen(statement_text(statement), channel);
    return waits ? statement->traits & ~(unsigned)TRAIT_LISTEN : statement->traits;
}

static void on_parse_unnamed(const struct message *message, struct slice body)
{
    struct client *client = message->client;
    struct server *server = message->server;
    struct statement *statement =
        statements_intern(client->pool->statements, body, params_meaning(client->params));
    if (keep_or_refuse_state(message, EXPECT_PARSE, traits_to_keep(statement))) {
        statement_release(&statement);
        client_set_unnamed(client, NULL);
        return;
    }
    client_set_unnamed(client, statement);
    set_server_unnamed(server, statement);
    expect_push(&server->expect, (struct expected){.kind = EXPECT_PARSE,
                                                   .unnamed = true,
                                                   .statement = statement_hold(statement),
                                                   .serial = client->unnamed_serial});
    client->unnamed_in_batch = true;
    pass(message);
}

bool forward_has_room(const struct client *client, struct slice body)
{
    const struct pool_config *config = client->pool->config;
    return client->names.count < (uint32_t)config->client_statements_max &&
           client->names.bytes + body.len <= config->client_statements_bytes_max;
}

/* The server shall say that it is there already, or what else is wrong with the text. */
static void parse_again(const struct message *message, struct slice name, struct statement *there,
                        struct slice body)
{
    char ours[SERVER_NAME_BYTES];
    if (!prepared_use(&message->server->prepared, there))
        prepare(message, there, (struct expected){.kind = EXPECT_OWN_PARSE});
    statement_server_name(there, ours);
    struct buffer *out = batch_compose(message->batch);
    size_t begun = wire_begin(out, 'P');
    wire_text(out, ours);
    buffer_append_slice(out, body);
    wire_end(out, begun);
    expect_push(&message->server->expect,
                (struct expected){.kind = EXPECT_PARSE, .called = xstrndup(name.ptr, name.len)});
}

static void on_parse_named(const struct message *message, struct slice name, struct slice body)
{
    struct client *client = message->client;
    struct statement *there = names_get(&client->names, name);
    if (there) {
        parse_again(message, name, there, body);
        return;
    }
    if (!forward_has_room(client, body)) {
        refuse(message, EXPECT_PARSE, &too_many_statements);
        return;
    }
    struct statement *statement =
        statements_intern(client->pool->statements, body, params_meaning(client->params));
    if (keep_or_refuse_state(message, EXPECT_PARSE, traits_to_keep(statement))) {
        statement_release(&statement);
        return;
    }
    names_put(&client->names, name, statement);
    client->pool->counters->client_parses++;
    char *owned = xstrndup(name.ptr, name.len);
    /* A failed transaction takes ROLLBACK, say, and no other: the server shall judge. And what was
     * prepared before types or tables changed may mean something else now. */
    if (message->server->status == 'E' ||
        !prepared_since(&message->server->prepared, statement, client->pool->generation))
        unprepare(message, statement);
    if (prepared_use(&message->server->prepared, statement)) {
        client->pool->counters->statements_shared++;
        expect_push(&message->server->expect,
                    (struct expected){.kind = EXPECT_PARSE_DONE,
                                      .statement = statement_hold(statement),
                                      .name = owned});
        return;
    }
    prepare(message, statement, (struct expected){.kind = EXPECT_PARSE, .name = owned});
}

/* It is not kept, and what comes of it goes nowhere. */
static void refuse_large(const struct message *message)
{
    bool unnamed = body_of(message).ptr[0] == 0;
    if (unnamed)
        client_set_unnamed(message->client, NULL); /* as a Parse that fails leaves it */
    refuse(message, EXPECT_PARSE, &too_large);
}

static bool on_parse(const struct message *message)
{
    struct slice body = body_of(message), name, text;
    if (message->size > MESSAGE_KEPT_BYTES_MAX) {
        refuse_large(message);
        return true;
    }
    if (!wire_take_text(&body, &name) || !wire_parse_text(body, &text))
        return false;
    if (!forward_renames(message->client)) {
        unsigned traits = traits_of(text) | (name.len > 0 ? TRAIT_NAMED : 0);
        if (keep_or_refuse_state(message, EXPECT_PARSE, traits) ||
            refuse_sequence(message, EXPECT_PARSE, traits))
            return true;
        if (has_other_channels(message, traits)) {
            refuse_channels(message, EXPECT_PARSE);
            return true;
        }
        if (name.len == 0)
            message->server->unnamed_by = message->client->id;
        expect_reply(message, EXPECT_PARSE);
        pass(message);
    } else if (name.len == 0) {
        on_parse_unnamed(message, body);
    } else {
        on_parse_named(message, name, body);
    }
    return true;
}

/* ---- what a statement returns ---- */

/* The server gets the client's unnamed statement, which it does not have. */
static void prepare_unnamed(const struct message *message)
{
    struct client *client = message->client;
    client->pool->counters->replays++;
    statement_append_parse(client->unnamed, "", batch_compose(message->batch));
    set_server_unnamed(message->server, client->unnamed);
    expect_push(&message->server->expect,
                (struct expected){.kind = EXPECT_OWN_PARSE,
                                  .unnamed = true,
                                  .statement = statement_hold(client->unnamed)});
}

/* As names_told, also of the unnamed statement (an empty name). */
static uint64_t told(const struct client *client, struct slice name)
{
    return name.len == 0 ? client->unnamed_told : *names_told(&client->names, name);
}

/* As prepared_result. */
static const uint64_t *result_of(const struct server *server, struct slice name,
                                 const struct statement *statement)
{
    if (name.len > 0)
        return prepared_result(&server->prepared, statement);
    return server->unnamed == statement ? &server->unnamed_result : NULL;
}

/* A client that was told the columns of a statement once reads all results by that, and a statement
 * that is prepared on another connection, later, may return others. So a connection on which a
 * statement is not known to return what this client was told is asked first; until it has answered
 * (reply.c), the Bind waits. True: it does. */
static bool verify(const struct message *message)
{
    struct client *client = message->client;
    struct server *server = message->server;
    struct slice rest = body_of(message), portal, name;
    if (!forward_renames(client) || server->status == 'E' || server->failed ||
        !wire_take_text(&rest, &portal) || !wire_take_text(&rest, &name))
        return false;
    bool unnamed = name.len == 0;
    struct statement *statement = unnamed ? client->unnamed : names_get(&client->names, name);
    if (!statement || told(client, name) == 0)
        return false;
    const uint64_t *result = result_of(server, name, statement);
    if (result && *result != 0)
        return false;
    if (!result && unnamed) {
        prepare_unnamed(message);
    } else if (!result) {
        client->pool->counters->replays++;
        prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
    }
    char ours[SERVER_NAME_BYTES] = "";
    struct buffer *out = batch_compose(message->batch);
    if (!unnamed)
        statement_server_name(statement, ours);
    wire_target(out, 'D', 'S', ours);
    wire_plain(out, 'H');
    expect_push(&server->expect, (struct expected){.kind = EXPECT_OWN_DESCRIBE,
                                                   .unnamed = unnamed,
                                                   .statement = statement_hold(statement)});
    server->verifies = server->batch_open = true;
    return true;
}

/* As Postgres says it of a plan in a session of its own, routine and all: there are drivers that
 * know it and prepare anew. */
static const struct wire_error changed_result = {"0A000", "cached plan must not change result type",
                                                 NULL, NULL, "RevalidateCachedQuery"};

static bool has_changed(const struct message *message, struct slice name,
                        const struct statement *statement)
{
    uint64_t was = told(message->client, name);
    const uint64_t *result = result_of(message->server, name, statement);
    if (was == 0 || !result || *result == 0 || *result == was)
        return false;
    message->client->pool->generation++; /* somebody has changed a table */
    return true;
}

static void refuse_missing(const struct message *message, enum expect_kind kind, struct slice name)
{
    AUTO_TEXT text = name.len == 0 ? xstrdup("unnamed prepared statement does not exist")
                                   : xasprintf("prepared statement \"%.*s\" does not exist",
                                               (int)name.len, name.ptr);
    refuse(message, kind, &(struct wire_error){"26000", text, NULL, NULL});
}

/* Makes sure that the server has what the client means by `name`. False: it was refused; *ret is
 * NULL when the name is to go on as it is. */
static bool find_statement(const struct message *message, enum expect_kind kind, struct slice name,
                           struct statement **ret_statement)
{
    struct client *client = message->client;
    *ret_statement = names_get(&client->names, name);
    if (*ret_statement) {
        if (kind == EXPECT_BIND && has_changed(message, name, *ret_statement)) {
            refuse(message, kind, &changed_result);
            return false;
        }
        client->pool->counters->binds += kind == EXPECT_BIND;
        if (prepared_use(&message->server->prepared, *ret_statement)) {
            message->server->reuses = true;
        } else {
            client->pool->counters->replays++;
            prepare(message, *ret_statement, (struct expected){.kind = EXPECT_OWN_PARSE});
        }
        return true;
    }
    if (client->pinned && !statement_name_is_ours(name))
        return true; /* of SQL's PREPARE, perhaps */
    refuse_missing(message, kind, name);
    return false;
}

static bool find_unnamed(const struct message *message, enum expect_kind kind)
{
    struct client *client = message->client;
    struct server *server = message->server;
    if (!client->unnamed) {
        refuse_missing(message, kind, (struct slice){"", 0});
        return false;
    }
    if (kind == EXPECT_BIND && has_changed(message, (struct slice){"", 0}, client->unnamed)) {
        refuse(message, kind, &changed_result);
        return false;
    }
    if (server->unnamed == client->unnamed)
        return true;
    prepare_unnamed(message);
    return true;
}

/* The message with its statement's name as the server knows it; `before` is its body up to there,
 * `after` what follows the name. */
static void pass_renamed(const struct message *message, struct slice before, struct slice name,
                         const struct statement *statement)
{
    char ours[SERVER_NAME_BYTES];
    struct buffer *out = batch_compose(message->batch);
    statement_server_name(statement, ours);
    size_t at = out->end - out->start, ours_len = strlen(ours);
    buffer_append(out, message->start, WIRE_HEADER_BYTES);
    wire_put_u32(out->data + out->start + at + 1,
                 (uint32_t)(message->size - 1 - name.len + ours_len));
    buffer_append_slice(out, before);
    buffer_append(out, ours, ours_len + 1);
    const char *after = name.ptr + name.len + 1;
    message->client->drop_skipped = false;
    batch_pass(message->batch, after, (size_t)(message->start + message->have - after));
}

/* Where names are nobody's business of the pool (prepared_statements_max = 0): a named statement
 * pins its client, and the unnamed one is of whom has prepared it last. */
static bool refuse_others(const struct message *message, enum expect_kind kind, struct slice name)
{
    const struct client *client = message->client;
    if (client->pool->mode == POOL_SESSION || client->pool->state == STATE_ALLOW ||
        client->pinned || (name.len == 0 && message->server->unnamed_by == client->id))
        return false;
    refuse_missing(message, kind, name);
    return true;
}

/* Bind, and Describe of a statement: `before` and `name` of pass_renamed. */
static void on_use(const struct message *message, enum expect_kind kind, struct slice before,
                   struct slice name)
{
    struct statement *statement = NULL;
    if (!forward_renames(message->client)) {
        if (refuse_others(message, kind, name))
            return;
        pass(message);
    } else if (name.len == 0) {
        if (!find_unnamed(message, kind))
            return;
        if (message->client->unnamed)
            server_note_query(message->server, statement_text(message->client->unnamed));
        pass(message);
    } else {
        if (!find_statement(message, kind, name, &statement))
            return;
        if (statement) {
            server_note_query(message->server, statement_text(statement));
            pass_renamed(message, before, name, statement);
        } else {
            pass(message);
        }
    }
    struct expected entry = {.kind = kind};
    if (kind == EXPECT_DESCRIBE && statement) {
        entry.statement = statement_hold(statement);
        entry.called = xstrndup(name.ptr, name.len);
    } else if (kind == EXPECT_DESCRIBE && name.len == 0 && forward_renames(message->client)) {
        entry.unnamed = true;
        entry.statement = statement_hold(message->client->unnamed);
        entry.serial = message->client->unnamed_serial;
    }
    expect_push(&message->server->expect, entry);
}

/* Is its Parse on its way, so that it fails with what pins its client? */
static bool is_parsed_now(const struct server *server, const struct statement *statement)
{
    for (uint32_t i = 0; i < server->expect.count; i++) {
        const struct expected *entry = expect_at(&server->expect, i);
        if (entry->kind == EXPECT_PARSE && entry->statement == statement)
            return true;
    }
    return false;
}

/* What is bound is a statement of the pool's own that tells the session's channels; `before` and
 * `name` as for pass_renamed. */
static void bind_channels(const struct message *message, struct slice before, struct slice name,
                          const struct statement *asked)
{
    struct client *client = message->client;
    if (!traits_channels(statement_text(asked))) {
        refuse_channels(message, EXPECT_BIND);
        return;
    }
    AUTO_BUFFER body = {0};
    listen_append_channels(client, &body);
    buffer_append(&body, "", 1);
    wire_u16(&body, 0);
    struct statement *statement = statements_intern(client->pool->statements, buffer_slice(&body),
                                                    params_meaning(client->params));
    if (!prepared_use(&message->server->prepared, statement))
        prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
    pass_renamed(message, before, name, statement);
    expect_reply(message, EXPECT_BIND);
    statement_release(&statement);
}

static bool on_bind(const struct message *message)
{
    struct slice rest = body_of(message), portal, name;
    const char *begin = rest.ptr;
    if (!wire_take_text(&rest, &portal) || !wire_take_text(&rest, &name))
        return false;
    struct client *client = message->client;
    struct statement *statement = !forward_renames(client) ? NULL
                                  : name.len > 0           ? names_get(&client->names, name)
                                                           : client->unnamed;
    statement_release(&message->server->command);
    if (statement && refuse_sequence(message, EXPECT_BIND, statement->traits))
        return true;
    unsigned keeps = statement ? traits_to_keep(statement) & TRAITS_LEFT : 0;
    if (keeps && !(client->pinned && is_parsed_now(message->server, statement)) &&
        keep_or_refuse_state(message, EXPECT_BIND, keeps))
        return true;
    if (statement && (statement->traits & TRAITS_COMMAND) && portal.len == 0)
        message->server->command = statement_hold(statement);
    else if (statement && (statement->traits & TRAIT_LISTEN) &&
             keep_or_refuse_state(message, EXPECT_BIND, TRAIT_LISTEN))
        return true;
    else if (statement && (statement->traits & TRAIT_UNLISTEN))
        listen_note(client, statement_text(statement));
    if (statement && (statement->traits & TRAIT_SIGNAL) && message->server->status != 'E')
        signals_in_bind(client, statement, rest);
    if (statement && (statement->traits & TRAIT_PREPARED) && message->server->status != 'E')
        (void)show_own_statements(message);
    const struct slice before = {begin, portal.len + 1};
    if (statement && has_other_channels(message, statement->traits))
        bind_channels(message, before, name, statement);
    else
        on_use(message, EXPECT_BIND, before, name);
    return true;
}

static bool on_describe(const struct message *message)
{
    struct slice rest = body_of(message), name;
    if (rest.len < 2 || rest.ptr[rest.len - 1] != 0)
        return false;
    struct slice before = {rest.ptr, 1};
    message->server->describes = true;
    rest.ptr++, rest.len--;
    if (!wire_take_text(&rest, &name) || rest.len != 0)
        return false;
    if (before.ptr[0] == 'S') {
        on_use(message, EXPECT_DESCRIBE, before, name);
        return true;
    }
    expect_reply(message, EXPECT_DESCRIBE);
    pass(message);
    return true;
}

static bool on_close(const struct message *message)
{
    struct slice rest = body_of(message), name;
    struct client *client = message->client;
    if (rest.len < 2)
        return false;
    bool statement_close = rest.ptr[0] == 'S';
    rest.ptr++, rest.len--;
    if (!wire_take_text(&rest, &name) || rest.len != 0)
        return false;
    if (statement_close && name.len == 0) {
        client_set_unnamed(client, NULL);
        statement_release(&message->server->unnamed);
        expect_reply(message, EXPECT_CLOSE);
        pass(message);
        return true;
    }
    if (statement_close && forward_renames(client)) {
        struct statement *statement = names_get(&client->names, name);
        if (statement || !client->pinned || statement_name_is_ours(name)) {
            struct expected entry = {.kind = EXPECT_CLOSE_DONE};
            if (statement) {
                entry.statement = statement_hold(statement);
                entry.name = xstrndup(name.ptr, name.len);
                (void)names_remove(&client->names, name);
            }
            expect_push(&message->server->expect, entry);
            return true;
        }
    }
    expect_reply(message, EXPECT_CLOSE);
    pass(message);
    return true;
}

/* ---- commands that the pool does itself ---- */

/* False: the server it has is to do it. */
static bool perform(const struct message *message, const struct statement *command)
{
    struct client *client = message->client;
    struct slice text = statement_text(command);
    char name[64];
    const char *tag = NULL;
    if (command->traits & TRAIT_DEALLOCATE) {
        if (message->server->status != 'E' && traits_deallocated(text, name) &&
            names_remove(&client->names, slice_of(name)))
            tag = "DEALLOCATE";
    } else if (!client->listen_refused && may_listen(message)) {
        tag = listen_command(client, text);
    }
    client->listen_refused = client->listen_refused && client->awaits_listen;
    if (tag)
        expect_push(&message->server->expect,
                    (struct expected){.kind = EXPECT_COMMAND_DONE, .called = xstrdup(tag)});
    return tag != NULL;
}

static bool on_execute(const struct message *message)
{
    const struct statement *command = message->server->command;
    struct client *client = message->client;
    if (command && message->have > WIRE_HEADER_BYTES &&
        body_of(message).ptr[0] == 0) { /* of the unnamed portal */
        if (perform(message, command) || client->awaits_listen)
            return true;
        if (command->traits & TRAIT_UNLISTEN)
            listen_note(client, statement_text(command));
        if (listens_already(message, statement_text(command), false))
            return true;
        if (keep_or_refuse_state(message, EXPECT_EXECUTE, command->traits))
            return true;
    }
    client->pool->counters->queries += !own_is(client);
    message->server->batch_ran = true;
    expect_reply(message, EXPECT_EXECUTE);
    pass(message);
    return true;
}

/* ---- the rest ---- */

static void end_batch(struct server *server)
{
    server->batch_open = server->batch_ran = false;
}

static bool on_sync(const struct message *message)
{
    struct server *server = message->server;
    server->failed = false;
    end_batch(server);
    statement_release(&server->command);
    message->client->unnamed_in_batch = false;
    if (!server->copy_in) /* then it is ignored */
        expect_reply(message, EXPECT_SYNC);
    pass(message);
    return true;
}

static bool on_copy(const struct message *message)
{
    struct server *server = message->server;
    /* Outside of COPY they mean nothing to a server: what a failed COPY had still on its way. */
    if (!server->copy_in && server->expect.count == 0)
        return true;
    if (message->start[0] != 'd') {
        server->copy_in = false;
        expect_reply(message, EXPECT_COPY_END);
    }
    pass(message);
    return true;
}

static bool on_message(const struct message *message)
{
    /* After an error the server ignores everything up to Sync. */
    if (message->server->failed && message->start[0] != 'S')
        return true;
    if (message->start[0] && strchr("PBDCE", message->start[0]))
        message->server->batch_open = true;
    switch (message->start[0]) {
    case 'Q':
        on_query(message);
        end_batch(message->server);
        return true;
    case 'P':
        return on_parse(message);
    case 'B':
        return on_bind(message);
    case 'D':
        return on_describe(message);
    case 'C':
        return on_close(message);
    case 'E':
        return on_execute(message);
    case 'F':
        message->server->dirty = true; /* of which function, only Postgres knows */
        expect_reply(message, EXPECT_QUERY);
        pass(message);
        end_batch(message->server);
        return true;
    case 'S':
        return on_sync(message);
    case 'H':
        pass(message);
        return true;
    case 'd':
    case 'c':
    case 'f':
        return on_copy(message);
    default:
        return false;
    }
}

/* Is the statement that a Bind or Describe uses the unnamed one? */
static bool uses_unnamed(struct slice message)
{
    struct slice rest = {message.ptr + WIRE_HEADER_BYTES, message.len - WIRE_HEADER_BYTES}, portal;
    if (message.ptr[0] == 'D')
        return rest.len > 1 && rest.ptr[1] == 0;
    return wire_take_text(&rest, &portal) && rest.len > 0 && rest.ptr[0] == 0;
}

/* What a name means depends on how earlier batches end that are still on their way: the message is
 * taken when that is known. Only first uses of names meet this; a batch that brings its own unnamed
 * statement does not. */
static bool must_wait(const struct client *client, struct slice message)
{
    const struct expect *expect = &client->server->expect;
    bool begins = message.ptr[0] && strchr("QFPBDCES", message.ptr[0]);
    if (expect->ends > 0 && client->pool->mode == POOL_STATEMENT && begins)
        return true; /* it may be in a block */
    if (expect->ends == 0 || !forward_renames(client) || message.len <= WIRE_HEADER_BYTES)
        return false;
    char first = message.ptr[WIRE_HEADER_BYTES];
    switch (message.ptr[0]) {
    case 'P':
        return first != 0;
    case 'C':
        return first == 'S' && message.len > WIRE_HEADER_BYTES + 1 &&
               message.ptr[WIRE_HEADER_BYTES + 1] != 0;
    case 'B':
    case 'D':
        if (uses_unnamed(message))
            return !client->unnamed_in_batch && expect->uncertain_unnamed + expect->uncertain > 0;
        return expect->uncertain > 0;
    case 'E':
        return client->server->command != NULL;
    case 'Q':
        return traits_of((struct slice){message.ptr + WIRE_HEADER_BYTES,
                                        message.len - WIRE_HEADER_BYTES}) &
               (TRAIT_DEALLOCATE | TRAIT_LISTEN | TRAIT_UNLISTEN | TRAIT_EXECUTE);
    default:
        return false;
    }
}

/* How much of a message must be there before it is handled. */
static size_t needed(char type, size_t size)
{
    switch (type) {
    case 'P':
        return size <= MESSAGE_KEPT_BYTES_MAX ? size : WIRE_HEADER_BYTES + 1;
    case 'Q':
        return size <= READ_BYTES ? size : QUERY_LOOK_BYTES;
    case 'B':
        return size < NAMES_BYTES_MAX ? size : NAMES_BYTES_MAX;
    case 'D':
    case 'C':
        return size;
    case 'E':
        return size > WIRE_HEADER_BYTES ? WIRE_HEADER_BYTES + 1 : size;
    default:
        return WIRE_HEADER_BYTES;
    }
}

/* One message, or what is there of it, from the front of *rest. 1: handled; 0: more must come;
 * -1: the client is to be ended with *ret_error. */
static int take_message(struct client *client, struct batch *batch, struct slice *rest,
                        const struct wire_error **ret_error)
{
    if (rest->len < WIRE_HEADER_BYTES)
        return 0;
    uint32_t length = wire_get_u32(rest->ptr + 1);
    size_t size = (size_t)length + 1;
    char type = rest->ptr[0];
    *ret_error = &protocol_violation;
    if (length < 4 || length > WIRE_LENGTH_MAX)
        return -1;
    if ((type == 'D' || type == 'C') && size > NAMES_BYTES_MAX)
        return -1;
    if ((type == 'S' || type == 'H') && length != 4)
        return -1;
    if (type == 'X') {
        client->goodbye = true;
        *ret_error = NULL;
        return -1;
    }
    if (rest->len < needed(type, size))
        return 0;
    if (must_wait(client, (struct slice){rest->ptr, rest->len < size ? rest->len : size})) {
        client->unparsed = true;
        return 0;
    }
    struct message message = {.client = client,
                              .server = client->server,
                              .batch = batch,
                              .start = rest->ptr,
                              .have = rest->len < size ? rest->len : size,
                              .size = size};
    client->drop_skipped = true; /* unless the message is passed on */
    if (type == 'B' && verify(&message)) {
        client->unparsed = true;
        return 0;
    }
    if (!on_message(&message))
        return -1;
    if (type == 'E' && client->awaits_listen) {
        client->unparsed = true;
        return 0;
    }
    client->skip = (uint32_t)(size - message.have);
    rest->ptr += message.have;
    rest->len -= message.have;
    return 1;
}

static void take_skipped(struct client *client, struct batch *batch, struct slice *rest)
{
    struct slice skipped = client_take_skipped(client, rest);
    if (!client->drop_skipped)
        batch_pass(batch, skipped.ptr, skipped.len);
}

static void send_params(struct client *client, struct batch *batch, struct params *from,
                        struct params *to)
{
    struct buffer *out = batch_compose(batch);
    size_t begun = wire_begin(out, 'Q');
    params_append_sql(from, to, out);
    buffer_append(out, "", 1);
    wire_end(out, begun);
    expect_push(&client->server->expect,
                (struct expected){.kind = EXPECT_OWN_QUERY, .restores = params_hold(to)});
}

/* Before a client's first message: the server's session becomes what this client's was. True: its
 * messages wait for what the server says to that, because nobody has taken it yet, or because the
 * statement would do something else without it. */
static bool restore_params(struct client *client, struct batch *batch)
{
    static const char encoding_name[] = "client_encoding";
    struct server *server = client->server;
    server->dirty = server->dirty ||
                    (params_have_temporary(client->params) && client->pool->state != STATE_ALLOW);
    if (server->params == client->params || server->expect.count > 0 || server->status != 'I')
        return false;
    bool waits =
        !params_are_accepted(client->params) || !params_are_alike(server->params, client->params);
    struct params *from = TAKE(server->params);
    struct slice encoding = params_get(client->params, encoding_name);
    if (encoding.ptr && !slice_equal(params_get(from, encoding_name), encoding)) {
        /* On its own: a text is read in the encoding of before. */
        struct params *between = params_with(params_hold(from), slice_of(encoding_name), encoding);
        send_params(client, batch, from, between);
        params_release(&from);
        from = between;
    }
    if (from != client->params)
        send_params(client, batch, from, client->params);
    params_release(&from);
    statement_release(&server->unnamed); /* a simple query ends it */
    server->params = params_hold(client->params);
    return waits;
}

/* Alone on its way, whole and small, the batch is kept: should a plan prove out of date before
 * anything was answered, the pool can ask again (reply.c). */
static void keep_batch(struct client *client, struct slice bytes)
{
    struct server *server = client->server;
    const struct expect *expect = &server->expect;
    bool ended = expect->count > 0 && expect_at(expect, expect->count - 1)->kind == EXPECT_SYNC;
    if (server->reuses && ended && client->skip == 0 && !client->pinned &&
        bytes.len <= AGAIN_BYTES_MAX)
        buffer_append_slice(&server->asked_again, bytes);
}

struct slice forward_messages(struct client *client, struct slice bytes,
                              const struct wire_error **ret_error, bool *ret_end)
{
    static struct buffer composed;
    struct batch batch = {.composed = &composed};
    struct iovec parts[2];
    struct server *server = client->server;
    struct slice all = bytes;
    bool alone = server_is_free(server);
    int r = 1;
    *ret_error = NULL;
    *ret_end = false;
    if (client->pool->replication) {
        const struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};
        (void)server_send(server, &part, 1);
        return (struct slice){NULL, 0};
    }
    buffer_reset(&composed, READ_BYTES * 4);
    buffer_reset(&server->asked_again, AGAIN_BYTES_MAX);
    server->reuses = server->describes = false;
    cache_unwatch(server);
    bool waits = bytes.len > 0 && bytes.ptr[0] != 'X' && restore_params(client, &batch);
    if (alone && client->pool->cache && !waits)
        cache_watch(client, bytes);
    if (waits) {
        client->unparsed = true;
        server->asked = false; /* nothing of it is on its way yet */
        r = 0;
    }
    while (bytes.len > 0 && r > 0 && !client->awaits_listen)
        if (client->skip > 0)
            take_skipped(client, &batch, &bytes);
        else
            r = take_message(client, &batch, &bytes, ret_error);
    client->unparsed = client->unparsed || (client->awaits_listen && bytes.len > 0);
    if (alone && r > 0 && bytes.len == 0)
        keep_batch(client, all);
    if (server->expect.count >= EXPECT_MAX && server->batch_open && client->skip == 0)
        wire_plain(batch_compose(&batch), 'H'); /* or nothing might come that makes room */
    int count = batch_parts(&batch, parts);
    *ret_end = r < 0;
    if (count > 0)
        (void)server_send(server, parts, count);
    return bytes;
}

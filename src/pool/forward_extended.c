/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of extended queries: statements under names of ours, which a server gets when it is to
 * use them. */

#include "forward.h"
#include "forward_message.h"
#include "listen.h"
#include "own.h"
#include "signals.h"
#include "traits.h"

enum { PREPARED_BYTES_KEPT = 1024 * 1024 }; /* of a server, in any case */

static const struct wire_error too_large = {
    "54000", "a statement of more than 16 MiB can not be prepared through the pool", NULL,
    "Send large values as parameters, by COPY, or in a simple query.", NULL};
static const struct wire_error too_many_statements = {
    "53400", "this session has too many prepared statements",
    "client_statements_max or client_statements_bytes_max is reached",
    "Close statements that are not needed, or raise the limit."};

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

/* Does the server have it? What is in doubt is closed: tables may have changed since. */
static bool is_prepared(const struct message *message, struct statement *statement)
{
    struct prepared *prepared = &message->server->prepared;
    if (!prepared_since(prepared, statement, 0))
        unprepare(message, statement);
    return prepared_use(prepared, statement);
}

/* The server may have so many statements: room for one more. */
static void make_room(const struct message *message)
{
    struct prepared *prepared = &message->server->prepared;
    uint32_t most = (uint32_t)message->client->pool->config->statements_max;
    while (prepared_count(prepared) >= (most > 0 ? most : 1))
        unprepare(message, prepared_oldest(prepared));
}

void forward_prepare(const struct message *message, struct statement *statement,
                     struct expected entry)
{
    char name[SERVER_NAME_BYTES];
    make_room(message);
    statement_server_name(statement, name);
    statement_append_parse(statement, name, batch_compose(message->batch));
    prepared_add(&message->server->prepared, statement, message->client->pool->generation, false);
    entry.statement = statement_hold(statement);
    expect_push(&message->server->expect, entry);
    message->client->pool->counters->statements_parsed++;
    message->client->pool->counters->server_parses++;
}

bool forward_own_statements(const struct message *message)
{
    struct client *client = message->client;
    struct prepared *prepared = &message->server->prepared;
    struct statement *statement;
    uint32_t room = (uint32_t)client->pool->config->statements_max, before;
    before = message->server->expect.count;
    while ((statement = prepared_other(prepared, &client->names)))
        unprepare(message, statement);
    for (uint32_t i = 0; i < client->names.cap && prepared_count(prepared) < room; i++) {
        struct slice name;
        uint64_t told;
        names_name_at(&client->names, i, &name, &told);
        statement = name.ptr ? message_statement(message, name) : NULL;
        if (statement && !prepared_use(prepared, statement))
            forward_prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
    }
    return message->server->expect.count > before;
}

static void set_server_unnamed(struct server *server, struct statement *statement)
{
    statement_release(&server->unnamed);
    server->unnamed = statement_hold(statement);
    server->unnamed_result = 0;
}

/* LISTEN and SET alone wait for their Execute: the pool may listen itself, and what is set outside
 * of a transaction goes with its session. */
static unsigned traits_to_keep(const struct message *message, const struct statement *statement)
{
    char channel[64];
    struct slice text = statement_text(statement);
    unsigned traits = statement->traits;
    if ((traits & TRAIT_LISTEN) && traits_listen(text, channel))
        return traits & ~(unsigned)TRAIT_LISTEN;
    return message_may_set(message, text, traits) ? traits & ~(unsigned)TRAIT_SET : traits;
}

void forward_refuse_parse(const struct message *message, const struct wire_error *error)
{
    bool unnamed = message_body(message).ptr[0] == 0;
    if (unnamed)
        client_set_unnamed(message->client, NULL); /* as a Parse that fails leaves it */
    message_refuse(message, EXPECT_PARSE, error);
}

/* NULL: it is new, there is no room for it, and it was refused. What the server has prepared before
 * makes room, but for a little. */
static struct statement *intern(const struct message *message, struct slice body)
{
    struct client *client = message->client;
    struct prepared *prepared = &message->server->prepared;
    struct statement *statement = forward_intern(client, body);
    while (statement->references == 1 && prepared->bytes > PREPARED_BYTES_KEPT && pool_is_full())
        unprepare(message, prepared_oldest(prepared));
    if (statement->references == 1 && pool_is_full()) {
        statement_release(&statement);
        forward_refuse_parse(message, &forward_no_memory);
    }
    return statement;
}

/* By what it would leave behind, or run. True: it was refused. */
static bool refuse_state(const struct message *message, const struct statement *statement)
{
    struct slice text = statement_text(statement);
    return message_refuse_ours(message, EXPECT_PARSE, text, statement->traits) ||
           message_keep_or_refuse_state(message, EXPECT_PARSE, traits_to_keep(message, statement));
}

static void on_parse_unnamed(const struct message *message, struct slice body)
{
    struct client *client = message->client;
    struct server *server = message->server;
    struct statement *statement = intern(message, body);
    if (!statement)
        return;
    if (refuse_state(message, statement)) {
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
    message_pass(message);
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
        forward_prepare(message, there, (struct expected){.kind = EXPECT_OWN_PARSE});
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
    struct statement *there = message_statement(message, name);
    if (there) {
        parse_again(message, name, there, body);
        return;
    }
    if (!forward_has_room(client, body)) {
        message_refuse(message, EXPECT_PARSE, &too_many_statements);
        return;
    }
    struct statement *statement = intern(message, body);
    if (!statement)
        return;
    if (refuse_state(message, statement)) {
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
    forward_prepare(message, statement, (struct expected){.kind = EXPECT_PARSE, .name = owned});
}

bool forward_parse(const struct message *message)
{
    struct slice body = message_body(message), name, text;
    if (message->size > MESSAGE_KEPT_BYTES_MAX) {
        forward_refuse_parse(message, &too_large);
        return true;
    }
    if (!wire_take_text(&body, &name) || !wire_parse_text(body, &text))
        return false;
    if (!forward_renames(message->client)) {
        unsigned traits = traits_of(text, params_reading(message->client->params)) |
                          (name.len > 0 ? TRAIT_NAMED : 0);
        if (message_keep_or_refuse_state(message, EXPECT_PARSE, traits) ||
            message_refuse_sequence(message, EXPECT_PARSE, traits))
            return true;
        if (message_has_other_channels(message, traits)) {
            message_refuse_channels(message, EXPECT_PARSE);
            return true;
        }
        message->client->keeps_reported |= (traits & TRAIT_REPORTED) != 0;
        if (name.len == 0) {
            message->server->unnamed_by = message->client->id;
            statement_release(&message->server->command);
            if (traits & TRAIT_RESET)
                message->server->command = forward_intern(message->client, body);
        }
        message_expect(message, EXPECT_PARSE);
        message_pass(message);
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

bool forward_verify(const struct message *message)
{
    struct client *client = message->client;
    struct server *server = message->server;
    struct slice rest = message_body(message), portal, name;
    if (!forward_renames(client) || server->status == 'E' || server->failed ||
        !wire_take_text(&rest, &portal) || !wire_take_text(&rest, &name))
        return false;
    bool unnamed = name.len == 0;
    struct statement *statement = unnamed ? client->unnamed : message_statement(message, name);
    if (!statement || told(client, name) == 0)
        return false;
    if (!unnamed)
        (void)is_prepared(message, statement);
    const uint64_t *result = result_of(server, name, statement);
    if (result && *result != 0)
        return false;
    if (!result && unnamed) {
        prepare_unnamed(message);
    } else if (!result) {
        client->pool->counters->replays++;
        forward_prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
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

void forward_refuse_missing(const struct message *message, enum expect_kind kind, struct slice name)
{
    AUTO_TEXT text = name.len == 0 ? xstrdup("unnamed prepared statement does not exist")
                                   : xasprintf("prepared statement \"%.*s\" does not exist",
                                               (int)name.len, name.ptr);
    message_refuse(message, kind, &(struct wire_error){"26000", text, NULL, NULL});
}

/* Makes sure that the server has what the client means by `name`. False: it was refused; *ret is
 * NULL when the name is to go on as it is. */
static bool find_statement(const struct message *message, enum expect_kind kind, struct slice name,
                           struct statement **ret_statement)
{
    struct client *client = message->client;
    *ret_statement = message_statement(message, name);
    if (*ret_statement) {
        if (kind == EXPECT_BIND && has_changed(message, name, *ret_statement)) {
            message_refuse(message, kind, &changed_result);
            return false;
        }
        client->pool->counters->binds += kind == EXPECT_BIND;
        if (is_prepared(message, *ret_statement)) {
            message->server->reuses = true;
        } else {
            client->pool->counters->replays++;
            forward_prepare(message, *ret_statement, (struct expected){.kind = EXPECT_OWN_PARSE});
        }
        return true;
    }
    if (client->pinned && !statement_name_is_ours(name))
        return true; /* of SQL's PREPARE, perhaps */
    forward_refuse_missing(message, kind, name);
    return false;
}

static bool find_unnamed(const struct message *message, enum expect_kind kind)
{
    struct client *client = message->client;
    struct server *server = message->server;
    if (!client->unnamed) {
        forward_refuse_missing(message, kind, (struct slice){"", 0});
        return false;
    }
    if (kind == EXPECT_BIND && has_changed(message, (struct slice){"", 0}, client->unnamed)) {
        message_refuse(message, kind, &changed_result);
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
    forward_refuse_missing(message, kind, name);
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
        message_pass(message);
    } else if (name.len == 0) {
        if (!find_unnamed(message, kind))
            return;
        if (message->client->unnamed)
            server_note_query(message->server, statement_text(message->client->unnamed));
        message_pass(message);
    } else {
        if (!find_statement(message, kind, name, &statement))
            return;
        if (statement) {
            server_note_query(message->server, statement_text(statement));
            pass_renamed(message, before, name, statement);
        } else {
            message_pass(message);
        }
    }
    struct expected entry = {.kind = kind,
                             .statement = statement ? statement_hold(statement) : NULL};
    if (kind == EXPECT_DESCRIBE && statement) {
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
        message_refuse_channels(message, EXPECT_BIND);
        return;
    }
    AUTO_BUFFER body = {0};
    listen_append_channels(client, &body);
    buffer_append(&body, "", 1);
    wire_u16(&body, 0);
    struct statement *statement = forward_intern(client, buffer_slice(&body));
    if (!prepared_use(&message->server->prepared, statement))
        forward_prepare(message, statement, (struct expected){.kind = EXPECT_OWN_PARSE});
    pass_renamed(message, before, name, statement);
    message_expect(message, EXPECT_BIND);
    statement_release(&statement);
}

/* What waits for the Execute of its portal: of the unnamed one, it is known what that runs; of
 * others, that one of them may take the statements away. True: it was refused. */
static bool keep_command(const struct message *message, struct statement *statement, bool named)
{
    if (!named) {
        message->server->command = statement_hold(statement);
        return false;
    }
    message->server->portal_clears |= (statement->traits & TRAIT_DISCARD) != 0;
    unsigned traits = message_count_reset(message, statement->traits) & (TRAIT_LISTEN | TRAIT_SET);
    return traits && message_keep_or_refuse_state(message, EXPECT_BIND, traits);
}

bool forward_bind(const struct message *message)
{
    struct slice rest = message_body(message), portal, name;
    const char *begin = rest.ptr;
    if (!wire_take_text(&rest, &portal) || !wire_take_text(&rest, &name))
        return false;
    struct client *client = message->client;
    struct statement *statement = !forward_renames(client) ? NULL
                                  : name.len > 0           ? message_statement(message, name)
                                                           : client->unnamed;
    /* Where names are the client's own, it is of the unnamed statement that it has just parsed. */
    if (portal.len == 0 && (forward_renames(client) || name.len > 0))
        statement_release(&message->server->command);
    if (statement && message_refuse_sequence(message, EXPECT_BIND, statement->traits))
        return true;
    unsigned keeps = statement ? traits_to_keep(message, statement) : 0;
    bool waits =
        statement && (statement->traits != keeps ||
                      (keeps & (TRAITS_COMMAND | TRAIT_SIGNAL | TRAIT_DISCARD | TRAIT_RESET)));
    if ((keeps & TRAITS_LEFT) && !(client->pinned && is_parsed_now(message->server, statement)) &&
        message_keep_or_refuse_state(message, EXPECT_BIND, keeps & TRAITS_LEFT))
        return true;
    if (waits && keep_command(message, statement, portal.len > 0))
        return true;
    client->keeps_reported |= statement && (statement->traits & TRAIT_REPORTED);
    if (statement && (statement->traits & TRAIT_SIGNAL)) {
        signals_in_bind(client, statement, rest);
        if (portal.len > 0 && message->server->status != 'E')
            signals_in_execute(client); /* of a portal with a name it is not seen */
    }
    if (statement && (statement->traits & TRAIT_PREPARED) && message->server->status != 'E')
        (void)forward_own_statements(message);
    const struct slice before = {begin, portal.len + 1};
    if (statement && message_has_other_channels(message, statement->traits))
        bind_channels(message, before, name, statement);
    else
        on_use(message, EXPECT_BIND, before, name);
    if (statement && (statement->traits & TRAIT_UNLISTEN) && portal.len > 0) {
        struct expect *expect = &message->server->expect;
        expect_at(expect, expect->count - 1)->unlistens =
            listen_ends(client, statement_text(statement)); /* its Execute is not seen */
    }
    return true;
}

bool forward_describe(const struct message *message)
{
    struct slice rest = message_body(message), name;
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
    message_expect(message, EXPECT_DESCRIBE);
    message_pass(message);
    return true;
}

bool forward_close(const struct message *message)
{
    struct slice rest = message_body(message), name;
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
        message_expect(message, EXPECT_CLOSE);
        message_pass(message);
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
    message_expect(message, EXPECT_CLOSE);
    message_pass(message);
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
    } else if ((command->traits & (TRAIT_LISTEN | TRAIT_UNLISTEN)) && !client->listen_refused &&
               message_may_listen(message)) {
        if (message_refuse_listen(message, EXPECT_EXECUTE, text))
            return true;
        tag = listen_command(client, text);
    }
    client->listen_refused = client->listen_refused && client->awaits_listen;
    if (tag)
        expect_push(&message->server->expect,
                    (struct expected){.kind = EXPECT_COMMAND_DONE, .called = xstrdup(tag)});
    return tag != NULL;
}

/* Owned; NULL: none. */
static char *parameter_reset(const struct statement *command)
{
    char name[PARAMETER_BYTES];
    AUTO_BUFFER value = {0};
    return traits_parameter(statement_text(command), name, &value) == 'R' ? xstrdup(name) : NULL;
}

bool forward_execute(const struct message *message)
{
    const struct statement *command = message->server->command;
    struct client *client = message->client;
    struct expected entry = {.kind = EXPECT_EXECUTE};
    bool unnamed = message->have > WIRE_HEADER_BYTES && message_body(message).ptr[0] == 0;
    entry.clears = !unnamed && message->server->portal_clears;
    if (command && unnamed) {
        entry.clears = command->traits & TRAIT_DISCARD;
        entry.defaults = command->traits & (TRAIT_RESET | TRAIT_DISCARD);
        if (perform(message, command) || client->awaits_listen)
            return true;
        if ((command->traits & TRAIT_SIGNAL) && message->server->status != 'E')
            signals_in_execute(client);
        if (message_listens_already(message, statement_text(command), false))
            return true;
        unsigned traits = command->traits;
        bool sets = message_sets(message, statement_text(command), &traits, &entry);
        if (message_keep_or_refuse_state(message, EXPECT_EXECUTE, traits))
            return true;
        entry.resets = sets ? NULL : parameter_reset(command);
        if (command->traits & TRAIT_UNLISTEN)
            entry.unlistens = listen_ends(client, statement_text(command));
        statement_release(&message->server->command); /* it can not run twice */
    }
    client->pool->counters->queries += !own_is(client);
    message->server->batch_ran_more = message->server->batch_ran;
    message->server->batch_ran = true;
    expect_push(&message->server->expect, entry);
    message_pass(message);
    return true;
}

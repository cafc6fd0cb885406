/* SPDX-License-Identifier: Apache-2.0 */
#include "forward_message.h"

#include "forward.h"
#include "listen.h"
#include "metrics.h"
#include "traits.h"

struct slice message_body(const struct message *message)
{
    return (struct slice){message->start + WIRE_HEADER_BYTES, message->have - WIRE_HEADER_BYTES};
}

void message_expect(const struct message *message, enum expect_kind kind)
{
    expect_push(&message->server->expect, (struct expected){.kind = kind});
}

void message_pass(const struct message *message)
{
    message->client->drop_skipped = false;
    batch_pass(message->batch, message->start, message->have);
}

void message_refuse(const struct message *message, enum expect_kind kind,
                    const struct wire_error *error)
{
    message_refuse_as(message, kind, wire_error_copy("ERROR", error));
}

void message_refuse_as(const struct message *message, enum expect_kind kind, char *error)
{
    struct buffer *out = batch_compose(message->batch);
    size_t begun = wire_begin(out, kind == EXPECT_QUERY ? 'Q' : 'P');
    metrics_refused(wire_error_field(wire_error_body(error), 'C').ptr, false);
    if (kind != EXPECT_QUERY)
        wire_text(out, "");
    wire_text(out, "refused by the pool");
    if (kind != EXPECT_QUERY)
        wire_u16(out, 0);
    wire_end(out, begun);
    statement_release(&message->server->unnamed);
    expect_push(&message->server->expect, (struct expected){.kind = kind, .refusal = error});
}

bool forward_renames(const struct client *client)
{
    const struct pool *pool = client->pool;
    bool has_some = client->names.count > 0 || client->unnamed; /* of before a SET or a reload */
    return has_some || (pool->mode != POOL_SESSION && pool->config->statements_max > 0);
}

/* What a client that is pinned has set is not known, nor whether a SET of the same batch will have
 * been: it shares nothing with others. */
static struct meaning meaning_to(const struct client *client)
{
    bool sets = client->server && client->server->sets_now;
    bool alone = (client->pinned || sets) && client->pool->mode != POOL_SESSION;
    uint64_t own = alone ? client->id * 0x9e3779b97f4a7c15u : 0;
    return (struct meaning){params_meaning(client->params) ^ own, params_reading(client->params)};
}

struct statement *forward_intern(const struct client *client, struct slice body)
{
    return statements_intern(client->pool->statements, body, meaning_to(client));
}

struct statement *message_statement(const struct message *message, struct slice name)
{
    struct client *client = message->client;
    struct statement *was = names_get(&client->names, name);
    if (!was || was->meaning.number == meaning_to(client).number ||
        prepared_use(&message->server->prepared, was))
        return was;
    struct statement *now = forward_intern(client, (struct slice){was->body, was->body_bytes});
    names_replace(&client->names, name, now);
    return now;
}

/* ---- session state ---- */

/* Is nothing of the client's under way? */
static bool is_alone(const struct expect *expect)
{
    uint32_t own = 0;
    while (own < expect->count && expect_at(expect, own)->kind == EXPECT_OWN_QUERY)
        own++;
    return own == expect->count;
}

/* Locks and libraries outlive the error of the statement that has brought them. */
static void pin(struct client *client, unsigned traits)
{
    struct server *server = client->server;
    bool may_fail =
        is_alone(&server->expect) && !(traits & (TRAIT_LOCK | TRAIT_LOAD | TRAIT_NAMED));
    client->pool->counters->pins += !client->pinned;
    server->pin_unproved = may_fail && (!client->pinned || server->pin_unproved);
    client->pinned = true;
    server->dirty = true;
}

bool message_keep_or_refuse_state(const struct message *message, enum expect_kind kind,
                                  unsigned traits)
{
    struct client *client = message->client;
    if (client->pool->state == STATE_ALLOW)
        return false;
    bool session = client->pool->mode == POOL_SESSION, keeps = client->pool->state == STATE_PIN;
    bool refused = (traits & TRAITS_SESSION) && !session && !keeps;
    message->server->worn |= (traits & TRAITS_WORN) && !refused;
    /* Who knows what stands behind? */
    message->server->dirty |= (traits & (TRAIT_UNSEEN | TRAIT_EXECUTE)) != 0;
    traits &= TRAITS_SESSION;
    if (!refused) {
        if (traits && !session)
            pin(client, traits);
        return false;
    }
    AUTO_TEXT text = xasprintf("%s is not possible with transaction pooling", traits_name(traits));
    message_refuse(
        message, kind,
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

bool message_leave_command(const struct message *message, enum expect_kind kind)
{
    struct server *server = message->server;
    struct statement *command = TAKE(server->command);
    /* Where nothing runs, the portal ends here. */
    unsigned traits = command && anything_runs(server) ? command->traits : 0;
    statement_release(&command);
    traits &= TRAIT_LISTEN | TRAIT_SET;
    server->dirty = server->dirty || (traits && server->failed);
    return traits && !server->failed && message_keep_or_refuse_state(message, kind, traits);
}

bool message_refuse_ours(const struct message *message, enum expect_kind kind, struct slice text,
                         unsigned traits)
{
    const struct client *client = message->client;
    char name[64];
    if (!(traits & TRAIT_EXECUTE) || !forward_renames(client) || message->server->status == 'E')
        return false;
    while (traits_executed_next(&text, name))
        if (statement_name_is_ours(slice_of(name))) {
            forward_refuse_missing(message, kind, slice_of(name));
            return true;
        }
    return false;
}

enum { SET_MAX = 32, SET_BYTES_MAX = 1024 }; /* of a session: parameters; bytes of a value */

static bool has_room(const struct client *client, const char *name)
{
    return params_get(client->params, name).ptr ||
           params_beyond(client->params, client->startup_params) < SET_MAX;
}

/* As traits_parameter, of what goes with the session if it is run outside of a transaction. */
static char take_parameter(const struct message *message, struct slice text, unsigned traits,
                           char ret_name[PARAMETER_BYTES], struct buffer *ret_value)
{
    const struct client *client = message->client;
    bool only = !(traits & ~(unsigned)(TRAIT_SET | TRAIT_RESET));
    if (!only || client->pool->mode == POOL_SESSION || client->pool->state == STATE_ALLOW ||
        client->pinned || message->have < message->size)
        return 0;
    char kind = traits_parameter(text, ret_name, ret_value);
    if (kind == 'S' &&
        (!has_room(client, ret_name) || buffer_len(ret_value) > SET_BYTES_MAX || pool_is_full()))
        return 0;
    return params_may_move(ret_name) ? kind : 0;
}

bool message_may_set(const struct message *message, struct slice text, unsigned traits)
{
    char name[PARAMETER_BYTES] = "";
    AUTO_BUFFER value = {0};
    bool outside = message->server->status == 'I' && !message->server->batch_ran;
    return (traits & TRAIT_SET) && outside && take_parameter(message, text, traits, name, &value);
}

unsigned message_count_reset(const struct message *message, unsigned traits)
{
    const struct client *client = message->client;
    if (!(traits & TRAIT_RESET))
        return traits;
    bool has_set =
        message->server->sets_now ||
        !params_same_but(client->params, client->startup_params, message->server->base_params);
    return has_set ? traits | TRAIT_SET : traits;
}

bool message_sets(const struct message *message, struct slice text, unsigned *traits,
                  struct expected *entry)
{
    char name[PARAMETER_BYTES] = "";
    AUTO_BUFFER value = {0};
    if (!(*traits & (TRAIT_SET | TRAIT_RESET)))
        return false;
    char kind = take_parameter(message, text, *traits, name, &value);
    if (kind == 0 || anything_runs(message->server)) {
        if (kind != 'R' || strcasecmp(name, "all") == 0) /* of one, *traits say it already */
            *traits = message_count_reset(message, *traits);
        return false;
    }
    *traits &= ~(unsigned)TRAIT_SET;
    message->server->sets_now = true;
    entry->sets = xstrdup(name);
    if (kind == 'S') {
        buffer_append(&value, "", 1);
        entry->value = xstrdup(buffer_slice(&value).ptr);
    }
    return true;
}

bool message_refuse_sequence(const struct message *message, enum expect_kind kind, unsigned traits)
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
    message_refuse(message, kind, &elsewhere);
    return true;
}

bool message_has_other_channels(const struct message *message, unsigned traits)
{
    return (traits & TRAIT_CHANNELS) && message->client->subscriptions &&
           message->server->status != 'E';
}

void message_refuse_channels(const struct message *message, enum expect_kind kind)
{
    static const struct wire_error elsewhere = {
        "0A000",
        "pg_listening_channels() within a larger statement is not possible with transaction "
        "pooling",
        "The session's channels are listened to by a connection of the pool's own.",
        "Ask SELECT pg_listening_channels() alone, or SELECT * FROM pg_listening_channels(), which "
        "the pool answers; or use a pool_mode of session.",
        NULL};
    message_refuse(message, kind, &elsewhere);
}

bool message_may_listen(const struct message *message)
{
    static const char encoding[] = "client_encoding";
    const struct client *client = message->client;
    const struct params *usual = client->pool->welcome;
    return client->pool->mode != POOL_SESSION && client->pool->state != STATE_ALLOW &&
           !client->pinned && !anything_runs(message->server) &&
           (!usual ||
            slice_equal_nocase(params_get(client->params, encoding), params_get(usual, encoding)));
}

bool message_refuse_listen(const struct message *message, enum expect_kind kind, struct slice text)
{
    static const struct wire_error too_many = {
        "53400", "this session listens to too many channels", "They are 4,096.",
        "UNLISTEN what is not needed, or tell what happened by payloads of fewer channels.", NULL};
    struct client *client = message->client;
    char name[64];
    bool may = client->channels_count < CLIENT_CHANNELS_MAX;
    if (traits_listen(text, name) != 'L' || listen_has(client, text) || (may && !pool_is_full()))
        return false;
    message_refuse(message, kind, may ? &forward_no_memory : &too_many);
    return true;
}

bool message_listens_already(const struct message *message, struct slice text, bool simple)
{
    if (!message->client->pinned || message->server->status == 'E' ||
        !listen_has(message->client, text))
        return false;
    expect_push(&message->server->expect, (struct expected){.kind = EXPECT_COMMAND_DONE,
                                                            .simple = simple,
                                                            .called = xstrdup("LISTEN")});
    return true;
}

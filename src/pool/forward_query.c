/* SPDX-License-Identifier: Apache-2.0 */
/* Simple queries: what the pool does itself of them, and what the server must have before. */

#include "forward.h"
#include "forward_message.h"
#include "listen.h"
#include "own.h"
#include "signals.h"
#include "traits.h"

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

/* The parameter that it resets, or all, perhaps before other statements that set none. */
static bool resets_one(struct slice text, char ret_name[PARAMETER_BYTES])
{
    AUTO_BUFFER value = {0};
    if (traits_parameter(text, ret_name, &value) == 'R')
        return true;
    const char *end = memchr(text.ptr, ';', text.len);
    size_t len = end ? (size_t)(end - text.ptr) : text.len;
    struct slice first = {text.ptr, len}, rest = {text.ptr + len, text.len - len};
    return traits_parameter(first, ret_name, &value) == 'R' &&
           !(traits_of(rest, 0) & (TRAIT_SET | TRAIT_RESET));
}

/* True: the pool does it, and the server does not hear of it. Amid a batch it must: the query ends
 * that, and commits what it has done. */
static bool perform_query(const struct message *message, struct slice text, unsigned traits)
{
    if (message->server->batch_open)
        return false;
    if ((traits & (TRAIT_LISTEN | TRAIT_UNLISTEN)) && message_may_listen(message) &&
        (message_refuse_listen(message, EXPECT_QUERY, text) || listen_query(message->client, text)))
        return true;
    return ((traits & TRAIT_DEALLOCATE) && deallocate_ours(message, text)) ||
           ((traits & TRAIT_LISTEN) && message_listens_already(message, text, true));
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
    return message_statement(message, slice_of(name));
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
                 server->status != 'E' && forward_own_statements(message);
    bool lacks = executed && !prepared_use(&server->prepared, executed);
    if (lacks)
        forward_prepare(message, executed, (struct expected){.kind = EXPECT_OWN_PARSE});
    if ((!shows && !lacks) || server->batch_open)
        return;
    wire_plain(batch_compose(message->batch), 'S');
    message_expect(message, EXPECT_OWN_SYNC);
}

static void pass_channels_query(const struct message *message)
{
    AUTO_BUFFER sql = {0};
    listen_append_channels(message->client, &sql);
    buffer_append(&sql, "", 1);
    wire_query(batch_compose(message->batch), sql.data + sql.start);
}

void forward_query(const struct message *message)
{
    struct slice text = message_body(message);
    if (text.len > 0 && message->have == message->size)
        text.len--;
    unsigned traits = traits_of(text, params_reading(message->client->params)) |
                      (message->have < message->size ? TRAIT_UNSEEN : 0);
    struct slice place;
    struct statement *executed = traits & TRAIT_EXECUTE ? executed_by(message, text, &place) : NULL;
    if (perform_query(message, text, traits))
        return;
    if (!executed && message_refuse_ours(message, EXPECT_QUERY, text, traits))
        return;
    if (executed)
        traits = (traits & ~(unsigned)TRAIT_EXECUTE) | executed->traits;
    if (message_leave_command(message, EXPECT_QUERY))
        return;
    struct expected entry = {.kind = EXPECT_QUERY,
                             .clears = traits & TRAIT_DISCARD,
                             .defaults = traits & (TRAIT_RESET | TRAIT_DISCARD)};
    bool sets = message_sets(message, text, &traits, &entry);
    if (message_keep_or_refuse_state(message, EXPECT_QUERY, traits) ||
        message_refuse_sequence(message, EXPECT_QUERY, traits))
        return;
    bool channels = message_has_other_channels(message, traits);
    if (channels && !(message->have == message->size && traits_channels(text))) {
        message_refuse_channels(message, EXPECT_QUERY);
        return;
    }
    if (traits & TRAIT_UNLISTEN)
        entry.unlistens = listen_ends(message->client, text);
    if ((traits & TRAIT_SIGNAL) && message->server->status != 'E')
        signals_in_query(message->client, text);
    message->client->keeps_reported |= (traits & TRAIT_REPORTED) != 0;
    prepare_query(message, traits, executed);
    client_set_unnamed(message->client, NULL); /* a simple query ends it, and its portal */
    message->client->unnamed_in_batch = false;
    statement_release(&message->server->unnamed);
    message->server->unnamed_by = 0;
    message->client->pool->counters->queries += !own_is(message->client);
    server_note_query(message->server, text);
    char reset[PARAMETER_BYTES];
    if (!sets && (traits & TRAIT_RESET) && resets_one(text, reset))
        entry.resets = xstrdup(reset);
    expect_push(&message->server->expect, entry);
    if (channels)
        pass_channels_query(message);
    else if (executed)
        pass_execute(message, text, place, executed);
    else
        message_pass(message);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From a server to its client: each reply meets what was expected (expect.h). Rows and COPY data
 * are passed on without a look. */
#include "reply.h"

#include <inttypes.h>
#include <strings.h>

#include "batch.h"
#include "cache.h"
#include "listen.h"
#include "metrics.h"
#include "log.h"
#include "pool.h"
#include "traits.h"

enum { DOUBTS_MS = 1000, DOUBTS_MAX = 10 }; /* of a statement in that time */
enum { NOTE_BYTES_MAX = 64 * 1024 }; /* of messages that are looked into; longer ones only pass */

struct reply {
    struct server *server;
    struct batch *batch;
    const char *start;
    size_t have, size;
    bool sound;
};

static void pass(const struct reply *reply)
{
    batch_pass(reply->batch, reply->start, reply->have);
}

static struct slice body_of(const struct reply *reply)
{
    return (struct slice){reply->start + WIRE_HEADER_BYTES, reply->have - WIRE_HEADER_BYTES};
}

static bool is_own(enum expect_kind kind)
{
    return kind >= EXPECT_OWN_QUERY && kind <= EXPECT_OWN_DESCRIBE;
}

static void answer(struct server *server, struct batch *batch, const struct expected *entry)
{
    if (entry->kind == EXPECT_PARSE_DONE)
        wire_plain(batch_compose(batch), '1');
    if (entry->kind == EXPECT_CLOSE_DONE)
        wire_plain(batch_compose(batch), '3');
    if (entry->kind == EXPECT_COMMAND_DONE) {
        struct buffer *out = batch_compose(batch);
        wire_complete(out, entry->called);
        if (entry->simple)
            wire_ready(out, server->status);
    }
}

/* What needs no reply and stands first is answered now. */
static void settle(struct server *server, struct batch *batch)
{
    const struct expected *head;
    while ((head = expect_head(&server->expect)) && head->kind >= EXPECT_COPY_END) {
        struct expected entry = expect_pop(&server->expect);
        answer(server, batch, &entry);
        expected_done(&entry);
    }
}

static enum expect_kind head_kind(struct reply *reply)
{
    settle(reply->server, reply->batch);
    const struct expected *head = expect_head(&reply->server->expect);
    return head ? head->kind : EXPECT_COMMAND_DONE;
}

/* The reply completes what stands first, which must be `kind` or our own of it. */
static void complete(struct reply *reply, enum expect_kind kind, enum expect_kind own)
{
    enum expect_kind head = head_kind(reply);
    if (head != kind && head != own) {
        reply->sound = false;
        return;
    }
    struct expected entry = expect_pop(&reply->server->expect);
    if (entry.unlistens && reply->server->client)
        listen_note(reply->server->client, entry.unlistens, true);
    expected_done(&entry);
    if (head == kind)
        pass(reply);
}

/* ---- errors ---- */

/* The server did not get to it, or refused it: there is none now, unless a later batch has brought
 * one. (A server that did not get to it keeps the one before; nobody builds on that after an
 * error.)
 */
static void undo_unnamed(struct server *server, const struct expected *entry)
{
    struct client *client = server->client;
    statement_release(&server->unnamed);
    if (client && client->unnamed_serial == entry->serial)
        client_set_unnamed(client, NULL);
}

static void undo_name(struct client *client, struct expected *entry)
{
    struct slice name = slice_of(entry->name);
    if (entry->kind != EXPECT_CLOSE_DONE)
        (void)names_remove(&client->names, name);
    else if (!names_get(&client->names, name))
        names_put(&client->names, name, statement_hold(entry->statement));
}

/* Something was rolled back, which of several savepoints' is not known: what a client does not want
 * to hear does less harm than what it misses. */
static void undo_unlistens(struct server *server)
{
    if (server->client)
        listen_settle(server->client, false);
}

/* An entry that came to nothing: what it had changed before its time is undone. */
static void undo(struct server *server, struct expected *entry)
{
    struct prepared *prepared = &server->prepared;
    if (entry->unnamed && entry->kind == EXPECT_OWN_PARSE)
        statement_release(&server->unnamed);
    else if (entry->unnamed && entry->kind == EXPECT_PARSE)
        undo_unnamed(server, entry);
    else if ((entry->kind == EXPECT_PARSE || entry->kind == EXPECT_OWN_PARSE) && entry->statement)
        prepared_remove(prepared, entry->statement);
    else if (entry->kind == EXPECT_OWN_CLOSE && !prepared_use(prepared, entry->statement))
        prepared_add(prepared, entry->statement, 0, true);
    if (entry->kind == EXPECT_OWN_DESCRIBE)
        server->verifies = false;
    if (entry->name && server->client)
        undo_name(server->client, entry);
}

/* The first `count` entries came to nothing; the last is undone first. */
static void undo_first(struct server *server, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;)
        undo(server, expect_at(&server->expect, i));
    while (count-- > 0) {
        struct expected entry = expect_pop(&server->expect);
        expected_done(&entry);
    }
}

static bool is_sync(enum expect_kind kind)
{
    return kind == EXPECT_SYNC || kind == EXPECT_OWN_SYNC;
}

/* After an error in an extended query nothing is answered until Sync. */
static void skip_to_sync(struct server *server)
{
    uint32_t count = 0;
    while (count < server->expect.count && !is_sync(expect_at(&server->expect, count)->kind))
        count++;
    server->failed = count == server->expect.count;
    undo_first(server, count);
}

/* Is the plan that the server has kept, or that it has none, the cause of the error? Then its
 * statements are prepared anew. True: and the batch is asked once more before the client hears of
 * it. That takes a batch of which nothing was answered yet, outside of a transaction; and where the
 * columns may be others than before, the client must be about to be told them. */
static bool is_stale(struct reply *reply)
{
    struct server *server = reply->server;
    struct slice body = body_of(reply), code = wire_error_field(body, 'C');
    const struct expected *head = expect_head(&server->expect);
    bool uses = head && (head->kind == EXPECT_BIND || head->kind == EXPECT_EXECUTE ||
                         head->kind == EXPECT_DESCRIBE);
    bool absent = slice_equal(code, SLICE("26000"));
    bool changed = slice_equal(code, SLICE("0A000")) &&
                   slice_equal(wire_error_field(body, 'R'), SLICE("RevalidateCachedQuery"));
    if (!uses || !(changed || absent) || head->refusal)
        return false;
    server->stale = true;
    server->pool->generation += changed;
    return buffer_len(&server->asked_again) > 0 && batch_is_empty(reply->batch) &&
           server->status == 'I' && server->expect.ends == 1 && (absent || server->describes);
}

/* What was prepared before a table changed, which the pool need not have seen, keeps the types of
 * its parameters: a text that would do well now may fail for that, and is prepared anew before it
 * is used again. Postgres looks whether a plan still holds when it is bound, or described. */
static void doubt(const struct reply *reply, const struct expected *head)
{
    struct slice code = wire_error_field(body_of(reply), 'C');
    bool bound = head->kind == EXPECT_BIND && slice_starts_with(code, SLICE("22"));
    bool uses = head->kind == EXPECT_BIND || head->kind == EXPECT_DESCRIBE ||
                head->kind == EXPECT_OWN_DESCRIBE;
    bool of_types = slice_starts_with(code, SLICE("42")) && !slice_equal(code, SLICE("42501"));
    struct statement *statement = head->unnamed ? NULL : head->statement;
    if (!statement || !(bound || (uses && of_types)))
        return;
    if (pool_passed(statement->doubted_us, DOUBTS_MS)) {
        statement->doubted_us = pool_now();
        statement->doubts_lately = 0;
    }
    /* Who sends bad values again and again is not to slow others down. */
    if (statement->doubts_lately++ < DOUBTS_MAX)
        statement->doubts++;
}

/* Nothing of this is for the client: after the server is ready, everything is asked again. */
static void ask_again(struct server *server)
{
    skip_to_sync(server);
    expect_head(&server->expect)->kind = EXPECT_OWN_QUERY;
    server->retries = true;
    server->stale = false;
}

/* An error that names a statement names it as the client does. */
static void pass_error(struct reply *reply, const char *called)
{
    static const char mark[] = "\"weir_";
    struct slice body = body_of(reply), name = {NULL, 0};
    const char *found = memmem(body.ptr, body.len, mark, sizeof(mark) - 1);
    const char *begin = found ? found + 1 : NULL;
    const char *end = begin ? memchr(begin, '"', (size_t)(body.ptr + body.len - begin)) : NULL;
    if (end && called)
        name = slice_of(called);
    else if (end && reply->server->client)
        name = names_of_server_name(&reply->server->client->names,
                                    (struct slice){begin, (size_t)(end - begin)});
    if (!name.ptr) {
        pass(reply);
        return;
    }
    struct buffer *out = batch_compose(reply->batch);
    size_t begun = wire_begin(out, 'E');
    buffer_append(out, body.ptr, (size_t)(begin - body.ptr));
    buffer_append_slice(out, name);
    buffer_append(out, end, (size_t)(body.ptr + body.len - end));
    wire_end(out, begun);
}

/* The client hears that its session is over: then it is. */
static void note_fatal(struct reply *reply)
{
    struct slice severity = wire_error_field(body_of(reply), 'V');
    reply->server->fatal =
        slice_equal(severity, SLICE("FATAL")) || slice_equal(severity, SLICE("PANIC"));
}

/* Who configured it is to know that each time it costs a connection. */
static void log_failed_upkeep(const struct pool *pool, struct slice message)
{
    log_warn("database %s, user %s: a connection's reset or server_check_query has failed, and it "
             "is closed: %.*s",
             pool->database_name, pool->user, (int)message.len, message.ptr ? message.ptr : "");
}

/* A query of the pool's own has failed. If it set what its client's session began with, the client
 * hears of it what Postgres would have said at its login, unless it is about this connection alone:
 * an administrator has cancelled the query, say, or what another session has set can not be reset.
 */
static void fail_own(struct server *server, bool restores, bool undoes, struct slice error)
{
    bool intervention = undoes || slice_starts_with(wire_error_field(error, 'C'), SLICE("57"));
    server->tainted = true;
    if (!server->client && !server->listens && !intervention)
        log_failed_upkeep(server->pool, wire_error_field(error, 'M'));
    server->unfit = restores && intervention;
    if (restores && !intervention && server->client)
        client_refuse(server->client, error);
}

/* What the pool did before the client's query has failed, and nobody asked for it. The query runs
 * all the same; should it fail for that, or within the transaction that this has ended, its client
 * is told this error. True: it is so. */
static bool keep_for_query(struct reply *reply, enum expect_kind failed)
{
    const struct expect *expect = &reply->server->expect;
    const struct expected *head = expect_head(expect);
    if (failed != EXPECT_OWN_PARSE || !head || head->kind != EXPECT_OWN_SYNC || expect->count < 2)
        return false;
    struct expected *query = expect_at(expect, 1);
    text_free(&query->refusal);
    query->refusal = xcalloc(1, reply->size);
    memcpy(query->refusal, reply->start, reply->size);
    return true;
}

/* What was reset came to nothing. Of who keeps its server all is as it was before; of what the
 * server reports it has not said yet that it was reset, nor will it: that comes when it is ready.
 */
static void return_reset(struct server *server)
{
    struct client *client = server->client;
    struct slice name, value;
    if (!client || !server->settled_params)
        return;
    for (size_t i = 0; i < params_count(server->settled_params); i++) {
        params_at(server->settled_params, i, &name, &value);
        bool reports = params_get(server->base_params, name.ptr).ptr != NULL;
        if (reports)
            value = params_get(server->reported, name.ptr);
        if (reports ? !server->resets || !value.ptr : !client->pinned)
            continue;
        client->params = params_with(client->params, name, value);
        server->params = params_with(server->params, name, value);
    }
}

/* Did the pool cancel it? Then this says why, instead of the error that has come of that. */
static char *why_stopped(const struct reply *reply, enum expect_kind kind)
{
    struct server *server = reply->server;
    const struct wire_error *why = server->stopped_for;
    if (!why || !slice_equal(wire_error_field(body_of(reply), 'C'), SLICE("57014")))
        return NULL;
    server->stopped_for = NULL;
    if (kind == EXPECT_OWN_QUERY || !server->client)
        return NULL;
    metrics_refused(why->sqlstate, false);
    if (server->pool->config->log_errors)
        log_info("client %" PRIu64 ": %s: %s", server->client->id, why->sqlstate, why->message);
    return wire_error_copy("ERROR", why);
}

static void on_error(struct reply *reply)
{
    struct server *server = reply->server;
    settle(server, reply->batch);
    struct expected *head = expect_head(&server->expect);
    server->copy_in = false;
    server->progress_us = pool_now();
    if (!head) { /* on its way out: an administrator ends it, say */
        server->tainted = true;
        note_fatal(reply);
        pass(reply);
        return;
    }
    enum expect_kind kind = head->kind;
    bool restores = head->restores != NULL, undoes = head->undoes;
    undo_unlistens(server);
    reply_drop_set(server);
    if (server->pin_unproved && server->client && kind != EXPECT_OWN_QUERY)
        server->client->pinned = server->pin_unproved = false; /* it has come to nothing */
    AUTO_TEXT refusal = TAKE(head->refusal);
    AUTO_TEXT called = TAKE(head->called);
    doubt(reply, head);
    if (is_stale(reply)) {
        ask_again(server);
        return;
    }
    if (kind != EXPECT_QUERY && kind != EXPECT_OWN_QUERY)
        skip_to_sync(server); /* brings names back that the error may speak of */
    if (server->early_syncs > 0 && !server->failed)
        server->tainted =
            true; /* one may be answered that nobody expects: not to the next client */
    if (keep_for_query(reply, kind))
        return;
    if (!refusal)
        refusal = why_stopped(reply, kind);
    if (refusal)
        buffer_append(batch_compose(reply->batch), refusal, wire_get_u32(refusal + 1) + 1);
    else if (kind == EXPECT_OWN_QUERY && server->listens && head->name)
        listen_failed(server, head->name, body_of(reply));
    else if (kind == EXPECT_OWN_QUERY)
        fail_own(server, restores, undoes, body_of(reply));
    else
        pass_error(reply, called);
    if (!refusal && kind != EXPECT_OWN_QUERY)
        note_fatal(reply);
}

/* ---- session state ---- */

/* A RESET goes back to what the connection began with; the session began with its own, which is set
 * soon. (Postgres reports after the command's end.) */
static struct slice meant_by(const struct server *server, const char *name, struct slice value)
{
    struct slice begun = params_get(server->client->startup_params, name);
    bool reset = server->resets && slice_equal(params_get(server->base_params, name), value);
    return reset && begun.ptr ? begun : value;
}

static void on_parameter(struct reply *reply)
{
    struct server *server = reply->server;
    struct slice rest = body_of(reply), name, value;
    if (!wire_take_text(&rest, &name) || !wire_take_text(&rest, &value)) {
        reply->sound = false;
        return;
    }
    server->reported = params_with(server->reported, name, value);
    server->params = params_with(server->params, name, value);
    if (params_are_too_many(server->params))
        reply->sound = false;
    struct client *client = server->client;
    bool others =
        !client && server->pool->mode != POOL_SESSION; /* there each one ends with a reset */
    if ((others || slice_equal(name, SLICE("in_hot_standby"))) &&
        !slice_equal(params_get(server->base_params, name.ptr), value))
        server->dirty = true; /* another base, which the reset tells */
    if (!client)
        return;
    struct slice meant = meant_by(server, name.ptr, value);
    bool known = slice_equal(params_get(client->params, name.ptr), meant);
    client->params = params_with(client->params, name, meant);
    if (head_kind(reply) != EXPECT_OWN_QUERY || !known)
        wire_parameter(batch_compose(reply->batch), name, meant);
}

/* Of what a RESET says. */
static bool names_it(const char *which, const char *name)
{
    return strcasecmp(which, "all") == 0 || strcasecmp(which, name) == 0;
}

/* The parameter, or all of them, that the session has set besides what it began with: neither it
 * nor the server has it any more. */
static void forget_set(struct server *server, struct client *client, const char *which)
{
    struct slice name, value;
    for (size_t i = params_count(client->params); i-- > 0;) {
        params_at(client->params, i, &name, &value);
        if (!names_it(which, name.ptr) || params_get(client->startup_params, name.ptr).ptr ||
            params_get(server->base_params, name.ptr).ptr)
            continue;
        server->params = params_without(server->params, name.ptr);
        client->params = params_without(client->params, name.ptr);
    }
}

/* The parameter, or all of them, is what the connection began with; the session began with its own,
 * which is set before its next transaction. */
static void reset_to_startup(struct server *server, struct client *client, const char *which,
                             bool reported, bool others)
{
    struct slice name, value;
    for (size_t i = 0; i < params_count(client->startup_params); i++) {
        params_at(client->startup_params, i, &name, &value);
        if (!names_it(which, name.ptr))
            continue;
        if (params_get(server->base_params, name.ptr).ptr ? !reported : !others)
            continue;
        client->params = params_with(client->params, name, value);
        if (slice_equal(params_get(server->base_params, name.ptr), value))
            server->params = params_with(server->params, name, value);
        else
            server->params = params_with(server->params, name, SLICE("(reset)"));
    }
    if (others)
        forget_set(server, client, which);
}

/* What was set outside of a transaction: its session has it from now on, or is back to what it
 * began with, wherever it goes on. What the server reports is as it has said it. */
static void apply_set(struct server *server)
{
    struct client *client = server->client;
    AUTO_TEXT name = TAKE(server->sets);
    AUTO_TEXT value = TAKE(server->sets_to);
    if (!name || !client || client->pinned) /* then the server keeps it */
        return;
    if (!value) {
        reset_to_startup(server, client, name, false, true);
    } else if (!params_get(server->base_params, name).ptr) {
        client->params = params_with(client->params, slice_of(name), slice_of(value));
        server->params = params_with(server->params, slice_of(name), slice_of(value));
    }
    params_accept(client->params);
}

/* A transaction is over in which a parameter has changed whose SET would have been seen, and none
 * was: it is what the server has for all sessions now, after a pg_reload_conf() say. The reset will
 * tell; until then its client has not set it. */
static void suspect_base(struct server *server)
{
    struct client *client = server->client;
    struct slice name, value;
    if (server->settled_params == client->params || client->pinned ||
        server->pool->state == STATE_ALLOW)
        return;
    for (size_t i = 0; i < params_count(server->base_params); i++) {
        params_at(server->base_params, i, &name, &value);
        struct slice was = params_get(server->settled_params, name.ptr);
        struct slice has = params_get(client->params, name.ptr);
        if (slice_equal(was, has) || traits_is_reported(name) ||
            params_get(client->given, name.ptr).ptr ||
            !slice_equal(was, params_get(client->startup_params, name.ptr)))
            continue;
        client->startup_params = params_with(client->startup_params, name, has);
        params_release(&client->base);
        server->dirty = true;
    }
}

/* At the end of its batch. */
static void settle_set(struct server *server)
{
    struct client *client = server->client;
    if (server->sets && client && !client->pinned && server->status != 'I') {
        client->pool->counters->pins++; /* a block has begun since: it comes to nothing with that */
        client->pinned = server->dirty = true;
    }
    apply_set(server);
}

/* It may have come to nothing, or nobody has it any more. */
void reply_drop_set(struct server *server)
{
    struct client *client = server->client;
    return_reset(server);
    server->dirty = server->dirty || server->sets;
    if (server->sets && client && server->settled_params) {
        params_release(&client->params);
        client->params = params_hold(server->settled_params);
        params_release(&server->params);
        server->params = params_hold(server->settled_params);
    }
    text_free(&server->sets);
    text_free(&server->sets_to);
}

/* Is nothing else asked behind the statement that stands first? */
static bool is_last(const struct expect *expect)
{
    for (uint32_t i = 1; i < expect->count; i++)
        if (expect_at(expect, i)->kind != EXPECT_SYNC)
            return false;
    return true;
}

/* All that the session has prepared. */
static bool ends_statements(struct slice tag)
{
    return slice_equal(tag, SLICE("DISCARD ALL\0")) || slice_equal(tag, SLICE("DEALLOCATE ALL\0"));
}

/* SQL that the pool must know of is recognised by its tag, without parsing. */
static void on_tag(struct server *server, struct slice tag)
{
    struct client *client = server->client;
    if (client && ends_statements(tag))
        names_done(&client->names);
    struct expected *head = expect_head(&server->expect);
    const char *reset = head ? head->resets : NULL;
    bool is_reset = slice_equal(tag, SLICE("RESET\0")), is_set = slice_equal(tag, SLICE("SET\0"));
    bool sets = head && head->sets && (is_set || is_reset);
    bool rollback = slice_starts_with(tag, SLICE("ROLLBACK"));
    if (rollback)
        undo_unlistens(server);
    if (client && head && head->unlistens && slice_equal(tag, SLICE("UNLISTEN\0")))
        listen_note(client, head->unlistens, false);
    server->resets = server->resets || is_reset || (reset && is_set) || (sets && !head->value);
    if (client && reset && server->resets)
        reset_to_startup(server, client, reset, true, true);
    if (client && is_set)
        client->keeps_reported = true;
    else if (client && is_reset && reset && strcasecmp(reset, "all") == 0)
        client->keeps_reported = false;
    bool unknown = is_reset && !reset && !sets; /* of which, was not seen */
    server->dirty = server->dirty || unknown || (is_reset && server_begins_with_query(server));
    if (sets) {
        server->sets = TAKE(head->sets);
        server->sets_to = TAKE(head->value);
        if (client && !server->sets_to) /* at once: the server may report another value yet */
            reset_to_startup(server, client, server->sets, true, false);
    }
    if (!client || rollback)
        reply_drop_set(server);
    else if (slice_starts_with(tag, SLICE("COMMIT"))) { /* of a batch that goes on */
        apply_set(server);
        listen_settle(client, true);
    }
    if (!slice_equal(tag, SLICE("DISCARD ALL\0")))
        return;
    server->resets = true;
    reply_drop_set(server);
    params_release(&server->params);
    server->params = params_hold(server->base_params);
    bool last = is_last(&server->expect); /* else what follows may have left something again */
    server->dirty = (server->dirty && !last) || server_begins_with_query(server);
    if (client)
        client->keeps_reported = false;
    if (!client)
        return;
    params_release(&client->params);
    client->params = params_hold(client->startup_params);
    client->pinned = client->pinned && (!last || client->pool->mode == POOL_SESSION);
    listen_forget(client);
}

/* CREATE, ALTER and DROP, and the ROLLBACK that takes them back. */
static void note_schema(struct server *server, struct slice tag)
{
    bool change = slice_starts_with(tag, SLICE("CREATE ")) ||
                  slice_starts_with(tag, SLICE("ALTER ")) || slice_starts_with(tag, SLICE("DROP "));
    bool undone = server->changed_schema && slice_starts_with(tag, SLICE("ROLLBACK"));
    server->changed_schema = server->changed_schema || change;
    server->pool->generation += change || undone;
}

static void on_complete(struct reply *reply)
{
    enum expect_kind head = head_kind(reply);
    reply->server->copy_in = false;
    reply->server->pin_unproved = reply->server->pin_unproved && head == EXPECT_OWN_QUERY;
    reply->server->early_syncs = 0;
    reply->server->progress_us = pool_now();
    reply->server->committed = slice_starts_with(body_of(reply), SLICE("COMMIT"));
    if (reply->start[0] == 'C' && memchr("ACDRSU", reply->start[WIRE_HEADER_BYTES], 6)) {
        note_schema(reply->server, body_of(reply));
        if (ends_statements(body_of(reply)))
            prepared_clear(&reply->server->prepared);
        if (head != EXPECT_OWN_QUERY) /* we know what we asked for */
            on_tag(reply->server, body_of(reply));
    }
    if (head == EXPECT_OWN_QUERY)
        return;
    if (head == EXPECT_EXECUTE) {
        struct expected entry = expect_pop(&reply->server->expect);
        expected_done(&entry);
    } else if (head != EXPECT_QUERY) {
        reply->sound = false;
        return;
    }
    pass(reply);
}

static void on_copy_in(struct reply *reply)
{
    struct server *server = reply->server;
    enum expect_kind head = head_kind(reply);
    if (head != EXPECT_QUERY && head != EXPECT_EXECUTE) {
        reply->sound = false;
        return;
    }
    bool ended = false; /* has the client sent the end of it already? */
    for (uint32_t i = 0; i < server->expect.count; i++)
        ended = ended || expect_at(&server->expect, i)->kind == EXPECT_COPY_END;
    server->early_syncs = expect_drop_syncs(&server->expect);
    if (head == EXPECT_EXECUTE && server->expect.ends == 0)
        server->batch_open = server->batch_ran = server->batch_ran_more =
            true; /* its end comes yet */
    server->copy_in = !ended;
    pass(reply);
}

/* A COPY that has failed before the server read anything: the Sync that came with it was not
 * ignored, and ends what the error has left. */
static void expect_early_sync(struct server *server)
{
    if (!server->failed || server->expect.count > 0 || server->early_syncs == 0)
        return;
    server->early_syncs--;
    server->failed = server->batch_open = server->batch_ran = false;
    expect_push(&server->expect, (struct expected){.kind = EXPECT_SYNC});
}

static void on_ready(struct reply *reply)
{
    struct server *server = reply->server;
    expect_early_sync(server);
    enum expect_kind head = head_kind(reply);
    if (body_of(reply).len != 1 ||
        (!is_sync(head) && head != EXPECT_QUERY && head != EXPECT_OWN_QUERY)) {
        reply->sound = false;
        return;
    }
    struct expected entry = expect_pop(&server->expect);
    if (server->listens)
        listen_done(server, &entry);
    if (entry.restores && !server->tainted) { /* as they were given, and as the server says them */
        params_accept(entry.restores);
        params_accept(server->params);
    }
    expected_done(&entry);
    server->status = body_of(reply).ptr[0];
    bool seen = server->sets || server->resets || (server->sets_now && !is_own(head));
    settle_set(server);
    if (server->client && (server->status == 'I' || server->committed)) { /* AND CHAIN */
        if (!seen)
            suspect_base(server);
        client_settle_params(server->client);
    }
    server->progress_us = pool_now();
    server->copy_in = server->resets = server->committed = false;
    server->sets_now = server->sets_now && is_own(head);
    if (server->status == 'I' && server->expect.count == 0)
        server->portal_clears = false;
    if (server->status == 'I' && server->client && server->client->unlistens)
        listen_settle(server->client, true);
    server->changed_schema = server->changed_schema && server->status != 'I';
    /* A block in statement mode ends the session (server.c); its client hears nothing but that. */
    if (!is_own(head) && !server_in_forbidden_block(server))
        pass(reply);
    settle(server, reply->batch);
    if (server->client && server->status == 'I' && server->expect.count > 0 && !is_own(head))
        server_end_transaction(server); /* of a pipeline */
    if (server->stale && server->expect.count == 0 && server->status == 'I') {
        server->stale = false;
        server->dirty = true; /* the reset takes the statements with it */
    }
}

/* Whole messages of these types are looked at. */
static void on_message(struct reply *reply)
{
    switch (reply->start[0]) {
    case '1':
        complete(reply, EXPECT_PARSE, EXPECT_OWN_PARSE);
        break;
    case '2':
        complete(reply, EXPECT_BIND, EXPECT_BIND);
        break;
    case '3':
        complete(reply, EXPECT_CLOSE, EXPECT_OWN_CLOSE);
        break;
    case 'C':
    case 'I':
    case 's':
        on_complete(reply);
        break;
    case 'E':
        on_error(reply);
        break;
    case 'G':
        on_copy_in(reply);
        break;
    case 'S':
        on_parameter(reply);
        break;
    case 'Z':
        on_ready(reply);
        break;
    case 'A':
        listen_notify(reply->server, body_of(reply));
        break;
    default:
        reply->sound = false;
    }
}

/* ---- what statements return ---- */

/* The answer to a Describe of a statement is whole: this server and this client know it now. */
static void note_description(struct server *server, const struct expected *entry)
{
    if (!entry->statement)
        return;
    struct client *client = server->client;
    uint64_t *result = !entry->unnamed ? prepared_result(&server->prepared, entry->statement)
                       : server->unnamed == entry->statement ? &server->unnamed_result
                                                             : NULL;
    if (result)
        *result = server->described;
    if (entry->kind == EXPECT_OWN_DESCRIBE) {
        server->verifies = false;
        if (result && *result == 0)
            *result = 1; /* not what anybody was told */
    } else if (client && entry->unnamed && client->unnamed_serial == entry->serial) {
        client->unnamed_told = server->described;
    }
    if (!entry->called || !client)
        return;
    struct slice name = slice_of(entry->called);
    if (names_get(&client->names, name) == entry->statement)
        *names_told(&client->names, name) = server->described;
}

/* These are passed on as they come; the first bytes say what must be noted. */
static void on_data(struct reply *reply)
{
    struct server *server = reply->server;
    enum expect_kind head = head_kind(reply);
    char type = reply->start[0];
    server->skip = (uint32_t)(reply->size - reply->have);
    server->drop_skipped = is_own(head);
    if (type == 'A' && (!server->client || !server->client->pinned))
        server->drop_skipped = true; /* of a LISTEN that is not this client's */
    if (!server->drop_skipped)
        pass(reply);
    if (head != EXPECT_DESCRIBE && head != EXPECT_OWN_DESCRIBE)
        return;
    if (type == 't' || type == 'T' || type == 'n')
        server->described = reply->have == reply->size
                                ? statement_described(server->described, type, body_of(reply))
                                : 0;
    if (type == 'T' || type == 'n') {
        struct expected entry = expect_pop(&server->expect);
        note_description(server, &entry);
        expected_done(&entry);
    }
}

static bool is_data(char type)
{
    return type != 0 && strchr("DdTntHWVcNAv", type);
}

/* Of a statement that is described: to be seen whole. */
static bool is_description(struct reply *reply, char type)
{
    enum expect_kind head = head_kind(reply);
    return (type == 't' || type == 'T') && (head == EXPECT_DESCRIBE || head == EXPECT_OWN_DESCRIBE);
}

/* 1: taken; 0: more must come; -1: not the protocol. */
static int take_message(struct reply *reply, struct slice *rest)
{
    if (rest->len < WIRE_HEADER_BYTES)
        return 0;
    uint32_t length = wire_get_u32(rest->ptr + 1);
    size_t size = (size_t)length + 1;
    bool data = is_data(rest->ptr[0]) && !(rest->ptr[0] == 'A' && reply->server->listens);
    /* An error tells of each function that it came through: it may be long. */
    size_t size_max = rest->ptr[0] == 'E' ? MESSAGE_KEPT_BYTES_MAX : NOTE_BYTES_MAX;
    if (length < 4 || length > WIRE_LENGTH_MAX || (!data && size > size_max))
        return -1;
    if (rest->len < size &&
        (!data || (size <= NOTE_BYTES_MAX && is_description(reply, rest->ptr[0]))))
        return 0;
    reply->start = rest->ptr;
    reply->size = size;
    reply->have = rest->len < size ? rest->len : size;
    rest->ptr += reply->have;
    rest->len -= reply->have;
    if (data)
        on_data(reply);
    else
        on_message(reply);
    return reply->sound ? 1 : -1;
}

static void take_skipped(struct server *server, struct batch *batch, struct slice *rest)
{
    size_t len = rest->len < server->skip ? rest->len : server->skip;
    if (!server->drop_skipped)
        batch_pass(batch, rest->ptr, len);
    server->skip -= (uint32_t)len;
    rest->ptr += len;
    rest->len -= len;
}

static void deliver(struct server *server, const struct batch *batch)
{
    struct iovec parts[2];
    int count = batch_parts(batch, parts);
    if (server->client && count > 0) {
        buffer_reset(&server->asked_again, AGAIN_BYTES_MAX); /* answered, in part at least */
        client_send(server->client, parts, count);
        if (server->watch)
            cache_note(server, parts, count);
    }
}

struct slice reply_messages(struct server *server, struct slice bytes, bool *ret_sound,
                            bool *ret_free)
{
    static struct buffer composed;
    struct batch batch = {.composed = &composed};
    struct reply reply = {.server = server, .batch = &batch, .sound = true};
    int r = 1;
    buffer_reset(&composed, READ_BYTES * 4);
    if (server->pool->replication) {
        batch_pass(&batch, bytes.ptr, bytes.len);
        bytes.len = 0;
    }
    while (bytes.len > 0 && r > 0 && !server->unfit) {
        if (server->skip > 0)
            take_skipped(server, &batch, &bytes);
        else
            r = take_message(&reply, &bytes);
    }
    if (r > 0 && server->skip == 0 && !server->pool->replication)
        settle(server, &batch); /* the client may have asked for no more than that (Flush) */
    deliver(server, &batch);
    *ret_sound = r >= 0;
    *ret_free = server_is_free(server);
    if (server->watch && (*ret_free || (server->expect.count == 0 && server->batch_open)))
        cache_keep(server);
    return bytes;
}

void reply_settle(struct server *server)
{
    const struct expected *head = expect_head(&server->expect);
    if (!head || head->kind < EXPECT_COPY_END || server->expect.asked > 0)
        return;
    AUTO_BUFFER composed = {0};
    struct batch batch = {.composed = &composed};
    settle(server, &batch);
    deliver(server, &batch);
}

void reply_lost(struct server *server, const struct wire_error *error)
{
    struct client *client = server->client;
    AUTO_BUFFER out = {0};
    bool in_block = server->status != 'I';
    uint32_t batches = 0, count = server->expect.count;
    if (server->retries) { /* nothing of it has been done: another connection may do it */
        AUTO_BUFFER bytes = server->asked_again;
        server->asked_again = (struct buffer){0};
        server->retries = false;
        undo_first(server, count);
        client_keep(client, buffer_slice(&bytes));
        client->unparsed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum expect_kind kind = expect_at(&server->expect, i)->kind;
        batches += kind == EXPECT_SYNC || kind == EXPECT_QUERY;
    }
    uint32_t at = count; /* of the last that is answered */
    while (at > 0 && expect_at(&server->expect, at - 1)->kind == EXPECT_COPY_END)
        at--;
    enum expect_kind last = at > 0 ? expect_at(&server->expect, at - 1)->kind : EXPECT_SYNC;
    bool open = (last != EXPECT_SYNC && last != EXPECT_QUERY && last != EXPECT_OWN_QUERY) ||
                server_is_unsynced(server); /* answered, yet its Sync is to hear of no success */
    undo_first(server, count);
    if (batches > 0 || open)
        metrics_refused(error->sqlstate, false);
    while (batches-- > 0) {
        wire_error(&out, "ERROR", error);
        wire_ready(&out, in_block ? 'E' : 'I');
    }
    if (open)
        wire_error(&out, "ERROR", error);
    client->failed = open || server->failed;
    if (in_block) {
        client_lose_block(client, buffer_len(&out) > 0 ? NULL : error);
    } else if (buffer_len(&out) > 0) {
        client_trouble(client, error); /* what it has sent behind that may belong to it */
        client->trouble_told = true;
    }
    if (buffer_len(&out) > 0)
        client_send_buffer(client, &out);
}

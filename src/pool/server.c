/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to Postgres, from its first ReadyForQuery to its end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cache.h"
#include "cancel.h"
#include "forward.h"
#include "listen.h"
#include "log.h"
#include "own.h"
#include "pool.h"
#include "reply.h"
#include "traits.h"
#include "worker.h"

enum {
    READS_MAX = 8,
    IN_BYTES_KEPT = 16 * 1024,
    QUERY_LOGGED_BYTES_MAX = 1000,
    UNASKED_BYTES_MAX = 1024 * 1024,
    LIFETIME_SPREAD = 10, /* a tenth of it, at most, is left out by chance */
};

static const char discards_all[] = "DISCARD ALL";

static struct list *list_of(struct server *server)
{
    struct pool *pool = server->pool;
    switch (server->state) {
    case SERVER_CONNECTING:
        return &pool->connecting;
    case SERVER_IDLE:
        return &pool->idle;
    case SERVER_LENT:
        return &pool->lent;
    case SERVER_LISTENING:
        return &pool->listening;
    default:
        return &pool->cleaning;
    }
}

void server_become(struct server *server, enum server_state state)
{
    list_remove(list_of(server), &server->link);
    server->state = state;
    server->unasked_bytes = 0;
    if (state == SERVER_IDLE && server->pool->config->round_robin)
        list_push_back(list_of(server), &server->link);
    else
        list_push_front(list_of(server), &server->link);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct server *server =
        CONTAINER_OF(CONTAINER_OF(source, struct stream, source), struct server, stream);
    stream_take_events(&server->stream, events);
    if (server->state == SERVER_CONNECTING) {
        server_login_run(server, events);
        return;
    }
    if (buffer_len(&server->out) > 0 && (events & EPOLLOUT)) {
        if (!server_send(server, NULL, 0))
            return;
        if (buffer_len(&server->out) == 0 && server->client)
            client_run(server->client); /* it waited for that */
    }
    if (!server->closed)
        server_run(server);
}

struct server *server_new(struct pool *pool)
{
    struct server *server = xcalloc(1, sizeof(*server));
    server->pool = pool;
    server->status = 'I';
    server->id = ++pool_process.last_id;
    server->born_us = server->used_us = pool_now();
    server->lifetime_part = 1 - (double)random() / RAND_MAX / LIFETIME_SPREAD;
    server->checked = true;
    server->params = params_empty();
    prepared_init(&server->prepared);
    list_push_front(&pool->connecting, &server->link);
    return server;
}

int server_open(struct server *server, int fd)
{
    return stream_open(&server->stream, pool_process.loop, fd, on_ready);
}

static void free_server(struct server *server)
{
    server_login_free(&server->login);
    text_free(&server->query_text);
    text_free(&server->sets);
    text_free(&server->sets_to);
    expect_done(&server->expect);
    prepared_done(&server->prepared);
    statement_release(&server->unnamed);
    params_release(&server->params);
    params_release(&server->reported);
    params_release(&server->base_params);
    params_release(&server->settled_params);
    statement_release(&server->command);
    buffer_done(&server->in);
    buffer_done(&server->out);
    buffer_done(&server->asked_again);
    free(server);
}

/* What the client is told when its server goes away under it. */
static void tell_client(struct server *server, const struct wire_error *error)
{
    struct client *client = server->client;
    bool cut = server->skip > 0 || client->skip > 0;
    /* Perhaps of what ends its block, and how that has ended is not known. */
    bool amid_block = server->status != 'I' && server->expect.ends > 0 && !server->copy_in;
    listen_settle(client, false);
    if (server->status != 'I')
        client_return_params(client);
    if (!cut && !server->fatal)
        reply_lost(server, error);
    pool_take_back(client, pool_now() - client->since_us);
    server->client = NULL;
    client->server = NULL;
    client->skip = 0;
    if (server->fatal)
        client_close(client, NULL); /* as the server has told it */
    else if (server->skip > 0 && !server->drop_skipped)
        client_close(client, NULL); /* it would take an error for a part of the row */
    else if (cut || amid_block || client->pool->mode == POOL_SESSION || client->pinned)
        client_close(client, error); /* in the middle of a message, or its session is gone */
    else
        pool_again(client);
}

/* What was sent and not received yet is not to arrive any more, a COMMIT say: its client is told
 * that it failed. */
static void give_up(struct server *server)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (server->expect.count > 0 && server->stream.source.fd >= 0)
        (void)setsockopt(server->stream.source.fd, SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once));
}

/* error: for the client, should it have one. */
static void close_for(struct server *server, const char *why, const struct wire_error *error)
{
    static const char goodbye[] = {'X', 0, 0, 0, 4};
    struct pool *pool = server->pool;
    if (server->closed)
        return;
    server->closed = true;
    if (pool->config->log_disconnections && server->state != SERVER_CONNECTING)
        log_info("server %" PRIu64 " of %s, user %s: closing because: %s (age=%" PRIu64 "s)",
                 server->id, pool->database_name, pool->user, why,
                 (pool_now() - server->born_us) / 1000000);
    give_up(server);
    cache_unwatch(server); /* who waits for its result asks for one, however long it is kept */
    if (server->leaves)
        pool->leaving--;
    if (server->client)
        tell_client(server, error);
    if (server->state != SERVER_CONNECTING && stream_is_open(&server->stream)) {
        struct iovec part = {(void *)(uintptr_t)goodbye, sizeof(goodbye)};
        ssize_t sent = buffer_len(&server->out) > 0 ? 0 : stream_write(&server->stream, &part, 1);
        (void)sent; /* it may be gone already */
    }
    if (server->again.next)
        list_remove(&pool_process.servers_again, &server->again);
    stream_close(&server->stream, pool_process.loop);
    list_remove(list_of(server), &server->link);
    list_push_back(&pool_process.closed_servers, &server->link);
    if (server->listens)
        listen_lost(server);
    pool_closed_one(pool);
}

void server_close(struct server *server, const char *why)
{
    close_for(server, why,
              &(struct wire_error){"08006", why, "The outcome of the transaction is unknown.",
                                   "Look whether it was done before it is run again.", NULL});
}

void server_close_all(struct list *servers, const char *why)
{
    for (struct link *link; (link = list_first(servers));)
        server_close(CONTAINER_OF(link, struct server, link), why);
}

void server_taint_all(struct list *servers)
{
    for (struct link *link = list_first(servers); link; link = list_next(servers, link))
        CONTAINER_OF(link, struct server, link)->tainted = true;
}

void server_free_closed(void)
{
    struct list *closed = &pool_process.closed_servers;
    struct link *link = list_first(closed), *next;
    for (; link; link = next) {
        struct server *server = CONTAINER_OF(link, struct server, link);
        next = list_next(closed, link);
        if (server->cancels > 0 || !stream_is_gone(&server->stream))
            continue; /* a cancel request, or the kernel, still refers to it */
        list_remove(closed, link);
        free_server(server);
    }
}

/* ---- output ---- */

static bool flush(struct server *server)
{
    while (buffer_len(&server->out) > 0) {
        struct slice rest = buffer_slice(&server->out);
        struct iovec part = {(void *)(uintptr_t)rest.ptr, rest.len};
        ssize_t sent = stream_write(&server->stream, &part, 1);
        if (sent == -EAGAIN)
            return true;
        if (sent < 0) {
            server_close(server, "the connection to the database was lost");
            return false;
        }
        buffer_consume(&server->out, (size_t)sent);
    }
    buffer_reset(&server->out, IN_BYTES_KEPT);
    return true;
}

bool server_is_free(const struct server *server)
{
    return server->expect.count == 0 && server->status == 'I' && server->skip == 0 &&
           !server->failed && !server->batch_open && !server->copy_in;
}

bool server_is_unsynced(const struct server *server)
{
    return server->batch_open && !server->failed;
}

bool server_send(struct server *server, const struct iovec *parts, int count)
{
    ssize_t sent = 0;
    if (count == 0)
        return flush(server);
    if (buffer_len(&server->out) == 0) {
        sent = stream_write(&server->stream, parts, count);
        if (sent < 0 && sent != -EAGAIN) {
            server_close(server, "the connection to the database was lost");
            return false;
        }
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    for (int i = 0; i < count; i++) {
        if (done < parts[i].iov_len)
            buffer_append(&server->out, (const char *)parts[i].iov_base + done,
                          parts[i].iov_len - done);
        done = done < parts[i].iov_len ? 0 : done - parts[i].iov_len;
    }
    return true;
}

bool server_query(struct server *server, const char *sql, const char *label)
{
    AUTO_BUFFER out = {0};
    wire_query(&out, sql);
    expect_push(&server->expect,
                (struct expected){.kind = EXPECT_OWN_QUERY, .name = label ? xstrdup(label) : NULL});
    statement_release(&server->unnamed);
    struct slice all = buffer_slice(&out);
    return server_send(server, &(struct iovec){(void *)(uintptr_t)all.ptr, all.len}, 1);
}

/* All that sessions have left. What it reports is as it was until it says otherwise. False: it is
 * closed. */
static bool discard_all(struct server *server)
{
    struct params *params = params_hold(server->base_params);
    struct slice name, value;
    for (size_t i = 0; i < params_count(server->base_params); i++) {
        params_at(server->base_params, i, &name, &value);
        struct slice has = params_get(server->reported, name.ptr);
        if (has.ptr)
            params = params_with(params, name, has);
    }
    server->dirty = server->reset_due = false;
    server->renewal = RENEWAL_DISCARDS;
    prepared_clear(&server->prepared);
    params_release(&server->params);
    server->params = params;
    return server_query(server, discards_all, NULL);
}

void server_check(struct server *server)
{
    server_become(server, SERVER_CLEANING);
    server->used_us = pool_now();
    server->checked = true;
    if (params_limit_time(server->params) && !discard_all(server))
        return; /* else the check would run under a session's statement_timeout */
    (void)server_query(server, config_check_sql(server->pool->config), NULL);
}

/* ---- between two clients ---- */

const char *server_wear(const struct server *server)
{
    int64_t lifetime_ms = server->pool->limits.server_lifetime_ms;
    double age_ms = (double)(pool_now() - server->born_us) / 1000;
    if (server->tainted)
        return "an administrator's command, another user's turn, a cancel request that may still "
               "come, target_session_attrs that do not fit any more, or a query of the pool's "
               "failed";
    if (server->worn)
        return "a session has left what no reset takes away";
    bool over =
        lifetime_ms == 0 ? server->served : age_ms > (double)lifetime_ms * server->lifetime_part;
    return over ? "server_lifetime is over" : NULL;
}

static void make_idle(struct server *server)
{
    const char *wear = server_wear(server);
    server->used_us = pool_now();
    if (wear) {
        server_close(server, wear);
        return;
    }
    server_become(server, SERVER_IDLE);
    pool_serve_later(server->pool);
}

/* After a reset that may leave anything: all that the server does not report itself is to be set
 * anew. */
static void distrust_params(struct server *server)
{
    struct slice name, value;
    for (size_t i = 0; i < params_count(server->params); i++) {
        params_at(server->params, i, &name, &value);
        if (!params_get(server->base_params, name.ptr).ptr)
            server->params = params_with(server->params, name, SLICE("(unknown)"));
    }
}

bool server_begins_with_query(const struct server *server)
{
    const char *query = server->pool->database->connect_query;
    return query && *query;
}

/* What it has now is what it has with nothing set: of the database's or the server's settings,
 * which may have changed. */
static void take_base(struct server *server)
{
    struct pool *pool = server->pool;
    if (server->base_params == server->params)
        return;
    params_release(&server->base_params);
    server->base_params = params_hold(server->params);
    params_release(&pool->welcome);
    pool->welcome = params_hold(server->params);
}

/* Nobody's, and nothing is outstanding: does what is missing for the next client. */
static void clean(struct server *server)
{
    const char *reset = server->pool->config->server_reset_query;
    bool wanted = server->reset_due && *reset, particular = strcasecmp(reset, discards_all) != 0;
    if (server->pool->replication) {
        server_close(server, "its client has left");
        return;
    }
    if (server->state != SERVER_CLEANING) {
        server_become(server, SERVER_CLEANING);
        server->used_us = pool_now();
    }
    if (server->failed) {
        server_close(server, "an error has left it waiting for a Sync");
        return;
    }
    if (server->cancels > 0)
        return; /* one may still hit what runs next */
    server->finishes = false;
    if (server->renewal == RENEWAL_DISCARDS && server_begins_with_query(server)) {
        server->renewal = RENEWAL_BEGINS;
        (void)server_query(server, server->pool->database->connect_query, NULL);
        return;
    }
    if (server->renewal != RENEWAL_NONE) {
        server->renewal = RENEWAL_NONE;
        server->dirty = false;
        take_base(server);
        server->tainted = server->tainted || !server_keeps_attrs(server);
    }
    if (server->status != 'I') {
        (void)server_query(server, "ROLLBACK", NULL);
    } else if (wanted && particular) {
        server->reset_due = false;
        distrust_params(server);
        (void)server_query(server, reset, NULL);
    } else if (wanted || server->dirty) {
        (void)discard_all(server);
    } else {
        server->dirty = server->reset_due = false;
        make_idle(server);
    }
}

void server_end_transaction(struct server *server)
{
    struct pool_counters *counters = server->pool->counters;
    uint64_t now = pool_now(), used_us = now - server->client->since_us;
    if (!server->asked)
        return;
    if (!own_is(server->client)) {
        counters->transactions++;
        counters->transaction_us += used_us;
    }
    server->held_us += used_us;
    server->client->since_us = now;
    server->asked = server->expect.count > 0;
}

static void part(struct server *server)
{
    struct client *client = server->client;
    uint64_t unfinished_us = server->asked ? pool_now() - client->since_us : 0;
    pool_take_back(client, server->held_us + unfinished_us);
    server->asked = false;
    server->held_us = 0;
    server->client = NULL;
    server->stopped_for = NULL;
    server->early_syncs = 0;
    server->copy_in = server->failed = server->retries = server->verifies = false;
    server->pin_unproved = server->sets_now = false;
    cache_unwatch(server);
    reply_drop_set(server);
    listen_settle(client, false);
    if (server->status != 'I')
        client_return_params(client);
    params_release(&server->settled_params);
    statement_release(&server->command);
    client->server = NULL;
    bool session = client->pool->mode == POOL_SESSION;
    server->reset_due = session || server->pool->config->reset_always;
    bool ends_idle = params_get(server->params, "idle_session_timeout").ptr;
    server->dirty = !session && (server->dirty || client->pinned || ends_idle);
    client->pinned = session;
}

void server_release(struct server *server)
{
    struct client *client = server->client;
    server_end_transaction(server);
    part(server);
    if (client->stream.readable || client->unparsed)
        pool_again(client); /* it was not read while the server was being stopped, say */
    if (server->dirty || server->reset_due || server->cancels > 0)
        clean(server);
    else
        make_idle(server);
}

void server_leave(struct server *server)
{
    if (server->leaves)
        return;
    server->leaves = server->tainted = true;
    server->pool->leaving++;
    server->pool->asked_us = pool_now();
}

void server_cancel_done(struct server *server)
{
    server->cancels--;
    server->stopping = server->stopping && server->cancels > 0;
    if (server->client)
        pool_again(server->client); /* it may have waited for that */
    if (server->state == SERVER_CLEANING && server->cancels == 0 && server->expect.count == 0 &&
        !server->closed)
        clean(server);
}

static void append_copy_fail(struct buffer *out, const char *why)
{
    size_t begun = wire_begin(out, 'f');
    wire_text(out, why);
    wire_end(out, begun);
}

/* Brings what the client began to an end that the server understands, and that keeps nothing:
 * a batch that goes on here has failed, or fails by this. */
static void finish_for_client(struct server *server, bool copy_in)
{
    AUTO_BUFFER out = {0};
    if (copy_in)
        append_copy_fail(&out, "the client is gone");
    if (server->batch_open || server->failed) {
        wire_plain(&out, 'S');
        expect_push(&server->expect, (struct expected){.kind = EXPECT_SYNC});
        server->failed = server->batch_open = server->batch_ran = false;
    }
    struct slice all = buffer_slice(&out);
    if (all.len > 0)
        (void)server_send(server, &(struct iovec){(void *)(uintptr_t)all.ptr, all.len}, 1);
}

void server_lose_client(struct server *server)
{
    bool cut = server->client->skip > 0 || buffer_len(&server->out) > 0;
    bool works = server->expect.count > 0;
    bool copy_in = server->copy_in, failed = server->failed, goodbye = server->client->goodbye;
    bool unsynced = server_is_unsynced(server);
    part(server);
    if (cut || (unsynced && !copy_in)) { /* a Sync of the pool's might commit, an end never does */
        if (works && (cut || !goodbye))
            cancel_query(server);
        server_close(server, cut ? "its client left in the middle of a message"
                                 : "its client left in the middle of a batch");
        return;
    }
    server->failed = failed;
    server_become(server, SERVER_CLEANING);
    server->used_us = pool_now();
    finish_for_client(server, copy_in);
    if (server->closed)
        return;
    if (server->stream.readable)
        server_again(server); /* it had stopped for who read too slowly */
    if (server->expect.count == 0) {
        clean(server);
        return;
    }
    server->finishes = goodbye;
    if (!goodbye)
        cancel_query(server);
}

/* ---- input ---- */

static ssize_t read_more(struct server *server, struct slice *ret_bytes)
{
    bool kept = buffer_len(&server->in) > 0;
    char *dst = kept ? buffer_reserve(&server->in, READ_BYTES) : pool_process.read_buffer;
    ssize_t got = stream_read(&server->stream, dst, READ_BYTES);
    if (got > 0 && kept)
        server->in.end += (size_t)got;
    *ret_bytes = kept ? buffer_slice(&server->in) : (struct slice){dst, got > 0 ? (size_t)got : 0};
    return got;
}

static void keep_rest(struct server *server, struct slice rest)
{
    if (buffer_len(&server->in) > 0)
        buffer_consume(&server->in, buffer_len(&server->in) - rest.len);
    else
        buffer_append_slice(&server->in, rest);
    if (rest.len == 0)
        buffer_reset(&server->in, IN_BYTES_KEPT);
}

/* Nobody asked it anything. */
static bool idle_messages(struct server *server)
{
    return server->expect.count == 0 && !server->client;
}

/* The first of a batch stands for it. */
void server_note_query(struct server *server, struct slice text)
{
    if (server->pool->config->slow_query_ms > 0 && !server->query_text)
        server->query_text = traits_outline(text, QUERY_LOGGED_BYTES_MAX);
}

static void count_query(struct server *server)
{
    uint64_t us = pool_now() - server->query_us;
    int64_t slow_ms = server->pool->config->slow_query_ms;
    if (slow_ms > 0 && us >= (uint64_t)slow_ms * 1000)
        log_warn("slow query: %" PRIu64 " ms, user %s, database %s, client %" PRIu64 ": %s",
                 us / 1000, server->pool->user, server->pool->database_name,
                 server->client ? server->client->id : 0,
                 server->query_text ? server->query_text : "(several)");
    server->pool->counters->query_us += us;
    pool_count(server->pool->counters->query_histogram, us);
}

/* With statements that are prepared anew: all are forgotten first. */
static void ask_again(struct server *server)
{
    struct client *client = server->client;
    const struct wire_error *error;
    bool end;
    if (prepared_count(&server->prepared) > 0) {
        prepared_clear(&server->prepared);
        (void)server_query(server, "DEALLOCATE ALL", NULL);
        return;
    }
    AUTO_BUFFER bytes = server->asked_again;
    server->asked_again = (struct buffer){0};
    server->retries = false;
    server->pool->counters->replays++;
    struct slice rest = forward_messages(client, buffer_slice(&bytes), &error, &end);
    if (end) /* what passed once passes again */
        client_close(client, error);
    else
        client_keep(client, rest);
}

bool server_in_forbidden_block(const struct server *server)
{
    return server->status != 'I' && server->client && server->client->pool->mode == POOL_STATEMENT;
}

static void after_replies(struct server *server, bool free)
{
    struct client *client = server->client;
    if (server->closed)
        return;
    if (!client) {
        if (server->state == SERVER_CLEANING && server->expect.count == 0 && server->skip == 0)
            clean(server);
        return;
    }
    if (server->pool->replication) {
        client_run(client);
        return;
    }
    if (server->expect.count == 0) {
        if (server->asked && !own_is(client))
            count_query(server);
        text_free(&server->query_text);
    }
    if (server_in_forbidden_block(server)) {
        client_close(client, &(struct wire_error){"0A000",
                                                  "transaction blocks are not possible with "
                                                  "statement pooling",
                                                  NULL, "Use a pool_mode of transaction."});
        return;
    }
    listen_flush(client);
    if (server->retries && server->expect.count == 0)
        ask_again(server);
    else if (free && !client->pinned && client->skip == 0 && !client->unparsed)
        server_release(server);
    else if (server->expect.count < EXPECT_MAX / 2) {
        if (free)
            server_end_transaction(server); /* of a client that keeps its server */
        client_run(client);                 /* it may have waited for room */
    }
}

void server_run(struct server *server)
{
    for (int reads = 0; reads < READS_MAX && server->stream.readable && !server->closed; reads++) {
        struct slice bytes;
        bool sound = true, free = false;
        if (server->client && server->client->out)
            return; /* it reads too slowly: the server has to wait */
        ssize_t got = read_more(server, &bytes);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            server_close(server, "the database closed the connection");
            return;
        }
        bool idle = idle_messages(server);
        if (idle && !server->listens && (server->unasked_bytes += got) > UNASKED_BYTES_MAX) {
            server_close(server, "the database sends without being asked, and does not end");
            return;
        }
        struct slice rest = reply_messages(server, bytes, &sound, &free);
        keep_rest(server, rest);
        if (!sound) {
            log_warn(
                "database %s: the server does not follow the protocol; its connection is closed",
                server->pool->database_name);
            server_close(server, "the database does not follow the protocol");
            return;
        }
        if (server->unfit) {
            server_close(server, "the settings of a client's session did not come about");
            return;
        }
        if (server->tainted && idle && !server->listens) {
            server_close(server, "an error of the session while idle");
            return;
        }
        after_replies(server, free);
    }
    if (!server->closed && server->stream.readable)
        server_again(server);
}

/* ---- time ---- */

/* For who watches the log: where a connection leads, and from which port of ours. */
static void log_connection(const struct server *server)
{
    const struct pool *pool = server->pool;
    char from[STREAM_END_BYTES], to[STREAM_END_BYTES];
    if (!pool->config->log_connections)
        return;
    log_info("server %" PRIu64 " of %s, user %s, at %s new connection to server (from %s)",
             server->id, pool->database_name, pool->user,
             stream_end(&server->stream, true, to, NULL),
             stream_end(&server->stream, false, from, NULL));
}

void server_is_up(struct server *server)
{
    server_login_free(&server->login);
    if (buffer_len(&server->out) == 0)
        stream_hasten(&server->stream, pool_process.loop);
    server->reported = params_hold(server->params);
    take_base(server);
    log_connection(server);
    if (server->stream.readable)
        server_again(server); /* its end, perhaps, which came along with the login's */
    if (server->listens)
        listen_begin(server);
    else
        make_idle(server);
    pool_connect_worked(server->pool);
}

static const struct wire_error query_too_long = {
    "57014", "query timeout: the statement ran longer than the pool's query_timeout", NULL,
    "Make the statement faster, or raise query_timeout.", NULL};
static const struct wire_error transaction_too_long = {
    "25P04", "transaction timeout: it ran longer than the pool's transaction_timeout", NULL,
    "Split the transaction, or raise transaction_timeout.", NULL};
static const struct wire_error transaction_idle = {
    "25P03", "idle transaction timeout: nothing happened for the pool's idle_transaction_timeout",
    "What it had not committed was rolled back.",
    "Run the transaction again, or raise idle_transaction_timeout."};

/* The client goes on without it; the transaction is rolled back. What is unanswered is answered
 * with the error at once, and the server, which may still say something to that, is closed. */
static void take_from_client(struct server *server, const struct wire_error *error)
{
    struct client *client = server->client;
    bool kept = client->pinned; /* a state that is not to be lost without a word */
    if (server->expect.count > 0 || server_is_unsynced(server)) {
        if (server->expect.count > 0)
            cancel_query(server);
        close_for(server, error->message, error);
    } else {
        bool in_block = server->status != 'I';
        client->failed = server->failed; /* then it knows, and its Sync is yet to come */
        server_lose_client(server);
        if (kept)
            client_close(client, error);
        else if (in_block)
            client_lose_block(client, error);
        else
            client_trouble(client, error);
    }
    if (server->pool->config->log_errors && !client->closing) /* client_close tells it itself */
        log_info("client %" PRIu64 ": %s: %s", client->id, error->sqlstate, error->message);
}

/* What runs is cancelled: its client is told why instead of the error that comes of that (reply.c),
 * and goes on. */
static void stop(struct server *server, const struct wire_error *why)
{
    AUTO_BUFFER out = {0};
    server->stopped_for = why;
    server->stopped_us = pool_now();
    cancel_query(server);
    server->stopping = server->cancels > 0;
    if (!server->copy_in || server->client->skip > 0)
        return;
    append_copy_fail(&out, why->message); /* a server that waits for data hears of nothing else */
    server->copy_in = false;
    struct slice all = buffer_slice(&out);
    (void)server_send(server, &(struct iovec){(void *)(uintptr_t)all.ptr, all.len}, 1);
}

/* It has not reacted to that. */
static void give_up_stopped(struct server *server)
{
    struct wire_error error = *server->stopped_for;
    error.detail = "The database did not react to a cancel request: the outcome is unknown.";
    take_from_client(server, &error);
}

/* Its client keeps it waiting. What was sent to its end may be done, and the answer is not taken.
 */
static void end_idle(struct server *server)
{
    struct wire_error error = transaction_idle;
    if (server->expect.ends > 0 && !server->copy_in && server->client->skip == 0) {
        error.detail = "It did not take the answer: the outcome is unknown.";
        error.hint =
            "Look whether it was done before it is run again, or raise idle_transaction_timeout.";
    }
    take_from_client(server, &error);
}

/* In a transaction that has failed its client has time to end it. */
static bool is_transaction_over(const struct server *server)
{
    int64_t limit_ms = server->pool->limits.transaction_ms;
    if (limit_ms > 0 && (server->status == 'E' || server->failed))
        limit_ms += config_stop_wait_ms(server->pool->config);
    bool runs = server->expect.count > 0 || server->status != 'I';
    return runs && pool_passed(server->client->since_us, limit_ms);
}

/* Is the client the one who keeps its transaction from going on? It does not take what it is sent,
 * has sent a part of something, or what it has sent the server answers only when more comes: a
 * batch without Sync, or the beginning of COPY. */
static bool awaits_client(const struct server *server)
{
    const struct client *client = server->client;
    const struct expect *expect = &server->expect;
    if (server->pool->replication)
        return false;
    if (expect->count == 0)
        return server->status != 'I' || server->batch_open || client->skip > 0;
    if (client->out)
        return true;
    if (server->copy_in && client->unparsed)
        return true; /* what it asks amid COPY waits for the COPY's end, which only it can bring */
    if (client->stream.readable || client->unparsed || client->awaits_listen ||
        buffer_len(&server->out) > 0 || server->verifies || server->retries)
        return false; /* what it has sent is not through yet */
    return server->copy_in || (client->skip > 0 && expect->count == 1) ||
           (server->batch_open && expect->ends == 0 && expect->flushes == 0);
}

/* Since when it does. */
static uint64_t awaited_since_us(struct server *server)
{
    struct client *client = server->client;
    uint64_t taken = client->out && !client->stream.carrier ? tcp_taken(client->stream.source.fd)
                                                            : server->client_taken;
    if (taken != server->client_taken)
        client->active_us = pool_now();
    server->client_taken = taken;
    return client->active_us > server->progress_us ? client->active_us : server->progress_us;
}

bool server_is_lost(struct server *server)
{
    return tcp_is_lost(server->stream.source.fd, &server->acknowledged, pool_now(),
                       server->pool->config->tcp_user_ms);
}

static int64_t idle_transaction_ms(const struct server *server)
{
    const struct client *client = server->client;
    int64_t own = worker_deployment(client) ? worker_binding(client)->idle_transaction_ms : -1;
    return own >= 0 ? own : server->pool->limits.idle_transaction_ms;
}

static void lent_tick(struct server *server)
{
    const struct pool_limits *limits = &server->pool->limits;
    struct client *client = server->client;
    bool asked = server->expect.count > 0;
    bool stops = asked && server->stopped_for && server->stopped_us >= server->progress_us;
    if (asked && server_is_lost(server))
        server_close(server, "the database acknowledges nothing any more");
    else if ((client->out || stream_is_behind(&client->stream)) && client->stream.fd_is_tcp &&
             tcp_is_lost(client->stream.source.fd, &server->client_acknowledged, pool_now(),
                         server->pool->config->tcp_user_ms))
        client_close(client, NULL);
    else if (stops && pool_passed(server->stopped_us, config_stop_wait_ms(server->pool->config)))
        give_up_stopped(server);
    else if (asked && !stops && !server->cancels &&
             pool_passed(server->progress_us, limits->query_ms))
        stop(server, &query_too_long);
    else if (asked && !stops && !server->cancels && is_transaction_over(server))
        stop(server, &transaction_too_long);
    else if (server->stopping)
        return; /* its client, who is not read, keeps nobody waiting */
    else if (!asked && is_transaction_over(server))
        take_from_client(server, &transaction_too_long);
    else if (awaits_client(server) &&
             pool_passed(awaited_since_us(server), idle_transaction_ms(server)))
        end_idle(server);
}

/* It was given time enough. */
static void end_cleaning(struct server *server)
{
    if (!server->finishes) {
        cancel_query(server);
        server_close(server, "its reset, or the check of it, took too long");
        return;
    }
    server->finishes = false;
    server->used_us = pool_now();
    cancel_query(server);
}

void server_tick(struct server *server)
{
    const struct pool_config *config = server->pool->config;
    if (server->state == SERVER_CONNECTING)
        server_login_tick(server);
    else if (server->state == SERVER_LENT)
        lent_tick(server);
    else if (server->state == SERVER_CLEANING &&
             pool_passed(server->used_us, config->cancel_wait_ms))
        end_cleaning(server);
    else if (server->state == SERVER_CLEANING && server->expect.count > 0 && !server->finishes &&
             server->cancels == 0 && expect_head(&server->expect)->kind != EXPECT_OWN_QUERY)
        cancel_query(server); /* a pipeline: one may have ended, and the next runs */
    else if (server->state == SERVER_IDLE && server_wear(server))
        server_close(server, server_wear(server));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A client's session, from the end of its login to its end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache.h"
#include "console.h"
#include "control.h"
#include "forward.h"
#include "listen.h"
#include "log.h"
#include "metrics.h"
#include "own.h"
#include "placement.h"
#include "pool.h"
#include "reload.h"
#include "reply.h"
#include "traits.h"

enum {
    READS_MAX = 8,
    OUT_BYTES_KEPT = 1024,
    DESCRIPTORS_SPARED = 256, /* of the process: for connections to databases */
};

/* ---- numbers, by which cancel requests find a session ---- */

static void number_take(struct client *client)
{
    struct pool_process *p = &pool_process;
    uint32_t number = p->numbers_free;
    while (number < p->numbers_cap && p->numbers[number])
        number++;
    if (number >= p->numbers_cap) {
        uint32_t cap = p->numbers_cap ? p->numbers_cap * 2 : 256;
        p->numbers = xrealloc(p->numbers, cap * sizeof(struct client *));
        memset(p->numbers + p->numbers_cap, 0, (cap - p->numbers_cap) * sizeof(struct client *));
        number = p->numbers_cap > 1 ? p->numbers_cap : 1;
        p->numbers_cap = cap;
    }
    p->numbers[number] = client;
    p->numbers_free = number + 1;
    client->number = number;
    client->told_number = SESSION_NUMBERS + p->numbers_base + number;
    if (getrandom(&client->cancel_key, sizeof(client->cancel_key), 0) < 0)
        abort();
}

static void number_release(struct client *client)
{
    if (!client->number)
        return;
    pool_process.numbers[client->number] = NULL;
    if (client->number < pool_process.numbers_free)
        pool_process.numbers_free = client->number;
    client->number = 0;
}

struct client *client_of_number(uint64_t number)
{
    uint64_t i = number - SESSION_NUMBERS - pool_process.numbers_base;
    struct client *client = i < pool_process.numbers_cap ? pool_process.numbers[i] : NULL;
    if (client && client->told_number == number)
        return client;
    struct link *link = pool_process.taken_over > 0 ? list_first(&pool_process.clients) : NULL;
    for (; link; link = list_next(&pool_process.clients, link))
        if (CONTAINER_OF(link, struct client, link)->told_number == number)
            return CONTAINER_OF(link, struct client, link);
    return NULL;
}

struct client *client_find(uint32_t number, uint32_t key)
{
    struct client *client = client_of_number(number);
    return client && (uint32_t)client->cancel_key == key ? client : NULL;
}

/* ---- output ---- */

static void flush(struct client *client)
{
    struct buffer *out = client->out;
    while (out && buffer_len(out) > 0) {
        struct slice rest = buffer_slice(out);
        struct iovec part = {(void *)(uintptr_t)rest.ptr, rest.len};
        ssize_t sent = stream_write(&client->stream, &part, 1);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            client_close(client, NULL);
            return;
        }
        buffer_consume(out, (size_t)sent);
        client->active_us = pool_now();
    }
    if (out) {
        buffer_done(out);
        free(TAKE(client->out));
    }
    if (client->closing)
        client_close(client, NULL);
}

static void keep(struct client *client, const struct iovec *part, size_t from)
{
    if (!client->out) {
        client->out = xcalloc(1, sizeof(*client->out));
        client->active_us = pool_now(); /* it has taken everything so far */
    }
    buffer_append(client->out, (const char *)part->iov_base + from, part->iov_len - from);
}

void client_send(struct client *client, const struct iovec *parts, int count)
{
    ssize_t sent = 0;
    if (client->closed)
        return;
    if (!client->out) {
        sent = stream_write(&client->stream, parts, count);
        if (sent < 0 && sent != -EAGAIN) {
            /* Whoever called is in the middle of its server's messages: it is closed later. */
            client->stream.hung_up = client->stream.readable = true;
            client->broken = true;
            pool_again(client);
            return;
        }
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (client->pool && !own_is(client))
        client->pool->counters->sent_bytes += done;
    for (int i = 0; i < count; i++) {
        if (done < parts[i].iov_len)
            keep(client, &parts[i], done);
        done = done < parts[i].iov_len ? 0 : done - parts[i].iov_len;
    }
}

void client_send_buffer(struct client *client, struct buffer *bytes)
{
    struct slice all = buffer_slice(bytes);
    struct iovec part = {(void *)(uintptr_t)all.ptr, all.len};
    client_send(client, &part, 1);
    bytes->start = bytes->end = 0;
}

/* ---- the end ---- */

/* After each change of `in`. */
static void count_in(struct client *client)
{
    uint32_t bytes = client->in ? (uint32_t)client->in->end : 0;
    pool_process.in_bytes += bytes;
    pool_process.in_bytes -= client->in_bytes;
    client->in_bytes = bytes;
}

static void free_in(struct client *client)
{
    if (client->in)
        buffer_done(client->in);
    free(TAKE(client->in));
    count_in(client);
}

static void free_parts(struct client *client)
{
    login_free(&client->login);
    text_free(&client->trouble);
    if (client->late)
        buffer_done(client->late);
    free(TAKE(client->late));
    listen_settle(client, false);
    names_done(&client->names);
    statement_release(&client->unnamed);
    params_release(&client->params);
    params_release(&client->given);
    params_release(&client->base);
    params_release(&client->startup_params);
    free_in(client);
    if (client->out)
        buffer_done(client->out);
    free(TAKE(client->out));
}

static void log_end(const struct client *client, const char *why)
{
    if (pool_process.config->log_disconnections)
        log_info("client %" PRIu64 ": closing because: %s (age=%" PRIu64 "s)", client->id, why,
                 (pool_now() - client->connected_us) / 1000000);
}

static void note_refusal(const struct client *client, const char *sqlstate)
{
    if (!own_is(client))
        metrics_refused(sqlstate, client->login != NULL);
}

/* What client_join has counted. */
static void leave(struct client *client)
{
    bool own = own_is(client);
    if (client->pool) {
        client->pool->clients--;
        client->pool->own_clients -= own;
    }
    if (client->tally)
        client->tally->clients -= !own;
}

/* It would take an error for a part of the row that it is being sent. */
static bool is_amid_row(const struct client *client)
{
    return client->server && client->server->skip > 0 && !client->server->drop_skipped;
}

void client_close(struct client *client, const struct wire_error *error)
{
    if (client->closed)
        return;
    if (error && !client->closing) {
        AUTO_BUFFER out = {0};
        wire_error(&out, "FATAL", error);
        note_refusal(client, error->sqlstate);
        client->closing = true;
        log_end(client, error->message); /* first: who is told may look for it there */
        if (pool_process.config->log_errors)
            log_info("client %" PRIu64 ": %s: %s", client->id, error->sqlstate, error->message);
        if (!is_amid_row(client))
            client_send_buffer(client, &out);
        if (client->server)
            server_lose_client(client->server);
        /* What it has not taken yet follows, unless it never reads: the tick ends that. */
        if (!client->broken && (client->out || !stream_drain(&client->stream))) {
            client->since_us = pool_now();
            return;
        }
    }
    client->closed = true;
    if (!client->closing && client->tally)
        log_end(client, client->broken ? "client unexpected eof" : "client close request");
    if (client->server)
        server_lose_client(client->server);
    if (client->waiting.next)
        pool_stop_waiting(client);
    cache_stop_waiting(client);
    if (client->awaits_pool)
        list_remove(&client->pool->logins, &client->turn);
    listen_forget(client);
    console_close(client);
    if (client->tenant)
        tenant_leave(&client->pool->tenants, &client->tenant);
    leave(client);
    number_release(client);
    client_is_known(client);
    if (client->again.next)
        list_remove(&pool_process.again, &client->again);
    stream_close(&client->stream, pool_process.loop);
    list_remove(&pool_process.clients, &client->link);
    list_push_back(&pool_process.closed_clients, &client->link);
}

void client_free_closed(void)
{
    struct list *closed = &pool_process.closed_clients;
    struct link *link = list_first(closed), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(closed, link);
        if (!stream_is_gone(&client->stream))
            continue; /* the kernel still refers to it */
        list_remove(closed, link);
        free_parts(client);
        free(client);
    }
}

struct link *client_next(struct link *next)
{
    bool closed = next && CONTAINER_OF(next, struct client, link)->closed;
    return closed ? list_first(&pool_process.clients) : next;
}

/* ---- input ---- */

/* Where the next bytes go: after the beginning of a message that is kept, or into the one buffer
 * that everybody shares. */
static ssize_t read_more(struct client *client, struct slice *ret_bytes)
{
    struct buffer *in = client->in;
    char *dst = in ? buffer_reserve(in, READ_BYTES) : pool_process.read_buffer;
    ssize_t got = stream_read(&client->stream, dst, READ_BYTES);
    if (got > 0 && in)
        in->end += (size_t)got;
    if (got > 0)
        client->active_us = pool_now();
    count_in(client);
    *ret_bytes = in ? buffer_slice(in) : (struct slice){dst, got > 0 ? (size_t)got : 0};
    if (got > 0 && client->pool && !own_is(client))
        client->pool->counters->received_bytes += (uint64_t)got;
    return got;
}

static void keep_rest(struct client *client, struct slice rest)
{
    if (client->in)
        buffer_consume(client->in, buffer_len(client->in) - rest.len);
    if (client->in && rest.len == 0)
        free_in(client);
    if (!client->in && rest.len > 0) {
        client->in = xcalloc(1, sizeof(*client->in));
        buffer_append_slice(client->in, rest);
        count_in(client);
    }
}

void client_keep(struct client *client, struct slice rest)
{
    assert(!client->in);
    keep_rest(client, rest);
}

struct slice client_take_skipped(struct client *client, struct slice *rest)
{
    struct slice skipped = {rest->ptr, rest->len < client->skip ? rest->len : client->skip};
    client->skip -= (uint32_t)skipped.len;
    rest->ptr += skipped.len;
    rest->len -= skipped.len;
    return skipped;
}

void client_set_unnamed(struct client *client, struct statement *statement)
{
    statement_release(&client->unnamed);
    client->unnamed = statement;
    client->unnamed_told = 0;
    client->unnamed_serial++;
}

/* The server it got was not needed after all. */
static void give_back(struct client *client)
{
    struct server *server = client->server;
    if (server && server_is_free(server) && !client->pinned && client->skip == 0)
        server_release(server);
}

void client_follow(struct client *client, struct params *base)
{
    AUTO_BUFFER out = {0};
    struct slice name, value;
    if (client->base == base || client->pool->replication)
        return;
    params_release(&client->base);
    client->base = params_hold(base);
    struct params *before = client->startup_params;
    client->startup_params = params_with_all(params_hold(base), client->given);
    for (size_t i = params_count(before); i-- > 0;) { /* another version has not all of them */
        params_at(before, i, &name, &value);
        if (!params_get(client->startup_params, name.ptr).ptr &&
            slice_equal(params_get(client->params, name.ptr), value))
            client->params = params_without(client->params, name.ptr);
    }
    for (size_t i = 0; i < params_count(base); i++) {
        params_at(base, i, &name, &value);
        struct slice has = params_get(client->params, name.ptr);
        bool set = has.ptr && !slice_equal(has, params_get(before, name.ptr));
        set = set || (client->keeps_reported && traits_is_reported(name));
        if (set || params_get(client->given, name.ptr).ptr || slice_equal(has, value))
            continue;
        client->params = params_with(client->params, name, value);
        wire_parameter(&out, name, value);
    }
    params_release(&before);
    if (buffer_len(&out) > 0)
        client_send_buffer(client, &out);
}

void client_settle_params(struct client *client)
{
    struct server *server = client->server;
    if (server->settled_params == client->params)
        return;
    params_release(&server->settled_params);
    server->settled_params = params_hold(client->params);
}

void client_return_params(struct client *client)
{
    AUTO_BUFFER out = {0};
    struct params *settled = client->server->settled_params;
    struct slice name, value;
    if (settled == client->params || client->closing || client->closed)
        return;
    for (size_t i = 0; i < params_count(settled); i++) {
        params_at(settled, i, &name, &value);
        if (!slice_equal(params_get(client->params, name.ptr), value))
            wire_parameter(&out, name, value);
    }
    params_release(&client->params);
    client->params = params_hold(settled);
    if (client->server->skip == 0 && buffer_len(&out) > 0)
        client_send_buffer(client, &out);
}

/* Of an ErrorResponse's body, borrowed. A server may leave out whatever it likes. */
static struct wire_error error_in(struct slice body)
{
    const char *sqlstate = wire_error_field(body, 'C').ptr;
    return (struct wire_error){sqlstate ? sqlstate : "XX000", own_error_text(body).ptr,
                               wire_error_field(body, 'D').ptr, wire_error_field(body, 'H').ptr,
                               NULL};
}

void client_refuse(struct client *client, struct slice error)
{
    const struct wire_error told = error_in(error);
    client_end_soon(client, &told);
}

void client_end_soon(struct client *client, const struct wire_error *error)
{
    client_trouble(client, error);
    client->terminated = true;
    pool_again(client);
}

void client_trouble(struct client *client, const struct wire_error *error)
{
    if (client->lost_block) { /* and has no server to go on in a transaction that has failed */
        client->terminated = true;
        pool_again(client);
    }
    if (client->lost_block && client->trouble)
        return;
    text_free(&client->trouble);
    client->trouble = wire_error_copy("ERROR", error);
    client->trouble_told = false;
}

void client_lose_block(struct client *client, const struct wire_error *error)
{
    if (error)
        client_trouble(client, error);
    client->lost_block = true;
}

/* Is it told its trouble here, without a server? */
static bool is_troubled(const struct client *client)
{
    return client->trouble && !client->lost_block;
}

/* What was sent before its client could know of the trouble may belong to what was refused, the
 * rest of a transaction say. What comes later goes on. */
static void forget_trouble(struct client *client)
{
    if (!client->trouble_told || client->stream.readable || client->in || client->out ||
        client->skip > 0)
        return;
    text_free(&client->trouble);
    client->trouble_told = false;
}

/* What ends a batch, or is on its way of a COPY that has failed. */
static bool asks_nothing(char type)
{
    return type && strchr("SHdcf", type);
}

/* Is such a message answered, or ignored, without a server? */
static bool is_taken_here(const struct client *client, char type)
{
    return client->failed || is_troubled(client) || (client->lost_block && asks_nothing(type));
}

/* Without a server: a trouble is told at each message that asks for something, and what follows up
 * to Sync is ignored. Returns what is left. */
static struct slice take_without_server(struct client *client, struct slice bytes)
{
    AUTO_BUFFER out = {0};
    for (;;) {
        (void)client_take_skipped(client, &bytes);
        if (bytes.len < WIRE_HEADER_BYTES || !is_taken_here(client, bytes.ptr[0]))
            break;
        uint32_t length = wire_get_u32(bytes.ptr + 1);
        char type = bytes.ptr[0];
        if (length < 4 || length > WIRE_LENGTH_MAX || type == 'X')
            break;
        bool asks = !asks_nothing(type) && !client->failed;
        if (is_troubled(client) && asks) {
            struct slice body = wire_error_body(client->trouble);
            note_refusal(client, wire_error_field(body, 'C').ptr);
            buffer_append(&out, client->trouble, WIRE_HEADER_BYTES + body.len);
            client->trouble_told = true;
            client->failed = type != 'Q' && type != 'F';
            if (!client->failed)
                wire_ready(&out, 'I');
        } else if (type == 'S') {
            wire_ready(&out, client->lost_block ? 'E' : 'I');
            client->failed = false;
        }
        client->skip = length + 1; /* whole or not: nobody is to have it */
    }
    if (buffer_len(&out) > 0)
        client_send_buffer(client, &out);
    return bytes;
}

static void take(struct client *client, struct slice bytes)
{
    const struct wire_error *error = NULL;
    bool end = false;
    struct server *server = client->server;
    if (!server) {
        struct slice rest = take_without_server(client, bytes);
        bool goodbye = rest.len > 0 && rest.ptr[0] == 'X';
        bool ours = rest.len > 0 && is_taken_here(client, rest.ptr[0]);
        bool malformed = rest.len >= WIRE_HEADER_BYTES && ours; /* else it was taken */
        keep_rest(client, rest);
        client->unparsed = rest.len > 0 && !ours && client->skip == 0;
        if (goodbye || malformed)
            client_close(client, NULL);
        return;
    }
    uint64_t now = pool_now();
    if (server->expect.count == 0) {
        server->query_us = server->progress_us = now;
        server->stopped_for = NULL;
        text_free(&server->query_text);
    }
    if (server->status == 'I' && server->expect.count == 0 && !server->batch_open)
        client->since_us = now;
    server->asked = true;
    client->pool->counters->assignments += server->fresh;
    server->fresh = false;
    struct slice rest = forward_messages(client, bytes, &error, &end);
    if (end) {
        client_close(client, error);
        return;
    }
    keep_rest(client, rest);
    if (client->server == server)
        reply_settle(server);
}

static bool may_read(struct client *client)
{
    const struct server *server = client->server;
    if (client->awaits_listen || client->awaited)
        return false;
    if (client->unparsed && server && server->expect.ends + server->expect.flushes > 0)
        return false; /* it waits for what those bring (must_wait) */
    if (server && (server->retries || (client->unparsed && server->verifies)))
        return false;
    if (server && server->stopping)
        return false; /* what it asks now might be cancelled instead */
    return (client->stream.readable || client->unparsed) && !client->closed && !client->closing &&
           !client->out && !stream_is_behind(&client->stream) && client->state == CLIENT_READY &&
           (!server || (buffer_len(&server->out) == 0 &&
                        (client->skip > 0 || server->expect.count < EXPECT_MAX)));
}

/* For a client without a server, before it gets one: what the cache knows is answered, and the rest
 * is kept; it is unparsed if the database must answer. Bytes taken as stream_read says them; 0: the
 * client has ended. */
static ssize_t ask_cache(struct client *client)
{
    struct slice bytes;
    ssize_t got = 1;
    if (client->unparsed) {
        bytes = buffer_slice(client->in);
    } else {
        got = read_more(client, &bytes);
        if (got <= 0)
            return got;
    }
    if (!cache_awaits(bytes))
        bytes = cache_answer(client, bytes);
    client->unparsed = !cache_awaits(bytes);
    keep_rest(client, bytes);
    return got;
}

static const struct wire_error admin_shutdown = {
    "57P01", "terminating connection due to administrator command", NULL, "Connect anew.", NULL};
static const struct wire_error shutting_down = {
    "57P01", "server shutting down: no transaction begins any more", NULL,
    "Connect anew when the pool has started again.", NULL};

static bool takes_no_transaction(void)
{
    return pool_process.draining && pool_process.stop_mode != STOP_AFTER_CLIENTS;
}

void client_refuse_waiting(void)
{
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (client->state == CLIENT_WAITING)
            client_close(client, &shutting_down);
    }
}

void client_end_all(void)
{
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (!own_is(client))
            client_close(client, &admin_shutdown);
    }
}

static void end_terminated(struct client *client)
{
    if (!client->trouble) {
        client_close(client, &admin_shutdown);
        return;
    }
    AUTO_TEXT trouble = TAKE(client->trouble);
    const struct wire_error error = error_in(wire_error_body(trouble));
    client_close(client, &error);
}

/* Without a transaction that it could end, a client that ends it needs no server for that. True: it
 * does, and is told here what has become of it. */
static bool ends_lost_block(struct client *client)
{
    struct slice in = buffer_slice(client->in), name, text;
    if (in.len < WIRE_HEADER_BYTES || (in.ptr[0] != 'Q' && in.ptr[0] != 'P'))
        return false;
    size_t size = (size_t)wire_get_u32(in.ptr + 1) + 1;
    if (size < WIRE_HEADER_BYTES || size > in.len)
        return false;
    struct slice body = {in.ptr + WIRE_HEADER_BYTES, size - WIRE_HEADER_BYTES};
    if (in.ptr[0] == 'P' && (!client->trouble || !wire_take_text(&body, &name)))
        return false;
    if (!wire_take_text(&body, &text) || (in.ptr[0] == 'Q' && body.len > 0) ||
        !traits_end_block(text, !client->trouble))
        return false;
    client->lost_block = false;
    if (client->trouble)
        return true; /* which fails */
    AUTO_BUFFER out = {0};
    wire_complete(&out, "ROLLBACK");
    wire_ready(&out, 'I');
    client_send_buffer(client, &out);
    buffer_consume(client->in, size);
    client->unparsed = buffer_len(client->in) > 0;
    if (!client->unparsed)
        free_in(client);
    return true;
}

/* Did the read bring anything? A client that has ended is closed. */
static bool took(struct client *client, ssize_t got)
{
    if (got <= 0 && got != -EAGAIN)
        client_close(client, NULL);
    return got > 0;
}

/* Reads before it has a server. */
static bool read_first(struct client *client)
{
    struct slice bytes;
    if (!took(client, read_more(client, &bytes)))
        return false;
    keep_rest(client, bytes);
    client->unparsed = true;
    return true;
}

/* Who leaves is not to wait for a server, nor to have one made, or asked whether it works. */
static bool leaves(const struct client *client)
{
    char first;
    if (client->in)
        return client->unparsed && *buffer_slice(client->in).ptr == 'X';
    return stream_peek(&client->stream, &first) && first == 'X';
}

void client_run(struct client *client)
{
    int reads = 0;
    if (client->terminated && !client->closing && client->state != CLIENT_LOGIN) {
        end_terminated(client);
        return;
    }
    bool waits = client->state == CLIENT_WAITING || client->awaits_listen;
    if (client->broken || (waits && client->stream.hung_up)) {
        client_close(client, NULL);
        return;
    }
    for (; reads < READS_MAX && may_read(client); reads++) {
        struct slice bytes;
        bool needs_server =
            !client->server && !client->failed && !is_troubled(client) && client->skip == 0;
        if (needs_server && takes_no_transaction() && !client->stream.hung_up) {
            client_close(client, &shutting_down);
            return;
        }
        if (needs_server && client->pool->retired && !reload_follow(client))
            return;
        if (needs_server && client->lost_block) {
            if (!client->unparsed && !read_first(client))
                break;
            if (ends_lost_block(client))
                continue;
            needs_server = !asks_nothing(*buffer_slice(client->in).ptr);
        }
        if (needs_server && client->pool->cache && !client->lost_block) {
            if (!took(client, ask_cache(client)))
                break;
            if (!client->unparsed || client->out || client->awaited)
                continue;
        }
        bool ends = needs_server && client->stream.hung_up && !client->unparsed;
        if (ends && !read_first(client))
            break;
        if (needs_server && leaves(client)) {
            client_close(client, NULL);
            return;
        }
        if (needs_server && !pool_lend(client->pool, client) && !is_troubled(client))
            return; /* it waits, or is to end */
        if (client->unparsed) {
            client->unparsed = false;
            bytes = buffer_slice(client->in);
        } else {
            if (!took(client, read_more(client, &bytes)))
                break;
        }
        take(client, bytes);
        if (client->terminated && !client->closing && !client->closed) {
            end_terminated(client); /* its own doing, and before the server's answer is told */
            return;
        }
    }
    if (client->closed)
        return;
    forget_trouble(client);
    give_back(client);
    if (reads == READS_MAX)
        pool_again(client); /* others have their turn */
}

/* Read first: who has asked nothing is not to wait for a server, nor to have one made. */
void client_begin(struct client *client)
{
    if (client->unparsed || read_first(client))
        client_run(client);
}

void client_event(struct client *client, uint32_t events)
{
    stream_take_events(&client->stream, events);
    if ((client->out || client->closing) && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        flush(client);
        if (!client->closed && !client->out && client->server)
            server_run(client->server); /* it waited for that */
    }
    if (client->closed)
        return;
    if (client->state == CLIENT_LOGIN)
        login_run(client);
    else if (client->state == CLIENT_ADMIN)
        console_run(client);
    else
        client_run(client);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    pool_placement_other();
    client_event(CONTAINER_OF(CONTAINER_OF(source, struct stream, source), struct client, stream),
                 events);
}

static struct client *client_new(size_t bytes)
{
    struct client *client = xcalloc(1, bytes);
    list_push_back(&pool_process.clients, &client->link);
    number_take(client);
    client->id = ++pool_process.last_id;
    client->connected_us = client->since_us = client->active_us = pool_now();
    client->login = login_new();
    return client;
}

struct client *client_over(const struct stream_carrier *carrier, size_t bytes)
{
    struct client *client = client_new(bytes);
    client->stream.carrier = carrier;
    return client;
}

struct client *client_resume(int fd)
{
    struct client *client = client_new(sizeof(*client));
    login_free(&client->login);
    client->state = CLIENT_READY;
    if (stream_open(&client->stream, pool_process.loop, fd, on_ready) == 0)
        return client;
    (void)close(fd);
    client_close(client, NULL);
    return NULL;
}

void client_join(struct client *client, struct pool *pool, struct record *record, const char *user)
{
    bool own = own_is(client); /* whose limits do not concern the pool's questions */
    client->pool = pool;
    if (pool) {
        pool->clients++;
        pool->own_clients += own;
    }
    client->tally = record_tally(record, user);
    client->tally->clients += !own;
}

void client_is_known(struct client *client)
{
    if (client->is_stranger)
        list_remove(&pool_process.strangers, &client->stranger);
    client->is_stranger = false;
}

static const struct wire_error too_many = {"53300", "sorry, too many connections are open already",
                                           NULL, "Raise clients_max, or close connections.", NULL};

/* However many strangers there are, who comes next has a chance: the one that has been a stranger
 * for longest gives way. A login takes milliseconds, and those that have done with theirs are not
 * concerned. False: everybody is known. */
static bool make_place(int fd)
{
    int clients_max = pool_process.config->limits.clients_max;
    uint32_t limit = pool_process.descriptors_max;
    uint32_t spared = limit / 4 < DESCRIPTORS_SPARED ? limit / 4 : DESCRIPTORS_SPARED;
    bool full = (uint32_t)fd > limit - spared ||
                (clients_max > 0 && pool_process.strangers.count >= (uint32_t)clients_max);
    struct link *oldest = list_first(&pool_process.strangers);
    if (full && oldest)
        client_close(CONTAINER_OF(oldest, struct client, stranger), &too_many);
    return !full || oldest;
}

static void refuse(int fd)
{
    AUTO_BUFFER out = {0};
    wire_error(&out, "FATAL", &too_many);
    metrics_refused(too_many.sqlstate, true);
    struct slice all = buffer_slice(&out);
    (void)!send(fd, all.ptr, all.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

void client_accept(int fd, bool tcp)
{
    if (!make_place(fd)) {
        refuse(fd);
        return;
    }
    struct client *client = client_new(sizeof(*client));
    list_push_back(&pool_process.strangers, &client->stranger);
    client->is_stranger = true;
    client->stream.fd_is_tcp = tcp;
    if (stream_open(&client->stream, pool_process.loop, fd, on_ready) < 0) {
        (void)close(fd);
        client_close(client, NULL);
    }
}

static void notify(struct buffer *out, const char *message)
{
    wire_error(out, "NOTICE", &(struct wire_error){"00000", message, NULL, NULL, NULL});
}

void client_welcome(struct client *client, struct buffer *out)
{
    struct slice name, value;
    for (size_t i = 0; i < params_count(client->params); i++) {
        params_at(client->params, i, &name, &value);
        wire_parameter(out, name, value);
    }
    size_t begun = wire_begin(out, 'K');
    wire_u32(out, client->told_number);
    wire_u32(out, (uint32_t)client->cancel_key);
    wire_end(out, begun);
    if (client->pool && !own_is(client) && pool_process.config->login_notice[0])
        notify(out, pool_process.config->login_notice);
    wire_ready(out, 'I');
    login_free(&client->login);
    client->state = client->pool ? CLIENT_READY : CLIENT_ADMIN;
    if (client->pool && !client->out)
        stream_hasten(&client->stream, pool_process.loop);
    client->unparsed = client->pool && client->in && buffer_len(client->in) > 0;
    if (!client->unparsed && client->pool)
        free_in(client);
    client->since_us = pool_now();
}

void client_stop_waiting(struct client *client, const struct wire_error *error)
{
    if (client->awaited)
        cache_stop_waiting(client);
    else
        pool_stop_waiting(client);
    client_trouble(client, error);
    pool_again(client);
}

/* In the words that who comes from PgBouncer may look for. */
static void tell_of_wait(struct client *client)
{
    AUTO_BUFFER out = {0};
    client->told_of_wait = true;
    notify(&out, "No server connection available in postgres backend, client being queued");
    client_send_buffer(client, &out);
}

/* It asks nothing: nor of the cache, nor to be refused, of which no server knows. One that keeps
 * its server, in no transaction, is idle as well. */
static bool is_idle(const struct client *client)
{
    if (client->state != CLIENT_READY || client->awaited || client->awaits_listen ||
        client->closing || !client->pool)
        return false;
    if (client->server && (!server_is_free(client->server) || client->pool->replication))
        return false;
    int64_t limit_ms = client->pool->limits.client_idle_ms;
    return pool_passed(client->since_us, limit_ms) && pool_passed(client->active_us, limit_ms);
}

void client_tick(struct client *client, const struct pool_config *config)
{
    static const struct wire_error login_too_long = {
        "57014", "the login took longer than client_login_timeout", NULL,
        "Connect anew; raise client_login_timeout for a slow network.", NULL};
    static const struct wire_error idle_too_long = {
        "57P05", "the client was idle for longer than client_idle_timeout", NULL,
        "Connect anew, or raise client_idle_timeout.", NULL};
    if (client->closing && pool_passed(client->since_us, 5000))
        client_close(client, NULL); /* it does not take what ends it */
    else if (client->state == CLIENT_LOGIN &&
             pool_passed(client->since_us, config->client_login_ms))
        client_close(client, &login_too_long);
    else if (client->state == CLIENT_LOGIN)
        login_tick(client);
    else if (is_idle(client))
        client_close(client, &idle_too_long);
    else if (client->state == CLIENT_WAITING && !client->told_of_wait && !own_is(client) &&
             pool_passed(client->since_us, config->wait_notify_ms))
        tell_of_wait(client);
    else if (client->state == CLIENT_ADMIN)
        console_tick(client);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "denials.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "pool.h"
#include "tls.h"

enum {
    CANCELS_PER_SERVER_MAX = 2,
    SAID_BYTES_MAX = 1024, /* by whoever answers: Postgres says nothing */
};

enum phase {
    PHASE_CONNECT,
    PHASE_TLS_ANSWER,
    PHASE_TLS,
    PHASE_SENT, /* the server's to pass on, until it closes the connection */
};

struct cancel {
    struct link link;
    struct stream stream;
    struct server *server;
    struct tls *tls; /* as on the connection itself; NULL: none, or the stream has it */
    uint64_t begun_us;
    enum phase phase;
    uint32_t said_bytes;
    bool direct_tls;
};

static struct list *cancels(void)
{
    static struct list list;
    if (!list.head.next)
        list_init(&list);
    return &list;
}

/* passed_on: the server has said so, by closing the connection. */
static void finish(struct cancel *cancel, bool passed_on)
{
    if (cancel->phase == PHASE_SENT && !passed_on)
        cancel->server->tainted = true; /* it may come yet: to nobody else */
    stream_close(&cancel->stream, pool_process.loop);
    tls_free(&cancel->tls);
    list_remove(cancels(), &cancel->link);
    server_cancel_done(cancel->server);
    free(cancel);
}

static bool send_out(struct cancel *cancel, struct buffer *out)
{
    struct slice all = buffer_slice(out);
    struct iovec part = {(void *)(uintptr_t)all.ptr, all.len};
    return stream_write(&cancel->stream, &part, 1) == (ssize_t)all.len;
}

static bool send_request(struct cancel *cancel)
{
    const struct server *server = cancel->server;
    AUTO_BUFFER out = {0};
    size_t begun = wire_begin(&out, 0);
    wire_u32(&out, WIRE_CANCEL);
    wire_u32(&out, server->backend_pid);
    buffer_append(&out, server->cancel_key, server->cancel_key_bytes);
    wire_end(&out, begun);
    cancel->phase = PHASE_SENT;
    cancel->stream.readable = true;
    return send_out(cancel, &out);
}

static bool begin_tls(struct cancel *cancel)
{
    cancel->stream.tls = TAKE(cancel->tls);
    cancel->phase = PHASE_TLS;
    return true;
}

static bool on_connected(struct cancel *cancel)
{
    AUTO_BUFFER out = {0};
    if (!cancel->tls)
        return send_request(cancel);
    if (cancel->direct_tls)
        return begin_tls(cancel);
    cancel->phase = PHASE_TLS_ANSWER;
    wire_ask_for_tls(&out);
    return send_out(cancel, &out);
}

static void log_failure(const struct server *server, const char *what, const char *why)
{
    log_warn("database %s, user %s: a cancel request %s: %s", server->pool->database_name,
             server->pool->user, what, why);
}

static const char not_sent[] = "was not sent";

static bool tls_failed(const struct cancel *cancel, const char *why)
{
    AUTO_TEXT text = xasprintf("TLS failed: %s", why);
    log_failure(cancel->server, not_sent, text);
    return false;
}

static bool connect_failed(const struct cancel *cancel)
{
    int error = 0;
    socklen_t len = sizeof(error);
    (void)getsockopt(cancel->stream.source.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    log_failure(cancel->server, not_sent, strerror(error ? error : ECONNRESET));
    return false;
}

/* Never in the clear where the connection itself is not: the key is for nobody else to see. */
static bool on_tls_answer(struct cancel *cancel)
{
    char answer;
    ssize_t got = stream_read(&cancel->stream, &answer, 1);
    if (got == -EAGAIN)
        return true;
    return got == 1 && answer == 'S' ? begin_tls(cancel) : tls_failed(cancel, "it was refused");
}

static bool on_tls(struct cancel *cancel)
{
    int r = tls_handshake(cancel->stream.tls);
    if (r < 0)
        return tls_failed(cancel, tls_failure(cancel->stream.tls));
    /* No Postgres; the connection itself would not have been made. */
    if (r > 0 && cancel->direct_tls && !tls_has_alpn(cancel->stream.tls))
        return tls_failed(cancel, "ALPN \"postgresql\" was not agreed to");
    return r == 0 || send_request(cancel);
}

/* Postgres closes the connection when it has passed the request on. */
static void on_ready(struct loop_source *source, uint32_t events)
{
    struct cancel *cancel =
        CONTAINER_OF(CONTAINER_OF(source, struct stream, source), struct cancel, stream);
    bool works = true;
    char rest[64];
    ssize_t got = -EAGAIN;
    stream_take_events(&cancel->stream, events);
    if (cancel->phase == PHASE_CONNECT && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        works = events & (EPOLLERR | EPOLLHUP) ? connect_failed(cancel) : on_connected(cancel);
    if (works && cancel->phase == PHASE_TLS_ANSWER)
        works = on_tls_answer(cancel);
    if (works && cancel->phase == PHASE_TLS)
        works = on_tls(cancel);
    while (works && cancel->phase == PHASE_SENT &&
           (got = stream_read(&cancel->stream, rest, sizeof(rest))) > 0)
        /* Whatever stands before the server may say something, but not for ever. */
        works = (cancel->said_bytes += (uint32_t)got) <= SAID_BYTES_MAX;
    if (!works || got != -EAGAIN)
        finish(cancel, works && got == 0);
}

void cancel_query(struct server *server)
{
    if (server->cancel_key_bytes == 0 || server->cancels >= CANCELS_PER_SERVER_MAX)
        return;
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct cancel *cancel = xcalloc(1, sizeof(*cancel));
    cancel->server = server;
    cancel->begun_us = pool_now();
    if (fd < 0 || (connect(fd, address, server->address_len) < 0 && errno != EINPROGRESS) ||
        stream_open(&cancel->stream, pool_process.loop, fd, on_ready) < 0) {
        log_failure(server, not_sent, strerror(errno));
        fd_close(&fd);
        free(cancel);
        return;
    }
    if (server->stream.tls)
        cancel->tls = tls_again(server->stream.tls, fd);
    cancel->direct_tls = server->pool->database->tls.direct;
    list_push_back(cancels(), &cancel->link);
    server->cancels++;
    server->pool->counters->cancels++;
}

void cancel_asked(uint32_t number, uint32_t key, const struct sockaddr_storage *from)
{
    if (denials_may_try(DENIED_CANCEL, from, pool_now()) && !cancel_for(number, key))
        (void)denials_add(DENIED_CANCEL, from, pool_now(), pool_process.config->denial_delay_ms);
}

bool cancel_for(uint32_t number, uint32_t key)
{
    struct client *client = client_find(number, key);
    if (client)
        cancel_of_client(client);
    return client || handover_cancel(number, key);
}

void cancel_of_client(struct client *client)
{
    static const struct wire_error canceled = {"57014", "canceling statement due to user request",
                                               NULL, NULL, NULL};
    if (client->awaits_listen)
        listen_give_up(client, &canceled);
    else if (client->state == CLIENT_WAITING || client->awaited)
        client_stop_waiting(client, &canceled);
    else if (client->server && (client->server->expect.count > 0 || client->pool->replication))
        cancel_query(client->server);
}

bool cancel_any(void)
{
    return cancels()->count > 0;
}

void cancel_tick(void)
{
    struct link *link = list_first(cancels()), *next;
    for (; link; link = next) {
        struct cancel *cancel = CONTAINER_OF(link, struct cancel, link);
        next = list_next(cancels(), link);
        const struct pool_config *config = pool_process.config;
        if (!pool_passed(cancel->begun_us, cancel->server->stopping ? config_stop_wait_ms(config)
                                                                    : config->cancel_wait_ms))
            continue;
        log_failure(cancel->server, cancel->phase == PHASE_SENT ? "was not acknowledged" : not_sent,
                    "cancel_wait_timeout is over");
        finish(cancel, false);
    }
}

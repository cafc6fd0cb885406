/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handover.h"
#include "pool.h"

enum { CANCELS_PER_SERVER_MAX = 2 };

struct cancel {
    struct link link;
    struct loop_source source;
    struct server *server;
    uint64_t begun_us;
    bool sent;
};

static struct list *cancels(void)
{
    static struct list list;
    if (!list.head.next)
        list_init(&list);
    return &list;
}

static void finish(struct cancel *cancel)
{
    loop_remove(pool_process.loop, &cancel->source);
    (void)close(cancel->source.fd);
    list_remove(cancels(), &cancel->link);
    server_cancel_done(cancel->server);
    free(cancel);
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
    struct slice all = buffer_slice(&out);
    return send(cancel->source.fd, all.ptr, all.len, MSG_NOSIGNAL) == (ssize_t)all.len;
}

/* Postgres closes the connection when it has passed the request on. */
static void on_ready(struct loop_source *source, uint32_t events)
{
    struct cancel *cancel = CONTAINER_OF(source, struct cancel, source);
    if (!cancel->sent && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP))) {
        cancel->sent = true;
        loop_change(pool_process.loop, source, EPOLLIN);
        if (send_request(cancel))
            return;
    }
    finish(cancel);
}

void cancel_query(struct server *server)
{
    if (server->cancel_key_bytes == 0 || server->cancels >= CANCELS_PER_SERVER_MAX)
        return;
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct cancel *cancel = xcalloc(1, sizeof(*cancel));
    cancel->server = server;
    cancel->begun_us = pool_now();
    if ((connect(fd, address, server->address_len) < 0 && errno != EINPROGRESS) ||
        loop_add(pool_process.loop, &cancel->source, fd, EPOLLOUT, on_ready) < 0) {
        (void)close(fd);
        free(cancel);
        return;
    }
    list_push_back(cancels(), &cancel->link);
    server->cancels++;
    server->pool->counters->cancels++;
}

void cancel_for(uint32_t number, uint32_t key)
{
    struct client *client = client_find(number, key);
    if (client)
        cancel_of_client(client);
    else
        handover_cancel(number, key);
}

void cancel_of_client(struct client *client)
{
    if (client->state == CLIENT_WAITING || client->awaited)
        client_stop_waiting(
            client,
            &(struct wire_error){"57014", "canceling statement due to user request", NULL, NULL});
    else if (client->server && (client->server->expect.count > 0 || client->pool->replication))
        cancel_query(client->server);
}

void cancel_tick(void)
{
    struct link *link = list_first(cancels()), *next;
    for (; link; link = next) {
        struct cancel *cancel = CONTAINER_OF(link, struct cancel, link);
        next = list_next(cancels(), link);
        if (pool_passed(cancel->begun_us, pool_process.config->cancel_wait_ms))
            finish(cancel);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common.h"

struct resolve {
    char *host;
    char port[8];
    struct addrinfo *list;
    int code;
    resolve_fn *on_done;
    void *owner; /* NULL: abandoned */
};

static struct {
    int done[2]; /* pipe of pointers to lookups that are through */
    struct loop_source source;
} resolver;

static void *look_up(void *argument)
{
    struct resolve *resolve = argument;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    resolve->code = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->list);
    ssize_t sent = write(resolver.done[1], &resolve, sizeof(resolve));
    if (sent != sizeof(resolve))
        abort(); /* a pipe takes a pointer whole */
    return NULL;
}

static void finish(struct resolve *resolve)
{
    if (resolve->owner)
        resolve->on_done(resolve->owner, TAKE(resolve->list),
                         resolve->code ? gai_strerror(resolve->code) : NULL);
    if (resolve->list)
        freeaddrinfo(resolve->list);
    free(resolve->host);
    free(resolve);
}

static void on_done(struct loop_source *source, uint32_t events)
{
    struct resolve *resolve;
    (void)events;
    while (read(source->fd, &resolve, sizeof(resolve)) == sizeof(resolve))
        finish(resolve);
}

int resolve_init(struct loop *loop)
{
    if (pipe2(resolver.done, O_CLOEXEC) < 0 || fcntl(resolver.done[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return loop_add(loop, &resolver.source, resolver.done[0], EPOLLIN, on_done);
}

struct resolve *resolve_start(const char *host, uint16_t port, resolve_fn *fn, void *owner)
{
    pthread_t thread;
    pthread_attr_t attributes;
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));
    resolve->host = xstrdup(host);
    resolve->on_done = fn;
    resolve->owner = owner;
    (void)snprintf(resolve->port, sizeof(resolve->port), "%u", port);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, 256 * 1024);
    if (pthread_create(&thread, &attributes, look_up, resolve) != 0) {
        resolve->code = EAI_AGAIN;
        if (write(resolver.done[1], &resolve, sizeof(resolve)) != sizeof(resolve))
            abort();
    }
    (void)pthread_attr_destroy(&attributes);
    return resolve;
}

void resolve_abandon(struct resolve **resolve)
{
    struct resolve *r = TAKE(*resolve);
    if (r)
        r->owner = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "offload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct {
    int done[2]; /* pipe of pointers to what is through */
    struct loop_source source;
} offloads;

static void tell(struct offload *offload)
{
    if (write(offloads.done[1], &offload, sizeof(offload)) != sizeof(offload))
        abort(); /* a pipe takes a pointer whole */
}

static void *run(void *argument)
{
    struct offload *offload = argument;
    offload->work(offload);
    tell(offload);
    return NULL;
}

static void on_done(struct loop_source *source, uint32_t events)
{
    struct offload *offload;
    (void)events;
    while (read(source->fd, &offload, sizeof(offload)) == sizeof(offload))
        offload->done(offload);
}

int offload_init(struct loop *loop)
{
    if (pipe2(offloads.done, O_CLOEXEC) < 0 || fcntl(offloads.done[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return loop_add(loop, &offloads.source, offloads.done[0], EPOLLIN, on_done);
}

void offload_start(struct offload *offload)
{
    pthread_t thread;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, 256 * 1024);
    offload->failed = pthread_create(&thread, &attributes, run, offload) != 0;
    (void)pthread_attr_destroy(&attributes);
    if (offload->failed)
        tell(offload);
}

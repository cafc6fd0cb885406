/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "common.h"

enum {
    LOOP_EVENTS_PER_TURN = 256,
    LOOP_TIMERS_PER_TURN = 256, /* so that broken code cannot starve the sockets */
    LOOP_HOOKS_MAX = 8,
};

struct loop {
    int epoll_fd;
    int stop_code;
    bool stopped, awake;
    uint64_t now_ms;
    uint64_t now_us; /* 0: the running callback has not asked yet */
    struct epoll_event ready[LOOP_EVENTS_PER_TURN];
    int ready_count, ready_next; /* events of this turn not yet delivered: ready[next..count) */
    struct loop_timer **heap;    /* heap[0] is the earliest; timer->index is its place + 1 */
    uint32_t heap_count, heap_cap;
    struct {
        loop_hook_fn *fn;
        void *owner;
    } hooks[LOOP_HOOKS_MAX];
    int hooks_count;
    const struct loop_waiter *waiter; /* NULL: epoll waits */
};

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert(loop->epoll_fd >= 0);
    loop->now_ms = clock_monotonic_ms();
    return loop;
}

void loop_free(struct loop **loop)
{
    if (!*loop)
        return;
    fd_close(&(*loop)->epoll_fd);
    free((*loop)->heap);
    free(TAKE(*loop));
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
             loop_source_fn *on_ready)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    *source = (struct loop_source){.on_ready = on_ready, .fd = fd, .events = events, .index = 1};
    return 0;
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
    assert(source->index);
    if (source->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = source};
    int r = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
    assert(r == 0);
    source->events = events;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (!source->index)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL); /* may be closed already */
    source->index = 0;
    /* The owner may be freed now: events of this turn that wait for delivery forget it. */
    for (int i = loop->ready_next; i < loop->ready_count; i++)
        if (loop->ready[i].data.ptr == source)
            loop->ready[i].data.ptr = NULL;
}

static void heap_put(struct loop *loop, uint32_t place, struct loop_timer *timer)
{
    loop->heap[place] = timer;
    timer->index = place + 1;
}

static void heap_up(struct loop *loop, uint32_t place)
{
    struct loop_timer *timer = loop->heap[place];
    while (place > 0 && loop->heap[(place - 1) / 2]->due_ms > timer->due_ms) {
        heap_put(loop, place, loop->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(loop, place, timer);
}

static void heap_down(struct loop *loop, uint32_t place)
{
    struct loop_timer *timer = loop->heap[place];
    for (;;) {
        uint32_t child = place * 2 + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count &&
            loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (loop->heap[child]->due_ms >= timer->due_ms)
            break;
        heap_put(loop, place, loop->heap[child]);
        place = child;
    }
    heap_put(loop, place, timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                      loop_timer_fn *on_due)
{
    loop_timer_stop(loop, timer);
    if (loop->heap_count == loop->heap_cap) {
        loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
        loop->heap = xrealloc(loop->heap, loop->heap_cap * sizeof(*loop->heap));
    }
    timer->on_due = on_due;
    timer->due_ms = loop->now_ms + delay_ms;
    loop->heap[loop->heap_count++] = timer;
    heap_up(loop, loop->heap_count - 1);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->index)
        return;
    uint32_t place = timer->index - 1;
    assert(place < loop->heap_count && loop->heap[place] == timer);
    timer->index = 0;
    struct loop_timer *last = loop->heap[--loop->heap_count];
    if (last == timer)
        return;
    heap_put(loop, place, last);
    heap_up(loop, place);
    heap_down(loop, last->index - 1);
}

void loop_before_sleep(struct loop *loop, loop_hook_fn *hook, void *owner)
{
    assert(loop->hooks_count < LOOP_HOOKS_MAX);
    loop->hooks[loop->hooks_count].fn = hook;
    loop->hooks[loop->hooks_count++].owner = owner;
}

void loop_wait_by(struct loop *loop, const struct loop_waiter *waiter)
{
    loop->waiter = waiter;
}

int loop_fd(const struct loop *loop)
{
    return loop->epoll_fd;
}

void loop_call(struct loop *loop, struct loop_source *source, uint32_t events)
{
    loop->now_us = 0;
    source->on_ready(source, events);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_now_us(struct loop *loop)
{
    if (loop->now_us == 0)
        loop->now_us = clock_monotonic_us();
    return loop->now_us;
}

void loop_stay_awake(struct loop *loop)
{
    loop->awake = true;
}

void loop_stop(struct loop *loop, int code)
{
    loop->stopped = true;
    loop->stop_code = code;
}

static int wait_ms(const struct loop *loop, int timeout_ms)
{
    if (loop->awake || timeout_ms == 0)
        return 0;
    if (loop->heap_count == 0)
        return timeout_ms;
    uint64_t now = clock_monotonic_ms(), due = loop->heap[0]->due_ms;
    uint64_t delay = due > now ? due - now : 0;
    if (timeout_ms >= 0 && delay > (uint64_t)timeout_ms)
        return timeout_ms;
    return delay > 1u << 30 ? 1 << 30 : (int)delay;
}

void loop_turn(struct loop *loop, int timeout_ms)
{
    int wait = wait_ms(loop, timeout_ms), count = 0;
    loop->awake = false;
    if (!loop->waiter)
        count = epoll_wait(loop->epoll_fd, loop->ready, LOOP_EVENTS_PER_TURN, wait);
    else if (loop->waiter->wait(wait))
        count = epoll_wait(loop->epoll_fd, loop->ready, LOOP_EVENTS_PER_TURN, 0);
    assert(count >= 0 || errno == EINTR);
    loop->now_ms = clock_monotonic_ms();
    loop->ready_count = count > 0 ? count : 0;
    loop->ready_next = 0;
    if (loop->waiter)
        loop->waiter->deliver(); /* which may remove sources */
    while (loop->ready_next < loop->ready_count) {
        struct epoll_event *event = &loop->ready[loop->ready_next++];
        struct loop_source *source = event->data.ptr;
        if (source)
            loop_call(loop, source, event->events);
    }
    loop->ready_count = 0;
    for (int i = 0;
         i < LOOP_TIMERS_PER_TURN && loop->heap_count > 0 && loop->heap[0]->due_ms <= loop->now_ms;
         i++) {
        struct loop_timer *timer = loop->heap[0];
        loop_timer_stop(loop, timer);
        loop->now_us = 0;
        timer->on_due(timer);
    }
    for (int i = 0; i < loop->hooks_count; i++) {
        loop->now_us = 0;
        loop->hooks[i].fn(loop->hooks[i].owner);
    }
    loop->now_us = 0;
}

int loop_run(struct loop *loop)
{
    while (!loop->stopped)
        loop_turn(loop, -1);
    return loop->stop_code;
}

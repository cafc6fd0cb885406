/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one loop: epoll for readiness, a binary heap for timers.
 *
 * A turn: read the clock once, wait (no longer than the next timer), call the ready sources,
 * fire due timers (at most LOOP_TIMERS_PER_TURN), run the before-sleep hooks in the order they
 * were added. Sources are embedded in their owners; one that is removed during a turn is never
 * called again in it, so an owner may be freed at once after loop_remove/loop_timer_stop. */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_source;
struct loop_timer;

/* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP as epoll reports them. */
typedef void loop_source_fn(struct loop_source *source, uint32_t events);
typedef void loop_timer_fn(struct loop_timer *timer);
typedef void loop_hook_fn(void *owner);

struct loop_source {
    loop_source_fn *on_ready;
    int fd;          /* borrowed */
    uint32_t events; /* what is asked for now */
    uint32_t index;  /* the loop's */
};

struct loop_timer {
    loop_timer_fn *on_due;
    uint64_t due_ms; /* clock_monotonic_ms */
    uint32_t index;  /* place in the heap + 1; 0: not running */
};

/* Waits in the loop's place, for what epoll knows nothing of. */
struct loop_waiter {
    /* Until something happened, but no longer than timeout_ms (-1: for ever). Is the loop's own
     * descriptor readable? */
    bool (*wait)(int timeout_ms);
    /* Calls those for whom something happened (loop_call), before the loop calls its own. */
    void (*deliver)(void);
};

struct loop *loop_new(void);
void loop_free(struct loop **loop);

/* Level-triggered unless events has EPOLLET. 0 or negative errno. */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
             loop_source_fn *on_ready) __attribute__((warn_unused_result));
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
/* Does not close the fd. Harmless on a source that is not in the loop (zeroed). */
void loop_remove(struct loop *loop, struct loop_source *source);

/* (Re)starts the timer to fire once after delay_ms from the turn's clock. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms,
                      loop_timer_fn *on_due);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);
static inline bool loop_timer_running(const struct loop_timer *timer)
{
    return timer->index != 0;
}

/* Called at the end of every turn, before sleeping: flush output here in one batch. */
void loop_before_sleep(struct loop *loop, loop_hook_fn *hook, void *owner);

/* waiter: borrowed. */
void loop_wait_by(struct loop *loop, const struct loop_waiter *waiter);
/* What a waiter has to watch. */
int loop_fd(const struct loop *loop);
/* Calls a source that the loop does not watch. */
void loop_call(struct loop *loop, struct loop_source *source, uint32_t events);

/* The turn's clock (clock_monotonic_ms at its start). */
uint64_t loop_now_ms(const struct loop *loop);
/* clock_monotonic_us when the running callback first asked: what it does takes no time. */
uint64_t loop_now_us(struct loop *loop);
/* Makes the next wait return at once: there is work that no fd announces. */
void loop_stay_awake(struct loop *loop);
/* Runs until loop_stop; returns the stop's code. */
int loop_run(struct loop *loop);
/* One turn, waiting at most timeout_ms (-1: until something happens). For tests and nested use. */
void loop_turn(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop, int code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that go while others are called, with the loop waiting by itself and by a waiter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"

enum { SOURCES = 4 };

static struct loop *loop;
static struct loop_source sources[SOURCES];
static int pipes[SOURCES][2], calls;
static bool remove_when_delivering;

static void on_ready(struct loop_source *source, uint32_t events)
{
    (void)source;
    assert_true(events & EPOLLIN);
    calls++;
}

/* Called, it ends everybody else. */
static void on_first(struct loop_source *source, uint32_t events)
{
    on_ready(source, events);
    for (int i = 0; i < SOURCES; i++)
        if (&sources[i] != source)
            loop_remove(loop, &sources[i]);
}

static bool wait_for_loop(int timeout_ms)
{
    (void)timeout_ms;
    return true;
}

static void deliver(void)
{
    for (int i = 0; remove_when_delivering && i < SOURCES; i++)
        loop_remove(loop, &sources[i]);
}

static void set_up(loop_source_fn *fn)
{
    calls = 0;
    loop = loop_new();
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "", 1), 1);
        assert_int_equal(loop_add(loop, &sources[i], pipes[i][0], EPOLLIN, fn), 0);
    }
}

static void tear_down(void)
{
    loop_free(&loop);
    for (int i = 0; i < SOURCES; i++) {
        assert_int_equal(close(pipes[i][0]), 0);
        assert_int_equal(close(pipes[i][1]), 0);
    }
}

static void who_is_removed_by_another_is_not_called(void **state)
{
    (void)state;
    set_up(on_first);
    loop_turn(loop, 0);
    assert_int_equal(calls, 1);
    tear_down();
}

static void who_is_removed_while_the_waiter_delivers_is_not_called(void **state)
{
    static const struct loop_waiter waiter = {wait_for_loop, deliver};
    (void)state;
    set_up(on_ready);
    loop_wait_by(loop, &waiter);
    loop_turn(loop, 0);
    assert_int_equal(calls, SOURCES);
    remove_when_delivering = true;
    loop_turn(loop, 0);
    assert_int_equal(calls, SOURCES);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_removed_by_another_is_not_called),
        cmocka_unit_test(who_is_removed_while_the_waiter_delivers_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

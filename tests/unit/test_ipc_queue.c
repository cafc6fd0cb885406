/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipc.h"
#include "ipc_queue.h"

enum { MESSAGES = 3000 };

/* More than the socket's queue takes: all arrive, in order, each with its descriptor. */
static void test_order(void **state)
{
    (void)state;
    static struct ipc_message message;
    struct ipc_queue queue = {0};
    int pair[2], null = open("/dev/null", O_RDONLY);
    assert_int_equal(ipc_pair(pair), 0);
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(ipc_queue_send(&queue, pair[0], i, &i, sizeof(i), &null, i % 7 == 0), 0);
    assert_false(ipc_queue_is_empty(&queue));
    for (uint32_t i = 0; i < MESSAGES; i++) {
        int r = ipc_recv(pair[1], &message);
        if (r == -EAGAIN) {
            ipc_queue_flush(&queue, pair[0]);
            r = ipc_recv(pair[1], &message);
        }
        assert_int_equal(r, 1);
        assert_int_equal(message.type, i);
        assert_memory_equal(message.payload, &i, sizeof(i));
        assert_int_equal(message.fds_count, i % 7 == 0);
        ipc_close_fds(&message);
    }
    assert_true(ipc_queue_is_empty(&queue));
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(null);
}

/* A reader that never reads costs bounded memory, and the sender learns of it. */
static void test_bound(void **state)
{
    (void)state;
    struct ipc_queue queue = {0};
    int pair[2], r = 0;
    uint32_t sent = 0;
    assert_int_equal(ipc_pair(pair), 0);
    while (sent < 2 * IPC_QUEUE_MESSAGES_MAX &&
           (r = ipc_queue_send(&queue, pair[0], 1, NULL, 0, NULL, 0)) == 0)
        sent++;
    assert_int_equal(r, -ENOBUFS);
    assert_true(sent >= IPC_QUEUE_MESSAGES_MAX);
    ipc_queue_clear(&queue);
    assert_true(ipc_queue_is_empty(&queue));
    (void)close(pair[1]);
    r = ipc_queue_send(&queue, pair[0], 1, NULL, 0, NULL, 0);
    assert_true(r == -EPIPE || r == -ECONNRESET); /* the latter: it left messages unread */
    (void)close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

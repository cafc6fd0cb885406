/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "outbox.h"

enum { DATA_BYTES = 4096, FRAMES = 200000 };

struct fixture {
    _Alignas(64) char memory[RING_HEADER_BYTES + DATA_BYTES];
    struct ring writer, reader;
};

static int setup(void **state)
{
    struct fixture *f = aligned_alloc(64, sizeof(struct fixture));
    memset(f, 0, sizeof(*f));
    ring_init(&f->writer, f->memory, DATA_BYTES);
    ring_init(&f->reader, f->memory, DATA_BYTES);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static int put(struct ring *ring, uint32_t type, uint32_t bytes, int fill)
{
    char *room = ring_reserve(ring, bytes, NULL);
    if (!room)
        return -EAGAIN;
    memset(room, fill, bytes);
    ring_commit(ring, type, type + 1, type + 2, bytes);
    return 0;
}

static void frames_keep_order_and_bytes(void **state)
{
    struct fixture *f = *state;
    unsigned sent = 0, got = 0;
    while (got < 5000) {
        while (sent < 5000 && put(&f->writer, sent, sent * 7 % 1000, (int)(sent & 0xff)) == 0)
            sent++;
        struct ring_frame frame;
        char payload[DATA_BYTES];
        int r;
        while ((r = ring_read(&f->reader, &frame, payload, sizeof(payload))) > 0) {
            assert_int_equal(frame.type, got);
            assert_int_equal(frame.slot, got + 1);
            assert_int_equal(frame.bytes, got * 7 % 1000);
            for (uint32_t i = 0; i < frame.bytes; i++)
                assert_int_equal((unsigned char)payload[i], got & 0xff);
            got++;
        }
        assert_int_equal(r, 0);
    }
}

static void full_ring_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    int count = 0;
    while (put(&f->writer, 1, 100, 1) == 0)
        count++;
    assert_true(count > 20);
    assert_true(ring_room(&f->writer) < 100);
    assert_true(ring_writer_sleep(&f->writer));
    struct ring_frame frame;
    char payload[128];
    assert_int_equal(ring_read(&f->reader, &frame, payload, sizeof(payload)), 1);
    assert_true(ring_writer_wants_bell(&f->reader));
    assert_false(ring_writer_wants_bell(&f->reader));
    assert_true(ring_room(&f->writer) >= 100);
}

static void oversized_frame_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(&f->writer, 9, 500, 3), 0);
    struct ring_frame frame;
    char payload[600];
    assert_int_equal(ring_read(&f->reader, &frame, payload, 499), -EMSGSIZE);
    assert_int_equal(ring_read(&f->reader, &frame, payload, 500), 1);
}

static void hostile_indices_are_protocol_errors(void **state)
{
    struct fixture *f = *state;
    uint32_t *head = (uint32_t *)f->memory, *tail = (uint32_t *)(f->memory + 64);
    struct ring_frame frame;
    char payload[128];
    int error;
    *head = DATA_BYTES + 16; /* more than fits */
    assert_int_equal(ring_read(&f->reader, &frame, payload, sizeof(payload)), -EPROTO);
    *head = 8; /* not aligned */
    assert_int_equal(ring_read(&f->reader, &frame, payload, sizeof(payload)), -EPROTO);
    *head = 16;
    memset(f->memory + RING_HEADER_BYTES, 0x7f, 16); /* longer than what was published */
    assert_int_equal(ring_read(&f->reader, &frame, payload, sizeof(payload)), -EPROTO);
    *head = 0;
    while (ring_reserve(&f->writer, 64, &error))
        ring_commit(&f->writer, 1, 0, 0, 64);
    assert_int_equal(error, 0);
    *tail = 0x40000000; /* ahead of the head */
    assert_null(ring_reserve(&f->writer, 64, &error));
    assert_int_equal(error, -EPROTO);
}

/* Else a pool that sends to a hostile instance would try for ever. */
static void outbox_gives_up_on_a_broken_ring(void **state)
{
    struct fixture *f = *state;
    struct channel channel = {.out = f->writer};
    struct outbox outbox = {.channel = &channel};
    char frame[100] = {0};
    while (buffer_len(&outbox.waiting) == 0)
        outbox_send(&outbox, 1, 0, 1, frame, sizeof(frame));
    assert_false(outbox_flush(&outbox));
    assert_true(ring_writer_refresh(&channel.out));
    uint32_t *tail = (uint32_t *)(f->memory + 64);
    *tail = 0x40000000;
    assert_false(outbox_flush(&outbox));
    assert_false(ring_writer_refresh(&channel.out));
    buffer_done(&outbox.waiting);
}

static void sleeping_reader_is_seen_once(void **state)
{
    struct fixture *f = *state;
    assert_false(ring_reader_wants_bell(&f->writer));
    assert_true(ring_reader_sleep(&f->reader));
    assert_int_equal(put(&f->writer, 1, 10, 0), 0);
    assert_true(ring_reader_wants_bell(&f->writer));
    assert_false(ring_reader_wants_bell(&f->writer));
    assert_false(ring_reader_sleep(&f->reader)); /* there is a frame */
}

/* Two threads stand for two processes; under TSan this proves the memory order. */
static void *write_frames(void *context)
{
    struct ring *ring = context;
    for (uint32_t i = 0; i < FRAMES;) {
        uint32_t bytes = i * 13 % 900;
        unsigned char *room = ring_reserve(ring, bytes, NULL);
        if (!room)
            continue;
        memset(room, (int)(i & 0xff), bytes);
        ring_commit(ring, 1, i, 0, bytes);
        i++;
    }
    return NULL;
}

static void two_threads_agree(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_frames, &f->writer), 0);
    uint32_t got = 0, wrong = 0;
    struct ring_frame frame;
    const void *payload;
    while (got < FRAMES) {
        int r = ring_peek(&f->reader, &frame, &payload);
        assert_true(r >= 0);
        if (r == 0)
            continue;
        const unsigned char *bytes = payload;
        wrong +=
            frame.slot != got || frame.bytes != got * 13 % 900 ||
            (frame.bytes && (bytes[0] != (got & 0xff) || bytes[frame.bytes - 1] != (got & 0xff)));
        ring_release(&f->reader, &frame);
        got++;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wrong, 0);
}

static void channel_carries_both_ways(void **state)
{
    (void)state;
    int fds[CHANNEL_FDS], copies[CHANNEL_FDS];
    assert_int_equal(channel_create(65536, fds), 0);
    for (int i = 0; i < CHANNEL_FDS; i++)
        copies[i] = dup(fds[i]);
    struct channel server, instance;
    assert_int_equal(channel_open(&server, CHANNEL_SERVER, fds), 0);
    assert_int_equal(channel_open(&instance, CHANNEL_INSTANCE, copies), 0);
    assert_true(channel_sleep(&instance));
    assert_int_equal(put(&server.out, 5, 1000, 7), 0);
    channel_flush(&server);
    uint64_t rung = 0;
    assert_int_equal(read(instance.bell_in, &rung, sizeof(rung)), sizeof(rung));
    struct ring_frame frame;
    char payload[2000];
    assert_int_equal(ring_read(&instance.in, &frame, payload, sizeof(payload)), 1);
    assert_int_equal(frame.type, 5);
    assert_int_equal(put(&instance.out, 6, 10, 7), 0);
    assert_int_equal(ring_read(&server.in, &frame, payload, sizeof(payload)), 1);
    assert_int_equal(frame.type, 6);
    channel_trim(&server);
    assert_int_equal(put(&server.out, 7, 10, 9), 0);
    assert_int_equal(ring_read(&instance.in, &frame, payload, sizeof(payload)), 1);
    assert_int_equal(payload[9], 9);
    channel_close(&server);
    channel_close(&instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_keep_order_and_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(full_ring_refuses_and_recovers, setup, teardown),
        cmocka_unit_test_setup_teardown(oversized_frame_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_indices_are_protocol_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(outbox_gives_up_on_a_broken_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(sleeping_reader_is_seen_once, setup, teardown),
        cmocka_unit_test_setup_teardown(two_threads_agree, setup, teardown),
        cmocka_unit_test(channel_carries_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

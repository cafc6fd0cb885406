/* SPDX-License-Identifier: Apache-2.0 */
/* See ring.h. Memory order: the writer publishes head with release after the frame's bytes, the
 * reader loads it with acquire; tail the same the other way. Sleeping: a side sets its mark, fences
 * (seq_cst), and looks once more; the other side publishes, fences, and looks at the mark. One of
 * the two always sees the other, so no wake-up is lost. */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define RING_TYPE_SKIP 0xffffffffu
#define RING_ALIGN     16u

struct ring_shared {
    _Atomic uint32_t head; /* the writer's */
    _Atomic uint32_t hint; /* the writer's, beside what the reader loads in any case */
    char pad0[56];
    _Atomic uint32_t tail; /* the reader's */
    char pad1[60];
    _Atomic uint32_t reader_sleeps;
    char pad2[60];
    _Atomic uint32_t writer_sleeps;
    char pad3[60];
};
static_assert(sizeof(struct ring_shared) == RING_HEADER_BYTES, "layout");
static_assert(sizeof(struct ring_frame) == RING_FRAME_HEADER_BYTES, "layout");

void ring_set_hint(struct ring *ring, uint32_t hint)
{
    atomic_store_explicit(&ring->shared->hint, hint, memory_order_relaxed);
}

uint32_t ring_hint(const struct ring *ring)
{
    return atomic_load_explicit(&ring->shared->hint, memory_order_relaxed);
}

static uint32_t frame_span(uint32_t payload_bytes)
{
    return (RING_FRAME_HEADER_BYTES + payload_bytes + RING_ALIGN - 1) & ~(RING_ALIGN - 1);
}

void ring_init(struct ring *ring, void *memory, uint32_t data_bytes)
{
    assert(data_bytes >= 1024 && (data_bytes & (data_bytes - 1)) == 0);
    assert(((uintptr_t)memory & 63) == 0);
    *ring = (struct ring){
        .shared = memory, .data = (char *)memory + RING_HEADER_BYTES, .size = data_bytes};
}

/* Writer: refreshes the reader's index. False when it is impossible. */
static bool refresh_tail(struct ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    if (ring->index - tail > ring->size || ring->index - tail > ring->index - ring->peer)
        return false; /* beyond our head, or moving backwards */
    ring->peer = tail;
    return true;
}

/* Bytes from our head to the end of the data, and free bytes in all. */
static uint32_t to_end(const struct ring *ring)
{
    return ring->size - (ring->index & (ring->size - 1));
}

static uint32_t free_bytes(const struct ring *ring)
{
    return ring->size - (ring->index - ring->peer);
}

static void write_header(struct ring *ring, struct ring_frame frame)
{
    memcpy(ring->data + (ring->index & (ring->size - 1)), &frame, sizeof(frame));
}

void *ring_reserve(struct ring *ring, uint32_t bytes, int *ret_error)
{
    assert(bytes <= ring_payload_bytes_max(ring));
    if (ret_error)
        *ret_error = 0;
    uint32_t span = frame_span(bytes), end = to_end(ring);
    uint32_t need = span <= end ? span : end + span;
    if (free_bytes(ring) < need) {
        if (!refresh_tail(ring)) {
            if (ret_error)
                *ret_error = -EPROTO;
            return NULL;
        }
        if (free_bytes(ring) < need)
            return NULL;
    }
    if (span > end) { /* the skip frame is published together with the frame after it */
        write_header(ring,
                     (struct ring_frame){end - RING_FRAME_HEADER_BYTES, RING_TYPE_SKIP, 0, 0});
        ring->index += end;
    }
    ring->pending = bytes + 1;
    return ring->data + (ring->index & (ring->size - 1)) + RING_FRAME_HEADER_BYTES;
}

void ring_commit(struct ring *ring, uint32_t type, uint32_t slot, uint32_t aux, uint32_t bytes)
{
    assert(ring->pending && bytes + 1 <= ring->pending && type != RING_TYPE_SKIP);
    ring->pending = 0;
    write_header(ring, (struct ring_frame){bytes, type, slot, aux});
    ring->index += frame_span(bytes);
    ring->moved = true;
    atomic_store_explicit(&ring->shared->head, ring->index, memory_order_release);
}

bool ring_writer_refresh(struct ring *ring)
{
    return refresh_tail(ring);
}

/* The type word decides between claim and revoke: whoever changes it first. */
#define RING_TYPE_CLAIMED 0x80000000u
#define RING_TYPE_REVOKED 0xfffffffeu

static _Atomic uint32_t *type_word(struct ring *ring, uint32_t position)
{
    char *header = ring->data + (position & (ring->size - 1));
    return (_Atomic uint32_t *)(void *)(header + offsetof(struct ring_frame, type));
}

bool ring_revoke(struct ring *ring, uint32_t position, uint32_t aux)
{
    if (!refresh_tail(ring) || position - ring->peer >= ring->index - ring->peer)
        return false; /* read already: the place may hold another frame by now */
    struct ring_frame frame;
    memcpy(&frame, ring->data + (position & (ring->size - 1)), sizeof(frame));
    if (frame.aux != aux || frame.type >= RING_TYPE_CLAIMED)
        return false;
    uint32_t type = frame.type;
    return atomic_compare_exchange_strong(type_word(ring, position), &type, RING_TYPE_REVOKED);
}

bool ring_claim(struct ring *ring, const struct ring_frame *frame)
{
    uint32_t type = frame->type;
    return type < RING_TYPE_CLAIMED &&
           atomic_compare_exchange_strong(type_word(ring, ring->index), &type,
                                          type | RING_TYPE_CLAIMED);
}

uint32_t ring_room(struct ring *ring)
{
    if (!refresh_tail(ring))
        return 0;
    uint32_t room = free_bytes(ring), end = to_end(ring);
    if (room > end) /* the frame goes before or after the wrap, whichever is larger */
        room = end > room - end ? end : room - end;
    if (room <= RING_FRAME_HEADER_BYTES)
        return 0;
    room -= RING_FRAME_HEADER_BYTES;
    return room < ring_payload_bytes_max(ring) ? room : ring_payload_bytes_max(ring);
}

/* Reader: finds the next frame past skips. Results as ring_read. */
static int next_frame(struct ring *ring, struct ring_frame *ret_frame)
{
    for (;;) {
        if (ring->index == ring->peer) {
            uint32_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
            if (head - ring->index > ring->size || (head & (RING_ALIGN - 1)) != 0)
                return -EPROTO;
            ring->peer = head;
            if (ring->index == head)
                return 0;
        }
        uint32_t used = ring->peer - ring->index;
        uint32_t end = to_end(ring);
        struct ring_frame frame;
        memcpy(&frame, ring->data + (ring->index & (ring->size - 1)), sizeof(frame));
        if (frame.bytes > ring->size || frame_span(frame.bytes) > used ||
            frame_span(frame.bytes) > end)
            return -EPROTO;
        if (frame.type != RING_TYPE_SKIP) {
            if (frame.bytes > ring_payload_bytes_max(ring))
                return -EPROTO;
            *ret_frame = frame;
            return 1;
        }
        if (frame_span(frame.bytes) != end)
            return -EPROTO; /* a skip reaches exactly to the end */
        ring->index += end;
        ring->moved = true;
        atomic_store_explicit(&ring->shared->tail, ring->index, memory_order_release);
    }
}

int ring_read(struct ring *ring, struct ring_frame *ret_frame, void *dst, size_t cap)
{
    struct ring_frame frame;
    int r = next_frame(ring, &frame);
    if (r <= 0)
        return r;
    if (frame.bytes > cap)
        return -EMSGSIZE;
    memcpy(dst, ring->data + (ring->index & (ring->size - 1)) + RING_FRAME_HEADER_BYTES,
           frame.bytes);
    *ret_frame = frame;
    ring_release(ring, &frame);
    return 1;
}

int ring_peek(struct ring *ring, struct ring_frame *ret_frame, const void **ret_payload)
{
    int r = next_frame(ring, ret_frame);
    if (r > 0)
        *ret_payload = ring->data + (ring->index & (ring->size - 1)) + RING_FRAME_HEADER_BYTES;
    return r;
}

void ring_release(struct ring *ring, const struct ring_frame *frame)
{
    ring->index += frame_span(frame->bytes);
    ring->moved = true;
    atomic_store_explicit(&ring->shared->tail, ring->index, memory_order_release);
}

bool ring_reader_sleep(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->reader_sleeps, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
    if (head == ring->index)
        return true;
    ring_reader_awake(ring);
    return false;
}

void ring_reader_awake(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->reader_sleeps, 0, memory_order_relaxed);
}

bool ring_reader_wants_bell(struct ring *ring)
{
    if (!ring->moved)
        return false;
    ring->moved = false;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&ring->shared->reader_sleeps, memory_order_relaxed))
        return false;
    atomic_store_explicit(&ring->shared->reader_sleeps, 0, memory_order_relaxed);
    return true;
}

bool ring_writer_sleep(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->writer_sleeps, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t before = ring->peer;
    return refresh_tail(ring) && ring->peer == before;
}

bool ring_writer_wants_bell(struct ring *ring)
{
    if (!ring->moved)
        return false;
    ring->moved = false;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&ring->shared->writer_sleeps, memory_order_relaxed))
        return false;
    atomic_store_explicit(&ring->shared->writer_sleeps, 0, memory_order_relaxed);
    return true;
}

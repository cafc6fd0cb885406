/* SPDX-License-Identifier: Apache-2.0 */
/* Frame ring: one writer, one reader, in memory shared by two processes; the other side may be
 * hostile. head and tail run freely (used = head - tail). Each side keeps its own index private
 * and trusts only that copy; the peer's index is loaded once, checked, and a frame is copied out
 * before it is looked at (DESIGN: copy, then check).
 *
 * A frame is {u32 bytes, u32 type, u32 slot, u32 aux} + payload, padded to 16. Frames never wrap:
 * a writer that has too little room before the end writes a skip frame. */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common.h"

enum {
    RING_HEADER_BYTES = 256,      /* shared indices, each on its own cache lines */
    RING_FRAME_HEADER_BYTES = 16, /* struct ring_frame */
};

/* One side of one direction. Embedded by the owner; plain memory, nothing to free. */
struct ring {
    struct ring_shared *shared; /* head, tail, waiting flag */
    char *data;
    uint32_t size;    /* of data: a power of two */
    uint32_t index;   /* our own: head of a writer, tail of a reader */
    uint32_t peer;    /* the last checked value of the peer's */
    uint32_t pending; /* writer: bytes of the frame being written (0: none) */
    bool moved;       /* our index changed since the peer was last considered for a bell */
};

struct ring_frame {
    uint32_t bytes; /* of the payload */
    uint32_t type;  /* the protocol's; 0xffffffff is the ring's own skip frame */
    uint32_t slot;
    uint32_t aux;
};

/* Bytes of shared memory for a ring with data_bytes (a power of two) of data. */
static inline size_t ring_memory_bytes(size_t data_bytes)
{
    return RING_HEADER_BYTES + data_bytes;
}

/* Largest payload that ever fits: a quarter of the data, so that a frame always fits an empty
 * ring whatever its position. */
static inline uint32_t ring_payload_bytes_max(const struct ring *ring)
{
    return ring->size / 4 - RING_FRAME_HEADER_BYTES;
}

/* memory: zeroed by its maker, RING_HEADER_BYTES + data_bytes, 64-byte aligned. */
void ring_init(struct ring *ring, void *memory, uint32_t data_bytes);

/* A number of the writer's that the reader may look at whenever it likes; 0 at first. */
void ring_set_hint(struct ring *ring, uint32_t hint);
uint32_t ring_hint(const struct ring *ring);

/* Writer: room for a frame of bytes; returns where the payload goes, or NULL when the ring is
 * full (-EPROTO in *ret_error if the peer's index is impossible; ret_error may be NULL).
 * Then ring_commit publishes it, with fewer bytes if wanted. Neither blocks nor allocates. */
void *ring_reserve(struct ring *ring, uint32_t bytes, int *ret_error) WARN_UNUSED;
void ring_commit(struct ring *ring, uint32_t type, uint32_t slot, uint32_t aux, uint32_t bytes);
/* Bytes of payload that a reserve would get now (0: full). */
uint32_t ring_room(struct ring *ring);

/* Writer: looks how far the reader is. False: its index is impossible. */
bool ring_writer_refresh(struct ring *ring) WARN_UNUSED;

/* Writer: takes back the frame whose reserve began at `position` (ring->index before ring_commit,
 * with skips already made) and whose header carries aux, unless the reader claimed it. True: the
 * reader will skip it. */
bool ring_revoke(struct ring *ring, uint32_t position, uint32_t aux);
/* Reader, after ring_peek: is the frame still the writer's wish? False: it was revoked; release it.
 */
bool ring_claim(struct ring *ring, const struct ring_frame *frame);

/* Reader: copies the next frame's header to *ret_frame and its payload to dst[0..cap).
 * 1: a frame. 0: empty. -EMSGSIZE: payload longer than cap, left in place. -EPROTO: the peer broke
 * the layout; the caller ends the peer, not itself. */
int ring_read(struct ring *ring, struct ring_frame *ret_frame, void *dst, size_t cap) WARN_UNUSED;
/* Reader that trusts the writer (an instance reading its gateway's ring): borrows the payload until
 * ring_release. Same results as ring_read, never -EMSGSIZE. */
int ring_peek(struct ring *ring, struct ring_frame *ret_frame,
              const void **ret_payload) WARN_UNUSED;
void ring_release(struct ring *ring, const struct ring_frame *frame);

/* Reader: about to sleep. True: still empty, the writer will ring the doorbell for the next frame;
 * false: something came, read on. Call ring_reader_awake when woken. */
bool ring_reader_sleep(struct ring *ring);
void ring_reader_awake(struct ring *ring);
/* Writer, after commits: does the reader sleep? (Clears the mark: the caller now rings the
 * doorbell.) False without a look when nothing was committed since the last call. */
bool ring_reader_wants_bell(struct ring *ring);
/* Writer: ring full; asks the reader to ring our bell once it made room. True: still full. False
 * also when the reader's index is impossible: whoever then tries again asks ring_writer_refresh. */
bool ring_writer_sleep(struct ring *ring);
/* Reader: after releasing frames, does the writer wait for room? (Clears the mark.) */
bool ring_writer_wants_bell(struct ring *ring);

#endif

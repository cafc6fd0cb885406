/* SPDX-License-Identifier: Apache-2.0 */
/* The sending side of a channel: frames go into the ring, and wait in memory while it is full.
 * Order is kept: once a frame waits, all after it do. How much may wait is for the protocol above
 * to limit. */
#ifndef WEIR_OUTBOX_H
#define WEIR_OUTBOX_H

#include "buffer.h"
#include "channel.h"

struct outbox {
    struct channel *channel;
    struct buffer waiting; /* struct ring_frame + payload, repeated */
};

/* Room to build a frame of at most bytes; outbox_commit sends what was built. */
void *outbox_reserve(struct outbox *outbox, uint32_t bytes);
void outbox_commit(struct outbox *outbox, uint32_t type, uint32_t slot, uint64_t id,
                   uint32_t bytes);
void outbox_send(struct outbox *outbox, uint32_t type, uint32_t slot, uint64_t id,
                 const void *payload, uint32_t bytes);
/* Moves what waits into the ring. True when all of it went; else our bell rings when there is room,
 * unless the reader has broken the ring (ring_writer_refresh). */
bool outbox_flush(struct outbox *outbox);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance sends: frames into a channel, waiting in memory while the ring is full, and the
 * body of each exchange under its credit. Order is kept: once a frame waits, all after it do. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include "buffer.h"
#include "channel.h"
#include "http_frames.h"

/* A channel's sending side. */
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
/* Moves what waits into the ring. True when all of it went. */
bool outbox_flush(struct outbox *outbox);

/* The outgoing body of one exchange. Zero-initialised is none. */
struct outflow {
    struct buffer pending; /* beyond the credit */
    int64_t credit;        /* bytes that the receiver still takes */
    bool fin, fin_sent;    /* the last bytes are queued / went */
    uint32_t fin_flags;    /* added to the frame that carries FRAME_FIN */
};

/* Queues bytes (and the end) and sends as much as the credit allows. */
void outflow_write(struct outflow *flow, struct outbox *outbox, uint32_t slot, uint64_t id,
                   struct slice bytes, bool fin);
void outflow_credit(struct outflow *flow, struct outbox *outbox, uint32_t slot, uint64_t id,
                    uint32_t bytes);
void outflow_done(struct outflow *flow);

#endif

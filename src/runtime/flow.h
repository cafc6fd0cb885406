/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an exchange on its way out of an instance: as much of it as its credit allows goes
 * into the outbox, the rest waits here. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include "http_frames.h"
#include "outbox.h"

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

/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

static void send_chunk(struct outflow *flow, struct outbox *outbox, uint32_t slot, uint64_t id,
                       struct slice bytes, bool last)
{
    struct frame_body body = {.id = id, .bytes = (uint32_t)bytes.len};
    if (last)
        body.flags = FRAME_FIN | flow->fin_flags;
    char *room = outbox_reserve(outbox, (uint32_t)(sizeof(body) + bytes.len));
    memcpy(room, &body, sizeof(body));
    if (bytes.len > 0)
        memcpy(room + sizeof(body), bytes.ptr, bytes.len);
    outbox_commit(outbox, FRAME_BODY, slot, id, (uint32_t)(sizeof(body) + bytes.len));
    flow->credit -= (int64_t)bytes.len;
    flow->fin_sent |= last;
}

/* Sends from the front of *bytes what the credit allows. */
static void send_within_credit(struct outflow *flow, struct outbox *outbox, uint32_t slot,
                               uint64_t id, struct slice *bytes)
{
    while (bytes->len > 0 && flow->credit > 0) {
        size_t len = bytes->len < BODY_CHUNK_BYTES_MAX ? bytes->len : BODY_CHUNK_BYTES_MAX;
        if ((int64_t)len > flow->credit)
            len = (size_t)flow->credit;
        send_chunk(flow, outbox, slot, id, (struct slice){bytes->ptr, len},
                   flow->fin && len == bytes->len);
        bytes->ptr += len;
        bytes->len -= len;
    }
    if (bytes->len == 0 && flow->fin && !flow->fin_sent)
        send_chunk(flow, outbox, slot, id, (struct slice){0}, true);
}

void outflow_write(struct outflow *flow, struct outbox *outbox, uint32_t slot, uint64_t id,
                   struct slice bytes, bool fin)
{
    if (flow->fin)
        return; /* bytes after the end: the library's guard failed, the receiver must not see them
                 */
    flow->fin = fin;
    if (buffer_len(&flow->pending) == 0)
        send_within_credit(flow, outbox, slot, id, &bytes);
    buffer_append_slice(&flow->pending, bytes);
}

void outflow_credit(struct outflow *flow, struct outbox *outbox, uint32_t slot, uint64_t id,
                    uint32_t bytes)
{
    flow->credit += bytes;
    struct slice rest = buffer_slice(&flow->pending);
    size_t before = rest.len;
    if (before == 0)
        return;
    send_within_credit(flow, outbox, slot, id, &rest);
    buffer_consume(&flow->pending, before - rest.len);
}

void outflow_done(struct outflow *flow)
{
    buffer_done(&flow->pending);
    *flow = (struct outflow){0};
}

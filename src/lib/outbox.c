/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

void *outbox_reserve(struct outbox *outbox, uint32_t bytes)
{
    if (buffer_len(&outbox->waiting) == 0) {
        void *room = ring_reserve(&outbox->channel->out, bytes, NULL);
        if (room)
            return room;
    }
    return buffer_reserve(&outbox->waiting, sizeof(struct ring_frame) + bytes) +
           sizeof(struct ring_frame);
}

void outbox_commit(struct outbox *outbox, uint32_t type, uint32_t slot, uint64_t id, uint32_t bytes)
{
    struct ring *ring = &outbox->channel->out;
    if (ring->pending) {
        ring_commit(ring, type, slot, (uint32_t)id, bytes);
        return;
    }
    struct ring_frame frame = {bytes, type, slot, (uint32_t)id};
    memcpy(outbox->waiting.data + outbox->waiting.end, &frame, sizeof(frame));
    outbox->waiting.end += sizeof(frame) + bytes;
}

void outbox_send(struct outbox *outbox, uint32_t type, uint32_t slot, uint64_t id,
                 const void *payload, uint32_t bytes)
{
    memcpy(outbox_reserve(outbox, bytes), payload, bytes);
    outbox_commit(outbox, type, slot, id, bytes);
}

bool outbox_flush(struct outbox *outbox)
{
    struct buffer *waiting = &outbox->waiting;
    while (buffer_len(waiting) > 0) {
        struct ring_frame frame;
        memcpy(&frame, waiting->data + waiting->start, sizeof(frame));
        int error;
        void *room = ring_reserve(&outbox->channel->out, frame.bytes, &error);
        if (!room) {
            if (error < 0 || ring_writer_sleep(&outbox->channel->out))
                return false;
            continue;
        }
        memcpy(room, waiting->data + waiting->start + sizeof(frame), frame.bytes);
        ring_commit(&outbox->channel->out, frame.type, frame.slot, frame.aux, frame.bytes);
        buffer_consume(waiting, sizeof(frame) + frame.bytes);
    }
    buffer_reset(waiting, 64 * 1024);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "assets.h"
#include "dispatch.h"
#include "request.h"

enum { EXCHANGES_MAX = 128 }; /* of an instance: each may hold a descriptor */

/* A body that is longer than its window waits here for credit. */
struct asset_exchange {
    struct asset_exchange *next;
    struct instance *instance;
    uint64_t id;
    uint32_t slot;
    int64_t credit;
    struct assets_answer answer;
    int64_t sent_bytes;
};

static struct asset_exchange *exchanges;

static void drop(struct asset_exchange **place)
{
    struct asset_exchange *exchange = *place;
    *place = exchange->next;
    assets_answer_done(&exchange->answer);
    free(exchange);
}

static struct asset_exchange **find(const struct instance *instance, uint64_t id)
{
    for (struct asset_exchange **place = &exchanges; *place; place = &(*place)->next)
        if ((*place)->instance == instance && (*place)->id == id)
            return place;
    return NULL;
}

static size_t count_of(const struct instance *instance)
{
    size_t count = 0;
    for (const struct asset_exchange *e = exchanges; e; e = e->next)
        count += e->instance == instance;
    return count;
}

/* Sends what the credit allows; drops the exchange at the end of the body. */
static void pump(struct asset_exchange **place)
{
    struct asset_exchange *exchange = *place;
    struct assets_answer *answer = &exchange->answer;
    static char chunk[BODY_CHUNK_BYTES_MAX];
    while (exchange->credit > 0 && exchange->sent_bytes < answer->body_bytes) {
        int64_t left = answer->body_bytes - exchange->sent_bytes;
        size_t len = left < BODY_CHUNK_BYTES_MAX ? (size_t)left : BODY_CHUNK_BYTES_MAX;
        if ((int64_t)len > exchange->credit)
            len = (size_t)exchange->credit;
        size_t room = dispatch_room(exchange->instance);
        if (room == 0)
            return; /* asset_exchange_resume goes on */
        if (len > room)
            len = room;
        struct slice bytes = {chunk, len};
        if (answer->fd >= 0) {
            ssize_t got = pread(answer->fd, chunk, len, answer->offset + exchange->sent_bytes);
            if (got <= 0) {
                struct frame_error error = {.id = exchange->id, .kind = ERROR_KIND_PROTOCOL};
                if (dispatch_send(exchange->instance, FRAME_ERROR, exchange->slot, exchange->id,
                                  &error, sizeof(error), (struct slice){0}))
                    drop(place);
                return;
            }
            bytes.len = len = (size_t)got;
        } else {
            bytes.ptr = answer->body.ptr + exchange->sent_bytes;
        }
        bool last = exchange->sent_bytes + (int64_t)len == answer->body_bytes;
        struct frame_body body = {exchange->id, last ? FRAME_FIN : 0, (uint32_t)len};
        if (!dispatch_send(exchange->instance, FRAME_BODY, exchange->slot, exchange->id, &body,
                           sizeof(body), bytes))
            return;
        exchange->sent_bytes += (int64_t)len;
        exchange->credit -= (int64_t)len;
    }
    if (exchange->sent_bytes == answer->body_bytes)
        drop(place);
}

int asset_exchange_start(struct instance *instance, const struct ring_frame *frame,
                         struct slice payload)
{
    static struct http1_request request;
    struct frame_request head;
    if (!request_parse_frame(payload, &head, &request) || head.id < EXCHANGE_ID_BASE ||
        frame->slot >= SLOTS_MAX || find(instance, head.id))
        return -EPROTO;
    struct asset_exchange *exchange = xcalloc(1, sizeof(*exchange));
    struct assets_answer *answer = &exchange->answer;
    if (count_of(instance) >= EXCHANGES_MAX)
        *answer = (struct assets_answer){.status = 503, .fd = -1};
    else if (instance->deployment->assets)
        assets_fetch(instance->deployment->assets, &request, answer);
    else
        *answer = (struct assets_answer){.status = 404, .fd = -1};
    if (slice_equal(request.method, SLICE("HEAD")) || answer->status == 304)
        answer->body_bytes = 0;
    if (answer->fd < 0 && answer->body.len > 0)
        assets_answer_keep(answer); /* other requests come while this body waits for credit */
    struct frame_response response = {
        .id = head.id,
        .body_bytes = answer->body_bytes,
        .flags = answer->body_bytes == 0 ? FRAME_FIN : 0,
        .status = (uint32_t)answer->status,
        .headers_bytes = (uint32_t)answer->headers.len,
    };
    exchange->instance = instance;
    exchange->id = head.id;
    exchange->slot = frame->slot;
    exchange->credit = FLOW_WINDOW_BYTES;
    exchange->next = exchanges;
    exchanges = exchange;
    if (!dispatch_send(instance, FRAME_RESPONSE, frame->slot, head.id, &response, sizeof(response),
                       answer->headers)) {
        drop(&exchanges);
        return -EPROTO; /* it opens exchanges and reads no answers */
    }
    pump(&exchanges);
    return 0;
}

void asset_exchange_resume(struct instance *instance)
{
    for (struct asset_exchange **place = &exchanges; *place && !instance->starved;) {
        struct asset_exchange *exchange = *place;
        if (exchange->instance == instance)
            pump(place);
        if (*place == exchange) /* it is not over */
            place = &exchange->next;
    }
}

int asset_exchange_credit(struct instance *instance, uint32_t slot, uint64_t id, uint32_t bytes)
{
    struct asset_exchange **place = find(instance, id);
    (void)slot;
    if (!place)
        return 0;
    if ((*place)->credit + bytes > FLOW_WINDOW_BYTES)
        return -EPROTO;
    (*place)->credit += bytes;
    pump(place);
    return 0;
}

void asset_exchange_abort(struct instance *instance, uint32_t slot, uint64_t id)
{
    struct asset_exchange **place = find(instance, id);
    (void)slot;
    if (place)
        drop(place);
}

void asset_exchange_drop_all(struct instance *instance)
{
    for (struct asset_exchange **place = &exchanges; *place;) {
        if ((*place)->instance == instance)
            drop(place);
        else
            place = &(*place)->next;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The channels of instances. Every frame is copied out of the ring, then checked; an instance that
 * breaks the protocol is not read any more and the supervisor is asked to end it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "broker.h"
#include "ipc.h"
#include "log.h"

enum { FRAMES_PER_TURN = 256 }; /* of one instance: the others wait */

static char payload[BROKER_RING_BYTES / 4];

void attachment_break(struct attachment *attachment)
{
    struct control_kill order = {attachment->instance_id, KILL_PROTOCOL};
    if (attachment->broken)
        return;
    attachment->broken = true;
    loop_remove(broker.loop, &attachment->bell);
    while (attachment->exchanges)
        exchange_abort(attachment->exchanges);
    log_warn("instance %u broke the protocol", attachment->instance_id);
    (void)ipc_send(broker.control.fd, CONTROL_KILL, &order, sizeof(order), NULL, 0);
}

/* ---- from the instance ---- */

static int on_request(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_request request;
    if (frame->bytes < sizeof(request))
        return -EPROTO;
    memcpy(&request, payload, sizeof(request));
    uint64_t rest = (uint64_t)request.method_bytes + request.url_bytes + request.headers_bytes;
    if (rest > HEAD_BYTES_MAX || request.inline_bytes > INLINE_BODY_BYTES_MAX ||
        sizeof(request) + rest + request.inline_bytes != frame->bytes)
        return -EPROTO;
    return exchange_open(attachment, frame->slot, &request, payload + sizeof(request));
}

static int on_body(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_body body;
    if (frame->bytes < sizeof(body))
        return -EPROTO;
    memcpy(&body, payload, sizeof(body));
    if (body.bytes > BODY_CHUNK_BYTES_MAX || sizeof(body) + body.bytes != frame->bytes)
        return -EPROTO;
    struct exchange *exchange = exchange_find(attachment, body.id);
    struct slice bytes = {payload + sizeof(body), body.bytes};
    return exchange ? exchange_body(exchange, bytes, body.flags & FRAME_FIN) : 0;
}

static int on_credit(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_credit credit;
    if (frame->bytes != sizeof(credit))
        return -EPROTO;
    memcpy(&credit, payload, sizeof(credit));
    struct exchange *exchange = exchange_find(attachment, credit.id);
    return exchange ? exchange_credit(exchange, credit.bytes) : 0;
}

static int on_abort(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_abort abort_frame;
    if (frame->bytes != sizeof(abort_frame))
        return -EPROTO;
    memcpy(&abort_frame, payload, sizeof(abort_frame));
    struct exchange *exchange = exchange_find(attachment, abort_frame.id);
    if (exchange)
        exchange_abort(exchange);
    return 0;
}

static int on_start_tls(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_start_tls order;
    if (frame->bytes < sizeof(order))
        return -EPROTO;
    memcpy(&order, payload, sizeof(order));
    if (order.host_bytes > HOST_BYTES_MAX || sizeof(order) + order.host_bytes != frame->bytes)
        return -EPROTO;
    struct exchange *exchange = exchange_find(attachment, order.id);
    struct slice host = {payload + sizeof(order), order.host_bytes};
    return exchange ? exchange_start_tls(exchange, host) : 0;
}

static int on_frame(struct attachment *attachment, const struct ring_frame *frame)
{
    switch (frame->type) {
    case FRAME_REQUEST:
        return on_request(attachment, frame);
    case FRAME_BODY:
        return on_body(attachment, frame);
    case FRAME_CREDIT:
        return on_credit(attachment, frame);
    case FRAME_ABORT:
        return on_abort(attachment, frame);
    case FRAME_START_TLS:
        return on_start_tls(attachment, frame);
    default:
        return -EPROTO;
    }
}

/* True: its share of the turn is used up and there is more. */
static bool read_frames(struct attachment *attachment)
{
    struct ring_frame frame;
    int r = 1;
    for (int i = 0; i < FRAMES_PER_TURN && r == 1; i++) {
        r = ring_read(&attachment->channel.in, &frame, payload, sizeof(payload));
        if (r == 1 && on_frame(attachment, &frame) < 0)
            r = -EPROTO;
    }
    channel_consumed(&attachment->channel);
    if (r < 0)
        attachment_break(attachment);
    return r == 1 || (r == 0 && !channel_sleep(&attachment->channel));
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct attachment *attachment = CONTAINER_OF(source, struct attachment, bell);
    (void)events;
    channel_rung(&attachment->channel);
    attachment->unread = true; /* read at the end of the turn, with what the network brought */
    attachment_mark(attachment);
}

/* ---- to the instance ---- */

static struct attachment *marked;

void attachment_mark(struct attachment *attachment)
{
    if (attachment->marked || attachment->broken)
        return;
    attachment->marked = true;
    attachment->next_marked = marked;
    marked = attachment;
}

static void flush(struct attachment *attachment)
{
    for (struct exchange *exchange = attachment->exchanges, *next; exchange; exchange = next) {
        next = exchange->next;
        if (exchange_flush(exchange))
            continue;
        /* Its bell rings when there is room; unless there is some by now. */
        if (!ring_writer_refresh(&attachment->channel.out))
            attachment_break(attachment);
        else if (!ring_writer_sleep(&attachment->channel.out))
            attachment_mark(attachment);
        break;
    }
    channel_flush(&attachment->channel);
}

void attachment_flush_all(void *owner)
{
    struct attachment *list = TAKE(marked);
    (void)owner;
    while (list) {
        struct attachment *attachment = list;
        list = attachment->next_marked;
        attachment->marked = false;
        if (attachment->unread && !attachment->broken) {
            attachment->unread = read_frames(attachment);
            if (attachment->unread)
                attachment_mark(attachment);
        }
        if (!attachment->broken)
            flush(attachment);
    }
    if (marked)
        loop_stay_awake(broker.loop);
}

/* ---- life ---- */

void attachment_open(const struct control_instance *order, int fds[CHANNEL_FDS])
{
    struct deployment *deployment = deployment_find(order->deployment_id);
    struct attachment *attachment = xcalloc(1, sizeof(*attachment));
    attachment->instance_id = order->instance_id;
    int r = channel_open(&attachment->channel, CHANNEL_SERVER, fds);
    if (r == 0 && deployment)
        r = loop_add(broker.loop, &attachment->bell, attachment->channel.bell_in, EPOLLIN | EPOLLET,
                     on_bell);
    if (r < 0 || !deployment) {
        log_error("instance %u: cannot attach it: %s", order->instance_id,
                  deployment ? strerror(-r) : "no such deployment");
        channel_close(&attachment->channel);
        free(attachment);
        return;
    }
    attachment->deployment = deployment;
    deployment->attachments++;
    attachment->next = broker.attachments;
    broker.attachments = attachment;
    attachment->unread = true; /* it may have written before we came */
    attachment_mark(attachment);
    loop_stay_awake(broker.loop);
}

static void unmark(const struct attachment *attachment)
{
    struct attachment **place = &marked;
    while (*place && *place != attachment)
        place = &(*place)->next_marked;
    if (*place)
        *place = attachment->next_marked;
}

void attachment_close(uint32_t instance_id)
{
    struct attachment **place = &broker.attachments;
    while (*place && (*place)->instance_id != instance_id)
        place = &(*place)->next;
    if (!*place)
        return;
    struct attachment *attachment = *place;
    struct deployment *deployment = attachment->deployment;
    *place = attachment->next;
    while (attachment->exchanges)
        exchange_abort(attachment->exchanges);
    unmark(attachment);
    loop_remove(broker.loop, &attachment->bell);
    channel_close(&attachment->channel);
    free(attachment);
    deployment->attachments--;
    deployment_release(deployment);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "http_frames.h"
#include "ipc.h"
#include "log.h"
#include "outbox.h"
#include "placement.h"

enum {
    FRAMES_PER_TURN = 256,         /* of one instance: the others wait */
    SOCKETS_OF_INSTANCE_MAX = 512, /* 8 for each request that it serves at once by default */
    TARGET_BYTES_MAX = 512,
    /* Of all sockets of an instance, each way. One alone may have its window, but a worker in which
     * hundreds use all of theirs has no good reason to. */
    WAITING_BYTES_MAX = 16 * 1024 * 1024,
};

struct attachment {
    struct attachment *next;
    uint32_t instance_id, deployment_id;
    struct channel channel;
    struct outbox outbox;
    struct loop_source bell;
    struct binding_config *bindings;
    size_t bindings_count;
    struct socket *sockets;
    uint32_t sockets_count;
    size_t waiting_bytes; /* of all sockets: from the instance, not read by their clients yet */
    bool stalled;         /* clients that write to it wait for room in its outbox */
    uint64_t last_id;
    bool broken; /* broke the protocol: waits for the supervisor to end it */
    bool unread; /* there may be frames in its ring */
    bool marked; /* in the list of those to look at when the turn ends */
    struct attachment *next_marked;
};

struct socket {
    struct client client;          /* first: they are one allocation */
    struct attachment *attachment; /* NULL: closed */
    struct socket *next;
    const struct binding_config *binding;
    uint64_t id;
    uint32_t slot;
    struct buffer in;
    int64_t window; /* what the instance may still send */
    int64_t credit; /* what it still takes */
    uint32_t credit_owed;
    uint32_t events; /* that the client has not been told of */
    bool ended;      /* the instance sends no more */
    bool aborted;    /* … and wants to hear no more */
};

static char payload[POOL_RING_BYTES / 4];
static struct attachment *attachments, *marked;

static void mark(struct attachment *attachment)
{
    if (attachment->marked || attachment->broken)
        return;
    attachment->marked = true;
    attachment->next_marked = marked;
    marked = attachment;
}

/* ---- the carrier ---- */

static struct socket *socket_of(struct stream *stream)
{
    return CONTAINER_OF(CONTAINER_OF(stream, struct client, stream), struct socket, client);
}

const struct binding_config *worker_binding(const struct client *client)
{
    return CONTAINER_OF(client, const struct socket, client)->binding;
}

static ssize_t carrier_read(struct stream *stream, void *dst, size_t cap)
{
    struct socket *socket = socket_of(stream);
    struct slice waiting = buffer_slice(&socket->in);
    size_t len = waiting.len < cap ? waiting.len : cap;
    if (len == waiting.len)
        stream->readable = socket->ended && len > 0;
    if (len == 0)
        return socket->ended ? 0 : -EAGAIN;
    memcpy(dst, waiting.ptr, len);
    buffer_consume(&socket->in, len);
    socket->attachment->waiting_bytes -= len;
    if (len == waiting.len)
        buffer_reset(&socket->in, 0);
    socket->credit_owed += (uint32_t)len;
    mark(socket->attachment);
    return (ssize_t)len;
}

/* Copies from the parts' byte `from` on. */
static void copy_parts(char *dst, const struct iovec *parts, size_t from, size_t len)
{
    for (; len > 0; parts++) {
        if (from >= parts->iov_len) {
            from -= parts->iov_len;
            continue;
        }
        size_t some = parts->iov_len - from < len ? parts->iov_len - from : len;
        memcpy(dst, (const char *)parts->iov_base + from, some);
        dst += some;
        len -= some;
        from = 0;
    }
}

/* Has the instance read so little that what is for it must wait? */
static bool is_full(const struct attachment *attachment)
{
    return buffer_len(&attachment->outbox.waiting) > WAITING_BYTES_MAX;
}

static ssize_t carrier_write(struct stream *stream, const struct iovec *parts, int count)
{
    struct socket *socket = socket_of(stream);
    size_t all = 0, sent = 0;
    if (is_full(socket->attachment)) {
        socket->attachment->stalled = true;
        return -EAGAIN;
    }
    for (int i = 0; i < count; i++)
        all += parts[i].iov_len;
    if ((int64_t)all > socket->credit)
        all = socket->credit > 0 ? (size_t)socket->credit : 0;
    while (sent < all) {
        size_t len = all - sent < BODY_CHUNK_BYTES_MAX ? all - sent : BODY_CHUNK_BYTES_MAX;
        struct frame_body body = {.id = socket->id, .bytes = (uint32_t)len};
        struct outbox *outbox = &socket->attachment->outbox;
        uint32_t bytes = (uint32_t)(sizeof(body) + len);
        char *room = outbox_reserve(outbox, bytes);
        memcpy(room, &body, sizeof(body));
        copy_parts(room + sizeof(body), parts, sent, len);
        outbox_commit(outbox, FRAME_BODY, socket->slot, socket->id, bytes);
        sent += len;
    }
    socket->credit -= (int64_t)sent;
    mark(socket->attachment);
    return sent > 0 || all > 0 ? (ssize_t)sent : -EAGAIN;
}

static void carrier_close(struct stream *stream)
{
    struct socket *socket = socket_of(stream);
    struct attachment *attachment = TAKE(socket->attachment);
    struct socket **place = &attachment->sockets;
    while (*place != socket)
        place = &(*place)->next;
    *place = socket->next;
    attachment->sockets_count--;
    attachment->waiting_bytes -= buffer_len(&socket->in);
    buffer_done(&socket->in);
    if (socket->aborted || attachment->broken)
        return;
    struct frame_body end = {.id = socket->id, .flags = FRAME_FIN};
    outbox_send(&attachment->outbox, FRAME_BODY, socket->slot, socket->id, &end, sizeof(end));
    mark(attachment);
}

static const struct stream_carrier carrier = {carrier_read, carrier_write, carrier_close};

uint32_t worker_deployment(const struct client *client)
{
    return client->stream.carrier == &carrier
               ? CONTAINER_OF(client, const struct socket, client)->attachment->deployment_id
               : 0;
}

/* ---- frames from the instance ---- */

static void break_off(struct attachment *attachment)
{
    struct control_kill order = {attachment->instance_id, KILL_PROTOCOL};
    if (attachment->broken)
        return;
    attachment->broken = true;
    loop_remove(pool_process.loop, &attachment->bell);
    while (attachment->sockets)
        client_close(&attachment->sockets->client, NULL);
    log_warn("instance %u broke the protocol", attachment->instance_id);
    (void)ipc_send(CONTROL_FD, CONTROL_KILL, &order, sizeof(order), NULL, 0);
}

static struct socket *find_socket(const struct attachment *attachment, uint64_t id)
{
    struct socket *socket = attachment->sockets;
    while (socket && socket->id != id)
        socket = socket->next;
    return socket;
}

static bool slot_is_free(const struct attachment *attachment, uint32_t slot)
{
    for (const struct socket *socket = attachment->sockets; socket; socket = socket->next)
        if (socket->slot == slot)
            return false;
    return slot < SLOTS_MAX;
}

/* target: host:port. */
static const struct binding_config *find_binding(const struct attachment *attachment,
                                                 struct slice target)
{
    const char *colon = memrchr(target.ptr, ':', target.len);
    struct slice host = {target.ptr, colon ? (size_t)(colon - target.ptr) : target.len};
    for (size_t i = 0; i < attachment->bindings_count; i++)
        if (slice_equal_nocase(host, slice_of(attachment->bindings[i].host)))
            return &attachment->bindings[i];
    return NULL;
}

static void refuse(struct attachment *attachment, uint32_t slot, uint64_t id, uint32_t kind,
                   const char *text)
{
    struct frame_error error = {.id = id, .kind = kind, .text_bytes = (uint32_t)strlen(text)};
    uint32_t bytes = (uint32_t)sizeof(error) + error.text_bytes;
    char *room = outbox_reserve(&attachment->outbox, bytes);
    memcpy(room, &error, sizeof(error));
    memcpy(room + sizeof(error), text, error.text_bytes);
    outbox_commit(&attachment->outbox, FRAME_ERROR, slot, id, bytes);
}

static void give_up(struct socket *socket, const char *text)
{
    refuse(socket->attachment, socket->slot, socket->id, ERROR_KIND_CONNECT, text);
    mark(socket->attachment);
    socket->aborted = true;
    client_close(&socket->client, NULL);
}

static void open_socket(struct attachment *attachment, uint32_t slot, uint64_t id,
                        const struct binding_config *binding)
{
    struct socket *socket = (struct socket *)client_over(&carrier, sizeof(*socket));
    struct frame_response response = {.id = id, .status = 200, .body_bytes = BODY_BYTES_UNKNOWN};
    socket->attachment = attachment;
    socket->next = attachment->sockets;
    attachment->sockets = socket;
    attachment->sockets_count++;
    socket->binding = binding;
    socket->id = id;
    socket->slot = slot;
    socket->window = socket->credit = FLOW_WINDOW_BYTES;
    outbox_send(&attachment->outbox, FRAME_RESPONSE, slot, id, &response, sizeof(response));
}

static int on_request(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_request request;
    if (frame->bytes < sizeof(request))
        return -EPROTO;
    memcpy(&request, payload, sizeof(request));
    uint64_t rest = (uint64_t)request.method_bytes + request.url_bytes;
    if (!(request.flags & FRAME_SOCKET) || request.headers_bytes || request.inline_bytes ||
        request.url_bytes > TARGET_BYTES_MAX || sizeof(request) + rest != frame->bytes ||
        request.id < EXCHANGE_ID_BASE || request.id <= attachment->last_id ||
        !slot_is_free(attachment, frame->slot) ||
        buffer_len(&attachment->outbox.waiting) > 2 * WAITING_BYTES_MAX)
        return -EPROTO; /* also who opens sockets and reads no answers */
    attachment->last_id = request.id;
    if (is_full(attachment)) {
        refuse(attachment, frame->slot, request.id, ERROR_KIND_CONNECT,
               "Too many bytes of the worker's databases wait to be read.");
        mark(attachment);
        return 0;
    }
    struct slice target = {payload + sizeof(request) + request.method_bytes, request.url_bytes};
    const struct binding_config *binding = find_binding(attachment, target);
    mark(attachment);
    if (!binding)
        refuse(attachment, frame->slot, request.id, ERROR_KIND_FORBIDDEN,
               "The worker has no database binding of this host.");
    else if (attachment->sockets_count >= SOCKETS_OF_INSTANCE_MAX)
        refuse(attachment, frame->slot, request.id, ERROR_KIND_CONNECT,
               "Too many database connections are open at once.");
    else
        open_socket(attachment, frame->slot, request.id, binding);
    return 0;
}

static int on_body(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_body body;
    if (frame->bytes < sizeof(body))
        return -EPROTO;
    memcpy(&body, payload, sizeof(body));
    if (body.bytes > BODY_CHUNK_BYTES_MAX || sizeof(body) + body.bytes != frame->bytes)
        return -EPROTO;
    struct socket *socket = find_socket(attachment, body.id);
    if (!socket)
        return 0;
    socket->window -= (int64_t)body.bytes;
    if (socket->window < 0 || socket->ended)
        return -EPROTO;
    if (attachment->waiting_bytes + body.bytes > WAITING_BYTES_MAX) {
        give_up(socket, "Too many bytes wait for the worker's databases.");
        return 0;
    }
    attachment->waiting_bytes += body.bytes;
    buffer_append(&socket->in, payload + sizeof(body), body.bytes);
    socket->ended = body.flags & FRAME_FIN;
    /* Drivers write a query in several pieces: tell_clients, when all are here. */
    socket->events |= socket->ended ? EPOLLIN | EPOLLRDHUP : EPOLLIN;
    return 0;
}

static int on_credit(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_credit credit;
    if (frame->bytes != sizeof(credit))
        return -EPROTO;
    memcpy(&credit, payload, sizeof(credit));
    struct socket *socket = find_socket(attachment, credit.id);
    if (!socket)
        return 0;
    socket->credit += credit.bytes;
    if (socket->credit > FLOW_WINDOW_BYTES)
        return -EPROTO; /* more than it was sent */
    client_event(&socket->client, EPOLLOUT);
    return 0;
}

static int on_abort(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_abort order;
    if (frame->bytes != sizeof(order))
        return -EPROTO;
    memcpy(&order, payload, sizeof(order));
    struct socket *socket = find_socket(attachment, order.id);
    if (socket) {
        socket->aborted = true;
        client_close(&socket->client, NULL);
    }
    return 0;
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
    default:
        return -EPROTO;
    }
}

/* Any of them may be closed by what its client makes of them. */
static void tell_clients(struct attachment *attachment)
{
    struct socket *socket = attachment->sockets;
    int count = 0;
    while (socket) {
        if (!socket->events) {
            socket = socket->next;
            continue;
        }
        uint32_t events = socket->events;
        socket->events = 0;
        client_event(&socket->client, events);
        socket = attachment->sockets;
        count++;
    }
    if (count > 1)
        pool_placement_other(); /* who asks several things at once has other things to do meanwhile
                                 */
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
    tell_clients(attachment);
    if (r < 0)
        break_off(attachment);
    return r == 1 || (r == 0 && !channel_sleep(&attachment->channel));
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct attachment *attachment = CONTAINER_OF(source, struct attachment, bell);
    (void)events;
    channel_rung(&attachment->channel);
    pool_placement_asked(attachment, channel_advice(&attachment->channel));
    attachment->unread = true;
    mark(attachment);
}

/* ---- the end of a turn ---- */

static void send_credits(struct attachment *attachment)
{
    for (struct socket *socket = attachment->sockets; socket; socket = socket->next) {
        struct frame_credit credit = {.id = socket->id, .bytes = socket->credit_owed};
        if (credit.bytes < FLOW_CREDIT_BYTES || socket->ended)
            continue;
        socket->window += credit.bytes;
        socket->credit_owed = 0;
        outbox_send(&attachment->outbox, FRAME_CREDIT, socket->slot, socket->id, &credit,
                    sizeof(credit));
    }
}

/* There is room for what clients have to say again. */
static void end_stall(struct attachment *attachment)
{
    attachment->stalled = false;
    attachment->unread = true;
    for (struct socket *socket = attachment->sockets; socket; socket = socket->next)
        socket->events |= EPOLLOUT;
}

void worker_read_all(void)
{
    for (struct attachment *a = marked; a; a = a->next_marked)
        if (a->unread && !a->broken)
            a->unread = read_frames(a);
}

void worker_flush_all(void)
{
    struct attachment *list = TAKE(marked);
    while (list) {
        struct attachment *attachment = list;
        list = attachment->next_marked;
        attachment->marked = false;
        if (attachment->broken)
            continue;
        send_credits(attachment);
        if (!outbox_flush(&attachment->outbox) && !ring_writer_refresh(&attachment->channel.out)) {
            break_off(attachment);
            loop_stay_awake(pool_process.loop); /* others wait for the servers of its clients */
            continue;
        }
        if (attachment->stalled && buffer_len(&attachment->outbox.waiting) < WAITING_BYTES_MAX / 2)
            end_stall(attachment);
        if (attachment->unread) {
            mark(attachment);
            loop_stay_awake(pool_process.loop);
        }
        channel_flush(&attachment->channel);
    }
}

/* ---- life ---- */

static void take_bindings(struct attachment *attachment, const struct worker_config *worker)
{
    attachment->bindings = xcalloc(worker->bindings_count, sizeof(*attachment->bindings));
    attachment->bindings_count = worker->bindings_count;
    for (size_t i = 0; i < worker->bindings_count; i++)
        attachment->bindings[i] =
            (struct binding_config){.host = xstrdup(worker->bindings[i].host),
                                    .database = xstrdup(worker->bindings[i].database),
                                    .user = xstrdup(worker->bindings[i].user),
                                    .idle_transaction_ms = worker->bindings[i].idle_transaction_ms};
}

static void free_attachment(struct attachment *attachment)
{
    for (size_t i = 0; i < attachment->bindings_count; i++) {
        free(attachment->bindings[i].host);
        free(attachment->bindings[i].database);
        free(attachment->bindings[i].user);
    }
    free(attachment->bindings);
    buffer_done(&attachment->outbox.waiting);
    channel_close(&attachment->channel);
    free(attachment);
}

void worker_attach(const struct control_instance *order, int fds[CHANNEL_FDS])
{
    const struct worker_config *worker =
        pool_process.config ? config_worker_of(pool_process.config, order->deployment_id) : NULL;
    struct attachment *attachment = xcalloc(1, sizeof(*attachment));
    attachment->instance_id = order->instance_id;
    attachment->deployment_id = order->deployment_id;
    attachment->outbox.channel = &attachment->channel;
    int r = channel_open(&attachment->channel, CHANNEL_SERVER, fds);
    if (r == 0 && worker)
        r = loop_add(pool_process.loop, &attachment->bell, attachment->channel.bell_in,
                     EPOLLIN | EPOLLET, on_bell);
    if (r < 0 || !worker) {
        log_error("instance %u: cannot attach it: %s", order->instance_id,
                  worker ? strerror(-r) : "its worker has no databases");
        free_attachment(attachment);
        return;
    }
    take_bindings(attachment, worker);
    attachment->next = attachments;
    attachments = attachment;
    attachment->unread = true; /* it may have written before we came */
    mark(attachment);
    loop_stay_awake(pool_process.loop);
}

static void unmark(const struct attachment *attachment)
{
    struct attachment **place = &marked;
    while (*place && *place != attachment)
        place = &(*place)->next_marked;
    if (*place)
        *place = attachment->next_marked;
}

bool worker_any(void)
{
    return attachments != NULL;
}

void worker_detach(uint32_t instance_id)
{
    struct attachment **place = &attachments;
    while (*place && (*place)->instance_id != instance_id)
        place = &(*place)->next;
    if (!*place)
        return;
    struct attachment *attachment = *place;
    *place = attachment->next;
    while (attachment->sockets) {
        attachment->sockets->aborted = true;
        client_close(&attachment->sockets->client, NULL);
    }
    unmark(attachment);
    if (!attachment->broken)
        loop_remove(pool_process.loop, &attachment->bell);
    free_attachment(attachment);
}

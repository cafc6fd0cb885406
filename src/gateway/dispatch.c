/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "access_log.h"
#include "asset_exchange.h"
#include "clock.h"
#include "conn.h"
#include "log.h"

enum {
    FRAMES_PER_TURN = 256,
    LAGGING_MS = 50,       /* a frame not taken for so long: what waits behind it moves away */
    STUCK_GRACE_MS = 2000, /* beyond the CPU limit: the engine's own watchdog has failed */
    FAILED_FOR_MS = 1000,  /* after a failed start, answer at once instead of asking again */
    SPAWN_TIMEOUT_MS = 30000,
};

static struct instance *dirty_instances;
static struct request *free_requests;
static char payload[GATEWAY_RING_BYTES / 4];

static void pump_queue(struct deployment *deployment);
static void on_bell(struct loop_source *source, uint32_t events);

/* ---- requests ---- */

struct request *request_new(struct deployment *deployment)
{
    struct request *request = free_requests;
    if (request)
        free_requests = request->next;
    else
        request = xcalloc(1, sizeof(*request));
    struct buffer frame = request->frame; /* its memory is kept */
    memset(request, 0, sizeof(*request));
    request->frame = frame;
    request->deployment = deployment;
    request->id = gateway.next_id++;
    request->start_us = clock_monotonic_us();
    request->body_credit = FLOW_WINDOW_BYTES;
    return request;
}

struct request *request_new_event(struct deployment *deployment, struct slice cron,
                                  uint64_t time_ms, uint32_t event_id)
{
    struct request *request = request_new(deployment);
    struct frame_event event = {request->id, time_ms, EVENT_SCHEDULED, (uint32_t)cron.len};
    request->is_event = request->body_whole = request->body_ended = true;
    request->event_id = event_id;
    request->frame.start = request->frame.end = 0;
    buffer_append(&request->frame, &event, sizeof(event));
    buffer_append_slice(&request->frame, cron);
    return request;
}

struct slice request_header(const struct request *request, struct slice name)
{
    struct frame_request head;
    if (request->is_event || buffer_len(&request->frame) < sizeof(head))
        return (struct slice){0};
    const char *at = request->frame.data + request->frame.start;
    memcpy(&head, at, sizeof(head));
    at += sizeof(head) + head.method_bytes + head.url_bytes;
    for (const char *end = at + head.headers_bytes; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            break;
        if ((size_t)(line_end - at) > name.len + 1 && at[name.len] == ':' &&
            memcmp(at, name.ptr, name.len) == 0)
            return (struct slice){at + name.len + 2, (size_t)(line_end - at) - name.len - 2};
        at = line_end + 1;
    }
    return (struct slice){0};
}

static void request_free(struct request *request)
{
    assert(!request->conn && !request->instance);
    buffer_reset(&request->frame, 16 * 1024);
    text_free(&request->path);
    request->next = free_requests;
    free_requests = request;
}

static void mark_dirty(struct instance *instance)
{
    if (instance->dirty)
        return;
    instance->dirty = true;
    instance->next_dirty = dirty_instances;
    dirty_instances = instance;
}

static void kill_instance(struct instance *instance, enum kill_reason reason, const char *why)
{
    if (instance->killed)
        return;
    instance->killed = instance->retiring = true;
    instance->deployment->count.killed++;
    log_warn("%s: instance %u ended: %s", instance->deployment->name, instance->id, why);
    struct control_kill order = {instance->id, reason};
    (void)ipc_send(CONTROL_FD, CONTROL_KILL, &order, sizeof(order), NULL, 0);
}

static void report_event(const struct request *request, int result)
{
    struct control_event event = {
        .deployment_id = request->deployment->id, .event_id = request->event_id, .result = result};
    (void)ipc_send(CONTROL_FD, CONTROL_EVENT_RESULT, &event, sizeof(event), NULL, 0);
}

/* Takes the request out of its slot; it may be queued again or freed. */
static void leave_slot(struct request *request)
{
    struct instance *instance = request->instance;
    instance->slots[request->slot] = NULL;
    request->instance = NULL;
    if (--instance->in_flight == 0)
        instance->idle_since_ms = loop_now_ms(gateway.loop);
}

static void end_event(struct request *request, const char *error)
{
    access_log_event(request, error);
    report_event(request, error ? -1 : 0);
    if (request->conn)
        conn_answer_event(request->conn, request, error);
    assert(!request->conn);
}

static void fail_request(struct request *request, int status, int code, const char *message,
                         struct slice detail)
{
    if (request->is_event) {
        if (request->state != REQUEST_ANSWERED)
            end_event(request, message);
        return;
    }
    if (request->conn)
        conn_fail(request->conn, request, status, code, slice_of(message), detail);
    assert(!request->conn);
}

/* ---- the queue and the choice ---- */

static struct instance *pick(struct deployment *deployment)
{
    struct instance *best = NULL;
    for (struct instance *i = deployment->instances; i; i = i->next) {
        if (i->retiring || i->lagging || i->in_flight >= deployment->concurrency)
            continue;
        if (!best || i->in_flight < best->in_flight)
            best = i;
    }
    return best;
}

static void ask_for_instance(struct deployment *deployment)
{
    uint32_t alive = deployment->spawning;
    for (struct instance *i = deployment->instances; i; i = i->next)
        alive += !i->retiring;
    if (alive >= deployment->instances_max)
        return;
    struct control_spawn order = {deployment->id, 0};
    if (ipc_send(CONTROL_FD, CONTROL_SPAWN, &order, sizeof(order), NULL, 0) == 0) {
        deployment->spawning++;
        deployment->spawn_asked_us = clock_monotonic_us();
    }
}

static void queue_push(struct request *request, bool front)
{
    struct deployment *deployment = request->deployment;
    request->state = REQUEST_QUEUED;
    if (front) {
        request->next = deployment->queue_first;
        deployment->queue_first = request;
        if (!deployment->queue_last)
            deployment->queue_last = request;
    } else {
        request->next = NULL;
        if (deployment->queue_last)
            deployment->queue_last->next = request;
        else
            deployment->queue_first = request;
        deployment->queue_last = request;
    }
    deployment->queue_length++;
}

static struct request *queue_pop(struct deployment *deployment)
{
    struct request *request = deployment->queue_first;
    deployment->queue_first = request->next;
    if (!deployment->queue_first)
        deployment->queue_last = NULL;
    request->next = NULL;
    deployment->queue_length--;
    return request;
}

static bool queue_remove(struct request *request)
{
    struct deployment *deployment = request->deployment;
    struct request *before = NULL;
    for (struct request *r = deployment->queue_first; r; before = r, r = r->next) {
        if (r != request)
            continue;
        if (before)
            before->next = r->next;
        else
            deployment->queue_first = r->next;
        if (deployment->queue_last == r)
            deployment->queue_last = before;
        deployment->queue_length--;
        return true;
    }
    return false;
}

/* Writes the request into the instance's ring. False: no room there now. */
static bool send_to(struct instance *instance, struct request *request)
{
    uint32_t bytes = (uint32_t)buffer_len(&request->frame), slot = instance->next_slot;
    int error = 0;
    while (instance->slots[slot])
        slot = (slot + 1) % SLOTS_MAX;
    void *room = ring_reserve(&instance->channel.out, bytes, &error);
    if (!room) {
        if (error == -EPROTO)
            kill_instance(instance, KILL_PROTOCOL, "it broke the ring");
        return false;
    }
    memcpy(room, request->frame.data + request->frame.start, bytes);
    request->ring_position = instance->channel.out.index;
    ring_commit(&instance->channel.out, request->is_event ? FRAME_EVENT : FRAME_REQUEST, slot,
                (uint32_t)request->id, bytes);
    instance->slots[slot] = request;
    instance->next_slot = (slot + 1) % SLOTS_MAX;
    if (instance->in_flight++ == 0)
        instance->progress_ms = loop_now_ms(gateway.loop);
    request->instance = instance;
    request->slot = slot;
    request->state = REQUEST_SENT;
    request->deadline_ms = loop_now_ms(gateway.loop) + request->deployment->wall_ms;
    mark_dirty(instance);
    return true;
}

static void pump_queue(struct deployment *deployment)
{
    while (deployment->queue_first) {
        struct instance *instance = pick(deployment);
        if (!instance || !send_to(instance, deployment->queue_first))
            break;
        struct request *sent = queue_pop(deployment);
        if (sent->conn && !sent->body_ended)
            conn_resume_body(sent->conn);
    }
    if (deployment->queue_first && deployment->spawning == 0)
        ask_for_instance(deployment);
}

void dispatch_request(struct request *request)
{
    struct deployment *deployment = request->deployment;
    uint64_t now_ms = loop_now_ms(gateway.loop);
    if (deployment->failed &&
        (deployment->failed_by_loader || now_ms - deployment->failed_ms < FAILED_FOR_MS)) {
        fail_request(request, 500, 1101, deployment->failed, (struct slice){0});
        request_free(request);
        return;
    }
    struct instance *instance = deployment->queue_first ? NULL : pick(deployment);
    if (instance && send_to(instance, request))
        return;
    if (deployment->queue_length >= deployment->queue_length_max) {
        deployment->count.shed++;
        fail_request(request, 503, 1105, "Too many requests are waiting for this worker.",
                     (struct slice){0});
        request_free(request);
        return;
    }
    request->deadline_ms = now_ms + deployment->queue_timeout_ms;
    queue_push(request, false);
    if (deployment->spawning == 0)
        ask_for_instance(deployment);
}

/* ---- towards the instance ---- */

bool dispatch_send(struct instance *instance, enum frame_type type, uint32_t slot, uint64_t id,
                   const void *head, uint32_t head_bytes, struct slice rest)
{
    void *room = ring_reserve(&instance->channel.out, head_bytes + (uint32_t)rest.len, NULL);
    if (!room)
        return false;
    memcpy(room, head, head_bytes);
    if (rest.len > 0)
        memcpy((char *)room + head_bytes, rest.ptr, rest.len);
    ring_commit(&instance->channel.out, type, slot, (uint32_t)id, head_bytes + (uint32_t)rest.len);
    mark_dirty(instance);
    return true;
}

void dispatch_body(struct request *request, struct slice bytes, bool ended)
{
    assert(request->instance && !request->body_ended);
    request->body_ended = ended;
    do {
        size_t len = bytes.len < BODY_CHUNK_BYTES_MAX ? bytes.len : BODY_CHUNK_BYTES_MAX;
        bool last = ended && len == bytes.len;
        struct frame_body body = {request->id, last ? FRAME_FIN : 0, (uint32_t)len};
        if (!dispatch_send(request->instance, FRAME_BODY, request->slot, request->id, &body,
                           sizeof(body), (struct slice){bytes.ptr, len})) {
            /* The window is smaller than the ring, so only a ring that nobody reads is full. */
            kill_instance(request->instance, KILL_STUCK, "its ring is full");
            return;
        }
        request->body_credit -= (int64_t)len;
        bytes.ptr += len;
        bytes.len -= len;
    } while (bytes.len > 0);
}

void dispatch_credit(struct request *request, uint32_t bytes)
{
    struct frame_credit credit = {request->id, bytes, 0};
    if (request->instance && bytes > 0)
        (void)dispatch_send(request->instance, FRAME_CREDIT, request->slot, request->id, &credit,
                            sizeof(credit), (struct slice){0});
}

void dispatch_client_gone(struct request *request)
{
    request->conn = NULL;
    if (request->state == REQUEST_QUEUED) {
        (void)queue_remove(request);
        request_free(request);
        return;
    }
    if (request->state != REQUEST_ANSWERED && request->instance) {
        struct frame_abort frame = {request->id, 0, 0};
        (void)dispatch_send(request->instance, FRAME_ABORT, request->slot, request->id, &frame,
                            sizeof(frame), (struct slice){0});
        dispatch_credit(request, request->credit_owed);
        request->credit_owed = 0;
    }
}

/* ---- from the instance ---- */

/* The request of a frame; NULL when it is over already. */
static struct request *find_request(struct instance *instance, const struct ring_frame *frame,
                                    uint64_t id)
{
    if (frame->slot >= SLOTS_MAX)
        return NULL;
    struct request *request = instance->slots[frame->slot];
    return request && request->id == id ? request : NULL;
}

static void finish(struct request *request, uint32_t cpu_us)
{
    request->cpu_us = cpu_us;
    request->deployment->count.cpu_us += cpu_us;
    struct instance *instance = request->instance;
    leave_slot(request);
    if (request->conn || (request->is_event && request->state != REQUEST_ANSWERED))
        fail_request(request, 500, 1101, "The script will never generate a response.",
                     (struct slice){0});
    request_free(request);
    if (instance->deployment->queue_first)
        pump_queue(instance->deployment);
}

static int on_response(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_response response;
    if (frame->bytes < sizeof(response))
        return -EPROTO;
    memcpy(&response, payload, sizeof(response));
    struct slice headers = {payload + sizeof(response), response.headers_bytes};
    struct slice body = {headers.ptr + headers.len, response.inline_bytes};
    if ((uint64_t)response.headers_bytes + response.inline_bytes + sizeof(response) !=
            frame->bytes ||
        response.url_bytes != 0 || response.status < 200 || response.status > 999)
        return -EPROTO;
    struct request *request = find_request(instance, frame, response.id);
    if (!request || request->state != REQUEST_SENT)
        return request ? -EPROTO : 0;
    bool ended = response.flags & FRAME_FIN;
    request->state = ended ? REQUEST_ANSWERED : REQUEST_ANSWERING;
    if (request->is_event) {
        end_event(request, NULL);
    } else if (request->conn) {
        conn_respond(request->conn, request, (int)response.status, headers, response.body_bytes,
                     body, ended);
    } else if (!ended) {
        dispatch_credit(request, response.inline_bytes);
    }
    if (response.flags & FRAME_DONE_TOO && ended)
        finish(request, response.cpu_us);
    return 0;
}

static int on_body(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_body body;
    if (frame->bytes < sizeof(body))
        return -EPROTO;
    memcpy(&body, payload, sizeof(body));
    if (body.bytes != frame->bytes - sizeof(body))
        return -EPROTO;
    struct request *request = find_request(instance, frame, body.id);
    if (!request)
        return 0;
    if (request->state != REQUEST_ANSWERING)
        return -EPROTO;
    bool ended = body.flags & FRAME_FIN;
    if (ended)
        request->state = REQUEST_ANSWERED;
    if (request->conn)
        conn_respond_body(request->conn, request,
                          (struct slice){payload + sizeof(body), body.bytes}, ended);
    else
        dispatch_credit(request, body.bytes);
    if (ended && body.flags & FRAME_DONE_TOO)
        finish(request, 0);
    return 0;
}

static int on_error(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_error error;
    if (frame->bytes < sizeof(error))
        return -EPROTO;
    memcpy(&error, payload, sizeof(error));
    if ((uint64_t)error.text_bytes + error.detail_bytes + sizeof(error) != frame->bytes)
        return -EPROTO;
    struct request *request = find_request(instance, frame, error.id);
    if (!request || request->state == REQUEST_ANSWERED)
        return 0;
    AUTO_TEXT text = xstrndup(payload + sizeof(error), error.text_bytes);
    struct slice detail = {payload + sizeof(error) + error.text_bytes, error.detail_bytes};
    request->deployment->count.exceptions++;
    access_log_exception(request, (int)error.kind, text, detail);
    int code = error.kind == ERROR_KIND_CPU || error.kind == ERROR_KIND_MEMORY ? 1102 : 1101;
    if (request->is_event) {
        end_event(request, text);
    } else if (request->conn) {
        request->pass_through = error.flags & FRAME_PASS_THROUGH;
        conn_fail(request->conn, request, code == 1102 ? 503 : 500, code, slice_of(text), detail);
    }
    request->state = REQUEST_ANSWERED;
    return 0;
}

static int on_frame(struct instance *instance, const struct ring_frame *frame)
{
    switch ((enum frame_type)frame->type) {
    case FRAME_RESPONSE:
        return on_response(instance, frame);
    case FRAME_BODY: {
        uint64_t id = 0;
        if (frame->bytes >= sizeof(id))
            memcpy(&id, payload, sizeof(id));
        if (id >= EXCHANGE_ID_BASE)
            return 0; /* the body of an asset request: assets take none */
        return on_body(instance, frame);
    }
    case FRAME_ERROR:
        return on_error(instance, frame);
    case FRAME_DONE: {
        struct frame_done done;
        if (frame->bytes != sizeof(done))
            return -EPROTO;
        memcpy(&done, payload, sizeof(done));
        struct request *request = find_request(instance, frame, done.id);
        if (request)
            finish(request, done.cpu_us);
        return 0;
    }
    case FRAME_CREDIT: {
        struct frame_credit credit;
        if (frame->bytes != sizeof(credit))
            return -EPROTO;
        memcpy(&credit, payload, sizeof(credit));
        if (credit.id >= EXCHANGE_ID_BASE)
            return asset_exchange_credit(instance, frame->slot, credit.id, credit.bytes);
        struct request *request = find_request(instance, frame, credit.id);
        if (!request)
            return 0;
        if (request->body_credit + credit.bytes > FLOW_WINDOW_BYTES)
            return -EPROTO;
        request->body_credit += credit.bytes;
        if (request->conn && !request->body_ended)
            conn_resume_body(request->conn);
        return 0;
    }
    case FRAME_LOG: {
        struct frame_log line;
        if (frame->bytes < sizeof(line))
            return -EPROTO;
        memcpy(&line, payload, sizeof(line));
        if ((uint64_t)line.text_bytes + line.where_bytes + sizeof(line) != frame->bytes)
            return -EPROTO;
        access_log_console(
            instance->deployment, find_request(instance, frame, line.id), (int)line.level,
            (struct slice){payload + sizeof(line), line.text_bytes},
            (struct slice){payload + sizeof(line) + line.text_bytes, line.where_bytes});
        return 0;
    }
    case FRAME_REQUEST:
        return asset_exchange_start(instance, frame, (struct slice){payload, frame->bytes});
    case FRAME_ABORT: {
        uint64_t id = 0;
        if (frame->bytes != sizeof(struct frame_abort))
            return -EPROTO;
        memcpy(&id, payload, sizeof(id));
        asset_exchange_abort(instance, frame->slot, id);
        return 0;
    }
    case FRAME_EVENT:
    case FRAME_RETIRE:
        break;
    }
    return -EPROTO;
}

/* Reads a batch; true if the budget ended before the ring did. */
static bool drain(struct instance *instance)
{
    struct ring_frame frame;
    int r = 0, count = 0;
    while (count < FRAMES_PER_TURN && !instance->killed &&
           (r = ring_read(&instance->channel.in, &frame, payload, sizeof(payload))) > 0) {
        count++;
        r = on_frame(instance, &frame);
        if (r < 0)
            break;
    }
    if (r < 0)
        kill_instance(instance, KILL_PROTOCOL, "it broke the protocol");
    if (count > 0) {
        instance->progress_ms = loop_now_ms(gateway.loop);
        channel_consumed(&instance->channel);
    }
    return count == FRAMES_PER_TURN;
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct instance *instance = CONTAINER_OF(source, struct instance, bell);
    (void)events;
    channel_awake(&instance->channel);
    (void)drain(instance);
    mark_dirty(instance); /* dispatch_flush decides whether it sleeps */
}

void dispatch_flush(void)
{
    struct instance *again = NULL;
    while (dirty_instances) {
        struct instance *instance = dirty_instances;
        dirty_instances = instance->next_dirty;
        instance->dirty = false;
        if (instance->killed) {
            continue;
        }
        channel_flush(&instance->channel);
        if (!channel_sleep(&instance->channel)) { /* it answered meanwhile: no bell needed */
            instance->next_dirty = again;
            again = instance;
        }
    }
    while (again) {
        struct instance *instance = again;
        again = instance->next_dirty;
        (void)drain(instance);
        mark_dirty(instance);
        loop_stay_awake(gateway.loop);
    }
}

/* ---- life of instances ---- */

void dispatch_add_instance(const struct control_instance *order, int fds[CHANNEL_FDS])
{
    struct deployment *deployment = deployment_by_id(order->deployment_id);
    struct instance *instance = xcalloc(1, sizeof(*instance));
    int taken[CHANNEL_FDS];
    for (int i = 0; i < CHANNEL_FDS; i++)
        taken[i] = fds[i], fds[i] = -1;
    int r = channel_open(&instance->channel, CHANNEL_SERVER, taken);
    if (r == 0 && deployment)
        r = loop_add(gateway.loop, &instance->bell, instance->channel.bell_in, EPOLLIN, on_bell);
    if (r < 0 || !deployment) {
        channel_close(&instance->channel);
        free(instance);
        struct control_kill kill_order = {order->instance_id, KILL_IDLE};
        (void)ipc_send(CONTROL_FD, CONTROL_KILL, &kill_order, sizeof(kill_order), NULL, 0);
        return;
    }
    instance->id = order->instance_id;
    instance->deployment = deployment;
    instance->idle_since_ms = instance->progress_ms = loop_now_ms(gateway.loop);
    instance->next = deployment->instances;
    deployment->instances = instance;
    deployment->instances_count++;
    deployment->count.spawned++;
    if (deployment->spawning > 0)
        deployment->spawning--;
    if (!deployment->failed_by_loader)
        text_free(&deployment->failed);
    (void)channel_sleep(&instance->channel);
    pump_queue(deployment);
}

static struct instance **find_instance(uint32_t instance_id)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        for (struct instance **place = &d->instances; *place; place = &(*place)->next)
            if ((*place)->id == instance_id)
                return place;
    return NULL;
}

static void lose_request(struct instance *instance, struct request *request, const char *why,
                         bool out_of_memory)
{
    leave_slot(request);
    if (request->state == REQUEST_SENT && request->body_whole && !request->retried &&
        (request->conn || request->is_event) &&
        ring_revoke(&instance->channel.out, request->ring_position, (uint32_t)request->id)) {
        request->retried = true; /* it had not been begun */
        request->deadline_ms = loop_now_ms(gateway.loop) + request->deployment->queue_timeout_ms;
        queue_push(request, false);
        return;
    }
    fail_request(request, out_of_memory ? 503 : 500, out_of_memory ? 1102 : 1101, why,
                 (struct slice){0});
    request_free(request);
}

void dispatch_instance_gone(const struct control_gone *gone, struct slice text)
{
    struct instance **place = find_instance(gone->instance_id);
    if (!place)
        return;
    struct instance *instance = *place;
    struct deployment *deployment = instance->deployment;
    bool was_killed = instance->killed;
    if (!was_killed)
        (void)drain(instance);               /* what it said before it ended */
    (void)ring_room(&instance->channel.out); /* refreshes how far it had read */
    *place = instance->next;
    deployment->instances_count--;
    int signal_number = gone->status & 0x7f;
    if (signal_number && !was_killed)
        log_warn("%s: instance %u was ended by signal %d %.*s", deployment->name, instance->id,
                 signal_number, (int)text.len, text.ptr);
    AUTO_TEXT why = signal_number && !was_killed
                        ? xasprintf("The worker's process crashed (signal %d).", signal_number)
                        : xstrdup("The worker's process was ended.");
    instance->killed = true; /* nothing more is sent to it */
    for (int i = 0; i < SLOTS_MAX && instance->in_flight > 0; i++)
        if (instance->slots[i])
            lose_request(instance, instance->slots[i], why, false);
    asset_exchange_drop_all(instance);
    if (instance->dirty)
        for (struct instance **dirty = &dirty_instances; *dirty; dirty = &(*dirty)->next_dirty)
            if (*dirty == instance) {
                *dirty = instance->next_dirty;
                break;
            }
    loop_remove(gateway.loop, &instance->bell);
    channel_close(&instance->channel);
    free(instance);
    pump_queue(deployment);
}

void dispatch_spawn_failed(const struct control_gone *gone, struct slice text)
{
    struct deployment *deployment = deployment_by_id(gone->deployment_id);
    if (!deployment)
        return;
    if (deployment->spawning > 0)
        deployment->spawning--;
    text_free(&deployment->failed);
    deployment->failed =
        text.len ? xstrndup(text.ptr, text.len) : xstrdup("The worker could not be started.");
    deployment->failed_ms = loop_now_ms(gateway.loop);
    if (deployment->instances_count > 0)
        return;
    while (deployment->queue_first) {
        struct request *request = queue_pop(deployment);
        fail_request(request, 500, 1101, deployment->failed, (struct slice){0});
        request_free(request);
    }
}

static void retire(struct instance *instance)
{
    if (instance->retiring)
        return;
    instance->retiring = true;
    (void)dispatch_send(instance, FRAME_RETIRE, 0, 0, "", 0, (struct slice){0});
}

/* Takes back what a lagging instance has not begun, for others to do. */
static void move_waiting_requests(struct instance *instance)
{
    for (int i = 0; i < SLOTS_MAX && instance->in_flight > 0; i++) {
        struct request *request = instance->slots[i];
        if (!request || request->state != REQUEST_SENT || !request->body_whole)
            continue;
        if (!ring_revoke(&instance->channel.out, request->ring_position, (uint32_t)request->id))
            continue;
        leave_slot(request);
        request->deadline_ms = loop_now_ms(gateway.loop) + request->deployment->queue_timeout_ms;
        queue_push(request, false);
    }
}

static void tick_instance(struct instance *instance, uint64_t now_ms)
{
    struct deployment *deployment = instance->deployment;
    if (instance->killed)
        return;
    if (instance->in_flight == 0) {
        instance->lagging = false;
        uint32_t live = 0;
        for (struct instance *i = deployment->instances; i; i = i->next)
            live += !i->retiring;
        if (!instance->retiring && live > deployment->instances_min &&
            now_ms - instance->idle_since_ms >= deployment->idle_timeout_ms)
            retire(instance);
        return;
    }
    (void)ring_room(&instance->channel.out); /* refreshes what it has taken */
    uint32_t tail = instance->channel.out.peer;
    if (tail != instance->tail_seen) {
        instance->tail_seen = tail;
        instance->progress_ms = now_ms;
    }
    bool waiting = tail != instance->channel.out.index;
    if (!waiting) {
        instance->lagging = false;
        if (now_ms - instance->progress_ms > LAGGING_MS) { /* a frame that asks: are you there? */
            struct frame_credit ping = {0};
            (void)dispatch_send(instance, FRAME_CREDIT, 0, 0, &ping, sizeof(ping),
                                (struct slice){0});
            instance->progress_ms = now_ms;
        }
        return;
    }
    if (now_ms - instance->progress_ms > LAGGING_MS && !instance->lagging) {
        instance->lagging = true;
        move_waiting_requests(instance);
        pump_queue(deployment);
    }
    if (now_ms - instance->progress_ms > deployment->cpu_ms + STUCK_GRACE_MS)
        kill_instance(instance, KILL_STUCK, "it does not react");
}

static void tick_wall_limit(struct instance *instance, uint64_t now_ms)
{
    for (int i = 0, seen = 0; i < SLOTS_MAX && seen < (int)instance->in_flight; i++) {
        struct request *request = instance->slots[i];
        if (!request)
            continue;
        seen++;
        if (now_ms < request->deadline_ms)
            continue;
        struct frame_abort frame = {request->id, 1, 0};
        (void)dispatch_send(instance, FRAME_ABORT, request->slot, request->id, &frame,
                            sizeof(frame), (struct slice){0});
        if (request->state != REQUEST_ANSWERED)
            fail_request(request, 504, 1101, "The worker did not answer within its time limit.",
                         (struct slice){0});
        request->state = REQUEST_ANSWERED;
        request->deadline_ms = now_ms + request->deployment->wall_ms;
    }
}

static void tick_queue(struct deployment *deployment, uint64_t now_ms)
{
    while (deployment->queue_first && deployment->queue_first->deadline_ms <= now_ms) {
        struct request *request = queue_pop(deployment);
        deployment->count.shed++;
        fail_request(request, 503, 1105, "No instance of the worker became free in time.",
                     (struct slice){0});
        request_free(request);
    }
    if (deployment->spawning > 0 &&
        clock_monotonic_us() - deployment->spawn_asked_us > SPAWN_TIMEOUT_MS * 1000ull)
        deployment->spawning = 0; /* the answer got lost with a restarted process */
}

void dispatch_tick(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    for (struct deployment *d = gateway.deployments; d; d = d->next) {
        for (struct instance *i = d->instances; i; i = i->next) {
            tick_instance(i, now_ms);
            if (i->in_flight > 0)
                tick_wall_limit(i, now_ms);
        }
        tick_queue(d, now_ms);
        uint32_t live = d->spawning;
        for (struct instance *i = d->instances; i; i = i->next)
            live += !i->retiring;
        if (d->current && d->has_code && !gateway.draining && live < d->instances_min && !d->failed)
            ask_for_instance(d);
    }
}

void dispatch_retire_old(void)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        for (struct instance *i = d->instances; i; i = i->next)
            if (!d->current || gateway.draining)
                retire(i);
}

bool dispatch_busy(void)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next) {
        if (d->queue_first)
            return true;
        for (struct instance *i = d->instances; i; i = i->next)
            if (i->in_flight > 0 && !i->killed)
                return true;
    }
    return false;
}

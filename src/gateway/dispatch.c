/* SPDX-License-Identifier: Apache-2.0 */
/* The queue, the choice of an instance, and the writing to its ring. */
#include "dispatch_state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "access_log.h"
#include "caller.h"
#include "clock.h"
#include "conn.h"
#include "placement.h"
#include "request.h"

enum {
    RING_RESERVE_BYTES = 64 * 1024, /* for credit, aborts and the like */
    ROOM_BYTES_MIN = 4 * 1024,      /* with less room a body waits for more */
    FAILED_FOR_MS = 1000, /* after a failed start, answer at once instead of asking again */
};

/* ---- failing ---- */

void dispatch_end_event(struct request *request, const char *error)
{
    if (!request->deployment->prisma) /* else it is between us */
        access_log_event(request, error);
    if (request->event_id) {
        struct control_event event = {.deployment_id = request->deployment->id,
                                      .event_id = request->event_id,
                                      .result = error ? -1 : 0};
        gateway_tell(CONTROL_EVENT_RESULT, &event, sizeof(event));
    }
    if (request->conn)
        conn_answer_event(request->conn, request, error);
    request->state = REQUEST_ANSWERED;
    assert(!request->conn);
}

void dispatch_fail(struct request *request, enum failure failure, const char *message,
                   struct slice detail)
{
    if (request->is_event) {
        if (request->state != REQUEST_ANSWERED)
            dispatch_end_event(request, message);
    } else {
        caller_fail(request, failure, slice_of(message), detail);
    }
    assert(!request->conn && !request->call);
}

/* ---- the queue ---- */

/* Prisma's transactions are open in an instance of the old version: as long as it takes requests,
 * what waits may be for them, and is nobody else's. */
static bool keeps_queue(const struct deployment *deployment)
{
    for (const struct instance *i = deployment->instances; deployment->prisma && i; i = i->next)
        if (!i->retiring)
            return true;
    return false;
}

/* What an instance of an old version has not begun is for the new one: the old one gets no more
 * instances. */
void dispatch_queue(struct request *request)
{
    struct deployment *deployment = request->deployment;
    if (!deployment->current && !keeps_queue(deployment)) {
        struct deployment *successor = deployment_successor(deployment);
        if (successor && !successor->failed_by_loader)
            request->deployment = deployment = successor;
    }
    request->state = REQUEST_QUEUED;
    request->deadline_ms = loop_now_ms(gateway.loop) + deployment->queue_timeout_ms;
    request->next = NULL;
    if (deployment->queue_last)
        deployment->queue_last->next = request;
    else
        deployment->queue_first = request;
    deployment->queue_last = request;
    deployment->queue_length++;
    deployment->worker->count->queued++;
}

static struct request *queue_pop(struct deployment *deployment)
{
    struct request *request = deployment->queue_first;
    deployment->queue_first = request->next;
    if (!deployment->queue_first)
        deployment->queue_last = NULL;
    request->next = NULL;
    deployment->queue_length--;
    deployment->worker->count->queued--;
    return request;
}

static void queue_remove(struct request *request)
{
    struct deployment *deployment = request->deployment;
    struct request *before = NULL;
    for (struct request *r = deployment->queue_first; r != request; r = r->next)
        before = r;
    if (before)
        before->next = request->next;
    else
        deployment->queue_first = request->next;
    if (deployment->queue_last == request)
        deployment->queue_last = before;
    deployment->queue_length--;
    deployment->worker->count->queued--;
}

void dispatch_fail_queue(struct deployment *deployment, enum failure failure, const char *message)
{
    while (deployment->queue_first) {
        struct request *request = queue_pop(deployment);
        dispatch_fail(request, failure, message, (struct slice){0});
        request_free(request);
    }
}

void dispatch_shed_late(struct deployment *deployment, uint64_t now_ms)
{
    while (deployment->queue_first && deployment->queue_first->deadline_ms <= now_ms) {
        struct request *request = queue_pop(deployment);
        deployment->worker->count->shed++;
        dispatch_fail(request, FAILURE_BUSY, "No instance of the worker became free in time.",
                      (struct slice){0});
        request_free(request);
    }
}

void dispatch_move_queue(struct deployment *from, struct deployment *to)
{
    if (keeps_queue(from))
        return;
    if (!to || to->failed_by_loader) {
        dispatch_fail_queue(from, to ? FAILURE_BUILD : FAILURE_UNAVAILABLE,
                            to ? to->failed : "The worker was removed.");
        return;
    }
    while (from->queue_first) {
        struct request *request = queue_pop(from);
        request->deployment = to;
        dispatch_queue(request);
    }
    dispatch_pump(to);
}

/* ---- the choice ---- */

static struct instance *pick(struct deployment *deployment)
{
    struct instance *best = NULL;
    for (struct instance *i = deployment->instances; i; i = i->next) {
        if (i->retiring || i->lagging || i->starved || i->in_flight >= deployment->concurrency)
            continue;
        if (!best || i->in_flight < best->in_flight)
            best = i;
    }
    return best;
}

static void add_path(struct control_spawn *order, const struct request *request)
{
    struct slice path = request && slice_equal(request_method(request), SLICE("GET"))
                            ? slice_until(request_path(request), '?')
                            : SLICE("");
    if (path.len > sizeof(order->path))
        return;
    order->path_bytes = (uint32_t)path.len;
    memcpy(order->path, path.ptr, path.len);
}

void dispatch_ask_for_instances(struct deployment *deployment, uint32_t wanted)
{
    uint32_t alive = instances_alive(deployment);
    while (deployment->spawning < wanted && alive < deployment->instances_max) {
        struct control_spawn order = {.deployment_id = deployment->id};
        add_path(&order, deployment->queue_first);
        gateway_tell(CONTROL_SPAWN, &order, sizeof(order));
        deployment->spawning++;
        alive++;
        deployment->spawn_asked_us = clock_monotonic_us();
    }
}

static size_t free_bytes(const struct ring *ring)
{
    return ring->size - (ring->index - ring->peer);
}

/* Is there room for a frame of bytes and the small ones after it? If not, the instance is starved
 * until it rings our bell. */
static bool has_room(struct instance *instance, size_t bytes)
{
    struct ring *ring = &instance->channel.out;
    size_t need = bytes + RING_RESERVE_BYTES;
    if (need > ring->size / 2) /* a large head: an empty ring takes it, whatever its position */
        need = ring->size / 2;
    if (free_bytes(ring) >= need)
        return true;
    if (!instance_looked_at(instance))
        return false;
    if (free_bytes(ring) >= need)
        return true;
    /* Asks for the bell and looks once more; should it be missed, the tick looks again. Others may
     * wait already, so whoever finds room does not end the starvation: resume does. */
    if (!ring_writer_sleep(ring) && free_bytes(ring) >= need)
        return true;
    instance->starved = true;
    return false;
}

/* A Prisma transaction that it begins is found by that, wherever the request has waited. */
static void name_holder(struct request *request)
{
    char digits[HOLDER_DIGITS + 1];
    if (request->holder_at == 0)
        return;
    (void)snprintf(digits, sizeof(digits), "%0*" PRIu32, HOLDER_DIGITS, request->deployment->id);
    memcpy(request->frame.data + request->holder_at, digits, HOLDER_DIGITS);
}

/* Writes the request into the instance's ring. False: no room there now. */
static bool send_to(struct instance *instance, struct request *request)
{
    uint32_t bytes = (uint32_t)buffer_len(&request->frame), slot = instance->next_slot;
    int error = 0;
    if (!has_room(instance, bytes))
        return false;
    while (instance->slots[slot])
        slot = (slot + 1) % SLOTS_MAX;
    void *room = ring_reserve(&instance->channel.out, bytes, &error);
    if (!room) {
        if (error == -EPROTO)
            instance_kill(instance, KILL_PROTOCOL, "it broke the ring");
        instance->starved = true;
        (void)ring_writer_sleep(&instance->channel.out); /* if it read just now, the tick sees it */
        return false;
    }
    name_holder(request);
    memcpy(room, request->frame.data + request->frame.start, bytes);
    request->ring_position = instance->channel.out.index;
    ring_commit(&instance->channel.out, request->is_event ? FRAME_EVENT : FRAME_REQUEST, slot,
                (uint32_t)request->id, bytes);
    instance->slots[slot] = request;
    instance->next_slot = (slot + 1) % SLOTS_MAX;
    request->deployment->worker->count->in_flight++;
    placement_begin(request->of_worker);
    if (instance->in_flight++ == 0)
        instance->progress_ms = loop_now_ms(gateway.loop);
    request->instance = instance;
    request->slot = slot;
    request->state = REQUEST_SENT;
    request->deadline_ms = loop_now_ms(gateway.loop) + request->deployment->wall_ms;
    instance_mark_dirty(instance);
    return true;
}

void dispatch_pump(struct deployment *deployment)
{
    while (deployment->queue_first) {
        struct instance *instance = pick(deployment);
        if (!instance)
            break;
        if (!send_to(instance, deployment->queue_first))
            continue; /* it is starved now, and is not picked again */
        struct request *sent = queue_pop(deployment);
        caller_resume_body(sent);
    }
    if (!deployment->queue_first || !deployment->current)
        return;
    uint32_t wanted =
        (deployment->queue_length + deployment->concurrency - 1) / deployment->concurrency;
    uint32_t startable = wanted > deployment->spawning ? instances_startable(deployment) : 0;
    if (wanted > deployment->spawning + startable)
        wanted = deployment->spawning + startable;
    dispatch_ask_for_instances(deployment, wanted);
}

void dispatch_request(struct request *request)
{
    struct deployment *deployment = request->deployment;
    if (deployment->failed && (deployment->failed_by_loader ||
                               loop_now_ms(gateway.loop) - deployment->failed_ms < FAILED_FOR_MS)) {
        dispatch_fail(request, deployment->failed_by_loader ? FAILURE_BUILD : FAILURE_START,
                      deployment->failed, (struct slice){0});
        request_free(request);
        return;
    }
    struct instance *instance = deployment->queue_first ? NULL : pick(deployment);
    if (instance && send_to(instance, request))
        return;
    if (deployment->queue_length >= deployment->queue_length_max) {
        deployment->worker->count->shed++;
        dispatch_fail(request, FAILURE_BUSY, "Too many requests are waiting for this worker.",
                      (struct slice){0});
        request_free(request);
        return;
    }
    dispatch_queue(request);
    dispatch_pump(deployment);
}

void dispatch_leave_slot(struct request *request)
{
    struct instance *instance = request->instance;
    instance->slots[request->slot] = NULL;
    request->instance = NULL;
    request->deployment->worker->count->in_flight--;
    placement_end(request->of_worker);
    if (request->begins)
        instance->begun_ms = loop_now_ms(gateway.loop);
    if (--instance->in_flight == 0)
        instance->idle_since_ms = loop_now_ms(gateway.loop);
}

bool dispatch_revoke(struct request *request)
{
    if (request->state != REQUEST_SENT ||
        !ring_revoke(&request->instance->channel.out, request->ring_position,
                     (uint32_t)request->id))
        return false;
    dispatch_leave_slot(request);
    return true;
}

/* ---- towards the instance ---- */

bool dispatch_send(struct instance *instance, enum frame_type type, uint32_t slot, uint64_t id,
                   const void *head, uint32_t head_bytes, struct slice rest)
{
    if (instance->killed)
        return true; /* nobody reads it; its requests end when it does */
    void *room = ring_reserve(&instance->channel.out, head_bytes + (uint32_t)rest.len, NULL);
    if (!room) {
        instance->starved = true;
        (void)ring_writer_sleep(&instance->channel.out);
        return false;
    }
    memcpy(room, head, head_bytes);
    if (rest.len > 0)
        memcpy((char *)room + head_bytes, rest.ptr, rest.len);
    ring_commit(&instance->channel.out, type, slot, (uint32_t)id, head_bytes + (uint32_t)rest.len);
    instance_mark_dirty(instance);
    return true;
}

size_t dispatch_room(struct instance *instance)
{
    return has_room(instance, 2 * BODY_CHUNK_BYTES_MAX) ? BODY_CHUNK_BYTES_MAX : 0;
}

size_t dispatch_body_room(struct request *request)
{
    if (!request->instance || request->body_credit <= 0)
        return 0;
    size_t room = dispatch_room(request->instance);
    return (int64_t)room < request->body_credit ? room : (size_t)request->body_credit;
}

void dispatch_body(struct request *request, struct slice bytes, bool ended)
{
    assert(request->instance && !request->body_ended && bytes.len <= BODY_CHUNK_BYTES_MAX);
    struct frame_body body = {request->id, ended ? FRAME_FIN : 0, (uint32_t)bytes.len};
    bool sent = dispatch_send(request->instance, FRAME_BODY, request->slot, request->id, &body,
                              sizeof(body), bytes);
    assert(sent); /* the caller asked for the room */
    request->body_ended = ended;
    request->body_credit -= (int64_t)bytes.len;
}

void dispatch_credit(struct request *request, uint32_t bytes)
{
    request->answer_credit += bytes;
    request->credit_unsent += bytes;
    if (!request->instance || request->credit_unsent == 0 || request->state == REQUEST_ANSWERED)
        return;
    struct frame_credit credit = {request->id, request->credit_unsent, 0};
    if (dispatch_send(request->instance, FRAME_CREDIT, request->slot, request->id, &credit,
                      sizeof(credit), (struct slice){0}))
        request->credit_unsent = 0;
}

void dispatch_client_gone(struct request *request)
{
    assert(!request->conn && !request->call);
    if (request->state == REQUEST_QUEUED) {
        queue_remove(request);
        request_free(request);
        return;
    }
    if (!request->instance || (request->state == REQUEST_ANSWERED && request->body_ended))
        return;
    if (!request->is_event && dispatch_revoke(request)) {
        request_free(request);
        return;
    }
    struct frame_abort frame = {request->id, 0, 0};
    if (!dispatch_send(request->instance, FRAME_ABORT, request->slot, request->id, &frame,
                       sizeof(frame), (struct slice){0}))
        instance_kill(request->instance, KILL_STUCK, "its ring is full");
    uint32_t owed = request->credit_owed;
    request->credit_owed = 0;
    dispatch_credit(request, owed);
}

size_t dispatch_cut_off(void)
{
    const char *why = "The server stops, and has no more time for this request.";
    size_t count = 0;
    for (struct deployment *d = gateway.deployments; d; d = d->next) {
        count += d->queue_length;
        dispatch_fail_queue(d, FAILURE_UNAVAILABLE, why);
        for (struct instance *i = d->instances; i; i = i->next) {
            for (int slot = 0; slot < SLOTS_MAX; slot++) {
                struct request *request = i->slots[slot];
                if (!request || request->state == REQUEST_ANSWERED || !caller_waits(request))
                    continue;
                dispatch_fail(request, FAILURE_UNAVAILABLE, why, (struct slice){0});
                count++;
            }
        }
    }
    return count;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* What instances send. Every frame was copied out of the ring before it is looked at; each length,
 * id and state is checked, and a handler that returns -EPROTO ends the instance. A frame of a
 * request that is over is dropped: the instance may not know yet. */
#include "dispatch_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "access_log.h"
#include "asset_exchange.h"
#include "caller.h"
#include "conn.h"
#include "request.h"
#include "service_call.h"

enum { FRAMES_PER_TURN = 256 };

static char payload[GATEWAY_RING_BYTES / 4];

static struct request *find_request(struct instance *instance, const struct ring_frame *frame,
                                    uint64_t id)
{
    if (frame->slot >= SLOTS_MAX)
        return NULL;
    struct request *request = instance->slots[frame->slot];
    return request && request->id == id ? request : NULL;
}

static void tell_cpu(struct request *request, uint32_t cpu_us)
{
    request->cpu_us = cpu_us;
    request->cpu_known = true;
}

/* Nothing of the request runs any more. */
static void finish(struct request *request, uint32_t cpu_us)
{
    struct deployment *deployment = request->deployment;
    tell_cpu(request, cpu_us);
    deployment->worker->count->cpu_us += cpu_us;
    dispatch_leave_slot(request);
    if (request->state != REQUEST_ANSWERED)
        dispatch_fail(request, FAILURE_EXCEPTION, "The script will never generate a response.",
                      (struct slice){0});
    else
        caller_request_over(request);
    request_free(request);
    if (deployment->queue_first)
        dispatch_pump(deployment);
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
    if (!request || request->state == REQUEST_ANSWERED)
        return 0;
    if (request->state != REQUEST_SENT)
        return -EPROTO;
    request->answer_credit -= response.inline_bytes;
    if (request->answer_credit < 0)
        return -EPROTO;
    bool ended = response.flags & FRAME_FIN;
    tell_cpu(request, response.cpu_us);
    request->state = ended ? REQUEST_ANSWERED : REQUEST_ANSWERING;
    if (request->is_event)
        dispatch_end_event(request, NULL);
    else
        caller_respond(request, (int)response.status, headers, response.body_bytes, body, ended);
    if (ended && response.flags & FRAME_DONE_TOO)
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
    if (body.id >= EXCHANGE_ID_BASE) /* assets take none, and are not found there */
        return service_call_body(instance, body.id,
                                 (struct slice){payload + sizeof(body), body.bytes},
                                 body.flags & FRAME_FIN);
    struct request *request = find_request(instance, frame, body.id);
    if (!request || request->state == REQUEST_ANSWERED)
        return 0;
    if (request->state != REQUEST_ANSWERING)
        return -EPROTO;
    request->answer_credit -= body.bytes;
    if (request->answer_credit < 0)
        return -EPROTO;
    bool ended = body.flags & FRAME_FIN;
    if (ended)
        request->state = REQUEST_ANSWERED;
    caller_respond_body(request, (struct slice){payload + sizeof(body), body.bytes}, ended);
    if (ended && body.flags & FRAME_DONE_TOO)
        finish(request, request->cpu_us);
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
    bool limits = error.kind == ERROR_KIND_CPU || error.kind == ERROR_KIND_MEMORY;
    request->deployment->worker->count->exceptions++;
    tell_cpu(request, error.cpu_us);
    access_log_exception(request, (int)error.kind, text, detail);
    if (request->conn && error.flags & FRAME_PASS_THROUGH && !request->is_event &&
        request->deployment->assets)
        conn_pass_through(request->conn, request);
    else
        dispatch_fail(request, limits ? FAILURE_LIMITS : FAILURE_EXCEPTION, text, detail);
    request->state = REQUEST_ANSWERED;
    return 0;
}

static int on_done(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_done done;
    if (frame->bytes != sizeof(done))
        return -EPROTO;
    memcpy(&done, payload, sizeof(done));
    struct request *request = find_request(instance, frame, done.id);
    if (request)
        finish(request, done.cpu_us);
    return 0;
}

static int on_credit(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_credit credit;
    if (frame->bytes != sizeof(credit))
        return -EPROTO;
    memcpy(&credit, payload, sizeof(credit));
    if (credit.id >= EXCHANGE_ID_BASE) {
        int r = asset_exchange_credit(instance, frame->slot, credit.id, credit.bytes);
        return r < 0 ? r : service_call_credit(instance, credit.id, credit.bytes);
    }
    struct request *request = find_request(instance, frame, credit.id);
    if (!request)
        return 0;
    if (request->body_credit + credit.bytes > FLOW_WINDOW_BYTES)
        return -EPROTO;
    request->body_credit += credit.bytes;
    caller_resume_body(request);
    return 0;
}

static int on_log(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_log line;
    if (frame->bytes < sizeof(line))
        return -EPROTO;
    memcpy(&line, payload, sizeof(line));
    if ((uint64_t)line.text_bytes + line.where_bytes + sizeof(line) != frame->bytes)
        return -EPROTO;
    struct slice text = {payload + sizeof(line), line.text_bytes};
    struct slice where = {text.ptr + text.len, line.where_bytes};
    access_log_console(instance, find_request(instance, frame, line.id), (int)line.level, text,
                       where);
    return 0;
}

static int on_abort(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_abort frame_abort;
    if (frame->bytes != sizeof(frame_abort))
        return -EPROTO;
    memcpy(&frame_abort, payload, sizeof(frame_abort));
    asset_exchange_abort(instance, frame->slot, frame_abort.id);
    service_call_abort(instance, frame_abort.id);
    return 0;
}

/* Its own files, or what another worker answers. */
static int on_request(struct instance *instance, const struct ring_frame *frame)
{
    struct frame_request head;
    struct slice bytes = {payload, frame->bytes};
    if (bytes.len < sizeof(head))
        return -EPROTO;
    memcpy(&head, payload, sizeof(head));
    return head.flags & FRAME_SERVICE ? service_call_start(instance, frame, bytes)
                                      : asset_exchange_start(instance, frame, bytes);
}

static int on_frame(struct instance *instance, const struct ring_frame *frame)
{
    switch ((enum frame_type)frame->type) {
    case FRAME_RESPONSE:
        return on_response(instance, frame);
    case FRAME_BODY:
        return on_body(instance, frame);
    case FRAME_ERROR:
        return on_error(instance, frame);
    case FRAME_DONE:
        return on_done(instance, frame);
    case FRAME_CREDIT:
        return on_credit(instance, frame);
    case FRAME_LOG:
        return on_log(instance, frame);
    case FRAME_REQUEST:
        return on_request(instance, frame);
    case FRAME_ABORT:
        return on_abort(instance, frame);
    case FRAME_EVENT:
    case FRAME_RETIRE:
    case FRAME_START_TLS:
        break;
    }
    return -EPROTO;
}

bool instance_drain(struct instance *instance)
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
        instance_kill(instance, KILL_PROTOCOL, "it broke the protocol");
    if (count > 0) {
        instance->progress_ms = loop_now_ms(gateway.loop);
        channel_consumed(&instance->channel);
    }
    return count == FRAMES_PER_TURN && r >= 0;
}

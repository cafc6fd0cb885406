/* SPDX-License-Identifier: Apache-2.0 */
#include "service_call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access_log.h"
#include "caller.h"
#include "dispatch.h"
#include "forward.h"
#include "prisma.h"
#include "request.h"

enum {
    CALLS_MAX = 512, /* of an instance, each with a window of body both ways */
    SEED_INTERVAL_MS = 500,
};

struct service_call {
    struct service_call *next; /* of its caller */
    struct instance *caller;
    struct request *request; /* NULL: nothing more comes of it */
    uint64_t id;
    uint32_t slot;
    int64_t body_bytes, body_window; /* received; what the caller may send */
    size_t body_owed;                /* credit that found the caller's ring full */
    struct buffer body;              /* that the other has no room for yet */
    bool body_ended;
    bool is_seed;         /* a system worker's, for its templates to come; it goes to nobody else */
    struct buffer head;   /* struct frame_response and headers, until they are sent */
    struct buffer answer; /* its body; the callee's window bounds it */
    bool begun, answer_ended, broken, over; /* broken: it stops in the middle */
    int64_t credit;                         /* of the answer's body */
};

static struct service_call *find(const struct instance *caller, uint64_t id)
{
    for (struct service_call *call = caller->calls; call; call = call->next)
        if (call->id == id)
            return call;
    return NULL;
}

/* Who answers it is told, if that goes on. */
static void leave(struct service_call *call)
{
    struct request *request = call->request;
    if (!request)
        return;
    call->request = NULL;
    request->call = NULL;
    if (request->state != REQUEST_ANSWERED)
        dispatch_client_gone(request);
}

static void drop(struct service_call *call)
{
    struct service_call **place = &call->caller->calls;
    while (*place != call)
        place = &(*place)->next;
    *place = call->next;
    call->caller->calls_count--;
    leave(call);
    buffer_done(&call->body);
    buffer_done(&call->head);
    buffer_done(&call->answer);
    free(call);
}

/* ---- the answer, towards the caller ---- */

/* The head, with all of the body if that is there already and short. False: no room. */
static bool send_head(struct service_call *call)
{
    struct frame_response response;
    memcpy(&response, call->head.data + call->head.start, sizeof(response));
    if (call->answer_ended && buffer_len(&call->answer) <= INLINE_BODY_BYTES_MAX) {
        response.flags = FRAME_FIN;
        response.inline_bytes = (uint32_t)buffer_len(&call->answer);
        response.body_bytes = response.inline_bytes;
        memcpy(call->head.data + call->head.start, &response, sizeof(response));
        buffer_append_slice(&call->head, buffer_slice(&call->answer));
        buffer_reset(&call->answer, 0);
        call->over = true;
    }
    struct slice rest = buffer_slice(&call->head);
    rest.ptr += sizeof(response);
    rest.len -= sizeof(response);
    if (!dispatch_send(call->caller, FRAME_RESPONSE, call->slot, call->id, &response,
                       sizeof(response), rest))
        return false;
    buffer_done(&call->head);
    return true;
}

/* Sends what there is and is allowed. The call is over, and freed, when all of it went out. */
static void pump(struct service_call *call)
{
    struct instance *caller = call->caller;
    if (buffer_len(&call->head) > 0 && (dispatch_room(caller) == 0 || !send_head(call)))
        return;
    if (call->broken) {
        struct frame_error error = {.id = call->id, .kind = ERROR_KIND_PROTOCOL};
        if (dispatch_send(caller, FRAME_ERROR, call->slot, call->id, &error, sizeof(error),
                          (struct slice){0}))
            drop(call);
        return;
    }
    while (!call->over && (buffer_len(&call->answer) > 0 || call->answer_ended)) {
        size_t len = buffer_len(&call->answer), room = dispatch_room(caller);
        if (room == 0 || (len > 0 && call->credit <= 0))
            return; /* service_call_resume or _credit goes on */
        len = len < room ? len : room;
        len = (int64_t)len < call->credit ? len : (size_t)call->credit;
        bool last = call->answer_ended && len == buffer_len(&call->answer);
        struct frame_body body = {call->id, last ? FRAME_FIN : 0, (uint32_t)len};
        if (!dispatch_send(caller, FRAME_BODY, call->slot, call->id, &body, sizeof(body),
                           (struct slice){call->answer.data + call->answer.start, len}))
            return;
        buffer_consume(&call->answer, len);
        call->credit -= (int64_t)len;
        call->over = last;
        if (call->request)
            dispatch_credit(call->request, (uint32_t)len);
    }
    if (call->over)
        drop(call);
}

static void begin_answer(struct service_call *call, int status, struct slice headers,
                         int64_t body_bytes, struct slice body, bool ended)
{
    struct frame_response response = {.id = call->id,
                                      .body_bytes = body_bytes,
                                      .status = (uint32_t)status,
                                      .headers_bytes = (uint32_t)headers.len};
    buffer_append(&call->head, &response, sizeof(response));
    buffer_append_slice(&call->head, headers);
    buffer_append_slice(&call->answer, body);
    call->answer_ended = ended;
    call->begun = true;
}

static void give_credit(struct service_call *call, size_t bytes)
{
    struct frame_credit credit = {call->id, (uint32_t)bytes, 0};
    call->body_window += (int64_t)bytes;
    if (!dispatch_send(call->caller, FRAME_CREDIT, call->slot, call->id, &credit, sizeof(credit),
                       (struct slice){0}))
        call->body_owed += bytes;
}

/* ---- seeds ---- */

/* Negative errno. The supervisor has it until the next one comes. */
static int hand_over_seed(const struct instance *caller, struct slice seed)
{
    AUTO_FD fd = memfd_create("weir-seed", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (seed.len > 0) {
        ssize_t written = write(fd, seed.ptr, seed.len);
        if (written <= 0)
            return -EIO;
        seed.ptr += written;
        seed.len -= (size_t)written;
    }
    struct control_seed message = {.deployment_id = caller->deployment->id};
    gateway_tell_fd(CONTROL_SEED, &message, sizeof(message), fd);
    return 0;
}

/* An instance may have one under way. The call may be over, and freed, when this is. */
static void take_seed(struct service_call *call, struct slice bytes)
{
    struct deployment *deployment = call->caller->deployment;
    uint64_t now_ms = loop_now_ms(gateway.loop);
    bool too_soon = deployment->seeded_ms && now_ms - deployment->seeded_ms < SEED_INTERVAL_MS;
    int status = too_soon || call->caller->calls_count > 1 ? 429
                 : call->body_bytes > SEED_BYTES_MAX       ? 413
                                                           : 204;
    if (status == 204) {
        buffer_append_slice(&call->body, bytes);
        if (!call->body_ended) {
            give_credit(call, bytes.len);
            return;
        }
        if (hand_over_seed(call->caller, buffer_slice(&call->body)) < 0)
            status = 500;
        deployment->seeded_ms = now_ms;
    }
    call->is_seed = false;
    begin_answer(call, status, (struct slice){0}, 0, (struct slice){0}, true);
    pump(call);
}

static void note_open(struct service_call *call, struct slice path)
{
    char text[24] = "";
    uint64_t all;
    int r = prisma_note_open(call->caller, path, &all);
    if (r == 0)
        (void)snprintf(text, sizeof(text), "%" PRIu64, all);
    struct slice body = slice_of(text);
    begin_answer(call,
                 r == 0         ? 200
                 : r == -ENOENT ? 404
                                : 400,
                 (struct slice){0}, (int64_t)body.len, body, true);
    pump(call);
}

static void refuse(struct service_call *call, enum prisma_refusal refusal)
{
    struct slice body = prisma_refusal(refusal);
    leave(call);
    begin_answer(call, prisma_refusal_status(refusal), SLICE("content-type: application/json\n"),
                 (int64_t)body.len, body, true);
    pump(call);
}

void service_call_respond(struct service_call *call, struct request *request, int status,
                          struct slice headers, int64_t body_bytes, struct slice body, bool ended)
{
    request->sent_bytes = body.len;
    begin_answer(call, status, headers, body_bytes, body, ended);
    access_log_call(request, status);
    pump(call);
}

void service_call_respond_body(struct service_call *call, struct slice body, bool ended)
{
    buffer_append_slice(&call->answer, body);
    call->answer_ended = ended;
    pump(call);
}

void service_call_fail(struct service_call *call, struct request *request, enum failure failure,
                       struct slice message, struct slice detail)
{
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    int status = failure_kind(failure)->status;
    call->request = NULL;
    request->call = NULL;
    access_log_call(request, status);
    if (call->begun) {
        call->broken = true;
        pump(call);
        return;
    }
    caller_error(request, failure, SLICE("application/json"), message, detail, &headers, &body);
    begin_answer(call, status, buffer_slice(&headers), (int64_t)buffer_len(&body),
                 buffer_slice(&body), true);
    pump(call);
}

void service_call_over(struct service_call *call, struct request *request)
{
    call->request = NULL;
    request->call = NULL;
}

/* ---- the request, towards the callee ---- */

void service_call_resume_body(struct service_call *call)
{
    struct request *request = call->request;
    size_t room;
    while (request && !request->body_ended && (buffer_len(&call->body) > 0 || call->body_ended) &&
           (room = dispatch_body_room(request)) > 0) {
        size_t len = buffer_len(&call->body);
        len = len < room ? len : room;
        bool last = call->body_ended && len == buffer_len(&call->body);
        dispatch_body(request, (struct slice){call->body.data + call->body.start, len}, last);
        buffer_consume(&call->body, len);
        if (!last)
            give_credit(call, len);
    }
}

int service_call_body(struct instance *caller, uint64_t id, struct slice bytes, bool ended)
{
    struct service_call *call = find(caller, id);
    if (!call)
        return 0; /* answered already */
    call->body_window -= (int64_t)bytes.len;
    if (call->body_window < 0 || call->body_ended)
        return -EPROTO;
    call->body_bytes += (int64_t)bytes.len;
    call->body_ended = ended;
    if (call->is_seed) {
        take_seed(call, bytes);
        return 0;
    }
    if (!call->request)
        return 0;
    if (call->body_bytes > call->request->deployment->request_body_bytes_max) {
        refuse(call, PRISMA_TOO_LARGE);
        return 0;
    }
    buffer_append_slice(&call->body, bytes);
    service_call_resume_body(call);
    return 0;
}

int service_call_start(struct instance *caller, const struct ring_frame *frame,
                       struct slice payload)
{
    static struct http1_request parsed;
    struct frame_request head;
    if (!request_parse_frame(payload, &head, &parsed) || head.id < EXCHANGE_ID_BASE ||
        frame->slot >= SLOTS_MAX || caller->calls_count >= SLOTS_MAX || find(caller, head.id) ||
        parsed.method.len == 0)
        return -EPROTO;
    struct service_call *call = xcalloc(1, sizeof(*call));
    call->caller = caller;
    call->id = head.id;
    call->slot = frame->slot;
    call->credit = FLOW_WINDOW_BYTES;
    call->body_window = FLOW_WINDOW_BYTES - (int64_t)head.inline_bytes;
    call->body_bytes = head.inline_bytes;
    call->body_ended = !(head.flags & FRAME_HAS_BODY) || head.flags & FRAME_FIN;
    call->next = caller->calls;
    caller->calls = call;
    caller->calls_count++;
    struct slice inline_body = {payload.ptr + payload.len - head.inline_bytes, head.inline_bytes};
    if (caller->deployment->prisma && slice_equal(parsed.authority, SLICE(SEED_HOST))) {
        call->is_seed = true;
        take_seed(call, inline_body);
        return 0;
    }
    if (caller->deployment->prisma && slice_equal(parsed.authority, SLICE(TRANSACTIONS_HOST))) {
        note_open(call, parsed.path);
        return 0;
    }
    struct prisma_claim claim;
    enum prisma_refusal refusal = caller->calls_count > CALLS_MAX
                                      ? PRISMA_TOO_MANY
                                      : prisma_admit(&parsed, head.body_bytes, &claim);
    if (refusal != PRISMA_ADMITTED) {
        refuse(call, refusal);
        return 0;
    }
    bool secure = payload.ptr[sizeof(head) + head.method_bytes + 4] == 's';
    struct request *request = forward_from_call(claim.deployment, caller->id, &parsed, &head,
                                                secure, &claim, inline_body);
    caller->has_begun |= claim.begins;
    request->body_whole = request->body_ended = call->body_ended;
    request->call = call;
    request->of_worker = true;
    call->request = request;
    if (!call->body_ended)
        give_credit(call, inline_body.len);
    dispatch_request(request);
    return 0;
}

/* ---- the caller's ring, and its end ---- */

int service_call_credit(struct instance *caller, uint64_t id, uint32_t bytes)
{
    struct service_call *call = find(caller, id);
    if (!call)
        return 0;
    if (call->credit + bytes > FLOW_WINDOW_BYTES)
        return -EPROTO;
    call->credit += bytes;
    pump(call);
    return 0;
}

void service_call_abort(struct instance *caller, uint64_t id)
{
    struct service_call *call = find(caller, id);
    if (call)
        drop(call);
}

void service_call_resume(struct instance *caller)
{
    for (struct service_call *call = caller->calls, *next; call && !caller->starved; call = next) {
        next = call->next;
        if (call->body_owed > 0) {
            size_t owed = call->body_owed;
            call->body_owed = 0;
            call->body_window -= (int64_t)owed;
            give_credit(call, owed);
        }
        pump(call);
    }
}

void service_call_drop_all(struct instance *caller)
{
    while (caller->calls)
        drop(caller->calls);
    if (caller->has_begun)
        prisma_forget_caller(caller->id);
}

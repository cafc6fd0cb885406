/* SPDX-License-Identifier: Apache-2.0 */
/* What C offers to the library: frames out, timers, clocks, evaluation. Text, crypto and codecs are
 * in bindings_*.c. The arguments come from our library, which has checked what the worker gave; a
 * worker that reaches these functions all the same harms itself alone, as every frame is validated
 * again by its receiver. */
#include "instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bindings.h"
#include "clock.h"
#include "jsc_private.h"

enum { LARGE_BYTES = 4 * 1024 * 1024 };

static struct outbox *gateway_outbox(void)
{
    return &instance.outboxes[TARGET_GATEWAY];
}

static uint32_t argument_u32(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index)
{
    double value = engine_number(ctx, argc, argv, index, 0);
    return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static uint64_t argument_id(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index)
{
    double value = engine_number(ctx, argc, argv, index, 0);
    return value > 0 && value < 9e15 ? (uint64_t)value : 0;
}

static JSValueRef argument(size_t argc, const JSValueRef argv[], size_t index)
{
    return index < argc ? argv[index] : NULL;
}

/* The slot of arguments 0 and 1 if it is still that request's and we are connected. */
static struct slot *argument_slot(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                  uint32_t *ret_index)
{
    uint32_t index = argument_u32(ctx, argc, argv, 0);
    uint64_t id = argument_id(ctx, argc, argv, 1);
    if (!instance.serving || index >= SLOTS_MAX || id == 0 || instance.slots[index].id != id)
        return NULL;
    *ret_index = index;
    return &instance.slots[index];
}

/* Bytes of a body argument: a view or buffer is borrowed, a string is encoded into *text. */
static struct slice body_bytes(JSContextRef ctx, JSValueRef value, struct buffer *text)
{
    struct slice bytes = {0};
    if (!value || JSValueIsNull(ctx, value) || JSValueIsUndefined(ctx, value))
        return bytes;
    if (JSValueIsString(ctx, value)) {
        text->start = text->end = 0;
        engine_append_utf8(ctx, value, text);
        return buffer_slice(text);
    }
    (void)engine_bytes(ctx, value, &bytes);
    return bytes;
}

/* Reused from call to call: the engine is single-threaded and none of them nests. */
static struct buffer head_text, body_text;

static struct slice block_bytes(JSContextRef ctx, JSValueRef value)
{
    head_text.start = head_text.end = 0;
    if (value)
        engine_append_utf8(ctx, value, &head_text); /* beyond ASCII as workerd sends it */
    if (buffer_len(&head_text) > HEAD_BYTES_MAX)
        head_text.end =
            head_text.start; /* the library refuses what is long; UTF-8 made it longer */
    return buffer_slice(&head_text);
}

/* respond(slot, id, status, headersBlock, body, flags, declaredBytes) → credit left */
ENGINE_FUNCTION(respond)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (!slot || slot->responded || argc < 6)
        return JSValueMakeNumber(ctx, -1);
    struct slice headers = block_bytes(ctx, argv[3]);
    struct slice body = body_bytes(ctx, argv[4], &body_text);
    uint32_t flags = argument_u32(ctx, argc, argv, 5);
    bool whole = flags & FRAME_FIN; /* all of the body is here */
    struct slice first = {body.ptr,
                          body.len < INLINE_BODY_BYTES_MAX ? body.len : INLINE_BODY_BYTES_MAX};
    bool fin_now = whole && first.len == body.len;
    struct frame_response response = {
        .id = slot->id,
        .body_bytes = whole ? (int64_t)body.len
                            : (int64_t)engine_number(ctx, argc, argv, 6, BODY_BYTES_UNKNOWN),
        .flags = fin_now ? flags : flags & ~(uint32_t)(FRAME_FIN | FRAME_DONE_TOO),
        .status = argument_u32(ctx, argc, argv, 2),
        .headers_bytes = (uint32_t)headers.len,
        .inline_bytes = (uint32_t)first.len,
        .cpu_us = instance_slot_cpu_us(slot),
    };
    char *room =
        outbox_reserve(gateway_outbox(), (uint32_t)(sizeof(response) + headers.len + first.len));
    memcpy(room, &response, sizeof(response));
    memcpy(room + sizeof(response), headers.ptr ? headers.ptr : "", headers.len);
    if (first.len > 0)
        memcpy(room + sizeof(response) + headers.len, first.ptr, first.len);
    outbox_commit(gateway_outbox(), FRAME_RESPONSE, index, slot->id,
                  (uint32_t)(sizeof(response) + headers.len + first.len));
    slot->responded = true;
    slot->response.credit -= (int64_t)first.len;
    if (fin_now) {
        if (flags & FRAME_DONE_TOO)
            instance_free_slot(slot);
        return JSValueMakeNumber(ctx, 0);
    }
    if (whole) {
        slot->done_with_fin = flags & FRAME_DONE_TOO;
        slot->response.fin_flags = flags & FRAME_DONE_TOO;
        outflow_write(&slot->response, gateway_outbox(), index, slot->id,
                      (struct slice){body.ptr + first.len, body.len - first.len}, true);
        instance_slot_sent(slot);
        return JSValueMakeNumber(ctx, 0);
    }
    return JSValueMakeNumber(ctx, (double)slot->response.credit);
}

/* respondBody(slot, id, view|string|null, fin) → credit left */
ENGINE_FUNCTION(respond_body)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (!slot || argc < 4)
        return JSValueMakeNumber(ctx, -1);
    struct slice bytes = body_bytes(ctx, argv[2], &body_text);
    outflow_write(&slot->response, gateway_outbox(), index, slot->id, bytes,
                  JSValueToBoolean(ctx, argv[3]));
    return JSValueMakeNumber(
        ctx, (double)(slot->response.credit - (int64_t)buffer_len(&slot->response.pending)));
}

/* respondError(slot, id, kind, message, detail, flags) */
ENGINE_FUNCTION(respond_error)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (!slot || argc < 4)
        return JSValueMakeUndefined(ctx);
    AUTO_TEXT text = engine_text(ctx, argv[3], NULL);
    AUTO_TEXT detail = argc > 4 ? engine_text(ctx, argv[4], NULL) : NULL;
    struct frame_error error = {
        .id = slot->id,
        .kind = argument_u32(ctx, argc, argv, 2),
        .flags = argument_u32(ctx, argc, argv, 5),
        .text_bytes = text ? (uint32_t)strnlen(text, 8192) : 0,
        .detail_bytes = detail ? (uint32_t)strnlen(detail, 16384) : 0,
        .cpu_us = instance_slot_cpu_us(slot),
    };
    if (text && engine_is_out_of_memory(text)) {
        /* The engine survives it, but what else failed half-way nobody knows: serve what is in
         * flight and make room for a fresh instance. */
        error.kind = ERROR_KIND_MEMORY;
        instance.spent = true;
    }
    uint32_t bytes = (uint32_t)sizeof(error) + error.text_bytes + error.detail_bytes;
    char *room = outbox_reserve(gateway_outbox(), bytes);
    memcpy(room, &error, sizeof(error));
    if (error.text_bytes)
        memcpy(room + sizeof(error), text, error.text_bytes);
    if (error.detail_bytes)
        memcpy(room + sizeof(error) + error.text_bytes, detail, error.detail_bytes);
    outbox_commit(gateway_outbox(), FRAME_ERROR, index, slot->id, bytes);
    slot->responded = true;
    return JSValueMakeUndefined(ctx);
}

/* done(slot, id): nothing of the request runs any more */
ENGINE_FUNCTION(done)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (!slot)
        return JSValueMakeUndefined(ctx);
    if (slot->response.fin && !slot->response.fin_sent) {
        /* The library is done but its last bytes wait for credit: the end frame says DONE too. */
        slot->response.fin_flags = FRAME_DONE_TOO;
        slot->done_with_fin = true;
        return JSValueMakeUndefined(ctx);
    }
    struct frame_done frame = {slot->id, instance_slot_cpu_us(slot), slot->subrequests};
    outbox_send(gateway_outbox(), FRAME_DONE, index, slot->id, &frame, sizeof(frame));
    instance_free_slot(slot);
    return JSValueMakeUndefined(ctx);
}

static void give_credit(struct outbox *outbox, uint32_t slot, uint64_t id, uint32_t *owed,
                        uint32_t bytes)
{
    *owed += bytes;
    if (*owed < FLOW_CREDIT_BYTES)
        return;
    struct frame_credit credit = {.id = id, .bytes = *owed};
    outbox_send(outbox, FRAME_CREDIT, slot, id, &credit, sizeof(credit));
    *owed = 0;
}

/* requestCredit(slot, id, bytes): the worker consumed bytes of the request's body */
ENGINE_FUNCTION(request_credit)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (slot)
        give_credit(gateway_outbox(), index, slot->id, &slot->credit_owed,
                    argument_u32(ctx, argc, argv, 2));
    return JSValueMakeUndefined(ctx);
}

static uint32_t slot_of_id(uint64_t id)
{
    if (id && instance.turn.id == id)
        return instance.turn.slot;
    for (uint32_t i = 0; id && i < SLOTS_MAX; i++)
        if (instance.slots[i].id == id)
            return i;
    return 0;
}

/* log(id, level, text, where): one console line; before serving it goes to stderr */
ENGINE_FUNCTION(log_console)
{
    if (argc < 3)
        return JSValueMakeUndefined(ctx);
    uint64_t id = argument_id(ctx, argc, argv, 0);
    AUTO_TEXT text = engine_text(ctx, argv[2], NULL);
    AUTO_TEXT where = argc > 3 ? engine_text(ctx, argv[3], NULL) : NULL;
    if (!text)
        return JSValueMakeUndefined(ctx);
    if (!instance.serving) {
        (void)fprintf(stderr, "%s\n", text);
        return JSValueMakeUndefined(ctx);
    }
    struct frame_log line = {
        .id = id,
        .level = argument_u32(ctx, argc, argv, 1),
        .text_bytes = (uint32_t)strnlen(text, 64 * 1024),
        .where_bytes = where ? (uint32_t)strnlen(where, 1024) : 0,
    };
    uint32_t bytes = (uint32_t)sizeof(line) + line.text_bytes + line.where_bytes;
    char *room = outbox_reserve(gateway_outbox(), bytes);
    memcpy(room, &line, sizeof(line));
    memcpy(room + sizeof(line), text, line.text_bytes);
    if (line.where_bytes)
        memcpy(room + sizeof(line) + line.text_bytes, where, line.where_bytes);
    outbox_commit(gateway_outbox(), FRAME_LOG, slot_of_id(id), id, bytes);
    return JSValueMakeUndefined(ctx);
}

/* ---- exchanges that the worker opens ---- */

static bool argument_target(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                            enum exchange_target *ret_target)
{
    uint32_t target = argument_u32(ctx, argc, argv, 0);
    if (!instance.serving || target >= TARGETS || !instance.outboxes[target].channel->memory)
        return false;
    *ret_target = target;
    return true;
}

/* The exchange's slot: ids are given in order, so it is nearly always id modulo the table. */
static struct exchange *exchange_of(enum exchange_target target, uint64_t wanted, uint64_t start,
                                    uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        uint32_t slot = (uint32_t)((start + i) % SLOTS_MAX);
        if (instance.exchanges[target][slot].id == wanted) {
            *ret_slot = slot;
            return &instance.exchanges[target][slot];
        }
    }
    return NULL;
}

static struct exchange *argument_exchange(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                          enum exchange_target *ret_target, uint32_t *ret_slot)
{
    if (!argument_target(ctx, argc, argv, ret_target))
        return NULL;
    uint64_t id = argument_id(ctx, argc, argv, 1) + EXCHANGE_ID_BASE;
    return exchange_of(*ret_target, id, id, ret_slot);
}

/* fetchStart(target, id, method, url, headersBlock, body|null, flags, declaredBytes) → true, or
 * false when too many exchanges are open */
ENGINE_FUNCTION(fetch_start)
{
    enum exchange_target target;
    uint32_t slot_index;
    if (argc < 7 || !argument_target(ctx, argc, argv, &target))
        return JSValueMakeBoolean(ctx, false);
    uint64_t id = argument_id(ctx, argc, argv, 1) + EXCHANGE_ID_BASE;
    struct exchange *exchange = exchange_of(target, 0, id, &slot_index);
    if (!exchange)
        return JSValueMakeBoolean(ctx, false);
    struct frame_request request = {.id = id, .flags = argument_u32(ctx, argc, argv, 6)};
    head_text.start = head_text.end = 0;
    engine_append_latin1(ctx, argv[2], &head_text);
    request.method_bytes = (uint32_t)buffer_len(&head_text);
    engine_append_latin1(ctx, argv[3], &head_text);
    request.url_bytes = (uint32_t)buffer_len(&head_text) - request.method_bytes;
    engine_append_utf8(ctx, argv[4], &head_text);
    request.headers_bytes =
        (uint32_t)buffer_len(&head_text) - request.method_bytes - request.url_bytes;
    if (request.method_bytes > METHOD_BYTES_MAX || buffer_len(&head_text) > HEAD_BYTES_MAX)
        return JSValueMakeBoolean(ctx, false);
    struct slice body = body_bytes(ctx, argv[5], &body_text);
    bool whole = request.flags & FRAME_FIN;
    struct slice first = {body.ptr,
                          body.len < INLINE_BODY_BYTES_MAX ? body.len : INLINE_BODY_BYTES_MAX};
    if (first.len < body.len)
        request.flags &= ~(uint32_t)FRAME_FIN;
    request.body_bytes =
        whole ? (int64_t)body.len : (int64_t)engine_number(ctx, argc, argv, 7, BODY_BYTES_UNKNOWN);
    request.inline_bytes = (uint32_t)first.len;
    struct outbox *outbox = &instance.outboxes[target];
    uint32_t bytes = (uint32_t)(sizeof(request) + buffer_len(&head_text) + first.len);
    char *room = outbox_reserve(outbox, bytes);
    memcpy(room, &request, sizeof(request));
    memcpy(room + sizeof(request), head_text.data, buffer_len(&head_text));
    if (first.len > 0)
        memcpy(room + sizeof(request) + buffer_len(&head_text), first.ptr, first.len);
    outbox_commit(outbox, FRAME_REQUEST, slot_index, id, bytes);
    *exchange = (struct exchange){.id = id, .is_socket = request.flags & FRAME_SOCKET};
    exchange->request.credit = FLOW_WINDOW_BYTES - (int64_t)first.len;
    if (whole && first.len < body.len)
        outflow_write(&exchange->request, outbox, slot_index, id,
                      (struct slice){body.ptr + first.len, body.len - first.len}, true);
    if (instance.turn.id)
        instance.slots[instance.turn.slot].subrequests++;
    return JSValueMakeBoolean(ctx, true);
}

/* fetchBody(target, id, view|string|null, fin) → credit left */
ENGINE_FUNCTION(fetch_body)
{
    enum exchange_target target;
    uint32_t slot;
    struct exchange *exchange = argument_exchange(ctx, argc, argv, &target, &slot);
    if (!exchange || argc < 4)
        return JSValueMakeNumber(ctx, -1);
    struct slice bytes = body_bytes(ctx, argv[2], &body_text);
    outflow_write(&exchange->request, &instance.outboxes[target], slot, exchange->id, bytes,
                  JSValueToBoolean(ctx, argv[3]));
    return JSValueMakeNumber(
        ctx, (double)(exchange->request.credit - (int64_t)buffer_len(&exchange->request.pending)));
}

/* fetchAbort(target, id) */
ENGINE_FUNCTION(fetch_abort)
{
    enum exchange_target target;
    uint32_t slot;
    struct exchange *exchange = argument_exchange(ctx, argc, argv, &target, &slot);
    if (!exchange)
        return JSValueMakeUndefined(ctx);
    struct frame_abort frame = {.id = exchange->id};
    outbox_send(&instance.outboxes[target], FRAME_ABORT, slot, exchange->id, &frame, sizeof(frame));
    outflow_done(&exchange->request);
    exchange->id = 0;
    return JSValueMakeUndefined(ctx);
}

/* fetchCredit(target, id, bytes): the worker consumed bytes of the response's body */
ENGINE_FUNCTION(fetch_credit)
{
    enum exchange_target target;
    uint32_t slot;
    struct exchange *exchange = argument_exchange(ctx, argc, argv, &target, &slot);
    if (exchange)
        give_credit(&instance.outboxes[target], slot, exchange->id, &exchange->credit_owed,
                    argument_u32(ctx, argc, argv, 2));
    return JSValueMakeUndefined(ctx);
}

/* socketStartTls(id, host): of a socket of the broker, after all that was written. False: the host
 * is none, or the socket. */
ENGINE_FUNCTION(socket_start_tls)
{
    uint32_t slot;
    uint64_t id = argument_id(ctx, argc, argv, 0) + EXCHANGE_ID_BASE;
    struct exchange *exchange =
        instance.serving && argc > 1 ? exchange_of(TARGET_BROKER, id, id, &slot) : NULL;
    head_text.start = head_text.end = 0;
    if (exchange)
        engine_append_latin1(ctx, argv[1], &head_text);
    if (buffer_len(&head_text) == 0 || buffer_len(&head_text) > HOST_BYTES_MAX)
        return JSValueMakeBoolean(ctx, false);
    struct frame_start_tls order = {.id = id, .host_bytes = (uint32_t)buffer_len(&head_text)};
    uint32_t bytes = (uint32_t)sizeof(order) + order.host_bytes;
    struct outbox *outbox = &instance.outboxes[TARGET_BROKER];
    char *room = outbox_reserve(outbox, bytes);
    memcpy(room, &order, sizeof(order));
    memcpy(room + sizeof(order), head_text.data, order.host_bytes);
    outbox_commit(outbox, FRAME_START_TLS, slot, id, bytes);
    return JSValueMakeBoolean(ctx, true);
}

/* ---- time, evaluation ---- */

/* setTimer(ms): calls the timer hook once, that long from now; -1: never */
ENGINE_FUNCTION(set_timer)
{
    double ms = engine_number(ctx, argc, argv, 0, -1);
    instance.timer_due_us = ms >= 0 && ms < 1e12 ? clock_monotonic_us() + (uint64_t)(ms * 1000) : 0;
    return JSValueMakeUndefined(ctx);
}

/* makeRoom(bytes): before so much is allocated at once. Garbage that waits for the engine's own
 * time to be collected would count against the worker's limit. */
ENGINE_FUNCTION(make_room)
{
    if (engine_number(ctx, argc, argv, 0, 0) >= LARGE_BYTES)
        jsc_private.collect(ctx);
    return JSValueMakeUndefined(ctx);
}

/* turnIsOf(slot, id): the turn works for this request from here on */
ENGINE_FUNCTION(turn_is_of)
{
    uint32_t index;
    struct slot *slot = argument_slot(ctx, argc, argv, &index);
    if (slot)
        instance_turn_is_of(index, slot->id);
    return JSValueMakeUndefined(ctx);
}

/* subrequestsMax() → how many fetches one request may make */
ENGINE_FUNCTION(subrequests_max)
{
    return JSValueMakeNumber(ctx, instance.subrequests_max);
}

/* now() → monotonic milliseconds */
ENGINE_FUNCTION(now)
{
    return JSValueMakeNumber(ctx, (double)clock_monotonic_us() / 1000);
}

/* wallTime() → milliseconds since 1970 */
ENGINE_FUNCTION(wall_time)
{
    return JSValueMakeNumber(ctx, (double)(clock_wall_us() / 1000));
}

static JSValueRef evaluate_value(JSContextRef ctx, JSValueRef source, size_t argc,
                                 const JSValueRef argv[], JSValueRef *exception)
{
    JSStringRef script = JSValueToStringCopy(ctx, source, exception);
    JSValueRef name_value = argument(argc, argv, 1);
    JSStringRef name = name_value ? JSValueToStringCopy(ctx, name_value, NULL) : NULL;
    JSValueRef value = NULL;
    if (script)
        value = JSEvaluateScript(ctx, script, NULL, name, (int)engine_number(ctx, argc, argv, 2, 1),
                                 exception);
    if (name)
        JSStringRelease(name);
    if (script)
        JSStringRelease(script);
    return value;
}

/* evaluate(sourceText, name, startLine) → the script's value */
ENGINE_FUNCTION(evaluate)
{
    if (argc < 1)
        return JSValueMakeUndefined(ctx);
    return evaluate_value(ctx, argv[0], argc, argv, exception);
}

/* evaluateBytes(view of UTF-8, name, startLine) → the script's value */
ENGINE_FUNCTION(evaluate_bytes)
{
    struct slice bytes;
    if (argc < 1 || !engine_bytes(ctx, argv[0], &bytes))
        return JSValueMakeUndefined(ctx);
    return evaluate_value(ctx, engine_string_utf8(ctx, bytes), argc, argv, exception);
}

/* setEvalEnabled(bool): eval and the function constructors throw when off */
ENGINE_FUNCTION(set_eval_enabled)
{
    bool enabled = argc > 0 && JSValueToBoolean(ctx, argv[0]);
    JSStringRef text =
        JSStringCreateWithUTF8CString("Code generation from strings disallowed for this context");
    jsc_private.set_eval_enabled(instance.engine.ctx, enabled, text);
    JSStringRelease(text);
    return JSValueMakeUndefined(ctx);
}

#ifdef WEIR_TEST_HOOKS
/* testSyscall(number, a, b, c, d, e, f) → result or -errno: stands for hostile native code inside
 * an instance. A string or buffer argument is passed by its address. Only in test builds. */
ENGINE_FUNCTION(test_syscall)
{
    long args[7] = {0};
    char *texts[7] = {NULL};
    for (size_t i = 0; i < argc && i < 7; i++) {
        struct slice bytes;
        if (JSValueIsString(ctx, argv[i]))
            args[i] = (long)(texts[i] = engine_text(ctx, argv[i], NULL));
        else if (engine_bytes(ctx, argv[i], &bytes))
            args[i] = (long)bytes.ptr;
        else
            args[i] = (long)engine_number(ctx, argc, argv, i, 0);
    }
    long result = syscall(args[0], args[1], args[2], args[3], args[4], args[5], args[6]);
    for (size_t i = 0; i < 7; i++)
        free(texts[i]);
    return JSValueMakeNumber(ctx, result < 0 ? -(double)errno : (double)result);
}

/* testRing(offset, u32): scribbles over the ring to the gateway. */
ENGINE_FUNCTION(test_ring)
{
    size_t offset = argument_u32(ctx, argc, argv, 0) % instance.gateway.memory_bytes & ~3ul;
    uint32_t value = argument_u32(ctx, argc, argv, 1);
    memcpy((char *)instance.gateway.memory + offset, &value, sizeof(value));
    return JSValueMakeUndefined(ctx);
}
#endif

static const struct {
    const char *name;
    JSObjectCallAsFunctionCallback function;
} natives[] = {
    {"respond", respond},
    {"respondBody", respond_body},
    {"respondError", respond_error},
    {"done", done},
    {"requestCredit", request_credit},
    {"log", log_console},
    {"fetchStart", fetch_start},
    {"fetchBody", fetch_body},
    {"fetchAbort", fetch_abort},
    {"fetchCredit", fetch_credit},
    {"socketStartTls", socket_start_tls},
    {"setTimer", set_timer},
    {"makeRoom", make_room},
    {"now", now},
    {"turnIsOf", turn_is_of},
    {"subrequestsMax", subrequests_max},
    {"wallTime", wall_time},
    {"evaluate", evaluate},
    {"evaluateBytes", evaluate_bytes},
    {"setEvalEnabled", set_eval_enabled},
#ifdef WEIR_TEST_HOOKS
    {"testSyscall", test_syscall},
    {"testRing", test_ring},
#endif
};

JSObjectRef natives_new(JSContextRef ctx)
{
    JSObjectRef native = JSObjectMake(ctx, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(natives); i++)
        engine_define_function(ctx, native, natives[i].name, natives[i].function);
    bindings_define(ctx, native);
    return native;
}

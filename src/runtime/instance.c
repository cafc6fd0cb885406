/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of an instance. Frames come from the gateway and the broker, which an instance trusts
 * (they are ours); what it sends they check. One frame is one call into the engine, so that the
 * microtasks after it belong to its request: that is how CPU time and console lines find theirs. */
#include "instance.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "affinity.h"
#include "clock.h"
#include "hot_pages.h"
#include "jsc_private.h"
#include "rehearsal.h"

enum {
    FRAMES_PER_TURN = 64, /* of one ring, then the other has its chance */
    /* Quiet for so long: collect garbage, give memory back. Not sooner: the next requests fetch
     * each page anew, which doubles what they take on virtual machines whose faults are slow. */
    IDLE_COMPACT_MS = 5000,
    /* Collect garbage after so many bytes of bodies: left to itself the engine waits for 32 MB, and
     * a body that is copied twice is over the memory limit by then. */
    BODY_BYTES_COLLECT = 8 * 1024 * 1024,
    WATCHDOG_TICK_MS_MAX = 20, /* how often a long turn is looked at */
    BELL_US = 50,        /* so much into a batch whoever reads our frames may begin with them */
    LONG_TURN_US = 4000, /* a scheduler's slice */
    /* More of a window in long turns than warming up takes: it computes. */
    LONG_TURNS_WINDOW_US = 1000 * 1000,
    LONG_TURNS_US_MAX = 500 * 1000,
    /* The first requests pay for what later ones share: pages copied after the fork, code compiled,
     * parts of the library loaded on first use. So much over all is not held against them. */
    WARMUP_US_MAX = 100 * 1000,
};

struct instance instance;

/* Lets the watchdog begin a new tick, and returns how long it is. */
static double begin_tick(void)
{
    uint32_t most = WATCHDOG_TICK_MS_MAX;
    double tick_s = (instance.cpu_ms_max < most ? instance.cpu_ms_max : most) / 1000.0;
    jsc_watchdog_new_tick(tick_s);
    return tick_s;
}

void instance_keep_to_cpu(int cpu)
{
    if (!instance.placement.kept &&
        sched_getaffinity(0, sizeof(instance.placement.all), &instance.placement.all) < 0)
        return;
    instance.placement.kept = affinity_keep_to(cpu);
}

/* Which goes where its only client is. */
static void tell_pool(int cpu)
{
    if (instance.pool.memory)
        channel_advise(&instance.pool, cpu);
}

static void go_anywhere(void)
{
    affinity_release(&instance.placement.all);
    instance.placement.kept = false;
    tell_pool(-1);
}

/* The gateway's, which changes as it has one request at a time or several. Who has gone elsewhere
 * because its turns are long stays there until the advice is another. */
static void follow_advice(void)
{
    int cpu = channel_advice(&instance.gateway);
    if (cpu == instance.placement.advice)
        return;
    instance.placement.advice = cpu;
    if (cpu >= 0) {
        instance_keep_to_cpu(cpu);
        tell_pool(cpu);
    } else if (instance.placement.kept) {
        go_anywhere();
    }
}

static void count_long_turn(uint64_t used_us)
{
    uint64_t now_us = clock_monotonic_us();
    if (now_us - instance.placement.window_start_us > LONG_TURNS_WINDOW_US) {
        instance.placement.window_start_us = now_us;
        instance.placement.long_us = 0;
    }
    instance.placement.long_us += used_us;
    if (instance.placement.long_us < LONG_TURNS_US_MAX)
        return;
    go_anywhere();
}

/* CPU time of the turn so far. A system call a turn would cost more than a short turn itself, so
 * the CPU clock is read before a batch of turns: the turn has used no more than the batch, and no
 * more than its wall time. */
static uint64_t turn_used_us(void)
{
    uint64_t wall_us = clock_monotonic_us() - instance.turn.start_us;
    uint64_t batch_us = clock_thread_cpu_us() - instance.batch_cpu_us;
    return wall_us < batch_us ? wall_us : batch_us;
}

/* Most requests end in the turn that they begin in: it counts before it is over. */
uint32_t instance_slot_cpu_us(const struct slot *slot)
{
    if (slot->id != instance.turn.id)
        return slot->cpu_us;
    uint64_t used_us = clock_monotonic_us() - instance.turn.start_us;
    return slot->cpu_us + (uint32_t)(used_us < LONG_TURN_US ? used_us : turn_used_us());
}

/* CPU time of the turn's request before this turn. */
static uint64_t request_used_us(void)
{
    return instance.turn.id ? instance.slots[instance.turn.slot].cpu_us : 0;
}

static uint64_t beyond_limit_us(uint64_t used_us)
{
    uint64_t limit_us = (uint64_t)instance.cpu_ms_max * 1000;
    return used_us > limit_us ? used_us - limit_us : 0;
}

/* Called by the engine each time that a turn has taken another tick. */
static bool should_terminate(JSContextRef ctx, void *context)
{
    (void)ctx, (void)context;
    (void)begin_tick();
    engine_keep_room(&instance.engine, clock_thread_cpu_us());
    uint64_t used_us = turn_used_us();
    if (instance.placement.kept)
        count_long_turn(used_us);
    used_us += request_used_us();
    instance.turn.terminated = used_us >= (uint64_t)instance.cpu_ms_max * 1000 &&
                               beyond_limit_us(used_us) >= instance.warmup_us;
    if (!instance.turn
             .terminated) /* the engine's timer fires once unless it is set again in here */
        instance_limit_cpu(instance.cpu_ms_max);
    return instance.turn.terminated;
}

void instance_limit_cpu(uint32_t cpu_ms_max)
{
    instance.cpu_ms_max = cpu_ms_max ? cpu_ms_max : 30000;
    jsc_private.set_time_limit(instance.engine.group, begin_tick(), should_terminate, NULL);
}

int instance_init(struct error *err)
{
    int r = engine_start(&instance.engine, err);
    if (r < 0)
        return r;
    instance.warmup_us = WARMUP_US_MAX;
    instance.native = natives_new(instance.engine.ctx);
    r = library_start(&instance.library, &instance.engine, instance.native, err);
    if (r == 0)
        engine_copy_with(instance.engine.ctx, instance.library.copy_bytes);
    if (r < 0)
        return r;
    jsc_private.set_rejection_callback(instance.engine.ctx, instance.library.unhandled_rejection,
                                       NULL);
    return 0;
}

/* Tells the library whose turn was stopped. What it was in the middle of may have been anything,
 * the library's own affairs included: the instance takes its leave. */
static void report_stop(enum error_kind kind)
{
    instance.spent = true;
    JSContextRef ctx = instance.engine.ctx;
    bool known = instance.turn.id && instance.slots[instance.turn.slot].id == instance.turn.id;
    const JSValueRef args[] = {JSValueMakeNumber(ctx, known ? (double)instance.turn.slot : -1),
                               JSValueMakeNumber(ctx, known ? (double)instance.turn.id : 0),
                               JSValueMakeNumber(ctx, kind)};
    JSValueRef exception = NULL;
    engine_drop_termination(&instance.engine);
    (void)JSObjectCallAsFunction(ctx, instance.library.terminated, NULL, ARRAY_LEN(args), args,
                                 &exception);
}

void instance_turn_is_of(uint32_t slot, uint64_t id)
{
    uint64_t now_us = clock_monotonic_us();
    if (instance.turn.id == id)
        return;
    if (instance.turn.id)
        instance.slots[instance.turn.slot].cpu_us += (uint32_t)(now_us - instance.turn.start_us);
    instance.turn.start_us = now_us;
    instance.turn.slot = slot;
    instance.turn.id = id;
}

/* The engine's lock, while a frame becomes a call: each argument that is made would take it. */
static bool holds_lock;

static void hold_lock(void)
{
    jsc_private.lock(instance.engine.ctx);
    holds_lock = true;
}

static void release_lock(void)
{
    holds_lock = false;
    jsc_private.unlock(instance.engine.ctx);
}

bool instance_call(JSObjectRef hook, size_t argc, const JSValueRef argv[])
{
    JSContextRef ctx = instance.engine.ctx;
    JSValueRef exception = NULL;
    for (size_t i = 0; i < argc; i++) {
        if (argv[i])
            continue;
        report_stop(ERROR_KIND_MEMORY);
        return false;
    }
    instance.turn.start_us = clock_monotonic_us();
    instance.turn.terminated = false;
    (void)begin_tick();
    (void)JSObjectCallAsFunction(ctx, hook, NULL, argc, argv, &exception);
    if (holds_lock) /* microtasks run when nobody holds it any more: now */
        jsc_private.unlock(ctx);
    uint64_t used_us = clock_monotonic_us() - instance.turn.start_us;
    if (holds_lock)
        jsc_private.lock(ctx);
    if (used_us >= LONG_TURN_US)
        used_us = turn_used_us();
    uint64_t before_us = request_used_us();
    uint64_t beyond_us = beyond_limit_us(before_us + used_us) - beyond_limit_us(before_us);
    instance.warmup_us -= beyond_us < instance.warmup_us ? beyond_us : instance.warmup_us;
    if (instance.turn.id)
        instance.slots[instance.turn.slot].cpu_us += (uint32_t)used_us;
    if (used_us >= LONG_TURN_US && instance.placement.kept)
        count_long_turn(used_us);
    if (instance.turn.terminated) {
        instance.turn.start_us = clock_monotonic_us(); /* what was before is counted */
        report_stop(ERROR_KIND_CPU);
        instance.turn.terminated = false;
        return false;
    }
    if (exception) { /* the library catches what a worker throws: this is ours */
        AUTO_TEXT text = engine_exception_text(ctx, exception);
        bool memory = engine_is_out_of_memory(text);
        if (!memory)
            (void)fprintf(stderr, "weir: the platform library threw: %s\n", text);
        report_stop(memory ? ERROR_KIND_MEMORY : ERROR_KIND_EXCEPTION);
        return false;
    }
    return true;
}

/* The bundle file's layout: messages of the loader, see docs in src/runtime/README.md. */
static const char bundle_magic[8] = "WEIRB1";

static const char *boot_state(char state[16])
{
    JSContextRef ctx = instance.engine.ctx;
    JSValueRef value =
        JSObjectCallAsFunction(ctx, instance.library.boot_state, NULL, 0, NULL, NULL);
    AUTO_TEXT text = value ? engine_text(ctx, value, NULL) : NULL;
    (void)snprintf(state, 16, "%s", text ? text : "failed");
    return state;
}

static int split_bundle(struct slice bundle, struct slice *ret_manifest, struct slice *ret_modules,
                        struct error *err)
{
    uint32_t manifest_bytes;
    if (bundle.len < 16 || memcmp(bundle.ptr, bundle_magic, sizeof(bundle_magic)) != 0)
        return error_set(err, -EINVAL, "not a weir bundle");
    memcpy(&manifest_bytes, bundle.ptr + 8, sizeof(manifest_bytes));
    size_t modules = 16 + (((size_t)manifest_bytes + 7) & ~(size_t)7);
    if (modules > bundle.len)
        return error_set(err, -EINVAL, "the bundle is cut short");
    *ret_manifest = (struct slice){bundle.ptr + 16, manifest_bytes};
    *ret_modules = (struct slice){bundle.ptr + modules, bundle.len - modules};
    return 0;
}

bool instance_rehearse(struct slice bundle, struct slice path)
{
    struct error err = {""};
    struct slice manifest, modules;
    static const char wasm[] = "\"wasm\""; /* would be compiled once more, for nothing */
    return split_bundle(bundle, &manifest, &modules, &err) == 0 &&
           !memmem(manifest.ptr, manifest.len, wasm, sizeof(wasm) - 1) &&
           rehearse_worker(&instance.engine, manifest, modules, path, &err) == 0;
}

int instance_boot(struct slice bundle, struct slice seed, struct error *err)
{
    JSContextRef ctx = instance.engine.ctx;
    struct slice manifest, modules;
    int r = split_bundle(bundle, &manifest, &modules, err);
    if (r < 0)
        return r;
    const JSValueRef args[] = {
        engine_string_utf8(ctx, manifest), engine_uint8_array_on(ctx, modules),
        seed.len > 0 ? engine_string_utf8(ctx, seed) : JSValueMakeUndefined(ctx)};
    JSValueRef exception = NULL;
    (void)JSObjectCallAsFunction(ctx, instance.library.boot, NULL, ARRAY_LEN(args), args,
                                 &exception);
    if (exception) {
        AUTO_TEXT text = engine_exception_text(ctx, exception);
        return error_set(err, -EINVAL, "%s", text);
    }
    char state[16];
    if (strcmp(boot_state(state), "ready") == 0)
        return 0;
    if (strcmp(state, "pending") == 0) /* no I/O at global scope: nothing can settle it any more */
        return error_set(err, -EINVAL, "Error: Top-level await in module never resolved.");
    JSValueRef text = JSObjectCallAsFunction(ctx, instance.library.boot_error, NULL, 0, NULL, NULL);
    AUTO_TEXT message = text ? engine_text(ctx, text, NULL) : NULL;
    return error_set(err, -EINVAL, "%s", message ? message : "start-up failed");
}

uint32_t instance_handlers(void)
{
    JSContextRef ctx = instance.engine.ctx;
    JSValueRef value = JSObjectCallAsFunction(ctx, instance.library.handlers, NULL, 0, NULL, NULL);
    return value ? (uint32_t)JSValueToNumber(ctx, value, NULL) : 0;
}

int instance_timers(void)
{
    if (instance.timer_due_us == 0)
        return -1;
    uint64_t now_us = clock_monotonic_us();
    if (now_us >= instance.timer_due_us) {
        instance.timer_due_us = 0;
        instance.turn.id = 0;
        (void)instance_call(instance.library.timer, 0, NULL);
        if (instance.timer_due_us == 0)
            return -1;
        now_us = clock_monotonic_us();
    }
    return now_us >= instance.timer_due_us ? 0
                                           : (int)((instance.timer_due_us - now_us + 999) / 1000);
}

/* ---- frames from the gateway and the broker ---- */

static JSValueRef number(double value)
{
    return JSValueMakeNumber(instance.engine.ctx, value);
}

/* NULL when there is no memory for them: instance_call ends the turn's request. */
static JSValueRef bytes_or_null(const char *bytes, size_t len)
{
    JSContextRef ctx = instance.engine.ctx;
    if (len == 0)
        return JSValueMakeNull(ctx);
    if ((instance.body_bytes += len) > BODY_BYTES_COLLECT) {
        instance.body_bytes = 0;
        jsc_private.collect(ctx);
    }
    JSValueRef array = engine_uint8_array(ctx, bytes, len);
    return JSValueIsUndefined(ctx, array) ? NULL : array;
}

static JSValueRef method_string(struct slice method)
{
    static const char *const common[] = {"GET",  "POST",    "PUT",  "DELETE",
                                         "HEAD", "OPTIONS", "PATCH"};
    static JSValueRef cached[ARRAY_LEN(common)];
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        if (!slice_equal(method, slice_of(common[i])))
            continue;
        if (!cached[i]) {
            cached[i] = engine_string(instance.engine.ctx, common[i]);
            JSValueProtect(instance.engine.ctx, cached[i]);
        }
        return cached[i];
    }
    return engine_string_latin1(instance.engine.ctx, method);
}

/* Ids of the worker's own exchanges are small numbers in the library. */
static double library_id(uint64_t id)
{
    return (double)(id >= EXCHANGE_ID_BASE ? id - EXCHANGE_ID_BASE : id);
}

static void begin_turn(uint32_t slot, uint64_t id)
{
    instance.turn.slot = slot;
    instance.turn.id = id;
}

static void open_slot(uint32_t slot, uint64_t id)
{
    assert(slot < SLOTS_MAX && instance.slots[slot].id == 0);
    instance.slots[slot] = (struct slot){.id = id, .response.credit = FLOW_WINDOW_BYTES};
    instance.in_flight++;
    begin_turn(slot, id);
}

void instance_free_slot(struct slot *slot)
{
    outflow_done(&slot->response);
    slot->id = 0;
    assert(instance.in_flight > 0);
    instance.in_flight--;
}

void instance_slot_sent(struct slot *slot)
{
    if (slot->done_with_fin && slot->response.fin_sent)
        instance_free_slot(slot);
}

/* Would the URL Standard write it in another way? Clients send most as it is. */
static bool is_unusual_url(struct slice url)
{
    static const char rewritten[256] = {['\\'] = 1, ['<'] = 1, ['>'] = 1, ['"'] = 1, ['`'] = 1,
                                        ['{'] = 1,  ['}'] = 1, ['|'] = 1, ['^'] = 1, [' '] = 1};
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        if (c == '?')
            return memchr(url.ptr + i, '"', url.len - i) || memchr(url.ptr + i, '<', url.len - i) ||
                   memchr(url.ptr + i, '>', url.len - i) || memchr(url.ptr + i, '\'', url.len - i);
        if (rewritten[c] || c >= 0x7f)
            return true;
        bool starts_segment = i > 0 && url.ptr[i - 1] == '/';
        if (starts_segment && (c == '.' || (c == '%' && i + 2 < url.len && url.ptr[i + 1] == '2' &&
                                            (url.ptr[i + 2] == 'e' || url.ptr[i + 2] == 'E'))))
            return true;
    }
    return false;
}

static void on_request(uint32_t slot, const char *payload)
{
    JSContextRef ctx = instance.engine.ctx;
    struct frame_request request;
    memcpy(&request, payload, sizeof(request));
    const char *method = payload + sizeof(request), *url = method + request.method_bytes;
    const char *headers = url + request.url_bytes, *body = headers + request.headers_bytes;
    open_slot(slot, request.id);
    const JSValueRef args[] = {
        number(slot),
        number((double)request.id),
        method_string((struct slice){method, request.method_bytes}),
        engine_string_latin1(ctx, (struct slice){url, request.url_bytes}),
        engine_string_latin1(ctx, (struct slice){headers, request.headers_bytes}),
        number(request.flags & FRAME_HAS_BODY ? (double)request.body_bytes : -2),
        bytes_or_null(body, request.inline_bytes),
        JSValueMakeBoolean(ctx, request.flags & FRAME_FIN),
        number(request.flags),
        JSValueMakeBoolean(ctx, is_unusual_url((struct slice){url, request.url_bytes})),
    };
    (void)instance_call(instance.library.request, ARRAY_LEN(args), args);
}

static void on_event(uint32_t slot, const char *payload)
{
    struct frame_event event;
    memcpy(&event, payload, sizeof(event));
    open_slot(slot, event.id);
    const JSValueRef args[] = {
        number(slot),
        number((double)event.id),
        number(event.kind),
        engine_string_latin1(instance.engine.ctx,
                             (struct slice){payload + sizeof(event), event.text_bytes}),
        number((double)event.time_ms),
    };
    (void)instance_call(instance.library.event, ARRAY_LEN(args), args);
}

static struct exchange *find_exchange(enum exchange_target target, uint32_t slot, uint64_t id)
{
    if (slot >= SLOTS_MAX || instance.exchanges[target][slot].id != id)
        return NULL;
    return &instance.exchanges[target][slot];
}

static void end_exchange(struct exchange *exchange)
{
    outflow_done(&exchange->request);
    exchange->id = 0;
}

static bool slot_is(uint32_t slot, uint64_t id)
{
    return slot < SLOTS_MAX && instance.slots[slot].id == id;
}

/* Answers to what the worker opened come from both sides and look the same. */
static void on_fetch_frame(enum exchange_target target, const struct ring_frame *frame,
                           const char *payload)
{
    JSContextRef ctx = instance.engine.ctx;
    uint64_t id;
    memcpy(&id, payload, sizeof(id)); /* every payload starts with it */
    struct exchange *exchange = find_exchange(target, frame->slot, id);
    if (!exchange)
        return; /* aborted meanwhile */
    begin_turn(0, 0);
    if (frame->type == FRAME_RESPONSE) {
        struct frame_response response;
        memcpy(&response, payload, sizeof(response));
        const char *headers = payload + sizeof(response);
        const char *url = headers + response.headers_bytes, *body = url + response.url_bytes;
        bool fin = response.flags & FRAME_FIN;
        if (fin && !exchange->is_socket)
            end_exchange(exchange);
        const JSValueRef args[] = {
            number(target),
            number(library_id(id)),
            number(response.status),
            engine_string_latin1(ctx, (struct slice){headers, response.headers_bytes}),
            engine_string_latin1(ctx, (struct slice){url, response.url_bytes}),
            number(response.redirects),
            bytes_or_null(body, response.inline_bytes),
            JSValueMakeBoolean(ctx, fin),
            number((double)response.body_bytes),
        };
        (void)instance_call(instance.library.fetch_response, ARRAY_LEN(args), args);
    } else if (frame->type == FRAME_BODY) {
        struct frame_body body;
        memcpy(&body, payload, sizeof(body));
        if ((body.flags & FRAME_FIN) && !exchange->is_socket) /* a socket's other half lives on */
            end_exchange(exchange);
        const JSValueRef args[] = {number(target), number(library_id(id)),
                                   bytes_or_null(payload + sizeof(body), body.bytes),
                                   JSValueMakeBoolean(ctx, body.flags & FRAME_FIN)};
        (void)instance_call(instance.library.fetch_body, ARRAY_LEN(args), args);
    } else if (frame->type == FRAME_ERROR) {
        struct frame_error error;
        memcpy(&error, payload, sizeof(error));
        end_exchange(exchange);
        const JSValueRef args[] = {
            number(target), number(library_id(id)), number(error.kind),
            engine_string_utf8(ctx, (struct slice){payload + sizeof(error), error.text_bytes})};
        (void)instance_call(instance.library.fetch_error, ARRAY_LEN(args), args);
    } else if (frame->type == FRAME_CREDIT) {
        struct frame_credit credit;
        memcpy(&credit, payload, sizeof(credit));
        outflow_credit(&exchange->request, &instance.outboxes[target], frame->slot, id,
                       credit.bytes);
        const JSValueRef args[] = {number(target), number(library_id(id)), number(credit.bytes)};
        (void)instance_call(instance.library.fetch_credit, ARRAY_LEN(args), args);
    }
}

/* Frames of requests to the worker, and the answers to what it asked of the gateway (assets). */
static void on_gateway_frame(const struct ring_frame *frame, const char *payload)
{
    JSContextRef ctx = instance.engine.ctx;
    uint64_t id = 0;
    if (frame->bytes >= sizeof(id))
        memcpy(&id, payload, sizeof(id));
    switch ((enum frame_type)frame->type) {
    case FRAME_REQUEST:
        if (ring_claim(&instance.gateway.in, frame)) /* else it moved to another instance */
            on_request(frame->slot, payload);
        return;
    case FRAME_EVENT:
        if (ring_claim(&instance.gateway.in, frame))
            on_event(frame->slot, payload);
        return;
    case FRAME_RETIRE:
        instance.retiring = true;
        return;
    case FRAME_ABORT:
        if (slot_is(frame->slot, id)) {
            begin_turn(frame->slot, id);
            const JSValueRef args[] = {number(frame->slot), number(library_id(id))};
            (void)instance_call(instance.library.request_abort, ARRAY_LEN(args), args);
        }
        return;
    case FRAME_BODY:
        if (slot_is(frame->slot, id)) {
            struct frame_body body;
            memcpy(&body, payload, sizeof(body));
            begin_turn(frame->slot, id);
            const JSValueRef args[] = {number(frame->slot), number(library_id(id)),
                                       bytes_or_null(payload + sizeof(body), body.bytes),
                                       JSValueMakeBoolean(ctx, body.flags & FRAME_FIN)};
            (void)instance_call(instance.library.request_body, ARRAY_LEN(args), args);
            return;
        }
        break;
    case FRAME_CREDIT:
        if (slot_is(frame->slot, id)) {
            struct frame_credit credit;
            memcpy(&credit, payload, sizeof(credit));
            begin_turn(frame->slot, id);
            outflow_credit(&instance.slots[frame->slot].response,
                           &instance.outboxes[TARGET_GATEWAY], frame->slot, id, credit.bytes);
            instance_slot_sent(&instance.slots[frame->slot]);
            if (!slot_is(frame->slot, id))
                return;
            const JSValueRef args[] = {number(frame->slot), number(library_id(id)),
                                       number(credit.bytes)};
            (void)instance_call(instance.library.response_credit, ARRAY_LEN(args), args);
            return;
        }
        break;
    case FRAME_RESPONSE:
    case FRAME_ERROR:
        break;
    case FRAME_DONE:
    case FRAME_LOG:
    case FRAME_START_TLS:
        return; /* not for us */
    }
    on_fetch_frame(TARGET_GATEWAY, frame, payload);
}

/* Reads a batch. True if there was something. */
static bool drain(struct channel *channel, enum exchange_target target)
{
    if (!channel->memory)
        return false;
    struct ring_frame frame;
    const void *payload;
    int count = 0, r;
    uint64_t rung_us = 0; /* when the batch began, or the bell was last rung in it */
    while (count < FRAMES_PER_TURN && (r = ring_peek(&channel->in, &frame, &payload)) > 0) {
        hold_lock();
        if (target == TARGET_GATEWAY)
            on_gateway_frame(&frame, payload);
        else
            on_fetch_frame(target, &frame, payload);
        release_lock();
        ring_release(&channel->in, &frame);
        count++;
        if (rung_us == 0) {
            rung_us = instance.turn.start_us;
        } else if (instance.turn.start_us - rung_us >= BELL_US) {
            rung_us = instance.turn.start_us;
            channel_flush(channel);
        }
    }
    if (count > 0)
        channel_consumed(channel);
    return count > 0;
}

static void flush(void)
{
    for (int target = 0; target < TARGETS; target++) {
        struct outbox *outbox = &instance.outboxes[target];
        if (!outbox->channel->memory)
            continue;
        (void)outbox_flush(outbox);
        channel_flush(outbox->channel);
    }
}

/* Waits for a bell or a timer. False: nobody can wake us any more. */
static bool wait_for_work(int timeout_ms)
{
    struct channel *channels[] = {&instance.gateway, &instance.broker, &instance.pool};
    struct pollfd fds[ARRAY_LEN(channels)];
    bool idle = true;
    for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
        fds[i] = (struct pollfd){channels[i]->memory ? channels[i]->bell_in : -1, POLLIN, 0};
        if (channels[i]->memory && !channel_sleep(channels[i]))
            idle = false;
    }
    int ready = idle ? poll(fds, ARRAY_LEN(fds), timeout_ms) : 0;
    for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
        if (ready > 0 && fds[i].revents)
            channel_awake(channels[i]);
        else if (channels[i]->memory)
            ring_reader_awake(&channels[i]->in);
    }
    return !idle || ready != 0; /* false: the time-out passed */
}

static void make_compact(void)
{
    engine_compact(&instance.engine);
    instance.body_bytes = 0;
}

int instance_serve(const int gateway_fds[CHANNEL_FDS], const int broker_fds[CHANNEL_FDS],
                   const int pool_fds[CHANNEL_FDS])
{
    if (channel_open(&instance.gateway, CHANNEL_INSTANCE, gateway_fds) < 0 ||
        (broker_fds && channel_open(&instance.broker, CHANNEL_INSTANCE, broker_fds) < 0) ||
        (pool_fds && channel_open(&instance.pool, CHANNEL_INSTANCE, pool_fds) < 0))
        return 1;
    instance.outboxes[TARGET_GATEWAY].channel = &instance.gateway;
    instance.outboxes[TARGET_BROKER].channel = &instance.broker;
    instance.outboxes[TARGET_POOL].channel = &instance.pool;
    instance.serving = true;
    bool compact = false; /* owed since the last work */
    bool settled = false; /* the library looked for requests that nothing can answer any more */
    instance.placement.advice = -1;
    for (;;) {
        follow_advice();
        instance.batch_cpu_us = clock_thread_cpu_us();
        engine_keep_room(&instance.engine, instance.batch_cpu_us);
        bool busy = drain(&instance.gateway, TARGET_GATEWAY);
        busy |= drain(&instance.broker, TARGET_BROKER);
        busy |= drain(&instance.pool, TARGET_POOL);
        int timeout_ms = instance_timers();
        flush();
        if (instance.in_flight == 0 && (instance.retiring || instance.spent) &&
            buffer_len(&instance.outboxes[TARGET_GATEWAY].waiting) == 0)
            return 0;
        compact |= busy;
        if (compact && !busy && instance.in_flight == 0)
            hot_pages_report();
        if (busy || timeout_ms == 0) {
            settled = false;
            continue;
        }
        if (!settled && instance.in_flight > 0) { /* does anybody wait for what will never come? */
            settled = true;
            begin_turn(0, 0);
            (void)instance_call(instance.library.idle, 0, NULL);
            continue;
        }
        bool nap = compact && (timeout_ms < 0 || timeout_ms > IDLE_COMPACT_MS);
        if (!wait_for_work(nap ? IDLE_COMPACT_MS : timeout_ms) && nap) {
            make_compact();
            compact = false;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* /json            a small JSON answer
 * /head            the request's head as the body
 * /echo            the body as it comes
 * /count           reads all of the body, answers its length
 * /unread          answers at once without reading the body
 * /stream?n=&size=&ms=   n chunks of size bytes, one every ms
 * /big?n=&declared=      n bytes as fast as credit allows
 * /status?code=&h=&body= a given status, header block and body
 * /sleep?ms=  /block?ms= answers later: the loop goes on meanwhile, or does not
 * /wait?ms=        answers at once, DONE after ms
 * /silent          never answers; an abort is logged
 * /never           DONE without an answer
 * /error?pass=  /cpu     FRAME_ERROR
 * /log?n=&size=    console lines
 * /asset?path=  asks the gateway for a file; answers its status, length and a checksum
 * /crash  /exit    the process ends
 * /bad?kind=       breaks the protocol in a way of its own
 * /flood?n=        ignores its credit */
#include "fake_instance.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "http_frames.h"

struct task {
    uint64_t id, due_ms;
    enum {
        TASK_NONE,
        TASK_ECHO,
        TASK_COUNT,
        TASK_STREAM,
        TASK_BIG,
        TASK_LATER,
        TASK_DONE_LATER,
        TASK_SILENT,
        TASK_ASSET
    } kind;
    uint32_t slot;
    int64_t credit, left, counted;
    uint32_t size, ms;
    bool body_ended;
    struct buffer pending;
};

static struct channel channel;
static struct task tasks[SLOTS_MAX];
static bool retiring;
static int in_flight;

static void send_frame(enum frame_type type, uint32_t slot, uint64_t id, const void *head,
                       size_t head_bytes, struct slice rest)
{
    void *room;
    while (!(room = ring_reserve(&channel.out, (uint32_t)(head_bytes + rest.len), NULL))) {
        channel_flush(&channel);
        (void)usleep(100);
    }
    memcpy(room, head, head_bytes);
    if (rest.len)
        memcpy((char *)room + head_bytes, rest.ptr, rest.len);
    ring_commit(&channel.out, type, slot, (uint32_t)id, (uint32_t)(head_bytes + rest.len));
}

static void send_response(const struct task *task, int status, struct slice headers,
                          int64_t body_bytes, uint32_t flags, struct slice body)
{
    char head[sizeof(struct frame_response) + 16384];
    struct frame_response response = {.id = task->id,
                                      .body_bytes = body_bytes,
                                      .flags = flags,
                                      .status = (uint32_t)status,
                                      .headers_bytes = (uint32_t)headers.len,
                                      .inline_bytes = (uint32_t)body.len};
    memcpy(head, &response, sizeof(response));
    memcpy(head + sizeof(response), headers.ptr, headers.len);
    send_frame(FRAME_RESPONSE, task->slot, task->id, head, sizeof(response) + headers.len, body);
}

static void send_body(const struct task *task, struct slice bytes, uint32_t flags)
{
    struct frame_body body = {task->id, flags, (uint32_t)bytes.len};
    send_frame(FRAME_BODY, task->slot, task->id, &body, sizeof(body), bytes);
}

static void send_credit(const struct task *task, uint32_t bytes)
{
    struct frame_credit credit = {task->id, bytes, 0};
    if (bytes)
        send_frame(FRAME_CREDIT, task->slot, task->id, &credit, sizeof(credit), (struct slice){0});
}

static void send_log(uint64_t id, int level, const char *text, const char *where)
{
    char bytes[70000];
    struct frame_log line = {id, (uint32_t)level, (uint32_t)strlen(text), (uint32_t)strlen(where),
                             0};
    int len = snprintf(bytes, sizeof(bytes), "%s%s", text, where);
    send_frame(FRAME_LOG, 0, id, &line, sizeof(line), (struct slice){bytes, (size_t)len});
}

static void end_task(struct task *task)
{
    buffer_done(&task->pending);
    *task = (struct task){0};
    in_flight--;
}

static void send_done(struct task *task)
{
    struct frame_done done = {.id = task->id, .cpu_us = 7};
    send_frame(FRAME_DONE, task->slot, task->id, &done, sizeof(done), (struct slice){0});
    end_task(task);
}

static const struct slice text_plain = {"content-type: text/plain\n", 25};

/* The whole answer in one frame, and the task is over. */
static void answer(struct task *task, int status, struct slice headers, struct slice body)
{
    send_response(task, status, headers, (int64_t)body.len, FRAME_FIN | FRAME_DONE_TOO, body);
    end_task(task);
}

static long query_number(const char *query, const char *name, long fallback)
{
    size_t len = strlen(name);
    for (const char *at = query; at && *at; at = strchr(at, '&')) {
        at += *at == '&' || *at == '?';
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return strtol(at + len + 1, NULL, 10);
    }
    return fallback;
}

static void query_text(const char *query, const char *name, char *ret_text, size_t cap)
{
    size_t len = strlen(name), to = 0;
    for (const char *at = query; at && *at; at = strchr(at, '&')) {
        at += *at == '&' || *at == '?';
        if (strncmp(at, name, len) != 0 || at[len] != '=')
            continue;
        for (at += len + 1; *at && *at != '&' && to + 1 < cap; at++) {
            unsigned code;
            if (*at == '%' && sscanf(at + 1, "%2x", &code) == 1)
                ret_text[to++] = (char)code, at += 2;
            else
                ret_text[to++] = *at;
        }
        break;
    }
    ret_text[to] = 0;
}

/* Sends from pending what the credit allows; credit for the request's body goes back with it. */
static void pump_echo(struct task *task)
{
    while (buffer_len(&task->pending) > 0 && task->credit > 0) {
        struct slice part = buffer_slice(&task->pending);
        if ((int64_t)part.len > task->credit)
            part.len = (size_t)task->credit;
        if (part.len > BODY_CHUNK_BYTES_MAX)
            part.len = BODY_CHUNK_BYTES_MAX;
        send_body(task, part, 0);
        send_credit(task, (uint32_t)part.len);
        task->credit -= (int64_t)part.len;
        buffer_consume(&task->pending, part.len);
    }
    if (task->body_ended && buffer_len(&task->pending) == 0) {
        send_body(task, (struct slice){0}, FRAME_FIN | FRAME_DONE_TOO);
        end_task(task);
    }
}

static void pump_big(struct task *task)
{
    static char fill[BODY_CHUNK_BYTES_MAX];
    memset(fill, 'x', sizeof(fill));
    while (task->left > 0 && task->credit > 0) {
        int64_t len = task->left < task->credit ? task->left : task->credit;
        if (len > BODY_CHUNK_BYTES_MAX)
            len = BODY_CHUNK_BYTES_MAX;
        task->left -= len;
        task->credit -= len;
        send_body(task, (struct slice){fill, (size_t)len},
                  task->left == 0 ? FRAME_FIN | FRAME_DONE_TOO : 0);
    }
    if (task->left == 0)
        end_task(task);
}

static void answer_count(struct task *task)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld", (long long)task->counted);
    answer(task, 200, text_plain, (struct slice){text, (size_t)len});
}

/* env.ASSETS.fetch(): an exchange of our own, in the slot of the request that wants it. */
static void ask_for_asset(struct task *task, const char *path)
{
    AUTO_BUFFER head = {0};
    AUTO_TEXT url = xasprintf("http://assets%s", path);
    struct frame_request request = {
        .id = EXCHANGE_ID_BASE + task->id, .method_bytes = 3, .url_bytes = (uint32_t)strlen(url)};
    buffer_append(&head, &request, sizeof(request));
    buffer_append_slice(&head, SLICE("GET"));
    task->kind = TASK_ASSET;
    send_frame(FRAME_REQUEST, task->slot, request.id, head.data, buffer_len(&head), slice_of(url));
}

static void end_asset(struct task *task)
{
    char text[96];
    int len =
        snprintf(text, sizeof(text), "%u %lld %u", task->ms, (long long)task->counted, task->size);
    answer(task, 200, text_plain, (struct slice){text, (size_t)len});
}

/* size carries the checksum, ms the status. */
static void on_asset_frame(struct task *task, const struct ring_frame *frame, const char *payload)
{
    if (frame->type == FRAME_RESPONSE) {
        struct frame_response response;
        memcpy(&response, payload, sizeof(response));
        task->ms = response.status;
        if (response.flags & FRAME_FIN)
            end_asset(task);
    } else if (frame->type == FRAME_BODY) {
        struct frame_body body;
        memcpy(&body, payload, sizeof(body));
        for (uint32_t i = 0; i < body.bytes; i++)
            task->size = task->size * 31 + (uint8_t)payload[sizeof(body) + i];
        task->counted += body.bytes;
        struct frame_credit credit = {body.id, body.bytes, 0};
        if (body.flags & FRAME_FIN)
            end_asset(task);
        else
            send_frame(FRAME_CREDIT, task->slot, body.id, &credit, sizeof(credit),
                       (struct slice){0});
    }
}

static void send_error(struct task *task, uint32_t kind, uint32_t flags)
{
    static const char text[] = "Error: <boom>", stack[] = "    at fetch (src/index.ts:3:9)";
    struct frame_error error = {task->id, kind, flags, sizeof(text) - 1, sizeof(stack) - 1, 77, 0};
    char bytes[128];
    int len = snprintf(bytes, sizeof(bytes), "%s%s", text, stack);
    send_frame(FRAME_ERROR, task->slot, task->id, &error, sizeof(error),
               (struct slice){bytes, (size_t)len});
    send_done(task);
}

static void misbehave(struct task *task, const char *kind)
{
    struct frame_response response = {.id = task->id, .status = 200, .flags = FRAME_FIN};
    if (strcmp(kind, "length") == 0) {
        response.headers_bytes = 0xfffffff0u;
        response.inline_bytes = 0x10u;
    } else if (strcmp(kind, "status") == 0) {
        response.status = 99;
    } else if (strcmp(kind, "short") == 0) {
        send_frame(FRAME_RESPONSE, task->slot, task->id, &response, 8, (struct slice){0});
        return;
    } else if (strcmp(kind, "type") == 0) {
        send_frame(77, task->slot, task->id, &response, sizeof(response), (struct slice){0});
        return;
    } else if (strcmp(kind, "twice") == 0) {
        response.flags = 0;
        send_frame(FRAME_RESPONSE, task->slot, task->id, &response, sizeof(response),
                   (struct slice){0});
    } else if (strcmp(kind, "credit") == 0) {
        send_credit(task, 1u << 30);
        return;
    } else if (strcmp(kind, "slot") == 0) { /* stale or invented ids are dropped, not fatal */
        struct frame_body body = {task->id, 0, 0};
        send_frame(FRAME_BODY, 0xffffffffu, task->id, &body, sizeof(body), (struct slice){0});
        body.id += 12345;
        send_frame(FRAME_BODY, task->slot, body.id, &body, sizeof(body), (struct slice){0});
        answer(task, 200, text_plain, SLICE("fine"));
        return;
    } else if (strcmp(kind, "bodyfirst") == 0) {
        send_body(task, SLICE("early"), 0);
        return;
    } else if (strcmp(kind, "ring") == 0) {
        _Atomic uint32_t *head = (void *)channel.out.shared;
        *head += 0x7fffff0u;
        channel_flush(&channel);
        return;
    } else if (strcmp(kind, "tail") == 0) {
        _Atomic uint32_t *tail = (void *)((char *)channel.in.shared + 64);
        channel.in.index += 0x7fffff0u;
        *tail = channel.in.index;
    } else if (strcmp(kind, "asset") == 0) { /* an exchange with an id that is not its to give */
        struct frame_request request = {.id = 5, .method_bytes = 3};
        send_frame(FRAME_REQUEST, 0, 5, &request, sizeof(request), SLICE("GET"));
        return;
    } else if (strcmp(kind, "assetlen") == 0) {
        struct frame_request request = {
            .id = EXCHANGE_ID_BASE + 1, .method_bytes = 0xffffffffu, .url_bytes = 4};
        send_frame(FRAME_REQUEST, 0, 5, &request, sizeof(request), SLICE("GET"));
        return;
    }
    send_frame(FRAME_RESPONSE, task->slot, task->id, &response, sizeof(response),
               (struct slice){0});
}

static void flood(struct task *task, long frames)
{
    static char fill[BODY_CHUNK_BYTES_MAX];
    send_response(task, 200, text_plain, -1, 0, (struct slice){0});
    for (long i = 0; i < frames; i++)
        send_body(task, (struct slice){fill, sizeof(fill)}, 0);
}

static bool is_path(const char *url, const char *path)
{
    const char *at = strstr(url, "://");
    at = at ? strchr(at + 3, '/') : NULL;
    size_t len = strlen(path);
    return at && strncmp(at, path, len) == 0 && (at[len] == 0 || at[len] == '?');
}

static void on_request(uint32_t slot, const char *payload)
{
    struct frame_request request;
    memcpy(&request, payload, sizeof(request));
    const char *method = payload + sizeof(request), *url_at = method + request.method_bytes;
    const char *headers = url_at + request.url_bytes, *body_at = headers + request.headers_bytes;
    struct slice body = {body_at, request.inline_bytes};
    struct task *task = &tasks[slot];
    if (task->id) {
        (void)fprintf(stderr, "fake instance: slot %u is taken\n", slot);
        abort();
    }
    *task =
        (struct task){.id = request.id,
                      .slot = slot,
                      .credit = FLOW_WINDOW_BYTES,
                      .body_ended = request.flags & FRAME_FIN || !(request.flags & FRAME_HAS_BODY)};
    in_flight++;
    if (request.url_bytes > 10 && memcmp(url_at + request.url_bytes - 5, "/json", 5) == 0) {
        answer(task, 200, SLICE("content-type: application/json\n"),
               SLICE("{\"message\":\"Hello from a worker\"}"));
        return;
    }
    char *url = strndup(url_at, request.url_bytes);
    const char *query = strchr(url, '?');
    query = query ? query : "";
    long ms = query_number(query, "ms", 100);
    char text[8192], kind[4096];
    if (is_path(url, "/head")) {
        struct buffer copy = {0};
        buffer_printf(&copy, "%.*s %s\n", (int)request.method_bytes, method, url);
        buffer_append(&copy, headers, request.headers_bytes);
        answer(task, 200, text_plain, buffer_slice(&copy));
        buffer_done(&copy);
    } else if (is_path(url, "/echo")) {
        if (task->body_ended) {
            answer(task, 200, text_plain, body);
        } else {
            task->kind = TASK_ECHO;
            send_response(task, 200, text_plain, -1, 0, (struct slice){0});
            buffer_append_slice(&task->pending, body);
            pump_echo(task);
        }
    } else if (is_path(url, "/count")) {
        task->kind = TASK_COUNT;
        task->counted = (int64_t)body.len;
        send_credit(task, (uint32_t)body.len);
        if (task->body_ended)
            answer_count(task);
    } else if (is_path(url, "/unread")) {
        answer(task, 200, text_plain, SLICE("unread"));
    } else if (is_path(url, "/stream")) {
        send_response(task, 200, text_plain, -1, 0, (struct slice){0});
        task->kind = TASK_STREAM;
        task->left = query_number(query, "n", 3);
        task->size = (uint32_t)query_number(query, "size", 5);
        task->ms = (uint32_t)ms;
        task->due_ms = clock_monotonic_ms() + task->ms;
    } else if (is_path(url, "/big")) {
        task->kind = TASK_BIG;
        task->left = query_number(query, "n", 1000000);
        send_response(task, 200, text_plain, query_number(query, "declared", 0) ? task->left : -1,
                      0, (struct slice){0});
        pump_big(task);
    } else if (is_path(url, "/status")) {
        query_text(query, "h", text, sizeof(text));
        query_text(query, "body", kind, sizeof(kind));
        answer(task, (int)query_number(query, "code", 200), slice_of(text), slice_of(kind));
    } else if (is_path(url, "/sleep") || is_path(url, "/wait")) {
        bool waits = is_path(url, "/wait");
        if (waits)
            send_response(task, 200, text_plain, 8, FRAME_FIN, SLICE("answered"));
        task->kind = waits ? TASK_DONE_LATER : TASK_LATER;
        task->due_ms = clock_monotonic_ms() + (uint64_t)ms;
    } else if (is_path(url, "/block")) {
        channel_flush(&channel);
        (void)usleep((useconds_t)ms * 1000);
        int len = snprintf(text, sizeof(text), "blocked %d", (int)getpid());
        answer(task, 200, text_plain, (struct slice){text, (size_t)len});
    } else if (is_path(url, "/silent")) {
        task->kind = TASK_SILENT;
    } else if (is_path(url, "/never")) {
        send_done(task);
    } else if (is_path(url, "/error")) {
        send_error(task, ERROR_KIND_EXCEPTION,
                   query_number(query, "pass", 0) ? FRAME_PASS_THROUGH : 0);
    } else if (is_path(url, "/cpu")) {
        send_error(task, ERROR_KIND_CPU, 0);
    } else if (is_path(url, "/latefail")) {
        send_response(task, 200, text_plain, -1, 0, SLICE("part"));
        send_error(task, ERROR_KIND_EXCEPTION, 0);
    } else if (is_path(url, "/log")) {
        long size = query_number(query, "size", 10);
        memset(text, 'l', sizeof(text));
        text[size < 8000 ? size : 8000] = 0;
        for (long n = query_number(query, "n", 1); n > 0; n--)
            send_log(task->id, CONSOLE_WARN, text, "src/index.ts:1:1");
        answer(task, 200, text_plain, SLICE("logged"));
    } else if (is_path(url, "/asset")) {
        query_text(query, "path", text, sizeof(text));
        ask_for_asset(task, text);
    } else if (is_path(url, "/crash")) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
        _exit(9);
    } else if (is_path(url, "/exit")) {
        _exit(3);
    } else if (is_path(url, "/bad")) {
        query_text(query, "kind", kind, sizeof(kind));
        misbehave(task, kind);
    } else if (is_path(url, "/flood")) {
        flood(task, query_number(query, "n", 100));
    } else {
        int len = snprintf(text, sizeof(text), "path %s pid %d", url, (int)getpid());
        answer(task, 200, text_plain, (struct slice){text, (size_t)len});
    }
    free(url);
}

static void on_event(uint32_t slot, const char *payload)
{
    struct frame_event event;
    char line[512];
    memcpy(&event, payload, sizeof(event));
    struct task *task = &tasks[slot];
    *task = (struct task){.id = event.id, .slot = slot};
    in_flight++;
    (void)snprintf(line, sizeof(line), "scheduled %.*s at %llu", (int)event.text_bytes,
                   payload + sizeof(event), (unsigned long long)event.time_ms);
    send_log(event.id, CONSOLE_LOG, line, "");
    if (event.text_bytes >= 4 && memcmp(payload + sizeof(event), "fail", 4) == 0)
        send_error(task, ERROR_KIND_EXCEPTION, 0);
    else
        answer(task, 200, SLICE(""), SLICE(""));
}

static void on_body(struct task *task, const char *payload)
{
    struct frame_body body;
    memcpy(&body, payload, sizeof(body));
    task->body_ended = body.flags & FRAME_FIN;
    if (task->kind == TASK_ECHO) {
        buffer_append(&task->pending, payload + sizeof(body), body.bytes);
        pump_echo(task);
    } else if (task->kind == TASK_COUNT) {
        task->counted += body.bytes;
        send_credit(task, body.bytes);
        if (task->body_ended)
            answer_count(task);
    }
}

static void on_credit(struct task *task, const char *payload)
{
    struct frame_credit credit;
    memcpy(&credit, payload, sizeof(credit));
    task->credit += credit.bytes;
    if (task->kind == TASK_ECHO)
        pump_echo(task);
    else if (task->kind == TASK_BIG)
        pump_big(task);
}

static void on_frame(const struct ring_frame *frame, const char *payload)
{
    uint64_t id = 0;
    if (frame->bytes >= sizeof(id))
        memcpy(&id, payload, sizeof(id));
    if (frame->type == FRAME_REQUEST || frame->type == FRAME_EVENT) {
        if (!ring_claim(&channel.in, frame))
            return;
        if (frame->type == FRAME_REQUEST)
            on_request(frame->slot, payload);
        else
            on_event(frame->slot, payload);
        return;
    }
    if (frame->type == FRAME_RETIRE) {
        retiring = true;
        return;
    }
    if (frame->slot < SLOTS_MAX && id > EXCHANGE_ID_BASE &&
        tasks[frame->slot].id == id - EXCHANGE_ID_BASE) {
        on_asset_frame(&tasks[frame->slot], frame, payload);
        return;
    }
    if (frame->slot >= SLOTS_MAX || id == 0 || tasks[frame->slot].id != id)
        return;
    struct task *task = &tasks[frame->slot];
    if (frame->type == FRAME_BODY) {
        on_body(task, payload);
    } else if (frame->type == FRAME_CREDIT) {
        on_credit(task, payload);
    } else if (frame->type == FRAME_ABORT) {
        send_log(id, CONSOLE_WARN, "aborted", "");
        send_done(task);
    }
}

static void on_due(struct task *task)
{
    static char fill[BODY_CHUNK_BYTES_MAX];
    if (task->kind == TASK_LATER) {
        answer(task, 200, text_plain, SLICE("slept"));
    } else if (task->kind == TASK_DONE_LATER) {
        send_done(task);
    } else if (task->kind == TASK_STREAM) {
        memset(fill, 's', sizeof(fill));
        bool last = --task->left <= 0;
        send_body(task, (struct slice){fill, task->size < sizeof(fill) ? task->size : sizeof(fill)},
                  last ? FRAME_FIN | FRAME_DONE_TOO : 0);
        task->due_ms += task->ms;
        if (last)
            end_task(task);
    }
}

/* Returns how long to sleep. */
static int run_timers(void)
{
    uint64_t now_ms = clock_monotonic_ms(), next_ms = 0;
    for (int i = 0, seen = 0; i < SLOTS_MAX && seen < in_flight; i++) {
        if (!tasks[i].id)
            continue;
        seen++;
        if (tasks[i].due_ms && tasks[i].due_ms <= now_ms)
            on_due(&tasks[i]);
        if (tasks[i].due_ms && (!next_ms || tasks[i].due_ms < next_ms))
            next_ms = tasks[i].due_ms;
    }
    return !next_ms ? -1 : next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

int fake_instance_serve(const int fds[CHANNEL_FDS])
{
    if (channel_open(&channel, CHANNEL_INSTANCE, fds) < 0)
        return 1;
    for (;;) {
        struct ring_frame frame;
        const void *payload;
        int count = 0;
        while (count < 64 && ring_peek(&channel.in, &frame, &payload) > 0) {
            on_frame(&frame, payload);
            ring_release(&channel.in, &frame);
            count++;
        }
        if (count > 0)
            channel_consumed(&channel);
        int timeout_ms = in_flight ? run_timers() : -1;
        channel_flush(&channel);
        if (retiring && in_flight == 0)
            return 0;
        if (count > 0 || timeout_ms == 0 || !channel_sleep(&channel))
            continue;
        struct pollfd bell = {channel.bell_in, POLLIN, 0};
        if (poll(&bell, 1, timeout_ms) > 0)
            channel_awake(&channel);
        else
            ring_reader_awake(&channel.in);
    }
}

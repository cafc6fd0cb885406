/* SPDX-License-Identifier: Apache-2.0 */
#include "access_log.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "log.h"
#include "request.h"

enum {
    LINES_BYTES_MAX = 4 * 1024 * 1024,
    LINES_BYTES_KEPT = 64 * 1024,
    NAMES_MAX = 5, /* of the requests that a crash hit */
};

static const uint64_t latency_bounds_us[LATENCY_BUCKETS - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 10000000};

uint64_t access_log_bound_us(int bucket)
{
    return latency_bounds_us[bucket];
}

static struct buffer lines; /* of this turn, and what stdout has not taken yet */
static uint64_t dropped_bytes;

void access_log_count(struct histogram *histogram, uint64_t took_us)
{
    int bucket = 0;
    while (bucket < LATENCY_BUCKETS - 1 && took_us > latency_bounds_us[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->sum_us += took_us;
}

static void count_in(struct worker_counters *counters, int status, uint64_t took_us)
{
    access_log_count(&counters->latency, took_us);
    counters->requests[status >= 100 && status < 600 ? status / 100 : 0]++;
}

/* Under its worker, and under the Prisma key that it came with. */
static void count(const struct request *request, int status, uint64_t took_us)
{
    count_in(request->deployment->worker->count, status, took_us);
    if (request->key_count)
        count_in(request->key_count, status, took_us);
}

static const char *status_color(int status)
{
    if (!gateway.color)
        return "";
    return status >= 500   ? "\033[31m"
           : status >= 400 ? "\033[33m"
           : status >= 300 ? "\033[36m"
                           : "\033[32m";
}

/* Numbers are most of a line, and printf is slow at them. */
static void append_number(struct buffer *out, uint64_t value, int digits_min)
{
    char text[24], *at = text + sizeof(text);
    do {
        *--at = (char)('0' + value % 10);
        digits_min--;
    } while ((value /= 10) > 0 || digits_min > 0);
    buffer_append(out, at, (size_t)(text + sizeof(text) - at));
}

static void append_id(struct buffer *out, uint64_t id)
{
    static const char hex[] = "0123456789abcdef";
    char text[16];
    for (int i = 0; i < 16; i++)
        text[i] = hex[id >> (60 - 4 * i) & 15];
    buffer_append(out, text, sizeof(text));
}

/* Text of a stranger: kept, without what would drive the terminal. */
static void append_clean(struct buffer *out, struct slice text, bool keep_escapes)
{
    char *to = buffer_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t' || (c == 0x1b && keep_escapes);
        to[i] = plain ? (char)c : '?';
    }
    out->end += text.len;
}

/* ---- requests ---- */

struct entry {
    const struct worker *worker;
    struct slice client, method, host, path, user_agent, referer;
    bool http10, cpu_known;
    int status;
    uint64_t took_us, bytes_in, bytes, id;
    uint32_t cpu_us;
};

static void write_text(const struct entry *entry)
{
    const char *plain = gateway.color ? "\033[0m" : "";
    append_clean(&lines, entry->method.len ? entry->method : SLICE("(no request)"), false);
    buffer_append_slice(&lines, SLICE(" "));
    append_clean(&lines, entry->path, false);
    buffer_printf(&lines, "%s%s%d%s %s(%llu.%llu ms)%s\n", entry->path.len ? " " : "",
                  status_color(entry->status), entry->status, plain, gateway.color ? "\033[2m" : "",
                  (unsigned long long)entry->took_us / 1000,
                  (unsigned long long)entry->took_us / 100 % 10, plain);
}

static void append_text_key(struct slice key, struct slice value)
{
    if (value.len == 0)
        return;
    buffer_append_slice(&lines, key);
    buffer_append_json(&lines, value);
}

static void append_number_key(struct slice key, uint64_t value)
{
    buffer_append_slice(&lines, key);
    append_number(&lines, value, 1);
}

/* What every JSON line begins with. request_id: 0 when it belongs to none. */
static void begin_json(struct slice type, const struct worker *worker, uint64_t request_id)
{
    buffer_append_slice(&lines, SLICE("{\"type\":\""));
    buffer_append_slice(&lines, type);
    append_number_key(SLICE("\",\"time_ms\":"), clock_wall_us() / 1000);
    buffer_append_slice(&lines, SLICE(",\"worker\":"));
    if (worker)
        buffer_append_json(&lines, slice_of(worker->name));
    else
        buffer_append_slice(&lines, SLICE("null"));
    buffer_append_slice(&lines, SLICE(",\"request_id\":"));
    if (request_id == 0) {
        buffer_append_slice(&lines, SLICE("null"));
        return;
    }
    buffer_append_slice(&lines, SLICE("\""));
    append_id(&lines, request_id);
    buffer_append_slice(&lines, SLICE("\""));
}

static void write_json(const struct entry *entry)
{
    struct slice path = slice_until(entry->path, '?'), query = {NULL, 0};
    if (path.len < entry->path.len)
        query = (struct slice){path.ptr + path.len + 1, entry->path.len - path.len - 1};
    begin_json(SLICE("request"), entry->worker, entry->id);
    append_text_key(SLICE(",\"client\":"), entry->client);
    append_text_key(SLICE(",\"method\":"), entry->method);
    append_text_key(SLICE(",\"host\":"), entry->host);
    append_text_key(SLICE(",\"path\":"), path);
    append_text_key(SLICE(",\"query\":"), query);
    if (entry->method.len > 0)
        buffer_append_slice(&lines, entry->http10 ? SLICE(",\"protocol\":\"HTTP/1.0\"")
                                                  : SLICE(",\"protocol\":\"HTTP/1.1\""));
    append_number_key(SLICE(",\"status\":"), (uint64_t)entry->status);
    append_number_key(SLICE(",\"ms\":"), entry->took_us / 1000);
    buffer_append_slice(&lines, SLICE("."));
    append_number(&lines, entry->took_us % 1000, 3);
    append_number_key(SLICE(",\"bytes_in\":"), entry->bytes_in);
    append_number_key(SLICE(",\"bytes\":"), entry->bytes);
    if (entry->cpu_known)
        append_number_key(SLICE(",\"cpu_us\":"), entry->cpu_us);
    append_text_key(SLICE(",\"user_agent\":"), entry->user_agent);
    append_text_key(SLICE(",\"referer\":"), entry->referer);
    buffer_append_slice(&lines, SLICE("}\n"));
}

static void write_entry(const struct entry *entry)
{
    if (gateway.access_log == ACCESS_LOG_TEXT)
        write_text(entry);
    else if (gateway.access_log == ACCESS_LOG_JSON)
        write_json(entry);
}

void access_log_request(struct request *request, int status)
{
    struct entry entry = {.worker = request->deployment->worker,
                          .status = status,
                          .took_us = clock_monotonic_us() - request->start_us,
                          .bytes_in = (uint64_t)request->body_bytes,
                          .bytes = request->sent_bytes,
                          .id = request->id,
                          .http10 = request->http10,
                          .cpu_known = request->cpu_known,
                          .cpu_us = request->cpu_us};
    if (request->is_event)
        return;
    count(request, status, entry.took_us);
    if (gateway.access_log == ACCESS_LOG_OFF)
        return;
    entry.client = request_text(request, request->client);
    entry.method = request_method(request);
    entry.host = request_text(request, request->host);
    entry.path = request_path(request);
    entry.user_agent = request_text(request, request->user_agent);
    entry.referer = request_text(request, request->referer);
    write_entry(&entry);
}

void access_log_call(struct request *request, int status)
{
    count(request, status, clock_monotonic_us() - request->start_us);
}

static void take_head(struct entry *entry, const struct http1_request *parsed)
{
    entry->method = parsed->method;
    entry->host = parsed->authority;
    entry->path = parsed->path;
    entry->http10 = parsed->minor == 0;
    for (int i = 0; i < parsed->headers_count; i++) {
        const struct http1_header *header = &parsed->headers[i];
        if (slice_equal(header->name, SLICE("user-agent")))
            entry->user_agent = header->value;
        else if (slice_equal(header->name, SLICE("referer")))
            entry->referer = header->value;
    }
}

void access_log_answer(const struct conn *conn, const struct deployment *deployment,
                       const struct http1_request *parsed, int status, uint64_t bytes,
                       uint64_t start_us)
{
    char address[CLIENT_TEXT_BYTES];
    struct entry entry = {.worker = deployment ? deployment->worker : NULL,
                          .status = status,
                          .took_us = start_us ? clock_monotonic_us() - start_us : 0,
                          .bytes = bytes};
    if (deployment)
        count_in(deployment->worker->count, status, entry.took_us);
    if (gateway.access_log == ACCESS_LOG_OFF)
        return;
    entry.client = conn_client(conn, address);
    entry.id = gateway.next_id++;
    if (parsed)
        take_head(&entry, parsed);
    write_entry(&entry);
}

void access_log_event(struct request *request, const char *error)
{
    struct buffer *log = &lines;
    uint64_t took_us = clock_monotonic_us() - request->start_us;
    if (gateway.access_log == ACCESS_LOG_TEXT) {
        buffer_printf(log, "scheduled %s %s%s%s (%llu ms)\n", request->deployment->worker->name,
                      status_color(error ? 500 : 200), error ? "failed" : "ok",
                      gateway.color ? "\033[0m" : "", (unsigned long long)took_us / 1000);
    } else if (gateway.access_log == ACCESS_LOG_JSON) {
        begin_json(SLICE("scheduled"), request->deployment->worker, request->id);
        buffer_printf(log, ",\"ok\":%s,\"ms\":%llu,\"error\":", error ? "false" : "true",
                      (unsigned long long)took_us / 1000);
        buffer_append_json(log, slice_of(error ? error : ""));
        buffer_append_text(log, "}\n");
    }
}

/* ---- what workers say ---- */

static bool within_log_limit(struct instance *instance, struct request *request, size_t bytes)
{
    struct deployment *deployment = instance ? instance->deployment : request->deployment;
    uint32_t *used = request ? &request->log_bytes : &instance->log_bytes;
    uint64_t now_ms = loop_now_ms(gateway.loop);
    if (!request && now_ms - instance->log_since_ms >= 1000) {
        instance->log_since_ms = now_ms;
        instance->log_bytes = 0;
    }
    if (*used + bytes > deployment->log_bytes_max) {
        deployment->worker->count->log_dropped_bytes += bytes;
        return false;
    }
    *used += (uint32_t)bytes;
    return true;
}

static void write_exception_json(const struct worker *worker, uint64_t request_id, int code,
                                 struct slice text, struct slice detail)
{
    begin_json(SLICE("exception"), worker, request_id);
    if (code)
        append_number_key(SLICE(",\"code\":"), (uint64_t)code);
    else
        buffer_append_slice(&lines, SLICE(",\"code\":null"));
    buffer_append_slice(&lines, SLICE(",\"message\":"));
    buffer_append_json(&lines, text);
    buffer_append_slice(&lines, SLICE(",\"stack\":"));
    buffer_append_json(&lines, detail);
    buffer_append_slice(&lines, SLICE("}\n"));
}

static void begin_error(const char *text)
{
    buffer_append_text(&lines, gateway.color ? "\033[31m✘ [ERROR] " : "✘ [ERROR] ");
    append_clean(&lines, slice_of(text), gateway.color);
}

static void end_error(void)
{
    buffer_append_text(&lines, gateway.color ? "\033[0m\n" : "\n");
}

static void append_name(const struct request *request)
{
    if (request->is_event) {
        buffer_append_text(&lines, "a scheduled event");
        return;
    }
    append_clean(&lines, request_method(request), false);
    buffer_append_text(&lines, " ");
    append_clean(&lines, request_path(request), false);
    if (request->state == REQUEST_ANSWERED)
        buffer_append_text(&lines, " (after its answer)");
}

void access_log_exception(struct request *request, int kind, const char *text, struct slice detail)
{
    if (!within_log_limit(NULL, request, strlen(text) + detail.len))
        return;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        write_exception_json(request->deployment->worker, request->id, kind, slice_of(text),
                             detail);
        return;
    }
    bool thrown = kind == ERROR_KIND_EXCEPTION;
    AUTO_TEXT line = xasprintf("%s%s", thrown ? "Uncaught " : "", text);
    begin_error(line);
    if (!thrown) {
        buffer_append_text(&lines, ": ");
        append_name(request);
    }
    end_error();
    if (detail.len > 0) {
        append_clean(&lines, detail, gateway.color);
        if (detail.ptr[detail.len - 1] != '\n')
            buffer_append_text(&lines, "\n");
    }
}

/* "GET /a, GET /b and 3 more" */
static void append_names(struct request *const requests[], size_t count)
{
    for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
        buffer_append_text(&lines, i == 0 ? ": " : ", ");
        append_name(requests[i]);
    }
    if (count > NAMES_MAX)
        buffer_printf(&lines, " and %zu more", count - NAMES_MAX);
}

void access_log_failure(const struct deployment *deployment, enum failure failure, const char *text,
                        struct request *const requests[], size_t count)
{
    int code = failure_kind(failure)->code;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        for (size_t i = 0; i < count; i++)
            write_exception_json(deployment->worker, requests[i]->id, code, slice_of(text),
                                 SLICE(""));
        if (count == 0)
            write_exception_json(deployment->worker, 0, code, slice_of(text), SLICE(""));
        return;
    }
    begin_error(text);
    append_names(requests, count);
    end_error();
}

void access_log_console(struct instance *instance, struct request *request, int level,
                        struct slice text, struct slice where)
{
    static const char *const names[] = {"debug", "info", "log", "warn", "error"};
    static const char *const colors[] = {"\033[2m", "\033[36m", "", "\033[33m", "\033[31m"};
    struct buffer *log = &lines;
    if (level < 0 || level > CONSOLE_ERROR)
        level = CONSOLE_LOG;
    if (!within_log_limit(instance, request, text.len + where.len))
        return;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        begin_json(SLICE("console"), instance->deployment->worker, request ? request->id : 0);
        buffer_printf(log, ",\"level\":\"%s\",\"text\":", names[level]);
        buffer_append_json(log, text);
        buffer_append_text(log, ",\"where\":");
        buffer_append_json(log, where);
        buffer_append_text(log, "}\n");
        return;
    }
    if (gateway.color)
        buffer_append_text(log, colors[level]);
    append_clean(log, text, gateway.color);
    if (gateway.color)
        buffer_append_text(log, "\033[0m");
    if (where.len > 0) {
        buffer_append_text(log, gateway.color ? "  \033[2m(" : "  (");
        append_clean(log, where, false);
        buffer_append_text(log, gateway.color ? ")\033[0m" : ")");
    }
    buffer_append_text(log, "\n");
}

/* stdout may be a pipe whose reader is slow, and it is not ours to make it non-blocking: the
 * supervisor shares it. poll() says whether PIPE_BUF bytes will go; whole lines up to that are one
 * write, so that the lines of several processes do not mix. */
static size_t next_write_bytes(void)
{
    size_t len = buffer_len(&lines);
    const char *from = lines.data + lines.start;
    if (len <= PIPE_BUF)
        return len;
    const char *last = memrchr(from, '\n', PIPE_BUF);
    return last ? (size_t)(last + 1 - from) : PIPE_BUF;
}

static void flush_lines(int wait_ms)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    while (buffer_len(&lines) > 0 && poll(&out, 1, wait_ms) == 1 && out.revents & POLLOUT) {
        ssize_t sent = write(STDOUT_FILENO, lines.data + lines.start, next_write_bytes());
        if (sent <= 0)
            break;
        buffer_consume(&lines, (size_t)sent);
    }
}

void access_log_flush(void)
{
    if (buffer_len(&lines) == 0)
        return;
    flush_lines(0);
    if (buffer_len(&lines) > LINES_BYTES_MAX) { /* a reader that is gone must not stop the server */
        dropped_bytes += buffer_len(&lines);
        buffer_reset(&lines, 0);
        log_warn("the access log is not read: %llu bytes of it were dropped",
                 (unsigned long long)dropped_bytes);
    }
    if (buffer_len(&lines) == 0)
        buffer_reset(&lines, LINES_BYTES_KEPT);
}

void access_log_flush_all(void)
{
    flush_lines(200);
}

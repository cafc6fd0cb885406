/* SPDX-License-Identifier: Apache-2.0 */
#include "access_log.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "assets.h"
#include "clock.h"
#include "log.h"
#include "request.h"

enum { LINES_BYTES_MAX = 4 * 1024 * 1024, LINES_BYTES_KEPT = 64 * 1024 };

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

static void count(struct worker *worker, int status, uint64_t took_us)
{
    access_log_count(&worker->count->latency, took_us);
    worker->count->requests[status >= 100 && status < 600 ? status / 100 : 0]++;
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

struct entry {
    const struct worker *worker;
    struct slice method, path;
    int status;
    uint64_t took_us, bytes, id;
    uint32_t cpu_us;
};

static void write_text(const struct entry *entry)
{
    const char *plain = gateway.color ? "\033[0m" : "";
    append_clean(&lines, entry->method, false);
    buffer_append_slice(&lines, SLICE(" "));
    append_clean(&lines, entry->path, false);
    buffer_printf(&lines, " %s%d%s %s(%llu.%llu ms)%s\n", status_color(entry->status),
                  entry->status, plain, gateway.color ? "\033[2m" : "",
                  (unsigned long long)entry->took_us / 1000,
                  (unsigned long long)entry->took_us / 100 % 10, plain);
}

static void write_json(const struct entry *entry)
{
    buffer_append_slice(&lines, SLICE("{\"type\":\"request\",\"time_ms\":"));
    append_number(&lines, clock_wall_us() / 1000, 1);
    buffer_append_slice(&lines, SLICE(",\"worker\":"));
    if (entry->worker)
        buffer_append_json(&lines, slice_of(entry->worker->name));
    else
        buffer_append_slice(&lines, SLICE("null"));
    buffer_append_slice(&lines, SLICE(",\"request_id\":\""));
    append_id(&lines, entry->id);
    buffer_append_slice(&lines, SLICE("\",\"method\":"));
    buffer_append_json(&lines, entry->method);
    buffer_append_slice(&lines, SLICE(",\"path\":"));
    buffer_append_json(&lines, entry->path);
    buffer_append_slice(&lines, SLICE(",\"status\":"));
    append_number(&lines, (uint64_t)entry->status, 1);
    buffer_append_slice(&lines, SLICE(",\"ms\":"));
    append_number(&lines, entry->took_us / 1000, 1);
    buffer_append_slice(&lines, SLICE("."));
    append_number(&lines, entry->took_us % 1000, 3);
    buffer_append_slice(&lines, SLICE(",\"bytes\":"));
    append_number(&lines, entry->bytes, 1);
    buffer_append_slice(&lines, SLICE(",\"cpu_us\":"));
    append_number(&lines, entry->cpu_us, 1);
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
                          .bytes = request->sent_bytes,
                          .id = request->id,
                          .cpu_us = request->cpu_us};
    if (request->is_event)
        return;
    count(request->deployment->worker, status, entry.took_us);
    if (gateway.access_log == ACCESS_LOG_OFF)
        return;
    entry.method = request_method(request);
    entry.path = request_path(request);
    write_entry(&entry);
}

void access_log_asset(struct deployment *deployment, const struct http1_request *parsed,
                      const struct assets_answer *asset, uint64_t start_us)
{
    struct entry entry = {.worker = deployment->worker,
                          .method = parsed->method,
                          .path = parsed->path,
                          .status = asset->status,
                          .took_us = clock_monotonic_us() - start_us,
                          .bytes = (uint64_t)asset->body_bytes};
    count(deployment->worker, asset->status, entry.took_us);
    write_entry(&entry);
}

void access_log_unserved(const struct deployment *deployment, const struct http1_request *parsed,
                         int status)
{
    struct entry entry = {.worker = deployment ? deployment->worker : NULL,
                          .method = parsed->method,
                          .path = parsed->path,
                          .status = status};
    if (deployment)
        count(deployment->worker, status, 0);
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
        buffer_append_text(log, "{\"type\":\"scheduled\",\"worker\":");
        buffer_append_json(log, slice_of(request->deployment->worker->name));
        buffer_printf(log, ",\"ok\":%s,\"ms\":%llu,\"error\":", error ? "false" : "true",
                      (unsigned long long)took_us / 1000);
        buffer_append_json(log, slice_of(error ? error : ""));
        buffer_append_text(log, "}\n");
    }
}

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

void access_log_exception(struct request *request, int kind, const char *text, struct slice detail)
{
    struct buffer *log = &lines;
    if (!within_log_limit(NULL, request, strlen(text) + detail.len))
        return;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        buffer_append_text(log, "{\"type\":\"exception\",\"worker\":");
        buffer_append_json(log, slice_of(request->deployment->worker->name));
        buffer_printf(log, ",\"request_id\":\"%016llx\",\"code\":%d,\"message\":",
                      (unsigned long long)request->id, kind);
        buffer_append_json(log, slice_of(text));
        buffer_append_text(log, ",\"stack\":");
        buffer_append_json(log, detail);
        buffer_append_text(log, "}\n");
        return;
    }
    buffer_printf(log, "%s✘ [ERROR] %s", gateway.color ? "\033[31m" : "",
                  kind == ERROR_KIND_EXCEPTION ? "Uncaught " : "");
    append_clean(log, slice_of(text), gateway.color);
    buffer_append_text(log, gateway.color ? "\033[0m\n" : "\n");
    if (detail.len > 0) {
        append_clean(log, detail, gateway.color);
        if (detail.ptr[detail.len - 1] != '\n')
            buffer_append_text(log, "\n");
    }
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
        buffer_append_text(log, "{\"type\":\"console\",\"worker\":");
        buffer_append_json(log, slice_of(instance->deployment->worker->name));
        buffer_printf(log, ",\"request_id\":\"%016llx\",\"level\":\"%s\",\"text\":",
                      (unsigned long long)(request ? request->id : 0), names[level]);
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

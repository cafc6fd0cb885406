/* SPDX-License-Identifier: Apache-2.0 */
#include "access_log.h"

#include <unistd.h>

#include "assets.h"
#include "clock.h"

static const uint64_t latency_bounds_us[LATENCY_BUCKETS - 1] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 10000000};

uint64_t access_log_bound_us(int bucket)
{
    return latency_bounds_us[bucket];
}

static void count(struct deployment *deployment, int status, uint64_t took_us)
{
    int bucket = 0;
    while (bucket < LATENCY_BUCKETS - 1 && took_us > latency_bounds_us[bucket])
        bucket++;
    deployment->count.latency[bucket]++;
    deployment->count.latency_us += took_us;
    deployment->count.requests[status >= 100 && status < 600 ? status / 100 : 0]++;
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

static void line(struct deployment *deployment, const char *method, struct slice path, int status,
                 uint64_t took_us, uint64_t bytes, uint64_t id, uint32_t cpu_us)
{
    struct buffer *log = &gateway.log;
    if (gateway.access_log == ACCESS_LOG_TEXT) {
        buffer_printf(log, "%s ", method);
        for (size_t i = 0; i < path.len; i++) /* a terminal must not be driven by a URL */
            buffer_append(log, (unsigned char)path.ptr[i] < 0x20 ? "?" : path.ptr + i, 1);
        buffer_printf(log, " %s%d%s %s(%llu.%llu ms)%s\n", status_color(status), status,
                      gateway.color ? "\033[0m" : "", gateway.color ? "\033[2m" : "",
                      (unsigned long long)took_us / 1000, (unsigned long long)took_us / 100 % 10,
                      gateway.color ? "\033[0m" : "");
    } else if (gateway.access_log == ACCESS_LOG_JSON) {
        buffer_printf(log, "{\"type\":\"request\",\"time_ms\":%llu,\"worker\":",
                      (unsigned long long)(clock_wall_us() / 1000));
        buffer_append_json(log, slice_of(deployment->name));
        buffer_printf(log, ",\"request_id\":\"%016llx\",\"method\":", (unsigned long long)id);
        buffer_append_json(log, slice_of(method));
        buffer_append_text(log, ",\"path\":");
        buffer_append_json(log, path);
        buffer_printf(log, ",\"status\":%d,\"ms\":%llu.%03llu,\"bytes\":%llu,\"cpu_us\":%u}\n",
                      status, (unsigned long long)took_us / 1000,
                      (unsigned long long)took_us % 1000, (unsigned long long)bytes, cpu_us);
    }
}

void access_log_request(struct request *request, int status)
{
    uint64_t took_us = clock_monotonic_us() - request->start_us;
    if (request->is_event)
        return;
    count(request->deployment, status, took_us);
    if (gateway.access_log != ACCESS_LOG_OFF)
        line(request->deployment, request->method, slice_of(request->path ? request->path : ""),
             status, took_us, request->sent_bytes, request->id, request->cpu_us);
}

void access_log_asset(struct deployment *deployment, const struct http1_request *parsed,
                      const struct assets_answer *asset, uint64_t start_us)
{
    uint64_t took_us = clock_monotonic_us() - start_us;
    count(deployment, asset->status, took_us);
    if (gateway.access_log == ACCESS_LOG_OFF)
        return;
    AUTO_TEXT method = xstrndup(parsed->method.ptr, parsed->method.len);
    line(deployment, method, parsed->path, asset->status, took_us, (uint64_t)asset->body_bytes, 0,
         0);
}

void access_log_event(struct request *request, const char *error)
{
    struct buffer *log = &gateway.log;
    uint64_t took_us = clock_monotonic_us() - request->start_us;
    if (gateway.access_log == ACCESS_LOG_TEXT) {
        buffer_printf(log, "scheduled %s %s%s%s (%llu ms)\n", request->deployment->name,
                      status_color(error ? 500 : 200), error ? "failed" : "ok",
                      gateway.color ? "\033[0m" : "", (unsigned long long)took_us / 1000);
    } else if (gateway.access_log == ACCESS_LOG_JSON) {
        buffer_append_text(log, "{\"type\":\"scheduled\",\"worker\":");
        buffer_append_json(log, slice_of(request->deployment->name));
        buffer_printf(log, ",\"ok\":%s,\"ms\":%llu,\"error\":", error ? "false" : "true",
                      (unsigned long long)took_us / 1000);
        buffer_append_json(log, slice_of(error ? error : ""));
        buffer_append_text(log, "}\n");
    }
}

/* Text of a worker: kept on its lines, without what would drive the terminal. */
static void append_clean(struct buffer *log, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool escape = c == 0x1b && !gateway.color;
        buffer_append(
            log, (c < 0x20 && c != '\n' && c != '\t' && c != 0x1b) || escape ? "?" : text.ptr + i,
            1);
    }
}

static bool within_log_limit(struct deployment *deployment, struct request *request, size_t bytes)
{
    if (!request)
        return true;
    if (request->log_bytes + bytes > deployment->log_bytes_max) {
        deployment->count.log_dropped_bytes += bytes;
        return false;
    }
    request->log_bytes += (uint32_t)bytes;
    return true;
}

void access_log_exception(struct request *request, int kind, const char *text, struct slice detail)
{
    struct buffer *log = &gateway.log;
    if (!within_log_limit(request->deployment, request, strlen(text) + detail.len))
        return;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        buffer_append_text(log, "{\"type\":\"exception\",\"worker\":");
        buffer_append_json(log, slice_of(request->deployment->name));
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
    append_clean(log, slice_of(text));
    buffer_append_text(log, gateway.color ? "\033[0m\n" : "\n");
    if (detail.len > 0) {
        append_clean(log, detail);
        if (detail.ptr[detail.len - 1] != '\n')
            buffer_append_text(log, "\n");
    }
}

void access_log_console(struct deployment *deployment, struct request *request, int level,
                        struct slice text, struct slice where)
{
    static const char *const names[] = {"debug", "info", "log", "warn", "error"};
    static const char *const colors[] = {"\033[2m", "\033[36m", "", "\033[33m", "\033[31m"};
    struct buffer *log = &gateway.log;
    if (level < 0 || level > CONSOLE_ERROR)
        level = CONSOLE_LOG;
    if (!within_log_limit(deployment, request, text.len + where.len))
        return;
    if (gateway.access_log == ACCESS_LOG_JSON) {
        buffer_append_text(log, "{\"type\":\"console\",\"worker\":");
        buffer_append_json(log, slice_of(deployment->name));
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
    append_clean(log, text);
    if (gateway.color)
        buffer_append_text(log, "\033[0m");
    if (where.len > 0) {
        buffer_append_text(log, gateway.color ? "  \033[2m(" : "  (");
        append_clean(log, where);
        buffer_append_text(log, gateway.color ? ")\033[0m" : ")");
    }
    buffer_append_text(log, "\n");
}

void access_log_flush(void)
{
    while (buffer_len(&gateway.log) > 0) {
        ssize_t sent =
            write(STDOUT_FILENO, gateway.log.data + gateway.log.start, buffer_len(&gateway.log));
        if (sent <= 0)
            break; /* a reader that is gone or stuck must not stop the server */
        buffer_consume(&gateway.log, (size_t)sent);
    }
    buffer_reset(&gateway.log, 64 * 1024);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers a request: the admin pages, a static asset, the scheduled handler by hand, or the
 * worker. */
#include <stdio.h>
#include <stdlib.h>

#include "access_log.h"
#include "admin.h"
#include "assets.h"
#include "clock.h"
#include "conn_state.h"
#include "dispatch.h"
#include "prisma.h"
#include "request.h"

static bool is_head(const struct http1_request *parsed)
{
    return slice_equal(parsed->method, SLICE("HEAD"));
}

/* Returns the bytes of the body. */
static size_t answer_404(struct conn *conn, bool head_request)
{
    struct slice body = SLICE("No worker is deployed here.\n");
    answer_whole(conn, head_request, 404, SLICE("content-type: text/plain; charset=utf-8\n"), body);
    return head_request ? 0 : body.len;
}

static void answer_admin(struct conn *conn, const struct http1_request *parsed)
{
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    int status = admin_answer(parsed->method, parsed->path, &headers, &body);
    answer_whole(conn, is_head(parsed), status, buffer_slice(&headers), buffer_slice(&body));
}

/* Sends what the assets module decided. */
static void answer_asset(struct conn *conn, bool head_request, struct assets_answer *asset)
{
    bool from_file = asset->fd >= 0 && !head_request && asset->body_bytes > 0;
    if (asset->head.len > 0)
        answer_begin_ready(conn, head_request, asset->status, asset->head, asset->body_bytes);
    else
        answer_begin(conn, head_request, asset->status, asset->headers, asset->body_bytes, true);
    if (from_file) { /* the flush sends it after the head, and then ends the answer */
        conn->work->file_fd = asset->fd;
        asset->fd = -1;
        conn->work->file_offset = asset->offset;
        conn->work->file_left = asset->body_bytes;
        conn->state = CONN_SERVING;
        return;
    }
    bool fits = answer_body(conn, asset->fd < 0 ? asset->body : (struct slice){0}, true);
    if (fits)
        conn_answer_ended(conn);
    else
        conn_close(conn);
}

static bool serve_asset(struct conn *conn, struct deployment *deployment,
                        const struct http1_request *parsed, bool has_code)
{
    struct assets_answer asset;
    uint64_t start_us = clock_monotonic_us();
    if (!deployment->assets || !assets_route(deployment->assets, parsed, has_code, &asset))
        return false;
    access_log_answer(conn, deployment, parsed, asset.status,
                      is_head(parsed) ? 0 : (uint64_t)asset.body_bytes, start_us);
    answer_asset(conn, is_head(parsed), &asset);
    assets_answer_done(&asset);
    return true;
}

/* The value of a query parameter, percent-decoded; NULL when it is not there. */
static char *query_value(struct slice path, const char *name)
{
    const char *at = memchr(path.ptr, '?', path.len), *end = path.ptr + path.len;
    size_t name_len = strlen(name);
    while (at && ++at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at)), *stop = next ? next : end;
        if ((size_t)(stop - at) > name_len && memcmp(at, name, name_len) == 0 &&
            at[name_len] == '=') {
            char *value = xcalloc(1, (size_t)(stop - at)), *to = value;
            for (at += name_len + 1; at < stop; at++) {
                unsigned code;
                char digits[3] = {stop - at > 2 ? at[1] : 0, stop - at > 2 ? at[2] : 0, 0};
                if (*at == '%' && strspn(digits, "0123456789abcdefABCDEF") == 2 &&
                    sscanf(digits, "%x", &code) == 1)
                    *to++ = (char)code, at += 2;
                else
                    *to++ = *at == '+' ? ' ' : *at;
            }
            return value;
        }
        at = next;
    }
    return NULL;
}

/* /__scheduled?cron=…&time=… runs the scheduled handler by hand, as wrangler's dev server has it.
 */
static bool serve_scheduled(struct conn *conn, struct deployment *deployment,
                            const struct http1_request *parsed)
{
    const char *query = memchr(parsed->path.ptr, '?', parsed->path.len);
    struct slice path = {parsed->path.ptr,
                         query ? (size_t)(query - parsed->path.ptr) : parsed->path.len};
    if (!slice_equal(path, SLICE("/__scheduled")) &&
        !slice_equal(path, SLICE("/cdn-cgi/handler/scheduled")))
        return false;
    AUTO_TEXT cron = query_value(parsed->path, "cron");
    AUTO_TEXT time = query_value(parsed->path, "time");
    uint64_t time_ms = time ? strtoull(time, NULL, 10) : clock_wall_us() / 1000;
    struct slice expression = slice_of(cron ? cron : "");
    if (expression.len > CRON_BYTES_MAX)
        expression.len = CRON_BYTES_MAX;
    struct request *request = request_new_event(deployment, expression, time_ms, 0);
    conn->request = request;
    request->conn = conn;
    conn->state = CONN_SERVING;
    dispatch_request(request);
    return true;
}

/* The status of a request that no worker is to see; 0: it is fine. TRACE would show a script what a
 * browser hides from it, and no Request can have such a method. */
static int refusal_of(const struct deployment *deployment, const struct http1_request *parsed)
{
    if (slice_equal(parsed->method, SLICE("TRACE")) || slice_equal(parsed->method, SLICE("TRACK")))
        return 405;
    return parsed->content_length > deployment->request_body_bytes_max ? 413 : 0;
}

static void serve_prisma(struct conn *conn, const struct http1_request *parsed)
{
    struct prisma_claim claim;
    enum prisma_refusal refusal = prisma_admit(parsed, parsed->content_length, &claim);
    if (refusal == PRISMA_ADMITTED) {
        forward_request(conn, claim.deployment, parsed, &claim);
        return;
    }
    struct slice body = prisma_refusal(refusal);
    int status = prisma_refusal_status(refusal);
    answer_whole(conn, is_head(parsed), status, SLICE("content-type: application/json\n"), body);
    access_log_answer(conn, NULL, parsed, status, body.len, clock_monotonic_us());
}

void serve_request(struct conn *conn, const struct http1_request *parsed)
{
    conn->close_after = !parsed->keep_alive || gateway.draining;
    conn->http10 = parsed->minor == 0;
    conn->used = true;
    conn->answer_done = conn->head_sent = conn->probed = false;
    forward_begin_body(conn, parsed);
    if (conn->admin) {
        answer_admin(conn, parsed);
        return;
    }
    if (conn->prisma) {
        serve_prisma(conn, parsed);
        return;
    }
    struct deployment *deployment = routes_find(gateway.routes, parsed->authority, parsed->path);
    int refusal = deployment ? refusal_of(deployment, parsed) : 0;
    /* Code that does not build is code: what is its turn gets the error, not the assets' 404. */
    bool has_code = deployment && (deployment->has_code || deployment->failed);
    if (refusal) {
        size_t bytes = answer_refuse(conn, is_head(parsed), refusal);
        access_log_answer(conn, deployment, parsed, refusal, bytes, 0);
    } else if (deployment && serve_asset(conn, deployment, parsed, has_code)) {
        return;
    } else if (!has_code) {
        size_t bytes = answer_404(conn, is_head(parsed));
        access_log_answer(conn, deployment, parsed, 404, bytes, 0);
    } else if (!gateway.dev || !serve_scheduled(conn, deployment, parsed)) {
        forward_request(conn, deployment, parsed, NULL);
    }
}

void conn_pass_through(struct conn *conn, struct request *request)
{
    static struct http1_request parsed;
    struct deployment *deployment = request->deployment;
    if (conn->head_sent || !request_parse(request, &parsed)) {
        conn_fail(conn, request, FAILURE_EXCEPTION, (struct slice){0}, (struct slice){0});
        return;
    }
    conn_detach(conn);
    if (serve_asset(conn, deployment, &parsed, false))
        return;
    request->sent_bytes = answer_404(conn, request->head_request);
    access_log_request(request, 404);
}

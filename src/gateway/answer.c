/* SPDX-License-Identifier: Apache-2.0 */
/* Answers towards the client: status line, fields, body, and the framing of it (RFC 9112 section
 * 6). What a worker says about framing is advice; these fields are ours to write. */
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "access_log.h"
#include "caller.h"
#include "clock.h"
#include "conn_state.h"
#include "dispatch.h"
#include "prisma.h"
#include "request.h"

enum { ROOM_BYTES_MAX = 128 * 1024 }; /* made for a body before it comes */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

static void append_status(struct buffer *out, int status)
{
    if (status == 200)
        buffer_append_slice(out, SLICE("HTTP/1.1 200 OK\r\n"));
    else
        buffer_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
}

static void append_date(struct buffer *out)
{
    static char line[64];
    static size_t line_len;
    static time_t made;
    time_t now = (time_t)(clock_wall_us() / 1000000);
    if (now != made) {
        struct tm date;
        made = now;
        (void)gmtime_r(&now, &date);
        line_len = strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &date);
    }
    buffer_append(out, line, line_len);
}

static void append_length(struct buffer *out, int64_t length)
{
    char text[24], *at = text + sizeof(text);
    do
        *--at = (char)('0' + length % 10);
    while ((length /= 10) > 0);
    buffer_append_slice(out, SLICE("Content-Length: "));
    buffer_append(out, at, (size_t)(text + sizeof(text) - at));
    buffer_append_slice(out, SLICE("\r\n"));
}

/* Fields that frame the message or end at this hop. */
static bool is_framing_field(struct slice name)
{
    switch (name.len) {
    case 2:
        return slice_equal_nocase(name, SLICE("te"));
    case 7:
        return slice_equal_nocase(name, SLICE("upgrade")) ||
               slice_equal_nocase(name, SLICE("trailer"));
    case 10:
        return slice_equal_nocase(name, SLICE("connection")) ||
               slice_equal_nocase(name, SLICE("keep-alive"));
    case 14:
        return slice_equal_nocase(name, SLICE("content-length"));
    case 16:
        return slice_equal_nocase(name, SLICE("proxy-connection"));
    case 17:
        return slice_equal_nocase(name, SLICE("transfer-encoding"));
    default:
        return false;
    }
}

/* A worker's Content-Length; -1 when it is none. */
static int64_t parse_length(struct slice value)
{
    int64_t length = 0;
    if (value.len == 0 || value.len > 15)
        return -1;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return -1;
        length = length * 10 + (value.ptr[i] - '0');
    }
    return length;
}

static void append_field(struct buffer *out, struct slice name, struct slice value)
{
    char *room = buffer_reserve(out, name.len + value.len + 4);
    memcpy(room, name.ptr, name.len);
    room += name.len;
    *room++ = ':';
    *room++ = ' ';
    if (value.len > 0)
        memcpy(room, value.ptr, value.len);
    room += value.len;
    *room++ = '\r';
    *room++ = '\n';
    out->end += name.len + value.len + 4;
}

/* Copies "name: value\n" lines as header fields; what is no field is dropped, so that no worker can
 * write a head of its own into the stream. */
static void append_fields(struct buffer *out, struct slice block, bool *ret_has_date,
                          int64_t *ret_length)
{
    while (block.len > 0) {
        const char *end = memchr(block.ptr, '\n', block.len);
        size_t line_len = end ? (size_t)(end - block.ptr) : block.len;
        const char *colon = memchr(block.ptr, ':', line_len);
        if (colon) {
            struct slice name = {block.ptr, (size_t)(colon - block.ptr)};
            struct slice value = {colon + 1, line_len - name.len - 1};
            if (value.len > 0 && value.ptr[0] == ' ')
                value.ptr++, value.len--;
            if (is_framing_field(name)) {
                if (name.len == 14)
                    *ret_length = parse_length(value);
            } else if (http1_is_token(name) && http1_is_field_value(value)) {
                *ret_has_date |= name.len == 4 && slice_equal_nocase(name, SLICE("date"));
                append_field(out, name, value);
            }
        }
        block.ptr += line_len + (end ? 1 : 0);
        block.len -= line_len + (end ? 1 : 0);
    }
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Writes what frames the body, and remembers it for answer_body. declared: what the worker wrote
 * into Content-Length, or -1. */
static void append_framing(struct conn *conn, bool head_request, int status, int64_t body_bytes,
                           int64_t declared)
{
    struct buffer *out = &conn->work->out;
    if (head_request) { /* what GET would have said; nothing when nobody knows */
        int64_t length = declared >= 0 ? declared : body_bytes > 0 ? body_bytes : -1;
        if (status_has_body(status) && length >= 0)
            append_length(out, length);
        return;
    }
    if (!status_has_body(status)) {
        if (status == 304 && declared >= 0)
            append_length(out, declared);
        return;
    }
    if (body_bytes < 0)
        body_bytes = declared;
    conn->work->answer_left = body_bytes;
    if (body_bytes >= 0) {
        append_length(out, body_bytes);
    } else if (conn->http10) {
        conn->close_after = true;
    } else {
        conn->chunked_answer = true;
        buffer_append_slice(out, SLICE("Transfer-Encoding: chunked\r\n"));
    }
}

/* The answer is complete and most of the request's body is not here: say that we stop. */
static bool must_close(const struct conn *conn)
{
    return conn->body_reading &&
           (conn->expects_continue || conn->work->body_left > DISCARD_BYTES_MAX);
}

/* Connection and the empty line. */
static void end_head(struct conn *conn, bool whole)
{
    struct buffer *out = &conn->work->out;
    if (gateway.draining || (whole && must_close(conn)))
        conn->close_after = true;
    if (conn->close_after)
        buffer_append_slice(out, SLICE("Connection: close\r\n"));
    else if (conn->http10)
        buffer_append_slice(out, SLICE("Connection: keep-alive\r\n"));
    buffer_append_slice(out, SLICE("\r\n"));
    conn_mark_dirty(conn);
}

void answer_begin(struct conn *conn, bool head_request, int status, struct slice headers,
                  int64_t body_bytes, bool whole)
{
    struct buffer *out = &conn_take_work(conn)->out;
    bool has_date = false;
    int64_t declared = -1;
    conn->head_sent = true;
    conn->no_body = head_request || !status_has_body(status);
    conn->chunked_answer = false;
    conn->work->answer_left = -1;
    append_status(out, status);
    append_fields(out, headers, &has_date, &declared);
    if (!has_date)
        append_date(out);
    append_framing(conn, head_request, status, body_bytes, declared);
    end_head(conn, whole);
    if (!conn->no_body && conn->work->answer_left > 0) /* once, instead of doubling along */
        (void)buffer_reserve(out, conn->work->answer_left < ROOM_BYTES_MAX
                                      ? (size_t)conn->work->answer_left
                                      : (size_t)ROOM_BYTES_MAX);
}

void answer_begin_ready(struct conn *conn, bool head_request, int status, struct slice head,
                        int64_t body_bytes)
{
    struct buffer *out = &conn_take_work(conn)->out;
    conn->head_sent = true;
    conn->no_body = head_request || !status_has_body(status);
    conn->chunked_answer = false;
    conn->work->answer_left = body_bytes;
    buffer_append_slice(out, head);
    append_date(out);
    end_head(conn, true);
}

static void append_chunk_size(struct buffer *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    char text[18], *at = text + sizeof(text);
    *--at = '\n';
    *--at = '\r';
    do
        *--at = hex[size & 15];
    while (size >>= 4);
    buffer_append(out, at, (size_t)(text + sizeof(text) - at));
}

bool answer_body(struct conn *conn, struct slice body, bool ended)
{
    struct conn_work *work = conn->work;
    conn_mark_dirty(conn);
    if (conn->no_body)
        return true;
    if (conn->chunked_answer) {
        if (body.len > 0) {
            append_chunk_size(&work->out, body.len);
            buffer_append_slice(&work->out, body);
            buffer_append_slice(&work->out, SLICE("\r\n"));
        }
        if (ended)
            buffer_append_slice(&work->out, SLICE("0\r\n\r\n"));
        return true;
    }
    if (work->answer_left >= 0) {
        if ((int64_t)body.len > work->answer_left)
            return false;
        work->answer_left -= (int64_t)body.len;
        if (ended && work->answer_left > 0)
            return false;
    }
    buffer_append_slice(&work->out, body);
    return true;
}

void answer_whole(struct conn *conn, bool head_request, int status, struct slice headers,
                  struct slice body)
{
    answer_begin(conn, head_request, status, headers, (int64_t)body.len, true);
    bool fits = answer_body(conn, body, true);
    assert(fits);
    conn_answer_ended(conn);
}

size_t answer_refuse(struct conn *conn, bool head_request, int status)
{
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    gateway.count->bad_requests++;
    bool is_prisma = conn->prisma && status == 413; /* its clients ask again where no code is */
    buffer_append_text(&headers, is_prisma ? "content-type: application/json\n"
                                           : "content-type: text/plain; charset=utf-8\n");
    if (status == 405)
        buffer_append_text(&headers, "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\n");
    if (is_prisma)
        buffer_append_slice(&body, prisma_refusal(PRISMA_TOO_LARGE));
    else
        buffer_printf(&body, "%d %s\n", status, reason_of(status));
    conn->close_after = true;
    conn->http10 = false;
    conn->body_reading = conn->answer_done = false;
    answer_whole(conn, head_request, status, buffer_slice(&headers), buffer_slice(&body));
    return head_request ? 0 : buffer_len(&body);
}

void answer_instead(struct conn *conn, int status)
{
    struct request *request = conn->request;
    assert(!conn->head_sent && !conn->answer_done);
    conn_detach(conn);
    request->sent_bytes = answer_refuse(conn, request->head_request, status);
    access_log_request(request, status);
    dispatch_client_gone(request);
}

/* ---- from dispatch ---- */

/* The answer cannot be completed. What is written of it is sent, and then the connection ends
 * before the body does: that is how a client sees it. A body that ends with the connection anyway
 * is cut by a reset. */
static void break_off(struct conn *conn)
{
    struct request *request = conn->request;
    bool looks_whole = !conn->chunked_answer && conn->work->answer_left < 0;
    access_log_request(request, request->status);
    conn_detach(conn);
    dispatch_client_gone(request);
    conn->close_after = true;
    if (looks_whole) {
        struct linger at_once = {.l_onoff = 1};
        (void)setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        conn_close(conn);
        return;
    }
    conn_answer_ended(conn);
}

static void end_response(struct conn *conn, bool fits, bool ended)
{
    if (!fits)
        break_off(conn);
    else if (ended)
        conn_answer_ended(conn);
}

void conn_respond(struct conn *conn, struct request *request, int status, struct slice headers,
                  int64_t body_bytes, struct slice body, bool ended)
{
    assert(conn->request == request);
    request->status = status;
    request->sent_bytes += body.len;
    if (!ended)
        request->credit_owed += (uint32_t)body.len;
    answer_begin(conn, request->head_request, status, headers,
                 ended ? (int64_t)body.len : body_bytes, ended);
    end_response(conn, answer_body(conn, body, ended), ended);
}

void conn_respond_body(struct conn *conn, struct request *request, struct slice body, bool ended)
{
    assert(conn->request == request);
    request->sent_bytes += body.len;
    if (!ended)
        request->credit_owed += (uint32_t)body.len;
    end_response(conn, answer_body(conn, body, ended), ended);
}

/* Takes the request off the connection for an answer that is not the worker's, with so many bytes
 * of body. False: the head of the worker's own is out, and the connection broke. */
static bool take_over(struct conn *conn, struct request *request, int status, size_t bytes)
{
    assert(conn->request == request);
    if (conn->head_sent) {
        break_off(conn);
        return false;
    }
    request->status = status;
    request->sent_bytes = bytes;
    access_log_request(request, status);
    conn_detach(conn);
    return true;
}

void conn_fail(struct conn *conn, struct request *request, enum failure failure,
               struct slice message, struct slice detail)
{
    int status = failure_kind(failure)->status;
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    caller_error(request, failure, request_header(request, SLICE("accept")), message, detail,
                 &headers, &body);
    if (!take_over(conn, request, status, request->head_request ? 0 : buffer_len(&body)))
        return;
    answer_whole(conn, request->head_request, status, buffer_slice(&headers), buffer_slice(&body));
}

void conn_answer_event(struct conn *conn, struct request *request, const char *error)
{
    int status = error ? 500 : 200;
    if (take_over(conn, request, status, 0))
        answer_whole(conn, false, status, SLICE("content-type: text/plain; charset=utf-8\n"),
                     error ? slice_of(error) : SLICE("Ran scheduled event"));
}

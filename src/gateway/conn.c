/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: IDLE (no buffers, waits for a request) → HEAD (part of a head is there) →
 * SERVING (a request is with a worker, or its answer is on the way) → IDLE or closed.
 *
 * Input is read into a buffer that exists only while there is something in it; output is gathered
 * and sent once a turn. An idle connection costs its struct and the kernel's socket. */
#include "conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "access_log.h"
#include "admin.h"
#include "assets.h"
#include "clock.h"
#include "dispatch.h"
#include "error_page.h"
#include "log.h"

enum {
    READ_BYTES = 16 * 1024,
    ACCEPTS_PER_TURN = 64,
    OUTPUT_HIGH_BYTES = 256 * 1024, /* beyond it an instance gets no more credit */
    OUTPUT_LOW_BYTES = 64 * 1024,
    INPUT_HIGH_BYTES = 128 * 1024, /* beyond it we read no more from the client */
    LINGER_MS = 2000,              /* after an error we read on for so long, so that it arrives */
};

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_SERVING, CONN_LINGER };

struct conn {
    struct loop_source source;
    struct conn *prev, *next; /* all connections */
    struct conn *next_dirty;
    struct buffer in, out;
    struct request *request; /* with a worker */
    struct http1_chunks chunks;
    int64_t body_left;   /* of a body with a length; BODY_CHUNKED */
    int64_t answer_left; /* of the answer's declared length; -1: chunked or until close */
    uint64_t deadline_ms;
    int file_fd; /* being sent after out; -1 */
    off_t file_offset;
    int64_t file_left;
    enum conn_state state : 8;
    bool admin, dirty, close_after, chunked_answer, head_sent, no_body, expects_continue, in_tick;
    bool body_reading, peer_closed, http10, closing;
    bool answer_done, wants_write;
    uint16_t port;
    uint8_t address_len;
    uint8_t address[16];
};

#define BODY_CHUNKED (-1)

static struct conn *all_conns, *dirty_conns;
static struct http1_request parsed; /* of the head being handled in this turn */

static void on_ready(struct loop_source *source, uint32_t events);
static void advance(struct conn *conn);

static void set_deadline(struct conn *conn, uint32_t delay_ms)
{
    conn->deadline_ms = loop_now_ms(gateway.loop) + delay_ms;
}

static void mark_dirty(struct conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = dirty_conns;
    dirty_conns = conn;
}

static void watch(struct conn *conn)
{
    bool read = !conn->peer_closed && buffer_len(&conn->in) < INPUT_HIGH_BYTES;
    uint32_t events = (read ? EPOLLIN : 0) | EPOLLRDHUP | (conn->wants_write ? EPOLLOUT : 0);
    if (conn->peer_closed)
        events &= ~(uint32_t)EPOLLRDHUP;
    loop_change(gateway.loop, &conn->source, events);
}

static void conn_close(struct conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true; /* freed by the flush at the end of the turn */
    if (conn->request) {
        struct request *request = conn->request;
        conn->request = NULL;
        if (!conn->answer_done && request->state != REQUEST_QUEUED)
            access_log_request(request, 499);
        dispatch_client_gone(request);
    }
    int fd = conn->source.fd;
    loop_remove(gateway.loop, &conn->source);
    (void)close(fd);
    mark_dirty(conn);
}

static void conn_free(struct conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        all_conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    buffer_done(&conn->in);
    buffer_done(&conn->out);
    fd_close(&conn->file_fd);
    free(conn);
    gateway.connections--;
}

static void take_address(struct conn *conn, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        conn->address_len = 4;
        memcpy(conn->address, &in->sin_addr, 4);
        conn->port = ntohs(in->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)peer;
        conn->address_len = 16;
        memcpy(conn->address, &in6->sin6_addr, 16);
        conn->port = ntohs(in6->sin6_port);
    }
}

void conn_accept(int listener_fd, bool admin)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(listener_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (gateway.connections >= gateway.http.connections_max) {
            gateway.count.refused++;
            (void)close(fd);
            continue;
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct conn *conn = xcalloc(1, sizeof(*conn));
        conn->admin = admin;
        conn->file_fd = -1;
        take_address(conn, &peer);
        if (loop_add(gateway.loop, &conn->source, fd, EPOLLIN | EPOLLRDHUP, on_ready) < 0) {
            (void)close(fd);
            free(conn);
            continue;
        }
        conn->next = all_conns;
        if (all_conns)
            all_conns->prev = conn;
        all_conns = conn;
        gateway.connections++;
        gateway.count.accepted++;
        set_deadline(conn, gateway.http.header_timeout_ms);
    }
}

/* ---- answers ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
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
        {508, "Loop Detected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

static void append_date(struct buffer *out)
{
    static char line[64];
    static time_t made;
    time_t now = (time_t)(clock_wall_us() / 1000000);
    if (now != made) {
        struct tm date;
        made = now;
        (void)gmtime_r(&now, &date);
        (void)strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &date);
    }
    buffer_append_text(out, line);
}

/* Fields that frame the message are ours to write. */
static bool is_framing_field(struct slice name)
{
    static const char *const ours[] = {"connection", "content-length",  "transfer-encoding",
                                       "keep-alive", "upgrade",         "te",
                                       "trailer",    "proxy-connection"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (slice_equal_nocase(name, slice_of(ours[i])))
            return true;
    return false;
}

/* Copies "name: value\n" lines as header fields; what is no field is dropped. */
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
            if (name.len == 14 && slice_equal_nocase(name, SLICE("content-length"))) {
                int64_t length = 0;
                for (size_t i = 0; i < value.len && value.len < 16; i++)
                    length = value.ptr[i] >= '0' && value.ptr[i] <= '9' && length >= 0
                                 ? length * 10 + (value.ptr[i] - '0')
                                 : -1;
                *ret_length = value.len ? length : -1;
            } else if (!is_framing_field(name) && http1_is_token(name) &&
                       http1_is_field_value(value)) {
                *ret_has_date |= name.len == 4 && slice_equal_nocase(name, SLICE("date"));
                char *room = buffer_reserve(out, name.len + value.len + 4);
                memcpy(room, name.ptr, name.len);
                room += name.len;
                *room++ = ':', *room++ = ' ';
                memcpy(room, value.ptr, value.len);
                room += value.len;
                *room++ = '\r', *room++ = '\n';
                out->end += name.len + value.len + 4;
            }
        }
        block.ptr += line_len + (end ? 1 : 0);
        block.len -= line_len + (end ? 1 : 0);
    }
}

static void append_status(struct buffer *out, int status)
{
    if (status == 200) {
        buffer_append_slice(out, SLICE("HTTP/1.1 200 OK\r\n"));
        return;
    }
    buffer_printf(out, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void append_number_field(struct buffer *out, const char *name, int64_t value)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s: %lld\r\n", name, (long long)value);
    buffer_append(out, text, (size_t)len);
}

/* Writes the head. body_bytes: -1 when unknown. */
static void begin_answer(struct conn *conn, bool head_request, int status, struct slice headers,
                         int64_t body_bytes)
{
    struct buffer *out = &conn->out;
    bool has_date = false;
    int64_t declared = -1;
    conn->head_sent = true;
    conn->no_body = head_request || !status_has_body(status);
    append_status(out, status);
    append_fields(out, headers, &has_date, &declared);
    if (!has_date)
        append_date(out);
    if (body_bytes < 0 && declared >= 0)
        body_bytes = declared;
    else if (head_request && declared >= 0)
        body_bytes = declared; /* what GET would have sent */
    conn->chunked_answer = false;
    conn->answer_left = body_bytes;
    if (status_has_body(status)) {
        if (body_bytes >= 0) {
            append_number_field(out, "Content-Length", body_bytes);
        } else if (conn->http10) {
            conn->close_after = true;
        } else {
            conn->chunked_answer = true;
            buffer_append_slice(out, SLICE("Transfer-Encoding: chunked\r\n"));
        }
    } else if (status == 304 && declared >= 0) {
        append_number_field(out, "Content-Length", declared);
    }
    if (gateway.draining)
        conn->close_after = true;
    if (conn->close_after)
        buffer_append_slice(out, SLICE("Connection: close\r\n"));
    else if (conn->http10)
        buffer_append_slice(out, SLICE("Connection: keep-alive\r\n"));
    buffer_append_slice(out, SLICE("\r\n"));
    mark_dirty(conn);
}

/* False: the body is longer or shorter than its declared length, and the connection must break. */
static bool append_body(struct conn *conn, struct slice body, bool ended)
{
    struct buffer *out = &conn->out;
    if (conn->no_body)
        return true;
    if (!conn->chunked_answer && conn->answer_left >= 0) {
        if ((int64_t)body.len > conn->answer_left)
            return false;
        conn->answer_left -= (int64_t)body.len;
        if (ended && conn->answer_left > 0)
            return false;
    }
    if (conn->chunked_answer && body.len > 0) {
        char size[24];
        int len = snprintf(size, sizeof(size), "%zx\r\n", body.len);
        buffer_append(out, size, (size_t)len);
    }
    buffer_append_slice(out, body);
    if (conn->chunked_answer && body.len > 0)
        buffer_append_slice(out, SLICE("\r\n"));
    if (conn->chunked_answer && ended)
        buffer_append_slice(out, SLICE("0\r\n\r\n"));
    mark_dirty(conn);
    return true;
}

/* The answer is complete: free the request, see what comes next. */
static void end_answer(struct conn *conn)
{
    struct request *request = conn->request;
    bool body_unread = conn->body_reading;
    if (request) {
        access_log_request(request, request->status);
        conn->request = NULL;
        request->conn = NULL;
        if (body_unread && request->instance && !request->body_ended)
            dispatch_body(request, (struct slice){0}, true);
    }
    conn->answer_done = true;
    conn->head_sent = false;
    if (body_unread)
        conn->close_after = true; /* the rest of the body would read as the next request */
    conn->body_reading = false;
    mark_dirty(conn);
    if (conn->close_after) {
        conn->state = CONN_LINGER;
        set_deadline(conn, LINGER_MS);
        return;
    }
    conn->state = CONN_IDLE;
    set_deadline(conn, gateway.http.keepalive_timeout_ms);
}

static void break_answer(struct conn *conn)
{
    if (conn->request)
        access_log_request(conn->request, conn->request->status);
    conn->answer_done = true;
    conn_close(conn);
}

void conn_respond(struct conn *conn, struct request *request, int status, struct slice headers,
                  int64_t body_bytes, struct slice body, bool ended)
{
    assert(conn->request == request);
    request->status = status;
    request->sent_bytes += body.len;
    begin_answer(conn, request->head_request, status, headers,
                 ended ? (int64_t)body.len : body_bytes);
    if (!append_body(conn, body, ended)) {
        break_answer(conn);
        return;
    }
    if (ended)
        end_answer(conn);
    else
        request->credit_owed += (uint32_t)body.len;
}

void conn_respond_body(struct conn *conn, struct request *request, struct slice body, bool ended)
{
    request->sent_bytes += body.len;
    request->credit_owed += (uint32_t)body.len;
    if (!append_body(conn, body, ended)) {
        break_answer(conn);
        return;
    }
    if (ended)
        end_answer(conn);
}

/* Our own answer to whatever is on the connection now. */
static void answer(struct conn *conn, bool head_request, int status, struct slice headers,
                   struct slice body)
{
    begin_answer(conn, head_request, status, headers, (int64_t)body.len);
    (void)append_body(conn, body, true);
}

void conn_fail(struct conn *conn, struct request *request, int status, int code,
               struct slice message, struct slice detail)
{
    if (conn->head_sent) { /* too late for a page: a broken connection is the honest answer */
        break_answer(conn);
        return;
    }
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    struct slice accept = request_header(request, SLICE("accept"));
    error_page_build(status, code, request->id, accept, gateway.dev, message, detail, &headers,
                     &body);
    request->status = status;
    answer(conn, request->head_request, status, buffer_slice(&headers), buffer_slice(&body));
    end_answer(conn);
}

/* A request that never became one. */
static void refuse(struct conn *conn, int status)
{
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    gateway.count.bad_requests++;
    buffer_append_text(&headers, "content-type: text/plain; charset=utf-8\n");
    buffer_printf(&body, "%d %s\n", status, reason_of(status));
    conn->close_after = true;
    conn->http10 = false;
    answer(conn, false, status, buffer_slice(&headers), buffer_slice(&body));
    end_answer(conn);
}

/* ---- requests ---- */

static void append_client_fields(const struct conn *conn, struct buffer *frame, uint64_t id,
                                 struct slice forwarded_for)
{
    char address[INET6_ADDRSTRLEN] = "127.0.0.1";
    if (conn->address_len)
        (void)inet_ntop(conn->address_len == 4 ? AF_INET : AF_INET6, conn->address, address,
                        sizeof(address));
    buffer_append_slice(frame, SLICE("cf-connecting-ip: "));
    buffer_append_text(frame, address);
    buffer_append_slice(frame, SLICE("\nx-real-ip: "));
    buffer_append_text(frame, address);
    buffer_append_slice(frame, SLICE("\nx-forwarded-for: "));
    if (forwarded_for.len > 0) {
        buffer_append_slice(frame, forwarded_for);
        buffer_append_slice(frame, SLICE(", "));
    }
    buffer_append_text(frame, address);
    char line[96];
    int len =
        snprintf(line, sizeof(line),
                 "\nx-forwarded-proto: http\ncf-visitor: {\"scheme\":\"http\"}\ncf-ray: %016llx\n",
                 (unsigned long long)id);
    buffer_append(frame, line, (size_t)len);
}

/* What a client must not tell a worker about itself, and what ends at this hop. */
static bool is_for_worker(struct slice name)
{
    switch (name.len) {
    case 2:
        return !slice_equal(name, SLICE("te"));
    case 6:
        return !slice_equal(name, SLICE("expect")) && !slice_equal(name, SLICE("cf-ray"));
    case 7:
        return !slice_equal(name, SLICE("upgrade")) && !slice_equal(name, SLICE("trailer"));
    case 9:
        return !slice_equal(name, SLICE("x-real-ip"));
    case 10:
        return !slice_equal(name, SLICE("connection")) && !slice_equal(name, SLICE("keep-alive")) &&
               !slice_equal(name, SLICE("cf-visitor"));
    case 15:
        return !slice_equal(name, SLICE("x-forwarded-for"));
    case 16:
        return !slice_equal(name, SLICE("cf-connecting-ip")) &&
               !slice_equal(name, SLICE("proxy-connection"));
    case 17:
        return !slice_equal(name, SLICE("transfer-encoding")) &&
               !slice_equal(name, SLICE("x-forwarded-proto"));
    default:
        return true;
    }
}

/* struct frame_request, method, URL, header block; the inline body follows. */
static void build_frame(struct conn *conn, struct request *request, struct slice body, bool whole)
{
    struct buffer *frame = &request->frame;
    struct frame_request head = {
        .id = request->id,
        .body_bytes = parsed.chunked ? BODY_BYTES_UNKNOWN : parsed.content_length,
        .flags =
            (parsed.chunked || parsed.has_length ? FRAME_HAS_BODY : 0) | (whole ? FRAME_FIN : 0),
        .method_bytes = (uint32_t)parsed.method.len,
        .timeout_ms = request->deployment->wall_ms,
    };
    frame->start = frame->end = 0;
    buffer_append(frame, &head, sizeof(head));
    buffer_append_slice(frame, parsed.method);
    size_t url_start = frame->end;
    buffer_append_slice(frame, SLICE("http://"));
    buffer_append_slice(frame, parsed.authority.len ? parsed.authority : SLICE("localhost"));
    buffer_append_slice(frame, parsed.path);
    head.url_bytes = (uint32_t)(frame->end - url_start);
    size_t headers_start = frame->end;
    struct slice forwarded_for = {0};
    for (int i = 0; i < parsed.headers_count; i++) {
        const struct http1_header *header = &parsed.headers[i];
        if (!is_for_worker(header->name)) {
            if (header->name.len == 15 && header->name.ptr[2] == 'f')
                forwarded_for = header->value;
            continue;
        }
        char *room = buffer_reserve(frame, header->name.len + header->value.len + 3);
        memcpy(room, header->name.ptr, header->name.len);
        room += header->name.len;
        *room++ = ':', *room++ = ' ';
        memcpy(room, header->value.ptr, header->value.len);
        room[header->value.len] = '\n';
        frame->end += header->name.len + header->value.len + 3;
    }
    append_client_fields(conn, frame, request->id, forwarded_for);
    head.headers_bytes = (uint32_t)(frame->end - headers_start);
    head.inline_bytes = (uint32_t)body.len;
    memcpy(frame->data + frame->start, &head, sizeof(head));
    buffer_append_slice(frame, body);
    request->body_whole = request->body_ended = whole;
    request->body_credit -= (int64_t)body.len;
    request->body_bytes = (int64_t)body.len;
}

static void name_request(struct request *request)
{
    size_t len = parsed.method.len < sizeof(request->method) ? parsed.method.len
                                                             : sizeof(request->method) - 1;
    memcpy(request->method, parsed.method.ptr, len);
    request->method[len] = 0;
    request->head_request = slice_equal(parsed.method, SLICE("HEAD"));
    if (gateway.access_log != ACCESS_LOG_OFF)
        request->path = xstrndup(parsed.path.ptr, parsed.path.len);
}

/* Hands a parsed request to a worker. `in` begins after the head. */
static void start_request(struct conn *conn, struct deployment *deployment)
{
    struct request *request = request_new(deployment);
    struct slice body = {0};
    bool has_body = parsed.chunked || parsed.content_length > 0, whole = !has_body;
    name_request(request);
    if (has_body && !parsed.chunked) {
        /* What is there already travels with the head. */
        body = buffer_slice(&conn->in);
        if (body.len > INLINE_BODY_BYTES_MAX)
            body.len = INLINE_BODY_BYTES_MAX;
        if ((int64_t)body.len >= parsed.content_length) {
            body.len = (size_t)parsed.content_length;
            whole = true;
        }
    }
    build_frame(conn, request, body, whole);
    buffer_consume(&conn->in, body.len);
    conn->body_reading = !whole;
    conn->body_left = parsed.chunked ? BODY_CHUNKED : parsed.content_length - (int64_t)body.len;
    conn->chunks = (struct http1_chunks){0};
    conn->expects_continue = parsed.expect_continue && !whole;
    conn->request = request;
    request->conn = conn;
    conn->state = CONN_SERVING;
    if (conn->body_reading)
        set_deadline(conn, gateway.http.body_timeout_ms);
    dispatch_request(request);
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
                if (*at == '%' && stop - at > 2 && sscanf(at + 1, "%2x", &code) == 1)
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
static bool start_scheduled(struct conn *conn, struct deployment *deployment)
{
    size_t len = 0;
    while (len < parsed.path.len && parsed.path.ptr[len] != '?')
        len++;
    struct slice path = {parsed.path.ptr, len};
    if (!slice_equal(path, SLICE("/__scheduled")) &&
        !slice_equal(path, SLICE("/cdn-cgi/handler/scheduled")))
        return false;
    AUTO_TEXT cron = query_value(parsed.path, "cron");
    AUTO_TEXT time = query_value(parsed.path, "time");
    uint64_t time_ms = time ? strtoull(time, NULL, 10) : clock_wall_us() / 1000;
    struct request *request = request_new_event(deployment, slice_of(cron ? cron : ""), time_ms, 0);
    name_request(request);
    conn->request = request;
    request->conn = conn;
    conn->state = CONN_SERVING;
    dispatch_request(request);
    return true;
}

static void answer_404(struct conn *conn)
{
    AUTO_BUFFER headers = {0};
    AUTO_BUFFER body = {0};
    buffer_append_text(&headers, "content-type: text/plain; charset=utf-8\n");
    buffer_append_text(&body, "No worker is deployed here.\n");
    answer(conn, slice_equal(parsed.method, SLICE("HEAD")), 404, buffer_slice(&headers),
           buffer_slice(&body));
    end_answer(conn);
}

/* Sends what the assets module decided. */
static void answer_asset(struct conn *conn, struct assets_answer *asset)
{
    bool head_request = slice_equal(parsed.method, SLICE("HEAD"));
    begin_answer(conn, head_request, asset->status, buffer_slice(&asset->headers),
                 asset->body_bytes);
    if (asset->fd >= 0 && !conn->no_body && asset->body_bytes > 0) {
        conn->file_fd = asset->fd;
        asset->fd = -1;
        conn->file_offset = asset->offset;
        conn->file_left = asset->body_bytes;
        conn->state = CONN_SERVING;
        conn->answer_left = 0;
        set_deadline(conn, gateway.http.write_timeout_ms);
        mark_dirty(conn);
    } else {
        if (asset->fd < 0)
            (void)append_body(conn, asset->body, true);
        end_answer(conn);
    }
}

static void handle_request(struct conn *conn)
{
    conn->close_after = !parsed.keep_alive || gateway.draining || conn->peer_closed;
    conn->http10 = parsed.minor == 0;
    conn->answer_done = conn->head_sent = false;
    conn->body_reading = false;
    uint64_t start_us = clock_monotonic_us();
    if (conn->admin) {
        AUTO_BUFFER headers = {0};
        AUTO_BUFFER body = {0};
        int status = admin_answer(parsed.method, parsed.path, &headers, &body);
        conn->body_reading = parsed.chunked || parsed.content_length > 0;
        answer(conn, slice_equal(parsed.method, SLICE("HEAD")), status, buffer_slice(&headers),
               buffer_slice(&body));
        end_answer(conn);
        return;
    }
    struct deployment *deployment = routes_find(gateway.routes, parsed.authority, parsed.path);
    if (!deployment) {
        conn->body_reading = parsed.chunked || parsed.content_length > 0;
        answer_404(conn);
        return;
    }
    if (parsed.content_length > deployment->request_body_bytes_max) {
        refuse(conn, 413);
        return;
    }
    if (deployment->assets) {
        struct assets_answer asset;
        if (assets_route(deployment->assets, &parsed, deployment->has_code, &asset)) {
            conn->body_reading = parsed.chunked || parsed.content_length > 0;
            access_log_asset(deployment, &parsed, &asset, start_us);
            answer_asset(conn, &asset);
            assets_answer_done(&asset);
            return;
        }
    }
    if (!deployment->has_code && !deployment->failed) {
        conn->body_reading = parsed.chunked || parsed.content_length > 0;
        answer_404(conn);
        return;
    }
    if (gateway.dev && start_scheduled(conn, deployment))
        return;
    start_request(conn, deployment);
}

void conn_answer_event(struct conn *conn, struct request *request, const char *error)
{
    request->status = error ? 500 : 200;
    answer(conn, false, request->status, SLICE("content-type: text/plain; charset=utf-8\n"),
           error ? slice_of(error) : SLICE("Ran scheduled event"));
    end_answer(conn);
}

/* Reads the request's body from the input into the ring, as far as credit goes. */
static void pump_body(struct conn *conn)
{
    struct request *request = conn->request;
    while (conn->body_reading && !conn->closing && request->instance && request->body_credit > 0) {
        struct slice data = {0};
        size_t used = 0;
        bool ended = false;
        struct slice in = buffer_slice(&conn->in);
        if (conn->body_left == BODY_CHUNKED) {
            int r = http1_chunks_read(&conn->chunks, in.ptr ? in.ptr : "", in.len, &used, &data);
            if (r < 0) {
                if (!conn->head_sent) {
                    conn->request = NULL;
                    request->conn = NULL;
                    dispatch_client_gone(request);
                    refuse(conn, -r);
                } else {
                    conn_close(conn);
                }
                return;
            }
            if (r == 0)
                break;
            ended = r == 2;
        } else {
            data = in;
            if ((int64_t)data.len > conn->body_left)
                data.len = (size_t)conn->body_left;
            used = data.len;
            conn->body_left -= (int64_t)used;
            ended = conn->body_left == 0;
            if (used == 0 && !ended)
                break;
        }
        if ((int64_t)data.len >
            request->body_credit) { /* only chunks: give back what is too much */
            size_t excess = data.len - (size_t)request->body_credit;
            if (conn->body_left == BODY_CHUNKED) {
                conn->chunks.left += excess;
                conn->chunks.state = 1; /* CHUNK_DATA again */
            } else {
                conn->body_left += (int64_t)excess;
            }
            data.len -= excess;
            used -= excess;
            ended = false;
        }
        request->body_bytes += (int64_t)data.len;
        if (request->body_bytes > request->deployment->request_body_bytes_max) {
            conn->request = NULL;
            request->conn = NULL;
            dispatch_client_gone(request);
            if (conn->head_sent)
                conn_close(conn);
            else
                refuse(conn, 413);
            return;
        }
        if (ended)
            conn->body_reading = false;
        if (data.len > 0 || ended)
            dispatch_body(request, data, ended);
        buffer_consume(&conn->in, used);
        set_deadline(conn, gateway.http.body_timeout_ms);
    }
    if (conn->body_reading && conn->peer_closed && buffer_len(&conn->in) == 0)
        conn_close(conn); /* half a body, and no more to come */
}

void conn_resume_body(struct conn *conn)
{
    if (!conn->body_reading || conn->closing)
        return;
    if (conn->expects_continue) {
        conn->expects_continue = false;
        buffer_append_slice(&conn->out, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
        mark_dirty(conn);
    }
    pump_body(conn);
    if (!conn->closing)
        watch(conn);
}

/* Does whatever the input allows: the next request, or the next part of a body. */
static void advance(struct conn *conn)
{
    while (!conn->closing) {
        if (conn->state == CONN_LINGER) {
            buffer_reset(&conn->in, 0);
            if (conn->peer_closed)
                conn_close(conn);
            return;
        }
        if (conn->state == CONN_SERVING) {
            if (conn->body_reading && conn->request)
                conn_resume_body(conn);
            if (conn->state == CONN_SERVING)
                return;
            continue;
        }
        if (buffer_len(&conn->in) == 0)
            break;
        int r = http1_parse(conn->in.data + conn->in.start, buffer_len(&conn->in),
                            &gateway.http.head, &parsed);
        if (r < 0) {
            refuse(conn, -r);
            continue;
        }
        if (r == 0) {
            if (conn->state == CONN_IDLE) {
                conn->state = CONN_HEAD;
                set_deadline(conn, gateway.http.header_timeout_ms);
            }
            if (conn->peer_closed)
                conn_close(conn);
            return;
        }
        buffer_consume(&conn->in,
                       (size_t)r); /* the bytes stay where they are until the next read */
        handle_request(conn);
    }
    if (!conn->closing && buffer_len(&conn->in) == 0) {
        buffer_reset(&conn->in, 0);
        if (conn->peer_closed && conn->state == CONN_IDLE && buffer_len(&conn->out) == 0)
            conn_close(conn);
    }
}

static void read_input(struct conn *conn)
{
    char *room = buffer_reserve(&conn->in, READ_BYTES);
    ssize_t got = recv(conn->source.fd, room, conn->in.cap - conn->in.end, 0);
    if (got > 0) {
        conn->in.end += (size_t)got;
        gateway.count.bytes_in += (uint64_t)got;
    } else if (got == 0) {
        conn->peer_closed = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_close(conn);
        return;
    }
    advance(conn);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(source, struct conn, source);
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_close(conn);
        return;
    }
    if (events & EPOLLOUT) {
        conn->wants_write = false;
        mark_dirty(conn);
    }
    if (events & (EPOLLIN | EPOLLRDHUP))
        read_input(conn);
    if (!conn->closing)
        watch(conn);
}

/* ---- output ---- */

/* Sends as much as the socket takes. */
static void send_output(struct conn *conn)
{
    while (buffer_len(&conn->out) > 0) {
        ssize_t sent =
            send(conn->source.fd, conn->out.data + conn->out.start, buffer_len(&conn->out),
                 MSG_NOSIGNAL | (conn->file_fd >= 0 ? MSG_MORE : 0));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            conn_close(conn);
            return;
        }
        if (sent < 0) {
            conn->wants_write = true;
            return;
        }
        gateway.count.bytes_out += (uint64_t)sent;
        buffer_consume(&conn->out, (size_t)sent);
        if (conn->request && !conn->body_reading)
            set_deadline(conn, gateway.http.write_timeout_ms);
    }
    while (conn->file_fd >= 0 && conn->file_left > 0) {
        ssize_t sent =
            sendfile(conn->source.fd, conn->file_fd, &conn->file_offset, (size_t)conn->file_left);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent == 0 || (sent < 0 && errno != EAGAIN)) {
            conn_close(conn); /* the file got shorter, or the client went away */
            return;
        }
        if (sent < 0) {
            conn->wants_write = true;
            return;
        }
        gateway.count.bytes_out += (uint64_t)sent;
        conn->file_left -= sent;
        set_deadline(conn, gateway.http.write_timeout_ms);
    }
    if (conn->file_fd >= 0) {
        fd_close(&conn->file_fd);
        end_answer(conn);
        loop_stay_awake(gateway.loop);
    }
}

static void flush_conn(struct conn *conn)
{
    send_output(conn);
    if (conn->closing)
        return;
    struct request *request = conn->request;
    if (request && request->credit_owed > 0 && buffer_len(&conn->out) < OUTPUT_LOW_BYTES) {
        dispatch_credit(request, request->credit_owed);
        request->credit_owed = 0;
    }
    if (buffer_len(&conn->out) > 0 || conn->file_fd >= 0) {
        watch(conn);
        return;
    }
    if (conn->state != CONN_SERVING)
        buffer_reset(&conn->out, 0); /* no memory while idle */
    if (conn->state == CONN_LINGER) {
        (void)shutdown(conn->source.fd, SHUT_WR);
        if (conn->peer_closed)
            conn_close(conn);
        return;
    }
    if (conn->state == CONN_IDLE && buffer_len(&conn->in) > 0)
        advance(conn); /* the next pipelined request */
    else if (conn->state == CONN_IDLE && conn->peer_closed)
        conn_close(conn);
    if (!conn->closing)
        watch(conn);
}

void conn_flush_all(void)
{
    for (int round = 0; dirty_conns && round < 64; round++) {
        struct conn *list = dirty_conns;
        dirty_conns = NULL;
        while (list) {
            struct conn *conn = list;
            list = conn->next_dirty;
            conn->dirty = false;
            if (!conn->closing)
                flush_conn(conn);
            if (conn->closing && !conn->dirty)
                conn_free(conn);
        }
    }
    if (dirty_conns)
        loop_stay_awake(gateway.loop);
}

/* ---- time ---- */

void conn_tick(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    for (struct conn *conn = all_conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->closing || conn->deadline_ms > now_ms)
            continue;
        if (conn->state == CONN_HEAD) {
            refuse(conn, 408);
        } else if (conn->state == CONN_SERVING && conn->body_reading && conn->request &&
                   conn->request->body_credit > 0) {
            struct request *request = conn->request;
            conn->request = NULL;
            request->conn = NULL;
            dispatch_client_gone(request);
            if (conn->head_sent)
                conn_close(conn);
            else
                refuse(conn, 408);
        } else if (conn->state != CONN_SERVING || conn->wants_write) {
            conn_close(conn); /* idle, lingering, or a client that does not read */
        }
    }
}

void conn_drain_all(void)
{
    for (struct conn *conn = all_conns; conn; conn = conn->next) {
        if (conn->state == CONN_IDLE && buffer_len(&conn->in) == 0 && buffer_len(&conn->out) == 0)
            conn_close(conn);
        else
            conn->close_after = true;
    }
}

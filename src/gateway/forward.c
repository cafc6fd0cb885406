/* SPDX-License-Identifier: Apache-2.0 */
/* A request towards its worker: the frame that opens it, and the body after it under credit. */
#include "forward.h"

#include <inttypes.h>

#include "access_log.h"
#include "conn_state.h"
#include "counting.h"
#include "dispatch.h"
#include "request.h"

enum { FRAME_BYTES_MAX = GATEWAY_RING_BYTES / 4 - RING_FRAME_HEADER_BYTES };

static const char hex_upper[] = "0123456789ABCDEF", hex_lower[] = "0123456789abcdef";

/* ---- the frame ---- */

/* Where the bytes will be that are appended next. */
static struct span span_of(const struct buffer *frame, struct slice next)
{
    return (struct span){(uint32_t)frame->end, (uint32_t)next.len};
}

/* What a proxy tells about the client, in the fields that workers know. */
static void append_client_fields(const struct conn *conn, struct request *request,
                                 struct slice forwarded_for)
{
    char text[CLIENT_TEXT_BYTES], ray[16];
    struct buffer *frame = &request->frame;
    struct slice address = conn_client(conn, text);
    for (int i = 0; i < 16; i++)
        ray[i] = hex_lower[request->id >> (60 - 4 * i) & 15];
    buffer_append_slice(frame, SLICE("cf-connecting-ip: "));
    request->client = span_of(frame, address);
    buffer_append_slice(frame, address);
    buffer_append_slice(frame, SLICE("\nx-real-ip: "));
    buffer_append_slice(frame, address);
    buffer_append_slice(frame, SLICE("\nx-forwarded-for: "));
    if (forwarded_for.len > 0) {
        buffer_append_slice(frame, forwarded_for);
        buffer_append_slice(frame, SLICE(", "));
    }
    buffer_append_slice(frame, address);
    buffer_append_slice(frame, conn->tls ? SLICE("\nx-forwarded-proto: https\n"
                                                 "cf-visitor: {\"scheme\":\"https\"}\ncf-ray: ")
                                         : SLICE("\nx-forwarded-proto: http\n"
                                                 "cf-visitor: {\"scheme\":\"http\"}\ncf-ray: "));
    buffer_append(frame, ray, sizeof(ray));
    buffer_append_slice(frame, SLICE("\n"));
}

/* What a client must not tell a worker about itself, and what ends at this hop. */
static bool is_for_worker(struct slice name)
{
    if (slice_starts_with(name, SLICE("weir-")))
        return false; /* what we say ourselves */
    switch (name.len) {
    case 2:
        return !slice_equal(name, SLICE("te"));
    case 6:
        return !slice_equal(name, SLICE("expect")) && !slice_equal(name, SLICE("cf-ray"));
    case 7:
        return !slice_equal(name, SLICE("upgrade")) && !slice_equal(name, SLICE("trailer"));
    case 9:
        return !slice_equal(name, SLICE("x-real-ip")) && !slice_equal(name, SLICE("cf-worker"));
    case 10:
        return !slice_equal(name, SLICE("connection")) && !slice_equal(name, SLICE("keep-alive")) &&
               !slice_equal(name, SLICE("cf-visitor"));
    case 12:
        return !slice_equal(name, SLICE("cf-ipcountry"));
    case 14:
        return !slice_equal(name, SLICE("true-client-ip"));
    case 15:
        return !slice_equal(name, SLICE("x-forwarded-for"));
    case 16:
        return !slice_equal(name, SLICE("cf-connecting-ip")) &&
               !slice_equal(name, SLICE("proxy-connection"));
    case 17:
        return !slice_equal(name, SLICE("transfer-encoding")) &&
               !slice_equal(name, SLICE("x-forwarded-proto"));
    case 18:
        return !slice_equal(name, SLICE("cf-connecting-ipv6"));
    default:
        return true;
    }
}

/* A URL is ASCII: what a client left as UTF-8 is escaped here. */
static void append_path(struct buffer *frame, struct slice path)
{
    unsigned char all = 0;
    for (size_t i = 0; i < path.len; i++)
        all |= (unsigned char)path.ptr[i];
    if (all < 0x80) {
        buffer_append_slice(frame, path);
        return;
    }
    char *room = buffer_reserve(frame, 3 * path.len), *to = room;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c < 0x80) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = hex_upper[c >> 4];
        *to++ = hex_upper[c & 15];
    }
    frame->end += (size_t)(to - room);
}

static void append_field(struct request *request, struct slice name, struct slice value)
{
    struct buffer *frame = &request->frame;
    char *room = buffer_reserve(frame, name.len + value.len + 3);
    memcpy(room, name.ptr, name.len);
    room += name.len;
    *room++ = ':';
    *room++ = ' ';
    memcpy(room, value.ptr, value.len);
    room[value.len] = '\n';
    frame->end += name.len + 2;
    if (name.len == 10 && slice_equal(name, SLICE("user-agent")))
        request->user_agent = span_of(frame, value);
    else if (name.len == 7 && slice_equal(name, SLICE("referer")))
        request->referer = span_of(frame, value);
    frame->end += value.len + 1;
}

static void append_headers(const struct conn *conn, struct request *request,
                           const struct http1_request *parsed)
{
    struct slice forwarded_for = {0};
    for (int i = 0; i < parsed->headers_count; i++) {
        struct slice name = parsed->headers[i].name, value = parsed->headers[i].value;
        if (!is_for_worker(name)) {
            if (slice_equal(name, SLICE("x-forwarded-for")))
                forwarded_for = value;
            continue;
        }
        /* Of an absolute target the authority counts (RFC 9112 section 3.2.2): what routed the
         * request is what the worker is told. */
        append_field(request, name, slice_equal(name, SLICE("host")) ? parsed->authority : value);
    }
    append_client_fields(conn, request, forwarded_for);
}

static void append_number(struct request *request, struct slice name, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
    append_field(request, name, slice_of(digits));
}

/* body_bytes: negative if nobody has said how many there are. */
static void append_claim(struct request *request, const struct prisma_claim *claim,
                         int64_t body_bytes)
{
    append_field(request, SLICE("weir-prisma-key"), slice_of(claim->key_id));
    append_field(request, SLICE("weir-prisma-deployment"), SLICE("0000000000"));
    request->holder_at = (uint32_t)request->frame.end - HOLDER_DIGITS - 1; /* for when it is sent */
    if (claim->read_only)
        append_field(request, SLICE("weir-prisma-access"), SLICE("read"));
    if (claim->transactions_max > 0)
        append_number(request, SLICE("weir-prisma-transactions"), claim->transactions_max);
    if (claim->invalidates)
        append_field(request, SLICE("weir-prisma-invalidates"), SLICE("1"));
    append_number(request, SLICE("weir-prisma-invalidations"), claim->invalidations);
    int64_t bytes_max = request->deployment->request_body_bytes_max;
    if (body_bytes < 0 || body_bytes > INLINE_BODY_BYTES_MAX) /* one that others wait for */
        append_number(request, SLICE("weir-prisma-bytes"),
                      (uint64_t)(body_bytes < 0 ? bytes_max : body_bytes));
    if (counting_gateways() > 1)
        append_field(request, SLICE("weir-prisma-gateways"), SLICE("many"));
    request->key_count = claim->count;
    request->begins = claim->begins;
}

/* Room for the head's struct, which finish_head fills; method, URL. Returns where headers begin. */
static size_t begin_frame(struct request *request, const struct http1_request *parsed,
                          struct slice scheme, struct frame_request *head)
{
    struct buffer *frame = &request->frame;
    frame->start = frame->end = 0;
    buffer_append(frame, head, sizeof(*head));
    buffer_append_slice(frame, parsed->method);
    head->method_bytes = (uint32_t)parsed->method.len;
    size_t url_start = frame->end;
    buffer_append_slice(frame, scheme);
    struct slice host = parsed->authority.len ? parsed->authority : SLICE("localhost");
    request->host = span_of(frame, host);
    buffer_append_slice(frame, host);
    request->path.at = (uint32_t)frame->end;
    /* "OPTIONS *" has no path of its own: the URL of it is the host's root. */
    append_path(frame, parsed->path.ptr[0] == '*' ? SLICE("/") : parsed->path);
    request->path.bytes = (uint32_t)frame->end - request->path.at;
    head->url_bytes = (uint32_t)(frame->end - url_start);
    return frame->end;
}

static void finish_head(struct request *request, struct frame_request *head, size_t headers_start)
{
    head->headers_bytes = (uint32_t)(request->frame.end - headers_start);
    memcpy(request->frame.data, head, sizeof(*head));
}

/* Has a proxy in front taken the request over TLS? Anybody may say so: it is only for what turns
 * out worse for none but who says it. */
static bool says_https(const struct http1_request *parsed)
{
    for (int i = 0; i < parsed->headers_count; i++)
        if (slice_equal(parsed->headers[i].name, SLICE("x-forwarded-proto")))
            return slice_starts_with(parsed->headers[i].value, SLICE("https"));
    return false;
}

/* struct frame_request, method, URL, header block. The inline body follows in add_inline_body. */
static void build_frame(const struct conn *conn, struct request *request,
                        const struct http1_request *parsed, const struct prisma_claim *claim)
{
    struct frame_request head = {
        .id = request->id,
        .body_bytes = parsed->chunked ? BODY_BYTES_UNKNOWN : parsed->content_length,
        .flags = (parsed->chunked || parsed->has_length ? FRAME_HAS_BODY : 0) |
                 (conn->tls ? FRAME_TLS : 0),
        .timeout_ms = request->deployment->wall_ms,
    };
    /* A Prisma client is told where its transaction goes on, and goes there with its key. */
    bool secure = conn->tls || (claim && says_https(parsed));
    size_t headers_start =
        begin_frame(request, parsed, secure ? SLICE("https://") : SLICE("http://"), &head);
    append_headers(conn, request, parsed);
    if (claim)
        append_claim(request, claim, head.body_bytes);
    finish_head(request, &head, headers_start);
}

/* What is there already of a body with a length travels with the head. True: that is all of it. */
static bool add_inline_body(struct conn *conn, struct request *request)
{
    struct conn_work *work = conn->work;
    struct buffer *frame = &request->frame;
    struct frame_request head;
    if (conn->body_reading && work->body_left == BODY_CHUNKED)
        return false;
    size_t len = buffer_len(&work->in);
    if (len > INLINE_BODY_BYTES_MAX)
        len = INLINE_BODY_BYTES_MAX;
    if (buffer_len(frame) + len > FRAME_BYTES_MAX)
        len = 0;
    bool whole = !conn->body_reading || (int64_t)len >= work->body_left;
    if (whole)
        len = conn->body_reading ? (size_t)work->body_left : 0;
    memcpy(&head, frame->data, sizeof(head));
    head.inline_bytes = (uint32_t)len;
    head.flags |= whole ? FRAME_FIN : 0;
    memcpy(frame->data, &head, sizeof(head));
    buffer_append(frame, work->in.data + work->in.start, len);
    buffer_consume(&work->in, len);
    request->body_credit -= (int64_t)len;
    request->body_bytes = (int64_t)len;
    if (conn->body_reading)
        work->body_left -= (int64_t)len;
    return whole;
}

void forward_begin_body(struct conn *conn, const struct http1_request *parsed)
{
    conn->body_reading = parsed->chunked || parsed->content_length > 0;
    /* Who sends the body along does not wait for us. */
    conn->expects_continue =
        parsed->expect_continue && conn->body_reading && buffer_len(&conn->work->in) == 0;
    conn->work->body_left = parsed->chunked ? BODY_CHUNKED : parsed->content_length;
    conn->work->chunks = (struct http1_chunks){0};
}

void forward_request(struct conn *conn, struct deployment *deployment,
                     const struct http1_request *parsed, const struct prisma_claim *claim)
{
    struct request *request = request_new(deployment);
    request->head_request = slice_equal(parsed->method, SLICE("HEAD"));
    request->http10 = parsed->minor == 0;
    build_frame(conn, request, parsed, claim);
    bool whole = add_inline_body(conn, request);
    request->body_whole = request->body_ended = whole;
    conn->body_reading = !whole;
    conn->request = request;
    request->conn = conn;
    conn->state = CONN_SERVING;
    if (conn->body_reading)
        conn_set_deadline(conn, gateway.http.body_timeout_ms);
    dispatch_request(request);
}

struct request *forward_from_call(struct deployment *deployment, uint32_t caller_id,
                                  const struct http1_request *parsed,
                                  const struct frame_request *caller_head, bool secure,
                                  const struct prisma_claim *claim, struct slice inline_body)
{
    struct request *request = request_new(deployment);
    struct frame_request head = {
        .id = request->id,
        .body_bytes = caller_head->body_bytes,
        .flags = (caller_head->flags & (FRAME_HAS_BODY | FRAME_FIN)) | (secure ? FRAME_TLS : 0),
        .inline_bytes = (uint32_t)inline_body.len,
        .timeout_ms = deployment->wall_ms,
    };
    size_t headers_start =
        begin_frame(request, parsed, secure ? SLICE("https://") : SLICE("http://"), &head);
    for (int i = 0; i < parsed->headers_count; i++)
        if (is_for_worker(parsed->headers[i].name))
            append_field(request, parsed->headers[i].name, parsed->headers[i].value);
    append_claim(request, claim, head.body_bytes);
    append_number(request, SLICE("weir-prisma-caller"), caller_id);
    finish_head(request, &head, headers_start);
    buffer_append_slice(&request->frame, inline_body);
    request->head_request = slice_equal(parsed->method, SLICE("HEAD"));
    request->body_credit -= (int64_t)inline_body.len;
    request->body_bytes = (int64_t)inline_body.len;
    return request;
}

/* ---- the body ---- */

/* Takes up to bytes_max of the body off the input's front (without consuming it). Results as
 * http1_chunks_read. */
static int next_part(struct conn *conn, size_t bytes_max, size_t *ret_used, struct slice *ret_data)
{
    struct conn_work *work = conn->work;
    struct slice in = buffer_slice(&work->in);
    if (work->body_left == BODY_CHUNKED)
        return http1_chunks_read(&work->chunks, in.ptr ? in.ptr : "", in.len, bytes_max, ret_used,
                                 ret_data);
    if (in.len > bytes_max)
        in.len = bytes_max;
    if ((int64_t)in.len > work->body_left)
        in.len = (size_t)work->body_left;
    work->body_left -= (int64_t)in.len;
    *ret_data = in;
    *ret_used = in.len;
    return work->body_left == 0 ? 2 : in.len > 0;
}

/* The client broke the rules in the middle of its body. */
static void give_up(struct conn *conn, int status)
{
    if (conn->head_sent || conn->answer_done)
        conn_close(conn);
    else
        answer_instead(conn, status);
}

static void ask_to_continue(struct conn *conn)
{
    conn->expects_continue = false;
    if (conn->head_sent || buffer_len(&conn->work->in) > 0)
        return;
    buffer_append_slice(&conn->work->out, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    conn_mark_dirty(conn);
}

void forward_body(struct conn *conn)
{
    struct request *request = conn->request;
    if (!request || !request->instance || request->body_ended)
        return; /* still queued: the client may wait too. Or an event, which takes no body */
    if (conn->expects_continue)
        ask_to_continue(conn);
    size_t room;
    while (conn->body_reading && (room = dispatch_body_room(request)) > 0) {
        size_t used = 0;
        struct slice data = {0};
        int r = next_part(conn, room, &used, &data);
        if (r < 0) {
            give_up(conn, -r);
            return;
        }
        request->body_bytes += (int64_t)data.len;
        if (request->body_bytes > request->deployment->request_body_bytes_max) {
            give_up(conn, 413);
            return;
        }
        conn->body_reading = r != 2;
        if (data.len > 0 || r == 2)
            dispatch_body(request, data, r == 2);
        buffer_consume(&conn->work->in, used);
        if (r == 0)
            break;
        conn_set_deadline(conn, gateway.http.body_timeout_ms);
    }
    if (!conn->body_reading && conn->answer_done)
        conn_request_over(conn, request); /* it was only the body that it waited for */
    else if (conn->body_reading && conn->peer_closed && buffer_len(&conn->work->in) == 0)
        conn_close(conn); /* half a body, and no more to come */
}

bool forward_waits_for_client(const struct conn *conn)
{
    const struct request *request = conn->request;
    return conn->body_reading && request && request->instance && request->body_credit > 0 &&
           !request->instance->starved;
}

void forward_discard(struct conn *conn)
{
    struct conn_work *work = conn->work;
    while (conn->body_reading) {
        size_t used = 0;
        struct slice data = {0};
        int r = next_part(conn, SIZE_MAX, &used, &data);
        work->discarded_bytes += (int64_t)used;
        if (r < 0 || work->discarded_bytes > DISCARD_BYTES_MAX) {
            conn_close(conn);
            return;
        }
        buffer_consume(&work->in, used);
        conn->body_reading = r != 2;
        if (r == 0) {
            if (conn->peer_closed)
                conn_close(conn);
            return;
        }
    }
    conn->state = CONN_IDLE;
    conn_set_deadline(conn, gateway.http.keepalive_timeout_ms);
    conn_mark_dirty(conn);
}

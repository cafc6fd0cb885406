/* SPDX-License-Identifier: Apache-2.0 */
/* The life of connections: accept, read, parse, send, time out. See conn_state.h for the states.
 *
 * Input is read into a buffer that exists only while there is something in it; output is gathered
 * and sent once a turn. An idle connection costs its struct and the kernel's socket.
 *
 * Deadlines live in a timer wheel. A connection's place in it is at or before its deadline; moving
 * the deadline later writes one field, and the wheel files the connection again when it comes by.
 * So a request on a kept-alive connection costs the wheel nothing. */
#include "conn_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access_log.h"
#include "dispatch.h"

enum {
    READ_BYTES = 16 * 1024,
    READ_BODY_BYTES = 64 * 1024,
    ROOM_BYTES_MIN = 4 * 1024, /* with less room left the input buffer grows */
    ACCEPTS_PER_TURN = 64,
    FLUSH_ROUNDS_PER_TURN = 64, /* pipelined requests: a round each */
    SENDFILE_BYTES_PER_TURN = 1024 * 1024,
    LINGER_MS = 2000, /* after the last answer we read on for so long, so that it arrives */
    PROBE_MS = 1000,  /* see probe */
    WORKS_SPARE_MAX = 128,
    IN_KEPT_BYTES = 64 * 1024, /* of a spare work's buffers: fresh pages cost more than copying */
    OUT_KEPT_BYTES = 128 * 1024,
    WHEEL_MS = 250,
    WHEEL_SLOTS = 512,
};

static struct conn *wheel[WHEEL_SLOTS];
static uint64_t wheel_ms; /* up to here the wheel has come by */
static struct conn *dirty_conns;
static struct conn_work *spare_works;
static int spare_works_count;
static struct http1_request parsed; /* the head being handled */

static void advance(struct conn *conn);

/* ---- the wheel ---- */

static struct conn **wheel_place(uint64_t ms)
{
    return &wheel[ms / WHEEL_MS % WHEEL_SLOTS];
}

static void wheel_remove(struct conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        *wheel_place(conn->filed_ms) = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    conn->prev = conn->next = NULL;
}

/* As late as the deadline and the wheel's size allow, and later than now. */
static void wheel_add(struct conn *conn)
{
    uint64_t last_ms = wheel_ms + (uint64_t)WHEEL_MS * (WHEEL_SLOTS - 1);
    conn->filed_ms = conn->deadline_ms < last_ms ? conn->deadline_ms : last_ms;
    if (conn->filed_ms < wheel_ms + WHEEL_MS)
        conn->filed_ms = wheel_ms + WHEEL_MS;
    struct conn **place = wheel_place(conn->filed_ms);
    conn->prev = NULL;
    conn->next = *place;
    if (*place)
        (*place)->prev = conn;
    *place = conn;
}

void conn_set_deadline(struct conn *conn, uint32_t delay_ms)
{
    conn->deadline_ms = loop_now_ms(gateway.loop) + delay_ms;
    if (conn->deadline_ms >= conn->filed_ms || conn->closing)
        return;
    wheel_remove(conn);
    wheel_add(conn);
}

/* ---- birth and death ---- */

struct conn_work *conn_take_work(struct conn *conn)
{
    if (conn->work)
        return conn->work;
    struct conn_work *work = spare_works;
    if (work) {
        spare_works = work->next;
        spare_works_count--;
    } else {
        work = xcalloc(1, sizeof(*work));
    }
    work->file_fd = -1;
    conn->work = work;
    return work;
}

static void drop_work(struct conn *conn)
{
    struct conn_work *work = TAKE(conn->work);
    if (!work)
        return;
    fd_close(&work->file_fd);
    buffer_reset(&work->in, IN_KEPT_BYTES);
    buffer_reset(&work->out, OUT_KEPT_BYTES);
    if (spare_works_count == WORKS_SPARE_MAX) {
        buffer_done(&work->in);
        buffer_done(&work->out);
        free(work);
        return;
    }
    work->next = spare_works;
    spare_works = work;
    spare_works_count++;
}

void conn_mark_dirty(struct conn *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = dirty_conns;
    dirty_conns = conn;
}

void conn_detach(struct conn *conn)
{
    if (conn->request)
        conn->request->conn = NULL;
    conn->request = NULL;
}

void conn_close(struct conn *conn)
{
    if (conn->closing)
        return;
    struct request *request = conn->request;
    if (request) {
        conn_detach(conn);
        if (!conn->answer_done)
            access_log_request(request, 499);
        dispatch_client_gone(request);
    }
    wheel_remove(conn);
    conn->closing = true; /* freed by the flush at the end of the turn */
    int fd = conn->source.fd;
    loop_remove(gateway.loop, &conn->source);
    if (conn->tls)
        client_tls_end(conn->tls);
    client_tls_close(&conn->tls);
    (void)close(fd);
    conn_mark_dirty(conn);
}

static void conn_free(struct conn *conn)
{
    drop_work(conn);
    gateway.connections--;
    gateway.admin_connections -= conn->admin;
    gateway.count->connections--;
    free(conn);
}

static void take_address(struct conn *conn, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        conn->address_len = 4;
        memcpy(conn->address, &in->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)peer;
        conn->address_len = 16;
        memcpy(conn->address, &in6->sin6_addr, 16);
    }
}

struct slice conn_client(const struct conn *conn, char text[CLIENT_TEXT_BYTES])
{
    if (conn->address_len != 4) {
        const char *got =
            conn->address_len ? inet_ntop(AF_INET6, conn->address, text, CLIENT_TEXT_BYTES) : NULL;
        return got ? slice_of(got) : SLICE("127.0.0.1");
    }
    char *at = text;
    for (int i = 0; i < 4; i++) {
        unsigned byte = conn->address[i];
        if (byte >= 100)
            *at++ = (char)('0' + byte / 100);
        if (byte >= 10)
            *at++ = (char)('0' + byte / 10 % 10);
        *at++ = (char)('0' + byte % 10);
        *at++ = '.';
    }
    return (struct slice){text, (size_t)(at - text) - 1};
}

/* How much input may wait. While a worker works on a request without a body to come, only a little
 * of what the client sends ahead is read. */
static size_t input_bytes_max(const struct conn *conn)
{
    switch ((enum conn_state)conn->state) {
    case CONN_SERVING:
        return conn->body_reading ? READ_BODY_BYTES : READ_BYTES;
    case CONN_IDLE:
    case CONN_HEAD:
        return gateway.http.head.head_bytes_max + READ_BYTES;
    case CONN_DISCARD:
    case CONN_LINGER:
        break; /* dropped as it comes */
    }
    return SIZE_MAX;
}

static void watch(struct conn *conn)
{
    size_t in_bytes = conn->work ? buffer_len(&conn->work->in) : 0;
    bool read = !conn->peer_closed && in_bytes < input_bytes_max(conn);
    uint32_t events = (read ? EPOLLIN | EPOLLRDHUP : 0) | (conn->wants_write ? EPOLLOUT : 0);
    loop_change(gateway.loop, &conn->source, events);
}

/* ---- reading ---- */

/* What came is no request, or not all of one. */
static void refuse_input(struct conn *conn, int status)
{
    size_t bytes = answer_refuse(conn, false, status);
    if (!conn->admin)
        access_log_answer(conn, NULL, NULL, status, bytes, 0);
}

/* Parses a head from the input. False: there is no whole one. */
static bool read_head(struct conn *conn)
{
    struct buffer *in = &conn->work->in;
    int r = http1_parse(in->data + in->start, buffer_len(in), &gateway.http.head, &parsed);
    if (r < 0) {
        refuse_input(conn, -r);
        return true;
    }
    if (r == 0) {
        if (conn->state == CONN_IDLE) {
            conn->state = CONN_HEAD;
            conn_set_deadline(conn, gateway.http.header_timeout_ms);
        }
        if (conn->peer_closed)
            conn_close(conn);
        return false;
    }
    buffer_consume(in, (size_t)r);
    serve_request(conn, &parsed);
    return true;
}

/* Does whatever the input allows: the next requests, or the next part of a body. */
static void advance(struct conn *conn)
{
    while (!conn->closing && conn->work) {
        enum conn_state before = conn->state;
        switch (before) {
        case CONN_IDLE:
        case CONN_HEAD:
            if (buffer_len(&conn->work->in) == 0 ||
                buffer_len(&conn->work->out) > OUTPUT_HIGH_BYTES || conn->work->file_fd >= 0)
                return; /* the flush at the turn's end comes back to it */
            if (!read_head(conn))
                return;
            break;
        case CONN_SERVING:
            if (conn->body_reading)
                forward_body(conn);
            if (conn->state == CONN_SERVING)
                return;
            break;
        case CONN_DISCARD:
            forward_discard(conn);
            if (conn->state == CONN_DISCARD)
                return;
            break;
        case CONN_LINGER:
            buffer_reset(&conn->work->in, READ_BYTES);
            if (conn->peer_closed && buffer_len(&conn->work->out) == 0)
                conn_close(conn);
            return;
        }
    }
}

static void on_peer_closed(struct conn *conn)
{
    conn->peer_closed = true;
    if (conn->state == CONN_SERVING)
        conn_set_deadline(conn, PROBE_MS);
    conn_mark_dirty(conn); /* an idle connection ends at the end of the turn */
}

/* As recv(). */
static ssize_t receive(struct conn *conn, void *room, size_t bytes_max)
{
    char first;
    if (conn->sniffs) {
        ssize_t got = recv(conn->source.fd, &first, 1, MSG_PEEK);
        if (got <= 0)
            return got;
        conn->sniffs = false;
        if (first != 0x16) /* no TLS handshake (RFC 8446 section 5.1) */
            client_tls_close(&conn->tls);
    }
    return conn->tls ? client_tls_recv(conn->tls, room, bytes_max)
                     : recv(conn->source.fd, room, bytes_max, 0);
}

static void read_input(struct conn *conn)
{
    struct buffer *in = &conn_take_work(conn)->in;
    size_t before = buffer_len(in);
    ssize_t got;
    do { /* what TLS has decrypted already no event would tell of */
        if (in->cap - in->end < ROOM_BYTES_MIN)
            (void)buffer_reserve(in, conn->body_reading ? READ_BODY_BYTES : READ_BYTES);
        got = receive(conn, in->data + in->end, in->cap - in->end);
        if (got > 0)
            in->end += (size_t)got;
    } while (got > 0 && conn->tls && client_tls_pending(conn->tls) > 0);
    size_t added = buffer_len(in) - before;
    gateway.count->bytes_in += added;
    if (got > 0) {
        /* A head that trickles in is parsed again only when another line of it is there. */
        if (conn->state == CONN_HEAD && !memchr(in->data + in->end - added, '\n', added) &&
            buffer_len(in) < gateway.http.head.head_bytes_max)
            return;
    } else if (got == 0) {
        on_peer_closed(conn);
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
    if (events & EPOLLOUT)
        conn_mark_dirty(conn);
    if (events & (EPOLLIN | EPOLLRDHUP) && !conn->peer_closed)
        read_input(conn);
    if (!conn->closing)
        watch(conn);
}

bool conn_accept(int listener_fd, const struct listener_kind *kind)
{
    bool admin = kind->admin;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(listener_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
        if (kind->refuses || (gateway.connections >= gateway.http.connections_max && !admin)) {
            gateway.count->refused++;
            (void)close(fd);
            continue;
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct conn *conn = xcalloc(1, sizeof(*conn));
        if (loop_add(gateway.loop, &conn->source, fd, EPOLLIN | EPOLLRDHUP, on_ready) < 0) {
            (void)close(fd);
            free(conn);
            continue;
        }
        conn->admin = admin;
        conn->prisma = kind->prisma;
        if (kind->tls && !(conn->tls = client_tls_accept(kind->tls, fd))) {
            loop_remove(gateway.loop, &conn->source);
            (void)close(fd);
            free(conn);
            continue;
        }
        conn->sniffs = kind->tls && kind->plain_too;
        take_address(conn, &peer);
        conn->deadline_ms = loop_now_ms(gateway.loop) + gateway.http.header_timeout_ms;
        wheel_add(conn);
        gateway.connections++;
        gateway.admin_connections += admin;
        gateway.count->connections++;
        gateway.count->accepted++;
    }
    return true;
}

/* ---- from one request to the next ---- */

/* The request is answered, and no one needs it any more. */
static void go_on(struct conn *conn)
{
    conn_mark_dirty(conn);
    if (conn->body_reading && !conn->close_after) {
        conn->state = CONN_DISCARD;
        conn->work->discarded_bytes = 0;
        conn_set_deadline(conn, gateway.http.body_timeout_ms);
    } else if (conn->close_after) {
        conn->body_reading = false;
        conn->state = CONN_LINGER;
        conn_set_deadline(conn, LINGER_MS);
    } else {
        conn->state = CONN_IDLE;
        conn_set_deadline(conn, gateway.http.keepalive_timeout_ms);
    }
}

void conn_answer_ended(struct conn *conn)
{
    struct request *request = conn->request;
    conn->answer_done = true;
    conn_mark_dirty(conn);
    if (request) {
        access_log_request(request, request->status);
        if (conn->body_reading && request->instance && request->state == REQUEST_ANSWERED)
            return; /* the worker may read on (waitUntil): until it is done, or the body ends */
        conn_detach(conn);
    }
    go_on(conn);
}

void conn_request_over(struct conn *conn, struct request *request)
{
    assert(conn->request == request && conn->answer_done);
    conn_detach(conn);
    go_on(conn);
}

void conn_resume_body(struct conn *conn)
{
    if (conn->closing || conn->state != CONN_SERVING)
        return;
    if (conn->body_reading)
        forward_body(conn);
    if (!conn->closing)
        watch(conn);
}

/* ---- sending ---- */

static void wait_for_writing(struct conn *conn, bool progress)
{
    if (!conn->wants_write || progress)
        conn_set_deadline(conn, gateway.http.write_timeout_ms);
    conn->wants_write = true;
}

/* With TLS the file goes through memory: its next part into the output. False: it got shorter. */
static bool read_file(struct conn_work *work)
{
    size_t len = work->file_left < READ_BODY_BYTES ? (size_t)work->file_left : READ_BODY_BYTES;
    ssize_t got = pread(work->file_fd, buffer_reserve(&work->out, len), len, work->file_offset);
    if (got <= 0)
        return false;
    work->out.end += (size_t)got;
    work->file_offset += got;
    work->file_left -= got;
    return true;
}

/* Sends from the file after the head. True when all of it went. */
static bool send_file(struct conn *conn)
{
    struct conn_work *work = conn->work;
    int64_t sent_bytes = 0;
    while (work->file_left > 0) {
        off_t offset = work->file_offset;
        ssize_t sent =
            sent_bytes >= SENDFILE_BYTES_PER_TURN
                ? (errno = EAGAIN, -1)
                : sendfile(conn->source.fd, work->file_fd, &offset, (size_t)work->file_left);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent == 0 || (sent < 0 && errno != EAGAIN)) {
            conn_close(conn); /* the file got shorter, or the client went away */
            return false;
        }
        if (sent < 0) {
            wait_for_writing(conn, sent_bytes > 0);
            return false;
        }
        gateway.count->bytes_out += (uint64_t)sent;
        sent_bytes += sent;
        work->file_offset = offset;
        work->file_left -= sent;
    }
    fd_close(&work->file_fd);
    return true;
}

/* As send(). */
static ssize_t transmit(struct conn *conn, const struct buffer *out, bool more)
{
    const char *bytes = out->data + out->start;
    return conn->tls ? client_tls_send(conn->tls, bytes, buffer_len(out))
                     : send(conn->source.fd, bytes, buffer_len(out),
                            MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

/* Sends as much as the socket takes. True when all went. */
static bool send_output(struct conn *conn)
{
    struct conn_work *work = conn->work;
    bool progress = false;
    while (buffer_len(&work->out) > 0 || (conn->tls && work->file_fd >= 0 && work->file_left > 0)) {
        if (buffer_len(&work->out) == 0 && !read_file(work)) {
            conn_close(conn);
            return false;
        }
        ssize_t sent = transmit(conn, &work->out, work->file_fd >= 0);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent == 0 || (sent < 0 && errno != EAGAIN)) {
            conn_close(conn);
            return false;
        }
        if (sent < 0) {
            wait_for_writing(conn, progress);
            return false;
        }
        progress = true;
        gateway.count->bytes_out += (uint64_t)sent;
        buffer_consume(&work->out, (size_t)sent);
    }
    if (work->file_fd >= 0) {
        if (!send_file(conn))
            return false;
        if (!conn->answer_done)
            conn_answer_ended(conn);
    }
    return true;
}

/* All output went after the client had kept us waiting: the state's own deadline counts again. */
static void stop_waiting_for_writing(struct conn *conn)
{
    conn->wants_write = false;
    switch ((enum conn_state)conn->state) {
    case CONN_IDLE:
        conn_set_deadline(conn, gateway.http.keepalive_timeout_ms);
        break;
    case CONN_HEAD:
        conn_set_deadline(conn, gateway.http.header_timeout_ms);
        break;
    case CONN_SERVING:
    case CONN_DISCARD:
        conn_set_deadline(conn, gateway.http.body_timeout_ms);
        break;
    case CONN_LINGER:
        conn_set_deadline(conn, LINGER_MS);
        break;
    }
}

static void flush_conn(struct conn *conn)
{
    struct request *request;
    bool all_sent = !conn->work || send_output(conn);
    if (conn->closing)
        return;
    request = conn->request;
    if (request && request->credit_owed > 0 && buffer_len(&conn->work->out) < OUTPUT_LOW_BYTES) {
        uint32_t bytes = request->credit_owed;
        request->credit_owed = 0;
        dispatch_credit(request, bytes);
    }
    if (!all_sent) {
        watch(conn);
        return;
    }
    if (conn->wants_write)
        stop_waiting_for_writing(conn);
    if (conn->state == CONN_LINGER && conn->tls)
        client_tls_end(conn->tls);
    if (conn->state == CONN_LINGER)
        (void)shutdown(conn->source.fd, SHUT_WR);
    if (conn->work && conn->state != CONN_SERVING && conn->state != CONN_HEAD)
        advance(conn); /* the next pipelined request, or more of a body to drop */
    if (conn->closing)
        return;
    bool empty = !conn->work || (buffer_len(&conn->work->in) == 0 &&
                                 buffer_len(&conn->work->out) == 0 && conn->work->file_fd < 0);
    if (empty && conn->state == CONN_IDLE) {
        drop_work(conn);
        if (conn->peer_closed || gateway.draining) {
            conn_close(conn);
            return;
        }
    }
    watch(conn);
}

void conn_flush_all(void)
{
    for (int round = 0; dirty_conns && round < FLUSH_ROUNDS_PER_TURN; round++) {
        struct conn *list = TAKE(dirty_conns);
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

/* The client closed its side while it waits for an answer. It may still read (RFC 9112 section 9.6
 * allows that) or be gone; TCP tells which only when something is sent. An interim answer is
 * something that may always be sent. If the client is gone, the kernel says so and the worker's
 * request is aborted. */
static void probe(struct conn *conn)
{
    conn->probed = true;
    buffer_append_slice(&conn_take_work(conn)->out, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    conn_mark_dirty(conn);
}

static void on_deadline(struct conn *conn)
{
    switch ((enum conn_state)conn->state) {
    case CONN_IDLE:
    case CONN_DISCARD:
    case CONN_LINGER:
        conn_close(conn);
        return;
    case CONN_HEAD:
        refuse_input(conn, 408);
        return;
    case CONN_SERVING:
        if (conn->wants_write) {
            conn_close(conn);
        } else if (forward_waits_for_client(conn)) {
            if (conn->head_sent || conn->answer_done)
                conn_close(conn);
            else
                answer_instead(conn, 408);
        } else {
            if (conn->peer_closed && !conn->probed && !conn->head_sent && !conn->http10)
                probe(conn);
            conn_set_deadline(conn, gateway.http.body_timeout_ms);
        }
        return;
    }
}

void conn_tick(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop) / WHEEL_MS * WHEEL_MS;
    if (wheel_ms == 0)
        wheel_ms = now_ms;
    while (wheel_ms < now_ms) {
        wheel_ms += WHEEL_MS;
        struct conn *due = TAKE(*wheel_place(wheel_ms)), *next;
        for (struct conn *conn = due; conn; conn = next) {
            next = conn->next;
            wheel_add(conn); /* so that it is in the wheel whatever happens to it now */
            if (conn->deadline_ms <= loop_now_ms(gateway.loop))
                on_deadline(conn);
        }
    }
}

/* Its next request may be here already, and not read. */
static bool has_input(const struct conn *conn)
{
    char byte;
    return recv(conn->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void conn_drain_all(bool new_too)
{
    for (int i = 0; i < WHEEL_SLOTS; i++) {
        for (struct conn *conn = wheel[i], *next; conn; conn = next) {
            next = conn->next;
            conn->close_after = true;
            if (conn->state == CONN_IDLE && !conn->work &&
                (conn->used || (new_too && !conn->admin)) && !has_input(conn))
                conn_close(conn);
        }
    }
}

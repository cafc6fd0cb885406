/* SPDX-License-Identifier: Apache-2.0 */
#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stream.h"

enum {
    ENTRIES = 256,
    BUFFERS = 128, /* a power of two; they hold what has come since the last wait */
    BUFFER_BYTES = 1024,
    CHUNK_BYTES = 1024, /* written to a socket between two waits; more of it goes at once */
    CHUNKS_KEPT = 64,
    COMPLETIONS = 2048,
    UNREAD_BYTES = 8 * 1024, /* of a socket: then no more is taken from the kernel */
    CALLS_MAX = 16,          /* for what one should do */
};

/* What a completion is of: the low bits of its user_data, over which stands the socket. */
enum tag { TAG_NOTHING, TAG_RECEIVE, TAG_SEND, TAG_ROOM, TAG_END, TAG_LOOP, TAG_MASK = 7 };

struct uring_chunk {
    struct uring_chunk *next; /* of those that are free */
    struct io_uring_sqe *request;
    uint64_t round; /* in which it was asked for: it is the kernel's in the next */
    uint32_t start, end;
    char bytes[CHUNK_BYTES];
};

static struct {
    struct loop *loop;
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory; /* of the buffers */
    struct {
        uint16_t bytes, next; /* of what came, and the buffer with what came after it */
    } held[BUFFERS];
    struct uring_socket *ready, **ready_end;
    struct uring_chunk *free;
    uint32_t free_count;
    uint64_t round;
    bool is_there, allowed, watches_loop;
} uring;

static struct stream *stream_of(struct uring_socket *socket)
{
    return CONTAINER_OF(socket, struct stream, uring);
}

static int descriptor(struct uring_socket *socket)
{
    return stream_of(socket)->source.fd;
}

/* ---- requests ---- */

static void submit(void)
{
    uring.round++;
    for (int i = 0; i < CALLS_MAX && io_uring_sq_ready(&uring.ring) > 0; i++)
        if (io_uring_submit(&uring.ring) < 0)
            (void)io_uring_get_events(&uring.ring); /* makes room for what is done */
}

static struct io_uring_sqe *new_request(void)
{
    struct io_uring_sqe *request = io_uring_get_sqe(&uring.ring);
    if (request)
        return request;
    submit();
    request = io_uring_get_sqe(&uring.ring);
    if (!request)
        abort(); /* the kernel has no memory for any request */
    return request;
}

static void mark(struct io_uring_sqe *request, const struct uring_socket *socket, enum tag tag)
{
    io_uring_sqe_set_data64(request, (uintptr_t)socket | (uint64_t)tag);
}

static void receive(struct uring_socket *socket)
{
    struct io_uring_sqe *request = new_request();
    io_uring_prep_recv_multishot(request, descriptor(socket), NULL, 0, 0);
    request->flags |= IOSQE_BUFFER_SELECT;
    request->buf_group = 0;
    mark(request, socket, TAG_RECEIVE);
    socket->receives = true;
}

static void await(int fd, unsigned events, const struct uring_socket *socket, enum tag tag)
{
    struct io_uring_sqe *request = new_request();
    io_uring_prep_poll_add(request, fd, events);
    mark(request, socket, tag);
}

static void await_room(struct uring_socket *socket)
{
    socket->refused = true;
    if (socket->awaits_room || socket->sends)
        return;
    await(descriptor(socket), POLLOUT, socket, TAG_ROOM);
    socket->awaits_room = true;
}

/* Unless there is enough of it here already. */
static void receive_more(struct uring_socket *socket)
{
    bool enough = socket->unread && buffer_len(socket->unread) >= UNREAD_BYTES;
    if (socket->is_open && !socket->receives && !socket->paused && !enough && !socket->at_end &&
        socket->error == 0)
        receive(socket);
}

static void cancel(const struct uring_socket *socket, enum tag tag)
{
    struct io_uring_sqe *request = new_request();
    io_uring_prep_cancel64(request, (uintptr_t)socket | (uint64_t)tag, 0);
    mark(request, NULL, TAG_NOTHING);
}

static void cancel_receiving(struct uring_socket *socket)
{
    if (socket->receives && !socket->cancels)
        cancel(socket, TAG_RECEIVE);
    socket->cancels = socket->receives;
}

/* ---- sockets ---- */

static void tell(struct uring_socket *socket, uint32_t events)
{
    socket->events |= events;
    if (socket->listed)
        return;
    socket->listed = true;
    socket->next_ready = NULL;
    *uring.ready_end = socket;
    uring.ready_end = &socket->next_ready;
}

static void fail(struct uring_socket *socket, int error)
{
    if (socket->error == 0)
        socket->error = error;
    tell(socket, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
}

/* ---- what has come ---- */

static char *buffer_at(uint16_t buffer)
{
    return uring.memory + (size_t)buffer * BUFFER_BYTES;
}

static void give_buffer(uint16_t buffer)
{
    io_uring_buf_ring_add(uring.buffers, buffer_at(buffer), BUFFER_BYTES, buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(uring.buffers, 1);
}

/* The first of those that a socket holds goes back. */
static void give_first(struct uring_socket *socket)
{
    uint16_t first = socket->first;
    socket->holds = first != socket->last;
    socket->first = uring.held[first].next;
    socket->start = 0;
    give_buffer(first);
}

static struct slice first_held(const struct uring_socket *socket)
{
    if (!socket->holds)
        return (struct slice){NULL, 0};
    return (struct slice){buffer_at(socket->first) + socket->start,
                          (size_t)(uring.held[socket->first].bytes - socket->start)};
}

static void free_unread(struct uring_socket *socket)
{
    if (socket->unread)
        buffer_done(socket->unread);
    free(TAKE(socket->unread));
}

/* The ring's buffers are few, and nobody knows when the owner reads on. */
static void keep_unread(struct uring_socket *socket)
{
    if (!socket->holds)
        return;
    if (!socket->unread)
        socket->unread = xcalloc(1, sizeof(*socket->unread));
    for (; socket->holds; give_first(socket))
        buffer_append_slice(socket->unread, first_held(socket));
    if (buffer_len(socket->unread) >= UNREAD_BYTES)
        cancel_receiving(socket);
}

static void take_bytes(struct uring_socket *socket, uint16_t buffer, size_t bytes)
{
    socket->full = bytes == BUFFER_BYTES;
    uring.held[buffer].bytes = (uint16_t)bytes;
    if (!socket->is_open) {
        give_buffer(buffer);
        return;
    }
    if (socket->holds)
        uring.held[socket->last].next = buffer;
    else
        socket->first = buffer;
    socket->last = buffer;
    socket->holds = true;
    tell(socket, EPOLLIN);
}

static void on_received(struct uring_socket *socket, const struct io_uring_cqe *done)
{
    socket->receives = done->flags & IORING_CQE_F_MORE;
    socket->cancels = socket->cancels && socket->receives;
    if (done->res > 0) {
        take_bytes(socket, (uint16_t)(done->flags >> IORING_CQE_BUFFER_SHIFT), (size_t)done->res);
    } else if (done->res == 0) {
        socket->at_end = true;
        tell(socket, EPOLLIN | EPOLLRDHUP);
    } else if (done->res != -ENOBUFS && done->res != -ECANCELED && done->res != -EINTR) {
        fail(socket, -done->res);
    }
    if (done->res <= 0 && (done->flags & IORING_CQE_F_BUFFER))
        give_buffer((uint16_t)(done->flags >> IORING_CQE_BUFFER_SHIFT));
    /* Had it ended for want of buffers: until the next wait there are some. First come those that
     * had none at all, and who has taken them all in the end (deliver). */
    if (done->res != -ENOBUFS || !socket->holds)
        receive_more(socket);
}

/* ---- what goes out ---- */

static bool is_queued(const struct uring_chunk *chunk)
{
    return chunk && chunk->round == uring.round;
}

static void drop_chunk(struct uring_socket *socket)
{
    struct uring_chunk *chunk = TAKE(socket->chunk);
    socket->sends = false;
    if (uring.free_count == CHUNKS_KEPT) {
        free(chunk);
        return;
    }
    chunk->next = uring.free;
    uring.free = chunk;
    uring.free_count++;
}

static void send_chunk(struct uring_socket *socket)
{
    struct uring_chunk *chunk = socket->chunk;
    chunk->request = new_request();
    chunk->round = uring.round;
    io_uring_prep_send(chunk->request, descriptor(socket), chunk->bytes + chunk->start,
                       chunk->end - chunk->start, MSG_NOSIGNAL | MSG_WAITALL);
    mark(chunk->request, socket, TAG_SEND);
    socket->sends = true;
}

static struct uring_chunk *chunk_of(struct uring_socket *socket)
{
    if (socket->chunk)
        return socket->chunk;
    struct uring_chunk *chunk = uring.free;
    if (chunk) {
        uring.free = chunk->next;
        uring.free_count--;
    } else {
        chunk = xcalloc(1, sizeof(*chunk));
    }
    chunk->start = chunk->end = 0;
    socket->chunk = chunk;
    send_chunk(socket);
    return chunk;
}

static void on_sent(struct uring_socket *socket, const struct io_uring_cqe *done)
{
    struct uring_chunk *chunk = socket->chunk;
    if (done->res > 0)
        chunk->start += (uint32_t)done->res;
    if (done->res >= 0 && chunk->start < chunk->end && socket->is_open) {
        send_chunk(socket); /* a signal came between */
        return;
    }
    drop_chunk(socket);
    if (done->res < 0)
        fail(socket, -done->res);
    else if (socket->refused)
        tell(socket, EPOLLOUT);
    socket->refused = false;
}

/* What is queued is not asked for after all. */
static void take_back(struct uring_socket *socket)
{
    io_uring_prep_nop(socket->chunk->request);
    mark(socket->chunk->request, NULL, TAG_NOTHING);
    drop_chunk(socket);
}

/* What is queued goes now, since something follows that can not wait. False: not all of it. */
static bool send_queued(struct uring_socket *socket)
{
    struct uring_chunk *chunk = socket->chunk;
    struct iovec rest = {chunk->bytes + chunk->start, chunk->end - chunk->start};
    ssize_t sent = stream_send_now(descriptor(socket), &rest, 1);
    if (sent == (ssize_t)rest.iov_len || (sent < 0 && sent != -EAGAIN)) {
        take_back(socket);
        if (sent < 0)
            fail(socket, (int)-sent);
        return true;
    }
    chunk->start += sent > 0 ? (uint32_t)sent : 0;
    chunk->request->addr = (uintptr_t)(chunk->bytes + chunk->start);
    chunk->request->len = chunk->end - chunk->start;
    return false;
}

bool uring_is_behind(struct uring_socket *socket)
{
    bool is = socket->sends && !is_queued(socket->chunk);
    socket->refused = socket->refused || is;
    return is;
}

ssize_t uring_write(struct uring_socket *socket, const struct iovec *parts, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    if (socket->error != 0)
        return -socket->error;
    if (socket->awaits_room || uring_is_behind(socket)) {
        socket->refused = true;
        return -EAGAIN;
    }
    if (bytes + (socket->chunk ? socket->chunk->end : 0) <= CHUNK_BYTES) {
        struct uring_chunk *chunk = chunk_of(socket);
        for (int i = 0; i < count; i++) {
            memcpy(chunk->bytes + chunk->end, parts[i].iov_base, parts[i].iov_len);
            chunk->end += (uint32_t)parts[i].iov_len;
        }
        chunk->request->len = chunk->end - chunk->start;
        return (ssize_t)bytes;
    }
    if (socket->chunk && !send_queued(socket)) {
        socket->refused = true;
        return -EAGAIN;
    }
    if (socket->error != 0)
        return -socket->error;
    ssize_t sent = stream_send_now(descriptor(socket), parts, count);
    if (sent == -EAGAIN || (sent >= 0 && sent < (ssize_t)bytes))
        await_room(socket);
    return sent;
}

bool uring_drain(struct uring_socket *socket)
{
    if (is_queued(socket->chunk))
        (void)send_queued(socket);
    socket->refused = socket->refused || socket->sends;
    return !socket->sends;
}

/* ---- reading ---- */

bool uring_is_readable(const struct uring_socket *socket)
{
    return socket->holds || socket->unread || socket->full || socket->at_end || socket->error != 0;
}

static size_t read_held(struct uring_socket *socket, char *dst, size_t cap)
{
    size_t done = 0;
    for (struct slice first; done < cap && (first = first_held(socket)).len > 0;) {
        size_t len = first.len < cap - done ? first.len : cap - done;
        memcpy(dst + done, first.ptr, len);
        done += len;
        socket->start = (uint16_t)(socket->start + len);
        if (len == first.len)
            give_first(socket);
    }
    return done;
}

static size_t read_unread(struct uring_socket *socket, char *dst, size_t cap)
{
    struct slice rest = uring_unread(socket);
    size_t len = rest.len < cap ? rest.len : cap;
    if (len == 0)
        return 0;
    memcpy(dst, rest.ptr, len);
    buffer_consume(socket->unread, len);
    if (buffer_len(socket->unread) > 0)
        return len;
    free_unread(socket);
    return len;
}

/* What the kernel has taken from sockets, and we have not seen. */
static bool anything_unseen(void)
{
    return io_uring_cq_ready(&uring.ring) > 0 || io_uring_cq_has_overflow(&uring.ring);
}

/* Much comes: the rest of it in one call. */
static size_t read_kernel(struct uring_socket *socket, char *dst, size_t cap)
{
    ssize_t got;
    if (!socket->full || socket->at_end || socket->error != 0 || cap == 0 || anything_unseen())
        return 0;
    do
        got = recv(descriptor(socket), dst, cap, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    socket->full = got == (ssize_t)cap;
    if (got < 0 && errno != EAGAIN)
        fail(socket, errno);
    socket->at_end = socket->at_end || got == 0;
    return got > 0 ? (size_t)got : 0;
}

ssize_t uring_read(struct uring_socket *socket, void *dst, size_t cap)
{
    char *to = dst;
    size_t len = read_unread(socket, to, cap);
    if (!socket->unread)
        len += read_held(socket, to + len, cap - len);
    if (!socket->unread && !socket->holds)
        len += read_kernel(socket, to + len, cap - len);
    receive_more(socket);
    if (len > 0)
        return (ssize_t)len;
    if (socket->error != 0)
        return -socket->error;
    return socket->at_end ? 0 : -EAGAIN;
}

/* ---- the loop ---- */

static void on_room(struct uring_socket *socket)
{
    socket->awaits_room = false;
    if (socket->refused)
        tell(socket, EPOLLOUT);
    socket->refused = false;
}

/* It sends no more, or is gone. Receiving alone would not tell while nothing more is to be taken;
 * and there are kernels in which an end that comes together with bytes is lost to it. */
static void on_end(struct uring_socket *socket, const struct io_uring_cqe *done)
{
    socket->awaits_end = false;
    if (done->res < 0)
        return;
    socket->full = true;
    tell(socket, EPOLLIN | EPOLLRDHUP);
}

static void take(const struct io_uring_cqe *done)
{
    uint64_t data = io_uring_cqe_get_data64(done);
    struct uring_socket *socket = (struct uring_socket *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
    switch ((enum tag)(data & TAG_MASK)) {
    case TAG_RECEIVE:
        on_received(socket, done);
        break;
    case TAG_SEND:
        on_sent(socket, done);
        break;
    case TAG_ROOM:
        on_room(socket);
        break;
    case TAG_END:
        on_end(socket, done);
        break;
    case TAG_LOOP:
        uring.watches_loop = false;
        break;
    default:
        break;
    }
}

static void take_all(void)
{
    struct io_uring_cqe *done;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&uring.ring, head, done)
    {
        take(done);
        count++;
    }
    io_uring_cq_advance(&uring.ring, count);
}

/* Sends what is queued, and takes what has come. */
static void call(int timeout_ms)
{
    uring.round++;
    if (timeout_ms == 0 || anything_unseen()) {
        (void)io_uring_submit_and_get_events(&uring.ring);
    } else if (timeout_ms < 0) {
        (void)io_uring_submit_and_wait(&uring.ring, 1);
    } else {
        struct io_uring_cqe *first;
        struct __kernel_timespec timeout = {.tv_sec = timeout_ms / 1000,
                                            .tv_nsec = timeout_ms % 1000 * 1000000LL};
        (void)io_uring_submit_and_wait_timeout(&uring.ring, &first, 1, &timeout, NULL);
    }
    take_all();
}

static bool wait_for_any(int timeout_ms)
{
    if (!uring.watches_loop)
        await(loop_fd(uring.loop), POLLIN, NULL, TAG_LOOP);
    uring.watches_loop = true;
    call(uring.ready ? 0 : timeout_ms);
    return !uring.watches_loop;
}

static void deliver(void)
{
    for (struct uring_socket *socket; (socket = uring.ready);) {
        uint32_t events = socket->events;
        uring.ready = socket->next_ready;
        if (!uring.ready)
            uring.ready_end = &uring.ready;
        socket->events = 0;
        if (socket->is_open)
            loop_call(uring.loop, &stream_of(socket)->source, events);
        keep_unread(socket);
        receive_more(socket);
        socket->listed = false;
        if (socket->events)
            tell(socket, 0);
    }
}

/* ---- from the beginning to the end ---- */

void uring_open(struct uring_socket *socket)
{
    socket->is_open = true;
    receive(socket);
    await(descriptor(socket), POLLRDHUP, socket, TAG_END);
    socket->awaits_end = true;
}

void uring_close(struct uring_socket *socket)
{
    if (!socket->is_open)
        return;
    socket->is_open = false;
    if (is_queued(socket->chunk) && !send_queued(socket))
        take_back(socket); /* the peer takes no more, and nobody waits for it */
    cancel_receiving(socket);
    if (socket->sends)
        cancel(socket, TAG_SEND);
    if (socket->awaits_room)
        cancel(socket, TAG_ROOM);
    if (socket->awaits_end)
        cancel(socket, TAG_END);
    if (!uring_is_gone(socket))
        submit(); /* what is not submitted yet would meet whoever has the descriptor next */
    while (socket->holds)
        give_first(socket);
    free_unread(socket);
}

bool uring_is_gone(const struct uring_socket *socket)
{
    return !socket->is_open && !socket->listed && !socket->receives && !socket->sends &&
           !socket->awaits_room && !socket->awaits_end;
}

bool uring_pause(struct uring_socket *socket)
{
    if (uring_is_behind(socket))
        return false;
    socket->paused = true;
    cancel_receiving(socket);
    for (int i = 0; i < CALLS_MAX && socket->receives; i++)
        call(0);
    keep_unread(socket);
    bool still = !socket->receives && !socket->sends && !socket->at_end && socket->error == 0;
    if (!still)
        uring_resume(socket);
    return still;
}

struct slice uring_unread(const struct uring_socket *socket)
{
    return socket->unread ? buffer_slice(socket->unread) : (struct slice){NULL, 0};
}

bool uring_peek(const struct uring_socket *socket, char *ret)
{
    struct slice next = socket->unread ? uring_unread(socket) : first_held(socket);
    if (next.len > 0)
        *ret = *next.ptr;
    return next.len > 0;
}

void uring_resume(struct uring_socket *socket)
{
    socket->paused = false;
    receive_more(socket);
}

void uring_flush(void)
{
    if (uring.is_there)
        submit();
}

/* The library has no functions for these in its shared object. */
static int set_up(unsigned operation, const void *argument, unsigned count)
{
    long r = syscall(SYS_io_uring_register, uring.ring.ring_fd, operation, argument, count);
    return r < 0 ? -errno : 0;
}

/* What the ring may be asked for, whoever should get to ask. */
static int restrict_ring(void)
{
    static const uint8_t operations[] = {IORING_OP_NOP, IORING_OP_RECV, IORING_OP_SEND,
                                         IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    enum { OPERATIONS = sizeof(operations) };
    struct io_uring_restriction rules[OPERATIONS + 1] = {
        [OPERATIONS] = {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
                        .sqe_flags = IOSQE_BUFFER_SELECT}};
    for (int i = 0; i < OPERATIONS; i++)
        rules[i] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP,
                                                 .sqe_op = operations[i]};
    return set_up(IORING_REGISTER_RESTRICTIONS, rules, OPERATIONS + 1);
}

static int make_buffers(void)
{
    size_t table_bytes = BUFFERS * sizeof(struct io_uring_buf);
    char *memory = mmap(NULL, table_bytes + (size_t)BUFFERS * BUFFER_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    uring.buffers = (struct io_uring_buf_ring *)(void *)memory;
    uring.memory = memory + table_bytes;
    struct io_uring_buf_reg table = {
        .ring_addr = (uintptr_t)memory, .ring_entries = BUFFERS, .bgid = 0};
    int r = io_uring_register_buf_ring(&uring.ring, &table, 0);
    if (r < 0)
        return r;
    io_uring_buf_ring_init(uring.buffers);
    for (uint16_t i = 0; i < BUFFERS; i++)
        give_buffer(i);
    return 0;
}

int uring_init(struct loop *loop)
{
    static const struct loop_waiter waiter = {wait_for_any, deliver};
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                                              IORING_SETUP_CQSIZE,
                                     .cq_entries = COMPLETIONS};
    int r = io_uring_queue_init_params(ENTRIES, &uring.ring, &params);
    if (r < 0)
        return r;
    (void)io_uring_register_ring_fd(&uring.ring); /* saves a look-up at each call */
    if ((r = make_buffers()) < 0 || (r = restrict_ring()) < 0 ||
        (r = set_up(IORING_REGISTER_ENABLE_RINGS, NULL, 0)) < 0) {
        io_uring_queue_exit(&uring.ring);
        return r;
    }
    uring.loop = loop;
    uring.ready_end = &uring.ready;
    uring.is_there = true;
    loop_wait_by(loop, &waiter);
    return 0;
}

void uring_allow(bool allowed)
{
    uring.allowed = allowed;
}

bool uring_is_there(void)
{
    return uring.is_there && uring.allowed;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

enum { SMALL_BYTES = 1024 };

int stream_open(struct stream *stream, struct loop *loop, int fd, loop_source_fn *on_ready)
{
    int r =
        loop_add(loop, &stream->source, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, on_ready);
    if (r == 0)
        stream->readable = false;
    return r;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->carrier || stream->source.on_ready;
}

const char *stream_end(const struct stream *stream, bool peer, char text[STREAM_END_BYTES],
                       uint16_t *ret_port)
{
    char host[INET6_ADDRSTRLEN];
    uint16_t port = 0;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    if (!stream->carrier)
        (void)(peer ? getpeername : getsockname)(stream->source.fd, &address.any, &len);
    bool v6 = address.any.sa_family == AF_INET6, with_port = !ret_port;
    if (v6)
        port = ntohs(address.v6.sin6_port);
    else if (address.any.sa_family == AF_INET)
        port = ntohs(address.v4.sin_port);
    if (port == 0)
        strcpy(text, stream->carrier ? "worker" : "unix");
    else if (!inet_ntop(address.any.sa_family,
                        v6 ? (const void *)&address.v6.sin6_addr : &address.v4.sin_addr, host,
                        sizeof(host)))
        strcpy(text, "?");
    else if (with_port)
        (void)snprintf(text, STREAM_END_BYTES, v6 ? "[%s]:%u" : "%s:%u", host, port);
    else
        strcpy(text, host);
    if (ret_port)
        *ret_port = port;
    return text;
}

void stream_hasten(struct stream *stream, struct loop *loop)
{
    if (stream->carrier || stream->uring.is_open || !uring_is_there() ||
        (stream->tls && !tls_hasten(stream->tls, &stream->uring)))
        return;
    loop_remove(loop, &stream->source);
    uring_open(&stream->uring);
}

bool stream_pause(struct stream *stream)
{
    return !stream->uring.is_open || uring_pause(&stream->uring);
}

struct slice stream_unread(const struct stream *stream)
{
    return uring_unread(&stream->uring);
}

void stream_resume(struct stream *stream)
{
    uring_resume(&stream->uring);
}

void stream_take_events(struct stream *stream, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        stream->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        stream->hung_up = true;
}

static ssize_t read_socket(struct stream *stream, void *dst, size_t cap)
{
    ssize_t got;
    do
        got = recv(stream->source.fd, dst, cap, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN)
        return -errno;
    /* Less than was asked for is all there is; an end that came with it is seen by another read. */
    if (got < (ssize_t)cap && !(stream->hung_up && got > 0))
        stream->readable = false;
    return got < 0 ? -EAGAIN : got;
}

bool stream_peek(const struct stream *stream, char *ret)
{
    return !stream->carrier && !stream->tls && stream->uring.is_open &&
           uring_peek(&stream->uring, ret);
}

ssize_t stream_read(struct stream *stream, void *dst, size_t cap)
{
    if (stream->carrier)
        return stream->carrier->read(stream, dst, cap);
    if (!stream->tls && !stream->uring.is_open)
        return read_socket(stream, dst, cap);
    ssize_t got =
        stream->tls ? tls_read(stream->tls, dst, cap) : uring_read(&stream->uring, dst, cap);
    if (got == -EAGAIN || (!stream->tls && !uring_is_readable(&stream->uring)))
        stream->readable = false;
    return got;
}

/* The kernel takes one piece more cheaply than it reads a list of them. */
ssize_t stream_send_now(int fd, const struct iovec *parts, int count)
{
    char joined[SMALL_BYTES];
    struct iovec one = {joined, 0};
    for (int i = 0; count > 1 && i < count; i++) {
        if (parts[i].iov_len > sizeof(joined) - one.iov_len) {
            one.iov_len = 0;
            break;
        }
        memcpy(joined + one.iov_len, parts[i].iov_base, parts[i].iov_len);
        one.iov_len += parts[i].iov_len;
    }
    if (count == 1)
        one = parts[0];
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                             .msg_iovlen = (size_t)count};
    ssize_t sent;
    do
        sent = one.iov_len > 0 ? send(fd, one.iov_base, one.iov_len, MSG_NOSIGNAL)
                               : sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t stream_write(struct stream *stream, const struct iovec *parts, int count)
{
    if (stream->carrier)
        return stream->carrier->write(stream, parts, count);
    if (stream->tls)
        return tls_writev(stream->tls, parts, count);
    if (stream->uring.is_open)
        return uring_write(&stream->uring, parts, count);
    return stream_send_now(stream->source.fd, parts, count);
}

bool stream_is_behind(struct stream *stream)
{
    return stream->uring.is_open && uring_is_behind(&stream->uring);
}

bool stream_drain(struct stream *stream)
{
    return !stream->uring.is_open || uring_drain(&stream->uring);
}

void stream_close(struct stream *stream, struct loop *loop)
{
    if (stream->carrier) {
        stream->carrier->close(stream);
        stream->carrier = NULL;
        return;
    }
    if (!stream->source.on_ready)
        return;
    if (stream->tls)
        tls_shutdown(stream->tls);
    tls_free(&stream->tls);
    uring_close(&stream->uring);
    loop_remove(loop, &stream->source);
    (void)close(stream->source.fd);
    stream->source.on_ready = NULL;
}

bool stream_is_gone(const struct stream *stream)
{
    return !stream_is_open(stream) && uring_is_gone(&stream->uring);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to and from a peer: a socket, with TLS or without, or a worker's socket in a ring. Sockets
 * are edge-triggered, so that a peer that has to wait costs no system call: `readable` remembers
 * what an edge announced until a read has found the end of it. */
#ifndef WEIR_POOL_STREAM_H
#define WEIR_POOL_STREAM_H

#include <sys/types.h>
#include <sys/uio.h>

#include "common.h"
#include "loop.h"
#include "uring.h"

struct tls;
struct stream;

/* Another carrier than a socket. Same results as stream_read and stream_write. */
struct stream_carrier {
    ssize_t (*read)(struct stream *stream, void *dst, size_t cap);
    ssize_t (*write)(struct stream *stream, const struct iovec *parts, int count);
    void (*close)(struct stream *stream);
};

struct stream {
    struct loop_source source;
    struct tls *tls;                      /* owned; NULL: none */
    const struct stream_carrier *carrier; /* NULL: the socket source.fd, owned */
    struct uring_socket uring;            /* not open: a system call for each read and write */
    bool readable, hung_up;
    bool fd_is_tcp; /* not a unix socket: it may be encrypted */
};

/* Takes fd over on success. 0 or negative errno. */
int stream_open(struct stream *stream, struct loop *loop, int fd,
                loop_source_fn *on_ready) WARN_UNUSED;
bool stream_is_open(const struct stream *stream);
enum { STREAM_END_BYTES = 64 };
/* One end of it: "address:port", "unix" or "worker"; the port alone goes to ret_port (NULL:
 * nowhere), and then the text has none. Returns text. */
const char *stream_end(const struct stream *stream, bool peer, char text[STREAM_END_BYTES],
                       uint16_t *ret_port);
/* Its handshakes are over, and nothing waits to be written: from now on it goes the quickest way
 * that there is for such a stream. */
void stream_hasten(struct stream *stream, struct loop *loop);
/* Nothing is read from its socket any more, so that another process may go on after what
 * stream_unread says. False: it has ended, or has not sent everything, and goes on as before. */
bool stream_pause(struct stream *stream) WARN_UNUSED;
/* What was taken from the kernel and is not read yet: borrowed, until something is. */
struct slice stream_unread(const struct stream *stream);
/* It was paused, and stays here after all. */
void stream_resume(struct stream *stream);
/* To be called first in on_ready. */
void stream_take_events(struct stream *stream, uint32_t events);
/* The byte that is read next, where that is known without reading. */
bool stream_peek(const struct stream *stream, char *ret);
/* Bytes read, 0 at the end, -EAGAIN or another negative errno. */
ssize_t stream_read(struct stream *stream, void *dst, size_t cap) WARN_UNUSED;
/* Bytes written (maybe not all), -EAGAIN or another negative errno. */
ssize_t stream_write(struct stream *stream, const struct iovec *parts, int count) WARN_UNUSED;
/* As uring_is_behind and uring_drain; of other streams the kernel has all that was written. */
bool stream_is_behind(struct stream *stream);
bool stream_drain(struct stream *stream) WARN_UNUSED;
/* To a socket at once, with the results of stream_write. */
ssize_t stream_send_now(int fd, const struct iovec *parts, int count) WARN_UNUSED;
/* Says goodbye where TLS wants one; harmless on one that is closed. */
void stream_close(struct stream *stream, struct loop *loop);
/* It is closed, and its memory may go. */
bool stream_is_gone(const struct stream *stream);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets by io_uring: what arrives is here before its owner hears of it, and what is written in a
 * turn of the loop goes out with the one system call that waits for the next. Reads and writes have
 * the results that stream.h says. The kernel touches a socket for the ring within our calls alone:
 * that wait, and those that make room in the ring or end a socket amid a turn. */
#ifndef WEIR_POOL_URING_H
#define WEIR_POOL_URING_H

#include <sys/types.h>
#include <sys/uio.h>

#include "buffer.h"
#include "common.h"
#include "loop.h"

struct uring_chunk;

/* Part of a stream (stream.h); all of it is uring.c's. */
struct uring_socket {
    struct uring_socket *next_ready;
    struct buffer *unread;       /* what was left of the ring's buffers; NULL: nothing */
    struct uring_chunk *chunk;   /* what is to be sent, or is on its way; NULL: nothing */
    int error;                   /* positive errno, with which the connection has ended */
    uint32_t events;             /* that its owner is to hear of */
    uint16_t first, last, start; /* the ring's buffers that hold more of it, one after the other */
    bool is_open : 1;
    bool holds : 1;                                                /* such buffers */
    bool receives : 1, sends : 1, awaits_room : 1, awaits_end : 1; /* such a request is under way */
    bool cancels : 1; /* … and its end: the one that receives */
    bool paused : 1;  /* it is not to receive */
    bool full : 1;    /* what came last has filled its buffer: there may be more in the kernel */
    bool at_end : 1;  /* the peer sends no more */
    bool refused : 1; /* a write had to wait: its owner hears when there is room */
    bool listed : 1;  /* of those whose owners are to hear of something */
};

/* Once, before the sandbox: makes the ring, and has the loop wait by it. 0, or the negative errno
 * for which the kernel gives none; then there are no such sockets. */
int uring_init(struct loop *loop) WARN_UNUSED;
/* Of new sockets: whether they may go by it. */
void uring_allow(bool allowed);
bool uring_is_there(void);

/* socket: zeroed, of a stream whose descriptor the loop does not watch any more. The stream's
 * on_ready is called with events as the loop's. */
void uring_open(struct uring_socket *socket);
ssize_t uring_read(struct uring_socket *socket, void *dst, size_t cap) WARN_UNUSED;
bool uring_is_readable(const struct uring_socket *socket);
ssize_t uring_write(struct uring_socket *socket, const struct iovec *parts, int count) WARN_UNUSED;
/* Is what was written still on its way, because the peer does not take it? Then its owner hears
 * EPOLLOUT when it is through. */
bool uring_is_behind(struct uring_socket *socket);
/* Sends what was written now. False: the peer does not take all of it, and its owner hears EPOLLOUT
 * when it is through. */
bool uring_drain(struct uring_socket *socket) WARN_UNUSED;
/* What was written goes to the kernel, as far as that takes it. Harmless on one that is closed. */
void uring_close(struct uring_socket *socket);
/* It is closed, and the kernel is done with it: its memory may go. */
bool uring_is_gone(const struct uring_socket *socket);

/* Nothing is read from it any more, so that another process may go on after what uring_unread says.
 * False: it has ended, or has not sent everything, and goes on as it did. */
bool uring_pause(struct uring_socket *socket) WARN_UNUSED;
/* What uring_read begins with; false: there is nothing. */
bool uring_peek(const struct uring_socket *socket, char *ret);
/* Borrowed, until something is read. */
struct slice uring_unread(const struct uring_socket *socket);
void uring_resume(struct uring_socket *socket);

/* Sends what was written, before the process ends. */
void uring_flush(void);

#endif

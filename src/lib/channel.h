/* SPDX-License-Identifier: Apache-2.0 */
/* Channel: two rings and two doorbells between two processes: one sealed memfd, two eventfds.
 * The supervisor makes it (channel_create) and hands the three fds to each end, which maps it. */
#ifndef WEIR_CHANNEL_H
#define WEIR_CHANNEL_H

#include "ring.h"

enum channel_end { CHANNEL_SERVER, CHANNEL_INSTANCE }; /* the trusted end, the sandboxed end */
enum { CHANNEL_FDS = 3 };

struct channel {
    struct ring in, out;
    void *memory;
    size_t memory_bytes;
    int bell_in;  /* eventfd we wait on */
    int bell_out; /* eventfd of the peer */
};

/* Fills fds[0..3): memfd (sealed against resizing), the server's bell, the instance's bell.
 * data_bytes: of each ring, a power of two. 0 or negative errno. */
int channel_create(uint32_t data_bytes, int fds[CHANNEL_FDS]) WARN_UNUSED;

/* Maps an end; takes the bells' fds over and closes the memfd, also on failure. The size is read
 * from the memfd and checked. 0 or negative errno. */
int channel_open(struct channel *channel, enum channel_end end,
                 const int fds[CHANNEL_FDS]) WARN_UNUSED;
/* Unmaps and closes; harmless on a zeroed or closed channel. */
void channel_close(struct channel *channel);

/* After writing a batch of frames: rings the peer's bell if it sleeps. */
void channel_flush(struct channel *channel);
/* After reading a batch: rings the peer's bell if it waits for room. */
void channel_consumed(struct channel *channel);
/* Before waiting on bell_in: true if there is nothing to read (the bell will ring). */
bool channel_sleep(struct channel *channel);
/* Woken: clears the bell. */
void channel_awake(struct channel *channel);
/* The same for who watches the bell with EPOLLIN | EPOLLET, and is told of each ring: it need not
 * be cleared, which would take a system call. */
void channel_rung(struct channel *channel);
/* One end's advice to the other: the CPU to keep to, or -1. It is read when that wakes; a server
 * believes nothing of it. */
void channel_advise(struct channel *channel, int cpu);
int channel_advice(const struct channel *channel);
/* Gives the pages of both rings back to the system if both are empty (server end, when idle). */
void channel_trim(struct channel *channel);

#endif

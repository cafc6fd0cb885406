/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections: how they are set up, and whether anybody is at the other end. */
#ifndef WEIR_POOL_TCP_H
#define WEIR_POOL_TCP_H

#include <stdbool.h>
#include <stdint.h>

/* What one connection's peer had acknowledged; all zero at first. */
struct tcp_watch {
    uint64_t acked_bytes;
    uint64_t since_us; /* when that was last more; 0: it owes nothing */
};

/* A new connection's options: the kernel finds out about a peer that is gone while nothing is sent.
 * Other families than IPv4 and IPv6 are left alone. */
void tcp_set_up(int fd, int family);

/* Has the peer acknowledged nothing of what it was sent for timeout_ms (0: it has for ever)? To be
 * asked a few times in that while. Not the kernel's TCP_USER_TIMEOUT, which also ends who
 * acknowledges but does not read for so long, as a server that waits for a lock amid a COPY. */
bool tcp_is_lost(int fd, struct tcp_watch *watch, uint64_t now_us, int64_t timeout_ms);

/* Changes as the peer takes what it was sent; of unix sockets, too. */
uint64_t tcp_taken(int fd);

#endif

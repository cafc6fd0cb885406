/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages between weir's processes: SOCK_SEQPACKET pairs, one message a packet,
 * {u32 type, u32 bytes} + a plain struct, with up to IPC_FDS_MAX descriptors. */
#ifndef WEIR_IPC_H
#define WEIR_IPC_H

#include <stdint.h>
#include "common.h"

enum { IPC_FDS_MAX = 20, IPC_PAYLOAD_BYTES_MAX = 16 * 1024 };

struct ipc_message {
    uint32_t type;
    uint32_t bytes; /* of payload */
    int fds_count;
    int fds[IPC_FDS_MAX]; /* owned by the receiver; see ipc_close_fds */
    char payload[IPC_PAYLOAD_BYTES_MAX] __attribute__((aligned(8)));
} __attribute__((aligned(8)));

/* A close-on-exec pair. 0 or negative errno. */
int ipc_pair(int ret_fds[2]) WARN_UNUSED;
/* Sends without blocking; the fds stay the caller's. 0, -EAGAIN (peer's queue full), -EPIPE… */
int ipc_send(int socket, uint32_t type, const void *payload, uint32_t bytes, const int *fds,
             int fds_count);
/* Receives the next message. 1: got one. 0: the peer is gone. -EAGAIN: none. -EPROTO: malformed
 * (its fds are already closed). Received fds are close-on-exec. */
int ipc_recv(int socket, struct ipc_message *ret_message) WARN_UNUSED;
/* Closes the fds that the handler has not taken (set them to -1 when taken). */
void ipc_close_fds(struct ipc_message *message);

#endif

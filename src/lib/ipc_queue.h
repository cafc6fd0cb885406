/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages (ipc.h) that their socket's queue has no room for yet, in order: nothing is lost
 * because a reader is slow. */
#ifndef WEIR_IPC_QUEUE_H
#define WEIR_IPC_QUEUE_H

#include <stdint.h>
#include <stdbool.h>

#include "common.h"

struct ipc_queue_message;

struct ipc_queue {
    struct ipc_queue_message *first, *last;
    uint32_t count;
};

enum { IPC_QUEUE_MESSAGES_MAX = 65536 };

/* Sends at once, or keeps a copy (fds stay the caller's) for ipc_queue_flush. 0; -ENOBUFS: too many
 * wait, or descriptors have run out; -EPIPE…: the peer is gone. */
int ipc_queue_send(struct ipc_queue *queue, int socket, uint32_t type, const void *payload,
                   uint32_t bytes, const int *fds, int fds_count);
/* Sends what the socket takes; call it when it is writable. What cannot be sent at all is dropped.
 */
void ipc_queue_flush(struct ipc_queue *queue, int socket);
bool ipc_queue_is_empty(const struct ipc_queue *queue);
void ipc_queue_clear(struct ipc_queue *queue);

#endif

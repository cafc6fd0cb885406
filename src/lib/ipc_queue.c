/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "ipc.h"

struct ipc_queue_message {
    struct ipc_queue_message *next;
    uint32_t type, bytes;
    int fds_count;
    int fds[IPC_FDS_MAX];
    char payload[];
};

static void message_free(struct ipc_queue_message *message)
{
    for (int i = 0; i < message->fds_count; i++)
        fd_close(&message->fds[i]);
    free(message);
}

static int keep(struct ipc_queue *queue, uint32_t type, const void *payload, uint32_t bytes,
                const int *fds, int fds_count)
{
    if (queue->count == IPC_QUEUE_MESSAGES_MAX)
        return -ENOBUFS;
    struct ipc_queue_message *message = xcalloc(1, sizeof(*message) + bytes);
    message->type = type;
    message->bytes = bytes;
    if (bytes > 0)
        memcpy(message->payload, payload, bytes);
    for (; message->fds_count < fds_count; message->fds_count++) {
        int fd = fcntl(fds[message->fds_count], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            message_free(message);
            return -ENOBUFS;
        }
        message->fds[message->fds_count] = fd;
    }
    if (queue->last)
        queue->last->next = message;
    else
        queue->first = message;
    queue->last = message;
    queue->count++;
    return 0;
}

int ipc_queue_send(struct ipc_queue *queue, int socket, uint32_t type, const void *payload,
                   uint32_t bytes, const int *fds, int fds_count)
{
    int r = queue->first ? -EAGAIN : ipc_send(socket, type, payload, bytes, fds, fds_count);
    return r == -EAGAIN ? keep(queue, type, payload, bytes, fds, fds_count) : r;
}

static void drop_first(struct ipc_queue *queue)
{
    struct ipc_queue_message *message = queue->first;
    queue->first = message->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    message_free(message);
}

void ipc_queue_flush(struct ipc_queue *queue, int socket)
{
    while (queue->first) {
        const struct ipc_queue_message *message = queue->first;
        if (ipc_send(socket, message->type, message->payload, message->bytes, message->fds,
                     message->fds_count) == -EAGAIN)
            return;
        drop_first(queue);
    }
}

bool ipc_queue_is_empty(const struct ipc_queue *queue)
{
    return !queue->first;
}

void ipc_queue_clear(struct ipc_queue *queue)
{
    while (queue->first)
        drop_first(queue);
}

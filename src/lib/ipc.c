/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ipc_header {
    uint32_t type;
    uint32_t bytes;
};

int ipc_pair(int ret_fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
        return -errno;
    return 0;
}

int ipc_send(int socket, uint32_t type, const void *payload, uint32_t bytes, const int *fds,
             int fds_count)
{
    assert(bytes <= IPC_PAYLOAD_BYTES_MAX);
    assert(fds_count >= 0 && fds_count <= IPC_FDS_MAX);
    struct ipc_header header = {type, bytes};
    struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)payload, bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = bytes ? 2 : 1};
    char control[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)] __attribute__((aligned(8)));
    if (fds_count > 0) {
        size_t fds_bytes = sizeof(int) * (size_t)fds_count;
        memset(control, 0, sizeof(control));
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds_bytes);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds_bytes);
        memcpy(CMSG_DATA(rights), fds, fds_bytes);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *message, struct ipc_message *ret_message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (ret_message->fds_count < IPC_FDS_MAX)
                ret_message->fds[ret_message->fds_count++] = fd;
            else
                (void)close(fd);
        }
    }
}

int ipc_recv(int socket, struct ipc_message *ret_message)
{
    struct ipc_header header;
    struct iovec parts[2] = {{&header, sizeof(header)},
                             {ret_message->payload, sizeof(ret_message->payload)}};
    char control[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)] __attribute__((aligned(8)));
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (got == 0)
        return 0;
    ret_message->fds_count = 0;
    take_fds(&message, ret_message);
    if ((size_t)got < sizeof(header) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        header.bytes != (size_t)got - sizeof(header)) {
        ipc_close_fds(ret_message);
        return -EPROTO;
    }
    ret_message->type = header.type;
    ret_message->bytes = header.bytes;
    return 1;
}

void ipc_close_fds(struct ipc_message *message)
{
    for (int i = 0; i < message->fds_count; i++)
        fd_close(&message->fds[i]);
    message->fds_count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h> /* its struct tcp_info tells more than the C library's */
#include <netinet/in.h>
#include <sys/socket.h>

void tcp_set_up(int fd, int family)
{
    int on = 1, idle_s = 60, interval_s = 10;
    if (family != AF_INET && family != AF_INET6)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
}

bool tcp_is_lost(int fd, struct tcp_watch *watch, uint64_t now_us, int64_t timeout_ms)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (timeout_ms == 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return false; /* it is a unix socket */
    /* Of a full window nothing is on its way but probes; their answers say that it still is full. */
    bool owes = info.tcpi_unacked > 0 || info.tcpi_probes > 1;
    if (!owes || watch->since_us == 0 || info.tcpi_bytes_acked != watch->acked_bytes) {
        *watch = (struct tcp_watch){info.tcpi_bytes_acked, owes ? now_us : 0};
        return false;
    }
    return now_us - watch->since_us > (uint64_t)timeout_ms * 1000;
}

uint64_t tcp_taken(int fd)
{
    struct tcp_info info = {0};
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info), memory_len = sizeof(memory);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return info.tcpi_bytes_acked;
    (void)getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &memory_len);
    return memory[SK_MEMINFO_WMEM_ALLOC];
}

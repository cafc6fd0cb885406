/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway process. gateway_main is its checklist; on_turn_end shows the order of a turn's end.
 */
#include "gateway_main.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "access_log.h"
#include "affinity.h"
#include "conn.h"
#include "dispatch.h"
#include "json_wipe.h"
#include "log.h"
#include "ipc_queue.h"
#include "placement.h"
#include "sandbox.h"

enum { TICK_MS = 25, CONN_TICK_MS = 250, DESCRIPTORS_KEPT = 512 };

struct gateway gateway;

static struct loop_timer tick_timer, conn_timer;
static struct ipc_queue unsent;

/* ---- the supervisor ---- */

void gateway_tell(enum control_type type, const void *payload, uint32_t bytes)
{
    (void)ipc_queue_send(&unsent, CONTROL_FD, type, payload, bytes, NULL, 0);
}

void gateway_tell_fd(enum control_type type, const void *payload, uint32_t bytes, int fd)
{
    (void)ipc_queue_send(&unsent, CONTROL_FD, type, payload, bytes, &fd, 1);
}

static void on_control(struct loop_source *source, uint32_t events)
{
    static struct ipc_message message;
    int r;
    (void)events;
    while ((r = ipc_recv(source->fd, &message)) > 0) {
        plan_on_message(&message);
        ipc_close_fds(&message);
    }
    if (r == 0 || (r != -EAGAIN && r != -EPROTO))
        loop_stop(gateway.loop, 0); /* the supervisor is gone */
}

/* ---- time ---- */

/* What the drain did not finish is answered as far as it can be, and logged. */
static void cut_off(void)
{
    size_t count = dispatch_cut_off();
    if (count > 0)
        log_warn("the drain's time is over: %zu requests are cut off", count);
    conn_flush_all();
    loop_stop(gateway.loop, 0);
}

static void on_tick(struct loop_timer *timer)
{
    loop_timer_start(gateway.loop, timer, TICK_MS, on_tick);
    ipc_queue_flush(&unsent, CONTROL_FD);
    dispatch_tick();
    if (!gateway.draining)
        return;
    if (gateway.drain_new_until_ms && loop_now_ms(gateway.loop) >= gateway.drain_new_until_ms) {
        gateway.drain_new_until_ms = 0;
        conn_drain_all(true);
    }
    if (gateway_is_drained())
        loop_stop(gateway.loop, 0);
    else if (loop_now_ms(gateway.loop) >= gateway.drain_deadline_ms)
        cut_off();
}

static void on_conn_tick(struct loop_timer *timer)
{
    loop_timer_start(gateway.loop, timer, CONN_TICK_MS, on_conn_tick);
    conn_tick();
    gateway_wake_listeners();
}

/* First the answers to clients, since sending them may free requests and give credit to instances;
 * then the instances' bells, once for all that was written in this turn; the log last, where a slow
 * reader costs nobody's latency. */
static void on_turn_end(void *owner)
{
    (void)owner;
    conn_flush_all();
    dispatch_flush();
    access_log_flush();
}

/* ---- start ---- */

/* Returns how many connections that leaves room for, beside files, instances and the admin. */
static uint32_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024 - DESCRIPTORS_KEPT;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > UINT32_MAX)
        return UINT32_MAX;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (uint32_t)limit.rlim_cur - DESCRIPTORS_KEPT
                                                 : DESCRIPTORS_KEPT;
}

/* Buffers of bodies come and go with each request: not by way of the kernel each time. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
}

static int count_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Request ids show in pages and logs: not guessable, below the range of the workers' own. */
static uint64_t first_request_id(void)
{
    uint64_t id;
    if (getrandom(&id, sizeof(id), 0) < 0)
        return 1;
    return (id & ((1ull << 47) - 1)) | 1;
}

int gateway_main(int argc, char **argv)
{
    struct error err = {""};
    static char name[32];
    json_wipe_freed();
    gateway.number = argc > 1 ? atoi(argv[1]) : 0;
    (void)snprintf(name, sizeof(name), "gateway %d", gateway.number);
    log_init(name, LOG_INFO, false);
    (void)prctl(PR_SET_NAME, "weir-gateway", 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    keep_memory();
    gateway.connections_limit = raise_descriptor_limit();
    gateway.loop = loop_new();
    gateway.cpus = count_cpus();
    placement_init(affinity_keep_to(argc > 2 ? atoi(argv[2]) : -1));
    gateway.next_id = first_request_id();
    if (loop_add(gateway.loop, &gateway.control, CONTROL_FD, EPOLLIN, on_control) < 0)
        return 1;
    loop_before_sleep(gateway.loop, on_turn_end, NULL);
    on_tick(&tick_timer);
    on_conn_tick(&conn_timer);
    if (sandbox_drop_user(&err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sandbox_install(sandbox_compile(SANDBOX_GATEWAY));
    int code = loop_run(gateway.loop);
    access_log_flush_all();
    return code;
}

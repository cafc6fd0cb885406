/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway process. gateway_main is its checklist; on_turn_end shows the order of a turn's end.
 */
#include "gateway_main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "access_log.h"
#include "conn.h"
#include "dispatch.h"
#include "log.h"
#include "sandbox.h"

enum { TICK_MS = 25, CONN_TICK_MS = 250 };

struct gateway gateway;

static struct loop_timer tick_timer, conn_timer;

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

static void on_tick(struct loop_timer *timer)
{
    loop_timer_start(gateway.loop, timer, TICK_MS, on_tick);
    dispatch_tick();
    if (gateway.draining && gateway.connections == 0 && !dispatch_busy())
        loop_stop(gateway.loop, 0);
}

static void on_conn_tick(struct loop_timer *timer)
{
    loop_timer_start(gateway.loop, timer, CONN_TICK_MS, on_conn_tick);
    conn_tick();
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

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int gateway_main(int argc, char **argv)
{
    struct error err = {""};
    static char name[32];
    gateway.number = argc > 1 ? atoi(argv[1]) : 0;
    (void)snprintf(name, sizeof(name), "gateway %d", gateway.number);
    log_init(name, LOG_INFO, false);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    gateway.loop = loop_new();
    /* Request ids show in pages and logs: not guessable, below the range of the workers' own. */
    if (getrandom(&gateway.next_id, sizeof(gateway.next_id), 0) < 0)
        gateway.next_id = 1;
    gateway.next_id = (gateway.next_id & ((1ull << 47) - 1)) | 1;
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
    return loop_run(gateway.loop);
}

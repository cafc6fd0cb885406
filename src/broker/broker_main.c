/* SPDX-License-Identifier: Apache-2.0 */
/* The broker process: does the outbound fetches of all instances. broker_main is its checklist. */
#include "broker_main.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "broker.h"
#include "ipc.h"
#include "log.h"
#include "sandbox.h"

struct broker broker;

static void on_attach(struct ipc_message *message)
{
    struct control_instance order;
    if (message->bytes != sizeof(order) || message->fds_count != CHANNEL_FDS)
        return;
    memcpy(&order, message->payload, sizeof(order));
    attachment_open(&order, message->fds);
    message->fds_count = 0; /* taken over */
}

static void on_detach(const struct ipc_message *message)
{
    struct control_gone gone;
    if (message->bytes < sizeof(gone))
        return;
    memcpy(&gone, message->payload, sizeof(gone));
    attachment_close(gone.instance_id);
}

static void on_control(struct loop_source *source, uint32_t events)
{
    static struct ipc_message message;
    int r;
    (void)events;
    while ((r = ipc_recv(source->fd, &message)) > 0) {
        if (message.type == CONTROL_PLAN && message.fds_count == 1)
            plan_take(message.fds[0]);
        else if (message.type == CONTROL_ATTACH)
            on_attach(&message);
        else if (message.type == CONTROL_DETACH)
            on_detach(&message);
        ipc_close_fds(&message);
    }
    if (r == 0 || (r != -EAGAIN && r != -EPROTO))
        loop_stop(broker.loop, 0); /* the supervisor is gone */
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int broker_main(int argc, char **argv)
{
    struct error err = {""};
    (void)argc, (void)argv;
    log_init("broker", LOG_INFO, false);
    (void)prctl(PR_SET_NAME, "weir-broker", 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    /* A name server that does not answer must not hold a resolver's thread for half a minute. */
    (void)setenv("RES_OPTIONS", "timeout:3 attempts:2", 0);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        log_error("libcurl does not start");
        return 1;
    }
    broker.loop = loop_new();
    if (loop_add(broker.loop, &broker.control, CONTROL_FD, EPOLLIN, on_control) < 0)
        return 1;
    loop_before_sleep(broker.loop, attachment_flush_all, NULL);
    if (sandbox_drop_user(&err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sandbox_install(sandbox_compile(SANDBOX_BROKER));
    return loop_run(broker.loop);
}

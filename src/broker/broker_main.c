/* SPDX-License-Identifier: Apache-2.0 */
/* The broker process: what instances ask of the outside world. */
#include "broker_main.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "fetch.h"
#include "ipc.h"
#include "log.h"
#include "sandbox.h"

enum { CONTROL_FD = 3 };

static struct loop *loop;
static struct policy *policies;

static struct policy *find_policy(uint32_t deployment_id)
{
    for (struct policy *policy = policies; policy; policy = policy->next)
        if (policy->deployment_id == deployment_id)
            return policy;
    struct policy *policy = xcalloc(1, sizeof(*policy));
    policy->deployment_id = deployment_id;
    policy->egress = egress_new(NULL);
    policy->next = policies;
    policies = policy;
    return policy;
}

/* Attachments point to their policy, so a policy is changed in place and never freed. */
static void take_plan(const struct ipc_message *message)
{
    struct stat stat;
    if (message->fds_count != 1 || fstat(message->fds[0], &stat) < 0 || stat.st_size < 2)
        return;
    char *text = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, message->fds[0], 0);
    if (text == MAP_FAILED)
        return;
    json_t *plan = json_loadb(text, (size_t)stat.st_size, 0, NULL), *worker;
    size_t index;
    (void)munmap(text, (size_t)stat.st_size);
    json_array_foreach(json_object_get(plan, "workers"), index, worker)
    {
        struct policy *policy =
            find_policy((uint32_t)json_integer_value(json_object_get(worker, "deployment_id")));
        egress_free(&policy->egress);
        policy->egress = egress_new(json_object_get(worker, "egress_allow"));
    }
    json_decref(plan);
}

static void on_message(struct ipc_message *message)
{
    struct control_instance order;
    struct control_gone gone;
    switch ((enum control_type)message->type) {
    case CONTROL_PLAN:
        take_plan(message);
        return;
    case CONTROL_ATTACH:
        if (message->bytes != sizeof(order) || message->fds_count != CHANNEL_FDS)
            return;
        memcpy(&order, message->payload, sizeof(order));
        fetch_attach(&order, find_policy(order.deployment_id), message->fds);
        return;
    case CONTROL_DETACH:
        if (message->bytes != sizeof(gone))
            return;
        memcpy(&gone, message->payload, sizeof(gone));
        fetch_detach(gone.instance_id);
        return;
    default:
        log_warn("unknown control message %u", message->type);
    }
}

static void on_control(struct loop_source *source, uint32_t events)
{
    static struct ipc_message message;
    int r;
    (void)events;
    while ((r = ipc_recv(source->fd, &message)) > 0) {
        on_message(&message);
        ipc_close_fds(&message);
    }
    if (r == 0 || (r != -EAGAIN && r != -EPROTO))
        loop_stop(loop, 0); /* the supervisor is gone */
}

static void on_turn_end(void *owner)
{
    (void)owner;
    fetch_flush();
}

int broker_main(int argc, char **argv)
{
    static struct loop_source control;
    struct error err = {""};
    (void)argc, (void)argv;
    log_init("broker", LOG_INFO, false);
    (void)signal(SIGPIPE, SIG_IGN);
    loop = loop_new();
    if (loop_add(loop, &control, CONTROL_FD, EPOLLIN, on_control) < 0 || fetch_init(loop) < 0)
        return 1;
    loop_before_sleep(loop, on_turn_end, NULL);
    if (sandbox_drop_user(&err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sandbox_install(sandbox_compile(SANDBOX_BROKER));
    return loop_run(loop);
}

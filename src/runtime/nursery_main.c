/* SPDX-License-Identifier: Apache-2.0 */
/* The nursery: engine and platform library, no user code. It forks a template for each version of
 * each worker, in a pid namespace of its own. Its checklist is nursery_main. */
#include "runtime_main.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "huge_text.h"
#include "instance.h"
#include "ipc.h"
#include "log.h"
#include "ipc_queue.h"
#include "rehearsal.h"
#include "template.h"

enum { CONTROL_FD = 3, TEMPLATES_MAX = 16384 };

static struct {
    int proc_fd;
    struct ipc_queue unsent;
    int own_pid_namespace; /* to come back to after a template's */
    const struct sandbox_filter *template_filter, *instance_filter;
    struct {
        pid_t pid;
        uint32_t template_id;
    } templates[TEMPLATES_MAX];
} nursery;

static void tell_gone(uint32_t template_id, int status)
{
    struct control_template_end gone = {template_id, status};
    (void)ipc_queue_send(&nursery.unsent, CONTROL_FD, CONTROL_TEMPLATE_GONE, &gone, sizeof(gone),
                         NULL, 0);
}

/* Forks into a new pid namespace. unshare decides the namespace of the children to come, and works
 * only from our own: go back to it first. */
static pid_t fork_in_pid_namespace(void)
{
    if (setns(nursery.own_pid_namespace, CLONE_NEWPID) < 0 || unshare(CLONE_NEWPID) < 0)
        return -1;
    return fork();
}

static void start_template(struct ipc_message *message)
{
    struct template_start start;
    if (message->bytes != sizeof(start.limits) ||
        (message->fds_count != 2 && message->fds_count != 3))
        return;
    memcpy(&start.limits, message->payload, sizeof(start.limits));
    start.bundle_fd = message->fds[0];
    start.control = message->fds[1];
    start.seed_fd = message->fds_count == 3 ? message->fds[2] : -1;
    start.proc_fd = nursery.proc_fd;
    start.template_filter = nursery.template_filter;
    start.instance_filter = nursery.instance_filter;
    size_t place = 0;
    while (place < TEMPLATES_MAX && nursery.templates[place].pid)
        place++;
    pid_t pid = place < TEMPLATES_MAX ? fork_in_pid_namespace() : -1;
    if (pid == 0)
        template_run(&start);
    if (pid < 0) {
        log_error("cannot fork a template: %s", strerror(errno));
        tell_gone(start.limits.template_id, 0);
        return;
    }
    nursery.templates[place].pid = pid;
    nursery.templates[place].template_id = start.limits.template_id;
}

static void end_template(const struct ipc_message *message)
{
    struct control_template_end order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    for (size_t i = 0; i < TEMPLATES_MAX; i++)
        if (nursery.templates[i].pid && nursery.templates[i].template_id == order.template_id)
            (void)kill(nursery.templates[i].pid, SIGKILL); /* ESRCH: it is being reaped */
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < TEMPLATES_MAX; i++) {
            if (nursery.templates[i].pid != pid)
                continue;
            nursery.templates[i].pid = 0;
            tell_gone(nursery.templates[i].template_id, status);
            break;
        }
    }
}

static void on_child(int signal_number)
{
    (void)signal_number; /* only to interrupt ppoll */
}

static int serve_supervisor(void)
{
    sigset_t child, none;
    (void)sigemptyset(&none);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    struct sigaction action = {.sa_handler = on_child};
    (void)sigaction(SIGCHLD, &action, NULL);
    static struct ipc_message message;
    for (;;) {
        struct pollfd ready = {CONTROL_FD, POLLIN, 0};
        if (!ipc_queue_is_empty(&nursery.unsent))
            ready.events |= POLLOUT;
        (void)ppoll(&ready, 1, NULL, &none);
        ipc_queue_flush(&nursery.unsent, CONTROL_FD);
        reap();
        int r;
        while ((r = ipc_recv(CONTROL_FD, &message)) > 0) {
            if (message.type == CONTROL_TEMPLATE)
                start_template(&message);
            else if (message.type == CONTROL_TEMPLATE_END)
                end_template(&message);
            ipc_close_fds(&message);
        }
        if (r != -EAGAIN)
            return 0; /* the supervisor is gone: ending ends every template and instance */
    }
}

/* A pid namespace begins with the first child: that child is the nursery, and this process only
 * waits for it. The child ends with us, and as pid 1 takes all below it along. */
static void fork_into_namespace(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != 0 && getppid() != parent) /* 0: outside our new namespace, and alive */
            _exit(1);
        return;
    }
    (void)close(CONTROL_FD);
    (void)signal(SIGTERM, SIG_IGN); /* it ends after all below it, not before */
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int enter_sandbox(struct error *err)
{
    int r = sandbox_empty_root(err);
    if (r < 0)
        return r;
    nursery.template_filter = sandbox_compile(SANDBOX_TEMPLATE);
    nursery.instance_filter = sandbox_compile(SANDBOX_INSTANCE);
    sandbox_install(sandbox_compile(SANDBOX_NURSERY));
    return 0;
}

int nursery_main(int argc, char **argv)
{
    (void)argc;
    struct error err = {""};
    engine_environment(argv);
    log_init("nursery", LOG_INFO, false);
    (void)prctl(PR_SET_NAME, "weir-nursery", 0, 0, 0);
    if (sandbox_drop_user(&err) < 0 || sandbox_unshare(true, &err) < 0)
        goto failed;
    fork_into_namespace();
    nursery.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    nursery.own_pid_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    huge_text_map("javascriptcore");
    if (instance_init(&err) < 0)
        goto failed;
    if (rehearse(&instance.engine, &err) < 0)
        log_warn("%s", err.text);
    if (enter_sandbox(&err) < 0)
        goto failed;
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    engine_compact(&instance.engine);
    return serve_supervisor();
failed:
    log_error("%s", err.text);
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_peer PLAN.json: runs a real gateway process and plays its supervisor; instances are fake
 * (fake_instance.h). Tells what happens as JSON lines on stdout, between the gateway's own log
 * lines, and takes commands on stdin, one a line:
 *   plan FILE | drain [MS [LAST]] | event DEPLOYMENT_ID CRON | kill-instances | stop
 * WEIR=path runs that program's gateway instead of the one linked in. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "common.h"
#include "control.h"
#include "fake_instance.h"
#include "gateway_main.h"
#include "http_frames.h"
#include "ipc.h"

enum { CONTROL_FD = 3, INSTANCES_MAX = 256, PORTS_MAX = 8 };

static int control = -1;
static pid_t gateway_pid;
static struct {
    pid_t pid;
    struct control_instance order;
} instances[INSTANCES_MAX];
static uint32_t next_instance_id = 1, next_deployment_id = 1;
static json_t *deployment_ids; /* "name@version" → id */
static json_t *worker_numbers; /* by name */
static struct {
    int wanted, port, fd;
} listeners[PORTS_MAX];
static int listeners_count;
static bool spawn_fails;

static void say(json_t *event)
{
    char *line = json_dumps(event, JSON_COMPACT);
    (void)printf("%s\n", line);
    (void)fflush(stdout);
    free(line);
    json_decref(event);
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int wanted, int *ret_port)
{
    for (int i = 0; i < listeners_count; i++) {
        if (listeners[i].wanted != wanted)
            continue;
        *ret_port = listeners[i].port;
        return listeners[i].fd;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)(wanted < 0 ? 0 : wanted)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0)
        die("listen");
    (void)getsockname(fd, (struct sockaddr *)&at, &len);
    listeners[listeners_count].wanted = wanted;
    listeners[listeners_count].fd = fd;
    *ret_port = listeners[listeners_count++].port = ntohs(at.sin_port);
    return fd;
}

static void close_listeners(void)
{
    while (listeners_count > 0)
        (void)close(listeners[--listeners_count].fd);
}

static int json_memfd(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    int fd = memfd_create("plan", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        die("memfd");
    free(text);
    return fd;
}

static void number_workers(json_t *plan)
{
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(plan, "workers"), index, worker)
    {
        const char *version = json_string_value(json_object_get(worker, "version"));
        AUTO_TEXT key = xasprintf("%s@%s", json_string_value(json_object_get(worker, "name")),
                                  version ? version : "1");
        if (!json_object_get(deployment_ids, key))
            (void)json_object_set_new(deployment_ids, key, json_integer(next_deployment_id++));
        (void)json_object_set(worker, "deployment_id", json_object_get(deployment_ids, key));
        const char *name = json_string_value(json_object_get(worker, "name"));
        if (!json_object_get(worker_numbers, name))
            (void)json_object_set_new(worker_numbers, name,
                                      json_integer((json_int_t)json_object_size(worker_numbers)));
        (void)json_object_set(worker, "worker_number", json_object_get(worker_numbers, name));
        (void)json_object_set_new(worker, "has_code",
                                  json_boolean(!json_is_null(json_object_get(worker, "bundle"))));
    }
}

static void send_asset_dirs(const json_t *plan)
{
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(plan, "workers"), index, worker)
    {
        const char *directory =
            json_string_value(json_object_get(json_object_get(worker, "assets"), "directory"));
        if (!directory)
            continue;
        AUTO_FD fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct control_asset_dir dir = {
            (uint32_t)json_integer_value(json_object_get(worker, "deployment_id")), 0};
        (void)ipc_send(control, CONTROL_ASSET_DIR, &dir, sizeof(dir), &fd, 1);
    }
}

static void send_plan(const char *path)
{
    json_error_t error;
    json_t *plan = json_load_file(path, 0, &error), *entry;
    if (!plan) {
        (void)fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        exit(1);
    }
    number_workers(plan);
    int fds[IPC_FDS_MAX], count = 0;
    fds[count++] = json_memfd(plan);
    json_t *ports = json_array();
    size_t index;
    json_array_foreach(json_object_get(plan, "listeners"), index, entry)
    {
        int port;
        fds[count++] = listen_on((int)json_integer_value(json_object_get(entry, "port")), &port);
        (void)json_array_append_new(ports, json_integer(port));
    }
    int admin_port = 0;
    if (json_is_object(json_object_get(plan, "admin")))
        fds[count++] = listen_on(-1, &admin_port);
    (void)ipc_send(control, CONTROL_PLAN, NULL, 0, fds, count);
    (void)close(fds[0]);
    send_asset_dirs(plan);
    (void)ipc_send(control, CONTROL_PLAN_END, NULL, 0, NULL, 0);
    say(json_pack("{s:s,s:o,s:i}", "event", "listening", "ports", ports, "admin", admin_port));
    spawn_fails = json_is_true(json_object_get(plan, "spawn_fails"));
    json_decref(plan);
}

static void start_gateway(char *self)
{
    int pair[2];
    if (ipc_pair(pair) < 0)
        die("ipc");
    gateway_pid = fork();
    if (gateway_pid == 0) {
        (void)dup2(pair[1], CONTROL_FD);
        const char *weir = getenv("WEIR");
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execl(weir ? weir : "/proc/self/exe", weir ? weir : self, "__gateway", "0", NULL);
        die("exec");
    }
    (void)close(pair[1]);
    control = pair[0];
}

static void tell_gone(uint32_t type, const struct control_gone *gone, const char *text)
{
    char bytes[512];
    struct control_gone copy = *gone;
    copy.text_bytes = (uint32_t)strlen(text);
    memcpy(bytes, &copy, sizeof(copy));
    memcpy(bytes + sizeof(copy), text, copy.text_bytes);
    (void)ipc_send(control, type, bytes, (uint32_t)sizeof(copy) + copy.text_bytes, NULL, 0);
}

static void spawn_instance(const struct control_spawn *order)
{
    int fds[CHANNEL_FDS], i = 0;
    if (spawn_fails) {
        tell_gone(CONTROL_SPAWN_FAILED, &(struct control_gone){0, order->deployment_id, 0, 0},
                  "SyntaxError: no such thing\n    at src/index.ts:1:1");
        return;
    }
    while (i < INSTANCES_MAX && instances[i].pid)
        i++;
    if (i == INSTANCES_MAX || channel_create(GATEWAY_RING_BYTES, fds) < 0)
        die("instance");
    instances[i].order = (struct control_instance){next_instance_id++, order->deployment_id};
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(control);
        close_listeners();
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        _exit(fake_instance_serve(fds));
    }
    instances[i].pid = pid;
    (void)ipc_send(control, CONTROL_INSTANCE, &instances[i].order, sizeof(instances[i].order), fds,
                   CHANNEL_FDS);
    for (int j = 0; j < CHANNEL_FDS; j++)
        (void)close(fds[j]);
    say(json_pack("{s:s,s:i,s:i}", "event", "spawn", "instance",
                  (int)instances[i].order.instance_id, "deployment", (int)order->deployment_id));
}

static void kill_instance(const struct control_kill *order)
{
    for (int i = 0; i < INSTANCES_MAX; i++)
        if (instances[i].pid && instances[i].order.instance_id == order->instance_id)
            (void)kill(instances[i].pid, SIGKILL);
    say(json_pack("{s:s,s:i,s:i}", "event", "kill", "instance", (int)order->instance_id, "reason",
                  (int)order->reason));
}

static bool on_message(struct ipc_message *message)
{
    if (message->type == CONTROL_SPAWN && message->bytes == sizeof(struct control_spawn)) {
        spawn_instance((const void *)message->payload);
    } else if (message->type == CONTROL_KILL && message->bytes == sizeof(struct control_kill)) {
        kill_instance((const void *)message->payload);
    } else if (message->type == CONTROL_PLAN_TAKEN) {
        say(json_pack("{s:s}", "event", "plan_taken"));
    } else if (message->type == CONTROL_EVENT_RESULT) {
        struct control_event event;
        memcpy(&event, message->payload, sizeof(event));
        say(json_pack("{s:s,s:i,s:i}", "event", "event_result", "id", (int)event.event_id, "result",
                      event.result));
    } else {
        say(json_pack("{s:s,s:i}", "event", "unknown", "type", (int)message->type));
    }
    return true;
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == gateway_pid) {
            say(json_pack("{s:s,s:i}", "event", "gateway_exit", "status", status));
            exit(status == 0 ? 0 : 1);
        }
        for (int i = 0; i < INSTANCES_MAX; i++) {
            if (instances[i].pid != pid)
                continue;
            instances[i].pid = 0;
            struct control_gone gone = {instances[i].order.instance_id,
                                        instances[i].order.deployment_id, status, 0};
            say(json_pack("{s:s,s:i,s:i}", "event", "gone", "instance", (int)gone.instance_id,
                          "status", status));
            tell_gone(CONTROL_INSTANCE_GONE, &gone, "");
        }
    }
}

static void drain(const char *arguments)
{
    struct control_drain order = {30000, 1};
    (void)sscanf(arguments, "%u %u", &order.timeout_ms, &order.last);
    close_listeners(); /* as long as we had them they would listen */
    (void)ipc_send(control, CONTROL_DRAIN, &order, sizeof(order), NULL, 0);
}

static void run_command(char *line)
{
    static uint32_t event_id = 1;
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "plan ", 5) == 0) {
        send_plan(line + 5);
    } else if (strncmp(line, "drain", 5) == 0) {
        drain(line + 5);
    } else if (strncmp(line, "event ", 6) == 0) {
        char *cron, bytes[512];
        struct control_event event = {.event_id = event_id++, .time_ms = 1700000000000ull};
        event.deployment_id = (uint32_t)strtoul(line + 6, &cron, 10);
        cron += *cron == ' ';
        event.cron_bytes = (uint32_t)strlen(cron);
        memcpy(bytes, &event, sizeof(event));
        memcpy(bytes + sizeof(event), cron, event.cron_bytes);
        (void)ipc_send(control, CONTROL_EVENT, bytes, (uint32_t)sizeof(event) + event.cron_bytes,
                       NULL, 0);
    } else if (strcmp(line, "kill-instances") == 0) {
        for (int i = 0; i < INSTANCES_MAX; i++)
            if (instances[i].pid)
                (void)kill(instances[i].pid, SIGKILL);
    } else if (strcmp(line, "stop") == 0) {
        (void)kill(gateway_pid, SIGTERM);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "__gateway") == 0)
        return gateway_main(argc - 1, argv + 1);
    if (argc < 2) {
        (void)fprintf(stderr, "usage: gateway_peer PLAN.json\n");
        return 2;
    }
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    start_gateway(argv[0]);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* poll tells what stdio has not taken */
    deployment_ids = json_object();
    worker_numbers = json_object();
    send_plan(argv[1]);
    struct pollfd fds[] = {{control, POLLIN, 0}, {signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    for (;;) {
        static struct ipc_message message;
        char line[1024];
        (void)poll(fds, 3, -1);
        int r;
        while ((r = ipc_recv(control, &message)) > 0) {
            (void)on_message(&message);
            ipc_close_fds(&message);
        }
        if (fds[1].revents) {
            struct signalfd_siginfo info;
            (void)!read(signals, &info, sizeof(info));
        }
        reap();
        if (fds[2].revents) {
            if (!fgets(line, sizeof(line), stdin))
                fds[2].fd = -1; /* detached: serves on */
            else
                run_command(line);
        }
    }
}

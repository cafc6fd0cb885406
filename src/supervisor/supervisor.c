/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's loop: children and their restarts, loading and reloading of the plan, signals.
 */
#include "supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "counters.h"
#include "json_wipe.h"
#include "log.h"
#include "state.h"

enum {
    TEMPLATES_AT_START_MAX = 32, /* started before anybody asks, so that errors show at once */
    TIDY_MS = 2000,
    STOP_GRACE_MS = 1000, /* after the drain, for children that do not end */
    ASSET_DIRS_MAX = 16384,
};

struct supervisor supervisor;

static void load_begin(void);

static const char *child_name(const struct child *child)
{
    static const char *const names[] = {"gateway", "broker", "nursery", "pool"};
    return names[child->kind];
}

int supervisor_send(struct ipc_queue *unsent, struct loop_source *source, uint32_t type,
                    const void *payload, uint32_t bytes, const int *fds, int fds_count)
{
    int r = ipc_queue_send(unsent, source->fd, type, payload, bytes, fds, fds_count);
    if (!ipc_queue_is_empty(unsent))
        loop_change(supervisor.loop, source, EPOLLIN | EPOLLOUT);
    return r;
}

void supervisor_flush(struct ipc_queue *unsent, struct loop_source *source)
{
    if (ipc_queue_is_empty(unsent))
        return;
    ipc_queue_flush(unsent, source->fd);
    if (ipc_queue_is_empty(unsent))
        loop_change(supervisor.loop, source, EPOLLIN);
}

int supervisor_tell(struct child *child, uint32_t type, const void *payload, uint32_t bytes,
                    const int *fds, int fds_count)
{
    if (child->process.control < 0)
        return -EPIPE;
    int r = supervisor_send(&child->unsent, &child->source, type, payload, bytes, fds, fds_count);
    if (r ==
        -ENOBUFS) { /* it lives, but has not read for long: what it is told next would not fit */
        log_error("%s does not take messages any more: ending it", child_name(child));
        (void)kill(child->process.pid, SIGKILL);
    }
    return r;
}

void supervisor_tell_gateway(int gateway, uint32_t type, const void *payload, uint32_t bytes,
                             const int *fds, int fds_count)
{
    (void)supervisor_tell(&supervisor.gateways[gateway], type, payload, bytes, fds, fds_count);
}

/* ---- listeners ---- */

static int bind_one(const struct addrinfo *at, struct error *err)
{
    int one = 1;
    AUTO_FD fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(err, -errno, "%s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (at->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, 4096) < 0)
        return error_set(err, -errno, "%s", strerror(errno));
    int result = fd;
    fd = -1;
    return result;
}

/* SO_REUSEPORT would let a second weir of the same user share the port in silence: look first. */
static bool is_taken(const struct addrinfo *at)
{
    AUTO_FD fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->ai_family == AF_INET6) /* beside one for IPv4 */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    return bind(fd, at->ai_addr, at->ai_addrlen) < 0 && errno == EADDRINUSE;
}

int supervisor_listen(struct listener *listener, int count, struct error *err)
{
    AUTO_TEXT port = xasprintf("%d", listener->port);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *at = NULL;
    const char *host =
        strcmp(listener->address, "localhost") == 0 ? "127.0.0.1" : listener->address;
    int r = getaddrinfo(host, port, &hints, &at);
    if (r != 0)
        return error_set(err, -EINVAL, "cannot listen on %s port %d: %s; give an IP address",
                         listener->address, listener->port, gai_strerror(r));
    r = 0;
    if (is_taken(at))
        r = error_set(err, -EADDRINUSE,
                      "cannot listen on %s port %d: another program listens there; stop it or "
                      "choose another port",
                      listener->address, listener->port);
    while (r == 0 && listener->count < count) {
        int fd = bind_one(at, err);
        if (fd < 0) {
            error_prefix(err, "cannot listen on %s port %d", listener->address, listener->port);
            r = fd;
            break;
        }
        listener->fds[listener->count++] = fd;
        /* Any port: all gateways the same one. */
        socklen_t len = at->ai_addrlen;
        (void)getsockname(fd, at->ai_addr, &len);
        listener->bound_port =
            ntohs(at->ai_family == AF_INET6 ? ((struct sockaddr_in6 *)at->ai_addr)->sin6_port
                                            : ((struct sockaddr_in *)at->ai_addr)->sin_port);
    }
    freeaddrinfo(at);
    return r;
}

void supervisor_close_listener(struct listener *listener)
{
    while (listener->count > 0)
        fd_close(&listener->fds[--listener->count]);
    text_free(&listener->address);
}

/* A socket listens as long as anybody has it: the gateways alone from now on. */
static void let_listeners_go(void)
{
    while (supervisor.listeners_count > 0)
        supervisor_close_listener(&supervisor.listeners[--supervisor.listeners_count]);
    supervisor_close_listener(&supervisor.admin);
    for (int i = 0; i < supervisor.pool_listeners_count; i++)
        fd_close(&supervisor.pool_listeners[i].fd);
}

static bool listener_is(const struct listener *listener, const char *address, int port)
{
    return listener->address && strcmp(listener->address, address) == 0 && listener->port == port;
}

/* Opens what the plan wants and we have not; what it no longer wants is closed by drop_listeners
 * once the gateways have the new plan. */
static int open_listeners(const struct plan *plan, struct error *err)
{
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(plan->json, "listeners"), index, entry)
    {
        const char *address = plan_text(entry, "address");
        int port = (int)plan_integer(entry, "port", 0), i = 0;
        while (i < supervisor.listeners_count &&
               !listener_is(&supervisor.listeners[i], address, port))
            i++;
        if (i == LISTENERS_MAX)
            return error_set(err, -E2BIG, "more than %d listeners", LISTENERS_MAX);
        struct listener *listener = &supervisor.listeners[i];
        if (i == supervisor.listeners_count) {
            *listener = (struct listener){.address = xstrdup(address), .port = port};
            /* What keeps state (the Prisma endpoint's transactions) is the first gateway's alone.
             */
            int count = json_object_get(entry, "service") ? 1 : supervisor.gateways_count;
            int r = supervisor_listen(listener, count, err);
            if (r < 0) {
                supervisor_close_listener(listener);
                return r;
            }
            supervisor.listeners_count++;
        }
        listener->wanted = true;
        (void)json_object_set_new(entry, "bound_port", json_integer(listener->bound_port));
    }
    const json_t *admin = json_object_get(plan->json, "admin");
    if (json_is_object(admin) && !supervisor.admin.address) {
        supervisor.admin = (struct listener){.address = xstrdup(plan_text(admin, "address")),
                                             .port = (int)plan_integer(admin, "port", 0)};
        int r = supervisor_listen(&supervisor.admin, 1, err);
        if (r < 0) {
            supervisor_close_listener(&supervisor.admin);
            return r;
        }
    }
    return 0;
}

static void drop_listeners(void)
{
    int kept = 0;
    for (int i = 0; i < supervisor.listeners_count; i++) {
        if (supervisor.listeners[i].wanted)
            supervisor.listeners[kept++] = supervisor.listeners[i];
        else
            supervisor_close_listener(&supervisor.listeners[i]);
    }
    supervisor.listeners_count = kept;
}

static struct listener *find_listener(const json_t *entry)
{
    for (int i = 0; i < supervisor.listeners_count; i++)
        if (listener_is(&supervisor.listeners[i], plan_text(entry, "address"),
                        (int)plan_integer(entry, "port", 0)))
            return &supervisor.listeners[i];
    return NULL;
}

/* ---- the plan's parts for the children ---- */

static void send_asset_dirs(int gateway)
{
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(supervisor.plan.json, "workers"), index, worker)
    {
        const char *directory = plan_text(json_object_get(worker, "assets"), "directory");
        if (!directory)
            continue;
        struct control_asset_dir message = {(uint32_t)plan_integer(worker, "deployment_id", 0), 0};
        AUTO_FD fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            log_error("%s: cannot open its assets %s: %s", plan_text(worker, "name"), directory,
                      strerror(errno));
            continue;
        }
        supervisor_tell_gateway(gateway, CONTROL_ASSET_DIR, &message, sizeof(message), &fd, 1);
    }
}

static void send_plan_to_gateway(int gateway)
{
    int fds[IPC_FDS_MAX], count = 0;
    AUTO_FD part = plan_gateway_part(&supervisor.plan);
    if (part < 0 || supervisor.gateways[gateway].process.control < 0)
        return;
    fds[count++] = part;
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(supervisor.plan.json, "listeners"), index, entry)
    {
        struct listener *listener = find_listener(entry);
        if (listener && gateway < listener->count && count < IPC_FDS_MAX - 1)
            fds[count++] = listener->fds[gateway];
    }
    if (gateway == 0 && supervisor.admin.count > 0) /* last, and only to the first gateway */
        fds[count++] = supervisor.admin.fds[0];
    supervisor.gateways[gateway].plan_taken = false;
    supervisor.untold = true;
    uint32_t number = ++supervisor.gateways[gateway].plan_number;
    supervisor_tell_gateway(gateway, CONTROL_PLAN, NULL, 0, fds, count);
    send_asset_dirs(gateway);
    supervisor_tell_gateway(gateway, CONTROL_PLAN_END, &number, sizeof(number), NULL, 0);
}

static void send_plan_to_broker(void)
{
    AUTO_FD part = plan_broker_part(&supervisor.plan);
    if (part >= 0)
        (void)supervisor_tell(&supervisor.broker, CONTROL_PLAN, NULL, 0, &part, 1);
}

/* ---- children ---- */

static bool gateways_have_plan(void)
{
    for (int i = 0; i < supervisor.gateways_count; i++)
        if (!supervisor.gateways[i].plan_taken)
            return false;
    return true;
}

/* A load failed, and everybody works without the keys that were revoked before it. */
static void tell_if_refused(void)
{
    if (!supervisor.refusal || !gateways_have_plan())
        return;
    supervisor.options->refused(supervisor.options->context, supervisor.refused_load,
                                supervisor.refusal);
    text_free(&supervisor.refusal);
}

/* Everybody works by the new plan. */
static void tell_if_loaded(void)
{
    if (!supervisor.untold || !gateways_have_plan())
        return;
    if (json_object_get(supervisor.plan.json, "pool") && !supervisor.pool.plan_taken)
        return;
    supervisor.untold = false;
    drop_listeners();
    pool_child_drop_listeners(false);
    if (supervisor.options->loaded) {
        char *text = json_dumps(supervisor.plan.json, JSON_COMPACT);
        supervisor.options->loaded(supervisor.options->context, slice_of(text),
                                   !supervisor.loaded_once);
        json_wipe_free(text);
    }
    supervisor.loaded_once = true;
}

static void on_gateway_message(int gateway, struct ipc_message *message)
{
    switch (message->type) {
    case CONTROL_SPAWN: {
        struct control_spawn spawn;
        if (message->bytes != sizeof(spawn))
            return;
        memcpy(&spawn, message->payload, sizeof(spawn));
        struct deployment *deployment = supervisor_find(spawn.deployment_id);
        if (!deployment)
            return;
        if (spawn.path_bytes > 0 && spawn.path_bytes <= sizeof(spawn.path))
            rehearsals_note(deployment, (struct slice){spawn.path, spawn.path_bytes});
        templates_spawn(deployment, gateway);
        return;
    }
    case CONTROL_KILL: {
        struct control_kill kill_order;
        if (message->bytes != sizeof(kill_order))
            return;
        memcpy(&kill_order, message->payload, sizeof(kill_order));
        templates_kill(kill_order.instance_id, gateway, kill_order.reason);
        return;
    }
    case CONTROL_SEED: {
        struct control_seed seed;
        if (message->bytes != sizeof(seed) || message->fds_count != 1)
            return;
        memcpy(&seed, message->payload, sizeof(seed));
        struct deployment *deployment = supervisor_find(seed.deployment_id);
        if (deployment)
            templates_take_seed(deployment, message->fds[0]);
        return;
    }
    case CONTROL_PLAN_TAKEN: {
        uint32_t number;
        if (message->bytes != sizeof(number))
            return;
        memcpy(&number, message->payload, sizeof(number));
        if (number != supervisor.gateways[gateway].plan_number)
            return; /* another one is on its way */
        supervisor.gateways[gateway].plan_taken = true;
        tell_if_refused();
        tell_if_loaded();
        return;
    }
    case CONTROL_EVENT_RESULT: {
        struct control_event event;
        if (message->bytes < sizeof(event))
            return;
        memcpy(&event, message->payload, sizeof(event));
        struct deployment *deployment = supervisor_find(event.deployment_id);
        if (event.result != 0 && deployment)
            log_warn("%s: scheduled event failed", deployment->name);
        return;
    }
    default:
        return;
    }
}

/* From the broker or the pool: an instance broke the protocol. */
static void on_kill_order(const struct ipc_message *message)
{
    struct control_kill kill_order;
    if (message->type != CONTROL_KILL || message->bytes != sizeof(kill_order))
        return;
    memcpy(&kill_order, message->payload, sizeof(kill_order));
    for (int i = 0; i < supervisor.gateways_count; i++)
        templates_kill(kill_order.instance_id, i, kill_order.reason);
}

/* The pool alone, as its administrator says; nothing is cut off, unless a signal comes. */
static void end_pool(uint32_t mode)
{
    if (mode == STOP_NOW) {
        loop_stop(supervisor.loop, 0);
        return;
    }
    struct control_drain drain = {0, true, mode};
    supervisor.stopping = supervisor.pool_told = true;
    let_listeners_go();
    pool_child_tell_all(CONTROL_DRAIN, &drain, sizeof(drain));
    log_info("shutting down: the pool ends when %s; a signal ends it at once",
             mode == STOP_AFTER_CLIENTS ? "all clients have left" : "no client has a connection");
}

static void stop_pool(const struct ipc_message *message)
{
    struct control_stop order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    end_pool(order.mode);
}

static void on_pool_message(const struct child *child, const struct ipc_message *message)
{
    on_kill_order(message);
    if (message->type == CONTROL_RELOAD)
        load_begin();
    else if (message->type == CONTROL_STOP)
        stop_pool(message);
    else if (message->type == CONTROL_PAUSE || message->type == CONTROL_RESUME)
        supervisor.pool_paused = message->type == CONTROL_PAUSE;
    if (message->type != CONTROL_PLAN_TAKEN || child != &supervisor.pool)
        return;
    supervisor.pool.plan_taken = true;
    pool_child_hand_over();
    tell_if_loaded();
}

static void on_child_ready(struct loop_source *source, uint32_t events)
{
    struct child *child = CONTAINER_OF(source, struct child, source);
    static struct ipc_message message;
    int r = 0;
    if (events & EPOLLOUT)
        supervisor_flush(&child->unsent, source);
    while (child->process.control >= 0 &&
           (r = ipc_recv(child->process.control, &message)) != -EAGAIN) {
        if (r <= 0) { /* it ends: waitpid tells the rest */
            loop_remove(supervisor.loop, &child->source);
            fd_close(&child->process.control);
            return;
        }
        if (child->kind == CHILD_GATEWAY)
            on_gateway_message(child->number, &message);
        else if (child->kind == CHILD_BROKER)
            on_kill_order(&message);
        else if (child->kind == CHILD_POOL)
            on_pool_message(child, &message);
        else
            templates_on_nursery_message(&message);
        ipc_close_fds(&message);
    }
}

static void on_restart(struct loop_timer *timer)
{
    if (!supervisor.stopping)
        supervisor_start_child(CONTAINER_OF(timer, struct child, restart));
}

static void restart_later(struct child *child)
{
    uint64_t lived_ms = loop_now_ms(supervisor.loop) - child->started_ms;
    child->failures = lived_ms > 10000 ? 0 : child->failures + 1;
    uint64_t delay_ms =
        child->failures < 2 ? 10 : 100ull << (child->failures < 8 ? child->failures : 8);
    if (delay_ms > CHILD_RESTART_MS_MAX)
        delay_ms = CHILD_RESTART_MS_MAX;
    loop_timer_start(supervisor.loop, &child->restart, delay_ms, on_restart);
}

int supervisor_watch_child(struct child *child)
{
    return loop_add(supervisor.loop, &child->source, child->process.control, EPOLLIN,
                    on_child_ready);
}

void supervisor_start_child(struct child *child)
{
    static const char *const names[] = {"__gateway", "__broker", "__nursery", "__pool"};
    bool numbered = child->kind == CHILD_GATEWAY;
    AUTO_TEXT number = xasprintf("%d", child->number);
    AUTO_TEXT cpu = xasprintf("%d", numbered ? supervisor_cpu(child->number) : -1);
    const char *const command[] = {names[child->kind], numbered ? number : NULL, cpu, NULL};
    struct error err = {""};
    loop_timer_stop(supervisor.loop, &child->restart); /* a new plan may come before it */
    int r = process_start(&child->process, command, &err);
    if (r == 0)
        r = supervisor_watch_child(child);
    if (r < 0) {
        log_error("%s", err.text[0] ? err.text : strerror(-r));
        restart_later(child);
        return;
    }
    child->started_ms = loop_now_ms(supervisor.loop);
    if (child->kind == CHILD_POOL)
        child->plan_number = 0;
    if (!supervisor.plan.json)
        return;
    if (child->kind == CHILD_GATEWAY) {
        struct control_counters counters = {(uint32_t)child->number,
                                            (uint32_t)supervisor.gateways_count};
        supervisor_tell_gateway(child->number, CONTROL_COUNTERS, &counters, sizeof(counters),
                                &supervisor.counters_fd, 1);
        send_plan_to_gateway(child->number);
    }
    if (child->kind == CHILD_BROKER)
        send_plan_to_broker();
    if (child->kind == CHILD_POOL)
        pool_child_send_plan();
    if (child->kind != CHILD_GATEWAY)
        templates_resume();
}

static void child_ended(struct child *child, int status)
{
    loop_remove(supervisor.loop, &child->source);
    process_forget(&child->process);
    ipc_queue_clear(&child->unsent);
    if (supervisor.stopping)
        return;
    log_error("%s %s; starting it again", child_name(child), process_status_text(status));
    if (child->kind == CHILD_GATEWAY)
        templates_end_instances(child->number, false);
    else if (child->kind == CHILD_BROKER)
        templates_end_instances(
            -1, false); /* their channels to it are dead: gateways ask for new ones */
    else if (child->kind == CHILD_POOL)
        templates_end_instances(-1, true);
    else if (child->kind == CHILD_NURSERY)
        templates_all_gone();
    restart_later(child);
}

static void start_pool(void)
{
    if (supervisor.pool.process.pid == 0 && json_object_get(supervisor.plan.json, "pool"))
        supervisor_start_child(&supervisor.pool);
}

static void start_children(void)
{
    supervisor.nursery = (struct child){.kind = CHILD_NURSERY, .process.control = -1};
    supervisor.broker = (struct child){.kind = CHILD_BROKER, .process.control = -1};
    supervisor.pool = (struct child){.kind = CHILD_POOL, .process.control = -1};
    start_pool();
    if (supervisor.gateways_count == 0)
        return; /* a pool and nothing else */
    supervisor_start_child(&supervisor.nursery);
    supervisor_start_child(&supervisor.broker);
    for (int i = 0; i < supervisor.gateways_count; i++) {
        supervisor.gateways[i] =
            (struct child){.kind = CHILD_GATEWAY, .number = i, .process.control = -1};
        supervisor_start_child(&supervisor.gateways[i]);
    }
}

/* ---- loading ---- */

static int number_of_worker(const char *name, struct error *err)
{
    for (uint32_t i = 0; i < supervisor.worker_names_count; i++)
        if (strcmp(supervisor.worker_names[i], name) == 0)
            return (int)i;
    if (supervisor.worker_names_count == COUNTED_WORKERS_MAX)
        return error_set(err, -E2BIG, "more than %d names of workers since the start: restart weir",
                         COUNTED_WORKERS_MAX);
    supervisor.worker_names =
        xrealloc(supervisor.worker_names,
                 (supervisor.worker_names_count + 1) * sizeof(supervisor.worker_names[0]));
    supervisor.worker_names[supervisor.worker_names_count] = xstrdup(name);
    return (int)supervisor.worker_names_count++;
}

/* What a Prisma key's requests are counted under stands beside the workers. Where there is no room
 * any more a key is not counted. */
static void number_keys(struct plan *plan)
{
    struct error full = {""};
    const char *id;
    json_t *key;
    json_object_foreach(json_object_get(json_object_get(plan->json, "prisma"), "keys"), id, key)
    {
        AUTO_TEXT name = xasprintf("prisma key %s", id);
        int number = number_of_worker(name, &full);
        if (number >= 0)
            (void)json_object_set_new(key, "number", json_integer(number));
    }
}

/* They keep their numbers over reloads: what is counted is counted on. */
static int number_workers(struct plan *plan, struct error *err)
{
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(plan->json, "workers"), index, worker)
    {
        int number = number_of_worker(plan_text(worker, "name"), err);
        if (number < 0)
            return number;
        (void)json_object_set_new(worker, "worker_number", json_integer(number));
    }
    number_keys(plan);
    return 0;
}

/* From the version before. */
static void inherit_seed(struct deployment *deployment)
{
    for (const struct deployment *d = supervisor.deployments; d; d = d->next)
        if (strcmp(d->name, deployment->name) == 0 && d->seed_fd >= 0) {
            deployment->seed_fd = fcntl(d->seed_fd, F_DUPFD_CLOEXEC, 0);
            return;
        }
}

static void take_deployments(struct plan *plan)
{
    size_t index;
    json_t *worker;
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        d->current = false;
    json_array_foreach(json_object_get(plan->json, "workers"), index, worker)
    {
        struct deployment *d = supervisor.deployments;
        while (d && (d->current || strcmp(d->name, plan_text(worker, "name")) != 0 ||
                     strcmp(d->version, plan_text(worker, "version")) != 0))
            d = d->next;
        if (d) {
            deployment_update(d, worker, supervisor.dev);
        } else {
            d = deployment_new(supervisor.next_deployment_id++, worker, supervisor.dev);
            inherit_seed(d);
            d->next = supervisor.deployments;
            supervisor.deployments = d;
        }
        d->current = true;
        (void)json_object_set_new(worker, "deployment_id", json_integer(d->id));
    }
}

/* wanted: 0 for one for two CPUs: its instances use about as much as it does. As many as there are
 * CPUs keep to them, each with its instances; that is better for the last percent of latency than
 * for throughput (ARCHITECTURE.md). */
static void count_gateways(int64_t wanted)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    (void)sched_getaffinity(0, sizeof(allowed), &allowed);
    int cpus = CPU_COUNT(&allowed);
    supervisor.gateways_count = (int)(wanted > 0 ? wanted : (cpus + 1) / 2);
    if (supervisor.gateways_count < 1 || supervisor.gateways_count > GATEWAYS_MAX)
        supervisor.gateways_count = supervisor.gateways_count < 1 ? 1 : GATEWAYS_MAX;
    supervisor.pinned = supervisor.gateways_count == cpus && cpus > 1;
    for (int cpu = 0, found = 0; cpu < CPU_SETSIZE && found < GATEWAYS_MAX; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            supervisor.cpus[found++] = cpu;
}

int supervisor_cpu(int gateway)
{
    return supervisor.pinned ? supervisor.cpus[gateway] : -1;
}

static int make_counters(struct error *err)
{
    off_t bytes = (off_t)((size_t)supervisor.gateways_count * sizeof(struct counters_region));
    supervisor.counters_fd = memfd_create("weir-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (supervisor.counters_fd < 0 || ftruncate(supervisor.counters_fd, bytes) < 0 ||
        fcntl(supervisor.counters_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return error_set(err, -errno, "cannot make memory for counters: %s", strerror(errno));
    return 0;
}

/* Takes those keys from the plan that are not listed any more; false: there are none. */
static bool drop_revoked(const json_t *plan)
{
    json_t *keys = json_object_get(json_object_get(plan, "prisma"), "keys"), *key;
    size_t before = json_object_size(keys);
    if (before == 0 || !supervisor.options->keys)
        return false;
    json_t *listed = supervisor.options->keys(supervisor.options->context, plan);
    const char *id;
    void *next;
    json_object_foreach_safe(keys, next, id, key)
    {
        if (listed && !json_object_get(listed, id))
            (void)json_object_del(keys, id);
    }
    json_decref(listed);
    return json_object_size(keys) < before;
}

static void revoke_keys(void)
{
    bool untold = supervisor.untold;
    if (!drop_revoked(supervisor.plan.json))
        return;
    for (int i = 0; i < supervisor.gateways_count; i++)
        send_plan_to_gateway(i);
    supervisor.untold = untold; /* it is no other plan */
}

static int take_plan(struct slice text, struct error *err)
{
    struct plan plan;
    int r = plan_parse(text, &plan, err);
    if (r < 0)
        return r;
    bool first = !supervisor.plan.json;
    const char *mode = plan_text(plan.json, "mode");
    supervisor.dev = mode && strcmp(mode, "dev") == 0;
    (void)drop_revoked(plan.json); /* since it was read */
    if (first) {
        count_gateways(plan_integer(plan.json, "gateways", 1));
        if (json_array_size(json_object_get(plan.json, "listeners")) == 0)
            supervisor.gateways_count = 0;
        r = make_counters(err);
        if (r < 0) {
            plan_done(&plan);
            return r;
        }
    }
    for (int i = 0; i < supervisor.listeners_count; i++)
        supervisor.listeners[i].wanted = false;
    r = number_workers(&plan, err);
    if (r == 0)
        r = open_listeners(&plan, err);
    if (r == 0)
        r = pool_child_listen(&plan, err);
    if (r < 0) {
        plan_done(&plan);
        return r;
    }
    (void)json_object_set_new(plan.json, "load", json_integer(supervisor.loads_count));
    supervisor.memory_bytes_max = (uint64_t)plan_integer(plan.json, "memory_bytes_max", 0);
    take_deployments(&plan);
    pool_child_keep_part(&plan);
    plan_done(&supervisor.plan);
    supervisor.plan = plan;
    if (first) {
        start_children();
    } else {
        send_plan_to_broker();
        if (supervisor.pool.process.pid)
            pool_child_send_plan();
        else
            start_pool();
        pool_child_send_plan_to_old();
        for (int i = 0; i < supervisor.gateways_count; i++)
            send_plan_to_gateway(i);
    }
    int started = 0;
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->current && started++ < TEMPLATES_AT_START_MAX)
            templates_start(d);
    return 0;
}

/* The loader's answer: a byte 0 and the plan, or a byte 1 and the error. */
static void load_in_child(int fd) __attribute__((noreturn));
static void load_in_child(int fd)
{
    struct error err = {""};
    struct buffer answer = {0};
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    let_listeners_go(); /* a loader may outlive a stop */
    buffer_append(&answer, "", 1);
    int r = supervisor.options->load(supervisor.options->context, &answer, &err);
    if (r < 0) {
        buffer_reset(&answer, 0);
        buffer_append(&answer, "\1", 1);
        buffer_append_text(&answer, err.text);
    }
    for (struct slice rest = buffer_slice(&answer); rest.len > 0;) {
        ssize_t sent = write(fd, rest.ptr, rest.len);
        if (sent <= 0)
            _exit(1);
        rest.ptr += sent;
        rest.len -= (size_t)sent;
    }
    _exit(0);
}

static bool read_memfd(int fd, struct buffer *ret_text)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0 || stat.st_size < 1 || stat.st_size > 1 << 30)
        return false;
    size_t len = (size_t)stat.st_size;
    if (pread(fd, buffer_reserve(ret_text, len), len, 0) != (ssize_t)len)
        return false;
    ret_text->end += len;
    return true;
}

static void on_loader_done(struct loop_source *source, uint32_t events)
{
    (void)source, (void)events;
    AUTO_BUFFER answer = {0};
    struct error err = {""};
    int status = 0, r = -EIO;
    loop_remove(supervisor.loop, &supervisor.loader_source);
    fd_close(&supervisor.loader_done_fd);
    (void)waitpid(supervisor.loader_pid, &status, 0);
    supervisor.loader_pid = 0;
    if (!read_memfd(supervisor.loader_fd, &answer))
        (void)error_set(&err, r, "the loader %s", process_status_text(status));
    else if (answer.data[0] == 0)
        r = take_plan((struct slice){answer.data + 1, buffer_len(&answer) - 1}, &err);
    else
        (void)error_set(&err, r, "%.*s", (int)(buffer_len(&answer) - 1), answer.data + 1);
    if (answer.data)
        explicit_bzero(answer.data, answer.cap);
    json_wipe_stack();
    fd_close(&supervisor.loader_fd);
    if (r < 0) {
        log_lines(LOG_ERROR, "%s", err.text);
        if (!supervisor.plan.json)
            loop_stop(supervisor.loop, 1);
        else
            log_warn("the configuration before stays in force");
        pool_child_tell_all(CONTROL_PLAN_REFUSED, NULL, 0);
        if (supervisor.options->refused) {
            text_free(&supervisor.refusal);
            supervisor.refusal = xstrdup(err.text);
            supervisor.refused_load = supervisor.loads_count;
            tell_if_refused();
        }
    }
    if (supervisor.reload_again) {
        supervisor.reload_again = false;
        load_begin();
    }
}

static void load_begin(void)
{
    int done[2];
    if (supervisor.stopping)
        return;
    revoke_keys();
    if (supervisor.loader_pid) {
        supervisor.reload_again = true;
        return;
    }
    supervisor.loader_fd = memfd_create("weir-load", MFD_CLOEXEC);
    if (supervisor.loader_fd < 0 || pipe2(done, O_CLOEXEC) < 0) {
        log_error("cannot load: %s", strerror(errno));
        loop_stop(supervisor.loop, 1);
        return;
    }
    (void)fflush(NULL);
    supervisor.loads_count++;
    supervisor.loader_pid = fork();
    if (supervisor.loader_pid == 0)
        load_in_child(supervisor.loader_fd);
    (void)close(done[1]); /* the loader's copy closes when it ends */
    supervisor.loader_done_fd = done[0];
    int r = loop_add(supervisor.loop, &supervisor.loader_source, done[0], EPOLLIN, on_loader_done);
    assert(r == 0);
}

uint32_t supervisor_loads(void)
{
    return supervisor.loads_count;
}

bool supervisor_is_loading(void)
{
    return supervisor.loader_pid > 0;
}

static void on_reload_timer(struct loop_timer *timer)
{
    (void)timer;
    load_begin();
}

static void on_watch(struct loop_source *source, uint32_t events)
{
    (void)source, (void)events;
    if (supervisor.options->changed(supervisor.options->context))
        loop_timer_start(supervisor.loop, &supervisor.reload_timer,
                         supervisor.options->reload_delay_ms, on_reload_timer);
}

/* ---- time, signals, end ---- */

static void on_minute(struct loop_timer *timer)
{
    (void)timer;
    int64_t now_s = (int64_t)(clock_wall_us() / 1000000), minute = now_s - now_s % 60;
    loop_timer_start(supervisor.loop, &supervisor.minute_timer,
                     (uint64_t)(60 - now_s % 60) * 1000 + 5, on_minute);
    for (struct deployment *d = supervisor.deployments; d; d = d->next) {
        for (int i = 0; d->current && i < d->crons_count; i++) {
            if (!cron_matches(&d->crons[i], minute))
                continue;
            char message[sizeof(struct control_event) + 256];
            struct control_event event = {
                .deployment_id = d->id,
                .event_id = supervisor.next_event_id++,
                .time_ms = (uint64_t)minute * 1000,
                .cron_bytes = (uint32_t)strnlen(d->cron_texts[i], 256),
            };
            memcpy(message, &event, sizeof(event));
            memcpy(message + sizeof(event), d->cron_texts[i], event.cron_bytes);
            supervisor_tell_gateway(0, CONTROL_EVENT, message,
                                    (uint32_t)sizeof(event) + event.cron_bytes, NULL, 0);
        }
    }
}

static void on_tidy(struct loop_timer *timer)
{
    (void)timer;
    loop_timer_start(supervisor.loop, &supervisor.tidy_timer, TIDY_MS, on_tidy);
    templates_tidy();
}

static void kill_children(int signal_number)
{
    struct child *others[3 + OLD_POOLS_MAX] = {&supervisor.nursery, &supervisor.broker,
                                               &supervisor.pool};
    for (int i = 0; i < OLD_POOLS_MAX; i++)
        others[3 + i] = &supervisor.old_pools[i];
    for (int i = 0; i < supervisor.gateways_count; i++)
        if (supervisor.gateways[i].process.pid)
            (void)kill(supervisor.gateways[i].process.pid, signal_number);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (others[i]->process.pid)
            (void)kill(others[i]->process.pid, signal_number);
}

static void on_drained(struct loop_timer *timer)
{
    (void)timer;
    loop_stop(supervisor.loop, 0);
}

/* A developer does not wait for what production would. */
static uint32_t drain_timeout_ms(void)
{
    uint32_t fallback = supervisor.options->drain_timeout_ms;
    if (supervisor.dev)
        return fallback;
    return (uint32_t)plan_integer(json_object_get(supervisor.plan.json, "http"), "drain_timeout_ms",
                                  fallback);
}

static void tell_to_drain(int gateway, bool last)
{
    struct control_drain order = {drain_timeout_ms(), last, 0};
    supervisor_tell_gateway(gateway, CONTROL_DRAIN, &order, sizeof(order), NULL, 0);
}

/* Last: what the gateways finish may need it. */
static void tell_pool_to_drain(void)
{
    struct control_drain order = {drain_timeout_ms(), true, STOP_AFTER_TRANSACTIONS};
    if (!supervisor.pool_told)
        pool_child_tell_all(CONTROL_DRAIN, &order, sizeof(order));
    supervisor.pool_told = true;
}

static void stop_if_drained(void)
{
    int left = 0;
    for (int i = 0; i < supervisor.gateways_count; i++)
        left += supervisor.gateways[i].process.pid != 0;
    bool pool = pool_child_any();
    if (left == 0 && !pool)
        loop_stop(supervisor.loop, 0);
    else if (left == 0)
        tell_pool_to_drain();
    else if (left == 1 && supervisor.gateways[0].process.pid) /* who has the admin listener */
        tell_to_drain(0, true);
}

static void stop(void)
{
    if (supervisor.stopping || !supervisor.plan.json) {
        loop_stop(supervisor.loop, supervisor.plan.json ? 0 : 1);
        return;
    }
    supervisor.stopping = true;
    let_listeners_go();
    for (int i = 0; i < supervisor.gateways_count; i++)
        tell_to_drain(i, false);
    stop_if_drained();
    loop_timer_start(supervisor.loop, &supervisor.drain_timer,
                     (uint64_t)drain_timeout_ms() + STOP_GRACE_MS, on_drained);
}

static void stop_as_pgbouncer(uint32_t signal_number)
{
    if (supervisor.stopping || !supervisor.plan.json || signal_number == SIGQUIT) {
        loop_stop(supervisor.loop, supervisor.plan.json ? 0 : 1);
        return;
    }
    end_pool(signal_number == SIGINT ? STOP_AFTER_SERVERS : STOP_AFTER_CLIENTS);
    stop_if_drained(); /* the pool may be away, between a crash and its restart */
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | (supervisor.loader_pid ? WNOWAIT : 0))) > 0) {
        if (pid == supervisor.loader_pid)
            return; /* on_loader_done takes it, from its pipe */
        if (supervisor.loader_pid)
            (void)waitpid(pid, &status, 0);
        if (pid == supervisor.nursery.process.pid)
            child_ended(&supervisor.nursery, status);
        else if (pid == supervisor.broker.process.pid)
            child_ended(&supervisor.broker, status);
        else if (pid == supervisor.pool.process.pid)
            child_ended(&supervisor.pool, status);
        else
            (void)pool_child_old_ended(pid, status);
        for (int i = 0; i < supervisor.gateways_count; i++)
            if (pid == supervisor.gateways[i].process.pid)
                child_ended(&supervisor.gateways[i], status);
        if (supervisor.stopping)
            stop_if_drained();
    }
}

/* PgBouncer's SIGUSR1 pauses, and SIGUSR2 ends that, whoever has paused; ours starts the pool anew.
 */
static void on_user_signal(uint32_t number)
{
    bool as_pgbouncer = supervisor.options->signals_of_pgbouncer;
    bool pauses = number == SIGUSR1 && as_pgbouncer;
    if (pauses || (supervisor.pool_paused && as_pgbouncer)) {
        supervisor.pool_paused = pauses;
        log_info("got SIGUSR%d: %s", pauses ? 1 : 2,
                 pauses ? "all databases are paused until SIGUSR2" : "databases are resumed");
        pool_child_tell_all(pauses ? CONTROL_PAUSE : CONTROL_RESUME, NULL, 0);
    } else if (number == SIGUSR2) {
        pool_child_restart();
    } else {
        log_warn("got SIGUSR1, which means nothing here");
    }
}

static void on_signal(struct loop_source *source, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    while (read(source->fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP && !supervisor.options->hangup_stops)
            load_begin();
        else if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2)
            on_user_signal(info.ssi_signo);
        else if (info.ssi_signo == SIGCHLD)
            continue;
        else if (supervisor.options->signals_of_pgbouncer)
            stop_as_pgbouncer(info.ssi_signo);
        else
            stop();
    }
    reap(); /* whatever came: signals of the same kind merge */
}

static int watch_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigaddset(&signals, SIGUSR2);
    if (supervisor.options->signals_of_pgbouncer)
        (void)sigaddset(&signals, SIGQUIT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    return loop_add(supervisor.loop, &supervisor.signal_source, fd, EPOLLIN, on_signal);
}

static void wait_for_children(void)
{
    for (int tries = 0; tries < 100; tries++) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0)
            return;
        if (pid == 0)
            (void)usleep(10000);
    }
    kill_children(SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

int supervisor_run(const struct supervisor_options *options)
{
    supervisor.options = options;
    supervisor.loop = loop_new();
    supervisor.next_deployment_id = supervisor.next_template_id = 1;
    supervisor.next_instance_id = supervisor.next_event_id = 1;
    supervisor.loader_fd = supervisor.loader_done_fd = -1;
    supervisor.handover_fd = supervisor.take_over_fd = supervisor.pool_part_fd = -1;
    process_remember_program();
    int r = watch_signals();
    if (r == 0 && options->watch_fd >= 0)
        r = loop_add(supervisor.loop, &supervisor.watch_source, options->watch_fd, EPOLLIN,
                     on_watch);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
        return 1;
    }
    load_begin();
    on_minute(NULL);
    on_tidy(NULL);
    int code = loop_run(supervisor.loop);
    supervisor.stopping = true;
    if (supervisor.loader_pid > 0)
        (void)kill(supervisor.loader_pid, SIGTERM);
    kill_children(SIGTERM);
    fd_close(&supervisor.nursery.process.control); /* a closed control socket ends each of them */
    fd_close(&supervisor.broker.process.control);
    fd_close(&supervisor.pool.process.control);
    for (int i = 0; i < OLD_POOLS_MAX; i++)
        if (supervisor.old_pools[i].process.pid)
            fd_close(&supervisor.old_pools[i].process.control);
    wait_for_children();
    pool_child_drop_listeners(true);
    loop_free(&supervisor.loop);
    return code;
}

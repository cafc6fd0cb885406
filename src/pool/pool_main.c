/* SPDX-License-Identifier: Apache-2.0 */
/* The pool process: lends few connections to Postgres to many clients. pool_main is its checklist;
 * what it does between two waits is in end_turn. */
#include "pool_main.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cancel.h"
#include "clock.h"
#include "console.h"
#include "control.h"
#include "credentials.h"
#include "handover.h"
#include "ipc.h"
#include "json_wipe.h"
#include "listen.h"
#include "log.h"
#include "lookup.h"
#include "own.h"
#include "metrics.h"
#include "moved.h"
#include "offload.h"
#include "placement.h"
#include "pool.h"
#include "reload.h"
#include "sandbox.h"
#include "secret.h"
#include "text_file.h"
#include "tls.h"
#include "uring.h"
#include "worker.h"

enum {
    LISTENERS_MAX = 16,
    ACCEPTS_PER_TURN = 64,
    PLAN_BYTES_MAX = 64 * 1024 * 1024,
    /* Every so many ticks. Clients may be many, and their limits are of seconds: who is looked at
     * each second meets a limit of two of them after three, though. */
    CLIENT_TICKS = 3,
    SECOND_TICKS = 10, /* a second */
};

struct pool_process pool_process;

void pool_process_init(void)
{
    list_init(&pool_process.clients);
    list_init(&pool_process.strangers);
    list_init(&pool_process.again);
    list_init(&pool_process.servers_again);
    list_init(&pool_process.closed_clients);
    list_init(&pool_process.closed_servers);
    pool_process.loop = loop_new();
}

struct listener {
    struct loop_source source; /* its fd -1: closed */
    int family;
    bool is_metrics; /* for Prometheus */
};

static struct loop_source control;
static struct listener listeners[LISTENERS_MAX];
static int listeners_count;
static struct loop_timer ticker, drain_timer;

uint64_t pool_now(void)
{
    return loop_now_us(pool_process.loop);
}

bool pool_passed(uint64_t since_us, int64_t limit_ms)
{
    return limit_ms > 0 && pool_now() - since_us > (uint64_t)limit_ms * 1000;
}

uint64_t pool_kept_bytes(void)
{
    return pool_process.in_bytes + statements_bytes() + params_bytes_of_all() + listen_bytes();
}

bool pool_is_full(void)
{
    uint64_t max = pool_process.config->clients_bytes_max;
    if (pool_kept_bytes() <= max)
        return false;
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        statements_forget_idle(pool->statements);
    return pool_kept_bytes() > max;
}

void pool_again(struct client *client)
{
    if (!client->again.next)
        list_push_back(&pool_process.again, &client->again);
    loop_stay_awake(pool_process.loop);
}

void server_again(struct server *server)
{
    if (!server->again.next)
        list_push_back(&pool_process.servers_again, &server->again);
    loop_stay_awake(pool_process.loop);
}

void pool_serve_later(struct pool *pool)
{
    pool->to_serve = true;
    pool_process.to_serve = true;
}

/* ---- a turn's end ---- */

static void serve_pools(void)
{
    while (pool_process.to_serve) {
        pool_process.to_serve = false;
        for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
            if (pool->to_serve) {
                pool->to_serve = false;
                pool_serve(pool);
            }
    }
}

/* Those that are there now; whoever comes again waits for the next turn. One may close others that
 * stand here. */
static void run_again(void)
{
    struct link *link;
    for (uint32_t count = pool_process.again.count;
         count > 0 && (link = list_first(&pool_process.again)); count--) {
        struct client *client = CONTAINER_OF(link, struct client, again);
        list_remove(&pool_process.again, link);
        if (!client->closed)
            client_run(client);
    }
    for (uint32_t count = pool_process.servers_again.count;
         count > 0 && (link = list_first(&pool_process.servers_again)); count--) {
        struct server *server = CONTAINER_OF(link, struct server, again);
        list_remove(&pool_process.servers_again, link);
        if (!server->closed)
            server_run(server);
    }
}

/* Servers that became free go to those who wait; then what was closed can not be met any more. */
static void end_turn(void *owner)
{
    (void)owner;
    worker_read_all();
    run_again();
    serve_pools();
    lookup_settle();
    own_begin_all();
    serve_pools();
    handover_give();
    worker_flush_all();
    client_free_closed();
    server_free_closed();
}

/* ---- time ---- */

/* May the process end, in the way that it is to? */
static bool is_drained(void)
{
    bool may_keep = pool_process.stop_mode == STOP_AFTER_TRANSACTIONS;
    if (pool_process.stop_mode == STOP_AFTER_CLIENTS) /* strangers would hold it up for ever */
        return pool_process.clients.count <= pool_process.consoles + pool_process.strangers.count;
    for (const struct link *link = list_first(&pool_process.clients); link;
         link = list_next(&pool_process.clients, link)) {
        /* Who only keeps a connection, in session mode say, is in the middle of nothing. */
        const struct server *server = CONTAINER_OF(link, struct client, link)->server;
        if (server && !(may_keep && server_is_free(server)))
            return false;
    }
    return true;
}

/* One may close others, by a command on the console. */
static void tick_clients(void)
{
    const struct pool_config *config = pool_process.config;
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = client_next(next)) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        client_tick(client, config);
    }
}

static void on_tick(struct loop_timer *timer)
{
    static unsigned count;
    loop_timer_start(pool_process.loop, timer, TICK_MS, on_tick);
    if (!pool_process.config)
        return;
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        pool_tick(pool);
    lend_free_unwanted();
    cancel_tick();
    metrics_tick();
    if (count % CLIENT_TICKS == 0)
        tick_clients();
    if (count % SECOND_TICKS == 0) {
        record_tick();
        moved_tick();
    }
    count++;
    handover_tick();
    if ((pool_process.draining && is_drained()) || handover_is_over())
        loop_stop(pool_process.loop, 0);
}

/* ---- listeners ---- */

/* Once a minute: whoever wants to come tries again and again. */
static void warn_of_descriptors(void)
{
    static uint64_t last_us;
    if (last_us && pool_now() - last_us < 60000000)
        return;
    last_us = pool_now();
    log_warn("no descriptor is free for a client; raise the limit (ulimit -n)");
}

static void on_listener(struct loop_source *source, uint32_t events)
{
    const struct listener *listener = CONTAINER_OF(source, struct listener, source);
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            warn_of_descriptors();
        if (fd < 0)
            return;
        tcp_set_up(fd, listener->family);
        if (listener->is_metrics)
            metrics_accept(fd);
        else
            client_accept(fd, listener->family != AF_UNIX);
    }
}

int pool_listener(int i)
{
    for (int at = 0; at < listeners_count; at++)
        if (!listeners[at].is_metrics && listeners[at].source.fd >= 0 && i-- == 0)
            return listeners[at].source.fd;
    return -1;
}

static void close_listener(struct listener *listener)
{
    loop_remove(pool_process.loop, &listener->source);
    fd_close(&listener->source.fd);
}

static void close_listeners(void)
{
    while (listeners_count > 0)
        close_listener(&listeners[--listeners_count]);
}

/* Whoever administers the pool may still come, by a unix socket, and see what it waits for. */
static void close_tcp_listeners(void)
{
    for (int i = 0; i < listeners_count; i++)
        if (listeners[i].family != AF_UNIX)
            close_listener(&listeners[i]);
}

static int family_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 ? address.ss_family : AF_UNSPEC;
}

static void take_listeners(struct ipc_message *message)
{
    close_listeners();
    for (int i = 1; i < message->fds_count && listeners_count < LISTENERS_MAX; i++) {
        struct listener *listener = &listeners[listeners_count];
        int fd = message->fds[i];
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
            loop_add(pool_process.loop, &listener->source, fd, EPOLLIN, on_listener) < 0)
            continue;
        listener->family = family_of(fd);
        listener->is_metrics = pool_process.config->metrics_listeners & 1u << (i - 1);
        listeners_count++;
        message->fds[i] = -1; /* taken over */
    }
}

/* ---- the plan ---- */

static int read_plan(int fd, struct pool_config **ret_config, struct error *err)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0 || stat.st_size <= 0 || stat.st_size > PLAN_BYTES_MAX)
        return error_set(err, -EINVAL, "the plan can not be read");
    size_t bytes = (size_t)stat.st_size;
    char *text = xcalloc(1, bytes);
    int r = pread(fd, text, bytes, 0) == stat.st_size
                ? config_parse((struct slice){text, bytes}, ret_config, err)
                : error_set(err, -EIO, "the plan can not be read");
    secret_wipe(text, bytes);
    free(text);
    json_wipe_stack();
    return r;
}

/* Whoever made it has checked it: this is the last resort. */
static void refuse_plan(const struct error *err)
{
    log_error("%s; %s", err->text,
              pool_process.config ? "the old plan stays" : "there is nothing to serve");
    pool_process.refused_us = pool_now();
    if (!pool_process.config)
        loop_stop(pool_process.loop, 1);
}

/* What stays over a restart and nobody can guess who only comes by the network: best what pools
 * beside this one have, too; else the machine's (machine-id(5) wants it hashed), or its start's. */
static void seed_salts(const struct pool_config *config)
{
    static const char *const files[] = {"/etc/machine-id", "/proc/sys/kernel/random/boot_id"};
    enum { ID_BYTES_MIN = 32, ID_BYTES_MAX = 64 };
    if (config->tls.key) {
        scram_salts_from(slice_of(config->tls.key));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO_BUFFER text = {0};
        if (text_file_read(files[i], ID_BYTES_MAX, &text) == 0 &&
            buffer_len(&text) >= ID_BYTES_MIN) {
            scram_salts_from(buffer_slice(&text));
            return;
        }
    }
}

static void take_plan(struct ipc_message *message)
{
    struct pool_config *config = NULL;
    struct tls_context *tls = NULL;
    struct error err = {""};
    if (read_plan(message->fds[0], &config, &err) < 0) {
        refuse_plan(&err);
        return;
    }
    if (config->tls.mode != TLS_DISABLE && !(tls = tls_context_new(&config->tls, true, &err))) {
        refuse_plan(&err);
        config_release(&config);
        return;
    }
    tls_context_free(&pool_process.tls);
    pool_process.tls = tls;
    config_release(&pool_process.config);
    pool_process.config = config;
    pool_process.taken_us = pool_now();
    seed_salts(config);
    for (char **note = config->notes; *note && !handover_has_begun(); note++)
        log_warn("%s", *note);
    uring_allow(config->io_uring);
    lookup_forget_all();
    reload_take_config();
    if (!handover_has_begun()) /* else another listens */
        take_listeners(message);
    (void)ipc_send(CONTROL_FD, CONTROL_PLAN_TAKEN, NULL, 0, NULL, 0);
}

static void on_drain_over(struct loop_timer *timer)
{
    (void)timer;
    loop_stop(pool_process.loop, 0);
}

static void drain(const struct ipc_message *message)
{
    struct control_drain order = {0};
    if (message->bytes == sizeof(order))
        memcpy(&order, message->payload, sizeof(order));
    pool_process.draining = true;
    pool_process.stop_mode = order.mode;
    close_tcp_listeners();
    if (order.mode != STOP_AFTER_CLIENTS)
        client_refuse_waiting();
    tick_clients(); /* who has told it to is answered now */
    if (order.timeout_ms > 0)
        loop_timer_start(pool_process.loop, &drain_timer, order.timeout_ms, on_drain_over);
}

static void attach(struct ipc_message *message)
{
    struct control_instance order;
    if (message->bytes != sizeof(order) || message->fds_count != CHANNEL_FDS)
        return;
    memcpy(&order, message->payload, sizeof(order));
    worker_attach(&order, message->fds);
    message->fds_count = 0; /* taken over */
}

static void detach(const struct ipc_message *message)
{
    struct control_gone gone;
    if (message->bytes < sizeof(gone))
        return;
    memcpy(&gone, message->payload, sizeof(gone));
    worker_detach(gone.instance_id);
}

static void take_over(struct ipc_message *message)
{
    struct control_take_over order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    pool_process.numbers_base = order.generation % NUMBERS_GENERATIONS << NUMBERS_BITS;
    pool_process.last_id = order.generation * IDS_OF_A_PROCESS;
    if (message->fds_count == 1) {
        handover_take(message->fds[0]);
        message->fds[0] = -1;
    }
}

static void hand_over(struct ipc_message *message)
{
    if (message->fds_count != 1)
        return;
    close_listeners();
    handover_begin(message->fds[0]);
    message->fds[0] = -1;
}

static void on_control(struct loop_source *source, uint32_t events)
{
    static struct ipc_message message;
    int r;
    (void)events;
    while ((r = ipc_recv(source->fd, &message)) > 0) {
        if (message.type == CONTROL_PLAN && message.fds_count >= 1)
            take_plan(&message);
        else if (message.type == CONTROL_ATTACH)
            attach(&message);
        else if (message.type == CONTROL_DETACH)
            detach(&message);
        else if (message.type == CONTROL_DRAIN)
            drain(&message);
        else if (message.type == CONTROL_PLAN_REFUSED)
            pool_process.refused_us = pool_now();
        else if (message.type == CONTROL_PAUSE || message.type == CONTROL_RESUME)
            console_pause_all(message.type == CONTROL_PAUSE);
        else if (message.type == CONTROL_TAKE_OVER)
            take_over(&message);
        else if (message.type == CONTROL_HAND_OVER)
            hand_over(&message);
        ipc_close_fds(&message);
    }
    if (r == 0 || (r != -EAGAIN && r != -EPROTO))
        loop_stop(pool_process.loop, 0); /* the supervisor is gone */
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        pool_process.descriptors_max =
            limit.rlim_cur < INT_MAX ? (uint32_t)limit.rlim_cur : INT_MAX;
    }
}

int pool_main(int argc, char **argv)
{
    struct error err = {""};
    int r;
    (void)argc, (void)argv;
    json_wipe_freed();
    log_init("pool", LOG_INFO, false);
    (void)prctl(PR_SET_NAME, "weir-pool", 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN); /* the control socket's end is what ends it: clients are told */
    raise_descriptor_limit();
    pool_process_init();
    pool_placement_init();
    if (offload_init(pool_process.loop) < 0 ||
        loop_add(pool_process.loop, &control, CONTROL_FD, EPOLLIN, on_control) < 0)
        return 1;
    loop_before_sleep(pool_process.loop, end_turn, NULL);
    loop_timer_start(pool_process.loop, &ticker, TICK_MS, on_tick);
    pool_process.owner = geteuid();
    if (sandbox_drop_user(&err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if ((r = uring_init(pool_process.loop)) < 0)
        log_info("io_uring is not to be had (%s): each read and write is a system call of its own",
                 strerror(-r));
    sandbox_install(sandbox_compile(SANDBOX_POOL));
    r = loop_run(pool_process.loop);
    client_end_all();
    worker_flush_all();
    uring_flush();
    return r;
}

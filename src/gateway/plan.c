/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as it comes from the supervisor, and the switch from the old one to the new. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assets.h"
#include "conn.h"
#include "counting.h"
#include "dispatch.h"
#include "log.h"
#include "prisma.h"
#include "request.h"
#include "client_tls.h"

enum {
    LAST_ACCEPT_ROUNDS = 64, /* as many connections as a backlog holds, and more */
    DRAIN_NEW_MS = 150,      /* so long may the first request of a new connection be on its way */
};

struct deployment *deployment_by_id(uint32_t id)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->id == id)
            return d;
    return NULL;
}

static int64_t integer(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void drop_arriving(void)
{
    json_decref(gateway.arriving.json);
    gateway.arriving.json = NULL;
    while (gateway.arriving.listener_fds_count > 0)
        fd_close(&gateway.arriving.listener_fds[--gateway.arriving.listener_fds_count]);
    for (size_t i = 0; i < gateway.arriving.asset_dirs_count; i++)
        fd_close(&gateway.arriving.asset_dirs[i].fd);
    gateway.arriving.asset_dirs_count = 0;
}

static void begin(struct ipc_message *message)
{
    struct stat stat;
    json_error_t error;
    gateway.count = counting_gateway();
    drop_arriving();
    if (message->fds_count < 1 || fstat(message->fds[0], &stat) < 0 || stat.st_size < 2)
        return;
    char *json = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, message->fds[0], 0);
    if (json == MAP_FAILED)
        return;
    gateway.arriving.json = json_loadb(json, (size_t)stat.st_size, 0, &error);
    (void)munmap(json, (size_t)stat.st_size);
    if (!gateway.arriving.json)
        log_error("a plan came that cannot be read: %s", error.text);
    for (int i = 1; i < message->fds_count && i <= LISTENERS_MAX; i++) {
        gateway.arriving.listener_fds[gateway.arriving.listener_fds_count++] = message->fds[i];
        message->fds[i] = -1;
    }
}

static void take_asset_dir(struct ipc_message *message)
{
    struct control_asset_dir dir;
    if (message->bytes != sizeof(dir) || message->fds_count != 1)
        return;
    memcpy(&dir, message->payload, sizeof(dir));
    size_t count = gateway.arriving.asset_dirs_count++;
    gateway.arriving.asset_dirs =
        xrealloc(gateway.arriving.asset_dirs, (count + 1) * sizeof(gateway.arriving.asset_dirs[0]));
    gateway.arriving.asset_dirs[count].deployment_id = dir.deployment_id;
    gateway.arriving.asset_dirs[count].fd = message->fds[0];
    message->fds[0] = -1;
}

static uint32_t at_most(int64_t value, uint32_t limit)
{
    return value < 1 ? 1 : value > limit ? limit : (uint32_t)value;
}

static void take_settings(const json_t *json)
{
    const json_t *http = json_object_get(json, "http");
    const char *mode = text(json, "mode"), *log = text(json, "access_log");
    gateway.dev = mode && strcmp(mode, "dev") == 0;
    gateway.color = json_is_true(json_object_get(json, "color"));
    gateway.access_log = !log || strcmp(log, "off") == 0 ? ACCESS_LOG_OFF
                         : strcmp(log, "json") == 0      ? ACCESS_LOG_JSON
                                                         : ACCESS_LOG_TEXT;
    gateway.http = (struct http_settings){
        .head = {at_most(integer(http, "header_bytes_max", 131072), HEAD_BYTES_LIMIT),
                 at_most(integer(http, "url_bytes_max", 16384), URL_BYTES_LIMIT),
                 at_most(integer(http, "headers_count_max", HTTP1_HEADERS_MAX), HTTP1_HEADERS_MAX)},
        .header_timeout_ms = (uint32_t)integer(http, "header_timeout_ms", 15000),
        .body_timeout_ms = (uint32_t)integer(http, "body_timeout_ms", 30000),
        .keepalive_timeout_ms = (uint32_t)integer(http, "keepalive_timeout_ms", 75000),
        .write_timeout_ms = (uint32_t)integer(http, "write_timeout_ms", 30000),
        .connections_max =
            at_most(integer(http, "connections_max", 100000), gateway.connections_limit),
    };
}

static void take_limits(struct deployment *d, const json_t *worker)
{
    const json_t *limits = json_object_get(worker, "limits"),
                 *scale = json_object_get(worker, "scale");
    d->request_body_bytes_max = integer(limits, "request_body_bytes", 100 << 20);
    d->cpu_ms = (uint32_t)integer(limits, "cpu_ms", 30000);
    d->wall_ms = (uint32_t)integer(limits, "wall_ms", 300000);
    d->log_bytes_max = (uint32_t)integer(limits, "log_bytes", 262144);
    d->instances_min = (uint32_t)integer(scale, "min_instances", 0);
    d->instances_max = (uint32_t)integer(scale, "max_instances", 8);
    d->idle_timeout_ms = (uint32_t)integer(scale, "idle_timeout_ms", 60000);
    d->hold_ms = (uint32_t)integer(scale, "hold_ms", 0);
    d->concurrency = at_most(integer(scale, "concurrency", 64), SLOTS_MAX - 1);
    d->queue_length_max = (uint32_t)integer(scale, "queue_length", 1024);
    d->queue_timeout_ms = (uint32_t)integer(scale, "queue_timeout_ms", 10000);
}

static void take_assets(struct deployment *d, const json_t *worker)
{
    const json_t *config = json_object_get(worker, "assets");
    for (size_t i = 0; i < gateway.arriving.asset_dirs_count; i++) {
        if (gateway.arriving.asset_dirs[i].deployment_id != d->id || !json_is_object(config))
            continue;
        assets_free(&d->assets);
        d->assets = assets_open(gateway.arriving.asset_dirs[i].fd, config);
        gateway.arriving.asset_dirs[i].fd = -1;
    }
}

static struct worker *worker_by_number(uint32_t number, const char *name)
{
    for (struct worker *w = gateway.workers; w; w = w->next)
        if (w->number == number)
            return w;
    struct worker *made = xcalloc(1, sizeof(*made));
    made->number = number;
    made->name = xstrdup(name);
    made->count = counting_take_worker(number);
    made->next = gateway.workers;
    gateway.workers = made;
    return made;
}

static void take_worker(const json_t *worker)
{
    uint32_t id = (uint32_t)integer(worker, "deployment_id", 0);
    struct deployment *d = deployment_by_id(id);
    if (!d) {
        d = xcalloc(1, sizeof(*d));
        d->id = id;
        d->worker =
            worker_by_number((uint32_t)integer(worker, "worker_number", 0), text(worker, "name"));
        d->next = gateway.deployments;
        gateway.deployments = d;
    }
    const char *failed = text(worker, "failed");
    d->current = true;
    d->has_code = json_is_true(json_object_get(worker, "has_code"));
    text_free(&d->failed);
    const char *prisma = text(worker, "prisma");
    text_free(&d->prisma);
    d->prisma = prisma ? xstrdup(prisma) : NULL;
    d->failed_by_loader = failed != NULL;
    d->failed = failed ? xstrdup(failed) : NULL;
    take_limits(d, worker);
    take_assets(d, worker);
    size_t index;
    json_t *route;
    json_array_foreach(json_object_get(worker, "routes"), index, route)
        routes_add(gateway.routes, json_string_value(route), d);
    if (json_is_true(json_object_get(worker, "default")))
        routes_set_default(gateway.routes, d);
}

static void on_listener(struct loop_source *source, uint32_t events)
{
    (void)events;
    for (int i = 0; i < gateway.listeners_count; i++)
        if (&gateway.listeners[i].source == source &&
            !conn_accept(gateway.listeners[i].fd, &gateway.listeners[i].kind)) {
            gateway.listeners[i].resting = true;
            loop_change(gateway.loop, source, 0);
        }
}

void gateway_wake_listeners(void)
{
    for (int i = 0; i < gateway.listeners_count; i++) {
        if (!gateway.listeners[i].resting || gateway.listeners[i].fd < 0)
            continue;
        gateway.listeners[i].resting = false;
        loop_change(gateway.loop, &gateway.listeners[i].source, EPOLLIN);
    }
}

static void close_listeners(void)
{
    for (int i = 0; i < gateway.listeners_count; i++) {
        loop_remove(gateway.loop, &gateway.listeners[i].source);
        fd_close(&gateway.listeners[i].fd);
        client_tls_free(&gateway.listeners[i].kind.tls);
    }
    gateway.listeners_count = 0;
}

/* entry: the plan's; NULL: of the admin listener, which comes last. */
static struct listener_kind kind_of(const json_t *entry)
{
    const char *service = text(entry, "service");
    const json_t *tls = json_object_get(entry, "tls");
    struct listener_kind kind = {.admin = !entry,
                                 .prisma = service && strcmp(service, "prisma") == 0,
                                 .plain_too = json_is_true(json_object_get(tls, "plain_too"))};
    struct error err = {""};
    if (json_is_object(tls) &&
        !(kind.tls = client_tls_new(text(tls, "certificate"), text(tls, "key"), &err))) {
        log_error("TLS of port %lld: %s; its connections are refused",
                  (long long)integer(entry, "port", 0), err.text);
        kind.refuses = true;
    }
    return kind;
}

static void take_listeners(const json_t *json)
{
    const json_t *entries = json_object_get(json, "listeners");
    if (gateway.draining)
        return;
    close_listeners();
    for (int i = 0; i < gateway.arriving.listener_fds_count; i++) {
        gateway.listeners[i].fd = gateway.arriving.listener_fds[i];
        gateway.listeners[i].kind = kind_of(json_array_get(entries, (size_t)i));
        gateway.listeners[i].resting = false;
        gateway.listeners_count = i + 1;
        if (loop_add(gateway.loop, &gateway.listeners[i].source, gateway.listeners[i].fd, EPOLLIN,
                     on_listener) < 0)
            log_error("cannot watch listener %d", i);
    }
    gateway.arriving.listener_fds_count = 0;
}

/* Deployments that no plan names and that have nothing left go. */
static void drop_old_deployments(void)
{
    for (struct deployment **place = &gateway.deployments; *place;) {
        struct deployment *d = *place;
        if (d->current || d->instances || d->queue_first || d->spawning) {
            place = &d->next;
            continue;
        }
        *place = d->next;
        assets_free(&d->assets);
        free(d->failed);
        free(d->prisma);
        free(d);
    }
}

static void switch_over(const struct ipc_message *message)
{
    json_t *json = gateway.arriving.json;
    if (!json)
        return; /* reported when it came */
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        d->current = false;
    routes_free(&gateway.routes);
    gateway.routes = routes_new();
    take_settings(json);
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(json, "workers"), index, worker) take_worker(worker);
    prisma_take_plan(json);
    take_listeners(json);
    drop_arriving();
    dispatch_leave_old();
    drop_old_deployments();
    gateway_tell(CONTROL_PLAN_TAKEN, message->payload, message->bytes);
}

/* Whoever connects from now on is refused, but who the kernel let in already is served. */
static void stop_listening(int i)
{
    struct pollfd waiting = {gateway.listeners[i].fd, POLLIN, 0};
    for (int round = 0; round < LAST_ACCEPT_ROUNDS && poll(&waiting, 1, 0) == 1; round++)
        if (!conn_accept(waiting.fd, &gateway.listeners[i].kind))
            break;
    loop_remove(gateway.loop, &gateway.listeners[i].source);
    fd_close(&gateway.listeners[i].fd);
}

/* Of all gateways: the first speaks for them. */
static void tell_drain(uint32_t timeout_ms)
{
    uint64_t under_way = 0;
    for (const struct worker *w = gateway.workers; w; w = w->next)
        under_way += counting_worker_sum(w->number, offsetof(struct worker_counters, in_flight)) +
                     counting_worker_sum(w->number, offsetof(struct worker_counters, queued));
    if (gateway.number == 0 && (under_way > 0 || !gateway.dev))
        log_info("draining: %llu requests in flight, at most %u.%u s more",
                 (unsigned long long)under_way, timeout_ms / 1000, timeout_ms / 100 % 10);
}

static void drain(const struct control_drain *order)
{
    gateway.drains_last = order->last;
    if (gateway.draining)
        return;
    gateway.draining = true;
    gateway.drain_new_until_ms = loop_now_ms(gateway.loop) + DRAIN_NEW_MS;
    gateway.drain_deadline_ms = loop_now_ms(gateway.loop) + order->timeout_ms;
    tell_drain(order->timeout_ms);
    conn_drain_all(false);
    for (int i = 0; i < gateway.listeners_count; i++)
        if (!gateway.listeners[i].kind.admin)
            stop_listening(i);
}

bool gateway_is_drained(void)
{
    bool admin = false;
    for (int i = 0; i < gateway.listeners_count; i++)
        admin |= gateway.listeners[i].kind.admin;
    return gateway.connections == gateway.admin_connections && !dispatch_busy() &&
           (!admin || gateway.drains_last);
}

static void on_drain(const struct ipc_message *message)
{
    struct control_drain order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    drain(&order);
}

static void on_gone(const struct ipc_message *message)
{
    struct control_gone gone;
    if (message->bytes < sizeof(gone))
        return;
    memcpy(&gone, message->payload, sizeof(gone));
    if (gone.text_bytes != message->bytes - sizeof(gone))
        return;
    struct slice why = {message->payload + sizeof(gone), gone.text_bytes};
    if (message->type == CONTROL_INSTANCE_GONE)
        dispatch_instance_gone(&gone, why);
    else
        dispatch_spawn_failed(&gone, why);
    drop_old_deployments();
}

static void on_event(const struct ipc_message *message)
{
    struct control_event event;
    if (message->bytes < sizeof(event))
        return;
    memcpy(&event, message->payload, sizeof(event));
    struct deployment *d = deployment_by_id(event.deployment_id);
    if (!d || event.cron_bytes != message->bytes - sizeof(event) ||
        event.cron_bytes > CRON_BYTES_MAX)
        return;
    struct slice cron = {message->payload + sizeof(event), event.cron_bytes};
    dispatch_request(request_new_event(d, cron, event.time_ms, event.event_id));
}

static void take_counters(struct ipc_message *message)
{
    struct control_counters counters;
    if (message->bytes != sizeof(counters) || message->fds_count != 1)
        return;
    memcpy(&counters, message->payload, sizeof(counters));
    int r = counting_adopt(message->fds[0], counters.number, counters.gateways_count);
    message->fds[0] = -1;
    if (r < 0)
        log_error("cannot map the counters: %s", strerror(-r));
}

void plan_on_message(struct ipc_message *message)
{
    switch ((enum control_type)message->type) {
    case CONTROL_PLAN:
        begin(message);
        break;
    case CONTROL_COUNTERS:
        take_counters(message);
        break;
    case CONTROL_ASSET_DIR:
        take_asset_dir(message);
        break;
    case CONTROL_PLAN_END:
        switch_over(message);
        break;
    case CONTROL_INSTANCE: {
        struct control_instance order;
        if (message->bytes == sizeof(order) && message->fds_count == CHANNEL_FDS) {
            memcpy(&order, message->payload, sizeof(order));
            dispatch_add_instance(&order, message->fds);
        }
        break;
    }
    case CONTROL_INSTANCE_GONE:
    case CONTROL_SPAWN_FAILED:
        on_gone(message);
        break;
    case CONTROL_EVENT:
        on_event(message);
        break;
    case CONTROL_RETIRE:
        dispatch_give_back();
        break;
    case CONTROL_DRAIN:
        on_drain(message);
        break;
    default:
        log_warn("unknown control message %u", message->type);
    }
}

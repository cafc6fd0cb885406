/* SPDX-License-Identifier: Apache-2.0 */
/* The life of instances: they arrive, are watched, retire, and end.
 *
 * An instance lags when frames wait in its ring and it takes none for LAGGING_MS: some turn of its
 * worker computes. What it has not begun goes to other instances then (ring_revoke: the reader
 * claims a frame or the writer takes it back, never both), so that one long computation holds up
 * only the requests that it shares a process with already. */
#include "dispatch_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "access_log.h"
#include "asset_exchange.h"
#include "caller.h"
#include "clock.h"
#include "counting.h"
#include "log.h"
#include "placement.h"
#include "prisma.h"
#include "request.h"
#include "service_call.h"

enum {
    LAGGING_MS = 50,
    LAGGING_AT_FIRST_MS = 500, /* it has to be forked yet: another one would come no sooner */
    STUCK_GRACE_MS = 2000,     /* beyond the CPU limit: the engine's own watchdog has failed */
    SPAWN_TIMEOUT_MS = 30000,
    STARTS_PER_CPU = 2, /* of a deployment, at a time */
    START_MS_MAX = 250, /* who takes longer holds up no others */
    BUSY_TICKS = 20,    /* work was waiting at each of so many looks: one instance is not enough */
    GIVE_BACK_MS = 100, /* idle for so long: ends when memory is short */
    TRIM_MS = 1000,     /* idle for so long: the rings' memory goes back */
    NO_SLOT = ~0u,      /* of frames that belong to no request */
};

static struct instance *dirty_instances;

void instance_mark_dirty(struct instance *instance)
{
    if (instance->dirty)
        return;
    instance->dirty = true;
    instance->next_dirty = dirty_instances;
    dirty_instances = instance;
}

void instance_kill(struct instance *instance, enum kill_reason reason, const char *why)
{
    if (instance->killed)
        return;
    instance->killed = instance->retiring = true;
    instance->killed_because = why;
    instance->deployment->worker->count->killed++;
    log_warn("%s: instance %u ended: %s", instance->deployment->worker->name, instance->id, why);
    struct control_kill order = {instance->id, reason};
    gateway_tell(CONTROL_KILL, &order, sizeof(order));
}

bool instance_looked_at(struct instance *instance)
{
    if (ring_writer_refresh(&instance->channel.out))
        return true;
    instance_kill(instance, KILL_PROTOCOL, "it broke the ring");
    return false;
}

uint32_t instances_alive(const struct deployment *deployment)
{
    uint32_t alive = deployment->spawning;
    for (const struct instance *i = deployment->instances; i; i = i->next)
        alive += !i->retiring;
    return alive;
}

static bool is_starting(const struct instance *instance, uint64_t now_ms)
{
    return !instance->started && !instance->retiring &&
           now_ms - instance->arrived_ms < START_MS_MAX;
}

uint32_t instances_startable(struct deployment *deployment)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    uint32_t max = STARTS_PER_CPU * ((uint32_t)gateway.cpus / counting_gateways());
    uint32_t starting = deployment->spawning;
    if (max < STARTS_PER_CPU)
        max = STARTS_PER_CPU;
    for (const struct instance *i = deployment->instances; i; i = i->next)
        starting += is_starting(i, now_ms);
    if (starting < max)
        return max - starting;
    for (struct instance *i = deployment->instances; i; i = i->next)
        if (is_starting(i, now_ms))
            (void)ring_writer_sleep(&i->channel.out); /* should it be missed, the tick looks */
    return 0;
}

/* Has it been through its first frame? */
static void note_start(struct instance *instance)
{
    if (!instance->started && instance_looked_at(instance))
        instance->started = instance->channel.out.peer != 0;
}

/* ---- bells ---- */

/* There is room in the ring again, or may be: go on with all that waited for it. */
static void resume(struct instance *instance)
{
    if (!instance->starved || instance->killed)
        return;
    instance->starved = false;
    for (int i = 0, seen = 0; i < SLOTS_MAX && seen < (int)instance->in_flight; i++) {
        struct request *request = instance->slots[i];
        if (!request)
            continue;
        seen++;
        dispatch_credit(request, 0);
        caller_resume_body(request);
    }
    asset_exchange_resume(instance);
    service_call_resume(instance);
    dispatch_pump(instance->deployment);
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct instance *instance = CONTAINER_OF(source, struct instance, bell);
    (void)events;
    channel_rung(&instance->channel);
    (void)instance_drain(instance);
    resume(instance);
    if (!instance->started) {
        note_start(instance);
        dispatch_pump(instance->deployment);
    }
    instance_mark_dirty(instance); /* dispatch_flush decides whether it sleeps */
}

/* First all the bells, then a second look at the rings: what was answered meanwhile is taken up
 * without a system call on either side. */
void dispatch_flush(void)
{
    struct instance *again = NULL;
    while (dirty_instances) {
        struct instance *instance = dirty_instances;
        dirty_instances = instance->next_dirty;
        instance->dirty = false;
        if (instance->killed)
            continue;
        channel_flush(&instance->channel);
        if (!channel_sleep(&instance->channel)) {
            instance->next_dirty = again;
            again = instance;
        }
    }
    while (again) {
        struct instance *instance = again;
        again = instance->next_dirty;
        (void)instance_drain(instance);
        instance_mark_dirty(instance);
        loop_stay_awake(gateway.loop);
    }
}

/* ---- arrival and end ---- */

static void refuse_instance(uint32_t instance_id)
{
    struct control_kill order = {instance_id, KILL_IDLE};
    gateway_tell(CONTROL_KILL, &order, sizeof(order));
}

void dispatch_add_instance(const struct control_instance *order, int fds[CHANNEL_FDS])
{
    struct deployment *deployment = deployment_by_id(order->deployment_id);
    struct instance *instance = xcalloc(1, sizeof(*instance));
    int taken[CHANNEL_FDS];
    for (int i = 0; i < CHANNEL_FDS; i++) {
        taken[i] = fds[i];
        fds[i] = -1;
    }
    int r = channel_open(&instance->channel, CHANNEL_SERVER, taken);
    if (r == 0 && deployment)
        r = loop_add(gateway.loop, &instance->bell, instance->channel.bell_in, EPOLLIN | EPOLLET,
                     on_bell);
    if (r < 0 || !deployment) {
        channel_close(&instance->channel);
        free(instance);
        refuse_instance(order->instance_id);
        return;
    }
    instance->id = order->instance_id;
    instance->deployment = deployment;
    if (order->cpu < 0)
        channel_advise(&instance->channel, placement_cpu());
    instance->arrived_ms = instance->idle_since_ms = instance->progress_ms =
        loop_now_ms(gateway.loop);
    instance->retiring = !deployment->current;
    instance->next = deployment->instances;
    deployment->instances = instance;
    deployment->worker->count->instances++;
    deployment->worker->count->spawned++;
    if (deployment->spawning > 0) {
        deployment->spawning--;
        access_log_count(&deployment->worker->count->start,
                         clock_monotonic_us() - deployment->spawn_asked_us);
    }
    if (!deployment->failed_by_loader)
        text_free(&deployment->failed);
    instance_mark_dirty(instance);
    dispatch_pump(deployment);
}

static struct instance **find_instance(uint32_t instance_id)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        for (struct instance **place = &d->instances; *place; place = &(*place)->next)
            if ((*place)->id == instance_id)
                return place;
    return NULL;
}

/* What the instance had not begun is done by another, once. */
static void retry_unbegun(struct instance *instance)
{
    for (int i = 0; i < SLOTS_MAX && instance->in_flight > 0; i++) {
        struct request *request = instance->slots[i];
        if (!request || !request->body_whole || request->retried || !caller_waits(request) ||
            !dispatch_revoke(request))
            continue;
        request->retried = true;
        request->deployment->worker->count->retried++;
        dispatch_queue(request);
    }
}

static void lose_request(struct request *request, enum failure failure, const char *why)
{
    dispatch_leave_slot(request);
    if (request->state != REQUEST_ANSWERED)
        dispatch_fail(request, failure, why, (struct slice){0});
    else
        caller_request_over(request);
    request_free(request);
}

/* The rest of its requests end with it. */
static void lose_requests(struct instance *instance, enum failure failure, const char *why)
{
    struct request *lost[SLOTS_MAX];
    size_t count = 0;
    for (int i = 0; i < SLOTS_MAX && count < instance->in_flight; i++)
        if (instance->slots[i])
            lost[count++] = instance->slots[i];
    access_log_failure(instance->deployment, failure, why, lost, count);
    for (size_t i = 0; i < count; i++)
        lose_request(lost[i], failure, why);
}

/* NULL: it left as it should. */
static char *end_of(const struct instance *instance, const struct control_gone *gone,
                    struct slice text)
{
    int signal_number = gone->status & 0x7f, code = gone->status >> 8 & 0xff;
    if (instance->killed)
        return xasprintf("The worker's process was ended: %s", instance->killed_because);
    if (signal_number)
        return xasprintf("The worker's process crashed (signal %d)", signal_number);
    if (instance->in_flight == 0 && code == 0)
        return NULL;
    if (text.len > 0)
        return xasprintf("The worker's process ended: %.*s", (int)text.len, text.ptr);
    return xasprintf("The worker's process ended by itself (code %d)", code);
}

static void remove_dirty(struct instance *instance)
{
    for (struct instance **place = &dirty_instances; *place; place = &(*place)->next_dirty) {
        if (*place != instance)
            continue;
        *place = instance->next_dirty;
        return;
    }
}

void dispatch_instance_gone(const struct control_gone *gone, struct slice text)
{
    struct instance **place = find_instance(gone->instance_id);
    if (!place)
        return;
    struct instance *instance = *place;
    struct deployment *deployment = instance->deployment;
    int signal_number = gone->status & 0x7f;
    while (!instance->killed && instance_drain(instance)) {
    } /* what it said before it ended */
    *place = instance->next;
    deployment->worker->count->instances--;
    bool memory = gone->status == EXIT_OUT_OF_MEMORY << 8;
    AUTO_TEXT why =
        memory ? xstrdup("Error: Worker exceeded memory limit.") : end_of(instance, gone, text);
    if (memory)
        log_warn("%s: instance %u ran out of memory", deployment->worker->name, instance->id);
    else if (signal_number && !instance->killed)
        log_warn("%s: instance %u was ended by signal %d %.*s", deployment->worker->name,
                 instance->id, signal_number, (int)text.len, text.len ? text.ptr : "");
    instance->killed = true; /* nothing more is sent to it */
    retry_unbegun(instance);
    if (why)
        lose_requests(instance, memory ? FAILURE_LIMITS : FAILURE_CRASH, why);
    asset_exchange_drop_all(instance);
    service_call_drop_all(instance);
    prisma_close_all(instance);
    remove_dirty(instance);
    loop_remove(gateway.loop, &instance->bell);
    channel_close(&instance->channel);
    free(instance);
    dispatch_pump(deployment);
}

void dispatch_spawn_failed(const struct control_gone *gone, struct slice text)
{
    struct deployment *deployment = deployment_by_id(gone->deployment_id);
    if (!deployment)
        return;
    if (deployment->spawning > 0)
        deployment->spawning--;
    if (!deployment->failed_by_loader) {
        text_free(&deployment->failed);
        deployment->failed =
            text.len ? xstrndup(text.ptr, text.len) : xstrdup("The worker could not be started.");
        deployment->failed_ms = loop_now_ms(gateway.loop);
    }
    if (!deployment->instances)
        dispatch_fail_queue(deployment, FAILURE_START, deployment->failed);
}

static void retire(struct instance *instance)
{
    instance->retiring = true;
    if (!instance->retire_sent)
        instance->retire_sent =
            dispatch_send(instance, FRAME_RETIRE, NO_SLOT, 0, "", 0, (struct slice){0});
}

/* ---- the ticks ---- */

/* Takes back what a lagging instance has not begun, for others to do. */
static void move_waiting_requests(struct instance *instance)
{
    for (int i = 0; i < SLOTS_MAX && instance->in_flight > 0; i++) {
        struct request *request = instance->slots[i];
        if (request && request->body_whole && dispatch_revoke(request))
            dispatch_queue(request);
    }
}

/* May it have transactions that would be lost with it? */
static bool has_open(const struct instance *instance, uint64_t now_ms)
{
    return instance->begun_ms && now_ms - instance->begun_ms < instance->deployment->hold_ms;
}

static void tick_idle(struct instance *instance, uint64_t now_ms)
{
    struct deployment *deployment = instance->deployment;
    uint64_t idle_ms = now_ms - instance->idle_since_ms;
    instance->lagging = false;
    instance->busy_ticks = 0;
    bool is_surplus =
        !deployment->current || (idle_ms >= deployment->idle_timeout_ms &&
                                 instances_alive(deployment) > deployment->instances_min);
    if (is_surplus && !has_open(instance, now_ms))
        instance->retiring = true;
    if (instance->retiring) {
        retire(instance);
    } else if (idle_ms >= TRIM_MS && !instance->trimmed &&
               instance->channel.out.peer == instance->channel.out.index) {
        channel_trim(&instance->channel);
        instance->trimmed = true;
    }
}

static void ping(struct instance *instance, uint64_t now_ms)
{
    struct frame_credit nothing = {0};
    if (dispatch_send(instance, FRAME_CREDIT, NO_SLOT, 0, &nothing, sizeof(nothing),
                      (struct slice){0}))
        instance->progress_ms = now_ms;
}

/* Requests are in flight: does it take what we send? */
static void tick_busy(struct instance *instance, uint64_t now_ms)
{
    uint32_t tail = instance->channel.out.peer;
    instance->trimmed = false;
    if (tail != instance->tail_seen) {
        instance->tail_seen = tail;
        instance->progress_ms = now_ms;
    }
    uint64_t quiet_ms = now_ms - instance->progress_ms;
    if (tail == instance->channel.out.index) { /* it has taken all */
        instance->lagging = false;
        instance->busy_ticks = 0;
        if (quiet_ms > LAGGING_MS) /* a frame that means nothing: will it be taken? */
            ping(instance, now_ms);
        return;
    }
    instance->busy_ticks++;
    uint64_t lagging_ms = instance->tail_seen ? LAGGING_MS : LAGGING_AT_FIRST_MS;
    if (quiet_ms > lagging_ms && !instance->lagging) {
        instance->lagging = true;
        if (!instance->deployment->prisma) /* it has one instance, and no others for it */
            move_waiting_requests(instance);
    } else if (quiet_ms <= lagging_ms) {
        instance->lagging = false;
    }
    if (quiet_ms > instance->deployment->cpu_ms + STUCK_GRACE_MS)
        instance_kill(instance, KILL_STUCK, "it does not react");
}

static void end_late(struct request *request)
{
    const char *text = "The worker did not answer within its time limit";
    access_log_failure(request->deployment, FAILURE_TIMEOUT, text, &request, 1);
    dispatch_fail(request, FAILURE_TIMEOUT, text, (struct slice){0});
}

static void tick_wall_limit(struct instance *instance, uint64_t now_ms)
{
    for (int i = 0, seen = 0; i < SLOTS_MAX && seen < (int)instance->in_flight; i++) {
        struct request *request = instance->slots[i];
        if (!request)
            continue;
        seen++;
        if (now_ms < request->deadline_ms)
            continue;
        struct frame_abort frame = {request->id, 1, 0};
        if (!dispatch_send(instance, FRAME_ABORT, request->slot, request->id, &frame, sizeof(frame),
                           (struct slice){0}))
            return; /* the next tick tries again */
        if (request->state != REQUEST_ANSWERED)
            end_late(request);
        else
            caller_request_over(request);
        request->state = REQUEST_ANSWERED;
        request->deadline_ms = now_ms + request->deployment->wall_ms;
    }
}

static void tick_instance(struct instance *instance, uint64_t now_ms)
{
    if (instance->killed || !instance_looked_at(instance))
        return;
    note_start(instance);
    resume(instance);
    if (instance->retiring && !instance->retire_sent)
        retire(instance);
    if (instance->in_flight == 0) {
        tick_idle(instance, now_ms);
        return;
    }
    tick_busy(instance, now_ms);
    tick_wall_limit(instance, now_ms);
}

struct deployment *deployment_successor(const struct deployment *deployment)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->current && d->worker == deployment->worker)
            return d;
    return NULL;
}

static void tick_queue(struct deployment *deployment, uint64_t now_ms)
{
    if (!deployment->current && deployment->queue_first)
        dispatch_move_queue(deployment, deployment_successor(deployment));
    if (deployment->spawning > 0 &&
        clock_monotonic_us() - deployment->spawn_asked_us > SPAWN_TIMEOUT_MS * 1000ull)
        deployment->spawning = 0; /* the answer got lost with a restarted process */
    if (deployment->queue_first)
        dispatch_pump(deployment);
    dispatch_shed_late(deployment, now_ms);
}

/* All instances have had work waiting for a while: one more, as long as there are processors for
 * it. (Instances that are held up, not busy, are another matter: the queue asks for those.) */
static bool is_saturated(const struct deployment *deployment, uint32_t alive)
{
    uint32_t useful = gateway.cpus > 2 ? (uint32_t)gateway.cpus - 1 : 1;
    if (deployment->spawning > 0 || alive == 0 || alive >= useful ||
        alive >= deployment->instances_max)
        return false;
    for (const struct instance *i = deployment->instances; i; i = i->next)
        if (!i->retiring && i->busy_ticks < BUSY_TICKS)
            return false;
    return true;
}

static void tick_deployment(struct deployment *deployment, uint64_t now_ms)
{
    for (struct instance *i = deployment->instances; i; i = i->next)
        tick_instance(i, now_ms);
    tick_queue(deployment, now_ms);
    if (!deployment->current || !deployment->has_code || gateway.draining || deployment->failed)
        return;
    uint32_t alive = instances_alive(deployment);
    if (alive < deployment->instances_min) {
        dispatch_ask_for_instances(deployment, deployment->instances_min - alive);
    } else if (is_saturated(deployment, alive)) {
        for (struct instance *i = deployment->instances; i; i = i->next)
            i->busy_ticks = 0;
        dispatch_ask_for_instances(deployment, 1);
    }
}

void dispatch_tick(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->instances || d->queue_first || d->spawning || d->instances_min)
            tick_deployment(d, now_ms);
}

void dispatch_give_back(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    struct instance *oldest = NULL;
    for (struct deployment *d = gateway.deployments; d; d = d->next) {
        if (instances_alive(d) <= d->instances_min)
            continue;
        for (struct instance *i = d->instances; i; i = i->next)
            if (!i->retiring && i->in_flight == 0 && now_ms - i->idle_since_ms >= GIVE_BACK_MS &&
                !has_open(i, now_ms) && (!oldest || i->idle_since_ms < oldest->idle_since_ms))
                oldest = i;
    }
    if (oldest)
        retire(oldest);
}

/* Those whose transactions may be open get the requests of these, and no others. */
void dispatch_leave_old(void)
{
    uint64_t now_ms = loop_now_ms(gateway.loop);
    for (struct deployment *d = gateway.deployments; d; d = d->next) {
        if (d->current)
            continue;
        for (struct instance *i = d->instances; i; i = i->next)
            if (!d->prisma || (i->in_flight == 0 && !has_open(i, now_ms)))
                retire(i);
        dispatch_move_queue(d, deployment_successor(d));
    }
}

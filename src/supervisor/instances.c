/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: their channels, who is told of them, and the spare ones.
 *
 * Forking, and copying the pages that a new process writes first, is half of a cold start or more.
 * A worker that starts instances again and again has one more forked, soon after the last, of which
 * nobody is told until the next one is asked for: that finds it asleep on its rings. It goes when
 * none was asked for in a while, and before anything else when memory is short. */
#include <errno.h>
#include <string.h>

#include "channel.h"
#include "http_frames.h"
#include "log.h"
#include "state.h"

enum {
    SPARES_MAX = 32,       /* a descriptor or nine each */
    SPARE_FOR_MS = 300000, /* after the last start; who starts none within this has no use for it */
    SPARE_AFTER_MS = 30,   /* without a start: the processors have other things to do in a burst */
    SPARE_AGAIN_MS =
        10000, /* after one was dropped that nobody used, or that there was no room for */
};

static int spares_count;

static int fds_count_of(const struct deployment *deployment)
{
    return (deployment->has_databases ? 3 : 2) * CHANNEL_FDS;
}

static void close_fds(int *fds)
{
    for (int i = 0; i < INSTANCE_FDS_MAX; i++)
        fd_close(&fds[i]);
}

static void tell_gone(uint32_t type, const struct deployment *deployment, uint32_t instance_id,
                      int gateway, int status, const char *text)
{
    char message[sizeof(struct control_gone) + 4096];
    struct control_gone gone = {instance_id, deployment->id, status, (uint32_t)strnlen(text, 4096)};
    memcpy(message, &gone, sizeof(gone));
    memcpy(message + sizeof(gone), text, gone.text_bytes);
    supervisor_tell_gateway(gateway, type, message, (uint32_t)sizeof(gone) + gone.text_bytes, NULL,
                            0);
}

void instances_refuse(const struct deployment *deployment, int gateway, const char *text)
{
    tell_gone(CONTROL_SPAWN_FAILED, deployment, 0, gateway, 0, text);
}

/* Makes the channels and has the template fork. On failure all fds are -1. */
static int order_fork(struct deployment *deployment, struct control_instance *order, int *fds)
{
    memset(fds, -1, INSTANCE_FDS_MAX * sizeof(fds[0]));
    order->instance_id = supervisor.next_instance_id++;
    order->deployment_id = deployment->id;
    int r = channel_create(GATEWAY_RING_BYTES, fds);
    if (r == 0)
        r = channel_create(BROKER_RING_BYTES, fds + CHANNEL_FDS);
    if (r == 0 && deployment->has_databases)
        r = channel_create(POOL_RING_BYTES, fds + 2 * CHANNEL_FDS);
    if (r == 0)
        r = supervisor_send(&deployment->unsent, &deployment->source, CONTROL_FORK, order,
                            sizeof(*order), fds, fds_count_of(deployment));
    if (r < 0)
        close_fds(fds);
    return r;
}

/* Gateway, broker and pool may write to it before it even runs. */
static void introduce(struct deployment *deployment, int gateway,
                      const struct control_instance *order, int *fds)
{
    deployment_add_instance(deployment, order->instance_id, gateway);
    supervisor_tell_gateway(gateway, CONTROL_INSTANCE, order, sizeof(*order), fds, CHANNEL_FDS);
    (void)supervisor_tell(&supervisor.broker, CONTROL_ATTACH, order, sizeof(*order),
                          fds + CHANNEL_FDS, CHANNEL_FDS);
    if (deployment->has_databases)
        (void)supervisor_tell(&supervisor.pool, CONTROL_ATTACH, order, sizeof(*order),
                              fds + 2 * CHANNEL_FDS, CHANNEL_FDS);
    close_fds(fds);
}

/* ---- spare ones ---- */

bool instances_has_spare(const struct deployment *deployment)
{
    return deployment->spare.order.instance_id != 0;
}

static void forget_spare(struct deployment *deployment)
{
    close_fds(deployment->spare.fds);
    deployment->spare.order.instance_id = 0;
    spares_count--;
}

void instances_drop_spare(struct deployment *deployment)
{
    loop_timer_stop(supervisor.loop, &deployment->spare.timer);
    if (!instances_has_spare(deployment))
        return;
    (void)instances_end(deployment, deployment->spare.order.instance_id, KILL_IDLE);
    forget_spare(deployment);
    deployment->spare.not_before_ms = loop_now_ms(supervisor.loop) + SPARE_AGAIN_MS;
}

struct deployment *instances_oldest_spare(void)
{
    struct deployment *oldest = NULL;
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (instances_has_spare(d) && (!oldest || d->forked_ms < oldest->forked_ms))
            oldest = d;
    return oldest;
}

static void on_spare_unused(struct loop_timer *timer)
{
    instances_drop_spare(CONTAINER_OF(timer, struct deployment, spare.timer));
}

static void on_spare_due(struct loop_timer *timer)
{
    struct deployment *deployment = CONTAINER_OF(timer, struct deployment, spare.timer);
    if (instances_has_spare(deployment) || deployment->state != TEMPLATE_READY ||
        !deployment->current || !templates_have_room())
        return;
    if (rehearsals_come_first(deployment) || spares_count == SPARES_MAX)
        return;
    if (order_fork(deployment, &deployment->spare.order, deployment->spare.fds) < 0) {
        deployment->spare.order.instance_id = 0;
        return;
    }
    spares_count++;
    loop_timer_start(supervisor.loop, timer, SPARE_FOR_MS, on_spare_unused);
}

void instances_spare_soon(struct deployment *deployment)
{
    if (loop_now_ms(supervisor.loop) >= deployment->spare.not_before_ms &&
        !instances_has_spare(deployment))
        loop_timer_start(supervisor.loop, &deployment->spare.timer, SPARE_AFTER_MS, on_spare_due);
}

/* The second start within a while is not the last. */
static void think_of_spare(struct deployment *deployment, int cpu)
{
    uint64_t now_ms = loop_now_ms(supervisor.loop), before_ms = deployment->forked_ms;
    deployment->forked_ms = now_ms;
    if (before_ms == 0 || now_ms - before_ms > SPARE_FOR_MS || instances_has_spare(deployment))
        return;
    deployment->spare.order.cpu = cpu;
    instances_spare_soon(deployment);
}

/* A reload may have changed what it needs, and another gateway may keep to another CPU. */
static bool is_usable_spare(const struct deployment *deployment, int cpu)
{
    return instances_has_spare(deployment) && deployment->spare.order.cpu == cpu &&
           (deployment->spare.fds[2 * CHANNEL_FDS] >= 0) == deployment->has_databases;
}

/* ---- their life ---- */

void instances_fork(struct deployment *deployment, int gateway)
{
    int cpu = supervisor_cpu(gateway), fds[INSTANCE_FDS_MAX], r = 0;
    struct control_instance order = {.cpu = cpu};
    if (is_usable_spare(deployment, cpu)) {
        introduce(deployment, gateway, &deployment->spare.order, deployment->spare.fds);
        forget_spare(deployment);
    } else if ((r = order_fork(deployment, &order, fds)) == 0) {
        introduce(deployment, gateway, &order, fds);
    } else {
        log_error("%s: cannot make an instance: %s", deployment->name, strerror(-r));
        instances_refuse(deployment, gateway, "");
    }
    think_of_spare(deployment, cpu);
}

int instances_end(struct deployment *deployment, uint32_t instance_id, uint32_t reason)
{
    struct control_kill order = {instance_id, reason};
    return deployment->control < 0 ? 0
                                   : supervisor_send(&deployment->unsent, &deployment->source,
                                                     CONTROL_END, &order, sizeof(order), NULL, 0);
}

void instances_forget(struct deployment *deployment, uint32_t instance_id, int status,
                      const char *text)
{
    struct instance_ref *ref = deployment_find_instance(deployment, instance_id);
    if (!ref) {
        if (instances_has_spare(deployment) && deployment->spare.order.instance_id == instance_id)
            instances_drop_spare(deployment);
        return;
    }
    tell_gone(CONTROL_INSTANCE_GONE, deployment, instance_id, ref->gateway, status, text);
    struct control_gone gone = {instance_id, deployment->id, status, 0};
    (void)supervisor_tell(&supervisor.broker, CONTROL_DETACH, &gone, sizeof(gone), NULL, 0);
    if (deployment->has_databases)
        pool_child_tell_all(CONTROL_DETACH, &gone, sizeof(gone));
    deployment_remove_instance(deployment, instance_id);
    deployment->used_ms = loop_now_ms(supervisor.loop);
}

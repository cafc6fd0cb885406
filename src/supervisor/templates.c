/* SPDX-License-Identifier: Apache-2.0 */
/* Templates and instances: who asks for one gets it as soon as the template is there. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

enum {
    STARTUP_MS_MAX = 30000,      /* a template that is not ready by then never will be */
    FAILED_RETRY_MS = 5000,      /* a failed start is tried again after this, when asked for */
    STARTING_MAX = 16,           /* templates at once: more would only share the processors */
    INSTANCE_KB_ESTIMATE = 6144, /* an instance's own memory, for the budget */
    TEMPLATE_KB_MIN = 1024,      /* whatever it says */
};

struct deployment *supervisor_find(uint32_t deployment_id)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->id == deployment_id)
            return d;
    return NULL;
}

static void fork_waiting(struct deployment *deployment)
{
    if (supervisor.broker.process.control < 0 ||
        (deployment->has_databases && supervisor.pool.process.control < 0))
        return; /* templates_resume, when it is back */
    for (int gateway = 0; gateway < supervisor.gateways_count; gateway++)
        for (; deployment->waiting[gateway]; deployment->waiting[gateway]--)
            instances_fork(deployment, gateway);
}

static void refuse_waiting(struct deployment *deployment, const char *text)
{
    for (int gateway = 0; gateway < supervisor.gateways_count; gateway++)
        for (; deployment->waiting[gateway]; deployment->waiting[gateway]--)
            instances_refuse(deployment, gateway, text);
}

static int starting_count;

static void set_state(struct deployment *deployment, enum template_state state)
{
    starting_count += (state == TEMPLATE_STARTING) - (deployment->state == TEMPLATE_STARTING);
    deployment->state = state;
    deployment->state_since_ms = loop_now_ms(supervisor.loop);
}

static void let_go(struct deployment *deployment, enum template_state state)
{
    instances_drop_spare(deployment);
    loop_remove(supervisor.loop, &deployment->source);
    fd_close(&deployment->control);
    ipc_queue_clear(&deployment->unsent);
    set_state(deployment, state);
}

static bool is_waited_for(const struct deployment *deployment)
{
    for (int gateway = 0; gateway < supervisor.gateways_count; gateway++)
        if (deployment->waiting[gateway])
            return true;
    return false;
}

static void forget_seed(struct deployment *deployment)
{
    fd_close(&deployment->seed_fd);
    deployment->seed_is_new = deployment->seeded;
}

/* What strangers taught its instances may be what keeps it from starting. */
static bool tries_without_seed(struct deployment *deployment, const char *text)
{
    if (!deployment->seeded)
        return false;
    log_lines(LOG_WARN,
              "%s: what its instances learned keeps it from starting, and is forgotten: %s",
              deployment->name, text);
    forget_seed(deployment);
    let_go(deployment, TEMPLATE_NONE);
    deployment->start_owed = true;
    return true;
}

static void on_failed(struct deployment *deployment, const char *text)
{
    if (tries_without_seed(deployment, text))
        return;
    log_lines(LOG_ERROR, "%s: the worker does not start: %s", deployment->name, text);
    free(deployment->failure);
    deployment->failure = xstrdup(text);
    let_go(deployment, TEMPLATE_FAILED);
    refuse_waiting(deployment, text);
}

/* It may be well, or have closed its socket and live on: the nursery ends it in any case, and tells
 * when it is gone. */
static void end_template(struct deployment *deployment)
{
    struct control_template_end order = {deployment->limits.template_id, 0};
    (void)supervisor_tell(&supervisor.nursery, CONTROL_TEMPLATE_END, &order, sizeof(order), NULL,
                          0);
    let_go(deployment, TEMPLATE_ENDING);
}

/* ---- the memory budget ---- */

static uint64_t used_kb(void)
{
    uint64_t used = 0;
    for (const struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->state == TEMPLATE_READY)
            used += d->private_kb +
                    (uint64_t)(d->instances_count + instances_has_spare(d)) * INSTANCE_KB_ESTIMATE;
    return used;
}

bool templates_have_room(void)
{
    uint64_t max_kb = supervisor.memory_bytes_max / 1024;
    return max_kb == 0 || used_kb() + INSTANCE_KB_ESTIMATE <= max_kb;
}

static struct deployment *longest_unused(void)
{
    struct deployment *oldest = NULL;
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->state == TEMPLATE_READY && d->instances_count == 0 &&
            (!oldest || d->used_ms < oldest->used_ms))
            oldest = d;
    return oldest;
}

/* Spare instances first, then templates without instances. When there are none left it is the turn
 * of instances that have nothing to do, which only their gateways know. Each that ends brings us
 * here again, and its template goes before the next one is asked for. */
static void make_room(void)
{
    uint64_t used, max_kb = supervisor.memory_bytes_max / 1024;
    struct deployment *oldest;
    if (max_kb == 0)
        return;
    while (used_kb() > max_kb && (oldest = instances_oldest_spare()))
        instances_drop_spare(oldest);
    while ((used = used_kb()) > max_kb && (oldest = longest_unused())) {
        log_debug("%s: template evicted, %llu MB in use", oldest->name,
                  (unsigned long long)used / 1024);
        end_template(oldest);
    }
    if (used <= max_kb)
        return;
    for (int i = 0; i < supervisor.gateways_count; i++)
        supervisor_tell_gateway(i, CONTROL_RETIRE, NULL, 0, NULL, 0);
}

/* A template ran strangers' code: it could not have more than its limit. */
static uint32_t believable_kb(const struct deployment *deployment, uint32_t told_kb)
{
    uint32_t max_kb = deployment->limits.memory_bytes_max / 1024;
    return told_kb > max_kb ? max_kb : told_kb < TEMPLATE_KB_MIN ? TEMPLATE_KB_MIN : told_kb;
}

/* ---- templates ---- */

static void on_exit_message(struct deployment *deployment, const struct ipc_message *message)
{
    struct control_gone gone;
    if (message->bytes < sizeof(gone))
        return;
    memcpy(&gone, message->payload, sizeof(gone));
    if (gone.text_bytes != message->bytes - sizeof(gone))
        return;
    AUTO_TEXT text = xstrndup(message->payload + sizeof(gone), gone.text_bytes);
    if (message->type == CONTROL_TEMPLATE_FAILED && deployment->state == TEMPLATE_STARTING) {
        on_failed(deployment, text);
    } else if (message->type == CONTROL_EXIT) {
        instances_forget(deployment, gone.instance_id, gone.status, text);
        if (deployment->seeded && WIFEXITED(gone.status) &&
            WEXITSTATUS(gone.status) == EXIT_OUT_OF_MEMORY)
            forget_seed(deployment); /* it may be what there was no room beside */
        make_room();
    }
}

static void on_template_message(struct deployment *deployment, const struct ipc_message *message)
{
    switch (message->type) {
    case CONTROL_TEMPLATE_READY: {
        struct control_template_ready ready;
        if (message->bytes != sizeof(ready) || deployment->state != TEMPLATE_STARTING)
            return;
        memcpy(&ready, message->payload, sizeof(ready));
        set_state(deployment, TEMPLATE_READY);
        deployment->got_ready = true;
        rehearsals_begin(deployment);
        deployment->private_kb = believable_kb(deployment, ready.private_kb);
        log_debug("%s: template ready after %u.%u ms", deployment->name, ready.startup_us / 1000,
                  ready.startup_us / 100 % 10);
        fork_waiting(deployment);
        make_room();
        return;
    }
    case CONTROL_REHEARSED: {
        struct control_rehearsed told;
        if (message->bytes != sizeof(told) || deployment->state != TEMPLATE_READY)
            return;
        memcpy(&told, message->payload, sizeof(told));
        deployment->private_kb = believable_kb(deployment, told.private_kb);
        rehearsals_told(deployment, told.done);
        make_room();
        return;
    }
    case CONTROL_TEMPLATE_FAILED:
    case CONTROL_EXIT:
        on_exit_message(deployment, message);
        return;
    default: /* a template runs strangers' code: what it invents is dropped */
        return;
    }
}

static void read_template(struct deployment *deployment)
{
    static struct ipc_message message;
    int r;
    while (deployment->control >= 0 && (r = ipc_recv(deployment->control, &message)) != -EAGAIN) {
        if (r <= 0) {
            end_template(deployment);
            return;
        }
        on_template_message(deployment, &message);
        ipc_close_fds(&message);
    }
}

static void start_owed(void);

static void on_template_ready_to_read(struct loop_source *source, uint32_t events)
{
    struct deployment *deployment = CONTAINER_OF(source, struct deployment, source);
    if (events & EPOLLOUT)
        supervisor_flush(&deployment->unsent, source);
    read_template(deployment);
    start_owed();
}

/* Negative errno, with the reason in err when it is the deployment's own. */
static int send_to_nursery(struct deployment *deployment, struct error *err)
{
    int pair[2];
    AUTO_FD bundle = open(deployment->bundle_path, O_RDONLY | O_CLOEXEC);
    if (bundle < 0)
        return error_set(err, -errno, "cannot open its bundle %s: %s", deployment->bundle_path,
                         strerror(errno));
    int r = ipc_pair(pair);
    if (r < 0)
        return error_set(err, r, "cannot make a control socket: %s", strerror(-r));
    int fds[3] = {bundle, pair[1], deployment->seed_fd};
    deployment->limits.template_id = supervisor.next_template_id++;
    r = supervisor_tell(&supervisor.nursery, CONTROL_TEMPLATE, &deployment->limits,
                        sizeof(deployment->limits), fds, deployment->seed_fd < 0 ? 2 : 3);
    (void)close(pair[1]);
    if (r == 0)
        r = loop_add(supervisor.loop, &deployment->source, pair[0], EPOLLIN,
                     on_template_ready_to_read);
    if (r < 0)
        (void)close(pair[0]);
    else
        deployment->control = pair[0];
    return r;
}

void templates_start(struct deployment *deployment)
{
    struct error err = {""};
    if (!deployment->bundle_path ||
        (deployment->state != TEMPLATE_NONE && deployment->state != TEMPLATE_FAILED))
        return;
    deployment->start_owed = true;
    deployment->renewing = deployment->seeded = false;
    if (starting_count >= STARTING_MAX || supervisor.nursery.process.control < 0)
        return;
    int r = send_to_nursery(deployment, &err);
    if (r < 0 && !err.text[0])
        return; /* the nursery has ended or is busy */
    deployment->start_owed = false;
    if (r < 0) {
        on_failed(deployment, err.text);
        return;
    }
    deployment->got_ready = deployment->seed_is_new = false;
    deployment->seeded = deployment->seed_fd >= 0;
    deployment->used_ms = loop_now_ms(supervisor.loop);
    set_state(deployment, TEMPLATE_STARTING);
}

static struct deployment *next_owed(void)
{
    struct deployment *first = NULL;
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->start_owed && (!first || d->used_ms < first->used_ms))
            first = d;
    return first;
}

/* Starts what is owed, who asked first comes first. */
static void start_owed(void)
{
    struct deployment *next;
    while (starting_count < STARTING_MAX && (next = next_owed())) {
        templates_start(next);
        if (next->start_owed)
            return;
    }
}

void templates_resume(void)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->state == TEMPLATE_READY)
            fork_waiting(d);
    start_owed();
}

void templates_take_seed(const struct deployment *deployment, int fd)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next) {
        int copy = strcmp(d->name, deployment->name) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (copy < 0)
            continue;
        fd_close(&d->seed_fd);
        d->seed_fd = copy;
        d->seed_is_new = true;
    }
}

/* The instances that taught it have left: the next ones find a template that knows. */
static bool is_to_learn(const struct deployment *deployment)
{
    return deployment->seed_is_new && deployment->current && !deployment->instances &&
           deployment->state == TEMPLATE_READY && !is_waited_for(deployment);
}

void templates_spawn(struct deployment *deployment, int gateway)
{
    uint64_t now_ms = loop_now_ms(supervisor.loop);
    if (!deployment->start_owed)
        deployment->used_ms = now_ms;
    if (deployment->state == TEMPLATE_FAILED &&
        now_ms - deployment->state_since_ms < FAILED_RETRY_MS) {
        instances_refuse(deployment, gateway, deployment->failure);
        return;
    }
    deployment->waiting[gateway]++;
    if (deployment->state == TEMPLATE_READY)
        fork_waiting(deployment);
    else
        templates_start(deployment);
}

static void end_instance(struct deployment *deployment, uint32_t instance_id, uint32_t reason)
{
    if (instances_end(deployment, instance_id, reason) == -ENOBUFS)
        end_template(deployment); /* it has not read for long: strangers' code holds it up */
}

void templates_kill(uint32_t instance_id, int gateway, uint32_t reason)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next) {
        struct instance_ref *ref = deployment_find_instance(d, instance_id);
        if (ref && ref->gateway == gateway)
            end_instance(d, instance_id, reason);
    }
}

/* The template is gone, and so are its instances. */
static void on_gone(struct deployment *deployment, const char *why, int status)
{
    let_go(deployment, TEMPLATE_NONE);
    while (deployment->instances)
        instances_forget(deployment, deployment->instances->instance_id, status, why);
}

void templates_all_gone(void)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->state != TEMPLATE_NONE && d->state != TEMPLATE_FAILED) {
            on_gone(d, "the nursery ended", 0);
            d->start_owed = is_waited_for(d);
        }
}

void templates_end_instances(int gateway, bool of_databases)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next) {
        if (of_databases && !d->has_databases)
            continue;
        for (struct instance_ref *ref = d->instances; ref; ref = ref->next) {
            if (gateway < 0 || ref->gateway == gateway)
                end_instance(d, ref->instance_id, KILL_IDLE);
        }
        if (gateway >= 0)
            d->waiting[gateway] = 0;
    }
}

void templates_tidy(void)
{
    uint64_t now_ms = loop_now_ms(supervisor.loop);
    for (struct deployment **place = &supervisor.deployments; *place;) {
        struct deployment *d = *place;
        if (d->state == TEMPLATE_STARTING && now_ms - d->state_since_ms > STARTUP_MS_MAX) {
            end_template(d);
            on_failed(d, "it did not finish its global scope in time");
        }
        if (is_to_learn(d)) {
            d->renewing = true;
            end_template(d);
        }
        if (!d->current)
            instances_drop_spare(d);
        bool wanted = d->current || d->instances;
        if (!wanted && (d->state == TEMPLATE_STARTING || d->state == TEMPLATE_READY))
            end_template(d);
        if (wanted || d->state == TEMPLATE_ENDING) {
            place = &d->next;
            continue;
        }
        *place = d->next;
        deployment_free(&d);
    }
    templates_resume();
    make_room();
}

static struct deployment *find_template(uint32_t template_id)
{
    for (struct deployment *d = supervisor.deployments; d; d = d->next)
        if (d->limits.template_id == template_id && d->state != TEMPLATE_NONE &&
            d->state != TEMPLATE_FAILED)
            return d;
    return NULL;
}

void templates_on_nursery_message(struct ipc_message *message)
{
    struct control_template_end gone;
    if (message->type != CONTROL_TEMPLATE_GONE || message->bytes != sizeof(gone))
        return;
    memcpy(&gone, message->payload, sizeof(gone));
    struct deployment *deployment = find_template(gone.template_id);
    if (deployment && deployment->control >= 0)
        read_template(deployment); /* what it said before it ended */
    if (!deployment || deployment->state == TEMPLATE_FAILED)
        return; /* it told why */
    if (deployment->state == TEMPLATE_NONE) {
        start_owed(); /* the same, and it is tried once more */
        return;
    }
    const char *how = process_status_text(gone.status);
    on_gone(deployment, how, gone.status);
    if (!deployment->current && !is_waited_for(deployment))
        return; /* another version has come meanwhile */
    if (!deployment->got_ready) {
        AUTO_TEXT text = xasprintf("its global scope: %s", how);
        on_failed(deployment, text);
    } else if (is_waited_for(deployment) || deployment->renewing) {
        deployment->start_owed = true;
    }
    start_owed();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's listeners, which outlive it, and what it is told. It alone gets the plan's part with
 * the secrets of databases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "state.h"

enum { BACKLOG = 4096 };

static bool listener_is_for(const struct pool_listener *listener, const json_t *entry)
{
    const char *path = plan_text(entry, "path"), *address = plan_text(entry, "address");
    if (path)
        return listener->path && strcmp(listener->path, path) == 0;
    return !listener->path && strcmp(listener->tcp.address, address) == 0 &&
           listener->tcp.port == (int)plan_integer(entry, "port", 0);
}

/* Does somebody answer there? Else the file was left behind. */
static bool is_alive(const struct sockaddr_un *address)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                       (errno != ECONNREFUSED && errno != ENOENT));
}

/* Before anybody can connect, and again at a reload that says something else. */
static int give_rights(const char *path, const json_t *entry, struct error *err)
{
    const char *mode = plan_text(entry, "mode");
    int64_t group = plan_integer(entry, "gid", -1);
    if (group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0)
        return error_set(err, -errno, "cannot give %s to the group %lld of unix_socket_group: %s",
                         path, (long long)group, strerror(errno));
    if (chmod(path, mode ? (mode_t)strtol(mode, NULL, 8) : 0777) < 0)
        return error_set(err, -errno, "cannot set the rights of %s: %s", path, strerror(errno));
    return 0;
}

static int open_unix(const char *path, const json_t *entry, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat stat;
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, -ENAMETOOLONG, "cannot listen on %s: the path is too long", path);
    strcpy(address.sun_path, path);
    if (lstat(path, &stat) == 0 && !S_ISSOCK(stat.st_mode))
        return error_set(err, -EEXIST, "cannot listen on %s: it is there, and no socket", path);
    if (is_alive(&address))
        return error_set(err, -EADDRINUSE,
                         "cannot listen on %s: another program listens there; stop it or choose "
                         "another path",
                         path);
    (void)unlink(path);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    int r = give_rights(path, entry, err);
    if (r < 0)
        return r;
    if (listen(fd, BACKLOG) < 0)
        return error_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
    int result = fd;
    fd = -1;
    return result;
}

static int open_one(struct pool_listener *listener, const json_t *entry, struct error *err)
{
    const char *path = plan_text(entry, "path");
    *listener = (struct pool_listener){.fd = -1};
    if (path) {
        listener->fd = open_unix(path, entry, err);
        if (listener->fd >= 0)
            listener->path = xstrdup(path);
        return listener->fd < 0 ? listener->fd : 0;
    }
    listener->tcp = (struct listener){.address = xstrdup(plan_text(entry, "address")),
                                      .port = (int)plan_integer(entry, "port", 0)};
    int r = supervisor_listen(&listener->tcp, 1, err);
    if (r < 0)
        supervisor_close_listener(&listener->tcp);
    else
        listener->fd = listener->tcp.fds[0];
    return r;
}

static void close_one(struct pool_listener *listener)
{
    if (listener->path) {
        (void)unlink(listener->path);
        fd_close(&listener->fd);
        text_free(&listener->path);
    } else {
        supervisor_close_listener(&listener->tcp);
    }
}

static struct pool_listener *find(const json_t *entry)
{
    for (int i = 0; i < supervisor.pool_listeners_count; i++)
        if (listener_is_for(&supervisor.pool_listeners[i], entry))
            return &supervisor.pool_listeners[i];
    return NULL;
}

int pool_child_listen(const struct plan *plan, struct error *err)
{
    size_t index;
    json_t *entry, *pool = json_object_get(plan->json, "pool");
    const json_t *before = json_object_get(supervisor.plan.json, "pool");
    if (supervisor.pool_listeners_count > 0 &&
        json_is_true(json_object_get(pool, "listeners_stay")))
        (void)json_object_set(pool, "listeners", json_object_get(before, "listeners"));
    for (int i = 0; i < supervisor.pool_listeners_count; i++)
        supervisor.pool_listeners[i].wanted = false;
    json_array_foreach(json_object_get(pool, "listeners"), index, entry)
    {
        struct pool_listener *listener = find(entry);
        if (!listener) {
            if (supervisor.pool_listeners_count == LISTENERS_MAX)
                return error_set(err, -E2BIG, "more than %d listeners of the pool", LISTENERS_MAX);
            listener = &supervisor.pool_listeners[supervisor.pool_listeners_count];
            int r = open_one(listener, entry, err);
            if (r < 0)
                return r;
            supervisor.pool_listeners_count++;
        } else if (listener->path) {
            int r = give_rights(listener->path, entry, err);
            if (r < 0)
                return r;
        }
        listener->wanted = true;
        if (!listener->path)
            (void)json_object_set_new(entry, "bound_port", json_integer(listener->tcp.bound_port));
    }
    return 0;
}

void pool_child_keep_part(struct plan *plan)
{
    fd_close(&supervisor.pool_part_fd);
    if (json_object_get(plan->json, "pool"))
        supervisor.pool_part_fd = plan_pool_part(plan);
    if (supervisor.pool_part_fd < -1)
        log_error("cannot make the pool's plan: %s", strerror(-supervisor.pool_part_fd));
    plan_forget_secrets(plan);
}

void pool_child_drop_listeners(bool all)
{
    int kept = 0;
    for (int i = 0; i < supervisor.pool_listeners_count; i++)
        if (supervisor.pool_listeners[i].wanted && !all)
            supervisor.pool_listeners[kept++] = supervisor.pool_listeners[i];
        else
            close_one(&supervisor.pool_listeners[i]);
    supervisor.pool_listeners_count = kept;
}

static int plan_fds(int fds[IPC_FDS_MAX])
{
    int count = 0;
    size_t index;
    json_t *entry;
    fds[count++] = supervisor.pool_part_fd;
    json_array_foreach(json_object_get(json_object_get(supervisor.plan.json, "pool"), "listeners"),
                       index, entry)
    {
        struct pool_listener *listener = find(entry);
        if (listener && count < IPC_FDS_MAX)
            fds[count++] = listener->fd;
    }
    return count;
}

void pool_child_send_plan(void)
{
    int fds[IPC_FDS_MAX];
    if (supervisor.pool_part_fd < 0 || supervisor.pool.process.control < 0)
        return;
    bool first = supervisor.pool.plan_number++ == 0;
    if (first) {
        struct control_take_over order = {supervisor.pool_generation++};
        (void)supervisor_tell(&supervisor.pool, CONTROL_TAKE_OVER, &order, sizeof(order),
                              &supervisor.take_over_fd, supervisor.take_over_fd >= 0);
        fd_close(&supervisor.take_over_fd);
    }
    supervisor.pool.plan_taken = false;
    supervisor.untold = true;
    (void)supervisor_tell(&supervisor.pool, CONTROL_PLAN, NULL, 0, fds, plan_fds(fds));
    if (first && supervisor.pool_paused) /* it can not know of it */
        (void)supervisor_tell(&supervisor.pool, CONTROL_PAUSE, NULL, 0, NULL, 0);
}

void pool_child_send_plan_to_old(void)
{
    int fds[IPC_FDS_MAX];
    for (int i = 0; i < OLD_POOLS_MAX && supervisor.pool_part_fd >= 0; i++)
        if (supervisor.old_pools[i].process.pid)
            (void)supervisor_tell(&supervisor.old_pools[i], CONTROL_PLAN, NULL, 0, fds,
                                  plan_fds(fds));
}

/* ---- restart ---- */

void pool_child_tell_all(uint32_t type, const void *payload, uint32_t bytes)
{
    (void)supervisor_tell(&supervisor.pool, type, payload, bytes, NULL, 0);
    for (int i = 0; i < OLD_POOLS_MAX; i++)
        if (supervisor.old_pools[i].process.pid)
            (void)supervisor_tell(&supervisor.old_pools[i], type, payload, bytes, NULL, 0);
}

bool pool_child_any(void)
{
    bool any = supervisor.pool.process.pid != 0;
    for (int i = 0; i < OLD_POOLS_MAX; i++)
        any = any || supervisor.old_pools[i].process.pid != 0;
    return any;
}

static struct child *free_place(void)
{
    for (int i = 0; i < OLD_POOLS_MAX; i++)
        if (supervisor.old_pools[i].process.pid == 0)
            return &supervisor.old_pools[i];
    return NULL;
}

void pool_child_restart(void)
{
    struct child *old = free_place();
    int fds[2];
    if (supervisor.stopping)
        log_warn("got SIGUSR2 while shutting down, ignoring it");
    if (supervisor.stopping || supervisor.pool.process.pid == 0 ||
        supervisor.pool.process.control < 0)
        return;
    if (!old || supervisor.handing_over) {
        log_warn("the pool is not restarted: %s",
                 old ? "a restart is under way" : "too many old ones still have clients");
        return;
    }
    if (ipc_pair(fds) < 0)
        return;
    log_info("the pool is started anew; its clients go along");
    loop_remove(supervisor.loop, &supervisor.pool.source);
    *old = supervisor.pool;
    if (supervisor_watch_child(old) < 0)
        log_warn("the old pool can not be heard any more");
    supervisor.pool =
        (struct child){.kind = CHILD_POOL, .process = {.control = -1, .newest = true}};
    supervisor.handing_over = old;
    supervisor.handover_fd = fds[0];
    supervisor.take_over_fd = fds[1];
    supervisor_start_child(&supervisor.pool);
}

void pool_child_hand_over(void)
{
    struct child *old = TAKE(supervisor.handing_over);
    if (!old)
        return;
    if (old->process.pid)
        (void)supervisor_tell(old, CONTROL_HAND_OVER, NULL, 0, &supervisor.handover_fd, 1);
    fd_close(&supervisor.handover_fd);
}

bool pool_child_old_ended(pid_t pid, int status)
{
    for (int i = 0; i < OLD_POOLS_MAX; i++) {
        struct child *old = &supervisor.old_pools[i];
        if (old->process.pid != pid)
            continue;
        if (status != 0)
            log_error("an old pool %s", process_status_text(status));
        loop_remove(supervisor.loop, &old->source);
        process_forget(&old->process);
        ipc_queue_clear(&old->unsent);
        return true;
    }
    return false;
}

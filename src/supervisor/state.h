/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's own state, shared by its files and by nobody else. */
#ifndef WEIR_SUPERVISOR_STATE_H
#define WEIR_SUPERVISOR_STATE_H

#include "deployment.h"
#include "ipc.h"
#include "ipc_queue.h"
#include "plan.h"
#include "process.h"
#include "supervisor.h"

enum { LISTENERS_MAX = 16, OLD_POOLS_MAX = 8, CHILD_RESTART_MS_MAX = 10000 };

enum child_kind { CHILD_GATEWAY, CHILD_BROKER, CHILD_NURSERY, CHILD_POOL };

/* A process that is started again when it ends. */
struct child {
    enum child_kind kind;
    int number; /* of gateways */
    struct process process;
    struct loop_source source;
    struct ipc_queue unsent;
    struct loop_timer restart;
    uint32_t failures; /* in a row */
    uint64_t started_ms;
    uint32_t plan_number; /* of gateways and the pool: of the plan that it was sent last */
    bool plan_taken;
};

/* A bound address. One socket a gateway (SO_REUSEPORT), so that the kernel spreads connections. */
struct listener {
    char *address;
    int port; /* as configured: 0 for any */
    int bound_port;
    int fds[GATEWAYS_MAX];
    int count;
    bool wanted; /* by the plan in force */
};

/* One of the pool's: TCP or a unix socket. */
struct pool_listener {
    struct listener tcp;
    char *path; /* NULL: TCP */
    int fd;
    bool wanted;
};

struct supervisor {
    const struct supervisor_options *options;
    struct loop *loop;
    struct plan plan;
    bool dev, stopping, loaded_once;
    bool pool_told;   /* to end, when it has done */
    bool pool_paused; /* all of it, by a signal or on its console */
    struct deployment *deployments;
    uint32_t next_deployment_id, next_template_id, next_instance_id;
    struct child gateways[GATEWAYS_MAX], broker, nursery, pool;
    struct child old_pools[OLD_POOLS_MAX]; /* after restarts: each until its last client has left */
    int pool_part_fd; /* of the plan, for the pool alone; its secrets are nowhere else. -1: no pool
                       */
    uint32_t pool_generation;      /* of the process that is started next */
    struct child *handing_over;    /* the one that waits for the new one to have its plan */
    int handover_fd, take_over_fd; /* the socket between the two; -1: none, or given to them */
    int gateways_count;
    int counters_fd;     /* messages/counters.h */
    char **worker_names; /* by number; a name keeps its number */
    uint32_t worker_names_count;
    bool pinned; /* each gateway, with its instances, to cpus[its number] */
    int cpus[GATEWAYS_MAX];
    struct listener listeners[LISTENERS_MAX], admin;
    int listeners_count;
    struct pool_listener pool_listeners[LISTENERS_MAX];
    int pool_listeners_count;
    pid_t loader_pid;
    uint32_t loads_count; /* that have begun */
    bool untold;          /* the plan is to be told of when everybody works by it */
    char *refusal;        /* why the load refused_load failed, to be told then; NULL: none did */
    uint32_t refused_load;
    int loader_fd;        /* memfd with the plan */
    int loader_done_fd;   /* pipe: readable when the loader ended */
    struct loop_source loader_source, signal_source, watch_source;
    struct loop_timer reload_timer, drain_timer, minute_timer, tidy_timer;
    bool reload_again;
    uint64_t memory_bytes_max;
    uint32_t next_event_id;
};

extern struct supervisor supervisor;

/* ---- templates.c ---- */
struct deployment *supervisor_find(uint32_t deployment_id);
/* A gateway wants one more instance. */
void templates_spawn(struct deployment *deployment, int gateway);
void templates_start(struct deployment *deployment);
/* Ends one instance, because its gateway says so. */
void templates_kill(uint32_t instance_id, int gateway, uint32_t reason);
/* What an instance learned, for the templates to come of each version. fd: stays the caller's. */
void templates_take_seed(const struct deployment *deployment, int fd);
/* Everything in the nursery is gone. */
void templates_all_gone(void);
/* The nursery, the broker or the pool is there (again): what waited for it goes on. */
void templates_resume(void);
/* The instances of one gateway have lost it, or all (-1) have lost the broker, or those with
 * databases the pool: ends them. */
void templates_end_instances(int gateway, bool of_databases);
/* Frees what no plan wants any more, evicts the least recently used beyond the memory budget. */
void templates_tidy(void);
void templates_on_nursery_message(struct ipc_message *message);

/* Would one more instance stay within the memory budget? */
bool templates_have_room(void);

/* ---- instances.c ---- */
/* A new instance, or the spare one, for a gateway. The template is READY. */
void instances_fork(struct deployment *deployment, int gateway);
/* There will be none, for the reason that the text tells. */
void instances_refuse(const struct deployment *deployment, int gateway, const char *text);
/* Has it killed. -ENOBUFS: its template does not read. */
int instances_end(struct deployment *deployment, uint32_t instance_id, uint32_t reason);
/* It has ended; whoever knew it is told. */
void instances_forget(struct deployment *deployment, uint32_t instance_id, int status,
                      const char *text);
bool instances_has_spare(const struct deployment *deployment);
/* Makes a spare one if there is none, in a moment; a rehearsal may come first. */
void instances_spare_soon(struct deployment *deployment);
/* Ends the spare one, if there is one. None comes before the next start of an instance. */
void instances_drop_spare(struct deployment *deployment);
/* The deployment whose spare one waits for longest; NULL: none has one. */
struct deployment *instances_oldest_spare(void);

/* ---- rehearsals.c ---- */
/* The template is new. */
void rehearsals_begin(struct deployment *deployment);
/* A request for that path has asked for an instance. */
void rehearsals_note(struct deployment *deployment, struct slice path);
/* Has the template rehearse where it is worth it. Whether a spare instance is to wait for that. */
bool rehearsals_come_first(struct deployment *deployment);
/* The template has rehearsed, or has tried to. */
void rehearsals_told(struct deployment *deployment, bool done);

/* ---- pool_child.c ---- */
/* Opens what the plan wants for the pool and is not open; the plan learns the ports. */
int pool_child_listen(const struct plan *plan, struct error *err) WARN_UNUSED;
/* Makes the pool's part, and forgets the plan's secrets. */
void pool_child_keep_part(struct plan *plan);
/* Closes what the plan in force does not want, or all. */
void pool_child_drop_listeners(bool all);
/* To the newest process, which may have just begun. */
void pool_child_send_plan(void);
/* A new plan is for the clients of those of before, too. */
void pool_child_send_plan_to_old(void);
/* To the pool and to those that still have instances of the time before a restart. */
void pool_child_tell_all(uint32_t type, const void *payload, uint32_t bytes);
/* SIGUSR2: a new pool process takes the place of the one that runs, and its clients. */
void pool_child_restart(void);
/* The new one has its plan: the old one hands over. */
void pool_child_hand_over(void);
/* Was it an old pool that ended? */
bool pool_child_old_ended(pid_t pid, int status);
/* Is there one, old or not? */
bool pool_child_any(void);

/* ---- supervisor.c ---- */
/* Binds listener->address and port, `count` sockets of one port. */
int supervisor_listen(struct listener *listener, int count, struct error *err) WARN_UNUSED;
void supervisor_close_listener(struct listener *listener);
/* The CPU that a gateway and its instances keep to; -1: any. */
int supervisor_cpu(int gateway);
void supervisor_tell_gateway(int gateway, uint32_t type, const void *payload, uint32_t bytes,
                             const int *fds, int fds_count);
/* To the broker or the nursery. Negative errno: it is away, or has stopped taking messages. */
int supervisor_tell(struct child *child, uint32_t type, const void *payload, uint32_t bytes,
                    const int *fds, int fds_count);
void supervisor_start_child(struct child *child);
/* Its messages are read; it may have been another struct before. 0 or negative errno. */
int supervisor_watch_child(struct child *child);
/* What does not fit into the socket's queue waits in the unsent until the source is writable. */
int supervisor_send(struct ipc_queue *unsent, struct loop_source *source, uint32_t type,
                    const void *payload, uint32_t bytes, const int *fds, int fds_count);
void supervisor_flush(struct ipc_queue *unsent, struct loop_source *source);

#endif

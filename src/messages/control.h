/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages (lib/ipc.h) between the supervisor and the other processes. Every struct is
 * plain data of fixed size, optionally followed by text whose length it gives. */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <assert.h>
#include <stdint.h>

/* A deployment = one version of one worker; ids are given by the supervisor and never reused. */

enum control_type {
    /* supervisor → gateway, broker, nursery: text = JSON of the plan's part for this process in
     * fds[0] (a sealed memfd). Gateways get, after it, the listeners and asset directories:
     * fds[1..] in the order of the plan's listeners, then CONTROL_ASSET_DIR messages. */
    CONTROL_PLAN = 1,
    CONTROL_COUNTERS,  /* supervisor → gateway, first of all: struct control_counters, fds[0] */
    CONTROL_ASSET_DIR, /* supervisor → gateway: struct control_asset_dir, fds[0] = O_PATH dir */
    CONTROL_PLAN_END, /* supervisor → gateway: plan complete, switch to it; uint32_t: its number */
    CONTROL_PLAN_TAKEN,   /* gateway, pool → supervisor; the gateway's with that number */
    CONTROL_PLAN_REFUSED, /* supervisor → pool: what was to be loaded is wrong; the old plan stays
                           */
    CONTROL_RELOAD,       /* pool → supervisor: its administrator asks for what SIGHUP does */
    CONTROL_STOP,         /* … or for the end of it all: struct control_stop */

    /* gateway → supervisor */
    CONTROL_SPAWN,        /* struct control_spawn: one more instance of this deployment, please */
    CONTROL_KILL,         /* struct control_kill: the instance is stuck or broke the protocol */
    CONTROL_EVENT_RESULT, /* struct control_event: a scheduled event ended */
    CONTROL_SEED,         /* struct control_seed, fds[0]: a memfd with what an instance of a system
                             worker has learned, for those to come */

    /* supervisor → gateway */
    CONTROL_INSTANCE,      /* struct control_instance, fds = channel */
    CONTROL_INSTANCE_GONE, /* struct control_gone + text */
    CONTROL_SPAWN_FAILED,  /* struct control_gone (instance_id 0) + text: error of the deployment */
    CONTROL_EVENT,         /* struct control_event: run scheduled() */
    CONTROL_RETIRE,        /* memory is short: give the instance back that is idle for longest */
    CONTROL_DRAIN, /* struct control_drain: stop listening, finish what is in flight, then exit 0 */

    /* supervisor → broker, pool */
    CONTROL_ATTACH, /* struct control_instance, fds = channel */
    CONTROL_DETACH, /* struct control_gone */
    CONTROL_PAUSE,  /* to the pool: lend nothing; no payload, nor that of the next. From it: its
                       administrator has said so */
    CONTROL_RESUME,
    CONTROL_TAKE_OVER, /* struct control_take_over, before the first plan; fds[0], at a restart:
                          clients will come from it */
    CONTROL_HAND_OVER, /* fds[0]: stop listening, give the clients to it, exit 0 when none is left
                        */

    /* supervisor → nursery */
    CONTROL_TEMPLATE,     /* struct control_template, fds: bundle, control socket, the seed if there
                             is one */
    CONTROL_TEMPLATE_END, /* struct control_template_end: SIGKILL it and with it its instances */
    CONTROL_TEMPLATE_GONE, /* nursery → supervisor: struct control_template_end */

    /* supervisor ↔ template (over its own socket) */
    CONTROL_TEMPLATE_READY, /* template → supervisor: struct control_template_ready */
    CONTROL_TEMPLATE_FAILED, /* template → supervisor: struct control_gone + text: start-up error */
    CONTROL_FORK,            /* struct control_instance, fds = channels of the gateway, the
                                broker and, where there are databases, the pool */
    CONTROL_END,             /* struct control_kill: SIGKILL this instance */
    CONTROL_REHEARSE,        /* struct control_rehearse: it is worth it */
    CONTROL_REHEARSED,       /* template → supervisor: struct control_rehearsed */
    CONTROL_EXIT,            /* template → supervisor: struct control_gone (wait status) */
};

/* fds[0]: gateways_count × struct counters_region (counters.h), of which one is this gateway's. */
struct control_counters {
    uint32_t number;
    uint32_t gateways_count;
};

struct control_asset_dir {
    uint32_t deployment_id;
    uint32_t reserved;
};

enum { CONTROL_PATH_BYTES_MAX = 248 };

struct control_spawn {
    uint32_t deployment_id;
    uint32_t path_bytes;
    char path[CONTROL_PATH_BYTES_MAX]; /* of a request that waits for it, without the query */
};

struct control_rehearsed {
    uint32_t private_kb; /* as in control_template_ready */
    uint32_t done;       /* 0: it did not come to an end, or took too much */
};

struct control_rehearse {
    uint32_t path_bytes;
    char path[CONTROL_PATH_BYTES_MAX];
};

struct control_seed {
    uint32_t deployment_id;
    uint32_t reserved;
};
enum { SEED_BYTES_MAX = 1024 * 1024 };

enum kill_reason { KILL_STUCK = 1, KILL_PROTOCOL, KILL_WALL, KILL_IDLE };

struct control_kill {
    uint32_t instance_id;
    uint32_t reason;
};

struct control_instance {
    uint32_t instance_id;
    uint32_t deployment_id;
    int32_t cpu; /* to run on, its gateway's; -1: any */
};

/* How an instance or a template exits that the engine ended for lack of memory. */
enum { EXIT_OUT_OF_MEMORY = 97 };

struct control_gone {
    uint32_t instance_id;
    uint32_t deployment_id;
    int32_t status; /* as waitpid gives it */
    uint32_t text_bytes;
};

/* A deployment may have one template after another: each has a number of its own. */
struct control_template {
    uint32_t deployment_id;
    uint32_t template_id;
    uint32_t flags; /* TEMPLATE_DEV */
    uint32_t memory_bytes_max;
    uint32_t cpu_ms_max;
    uint32_t startup_cpu_ms_max;
    uint32_t subrequests_max;
};
enum { TEMPLATE_DEV = 1 };

struct control_template_end {
    uint32_t template_id;
    int32_t status; /* of one that is gone, as waitpid gives it */
};

struct control_template_ready {
    uint32_t deployment_id;
    uint32_t threads;
    uint32_t startup_us;
    uint32_t handlers;   /* bit 0 fetch, bit 1 scheduled */
    uint32_t private_kb; /* memory that the template shares with nobody */
    uint32_t reserved;
};

/* To each pool process: none has the numbers of one of before, which may be there yet. */
struct control_take_over {
    uint32_t generation; /* how many there were before it */
};

/* Whoever has the admin listener answers there until the end: it is told again when it is the
 * last. */
struct control_drain {
    uint32_t timeout_ms; /* what is not finished by then is cut off; 0: nothing ever is */
    uint32_t last;       /* 1: no other gateway is left */
    uint32_t mode;       /* of the pool: enum stop_mode */
};

/* The pool ends at once, when no client has a connection, when all clients have left, or when all
 * transactions have ended, whoever keeps a connection between two. */
enum stop_mode {
    STOP_NOW,
    STOP_AFTER_SERVERS,
    STOP_AFTER_CLIENTS,
    STOP_AFTER_TRANSACTIONS,
    STOP_MODES,
};

struct control_stop {
    uint32_t mode;
};

struct control_event {
    uint32_t deployment_id;
    uint32_t event_id;
    uint64_t time_ms;
    int32_t result; /* 0 ok */
    uint32_t cron_bytes;
};

#endif

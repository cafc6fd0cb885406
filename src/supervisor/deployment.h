/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment (one version of one worker) as the supervisor sees it: its template and instances.
 *
 *   NONE ──► STARTING ──READY──► READY ──evicted, replaced, crashed──► ENDING ──gone──► NONE
 *               └──FAILED──► FAILED (until the next plan, or a while)
 *
 * Forks asked for while there is no template wait in `waiting` and go out when it is ready. */
#ifndef WEIR_DEPLOYMENT_H
#define WEIR_DEPLOYMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "buffer.h"
#include "channel.h"
#include "control.h"
#include "cron.h"
#include "loop.h"
#include "ipc_queue.h"

enum {
    GATEWAYS_MAX = 64,
    CRONS_MAX = 32,
    INSTANCE_FDS_MAX = 3 * CHANNEL_FDS,
    REHEARSALS_MAX = 8, /* of a template */
};

enum template_state {
    TEMPLATE_NONE,
    TEMPLATE_STARTING,
    TEMPLATE_READY,
    TEMPLATE_ENDING, /* its socket is closed; the nursery has yet to tell that it is gone */
    TEMPLATE_FAILED,
};

struct instance_ref {
    struct instance_ref *next;
    uint32_t instance_id;
    int gateway; /* whose it is */
};

struct deployment {
    struct deployment *next;
    uint32_t id;
    char *name, *version, *bundle_path; /* bundle_path NULL: assets only */
    bool current;                       /* in the plan in force */
    bool has_databases;                 /* its instances have a channel to the pool */
    struct control_template limits;
    struct cron crons[CRONS_MAX];
    char *cron_texts[CRONS_MAX];
    int crons_count;

    enum template_state state;
    bool start_owed;  /* wanted, but the nursery was away or had enough to do */
    bool got_ready;   /* the template: if it ends now, it was not its global scope */
    bool seeded;      /* … began with the seed */
    bool seed_is_new; /* the next template begins with another one, or with none */
    bool renewing;    /* the template ends for that */
    int seed_fd;      /* memfd: what its instances learned; -1: nothing */
    int control;      /* socket to the template; -1: none */
    struct loop_source source;
    struct ipc_queue unsent;
    char *failure; /* why it FAILED */
    uint64_t state_since_ms, used_ms;
    uint32_t private_kb;            /* the template's, as it told, within reason */
    uint32_t waiting[GATEWAYS_MAX]; /* forks owed, by gateway */
    struct instance_ref *instances;
    uint32_t instances_count;
    struct rehearsals {                   /* what the template rehearses (rehearsals.c) */
        struct control_rehearse wanted;   /* path_bytes 0: nothing */
        uint64_t shapes[REHEARSALS_MAX];  /* of what was ordered */
        unsigned count, failures, starts; /* ordered; of these; instances since the last order */
        bool ordered;                     /* … which is not over */
    } rehearsals;
    uint64_t forked_ms;                /* when an instance was last asked for; 0: never */
    struct {                           /* an instance that nobody knows yet (instances.c) */
        struct control_instance order; /* instance_id 0: there is none */
        int fds[INSTANCE_FDS_MAX];     /* its channels */
        struct loop_timer timer;       /* when one is made, or has waited long enough */
        uint64_t not_before_ms;
    } spare;
};

/* From a worker of the plan. */
struct deployment *deployment_new(uint32_t id, const json_t *worker, bool dev);
void deployment_free(struct deployment **deployment);
/* Limits may change with a reload although the version stays. */
void deployment_update(struct deployment *deployment, const json_t *worker, bool dev);

struct instance_ref *deployment_find_instance(struct deployment *deployment, uint32_t instance_id);
void deployment_add_instance(struct deployment *deployment, uint32_t instance_id, int gateway);
void deployment_remove_instance(struct deployment *deployment, uint32_t instance_id);

#endif

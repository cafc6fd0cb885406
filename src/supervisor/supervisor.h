/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: starts, watches, restarts and ends all other processes, and hands each its part
 * of the plan. It parses nothing from the network; the plan comes from our own loader. */
#ifndef WEIR_SUPERVISOR_H
#define WEIR_SUPERVISOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"

struct supervisor_options {
    void *context; /* for the callbacks */

    /* Builds the plan (JSON, docs/plan.md) into ret_plan. Runs in a forked child, once at start and
     * once a reload, so it may take its time and allocate; it prints its own warnings. -errno and
     * err on failure: at start the program then ends with 1, on reload the old plan stays. */
    int (*load)(void *context, struct buffer *ret_plan, struct error *err);

    /* -1, or a descriptor (inotify) that tells of changes: when it is readable, changed() decides.
     * Both run in the supervisor itself. changed: reads the fd empty, true = reload (the supervisor
     * waits reload_delay_ms for more changes first). */
    int watch_fd;
    bool (*changed)(void *context);
    uint32_t reload_delay_ms;
    /* A new plan is in force (also the first): `plan` is its JSON, with the number of its load as
     * "load", and each listener's "bound_port". For the banner and for renewing watches. May be NULL. */
    void (*loaded)(void *context, struct slice plan, bool first);

    /* The Prisma api keys that there are now, as an object by id (a new reference; NULL: not
     * known). Before a load those of the plan in force that are not among them are taken from it,
     * whatever becomes of the load. May be NULL. */
    json_t *(*keys)(void *context, const json_t *plan);

    /* A load failed, and the plan before stays in force. May be NULL. */
    void (*refused)(void *context, uint32_t load, const char *text);

    uint32_t drain_timeout_ms;
    bool hangup_stops; /* SIGHUP means that the terminal is gone, instead of a reload */

    /* SIGINT and SIGTERM mean what they do to PgBouncer: the pool ends when no client has a
     * connection, or when all have left, and that may take for ever; SIGQUIT: at once. */
    bool signals_of_pgbouncer;
};

/* Runs until SIGINT or SIGTERM (first: drain, second: at once); SIGHUP reloads. Returns the exit
 * code: 0 after a clean stop, 1 when it could not start (said on stderr). */
int supervisor_run(const struct supervisor_options *options);
/* For the callbacks: how many loads have begun; does a loader run now? */
uint32_t supervisor_loads(void);
bool supervisor_is_loading(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Fair shares of a pool's connections. A tenant is a worker, or the clients of one
 * application_name. Each has a clock that runs with the time for which it had connections; whose
 * clock is behind is served next, and who was away does not save up time. Within a tenant whoever
 * waits longest is first. */
#ifndef WEIR_POOL_TENANT_H
#define WEIR_POOL_TENANT_H

#include <stdint.h>

#include "list.h"
#include "slice.h"

struct client;
struct tenant;

struct tenants { /* of a pool */
    struct tenant *list;
    uint32_t count;
    uint64_t clock_us;   /* of whom was served last */
    uint64_t typical_us; /* how long a connection is lent, on average */
};

/* The tenant, which a client belongs to until tenant_leave; deployment_id 0: not a worker. */
struct tenant *tenant_join(struct tenants *tenants, uint32_t deployment_id, struct slice name);
void tenant_leave(struct tenants *tenants, struct tenant **tenant);
/* The client is in its pool's queue, or no longer. */
void tenant_wait(struct tenants *tenants, struct client *client);
void tenant_stop_waiting(struct client *client);
/* Whose turn it is; NULL: nobody waits. */
struct client *tenant_next(const struct tenants *tenants);
/* A connection is lent to one of its clients, and comes back after used_us. */
void tenant_lend(struct tenants *tenants, struct tenant *tenant);
void tenant_give_back(struct tenants *tenants, struct tenant *tenant, uint64_t used_us);
/* The queue is full, and `newcomer` wants in: the last in the longest line, should the newcomer's
 * be shorter; NULL: it is not. */
struct client *tenant_to_refuse(const struct tenants *tenants, const struct tenant *newcomer);

#endif

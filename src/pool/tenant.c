/* SPDX-License-Identifier: Apache-2.0 */
#include "tenant.h"

#include <stdlib.h>

#include "pool.h"

struct tenant {
    struct tenant *next;
    struct list waiting; /* clients */
    uint64_t clock_us;
    uint32_t deployment_id; /* 0: clients that are not workers */
    uint32_t clients, lent;
    char name[];
};

enum {
    TYPICAL_WEIGHT = 16, /* the average moves by a sixteenth */
    TENANTS_MAX = 1000,  /* who comes later with a name of its own shares one with all who do */
};

static struct tenant *find(const struct tenants *tenants, uint32_t deployment_id, struct slice name)
{
    struct tenant *tenant = tenants->list;
    while (tenant &&
           (tenant->deployment_id != deployment_id || !slice_equal(slice_of(tenant->name), name)))
        tenant = tenant->next;
    return tenant;
}

struct tenant *tenant_join(struct tenants *tenants, uint32_t deployment_id, struct slice name)
{
    struct tenant *tenant = find(tenants, deployment_id, name);
    if (!tenant && tenants->count >= TENANTS_MAX) {
        deployment_id = 0;
        name = SLICE("");
        tenant = find(tenants, deployment_id, name);
    }
    if (!tenant) {
        tenant = xcalloc(1, sizeof(*tenant) + name.len + 1);
        if (name.len > 0)
            memcpy(tenant->name, name.ptr, name.len);
        tenant->deployment_id = deployment_id;
        list_init(&tenant->waiting);
        tenant->next = tenants->list;
        tenants->list = tenant;
        tenants->count++;
    }
    tenant->clients++;
    return tenant;
}

void tenant_leave(struct tenants *tenants, struct tenant **tenant)
{
    struct tenant *t = TAKE(*tenant);
    if (!t || --t->clients > 0)
        return;
    struct tenant **place = &tenants->list;
    while (*place != t)
        place = &(*place)->next;
    *place = t->next;
    tenants->count--;
    free(t);
}

void tenant_wait(struct tenants *tenants, struct client *client)
{
    struct tenant *tenant = client->tenant;
    bool was_away = tenant->waiting.count == 0 && tenant->lent == 0;
    if (was_away && tenant->clock_us < tenants->clock_us)
        tenant->clock_us = tenants->clock_us;
    list_push_back(&tenant->waiting, &client->turn);
}

void tenant_stop_waiting(struct client *client)
{
    list_remove(&client->tenant->waiting, &client->turn);
}

struct client *tenant_next(const struct tenants *tenants)
{
    const struct tenant *best = NULL;
    for (const struct tenant *t = tenants->list; t; t = t->next)
        if (t->waiting.count > 0 && (!best || t->clock_us < best->clock_us))
            best = t;
    return best ? CONTAINER_OF(list_first(&best->waiting), struct client, turn) : NULL;
}

/* What it will take is not known: it counts as what is typical until it is. */
void tenant_lend(struct tenants *tenants, struct tenant *tenant)
{
    if (tenant->clock_us < tenants->clock_us && tenant->lent == 0)
        tenant->clock_us = tenants->clock_us;
    if (tenants->clock_us < tenant->clock_us)
        tenants->clock_us = tenant->clock_us;
    tenant->clock_us += tenants->typical_us;
    tenant->lent++;
}

void tenant_give_back(struct tenants *tenants, struct tenant *tenant, uint64_t used_us)
{
    uint64_t owed = tenant->clock_us + used_us;
    tenant->clock_us = owed > tenants->typical_us ? owed - tenants->typical_us : 0;
    tenant->lent--;
    tenants->typical_us += used_us / TYPICAL_WEIGHT - tenants->typical_us / TYPICAL_WEIGHT;
}

struct client *tenant_to_refuse(const struct tenants *tenants, const struct tenant *newcomer)
{
    const struct tenant *longest = newcomer;
    for (const struct tenant *t = tenants->list; t; t = t->next)
        if (t->waiting.count > longest->waiting.count)
            longest = t;
    return longest->waiting.count > newcomer->waiting.count + 1
               ? CONTAINER_OF(list_last(&longest->waiting), struct client, turn)
               : NULL;
}

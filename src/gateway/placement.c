/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

#include "affinity.h"
#include "gateway.h"

enum { CALM_MS = 100 }; /* without two requests at once */

static struct {
    bool together;
    int cpu;               /* to keep to; -1: the kernel decides, always */
    uint32_t under_way[2]; /* requests; calls of workers */
    uint64_t crowded_ms;   /* when there were two at once */
    cpu_set_t all;
} placement = {.cpu = -1};

/* Gateways are one for two CPUs: each has another one of them. */
static int own_cpu(void)
{
    int count = CPU_COUNT(&placement.all), wanted = 2 * gateway.number;
    wanted = (wanted + wanted / count) % count;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &placement.all) && wanted-- == 0)
            return cpu;
    return -1;
}

void placement_init(bool fixed)
{
    if (!fixed && sched_getaffinity(0, sizeof(placement.all), &placement.all) == 0 &&
        CPU_COUNT(&placement.all) > 1)
        placement.cpu = own_cpu();
}

int placement_cpu(void)
{
    return placement.together ? placement.cpu : -1;
}

static void keep_together(bool together)
{
    placement.together = together;
    if (together)
        (void)affinity_keep_to(placement.cpu);
    else
        affinity_release(&placement.all);
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        for (struct instance *i = d->instances; i; i = i->next)
            channel_advise(&i->channel, placement_cpu());
}

static void look_for_crowd(void)
{
    if (placement.under_way[0] > 1 || placement.under_way[1] > 1)
        placement.crowded_ms = loop_now_ms(gateway.loop);
}

void placement_begin(bool of_worker)
{
    if (placement.cpu < 0)
        return;
    placement.under_way[of_worker]++;
    look_for_crowd();
    bool calm = loop_now_ms(gateway.loop) - placement.crowded_ms >= CALM_MS;
    if (calm != placement.together)
        keep_together(calm);
}

void placement_end(bool of_worker)
{
    if (placement.cpu < 0)
        return;
    look_for_crowd();
    placement.under_way[of_worker]--;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

#include "affinity.h"
#include "pool.h"

enum { CALM_MS = 100 }; /* in which one and the same asked */

static struct {
    cpu_set_t all;
    int kept; /* -1: the kernel decides */
    const void *last;
    uint64_t crowded_ms; /* when another one asked than before */
} placement = {.kept = -1};

void pool_placement_init(void)
{
    if (sched_getaffinity(0, sizeof(placement.all), &placement.all) < 0)
        CPU_ZERO(&placement.all);
}

static void keep_to(int cpu)
{
    if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET((size_t)cpu, &placement.all))
        cpu = -1;
    if (cpu == placement.kept)
        return;
    placement.kept = cpu;
    if (cpu >= 0)
        (void)affinity_keep_to(cpu);
    else
        affinity_release(&placement.all);
}

void pool_placement_asked(const void *who, int cpu)
{
    uint64_t now_ms = loop_now_ms(pool_process.loop);
    if (who != placement.last)
        placement.crowded_ms = now_ms;
    placement.last = who;
    keep_to(now_ms - placement.crowded_ms >= CALM_MS ? cpu : -1);
}

void pool_placement_other(void)
{
    placement.last = NULL;
    placement.crowded_ms = loop_now_ms(pool_process.loop);
    keep_to(-1);
}

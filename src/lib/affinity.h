/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPU the calling thread runs. */
#ifndef WEIR_AFFINITY_H
#define WEIR_AFFINITY_H

#include <sched.h>
#include <stdbool.h>

/* On this one alone. False: there is no such CPU, or none for us. */
static inline bool affinity_keep_to(int cpu)
{
    cpu_set_t one;
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return false;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0;
}

/* On any of these, as sched_getaffinity gave them. */
static inline void affinity_release(const cpu_set_t *all)
{
    (void)sched_setaffinity(0, sizeof(*all), all);
}

#endif

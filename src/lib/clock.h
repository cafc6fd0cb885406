/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_us(void);  /* vDSO: about 25 ns */
uint64_t clock_wall_us(void);       /* since 1970 */
uint64_t clock_thread_cpu_us(void); /* a system call */

static inline uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

#endif

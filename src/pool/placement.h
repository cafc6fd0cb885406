/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPU the pool runs on: beside an instance that keeps to one, as long as nobody else asks the
 * pool for anything. Each would have to wake the other's sleeping CPU for every query
 * (gateway/placement.h). */
#ifndef WEIR_POOL_PLACEMENT_H
#define WEIR_POOL_PLACEMENT_H

void pool_placement_init(void);
/* An instance asked. who: which; cpu: where it says that it runs, or -1. It may say what it likes:
 * nobody else is there to mind. */
void pool_placement_asked(const void *who, int cpu);
/* Somebody else did, and has use for another CPU. */
void pool_placement_other(void);

#endif

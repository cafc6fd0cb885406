/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of this gateway, and the sums over all of them (messages/counters.h). */
#ifndef WEIR_COUNTING_H
#define WEIR_COUNTING_H

#include <stddef.h>

#include "counters.h"

/* Maps the supervisor's memory: regions of `gateways`, ours is that of `number`. Keeps the counts
 * of a gateway before us, but not what is now. Takes the fd. 0 or negative errno; before it, and
 * where it never comes, there is one private region. */
int counting_adopt(int fd, uint32_t number, uint32_t gateways);

/* How many gateways there are. */
uint32_t counting_gateways(void);

/* Ours, to write. */
struct gateway_counters *counting_gateway(void);
/* Called once a worker: what is there now begins at 0. */
struct worker_counters *counting_take_worker(uint32_t worker_number);

/* Sums over all gateways of the word at an offset in struct gateway_counters or worker_counters. */
uint64_t counting_gateway_sum(size_t offset);
uint64_t counting_worker_sum(uint32_t worker_number, size_t offset);

#endif

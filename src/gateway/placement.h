/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPU a gateway and its instances run on, where the operator has not given each gateway one.
 *
 * While there is one request at a time, those who serve it take turns: the gateway, the worker's
 * instance, a system worker's. On one CPU that is a switch each; on two, each step first wakes a
 * sleeping CPU, which takes longer than most steps. So they keep to one as long as nobody else is
 * served. Two requests at once have use for more than one, and then the kernel decides. */
#ifndef WEIR_GATEWAY_PLACEMENT_H
#define WEIR_GATEWAY_PLACEMENT_H

#include <stdbool.h>

/* fixed: the gateway has a CPU of its own, and nothing is ever changed. */
void placement_init(bool fixed);
/* A request goes to an instance; of_worker: another worker's call, as part of a request. */
void placement_begin(bool of_worker);
void placement_end(bool of_worker);
/* For a new instance: the CPU to keep to, or -1. */
int placement_cpu(void);

#endif

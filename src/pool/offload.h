/* SPDX-License-Identifier: Apache-2.0 */
/* Work that takes its time, in a thread of its own, so that the loop does not wait for it. */
#ifndef WEIR_POOL_OFFLOAD_H
#define WEIR_POOL_OFFLOAD_H

#include <stdbool.h>

#include "loop.h"

/* To be embedded. From offload_start to done it is the thread's: nobody else may touch what work
 * reads or writes. */
struct offload {
    void (*work)(struct offload *offload); /* in the thread */
    void (*done)(struct offload *offload); /* in a later turn of the loop */
    bool failed;                           /* no thread was to be had: work has not run */
};

/* Once, before anything else here. */
int offload_init(struct loop *loop);
void offload_start(struct offload *offload);

#endif

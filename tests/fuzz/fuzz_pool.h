/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets of the pool begin with: a process without a plan. */
#ifndef WEIR_FUZZ_POOL_H
#define WEIR_FUZZ_POOL_H

#include <stdlib.h>

#include "log.h"
#include "pool.h"

static inline void begin_process(void)
{
    log_init("fuzz", LOG_ERROR + 1, false);
    pool_process_init();
}

static inline void begin_plan(const char *plan)
{
    struct error err;
    if (config_parse(slice_of(plan), &pool_process.config, &err) < 0)
        abort();
}

#endif

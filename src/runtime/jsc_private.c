/* SPDX-License-Identifier: Apache-2.0 */
#include "jsc_private.h"

#include <dlfcn.h>
#include <errno.h>

#include "clock.h"

struct jsc_private jsc_private;

double jsc_cpu_time(void)
{
    return (double)clock_monotonic_us() / 1e6;
}

static const struct {
    const char *name;
    void **place;
    bool optional;
} symbols[] = {
    {"JSContextGroupSetExecutionTimeLimit", (void **)&jsc_private.set_time_limit, false},
    {"JSDisableGCTimer", (void **)&jsc_private.disable_gc_timer, false},
    {"JSGlobalContextSetUnhandledRejectionCallback", (void **)&jsc_private.set_rejection_callback,
     false},
    {"JSGlobalContextSetEvalEnabled", (void **)&jsc_private.set_eval_enabled, false},
    {"JSGetMemoryUsageStatistics", (void **)&jsc_private.memory_statistics, false},
    {"pas_scavenger_suspend", (void **)&jsc_private.scavenger_suspend, true},
    {"pas_scavenger_run_synchronously_now", (void **)&jsc_private.scavenger_run, true},
};

int jsc_private_load(struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        *symbols[i].place = dlsym(RTLD_DEFAULT, symbols[i].name);
        if (!*symbols[i].place && !symbols[i].optional)
            return error_set(err, -ENOSYS,
                             "libjavascriptcoregtk-4.1 does not export %s; install Debian 12's "
                             "libjavascriptcoregtk-4.1-0 (2.50 or newer)",
                             symbols[i].name);
    }
    return 0;
}

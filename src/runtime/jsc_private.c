/* SPDX-License-Identifier: Apache-2.0 */
#include "jsc_private.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <time.h>

struct jsc_private jsc_private;

static const double HELPER_IDLE_S = 0.002;

static struct {
    double tick_s, began_s; /* the tick that runs */
    bool may_begin;
} watchdog;
static _Thread_local bool watchdog_reads; /* it has read the CPU clock, and will read the other */

void jsc_watchdog_new_tick(double tick_s)
{
    watchdog.tick_s = tick_s;
    watchdog.may_begin = true;
    watchdog_reads = false;
}

double jsc_cpu_time(void)
{
    static double count;
    watchdog_reads = true;
    return count += 1e6;
}

double jsc_monotonic_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    double now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (!watchdog_reads)
        return now_s;
    watchdog_reads = false;
    if (now_s < watchdog.began_s + watchdog.tick_s)
        return now_s; /* it lets the tick run */
    if (!watchdog.may_begin)
        return watchdog.began_s;
    watchdog.may_begin = false;
    return watchdog.began_s = now_s;
}

/* POSIX's way of making a function of what dlsym returns. */
static void find_original(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    assert(found); /* the library called us by it */
    memcpy(ret_function, &found, sizeof(found));
}

void jsc_automatic_thread(void *self, const void *locker, void *lock, void *condition,
                          double timeout_s)
{
    static void (*original)(void *, const void *, void *, void *, double);
    if (!original)
        find_original(JSC_AUTOMATIC_THREAD_PLAIN, &original);
    (void)timeout_s;
    original(self, locker, lock, condition, HELPER_IDLE_S);
}

void jsc_automatic_thread_typed(void *self, const void *locker, void *lock, void *condition,
                                int type, double timeout_s)
{
    static void (*original)(void *, const void *, void *, void *, int, double);
    if (!original)
        find_original(JSC_AUTOMATIC_THREAD_TYPED, &original);
    (void)timeout_s;
    original(self, locker, lock, condition, type, HELPER_IDLE_S);
}

static const struct {
    const char *name;
    void **place;
    bool optional;
} symbols[] = {
    {"JSContextGroupSetExecutionTimeLimit", (void **)&jsc_private.set_time_limit, false},
    {"JSLock", (void **)&jsc_private.lock, false},
    {"JSUnlock", (void **)&jsc_private.unlock, false},
    {"JSSynchronousGarbageCollectForDebugging", (void **)&jsc_private.collect, false},
    {"JSDisableGCTimer", (void **)&jsc_private.disable_gc_timer, false},
    {"JSGlobalContextSetUnhandledRejectionCallback", (void **)&jsc_private.set_rejection_callback,
     false},
    {"JSGlobalContextSetEvalEnabled", (void **)&jsc_private.set_eval_enabled, false},
    {"JSGetMemoryUsageStatistics", (void **)&jsc_private.memory_statistics, false},
    {"JSWeakCreate", (void **)&jsc_private.weak_create, false},
    {"JSWeakGetObject", (void **)&jsc_private.weak_get, false},
    {"JSWeakRelease", (void **)&jsc_private.weak_release, false},
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

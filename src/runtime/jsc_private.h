/* SPDX-License-Identifier: Apache-2.0 */
/* What libjavascriptcoregtk exports but its public headers do not declare. Looked up with dlsym at
 * start (jsc_private_load), so that a library without one is told clearly and not by a crash. */
#ifndef WEIR_JSC_PRIVATE_H
#define WEIR_JSC_PRIVATE_H

#include <JavaScriptCore/JavaScript.h>
#include <stdbool.h>

#include "error.h"

typedef bool jsc_should_terminate_fn(JSContextRef ctx, void *context);

struct jsc_private {
    /* Calls back when one entry into the engine has used `seconds` of CPU time; false goes on for
     * as long again. Termination can not be caught by JavaScript, not even by finally. */
    void (*set_time_limit)(JSContextGroupRef group, double seconds, jsc_should_terminate_fn *fn,
                           void *context);
    void (*disable_gc_timer)(void);
    void (*set_rejection_callback)(JSGlobalContextRef ctx, JSObjectRef function,
                                   JSValueRef *exception);
    void (*set_eval_enabled)(JSGlobalContextRef ctx, bool enabled, JSStringRef message);
    JSObjectRef (*memory_statistics)(JSContextRef ctx);
    /* The allocator's helper thread; may be missing (NULL): then a template waits for it to leave.
     */
    void (*scavenger_suspend)(void);
    void (*scavenger_run)(void);
};

extern struct jsc_private jsc_private;

/* WTF::CPUTime::forCurrentThread() → WTF::Seconds, a double. Defining it here replaces the
 * library's own: its watchdog reads it at each entry, where the system call was a tenth of an
 * instance's time. Ours is the monotonic clock; who asks for the limit looks at the CPU clock then.
 */
double jsc_cpu_time(void) __asm__("_ZN3WTF7CPUTime16forCurrentThreadEv");

/* 0, or -ENOSYS naming the missing symbol. */
int jsc_private_load(struct error *err) WARN_UNUSED;

#endif

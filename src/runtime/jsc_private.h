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
    /* Holds the engine's lock over several calls of its interface. Recursive. */
    void (*lock)(JSContextRef ctx);
    void (*unlock)(JSContextRef ctx);
    void (*disable_gc_timer)(void);
    /* JSGarbageCollect() only sets that timer. */
    void (*collect)(JSContextRef ctx);
    void (*set_rejection_callback)(JSGlobalContextRef ctx, JSObjectRef function,
                                   JSValueRef *exception);
    void (*set_eval_enabled)(JSGlobalContextRef ctx, bool enabled, JSStringRef message);
    JSObjectRef (*memory_statistics)(JSContextRef ctx);
    /* A reference that does not keep its object: NULL once that was collected. */
    struct OpaqueJSWeak *(*weak_create)(JSContextGroupRef group, JSObjectRef object);
    JSObjectRef (*weak_get)(struct OpaqueJSWeak *weak);
    void (*weak_release)(JSContextGroupRef group, struct OpaqueJSWeak *weak);
    /* The allocator's helper thread; may be missing (NULL): then a template waits for it to leave.
     */
    void (*scavenger_suspend)(void);
    void (*scavenger_run)(void);
};

extern struct jsc_private jsc_private;

/* What is defined here under a name of the library's replaces the library's own. */

/* The clocks of the library's watchdog: WTF::CPUTime::forCurrentThread() and
 * WTF::MonotonicTime::now(), both doubles of seconds. The watchdog reads them, in this order, at
 * each entry into the engine, and two things were wrong with that. The CPU clock is a system call,
 * a tenth of an instance's time; ours only says each time that very much has passed, so that the
 * callback is asked at every tick and looks itself. And an entry that finds the tick over begins a
 * new one before the old one was acted upon; each microtask is an entry, so that a chain of them
 * was never stopped. Ours shows such an entry the time at which the tick began, until the callback
 * was asked or the turn is over. */
double jsc_cpu_time(void) __asm__("_ZN3WTF7CPUTime16forCurrentThreadEv");
double jsc_monotonic_time(void) __asm__("_ZN3WTF13MonotonicTime3nowEv");
/* The next entry may begin a new tick of so many seconds: at the start of a turn, and when the
 * callback sets the limit again. */
void jsc_watchdog_new_tick(double tick_s);

/* WTF::AutomaticThread::AutomaticThread(AbstractLocker, Box<Lock>, Ref<AutomaticThreadCondition>,
 * [ThreadType,] Seconds timeout). Helper threads, such as those that compile WebAssembly, stay for
 * 10 s after their last work; a template can not be forked until they are gone. Ours leave at once,
 * and come back when there is work. */
#define JSC_AUTOMATIC_THREAD                                                                       \
    "_ZN3WTF15AutomaticThreadC2ERKNS_14AbstractLockerENS_3BoxINS_4LockEEEONS_3RefINS_"             \
    "24AutomaticThreadConditionENS_12RawPtrTraitsIS8_EENS_21DefaultRefDerefTraitsIS8_EEEENS_"
#define JSC_AUTOMATIC_THREAD_PLAIN JSC_AUTOMATIC_THREAD "7SecondsE"
#define JSC_AUTOMATIC_THREAD_TYPED JSC_AUTOMATIC_THREAD "10ThreadTypeENS_7SecondsE"
void jsc_automatic_thread(void *self, const void *locker, void *lock, void *condition,
                          double timeout_s) __asm__(JSC_AUTOMATIC_THREAD_PLAIN);
void jsc_automatic_thread_typed(void *self, const void *locker, void *lock, void *condition,
                                int type, double timeout_s) __asm__(JSC_AUTOMATIC_THREAD_TYPED);

/* 0, or -ENOSYS naming the missing symbol. */
int jsc_private_load(struct error *err) WARN_UNUSED;

#endif

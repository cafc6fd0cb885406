/* SPDX-License-Identifier: Apache-2.0 */
/* The platform library inside the engine: `weirRuntime.start(native)` of src/runtime/js/main.js
 * takes what C offers (natives.c) and returns the functions that C calls (hooks). */
#ifndef WEIR_LIBRARY_H
#define WEIR_LIBRARY_H

#include "engine.h"

/* Every hook is called with one macrotask's work; microtasks drain when it returns. What each takes
 * stands beside its definition in main.js. */
#define LIBRARY_HOOKS(X)                                                                           \
    X(boot, "boot")                                                                                \
    X(boot_state, "bootState")                                                                     \
    X(boot_error, "bootError")                                                                     \
    X(handlers, "handlers")                                                                        \
    X(after_fork, "afterFork")                                                                     \
    X(request, "request")                                                                          \
    X(request_body, "requestBody")                                                                 \
    X(request_abort, "requestAbort")                                                               \
    X(response_credit, "responseCredit")                                                           \
    X(event, "event")                                                                              \
    X(timer, "timer")                                                                              \
    X(idle, "idle")                                                                                \
    X(fetch_response, "fetchResponse")                                                             \
    X(fetch_body, "fetchBody")                                                                     \
    X(fetch_error, "fetchError")                                                                   \
    X(fetch_credit, "fetchCredit")                                                                 \
    X(copy_bytes, "copyBytes")                                                                     \
    X(terminated, "terminated")                                                                    \
    X(unhandled_rejection, "unhandledRejection")

struct library {
#define X(field, name) JSObjectRef field;
    LIBRARY_HOOKS(X)
#undef X
};

/* Evaluates the embedded library and fills the hooks. native: see natives.h. */
int library_start(struct library *library, struct engine *engine, JSObjectRef native,
                  struct error *err) WARN_UNUSED;

/* The embedded scripts (transform.js has no hooks; transform_main.c calls it). */
struct slice library_runtime_source(void);
struct slice library_transform_source(void);

#endif

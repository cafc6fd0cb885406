/* SPDX-License-Identifier: Apache-2.0 */
/* Requests before there are any, in a context that is thrown away: the engine compiles a function
 * when it is first called, which every instance would do for itself: 2 to 3 ms for the library, as
 * much or more for a worker's frameworks and drivers. Code that was compiled once is every
 * context's that has the same source. */
#ifndef WEIR_REHEARSAL_H
#define WEIR_REHEARSAL_H

#include "engine.h"

/* The library's code. In the nursery, when the library has started. -EINVAL, with what went wrong
 * in err: then all is as it was, but slower. */
int rehearse(const struct engine *engine, struct error *err) WARN_UNUSED;

/* A worker's own code: its global scope and a GET request for that path, with nobody there whom it
 * could reach. It may take for ever, or end the process: see template.c. manifest, modules: of its
 * bundle, copied. 0 or negative errno. */
int rehearse_worker(const struct engine *engine, struct slice manifest, struct slice modules,
                    struct slice path, struct error *err) WARN_UNUSED;

#endif

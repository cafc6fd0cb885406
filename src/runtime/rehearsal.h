/* SPDX-License-Identifier: Apache-2.0 */
/* Requests before there are any, in a context that is thrown away: the engine compiles a function
 * when it is first called, which every instance would do for itself, and takes 2 to 3 ms. Code that
 * was compiled once is every context's that has the same source. */
#ifndef WEIR_REHEARSAL_H
#define WEIR_REHEARSAL_H

#include "engine.h"

/* In the nursery, when the library has started. -EINVAL, with what went wrong in err: then all is
 * as it was, but slower. */
int rehearse(const struct engine *engine, struct error *err) WARN_UNUSED;

#endif

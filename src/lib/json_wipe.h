/* SPDX-License-Identifier: Apache-2.0 */
/* Plans hold passwords and keys: what jansson frees of them is wiped. To be called before anything
 * is parsed. */
#ifndef WEIR_JSON_WIPE_H
#define WEIR_JSON_WIPE_H

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static inline void json_wipe_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static inline void json_wipe_freed(void)
{
    json_set_alloc_funcs(malloc, json_wipe_free);
}

/* What functions that have returned left on the stack, in registers that were saved there, say. */
static __attribute__((noinline, unused)) void json_wipe_stack(void)
{
    char below[64 * 1024];
    explicit_bzero(below, sizeof(below));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests a template is to rehearse (runtime/rehearsal.h).
 *
 * What starts again and again is worth that its template compiles what its requests need, which
 * takes some tens of milliseconds and some memory. A route is rehearsed once; that two paths are of
 * one route can only be guessed. The template wants to be alone for it: until it has been, or has
 * started a few instances more without, there is no spare one. */
#include <ctype.h>
#include <string.h>

#include "hash.h"
#include "state.h"

enum {
    FAILURES_MAX = 2, /* of a template; the worker may not be fit for it */
    STARTS_MAX = 3,   /* that wait for it */
};

static bool has_digit(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (isdigit((unsigned char)text.ptr[i]))
            return true;
    return false;
}

/* Of a path without what tells one thing of a kind from the next: parts with a digit are equal. */
static uint64_t shape_of(struct slice path)
{
    uint64_t hash = 0;
    while (path.len > 0) {
        const char *slash = memchr(path.ptr, '/', path.len);
        struct slice part = {path.ptr, slash ? (size_t)(slash - path.ptr) + 1 : path.len};
        hash = hash_bytes(hash, has_digit(part) ? SLICE("0/") : part);
        path = (struct slice){part.ptr + part.len, path.len - part.len};
    }
    return hash;
}

void rehearsals_begin(struct deployment *deployment)
{
    deployment->rehearsals = (struct rehearsals){.wanted = deployment->rehearsals.wanted};
}

void rehearsals_note(struct deployment *deployment, struct slice path)
{
    struct rehearsals *rehearsals = &deployment->rehearsals;
    uint64_t shape = shape_of(path);
    for (unsigned i = 0; i < rehearsals->count; i++)
        if (rehearsals->shapes[i] == shape)
            return;
    rehearsals->wanted.path_bytes = (uint32_t)path.len;
    memcpy(rehearsals->wanted.path, path.ptr, path.len);
}

bool rehearsals_come_first(struct deployment *deployment)
{
    struct rehearsals *rehearsals = &deployment->rehearsals;
    struct control_rehearse *wanted = &rehearsals->wanted;
    if (rehearsals->ordered)
        return ++rehearsals->starts < STARTS_MAX;
    if (wanted->path_bytes == 0 || rehearsals->failures == FAILURES_MAX ||
        rehearsals->count == REHEARSALS_MAX)
        return false;
    rehearsals->shapes[rehearsals->count++] =
        shape_of((struct slice){wanted->path, wanted->path_bytes});
    rehearsals->starts = 0;
    rehearsals->ordered = supervisor_send(&deployment->unsent, &deployment->source,
                                          CONTROL_REHEARSE, wanted, sizeof(*wanted), NULL, 0) == 0;
    wanted->path_bytes = 0;
    return rehearsals->ordered;
}

void rehearsals_told(struct deployment *deployment, bool done)
{
    deployment->rehearsals.ordered = false;
    deployment->rehearsals.failures += !done;
    instances_spare_soon(deployment);
}

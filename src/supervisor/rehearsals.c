/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests a template is to rehearse (runtime/rehearsal.h).
 *
 * What starts again and again is worth that its template compiles what its requests need, which
 * takes some tens of milliseconds and some memory. A route is rehearsed once; that two paths are of
 * one route can only be guessed. The template wants to be alone for it: until it has been, or has
 * started a few instances more without, there is no spare one. */
#include <ctype.h>
#include <string.h>

#include "state.h"

enum {
    FAILURES_MAX = 2, /* of a template; the worker may not be fit for it */
    STARTS_MAX = 3,   /* that wait for it */
};

static uint64_t hash_more(uint64_t hash, struct slice text) /* FNV-1a */
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * 1099511628211u;
    return hash;
}

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
    uint64_t hash = 14695981039346656037u;
    while (path.len > 0) {
        const char *slash = memchr(path.ptr, '/', path.len);
        struct slice part = {path.ptr, slash ? (size_t)(slash - path.ptr) + 1 : path.len};
        hash = hash_more(hash, has_digit(part) ? (struct slice){"0/", 2} : part);
        path = (struct slice){part.ptr + part.len, path.len - part.len};
    }
    return hash;
}

void rehearsals_begin(struct deployment *deployment)
{
    struct control_rehearse wanted = deployment->rehearsals.wanted;
    memset(&deployment->rehearsals, 0, sizeof(deployment->rehearsals));
    deployment->rehearsals.wanted = wanted;
}

void rehearsals_note(struct deployment *deployment, struct slice path)
{
    struct control_rehearse order = {.path_bytes = (uint32_t)path.len};
    if (path.len == 0 || path.len > sizeof(order.path))
        return;
    memcpy(order.path, path.ptr, path.len);
    uint64_t shape = shape_of(path);
    for (unsigned i = 0; i < deployment->rehearsals.count; i++)
        if (deployment->rehearsals.shapes[i] == shape)
            return;
    deployment->rehearsals.wanted = order;
}

bool rehearsals_come_first(struct deployment *deployment)
{
    if (deployment->rehearsals.ordered)
        return ++deployment->rehearsals.starts < STARTS_MAX;
    if (deployment->rehearsals.wanted.path_bytes == 0 ||
        deployment->rehearsals.failures == FAILURES_MAX ||
        deployment->rehearsals.count == REHEARSALS_MAX)
        return false;
    struct control_rehearse order = deployment->rehearsals.wanted;
    deployment->rehearsals.wanted.path_bytes = 0;
    deployment->rehearsals.shapes[deployment->rehearsals.count++] =
        shape_of((struct slice){order.path, order.path_bytes});
    deployment->rehearsals.starts = 0;
    deployment->rehearsals.ordered =
        supervisor_send(&deployment->unsent, &deployment->source, CONTROL_REHEARSE, &order,
                        sizeof(order), NULL, 0) == 0;
    return deployment->rehearsals.ordered;
}

void rehearsals_told(struct deployment *deployment, bool done)
{
    deployment->rehearsals.ordered = false;
    deployment->rehearsals.failures += !done;
    instances_spare_soon(deployment);
}

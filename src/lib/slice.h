/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes: valid until the owner's next write unless a function says otherwise. */
#ifndef WEIR_SLICE_H
#define WEIR_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE(text) ((struct slice){(text), sizeof(text) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is_one_of_nocase(struct slice s, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal_nocase(s, slice_of(names[i])))
            return true;
    return false;
}

/* What stands before the first `end`, or all of it. */
static inline struct slice slice_until(struct slice s, char end)
{
    const char *found = s.len > 0 ? memchr(s.ptr, end, s.len) : NULL;
    return (struct slice){s.ptr, found ? (size_t)(found - s.ptr) : s.len};
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

#endif

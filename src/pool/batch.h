/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out in one write: bytes of the peer's as they were read (a run), and messages of ours
 * between them. Nothing is copied while there is nothing of ours to add. */
#ifndef WEIR_POOL_BATCH_H
#define WEIR_POOL_BATCH_H

#include <sys/uio.h>

#include "buffer.h"

struct batch {
    struct buffer *composed; /* empty at the start; the caller's to keep */
    struct slice run;        /* after what is composed */
};

/* Adds bytes that stay where they are until the batch is written. */
static inline void batch_pass(struct batch *batch, const char *bytes, size_t len)
{
    if (batch->run.len > 0 && batch->run.ptr + batch->run.len != bytes) {
        buffer_append_slice(batch->composed, batch->run);
        batch->run.len = 0;
    }
    if (batch->run.len == 0)
        batch->run.ptr = bytes;
    batch->run.len += len;
}

/* Where messages of ours are added. */
static inline struct buffer *batch_compose(struct batch *batch)
{
    if (batch->run.len > 0)
        buffer_append_slice(batch->composed, batch->run);
    batch->run.len = 0;
    return batch->composed;
}

static inline bool batch_is_empty(const struct batch *batch)
{
    return batch->run.len == 0 && buffer_len(batch->composed) == 0;
}

/* Fills parts for one write; returns how many. */
static inline int batch_parts(const struct batch *batch, struct iovec parts[2])
{
    struct slice composed = buffer_slice(batch->composed);
    int count = 0;
    if (composed.len > 0)
        parts[count++] = (struct iovec){(void *)(uintptr_t)composed.ptr, composed.len};
    if (batch->run.len > 0)
        parts[count++] = (struct iovec){(void *)(uintptr_t)batch->run.ptr, batch->run.len};
    return count;
}

#endif

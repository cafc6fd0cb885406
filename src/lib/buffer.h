/* SPDX-License-Identifier: Apache-2.0 */
/* Growable byte buffer, consumed from the front.
 * bytes [start, end) of data hold the content; data[0..cap) is owned. Zero-initialised is empty. */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

#include <stdint.h>
#include "common.h"
#include "slice.h"

struct buffer {
    char *data;
    size_t start, end, cap;
};

static inline size_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    /* Nothing may be added to a null pointer, not even zero. */
    return (struct slice){buffer->data ? buffer->data + buffer->start : NULL, buffer_len(buffer)};
}

/* Room for at least bytes more at the end; returns where to write them (then add to ->end). */
char *buffer_reserve(struct buffer *buffer, size_t bytes);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);
void buffer_append_slice(struct buffer *buffer, struct slice slice);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Length of the valid UTF-8 sequence that text begins with; 0: there is none (overlong ones and
 * surrogates are not). text is not empty. */
size_t utf8_sequence_len(struct slice text);
/* Appends text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buffer_append_json(struct buffer *buffer, struct slice text);
/* Appends what is left to read of the descriptor. 0, negative errno, or -EFBIG: it is more than
 * bytes_max. */
int buffer_read_all(struct buffer *buffer, int fd, size_t bytes_max);
/* Drops len bytes from the front (len <= buffer_len). */
void buffer_consume(struct buffer *buffer, size_t len);
/* Empties it, keeping at most keep_bytes of memory. */
void buffer_reset(struct buffer *buffer, size_t keep_bytes);
/* Frees the memory; the buffer is empty and usable again. */
void buffer_done(struct buffer *buffer);
#define AUTO_BUFFER __attribute__((cleanup(buffer_done))) struct buffer

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER_BYTES_MIN = 256, READ_BYTES = 65536 };

char *buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer->cap - buffer->end >= bytes)
        return buffer->data + buffer->end;
    size_t len = buffer_len(buffer);
    if (buffer->start > 0) { /* first try the room that consuming left in front */
        memmove(buffer->data, buffer->data + buffer->start, len);
        buffer->start = 0;
        buffer->end = len;
        if (buffer->cap - len >= bytes)
            return buffer->data + len;
    }
    assert(bytes < SIZE_MAX / 4);
    size_t cap = buffer->cap ? buffer->cap : BUFFER_BYTES_MIN;
    while (cap < len + bytes)
        cap *= 2;
    buffer->data = xrealloc(buffer->data, cap);
    buffer->cap = cap;
    return buffer->data + buffer->end;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buffer_reserve(buffer, len), bytes, len);
    buffer->end += len;
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
    buffer_append(buffer, slice.ptr, slice.len);
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    char *room = buffer_reserve(buffer, 128);
    size_t space = buffer->cap - buffer->end;
    int len = vsnprintf(room, space, format, args);
    assert(len >= 0);
    if ((size_t)len >= space) {
        room = buffer_reserve(buffer, (size_t)len + 1);
        (void)vsnprintf(room, (size_t)len + 1, format, again);
    }
    buffer->end += (size_t)len;
    va_end(again);
    va_end(args);
}

size_t utf8_sequence_len(struct slice from)
{
    const unsigned char *text = (const unsigned char *)from.ptr, lead = text[0];
    size_t need = lead < 0x80                   ? 1
                  : lead >= 0xc2 && lead < 0xe0 ? 2
                  : (lead & 0xf0) == 0xe0       ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4
                                                : 0;
    if (need == 0 || need > from.len)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] >= 0xa0) ||
        (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] >= 0x90))
        return 0;
    return need;
}

static bool is_plain_json(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void buffer_append_json(struct buffer *buffer, struct slice text)
{
    buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == '"' || byte == '\\') {
            buffer_append(buffer, (char[]){'\\', (char)byte}, 2);
            i++;
        } else if (byte < 0x20 || byte == 0x7f) {
            buffer_printf(buffer, "\\u%04x", byte);
            i++;
        } else if (byte < 0x80) { /* most text is nothing but these */
            size_t end = i + 1;
            while (end < text.len && is_plain_json((unsigned char)text.ptr[end]))
                end++;
            buffer_append(buffer, text.ptr + i, end - i);
            i = end;
        } else {
            size_t len = utf8_sequence_len((struct slice){text.ptr + i, text.len - i});
            if (len == 0) {
                buffer_append_text(buffer, "\xef\xbf\xbd");
                i++;
            } else {
                buffer_append(buffer, text.ptr + i, len);
                i += len;
            }
        }
    }
    buffer_append(buffer, "\"", 1);
}

int buffer_read_all(struct buffer *buffer, int fd, size_t bytes_max)
{
    size_t before = buffer_len(buffer);
    for (;;) {
        ssize_t got = read(fd, buffer_reserve(buffer, READ_BYTES), READ_BYTES);
        if (got <= 0)
            return got < 0 ? -errno : 0;
        buffer->end += (size_t)got;
        if (buffer_len(buffer) - before > bytes_max)
            return -EFBIG;
    }
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    assert(len <= buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

void buffer_reset(struct buffer *buffer, size_t keep_bytes)
{
    buffer->start = buffer->end = 0;
    if (buffer->cap > keep_bytes)
        buffer_done(buffer);
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

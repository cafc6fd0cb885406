/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over text that counts lines; shared by the configuration parsers. */
#ifndef WEIR_TEXT_READER_H
#define WEIR_TEXT_READER_H

#include <errno.h>

#include "buffer.h"
#include "error.h"

struct text_reader {
    const char *at, *end, *line_start;
    int line;
    struct error *err;
};

static inline int reader_peek(const struct text_reader *reader)
{
    return reader->at < reader->end ? (unsigned char)*reader->at : -1;
}

static inline int reader_next(struct text_reader *reader)
{
    if (reader->at == reader->end)
        return -1;
    int c = (unsigned char)*reader->at++;
    if (c == '\n') {
        reader->line++;
        reader->line_start = reader->at;
    }
    return c;
}

static inline bool reader_take(struct text_reader *reader, char c)
{
    if (reader_peek(reader) != (unsigned char)c)
        return false;
    (void)reader_next(reader);
    return true;
}

static inline bool reader_looks_at(const struct text_reader *reader, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static inline int reader_column(const struct text_reader *reader)
{
    return (int)(reader->at - reader->line_start) + 1;
}

/* Begins with a file's text, behind its byte order mark. -EINVAL when it is too large or no UTF-8,
 * which both TOML and JSON have to be. */
int reader_start(struct text_reader *reader, struct slice text, struct error *err) WARN_UNUSED;

/* "line:column: what"; -EINVAL. */
#define reader_fail(reader, ...)                                                                   \
    reader_fail_at((reader), (reader)->line, reader_column(reader), __VA_ARGS__)
int reader_fail_at(struct text_reader *reader, int line, int column, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Reads digits hexadecimal digits of an escape. -EINVAL when they are not there. */
int reader_hex(struct text_reader *reader, int digits, uint32_t *ret_code);
/* Appends a Unicode scalar value as UTF-8; false for surrogates and beyond. */
bool text_append_code(struct buffer *out, uint32_t code);

#endif

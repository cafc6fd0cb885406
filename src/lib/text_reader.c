/* SPDX-License-Identifier: Apache-2.0 */
#include "text_reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "value.h"

int reader_start(struct text_reader *reader, struct slice text, struct error *err)
{
    *reader = (struct text_reader){text.ptr, text.ptr + text.len, text.ptr, 1, err};
    if (text.len > VALUE_BYTES_MAX)
        return reader_fail(reader, "the file is larger than %d bytes", VALUE_BYTES_MAX);
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        reader->at += 3;
    struct text_reader scan = *reader;
    while (scan.at < scan.end) {
        size_t len = utf8_sequence_len((struct slice){scan.at, (size_t)(scan.end - scan.at)});
        if (len == 0)
            return reader_fail(&scan, "this is not valid UTF-8; save the file in that encoding");
        if (len == 1)
            (void)reader_next(&scan);
        else
            scan.at += len;
    }
    return 0;
}

int reader_fail_at(struct text_reader *reader, int line, int column, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(reader->err, -EINVAL, "%d:%d: %s", line, column, text);
}

int reader_hex(struct text_reader *reader, int digits, uint32_t *ret_code)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        int c = reader_peek(reader);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return reader_fail(reader, "an escape needs %d hexadecimal digits", digits);
        code = code << 4 | (uint32_t)digit;
        (void)reader_next(reader);
    }
    *ret_code = code;
    return 0;
}

bool text_append_code(struct buffer *out, uint32_t code)
{
    char bytes[4];
    size_t len = 0;
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return false;
    if (code < 0x80) {
        bytes[len++] = (char)code;
    } else if (code < 0x800) {
        bytes[len++] = (char)(0xc0 | code >> 6);
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        bytes[len++] = (char)(0xe0 | code >> 12);
        bytes[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    } else {
        bytes[len++] = (char)(0xf0 | code >> 18);
        bytes[len++] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[len++] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (code & 0x3f));
    }
    buffer_append(out, bytes, len);
    return true;
}

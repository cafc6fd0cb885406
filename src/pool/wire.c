/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

size_t wire_begin(struct buffer *out, char type)
{
    if (type)
        buffer_append(out, &type, 1);
    size_t begun = out->end - out->start;
    wire_u32(out, 0);
    return begun;
}

void wire_end(struct buffer *out, size_t begun)
{
    size_t end = out->end - out->start;
    wire_put_u32(out->data + out->start + begun, (uint32_t)(end - begun));
}

void wire_u32(struct buffer *out, uint32_t value)
{
    char bytes[4];
    wire_put_u32(bytes, value);
    buffer_append(out, bytes, sizeof(bytes));
}

void wire_u16(struct buffer *out, uint16_t value)
{
    char bytes[2] = {(char)(value >> 8), (char)value};
    buffer_append(out, bytes, sizeof(bytes));
}

void wire_text(struct buffer *out, const char *text)
{
    buffer_append(out, text, strlen(text) + 1);
}

void wire_plain(struct buffer *out, char type)
{
    wire_end(out, wire_begin(out, type));
}

void wire_query(struct buffer *out, const char *sql)
{
    size_t begun = wire_begin(out, 'Q');
    wire_text(out, sql);
    wire_end(out, begun);
}

void wire_ask_for_tls(struct buffer *out)
{
    size_t begun = wire_begin(out, 0);
    wire_u32(out, WIRE_SSL);
    wire_end(out, begun);
}

void wire_complete(struct buffer *out, const char *tag)
{
    size_t begun = wire_begin(out, 'C');
    wire_text(out, tag);
    wire_end(out, begun);
}

void wire_ready(struct buffer *out, char status)
{
    size_t begun = wire_begin(out, 'Z');
    buffer_append(out, &status, 1);
    wire_end(out, begun);
}

void wire_parameter(struct buffer *out, struct slice name, struct slice value)
{
    size_t begun = wire_begin(out, 'S');
    buffer_append_slice(out, name);
    buffer_append(out, "", 1);
    buffer_append_slice(out, value);
    buffer_append(out, "", 1);
    wire_end(out, begun);
}

void wire_auth(struct buffer *out, enum auth_code code, struct slice rest)
{
    size_t begun = wire_begin(out, 'R');
    wire_u32(out, code);
    buffer_append_slice(out, rest);
    wire_end(out, begun);
}

static void error_field(struct buffer *out, char field, const char *text)
{
    if (!text)
        return;
    buffer_append(out, &field, 1);
    wire_text(out, text);
}

void wire_target(struct buffer *out, char type, char kind, const char *name)
{
    size_t begun = wire_begin(out, type);
    buffer_append(out, &kind, 1);
    wire_text(out, name);
    wire_end(out, begun);
}

void wire_error(struct buffer *out, const char *severity, const struct wire_error *error)
{
    size_t begun = wire_begin(out, strcmp(severity, "NOTICE") == 0 ? 'N' : 'E');
    error_field(out, 'S', severity);
    error_field(out, 'V', severity);
    error_field(out, 'C', error->sqlstate);
    error_field(out, 'M', error->message);
    error_field(out, 'D', error->detail);
    error_field(out, 'H', error->hint);
    error_field(out, 'R', error->routine);
    buffer_append(out, "", 1);
    wire_end(out, begun);
}

char *wire_error_copy(const char *severity, const struct wire_error *error)
{
    AUTO_BUFFER text = {0};
    wire_error(&text, severity, error);
    char *copy = xcalloc(1, buffer_len(&text));
    memcpy(copy, text.data + text.start, buffer_len(&text));
    return copy;
}

bool wire_take_text(struct slice *rest, struct slice *ret_text)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, 0, rest->len) : NULL;
    if (!end)
        return false;
    *ret_text = (struct slice){rest->ptr, (size_t)(end - rest->ptr)};
    rest->len -= ret_text->len + 1;
    rest->ptr = end + 1;
    return true;
}

bool wire_take_u32(struct slice *rest, uint32_t *ret_value)
{
    if (rest->len < 4)
        return false;
    *ret_value = wire_get_u32(rest->ptr);
    rest->ptr += 4;
    rest->len -= 4;
    return true;
}

bool wire_take_value(struct slice *rest, struct slice *ret_value)
{
    uint32_t len;
    *ret_value = (struct slice){NULL, 0};
    if (!wire_take_u32(rest, &len))
        return false;
    if (len == UINT32_MAX)
        return true;
    if (len > rest->len)
        return false;
    *ret_value = (struct slice){rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return true;
}

bool wire_take_formats(struct slice *rest, struct slice *ret_formats, uint16_t *ret_count)
{
    size_t bytes = rest->len >= 2 ? (size_t)wire_get_u16(rest->ptr) * 2 : 0;
    if (rest->len < 4 + bytes)
        return false;
    *ret_formats = (struct slice){rest->ptr + 2, bytes};
    *ret_count = wire_get_u16(rest->ptr + 2 + bytes);
    rest->ptr += 4 + bytes;
    rest->len -= 4 + bytes;
    return true;
}

bool wire_parse_text(struct slice body, struct slice *ret_text)
{
    return wire_take_text(&body, ret_text) && body.len >= 2 &&
           body.len == 2 + (size_t)wire_get_u16(body.ptr) * 4;
}

struct slice wire_error_body(const char *message)
{
    return (struct slice){message + WIRE_HEADER_BYTES, wire_get_u32(message + 1) - 4};
}

struct slice wire_error_field(struct slice body, char field)
{
    struct slice text = {NULL, 0};
    while (body.len > 1 && body.ptr[0] != 0) {
        char code = body.ptr[0];
        body.ptr++, body.len--;
        if (!wire_take_text(&body, &text))
            break;
        if (code == field)
            return text;
    }
    return (struct slice){NULL, 0};
}

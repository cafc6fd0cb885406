/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (!isalnum(c) && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
        if (c >= 0x80)
            return false;
    }
    return text.len > 0;
}

static bool is_value(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text.ptr++, text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* The next "name: value" of a block. False at its end, or where it is none (then left as it is). */
static bool next_field(struct slice *block, struct slice *ret_name, struct slice *ret_value)
{
    const char *end = block->len ? memchr(block->ptr, '\n', block->len) : NULL;
    size_t len = end ? (size_t)(end - block->ptr) : 0;
    const char *colon = end ? memchr(block->ptr, ':', len) : NULL;
    if (!colon)
        return false;
    *ret_name = (struct slice){block->ptr, (size_t)(colon - block->ptr)};
    *ret_value = trim((struct slice){colon + 1, len - ret_name->len - 1});
    block->ptr += len + 1;
    block->len -= len + 1;
    return true;
}

static void append_field(struct buffer *block, struct slice name, struct slice value)
{
    char *at = buffer_reserve(block, name.len + value.len + 3);
    for (size_t i = 0; i < name.len; i++)
        *at++ = (char)tolower((unsigned char)name.ptr[i]);
    *at++ = ':', *at++ = ' ';
    if (value.len > 0)
        memcpy(at, value.ptr, value.len);
    at[value.len] = '\n';
    block->end += name.len + value.len + 3;
}

static void remove_field(struct buffer *block, const char *name)
{
    struct buffer kept = {0};
    struct slice rest = buffer_slice(block), field, value;
    while (next_field(&rest, &field, &value))
        if (!slice_equal(field, slice_of(name)))
            append_field(&kept, field, value);
    buffer_done(block);
    *block = kept;
}

/* ---- requests ---- */

int request_headers_take(struct request_headers *headers, struct slice block)
{
    /* They frame the message or belong to the connection, which is not the worker's. */
    static const char *const ours[] = {"connection", "content-length",   "expect", "host",
                                       "keep-alive", "proxy-connection", "te",     "trailer",
                                       "upgrade",    "transfer-encoding"};
    struct slice name, value;
    while (next_field(&block, &name, &value)) {
        if (!is_token(name) || !is_value(value))
            return -EPROTO;
        if (!slice_is_one_of_nocase(name, ours, ARRAY_LEN(ours)))
            append_field(&headers->block, name, value);
    }
    return block.len == 0 ? 0 : -EPROTO;
}

struct slice request_headers_get(const struct request_headers *headers, const char *wanted)
{
    struct slice rest = buffer_slice(&headers->block), name, value;
    while (next_field(&rest, &name, &value))
        if (slice_equal(name, slice_of(wanted)))
            return value;
    return (struct slice){0};
}

void request_headers_remove(struct request_headers *headers, const char *name)
{
    remove_field(&headers->block, name);
}

void request_headers_each(const struct request_headers *headers,
                          void (*add)(void *context, const char *line), void *context)
{
    struct slice rest = buffer_slice(&headers->block), name, value;
    while (next_field(&rest, &name, &value)) {
        /* libcurl takes "Name:" as "send none of your own"; ";" means a field without value. */
        AUTO_TEXT line =
            value.len ? xasprintf("%.*s: %.*s", (int)name.len, name.ptr, (int)value.len, value.ptr)
                      : xasprintf("%.*s;", (int)name.len, name.ptr);
        add(context, line);
    }
}

/* ---- responses ---- */

void response_headers_done(struct response_headers *headers)
{
    buffer_done(&headers->block);
    free(headers->location);
    free(headers->coding);
    *headers = (struct response_headers){.length = -1};
}

static int take_status(struct response_headers *headers, struct slice line)
{
    const char *blank = memchr(line.ptr, ' ', line.len);
    response_headers_done(headers); /* a 1xx came before */
    if (blank && blank + 3 < line.ptr + line.len)
        for (int i = 1; i <= 3 && isdigit((unsigned char)blank[i]); i++)
            headers->status = headers->status * 10 + (blank[i] - '0');
    return 0;
}

static void take_text(char **place, struct slice value)
{
    if (!*place)
        *place = xstrndup(value.ptr, value.len);
}

static void take_length(struct response_headers *headers, struct slice value)
{
    int64_t length = 0;
    if (value.len == 0 || value.len > 18)
        return;
    for (size_t i = 0; i < value.len; i++) {
        if (!isdigit((unsigned char)value.ptr[i]))
            return;
        length = length * 10 + (value.ptr[i] - '0');
    }
    headers->length = length;
}

int response_headers_line(struct response_headers *headers, struct slice line)
{
    static const char *const hop_by_hop[] = {"connection", "keep-alive", "proxy-connection",
                                             "te",         "trailer",    "transfer-encoding",
                                             "upgrade"};
    if (slice_starts_with(line, SLICE("HTTP/")))
        return take_status(headers, line);
    struct slice whole = trim(line);
    if (whole.len == 0) {
        headers->complete = headers->status >= 200;
        return headers->complete ? 1 : 0;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return 0;
    struct slice name = {line.ptr, (size_t)(colon - line.ptr)};
    struct slice value = trim((struct slice){colon + 1, line.len - name.len - 1});
    if (!is_token(name) || !is_value(value) ||
        slice_is_one_of_nocase(name, hop_by_hop, ARRAY_LEN(hop_by_hop)))
        return 0;
    if (buffer_len(&headers->block) + line.len > RESPONSE_HEADERS_BYTES_MAX)
        return -EMSGSIZE;
    if (slice_equal_nocase(name, SLICE("content-length")))
        take_length(headers, value);
    else if (slice_equal_nocase(name, SLICE("location")))
        take_text(&headers->location, value);
    else if (slice_equal_nocase(name, SLICE("content-encoding")))
        take_text(&headers->coding, value);
    append_field(&headers->block, name, value);
    return 0;
}

void response_headers_remove(struct response_headers *headers, const char *name)
{
    remove_field(&headers->block, name);
}

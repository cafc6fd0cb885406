/* SPDX-License-Identifier: Apache-2.0 */
#include "http1.h"

#include <string.h>

#include "field_list.h"

enum {
    CHUNK_LINE_BYTES_MAX = 4096,        /* size and extensions */
    CHUNK_EXTRAS_BYTES_MAX = 16 * 1024, /* extensions of a whole body: nobody needs them */
    TRAILERS_BYTES_MAX = 16 * 1024,     /* read and dropped */
    METHOD_BYTES_MAX = 32,
    EMPTY_LINES_BYTES_MAX = 8, /* before a request line (RFC 9112 section 2.2) */
};

/* What a byte may stand in: a token (tchar of RFC 9110), a request target, a field value, a host
 * name. A percent sign in a host would be one name here and another in the worker's URL. */
enum { CLASS_TOKEN = 1, CLASS_TARGET = 2, CLASS_VALUE = 4, CLASS_HOST = 8 };
static unsigned char classes[256];

__attribute__((constructor)) static void fill_classes(void)
{
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (alnum || (c && strchr("!#$%&'*+-.^_`|~", c)))
            classes[c] |= CLASS_TOKEN;
        /* Browsers leave quotes, braces and the like as they are in queries, curl leaves UTF-8. */
        if (c > 0x20 && c != 0x7f && c != '<' && c != '>' && c != '#')
            classes[c] |= CLASS_TARGET;
        if (alnum || (c && strchr("-._~!$&'()*+,;=", c)))
            classes[c] |= CLASS_HOST;
        if (c == '\t' || (c >= 0x20 && c != 0x7f))
            classes[c] |= CLASS_VALUE;
    }
}

static bool all_in_class(struct slice text, unsigned char wanted)
{
    unsigned char all = wanted;
    for (size_t i = 0; i < text.len; i++)
        all &= classes[(unsigned char)text.ptr[i]];
    return all == wanted;
}

bool http1_is_token(struct slice text)
{
    return text.len > 0 && all_in_class(text, CLASS_TOKEN);
}

bool http1_is_field_value(struct slice text)
{
    return all_in_class(text, CLASS_VALUE);
}

/* The next line without its CRLF. NULL in ->ptr: none yet. False: a bare CR or LF. */
static bool next_line(const char *bytes, size_t len, struct slice *ret_line)
{
    const char *lf = memchr(bytes, '\n', len);
    *ret_line = (struct slice){0};
    if (!lf)
        return true;
    if (lf == bytes || lf[-1] != '\r' || memchr(bytes, '\r', (size_t)(lf - 1 - bytes)))
        return false;
    *ret_line = (struct slice){bytes, (size_t)(lf - 1 - bytes)};
    return true;
}

/* host[:port], neither empty nor with userinfo; [address] for IPv6. */
static bool is_authority(struct slice text)
{
    size_t i = 0;
    if (text.len > 0 && text.ptr[0] == '[') {
        size_t address = strspn(text.ptr + 1, "0123456789abcdefABCDEF:.");
        i = address + 2;
        if (address < 2 || i > text.len || text.ptr[i - 1] != ']')
            return false;
    } else {
        while (i < text.len && classes[(unsigned char)text.ptr[i]] & CLASS_HOST)
            i++;
    }
    if (i == 0 || i == text.len)
        return i > 0;
    if (text.ptr[i] != ':' || text.len - i > 6)
        return false;
    for (i++; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return true;
}

static int parse_target(struct http1_request *request)
{
    struct slice target = request->target;
    if (!all_in_class(target, CLASS_TARGET))
        return -400;
    if (slice_equal(request->method, SLICE("CONNECT")))
        return -405; /* we are no proxy */
    if (target.ptr[0] == '/') {
        request->path = target;
        return 0;
    }
    if (target.len == 1 && target.ptr[0] == '*')
        return slice_equal(request->method, SLICE("OPTIONS")) ? (request->path = target, 0) : -400;
    size_t scheme = target.len > 7 && strncasecmp(target.ptr, "http://", 7) == 0    ? 7
                    : target.len > 8 && strncasecmp(target.ptr, "https://", 8) == 0 ? 8
                                                                                    : 0;
    if (scheme == 0)
        return -400;
    struct slice rest = {target.ptr + scheme, target.len - scheme};
    size_t host_len = 0;
    while (host_len < rest.len && rest.ptr[host_len] != '/' && rest.ptr[host_len] != '?')
        host_len++;
    request->authority = (struct slice){rest.ptr, host_len};
    request->path = (struct slice){rest.ptr + host_len, rest.len - host_len};
    if (host_len == 0 || !is_authority(request->authority))
        return -400;
    if (request->path.len == 0)
        request->path = SLICE("/");
    return request->path.ptr[0] == '/' ? 0 : -400;
}

static int parse_request_line(struct slice line, const struct http1_limits *limits,
                              struct http1_request *request)
{
    const char *end = line.ptr + line.len;
    const char *space = memchr(line.ptr, ' ', line.len);
    if (!space)
        return -400;
    request->method = (struct slice){line.ptr, (size_t)(space - line.ptr)};
    if (!http1_is_token(request->method))
        return -400;
    if (request->method.len > METHOD_BYTES_MAX)
        return -501;
    const char *target = space + 1, *second = memchr(target, ' ', (size_t)(end - target));
    if (!second)
        return -400;
    request->target = (struct slice){target, (size_t)(second - target)};
    if (request->target.len == 0)
        return -400;
    if (request->target.len > limits->target_bytes_max)
        return -414;
    struct slice version = {second + 1, (size_t)(end - second - 1)};
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0 || version.ptr[6] != '.')
        return -400;
    if (version.ptr[5] < '0' || version.ptr[5] > '9' || version.ptr[7] < '0' ||
        version.ptr[7] > '9')
        return -400;
    if (version.ptr[5] != '1')
        return -505;
    request->minor = version.ptr[7] != '0'; /* a later minor version is understood as ours */
    return 0;
}

/* Content-Length is digits, once; the same number repeated is refused too, being nobody's habit. */
static int take_content_length(struct slice value, struct http1_request *request)
{
    if (request->has_length || value.len == 0 || value.len > 18)
        return -400;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return -400;
        request->content_length = request->content_length * 10 + (value.ptr[i] - '0');
    }
    request->has_length = true;
    return 0;
}

static int take_connection(struct slice value, struct http1_request *request, bool *close,
                           bool *keep)
{
    struct slice element;
    while (field_next_element(&value, &element)) {
        *close |= slice_equal_nocase(element, SLICE("close"));
        *keep |= slice_equal_nocase(element, SLICE("keep-alive"));
        request->upgrade |= slice_equal_nocase(element, SLICE("upgrade"));
    }
    return 0;
}

/* Only "chunked", once. A list that ends otherwise has no end that two readers would agree on. */
static int take_transfer_encoding(struct slice value, struct http1_request *request)
{
    struct slice element, last = {0};
    if (request->chunked || request->minor == 0)
        return -400;
    if (slice_equal_nocase(value, SLICE("chunked"))) {
        request->chunked = true;
        return 0;
    }
    while (field_next_element(&value, &element)) {
        if (slice_equal_nocase(last, SLICE("chunked")))
            return -400;
        last = element;
    }
    return slice_equal_nocase(last, SLICE("chunked")) ? -501 : -400;
}

/* What the fields mean for the connection and for the body's length. */
static int take_framing(struct http1_request *request)
{
    bool close = false, keep = false, host = false;
    for (int i = 0; i < request->headers_count; i++) {
        struct slice name = request->headers[i].name, value = request->headers[i].value;
        int r = 0;
        switch (name.len) {
        case 4:
            if (slice_equal(name, SLICE("host"))) {
                if (host || !is_authority(value))
                    return -400;
                host = true;
                if (!request->authority.ptr)
                    request->authority = value;
            }
            break;
        case 6:
            if (slice_equal(name, SLICE("expect"))) {
                if (!slice_equal_nocase(value, SLICE("100-continue")))
                    return -417;
                request->expect_continue = request->minor == 1;
            }
            break;
        case 10:
            if (slice_equal(name, SLICE("connection")))
                r = take_connection(value, request, &close, &keep);
            break;
        case 14:
            if (slice_equal(name, SLICE("content-length")))
                r = take_content_length(value, request);
            break;
        case 17:
            if (slice_equal(name, SLICE("transfer-encoding"))) {
                r = take_transfer_encoding(value, request);
            }
            break;
        default:
            break;
        }
        if (r < 0)
            return r;
    }
    if (request->chunked && request->has_length)
        return -400;
    if (!host && request->minor == 1)
        return -400;
    request->keep_alive = request->minor == 1 ? !close : keep && !close;
    return 0;
}

static int parse_header(char *line, size_t len, struct http1_header *ret_header)
{
    char *colon = memchr(line, ':', len);
    if (!colon)
        return -400;
    struct slice name = {line, (size_t)(colon - line)};
    if (!http1_is_token(name)) /* also a blank before the colon, and a folded line */
        return -400;
    for (size_t i = 0; i < name.len; i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] |= 32;
    ret_header->name = name;
    ret_header->value = field_trim((struct slice){colon + 1, len - name.len - 1});
    return http1_is_field_value(ret_header->value) ? 0 : -400;
}

int http1_parse(char *bytes, size_t len, const struct http1_limits *limits,
                struct http1_request *request)
{
    size_t at = 0, seen = len < limits->head_bytes_max ? len : limits->head_bytes_max;
    struct slice line;
    while (at < EMPTY_LINES_BYTES_MAX && at + 1 < seen && bytes[at] == '\r' &&
           bytes[at + 1] == '\n')
        at += 2;
    /* All but the table of fields, which is too big to clear for each request. */
    memset(request, 0, offsetof(struct http1_request, headers));
    if (!next_line(bytes + at, seen - at, &line))
        return -400;
    if (!line.ptr) {
        if (seen - at > limits->target_bytes_max + METHOD_BYTES_MAX + 16 ||
            len >= limits->head_bytes_max)
            return -414;
        bool hopeless =
            seen > at && bytes[at] != '\r' && !(classes[(unsigned char)bytes[at]] & CLASS_TOKEN);
        return hopeless ? -400 : 0;
    }
    int r = parse_request_line(line, limits, request);
    if (r == 0)
        r = parse_target(request);
    if (r < 0)
        return r;
    at = (size_t)(line.ptr + line.len + 2 - bytes);
    for (;;) {
        if (!next_line(bytes + at, seen - at, &line))
            return -400;
        if (!line.ptr)
            return len >= limits->head_bytes_max ? -431 : 0;
        at += line.len + 2;
        if (line.len == 0)
            break;
        if (request->headers_count == (int)limits->headers_count_max)
            return -431;
        r = parse_header(bytes + (line.ptr - bytes), line.len,
                         &request->headers[request->headers_count++]);
        if (r < 0)
            return r;
    }
    r = take_framing(request);
    return r < 0 ? r : (int)at;
}

/* "1a;name=value": the size alone matters, and the extensions only by their length. */
static int parse_chunk_size(struct slice line, struct http1_chunks *chunks)
{
    uint64_t size = 0;
    size_t i = 0;
    for (; i < line.len; i++) {
        char c = line.ptr[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0)
            break;
        if (i >= 15)
            return -400;
        size = size * 16 + (uint64_t)digit;
    }
    if (i == 0)
        return -400;
    if (i < line.len) {
        struct slice extension = {line.ptr + i, line.len - i};
        if (field_trim(extension).len == 0 || field_trim(extension).ptr[0] != ';' ||
            !http1_is_field_value(extension))
            return -400;
        chunks->extras_bytes += (uint32_t)extension.len;
        if (chunks->extras_bytes > CHUNK_EXTRAS_BYTES_MAX)
            return -400;
    }
    chunks->left = size;
    return 0;
}

static int read_chunk_size(struct http1_chunks *chunks, const char *bytes, size_t len,
                           size_t *ret_used)
{
    struct slice line;
    if (!next_line(bytes, len, &line))
        return -400;
    if (!line.ptr)
        return len > CHUNK_LINE_BYTES_MAX ? -400 : 0;
    if (line.len > CHUNK_LINE_BYTES_MAX || parse_chunk_size(line, chunks) < 0)
        return -400;
    *ret_used = line.len + 2;
    chunks->state = chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
    return 1;
}

/* Trailers are checked and dropped: nobody here can use them, and what cannot be a field may be a
 * request that somebody wants to smuggle. */
static int read_trailer(struct http1_chunks *chunks, const char *bytes, size_t len,
                        size_t *ret_used)
{
    struct slice line;
    if (!next_line(bytes, len, &line))
        return -400;
    if (!line.ptr)
        return chunks->trailers_bytes + len > TRAILERS_BYTES_MAX ? -431 : 0;
    *ret_used = line.len + 2;
    chunks->trailers_bytes += (uint32_t)line.len + 2;
    if (chunks->trailers_bytes > TRAILERS_BYTES_MAX)
        return -431;
    if (line.len == 0) {
        chunks->state = CHUNK_END;
        return 2;
    }
    const char *colon = memchr(line.ptr, ':', line.len);
    bool fine = colon && http1_is_token((struct slice){line.ptr, (size_t)(colon - line.ptr)}) &&
                http1_is_field_value(line);
    return fine ? 1 : -400;
}

int http1_chunks_read(struct http1_chunks *chunks, const char *bytes, size_t len, size_t data_max,
                      size_t *ret_used, struct slice *ret_data)
{
    *ret_used = 0;
    *ret_data = (struct slice){0};
    switch (chunks->state) {
    case CHUNK_SIZE:
        return read_chunk_size(chunks, bytes, len, ret_used);
    case CHUNK_DATA: {
        size_t part = len < data_max ? len : data_max;
        if (part > chunks->left)
            part = (size_t)chunks->left;
        *ret_data = (struct slice){bytes, part};
        *ret_used = part;
        chunks->left -= part;
        if (chunks->left == 0)
            chunks->state = CHUNK_DATA_END;
        return part > 0;
    }
    case CHUNK_DATA_END:
        if (len < 2)
            return len == 1 && bytes[0] != '\r' ? -400 : 0;
        if (bytes[0] != '\r' || bytes[1] != '\n')
            return -400;
        *ret_used = 2;
        chunks->state = CHUNK_SIZE;
        return 1;
    case CHUNK_TRAILERS:
        return read_trailer(chunks, bytes, len, ret_used);
    case CHUNK_END:
        break;
    }
    return 2;
}

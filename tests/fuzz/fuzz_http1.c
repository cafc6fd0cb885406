/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: a head, or a chunked body that comes in pieces. */
#include <stdlib.h>
#include <string.h>

#include "http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void require_inside(struct slice part, const char *from, size_t len)
{
    if (part.len > 0 && !(part.len == 1 && part.ptr[0] == '/')) /* "/" may be a constant */
        require(part.ptr >= from && part.ptr + part.len <= from + len);
}

static void try_head(const uint8_t *data, size_t size)
{
    static const struct http1_limits limits = {2048, 512, 32};
    static struct http1_request request;
    char *bytes = malloc(size ? size : 1);
    memcpy(bytes, data, size);
    int r = http1_parse(bytes, size, &limits, &request);
    require(r <= (int)size && r >= -505);
    if (r > 0) {
        require(!(request.chunked && request.has_length) && request.content_length >= 0);
        require(request.headers_count <= 32);
        require(http1_is_token(request.method));
        require_inside(request.authority, bytes, (size_t)r);
        require_inside(request.path, bytes, (size_t)r);
        for (int i = 0; i < request.headers_count; i++) {
            require_inside(request.headers[i].name, bytes, (size_t)r);
            require_inside(request.headers[i].value, bytes, (size_t)r);
            require(http1_is_token(request.headers[i].name));
            require(http1_is_field_value(request.headers[i].value));
        }
        /* The head ends where it ends, whatever follows; and parsed again it is the same. */
        static struct http1_request again;
        require(http1_parse(bytes, (size_t)r, &limits, &again) == r);
        require(again.headers_count == request.headers_count);
        require(http1_parse(bytes, (size_t)r - 1, &limits, &again) <= 0);
    }
    free(bytes);
}

/* Decodes with `have` bytes at first and step more each time; returns a hash of the data. */
static uint64_t decode(const uint8_t *data, size_t size, size_t step, int *ret_result,
                       size_t *ret_consumed)
{
    struct http1_chunks chunks = {0};
    size_t at = 0, have = 0;
    uint64_t hash = 0;
    int r = 0;
    while (r >= 0 && r != 2) {
        struct slice part;
        size_t used;
        r = http1_chunks_read(&chunks, (const char *)data + at, have - at, step, &used, &part);
        require(used <= have - at && part.len <= used);
        for (size_t i = 0; i < part.len; i++)
            hash = hash * 1099511628211u + (uint8_t)part.ptr[i];
        at += used;
        if (r == 0 && have == size)
            break;
        if (r == 0)
            have = have + step < size ? have + step : size;
    }
    *ret_result = r;
    *ret_consumed = at;
    return hash;
}

static void try_chunks(const uint8_t *data, size_t size)
{
    int one, many;
    size_t one_at, many_at;
    uint64_t one_hash = decode(data, size, 1, &one, &one_at);
    uint64_t many_hash = decode(data, size, size + 1, &many, &many_at);
    require(one == many || (one < 0 && many < 0));
    if (one == 2)
        require(one_at == many_at && one_hash == many_hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'c')
        try_chunks(data + 1, size - 1);
    else
        try_head(data + 1, size - 1);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker parses for itself; the first byte chooses: header blocks, response lines, content
 * codings, entries of an allow list. */
#include <stdint.h>
#include <stdlib.h>

#include "decode.h"
#include "egress.h"
#include "headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void check_line(void *context, const char *line)
{
    (void)context;
    require(!strpbrk(line, "\r\n"));
}

static void try_request_headers(struct slice bytes)
{
    struct request_headers headers = {0};
    if (request_headers_take(&headers, bytes) == 0) {
        request_headers_each(&headers, check_line, NULL);
        require(!request_headers_get(&headers, "host").ptr);
        request_headers_remove(&headers, "cookie");
        require(!request_headers_get(&headers, "cookie").ptr);
    }
    buffer_done(&headers.block);
}

static void try_response_headers(struct slice bytes)
{
    struct response_headers headers = {.length = -1};
    while (bytes.len > 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t len = end ? (size_t)(end - bytes.ptr) + 1 : bytes.len;
        if (response_headers_line(&headers, (struct slice){bytes.ptr, len}) != 0)
            break;
        bytes.ptr += len;
        bytes.len -= len;
    }
    struct slice block = buffer_slice(&headers.block);
    require(!block.len || (block.ptr[block.len - 1] == '\n' && !memchr(block.ptr, 0, block.len)));
    response_headers_remove(&headers, "content-encoding");
    response_headers_done(&headers);
}

static void try_decoder(enum decode_coding coding, struct slice bytes)
{
    struct decoder *decoder = decoder_new(coding);
    AUTO_BUFFER out = {0};
    for (int i = 0; i < 200 && (bytes.len > 0 || decoder_has_more(decoder)); i++) {
        buffer_reset(&out, SIZE_MAX);
        if (decoder_push(decoder, &bytes, 1000, &out) < 0)
            break;
        require(buffer_len(&out) <= 1000);
    }
    decoder_free(&decoder);
}

static void try_egress(struct slice bytes)
{
    AUTO_TEXT entry = xstrndup(bytes.ptr, bytes.len);
    AUTO(egress) egress = egress_new();
    if (egress_allow(egress, entry) == 0)
        (void)egress_check(egress, bytes, &(struct sockaddr){.sa_family = AF_UNIX});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct slice rest = {(const char *)data + 1, size - 1};
    switch (data[0] % 5) {
    case 0:
        try_request_headers(rest);
        break;
    case 1:
        try_response_headers(rest);
        break;
    case 2:
        try_decoder(DECODE_GZIP, rest);
        break;
    case 3:
        try_decoder(DECODE_BR, rest);
        break;
    default:
        try_egress(rest);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 request syntax (RFC 9112), strict: what two readers could understand differently is
 * refused, since that is what request smuggling lives on. Knows bytes, and no sockets or globals.
 */
#ifndef WEIR_HTTP1_H
#define WEIR_HTTP1_H

#include <stdint.h>

#include "common.h"
#include "slice.h"

enum { HTTP1_HEADERS_MAX = 256 };

struct http1_limits {
    uint32_t head_bytes_max;    /* request line and header fields: 431 */
    uint32_t target_bytes_max;  /* 414 */
    uint32_t headers_count_max; /* at most HTTP1_HEADERS_MAX: 431 */
};

struct http1_header {
    struct slice name;  /* lower case */
    struct slice value; /* without blanks around it */
};

struct http1_request {
    struct slice method, target;
    struct slice authority; /* of an absolute target, else the Host field; may be empty in 1.0 */
    struct slice path;      /* path and query, beginning with '/', or "*" */
    int minor;              /* of HTTP/1.x */
    bool chunked, has_length, keep_alive, expect_continue, upgrade;
    int64_t content_length; /* 0 without a body */
    int headers_count;
    struct http1_header headers[HTTP1_HEADERS_MAX]; /* last: not cleared beyond the count */
};

/* Parses a request head at the start of bytes[0..len), changing header names to lower case in
 * place. Returns the head's length; 0: more bytes are needed; negative: minus the HTTP status to
 * answer, after which the connection must close. *ret_request is meaningful only after success. */
int http1_parse(char *bytes, size_t len, const struct http1_limits *limits,
                struct http1_request *ret_request) WARN_UNUSED;

/* Chunked decoder. Zero-initialised is the start of a body. */
struct http1_chunks {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILERS, CHUNK_END } state;
    uint32_t extras_bytes, trailers_bytes; /* so far */
    uint64_t left;                         /* of the chunk */
};

/* Decodes from bytes[0..len): *ret_used bytes were consumed, and *ret_data (borrowed, at most
 * data_max bytes) is the data among them, possibly empty. 1: go on with the rest. 0: more bytes or
 * a larger data_max are needed. 2: the body ended. Negative: minus the HTTP status. */
int http1_chunks_read(struct http1_chunks *chunks, const char *bytes, size_t len, size_t data_max,
                      size_t *ret_used, struct slice *ret_data) WARN_UNUSED;

/* Is it a token (RFC 9110 section 5.6.2)? */
bool http1_is_token(struct slice text);
/* Is it a field value: no control characters but tab? */
bool http1_is_field_value(struct slice text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks ("name: value\n") of instances made into a request's fields, and a response's lines
 * made into a block. Both sides are hostile: what is no field is refused or dropped, and nothing
 * can add a line of its own. */
#ifndef WEIR_HEADERS_H
#define WEIR_HEADERS_H

#include "buffer.h"

enum { RESPONSE_HEADERS_BYTES_MAX = 128 * 1024 };

struct request_headers {
    struct buffer block; /* checked; without those that the connection decides */
};

/* -EPROTO: not a header block. */
int request_headers_take(struct request_headers *headers, struct slice block) WARN_UNUSED;
/* The value of the first field of that name (lower case), or an empty slice with ptr NULL. */
struct slice request_headers_get(const struct request_headers *headers, const char *name);
void request_headers_remove(struct request_headers *headers, const char *name);
/* Calls add(context, "Name: value") for each, in order. */
void request_headers_each(const struct request_headers *headers,
                          void (*add)(void *context, const char *line), void *context);

struct response_headers {
    struct buffer block;
    int status;     /* 0: no status line yet */
    bool complete;  /* of a final response, not a 1xx */
    int64_t length; /* Content-Length; -1 without */
    char *location; /* NULL without */
    char *coding;   /* Content-Encoding; NULL without */
};

/* A line as it came, with its end. 0; -EMSGSIZE: too many; 1: the head is complete. */
int response_headers_line(struct response_headers *headers, struct slice line) WARN_UNUSED;
void response_headers_remove(struct response_headers *headers, const char *name);
void response_headers_done(struct response_headers *headers);

#endif

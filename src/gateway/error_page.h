/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ERROR_PAGE_H
#define WEIR_ERROR_PAGE_H

#include "buffer.h"

/* Why we answer instead of the worker. */
enum failure {
    FAILURE_EXCEPTION,   /* nobody caught it; or there will never be an answer */
    FAILURE_CRASH,       /* its process is gone */
    FAILURE_LIMITS,      /* CPU time or memory */
    FAILURE_TIMEOUT,     /* the wall limit */
    FAILURE_BUSY,        /* no room, and none became free in time */
    FAILURE_UNAVAILABLE, /* removed, or the server stops */
    FAILURE_BUILD,       /* its project does not build */
    FAILURE_START,       /* its global scope failed */
};

struct failure_kind {
    int status;
    int code; /* the platform's number for it; 0: it has none */
    const char *title;
};

const struct failure_kind *failure_kind(enum failure failure);

/* The fields that go with the page, or with what stands in its place. */
void error_page_headers(enum failure failure, const char *type, struct buffer *ret_headers);

/* Our answer instead of the worker's, as the client likes it best (accept: its Accept field): an
 * HTML page, JSON or text. With dev it shows the message, whose first line is the heading, and the
 * detail (a stack); otherwise the title and the request's id, which the log can be searched for. */
void error_page_build(enum failure failure, uint64_t request_id, struct slice accept, bool dev,
                      struct slice message, struct slice detail, struct buffer *ret_headers,
                      struct buffer *ret_body);

#endif

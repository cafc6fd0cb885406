/* SPDX-License-Identifier: Apache-2.0 */
/* Static assets: which file answers a path, as the platform's documentation of static assets says
 * (html_handling, not_found_handling, run_worker_first, _headers, _redirects), and how it is served
 * (RFC 9110: validators, ranges, precompressed neighbours). Never leaves its directory. */
#ifndef WEIR_ASSETS_H
#define WEIR_ASSETS_H

#include <jansson.h>
#include <sys/types.h>

#include "buffer.h"
#include "http1.h"

struct assets;

struct assets_answer {
    int status;
    struct buffer headers; /* "name: value\n" */
    int fd;                /* -1: the body is in memory */
    off_t offset;
    int64_t body_bytes;
    struct slice body; /* static */
};

/* Takes dir_fd (O_PATH) over. config: "assets" of the plan's worker. */
struct assets *assets_open(int dir_fd, const json_t *config);
void assets_free(struct assets **assets);

/* True: *ret_answer is the answer (free it with assets_answer_done). False: the worker's turn,
 * which is only so when has_code. */
bool assets_route(struct assets *assets, const struct http1_request *request, bool has_code,
                  struct assets_answer *ret_answer) WARN_UNUSED;
void assets_answer_done(struct assets_answer *answer);

#endif

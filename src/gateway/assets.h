/* SPDX-License-Identifier: Apache-2.0 */
/* Static assets: which file answers a path, as the platform's asset worker decides
 * (html_handling, not_found_handling, run_worker_first, _headers, _redirects), and how it is served
 * (RFC 9110: validators, ranges, precompressed neighbours). Never leaves its directory.
 *
 *   struct assets_answer answer;
 *   if (assets_route(assets, &request, has_code, &answer)) {
 *       send answer.head, Date, Connection, CRLF         (or a head made of status and headers)
 *       send answer.body, or body_bytes of answer.fd from answer.offset by sendfile
 *       assets_answer_done(&answer);
 *   } else: the worker's turn */
#ifndef WEIR_ASSETS_H
#define WEIR_ASSETS_H

#include <jansson.h>
#include <sys/types.h>

#include "buffer.h"
#include "http1.h"

struct assets;

struct assets_answer {
    int status;
    /* Status line and fields, each with its CRLF, made before the request came: everything but
     * Date, Connection and the empty line. Empty when the answer is not such a one. */
    struct slice head;
    struct slice headers; /* the same fields as "name: value\n", without content-length */
    /* What GET gets as body: in memory, or in a file (fd >= 0; take it by setting it to -1).
     * HEAD sends none of it; 304 has none. */
    int64_t body_bytes;
    struct slice body;
    int fd;
    off_t offset;
    struct buffer own; /* what head, headers and body point to unless it is the cache's */
};

/* Takes dir_fd (O_PATH) over. config: "assets" of the plan's worker. */
struct assets *assets_open(int dir_fd, const json_t *config);
void assets_free(struct assets **assets);

/* True: *ret_answer is the answer (free it with assets_answer_done). False: the worker's turn,
 * which is only so when has_code. The answer's slices are valid until the next call of assets_route
 * or assets_free, with any assets. */
bool assets_route(struct assets *assets, const struct http1_request *request, bool has_code,
                  struct assets_answer *ret_answer) WARN_UNUSED;
/* The same for env.ASSETS.fetch(): the worker was asked first already. Always answers. */
void assets_fetch(struct assets *assets, const struct http1_request *request,
                  struct assets_answer *ret_answer);
/* Copies what is borrowed, so that the answer outlives other calls. */
void assets_answer_keep(struct assets_answer *answer);
void assets_answer_done(struct assets_answer *answer);

#endif

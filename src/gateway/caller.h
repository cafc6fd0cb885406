/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever waits for a request's answer: a connection, another instance, or nobody any more. */
#ifndef WEIR_CALLER_H
#define WEIR_CALLER_H

#include "error_page.h"
#include "gateway.h"

/* Somebody does, or it is an event. */
bool caller_waits(const struct request *request);
/* The functions of conn.h, for whoever it is; nothing when it is nobody. */
void caller_respond(struct request *request, int status, struct slice headers, int64_t body_bytes,
                    struct slice body, bool ended);
void caller_respond_body(struct request *request, struct slice body, bool ended);
void caller_fail(struct request *request, enum failure failure, struct slice message,
                 struct slice detail);
/* What is said in its place: of a Prisma endpoint in Prisma's form, else error_page_build's. */
void caller_error(const struct request *request, enum failure failure, struct slice accept,
                  struct slice message, struct slice detail, struct buffer *ret_headers,
                  struct buffer *ret_body);
void caller_request_over(struct request *request);
void caller_resume_body(struct request *request);

#endif

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
void caller_request_over(struct request *request);
void caller_resume_body(struct request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection. Requests of one connection are served one after the other. */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

#include "gateway.h"

struct conn;

void conn_accept(int listener_fd, bool admin);
/* From dispatch: the response's head with what of the body came with it. headers: block. */
void conn_respond(struct conn *conn, struct request *request, int status, struct slice headers,
                  int64_t body_bytes, struct slice body, bool ended);
void conn_respond_body(struct conn *conn, struct request *request, struct slice body, bool ended);
/* An answer of our own instead of the worker's. If the head is out already the connection breaks.
 */
void conn_fail(struct conn *conn, struct request *request, int status, int code,
               struct slice message, struct slice detail);
/* The scheduled event that the client asked for is over. */
void conn_answer_event(struct conn *conn, struct request *request, const char *error);
/* The instance gave credit for the request's body: read on. */
void conn_resume_body(struct conn *conn);
void conn_flush_all(void);
void conn_tick(void);
/* Closes idle connections, and each other one after its response. */
void conn_drain_all(void);

#endif

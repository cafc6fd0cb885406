/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection. Requests of one connection are served one after the other. */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

#include "error_page.h"
#include "gateway.h"

struct conn;

/* Accepts what waits. False: no descriptors are left; leave the listener alone for a while. */
bool conn_accept(int listener_fd, const struct listener_kind *kind);

/* The client's address as text, in `text` or static. */
enum { CLIENT_TEXT_BYTES = 48 };
struct slice conn_client(const struct conn *conn, char text[CLIENT_TEXT_BYTES]);

/* ---- from dispatch ---- */
/* The response's head with what of the body came with it. headers: block. */
void conn_respond(struct conn *conn, struct request *request, int status, struct slice headers,
                  int64_t body_bytes, struct slice body, bool ended);
void conn_respond_body(struct conn *conn, struct request *request, struct slice body, bool ended);
/* An answer of our own instead of the worker's. If the head is out already the connection breaks.
 * request->conn is NULL afterwards. */
void conn_fail(struct conn *conn, struct request *request, enum failure failure,
               struct slice message, struct slice detail);
/* The worker failed and had asked that assets, or nobody, answer instead. As conn_fail. */
void conn_pass_through(struct conn *conn, struct request *request);
/* The scheduled event that the client asked for is over. As conn_fail. */
void conn_answer_event(struct conn *conn, struct request *request, const char *error);
/* Nothing of the answered request runs any more: no one will read the rest of its body. */
void conn_request_over(struct conn *conn, struct request *request);
/* There may be credit or room for the request's body: read on. */
void conn_resume_body(struct conn *conn);

void conn_flush_all(void);
void conn_tick(void);
/* Closes idle connections, and each other one after its response. new_too: also those whose first
 * request may be on its way, unless they are the admin's, who goes on listening. */
void conn_drain_all(bool new_too);

#endif

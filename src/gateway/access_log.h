/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to stdout: a line a request, the workers' console, their errors. Gathered during a turn
 * and written at its end; text for people, JSON for programs. Also counts what it sees. */
#ifndef WEIR_ACCESS_LOG_H
#define WEIR_ACCESS_LOG_H

#include "error_page.h"
#include "gateway.h"

struct conn;

/* status: what the client saw; 499 when it went away first. */
void access_log_request(struct request *request, int status);
/* The same for one of another worker: it is counted, and has no line. */
void access_log_call(struct request *request, int status);
/* No worker saw the request: we answered it, with so many bytes of body. deployment: NULL when no
 * route matched; parsed: NULL when it is no request; start_us: 0 when it took no time. */
void access_log_answer(const struct conn *conn, const struct deployment *deployment,
                       const struct http1_request *parsed, int status, uint64_t bytes,
                       uint64_t start_us);
/* error: NULL when it went well. */
void access_log_event(struct request *request, const char *error);
/* kind: enum error_kind. */
void access_log_exception(struct request *request, int kind, const char *text, struct slice detail);
/* What ended requests from outside: a crash, a limit. One line for people, one a request (or one
 * without) for programs. */
void access_log_failure(const struct deployment *deployment, enum failure failure, const char *text,
                        struct request *const requests[], size_t count);
/* request may be NULL. Beyond the request's log_bytes lines are dropped and counted; outside of
 * requests the same number of bytes may come in each second. */
void access_log_console(struct instance *instance, struct request *request, int level,
                        struct slice text, struct slice where);
/* Writes what stdout takes without blocking; keeps the rest, and drops what is too much. */
void access_log_flush(void);
/* The same at the process's end, waiting a little. */
void access_log_flush_all(void);

void access_log_count(struct histogram *histogram, uint64_t took_us);
/* Upper bound of a bucket; the last one has none. */
uint64_t access_log_bound_us(int bucket);

#endif

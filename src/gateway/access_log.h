/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to stdout: a line a request, the workers' console, their errors. Gathered during a turn
 * and written at its end; text for people, JSON for programs. Also counts what it sees. */
#ifndef WEIR_ACCESS_LOG_H
#define WEIR_ACCESS_LOG_H

#include "gateway.h"

struct assets_answer;

/* status: what the client saw; 499 when it went away first. */
void access_log_request(struct request *request, int status);
void access_log_asset(struct deployment *deployment, const struct http1_request *parsed,
                      const struct assets_answer *asset, uint64_t start_us);
/* We answered ourselves before any worker saw it. deployment: NULL when no route matched. */
void access_log_unserved(const struct deployment *deployment, const struct http1_request *parsed,
                         int status);
/* error: NULL when it went well. */
void access_log_event(struct request *request, const char *error);
void access_log_exception(struct request *request, int kind, const char *text, struct slice detail);
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

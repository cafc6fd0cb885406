/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the pool's own: one asks one thing in a pool as any other client would, so that it
 * queues, fails and is limited as others are. */
#ifndef WEIR_POOL_OWN_H
#define WEIR_POOL_OWN_H

#include "pool.h"

/* What came, all messages up to ReadyForQuery, borrowed; problem (else NULL): why there was no
 * answer, or none within the limit. May be called within any call into the pool, not within
 * own_ask. */
typedef void own_done_fn(void *context, struct slice replies, const char *problem);

/* Sends the batch, which it takes over, with these session parameters (NULL: the server's own, with
 * search_path, should it not be NULL). done is called once. */
void own_ask(const char *database, const char *user, const char *search_path, struct params *params,
             struct buffer *batch, size_t replies_max, own_done_fn *done, void *context);

/* Once a turn, from the loop alone: those that were asked for since begin. */
void own_begin_all(void);
bool own_is(const struct client *client);
/* How many of pool_process.clients are. */
uint32_t own_count(void);

/* The next message of replies; false: there is none. */
bool own_next(struct slice *replies, char *ret_type, struct slice *ret_body);
/* Column i of a row as text; ptr NULL: it is null, or there is none. */
struct slice own_column(struct slice row, unsigned i);
/* The text of an ErrorResponse, whatever else it has or lacks (CVE-2026-6666). */
struct slice own_error_text(struct slice body);

/* Parse, Bind with one text parameter, Execute, Sync. */
void own_compose(struct buffer *batch, const char *sql, const char *parameter);

#endif

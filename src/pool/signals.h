/* SPDX-License-Identifier: Apache-2.0 */
/* pg_terminate_backend() and pg_cancel_backend() of a session of the pool: what a driver was told
 * as its backend's process id is a number of ours, which no process has (SESSION_NUMBERS). The
 * functions are sent on, and find no process; what was meant is done here, to sessions of the same
 * database and user. */
#ifndef WEIR_POOL_SIGNALS_H
#define WEIR_POOL_SIGNALS_H

#include "pool.h"

/* The text of a simple query. */
void signals_in_query(struct client *client, struct slice text);
/* A Bind of the statement, which says who is meant; values: its body after the names. */
void signals_in_bind(struct client *client, const struct statement *statement, struct slice values);
/* The Execute of what was bound last. */
void signals_in_execute(struct client *client);

#endif

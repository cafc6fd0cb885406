/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of the pool for Prometheus (text format 0.0.4), by HTTP on a listener of their own. */
#ifndef WEIR_POOL_METRICS_H
#define WEIR_POOL_METRICS_H

#include "buffer.h"

/* A connection to that listener; takes fd over. */
void metrics_accept(int fd);
/* Closes those that have taken too long. */
void metrics_tick(void);
/* A client is told that error, which is the pool's own; at its login, or later. */
void metrics_refused(const char *sqlstate, bool login);
/* The counts as text. */
void metrics_write(struct buffer *out);

#endif

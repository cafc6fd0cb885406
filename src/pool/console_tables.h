/* SPDX-License-Identifier: Apache-2.0 */
/* What the console shows. Columns are named as PgBouncer's, so that what reads those goes on
 * working; what the pool does not know is NULL, not made up. */
#ifndef WEIR_POOL_CONSOLE_TABLES_H
#define WEIR_POOL_CONSOLE_TABLES_H

#include <stdbool.h>

#include "buffer.h"

/* Appends the rows of SHOW subject; false: there is no such subject. */
bool console_show(const char *subject, struct buffer *out);

/* ---- rows; for the other console_*.c, too ---- */

/* Columns in one text, blanks between; those of type int4 begin with '#', int8 '+', numeric '%',
 * bytea
 * '&'. */
void table_columns(struct buffer *out, const char *names);
/* A row of so many columns: each is added, then wire_end. */
size_t table_row(struct buffer *out, uint16_t count);
void table_text(struct buffer *out, const char *value); /* NULL: NULL */
void table_number(struct buffer *out, uint64_t value);

/* ---- console_stats.c ---- */

void show_stats(struct buffer *out);
void show_stats_totals(struct buffer *out);
void show_stats_averages(struct buffer *out);
void show_totals(struct buffer *out);

/* ---- console_fds.c ---- */

void show_fds(struct buffer *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of PgBouncer's that the pool has no key for. */
#ifndef WEIR_PGBOUNCER_NOTES_H
#define WEIR_PGBOUNCER_NOTES_H

#include <stddef.h>

/* What the pool does instead; NULL: nothing needs to be said, as the value is PgBouncer's default
 * or changes nothing. */
const char *pgbouncer_notes_text(const char *setting, const char *value);
/* The names of those settings, i from 0; NULL behind the last. */
const char *pgbouncer_notes_name(size_t i);

#endif

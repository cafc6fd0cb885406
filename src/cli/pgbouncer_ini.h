/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration of PgBouncer's (https://www.pgbouncer.org/config.html) as the pool's part of the
 * plan. What has no counterpart is told in notes of the report. */
#ifndef WEIR_PGBOUNCER_INI_H
#define WEIR_PGBOUNCER_INI_H

#include "report.h"

/* A new reference, also when there are mistakes, which go to report. */
json_t *pgbouncer_ini_plan(const char *path, struct config_report *report);

/* The same for weir's own file: files that the ini names stay names, as `users_file`, `key_file` …. */
json_t *pgbouncer_ini_import(const char *path, struct config_report *report);

#endif

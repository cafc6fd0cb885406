/* SPDX-License-Identifier: Apache-2.0 */
/* From a project's [[hyperdrive]] to databases of the pool: fills project->databases. */
#ifndef WEIR_HYPERDRIVE_H
#define WEIR_HYPERDRIVE_H

#include "project.h"

/* Under weir dev each is a database of its own, from the environment, localConnectionString, or the
 * project's private Postgres, which is started. Returns the pool's part of the plan in *ret_pool
 * (NULL: no databases). 0, or negative with err. */
int hyperdrive_dev(struct project *project, json_t **ret_pool, struct error *err) WARN_UNUSED;

/* Under weir serve they are databases of pool (NULL: there is none), by id or name. Mistakes go to
 * report, at line. */
void hyperdrive_serve(struct project *project, const json_t *pool, int line,
                      struct config_report *report);

/* Under weir dev: the project's private Postgres as a database of the pool (*pool, made when it is
 * NULL), with that id; it is started. 0, or negative with err. */
int hyperdrive_dev_private(const struct project *project, const char *id, json_t **pool,
                           struct error *err) WARN_UNUSED;

/* The pool's database of that id or name, borrowed; NULL: there is none. */
const json_t *hyperdrive_find(const json_t *pool, const char *id);
/* What a worker of the platform's own is told of it: {host, database, user}; NULL: it has no user of its
 * own. */
json_t *hyperdrive_binding(const json_t *database, const char *id);

#endif

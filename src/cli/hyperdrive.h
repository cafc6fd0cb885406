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

#endif

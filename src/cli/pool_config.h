/* SPDX-License-Identifier: Apache-2.0 */
/* From the tables of pool.toml, or [pool] of weir.toml, to the pool's part of the plan
 * (docs/plan.md). */
#ifndef WEIR_POOL_CONFIG_READER_H
#define WEIR_POOL_CONFIG_READER_H

#include "config.h"

/* table: of the file `path`, whose directory relative paths begin from. name: how the table is
 * called in messages. Mistakes go to report. A new reference, also when there are mistakes. */
json_t *pool_config_plan(const struct value *table, const char *name, const char *path,
                         struct config_report *report);

/* Is that the pool's own file, pool.toml, and none of `weir serve`? */
bool pool_config_is_own(const struct value *root);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A connection URL of Postgres as a database of the pool's plan. Its parameters are libpq's and
 * those that providers and drivers add; none is passed over in silence. */
#ifndef WEIR_DATABASE_URL_H
#define WEIR_DATABASE_URL_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

/* Puts what url says into database. dir: where names of files in it begin. What concerns clients
 * alone is told as texts in the array notes; has_settings: where there is a table
 * [databases.settings], it is named there. -EINVAL with what is wrong in err: never a secret. */
int database_url_apply(const char *url, const char *dir, bool has_settings, json_t *database,
                       json_t *notes, struct error *err) WARN_UNUSED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Connection URLs of Postgres:
 * postgres://user:password@host:port,host:port/database?sslmode=require&… */
#ifndef WEIR_POSTGRES_URL_H
#define WEIR_POSTGRES_URL_H

#include <jansson.h>

/* The parts that are there: hosts (an array of {host, port}), database, user, password, and
 * `parameters`, an object of texts. NULL: it is no such URL, and *ret_problem says why (static). */
json_t *postgres_url_parse(const char *url, const char **ret_problem);

#endif

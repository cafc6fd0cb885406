/* SPDX-License-Identifier: Apache-2.0 */
/* Which deployment answers: patterns "host/path" as in a wrangler configuration. The host may begin
 * with "*" (then "*.example.com" matches subdomains, "*example.com" the domain as well), the path
 * may end with "*"; a scheme in front is ignored. The most specific pattern wins: the longer host,
 * then the longer path. */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "slice.h"

struct deployment;
struct routes;

struct routes *routes_new(void);
void routes_free(struct routes **routes);
void routes_add(struct routes *routes, const char *pattern, struct deployment *deployment);
/* Answers what no pattern matches. */
void routes_set_default(struct routes *routes, struct deployment *deployment);
/* host may carry a port. path has its query. NULL: nobody. */
struct deployment *routes_find(const struct routes *routes, struct slice host, struct slice path);

#endif

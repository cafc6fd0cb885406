/* SPDX-License-Identifier: Apache-2.0 */
/* The files _redirects and _headers of an asset directory. Lines that are not understood are
 * skipped, as on the platform; the loader warns of them. */
#ifndef WEIR_ASSET_RULES_H
#define WEIR_ASSET_RULES_H

#include "buffer.h"

struct asset_rules;

struct asset_rules *asset_rules_new(const char *headers_text, const char *redirects_text);
void asset_rules_free(struct asset_rules **rules);

/* The first redirect that matches: its status (200: a rewrite) and target; 0: none. */
int asset_rules_redirect(const struct asset_rules *rules, struct slice host, const char *path,
                         char *ret_target, size_t cap);
/* Applies every matching rule to the header block: sets, joins, or detaches fields. */
void asset_rules_headers(const struct asset_rules *rules, struct slice host, const char *path,
                         struct buffer *headers);

/* A glob like "/api/" followed by a star against a path; a star matches anything, slashes too. */
bool asset_glob_matches(const char *glob, const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The files _redirects and _headers of an asset directory, and the globs of run_worker_first.
 * Everything matches the pathname (asset_path.h). Lines that are not understood, and those beyond
 * the platform's limits, are skipped, as on the platform; the loader warns of them. */
#ifndef WEIR_ASSET_RULES_H
#define WEIR_ASSET_RULES_H

#include "buffer.h"

struct asset_rules;

/* html_handling: "/ /index.html" would lead in a circle unless it is off. */
struct asset_rules *asset_rules_new(const char *headers_text, const char *redirects_text,
                                    bool html_handling);
void asset_rules_free(struct asset_rules **rules);

/* The first redirect that matches: its status (200: a rewrite) and in *ret_target where to, a path
 * or an https URL, with query and fragment if the rule has them. 0: none. */
int asset_rules_redirect(const struct asset_rules *rules, const char *pathname,
                         struct buffer *ret_target);

bool asset_rules_has_headers(const struct asset_rules *rules);
/* True: some header rule names a host, so that one path's headers differ by host. */
bool asset_rules_by_host(const struct asset_rules *rules);
/* Applies every matching rule to the header block ("name: value\n"): removes fields, sets them in
 * place of ours, joins those that several rules set. host: without its port. */
void asset_rules_headers(const struct asset_rules *rules, struct slice host, const char *pathname,
                         struct buffer *headers);

#endif

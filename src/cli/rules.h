/* SPDX-License-Identifier: Apache-2.0 */
/* Module rules ([[rules]]): which imported files are text, bytes or WebAssembly instead of
 * JavaScript.
 *
 * As in wrangler: a project's rules come before the default ones, the first that matches counts,
 * and a rule without `fallthrough = true` hides later ones of its type, the default one included.
 * In a glob only * is special; it stands for anything, slashes too. */
#ifndef WEIR_RULES_H
#define WEIR_RULES_H

#include "report.h"
#include "value.h"

struct rules;

/* value: the configuration's array, or NULL. What is wrong in it goes to report. Never NULL. */
struct rules *rules_new(const struct value *value, struct config_report *report);
void rules_free(struct rules **rules);

struct rule_match {
    const char
        *type; /* as in the bundle: "text", "data", "wasm", "esm", "cjs"; NULL: no rule matches */
    const char *hidden_glob; /* not NULL: a rule matches, but another one of its type hides it */
};

/* path: relative to the project (may begin with "../"); root: the directory of the entry or
 * base_dir, relative as well ("" for the project's). Globs may be meant from either, with "./" or
 * without. */
struct rule_match rules_match(const struct rules *rules, const char *path, const char *root);

/* What a bundler must be told: every glob of a rule that is not about JavaScript. False: no more.
 * *ret_extension: files are chosen by it alone, without its dot; NULL: only by the whole glob. */
bool rules_next_glob(const struct rules *rules, size_t *index, const char **ret_glob,
                     char **ret_extension);

#endif

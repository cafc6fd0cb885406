/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration keys as tables: parser, error messages, help and docs/configuration.md come from them. */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <jansson.h>

#include "report.h"
#include "value.h"

enum config_type {
    CONFIG_STRING,
    CONFIG_BOOL,
    CONFIG_COUNT,    /* an integer */
    CONFIG_DURATION, /* an integer of milliseconds, or "30s", "5m" */
    CONFIG_SIZE,     /* an integer of bytes, or "128MB" */
    CONFIG_STRINGS,  /* an array of strings */
    CONFIG_ANY,      /* checked by who uses it */
};

struct config_key {
    const char *name;
    enum config_type type;
    int64_t min, max;
    const char *fallback;  /* as text, for the documentation and as default */
    const char *plan_name; /* key in the plan; NULL: not handed over as it is */
    const char *text;      /* what it means */
};

struct config_table {
    const char *name; /* "[http]", for messages and documentation */
    const char *text;
    const struct config_key *keys;
    size_t keys_count;
    bool is_open; /* others' keys may stand there: what is not known is ignored, with a warning */
};

/* Reads a file by its name's ending (.toml, .json, .jsonc). The error is without the file's name:
 * "line:column: what", or what hinders reading. */
int config_read(const char *path, struct value *ret_root, struct error *err) WARN_UNUSED;

/* Checks every key of value against the table; an unknown one is an error that names the nearest
 * known one, or a warning where the table is open. also: names that are known but not in the table
 * (NULL-terminated), may be NULL. */
void config_check(const struct value *value, const struct config_table *table,
                  const char *const *also, struct config_report *report);
/* Puts every key that has a plan_name into plan: what the file says, else the default. */
void config_fill(const struct value *value, const struct config_table *table, json_t *plan);
/* Overwrites only what the file says. */
void config_override(const struct value *value, const struct config_table *table, json_t *plan);

/* The word that may well have been meant by one that is not known: begin with {.word = …}, offer
 * what there is; found stays NULL when nothing is near. */
struct config_nearest {
    const char *word, *found;
    size_t edits;
};
void config_nearest_offer(struct config_nearest *nearest, const char *known);
/* What a message about the unknown word ends with: '; did you mean "…"?', or nothing. Malloc'ed. */
char *config_nearest_text(const struct config_nearest *nearest);

/* "30s" → 30000. False: no duration, no size. */
bool config_parse_duration(const struct value *value, int64_t *ret_ms);
bool config_parse_size(const struct value *value, int64_t *ret_bytes);

/* The tables (config_tables.c). */
extern const struct config_table config_root, config_listener, config_admin, config_http,
    config_limits, config_scale, config_prisma, config_worker, config_assets, config_hyperdrive, config_wrangler,
    config_wrangler_limits, config_pool, config_pool_user, config_pool_database, config_pool_tls,
    config_pool_server_tls, config_pool_cache;
/* docs/configuration.md, to stdout. */
void config_print_reference(void);

/* A value of the tree as JSON; new reference. */
json_t *config_json(const struct value *value);

#endif

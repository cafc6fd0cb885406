/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <stdlib.h>

#include "pattern.h"

struct rule {
    char *glob;
    const char *type;
    bool hidden;
};

struct rules {
    struct rule *items;
    size_t count;
};

static const struct {
    const char *name, *type;
} types[] = {{"Text", "text"},
             {"Data", "data"},
             {"CompiledWasm", "wasm"},
             {"ESModule", "esm"},
             {"CommonJS", "cjs"}};

static const struct {
    const char *type, *glob;
} defaults[] = {{"text", "**/*.txt"}, {"text", "**/*.html"}, {"text", "**/*.sql"},
                {"data", "**/*.bin"}, {"wasm", "**/*.wasm"}, {"wasm", "**/*.wasm?module"}};

static int find_type(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
        if (strcmp(name, types[i].name) == 0)
            return (int)i;
    return -1;
}

static void add(struct rules *rules, const char *glob, const char *type, bool hidden)
{
    rules->items = xrealloc(rules->items, (rules->count + 1) * sizeof(rules->items[0]));
    rules->items[rules->count++] = (struct rule){xstrdup(glob), type, hidden};
}

static bool is_flag(const struct value *value, bool wanted)
{
    return value && value->type == VALUE_BOOL && value->boolean == wanted;
}

/* Warns of what wrangler warns of: a rule that hides another one may be meant or forgotten. */
static void warn_hidden(const struct value *rule, const struct value *by, const char *name,
                        struct config_report *report)
{
    if (is_flag(value_get(by, "fallthrough"), false))
        return;
    if (rule)
        config_warn(
            report, rule->line, "rules",
            "[[rules]] the rule of line %d has the type %s as well and hides this one; give "
            "it fallthrough = true to use both, or false to silence this",
            by->line, name);
    else
        config_warn(
            report, by->line, "rules",
            "[[rules]] hides the default rule for %s modules; give it fallthrough = true to "
            "use both, or false to silence this",
            name);
}

static const struct value *check_globs(const struct value *rule, struct config_report *report)
{
    const struct value *globs = value_get(rule, "globs");
    bool fine = globs && globs->type == VALUE_ARRAY;
    for (size_t i = 0; fine && i < globs->count; i++)
        fine = value_text(&globs->entries[i].value);
    if (fine)
        return globs;
    config_error(report, globs ? globs->line : rule->line, "globs",
                 "[[rules]] needs globs = [\"**/*.html\"], an array of strings%s",
                 value_get(rule, "glob") ? "; it has \"glob\"" : "");
    return NULL;
}

static void check_rule_keys(const struct value *rule, struct config_report *report)
{
    static const char *const known[] = {"type", "globs", "fallthrough", "glob"};
    for (size_t i = 0; i < rule->count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < ARRAY_LEN(known); j++)
            is_known |= strcmp(rule->entries[i].key, known[j]) == 0;
        if (!is_known)
            config_warn(report, rule->entries[i].key_line, rule->entries[i].key,
                        "[[rules]] unknown key \"%s\" is ignored", rule->entries[i].key);
    }
    const struct value *fallthrough = value_get(rule, "fallthrough");
    if (fallthrough && fallthrough->type != VALUE_BOOL)
        config_error(report, fallthrough->line, "fallthrough",
                     "[[rules]] fallthrough: expected true or false");
}

static void take_rule(struct rules *rules, const struct value *rule, const struct value **done,
                      struct config_report *report)
{
    if (rule->type != VALUE_TABLE) {
        config_error(report, rule->line, "rules",
                     "[[rules]] expected a table with type and globs, not %s",
                     value_type_name(rule->type));
        return;
    }
    check_rule_keys(rule, report);
    const struct value *given = value_get(rule, "type");
    int type = find_type(value_text(given));
    if (type < 0)
        config_error(
            report, given ? given->line : rule->line, "type",
            "[[rules]] type%s%s%s: expected Text, Data, CompiledWasm, ESModule or CommonJS",
            value_text(given) ? " = \"" : "", value_text(given) ? value_text(given) : "",
            value_text(given) ? "\"" : "");
    const struct value *globs = check_globs(rule, report);
    if (type < 0 || !globs)
        return;
    if (done[type])
        warn_hidden(rule, done[type], types[type].name, report);
    for (size_t i = 0; i < globs->count; i++)
        add(rules, value_text(&globs->entries[i].value), types[type].type, done[type] != NULL);
    if (!done[type] && !is_flag(value_get(rule, "fallthrough"), true))
        done[type] = rule;
}

struct rules *rules_new(const struct value *value, struct config_report *report)
{
    struct rules *rules = xcalloc(1, sizeof(*rules));
    const struct value *done[ARRAY_LEN(types)] = {NULL}; /* the rule that hides later ones */
    if (value && value->type != VALUE_ARRAY)
        config_error(report, value->line, "rules",
                     "rules: expected an array of tables, as in [[rules]]");
    for (size_t i = 0; value && value->type == VALUE_ARRAY && i < value->count; i++)
        take_rule(rules, &value->entries[i].value, done, report);
    for (size_t type = 0; type < ARRAY_LEN(types); type++) {
        bool has_default = false;
        for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
            if (strcmp(defaults[i].type, types[type].type) != 0)
                continue;
            add(rules, defaults[i].glob, types[type].type, done[type] != NULL);
            has_default = true;
        }
        if (has_default && done[type])
            warn_hidden(NULL, done[type], types[type].name, report);
    }
    return rules;
}

void rules_free(struct rules **place)
{
    struct rules *rules = TAKE(*place);
    for (size_t i = 0; rules && i < rules->count; i++)
        free(rules->items[i].glob);
    if (rules)
        free(rules->items);
    free(rules);
}

static bool matches_from(const char *glob, const char *path)
{
    AUTO_TEXT dotted = xasprintf("./%s", path);
    return pattern_glob_matches(glob, path) || pattern_glob_matches(glob, dotted);
}

struct rule_match rules_match(const struct rules *rules, const char *path, const char *root)
{
    struct rule_match match = {NULL, NULL};
    size_t len = strlen(root);
    bool below = len > 0 && strncmp(path, root, len) == 0 && path[len] == '/';
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (!matches_from(rule->glob, path) && !(below && matches_from(rule->glob, path + len + 1)))
            continue;
        if (!rule->hidden) {
            match.type = rule->type;
            return match;
        }
        if (!match.hidden_glob)
            match.hidden_glob = rule->glob;
    }
    return match;
}

/* "**" "/" "*.html" → "html". What JavaScript, TypeScript, JSON and CSS are called must be told by
 * the whole path, since not every such file is meant. */
static char *extension_of(const char *glob)
{
    static const char *const code[] = {"js",  "mjs", "cjs", "jsx",  "ts",
                                       "mts", "cts", "tsx", "json", "css"};
    const char *slash = strrchr(glob, '/'), *name = slash ? slash + 1 : glob;
    if (strncmp(name, "*.", 2) != 0)
        return NULL;
    const char *dot = strrchr(name, '.');
    size_t len = strcspn(dot + 1, "*?");
    if (len == 0 || dot[1 + len] == '*')
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(code); i++)
        if (strlen(code[i]) == len && strncmp(dot + 1, code[i], len) == 0)
            return NULL;
    return xstrndup(dot + 1, len);
}

bool rules_next_glob(const struct rules *rules, size_t *index, const char **ret_glob,
                     char **ret_extension)
{
    while (*index < rules->count) {
        const struct rule *rule = &rules->items[(*index)++];
        if (strcmp(rule->type, "esm") == 0 || strcmp(rule->type, "cjs") == 0)
            continue;
        *ret_glob = rule->glob;
        *ret_extension = extension_of(rule->glob);
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "text_file.h"

static int read_file(const char *path, struct buffer *ret_text, struct error *err)
{
    int r = text_file_read(path, VALUE_BYTES_MAX, ret_text);
    if (r == -EFBIG)
        return error_set(err, r, "it is larger than 16 MB");
    return r < 0 ? error_set(err, r, "cannot read it: %s", text_file_problem(r)) : 0;
}

int config_read(const char *path, struct value *ret_root, struct error *err)
{
    AUTO_BUFFER text = {0};
    int r = read_file(path, &text, err);
    if (r < 0)
        return r;
    size_t len = strlen(path);
    bool toml = len > 5 && strcmp(path + len - 5, ".toml") == 0;
    struct slice bytes = {text.data ? text.data : "", buffer_len(&text)};
    return toml ? toml_parse(bytes, ret_root, err) : jsonc_parse(bytes, ret_root, err);
}

/* Unit suffixes; the number in front may have a fraction. */
static bool parse_unit(const struct value *value, const char *const *names, const int64_t *factors,
                       int64_t *ret_value)
{
    if (value->type == VALUE_INTEGER) {
        *ret_value = value->integer;
        return true;
    }
    const char *text = value_text(value);
    char *end;
    if (!text || !*text)
        return false;
    double number = strtod(text, &end);
    while (*end == ' ')
        end++;
    for (size_t i = 0; names[i] && end != text; i++) {
        double whole = number * (double)factors[i];
        if (strcasecmp(end, names[i]) == 0 && whole >= 0 && whole < 9e18) {
            *ret_value = (int64_t)whole;
            return true;
        }
    }
    return false;
}

bool config_parse_duration(const struct value *value, int64_t *ret_ms)
{
    static const char *const names[] = {"ms", "s", "m", "h", "d", NULL};
    static const int64_t factors[] = {1, 1000, 60000, 3600000, 86400000};
    return parse_unit(value, names, factors, ret_ms);
}

bool config_parse_size(const struct value *value, int64_t *ret_bytes)
{
    static const char *const names[] = {"B", "KB", "MB", "GB", "KiB", "MiB", "GiB", NULL};
    static const int64_t factors[] = {1, 1024, 1 << 20, 1 << 30, 1024, 1 << 20, 1 << 30};
    return parse_unit(value, names, factors, ret_bytes);
}

static const char *type_remedy(enum config_type type)
{
    static const char *const texts[] = {
        "a string in quotes",
        "true or false",
        "an integer",
        "a duration such as 500, \"30s\" or \"5m\"",
        "a size such as 1048576, \"64KB\" or \"128MB\"",
        "an array of strings",
        "a value",
    };
    return texts[type];
}

/* The number that the value stands for; false when its type is wrong. */
static bool number_of(const struct value *value, enum config_type type, int64_t *ret_number)
{
    switch (type) {
    case CONFIG_COUNT:
        *ret_number = value->integer;
        return value->type == VALUE_INTEGER;
    case CONFIG_DURATION:
        return config_parse_duration(value, ret_number);
    case CONFIG_SIZE:
        return config_parse_size(value, ret_number);
    case CONFIG_STRING:
    case CONFIG_BOOL:
    case CONFIG_STRINGS:
    case CONFIG_ANY:
        break;
    }
    return false;
}

static bool has_type(const struct value *value, enum config_type type)
{
    int64_t number;
    switch (type) {
    case CONFIG_STRING:
        return value->type == VALUE_STRING;
    case CONFIG_BOOL:
        return value->type == VALUE_BOOL;
    case CONFIG_STRINGS:
        if (value->type != VALUE_ARRAY)
            return false;
        for (size_t i = 0; i < value->count; i++)
            if (value->entries[i].value.type != VALUE_STRING)
                return false;
        return true;
    case CONFIG_ANY:
        return true;
    case CONFIG_COUNT:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return number_of(value, type, &number);
    }
    return false;
}

static void check_key(const struct value_entry *entry, const struct config_table *table,
                      const struct config_key *key, struct config_report *report)
{
    AUTO_BUFFER shown = {0};
    int64_t number;
    value_append_json(&entry->value, &shown);
    struct slice text = buffer_slice(&shown);
    if (text.len > 60)
        text.len = 60;
    if (!has_type(&entry->value, key->type)) {
        config_error(report, entry->key_line, key->name, "%s %s = %.*s: expected %s", table->name,
                     key->name, (int)text.len, text.ptr, type_remedy(key->type));
        return;
    }
    if (number_of(&entry->value, key->type, &number) && (number < key->min || number > key->max))
        config_error(report, entry->key_line, key->name,
                     "%s %s = %.*s: must be between %lld and %lld", table->name, key->name,
                     (int)text.len, text.ptr, (long long)key->min, (long long)key->max);
}

/* Edits that turn one word into the other. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], len = strlen(b);
    if (strlen(a) > 60 || len > 60)
        return 99;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            size_t least = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j + 1] + 1 < least)
                least = row[j + 1] + 1;
            if (row[j] + 1 < least)
                least = row[j] + 1;
            row[j + 1] = least;
        }
    }
    return row[len];
}

static const struct config_key *find_key(const struct config_table *table, const char *name)
{
    for (size_t i = 0; i < table->keys_count; i++)
        if (strcmp(table->keys[i].name, name) == 0)
            return &table->keys[i];
    return NULL;
}

/* Only what may well have been meant: two edits, or one in three letters; one in a short word. */
static size_t edits_max(const char *word)
{
    size_t len = strlen(word);
    return len < 4 ? 1 : len < 9 ? 2 : len / 3;
}

void config_nearest_offer(struct config_nearest *nearest, const char *known)
{
    size_t edits = distance(nearest->word, known);
    if (edits <= edits_max(nearest->word) && (!nearest->found || edits < nearest->edits)) {
        nearest->edits = edits;
        nearest->found = known;
    }
}

char *config_nearest_text(const struct config_nearest *nearest)
{
    return nearest->found ? xasprintf("; did you mean \"%s\"?", nearest->found) : xstrdup("");
}

static void tell_unknown(const struct value_entry *entry, const struct config_table *table,
                         const char *const *also, struct config_report *report)
{
    struct config_nearest nearest = {.word = entry->key};
    for (size_t i = 0; i < table->keys_count; i++)
        config_nearest_offer(&nearest, table->keys[i].name);
    for (size_t i = 0; also && also[i]; i++)
        config_nearest_offer(&nearest, also[i]);
    AUTO_TEXT meant = config_nearest_text(&nearest);
    (table->is_open ? config_warn : config_error)(
        report, entry->key_line, entry->key, "%s unknown key \"%s\"%s", table->name, entry->key,
        table->is_open && !*meant ? " is ignored" : meant);
}

void config_check(const struct value *value, const struct config_table *table,
                  const char *const *also, struct config_report *report)
{
    if (!value)
        return;
    if (value->type != VALUE_TABLE) {
        config_error(report, value->line, NULL, "%s must be a table, not %s", table->name,
                     value_type_name(value->type));
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        const struct value_entry *entry = &value->entries[i];
        const struct config_key *key = find_key(table, entry->key);
        bool known = false;
        for (size_t j = 0; also && also[j]; j++)
            known |= strcmp(also[j], entry->key) == 0;
        if (key)
            check_key(entry, table, key, report);
        else if (!known)
            tell_unknown(entry, table, also, report);
    }
}

json_t *config_json(const struct value *value)
{
    AUTO_BUFFER text = {0};
    value_append_json(value, &text);
    return json_loadb(text.data + text.start, buffer_len(&text), JSON_DECODE_ANY, NULL);
}

static void put(const struct value *value, const struct config_key *key, json_t *plan)
{
    int64_t number;
    if (!key->plan_name || !has_type(value, key->type))
        return;
    (void)json_object_set_new(plan, key->plan_name,
                              number_of(value, key->type, &number) ? json_integer(number)
                                                                   : config_json(value));
}

void config_override(const struct value *value, const struct config_table *table, json_t *plan)
{
    for (size_t i = 0; i < table->keys_count; i++) {
        const struct value *given = value_get(value, table->keys[i].name);
        if (given)
            put(given, &table->keys[i], plan);
    }
}

void config_fill(const struct value *value, const struct config_table *table, json_t *plan)
{
    for (size_t i = 0; i < table->keys_count; i++) {
        const struct config_key *key = &table->keys[i];
        if (!key->fallback || !key->plan_name)
            continue;
        struct value fallback = {.type = VALUE_STRING,
                                 .text = (char *)(uintptr_t)key->fallback,
                                 .len = strlen(key->fallback)};
        if (key->type == CONFIG_COUNT)
            fallback = (struct value){.type = VALUE_INTEGER, .integer = atoll(key->fallback)};
        else if (key->type == CONFIG_BOOL)
            fallback = (struct value){.type = VALUE_BOOL, .boolean = key->fallback[0] == 't'};
        put(&fallback, key, plan);
    }
    config_override(value, table, plan);
}

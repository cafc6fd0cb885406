/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void value_done(struct value *value)
{
    if (value->type == VALUE_STRING) {
        free(value->text);
    } else if (value->type == VALUE_ARRAY || value->type == VALUE_TABLE) {
        for (size_t i = 0; i < value->count; i++) {
            free(value->entries[i].key);
            value_done(&value->entries[i].value);
        }
        free(value->entries);
    }
    *value = (struct value){.type = VALUE_NULL};
}

const struct value_entry *value_entry(const struct value *table, const char *key)
{
    if (!table || table->type != VALUE_TABLE)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->entries[i].key, key) == 0)
            return &table->entries[i];
    return NULL;
}

const struct value *value_get(const struct value *table, const char *key)
{
    const struct value_entry *entry = value_entry(table, key);
    return entry ? &entry->value : NULL;
}

const char *value_text(const struct value *value)
{
    return value && value->type == VALUE_STRING ? value->text : NULL;
}

const char *value_type_name(enum value_type type)
{
    static const char *const names[] = {"null",     "true or false", "an integer", "a number",
                                        "a string", "an array",      "a table"};
    return names[type];
}

void value_append_json(const struct value *value, struct buffer *out)
{
    switch (value->type) {
    case VALUE_NULL:
        buffer_append_text(out, "null");
        return;
    case VALUE_BOOL:
        buffer_append_text(out, value->boolean ? "true" : "false");
        return;
    case VALUE_INTEGER:
        buffer_printf(out, "%lld", (long long)value->integer);
        return;
    case VALUE_FLOAT:
        if (isfinite(value->real))
            buffer_printf(out, "%.17g", value->real);
        else
            buffer_append_text(out, "null"); /* JSON has no other word for it */
        return;
    case VALUE_STRING:
        buffer_append_json(out, (struct slice){value->text, value->len});
        return;
    case VALUE_ARRAY:
    case VALUE_TABLE:
        buffer_append_text(out, value->type == VALUE_ARRAY ? "[" : "{");
        for (size_t i = 0; i < value->count; i++) {
            if (i > 0)
                buffer_append_text(out, ",");
            if (value->type == VALUE_TABLE) {
                buffer_append_json(out, slice_of(value->entries[i].key));
                buffer_append_text(out, ":");
            }
            value_append_json(&value->entries[i].value, out);
        }
        buffer_append_text(out, value->type == VALUE_ARRAY ? "]" : "}");
        return;
    }
}

struct value_entry *value_add(struct value *container, char *key, int line, int column)
{
    assert(container->type == VALUE_ARRAY || container->type == VALUE_TABLE);
    if (container->count == container->cap) {
        container->cap = container->cap ? container->cap * 2 : 8;
        container->entries =
            xrealloc(container->entries, container->cap * sizeof(*container->entries));
    }
    struct value_entry *entry = &container->entries[container->count++];
    *entry = (struct value_entry){.key = key, .key_line = line, .key_column = column};
    return entry;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of configuration values that know where they stand, so that an error or a warning can name
 * the line. Read from TOML 1.0 (toml_parse) or from JSON with comments and trailing commas
 * (jsonc_parse). */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include <stdint.h>

#include "buffer.h"
#include "error.h"

enum value_type {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_STRING, /* also TOML's dates, as they are written */
    VALUE_ARRAY,
    VALUE_TABLE,
};

struct value {
    enum value_type type;
    int line, column; /* of the value, from 1 */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            char *text; /* NUL-terminated; may hold NULs before len */
            size_t len;
        };
        struct {
            struct value_entry *entries;
            size_t count, cap;
        };
    };
    bool closed; /* TOML: defined whole, may not be added to */
    bool implicit;
};

/* An element of an array (key NULL) or a table. */
struct value_entry {
    char *key;
    int key_line, key_column;
    struct value value;
};

enum { VALUE_DEPTH_MAX = 64, VALUE_BYTES_MAX = 16 * 1024 * 1024 };

/* 0 and a table in *ret_root (free it with value_done), or -EINVAL with "line:column: what". */
int toml_parse(struct slice text, struct value *ret_root, struct error *err) WARN_UNUSED;
int jsonc_parse(struct slice text, struct value *ret_root, struct error *err) WARN_UNUSED;
void value_done(struct value *value);

/* NULL when the table (or NULL) has no such key. */
const struct value *value_get(const struct value *table, const char *key);
const struct value_entry *value_entry(const struct value *table, const char *key);
/* The text of a string; NULL for anything else. */
const char *value_text(const struct value *value);
/* "a string", "a table" … */
const char *value_type_name(enum value_type type);
/* Appends the value as JSON. */
void value_append_json(const struct value *value, struct buffer *out);

/* For the parsers: a new element at the end; its value is zeroed. */
struct value_entry *value_add(struct value *container, char *key, int line, int column);

#endif

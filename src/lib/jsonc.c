/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) with // and block comments and trailing commas, as editors' configuration files
 * have them. */
#include <math.h>
#include <stdlib.h>

#include "text_reader.h"
#include "value.h"

static int read_value(struct text_reader *reader, struct value *ret_value, int depth);

static int skip_blanks(struct text_reader *reader)
{
    for (;;) {
        int c = reader_peek(reader);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            (void)reader_next(reader);
        } else if (reader_looks_at(reader, "//")) {
            while (reader_peek(reader) != '\n' && reader_peek(reader) >= 0)
                (void)reader_next(reader);
        } else if (reader_looks_at(reader, "/*")) {
            int line = reader->line, column = reader_column(reader);
            while (!reader_looks_at(reader, "*/"))
                if (reader_next(reader) < 0)
                    return reader_fail_at(reader, line, column, "the comment is not closed");
            reader->at += 2;
        } else {
            return 0;
        }
    }
}

static int read_escape(struct text_reader *reader, struct buffer *out)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int c = reader_next(reader);
    const char *found = c > 0 ? strchr(escapes, c) : NULL;
    if (found) {
        buffer_append(out, &meanings[found - escapes], 1);
        return 0;
    }
    uint32_t code, low;
    if (c != 'u')
        return reader_fail(reader, "unknown escape in a string");
    int r = reader_hex(reader, 4, &code);
    if (r < 0)
        return r;
    if (code >= 0xd800 && code <= 0xdbff && reader_looks_at(reader, "\\u")) {
        reader->at += 2;
        r = reader_hex(reader, 4, &low);
        if (r < 0)
            return r;
        if (low < 0xdc00 || low > 0xdfff)
            return reader_fail(reader, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return text_append_code(out, code) ? 0 : reader_fail(reader, "half of a surrogate pair");
}

/* The reader stands behind the opening quote. *ret_text is malloc'ed. */
static int read_string(struct text_reader *reader, char **ret_text, size_t *ret_len)
{
    AUTO_BUFFER out = {0};
    int line = reader->line, column = reader_column(reader) - 1;
    for (;;) {
        int c = reader_next(reader), r = 0;
        if (c == '"')
            break;
        if (c < 0 || c == '\n')
            return reader_fail_at(reader, line, column, "the string is not closed");
        if (c == '\\')
            r = read_escape(reader, &out);
        else if (c < 0x20)
            r = reader_fail(reader, "a control character must be escaped in a string");
        else
            buffer_append(&out, (char[]){(char)c}, 1);
        if (r < 0)
            return r;
    }
    *ret_len = buffer_len(&out);
    *ret_text = xstrndup(out.data ? out.data : "", *ret_len);
    return 0;
}

static int read_number(struct text_reader *reader, struct value *value)
{
    const char *start = reader->at;
    bool real = false;
    while (reader_peek(reader) >= 0 && strchr("+-0123456789.eE", reader_peek(reader)))
        real |= strchr(".eE", reader_next(reader)) != NULL;
    AUTO_TEXT text = xstrndup(start, (size_t)(reader->at - start));
    char *end;
    errno = 0;
    bool leading_zero = text[0] == '0' && text[1] >= '0' && text[1] <= '9';
    if (real || strcmp(text, "-0") == 0) { /* no integer has that sign */
        value->type = VALUE_FLOAT;
        value->real = strtod(text, &end);
    } else {
        value->type = VALUE_INTEGER;
        value->integer = strtoll(text, &end, 10);
    }
    if (end == text || *end || errno == ERANGE || leading_zero || text[0] == '+' ||
        (real && !isfinite(value->real))) {
        value->type = VALUE_NULL;
        return reader_fail_at(reader, value->line, value->column, "\"%s\" is no number", text);
    }
    return 0;
}

static int read_container(struct text_reader *reader, struct value *container, int depth)
{
    char close = container->type == VALUE_ARRAY ? ']' : '}';
    for (;;) {
        int r = skip_blanks(reader);
        if (r < 0)
            return r;
        if (reader_take(reader, close))
            return 0;
        char *key = NULL;
        size_t key_len = 0;
        int line = reader->line, column = reader_column(reader);
        if (container->type == VALUE_TABLE) {
            if (!reader_take(reader, '"'))
                return reader_fail(reader, "expected a key in quotes or \"%c\"", close);
            r = read_string(reader, &key, &key_len);
            if (r < 0)
                return r;
            if (strlen(key) != key_len || value_entry(container, key)) {
                r = reader_fail_at(reader, line, column, "the key \"%s\" stands here twice", key);
                free(key);
                return r;
            }
        }
        struct value_entry *entry = value_add(container, key, line, column);
        if (key) {
            r = skip_blanks(reader);
            if (r == 0 && !reader_take(reader, ':'))
                r = reader_fail(reader, "expected \":\" after the key \"%s\"", key);
            if (r < 0)
                return r;
        }
        r = read_value(reader, &entry->value, depth + 1);
        if (r == 0)
            r = skip_blanks(reader);
        if (r < 0)
            return r;
        if (!reader_take(reader, ',') && reader_peek(reader) != close)
            return reader_fail(reader, "expected \",\" or \"%c\"", close);
    }
}

static int read_value(struct text_reader *reader, struct value *value, int depth)
{
    int r = skip_blanks(reader);
    if (r < 0)
        return r;
    *value = (struct value){.line = reader->line, .column = reader_column(reader)};
    if (depth > VALUE_DEPTH_MAX)
        return reader_fail(reader, "nested deeper than %d levels", VALUE_DEPTH_MAX);
    int c = reader_peek(reader);
    if (c == '{' || c == '[') {
        (void)reader_next(reader);
        value->type = c == '{' ? VALUE_TABLE : VALUE_ARRAY;
        return read_container(reader, value, depth);
    }
    if (reader_take(reader, '"')) {
        r = read_string(reader, &value->text, &value->len);
        value->type = r == 0 ? VALUE_STRING : VALUE_NULL;
        return r;
    }
    static const struct {
        const char *word;
        enum value_type type;
        bool boolean;
    } words[] = {
        {"true", VALUE_BOOL, true}, {"false", VALUE_BOOL, false}, {"null", VALUE_NULL, false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!reader_looks_at(reader, words[i].word))
            continue;
        reader->at += strlen(words[i].word);
        value->type = words[i].type;
        if (value->type == VALUE_BOOL)
            value->boolean = words[i].boolean;
        return 0;
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(reader, value);
    return reader_fail(reader, c < 0 ? "the file ends too early" : "expected a value");
}

int jsonc_parse(struct slice text, struct value *ret_root, struct error *err)
{
    struct text_reader reader;
    struct value root = {.type = VALUE_NULL};
    int r = reader_start(&reader, text, err);
    if (r == 0)
        r = read_value(&reader, &root, 0);
    if (r == 0)
        r = skip_blanks(&reader);
    if (r == 0 && reader_peek(&reader) >= 0)
        r = reader_fail(&reader, "there is more after the end of the value");
    if (r == 0 && root.type != VALUE_TABLE)
        r = reader_fail_at(&reader, 1, 1, "expected an object in braces");
    if (r < 0) {
        value_done(&root);
        return r;
    }
    *ret_root = root;
    return 0;
}

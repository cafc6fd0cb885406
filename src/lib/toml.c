/* SPDX-License-Identifier: Apache-2.0 */
/* TOML 1.0 (https://toml.io/en/v1.0.0). Dates and times are kept as strings. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "text_reader.h"
#include "value.h"

static int read_value(struct text_reader *reader, struct value *value, int depth);

static int too_deep(struct text_reader *reader)
{
    return reader_fail(reader, "nested deeper than %d levels", VALUE_DEPTH_MAX);
}

static void skip_spaces(struct text_reader *reader)
{
    while (reader_peek(reader) == ' ' || reader_peek(reader) == '\t')
        (void)reader_next(reader);
}

static int skip_comment(struct text_reader *reader)
{
    if (reader_peek(reader) != '#')
        return 0;
    for (int c; (c = reader_peek(reader)) >= 0 && c != '\n'; (void)reader_next(reader))
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
            return reader_fail(reader, "a control character in a comment");
    return 0;
}

/* The end of a line, after blanks and a comment. */
static int expect_line_end(struct text_reader *reader)
{
    skip_spaces(reader);
    int r = skip_comment(reader);
    if (r < 0)
        return r;
    (void)reader_take(reader, '\r');
    if (reader_peek(reader) < 0 || reader_take(reader, '\n'))
        return 0;
    return reader_fail(reader, "expected the end of the line");
}

/* Blanks, comments and line ends between the elements of an array. */
static int skip_lines(struct text_reader *reader)
{
    for (;;) {
        skip_spaces(reader);
        int r = skip_comment(reader);
        if (r < 0)
            return r;
        int c = reader_peek(reader);
        if (c != '\n' && c != '\r')
            return 0;
        (void)reader_next(reader);
    }
}

static int read_escape(struct text_reader *reader, struct buffer *out)
{
    static const char escapes[] = "btnfre\"\\", meanings[] = "\b\t\n\f\r\033\"\\";
    int c = reader_next(reader);
    const char *found = c > 0 ? strchr(escapes, c) : NULL;
    if (found) {
        buffer_append(out, &meanings[found - escapes], 1);
        return 0;
    }
    uint32_t code;
    if (c != 'u' && c != 'U')
        return reader_fail(reader, "unknown escape in a string; write \\\\ for a backslash");
    int r = reader_hex(reader, c == 'u' ? 4 : 8, &code);
    if (r < 0)
        return r;
    return text_append_code(out, code) ? 0 : reader_fail(reader, "no Unicode character");
}

/* A backslash at the end of a line in a multi-line string swallows blanks and line ends. */
static bool skip_line_continuation(struct text_reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    if (at == reader->end || *at != '\n')
        return false;
    while (reader_peek(reader) >= 0 && strchr(" \t\r\n", reader_peek(reader)))
        (void)reader_next(reader);
    return true;
}

static int read_string(struct text_reader *reader, struct buffer *out)
{
    int line = reader->line, column = reader_column(reader);
    char quote = (char)reader_next(reader);
    char triple[4] = {quote, quote, quote, 0};
    bool multi = reader_looks_at(reader, triple + 1);
    if (multi) {
        reader->at += 2;
        (void)(reader_looks_at(reader, "\r\n") && reader_next(reader));
        (void)reader_take(reader, '\n');
    }
    for (;;) {
        int r = 0;
        if (multi && reader_looks_at(reader, triple)) {
            reader->at += 3;
            for (int i = 0; i < 2 && reader_take(reader, quote); i++)
                buffer_append(out, &quote, 1); /* quotes right before the closing ones */
            return 0;
        }
        int c = reader_next(reader);
        if (!multi && c == quote)
            return 0;
        if (c < 0 || (!multi && c == '\n'))
            return reader_fail_at(reader, line, column, "the string is not closed");
        if (c == '\\' && quote == '"') {
            if (!multi || !skip_line_continuation(reader))
                r = read_escape(reader, out);
        } else if ((c < 0x20 && c != '\t' && !(multi && (c == '\n' || c == '\r'))) || c == 0x7f) {
            r = reader_fail(reader, "a control character must be escaped in a string");
        } else {
            buffer_append(out, (char[]){(char)c}, 1);
        }
        if (r < 0)
            return r;
    }
}

static bool is_bare_key(int c)
{
    return c > 0 && (isalnum(c) || c == '_' || c == '-');
}

/* One part of a key, malloc'ed. */
static int read_key_part(struct text_reader *reader, char **ret_key)
{
    AUTO_BUFFER out = {0};
    int c = reader_peek(reader);
    if (c == '"' || c == '\'') {
        char triple[4] = {(char)c, (char)c, (char)c, 0};
        if (reader_looks_at(reader, triple))
            return reader_fail(reader, "a key cannot be a multi-line string");
        int r = read_string(reader, &out);
        if (r < 0)
            return r;
    } else {
        while (is_bare_key(reader_peek(reader)))
            buffer_append(&out, (char[]){(char)reader_next(reader)}, 1);
        if (buffer_len(&out) == 0)
            return reader_fail(reader, "expected a key");
    }
    *ret_key = xstrndup(out.data ? out.data : "", buffer_len(&out));
    return 0;
}

static struct value *find(struct value *table, const char *key)
{
    return (struct value *)(uintptr_t)value_get(table, key);
}

/* Walks to the table that the parts of a dotted key before the last one name, making it where it is
 * missing; *ret_key is the last part. header: of [a.b.c], which may go through arrays of tables.
 * *depth: of the table, before and after. */
static int read_path(struct text_reader *reader, struct value *table, bool header, int *depth,
                     struct value **ret_table, char **ret_key, int *ret_line, int *ret_column)
{
    for (;; (*depth)++) {
        char *key = NULL;
        if (*depth > VALUE_DEPTH_MAX)
            return too_deep(reader);
        skip_spaces(reader);
        *ret_line = reader->line;
        *ret_column = reader_column(reader);
        int r = read_key_part(reader, &key);
        if (r < 0)
            return r;
        skip_spaces(reader);
        if (!reader_take(reader, '.')) {
            *ret_table = table;
            *ret_key = key;
            return 0;
        }
        struct value *next = find(table, key);
        if (!next) {
            struct value_entry *entry = value_add(table, key, *ret_line, *ret_column);
            entry->value = (struct value){
                .type = VALUE_TABLE, .line = *ret_line, .column = *ret_column, .implicit = true};
            table = &entry->value;
            continue;
        }
        if (header && next->type == VALUE_ARRAY && !next->closed && next->count > 0) {
            next = &next->entries[next->count - 1].value;
            (*depth)++;
        }
        if (next->type != VALUE_TABLE || next->closed || (!header && !next->implicit)) {
            r = reader_fail_at(reader, *ret_line, *ret_column,
                               "\"%s\" is defined already and cannot be added to", key);
            free(key);
            return r;
        }
        free(key);
        table = next;
    }
}

static int read_pair(struct text_reader *reader, struct value *table, int depth)
{
    char *key = NULL;
    int line, column;
    struct value *owner;
    int r = read_path(reader, table, false, &depth, &owner, &key, &line, &column);
    if (r < 0)
        return r;
    if (value_entry(owner, key)) {
        r = reader_fail_at(reader, line, column, "the key \"%s\" stands here twice", key);
        free(key);
        return r;
    }
    if (!reader_take(reader, '=')) {
        r = reader_fail(reader, "expected \"=\" after the key \"%s\"", key);
        free(key);
        return r;
    }
    skip_spaces(reader);
    /* The value is read first: reading may grow the table and move its entries. */
    struct value value = {.type = VALUE_NULL};
    r = read_value(reader, &value, depth + 1);
    if (r < 0) {
        value_done(&value);
        free(key);
        return r;
    }
    value_add(owner, key, line, column)->value = value;
    return 0;
}

static int read_array(struct text_reader *reader, struct value *array, int depth)
{
    for (;;) {
        int r = skip_lines(reader);
        if (r < 0)
            return r;
        if (reader_take(reader, ']'))
            return 0;
        struct value item = {.type = VALUE_NULL};
        r = read_value(reader, &item, depth + 1);
        if (r < 0) {
            value_done(&item);
            return r;
        }
        value_add(array, NULL, item.line, item.column)->value = item;
        r = skip_lines(reader);
        if (r < 0)
            return r;
        if (!reader_take(reader, ',') && reader_peek(reader) != ']')
            return reader_fail(reader, "expected \",\" or \"]\"");
    }
}

static int read_inline_table(struct text_reader *reader, struct value *table, int depth)
{
    skip_spaces(reader);
    if (reader_take(reader, '}'))
        return 0;
    for (;;) {
        int r = read_pair(reader, table, depth);
        if (r < 0)
            return r;
        skip_spaces(reader);
        if (reader_take(reader, '}'))
            return 0;
        if (!reader_take(reader, ','))
            return reader_fail(reader, "expected \",\" or \"}\"");
        skip_spaces(reader);
    }
}

/* Underscores may stand between digits. *ret_text is malloc'ed, without them; NULL: misplaced. */
static char *without_underscores(const char *text)
{
    char *clean = xcalloc(1, strlen(text) + 1), *to = clean;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] != '_') {
            *to++ = text[i];
        } else if (i == 0 || !isxdigit((unsigned char)text[i - 1]) ||
                   !isxdigit((unsigned char)text[i + 1])) {
            free(clean);
            return NULL;
        }
    }
    return clean;
}

static bool parse_integer(const char *text, int64_t *ret_value)
{
    int base = 10;
    const char *digits = text + (*text == '+' || *text == '-');
    if (digits[0] == '0' && digits[1] && strchr("xob", digits[1]) && digits == text) {
        base = digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : 2;
        digits += 2;
        text = digits;
    } else if (digits[0] == '0' && digits[1]) {
        return false; /* leading zeros */
    }
    char *end;
    errno = 0;
    *ret_value = strtoll(text, &end, base);
    return isxdigit((unsigned char)*digits) && !*end && errno == 0;
}

static bool parse_float(const char *text, double *ret_value)
{
    const char *digits = text + (*text == '+' || *text == '-');
    if (strcmp(digits, "inf") == 0 || strcmp(digits, "nan") == 0) {
        *ret_value = strcmp(digits, "nan") == 0 ? NAN : *text == '-' ? -INFINITY : INFINITY;
        return true;
    }
    size_t whole = strspn(digits, "0123456789");
    const char *rest = digits + whole;
    if (whole == 0 || (digits[0] == '0' && whole > 1))
        return false;
    if (*rest == '.') {
        size_t fraction = strspn(rest + 1, "0123456789");
        if (fraction == 0)
            return false;
        rest += 1 + fraction;
    }
    if (*rest == 'e' || *rest == 'E') {
        rest++;
        rest += *rest == '+' || *rest == '-';
        size_t exponent = strspn(rest, "0123456789");
        if (exponent == 0)
            return false;
        rest += exponent;
    }
    *ret_value = strtod(text, NULL);
    return !*rest;
}

static bool looks_like_date(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return (digits == 4 && text[4] == '-') || (digits == 2 && text[2] == ':');
}

static int read_word(struct text_reader *reader, struct value *value)
{
    const char *start = reader->at;
    while (reader_peek(reader) > 0 &&
           (is_bare_key(reader_peek(reader)) || strchr("+.:", reader_peek(reader))))
        (void)reader_next(reader);
    AUTO_TEXT text = xstrndup(start, (size_t)(reader->at - start));
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        value->type = VALUE_BOOL;
        value->boolean = text[0] == 't';
        return 0;
    }
    if (looks_like_date(text)) {
        if (reader_looks_at(reader, " ") && reader->at + 3 < reader->end &&
            isdigit((unsigned char)reader->at[1]) && isdigit((unsigned char)reader->at[2]) &&
            reader->at[3] == ':') /* a blank may stand for the T between date and time */
            while (reader_peek(reader) > 0 &&
                   (isalnum(reader_peek(reader)) || strchr(" +-:.", reader_peek(reader))))
                (void)reader_next(reader);
        value->text = xstrndup(start, (size_t)(reader->at - start));
        value->len = strlen(value->text);
        value->type = VALUE_STRING;
        return 0;
    }
    AUTO_TEXT clean = without_underscores(text);
    int64_t integer;
    double real;
    if (clean && parse_integer(clean, &integer)) {
        value->type = VALUE_INTEGER;
        value->integer = integer;
        return 0;
    }
    if (clean && parse_float(clean, &real)) {
        value->type = VALUE_FLOAT;
        value->real = real;
        return 0;
    }
    return reader_fail_at(reader, value->line, value->column,
                          *text ? "\"%s\" is no value; put text in quotes" : "expected a value%s",
                          text);
}

static int read_value(struct text_reader *reader, struct value *value, int depth)
{
    *value = (struct value){.line = reader->line, .column = reader_column(reader)};
    if (depth > VALUE_DEPTH_MAX)
        return too_deep(reader);
    int c = reader_peek(reader), r;
    if (c == '"' || c == '\'') {
        AUTO_BUFFER out = {0};
        r = read_string(reader, &out);
        if (r < 0)
            return r;
        value->type = VALUE_STRING;
        value->len = buffer_len(&out);
        value->text = xstrndup(out.data ? out.data : "", value->len);
        return 0;
    }
    if (c == '[' || c == '{') {
        (void)reader_next(reader);
        value->type = c == '[' ? VALUE_ARRAY : VALUE_TABLE;
        value->implicit = true; /* while it is read */
        r = c == '[' ? read_array(reader, value, depth) : read_inline_table(reader, value, depth);
        value->closed = true;
        return r;
    }
    return read_word(reader, value);
}

/* [table] or [[array of tables]]; the reader stands behind the first bracket. */
static int read_header(struct text_reader *reader, struct value *root, struct value **ret_table,
                       int *ret_depth)
{
    bool array = reader_take(reader, '[');
    char *key = NULL;
    int line, column, depth = 0;
    struct value *owner;
    int r = read_path(reader, root, true, &depth, &owner, &key, &line, &column);
    if (r < 0)
        return r;
    *ret_depth = depth + 1 + array;
    if (*ret_depth > VALUE_DEPTH_MAX) {
        free(key);
        return too_deep(reader);
    }
    if (!reader_take(reader, ']') || (array && !reader_take(reader, ']'))) {
        free(key);
        return reader_fail(reader, "expected \"%s\"", array ? "]]" : "]");
    }
    struct value *old = find(owner, key);
    if (old && array && old->type == VALUE_ARRAY && !old->closed) {
        free(key);
    } else if (old && !array && old->type == VALUE_TABLE && old->implicit && !old->closed) {
        free(key);
        old->implicit = false;
        *ret_table = old;
        return expect_line_end(reader);
    } else if (old) {
        r = reader_fail_at(reader, line, column, "\"%s\" is defined already", key);
        free(key);
        return r;
    } else {
        old = &value_add(owner, key, line, column)->value;
        *old = (struct value){
            .type = array ? VALUE_ARRAY : VALUE_TABLE, .line = line, .column = column};
    }
    if (array) {
        struct value_entry *item = value_add(old, NULL, line, column);
        item->value = (struct value){.type = VALUE_TABLE, .line = line, .column = column};
        old = &item->value;
    }
    *ret_table = old;
    return expect_line_end(reader);
}

int toml_parse(struct slice text, struct value *ret_root, struct error *err)
{
    struct text_reader reader;
    struct value root = {.type = VALUE_TABLE, .line = 1, .column = 1};
    struct value *table = &root;
    int r = reader_start(&reader, text, err), depth = 0;
    while (r == 0) {
        r = skip_lines(&reader);
        if (r < 0 || reader_peek(&reader) < 0)
            break;
        if (reader_take(&reader, '[')) {
            r = read_header(&reader, &root, &table, &depth);
        } else {
            r = read_pair(&reader, table, depth);
            if (r == 0)
                r = expect_line_end(&reader);
        }
    }
    if (r < 0) {
        value_done(&root);
        return r;
    }
    *ret_root = root;
    return 0;
}

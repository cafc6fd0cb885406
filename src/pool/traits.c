/* SPDX-License-Identifier: Apache-2.0 */
#include "traits.h"

#include <ctype.h>
#include <stdint.h>

#include "buffer.h"
#include "common.h"

enum token_type { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING, TOKEN_OTHER };

struct token {
    enum token_type type;
    struct slice text; /* without quotes */
    char symbol;       /* of TOKEN_OTHER */
};

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static void advance(struct slice *rest, size_t bytes)
{
    bytes = bytes < rest->len ? bytes : rest->len;
    rest->ptr += bytes;
    rest->len -= bytes;
}

/* Comments in C's form nest. */
static void skip_comment(struct slice *rest)
{
    int depth = 0;
    do {
        bool open = slice_starts_with(*rest, SLICE("/*"));
        bool close = slice_starts_with(*rest, SLICE("*/"));
        depth += open - close;
        advance(rest, open || close ? 2 : 1);
    } while (depth > 0 && rest->len > 0);
}

static void skip_space(struct slice *rest)
{
    while (rest->len > 0) {
        if (strchr(" \t\r\n\f\v", rest->ptr[0]) && rest->ptr[0])
            advance(rest, 1);
        else if (slice_starts_with(*rest, SLICE("--")))
            while (rest->len > 0 && rest->ptr[0] != '\n' && rest->ptr[0] != '\r')
                advance(rest, 1);
        else if (slice_starts_with(*rest, SLICE("/*")))
            skip_comment(rest);
        else
            return;
    }
}

/* rest begins with the quote; a doubled one, or one after a backslash where those escape, is in. */
static struct slice take_quoted(struct slice *rest, bool backslash)
{
    char quote = rest->ptr[0];
    size_t i = 1;
    for (; i < rest->len; i++) {
        if (backslash && rest->ptr[i] == '\\')
            i++;
        else if (rest->ptr[i] == quote && i + 1 < rest->len && rest->ptr[i + 1] == quote)
            i++;
        else if (rest->ptr[i] == quote)
            break;
    }
    i = i < rest->len ? i : rest->len;
    struct slice text = {rest->ptr + 1, i - 1};
    advance(rest, i + 1);
    return text;
}

/* A string, and what goes on with it on later lines. */
static struct token take_string(struct slice *rest, bool backslash)
{
    struct slice text = take_quoted(rest, backslash);
    for (;;) {
        struct slice next = *rest;
        skip_space(&next);
        size_t between = (size_t)(next.ptr - rest->ptr);
        bool new_line = memchr(rest->ptr, '\n', between) || memchr(rest->ptr, '\r', between);
        if (!new_line || next.len == 0 || next.ptr[0] != '\'')
            break;
        (void)take_quoted(&next, backslash);
        *rest = next;
        text.len = 0; /* it is of several parts */
    }
    return (struct token){TOKEN_STRING, text, 0};
}

/* $tag$ … $tag$; false: it is no such quote. */
static bool take_dollar_quoted(struct slice *rest)
{
    size_t tag = 1;
    while (tag < rest->len && is_word(rest->ptr[tag]) && rest->ptr[tag] != '$')
        tag++;
    if (tag >= rest->len || rest->ptr[tag] != '$' || (tag > 1 && !is_word_start(rest->ptr[1])))
        return false;
    struct slice mark = {rest->ptr, tag + 1};
    advance(rest, mark.len);
    const char *end = memmem(rest->ptr, rest->len, mark.ptr, mark.len);
    advance(rest, end ? (size_t)(end - rest->ptr) + mark.len : rest->len);
    return true;
}

static struct token take_token(struct slice *rest)
{
    skip_space(rest);
    if (rest->len == 0)
        return (struct token){TOKEN_END, {rest->ptr, 0}, 0};
    char c = rest->ptr[0];
    if ((c == 'e' || c == 'E') && rest->len > 1 && rest->ptr[1] == '\'') {
        advance(rest, 1);
        return take_string(rest, true);
    }
    if (is_word_start(c)) {
        struct slice word = {rest->ptr, 1};
        while (word.len < rest->len && is_word(rest->ptr[word.len]))
            word.len++;
        advance(rest, word.len);
        return (struct token){TOKEN_WORD, word, 0};
    }
    if (c == '\'')
        return take_string(rest, false);
    if (c == '"')
        return (struct token){TOKEN_QUOTED, take_quoted(rest, false), 0};
    if (c == '$' && take_dollar_quoted(rest))
        return (struct token){TOKEN_STRING, {rest->ptr, 0}, 0};
    advance(rest, 1);
    return (struct token){TOKEN_OTHER, {rest->ptr - 1, 1}, c};
}

static bool is(struct token token, const char *word)
{
    return token.type == TOKEN_WORD && slice_equal_nocase(token.text, slice_of(word));
}

static bool is_symbol(struct token token, char symbol)
{
    return token.type == TOKEN_OTHER && token.symbol == symbol;
}

bool traits_is_reported(struct slice name)
{
    static const char *const names[] = {"client_encoding",
                                        "datestyle",
                                        "timezone",
                                        "intervalstyle",
                                        "time",
                                        "names",
                                        "application_name",
                                        "standard_conforming_strings"};
    return slice_is_one_of_nocase(name, names, ARRAY_LEN(names));
}

/* One statement, as far as it was read. */
struct statement_scan {
    unsigned traits;
    int position; /* of the next word, from 0 */
    struct token first, previous, before_previous;
    bool draws;   /* has called nextval(), or follows another statement that may have */
    bool inserts; /* has an INSERT in it */
    bool updates; /* what is named next is updated */
    bool escapes; /* has a name with escapes */
    /* set_config(…): */
    int depth;
    int arguments, tokens; /* which argument it is, and how many tokens it has, so far */
    bool reported, local;  /* what the first one names; the last one */
};

static unsigned of_set(struct token subject)
{
    static const char *const harmless[] = {"local", "transaction", "constraints", "all"};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (is(subject, harmless[i]))
            return 0;
    return traits_is_reported(subject.text) ? 0 : TRAIT_SET;
}

/* The word that comes second in its statement, or third after SET SESSION. */
static unsigned of_second_word(struct token first, struct token second)
{
    if (is(first, "set") || is(first, "reset"))
        return of_set(second);
    if (is(first, "prepare"))
        return is(second, "transaction") ? 0 : TRAIT_PREPARE;
    if (is(first, "deallocate"))
        return is(second, "all") ? TRAIT_DISCARD : TRAIT_DEALLOCATE;
    return 0;
}

static unsigned of_first_word(struct token first)
{
    if (is(first, "listen"))
        return TRAIT_LISTEN;
    if (is(first, "unlisten"))
        return TRAIT_UNLISTEN;
    if (is(first, "load"))
        return TRAIT_LOAD;
    if (is(first, "reset"))
        return TRAIT_RESET;
    if (is(first, "discard"))
        return TRAIT_DISCARD;
    if (is(first, "execute"))
        return TRAIT_EXECUTE;
    if (is(first, "do"))
        return TRAIT_UNSEEN;
    return is(first, "select") || is(first, "with") ? TRAIT_READ : 0;
}

static bool is_session_lock(struct token token)
{
    static const char *const names[] = {"pg_advisory_lock", "pg_advisory_lock_shared",
                                        "pg_try_advisory_lock", "pg_try_advisory_lock_shared"};
    return slice_is_one_of_nocase(token.text, names, ARRAY_LEN(names));
}

static bool is_temporary(struct token token)
{
    return is(token, "temp") || is(token, "temporary");
}

/* pg_temp, or what it stands for in one session: pg_temp_3, say. */
static bool is_temporary_schema(struct slice name)
{
    if (name.len < 7 || strncasecmp(name.ptr, "pg_temp", 7) != 0)
        return false;
    return name.len == 7 || name.ptr[7] == '_';
}

static bool may_precede_temporary(struct token token)
{
    static const char *const words[] = {"create", "local", "global", "replace", "into"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (is(token, words[i]))
            return true;
    return false;
}

/* U&"…" can spell any name. */
static bool is_escaped(const struct statement_scan *scan)
{
    return is_symbol(scan->previous, '&') && is(scan->before_previous, "u");
}

/* Functions that leave what DISCARD ALL does not know of; some are an extension's. */
static unsigned wear_of(struct slice function)
{
    static const char *const lasting[] = {"dblink_connect", "dblink_connect_u",
                                          "pg_replication_origin_session_setup", "pg_backup_start",
                                          "pg_start_backup"};
    static const char *const wearing[] = {
        "setseed", "pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
        "pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot"};
    if (slice_is_one_of_nocase(function, lasting, ARRAY_LEN(lasting)))
        return TRAIT_LASTING;
    return slice_is_one_of_nocase(function, wearing, ARRAY_LEN(wearing)) ? TRAIT_WEAR : 0;
}

/* Functions that run a text, in which there may be anything. */
static bool runs_text(struct token token)
{
    static const char *const names[] = {"query_to_xml", "query_to_xmlschema",
                                        "query_to_xml_and_xmlschema", "ts_stat", "ts_rewrite"};
    return slice_is_one_of_nocase(token.text, names, ARRAY_LEN(names));
}

/* What a word says wherever it stands. */
static void see_word_anywhere(struct statement_scan *scan, struct token token)
{
    if (is_session_lock(token))
        scan->traits |= TRAIT_LOCK;
    if (slice_equal_nocase(token.text, SLICE("pg_terminate_backend")) ||
        slice_equal_nocase(token.text, SLICE("pg_cancel_backend")))
        scan->traits |= TRAIT_SIGNAL;
    if (slice_equal_nocase(token.text, SLICE("pg_prepared_statements")) ||
        slice_equal_nocase(token.text, SLICE("pg_prepared_statement")))
        scan->traits |= TRAIT_PREPARED;
    if (slice_equal_nocase(token.text, SLICE("pg_listening_channels")))
        scan->traits |= TRAIT_CHANNELS;
    if (slice_equal_nocase(token.text, SLICE("pg_settings")) &&
        (scan->updates || is(scan->first, "update"))) /* has a rule that is set_config */
        scan->traits |= TRAIT_SET;
    bool goes_on = is(token, "only") || slice_equal_nocase(token.text, SLICE("pg_catalog"));
    scan->updates = is(token, "update") || (scan->updates && goes_on);
    if (token.type == TOKEN_QUOTED && is_escaped(scan)) {
        scan->escapes = true;
        if (memchr(token.text.ptr, '\\', token.text.len))
            scan->traits |= TRAIT_SET;
    }
    if (runs_text(token) || (scan->escapes && is(token, "uescape")))
        scan->traits |= TRAIT_SET;
    if (is(token, "insert"))
        scan->inserts = true;
    if (scan->inserts &&
        (is(token, "returning") || (is(token, "select") && is(scan->first, "with"))))
        scan->draws = true; /* by a default */
    if (is_temporary_schema(token.text))
        scan->traits |= TRAIT_TEMPORARY;
    if (is_temporary(token) && may_precede_temporary(scan->previous))
        scan->traits |= TRAIT_TEMPORARY;
    if (is(token, "hold") && is(scan->previous, "with") && is(scan->first, "declare"))
        scan->traits |= TRAIT_CURSOR;
    if (is(token, "drop") && is(scan->previous, "commit") && is(scan->before_previous, "on"))
        scan->traits &= ~(unsigned)TRAIT_TEMPORARY;
    if (is(token, "default") && is(scan->first, "set"))
        scan->traits |= TRAIT_RESET;
    if (is(token, "into") || is(token, "for"))
        scan->traits &= ~(unsigned)TRAIT_READ;
}

/* The function whose arguments begin here. */
static void see_call(struct statement_scan *scan)
{
    struct slice name = scan->previous.text;
    scan->traits |= wear_of(name);
    if (slice_equal_nocase(name, SLICE("set_limit")))
        scan->traits |= TRAIT_SET;
    if (slice_equal_nocase(name, SLICE("set_config"))) {
        if (scan->depth > 0) /* in the arguments of another */
            scan->traits |= TRAIT_SET;
        scan->depth = 1;
        scan->arguments = scan->tokens = 0;
        scan->reported = scan->local = false;
    } else if (slice_equal_nocase(name, SLICE("nextval"))) {
        scan->draws = true;
    } else if (!scan->draws && (slice_equal_nocase(name, SLICE("currval")) ||
                                slice_equal_nocase(name, SLICE("lastval")))) {
        scan->traits |= TRAIT_SEQUENCE;
    }
}

/* set_config(name, value, is_local) is SET LOCAL when the last argument is true, and no more. */
static void see_in_call(struct statement_scan *scan, struct token token)
{
    bool is_string = token.type == TOKEN_STRING;
    if (is_symbol(token, '('))
        scan->depth++;
    if (is_symbol(token, ')') && --scan->depth == 0) {
        if (!scan->local)
            scan->traits |= scan->reported ? TRAIT_REPORTED : TRAIT_SET;
        return;
    }
    if (is_symbol(token, ',') && scan->depth == 1) {
        scan->arguments++;
        scan->tokens = 0;
        return;
    }
    if (is_symbol(token, '>') && is_symbol(scan->previous, '=')) {
        scan->tokens = 0; /* name => value */
        return;
    }
    bool alone = scan->tokens++ == 0;
    if (scan->arguments == 0)
        scan->reported = alone && is_string && traits_is_reported(token.text);
    scan->local =
        alone && (is(token, "true") || (is_string && slice_equal(token.text, SLICE("t"))));
}

/* A name of two parts is an extension's or an application's parameter, whatever the first one is.
 */
static bool is_custom_parameter(const struct statement_scan *scan, struct token token)
{
    bool setting = is(scan->first, "set") || is(scan->first, "reset");
    return is_symbol(token, '.') && setting &&
           (scan->position == 2 || (scan->position == 3 && is(scan->before_previous, "session")));
}

/* Tokens that say something only beside those before them. */
static void see_beside(struct statement_scan *scan, struct token token)
{
    if (is_custom_parameter(scan, token))
        scan->traits |= TRAIT_SET;
    if (scan->position == 2 && is(scan->first, "prepare") && is(scan->previous, "transaction") &&
        token.type != TOKEN_STRING)
        scan->traits |= TRAIT_PREPARE; /* that is the statement's name */
    if (token.type == TOKEN_STRING && (is(scan->first, "set") || scan->depth > 0) &&
        traits_path_is_temporary(token.text))
        scan->traits |= TRAIT_TEMPORARY;
}

bool traits_path_is_temporary(struct slice path)
{
    while (path.len > 0 && (path.ptr[0] == ' ' || path.ptr[0] == '"'))
        advance(&path, 1);
    return path.len >= 7 && strncasecmp(path.ptr, "pg_temp", 7) == 0;
}

static void see(struct statement_scan *scan, struct token token)
{
    bool is_name = token.type == TOKEN_WORD || token.type == TOKEN_QUOTED;
    see_beside(scan, token);
    if (scan->depth > 0)
        see_in_call(scan, token);
    if (is_symbol(token, '('))
        see_call(scan);
    if (is_name) {
        bool of_session = scan->position == 1 && is(token, "session") && is(scan->first, "set");
        see_word_anywhere(scan, token);
        if (scan->position == 0) {
            scan->first = token;
            scan->traits |= of_first_word(token);
        } else if (scan->position == 1 && !of_session) {
            scan->traits |= of_second_word(scan->first, token);
        } else if (scan->position == 2 && is(scan->previous, "session")) {
            scan->traits |= of_second_word(scan->first, token);
        } else if (scan->position == 2 && is(scan->previous, "prepare") && is(token, "all")) {
            scan->traits = (scan->traits & ~(unsigned)TRAIT_DEALLOCATE) | TRAIT_DISCARD;
        }
        scan->position++;
    }
    scan->before_previous = scan->previous;
    scan->previous = token;
}

/* Does the session read it otherwise than take_token does? */
static bool is_hidden(struct slice text, unsigned reading)
{
    if ((reading & READING_ESCAPES) && memchr(text.ptr, '\\', text.len))
        return true;
    for (size_t i = 0; (reading & READING_WIDE) && i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return true;
    return false;
}

unsigned traits_of(struct slice text, unsigned reading)
{
    unsigned traits = is_hidden(text, reading) ? TRAIT_UNSEEN : 0;
    int count = 0;
    struct statement_scan scan = {0};
    if (text.len > TRAITS_TEXT_BYTES_MAX) {
        text.len = TRAITS_TEXT_BYTES_MAX;
        traits |= TRAIT_UNSEEN;
    }
    for (;;) {
        struct token token = take_token(&text);
        if (token.type != TOKEN_END && !is_symbol(token, ';')) {
            see(&scan, token);
            continue;
        }
        traits |= scan.traits;
        count += scan.position > 0;
        if (token.type == TOKEN_END)
            break;
        scan = (struct statement_scan){.draws = count > 0};
    }
    return count == 1 && !(traits & TRAIT_UNSEEN) ? traits : traits & ~(unsigned)TRAIT_READ;
}

const char *traits_name(unsigned traits)
{
    static const struct {
        unsigned trait;
        const char *name;
    } names[] = {
        {TRAIT_SET, "SET of a session parameter"},
        {TRAIT_PREPARE, "SQL-level PREPARE"},
        {TRAIT_LISTEN, "LISTEN"},
        {TRAIT_CURSOR, "a cursor WITH HOLD"},
        {TRAIT_TEMPORARY, "a temporary table"},
        {TRAIT_LOCK, "a session-level advisory lock"},
        {TRAIT_LOAD, "LOAD"},
        {TRAIT_LASTING, "a function that changes its session"},
        {TRAIT_NAMED, "a named statement, with prepared_statements_max = 0,"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (traits & names[i].trait)
            return names[i].name;
    return "session state";
}

/* Of a character in UTF-8, after its first byte? */
static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* A name as Postgres reads it: folded to lower case unless quoted, 63 bytes at most. */
static bool fold_name(struct token token, char ret_name[64])
{
    size_t len = 0;
    bool cut = false;
    if ((token.type != TOKEN_WORD && token.type != TOKEN_QUOTED) || token.text.len == 0)
        return false;
    for (size_t i = 0; i < token.text.len && len < 63; i++) {
        char c = token.text.ptr[i];
        if (token.type == TOKEN_QUOTED && c == '"')
            i++; /* it is doubled */
        ret_name[len++] = token.type == TOKEN_WORD && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        cut = i + 1 < token.text.len && is_continuation(token.text.ptr[i + 1]);
    }
    if (len == 63 && cut) { /* as Postgres, not in the middle of a character */
        while (len > 0 && is_continuation(ret_name[len - 1]))
            len--;
        len -= len > 0;
    }
    ret_name[len] = 0;
    return true;
}

struct slice traits_begin(struct slice text)
{
    skip_space(&text);
    return text;
}

/* Does nothing but a semicolon follow? */
static bool is_last(struct slice rest)
{
    struct token token = take_token(&rest);
    return token.type == TOKEN_END ||
           (is_symbol(token, ';') && take_token(&rest).type == TOKEN_END);
}

bool traits_deallocated(struct slice text, char ret_name[64])
{
    if (!is(take_token(&text), "deallocate"))
        return false;
    struct token name = take_token(&text);
    if (is(name, "prepare"))
        name = take_token(&text);
    return !is(name, "all") && fold_name(name, ret_name) && is_last(text);
}

bool traits_end_block(struct slice text, bool alone)
{
    struct token token = take_token(&text);
    if (!is(token, "commit") && !is(token, "end") && !is(token, "rollback") && !is(token, "abort"))
        return false;
    token = take_token(&text);
    if (is(token, "work") || is(token, "transaction"))
        token = take_token(&text);
    bool ends = token.type == TOKEN_END || is_symbol(token, ';');
    return ends && (!alone || take_token(&text).type == TOKEN_END);
}

bool traits_executed(struct slice text, char ret_name[64], struct slice *ret_place)
{
    if (!is(take_token(&text), "execute"))
        return false;
    skip_space(&text);
    const char *begin = text.ptr;
    struct token token = take_token(&text);
    *ret_place = (struct slice){begin, (size_t)(text.ptr - begin)};
    if (!fold_name(token, ret_name))
        return false;
    do
        token = take_token(&text);
    while (token.type != TOKEN_END && !is_symbol(token, ';'));
    return token.type == TOKEN_END || is_last(text);
}

/* A parameter's name, whose first word was taken: an extension's has several, with points between.
 */
static bool take_parameter(struct slice *rest, struct token token, char ret_name[PARAMETER_BYTES])
{
    char word[64];
    for (size_t len = 0;;) {
        if (!fold_name(token, word) || len + strlen(word) + 2 > PARAMETER_BYTES)
            return false;
        memcpy(ret_name + len, word, strlen(word) + 1);
        len += strlen(word);
        struct slice next = *rest;
        if (!is_symbol(take_token(&next), '.'))
            return true;
        token = take_token(&next);
        *rest = next;
        ret_name[len++] = '.';
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(struct slice text, size_t from)
{
    size_t count = 0;
    while (from + count < text.len && is_digit(text.ptr[from + count]))
        count++;
    return count;
}

/* A decimal number that is the same as a text (010 is not); 0: it is none. */
static size_t number_bytes(struct slice text)
{
    size_t sign = text.len > 0 && text.ptr[0] == '-', whole = digits_at(text, sign);
    size_t len = sign + whole;
    bool zero = whole > 0 && text.ptr[sign] == '0';
    if (whole == 0 || (zero && whole > 1))
        return 0;
    if (len == text.len || text.ptr[len] != '.')
        return zero && sign ? 0 : len;
    size_t fraction = digits_at(text, len + 1);
    return fraction > 0 ? len + 1 + fraction : 0;
}

/* A string of one part, a word or a number. */
static bool take_value(struct slice *rest, struct buffer *ret_value)
{
    char word[64];
    skip_space(rest);
    struct slice begin = *rest;
    size_t number = number_bytes(begin);
    if (number > 0) {
        buffer_append(ret_value, begin.ptr, number);
        advance(rest, number);
        return true;
    }
    struct token token = take_token(rest);
    if (token.type != TOKEN_STRING) {
        if (!fold_name(token, word))
            return false;
        buffer_append_text(ret_value, word);
        return true;
    }
    if (begin.ptr[0] != '\'' || rest->ptr != begin.ptr + token.text.len + 2)
        return false;
    for (size_t i = 0; i < token.text.len; i++) {
        buffer_append(ret_value, token.text.ptr + i, 1);
        i += token.text.ptr[i] == '\''; /* it is doubled */
    }
    return true;
}

static void append_name(struct buffer *list, struct slice name)
{
    bool plain = name.len > 0 && !is_digit(name.ptr[0]);
    for (size_t i = 0; i < name.len; i++)
        plain = plain && (islower((unsigned char)name.ptr[i]) || is_digit(name.ptr[i]) ||
                          name.ptr[i] == '_');
    buffer_append_text(list, plain ? "" : "\"");
    for (size_t i = 0; i < name.len; i++)
        buffer_append(list, name.ptr[i] == '"' ? "\"\"" : name.ptr + i, 1 + (name.ptr[i] == '"'));
    buffer_append_text(list, plain ? "" : "\"");
}

/* The values of a parameter that is a list of names: SET makes a name of each, set_config() reads
 * the list. */
static bool take_names(struct slice *rest, struct buffer *ret_value)
{
    struct slice next;
    for (const char *between = "";; between = ", ") {
        AUTO_BUFFER value = {0};
        if (!take_value(rest, &value))
            return false;
        buffer_append_text(ret_value, between);
        append_name(ret_value, buffer_slice(&value));
        next = *rest;
        if (!is_symbol(take_token(&next), ','))
            return true;
        *rest = next;
    }
}

/* What follows the name in SET; zone: it is SET TIME ZONE. */
static char take_setting(struct slice *rest, bool zone, const char *name, struct buffer *ret_value)
{
    static const char *const lists[] = {"search_path", "temp_tablespaces"};
    struct slice next = *rest;
    struct token token = take_token(&next);
    bool is_list = slice_is_one_of_nocase(slice_of(name), lists, ARRAY_LEN(lists));
    bool assigns = is(token, "to") || is_symbol(token, '=');
    if (assigns == zone)
        return 0;
    if (assigns)
        *rest = next;
    next = *rest;
    token = take_token(&next);
    if (is(token, "default") || (zone && is(token, "local"))) {
        *rest = next;
        return 'R';
    }
    if (zone || !(is_list ? take_names : take_value)(rest, ret_value))
        return 0;
    return 'S';
}

char traits_parameter(struct slice text, char ret_name[PARAMETER_BYTES], struct buffer *ret_value)
{
    bool hidden = is_hidden(text, READING_WIDE | READING_ESCAPES);
    struct token verb = take_token(&text), name = take_token(&text);
    struct slice next = text;
    bool set = is(verb, "set"), zone = false;
    char kind = 'R';
    if (!set && !is(verb, "reset"))
        return 0;
    if (set && is(name, "session") && !is_symbol(take_token(&next), '.'))
        name = take_token(&text);
    next = text;
    if (is(name, "time") && is(take_token(&next), "zone")) {
        name = (struct token){TOKEN_WORD, SLICE("timezone"), 0};
        text = next;
        zone = true;
    }
    if (!take_parameter(&text, name, ret_name))
        return 0;
    if (set)
        kind = take_setting(&text, zone, ret_name, ret_value);
    return is_last(text) && !(hidden && kind == 'S') ? kind : 0;
}

/* Words that are no names unless quoted (Postgres's keywords, reserved and of functions or types).
 */
static bool is_reserved(struct token token)
{
    static const char words[] =
        " all analyse analyze and any array as asc asymmetric authorization binary "
        "both case cast check collate collation column concurrently constraint create "
        "cross current_catalog current_date current_role current_schema current_time "
        "current_timestamp current_user default deferrable desc distinct do else end "
        "except false fetch for foreign freeze from full grant group having ilike in "
        "initially inner intersect into is isnull join lateral leading left like limit "
        "localtime localtimestamp natural not notnull null offset on only or order "
        "outer overlaps placing primary references returning right select session_user "
        "similar some symmetric system_user table tablesample then to trailing true union unique "
        "user using variadic verbose when where window with ";
    char word[32] = " ";
    size_t len = token.text.len;
    if (token.type != TOKEN_WORD || len > sizeof(word) - 3)
        return false;
    for (size_t i = 0; i < len; i++)
        word[i + 1] = (char)tolower((unsigned char)token.text.ptr[i]);
    memcpy(word + 1 + len, " ", 2);
    return strstr(words, word) != NULL;
}

char traits_listen(struct slice text, char ret_channel[64])
{
    struct token verb = take_token(&text);
    bool listen = is(verb, "listen");
    if (!listen && !is(verb, "unlisten"))
        return 0;
    struct token channel = take_token(&text);
    if (!is_last(text))
        return 0;
    if (is_symbol(channel, '*'))
        return listen ? 0 : '*';
    if (is_reserved(channel) || !fold_name(channel, ret_channel))
        return 0;
    return listen ? 'L' : 'U';
}

bool traits_channels(struct slice text)
{
    if (!is(take_token(&text), "select"))
        return false;
    struct token token = take_token(&text);
    if (is_symbol(token, '*')) {
        if (!is(take_token(&text), "from"))
            return false;
        token = take_token(&text);
    }
    if (is(token, "pg_catalog")) {
        if (!is_symbol(take_token(&text), '.'))
            return false;
        token = take_token(&text);
    }
    return is(token, "pg_listening_channels") && is_symbol(take_token(&text), '(') &&
           is_symbol(take_token(&text), ')') && is_last(text);
}

/* Cuts *rest to what follows the next word that begins a statement and is `verb`; a statement
 * begins where *rest does, or behind a semicolon. */
static bool find_statement(struct slice *rest, const char *verb)
{
    struct token token, before = {.type = TOKEN_END};
    for (; (token = take_token(rest)).type != TOKEN_END; before = token)
        if (is(token, verb) && (before.type == TOKEN_END || is_symbol(before, ';')))
            return true;
    return false;
}

char traits_unlistened(struct slice *rest, char ret_channel[64])
{
    while (find_statement(rest, "unlisten")) {
        struct token token = take_token(rest);
        if (is_symbol(token, '*'))
            return '*';
        if (fold_name(token, ret_channel))
            return 'U';
    }
    return 0;
}

bool traits_executed_next(struct slice *rest, char ret_name[64])
{
    while (find_statement(rest, "execute"))
        if (fold_name(take_token(rest), ret_name))
            return true;
    return false;
}

/* ---- for a log ---- */

/* A number that begins here: its digits, point, exponent, and 0x, 0o, 0b forms. */
static void skip_number(struct slice *rest)
{
    while (rest->len > 0 && (is_word(rest->ptr[0]) || rest->ptr[0] == '.'))
        advance(rest, 1);
}

char *traits_outline(struct slice text, size_t bytes_max)
{
    AUTO_BUFFER out = {0};
    struct slice rest = text;
    while (rest.len > 0 && buffer_len(&out) < bytes_max) {
        const char *before = rest.ptr;
        skip_space(&rest);
        if (rest.ptr != before && buffer_len(&out) > 0 && rest.len > 0)
            buffer_append(&out, " ", 1);
        if (rest.len == 0)
            break;
        const char *begin = rest.ptr;
        bool number = is_digit(*begin) || (*begin == '.' && rest.len > 1 && is_digit(begin[1]));
        bool parameter = *begin == '$' && rest.len > 1 && is_digit(begin[1]);
        struct token token = {TOKEN_OTHER};
        if (number || parameter) {
            advance(&rest, 1);
            skip_number(&rest);
        } else {
            token = take_token(&rest);
        }
        size_t len = (size_t)(rest.ptr - begin);
        if (*begin == '\'' && memchr(begin, '\\', len)) {
            buffer_append_text(&out, "? …"); /* where it ends depends on the session */
            break;
        }
        if (number || token.type == TOKEN_STRING) /* also of a kind that has a letter before it */
            buffer_append(&out, "?", 1);
        else
            buffer_append(&out, begin, len);
    }
    size_t kept = buffer_len(&out) < bytes_max ? buffer_len(&out) : bytes_max;
    char *line = xstrndup(out.data ? out.data + out.start : "", kept);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' '; /* in a quoted name */
    return line;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "hash.h"
#include "hash_table.h"
#include "traits.h"

enum {
    SERVERS_NAMES_MAX = 200,
    SERVERS_BYTES_MAX = 64 * 1024,
};

struct param {
    char *name, *value;
};

struct params {
    struct hash_entry entry;
    uint32_t references;
    uint64_t meaning;
    size_t bytes;
    unsigned reading;
    bool accepted, temporary;
    size_t count;
    struct param list[]; /* sorted by name */
};

static struct hash_table table;
static uint64_t bytes_of_all;

static uint64_t hash_of(const struct params *set)
{
    uint64_t hash = hash_table_key(&table);
    for (size_t i = 0; i < set->count; i++)
        hash =
            hash_bytes(hash_bytes(hash, slice_of(set->list[i].name)), slice_of(set->list[i].value));
    return hash;
}

static size_t bytes_of(const struct params *set)
{
    size_t bytes = sizeof(*set) + set->count * sizeof(set->list[0]);
    for (size_t i = 0; i < set->count; i++)
        bytes += strlen(set->list[i].name) + strlen(set->list[i].value) + 2;
    return bytes;
}

uint64_t params_bytes_of_all(void)
{
    return bytes_of_all;
}

bool params_are_too_many(const struct params *params)
{
    return params->count > SERVERS_NAMES_MAX || params->bytes > SERVERS_BYTES_MAX;
}

static bool equal(const struct params *a, const struct params *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->list[i].name, b->list[i].name) != 0 ||
            strcmp(a->list[i].value, b->list[i].value) != 0)
            return false;
    return true;
}

static void destroy(struct params *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->list[i].name);
        free(set->list[i].value);
    }
    free(set);
}

/* What a server tells of itself, and nobody can set; or what is of each transaction alone. */
static bool is_of_server(const char *name)
{
    static const char *const names[] = {
        "in_hot_standby",        "integer_datetimes",     "is_superuser",
        "server_encoding",       "server_version",        "session_authorization",
        "transaction_isolation", "transaction_read_only", "transaction_deferrable"};
    return slice_is_one_of_nocase(slice_of(name), names, ARRAY_LEN(names));
}

/* Does no statement mean anything else by it? Of a parameter that is not known, an extension's say,
 * nobody can tell. */
static bool is_meaningless(const char *name)
{
    static const char *const names[] = {"application_name",
                                        "client_min_messages",
                                        "default_transaction_deferrable",
                                        "default_transaction_isolation",
                                        "default_transaction_read_only",
                                        "deadlock_timeout",
                                        "idle_in_transaction_session_timeout",
                                        "idle_session_timeout",
                                        "lc_messages",
                                        "lock_timeout",
                                        "maintenance_work_mem",
                                        "statement_timeout",
                                        "synchronous_commit",
                                        "transaction_timeout",
                                        "work_mem"};
    return is_of_server(name) || slice_is_one_of_nocase(slice_of(name), names, ARRAY_LEN(names));
}

bool params_may_move(const char *name)
{
    /* Set once, or not as a value; not on a connection that has had temporary tables; another name
     * for what has one; what would end the connection while it is nobody's. */
    static const char *const names[] = {"role",
                                        "seed",
                                        "session_preload_libraries",
                                        "local_preload_libraries",
                                        "temp_buffers",
                                        "sort_mem",
                                        "vacuum_mem",
                                        "idle_session_timeout"};
    return !is_of_server(name) && !slice_is_one_of_nocase(slice_of(name), names, ARRAY_LEN(names));
}

static uint64_t meaning_of(const struct params *set)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < set->count; i++) {
        const struct param *param = &set->list[i];
        if (is_meaningless(param->name))
            continue;
        for (const char *c = param->name; *c; c++)
            hash = (hash ^ (unsigned char)tolower((unsigned char)*c)) * 1099511628211u;
        hash = (hash ^ '=') * 1099511628211u;
        for (const char *c = param->value; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        hash = (hash ^ 0x100) * 1099511628211u; /* what parts one from the next */
    }
    return hash;
}

uint64_t params_meaning(const struct params *params)
{
    return params->meaning;
}

/* May a later byte of a character be one of ASCII? Not in these, by any of the names that Postgres
 * takes; all others are SJIS, BIG5, GBK and the like. */
static bool is_wide(struct slice encoding)
{
    static const char *const plain[] = {"utf8",    "unicode", "sqlascii", "latin",
                                        "iso8859", "koi8",    "euc",      "mule",
                                        "win1",    "win8",    "windows1", "windows8"};
    char letters[32] = "";
    for (size_t i = 0, len = 0; i < encoding.len && len < sizeof(letters) - 1; i++)
        if (isalnum((unsigned char)encoding.ptr[i]))
            letters[len++] = (char)tolower((unsigned char)encoding.ptr[i]);
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (slice_starts_with(slice_of(letters), slice_of(plain[i])))
            return false;
    return true;
}

static unsigned reading_of(const struct params *set)
{
    struct slice encoding = params_get(set, "client_encoding");
    struct slice conforming = params_get(set, "standard_conforming_strings");
    unsigned reading = 0;
    if (encoding.ptr && is_wide(encoding))
        reading |= READING_WIDE;
    if (conforming.ptr && !slice_equal_nocase(conforming, SLICE("on")))
        reading |= READING_ESCAPES;
    return reading;
}

unsigned params_reading(const struct params *params)
{
    return params->reading;
}

bool params_have_temporary(const struct params *params)
{
    return params->temporary;
}

bool params_are_accepted(const struct params *params)
{
    return params->accepted;
}

void params_accept(struct params *params)
{
    params->accepted = true;
}

/* Takes `made` over; returns the set that is there already, or made itself. */
static struct params *intern(struct params *made)
{
    uint64_t hash = hash_of(made);
    struct hash_entry *entry = hash_table_first(&table, hash);
    for (; entry; entry = entry->next) {
        struct params *set = CONTAINER_OF(entry, struct params, entry);
        if (entry->hash == hash && equal(set, made)) {
            destroy(made);
            return params_hold(set);
        }
    }
    made->references = 1;
    made->meaning = meaning_of(made);
    made->reading = reading_of(made);
    made->temporary = traits_path_is_temporary(params_get(made, "search_path"));
    made->bytes = bytes_of(made);
    hash_table_add(&table, &made->entry, hash);
    bytes_of_all += made->bytes;
    return made;
}

struct params *params_empty(void)
{
    return intern(xcalloc(1, sizeof(struct params)));
}

struct params *params_hold(struct params *params)
{
    params->references++;
    return params;
}

void params_release(struct params **params)
{
    struct params *set = TAKE(*params);
    if (!set || --set->references > 0)
        return;
    hash_table_remove(&table, &set->entry);
    bytes_of_all -= set->bytes;
    destroy(set);
}

/* Where name is, or would be. */
static size_t place_of(const struct params *set, const char *name, bool *ret_found)
{
    size_t i = 0;
    while (i < set->count && strcasecmp(set->list[i].name, name) < 0)
        i++;
    *ret_found = i < set->count && strcasecmp(set->list[i].name, name) == 0;
    return i;
}

struct params *params_with(struct params *params, struct slice name, struct slice value)
{
    bool found;
    AUTO_TEXT key = xstrndup(name.ptr, name.len);
    size_t at = place_of(params, key, &found);
    if (found && slice_equal(slice_of(params->list[at].value), value))
        return params;
    size_t count = params->count + !found;
    struct params *made = xcalloc(1, sizeof(*made) + count * sizeof(made->list[0]));
    made->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct param *old = i == at ? NULL : &params->list[i > at && !found ? i - 1 : i];
        /* A known name keeps its spelling, so that sets stay comparable. */
        made->list[i].name = old     ? xstrdup(old->name)
                             : found ? xstrdup(params->list[at].name)
                                     : TAKE(key);
        made->list[i].value = old ? xstrdup(old->value) : xstrndup(value.ptr, value.len);
    }
    params_release(&params);
    return intern(made);
}

struct params *params_with_all(struct params *params, const struct params *others)
{
    for (size_t i = 0; i < others->count; i++)
        params =
            params_with(params, slice_of(others->list[i].name), slice_of(others->list[i].value));
    return params;
}

struct params *params_without(struct params *params, const char *name)
{
    bool found;
    size_t at = place_of(params, name, &found), count = params->count - 1;
    if (!found)
        return params;
    struct params *made = xcalloc(1, sizeof(*made) + count * sizeof(made->list[0]));
    made->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct param *old = &params->list[i + (i >= at)];
        made->list[i] = (struct param){xstrdup(old->name), xstrdup(old->value)};
    }
    params_release(&params);
    return intern(made);
}

size_t params_beyond(const struct params *params, const struct params *base)
{
    size_t count = 0;
    for (size_t i = 0; i < params->count; i++)
        count += !params_get(base, params->list[i].name).ptr;
    return count;
}

static bool same_one_way(const struct params *a, const struct params *b, const struct params *but)
{
    for (size_t i = 0; i < a->count; i++)
        if (!params_get(but, a->list[i].name).ptr &&
            !slice_equal(params_get(b, a->list[i].name), slice_of(a->list[i].value)))
            return false;
    return true;
}

bool params_same_but(const struct params *a, const struct params *b, const struct params *but)
{
    return same_one_way(a, b, but) && same_one_way(b, a, but);
}

static const char *const limits[] = {"lock_timeout", "statement_timeout", "transaction_timeout"};

bool params_limit_time(const struct params *params)
{
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        any = any || params_get(params, limits[i]).ptr;
    return any;
}

static bool is_of_others(const struct param *param, const struct params *to)
{
    struct slice wanted = params_get(to, param->name);
    if (!wanted.ptr)
        return !is_of_server(param->name);
    return slice_is_one_of_nocase(slice_of(param->name), limits, ARRAY_LEN(limits)) &&
           !slice_equal(wanted, slice_of(param->value));
}

struct params *params_without_others(struct params *params, const struct params *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < params->count; i++)
        kept += !is_of_others(&params->list[i], to);
    if (kept == params->count)
        return params;
    struct params *made = xcalloc(1, sizeof(*made) + kept * sizeof(made->list[0]));
    for (size_t i = 0; i < params->count; i++)
        if (!is_of_others(&params->list[i], to))
            made->list[made->count++] =
                (struct param){xstrdup(params->list[i].name), xstrdup(params->list[i].value)};
    params_release(&params);
    return intern(made);
}

struct slice params_get(const struct params *params, const char *name)
{
    bool found;
    size_t at = place_of(params, name, &found);
    return found ? slice_of(params->list[at].value) : (struct slice){NULL, 0};
}

size_t params_count(const struct params *params)
{
    return params->count;
}

void params_at(const struct params *params, size_t i, struct slice *ret_name,
               struct slice *ret_value)
{
    assert(i < params->count);
    *ret_name = slice_of(params->list[i].name);
    *ret_value = slice_of(params->list[i].value);
}

void params_append_literal(struct buffer *sql, const char *text)
{
    buffer_append_text(sql, strchr(text, '\\') ? "E'" : "'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buffer_append(sql, text, 1);
        buffer_append(sql, text, 1);
    }
    buffer_append_text(sql, "'");
}

/* "a.b" is a parameter of an extension: two names. */
static void append_identifier(struct buffer *sql, const char *text)
{
    buffer_append_text(sql, "\"");
    for (; *text; text++)
        if (*text == '.')
            buffer_append_text(sql, "\".\"");
        else
            buffer_append(sql, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    buffer_append_text(sql, "\"");
}

/* Names that are in one set with a value that the other does not have for them. */
static bool are_alike_one_way(const struct params *a, const struct params *b)
{
    static const char *const names[] = {"application_name", "DateStyle", "IntervalStyle",
                                        "TimeZone", "extra_float_digits"};
    for (size_t i = 0; i < a->count; i++) {
        bool of_form = is_of_server(a->list[i].name) ||
                       slice_is_one_of_nocase(slice_of(a->list[i].name), names, ARRAY_LEN(names));
        if (!of_form && !slice_equal(params_get(b, a->list[i].name), slice_of(a->list[i].value)))
            return false;
    }
    return true;
}

bool params_are_alike(const struct params *a, const struct params *b)
{
    return are_alike_one_way(a, b) && are_alike_one_way(b, a);
}

/* Is it another there, and none that RESET leads to? */
static bool is_to_reset(const struct param *param, const struct params *to,
                        const struct params_base *base)
{
    struct slice wanted = params_get(to, param->name);
    if (is_of_server(param->name) || slice_equal(wanted, slice_of(param->value)))
        return false;
    if (!wanted.ptr || !base)
        return !wanted.ptr;
    bool own = params_get(base->given, param->name).ptr ||
               (base->keeps_reported && traits_is_reported(slice_of(param->name)));
    return !own && slice_equal(wanted, params_get(base->params, param->name));
}

void params_append_sql(const struct params *from, const struct params *to,
                       const struct params_base *base, struct buffer *sql)
{
    bool found, any = false;
    for (size_t i = 0; i < from->count; i++) {
        if (!is_to_reset(&from->list[i], to, base))
            continue;
        buffer_append_text(sql, "RESET ");
        append_identifier(sql, from->list[i].name);
        buffer_append_text(sql, ";");
    }
    /* SET takes a list for several values; set_config reads one text as the parameter does. */
    for (size_t i = 0; i < to->count; i++) {
        size_t at = place_of(from, to->list[i].name, &found);
        if (is_of_server(to->list[i].name) ||
            (found && (strcmp(from->list[at].value, to->list[i].value) == 0 ||
                       is_to_reset(&from->list[at], to, base))))
            continue;
        buffer_append_text(sql, any ? "," : "SELECT ");
        buffer_append_text(sql, "pg_catalog.set_config(");
        params_append_literal(sql, to->list[i].name);
        buffer_append_text(sql, ",");
        params_append_literal(sql, to->list[i].value);
        buffer_append_text(sql, ",false)");
        any = true;
    }
}

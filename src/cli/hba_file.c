/* SPDX-License-Identifier: Apache-2.0 */
#include "hba_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "common.h"
#include "text_file.h"

enum { FIELDS_MAX = 16 };

/* A field of a line: words with commas between. */
struct field {
    json_t *words;  /* in order */
    json_t *quoted; /* and whether each stood in quotes: then it means itself */
};

struct line {
    struct field fields[FIELDS_MAX];
    int count;
};

static void line_done(struct line *line)
{
    for (int i = 0; i < line->count; i++) {
        json_decref(line->fields[i].words);
        json_decref(line->fields[i].quoted);
    }
    line->count = 0;
}

static bool is_end(char c)
{
    return c == 0 || c == '#' || c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A word at *at, in quotes or not; NULL: a quote is not closed. */
static char *take_word(const char **at, bool *ret_quoted)
{
    AUTO_BUFFER word = {0};
    const char *p = *at;
    bool quotes = false;
    *ret_quoted = false;
    for (; *p && (quotes || (!is_end(*p) && !is_blank(*p) && *p != ',')); p++) {
        if (*p != '"') {
            buffer_append(&word, p, 1);
        } else if (quotes && p[1] == '"') {
            buffer_append(&word, p++, 1);
        } else {
            quotes = !quotes;
            *ret_quoted = true;
        }
    }
    *at = p;
    buffer_append(&word, "", 1);
    return quotes ? NULL : xstrdup(word.data + word.start);
}

static const char *skip_blanks(const char *p)
{
    while (is_blank(*p))
        p++;
    return p;
}

/* False: it was a mistake, and is told. */
static bool split(const char *text, int number, struct line *line, struct config_report *report)
{
    const char *p = skip_blanks(text);
    line->count = 0;
    while (!is_end(*p)) {
        if (line->count == FIELDS_MAX) {
            config_error(report, number, NULL, "the line has more than %d fields", FIELDS_MAX);
            return false;
        }
        struct field *field = &line->fields[line->count++];
        *field = (struct field){json_array(), json_array()};
        for (bool more = true; more;) {
            bool quoted;
            AUTO_TEXT word = take_word(&p, &quoted);
            if (!word) {
                config_error(report, number, NULL, "a quote is not closed");
                return false;
            }
            (void)json_array_append_new(field->words, json_string(word));
            (void)json_array_append_new(field->quoted, json_boolean(quoted));
            p = skip_blanks(p);
            more = *p == ',';
            p = more ? skip_blanks(p + 1) : p;
        }
    }
    return true;
}

/* The only word of a field; NULL: there are several, or is no such field. */
static const char *word_of(const struct line *line, int i)
{
    if (i >= line->count || json_array_size(line->fields[i].words) != 1)
        return NULL;
    return json_string_value(json_array_get(line->fields[i].words, 0));
}

typedef void on_line_fn(const struct line *line, int number, void *context);

static void each_line(const char *path, struct config_report *report, on_line_fn *on_line,
                      void *context)
{
    FILE *file = text_file_open(path);
    const char *outer = report->file;
    char *text = NULL;
    size_t cap = 0;
    struct line line = {.count = 0};
    if (!file) {
        config_error(report, 0, NULL, "cannot read %s: %s", path, text_file_problem(errno));
        return;
    }
    report->file = path;
    for (int number = 1; getline(&text, &cap, file) >= 0; number++) {
        if (split(text, number, &line, report) && line.count > 0)
            on_line(&line, number, context);
        line_done(&line);
    }
    report->file = outer;
    free(text);
    (void)fclose(file);
}

/* ---- pg_ident.conf: map, system's user, database's user ---- */

struct maps {
    json_t *by_name;
    struct config_report *report;
};

static void on_ident_line(const struct line *line, int number, void *context)
{
    struct maps *maps = context;
    const char *map = word_of(line, 0), *from = word_of(line, 1), *to = word_of(line, 2);
    if (!map || !from || !to || line->count != 3) {
        config_error(maps->report, number, NULL, "expected a map, a user of the system and a user");
        return;
    }
    if (from[0] == '/' || to[0] == '/' || to[0] == '+') {
        config_error(maps->report, number, NULL,
                     "regular expressions and groups can not be used here; name each user");
        return;
    }
    bool all = strcmp(to, "all") == 0 && !json_is_true(json_array_get(line->fields[2].quoted, 0));
    json_t *list = json_object_get(maps->by_name, map);
    if (!list)
        (void)json_object_set_new(maps->by_name, map, list = json_array());
    json_t *entry = json_pack("{s:s}", "system", from);
    if (!all)
        (void)json_object_set_new(entry, "user", json_string(to));
    (void)json_array_append_new(list, entry);
}

/* ---- pg_hba.conf ---- */

struct rules {
    const char *path;
    json_t *list, *maps;
    bool peer; /* some rule asks the system who its user is */
    struct config_report *report;
};

static void on_name_line(const struct line *line, int number, void *context)
{
    json_t *names = context;
    (void)number;
    for (int i = 0; i < line->count; i++)
        (void)json_array_extend(names, line->fields[i].words);
}

/* Users or databases: {"all": true}, {"sameuser": true}, {"replication": true} or {"names": […]},
 * or of these several. */
static json_t *read_names(struct rules *rules, const struct field *field, bool databases,
                          int number)
{
    json_t *names = json_array(), *made = json_pack("{s:o}", "names", names), *word;
    size_t i;
    json_array_foreach(field->words, i, word)
    {
        const char *text = json_string_value(word);
        bool quoted = json_is_true(json_array_get(field->quoted, i));
        if (!quoted && strcmp(text, "all") == 0)
            (void)json_object_set_new(made, "all", json_true());
        else if (!quoted && databases && strcmp(text, "sameuser") == 0)
            (void)json_object_set_new(made, "sameuser", json_true());
        else if (!quoted && databases && strcmp(text, "replication") == 0)
            (void)json_object_set_new(made, "replication", json_true());
        else if (!quoted &&
                 (text[0] == '+' || text[0] == '/' || (databases && strncmp(text, "same", 4) == 0)))
            config_error(rules->report, number, NULL,
                         "\"%s\": the pool knows neither groups nor regular expressions; name each",
                         text);
        else if (!quoted && text[0] == '@') {
            const char *slash = strrchr(rules->path, '/');
            int dir = slash && text[1] != '/' ? (int)(slash - rules->path) + 1 : 0;
            AUTO_TEXT path = xasprintf("%.*s%s", dir, rules->path, text + 1);
            each_line(path, rules->report, on_name_line, names);
        } else
            (void)json_array_append(names, word);
    }
    return made;
}

/* "address/bits", or an address and a mask in the field after it. How many fields; 0: a mistake. */
static int read_address(struct rules *rules, const struct line *line, int at, int number,
                        json_t *rule)
{
    const char *text = word_of(line, at), *mask = word_of(line, at + 1);
    unsigned char bytes[16], ones[16];
    if (text && strcmp(text, "all") == 0)
        return 1;
    if (!text) {
        config_error(rules->report, number, NULL, "expected an address");
        return 0;
    }
    AUTO_TEXT address = xstrdup(text);
    char *slash = strchr(address, '/'), *end = NULL;
    if (slash)
        *slash = 0;
    int family = strchr(address, ':') ? AF_INET6 : AF_INET, max = family == AF_INET6 ? 128 : 32;
    long bits = slash ? strtol(slash + 1, &end, 10) : 0;
    if (inet_pton(family, address, bytes) != 1 || (slash && (end == slash + 1 || *end)) ||
        bits < 0 || bits > max) {
        config_error(
            rules->report, number, NULL,
            "\"%s\": expected an address such as 10.0.0.0/8, or all; names of hosts, samehost and "
            "samenet are not known here",
            text);
        return 0;
    }
    if (!slash) {
        if (!mask || inet_pton(family, mask, ones) != 1) {
            config_error(rules->report, number, NULL, "\"%s\" needs its bits (\"/32\") or a mask",
                         text);
            return 0;
        }
        while (bits < max && (ones[bits / 8] & 0x80 >> bits % 8))
            bits++;
        for (long i = bits; i < max; i++)
            if (ones[i / 8] & 0x80 >> i % 8) {
                config_error(rules->report, number, NULL,
                             "\"%s\": the ones of a mask stand together", mask);
                return 0;
            }
    }
    (void)json_object_set_new(rule, "address", json_string(address));
    (void)json_object_set_new(rule, "bits", json_integer(bits));
    return slash ? 1 : 2;
}

static void read_options(struct rules *rules, const struct line *line, int at, int number,
                         json_t *rule)
{
    for (; at < line->count; at++) {
        const char *option = word_of(line, at);
        if (option && strncmp(option, "map=", 4) == 0) {
            json_t *map = json_object_get(rules->maps, option + 4);
            if (!map)
                config_error(rules->report, number, NULL, "map=%s: the ident file has no such map",
                             option + 4);
            else
                (void)json_object_set(rule, "map", map);
        } else {
            config_error(rules->report, number, NULL,
                         "\"%s\": of options there is map=", option ? option : "");
        }
    }
}

static void on_hba_line(const struct line *line, int number, void *context)
{
    static const char *const types[] = {"local", "host", "hostssl", "hostnossl"};
    static const char *const methods[] = {"trust",         "reject", "md5", "password",
                                          "scram-sha-256", "cert",   "peer"};
    struct rules *rules = context;
    const char *type = word_of(line, 0), *method;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        known = known || (type && strcmp(type, types[i]) == 0);
    if (!known) {
        config_error(rules->report, number, NULL,
                     "a line begins with local, host, hostssl or hostnossl");
        return;
    }
    if (line->count < (strcmp(type, "local") == 0 ? 4 : 5)) {
        config_error(rules->report, number, NULL, "expected databases, users, %sa method",
                     strcmp(type, "local") == 0 ? "" : "an address, ");
        return;
    }
    json_t *rule = json_pack("{s:s, s:i}", "type", type, "line", number);
    (void)json_object_set_new(rule, "databases", read_names(rules, &line->fields[1], true, number));
    (void)json_object_set_new(rule, "users", read_names(rules, &line->fields[2], false, number));
    int at = 3, taken = 0;
    if (strcmp(type, "local") != 0) {
        taken = read_address(rules, line, at, number, rule);
        at += taken;
    }
    method = word_of(line, at);
    known = false;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        known = known || (method && strcmp(method, methods[i]) == 0);
    if (taken == 0 && at == 3 && strcmp(type, "local") != 0)
        ; /* was told */
    else if (!known)
        config_error(rules->report, number, NULL,
                     "\"%s\": expected trust, reject, md5, password, scram-sha-256, cert or peer",
                     method ? method : "");
    else if (strcmp(method, "peer") == 0 && strcmp(type, "local") != 0)
        config_error(rules->report, number, NULL, "peer is for local connections");
    else if (strcmp(method, "cert") == 0 && strcmp(type, "hostssl") != 0 &&
             strcmp(type, "host") != 0)
        config_error(rules->report, number, NULL, "cert is for connections with TLS");
    else {
        (void)json_object_set_new(rule, "method", json_string(method));
        rules->peer = rules->peer || strcmp(method, "peer") == 0;
        read_options(rules, line, at + 1, number, rule);
        (void)json_array_append(rules->list, rule);
    }
    json_decref(rule);
}

/* The pool can not ask the system itself. */
static json_t *system_users(void)
{
    json_t *users = json_object();
    setpwent();
    for (struct passwd *entry; (entry = getpwent());) {
        AUTO_TEXT uid = xasprintf("%u", (unsigned)entry->pw_uid);
        if (!json_object_get(users, uid))
            (void)json_object_set_new(users, uid, json_string(entry->pw_name));
    }
    endpwent();
    return users;
}

json_t *hba_file_read(const char *path, const char *ident_path, struct config_report *report)
{
    struct rules rules = {path, json_array(), json_object(), false, report};
    struct maps maps = {rules.maps, report};
    if (ident_path)
        each_line(ident_path, report, on_ident_line, &maps);
    each_line(path, report, on_hba_line, &rules);
    json_decref(rules.maps);
    json_t *made = json_pack("{s:o}", "rules", rules.list);
    if (rules.peer)
        (void)json_object_set_new(made, "system_users", system_users());
    return made;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "checks.h"
#include "database_url.h"
#include "hba_file.h"
#include "secret_environment.h"
#include "text_file.h"
#include "tls_files.h"
#include "tls_words.h"
#include "users_file.h"

enum { SECRET_BYTES_MAX = 64 * 1024, USERS_FILE_BYTES_MAX = 64 * 1024 * 1024 };

struct reader {
    const char *path;
    char *dir;
    bool private_file;     /* nobody but its owner reads the configuration: it may have secrets */
    json_t *socket_rights; /* of unix sockets, as the plan has them */
    json_t *users_by_name; /* those of the plan, which may be many */
    json_t *variables;     /* names of those that secrets were read from */
    struct config_report *report;
};

static const char *const modes[] = {"transaction", "session", "statement", NULL};
static const char *const methods[] = {"scram-sha-256", "md5", "password", "cert",
                                      "trust",         "any", "hba",      NULL};
static const char *const policies[] = {"pin", "error", "allow", NULL};
static const char *const tls_modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
static const char *const bindings[] = {"prefer", "require", NULL};
static const char *const attrs[] = {"any",     "read-write",     "read-only", "primary",
                                    "standby", "prefer-standby", NULL};

static const char *const balances[] = {"disable", "round-robin", "random", NULL};

/* ---- small readers ---- */

static int line_of(const struct value *table, const char *key)
{
    const struct value_entry *entry = value_entry(table, key);
    return entry ? entry->key_line : table ? table->line : 0;
}

/* One of a few words. */
static void check_word(const struct reader *reader, const struct value *table, const char *name,
                       const char *key, const char *const *words)
{
    const char *word = value_text(value_get(table, key));
    AUTO_BUFFER all = {0};
    if (!word)
        return;
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return;
        buffer_printf(&all, "%s\"%s\"", i ? ", " : "", words[i]);
    }
    config_error(reader->report, line_of(table, key), key, "%s %s = \"%s\": expected one of %.*s",
                 name, key, word, (int)buffer_len(&all), all.data + all.start);
}

static char *path_of(const struct reader *reader, const char *path)
{
    return path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", reader->dir, path);
}

/* The text of a file, without its last newline; NULL, and a message, when there is none. */
static char *file_text(const struct reader *reader, const struct value *table, const char *key,
                       size_t bytes_max)
{
    AUTO_TEXT path = path_of(reader, value_text(value_get(table, key)));
    AUTO_BUFFER text = {0};
    int r = text_file_read(path, bytes_max, &text);
    if (r < 0) {
        config_error(reader->report, line_of(table, key), key, "%s = \"%s\": cannot read it: %s",
                     key, path, text_file_problem(r));
        return NULL;
    }
    size_t len = buffer_len(&text);
    while (len > 0 && (text.data[len - 1] == '\n' || text.data[len - 1] == '\r'))
        len--;
    return xstrndup(text.data ? text.data : "", len);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        (void)json_object_set_new(object, key, json_string(text));
}

/* Passwords of a file that is named here: the configuration itself may be for everybody to read. */
static void warn_of_readers(const struct reader *reader, const struct value *table, const char *key)
{
    const char *file = value_text(value_get(table, key));
    AUTO_TEXT path = path_of(reader, file);
    if (check_others_read(path))
        config_warn(
            reader->report, line_of(table, key), key,
            "%s = \"%s\": it has passwords, and everybody on this machine can read it; make "
            "it private (chmod 600 %s)",
            key, file, path);
}

/* Puts the secret `what` into object[key]: from what_file, what_env, or what itself where the file
 * is private. */
static void read_secret(const struct reader *reader, const struct value *table, const char *name,
                        const char *what, json_t *object, const char *key)
{
    AUTO_TEXT file_key = xasprintf("%s_file", what);
    AUTO_TEXT env_key = xasprintf("%s_env", what);
    const char *own = value_text(value_get(table, what));
    const char *variable = value_text(value_get(table, env_key));
    if (value_get(table, file_key)) {
        AUTO_TEXT text = file_text(reader, table, file_key, SECRET_BYTES_MAX);
        set_text(object, key, text);
        if (text && !*text)
            config_error(reader->report, line_of(table, file_key), file_key,
                         "%s %s = \"%s\": it is empty", name, file_key,
                         value_text(value_get(table, file_key)));
        else if (text && !check_is_verifier(text))
            warn_of_readers(reader, table, file_key);
    } else if (variable) {
        AUTO_TEXT text = secret_environment_read(variable);
        if (!text)
            config_error(reader->report, line_of(table, env_key), env_key,
                         "%s %s = \"%s\": there is no such variable in the environment", name,
                         env_key, variable);
        set_text(object, key, text);
        (void)json_array_append_new(reader->variables, json_string(variable));
    } else if (own) {
        if (!check_is_verifier(own) && !reader->private_file)
            config_error(reader->report, line_of(table, what), what,
                         "%s %s: others can read this file; make it private (chmod 600 %s), or use "
                         "%s or %s",
                         name, what, reader->path, file_key, env_key);
        set_text(object, key, own);
    }
}

/* ---- TLS ---- */

/* PgBouncer's words are ours. */
static void read_tls_words(const struct reader *reader, const struct value *table, const char *name,
                           json_t *tls)
{
    const char *protocols = value_text(value_get(table, "protocols"));
    const char *ciphers = value_text(value_get(table, "ciphers"));
    AUTO_TEXT versions = protocols ? tls_words_protocols(protocols) : NULL;
    const char *list = ciphers ? tls_words_ciphers(ciphers) : "";
    if (protocols && !versions)
        config_error(reader->report, line_of(table, "protocols"), "protocols",
                     "%s protocols = \"%s\": expected \"secure\", \"all\", or a list such as "
                     "\"tlsv1.2,tlsv1.3\"",
                     name, protocols);
    (void)json_object_del(tls, "protocols");
    set_text(tls, "protocols", versions);
    (void)json_object_del(tls, "ciphers");
    set_text(tls, "ciphers", *list ? list : NULL);
}

/* Can it be used as it is? Else each mistake is told where it was made. */
static void check_tls(const struct reader *reader, const struct value *table, const char *name,
                      bool for_clients, const json_t *tls)
{
    json_t *rest = json_copy((json_t *)(uintptr_t)tls);
    struct error why = {""};
    const char *wrong;
    while ((wrong = tls_files_problem(rest, for_clients, &why))) {
        AUTO_TEXT file_key = xasprintf("%s_file", wrong);
        const char *key = value_get(table, wrong) ? wrong : file_key;
        config_error(reader->report, line_of(table, key), key, "%s %s = \"%s\": %s", name, key,
                     value_text(value_get(table, key)), why.text);
        (void)json_object_del(rest, wrong);
        if (strcmp(wrong, "certificate") == 0)
            (void)json_object_del(rest, "key"); /* whose it is can not be said */
    }
    json_decref(rest);
}

static json_t *read_tls(const struct reader *reader, const struct value *table, const char *name,
                        const struct config_table *keys)
{
    static const char *const files[] = {"certificate", "key", "ca"};
    json_t *tls = json_object();
    config_check(table, keys, NULL, reader->report);
    check_word(reader, table, name, "mode", tls_modes);
    check_word(reader, table, name, "channel_binding", bindings);
    config_fill(table, keys, tls);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO_TEXT file_key = xasprintf("%s_file", files[i]);
        if (!value_text(value_get(table, file_key)))
            continue;
        AUTO_TEXT text = file_text(reader, table, file_key, 1024 * 1024);
        set_text(tls, files[i], text);
    }
    read_tls_words(reader, table, name, tls);
    check_tls(reader, table, name, keys == &config_pool_tls, tls);
    return tls;
}

static json_t *read_client_tls(const struct reader *reader, const struct value *table)
{
    json_t *tls = read_tls(reader, table, "[tls]", &config_pool_tls);
    const char *mode = json_string_value(json_object_get(tls, "mode"));
    bool on = mode && strcmp(mode, "disable") != 0;
    if (on && (!json_object_get(tls, "certificate") || !json_object_get(tls, "key")))
        config_error(reader->report, line_of(table, "mode"), "mode",
                     "[tls] mode = \"%s\" needs certificate_file and key_file", mode);
    if (on && strncmp(mode, "verify", 6) == 0 && !json_object_get(tls, "ca"))
        config_error(
            reader->report, line_of(table, "mode"), "mode",
            "[tls] mode = \"%s\" needs ca_file, which clients' certificates are checked by", mode);
    return tls;
}

/* ---- users ---- */

/* So that a long list is no slower by the user than a short one. */
static void keep_user(const struct reader *reader, json_t *users, const char *name, json_t *user)
{
    (void)json_object_set(reader->users_by_name, name, user);
    (void)json_array_append_new(users, user);
}

static void read_users_file(const struct reader *reader, const struct value *table, json_t *users)
{
    const char *file = value_text(value_get(table, "users_file"));
    AUTO_TEXT text = file ? file_text(reader, table, "users_file", USERS_FILE_BYTES_MAX) : NULL;
    struct users_file lines = {.left = text};
    bool has_passwords = false;
    for (;;) {
        AUTO_TEXT name = NULL;
        AUTO_TEXT secret = NULL;
        int r = users_file_next(&lines, &name, &secret);
        if (r < 0) {
            config_error(reader->report, line_of(table, "users_file"), "users_file",
                         "users_file = \"%s\": line %d is not of the form \"name\" \"secret\"",
                         file, lines.line);
            return;
        }
        if (r == 0)
            break;
        has_passwords = has_passwords || !check_is_verifier(secret);
        /* [[users]] says what else holds for it */
        json_t *user = json_object_get(reader->users_by_name, name);
        if (!user)
            keep_user(reader, users, name, json_pack("{s:s, s:s}", "name", name, "secret", secret));
        else if (!json_object_get(user, "secret"))
            (void)json_object_set_new(user, "secret", json_string(secret));
    }
    if (has_passwords)
        warn_of_readers(reader, table, "users_file");
}

static void add_user(const struct reader *reader, const struct value *table, json_t *users)
{
    json_t *user = json_object();
    const char *name = value_text(value_get(table, "name"));
    config_check(table, &config_pool_user, NULL, reader->report);
    check_word(reader, table, "[[users]]", "pool_mode", modes);
    config_override(table, &config_pool_user, user);
    read_secret(reader, table, "[[users]]", "password", user, "secret");
    if (!name)
        config_error(reader->report, table->line, "name", "[[users]] needs name = \"…\"");
    else if (json_object_get(reader->users_by_name, name))
        config_error(reader->report, table->line, "name", "[[users]] \"%s\" is there twice", name);
    else {
        keep_user(reader, users, name, user);
        return;
    }
    json_decref(user);
}

/* ---- databases ---- */

/* key: name, or id; text: NULL is nobody's. */
static bool has_database(const json_t *databases, const char *key, const char *text)
{
    size_t index;
    json_t *one;
    json_array_foreach(databases, index, one)
    {
        const char *known = json_string_value(json_object_get(one, key)); /* or it has none */
        if (known && text && strcmp(known, text) == 0)
            return true;
    }
    return false;
}

/* Two places that say different things of TLS: neither may win in silence. */
static void check_modes(const struct reader *reader, const struct value *table,
                        const json_t *database)
{
    const struct value *tls = value_get(table, "tls");
    const char *own = value_text(value_get(tls, "mode"));
    const char *mode = json_string_value(json_object_get(json_object_get(database, "tls"), "mode"));
    if (own && mode && strcmp(own, mode) != 0)
        config_error(
            reader->report, line_of(tls, "mode"), "mode",
            "[databases.tls] mode = \"%s\", and the url comes to \"%s\"; leave one of them "
            "out",
            own, mode);
}

static void take_url(const struct reader *reader, const struct value *table, json_t *database)
{
    const char *url = value_text(value_get(table, "url"));
    int line = line_of(table, "url");
    json_t *notes = json_array(), *note;
    struct error err = {""};
    size_t index;
    if (url && database_url_apply(url, reader->dir, true, database, notes, &err) < 0)
        config_error(reader->report, line, "url", "[[databases]] url: %s", err.text);
    json_array_foreach(notes, index, note)
    {
        config_warn(reader->report, line, "url", "[[databases]] url: %s", json_string_value(note));
    }
    json_decref(notes);
    check_modes(reader, table, database);
    if (json_object_get(database, "password") && !reader->private_file)
        config_error(
            reader->report, line, "url",
            "[[databases]] url has a password, and others can read this file; make it private "
            "(chmod 600 %s), or leave it out and use password_file or password_env",
            reader->path);
}

static void take_host(const struct reader *reader, const struct value *table, json_t *database)
{
    const char *host = value_text(value_get(table, "host"));
    const struct value *port = value_get(table, "port");
    if (!host || json_object_get(database, "hosts"))
        return;
    json_t *hosts = json_array();
    AUTO_TEXT list = xstrdup(host);
    char *save = NULL;
    for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
        const char *wrong = check_socket_dir(one);
        if (wrong)
            config_error(reader->report, line_of(table, "host"), "host",
                         "[[databases]] host = \"%s\": %s", one, wrong);
        (void)json_array_append_new(
            hosts, json_pack("{s:s, s:i}", "host", one, "port",
                             port && port->type == VALUE_INTEGER ? (int)port->integer : 5432));
    }
    (void)json_object_set_new(database, "hosts", hosts);
}

static void read_cache(const struct reader *reader, const struct value *table, json_t *database)
{
    if (!table)
        return;
    json_t *cache = json_object();
    config_check(table, &config_pool_cache, NULL, reader->report);
    config_fill(table, &config_pool_cache, cache);
    (void)json_object_set_new(database, "cache", cache);
}

/* Parameters of Postgres are texts. */
static json_t *read_settings(const struct reader *reader, const struct value *table)
{
    json_t *settings = config_json(table), *value;
    const char *name;
    void *next;
    if (!json_is_object(settings))
        config_error(
            reader->report, table->line, "settings",
            "[[databases]] settings: expected a table, such as { statement_timeout = \"5s\" }");
    json_object_foreach_safe(settings, next, name, value)
    {
        if (json_is_string(value))
            continue;
        if (json_is_boolean(value)) {
            (void)json_object_set_new(settings, name,
                                      json_string(json_is_true(value) ? "on" : "off"));
        } else if (json_is_number(value)) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
            (void)json_object_set_new(settings, name, json_string(text));
            free(text);
        } else {
            config_error(reader->report, line_of(table, name), name,
                         "[databases.settings] %s: expected a text, a number or a boolean", name);
        }
    }
    return settings;
}

/* Workers and Prisma's keys have either: what is meant for one reaches no other. */
static void check_id(const struct reader *reader, const struct value *table,
                     const json_t *databases)
{
    const char *id = value_text(value_get(table, "id"));
    const char *name = value_text(value_get(table, "name"));
    bool is_id = has_database(databases, "id", id);
    if (is_id || has_database(databases, "name", id))
        config_error(reader->report, line_of(table, "id"), "id",
                     "[[databases]] id = \"%s\" is the %s of another one, too: give this one an id "
                     "of its own",
                     id, is_id ? "id" : "name");
    if (has_database(databases, "id", name))
        config_error(reader->report, line_of(table, "name"), "name",
                     "[[databases]] name = \"%s\" is the id of another one, too: give that one an "
                     "id of its own",
                     name);
}

static void add_database(const struct reader *reader, const struct value *table, json_t *databases)
{
    json_t *database = json_object();
    const char *name = value_text(value_get(table, "name"));
    const struct value *settings = value_get(table, "settings");
    config_check(table, &config_pool_database, NULL, reader->report);
    check_word(reader, table, "[[databases]]", "pool_mode", modes);
    check_word(reader, table, "[[databases]]", "session_state", policies);
    check_word(reader, table, "[[databases]]", "target_session_attrs", attrs);
    check_word(reader, table, "[[databases]]", "load_balance_hosts", balances);
    (void)json_object_set_new(
        database, "tls",
        read_tls(reader, value_get(table, "tls"), "[databases.tls]", &config_pool_server_tls));
    read_cache(reader, value_get(table, "cache"), database);
    take_url(reader, table, database);
    config_override(table, &config_pool_database, database);
    take_host(reader, table, database);
    read_secret(reader, table, "[[databases]]", "password", database, "password");
    if (settings)
        (void)json_object_set_new(database, "settings", read_settings(reader, settings));
    if (!name)
        config_error(reader->report, table->line, "name",
                     "[[databases]] needs name = \"…\", what clients ask for; \"*\" is any name");
    else if (!json_object_get(database, "hosts"))
        config_error(reader->report, table->line, "host",
                     "[[databases]] \"%s\" needs url = \"postgres://…\" or host = \"…\"", name);
    else if (has_database(databases, "name", name))
        config_error(reader->report, table->line, "name", "[[databases]] \"%s\" is there twice",
                     name);
    check_id(reader, table, databases);
    (void)json_array_append_new(databases, database);
}

/* ---- listeners ---- */

static void add_listener(const struct reader *reader, const struct value *item, json_t *listeners)
{
    const char *text = value_text(item), *colon = text ? strrchr(text, ':') : NULL;
    if (text && text[0] == '/') {
        if (strlen(text) > 100)
            config_error(reader->report, item->line, "listen",
                         "listen \"%s\": the path of a socket can have 100 bytes", text);
        json_t *socket = json_pack("{s:s}", "path", text);
        (void)json_object_update(socket, reader->socket_rights);
        (void)json_array_append_new(listeners, socket);
        return;
    }
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || *end || port < 0 || port > 65535 || end == colon + 1) {
        config_error(reader->report, item->line, "listen",
                     "listen \"%s\": expected \"address:port\" or the path of a socket",
                     text ? text : "");
        return;
    }
    bool brackets = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    AUTO_TEXT address = xstrndup(text + brackets, (size_t)(colon - text) - 2 * (size_t)brackets);
    const char *wrong = check_address(address);
    if (wrong)
        config_error(reader->report, item->line, "listen", "listen \"%s\": %s", text, wrong);
    (void)json_array_append_new(listeners,
                                json_pack("{s:s, s:i}", "address", address, "port", (int)port));
}

static void read_socket_rights(const struct reader *reader, const struct value *table)
{
    const char *mode = value_text(value_get(table, "unix_socket_mode"));
    const char *group = value_text(value_get(table, "unix_socket_group"));
    const char *wrong = mode ? check_file_mode(mode) : NULL;
    unsigned id = 0;
    if (wrong)
        config_error(reader->report, line_of(table, "unix_socket_mode"), "unix_socket_mode",
                     "unix_socket_mode = \"%s\": %s", mode, wrong);
    wrong = group ? check_group(group, &id) : NULL;
    if (wrong)
        config_error(reader->report, line_of(table, "unix_socket_group"), "unix_socket_group",
                     "unix_socket_group = \"%s\": %s", group, wrong);
    set_text(reader->socket_rights, "mode", mode);
    if (group)
        (void)json_object_set_new(reader->socket_rights, "gid", json_integer(id));
}

static void read_listeners(const struct reader *reader, const struct value *table, json_t *plan)
{
    const struct value *list = value_get(table, "listen");
    json_t *listeners = json_array();
    (void)json_object_set_new(plan, "listeners", listeners);
    if (!list) {
        (void)json_array_append_new(listeners,
                                    json_pack("{s:s, s:i}", "address", "127.0.0.1", "port", 6432));
        return;
    }
    for (size_t i = 0; list->type == VALUE_ARRAY && i < list->count; i++)
        add_listener(reader, &list->entries[i].value, listeners);
}

static void read_metrics_listener(const struct reader *reader, const struct value *table,
                                  json_t *plan)
{
    const struct value *item = value_get(table, "metrics_listen");
    json_t *listeners = json_object_get(plan, "listeners");
    size_t before = json_array_size(listeners);
    if (!item)
        return;
    if (value_text(item) && value_text(item)[0] == '/')
        config_error(reader->report, item->line, "metrics_listen",
                     "metrics_listen = \"%s\": expected \"address:port\"", value_text(item));
    else
        add_listener(reader, item, listeners);
    if (json_array_size(listeners) > before)
        (void)json_object_set_new(json_array_get(listeners, before), "metrics", json_true());
}

/* ---- all of it ---- */

static void each(const struct reader *reader, const struct value *table, const char *key,
                 void add(const struct reader *reader, const struct value *table, json_t *list),
                 json_t *list)
{
    const struct value *array = value_get(table, key);
    if (array && array->type != VALUE_ARRAY)
        config_error(reader->report, array->line, key, "write [[%s]], with two brackets", key);
    for (size_t i = 0; array && array->type == VALUE_ARRAY && i < array->count; i++)
        if (array->entries[i].value.type == VALUE_TABLE)
            add(reader, &array->entries[i].value, list);
}

static void check_sense(const struct reader *reader, const struct value *table, const json_t *plan)
{
    json_int_t size = json_integer_value(json_object_get(plan, "pool_size")),
               least = json_integer_value(json_object_get(plan, "pool_size_min"));
    const char *auth = json_string_value(json_object_get(plan, "auth"));
    if (least > size)
        config_error(reader->report, line_of(table, "pool_size_min"), "pool_size_min",
                     "pool_size_min = %lld is more than pool_size = %lld", (long long)least,
                     (long long)size);
    if (json_array_size(json_object_get(plan, "databases")) == 0)
        config_error(reader->report, table->line, "databases",
                     "there is no [[databases]]; add one with name and url");
    /* Workers do not log in: they are known by their channels. */
    const char *query = json_string_value(json_object_get(plan, "auth_query"));
    bool looks_up = json_string_value(json_object_get(plan, "auth_user"));
    size_t index;
    json_t *database;
    json_array_foreach(json_object_get(plan, "databases"), index, database)
    {
        looks_up = looks_up || json_object_get(database, "auth_user");
    }
    if (query && (!looks_up || !strstr(query, "$1")))
        config_error(reader->report, line_of(table, "auth_query"), "auth_query",
                     !looks_up ? "auth_query needs auth_user = \"…\", who asks it"
                               : "auth_query has no $1, which stands for the user's name");
    if (auth && strcmp(auth, "any") != 0 && strcmp(auth, "hba") != 0 &&
        json_array_size(json_object_get(plan, "users")) == 0 && !looks_up &&
        json_array_size(json_object_get(plan, "listeners")) > 0)
        config_error(reader->report, line_of(table, "auth"), "users",
                     "nobody can log in: add [[users]] or users_file, or set auth = \"any\" where "
                     "everybody who can connect is trusted, or listen = [] where only workers use "
                     "it");
}

static void read_hba(const struct reader *reader, const struct value *table, json_t *plan)
{
    const char *auth = json_string_value(json_object_get(plan, "auth"));
    const char *file = value_text(value_get(table, "hba_file"));
    const char *ident = value_text(value_get(table, "ident_file"));
    bool is_hba = auth && strcmp(auth, "hba") == 0;
    if (is_hba != (file != NULL) || (ident && !file))
        config_error(reader->report, line_of(table, file ? "hba_file" : "auth"),
                     file ? "hba_file" : "auth",
                     is_hba ? "auth = \"hba\" needs hba_file = \"…\""
                            : "hba_file and ident_file count with auth = \"hba\" alone");
    if (!file || !is_hba)
        return;
    AUTO_TEXT path = path_of(reader, file);
    AUTO_TEXT ident_path = ident ? path_of(reader, ident) : NULL;
    (void)json_object_set_new(plan, "hba", hba_file_read(path, ident_path, reader->report));
}

static bool is_private(const char *path)
{
    struct stat stat_;
    return stat(path, &stat_) == 0 && (stat_.st_mode & 077) == 0;
}

bool pool_config_is_own(const struct value *root)
{
    static const char *const served[] = {"pool", "worker", "listener", "prisma"};
    bool own = value_get(root, "databases") != NULL || value_get(root, "users") != NULL;
    for (size_t i = 0; i < config_pool.keys_count; i++)
        own = own || value_get(root, config_pool.keys[i].name);
    for (size_t i = 0; i < ARRAY_LEN(served); i++)
        own = own && !value_get(root, served[i]);
    return own;
}

json_t *pool_config_plan(const struct value *table, const char *name, const char *path,
                         struct config_report *report)
{
    static const char *const tables[] = {"listen", "users", "databases", "tls", NULL};
    struct config_table keys = config_pool;
    char *real = realpath(path, NULL);
    struct reader reader = {.path = path,
                            .private_file = is_private(path),
                            .socket_rights = json_object(),
                            .users_by_name = json_object(),
                            .variables = json_array(),
                            .report = report};
    json_t *plan = json_object(), *users = json_array(), *databases = json_array();
    keys.name = name;
    reader.dir = xstrdup(real ? real : ".");
    if (strrchr(reader.dir, '/'))
        *strrchr(reader.dir, '/') = 0;
    free(real);
    config_check(table, &keys, tables, report);
    check_word(&reader, table, name, "pool_mode", modes);
    check_word(&reader, table, name, "auth", methods);
    check_word(&reader, table, name, "session_state", policies);
    config_fill(table, &keys, plan);
    (void)json_object_set_new(plan, "users", users);
    (void)json_object_set_new(plan, "databases", databases);
    (void)json_object_set_new(plan, "secret_variables", reader.variables);
    (void)json_object_set_new(plan, "tls", read_client_tls(&reader, value_get(table, "tls")));
    read_socket_rights(&reader, table);
    read_listeners(&reader, table, plan);
    each(&reader, table, "users", add_user, users);
    read_users_file(&reader, table, users);
    each(&reader, table, "databases", add_database, databases);
    read_hba(&reader, table, plan);
    check_sense(&reader, table, plan);
    read_metrics_listener(&reader, table, plan);
    free(reader.dir);
    json_decref(reader.socket_rights);
    json_decref(reader.users_by_name);
    return plan;
}

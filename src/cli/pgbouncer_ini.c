/* SPDX-License-Identifier: Apache-2.0 */
#include "pgbouncer_ini.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checks.h"
#include "common.h"
#include "config.h"
#include "hba_file.h"
#include "pgbouncer_notes.h"
#include "text_file.h"
#include "tls_files.h"
#include "tls_words.h"
#include "users_file.h"

enum { INCLUDES_MAX = 10, LINE_BYTES_MAX = 16 * 1024, FILE_BYTES_MAX = 64 * 1024 * 1024 };

enum ini_type {
    INI_TEXT,
    INI_COUNT,
    INI_SECONDS,
    INI_MILLISECONDS,
    INI_BOOL,
    INI_LIST,
    INI_FILE,
    INI_WORD,
    INI_PROTOCOLS,
    INI_CIPHERS,
};

/* A key of theirs and ours. */
struct ini_key {
    const char *name;
    enum ini_type type;
    const char *plan_name;
    const char *words; /* of INI_WORD, with blanks between */
};

struct ini {
    json_t *plan, *server_tls, *listen; /* listen: what listeners are made of, in the end */
    json_t *listed;                     /* auth_file: name => secret */
    json_t *users_by_name;              /* those of the plan */
    bool unread;                        /* it can not be read */
    struct config_report *report;
    const char *section_kind;
    char *hba_file, *ident_file; /* NULL: none is named */
    int includes;
    bool files_stay; /* their names are wanted, not what is in them */
};

#define POOL_MODES "session transaction statement"

static const struct ini_key general_keys[] = {
    {"auth_type", INI_TEXT, "auth"},
    {"pool_mode", INI_WORD, "pool_mode", POOL_MODES},
    {"auth_user", INI_TEXT, "auth_user"},
    {"auth_query", INI_TEXT, "auth_query"},
    {"auth_dbname", INI_TEXT, "auth_database"},
    {"admin_users", INI_LIST, "admin_users"},
    {"stats_users", INI_LIST, "stats_users"},
    {"default_pool_size", INI_COUNT, "pool_size"},
    {"min_pool_size", INI_COUNT, "pool_size_min"},
    {"reserve_pool_size", INI_COUNT, "pool_size_reserve"},
    {"reserve_pool_timeout", INI_SECONDS, "reserve_after"},
    {"max_client_conn", INI_COUNT, "clients_max"},
    {"max_db_connections", INI_COUNT, "connections_max"},
    {"max_db_client_connections", INI_COUNT, "database_clients_max"},
    {"max_user_connections", INI_COUNT, "user_connections_max"},
    {"max_user_client_connections", INI_COUNT, "user_clients_max"},
    {"query_wait_timeout", INI_SECONDS, "query_wait_timeout"},
    {"query_wait_notify", INI_SECONDS, "query_wait_notify"},
    {"login_notify_message", INI_TEXT, "login_notify_message"},
    {"query_timeout", INI_SECONDS, "query_timeout"},
    {"transaction_timeout", INI_SECONDS, "transaction_timeout"},
    {"idle_transaction_timeout", INI_SECONDS, "idle_transaction_timeout"},
    {"client_idle_timeout", INI_SECONDS, "client_idle_timeout"},
    {"client_login_timeout", INI_SECONDS, "client_login_timeout"},
    {"server_lifetime", INI_SECONDS, "server_lifetime"},
    {"server_idle_timeout", INI_SECONDS, "server_idle_timeout"},
    {"server_connect_timeout", INI_SECONDS, "server_connect_timeout"},
    {"pool_idle_timeout", INI_SECONDS, "pool_idle_timeout"},
    {"cancel_wait_timeout", INI_SECONDS, "cancel_wait_timeout"},
    {"tcp_user_timeout", INI_MILLISECONDS, "tcp_user_timeout"},
    {"server_reset_query", INI_TEXT, "server_reset_query"},
    {"server_reset_query_always", INI_BOOL, "server_reset_query_always"},
    {"server_round_robin", INI_BOOL, "server_round_robin"},
    {"server_check_query", INI_TEXT, "server_check_query"},
    {"server_check_delay", INI_SECONDS, "server_check_delay"},
    {"dns_max_ttl", INI_SECONDS, "dns_max_ttl"},
    {"max_prepared_statements", INI_COUNT, "prepared_statements_max"},
    {"ignore_startup_parameters", INI_LIST, "ignore_startup_parameters"},
    {"log_connections", INI_BOOL, "log_connections"},
    {"log_pooler_errors", INI_BOOL, "log_errors"},
    {"log_disconnections", INI_BOOL, "log_disconnections"},
};

static const struct ini_key tls_keys[] = {
    {"sslmode", INI_WORD, "mode", "disable allow prefer require verify-ca verify-full"},
    {"key_file", INI_FILE, "key"},
    {"cert_file", INI_FILE, "certificate"},
    {"ca_file", INI_FILE, "ca"},
    {"protocols", INI_PROTOCOLS, "protocols"},
    {"ciphers", INI_CIPHERS, "ciphers"},
};

static const struct ini_key database_keys[] = {
    {"dbname", INI_TEXT, "database"},
    {"user", INI_TEXT, "user"},
    {"password", INI_TEXT, "password"},
    {"auth_user", INI_TEXT, "auth_user"},
    {"auth_query", INI_TEXT, "auth_query"},
    {"auth_dbname", INI_TEXT, "auth_database"},
    {"pool_mode", INI_WORD, "pool_mode", POOL_MODES},
    {"pool_size", INI_COUNT, "pool_size"},
    {"min_pool_size", INI_COUNT, "pool_size_min"},
    {"reserve_pool", INI_COUNT, "pool_size_reserve"},
    {"reserve_pool_size", INI_COUNT, "pool_size_reserve"},
    {"max_db_connections", INI_COUNT, "connections_max"},
    {"max_db_client_connections", INI_COUNT, "clients_max"},
    {"server_lifetime", INI_SECONDS, "server_lifetime"},
    {"query_wait_timeout", INI_SECONDS, "query_wait_timeout"},
    {"connect_query", INI_TEXT, "connect_query"},
    {"load_balance_hosts", INI_WORD, "load_balance_hosts", "disable round-robin"},
};

static const struct ini_key user_keys[] = {
    {"pool_mode", INI_WORD, "pool_mode", POOL_MODES},
    {"pool_size", INI_COUNT, "pool_size"},
    {"reserve_pool_size", INI_COUNT, "pool_size_reserve"},
    {"max_user_connections", INI_COUNT, "connections_max"},
    {"max_user_client_connections", INI_COUNT, "clients_max"},
    {"query_wait_timeout", INI_SECONDS, "query_wait_timeout"},
    {"query_timeout", INI_SECONDS, "query_timeout"},
    {"idle_transaction_timeout", INI_SECONDS, "idle_transaction_timeout"},
    {"transaction_timeout", INI_SECONDS, "transaction_timeout"},
    {"client_idle_timeout", INI_SECONDS, "client_idle_timeout"},
};

static void note(struct ini *ini, int line, const char *key)
{
    config_note(ini->report, line, key, "%s is not carried over: the pool has nothing like it yet",
                key);
}

/* What the pool does instead of following a setting of [pgbouncer]. */
static void note_setting(struct ini *ini, int line, const char *name, const char *value)
{
    const char *instead = pgbouncer_notes_text(name, value);
    if (instead)
        config_note(ini->report, line, name, "%s is not carried over: %s", name, instead);
}

static void offer_keys(struct config_nearest *nearest, const struct ini_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        config_nearest_offer(nearest, keys[i].name);
}

/* PgBouncer does not start with it, either. */
static void refuse_unknown(struct ini *ini, int line, const char *what,
                           const struct config_nearest *nearest)
{
    AUTO_TEXT meant = config_nearest_text(nearest);
    config_error(ini->report, line, nearest->word, "%s: %s%s", nearest->word, what, meant);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    for (size_t len = strlen(text); len > 0 && strchr(" \t\r\n", text[len - 1]); len--)
        text[len - 1] = 0;
    return text;
}

static char *read_file(struct ini *ini, int line, const char *key, const char *path)
{
    AUTO_BUFFER text = {0};
    int r = text_file_read(path, FILE_BYTES_MAX, &text);
    if (r < 0)
        config_error(ini->report, line, key, "%s = \"%s\": cannot read it: %s", key, path,
                     text_file_problem(r));
    buffer_append(&text, "", 1);
    return xstrdup(text.data + text.start);
}

static json_t *list_of(const char *value)
{
    json_t *list = json_array();
    AUTO_TEXT copy = xstrdup(value);
    char *save = NULL;
    for (char *word = strtok_r(copy, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save))
        (void)json_array_append_new(list, json_string(word));
    return list;
}

static json_t *number_of(struct ini *ini, int line, const struct ini_key *key, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || number < 0 || number >= 1e9) {
        config_error(ini->report, line, key->name, "%s = \"%s\": expected a number", key->name,
                     value);
        return NULL;
    }
    return json_integer((json_int_t)(key->type == INI_SECONDS ? number * 1000 : number));
}

/* They are numbers there, and nothing but numbers. */
static json_t *flag_of(struct ini *ini, int line, const struct ini_key *key, const char *value)
{
    char *end;
    long number = strtol(value, &end, 0);
    if (end != value && !*end)
        return json_boolean(number != 0);
    config_error(ini->report, line, key->name, "%s = \"%s\": expected 0 or 1", key->name, value);
    return NULL;
}

/* In any case, as PgBouncer has it. */
static json_t *word_of(struct ini *ini, int line, const struct ini_key *key, const char *value)
{
    AUTO_TEXT copy = xstrdup(key->words);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (strcasecmp(word, value) == 0)
            return json_string(word);
    config_error(ini->report, line, key->name, "%s = \"%s\": expected one of %s", key->name, value,
                 key->words);
    return NULL;
}

static json_t *protocols_of(struct ini *ini, int line, const char *value)
{
    AUTO_TEXT list = tls_words_protocols(value);
    if (!list)
        config_error(ini->report, line, "protocols",
                     "tls_protocols = \"%s\": expected secure, all, or a list of tlsv1.0, tlsv1.1, "
                     "tlsv1.2 and tlsv1.3",
                     value);
    return list ? json_string(list) : NULL;
}

static json_t *ciphers_of(struct ini *ini, int line, const char *value)
{
    const char *list = tls_words_ciphers(value);
    struct error why = {""};
    json_t *tls = json_pack("{s:s}", "ciphers", list);
    if (*list && tls_files_problem(tls, false, &why))
        config_error(ini->report, line, "ciphers",
                     "tls_ciphers = \"%s\": OpenSSL knows no such cipher; expected default, all, "
                     "legacy, or a list of OpenSSL's",
                     value);
    json_decref(tls);
    return *list && !*why.text ? json_string(list) : NULL;
}

static json_t *file_of(struct ini *ini, int line, const struct ini_key *key, const char *value)
{
    if (ini->files_stay)
        return json_string(value);
    AUTO_TEXT text = read_file(ini, line, key->name, value);
    return json_string(text);
}

/* The value in the plan's form; NULL, with a message, when it is none. */
static json_t *value_of(struct ini *ini, int line, const struct ini_key *key, const char *value)
{
    switch (key->type) {
    case INI_COUNT:
    case INI_SECONDS:
    case INI_MILLISECONDS:
        return number_of(ini, line, key, value);
    case INI_BOOL:
        return flag_of(ini, line, key, value);
    case INI_LIST:
        return list_of(value);
    case INI_FILE:
        return file_of(ini, line, key, value);
    case INI_WORD:
        return word_of(ini, line, key, value);
    case INI_PROTOCOLS:
        return protocols_of(ini, line, value);
    case INI_CIPHERS:
        return ciphers_of(ini, line, value);
    case INI_TEXT:
        break;
    }
    return json_string(value);
}

static const struct ini_key *find(const struct ini_key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* Is the key unset by an empty value? An empty reset query is one that does nothing. */
static bool is_unset(const struct ini_key *key, const char *value)
{
    bool may_be = key->type == INI_FILE || key->type == INI_PROTOCOLS || key->type == INI_CIPHERS;
    return may_be && !*value;
}

static bool set(struct ini *ini, int line, const struct ini_key *keys, size_t count,
                const char *name, const char *value, json_t *into)
{
    const struct ini_key *key = find(keys, count, name);
    if (!key)
        return false;
    bool is_name = ini->files_stay && key->type == INI_FILE;
    AUTO_TEXT plan_name = xasprintf("%s%s", key->plan_name, is_name ? "_file" : "");
    json_t *json = is_unset(key, value) ? NULL : value_of(ini, line, key, value);
    if (json)
        (void)json_object_set_new(into, plan_name, json);
    else
        (void)json_object_del(into, plan_name);
    return true;
}

/* ---- [pgbouncer] ---- */

static void set_auth(struct ini *ini, int line)
{
    const char *type = json_string_value(json_object_get(ini->plan, "auth"));
    static const char *const known[] = {"scram-sha-256", "md5", "cert", "trust", "any", "hba"};
    if (strcmp(type, "plain") == 0) {
        (void)json_object_set_new(ini->plan, "auth", json_string("password")); /* frees type */
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i], type) == 0)
            return;
    config_error(ini->report, line, "auth_type",
                 "auth_type = \"%s\" is not carried over; use scram-sha-256, md5, plain, cert, "
                 "trust, any or hba",
                 type);
}

static json_t *user_named(struct ini *ini, const char *name)
{
    json_t *user = json_object_get(ini->users_by_name, name);
    if (user)
        return user;
    user = json_pack("{s:s}", "name", name);
    (void)json_object_set(ini->users_by_name, name, user);
    (void)json_array_append_new(json_object_get(ini->plan, "users"), user);
    return user;
}

static void read_users(struct ini *ini, int line, const char *path)
{
    if (!*path)
        return;
    if (access(path, R_OK) < 0) { /* PgBouncer goes on without it, too */
        config_note(ini->report, line, "auth_file",
                    "auth_file = \"%s\" can not be read: none of its users is known", path);
        ini->unread = true;
        return;
    }
    AUTO_TEXT text = read_file(ini, line, "auth_file", path);
    bool has_passwords = false;
    struct users_file lines = {.left = text};
    for (int r = 1; r != 0;) {
        AUTO_TEXT name = NULL;
        AUTO_TEXT secret = NULL;
        r = users_file_next(&lines, &name, &secret);
        if (r < 0)
            config_warn(ini->report, line, "auth_file",
                        "auth_file = \"%s\": line %d is not of the form \"name\" \"secret\"; it "
                        "is passed over",
                        path, lines.line);
        if (r <= 0)
            continue;
        (void)json_object_set_new(ini->listed, name, json_string(secret));
        has_passwords = has_passwords || (*secret && !check_is_verifier(secret));
    }
    if (ini->files_stay)
        return;
    const char *name;
    json_t *listed;
    json_object_foreach(ini->listed, name, listed)
    {
        (void)json_object_set(user_named(ini, name), "secret", listed);
    }
    if (has_passwords && check_others_read(path))
        config_warn(
            ini->report, line, "auth_file",
            "auth_file = \"%s\": it has passwords, and everybody on this machine can read it; "
            "make it private (chmod 600 %s)",
            path, path);
}

static void set_path(char **path, const char *value)
{
    text_free(path);
    *path = *value ? xstrdup(value) : NULL;
}

/* Read when it is known whether it counts. */
static void read_hba(struct ini *ini)
{
    const char *auth = json_string_value(json_object_get(ini->plan, "auth"));
    if (ini->files_stay) {
        if (ini->hba_file)
            (void)json_object_set_new(ini->plan, "hba_file", json_string(ini->hba_file));
        if (ini->ident_file)
            (void)json_object_set_new(ini->plan, "ident_file", json_string(ini->ident_file));
    } else if (auth && strcmp(auth, "hba") == 0 && !ini->hba_file) {
        config_error(ini->report, 0, "auth_type", "auth_type = \"hba\" needs auth_hba_file");
    } else if (auth && strcmp(auth, "hba") == 0) {
        (void)json_object_set_new(ini->plan, "hba",
                                  hba_file_read(ini->hba_file, ini->ident_file, ini->report));
    }
    free(ini->hba_file);
    free(ini->ident_file);
}

static int port_of(struct ini *ini, int line, const char *key, const char *value)
{
    char *end;
    long port = strtol(value, &end, 10);
    if (end != value && !*end && port >= 1 && port <= 65535)
        return (int)port;
    config_error(ini->report, line, key, "%s = \"%s\": expected a number from 1 to 65535", key,
                 value);
    return 0;
}

/* Of a port, unix_socket_dir, unix_socket_mode and unix_socket_group, of which an empty one is
 * none. */
static void check_listen(struct ini *ini, int line, const char *name, const char *value)
{
    unsigned id;
    if (strcmp(name, "listen_port") == 0)
        (void)port_of(ini, line, name, value);
    const char *wrong = strcmp(name, "unix_socket_mode") == 0              ? check_file_mode(value)
                        : strcmp(name, "unix_socket_group") == 0 && *value ? check_group(value, &id)
                        : strcmp(name, "unix_socket_dir") == 0             ? check_socket_dir(value)
                                                                           : NULL;
    if (wrong)
        config_error(ini->report, line, name, "%s = \"%s\": %s", name, value, wrong);
}

static const char *const listen_keys[] = {"listen_addr", "listen_port", "unix_socket_dir",
                                          "unix_socket_mode", "unix_socket_group"};
static const char *const other_keys[] = {"auth_file",
                                         "auth_hba_file",
                                         "auth_ident_file",
                                         "client_tls_sslmode",
                                         "client_tls_key_file",
                                         "client_tls_ca_file",
                                         "client_tls_protocols",
                                         "client_tls_cert_file",
                                         "client_tls_ciphers",
                                         "server_tls_sslmode",
                                         "server_tls_key_file",
                                         "server_tls_ca_file",
                                         "server_tls_protocols",
                                         "server_tls_cert_file",
                                         "server_tls_ciphers"};

/* One that general_keys does not have. */
static void on_other(struct ini *ini, int line, const char *name, const char *value)
{
    struct config_nearest nearest = {.word = name};
    const char *noted;
    for (size_t i = 0; (noted = pgbouncer_notes_name(i)); i++) {
        if (strcmp(noted, name) == 0) {
            note_setting(ini, line, name, value);
            return;
        }
        config_nearest_offer(&nearest, noted);
    }
    offer_keys(&nearest, general_keys, ARRAY_LEN(general_keys));
    for (size_t i = 0; i < ARRAY_LEN(listen_keys); i++)
        config_nearest_offer(&nearest, listen_keys[i]);
    for (size_t i = 0; i < ARRAY_LEN(other_keys); i++)
        config_nearest_offer(&nearest, other_keys[i]);
    refuse_unknown(ini, line, "PgBouncer has no such setting", &nearest);
}

static void on_general(struct ini *ini, int line, const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(listen_keys); i++)
        if (strcmp(name, listen_keys[i]) == 0) {
            (void)json_object_set_new(ini->listen, name, json_string(value));
            check_listen(ini, line, name, value);
            return;
        }
    if (strcmp(name, "auth_hba_file") == 0)
        set_path(&ini->hba_file, value);
    else if (strcmp(name, "auth_ident_file") == 0)
        set_path(&ini->ident_file, value);
    else if (strcmp(name, "auth_file") == 0) {
        if (ini->files_stay)
            (void)json_object_set_new(ini->plan, "users_file", json_string(value));
        read_users(ini, line, value);
    } else if (strncmp(name, "client_tls_", 11) == 0 &&
               set(ini, line, tls_keys, ARRAY_LEN(tls_keys), name + 11, value,
                   json_object_get(ini->plan, "tls")))
        return;
    else if (strncmp(name, "server_tls_", 11) == 0 &&
             set(ini, line, tls_keys, ARRAY_LEN(tls_keys), name + 11, value, ini->server_tls))
        return;
    else if (!set(ini, line, general_keys, ARRAY_LEN(general_keys), name, value, ini->plan))
        on_other(ini, line, name, value);
    if (strcmp(name, "auth_type") == 0)
        set_auth(ini, line);
}

/* PgBouncer's name for what the plan calls so. */
static const char *name_of_tls(const char *plan_name)
{
    for (size_t i = 0; i < ARRAY_LEN(tls_keys); i++)
        if (strcmp(tls_keys[i].plan_name, plan_name) == 0)
            return tls_keys[i].name;
    return plan_name;
}

/* What OpenSSL will say of the files, before anybody connects. */
static void check_tls(struct ini *ini, const char *side, const json_t *tls)
{
    bool for_clients = strcmp(side, "client") == 0;
    const char *mode = json_string_value(json_object_get(tls, "mode"));
    bool on = mode && strcmp(mode, "disable") != 0 && for_clients;
    struct error why = {""};
    if (ini->files_stay)
        return;
    const char *wrong = tls_files_problem(tls, for_clients, &why);
    if (wrong)
        config_error(ini->report, 0, NULL, "%s_tls_%s: %s", side, name_of_tls(wrong), why.text);
    else if (on && !(json_object_get(tls, "certificate") && json_object_get(tls, "key")))
        config_error(ini->report, 0, NULL,
                     "client_tls_sslmode = \"%s\" needs client_tls_key_file and "
                     "client_tls_cert_file",
                     mode);
    else if (on && !json_object_get(tls, "ca") && strncmp(mode, "verify", 6) == 0)
        config_error(ini->report, 0, NULL, "client_tls_sslmode = \"%s\" needs client_tls_ca_file",
                     mode);
}

/* ---- [databases], [users] ---- */

/* The next "key=value" of a connection string; 'quoted values' double their quotes. What is left
 * when there is none: "", or what can not be read. */
static bool take_pair(char **text, char **ret_key, char **ret_value)
{
    char *p = *text + strspn(*text, " \t"), *out;
    size_t key_len = strcspn(p, " \t=");
    char *equals = p + key_len + strspn(p + key_len, " \t");
    *text = p;
    if (key_len == 0 || *equals != '=')
        return false;
    *equals = 0;
    *ret_key = trim(p);
    p = equals + 1 + strspn(equals + 1, " \t");
    bool quoted = *p == '\'';
    *ret_value = out = p += quoted;
    for (; *p && (quoted ? *p != '\'' || p[1] == '\'' : !isspace((unsigned char)*p)); p++) {
        p += quoted && *p == '\'';
        *out++ = *p;
    }
    *text = *p ? p + 1 : p;
    *out = 0;
    return true;
}

static void refuse_rest(struct ini *ini, int line, const char *rest)
{
    if (*rest)
        config_error(ini->report, line, NULL, "\"%s\": expected key=value", rest);
}

/* host "": by a unix socket, wherever that is (place_hosts). */
static void add_hosts(struct ini *ini, int line, json_t *database, const char *host, int port)
{
    json_t *hosts = json_array();
    AUTO_TEXT copy = xstrdup(host);
    char *rest = copy;
    for (char *one; (one = strsep(&rest, ","));) {
        const char *wrong = check_socket_dir(one);
        if (wrong)
            config_error(ini->report, line, "host", "host = \"%s\": %s", one, wrong);
        (void)json_array_append_new(hosts, json_pack("{s:s, s:i}", "host", one, "port", port));
    }
    (void)json_object_set_new(database, "hosts", hosts);
}

static void on_database_key(struct ini *ini, int line, const char *key, const char *text,
                            json_t *database)
{
    static const char *const settings[] = {"client_encoding", "datestyle", "timezone"};
    struct config_nearest nearest = {.word = key};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        config_nearest_offer(&nearest, settings[i]);
        if (strcmp(key, settings[i]) != 0)
            continue;
        (void)json_object_set_new(json_object_get(database, "settings"), key, json_string(text));
        return;
    }
    if (strcmp(key, "connect_query") == 0)
        config_note(ini->report, line, key,
                    "%s ends the login when it fails: PgBouncer logs that, and goes on", key);
    if (set(ini, line, database_keys, ARRAY_LEN(database_keys), key, text, database))
        return;
    if (strcmp(key, "application_name") == 0) {
        note(ini, line, key);
        return;
    }
    offer_keys(&nearest, database_keys, ARRAY_LEN(database_keys));
    config_nearest_offer(&nearest, "host");
    config_nearest_offer(&nearest, "port");
    refuse_unknown(ini, line, "PgBouncer has no such parameter of a database", &nearest);
}

/* The name may be anybody's: there it can not be used, and the last of two of a name holds. */
static void check_name(struct ini *ini, int line, const char *name)
{
    json_t *databases = json_object_get(ini->plan, "databases"), *before;
    size_t index;
    if (strcmp(name, "pgbouncer") == 0)
        config_error(ini->report, line, name, "the name pgbouncer is the console's");
    json_array_foreach(databases, index, before)
    {
        if (strcmp(json_string_value(json_object_get(before, "name")), name) != 0)
            continue;
        config_warn(ini->report, line, name,
                    "the database \"%s\" is there twice; the last one holds", name);
        (void)json_array_remove(databases, index);
        return;
    }
}

static void on_database(struct ini *ini, int line, const char *name, const char *value)
{
    AUTO_TEXT copy = xstrdup(value);
    char *rest = copy, *key, *text;
    const char *host = "";
    int port = 5432;
    json_t *database = json_pack("{s:s, s:s, s:{}}", "name", name, "load_balance_hosts",
                                 "round-robin", "settings");
    while (take_pair(&rest, &key, &text)) {
        if (strcmp(key, "host") == 0)
            host = text;
        else if (strcmp(key, "port") == 0)
            port = port_of(ini, line, key, text);
        else
            on_database_key(ini, line, key, text, database);
    }
    refuse_rest(ini, line, rest);
    check_name(ini, line, name);
    add_hosts(ini, line, database, host, port);
    (void)json_array_append_new(json_object_get(ini->plan, "databases"), database);
}

static void on_user(struct ini *ini, int line, const char *name, const char *value)
{
    AUTO_TEXT copy = xstrdup(value);
    char *rest = copy, *key, *text;
    json_t *user = user_named(ini, name);
    while (take_pair(&rest, &key, &text)) {
        struct config_nearest nearest = {.word = key};
        if (set(ini, line, user_keys, ARRAY_LEN(user_keys), key, text, user))
            continue;
        offer_keys(&nearest, user_keys, ARRAY_LEN(user_keys));
        refuse_unknown(ini, line, "PgBouncer has no such setting of a user", &nearest);
    }
    refuse_rest(ini, line, rest);
}

/* A database without a host is reached where PgBouncer's own socket is. */
static void place_hosts(struct ini *ini)
{
    const char *dir = json_string_value(json_object_get(ini->listen, "unix_socket_dir"));
    json_t *database, *host;
    size_t index, at;
    json_array_foreach(json_object_get(ini->plan, "databases"), index, database)
    {
        json_array_foreach(json_object_get(database, "hosts"), at, host)
        {
            if (*json_string_value(json_object_get(host, "host")))
                continue;
            (void)json_object_set_new(host, "host",
                                      json_string(!dir   ? "/tmp"
                                                  : *dir ? dir
                                                         : "/var/run/postgresql"));
            if (dir && !*dir)
                config_note(ini->report, 0, NULL,
                            "%s has no host, and unix_socket_dir is empty: it is looked for in "
                            "/var/run/postgresql",
                            json_string_value(json_object_get(database, "name")));
        }
    }
}

/* A time of 0 is "after none" to the pool, and "never" to PgBouncer. */
static void drop_reserve(struct ini *ini)
{
    static const char *const lists[] = {"databases", "users"};
    const json_t *after = json_object_get(ini->plan, "reserve_after");
    if (!after || json_integer_value(after) > 0)
        return;
    (void)json_object_del(ini->plan, "reserve_after");
    (void)json_object_del(ini->plan, "pool_size_reserve");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        size_t index;
        json_t *one;
        json_array_foreach(json_object_get(ini->plan, lists[i]), index, one)
        {
            (void)json_object_del(one, "pool_size_reserve");
        }
    }
}

/* ---- the file ---- */

static void read_ini(struct ini *ini, const char *path);

/* A name in quotes, which are doubled within, has them taken away. *text: what comes behind it. */
static char *take_name(char **text)
{
    char quote = **text, *name = *text + 1, *from = name, *to = name;
    if (quote != '"' && quote != '\'')
        return NULL;
    for (; *from && (*from != quote || from[1] == quote); from++) {
        from += *from == quote;
        *to++ = *from;
    }
    if (!*from)
        return NULL;
    *to = 0;
    *text = from + 1;
    return name;
}

static void on_line(struct ini *ini, int line, char *text)
{
    char *quoted = take_name(&text), *equals = strchr(text, '=');
    if (strncmp(text, "%include", 8) == 0) {
        read_ini(ini, trim(text + 8));
    } else if (text[0] == '[') {
        static const char *const sections[] = {"databases", "users", "pgbouncer", "peers"};
        ini->section_kind = NULL;
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
            if (strncmp(text + 1, sections[i], strlen(sections[i])) == 0)
                ini->section_kind = sections[i];
        if (!ini->section_kind)
            config_error(ini->report, line, NULL, "%s: there is no such section", text);
    } else if (!equals || !ini->section_kind) {
        config_error(ini->report, line, NULL, "\"%s\": expected key = value in a section", text);
    } else {
        *equals = 0;
        const char *name = quoted ? quoted : trim(text), *value = trim(equals + 1);
        if (strcmp(ini->section_kind, "pgbouncer") == 0)
            on_general(ini, line, name, value);
        else if (strcmp(ini->section_kind, "databases") == 0)
            on_database(ini, line, name, value);
        else if (strcmp(ini->section_kind, "users") == 0)
            on_user(ini, line, name, value);
        else
            note(ini, line, "peers");
    }
}

static void read_ini(struct ini *ini, const char *path)
{
    char line[LINE_BYTES_MAX];
    FILE *file = ini->includes++ < INCLUDES_MAX ? text_file_open(path) : NULL;
    const char *outer = ini->report->file;
    if (!file) {
        config_error(ini->report, 0, NULL, "cannot read %s", path);
        return;
    }
    ini->report->file = path;
    for (int number = 1; fgets(line, sizeof(line), file); number++) {
        char *text = trim(line);
        if (*text && *text != ';' && *text != '#')
            on_line(ini, number, text);
    }
    (void)fclose(file);
    ini->report->file = outer;
}

static bool has_ipv6(void)
{
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    AUTO_FD fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0;
}

/* Once each: a name may have an address twice. */
static void add_address(json_t *listeners, const char *address, int port)
{
    json_t *made = json_pack("{s:s, s:i}", "address", address, "port", port), *before;
    bool is_new = true;
    size_t index;
    json_array_foreach(listeners, index, before)
    {
        is_new = is_new && !json_equal(before, made);
    }
    if (is_new)
        (void)json_array_append(listeners, made);
    json_decref(made);
}

/* All that a name stands for. */
static void add_named(struct ini *ini, json_t *listeners, const char *name, int port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all = NULL;
    int r = getaddrinfo(name, NULL, &hints, &all);
    if (r != 0)
        config_error(ini->report, 0, "listen_addr", "listen_addr = \"%s\": %s", name,
                     gai_strerror(r));
    for (const struct addrinfo *at = all; at; at = at->ai_next) {
        char text[INET6_ADDRSTRLEN];
        if ((at->ai_family == AF_INET || has_ipv6()) &&
            getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
                0)
            add_address(listeners, text, port);
    }
    if (all)
        freeaddrinfo(all);
}

static void add_socket(struct ini *ini, const char *dir, int port)
{
    const char *mode = json_string_value(json_object_get(ini->listen, "unix_socket_mode"));
    const char *group = json_string_value(json_object_get(ini->listen, "unix_socket_group"));
    AUTO_TEXT path = xasprintf("%s/.s.PGSQL.%d", dir, port);
    json_t *socket = json_pack("{s:s, s:s}", "path", path, "mode", mode ? mode : "0777");
    unsigned id;
    if (group && *group && ini->files_stay)
        (void)json_object_set_new(socket, "group", json_string(group));
    else if (group && *group && !check_group(group, &id))
        (void)json_object_set_new(socket, "gid", json_integer(id));
    (void)json_array_append_new(json_object_get(ini->plan, "listeners"), socket);
}

static void make_listeners(struct ini *ini)
{
    json_t *listeners = json_object_get(ini->plan, "listeners");
    const char *address = json_string_value(json_object_get(ini->listen, "listen_addr"));
    const char *port_text = json_string_value(json_object_get(ini->listen, "listen_port"));
    const char *dir = json_string_value(json_object_get(ini->listen, "unix_socket_dir"));
    int port = port_text ? atoi(port_text) : 6432;
    json_t *addresses = list_of(address ? address : ""), *one;
    size_t index;
    json_array_foreach(addresses, index, one)
    {
        const char *text = json_string_value(one);
        bool all = strcmp(text, "*") == 0;
        if (!all && check_address(text))
            add_named(ini, listeners, text, port);
        else
            add_address(listeners,
                        all                              ? "0.0.0.0"
                        : strcmp(text, "localhost") == 0 ? "127.0.0.1"
                                                         : text,
                        port);
        if (all && has_ipv6())
            add_address(listeners, "::", port);
    }
    json_decref(addresses);
    if (dir && !*dir)
        return;
    add_socket(ini, dir ? dir : "/tmp", port);
}

/* Whom [users] names, and auth_file does not, is not let in for that. */
static void mark_strangers(const struct ini *ini)
{
    size_t index;
    json_t *user;
    if (ini->unread && ini->files_stay)
        return; /* it may name them when the pool reads it */
    json_array_foreach(json_object_get(ini->plan, "users"), index, user)
    {
        if (!json_object_get(ini->listed, json_string_value(json_object_get(user, "name"))))
            (void)json_object_set_new(user, "login", json_false());
    }
}

static json_t *read_plan(const char *path, bool files_stay, struct config_report *report)
{
    struct ini ini = {.report = report,
                      .server_tls = json_object(),
                      .listen = json_object(),
                      .listed = json_object(),
                      .users_by_name = json_object(),
                      .files_stay = files_stay};
    size_t index;
    json_t *database;
    /* Their defaults, where ours are others. */
    ini.plan = json_pack(
        "{s:s, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:i, s:s, s:i, s:{}, s:[], s:[], s:[]}", "auth",
        "md5", "pool_mode", "session", "log_connections", 1, "log_disconnections", 1, "clients_max",
        100, "failed_login_delay", 0, "idle_transaction_timeout", 0, "query_wait_timeout", 120000,
        "query_wait_notify", 5000, "server_check_query", "<empty>", "prepared_statements_max", 200,
        "tls", "users", "databases", "listeners");
    report->file = path;
    read_ini(&ini, path);
    read_hba(&ini);
    check_tls(&ini, "client", json_object_get(ini.plan, "tls"));
    check_tls(&ini, "server", ini.server_tls);
    make_listeners(&ini);
    place_hosts(&ini);
    drop_reserve(&ini);
    mark_strangers(&ini);
    if (!files_stay)
        (void)json_object_set_new(ini.plan, "listeners_stay", json_true());
    json_array_foreach(json_object_get(ini.plan, "databases"), index, database)(void)
        json_object_set(database, "tls", ini.server_tls);
    if (json_array_size(json_object_get(ini.plan, "databases")) == 0)
        config_note(report, 0, NULL,
                    "[databases] is empty: nothing but the console can be connected to");
    json_decref(ini.server_tls);
    json_decref(ini.listen);
    json_decref(ini.listed);
    json_decref(ini.users_by_name);
    return ini.plan;
}

json_t *pgbouncer_ini_plan(const char *path, struct config_report *report)
{
    return read_plan(path, false, report);
}

json_t *pgbouncer_ini_import(const char *path, struct config_report *report)
{
    return read_plan(path, true, report);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "database_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "config.h"
#include "postgres_url.h"
#include "text_file.h"
#include "tls_files.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

enum kind {
    USED,
    CLIENTS,  /* of whoever connects by the URL itself: told, with what to do instead */
    SETTINGS, /* as well, and a table of settings could have it */
    REFUSED,  /* would be missed, and can not be had: the text says what there is */
};

struct parameter {
    const char *name;
    enum kind kind;
    const char *text;
};

#define TABLE "connections have what [databases.settings] says"
#define POOL_OF_CLIENT                                                                             \
    "it is for a pool within the client; this one has pool_size and query_wait_timeout"
#define KEEPALIVE "tcp_user_timeout of the pool says when a server is gone"

static const struct parameter parameters[] = {
    {"host", USED, NULL},
    {"port", USED, NULL},
    {"dbname", USED, NULL},
    {"user", USED, NULL},
    {"password", USED, NULL},
    {"sslmode", USED, NULL},
    {"ssl", USED, NULL},
    {"sslrootcert", USED, NULL},
    {"sslcert", USED, NULL},
    {"sslkey", USED, NULL},
    {"sslnegotiation", USED, NULL},
    {"ssl_min_protocol_version", USED, NULL},
    {"ssl_max_protocol_version", USED, NULL},
    {"channel_binding", USED, NULL},
    {"gssencmode", USED, NULL},
    {"target_session_attrs", USED, NULL},
    {"load_balance_hosts", USED, NULL},
    {"schema", USED, NULL}, /* of the Prisma endpoint */
    {"connect_timeout", CLIENTS, "server_connect_timeout of the pool is the time for a connection"},
    {"application_name", SETTINGS, "clients bring their own, and " TABLE},
    {"fallback_application_name", SETTINGS, "clients bring their own, and " TABLE},
    {"client_encoding", SETTINGS, "clients bring their own, and " TABLE},
    {"options", SETTINGS, "clients bring their own, and " TABLE " (search_path = \"…\")"},
    {"statement_timeout", SETTINGS, TABLE ", and the pool has query_timeout"},
    {"lock_timeout", SETTINGS, TABLE},
    {"idle_in_transaction_session_timeout", CLIENTS, "the pool has idle_transaction_timeout"},
    {"query_timeout", CLIENTS, "the pool has query_timeout"},
    {"socket_timeout", CLIENTS, "the pool has query_timeout"},
    {"keepalives", CLIENTS, KEEPALIVE},
    {"keepalives_idle", CLIENTS, KEEPALIVE},
    {"keepalives_interval", CLIENTS, KEEPALIVE},
    {"keepalives_count", CLIENTS, KEEPALIVE},
    {"tcp_user_timeout", CLIENTS, KEEPALIVE},
    {"sslcompression", CLIENTS, "TLS is never compressed"},
    {"sslsni", CLIENTS, "the server's name is always sent"},
    {"krbsrvname", CLIENTS, "the pool has no GSSAPI"},
    {"gsslib", CLIENTS, "the pool has no GSSAPI"},
    {"gssdelegation", CLIENTS, "the pool has no GSSAPI"},
    {"pgbouncer", CLIENTS, "it is for Prisma; prepared statements work through the pool"},
    {"connection_limit", CLIENTS, POOL_OF_CLIENT},
    {"pool_timeout", CLIENTS, POOL_OF_CLIENT},
    {"max_connection_lifetime", CLIENTS, "the pool has server_lifetime"},
    {"max_idle_connection_lifetime", CLIENTS, "the pool has server_idle_timeout"},
    {"pool", CLIENTS, POOL_OF_CLIENT},
    {"pool_size", CLIENTS, "write pool_size beside the url"},
    {"max", CLIENTS, POOL_OF_CLIENT},
    {"statement_cache_size", CLIENTS, "the pool has prepared_statements_max"},
    {"prepared_statements", CLIENTS, "the pool has prepared_statements_max"},
    {"prepareThreshold", CLIENTS, "the pool has prepared_statements_max"},
    {"sslaccept", CLIENTS, "it is for Prisma; sslmode=verify-full checks the server's certificate"},
    {"uselibpqcompat", CLIENTS, "it is for node-postgres; sslmode means what it means to libpq"},
    {"workaround", CLIENTS, "take the url of the direct endpoint"},
    {"supa", CLIENTS, "take the url of the direct endpoint"},
    {"hostaddr", REFUSED, "write the address as host"},
    {"passfile", REFUSED, "use password_file, a file with the password alone"},
    {"service", REFUSED, "write what the service has into the url"},
    {"servicefile", REFUSED, "write what the service has into the url"},
    {"replication", REFUSED, "clients ask for it themselves"},
    {"require_auth", REFUSED, "channel_binding=require is the way to insist on SCRAM"},
    {"requirepeer", REFUSED, "the pool does not look who listens on a unix socket"},
    {"sslpassword", REFUSED, "the key needs to be without a passphrase"},
    {"sslidentity", REFUSED, "use sslcert and sslkey, in PEM"},
    {"sslcrl", REFUSED, "lists of revoked certificates are not read"},
    {"sslcrldir", REFUSED, "lists of revoked certificates are not read"},
    {"sslcertmode", REFUSED, "leave sslcert out where it is not to be sent"},
};

/* A URL that is being taken apart. */
struct url {
    json_t *parameters, *database, *tls, *notes;
    bool has_settings;
    const char *dir;
    struct error *err;
};

static const char *parameter(const struct url *url, const char *name)
{
    const char *text = json_string_value(json_object_get(url->parameters, name));
    return text && *text ? text : NULL;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        (void)json_object_set_new(object, key, json_string(text));
}

static void note(const struct url *url, const char *name, const char *text)
{
    AUTO_TEXT line = xasprintf("%s is not used: %s", name, text);
    (void)json_array_append_new(url->notes, json_string(line));
}

/* ---- which parameters there are ---- */

static const struct parameter *known(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    return NULL;
}

static int unknown(const struct url *url, const char *name)
{
    struct config_nearest nearest = {.word = name};
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        config_nearest_offer(&nearest, parameters[i].name);
    AUTO_TEXT meant = config_nearest_text(&nearest);
    return error_set(url->err, -EINVAL, "unknown parameter \"%s\"%s", name,
                     *meant ? meant : "; leave it out, or use a key of weir's");
}

static int check_parameters(const struct url *url)
{
    const char *name;
    json_t *value;
    json_object_foreach(url->parameters, name, value)
    {
        const struct parameter *one = known(name);
        if (!one)
            return unknown(url, name);
        if (one->kind == REFUSED)
            return error_set(url->err, -EINVAL, "%s is not possible: %s", name, one->text);
        if (one->kind == SETTINGS && !url->has_settings)
            note(url, name, "clients bring their own, and ALTER ROLE … SET is for all of a user");
        else if (one->kind == CLIENTS || one->kind == SETTINGS)
            note(url, name, one->text);
    }
    return 0;
}

/* words: NULL at the end. */
static int check_word(const struct url *url, const char *name, const char *const *words)
{
    const char *word = parameter(url, name);
    AUTO_BUFFER all = {0};
    if (!word)
        return 0;
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return 0;
        buffer_printf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    return error_set(url->err, -EINVAL, "%s=%s: expected one of %.*s", name, word,
                     (int)buffer_len(&all), all.data + all.start);
}

static int check_words(const struct url *url)
{
    static const char *const modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
    static const char *const attrs[] = {"any",     "read-write",     "read-only", "primary",
                                        "standby", "prefer-standby", NULL};
    static const char *const balances[] = {"disable", "round-robin", "random", NULL};
    static const char *const bindings[] = {"disable", "prefer", "require", NULL};
    static const char *const negotiations[] = {"postgres", "direct", NULL};
    static const char *const versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL};
    static const char *const gss[] = {"disable", "prefer", NULL};
    static const char *const flags[] = {"true", "false", NULL};
    const struct {
        const char *name;
        const char *const *words;
    } all[] = {{"sslmode", modes},
               {"target_session_attrs", attrs},
               {"load_balance_hosts", balances},
               {"channel_binding", bindings},
               {"sslnegotiation", negotiations},
               {"ssl_min_protocol_version", versions},
               {"ssl_max_protocol_version", versions},
               {"gssencmode", gss},
               {"ssl", flags}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (check_word(url, all[i].name, all[i].words) < 0)
            return -EINVAL;
    return 0;
}

/* ---- TLS ---- */

/* Puts the file that a parameter names into tls[key]. */
static int take_file(const struct url *url, const char *name, const char *key)
{
    const char *file = parameter(url, name);
    if (!file)
        return 0;
    AUTO_TEXT path = file[0] == '/' ? xstrdup(file) : xasprintf("%s/%s", url->dir, file);
    AUTO_BUFFER text = {0};
    int r = text_file_read(path, FILE_BYTES_MAX, &text);
    if (r < 0)
        return error_set(url->err, -EINVAL, "%s=%s: cannot read it: %s", name, file,
                         text_file_problem(r));
    buffer_append(&text, "", 1);
    set_text(url->tls, key, text.data + text.start);
    return 0;
}

static int take_files(const struct url *url)
{
    const char *root = parameter(url, "sslrootcert");
    bool system = root && strcmp(root, "system") == 0;
    if ((!system && take_file(url, "sslrootcert", "ca") < 0) ||
        take_file(url, "sslcert", "certificate") < 0 || take_file(url, "sslkey", "key") < 0)
        return -EINVAL;
    if (!parameter(url, "sslcert") != !parameter(url, "sslkey"))
        return error_set(url->err, -EINVAL,
                         "sslcert and sslkey, the client's own, need each other; what the server "
                         "is checked by is sslrootcert");
    struct error why = {""};
    const char *wrong = tls_files_problem(url->tls, false, &why);
    if (!wrong)
        return 0;
    const char *name = strcmp(wrong, "ca") == 0    ? "sslrootcert"
                       : strcmp(wrong, "key") == 0 ? "sslkey"
                                                   : "sslcert";
    return error_set(url->err, -EINVAL, "%s: %s", name, why.text);
}

/* As libpq has it: an authority that is named is used, with sslmode=require, too, and the system's
 * authorities are no proof of anything but a name. */
static int take_mode(const struct url *url)
{
    const char *given = parameter(url, "sslmode"), *root = parameter(url, "sslrootcert");
    const char *ssl = parameter(url, "ssl");
    bool system = root && strcmp(root, "system") == 0;
    if (!given && ssl)
        given = strcmp(ssl, "true") == 0 ? "require" : "disable";
    if (!given && system)
        given = "verify-full";
    if (system && strcmp(given, "verify-full") != 0)
        return error_set(url->err, -EINVAL, "sslrootcert=system needs sslmode=verify-full");
    if (given && root && strcmp(given, "require") == 0)
        given = "verify-ca";
    set_text(url->tls, "mode", given);
    const char *mode = json_string_value(json_object_get(url->tls, "mode"));
    if (root && (!mode || strncmp(mode, "verify", 6) != 0))
        note(url, "sslrootcert", "nothing is checked by it without sslmode=verify-full");
    return 0;
}

static int version_of(const char *word, int otherwise)
{
    static const char *const names[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    for (int i = 0; word && i < (int)ARRAY_LEN(names); i++)
        if (strcmp(names[i], word) == 0)
            return i;
    return otherwise;
}

static int take_versions(const struct url *url)
{
    const char *least = parameter(url, "ssl_min_protocol_version");
    const char *most = parameter(url, "ssl_max_protocol_version");
    AUTO_BUFFER list = {0};
    if (!least && !most)
        return 0;
    for (int i = version_of(least, 2); i <= version_of(most, 3); i++)
        buffer_printf(&list, "%stlsv1.%d", buffer_len(&list) > 0 ? "," : "", i);
    if (buffer_len(&list) == 0)
        return error_set(url->err, -EINVAL,
                         "ssl_min_protocol_version and ssl_max_protocol_version leave nothing");
    buffer_append(&list, "", 1);
    set_text(url->tls, "protocols", list.data + list.start);
    return 0;
}

static int take_binding(const struct url *url)
{
    const char *word = parameter(url, "channel_binding");
    const char *mode = json_string_value(json_object_get(url->tls, "mode"));
    if (word && strcmp(word, "disable") == 0)
        note(url, "channel_binding=disable", "what the server offers is used");
    if (!word || strcmp(word, "require") != 0)
        return 0;
    if (mode && (strcmp(mode, "disable") == 0 || strcmp(mode, "allow") == 0))
        return error_set(url->err, -EINVAL,
                         "channel_binding=require needs TLS; add sslmode=verify-full or require");
    set_text(url->tls, "channel_binding", word);
    return 0;
}

static int take_tls(const struct url *url)
{
    const char *negotiation = parameter(url, "sslnegotiation");
    if (negotiation && strcmp(negotiation, "direct") == 0)
        (void)json_object_set_new(url->tls, "direct", json_true());
    if (take_files(url) < 0 || take_mode(url) < 0 || take_versions(url) < 0)
        return -EINVAL;
    return take_binding(url);
}

/* ---- hosts and names ---- */

/* ?host=a,b&port=1,2 comes before what stands in front of the path; one port is that of all. */
static int take_hosts(const struct url *url)
{
    const char *host = parameter(url, "host"), *port = parameter(url, "port");
    json_t *hosts = json_array();
    if (!host) {
        json_decref(hosts);
        return port ? error_set(url->err, -EINVAL, "port=%s: write it behind the host", port) : 0;
    }
    AUTO_TEXT list = xstrdup(host);
    AUTO_TEXT ports = xstrdup(port ? port : "5432");
    char *save = NULL, *rest = ports;
    long number = 0;
    bool sound = true;
    for (char *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        char *end = NULL, *text = strsep(&rest, ",");
        if (text) {
            number = strtol(text, &end, 10);
            sound = sound && end != text && !*end && number >= 1 && number <= 65535;
        }
        (void)json_array_append_new(hosts,
                                    json_pack("{s:s, s:i}", "host", one, "port", (int)number));
    }
    (void)json_object_set_new(url->database, "hosts", hosts);
    return sound && !rest ? 0 : error_set(url->err, -EINVAL, "port=%s is malformed", port);
}

static void take_names(const struct url *url, const json_t *parts)
{
    static const struct {
        const char *part, *parameter;
    } names[] = {
        {"hosts", NULL}, {"database", "dbname"}, {"user", "user"}, {"password", "password"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *part = json_object_get(parts, names[i].part);
        if (part)
            (void)json_object_set(url->database, names[i].part, part);
        if (names[i].parameter)
            set_text(url->database, names[i].part, parameter(url, names[i].parameter));
    }
    set_text(url->database, "target_session_attrs", parameter(url, "target_session_attrs"));
    set_text(url->database, "load_balance_hosts", parameter(url, "load_balance_hosts"));
    set_text(url->database, "schema", parameter(url, "schema"));
}

int database_url_apply(const char *text, const char *dir, bool has_settings, json_t *database,
                       json_t *notes, struct error *err)
{
    const char *problem = NULL;
    json_t *parts = postgres_url_parse(text, &problem);
    if (!parts)
        return error_set(err, -EINVAL, "%s", problem);
    if (!json_object_get(database, "tls"))
        (void)json_object_set_new(database, "tls", json_object());
    const struct url url = {.parameters = json_object_get(parts, "parameters"),
                            .database = database,
                            .tls = json_object_get(database, "tls"),
                            .notes = notes,
                            .has_settings = has_settings,
                            .dir = dir,
                            .err = err};
    int r = check_parameters(&url);
    if (r == 0)
        r = check_words(&url);
    if (r == 0)
        r = take_tls(&url);
    take_names(&url, parts);
    if (r == 0)
        r = take_hosts(&url);
    json_decref(parts);
    return r;
}

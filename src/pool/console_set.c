/* SPDX-License-Identifier: Apache-2.0 */
/* SET on the console, by PgBouncer's names: until the next reload or restart. */
#include "console_set.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "pool.h"
#include "tls.h"

enum setting_type {
    COUNT,
    SECONDS,
    MILLISECONDS,
    FLAG,
    TEXT,
    TEXT_OR_NONE,
    MODE,
    AUTH,
    LIST,
    TLS_CLIENTS,
    TLS_SERVERS,
    READ_FILE, /* the loader reads it: the pool may open none */
    NOTHING,   /* PgBouncer's, which may be set, as scripts do, and has no effect here */
};

static const struct setting_kind {
    const char *name;
    enum setting_type type;
    size_t offset; /* in struct pool_config */
} settings[] = {
#define AT(field) offsetof(struct pool_config, field)
    {"pool_mode", MODE, AT(limits.mode)},
    {"default_pool_size", COUNT, AT(limits.size)},
    {"min_pool_size", COUNT, AT(limits.size_min)},
    {"reserve_pool_size", COUNT, AT(limits.size_reserve)},
    {"reserve_pool_timeout", SECONDS, AT(reserve_after_ms)},
    {"max_db_connections", COUNT, AT(limits.connections_max)},
    {"max_client_conn", COUNT, AT(limits.clients_max)},
    {"max_db_client_connections", COUNT, AT(database_clients_max)},
    {"max_user_client_connections", COUNT, AT(user_clients_max)},
    {"max_user_connections", COUNT, AT(user_connections_max)},
    {"queue_max", COUNT, AT(queue_max)},
    {"admin_users", LIST, AT(admin_users)},
    {"stats_users", LIST, AT(stats_users)},
    {"auth_type", AUTH, AT(auth)},
    {"auth_user", TEXT_OR_NONE, AT(auth_user)},
    {"auth_query", TEXT_OR_NONE, AT(auth_query)},
    {"auth_dbname", TEXT_OR_NONE, AT(auth_database)},
    {"max_prepared_statements", COUNT, AT(statements_max)},
    {"ignore_startup_parameters", LIST, AT(ignore_startup_parameters)},
    {"query_timeout", SECONDS, AT(limits.query_ms)},
    {"query_wait_timeout", SECONDS, AT(limits.query_wait_ms)},
    {"query_wait_notify", SECONDS, AT(wait_notify_ms)},
    {"login_notify_message", TEXT, AT(login_notice)},
    {"transaction_timeout", SECONDS, AT(limits.transaction_ms)},
    {"idle_transaction_timeout", SECONDS, AT(limits.idle_transaction_ms)},
    {"client_idle_timeout", SECONDS, AT(limits.client_idle_ms)},
    {"client_login_timeout", SECONDS, AT(client_login_ms)},
    {"server_lifetime", SECONDS, AT(limits.server_lifetime_ms)},
    {"server_idle_timeout", SECONDS, AT(server_idle_ms)},
    {"server_connect_timeout", SECONDS, AT(server_connect_ms)},
    {"server_login_retry", NOTHING, 0},
    {"server_check_delay", SECONDS, AT(server_check_delay_ms)},
    {"server_check_query", TEXT, AT(server_check_query)},
    {"server_reset_query", TEXT, AT(server_reset_query)},
    {"server_reset_query_always", FLAG, AT(reset_always)},
    {"server_round_robin", FLAG, AT(round_robin)},
    {"cancel_wait_timeout", SECONDS, AT(cancel_wait_ms)},
    {"pool_idle_timeout", SECONDS, AT(pool_idle_ms)},
    {"tcp_user_timeout", MILLISECONDS, AT(tcp_user_ms)},
    {"dns_max_ttl", SECONDS, AT(dns_max_ttl_ms)},
    {"client_tls_sslmode", TLS_CLIENTS, AT(tls.mode)},
    {"server_tls_sslmode", TLS_SERVERS, AT(server_tls_mode)},
    {"client_tls_key_file", READ_FILE, 0},
    {"client_tls_cert_file", READ_FILE, 0},
    {"client_tls_ca_file", READ_FILE, 0},
    {"server_tls_key_file", READ_FILE, 0},
    {"server_tls_cert_file", READ_FILE, 0},
    {"server_tls_ca_file", READ_FILE, 0},
    {"auth_file", READ_FILE, 0},
    {"auth_hba_file", READ_FILE, 0},
    {"auth_ident_file", READ_FILE, 0},
    {"log_connections", FLAG, AT(log_connections)},
    {"log_disconnections", FLAG, AT(log_disconnections)},
    {"log_pooler_errors", FLAG, AT(log_errors)},
    {"verbose", NOTHING, 0},
#undef AT
};

static char *set_client_tls(int mode)
{
    struct tls_settings *tls = &pool_process.config->tls;
    struct tls_context *context = NULL;
    struct error err = {""};
    enum tls_mode before = tls->mode;
    tls->mode = (enum tls_mode)mode;
    if (mode != TLS_DISABLE && !(context = tls_context_new(tls, true, &err))) {
        tls->mode = before;
        return xstrdup(err.text);
    }
    tls_context_free(&pool_process.tls);
    pool_process.tls = context;
    return NULL;
}

static void set_server_tls(int mode)
{
    struct pool_config *config = pool_process.config;
    config->server_tls_mode = mode;
    for (size_t i = 0; i < config->databases_count; i++)
        config->databases[i].tls.mode = (enum tls_mode)mode;
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (!pool->retired)
            tls_context_free(&pool->tls); /* made anew when it is needed */
}

static bool is_flag(const char *value, bool *ret)
{
    static const char *const words[] = {"0", "1", "no", "yes", "off", "on", "false", "true"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(words[i], value) == 0) {
            *ret = i % 2;
            return true;
        }
    return false;
}

/* *ret_problem: what is wrong besides the form. */
static bool assign(enum setting_type type, void *field, const char *value, char **ret_problem)
{
    char *end;
    double number = strtod(value, &end);
    bool is_number = *value && !*end && isfinite(number) && number >= 0 && number < 1e9;
    bool tls = type == TLS_CLIENTS || type == TLS_SERVERS;
    int word = tls            ? config_tls_named(value)
               : type == MODE ? config_mode_named(value)
                              : config_auth_named(value);
    switch (type) {
    case COUNT:
        if (is_number)
            *(int *)field = (int)number;
        return is_number;
    case SECONDS:
        if (is_number)
            *(int64_t *)field = (int64_t)(number * 1000);
        return is_number;
    case MILLISECONDS:
        if (is_number)
            *(int64_t *)field = (int64_t)number;
        return is_number;
    case FLAG:
        return is_flag(value, field);
    case TEXT:
    case TEXT_OR_NONE:
        free(*(char **)field);
        *(char **)field = *value || type == TEXT ? xstrdup(value) : NULL;
        return true;
    case MODE:
    case AUTH:
        if (type == AUTH && (word > AUTH_HBA || (word == AUTH_HBA && !pool_process.config->hba)))
            return false; /* it takes rules */
        if (word >= 0)
            *(int *)field = word;
        return word >= 0;
    case LIST:
        config_set_list(field, value);
        return true;
    case TLS_CLIENTS:
        if (word >= 0)
            *ret_problem = set_client_tls(word);
        return word >= 0;
    case TLS_SERVERS:
        if (word >= 0)
            set_server_tls(word);
        return word >= 0;
    default:
        return true;
    }
}

char *console_set(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char *problem = NULL;
        if (strcasecmp(settings[i].name, name) != 0)
            continue;
        if (settings[i].type == READ_FILE)
            return xasprintf("\"%s\" can not be set here, since the pool may read no file; name it "
                             "in the configuration, and RELOAD",
                             name);
        if (!assign(settings[i].type, (char *)pool_process.config + settings[i].offset, value,
                    &problem))
            return xasprintf("invalid value for \"%s\": \"%s\"", name, value);
        lend_set_limits();
        return problem;
    }
    return xasprintf("\"%s\" can not be set here; change the configuration, and RELOAD", name);
}

const char *console_setting(size_t place)
{
    return place < ARRAY_LEN(settings) ? settings[place].name : NULL;
}

static char *join(char *const *list)
{
    AUTO_BUFFER all = {0};
    for (char *const *word = list; word && *word; word++)
        buffer_printf(&all, "%s%s", word == list ? "" : ",", *word);
    return xstrndup(all.data ? all.data + all.start : "", buffer_len(&all));
}

char *console_get(size_t place)
{
    const struct setting_kind *setting = &settings[place];
    const void *field = (const char *)pool_process.config + setting->offset;
    switch (setting->type) {
    case COUNT:
        return xasprintf("%d", *(const int *)field);
    case SECONDS:
        return xasprintf("%g", (double)*(const int64_t *)field / 1000);
    case MILLISECONDS:
        return xasprintf("%" PRId64, *(const int64_t *)field);
    case FLAG:
        return xasprintf("%d", *(const bool *)field);
    case TEXT:
    case TEXT_OR_NONE:
        return xstrdup(*(char *const *)field ? *(char *const *)field : "");
    case MODE:
        return xstrdup(config_mode_name(*(const int *)field));
    case AUTH:
        return xstrdup(config_auth_name(*(const int *)field));
    case LIST:
        return join(*(char *const *const *)field);
    case TLS_CLIENTS:
    case TLS_SERVERS:
        return xstrdup(config_tls_name(*(const int *)field));
    default:
        return NULL;
    }
}

bool console_is_without_effect(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (strcasecmp(settings[i].name, name) == 0)
            return settings[i].type == NOTHING;
    return false;
}

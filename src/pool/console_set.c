/* SPDX-License-Identifier: Apache-2.0 */
/* SET on the console, by PgBouncer's names: until the next reload or restart. */
#include "console_set.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "pool.h"

enum setting_type { COUNT, SECONDS, MODE, AUTH, LIST, NOTHING };

static const struct {
    const char *name;
    enum setting_type type;
    size_t offset; /* in struct pool_config */
} settings[] = {
#define AT(field) offsetof(struct pool_config, field)
    {"pool_mode", MODE, AT(limits.mode)},
    {"default_pool_size", COUNT, AT(limits.size)},
    {"min_pool_size", COUNT, AT(limits.size_min)},
    {"reserve_pool_size", COUNT, AT(limits.size_reserve)},
    {"max_db_connections", COUNT, AT(limits.connections_max)},
    {"max_client_conn", COUNT, AT(limits.clients_max)},
    {"max_db_client_connections", COUNT, AT(database_clients_max)},
    {"max_user_client_connections", COUNT, AT(user_clients_max)},
    {"max_user_connections", COUNT, AT(user_connections_max)},
    {"admin_users", LIST, AT(admin_users)},
    {"stats_users", LIST, AT(stats_users)},
    {"max_prepared_statements", COUNT, AT(statements_max)},
    {"query_timeout", SECONDS, AT(limits.query_ms)},
    {"query_wait_timeout", SECONDS, AT(limits.query_wait_ms)},
    {"transaction_timeout", SECONDS, AT(limits.transaction_ms)},
    {"idle_transaction_timeout", SECONDS, AT(limits.idle_transaction_ms)},
    {"server_lifetime", SECONDS, AT(limits.server_lifetime_ms)},
    {"reserve_pool_timeout", SECONDS, AT(reserve_after_ms)},
    {"client_idle_timeout", SECONDS, AT(client_idle_ms)},
    {"client_login_timeout", SECONDS, AT(client_login_ms)},
    {"server_connect_timeout", SECONDS, AT(server_connect_ms)},
    {"server_login_retry", SECONDS, AT(server_retry_ms)},
    {"server_idle_timeout", SECONDS, AT(server_idle_ms)},
    {"server_check_delay", SECONDS, AT(server_check_ms)},
    {"cancel_wait_timeout", SECONDS, AT(cancel_wait_ms)},
    {"auth_type", AUTH, AT(auth)},
    {"verbose", NOTHING, 0},
#undef AT
};

static bool assign(enum setting_type type, void *field, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    bool is_number = *value && !*end && isfinite(number) && number >= 0 && number < 1e9;
    int word = type == MODE ? config_mode_named(value) : config_auth_named(value);
    switch (type) {
    case COUNT:
        if (is_number)
            *(int *)field = (int)number;
        return is_number;
    case SECONDS:
        if (is_number)
            *(int64_t *)field = (int64_t)(number * 1000);
        return is_number;
    case MODE:
    case AUTH:
        if (word >= 0)
            *(int *)field = word;
        return word >= 0;
    case LIST:
        config_set_list(field, value);
        return true;
    default:
        return true;
    }
}

char *console_set(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcasecmp(settings[i].name, name) != 0)
            continue;
        if (!assign(settings[i].type, (char *)pool_process.config + settings[i].offset, value))
            return xasprintf("invalid value for \"%s\": \"%s\"", name, value);
        lend_set_limits();
        return NULL;
    }
    return xasprintf("\"%s\" can not be set here; change the configuration, and RELOAD", name);
}

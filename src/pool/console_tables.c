/* SPDX-License-Identifier: Apache-2.0 */
/* What the console shows. Columns are named as PgBouncer's, so that what reads those goes on
 * working; counts that the pool does not keep are left out, not made up. */
#include "console_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache.h"
#include "credentials.h"
#include "pool.h"

enum { TYPE_TEXT = 25, TYPE_INT8 = 20 };

/* Columns in one text, blanks between; numbers begin with '#'. */
static void columns(struct buffer *out, const char *names)
{
    AUTO_TEXT copy = xstrdup(names);
    size_t begun = wire_begin(out, 'T');
    uint16_t count = 1;
    for (const char *p = names; *p; p++)
        count += *p == ' ';
    wire_u16(out, count);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
        bool number = name[0] == '#';
        wire_text(out, name + number);
        wire_u32(out, 0);
        wire_u16(out, 0);
        wire_u32(out, number ? TYPE_INT8 : TYPE_TEXT);
        wire_u16(out, number ? 8 : UINT16_MAX);
        wire_u32(out, UINT32_MAX);
        wire_u16(out, 0);
    }
    wire_end(out, begun);
}

/* A row is begun with the count of its columns, and each is added. */
static size_t row(struct buffer *out, uint16_t count)
{
    size_t begun = wire_begin(out, 'D');
    wire_u16(out, count);
    return begun;
}

static void text(struct buffer *out, const char *value)
{
    if (!value) {
        wire_u32(out, UINT32_MAX);
        return;
    }
    wire_u32(out, (uint32_t)strlen(value));
    buffer_append_text(out, value);
}

static void number(struct buffer *out, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
    text(out, digits);
}

static const char *mode_name(enum pool_mode mode)
{
    static const char *const names[] = {"session", "transaction", "statement"};
    return names[mode];
}

static void show_pools(struct buffer *out)
{
    columns(out, "database user #cl_active #cl_waiting #sv_active #sv_idle #sv_used #sv_login "
                 "#maxwait #maxwait_us pool_mode");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        const struct link *first = list_first(&pool->waiting);
        uint64_t wait =
            first ? pool_now() - CONTAINER_OF(first, struct client, waiting)->since_us : 0;
        size_t begun = row(out, 11);
        text(out, pool->database_name);
        text(out, pool->user);
        number(out, pool->clients - pool->waiting.count);
        number(out, pool->waiting.count);
        number(out, pool->lent.count);
        number(out, pool->idle.count);
        number(out, pool->cleaning.count);
        number(out, pool->connecting.count);
        number(out, wait / 1000000);
        number(out, wait % 1000000);
        text(out, mode_name(pool->mode));
        wire_end(out, begun);
    }
}

static void show_clients(struct buffer *out)
{
    static const char *const states[] = {"login", "active", "waiting", "active"};
    columns(out,
            "type user database state #id #server_pid application_name tls #prepared_statements");
    const struct list *all = &pool_process.clients;
    for (const struct link *link = list_first(all); link; link = list_next(all, link)) {
        const struct client *client = CONTAINER_OF(link, struct client, link);
        struct slice name = client->params ? params_get(client->params, "application_name")
                                           : (struct slice){NULL, 0};
        AUTO_TEXT application = name.ptr ? xstrndup(name.ptr, name.len) : NULL;
        size_t begun = row(out, 9);
        text(out, "C");
        text(out, client->pool ? client->pool->user : NULL);
        text(out, client->pool ? client->pool->database_name : NULL);
        text(out, states[client->state]);
        number(out, client->number);
        number(out, client->server ? client->server->backend_pid : 0);
        text(out, application);
        text(out, client->stream.tls ? "yes" : "");
        number(out, client->names.count);
        wire_end(out, begun);
    }
}

static void show_server_list(struct buffer *out, const struct list *list, const char *state)
{
    for (const struct link *link = list_first(list); link; link = list_next(list, link)) {
        const struct server *server = CONTAINER_OF(link, struct server, link);
        size_t begun = row(out, 9);
        text(out, "S");
        text(out, server->pool->credentials->user);
        text(out, server->pool->database_name);
        text(out, state);
        number(out, server->backend_pid);
        number(out, server->client ? server->client->number : 0);
        number(out, (pool_now() - server->born_us) / 1000000);
        text(out, server->stream.tls ? "yes" : "");
        number(out, prepared_count(&server->prepared));
        wire_end(out, begun);
    }
}

static void show_servers(struct buffer *out)
{
    columns(out, "type user database state #remote_pid #client_id #age tls #prepared_statements");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        show_server_list(out, &pool->lent, "active");
        show_server_list(out, &pool->idle, "idle");
        show_server_list(out, &pool->cleaning, "used");
        show_server_list(out, &pool->connecting, "login");
    }
}

/* What a database's or a user's pools have together. */
struct sums {
    uint64_t connections, clients, paused;
};

static void add_pool(struct sums *sums, const struct pool *pool)
{
    sums->connections += pool->idle.count + pool->lent.count + pool->cleaning.count;
    sums->clients += pool->clients;
    sums->paused += pool->paused;
}

static uint64_t limit_of(int own, int otherwise)
{
    return (uint64_t)(own >= 0 ? own : otherwise);
}

static void show_databases(struct buffer *out)
{
    const struct pool_config *config = pool_process.config;
    columns(out, "name host #port database force_user #pool_size #min_pool_size "
                 "#reserve_pool_size #server_lifetime pool_mode #max_connections "
                 "#current_connections #max_client_connections #current_client_connections "
                 "#paused #disabled");
    for (size_t i = 0; i < config->databases_count; i++) {
        const struct database_config *database = &config->databases[i];
        const struct pool_limits *own = &database->limits, *all = &config->limits;
        struct sums sums = {0};
        for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
            if (pool->database == database)
                add_pool(&sums, pool);
        int64_t lifetime_ms =
            own->server_lifetime_ms >= 0 ? own->server_lifetime_ms : all->server_lifetime_ms;
        size_t begun = row(out, 16);
        text(out, database->name);
        text(out, database->hosts_count ? database->hosts[0].host : NULL);
        number(out, database->hosts_count ? database->hosts[0].port : 0);
        text(out, database->database ? database->database : database->name);
        text(out, database->user);
        number(out, limit_of(own->size, all->size));
        number(out, limit_of(own->size_min, all->size_min));
        number(out, limit_of(own->size_reserve, all->size_reserve));
        number(out, (uint64_t)lifetime_ms / 1000);
        text(out, own->mode >= 0 ? mode_name((enum pool_mode)own->mode) : NULL);
        number(out, limit_of(own->connections_max, all->connections_max));
        number(out, sums.connections);
        number(out, limit_of(own->clients_max, config->database_clients_max));
        number(out, sums.clients);
        number(out, sums.paused > 0);
        number(out, 0);
        wire_end(out, begun);
    }
}

static void show_stats(struct buffer *out)
{
    columns(out, "database user #total_xact_count #total_query_count #total_received #total_sent "
                 "#total_xact_time #total_query_time #total_wait_time #waits #pins "
                 "#statements_parsed #statements_shared #statements_replayed #cancels");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        const struct pool_counters *c = &pool->counters;
        const uint64_t values[] = {
            c->transactions,   c->queries,           c->received_bytes,    c->sent_bytes,
            c->transaction_us, c->query_us,          c->wait_us,           c->waits,
            c->pins,           c->statements_parsed, c->statements_shared, c->replays,
            c->cancels};
        size_t begun = row(out, 2 + ARRAY_LEN(values));
        text(out, pool->database_name);
        text(out, pool->user);
        for (size_t i = 0; i < ARRAY_LEN(values); i++)
            number(out, values[i]);
        wire_end(out, begun);
    }
}

static void show_cache(struct buffer *out)
{
    columns(out, "database user #bytes #results #hits #stale #misses");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        if (!pool->cache)
            continue;
        size_t begun = row(out, 7);
        text(out, pool->database_name);
        text(out, pool->user);
        number(out, cache_bytes(pool->cache));
        number(out, cache_results(pool->cache));
        number(out, pool->counters.cache_hits);
        number(out, pool->counters.cache_stale);
        number(out, pool->counters.cache_misses);
        wire_end(out, begun);
    }
}

static void show_lists(struct buffer *out)
{
    uint64_t pools = 0, servers = 0, used = 0;
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        pools++;
        servers += pool->idle.count;
        used += pool->lent.count + pool->cleaning.count;
    }
    const struct {
        const char *name;
        uint64_t value;
    } lists[] = {{"databases", pool_process.config->databases_count},
                 {"users", pool_process.config->users_count},
                 {"pools", pools},
                 {"used_clients", pool_process.clients.count},
                 {"free_servers", servers},
                 {"used_servers", used}};
    columns(out, "list #items");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        size_t begun = row(out, 2);
        text(out, lists[i].name);
        number(out, lists[i].value);
        wire_end(out, begun);
    }
}

static void show_config(struct buffer *out)
{
    const struct pool_config *c = pool_process.config;
    const struct {
        const char *key;
        uint64_t value;
    } settings[] = {
        {"pool_size", (uint64_t)c->limits.size},
        {"pool_size_min", (uint64_t)c->limits.size_min},
        {"pool_size_reserve", (uint64_t)c->limits.size_reserve},
        {"clients_max", (uint64_t)c->limits.clients_max},
        {"queue_max", (uint64_t)c->queue_max},
        {"query_wait_timeout", (uint64_t)c->limits.query_wait_ms},
        {"query_timeout", (uint64_t)c->limits.query_ms},
        {"transaction_timeout", (uint64_t)c->limits.transaction_ms},
        {"idle_transaction_timeout", (uint64_t)c->limits.idle_transaction_ms},
        {"server_lifetime", (uint64_t)c->limits.server_lifetime_ms},
        {"server_idle_timeout", (uint64_t)c->server_idle_ms},
        {"server_connect_timeout", (uint64_t)c->server_connect_ms},
        {"prepared_statements_max", (uint64_t)c->statements_max},
    };
    columns(out, "key value");
    size_t begun = row(out, 2);
    text(out, "pool_mode");
    text(out, mode_name((enum pool_mode)c->limits.mode));
    wire_end(out, begun);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        begun = row(out, 2);
        text(out, settings[i].key);
        number(out, settings[i].value);
        wire_end(out, begun);
    }
}

static void number_or_none(struct buffer *out, int value)
{
    if (value >= 0)
        number(out, (uint64_t)value);
    else
        text(out, "");
}

static void show_user(struct buffer *out, const char *name, const struct pool_limits *own)
{
    const struct pool_config *config = pool_process.config;
    struct sums sums = {0};
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (strcmp(pool->user, name) == 0)
            add_pool(&sums, pool);
    size_t begun = row(out, 8);
    text(out, name);
    number_or_none(out, own->size);
    number_or_none(out, own->size_reserve);
    text(out, own->mode >= 0 ? mode_name((enum pool_mode)own->mode) : NULL);
    number(out, limit_of(own->connections_max, config->user_connections_max));
    number(out, sums.connections);
    number(out, limit_of(own->clients_max, config->user_clients_max));
    number(out, sums.clients);
    wire_end(out, begun);
}

/* Is there another pool of that user before this one? Then it was shown. */
static bool was_shown(const struct pool *pool)
{
    bool shown = config_user(pool_process.config, pool->user) != NULL;
    for (const struct pool *p = pool_process.pools; p != pool && !shown; p = p->next)
        shown = strcmp(p->user, pool->user) == 0;
    return shown;
}

static void show_users(struct buffer *out)
{
    static const struct pool_limits silent = POOL_LIMITS_SILENT;
    const struct pool_config *config = pool_process.config;
    columns(out, "name pool_size reserve_pool_size pool_mode #max_user_connections "
                 "#current_connections #max_user_client_connections #current_client_connections");
    for (size_t i = 0; i < config->users_count; i++)
        show_user(out, config->users[i].name, &config->users[i].limits);
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (!was_shown(pool)) /* one that was looked up */
            show_user(out, pool->user, &silent);
}

static void show_version(struct buffer *out)
{
    columns(out, "version");
    size_t begun = row(out, 1);
    text(out, "weir " WEIR_VERSION);
    wire_end(out, begun);
}

bool console_show(const char *subject, struct buffer *out)
{
    static const struct {
        const char *name;
        void (*show)(struct buffer *out);
    } subjects[] = {{"POOLS", show_pools},     {"CLIENTS", show_clients},
                    {"SERVERS", show_servers}, {"DATABASES", show_databases},
                    {"STATS", show_stats},     {"LISTS", show_lists},
                    {"CONFIG", show_config},   {"USERS", show_users},
                    {"VERSION", show_version}, {"CACHE", show_cache}};
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        if (strcasecmp(subject, subjects[i].name) == 0) {
            subjects[i].show(out);
            return true;
        }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "console_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "cache.h"
#include "console.h"
#include "console_set.h"
#include "credentials.h"
#include "pool.h"
#include "worker.h"

/* By the character in front of a column's name. */
static const struct {
    char mark;
    uint32_t type;
    uint16_t bytes;
} types[] = {{'#', 23 /* int4 */, 4},
             {'+', 20 /* int8 */, 8},
             {'%', 1700 /* numeric */, UINT16_MAX},
             {'&', 17 /* bytea */, UINT16_MAX},
             {0, 25 /* text */, UINT16_MAX}};

void table_columns(struct buffer *out, const char *names)
{
    AUTO_TEXT copy = xstrdup(names);
    size_t begun = wire_begin(out, 'T');
    uint16_t count = 1;
    for (const char *p = names; *p; p++)
        count += *p == ' ';
    wire_u16(out, count);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
        size_t i = 0;
        while (types[i].mark && types[i].mark != name[0])
            i++;
        wire_text(out, name + (types[i].mark != 0));
        wire_u32(out, 0);
        wire_u16(out, 0);
        wire_u32(out, types[i].type);
        wire_u16(out, types[i].bytes);
        wire_u32(out, UINT32_MAX);
        wire_u16(out, 0);
    }
    wire_end(out, begun);
}

size_t table_row(struct buffer *out, uint16_t count)
{
    size_t begun = wire_begin(out, 'D');
    wire_u16(out, count);
    return begun;
}

void table_text(struct buffer *out, const char *value)
{
    if (!value) {
        wire_u32(out, UINT32_MAX);
        return;
    }
    wire_u32(out, (uint32_t)strlen(value));
    buffer_append_text(out, value);
}

void table_number(struct buffer *out, uint64_t value)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
    table_text(out, digits);
}

static const char *mode_name(enum pool_mode mode)
{
    static const char *const names[] = {"session", "transaction", "statement"};
    return names[mode];
}

/* ---- pools ---- */

static uint64_t cancels_of(const struct list *servers)
{
    uint64_t count = 0;
    for (const struct link *link = list_first(servers); link; link = list_next(servers, link))
        count += CONTAINER_OF(link, struct server, link)->cancels;
    return count;
}

static uint64_t checks_of(const struct list *cleaning)
{
    uint64_t count = 0;
    for (const struct link *link = list_first(cleaning); link; link = list_next(cleaning, link))
        count += CONTAINER_OF(link, struct server, link)->checked;
    return count;
}

/* Since when the one waits that has waited longest: for a server, or, when it logs in, for the
 * first that tells what a session begins with. 0: nobody does. */
static uint64_t waits_since(const struct pool *pool)
{
    const struct link *first = list_first(&pool->waiting), *login = list_first(&pool->logins);
    uint64_t asked = first ? CONTAINER_OF(first, struct client, waiting)->since_us : 0;
    uint64_t came = login ? CONTAINER_OF(login, struct client, turn)->since_us : 0;
    return asked && (!came || asked < came) ? asked : came;
}

static void show_pools(struct buffer *out)
{
    table_columns(
        out,
        "database user #cl_active #cl_waiting #cl_active_cancel_req "
        "#cl_waiting_cancel_req #sv_active #sv_active_cancel #sv_being_canceled "
        "#sv_idle #sv_used #sv_tested #sv_login #maxwait #maxwait_us pool_mode load_balance_hosts");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        uint64_t since = waits_since(pool), wait = since ? pool_now() - since : 0;
        uint64_t waiting = pool_waiting(pool);
        uint64_t cancels = cancels_of(&pool->lent), late = cancels_of(&pool->cleaning);
        uint64_t checks = checks_of(&pool->cleaning), resets = pool->cleaning.count - checks;
        const uint64_t numbers[] = {
            pool->clients - waiting, /* with those that are idle */
            waiting,
            cancels + late,
            0, /* they are passed on at once */
            pool->lent.count,
            cancels + late,
            late > 0 ? resets : 0,
            pool->idle.count,
            late > 0 ? 0 : resets,
            checks,
            pool->connecting.count,
            wait / 1000000,
            wait % 1000000,
        };
        size_t begun = table_row(out, 4 + ARRAY_LEN(numbers));
        table_text(out, pool->database_name);
        table_text(out, pool->user);
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            table_number(out, numbers[i]);
        table_text(out, mode_name(pool->mode));
        table_text(out, pool->database->hosts_count > 1
                            ? config_balance_name(pool->database->balance)
                            : NULL);
        wire_end(out, begun);
    }
}

/* ---- clients and servers ---- */

#define SOCKET_COLUMNS                                                                             \
    "type user database replication state addr #port local_addr #local_port connect_time "         \
    "request_time #wait #wait_us #close_needed ptr link #remote_pid tls application_name "         \
    "#prepared_statements +id"
/* What SHOW SOCKETS has beside those: places in buffers, which are not like PgBouncer's. */
#define BUFFER_COLUMNS                                                                             \
    " #recv_pos #pkt_pos #pkt_remain #send_pos #send_remain #pkt_avail #send_avail"
enum { SOCKET_COLUMNS_COUNT = 21, BUFFER_COLUMNS_COUNT = 7 };
/* Which rows and columns are shown. */
enum sockets { SOCKETS_PLAIN, SOCKETS_ALL, SOCKETS_ACTIVE };

/* By the clock on the wall; us: as pool_now has it, 0: never. */
static void time_of(struct buffer *out, uint64_t us)
{
    struct tm tm;
    char text[64];
    time_t seconds = time(NULL) - (time_t)((pool_now() - us) / 1000000);
    if (us == 0 || !gmtime_r(&seconds, &tm)) {
        table_text(out, NULL);
        return;
    }
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
    table_text(out, text);
}

static void end_of(struct buffer *out, const struct stream *stream, bool peer)
{
    char text[STREAM_END_BYTES];
    uint16_t port;
    table_text(out, stream_end(stream, peer, text, &port));
    table_number(out, port);
}

static void token(struct buffer *out, char type, uint64_t id)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%c%" PRIu64, type, id);
    table_text(out, id ? text : "");
}

static void application_name(struct buffer *out, const struct params *params)
{
    struct slice name = params ? params_get(params, "application_name") : (struct slice){NULL, 0};
    AUTO_TEXT text = name.ptr ? xstrndup(name.ptr, name.len) : xstrdup("");
    table_text(out, text);
}

static uint64_t peer_pid(const struct stream *stream)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (stream->carrier || stream->fd_is_tcp ||
        getsockopt(stream->source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return 0;
    return (uint64_t)peer.pid;
}

static const char *state_of(const struct client *client)
{
    if (client->state == CLIENT_WAITING || client->awaits_pool)
        return "waiting";
    return client->state == CLIENT_ADMIN || client->server ? "active" : "idle";
}

/* Those that have not proved who they are, and the pool's own, are nobody's clients. */
static bool is_shown(const struct client *client)
{
    if (client->closing || (client->stream.carrier && worker_deployment(client) == 0))
        return false;
    return client->tally != NULL;
}

static const char *replication_of(const struct pool *pool)
{
    if (!pool || !pool->replication)
        return "none";
    return strcasecmp(pool->replication, "database") == 0 ? "logical" : "physical";
}

static size_t socket_row(struct buffer *out, enum sockets which)
{
    int more = which == SOCKETS_PLAIN ? 0 : BUFFER_COLUMNS_COUNT;
    return table_row(out, (uint16_t)(SOCKET_COLUMNS_COUNT + more));
}

static void end_socket_row(struct buffer *out, enum sockets which, size_t begun)
{
    for (int i = 0; which != SOCKETS_PLAIN && i < BUFFER_COLUMNS_COUNT; i++)
        table_text(out, NULL);
    wire_end(out, begun);
}

static void client_row(struct buffer *out, const struct client *client, enum sockets which)
{
    const char *state = state_of(client);
    bool waits = strcmp(state, "waiting") == 0;
    uint64_t wait = waits ? pool_now() - client->since_us : 0;
    size_t begun = socket_row(out, which);
    table_text(out, "C");
    table_text(out, client->tally->user);
    table_text(out, client->pool ? client->pool->database_name : CONSOLE_DATABASE);
    table_text(out, replication_of(client->pool));
    table_text(out, state);
    end_of(out, &client->stream, true);
    end_of(out, &client->stream, false);
    time_of(out, client->connected_us);
    time_of(out, client->since_us);
    table_number(out, wait / 1000000);
    table_number(out, wait % 1000000);
    table_number(out, 0);
    token(out, 'C', client->id);
    token(out, 'S', client->server ? client->server->id : 0);
    table_number(out, peer_pid(&client->stream));
    table_text(out, client->stream.tls ? "yes" : "");
    application_name(out, client->params);
    table_number(out, client->names.count);
    table_number(out, client->id);
    end_socket_row(out, which, begun);
}

static void client_rows(struct buffer *out, enum sockets which)
{
    const struct list *all = &pool_process.clients;
    for (const struct link *link = list_first(all); link; link = list_next(all, link)) {
        const struct client *client = CONTAINER_OF(link, struct client, link);
        if (is_shown(client) && (which != SOCKETS_ACTIVE || strcmp(state_of(client), "idle") != 0))
            client_row(out, client, which);
    }
}

static void server_rows(struct buffer *out, const struct list *list, const char *state,
                        enum sockets which)
{
    for (const struct link *link = list_first(list); link; link = list_next(list, link)) {
        const struct server *server = CONTAINER_OF(link, struct server, link);
        size_t begun = socket_row(out, which);
        table_text(out, "S");
        table_text(out, server->pool->credentials->user);
        table_text(out, server->pool->database_name);
        table_text(out, replication_of(server->pool));
        table_text(out, state);
        end_of(out, &server->stream, true);
        end_of(out, &server->stream, false);
        time_of(out, server->born_us);
        time_of(out, server->query_us);
        table_number(out, 0);
        table_number(out, 0);
        table_number(out, server->tainted || (server->pool->retired && !server->pool->replication));
        token(out, 'S', server->id);
        token(out, 'C', server->client ? server->client->id : 0);
        table_number(out, server->backend_pid);
        table_text(out, server->stream.tls ? "yes" : "");
        application_name(out, server->client ? server->client->params : NULL);
        table_number(out, prepared_count(&server->prepared));
        table_number(out, server->id);
        end_socket_row(out, which, begun);
    }
}

static void all_server_rows(struct buffer *out, enum sockets which)
{
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        server_rows(out, &pool->lent, "active", which);
        if (which != SOCKETS_ACTIVE)
            server_rows(out, &pool->idle, "idle", which);
        server_rows(out, &pool->cleaning, "tested", which);
        server_rows(out, &pool->connecting, "new", which);
        server_rows(out, &pool->listening, "listening", which);
    }
}

static void show_clients(struct buffer *out)
{
    table_columns(out, SOCKET_COLUMNS);
    client_rows(out, SOCKETS_PLAIN);
}

static void show_servers(struct buffer *out)
{
    table_columns(out, SOCKET_COLUMNS);
    all_server_rows(out, SOCKETS_PLAIN);
}

static void show_sockets(struct buffer *out)
{
    table_columns(out, SOCKET_COLUMNS BUFFER_COLUMNS);
    client_rows(out, SOCKETS_ALL);
    all_server_rows(out, SOCKETS_ALL);
}

static void show_active_sockets(struct buffer *out)
{
    table_columns(out, SOCKET_COLUMNS BUFFER_COLUMNS);
    client_rows(out, SOCKETS_ACTIVE);
    all_server_rows(out, SOCKETS_ACTIVE);
}

/* ---- databases, users ---- */

/* What a database's or a user's pools have together. */
struct sums {
    uint64_t connections, clients;
    bool paused;
};

static void add_pool(struct sums *sums, const struct pool *pool)
{
    sums->connections += pool->idle.count + pool->lent.count + pool->cleaning.count;
    sums->clients += pool->clients;
    sums->paused = sums->paused || pool->record->paused;
}

static uint64_t limit_of(int own, int otherwise)
{
    return (uint64_t)(own >= 0 ? own : otherwise);
}

/* NULL: no record has it. */
static const struct record *record_named(const char *database)
{
    const struct record *record = record_first();
    while (record && strcmp(record->database, database) != 0)
        record = record->next;
    return record;
}

static void hosts_of(struct buffer *out, const struct database_config *database)
{
    AUTO_BUFFER hosts = {0};
    for (size_t i = 0; i < database->hosts_count; i++)
        buffer_printf(&hosts, "%s%s", i ? "," : "", database->hosts[i].host);
    buffer_append(&hosts, "", 1);
    table_text(out, database->hosts_count ? hosts.data : NULL);
}

static void database_row(struct buffer *out, const struct database_config *database)
{
    const struct pool_config *config = pool_process.config;
    const struct pool_limits *own = &database->limits, *all = &config->limits;
    const struct record *record = record_named(database->name);
    struct sums sums = {.paused = record && record->paused};
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (pool->database == database)
            add_pool(&sums, pool);
    int64_t lifetime_ms =
        own->server_lifetime_ms >= 0 ? own->server_lifetime_ms : all->server_lifetime_ms;
    size_t begun = table_row(out, 17);
    table_text(out, database->name);
    hosts_of(out, database);
    table_number(out, database->hosts_count ? database->hosts[0].port : 0);
    table_text(out, database->database ? database->database : database->name);
    table_text(out, database->user);
    table_number(out, limit_of(own->size, all->size));
    table_number(out, limit_of(own->size_min, all->size_min));
    table_number(out, limit_of(own->size_reserve, all->size_reserve));
    table_number(out, (uint64_t)lifetime_ms / 1000);
    table_text(out, own->mode >= 0 ? mode_name((enum pool_mode)own->mode) : NULL);
    table_text(out, database->hosts_count > 1 ? config_balance_name(database->balance) : NULL);
    table_number(out, limit_of(own->connections_max, all->connections_max));
    table_number(out, sums.connections);
    table_number(out, limit_of(own->clients_max, config->database_clients_max));
    table_number(out, sums.clients);
    table_number(out, sums.paused || pool_process.paused);
    table_number(out, record && record->disabled);
    wire_end(out, begun);
}

static void console_database_row(struct buffer *out)
{
    size_t begun = table_row(out, 17);
    table_text(out, CONSOLE_DATABASE);
    for (int i = 0; i < 2; i++)
        table_text(out, NULL);
    table_text(out, CONSOLE_DATABASE);
    for (int i = 0; i < 5; i++)
        table_text(out, NULL);
    table_text(out, mode_name(POOL_STATEMENT));
    table_text(out, NULL);
    table_number(out, 0);
    table_number(out, 0);
    table_number(out, (uint64_t)pool_process.config->database_clients_max);
    table_number(out, pool_process.consoles);
    table_number(out, 0);
    table_number(out, 0);
    wire_end(out, begun);
}

static void show_databases(struct buffer *out)
{
    const struct pool_config *config = pool_process.config;
    table_columns(
        out, "name host #port database force_user #pool_size #min_pool_size "
             "#reserve_pool_size #server_lifetime pool_mode load_balance_hosts #max_connections "
             "#current_connections #max_client_connections #current_client_connections "
             "#paused #disabled");
    for (size_t i = 0; i < config->databases_count; i++)
        database_row(out, &config->databases[i]);
    console_database_row(out);
}

static void number_or_none(struct buffer *out, int value)
{
    if (value >= 0)
        table_number(out, (uint64_t)value);
    else
        table_text(out, "");
}

static void user_row(struct buffer *out, const char *name)
{
    static const struct pool_limits silent = POOL_LIMITS_SILENT;
    const struct pool_config *config = pool_process.config;
    const struct user_config *user = config_user(config, name);
    const struct pool_limits *own = user ? &user->limits : &silent;
    struct sums sums = {0};
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (strcmp(pool->user, name) == 0)
            add_pool(&sums, pool);
    size_t begun = table_row(out, 8);
    table_text(out, name);
    number_or_none(out, own->size);
    number_or_none(out, own->size_reserve);
    table_text(out, own->mode >= 0 ? mode_name((enum pool_mode)own->mode) : NULL);
    table_number(out, limit_of(own->connections_max, config->user_connections_max));
    table_number(out, sums.connections);
    table_number(out, (uint64_t)clients_max_of_user(name));
    table_number(out, record_clients_of_user(name));
    wire_end(out, begun);
}

/* Has a record before this one, or a tally before this one of it, the same user? */
static bool was_shown(const struct record *record, const struct tally *tally)
{
    bool shown = config_user(pool_process.config, tally->user) != NULL;
    for (const struct record *r = record_first(); !shown; r = r->next) {
        for (const struct tally *t = r->tallies; t && t != tally && !shown; t = t->next)
            shown = strcmp(t->user, tally->user) == 0;
        if (r == record)
            break;
    }
    return shown;
}

static void show_users(struct buffer *out)
{
    const struct pool_config *config = pool_process.config;
    table_columns(out,
                  "name pool_size reserve_pool_size pool_mode #max_user_connections "
                  "#current_connections #max_user_client_connections #current_client_connections");
    for (size_t i = 0; i < config->users_count; i++)
        user_row(out, config->users[i].name);
    for (const struct record *record = record_first(); record; record = record->next)
        for (const struct tally *tally = record->tallies; tally; tally = tally->next)
            if (!was_shown(record, tally)) /* one that is not configured */
                user_row(out, tally->user);
}

/* ---- the rest ---- */

static void show_cache(struct buffer *out)
{
    table_columns(out, "database user +bytes +results +hits +stale +misses");
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        if (!pool->cache)
            continue;
        size_t begun = table_row(out, 7);
        table_text(out, pool->database_name);
        table_text(out, pool->user);
        table_number(out, cache_bytes(pool->cache));
        table_number(out, cache_results(pool->cache));
        table_number(out, pool->counters->cache_hits);
        table_number(out, pool->counters->cache_stale);
        table_number(out, pool->counters->cache_misses);
        wire_end(out, begun);
    }
}

struct item {
    const char *name;
    uint64_t value;
};

static void show_items(struct buffer *out, const char *names, const struct item *items,
                       size_t count)
{
    table_columns(out, names);
    for (size_t i = 0; i < count; i++) {
        size_t begun = table_row(out, 2);
        table_text(out, items[i].name);
        table_number(out, items[i].value);
        wire_end(out, begun);
    }
}

static void show_lists(struct buffer *out)
{
    uint64_t pools = 0, servers = 0;
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        pools++;
        servers += pool->idle.count + pool->lent.count + pool->cleaning.count +
                   pool->connecting.count + pool->listening.count;
    }
    uint64_t strangers = pool_process.strangers.count;
    const struct item items[] = {{"databases", pool_process.config->databases_count + 1},
                                 {"users", pool_process.config->users_count},
                                 {"peers", 0},
                                 {"pools", pools},
                                 {"peer_pools", 0},
                                 {"free_clients", 0}, /* none is kept for later */
                                 {"used_clients", pool_process.clients.count - strangers},
                                 {"login_clients", strangers},
                                 {"free_servers", 0},
                                 {"used_servers", servers},
                                 {"dns_names", 0}, /* nothing is kept of names */
                                 {"dns_zones", 0},
                                 {"dns_queries", 0},
                                 {"dns_pending", 0}};
    show_items(out, "list #items", items, ARRAY_LEN(items));
}

static void show_mem(struct buffer *out)
{
    uint64_t cached = 0, servers = 0;
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        cached += pool->cache ? cache_bytes(pool->cache) : 0;
        servers += pool->idle.count + pool->lent.count + pool->cleaning.count;
    }
    const struct {
        const char *name;
        uint64_t size, used;
    } kinds[] = {{"client", sizeof(struct client), pool_process.clients.count},
                 {"server", sizeof(struct server), servers},
                 {"cached_results", 1, cached}};
    table_columns(out, "name +size +used +free +memtotal");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t begun = table_row(out, 5);
        table_text(out, kinds[i].name);
        table_number(out, kinds[i].size);
        table_number(out, kinds[i].used);
        table_number(out, 0);
        table_number(out, kinds[i].size * kinds[i].used);
        wire_end(out, begun);
    }
}

static void show_state(struct buffer *out)
{
    const char *rows[][2] = {{"active", pool_process.paused ? "no" : "yes"},
                             {"paused", pool_process.paused ? "yes" : "no"},
                             {"suspended", "no"}};
    table_columns(out, "key value");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t begun = table_row(out, 2);
        table_text(out, rows[i][0]);
        table_text(out, rows[i][1]);
        wire_end(out, begun);
    }
}

static void show_config(struct buffer *out)
{
    const char *name;
    table_columns(out, "key value default changeable");
    for (size_t i = 0; (name = console_setting(i)); i++) {
        AUTO_TEXT value = console_get(i);
        size_t begun = table_row(out, 4);
        table_text(out, name);
        table_text(out, value);
        table_text(out, NULL);
        table_text(out, value ? "yes" : "no");
        wire_end(out, begun);
    }
}

/* There are neither peers, nor names that are kept. */
static void show_peers(struct buffer *out)
{
    table_columns(out, "#peer_id host #port #pool_size");
}

static void show_peer_pools(struct buffer *out)
{
    table_columns(out, "#peer_id #cl_active_cancel_req #cl_waiting_cancel_req #sv_active_cancel "
                       "#sv_login");
}

static void show_dns_hosts(struct buffer *out)
{
    table_columns(out, "hostname +ttl addrs");
}

static void show_dns_zones(struct buffer *out)
{
    table_columns(out, "zonename +serial #count");
}

static void show_version(struct buffer *out)
{
    table_columns(out, "version");
    size_t begun = table_row(out, 1);
    table_text(out, "weir " WEIR_VERSION);
    wire_end(out, begun);
}

static void show_help(struct buffer *out);

static const struct {
    const char *name;
    void (*show)(struct buffer *out);
} subjects[] = {{"POOLS", show_pools},
                {"CLIENTS", show_clients},
                {"SERVERS", show_servers},
                {"SOCKETS", show_sockets},
                {"ACTIVE_SOCKETS", show_active_sockets},
                {"FDS", show_fds},
                {"DATABASES", show_databases},
                {"USERS", show_users},
                {"STATS", show_stats},
                {"STATS_TOTALS", show_stats_totals},
                {"STATS_AVERAGES", show_stats_averages},
                {"TOTALS", show_totals},
                {"CACHE", show_cache},
                {"LISTS", show_lists},
                {"CONFIG", show_config},
                {"STATE", show_state},
                {"MEM", show_mem},
                {"PEERS", show_peers},
                {"PEER_POOLS", show_peer_pools},
                {"DNS_HOSTS", show_dns_hosts},
                {"DNS_ZONES", show_dns_zones},
                {"VERSION", show_version},
                {"HELP", show_help}};

static void show_help(struct buffer *out)
{
    static const char *const commands[] = {
        "SET name = value",
        "PAUSE [database]",
        "RESUME [database]",
        "DISABLE database",
        "ENABLE database",
        "RECONNECT [database]",
        "KILL [database]",
        "KILL_CLIENT id",
        "WAIT_CLOSE [database]",
        "RELOAD",
        "SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]",
    };
    table_columns(out, "command");
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        AUTO_TEXT text = xasprintf("SHOW %s", subjects[i].name);
        size_t begun = table_row(out, 1);
        table_text(out, text);
        wire_end(out, begun);
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        size_t begun = table_row(out, 1);
        table_text(out, commands[i]);
        wire_end(out, begun);
    }
}

bool console_show(const char *subject, struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        if (strcasecmp(subject, subjects[i].name) == 0) {
            subjects[i].show(out);
            return true;
        }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a server: the servers of one (database, user), and the queue for them. */
#include <stdio.h>
#include <stdlib.h>

#include "cache.h"
#include "credentials.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "pool.h"
#include "tls.h"

enum {
    SPARE_AFTER_US = 500000,
    SHARE_MS = 100,        /* for which a pool keeps its only connection when others have none */
    LEAVES_MS = 1000,      /* for which a connection that was asked to leave is waited for */
    CHECK_HOLDS_MS = 1000, /* what has just answered works, and what has not answered may not */
    NEVER_CONNECTED_MS = 60000, /* a pool that has come to nothing is forgotten after this */
    FAILURES_MAX = 3,           /* after so many nobody waits */
};

static const struct wire_error queue_full = {
    "53300", "too many clients wait for a connection to this database", "queue_max is reached.",
    "Raise pool_size, or send fewer queries at once."};

static uint32_t servers_of(const struct pool *pool)
{
    return pool->connecting.count + pool->idle.count + pool->lent.count + pool->cleaning.count;
}

/* Pools that share a limit. */
typedef bool same_fn(const struct pool *a, const struct pool *b);

static bool same_database(const struct pool *a, const struct pool *b)
{
    return a->database == b->database;
}

static bool same_user(const struct pool *a, const struct pool *b)
{
    return strcmp(a->user, b->user) == 0;
}

static same_fn *other_limit(same_fn *same)
{
    return same == same_user ? same_database : same_user;
}

static int max_of(const struct pool *pool, same_fn *same)
{
    return same == same_user ? pool->user_connections_max : pool->limits.connections_max;
}

/* What they have together. */
static uint32_t sum(const struct pool *pool, same_fn *same,
                    uint32_t count_of(const struct pool *pool))
{
    uint32_t count = 0;
    for (const struct pool *other = pool_process.pools; other; other = other->next)
        if (same(pool, other))
            count += count_of(other);
    return count;
}

static uint32_t connecting_of(const struct pool *pool)
{
    return pool->connecting.count;
}

static uint32_t clients_of(const struct pool *pool)
{
    return pool->clients - pool->own_clients;
}

uint32_t clients_of_database(const struct pool *pool)
{
    return sum(pool, same_database, clients_of);
}

static int choose(int of_user, int of_database, int otherwise)
{
    return of_user >= 0 ? of_user : of_database >= 0 ? of_database : otherwise;
}

int clients_max_of_user(const char *user)
{
    const struct user_config *known = config_user(pool_process.config, user);
    return choose(known ? known->limits.clients_max : -1, -1,
                  pool_process.config->user_clients_max);
}

static int64_t choose_time(int64_t of_user, int64_t of_database, int64_t otherwise)
{
    return of_user >= 0 ? of_user : of_database >= 0 ? of_database : otherwise;
}

/* What holds for this user on this database: whoever says something more special wins. */
static void set_limits(struct pool *pool)
{
    static const struct pool_limits silent = POOL_LIMITS_SILENT;
    const struct pool_config *config = pool->config;
    const struct user_config *known = config_user(config, pool->user);
    const struct pool_limits *u = known ? &known->limits : &silent, *d = &pool->database->limits,
                             *g = &config->limits;
    pool->limits = (struct pool_limits){
        .mode = choose(u->mode, d->mode, g->mode),
        .size = choose(u->size, d->size, g->size),
        .size_min = choose(u->size_min, d->size_min, g->size_min),
        .size_reserve = choose(u->size_reserve, d->size_reserve, g->size_reserve),
        .connections_max = choose(-1, d->connections_max, g->connections_max),
        .query_wait_ms = choose_time(u->query_wait_ms, d->query_wait_ms, g->query_wait_ms),
        .query_ms = choose_time(u->query_ms, d->query_ms, g->query_ms),
        .transaction_ms = choose_time(u->transaction_ms, d->transaction_ms, g->transaction_ms),
        .idle_transaction_ms =
            choose_time(u->idle_transaction_ms, d->idle_transaction_ms, g->idle_transaction_ms),
        .server_lifetime_ms =
            choose_time(u->server_lifetime_ms, d->server_lifetime_ms, g->server_lifetime_ms),
        .client_idle_ms = choose_time(u->client_idle_ms, d->client_idle_ms, g->client_idle_ms),
    };
    pool->clients_max = choose(-1, d->clients_max, config->database_clients_max);
    pool->user_connections_max = choose(u->connections_max, -1, config->user_connections_max);
    pool->mode = (enum pool_mode)pool->limits.mode;
    pool->state = pool->database->state;
}

/* What clients have proved of themselves to the pool that stood in its place. */
static void inherit_credentials(struct pool *pool)
{
    for (const struct pool *old = pool_process.pools; old; old = old->next) {
        if (old->counters != pool->counters) /* of another database or user */
            continue;
        if (old->credentials->learned)
            credentials_learn_password(pool->credentials, old->credentials->password);
        credentials_learn(pool->credentials, &old->credentials->keys);
        return; /* the newest comes first */
    }
}

static struct pool *new_pool(const struct database_config *database, const char *database_name,
                             const char *user)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->config = config_hold(pool_process.config);
    pool->database = database;
    pool->database_name = xstrdup(database_name);
    pool->user = xstrdup(user);
    list_init(&pool->connecting);
    list_init(&pool->idle);
    list_init(&pool->lent);
    list_init(&pool->cleaning);
    list_init(&pool->listening);
    list_init(&pool->waiting);
    list_init(&pool->logins);
    pool->record = record_of(database_name);
    struct tally *tally = record_tally(pool->record, user);
    tally->pools++;
    pool->counters = &tally->counters;
    pool->used_us = pool_now();
    pool->statements = statements_new();
    pool->credentials = credentials_new(pool->config, database, user);
    inherit_credentials(pool);
    set_limits(pool);
    pool->cache = cache_new(&database->cache);
    pool->next = pool_process.pools;
    return pool_process.pools = pool;
}

struct pool *lend_pool(const struct database_config *database, const char *database_name,
                       const char *user)
{
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (!pool->retired && pool->database == database &&
            strcmp(pool->database_name, database_name) == 0 && strcmp(pool->user, user) == 0)
            return pool;
    return new_pool(database, database_name, user);
}

/* Its server is made for it and closed after it, and nothing of what it does is looked at. */
struct pool *lend_replication_pool(const struct database_config *database,
                                   const char *database_name, const char *user,
                                   const char *replication, struct params *startup)
{
    struct pool *pool = new_pool(database, database_name, user);
    pool->replication = xstrdup(replication);
    pool->startup = params_hold(startup);
    pool->mode = POOL_SESSION;
    pool->replications_max = pool->limits.size;
    pool->limits.size = 1;
    pool->limits.size_min = 0;
    pool->limits.server_lifetime_ms = 0;
    cache_free(&pool->cache);
    pool->retired = true;
    return pool;
}

/* ---- failure ---- */

/* It is away, starts or stops: worth another try in a moment. A wrong password is not. */
static bool is_away(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0;
}

/* What helps whoever reads of it: the database's words are as it says them to the pool. */
static const char *hint_for(const struct pool *pool)
{
    const char *sqlstate = pool->failure_sqlstate;
    if (pool->failure_hint)
        return pool->failure_hint;
    if (strncmp(sqlstate, "28", 2) == 0)
        return pool->database->user ? "The pool's own login was refused: check user and password "
                                      "of the database in its configuration."
                                    : "The database refused the login that the pool made for this "
                                      "user: has the password changed?";
    if (strcmp(sqlstate, "3D000") == 0)
        return "Check the database's name in the pool's configuration.";
    if (strcmp(sqlstate, "53300") == 0)
        return "The database has no connection left: raise its max_connections, or lower "
               "pool_size.";
    return is_away(sqlstate) ? "The pool tries again by itself." : NULL;
}

static void failure_of(const struct pool *pool, struct wire_error *ret_error)
{
    *ret_error =
        (struct wire_error){pool->failure_sqlstate, pool->failure, NULL, hint_for(pool), NULL};
}

bool pool_is_paused(const struct pool *pool)
{
    return pool->record->paused || pool_process.paused;
}

static bool is_pinned(const struct server *server)
{
    return server->client && server->client->pinned && server->pool->mode != POOL_SESSION;
}

/* Those that any of its clients may get: what one keeps for its state is no turn of the others. */
static uint32_t shared_of(const struct pool *pool)
{
    return servers_of(pool) - pool_pinned(pool);
}

/* The last of those that are lent which will be lent again, or NULL: what a client keeps for its
 * state may be its own for ever. */
static struct server *comes_back(const struct pool *pool)
{
    struct server *last = NULL;
    for (const struct link *link = list_first(&pool->lent); link;
         link = list_next(&pool->lent, link)) {
        struct server *server = CONTAINER_OF(link, struct server, link);
        if (!server->tainted && !server->worn && !is_pinned(server))
            last = server;
    }
    return last;
}

/* Connections that are asked whether they work still, and have not been for long. */
static uint32_t checks_under_way(const struct pool *pool)
{
    uint32_t count = 0;
    const struct list *cleaning = &pool->cleaning;
    for (const struct link *link = list_first(cleaning); link; link = list_next(cleaning, link)) {
        const struct server *server = CONTAINER_OF(link, struct server, link);
        count += server->checked && !pool_passed(server->used_us, CHECK_HOLDS_MS);
    }
    return count;
}

/* Is there no hope for now? A wrong password or database name is told at once. */
static bool is_down(const struct pool *pool)
{
    bool refused_login = pool->failures > 0 && !is_away(pool->failure_sqlstate);
    return (pool->failures >= FAILURES_MAX || refused_login) && pool->idle.count == 0 &&
           !comes_back(pool) && checks_under_way(pool) == 0;
}

/* All that wait for the pool's first connection, or those that have waited for longer than the
 * limit (0: all). Each is off the list before it goes on, which may lead here again. */
static void resume_logins(struct pool *pool, const struct wire_error *error, int64_t limit_ms)
{
    for (struct link *link; (link = list_first(&pool->logins));) {
        struct client *client = CONTAINER_OF(link, struct client, turn);
        if (limit_ms > 0 && !pool_passed(client->since_us, limit_ms))
            break;
        login_resume(client, error);
    }
}

/* ---- more servers ---- */

/* Of one user and database there are no more of them than of others. */
static bool has_replication_room(const struct pool *pool)
{
    int count = 0;
    for (const struct pool *other = pool_process.pools; other; other = other->next)
        if (other->replication && same_database(pool, other) && same_user(pool, other))
            count += (int)servers_of(other);
    return count < pool->replications_max;
}

/* May it make one, as far as that does not depend on those who share a limit with it? */
static bool is_able(const struct pool *pool)
{
    uint64_t now = pool_now();
    uint32_t size = (uint32_t)pool->limits.size;
    const struct link *first = list_first(&pool->waiting);
    if (pool->connecting.count >= CONNECTING_MAX || now < pool->retry_us || pool_is_paused(pool))
        return false;
    if (pool->replication && !has_replication_room(pool))
        return false;
    if (pool->failures > 0 &&
        (pool->connecting.count > 0 ||
         (is_away(pool->failure_sqlstate) && sum(pool, same_database, connecting_of) > 0)))
        return false; /* one attempt shows whether it is back */
    if (first && pool->limits.size_reserve > 0 &&
        now - CONTAINER_OF(first, struct client, waiting)->since_us >
            (uint64_t)pool->config->reserve_after_ms * 1000)
        size += (uint32_t)pool->limits.size_reserve;
    return servers_of(pool) < size;
}

/* Long enough that giving one up is no loss: making one costs more than it has brought. */
static bool has_long_idle(const struct pool *pool)
{
    const struct link *last = list_last(&pool->idle);
    return last && pool_now() - CONTAINER_OF(last, struct server, link)->used_us > SPARE_AFTER_US;
}

/* One of those that were asked to leave: what has not come after a while may be long in coming. */
static uint32_t coming_of(const struct pool *pool)
{
    return pool->leaving > 0 && !pool_passed(pool->asked_us, LEAVES_MS);
}

/* Whoever has most of those who share the limit, if it has more than this one, or idle ones. Where
 * there are more of them than connections, who has none gets one of those that have had theirs for
 * a while. What a session has comes back when that ends: sessions are asked when nobody else is. */
static struct pool *find_giver(const struct pool *pool, same_fn *same, bool sessions)
{
    struct pool *richest = NULL;
    uint32_t own = shared_of(pool), most = own > 0 ? own + 2 : 1;
    for (struct pool *other = pool_process.pools; other; other = other->next) {
        if (other == pool || !same(pool, other))
            continue;
        uint32_t theirs = shared_of(other);
        bool idles =
            other->waiting.count == 0 && (own > 0 ? has_long_idle(other) : other->idle.count > 0);
        bool richer = theirs > most ||
                      (theirs == most && (!richest || other->opened_us < richest->opened_us));
        bool had_turn = theirs > 1 || pool_passed(other->opened_us, SHARE_MS);
        bool may_give = other->idle.count > 0 ||
                        ((other->mode != POOL_SESSION || sessions) && comes_back(other));
        if (idles || (richer && had_turn && may_give)) {
            richest = other;
            most = idles ? UINT32_MAX : theirs;
        }
    }
    return richest || sessions ? richest : find_giver(pool, same, true);
}

/* Is there room under that limit? */
static bool is_below(const struct pool *pool, same_fn *same)
{
    int max = max_of(pool, same);
    return max <= 0 || sum(pool, same, servers_of) < (uint32_t)max;
}

/* … or would there be at once? */
static bool is_at_hand(const struct pool *pool, same_fn *same)
{
    if (is_below(pool, same))
        return true;
    const struct pool *giver = find_giver(pool, same, false);
    return giver && giver->idle.count > 0;
}

uint32_t pool_waiting(const struct pool *pool)
{
    return pool->waiting.count + pool->logins.count;
}

/* Does it wait for a connection that it may have, as soon as the other limit lets it? */
static bool wants_one(const struct pool *pool, same_fn *same)
{
    same_fn *beyond = other_limit(same);
    return pool_waiting(pool) > 0 && is_able(pool) &&
           (is_at_hand(pool, beyond) || sum(pool, beyond, coming_of) > 0);
}

/* Has it fewer, or as many and got its last one before the other did? */
static bool comes_before(const struct pool *pool, const struct pool *other)
{
    uint32_t own = shared_of(pool), others = shared_of(other);
    return own < others || (own == others && pool->opened_us < other->opened_us);
}

/* The last connection that those who share the limit may have is for whoever waits and has fewest.
 */
static bool has_room_among(const struct pool *pool, same_fn *same)
{
    int max = max_of(pool, same);
    if (max <= 0)
        return true;
    uint32_t total = sum(pool, same, servers_of);
    if (total + 1 < (uint32_t)max)
        return true;
    for (const struct pool *other = pool_process.pools; other; other = other->next)
        if (same(pool, other) && comes_before(other, pool) && wants_one(other, same))
            return false;
    return total < (uint32_t)max;
}

static bool may_connect(const struct pool *pool)
{
    return is_able(pool) && has_room_among(pool, same_database) && has_room_among(pool, same_user);
}

void pool_count(uint64_t *histogram, uint64_t us)
{
    int bucket = us ? 64 - __builtin_clzll(us) : 0;
    histogram[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
}

static void connect_one(struct pool *pool)
{
    if (servers_of(pool) >= (uint32_t)pool->limits.size)
        log_info("database %s, user %s: taking connection from reserve_pool", pool->database_name,
                 pool->user);
    struct server *server = server_new(pool);
    pool->opened_us = pool_now();
    server_login_start(server);
}

/* Those who share the limit have as many connections as they may: one of them gives one up, now if
 * it idles, else after its transaction. None does for a pool that another limit holds back. */
static void take_from(const struct pool *pool, same_fn *same)
{
    same_fn *beyond = other_limit(same);
    struct pool *giver = is_below(pool, same) ? NULL : find_giver(pool, same, false);
    if (!giver)
        return;
    struct link *idle = list_last(&giver->idle);
    bool at_hand = is_at_hand(pool, beyond);
    if (idle && at_hand)
        server_close(CONTAINER_OF(idle, struct server, link), "evicted for another pool");
    else if (!idle && sum(pool, same, coming_of) == 0 &&
             (at_hand || find_giver(pool, beyond, false) || sum(pool, beyond, coming_of) > 0))
        server_leave(comes_back(giver));
}

static void take_from_others(const struct pool *pool)
{
    if (pool->connecting.count > 0 || !is_able(pool))
        return;
    take_from(pool, same_database);
    take_from(pool, same_user);
}

void pool_open(struct pool *pool)
{
    struct wire_error error;
    if (is_down(pool) && pool_now() < pool->retry_us) {
        failure_of(pool, &error);
        resume_logins(pool, &error, 0);
    } else if (pool->connecting.count == 0) {
        take_from_others(pool);
        if (may_connect(pool))
            connect_one(pool); /* else the tick does, as soon as it may */
    }
}

/* So many clients wait that are not served by those that are on their way. */
static void connect_for_waiting(struct pool *pool)
{
    uint32_t checks = checks_under_way(pool);
    if (pool->waiting.count > pool->connecting.count + checks)
        take_from_others(pool);
    while (pool->waiting.count > pool->connecting.count + checks && may_connect(pool)) {
        uint32_t before = pool->connecting.count;
        connect_one(pool);
        if (pool->connecting.count <= before)
            break; /* it failed at once */
    }
}

/* ---- lending ---- */

static bool needs_check(const struct server *server)
{
    const struct pool_config *config = server->pool->config;
    int64_t delay_ms = config->server_check_delay_ms;
    if (server->checked && delay_ms < CHECK_HOLDS_MS)
        delay_ms = CHECK_HOLDS_MS;
    return config_check_sql(config) && !server->pool->replication &&
           pool_now() - server->used_us >= (uint64_t)delay_ms * 1000;
}

/* The idle one whose turn it is. Those that nobody has used for long are asked first whether they
 * work still, as many as are wanted; NULL: they have to answer, or there is none. */
static struct server *take_idle(struct pool *pool, uint32_t wanted)
{
    struct link *first;
    while ((first = list_first(&pool->idle))) {
        struct server *server = CONTAINER_OF(first, struct server, link);
        if (!needs_check(server))
            return server;
        if (checks_under_way(pool) >= wanted)
            return NULL;
        server_check(server);
    }
    return NULL;
}

static void link_up(struct client *client, struct server *server)
{
    client->server = server;
    server->client = client;
    server->served = true;
    server->fresh = true;
    server->checked = false;
    client_follow(client, server->base_params);
    client_settle_params(client);
    tenant_lend(&client->pool->tenants, client->tenant);
    client->pinned = client->pool->mode == POOL_SESSION;
    server_become(server, SERVER_LENT);
}

static void wait_in_queue(struct pool *pool, struct client *client)
{
    client->state = CLIENT_WAITING;
    client->told_of_wait = false;
    client->since_us = pool_now();
    list_push_back(&pool->waiting, &client->waiting);
    tenant_wait(&pool->tenants, client);
    pool->counters->waits++;
}

void pool_stop_waiting(struct client *client)
{
    uint64_t waited = pool_now() - client->since_us;
    list_remove(&client->pool->waiting, &client->waiting);
    tenant_stop_waiting(client);
    client->state = CLIENT_READY;
    client->active_us = pool_now();
    client->pool->counters->wait_us += waited;
    pool_count(client->pool->counters->wait_histogram, waited);
}

void pool_take_back(struct client *client, uint64_t used_us)
{
    tenant_give_back(&client->pool->tenants, client->tenant, used_us);
}

/* Room in the queue: if there is none, whoever has most waiting gives way to who has less. */
static bool make_room(struct pool *pool, struct client *newcomer)
{
    if (pool->waiting.count < (uint32_t)pool->config->queue_max)
        return true;
    struct client *refused = tenant_to_refuse(&pool->tenants, newcomer->tenant);
    if (refused)
        client_stop_waiting(refused, &queue_full);
    return refused != NULL;
}

bool pool_lend(struct pool *pool, struct client *client)
{
    struct server *idle =
        pool->waiting.count == 0 && !pool_is_paused(pool) ? take_idle(pool, 1) : NULL;
    struct wire_error error;
    if (idle) {
        link_up(client, idle);
        pool_count(pool->counters->wait_histogram, 0);
        return true;
    }
    if (is_down(pool)) {
        failure_of(pool, &error);
        client_trouble(client, &error);
        pool->probe_wanted = true;
        return false;
    }
    if (!make_room(pool, client)) {
        client_trouble(client, &queue_full);
        return false;
    }
    wait_in_queue(pool, client);
    connect_for_waiting(pool);
    return false;
}

/* Whoever changes something has a reason to hope that it works now. */
static void take_new_limits(struct pool *pool)
{
    pool->failures = 0;
    pool->retry_us = 0;
    set_limits(pool);
    pool_serve_later(pool);
}

void lend_adopt(struct pool *pool, const struct database_config *database)
{
    struct pool_config *before = pool->config;
    pool->config = config_hold(pool_process.config);
    pool->database = database;
    config_release(&before);
    tls_context_free(&pool->tls); /* SET may have changed what it was made of */
    take_new_limits(pool);
}

static void free_pool(struct pool *pool)
{
    const struct database_config *named = config_database(pool_process.config, pool->database_name);
    bool invented = !named || strcmp(named->name, "*") == 0;
    bool counted = pool->counters->logins > 0;
    if (!pool->retired)
        log_info("database %s, user %s: cleaning up idle pool", pool->database_name, pool->user);
    struct pool **place = &pool_process.pools;
    while (*place != pool)
        place = &(*place)->next;
    *place = pool->next;
    record_tally(pool->record, pool->user)->pools--;
    cache_free(&pool->cache);
    statements_free(&pool->statements);
    credentials_free(&pool->credentials);
    tls_context_free(&pool->tls);
    params_release(&pool->welcome);
    params_release(&pool->startup);
    buffer_done(&pool->heard);
    free(pool->replication);
    config_release(&pool->config);
    free(pool->database_name);
    free(pool->user);
    free(pool->failure);
    if (invented && !counted)
        record_drop(pool->record);
    free(pool);
}

void lend_set_limits(void)
{
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        if (!pool->retired)
            take_new_limits(pool);
    }
}

/* Of an older plan, or for long nobody's. */
static bool is_unwanted(const struct pool *pool)
{
    int64_t idle_ms = pool->config->pool_idle_ms;
    if (!pool->welcome && idle_ms > NEVER_CONNECTED_MS)
        idle_ms = NEVER_CONNECTED_MS;
    return pool->retired || (idle_ms > 0 && pool->limits.size_min == 0 &&
                             pool_now() - pool->used_us > (uint64_t)idle_ms * 1000);
}

void lend_free_unwanted(void)
{
    for (struct pool *pool = pool_process.pools, *next; pool; pool = next) {
        next = pool->next;
        if (pool->clients > 0 || servers_of(pool) > 0)
            pool->used_us = pool_now();
        else if (is_unwanted(pool) && pool->questions == 0 && !pool->listener &&
                 pool_process.closed_servers.count + pool_process.closed_clients.count == 0)
            free_pool(pool);
    }
}

void pool_serve(struct pool *pool)
{
    struct client *client;
    struct server *idle;
    while (!pool_is_paused(pool) && (client = tenant_next(&pool->tenants)) &&
           (idle = take_idle(pool, pool->waiting.count))) {
        pool_stop_waiting(client);
        link_up(client, idle);
        client_run(client);
    }
    connect_for_waiting(pool);
    if (pool->logins.count > 0 && servers_of(pool) == 0)
        pool_open(pool);
}

void pool_closed_one(struct pool *pool)
{
    bool limited = pool->limits.connections_max > 0 || pool->user_connections_max > 0;
    pool_serve_later(pool);
    for (struct pool *other = pool_process.pools; other && limited; other = other->next)
        if ((same_database(pool, other) || same_user(pool, other)) && pool_waiting(other) > 0)
            pool_serve_later(other);
}

/* ---- connections that do or do not come about ---- */

void pool_connect_worked(struct pool *pool)
{
    for (struct pool *other = pool_process.pools; other; other = other->next) {
        bool same_hope = other->failures > 0 && is_away(other->failure_sqlstate);
        if (other != pool && !(same_hope && same_database(pool, other)))
            continue;
        other->failures = 0;
        other->retry_us = 0;
        text_free(&other->failure);
        if (other != pool)
            pool_serve_later(other);
    }
    resume_logins(pool, NULL, 0);
}

/* 100 ms, doubled with each failure up to 5 s, and a part of it by chance, so that many pools do
 * not try at the same time. A refused login is no better in a moment. */
uint64_t pool_retry_delay_us(uint32_t failures, bool refused)
{
    uint64_t delay = 100000;
    for (uint32_t i = 1; i < failures && delay < 5000000; i++)
        delay *= 2;
    delay = delay < 5000000 ? delay : 5000000;
    if (refused && delay < 1000000)
        delay = 1000000;
    return delay * 3 / 4 + (uint64_t)random() % (delay / 2);
}

static bool any_is_up(const struct pool *pool)
{
    return pool->idle.count + pool->lent.count + pool->cleaning.count + pool->listening.count > 0;
}

static void set_failure(struct pool *pool, const struct wire_error *error, uint32_t failures,
                        uint64_t retry_us)
{
    struct wire_error kept;
    pool->failures = failures;
    text_free(&pool->failure);
    pool->failure = xstrdup(error->message);
    (void)snprintf(pool->failure_sqlstate, sizeof(pool->failure_sqlstate), "%.5s", error->sqlstate);
    pool->failure_hint = error->hint;
    pool->retry_us = retry_us;
    if (!is_down(pool))
        return;
    failure_of(pool, &kept);
    resume_logins(pool, &kept, 0);
    for (struct link *link; (link = list_first(&pool->waiting));) {
        client_stop_waiting(CONTAINER_OF(link, struct client, waiting), &kept);
    }
}

void pool_connect_failed(struct pool *pool, const struct wire_error *error, bool in_time,
                         bool listens, bool silent)
{
    bool refused = !is_away(error->sqlstate);
    pool->counters->failed_connects++;
    log_warn("database %s, user %s: %s (%s)%s%s", pool->database_name, pool->user, error->message,
             error->sqlstate, error->hint ? "; " : "", error->hint ? error->hint : "");
    if (listens && any_is_up(pool))
        return;
    uint32_t failures = pool->failures;
    if (failures == 0 || pool->opened_us >= pool->shared_us)
        failures++; /* else it was under way when another one's failure was taken for its own */
    if (!in_time && failures < FAILURES_MAX)
        failures = FAILURES_MAX; /* who waits has waited for long enough */
    uint64_t retry_us = pool_now() + pool_retry_delay_us(failures, refused);
    set_failure(pool, error, failures, retry_us);
    for (struct pool *other = pool_process.pools; other && silent && !refused;
         other = other->next) {
        if (other == pool || !same_database(pool, other) || any_is_up(other))
            continue;
        other->shared_us = pool_now();
        set_failure(other, error, failures, retry_us);
    }
}

/* ---- time ---- */

uint32_t pool_pinned(const struct pool *pool)
{
    uint32_t count = 0;
    const struct list *lent = &pool->lent;
    for (struct link *link = list_first(lent); link; link = list_next(lent, link))
        count += is_pinned(CONTAINER_OF(link, struct server, link));
    return count;
}

/* A login waits for the pool's first connection as a query waits for one. */
static void end_long_waits(struct pool *pool)
{
    int64_t limit_ms = pool->limits.query_wait_ms;
    const struct link *first = list_first(&pool->waiting);
    bool late =
        first && pool_passed(CONTAINER_OF(first, struct client, waiting)->since_us, limit_ms);
    if (limit_ms <= 0 || (!late && pool->logins.count == 0))
        return;
    AUTO_TEXT detail =
        xasprintf("%u connections are in use, %u of them pinned by session state; %u clients wait; "
                  "query_wait_timeout is %lld ms.",
                  pool->lent.count, pool_pinned(pool), pool_waiting(pool), (long long)limit_ms);
    const struct wire_error error = {
        "57P03", "no connection to the database became free in time", detail,
        pool_is_paused(pool)
            ? "An administrator has paused the pool: RESUME on the console lets it go on."
            : "The pool is exhausted: raise pool_size, shorten transactions, or see "
              "session_state about what pins.",
        NULL};
    for (struct link *link; (link = list_first(&pool->waiting));) {
        struct client *client = CONTAINER_OF(link, struct client, waiting);
        if (!pool_passed(client->since_us, limit_ms))
            break;
        client_stop_waiting(client, &error);
    }
    resume_logins(pool, &error, limit_ms);
}

static void tick_servers(struct list *list)
{
    struct link *link = list_first(list), *next;
    for (; link; link = next) {
        next = list_next(list, link);
        server_tick(CONTAINER_OF(link, struct server, link));
    }
}

/* More than the minimum is closed after it was idle for long; the minimum is kept open. */
static void fit_size(struct pool *pool)
{
    int64_t idle_ms = pool->config->server_idle_ms;
    struct link *link = list_last(&pool->idle);
    bool unwanted = pool->retired && (!pool->replication || pool->clients == 0);
    uint32_t total = servers_of(pool);
    uint32_t least = pool->retired || handover_has_begun() ? 0 : (uint32_t)pool->limits.size_min;
    if (link && total > least && (idle_ms > 0 || unwanted)) {
        struct server *server = CONTAINER_OF(link, struct server, link);
        if (unwanted || pool_now() - server->used_us > (uint64_t)idle_ms * 1000)
            server_close(server, unwanted ? "the configuration has changed"
                                          : "server_idle_timeout is over");
    }
    bool awaited = (pool->logins.count > 0 || pool->probe_wanted) && pool->connecting.count == 0;
    if (total >= least && !awaited)
        return;
    if (awaited)
        take_from_others(pool); /* the minimum is filled where there is room */
    if (!may_connect(pool))
        return;
    pool->probe_wanted = false;
    connect_one(pool);
}

void pool_tick(struct pool *pool)
{
    tick_servers(&pool->connecting);
    tick_servers(&pool->lent);
    tick_servers(&pool->cleaning);
    tick_servers(&pool->idle);
    end_long_waits(pool);
    fit_size(pool);
    listen_tick(pool);
    pool_serve(pool);
}

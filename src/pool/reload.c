/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include "credentials.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "own.h"
#include "pool.h"
#include "worker.h"

/* ---- clients ---- */

/* Statements are a pool's: names on its servers mean nothing elsewhere. */
static void move_statements(struct client *client, struct statements *to)
{
    struct names moved = {0};
    for (uint32_t i = 0; i < client->names.cap; i++) {
        const struct statement *statement = names_at(&client->names, i);
        struct slice name;
        uint64_t told;
        if (!statement)
            continue;
        names_name_at(&client->names, i, &name, &told);
        names_put(&moved, name,
                  statements_intern(to, (struct slice){statement->body, statement->body_bytes},
                                    statement->meaning));
        *names_told(&moved, name) = told;
    }
    names_done(&client->names);
    client->names = moved;
    struct statement *unnamed = client->unnamed;
    if (!unnamed)
        return;
    client->unnamed =
        statements_intern(to, (struct slice){unnamed->body, unnamed->body_bytes}, unnamed->meaning);
    statement_release(&unnamed);
}

static void move(struct client *client, struct pool *to)
{
    struct pool *from = client->pool;
    move_statements(client, to->statements);
    listen_move(client, to);
    tenant_leave(&from->tenants, &client->tenant);
    from->clients--;
    client->pool = to;
    to->clients++;
    uint32_t deployment_id = worker_deployment(client);
    client->tenant = tenant_join(
        &to->tenants, deployment_id,
        deployment_id ? SLICE("") : params_get(client->startup_params, "application_name"));
    client->pinned = to->mode == POOL_SESSION;
}

/* Its pool is of an older plan, and another can take its place. */
static bool is_left_behind(const struct client *client)
{
    return client->pool && client->pool->retired && !client->pool->replication && !own_is(client);
}

const struct wire_error reload_removed = {
    "57P01", "terminating connection: the database is not served any more", NULL,
    "Connect to another, or add it to the pool's configuration again.", NULL};

bool reload_follow(struct client *client)
{
    const struct pool *from = client->pool;
    if (!is_left_behind(client))
        return true;
    const struct database_config *database =
        config_database(pool_process.config, from->database_name);
    if (!database) {
        client_close(client, &reload_removed);
        return false;
    }
    move(client, lend_pool(database, from->database_name,
                           database->user ? database->user : client->tally->user));
    return true;
}

/* Those that use their pool now follow when they ask for the next transaction. */
static bool may_follow(const struct client *client)
{
    return client->pool && client->pool->retired && !client->pool->replication && !own_is(client) &&
           client->state == CLIENT_READY && !client->server && !client->awaits_listen &&
           !client->closing && !client->closed;
}

static void follow_all(void)
{
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (client->state == CLIENT_WAITING && is_left_behind(client)) {
            pool_stop_waiting(client);
            pool_again(client); /* what it waits with is asked there */
        }
        if (may_follow(client))
            (void)reload_follow(client);
    }
}

/* ---- pools ---- */

static void retire(struct pool *pool)
{
    pool->retired = true;
    server_close_all(&pool->idle, "database configuration changed");
    server_taint_all(&pool->lent);
    server_taint_all(&pool->cleaning);
}

/* Would the new plan make the same connections? */
static bool stands(const struct pool *pool, const struct database_config *database)
{
    return !pool->retired && database &&
           memcmp(database->connections, pool->database->connections,
                  sizeof(database->connections)) == 0 &&
           credentials_stand(pool->credentials, pool_process.config, database);
}

void reload_take_config(void)
{
    const struct pool_config *config = pool_process.config;
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        const struct database_config *database = config_database(config, pool->database_name);
        if (stands(pool, database))
            lend_adopt(pool, database);
        else if (!pool->retired)
            retire(pool);
    }
    for (size_t i = 0; i < config->databases_count && !handover_has_begun(); i++) {
        const struct database_config *database = &config->databases[i];
        if (database->user && strcmp(database->name, "*") != 0)
            (void)lend_pool(database, database->name, database->user); /* its minimum is opened */
    }
    follow_all();
    record_forget();
}

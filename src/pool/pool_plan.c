/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_plan.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "hba.h"
#include "wire.h"

enum { CANCEL_WAIT_MS = 10000 };

/* A word and the value of an enum. */
struct word {
    const char *word;
    int value;
};

static const struct word modes[] = {{"session", POOL_SESSION},
                                    {"transaction", POOL_TRANSACTION},
                                    {"statement", POOL_STATEMENT},
                                    {0}};
static const struct word methods[] = {{"scram-sha-256", AUTH_SCRAM},
                                      {"md5", AUTH_MD5},
                                      {"password", AUTH_PASSWORD},
                                      {"cert", AUTH_CERT},
                                      {"trust", AUTH_TRUST},
                                      {"any", AUTH_ANY},
                                      {"hba", AUTH_HBA},
                                      {"peer", AUTH_PEER},
                                      {"reject", AUTH_REJECT},
                                      {0}};
static const struct word tls_modes[] = {{"disable", TLS_DISABLE},
                                        {"allow", TLS_ALLOW},
                                        {"prefer", TLS_PREFER},
                                        {"require", TLS_REQUIRE},
                                        {"verify-ca", TLS_VERIFY_CA},
                                        {"verify-full", TLS_VERIFY_FULL},
                                        {0}};
static const struct word bindings[] = {{"prefer", false}, {"require", true}, {0}};
static const struct word policies[] = {
    {"pin", STATE_PIN}, {"error", STATE_ERROR}, {"allow", STATE_ALLOW}, {0}};
static const struct word attrs[] = {{"any", ATTRS_ANY},
                                    {"read-write", ATTRS_READ_WRITE},
                                    {"read-only", ATTRS_READ_ONLY},
                                    {"primary", ATTRS_PRIMARY},
                                    {"standby", ATTRS_STANDBY},
                                    {"prefer-standby", ATTRS_PREFER_STANDBY},
                                    {0}};

static const struct word balances[] = {{"disable", BALANCE_DISABLE},
                                       {"round-robin", BALANCE_ROUND_ROBIN},
                                       {"random", BALANCE_RANDOM},
                                       {0}};

static int64_t integer(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static bool flag(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static char *text(const json_t *object, const char *key, const char *fallback)
{
    const char *value = json_string_value(json_object_get(object, key));
    value = value ? value : fallback;
    return value ? xstrdup(value) : NULL;
}

/* -1 in *ret where the key is absent. */
static int choice(const json_t *object, const char *key, const struct word *words, int fallback,
                  int *ret, struct error *err)
{
    const char *value = json_string_value(json_object_get(object, key));
    *ret = fallback;
    if (!value)
        return 0;
    for (; words->word; words++)
        if (strcmp(words->word, value) == 0) {
            *ret = words->value;
            return 0;
        }
    return error_set(err, -EINVAL, "%s: \"%s\" is none of its values", key, value);
}

static char **names(const json_t *object, const char *key)
{
    const json_t *array = json_object_get(object, key);
    char **list = xcalloc(json_array_size(array) + 1, sizeof(*list));
    for (size_t i = 0, count = 0; i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (name)
            list[count++] = xstrdup(name);
    }
    return list;
}

static int read_limits(const json_t *object, const struct pool_limits *otherwise,
                       struct pool_limits *ret, struct error *err)
{
    *ret = (struct pool_limits){
        .size = (int)integer(object, "pool_size", otherwise->size),
        .size_min = (int)integer(object, "pool_size_min", otherwise->size_min),
        .size_reserve = (int)integer(object, "pool_size_reserve", otherwise->size_reserve),
        .connections_max = (int)integer(object, "connections_max", otherwise->connections_max),
        .clients_max = (int)integer(object, "clients_max", otherwise->clients_max),
        .query_wait_ms = integer(object, "query_wait_timeout", otherwise->query_wait_ms),
        .query_ms = integer(object, "query_timeout", otherwise->query_ms),
        .transaction_ms = integer(object, "transaction_timeout", otherwise->transaction_ms),
        .idle_transaction_ms =
            integer(object, "idle_transaction_timeout", otherwise->idle_transaction_ms),
        .server_lifetime_ms = integer(object, "server_lifetime", otherwise->server_lifetime_ms),
        .client_idle_ms = integer(object, "client_idle_timeout", otherwise->client_idle_ms),
    };
    return choice(object, "pool_mode", modes, otherwise->mode, &ret->mode, err);
}

static int read_tls(const json_t *object, enum tls_mode otherwise, struct tls_settings *ret,
                    struct error *err)
{
    int mode, binding = 0, r = choice(object, "mode", tls_modes, otherwise, &mode, err);
    if (r == 0)
        r = choice(object, "channel_binding", bindings, false, &binding, err);
    *ret = (struct tls_settings){
        .mode = (enum tls_mode)mode,
        .certificate = text(object, "certificate", NULL),
        .key = text(object, "key", NULL),
        .ca = text(object, "ca", NULL),
        .protocols = text(object, "protocols", NULL),
        .ciphers = text(object, "ciphers", NULL),
        .direct = flag(object, "direct", false),
        .binding_required = binding,
    };
    return r;
}

static const struct pool_limits silent = POOL_LIMITS_SILENT;

static int read_user(const json_t *object, struct user_config *ret, struct error *err)
{
    ret->name = text(object, "name", "");
    ret->secret = text(object, "secret", NULL);
    ret->may_login = flag(object, "login", true);
    return read_limits(object, &silent, &ret->limits, err);
}

static int compare_users(const void *a, const void *b)
{
    return strcmp(((const struct user_config *)a)->name, ((const struct user_config *)b)->name);
}

static void read_hosts(const json_t *array, struct database_config *database)
{
    database->hosts_count = json_array_size(array);
    database->hosts = xcalloc(database->hosts_count + 1, sizeof(*database->hosts));
    for (size_t i = 0; i < database->hosts_count; i++) {
        const json_t *host = json_array_get(array, i);
        database->hosts[i] =
            (struct host_config){text(host, "host", ""), (uint16_t)integer(host, "port", 5432)};
    }
}

static void read_settings(json_t *object, struct database_config *database)
{
    const char *name;
    json_t *value;
    database->settings = xcalloc(json_object_size(object) + 1, sizeof(*database->settings));
    json_object_foreach(object, name, value) if (json_is_string(value))
        database->settings[database->settings_count++] =
        (struct setting){xstrdup(name), xstrdup(json_string_value(value))};
}

static struct cache_config read_cache(const json_t *object)
{
    return (struct cache_config){
        .enabled = json_is_object(object),
        .max_age_ms = integer(object, "max_age", 60000),
        .stale_ms = integer(object, "stale_while_revalidate", 15000),
        .bytes_max = (uint64_t)integer(object, "bytes_max", 64 * 1024 * 1024),
        .result_bytes_max = (uint64_t)integer(object, "result_bytes_max", 1024 * 1024),
    };
}

/* Without what may change under a pool that goes on. */
static void hash_connections(const json_t *object, uint8_t ret_hash[32])
{
    static const char *const others[] = {"name",
                                         "id",
                                         "pool_mode",
                                         "pool_size",
                                         "pool_size_min",
                                         "pool_size_reserve",
                                         "connections_max",
                                         "clients_max",
                                         "query_wait_timeout",
                                         "query_timeout",
                                         "transaction_timeout",
                                         "idle_transaction_timeout",
                                         "client_idle_timeout",
                                         "server_lifetime",
                                         "session_state",
                                         "auth_user",
                                         "auth_query",
                                         "auth_database",
                                         "load_balance_hosts"};
    json_t *rest = json_copy((json_t *)(uintptr_t)object);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        (void)json_object_del(rest, others[i]);
    char *text = json_dumps(rest, JSON_SORT_KEYS | JSON_COMPACT);
    if (!text || EVP_Digest(text, strlen(text), ret_hash, NULL, EVP_sha256(), NULL) != 1)
        abort();
    secret_wipe(text, strlen(text));
    free(text);
    json_decref(rest);
}

static int read_database(const json_t *object, const struct pool_config *config,
                         struct database_config *ret, struct error *err)
{
    int state, session_attrs, balance;
    ret->name = text(object, "name", "");
    ret->id = text(object, "id", NULL);
    ret->database = text(object, "database", NULL);
    ret->user = text(object, "user", NULL);
    ret->password = secret_text_new(json_string_value(json_object_get(object, "password")));
    ret->auth_query = text(object, "auth_query", NULL);
    ret->auth_user = text(object, "auth_user", NULL);
    ret->auth_database = text(object, "auth_database", NULL);
    ret->connect_query = text(object, "connect_query", NULL);
    ret->cache = read_cache(json_object_get(object, "cache"));
    hash_connections(object, ret->connections);
    read_hosts(json_object_get(object, "hosts"), ret);
    read_settings(json_object_get(object, "settings"), ret);
    if (read_limits(object, &silent, &ret->limits, err) < 0 ||
        read_tls(json_object_get(object, "tls"), TLS_PREFER, &ret->tls, err) < 0 ||
        choice(object, "session_state", policies, config->state, &state, err) < 0 ||
        choice(object, "load_balance_hosts", balances, BALANCE_DISABLE, &balance, err) < 0 ||
        choice(object, "target_session_attrs", attrs, ATTRS_ANY, &session_attrs, err) < 0)
        return -EINVAL;
    ret->state = (enum state_policy)state;
    ret->attrs = (enum session_attrs)session_attrs;
    ret->balance = (enum host_balance)balance;
    return 0;
}

static int read_general(const json_t *root, struct pool_config *config, struct error *err)
{
    static const struct pool_limits defaults = {POOL_TRANSACTION, 20, 0, 0,     0,       10000,
                                                120000,           0,  0, 10000, 3600000, 0};
    int auth, state;
    config->auth_query = text(root, "auth_query", NULL);
    config->auth_user = text(root, "auth_user", NULL);
    config->auth_database = text(root, "auth_database", NULL);
    config->admin_users = names(root, "admin_users");
    config->stats_users = names(root, "stats_users");
    config->ignore_startup_parameters = names(root, "ignore_startup_parameters");
    config->notes = names(root, "notes");
    config->database_clients_max = (int)integer(root, "database_clients_max", 0);
    config->user_clients_max = (int)integer(root, "user_clients_max", 0);
    config->user_connections_max = (int)integer(root, "user_connections_max", 0);
    config->queue_max = (int)integer(root, "queue_max", 10000);
    config->reserve_after_ms = integer(root, "reserve_after", 5000);
    config->wait_notify_ms = integer(root, "query_wait_notify", 0);
    config->client_login_ms = integer(root, "client_login_timeout", 60000);
    config->denial_delay_ms = integer(root, "failed_login_delay", 8000);
    config->server_connect_ms = integer(root, "server_connect_timeout", 15000);
    config->tcp_user_ms = integer(root, "tcp_user_timeout", 60000);
    config->pool_idle_ms = integer(root, "pool_idle_timeout", 3600000);
    config->server_idle_ms = integer(root, "server_idle_timeout", 600000);
    config->cancel_wait_ms = integer(root, "cancel_wait_timeout", CANCEL_WAIT_MS);
    config->slow_query_ms = integer(root, "slow_query", 0);
    config->server_reset_query = text(root, "server_reset_query", "DISCARD ALL");
    config->server_check_query = text(root, "server_check_query", "");
    config->server_check_delay_ms = integer(root, "server_check_delay", 30000);
    config->dns_max_ttl_ms = integer(root, "dns_max_ttl", 15000);
    config->login_notice = text(root, "login_notify_message", "");
    config->reset_always = flag(root, "server_reset_query_always", false);
    config->round_robin = flag(root, "server_round_robin", false);
    config->io_uring = flag(root, "io_uring", true);
    config->log_connections = flag(root, "log_connections", false);
    config->log_disconnections = flag(root, "log_disconnections", false);
    config->log_errors = flag(root, "log_errors", true);
    config->standalone = flag(root, "standalone", false);
    config->server_tls_mode = TLS_PREFER;
    config->statements_max = (int)integer(root, "prepared_statements_max", 256);
    config->client_statements_max = (int)integer(root, "client_statements_max", 4096);
    config->client_statements_bytes_max =
        (uint64_t)integer(root, "client_statements_bytes_max", 16 * 1024 * 1024);
    config->clients_bytes_max = (uint64_t)integer(root, "clients_bytes_max", 256 * 1024 * 1024);
    if (read_limits(root, &defaults, &config->limits, err) < 0 ||
        read_tls(json_object_get(root, "tls"), TLS_DISABLE, &config->tls, err) < 0 ||
        choice(root, "auth", methods, AUTH_SCRAM, &auth, err) < 0 ||
        choice(root, "session_state", policies, STATE_PIN, &state, err) < 0)
        return -EINVAL;
    config->auth = (enum auth_method)auth;
    if (json_object_get(root, "hba") &&
        hba_read(json_object_get(root, "hba"), &config->hba, err) < 0)
        return -EINVAL;
    config->state = (enum state_policy)state;
    return 0;
}

static int read_worker(const json_t *object, struct worker_config *worker, struct error *err)
{
    const json_t *databases = json_object_get(object, "databases");
    worker->deployment_id = (uint32_t)integer(object, "deployment_id", 0);
    worker->bindings_count = json_array_size(databases);
    worker->bindings = xcalloc(worker->bindings_count + 1, sizeof(*worker->bindings));
    for (size_t i = 0; i < worker->bindings_count; i++) {
        const json_t *entry = json_array_get(databases, i);
        struct binding_config *binding = &worker->bindings[i];
        binding->host = text(entry, "host", NULL);
        binding->database = text(entry, "database", NULL);
        binding->user = text(entry, "user", NULL);
        binding->idle_transaction_ms = integer(entry, "idle_transaction_timeout", -1);
        if (!binding->host || !binding->database || !binding->user)
            return error_set(err, -EINVAL, "workers[].databases[]: needs host, database and user");
    }
    return 0;
}

static int read_all(const json_t *root, struct pool_config *config, struct error *err)
{
    const json_t *users = json_object_get(root, "users");
    const json_t *databases = json_object_get(root, "databases");
    if (read_general(root, config, err) < 0)
        return -EINVAL;
    config->users_count = json_array_size(users);
    config->users = xcalloc(config->users_count + 1, sizeof(*config->users));
    for (size_t i = 0; i < config->users_count; i++)
        if (read_user(json_array_get(users, i), &config->users[i], err) < 0)
            return -EINVAL;
    qsort(config->users, config->users_count, sizeof(*config->users), compare_users);
    config->databases_count = json_array_size(databases);
    config->databases = xcalloc(config->databases_count + 1, sizeof(*config->databases));
    for (size_t i = 0; i < config->databases_count; i++)
        if (read_database(json_array_get(databases, i), config, &config->databases[i], err) < 0)
            return -EINVAL;
    json_t *listeners = json_object_get(root, "listeners"), *listener;
    size_t index;
    json_array_foreach(listeners, index, listener)
    {
        if (index < 32 && json_is_true(json_object_get(listener, "metrics")))
            config->metrics_listeners |= 1u << index;
    }
    const json_t *workers = json_object_get(root, "workers");
    config->workers_count = json_array_size(workers);
    config->workers = xcalloc(config->workers_count + 1, sizeof(*config->workers));
    for (size_t i = 0; i < config->workers_count; i++)
        if (read_worker(json_array_get(workers, i), &config->workers[i], err) < 0)
            return -EINVAL;
    return 0;
}

int config_parse(struct slice source, struct pool_config **ret_config, struct error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(source.ptr, source.len, 0, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, -EINVAL, "the pool's plan is not JSON: %s", problem.text);
    }
    struct pool_config *config = xcalloc(1, sizeof(*config));
    config->references = 1;
    int r = read_all(root, config, err);
    json_decref(root);
    if (r < 0)
        config_release(&config);
    else
        *ret_config = config;
    return r;
}

/* ---- the end ---- */

static void wipe(char **secret)
{
    if (*secret)
        secret_wipe(*secret, strlen(*secret));
    text_free(secret);
}

static void free_names(char **list)
{
    for (char **name = list; name && *name; name++)
        free(*name);
    free(list);
}

void config_set_list(char ***list, const char *words)
{
    AUTO_TEXT copy = xstrdup(words);
    char *save = NULL;
    size_t count = 0;
    free_names(*list);
    *list = xcalloc(strlen(words) + 1, sizeof(**list));
    for (char *word = strtok_r(copy, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save))
        (*list)[count++] = xstrdup(word);
}

static void free_tls(struct tls_settings *tls)
{
    wipe(&tls->key);
    free(tls->certificate);
    free(tls->ca);
    free(tls->protocols);
    free(tls->ciphers);
}

static void free_database(struct database_config *database)
{
    for (size_t i = 0; i < database->hosts_count; i++)
        free(database->hosts[i].host);
    for (size_t i = 0; i < database->settings_count; i++) {
        free(database->settings[i].name);
        free(database->settings[i].value);
    }
    secret_text_release(&database->password);
    free_tls(&database->tls);
    char *texts[] = {database->name,          database->id,           database->database,
                     database->user,          database->auth_query,   database->auth_user,
                     database->auth_database, database->connect_query};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    free(database->hosts);
    free(database->settings);
}

static void free_worker(struct worker_config *worker)
{
    for (size_t i = 0; worker->bindings && i < worker->bindings_count; i++) {
        free(worker->bindings[i].host);
        free(worker->bindings[i].database);
        free(worker->bindings[i].user);
    }
    free(worker->bindings);
}

struct pool_config *config_hold(struct pool_config *config)
{
    config->references++;
    return config;
}

void config_release(struct pool_config **config)
{
    struct pool_config *c = TAKE(*config);
    if (!c || --c->references > 0)
        return;
    for (size_t i = 0; i < c->users_count && c->users; i++) {
        free(c->users[i].name);
        wipe(&c->users[i].secret);
        if (c->users[i].keys)
            secret_wipe(c->users[i].keys, sizeof(*c->users[i].keys));
        free(c->users[i].keys);
    }
    for (size_t i = 0; i < c->databases_count && c->databases; i++)
        free_database(&c->databases[i]);
    for (size_t i = 0; i < c->workers_count && c->workers; i++)
        free_worker(&c->workers[i]);
    free(c->workers);
    free(c->users);
    free(c->databases);
    free_tls(&c->tls);
    hba_free(&c->hba);
    char **lists[] = {c->admin_users, c->stats_users, c->ignore_startup_parameters, c->notes};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        free_names(lists[i]);
    char *texts[] = {c->auth_query,         c->auth_user,          c->auth_database,
                     c->server_reset_query, c->server_check_query, c->login_notice};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    free(c);
}

/* ---- questions ---- */

const struct worker_config *config_worker_of(const struct pool_config *config,
                                             uint32_t deployment_id)
{
    for (size_t i = 0; i < config->workers_count; i++)
        if (config->workers[i].deployment_id == deployment_id)
            return &config->workers[i];
    return NULL;
}

const struct database_config *config_database(const struct pool_config *config, const char *name)
{
    const struct database_config *any = NULL;
    for (size_t i = 0; i < config->databases_count; i++) {
        if (strcmp(config->databases[i].name, name) == 0)
            return &config->databases[i];
        if (strcmp(config->databases[i].name, "*") == 0)
            any = &config->databases[i];
    }
    return any;
}

struct user_config *config_user(const struct pool_config *config, const char *name)
{
    struct user_config wanted = {.name = (char *)(uintptr_t)name};
    return bsearch(&wanted, config->users, config->users_count, sizeof(wanted), compare_users);
}

const struct user_config *config_example(const struct pool_config *config, const char *name)
{
    uint8_t hash[SCRAM_SALT_BYTES_MAX];
    AUTO_TEXT text = xasprintf("as who %s", name);
    scram_salt_of(text, hash);
    for (size_t i = 0; i < config->users_count; i++) {
        const struct user_config *user =
            &config->users[(wire_get_u32((const char *)hash) + i) % config->users_count];
        if (user->may_login && user->secret)
            return user;
    }
    return NULL;
}

const struct scram_keys *config_user_keys(struct user_config *user)
{
    struct scram_keys keys;
    uint8_t salt[SCRAM_SALT_BYTES_MAX];
    if (user->keys)
        return user->keys;
    switch (secret_form(user->secret, &keys)) {
    case SECRET_SCRAM:
        break;
    case SECRET_PASSWORD:
        scram_salt_of(user->name, salt);
        scram_derive(user->secret, salt, SCRAM_SALT_BYTES, SCRAM_ITERATIONS, &keys);
        keys.has_client_key = false; /* the client has to prove that it has it */
        secret_wipe(keys.client_key, sizeof(keys.client_key));
        break;
    default:
        return NULL;
    }
    user->keys = xcalloc(1, sizeof(*user->keys));
    *user->keys = keys;
    return user->keys;
}

const char *config_check_sql(const struct pool_config *config)
{
    const char *query = config->server_check_query;
    if (strcmp(query, "<empty>") == 0) /* PgBouncer's word for it */
        return "";
    return *query ? query : NULL;
}

int64_t config_stop_wait_ms(const struct pool_config *config)
{
    return config->cancel_wait_ms > 0 ? config->cancel_wait_ms : CANCEL_WAIT_MS;
}

bool config_lists(char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static int value_named(const struct word *words, const char *name)
{
    for (; words->word; words++)
        if (strcmp(words->word, name) == 0)
            return words->value;
    return -1;
}

int config_mode_named(const char *word)
{
    return value_named(modes, word);
}

int config_auth_named(const char *word)
{
    return value_named(methods, strcmp(word, "plain") == 0 ? "password" : word);
}

int config_tls_named(const char *word)
{
    return value_named(tls_modes, word);
}

static const char *word_for(const struct word *words, int value)
{
    while (words->word && words->value != value)
        words++;
    return words->word ? words->word : "";
}

const char *config_mode_name(int mode)
{
    return word_for(modes, mode);
}

const char *config_auth_name(int method)
{
    return word_for(methods, method);
}

const char *config_balance_name(int balance)
{
    return word_for(balances, balance);
}

const char *config_tls_name(int mode)
{
    return word_for(tls_modes, mode);
}

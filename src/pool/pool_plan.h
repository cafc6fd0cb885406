/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's part of the plan as structs (docs/plan.md says what the keys mean). Immutable once
 * read: a reload makes a new one, and what refers to the old one holds a reference. */
#ifndef WEIR_POOL_PLAN_H
#define WEIR_POOL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "secret.h"
#include "slice.h"

enum pool_mode { POOL_SESSION, POOL_TRANSACTION, POOL_STATEMENT };
enum auth_method {
    AUTH_SCRAM,
    AUTH_MD5,
    AUTH_PASSWORD,
    AUTH_CERT,
    AUTH_TRUST,
    AUTH_ANY,
    AUTH_HBA,    /* as the first rule says that fits */
    AUTH_PEER,   /* of rules alone: who the kernel says it is */
    AUTH_REJECT, /* … nobody */
};
enum tls_mode { TLS_DISABLE, TLS_ALLOW, TLS_PREFER, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL };
enum state_policy { STATE_PIN, STATE_ERROR, STATE_ALLOW };
enum session_attrs {
    ATTRS_ANY,
    ATTRS_READ_WRITE,
    ATTRS_READ_ONLY,
    ATTRS_PRIMARY,
    ATTRS_STANDBY,
    ATTRS_PREFER_STANDBY,
};

/* Which of several hosts a new connection begins with: the first, each in turn, or any. */
enum host_balance { BALANCE_DISABLE, BALANCE_ROUND_ROBIN, BALANCE_RANDOM };

struct tls_settings {
    enum tls_mode mode;
    char *certificate, *key, *ca; /* PEM text, or NULL */
    char *protocols, *ciphers;    /* NULL: OpenSSL's */
    bool direct;                  /* servers: TLS without asking */
    bool binding_required;        /* servers: only SCRAM that is bound to the TLS connection */
};

/* -1 where a database or user says nothing itself. */
struct pool_limits {
    int mode; /* enum pool_mode */
    int size, size_min, size_reserve;
    int connections_max, clients_max; /* of a database, or of a user */
    int64_t query_wait_ms, query_ms, transaction_ms, idle_transaction_ms, server_lifetime_ms;
    int64_t client_idle_ms;
};

#define POOL_LIMITS_SILENT ((struct pool_limits){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1})

struct user_config {
    char *name;
    char *secret;            /* NULL: none; wiped by config_release */
    struct scram_keys *keys; /* of the secret, once they were asked for */
    struct pool_limits limits;
    bool may_login; /* else only its limits are known */
};

struct host_config {
    char *host; /* a path: directory of unix sockets */
    uint16_t port;
};

struct setting {
    char *name, *value;
};

struct cache_config {
    bool enabled;
    int64_t max_age_ms, stale_ms;
    uint64_t bytes_max, result_bytes_max;
};

struct database_config {
    char *name;
    char *id; /* of Hyperdrive, or NULL */
    struct host_config *hosts;
    size_t hosts_count;
    char *database; /* NULL: as the client calls it */
    char *user, *password;
    enum session_attrs attrs;
    enum host_balance balance;
    struct tls_settings tls;
    struct pool_limits limits;
    enum state_policy state;
    char *auth_query, *auth_user, *auth_database; /* NULL: as for all */
    struct setting *settings;
    size_t settings_count;
    char *connect_query;
    struct cache_config cache;
    uint8_t
        connections[32]; /* SHA-256 of all that says how connections are made, and of the cache */
};

/* A database of a worker: what it connects to as `host` is `database`, as `user`. */
struct binding_config {
    char *host, *database, *user;
    int64_t idle_transaction_ms; /* -1: as for others */
};

struct worker_config {
    uint32_t deployment_id;
    struct binding_config *bindings;
    size_t bindings_count;
};

struct pool_config {
    uint32_t references;
    enum auth_method auth;
    struct hba *hba;           /* NULL: none */
    struct user_config *users; /* sorted by name */
    size_t users_count;
    char *auth_query, *auth_user, *auth_database;
    char **admin_users, **stats_users; /* NULL at the end */
    struct tls_settings tls;           /* towards clients */
    int server_tls_mode;               /* of databases that say nothing else, for the console */
    struct database_config *databases;
    size_t databases_count;
    struct worker_config *workers;
    size_t workers_count;
    struct pool_limits limits; /* complete: no -1; clients_max is of all */
    /* For databases and users that say nothing themselves; 0: no limit. */
    int database_clients_max, user_clients_max, user_connections_max;
    int queue_max;
    int64_t reserve_after_ms, wait_notify_ms, client_login_ms, denial_delay_ms;
    int64_t server_connect_ms, pool_idle_ms, tcp_user_ms;
    int64_t server_idle_ms, cancel_wait_ms, slow_query_ms;
    char *server_reset_query, *login_notice;
    char *server_check_query; /* "": none; see config_check_sql */
    int64_t server_check_delay_ms, dns_max_ttl_ms;
    bool reset_always, round_robin, io_uring, log_connections, log_disconnections, log_errors;
    bool standalone; /* `weir pool`: nothing besides is served */
    int statements_max, client_statements_max;
    uint64_t client_statements_bytes_max, clients_bytes_max;
    enum state_policy state;
    char **ignore_startup_parameters;
    char **notes;
    uint32_t metrics_listeners; /* bit i: listener i is for Prometheus */
};

/* text: the JSON of the plan's `pool`. 0, or -EINVAL with the key in err. */
int config_parse(struct slice text, struct pool_config **ret_config, struct error *err);
struct pool_config *config_hold(struct pool_config *config);
/* The last one frees it and wipes its secrets. */
void config_release(struct pool_config **config);

/* NULL: it has no databases. */
const struct worker_config *config_worker_of(const struct pool_config *config,
                                             uint32_t deployment_id);
/* By exact name, else "*", else NULL. */
const struct database_config *config_database(const struct pool_config *config, const char *name);
struct user_config *config_user(const struct pool_config *config, const char *name);
/* As whom a user that there is not is asked for its password, always as the same one: so that how
 * it is asked tells nobody who is listed. NULL: nobody is. */
const struct user_config *config_example(const struct pool_config *config, const char *name);
/* What a SCRAM login of the user is checked by: of its verifier, or derived from its password once
 * (a millisecond). NULL: its secret is of another form, or there is none. */
const struct scram_keys *config_user_keys(struct user_config *user);
/* enum pool_mode, enum auth_method, enum tls_mode by their words in the plan; -1: no such. */
int config_mode_named(const char *word);
int config_auth_named(const char *word);
int config_tls_named(const char *word);
/* And back. */
const char *config_mode_name(int mode);
const char *config_auth_name(int method);
const char *config_tls_name(int mode);
const char *config_balance_name(int balance);
/* What is asked of a connection that nobody has used for long; NULL: nothing. */
const char *config_check_sql(const struct pool_config *config);
/* cancel_wait_timeout, of a limit that is to hold: where that is 0, its default. */
int64_t config_stop_wait_ms(const struct pool_config *config);
/* Is it in the NULL-terminated list? */
bool config_lists(char *const *list, const char *name);
/* Such a list of the words of a text, with commas or blanks between; frees the one that was. */
void config_set_list(char ***list, const char *words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Every configuration key. docs/configuration.md is printed from here. */
#include <stdio.h>

#include "config.h"

#define TABLE(variable, table_name, table_text, table_keys)                                        \
    const struct config_table variable = {table_name, table_text, table_keys,                      \
                                          ARRAY_LEN(table_keys), false}
/* Of a project's wrangler configuration, which has keys of Cloudflare's. */
#define OPEN_TABLE(variable, table_name, table_text, table_keys)                                   \
    const struct config_table variable = {table_name, table_text, table_keys,                      \
                                          ARRAY_LEN(table_keys), true}

enum { MINUTE_MS = 60000, DAY_MS = 86400000, MB = 1 << 20 };
#define YEAR_MS (366LL * DAY_MS)
#define GB (1ll << 30)

static const struct config_key root_keys[] = {
    {"data_dir", CONFIG_STRING, 0, 0, ".weir", NULL,
     "Directory for bundles, the process id (`weir.pid`) and the socket of `weir reload`, beside the "
     "file unless it is absolute; one `weir serve` at a time uses it"},
    {"gateways", CONFIG_COUNT, 0, 64, "0", "gateways",
     "Gateway processes, each with its own instances; 0: one for two CPUs. As many as there are CPUs keep "
     "to them, each with its instances"},
    {"access_log", CONFIG_STRING, 0, 0, "json", "access_log",
     "Lines on standard output: \"json\", \"text\" or \"off\""},
    {"memory_max", CONFIG_SIZE, 64 * MB, 1024 * GB, "1GB", "memory_bytes_max",
     "Memory of templates and instances together; beyond it idle templates are dropped, the least "
     "recently used first"},
};
TABLE(config_root, "top level", "The file's first lines.", root_keys);

static const struct config_key listener_keys[] = {
    {"address", CONFIG_STRING, 0, 0, "127.0.0.1", "address", "IP address to listen on"},
    {"port", CONFIG_COUNT, 1, 65535, "8080", "port", "TCP port"},
    {"certificate_file", CONFIG_STRING, 0, 0, NULL, NULL,
     "For HTTPS: the certificate, with what leads to its root (PEM)"},
    {"key_file", CONFIG_STRING, 0, 0, NULL, NULL, "Its key (PEM)"},
};
TABLE(config_listener, "[[listener]]", "Where clients connect. Several may be given.",
      listener_keys);

static const struct config_key prisma_keys[] = {
    {"address", CONFIG_STRING, 0, 0, "127.0.0.1", "address",
     "IP address where Prisma's clients outside of weir connect"},
    {"port", CONFIG_COUNT, 1, 65535, NULL, "port",
     "TCP port for them; without it only workers reach the endpoint"},
    {"certificate_file", CONFIG_STRING, 0, 0, NULL, NULL,
     "Certificate for them, with what leads to its root (PEM): a prisma:// URL means TLS. Without it "
     "something in front must do TLS"},
    {"key_file", CONFIG_STRING, 0, 0, NULL, NULL, "Its key (PEM)"},
    {"query_timeout", CONFIG_DURATION, 10, 240000, "10s", "QUERY_MS",
     "A query that takes longer is stopped: P6004"},
    {"transaction_timeout", CONFIG_DURATION, 10, 240000, "15s", "TRANSACTION_MS",
     "The most that an interactive transaction may ask for: P6005. `idle_transaction_timeout` of [pool] is not for these"},
    {"transactions_max", CONFIG_COUNT, 1, 10000, "100", "TRANSACTIONS_MAX",
     "Interactive transactions of a database that are open at once; more wait, as long as their maxWait"},
    {"key_transactions_max", CONFIG_COUNT, 0, 10000, "0", "KEY_TRANSACTIONS_MAX",
     "… and of one api key, unless it says otherwise itself; 0: half of the database's pool_size, 32 at most"},
    {"key_requests_max", CONFIG_COUNT, 0, 1000000, "0", "KEY_REQUESTS_MAX",
     "Requests of one api key in a second, unless it says otherwise itself; beyond it P5011. 0: no limit"},
    {"response_max", CONFIG_SIZE, 1024, 64 * MB, "5MB", "RESPONSE_BYTES_MAX",
     "A larger response is refused: P6009"},
    {"cache_max", CONFIG_SIZE, 0, 128 * MB, "32MB", "CACHE_BYTES_MAX",
     "Results of one database that are kept (cacheStrategy); the one used longest ago goes first"},
    {"idle_timeout", CONFIG_DURATION, 1000, DAY_MS, "1h", "idle_timeout",
     "A database's instance that had nothing to do for so long ends, and with it results and schemas; "
     "sooner where `memory_max` is reached, but not while it may have a transaction open"},
};
TABLE(config_prisma, "[prisma]",
      "The Prisma endpoint: a database of [pool] has it when `weir prisma key create` made a key for it.",
      prisma_keys);

static const struct config_key admin_keys[] = {
    {"address", CONFIG_STRING, 0, 0, "127.0.0.1", "address", "IP address to listen on"},
    {"port", CONFIG_COUNT, 1, 65535, "9464", "port", "TCP port"},
};
TABLE(config_admin, "[admin]",
      "Health and metrics: /healthz, /readyz, /metrics. Without this table there is no admin "
      "listener.",
      admin_keys);

static const struct config_key http_keys[] = {
    {"header_bytes_max", CONFIG_SIZE, 1024, MB, "128KB", "header_bytes_max",
     "Request line and header fields; beyond it 431"},
    {"url_bytes_max", CONFIG_SIZE, 256, 128 * 1024, "16KB", "url_bytes_max",
     "Request target; beyond it 414"},
    {"headers_count_max", CONFIG_COUNT, 8, 256, "256", "headers_count_max",
     "Header fields of a request; beyond it 431"},
    {"header_timeout", CONFIG_DURATION, 100, DAY_MS, "15s", "header_timeout_ms",
     "Time for a request's head; beyond it 408"},
    {"body_timeout", CONFIG_DURATION, 100, DAY_MS, "30s", "body_timeout_ms",
     "Time between two parts of a request's body; beyond it 408"},
    {"keepalive_timeout", CONFIG_DURATION, 100, DAY_MS, "75s", "keepalive_timeout_ms",
     "An idle connection is closed after this"},
    {"write_timeout", CONFIG_DURATION, 100, DAY_MS, "30s", "write_timeout_ms",
     "A client that takes nothing of its answer for so long is disconnected"},
    {"connections_max", CONFIG_COUNT, 1, 1000000, "100000", "connections_max",
     "Connections of one gateway; more are closed at once"},
    {"drain_timeout", CONFIG_DURATION, 0, DAY_MS, "30s", "drain_timeout_ms",
     "A stop waits so long for requests under way"},
};
TABLE(config_http, "[http]", "Limits of the HTTP server.", http_keys);

static const struct config_key limits_keys[] = {
    {"cpu_ms", CONFIG_DURATION, 1, 300000, "30s", "cpu_ms",
     "CPU time of one request; beyond it error 1102"},
    {"wall_ms", CONFIG_DURATION, 100, DAY_MS, "5m", "wall_ms",
     "Time from a request to the end of its answer; beyond it 504"},
    {"memory", CONFIG_SIZE, 16 * MB, 4095ll * MB, "128MB", "memory_bytes",
     "Memory that an instance may take beyond the engine's own; beyond it error 1102"},
    {"subrequests", CONFIG_COUNT, 0, 1000000, "1000", "subrequests",
     "fetch() calls of one request"},
    {"request_body_max", CONFIG_SIZE, 0, 64 * GB, "100MB", "request_body_bytes",
     "Request body; beyond it 413"},
    {"log_max", CONFIG_SIZE, 0, 64 * MB, "256KB", "log_bytes",
     "Console output of one request; what is beyond it is dropped and counted"},
    {"startup_cpu_ms", CONFIG_DURATION, 10, 60000, "1s", "startup_cpu_ms",
     "CPU time of a worker's global scope"},
};
TABLE(config_limits, "[limits]", "Limits of every worker; a worker's own table comes first.",
      limits_keys);

static const struct config_key scale_keys[] = {
    {"min_instances", CONFIG_COUNT, 0, 1000, "0", "min_instances",
     "Instances that are kept also without traffic"},
    {"max_instances", CONFIG_COUNT, 1, 4096, "8", "max_instances",
     "Instances of one worker, for each gateway"},
    {"idle_timeout", CONFIG_DURATION, 100, DAY_MS, "60s", "idle_timeout_ms",
     "An instance without requests ends after this"},
    {"concurrency", CONFIG_COUNT, 1, 1000, "64", "concurrency",
     "Requests that one instance has at once; beyond it another one starts"},
    {"queue_length", CONFIG_COUNT, 0, 1000000, "1024", "queue_length",
     "Requests that wait for an instance; beyond it 503 with Retry-After"},
    {"queue_timeout", CONFIG_DURATION, 10, DAY_MS, "10s", "queue_timeout_ms",
     "A request waits so long for an instance; beyond it 503 with Retry-After"},
};
TABLE(config_scale, "[scale]", "How workers grow; a worker's own table comes first.", scale_keys);

static const struct config_key worker_keys[] = {
    {"project", CONFIG_STRING, 0, 0, NULL, NULL,
     "Directory of a project with wrangler.toml, wrangler.json or wrangler.jsonc"},
    {"env", CONFIG_STRING, 0, 0, NULL, NULL, "Which [env.NAME] of the project is meant"},
    {"name", CONFIG_STRING, 0, 0, NULL, NULL, "Name, instead of the project's"},
    {"routes", CONFIG_STRINGS, 0, 0, NULL, "routes",
     "\"host/path*\" patterns; the most specific one wins. Without them the project's routes count"},
    {"default", CONFIG_BOOL, 0, 0, "false", "default", "Answers what no route matches"},
    {"egress_allow", CONFIG_STRINGS, 0, 0, NULL, "egress_allow",
     "Private addresses that fetch() may reach: \"10.0.0.0/8\", \"127.0.0.1:5432\", \"[::1]:80\", "
     "\"db.internal:443\""},
    {"limits", CONFIG_ANY, 0, 0, NULL, NULL, "Table, see [limits]"},
    {"scale", CONFIG_ANY, 0, 0, NULL, NULL, "Table, see [scale]"},
};
TABLE(config_worker, "[[worker]]", "A worker that is served.", worker_keys);

static const struct config_key assets_keys[] = {
    {"directory", CONFIG_STRING, 0, 0, NULL, NULL, "Directory of static files"},
    {"binding", CONFIG_STRING, 0, 0, NULL, "binding", "Name in env under which fetch() serves them"},
    {"not_found_handling", CONFIG_STRING, 0, 0, "none", "not_found_handling",
     "\"none\", \"404-page\" or \"single-page-application\""},
    {"html_handling", CONFIG_STRING, 0, 0, "auto-trailing-slash", "html_handling",
     "\"auto-trailing-slash\", \"force-trailing-slash\", \"drop-trailing-slash\" or \"none\""},
    {"run_worker_first", CONFIG_ANY, 0, 0, NULL, "run_worker_first",
     "true, false, or an array of globs such as \"/api/*\" and \"!/api/docs/*\""},
};
OPEN_TABLE(config_assets, "[assets]", "Static files of a project.", assets_keys);

static const struct config_key hyperdrive_keys[] = {
    {"binding", CONFIG_STRING, 0, 0, NULL, NULL, "Its name in `env`"},
    {"id", CONFIG_STRING, 0, 0, NULL, NULL,
     "Under `weir serve` the `id`, or else the `name`, of one of [[pool.databases]]"},
    {"localConnectionString", CONFIG_STRING, 0, 0, NULL, NULL,
     "For `weir dev`: a `postgres://` URL; without it, and without the variable "
     "`CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_<binding>`, the project's private Postgres"},
};
OPEN_TABLE(config_hyperdrive, "[[hyperdrive]]", "A Postgres database, reached through the pool.",
           hyperdrive_keys);

static const struct config_key wrangler_keys[] = {
    {"name", CONFIG_STRING, 0, 0, NULL, NULL, "Name of the worker"},
    {"main", CONFIG_STRING, 0, 0, NULL, NULL, "Entry file (.js, .mjs, .ts, .tsx)"},
    {"compatibility_date", CONFIG_STRING, 0, 0, NULL, NULL, "Date whose platform behaviour is meant"},
    {"compatibility_flags", CONFIG_STRINGS, 0, 0, NULL, NULL, "Flags such as \"nodejs_compat\""},
    {"vars", CONFIG_ANY, 0, 0, NULL, NULL, "Table of strings and JSON values, found in env"},
    {"assets", CONFIG_ANY, 0, 0, NULL, NULL, "Table, see [assets]"},
    {"hyperdrive", CONFIG_ANY, 0, 0, NULL, NULL, "Array of tables, see [[hyperdrive]]"},
    {"rules", CONFIG_ANY, 0, 0, NULL, NULL,
     "Array of {type, globs, fallthrough}: module types Text, Data, CompiledWasm, ESModule, CommonJS; "
     "the defaults are Text for `**/*.txt`, `**/*.html`, `**/*.sql`, Data for `**/*.bin`, CompiledWasm "
     "for `**/*.wasm` and `**/*.wasm?module`"},
    {"define", CONFIG_ANY, 0, 0, NULL, NULL, "Table of names replaced when bundling"},
    {"alias", CONFIG_ANY, 0, 0, NULL, NULL, "Table of module names replaced when bundling"},
    {"limits", CONFIG_ANY, 0, 0, NULL, NULL, "Table with cpu_ms and subrequests"},
    {"routes", CONFIG_ANY, 0, 0, NULL, NULL, "Array of patterns or {pattern, …}"},
    {"route", CONFIG_ANY, 0, 0, NULL, NULL, "One pattern"},
    {"triggers", CONFIG_ANY, 0, 0, NULL, NULL, "Table with crons, an array of expressions"},
    {"minify", CONFIG_BOOL, 0, 0, "false", NULL, "Shorten names and blanks when bundling"},
    {"keep_names", CONFIG_BOOL, 0, 0, NULL, NULL,
     "Functions that bundling renames keep their `name`; it costs a call a closure, so only with "
     "`minify` unless given"},
    {"no_bundle", CONFIG_BOOL, 0, 0, "false", NULL, "Serve the entry file as it is"},
    {"tsconfig", CONFIG_STRING, 0, 0, NULL, NULL, "tsconfig.json for bundling"},
    {"base_dir", CONFIG_STRING, 0, 0, NULL, NULL,
     "Directory that globs of `rules` may begin from, beside the project's; default: the entry's"},
    {"env", CONFIG_ANY, 0, 0, NULL, NULL, "[env.NAME]: the same keys for one environment"},
};
OPEN_TABLE(config_wrangler, "wrangler configuration",
           "Keys of wrangler.toml, wrangler.json and wrangler.jsonc that weir uses.",
           wrangler_keys);

static const struct config_key wrangler_limits_keys[] = {
    {"cpu_ms", CONFIG_COUNT, 1, 300000, NULL, "cpu_ms", "CPU milliseconds of one request"},
    {"subrequests", CONFIG_COUNT, 0, 1000000, NULL, "subrequests", "fetch() calls of one request"},
};
OPEN_TABLE(config_wrangler_limits, "[limits] of a project",
           "They count over the [limits] of weir.toml, and the worker's own table there over both.",
           wrangler_limits_keys);

/* ---- the pool ---- */

#define POOL_SIZES(size, least, reserve, connections, connections_text, clients, clients_text)      \
    {"pool_size", CONFIG_COUNT, 1, 100000, size, "pool_size",                                      \
     "Connections to the database, of one user"},                                                  \
        {"pool_size_min", CONFIG_COUNT, 0, 100000, least, "pool_size_min",                         \
         "Connections that are kept open also without clients"},                                   \
        {"pool_size_reserve", CONFIG_COUNT, 0, 100000, reserve, "pool_size_reserve",               \
         "Further ones, when a client has waited for `reserve_after`"},                            \
        {"connections_max", CONFIG_COUNT, 0, 100000, connections, "connections_max",               \
         connections_text "; 0: no limit"},                                                        \
    {                                                                                              \
        "clients_max", CONFIG_COUNT, 0, 10000000, clients, "clients_max",                          \
            clients_text "; beyond it error 53300"                                                 \
    }
#define POOL_TIMES(query, transaction, idle, client_idle)                                                       \
    {"query_timeout", CONFIG_DURATION, 0, YEAR_MS, query, "query_timeout",                          \
     "A query that runs for longer is cancelled: 57014; 0: no limit"},                             \
        {"transaction_timeout", CONFIG_DURATION, 0, YEAR_MS, transaction, "transaction_timeout",    \
         "A transaction that runs for longer is ended: 25P04; 0: no limit"},                          \
    {                                                                                              \
        "idle_transaction_timeout", CONFIG_DURATION, 0, YEAR_MS, idle, "idle_transaction_timeout",  \
            "A transaction in which nothing happens, since its client neither sends what comes "   \
            "next nor takes what it was sent, is rolled back, and its client told with 25P03"      \
    },                                                                                             \
    {                                                                                              \
        "client_idle_timeout", CONFIG_DURATION, 0, YEAR_MS, client_idle, "client_idle_timeout",     \
            "A client that asks nothing for so long is disconnected; 0: never"                     \
    }
#define POOL_MODE(mode)                                                                            \
    {                                                                                              \
        "pool_mode", CONFIG_STRING, 0, 0, mode, "pool_mode",                                       \
            "For how long a client keeps a connection: \"transaction\", \"session\" or \"statement\"" \
    }

static const struct config_key pool_keys[] = {
    {"listen", CONFIG_STRINGS, 0, 0, NULL, NULL,
     "Where clients connect: \"address:port\" and paths of unix sockets (\"/run/weir/.s.PGSQL.6432\"); "
     "without it 127.0.0.1:6432"},
    {"unix_socket_mode", CONFIG_STRING, 0, 0, "0777", NULL,
     "Rights of the unix sockets, in octal: who may write to one may connect"},
    {"unix_socket_group", CONFIG_STRING, 0, 0, NULL, NULL,
     "Their group, for a `unix_socket_mode` such as \"0770\""},
    {"auth", CONFIG_STRING, 0, 0, "scram-sha-256", "auth",
     "\"scram-sha-256\", \"md5\", \"password\", \"cert\" (the certificate's common name is the user), "
     "\"trust\" (a known user's name is enough), \"any\", or \"hba\": as `hba_file` says"},
    {"hba_file", CONFIG_STRING, 0, 0, NULL, NULL,
     "File in the format of pg_hba.conf: who may log in from where, and how"},
    {"ident_file", CONFIG_STRING, 0, 0, NULL, NULL,
     "… and of pg_ident.conf, for its `map=` of the methods peer and cert"},
    {"users_file", CONFIG_STRING, 0, 0, NULL, NULL,
     "File of lines `\"name\" \"secret\"`; a secret is a SCRAM verifier, md5… or a password"},
    {"auth_user", CONFIG_STRING, 0, 0, NULL, "auth_user",
     "Who looks up, in the database, users that are not listed here; without it nobody does"},
    {"auth_query", CONFIG_STRING, 0, 0, NULL, "auth_query",
     "What it asks: a query with `$1`, the user's name, that gives one row of name and secret; without it "
     "`pg_authid` is asked. Names without a schema are looked for in pg_catalog first, then in the user's own schema and public"},
    {"auth_database", CONFIG_STRING, 0, 0, NULL, "auth_database",
     "Where; without it in the database that the user logs in to"},
    {"admin_users", CONFIG_STRINGS, 0, 0, NULL, "admin_users",
     "Users of the console, the database `pgbouncer`"},
    {"stats_users", CONFIG_STRINGS, 0, 0, NULL, "stats_users", "Users that may only SHOW there"},
    POOL_MODE("transaction"),
    {"session_state", CONFIG_STRING, 0, 0, "pin", "session_state",
     "What happens in transaction mode to what would outlive a transaction: \"pin\" (the client keeps its "
     "connection), \"error\" (0A000) or \"allow\""},
    POOL_SIZES("20", "0", "0", "0", "Connections to one database, of all its users", "10000",
               "Clients that may be connected"),
    {"database_clients_max", CONFIG_COUNT, 0, 10000000, "0", "database_clients_max",
     "Clients of one database that says nothing itself; 0: no limit"},
    {"user_clients_max", CONFIG_COUNT, 0, 10000000, "0", "user_clients_max",
     "Clients of one user that says nothing itself, on all databases; 0: no limit"},
    {"user_connections_max", CONFIG_COUNT, 0, 100000, "0", "user_connections_max",
     "Connections for one user's clients that says nothing itself, to all databases; 0: no limit"},
    {"reserve_after", CONFIG_DURATION, 0, YEAR_MS, "5s", "reserve_after",
     "Wait after which `pool_size_reserve` counts"},
    {"queue_max", CONFIG_COUNT, 1, 10000000, "10000", "queue_max",
     "Clients of one user that wait for a connection; beyond it error 53300"},
    {"query_wait_timeout", CONFIG_DURATION, 0, YEAR_MS, "2m", "query_wait_timeout",
     "A client waits so long for a connection; beyond it error 57P03. 0: for ever"},
    {"query_wait_notify", CONFIG_DURATION, 0, YEAR_MS, "0", "query_wait_notify",
     "… and after so long it is told by a NOTICE that it waits; 0: it is not"},
    {"login_notify_message", CONFIG_STRING, 0, 0, NULL, "login_notify_message",
     "A NOTICE for each client whose login is through"},
    POOL_TIMES("0", "0", "10s", "0"),
    {"client_login_timeout", CONFIG_DURATION, 0, YEAR_MS, "60s", "client_login_timeout",
     "Time for a login; 0: no limit"},
    {"failed_login_delay", CONFIG_DURATION, 0, YEAR_MS, "8s", "failed_login_delay",
     "After five failed logins from an address within a minute, how long the next ones wait at most "
     "to hear that they have failed, and how long a cancel request that is nobody's counts; 0: not at "
     "all, where all clients come from one address"},
    {"server_connect_timeout", CONFIG_DURATION, 0, YEAR_MS, "15s", "server_connect_timeout",
     "Time for a connection to a database, its login included, for each of several "
     "hosts or addresses; 0: no limit"},
    {"tcp_user_timeout", CONFIG_DURATION, 0, YEAR_MS, "60s", "tcp_user_timeout",
     "Who acknowledges nothing of what it was sent over TCP for so long is gone; 0: when the kernel "
     "says so"},
    {"server_lifetime", CONFIG_DURATION, 0, YEAR_MS, "1h", "server_lifetime",
     "A connection is closed after this, or up to a tenth earlier so that not all end at once, when "
     "it is idle; 0: after its first client"},
    {"server_idle_timeout", CONFIG_DURATION, 0, YEAR_MS, "10m", "server_idle_timeout",
     "One that nobody used for so long is closed"},
    {"pool_idle_timeout", CONFIG_DURATION, 0, YEAR_MS, "1h", "pool_idle_timeout",
     "What is kept for a user and a database that had neither clients nor connections for so long is "
     "forgotten; 0: never"},
    {"cancel_wait_timeout", CONFIG_DURATION, 0, YEAR_MS, "10s", "cancel_wait_timeout",
     "Time for a cancel request, and for a reset; then the connection is closed. 0: no limit, but "
     "10s for what query_timeout or transaction_timeout stops"},
    {"server_reset_query", CONFIG_STRING, 0, 0, "DISCARD ALL", "server_reset_query",
     "Run when a session of session mode is over; where transactions are pooled, what a pinned "
     "session leaves goes by DISCARD ALL in any case"},
    {"server_reset_query_always", CONFIG_BOOL, 0, 0, "false", "server_reset_query_always",
     "… and after each transaction, too"},
    {"server_round_robin", CONFIG_BOOL, 0, 0, "false", "server_round_robin",
     "Use connections in turn, instead of the one that was used last"},
    {"io_uring", CONFIG_BOOL, 0, 0, "true", "io_uring",
     "Read and write connections by io_uring, where the kernel has it; of new ones"},
    {"server_check_query", CONFIG_STRING, 0, 0, NULL, "server_check_query",
     "Asked of a connection that nobody has used for `server_check_delay`, before it is lent, such "
     "as `select 1`; `<empty>` is an empty query. Without it none is asked: one that its server has "
     "closed is not lent, but a firewall between may have forgotten it without a word"},
    {"server_check_delay", CONFIG_DURATION, 0, YEAR_MS, "30s", "server_check_delay",
     "… for so long; 0: every time"},
    {"dns_max_ttl", CONFIG_DURATION, 0, YEAR_MS, "15s", "dns_max_ttl",
     "While there are connections to a host that is given by name, the name is looked up again after "
     "so long; those to an address that is not among the answers are replaced when nobody has them. "
     "0: never, for names that mean one of many hosts each time"},
    {"prepared_statements_max", CONFIG_COUNT, 0, 100000, "256", "prepared_statements_max",
     "Prepared statements of one connection, the least recently used are closed; 0: names are not "
     "handled"},
    {"client_statements_max", CONFIG_COUNT, 1, 1000000, "4096", "client_statements_max",
     "Prepared statements of one client; beyond it error 53400"},
    {"client_statements_bytes_max", CONFIG_SIZE, 1024, GB, "16MB", "client_statements_bytes_max",
     "Their texts together"},
    {"clients_bytes_max", CONFIG_SIZE, MB, 1024 * GB, "256MB", "clients_bytes_max",
     "What all clients together may make the pool keep: texts of prepared statements, messages that "
     "have not come as a whole, parameters that are set, and channels that are listened to; beyond "
     "it error 53200, and a `SET` pins"},
    {"ignore_startup_parameters", CONFIG_STRINGS, 0, 0, NULL, "ignore_startup_parameters",
     "Startup parameters of clients that are left out"},
    {"metrics_listen", CONFIG_STRING, 0, 0, NULL, NULL,
     "\"address:port\" where Prometheus finds `/metrics`; without it nowhere. It asks for no password: "
     "loopback, or a network of your own"},
    {"slow_query", CONFIG_DURATION, 0, YEAR_MS, "0", "slow_query",
     "A query that takes so long is logged, its strings and numbers left out; 0: none"},
    {"log_connections", CONFIG_BOOL, 0, 0, "false", "log_connections", "A line for each login, and for each connection to a database"},
    {"log_disconnections", CONFIG_BOOL, 0, 0, "false", "log_disconnections",
     "… and for the end of each, with the reason"},
    {"log_errors", CONFIG_BOOL, 0, 0, "true", "log_errors",
     "A line for each error that ends a client"},
};
TABLE(config_pool, "[pool]",
      "The Postgres pool: the top level of pool.toml, or a table of weir.toml. That of `weir dev` has "
      "the defaults, and workers alone use it; other programs connect to the private Postgres by "
      "`weir db url`.",
      pool_keys);

static const struct config_key pool_user_keys[] = {
    {"name", CONFIG_STRING, 0, 0, NULL, "name", "User's name"},
    {"password", CONFIG_STRING, 0, 0, NULL, NULL,
     "Password or SCRAM verifier; a password only where nobody else can read the file"},
    {"password_file", CONFIG_STRING, 0, 0, NULL, NULL, "File with it"},
    {"password_env", CONFIG_STRING, 0, 0, NULL, NULL, "Variable of the environment with it"},
    {"login", CONFIG_BOOL, 0, 0, NULL, "login",
     "`false`: no login for being named here, only limits for who logs in by `auth_query`"},
    POOL_MODE(NULL),
    POOL_SIZES(NULL, NULL, NULL, NULL, "Connections for the user's clients, to all databases", NULL,
               "Clients of the user, on all databases"),
    POOL_TIMES(NULL, NULL, NULL, NULL),
    {"query_wait_timeout", CONFIG_DURATION, 0, YEAR_MS, NULL, "query_wait_timeout", "As for the pool"},
};
TABLE(config_pool_user, "[[pool.users]]", "Who may log in; `[[users]]` in pool.toml.", pool_user_keys);

static const struct config_key pool_database_keys[] = {
    {"name", CONFIG_STRING, 0, 0, NULL, "name", "What clients ask for; \"*\" is any other name"},
    {"id", CONFIG_STRING, 0, 0, NULL, "id",
     "The id by which a worker's [[hyperdrive]] names it, if that is not its name; no other "
     "database's id or name"},
    {"url", CONFIG_STRING, 0, 0, NULL, NULL,
     "`postgres://user@host:port,host:port/database?sslmode=verify-full`; docs/pool.md says which "
     "parameters count"},
    {"host", CONFIG_STRING, 0, 0, NULL, NULL,
     "Instead of a URL: host, or several with commas, or the directory of a unix socket"},
    {"port", CONFIG_COUNT, 1, 65535, NULL, NULL, "Port of `host`; without it 5432"},
    {"database", CONFIG_STRING, 0, 0, NULL, "database", "Its name there, if that is another"},
    {"user", CONFIG_STRING, 0, 0, NULL, "user",
     "All connections are this user's, and all clients share them; without it they are each client's own"},
    {"password", CONFIG_STRING, 0, 0, NULL, NULL, "As for users"},
    {"password_file", CONFIG_STRING, 0, 0, NULL, NULL, "File with it"},
    {"password_env", CONFIG_STRING, 0, 0, NULL, NULL, "Variable of the environment with it"},
    {"target_session_attrs", CONFIG_STRING, 0, 0, NULL, "target_session_attrs",
     "Which of several hosts: \"any\", \"read-write\", \"read-only\", \"primary\", \"standby\" or "
     "\"prefer-standby\""},
    {"load_balance_hosts", CONFIG_STRING, 0, 0, NULL, "load_balance_hosts",
     "Which of them a new connection begins with: the first (\"disable\"), each in turn "
     "(\"round-robin\") or any (\"random\")"},
    {"tls", CONFIG_ANY, 0, 0, NULL, NULL, "Table, see [pool.databases.tls]"},
    {"cache", CONFIG_ANY, 0, 0, NULL, NULL,
     "Table, see [pool.databases.cache]; without it results are not cached"},
    {"settings", CONFIG_ANY, 0, 0, NULL, NULL, "Table of parameters that connections start with"},
    {"connect_query", CONFIG_STRING, 0, 0, NULL, "connect_query",
     "Run on each new connection, and again after each DISCARD ALL; its result goes nowhere, and may have 1 MiB"},
    {"session_state", CONFIG_STRING, 0, 0, NULL, "session_state", "As for the pool"},
    {"auth_user", CONFIG_STRING, 0, 0, NULL, "auth_user", "As for the pool"},
    {"auth_query", CONFIG_STRING, 0, 0, NULL, "auth_query", "As for the pool"},
    {"auth_database", CONFIG_STRING, 0, 0, NULL, "auth_database", "As for the pool"},
    POOL_MODE(NULL),
    POOL_SIZES(NULL, NULL, NULL, NULL, "Connections to the database, of all its users", NULL,
               "Clients of the database"),
    POOL_TIMES(NULL, NULL, NULL, NULL),
    {"query_wait_timeout", CONFIG_DURATION, 0, YEAR_MS, NULL, "query_wait_timeout", "As for the pool"},
    {"server_lifetime", CONFIG_DURATION, 0, YEAR_MS, NULL, "server_lifetime", "As for the pool"},
};
TABLE(config_pool_database, "[[pool.databases]]",
      "A database behind the pool; `[[databases]]` in pool.toml.", pool_database_keys);

#define TLS_FILES                                                                                  \
    {"certificate_file", CONFIG_STRING, 0, 0, NULL, NULL, "Certificate, with what leads to its root (PEM)"}, \
        {"key_file", CONFIG_STRING, 0, 0, NULL, NULL, "Its key (PEM)"},                            \
        {"ca_file", CONFIG_STRING, 0, 0, NULL, NULL, "What the other side is checked by (PEM)"},   \
        {"protocols", CONFIG_STRING, 0, 0, NULL, "protocols",                                      \
         "\"secure\" (TLS 1.2 and newer), \"all\", or a list such as \"tlsv1.2,tlsv1.3\""},         \
    {                                                                                              \
        "ciphers", CONFIG_STRING, 0, 0, NULL, "ciphers",                                           \
            "OpenSSL's cipher list, of TLS 1.2; without it, and for \"default\", OpenSSL's own"      \
    }
static const struct config_key pool_tls_keys[] = {
    {"mode", CONFIG_STRING, 0, 0, "disable", "mode",
     "\"disable\", \"allow\", \"prefer\", \"require\", or \"verify-ca\" and \"verify-full\" where clients "
     "need a certificate"},
    TLS_FILES,
};
TABLE(config_pool_tls, "[pool.tls]", "TLS towards clients; `[tls]` in pool.toml.", pool_tls_keys);

static const struct config_key pool_server_tls_keys[] = {
    {"mode", CONFIG_STRING, 0, 0, "prefer", "mode",
     "\"disable\", \"prefer\", \"require\", \"verify-ca\" or \"verify-full\""},
    {"direct", CONFIG_BOOL, 0, 0, "false", "direct",
     "Begin with TLS instead of asking for it (Postgres 17)"},
    {"channel_binding", CONFIG_STRING, 0, 0, "prefer", "channel_binding",
     "\"prefer\", or \"require\": a server that does not prove by SCRAM that it ends the TLS connection "
     "itself is not logged in to"},
    TLS_FILES,
};
TABLE(config_pool_server_tls, "[pool.databases.tls]",
      "TLS towards a database; `[databases.tls]` in pool.toml.", pool_server_tls_keys);

static const struct config_key pool_cache_keys[] = {
    {"max_age", CONFIG_DURATION, 0, YEAR_MS, "60s", "max_age",
     "How long a result is given out as it is; 0: nothing is cached"},
    {"stale_while_revalidate", CONFIG_DURATION, 0, YEAR_MS, "15s",
     "stale_while_revalidate",
     "How much longer, while it is fetched anew: a change shows after both together at the latest"},
    {"bytes_max", CONFIG_SIZE, 0, 64LL * 1024 * 1024 * 1024, "64MB", "bytes_max",
     "Of the results of one user of the database, with the texts of their statements; the one used "
     "longest ago goes first"},
    {"result_bytes_max", CONFIG_SIZE, 0, 256LL * 1024 * 1024, "1MB", "result_bytes_max",
     "A larger result is not cached"},
};
TABLE(config_pool_cache, "[pool.databases.cache]",
      "Results of read-only statements, for clients outside of a transaction; `[databases.cache]` in "
      "pool.toml. An empty table turns it on.",
      pool_cache_keys);

static const char *type_name(enum config_type type)
{
    static const char *const names[] = {"string", "boolean",          "integer", "duration",
                                        "size",   "array of strings", "see text"};
    return names[type];
}

static void print_table(const struct config_table *table)
{
    (void)printf("\n### %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
                 table->name, table->text);
    for (size_t i = 0; i < table->keys_count; i++) {
        const struct config_key *key = &table->keys[i];
        (void)printf("| `%s` | %s | %s%s%s | %s |\n", key->name, type_name(key->type),
                     key->fallback ? "`" : "", key->fallback ? key->fallback : "–",
                     key->fallback ? "`" : "", key->text);
    }
}

void config_print_reference(void)
{
    static const struct config_table *const serve[] = {&config_root,   &config_listener,
                                                       &config_admin,  &config_http,
                                                       &config_limits, &config_scale,
                                                       &config_worker, &config_prisma};
    static const struct config_table *const pool[] = {&config_pool, &config_pool_user,
                                                      &config_pool_database, &config_pool_tls,
                                                      &config_pool_server_tls, &config_pool_cache};
    (void)printf(
        "# Configuration reference\n\nPrinted by `weir help configuration`; a test compares "
        "this page with the program.\n\nDurations are integers of milliseconds or texts "
        "such as `\"30s\"`; sizes are integers of bytes or texts such as `\"128MB\"`. "
        "A key that is not here is a mistake; only a project's wrangler configuration may have "
        "others. "
        "`weir check-config` tells every mistake with its file and line, `weir pool --check` "
        "those of a pool.toml.\n\n"
        "## weir.toml, for `weir serve`\n");
    for (size_t i = 0; i < ARRAY_LEN(serve); i++)
        print_table(serve[i]);
    (void)printf("\n## The Postgres pool, for `weir pool`\n");
    for (size_t i = 0; i < ARRAY_LEN(pool); i++)
        print_table(pool[i]);
    (void)printf("\n## A project's wrangler configuration\n\nRead by `weir dev` and by `weir serve` "
                 "for each `project`. Variables of the files of secrets beside it come before `vars` "
                 "and are never printed: `.dev.vars.NAME` for [env.NAME] or else `.dev.vars`; without "
                 "either of them `.env`, `.env.NAME`, `.env.local` and `.env.NAME.local`, each over the "
                 "ones before. `weir dev` keeps its builds in `.weir` in the project, and removes them "
                 "in the end.\n");
    print_table(&config_wrangler);
    print_table(&config_assets);
    print_table(&config_hyperdrive);
    print_table(&config_wrangler_limits);
}

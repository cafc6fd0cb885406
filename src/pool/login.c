/* SPDX-License-Identifier: Apache-2.0 */
/* A client's login: TLS, the startup packet, who it is, and what pool it gets. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/rand.h>

#include "cancel.h"
#include "console.h"
#include "credentials.h"
#include "denials.h"
#include "derive.h"
#include "hba.h"
#include "log.h"
#include "login.h"
#include "lookup.h"
#include "own.h"
#include "pool.h"
#include "scram.h"
#include "startup.h"
#include "tls.h"
#include "worker.h"

enum stage {
    STAGE_FIRST,   /* nothing has come yet */
    STAGE_TLS,     /* a handshake */
    STAGE_STARTUP, /* a startup packet, or a request that stands in its place */
    STAGE_SASL,
    STAGE_SASL_FINAL,
    STAGE_MD5,
    STAGE_PASSWORD,
    STAGE_LOOKUP, /* waits for what auth_query says of its user */
    STAGE_DERIVE, /* waits for keys of the password that it has given */
    STAGE_POOL,   /* waits for the first server of its pool */
    STAGE_DENIED, /* waits to hear that its password was wrong */
};

enum {
    ANSWER_BYTES_MAX = 16384,
    PASSWORD_BYTES_MAX = 65535, /* as Postgres has it: clouds' tokens stand in for passwords */
    TLS_RECORD_HANDSHAKE = 0x16,
};

struct login {
    enum stage stage;
    bool direct_tls;
    struct startup startup;
    struct pool_config *config;    /* held: what it began with */
    bool exists;                   /* auth_query knows the user */
    bool asked_database;           /* … or was asked */
    enum auth_method method;       /* how it has to prove who it is */
    const struct hba_rule *rule;   /* … which says so; NULL: none does */
    struct user_config *user;      /* NULL: there is none of that name */
    struct user_config *looked_up; /* what auth_query said, if it was asked; owned */
    struct scram scram;
    struct derive *derive;
    uint8_t salt[4];
    char binding[TLS_BINDING_BYTES_MAX];
    struct sockaddr_storage from; /* of TCP */
    uint64_t denied_until_us;
};

struct login *login_new(void)
{
    return xcalloc(1, sizeof(struct login));
}

void login_free(struct login **login)
{
    struct login *l = TAKE(*login);
    if (!l)
        return;
    startup_done(&l->startup);
    derive_abandon(&l->derive);
    scram_done(&l->scram);
    if (l->looked_up) {
        secret_wipe(l->looked_up->secret, strlen(l->looked_up->secret));
        free(l->looked_up->secret);
        if (l->looked_up->keys)
            secret_wipe(l->looked_up->keys, sizeof(*l->looked_up->keys));
        free(l->looked_up->keys);
        free(l->looked_up);
    }
    config_release(&l->config);
    free(l);
}

static bool in_login(const struct client *client)
{
    return !client->closed && !client->closing && client->state == CLIENT_LOGIN && client->login;
}

static const char *hint_for(const char *sqlstate)
{
    static const char *const hints[][2] = {
        {"3D000", "SHOW DATABASES on the console lists them; one called \"*\" stands for all "
                  "others."},
        {"28P01", "It is the pool that asks for it: its users are in users, users_file or "
                  "auth_query."},
        {"08006",
         "Log in again when the database that auth_query asks can be reached and answers."},
        {"57P01", "Log in again when the pool has started again."},
        {"57P03", "ENABLE on the pool's console lets clients in again."},
        {"53300", "Close connections, or raise the limit in the pool's configuration."},
    };
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (strcmp(hints[i][0], sqlstate) == 0)
            return hints[i][1];
    return NULL;
}

/* hint: NULL, or a remedy that the SQLSTATE alone does not tell. */
static void fail_with(struct client *client, const char *sqlstate, const char *hint,
                      const char *format, ...) PRINTF_LIKE(4, 5);
static void fail_with(struct client *client, const char *sqlstate, const char *hint,
                      const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    if (!hint)
        hint = hint_for(sqlstate);
    client_close(client, &(struct wire_error){sqlstate, text, NULL, hint, NULL});
    free(text);
}

#define fail(client, sqlstate, ...) fail_with((client), (sqlstate), NULL, __VA_ARGS__)

static void deny(struct client *client)
{
    fail(client, "28P01", "password authentication failed for user \"%s\"",
         client->login->startup.user);
}

static void fail_password(struct client *client)
{
    struct login *login = client->login;
    /* The same for a user that there is not. It may have a new password by now. */
    if (login->looked_up)
        lookup_forget(login->startup.database, login->startup.user);
    uint64_t wait_us =
        denials_add(DENIED_LOGIN, &login->from, pool_now(), pool_process.config->denial_delay_ms);
    if (wait_us == 0) {
        deny(client);
        return;
    }
    login->stage = STAGE_DENIED;
    login->denied_until_us = pool_now() + wait_us;
}

void login_tick(struct client *client)
{
    if (client->login && client->login->stage == STAGE_DENIED && !client->closing &&
        pool_now() >= client->login->denied_until_us)
        deny(client);
}

/* Who guesses at many connections at once may not. False: it was refused. */
static bool may_try(struct client *client)
{
    if (denials_may_try(DENIED_LOGIN, &client->login->from, pool_now()))
        return true;
    fail_with(client, "53300",
              "Where all clients have one address, that of a proxy, set failed_login_delay to 0.",
              "too many logins from your address have just failed; try again in some seconds");
    return false;
}

/* ---- the pool ---- */

static void welcome(struct client *client)
{
    AUTO_BUFFER out = {0};
    client->pool->counters->logins++;
    client->given = params_hold(client->login->startup.params);
    client->base = params_hold(client->pool->welcome);
    client->params = params_with_all(params_hold(client->base), client->given);
    client->startup_params = params_hold(client->params);
    wire_auth(&out, AUTH_CODE_OK, (struct slice){NULL, 0});
    client_welcome(client, &out);
    client_send_buffer(client, &out);
    if (pool_process.config->log_connections)
        log_info("client %" PRIu64 ": user %s, database %s", client->id, client->tally->user,
                 client->pool->database_name);
    client_begin(client);
}

void login_resume(struct client *client, const struct wire_error *error)
{
    if (!client->awaits_pool)
        return;
    client->awaits_pool = false;
    list_remove(&client->pool->logins, &client->turn);
    if (error)
        client_close(client, error);
    else
        welcome(client);
}

/* Is there room among `count` clients, the new one included? Names of PgBouncer stand beside ours
 * for those who know them. */
static bool has_room(struct client *client, uint32_t count, int max, const char *what)
{
    if (max <= 0 || count <= (uint32_t)max)
        return true;
    fail(client, "53300", "sorry, too many clients already: clients_max %s is %d", what, max);
    return false;
}

static const char of_all[] = "(max_client_conn)";
static const char of_database[] = "of the database (max_db_client_connections)";
static const char of_user[] = "of the user (max_user_client_connections)";

static uint32_t known_clients(void)
{
    return pool_process.clients.count - pool_process.strangers.count - own_count();
}

/* Is there room for one more client, which is counted already? */
static bool admit(struct client *client)
{
    const struct pool *pool = client->pool;
    const char *user = client->tally->user;
    return has_room(client, known_clients(), pool_process.config->limits.clients_max, of_all) &&
           has_room(client, clients_of_database(pool), pool->clients_max, of_database) &&
           has_room(client, record_clients_of_user(user), clients_max_of_user(user), of_user);
}

/* Who may command there always has room. */
static bool admit_to_console(struct client *client)
{
    const struct pool_config *config = pool_process.config;
    const char *user = client->login->startup.user;
    return has_room(client, known_clients(), config->limits.clients_max, of_all) &&
           has_room(client, pool_process.consoles + 1, config->database_clients_max, of_database) &&
           has_room(client, record_clients_of_user(user) + 1, clients_max_of_user(user), of_user);
}

static struct slice application_name(const struct client *client)
{
    return params_get(client->login->startup.params, "application_name");
}

/* Whose share of the connections it uses. */
static void join_tenant(struct client *client)
{
    struct slice name = application_name(client);
    uint32_t deployment_id = worker_deployment(client);
    client->tenant =
        tenant_join(&client->pool->tenants, deployment_id, deployment_id ? SLICE("") : name);
}

/* own: a question of the pool's, which is asked as the user that it names and no other. */
static void enter_pool(struct client *client, bool own)
{
    struct login *login = client->login;
    struct scram_keys keys;
    const struct database_config *database =
        config_database(pool_process.config, login->startup.database);
    if (!database) {
        fail(client, "3D000", "database \"%s\" does not exist", login->startup.database);
        return;
    }
    struct record *record = record_of(login->startup.database);
    const char *user = login->startup.user;
    const char *as = database->user && !own ? database->user : user;
    if (record->disabled) {
        fail(client, "57P03", "database \"%s\" is disabled by an administrator",
             login->startup.database);
        return;
    }
    struct pool *pool =
        login->startup.replication
            ? lend_replication_pool(database, login->startup.database, as,
                                    login->startup.replication, login->startup.params)
            : lend_pool(database, login->startup.database, as);
    client_join(client, pool, record, user);
    join_tenant(client);
    client->pinned = client->pool->mode == POOL_SESSION;
    if (!own && !admit(client))
        return;
    bool is_same = strcmp(as, user) == 0; /* what it proves of itself is of use there */
    if (is_same && login->scram.keys.has_client_key)
        credentials_learn(client->pool->credentials, &login->scram.keys);
    enum secret_form form =
        login->looked_up ? secret_form(login->looked_up->secret, &keys) : SECRET_NONE;
    if (is_same && (form == SECRET_MD5 || form == SECRET_PASSWORD))
        credentials_learn_password(client->pool->credentials, login->looked_up->secret);
    login->stage = STAGE_POOL;
    if (client->pool->welcome) {
        welcome(client);
        return;
    }
    client->awaits_pool = true;
    list_push_back(&client->pool->logins, &client->turn);
    pool_open(client->pool);
}

static void authenticated(struct client *client)
{
    struct login *login = client->login;
    client_is_known(client);
    if (strcmp(login->startup.database, CONSOLE_DATABASE) == 0) {
        const char *user = login->startup.user;
        if (console_admits(user)) {
            if (console_may_command(user) || admit_to_console(client))
                console_open(client, user, application_name(client), console_may_command(user));
        } else {
            fail_with(client, "28000",
                      "The pool's configuration says who may: admin_users and stats_users.",
                      "user \"%s\" may not use the console", user);
        }
        return;
    }
    enter_pool(client, false);
}

/* ---- authentication ---- */

static void ask(struct client *client, enum auth_code code, struct slice rest, enum stage next)
{
    AUTO_BUFFER out = {0};
    wire_auth(&out, code, rest);
    client->login->stage = next;
    client_send_buffer(client, &out);
}

/* Of the last that auth_query found; before that, as Postgres keeps them unless told otherwise. */
static struct {
    enum secret_form form;
    struct scram_keys like;
} found_last = {SECRET_SCRAM, {.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_BYTES}};

/* What is kept of the user's password; of one that there is not, as of somebody else's. *ret_keys
 * as secret_form has it. */
static enum secret_form form_of(const struct login *login, struct scram_keys *ret_keys)
{
    const struct user_config *user = login->user;
    if (!user && login->asked_database) {
        *ret_keys = found_last.like;
        return found_last.form;
    }
    if (!user)
        user = config_example(login->config, login->startup.user);
    return secret_form(user ? user->secret : NULL, ret_keys);
}

static void begin_scram(struct client *client)
{
    struct login *login = client->login;
    struct scram *scram = &login->scram;
    static const char both[] = SCRAM_MECHANISM_PLUS "\0" SCRAM_MECHANISM "\0";
    static const char one[] = SCRAM_MECHANISM "\0";
    struct scram_keys like;
    const struct scram_keys *keys = login->user ? config_user_keys(login->user) : NULL;
    scram->known = keys != NULL;
    if (keys)
        scram->keys = *keys;
    else
        scram_mock(login->startup.user, form_of(login, &like) == SECRET_SCRAM ? &like : NULL,
                   &scram->keys);
    size_t binding = client->stream.tls ? tls_binding(client->stream.tls, login->binding) : 0;
    scram->binding = (struct slice){login->binding, binding};
    scram->could_plus = binding > 0;
    ask(client, AUTH_CODE_SASL,
        binding > 0 ? (struct slice){both, sizeof(both)} : (struct slice){one, sizeof(one)},
        STAGE_SASL);
}

/* A worker is who its channel belongs to: it has no password to show, nor to lose. */
static void admit_worker(struct client *client)
{
    const struct startup *startup = &client->login->startup;
    const struct binding_config *binding = worker_binding(client);
    if (strcmp(startup->database, binding->database) == 0 &&
        strcmp(startup->user, binding->user) == 0)
        enter_pool(client, false);
    else
        fail_with(client, "28000", "Connect with the binding's connectionString.",
                  "%s is the database \"%s\" for the user \"%s\", and no other", binding->host,
                  binding->database, binding->user);
}

static void reject(struct client *client)
{
    const struct login *login = client->login;
    char from[STREAM_END_BYTES];
    (void)stream_end(&client->stream, true, from, &(uint16_t){0});
    if (login->rule)
        log_info("client %" PRIu64 ": rejected by line %d of the hba file", client->id,
                 hba_line(login->rule));
    fail_with(client, "28000",
              login->rule ? "The first rule that fits counts; the pool's log has its line."
                          : "Add one to hba_file, and reload the pool.",
              "login rejected: %s for host \"%s\", user \"%s\", database \"%s\", %s",
              login->rule ? "a rule of the hba file is against it"
                          : "there is no rule in the hba file",
              from, login->startup.user, login->startup.database,
              client->stream.tls ? "with TLS" : "without TLS");
}

/* Sets how the client has to prove who it is. */
static void choose_method(struct client *client)
{
    struct login *login = client->login;
    const struct hba_peer peer = {
        .address = client->stream.fd_is_tcp ? (const struct sockaddr *)&login->from : NULL,
        .tls = client->stream.tls != NULL,
        .replicates =
            login->startup.physical && strcmp(login->startup.database, CONSOLE_DATABASE) != 0,
    };
    login->method = login->config->auth;
    if (login->method != AUTH_HBA)
        return;
    login->rule =
        hba_match(login->config->hba, &peer, login->startup.database, login->startup.user);
    login->method = login->rule ? (enum auth_method)hba_method(login->rule) : AUTH_REJECT;
}

/* Need it be known who the user is, beyond what the connection tells? */
static bool needs_user(enum auth_method method)
{
    return method != AUTH_ANY && method != AUTH_CERT && method != AUTH_PEER &&
           method != AUTH_REJECT;
}

/* It is known who the user is, or that there is none. */
static void ask_for_proof(struct client *client)
{
    struct login *login = client->login;
    struct user_config *user = login->user;
    struct scram_keys keys;
    switch (login->method) {
    case AUTH_ANY:
        authenticated(client);
        break;
    case AUTH_TRUST:
        if (user || login->exists ||
            lookup_is_auth_user(login->startup.database, login->startup.user))
            authenticated(client);
        else
            fail_with(client, "28000", "The pool's users are in users, users_file or auth_query.",
                      "\"trust\" authentication failed for user \"%s\": no such user is listed",
                      login->startup.user);
        break;
    case AUTH_CERT: {
        AUTO_TEXT name = client->stream.tls ? tls_peer_name(client->stream.tls) : NULL;
        if (name && hba_allows(login->rule, name, login->startup.user))
            authenticated(client);
        else
            fail_with(client, "28000",
                      "It takes a certificate of the authority in ca_file whose common name is "
                      "the user's, or one that ident_file maps to it.",
                      "certificate authentication failed for user \"%s\"", login->startup.user);
        break;
    }
    case AUTH_PEER: {
        struct ucred peer;
        socklen_t len = sizeof(peer);
        const char *name =
            getsockopt(client->stream.source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0
                ? hba_system_user(login->config->hba, peer.uid)
                : NULL;
        if (name && hba_allows(login->rule, name, login->startup.user))
            authenticated(client);
        else
            fail_with(client, "28000",
                      "The system's user who connects has to have that name, or one that "
                      "ident_file maps to it.",
                      "peer authentication failed for user \"%s\"", login->startup.user);
        break;
    }
    case AUTH_REJECT:
    case AUTH_HBA:
        reject(client);
        break;
    case AUTH_PASSWORD:
        ask(client, AUTH_CODE_PASSWORD, (struct slice){NULL, 0}, STAGE_PASSWORD);
        break;
    case AUTH_MD5:
        if (form_of(login, &keys) != SECRET_SCRAM) {
            if (RAND_bytes(login->salt, sizeof(login->salt)) != 1)
                abort();
            ask(client, AUTH_CODE_MD5, (struct slice){(const char *)login->salt, 4}, STAGE_MD5);
            break;
        }
        begin_scram(client); /* what is kept fits no other */
        break;
    default:
        begin_scram(client);
    }
}

static void take_secret(struct login *login, const char *secret)
{
    login->user = login->looked_up = xcalloc(1, sizeof(*login->looked_up));
    login->user->name = login->startup.user;
    login->user->secret = xstrdup(secret);
    struct scram_keys keys = {.iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT_BYTES};
    found_last.form = secret_form(secret, &keys);
    found_last.like.iterations = keys.iterations;
    found_last.like.salt_len = keys.salt_len;
    login->user->limits = POOL_LIMITS_SILENT;
}

static void learn_address(struct client *client)
{
    socklen_t len = sizeof(client->login->from);
    if (client->stream.fd_is_tcp)
        (void)getpeername(client->stream.source.fd, (struct sockaddr *)&client->login->from, &len);
}

static void begin_auth(struct client *client)
{
    struct login *login = client->login;
    const char *secret = NULL;
    login->config = config_hold(pool_process.config);
    login->user = config_user(login->config, login->startup.user);
    if (login->user && !login->user->may_login)
        login->user = NULL;
    learn_address(client);
    if (!may_try(client))
        return;
    choose_method(client);
    if (!login->user && needs_user(login->method)) {
        /* Before it may lead to a login: what waits is found by its stage. */
        login->stage = STAGE_LOOKUP;
        enum lookup_result found =
            lookup_user(login->startup.database, login->startup.user, &secret);
        login->asked_database = found != LOOKUP_DISABLED;
        switch (found) {
        case LOOKUP_PENDING:
            return;
        case LOOKUP_FOUND:
            login->exists = true;
            take_secret(login, secret);
            break;
        case LOOKUP_NO_SECRET:
            login->exists = true;
            break;
        default:
            break;
        }
    }
    ask_for_proof(client);
}

void login_looked_up(const char *database, const char *user, bool exists, const char *secret,
                     const char *problem)
{
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = client_next(next)) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        struct login *login = client->login;
        next = list_next(&pool_process.clients, link);
        if (!in_login(client) || login->stage != STAGE_LOOKUP ||
            strcmp(login->startup.user, user) != 0 ||
            strcmp(login->startup.database, database) != 0)
            continue;
        if (problem) {
            fail(client, "08006", "the user can not be looked up now; see the pool's log");
            continue;
        }
        login->exists = exists;
        if (secret)
            take_secret(login, secret);
        ask_for_proof(client); /* a connection for it may fail at once, which ends others' logins */
        if (in_login(client))
            login_run(client); /* it may have gone on without waiting */
    }
}

void login_enter(struct client *client, const char *database, const char *user,
                 const char *search_path)
{
    struct startup *startup = &client->login->startup;
    startup->database = xstrdup(database);
    startup->user = xstrdup(user);
    startup->params = params_empty();
    if (search_path)
        startup->params = params_with(startup->params, SLICE("search_path"), slice_of(search_path));
    enter_pool(client, true);
}

static void on_sasl_first(struct client *client, struct slice body)
{
    struct scram *scram = &client->login->scram;
    struct slice mechanism;
    uint32_t len;
    AUTO_BUFFER answer = {0};
    if (!wire_take_text(&body, &mechanism) || !wire_take_u32(&body, &len) || len != body.len) {
        fail(client, "08P01", "the SASL message is malformed");
        return;
    }
    scram->plus = slice_equal(mechanism, SLICE(SCRAM_MECHANISM_PLUS));
    bool offered = scram->plus ? scram->could_plus : slice_equal(mechanism, SLICE(SCRAM_MECHANISM));
    if (!offered || !scram_server_first(scram, body, &answer)) {
        fail(client, "08P01", "the SCRAM message is malformed, or asks for what was not offered");
        return;
    }
    ask(client, AUTH_CODE_SASL_CONTINUE, buffer_slice(&answer), STAGE_SASL_FINAL);
}

static void on_sasl_final(struct client *client, struct slice body)
{
    AUTO_BUFFER answer = {0};
    if (!scram_server_final(&client->login->scram, body, &answer)) {
        fail_password(client);
        return;
    }
    ask(client, AUTH_CODE_SASL_FINAL, buffer_slice(&answer), STAGE_SASL_FINAL);
    authenticated(client);
}

/* password: as it was given; NULL: an answer made of it was. */
static void judge(struct client *client, bool ok, const char *password)
{
    struct login *login = client->login;
    if (ok && login->looked_up && password) { /* with that the database lets it in */
        secret_wipe(login->looked_up->secret, strlen(login->looked_up->secret));
        free(login->looked_up->secret);
        login->looked_up->secret = xstrdup(password);
    }
    if (ok)
        authenticated(client);
    else
        fail_password(client);
}

/* They are those of the verifier, and can log in to the server, if the password is right. */
static void check_derived(struct client *client, const char *password,
                          const struct scram_keys *keys)
{
    struct scram_keys *wanted = &client->login->scram.keys;
    bool ok = secret_equal(keys->stored_key, wanted->stored_key, SCRAM_KEY_BYTES);
    if (ok)
        *wanted = *keys;
    judge(client, ok, password);
}

static void fail_busy(struct client *client)
{
    fail_with(client, "53300", "Verifiers with fewer iterations are checked sooner.",
              "too many passwords wait to be checked; try again in some seconds");
}

static void on_derived(void *owner, const char *password, const struct scram_keys *keys)
{
    struct client *client = owner;
    client->login->derive = NULL;
    if (!in_login(client))
        return;
    if (!keys) {
        fail_busy(client);
        return;
    }
    check_derived(client, password, keys);
    if (in_login(client))
        login_run(client);
}

/* Against a verifier; of a user that there is not, for as long as if there were. */
static void check_verifier(struct client *client, const char *password,
                           const struct scram_keys *verifier)
{
    struct login *login = client->login;
    struct scram_keys *wanted = &login->scram.keys, derived;
    if (login->user)
        *wanted = *verifier;
    else
        scram_mock(login->startup.user, verifier, wanted);
    if (wanted->iterations > DERIVE_AT_ONCE_MAX) {
        login->stage = STAGE_DERIVE;
        login->derive = derive_start(DERIVE_CLIENT, password, wanted, on_derived, client);
        if (!login->derive)
            fail_busy(client);
        return;
    }
    scram_derive(password, wanted->salt, wanted->salt_len, wanted->iterations, &derived);
    check_derived(client, password, &derived);
    secret_wipe(&derived, sizeof(derived));
}

static void on_password(struct client *client, struct slice body)
{
    struct login *login = client->login;
    struct scram_keys keys;
    struct slice text;
    if (!wire_take_text(&body, &text) || body.len > 0) {
        fail(client, "08P01", "the password message is malformed");
        return;
    }
    const char *user = login->startup.user, *secret = login->user ? login->user->secret : NULL;
    if (login->stage == STAGE_MD5)
        judge(client, secret_check_md5(secret, user, login->salt, text.ptr), NULL);
    else if (form_of(login, &keys) == SECRET_SCRAM)
        check_verifier(client, text.ptr, &keys);
    else
        judge(client, secret_check_password(secret, user, text.ptr), text.ptr);
}

static void on_answer(struct client *client, struct slice body)
{
    if (!may_try(client)) /* now that others have failed */
        return;
    if (client->login->stage == STAGE_SASL)
        on_sasl_first(client, body);
    else if (client->login->stage == STAGE_SASL_FINAL)
        on_sasl_final(client, body);
    else
        on_password(client, body);
}

/* ---- the startup packet ---- */

static void negotiate(struct client *client, uint32_t code)
{
    struct startup *startup = &client->login->startup;
    AUTO_BUFFER out = {0};
    if (code == WIRE_PROTOCOL_3_0 && startup->unknown_count == 0)
        return;
    size_t begun = wire_begin(&out, 'v');
    wire_u32(&out, WIRE_PROTOCOL_3_0);
    wire_u32(&out, startup->unknown_count);
    buffer_append_slice(&out, buffer_slice(&startup->unknown));
    wire_end(&out, begun);
    client_send_buffer(client, &out);
}

/* As with PgBouncer, whoever runs the pool, or root, gets to the console by a unix socket as the
 * user "pgbouncer", without a password. */
static bool is_owner(const struct client *client)
{
    const struct startup *startup = &client->login->startup;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return !client->stream.fd_is_tcp && strcmp(startup->database, CONSOLE_DATABASE) == 0 &&
           strcmp(startup->user, CONSOLE_DATABASE) == 0 &&
           getsockopt(client->stream.source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == pool_process.owner || peer.uid == 0);
}

static void on_startup(struct client *client, uint32_t code, struct slice body)
{
    struct login *login = client->login;
    const struct pool_config *config = pool_process.config;
    if (code >> 16 != 3) {
        fail_with(client, "0A000", "Use a driver that speaks protocol 3, as those since 2003 do.",
                  "protocol %u.%u is not supported; the pool speaks 3.0", code >> 16,
                  code & 0xffff);
    } else if (config->tls.mode >= TLS_REQUIRE && !client->stream.tls && client->stream.fd_is_tcp) {
        fail_with(client, "28000", "Connect with sslmode=require, or a stricter one.",
                  "this pool takes connections with TLS only");
    } else if (!startup_read(body, config->ignore_startup_parameters, &login->startup)) {
        fail_with(client, login->startup.sqlstate, login->startup.hint, "%s",
                  login->startup.problem);
    } else if (login->startup.replication && client->stream.carrier) {
        fail_with(client, "0A000", "A program that is no worker can, by an address in listen.",
                  "a worker can not open a replication connection");
    } else if (pool_process.draining && strcmp(login->startup.database, CONSOLE_DATABASE) != 0) {
        fail(client, "57P01", "the pool is shutting down; only its console can be connected to");
    } else {
        negotiate(client, code);
        if (client->stream.carrier)
            admit_worker(client);
        else if (is_owner(client))
            console_open(client, login->startup.user, application_name(client), true);
        else
            begin_auth(client);
    }
}

static void begin_tls(struct client *client)
{
    client->stream.tls = tls_new(pool_process.tls, client->stream.source.fd, NULL);
    client->login->stage = STAGE_TLS;
}

static void on_tls_request(struct client *client, bool tls)
{
    bool yes = tls && pool_process.tls && !client->stream.tls && client->stream.fd_is_tcp;
    struct iovec part = {yes ? "S" : "N", 1};
    if (buffer_len(client->in) > 0) { /* somebody between us put it there (CVE-2021-23214) */
        fail(client, "08P01", "bytes came after a request for encryption, before its answer");
        return;
    }
    client_send(client, &part, 1);
    client->login->stage = STAGE_STARTUP;
    if (yes)
        begin_tls(client);
}

/* One packet of those that have no type. False: it is not there yet. */
static bool take_startup(struct client *client)
{
    struct slice bytes = buffer_slice(client->in);
    if (bytes.len < 8)
        return false;
    uint32_t length = wire_get_u32(bytes.ptr), code = wire_get_u32(bytes.ptr + 4);
    if (length < 8 || length > STARTUP_BYTES_MAX) {
        /* Not a client of Postgres, or one that left at once: it gets no answer, as from Postgres.
         */
        client_close(client, NULL);
        return false;
    }
    if (bytes.len < length)
        return false;
    AUTO_BUFFER packet = {0};
    buffer_append(&packet, bytes.ptr, length);
    buffer_consume(client->in, length);
    struct slice body = {packet.data + 8, length - 8};
    if (code == WIRE_SSL || code == WIRE_GSS) {
        on_tls_request(client, code == WIRE_SSL);
    } else if (code == WIRE_CANCEL) {
        learn_address(client);
        if (body.len >= 8)
            cancel_asked(wire_get_u32(body.ptr), wire_get_u32(body.ptr + 4), &client->login->from);
        client_close(client, NULL);
    } else {
        on_startup(client, code, body);
    }
    return true;
}

static bool take_answer(struct client *client)
{
    struct slice bytes = buffer_slice(client->in);
    if (bytes.len < WIRE_HEADER_BYTES)
        return false;
    uint32_t length = wire_get_u32(bytes.ptr + 1);
    if (bytes.ptr[0] == 'X') {
        client_close(client, NULL);
        return false;
    }
    bool password = client->login->stage == STAGE_PASSWORD;
    if (bytes.ptr[0] == 'p' && password && length > PASSWORD_BYTES_MAX) {
        if (may_try(client))
            fail_password(client); /* nobody has such a long one */
        return false;
    }
    if (bytes.ptr[0] != 'p' || length < 4 || (!password && length > ANSWER_BYTES_MAX)) {
        fail(client, "08P01", "expected the answer to a password request");
        return false;
    }
    if (bytes.len < (size_t)length + 1)
        return false;
    AUTO_BUFFER message = {0};
    buffer_append(&message, bytes.ptr, (size_t)length + 1);
    buffer_consume(client->in, (size_t)length + 1);
    on_answer(client, (struct slice){message.data + WIRE_HEADER_BYTES, length - 4});
    secret_wipe(message.data, message.cap);
    return true;
}

/* ---- input ---- */

/* TLS from the first byte on, without asking (Postgres 17). */
static void look_for_direct_tls(struct client *client)
{
    unsigned char first;
    ssize_t got = recv(client->stream.source.fd, &first, 1, MSG_PEEK);
    if (got <= 0)
        return; /* the read that follows finds out */
    client->login->stage = STAGE_STARTUP;
    if (first != TLS_RECORD_HANDSHAKE || !pool_process.tls || !client->stream.fd_is_tcp)
        return;
    client->login->direct_tls = true;
    begin_tls(client);
}

/* True: it is done. */
static bool run_tls(struct client *client)
{
    struct login *login = client->login;
    int r = tls_handshake(client->stream.tls);
    if (r < 0) {
        if (pool_process.config->log_errors)
            log_info("client %" PRIu64 ": TLS failed: %s", client->id,
                     tls_failure(client->stream.tls));
        client_close(client, NULL);
    } else if (r > 0 && login->direct_tls && !tls_has_alpn(client->stream.tls)) {
        fail_with(client, "08P01", "Connect with sslnegotiation=postgres, or a newer driver.",
                  "direct TLS needs ALPN \"postgresql\"");
    } else if (r > 0) {
        login->stage = STAGE_STARTUP;
        client->stream.readable = true;
        return true;
    }
    return false;
}

static void take_messages(struct client *client)
{
    bool more = true;
    while (more && in_login(client) && client->login->stage != STAGE_TLS &&
           client->login->stage < STAGE_LOOKUP)
        more = client->login->stage <= STAGE_STARTUP ? take_startup(client) : take_answer(client);
}

void login_run(struct client *client)
{
    if (client->login->stage >= STAGE_LOOKUP) {
        if (client->stream.hung_up)
            client_close(client, NULL);
        return; /* what it has sent already stays in its socket */
    }
    while (in_login(client) && client->stream.readable && client->login->stage < STAGE_LOOKUP) {
        if (client->login->stage == STAGE_FIRST && !client->stream.carrier)
            look_for_direct_tls(client);
        if (client->login->stage == STAGE_TLS && !run_tls(client))
            return;
        if (!client->in)
            client->in = xcalloc(1, sizeof(*client->in));
        /* Before TLS no more than the request is read: what follows belongs to the handshake. */
        size_t want = client->login->stage <= STAGE_STARTUP && !client->stream.tls &&
                              buffer_len(client->in) < 8
                          ? 8 - buffer_len(client->in)
                          : 2048;
        ssize_t got = stream_read(&client->stream, buffer_reserve(client->in, want), want);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            client_close(client, NULL);
            return;
        }
        client->stream.readable = true;
        client->in->end += (size_t)got;
        take_messages(client);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A new connection to a database: name, socket, TLS, startup, authentication, and what it reports
 * about itself. Hosts and their addresses are tried in turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "credentials.h"
#include "derive.h"
#include "listen.h"
#include "log.h"
#include "pool.h"
#include "resolve.h"
#include "scram.h"
#include "tls.h"

enum phase {
    PHASE_RESOLVE,
    PHASE_CONNECT,
    PHASE_TLS_ANSWER,
    PHASE_TLS,
    PHASE_DERIVE,  /* keys for what the server wants are on their way */
    PHASE_AUTH,    /* up to AuthenticationOk */
    PHASE_SESSION, /* up to ReadyForQuery */
    PHASE_ATTRS,   /* it is asked for what target_session_attrs needs */
    PHASE_QUERY,   /* connect_query runs */
};

enum {
    LOGIN_MESSAGE_BYTES_MAX = 64 * 1024,
    LOGIN_BYTES_MAX = 1024 * 1024, /* of all that a host says in a login, connect_query with it */
};

struct server_login {
    enum phase phase;
    size_t host, tried; /* the one that is tried, and how many before it */
    size_t said_bytes;  /* by it */
    uint64_t began_us;  /* with this address, or to look for one */
    bool timed_out;     /* one did not answer in time */
    bool heard;         /* one has said something that is for this user, perhaps */
    struct resolve *resolve;
    struct addrinfo *addresses, *address; /* of the host; the one that is tried */
    bool accept_any;
    char is_so; /* what it was asked for target_session_attrs: 'y', 'n', or 0, nothing yet */
    struct scram scram;
    bool scram_runs, scram_proven;
    struct derive *derive;
    char *server_first; /* the message that it is for */
    char sqlstate[6];
    char *failure;
    const char *hint; /* … where the pool itself would not go on: what helps, a constant */
};

static void next_address(struct server *server);

static const struct host_config *host_of(const struct server *server)
{
    return &server->pool->database->hosts[server->login->host];
}

void server_login_free(struct server_login **login)
{
    struct server_login *l = TAKE(*login);
    if (!l)
        return;
    resolve_abandon(&l->resolve);
    derive_abandon(&l->derive);
    free(l->server_first);
    if (l->addresses)
        freeaddrinfo(l->addresses);
    scram_done(&l->scram);
    free(l->failure);
    free(l);
}

/* ---- failure ---- */

static bool is_late(const struct server *server)
{
    return pool_passed(server->login->began_us, server->pool->config->server_connect_ms);
}

/* Has that address kept a connection waiting of late, and is there another one to try? */
static bool is_avoided(const struct server *server, const struct sockaddr *address, socklen_t len)
{
    const struct pool *pool = server->pool;
    const struct server_login *login = server->login;
    bool has_other = (login->address && login->address->ai_next) ||
                     login->tried + 1 < pool->database->hosts_count;
    return has_other && pool->slow_us > 0 && memcmp(&pool->slow_address, address, len) == 0 &&
           !pool_passed(pool->slow_us, pool->config->server_connect_ms);
}

static void give_up(struct server *server)
{
    struct pool *pool = server->pool;
    struct server_login *login = server->login;
    AUTO_TEXT message = xstrdup(login->failure ? login->failure : "no host is configured");
    char sqlstate[6];
    const char *hint = login->hint;
    memcpy(sqlstate, *login->sqlstate ? login->sqlstate : "08001", sizeof(sqlstate));
    if (pool->config->log_disconnections)
        log_info("server %" PRIu64 " of %s, user %s: closing because: %s", server->id,
                 pool->database_name, pool->user, message);
    bool listens = server->listens, in_time = !login->timed_out, silent = !login->heard;
    server_close(server, "");
    pool_connect_failed(pool, &(struct wire_error){sqlstate, message, NULL, hint, NULL}, in_time,
                        listens, silent);
    if (listens)
        listen_unreachable(pool, message);
}

static void note_failure(struct server *server, const char *sqlstate, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void note_failure(struct server *server, const char *sqlstate, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    free(server->login->failure);
    server->login->failure = text;
    server->login->hint = NULL;
    (void)snprintf(server->login->sqlstate, sizeof(server->login->sqlstate), "%.5s", sqlstate);
}

static void reset_connection(struct server *server)
{
    stream_close(&server->stream, pool_process.loop);
    memset(&server->stream, 0, sizeof(server->stream));
    scram_done(&server->login->scram);
    derive_abandon(&server->login->derive);
    text_free(&server->login->server_first);
    server->login->scram_runs = server->login->scram_proven = false;
    server->login->said_bytes = 0;
    server->login->is_so = 0;
    params_release(&server->params);
    server->params = params_empty();
    server->in.start = server->in.end = server->out.start = server->out.end = 0;
}

/* This address leads nowhere: the next one, or the next host. */
static void try_elsewhere(struct server *server)
{
    reset_connection(server);
    next_address(server);
}

/* The server has said no: another host will not say otherwise. */
static void refused(struct server *server)
{
    reset_connection(server);
    give_up(server);
}

/* ---- output ---- */

static bool send_out(struct server *server, struct buffer *out)
{
    struct slice all = buffer_slice(out);
    struct iovec part = {(void *)(uintptr_t)all.ptr, all.len};
    ssize_t sent = stream_write(&server->stream, &part, 1);
    if (sent == (ssize_t)all.len)
        return true;
    /* What is said in a login fits into an empty socket. */
    note_failure(server, "08001", "cannot write to the database's server");
    try_elsewhere(server);
    return false;
}

/* What its client has said goes along here: later there may be no way to set it. */
static void append_replication(const struct pool *pool, struct buffer *out)
{
    struct slice name, value;
    wire_text(out, "replication");
    wire_text(out, pool->replication);
    for (size_t i = 0; i < params_count(pool->startup); i++) {
        params_at(pool->startup, i, &name, &value);
        wire_text(out, name.ptr);
        wire_text(out, value.ptr);
    }
}

static void send_startup(struct server *server)
{
    const struct pool *pool = server->pool;
    const struct database_config *database = pool->database;
    AUTO_BUFFER out = {0};
    size_t begun = wire_begin(&out, 0);
    wire_u32(&out, WIRE_PROTOCOL_3_0);
    wire_text(&out, "user");
    wire_text(&out, pool->credentials->user);
    wire_text(&out, "database");
    wire_text(&out, database->database ? database->database : pool->database_name);
    for (size_t i = 0; i < database->settings_count; i++) {
        wire_text(&out, database->settings[i].name);
        wire_text(&out, database->settings[i].value);
    }
    if (pool->replication)
        append_replication(pool, &out);
    buffer_append(&out, "", 1);
    wire_end(&out, begun);
    server->login->phase = PHASE_AUTH;
    (void)send_out(server, &out);
}

static void send_password(struct server *server, const char *text)
{
    AUTO_BUFFER out = {0};
    size_t begun = wire_begin(&out, 'p');
    wire_text(&out, text);
    wire_end(&out, begun);
    (void)send_out(server, &out);
    secret_wipe(out.data, out.cap);
}

/* ---- TLS ---- */

static bool wants_tls(const struct server *server)
{
    return server->pool->database->tls.mode >= TLS_PREFER && host_of(server)->host[0] != '/';
}

static void begin_tls(struct server *server)
{
    struct pool *pool = server->pool;
    struct error err = {""};
    if (!pool->tls)
        pool->tls = tls_context_new(&pool->database->tls, false, &err);
    if (!pool->tls) {
        note_failure(server, "08001", "%s", err.text);
        refused(server);
        return;
    }
    server->stream.tls = tls_new(pool->tls, server->stream.source.fd, host_of(server)->host);
    server->login->phase = PHASE_TLS;
    server_login_run(server, 0);
}

static void ask_for_tls(struct server *server)
{
    AUTO_BUFFER out = {0};
    if (server->pool->database->tls.direct) {
        begin_tls(server);
        return;
    }
    wire_ask_for_tls(&out);
    server->login->phase = PHASE_TLS_ANSWER;
    (void)send_out(server, &out);
}

/* One byte, read alone: whatever follows it must come through TLS. */
static void on_tls_answer(struct server *server)
{
    char answer;
    ssize_t got = stream_read(&server->stream, &answer, 1);
    if (got == -EAGAIN)
        return;
    server->stream.readable = true;
    if (got == 1 && answer == 'S') {
        begin_tls(server);
    } else if (got == 1 && answer == 'N' && server->pool->database->tls.mode == TLS_PREFER) {
        send_startup(server);
    } else {
        note_failure(server, "08001", "the database's server at %s does not offer TLS",
                     host_of(server)->host);
        try_elsewhere(server);
    }
}

static void on_tls(struct server *server)
{
    int r = tls_handshake(server->stream.tls);
    if (r == 0)
        return;
    if (r > 0 && server->pool->database->tls.direct && !tls_has_alpn(server->stream.tls)) {
        note_failure(server, "08001",
                     "what answers TLS at %s did not agree to ALPN \"postgresql\", which "
                     "sslnegotiation = direct takes",
                     host_of(server)->host);
        try_elsewhere(server);
        return;
    }
    if (r > 0) {
        server->stream.readable = true;
        send_startup(server);
        return;
    }
    note_failure(server, "08001", "TLS with the database's server at %s failed: %s",
                 host_of(server)->host, tls_failure(server->stream.tls));
    try_elsewhere(server);
}

/* ---- the socket ---- */

static void connected(struct server *server)
{
    int code = 0;
    socklen_t len = sizeof(code);
    (void)getsockopt(server->stream.source.fd, SOL_SOCKET, SO_ERROR, &code, &len);
    if (code != 0) {
        note_failure(server, "08001", "cannot connect to %s port %u: %s", host_of(server)->host,
                     host_of(server)->port, strerror(code));
        try_elsewhere(server);
    } else if (wants_tls(server)) {
        ask_for_tls(server);
    } else {
        send_startup(server);
    }
}

static void connect_to(struct server *server, const struct sockaddr *address, socklen_t len)
{
    if (is_avoided(server, address, len)) {
        next_address(server);
        return;
    }
    server->login->began_us = pool_now();
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -1 : connect(fd, address, len);
    if (r < 0 && errno != EINPROGRESS) {
        note_failure(server, "08001", "cannot connect to %s port %u: %s", host_of(server)->host,
                     host_of(server)->port, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        next_address(server);
        return;
    }
    tcp_set_up(fd, address->sa_family);
    memcpy(&server->address, address, len);
    server->address_len = len;
    server->login->phase = PHASE_CONNECT;
    if (server_open(server, fd) < 0) {
        (void)close(fd);
        note_failure(server, "08001", "no descriptor is free for a connection");
        give_up(server);
    }
}

static void connect_unix(struct server *server)
{
    const struct host_config *host = host_of(server);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.%u", host->host,
                       host->port);
    if (len < 0 || (size_t)len >= sizeof(address.sun_path)) {
        note_failure(server, "08001", "the path of the socket in %s is too long", host->host);
        next_address(server);
        return;
    }
    connect_to(server, (const struct sockaddr *)&address, sizeof(address));
}

static void on_resolved(void *owner, struct addrinfo *list, const char *failure)
{
    struct server *server = owner;
    struct server_login *login = server->login;
    login->resolve = NULL;
    if (server->closed) { /* while this was on its way */
        if (list)
            freeaddrinfo(list);
        return;
    }
    if (!list) {
        note_failure(server, "08001", "cannot resolve %s: %s", host_of(server)->host, failure);
        next_address(server);
        return;
    }
    login->addresses = login->address = list;
    connect_to(server, list->ai_addr, list->ai_addrlen);
}

static void begin_host(struct server *server)
{
    const struct host_config *host = host_of(server);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(host->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(host->port)};
    server->host = (uint32_t)server->login->host;
    server->by_name = false;
    if (host->host[0] == '/')
        connect_unix(server);
    else if (inet_pton(AF_INET, host->host, &in.sin_addr) == 1)
        connect_to(server, (const struct sockaddr *)&in, sizeof(in));
    else if (inet_pton(AF_INET6, host->host, &in6.sin6_addr) == 1)
        connect_to(server, (const struct sockaddr *)&in6, sizeof(in6));
    else {
        server->by_name = true;
        server->login->phase = PHASE_RESOLVE;
        server->login->began_us = pool_now();
        server->login->resolve = resolve_start(host->host, host->port, on_resolved, server);
    }
}

static void next_address(struct server *server)
{
    struct server_login *login = server->login;
    const struct database_config *database = server->pool->database;
    if (login->address && login->address->ai_next) {
        login->address = login->address->ai_next;
        connect_to(server, login->address->ai_addr, login->address->ai_addrlen);
        return;
    }
    if (login->addresses)
        freeaddrinfo(login->addresses);
    login->addresses = login->address = NULL;
    login->host = (login->host + 1) % database->hosts_count;
    if (++login->tried < database->hosts_count) {
        begin_host(server);
    } else if (database->attrs == ATTRS_PREFER_STANDBY && !login->accept_any) {
        login->accept_any = true;
        login->tried = 0;
        begin_host(server);
    } else {
        give_up(server);
    }
}

/* Where the tour of hosts begins. */
static size_t first_host(struct pool *pool)
{
    size_t count = pool->database->hosts_count;
    switch (pool->database->balance) {
    case BALANCE_ROUND_ROBIN:
        return pool->next_host++ % count;
    case BALANCE_RANDOM:
        return (size_t)random() % count;
    default:
        return 0;
    }
}

void server_login_start(struct server *server)
{
    server->login = xcalloc(1, sizeof(*server->login));
    server->born_us = pool_now();
    if (server->pool->database->hosts_count == 0) {
        give_up(server);
        return;
    }
    server->login->host = first_host(server->pool);
    begin_host(server);
}

/* ---- authentication ---- */

static const char wants_password[] = "Give the database a user and its password in the pool's "
                                     "configuration, or list the user with a "
                                     "password in users_file.";
static const char wants_binding[] =
    "channel_binding takes TLS, and a server that offers SCRAM-SHA-256-PLUS: a proxy between them "
    "does not. Without channel_binding anybody who can answer for the server is believed.";
static const char wants_same_secret[] = "Who answers for the server does not know the password "
                                        "that the pool knows: check host and TLS, "
                                        "and that the verifier in users_file is the server's.";

/* The server was not asked, or has said nothing that helps: hint does. */
static void cannot_log_in(struct server *server, const char *why, const char *hint)
{
    note_failure(server, "28000", "cannot log in to the database as \"%s\": %s",
                 server->pool->credentials->user, why);
    server->login->hint = hint;
    refused(server);
}

/* Who could listen to the password, or pass it on, is not to get it. */
static bool must_bind(const struct server *server)
{
    return server->pool->database->tls.binding_required;
}

/* Then it can answer where md5 is asked for, and nowhere else. */
static bool has_only_md5(const struct credentials *credentials)
{
    struct scram_keys unused;
    return secret_form(credentials->password, &unused) == SECRET_MD5;
}

static void refuse_md5(struct server *server)
{
    cannot_log_in(server, "only md5's form of its password is known, and it asks for another",
                  "Give the pool the password itself, or the server's own SCRAM verifier of it.");
}

static void send_md5(struct server *server, struct slice salt)
{
    const struct credentials *credentials = server->pool->credentials;
    char stored[MD5_TEXT_BYTES], text[MD5_TEXT_BYTES];
    if (!credentials->password || salt.len != 4) {
        cannot_log_in(server, "it asks for an md5 password, and none is configured",
                      wants_password);
        return;
    }
    if (has_only_md5(credentials))
        memcpy(stored, credentials->password, sizeof(stored));
    else
        md5_stored(credentials->password, credentials->user, stored);
    md5_answer(stored, (const uint8_t *)salt.ptr, text);
    send_password(server, text);
}

static bool offers(struct slice mechanisms, const char *name)
{
    struct slice mechanism;
    while (wire_take_text(&mechanisms, &mechanism) && mechanism.len > 0)
        if (slice_equal(mechanism, slice_of(name)))
            return true;
    return false;
}

static void begin_scram(struct server *server, struct slice mechanisms)
{
    struct server_login *login = server->login;
    const struct credentials *credentials = server->pool->credentials;
    struct scram *scram = &login->scram;
    size_t binding = server->stream.tls ? tls_binding(server->stream.tls, server->binding) : 0;
    if (login->scram_runs) { /* one exchange a login, and nothing of it is begun anew */
        note_failure(server, "08006", "the database's server does not follow the protocol");
        try_elsewhere(server);
        return;
    }
    if (!credentials->password && !credentials->keys.has_client_key) {
        cannot_log_in(server, "no password is known",
                      "A client of that user has to log in first, or a password must be "
                      "configured.");
        return;
    }
    if (has_only_md5(credentials)) {
        refuse_md5(server);
        return;
    }
    *scram = (struct scram){.keys = credentials->keys,
                            .binding = {server->binding, binding},
                            .could_plus = binding > 0};
    scram->plus = binding > 0 && offers(mechanisms, SCRAM_MECHANISM_PLUS);
    if (!scram->plus && !offers(mechanisms, SCRAM_MECHANISM)) {
        cannot_log_in(server, "it offers no SASL mechanism that the pool knows",
                      "The pool knows SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.");
        return;
    }
    if (!scram->plus && must_bind(server)) {
        cannot_log_in(server,
                      server->stream.tls
                          ? "it offers no channel binding, which channel_binding requires"
                          : "channel_binding is required, and there is no TLS",
                      wants_binding);
        return;
    }
    AUTO_BUFFER first = {0}, out = {0};
    scram_client_first(scram, &first);
    size_t begun = wire_begin(&out, 'p');
    wire_text(&out, scram->plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM);
    wire_u32(&out, (uint32_t)buffer_len(&first));
    buffer_append_slice(&out, buffer_slice(&first));
    wire_end(&out, begun);
    login->scram_runs = true;
    (void)send_out(server, &out);
}

static void answer_scram(struct server *server, struct slice text)
{
    struct server_login *login = server->login;
    struct credentials *credentials = server->pool->credentials;
    AUTO_BUFFER final = {0}, out = {0};
    if (!login->scram_runs ||
        !scram_client_final(&login->scram, credentials->password, text, &final)) {
        cannot_log_in(server,
                      "its SCRAM message can not be answered (another salt than that of the "
                      "client's verifier?)",
                      "Copy the verifier anew from the server (rolpassword of pg_authid), or "
                      "configure the password itself.");
        return;
    }
    credentials->keys = login->scram.keys; /* the next login needs no derivation */
    size_t begun = wire_begin(&out, 'p');
    buffer_append_slice(&out, buffer_slice(&final));
    wire_end(&out, begun);
    (void)send_out(server, &out);
}

static void on_derived(void *owner, const char *password, const struct scram_keys *keys)
{
    struct server *server = owner;
    struct server_login *login = server->login;
    (void)password;
    login->derive = NULL;
    if (server->closed)
        return;
    if (!keys) {
        note_failure(server, "08006", "no thread could be made to derive the login's keys");
        refused(server);
        return;
    }
    AUTO_TEXT text = TAKE(login->server_first);
    login->scram.keys = *keys;
    login->phase = PHASE_AUTH;
    answer_scram(server, slice_of(text));
    if (!server->closed && server->login)
        server_login_run(server, 0); /* what has come meanwhile */
}

static void continue_scram(struct server *server, struct slice text)
{
    struct server_login *login = server->login;
    const char *password = server->pool->credentials->password;
    struct scram_keys wanted;
    if (!login->scram_runs || !password || !scram_client_wants(&login->scram, text, &wanted) ||
        wanted.iterations <= DERIVE_AT_ONCE_MAX) {
        answer_scram(server, text);
        return;
    }
    login->phase = PHASE_DERIVE;
    login->server_first = xstrndup(text.ptr, text.len);
    login->derive = derive_start(DERIVE_SERVER, password, &wanted, on_derived, server);
}

static void on_auth(struct server *server, struct slice body)
{
    uint32_t code = 0;
    struct server_login *login = server->login;
    bool sound = wire_take_u32(&body, &code);
    if (!sound)
        code = UINT32_MAX;
    if (must_bind(server) && (code == AUTH_CODE_PASSWORD || code == AUTH_CODE_MD5)) {
        cannot_log_in(server, "it asks for the password itself, and channel_binding is required",
                      wants_binding);
        return;
    }
    switch (code) {
    case AUTH_CODE_OK:
        if (login->scram_runs && !login->scram_proven)
            cannot_log_in(server, "it did not prove that it knows the password", wants_same_secret);
        else if (must_bind(server) && !login->scram.plus)
            cannot_log_in(server, "it wants no proof, and channel_binding is required",
                          wants_binding);
        else
            login->phase = PHASE_SESSION;
        break;
    case AUTH_CODE_PASSWORD:
        if (has_only_md5(server->pool->credentials))
            refuse_md5(server);
        else if (server->pool->credentials->password)
            send_password(server, server->pool->credentials->password);
        else
            cannot_log_in(server, "it asks for a password, and none is configured", wants_password);
        break;
    case AUTH_CODE_MD5:
        send_md5(server, body);
        break;
    case AUTH_CODE_SASL:
        begin_scram(server, body);
        break;
    case AUTH_CODE_SASL_CONTINUE:
        continue_scram(server, body);
        break;
    case AUTH_CODE_SASL_FINAL:
        login->scram_proven = login->scram_runs && scram_client_verify(&login->scram, body);
        if (!login->scram_proven)
            cannot_log_in(server, "its SCRAM signature is wrong", wants_same_secret);
        break;
    default:
        cannot_log_in(server, "it asks for a way of authentication that the pool does not know",
                      "It is to ask for scram-sha-256, md5 or password in its pg_hba.conf.");
    }
}

/* ---- the session ---- */

static void on_error(struct server *server, struct slice body)
{
    struct slice code = wire_error_field(body, 'C'), message = wire_error_field(body, 'M');
    AUTO_TEXT text = message.ptr ? xstrndup(message.ptr, message.len) : xstrdup("no message given");
    char sqlstate[6] = "08006"; /* a server that does not say why (CVE-2026-6666) */
    if (code.len == 5)
        memcpy(sqlstate, code.ptr, 5);
    note_failure(server, sqlstate, "%s", text);
    if (strcmp(sqlstate, "57P03") == 0)
        try_elsewhere(server);
    else
        refused(server);
}

static bool is_on(const struct server *server, const char *parameter)
{
    return slice_equal(params_get(server->params, parameter), SLICE("on"));
}

/* What a server before 14, or something before a server, is asked, which does not report it; NULL:
 * it does, or it does not matter. */
static const char *attrs_query(const struct server *server)
{
    const struct pool *pool = server->pool;
    enum session_attrs attrs = pool->database->attrs;
    bool of_writes = attrs == ATTRS_READ_WRITE || attrs == ATTRS_READ_ONLY;
    if (attrs == ATTRS_ANY || server->login->accept_any ||
        (params_get(server->params, "in_hot_standby").ptr &&
         (!of_writes || params_get(server->params, "default_transaction_read_only").ptr)))
        return NULL;
    /* Where WAL is sent there may be no SELECT. */
    return of_writes || pool->replication ? "SHOW transaction_read_only"
                                          : "SELECT pg_catalog.pg_is_in_recovery()";
}

static void on_attrs_row(struct server *server, struct slice body)
{
    struct slice value = {NULL, 0};
    if (body.len < 2)
        return;
    body = (struct slice){body.ptr + 2, body.len - 2}; /* how many columns there are */
    bool yes = wire_take_value(&body, &value) &&
               (slice_equal(value, SLICE("on")) || slice_equal(value, SLICE("t")));
    server->login->is_so = yes ? 'y' : 'n';
}

/* Is it what target_session_attrs asks for? */
static bool fits(const struct server *server, bool standby, bool read_only)
{
    switch (server->pool->database->attrs) {
    case ATTRS_READ_WRITE:
        return !read_only;
    case ATTRS_READ_ONLY:
        return read_only;
    case ATTRS_PRIMARY:
        return !standby;
    case ATTRS_STANDBY:
    case ATTRS_PREFER_STANDBY:
        return standby;
    default:
        return true;
    }
}

/* … by what it reports? */
static bool reports_attrs(const struct server *server)
{
    bool standby = is_on(server, "in_hot_standby");
    return fits(server, standby, standby || is_on(server, "default_transaction_read_only"));
}

/* … or has answered? */
static bool has_attrs(const struct server *server)
{
    bool yes = server->login->is_so == 'y';
    if (server->login->accept_any)
        return true;
    if (server->login->phase == PHASE_ATTRS)
        return server->login->is_so && fits(server, yes, yes);
    return reports_attrs(server);
}

bool server_keeps_attrs(const struct server *server)
{
    return !params_get(server->params, "in_hot_standby").ptr ||
           server->pool->database->attrs == ATTRS_PREFER_STANDBY || reports_attrs(server);
}

static void ask(struct server *server, const char *query, enum phase phase)
{
    AUTO_BUFFER out = {0};
    server->login->phase = phase;
    wire_query(&out, query);
    (void)send_out(server, &out);
}

static void on_ready(struct server *server)
{
    const char *attrs = attrs_query(server);
    if (server->login->phase == PHASE_SESSION && attrs) {
        ask(server, attrs, PHASE_ATTRS);
        return;
    }
    if (server->login->phase != PHASE_QUERY && !has_attrs(server)) {
        note_failure(server, "08001", "no host has the target_session_attrs that are asked for");
        try_elsewhere(server);
        return;
    }
    if (server->login->phase != PHASE_QUERY && server_begins_with_query(server)) {
        ask(server, server->pool->database->connect_query, PHASE_QUERY);
        return;
    }
    server->status = 'I';
    server_is_up(server);
}

static void on_message(struct server *server, char type, struct slice body)
{
    struct slice name, value;
    bool auth = server->login->phase == PHASE_AUTH;
    if (type == 'E') {
        on_error(server, body);
    } else if (type == 'R' && auth) {
        on_auth(server, body);
    } else if (type == 'S' && !auth && wire_take_text(&body, &name) &&
               wire_take_text(&body, &value)) {
        server->params = params_with(server->params, name, value);
        if (params_are_too_many(server->params)) {
            note_failure(server, "08006", "the database's server reports too many parameters");
            try_elsewhere(server);
        }
    } else if (type == 'K' && !auth && body.len >= 8 &&
               body.len <= 4 + sizeof(server->cancel_key)) {
        server->backend_pid = wire_get_u32(body.ptr);
        server->cancel_key_bytes = (uint32_t)body.len - 4;
        memcpy(server->cancel_key, body.ptr + 4, body.len - 4);
    } else if (type == 'Z' && !auth) {
        on_ready(server);
    } else if (type == 'D' && server->login->phase == PHASE_ATTRS) {
        on_attrs_row(server, body);
    } else if (server->login->phase < PHASE_ATTRS && type != 'N' && type != 'v') {
        note_failure(server, "08006", "the database's server does not follow the protocol");
        try_elsewhere(server);
    }
}

/* One message out of what was read. False: it is not there whole, or the connection has changed. */
static bool take_message(struct server *server)
{
    struct slice bytes = buffer_slice(&server->in);
    if (bytes.len < WIRE_HEADER_BYTES)
        return false;
    uint32_t length = wire_get_u32(bytes.ptr + 1);
    if (length < 4 || length > LOGIN_MESSAGE_BYTES_MAX) {
        note_failure(server, "08006", "the database's server does not follow the protocol");
        try_elsewhere(server);
        return false;
    }
    if (bytes.len < (size_t)length + 1)
        return false;
    int fd = server->stream.source.fd;
    struct buffer message = {0};
    buffer_append(&message, bytes.ptr, (size_t)length + 1);
    buffer_consume(&server->in, (size_t)length + 1);
    on_message(server, message.data[0],
               (struct slice){message.data + WIRE_HEADER_BYTES, length - 4});
    buffer_done(&message);
    return !server->closed && server->login && server->login->phase >= PHASE_AUTH &&
           stream_is_open(&server->stream) && server->stream.source.fd == fd;
}

static void read_messages(struct server *server)
{
    while (!server->closed && server->login && server->stream.readable &&
           server->login->phase >= PHASE_AUTH) {
        ssize_t got = stream_read(&server->stream, buffer_reserve(&server->in, 4096), 4096);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            note_failure(server, "08006", "the database's server closed the connection");
            try_elsewhere(server);
            return;
        }
        server->in.end += (size_t)got;
        server->login->said_bytes += (size_t)got;
        server->login->heard = true;
        if (server->login->said_bytes > LOGIN_BYTES_MAX) { /* it would go on until the time is up */
            note_failure(server, "08006", "the database's server says more than 1 MiB in a login");
            try_elsewhere(server);
            return;
        }
        while (take_message(server))
            ;
    }
}

void server_login_run(struct server *server, uint32_t events)
{
    if (server->login->phase == PHASE_CONNECT && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        connected(server);
    if (!server->closed && server->login && server->login->phase == PHASE_TLS_ANSWER)
        on_tls_answer(server);
    else if (!server->closed && server->login && server->login->phase == PHASE_TLS)
        on_tls(server);
    if (!server->closed && server->login)
        read_messages(server);
}

void server_login_tick(struct server *server)
{
    if (!is_late(server))
        return;
    note_failure(server, "08001", "%s port %u did not answer within server_connect_timeout",
                 host_of(server)->host, host_of(server)->port);
    if (!server->login->resolve) {
        server->pool->slow_us = pool_now();
        server->pool->slow_address = server->address;
    }
    server->login->timed_out = true;
    resolve_abandon(&server->login->resolve);
    try_elsewhere(server);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A whole pool between clients and databases that are all hostile, each at the other end of a
 * socket: logins of both sides, auth_query, cancel requests, the console, sessions, metrics. The
 * input is how clients prove who they are, then what the peers do: an operation, whose it is, how
 * many bytes follow, bytes. Some operations do what the protocol asks for, so that others come in
 * its middle.
 */
#include "pool_main.c"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/un.h>

#include "fuzz_pool.h"
#include "lookup.h"
#include "scram.h"
#include "tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 4 };
static const char *const auths[] = {"any", "scram-sha-256", "md5", "password", "hba"};
static const char *const users[] = {"u", "v", "x", "y"};
static const char *const databases[] = {"d", "t", "w", CONSOLE_DATABASE};
static const char verifier[] = "SCRAM-SHA-256$1:c2FsdHNhbHQ=$f8XrMguATnT3qG2C79fZmzpTCwsp1KExhM89x"
                               "nIBVoU=:vYy6p+1FbIJlauAPZFipctNKBJcgPWdJsRzxNIMdWEU="; /* of "p" */

static struct peer {
    int fd;
    struct buffer said; /* by the pool, and not looked at yet */
    struct scram scram;
    SSL *tls; /* NULL: none */
} clients[PEERS], servers[PEERS];
static int by_unix, by_tcp; /* where databases listen */
static uint16_t port;
static SSL_CTX *tls_of_peers;
static char folder[] = "/tmp/weir-fuzz-XXXXXX", path[64];

static void clean_up(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

/* A certificate that anybody can make. */
static void make_tls(void)
{
    char *pem, *key_pem;
    struct error err;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    BIO *bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    (void)X509_gmtime_adj(X509_getm_notBefore(made), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(made), 1000000);
    tls_of_peers = SSL_CTX_new(TLS_method());
    if (X509_set_pubkey(made, key) != 1 || X509_sign(made, key, EVP_sha256()) == 0 ||
        PEM_write_bio_X509(bio, made) != 1 || BIO_write(bio, "", 1) != 1 ||
        PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        BIO_write(key_bio, "", 1) != 1 || BIO_get_mem_data(bio, &pem) <= 0 ||
        BIO_get_mem_data(key_bio, &key_pem) <= 0 ||
        SSL_CTX_use_certificate(tls_of_peers, made) != 1 ||
        SSL_CTX_use_PrivateKey(tls_of_peers, key) != 1)
        abort();
    const struct tls_settings settings = {.mode = TLS_PREFER, .certificate = pem, .key = key_pem};
    pool_process.tls = tls_context_new(&settings, true, &err);
    BIO_free(bio);
    BIO_free(key_bio);
    X509_free(made);
    EVP_PKEY_free(key);
    if (!pool_process.tls)
        abort();
}

static void start(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) < CONTROL_FD)
        ; /* nobody listens there */
    (void)signal(SIGPIPE, SIG_IGN);
    begin_process();
    pool_process.descriptors_max = 1000000;
    pool_placement_init();
    loop_before_sleep(pool_process.loop, end_turn, NULL);
    by_unix = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    by_tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (offload_init(pool_process.loop) < 0 || !mkdtemp(folder))
        abort();
    (void)snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", folder);
    strcpy(at.sun_path, path);
    if (bind(by_unix, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(by_unix, 100) < 0 ||
        bind(by_tcp, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(by_tcp, 100) < 0 ||
        getsockname(by_tcp, (struct sockaddr *)&in, &len) < 0 || atexit(clean_up) != 0)
        abort();
    port = ntohs(in.sin_port);
    make_tls();
}

#define RULE(user, method)                                                                         \
    "{\"type\":\"local\",\"method\":\"" method                                                     \
    "\",\"databases\":{\"all\":true},\"users\":{\"names\":[\"" user "\"]}}"

static void make_plan(const char *auth)
{
    static const char rules[] =
        RULE("u", "scram-sha-256") "," RULE("v", "md5") "," RULE("x", "trust");
    AUTO_TEXT plan = xasprintf(
        "{\"auth\":\"%s\",\"log_errors\":false,\"auth_user\":\"a\",\"failed_login_delay\":0,"
        "\"pool_size\":1,\"prepared_statements_max\":2,\"client_statements_max\":4,"
        "\"hba\":{\"rules\":[%s]},\"stats_users\":[\"v\"],\"admin_users\":[\"u\"],\"clients_bytes_"
        "max\":1000000,"
        "\"users\":[{\"name\":\"a\",\"secret\":\"p\"},{\"name\":\"u\",\"secret\":\"%s\"},"
        "{\"name\":\"v\",\"secret\":\"md58f7ab2b5a7f1c2d8c3ee5a2a1f6cbe10\"}],\"databases\":["
        "{\"name\":\"d\",\"hosts\":[{\"host\":\"%s\"},{\"host\":\"%s\"}]},"
        "{\"name\":\"t\",\"hosts\":[{\"host\":\"127.0.0.1\",\"port\":%d}],\"user\":\"t\","
        "\"password\":\"p\",\"tls\":{\"mode\":\"prefer\"},\"pool_mode\":\"session\"},"
        "{\"name\":\"w\",\"hosts\":[{\"host\":\"%s\"}],\"target_session_attrs\":\"read-write\","
        "\"password\":\"p\",\"user\":\"w\",\"connect_query\":\"select 1\",\"cache\":{}}]}",
        auth, rules, verifier, folder, folder, port, folder);
    begin_plan(plan);
}

static void hang_up(struct peer *peer)
{
    SSL_free(TAKE(peer->tls));
    if (peer->fd >= 0)
        (void)close(peer->fd);
    peer->fd = -1;
    buffer_done(&peer->said);
    scram_done(&peer->scram);
    memset(&peer->scram, 0, sizeof(peer->scram));
}

static void listen_to(struct peer *peer)
{
    ssize_t got = 1;
    while (peer->fd >= 0 && got > 0) {
        void *room = buffer_reserve(&peer->said, 4096);
        got =
            peer->tls ? SSL_read(peer->tls, room, 4096) : recv(peer->fd, room, 4096, MSG_DONTWAIT);
        peer->said.end += got > 0 ? (size_t)got : 0;
    }
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        loop_turn(pool_process.loop, 0);
}

static void say(struct peer *peer, struct buffer *bytes)
{
    struct slice all = buffer_slice(bytes);
    if (peer->tls && all.len > 0)
        (void)SSL_write(peer->tls, all.ptr, (int)all.len);
    else if (peer->fd >= 0)
        (void)!send(peer->fd, all.ptr, all.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say_bytes(struct buffer *out, char type, struct slice body)
{
    size_t begun = wire_begin(out, type);
    buffer_append_slice(out, body);
    wire_end(out, begun);
}

static void open_client(struct peer *peer, bool tcp, bool scrapes)
{
    int pair[2];
    hang_up(peer);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    peer->fd = pair[0];
    if (scrapes)
        metrics_accept(pair[1]);
    else
        client_accept(pair[1], tcp);
}

/* A connection of the pool's, if there is one: to log in, or to cancel. */
static bool open_server(struct peer *peer)
{
    const struct linger none = {1, 0}; /* no port is to wait */
    int fd = accept4(by_unix, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (fd = accept4(by_tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    if (fd < 0)
        return false;
    hang_up(peer);
    peer->fd = fd;
    return true;
}

/* TLS, from here on, after what the pool has said before it: a request for it, or the answer. */
static void shake_hands(struct peer *peer, bool accepts, bool alpn)
{
    static const unsigned char protocol[] = "\012postgresql";
    char before[8];
    if (peer->fd < 0 || peer->tls)
        return;
    (void)!recv(peer->fd, before, accepts ? sizeof(before) : 1, MSG_DONTWAIT);
    peer->tls = SSL_new(tls_of_peers);
    if (!peer->tls || SSL_set_fd(peer->tls, peer->fd) != 1)
        abort();
    if (alpn && !accepts)
        (void)SSL_set_alpn_protos(peer->tls, protocol, sizeof(protocol) - 1);
    for (int i = 0; i < 4; i++) {
        (void)(accepts ? SSL_accept(peer->tls) : SSL_connect(peer->tls));
        turn();
    }
}

static void begin_session(struct peer *peer, uint8_t which, struct slice rest)
{
    AUTO_BUFFER out = {0};
    size_t begun = wire_begin(&out, 0);
    wire_u32(&out, WIRE_PROTOCOL_3_0);
    wire_text(&out, "user");
    wire_text(&out, users[which >> 4 & 3]);
    wire_text(&out, "database");
    wire_text(&out, databases[which >> 6]);
    buffer_append_slice(&out, rest);
    buffer_append(&out, "", 1);
    wire_end(&out, begun);
    say(peer, &out);
}

/* The body of the last message of that type; ptr NULL: there was none. */
static struct slice last_said(struct peer *peer, char wanted)
{
    struct slice rest, body, last = {NULL, 0};
    char type;
    listen_to(peer);
    rest = buffer_slice(&peer->said);
    while (own_next(&rest, &type, &body))
        if (type == wanted)
            last = body;
    return last;
}

/* Whoever knows the password. */
static void answer_pool(struct peer *peer)
{
    AUTO_BUFFER out = {0}, text = {0};
    struct slice asked = last_said(peer, 'R');
    uint32_t code = 0;
    if (!asked.ptr || !wire_take_u32(&asked, &code))
        return;
    if (code == AUTH_CODE_SASL) {
        scram_client_first(&peer->scram, &text);
        buffer_append(&out, SCRAM_MECHANISM, sizeof(SCRAM_MECHANISM));
        wire_u32(&out, (uint32_t)buffer_len(&text));
    } else if (code == AUTH_CODE_SASL_CONTINUE) {
        (void)scram_client_final(&peer->scram, "p", asked, &text);
    } else if (code == AUTH_CODE_PASSWORD) {
        wire_text(&text, "p");
    }
    buffer_append_slice(&out, buffer_slice(&text));
    AUTO_BUFFER message = {0};
    say_bytes(&message, 'p', buffer_slice(&out));
    say(peer, &message);
    peer->said.start = peer->said.end;
}

static void prove(struct peer *peer)
{
    AUTO_BUFFER out = {0}, text = {0};
    struct slice said = last_said(peer, 'p'), mechanism;
    uint32_t len;
    bool first = !peer->scram.known;
    if (!said.ptr)
        return;
    if (first) {
        (void)secret_form(verifier, &peer->scram.keys);
        peer->scram.known = wire_take_text(&said, &mechanism) && wire_take_u32(&said, &len) &&
                            scram_server_first(&peer->scram, said, &text);
    } else {
        (void)scram_server_final(&peer->scram, said, &text);
    }
    wire_auth(&out, first ? AUTH_CODE_SASL_CONTINUE : AUTH_CODE_SASL_FINAL, buffer_slice(&text));
    say(peer, &out);
    peer->said.start = peer->said.end;
}

static void let_in(struct peer *peer, uint8_t what)
{
    AUTO_BUFFER out = {0};
    wire_auth(&out, AUTH_CODE_OK, (struct slice){NULL, 0});
    wire_parameter(&out, SLICE("TimeZone"), SLICE("UTC"));
    if (what & 1)
        wire_parameter(&out, SLICE("in_hot_standby"), SLICE("off"));
    if (what & 2)
        say_bytes(&out, 'K', SLICE("12345678"));
    wire_ready(&out, 'I');
    say(peer, &out);
}

static void cancel_session(struct peer *peer, uint8_t which)
{
    const struct link *link = list_first(&pool_process.clients);
    AUTO_BUFFER out = {0};
    for (which &= 3; link && which > 0; which--)
        link = list_next(&pool_process.clients, link);
    if (!link)
        return;
    const struct client *client = CONTAINER_OF(link, struct client, link);
    size_t begun = wire_begin(&out, 0);
    wire_u32(&out, WIRE_CANCEL);
    wire_u32(&out, client->told_number);
    wire_u32(&out, (uint32_t)client->cancel_key);
    wire_end(&out, begun);
    say(peer, &out);
}

static void tick(void)
{
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        pool->retry_us = 0; /* without having to wait for it */
    for (int i = 0; i < SECOND_TICKS; i++)
        on_tick(&ticker);
    loop_timer_stop(pool_process.loop, &ticker);
}

/* whose: a client or server in its lowest bits. */
static void run_one(uint8_t operation, uint8_t whose, struct slice bytes)
{
    struct peer *client = &clients[whose % PEERS], *server = &servers[whose % PEERS];
    AUTO_BUFFER out = {0};
    const char type = bytes.len > 0 ? *bytes.ptr : 'S';
    struct slice body = {bytes.ptr + (bytes.len > 0), bytes.len - (bytes.len > 0)};
    switch (operation % 15) {
    case 0:
        open_client(client, whose & 4, whose & 8);
        break;
    case 1:
        begin_session(client, whose, bytes);
        break;
    case 2:
        answer_pool(client);
        break;
    case 3:
    case 4:
        buffer_append_slice(&out, bytes);
        say(operation % 15 == 3 ? client : server, &out);
        break;
    case 5:
    case 6: /* one message, or many */
        for (int i = 0; i <= operation / 15 * 20; i++)
            say_bytes(&out, type, body);
        say(operation % 15 == 5 ? client : server, &out);
        break;
    case 7:
        (void)open_server(server);
        break;
    case 8:
        let_in(server, whose >> 2);
        break;
    case 9:
        listen_to(server); /* its startup packet, which has no type */
        server->said.start = server->said.end;
        wire_auth(&out, whose >> 4, bytes);
        say(server, &out);
        break;
    case 10:
        prove(server);
        break;
    case 11:
        cancel_session(client, whose >> 2);
        break;
    case 12:
        tick();
        break;
    case 13:
        shake_hands(whose & 4 ? client : server, !(whose & 4), whose & 8);
        break;
    default:
        hang_up(whose & 4 ? client : server);
    }
}

/* Everybody leaves, and nothing of it stays. */
static void end_all(void)
{
    for (int i = 0; i < PEERS; i++) {
        hang_up(&clients[i]);
        hang_up(&servers[i]);
    }
    client_end_all();
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        struct list *all[] = {&pool->connecting, &pool->idle, &pool->lent, &pool->cleaning,
                              &pool->listening};
        pool->retired = true;
        pool->retry_us = UINT64_MAX;
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            server_close_all(all[i], "the end");
    }
    turn();
    for (struct link *link; (link = list_first(&pool_process.clients));)
        client_close(CONTAINER_OF(link, struct client, link), NULL);
    turn();
    for (struct peer *last = &servers[0]; open_server(last);)
        hang_up(last); /* cancel requests end with their connections */
    turn();
    lookup_forget_all();
    lend_free_unwanted();
    for (struct record *record = record_first(); record; record = record->next)
        record->paused = record->disabled = false;
    record_forget();
    pool_process.paused = pool_process.draining = false;
    if (pool_process.clients.count + pool_process.strangers.count > 0 || pool_process.pools)
        abort(); /* somebody stayed behind */
    config_release(&pool_process.config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    if (!pool_process.loop)
        start();
    for (int i = 0; i < PEERS; i++)
        clients[i].fd = servers[i].fd = -1;
    make_plan(auths[data[0] % ARRAY_LEN(auths)]);
    for (data++, size--; size >= 3;) {
        uint8_t operation = data[0], whose = data[1];
        size_t len = data[2] < size - 3 ? data[2] : size - 3;
        run_one(operation, whose, (struct slice){(const char *)data + 3, len});
        data += 3 + len, size -= 3 + len;
        turn();
    }
    end_all();
    return 0;
}

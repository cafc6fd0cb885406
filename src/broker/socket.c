/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 16 * 1024,
    LINGER_MS = 10 * 1000, /* for what is still to be sent when the instance is gone */
};

struct socket {
    struct loop_source source;
    struct exchange *exchange;
    SSL *ssl; /* NULL: in the clear */
    struct loop_timer timer;
    bool handshaking, readable, writable, end_sent, read_ended;
};

/* ---- TLS ---- */

static SSL_CTX *tls_context(void)
{
    static SSL_CTX *context;
    static char *made_for; /* which CA file */
    const char *file = broker.ca_file ? broker.ca_file : "";
    if (context && strcmp(made_for, file) == 0)
        return context;
    SSL_CTX_free(context);
    free(made_for);
    made_for = xstrdup(file);
    context = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (*file)
        (void)SSL_CTX_load_verify_locations(context, file, NULL);
    else
        (void)SSL_CTX_set_default_verify_paths(context);
    return context;
}

static void begin_tls(struct socket *socket)
{
    const char *host = socket->exchange->host;
    struct in6_addr address;
    bool numeric =
        inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
    socket->ssl = SSL_new(tls_context());
    (void)SSL_set_fd(socket->ssl, socket->source.fd);
    if (numeric) {
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(socket->ssl), host);
    } else {
        (void)SSL_set_tlsext_host_name(socket->ssl, host);
        (void)SSL_set1_host(socket->ssl, host);
    }
    SSL_set_connect_state(socket->ssl);
    socket->handshaking = true;
}

/* OpenSSL's queue of errors is of all connections: one that stayed in it, of another worker's
 * connection or libcurl's, would be taken for this one's. So it is emptied before each call. */
static SSL *tls_of(struct socket *socket)
{
    ERR_clear_error();
    return socket->ssl;
}

/* As recv and send: -EAGAIN, another negative errno, or 0 at the end. */
static ssize_t tls_result(struct socket *socket, int r)
{
    switch (SSL_get_error(socket->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        socket->readable = false;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        socket->writable = false;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -EPROTO;
    }
}

static ssize_t receive(struct socket *socket, void *dst, size_t cap)
{
    if (socket->ssl) {
        int r = SSL_read(tls_of(socket), dst, (int)cap);
        return r > 0 ? r : tls_result(socket, r);
    }
    ssize_t got = recv(socket->source.fd, dst, cap, 0);
    if (got < 0 && errno == EAGAIN)
        socket->readable = false;
    return got < 0 ? -errno : got;
}

static ssize_t transmit(struct socket *socket, struct slice bytes)
{
    if (socket->ssl) {
        int r = SSL_write(tls_of(socket), bytes.ptr, (int)bytes.len);
        return r > 0 ? r : tls_result(socket, r);
    }
    ssize_t sent = send(socket->source.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        socket->writable = false;
    return sent < 0 ? -errno : sent;
}

/* ---- life ---- */

static void close_socket(struct exchange *exchange)
{
    struct socket *socket = TAKE(exchange->socket);
    if (!socket)
        return;
    loop_timer_stop(broker.loop, &socket->timer);
    if (socket->ssl && !socket->handshaking)
        (void)SSL_shutdown(socket->ssl); /* says so, and does not wait for the answer */
    SSL_free(socket->ssl);
    loop_remove(broker.loop, &socket->source);
    (void)close(socket->source.fd);
    free(socket);
}

static void fail(struct exchange *exchange, const char *text)
{
    close_socket(exchange);
    exchange_end(exchange, ERROR_KIND_CONNECT, text);
    if (!exchange->attachment)
        exchange_free(exchange);
}

static void on_too_long(struct loop_timer *timer)
{
    struct socket *socket = CONTAINER_OF(timer, struct socket, timer);
    fail(socket->exchange, "TLS: the handshake took too long.");
}

/* "remote-address: 192.0.2.1:443\n" */
static void add_address(struct buffer *block, const char *name,
                        int get(int fd, struct sockaddr *address, socklen_t *len), int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    char text[INET6_ADDRSTRLEN] = "";
    if (get(fd, (struct sockaddr *)&address, &len) < 0)
        return;
    const struct sockaddr_in *in = (const void *)&address;
    const struct sockaddr_in6 *in6 = (const void *)&address;
    bool v6 = address.ss_family == AF_INET6;
    (void)inet_ntop(address.ss_family, v6 ? (const void *)&in6->sin6_addr : &in->sin_addr, text,
                    sizeof(text));
    buffer_printf(block, v6 ? "%s: [%s]:%u\n" : "%s: %s:%u\n", name, text,
                  ntohs(v6 ? in6->sin6_port : in->sin_port));
}

/* Tells the instance that it is open, or that TLS is. */
static void tell_open(struct exchange *exchange)
{
    exchange->head_ready = true;
    exchange->head_sent = false;
    if (exchange->attachment)
        attachment_mark(exchange->attachment);
}

/* ---- work ---- */

/* False: it is closed. */
static bool run_handshake(struct socket *socket)
{
    struct exchange *exchange = socket->exchange;
    int r = SSL_do_handshake(tls_of(socket));
    if (r == 1) {
        socket->handshaking = false;
        socket->readable = socket->writable = true;
        if (exchange->attachment) /* else it measures how long this may go on */
            loop_timer_stop(broker.loop, &socket->timer);
        buffer_printf(&exchange->answer.block, "secure-transport: on\n");
        tell_open(exchange);
        return true;
    }
    if (tls_result(socket, r) == -EAGAIN)
        return true;
    fail(exchange, "TLS: the server's certificate or handshake was refused.");
    return false;
}

/* False: it is closed. */
static bool run_reads(struct socket *socket)
{
    static char bytes[READ_BYTES];
    struct exchange *exchange = socket->exchange;
    while (socket->readable && !socket->read_ended && exchange->credit > 0) {
        size_t cap = exchange->credit < READ_BYTES ? (size_t)exchange->credit : READ_BYTES;
        ssize_t got = receive(socket, bytes, cap);
        if (got == -EAGAIN || got == -EINTR)
            continue;
        if (got < 0) {
            fail(exchange, "Network connection lost.");
            return false;
        }
        if (got == 0) {
            socket->read_ended = true;
            exchange_end(exchange, 0, NULL);
        } else {
            (void)exchange_take_body(exchange, (struct slice){bytes, (size_t)got});
        }
    }
    return true;
}

/* False: it is closed. */
static bool run_writes(struct socket *socket)
{
    struct exchange *exchange = socket->exchange;
    while (socket->writable) {
        struct slice rest = buffer_slice(&exchange->body);
        if (exchange->tls_wanted && rest.len > exchange->clear_bytes)
            rest.len = exchange->clear_bytes;
        if (rest.len == 0)
            break;
        ssize_t sent = transmit(socket, rest);
        if (sent == -EAGAIN || sent == -EINTR)
            continue;
        if (sent <= 0) {
            fail(exchange, "Network connection lost.");
            return false;
        }
        buffer_consume(&exchange->body, (size_t)sent);
        exchange->clear_bytes -= exchange->tls_wanted ? (size_t)sent : 0;
        exchange->credit_owed += (uint32_t)sent;
        if (exchange->attachment)
            attachment_mark(exchange->attachment);
    }
    if (buffer_len(&exchange->body) > 0 || exchange->tls_wanted)
        return true;
    buffer_reset(&exchange->body, 0);
    if (exchange->body_ended && !socket->end_sent) {
        socket->end_sent = true;
        if (socket->ssl)
            (void)SSL_shutdown(tls_of(socket));
        (void)shutdown(socket->source.fd, SHUT_WR);
    }
    return true;
}

void socket_run(struct exchange *exchange)
{
    struct socket *socket = exchange->socket;
    if (!run_writes(socket))
        return;
    if (exchange->tls_wanted && exchange->clear_bytes == 0) {
        exchange->tls_wanted = false;
        begin_tls(socket);
        if (exchange->attachment)
            loop_timer_start(broker.loop, &socket->timer, CONNECT_TIMEOUT_MS, on_too_long);
    }
    if (socket->handshaking && (!run_handshake(socket) || socket->handshaking))
        return;
    if (exchange->attachment && !exchange->tls_wanted && !run_reads(socket))
        return;
    if (run_writes(socket) && !exchange->attachment && socket->end_sent) {
        close_socket(exchange);
        exchange_free(exchange);
    }
}

void socket_start_tls(struct exchange *exchange)
{
    if (buffer_len(&exchange->pending) > 0) {
        buffer_reset(&exchange->pending, 0);
        fail(exchange, "The server sent bytes in the clear before TLS began.");
    } else if (exchange->socket) {
        socket_run(exchange);
    }
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct socket *socket = CONTAINER_OF(source, struct socket, source);
    socket->readable |= (events & ~(uint32_t)EPOLLOUT) != 0;
    socket->writable |= (events & ~(uint32_t)EPOLLIN) != 0;
    socket_run(socket->exchange);
}

void socket_take(struct exchange *exchange, int fd)
{
    struct socket *socket = xcalloc(1, sizeof(*socket));
    int on = 1;
    socket->exchange = exchange;
    socket->writable = true;
    int r = loop_add(broker.loop, &socket->source, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                     on_ready);
    if (r < 0) {
        free(socket);
        (void)close(fd);
        exchange_end(exchange, ERROR_KIND_CONNECT, "Network connection lost.");
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    exchange->socket = socket;
    exchange->phase = PHASE_BODY;
    exchange->answer.status = 200;
    add_address(&exchange->answer.block, "remote-address", getpeername, fd);
    add_address(&exchange->answer.block, "local-address", getsockname, fd);
    if (!(exchange->flags & FRAME_TLS))
        tell_open(exchange);
    socket_run(exchange);
}

static void on_linger_over(struct loop_timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct socket, timer)->exchange;
    close_socket(exchange);
    exchange_free(exchange);
}

bool socket_linger(struct exchange *exchange)
{
    struct socket *socket = exchange->socket;
    bool unsent = socket && exchange->body_ended && buffer_len(&exchange->body) > 0;
    if (!unsent) {
        close_socket(exchange);
        return false;
    }
    loop_timer_start(broker.loop, &socket->timer, LINGER_MS, on_linger_over);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "secret.h"
#include "tls_material.h"
#include "tls_records.h"

struct tls_context {
    SSL_CTX *ssl;
    enum tls_mode mode;
    bool for_clients;
};

/* Of a client's handshake, while it runs. */
struct secrets {
    unsigned char peer[TLS_SECRET_BYTES_MAX], own[TLS_SECRET_BYTES_MAX];
    size_t peer_bytes, own_bytes;
};

struct tls {
    SSL *ssl; /* NULL: after the handshake, records go on without it */
    struct tls_records *records;
    struct secrets *secrets;
    int fd;
    bool for_clients, has_alpn;
    uint8_t binding_bytes;
    char binding[TLS_BINDING_BYTES_MAX];
    char *peer_name, *failure;
};

static const unsigned char ALPN[] = "\012postgresql";

static const char *openssl_text(void)
{
    static char text[160];
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    (void)snprintf(text, sizeof(text), "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return text;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *argument)
{
    unsigned char *chosen;
    (void)ssl, (void)argument;
    if (SSL_select_next_proto(&chosen, out_len, ALPN, sizeof(ALPN) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- from OpenSSL to records of our own ---- */

/* 0: it is none, or longer than any that we know. */
static size_t read_hex(const char *hex, unsigned char ret[TLS_SECRET_BYTES_MAX])
{
    size_t bytes = 0;
    return OPENSSL_hexstr2buf_ex(ret, TLS_SECRET_BYTES_MAX, &bytes, hex, 0) == 1 ? bytes : 0;
}

/* A line of NSS's key log: what it is, the client's random bytes, the secret; that is the interface
 * that OpenSSL has for them. They stay here. */
static void note_secret(const SSL *ssl, const char *line)
{
    struct tls *tls = SSL_get_app_data(ssl);
    const char *secret = strrchr(line, ' ');
    if (!tls || !tls->secrets || !secret)
        return;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        tls->secrets->peer_bytes = read_hex(secret + 1, tls->secrets->peer);
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
        tls->secrets->own_bytes = read_hex(secret + 1, tls->secrets->own);
}

static void drop_secrets(struct tls *tls)
{
    if (tls->secrets)
        secret_wipe(tls->secrets, sizeof(*tls->secrets));
    free(TAKE(tls->secrets));
}

/* A client's handshake with TLS 1.3 is done: what follows needs no OpenSSL connection. No record of
 * the keys has passed yet: we give no tickets, and OpenSSL reads no further than it must. */
static void leave_openssl(struct tls *tls)
{
    struct secrets *secrets = tls->secrets;
    if (SSL_version(tls->ssl) == TLS1_3_VERSION && !SSL_has_pending(tls->ssl) &&
        secrets->peer_bytes > 0 && secrets->own_bytes == secrets->peer_bytes)
        tls->records =
            tls_records_new(tls->fd, SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl)),
                            secrets->peer, secrets->own);
    if (tls->records)
        SSL_free(TAKE(tls->ssl));
}

/* ---- configurations ---- */

static int configure(struct tls_context *context, const struct tls_settings *settings,
                     struct error *err)
{
    const struct tls_material material = {.certificate = settings->certificate,
                                          .key = settings->key,
                                          .ca = settings->ca,
                                          .protocols = settings->protocols,
                                          .ciphers = settings->ciphers};
    struct error reason = {""};
    const char *wrong = tls_material_use(context->ssl, &material, context->for_clients, &reason);
    if (wrong)
        return error_set(err, -EINVAL, "tls %s: %s", wrong, reason.text);
    if (!settings->ca && settings->mode >= TLS_VERIFY_CA && !context->for_clients)
        (void)SSL_CTX_set_default_verify_paths(context->ssl);
    return 0;
}

static void set_verification(struct tls_context *context, const struct tls_settings *settings)
{
    int verify = SSL_VERIFY_NONE;
    if (settings->mode >= TLS_VERIFY_CA)
        verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    else if (context->for_clients && settings->ca)
        verify = SSL_VERIFY_PEER; /* asked for, not demanded */
    SSL_CTX_set_verify(context->ssl, verify, NULL);
}

struct tls_context *tls_context_new(const struct tls_settings *settings, bool for_clients,
                                    struct error *err)
{
    static const unsigned char id[] = "weir";
    struct tls_context *context = xcalloc(1, sizeof(*context));
    context->ssl = SSL_CTX_new(for_clients ? TLS_server_method() : TLS_client_method());
    if (!context->ssl)
        abort();
    context->mode = settings->mode;
    context->for_clients = for_clients;
    if (configure(context, settings, err) < 0) {
        tls_context_free(&context);
        return NULL;
    }
    set_verification(context, settings);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                          SSL_OP_IGNORE_UNEXPECTED_EOF |
                                          SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context->ssl,
                                   SSL_SESS_CACHE_OFF); /* tickets of TLS 1.2 hold the state */
    (void)SSL_CTX_set_session_id_context(context->ssl, id, sizeof(id) - 1);
    if (for_clients) {
        SSL_CTX_set_alpn_select_cb(context->ssl, select_alpn, NULL);
        (void)SSL_CTX_set_num_tickets(context->ssl, 0); /* of TLS 1.3: see leave_openssl */
        SSL_CTX_set_keylog_callback(context->ssl, note_secret);
    } else {
        (void)SSL_CTX_set_alpn_protos(context->ssl, ALPN, sizeof(ALPN) - 1);
    }
    return context;
}

void tls_context_free(struct tls_context **context)
{
    struct tls_context *c = TAKE(*context);
    if (c)
        SSL_CTX_free(c->ssl);
    free(c);
}

static void name_server(SSL *ssl, const char *host, bool verify)
{
    unsigned char address[16];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    if (!is_address)
        (void)SSL_set_tlsext_host_name(ssl, host);
    if (verify && is_address)
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    else if (verify)
        (void)SSL_set1_host(ssl, host);
}

static struct tls *make(SSL_CTX *context, bool for_clients, int fd)
{
    struct tls *tls = xcalloc(1, sizeof(*tls));
    tls->for_clients = for_clients;
    tls->fd = fd;
    tls->ssl = SSL_new(context);
    if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1 || SSL_set_app_data(tls->ssl, tls) != 1)
        abort();
    if (for_clients) {
        tls->secrets = xcalloc(1, sizeof(*tls->secrets));
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
    }
    return tls;
}

struct tls *tls_new(struct tls_context *context, int fd, const char *host)
{
    struct tls *tls = make(context->ssl, context->for_clients, fd);
    if (host)
        name_server(tls->ssl, host, context->mode == TLS_VERIFY_FULL);
    return tls;
}

struct tls *tls_again(const struct tls *tls, int fd)
{
    struct tls *another = make(SSL_get_SSL_CTX(tls->ssl), false, fd);
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    if (name)
        (void)SSL_set_tlsext_host_name(another->ssl, name);
    if (X509_VERIFY_PARAM_set1(SSL_get0_param(another->ssl), SSL_get0_param(tls->ssl)) != 1)
        abort();
    return another;
}

/* ---- who the peer is ---- */

static void note_binding(struct tls *tls)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int digest_nid = NID_undef;
    X509 *certificate =
        tls->for_clients ? SSL_get_certificate(tls->ssl) : SSL_get0_peer_certificate(tls->ssl);
    if (!certificate ||
        !OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest_nid, NULL))
        return;
    /* md5 and sha1 are raised to sha256, and so is a signature without a digest of its own. */
    if (digest_nid == NID_md5 || digest_nid == NID_sha1 || digest_nid == NID_undef)
        digest_nid = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest_nid);
    if (!md || X509_digest(certificate, md, digest, &len) != 1 || len > TLS_BINDING_BYTES_MAX)
        return;
    memcpy(tls->binding, digest, len);
    tls->binding_bytes = (uint8_t)len;
}

static void note_name(struct tls *tls)
{
    char name[256];
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (!certificate || SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return;
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                        sizeof(name));
    if (len > 0 && strlen(name) == (size_t)len)
        tls->peer_name = xstrdup(name);
}

/* OpenSSL may be gone when somebody asks. */
static void note_peer(struct tls *tls)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    tls->has_alpn = len > 0;
    note_binding(tls);
    note_name(tls);
}

/* ---- connections ---- */

static void note_failure(struct tls *tls)
{
    long verified = SSL_get_verify_result(tls->ssl);
    text_free(&tls->failure);
    tls->failure = verified != X509_V_OK
                       ? xasprintf("certificate: %s", X509_verify_cert_error_string(verified))
                       : xstrdup(openssl_text());
    ERR_clear_error();
}

int tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    int r = SSL_do_handshake(tls->ssl);
    if (r == 1) {
        note_peer(tls);
        if (tls->for_clients)
            leave_openssl(tls);
        drop_secrets(tls);
        return 1;
    }
    int error = SSL_get_error(tls->ssl, r);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    note_failure(tls);
    return -1;
}

const char *tls_failure(const struct tls *tls)
{
    return tls->failure ? tls->failure : "";
}

static ssize_t result_of(struct tls *tls, int r)
{
    switch (SSL_get_error(tls->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        return -ECONNRESET;
    }
}

bool tls_hasten(struct tls *tls, struct uring_socket *uring)
{
    if (tls->records)
        tls_records_hasten(tls->records, uring);
    return tls->records;
}

ssize_t tls_read(struct tls *tls, void *dst, size_t cap)
{
    size_t got = 0;
    if (tls->records)
        return tls_records_read(tls->records, dst, cap);
    ERR_clear_error();
    int r = SSL_read_ex(tls->ssl, dst, cap, &got);
    return r == 1 ? (ssize_t)got : result_of(tls, r);
}

ssize_t tls_writev(struct tls *tls, const struct iovec *parts, int count)
{
    size_t sent = 0, total = 0;
    if (tls->records)
        return tls_records_writev(tls->records, parts, count);
    /* OpenSSL takes a record at a time. What it would take now must not be left to an event: none
     * comes of a socket that never was full. */
    for (int i = 0; i < count; i++) {
        const char *bytes = parts[i].iov_base;
        for (size_t done = 0; done < parts[i].iov_len; done += sent, total += sent) {
            ERR_clear_error();
            int r = SSL_write_ex(tls->ssl, bytes + done, parts[i].iov_len - done, &sent);
            if (r != 1 && total == 0)
                return result_of(tls, r) == -EAGAIN ? -EAGAIN : -ECONNRESET;
            if (r != 1)
                return (ssize_t)total;
        }
    }
    return (ssize_t)total;
}

bool tls_may_move(const struct tls *tls)
{
    return tls->records && tls_records_may_move(tls->records);
}

void tls_describe(const struct tls *tls, struct slice unread, struct buffer *out)
{
    tls_records_describe(tls->records, unread, out);
}

struct tls *tls_resume(int fd, struct slice *rest)
{
    struct tls_records *records = tls_records_resume(fd, rest);
    if (!records)
        return NULL;
    struct tls *tls = xcalloc(1, sizeof(*tls));
    tls->records = records;
    tls->fd = fd;
    tls->for_clients = true;
    return tls;
}

void tls_shutdown(struct tls *tls)
{
    if (tls->records) {
        tls_records_shutdown(tls->records);
        return;
    }
    ERR_clear_error();
    if (SSL_is_init_finished(tls->ssl))
        (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

void tls_free(struct tls **tls)
{
    struct tls *t = TAKE(*tls);
    if (!t)
        return;
    SSL_free(t->ssl);
    tls_records_free(&t->records);
    drop_secrets(t);
    text_free(&t->peer_name);
    text_free(&t->failure);
    free(t);
}

bool tls_has_alpn(const struct tls *tls)
{
    return tls->has_alpn;
}

size_t tls_binding(const struct tls *tls, char ret[TLS_BINDING_BYTES_MAX])
{
    memcpy(ret, tls->binding, tls->binding_bytes);
    return tls->binding_bytes;
}

char *tls_peer_name(const struct tls *tls)
{
    return tls->peer_name ? xstrdup(tls->peer_name) : NULL;
}

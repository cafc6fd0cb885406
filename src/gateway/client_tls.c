/* SPDX-License-Identifier: Apache-2.0 */
#include "client_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "common.h"

struct client_tls {
    SSL_CTX *ssl;
};

/* The client's wishes come in its order; HTTP/1.1 is what there is (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *argument)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)argument;
    return SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof(ours) - 1, in,
                                 in_len) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static int use_certificate(SSL_CTX *ssl, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL), *next;
    int ok = certificate && SSL_CTX_use_certificate(ssl, certificate);
    X509_free(certificate);
    while (ok && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        ok = SSL_CTX_add0_chain_cert(ssl, next) > 0;
    BIO_free(bio);
    return ok;
}

static int use_key(SSL_CTX *ssl, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    int ok = key && SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

struct client_tls *client_tls_new(const char *certificate, const char *key, struct error *err)
{
    const char *wrong = NULL;
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (!ssl)
        wrong = "OpenSSL has no memory";
    else if (!use_certificate(ssl, certificate))
        wrong = "the certificate is no PEM certificate";
    else if (!use_key(ssl, key))
        wrong = "the key is no PEM private key without a passphrase";
    else if (!SSL_CTX_check_private_key(ssl))
        wrong = "the key is not the certificate's";
    ERR_clear_error();
    if (wrong) {
        SSL_CTX_free(ssl);
        (void)error_set(err, -EINVAL, "%s", wrong);
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    struct client_tls *context = xcalloc(1, sizeof(*context));
    context->ssl = ssl;
    return context;
}

void client_tls_free(struct client_tls **context)
{
    struct client_tls *freed = *context;
    *context = NULL;
    if (!freed)
        return;
    SSL_CTX_free(freed->ssl);
    free(freed);
}

SSL *client_tls_accept(struct client_tls *context, int fd)
{
    SSL *ssl = SSL_new(context->ssl);
    if (!ssl || !SSL_set_fd(ssl, fd)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

/* r: of SSL_read or SSL_write. OpenSSL's queue of errors is the thread's: it is emptied before
 * each. */
static ssize_t result_of(SSL *tls, int r)
{
    if (r > 0)
        return r;
    switch (SSL_get_error(tls, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t client_tls_recv(SSL *tls, void *bytes, size_t len)
{
    ERR_clear_error();
    return result_of(tls, SSL_read(tls, bytes, len > INT32_MAX ? INT32_MAX : (int)len));
}

ssize_t client_tls_send(SSL *tls, const void *bytes, size_t len)
{
    ERR_clear_error();
    return result_of(tls, SSL_write(tls, bytes, len > INT32_MAX ? INT32_MAX : (int)len));
}

size_t client_tls_pending(SSL *tls)
{
    return (size_t)SSL_pending(tls);
}

void client_tls_end(SSL *tls)
{
    ERR_clear_error();
    (void)SSL_shutdown(tls);
}

void client_tls_close(SSL **tls)
{
    SSL_free(*tls);
    *tls = NULL;
}

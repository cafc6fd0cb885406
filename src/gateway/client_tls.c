/* SPDX-License-Identifier: Apache-2.0 */
#include "client_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pem.h"

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

SSL_CTX *client_tls_new(const char *certificate, const char *key, struct error *err)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    const char *wrong =
        !ssl                                     ? "OpenSSL has no memory"
        : !pem_use_certificate(ssl, certificate) ? "the certificate is no PEM certificate"
        : !pem_use_key(ssl, key) ? "the key is no PEM private key without a passphrase, or "
                                   "not the certificate's"
                                 : NULL;
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
    return ssl;
}

void client_tls_free(SSL_CTX **context)
{
    SSL_CTX_free(*context);
    *context = NULL;
}

SSL *client_tls_accept(SSL_CTX *context, int fd)
{
    SSL *ssl = SSL_new(context);
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

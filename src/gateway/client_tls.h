/* SPDX-License-Identifier: Apache-2.0 */
/* TLS towards clients (1.2 and 1.3, OpenSSL): sockets' recv() and send(), encrypted. */
#ifndef WEIR_CLIENT_TLS_H
#define WEIR_CLIENT_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

/* For a listener. Both PEM. NULL with err: they cannot be used, or do not belong together. */
SSL_CTX *client_tls_new(const char *certificate, const char *key, struct error *err);
/* Connections keep what they need. */
void client_tls_free(SSL_CTX **context);

/* For a socket that was accepted; the handshake goes along with the first reads. NULL: no memory.
 */
SSL *client_tls_accept(SSL_CTX *context, int fd);
/* As recv(), with errno: EAGAIN, or another when it is broken. 0: closed. */
ssize_t client_tls_recv(SSL *tls, void *bytes, size_t len);
/* As send(). What is sent again after EAGAIN may lie elsewhere. */
ssize_t client_tls_send(SSL *tls, const void *bytes, size_t len);
/* Bytes that are decrypted already: no event of the socket will tell of them. */
size_t client_tls_pending(SSL *tls);
/* Nothing more will be sent. */
void client_tls_end(SSL *tls);
void client_tls_close(SSL **tls);

#endif

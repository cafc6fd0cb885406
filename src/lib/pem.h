/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys of a TLS context, as PEM texts. False: what is wrong is in OpenSSL's queue
 * of errors. */
#ifndef WEIR_PEM_H
#define WEIR_PEM_H

#include <openssl/types.h>
#include <stdbool.h>

/* The first certificate is ours, those that follow lead to its root. */
bool pem_use_certificate(SSL_CTX *ssl, const char *pem);
/* After the certificate, whose key it must be. One with a passphrase cannot be used. */
bool pem_use_key(SSL_CTX *ssl, const char *pem);

#endif

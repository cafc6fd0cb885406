/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration says of TLS, put into a context of OpenSSL's: when it is read, to see that it
 * can be used, and where it is used. */
#ifndef WEIR_TLS_MATERIAL_H
#define WEIR_TLS_MATERIAL_H

#include <openssl/types.h>
#include <stdbool.h>

#include "error.h"

/* Borrowed texts; NULL: it says nothing of that. */
struct tls_material {
    const char *certificate, *key, *ca; /* PEM */
    const char *protocols; /* "tlsv1.2,tlsv1.3"; NULL: those */
    const char *ciphers;   /* as OpenSSL lists them */
};

/* for_clients: the context is a server's, and the CAs are named to clients. NULL, or which of the
 * five is wrong ("certificate" …), with the reason in err. */
const char *tls_material_use(SSL_CTX *ssl, const struct tls_material *material, bool for_clients,
                             struct error *err) WARN_UNUSED;

#endif

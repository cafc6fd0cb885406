/* SPDX-License-Identifier: Apache-2.0 */
#include "pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static BIO *text_bio(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        abort();
    return bio;
}

bool pem_use_certificate(SSL_CTX *ssl, const char *pem)
{
    BIO *bio = text_bio(pem);
    X509 *own = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL), *next;
    bool ok = own && SSL_CTX_use_certificate(ssl, own) == 1;
    while (ok && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        ok = SSL_CTX_add0_chain_cert(ssl, next) == 1;
    X509_free(own);
    BIO_free(bio);
    if (ok)
        ERR_clear_error(); /* the end of the text */
    return ok;
}

bool pem_use_key(SSL_CTX *ssl, const char *pem)
{
    BIO *bio = text_bio(pem);
    EVP_PKEY *key =
        PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)""); /* nobody is asked for a passphrase */
    bool ok = key && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

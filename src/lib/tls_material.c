/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_material.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "pem.h"
#include "slice.h"

static const char *openssl_text(void)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "OpenSSL can not use it";
}

static bool trust(SSL_CTX *ssl, const char *pem, bool for_clients)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509 *authority;
    int count = 0;
    while ((authority = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(store, authority);
        if (for_clients)
            (void)SSL_CTX_add_client_CA(ssl, authority);
        X509_free(authority);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count > 0;
}

/* Of a list such as "tlsv1.2,tlsv1.3", what is to be off; false: a word of it is unknown. */
static bool read_protocols(struct slice words, uint64_t *ret_off)
{
    static const struct {
        const char *word;
        uint64_t off;
    } known[] = {{"tlsv1.0", SSL_OP_NO_TLSv1},
                 {"tlsv1.1", SSL_OP_NO_TLSv1_1},
                 {"tlsv1.2", SSL_OP_NO_TLSv1_2},
                 {"tlsv1.3", SSL_OP_NO_TLSv1_3}};
    *ret_off = 0;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        *ret_off |= known[i].off;
    while (words.len > 0) {
        size_t len = 0, i = 0;
        while (len < words.len && !strchr(", ", words.ptr[len]))
            len++;
        struct slice word = {words.ptr, len};
        while (i < ARRAY_LEN(known) && !slice_equal_nocase(word, slice_of(known[i].word)))
            i++;
        if (len > 0 && i == ARRAY_LEN(known))
            return false;
        *ret_off &= ~(len > 0 ? known[i].off : 0);
        words.ptr += len + (len < words.len);
        words.len -= len + (len < words.len);
    }
    return true;
}

static bool set_protocols(SSL_CTX *ssl, const char *list)
{
    uint64_t off = 0;
    if (list && !read_protocols(slice_of(list), &off))
        return false;
    (void)SSL_CTX_set_min_proto_version(ssl, list ? TLS1_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, off);
    return true;
}

const char *tls_material_use(SSL_CTX *ssl, const struct tls_material *material, bool for_clients,
                             struct error *err)
{
    const struct tls_material *m = material;
    const char *wrong = NULL, *why = NULL;
    ERR_clear_error();
    if (!set_protocols(ssl, m->protocols)) {
        wrong = "protocols";
        why = "there are tlsv1.0, tlsv1.1, tlsv1.2 and tlsv1.3";
    } else if (m->ciphers && SSL_CTX_set_cipher_list(ssl, m->ciphers) != 1) {
        wrong = "ciphers";
    } else if (m->certificate && !pem_use_certificate(ssl, m->certificate)) {
        wrong = "certificate";
    } else if (m->key && !pem_use_key(ssl, m->key)) {
        wrong = "key";
    } else if (m->ca && !trust(ssl, m->ca, for_clients)) {
        wrong = "ca";
        why = "there is no certificate in it";
    }
    if (wrong)
        (void)error_set(err, -EINVAL, "%s", why ? why : openssl_text());
    return wrong;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "buffer.h"
#include "pem.h"
#include "text_file.h"
#include "tls_material.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

static bool read_file(const struct value *table, const char *key, const char *name, const char *dir,
                      struct buffer *ret_text, struct config_report *report)
{
    const struct value *item = value_get(table, key);
    const char *given = value_text(item);
    AUTO_TEXT path =
        given && given[0] == '/' ? xstrdup(given) : xasprintf("%s/%s", dir, given ? given : "");
    int r = text_file_read(path, FILE_BYTES_MAX, ret_text);
    if (r < 0) {
        config_error(report, item->line, key, "%s %s = \"%s\": cannot read it: %s", name, key,
                     given ? given : "", text_file_problem(r));
        return false;
    }
    buffer_append(ret_text, "", 1);
    return true;
}

/* What OpenSSL says of the pair when it is to be used: of a key that is too short, say. */
static const char *check_use(const char *certificate_text, const char *key_text)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    bool ok = tls && pem_use_certificate(tls, certificate_text) && pem_use_key(tls, key_text);
    const char *reason = ok ? NULL : ERR_reason_error_string(ERR_peek_last_error());
    SSL_CTX_free(tls);
    return ok || reason ? reason : "OpenSSL can not use it";
}

/* NULL, or what is wrong with it. */
static const char *check_pair(const char *certificate_text, const char *key_text)
{
    BIO *one = BIO_new_mem_buf(certificate_text, -1), *other = BIO_new_mem_buf(key_text, -1);
    X509 *certificate = PEM_read_bio_X509(one, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(other, NULL, NULL, (void *)"");
    const char *wrong = !certificate ? "it is no certificate in PEM"
                        : !key       ? "key_file is no private key in PEM without a passphrase"
                        : X509_check_private_key(certificate, key)
                            ? check_use(certificate_text, key_text)
                            : "key_file has the key of another certificate";
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(one);
    BIO_free(other);
    ERR_clear_error();
    return wrong;
}

const char *tls_files_problem(const json_t *tls, bool for_clients, struct error *why)
{
    const struct tls_material material = {
        .certificate = json_string_value(json_object_get(tls, "certificate")),
        .key = json_string_value(json_object_get(tls, "key")),
        .ca = json_string_value(json_object_get(tls, "ca")),
        .protocols = json_string_value(json_object_get(tls, "protocols")),
        .ciphers = json_string_value(json_object_get(tls, "ciphers")),
    };
    SSL_CTX *ssl = SSL_CTX_new(for_clients ? TLS_server_method() : TLS_client_method());
    const char *wrong = tls_material_use(ssl, &material, for_clients, why);
    SSL_CTX_free(ssl);
    return wrong;
}

json_t *tls_files_read(const struct value *table, const char *name, const char *dir,
                       struct config_report *report)
{
    const struct value *certificate_item = value_get(table, "certificate_file"),
                       *key_item = value_get(table, "key_file");
    AUTO_BUFFER certificate = {0};
    AUTO_BUFFER key = {0};
    if (!certificate_item && !key_item)
        return NULL;
    if (!certificate_item || !key_item) {
        config_error(report, (certificate_item ? certificate_item : key_item)->line,
                     certificate_item ? "certificate_file" : "key_file", "%s needs %s, too", name,
                     certificate_item ? "key_file" : "certificate_file");
        return NULL;
    }
    if (!read_file(table, "certificate_file", name, dir, &certificate, report) ||
        !read_file(table, "key_file", name, dir, &key, report))
        return NULL;
    const char *wrong = check_pair(certificate.data, key.data);
    if (wrong) {
        config_error(report, certificate_item->line, "certificate_file",
                     "%s certificate_file = \"%s\": %s", name, value_text(certificate_item), wrong);
        return NULL;
    }
    return json_pack("{s:s, s:s}", "certificate", certificate.data, "key", key.data);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "local_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"

#define CERTIFICATE "localhost.pem"
#define KEY         "localhost-key.pem"

enum { VALID_DAYS = 800, RENEW_DAYS = 30, FILE_BYTES_MAX = 65536 };

static bool read_text(int dir, const char *name, struct buffer *ret_text)
{
    AUTO_FD fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || buffer_read_all(ret_text, fd, FILE_BYTES_MAX) < 0)
        return false;
    buffer_append(ret_text, "", 1);
    return true;
}

static bool is_fresh(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    time_t soon = time(NULL) + RENEW_DAYS * 86400L;
    bool fresh = certificate && X509_cmp_time(X509_get0_notAfter(certificate), &soon) > 0;
    X509_free(certificate);
    BIO_free(bio);
    ERR_clear_error();
    return fresh;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    unsigned char serial[8];
    X509_NAME *name = X509_get_subject_name(certificate);
    bool ok = RAND_bytes(serial, sizeof(serial)) == 1 && X509_set_version(certificate, 2);
    uint64_t number;
    memcpy(&number, serial, sizeof(number));
    ok = ok && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), number >> 1) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_DAYS * 86400L) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"weir dev on this machine", -1, -1, 0) &&
         X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
         add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         X509_sign(certificate, key, EVP_sha256());
    if (ok)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static void append_bio(BIO *bio, struct buffer *out)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    buffer_append(out, bytes, (size_t)len);
    buffer_append(out, "", 1);
}

static bool make(struct buffer *certificate_text, struct buffer *key_text)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make_certificate(key) : NULL;
    BIO *one = BIO_new(BIO_s_mem()), *other = BIO_new(BIO_s_secmem());
    bool ok = certificate && PEM_write_bio_X509(one, certificate) &&
              PEM_write_bio_PrivateKey(other, key, NULL, NULL, 0, NULL, NULL);
    if (ok) {
        append_bio(one, certificate_text);
        append_bio(other, key_text);
    }
    BIO_free(one);
    BIO_free(other);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}

static bool write_text(int dir, const char *name, const struct buffer *text, int mode)
{
    (void)unlinkat(dir, name, 0);
    AUTO_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    size_t len = buffer_len(text) - 1;
    return fd >= 0 && write(fd, text->data + text->start, len) == (ssize_t)len;
}

json_t *local_certificate(int dir, struct error *err)
{
    AUTO_BUFFER certificate = {0};
    AUTO_BUFFER key = {0};
    if (!read_text(dir, CERTIFICATE, &certificate) || !read_text(dir, KEY, &key) ||
        !is_fresh(certificate.data)) {
        buffer_reset(&certificate, FILE_BYTES_MAX);
        buffer_reset(&key, FILE_BYTES_MAX);
        if (!make(&certificate, &key)) {
            (void)error_set(err, -EIO, "OpenSSL could not make a certificate for localhost");
            return NULL;
        }
        if (!write_text(dir, KEY, &key, 0600) ||
            !write_text(dir, CERTIFICATE, &certificate, 0644)) {
            (void)error_set(err, -errno, "the certificate for localhost cannot be kept: %s",
                            strerror(errno));
            return NULL;
        }
    }
    return json_pack("{s:s, s:s}", "certificate", certificate.data + certificate.start, "key",
                     key.data + key.start);
}

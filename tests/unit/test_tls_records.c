/* SPDX-License-Identifier: Apache-2.0 */
/* Records of ours against OpenSSL's: every suite, every size, new keys, partial writes, and what a
 * peer may not do. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls.h"

enum { BIG_BYTES = 3 * 1000 * 1000 };

static struct {
    struct tls_context *context;
    SSL_CTX *peers;
    SSL *peer;
    struct tls *tls;
    int fds[2];
} t;

static char *pem_of(X509 *certificate, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    assert_true(certificate ? PEM_write_bio_X509(bio, certificate)
                            : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    long len = BIO_get_mem_data(bio, &text);
    char *copy = xstrndup(text, (size_t)len);
    BIO_free(bio);
    return copy;
}

static int make_context(void **state)
{
    (void)state;
    struct error err = {""};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    (void)X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    AUTO_TEXT certificate_pem = pem_of(certificate, NULL);
    AUTO_TEXT key_pem = pem_of(NULL, key);
    struct tls_settings settings = {
        .mode = TLS_REQUIRE, .certificate = certificate_pem, .key = key_pem};
    t.context = tls_context_new(&settings, true, &err);
    assert_non_null(t.context);
    t.peers = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_mode(t.peers, SSL_MODE_ENABLE_PARTIAL_WRITE);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

static int free_context(void **state)
{
    (void)state;
    tls_context_free(&t.context);
    SSL_CTX_free(t.peers);
    return 0;
}

static void connect_with(const char *suite, int version)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t.fds), 0);
    t.tls = tls_new(t.context, t.fds[0], NULL);
    t.peer = SSL_new(t.peers);
    assert_true(SSL_set_ciphersuites(t.peer, suite) && SSL_set_max_proto_version(t.peer, version) &&
                SSL_set_fd(t.peer, t.fds[1]));
    int ours = 0, theirs = 0;
    for (int i = 0; i < 20 && (ours != 1 || theirs != 1); i++) {
        theirs = theirs == 1 ? 1 : SSL_connect(t.peer);
        ours = ours == 1 ? 1 : tls_handshake(t.tls);
        assert_true(ours >= 0);
    }
    assert_int_equal(ours, 1);
    assert_int_equal(theirs, 1);
}

static void disconnect(void)
{
    tls_free(&t.tls);
    SSL_free(t.peer);
    (void)close(t.fds[0]);
    (void)close(t.fds[1]);
}

static char pattern(size_t at)
{
    return (char)(at * 7 + at / 251);
}

/* So much from the peer, read in pieces of at most cap bytes. */
static void receive(size_t bytes, size_t cap)
{
    char *text = xcalloc(1, bytes + 1), *got = xcalloc(1, cap + 1);
    size_t sent = 0, at = 0, some;
    for (size_t i = 0; i < bytes; i++)
        text[i] = pattern(i);
    for (int turns = 0; at < bytes; turns++) {
        assert_true(turns < 1000000);
        if (sent < bytes && SSL_write_ex(t.peer, text + sent, bytes - sent, &some) == 1)
            sent += some;
        ssize_t r = tls_read(t.tls, got, cap);
        assert_true(r > 0 || r == -EAGAIN);
        for (ssize_t i = 0; i < r; i++, at++)
            assert_true(got[i] == pattern(at));
    }
    assert_int_equal(tls_read(t.tls, got, cap), -EAGAIN);
    free(text);
    free(got);
}

/* So much to the peer, in three parts; what was not taken comes again, and more with it. */
static void transmit(size_t bytes)
{
    char *text = xcalloc(1, bytes + 1), got[40000];
    size_t sent = 0, at = 0, some;
    for (size_t i = 0; i < bytes; i++)
        text[i] = pattern(i);
    for (int turns = 0; at < bytes; turns++) {
        assert_true(turns < 1000000);
        size_t offered = (size_t)(turns + 1) * 70000 < bytes ? (size_t)(turns + 1) * 70000 : bytes;
        size_t left = offered - sent, third = left / 3;
        const struct iovec parts[] = {{text + sent, third},
                                      {text + sent + third, third},
                                      {text + sent + 2 * third, left - 2 * third}};
        ssize_t r = left > 0 ? tls_writev(t.tls, parts, 3) : 0;
        assert_true(r >= 0 || r == -EAGAIN);
        sent += r > 0 ? (size_t)r : 0;
        assert_true(sent <= offered);
        while (SSL_read_ex(t.peer, got, 1 + (size_t)turns % sizeof(got), &some) == 1)
            for (size_t i = 0; i < some; i++, at++)
                assert_true(got[i] == pattern(at));
    }
    assert_int_equal(sent, bytes);
    free(text);
}

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                     "TLS_CHACHA20_POLY1305_SHA256"};

static void all_sizes(void **state)
{
    static const size_t sizes[] = {1, 2, 100, 16383, 16384, 16385, 40000, 100000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        connect_with(suites[i], TLS1_3_VERSION);
        for (size_t j = 0; j < ARRAY_LEN(sizes); j++) {
            receive(sizes[j], 65536);
            receive(sizes[j], 1 + sizes[j] / 3);
            transmit(sizes[j]);
        }
        receive(BIG_BYTES, 65536);
        receive(BIG_BYTES / 10, 777);
        transmit(BIG_BYTES);
        disconnect();
    }
}

static void without_tls_1_3(void **state)
{
    (void)state;
    connect_with(suites[0], TLS1_2_VERSION);
    receive(100000, 65536);
    transmit(100000);
    disconnect();
}

static void new_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        connect_with(suites[i], TLS1_3_VERSION);
        for (int round = 0; round < 5; round++) {
            assert_true(SSL_key_update(t.peer, round % 2 ? SSL_KEY_UPDATE_NOT_REQUESTED
                                                         : SSL_KEY_UPDATE_REQUESTED));
            receive(20000, 65536);
            transmit(20000);
        }
        disconnect();
    }
}

static void the_end(void **state)
{
    char byte;
    (void)state;
    connect_with(suites[0], TLS1_3_VERSION);
    receive(10, 100);
    (void)SSL_shutdown(t.peer);
    assert_int_equal(tls_read(t.tls, &byte, 1), 0);
    assert_int_equal(tls_read(t.tls, &byte, 1), 0);
    tls_shutdown(t.tls);
    assert_int_equal(SSL_shutdown(t.peer), 1); /* it has our close_notify */
    disconnect();
    connect_with(suites[0], TLS1_3_VERSION);
    (void)shutdown(t.fds[1], SHUT_RDWR); /* without a word */
    assert_int_equal(tls_read(t.tls, &byte, 1), 0);
    disconnect();
}

/* Whatever is written to the socket: an error, and nothing more is read after it. */
static void refuse(const void *bytes, size_t len)
{
    char text[100];
    connect_with(suites[0], TLS1_3_VERSION);
    receive(10, 100);
    assert_int_equal(write(t.fds[1], bytes, len), len);
    assert_int_equal(tls_read(t.tls, text, sizeof(text)), -ECONNRESET);
    assert_int_equal(tls_read(t.tls, text, sizeof(text)), -ECONNRESET);
    disconnect();
}

static void what_is_not_a_record(void **state)
{
    char forged[5 + 40] = {23, 3, 3, 0, 40}, long_one[5] = {23, 3, 3, 0x41, 1};
    (void)state;
    refuse(forged, sizeof(forged));
    refuse(long_one, sizeof(long_one));
    refuse("\x17\x03\x03\x00\x10 sixteen bytes: ", 21);
    refuse("\x17\x03\x03\x00\x00", 5);
    refuse("\x14\x03\x03\x00\x01\x01", 6);
    refuse("\x16\x03\x03\x00\x04 abc", 9);
    refuse("Q\0\0\0\rselect 1", 14);
}

static void a_changed_record(void **state)
{
    char record[200];
    (void)state;
    for (size_t at = 0; at < 5 + 6 + 17; at += 3) {
        connect_with(suites[at % 3], TLS1_3_VERSION);
        assert_int_equal(SSL_write(t.peer, "secret", 6), 6);
        ssize_t len = recv(t.fds[0], record, sizeof(record), 0);
        assert_int_equal(len, 5 + 6 + 17);
        record[at] = (char)(record[at] ^ 1);
        assert_int_equal(write(t.fds[1], record, (size_t)len), len);
        ssize_t r = tls_read(t.tls, record, sizeof(record));
        assert_true(r == -ECONNRESET || (r == -EAGAIN && at >= 3 && at < 5));
        disconnect();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sizes),
        cmocka_unit_test(without_tls_1_3),
        cmocka_unit_test(new_keys),
        cmocka_unit_test(the_end),
        cmocka_unit_test(what_is_not_a_record),
        cmocka_unit_test(a_changed_record),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}

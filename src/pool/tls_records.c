/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_records.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"
#include "secret.h"
#include "stream.h"

enum {
    HEADER_BYTES = 5,
    TAG_BYTES = 16,
    IV_BYTES = 12,
    KEY_BYTES_MAX = 32,
    PLAIN_BYTES_MAX = 16384,
    BODY_BYTES_MAX = PLAIN_BYTES_MAX + 256, /* 5.2 */
    RECORD_BYTES_MAX = HEADER_BYTES + BODY_BYTES_MAX,
    READ_BYTES_MAX = 64 * 1024,
    WRITE_RECORDS = 4, /* in one system call */
    /* Of a key; AES-GCM is good for 2^24.5 records (5.5). */
    RECORDS_OF_KEY_MAX = 1 << 23,

    TYPE_ALERT = 21,
    TYPE_HANDSHAKE = 22,
    TYPE_DATA = 23,
    ALERT_CLOSE_NOTIFY = 0,
    HANDSHAKE_KEY_UPDATE = 24,
};

static const struct suite {
    uint16_t number;
    uint8_t key_bytes, secret_bytes;
    const char *cipher, *digest;
} suites[] = {
    {0x1301, 16, 32, "AES-128-GCM", "SHA256"},
    {0x1302, 32, 48, "AES-256-GCM", "SHA384"},
    {0x1303, 32, 32, "ChaCha20-Poly1305", "SHA256"},
};

struct direction {
    unsigned char secret[TLS_SECRET_BYTES_MAX], key[KEY_BYTES_MAX], iv[IV_BYTES];
    uint64_t sequence; /* of its key */
};

struct tls_records {
    const struct suite *suite;
    int fd;
    struct uring_socket *uring; /* borrowed; NULL: by system calls of their own */
    struct direction in, out;
    struct buffer *came;    /* the beginning of a record, as it came; NULL: none */
    struct buffer *plain;   /* of a record that was read in part */
    struct buffer *to_send; /* records that are made … */
    size_t to_send_plain;   /* … of so many bytes, of which the caller does not know yet */
    bool ended, broken, owes_update;
};

/* ---- keys (7.1 to 7.3) ---- */

static void expand(const struct suite *suite, const unsigned char *secret, const char *label,
                   unsigned char *ret, size_t bytes)
{
    static EVP_KDF *hkdf;
    unsigned char info[32];
    size_t label_len = strlen(label);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    info[0] = 0;
    info[1] = (unsigned char)bytes;
    info[2] = (unsigned char)(6 + label_len);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_len);
    info[9 + label_len] = 0; /* no context */
    if (!hkdf)
        hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)suite->digest,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
                                          suite->secret_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + label_len),
        OSSL_PARAM_construct_end(),
    };
    if (!ctx || EVP_KDF_derive(ctx, ret, bytes, params) != 1)
        abort(); /* nothing but a lack of memory can be in the way */
    EVP_KDF_CTX_free(ctx);
}

static void take_secret(const struct suite *suite, struct direction *direction)
{
    expand(suite, direction->secret, "key", direction->key, suite->key_bytes);
    expand(suite, direction->secret, "iv", direction->iv, IV_BYTES);
    direction->sequence = 0;
}

static void next_secret(const struct suite *suite, struct direction *direction)
{
    unsigned char next[TLS_SECRET_BYTES_MAX];
    expand(suite, direction->secret, "traffic upd", next, suite->secret_bytes);
    memcpy(direction->secret, next, suite->secret_bytes);
    secret_wipe(next, sizeof(next));
    take_secret(suite, direction);
}

struct tls_records *tls_records_new(int fd, uint16_t number, const unsigned char *peer_secret,
                                    const unsigned char *own_secret)
{
    const struct suite *suite = NULL;
    for (size_t i = 0; i < ARRAY_LEN(suites); i++)
        if (suites[i].number == number)
            suite = &suites[i];
    if (!suite)
        return NULL;
    struct tls_records *records = xcalloc(1, sizeof(*records));
    records->suite = suite;
    records->fd = fd;
    memcpy(records->in.secret, peer_secret, suite->secret_bytes);
    memcpy(records->out.secret, own_secret, suite->secret_bytes);
    take_secret(suite, &records->in);
    take_secret(suite, &records->out);
    return records;
}

static struct buffer *kept(const void *bytes, size_t len)
{
    struct buffer *buffer = NULL;
    if (len > 0) {
        buffer = xcalloc(1, sizeof(*buffer));
        buffer_append(buffer, bytes, len);
    }
    return buffer;
}

void tls_records_hasten(struct tls_records *records, struct uring_socket *uring)
{
    records->uring = uring;
}

bool tls_records_may_move(const struct tls_records *records)
{
    return !records->came && !records->plain && !records->to_send && !records->ended &&
           !records->broken;
}

struct description {
    uint16_t suite;
    uint8_t owes_update;
    uint32_t unread; /* bytes that follow */
    unsigned char in[TLS_SECRET_BYTES_MAX], out[TLS_SECRET_BYTES_MAX];
    uint64_t in_sequence, out_sequence;
};

void tls_records_describe(const struct tls_records *records, struct slice unread,
                          struct buffer *out)
{
    struct description description = {.suite = records->suite->number,
                                      .owes_update = records->owes_update,
                                      .unread = (uint32_t)unread.len,
                                      .in_sequence = records->in.sequence,
                                      .out_sequence = records->out.sequence};
    memcpy(description.in, records->in.secret, TLS_SECRET_BYTES_MAX);
    memcpy(description.out, records->out.secret, TLS_SECRET_BYTES_MAX);
    buffer_append(out, &description, sizeof(description));
    buffer_append_slice(out, unread);
    secret_wipe(&description, sizeof(description));
}

struct tls_records *tls_records_resume(int fd, struct slice *rest)
{
    struct description description;
    if (rest->len < sizeof(description))
        return NULL;
    memcpy(&description, rest->ptr, sizeof(description));
    rest->ptr += sizeof(description);
    rest->len -= sizeof(description);
    if (description.unread > rest->len)
        return NULL;
    struct tls_records *records =
        tls_records_new(fd, description.suite, description.in, description.out);
    if (records) {
        records->came = kept(rest->ptr, description.unread);
        records->in.sequence = description.in_sequence;
        records->out.sequence = description.out_sequence;
        records->owes_update = description.owes_update != 0;
    }
    rest->ptr += description.unread;
    rest->len -= description.unread;
    secret_wipe(&description, sizeof(description));
    return records;
}

static void free_buffer(struct buffer **buffer)
{
    if (*buffer)
        buffer_done(*buffer);
    free(TAKE(*buffer));
}

void tls_records_free(struct tls_records **records)
{
    struct tls_records *r = TAKE(*records);
    if (!r)
        return;
    free_buffer(&r->came);
    free_buffer(&r->plain);
    free_buffer(&r->to_send);
    secret_wipe(r, sizeof(*r));
    free(r);
}

/* ---- one record (5.2, 5.3) ---- */

/* Ready for the next record of that direction, with its header as additional data. */
static EVP_CIPHER_CTX *begin_cipher(const struct suite *suite, struct direction *direction,
                                    const unsigned char header[HEADER_BYTES], bool seals)
{
    static EVP_CIPHER *ciphers[ARRAY_LEN(suites)];
    static EVP_CIPHER_CTX *ctx;
    EVP_CIPHER **cipher = &ciphers[suite - suites];
    unsigned char nonce[IV_BYTES];
    int len;
    if (!*cipher)
        *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
    if (!ctx)
        ctx = EVP_CIPHER_CTX_new();
    memcpy(nonce, direction->iv, IV_BYTES);
    for (int i = 0; i < 8; i++)
        nonce[IV_BYTES - 1 - i] ^= (unsigned char)(direction->sequence >> (8 * i));
    direction->sequence++;
    if (!*cipher || !ctx ||
        EVP_CipherInit_ex2(ctx, *cipher, direction->key, nonce, seals, NULL) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &len, header, HEADER_BYTES) != 1)
        abort();
    return ctx;
}

static void make_header(unsigned char header[HEADER_BYTES], size_t body_bytes)
{
    header[0] = TYPE_DATA;
    header[1] = 3;
    header[2] = 3;
    header[3] = (unsigned char)(body_bytes >> 8);
    header[4] = (unsigned char)body_bytes;
}

/* From the parts' byte `from` on, at most a record's worth; returns how many. */
static size_t seal(struct tls_records *records, int type, const struct iovec *parts, int count,
                   size_t from, struct buffer *out)
{
    unsigned char content_type = (unsigned char)type;
    size_t all = 0, done = 0;
    int len;
    for (int i = 0; i < count; i++)
        all += parts[i].iov_len;
    all = all - from < PLAIN_BYTES_MAX ? all - from : PLAIN_BYTES_MAX;
    unsigned char *record = (unsigned char *)buffer_reserve(out, RECORD_BYTES_MAX);
    make_header(record, all + 1 + TAG_BYTES);
    EVP_CIPHER_CTX *ctx = begin_cipher(records->suite, &records->out, record, true);
    unsigned char *dst = record + HEADER_BYTES;
    for (int i = 0; i < count && done < all; i++) {
        if (from >= parts[i].iov_len) {
            from -= parts[i].iov_len;
            continue;
        }
        size_t some = parts[i].iov_len - from < all - done ? parts[i].iov_len - from : all - done;
        if (EVP_CipherUpdate(ctx, dst, &len, (const unsigned char *)parts[i].iov_base + from,
                             (int)some) != 1)
            abort();
        dst += len;
        done += some;
        from = 0;
    }
    if (EVP_CipherUpdate(ctx, dst, &len, &content_type, 1) != 1 ||
        EVP_CipherFinal_ex(ctx, dst + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, dst + 1) != 1)
        abort();
    out->end += HEADER_BYTES + all + 1 + TAG_BYTES;
    return all;
}

/* The record's text into dst, which has room for its body; its type in *ret_type. Returns its
 * length; -1: it is not what the peer has sent, or not a record. */
static ssize_t unseal(struct tls_records *records, unsigned char *record, size_t body_bytes,
                      unsigned char *dst, int *ret_type)
{
    int len, rest;
    if (body_bytes <= TAG_BYTES)
        return -1;
    size_t text = body_bytes - TAG_BYTES;
    unsigned char *body = record + HEADER_BYTES;
    EVP_CIPHER_CTX *ctx = begin_cipher(records->suite, &records->in, record, false);
    if (EVP_CipherUpdate(ctx, dst, &len, body, (int)text) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, body + text) != 1 ||
        EVP_CipherFinal_ex(ctx, dst + len, &rest) != 1)
        return -1;
    while (text > 0 && dst[text - 1] == 0) /* padding */
        text--;
    if (text == 0 || text - 1 > PLAIN_BYTES_MAX)
        return -1;
    *ret_type = dst[text - 1];
    return (ssize_t)text - 1;
}

/* ---- reading ---- */

/* Not data: an alert, or new keys. False: the connection can not go on. */
static bool take_other(struct tls_records *records, int type, const unsigned char *text, size_t len)
{
    if (type == TYPE_ALERT && len == 2 && text[1] == ALERT_CLOSE_NOTIFY) {
        records->ended = true;
        return true;
    }
    if (type != TYPE_HANDSHAKE || len != 5 || text[0] != HANDSHAKE_KEY_UPDATE || text[1] != 0 ||
        text[2] != 0 || text[3] != 1 || text[4] > 1)
        return false;
    next_secret(records->suite, &records->in);
    records->owes_update = records->owes_update || text[4] == 1;
    return true;
}

/* Of the records that are there whole: text into dst, until that is full. Returns how much of the
 * bytes is used up, and the text's length in *ret_len. */
static size_t take_records(struct tls_records *records, unsigned char *bytes, size_t len,
                           unsigned char *dst, size_t cap, size_t *ret_len)
{
    static unsigned char text[BODY_BYTES_MAX];
    size_t at = 0;
    int type;
    while (len - at >= HEADER_BYTES && *ret_len < cap && !records->ended && !records->broken) {
        unsigned char *record = bytes + at;
        size_t body = (size_t)record[3] << 8 | record[4];
        if (record[0] != TYPE_DATA || record[1] != 3 || record[2] != 3 || body > BODY_BYTES_MAX) {
            records->broken = true;
            break;
        }
        if (len - at < HEADER_BYTES + body)
            break;
        at += HEADER_BYTES + body;
        bool fits = cap - *ret_len >= body;
        unsigned char *to = fits ? dst + *ret_len : text;
        ssize_t got = unseal(records, record, body, to, &type);
        if (got < 0 || (type != TYPE_DATA && !take_other(records, type, to, (size_t)got))) {
            records->broken = true;
        } else if (type == TYPE_DATA) {
            size_t room = cap - *ret_len, some = (size_t)got < room ? (size_t)got : room;
            if (!fits)
                memcpy(dst + *ret_len, text, some);
            records->plain = kept(text + some, fits ? 0 : (size_t)got - some);
            *ret_len += some;
        }
    }
    return at;
}

static ssize_t take_plain(struct tls_records *records, void *dst, size_t cap)
{
    struct slice plain = buffer_slice(records->plain);
    size_t some = plain.len < cap ? plain.len : cap;
    memcpy(dst, plain.ptr, some);
    buffer_consume(records->plain, some);
    if (some == plain.len)
        free_buffer(&records->plain);
    return (ssize_t)some;
}

/* As stream_read. */
static ssize_t receive(const struct tls_records *records, void *dst, size_t cap)
{
    ssize_t got;
    if (records->uring)
        return uring_read(records->uring, dst, cap);
    do
        got = recv(records->fd, dst, cap, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

ssize_t tls_records_read(struct tls_records *records, void *dst, size_t cap)
{
    static unsigned char bytes[RECORD_BYTES_MAX + READ_BYTES_MAX];
    size_t have = 0, len = 0;
    ssize_t got = 0;
    if (records->plain)
        return take_plain(records, dst, cap);
    if (records->came) {
        have = buffer_len(records->came);
        memcpy(bytes, buffer_slice(records->came).ptr, have);
        free_buffer(&records->came);
    }
    for (;;) {
        size_t used = take_records(records, bytes, have, dst, cap, &len);
        have -= used;
        memmove(bytes, bytes + used, have);
        if (len > 0 || records->ended || records->broken)
            break;
        got = receive(records, bytes + have, sizeof(bytes) - have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    records->came = kept(bytes, have);
    if (len > 0)
        return (ssize_t)len;
    if (records->broken)
        return -ECONNRESET;
    return got >= 0 ? 0 : got == -EAGAIN ? got : -ECONNRESET;
}

/* ---- writing ---- */

/* True: nothing is left of what was made. */
static bool send_made(struct tls_records *records, struct buffer *made)
{
    while (buffer_len(made) > 0) {
        struct slice rest = buffer_slice(made);
        const struct iovec part = {(void *)(uintptr_t)rest.ptr, rest.len};
        ssize_t sent = records->uring ? uring_write(records->uring, &part, 1)
                                      : stream_send_now(records->fd, &part, 1);
        if (sent < 0) {
            records->broken = records->broken || sent != -EAGAIN;
            return false;
        }
        buffer_consume(made, (size_t)sent);
    }
    return true;
}

static void seal_update(struct tls_records *records, struct buffer *out)
{
    static const unsigned char update[] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1, 0};
    const struct iovec part = {(void *)(uintptr_t)update, sizeof(update)};
    (void)seal(records, TYPE_HANDSHAKE, &part, 1, 0, out);
    next_secret(records->suite, &records->out);
    records->owes_update = false;
}

ssize_t tls_records_writev(struct tls_records *records, const struct iovec *parts, int count)
{
    static struct buffer made;
    size_t all = 0, sent = 0;
    for (int i = 0; i < count; i++)
        all += parts[i].iov_len;
    if (records->to_send) {
        if (!send_made(records, records->to_send))
            return records->broken ? -ECONNRESET : -EAGAIN;
        free_buffer(&records->to_send);
        sent = records->to_send_plain < all ? records->to_send_plain : all;
    }
    while (sent < all) {
        size_t from = sent;
        buffer_reset(&made, WRITE_RECORDS * RECORD_BYTES_MAX);
        if (records->owes_update || records->out.sequence >= RECORDS_OF_KEY_MAX)
            seal_update(records, &made);
        for (int i = 0; i < WRITE_RECORDS && from < all; i++)
            from += seal(records, TYPE_DATA, parts, count, from, &made);
        if (send_made(records, &made)) {
            sent = from;
            continue;
        }
        if (records->broken)
            return -ECONNRESET;
        records->to_send = kept(buffer_slice(&made).ptr, buffer_len(&made));
        records->to_send_plain = from - sent;
        return sent > 0 ? (ssize_t)sent : -EAGAIN;
    }
    return (ssize_t)sent;
}

void tls_records_shutdown(struct tls_records *records)
{
    static const unsigned char alert[] = {1, ALERT_CLOSE_NOTIFY};
    const struct iovec part = {(void *)(uintptr_t)alert, sizeof(alert)};
    AUTO_BUFFER made = {0};
    if (records->to_send || records->broken)
        return;
    (void)seal(records, TYPE_ALERT, &part, 1, 0, &made);
    (void)send_made(records, &made);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "saslprep.h"

static const char SCRAM_PREFIX[] = "SCRAM-SHA-256$";

bool secret_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void secret_wipe(void *bytes, size_t len)
{
    OPENSSL_cleanse(bytes, len);
}

struct secret_text {
    unsigned owners;
    char text[];
};

char *secret_text_new(const char *text)
{
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    struct secret_text *made = xcalloc(1, sizeof(*made) + bytes);
    made->owners = 1;
    memcpy(made->text, text, bytes);
    return made->text;
}

char *secret_text_hold(char *text)
{
    if (text)
        CONTAINER_OF(text, struct secret_text, text)->owners++;
    return text;
}

void secret_text_release(char **text)
{
    char *gone = TAKE(*text);
    struct secret_text *of = gone ? CONTAINER_OF(gone, struct secret_text, text) : NULL;
    if (!of || --of->owners > 0)
        return;
    secret_wipe(gone, strlen(gone));
    free(of);
}

static bool is_md5(const char *text)
{
    return strncmp(text, "md5", 3) == 0 && strlen(text) == MD5_TEXT_BYTES - 1 &&
           strspn(text + 3, "0123456789abcdef") == MD5_TEXT_BYTES - 4;
}

/* Takes base64 up to `end` from *text into exactly `want` bytes (0: up to `cap`). */
static bool take_base64(const char **text, char end, uint8_t *bytes, size_t cap, size_t want,
                        size_t *ret_len)
{
    const char *stop = end ? strchr(*text, end) : *text + strlen(*text);
    if (!stop)
        return false;
    ssize_t len = base64_decode((struct slice){*text, (size_t)(stop - *text)}, bytes, cap);
    if (len <= 0 || (want && (size_t)len != want))
        return false;
    *ret_len = (size_t)len;
    *text = stop + (end != 0);
    return true;
}

static bool parse_verifier(const char *text, struct scram_keys *keys)
{
    char *end;
    size_t len;
    text += sizeof(SCRAM_PREFIX) - 1;
    long iterations = strtol(text, &end, 10);
    if (end == text || *end != ':' || iterations < 1 || iterations > SCRAM_ITERATIONS_MAX)
        return false;
    text = end + 1;
    *keys = (struct scram_keys){.iterations = (int)iterations};
    return take_base64(&text, '$', keys->salt, sizeof(keys->salt), 0, &keys->salt_len) &&
           take_base64(&text, ':', keys->stored_key, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, &len) &&
           take_base64(&text, 0, keys->server_key, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, &len);
}

enum secret_form secret_form(const char *text, struct scram_keys *ret_keys)
{
    if (!text || !*text)
        return SECRET_NONE;
    if (is_md5(text))
        return SECRET_MD5;
    if (strncmp(text, SCRAM_PREFIX, sizeof(SCRAM_PREFIX) - 1) == 0 &&
        parse_verifier(text, ret_keys))
        return SECRET_SCRAM;
    return SECRET_PASSWORD;
}

/* ---- SCRAM ---- */

void hmac_sha256(const uint8_t *key, size_t key_len, struct slice text,
                 uint8_t ret[SCRAM_KEY_BYTES])
{
    unsigned len = SCRAM_KEY_BYTES;
    if (!HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text.ptr, text.len, ret, &len))
        abort();
}

void sha256(const uint8_t *bytes, size_t len, uint8_t ret[SCRAM_KEY_BYTES])
{
    if (!EVP_Digest(bytes, len, ret, NULL, EVP_sha256(), NULL))
        abort();
}

void scram_derive(const char *password, const uint8_t *salt, size_t salt_len, int iterations,
                  struct scram_keys *ret_keys)
{
    uint8_t salted[SCRAM_KEY_BYTES];
    char *prepared = saslprep(password);
    struct scram_keys keys = {
        .iterations = iterations, .salt_len = salt_len, .has_client_key = true};
    memcpy(keys.salt, salt, salt_len);
    if (!PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), salt, (int)salt_len, iterations,
                           EVP_sha256(), SCRAM_KEY_BYTES, salted))
        abort();
    hmac_sha256(salted, sizeof(salted), SLICE("Client Key"), keys.client_key);
    sha256(keys.client_key, SCRAM_KEY_BYTES, keys.stored_key);
    hmac_sha256(salted, sizeof(salted), SLICE("Server Key"), keys.server_key);
    secret_wipe(salted, sizeof(salted));
    secret_wipe(prepared, strlen(prepared));
    free(prepared);
    *ret_keys = keys;
}

static struct {
    uint8_t key[SCRAM_KEY_BYTES];
    bool made;
} salts;

void scram_salts_from(struct slice secret)
{
    static const char label[] = "weir: salts that belong to a name";
    hmac_sha256((const uint8_t *)label, sizeof(label), secret, salts.key);
    salts.made = true;
}

void scram_salt_of(const char *name, uint8_t ret[SCRAM_SALT_BYTES_MAX])
{
    if (!salts.made && RAND_bytes(salts.key, sizeof(salts.key)) != 1)
        abort();
    salts.made = true;
    struct slice half = {(const char *)ret, SCRAM_KEY_BYTES};
    hmac_sha256(salts.key, sizeof(salts.key), slice_of(name), ret);
    hmac_sha256(salts.key, sizeof(salts.key), half, ret + SCRAM_KEY_BYTES);
}

void scram_mock(const char *name, const struct scram_keys *like, struct scram_keys *ret_keys)
{
    *ret_keys = (struct scram_keys){.iterations = like ? like->iterations : SCRAM_ITERATIONS,
                                    .salt_len = like ? like->salt_len : SCRAM_SALT_BYTES};
    scram_salt_of(name, ret_keys->salt);
    /* Nobody knows what hashes to these. */
    if (RAND_bytes(ret_keys->stored_key, SCRAM_KEY_BYTES) != 1 ||
        RAND_bytes(ret_keys->server_key, SCRAM_KEY_BYTES) != 1)
        abort();
}

static_assert(SCRAM_SALT_BYTES_MAX == 2 * SCRAM_KEY_BYTES, "scram_salt_of makes two halves");

/* ---- md5 ---- */

/* "md5" and the digest of a followed by b. */
static void md5_text(struct slice a, struct slice b, char ret_text[MD5_TEXT_BYTES])
{
    uint8_t digest[16];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_md5(), NULL) || !EVP_DigestUpdate(ctx, a.ptr, a.len) ||
        !EVP_DigestUpdate(ctx, b.ptr, b.len) || !EVP_DigestFinal_ex(ctx, digest, NULL))
        abort();
    EVP_MD_CTX_free(ctx);
    memcpy(ret_text, "md5", 3);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(ret_text + 3 + 2 * i, 3, "%02x", digest[i]);
}

void md5_stored(const char *password, const char *user, char ret_text[MD5_TEXT_BYTES])
{
    md5_text(slice_of(password), slice_of(user), ret_text);
}

void md5_answer(const char *stored, const uint8_t salt[4], char ret_text[MD5_TEXT_BYTES])
{
    md5_text(slice_of(stored + 3), (struct slice){(const char *)salt, 4}, ret_text);
}

bool secret_check_md5(const char *secret, const char *user, const uint8_t salt[4],
                      const char *answer)
{
    struct scram_keys keys;
    char stored[MD5_TEXT_BYTES], expected[MD5_TEXT_BYTES];
    enum secret_form form = secret_form(secret, &keys);
    if (form != SECRET_PASSWORD && form != SECRET_MD5)
        return false;
    if (form == SECRET_PASSWORD)
        md5_stored(secret, user, stored);
    md5_answer(form == SECRET_MD5 ? secret : stored, salt, expected);
    return strlen(answer) == MD5_TEXT_BYTES - 1 &&
           secret_equal(answer, expected, MD5_TEXT_BYTES - 1);
}

bool secret_check_password(const char *secret, const char *user, const char *password)
{
    struct scram_keys keys;
    char stored[MD5_TEXT_BYTES];
    switch (secret_form(secret, &keys)) {
    case SECRET_MD5:
        md5_stored(password, user, stored);
        return secret_equal(stored, secret, MD5_TEXT_BYTES - 1);
    case SECRET_PASSWORD: {
        uint8_t ours[SCRAM_KEY_BYTES], theirs[SCRAM_KEY_BYTES]; /* of one length */
        sha256((const uint8_t *)secret, strlen(secret), ours);
        sha256((const uint8_t *)password, strlen(password), theirs);
        return secret_equal(ours, theirs, SCRAM_KEY_BYTES);
    }
    default:
        return false;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptography by OpenSSL: randomness, digests, HMAC, key derivation and AES. Keys of public-key
 * algorithms are in bindings_keys.c. https://w3c.github.io/webcrypto/
 *
 * An engine process is forked many times, by clone() and into namespaces where every process has
 * the same id, so nothing that OpenSSL does to notice a fork works here. All randomness therefore
 * comes from the kernel: what is asked for here directly, and what OpenSSL asks for itself through
 * the generator that crypto_define installs. The pool below is wiped in a child by the kernel. */
#define OPENSSL_SUPPRESS_DEPRECATED  /* RAND_set_rand_method is the one way to replace it for all  \
                                      */
#include "bindings.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "bindings_crypto.h"

bool crypto_bytes(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                  struct slice *ret_bytes)
{
    *ret_bytes = (struct slice){"", 0};
    if (index >= argc || !engine_bytes(ctx, argv[index], ret_bytes))
        return false;
    if (!ret_bytes->ptr)
        *ret_bytes = (struct slice){"", 0};
    return true;
}

JSValueRef crypto_failed(JSContextRef ctx)
{
    ERR_clear_error();
    return JSValueMakeNull(ctx);
}

/* ---- randomness ---- */

static bool random_from_kernel(void *out, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = getrandom((char *)out + done, bytes - done, 0);
        if (got > 0)
            done += (size_t)got;
        else if (got < 0)
            return false;
    }
    return true;
}

/* Small requests are served from a page that a fork empties, `left` included. */
struct random_pool {
    size_t left;
    unsigned char bytes[4096 - sizeof(size_t)];
};
static struct random_pool *pool;

static void pool_init(void)
{
    pool = mmap(NULL, sizeof(*pool), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(pool != MAP_FAILED);
    if (madvise(pool, sizeof(*pool), MADV_WIPEONFORK) != 0) {
        (void)munmap(pool, sizeof(*pool));
        pool = NULL; /* then every request goes to the kernel */
    }
}

/* The kernel's generator does not fail once the system is up; without randomness nothing that
 * follows is safe, so the process ends. */
static void random_bytes(void *out, size_t bytes)
{
    if (!pool || bytes > 256) {
        if (!random_from_kernel(out, bytes))
            abort();
        return;
    }
    if (pool->left < bytes) {
        if (!random_from_kernel(pool->bytes, sizeof(pool->bytes)))
            abort();
        pool->left = sizeof(pool->bytes);
    }
    pool->left -= bytes;
    memcpy(out, pool->bytes + pool->left, bytes);
    memset(pool->bytes + pool->left, 0, bytes);
}

static int openssl_random(unsigned char *out, int bytes)
{
    random_bytes(out, bytes > 0 ? (size_t)bytes : 0);
    return 1;
}

static int openssl_random_status(void)
{
    return 1;
}

static const RAND_METHOD random_method = {
    .bytes = openssl_random,
    .pseudorand = openssl_random,
    .status = openssl_random_status,
};

/* random(view): fills it. False: its memory is WebAssembly's, which cannot be written to from here.
 */
ENGINE_FUNCTION(random_fill)
{
    struct slice bytes;
    if (argc < 1 || JSValueGetTypedArrayType(ctx, argv[0], NULL) == kJSTypedArrayTypeNone)
        return engine_throw(ctx, exception, "TypeError", "no buffer");
    bool ours = engine_bytes_in_place(ctx, argv[0], &bytes);
    if (ours)
        random_bytes((char *)bytes.ptr, bytes.len);
    return JSValueMakeBoolean(ctx, ours);
}

/* randomUUID() → RFC 9562 version 4 */
ENGINE_FUNCTION(random_uuid)
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    char text[37], *p = text;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = "0123456789abcdef"[bytes[i] >> 4];
        *p++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *p = 0;
    JSStringRef string = JSStringCreateWithUTF8CString(text);
    JSValueRef value = JSValueMakeString(ctx, string);
    JSStringRelease(string);
    return value;
}

/* ---- secret keys ---- */

struct secret {
    size_t len;
    unsigned char bytes[];
};

static void secret_finalize(JSObjectRef object)
{
    struct secret *secret = JSObjectGetPrivate(object);
    OPENSSL_cleanse(secret->bytes, secret->len);
    free(secret);
}

static JSClassRef secret_class(void)
{
    static JSClassRef class;
    if (!class) {
        JSClassDefinition definition = kJSClassDefinitionEmpty;
        definition.className = "Secret";
        definition.finalize = secret_finalize;
        class = JSClassCreate(&definition);
    }
    return class;
}

/* secret(view) → an object that holds a copy, for the functions below that take a key */
ENGINE_FUNCTION(secret_new)
{
    struct slice bytes;
    if (!crypto_bytes(ctx, argc, argv, 0, &bytes))
        return engine_throw(ctx, exception, "TypeError", "no buffer");
    struct secret *secret = xcalloc(1, sizeof(*secret) + bytes.len);
    secret->len = bytes.len;
    memcpy(secret->bytes, bytes.ptr, bytes.len);
    return JSObjectMake(ctx, secret_class(), secret);
}

/* A key argument: a secret, or plain bytes. */
static bool secret_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                            struct slice *ret_bytes)
{
    if (index < argc && JSValueIsObjectOfClass(ctx, argv[index], secret_class())) {
        struct secret *secret = JSObjectGetPrivate((JSObjectRef)argv[index]);
        *ret_bytes = (struct slice){(const char *)secret->bytes, secret->len};
        return true;
    }
    return crypto_bytes(ctx, argc, argv, index, ret_bytes);
}

/* secretBytes(secret) → Uint8Array */
ENGINE_FUNCTION(secret_bytes)
{
    struct slice bytes;
    if (!secret_argument(ctx, argc, argv, 0, &bytes))
        return crypto_failed(ctx);
    return engine_uint8_array(ctx, bytes.ptr, bytes.len);
}

/* ---- digests and HMAC ---- */

/* Fetched once: a fetch by name costs more than hashing a short text. */
static struct hash {
    const char *name;
    EVP_MD *md;
    EVP_MAC_CTX *hmac;
} hashes[] = {
    {"SHA-1"}, {"SHA-256"}, {"SHA-384"}, {"SHA-512"}, {"MD5"},
};

static EVP_MD_CTX *digest_context;

static struct hash *hash_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
        if (strcmp(hashes[i].name, name) == 0)
            return &hashes[i];
    return NULL;
}

static struct hash *hash_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                  size_t index)
{
    AUTO_TEXT name = index < argc ? engine_text(ctx, argv[index], NULL) : NULL;
    return name ? hash_named(name) : NULL;
}

const EVP_MD *crypto_hash_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                   size_t index)
{
    struct hash *hash = hash_argument(ctx, argc, argv, index);
    return hash ? hash->md : NULL;
}

static void hashes_init(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    assert(hmac);
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        char *name = (char *)hashes[i].name;
        hashes[i].md = EVP_MD_fetch(NULL, name, NULL);
        hashes[i].hmac = EVP_MAC_CTX_new(hmac);
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
            OSSL_PARAM_construct_end(),
        };
        /* MD5 is missing where a FIPS policy rules: then digest() says so. */
        if (hashes[i].md && hashes[i].hmac)
            (void)EVP_MAC_CTX_set_params(hashes[i].hmac, params);
    }
    EVP_MAC_free(hmac);
    digest_context = EVP_MD_CTX_new();
    assert(digest_context);
}

/* digest(name, view) → Uint8Array, or null when the hash is unknown */
ENGINE_FUNCTION(digest)
{
    struct hash *hash = hash_argument(ctx, argc, argv, 0);
    struct slice bytes;
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned len;
    if (!hash || !hash->md || !crypto_bytes(ctx, argc, argv, 1, &bytes) ||
        !EVP_DigestInit_ex2(digest_context, hash->md, NULL) ||
        !EVP_DigestUpdate(digest_context, bytes.ptr, bytes.len) ||
        !EVP_DigestFinal_ex(digest_context, out, &len))
        return crypto_failed(ctx);
    return engine_uint8_array(ctx, out, len);
}

static void digest_finalize(JSObjectRef object)
{
    EVP_MD_CTX_free(JSObjectGetPrivate(object));
}

static JSClassRef digest_class(void)
{
    static JSClassRef class;
    if (!class) {
        JSClassDefinition definition = kJSClassDefinitionEmpty;
        definition.className = "Digest";
        definition.finalize = digest_finalize;
        class = JSClassCreate(&definition);
    }
    return class;
}

static EVP_MD_CTX *digest_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[])
{
    if (argc < 1 || !JSValueIsObjectOfClass(ctx, argv[0], digest_class()))
        return NULL;
    return JSObjectGetPrivate((JSObjectRef)argv[0]);
}

/* digestNew(name) → digest, or null */
ENGINE_FUNCTION(digest_new)
{
    struct hash *hash = hash_argument(ctx, argc, argv, 0);
    EVP_MD_CTX *context = hash && hash->md ? EVP_MD_CTX_new() : NULL;
    if (!context)
        return JSValueMakeNull(ctx);
    if (!EVP_DigestInit_ex2(context, hash->md, NULL)) {
        EVP_MD_CTX_free(context);
        return crypto_failed(ctx);
    }
    return JSObjectMake(ctx, digest_class(), context);
}

/* digestUpdate(digest, view) */
ENGINE_FUNCTION(digest_update)
{
    EVP_MD_CTX *context = digest_argument(ctx, argc, argv);
    struct slice bytes;
    if (context && crypto_bytes(ctx, argc, argv, 1, &bytes))
        (void)EVP_DigestUpdate(context, bytes.ptr, bytes.len);
    return JSValueMakeUndefined(ctx);
}

/* digestFinal(digest) → Uint8Array; the digest can not be used again */
ENGINE_FUNCTION(digest_final)
{
    EVP_MD_CTX *context = digest_argument(ctx, argc, argv);
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned len;
    if (!context || !EVP_DigestFinal_ex(context, out, &len))
        return crypto_failed(ctx);
    return engine_uint8_array(ctx, out, len);
}

/* hmac(name, key, data) → Uint8Array, or null */
ENGINE_FUNCTION(hmac)
{
    struct hash *hash = hash_argument(ctx, argc, argv, 0);
    struct slice key, data;
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t len;
    if (!hash || !hash->md || !secret_argument(ctx, argc, argv, 1, &key) ||
        !crypto_bytes(ctx, argc, argv, 2, &data) ||
        /* A key of length 0 must not look like "keep the last key". */
        !EVP_MAC_init(hash->hmac, (const unsigned char *)key.ptr, key.len, NULL) ||
        !EVP_MAC_update(hash->hmac, (const unsigned char *)data.ptr, data.len) ||
        !EVP_MAC_final(hash->hmac, out, &len, sizeof(out)))
        return crypto_failed(ctx);
    return engine_uint8_array(ctx, out, len);
}

/* timingSafeEqual(a, b) → boolean; different lengths are different */
ENGINE_FUNCTION(timing_safe_equal)
{
    struct slice a, b;
    if (!crypto_bytes(ctx, argc, argv, 0, &a) || !crypto_bytes(ctx, argc, argv, 1, &b))
        return engine_throw(ctx, exception, "TypeError", "no buffer");
    return JSValueMakeBoolean(ctx, a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ---- key derivation ---- */

/* The output size comes from the worker, which has checked its own limit; this is the last one. */
enum { DERIVED_BYTES_MAX = 16 * 1024 * 1024 };

/* pbkdf2(hash, password, salt, iterations, bytes) → Uint8Array, or null */
ENGINE_FUNCTION(pbkdf2)
{
    const EVP_MD *md = crypto_hash_argument(ctx, argc, argv, 0);
    struct slice password, salt;
    double iterations = engine_number(ctx, argc, argv, 3, 0);
    double bytes = engine_number(ctx, argc, argv, 4, 0);
    if (!md || !secret_argument(ctx, argc, argv, 1, &password) ||
        !crypto_bytes(ctx, argc, argv, 2, &salt) || !(iterations >= 1 && iterations <= 1e9) ||
        !(bytes >= 0 && bytes <= DERIVED_BYTES_MAX))
        return crypto_failed(ctx);
    unsigned char *out = xcalloc(1, (size_t)bytes + 1);
    if (bytes > 0 &&
        !PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, (const unsigned char *)salt.ptr,
                           (int)salt.len, (int)iterations, md, (int)bytes, out)) {
        free(out);
        return crypto_failed(ctx);
    }
    return engine_uint8_array_take(ctx, out, (size_t)bytes);
}

/* hkdf(hash, key, salt, info, bytes) → Uint8Array, or null */
ENGINE_FUNCTION(hkdf)
{
    struct hash *hash = hash_argument(ctx, argc, argv, 0);
    struct slice key, salt, info;
    double bytes = engine_number(ctx, argc, argv, 4, 0);
    if (!hash || !hash->md || !secret_argument(ctx, argc, argv, 1, &key) ||
        !crypto_bytes(ctx, argc, argv, 2, &salt) || !crypto_bytes(ctx, argc, argv, 3, &info) ||
        !(bytes >= 0 && bytes <= 255 * EVP_MD_get_size(hash->md)))
        return crypto_failed(ctx);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    EVP_KDF_free(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hash->name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (char *)key.ptr, key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char *)salt.ptr, salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char *)info.ptr, info.len),
        OSSL_PARAM_construct_end(),
    };
    unsigned char *out = xcalloc(1, (size_t)bytes + 1);
    bool ok = context && (bytes == 0 || EVP_KDF_derive(context, out, (size_t)bytes, params) > 0);
    EVP_KDF_CTX_free(context);
    if (!ok) {
        free(out);
        return crypto_failed(ctx);
    }
    return engine_uint8_array_take(ctx, out, (size_t)bytes);
}

/* ---- AES ---- */

struct aes {
    const char *mode;
    bool encrypt;
    struct slice key, iv, data, aad;
    unsigned tag_bytes;    /* gcm */
    unsigned counter_bits; /* ctr */
};

static EVP_CIPHER_CTX *aes_open(const struct aes *aes, const unsigned char *iv)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "AES-%zu-%s", aes->key.len * 8, aes->mode);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
    bool gcm = strcmp(aes->mode, "GCM") == 0;
    if (context && strcmp(aes->mode, "WRAP") == 0)
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    /* In two steps: the length of GCM's vector must be known before the vector. */
    if (!context || !EVP_CipherInit_ex2(context, cipher, NULL, NULL, aes->encrypt, NULL) ||
        (gcm && !EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)aes->iv.len, NULL)) ||
        !EVP_CipherInit_ex2(context, NULL, (const unsigned char *)aes->key.ptr, iv, aes->encrypt,
                            NULL)) {
        EVP_CIPHER_CTX_free(context);
        context = NULL;
    }
    EVP_CIPHER_free(cipher);
    return context;
}

/* All of `in` through the cipher; returns bytes written or -1. */
static ssize_t aes_run(EVP_CIPHER_CTX *context, struct slice in, unsigned char *out)
{
    int len = 0, last = 0;
    if (in.len > INT32_MAX - 64 ||
        !EVP_CipherUpdate(context, out, &len, (const unsigned char *)in.ptr, (int)in.len) ||
        !EVP_CipherFinal_ex(context, out + len, &last))
        return -1;
    return len + last;
}

static ssize_t aes_gcm(const struct aes *aes, unsigned char *out)
{
    struct slice data = aes->data;
    if (!aes->encrypt) {
        if (data.len < aes->tag_bytes)
            return -1;
        data.len -= aes->tag_bytes;
    }
    EVP_CIPHER_CTX *context = aes_open(aes, (const unsigned char *)aes->iv.ptr);
    int ignored;
    bool ok = context;
    if (ok && aes->aad.len > 0)
        ok = aes->aad.len <= INT32_MAX &&
             EVP_CipherUpdate(context, NULL, &ignored, (const unsigned char *)aes->aad.ptr,
                              (int)aes->aad.len);
    if (ok && !aes->encrypt)
        ok = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)aes->tag_bytes,
                                 (char *)data.ptr + data.len);
    ssize_t bytes = ok ? aes_run(context, data, out) : -1;
    if (bytes >= 0 && aes->encrypt) {
        if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)aes->tag_bytes, out + bytes))
            bytes += aes->tag_bytes;
        else
            bytes = -1;
    }
    EVP_CIPHER_CTX_free(context);
    return bytes;
}

/* Blocks until the low counter_bits of the counter roll over; SIZE_MAX: more than data can have. */
static size_t ctr_blocks_left(const unsigned char *counter, unsigned bits)
{
    if (bits > 60) {
        /* Only the low 60 bits can decide: above, a roll-over is out of reach unless all the bits
         * above are set too. */
        for (unsigned bit = 60; bit < bits; bit++)
            if (!(counter[15 - bit / 8] & 1u << bit % 8))
                return SIZE_MAX;
        bits = 60;
    }
    uint64_t value = 0;
    for (int i = 8; i < 16; i++)
        value = value << 8 | counter[i];
    value &= (UINT64_C(1) << bits) - 1;
    return (size_t)((UINT64_C(1) << bits) - value);
}

/* OpenSSL counts in all 128 bits, the standard in the low counter_bits: where they roll over, a
 * second run starts with them at zero. A third would repeat counter blocks, so it is refused. */
static ssize_t aes_ctr(const struct aes *aes, unsigned char *out)
{
    unsigned char counter[16];
    if (aes->iv.len != 16 || aes->counter_bits < 1 || aes->counter_bits > 128)
        return -1;
    memcpy(counter, aes->iv.ptr, sizeof(counter));
    size_t blocks = (aes->data.len + 15) / 16, left = ctr_blocks_left(counter, aes->counter_bits);
    if (aes->counter_bits < 60 && blocks > (size_t)1 << aes->counter_bits)
        return -1;
    size_t first = blocks <= left ? aes->data.len : left * 16;
    EVP_CIPHER_CTX *context = aes_open(aes, counter);
    ssize_t bytes = context ? aes_run(context, (struct slice){aes->data.ptr, first}, out) : -1;
    EVP_CIPHER_CTX_free(context);
    if (bytes < 0 || first == aes->data.len)
        return bytes;
    for (unsigned bit = 0; bit < aes->counter_bits; bit++)
        counter[15 - bit / 8] &= (unsigned char)~(1u << bit % 8);
    context = aes_open(aes, counter);
    struct slice rest = {aes->data.ptr + first, aes->data.len - first};
    ssize_t more = context ? aes_run(context, rest, out + bytes) : -1;
    EVP_CIPHER_CTX_free(context);
    return more < 0 ? -1 : bytes + more;
}

static ssize_t aes_plain(const struct aes *aes, unsigned char *out)
{
    bool cbc = strcmp(aes->mode, "CBC") == 0;
    if ((cbc && aes->iv.len != 16) || (!cbc && (aes->data.len % 8 != 0 || aes->data.len < 16)))
        return -1;
    EVP_CIPHER_CTX *context = aes_open(aes, cbc ? (const unsigned char *)aes->iv.ptr : NULL);
    ssize_t bytes = context ? aes_run(context, aes->data, out) : -1;
    EVP_CIPHER_CTX_free(context);
    return bytes;
}

/* aes("CBC"|"CTR"|"GCM"|"WRAP", encrypt, key, iv, data, aad, tag bytes or counter bits)
 * → Uint8Array, or null when it failed */
ENGINE_FUNCTION(aes_crypt)
{
    AUTO_TEXT mode = argc > 0 ? engine_text(ctx, argv[0], NULL) : NULL;
    struct aes aes = {.mode = mode, .encrypt = argc > 1 && JSValueToBoolean(ctx, argv[1])};
    if (!mode || !secret_argument(ctx, argc, argv, 2, &aes.key) ||
        !crypto_bytes(ctx, argc, argv, 4, &aes.data))
        return crypto_failed(ctx);
    (void)crypto_bytes(ctx, argc, argv, 3, &aes.iv); /* none for WRAP */
    (void)crypto_bytes(ctx, argc, argv, 5, &aes.aad);
    double number = engine_number(ctx, argc, argv, 6, 0);
    unsigned small = number >= 0 && number <= 128 ? (unsigned)number : 0;
    aes.tag_bytes = small <= 16 ? small : 16;
    aes.counter_bits = small;
    unsigned char *out = malloc(aes.data.len + 64);
    if (!out)
        return crypto_failed(ctx);
    ssize_t bytes = strcmp(mode, "GCM") == 0   ? aes_gcm(&aes, out)
                    : strcmp(mode, "CTR") == 0 ? aes_ctr(&aes, out)
                                               : aes_plain(&aes, out);
    if (bytes < 0) {
        OPENSSL_cleanse(out, aes.data.len + 64); /* unauthenticated plaintext */
        free(out);
        return crypto_failed(ctx);
    }
    return engine_uint8_array_take(ctx, out, (size_t)bytes);
}

void bindings_crypto_define(JSContextRef ctx, JSObjectRef native)
{
    static const struct binding on_native[] = {
        {"random", random_fill},
        {"randomUUID", random_uuid},
        {"digest", digest},
        {"digestNew", digest_new},
        {"digestUpdate", digest_update},
        {"digestFinal", digest_final},
        {"hmac", hmac},
        {"timingSafeEqual", timing_safe_equal},
        {NULL, NULL},
    };
    static const struct binding on_crypto[] = {
        {"secret", secret_new}, {"secretBytes", secret_bytes},
        {"pbkdf2", pbkdf2},     {"hkdf", hkdf},
        {"aes", aes_crypt},     {NULL, NULL},
    };
    /* No configuration file: a sandboxed process has no files. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
    (void)RAND_set_rand_method(&random_method);
    pool_init();
    hashes_init();
    bindings_table(ctx, native, on_native);
    JSObjectRef crypto = JSObjectMake(ctx, NULL, NULL);
    bindings_table(ctx, crypto, on_crypto);
    crypto_keys_define(ctx, crypto);
    engine_set(ctx, native, "crypto", crypto);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What JavaScript does with public-key algorithms: a key is an object that only these functions can
 * look into (bindings_key_parts.h says what is in it), freed, and by that wiped, with the object.
 * The library has checked that a key may be used for an operation; here a key of the wrong kind is
 * one more reason to fail. All functions give null when they fail: no reason leaves with it. */
#include "bindings_crypto.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "bindings_key_parts.h"
#include "clock.h"
#include "instance.h"

/* ---- keys as objects ---- */

static void key_finalize(JSObjectRef object)
{
    struct key *key = JSObjectGetPrivate(object);
    EVP_PKEY_free(key->pkey);
    free(key);
}

static JSClassRef key_class(void)
{
    static JSClassRef class;
    if (!class) {
        JSClassDefinition definition = kJSClassDefinitionEmpty;
        definition.className = "Key";
        definition.finalize = key_finalize;
        class = JSClassCreate(&definition);
    }
    return class;
}

/* The object owns what `key` points to. */
static JSValueRef key_object(JSContextRef ctx, struct key key)
{
    struct key *kept = xcalloc(1, sizeof(*kept));
    *kept = key;
    return JSObjectMake(ctx, key_class(), kept);
}

static const struct key *key_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                      size_t index)
{
    if (index >= argc || !JSValueIsObjectOfClass(ctx, argv[index], key_class()))
        return NULL;
    return JSObjectGetPrivate((JSObjectRef)argv[index]);
}

static bool kind_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                          enum key_kind *ret_kind)
{
    AUTO_TEXT name = index < argc ? engine_text(ctx, argv[index], NULL) : NULL;
    return name && key_kind_named(name, ret_kind);
}

static bool truth(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index)
{
    return index < argc && JSValueToBoolean(ctx, argv[index]);
}

static bool text_is(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                    const char *expected)
{
    AUTO_TEXT text = index < argc ? engine_text(ctx, argv[index], NULL) : NULL;
    return text && strcmp(text, expected) == 0;
}

static bool is_nist(const struct key *key)
{
    return key->kind == KEY_P256 || key->kind == KEY_P384 || key->kind == KEY_P521;
}

/* ---- import and export ---- */

/* keyImport("spki"|"pkcs8", DER) → key */
ENGINE_FUNCTION(key_import)
{
    struct slice der;
    struct key key;
    bool public = text_is(ctx, argc, argv, 0, "spki");
    if (!crypto_bytes(ctx, argc, argv, 1, &der) ||
        !(public ? key_from_spki(der, &key) : key_from_private_der(der, &key)))
        return crypto_failed(ctx);
    ERR_clear_error();
    return key_object(ctx, key);
}

/* keyFromRaw(kind, point) → public key */
ENGINE_FUNCTION(key_from_raw_bytes)
{
    struct slice raw;
    struct key key;
    enum key_kind kind;
    if (!kind_argument(ctx, argc, argv, 0, &kind) || !crypto_bytes(ctx, argc, argv, 1, &raw) ||
        !key_from_raw(kind, raw, &key))
        return crypto_failed(ctx);
    ERR_clear_error();
    return key_object(ctx, key);
}

/* keyFromParts(kind, part…) → key; the parts are in the order of bindings_key_parts.h, undefined
 * where there is none */
ENGINE_FUNCTION(key_from_numbers)
{
    struct slice parts[KEY_PARTS_MAX] = {{NULL, 0}};
    struct key key;
    enum key_kind kind;
    if (!kind_argument(ctx, argc, argv, 0, &kind))
        return crypto_failed(ctx);
    for (size_t i = 0; i < KEY_PARTS_MAX; i++)
        (void)crypto_bytes(ctx, argc, argv, 1 + i, &parts[i]);
    if (!key_from_parts(kind, parts, &key))
        return crypto_failed(ctx);
    ERR_clear_error();
    return key_object(ctx, key);
}

/* keyPublic(private key) → public key */
ENGINE_FUNCTION(key_public)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    struct key half;
    if (!key || !key_public_half(key, &half))
        return crypto_failed(ctx);
    return key_object(ctx, half);
}

/* keyKind(key) → "RSA", "P-256" … */
ENGINE_FUNCTION(key_kind)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    return key ? engine_string(ctx, key_kind_name(key->kind)) : crypto_failed(ctx);
}

/* keyBits(key) → bits of the modulus, or of the curve's field */
ENGINE_FUNCTION(key_bits)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    return key ? JSValueMakeNumber(ctx, EVP_PKEY_get_bits(key->pkey)) : crypto_failed(ctx);
}

/* keyPart(key, index) → Uint8Array */
ENGINE_FUNCTION(key_number)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    double index = engine_number(ctx, argc, argv, 1, 0);
    struct slice bytes;
    if (!key || !(index >= 0 && index < KEY_PARTS_MAX) || !key_part(key, (size_t)index, &bytes))
        return crypto_failed(ctx);
    return engine_uint8_array_take(ctx, (char *)bytes.ptr, bytes.len);
}

/* Of a key without its factors there is no PrivateKeyInfo. */
static int private_info_der(const struct key *key, unsigned char **ret_der)
{
    struct slice factor;
    if (key->kind == KEY_RSA) {
        if (!key_part(key, RSA_QI, &factor))
            return -1;
        OPENSSL_cleanse((char *)factor.ptr, factor.len);
        free((char *)factor.ptr);
    }
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, ret_der) : -1;
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
    return len;
}

/* keyExport(key, "spki"|"pkcs8") → Uint8Array */
ENGINE_FUNCTION(key_export)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    unsigned char *der = NULL;
    int len = -1;
    if (!key)
        return crypto_failed(ctx);
    if (text_is(ctx, argc, argv, 1, "spki"))
        len = i2d_PUBKEY(key->pkey, &der);
    else if (key->secret)
        len = private_info_der(key, &der);
    JSValueRef bytes = len > 0 ? engine_uint8_array(ctx, der, (size_t)len) : crypto_failed(ctx);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return bytes;
}

/* keyRaw(key) → Uint8Array: SEC 1's uncompressed point, or the 32 bytes of the others */
ENGINE_FUNCTION(key_raw)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    struct slice x, y;
    if (!key || key->kind == KEY_RSA || !key_part(key, 0, &x))
        return crypto_failed(ctx);
    if (!is_nist(key))
        return engine_uint8_array_take(ctx, (char *)x.ptr, x.len);
    char point[1 + 2 * EC_FIELD_BYTES_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, x.ptr, x.len);
    size_t len = 1 + 2 * x.len;
    free((char *)x.ptr);
    if (!key_part(key, 1, &y))
        return crypto_failed(ctx);
    memcpy(point + 1 + y.len, y.ptr, y.len);
    free((char *)y.ptr);
    return engine_uint8_array(ctx, point, len);
}

/* ---- generation ---- */

/* Looking for primes takes seconds for long keys, and the engine's watchdog only looks when
 * JavaScript runs: this ends the search when the request's CPU time is over. */
static int within_cpu_limit(EVP_PKEY_CTX *context)
{
    uint64_t until_us = *(const uint64_t *)EVP_PKEY_CTX_get_app_data(context);
    return clock_thread_cpu_us() < until_us;
}

static EVP_PKEY *generate_rsa(unsigned bits, struct slice exponent)
{
    uint64_t used_us = instance.turn.id ? instance.slots[instance.turn.slot].cpu_us : 0;
    uint64_t limit_us = (instance.cpu_ms_max ? instance.cpu_ms_max : 30000) * (uint64_t)1000;
    uint64_t until_us =
        clock_thread_cpu_us() + instance.warmup_us + (limit_us > used_us ? limit_us - used_us : 0);
    EVP_PKEY *pkey = NULL;
    BIGNUM *e = BN_bin2bn((const unsigned char *)exponent.ptr, (int)exponent.len, NULL);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    bool ok = e && context && EVP_PKEY_keygen_init(context) > 0 &&
              EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits) > 0 &&
              EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e) > 0;
    if (ok) {
        EVP_PKEY_CTX_set_app_data(context, &until_us);
        EVP_PKEY_CTX_set_cb(context, within_cpu_limit);
        (void)EVP_PKEY_generate(context, &pkey);
    }
    EVP_PKEY_CTX_free(context);
    BN_free(e);
    return pkey;
}

/* keyGenerate(kind, modulus bits, exponent) → private key; the last two for RSA only */
ENGINE_FUNCTION(key_generate)
{
    struct key key = {.secret = true};
    struct slice exponent;
    double bits = engine_number(ctx, argc, argv, 1, 0);
    if (!kind_argument(ctx, argc, argv, 0, &key.kind))
        return crypto_failed(ctx);
    if (key.kind == KEY_RSA) {
        if (crypto_bytes(ctx, argc, argv, 2, &exponent) && exponent.len <= 8 && bits >= 512 &&
            bits <= RSA_MODULUS_BYTES_MAX * 8)
            key.pkey = generate_rsa((unsigned)bits, exponent);
    } else if (key.kind == KEY_ED25519) {
        key.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    } else if (key.kind == KEY_X25519) {
        key.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    } else {
        key.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", key_kind_name(key.kind));
    }
    return key.pkey ? key_object(ctx, key) : crypto_failed(ctx);
}

/* ---- signatures ---- */

struct signing {
    const struct key *key;
    const EVP_MD *hash; /* NULL: Ed25519, which has its own */
    int padding;        /* RSA */
    int salt_bytes;     /* PSS; -1: as many as the hash has, or on verification any */
    bool der;           /* a signature of an elliptic curve is DER, not r||s */
};

enum { SIGNATURE_BYTES_MAX = RSA_MODULUS_BYTES_MAX };

/* key, scheme, hash, salt: the first four arguments of both. The schemes are "PKCS1", "PSS",
 * "ECDSA", "ECDSA-DER" and "EDDSA". */
static bool signing_arguments(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                              struct signing *ret_signing)
{
    struct signing signing = {.key = key_argument(ctx, argc, argv, 0)};
    AUTO_TEXT scheme = argc > 1 ? engine_text(ctx, argv[1], NULL) : NULL;
    if (!signing.key || !scheme)
        return false;
    bool fits = false;
    if (strcmp(scheme, "PKCS1") == 0 || strcmp(scheme, "PSS") == 0) {
        fits = signing.key->kind == KEY_RSA;
        signing.padding = scheme[1] == 'K' ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;
    } else if (strcmp(scheme, "ECDSA") == 0 || strcmp(scheme, "ECDSA-DER") == 0) {
        fits = is_nist(signing.key);
        signing.der = scheme[5] == '-';
    } else if (strcmp(scheme, "EDDSA") == 0) {
        fits = signing.key->kind == KEY_ED25519;
    }
    signing.hash = crypto_hash_argument(ctx, argc, argv, 2);
    double salt_bytes = engine_number(ctx, argc, argv, 3, 0);
    if (!fits || (!signing.hash && signing.key->kind != KEY_ED25519) ||
        !(salt_bytes >= -1 && salt_bytes <= RSA_MODULUS_BYTES_MAX))
        return false;
    signing.salt_bytes = (int)salt_bytes;
    *ret_signing = signing;
    return true;
}

static bool set_padding(const struct signing *signing, EVP_PKEY_CTX *context, int any_salt)
{
    if (signing->key->kind != KEY_RSA)
        return true;
    if (EVP_PKEY_CTX_set_rsa_padding(context, signing->padding) <= 0)
        return false;
    int salt_bytes = signing->salt_bytes < 0 ? any_salt : signing->salt_bytes;
    return signing->padding != RSA_PKCS1_PSS_PADDING ||
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt_bytes) > 0;
}

/* DER → r||s; out has room for both. */
static bool signature_split(const unsigned char *der, size_t len, unsigned char *out,
                            size_t field_bytes)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)field_bytes) >= 0 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + field_bytes, (int)field_bytes) >= 0;
    ECDSA_SIG_free(pair);
    return ok;
}

/* r||s → DER, OPENSSL_malloc'ed; negative: it has the wrong length. */
static int signature_join(struct slice raw, size_t field_bytes, unsigned char **ret_der)
{
    if (raw.len != 2 * field_bytes)
        return -1;
    const unsigned char *bytes = (const unsigned char *)raw.ptr;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)field_bytes, NULL);
    BIGNUM *s = BN_bin2bn(bytes + field_bytes, (int)field_bytes, NULL);
    int len = -1;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        r = s = NULL;
        len = i2d_ECDSA_SIG(pair, ret_der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len;
}

/* keySign(key, scheme, hash, salt bytes, data) → Uint8Array */
ENGINE_FUNCTION(key_sign)
{
    struct signing signing;
    struct slice data;
    unsigned char signature[SIGNATURE_BYTES_MAX], pair[2 * EC_FIELD_BYTES_MAX];
    size_t len = sizeof(signature);
    if (!signing_arguments(ctx, argc, argv, &signing) || !signing.key->secret ||
        !crypto_bytes(ctx, argc, argv, 4, &data))
        return crypto_failed(ctx);
    EVP_PKEY_CTX *padding;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok =
        context &&
        EVP_DigestSignInit(context, &padding, signing.hash, NULL, signing.key->pkey) > 0 &&
        set_padding(&signing, padding, RSA_PSS_SALTLEN_DIGEST) &&
        EVP_DigestSign(context, signature, &len, (const unsigned char *)data.ptr, data.len) > 0;
    EVP_MD_CTX_free(context);
    if (!ok)
        return crypto_failed(ctx);
    if (!is_nist(signing.key) || signing.der)
        return engine_uint8_array(ctx, signature, len);
    size_t field_bytes = key_field_bytes(signing.key->kind);
    if (!signature_split(signature, len, pair, field_bytes))
        return crypto_failed(ctx);
    return engine_uint8_array(ctx, pair, 2 * field_bytes);
}

/* OpenSSL takes a shorter one, as if it began with zeros; RFC 8017 (7.1.2, 8.1.2) does not. */
static bool has_modulus_length(const struct key *key, struct slice bytes)
{
    return bytes.len == (size_t)EVP_PKEY_get_size(key->pkey);
}

/* keyVerify(key, scheme, hash, salt bytes, signature, data) → boolean; null: could not even try */
ENGINE_FUNCTION(key_verify)
{
    struct signing signing;
    struct slice signature, data;
    unsigned char *der = NULL;
    if (!signing_arguments(ctx, argc, argv, &signing) ||
        !crypto_bytes(ctx, argc, argv, 4, &signature) || !crypto_bytes(ctx, argc, argv, 5, &data))
        return crypto_failed(ctx);
    if (signing.key->kind == KEY_RSA && !has_modulus_length(signing.key, signature))
        return JSValueMakeBoolean(ctx, false);
    if (is_nist(signing.key) && !signing.der) {
        int len = signature_join(signature, key_field_bytes(signing.key->kind), &der);
        if (len < 0)
            return JSValueMakeBoolean(ctx, false);
        signature = (struct slice){(char *)der, (size_t)len};
    }
    EVP_PKEY_CTX *padding;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ready =
        context &&
        EVP_DigestVerifyInit(context, &padding, signing.hash, NULL, signing.key->pkey) > 0 &&
        set_padding(&signing, padding, RSA_PSS_SALTLEN_AUTO);
    bool valid =
        ready && EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len,
                                  (const unsigned char *)data.ptr, data.len) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ERR_clear_error(); /* why it is not valid */
    return ready ? JSValueMakeBoolean(ctx, valid) : JSValueMakeNull(ctx);
}

/* ---- RSA encryption ---- */

static bool set_oaep(EVP_PKEY_CTX *context, const EVP_MD *hash, struct slice label)
{
    if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) <= 0 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(context, hash) <= 0 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) <= 0)
        return false;
    if (label.len == 0)
        return true;
    void *copy = label.len <= INT32_MAX ? OPENSSL_memdup(label.ptr, label.len) : NULL;
    if (copy && EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, (int)label.len) > 0)
        return true;
    OPENSSL_free(copy);
    return false;
}

/* keyCrypt(key, encrypt, hash|"raw", label, data) → Uint8Array. OAEP, or (to decrypt, "raw") the
 * bare power. */
ENGINE_FUNCTION(key_crypt)
{
    const struct key *key = key_argument(ctx, argc, argv, 0);
    bool encrypt = truth(ctx, argc, argv, 1), raw = text_is(ctx, argc, argv, 2, "raw");
    const EVP_MD *hash = crypto_hash_argument(ctx, argc, argv, 2);
    struct slice label, data;
    unsigned char out[RSA_MODULUS_BYTES_MAX];
    size_t len = sizeof(out);
    (void)crypto_bytes(ctx, argc, argv, 3, &label); /* may be missing */
    if (!key || key->kind != KEY_RSA || (!encrypt && !key->secret) || (!hash && !raw) ||
        !crypto_bytes(ctx, argc, argv, 4, &data) || (!encrypt && !has_modulus_length(key, data)))
        return crypto_failed(ctx);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool ok = context &&
              (encrypt ? EVP_PKEY_encrypt_init(context) : EVP_PKEY_decrypt_init(context)) > 0 &&
              (raw ? EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0
                   : set_oaep(context, hash, label));
    const unsigned char *in = (const unsigned char *)data.ptr;
    ok = ok && (encrypt ? EVP_PKEY_encrypt(context, out, &len, in, data.len)
                        : EVP_PKEY_decrypt(context, out, &len, in, data.len)) > 0;
    EVP_PKEY_CTX_free(context);
    JSValueRef result = ok ? engine_uint8_array(ctx, out, len) : crypto_failed(ctx);
    OPENSSL_cleanse(out, sizeof(out));
    return result;
}

/* ---- agreement ---- */

/* keyAgree(private key, public key) → Uint8Array: ECDH, X25519. null also for the points of small
 * order, with which every private key agrees on zeros. */
ENGINE_FUNCTION(key_agree)
{
    const struct key *own = key_argument(ctx, argc, argv, 0);
    const struct key *peer = key_argument(ctx, argc, argv, 1);
    unsigned char out[EC_FIELD_BYTES_MAX];
    size_t len = sizeof(out);
    if (!own || !peer || own->kind != peer->kind || !own->secret ||
        !(own->kind == KEY_X25519 || is_nist(own)))
        return crypto_failed(ctx);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
    /* The peer's point was checked when it became a key. */
    bool ok = context && EVP_PKEY_derive_init(context) > 0 &&
              EVP_PKEY_derive_set_peer_ex(context, peer->pkey, false) > 0 &&
              EVP_PKEY_derive(context, out, &len) > 0;
    EVP_PKEY_CTX_free(context);
    JSValueRef result = ok ? engine_uint8_array(ctx, out, len) : crypto_failed(ctx);
    OPENSSL_cleanse(out, sizeof(out));
    return result;
}

/* OpenSSL finds an algorithm by name once a process and keeps it: found here, before the fork, no
 * instance has to. */
static void find_algorithms(void)
{
    static const char *const types[] = {"RSA", "EC", "ED25519", "X25519"};
    static const char *const signatures[] = {"RSA", "ECDSA", "ED25519"};
    static const char *const agreements[] = {"ECDH", "X25519"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(NULL, types[i], NULL));
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++)
        EVP_SIGNATURE_free(EVP_SIGNATURE_fetch(NULL, signatures[i], NULL));
    for (size_t i = 0; i < ARRAY_LEN(agreements); i++)
        EVP_KEYEXCH_free(EVP_KEYEXCH_fetch(NULL, agreements[i], NULL));
    EVP_ASYM_CIPHER_free(EVP_ASYM_CIPHER_fetch(NULL, "RSA", NULL));
    ERR_clear_error();
}

void crypto_keys_define(JSContextRef ctx, JSObjectRef crypto)
{
    static const struct binding table[] = {
        {"keyImport", key_import},
        {"keyFromRaw", key_from_raw_bytes},
        {"keyFromParts", key_from_numbers},
        {"keyPublic", key_public},
        {"keyKind", key_kind},
        {"keyBits", key_bits},
        {"keyPart", key_number},
        {"keyExport", key_export},
        {"keyRaw", key_raw},
        {"keyGenerate", key_generate},
        {"keySign", key_sign},
        {"keyVerify", key_verify},
        {"keyCrypt", key_crypt},
        {"keyAgree", key_agree},
        {NULL, NULL},
    };
    bindings_table(ctx, crypto, table);
    find_algorithms();
}

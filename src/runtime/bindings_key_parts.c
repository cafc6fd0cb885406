/* SPDX-License-Identifier: Apache-2.0 */
/* The DER that Web Crypto knows is five small structures, read here by hand: OpenSSL's decoders try
 * every format they know, which takes longer than most uses of the key, and take more than the
 * standard allows. RFC 5280 4.1.2.7 (SubjectPublicKeyInfo), RFC 5208 (PrivateKeyInfo),
 * RFC 8017 A.1, RFC 5915 (ECPrivateKey), RFC 8410 (Ed25519, X25519). */
#include "bindings_key_parts.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

struct oid {
    unsigned char len, bytes[9];
};

static const struct kind {
    const char *name;         /* the standard's */
    const char *openssl_name; /* of the group, or of the type */
    int nid;
    size_t field_bytes;
    struct oid oid; /* of the curve, or of the algorithm */
} kinds[KEY_KINDS] = {
    [KEY_RSA] = {"RSA", "RSA", 0, 0, {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1}}},
    [KEY_P256] = {"P-256",
                  SN_X9_62_prime256v1,
                  NID_X9_62_prime256v1,
                  32,
                  {8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}}},
    [KEY_P384] = {"P-384", SN_secp384r1, NID_secp384r1, 48, {5, {0x2b, 0x81, 4, 0, 0x22}}},
    [KEY_P521] = {"P-521", SN_secp521r1, NID_secp521r1, 66, {5, {0x2b, 0x81, 4, 0, 0x23}}},
    [KEY_ED25519] = {"Ed25519", "ED25519", 0, OKP_BYTES, {3, {0x2b, 0x65, 0x70}}},
    [KEY_X25519] = {"X25519", "X25519", 0, OKP_BYTES, {3, {0x2b, 0x65, 0x6e}}},
};
static const struct oid ec_public_key = {7, {0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}};

size_t key_field_bytes(enum key_kind kind)
{
    return kinds[kind].field_bytes;
}

const char *key_kind_name(enum key_kind kind)
{
    return kinds[kind].name;
}

bool key_kind_named(const char *name, enum key_kind *ret_kind)
{
    for (size_t i = 0; i < KEY_KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_kind = (enum key_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_nist_curve(enum key_kind kind)
{
    return kinds[kind].nid != 0;
}

/* ---- DER ---- */

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0,
    DER_CONTEXT_1 = 0xa1,
};

static bool der_is_next(struct slice in, unsigned char tag)
{
    return in.len > 0 && (unsigned char)in.ptr[0] == tag;
}

/* The value with this tag at the start of *in, which moves behind it. Lengths in their one DER
 * form, up to 65,535: the longest key is a tenth of that. */
static bool der_take(struct slice *in, unsigned char tag, struct slice *ret_value)
{
    const unsigned char *bytes = (const unsigned char *)in->ptr;
    if (in->len < 2 || bytes[0] != tag)
        return false;
    size_t head = 2, len = bytes[1];
    if (len == 0x81 && in->len >= 3 && bytes[2] >= 0x80) {
        head = 3;
        len = bytes[2];
    } else if (len == 0x82 && in->len >= 4 && bytes[2] != 0) {
        head = 4;
        len = (size_t)bytes[2] << 8 | bytes[3];
    } else if (len >= 0x80) {
        return false;
    }
    if (in->len - head < len)
        return false;
    *ret_value = (struct slice){in->ptr + head, len};
    *in = (struct slice){in->ptr + head + len, in->len - head - len};
    return true;
}

/* All of `in` is one value with this tag. */
static bool der_whole(struct slice in, unsigned char tag, struct slice *ret_value)
{
    return der_take(&in, tag, ret_value) && in.len == 0;
}

/* A number that is not negative, without the zero that keeps it so. */
static bool der_number(struct slice *in, struct slice *ret_number)
{
    struct slice value;
    if (!der_take(in, DER_INTEGER, &value) || value.len == 0 || value.ptr[0] & 0x80)
        return false;
    if (value.ptr[0] == 0 && value.len > 1) {
        if (!(value.ptr[1] & 0x80))
            return false;
        value = (struct slice){value.ptr + 1, value.len - 1};
    }
    *ret_number = value;
    return true;
}

static bool der_small_number(struct slice *in, unsigned max, unsigned *ret_number)
{
    struct slice value;
    if (!der_number(in, &value) || value.len != 1 || (unsigned char)value.ptr[0] > max)
        return false;
    *ret_number = (unsigned char)value.ptr[0];
    return true;
}

static bool der_bits(struct slice in, struct slice *ret_bytes)
{
    if (in.len < 1 || in.ptr[0] != 0) /* bits that are left over */
        return false;
    *ret_bytes = (struct slice){in.ptr + 1, in.len - 1};
    return true;
}

static bool is_oid(struct slice value, const struct oid *oid)
{
    return value.len == oid->len && memcmp(value.ptr, oid->bytes, oid->len) == 0;
}

static bool curve_of(struct slice parameters, enum key_kind *ret_kind)
{
    struct slice oid;
    if (!der_whole(parameters, DER_OID, &oid))
        return false;
    for (size_t i = 0; i < KEY_KINDS; i++) {
        if (kinds[i].nid != 0 && is_oid(oid, &kinds[i].oid)) {
            *ret_kind = (enum key_kind)i;
            return true;
        }
    }
    return false;
}

/* AlgorithmIdentifier. */
static bool der_algorithm(struct slice *in, enum key_kind *ret_kind)
{
    struct slice algorithm, oid, null;
    if (!der_take(in, DER_SEQUENCE, &algorithm) || !der_take(&algorithm, DER_OID, &oid))
        return false;
    if (is_oid(oid, &ec_public_key))
        return curve_of(algorithm, ret_kind);
    if (is_oid(oid, &kinds[KEY_RSA].oid)) {
        *ret_kind = KEY_RSA;
        return der_whole(algorithm, DER_NULL, &null) && null.len == 0;
    }
    if (is_oid(oid, &kinds[KEY_ED25519].oid))
        *ret_kind = KEY_ED25519;
    else if (is_oid(oid, &kinds[KEY_X25519].oid))
        *ret_kind = KEY_X25519;
    else
        return false;
    return algorithm.len == 0;
}

/* ---- OpenSSL's objects ---- */

static bool from_params(const char *type, int selection, OSSL_PARAM *params, EVP_PKEY **ret_pkey)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool ok = context && EVP_PKEY_fromdata_init(context) > 0 &&
              EVP_PKEY_fromdata(context, &pkey, selection, params) > 0;
    EVP_PKEY_CTX_free(context);
    if (ok)
        *ret_pkey = pkey;
    return ok;
}

static BIGNUM *number_of(struct slice bytes)
{
    BIGNUM *number = BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);
    if (number)
        BN_set_flags(number, BN_FLG_CONSTTIME);
    return number;
}

/* p q = n, and each of d's shadows is what it should be: a key that is not would sign with an error
 * that gives its factors away. Whether p and q are primes is their owner's affair. */
static bool rsa_fits(BIGNUM *const n[KEY_PARTS_MAX], BN_CTX *temporary)
{
    BIGNUM *less = BN_CTX_get(temporary), *result = BN_CTX_get(temporary);
    if (!result || !BN_mul(result, n[RSA_P], n[RSA_Q], temporary) || BN_cmp(result, n[RSA_N]) != 0)
        return false;
    for (size_t i = 0; i < 2; i++) {
        BN_set_flags(less, BN_FLG_CONSTTIME);
        if (BN_is_zero(n[RSA_P + i]) || BN_is_one(n[RSA_P + i]) ||
            !BN_sub(less, n[RSA_P + i], BN_value_one()) ||
            !BN_mod_mul(result, n[RSA_E], n[RSA_D], less, temporary) || !BN_is_one(result) ||
            !BN_mod(result, n[RSA_D], less, temporary) || BN_cmp(result, n[RSA_DP + i]) != 0)
            return false;
    }
    return BN_cmp(n[RSA_QI], n[RSA_P]) < 0 &&
           BN_mod_mul(result, n[RSA_QI], n[RSA_Q], n[RSA_P], temporary) && BN_is_one(result);
}

static bool rsa_numbers_usable(BIGNUM *const n[KEY_PARTS_MAX])
{
    if (!BN_is_odd(n[RSA_N]) || !BN_is_odd(n[RSA_E]) || BN_is_one(n[RSA_E]) ||
        BN_num_bits(n[RSA_E]) > 64 || BN_cmp(n[RSA_E], n[RSA_N]) >= 0)
        return false;
    return !n[RSA_D] || (!BN_is_zero(n[RSA_D]) && BN_cmp(n[RSA_D], n[RSA_N]) < 0);
}

static const char *const rsa_names[KEY_PARTS_MAX] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* n has its numbers; those that are missing are NULL. */
static bool rsa_assemble(BIGNUM *const n[KEY_PARTS_MAX], struct key *ret_key)
{
    enum { SCRATCH_BYTES = KEY_PARTS_MAX * RSA_MODULUS_BYTES_MAX };
    OSSL_PARAM params[KEY_PARTS_MAX + 1], *param = params;
    unsigned char *scratch = xcalloc(1, SCRATCH_BYTES), *at = scratch;
    for (size_t i = 0; i < KEY_PARTS_MAX; i++) {
        if (!n[i])
            continue;
        /* 0 would be a number of no bytes. */
        size_t bytes = BN_is_zero(n[i]) ? 1 : (size_t)BN_num_bytes(n[i]);
        (void)BN_bn2nativepad(n[i], at, (int)bytes);
        *param++ = OSSL_PARAM_construct_BN(rsa_names[i], at, bytes);
        at += bytes;
    }
    *param = OSSL_PARAM_construct_end();
    struct key key = {.kind = KEY_RSA, .secret = n[RSA_D]};
    bool ok =
        from_params("RSA", key.secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params, &key.pkey);
    OPENSSL_cleanse(scratch, SCRATCH_BYTES);
    free(scratch);
    if (ok)
        *ret_key = key;
    return ok;
}

/* n and e; then d or nothing; then all of the others or none. */
static bool rsa_key(const struct slice parts[KEY_PARTS_MAX], struct key *ret_key)
{
    size_t rest = 0;
    for (size_t i = 0; i < KEY_PARTS_MAX; i++) {
        if (parts[i].len > RSA_MODULUS_BYTES_MAX)
            return false;
        rest += i > RSA_D && parts[i].len > 0;
    }
    if (!parts[RSA_N].len || !parts[RSA_E].len || (rest != 0 && rest != 5) ||
        (rest && !parts[RSA_D].len))
        return false;
    BIGNUM *numbers[KEY_PARTS_MAX] = {NULL};
    bool ok = true;
    for (size_t i = 0; i < KEY_PARTS_MAX; i++)
        if (parts[i].len > 0)
            ok = (numbers[i] = number_of(parts[i])) && ok;
    BN_CTX *temporary = BN_CTX_new();
    if (temporary)
        BN_CTX_start(temporary);
    ok = ok && temporary && rsa_numbers_usable(numbers) &&
         (!rest || rsa_fits(numbers, temporary)) && rsa_assemble(numbers, ret_key);
    if (temporary)
        BN_CTX_end(temporary);
    BN_CTX_free(temporary);
    for (size_t i = 0; i < KEY_PARTS_MAX; i++)
        BN_clear_free(numbers[i]);
    return ok;
}

/* The public point of a private number: of d G. */
static bool ec_multiply(const EC_GROUP *group, const BIGNUM *d, EC_POINT *point)
{
    return !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0 &&
           EC_POINT_mul(group, point, d, NULL, NULL, NULL);
}

/* Decodes and checks; the point at infinity has a form of its own that is not among these. */
static bool ec_decode(const EC_GROUP *group, struct slice raw, EC_POINT *point)
{
    return raw.len > 0 && raw.ptr[0] >= 2 && raw.ptr[0] <= 4 &&
           EC_POINT_oct2point(group, point, (const unsigned char *)raw.ptr, raw.len, NULL);
}

static bool ec_assemble(enum key_kind kind, const EC_GROUP *group, const EC_POINT *point,
                        const BIGNUM *d, struct key *ret_key)
{
    unsigned char encoded[1 + 2 * EC_FIELD_BYTES_MAX], secret[EC_FIELD_BYTES_MAX];
    size_t len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded,
                                    sizeof(encoded), NULL);
    OSSL_PARAM params[4], *param = params;
    *param++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                (char *)kinds[kind].openssl_name, 0);
    *param++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, encoded, len);
    if (d) {
        (void)BN_bn2nativepad(d, secret, (int)kinds[kind].field_bytes);
        *param++ =
            OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, secret, kinds[kind].field_bytes);
    }
    *param = OSSL_PARAM_construct_end();
    struct key key = {.kind = kind, .secret = d};
    bool ok =
        len > 0 && from_params("EC", d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params, &key.pkey);
    OPENSSL_cleanse(secret, sizeof(secret));
    if (ok)
        *ret_key = key;
    return ok;
}

/* From a point, from a private number, or from both when they belong together. */
static bool ec_key(enum key_kind kind, struct slice raw, struct slice secret, struct key *ret_key)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(kinds[kind].nid);
    EC_POINT *given = group ? EC_POINT_new(group) : NULL;
    EC_POINT *made = group ? EC_POINT_new(group) : NULL;
    BIGNUM *d = secret.len > 0 && secret.len <= EC_FIELD_BYTES_MAX ? number_of(secret) : NULL;
    bool ok = given && made && (raw.len > 0 || d) && (secret.len == 0 || d);
    if (ok && raw.len > 0)
        ok = ec_decode(group, raw, given);
    if (ok && d)
        ok = ec_multiply(group, d, made) &&
             (raw.len == 0 || EC_POINT_cmp(group, given, made, NULL) == 0);
    ok = ok && ec_assemble(kind, group, d ? made : given, d, ret_key);
    BN_clear_free(d);
    EC_POINT_free(given);
    EC_POINT_free(made);
    EC_GROUP_free(group);
    return ok;
}

/* Leading zeros away, then room for `bytes`. False: it is longer. */
static bool pad_number(struct slice number, unsigned char *out, size_t bytes)
{
    while (number.len > 0 && number.ptr[0] == 0)
        number = (struct slice){number.ptr + 1, number.len - 1};
    if (number.len > bytes)
        return false;
    memset(out, 0, bytes - number.len);
    memcpy(out + bytes - number.len, number.ptr, number.len);
    return true;
}

static bool ec_key_of_coordinates(enum key_kind kind, const struct slice parts[3],
                                  struct key *ret_key)
{
    unsigned char point[1 + 2 * EC_FIELD_BYTES_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t bytes = kinds[kind].field_bytes;
    if (!parts[0].len || !parts[1].len || !pad_number(parts[0], point + 1, bytes) ||
        !pad_number(parts[1], point + 1 + bytes, bytes))
        return false;
    return ec_key(kind, (struct slice){(char *)point, 1 + 2 * bytes}, parts[2], ret_key);
}

/* Of the private half the public one follows; a JWK's x beside d is not compared, as in workerd. */
static bool okp_key(enum key_kind kind, struct slice raw, struct slice secret, struct key *ret_key)
{
    struct key key = {.kind = kind, .secret = secret.len > 0};
    struct slice from = key.secret ? secret : raw;
    if (from.len != OKP_BYTES)
        return false;
    const unsigned char *bytes = (const unsigned char *)from.ptr;
    const char *type = kinds[kind].openssl_name;
    key.pkey = key.secret ? EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, bytes, from.len)
                          : EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, bytes, from.len);
    if (key.pkey)
        *ret_key = key;
    return key.pkey;
}

/* ---- from outside ---- */

static const struct slice none = {"", 0};

bool key_from_parts(enum key_kind kind, const struct slice parts[KEY_PARTS_MAX],
                    struct key *ret_key)
{
    if (kind == KEY_RSA)
        return rsa_key(parts, ret_key);
    if (is_nist_curve(kind))
        return ec_key_of_coordinates(kind, parts, ret_key);
    return okp_key(kind, parts[0], parts[1], ret_key);
}

bool key_from_raw(enum key_kind kind, struct slice raw, struct key *ret_key)
{
    if (kind == KEY_RSA)
        return false;
    return is_nist_curve(kind) ? ec_key(kind, raw, none, ret_key)
                               : okp_key(kind, raw, none, ret_key);
}

static bool rsa_public_key(struct slice der, struct key *ret_key)
{
    struct slice parts[KEY_PARTS_MAX] = {{NULL, 0}}, in;
    return der_whole(der, DER_SEQUENCE, &in) && der_number(&in, &parts[RSA_N]) &&
           der_number(&in, &parts[RSA_E]) && in.len == 0 && rsa_key(parts, ret_key);
}

bool key_from_spki(struct slice der, struct key *ret_key)
{
    struct slice in, bits, raw;
    enum key_kind kind;
    if (!der_whole(der, DER_SEQUENCE, &in) || !der_algorithm(&in, &kind) ||
        !der_whole(in, DER_BIT_STRING, &bits) || !der_bits(bits, &raw))
        return false;
    return kind == KEY_RSA ? rsa_public_key(raw, ret_key) : key_from_raw(kind, raw, ret_key);
}

/* Of the sequence's contents. Version 0: two primes. */
static bool rsa_private_key(struct slice in, struct key *ret_key)
{
    struct slice parts[KEY_PARTS_MAX];
    unsigned version;
    if (!der_small_number(&in, 0, &version))
        return false;
    for (size_t i = 0; i < KEY_PARTS_MAX; i++)
        if (!der_number(&in, &parts[i]))
            return false;
    return in.len == 0 && rsa_key(parts, ret_key);
}

/* Of the sequence's contents. kind: KEY_KINDS when only its own parameters tell the curve. */
static bool ec_private_key(struct slice in, enum key_kind kind, struct key *ret_key)
{
    struct slice secret, parameters, tagged, bits, raw = none;
    unsigned version;
    if (!der_small_number(&in, 1, &version) || version != 1 ||
        !der_take(&in, DER_OCTET_STRING, &secret) || secret.len == 0)
        return false;
    if (der_is_next(in, DER_CONTEXT_0)) {
        enum key_kind own;
        if (!der_take(&in, DER_CONTEXT_0, &parameters) || !curve_of(parameters, &own) ||
            (kind != KEY_KINDS && kind != own))
            return false;
        kind = own;
    }
    if (der_is_next(in, DER_CONTEXT_1) &&
        (!der_take(&in, DER_CONTEXT_1, &tagged) || !der_whole(tagged, DER_BIT_STRING, &bits) ||
         !der_bits(bits, &raw)))
        return false;
    return in.len == 0 && kind != KEY_KINDS && ec_key(kind, raw, secret, ret_key);
}

/* Of the sequence's contents; its attributes and its copy of the public key say nothing new. */
static bool private_key_info(struct slice in, struct key *ret_key)
{
    struct slice wrapped, inner;
    unsigned version;
    enum key_kind kind;
    if (!der_small_number(&in, 1, &version) || !der_algorithm(&in, &kind) ||
        !der_take(&in, DER_OCTET_STRING, &wrapped))
        return false;
    while (in.len > 0) {
        unsigned char tag = (unsigned char)in.ptr[0];
        if ((tag != DER_CONTEXT_0 && tag != DER_CONTEXT_1 && tag != (DER_CONTEXT_1 & ~0x20)) ||
            !der_take(&in, tag, &inner))
            return false;
    }
    if (!is_nist_curve(kind) && kind != KEY_RSA)
        return der_whole(wrapped, DER_OCTET_STRING, &inner) && okp_key(kind, none, inner, ret_key);
    if (!der_whole(wrapped, DER_SEQUENCE, &inner))
        return false;
    return kind == KEY_RSA ? rsa_private_key(inner, ret_key) : ec_private_key(inner, kind, ret_key);
}

/* All three begin with a version; what follows tells them apart. */
bool key_from_private_der(struct slice der, struct key *ret_key)
{
    struct slice in, after;
    unsigned version;
    if (!der_whole(der, DER_SEQUENCE, &in))
        return false;
    after = in;
    if (!der_small_number(&after, 1, &version))
        return false;
    if (der_is_next(after, DER_INTEGER))
        return rsa_private_key(in, ret_key);
    if (der_is_next(after, DER_OCTET_STRING))
        return ec_private_key(in, KEY_KINDS, ret_key);
    return private_key_info(in, ret_key);
}

/* ---- to outside ---- */

size_t key_parts_count(const struct key *key)
{
    if (key->kind == KEY_RSA)
        return key->secret ? KEY_PARTS_MAX : RSA_E + 1;
    return (is_nist_curve(key->kind) ? 2 : 1) + (key->secret ? 1 : 0);
}

static bool okp_part(const struct key *key, size_t index, struct slice *ret_bytes)
{
    size_t len = OKP_BYTES;
    unsigned char *out = xcalloc(1, len);
    if (index == 0 ? EVP_PKEY_get_raw_public_key(key->pkey, out, &len)
                   : EVP_PKEY_get_raw_private_key(key->pkey, out, &len)) {
        *ret_bytes = (struct slice){(char *)out, len};
        return true;
    }
    free(out);
    return false;
}

bool key_part(const struct key *key, size_t index, struct slice *ret_bytes)
{
    static const char *const ec_names[] = {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y,
                                           OSSL_PKEY_PARAM_PRIV_KEY};
    if (index >= key_parts_count(key))
        return false;
    if (key->kind != KEY_RSA && !is_nist_curve(key->kind))
        return okp_part(key, index, ret_bytes);
    BIGNUM *number = NULL;
    const char *name = key->kind == KEY_RSA ? rsa_names[index] : ec_names[index];
    if (!EVP_PKEY_get_bn_param(key->pkey, name, &number))
        return false;
    size_t bytes = kinds[key->kind].field_bytes;
    if (bytes == 0)
        bytes = (size_t)BN_num_bytes(number);
    unsigned char *out = xcalloc(1, bytes + 1);
    bool ok = BN_bn2binpad(number, out, (int)bytes) >= 0;
    BN_clear_free(number);
    if (ok)
        *ret_bytes = (struct slice){(char *)out, bytes};
    else
        free(out);
    return ok;
}

bool key_public_half(const struct key *key, struct key *ret_key)
{
    struct slice parts[KEY_PARTS_MAX] = {{NULL, 0}};
    size_t count = is_nist_curve(key->kind) || key->kind == KEY_RSA ? 2 : 1;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = key_part(key, i, &parts[i]);
    ok = ok && key_from_parts(key->kind, parts, ret_key);
    for (size_t i = 0; i < count; i++)
        free((char *)parts[i].ptr);
    return ok;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Public-key algorithms' keys: OpenSSL's objects from DER and from numbers, and back. Bytes that
 * come in are a worker's and may be anything; every key that goes out was checked: its point is on
 * the curve, its private half belongs to its public one. */
#ifndef WEIR_BINDINGS_KEY_PARTS_H
#define WEIR_BINDINGS_KEY_PARTS_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "slice.h"

enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_X25519, KEY_KINDS };

struct key {
    EVP_PKEY *pkey;
    enum key_kind kind;
    bool secret; /* has a private half */
};

/* Big-endian numbers in the order of their JWK members; a missing one has length 0.
 * RSA: n e d p q dp dq qi. Curves of NIST: x y d. Ed25519, X25519: x d. */
enum { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QI, KEY_PARTS_MAX };
enum { RSA_MODULUS_BYTES_MAX = 2048, EC_FIELD_BYTES_MAX = 66, OKP_BYTES = 32 };

/* Bytes of a coordinate; 0 for RSA. */
size_t key_field_bytes(enum key_kind kind);
/* Names as the standard has them: "RSA", "P-256", "Ed25519". */
const char *key_kind_name(enum key_kind kind);
bool key_kind_named(const char *name, enum key_kind *ret_kind);

/* All of these: false when the bytes are no such key, *ret_key untouched. OpenSSL's error queue may
 * then hold something. */
bool key_from_spki(struct slice der, struct key *ret_key);
/* PrivateKeyInfo; RSAPrivateKey and ECPrivateKey are taken as well, since workerd does. */
bool key_from_private_der(struct slice der, struct key *ret_key);
bool key_from_parts(enum key_kind kind, const struct slice parts[KEY_PARTS_MAX],
                    struct key *ret_key);
/* A public key: SEC 1's point, or 32 bytes. */
bool key_from_raw(enum key_kind kind, struct slice raw, struct key *ret_key);
/* The public half alone. */
bool key_public_half(const struct key *key, struct key *ret_key);

/* One number of it as key_from_parts takes it, padded to the field's size where the curve has one.
 * malloc'ed; false: it has none. */
bool key_part(const struct key *key, size_t index, struct slice *ret_bytes);
size_t key_parts_count(const struct key *key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of cryptography share. */
#ifndef WEIR_BINDINGS_CRYPTO_H
#define WEIR_BINDINGS_CRYPTO_H

#include <openssl/evp.h>

#include "bindings.h"

/* Bytes of a buffer argument; false when it is none. */
bool crypto_bytes(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                  struct slice *ret_bytes);
/* The hash with the standard's name ("SHA-256"); NULL when unknown. */
const EVP_MD *crypto_hash_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[],
                                   size_t index);
/* null, with OpenSSL's error queue emptied: the library throws an OperationError for it. */
JSValueRef crypto_failed(JSContextRef ctx);

/* Public-key algorithms: bindings_keys.c. */
void crypto_keys_define(JSContextRef ctx, JSObjectRef crypto);

#endif

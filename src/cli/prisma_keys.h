/* SPDX-License-Identifier: Apache-2.0 */
/* The api keys of Prisma's clients. A key is a JSON Web Token (RFC 7519, HS256) that names its
 * entry in prisma/keys.json of a state directory; the entry says what it is good for, and without
 * it the key is good for nothing. Keys themselves are kept nowhere. The file, only for its owner:
 *   {"secret": base64url, "keys": {ID: {"database", "read_only", "created", "expires"}}}
 * and, where they are not [prisma]'s, "requests_max" and "transactions_max";
 * times in seconds since 1970, expires 0: never. */
#ifndef WEIR_PRISMA_KEYS_H
#define WEIR_PRISMA_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The file's content; an empty object when there is none. NULL with err: it cannot be used. */
json_t *prisma_keys_read(const char *state_dir, struct error *err);

/* The keys alone: a new reference, NULL where they are not known. */
json_t *prisma_keys_listed(const char *state_dir);

struct prisma_key {
    const char *database;
    bool read_only;
    int64_t expires;
    int requests_max, transactions_max; /* a second; at once. 0: as [prisma] says */
};

/* Makes the file when it is the first one. The new key, malloc'ed, and its id; NULL with err. */
char *prisma_keys_create(const char *state_dir, const struct prisma_key *key, char ret_id[17],
                         struct error *err);
/* -ENOENT with err: there is no such key, or it is not of that database (NULL: of any). */
int prisma_keys_revoke(const char *state_dir, const char *id, const char *database,
                       struct error *err) WARN_UNUSED;

/* Was the key made here? It may have been revoked since. file: from prisma_keys_read. */
bool prisma_keys_signed(const json_t *file, const char *key, size_t key_len);

/* The directory of the file, made if it is not there: a descriptor, or negative with err. */
int prisma_keys_dir(const char *state_dir, struct error *err);
/* The path of the file, malloc'ed. */
char *prisma_keys_path(const char *state_dir);

#endif

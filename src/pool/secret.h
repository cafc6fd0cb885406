/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a password, and the proofs that are made and checked with it: clear, md5, and the
 * keys of SCRAM-SHA-256 (RFC 5802, RFC 7677). */
#ifndef WEIR_POOL_SECRET_H
#define WEIR_POOL_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

enum {
    SCRAM_KEY_BYTES = 32,
    SCRAM_SALT_BYTES = 16, /* of what we derive ourselves, as in Postgres */
    SCRAM_SALT_BYTES_MAX = 64,
    SCRAM_ITERATIONS = 4096,            /* of what we derive ourselves; about a millisecond */
    SCRAM_ITERATIONS_MAX = 1000 * 1000, /* accepted from others; a quarter of a second */
    MD5_TEXT_BYTES = 36,                /* "md5", 32 digits, NUL */
};

enum secret_form { SECRET_NONE, SECRET_PASSWORD, SECRET_MD5, SECRET_SCRAM };

/* With stored_key and server_key a login can be checked; with client_key too, one can be made. */
struct scram_keys {
    int iterations;
    size_t salt_len;
    uint8_t salt[SCRAM_SALT_BYTES_MAX];
    uint8_t stored_key[SCRAM_KEY_BYTES], server_key[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];
    bool has_client_key;
};

/* text: a password, "md5" and 32 hexadecimal digits, or
 * "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey" (then *ret_keys is filled). NULL: none. */
enum secret_form secret_form(const char *text, struct scram_keys *ret_keys);

/* All three keys from the password (prepared by SASLprep), for this salt, which may be *ret_keys'
 * own. */
void scram_derive(const char *password, const uint8_t *salt, size_t salt_len, int iterations,
                  struct scram_keys *ret_keys);
/* What salts are made of that belong to a name: of clear passwords, and of users that there are
 * not. Whoever asks for a name before and after a restart is to see the same salt, as for a
 * verifier. Without it they are random for the process. The secret must be none that could be
 * guessed, since salts are told to everybody: no password, nor what is derived from one. */
void scram_salts_from(struct slice secret);
void scram_salt_of(const char *name, uint8_t ret[SCRAM_SALT_BYTES_MAX]);
/* Keys that no password has, with the salt of the name: what an unknown user is asked with. like:
 * whose number of iterations and length of the salt they have; NULL: ours. */
void scram_mock(const char *name, const struct scram_keys *like, struct scram_keys *ret_keys);
void hmac_sha256(const uint8_t *key, size_t key_len, struct slice text,
                 uint8_t ret[SCRAM_KEY_BYTES]);
void sha256(const uint8_t *bytes, size_t len, uint8_t ret[SCRAM_KEY_BYTES]);

/* "md5" + md5(password + user), what Postgres keeps. */
void md5_stored(const char *password, const char *user, char ret_text[MD5_TEXT_BYTES]);
/* "md5" + md5(stored without its "md5" + salt), what goes over the wire. */
void md5_answer(const char *stored, const uint8_t salt[4], char ret_text[MD5_TEXT_BYTES]);
/* Is this the password of the secret, which is one or its md5? In constant time for a given secret.
 * A verifier takes scram_derive. */
bool secret_check_password(const char *secret, const char *user, const char *password);
bool secret_check_md5(const char *secret, const char *user, const uint8_t salt[4],
                      const char *answer);
/* In constant time. */
bool secret_equal(const void *a, const void *b, size_t len);
void secret_wipe(void *bytes, size_t len);

/* A copy that several may own: hold gives the same one, and the last release wipes it and nulls
 * *text. NULL is none. */
char *secret_text_new(const char *text);
char *secret_text_hold(char *text);
void secret_text_release(char **text);

#endif

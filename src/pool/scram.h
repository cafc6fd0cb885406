/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM-SHA-256 and -PLUS, both sides, a message at a time (RFC 5802, RFC 7677; channel binding
 * tls-server-end-point, RFC 5929). Messages are without Postgres's framing. */
#ifndef WEIR_POOL_SCRAM_H
#define WEIR_POOL_SCRAM_H

#include "buffer.h"
#include "secret.h"

enum { SCRAM_NONCE_TEXT_BYTES_MAX = 256, SCRAM_MESSAGE_BYTES_MAX = 1024 };

#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/* One exchange; scram_done wipes it. */
struct scram {
    struct scram_keys keys;
    bool known;           /* server: the keys are somebody's, not a mock's */
    bool plus;            /* the mechanism is the one with channel binding */
    bool could_plus;      /* we offered it (server), or could have (client) */
    struct slice binding; /* certificate hash; borrowed */
    char nonce[SCRAM_NONCE_TEXT_BYTES_MAX + 1];
    struct buffer gs2;  /* the client's header */
    struct buffer auth; /* AuthMessage, as far as it is known */
};

void scram_done(struct scram *scram);

/* Server. Each appends the answer; false: refuse the login. keys, binding and the flags are set. */
bool scram_server_first(struct scram *scram, struct slice client_first, struct buffer *answer);
/* On success keys.client_key is there: the keys can log in elsewhere. */
bool scram_server_final(struct scram *scram, struct slice client_final, struct buffer *answer);

/* Client. The password may be NULL when keys has the client's key. */
void scram_client_first(struct scram *scram, struct buffer *message);
/* Are keys to be derived from the password for what the server wants? Then *ret_keys has the salt
 * and the iterations, and what comes of them, put into scram->keys, spares scram_client_final the
 * time. */
bool scram_client_wants(const struct scram *scram, struct slice server_first,
                        struct scram_keys *ret_keys);
bool scram_client_final(struct scram *scram, const char *password, struct slice server_first,
                        struct buffer *message);
/* Does the server know the password too? */
bool scram_client_verify(const struct scram *scram, struct slice server_final);

#endif

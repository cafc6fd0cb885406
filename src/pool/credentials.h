/* SPDX-License-Identifier: Apache-2.0 */
/* Who the pool is to a database: a user's name, and a password, or the keys that a login of that
 * user gave away (pass-through). Wiped when it is freed. */
#ifndef WEIR_POOL_CREDENTIALS_H
#define WEIR_POOL_CREDENTIALS_H

#include "pool_plan.h"
#include "secret.h"

struct credentials {
    char *user;
    char *password; /* NULL: none, or only keys */
    struct scram_keys keys;
    bool learned; /* the password is of a client's login, and not of the plan */
    bool told;    /* the process that takes over knows what clients have proved */
};

/* From the database's own, else the configured user's secret. */
struct credentials *credentials_new(const struct pool_config *config,
                                    const struct database_config *database, const char *user);
/* Would those of the plan be the same, besides what clients have proved? */
bool credentials_stand(const struct credentials *credentials, const struct pool_config *config,
                       const struct database_config *database);
void credentials_free(struct credentials **credentials);
/* A client has logged in: what it proved is of use, if nothing better is known. */
void credentials_learn(struct credentials *credentials, const struct scram_keys *keys);
void credentials_learn_password(struct credentials *credentials, const char *password);

#endif

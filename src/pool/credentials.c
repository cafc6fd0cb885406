/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include <stdlib.h>
#include <sys/mman.h>

/* NULL: the plan has none. */
static const char *secret_of(const struct pool_config *config,
                             const struct database_config *database, const char *user)
{
    const struct user_config *known = config_user(config, user);
    bool of_database = !database->user || strcmp(database->user, user) == 0;
    if (database->password && of_database)
        return database->password;
    return known ? known->secret : NULL;
}

struct credentials *credentials_new(const struct pool_config *config,
                                    const struct database_config *database, const char *user)
{
    struct credentials *made = xcalloc(1, sizeof(*made));
    const char *secret = secret_of(config, database, user);
    made->user = xstrdup(user);
    /* md5's form is as good as a password where md5 is asked */
    if (secret_form(secret, &made->keys) != SECRET_SCRAM)
        made->password = secret == database->password ? secret_text_hold(database->password)
                                                      : secret_text_new(secret);
    (void)mlock(&made->keys, sizeof(made->keys)); /* may not be allowed: then it may be swapped */
    return made;
}

bool credentials_stand(const struct credentials *credentials, const struct pool_config *config,
                       const struct database_config *database)
{
    const char *secret = secret_of(config, database, credentials->user);
    struct scram_keys keys;
    if (!secret)
        return true;
    if (secret_form(secret, &keys) == SECRET_SCRAM)
        return !credentials->password &&
               memcmp(keys.stored_key, credentials->keys.stored_key, sizeof(keys.stored_key)) == 0;
    return credentials->password && strcmp(credentials->password, secret) == 0;
}

void credentials_free(struct credentials **credentials)
{
    struct credentials *c = TAKE(*credentials);
    if (!c)
        return;
    secret_text_release(&c->password);
    secret_wipe(&c->keys, sizeof(c->keys));
    free(c->user);
    free(c);
}

void credentials_learn(struct credentials *credentials, const struct scram_keys *keys)
{
    if (credentials->password || !keys->has_client_key)
        return;
    credentials->keys = *keys;
    credentials->told = false;
}

void credentials_learn_password(struct credentials *credentials, const char *password)
{
    if (credentials->keys.has_client_key || (credentials->password && !credentials->learned))
        return;
    if (credentials->password && strcmp(credentials->password, password) == 0)
        return;
    char *learned = secret_text_new(password); /* it has been changed since */
    secret_text_release(&credentials->password);
    credentials->password = learned;
    credentials->learned = true;
    credentials->told = false;
}

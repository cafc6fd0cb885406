/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include <stdlib.h>
#include <sys/mman.h>

struct credentials *credentials_new(const struct pool_config *config,
                                    const struct database_config *database, const char *user)
{
    struct credentials *made = xcalloc(1, sizeof(*made));
    const struct user_config *known = config_user(config, user);
    bool of_database = !database->user || strcmp(database->user, user) == 0;
    const char *secret = database->password && of_database ? database->password
                         : known                           ? known->secret
                                                           : NULL;
    made->user = xstrdup(user);
    if (secret_form(secret, &made->keys) != SECRET_SCRAM && secret)
        made->password =
            xstrdup(secret); /* md5's form is as good as a password where md5 is asked */
    (void)mlock(&made->keys, sizeof(made->keys)); /* may not be allowed: then it may be swapped */
    return made;
}

void credentials_free(struct credentials **credentials)
{
    struct credentials *c = TAKE(*credentials);
    if (!c)
        return;
    if (c->password)
        secret_wipe(c->password, strlen(c->password));
    secret_wipe(&c->keys, sizeof(c->keys));
    free(c->password);
    free(c->user);
    free(c);
}

void credentials_learn(struct credentials *credentials, const struct scram_keys *keys)
{
    if (!credentials->password && keys->has_client_key)
        credentials->keys = *keys;
}

void credentials_learn_password(struct credentials *credentials, const char *password)
{
    if (credentials->password || credentials->keys.has_client_key)
        return;
    credentials->password = xstrdup(password);
}

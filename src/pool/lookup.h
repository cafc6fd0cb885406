/* SPDX-License-Identifier: Apache-2.0 */
/* auth_query: who an unknown user is, asked of the database. Each question is a client of our own
 * in the pool of auth_user, so that it queues, fails and is limited as others are; the parameters
 * of whoever logs in have no part in it, and its search_path is pg_catalog (CVE-2025-12819).
 * Answers, also that there is no such user, are kept for a short while, and a user that many ask
 * for at once is looked up once. */
#ifndef WEIR_POOL_LOOKUP_H
#define WEIR_POOL_LOOKUP_H

#include "pool.h"

enum lookup_result {
    LOOKUP_DISABLED,  /* there is no auth_user */
    LOOKUP_UNKNOWN,   /* no such user */
    LOOKUP_NO_SECRET, /* a user without a password, or with one that has expired */
    LOOKUP_FOUND,     /* *ret_secret is borrowed until the loop's next turn */
    LOOKUP_PENDING,   /* login_looked_up follows */
};

enum lookup_result lookup_user(const char *database, const char *user, const char **ret_secret);
/* Is it who is to look up others there? */
bool lookup_is_auth_user(const char *database, const char *user);
/* What is known of it did not let it in: the next login asks again. */
void lookup_forget(const char *database, const char *user);
/* A new plan may ask otherwise. */
void lookup_forget_all(void);
/* Once a turn: tells the logins that wait for what has come. */
void lookup_settle(void);

#endif

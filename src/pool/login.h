/* SPDX-License-Identifier: Apache-2.0 */
/* Logins that do not begin with a startup packet, and what they wait for. */
#ifndef WEIR_POOL_LOGIN_H
#define WEIR_POOL_LOGIN_H

#include "pool.h"

/* A client of our own logs in without being asked who it is; search_path is pg_catalog. */
void login_enter(struct client *client, const char *database, const char *user,
                 const char *search_path);
/* For all logins that wait for this user: its secret (borrowed; NULL: there is no such user), or why it
 * can not be found out. */
void login_looked_up(const char *database, const char *user, const char *secret,
                     const char *problem);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Logins that do not begin with a startup packet, and what they wait for. */
#ifndef WEIR_POOL_LOGIN_H
#define WEIR_POOL_LOGIN_H

#include "pool.h"

/* A client of our own logs in without being asked who it is, with that search_path (NULL: the
 * server's). */
void login_enter(struct client *client, const char *database, const char *user,
                 const char *search_path);
/* For all logins that wait for this user: whether it exists, its secret (borrowed; NULL: none that
 * holds), or why that can not be found out. */
void login_looked_up(const char *database, const char *user, bool exists, const char *secret,
                     const char *problem);

#endif

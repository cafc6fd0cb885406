/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of "name" "secret", as PgBouncer's auth_file has them: "" within is a quote, ; and # begin
 * comments, and what follows the secret does not count. */
#ifndef WEIR_USERS_FILE_H
#define WEIR_USERS_FILE_H

#include "common.h"

struct users_file {
    char *left; /* of its text, which is changed */
    int line;   /* the last one read, from 1 */
};

/* The next user; both texts are malloc'ed. 1; 0: there is none; -EINVAL: the line is of another
 * form. */
int users_file_next(struct users_file *file, char **ret_name, char **ret_secret) WARN_UNUSED;

#endif

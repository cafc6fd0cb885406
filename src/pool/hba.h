/* SPDX-License-Identifier: Apache-2.0 */
/* Rules in the manner of pg_hba.conf: the first that fits says how a client has to prove who it is.
 */
#ifndef WEIR_POOL_HBA_H
#define WEIR_POOL_HBA_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <jansson.h>

#include "error.h"

struct hba;
struct hba_rule;

/* Where a client comes from. */
struct hba_peer {
    const struct sockaddr *address; /* NULL: a unix socket */
    bool tls;
    bool replicates; /* the whole server: only rules for "replication" fit */
};

/* Of the plan. 0, or -EINVAL with the reason in err. */
int hba_read(const json_t *json, struct hba **ret_hba, struct error *err);
void hba_free(struct hba **hba);

/* NULL: none fits, and nobody is let in. */
const struct hba_rule *hba_match(const struct hba *hba, const struct hba_peer *peer,
                                 const char *database, const char *user);
/* Its enum auth_method. */
int hba_method(const struct hba_rule *rule);
int hba_line(const struct hba_rule *rule);
/* May whom the system or a certificate calls `name` be that user: by the rule's map, or without one
 * if both are the same? */
bool hba_allows(const struct hba_rule *rule, const char *name, const char *user);
/* The name of a user of the system; NULL: there is none. */
const char *hba_system_user(const struct hba *hba, uid_t uid);

#endif

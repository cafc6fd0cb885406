/* SPDX-License-Identifier: Apache-2.0 */
/* The Prisma endpoint: who may use it. An api key is a JSON Web Token (RFC 7519) signed with
 * HMAC-SHA256 by `weir prisma key create`; what it is good for says the plan's list of keys, so
 * that one that was taken off the list is good for nothing. */
#ifndef WEIR_PRISMA_H
#define WEIR_PRISMA_H

#include "counters.h"
#include "error_page.h"
#include "gateway.h"

enum prisma_refusal {
    PRISMA_ADMITTED,
    PRISMA_NO_KEY,
    PRISMA_BAD_KEY, /* not ours, or altered */
    PRISMA_REVOKED,
    PRISMA_EXPIRED,
    PRISMA_NO_DATABASE, /* the plan has none of that name any more */
    PRISMA_READ_ONLY,   /* it may not invalidate */
    PRISMA_TOO_LARGE,   /* the request's body */
    PRISMA_TOO_MANY,    /* requests of one instance at once */
    PRISMA_THROTTLED,   /* more of one key in a second than it may */
};

/* Borrowed from the plan, until the next one. */
struct prisma_claim {
    const char *key_id;
    bool read_only;
    uint32_t transactions_max;     /* 0: the endpoint's default */
    struct worker_counters *count; /* where its requests are counted; outlives the plan */
    bool invalidates; /* the database's results, of all gateways: each has an instance with some */
    uint64_t invalidations; /* that there were, with this one */
    bool begins;            /* a transaction, perhaps */
    struct deployment *deployment; /* what answers for the key's database */
};

/* Takes over the plan's part; to be called when its deployments are known. */
void prisma_take_plan(const json_t *plan);
/* By the request's Authorization field, and the declared length of its body (negative: none is). */
enum prisma_refusal prisma_admit(const struct http1_request *parsed, int64_t body_bytes,
                                 struct prisma_claim *ret_claim);
int prisma_refusal_status(enum prisma_refusal refusal);
/* What an instance says of a key's open transactions: path is /KEY/COUNT. Sets *ret_all to how many
 * all gateways' instances have then, of which each counts what it is about to open before it
 * asks. -EINVAL: it is no such path, or another database's key. -ENOENT: the key is not listed. */
int prisma_note_open(struct instance *instance, struct slice path, uint64_t *ret_all);
/* An instance that has begun transactions has ended: the endpoints end what it has left open. */
void prisma_forget_caller(uint32_t id);
/* The instance is gone, and with it its transactions. */
void prisma_close_all(struct instance *instance);
/* One after the other those keys that are counted, from *place = 0 on: the id, the database, and
 * the number for counting_worker_sum; false: there are no more. */
bool prisma_next_key(size_t *place, const char **ret_id, const char **ret_database,
                     uint32_t *ret_number);
/* JSON that each version of Prisma's client reads as an error with a code. Static. */
struct slice prisma_refusal(enum prisma_refusal refusal);
/* The same for an endpoint that could not answer. */
struct slice prisma_failure(enum failure failure);

#endif

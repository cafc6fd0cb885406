/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a database by the name that clients call it, whatever plan is in force: whether
 * an administrator has paused or disabled it, and what has been counted. */
#ifndef WEIR_POOL_RECORD_H
#define WEIR_POOL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

/* By the binary logarithm of microseconds; the last has all above 134 s. */
enum { HISTOGRAM_BUCKETS = 29 };

/* Nothing but uint64_t: they are added up as such. */
struct pool_counters {
    uint64_t logins, assignments; /* of clients; of servers to them */
    uint64_t transactions, queries, received_bytes, sent_bytes;
    uint64_t transaction_us, query_us, wait_us;
    uint64_t waits, pins, replays, statements_parsed, statements_shared, cancels;
    uint64_t client_parses, server_parses, binds;     /* of named statements */
    uint64_t cache_hits, cache_stale, cache_misses;   /* stale ones are hits, too */
    uint64_t failed_connects;
    uint64_t wait_histogram[HISTOGRAM_BUCKETS], query_histogram[HISTOGRAM_BUCKETS];
};

/* Of one user of the database; pools of an older plan count with those that took their place. Where
 * a database has a user of its own, its pool counts there, and clients' sessions under their names.
 */
struct tally {
    struct tally *next;
    char *user;
    uint32_t pools;   /* that count here */
    uint32_t clients; /* that logged in as this user, now */
    struct pool_counters counters;
};

struct record {
    struct record *next;
    char *database;
    bool paused, disabled;
    struct tally *tallies;
    /* For averages: all there was when the period began, and what the last whole one has brought.
     */
    struct pool_counters before, period;
    uint64_t begun_us, period_us; /* period_us 0: no period is over yet */
};

/* It is made when there is none. */
struct record *record_of(const char *database);
struct tally *record_tally(struct record *record, const char *user);
/* Clients of that user, on all databases. */
uint32_t record_clients_of_user(const char *user);
/* The first of all, by `next`; NULL: none. */
struct record *record_first(void);
/* What all its users have together. */
void record_sum(const struct record *record, struct pool_counters *ret_sum);
/* What has come in how many microseconds: the last period, or all of the first. */
void record_average(const struct record *record, struct pool_counters *ret_counters,
                    uint64_t *ret_us);
/* From time to time: ends periods. */
void record_tick(void);
/* Nothing counts in it any more, and its name was anybody's choice. */
void record_drop(struct record *record);
/* With a new plan: those that nothing counts in, and nobody has paused or disabled. */
void record_forget(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways count, in memory that all of them see: a region each, which that gateway alone
 * writes, so that any of them can tell the sum. One sealed memfd, made by the supervisor; it
 * outlives a gateway's restart, and so do the counts. Single words, read without locks: a reader
 * may see one request in one sum and not yet in another. */
#ifndef WEIR_COUNTERS_H
#define WEIR_COUNTERS_H

#include <stdint.h>

enum {
    LATENCY_BUCKETS = 12,
    COUNTED_WORKERS_MAX = 16384, /* names of workers, over the supervisor's life */
};

struct histogram {
    uint64_t buckets[LATENCY_BUCKETS], sum_us;
};

/* Over all versions of a worker. */
struct worker_counters {
    uint64_t in_flight, instances, queued; /* now */
    uint64_t requests[6];                  /* by status class */
    uint64_t spawned, killed, shed, retried, exceptions, cpu_us, log_dropped_bytes;
    uint64_t invalidations;          /* of a Prisma endpoint's cache, asked of this gateway */
    uint64_t admitted;               /* of a Prisma key: requests that its limit let through */
    uint64_t transactions;           /* of a Prisma key: interactive ones, now */
    struct histogram latency, start; /* of requests; of instances, from asking to having */
};

struct gateway_counters {
    uint64_t connections; /* now */
    uint64_t accepted, refused, bytes_in, bytes_out, bad_requests;
};

struct counters_region {
    struct gateway_counters gateway;
    struct worker_counters workers[COUNTED_WORKERS_MAX];
} __attribute__((aligned(4096))); /* a mapping of its own */

#endif

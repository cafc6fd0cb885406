/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include <inttypes.h>
#include <stddef.h>

#include "access_log.h"
#include "counting.h"
#include "gateway.h"
#include "prisma.h"

#define WORKER(member)  offsetof(struct worker_counters, member)
#define GATEWAY(member) offsetof(struct gateway_counters, member)

struct metric {
    const char *name, *type, *help;
    size_t offset;
};

static const struct metric worker_metrics[] = {
    {"weir_instances", "gauge", "Instances of a worker", WORKER(instances)},
    {"weir_requests_in_flight", "gauge", "Requests with an instance", WORKER(in_flight)},
    {"weir_requests_queued", "gauge", "Requests that wait for an instance", WORKER(queued)},
    {"weir_instances_started_total", "counter", "Instances started", WORKER(spawned)},
    {"weir_instances_killed_total", "counter", "Instances ended by force", WORKER(killed)},
    {"weir_requests_shed_total", "counter", "Requests refused because the worker was busy",
     WORKER(shed)},
    {"weir_requests_retried_total", "counter", "Requests begun anew after an instance ended",
     WORKER(retried)},
    {"weir_exceptions_total", "counter", "Requests that ended in an exception", WORKER(exceptions)},
    {"weir_cpu_microseconds_total", "counter", "CPU time of requests", WORKER(cpu_us)},
    {"weir_log_dropped_bytes_total", "counter", "Console output beyond the limit",
     WORKER(log_dropped_bytes)},
};

static const struct metric gateway_metrics[] = {
    {"weir_connections", "gauge", "Open connections", GATEWAY(connections)},
    {"weir_connections_accepted_total", "counter", "Connections accepted", GATEWAY(accepted)},
    {"weir_connections_refused_total", "counter", "Connections beyond connections_max",
     GATEWAY(refused)},
    {"weir_bad_requests_total", "counter", "Requests that are not HTTP", GATEWAY(bad_requests)},
    {"weir_received_bytes_total", "counter", "Bytes from clients", GATEWAY(bytes_in)},
    {"weir_sent_bytes_total", "counter", "Bytes to clients", GATEWAY(bytes_out)},
};

static void append_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_label(struct buffer *out, const struct worker *worker)
{
    buffer_append_text(out, "{worker=");
    buffer_append_json(out, slice_of(worker->name));
}

static void append_requests(struct buffer *out)
{
    append_head(out, "weir_requests_total", "counter", "Answers by status class");
    for (const struct worker *w = gateway.workers; w; w = w->next) {
        for (size_t class = 1; class < 6; class ++) {
            buffer_append_text(out, "weir_requests_total");
            append_label(out, w);
            buffer_printf(
                out, ",status=\"%zuxx\"} %" PRIu64 "\n", class,
                counting_worker_sum(w->number, WORKER(requests[0]) + class * sizeof(uint64_t)));
        }
    }
}

static void append_histogram(struct buffer *out, const char *name, const struct worker *worker,
                             size_t offset)
{
    uint64_t count = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        count += counting_worker_sum(worker->number, offset + (size_t)i * sizeof(uint64_t));
        buffer_printf(out, "%s_bucket", name);
        append_label(out, worker);
        if (i < LATENCY_BUCKETS - 1)
            buffer_printf(out, ",le=\"%g\"} %" PRIu64 "\n", (double)access_log_bound_us(i) / 1e6,
                          count);
        else
            buffer_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", count);
    }
    uint64_t sum_us =
        counting_worker_sum(worker->number, offset + offsetof(struct histogram, sum_us));
    buffer_printf(out, "%s_sum", name);
    append_label(out, worker);
    buffer_printf(out, "} %.6f\n%s_count", (double)sum_us / 1e6, name);
    append_label(out, worker);
    buffer_printf(out, "} %" PRIu64 "\n", count);
}

static void append_histograms(struct buffer *out, const char *name, const char *help, size_t offset)
{
    append_head(out, name, "histogram", help);
    for (const struct worker *w = gateway.workers; w; w = w->next)
        append_histogram(out, name, w, offset);
}

static void build_metrics(struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_LEN(gateway_metrics); i++) {
        const struct metric *metric = &gateway_metrics[i];
        append_head(out, metric->name, metric->type, metric->help);
        buffer_printf(out, "%s %" PRIu64 "\n", metric->name, counting_gateway_sum(metric->offset));
    }
    append_requests(out);
    append_histograms(out, "weir_request_seconds", "Time from head to the last byte",
                      WORKER(latency));
    append_histograms(out, "weir_instance_start_seconds",
                      "Time from asking for an instance to having it", WORKER(start));
    for (size_t i = 0; i < ARRAY_LEN(worker_metrics); i++) {
        const struct metric *metric = &worker_metrics[i];
        append_head(out, metric->name, metric->type, metric->help);
        for (const struct worker *w = gateway.workers; w; w = w->next) {
            buffer_append_text(out, metric->name);
            append_label(out, w);
            buffer_printf(out, "} %" PRIu64 "\n", counting_worker_sum(w->number, metric->offset));
        }
    }
}

static void append_key_label(struct buffer *out, const char *id, const char *database)
{
    buffer_append_text(out, "{key=");
    buffer_append_json(out, slice_of(id));
    buffer_append_text(out, ",database=");
    buffer_append_json(out, slice_of(database));
}

/* Of the Prisma endpoint, by api key. */
static void build_key_metrics(struct buffer *out)
{
    static const struct metric sums[] = {
        {"weir_prisma_throttled_total", "counter", "Requests beyond a key's limit", WORKER(shed)},
        {"weir_prisma_microseconds_total", "counter", "Time of a key's requests",
         WORKER(latency) + offsetof(struct histogram, sum_us)},
    };
    const char *id, *database;
    uint32_t number;
    size_t first = 0;
    if (!prisma_next_key(&first, &id, &database, &number))
        return;
    append_head(out, "weir_prisma_requests_total", "counter", "Answers to a key by status class");
    for (size_t k = 0; prisma_next_key(&k, &id, &database, &number);)
        for (size_t class = 1; class < 6; class ++) {
            buffer_append_text(out, "weir_prisma_requests_total");
            append_key_label(out, id, database);
            buffer_printf(
                out, ",status=\"%zuxx\"} %" PRIu64 "\n", class,
                counting_worker_sum(number, WORKER(requests[0]) + class * sizeof(uint64_t)));
        }
    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        append_head(out, sums[i].name, sums[i].type, sums[i].help);
        for (size_t k = 0; prisma_next_key(&k, &id, &database, &number);) {
            buffer_append_text(out, sums[i].name);
            append_key_label(out, id, database);
            buffer_printf(out, "} %" PRIu64 "\n", counting_worker_sum(number, sums[i].offset));
        }
    }
}

int admin_answer(struct slice method, struct slice path, struct buffer *ret_headers,
                 struct buffer *ret_body)
{
    buffer_append_text(ret_headers, "content-type: text/plain; charset=utf-8\n");
    if (!slice_equal(method, SLICE("GET")) && !slice_equal(method, SLICE("HEAD"))) {
        buffer_append_text(ret_headers, "allow: GET, HEAD\n");
        buffer_append_text(ret_body, "Only GET is served here.\n");
        return 405;
    }
    if (slice_equal(path, SLICE("/metrics"))) {
        build_metrics(ret_body);
        build_key_metrics(ret_body);
        return 200;
    }
    if (slice_equal(path, SLICE("/healthz"))) {
        buffer_append_text(ret_body, "ok\n");
        return 200;
    }
    if (slice_equal(path, SLICE("/readyz"))) {
        bool ready = gateway.routes && !gateway.draining;
        buffer_append_text(ret_body, ready              ? "ready\n"
                                     : gateway.draining ? "draining\n"
                                                        : "not ready\n");
        return ready ? 200 : 503;
    }
    buffer_append_text(ret_body, "Here are /healthz, /readyz and /metrics.\n");
    return 404;
}

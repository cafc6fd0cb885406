/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include "access_log.h"
#include "gateway.h"

typedef uint64_t metric_fn(const struct worker *worker);

/* Several versions of a worker may live at a time. */
static uint64_t in_flight(const struct worker *worker)
{
    uint64_t sum = 0;
    for (const struct deployment *d = gateway.deployments; d; d = d->next)
        for (const struct instance *i = d->instances; d->worker == worker && i; i = i->next)
            sum += i->in_flight;
    return sum;
}

static uint64_t instances(const struct worker *worker)
{
    uint64_t sum = 0;
    for (const struct deployment *d = gateway.deployments; d; d = d->next)
        sum += d->worker == worker ? d->instances_count : 0;
    return sum;
}

static uint64_t queued(const struct worker *worker)
{
    uint64_t sum = 0;
    for (const struct deployment *d = gateway.deployments; d; d = d->next)
        sum += d->worker == worker ? d->queue_length : 0;
    return sum;
}

#define FIELD(name)                                                                                \
    static uint64_t name(const struct worker *worker)                                              \
    {                                                                                              \
        return worker->name;                                                                       \
    }
FIELD(spawned)
FIELD(killed)
FIELD(shed)
FIELD(retried)
FIELD(exceptions)
FIELD(cpu_us)
FIELD(log_dropped_bytes)

static const struct {
    const char *name, *type, *help;
    metric_fn *value;
} metrics[] = {
    {"weir_instances", "gauge", "Instances of a worker", instances},
    {"weir_requests_in_flight", "gauge", "Requests with an instance", in_flight},
    {"weir_requests_queued", "gauge", "Requests that wait for an instance", queued},
    {"weir_instances_started_total", "counter", "Instances started", spawned},
    {"weir_instances_killed_total", "counter", "Instances ended by force", killed},
    {"weir_requests_shed_total", "counter", "Requests refused because the worker was busy", shed},
    {"weir_requests_retried_total", "counter", "Requests begun anew after an instance ended",
     retried},
    {"weir_exceptions_total", "counter", "Requests that ended in an exception", exceptions},
    {"weir_cpu_microseconds_total", "counter", "CPU time of requests", cpu_us},
    {"weir_log_dropped_bytes_total", "counter", "Console output beyond the limit",
     log_dropped_bytes},
};

static void append_label(struct buffer *out, const struct worker *worker)
{
    buffer_append_text(out, "{worker=");
    buffer_append_json(out, slice_of(worker->name));
}

static void append_requests(struct buffer *out)
{
    buffer_append_text(out, "# HELP weir_requests_total Answers by status class\n"
                            "# TYPE weir_requests_total counter\n");
    for (const struct worker *w = gateway.workers; w; w = w->next) {
        for (int class = 1; class < 6; class ++) {
            buffer_append_text(out, "weir_requests_total");
            append_label(out, w);
            buffer_printf(out, ",status=\"%dxx\"} %llu\n", class,
                          (unsigned long long)w->requests[class]);
        }
    }
}

static void append_histogram(struct buffer *out, const char *name, const struct worker *worker,
                             const struct histogram *histogram)
{
    uint64_t count = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        count += histogram->buckets[i];
        buffer_printf(out, "%s_bucket", name);
        append_label(out, worker);
        if (i < LATENCY_BUCKETS - 1)
            buffer_printf(out, ",le=\"%g\"} %llu\n", (double)access_log_bound_us(i) / 1e6,
                          (unsigned long long)count);
        else
            buffer_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)count);
    }
    buffer_printf(out, "%s_sum", name);
    append_label(out, worker);
    buffer_printf(out, "} %.6f\n%s_count", (double)histogram->sum_us / 1e6, name);
    append_label(out, worker);
    buffer_printf(out, "} %llu\n", (unsigned long long)count);
}

static void append_histograms(struct buffer *out)
{
    buffer_append_text(out, "# HELP weir_request_seconds Time from head to the last byte\n"
                            "# TYPE weir_request_seconds histogram\n");
    for (const struct worker *w = gateway.workers; w; w = w->next)
        append_histogram(out, "weir_request_seconds", w, &w->latency);
    buffer_append_text(out, "# HELP weir_instance_start_seconds Time from asking for an instance "
                            "to having it\n# TYPE weir_instance_start_seconds histogram\n");
    for (const struct worker *w = gateway.workers; w; w = w->next)
        append_histogram(out, "weir_instance_start_seconds", w, &w->start);
}

static void append_gateway(struct buffer *out)
{
    const struct {
        const char *name, *type;
        uint64_t value;
    } values[] = {
        {"weir_connections", "gauge", gateway.connections},
        {"weir_connections_accepted_total", "counter", gateway.count.accepted},
        {"weir_connections_refused_total", "counter", gateway.count.refused},
        {"weir_bad_requests_total", "counter", gateway.count.bad_requests},
        {"weir_received_bytes_total", "counter", gateway.count.bytes_in},
        {"weir_sent_bytes_total", "counter", gateway.count.bytes_out},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        buffer_printf(out, "# TYPE %s %s\n%s %llu\n", values[i].name, values[i].type,
                      values[i].name, (unsigned long long)values[i].value);
}

static void build_metrics(struct buffer *out)
{
    append_gateway(out);
    append_requests(out);
    append_histograms(out);
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
                      metrics[i].name, metrics[i].type);
        for (const struct worker *w = gateway.workers; w; w = w->next) {
            buffer_append_text(out, metrics[i].name);
            append_label(out, w);
            buffer_printf(out, "} %llu\n", (unsigned long long)metrics[i].value(w));
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
        return 200;
    }
    if (slice_equal(path, SLICE("/healthz"))) {
        buffer_append_text(ret_body, "ok\n");
        return 200;
    }
    if (slice_equal(path, SLICE("/readyz"))) {
        bool ready = gateway.routes && !gateway.draining;
        buffer_append_text(ret_body, ready ? "ready\n" : "not ready\n");
        return ready ? 200 : 503;
    }
    buffer_append_text(ret_body, "Here are /healthz, /readyz and /metrics.\n");
    return 404;
}

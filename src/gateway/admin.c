/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include "access_log.h"
#include "gateway.h"

typedef uint64_t metric_fn(const struct deployment *deployment);

static uint64_t in_flight(const struct deployment *d)
{
    uint64_t sum = 0;
    for (const struct instance *i = d->instances; i; i = i->next)
        sum += i->in_flight;
    return sum;
}

#define FIELD(name, expression)                                                                    \
    static uint64_t name(const struct deployment *d)                                               \
    {                                                                                              \
        return expression;                                                                         \
    }
FIELD(instances, d->instances_count)
FIELD(queued, d->queue_length)
FIELD(spawned, d->count.spawned)
FIELD(killed, d->count.killed)
FIELD(shed, d->count.shed)
FIELD(exceptions, d->count.exceptions)
FIELD(cpu, d->count.cpu_us)
FIELD(log_dropped, d->count.log_dropped_bytes)

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
    {"weir_exceptions_total", "counter", "Requests that ended in an exception", exceptions},
    {"weir_cpu_microseconds_total", "counter", "CPU time of requests", cpu},
    {"weir_log_dropped_bytes_total", "counter", "Console output beyond the limit", log_dropped},
};

static void append_label(struct buffer *out, const struct deployment *d)
{
    buffer_append_text(out, "{worker=");
    buffer_append_json(out, slice_of(d->name));
}

static void append_requests(struct buffer *out)
{
    buffer_append_text(out, "# HELP weir_requests_total Answers by status class\n"
                            "# TYPE weir_requests_total counter\n");
    for (const struct deployment *d = gateway.deployments; d; d = d->next) {
        for (int class = 1; class < 6; class ++) {
            buffer_append_text(out, "weir_requests_total");
            append_label(out, d);
            buffer_printf(out, ",status=\"%dxx\"} %llu\n", class,
                          (unsigned long long)d->count.requests[class]);
        }
    }
}

static void append_latency(struct buffer *out)
{
    buffer_append_text(out, "# HELP weir_request_seconds Time from head to the last byte\n"
                            "# TYPE weir_request_seconds histogram\n");
    for (const struct deployment *d = gateway.deployments; d; d = d->next) {
        uint64_t sum = 0;
        for (int i = 0; i < LATENCY_BUCKETS; i++) {
            sum += d->count.latency[i];
            buffer_append_text(out, "weir_request_seconds_bucket");
            append_label(out, d);
            if (i < LATENCY_BUCKETS - 1)
                buffer_printf(out, ",le=\"%g\"} %llu\n", (double)access_log_bound_us(i) / 1e6,
                              (unsigned long long)sum);
            else
                buffer_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)sum);
        }
        buffer_append_text(out, "weir_request_seconds_sum");
        append_label(out, d);
        buffer_printf(out, "} %g\nweir_request_seconds_count", (double)d->count.latency_us / 1e6);
        append_label(out, d);
        buffer_printf(out, "} %llu\n", (unsigned long long)sum);
    }
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
    append_latency(out);
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
                      metrics[i].name, metrics[i].type);
        for (const struct deployment *d = gateway.deployments; d; d = d->next) {
            buffer_append_text(out, metrics[i].name);
            append_label(out, d);
            buffer_printf(out, "} %llu\n", (unsigned long long)metrics[i].value(d));
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache.h"
#include "pool.h"

/* ---- the text ---- */

struct gauge {
    const char *name, *labels, *help;
    uint64_t (*value)(const struct pool *pool);
};

/* Each lent connection is one client's, and the pool's own are clients, too. */
static uint64_t clients_active(const struct pool *p)
{
    return p->lent.count;
}
static uint64_t clients_idle(const struct pool *p)
{
    uint32_t busy = p->lent.count + pool_waiting(p);
    return p->clients > busy ? p->clients - busy : 0;
}
static uint64_t clients_waiting(const struct pool *p)
{
    return pool_waiting(p);
}
static uint64_t servers_lent(const struct pool *p)
{
    return p->lent.count;
}
static uint64_t servers_idle(const struct pool *p)
{
    return p->idle.count;
}
static uint64_t servers_connecting(const struct pool *p)
{
    return p->connecting.count;
}
static uint64_t servers_cleaning(const struct pool *p)
{
    return p->cleaning.count;
}
static uint64_t servers_listening(const struct pool *p)
{
    return p->listening.count;
}
static uint64_t cached_bytes(const struct pool *p)
{
    return cache_bytes(p->cache);
}
static uint64_t failures(const struct pool *p)
{
    return p->failures;
}
static uint64_t size(const struct pool *p)
{
    return p->retired ? 0 : (uint64_t)p->limits.size;
}

static uint64_t pinned(const struct pool *p)
{
    return pool_pinned(p);
}

/* Rows of one name stand together. */
static const struct gauge gauges[] = {
    {"weir_pool_clients", "state=\"active\"",
     "Clients: those that have a connection, that wait for one, and all others.", clients_active},
    {"weir_pool_clients", "state=\"idle\"", NULL, clients_idle},
    {"weir_pool_clients", "state=\"waiting\"", NULL, clients_waiting},
    {"weir_pool_pinned_clients", "", "Clients that keep a connection because of session state.",
     pinned},
    {"weir_pool_servers", "state=\"active\"",
     "Connections to the database: active ones are lent to a client, cleaning ones are reset or "
     "checked.",
     servers_lent},
    {"weir_pool_servers", "state=\"idle\"", NULL, servers_idle},
    {"weir_pool_servers", "state=\"connecting\"", NULL, servers_connecting},
    {"weir_pool_servers", "state=\"cleaning\"", NULL, servers_cleaning},
    {"weir_pool_servers", "state=\"listening\"", NULL, servers_listening},
    {"weir_pool_servers_max", "", "Connections that there may be (pool_size).", size},
    {"weir_pool_cache_bytes", "", "Results that are kept, and what they are found by.",
     cached_bytes},
    {"weir_pool_connect_failures", "", "Failed connections since the last that worked.", failures},
};

static const struct {
    const char *name, *help;
    size_t offset; /* in struct pool_counters */
} counters[] = {
#define COUNTER(field, help)                                                                       \
    {                                                                                              \
        "weir_pool_" #field "_total", help, offsetof(struct pool_counters, field)                  \
    }
    COUNTER(transactions, "Transactions that ended."),
    COUNTER(queries, "Queries, simple ones and Executes."),
    COUNTER(received_bytes, "Bytes from clients."),
    COUNTER(sent_bytes, "Bytes to clients."),
    COUNTER(waits, "Clients that had to wait for a connection."),
    COUNTER(pins, "How often session state has pinned a client."),
    COUNTER(replays, "Statements that were parsed again for their client."),
    COUNTER(statements_parsed, "Prepared statements that were parsed on a connection."),
    COUNTER(statements_shared, "Prepared statements that were there already."),
    COUNTER(failed_connects, "Connections to the database that could not be made."),
    COUNTER(cancels, "Cancel requests that were passed on."),
    COUNTER(cache_hits, "Results that came from the cache."),
    COUNTER(cache_stale, "Of these, such as were older than max_age."),
    COUNTER(cache_misses, "Results that may be cached and came from the database."),
};

/* Of the same database and user. */
static bool is_same(const struct pool *a, const struct pool *b)
{
    return a->counters == b->counters;
}

/* One of an older plan stands for the same thing as what took its place; what they count is shared.
 */
static bool is_first(const struct pool *pool)
{
    const struct pool *other = pool_process.pools;
    while (other != pool && !is_same(other, pool))
        other = other->next;
    return other == pool;
}

static void label_value(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_append(out, "\\", 1);
        if (*text == '\n')
            buffer_append(out, "\\n", 2);
        else
            buffer_append(out, text, 1);
    }
}

/* name{database="…",user="…",more} */
static void series(struct buffer *out, const char *name, const char *suffix,
                   const struct pool *pool, const char *more)
{
    buffer_printf(out, "%s%s{database=\"", name, suffix);
    label_value(out, pool->database_name);
    buffer_append_text(out, "\",user=\"");
    label_value(out, pool->user);
    buffer_printf(out, *more ? "\",%s} " : "\"%s} ", more);
}

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_gauge(struct buffer *out, const struct gauge *gauge)
{
    if (gauge->help)
        head(out, gauge->name, "gauge", gauge->help);
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        uint64_t value = 0;
        if (!is_first(pool))
            continue;
        for (const struct pool *p = pool; p; p = p->next)
            value += is_same(p, pool) ? gauge->value(p) : 0;
        series(out, gauge->name, "", pool, gauge->labels);
        buffer_printf(out, "%" PRIu64 "\n", value);
    }
}

static uint64_t count_at(const struct pool *pool, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)pool->counters + offset, sizeof(value));
    return value;
}

enum { BUCKETS_SHOWN_FROM = 4 }; /* below 16 µs there is no telling */

/* Bucket i of the counters is of what has i bits of microseconds: less than 2^i. */
static void write_histogram(struct buffer *out, const char *name, const char *help,
                            size_t histogram, size_t sum)
{
    head(out, name, "histogram", help);
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        uint64_t below = 0;
        if (!is_first(pool))
            continue;
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
            char le[48];
            below += count_at(pool, histogram + i * sizeof(uint64_t));
            if (i < BUCKETS_SHOWN_FROM || i == HISTOGRAM_BUCKETS - 1)
                continue; /* the last has everything above, too */
            (void)snprintf(le, sizeof(le), "le=\"%.6f\"", (double)(1ull << i) / 1e6);
            series(out, name, "_bucket", pool, le);
            buffer_printf(out, "%" PRIu64 "\n", below);
        }
        series(out, name, "_bucket", pool, "le=\"+Inf\"");
        buffer_printf(out, "%" PRIu64 "\n", below);
        series(out, name, "_sum", pool, "");
        buffer_printf(out, "%.6f\n", (double)count_at(pool, sum) / 1e6);
        series(out, name, "_count", pool, "");
        buffer_printf(out, "%" PRIu64 "\n", below);
    }
}

/* ---- what clients were refused ---- */

/* All that the pool refuses clients with; the last stands for what it passes on of a server's. */
static const char *const sqlstates[] = {"08001", "08006", "08P01", "0A000", "22023", "25P03",
                                        "25P04", "26000", "28000", "28P01", "3D000", "42601",
                                        "53200", "53300", "53400", "54000", "57014", "57P01",
                                        "57P03", "57P05", "other"};
static uint64_t refusals[ARRAY_LEN(sqlstates)], failed_logins[ARRAY_LEN(sqlstates)];

void metrics_refused(const char *sqlstate, bool login)
{
    size_t i = 0;
    while (i < ARRAY_LEN(sqlstates) - 1 && (!sqlstate || strcmp(sqlstates[i], sqlstate) != 0))
        i++;
    refusals[i]++;
    failed_logins[i] += login;
}

static void write_by_sqlstate(struct buffer *out, const char *name, const char *help,
                              const uint64_t *counts)
{
    head(out, name, "counter", help);
    for (size_t i = 0; i < ARRAY_LEN(sqlstates); i++)
        buffer_printf(out, "%s{sqlstate=\"%s\"} %" PRIu64 "\n", name, sqlstates[i], counts[i]);
}

void metrics_write(struct buffer *out)
{
    write_by_sqlstate(out, "weir_pool_refusals_total",
                      "Errors of the pool's own, logins among them.", refusals);
    write_by_sqlstate(out, "weir_pool_failed_logins_total", "Clients that did not get in.",
                      failed_logins);
    for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
        write_gauge(out, &gauges[i]);
    head(out, "weir_pool_clients_bytes", "gauge",
         "Texts of statements, begun messages, parameters and channels, of all clients "
         "(clients_bytes_max).");
    buffer_printf(out, "weir_pool_clients_bytes %" PRIu64 "\n", pool_kept_bytes());
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        head(out, counters[i].name, "counter", counters[i].help);
        for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
            if (!is_first(pool))
                continue;
            series(out, counters[i].name, "", pool, "");
            buffer_printf(out, "%" PRIu64 "\n", count_at(pool, counters[i].offset));
        }
    }
    write_histogram(out, "weir_pool_wait_seconds", "How long clients waited for a connection.",
                    offsetof(struct pool_counters, wait_histogram),
                    offsetof(struct pool_counters, wait_us));
    write_histogram(out, "weir_pool_query_seconds", "From a query to the end of its answer.",
                    offsetof(struct pool_counters, query_histogram),
                    offsetof(struct pool_counters, query_us));
}

/* ---- HTTP, as much as a scraper needs ---- */

enum { CONNECTIONS_MAX = 16, REQUEST_BYTES_MAX = 8192, CONNECTION_US_MAX = 10 * 1000 * 1000 };

struct scrape {
    struct loop_source source;
    struct buffer in, out;
    uint64_t since_us;
    bool open;
};

static struct scrape scrapes[CONNECTIONS_MAX];

static void end(struct scrape *scrape)
{
    loop_remove(pool_process.loop, &scrape->source);
    (void)close(scrape->source.fd);
    buffer_done(&scrape->in);
    buffer_done(&scrape->out);
    scrape->open = false;
}

static void answer(struct scrape *scrape, struct slice request)
{
    static const char get[] = "GET /metrics";
    AUTO_BUFFER body = {0};
    size_t len = sizeof(get) - 1;
    bool found =
        request.len > len && memcmp(request.ptr, get, len) == 0 && strchr(" ?", request.ptr[len]);
    if (found)
        metrics_write(&body);
    else
        buffer_append_text(&body, "There is /metrics here, for GET.\n");
    buffer_printf(&scrape->out,
                  "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                  "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                  found ? "200 OK" : "404 Not Found", buffer_len(&body));
    buffer_append_slice(&scrape->out, buffer_slice(&body));
}

static void write_out(struct scrape *scrape)
{
    while (buffer_len(&scrape->out) > 0) {
        struct slice rest = buffer_slice(&scrape->out);
        ssize_t sent = send(scrape->source.fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent <= 0)
            break;
        buffer_consume(&scrape->out, (size_t)sent);
    }
    (void)shutdown(scrape->source.fd, SHUT_WR);
    end(scrape);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct scrape *scrape = CONTAINER_OF(source, struct scrape, source);
    (void)events;
    while (buffer_len(&scrape->out) == 0) {
        ssize_t got = recv(source->fd, buffer_reserve(&scrape->in, 2048), 2048, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || buffer_len(&scrape->in) + (size_t)got > REQUEST_BYTES_MAX) {
            end(scrape);
            return;
        }
        scrape->in.end += (size_t)got;
        struct slice request = buffer_slice(&scrape->in);
        if (memmem(request.ptr, request.len, "\r\n\r\n", 4))
            answer(scrape, request);
    }
    write_out(scrape);
}

void metrics_accept(int fd)
{
    struct scrape *scrape = scrapes;
    while (scrape < scrapes + CONNECTIONS_MAX && scrape->open)
        scrape++;
    if (scrape == scrapes + CONNECTIONS_MAX ||
        loop_add(pool_process.loop, &scrape->source, fd, EPOLLIN | EPOLLOUT | EPOLLET, on_ready) <
            0) {
        (void)close(fd);
        return;
    }
    scrape->open = true;
    scrape->since_us = pool_now();
}

void metrics_tick(void)
{
    for (struct scrape *scrape = scrapes; scrape < scrapes + CONNECTIONS_MAX; scrape++)
        if (scrape->open && pool_now() - scrape->since_us > CONNECTION_US_MAX)
            end(scrape);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW STATS and its relatives: a row for each database. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "console_tables.h"
#include "record.h"
#include "wire.h"

/* The average of a counter is so many a second, or what one of `per` has of it. */
static const struct {
    const char *name, *average;
    size_t offset, per; /* in struct pool_counters */
} figures[] = {
#define AT(field) offsetof(struct pool_counters, field)
#define A_SECOND  SIZE_MAX
    {"server_assignment_count", "server_assignment_count", AT(assignments), A_SECOND},
    {"xact_count", "xact_count", AT(transactions), A_SECOND},
    {"query_count", "query_count", AT(queries), A_SECOND},
    {"received", "recv", AT(received_bytes), A_SECOND},
    {"sent", "sent", AT(sent_bytes), A_SECOND},
    {"xact_time", "xact_time", AT(transaction_us), AT(transactions)},
    {"query_time", "query_time", AT(query_us), AT(queries)},
    {"wait_time", "wait_time", AT(wait_us), AT(assignments)},
    {"client_parse_count", "client_parse_count", AT(client_parses), A_SECOND},
    {"server_parse_count", "server_parse_count", AT(server_parses), A_SECOND},
    {"bind_count", "bind_count", AT(binds), A_SECOND},
    {"client_login_count", "client_login_count", AT(logins), A_SECOND},
#undef AT
};

static uint64_t field(const struct pool_counters *counters, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)counters + offset, sizeof(value));
    return value;
}

/* What a record comes to, added up once for all figures. */
struct figures_of {
    struct pool_counters sum, period;
    uint64_t period_us;
};

static struct figures_of of_record(const struct record *record)
{
    struct figures_of made;
    record_sum(record, &made.sum);
    record_average(record, &made.period, &made.period_us);
    return made;
}

static uint64_t total(const struct figures_of *of, size_t i)
{
    return field(&of->sum, figures[i].offset);
}

static uint64_t average(const struct figures_of *of, size_t i)
{
    uint64_t value = field(&of->period, figures[i].offset);
    if (figures[i].per == A_SECOND)
        return of->period_us ? (uint64_t)((double)value * 1e6 / (double)of->period_us) : 0;
    uint64_t count = field(&of->period, figures[i].per);
    return count ? value / count : 0;
}

static void show(struct buffer *out, bool totals, bool averages)
{
    char names[1024] = "database";
    size_t len = strlen(names);
    for (size_t i = 0; i < ARRAY_LEN(figures) && totals; i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, " #%s%s",
                                averages ? "total_" : "", figures[i].name);
    for (size_t i = 0; i < ARRAY_LEN(figures) && averages; i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, " #%s%s", totals ? "avg_" : "",
                                figures[i].average);
    table_columns(out, names);
    for (const struct record *record = record_first(); record; record = record->next) {
        const struct figures_of of = of_record(record);
        size_t begun =
            table_row(out, (uint16_t)(1 + ARRAY_LEN(figures) * ((size_t)totals + averages)));
        table_text(out, record->database);
        for (size_t i = 0; i < ARRAY_LEN(figures) && totals; i++)
            table_number(out, total(&of, i));
        for (size_t i = 0; i < ARRAY_LEN(figures) && averages; i++)
            table_number(out, average(&of, i));
        wire_end(out, begun);
    }
}

void show_stats(struct buffer *out)
{
    show(out, true, true);
}

void show_stats_totals(struct buffer *out)
{
    show(out, true, false);
}

void show_stats_averages(struct buffer *out)
{
    show(out, false, true);
}

static void add_row(struct buffer *out, const char *prefix, const char *name, uint64_t value)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s%s", prefix, name);
    size_t begun = table_row(out, 2);
    table_text(out, text);
    table_number(out, value);
    wire_end(out, begun);
}

void show_totals(struct buffer *out)
{
    uint64_t totals[ARRAY_LEN(figures)] = {0}, averages[ARRAY_LEN(figures)] = {0};
    for (const struct record *record = record_first(); record; record = record->next) {
        const struct figures_of of = of_record(record);
        for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
            totals[i] += total(&of, i);
            averages[i] += average(&of, i);
        }
    }
    table_columns(out, "name #value");
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        add_row(out, "total_", figures[i].name, totals[i]);
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        if (figures[i].per == A_SECOND) /* averages of averages would mean nothing */
            add_row(out, "avg_", figures[i].average, averages[i]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW STATS and its relatives: a row for each database. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "console_tables.h"
#include "record.h"
#include "wire.h"

/* Each by its names in SHOW STATS, STATS_TOTALS and TOTALS, all of them PgBouncer's, which has no
 * rule for them. The average of a counter is so many a second, or what one of `per` has of it. */
static const struct {
    const char *stats, *stats_average; /* behind total_ and avg_ */
    const char *plain, *plain_average;
    const char *totals; /* behind total_ and avg_ */
    size_t offset, per; /* in struct pool_counters */
} figures[] = {
#define AT(field) offsetof(struct pool_counters, field)
#define A_SECOND  SIZE_MAX
#define SAME(name)   name, name, name, name, name
#define PARSED(name) name, name, name, "avg_" name
    {SAME("server_assignment_count"), AT(assignments), A_SECOND},
    {SAME("xact_count"), AT(transactions), A_SECOND},
    {SAME("query_count"), AT(queries), A_SECOND},
    {"received", "recv", "bytes_received", "bytes_received", "client_bytes", AT(received_bytes),
     A_SECOND},
    {"sent", "sent", "bytes_sent", "bytes_sent", "server_bytes", AT(sent_bytes), A_SECOND},
    {SAME("xact_time"), AT(transaction_us), AT(transactions)},
    {SAME("query_time"), AT(query_us), AT(queries)},
    {SAME("wait_time"), AT(wait_us), AT(assignments)},
    {PARSED("client_parse_count"), "ps_client_parse_count", AT(client_parses), A_SECOND},
    {PARSED("server_parse_count"), "ps_server_parse_count", AT(server_parses), A_SECOND},
    {PARSED("bind_count"), "ps_bind_count", AT(binds), A_SECOND},
    {PARSED("client_login_count"), "client_login_count", AT(logins), A_SECOND},
#undef AT
#undef SAME
#undef PARSED
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

/* Of what `count` of `per` have had together. */
static uint64_t average_of(size_t i, uint64_t value, uint64_t count, uint64_t period_us)
{
    if (figures[i].per == A_SECOND)
        return period_us ? (uint64_t)((double)value * 1e6 / (double)period_us) : 0;
    return count ? value / count : 0;
}

static uint64_t count_of(const struct figures_of *of, size_t i)
{
    return figures[i].per == A_SECOND ? 0 : field(&of->period, figures[i].per);
}

static uint64_t average(const struct figures_of *of, size_t i)
{
    return average_of(i, field(&of->period, figures[i].offset), count_of(of, i), of->period_us);
}

static void show(struct buffer *out, bool totals, bool averages)
{
    AUTO_BUFFER names = {0};
    bool both = totals && averages;
    buffer_append_text(&names, "database");
    for (size_t i = 0; i < ARRAY_LEN(figures) && totals; i++)
        buffer_printf(&names, both ? " %%total_%s" : " %%%s",
                      both ? figures[i].stats : figures[i].plain);
    for (size_t i = 0; i < ARRAY_LEN(figures) && averages; i++)
        buffer_printf(&names, both ? " %%avg_%s" : " %%%s",
                      both ? figures[i].stats_average : figures[i].plain_average);
    buffer_append(&names, "", 1);
    table_columns(out, names.data);
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
    uint64_t counts[ARRAY_LEN(figures)] = {0};
    for (const struct record *record = record_first(); record; record = record->next) {
        const struct figures_of of = of_record(record);
        for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
            bool a_second = figures[i].per == A_SECOND;
            totals[i] += total(&of, i);
            averages[i] += a_second ? average(&of, i) : field(&of.period, figures[i].offset);
            counts[i] += count_of(&of, i);
        }
    }
    table_columns(out, "name %value");
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        add_row(out, "total_", figures[i].totals, totals[i]);
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        add_row(out, "avg_", figures[i].totals,
                figures[i].per == A_SECOND ? averages[i]
                                           : average_of(i, averages[i], counts[i], 0));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "clock.h"

enum { PERIOD_US = 60 * 1000 * 1000, WORDS = sizeof(struct pool_counters) / sizeof(uint64_t) };

static struct record *records;

/* So many times: -1 takes away. */
static void add(struct pool_counters *sum, const struct pool_counters *more, int64_t times)
{
    uint64_t a[WORDS], b[WORDS];
    memcpy(a, sum, sizeof(a));
    memcpy(b, more, sizeof(b));
    for (size_t i = 0; i < WORDS; i++)
        a[i] += (uint64_t)times * b[i];
    memcpy(sum, a, sizeof(a));
}

struct record *record_first(void)
{
    return records;
}

struct record *record_of(const char *database)
{
    struct record **place = &records;
    while (*place && strcmp((*place)->database, database) != 0)
        place = &(*place)->next;
    if (!*place) {
        *place = xcalloc(1, sizeof(**place));
        (*place)->database = xstrdup(database);
        (*place)->begun_us = clock_monotonic_us();
    }
    return *place;
}

struct tally *record_tally(struct record *record, const char *user)
{
    struct tally **place = &record->tallies;
    while (*place && strcmp((*place)->user, user) != 0)
        place = &(*place)->next;
    if (!*place) {
        *place = xcalloc(1, sizeof(**place));
        (*place)->user = xstrdup(user);
    }
    return *place;
}

uint32_t record_clients_of_user(const char *user)
{
    uint32_t count = 0;
    for (const struct record *record = records; record; record = record->next)
        for (const struct tally *tally = record->tallies; tally; tally = tally->next)
            if (strcmp(tally->user, user) == 0)
                count += tally->clients;
    return count;
}

void record_sum(const struct record *record, struct pool_counters *ret_sum)
{
    *ret_sum = (struct pool_counters){0};
    for (const struct tally *tally = record->tallies; tally; tally = tally->next)
        add(ret_sum, &tally->counters, 1);
}

void record_average(const struct record *record, struct pool_counters *ret_counters,
                    uint64_t *ret_us)
{
    if (record->period_us > 0) {
        *ret_counters = record->period;
        *ret_us = record->period_us;
        return;
    }
    record_sum(record, ret_counters);
    *ret_us = clock_monotonic_us() - record->begun_us;
}

void record_tick(void)
{
    uint64_t now_us = clock_monotonic_us();
    struct pool_counters sum;
    for (struct record *record = records; record; record = record->next) {
        if (now_us - record->begun_us < PERIOD_US)
            continue;
        record_sum(record, &sum);
        record->period = sum;
        add(&record->period, &record->before, -1);
        record->before = sum;
        record->period_us = now_us - record->begun_us;
        record->begun_us = now_us;
    }
}

static bool is_used(const struct record *record)
{
    bool used = record->paused || record->disabled;
    for (const struct tally *tally = record->tallies; tally; tally = tally->next)
        used = used || tally->pools + tally->clients > 0;
    return used;
}

static void free_record(struct record *record)
{
    for (struct tally *tally; (tally = record->tallies);) {
        record->tallies = tally->next;
        free(tally->user);
        free(tally);
    }
    free(record->database);
    free(record);
}

void record_drop(struct record *record)
{
    struct record **place = &records;
    if (is_used(record))
        return;
    while (*place != record)
        place = &(*place)->next;
    *place = record->next;
    free_record(record);
}

void record_forget(void)
{
    for (struct record **place = &records; *place;) {
        struct record *record = *place;
        if (is_used(record)) {
            place = &record->next;
            continue;
        }
        *place = record->next;
        free_record(record);
    }
}

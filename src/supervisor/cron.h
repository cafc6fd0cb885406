/* SPDX-License-Identifier: Apache-2.0 */
/* Cron expressions as Workers know them: five fields in UTC (minute, hour, day of month, month, day
 * of week), lists, ranges, steps, names (JAN, MON), and L, W and # of the Quartz dialect. Day of
 * week is 1 (Sunday) to 7 (Saturday). When both day fields are restricted, either match fires. */
#ifndef WEIR_CRON_H
#define WEIR_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct cron {
    uint64_t minutes; /* bit n: minute n */
    uint32_t hours;
    uint32_t days;               /* bits 1–31 */
    uint16_t months;             /* bits 1–12 */
    uint8_t weekdays;            /* bits 1–7, Sunday is 1 */
    bool days_any, weekdays_any; /* the field is * */
    bool last_day;               /* L in the day field */
    bool last_weekday_of_month;  /* LW */
    uint32_t nearest_weekdays;   /* bits 1–31: nW */
    uint8_t last_of_weekday;     /* bits 1–7: nL in the weekday field */
    uint8_t nth_weekday[6];      /* [n]: bits 1–7, weekday#n */
};

/* 0, or -EINVAL with the field and value that is wrong. */
int cron_parse(const char *text, struct cron *ret_cron, struct error *err) WARN_UNUSED;
/* Does it fire in the minute that starts at this Unix time (seconds)? */
bool cron_matches(const struct cron *cron, int64_t unix_seconds);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* names[0] stands for min */
    int names_count;
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                          "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of month", 1, 31, NULL, 0},
    {"month", 1, 12, month_names, 12},
    {"day of week", 1, 7, weekday_names, 7},
};

/* Reads a number or a name at *text; -1: neither. */
static int read_value(const struct field *field, const char **text)
{
    for (int i = 0; i < field->names_count; i++) {
        if (strncasecmp(*text, field->names[i], 3) == 0 && !isalpha((unsigned char)(*text)[3])) {
            *text += 3;
            return field->min + i;
        }
    }
    if (!isdigit((unsigned char)**text))
        return -1;
    char *end;
    long value = strtol(*text, &end, 10);
    *text = end;
    if (field == &fields[WEEKDAY] && value == 0)
        value = 1; /* the classic 0 for Sunday */
    return value >= field->min && value <= field->max ? (int)value : -1;
}

/* What the Quartz dialect adds to the day fields. True: taken. */
static bool parse_special(const struct field *field, const char *text, struct cron *cron)
{
    if (field == &fields[DAY]) {
        if (strcasecmp(text, "L") == 0)
            return cron->last_day = true;
        if (strcasecmp(text, "LW") == 0 || strcasecmp(text, "WL") == 0)
            return cron->last_weekday_of_month = true;
        int day = read_value(field, &text);
        if (day > 0 && strcasecmp(text, "W") == 0) {
            cron->nearest_weekdays |= 1u << day;
            return true;
        }
        return false;
    }
    if (field != &fields[WEEKDAY])
        return false;
    if (strcasecmp(text, "L") == 0) {
        cron->weekdays |= 1u << 7;
        return true;
    }
    int weekday = read_value(field, &text);
    if (weekday < 0)
        return false;
    if (strcasecmp(text, "L") == 0) {
        cron->last_of_weekday |= (uint8_t)(1u << weekday);
        return true;
    }
    if (text[0] == '#' && text[1] >= '1' && text[1] <= '5' && !text[2]) {
        cron->nth_weekday[text[1] - '0'] |= (uint8_t)(1u << weekday);
        return true;
    }
    return false;
}

/* One item of a list: "*", "5", "1-5", each with an optional "/step". Adds its bits. */
static bool parse_item(const struct field *field, const char *text, uint64_t *bits)
{
    int from = field->min, to = field->max, step = 1;
    if (*text == '*') {
        text++;
    } else {
        from = read_value(field, &text);
        if (from < 0)
            return false;
        to = from;
        if (*text == '-') {
            text++;
            to = read_value(field, &text);
        } else if (*text == '/') {
            to = field->max; /* 5/10: from 5 on, every tenth */
        }
    }
    if (*text == '/') {
        char *end;
        long value = isdigit((unsigned char)text[1]) ? strtol(text + 1, &end, 10) : 0;
        if (value < 1 || value > field->max)
            return false;
        step = (int)value;
        text = end;
    }
    if (*text || to < from)
        return false;
    for (int value = from; value <= to; value += step)
        *bits |= 1ull << value;
    return true;
}

static int parse_field(const struct field *field, char *text, struct cron *cron, uint64_t *ret_bits,
                       struct error *err)
{
    char *rest = text;
    for (char *item; (item = strsep(&rest, ","));)
        if (!parse_special(field, item, cron) && !parse_item(field, item, ret_bits))
            return error_set(err, -EINVAL,
                             "\"%s\" is no %s (%d to %d, with * , - / and names where they exist)",
                             item, field->name, field->min, field->max);
    return 0;
}

int cron_parse(const char *text, struct cron *ret_cron, struct error *err)
{
    struct cron cron = {0};
    uint64_t bits[FIELDS] = {0};
    AUTO_TEXT copy = xstrdup(text);
    char *rest = copy, *words[FIELDS + 1];
    int count = 0;
    for (char *word; count <= FIELDS && (word = strsep(&rest, " \t"));)
        if (*word)
            words[count++] = word;
    if (count != FIELDS)
        return error_set(
            err, -EINVAL,
            "a cron expression has five fields (minute hour day month weekday), not %s%d",
            count > FIELDS ? "more than " : "", count > FIELDS ? FIELDS : count);
    cron.days_any = strcmp(words[DAY], "*") == 0 || strcmp(words[DAY], "?") == 0;
    cron.weekdays_any = strcmp(words[WEEKDAY], "*") == 0 || strcmp(words[WEEKDAY], "?") == 0;
    for (int i = 0; i < FIELDS; i++) {
        if ((i == DAY && cron.days_any) || (i == WEEKDAY && cron.weekdays_any))
            continue;
        int r = parse_field(&fields[i], words[i], &cron, &bits[i], err);
        if (r < 0)
            return r;
    }
    cron.minutes = bits[MINUTE];
    cron.hours = (uint32_t)bits[HOUR];
    cron.days = (uint32_t)bits[DAY];
    cron.months = (uint16_t)bits[MONTH];
    cron.weekdays |= (uint8_t)bits[WEEKDAY];
    *ret_cron = cron;
    return 0;
}

static int days_in_month(const struct tm *date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = date->tm_year + 1900;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[date->tm_mon] + (date->tm_mon == 1 && leap ? 1 : 0);
}

/* The weekday (0 = Sunday) of another day of date's month. */
static int weekday_of(const struct tm *date, int day)
{
    return ((date->tm_wday + day - date->tm_mday) % 7 + 7) % 7;
}

/* The working day nearest to `day` within the month. */
static int nearest_working_day(const struct tm *date, int day)
{
    int last = days_in_month(date);
    if (day > last)
        return 0;
    switch (weekday_of(date, day)) {
    case 6:
        return day > 1 ? day - 1 : day + 2;
    case 0:
        return day < last ? day + 1 : day - 2;
    default:
        return day;
    }
}

static bool day_matches(const struct cron *cron, const struct tm *date)
{
    int day = date->tm_mday, last = days_in_month(date);
    if (cron->days >> day & 1 || (cron->last_day && day == last))
        return true;
    if (cron->last_weekday_of_month && nearest_working_day(date, last) == day)
        return true;
    for (int wanted = 1; wanted <= 31; wanted++)
        if (cron->nearest_weekdays >> wanted & 1 && nearest_working_day(date, wanted) == day)
            return true;
    return false;
}

static bool weekday_matches(const struct cron *cron, const struct tm *date)
{
    int weekday = date->tm_wday + 1, nth = (date->tm_mday - 1) / 7 + 1;
    return cron->weekdays >> weekday & 1 || cron->nth_weekday[nth] >> weekday & 1 ||
           (cron->last_of_weekday >> weekday & 1 && date->tm_mday + 7 > days_in_month(date));
}

bool cron_matches(const struct cron *cron, int64_t unix_seconds)
{
    time_t seconds = unix_seconds;
    struct tm date;
    if (!gmtime_r(&seconds, &date))
        return false;
    if (!(cron->minutes >> date.tm_min & 1) || !(cron->hours >> date.tm_hour & 1) ||
        !(cron->months >> (date.tm_mon + 1) & 1))
        return false;
    if (cron->days_any || cron->weekdays_any)
        return (cron->days_any || day_matches(cron, &date)) &&
               (cron->weekdays_any || weekday_matches(cron, &date));
    return day_matches(cron, &date) || weekday_matches(cron, &date);
}

#include "base/when.h"

#include <stdio.h>

enum { MS_SECOND = 1000, MS_MINUTE = 60 * 1000, MS_HOUR = 60 * 60 * 1000 };
#define MS_DAY INT64_C(86400000)

struct date {
    int64_t year;
    int month, day, hour, minute, second, ms;
};

/* Years are counted from March, so that the leap day is the last of its year; an era is the 400
 * years after which the calendar repeats (146 097 days). */
int64_t when_days(int year, int month, int day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct date date_of(wall t)
{
    int64_t days = t.ms / MS_DAY;
    int64_t rest = t.ms % MS_DAY;
    if (rest < 0) {
        rest += MS_DAY;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    return (struct date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
        .hour = (int)(rest / MS_HOUR),
        .minute = (int)(rest / MS_MINUTE % 60),
        .second = (int)(rest / MS_SECOND % 60),
        .ms = (int)(rest % MS_SECOND),
    };
}

char *when_text(wall t, char out[WHEN_TEXT])
{
    struct date d = date_of(t);
    snprintf(out, WHEN_TEXT, "%04lld-%02d-%02dT%02d:%02d:%02dZ", (long long)d.year, d.month,
             d.day, d.hour, d.minute, d.second);
    return out;
}

char *when_text_ms(wall t, char out[WHEN_TEXT])
{
    struct date d = date_of(t);
    snprintf(out, WHEN_TEXT, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)d.year,
             d.month, d.day, d.hour, d.minute, d.second, d.ms);
    return out;
}

/* ---- reading: each step takes its part off the front of *rest ---- */

static bool take_char(struct span *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = span_cut(*rest, 1, rest->n);
    return true;
}

static bool take_digits(struct span *rest, size_t n, int least, int most, int *out)
{
    if (rest->n < n)
        return false;
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (rest->p[i] < '0' || rest->p[i] > '9')
            return false;
        value = value * 10 + (rest->p[i] - '0');
    }
    *rest = span_cut(*rest, n, rest->n);
    *out = value;
    return value >= least && value <= most;
}

static bool take_clock(struct span *rest, struct date *d)
{
    /* 60 is a leap second; it reads as the first of the next minute. */
    return take_digits(rest, 2, 0, 23, &d->hour) && take_char(rest, ':') &&
           take_digits(rest, 2, 0, 59, &d->minute) && take_char(rest, ':') &&
           take_digits(rest, 2, 0, 60, &d->second);
}

/* "123…" after the point: milliseconds, the rest is cut off. */
static bool take_fraction(struct span *rest, int *out_ms)
{
    int ms = 0;
    size_t n = 0;
    for (; n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9'; n++)
        if (n < 3)
            ms = ms * 10 + (rest->p[n] - '0');
    for (size_t i = n; i < 3; i++)
        ms *= 10;
    *rest = span_cut(*rest, n, rest->n);
    *out_ms = ms;
    return n > 0;
}

/* "+hh:mm", or "+hhmm" as X writes it. */
static bool take_offset(struct span *rest, bool colon, int *out_minutes)
{
    bool minus = rest->n > 0 && rest->p[0] == '-';
    int hours, minutes;
    if (!take_char(rest, minus ? '-' : '+') || !take_digits(rest, 2, 0, 23, &hours) ||
        (colon && !take_char(rest, ':')) || !take_digits(rest, 2, 0, 59, &minutes))
        return false;
    *out_minutes = (hours * 60 + minutes) * (minus ? -1 : 1);
    return true;
}

static bool is_date(const struct date *d)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
    return d->day <= lengths[d->month - 1] + (leap && d->month == 2 ? 1 : 0);
}

static wall date_wall(const struct date *d, int offset_minutes)
{
    int64_t days = when_days((int)d->year, d->month, d->day);
    return (wall){days * MS_DAY + (int64_t)d->hour * MS_HOUR +
                  ((int64_t)d->minute - offset_minutes) * MS_MINUTE +
                  (int64_t)d->second * MS_SECOND + d->ms};
}

bool when_parse(struct span text, wall *out_time)
{
    struct date d = {0};
    int year, offset = 0;
    if (!take_digits(&text, 4, 0, 9999, &year) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 12, &d.month) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 31, &d.day))
        return false;
    d.year = year;
    if (!is_date(&d))
        return false;
    if (text.n > 0) {
        if (!(take_char(&text, 'T') || take_char(&text, 't') || take_char(&text, ' ')) ||
            !take_clock(&text, &d))
            return false;
        if (take_char(&text, '.') && !take_fraction(&text, &d.ms))
            return false;
        if (!(take_char(&text, 'Z') || take_char(&text, 'z')) &&
            !take_offset(&text, true, &offset))
            return false;
    }
    if (text.n > 0)
        return false;
    *out_time = date_wall(&d, offset);
    return true;
}

/* One of n names of three letters, then a space; *out_number counts from 1. */
static bool take_name(struct span *rest, const char *names, int *out_number)
{
    for (int i = 0; names[i * 3]; i++) {
        if (rest->n < 4 || memcmp(rest->p, names + (size_t)i * 3, 3) != 0 || rest->p[3] != ' ')
            continue;
        *rest = span_cut(*rest, 4, rest->n);
        *out_number = i + 1;
        return true;
    }
    return false;
}

bool when_parse_x(struct span text, wall *out_time)
{
    struct date d = {0};
    int weekday, year, offset;
    if (!take_name(&text, "MonTueWedThuFriSatSun", &weekday) ||
        !take_name(&text, "JanFebMarAprMayJunJulAugSepOctNovDec", &d.month) ||
        !take_digits(&text, 2, 1, 31, &d.day) || !take_char(&text, ' ') ||
        !take_clock(&text, &d) || !take_char(&text, ' ') ||
        !take_offset(&text, false, &offset) || !take_char(&text, ' ') ||
        !take_digits(&text, 4, 0, 9999, &year) || text.n > 0)
        return false;
    d.year = year;
    if (!is_date(&d))
        return false;
    *out_time = date_wall(&d, offset);
    return true;
}

bool when_duration(struct span text, int64_t *out_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", MS_SECOND}, {"m", MS_MINUTE}, {"h", MS_HOUR}, {"d", MS_DAY}};
    size_t digits = 0;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    int64_t number, ms;
    if (!span_int(span_cut(text, 0, digits), &number))
        return false;
    struct span unit = span_cut(text, digits, text.n);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!span_is(unit, units[i].name))
            continue;
        if (__builtin_mul_overflow(number, units[i].ms, &ms))
            return false;
        *out_ms = ms;
        return true;
    }
    return false;
}

#include "base/zone.h"

#include "base/need.h"

enum { DAY_S = 86400, SEARCH_S = 2 * DAY_S };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct civil civil_of(int64_t local_s)
{
    int64_t days = floor_div(local_s, DAY_S), rest = local_s - days * DAY_S;
    /* Years from March in eras of 400, as when_days() counts them. */
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct civil c = {
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(rest / 3600),
        .minute = (int)(rest / 60 % 60),
        .second = (int)(rest % 60),
        .weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7),
    };
    c.year = (int)(year + era * 400 + (c.month <= 2));
    return c;
}

int64_t civil_seconds(const struct civil *c)
{
    return when_days(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 +
           c->second;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Local seconds of the change in that year, before any offset is taken off. */
static int64_t change_in(const struct zone_day *d, int year)
{
    int64_t day = when_days(year, 1, 1);
    switch (d->kind) {
    case ZONE_DAY_JULIAN:
        day += d->day - 1 + (is_leap(year) && d->day >= 60);
        break;
    case ZONE_DAY_OF_YEAR:
        day += d->day;
        break;
    case ZONE_DAY_OF_WEEK: {
        int64_t first = when_days(year, d->month, 1);
        int64_t next =
            d->month == 12 ? when_days(year + 1, 1, 1) : when_days(year, d->month + 1, 1);
        int64_t weekday = (first + 4) % 7 + ((first + 4) % 7 < 0 ? 7 : 0);
        day = first + (d->weekday - weekday + 7) % 7 + (d->week - 1) * 7;
        while (day >= next) /* week 5 is the last one there is */
            day -= 7;
        break;
    }
    }
    return day * DAY_S + d->at_s;
}

static int32_t offset_by_rule(const struct zone *z, int64_t utc_s)
{
    if (!z->has_summer)
        return z->standard_s;
    int year = civil_of(utc_s + z->standard_s).year;
    int64_t start = change_in(&z->summer_starts, year) - z->standard_s;
    int64_t end = change_in(&z->summer_ends, year) - z->summer_s;
    bool summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
    return summer ? z->summer_s : z->standard_s;
}

int32_t zone_offset(const struct zone *z, int64_t utc_s)
{
    need(z->count <= ZONE_CHANGES);
    if (z->count == 0 || utc_s >= z->at_s[z->count - 1]) {
        if (z->goes_on)
            return offset_by_rule(z, utc_s);
        return z->count ? z->offset_s[z->count - 1] : z->first_s;
    }
    size_t low = 0, high = z->count; /* the changes before `low` are not after utc_s */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->at_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? z->offset_s[low - 1] : z->first_s;
}

int64_t zone_instant(const struct zone *z, int64_t local_s)
{
    /* The greater offset is the earlier instant. */
    int32_t before = zone_offset(z, local_s - DAY_S), after = zone_offset(z, local_s + DAY_S);
    int32_t larger = before > after ? before : after, smaller = before > after ? after : before;
    if (zone_offset(z, local_s - larger) == larger)
        return local_s - larger;
    if (zone_offset(z, local_s - smaller) == smaller)
        return local_s - smaller;
    /* A gap: the clocks jump over local_s at the instant sought. */
    int64_t low = local_s - SEARCH_S, high = local_s + SEARCH_S;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (middle + zone_offset(z, middle) >= local_s)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

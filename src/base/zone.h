/* zone.h - a time zone as a table: when which offset holds. Pure; os/zone.h reads one from the
 * system's files. Seconds are Unix time ("utc_s") or the same count as the clock on the wall shows
 * it ("local_s"). */
#pragma once

#include "base/when.h"

enum { ZONE_CHANGES = 1024 };

/* A day of the year as the last line of a zone file writes it. */
struct zone_day {
    enum {
        ZONE_DAY_JULIAN,
        ZONE_DAY_OF_YEAR,
        ZONE_DAY_OF_WEEK
    } kind;                        /* J1-J365 (no 29 Feb), 0-365, Mm.w.d */
    int day, month, week, weekday; /* week 5: the last one; weekday 0: Sunday */
    int32_t at_s;                  /* local time of the change, −167 h to 167 h */
};
struct zone {
    size_t count;
    int64_t at_s[ZONE_CHANGES];     /* ascending */
    int32_t offset_s[ZONE_CHANGES]; /* from then on; east is positive */
    int32_t first_s;                /* before the first change */
    bool goes_on;                   /* after the last change the rule below holds for ever */
    bool has_summer;
    int32_t standard_s, summer_s;
    struct zone_day summer_starts, summer_ends;
};

struct civil { /* a date and time as people write it */
    int year, month, day, hour, minute, second;
    int weekday; /* 0: Sunday */
};
struct civil civil_of(int64_t local_s);
int64_t civil_seconds(const struct civil *c); /* weekday is not looked at */

int32_t zone_offset(const struct zone *z, int64_t utc_s);
/* The instant at which the clocks of the zone show local_s: the first one when they show it twice,
 * and when they never do, the first instant after the gap. */
int64_t zone_instant(const struct zone *z, int64_t local_s);

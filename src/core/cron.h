/* cron.h - five-field cron in a time zone: minute hour day month weekday.
 *
 * Lists, ranges, steps, names (jan, mon), @hourly, @daily, @weekly, @monthly, @yearly. As ever with
 * cron, when both day and weekday are given either is enough. A field is a mask of 64 bits and the
 * next time is found by skipping, in at most CRON_STEPS steps, so no text costs more than that.
 *
 * A time that the clocks of the zone jump over is due at the first instant after the gap; one that
 * they show twice is due the first time only. */
#pragma once

#include "base/zone.h"

enum { CRON_STEPS = 10000, CRON_TEXT_MAX = 256 };
struct cron {
    uint64_t minutes, hours, days, months, weekdays; /* bit n: the value n counts */
    bool any_day, any_weekday;                       /* the field began with a star */
};
/* E_BAD_SYNTAX says which field and why. */
MUST_USE err cron_parse(struct span text, struct cron *out, struct fault *f);
/* The first due time after `after`; E_END when there is none within CRON_STEPS (30 February). */
MUST_USE err cron_next(const struct cron *c, const struct zone *z, wall after, wall *out_next);

/* when.h - two clocks that the compiler will not let you mix, and their texts.
 *
 * Nothing here reads a clock: that is os/clock.h. */
#pragma once

#include "base/span.h"

typedef struct {
    int64_t ms;
} mono; /* deadlines, durations: CLOCK_BOOTTIME, means nothing outside this boot */

typedef struct {
    int64_t ms;
} wall; /* what people and databases see: Unix time in milliseconds, UTC */

static inline mono mono_add(mono t, int64_t ms)
{
    return (mono){t.ms + ms};
}
static inline int64_t mono_left(mono deadline, mono now) /* >= 0 */
{
    return deadline.ms > now.ms ? deadline.ms - now.ms : 0;
}
static inline bool mono_past(mono deadline, mono now)
{
    return now.ms >= deadline.ms;
}

enum { WHEN_TEXT = 32 };
/* "2026-02-06T21:09:45Z"; with ms "…45.123Z". Buffer of WHEN_TEXT bytes; returns it. */
char *when_text(wall t, char out[WHEN_TEXT]);
char *when_text_ms(wall t, char out[WHEN_TEXT]);
/* RFC 3339 with Z or offset, or a bare date YYYY-MM-DD (start of the day, UTC). */
MUST_USE bool when_parse(struct span text, wall *out_time);
/* "Wed Jul 08 21:59:10 +0000 2026", as X's legacy.created_at. */
MUST_USE bool when_parse_x(struct span text, wall *out_time);
/* Duration such as "500ms", "30s", "5m", "2h", "7d". */
MUST_USE bool when_duration(struct span text, int64_t *out_ms);
/* Days since 1970-01-01 of a proleptic Gregorian date; month 1-12, day 1-31. */
int64_t when_days(int year, int month, int day);

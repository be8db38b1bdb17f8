/* steady.h - time as it passes, kept near the clock on the wall. What is due after so much elapsed time
 * goes by this one: when somebody sets the clock, it neither jumps nor stands still, but nears the
 * clock by at most a tenth of what passes. Pure. */
#pragma once

#include "base/when.h"

enum { STEADY_SLEW = 10 }; /* a tenth */
/* A clock that is further off than this was wrong altogether: it is followed at once. */
static const int64_t STEADY_FOLLOW_MS = INT64_C(30) * 86400 * 1000;

struct steady {
    wall at;
    mono seen;
    bool runs; /* false: starts at the wall's time when it is read first */
};
wall steady_now(struct steady *s, wall real, mono now);

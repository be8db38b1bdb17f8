/* steady.h - time as it passes, kept near the clock on the wall. What is due after so much elapsed time
 * goes by this one: when somebody sets the clock, it neither jumps nor stands still, but nears the
 * clock by at most a tenth of what passes, however far away that is. Pure. */
#pragma once

#include "base/when.h"

enum { STEADY_SLEW = 10 }; /* a tenth */
/* Nobody expects a clock to be this far ahead of when it was read last. */
static const int64_t STEADY_FAR_MS = INT64_C(30) * 86400 * 1000;
/* Clocks that keep themselves right are set back by less than this. */
static const int64_t STEADY_NEAR_MS = 60 * 1000;

struct steady {
    wall at;
    mono seen;
    bool runs; /* false: starts at the wall's time when it is read first */
};
wall steady_now(struct steady *s, wall real, mono now);

/* Where it goes on after a time in which nobody looked: never before `last`, when it was read last (0: never was). */
enum steady_start {
    STEADY_SOUND,
    STEADY_BEHIND, /* the clock on the wall is further behind than clocks are set back: one of the two is wrong */
    STEADY_AHEAD, /* it is far ahead: nobody looked for long, or it is wrong. It is followed */
};
enum steady_start steady_start(wall last, wall real, wall *out);

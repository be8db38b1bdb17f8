#include "core/steady.h"

static int64_t within(int64_t value, int64_t most)
{
    return value > most ? most : value < -most ? -most : value;
}

wall steady_now(struct steady *s, wall real, mono now)
{
    int64_t passed = s->runs && now.ms > s->seen.ms ? now.ms - s->seen.ms : 0;
    int64_t off = real.ms - (s->at.ms + passed);
    if (!s->runs)
        *s = (struct steady){.at = real, .seen = now, .runs = true};
    else if (passed >=
             STEADY_SLEW) /* less passed is counted the next time: a tenth of it is nothing */
        *s = (struct steady){.at = {s->at.ms + passed + within(off, passed / STEADY_SLEW)},
                             .seen = now,
                             .runs = true};
    else
        return (wall){s->at.ms + passed};
    return s->at;
}

enum steady_start steady_start(wall last, wall real, wall *out)
{
    *out = real.ms < last.ms ? last : real;
    if (last.ms == 0)
        return STEADY_SOUND;
    if (real.ms < last.ms - STEADY_NEAR_MS)
        return STEADY_BEHIND;
    return real.ms > last.ms + STEADY_FAR_MS ? STEADY_AHEAD : STEADY_SOUND;
}

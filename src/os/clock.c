#include "os/clock.h"

#include <time.h>

#include "base/need.h"

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    need(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

mono clock_mono(void)
{
    return (mono){read_us(CLOCK_BOOTTIME) / 1000};
}

wall clock_wall(void)
{
    return (wall){read_us(CLOCK_REALTIME) / 1000};
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

/* clock.h - the only place that reads time. */
#pragma once

#include "base/when.h"

mono clock_mono(void);       /* CLOCK_BOOTTIME: runs through suspend */
wall clock_wall(void);       /* CLOCK_REALTIME */
int64_t clock_mono_us(void); /* for measuring */

/* A descriptor that becomes readable when somebody sets the clock on the wall, or the machine wakes up:
 * timers that wait for a time of it are to be looked at again. */
MUST_USE err clock_watch_open(int *out_fd, struct fault *f);
void clock_watch_again(int fd); /* after it was readable */

/* clock.h - the only place that reads time. */
#pragma once

#include "base/when.h"

mono clock_mono(void); /* CLOCK_BOOTTIME: runs through suspend */
wall clock_wall(void); /* CLOCK_REALTIME */
int64_t clock_mono_us(void); /* for measuring */

/* meter.h - what went through a lane in the last ten minutes: jobs that came, started and ended, and how long
 * they waited for their start. Pure; times are store time in ms. */
#pragma once

#include "base/span.h"

enum {
    METER_SLICES = 10,
    METER_SLICE_MS = 60000,
    METER_WINDOW_MS = METER_SLICES * METER_SLICE_MS,
    METER_WAITS = 15
};
struct meter_slice {
    uint32_t accepted, started, ended, waits[METER_WAITS];
};
struct meter {
    int64_t slice; /* number of the newest one since 1970 */
    struct meter_slice slices[METER_SLICES];
};

enum meter_event { METER_ACCEPTED, METER_STARTED, METER_ENDED };
/* waited_ms: of a start. */
void meter_add(struct meter *m, enum meter_event event, int64_t waited_ms, int64_t now_ms);

/* Of the newest slices together, as many as fit into window_ms, one at least. Half of the starts came after p50_ms at most, 95 and 99 of a hundred after the others at most; −1: nothing
 * started. */
struct meter_sums {
    int64_t accepted, started, ended;
    int64_t waits[METER_WAITS];
    int64_t p50_ms, p95_ms, p99_ms;
    int64_t
        first_ms; /* begin of the oldest minute in which something started; 0: nothing did */
};
struct meter_sums meter_read(const struct meter *m, int64_t window_ms, int64_t now_ms);
/* Fills in the two times from the others. */
void meter_times(struct meter_sums *sums);
/* So many slices are in it. */
int64_t meter_slices(int64_t window_ms);
/* When a job starts that has so many before it, at the pace since first_ms; 0: nobody knows. */
int64_t meter_start_ms(const struct meter_sums *sums, int64_t ahead, int64_t from_ms,
                       int64_t now_ms);
/* Which of `waits` counts a start after this time; METER_WAITS - 1: longer than all others. */
int meter_wait_of(int64_t waited_ms);

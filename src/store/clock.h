/* clock.h - the time that a store lives in.
 *
 * `now` of its operations is that time: it passes as elapsed time does, is kept near the clock on the wall
 * (core/steady.h), and goes on over restarts. Instants that clients name (accept_args: run_at, expires, deadline; when
 * a breaker held by hand is let go; slots of cron) are of the clock on the wall: a job that never ran starts by that
 * one, whatever else is due by the other. */
#pragma once

#include "store/store.h"

/* After store_open(): when it began, and when it had been used last (0: never, or it cannot say). */
void store_clock_found(struct store *s, wall *out_at, wall *out_last);
/* How far the clock on the wall is ahead of `now` of the operations that follow; 0 until it is told. */
void store_clock_tell(struct store *s, int64_t real_ahead_ms);

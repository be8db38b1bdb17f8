/* schedules.h - fires schedules when they are due.
 *
 * Happy path: the store's outlook says when a schedule must be looked at → one timer until then → the store says
 * which are due (and looks after runs that ended) → core/schedule.c says which slots are to run, in the
 * schedule's time zone → the store makes their jobs and moves on, in one transaction each → the outlook
 * after it sets the timer anew. Nothing is polled: the end of a job moves the outlook too.
 *
 * Failure modes: the store takes no jobs (queue or disk full) or fails: asked again after a pause, the slots stay due
 * until their policy gives them up. Another instance was faster, or the schedule was changed meanwhile:
 * nothing was done, asked again. The clock is set: what is due is looked at anew; a slot that comes twice
 * has its job already. A time zone is no longer there: logged, that schedule is looked at hourly.
 *
 * Everything on the loop's thread. */
#pragma once

#include "core/schedule.h"
#include "loop/loop.h"
#include "store/thread.h"

struct schedules;
struct schedules_config {
    struct loop *loop;
    struct store_thread *store;
    /* A cancel was stored for a job that is running: the pool tells its worker now. */
    void (*cancelled)(void *ctx, struct span job_id, bool force);
    void *ctx;
};
MUST_USE err schedules_start(struct schedules **out, const struct schedules_config *config,
                             struct fault *f);
/* After every store_thread_collect(). */
void schedules_told(struct schedules *u, const struct outlook *outlook);
/* Now, by the clock that such a schedule goes by. */
wall schedules_clock(struct schedules *u, enum schedule_kind kind);
void schedules_drain(struct schedules *u); /* fires nothing from now on */
void schedules_free(
    struct schedules **u); /* the store thread has stopped, or nothing was told yet */

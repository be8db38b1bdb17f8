/* timetable.h - what stores of every kind decide about schedules in the same way: what may be asked, which slot comes next,
 * what an ended run says about the interval; and the words of their answers. Pure. */
#pragma once

#include "store/schedules.h"

/* ---- what people change ---- */

/* Name and job as they may be: E_BAD_INPUT. */
MUST_USE err timetable_asked(const struct schedule_put *p, struct fault *f);
/* E_STALE: it is at another revision than the one that was seen; -1: any. */
MUST_USE err timetable_revision(const struct schedule_view *v, int64_t seen, struct fault *f);
MUST_USE err timetable_none(struct span id, struct fault *f);    /* E_NOT_FOUND */
MUST_USE err timetable_taken(struct span name, struct fault *f); /* E_CONFLICT */
MUST_USE err timetable_full(struct fault *f);                    /* E_BUSY */
/* How far a schedule is and what comes next. */
struct timetable_place {
    int64_t interval_ms, anchor_ms, last_ms, next_ms;
};
/* Once it is as asked for. old: as it was; NULL: it is a new one. */
struct timetable_place timetable_place(const struct schedule_put *p,
                                       const struct schedule_view *old);
/* What it would be, for a dry run: from what it was to what was asked for. */
void timetable_preview(const struct schedule_put *p, const struct timetable_place *at, wall now,
                       struct schedule_view *v);

/* ---- slots ---- */

/* First slot of an interval after `after`; 0: none. Cron needs a zone, which the store's caller has. */
int64_t timetable_next(const struct schedule *rule, wall after);
/* When somebody has to look, for a slot that comes next; 0: never. */
int64_t timetable_wake(const struct schedule *rule, struct span id, int64_t next_ms);
/* Whether it is to be fired: its slot is there, or it is settled beyond now, because a clock was wrong. */
bool timetable_is_due(const struct schedule_view *v, wall clock);

/* ---- runs ---- */

/* A run that was asked for stands for no slot: the id of its job is of the instant, and of another name. */
void timetable_trigger_id(const struct schedule_view *v, wall at, char out[ID_TEXT]);
/* E_CONFLICT: a trigger meets a run that is alive. job empty: it is a pending one. */
MUST_USE err timetable_overlap(struct span job, struct fault *f);
/* Whether a trigger made a run or left one pending: else E_CONFLICT, E_BAD_INPUT. */
MUST_USE err timetable_triggered(const struct schedule_fired *done, struct fault *f);
/* What a run that ended says, in the order in which they were fired: how much was found, and of an adaptive schedule the
 * interval. The first run brings what was there all along, and says nothing about how much comes. *read_at_ms: when the
 * last run that ended well was fired; 0: there is none. */
struct timetable_ended {
    int64_t at_ms; /* fired */
    enum job_state state;
    int64_t found;
};
void timetable_note(struct schedule_view *v, int64_t *read_at_ms,
                    const struct timetable_ended *run);
/* Behind that: an adaptive schedule whose interval was was_ms counts on from its last slot; when the new interval is over
 * already, from now. */
void timetable_adapted(struct schedule_view *v, int64_t was_ms, wall elapsed);

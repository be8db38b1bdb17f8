/* schedule.h - when a schedule's runs are due, and what becomes of those that were missed or that
 * meet one still running. Pure; the store keeps the numbers. A schedule goes on by itself, whatever
 * becomes of its jobs. */
#pragma once

#include "base/id.h"
#include "core/cron.h"

enum schedule_kind { SCHEDULE_CRON, SCHEDULE_INTERVAL, SCHEDULE_ADAPTIVE };
/* Runs that were due while nobody was there. */
enum schedule_missed {
    SCHEDULE_SKIP, /* are not made up for */
    SCHEDULE_CATCH_UP, /* all of them, newest first to be kept, within catch_up_ms and catch_up_max */
    SCHEDULE_ONCE, /* the last one stands for all */
};
/* A run that is due while one of the same schedule is still alive. */
enum schedule_overlap {
    SCHEDULE_OVERLAP_SKIP,
    SCHEDULE_OVERLAP_QUEUE_ONE,
    SCHEDULE_OVERLAP_CANCEL,
    SCHEDULE_OVERLAP_ALLOW
};

struct schedule {
    enum schedule_kind kind;
    struct cron cron;
    /* elapsed time, counted from `start`; an adaptive one carries its present value */
    int64_t interval_ms;
    int64_t least_ms, most_ms; /* bounds of an adaptive interval */
    int64_t posts_wanted;      /* new posts a run of an adaptive schedule should find */
    int64_t jitter_ms;         /* starts are spread over so much, the same for every slot */
    wall start, end;           /* no run before or after; end 0: for ever */
    enum schedule_missed missed;
    enum schedule_overlap overlap;
    int64_t catch_up_ms;
    int catch_up_max; /* 0: SCHEDULE_CATCH_UP_MAX */
    int64_t grace_ms; /* a run so late is not missed, only late */
};
enum { SCHEDULE_CATCH_UP_MAX = 100 };

/* First slot after `after`; E_END when there is none. */
MUST_USE err schedule_next(const struct schedule *s, const struct zone *z, wall after,
                           wall *out_slot);
/* Slots in (last, now] that are to run, oldest first, at most SCHEDULE_CATCH_UP_MAX; *out_last is the
 * last slot that is settled (run or passed over): the caller stores it. When the clock was set back,
 * `last` lies ahead of now: it is looked from now on then, so that no schedule waits for a time that was
 * wrong; a slot that comes a second time has the id of the first. */
size_t schedule_due(const struct schedule *s, const struct zone *z, wall last, wall now,
                    wall out_slots[SCHEDULE_CATCH_UP_MAX], wall *out_last);
/* The same with all that is to be stored of it: */
struct schedule_settled {
    wall slots[SCHEDULE_CATCH_UP_MAX];
    size_t count;
    int64_t missed; /* slots that passed and are not to run; counted up to 100 000 */
    wall settled;
    int64_t next_ms; /* slot after that; 0: none */
};
/* `schedule` is its id: it decides its share of the jitter, by which each slot is late. */
void schedule_settle(const struct schedule *s, const struct zone *z, struct span schedule,
                     wall last, wall now, struct schedule_settled *out);
/* The id of the slot's job: the same on every node, so that insert-if-absent makes it unique
 * without a leader. */
void schedule_slot_id(char out[ID_TEXT], struct span schedule, wall slot);
/* When the job of a slot may start: the slot and this schedule's own share of the jitter. */
wall schedule_start(const struct schedule *s, struct span schedule, wall slot);

enum schedule_go {
    SCHEDULE_GO,            /* make the job */
    SCHEDULE_GO_PASS,       /* leave the slot out */
    SCHEDULE_GO_AFTER,      /* make it, to start when the running one has ended */
    SCHEDULE_GO_AND_CANCEL, /* make it and cancel the running one */
};
enum schedule_go schedule_meet(enum schedule_overlap o, bool running, bool waiting);

/* The next interval of an adaptive schedule after a run that found so many new posts since the run
 * elapsed_ms before: aims at posts_wanted, changes at most by two, stays within the bounds. */
int64_t schedule_adapt(const struct schedule *s, int64_t new_posts, int64_t elapsed_ms);

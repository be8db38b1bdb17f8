/* schedules.h - schedules in the store: what is to run and when, and what became of each run.
 *
 * When a slot is due is for core/schedule.h to say, and for the caller, who has the time zones; the
 * store keeps how far a schedule is settled, and makes the jobs. Firing is one transaction: for each slot
 * the overlap policy is decided on the schedule's jobs as they are, the job is made unless its slot has one,
 * and the last settled slot moves, when it is still the one that the caller saw. So any number of
 * instances may fire at once. Nothing that becomes of a job keeps the next run from coming: that
 * a job has ended is noted with its end (a trigger of the schema), and looked at by
 * store_schedules_due(). Runs are kept SCHEDULE_RUNS_KEPT long.
 *
 * Two clocks: cron goes by the wall; intervals by elapsed time (core/steady.h). Slots and `now` of the
 * operations below that take a `slot_now` are of the schedule's own clock. As in store.h, writing needs an
 * open group; texts in replies live in the arena. */
#pragma once

#include "core/schedule.h"
#include "store/store.h"
#include "store/ticket.h"

enum {
    SCHEDULE_NAME_MAX = 64,
    SCHEDULES_MAX = 10000,
    SCHEDULE_RUNS_KEPT = 500, /* of one schedule */
    SCHEDULES_DUE_MAX = 16,
    SCHEDULE_CANCELS_MAX = 16,
    SCHEDULE_JOB_MAX = 32768, /* what is asked of each run, as it was given */
};

struct schedule_terms {     /* as asked for */
    struct span cron, zone; /* of SCHEDULE_CRON, else empty */
    struct schedule rule;   /* rule.cron is read from `cron`; rule.start 0: not given */
};

enum schedule_run_state {
    SCHEDULE_RUN_PENDING, /* its job is made when the running one has ended */
    SCHEDULE_RUN_LIVE,    /* it has a job, which has not ended */
    SCHEDULE_RUN_ENDED,
    SCHEDULE_RUN_SKIPPED,
};
enum schedule_cause { SCHEDULE_BY_SLOT, SCHEDULE_BY_TRIGGER, SCHEDULE_BY_BACKFILL };
enum schedule_why {
    SCHEDULE_WHY_NONE,
    SCHEDULE_WHY_OVERLAP, /* an earlier run was still alive */
    SCHEDULE_WHY_MISSED,  /* nobody was there, and the policy makes no run up */
    SCHEDULE_WHY_PAUSED,  /* it was pending when the schedule was paused */
    SCHEDULE_WHY_REFUSED, /* the job is not acceptable any more */
};
const char *schedule_run_state_name(enum schedule_run_state s);
const char *schedule_cause_name(enum schedule_cause c);
const char *schedule_why_name(enum schedule_why w); /* NULL for none */

struct schedule_view {
    char id[ID_TEXT];
    struct span tenant, name;
    /* rule.start is where slots are counted from, rule.interval_ms the present one */
    struct schedule_terms terms;
    int64_t start_given_ms; /* 0: not given */
    struct span ticket;     /* store/ticket.h */
    struct span job;        /* JSON as it was given */
    int64_t paused_ms;      /* since when; 0: it is not */
    struct span paused_by, paused_why;
    wall last;              /* settled up to here */
    int64_t next_ms;        /* slot that comes next; 0: none */
    char last_job[ID_TEXT]; /* empty: none yet */
    int64_t fired, skipped, missed;
    int64_t last_found; /* posts that were new to the last run that ended well; −1: none yet */
    int64_t live, pending;                    /* runs */
    int64_t revision, created_ms, updated_ms; /* revision: of what people change */
};

/* ---- what people change ---- */
struct schedule_put {
    struct span id;           /* new one's, "sch_…"; or whose: id or name */
    struct span tenant, name; /* name: of a new one, or its new name */
    struct schedule_terms terms;
    struct accept_args job;
    struct span job_text;
    bool create;
    int64_t revision; /* of a change: must be this one; −1: any */
    wall slot_now;    /* by its own clock */
    int64_t next_ms;  /* cron: first slot after slot_now; 0: none */
    bool dry;         /* only say what would be */
};
/* E_CONFLICT: the name is taken; E_STALE: another revision; E_NOT_FOUND; E_BUSY: too many. A change of
 * when it runs settles everything up to now; any other leaves the next slot as it is. */
MUST_USE err store_schedule_put(struct store *s, const struct schedule_put *args, wall now,
                                struct arena *a, struct schedule_view *out, struct fault *f);
struct schedule_ask {       /* one schedule, and what to do with it */
    struct span tenant, id; /* id or name */
    int64_t revision;       /* −1: any */
    bool dry;
    /* pausing, resuming */
    bool paused;
    struct span by, why;
    wall slot_now;   /* resuming, triggering */
    int64_t next_ms; /* resuming a cron one */
};
/* Its runs go with it; a job that it made goes on. E_NOT_FOUND, E_STALE. */
MUST_USE err store_schedule_delete(struct store *s, const struct schedule_ask *args,
                                   struct fault *f);
/* To the state that it has already: nothing changes. Slots that pass while it is paused are not missed: there
 * are none. A pending run is dropped. */
MUST_USE err store_schedule_pause(struct store *s, const struct schedule_ask *args, wall now,
                                  struct arena *a, struct schedule_view *out, struct fault *f);

struct schedule_fired {
    /* somebody else settled these slots, or the schedule was changed or deleted: nothing
     * was done */
    bool stale;
    int64_t made, known, pending, skipped; /* known: had a job already */
    char last_job[ID_TEXT];
    size_t cancels; /* running jobs that were asked to stop: */
    char cancelled[SCHEDULE_CANCELS_MAX][ID_TEXT];
};
/* One run now, whatever the time is, also of a paused schedule. E_CONFLICT: one is alive, and the
 * policy leaves it out then. */
MUST_USE err store_schedule_trigger(struct store *s, const struct schedule_ask *args, wall now,
                                    struct arena *a, struct schedule_fired *out,
                                    struct fault *f);
struct schedule_backfill {
    struct span tenant, id;
    const wall *
        slots; /* passed ones; each gets its job unless it had one. The overlap policy is not asked */
    size_t count; /* at most SCHEDULE_CATCH_UP_MAX */
    bool dry;
};
MUST_USE err store_schedule_backfill(struct store *s, const struct schedule_backfill *args,
                                     wall now, struct arena *a, struct schedule_fired *out,
                                     struct fault *f);

/* ---- what time brings ---- */
struct schedules_due {
    struct schedule_view *due; /* at most SCHEDULES_DUE_MAX */
    size_t count;
};
/* Looks after runs whose job has ended: a pending one gets its job, an adaptive interval is set anew.
 * Then: whose next slot is due, by the wall's time and by elapsed time. set_back: also those that are settled
 * beyond now, because a clock was wrong. */
MUST_USE err store_schedules_due(struct store *s, wall now, wall elapsed, bool set_back,
                                 struct arena *a, struct schedules_due *out, struct fault *f);
struct schedule_fire {
    struct span id;   /* sch_… */
    int64_t revision; /* as they were seen */
    wall last;
    const wall *slots; /* to run, oldest first */
    size_t count;
    int64_t missed; /* slots that are not run */
    wall settled;
    int64_t next_ms; /* slot after that; 0: none */
};
/* When the store takes no jobs now (E_BUSY, E_DISK_FULL) what could not be made stays due. */
MUST_USE err store_schedule_fire(struct store *s, const struct schedule_fire *args, wall now,
                                 struct arena *a, struct schedule_fired *out, struct fault *f);

/* ---- queries ---- */
/* By id or name. E_NOT_FOUND. */
MUST_USE err store_schedule(struct store *s, struct span tenant, struct span id,
                            struct arena *a, struct schedule_view *out, struct fault *f);
struct schedules_query {
    struct span tenant, after; /* name of the last one seen; empty: from the first */
    size_t limit;              /* 1-500 */
};
struct schedules_list {
    struct schedule_view *rows;
    size_t count;
};
MUST_USE err store_schedules(struct store *s, const struct schedules_query *q, struct arena *a,
                             struct schedules_list *out, struct fault *f);
struct schedule_run {
    int64_t n; /* grows; pass it as `after` */
    wall slot;
    enum schedule_cause cause;
    enum schedule_run_state state;
    enum schedule_why why;
    int64_t slots; /* that this one stands for */
    char job[ID_TEXT];
    int64_t at_ms;            /* fired or passed over */
    int64_t ended_ms;         /* of its job; 0: not yet */
    enum job_state job_state; /* when it has ended */
    int64_t found;            /* records; when it has ended */
};
struct schedule_runs_query {
    struct span tenant, id;
    int64_t before; /* n of the last one seen; 0: from the newest */
    size_t limit;   /* 1-500 */
};
struct schedule_runs {
    struct schedule_run *rows;
    size_t count;
};
/* Newest first. E_NOT_FOUND. */
MUST_USE err store_schedule_runs(struct store *s, const struct schedule_runs_query *q,
                                 struct arena *a, struct schedule_runs *out, struct fault *f);

/* model.h - the queue as its design describes it: plain arrays, no I/O, no clock. The definition of
 * correct, against which the store is compared and which the explorer walks through wholly.
 *
 * Every operation takes the state, decides, changes it and answers; a refused one changes nothing.
 * Written from the design and not from the store, and without the rules of src/core, so that a
 * mistake there cannot hide here. Jobs, keys and items are numbers (0: none). Times are ms.
 *
 * Every field is an int64_t: a state is an array of numbers that can be compared, packed, printed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_JOBS = 96,
    MODEL_PEEK =
        16, /* jobs of a lane, with or without a page, of which one is to fit a worker */
    MODEL_LANES = 6,
    MODEL_TENANTS = 3,
    MODEL_SESSIONS = 4,
    MODEL_WORKERS = 4,
    MODEL_BATCHES = 4,
    MODEL_ITEMS = 16,
};

static const int64_t MODEL_HELD = 9007199254740991; /* never comes */

enum model_state {
    MODEL_BLOCKED,
    MODEL_SCHEDULED,
    MODEL_READY,
    MODEL_ACTIVE,
    MODEL_SUCCEEDED,
    MODEL_DEAD,
    MODEL_CANCELLED,
    MODEL_EXPIRED
};
enum model_breaker { MODEL_CLOSED, MODEL_OPEN, MODEL_HALF_OPEN };

enum model_word { /* what an operation answers */
                  MODEL_OK,
                  MODEL_NONE,       /* no such job, or nothing to start */
                  MODEL_EXISTS,     /* this id, or this request, was accepted before */
                  MODEL_OTHER_BODY, /* the request key was used with another body */
                  MODEL_TAKEN,      /* a live job has this unique key: `job` */
                  MODEL_FULL,
                  MODEL_DRAINING,
                  MODEL_STALE,     /* the lease is not the current one */
                  MODEL_DUPLICATE, /* this batch was committed before */
                  MODEL_GAP,       /* not the next batch */
                  MODEL_ASKED,     /* the running job was asked to stop */
                  MODEL_FINAL,     /* not possible in this state: `state` */
};
struct model_reply {
    enum model_word word;
    int64_t job, fence, state, session;
    int64_t added, have; /* of a batch */
    int64_t n;           /* promoted, reaped, expired, deleted */
    int64_t suspected;
    bool cancel; /* of a heartbeat */
};

/* Which counter a lease is charged to, and what the ending says about the site. */
enum model_budget {
    MODEL_DONE,
    MODEL_PERMANENT,
    MODEL_FAIL,
    MODEL_CRASH,
    MODEL_THROTTLE,
    MODEL_RELEASE,
    MODEL_VOID
};
enum model_sign { MODEL_NO_VERDICT, MODEL_HEALTHY, MODEL_UNHEALTHY };
struct model_ending {
    enum model_budget budget;
    enum model_sign sign;
    int64_t hint_ms;      /* the server's own time; 0 none */
    int64_t session_rest; /* the session cools down so long; 0 none */
};

/* Numbers of the design, and the places where somebody does otherwise. A store that departs says so
 * by a row of the differential runner's table; nothing here departs by itself. */
struct model_rules {
    int64_t fail_max, crash_max, throttle_max, release_max;
    int64_t lease_ms, suspect_ms, aging_ms, stride;
    int64_t breaker_fails, breaker_open_ms, breaker_open_max_ms;
    int64_t window_least; /* half of so many endings being unhealthy opens too; 0 off */
    int64_t window_ms;
    int64_t waiting_max, active_max; /* of all lanes; 0 = any number */
    int64_t hint_max_ms;
    int64_t pace_least, pace_clean_ms; /* percent; 0 off */
    bool amnesty;
    /* Delay before the n-th try of its kind; hint_ms as given by the server. */
    int64_t (*delay)(int64_t job, int64_t n, int64_t hint_ms);

    /* Departures. */
    bool any_active_writes; /* the mutation: "state is running" in place of the fence */
    bool reap_at_once;      /* the mutation: no suspect pass */
    bool throttle_is_fail;  /* the mutation: a 429 is charged to the failures */
    bool probe_forgotten; /* the mutation: a probe without verdict leaves the lane half open */
    bool prio_forgotten;  /* the mutation: what a lane says of the priority does not count */
    bool pace_forgotten;  /* the mutation: a rate stays as it is when the site asks to wait */
    bool depth_forgotten; /* the mutation: a full lane takes one more */
    bool open_counts;     /* endings that come while the breaker is open count too */
    bool trips_alike;     /* every opening is as long as the first */
    /* a lease that lapsed before its worker confirmed the start is a crash too */
    bool lost_is_crash;
    /* a permanent failure stays `dead` though somebody asked to cancel */
    bool permanent_stands;
    bool released_by_time; /* a released job is ranked by now, not in front of its lane */
    bool progress_renews;  /* a batch that added items starts the budgets over */
    /* a replay starts the budgets in a row over, in place of raising their bounds */
    bool replay_renews;
    bool replay_bounded;   /* a queue that is full, or takes nothing new, takes nobody back */
    bool progress_healthy; /* an attempt that added items says that the site is healthy */
    bool crash_at_once;    /* no delay after the first crash */
    bool crash_pace; /* each further one waits longer, whatever the job brought in between */
    bool attempts_together; /* crashes count as attempts that failed, too */
    int64_t starts_max;     /* leases of a generation; 0 any number */
    int64_t releases_free;  /* after so many in a row a released job waits; 0 never */
    bool bad_once_per_job;  /* errors of one job in a row count once for the breaker */
    bool amnesty_lapsed;    /* the amnesty is for lapsed leases only */
    bool turns_stay;        /* a restart of one node forgets nothing of lanes and tenants */
    bool items_by_job; /* each job keeps its own reading of an item, the first one stands */
};

struct model_job {
    int64_t id, seq, lane, state, prio, rank, run_at, expires_at, deadline_at;
    int64_t fence, nonce, epoch, worker, session, lease_until, suspect, started, cancel_asked;
    int64_t n_fail, n_crash, n_throttle, n_release, n_ok, n_void;
    int64_t fail_base, crash_base, release_base, progressed;
    int64_t generation, next_batch, cursor, unique, key, body;
    int64_t batch, waits_for;  /* child of that batch; blocked until that batch is done */
    int64_t limit, have, seen; /* seen: bit set of items (0-63) */
    int64_t fail_max;          /* of its own; 0 as the rules say */
    int64_t page, memory;      /* that it takes; memory 0: it does not say */
    int64_t finished_at;
    int64_t held_from; /* of a held job, whose run_at is MODEL_HELD: when it could start else */
};
struct model_lane {
    int64_t born, tenant, weight, max_active, emit_ms, burst, pool;
    int64_t depth,
        drops;    /* jobs that may wait, 0 = any number; the last makes way for a better one */
    int64_t prio; /* of a job that names none, + 1; 0: 5 */
    int64_t quarantine; /* lane + 1 where its jobs go that crashed; 0 none */
    int64_t tat, blocked_until, paused, pass;
    int64_t pace, clean_since; /* percent of its rate that it uses, 0: all */
    int64_t breaker, fails, until, trips, last_bad, window_from, window_seen, window_bad;
};
struct model_session {
    int64_t pool, used_at, blocked_until, emit_ms, tat;
};
struct model_worker {
    int64_t request, job, nonce;
};
struct model_item {
    int64_t id, version, job, epoch, fence, writes;
};
struct model {
    int64_t vtime[MODEL_TENANTS]; /* of the lanes of each */
    int64_t tenant_vtime, tenant_pass[MODEL_TENANTS],
        tenant_weight[MODEL_TENANTS]; /* weight 0: 100 */
    int64_t seq, epoch, lanes_born, reaped_at, draining;
    int64_t lane_count, session_count, item_count, job_count;
    int64_t tenant_max[MODEL_TENANTS]; /* active jobs; 0 = any number */
    int64_t sealed[MODEL_BATCHES];
    struct model_worker workers[MODEL_WORKERS];
    struct model_lane lanes[MODEL_LANES];
    struct model_session sessions[MODEL_SESSIONS];
    struct model_item items[MODEL_ITEMS];
    struct model_job jobs[MODEL_JOBS]; /* in the order of seq; only job_count of them count */
};

/* The numbers of the design (breaker 5 and 20, aging 30 s, releases 1000 …), no departures. */
struct model_rules model_rules_of_design(void);
/* Those of the Python prototype, which is simpler, in its smallest world. */
struct model_rules model_rules_of_prototype(void);
void model_init(struct model *m);
void model_lane_add(struct model *m, struct model_lane lane);
void model_session_add(struct model *m, struct model_session session);

enum model_conflict { MODEL_RETURN_EXISTING, MODEL_REJECT, MODEL_REPLACE_WAITING };
struct model_accept {
    int64_t id, lane, prio, run_at, unique, key, body, batch, waits_for, limit, expires_at,
        deadline_at, fail_max, page, memory; /* fail_max: of its own; 0 as the rules say */
    int64_t prio_free; /* it names no priority: that of its lane, or the normal one */
    enum model_conflict conflict;
};
struct model_reply model_accept(struct model *m, const struct model_rules *r,
                                const struct model_accept *a, int64_t now);
struct model_reply model_promote(struct model *m, const struct model_rules *r, int64_t limit,
                                 int64_t now);
/* request 0: not named; the same one again from the same worker answers the same lease. memory: only jobs that say at most so
 * much; 0 any. least: only those that say so much at least. */
struct model_reply model_reserve(struct model *m, const struct model_rules *r, int64_t worker,
                                 int64_t request, int64_t nonce, int64_t memory, int64_t least,
                                 int64_t lease_ms, int64_t now);
/* A lease as its worker knows it. */
struct model_lease {
    int64_t job, nonce, epoch;
};
struct model_reply model_started(struct model *m, const struct model_rules *r,
                                 struct model_lease l);
struct model_reply model_heartbeat(struct model *m, const struct model_rules *r,
                                   struct model_lease l, int64_t lease_ms, int64_t now);
struct model_batch_item {
    int64_t id, version;
};
struct model_reply model_commit(struct model *m, const struct model_rules *r,
                                struct model_lease l, int64_t batch,
                                const struct model_batch_item *items, size_t count,
                                int64_t cursor);
struct model_reply model_finish(struct model *m, const struct model_rules *r,
                                struct model_lease l, struct model_ending ending, int64_t now);
struct model_reply model_reap(struct model *m, const struct model_rules *r, int64_t limit,
                              int64_t now);
struct model_reply model_cancel(struct model *m, const struct model_rules *r, int64_t job,
                                bool force, int64_t now);
struct model_reply model_replay(struct model *m, const struct model_rules *r, int64_t job,
                                bool reset, int64_t now);
/* A job that waits is changed: -1 stays as it is. */
enum model_hold { MODEL_HOLD_SAME, MODEL_HOLD_ON, MODEL_HOLD_OFF };
struct model_change {
    int64_t job, prio, run_at, expires_at, deadline_at, limit;
    enum model_hold hold;
};
struct model_reply model_alter(struct model *m, const struct model_rules *r,
                               const struct model_change *c, int64_t now);
struct model_reply model_expire(struct model *m, const struct model_rules *r, int64_t now);
struct model_reply model_retain(struct model *m, int64_t before, int64_t limit);
struct model_reply model_seal(struct model *m, const struct model_rules *r, int64_t batch,
                              int64_t now);
/* The service starts anew: its workers died with it, so every lease is given back unblamed. */
void model_restart(struct model *m, const struct model_rules *r, int64_t now);
/* A backup is opened: leases of the time before are void. */
void model_restore(struct model *m);

struct model_job *model_find(struct model *m, int64_t id);
bool model_may_start(const struct model *m, int64_t lane, int64_t now);
/* NULL, or which invariant is broken. */
const char *model_check(const struct model *m, const struct model_rules *r);
const char *model_state_name(int64_t state);

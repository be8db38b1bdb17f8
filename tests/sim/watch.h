/* watch.h - looks over the store's shoulder: every operation of the simulation goes through here, is
 * done by the real store, and what came of it is held against the promises of the queue.
 *
 * It believes nothing that the store keeps: who holds a lease, which batches were taken, when a lane
 * may start again is known from the answers alone. A promise that does not hold ends the run with its
 * name (watch_broken). Times are store time in ms. */
#pragma once

#include "store/store.h"

/* The first lanes are asked for; jobs that ended their worker's life go on in the others. */
enum {
    WATCH_JOBS = 96,
    WATCH_ASKED = 3,
    WATCH_LANES = 5,
    WATCH_STARTS = 32,
    WATCH_BATCH = 3,
    WATCH_WHY = 400
};

struct watch_job {
    bool exists, acknowledged;
    bool cancelled;  /* the answer said that it will never start */
    bool progressed; /* this lease brought records */
    enum job_state state;
    int64_t lane, fence, ends, next_batch, not_before, successes;
    uint64_t nonce;      /* of the lease in force; 0: none */
    uint64_t last_nonce; /* of the lease that ended last */
    int64_t lapses_ms;   /* the lease may be taken for lost from then on */
};
struct watch_lane {
    int64_t active, blocked_until, breaker_until;
    int64_t starts[WATCH_STARTS], count; /* times of the last starts, newest last */
};
/* What was seen; a copy is what was true before the group that was lost. */
struct watch_seen {
    struct watch_job jobs[WATCH_JOBS];
    struct watch_lane lanes[WATCH_LANES];
    int64_t last_event;
    int64_t startable, next_ms; /* as last announced */
};
/* How often each thing happened that a run is there for. */
/* clang-format off */
#define WATCH_SIGHTS(X)                                                                          \
    X(starts) X(stale) X(duplicates) X(successes) X(deaths) X(cancels) X(reaped) X(suspected)     \
    X(replayed) X(throttled) X(breakers) X(lost_groups) X(restarts) X(full_lanes) X(late_renewals) X(quarantined)
/* clang-format on */
#define X(name) SIGHT_##name,
enum watch_sight { WATCH_SIGHTS(X) SIGHTS };
#undef X

/* A mistake put in on purpose: each must be found. */
enum watch_mistake {
    MISTAKE_NONE,
    MISTAKE_FENCE, /* a call with an old nonce is given the present one */
    MISTAKE_EARLY, /* reserve believes it is a minute later */
    MISTAKE_LOSS,  /* a group is acknowledged and not written */
    MISTAKE_TWICE, /* a batch that comes again is written again */
    MISTAKE_SLEEP, /* what falls due is not announced */
    MISTAKES
};

struct watch {
    struct store *s;
    struct store_limits limits;
    const char *dir;
    uint64_t store_seed;
    int64_t round; /* of storms on one store; each has its own jobs */
    struct watch_seen seen, saved;
    int64_t sights[SIGHTS];
    enum watch_mistake mistake;
    bool in_group;
    bool kept; /* the files of before the group lie beside those of the store */
    struct arena *a;
    void (*broken)(void *ctx, const char *why); /* does not return */
    void *ctx;
};

extern const char *const watch_lane_names[WATCH_LANES];
extern const char *const watch_sight_names[SIGHTS];

void watch_open(struct watch *w, int64_t now);
void watch_close(struct watch *w);
/* The power fails, outside of a group or in one that was begun to be lost: then the files are what they
 * were before it. The service comes back. */
void watch_power(struct watch *w, int64_t now);
void watch_begin(struct watch *w, int64_t now, bool to_be_lost);
void watch_commit(struct watch *w, int64_t now);

/* The clock was set; it showed `before`. What was due by then stays so, and times between starts say
 * nothing any more. */
void watch_clock(struct watch *w, int64_t before);

void watch_job_id(const struct watch *w, int64_t job, char out[ID_TEXT]);
int64_t watch_batches(int64_t job); /* that it takes to the end; 1-4 */
err watch_accept(struct watch *w, int64_t job, int64_t lane, int prio, uint64_t hash,
                 int64_t now);
struct watch_lease {
    int64_t job, next_batch;
    uint64_t nonce;
};
err watch_reserve(struct watch *w, uint64_t random, int64_t now, struct watch_lease *out);
err watch_started(struct watch *w, int64_t job, uint64_t nonce, int64_t now);
err watch_heartbeat(struct watch *w, int64_t job, uint64_t nonce, int64_t now,
                    bool *out_cancel);
err watch_records(struct watch *w, int64_t job, uint64_t nonce, int64_t batch, int64_t now);
struct watch_ending {
    enum failure_class failure;
    enum failure_budget budget;
    int64_t wait_ms;
};
err watch_finish(struct watch *w, int64_t job, uint64_t nonce, struct watch_ending e,
                 int64_t now);
err watch_cancel(struct watch *w, int64_t job, int64_t now, bool *out_active);
void watch_tend(struct watch *w, int64_t now);
/* The instant at which something falls due; `startable` work as of now in seen.startable. */
int64_t watch_ahead(struct watch *w, int64_t now);
/* Every job and every record once more; at the end all are ended, `all_over`. */
void watch_audit(struct watch *w, int64_t now, bool all_over);
/* Everything is deleted and nothing is left. */
void watch_clear(struct watch *w, int64_t now);
/* After that: the next storm on the same store, with jobs of its own. */
void watch_next_round(struct watch *w, int64_t now);

/* store.h - the queue and its results: operations and their contract (queue.md).
 *
 * Synchronous; each operation is one decision and one set of writes; each takes `now` (store time,
 * Unix ms). Decide everything, then write: a refused operation leaves the state as it was. Between
 * store_begin() and store_commit() any number of operations form a group with ONE fsync; an
 * operation's answer may be given out only after store_commit() returned E_OK. Writing operations
 * need an open group, queries do not. A failed commit is *unknown*, not absent. One thread uses a
 * store; others go through store/thread.h.
 *
 * Texts in arguments are borrowed for the call; texts in replies live in the arena given. */
#pragma once

#include "base/arena.h"
#include "base/id.h"
#include "os/digest.h"
#include "base/when.h"
#include "core/drift.h"
#include "core/failure.h"
#include "core/job.h"
#include "core/limit.h"
#include "core/retry.h"
#include "core/unique.h"
#include "core/usage.h"
#include "core/verdict.h"
#include "store/durability.h"

struct store;

enum {
    LANE_NAME = 128,
    STORE_CURSOR_MAX = 8192,
    STORE_SPEC_MAX = 65536,
    STORE_MARK_POSTS = 200,
    STORE_TARGET_MAX = 4096,
    STORE_WHY_MAX = 200,
    STORE_FAIL_MAX = 100, /* of struct accept_args, as of job.fail_max */
};

/* How far a target was read: the newest posts that its jobs have brought. Kept for each site, kind,
 * target and variant, longer than the jobs, and moved with the end of a job that ended well. */
enum store_mark {
    MARK_STAYS,         /* the job says nothing about the newest posts of the list */
    MARK_WHEN_COMPLETE, /* an ordinary job: moved when it has the list to its end */
    MARK_USED,          /* the job asks for what is new: gets the mark, and moves it */
};

/* What holds a lane up: the labels of METRIC_LANES. */
enum lane_word {
    LANE_OPEN,
    LANE_FULL,
    LANE_BLOCKED,
    LANE_BREAKER_OPEN,
    LANE_PAUSED,
    LANE_SESSION,
    LANE_WORDS
};
const char *lane_word_name(enum lane_word w);

/* What the service as a whole does. */
enum store_mode {
    MODE_NORMAL,
    MODE_PAUSED,      /* takes jobs, starts none */
    MODE_DRAINING,    /* takes no jobs, finishes those that it has */
    MODE_MAINTENANCE, /* takes none, starts none */
    MODES
};

/* What a job takes while it runs; more needs include the lesser. */
enum store_needs { NEEDS_NOTHING, NEEDS_PAGE, NEEDS_COUNT };

struct store_limits { /* from settings; budgets of new jobs, lane defaults */
    int64_t ready_max, disk_floor_bytes;
    int64_t fail_max, crash_max, throttle_max;
    int64_t retry_base_ms, retry_cap_ms;
    int64_t lane_max_active, lane_emit_ms, lane_burst;
    struct limit_pace_policy pace;
    int64_t retry_floor, retry_percent; /* of a lane's starts in ten minutes: core/limit.h */
    int64_t lanes_max;                  /* 0: LANES_MAX */
    int64_t active_max;                 /* jobs at once in all lanes; 0 any number */
    int64_t lease_ms, attempt_ms;
    int64_t
        rollback_ms; /* so long after an upgrade the version before may come back: sqlite/upgrade.h */
    int64_t evidence_age_ms, evidence_bytes, evidence_job_bytes, evidence_job_count;
};

enum { LANES_MAX = 200000 };

/* Opens or makes STATE_DIR/fulmar.db (0600), checks the schema version, takes the lock file
 * (E_CONFLICT names the pid that holds it). Read-only or full directories give E_STORE/E_DISK_FULL
 * with the way out. Leases of an earlier process are released at once (n_release when the worker
 * never confirmed, else n_crash is NOT charged either: the service died, not the job). */
MUST_USE err store_open(struct store **out, const char *state_dir,
                        const struct store_limits *limits, uint64_t seed, wall now,
                        struct fault *f);
void store_close(struct store **s);

MUST_USE err store_begin(struct store *s, struct fault *f);
MUST_USE err store_commit(struct store *s,
                          struct fault *f); /* on error: rolled back, handle reopened */
/* Between groups, when nothing waits: moves a long write-ahead log into the file. */
void store_idle(struct store *s);

/* REJECTED: read, but failed a check, kept apart; CONFLICT: two readings of one record disagree. */
enum item_kind {
    ITEM_POST = 0,
    ITEM_USER = 1,
    ITEM_UNAVAILABLE = 2,
    ITEM_REJECTED = 3,
    ITEM_CONFLICT = 4
};

/* ---- accept ---- */
struct accept_args {
    struct span id;     /* "job_…", made by the caller */
    struct span site;   /* "x" */
    struct span kind;   /* "posts" */
    struct span target; /* canonical input: "nasa" */
    /* "default/x/normal", with a pool "default/x/normal@POOL.OPERATION": core/lane.h; its
     * tenant is the job's */
    struct span lane;
    /* of sessions (sessions.h), one of which it is leased with; empty: none */
    struct span pool, operation;
    /* JSON of the options: limit, since, until; kept as given. The store itself looks for the callback in it
     * (core/options.h): the event with which the job ends names it, as `callback`, and goes to that webhook; when there is
     * no such webhook then it says `callback_dropped` instead */
    struct span spec;
    int64_t limit; /* records wanted, of the kind below; 0 = all */
    /* what the job is there for: ITEM_POST or ITEM_USER. Limit, have, progress and verdict
     * count these */
    enum item_kind counts;
    int prio; /* 0-9, 5 normal */
    /* nobody chose that: where the lane has a default priority as the job comes in, it gets this */
    bool prio_of_lane;
    enum store_mark mark;
    struct span variant; /* what else decides which list it is; empty: nothing */
    enum store_needs needs;
    int64_t memory_bytes; /* that its worker and page will take; 0: nobody knows */
    int64_t run_at_ms;    /* not before; 0 now */
    /* an instant: waits until then at most, then ends as expired; 0 for ever */
    int64_t expires_ms;
    int64_t deadline_ms; /* an instant after which nobody wants it: not tried again; 0 none */
    /* an attempt may take so long, so long without progress; 0 as configured */
    int64_t attempt_ms, stall_ms;
    int64_t max_fail; /* failed attempts in a row after which it ends; 0 as configured */
    /* of this request, per tenant, for STORE_KEY_MS; may be empty */
    struct span idempotency_key;
    uint64_t request_hash;  /* of the body, for the key */
    struct span unique_key; /* of this work, per tenant: one live job; may be empty */
    enum unique_mode on_conflict;
    /* When none is live: the newest result of a job with the unique key will do, when it is not older; 0 none */
    int64_t fresh_within_ms;
    /* Of everything that decides what the records are; 0: none. Equal work is not done twice: */
    int64_t work;
    bool coalesce;      /* waits for a job in flight that does the same, and takes its result */
    int64_t max_age_ms; /* an earlier result that is not older will do; 0 none */
    int64_t stale_if_error_ms; /* likewise while the site cannot be read; 0 none */
    int64_t after;             /* number of a job that has to end first; 0 none. Of batches */
    bool held;                 /* may not start until somebody lets it go */
    /* Of the store of several machines: a node accepted it then, and nothing but its id may refuse it; where its unique
     * key does, it ends as cancelled and says by which job. 0: it comes now */
    int64_t accepted_ms;
    struct span replaced_by; /* likewise: the job that took its place meanwhile; empty: none */
};
/* Where a job's result comes from. */
enum store_source {
    SOURCE_OWN,
    SOURCE_SHARED, /* of a job that did the same at the same time */
    SOURCE_CACHE,  /* of an earlier job, as young as was asked */
    SOURCE_STALE,  /* likewise, older, as the site could not be read */
};
const char *source_name(enum store_source s); /* "own", "shared", "cache", "stale" */
struct accept_reply {
    char id[ID_TEXT];
    bool replayed; /* an earlier request with this key made it */
    bool existing; /* a live job has the unique key: this is it, nothing was made */
    /* SUCCEEDED: answered from an earlier result; BLOCKED: waits for another job */
    enum job_state state;
    enum store_source source;
    /* of store_thread's answer: how safe it is, and whether that is known */
    enum durability durability;
    bool confirmed;
    /* Likewise, of an existing one that waits on this node's disk: what it asks for, in the arena; NULL: none is told */
    const struct accept_args *waits;
};
static const int64_t STORE_KEY_MS = 72LL * 3600 * 1000;
/* E_CONFLICT id exists, or the unique key is taken (the words name the job); E_BAD_INPUT key used with another
 * body; E_BUSY queue full, or lanes; E_DRAINING, E_MAINTENANCE; E_CLOSED the lane; E_DISK_FULL; E_SESSION: the pool has no
 * session that can be used, now or after a rest. */
MUST_USE err store_accept(struct store *s, const struct accept_args *args, wall now,
                          struct accept_reply *out, struct fault *f);

/* ---- a job that waits is changed, held, let go ----
 * Its labels may be changed whatever it does, also when it has ended. A held job may not start until it is let go. Its times go on meanwhile: it may expire, what it waits for
 * may end. Its run_at is STORE_HELD_MS. */
static const int64_t STORE_HELD_MS = 9007199254740991; /* a number that every store can keep */
enum job_hold { HOLD_AS_IT_IS, HOLD_ON, HOLD_OFF };
enum {
    CHANGE_NOT = -1,
    CHANGE_PRIO_OF_LANE = -2 /* of a priority: what its lane has for jobs without one */
};
struct job_change {
    struct span id;
    int64_t revision; /* that it has to be at; −1: any */
    enum job_hold hold;
    /* As in struct accept_args; CHANGE_NOT: as it is. */
    int64_t prio, run_at_ms, expires_ms, deadline_ms, attempt_ms, stall_ms;
    int64_t limit;    /* likewise; when it is given, then also: */
    struct span spec; /* the options with it */
    int64_t work;
    struct span why;    /* words for people, at most STORE_WHY_MAX bytes; may be empty */
    struct span labels; /* that are set, or go: core/labels.h; empty: none */
};
static inline struct job_change job_change_none(struct span id)
{
    return (struct job_change){.id = id,
                               .revision = -1,
                               .prio = CHANGE_NOT,
                               .run_at_ms = CHANGE_NOT,
                               .expires_ms = CHANGE_NOT,
                               .deadline_ms = CHANGE_NOT,
                               .attempt_ms = CHANGE_NOT,
                               .stall_ms = CHANGE_NOT,
                               .limit = CHANGE_NOT};
}
/* E_CONFLICT: it runs or has ended, has more records than that limit, or another job waits for its result (of a
 * hold, and of a limit); E_STALE: it is at another revision; E_TOO_BIG: more labels than a job may have. What is so already is E_OK, and changes nothing. */
MUST_USE err store_change(struct store *s, const struct job_change *change, wall now,
                          struct fault *f);

/* ---- reserve ---- */
struct lease {
    char id[ID_TEXT];
    int64_t fence;
    uint64_t nonce;
    struct span site, kind, target, spec, cursor; /* in the arena */
    int64_t limit, next_batch, have; /* have: records committed so far, of the kind it counts */
    int64_t filtered;                /* posts left out so far */
    /* MARK_USED: lines, the first the time of the newest post, then "created_ms id", newest first; as it
     * was when the job first started, so that an attempt does not stop at what its own job brought.
     * Empty: there is no mark. At most 48 KiB. */
    struct span known;
    char session[ID_TEXT]; /* that it may use; empty: none. Its cookies: store_session_open() */
    int64_t attempt;       /* fence, counted from 1 */
    int64_t waited_ms;     /* since it was accepted or due */
    int64_t epoch; /* of the store: grows with each opening; (epoch, fence) is an order */
    int64_t attempt_ms, stall_ms; /* 0 as configured */
    int64_t deadline_ms;          /* 0 none */
    struct usage usage;           /* of its attempts before, as far as it was measured */
    struct span lane;
    bool quarantine; /* it ended its worker's life before: nothing else should share its fate */
    /* The first job of a lane that takes more memory than there was, and was passed over: of those that were met, the one that has been
     * ready for longest, for how long, and what it takes. 0: there was none, or another node makes room for it. */
    int64_t passed_ms, passed_bytes;
    char passed[ID_TEXT]; /* its id */
};
/* Memory for a job: for whatever it says, for none that says what it takes. */
static const int64_t STORE_MEMORY_ANY = 0, STORE_MEMORY_UNSAID = 1;
struct reserve_args {
    struct span worker;
    uint64_t random; /* 64 bits for the nonce */
    /* number of this question of this worker; asked again it gives the same lease, as long
     * as that is held. 0: not numbered */
    uint64_t request;
    enum store_needs needs; /* that can be met now */
    int64_t memory_bytes;   /* that there is, or one of the two above */
    int64_t memory_least;   /* only a job that says so much at least; 0 any */
    /* The node would make room for a job that was passed over and is ready for so long: it is told of one (lease.passed_ms),
     * one node at a time; 0: not now */
    int64_t room_after_ms;
    int64_t time_ms;          /* only jobs whose attempt may not take longer; 0 any */
    const struct span *sites; /* that this worker knows; NULL all */
    size_t site_count;
};
/* Lanes of which no job fits, that one question looks past. Those behind them come when these have fewer such jobs, or
 * are asked for: a node that runs nothing offers all it has. */
enum { RESERVE_ASIDE = 64 };
/* The next job that may start, or E_END when there is none now. */
MUST_USE err store_reserve(struct store *s, const struct reserve_args *args, wall now,
                           struct arena *a, struct lease *out, struct fault *f);
/* All of these answer E_STALE, changing nothing, when the nonce is not the current one. */
MUST_USE err store_started(struct store *s, struct span id, uint64_t nonce, struct fault *f);
struct heartbeat_reply {
    bool cancel; /* somebody asked to stop this job */
};
MUST_USE err store_heartbeat(struct store *s, struct span id, uint64_t nonce, wall now,
                             struct heartbeat_reply *out, struct fault *f);

/* ---- commit ---- */
struct store_item {
    enum item_kind kind;
    struct span id;
    int64_t created_ms; /* of the post; 0 unknown */
    struct span json;   /* one normalised record */
};
struct commit_args {
    struct span id;
    uint64_t nonce;
    int64_t batch; /* must be next_batch; next_batch − 1 answers `duplicate` */
    const struct store_item *items;
    size_t count;
    /* where the next attempt goes on, at most STORE_CURSOR_MAX; empty keeps the old one */
    struct span cursor;
    struct span counts; /* of fields, as text of core/drift.h; may be empty */
    /* counted records of the job stop here: surplus ones of this batch are not linked; 0 =
     * none */
    int64_t limit;
    int64_t filtered; /* posts that came with it and were left out, as the job asks */
};
struct commit_reply {
    bool duplicate;              /* this batch was committed before: nothing written */
    int64_t added;               /* counted records new to this job */
    int64_t rejected, conflicts; /* new to this job */
    int64_t have;                /* counted records of this job now */
};
/* A job that counts users holds no posts: a batch with one is E_BAD_INPUT. */
MUST_USE err store_commit_batch(struct store *s, const struct commit_args *args, wall now,
                                struct commit_reply *out, struct fault *f);

/* ---- finish ----
 * What follows is the failure table's budget: again later, again at once, or the end. Only failures in
 * a row are counted against fail_max and crash_max: a batch that added counted records starts the counts (and
 * the delay of a failure) over; crashes count against fail_max as well. After its first crash the job is due at once, after
 * each further one later than before, whatever it brought. RETRY_STARTS_MAX leases of a generation are enough (core/retry.h).
 * Once a cancel was asked for, every ending but a good one is CANCELLED. */
struct finish_args {
    struct span id;
    uint64_t nonce;
    enum failure_class failure; /* FAILURE_NONE: ended well */
    enum verdict verdict;       /* when it ended well */
    enum end_reason end;
    struct span why;    /* words for people */
    struct span report; /* JSON: counts, timings, warnings; may be empty */
    struct span counts; /* of fields, as in struct commit_args */
    struct span usage;  /* of this attempt, as text of core/usage.h; empty: nobody knows */
    int64_t wait_ms;    /* server's hint (429): not before this; 0 none */
    /* of the job, as its options say; 0 as configured. Of the delay after a failure or a crash: how fast a site may be
     * asked again that limits, and what is given back, is not the job's to say */
    struct retry_policy retry;
    /* What it was ordered with made it fail, and would again: this is its end, and says nothing of the site nor of the session.
     * Of a job that ended well it says nothing. */
    bool final;
    /* BUDGET_NONE = as the table says; BUDGET_RELEASE/CRASH override it */
    enum failure_budget budget;
};
struct finish_reply {
    enum job_state state; /* after */
    int64_t retry_in_ms;  /* when SCHEDULED */
    /* this ending opened the breaker of `lane` until then; 0: it did not */
    int64_t breaker_until_ms;
    char lane[LANE_NAME];
    /* that the site refuses from now on, as this ending says; empty: none */
    char session[ID_TEXT];
};
MUST_USE err store_finish(struct store *s, const struct finish_args *args, wall now,
                          struct finish_reply *out, struct fault *f);

/* ---- cancel, reap, retention ---- */
/* Waiting jobs end at once. An active one is asked to stop (reply.active = true) and ends as `cancelled`
 * within grace_ms, then by force; force: now. By force its lease is void when this is on disk: what its
 * worker still sends is E_STALE. Already ended: E_CONFLICT, already cancelled: E_OK. E_NOT_FOUND. */
struct cancel_args {
    struct span id;
    bool force;
    int64_t grace_ms; /* 0: until it stops by itself */
    struct span why;  /* words for people, at most STORE_WHY_MAX bytes; may be empty */
};
struct cancel_reply {
    enum job_state state;
    bool active; /* its worker runs still: it was asked, or must be ended */
};
MUST_USE err store_cancel(struct store *s, const struct cancel_args *args, wall now,
                          struct cancel_reply *out, struct fault *f);
/* Two passes over lapsed leases, at most 64 jobs per call; promotes due jobs, ends those that waited too
 * long and those that did not stop when asked; lets go on what waited for another job; lays the disk
 * ballast anew when there is room again. When it did not run for two lease periods (suspended machine) all
 * leases first get one more period, so that nobody is suspected for our sleep. */
struct reap_reply {
    int64_t promoted, suspected, reaped, expired, forced, settled;
};
MUST_USE err store_reap(struct store *s, wall now, struct reap_reply *out, struct fault *f);
/* Ended jobs go when one of these is exceeded, the oldest first; dead ones have limits of their own, as
 * somebody may want to look at them, or have them done again. A job stays as long as another one waits for
 * it or has its result. With a job go its records, evidence and events, and its files when no other job
 * holds them; it is gone at once, even when there is more of it than one call may delete. */
struct retain_args {
    int64_t age_ms, jobs, bytes; /* bytes: of records; 0: any */
    int64_t dead_age_ms, dead_jobs;
};
enum retain_limit {
    RETAIN_AGE,
    RETAIN_JOBS,
    RETAIN_BYTES,
    RETAIN_DEAD_AGE,
    RETAIN_DEAD_JOBS,
    RETAIN_LIMITS
};
struct retain_reply {
    int64_t deleted[RETAIN_LIMITS]; /* jobs, by the limit that was exceeded */
    bool more;                      /* there is more to delete */
};
/* A bounded piece of it; and of keys of requests, marks, events of no job and lanes that are too old. */
MUST_USE err store_retain(struct store *s, const struct retain_args *args, wall now,
                          struct retain_reply *out, struct fault *f);

/* ---- files of media ----
 * A file lies below STATE/files as ab/HASH.suffix, named by its SHA-256: the same bytes are kept once,
 * whatever job or URL they came from, and stay as long as a job holds them. What is being fetched lies
 * in STATE/files/part; a part that nobody goes on with is removed after a day. */
struct file_view {
    char hash[DIGEST_TEXT];
    char suffix[16], mime[64];
    int64_t bytes;
    int64_t at_ms; /* fetched from this URL; of store_file(): first kept */
    int status;    /* of the answer that brought it; 0 when not asked by URL */
};
struct file_take_args {
    struct span id;
    uint64_t nonce;
    struct span url; /* as the record says */
};
struct file_take_reply {
    /* it is there: the job holds it from now on; otherwise what may still be kept: */
    bool known;
    struct file_view file;
    int64_t job_bytes, total_bytes; /* of files that the job holds, of all */
    int64_t room_bytes;             /* free on the disk above store.disk_floor */
};
/* E_STALE, E_BAD_INPUT. */
MUST_USE err store_file_take(struct store *s, const struct file_take_args *args,
                             struct file_take_reply *out, struct fault *f);
struct file_put_args {
    struct span id;
    uint64_t nonce;
    struct span url, part; /* name of the whole file in STATE/files/part */
    struct span hash, suffix, mime;
    int64_t bytes;
    int status;
};
/* The part gets its name and its row; the job holds it. E_STALE, E_BAD_INPUT (no such part, another
 * size), E_DISK_FULL, E_OS. */
MUST_USE err store_file_put(struct store *s, const struct file_put_args *args, wall now,
                            struct fault *f);
/* A query. E_NOT_FOUND. */
MUST_USE err store_file(struct store *s, struct span hash, struct file_view *out,
                        struct fault *f);
/* A bounded piece of: removing files that no job holds; after a start, files without a row; old parts. */
MUST_USE err store_files_tend(struct store *s, wall now, bool *out_more, struct fault *f);

enum { OUTLOOK_STARTS = 256 };
/* Earliest instant at which something may become startable or lapse; INT64_MAX = none. startable:
 * jobs that could start right now. */
struct outlook {
    int64_t startable;       /* counted up to OUTLOOK_STARTS */
    int64_t startable_light; /* of these, those that need no page */
    int64_t runnable;        /* ready jobs of lanes that nothing holds up */
    int64_t next_ms;
    int64_t by_state[JOB_STATES];
    bool disk_full;            /* of the embedded store: none starts */
    int64_t lanes[LANE_WORDS]; /* lanes with waiting or active jobs, by what holds them up */
    enum store_mode mode;
    int64_t schedule_ms[2]; /* when a schedule must be looked at: by the wall, by elapsed time
                               (store/schedules.h); INT64_MAX: none */
};
MUST_USE err store_outlook(struct store *s, wall now, struct outlook *out, struct fault *f);

/* ---- queries ---- */
/* What a job that has not started waits for. */
enum waiting {
    WAITING_NONE,
    WAITING_TIME,    /* its not-before: backoff, or as asked */
    WAITING_WORKER,  /* its turn: nothing else holds it up */
    WAITING_RATE,    /* the lane's rate */
    WAITING_LANE,    /* the lane has as many jobs running as it may */
    WAITING_SITE,    /* the site asked to wait (429) */
    WAITING_BREAKER, /* the site failed too often in a row */
    WAITING_DISK,    /* the disk is full */
    WAITING_PAUSE,   /* its lane is paused */
    WAITING_LIMIT, /* its tenant, its site or all together have as many jobs running as they may */
    WAITING_SESSION, /* all sessions of its pool rest */
    WAITING_JOB,     /* another job: the same work, or one that comes before it */
    WAITING_MODE,    /* the service is paused */
    WAITING_HOLD,    /* somebody to let it go */
};
const char *waiting_name(enum waiting w);
enum { JOB_AHEAD_MOST = 10000 };
struct job_view {
    char id[ID_TEXT];
    struct span site, kind, target, lane, spec, cursor, why, report;
    enum job_state state;
    enum failure_class failure;
    enum verdict verdict;
    enum end_reason end;
    enum item_kind counts; /* what `have` and `limit` are about */
    int64_t limit, have, users, rejected, conflicts, filtered, fence, n_fail, n_crash,
        n_throttle, n_release, next_batch;
    int64_t max_fail,
        fails; /* attempts in a row that failed or crashed: after which it ends, there are; 0 nobody knows */
    int64_t created_ms, run_at_ms, started_ms, finished_ms; /* 0 = not yet */
    enum waiting waiting;
    int64_t waiting_until_ms; /* 0: nobody knows */
    bool cancel_asked;
    char fingerprint[20], batch[ID_TEXT]; /* of its death; of the batch it is in; else empty */
    int64_t revision;                     /* grows with every change */
    bool held;                            /* may not start; run_at_ms is when it could else */
    int64_t n_ok, n_void, generation, prio; /* generation: times it came back after its end */
    int64_t expires_ms, deadline_ms;        /* 0 none */
    struct span unique_key;
    enum store_source source;
    struct span from_job;   /* whose result it is; empty: its own */
    int64_t result_age_ms;  /* when it was accepted; of SOURCE_CACHE and SOURCE_STALE */
    int64_t number;         /* of all jobs in the order in which they were accepted */
    struct usage usage;     /* of its attempts that have ended, as far as it was measured */
    struct span worker;     /* of an active one: who has it, and until when its lease is */
    int64_t lease_until_ms; /* 0: nobody */
    const char *phase;      /* what its worker does, filled in by who knows it; not the store */
    /* Of store_job() alone. Ready jobs that its lane has before it, when they are at most JOB_AHEAD_MOST; −1: not known.
     * When it will start, at the pace of the lane's last ten minutes; 0: nobody knows. */
    int64_t ahead, start_ms;
};
MUST_USE err store_job(struct store *s, struct span id, wall now, struct arena *a,
                       struct job_view *out, struct fault *f);
/* Id of the job that a request with this key made in the last STORE_KEY_MS. E_NOT_FOUND: none did. */
MUST_USE err store_keyed(struct store *s, struct span tenant, struct span key, wall now,
                         char out_id[ID_TEXT], struct fault *f);
struct jobs_query {
    int state;         /* enum job_state or -1 */
    struct span after; /* id of the last seen job; empty = from the newest */
    size_t limit;      /* 1-500 */
};
/* Newest first. out_jobs in the arena. */
MUST_USE err store_jobs(struct store *s, const struct jobs_query *q, wall now, struct arena *a,
                        struct job_view **out_jobs, size_t *out_count, struct fault *f);
struct item_view {
    int64_t ord; /* position in the job; pass the last one as `after` */
    enum item_kind kind;
    struct span id, json;
};
/* Items of a job in page order, ord > after, at most limit and about bytes_max of JSON. kind −1 = all. */
MUST_USE err store_items(struct store *s, struct span id, int kind, int64_t after, size_t limit,
                         size_t bytes_max, struct arena *a, struct item_view **out_items,
                         size_t *out_count, struct fault *f);
struct event_view {
    int64_t seq;
    int64_t number; /* of the job's events: 1, 2, 3 … without a gap */
    int64_t at_ms;
    struct span job, kind, body; /* body: JSON object */
};
/* Events with seq > after, oldest first; job may be empty = all. */
MUST_USE err store_events(struct store *s, int64_t after, struct span job, size_t limit,
                          struct arena *a, struct event_view **out_events, size_t *out_count,
                          struct fault *f);
int64_t store_last_event(struct store *s);

/* ---- fields: where the members of records came from, hour by hour ---- */
enum { FIELD_HOURS_MAX = 24 * 31, FIELD_DAYS_BEFORE = 7 };
struct field_view {
    struct span name;
    bool member;                     /* one that no map knows; counted in hits[0] */
    struct drift_counts now, before; /* in the hours asked for; in the days before */
    int64_t first_ms; /* hour in which it was first counted, as far back as is looked */
    enum drift_mark mark;
};
struct fields_view {
    struct span version;       /* of the pack that counted last; only its counts are compared */
    struct field_view *fields; /* by name */
    size_t count;
};
/* The last `hours` against the FIELD_DAYS_BEFORE days before them. A site nobody read gives none. */
MUST_USE err store_fields(struct store *s, struct span site, int64_t hours, wall now,
                          struct arena *a, struct fields_view *out, struct fault *f);
/* How many fields of all sites are marked in the last day, by mark. */
MUST_USE err store_drift(struct store *s, wall now, int64_t out_marks[DRIFT_MARKS],
                         struct fault *f);
/* Deletes counts of hours before. Needs an open group. */
MUST_USE err store_retain_fields(struct store *s, wall before, struct fault *f);
/* ---- modes ---- */
const char *mode_name(enum store_mode m);
struct mode_view {
    enum store_mode mode;
    struct span by, why; /* who set it; empty: nobody */
    int64_t since_ms;
};
/* Kept over restarts. */
MUST_USE err store_mode_set(struct store *s, enum store_mode mode, struct span by,
                            struct span why, wall now, struct fault *f);
MUST_USE err store_mode_get(struct store *s, struct arena *a, struct mode_view *out,
                            struct fault *f);
const char *store_version(void); /* SQLite's */

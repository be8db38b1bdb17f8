/* thread.h - the one thread that owns the store and groups commits, and those that read beside it.
 *
 * A query of rows runs on one of `readers` threads of their own, so that it holds no commit up; it is given read_ms and
 * then answered with E_TIMEOUT. It sees everything that was answered before it was posted, and maybe more; not
 * what was posted and has not been answered.
 *
 * Callers (the node's loop) fill a struct store_op, post it, and get it back by `on_done` ON THE LOOP
 * THREAD after the group's commit is on disk: exactly once, never before store_thread_post() returned.
 * The op and everything its arguments point to belong to the caller and stay until then; texts of the
 * reply live in op->arena (given by the caller, touched by the store thread between post and done). */
#pragma once

#include "core/steady.h"
#include "store/batches.h"
#include "store/evidence.h"
#include "store/lanes.h"
#include "store/reader.h"
#include "store/schedules.h"
#include "store/sessions.h"
#include "store/shared.h"
#include "store/spooling.h"
#include "store/store.h"

enum store_verb {
    STORE_ACCEPT,
    STORE_BATCH_CREATE,
    STORE_RESERVE,
    STORE_STARTED,
    STORE_HEARTBEAT,
    STORE_COMMIT,
    STORE_FINISH,
    STORE_CANCEL,
    STORE_EVIDENCE,
    STORE_REPAIR,
    STORE_FILE_TAKE,
    STORE_FILE_PUT,
    STORE_LANE_CHANGE,
    STORE_LANE_PURGE,
    STORE_SCHEDULE_PUT,
    STORE_SCHEDULE_DELETE,
    STORE_SCHEDULE_PAUSE,
    STORE_SCHEDULE_TRIGGER,
    STORE_SCHEDULE_BACKFILL,
    STORE_SCHEDULES_DUE,
    STORE_SCHEDULE_FIRE,
    STORE_SESSION_ADD,
    STORE_SESSION_COOKIES,
    STORE_SESSION_LOCK,
    STORE_SESSION_REMOVE,
    STORE_WRITE, /* in.work; reading ones follow */
    STORE_READ,  /* likewise */
    STORE_JOB,
    STORE_JOBS,
    STORE_ITEMS,
    STORE_EVENTS,
    STORE_EVIDENCE_LIST,
    STORE_EVIDENCE_READ,
    STORE_FILE,
    STORE_FIELDS,
    STORE_LANES,
    STORE_LANE,
    STORE_LANE_BOUNDS,
    STORE_LIMITS,
    STORE_MODE,
    STORE_SCHEDULE,
    STORE_SCHEDULES,
    STORE_SCHEDULE_RUNS,
    STORE_SESSION,
    STORE_SESSIONS,
    STORE_SESSION_OPEN,
    STORE_VERBS
};

/* Any other operation of the store: called with what the caller gave, on the store's thread, or by STORE_READ
 * on another one with a reader: then it may only do what readers can (store/reader.h). */
struct store_work {
    err (*run)(struct store *s, void *args, struct arena *a, wall now, struct fault *f);
    void *args;     /* arguments and reply, the caller's */
    bool ends_jobs; /* may use the ballast of a full disk */
    /* The job or batch that it is about, which may wait in this node's spool; empty: none */
    struct span about;
};

struct store_op {
    enum store_verb verb;
    struct arena *arena;
    void (*on_done)(struct store_op *op);
    void *ctx;
    union {
        struct accept_args accept;
        const struct batch_args *batch_create;
        struct reserve_args reserve;
        struct {
            struct span id;
            uint64_t nonce;
        } lease; /* STARTED, HEARTBEAT, SESSION_OPEN */
        struct commit_args commit;
        struct finish_args finish;
        struct file_take_args file_take;
        struct file_put_args file_put;
        struct {
            struct span hash;
        } file;
        struct {
            struct span id;
        } job; /* JOB */
        struct cancel_args cancel;
        struct lane_change lane_change;
        struct lane_purge purge;
        struct {
            struct span name;
        } lane; /* LANE, LANE_BOUNDS */
        struct lanes_query lanes;
        struct limits_query limits;
        struct evidence_args evidence;
        struct repair_args repair;
        struct {
            struct span id;
            int64_t n;
        } piece; /* EVIDENCE_LIST, EVIDENCE_READ */
        struct jobs_query jobs;
        struct {
            struct span id;
            int kind;
            int64_t after;
            size_t limit, bytes_max;
        } items;
        struct {
            int64_t after;
            struct span job;
            size_t limit;
        } events;
        struct {
            struct span site;
            int64_t hours;
        } fields;
        struct store_work work;
        struct schedule_put schedule_put;
        struct schedule_ask schedule_ask; /* DELETE, PAUSE, TRIGGER, SCHEDULE */
        struct schedule_backfill schedule_backfill;
        struct {
            wall elapsed;
            bool set_back;
        } schedules_due;
        struct schedule_fire schedule_fire;
        struct schedules_query schedules;
        struct schedule_runs_query schedule_runs;
        struct session_add session_add;
        struct session_cookies session_cookies;
        struct {
            struct span name, reason;
            bool locked;
        } session; /* SESSION, LOCK, REMOVE */
        struct {
            struct span site, pool;
        } sessions;
    } in;
    union {
        struct accept_reply accept;
        struct batch_reply batch;
        struct lease lease;
        struct heartbeat_reply heartbeat;
        struct commit_reply commit;
        struct finish_reply finish;
        struct cancel_reply cancel;
        struct file_take_reply file_take;
        struct file_view file;
        struct job_view job;
        struct evidence_reply evidence;
        struct repair_reply repair;
        struct evidence_list list;
        struct evidence_view piece;
        struct {
            struct job_view *jobs;
            size_t count;
        } jobs;
        struct {
            struct item_view *items;
            size_t count;
        } items;
        struct {
            struct event_view *events;
            size_t count;
        } events;
        struct fields_view fields;
        struct {
            int64_t cancelled;
            bool more;
        } purge;
        struct {
            struct lane_view *lanes;
            size_t count;
            struct span next;
        } lanes;
        struct lane_view lane;
        struct lane_bounds bounds;
        struct limits_page limits;
        struct mode_view mode;
        struct schedule_view schedule;        /* PUT, PAUSE, SCHEDULE */
        struct schedule_fired schedule_fired; /* TRIGGER, BACKFILL, FIRE */
        struct schedules_due schedules_due;
        struct schedules_list schedules;
        struct schedule_runs schedule_runs;
        struct session_view session;
        struct {
            struct session_view *list;
            size_t count;
        } sessions;
        struct secret secret; /* SESSION_OPEN: the caller's to free */
    } out;
    err result;
    struct fault fault;
    struct store_op *next; /* the threads' */
    struct unsure *unsure; /* likewise */
    bool answered;         /* of its group: it is done (together.h) */
};

enum { STORE_READERS_MAX = 16 };
struct store_thread;
struct store_thread_config {
    const char *state_dir;
    /* the store of several machines (wake and ctx are the thread's own); NULL: the embedded
     * one. Looked at while it starts */
    const struct shared_config *shared;
    struct store_limits limits;
    struct retain_args retain;
    int64_t field_retention_ms;
    int readers;     /* threads; 0: the store's thread reads */
    int64_t read_ms; /* longest time for one query */
    uint64_t seed;
    wall (*now)(void); /* the clock on the wall */
    mono (*elapsed)(
        void); /* the store's time passes by this one (store/clock.h); NULL: it is what `now` says */
    /* Called on the STORE thread after a group, and on readers' threads; must only wake the loop (uv_async, eventfd). */
    void (*wake)(void *ctx);
    void *wake_ctx;
};
/* Opens the store in the calling thread (so errors come back here), then starts the thread. Servers of several machines
 * that are away are no error: until they are there store_thread_away() says why. Reap,
 * promotion and retention run on the thread by themselves, on time: it sleeps exactly until the
 * next due instant or the next op. */
MUST_USE err store_thread_start(struct store_thread **out,
                                const struct store_thread_config *config, struct fault *f);
void store_thread_post(struct store_thread *t, struct store_op *op);
/* As one after the other; what waits is one group as a rule. */
void store_thread_post_all(struct store_thread *t, struct store_op *ops, size_t n);
/* Whether there is room for jobs here: of several machines those that have some are told of work. */
void store_thread_hungry(struct store_thread *t, bool hungry);
/* What is wrong with the queue's server of a store of several machines. Returns how many; out_looks: how often it was
 * looked at so far, at the start and when another one took over. */
size_t store_thread_findings(struct store_thread *t,
                             struct preflight_finding out[PREFLIGHT_MOST], int64_t *out_looks);
/* Jobs that were taken while the queue of several machines was away, after the last group. */
struct spooling_state store_thread_spool(struct store_thread *t);
/* What that queue was found to have lost so far. */
void store_thread_loss(struct store_thread *t, struct store_loss *out);
/* What of the store's file was looked at. A large one is looked at table by table behind the start, with what time
 * there is (readers > 0). */
enum store_check { STORE_CHECK_DONE, STORE_CHECK_RUNS, STORE_CHECK_DAMAGED };
/* out_words (as long as those of a fault): of DAMAGED, what and where; else untouched. */
enum store_check store_thread_check(struct store_thread *t, char *out_words);
/* The store's time: what its instants (a lease's deadline_ms) are compared with. Any thread. */
wall store_thread_now(struct store_thread *t);
/* How the clock on the wall was found when the store was opened; out_last: when it had been used last. */
enum steady_start store_thread_clock_found(const struct store_thread *t, wall *out_last);
/* Whether the store could not be asked when the thread last looked, and why. Any thread. */
bool store_thread_away(struct store_thread *t, char *words, size_t size);
struct store_trouble {
    bool away;        /* it could not be asked */
    bool disk_full;   /* of the embedded store: what ends jobs may use the ballast */
    int64_t since_ms; /* both have been so; 0: since this process opened it */
    int64_t failures; /* looks in a row that failed */
};
void store_thread_trouble(struct store_thread *t, struct store_trouble *out);
/* On the loop, after `wake`: runs on_done of everything finished; answers the outlook after the last
 * group (startable jobs, counts) and the newest event number. */
void store_thread_collect(struct store_thread *t, struct outlook *out_outlook,
                          int64_t *out_last_event);
/* Finishes what is posted, joins, closes. on_done of leftovers is called before it returns. */
void store_thread_stop(struct store_thread **t);

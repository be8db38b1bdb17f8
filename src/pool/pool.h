/* pool.h - slots: a worker process, at most one job, at most one tab each.
 *
 * Happy path: startable work → reserve → tab_open → JOB frame → RECORDS … committed … → DONE →
 * finish in the store and tab closed → slot idle. A job whose strategies are all `fetch` (the pack
 * says so) gets no tab: it asks node for answers instead (FRAME_FETCH). Every ending goes the same way: tell the worker →
 * grace → SIGKILL it → close the tab (its own ladder) → finish → idle. A slot counts as busy until
 * the tab is closed and the store has the ending.
 *
 * Failure modes: worker dies (end of file: crash, finished, replaced), tab or browser dies (worker is
 * told, falls through), node loses the lease (E_STALE: job dropped without a word), node hears nothing of its lease until
 * that is about to end (stopped by itself, given back without blame), no progress for
 * stall_ms (stuck), the store takes no records (they are kept and brought again as long as the lease and the attempt last; nothing
 * else is reserved), attempt_ms over (timeout), cancel, shutdown (given back without blame). */
#pragma once

#include "browser/browser.h"
#include "browser/process.h"
#include "extract/packs.h"
#include "loop/loop.h"
#include "net/fetch.h"
#include "store/thread.h"

struct pool;

struct pool_media { /* limits of what is fetched for a job that wants the files of its media */
    const char *folder; /* where a file lies until it is whole: STATE/files/part */
    int64_t file_bytes, job_bytes, total_bytes;
    int64_t timeout_ms, interval_ms;
};

struct pool_config {
    int workers_at_start,
        workers; /* workers: that there may be at most; less: as at the start */
    int64_t worker_jobs_max, worker_memory_max;
    int64_t attempt_ms, stall_ms, navigate_ms, batch_ms, grace_ms, lease_ms, body_max;
    /* Others may take a job when its lease ends: it is stopped before (core/fence.h). A store of this process alone gives
     * nothing away while it stands still. */
    bool fenced;
    int64_t memory_patience_ms;  /* see core/room.h */
    enum evidence_keep evidence; /* of jobs that do not say */
    int64_t fetch_ms;            /* an answer without a browser is whole by then */
    struct fetcher *fetcher;     /* borrowed; outlives the pool */
    struct packs *packs;         /* the pool holds them as long as it works with them */
    struct pool_media media;
};

MUST_USE err pool_start(struct pool **out, struct loop *l, struct store_thread *store,
                        struct browsers *browsers, const struct pool_config *config,
                        struct fault *f);
/* There may be work, room, or both: after each store group, tab closed, browser ready. */
/* light: jobs of these that need no page. */
void pool_kick(struct pool *p, int64_t startable, int64_t light);
/* The store is away, or what keeps the records: nothing is reserved until it is back. Ask pool_kick() behind it. */
void pool_away(struct pool *p, bool away);
/* Other packs from now on. Idle workers are replaced at once, busy ones after their job, which goes on
 * with the packs that it was started with; no worker takes another job with the old ones. */
void pool_use(struct pool *p, struct packs *packs);
/* Calls each() for every set that a job may still be working with, the current one first. */
void pool_each_packs(const struct pool *p, void (*each)(void *ctx, const struct packs *packs),
                     void *ctx);
/* Stops a running job now (the store already has the wish). force: its lease is void, its worker is killed. */
void pool_cancel(struct pool *p, struct span job_id, bool force);
/* No new jobs; running ones get grace_ms, then are given back; on_drained once all slots are empty. */
void pool_drain(struct pool *p, int64_t grace_ms, void (*on_drained)(void *ctx), void *ctx);
void pool_free(struct pool **p); /* after on_drained */
/* A child of node ended: true when it was a worker. */
bool pool_child_ended(struct pool *p, pid_t pid, int status);

struct pool_view {
    int64_t starting, idle, busy, stopping;
};
void pool_view(const struct pool *p, struct pool_view *out);
struct worker_view { /* one slot */
    int number;      /* from 1 */
    const char *state;
    const char *hold; /* why it takes no job: "quiet", "stopped", "scaled_in"; NULL: it does */
    pid_t pid;        /* 0: no process */
    int64_t jobs_served;
    char job[ID_TEXT]; /* empty: none */
    int64_t attempt, running_ms;
    char step[32]; /* where the worker says it is */
    bool has_page;
};
size_t pool_workers(const struct pool *p, struct worker_view *out, size_t most);

/* ---- what people want of workers ----
 * Until the node is started again. A worker that is not wanted any more ends the job that it has. */
enum worker_wish {
    WORKER_WORKS,
    WORKER_QUIET, /* takes no further job */
    WORKER_STOPPED, /* nor has it a process: a job under way is asked to stop and given back without blame */
};
/* number from 1. E_NOT_FOUND; E_CONFLICT: it cannot work, as it is scaled in. */
MUST_USE err pool_wish(struct pool *p, int64_t number, enum worker_wish wish, struct fault *f);
/* Its process ends now; its job is given back without blame, and another process takes its place. E_NOT_FOUND, E_CONFLICT:
 * it has none. */
MUST_USE err pool_kill(struct pool *p, int64_t number, struct fault *f);
/* So many workers: the first ones. Those above end their job and then their process. E_BAD_INPUT. */
MUST_USE err pool_scale(struct pool *p, int64_t count, struct fault *f);
struct scale_view {
    int count, most, at_start;
};
void pool_scale_view(const struct pool *p, struct scale_view *out);

struct worker_dump { /* what is known about one now */
    struct worker_view worker;
    bool alive; /* of `process` */
    struct process_facts process;
    char lane[LANE_NAME];
    int64_t batches, records;    /* of its job so far */
    int64_t quiet_ms;            /* since the job's last progress */
    int64_t requests, net_bytes; /* of the attempt so far */
    struct tab_view page;        /* state NULL: it has none */
    int64_t unread_bytes;        /* that it said, and that are no whole frame yet */
    /* what node waits for */
    bool for_store, for_fetch, for_media, for_pictures, stop_asked;
};
MUST_USE err pool_dump(struct pool *p, int64_t number, struct worker_dump *out,
                       struct fault *f);
/* Asks its process where it is in its own code; the pid says whose answer it is. E_NOT_FOUND; E_CONFLICT: it has none, or not yet. */
MUST_USE err pool_stack_ask(struct pool *p, int64_t number, pid_t *out_pid, struct fault *f);
/* What it said, by name and the innermost first, in the arena. E_BUSY: nothing yet; E_CONFLICT: that process is gone. */
MUST_USE err pool_stack_take(struct pool *p, int64_t number, pid_t pid, struct arena *a,
                             const char *const **out, size_t *out_count, struct fault *f);

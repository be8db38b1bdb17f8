/* pool.h - slots: a worker process, at most one job, at most one tab each.
 *
 * Happy path: startable work → reserve → tab_open → JOB frame → RECORDS … committed … → DONE →
 * finish in the store and tab closed → slot idle. A job whose strategies are all `fetch` (the pack
 * says so) gets no tab: it asks node for answers instead (FRAME_FETCH). Every ending goes the same way: tell the worker →
 * grace → SIGKILL it → close the tab (its own ladder) → finish → idle. A slot counts as busy until
 * the tab is closed and the store has the ending.
 *
 * Failure modes: worker dies (end of file: crash, finished, replaced), tab or browser dies (worker is
 * told, falls through), node loses the lease (E_STALE: job dropped without a word), no progress for
 * stall_ms (stuck), attempt_ms over (timeout), cancel, shutdown (given back without blame). */
#pragma once

#include "browser/browser.h"
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
    int workers;
    int64_t worker_jobs_max, worker_memory_max;
    int64_t attempt_ms, stall_ms, navigate_ms, batch_ms, grace_ms, lease_ms, body_max;
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
    pid_t pid; /* 0: no process */
    int64_t jobs_served;
    char job[ID_TEXT]; /* empty: none */
    int64_t attempt, running_ms;
    char step[32]; /* where the worker says it is */
    bool has_page;
};
size_t pool_workers(const struct pool *p, struct worker_view *out, size_t most);

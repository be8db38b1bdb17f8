/* batches.h - jobs that belong together: counted, waited for, cancelled and retried as one
 * (queue.md §13; store.h has the rules of all operations of the store).
 *
 * A batch is open (jobs may be added) or sealed. Counts by state are read from the rows of the jobs,
 * never kept. When it is sealed and no job of it is live it is complete: event `batch.complete`, and
 * the job that was asked for, in the transaction that ended the last one, exactly once, for ever.
 * When besides all its jobs succeeded, `batch.success` likewise. A job that is replayed later makes
 * the batch run again; complete does not come again, success comes when it was not there before.
 *
 * A job that retention deletes counts as ended, as what it was. A batch waits for nothing else than
 * rows, so it never waits for something that is gone. */
#pragma once

#include "store/dead.h"

enum {
    BATCH_ADD_MOST = 1000,
    BATCH_JOBS_MOST = 100000,
    BATCH_NAME_MOST = 200,
    BATCH_PARALLEL_MOST = 1000,
    BATCH_STOP_MOST = 1000
};
enum batch_call { BATCH_COMPLETE = 0, BATCH_SUCCESS = 1, BATCH_CALLS };

struct batch_args {
    struct span id; /* "bat_…", made by the caller */
    struct span tenant, name;
    bool open; /* jobs may be added later; else it is sealed at once and must have some */
    /* what cannot be accepted is left out and named; else nothing is stored then */
    bool partial;
    int64_t stop_after; /* so many failures cancel what has not ended; 0: never */
    int64_t parallel;   /* so many run at once; 0: any number. Not of those that come back
                                       after their end */
    const struct accept_args *jobs; /* with ids, without idempotency keys */
    size_t count;                   /* at most BATCH_ADD_MOST */
    struct span calls[BATCH_CALLS]; /* tickets (store/ticket.h), or empty */
    struct span idempotency_key;
    uint64_t request_hash;
    /* As of struct accept_args, and of each of its jobs: they come in whatever modes and limits say. 0: it comes now */
    int64_t accepted_ms;
};
struct batch_refusal { /* of one job */
    size_t index;
    err code;
    struct span words;
};
struct batch_view;
struct batch_reply {
    char id[ID_TEXT];
    bool replayed; /* an earlier request with this key made it */
    int64_t added;
    /* As of struct accept_reply, of a new one */
    enum durability durability;
    bool confirmed;
    /* SPOOLED: as it will be, in the arena; then: whether a job of it has a unique key */
    const struct batch_view *waits;
    bool keyed;
    struct batch_refusal *refused; /* in the arena; atomic: the first one, with the error */
    size_t refused_count;
};
/* As store_accept() for each job, all in one transaction. E_BAD_INPUT key used with another body; E_CONFLICT and none refused: the id
 * is there, or of one with accepted_ms was. */
MUST_USE err store_batch_create(struct store *s, const struct batch_args *args, wall now,
                                struct arena *a, struct batch_reply *out, struct fault *f);
struct batch_add_args {
    struct span id;
    bool partial;
    const struct accept_args *jobs;
    size_t count;
    struct span idempotency_key; /* of this addition; may be empty */
    uint64_t request_hash;
};
/* E_CONFLICT: sealed; E_TOO_BIG: above BATCH_JOBS_MOST. */
MUST_USE err store_batch_add(struct store *s, const struct batch_add_args *args, wall now,
                             struct arena *a, struct batch_reply *out, struct fault *f);
/* Whether a request with this key made a batch of the tenant, or added to `batch` when that is not empty, whatever it was about.
 * E_NOT_FOUND: none did. */
MUST_USE err store_batch_keyed(struct store *s, struct span tenant, struct span batch,
                               struct span key, struct fault *f);
/* No more jobs. Sealing twice is fine. E_NOT_FOUND. */
MUST_USE err store_batch_seal(struct store *s, struct span id, wall now, struct fault *f);

/* Seals it and cancels what has not ended: waiting jobs at once (a piece now, others by
 * store_tend()), running ones are told with their next heartbeat. operation_id: "opr_…" of the
 * caller. E_CONFLICT: everything has ended already. */
MUST_USE err store_batch_cancel(struct store *s, struct span id, struct span operation_id,
                                wall now, struct arena *a, struct operation_view *out,
                                struct fault *f);
/* Replays its dead and expired jobs. E_CONFLICT: there is none, or an operation on it runs. */
MUST_USE err store_batch_retry(struct store *s, struct span id,
                               const struct operation_args *args, wall now, struct arena *a,
                               struct operation_view *out, struct fault *f);

struct batch_call_view {
    bool asked;        /* a job was asked for */
    int64_t at_ms;     /* the event; 0: not yet */
    char job[ID_TEXT]; /* the job that was made; empty: none */
    int64_t due_ms;    /* the queue was full: tried again then; 0: no */
    struct span why;   /* why there is none */
};
struct batch_view {
    char id[ID_TEXT];
    struct span name;
    bool sealed, stopped;
    char operation[ID_TEXT]; /* that works on it now; empty: none */
    int64_t stop_after, parallel;
    int64_t counts[JOB_STATES];        /* of jobs that are there */
    int64_t gone_well, gone_otherwise; /* deleted by retention: succeeded, or not */
    struct batch_call_view calls[BATCH_CALLS];
    int64_t created_ms, updated_ms, finished_ms; /* finished: when it was complete first */
    int64_t revision;
};
MUST_USE err store_batch(struct store *s, struct span id, struct arena *a,
                         struct batch_view *out, struct fault *f);
/* Newest first; after: id of the last one seen, or empty. limit 1-100. A page of large batches ends
 * early, since each is counted. out_more: there may be others. */
MUST_USE err store_batches(struct store *s, struct span after, size_t limit, struct arena *a,
                           struct batch_view **out, size_t *out_count, bool *out_more,
                           struct fault *f);
struct batch_jobs_query {
    struct span id;
    int state;         /* enum job_state or −1 */
    struct span after; /* id of the last job seen, or empty */
    size_t limit;      /* 1-500 */
};
/* In the order in which they were added. */
MUST_USE err store_batch_jobs(struct store *s, const struct batch_jobs_query *q, wall now,
                              struct arena *a, struct job_view **out, size_t *out_count,
                              struct fault *f);
struct batch_place { /* how far a reader has come; {0} is the beginning */
    int64_t job, ord;
    bool end; /* there is no more now */
};
/* Records of all its jobs, job by job. Moves *place on; may give none before the end. */
MUST_USE err store_batch_items(struct store *s, struct span id, int kind, size_t limit,
                               size_t bytes_max, struct arena *a, struct batch_place *place,
                               struct item_view **out, size_t *out_count, struct fault *f);

/* archive.h - what jobs brought, for a store whose queue is elsewhere (queue.md §9, §11): records, evidence,
 * counts of fields. The embedded store needs none: there jobs and records share one transaction.
 *
 * The queue decides who holds a job; the archive checks it once more. Each writing call carries (epoch,
 * fence) of the lease and is refused with E_STALE when a newer lease has written for this job before. A
 * batch is written before the queue moves the job's cursor: when that did not happen (a crash, a cut
 * connection, a queue that lost its last moments), the next holder of the lease writes the batch with this
 * number again, and it replaces what is there of this number and behind it.
 *
 * Synchronous; each call is one transaction, and on disk when it answers E_OK. A call that ends with E_STORE
 * may have been done: it can be repeated. One thread uses an archive. */
#pragma once

#include "store/evidence.h"
#include "store/store.h"

struct archive;
struct archive_config {
    struct span url;                  /* "postgresql://…", as libpq reads it */
    int64_t connect_ms, statement_ms; /* 0: as configured there, at most 10 s */
};
/* Connects, makes or upgrades the tables (under an advisory lock: several nodes may start at once). E_CONFIG
 * an address that cannot be read, a server older than 13, tables of a newer version; E_STORE no answer. */
MUST_USE err archive_open(struct archive **out, const struct archive_config *config,
                          struct fault *f);
void archive_close(struct archive **a);

struct archive_lease {
    struct span job;
    int64_t epoch, fence;
};
struct archive_commit {
    struct archive_lease lease;
    struct span site;
    enum item_kind counts; /* what the job is there for */
    int64_t batch;
    const struct store_item *items;
    size_t count;
    int64_t limit; /* of the job; 0 none */
};
struct archive_committed {
    int64_t added;               /* counted records new to this job */
    int64_t rejected, conflicts; /* new to this job */
    int64_t have, users;         /* counted records, users, of this job now */
    int64_t bytes;               /* of its records now */
};
/* Records that the job has from an earlier batch stay where they are, with the newer text; those above the
 * limit are not linked. A job that counts users holds no posts: E_BAD_INPUT. */
MUST_USE err archive_commit(struct archive *a, const struct archive_commit *args, wall now,
                            struct archive_committed *out, struct fault *f);
/* Takes back what batches from `batch` on brought: the queue knows nothing of them. */
MUST_USE err archive_rewind(struct archive *a, const struct archive_lease *lease, int64_t batch,
                            struct archive_committed *out, struct fault *f);
/* As store_items(). A job that nobody wrote for has none. */
MUST_USE err archive_items(struct archive *a, struct span job, int kind, int64_t after,
                           size_t limit, size_t bytes_max, struct arena *arena,
                           struct item_view **out, size_t *out_count, struct fault *f);
/* As store_repair(), without the queue's part: no revision, no state. */
MUST_USE err archive_repair(struct archive *a, struct span job, struct span site,
                            enum item_kind counts, const struct store_item *items, size_t count,
                            wall now, struct repair_reply *out, struct fault *f);
/* Posts of the job by their time, newest first: lines "created_ms id", at most STORE_MARK_POSTS. */
MUST_USE err archive_newest(struct archive *a, struct span job, struct arena *arena,
                            struct span *out, struct fault *f);
/* Gives job `to` the records of job `from`, which stay there too. Repeating it changes nothing. */
MUST_USE err archive_share(struct archive *a, struct span from, struct span to,
                           struct fault *f);
/* Deletes what the jobs brought, a bounded piece: *out_more, ask again. Records that another job has stay. */
MUST_USE err archive_forget(struct archive *a, const struct span *jobs, size_t count,
                            bool *out_more, struct fault *f);

/* ---- evidence: as in evidence.h; the bytes are rows, compressed, once each ---- */
struct archive_limits {
    int64_t age_ms, bytes, job_bytes, job_count; /* 0: any */
};
MUST_USE err archive_evidence_add(struct archive *a, const struct archive_lease *lease,
                                  const struct evidence_args *args,
                                  const struct archive_limits *limits, wall now,
                                  struct evidence_reply *out, struct fault *f);
MUST_USE err archive_evidence_list(struct archive *a, struct span job, struct arena *arena,
                                   struct evidence_list *out, struct fault *f);
MUST_USE err archive_evidence_read(struct archive *a, struct span job, int64_t n,
                                   struct arena *arena, struct evidence_view *out,
                                   struct fault *f);
MUST_USE err archive_evidence_retain(struct archive *a, const struct archive_limits *limits,
                                     wall now, bool *out_more, struct fault *f);

/* ---- counts of fields, as in store.h ---- */
MUST_USE err archive_fields_add(struct archive *a, struct span site, struct span counts,
                                wall now, struct fault *f);
MUST_USE err archive_fields(struct archive *a, struct span site, int64_t hours, wall now,
                            struct arena *arena, struct fields_view *out, struct fault *f);
MUST_USE err archive_drift(struct archive *a, wall now, int64_t out_marks[DRIFT_MARKS],
                           struct fault *f);
MUST_USE err archive_fields_retain(struct archive *a, wall before, struct fault *f);

/* ---- what an operator and a check of both stores ask ---- */
struct archive_sizes {
    int64_t jobs, records, evidence, bytes;
};
MUST_USE err archive_sizes(struct archive *a, struct archive_sizes *out, struct fault *f);
/* Jobs that the archive knows, by id, behind `after`, at most `limit` (1-1000). */
MUST_USE err archive_jobs(struct archive *a, struct span after, size_t limit,
                          struct arena *arena, struct span **out, size_t *out_count,
                          struct fault *f);

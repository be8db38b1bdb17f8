/* archive.h - what jobs brought, for a store whose queue is elsewhere (queue.md §9, §11):
 * records, evidence, counts of fields. The embedded store needs none: there jobs and records
 * share one transaction.
 *
 * The queue decides who holds a job; the archive checks it once more. Each writing call carries
 * (epoch, fence) of the lease and is refused with E_STALE when a newer lease has written for
 * this job before. A batch is written before the queue moves the job's cursor: when that did
 * not happen (a crash, a cut connection, a queue that lost its last moments), the next holder
 * of the lease writes the batch with this number again, and it replaces what is there of this
 * number and behind it.
 *
 * Synchronous; each call is one transaction, and on disk when it answers E_OK. A call that ends
 * with E_STORE may have been done: it can be repeated. E_BUSY: not done, somebody or something
 * was in the way; E_DISK_FULL: not done. Within a call a serialization error, a deadlock, and
 * once a connection that ended before COMMIT was sent, are mended by doing it again. A call
 * takes at most the time to connect and to wait for its statements, each statement_ms and two
 * seconds. One thread uses an archive. */
#pragma once

#include "store/evidence.h"
#include "store/store.h"
#include "store/transfer.h"

struct archive;
enum { ARCHIVE_COPY_BYTES = 64 * 1024 }; /* where both ways take as long: bench/archive.c */
struct archive_config {
    struct span url; /* "postgresql://…", as libpq reads it; hosts are tried in their order */
    int64_t connect_ms, statement_ms; /* for each host; 0: as configured there, at most 10 s */
    /* It says nothing for so long, a third of it to connect: then it is away, whatever is configured. At most 15 s; 0: as
     * above. */
    int64_t patience_ms;
    int64_t copy_bytes; /* batches from so many bytes on go by COPY; 0: ARCHIVE_COPY_BYTES */
};
/* Connects, makes or upgrades the tables (under an advisory lock: several nodes may start at
 * once). E_CONFIG an address that cannot be read or leads to a user, password or database that
 * is refused, a server older than 13, an encoding that is not UTF8, tables of a newer version;
 * E_STORE no answer. A connection that ends later is made again by itself, with a pause;
 * another archive at the same address is then E_STORE. */
MUST_USE err archive_open(struct archive **out, const struct archive_config *config,
                          struct fault *f);
void archive_close(struct archive **a);
/* Whether it can be asked: a connection that is still there is enough, without one it is connected, no sooner than after a pause.
 * E_STORE, with the reason. */
MUST_USE err archive_alive(struct archive *a, struct fault *f);

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
/* As store_commit_batch(), but for the queue's part: the first reading of a record stands, in
 * its place, until its own batch is replaced; each job has its own readings; those above the
 * limit are left out. A job that counts users holds no posts: E_BAD_INPUT; so is a text that is
 * not UTF-8 or holds a zero byte. */
MUST_USE err archive_commit(struct archive *a, const struct archive_commit *args, wall now,
                            struct archive_committed *out, struct fault *f);
/* Takes back what batches from `batch` on brought: the queue knows nothing of them. counts: for
 * out->have. */
MUST_USE err archive_rewind(struct archive *a, const struct archive_lease *lease,
                            enum item_kind counts, int64_t batch, struct archive_committed *out,
                            struct fault *f);
/* As store_items(). A job that nobody wrote for has none. */
MUST_USE err archive_items(struct archive *a, struct span job, int kind, int64_t after,
                           size_t limit, size_t bytes_max, struct arena *arena,
                           struct item_view **out, size_t *out_count, struct fault *f);
struct archive_mending {
    struct span job, site;
    enum item_kind counts;
    int64_t batch; /* the queue's next one: new records become this batch, the queue counts on
                      behind it */
    int64_t limit; /* of the job; 0 none */
    const struct store_item *items; /* twice the same one: the last text, in the first place */
    size_t count;
};
/* As store_repair(), without the queue's part: no lease, no revision, no state. What later
 * batches brought is taken back before, as archive_rewind() does. */
MUST_USE err archive_repair(struct archive *a, const struct archive_mending *args, wall now,
                            struct repair_reply *out, struct fault *f);
/* The first posts of the job in the order of its list (where that is the order of time, the
 * newest): lines "created_ms id", at most STORE_MARK_POSTS and 48 KiB, what a mark is made of.
 */
MUST_USE err archive_newest(struct archive *a, struct span job, struct arena *arena,
                            struct span *out, struct fault *f);
/* Gives job `to` the records of job `from`, which stay there too, in place of what it had.
 * Repeating it changes nothing. Neither job sees what is written for the other one later. */
MUST_USE err archive_share(struct archive *a, struct span from, struct span to,
                           struct fault *f);
/* Deletes what the jobs brought: it is gone at once for who reads, its rows in bounded pieces:
 * *out_more, ask again (without jobs will do). Records that another job has stay. */
MUST_USE err archive_forget(struct archive *a, const struct span *jobs, size_t count,
                            bool *out_more, struct fault *f);

/* ---- evidence: as in evidence.h; the bytes are rows, compressed, once each ----
 * The nonce in the arguments is not looked at: the lease is the fence. A job that the archive
 * does not know has no evidence, which is no error. */
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

/* ---- counts of fields, as in store.h ----
 * Added without waiting for the disk: when the server's machine dies the last half second of
 * them may be lost. A call that is repeated because nobody knew its outcome may count twice. */
MUST_USE err archive_fields_add(struct archive *a, struct span site, struct span counts,
                                wall now, struct fault *f);
MUST_USE err archive_fields(struct archive *a, struct span site, int64_t hours, wall now,
                            struct arena *arena, struct fields_view *out, struct fault *f);
MUST_USE err archive_drift(struct archive *a, wall now, int64_t out_marks[DRIFT_MARKS],
                           struct fault *f);
MUST_USE err archive_fields_retain(struct archive *a, wall before, struct fault *f);

/* ---- what an operator and a check of both stores ask ---- */
struct archive_sizes {
    int64_t jobs, records, evidence; /* records: of several jobs that share them, once */
    int64_t bytes; /* of the texts of records, and of evidence as it is kept */
};
MUST_USE err archive_sizes(struct archive *a, struct archive_sizes *out, struct fault *f);
/* Jobs that the archive knows, by id, behind `after`, at most `limit` (1-1000). */
MUST_USE err archive_jobs(struct archive *a, struct span after, size_t limit,
                          struct arena *arena, struct span **out, size_t *out_count,
                          struct fault *f);

/* ---- moves: the archive's kinds of store/transfer.h ---- */
/* Which of these jobs the archive knows, and which batch it would take next of each (−1: it knows it not). */
MUST_USE err archive_move_jobs(struct archive *a, const struct span *jobs, size_t count,
                               int64_t *out_next_batches, struct fault *f);
/* Rows of one job behind `after`: records by their place (below batch `bound`), pieces by number, gaps at once. Or
 * of none: bodies and counts of fields, behind `place`. */
struct archive_move_ask {
    enum moved_kind kind;
    struct span job;
    int64_t after, bound;
    struct moved_place place;
};
MUST_USE err archive_move_out(struct archive *a, const struct archive_move_ask *ask,
                              struct arena *arena, struct moved_page *out, struct fault *f);
/* What is there already stays. */
MUST_USE err archive_move_in(struct archive *a, enum moved_kind kind,
                             const struct moved_page *page, struct fault *f);
MUST_USE err archive_move_empty(struct archive *a, bool *out, struct fault *f);
MUST_USE err archive_move_clear(struct archive *a, struct fault *f);
/* Which archive it is: the same for as long as its tables are there. */
struct span archive_id(const struct archive *a);

/* spool_inside.h - what spool.c (its file, single jobs) and spool_batches.c share. */
#pragma once

#include "base/json.h"
#include "store/sqlite/db.h"
#include "store/sqlite/spool.h"

struct spool {
    struct db *db;
    struct json_parser *parser;
    struct buf ticket;
    int64_t most;
    /* Those that are not on the disk yet included; at the last spool_sync(). */
    struct counts {
        struct count {
            int64_t waiting, handed_over, aside;
            int64_t perhaps; /* of those that wait: the queue had them once */
        } of[SPOOL_KINDS];
    } now, synced;
};

MUST_USE err spool_begin(struct spool *s, struct fault *f);
/* The first row; E_END: none, and the query is over. */
MUST_USE err spool_row(struct db *d, enum sql id, const struct db_arg *args, size_t n,
                       struct query **out, struct fault *f);
/* Whether an entry has this id, of a job or a batch; out_waits: and the queue never had it. */
bool spool_entry(struct spool *s, struct span id, bool *out_waits);
/* Whether it is worth looking for a request: no index is asked where there is nothing. */
bool spool_may_know(const struct spool *s, enum spool_kind kind, enum spool_known known);
/* For so many more that wait, or that are copies. E_BUSY. */
MUST_USE err spool_make_room(struct spool *s, int64_t jobs, bool copy, struct fault *f);
/* As a ticket in s->ticket, until the next one. */
MUST_USE err spool_ticket(struct spool *s, const struct accept_args *job, struct span *out,
                          struct fault *f);
/* A key that was used: E_OK by such a request, E_BAD_INPUT another one. Columns of the row: id, hash, state. Ends the query. */
MUST_USE err spool_read_key(struct query *q, uint64_t hash, struct spool_reply *out,
                            bool *out_waits, struct fault *f);

MUST_USE err spool_count_batches(struct db *d, struct count *out, struct fault *f);
MUST_USE err spool_bring_back_batches(struct spool *s, struct fault *f);
/* What SQL_SPOOL_BATCH_HAS says of the id; false: nothing. */
struct spool_batch_has {
    int state;
    bool given, is_batch;
    char why[200];
};
bool spool_batch_has(struct spool *s, struct span id, struct spool_batch_has *out);
MUST_USE err spool_next_batch(struct spool *s, int64_t after, struct arena *a,
                              struct spooled *out, struct fault *f);
MUST_USE err spool_live_in_batch(struct spool *s, struct span tenant, struct span key,
                                 struct arena *a, struct spooled *out, struct fault *f);
MUST_USE err spool_replace_in_batch(struct spool *s, const struct spooled *live, struct span by,
                                    struct fault *f);
MUST_USE err spool_batch_handed_over(struct spool *s, int64_t number,
                                     const struct spool_given *given, struct fault *f);
MUST_USE err spool_batch_aside(struct spool *s, int64_t number, struct span why,
                               struct fault *f);
/* The oldest that was handed over; out_at INT64_MAX: there is none. */
MUST_USE err spool_oldest_batch(struct spool *s, int64_t *out_number, int64_t *out_at,
                                int64_t *out_jobs, struct fault *f);
MUST_USE err spool_batch_leave(struct spool *s, int64_t number, int64_t jobs, struct fault *f);
/* Of spool_settle(), spool_again(), spool_pass(). */
MUST_USE err spool_settle_batches(struct spool *s, int64_t before_round, struct fault *f);
MUST_USE err spool_again_batches(struct spool *s, struct fault *f);
MUST_USE err spool_pass_batches(struct spool *s, struct span store, wall by, struct fault *f);

/* inside.h - what the files of the archive share. */
#pragma once

#include "store/asked.h"
#include "store/archive.h"
#include "store/postgres/pg.h"
#include "store/postgres/schema.h"

enum {
    BATCH_MAX = 1000000000, /* batches of a job: positions stay in 64 bits */
};

struct archive {
    struct pg *pg;
    struct schema_wanted schema;
    size_t copy_from;
};

/* A number of things: what cannot be one is the nearest that can. */
int64_t tally(const struct pg_rows *rows, size_t row, int column);
/* E_STORE: what a row says is none of what this version knows, so somebody else has written it. */
MUST_USE err not_ours(struct fault *f);

struct counts { /* of records, by kind, and of their bytes */
    int64_t kinds[ITEM_CONFLICT + 1], bytes;
};
/* A job's row, locked until the end of the transaction. */
struct held_job {
    int64_t seq, result; /* result 0: it has none yet */
    bool shared;
    int64_t next_batch; /* behind the last one that was written */
    struct counts has;
};
void held_read(const struct pg_rows *rows, struct held_job *out);
/* Locks the job's row, made when there is none. E_STALE when a newer lease has written. */
MUST_USE err fence_pass(struct pg *p, const struct archive_lease *lease, struct held_job *out,
                        struct fault *f);
/* The same for who holds no lease. */
MUST_USE err job_lock(struct pg *p, struct span job, struct held_job *out, struct fault *f);
/* An empty result of its own; the one it had has a holder less. site: empty, as that one's. */
MUST_USE err result_renew(struct pg *p, struct held_job *job, struct span site,
                          struct fault *f);
/* E_BAD_INPUT: no job has a batch of this number. */
MUST_USE err result_check_batch(int64_t batch, struct fault *f);
/* Takes back what batches from `batch` on brought, and what it shares with other jobs becomes
 * its own. */
MUST_USE err result_rewind(struct pg *p, struct held_job *job, struct span site, int64_t batch,
                           struct fault *f);

/* ---- records of one call, on their way into the job's result ---- */
struct staged {
    const struct store_item **items; /* each (kind, id) once */
    int64_t *ords;
    size_t count;
    size_t copy_from;         /* from so many bytes on they go by COPY */
    int64_t *kinds, *created; /* the same as arrays */
    struct span *ids, *texts;
};
enum staged_wins { STAGED_FIRST, STAGED_LAST }; /* of records with the same kind and id */
/* Gives each its place, first_ord + its index. */
void staged_init(struct staged *s, const struct archive *a, const struct store_item *items,
                 size_t count, int64_t first_ord, enum staged_wins wins);
void staged_fini(struct staged *s);
/* Adds to the job's result what it does not have, up to `limit` of what it counts (0: any
 * number). */
MUST_USE err staged_add(const struct staged *s, struct pg *p, struct held_job *job,
                        enum item_kind counts, int64_t limit, int64_t next_batch,
                        struct counts *out_added, struct fault *f);
/* Replaces what it has with another text. */
MUST_USE err staged_replace(const struct staged *s, struct pg *p, struct held_job *job,
                            int64_t *out_replaced, struct fault *f);

/* ---- a bounded piece of what forgotten jobs left ---- */
enum { PIECES_AT_ONCE = 100, RECORDS_AT_ONCE = 5000 };
/* Takes up to *pieces pieces of evidence of this job away; *pieces is what may still be taken.
 */
MUST_USE err evidence_forget_some(struct pg *p, int64_t job, int64_t *pieces, struct fault *f);

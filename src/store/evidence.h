/* evidence.h - what jobs read, kept: operations of the store (store.h has the rules of all of them).
 *
 * The bytes of a piece are one zstd file below STATE_DIR/evidence/, called after the SHA-256 of what
 * is in it: the same bytes are there once, however many pieces name them. The file is written
 * before its row and removed after it, so that what a crash leaves is a file without a row, and the
 * next sweep removes it. Evidence is worth less than jobs: it never takes the room that they
 * need, and what cannot be kept is a gap that the list tells, not a failure. */
#pragma once

#include "core/evidence.h"
#include "store/store.h"

enum {
    EVIDENCE_PICTURES_MAX = 3, /* screenshots of one job, and doms */
    EVIDENCE_LIST_MAX = 500,
    EVIDENCE_TEXT_MAX = 16 * 1024, /* of a URL, of headers */
};

struct evidence_args {
    struct span id;
    uint64_t nonce; /* of the lease: E_STALE when it is not held */
    enum evidence_kind kind;
    enum evidence_gap gap; /* not GAP_NONE: nothing came; only this is noted, `gaps` times */
    int64_t gaps;
    int64_t batch;              /* of the records that were read from it */
    enum failure_class reason;  /* FAILURE_NONE: always kept */
    int status;                 /* HTTP; 0 none */
    int64_t at_ms;              /* when it was read */
    struct span strategy, name; /* "capture", "UserTweets" */
    struct span url, headers;   /* headers: JSON object of those that may be kept */
    struct span body;
};
struct evidence_reply {
    enum evidence_gap gap; /* GAP_NONE: it is kept */
    int64_t n;             /* its number in the job */
};
/* E_OK also when it was not kept; the reply says why. */
MUST_USE err store_evidence_add(struct store *s, const struct evidence_args *args, wall now,
                                struct evidence_reply *out, struct fault *f);

struct evidence_view {
    int64_t n, attempt, batch, at_ms, bytes;
    enum evidence_kind kind;
    enum failure_class reason;
    int status;
    struct span strategy, name, url, headers, hash; /* hash: SHA-256, hexadecimal */
    struct span body;                               /* of store_evidence_read() */
};
struct evidence_gap_view {
    enum evidence_kind kind;
    enum evidence_gap gap;
    int64_t count;
};
struct evidence_list {
    struct evidence_view *pieces;
    struct evidence_gap_view *gaps;
    size_t count, gap_count;
};
/* What there is of a job, in the order in which it came. E_NOT_FOUND: no such job. */
MUST_USE err store_evidence_list(struct store *s, struct span id, struct arena *a,
                                 struct evidence_list *out, struct fault *f);
/* One piece with its bytes. E_NOT_FOUND; E_STORE when its file is missing or damaged. */
MUST_USE err store_evidence_read(struct store *s, struct span id, int64_t n, struct arena *a,
                                 struct evidence_view *out, struct fault *f);
/* Deletes a bounded number of pieces that are too old or too much. out_more: there are more. */
MUST_USE err store_evidence_retain(struct store *s, wall now, bool *out_more, struct fault *f);
/* Between groups: removes files that no row names, some folders per call. True: there are more. */
bool store_evidence_sweep(struct store *s);

/* ---- repair ---- */
/* Puts records that were read again from the evidence into a dead job, and, when `done`, makes it
 * succeed. Records that the job has are replaced, others are added behind. */
struct repair_args {
    struct span id;
    int64_t revision; /* of the job as the caller saw it; another one is E_CONFLICT */
    const struct store_item *items;
    size_t count;
    bool done;
    enum verdict verdict; /* when done; VERDICT_NONE is E_BAD_INPUT */
    enum end_reason end;
    struct span report; /* JSON; empty: the one of the last attempt stays */
};
struct repair_reply {
    int64_t added, replaced, have;
};
/* E_NOT_FOUND; E_CONFLICT when the job is not dead or has changed meanwhile. */
MUST_USE err store_repair(struct store *s, const struct repair_args *args, wall now,
                          struct repair_reply *out, struct fault *f);

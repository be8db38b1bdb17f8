/* inside.h - what the files of this folder share. Nobody else includes it.
 *
 * Lanes and counts are few and asked for all the time, so they live in memory (struct tally)
 * and are written to their rows by store_commit(); a rollback restores the copy taken by
 * store_begin(). */
#pragma once

#include "core/lane.h"
#include "store/sqlite/db.h"
#include "store/store.h"

enum {
    LANES_MAX = 256,
    SITE_NAME = 64,
    REAP_MAX = 64,
    RELEASES_FREE = 3, /* in a row without progress: given back at once; later ones wait longer and longer */
    RELEASES_MAX = 30, /* then the job ends: otherwise nothing bounds one that kills what runs it */
    ORD_PER_BATCH = 100000,
    SWEEP_FOLDERS = 256, /* of evidence: the first two digits of a digest */
    DOOMED_MAX = 64, /* files removed at once */
};

/* How a job ended, in the order of the labels of METRIC_JOBS_FINISHED: the verdicts first. */
enum outcome {
    OUTCOME_DEAD = VERDICT_COUNT - 1,
    OUTCOME_CANCELLED,
    OUTCOME_EXPIRED,
    OUTCOMES
};

struct store_lane {
    char name[LANE_NAME];
    int64_t weight, pass, tat_ms, blocked_until_ms;
    struct breaker breaker;
    int64_t ready, active; /* jobs */
    int64_t last_bad;      /* job whose health error was counted last; 0 none */
    bool dirty;            /* differs from its row */
};

struct tally {
    size_t lane_count;
    int64_t by_state[JOB_STATES];
    int64_t ended[OUTCOMES]; /* jobs that ended since the store was opened */
    int64_t vtime; /* pass of the last start: where a lane that wakes up begins */
    int64_t last_event;
    int64_t evidence_bytes; /* of all files, compressed */
    int64_t files, file_bytes; /* of media */
    struct store_lane lanes[LANES_MAX]; /* lane_id − 1 is the index */
};

/* The part of a job's row that transitions decide on. */
struct job_row {
    int64_t seq;
    char id[ID_TEXT];
    struct store_lane *lane;
    enum job_state state;
    uint64_t nonce; /* 0 when not active */
    int64_t fence, prio, rank, run_at_ms;
    bool started, suspect, cancel_asked;
    int64_t n_fail, n_crash, n_throttle, n_release;
    int64_t max_fail, max_crash, max_throttle, fail_base, crash_base, release_base;
    bool progressed; /* this lease added counted records */
    enum store_mark mark;
    int64_t next_batch, limit, have, users;
    enum item_kind counts;
    char site[SITE_NAME];
};

struct store {
    struct db *db; /* NULL after a failed reopening: the next group tries again */
    char *dir, *path, *ballast_path;
    int lock_fd;
    struct store_limits limits;
    uint64_t seed;
    bool in_group;
    bool disk_full;     /* the ballast was given back; only what ends jobs is let in */
    int64_t disk_free;  /* bytes, when the group began */
    int64_t reaped_ms;  /* store_reap() ran last */
    struct buf scratch; /* body of the event being written */
    int sweep_left;     /* folders of evidence to be looked at for files without a row */
    struct job_row rows[REAP_MAX];
    struct tally now, saved, marked; /* marked: by group_mark() */
    /* files.c */
    char *doomed[DOOMED_MAX]; /* paths to remove when the group is on disk */
    size_t doomed_count;
    bool placed;            /* this group gave a file its name */
    int sweep_at;           /* folder that is looked through next; 256: all were */
    int64_t parts_swept_ms; /* 0: never */
};

/* E_OK when a group is open and still sound. Every writing operation asks first. */
MUST_USE err store_usable(struct store *s, struct fault *f);

/* A part of a group that is taken back or kept as one, one at a time: group_mark(), then
 * group_keep() or group_rewind(). */
MUST_USE err group_mark(struct store *s, struct fault *f);
MUST_USE err group_keep(struct store *s, struct fault *f);
MUST_USE err group_rewind(struct store *s, struct fault *f);
/* Deletes an ended job with all that hangs on it, at most *rows of that, which is counted down.
 * out_gone: it is gone, there was no more than that. */
MUST_USE err job_forget(struct store *s, int64_t seq, enum job_state state, int64_t *rows,
                        bool *out_gone, struct fault *f);

/* ---- ended.c: what follows when a job ends, whatever ended it ---- */
/* To be called in the transaction that ends it, behind its row and its event: the last thing, because
 * it may accept a job (which moves lanes and uses s->rows[0] and s->scratch). */
MUST_USE err job_follow_up(struct store *s, int64_t seq, wall now, struct fault *f);
/* Before its row is deleted. */
MUST_USE err job_gone(struct store *s, int64_t seq, enum job_state state, struct fault *f);
/* ---- batches.c ---- */
MUST_USE err batches_child_ended(struct store *s, int64_t batch, enum job_state state, wall now,
                                 struct fault *f);
MUST_USE err batches_call_again(struct store *s, wall now, struct fault *f);
MUST_USE err batches_retain(struct store *s, wall before, bool *out_more, struct fault *f);
/* ---- operations.c ---- */
struct operation_args;
struct operation_view;
/* On the jobs of a batch. out NULL: not even its first piece is done, nobody looks at it. */
MUST_USE err operations_for_batch(struct store *s, int64_t batch, const struct operation_args *args,
                                  wall now, struct arena *a, struct operation_view *out,
                                  struct fault *f);
MUST_USE err operations_stop_for_batch(struct store *s, int64_t batch, wall now, struct fault *f);

/* ---- disk.c: lock file, free space, ballast ---- */
MUST_USE err disk_lock(struct store *s, struct fault *f);
int64_t disk_free_bytes(const struct store *s);
void disk_ballast_fill(struct store *s); /* clears disk_full when there is room again */
void disk_ballast_give(struct store *s); /* sets disk_full */

/* ---- lanes.c ---- */
MUST_USE err lanes_load(struct store *s, struct fault *f);
MUST_USE err lanes_flush(struct store *s, struct fault *f);
/* The lane of that name, or NULL. */
struct store_lane *lanes_find(struct store *s, struct span name);
MUST_USE err lanes_add(struct store *s, struct span name, struct store_lane **out,
                       struct fault *f);
int64_t lanes_id(const struct store *s, const struct store_lane *l);
void lanes_count(struct store *s, struct store_lane *l, enum job_state from, enum job_state to);
struct store_lane *lanes_pick(struct store *s, int64_t now_ms);
void lanes_started(struct store *s, struct store_lane *l, int64_t now_ms);
void lanes_block(struct store_lane *l, int64_t until_ms);
void lanes_sign(struct store_lane *l, enum breaker_sign sign, int64_t job, int64_t now_ms);
void lanes_outlook(const struct store *s, int64_t now_ms, struct outlook *out);
/* What a ready job of the lane waits for. */
enum waiting lanes_waiting(const struct store *s, const struct store_lane *l, int64_t now_ms,
                           int64_t *out_until_ms);

/* ---- jobs.c ---- */
/* The row when `nonce` holds its lease, else E_STALE. */
MUST_USE err job_row_held(struct store *s, struct span id, uint64_t nonce, struct job_row *out,
                          struct fault *f);
/* Active jobs of an earlier process go back to ready, in front, with cursor and batch. */
MUST_USE err jobs_release_all(struct store *s, wall now, struct fault *f);

/* E_BUSY, E_DISK_FULL: no further job may come in. */
MUST_USE err jobs_room(struct store *s, struct fault *f);

/* E_NOT_FOUND. */
MUST_USE err job_row_find(struct store *s, struct span id, struct job_row *out, struct fault *f);

/* ---- views.c ---- */
MUST_USE err job_view_read(const struct store *s, wall now, struct query *q, struct arena *a,
                           struct job_view *v, struct fault *f);

/* ---- items.c ---- */
/* The number of the job, E_NOT_FOUND. */
MUST_USE err items_job(struct store *s, struct span id, int64_t *out_seq, struct fault *f);

/* ---- evidence.c ---- */
/* Takes the evidence off a job that goes, at most *rows of it, which is counted down. */
MUST_USE err evidence_forget(struct store *s, int64_t job, int64_t *rows, struct fault *f);
/* ---- files.c ---- */
MUST_USE err files_load(struct store *s, struct fault *f);
/* Takes up to *rows files off the job. */
MUST_USE err files_release(struct store *s, int64_t job, int64_t *rows, struct fault *f);
/* The group is on disk, or rolled back. */
void files_after_group(struct store *s, bool committed);
/* ---- fields.c: adds what a worker counted to the hour ---- */
MUST_USE err field_counts_add(struct store *s, struct span site, struct span counts, wall now,
                        struct fault *f);
/* ---- marks.c ---- */
/* The job ended well: its posts are known from now on. */
MUST_USE err marks_move(struct store *s, const struct job_row *r, wall now, struct fault *f);

/* ---- events.c: a body is written into s->scratch ---- */
struct json_w;
struct json_w event_body(struct store *s, enum job_state state); /* open object with "state" */
MUST_USE err event_add(struct store *s, const char *job, const char *kind, wall now,
                       struct json_w *body, struct fault *f);

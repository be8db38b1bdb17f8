/* spool.h - jobs, and batches of jobs, that were taken while the queue could not be reached: a journal of this node's own, in
 * STATE_DIR/spool.db, which hands them over later (queue.md §11, Spool).
 *
 * An entry is on the disk when spool_sync() returns. It is handed over in the order in which it came, under
 * the id that was answered, so that handing it over twice makes one job; it stays until the queue is known
 * to have it for good (spool_settle()), and is handed over anew when the queue turns out to have lost its
 * last moments (spool_again()). Then it waits, and the queue perhaps has it: who asks for its job, or orders
 * with its unique key, is answered by the queue. One thread uses a spool.
 *
 * A batch is one entry, which is there whole or not at all; wherever entries are counted it is as many as it has jobs, or one
 * when it has none. Jobs and batches have numbers and an order of their own. */
#pragma once

#include "store/batches.h"
#include "store/store.h"

struct spool;
struct json_parser;

/* Opens or makes the file; E_STORE, E_DISK_FULL. most: jobs that wait at once and that only this file has, and with
 * what is left of that, those that the queue has as well; more are E_BUSY. */
MUST_USE err spool_open(struct spool **out, const char *state_dir, int64_t most,
                        struct fault *f);
void spool_close(struct spool **s);

enum spool_kind { SPOOL_JOB, SPOOL_BATCH, SPOOL_KINDS };
enum { SPOOL_BATCH_BYTES = 48 << 20 }; /* of the jobs of one, as they are kept */
struct spool_reply {
    char id[ID_TEXT];
    int64_t number; /* of the entry; 0: it was there */
    bool replayed;  /* an earlier request with this key made it */
};
/* E_BUSY full; E_BAD_INPUT key used with another body; E_CONFLICT the id is there; E_TOO_BIG. What was handed over makes
 * room for it, the oldest first. */
MUST_USE err spool_add(struct spool *s, const struct accept_args *job, wall now,
                       struct spool_reply *out, struct fault *f);
struct spool_given {
    int64_t round;     /* of spool_settle(): when */
    wall at;           /* likewise */
    struct span store; /* which queue has it; empty: nobody knows */
};
/* A copy of a job that the queue has. E_BUSY: no room is left. */
MUST_USE err spool_add_copy(struct spool *s, const struct accept_args *job, wall now,
                            const struct spool_given *given, struct fault *f);
/* Likewise of a batch: all of it or nothing. `replaced_by` of its jobs is kept as well. */
MUST_USE err spool_add_batch(struct spool *s, const struct batch_args *batch, wall now,
                             struct spool_reply *out, struct fault *f);
MUST_USE err spool_add_batch_copy(struct spool *s, const struct batch_args *batch, wall now,
                                  const struct spool_given *given, struct fault *f);
/* Which requests are looked for. */
enum spool_known {
    SPOOL_WAITS, /* whose job waits here, or waits anew: the queue answers for the others by itself */
    SPOOL_ALL /* also those that the queue has, which cannot be asked now */
};
/* Whether an earlier request with this key is known here; else E_END. E_BAD_INPUT: as of spool_add(). */
MUST_USE err spool_find(struct spool *s, const struct accept_args *job, enum spool_known known,
                        struct spool_reply *out, struct fault *f);
MUST_USE err spool_find_batch(struct spool *s, const struct batch_args *batch,
                              enum spool_known known, struct spool_reply *out, struct fault *f);
/* Where the job or the batch of this id is here: E_BUSY it waits to be handed over, and only this file has it; E_STORE it was set aside, the words say why; E_OK
 * neither. */
MUST_USE err spool_has(struct spool *s, struct span id, struct fault *f);
/* What was added and noted so far is on the disk. On an error nothing since the last one is. */
MUST_USE err spool_sync(struct spool *s, struct fault *f);

struct spooled {
    enum spool_kind kind;
    int64_t number;
    wall at;      /* when it was taken */
    bool given;   /* the queue answered for it before: it waits anew */
    int64_t jobs; /* so many it counts as */
    struct accept_args job;
    struct batch_args batch; /* SPOOL_BATCH: accepted_ms is that of its jobs */
    int64_t place;           /* of spool_live(), SPOOL_BATCH: of the job in the batch */
};
/* The first one of a kind behind `after` (0: of all) that waits to be handed over; its texts in the arena. E_END: none. E_BAD_SYNTAX,
 * E_TOO_BIG: it cannot be read, and why; its number and the id of job or batch are there. */
MUST_USE err spool_next(struct spool *s, enum spool_kind kind, int64_t after, struct arena *a,
                        struct spooled *out, struct fault *f);
/* Likewise the batch of this id that waits or was handed over. */
MUST_USE err spool_batch(struct spool *s, struct span id, struct arena *a, struct spooled *out,
                         struct fault *f);
/* Likewise the newest job that waits with this unique key, by itself or in a batch, that none took the place of and that the queue never
 * had. */
MUST_USE err spool_live(struct spool *s, struct span tenant, struct span key, struct arena *a,
                        struct spooled *out, struct fault *f);
/* That job took the place of this one while it waited: it is handed over as one that has ended. */
MUST_USE err spool_replace(struct spool *s, const struct spooled *live, struct span by,
                           struct fault *f);
/* The queue has answered for it. */
MUST_USE err spool_handed_over(struct spool *s, enum spool_kind kind, int64_t number,
                               const struct spool_given *given, struct fault *f);
/* It cannot be handed over as things are: it makes way, is kept with the reason for a person, and waits again when the
 * file is opened the next time. */
MUST_USE err spool_set_aside(struct spool *s, enum spool_kind kind, int64_t number,
                             struct span why, struct fault *f);
/* All that were handed over in a round before that one are safe in the queue: they go. */
MUST_USE err spool_settle(struct spool *s, int64_t before_round, struct fault *f);
/* The queue may have lost some: all that were handed over wait again. */
MUST_USE err spool_again(struct spool *s, int64_t *out_count, struct fault *f);
/* Of those that wait again: what was handed over first by then, or to another queue than this one, has been done with there, and goes. */
MUST_USE err spool_pass(struct spool *s, struct span store, wall by, struct fault *f);

struct spool_view {
    int64_t waiting, handed_over, aside, most;
    int64_t oldest_ms; /* of those that wait; 0: none */
};
MUST_USE err spool_look(struct spool *s, struct spool_view *out, struct fault *f);
/* What another process has in the spool of STATE_DIR, or left there: all 0 when there is none. Nothing is written, and what was set
 * aside stays so. E_DENIED: who asks may not look. */
MUST_USE err spool_peek(const char *state_dir, struct spool_view *out, struct fault *f);

/* spooling.h - how a node of several machines takes jobs, and batches of them, while their queue is away (queue.md §11, Spool): into a
 * journal of its own (store/sqlite/spool.h), which it hands over when the queue is back. On the store's thread.
 *
 * A job or a batch that was taken has its id and is on this node's disk. The queue gets it under that id, a batch whole, so that handing it over
 * again makes no second one, and keeps it whatever its modes and limits say meanwhile: it was accepted. What was
 * handed over stays in the journal for a minute at least, and until the replicas of the queue have it, if no job that waits needs its
 * room, and is handed over anew when the queue lost its last moments. What the queue does not take, though it is there, is passed over and offered again. */
#pragma once

#include "store/batches.h"
#include "store/store.h"

struct spooling;
struct spooling_config {
    const char *state_dir;
    int64_t
        most; /* jobs that wait at once, by themselves or in batches; what is left of it is room for those that were handed over */
    bool always;              /* also copies of those that the queue takes */
    int64_t disk_floor_bytes; /* free on the disk, below which none is taken */
    int64_t retain_ms;        /* so long the queue keeps a job that has ended; 0: for ever */
    mono (*clock)(void);      /* NULL: this machine's */
};
/* What an earlier process left is handed over again, since nobody knows what the queue lost meanwhile; but not to another queue, nor
 * when it may have ended there and be gone. E_STORE, E_DISK_FULL. */
MUST_USE err spooling_open(struct spooling **out, const struct spooling_config *config,
                           struct fault *f);
void spooling_close(struct spooling **s);
bool spooling_keeps(const struct spooling *s); /* copies are wanted */

/* Takes a job that the queue could not take; mode: of the queue, as it was heard of last. It is on the disk when
 * spooling_sync() has returned. Of jobs with its unique key those that wait here are known: with one of these it is as with
 * store_accept(), and `out->waits` is in the arena (NULL: left out); what the queue has decides when it is handed over, then
 * it comes in as one that has ended. An earlier request with its key that is known here, also one that the queue has by now,
 * is answered again, and nothing else comes of it. E_BUSY: as many wait here as may; else as store_accept(). */
MUST_USE err spooling_take(struct spooling *s, const struct accept_args *job,
                           enum store_mode mode, wall now, struct arena *a,
                           struct accept_reply *out, struct fault *f);
/* Likewise a batch, whole or not at all; with `partial` without the jobs that cannot be taken. Its reply's `waits` is as it will be
 * there, in the arena. */
MUST_USE err spooling_take_batch(struct spooling *s, const struct batch_args *batch,
                                 enum store_mode mode, wall now, struct arena *a,
                                 struct batch_reply *out, struct fault *f);
/* Whether a job with the unique key of this order, which has no key of its request, waits here, and the queue never had it: then
 * the order is for spooling_take(), also when the queue is back. */
bool spooling_has_key(struct spooling *s, const struct accept_args *job);
/* A copy of a job that the queue has taken, for when it loses its last moments. It may have no room: then there is none. */
void spooling_keep(struct spooling *s, const struct accept_args *job, wall now);
/* Likewise of a batch, but for the jobs that were refused. */
void spooling_keep_batch(struct spooling *s, const struct batch_args *batch,
                         const struct batch_reply *reply, wall now);
/* The request was answered by a job that waits here: E_OK. E_END: it was not. */
MUST_USE err spooling_find(struct spooling *s, const struct accept_args *job, wall now,
                           struct accept_reply *out, struct fault *f);
MUST_USE err spooling_find_batch(struct spooling *s, const struct batch_args *batch, wall now,
                                 struct arena *a, struct batch_reply *out, struct fault *f);
/* E_BUSY: the job, or the batch, of this id waits here, and nobody else knows it yet; E_STORE: it was set aside. */
MUST_USE err spooling_asked(struct spooling *s, struct span id, struct fault *f);
MUST_USE err spooling_sync(struct spooling *s, struct fault *f);
struct spooling_state { /* of jobs, those in batches as well */
    bool on;
    int64_t waiting, handed_over, most;
    int64_t aside; /* could not be handed over, and are kept for a person */
    int64_t
        stuck; /* of those that wait: the queue is there and did not take them when it was asked last */
    int64_t oldest_ms; /* when the first of those that wait was taken; 0: none waits */
};
struct spooling_state spooling_state(struct spooling *s); /* also sets the gauges */

/* A piece of what waits, in its order, as a group of the store's own. out_more: there is more, also on an error. What cannot be
 * read, or what the queue will never take, is set aside; what it does not take yet, though it is there, waits on; both are logged,
 * and what is behind them goes on. Afterwards what is safe in the queue goes. */
MUST_USE err spooling_hand_over(struct spooling *s, struct store *queue, wall now,
                                bool *out_more, struct fault *f);
/* The queue may have lost what it was given last. When that cannot be noted, spooling_hand_over() tries again, and nothing counts as
 * safe before. */
MUST_USE err spooling_again(struct spooling *s, int64_t *out_count, struct fault *f);

/* mover.h - moves all that one store holds into another one, of whatever kind: fulmar store move. It knows nothing but
 * store/transfer.h.
 *
 * Before anything is written it looks at every row, whether the other store can take it. Then both stores are marked, so
 * that no service uses them: the source stays as it is, but for running jobs, which are given back. Rows go kind by kind,
 * page by page, and with each page the place behind it: whoever is interrupted, by whatever, calls again with the same
 * stores and goes on there. At the end all rows of both stores are read, and their sums compared; when they are the same the
 * source is one that was moved, and the other one may be used. */
#pragma once

#include "store/transfer.h"

enum mover_act {
    MOVER_MOVE,
    MOVER_LOOK,   /* only says what would be moved, and what cannot */
    MOVER_VERIFY, /* only compares */
    MOVER_ABANDON, /* an unfinished move: the source may be used again, what arrived is deleted */
};
struct mover_config {
    enum mover_act act;
    /* to NULL: of MOVER_LOOK, it is yet to be made; either of MOVER_ABANDON: it cannot be opened */
    struct transfer *from, *to;
    const char *from_name, *to_name; /* of one that cannot be opened: how it would be called */
    /* Of MOVER_ABANDON: whoever gives it up vouches that the other store, of which nobody can tell what it holds, is used by no
     * service and will not be. */
    bool gone;
    wall now;
    uint8_t random[10]; /* of a new move's id */
    /* Of MOVER_MOVE and MOVER_LOOK: what else may stand in the way of the source. Asked when nobody uses the stores, before
     * anything is written, and not of a move that was begun. NULL: nothing does. */
    err (*check)(void *ctx, struct fault *f);
    /* What it does, and how many rows of this kind are through. NULL: nobody wants to know. */
    void (*progress)(void *ctx, const char *doing, enum moved_kind kind, int64_t rows);
    void *ctx;
};
struct mover_result {
    char id[ID_TEXT];
    bool resumed; /* it went on with a move that had been interrupted */
    bool already; /* it was done before: nothing was done */
    bool whole;   /* the target has all of it: only the source's mark is missing, or was */
    /* of each kind: MOVER_LOOK: only of the source */
    struct moved_sum from[MOVE_KINDS], to[MOVE_KINDS];
    bool compared, same;
    int64_t refused[MOVE_KINDS]; /* rows that the other store cannot take */
    int64_t running;             /* jobs that are (MOVER_LOOK), to be given back */
    struct buf
        words; /* lines: why rows are refused, where the stores differ; the caller frees it */
};
/* E_CONFLICT: the stores are in use, or not what they have to be, and the words say what to do; E_BAD_INPUT: rows that cannot be moved, nothing was
 * written; E_STORE: the stores differ, or one of them failed. */
MUST_USE err mover_run(const struct mover_config *config, struct mover_result *out,
                       struct fault *f);

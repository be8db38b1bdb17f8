/* upgrade.h - brings the store of an earlier version up to date, when it is opened.
 *
 * Two numbers say what a file is. `user_version`: the version that a Fulmar must know to work on it. `meta.tables`, where
 * it is beyond that: the version whose tables are there. A step that takes nothing away (`alike`: columns with defaults,
 * tables, indexes) changes the second number only, so that the version before may be started on the same file again,
 * until the window is over (store.rollback_window); then the first follows. A step that does take something away
 * changes both, after a copy of the file beside it (PATH.version-N), which the version before can go on with.
 *
 * A version that knows nothing of moves looks at the first number only. While no service may use the file it is TRANSFER_SCHEMA,
 * which is beyond all of them, and the right one is kept in `meta.version`. */
#pragma once

#include "base/when.h"
#include "store/sqlite/db.h"

struct schema_step {
    int64_t from, to;
    const char *sql; /* without a transaction */
    bool alike;      /* a Fulmar of `from` can work on what it leaves */
};
struct schema_plan {
    const struct schema_step
        *steps; /* by version, one from each; the last one leads to this Fulmar's */
    size_t count;
    int64_t window_ms; /* so long the version before may come back; 0: not at all */
};

/* The steps that led to SCHEMA_VERSION. */
struct schema_plan upgrade_plan(int64_t window_ms);

/* A file with tables of version 3 or later: what lacks of the plan, in one transaction, or nothing. E_STORE: a newer
 * Fulmar made it and this one does not know how to go on, or nobody does from there. */
MUST_USE err upgrade_store(struct db *d, const char *path, const struct schema_plan *plan,
                           wall now, struct fault *f);
/* The version that a Fulmar must know, also of a file that is held. E_STORE: it has lost that. */
MUST_USE err upgrade_version(struct db *d, int64_t *out, bool *out_held, struct fault *f);
/* Whether no version may use the file, in the caller's transaction. */
MUST_USE err upgrade_hold(struct db *d, bool held, struct fault *f);

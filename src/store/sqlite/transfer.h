/* transfer.h - the embedded store as one side of a move (store/transfer.h). */
#pragma once

#include "store/sqlite/db.h"
#include "store/store.h"
#include "store/transfer.h"

/* The store of STATE_DIR, under its lock. make: there may be none yet; else E_NOT_FOUND. E_CONFLICT: a service uses it.
 * limits: of the source, for what it still does with jobs that were running. */
MUST_USE err transfer_sqlite(struct transfer **out, const char *state_dir, bool make,
                             const struct store_limits *limits, struct fault *f);
/* Its file, when transfer_sqlite() made it, goes when it is closed, before its lock is free: of a move that has written nothing
 * there. A file that was there stays, whoever made it meanwhile. One that cannot be opened leaves none either. */
void transfer_sqlite_undo(struct transfer *t);
/* As it is called once it is open; of a folder that is not there: as it is spelled. E_BAD_INPUT: that is too long. */
MUST_USE err transfer_sqlite_name(const char *state_dir, char out[TRANSFER_NAME],
                                  struct fault *f);
/* E_MOVED: no service may use this store. */
MUST_USE err transfer_check(struct db *d, struct fault *f);

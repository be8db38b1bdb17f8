/* backup.h - the rows of a store in one file: taken while a service runs at full load, looked at, and made a store
 * again.
 *
 * A backup is one moment of the store, whole. What lies beside the rows is not in it: evidence, files of
 * media, the key of sessions (docs/how-to/back-up-and-restore.md). It is taken by a connection that only reads, which
 * keeps the log of a running service from being shortened until it is done; the service goes on meanwhile. */
#pragma once

#include "store/store.h"

struct backup_view {
    int64_t bytes, jobs, live; /* live: that have not ended */
    int64_t epoch;
    int64_t last_ms; /* of the newest event; 0: there is none */
};
/* From the store of STATE_DIR to a new file (0600), on the disk when it returns. E_CONFLICT: there is one already.
 * E_NOT_FOUND: there is no store. */
MUST_USE err store_backup_make(const char *state_dir, const char *file, struct backup_view *out,
                               struct fault *f);
/* Reads all of it. E_STORE: it is damaged, or no backup of ours. */
MUST_USE err store_backup_check(const char *file, struct backup_view *out, struct fault *f);
/* Makes it the store of STATE_DIR, which has none (E_CONFLICT). Its epoch is so much higher that whoever still
 * works for the store it was taken from, or for one restored earlier, is told apart; no lease is taken over. */
MUST_USE err store_backup_restore(const char *state_dir, const char *file,
                                  struct backup_view *out, struct fault *f);

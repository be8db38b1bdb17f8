/* log.h - the write-ahead log, before it is relied on: is it whole, and is it on the disk? */
#pragma once

#include "store/sqlite/db.h"

/* After SQLite has opened the file, before anything is written.
 *
 * Damaged: SQLite reads a log up to the first page whose checksum is wrong and takes it for the end. After
 * a power failure that is right: it is the group that was being written. Where whole groups follow it is
 * not, and to go on would silently drop them: E_STORE, and the files stay as they are. A damaged last group
 * cannot be told from one that was being written.
 *
 * Not on the disk: what a process that was killed had written is seen, and not yet synced: it is. After a
 * sync that failed (`doubted`) the kernel shows what was written and will never write it; what is appended
 * behind it would be lost with it when the power fails. Only the last group can be such, so it is written
 * again. */
MUST_USE err log_settle(struct db *d, const char *path, bool doubted, struct fault *f);

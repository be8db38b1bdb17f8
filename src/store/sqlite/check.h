/* check.h - is the file what was written? SQLite's pages carry no checksums, so a damaged one may make rows
 * unreachable without an error. */
#pragma once

#include "store/sqlite/db.h"

/* When the store is opened. Always: every job is in the indexes that it is found by (counts of index
 * entries against counts of rows; 0.1 s for a million jobs). A file of at most 64 MiB: all of SQLite's own
 * checks too (0.3 s). Those of a million jobs would take two seconds from memory and as long as the disk
 * takes to read 400 MB otherwise; a large file is looked at table by table while the service runs
 * (sqlite_reader_check), and by SQLite when it reads a page. E_STORE
 * names the file and what is wrong; nothing is changed. Values that are wrong and fit are not seen. */
MUST_USE err check_file(struct db *d, const char *path, bool *out_wholly, struct fault *f);
/* All of SQLite's own checks, whatever it takes. */
MUST_USE err check_wholly(struct db *d, const char *path, struct fault *f);

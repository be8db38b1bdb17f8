/* upgrade.h - brings the store of an earlier version up to date, when it is opened. */
#pragma once

#include "store/sqlite/db.h"

/* From `version` to SCHEMA_VERSION in one transaction, after a copy of the file beside it (PATH.version-N), which an
 * earlier Fulmar can go on with. E_STORE: nobody can from that version. */
MUST_USE err upgrade_store(struct db *d, const char *path, int64_t version, struct fault *f);

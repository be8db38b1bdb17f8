/* profile.h - the private folder of each browser: RUN_FOLDER/browser-PID-N.
 *
 * Its owner holds a lock on it, which ends with the owner however that dies; a folder whose
 * lock is free belongs to nobody and is removed at the next start. A pid used again cannot
 * deceive this. */
#pragma once

#include "base/span.h"

enum { PROFILE_PATH = 512 };

struct profile {
    char path[PROFILE_PATH];
    int lock_fd;
};
MUST_USE err profile_make(struct profile *p, const char *run_folder, uint64_t number,
                          struct fault *f);
MUST_USE err profile_remove(struct profile *p, struct fault *f); /* may be tried again */
/* Removes folders of owners that are gone. Returns how many. */
size_t profile_sweep(const char *run_folder);

/* filed.h - where files of media lie, whatever kind of store has their rows: FOLDER/ab/HASH.suffix, named by their
 * content; what is being fetched in FOLDER/part. */
#pragma once

#include "store/store.h"

enum { FILED_PATH = 512, FILED_SUFFIX = 9, FILED_FOLDERS = 256 };

struct filed {
    char hash[DIGEST_TEXT], suffix[FILED_SUFFIX];
};
/* False: the folder's name is too long. */
bool filed_path(const char *folder, const struct filed *file, char out[FILED_PATH]);
int64_t filed_size(const char *path); /* −1: there is no such file */
bool filed_is_hash(struct span hash);
/* E_BAD_INPUT. */
MUST_USE err filed_check_url(struct span url, struct fault *f);
MUST_USE err filed_check(const struct file_put_args *a, struct fault *f);
err filed_none(struct span hash, struct fault *f); /* there is no such file */

/* The part gets the name of its content, on disk when this answers; when a file of that name is there already, the
 * part goes. The second time it changes nothing. E_BAD_INPUT, E_NOT_FOUND, E_DISK_FULL, E_OS. */
MUST_USE err filed_place(const char *folder, const struct file_put_args *a,
                         const struct filed *as, struct fault *f);
/* The same of a file that lies elsewhere, which stays there. */
MUST_USE err filed_copy(const char *folder, const char *from, const struct filed *as,
                        struct fault *f);
/* Names of one of the FILED_FOLDERS: "HASH.suffix". None where there is no such folder. */
void filed_names(const char *folder, int number, struct arena *a, char ***out_names,
                 size_t *out_count);
/* The one of such a name; false: it is none of ours. */
bool filed_read_name(const char *name, struct filed *out);
/* Removes parts that nobody goes on with. */
void filed_sweep_parts(const char *folder, wall now);

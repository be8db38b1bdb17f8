/* files.h - files and folders, with words for what went wrong. */
#pragma once

#include "base/arena.h"

/* Whole file below `dirfd` (AT_FDCWD for the current folder), at most max bytes, appended to out. */
MUST_USE err files_read(int dirfd, const char *path, size_t max, struct buf *out,
                        struct fault *f);
/* Standard input to its end; E_TOO_BIG where that is more than the buf takes. */
MUST_USE err files_read_input(struct buf *out, struct fault *f);
/* Writes beside it and renames over it, 0600, fsynced. */
MUST_USE err files_write(const char *path, struct span content, struct fault *f);
/* A file that was made, renamed or removed there stays so when the power fails. */
MUST_USE err files_sync_folder_of(const char *path, struct fault *f);
MUST_USE err files_make_folder(const char *path, unsigned mode,
                               struct fault *f); /* with parents; fine when there */
/* Likewise one that only its owner may enter, and root gives it to that owner. */
MUST_USE err files_make_folder_of(const char *path, uid_t user, gid_t group, struct fault *f);
/* A file in that folder that nobody else can find, gone with its descriptor. */
MUST_USE err files_open_nameless(const char *folder, int *out_fd, struct fault *f);
/* Everything below and the folder itself; does not follow links. Fine when it is not there. */
MUST_USE err files_remove_tree(const char *path, struct fault *f);
/* Names of the entries of a folder, without dots; the array is NULL-terminated, in the arena. */
MUST_USE err files_list(const char *path, struct arena *a, char ***out_names, size_t *out_count,
                        struct fault *f);
/* One number for everything below a folder: names, sizes, and when each file was changed, links followed.
 * Names that begin with a dot do not count. 0: there is no such folder. */
uint64_t files_digest(int dirfd, const char *path);
/* That are free on the disk of this path; 0: nobody knows. */
int64_t files_free_bytes(const char *path);
bool files_close_on_exec(int fd, bool on);
/* Raises the soft limit of open files to `want`, as far as the hard one allows; returns what it is. */
int64_t files_raise_limit(int64_t want);
/* Words for errno, with the way out for EACCES, EROFS, ENOSPC, ENOENT. Returns E_DISK_FULL, E_NOT_FOUND or E_OS. */
err files_fault(struct fault *f, const char *doing, const char *path);
/* Sends up to 4 descriptors with a message; receives likewise (CLOEXEC). −1 entries: none. */
MUST_USE err files_send_fds(int socket_fd, struct span message, const int *fds, size_t count);
MUST_USE err
files_receive_fds(int socket_fd, char *message, size_t size, size_t *out_n, int fds[4],
                  size_t *out_count); /* E_END at end of file, E_BUSY when nothing is there */

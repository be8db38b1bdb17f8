/* disk.c - the disk under the store: a small one, that is full for a while.
 *
 * What is full keeps what it has: bytes in place are written, files do not grow, beyond what the store lets go of by removing
 * its ballast. That is looked at in the store's own folder, so that a file which became shorter makes room as well.
 *
 * The program's own statvfs() stands before the C library's, so that free room is what is said here; and it being small, the ballast
 * is too: a twentieth of the time would go into laying 64 MiB for each seed.
 *
 * Locks of a file are between processes, and there is one: a third of the time would go into asking for them. */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 8192, SHARE = 8 }; /* of which the ballast is one */
static const int64_t BALLAST = (int64_t)BLOCK * BLOCKS / SHARE;

static struct {
    bool full;
    bool
        was_full; /* the store looks for room when it looks after leases: it does not know yet */
    const char *dir;
    int64_t most; /* bytes of the files, when the ballast is there */
} disk;

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
    (void)path;
    *out = (struct statvfs){.f_bsize = BLOCK,
                            .f_frsize = BLOCK,
                            .f_blocks = BLOCKS,
                            .f_bfree = disk.full ? 0 : BLOCKS / 2,
                            .f_bavail = disk.full ? 0 : BLOCKS / 2};
    return 0;
}

static int64_t bytes_of(const char *name)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", disk.dir, name);
    return stat(path, &st) ? 0 : st.st_size;
}

static bool has_room(int fd, int64_t end)
{
    struct stat st;
    if (!disk.full || fstat(fd, &st) || end <= st.st_size)
        return true;
    int64_t there =
        bytes_of("fulmar.db") + bytes_of("fulmar.db-wal") + bytes_of("fulmar.ballast");
    return there + end - st.st_size <= disk.most;
}

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t at)
{
    if (has_room(fd, at + (int64_t)n))
        return pwrite(fd, bytes, n, at);
    errno = ENOSPC;
    return -1;
}

static int without_locks(int fd, int op, ...)
{
    va_list list;
    va_start(list, op);
    void *arg = va_arg(list, void *);
    va_end(list);
    return op == F_SETLK || op == F_SETLKW ? 0 : fcntl(fd, op, arg);
}

void disk_put_under(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    (void)vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)without_locks);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)write_at);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)write_at);
}

void watch_disk(struct watch *w, bool full)
{
    if (full && disk.full)
        return;
    disk.dir = w->dir;
    disk.was_full = (disk.was_full || disk.full) && !full;
    disk.full = full;
    disk.most = bytes_of("fulmar.db") + bytes_of("fulmar.db-wal") + BALLAST;
}

void disk_after_reap(void)
{
    disk.was_full = false;
}

bool disk_refuses(err e)
{
    return (disk.full || disk.was_full) && e == E_DISK_FULL;
}

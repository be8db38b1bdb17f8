#include "store/sqlite/inside.h"

#include "base/need.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const int64_t BALLAST_BYTES = 64 << 20;
enum {
    /* of a small disk: this part of it; an ending touches a dozen indexes, a page each */
    BALLAST_SHARE = 8,
    LOCK_TEXT = 40,
};

/* The lock file says who holds it, and in a second line whether the log is in doubt. */
static struct span read_lock(int fd, char text[LOCK_TEXT])
{
    ssize_t n = pread(fd, text, LOCK_TEXT, 0);
    return (struct span){text, n > 0 ? (size_t)n : 0};
}

static bool was_doubted(int fd)
{
    char text[LOCK_TEXT];
    struct span all = read_lock(fd, text);
    return span_find(all, SPAN("doubted")) < all.n;
}

static bool write_lock(int fd, bool doubted)
{
    char text[LOCK_TEXT];
    int n = snprintf(text, sizeof text, "%d\n%s", (int)getpid(), doubted ? "doubted\n" : "");
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

static err fail_locked(struct store *s, int fd, struct fault *f)
{
    char text[LOCK_TEXT];
    struct span rest = read_lock(fd, text), line;
    int64_t pid = 0;
    if (span_next(&rest, '\n', &line))
        (void)span_int(line, &pid);
    return fail(
        f, E_CONFLICT,
        "process %lld uses the job store in %.120s; stop it or choose another store.path",
        (long long)pid, s->dir);
}

static err fail_path(const struct store *s, struct fault *f)
{
    int code = errno;
    if (code == ENOSPC || code == EDQUOT)
        return fail(f, E_DISK_FULL,
                    "no space left in %.120s; free some or choose another store.path", s->dir);
    return fail(
        f, E_STORE,
        "cannot write in %.120s: %s; change its owner or mode or choose another store.path",
        s->dir, strerror(code));
}

/* What a mover that was killed while it emptied the store leaves; nobody else looks at it. */
static void remove_half_made(const struct store *s)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/" DISK_HALF_MADE "%s", s->dir, endings[i]) < 0)
            bug("no memory");
        (void)unlink(path);
        free(path);
    }
}

/* Whether the file that was opened is still the one of that name: a mover takes one away that it made. */
static bool is_still(int fd, const char *path)
{
    struct stat is, there;
    return fstat(fd, &is) == 0 && stat(path, &there) == 0 && is.st_dev == there.st_dev &&
           is.st_ino == there.st_ino;
}

static err lock_file(struct store *s, const char *path, int *out_fd, struct fault *f)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return fail_path(s, f);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            err e = errno == EWOULDBLOCK ? fail_locked(s, fd, f) : fail_path(s, f);
            close(fd);
            return e;
        }
        *out_fd = fd;
        if (is_still(fd, path))
            return E_OK;
        close(fd);
    }
}

/* The lock dies with the process, so a lock file left behind never blocks a start. */
err disk_lock(struct store *s, struct fault *f)
{
    int fd = -1;
    if (mkdir(s->dir, 0700) != 0 && errno != EEXIST)
        return fail_path(s, f);
    char *path = NULL;
    if (asprintf(&path, "%s/fulmar.lock", s->dir) < 0)
        bug("no memory");
    err locked = lock_file(s, path, &fd, f);
    free(path);
    if (locked)
        return locked;
    s->doubted = was_doubted(fd);
    if (!write_lock(fd, s->doubted)) {
        err e = fail_path(s, f);
        close(fd);
        return e;
    }
    s->lock_fd = fd;
    remove_half_made(s);
    return E_OK;
}

/* What the kernel believes lasts no longer than until the machine starts anew, so this need not be synced.
 * A note that cannot be written is of use to nobody but a next process. */
void disk_doubt(struct store *s, bool doubted)
{
    if (s->doubted != doubted)
        (void)write_lock(s->lock_fd, doubted);
    s->doubted = doubted;
}

static int64_t ballast_bytes(const struct store *s)
{
    struct statvfs v;
    if (statvfs(s->dir, &v) != 0)
        return 0;
    int64_t share = (int64_t)v.f_blocks * (int64_t)v.f_frsize / BALLAST_SHARE;
    return share < BALLAST_BYTES ? share : BALLAST_BYTES;
}

void disk_ballast_fill(struct store *s)
{
    int64_t want = ballast_bytes(s);
    struct stat st;
    int fd = open(s->ballast_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool whole = fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= want;
    /* Twice the room: filled to the brim it would be needed again at once. */
    if (fd >= 0 && !whole && files_free_bytes(s->dir) > 2 * want)
        whole = posix_fallocate(fd, 0, want) == 0;
    if (fd >= 0 && !whole && ftruncate(fd, 0) != 0)
        whole = false;
    if (fd >= 0)
        close(fd);
    s->disk_full = !whole;
}

void disk_ballast_give(struct store *s)
{
    s->disk_full = true;
    (void)unlink(s->ballast_path);
}

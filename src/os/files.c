#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/need.h"

enum {
    FDS_MAX = 4,
    INPUT_STEP = 4096,
    READ_STEP = 64 * 1024,
    TREE_DEPTH_MAX = 64,
    PATH_SIZE = 4096
};

static const char *way_out(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return "; check its owner and permissions (chown, chmod)";
    case EROFS:
        return "; the file system is read-only: choose another folder or mount it writable";
    case ENOSPC:
    case EDQUOT:
        return "; free some space or choose another folder";
    case ENOENT:
        return "; create it or correct the path";
    default:
        return "";
    }
}

err files_fault(struct fault *f, const char *doing, const char *path)
{
    int error = errno;
    err e = E_OS;
    if (error == ENOENT)
        e = E_NOT_FOUND;
    else if (error == ENOSPC || error == EDQUOT)
        e = E_DISK_FULL;
    char text[80];
    const char *words = strerror_r(error, text, sizeof text);
    return fail(f, e, "cannot %s %s: %s%s", doing, path, words, way_out(error));
}

static err read_all(int fd, size_t max, struct buf *out, const char *path, struct fault *f)
{
    size_t total = 0;
    for (;;) {
        char *room = buf_room(out, READ_STEP);
        char spill[1];
        /* No room for a whole step: the file may still end exactly here. */
        size_t left = max - total;
        size_t want = room ? (left < READ_STEP ? left : READ_STEP) : 0;
        ssize_t got = want > 0 ? read(fd, room, want) : read(fd, spill, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return files_fault(f, "read", path);
        if (got == 0)
            return E_OK;
        if (want == 0)
            return fail(f, E_TOO_BIG, "%s is larger than %zu bytes", path, max);
        out->n += (size_t)got;
        total += (size_t)got;
    }
}

err files_read(int dirfd, const char *path, size_t max, struct buf *out, struct fault *f)
{
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return files_fault(f, "open", path);
    /* The step may ask for more room than the file needs: read through a buffer of our own
     * whose maximum leaves space for it, so that a file of exactly `max` bytes fits. */
    struct buf whole = BUF(max + READ_STEP + 1);
    err e = read_all(fd, max, &whole, path, f);
    close(fd);
    if (!e) {
        buf_add(out, buf_span(&whole));
        struct span all;
        if (buf_end(out, &all))
            e = fail(f, E_TOO_BIG, "%s does not fit into %zu bytes", path, out->max);
    }
    buf_free(&whole);
    return e;
}

static bool write_all(int fd, struct span content)
{
    while (content.n > 0) {
        ssize_t put = write(fd, content.p, content.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        content = span_cut(content, (size_t)put, content.n);
    }
    return true;
}

/* The name is in its folder for good only when the folder itself is on the disk. */
static bool sync_folder_of(const char *path)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    if (!slash)
        span_copy(SPAN("."), folder, sizeof folder);
    else
        span_copy((struct span){path, slash == path ? 1 : (size_t)(slash - path)}, folder,
                  sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fsync(fd) == 0 || errno == EINVAL;
    close(fd);
    return good;
}

err files_read_input(struct buf *out, struct fault *f)
{
    for (;;) {
        char *room = buf_room(out, INPUT_STEP);
        if (!room)
            return fail(f, E_TOO_BIG, "standard input is too long: %zu bytes are the most",
                        out->max - INPUT_STEP);
        ssize_t n = read(STDIN_FILENO, room, INPUT_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return files_fault(f, "read", "standard input");
        if (n == 0)
            return E_OK;
        out->n += (size_t)n;
    }
}

err files_sync_folder_of(const char *path, struct fault *f)
{
    return sync_folder_of(path) ? E_OK : files_fault(f, "sync the folder of", path);
}

err files_write(const char *path, struct span content, struct fault *f)
{
    char beside[PATH_SIZE];
    int n = snprintf(beside, sizeof beside, "%s.new-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof beside)
        return fail(f, E_TOO_BIG, "path is too long: %s", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return files_fault(f, "create", beside);
    err e = E_OK;
    if (!write_all(fd, content) || fsync(fd) != 0)
        e = files_fault(f, "write", beside);
    if (close(fd) != 0 && !e)
        e = files_fault(f, "write", beside);
    if (!e && rename(beside, path) != 0)
        e = files_fault(f, "rename to", path);
    if (!e && !sync_folder_of(path))
        e = files_fault(f, "sync the folder of", path);
    if (e)
        unlink(beside);
    return e;
}

int64_t files_raise_limit(int64_t want)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t more = limit.rlim_max < (rlim_t)want ? limit.rlim_max : (rlim_t)want;
    if (more > limit.rlim_cur) {
        limit.rlim_cur = more;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
            return 0;
    }
    return limit.rlim_cur < INT64_MAX ? (int64_t)limit.rlim_cur : INT64_MAX;
}

err files_make_folder(const char *path, unsigned mode, struct fault *f)
{
    char part[PATH_SIZE];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return fail(f, E_BAD_INPUT, "not a folder's path: \"%s\"", path);
    span_copy(span_of(path), part, sizeof part);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST) {
            /* A parent that is there but closed to us answers EACCES or EROFS: only a missing
             * one matters. */
            int error = errno;
            struct stat st;
            if (stat(part, &st) != 0) {
                errno = error;
                return files_fault(f, "create the folder", part);
            }
        }
        part[i] = kept;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return files_fault(f, "create the folder", path);
    if (!S_ISDIR(st.st_mode))
        return fail(f, E_OS, "%s is there but is not a folder", path);
    return E_OK;
}

err files_make_folder_of(const char *path, uid_t user, gid_t group, struct fault *f)
{
    struct stat st;
    err e = files_make_folder(path, 0700, f);
    if (e || (stat(path, &st) == 0 && st.st_uid == user))
        return e;
    return chown(path, user, group) ? files_fault(f, "hand over", path) : E_OK;
}

err files_open_nameless(const char *folder, int *out_fd, struct fault *f)
{
    char path[PATH_SIZE];
    int n = snprintf(path, sizeof path, "%s/.nameless-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return fail(f, E_BAD_INPUT, "not a folder's path: \"%s\"", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return files_fault(f, "make a file in", folder);
    (void)unlink(path);
    *out_fd = fd;
    return E_OK;
}

/* Removes what is below; keeps the first errno in *error. */
static void remove_below(int dirfd, int depth, int *error)
{
    DIR *dir = fdopendir(dirfd);
    if (!dir) {
        *error = *error ? *error : errno;
        close(dirfd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd, entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        int below =
            depth < TREE_DEPTH_MAX
                ? openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                : -1;
        if (below >= 0)
            remove_below(below, depth + 1, error);
        if (unlinkat(dirfd, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT && !*error)
            *error = errno;
    }
    closedir(dir);
}

err files_remove_tree(const char *path, struct fault *f)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return E_OK;
        /* A file or a link: the name goes, what it points to stays. */
        if ((errno == ENOTDIR || errno == ELOOP) && unlink(path) == 0)
            return E_OK;
        return files_fault(f, "remove", path);
    }
    int error = 0;
    remove_below(fd, 0, &error);
    if (rmdir(path) != 0 && errno != ENOENT && !error)
        error = errno;
    if (!error)
        return E_OK;
    errno = error;
    return files_fault(f, "remove", path);
}

err files_list(const char *path, struct arena *a, char ***out_names, size_t *out_count,
               struct fault *f)
{
    DIR *dir = opendir(path);
    if (!dir)
        return files_fault(f, "list", path);
    size_t count = 0, room = 16;
    char **names = arena_try(a, room * sizeof *names);
    err e = E_OK;
    for (struct dirent *entry; names && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (count + 1 == room) {
            char **more = arena_try(a, 2 * room * sizeof *more);
            if (more)
                memcpy(more, names, count * sizeof *names);
            names = more;
            room *= 2;
        }
        if (names && !(names[count++] = arena_text(a, span_of(entry->d_name))))
            names = NULL;
    }
    closedir(dir);
    if (!names)
        e = fail(f, E_TOO_BIG, "too many entries in %s", path);
    if (e)
        return e;
    names[count] = NULL;
    *out_names = names;
    *out_count = count;
    return E_OK;
}

/* ---- digest ---- */

enum { DIGEST_DEPTH_MAX = 8, DIGEST_FILES_MAX = 5000 };

static uint64_t digest_of(const char *path, const struct stat *st)
{
    const int64_t facts[] = {(int64_t)st->st_mode,         (int64_t)st->st_size,
                             (int64_t)st->st_ino,          (int64_t)st->st_mtim.tv_sec,
                             (int64_t)st->st_mtim.tv_nsec, (int64_t)st->st_ctim.tv_sec,
                             (int64_t)st->st_ctim.tv_nsec};
    uint64_t h = span_hash((struct span){(const char *)facts, sizeof facts}, 0);
    return span_hash(span_of(path), h);
}

/* The sum does not depend on the order in which a folder tells its names. */
static uint64_t digest_below(int dirfd, const char *path, int depth, int *left)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    uint64_t sum = 0;
    if (!folder && fd >= 0)
        close(fd);
    if (!folder)
        return 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) && *left > 0) {
        char below[PATH_SIZE];
        struct stat st;
        if (entry->d_name[0] == '.' ||
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= PATH_SIZE)
            continue;
        (*left)--;
        if (fstatat(dirfd, below, &st, 0)) /* gone, or a link that leads nowhere */
            continue;
        if (!S_ISDIR(st.st_mode))
            sum += digest_of(below, &st);
        else if (depth < DIGEST_DEPTH_MAX)
            sum += digest_below(dirfd, below, depth + 1, left);
    }
    closedir(folder);
    return sum;
}

uint64_t files_digest(int dirfd, const char *path)
{
    struct stat st;
    int left = DIGEST_FILES_MAX;
    if (fstatat(dirfd, path, &st, 0) || !S_ISDIR(st.st_mode))
        return 0;
    uint64_t sum = digest_below(dirfd, path, 0, &left);
    return sum ? sum : 1;
}

int64_t files_free_bytes(const char *path)
{
    struct statvfs v;
    return statvfs(path, &v) == 0 ? (int64_t)v.f_bavail * (int64_t)v.f_frsize : 0;
}

bool files_close_on_exec(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0)
        return false;
    return fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) == 0;
}

union fd_control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

static err socket_error(int error)
{
    if (error == EAGAIN || error == ENOBUFS)
        return E_BUSY;
    if (error == EPIPE || error == ECONNRESET || error == ENOTCONN)
        return E_END;
    return error == EMSGSIZE ? E_TOO_BIG : E_OS;
}

err files_send_fds(int socket_fd, struct span message, const int *fds, size_t count)
{
    need(count <= FDS_MAX);
    union fd_control control = {0};
    /* iovec has no const; sendmsg only reads. */
    struct iovec part = {.iov_base = (void *)(uintptr_t)message.p, .iov_len = message.n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * count);
    }
    for (;;) {
        ssize_t put = sendmsg(socket_fd, &m, MSG_NOSIGNAL);
        if (put >= 0)
            return (size_t)put == message.n ? E_OK : E_OS;
        if (errno != EINTR)
            return socket_error(errno);
    }
}

static void take_fds(struct msghdr *m, int fds[FDS_MAX], size_t *count)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (*count < FDS_MAX)
                fds[(*count)++] = fd;
            else
                close(fd);
        }
    }
}

err files_receive_fds(int socket_fd, char *message, size_t size, size_t *out_n, int fds[4],
                      size_t *out_count)
{
    union fd_control control = {0};
    struct iovec part = {.iov_base = message, .iov_len = size};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    for (size_t i = 0; i < FDS_MAX; i++)
        fds[i] = -1;
    *out_n = *out_count = 0;
    ssize_t got;
    do
        got = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return socket_error(errno);
    take_fds(&m, fds, out_count);
    if (got == 0 && *out_count == 0)
        return E_END;
    *out_n = (size_t)got;
    if (!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return E_OK;
    for (size_t i = 0; i < *out_count; i++) {
        close(fds[i]);
        fds[i] = -1;
    }
    *out_count = 0;
    return E_TOO_BIG;
}

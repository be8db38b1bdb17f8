#include "store/filed.h"

#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { URL_MAX = 4096, PART_MAX = 40, NAMES_ARENA = 64 * 1024 * 1024 };
static const int64_t PART_KEEP_MS = 24LL * 3600 * 1000;

/* ---- names ---- */

bool filed_path(const char *folder, const struct filed *file, char out[FILED_PATH])
{
    int n = snprintf(out, FILED_PATH, "%s/%.2s/%s.%s", folder, file->hash, file->hash,
                     file->suffix);
    return n > 0 && n < FILED_PATH;
}

static bool plain(struct span s, size_t least, size_t most)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'z'))
            return false;
    return s.n >= least && s.n <= most;
}

int64_t filed_size(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

bool filed_is_hash(struct span hash)
{
    return plain(hash, DIGEST_TEXT - 1, DIGEST_TEXT - 1);
}

bool filed_read_name(const char *name, struct filed *out)
{
    struct span text = span_of(name);
    size_t dot = span_find_char(text, '.');
    if (!filed_is_hash(span_cut(text, 0, dot)) || dot + 1 >= text.n ||
        text.n - dot > FILED_SUFFIX)
        return false;
    span_copy(span_cut(text, 0, dot), out->hash, sizeof out->hash);
    span_copy(span_cut(text, dot + 1, text.n), out->suffix, sizeof out->suffix);
    return true;
}

/* ---- what may be kept ---- */

err filed_check_url(struct span url, struct fault *f)
{
    return url.n == 0 || url.n > URL_MAX
               ? fail(f, E_BAD_INPUT, "the URL of a file may have %d bytes", URL_MAX)
               : E_OK;
}

err filed_check(const struct file_put_args *a, struct fault *f)
{
    if (!filed_is_hash(a->hash) || !plain(a->suffix, 1, FILED_SUFFIX - 1) ||
        !plain(a->part, 1, PART_MAX) || a->bytes <= 0 || a->url.n == 0 || a->url.n > URL_MAX)
        return fail(f, E_BAD_INPUT, "this is no file that could be kept");
    return E_OK;
}

err filed_none(struct span hash, struct fault *f)
{
    return filed_is_hash(hash) ? fail(f, E_NOT_FOUND, "there is no file %.*s", SP(hash))
                               : fail(f, E_NOT_FOUND, "there is no such file");
}

/* ---- a part becomes a file ---- */

static err sync_folder(const char *path, struct fault *f)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    err e = fine ? E_OK : files_fault(f, "write", path);
    if (fd >= 0)
        close(fd);
    return e;
}

static err sync_part(const char *path, int64_t bytes, struct fault *f)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return files_fault(f, "open", path);
    err e = E_OK;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size != bytes)
        e = fail(f, E_BAD_INPUT, "the part has another size than its sum was taken of");
    else if (fsync(fd))
        e = files_fault(f, "write", path);
    close(fd);
    return e;
}

/* Into its folder, which may be new. */
static err move_part(const char *folder, const char *part, const char *sub, const char *path,
                     struct fault *f)
{
    char inside[FILED_PATH + 4];
    snprintf(inside, sizeof inside, "%s/%s", folder, sub);
    bool made = mkdir(inside, 0700) == 0;
    err e = made || errno == EEXIST ? E_OK : files_fault(f, "create", inside);
    if (!e && rename(part, path))
        e = files_fault(f, "create", path);
    if (!e)
        e = sync_folder(inside, f);
    return !e && made ? sync_folder(folder, f) : e;
}

err filed_place(const char *folder, const struct file_put_args *a, const struct filed *as,
                struct fault *f)
{
    char path[FILED_PATH], part[FILED_PATH], tag[FILED_PATH + 8], name[64], sub[3];
    if (!filed_path(folder, as, path))
        return fail(f, E_TOO_BIG, "the name of the folder is too long for files");
    span_copy(a->part, name, sizeof name);
    span_copy(span_cut(a->hash, 0, 2), sub, sizeof sub);
    snprintf(part, sizeof part, "%.440s/part/%s", folder, name);
    snprintf(tag, sizeof tag, "%s.tag", part);
    if (filed_size(path) == a->bytes) {
        (void)unlink(part);
        (void)unlink(tag);
        return E_OK;
    }
    err e = sync_part(part, a->bytes, f);
    if (!e)
        e = move_part(folder, part, sub, path, f);
    if (!e)
        (void)unlink(tag);
    return e;
}

static err copy_bytes(int from, const char *to, struct fault *f)
{
    struct stat st;
    off_t at = 0;
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(from, &st)) {
        err e = files_fault(f, "create", to);
        if (fd >= 0)
            close(fd);
        return e;
    }
    while (at < st.st_size && sendfile(fd, from, &at, 1 << 20) > 0)
        continue;
    err e = at == st.st_size ? E_OK : files_fault(f, "write", to);
    return close(fd) && !e ? files_fault(f, "write", to) : e;
}

err filed_copy(const char *folder, const char *from, const struct filed *as, struct fault *f)
{
    char parts[FILED_PATH], part[FILED_PATH + 48], name[48];
    snprintf(name, sizeof name, "%.40s", as->hash);
    snprintf(parts, sizeof parts, "%.440s/part", folder);
    snprintf(part, sizeof part, "%s/%s", parts, name);
    struct file_put_args args = {
        .hash = span_of(as->hash), .part = span_of(name), .bytes = filed_size(from)};
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    err e = fd >= 0 ? files_make_folder(parts, 0700, f) : files_fault(f, "read", from);
    if (!e)
        e = copy_bytes(fd, part, f);
    if (fd >= 0)
        close(fd);
    return e ? e : filed_place(folder, &args, as, f);
}

/* ---- looking through the folders ---- */

void filed_names(const char *folder, int number, struct arena *a, char ***out_names,
                 size_t *out_count)
{
    char sub[FILED_PATH];
    snprintf(sub, sizeof sub, "%.500s/%02x", folder, (unsigned)number & 0xffu);
    if (files_list(sub, a, out_names, out_count, NULL))
        *out_count = 0; /* not there: nothing of that name was ever kept */
}

void filed_sweep_parts(const char *folder, wall now)
{
    char parts[FILED_PATH], path[FILED_PATH], **names = NULL;
    size_t count = 0;
    struct stat st;
    struct arena *a = arena_new(NAMES_ARENA);
    snprintf(parts, sizeof parts, "%.500s/part", folder);
    if (files_list(parts, a, &names, &count, NULL))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", parts, names[i]);
        if (n > 0 && n < FILED_PATH && lstat(path, &st) == 0 &&
            now.ms - (int64_t)st.st_mtim.tv_sec * 1000 > PART_KEEP_MS)
            (void)unlink(path);
    }
    arena_free(&a);
}

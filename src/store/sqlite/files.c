/* files.c - files of media: their rows, their names and where they lie.
 *
 * A file gets its name in the folder before its row is on disk, and loses it after the row is gone, so
 * a row without a file is never there; what a crash leaves is a file without a row, which the sweep
 * after the next start removes. A rolled back group may leave one as well: the sweep starts over. */
#include "store/sqlite/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/faults.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_SIZE = 512,
    SUFFIX_MAX = 8,
    URL_MAX = 4096,
    NAMES_ARENA = 64 * 1024 * 1024,
    FOLDERS = 256,
};
static const int64_t PART_KEEP_MS = 24LL * 3600 * 1000;
static const int64_t PARTS_EVERY_MS = 600LL * 1000;

/* ---- names ---- */

static const char *folder_of(const struct store *s, const char *sub, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/files/%s", s->dir, sub);
    return out;
}

static bool file_path(const struct store *s, const char *hash, const char *suffix,
                      char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/files/%.2s/%s.%s", s->dir, hash, hash, suffix);
    return n > 0 && n < PATH_SIZE;
}

static bool plain(struct span s, size_t least, size_t most)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'z'))
            return false;
    return s.n >= least && s.n <= most;
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

/* ---- rows ---- */

struct file_row {
    int64_t fid, bytes, at_ms;
    int status;
    char hash[DIGEST_TEXT], suffix[SUFFIX_MAX + 1], mime[64];
};

static void read_row(struct query *q, struct file_row *r)
{
    r->fid = db_int(q, 0);
    span_copy(db_text(q, 1), r->hash, sizeof r->hash);
    span_copy(db_text(q, 2), r->suffix, sizeof r->suffix);
    span_copy(db_text(q, 3), r->mime, sizeof r->mime);
    r->bytes = db_int(q, 4);
    r->at_ms = db_int(q, 5);
    r->status = (int)db_int(q, 6);
}

/* E_END: no such row. */
static err find_row(struct query *q, err asked, struct file_row *out, struct fault *f)
{
    if (asked)
        return asked;
    err e = db_step(q, f);
    if (!e)
        read_row(q, out);
    db_end(q);
    return e;
}

static err find_by_url(struct store *s, struct span site, struct span url, struct file_row *out,
                       struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask(s->db, SQL_FILE_BY_URL, &q, f, DB_T(site), DB_T(url));
    return find_row(q, e, out, f);
}

static err find_by_hash(struct store *s, struct span hash, struct file_row *out,
                        struct fault *f)
{
    struct query *q = NULL;
    err e = db_ask(s->db, SQL_FILE_BY_HASH, &q, f, DB_T(hash));
    return find_row(q, e, out, f);
}

static err hold(struct store *s, int64_t job, int64_t fid, struct fault *f)
{
    err e = db_run(s->db, SQL_JOB_FILE_ADD, f, DB_I(job), DB_I(fid));
    if (e || db_changes(s->db) == 0) /* it holds it already */
        return e;
    return db_run(s->db, SQL_FILE_HELD, f, DB_I(fid));
}

err files_load(struct store *s, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_FILE_TOTALS, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    s->now.files = e ? 0 : db_int(q, 0);
    s->now.file_bytes = e ? 0 : db_int(q, 1);
    db_end(q);
    return e;
}

/* ---- take ---- */

static void show(const struct file_row *r, struct file_view *out)
{
    *out = (struct file_view){.bytes = r->bytes, .at_ms = r->at_ms, .status = r->status};
    memcpy(out->hash, r->hash, sizeof out->hash);
    span_copy(span_of(r->suffix), out->suffix, sizeof out->suffix);
    span_copy(span_of(r->mime), out->mime, sizeof out->mime);
}

static err job_bytes(struct store *s, int64_t job, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB_FILE_BYTES, &q, f, DB_I(job));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e;
}

err sqlite_file_take(struct store *s, const struct file_take_args *args,
                     struct file_take_reply *out, struct fault *f)
{
    struct job_row r;
    struct file_row file;
    char path[PATH_SIZE];
    struct file_take_reply reply = {0};
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (!e && (args->url.n == 0 || args->url.n > URL_MAX))
        e = fail(f, E_BAD_INPUT, "the URL of a file may have %d bytes", URL_MAX);
    if (e)
        return e;
    e = find_by_url(s, span_of(r.site), args->url, &file, f);
    if (e && e != E_END)
        return e;
    /* Somebody may have removed it by hand: then it is fetched again. */
    reply.known =
        !e && file_path(s, file.hash, file.suffix, path) && size_of(path) == file.bytes;
    if (reply.known) {
        show(&file, &reply.file);
        e = hold(s, r.seq, file.fid, f);
    } else {
        int64_t free_bytes = s->disk_free - s->limits.disk_floor_bytes;
        reply.total_bytes = s->now.file_bytes;
        reply.room_bytes = s->disk_full || free_bytes < 0 ? 0 : free_bytes;
        e = job_bytes(s, r.seq, &reply.job_bytes, f);
    }
    if (!e)
        *out = reply;
    return e;
}

/* ---- put ---- */

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

/* The part gets the name of its content; when that is there already, the part goes. The second time
 * it changes nothing: a group may be run again. */
static err place_part(struct store *s, const struct file_put_args *a, const char *path,
                      struct fault *f)
{
    char part[PATH_SIZE], folder[PATH_SIZE], tag[PATH_SIZE + 8], name[64], sub[3];
    span_copy(a->part, name, sizeof name);
    span_copy(a->hash, sub, sizeof sub);
    folder_of(s, "part", folder);
    snprintf(part, sizeof part, "%.440s/%s", folder, name);
    snprintf(tag, sizeof tag, "%s.tag", part);
    if (size_of(path) == a->bytes) {
        (void)unlink(part);
        (void)unlink(tag);
        return E_OK;
    }
    err e = sync_part(part, a->bytes, f);
    folder_of(s, sub, folder);
    bool made = !e && mkdir(folder, 0700) == 0;
    if (!e && !made && errno != EEXIST)
        e = files_fault(f, "create", folder);
    if (!e && rename(part, path))
        e = files_fault(f, "create", path);
    if (!e)
        e = sync_folder(folder, f);
    if (!e && made)
        e = sync_folder(folder_of(s, "", folder), f);
    if (!e)
        (void)unlink(tag);
    return e;
}

static err check_put(const struct file_put_args *a, struct fault *f)
{
    if (!plain(a->hash, DIGEST_TEXT - 1, DIGEST_TEXT - 1) || !plain(a->suffix, 1, SUFFIX_MAX) ||
        !plain(a->part, 1, 40) || a->bytes <= 0 || a->url.n == 0 || a->url.n > URL_MAX)
        return fail(f, E_BAD_INPUT, "this is no file that could be kept");
    return E_OK;
}

static err write_put(struct store *s, const struct job_row *r, const struct file_put_args *a,
                     wall now, struct fault *f)
{
    struct file_row file;
    err e = find_by_hash(s, a->hash, &file, f);
    if (e && e != E_END)
        return e;
    if (e == E_END) {
        e = db_run(s->db, SQL_FILE_ADD, f, DB_T(a->hash), DB_T(a->suffix), DB_T(a->mime),
                   DB_I(a->bytes), DB_I(now.ms));
        if (e)
            return e;
        file.fid = db_last_row(s->db);
        s->now.files++;
        s->now.file_bytes += a->bytes;
    }
    e = db_run(s->db, SQL_FILE_URL_ADD, f, DB_T(span_of(r->site)), DB_T(a->url), DB_I(file.fid),
               DB_I(a->status), DB_I(now.ms));
    return e ? e : hold(s, r->seq, file.fid, f);
}

err sqlite_file_put(struct store *s, const struct file_put_args *args, wall now,
                    struct fault *f)
{
    struct job_row r;
    struct file_row known;
    char path[PATH_SIZE], hash[DIGEST_TEXT], suffix[SUFFIX_MAX + 1];
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (!e)
        e = check_put(args, f);
    if (e)
        return e;
    if (s->disk_full)
        return fail(f, E_DISK_FULL, "no space left for a file of job %s", r.id);
    /* The same bytes under another type keep their first name. */
    e = find_by_hash(s, args->hash, &known, f);
    if (e && e != E_END)
        return e;
    span_copy(e ? args->suffix : span_of(known.suffix), suffix, sizeof suffix);
    if (!file_path(s, span_copy(args->hash, hash, sizeof hash), suffix, path))
        return fail(f, E_TOO_BIG, "the name of the state folder is too long for files");
    s->placed = true;
    e = place_part(s, args, path, f);
    fault_point("store.file");
    return e ? e : write_put(s, &r, args, now, f);
}

err sqlite_file(struct store *s, struct span hash, struct file_view *out, struct fault *f)
{
    struct file_row r;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    if (!plain(hash, DIGEST_TEXT - 1, DIGEST_TEXT - 1))
        return fail(f, E_NOT_FOUND, "there is no such file");
    err e = find_by_hash(s, hash, &r, f);
    if (e == E_END)
        return fail(f, E_NOT_FOUND, "there is no file %.64s", hash.p);
    if (!e)
        show(&r, out);
    return e;
}

/* ---- what nobody holds any more ---- */

err files_release(struct store *s, int64_t job, int64_t *rows, struct fault *f)
{
    err e = db_run(s->db, SQL_FILES_LET_GO, f, DB_I(job), DB_I(*rows));
    if (!e)
        e = db_run(s->db, SQL_JOB_FILES_DELETE, f, DB_I(job), DB_I(*rows));
    if (!e)
        *rows -= db_changes(s->db);
    return e;
}

/* Rows go now, their files when that is on disk. */
static err drop_free(struct store *s, struct fault *f)
{
    struct file_row free_rows[DOOMED_MAX];
    size_t n = 0;
    struct query *q;
    err e = db_ask(s->db, SQL_FILES_FREE, &q, f, DB_I(DOOMED_MAX));
    if (e)
        return e;
    while (n < DOOMED_MAX && (e = db_step(q, f)) == E_OK)
        read_row(q, &free_rows[n++]);
    db_end(q);
    if (e && e != E_END)
        return e;
    for (size_t i = 0; i < n; i++) {
        char path[PATH_SIZE];
        e = db_run(s->db, SQL_FILE_URLS_DELETE, f, DB_I(free_rows[i].fid));
        if (!e)
            e = db_run(s->db, SQL_FILE_DELETE, f, DB_I(free_rows[i].fid));
        if (e)
            return e;
        s->now.files--;
        s->now.file_bytes -= free_rows[i].bytes;
        if (file_path(s, free_rows[i].hash, free_rows[i].suffix, path)) {
            s->doomed[s->doomed_count] = heap_get(strlen(path) + 1);
            memcpy(s->doomed[s->doomed_count++], path, strlen(path) + 1);
        }
    }
    return E_OK;
}

void files_after_group(struct store *s, bool committed)
{
    for (size_t i = 0; i < s->doomed_count; i++) {
        if (committed)
            (void)unlink(s->doomed[i]);
        free(s->doomed[i]);
    }
    s->doomed_count = 0;
    if (s->placed && !committed)
        s->sweep_at = 0;
    s->placed = false;
    metric_set(METRIC_FILES, 0, s->now.files);
    metric_set(METRIC_FILE_BYTES, 0, s->now.file_bytes);
}

/* Removes the files of one folder that have no row. */
static err sweep_folder(struct store *s, int number, struct fault *f)
{
    char folder[PATH_SIZE], path[PATH_SIZE], sub[3], **names = NULL;
    size_t count = 0;
    struct arena *a = arena_new(NAMES_ARENA);
    snprintf(sub, sizeof sub, "%02x", (unsigned)number & 0xffu);
    err e = files_list(folder_of(s, sub, folder), a, &names, &count, NULL);
    if (e)
        count = 0; /* not there: nothing of that name was ever kept */
    e = E_OK;
    for (size_t i = 0; i < count && !e; i++) {
        struct file_row r;
        struct span name = span_of(names[i]);
        e = find_by_hash(s, span_cut(name, 0, span_find_char(name, '.')), &r, f);
        int n = snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (e == E_END && n > 0 && n < PATH_SIZE)
            (void)unlink(path);
        e = e == E_END ? E_OK : e;
    }
    arena_free(&a);
    return e;
}

/* Parts that nobody went on with. */
static void sweep_parts(struct store *s, wall now)
{
    char folder[PATH_SIZE], path[PATH_SIZE], **names = NULL;
    size_t count = 0;
    struct stat st;
    struct arena *a = arena_new(NAMES_ARENA);
    if (files_list(folder_of(s, "part", folder), a, &names, &count, NULL))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (n > 0 && n < PATH_SIZE && lstat(path, &st) == 0 &&
            now.ms - (int64_t)st.st_mtim.tv_sec * 1000 > PART_KEEP_MS)
            (void)unlink(path);
    }
    arena_free(&a);
    s->parts_swept_ms = now.ms;
}

err sqlite_files_tend(struct store *s, wall now, bool *out_more, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = drop_free(s, f);
    if (!e && s->sweep_at < FOLDERS)
        e = sweep_folder(s, s->sweep_at++, f);
    if (e)
        return e;
    if (s->parts_swept_ms == 0 || now.ms - s->parts_swept_ms > PARTS_EVERY_MS)
        sweep_parts(s, now);
    *out_more = s->doomed_count == DOOMED_MAX || s->sweep_at < FOLDERS;
    return E_OK;
}

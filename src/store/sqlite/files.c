/* files.c - files of media: their rows, their names and where they lie.
 *
 * A file gets its name in the folder before its row is on disk, and loses it after the row is gone, so
 * a row without a file is never there; what a crash leaves is a file without a row, which the sweep
 * after the next start removes. A rolled back group may leave one as well: the sweep starts over. */
#include "store/filed.h"
#include "store/sqlite/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/faults.h"

#include <stdio.h>
#include <unistd.h>

enum { NAMES_ARENA = 64 * 1024 * 1024 };
static const int64_t PARTS_EVERY_MS = 600LL * 1000;

static const char *folder_of(const struct store *s, char out[FILED_PATH])
{
    snprintf(out, FILED_PATH, "%s/files", s->dir);
    return out;
}

static bool path_of(const struct store *s, const struct filed *file, char out[FILED_PATH])
{
    char folder[FILED_PATH];
    return filed_path(folder_of(s, folder), file, out);
}

/* ---- rows ---- */

struct file_row {
    int64_t fid, bytes, at_ms;
    int status;
    struct filed name;
    char mime[64];
};

static void read_row(struct query *q, struct file_row *r)
{
    r->fid = db_int(q, 0);
    span_copy(db_text(q, 1), r->name.hash, sizeof r->name.hash);
    span_copy(db_text(q, 2), r->name.suffix, sizeof r->name.suffix);
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
    memcpy(out->hash, r->name.hash, sizeof out->hash);
    span_copy(span_of(r->name.suffix), out->suffix, sizeof out->suffix);
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
    char path[FILED_PATH];
    struct file_take_reply reply = {0};
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (!e)
        e = filed_check_url(args->url, f);
    if (e)
        return e;
    e = find_by_url(s, span_of(r.site), args->url, &file, f);
    if (e && e != E_END)
        return e;
    /* Somebody may have removed it by hand: then it is fetched again. */
    reply.known = !e && path_of(s, &file.name, path) && filed_size(path) == file.bytes;
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
    struct filed as;
    char folder[FILED_PATH];
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (!e)
        e = filed_check(args, f);
    if (e)
        return e;
    if (s->disk_full)
        return fail(f, E_DISK_FULL, "no space left for a file of job %s", r.id);
    /* The same bytes under another type keep their first name. */
    e = find_by_hash(s, args->hash, &known, f);
    if (e && e != E_END)
        return e;
    span_copy(args->hash, as.hash, sizeof as.hash);
    span_copy(e ? args->suffix : span_of(known.name.suffix), as.suffix, sizeof as.suffix);
    s->placed = true;
    e = filed_place(folder_of(s, folder), args, &as, f);
    fault_point("store.file");
    return e ? e : write_put(s, &r, args, now, f);
}

err sqlite_file(struct store *s, struct span hash, struct file_view *out, struct fault *f)
{
    struct file_row r;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = filed_is_hash(hash) ? find_by_hash(s, hash, &r, f) : E_END;
    if (e == E_END)
        return filed_none(hash, f);
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
        char path[FILED_PATH];
        e = db_run(s->db, SQL_FILE_URLS_DELETE, f, DB_I(free_rows[i].fid));
        if (!e)
            e = db_run(s->db, SQL_FILE_DELETE, f, DB_I(free_rows[i].fid));
        if (e)
            return e;
        s->now.files--;
        s->now.file_bytes -= free_rows[i].bytes;
        if (path_of(s, &free_rows[i].name, path)) {
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
    char folder[FILED_PATH], path[FILED_PATH], **names = NULL;
    size_t count = 0;
    struct arena *a = arena_new(NAMES_ARENA);
    err e = E_OK;
    filed_names(folder_of(s, folder), number, a, &names, &count);
    for (size_t i = 0; i < count && !e; i++) {
        struct filed file;
        struct file_row r;
        if (!filed_read_name(names[i], &file))
            continue;
        e = find_by_hash(s, span_of(file.hash), &r, f);
        if (e == E_END && path_of(s, &file, path))
            (void)unlink(path);
        e = e == E_END ? E_OK : e;
    }
    arena_free(&a);
    return e;
}

static void sweep_parts(struct store *s, wall now)
{
    char folder[FILED_PATH];
    filed_sweep_parts(folder_of(s, folder), now);
    s->parts_swept_ms = now.ms;
}

err sqlite_files_tend(struct store *s, wall now, bool *out_more, struct fault *f)
{
    err e = store_usable(s, f);
    if (!e)
        e = drop_free(s, f);
    if (!e && s->sweep_at < FILED_FOLDERS)
        e = sweep_folder(s, s->sweep_at++, f);
    if (e)
        return e;
    if (s->parts_swept_ms == 0 || now.ms - s->parts_swept_ms > PARTS_EVERY_MS)
        sweep_parts(s, now);
    *out_more = s->doomed_count == DOOMED_MAX || s->sweep_at < FILED_FOLDERS;
    return E_OK;
}

/* files.c - files of media: their rows are in Redis, the files in a folder that all nodes share.
 *
 * A job holds a file before the file gets its name, and what nobody holds loses its row before it is removed: so a row
 * without its file is never there. Who removes a file says so before and behind; a job that wants the same bytes in
 * between is told to come again. What a crash leaves is a file without a row: the sweep after a start removes it, an hour later,
 * since another node may be about to write its row. */
#include "store/filed.h"
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/files.h"

#include <sys/stat.h>
#include <unistd.h>

enum { DROP_MOST = 20, STRAY_MOST = 40, NAMES_ARENA = 64 * 1024 * 1024 };
static const int64_t GOING_MS = 60000, STRAY_MS = 3600 * 1000, PARTS_EVERY_MS = 600 * 1000;

static err check_folder(const struct store *s, struct fault *f)
{
    return s->files[0] ? E_OK
                       : fail(f, E_ABSENT,
                              "files of media need a folder that all machines share: set "
                              "store.files");
}

static struct call verb(const char *name, struct span id)
{
    struct call c = {0};
    call_text(&c, span_of(name));
    call_text(&c, id);
    return c;
}

/* Numbers lie in the call: it may not be copied behind this. */
static void put_lease(struct call *c, const char *name, struct span job, uint64_t nonce)
{
    *c = verb(name, job);
    call_hex(c, nonce);
}

/* ---- rows ---- */

enum row_part { ROW_HASH, ROW_SUFFIX, ROW_MIME, ROW_BYTES, ROW_KEPT, ROW_STATUS, ROW_FETCHED };

static void read_row(const struct reply *r, struct file_view *out)
{
    *out = (struct file_view){.bytes = reply_number(r, ROW_BYTES),
                              .at_ms = reply_number(r, ROW_KEPT),
                              .status = (int)reply_number(r, ROW_STATUS)};
    if (reply_number(r, ROW_FETCHED))
        out->at_ms = reply_number(r, ROW_FETCHED);
    span_copy(reply_text(r, ROW_HASH), out->hash, sizeof out->hash);
    span_copy(reply_text(r, ROW_SUFFIX), out->suffix, sizeof out->suffix);
    span_copy(reply_text(r, ROW_MIME), out->mime, sizeof out->mime);
}

/* Somebody may have removed it by hand. */
static bool is_there(const struct store *s, const struct file_view *v)
{
    char path[FILED_PATH];
    struct filed name;
    memcpy(name.hash, v->hash, sizeof name.hash);
    span_copy(span_of(v->suffix), name.suffix, sizeof name.suffix);
    return v->hash[0] && filed_path(s->files, &name, path) && filed_size(path) == v->bytes;
}

/* ---- take ---- */

/* *out_held: it was not removed meanwhile. */
static err hold(struct store *s, const struct file_take_args *args, const struct file_view *v,
                bool *out_held, struct fault *f)
{
    struct reply r;
    struct call c;
    put_lease(&c, "hold", args->id, args->nonce);
    call_text(&c, span_of(v->hash));
    err e = store_write(s, SCRIPT_FILE, &c, (wall){0}, &r, f);
    *out_held = !e && said(&r) == SAID_OK;
    return !e && said(&r) == SAID_STALE ? fail_stale(args->id, f) : e;
}

err redis_file_take(struct store *s, const struct file_take_args *args,
                    struct file_take_reply *out, struct fault *f)
{
    enum { JOB_BYTES = 1, TOTAL_BYTES, ROW };
    struct reply r;
    struct file_take_reply reply = {0};
    struct call c;
    put_lease(&c, "take", args->id, args->nonce);
    need(s->in_group);
    store_fresh(s);
    call_text(&c, args->url);
    err e = store_look(s, SCRIPT_FILE, &c, (wall){0}, &r, f);
    if (!e && said(&r) == SAID_STALE)
        e = fail_stale(args->id, f);
    if (!e)
        e = filed_check_url(args->url, f);
    if (!e)
        e = check_folder(s, f);
    if (e)
        return e;
    int64_t free_bytes = files_free_bytes(s->files) - s->limits.disk_floor_bytes;
    read_row(reply_list(&r, ROW), &reply.file);
    reply.job_bytes = reply_number(&r, JOB_BYTES);
    reply.total_bytes = reply_number(&r, TOTAL_BYTES);
    reply.room_bytes = free_bytes > 0 ? free_bytes : 0;
    if (is_there(s, &reply.file))
        e = hold(s, args, &reply.file, &reply.known, f);
    if (!e)
        *out = reply;
    return e;
}

/* ---- put ---- */

/* The job holds it from now on; as->suffix: the same bytes under another type keep their first name. */
static err begin_put(struct store *s, const struct file_put_args *args, wall now,
                     struct filed *as, struct fault *f)
{
    struct reply r;
    struct call c;
    put_lease(&c, "begin", args->id, args->nonce);
    call_text(&c, args->hash);
    call_number(&c, GOING_MS);
    err e = store_write(s, SCRIPT_FILE, &c, now, &r, f);
    if (!e && said(&r) == SAID_STALE)
        e = fail_stale(args->id, f);
    if (!e && said(&r) == SAID_FULL)
        e = fail(f, E_BUSY, "the same file is being removed; try again");
    if (e)
        return e;
    span_copy(args->hash, as->hash, sizeof as->hash);
    span_copy(reply_text(&r, 1).n ? reply_text(&r, 1) : args->suffix, as->suffix,
              sizeof as->suffix);
    return E_OK;
}

static err write_put(struct store *s, const struct file_put_args *args, const struct filed *as,
                     wall now, struct fault *f)
{
    struct reply r;
    struct call c;
    put_lease(&c, "put", args->id, args->nonce);
    call_text(&c, args->hash);
    call_text(&c, span_of(as->suffix));
    call_text(&c, args->mime);
    call_number(&c, args->bytes);
    call_text(&c, args->url);
    call_number(&c, args->status);
    err e = store_write(s, SCRIPT_FILE, &c, now, &r, f);
    return !e && said(&r) == SAID_STALE ? fail_stale(args->id, f) : e;
}

err redis_file_put(struct store *s, const struct file_put_args *args, wall now, struct fault *f)
{
    struct filed as;
    struct archive_lease lease;
    need(s->in_group);
    store_fresh(s);
    err e = lease_held(s, args->id, args->nonce, &lease, f);
    if (!e)
        e = filed_check(args, f);
    if (!e)
        e = check_folder(s, f);
    if (!e)
        e = begin_put(s, args, now, &as, f);
    if (!e)
        e = filed_place(s->files, args, &as, f);
    return e ? e : write_put(s, args, &as, now, f);
}

err redis_file(struct store *s, struct span hash, struct file_view *out, struct fault *f)
{
    struct reply r;
    struct call c = verb("view", hash);
    store_fresh(s);
    if (!filed_is_hash(hash))
        return filed_none(hash, f);
    err e = store_look(s, SCRIPT_FILE, &c, (wall){0}, &r, f);
    if (!e && said(&r) == SAID_NONE)
        e = filed_none(hash, f);
    if (!e)
        read_row(reply_list(&r, 1), out);
    return e;
}

/* ---- what nobody holds any more ---- */

static err say_gone(struct store *s, struct call *gone, wall now, struct fault *f)
{
    struct reply r;
    return gone->count > 1 ? store_write(s, SCRIPT_FILE, gone, now, &r, f) : E_OK;
}

static void remove_file(const struct store *s, const struct filed *name)
{
    char path[FILED_PATH];
    if (filed_path(s->files, name, path))
        (void)unlink(path);
}

/* Rows go, then their files. */
static err drop_free(struct store *s, wall now, bool *out_more, struct fault *f)
{
    enum { MORE = 1, FILES, BYTES, FIRST };
    struct reply r;
    struct call release = verb("release", SPAN_NONE), doom = {0}, gone = {0};
    call_text(&doom, SPAN("doom"));
    call_number(&doom, DROP_MOST);
    err e = store_write(s, SCRIPT_FILE, &release, now, &r, f);
    if (!e)
        e = store_write(s, SCRIPT_FILE, &doom, now, &r, f);
    if (e)
        return e;
    *out_more = reply_number(&r, MORE) != 0;
    metric_set(METRIC_FILES, 0, reply_number(&r, FILES));
    metric_set(METRIC_FILE_BYTES, 0, reply_number(&r, BYTES));
    call_text(&gone, SPAN("gone"));
    for (size_t i = FIRST; i + 1 < r.count; i++) { /* the last one counts endings */
        struct filed name;
        span_copy(reply_text(reply_list(&r, i), 0), name.hash, sizeof name.hash);
        span_copy(reply_text(reply_list(&r, i), 1), name.suffix, sizeof name.suffix);
        remove_file(s, &name);
        call_text(&gone, reply_text(reply_list(&r, i), 0));
    }
    return say_gone(s, &gone, now, f);
}

static bool is_old(const struct store *s, const struct filed *name, wall now)
{
    char path[FILED_PATH];
    struct stat st;
    return filed_path(s->files, name, path) && lstat(path, &st) == 0 &&
           now.ms - (int64_t)st.st_mtim.tv_sec * 1000 > STRAY_MS;
}

/* Files without a row. */
static err remove_strays(struct store *s, const struct filed *names, size_t count, wall now,
                         struct fault *f)
{
    struct reply r;
    struct call c = {0}, gone = {0};
    call_text(&c, SPAN("stray"));
    call_number(&c, GOING_MS);
    for (size_t i = 0; i < count; i++)
        call_text(&c, span_of(names[i].hash));
    err e = count ? store_write(s, SCRIPT_FILE, &c, now, &r, f) : E_OK;
    if (e || !count)
        return e;
    call_text(&gone, SPAN("gone"));
    for (size_t i = 1; i + 1 < r.count; i++)
        for (size_t k = 0; k < count; k++)
            if (span_is(reply_text(&r, i), names[k].hash)) {
                remove_file(s, &names[k]);
                call_text(&gone, reply_text(&r, i));
                break;
            }
    return say_gone(s, &gone, now, f);
}

static err sweep_folder(struct store *s, int number, wall now, struct fault *f)
{
    char **names = NULL;
    size_t count = 0, n = 0;
    struct filed old[STRAY_MOST];
    struct arena *a = arena_new(NAMES_ARENA);
    err e = E_OK;
    filed_names(s->files, number, a, &names, &count);
    for (size_t i = 0; !e && i < count; i++) {
        n += filed_read_name(names[i], &old[n]) && is_old(s, &old[n], now);
        if (n == STRAY_MOST || i + 1 == count) {
            e = remove_strays(s, old, n, now, f);
            n = 0;
        }
    }
    arena_free(&a);
    return e;
}

err redis_files_tend(struct store *s, wall now, bool *out_more, struct fault *f)
{
    need(s->in_group);
    store_fresh(s);
    *out_more = false;
    if (!s->files[0])
        return E_OK;
    err e = drop_free(s, now, out_more, f);
    if (!e && s->sweep_at < FILED_FOLDERS)
        e = sweep_folder(s, s->sweep_at++, now, f);
    if (e)
        return e;
    if (s->parts_swept_ms == 0 || now.ms - s->parts_swept_ms > PARTS_EVERY_MS) {
        filed_sweep_parts(s->files, now);
        s->parts_swept_ms = now.ms;
    }
    *out_more = *out_more || s->sweep_at < FILED_FOLDERS;
    return E_OK;
}

/* evidence.c - pieces of evidence: files called after what is in them, and rows that name them. */
#include "store/evidence.h"

#include "store/compress.h"
#include "store/sqlite/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/digest.h"
#include "os/faults.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 600,
    /* zstd: what cannot be made smaller */
    FRAME_MAX = EVIDENCE_PIECE_MAX + EVIDENCE_PIECE_MAX / 64,
    RETAIN_PIECES = 100,
    SWEEP_AT_ONCE = 16, /* folders */
    GAPS_MAX = EVIDENCE_KINDS * GAPS,
};
#define ENDING ".zst"

/* ---- files ---- */

static bool path_of(const struct store *s, const char *hash, const char *ending,
                    char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s/evidence/%.2s/%s%s", s->dir, hash, hash, ending);
    return n > 0 && n < PATH_BYTES;
}

static bool make_folders(const struct store *s, const char *hash)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/evidence", s->dir);
    if (n < 0 || n >= PATH_BYTES || (mkdir(path, 0700) != 0 && errno != EEXIST))
        return false;
    n = snprintf(path, sizeof path, "%s/evidence/%.2s", s->dir, hash);
    return n > 0 && n < PATH_BYTES && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

static bool write_whole(int fd, struct span bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = span_cut(bytes, (size_t)n, bytes.n);
    }
    return true;
}

/* Written under a name of its own, then renamed: under its digest there are whole files only. */
static bool write_file(const struct store *s, const char *hash, struct span frame)
{
    char path[PATH_BYTES], fresh[PATH_BYTES];
    if (!path_of(s, hash, ENDING, path) || !path_of(s, hash, ".new", fresh) ||
        !make_folders(s, hash))
        return false;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool whole = write_whole(fd, frame) && fdatasync(fd) == 0;
    whole = close(fd) == 0 && whole;
    whole = whole && rename(fresh, path) == 0;
    if (!whole)
        (void)unlink(fresh);
    fault_point("store.evidence");
    return whole;
}

/* Bytes of the file, 0 when it is not there. */
static int64_t file_bytes(const struct store *s, const char *hash)
{
    char path[PATH_BYTES];
    struct stat st;
    return path_of(s, hash, ENDING, path) && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* ---- adding ---- */

struct used {
    int64_t pieces, bytes, last, of_kind;
};

static err read_used(struct store *s, int64_t job, enum evidence_kind kind, struct used *out,
                     struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_EVIDENCE_USED, &q, f, DB_I(job), DB_I(kind));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        *out = (struct used){db_int(q, 0), db_int(q, 1), db_int(q, 2), db_int(q, 3)};
    db_end(q);
    return e;
}

static enum evidence_gap gap_of(const struct store *s, const struct evidence_args *a,
                                const struct used *u)
{
    int64_t size = (int64_t)a->body.n;
    if (a->gap != GAP_NONE)
        return a->gap;
    if (a->body.n > EVIDENCE_PIECE_MAX || a->url.n > EVIDENCE_TEXT_MAX ||
        a->headers.n > EVIDENCE_TEXT_MAX)
        return GAP_TOO_LARGE;
    if (u->pieces >= s->limits.evidence_job_count || u->pieces >= EVIDENCE_LIST_MAX ||
        (a->kind != EVIDENCE_RESPONSE && u->of_kind >= EVIDENCE_PICTURES_MAX))
        return GAP_COUNT;
    if (u->bytes + size > s->limits.evidence_job_bytes)
        return GAP_BYTES;
    if (s->disk_full || s->disk_free < s->limits.disk_floor_bytes + size)
        return GAP_DISK;
    return GAP_NONE;
}

static err note_gap(struct store *s, int64_t job, enum evidence_kind kind,
                    enum evidence_gap gap, int64_t times, struct fault *f)
{
    return db_run(s->db, SQL_GAP_ADD, f, DB_I(job), DB_I(kind), DB_I(gap), DB_I(times));
}

/* Bytes that the row says the file has; 0: there is no row. */
static err known_bytes(struct store *s, const char *hash, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_EVIDENCE_FILE, &q, f, DB_T(span_of(hash)));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* The file is there, whole, and has its row. *out_kept false: no room for it. */
static err put_file(struct store *s, const char *hash, struct span body, bool *out_kept,
                    struct fault *f)
{
    int64_t stored;
    struct buf frame = BUF(FRAME_MAX);
    err e = known_bytes(s, hash, &stored, f);
    *out_kept = stored > 0 && file_bytes(s, hash) == stored;
    /* A file that no row names may be the half of a lost disk write: it is written anew. */
    if (!e && !*out_kept && compress_add(&frame, body) == E_OK &&
        write_file(s, hash, buf_span(&frame))) {
        *out_kept = true;
        s->now.evidence_bytes += (int64_t)frame.n - stored;
        stored = (int64_t)frame.n;
    }
    buf_free(&frame);
    if (e || !*out_kept)
        return e;
    return db_run(s->db, SQL_EVIDENCE_FILE_ADD, f, DB_T(span_of(hash)), DB_I(body.n),
                  DB_I(stored));
}

static struct span or_empty(struct span s)
{
    return s.p ? s : SPAN("");
}

static err put_row(struct store *s, const struct job_row *r, const struct evidence_args *a,
                   int64_t n, const char *hash, struct fault *f)
{
    return db_run(s->db, SQL_EVIDENCE_ADD, f, DB_I(r->seq), DB_I(n), DB_I(a->kind),
                  DB_I(r->fence), DB_I(a->batch), DB_I(a->reason), DB_I(a->status),
                  DB_I(a->at_ms), DB_I(a->body.n), DB_T(or_empty(a->strategy)),
                  DB_T(or_empty(a->name)), DB_T(or_empty(a->url)), DB_T(or_empty(a->headers)),
                  DB_T(span_of(hash)));
}

err sqlite_evidence_add(struct store *s, const struct evidence_args *args, wall now,
                        struct evidence_reply *out, struct fault *f)
{
    struct job_row r;
    struct used used;
    char hash[DIGEST_TEXT];
    (void)now;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (!e)
        e = read_used(s, r.seq, args->kind, &used, f);
    if (e)
        return e;
    struct evidence_reply reply = {.gap = gap_of(s, args, &used), .n = used.last + 1};
    bool kept = false;
    if (reply.gap == GAP_NONE) {
        e = put_file(s, digest_text(args->body, hash), args->body, &kept, f);
        if (e)
            return e;
        reply.gap = kept ? GAP_NONE : GAP_DISK;
    }
    if (reply.gap == GAP_NONE)
        e = put_row(s, &r, args, reply.n, hash, f);
    else
        e = note_gap(s, r.seq, args->kind, reply.gap, args->gaps > 0 ? args->gaps : 1, f);
    if (!e)
        *out = reply;
    return e;
}

/* ---- reading ---- */

static err read_view(struct query *q, struct arena *a, struct evidence_view *v, struct fault *f)
{
    struct span *const texts[] = {&v->strategy, &v->name, &v->url, &v->headers, &v->hash};
    *v = (struct evidence_view){
        .n = db_int(q, 0),
        .kind = (enum evidence_kind)db_int(q, 1),
        .attempt = db_int(q, 2),
        .batch = db_int(q, 3),
        .reason = (enum failure_class)db_int(q, 4),
        .status = (int)db_int(q, 5),
        .at_ms = db_int(q, 6),
        .bytes = db_int(q, 7),
    };
    for (int i = 0; i < 5; i++) {
        err e = db_keep(q, 8 + i, a, texts[i], f);
        if (e)
            return e;
    }
    return E_OK;
}

static err read_gaps(struct store *s, int64_t job, struct arena *a, struct evidence_list *out,
                     struct fault *f)
{
    struct query *q;
    out->gaps = arena_try(a, GAPS_MAX * sizeof *out->gaps);
    if (!out->gaps)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = db_ask(s->db, SQL_GAPS, &q, f, DB_I(job));
    if (e)
        return e;
    while (out->gap_count < GAPS_MAX && (e = db_step(q, f)) == E_OK) {
        struct evidence_gap_view *g = &out->gaps[out->gap_count];
        g->kind = (enum evidence_kind)db_int(q, 0);
        g->gap = (enum evidence_gap)db_int(q, 1);
        g->count = db_int(q, 2);
        out->gap_count += g->gap > GAP_NONE && g->gap < GAPS;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

err sqlite_evidence_list(struct store *s, struct span id, struct arena *a,
                         struct evidence_list *out, struct fault *f)
{
    int64_t job;
    struct query *q;
    struct evidence_list list = {0};
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = items_job(s, id, &job, f);
    if (e)
        return e;
    list.pieces = arena_try(a, EVIDENCE_LIST_MAX * sizeof *list.pieces);
    if (!list.pieces)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    e = db_ask(s->db, SQL_EVIDENCE_LIST, &q, f, DB_I(job), DB_I(EVIDENCE_LIST_MAX));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        e = read_view(q, a, &list.pieces[list.count], f);
        if (e)
            break;
        list.count++;
    }
    db_end(q);
    if (e == E_END)
        e = read_gaps(s, job, a, &list, f);
    if (!e)
        *out = list;
    return e;
}

/* What cannot be read any more is said as it is: the row alone proves nothing. */
static err read_body(struct store *s, struct arena *a, struct evidence_view *v, struct fault *f)
{
    char path[PATH_BYTES], hash[DIGEST_TEXT], again[DIGEST_TEXT];
    struct buf frame = BUF(FRAME_MAX), body = BUF(EVIDENCE_PIECE_MAX);
    struct fault quiet = {0};
    span_copy(v->hash, hash, sizeof hash);
    err e = digest_is_text(v->hash) && path_of(s, hash, ENDING, path) ? E_OK : E_STORE;
    if (!e)
        e = files_read(AT_FDCWD, path, FRAME_MAX, &frame, &quiet);
    if (!e)
        e = compress_take(&body, buf_span(&frame), EVIDENCE_PIECE_MAX);
    bool sound = !e && strcmp(digest_text(buf_span(&body), again), hash) == 0;
    if (sound)
        v->body = arena_keep(a, buf_span(&body));
    buf_free(&frame);
    buf_free(&body);
    if (!sound)
        return fail(f, E_STORE, "the file of piece %lld is missing or damaged",
                    (long long)v->n);
    return v->body.p ? E_OK : fail(f, E_TOO_BIG, "the piece does not fit into the answer");
}

err evidence_frame(struct store *s, struct span hash, struct buf *out, struct fault *f)
{
    char path[PATH_BYTES], name[DIGEST_TEXT];
    span_copy(hash, name, sizeof name);
    *out = BUF(FRAME_MAX);
    return path_of(s, name, ENDING, path)
               ? files_read(AT_FDCWD, path, FRAME_MAX, out, f)
               : fail(f, E_STORE, "the name of the folder is too long for evidence");
}

err evidence_frame_keep(struct store *s, struct span hash, struct span frame, struct fault *f)
{
    char name[DIGEST_TEXT];
    span_copy(hash, name, sizeof name);
    if (file_bytes(s, name) == (int64_t)frame.n || write_file(s, name, frame))
        return E_OK;
    return fail(f, E_DISK_FULL, "cannot write evidence in %.120s: is its disk full?", s->dir);
}

static err find_piece(struct store *s, struct span id, int64_t n, struct arena *a,
                      struct evidence_view *out, struct fault *f)
{
    int64_t job;
    struct query *q;
    err e = items_job(s, id, &job, f);
    if (!e)
        e = db_ask(s->db, SQL_EVIDENCE_ONE, &q, f, DB_I(job), DB_I(n));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = read_view(q, a, out, f);
    else if (e == E_END)
        e = fail(f, E_NOT_FOUND, "the job has no artifact %lld", (long long)n);
    db_end(q);
    return e;
}

err sqlite_evidence_read(struct store *s, struct span id, int64_t n, struct arena *a,
                         struct evidence_view *out, struct fault *f)
{
    struct evidence_view view;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find_piece(s, id, n, a, &view, f);
    if (e)
        return e;
    struct fault unread = {0};
    e = read_body(s, a, &view, &unread);
    if (e == E_STORE && s->reading) {
        /* Another thread may have deleted it since: then it is gone, and not damaged. */
        err gone = reader_look_again(s, f);
        if (!gone)
            gone = find_piece(s, id, n, a, &view, f);
        if (gone)
            return gone;
    }
    if (e)
        return fail(f, e, "%s", unread.words);
    *out = view;
    return E_OK;
}

/* ---- deleting ---- */

struct old_piece {
    int64_t eid, job;
    enum evidence_kind kind;
    char hash[DIGEST_TEXT];
};

static err read_old(struct query *q, struct old_piece *out, size_t max, size_t *out_count,
                    struct fault *f)
{
    size_t n = 0;
    err e = E_END;
    while (n < max && (e = db_step(q, f)) == E_OK) {
        out[n] = (struct old_piece){
            .eid = db_int(q, 0), .job = db_int(q, 1), .kind = (enum evidence_kind)db_int(q, 2)};
        span_copy(db_text(q, 3), out[n++].hash, sizeof out[0].hash);
    }
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* The row goes now, the file when the group is on the disk: a crash in between leaves a file
 * without a row, never a row without a file. */
static err delete_piece(struct store *s, const struct old_piece *p, struct fault *f)
{
    struct query *q;
    err e = db_run(s->db, SQL_EVIDENCE_DELETE, f, DB_I(p->eid));
    if (!e)
        e = db_run(s->db, SQL_EVIDENCE_FILE_LESS, f, DB_T(span_of(p->hash)));
    if (!e)
        e = db_ask(s->db, SQL_EVIDENCE_FILE_GONE, &q, f, DB_T(span_of(p->hash)));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        s->now.evidence_bytes -= db_int(q, 0);
        s->sweep_left = SWEEP_FOLDERS;
        e = db_step(q, f); /* SQLite has deleted the row when there is no more of the answer */
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

err evidence_forget(struct store *s, int64_t job, int64_t *rows, struct fault *f)
{
    struct old_piece old[RETAIN_PIECES];
    while (*rows > 0) {
        struct query *q;
        size_t n = 0;
        err e = db_ask(s->db, SQL_EVIDENCE_OF_JOB, &q, f, DB_I(job), DB_I(RETAIN_PIECES));
        if (!e)
            e = read_old(q, old, RETAIN_PIECES, &n, f);
        for (size_t i = 0; !e && i < n; i++)
            e = delete_piece(s, &old[i], f);
        *rows -= (int64_t)n;
        if (e)
            return e;
        if (n < RETAIN_PIECES)
            return db_run(s->db, SQL_GAPS_DELETE, f, DB_I(job));
    }
    return E_OK;
}

static err expire(struct store *s, const struct old_piece *p, struct fault *f)
{
    err e = delete_piece(s, p, f);
    return e ? e : note_gap(s, p->job, p->kind, GAP_EXPIRED, 1, f);
}

err sqlite_evidence_retain(struct store *s, wall now, bool *out_more, struct fault *f)
{
    struct old_piece old[RETAIN_PIECES];
    struct query *q;
    size_t n = 0, gone = 0;
    err e = store_usable(s, f);
    bool too_much = s->now.evidence_bytes > s->limits.evidence_bytes;
    int64_t before = now.ms - s->limits.evidence_age_ms;
    if (!e)
        e = db_ask(s->db, SQL_EVIDENCE_OLD, &q, f, DB_I(too_much ? INT64_MAX : before),
                   DB_I(RETAIN_PIECES));
    if (!e)
        e = read_old(q, old, RETAIN_PIECES, &n, f);
    /* With both reasons the oldest go first, until neither holds. */
    for (; !e && gone < n; gone++) {
        if (too_much && s->now.evidence_bytes <= s->limits.evidence_bytes)
            break;
        e = expire(s, &old[gone], f);
    }
    if (!e)
        *out_more = gone > 0;
    return e;
}

/* ---- files without a row ---- */

static bool has_row(struct store *s, struct span name)
{
    struct fault quiet = {0};
    char hash[DIGEST_TEXT];
    int64_t stored = 1;
    if (!span_ends(name, SPAN(ENDING)) || !digest_is_text(span_cut(name, 0, DIGEST_TEXT - 1)) ||
        name.n != DIGEST_TEXT - 1 + sizeof ENDING - 1)
        return false;
    span_copy(name, hash, sizeof hash);
    /* A store that cannot be asked is no reason to remove anything. */
    return known_bytes(s, hash, &stored, &quiet) || stored > 0;
}

static void sweep_folder(struct store *s, int number)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/evidence/%02x", s->dir, (unsigned)number & 0xff);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.' && !has_row(s, span_of(entry->d_name)))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    (void)rmdir(path); /* only when it is empty */
}

bool sqlite_evidence_sweep(struct store *s)
{
    need(!s->in_group);
    metric_set(METRIC_EVIDENCE_BYTES, 0, s->now.evidence_bytes);
    for (int i = 0; s->db && s->sweep_left > 0 && i < SWEEP_AT_ONCE; i++)
        sweep_folder(s, --s->sweep_left);
    return s->db && s->sweep_left > 0;
}

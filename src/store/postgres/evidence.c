/* evidence.c - pieces of evidence: bodies called after what is in them, and rows that name
 * them. */
#include "store/postgres/inside.h"

#include "base/need.h"
#include "os/digest.h"
#include "store/compress.h"

enum {
    /* zstd: what cannot be made smaller */
    FRAME_MAX = EVIDENCE_PIECE_MAX + EVIDENCE_PIECE_MAX / 64,
    GAPS_MAX = EVIDENCE_KINDS * GAPS,
};

/* ---- adding ---- */

struct adding {
    const struct archive_lease *lease;
    const struct evidence_args *args;
    const struct archive_limits *limits;
    char hash[DIGEST_TEXT];
    bool no_room;     /* the disk was full when it was tried */
    struct buf frame; /* made once, when it is needed */
    struct evidence_reply out;
};
struct used {
    int64_t pieces, bytes, last, of_kind;
};

static err read_used(struct pg *p, int64_t job, enum evidence_kind kind, struct used *out,
                     struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_EVIDENCE_USED, &rows, f, PG_I(job), PG_I(kind));
    if (e)
        return e;
    *out = (struct used){tally(rows, 0, 0), tally(rows, 0, 1), tally(rows, 0, 2),
                         tally(rows, 0, 3)};
    pg_end(rows);
    return E_OK;
}

static enum evidence_gap gap_of(const struct adding *g, const struct used *u)
{
    const struct evidence_args *a = g->args;
    const struct archive_limits *l = g->limits;
    if (a->gap != GAP_NONE)
        return a->gap;
    if (a->body.n > EVIDENCE_PIECE_MAX || a->url.n > EVIDENCE_TEXT_MAX ||
        a->headers.n > EVIDENCE_TEXT_MAX)
        return GAP_TOO_LARGE;
    if ((l->job_count > 0 && u->pieces >= l->job_count) || u->pieces >= EVIDENCE_LIST_MAX ||
        (a->kind != EVIDENCE_RESPONSE && u->of_kind >= EVIDENCE_PICTURES_MAX))
        return GAP_COUNT;
    if (l->job_bytes > 0 && u->bytes + (int64_t)a->body.n > l->job_bytes)
        return GAP_BYTES;
    return g->no_room ? GAP_DISK : GAP_NONE;
}

/* Bytes that are there do not travel again. */
static err put_body(struct pg *p, struct adding *g, struct fault *f)
{
    struct pg_rows *rows;
    struct span hash = span_of(g->hash);
    err e = pg_ask(p, SQL_BODY_AGAIN, &rows, f, PG_T(hash));
    if (e)
        return e;
    bool there = pg_count(rows) > 0;
    pg_end(rows);
    if (there)
        return E_OK;
    if (!g->frame.n)
        e = compress_add(&g->frame, g->args->body);
    if (e)
        return fail(f, e, "the piece cannot be compressed");
    return pg_run(p, SQL_BODY_ADD, f, PG_T(hash), PG_I(g->args->body.n), PG_I(g->frame.n),
                  PG_B(buf_span(&g->frame)));
}

static err put_row(struct pg *p, const struct held_job *job, const struct adding *g, int64_t n,
                   struct fault *f)
{
    const struct evidence_args *a = g->args;
    return pg_run(p, SQL_EVIDENCE_ADD, f, PG_I(job->seq), PG_I(n), PG_I(a->kind),
                  PG_I(g->lease->fence), PG_I(a->batch), PG_I(a->reason), PG_I(a->status),
                  PG_I(a->at_ms), PG_I(a->body.n), PG_T(a->strategy), PG_T(a->name),
                  PG_T(a->url), PG_T(a->headers), PG_T(span_of(g->hash)));
}

static err note_gap(struct pg *p, int64_t job, enum evidence_kind kind, enum evidence_gap gap,
                    int64_t times, struct fault *f)
{
    return pg_run(p, SQL_GAP_ADD, f, PG_I(job), PG_I(kind), PG_I(gap), PG_I(times));
}

static err add_work(struct pg *p, void *ctx, struct fault *f)
{
    struct adding *g = ctx;
    struct held_job job;
    struct used used;
    err e = fence_pass(p, g->lease, &job, f);
    if (!e)
        e = read_used(p, job.seq, g->args->kind, &used, f);
    if (e)
        return e;
    g->out = (struct evidence_reply){.gap = gap_of(g, &used), .n = used.last + 1};
    if (g->out.gap != GAP_NONE)
        return note_gap(p, job.seq, g->args->kind, g->out.gap,
                        g->args->gaps > 0 ? g->args->gaps : 1, f);
    e = put_body(p, g, f);
    return e ? e : put_row(p, &job, g, g->out.n, f);
}

/* Evidence is worth less than records: without room for it that is noted, and the job goes on.
 */
err archive_evidence_add(struct archive *a, const struct archive_lease *lease,
                         const struct evidence_args *args, const struct archive_limits *limits,
                         wall now, struct evidence_reply *out, struct fault *f)
{
    struct adding g = {.lease = lease, .args = args, .limits = limits, .frame = BUF(FRAME_MAX)};
    struct fault full = {0};
    (void)now;
    digest_text(args->body, g.hash);
    err e = pg_do(a->pg, PG_WRITES, add_work, &g, &full);
    if (e == E_DISK_FULL) {
        g.no_room = true;
        full = (struct fault){0};
        e = pg_do(a->pg, PG_WRITES, add_work, &g, &full);
    }
    buf_free(&g.frame);
    if (e) {
        if (f && !f->code)
            *f = full;
        return e;
    }
    *out = g.out;
    return E_OK;
}

/* ---- reading ---- */

static err read_view(const struct pg_rows *rows, size_t row, struct arena *a,
                     struct evidence_view *v, struct fault *f)
{
    struct span *const texts[] = {&v->strategy, &v->name, &v->url, &v->headers, &v->hash};
    int64_t kind = pg_int(rows, row, 1), reason = pg_int(rows, row, 4);
    if (kind < 0 || kind >= EVIDENCE_KINDS)
        return not_ours(f);
    *v = (struct evidence_view){
        .n = pg_int(rows, row, 0),
        .kind = (enum evidence_kind)kind,
        .attempt = pg_int(rows, row, 2),
        .batch = pg_int(rows, row, 3),
        .reason = reason >= 0 && reason < FAILURE_COUNT ? (enum failure_class)reason
                                                        : FAILURE_INTERNAL,
        .status = (int)pg_int(rows, row, 5),
        .at_ms = pg_int(rows, row, 6),
        .bytes = tally(rows, row, 7),
    };
    for (int i = 0; i < 5; i++) {
        err e = pg_keep(rows, row, 8 + i, a, texts[i], f);
        if (e)
            return e;
    }
    return E_OK;
}

struct listing {
    struct span job;
    int64_t n; /* of one piece */
    struct arena *arena;
    struct evidence_list list;
    struct evidence_view one;
    struct buf frame;
};

static err read_pieces(struct pg *p, struct listing *l, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_EVIDENCE_LIST, &rows, f, PG_T(l->job), PG_I(EVIDENCE_LIST_MAX));
    if (e)
        return e;
    size_t n = pg_count(rows) < EVIDENCE_LIST_MAX ? pg_count(rows) : EVIDENCE_LIST_MAX;
    for (l->list.count = 0; l->list.count < n; l->list.count++) {
        e = read_view(rows, l->list.count, l->arena, &l->list.pieces[l->list.count], f);
        if (e)
            break;
    }
    pg_end(rows);
    return e;
}

static err read_gaps(struct pg *p, struct listing *l, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_GAPS, &rows, f, PG_T(l->job));
    if (e)
        return e;
    l->list.gap_count = 0;
    for (size_t i = 0; i < pg_count(rows) && l->list.gap_count < GAPS_MAX; i++) {
        struct evidence_gap_view *g = &l->list.gaps[l->list.gap_count];
        int64_t kind = pg_int(rows, i, 0), gap = pg_int(rows, i, 1);
        if (kind < 0 || kind >= EVIDENCE_KINDS || gap <= GAP_NONE || gap >= GAPS)
            continue;
        *g = (struct evidence_gap_view){.kind = (enum evidence_kind)kind,
                                        .gap = (enum evidence_gap)gap,
                                        .count = tally(rows, i, 2)};
        l->list.gap_count++;
    }
    pg_end(rows);
    return E_OK;
}

static err list_work(struct pg *p, void *ctx, struct fault *f)
{
    err e = read_pieces(p, ctx, f);
    return e ? e : read_gaps(p, ctx, f);
}

err archive_evidence_list(struct archive *a, struct span job, struct arena *arena,
                          struct evidence_list *out, struct fault *f)
{
    struct listing l = {.job = job, .arena = arena};
    l.list.pieces = arena_try(arena, EVIDENCE_LIST_MAX * sizeof *l.list.pieces);
    l.list.gaps = arena_try(arena, GAPS_MAX * sizeof *l.list.gaps);
    if (!l.list.pieces || !l.list.gaps)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    err e = pg_do(a->pg, PG_READS, list_work, &l, f);
    if (!e)
        *out = l.list;
    return e;
}

static err read_frame(struct pg *p, struct listing *l, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_BODY, &rows, f, PG_T(l->one.hash));
    if (e)
        return e;
    buf_clear(&l->frame);
    if (pg_count(rows))
        buf_add(&l->frame, pg_text(rows, 0, 0));
    pg_end(rows);
    return E_OK;
}

static err one_work(struct pg *p, void *ctx, struct fault *f)
{
    struct listing *l = ctx;
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_EVIDENCE_ONE, &rows, f, PG_T(l->job), PG_I(l->n));
    if (e)
        return e;
    if (pg_count(rows))
        e = read_view(rows, 0, l->arena, &l->one, f);
    else
        e = fail(f, E_NOT_FOUND, "the job has no artifact %lld", (long long)l->n);
    pg_end(rows);
    return e ? e : read_frame(p, l, f);
}

/* What cannot be read any more is said as it is: the row alone proves nothing. */
static err read_body(struct listing *l, struct fault *f)
{
    char again[DIGEST_TEXT];
    struct evidence_view *v = &l->one;
    struct buf body = BUF(EVIDENCE_PIECE_MAX);
    err e = compress_take(&body, buf_span(&l->frame), EVIDENCE_PIECE_MAX);
    bool sound = !e && span_eq(span_of(digest_text(buf_span(&body), again)), v->hash);
    if (sound)
        v->body = arena_keep(l->arena, buf_span(&body));
    buf_free(&body);
    if (!sound)
        return fail(f, E_STORE, "the body of piece %lld is missing or damaged",
                    (long long)v->n);
    return v->body.p ? E_OK : fail(f, E_TOO_BIG, "the piece does not fit into the answer");
}

err archive_evidence_read(struct archive *a, struct span job, int64_t n, struct arena *arena,
                          struct evidence_view *out, struct fault *f)
{
    struct listing l = {.job = job, .n = n, .arena = arena, .frame = BUF(FRAME_MAX)};
    err e = pg_do(a->pg, PG_READS, one_work, &l, f);
    if (!e)
        e = read_body(&l, f);
    buf_free(&l.frame);
    if (!e)
        *out = l.one;
    return e;
}

/* ---- deleting ---- */

/* The body goes with the last row that names it. *out_gone: there was such a row; *out_freed:
 * bytes of the body that went with it. */
static err delete_piece(struct pg *p, int64_t eid, struct span hash, bool *out_gone,
                        int64_t *out_freed, struct fault *f)
{
    struct pg_rows *rows;
    *out_freed = 0;
    err e = pg_ask(p, SQL_EVIDENCE_DELETE, &rows, f, PG_I(eid));
    if (e)
        return e;
    *out_gone = pg_count(rows) > 0;
    pg_end(rows);
    if (!*out_gone) /* another node was faster */
        return E_OK;
    e = pg_ask(p, SQL_BODY_LESS, &rows, f, PG_T(hash));
    if (e)
        return e;
    bool last = pg_count(rows) && pg_int(rows, 0, 0) == 0;
    *out_freed = last ? tally(rows, 0, 1) : 0;
    pg_end(rows);
    return last ? pg_run(p, SQL_BODY_GONE, f, PG_T(hash)) : E_OK;
}

err evidence_forget_some(struct pg *p, int64_t job, int64_t *pieces, struct fault *f)
{
    struct pg_rows *old;
    int64_t most = *pieces;
    int64_t freed;
    bool gone;
    if (most <= 0)
        return E_OK;
    err e = pg_ask(p, SQL_EVIDENCE_OF_JOB, &old, f, PG_I(job), PG_I(most));
    if (e)
        return e;
    *pieces -= (int64_t)pg_count(old);
    for (size_t i = 0; !e && i < pg_count(old); i++)
        e = delete_piece(p, pg_int(old, i, 0), pg_text(old, i, 3), &gone, &freed, f);
    pg_end(old);
    return e;
}

struct retaining {
    const struct archive_limits *limits;
    int64_t now_ms;
    bool more;
};

static err read_sum(struct pg *p, int64_t *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask_args(p, SQL_BODIES_SUM, &rows, f, NULL, 0);
    if (e)
        return e;
    *out = tally(rows, 0, 0);
    pg_end(rows);
    return E_OK;
}

/* *sum: of bodies; less what went with this piece. */
static err expire(struct pg *p, const struct pg_rows *old, size_t row, int64_t *sum,
                  struct fault *f)
{
    bool gone = false;
    int64_t freed = 0;
    err e = delete_piece(p, pg_int(old, row, 0), pg_text(old, row, 3), &gone, &freed, f);
    *sum -= freed;
    if (e || !gone)
        return e;
    return note_gap(p, pg_int(old, row, 1), (enum evidence_kind)pg_int(old, row, 2),
                    GAP_EXPIRED, 1, f);
}

static err retain_work(struct pg *p, void *ctx, struct fault *f)
{
    struct retaining *r = ctx;
    const struct archive_limits *l = r->limits;
    struct pg_rows *old;
    int64_t sum = 0;
    size_t gone = 0;
    err e = l->bytes > 0 ? read_sum(p, &sum, f) : E_OK;
    bool too_much = l->bytes > 0 && sum > l->bytes;
    int64_t before = l->age_ms > 0 ? r->now_ms - l->age_ms : 0;
    if (!e)
        e = pg_ask(p, SQL_EVIDENCE_OLD, &old, f, PG_I(too_much ? INT64_MAX : before),
                   PG_I(PIECES_AT_ONCE));
    if (e)
        return e;
    /* With both reasons the oldest go first, until neither holds. */
    for (; !e && gone < pg_count(old); gone++) {
        if (too_much && sum <= l->bytes)
            break;
        e = expire(p, old, gone, &sum, f);
    }
    pg_end(old);
    r->more = gone > 0;
    return e;
}

err archive_evidence_retain(struct archive *a, const struct archive_limits *limits, wall now,
                            bool *out_more, struct fault *f)
{
    struct retaining r = {.limits = limits, .now_ms = now.ms};
    err e = pg_do(a->pg, PG_WRITES, retain_work, &r, f);
    if (!e)
        *out_more = r.more;
    return e;
}

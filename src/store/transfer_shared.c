/* transfer_shared.c - hands each kind of rows to the queue or to the archive. What the archive has belongs to jobs, and the
 * queue says which there are, and up to which batch: records that it knows nothing of are not the store's. */
#include "store/transfer_shared.h"

#include "store/archive.h"
#include "store/redis/preflight.h"
#include "store/redis/transfer.h"

#include "base/need.h"
#include "base/text.h"

enum { LINES_MOST = 5 };

struct pair {
    struct transfer head;
    struct transfer *queue;
    struct archive *archive;
    /* of the jobs whose rows are read just now */
    struct arena *arena;
    struct transfer_jobs jobs;
    int64_t *known; /* as archive_move_jobs() says */
    int64_t jobs_after;
    bool jobs_read;
};

static struct pair *of(struct transfer *t)
{
    return (struct pair *)t;
}

static bool is_of_archive(enum moved_kind kind)
{
    return kind == MOVE_RECORDS || kind == MOVE_BODIES || kind == MOVE_EVIDENCE ||
           kind == MOVE_GAPS || kind == MOVE_FIELDS;
}

/* ---- what the queue does alone ---- */

static err pair_set_mark(struct transfer *t, const struct transfer_mark *mark, struct fault *f)
{
    return of(t)->queue->ops->set_mark(of(t)->queue, mark, f);
}

static err pair_alone(struct transfer *t, struct fault *f)
{
    return of(t)->queue->ops->alone(of(t)->queue, f);
}

static err pair_epoch(struct transfer *t, int64_t *out, struct fault *f)
{
    return of(t)->queue->ops->epoch(of(t)->queue, out, f);
}

static err pair_finish(struct transfer *t, int64_t epoch, struct fault *f)
{
    return of(t)->queue->ops->finish(of(t)->queue, epoch, f);
}

/* ---- both ---- */

/* No service has used a marked store since, so that its archive is that of the mark; or it has none yet, when it is to be filled
 * and the one that is given is empty. Of one that services use, the last one told its archive; when that was of an earlier version
 * only its jobs tell: pair_missing(). */
static err pair_mark(struct transfer *t, struct transfer_mark *out, struct fault *f)
{
    struct pair *p = of(t);
    bool empty = false;
    err e = p->queue->ops->mark(p->queue, out, f);
    if (e || span_is(archive_id(p->archive), out->archive))
        return e;
    if (!transfer_holds(out->state)) {
        out->foreign = out->archive[0] != '\0';
        return E_OK;
    }
    if (out->state != TRANSFER_LEAVING)
        e = archive_move_empty(p->archive, &empty, f);
    out->foreign = !empty;
    return e;
}

static err pair_empty(struct transfer *t, bool *out, struct fault *f)
{
    bool queue = false, archive = false;
    err e = of(t)->queue->ops->empty(of(t)->queue, &queue, f);
    if (!e)
        e = archive_move_empty(of(t)->archive, &archive, f);
    *out = queue && archive;
    return e;
}

static err pair_clear(struct transfer *t, struct fault *f)
{
    err e = archive_move_clear(of(t)->archive, f);
    return e ? e : of(t)->queue->ops->clear(of(t)->queue, f);
}

static err read_jobs(struct pair *p, int64_t after, struct fault *f)
{
    if (p->jobs_read && p->jobs_after == after)
        return E_OK;
    p->jobs_read = false;
    arena_reset(p->arena);
    err e = transfer_queue_jobs(p->queue, after, p->arena, &p->jobs, f);
    if (e)
        return e;
    p->known = arena_get(p->arena, (p->jobs.count + 1) * sizeof *p->known);
    e = archive_move_jobs(p->archive, p->jobs.ids, p->jobs.count, p->known, f);
    p->jobs_after = after;
    p->jobs_read = e == E_OK;
    return e;
}

/* A batch that the archive has and the queue knows nothing of is taken back, as the next lease would do. */
static err rewind_job(struct pair *p, size_t i, int64_t epoch, struct fault *f)
{
    struct archive_committed ignored;
    if (!p->jobs.live[i] || p->known[i] <= p->jobs.next_batches[i])
        return E_OK;
    return archive_rewind(p->archive,
                          &(struct archive_lease){p->jobs.ids[i], epoch, p->jobs.fences[i]},
                          p->jobs.counts[i], p->jobs.next_batches[i], &ignored, f);
}

static err rewind_all(struct pair *p, struct fault *f)
{
    int64_t epoch = 0, after = 0;
    err e = pair_epoch(&p->head, &epoch, f);
    for (bool last = false; !e && !last; last = p->jobs.last, after = p->jobs.next) {
        e = read_jobs(p, after, f);
        for (size_t i = 0; !e && i < p->jobs.count; i++)
            e = rewind_job(p, i, epoch, f);
    }
    p->jobs_read = false;
    return e;
}

static err pair_settle(struct transfer *t, bool dry, struct fault *f)
{
    err e = of(t)->queue->ops->settle(of(t)->queue, dry, f);
    return e || dry ? e : rewind_all(of(t), f);
}

/* The queue counts records when the archive has them. Else it is another archive, or one that lost some. */
static err pair_missing(struct transfer *t, struct buf *words, int64_t *out_count,
                        struct fault *f)
{
    struct pair *p = of(t);
    int64_t after = 0, count = 0;
    err e = E_OK;
    for (bool last = false; !e && !last; last = p->jobs.last, after = p->jobs.next) {
        e = read_jobs(p, after, f);
        for (size_t i = 0; !e && i < p->jobs.count; i++) {
            if (p->known[i] >= 0 || p->jobs.have[i] == 0)
                continue;
            if (count++ < LINES_MOST)
                buf_fmt(
                    words,
                    "jobs, %.*s: its %lld records are not in this archive: give the store's "
                    "own, or delete the job\n",
                    SP(p->jobs.ids[i]), (long long)p->jobs.have[i]);
        }
    }
    *out_count = e ? 0 : count;
    return e;
}

/* ---- rows of jobs: place.a is the page of jobs, one the job in it, b how far it is ---- */

static size_t find_job(const struct pair *p, struct span id)
{
    for (size_t i = 0; i < p->jobs.count; i++)
        if (span_eq(p->jobs.ids[i], id))
            return i;
    return 0;
}

/* Rows of one job behind those of the page, as many as there is room for. */
static err rows_of_job(struct pair *p, enum moved_kind kind, size_t i, int64_t after,
                       struct arena *a, struct moved_page *page, bool *out_all, struct fault *f)
{
    struct archive_move_ask ask = {
        .kind = kind, .job = p->jobs.ids[i], .after = after, .bound = p->jobs.next_batches[i]};
    struct moved_page some = {.last = true};
    err e = p->known[i] < 0 ? E_OK : archive_move_out(p->archive, &ask, a, &some, f);
    if (e)
        return e;
    size_t n = some.count < MOVED_PAGE - page->count ? some.count : MOVED_PAGE - page->count;
    if (n)
        memcpy(page->rows + page->count, some.rows, n * sizeof *some.rows);
    page->count += n;
    *out_all = some.last && n == some.count;
    return E_OK;
}

/* Where in its job the last row stands, as the archive counts it. */
static int64_t place_in_job(enum moved_kind kind, const struct moved_row *last)
{
    return kind == MOVE_GAPS ? last->v[1].n * 100 + last->v[2].n : last->v[1].n;
}

static err rows_of_jobs(struct pair *p, enum moved_kind kind, const struct moved_place *place,
                        struct arena *a, struct moved_page *out, struct fault *f)
{
    err e = read_jobs(p, place->a, f);
    if (e)
        return e;
    int64_t after = place->one.n ? place->b : -1;
    bool all = true;
    size_t i = find_job(p, place->one);
    *out = (struct moved_page){.rows = arena_get(a, MOVED_PAGE * sizeof(struct moved_row))};
    for (; i < p->jobs.count; i++, after = -1) {
        if (out->count >= MOVED_PAGE / 2)
            break;
        e = rows_of_job(p, kind, i, after, a, out, &all, f);
        if (e || !all)
            break;
    }
    if (e)
        return e;
    if (i < p->jobs.count) {
        out->next = (struct moved_place){place->a, -1, arena_keep(a, p->jobs.ids[i]), SPAN("")};
        if (!all)
            out->next.b = place_in_job(kind, &out->rows[out->count - 1]);
        return E_OK;
    }
    out->next = (struct moved_place){p->jobs.next, 0, SPAN(""), SPAN("")};
    out->last = p->jobs.last;
    return E_OK;
}

static err pair_out(struct transfer *t, enum moved_kind kind, const struct moved_place *place,
                    struct arena *a, struct moved_page *out, struct fault *f)
{
    struct pair *p = of(t);
    if (!is_of_archive(kind))
        return p->queue->ops->out(p->queue, kind, place, a, out, f);
    if (kind != MOVE_BODIES && kind != MOVE_FIELDS)
        return rows_of_jobs(p, kind, place, a, out, f);
    struct archive_move_ask ask = {.kind = kind, .place = *place};
    return archive_move_out(p->archive, &ask, a, out, f);
}

/* First the rows, then the mark: rows that come again are there already. */
static err pair_in(struct transfer *t, enum moved_kind kind, const struct moved_page *page,
                   const struct transfer_mark *mark, struct fault *f)
{
    struct pair *p = of(t);
    if (!is_of_archive(kind))
        return p->queue->ops->in(p->queue, kind, page, mark, f);
    err e = archive_move_in(p->archive, kind, page, f);
    return e ? e : pair_set_mark(t, mark, f);
}

static err pair_takes(struct transfer *t, enum moved_kind kind, const struct moved_row *row,
                      struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    if (!is_of_archive(kind))
        return of(t)->queue->ops->takes(of(t)->queue, kind, row, f);
    for (size_t i = 0; i < shape->count; i++) {
        struct span text = row->v[i].text;
        if (shape->fields[i].type == MOVED_TEXT &&
            (!text_valid(text) || span_find_char(text, '\0') < text.n))
            return fail(f, E_BAD_INPUT,
                        "%s holds bytes that are no UTF-8, or a zero byte, which PostgreSQL "
                        "does not keep",
                        shape->fields[i].name);
    }
    return E_OK;
}

/* ---- opening ---- */

static void pair_close(struct transfer **t)
{
    struct pair *p = of(*t);
    if (p->queue)
        p->queue->ops->close(&p->queue);
    archive_close(&p->archive);
    arena_free(&p->arena);
    free(p);
    *t = NULL;
}

static const struct transfer_ops pair_ops = {
    .close = pair_close,
    .mark = pair_mark,
    .set_mark = pair_set_mark,
    .alone = pair_alone,
    .settle = pair_settle,
    .missing = pair_missing,
    .empty = pair_empty,
    .clear = pair_clear,
    .out = pair_out,
    .in = pair_in,
    .takes = pair_takes,
    .epoch = pair_epoch,
    .finish = pair_finish,
};

err transfer_shared_name(const struct transfer_shared_config *c, char out[TRANSFER_NAME],
                         struct fault *f)
{
    struct redis_config queue = {.url = span_of(c->queue), .name = span_of(c->name)};
    return transfer_queue_name(&queue, out, f);
}

err transfer_shared(struct transfer **out, const struct transfer_shared_config *c,
                    const struct store_limits *limits, struct fault *f)
{
    struct pair *p = heap_new_of(struct pair);
    struct transfer *t = &p->head;
    struct archive_config archive = {.url = span_of(c->archive)};
    struct redis_config queue = {
        .url = span_of(c->queue), .name = span_of(c->name), .files_dir = c->files_dir};
    t->ops = &pair_ops;
    p->arena = arena_new(8 << 20);
    struct preflight redis = {
        .url = span_of(c->queue), .name = span_of(c->name), .insists = c->insists};
    err e = preflight_check(&redis, f);
    if (!e)
        e = archive_open(&p->archive, &archive, f);
    if (!e)
        e = transfer_queue(&p->queue, &queue, archive_id(p->archive), limits, f);
    if (e) {
        pair_close(&t);
        return e;
    }
    snprintf(t->name, sizeof t->name, "%s", p->queue->name);
    *out = t;
    return E_OK;
}

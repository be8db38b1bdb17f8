#include "store/mover.h"

#include "base/need.h"

enum {
    WORDS_BYTES = 64 * 1024,
    ROW_BYTES = 64 << 20,
    PAGE_ARENA = 256 << 20,
    FOUND_ARENA = 256 << 20,
    FOUND_MOST = 100000, /* rows of one part that differs */
    SAID_MOST = 5,       /* lines of one kind */
};

struct mover {
    const struct mover_config *c;
    struct mover_result *out;
    struct transfer_mark from, to;
    struct arena *arena; /* of one page */
    struct buf row;      /* canonical form */
    bool fresh;          /* no move was begun before */
    bool whole;          /* one was done, but for the source's mark */
};

static void tell(struct mover *m, const char *doing, enum moved_kind kind, int64_t rows)
{
    if (m->c->progress)
        m->c->progress(m->c->ctx, doing, kind, rows);
}

/* ---- all rows of a kind ---- */

struct walk {
    const char *doing;
    err (*row)(struct mover *m, enum moved_kind kind, const struct moved_row *row, void *ctx,
               struct fault *f);
    void *ctx;
};

static err walk_page(struct mover *m, enum moved_kind kind, const struct moved_page *page,
                     const struct walk *w, struct fault *f)
{
    err e = E_OK;
    for (size_t i = 0; !e && i < page->count; i++)
        e = w->row(m, kind, &page->rows[i], w->ctx, f);
    return e;
}

/* The texts of a place are those of its page, which goes with the arena. */
static err keep_place(struct transfer_mark *kept, struct moved_place *place, struct fault *f)
{
    err e = transfer_mark_place(kept, place, f);
    *place = (struct moved_place){kept->a, kept->b, span_of(kept->one), span_of(kept->two)};
    return e;
}

static err walk_kind(struct mover *m, struct transfer *t, enum moved_kind kind,
                     const struct walk *w, struct fault *f)
{
    struct transfer_mark *kept = heap_new_of(struct transfer_mark);
    struct moved_page page = {0};
    int64_t rows = 0;
    err e = E_OK;
    while (!e && !page.last) {
        struct moved_place place = page.next;
        arena_reset(m->arena);
        e = t->ops->out(t, kind, &place, m->arena, &page, f);
        if (!e)
            e = walk_page(m, kind, &page, w, f);
        if (!e)
            e = keep_place(kept, &page.next, f);
        rows += e ? 0 : (int64_t)page.count;
        tell(m, w->doing, kind, rows);
    }
    free(kept);
    return e;
}

/* ---- what cannot be moved ---- */

static err look_at_row(struct mover *m, enum moved_kind kind, const struct moved_row *row,
                       void *ctx, struct fault *f)
{
    (void)ctx;
    struct transfer *to = m->c->to;
    struct fault why = {0};
    struct buf key = BUF(1024);
    err e = moved_write(kind, row, &m->row, &why);
    if (!e && to)
        e = to->ops->takes(to, kind, row, &why);
    if (!e)
        moved_add(&m->out->from[kind], buf_span(&m->row));
    else if (m->out->refused[kind]++ < SAID_MOST) {
        moved_key(kind, row, &key);
        buf_fmt(&m->out->words, "%s, %.*s: %s\n", moved_shapes[kind].words, SP(buf_span(&key)),
                why.words);
    }
    buf_free(&key);
    if (kind == MOVE_JOBS && row->v[moved_at(kind, "state")].n == 3)
        m->out->running++;
    return e && e != E_BAD_INPUT && e != E_STORE && e != E_TOO_BIG ? fail(f, e, "%s", why.words)
                                                                   : E_OK;
}

static err look(struct mover *m, struct fault *f)
{
    const struct walk w = {.doing = "looking", .row = look_at_row};
    int64_t refused = 0;
    err e = m->c->from->ops->settle(m->c->from, true, f);
    for (int k = 0; !e && k < MOVE_KINDS; k++)
        e = walk_kind(m, m->c->from, (enum moved_kind)k, &w, f);
    for (int k = 0; k < MOVE_KINDS; k++)
        refused += m->out->refused[k];
    if (!e && refused)
        e = fail(f, E_BAD_INPUT,
                 "%lld rows cannot be moved; nothing was begun: delete their jobs, or repair "
                 "what is named",
                 (long long)refused);
    return e;
}

/* ---- whether these stores may be moved ---- */

static err refuse(struct fault *f, const struct transfer *t, const char *why)
{
    return fail(f, E_CONFLICT, "%.150s %s", t->name, why);
}

/* Of a source that no move has begun with: what it is moved into. */
static err judge_fresh(struct mover *m, struct fault *f)
{
    const struct transfer_mark *from = &m->from, *to = &m->to;
    bool empty = false;
    err e = m->c->to->ops->empty(m->c->to, &empty, f);
    if (e)
        return e;
    if (to->state == TRANSFER_ARRIVING && to->kind < 0 &&
        span_is(span_of(to->other), m->c->from->name))
        return E_OK; /* interrupted between the two marks */
    if (to->state == TRANSFER_ARRIVING || to->state == TRANSFER_LEAVING)
        return refuse(f, m->c->to, "has an unfinished move of its own: finish or abandon that");
    if (to->state == TRANSFER_LEFT)
        return from->state == TRANSFER_CAME && strcmp(from->id, to->id) == 0
                   ? E_OK /* what it holds came here, and goes back */
                   : refuse(f, m->c->to, "was moved elsewhere, not to here: empty it first");
    return empty ? E_OK : refuse(f, m->c->to, "is not empty: give one that is");
}

static err refuse_foreign(struct fault *f, const struct transfer *t,
                          const struct transfer_mark *mark)
{
    return mark->foreign
               ? refuse(f, t,
                        "had another archive when it was moved, and the one that is given "
                        "now holds something: give the one that it had")
               : E_OK;
}

static err judge(struct mover *m, struct fault *f)
{
    const struct transfer_mark *from = &m->from, *to = &m->to;
    bool same = strcmp(from->id, to->id) == 0, empty = false;
    err e = refuse_foreign(f, m->c->from, from);
    if (!e)
        e = refuse_foreign(f, m->c->to, to);
    if (e)
        return e;
    m->fresh = from->state == TRANSFER_NONE || from->state == TRANSFER_CAME;
    if (m->fresh)
        return m->c->to ? judge_fresh(m, f) : E_OK;
    if (from->state == TRANSFER_ARRIVING)
        return refuse(f, m->c->from, "is not whole itself: finish or abandon that move first");
    m->out->already = same && from->state == TRANSFER_LEFT && to->state == TRANSFER_CAME;
    if (m->out->already)
        return E_OK;
    if (from->state == TRANSFER_LEFT)
        return refuse(f, m->c->from, "was moved elsewhere already");
    m->whole = same && to->state == TRANSFER_CAME;
    if (m->whole || (same && to->state == TRANSFER_ARRIVING))
        return E_OK;
    if (m->c->to && to->state == TRANSFER_NONE)
        e = m->c->to->ops->empty(m->c->to, &empty, f);
    if (e)
        return e;
    return empty ? E_OK
                 : refuse(f, m->c->from,
                          "is being moved to another store: give that one, or --abandon");
}

static err read_marks(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    err e = from->ops->alone(from, f);
    if (!e && to)
        e = to->ops->alone(to, f);
    if (!e)
        e = from->ops->mark(from, &m->from, f);
    return e || !to ? e : to->ops->mark(to, &m->to, f);
}

/* ---- moving ---- */

static err put_mark(struct transfer *t, struct transfer_mark *mark, enum transfer_state state,
                    const char *other, wall now, struct fault *f)
{
    mark->state = state;
    mark->at_ms = now.ms;
    span_copy(span_of(other), mark->other, sizeof mark->other);
    return t->ops->set_mark(t, mark, f);
}

/* Both are marked before the first row goes. The target first: it still says where it came from, or that it is empty. */
static err begin(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    err e = E_OK;
    if (m->fresh && m->to.state != TRANSFER_ARRIVING) {
        id_make(m->to.id, "mov", m->c->now, m->c->random);
        m->to.kind = -1;
        e = from->ops->settle(from, false, f);
        if (!e)
            e = put_mark(to, &m->to, TRANSFER_ARRIVING, from->name, m->c->now, f);
    } else if (m->to.state == TRANSFER_NONE) {
        memcpy(m->to.id, m->from.id, sizeof m->to.id);
        m->to.kind = -1;
        e = put_mark(to, &m->to, TRANSFER_ARRIVING, from->name, m->c->now, f);
    }
    memcpy(m->from.id, m->to.id, sizeof m->from.id);
    if (!e && m->from.state != TRANSFER_LEAVING)
        e = put_mark(from, &m->from, TRANSFER_LEAVING, to->name, m->c->now, f);
    return e ? e : from->ops->settle(from, false, f);
}

static err empty_target(struct mover *m, struct fault *f)
{
    struct transfer *to = m->c->to;
    if (m->to.kind >= 0)
        return E_OK;
    err e = to->ops->clear(to, f);
    m->to.kind = 0;
    m->to.a = m->to.b = 0;
    m->to.one[0] = m->to.two[0] = '\0';
    return e ? e : to->ops->set_mark(to, &m->to, f);
}

/* The mark says what comes behind the page, and is noted with it. */
static err copy_page(struct mover *m, enum moved_kind kind, bool *out_last, size_t *out_rows,
                     struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    struct moved_page page;
    struct moved_place place = {m->to.a, m->to.b, span_of(m->to.one), span_of(m->to.two)};
    arena_reset(m->arena);
    place.one = arena_keep(m->arena, place.one);
    place.two = arena_keep(m->arena, place.two);
    err e = from->ops->out(from, kind, &place, m->arena, &page, f);
    if (e)
        return e;
    if (page.last)
        page.next = (struct moved_place){.one = SPAN(""), .two = SPAN("")};
    m->to.kind = (int)kind + page.last;
    e = transfer_mark_place(&m->to, &page.next, f);
    *out_last = page.last;
    *out_rows = page.count;
    return e ? e : to->ops->in(to, kind, &page, &m->to, f);
}

static err copy_all(struct mover *m, struct fault *f)
{
    err e = E_OK;
    while (!e && m->to.kind < MOVE_KINDS) {
        enum moved_kind kind = (enum moved_kind)m->to.kind;
        int64_t rows = 0;
        for (bool last = false; !e && !last;) {
            size_t n = 0;
            e = copy_page(m, kind, &last, &n, f);
            rows += e ? 0 : (int64_t)n;
            tell(m, "moving", kind, rows);
        }
    }
    return e;
}

/* ---- comparing ---- */

static err sum_row(struct mover *m, enum moved_kind kind, const struct moved_row *row,
                   void *ctx, struct fault *f)
{
    struct moved_sums *sums = ctx;
    err e = moved_write(kind, row, &m->row, f);
    if (!e)
        moved_add(&sums->part[moved_bucket(kind, row)], buf_span(&m->row));
    return e;
}

struct found {
    struct span key, row;
};
struct finding {
    size_t part, count;
    struct arena *a;
    struct found rows[FOUND_MOST];
};

static err find_row(struct mover *m, enum moved_kind kind, const struct moved_row *row,
                    void *ctx, struct fault *f)
{
    struct finding *in = ctx;
    struct buf key = BUF(4096);
    if (moved_bucket(kind, row) != in->part || in->count == FOUND_MOST)
        return E_OK;
    err e = moved_write(kind, row, &m->row, f);
    if (e)
        return e;
    moved_key(kind, row, &key);
    struct found *at = &in->rows[in->count];
    *at =
        (struct found){arena_keep(in->a, buf_span(&key)), arena_keep(in->a, buf_span(&m->row))};
    in->count += at->key.p && at->row.p; /* those that fit; more than a few are not told */
    buf_free(&key);
    return E_OK;
}

static int by_key(const void *one, const void *other)
{
    struct span a = ((const struct found *)one)->key, b = ((const struct found *)other)->key;
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* One line; the rows are sorted by their keys, of `to` from *at on. */
static bool say_row(struct mover *m, enum moved_kind kind, const struct found *row,
                    const struct finding *to, size_t *at)
{
    const char *words = moved_shapes[kind].words;
    while (*at < to->count && by_key(&to->rows[*at], row) < 0) {
        buf_fmt(&m->out->words, "%s, %.*s: only in %s\n", words, SP(to->rows[*at].key),
                m->c->to->name);
        (*at)++;
    }
    if (*at == to->count || by_key(&to->rows[*at], row) > 0) {
        buf_fmt(&m->out->words, "%s, %.*s: only in %s\n", words, SP(row->key),
                m->c->from->name);
        return true;
    }
    const char *field = moved_differs(kind, row->row, to->rows[(*at)++].row);
    if (field)
        buf_fmt(&m->out->words, "%s, %.*s: %s differs\n", words, SP(row->key), field);
    return field != NULL;
}

static void say_rows(struct mover *m, enum moved_kind kind, const struct finding *from,
                     const struct finding *to)
{
    size_t at = 0;
    int said = 0;
    for (size_t i = 0; i < from->count && said < SAID_MOST; i++)
        said += say_row(m, kind, &from->rows[i], to, &at);
    for (; at < to->count && said < SAID_MOST; at++, said++)
        buf_fmt(&m->out->words, "%s, %.*s: only in %s\n", moved_shapes[kind].words,
                SP(to->rows[at].key), m->c->to->name);
}

/* Reads the part that differs once more, of both, and says where. */
static err explain(struct mover *m, enum moved_kind kind, size_t part, struct fault *f)
{
    struct finding *from = heap_new_of(struct finding), *to = heap_new_of(struct finding);
    from->a = arena_new(FOUND_ARENA);
    to->a = arena_new(FOUND_ARENA);
    from->part = to->part = part;
    struct walk w = {.doing = "finding what differs", .row = find_row, .ctx = from};
    err e = walk_kind(m, m->c->from, kind, &w, f);
    w.ctx = to;
    if (!e)
        e = walk_kind(m, m->c->to, kind, &w, f);
    qsort(from->rows, from->count, sizeof *from->rows, by_key);
    qsort(to->rows, to->count, sizeof *to->rows, by_key);
    if (!e)
        say_rows(m, kind, from, to);
    arena_free(&from->a);
    arena_free(&to->a);
    free(from);
    free(to);
    return e;
}

static err compare_kind(struct mover *m, enum moved_kind kind, struct fault *f)
{
    struct moved_sums *from = heap_new_of(struct moved_sums),
                      *to = heap_new_of(struct moved_sums);
    struct walk w = {.doing = "reading the source", .row = sum_row, .ctx = from};
    err e = walk_kind(m, m->c->from, kind, &w, f);
    w.doing = "reading the target";
    w.ctx = to;
    if (!e)
        e = walk_kind(m, m->c->to, kind, &w, f);
    m->out->from[kind] = moved_total(from);
    m->out->to[kind] = moved_total(to);
    for (size_t part = 0; !e && part < MOVED_BUCKETS; part++) {
        if (moved_same(&from->part[part], &to->part[part]))
            continue;
        m->out->same = false;
        e = explain(m, kind, part, f);
        break;
    }
    free(from);
    free(to);
    return e;
}

static err compare(struct mover *m, struct fault *f)
{
    err e = m->c->from->ops->settle(m->c->from, true, f);
    if (!e)
        e = m->c->to->ops->settle(m->c->to, true, f);
    m->out->same = true;
    for (int k = 0; !e && k < MOVE_KINDS; k++)
        e = compare_kind(m, (enum moved_kind)k, f);
    m->out->compared = e == E_OK;
    if (!e && !m->out->same)
        e = fail(f, E_STORE, "the two stores do not hold the same");
    return e;
}

/* ---- acts ---- */

static err finish(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    int64_t epoch = 0;
    err e = from->ops->epoch(from, &epoch, f);
    if (!e)
        e = to->ops->finish(to, epoch + 1, f);
    if (!e)
        e = compare(m, f);
    if (!e)
        e = put_mark(to, &m->to, TRANSFER_CAME, from->name, m->c->now, f);
    if (!e)
        e = put_mark(from, &m->from, TRANSFER_LEFT, to->name, m->c->now, f);
    return e;
}

/* The target may have been used since its mark: nothing is compared any more. */
static err end_source(struct mover *m, struct fault *f)
{
    memcpy(m->out->id, m->from.id, sizeof m->out->id);
    err e = put_mark(m->c->from, &m->from, TRANSFER_LEFT, m->c->to->name, m->c->now, f);
    m->out->already = !e;
    return e;
}

static err move(struct mover *m, struct fault *f)
{
    err e = judge(m, f);
    m->out->resumed = !e && !m->fresh;
    if (e || m->out->already)
        return e;
    if (m->whole)
        return end_source(m, f);
    if (m->fresh)
        e = look(m, f);
    if (!e)
        e = begin(m, f);
    memcpy(m->out->id, m->to.id, sizeof m->out->id);
    if (!e)
        e = empty_target(m, f);
    if (!e)
        e = copy_all(m, f);
    return e ? e : finish(m, f);
}

static err abandon_target(struct mover *m, struct fault *f)
{
    struct transfer *to = m->c->to;
    err e = refuse_foreign(f, to, &m->to);
    m->to.kind = -1;
    if (!e)
        e = to->ops->set_mark(to, &m->to, f);
    if (!e)
        e = to->ops->clear(to, f);
    return e ? e : put_mark(to, &m->to, TRANSFER_NONE, "", m->c->now, f);
}

static err abandon(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    if (m->from.state != TRANSFER_LEAVING)
        return refuse(f, from, "is not being moved: there is nothing to abandon");
    bool same = to && strcmp(m->to.id, m->from.id) == 0;
    if (same && m->to.state == TRANSFER_CAME)
        return refuse(
            f, to,
            "has all of it and may be in use: the same move again, without --abandon, "
            "ends it");
    memcpy(m->out->id, m->from.id, sizeof m->out->id);
    err e = same && m->to.state == TRANSFER_ARRIVING ? abandon_target(m, f) : E_OK;
    return e ? e : put_mark(from, &m->from, TRANSFER_NONE, "", m->c->now, f);
}

static err act(struct mover *m, struct fault *f)
{
    err e = read_marks(m, f);
    if (e)
        return e;
    switch (m->c->act) {
    case MOVER_MOVE:
        return move(m, f);
    case MOVER_LOOK:
        e = judge(m, f);
        return e || m->out->already ? e : look(m, f);
    case MOVER_VERIFY:
        return compare(m, f);
    case MOVER_ABANDON:
        return abandon(m, f);
    }
    return E_OK;
}

err mover_run(const struct mover_config *config, struct mover_result *out, struct fault *f)
{
    struct mover *m = heap_new_of(struct mover);
    *out = (struct mover_result){.words = BUF(WORDS_BYTES)};
    m->c = config;
    m->out = out;
    m->arena = arena_new(PAGE_ARENA);
    m->row = BUF(ROW_BYTES);
    err e = act(m, f);
    arena_free(&m->arena);
    buf_free(&m->row);
    free(m);
    return e;
}

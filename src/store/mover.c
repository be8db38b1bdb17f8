#include "store/mover.h"

#include "base/need.h"

#include <stdarg.h>

enum {
    WORDS_BYTES = 64 * 1024,
    ROW_BYTES = 64 << 20,
    PAGE_ARENA = 256 << 20,
    FOUND_ARENA = 256 << 20,
    FOUND_MOST = 100000, /* rows of one part that differs */
    SAID_MOST = 5,       /* lines of one kind */
    NAME_SHOWN = 60,     /* bytes of a name in any refusal */
};

struct mover {
    const struct mover_config *c;
    struct mover_result *out;
    struct transfer_mark from, to;
    struct arena *arena; /* of one page */
    struct buf row;      /* canonical form */
    bool fresh;          /* no move was begun before */
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
    struct transfer *from = m->c->from;
    err e = from->ops->settle(from, true, f);
    if (!e && from->ops->missing)
        e = from->ops->missing(from, &m->out->words, &m->out->refused[MOVE_JOBS], f);
    for (int k = 0; !e && k < MOVE_KINDS; k++)
        e = walk_kind(m, from, (enum moved_kind)k, &w, f);
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

__attribute__((format(printf, 3, 4))) static err refuse(struct fault *f, const char *name,
                                                        const char *fmt, ...)
{
    char why[200]; /* with a name in it, a fault's words are full */
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return fail(f, E_CONFLICT, "%.60s %s", name, why);
}

/* One that has to be given is said whole, beside a refusal that has no room for it. */
static const char *said_whole(struct mover *m, const char *name)
{
    if (strlen(name) > NAME_SHOWN)
        buf_fmt(&m->out->words, "the whole name is %s\n", name);
    return name;
}

/* Whether it is the store that a mark means, as far as names tell. */
static bool is_named(const char *name, const char *other)
{
    return name && name[0] && strcmp(name, other) == 0;
}

static const char *name_of(const struct transfer *t, const char *name)
{
    return t ? t->name : name ? name : "";
}

static const char *from_name(const struct mover *m)
{
    return name_of(m->c->from, m->c->from_name);
}

static const char *to_name(const struct mover *m)
{
    return name_of(m->c->to, m->c->to_name);
}

/* It took the rows of this move to the last one, whatever it did since. */
static bool has_all(const struct transfer_mark *to, const struct transfer_mark *from)
{
    return from->id[0] && strcmp(to->came, from->id) == 0;
}

static bool is_filled_for(const struct transfer_mark *to, const struct transfer_mark *from)
{
    return to->state == TRANSFER_ARRIVING && from->id[0] && strcmp(to->id, from->id) == 0;
}

static err refuse_unfinished(struct mover *m, const char *name,
                             const struct transfer_mark *mark, struct fault *f)
{
    return refuse(f, name,
                  "has an unfinished move of its own (%s %.90s): finish that, or give it up "
                  "with --abandon",
                  mark->state == TRANSFER_LEAVING ? "to" : "from", said_whole(m, mark->other));
}

/* Of a source that no move has begun with: what it is moved into. A target that was to be filled from here, by a move that did
 * not get as far as the source's mark or was given up since, is emptied as a new one. */
static err judge_fresh(struct mover *m, struct fault *f)
{
    const struct transfer_mark *from = &m->from, *to = &m->to;
    bool empty = false;
    err e = m->c->to->ops->empty(m->c->to, &empty, f);
    if (e)
        return e;
    if (to->state == TRANSFER_ARRIVING && is_named(m->c->from->name, to->other))
        return E_OK;
    if (to->state == TRANSFER_ARRIVING || to->state == TRANSFER_LEAVING)
        return refuse_unfinished(m, m->c->to->name, to, f);
    if (to->state == TRANSFER_LEFT)
        return has_all(from, to) /* what it holds came here, and goes back */
                   ? E_OK
                   : refuse(f, m->c->to->name,
                            "was moved to %.60s, not to here: empty it first",
                            said_whole(m, to->other));
    return empty ? E_OK : refuse(f, m->c->to->name, "is not empty: give one that is");
}

/* What it holds, if anything, is replaced. */
static bool may_be_filled(const struct transfer_mark *mark)
{
    return mark->state == TRANSFER_ARRIVING || mark->state == TRANSFER_LEFT;
}

static err refuse_foreign(struct fault *f, const struct transfer *t,
                          const struct transfer_mark *mark)
{
    return mark->foreign
               ? refuse(f, t->name,
                        "has another archive than the one that is given: give its own%s",
                        may_be_filled(mark) ? ", or an empty one" : "")
               : E_OK;
}

static err judge_foreign(struct mover *m, struct fault *f)
{
    err e = refuse_foreign(f, m->c->from, &m->from);
    if (e || (m->c->act != MOVER_VERIFY && !may_be_filled(&m->to)))
        return e; /* a target that is not to be replaced has to be empty */
    return refuse_foreign(f, m->c->to, &m->to);
}

/* Of a source that is being moved. A target of the same name without the mark is not the one that was filled, however empty:
 * that one may be whole, and in use elsewhere. */
static err judge_leaving(struct mover *m, struct fault *f)
{
    m->out->whole = has_all(&m->to, &m->from);
    if (m->out->whole || is_filled_for(&m->to, &m->from))
        return E_OK;
    return is_named(to_name(m), m->from.other)
               ? refuse(f, said_whole(m, m->from.other),
                        "is not the store that this move filled: give that one; when no "
                        "service uses it, nor will, give the move up with --abandon --gone")
               : refuse(f, m->c->from->name,
                        "is being moved to %.110s: give that one, or give it up with --abandon",
                        said_whole(m, m->from.other));
}

static err judge(struct mover *m, struct fault *f)
{
    const struct transfer_mark *from = &m->from;
    err e = judge_foreign(m, f);
    if (e)
        return e;
    m->fresh = !transfer_holds(from->state);
    if (m->fresh && m->c->check)
        e = m->c->check(m->c->ctx, f);
    if (e)
        return e;
    if (m->fresh)
        return m->c->to ? judge_fresh(m, f) : E_OK;
    if (from->state == TRANSFER_ARRIVING)
        return refuse_unfinished(m, m->c->from->name, from, f);
    if (from->state == TRANSFER_LEAVING)
        return judge_leaving(m, f);
    m->out->already = has_all(&m->to, from);
    return m->out->already ? E_OK
                           : refuse(f, m->c->from->name, "was moved to %.80s already",
                                    said_whole(m, from->other));
}

static err read_marks(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    err e = from ? from->ops->alone(from, f) : E_OK;
    if (!e && to)
        e = to->ops->alone(to, f);
    if (!e && from)
        e = from->ops->mark(from, &m->from, f);
    return e || !to ? e : to->ops->mark(to, &m->to, f);
}

/* ---- moving ---- */

static err put_mark(struct transfer *t, struct transfer_mark *mark, enum transfer_state state,
                    const char *other, wall now, struct fault *f)
{
    mark->state = state;
    mark->at_ms = now.ms;
    if (state == TRANSFER_CAME)
        memcpy(mark->came, mark->id, sizeof mark->came);
    span_copy(span_of(other), mark->other, sizeof mark->other);
    return t->ops->set_mark(t, mark, f);
}

/* What it holds goes. */
static err mark_arriving(struct mover *m, struct fault *f)
{
    m->to.kind = -1;
    m->to.came[0] = '\0';
    return put_mark(m->c->to, &m->to, TRANSFER_ARRIVING, m->c->from->name, m->c->now, f);
}

/* Both are marked before the first row goes. The target first: it still says where it came from, or that it is empty. A
 * marked source is not started any more: what ran there is given back before, and what came in between behind it. */
static err begin(struct mover *m, struct fault *f)
{
    struct transfer *from = m->c->from, *to = m->c->to;
    err e = E_OK;
    if (m->fresh) {
        id_make(m->to.id, "mov", m->c->now, m->c->random);
        e = from->ops->settle(from, false, f);
        if (!e)
            e = mark_arriving(m, f);
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
    if (m->out->whole)
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
    memcpy(m->out->id, m->to.id, sizeof m->out->id);
    m->to.kind = -1;
    m->to.came[0] = '\0';
    if (!e)
        e = to->ops->set_mark(to, &m->to, f);
    if (!e)
        e = to->ops->clear(to, f);
    return e ? e : put_mark(to, &m->to, TRANSFER_NONE, "", m->c->now, f);
}

/* Only the target's mark tells that it is not whole: an empty store in its place does not. Without the mark, nobody but a person;
 * and nobody else when it was whole, and what it had is gone. */
static err vouch(struct mover *m, struct fault *f)
{
    bool left = m->from.state == TRANSFER_LEFT;
    if (!is_named(to_name(m), m->from.other))
        return refuse(f, m->c->from->name, "%s moved to %.110s, not to %.30s: give that one",
                      left ? "was" : "is being", said_whole(m, m->from.other), to_name(m));
    if (m->c->gone)
        return E_OK;
    return refuse(f, said_whole(m, m->from.other),
                  "%s: when no service uses what was moved there, nor will, add --gone",
                  m->c->to ? "is not the store that this move filled" : "cannot be looked at");
}

/* The source's mark goes first: a target that is still marked says of itself, to who gives it up again, what is to be done with
 * it. One without a mark would say nothing. */
static err abandon_source(struct mover *m, struct fault *f)
{
    if (has_all(&m->to, &m->from))
        return refuse(f, m->c->to->name,
                      m->from.state == TRANSFER_LEFT
                          ? "has all of it and may be in use: move it back from there"
                          : "has all of it and may be in use: the same move again, without "
                            "--abandon, ends it");
    bool filled = m->c->to && is_filled_for(&m->to, &m->from);
    err e = filled ? refuse_foreign(f, m->c->to, &m->to) : vouch(m, f);
    memcpy(m->out->id, m->from.id, sizeof m->out->id);
    if (!e)
        e = put_mark(m->c->from, &m->from, TRANSFER_NONE, "", m->c->now, f);
    return e || !filled ? e : abandon_target(m, f);
}

/* Of a source that is in use, or gone for good: what was to be filled from it. */
static err abandon(struct mover *m, struct fault *f)
{
    if (!m->c->from && !m->c->to)
        return fail(f, E_STORE, "neither store can be looked at: nothing was done");
    if (m->from.state == TRANSFER_LEAVING || m->from.state == TRANSFER_LEFT)
        return abandon_source(m, f);
    if (m->from.state == TRANSFER_ARRIVING)
        return refuse_unfinished(m, from_name(m), &m->from, f);
    if (!m->c->to || m->to.state != TRANSFER_ARRIVING)
        return refuse(f, from_name(m), "is not being moved: there is nothing to abandon");
    if (!is_named(from_name(m), m->to.other))
        return refuse(f, to_name(m),
                      "is being filled from %.110s, not from %.30s: give that one",
                      said_whole(m, m->to.other), from_name(m));
    if (!m->c->from && !m->c->gone)
        return refuse(f, from_name(m),
                      "cannot be looked at: when it is gone for good, add --gone");
    return abandon_target(m, f);
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
        return e || m->out->already || m->out->whole ? e : look(m, f);
    case MOVER_VERIFY:
        e = judge_foreign(m, f);
        return e ? e : compare(m, f);
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

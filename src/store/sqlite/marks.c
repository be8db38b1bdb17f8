/* marks.c - how far a target was read: the newest posts that its jobs have brought. A mark outlives the
 * jobs; it moves with the end of a job, in the same transaction. */
#include "store/sqlite/inside.h"

#include "base/need.h"

enum { TEXT_MAX = 48 * 1024, LINE_MOST = 600 };

struct mark {
    int64_t newest_ms;
    size_t count;
    struct span ids[STORE_MARK_POSTS]; /* in lines */
    struct buf lines;                  /* "created_ms id\n", newest first */
};

static bool has(const struct mark *m, struct span id)
{
    for (size_t i = 0; i < m->count; i++)
        if (span_eq(m->ids[i], id))
            return true;
    return false;
}

/* Within the bounds: a few hundred long ids must not fill a frame. */
static void add(struct mark *m, int64_t created_ms, struct span id)
{
    if (m->count == STORE_MARK_POSTS || !id.n || id.n > LINE_MOST || has(m, id) ||
        m->lines.n + id.n + 32 > TEXT_MAX || span_find_char(id, '\n') < id.n)
        return;
    buf_fmt(&m->lines, "%lld ", (long long)created_ms);
    size_t at = m->lines.n;
    buf_add(&m->lines, id);
    m->ids[m->count++] = (struct span){m->lines.p + at, id.n};
    buf_add_char(&m->lines, '\n');
}

/* A post may say that it is of tomorrow; then all that comes today would be older than known. */
static void note_time(struct mark *m, int64_t created_ms, wall now)
{
    int64_t ms = created_ms < now.ms ? created_ms : now.ms;
    m->newest_ms = ms > m->newest_ms ? ms : m->newest_ms;
}

/* The job's posts in the order of the list: where that is the order of time, newest first. */
static err add_new(struct store *s, const struct job_row *r, wall now, struct mark *m,
                   struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_MARK_POSTS, &q, f, DB_I(r->seq), DB_I(STORE_MARK_POSTS));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        note_time(m, db_int(q, 1), now);
        add(m, db_int(q, 1), db_text(q, 0));
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err add_old(struct store *s, const struct job_row *r, wall now, struct mark *m,
                   struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_MARK, &q, f, DB_I(r->seq));
    if (e)
        return e;
    e = db_step(q, f);
    struct span text = e ? SPAN_NONE : db_text(q, 0), line, first;
    int64_t ms = 0;
    if (span_next(&text, '\n', &line) && span_int(line, &ms))
        note_time(m, ms, now);
    while (span_next(&text, '\n', &line))
        if (span_next(&line, ' ', &first) && span_int(first, &ms))
            add(m, ms, line);
    db_end(q);
    return e == E_END ? E_OK : e;
}

err marks_move(struct store *s, const struct job_row *r, wall now, struct fault *f)
{
    struct mark *m = heap_get(sizeof *m);
    struct buf text = BUF(TEXT_MAX + 64);
    *m = (struct mark){.lines = BUF(TEXT_MAX)};
    (void)buf_room(&m->lines, TEXT_MAX); /* never moves: ids point into it */
    err e = add_new(s, r, now, m, f);
    if (!e)
        e = add_old(s, r, now, m, f);
    buf_fmt(&text, "%lld\n", (long long)m->newest_ms);
    buf_add(&text, buf_span(&m->lines));
    if (!e && m->count)
        e = db_run(s->db, SQL_MARK_MOVE, f, DB_I(r->seq), DB_T(buf_span(&text)), DB_I(now.ms));
    buf_free(&text);
    buf_free(&m->lines);
    free(m);
    return e;
}

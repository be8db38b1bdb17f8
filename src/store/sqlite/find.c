/* find.c - jobs by a filter: in the order in which they were accepted, or ended. */
#include "store/sqlite/inside.h"

#include "base/need.h"

enum { COLUMN_NUMBER = 0, COLUMN_ID = 1, COLUMN_ENDED = 11 };

void find_read(struct query *q, struct jobs_facts *out)
{
    *out = (struct jobs_facts){
        .state = (enum job_state)db_int(q, 2),
        .failure = (enum failure_class)db_int(q, 3),
        .site = db_text(q, 4),
        .kind = db_text(q, 5),
        .target = db_text(q, 6),
        .lane = db_text(q, 7),
        .created_ms = db_int(q, 8),
        .held = db_int(q, 9) == STORE_HELD_MS && db_int(q, 2) <= JOB_SCHEDULED,
        .spec = db_text(q, 10),
    };
}

/* The one state that is wanted; −1: several, or any. */
static int only_state(unsigned states)
{
    for (int i = 0; i < JOB_STATES; i++)
        if (states == 1U << i)
            return i;
    return -1;
}

err find_ask(struct store *s, const struct jobs_filter *by, bool oldest_first, int64_t place,
             int64_t most, struct query **out, struct fault *f)
{
    int state = only_state(by->states);
    if (state < 0)
        return db_ask(s->db, oldest_first ? SQL_FIND_OLD : SQL_FIND_NEW, out, f, DB_I(place),
                      DB_I(most));
    return db_ask(s->db, oldest_first ? SQL_FIND_OLD_IN_STATE : SQL_FIND_NEW_IN_STATE, out, f,
                  DB_I(place), DB_I(most), DB_I(state));
}

/* ---- a walk: along one index, or along that of dead jobs and that of the other ended ones side by side ---- */

enum { WALK_FIRST, WALK_DEAD, WALKS };
struct walk {
    struct query *q[WALKS]; /* NULL: it is not one of the walk */
    bool has[WALKS];        /* it is at a job */
    bool up;
};

static err walk_step(struct walk *w, int which, struct fault *f)
{
    err e = db_step(w->q[which], f);
    w->has[which] = e == E_OK;
    return e == E_END ? E_OK : e;
}

/* Whose job is next; −1: there is none. Of the same moment the dead ones are behind the others. */
static int walk_next(const struct walk *w)
{
    if (!w->has[WALK_FIRST] || !w->has[WALK_DEAD])
        return w->has[WALK_FIRST] ? WALK_FIRST : w->has[WALK_DEAD] ? WALK_DEAD : -1;
    int64_t ended = db_int(w->q[WALK_FIRST], COLUMN_ENDED),
            died = db_int(w->q[WALK_DEAD], COLUMN_ENDED);
    return (w->up ? died < ended : died >= ended) ? WALK_DEAD : WALK_FIRST;
}

static void walk_close(struct walk *w)
{
    for (int i = 0; i < WALKS; i++)
        if (w->q[i])
            db_end(w->q[i]);
}

/* ---- by when they ended ---- */

/* As the indexes have it: jobs_kept by end, bytes and number, jobs_dead by end and number. */
struct ended {
    int64_t at, bytes, seq;
    bool dead;
};

/* The very beginning, or that of a millisecond. */
static struct ended edge(bool up, int64_t at)
{
    int64_t last = up ? INT64_MIN : INT64_MAX;
    return (struct ended){.at = at, .bytes = last, .seq = last, .dead = !up};
}

static err start_by_end(struct store *s, const struct jobs_find *find, struct ended *out,
                        struct fault *f)
{
    struct query *q;
    bool up = find->oldest_first;
    *out = edge(up, up ? INT64_MIN : INT64_MAX);
    if (!find->after.n)
        return E_OK;
    err e = db_ask(s->db, SQL_ENDED, &q, f, DB_T(find->after));
    if (e)
        return e;
    e = db_step(q, f);
    struct ended is = {0};
    if (!e)
        is = (struct ended){db_int(q, 0), db_int(q, 2), db_int(q, 3), db_int(q, 1) != 0};
    db_end(q);
    if (e && e != E_END)
        return e;
    if (is.at && (!find->after_ended_ms || is.at == find->after_ended_ms))
        *out = is;
    else if (find->after_ended_ms)
        *out = edge(up, find->after_ended_ms);
    else if (e)
        return asked_no_after(find->after, f);
    else
        return asked_after_runs(find->after, f);
    return E_OK;
}

static err walk_by_end(struct store *s, const struct jobs_find *find, const struct ended *from,
                       struct walk *w, struct fault *f)
{
    unsigned states = find->filter.states ? find->filter.states : ~0U, dead = 1U << JOB_DEAD,
             other = 1U << JOB_SUCCEEDED | 1U << JOB_CANCELLED | 1U << JOB_EXPIRED;
    err e = E_OK;
    if (states & other)
        e = db_ask(s->db, w->up ? SQL_FIND_ENDED_OLD : SQL_FIND_ENDED_NEW, &w->q[WALK_FIRST], f,
                   DB_I(from->at), DB_I(from->dead ? INT64_MAX : from->bytes),
                   DB_I(from->dead ? INT64_MAX : from->seq), DB_I(FIND_LOOKS));
    if (!e && (states & dead))
        e = db_ask(s->db, w->up ? SQL_FIND_DEAD_OLD : SQL_FIND_DEAD_NEW, &w->q[WALK_DEAD], f,
                   DB_I(from->at), DB_I(from->dead ? from->seq : INT64_MIN), DB_I(FIND_LOOKS));
    return e;
}

/* ---- what is found ---- */

static err walk_open(struct store *s, const struct jobs_find *find, struct walk *w,
                     struct fault *f)
{
    struct ended ended = {.at = 0};
    int64_t place = find->oldest_first ? 0 : INT64_MAX;
    err e = E_OK;
    if (find->by_end)
        e = start_by_end(s, find, &ended, f);
    else if (find->after_number)
        place = find->after_number;
    else
        e = job_views_start(s, find->after, &place, f);
    if (!e && find->by_end)
        e = walk_by_end(s, find, &ended, w, f);
    else if (!e)
        e = find_ask(s, &find->filter, find->oldest_first, place, FIND_LOOKS, &w->q[WALK_FIRST],
                     f);
    for (int i = 0; !e && i < WALKS; i++)
        if (w->q[i])
            e = walk_step(w, i, f);
    return e;
}

static void pass_by(const struct jobs_filter *by, const struct jobs_facts *job,
                    struct jobs_found *out)
{
    out->looked += !by->states || by->states & 1U << job->state;
    if (!out->oldest_ms || job->created_ms < out->oldest_ms)
        out->oldest_ms = job->created_ms;
    if (job->created_ms > out->newest_ms)
        out->newest_ms = job->created_ms;
}

/* The ids of those that match, and where to go on. */
static err find_ids(struct walk *w, const struct jobs_find *find, char (*ids)[ID_TEXT],
                    struct jobs_found *out, struct fault *f)
{
    int which, steps = 0;
    err e = E_OK;
    for (; !e && out->count < find->limit && steps < FIND_LOOKS && (which = walk_next(w)) >= 0;
         steps++) {
        struct jobs_facts facts;
        find_read(w->q[which], &facts);
        span_copy(db_text(w->q[which], COLUMN_ID), out->next, sizeof out->next);
        out->next_ended_ms = db_int(w->q[which], COLUMN_ENDED);
        out->next_number = db_int(w->q[which], COLUMN_NUMBER);
        pass_by(&find->filter, &facts, out);
        if (jobs_filter_matches(&find->filter, &facts))
            memcpy(ids[out->count++], out->next, sizeof *ids);
        e = walk_step(w, which, f);
    }
    if (!e && walk_next(w) < 0 && steps < FIND_LOOKS)
        out->next[0] = '\0';
    return e;
}

/* What fits is answered; the reader goes on after the last one. */
static err show_found(struct store *s, char (*ids)[ID_TEXT], wall now, struct arena *a,
                      struct jobs_found *out, struct fault *f)
{
    for (size_t i = 0; i < out->count; i++) {
        err e = job_view_find(s, span_of(ids[i]), now, a, &out->jobs[i], i ? NULL : f);
        if (e == E_TOO_BIG && i) {
            out->count = i;
            memcpy(out->next, ids[i - 1], sizeof out->next);
            out->next_ended_ms = out->jobs[i - 1].finished_ms;
            out->next_number = out->jobs[i - 1].number;
            break;
        }
        if (e)
            return e;
    }
    reader_unsure(s, a, out->jobs, out->count);
    return E_OK;
}

err sqlite_jobs_find(struct store *s, const struct jobs_find *q, wall now, struct arena *a,
                     struct jobs_found *out, struct fault *f)
{
    need(q->limit >= 1 && q->limit <= FIND_MOST);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct walk w = {.up = q->oldest_first};
    struct jobs_found found = {.jobs = arena_try(a, q->limit * sizeof *found.jobs)};
    char(*ids)[ID_TEXT] = arena_try(a, q->limit * sizeof *ids);
    if (!found.jobs || !ids)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = asked_filter(&q->filter, f);
    if (!e)
        e = walk_open(s, q, &w, f);
    if (!e)
        e = find_ids(&w, q, ids, &found, f);
    walk_close(&w);
    if (!e && !q->only_count)
        e = show_found(s, ids, now, a, &found, f);
    if (!e)
        *out = found;
    return e;
}

#include "base/json.h"

#include "store/sqlite/inside.h"

#include "base/need.h"

struct json_w event_open(struct store *s)
{
    buf_clear(&s->scratch);
    struct json_w w = json_w(&s->scratch);
    json_open(&w);
    return w;
}

struct json_w event_body(struct store *s, enum job_state state)
{
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "state", job_state_name(state));
    return w;
}

/* Events that are about no job have no number. */
static err next_number(struct store *s, const char *job, int64_t *out, struct fault *f)
{
    struct query *q;
    if (!*job)
        return E_OK;
    err e = db_ask(s->db, SQL_EVENT_NUMBER, &q, f, DB_T(span_of(job)));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err close_body(struct store *s, const char *kind, struct json_w *body, struct span *out,
                      struct fault *f)
{
    json_close(body);
    err e = buf_end(&s->scratch, out);
    return e ? fail(f, e, "event %s does not fit", kind) : E_OK;
}

err event_add_counted(struct store *s, const char *job, const char *kind, wall now,
                      struct json_w *body, struct fault *f)
{
    struct span text;
    err e = close_body(s, kind, body, &text, f);
    if (!e)
        e = db_run(s->db, SQL_EVENT_COUNTED, f, DB_T(span_of(job)), DB_T(span_of(kind)),
                   DB_I(now.ms), DB_T(text));
    if (!e)
        s->now.last_event = db_last_row(s->db);
    return e;
}

err event_add(struct store *s, const char *job, const char *kind, wall now, struct json_w *body,
              struct fault *f)
{
    struct span text;
    int64_t number = 0;
    err e = close_body(s, kind, body, &text, f);
    if (!e)
        e = next_number(s, job, &number, f);
    if (!e)
        e = db_run(s->db, SQL_EVENT_ADD, f, DB_T(span_of(job)), DB_I(number),
                   DB_T(span_of(kind)), DB_I(now.ms), DB_T(text));
    if (e)
        return e;
    s->now.last_event = db_last_row(s->db);
    return E_OK;
}

err sqlite_events(struct store *s, int64_t after, struct span job, size_t limit,
                  struct arena *a, struct event_view **out_events, size_t *out_count,
                  struct fault *f)
{
    need(limit > 0 && limit <= 10000);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct event_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    struct query *q;
    size_t n = 0;
    err e = job.n ? db_ask(s->db, SQL_EVENTS_OF_JOB, &q, f, DB_I(after), DB_I(limit), DB_T(job))
                  : db_ask(s->db, SQL_EVENTS, &q, f, DB_I(after), DB_I(limit));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        struct event_view *v = &all[n];
        v->seq = db_int(q, 0);
        v->at_ms = db_int(q, 1);
        v->number = db_int(q, 5);
        e = db_keep(q, 2, a, &v->job, n ? NULL : f);
        if (!e)
            e = db_keep(q, 3, a, &v->kind, n ? NULL : f);
        if (!e)
            e = db_keep(q, 4, a, &v->body, n ? NULL : f);
        if (e)
            break;
        n++;
    }
    db_end(q);
    /* What fits is answered; the reader goes on after the last one. */
    if (e != E_END && !(e == E_TOO_BIG && n > 0))
        return e;
    *out_events = all;
    *out_count = n;
    return E_OK;
}

int64_t sqlite_last_event(struct store *s)
{
    return s->now.last_event;
}

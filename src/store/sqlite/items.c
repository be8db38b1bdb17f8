/* items.c - results: a batch of records with its cursor, in one transaction; reading them back.
 */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

struct tallying {
    int64_t have, users, added, rejected, conflicts, bytes;
    int64_t most; /* records the job may have; 0 = any number */
};

/* Whether this job has read this record before, in an earlier batch or attempt. */
static err has_item(struct store *s, const struct job_row *r, const struct store_item *it,
                    bool *out_has, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_ITEM_FIND, &q, f, DB_I(r->seq), DB_I(it->kind), DB_T(it->id));
    if (e)
        return e;
    e = db_step(q, f);
    *out_has = e == E_OK;
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* The first reading of a record stands: a pinned post that comes again in the flow of a later
 * attempt must not lose its pin. Each job keeps its own readings: counts and places are what that
 * job saw, and another job's reading never changes them. */
static err put_item(struct store *s, const struct job_row *r, const struct store_item *it,
                    int64_t ord, struct tallying *t, struct fault *f)
{
    bool has;
    err e = has_item(s, r, it, &has, f);
    if (e || has)
        return e;
    bool counted = it->kind == r->counts;
    if (counted && t->most > 0 && t->have >= t->most)
        return E_OK;
    e = db_run(s->db, SQL_ITEM_ADD, f, DB_I(r->seq), DB_T(span_of(r->site)), DB_I(it->kind),
               DB_T(it->id), DB_I(it->created_ms), DB_T(it->json));
    if (e)
        return e;
    t->bytes += (int64_t)it->json.n;
    t->have += counted;
    t->added += counted;
    t->users += it->kind == ITEM_USER;
    t->rejected += it->kind == ITEM_REJECTED;
    t->conflicts += it->kind == ITEM_CONFLICT;
    return db_run(s->db, SQL_ITEM_LINK, f, DB_I(r->seq), DB_I(ord), DB_I(db_last_row(s->db)));
}

static err write_batch(struct store *s, const struct job_row *r, const struct commit_args *a,
                       wall now, struct tallying *t, struct fault *f)
{
    for (size_t i = 0; i < a->count; i++) {
        err e = put_item(s, r, &a->items[i], a->batch * ORD_PER_BATCH + (int64_t)i, t, f);
        if (e)
            return e;
    }
    err e = db_run(s->db, SQL_COMMIT, f, DB_I(r->seq), db_text_or_null(a->cursor),
                   DB_I(t->have), DB_I(t->users), DB_I(t->added > 0 ? r->n_fail : r->fail_base),
                   DB_I(t->added > 0 ? r->n_crash : r->crash_base),
                   DB_I(t->added > 0 || r->progressed),
                   DB_I(t->added > 0 ? r->n_release : r->release_base), DB_I(a->filtered),
                   DB_I(t->bytes), DB_I(1));
    if (!e && (t->rejected || t->conflicts))
        e = db_run(s->db, SQL_APART, f, DB_I(r->seq), DB_I(t->rejected), DB_I(t->conflicts));
    if (!e)
        e = field_counts_add(s, span_of(r->site), a->counts, now, f);
    if (e)
        return e;
    struct json_w w = event_body(s, JOB_ACTIVE);
    json_kv_int(&w, "batch", a->batch);
    json_kv_int(&w, "added", t->added);
    json_kv_int(&w, "have", t->have);
    json_kv_int(&w, "users", t->users);
    return event_add_counted(s, r->id, "job.progress", now, &w, f);
}

err sqlite_commit_batch(struct store *s, const struct commit_args *args, wall now,
                        struct commit_reply *out, struct fault *f)
{
    struct job_row r;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_held(s, args->id, args->nonce, &r, f);
    if (e)
        return e;
    if (args->batch == r.next_batch - 1) {
        *out = (struct commit_reply){.duplicate = true, .have = r.have};
        return E_OK;
    }
    if (args->batch != r.next_batch)
        return fail(f, E_CONFLICT, "batch %lld of job %s is not the next one, %lld",
                    (long long)args->batch, r.id, (long long)r.next_batch);
    e = asked_batch(args, r.counts, f);
    if (e)
        return e;
    if (s->disk_full)
        return fail(f, E_DISK_FULL, "no space left for the records of job %s", r.id);
    struct tallying t = {
        .have = r.have, .users = r.users, .most = asked_least(args->limit, r.limit)};
    e = write_batch(s, &r, args, now, &t, f);
    if (e)
        return e;
    *out = (struct commit_reply){
        .added = t.added, .have = t.have, .rejected = t.rejected, .conflicts = t.conflicts};
    return E_OK;
}

/* ---- reading ---- */

/* The job whose items are those of `id`; a result may be shared. */
static err items_owner(struct store *s, struct span id, int64_t *out_seq, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_ITEMS_OF, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    *out_seq = e == E_OK ? db_int(q, 0) : 0;
    db_end(q);
    return e == E_END ? fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)))
                      : e;
}

err items_job(struct store *s, struct span id, int64_t *out_seq, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_SEQ, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    *out_seq = e == E_OK ? db_int(q, 0) : 0;
    db_end(q);
    return e == E_END ? fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)))
                      : e;
}

err sqlite_items(struct store *s, struct span id, int kind, int64_t after, size_t limit,
                 size_t bytes_max, struct arena *a, struct item_view **out_items,
                 size_t *out_count, struct fault *f)
{
    need(limit > 0 && limit <= 10000);
    int64_t seq;
    struct query *q;
    size_t n = 0, bytes = 0;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = items_owner(s, id, &seq, f);
    if (e)
        return e;
    struct item_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    e = db_ask(s->db, SQL_ITEMS, &q, f, DB_I(seq), DB_I(after), DB_I(kind), DB_I(limit));
    if (e)
        return e;
    while ((n == 0 || bytes < bytes_max) && (e = db_step(q, f)) == E_OK) {
        struct item_view *v = &all[n];
        v->ord = db_int(q, 0);
        v->kind = (enum item_kind)db_int(q, 1);
        e = db_keep(q, 2, a, &v->id, n ? NULL : f);
        if (!e)
            e = db_keep(q, 3, a, &v->json, n ? NULL : f);
        if (e)
            break;
        bytes += v->json.n;
        n++;
    }
    db_end(q);
    /* What fits is answered; the reader goes on after the last one. */
    if (e && e != E_END && !(e == E_TOO_BIG && n > 0))
        return e;
    *out_items = all;
    *out_count = n;
    return E_OK;
}

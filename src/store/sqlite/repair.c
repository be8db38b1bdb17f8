/* repair.c - records that were read again from a dead job's evidence become its result. */
#include "store/evidence.h"
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

struct facts { /* of the job's row */
    int64_t revision, n_void;
    enum failure_class failure;
};

static err read_facts(struct store *s, int64_t job, struct facts *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_JOB_FACTS, &q, f, DB_I(job));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        *out = (struct facts){.revision = db_int(q, 0),
                              .failure = (enum failure_class)db_int(q, 1),
                              .n_void = db_int(q, 2)};
    db_end(q);
    return e;
}

static err check(const struct repair_args *a, const struct job_row *r,
                 const struct facts *facts, struct fault *f)
{
    if (r->state != JOB_DEAD)
        return fail(f, E_CONFLICT, "job %s is %s; only a dead one can be repaired", r->id,
                    job_state_name(r->state));
    if (a->revision != facts->revision)
        return fail(f, E_CONFLICT, "job %s has changed meanwhile", r->id);
    return asked_repair(a, f);
}

/* *out_iid 0: the job does not have it. */
static err find_item(struct store *s, const struct job_row *r, const struct store_item *it,
                     int64_t *out_iid, bool *out_same, int64_t *out_bytes, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_ITEM_READ, &q, f, DB_I(r->seq), DB_I(it->kind), DB_T(it->id));
    if (e)
        return e;
    e = db_step(q, f);
    *out_iid = e ? 0 : db_int(q, 0);
    *out_same = !e && span_eq(db_text(q, 1), it->json);
    *out_bytes = e ? 0 : (int64_t)db_text(q, 1).n;
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err add_item(struct store *s, const struct job_row *r, const struct store_item *it,
                    int64_t ord, struct fault *f)
{
    err e = db_run(s->db, SQL_ITEM_ADD, f, DB_I(r->seq), DB_T(span_of(r->site)), DB_I(it->kind),
                   DB_T(it->id), DB_I(it->created_ms), DB_T(it->json));
    return e ? e
             : db_run(s->db, SQL_ITEM_LINK, f, DB_I(r->seq), DB_I(ord),
                      DB_I(db_last_row(s->db)));
}

static err put_items(struct store *s, struct job_row *r, const struct repair_args *a,
                     struct repair_reply *out, struct fault *f)
{
    int64_t before = r->bytes;
    for (size_t i = 0; i < a->count; i++) {
        const struct store_item *it = &a->items[i];
        int64_t iid, old_bytes;
        bool same;
        err e = find_item(s, r, it, &iid, &same, &old_bytes, f);
        if (e)
            return e;
        if (iid && !same) {
            e = db_run(s->db, SQL_ITEM_REPLACE, f, DB_I(iid), DB_T(it->json),
                       DB_I(it->created_ms));
            r->bytes += (int64_t)it->json.n - old_bytes;
            out->replaced++;
        } else if (!iid && !(it->kind == r->counts && r->limit > 0 && r->have >= r->limit)) {
            e = add_item(s, r, it, r->next_batch * ORD_PER_BATCH + (int64_t)i, f);
            r->have += it->kind == r->counts;
            r->users += it->kind == ITEM_USER;
            r->bytes += (int64_t)it->json.n;
            out->added++;
        }
        if (e)
            return e;
    }
    out->have = r->have;
    return db_run(s->db, SQL_COMMIT, f, DB_I(r->seq), DB_NULL, DB_I(r->have), DB_I(r->users),
                  DB_I(r->fail_base), DB_I(r->crash_base), DB_I(r->progressed),
                  DB_I(r->release_base), DB_I(0), DB_I(r->bytes - before), DB_I(0));
}

/* Every lease is accounted for exactly once: the one whose answers were read again counts as the one
 * that went well, and no longer as what ended the job. */
static err succeed(struct store *s, const struct job_row *r, const struct repair_args *a,
                   const struct facts *facts, wall now, struct fault *f)
{
    enum { FAIL, CRASH, THROTTLE, RELEASE, VOID, COUNTERS };
    const int64_t had[COUNTERS] = {r->n_fail, r->n_crash, r->n_throttle, r->n_release,
                                   facts->n_void};
    int64_t less[COUNTERS] = {0};
    enum failure_budget budget = failure_row(facts->failure)->budget;
    int from = budget == BUDGET_CRASH      ? CRASH
               : budget == BUDGET_THROTTLE ? THROTTLE
               : budget == BUDGET_RELEASE  ? RELEASE
                                           : FAIL;
    for (int i = 0; had[from] == 0 && i < COUNTERS; i++)
        from = (from + 1) % COUNTERS;
    if (had[from] == 0)
        return fail(f, E_CONFLICT, "job %s never ran", r->id);
    less[from] = 1;
    struct buf why = BUF(256);
    buf_fmt(&why, "read again from its evidence; it had ended as %s",
            failure_name(facts->failure));
    err e = db_run(s->db, SQL_REPAIR, f, DB_I(r->seq), DB_I(a->verdict), DB_I(a->end),
                   DB_T(buf_span(&why)), db_text_or_null(a->report), DB_I(less[FAIL]),
                   DB_I(less[CRASH]), DB_I(less[THROTTLE]), DB_I(less[RELEASE]),
                   DB_I(less[VOID]), DB_I(now.ms));
    buf_free(&why);
    if (e)
        return e;
    enum job_state to = r->state;
    need(job_move(&to, JOB_ON_REPAIR));
    lanes_count(s, r->lane, r->needs, r->state, to, now.ms);
    s->now.kept_bytes += r->bytes;
    struct json_w w = event_body(s, to);
    json_kv_cstr(&w, "verdict", verdict_name(a->verdict));
    json_kv_cstr(&w, "end", end_reason_name(a->end));
    json_kv_cstr(&w, "was", failure_name(facts->failure));
    json_kv_int(&w, "have", r->have);
    e = webhooks_call_back(s, r, &w, f);
    if (!e)
        e = event_add(s, r->id, "job.repaired", now, &w, f);
    return e ? e : job_follow_up(s, r->seq, now, f);
}

err sqlite_repair(struct store *s, const struct repair_args *args, wall now,
                  struct repair_reply *out, struct fault *f)
{
    struct job_row r;
    struct facts facts = {0};
    struct repair_reply reply = {0};
    err e = store_usable(s, f);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (!e)
        e = read_facts(s, r.seq, &facts, f);
    if (!e)
        e = check(args, &r, &facts, f);
    if (!e && s->disk_full)
        e = fail(f, E_DISK_FULL, "no space left for the records of job %s", r.id);
    if (!e)
        e = put_items(s, &r, args, &reply, f);
    if (!e && args->done)
        e = succeed(s, &r, args, &facts, now, f);
    if (!e)
        *out = reply;
    return e;
}

/* replay.c - an ended job comes back (T18): the same id, the same records, a new generation. */
#include "store/dead.h"
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

struct facts {
    int64_t generation, batch;
};

static err read_facts(struct store *s, int64_t seq, struct facts *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_REPLAY_FACTS, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        *out = (struct facts){.generation = db_int(q, 0), .batch = db_int(q, 1)};
    db_end(q);
    return e;
}

/* The one place that says no. A job with a unique key may come back only when no live job has that
 * key (core/unique.h; I10): this is where that is looked up, and where E_CONFLICT names the live
 * one. */
static err may_return(struct store *s, const struct job_row *r, enum job_state *out_to,
                      struct fault *f)
{
    *out_to = r->state;
    if (!job_move(out_to, JOB_ON_REPLAY))
        return fail(f, E_CONFLICT,
                    "job %s is %s; only one that is dead, cancelled or expired can be retried",
                    r->id, job_state_name(r->state));
    return jobs_room(s, f);
}

err store_replay(struct store *s, const struct replay_args *args, wall now,
                 struct replay_reply *out, struct fault *f)
{
    struct job_row r;
    struct facts facts = {0};
    enum job_state to;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (!e)
        e = may_return(s, &r, &to, f);
    if (!e)
        e = read_facts(s, r.seq, &facts, f);
    if (e)
        return e;
    e = db_run(s->db, SQL_REPLAY, f, DB_I(r.seq), DB_I(lane_rank(now.ms, (int)r.prio)),
               DB_I(now.ms), DB_I(args->reset));
    if (e)
        return e;
    lanes_count(s, r.lane, r.state, to);
    struct json_w w = event_body(s, to);
    json_kv_cstr(&w, "was", job_state_name(r.state));
    json_kv_int(&w, "generation", facts.generation + 1);
    json_kv_bool(&w, "reset", args->reset);
    json_kv_int(&w, "have", r.have);
    e = event_add(s, r.id, "job.replayed", now, &w, f);
    if (!e)
        *out = (struct replay_reply){.was = r.state, .generation = facts.generation + 1};
    return e;
}

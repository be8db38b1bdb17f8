/* replay.c - an ended job comes back (T18): the same id, the same records, a new generation. */
#include "store/dead.h"
#include "store/sessions.h"
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

enum { KEY_MAX = 256 };

struct facts { /* of the row, besides struct job_row */
    char tenant[LANE_NAME], unique_key[KEY_MAX + 1], site[SITE_NAME], pool[SESSION_NAME];
};

static err read_facts(struct store *s, int64_t seq, struct facts *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_REPLAY_FACTS, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        span_copy(db_text(q, 0), out->tenant, sizeof out->tenant);
        span_copy(db_text(q, 1), out->unique_key, sizeof out->unique_key);
        span_copy(db_text(q, 2), out->site, sizeof out->site);
        span_copy(db_text(q, 3), out->pool, sizeof out->pool);
    }
    db_end(q);
    return e;
}

/* Of one key one job is alive (I10), besides one that waits for it to end. */
static err key_is_free(struct store *s, const struct facts *facts, struct fault *f)
{
    for (int blocked = 0; facts->unique_key[0] && blocked < 2; blocked++) {
        struct job_row live;
        bool found;
        err e = accept_find_live(s, span_of(facts->tenant), span_of(facts->unique_key), blocked,
                                 &live, &found, f);
        if (!e && found)
            e = fail(f, E_CONFLICT, "job %s is about the same work and has not ended; it is %s",
                     live.id, job_state_name(live.state));
        if (e)
            return e;
    }
    return E_OK;
}

/* The one place that says no. */
static err may_return(struct store *s, const struct job_row *r, enum job_state *out_to,
                      wall now, struct fault *f)
{
    struct facts facts = {0};
    *out_to = r->state;
    if (!job_move(out_to, JOB_ON_REPLAY))
        return fail(f, E_CONFLICT,
                    "job %s is %s; only one that is dead, cancelled or expired can be retried",
                    r->id, job_state_name(r->state));
    err e = read_facts(s, r->seq, &facts, f);
    if (!e)
        e = key_is_free(s, &facts, f);
    if (!e)
        e = accept_check(s, r->lane, f);
    return e ? e : accept_check_session(s, span_of(facts.site), span_of(facts.pool), now, f);
}

/* The lane stays what it is. So a job in quarantine comes back there: it ended the life of its worker
 * before, and that it is wanted again says nothing about whether it still does. */
err sqlite_replay(struct store *s, const struct replay_args *args, wall now,
                  struct replay_reply *out, struct fault *f)
{
    struct job_row r;
    enum job_state to;
    err e = store_usable(s, f);
    if (!e)
        e = job_row_find(s, args->id, &r, f);
    if (!e)
        e = may_return(s, &r, &to, now, f);
    if (e)
        return e;
    e = db_run(s->db, SQL_REPLAY, f, DB_I(r.seq), DB_I(lane_rank(now.ms, (int)r.prio)),
               DB_I(now.ms), DB_I(args->reset));
    if (e)
        return e;
    lanes_count(s, r.lane, r.needs, r.state, to, now.ms);
    s->now.kept_bytes -= job_is_kept(r.state) ? r.bytes : 0;
    struct json_w w = event_body(s, to);
    json_kv_cstr(&w, "was", job_state_name(r.state));
    json_kv_int(&w, "generation", r.generation + 1);
    json_kv_bool(&w, "reset", args->reset);
    json_kv_int(&w, "have", r.have);
    e = event_add(s, r.id, "job.replayed", now, &w, f);
    if (!e)
        *out = (struct replay_reply){.was = r.state, .generation = r.generation + 1};
    return e;
}

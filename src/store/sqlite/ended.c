/* ended.c - what follows when a job ends: a dead one gets its fingerprint, its batch looks whether
 * it is complete. One place, so that every way of ending leads through it. */
#include "store/sqlite/inside.h"

#include "core/fingerprint.h"

struct ended {
    int64_t batch;
    enum job_state state;
    char fingerprint[FINGERPRINT_TEXT];
};

static err look(struct store *s, int64_t seq, struct ended *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_ENDED_JOB, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        *out = (struct ended){.batch = db_int(q, 0), .state = (enum job_state)db_int(q, 1)};
        fingerprint_make(db_text(q, 2), db_text(q, 3), (enum failure_class)db_int(q, 4),
                         db_text(q, 5), out->fingerprint);
    }
    db_end(q);
    return e;
}

err job_follow_up(struct store *s, int64_t seq, wall now, struct fault *f)
{
    struct ended ended;
    err e = look(s, seq, &ended, f);
    if (!e && ended.state == JOB_DEAD)
        e = db_run(s->db, SQL_FINGERPRINT, f, DB_I(seq), DB_T(span_of(ended.fingerprint)));
    if (!e && ended.batch)
        e = batches_child_ended(s, ended.batch, ended.state, now, f);
    return e;
}

err job_gone(struct store *s, int64_t seq, enum job_state state, struct fault *f)
{
    struct ended ended;
    err e = look(s, seq, &ended, f);
    if (e || !ended.batch)
        return e;
    bool well = state == JOB_SUCCEEDED;
    return db_run(s->db, SQL_BATCH_GONE, f, DB_I(ended.batch), DB_I(well), DB_I(!well));
}

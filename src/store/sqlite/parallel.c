/* parallel.c - a batch of which only so many jobs are to run at once: each job waits for one that was added
 * before it, so that they form as many rows as may run. A row goes on when its job has ended, however. */
#include "store/batches.h"

#include "store/sqlite/inside.h"

#include "base/need.h"

/* The last job of each row that has not ended. One that came back is in none. */
err parallel_open(struct store *s, int64_t batch, int64_t most, struct parallel *out,
                  struct fault *f)
{
    *out = (struct parallel){.most = (size_t)most};
    need(most >= 0 && most <= BATCH_PARALLEL_MOST);
    for (int state = 0; most && !job_is_final((enum job_state)state); state++) {
        struct query *q;
        err e = db_ask(s->db, SQL_BATCH_TAILS, &q, f, DB_I(batch), DB_I(state), DB_I(most));
        if (e)
            return e;
        while (out->count < out->most && (e = db_step(q, f)) == E_OK)
            out->tails[out->count++] = db_int(q, 0);
        db_end(q);
        if (e && e != E_END)
            return e;
    }
    return E_OK;
}

int64_t parallel_after(const struct parallel *p)
{
    return p->most && p->count == p->most ? p->tails[p->at] : 0;
}

err parallel_added(struct store *s, struct parallel *p, struct span id, struct fault *f)
{
    struct job_row r;
    if (!p->most)
        return E_OK;
    err e = job_row_find(s, id, &r, f);
    if (e || job_is_final(r.state)) /* an earlier result answered it */
        return e;
    if (p->count < p->most) {
        p->tails[p->count++] = r.seq;
        return E_OK;
    }
    p->tails[p->at] = r.seq;
    p->at = (p->at + 1) % p->most;
    return E_OK;
}

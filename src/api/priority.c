/* priority.c - which priority orders would get that name none: what a dry run says. */
#include "api/inside.h"

enum { VIEWS_MAX = 1 << 20 };

struct look {
    struct accept_args *const *jobs;
    size_t count;
    void (*then)(struct call *c);
};

/* On the store's own thread, which knows lanes by heart; nothing is written. */
static err run_look(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct look *look = args;
    struct arena *own = arena_new(VIEWS_MAX);
    struct lane_bounds b;
    const struct accept_args *last = NULL; /* whose lane b is */
    err e = E_OK;
    (void)a;
    for (size_t i = 0; !e && i < look->count; i++) {
        struct accept_args *job = look->jobs[i];
        if (!job->prio_of_lane)
            continue;
        if (!last || !span_eq(last->lane, job->lane)) {
            arena_reset(own);
            e = store_lane_bounds(s, job->lane, now, own, &b, f);
        }
        if (!e)
            job->prio = lane_priority(job->prio, false, b.lane.own.prio);
        last = job;
    }
    arena_free(&own);
    return e;
}

/* Where the queue is away nobody knows, and a node that takes jobs meanwhile says the normal one as well. */
static void on_looked(struct call *c)
{
    const struct look *look = c->op.in.work.args;
    c->op.result = E_OK;
    c->op.fault = (struct fault){0};
    look->then(c);
}

void priorities_look(struct call *c, struct accept_args *const *jobs, size_t count,
                     void (*then)(struct call *c))
{
    struct look *look = arena_new_of(c->op.arena, struct look);
    *look = (struct look){jobs, count, then};
    call_work(c, STORE_WRITE, run_look, look, on_looked);
}

/* hands.c - the workers of a pool as people see them, and what people want of them. */
#include "pool/inside.h"

#include "os/stack.h"

#include "browser/process.h"

bool slot_is_left(const struct slot *s)
{
    return s->wish == WORKER_STOPPED || s->number >= s->pool->wanted;
}

bool slot_takes_jobs(const struct slot *s)
{
    return s->wish == WORKER_WORKS && !slot_is_left(s);
}

void pool_view(const struct pool *p, struct pool_view *out)
{
    *out = (struct pool_view){0};
    for (int i = 0; i < p->config.workers; i++) {
        enum slot_state st = p->slots[i].state;
        bool empty = st == SLOT_EMPTY && !slot_is_left(&p->slots[i]);
        out->starting += empty || st == SLOT_STARTING;
        out->idle += st == SLOT_IDLE || st == SLOT_RESERVING;
        out->busy += st == SLOT_OPENING || st == SLOT_RUNNING;
        out->stopping += st == SLOT_STOPPING || st == SLOT_ENDING;
    }
}

static const char *hold_of(const struct slot *s)
{
    if (s->wish == WORKER_STOPPED)
        return "stopped";
    if (s->number >= s->pool->wanted)
        return "scaled_in";
    return s->wish == WORKER_QUIET ? "quiet" : NULL;
}

static void view_slot(const struct slot *s, struct worker_view *out)
{
    mono now = loop_now(s->pool->loop);
    *out = (struct worker_view){.number = s->number + 1,
                                .state = slot_state_name(s->state),
                                .hold = hold_of(s),
                                .pid = s->pid,
                                .jobs_served = s->jobs_served};
    if (!slot_has_job(s))
        return;
    memcpy(out->job, s->lease.id, sizeof out->job);
    memcpy(out->step, s->step, sizeof out->step);
    out->attempt = s->lease.attempt;
    out->running_ms = s->started.ms ? now.ms - s->started.ms : 0;
    out->has_page = s->tab_open;
}

size_t pool_workers(const struct pool *p, struct worker_view *out, size_t most)
{
    size_t n = 0;
    for (; n < most && n < (size_t)p->config.workers; n++)
        view_slot(&p->slots[n], &out[n]);
    return n;
}

static struct slot *slot_numbered(struct pool *p, int64_t number)
{
    return number >= 1 && number <= p->config.workers ? &p->slots[number - 1] : NULL;
}

static err fail_no_worker(int64_t number, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "this node has no worker %lld; GET /v1/workers lists them",
                (long long)number);
}

err pool_dump(struct pool *p, int64_t number, struct worker_dump *out, struct fault *f)
{
    struct slot *s = slot_numbered(p, number);
    if (!s)
        return fail_no_worker(number, f);
    mono now = loop_now(p->loop);
    *out = (struct worker_dump){.unread_bytes = (int64_t)s->in.n,
                                .for_store = s->committing || s->finishing || s->starting_op ||
                                             s->state == SLOT_RESERVING || s->opening_login,
                                .for_fetch = s->fetch != NULL,
                                .for_media = s->media != NULL,
                                .for_pictures = s->picturing,
                                .stop_asked = s->stop_class != FAILURE_NONE};
    view_slot(s, &out->worker);
    out->alive = s->pid > 0 && process_facts(s->pid, &out->process);
    if (!slot_has_job(s))
        return E_OK;
    out->batches = s->lease.next_batch;
    out->records = s->lease.have;
    out->quiet_ms = s->progressed.ms ? now.ms - s->progressed.ms : 0;
    out->requests = s->meter.usage.n[USAGE_REQUESTS];
    out->net_bytes = s->meter.usage.n[USAGE_NET_BYTES];
    if (s->tab)
        tab_look(s->tab, &out->page);
    span_copy(s->lease.lane, out->lane, sizeof out->lane);
    return E_OK;
}

/* A process that does not listen yet would die of the question. */
err pool_stack_ask(struct pool *p, int64_t number, pid_t *out_pid, struct fault *f)
{
    struct slot *s = slot_numbered(p, number);
    if (!s)
        return fail_no_worker(number, f);
    if (s->state == SLOT_EMPTY || s->pid <= 0 || s->worker_gone)
        return fail(f, E_CONFLICT, "it has no process");
    if (s->state == SLOT_STARTING)
        return fail(f, E_CONFLICT, "its process is starting");
    *out_pid = s->pid;
    return stack_ask(s->stack, s->pid, f);
}

err pool_stack_take(struct pool *p, int64_t number, pid_t pid, struct arena *a,
                    const char *const **out, size_t *out_count, struct fault *f)
{
    uintptr_t at[STACK_FRAMES];
    const struct slot *s = slot_numbered(p, number);
    if (!s || s->pid != pid)
        return fail(f, E_CONFLICT, "its process ended before it answered");
    if (!stack_take(s->stack, at, out_count))
        return fail(f, E_BUSY, "it has not answered");
    const char **names = arena_get(a, STACK_FRAMES * sizeof *names);
    stack_names(pid, at, *out_count, a, names);
    *out = names;
    return E_OK;
}

/* ---- what is wanted of them ---- */

static void wish(struct slot *s, enum worker_wish wish)
{
    static const char *const names[] = {"works", "quiet", "stopped"};
    if (s->wish == wish)
        return;
    log_info("worker.wish", F_N("slot", s->number), F_N("pid", s->pid),
             F_C("from", names[s->wish]), F_C("to", names[wish]), F_C("job", s->lease.id));
    s->wish = wish;
    if (wish == WORKER_STOPPED && slot_has_job(s)) {
        s->release = true; /* it goes on with another worker, at its next page */
        slot_stop(s, FAILURE_CANCELLED, E_SHUTDOWN);
    }
    slot_advance(s);
}

err pool_wish(struct pool *p, int64_t number, enum worker_wish what, struct fault *f)
{
    struct slot *s = slot_numbered(p, number);
    if (!s)
        return fail_no_worker(number, f);
    if (what == WORKER_WORKS && s->number >= p->wanted)
        return fail(
            f, E_CONFLICT,
            "worker %lld is scaled in, as %d are wanted; POST /v1/workers/scale changes "
            "that",
            (long long)number, p->wanted);
    wish(s, what);
    return E_OK;
}

err pool_kill(struct pool *p, int64_t number, struct fault *f)
{
    struct slot *s = slot_numbered(p, number);
    if (!s)
        return fail_no_worker(number, f);
    if (s->pid <= 0)
        return fail(f, E_CONFLICT, "worker %lld has no process", (long long)number);
    log_warn("worker.killed", F_N("slot", s->number), F_N("pid", s->pid),
             F_C("job", s->lease.id), F_C("why", "somebody asked for it"));
    s->release = s->release || slot_has_job(s); /* no fault of the job's */
    slot_kill(s);
    return E_OK;
}

err pool_scale(struct pool *p, int64_t count, struct fault *f)
{
    if (count < 0 || count > p->config.workers)
        return fail(f, E_BAD_INPUT,
                    "0 to %d workers may be wanted here; worker.count_max allows for more",
                    p->config.workers);
    log_info("workers.scaled", F_N("from", p->wanted), F_N("to", count));
    p->wanted = (int)count;
    for (int i = 0; i < p->config.workers; i++)
        slot_advance(&p->slots[i]);
    return E_OK;
}

void pool_scale_view(const struct pool *p, struct scale_view *out)
{
    *out = (struct scale_view){
        .count = p->wanted, .most = p->config.workers, .at_start = p->config.workers_at_start};
}

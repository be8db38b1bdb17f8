/* lease.c - the lease of a slot's job: its heartbeat, and its end when nobody answers. */
#include "pool/inside.h"

#include "core/metrics.h"

enum { BEAT_PART = 3, SOON_PART = 15, SOON_MOST_MS = 1000, ENDING_MS = 120000 };

/* Nobody answered in time that the job is still ours: somebody else may have it in a moment. */
static void fence_stop(struct slot *s)
{
    mono now = loop_now(s->pool->loop);
    int64_t grace_ms = fence_grace_ms(&s->fence, s->pool->config.grace_ms, now);
    log_warn("job.fenced", F_N("slot", s->number), F_C("job", s->lease.id),
             F_N("unheard_ms", now.ms - s->fence.asked.ms), F_N("grace_ms", grace_ms));
    s->fenced = s->release = true;
    slot_stop(s, FAILURE_CANCELLED, E_STALE);
    if (s->state == SLOT_STOPPING)
        slot_grace(s, grace_ms);
}

void slot_lease_on_fence(void *ctx)
{
    struct slot *s = slot_of(ctx);
    mono now = loop_now(s->pool->loop);
    int64_t left = fence_left_ms(&s->fence, now);
    if (s->state != SLOT_OPENING && s->state != SLOT_RUNNING && s->state != SLOT_STOPPING)
        return; /* its worker is done with it */
    if (!left && s->fence_heard &&
        s->state == SLOT_STOPPING) { /* it ends, but not beyond its lease */
        slot_grace(s, fence_grace_ms(&s->fence, s->pool->config.grace_ms, now));
        return;
    }
    if (!left && s->fence_heard) {
        fence_stop(s);
        return;
    }
    /* An answer that is there already, behind a loop that was late, is heard before. */
    s->fence_heard = !left;
    timer_start(s->fenced_at, left ? left : 1);
}

static void fence_set(struct slot *s)
{
    s->fence_heard = false;
    if (s->pool->config.fenced && !s->fenced)
        timer_start(s->fenced_at, fence_left_ms(&s->fence, loop_now(s->pool->loop)));
}

/* It has a lease that others would take: the job, and then what is told of its end; that not for ever, unless the store is
 * known to be away. */
static bool has_lease(const struct slot *s)
{
    bool ends = s->state == SLOT_ENDING && !s->finished && !s->lease_lost;
    mono late = mono_add(s->over_at, ENDING_MS);
    return slot_has_job(s) ||
           (ends && (s->pool->away || !mono_past(late, loop_now(s->pool->loop))));
}

/* After one that was answered a third of the lease behind its asking, also when the answer took longer; after one that was
 * not at once, so that a moment without an answer costs no job. */
static void set_beat(struct slot *s, err said)
{
    int64_t lease_ms = s->pool->config.lease_ms, soon = lease_ms / SOON_PART;
    int64_t left =
        mono_left(mono_add(s->beat_at, lease_ms / BEAT_PART), loop_now(s->pool->loop));
    if (said)
        left = soon < SOON_MOST_MS ? soon : SOON_MOST_MS;
    if (said != E_STALE && has_lease(s))
        timer_start(s->beat, left > 0 ? left : 1);
}

static void on_beat_done(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    s->beating = false;
    set_beat(s, op->result);
    if (op->result == E_STALE && slot_has_job(s)) {
        s->lease_lost = true;
        metric_add(METRIC_JOB_STALE, 0, 1);
        slot_stop(s, FAILURE_CANCELLED, E_STALE);
    } else if (!op->result && slot_has_job(s)) {
        fence_prove(&s->fence, s->beat_at);
        fence_set(s);
        if (op->out.heartbeat.cancel)
            slot_stop(s, FAILURE_CANCELLED, E_CANCELLED);
    }
    slot_advance(s);
}

void slot_lease_on_beat(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (!has_lease(s) || s->beating)
        return; /* the answer sets the next one */
    s->beating = true;
    s->beat_at = loop_now(s->pool->loop);
    s->beat_op = (struct store_op){.verb = STORE_HEARTBEAT,
                                   .arena = s->beat_arena,
                                   .on_done = on_beat_done,
                                   .ctx = s,
                                   .in.lease = {span_of(s->lease.id), s->lease.nonce}};
    store_thread_post(s->pool->store, &s->beat_op);
}

/* A lease whose answer came late is a good part of its time old. */
static int64_t first_beat_ms(const struct slot *s)
{
    mono due = mono_add(s->asked_at, s->pool->config.lease_ms / BEAT_PART);
    return mono_left(due, loop_now(s->pool->loop));
}

void slot_lease_start(struct slot *s)
{
    fence_start(&s->fence, s->asked_at, s->pool->config.lease_ms);
    fence_set(s);
    timer_start(s->beat, first_beat_ms(s));
}

/* commit.c - records on their way from a worker to the store. */
#include "pool/inside.h"

#include "core/metrics.h"
#include "os/faults.h"

#include <stdlib.h>

static void let_go(struct slot *s)
{
    s->pool->commits_waiting -= s->commit_waits;
    s->commit_waits = s->committing = false;
    s->commit_pause_ms = 0;
    free(s->items);
    s->items = NULL;
    buf_free(&s->records);
    arena_reset(s->commit_arena);
}

/* The page was asked for and is here: it is not asked for again because the store is in trouble. */
static void keep(struct slot *s, const struct store_op *op)
{
    if (!s->commit_waits)
        log_error("job.commit_waits", F_C("job", s->lease.id), F_X("result", op->result),
                  F_C("why", op->fault.words));
    s->pool->commits_waiting += !s->commit_waits;
    /* Only by its first one: what comes again and again may be a matter of this page. */
    s->pool->commits_refused |= !s->commit_waits;
    s->commit_waits = true;
    slot_progress(s); /* the job does what it can */
    int64_t pause = 2 * s->commit_pause_ms;
    s->commit_pause_ms = pause < COMMIT_AGAIN_MS   ? COMMIT_AGAIN_MS
                         : pause < COMMIT_PAUSE_MS ? pause
                                                   : COMMIT_PAUSE_MS;
    timer_start(s->commit_again, s->commit_pause_ms);
}

void slot_commit_again(void *ctx)
{
    struct slot *s = slot_of(ctx);
    if (!s->commit_waits)
        return;
    arena_reset(s->commit_arena);
    store_thread_post(s->pool->store, &s->commit_op);
}

void slot_commit_drop(struct slot *s)
{
    if (!timer_on(s->commit_again))
        return; /* none, or the store has it */
    timer_stop(s->commit_again);
    let_go(s);
}

static void on_commit_done(struct store_op *op)
{
    struct slot *s = slot_of(op->ctx);
    struct frame f = {.type = FRAME_COMMITTED,
                      .n = {op->result, op->out.commit.added, op->out.commit.have}};
    fault_point("node.committed");
    if (slot_store_cannot(op->result) && s->state == SLOT_RUNNING) {
        keep(s, op);
        return;
    }
    bool waited = s->commit_waits;
    let_go(s);
    if (waited && !op->result)
        log_info("job.commit_taken", F_C("job", s->lease.id));
    if (!op->result) {
        s->pool->commits_refused =
            false; /* what another one cannot bring is a matter of that job */
        metric_add(METRIC_POSTS, 0, op->out.commit.added);
        metric_add(METRIC_REJECTED, 0, op->out.commit.rejected);
        metric_add(METRIC_CONFLICTS, 0, op->out.commit.conflicts);
        s->lease.have = op->out.commit.have;
        if (slot_has_job(s))
            slot_progress(s);
    } else if (op->result == E_STALE) {
        s->lease_lost = true;
        metric_add(METRIC_JOB_STALE, 0, 1);
    } else {
        if (slot_store_cannot(op->result))
            s->release = true; /* not the job's fault: it goes on from its last batch */
        log_error("job.commit_failed", F_C("job", s->lease.id), F_X("result", op->result),
                  F_C("why", op->fault.words));
    }
    if (slot_has_job(s))
        slot_tell(s, &f);
    slot_advance(s);
}

static bool read_items(struct slot *s, struct span text, size_t *out_count)
{
    struct frame_item item;
    struct span rest = text;
    size_t count = 0;
    err e;
    while (!(e = frame_next_item(&rest, &item)) && ++count <= ITEMS_MAX) {
        /* One record is one line wherever it is shown. */
        if (span_find_char(item.json, '\n') < item.json.n ||
            span_find_char(item.json, '\r') < item.json.n)
            return false;
    }
    if (e != E_END)
        return false;
    s->items = heap_get((count + 1) * sizeof *s->items);
    rest = text;
    for (size_t i = 0; i < count && !frame_next_item(&rest, &item); i++)
        s->items[i] =
            (struct store_item){(enum item_kind)item.kind, item.id, item.created_ms, item.json};
    *out_count = count;
    return true;
}

bool slot_commit(struct slot *s, const struct frame *f)
{
    size_t count = 0;
    struct frame kept = *f;
    struct span cursor = f->t[0], items = f->t[1];
    if (s->committing || s->state == SLOT_ENDING || f->n[3] < 0 || f->n[3] > ITEMS_MAX)
        return false;
    buf_free(&s->records);
    /* The frame borrows from the read buffer: keep its texts until the store has them. */
    s->records = BUF(SLOT_IN_MAX);
    buf_add(&s->records, cursor);
    buf_add(&s->records, items);
    buf_add(&s->records, span_cut(f->t[2], 0, DRIFT_TEXT_MAX));
    if (s->records.failed)
        return false;
    kept.t[0] = (struct span){s->records.p, cursor.n};
    kept.t[1] = (struct span){s->records.p + cursor.n, items.n};
    size_t before = cursor.n + items.n;
    kept.t[2] = (struct span){s->records.p + before, s->records.n - before};
    if (!read_items(s, kept.t[1], &count))
        return false;
    fault_point("node.records");
    s->committing = true;
    s->commit_op = (struct store_op){.verb = STORE_COMMIT,
                                     .arena = s->commit_arena,
                                     .on_done = on_commit_done,
                                     .ctx = s,
                                     .in.commit = {.id = span_of(s->lease.id),
                                                   .nonce = s->lease.nonce,
                                                   .batch = f->n[0],
                                                   .items = s->items,
                                                   .count = count,
                                                   .cursor = kept.t[0],
                                                   .counts = kept.t[2],
                                                   .limit = s->lease.limit,
                                                   .filtered = f->n[3]}};
    store_thread_post(s->pool->store, &s->commit_op);
    return true;
}

/* spooling_batches.c - batches that come while the queue is away, and copies of others. */
#include "store/spooling_inside.h"

#include "core/lane.h"
#include "core/metrics.h"
#include "os/files.h"
#include "store/asked.h"

#include <string.h>

/* ---- as it will be ---- */

static struct batch_view *view_of(const struct batch_args *batch, wall at, wall now,
                                  struct arena *a)
{
    struct batch_view *v = arena_try(a, sizeof *v);
    if (!v)
        return NULL;
    v->name = arena_keep(a, batch->name.p ? batch->name : SPAN(""));
    if (!v->name.p)
        return NULL;
    span_copy(batch->id, v->id, sizeof v->id);
    v->sealed = !batch->open;
    v->stop_after = batch->stop_after;
    v->parallel = batch->parallel;
    for (size_t i = 0; i < batch->count; i++) {
        const struct accept_args *job = &batch->jobs[i];
        v->counts[job->replaced_by.n ? JOB_CANCELLED : spooling_job_state(job, now)]++;
    }
    for (int i = 0; i < BATCH_CALLS; i++)
        v->calls[i].asked = batch->calls[i].n > 0;
    v->created_ms = v->updated_ms = at.ms;
    return v;
}

static err reply_with(const struct batch_args *batch, wall at, wall now, struct arena *a,
                      struct batch_reply *out, struct fault *f)
{
    out->added = (int64_t)batch->count;
    out->durability = DURABILITY_SPOOLED;
    out->confirmed = true;
    out->keyed = false;
    for (size_t i = 0; i < batch->count; i++)
        out->keyed = out->keyed || batch->jobs[i].unique_key.n > 0;
    span_copy(batch->id, out->id, sizeof out->id);
    out->waits = view_of(batch, at, now, a);
    return out->waits ? E_OK : fail(f, E_TOO_BIG, "the answer of the spool does not fit");
}

/* As it is kept here, not as it is asked for now. */
static err find(struct spooling *s, const struct batch_args *batch, enum spool_known known,
                wall now, struct arena *a, struct batch_reply *out, struct fault *f)
{
    struct spool_reply found;
    struct spooled entry;
    struct batch_reply reply = {.replayed = true};
    err e = spool_find_batch(s->spool, batch, known, &found, f);
    if (e)
        return e;
    arena_reset(s->of_batch);
    e = spool_batch(s->spool, span_of(found.id), s->of_batch, &entry, f);
    if (e)
        return fail(f, E_STORE, "batch %s, which this request made, cannot be read", found.id);
    e = reply_with(&entry.batch, entry.at, now, a, &reply, f);
    if (!e)
        *out = reply;
    return e;
}

err spooling_find_batch(struct spooling *s, const struct batch_args *batch, wall now,
                        struct arena *a, struct batch_reply *out, struct fault *f)
{
    return find(s, batch, SPOOL_WAITS, now, a, out, f);
}

/* ---- taking ---- */

/* A batch that is looked at: which of its jobs come in, and what of those that wait here they take the place of. */
struct taking {
    const struct batch_args *batch;
    struct accept_args *jobs; /* that come in */
    size_t count;
    struct replaced {
        struct spooled live;
        size_t by; /* of the batch's jobs */
    } * replaced;
    size_t replaced_count;
    struct batch_reply reply;
    struct arena *arena;
};

static bool same_key(const struct accept_args *x, const struct accept_args *y)
{
    struct lane_name one, other;
    return span_eq(x->unique_key, y->unique_key) && lane_name_parse(x->lane, &one) &&
           lane_name_parse(y->lane, &other) && span_eq(one.tenant, other.tenant);
}

/* One before it that has its key and that none took the place of; NULL: there is none. */
static struct accept_args *before_it(const struct taking *t, const struct accept_args *job)
{
    for (size_t i = t->count; job->unique_key.n && i-- > 0;)
        if (!t->jobs[i].replaced_by.n && same_key(&t->jobs[i], job))
            return &t->jobs[i];
    return NULL;
}

static err look_at(struct spooling *s, struct taking *t, size_t i, wall now, struct fault *f)
{
    const struct accept_args *job = &t->batch->jobs[i];
    struct lane_name lane;
    struct spooled live = {0};
    enum unique_decision unique = UNIQUE_ACCEPT;
    struct accept_args *first = before_it(t, job);
    err e = asked_child(job, f);
    if (!e)
        e = asked_accept(job, &lane, f);
    if (!e && first)
        e = spooling_meet(job, first, now, &unique, f);
    else if (!e)
        e = spooling_decide(s, job, lane.tenant, now, NULL, &unique, &live, f);
    if (!e && unique == UNIQUE_EXISTING)
        e = asked_child_there(first ? first->id : live.job.id, f);
    if (e)
        return e;
    if (unique == UNIQUE_REPLACE && first)
        first->replaced_by = job->id;
    else if (unique == UNIQUE_REPLACE)
        t->replaced[t->replaced_count++] = (struct replaced){live, i};
    t->jobs[t->count++] = *job;
    return E_OK;
}

/* All of them, or with `partial` all that can be. */
static err look_at_all(struct spooling *s, struct taking *t, wall now, struct fault *f)
{
    for (size_t i = 0; i < t->batch->count; i++) {
        struct fault own = {0};
        err e = look_at(s, t, i, now, &own);
        if (!e)
            continue;
        if (e == E_STORE || e == E_BUG)
            return fail(f, e, "%s", own.words);
        e = asked_child_refused(&t->reply, i, e, span_of(own.words), t->arena, f);
        if (e)
            return e;
        if (!t->batch->partial)
            return asked_batch_refused(&t->reply, true, f);
    }
    return t->batch->count && !t->count ? asked_batch_refused(&t->reply, false, f) : E_OK;
}

static err taking_init(struct taking *t, struct fault *f)
{
    size_t room = t->batch->count + 1;
    t->jobs = arena_try(t->arena, room * sizeof *t->jobs);
    t->replaced = arena_try(t->arena, room * sizeof *t->replaced);
    t->reply.refused = arena_try(t->arena, room * sizeof *t->reply.refused);
    return t->jobs && t->replaced && t->reply.refused
               ? E_OK
               : fail(f, E_TOO_BIG, "the answer of the spool does not fit");
}

static err take(struct spooling *s, struct taking *t, wall now, struct fault *f)
{
    struct spool_reply added;
    struct batch_args batch = *t->batch;
    err e = taking_init(t, f);
    if (!e)
        e = look_at_all(s, t, now, f);
    if (e)
        return e;
    batch.jobs = t->jobs;
    batch.count = t->count;
    struct batch_reply made = t->reply;
    e = reply_with(&batch, now, now, t->arena, &made, f);
    if (!e) /* what can fail comes before: from here on it is taken */
        e = spool_add_batch(s->spool, &batch, now, &added, f);
    for (size_t i = 0; !e && i < t->replaced_count; i++)
        e = spool_replace(s->spool, &t->replaced[i].live, t->batch->jobs[t->replaced[i].by].id,
                          f);
    if (e)
        return e;
    metric_add(METRIC_SPOOLED, TAKEN, (int64_t)batch.count);
    t->reply = made;
    return E_OK;
}

err spooling_take_batch(struct spooling *s, const struct batch_args *batch,
                        enum store_mode mode, wall now, struct arena *a,
                        struct batch_reply *out, struct fault *f)
{
    struct taking t = {.batch = batch, .arena = a};
    *out = (struct batch_reply){0};
    err e = asked_batch_new(batch, f);
    if (!e)
        e = find(s, batch, SPOOL_ALL, now, a, out, f);
    if (e != E_END)
        return e;
    e = spooling_may_take(s, mode, f);
    if (!e)
        e = take(s, &t, now, f);
    *out = t.reply; /* also what was refused */
    return e;
}

/* ---- copies ---- */

static bool was_refused(const struct batch_reply *reply, size_t index)
{
    for (size_t i = 0; i < reply->refused_count; i++)
        if (reply->refused[i].index == index)
            return true;
    return false;
}

void spooling_keep_batch(struct spooling *s, const struct batch_args *batch,
                         const struct batch_reply *reply, wall now)
{
    struct spool_given given = spooling_given(s, now);
    struct batch_args copy = *batch;
    struct accept_args *jobs;
    arena_reset(s->of_batch);
    copy.jobs = jobs = arena_get(s->of_batch, (batch->count + 1) * sizeof *jobs);
    copy.count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (!was_refused(reply, i))
            jobs[copy.count++] = batch->jobs[i];
    err e = files_free_bytes(s->dir) < s->disk_floor_bytes
                ? E_DISK_FULL
                : spool_add_batch_copy(s->spool, &copy, now, &given, NULL);
    metric_add(METRIC_SPOOLED, e ? NOT_KEPT : KEPT, (int64_t)copy.count);
}

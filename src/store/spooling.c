#include "store/spooling.h"

#include "base/log.h"
#include "base/need.h"
#include "core/lane.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/files.h"
#include "store/asked.h"
#include "store/sqlite/spool.h"

enum {
    PIECE = 100,
    ENTRY_BYTES = 4 * STORE_SPEC_MAX + (1 << 20),
    /* What was handed over is kept at least so long: by then the queue's disk and its replicas have it. */
    KEEP_MS = 60000,
};
enum outcome { TAKEN, HANDED_OVER, ASIDE, KEPT, NOT_KEPT };

struct spooling {
    struct spool *spool;
    char dir[512];
    bool always;
    int64_t disk_floor_bytes;
    struct arena *own; /* of the entry at hand */
    int64_t last;      /* number of the last one that was handed over */
    int64_t mark;      /* that of the last one when the mark was set */
    mono marked;
};

struct spooling_state spooling_state(struct spooling *s)
{
    struct spool_view v = {0};
    if (spool_look(s->spool, &v, NULL))
        v = (struct spool_view){0};
    int64_t age = v.oldest_ms ? clock_wall().ms - v.oldest_ms : 0;
    metric_set(METRIC_SPOOL, 0, v.waiting);
    metric_set(METRIC_SPOOL, 1, v.handed_over);
    metric_set(METRIC_SPOOL, 2, v.aside);
    metric_set(METRIC_SPOOL_AGE, 0, age > 0 ? age : 0);
    return (struct spooling_state){true,   v.waiting, v.handed_over,
                                   v.most, v.aside,   v.oldest_ms};
}

err spooling_open(struct spooling **out, const struct spooling_config *config, struct fault *f)
{
    struct spooling *s = heap_new_of(struct spooling);
    int64_t again;
    span_copy(span_of(config->state_dir), s->dir, sizeof s->dir);
    s->always = config->always;
    s->disk_floor_bytes = config->disk_floor_bytes;
    s->own = arena_new(ENTRY_BYTES);
    s->marked = clock_mono();
    err e = spool_open(&s->spool, config->state_dir, config->most, f);
    if (!e)
        e = spooling_again(s, &again, f);
    if (e) {
        spooling_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void spooling_close(struct spooling **s)
{
    if (!*s)
        return;
    spool_close(&(*s)->spool);
    arena_free(&(*s)->own);
    free(*s);
    *s = NULL;
}

/* ---- taking ---- */

static enum job_state state_of(const struct accept_args *job, wall now)
{
    return job->held || job->run_at_ms > now.ms ? JOB_SCHEDULED : JOB_READY;
}

static void reply_with(const struct spool_reply *r, const struct accept_args *job, wall now,
                       struct accept_reply *out)
{
    *out = (struct accept_reply){.replayed = r->replayed,
                                 .state = state_of(job, now),
                                 .durability = DURABILITY_SPOOLED,
                                 .confirmed = true};
    span_copy(span_of(r->id), out->id, sizeof out->id);
}

static void reply_existing(const struct spooled *live, wall now, struct arena *a,
                           struct accept_reply *out)
{
    struct spool_reply there = {0};
    span_copy(live->job.id, there.id, sizeof there.id);
    reply_with(&there, &live->job, now, out);
    out->existing = true;
    if (!a)
        return;
    struct accept_args *job = arena_new_of(a, struct accept_args);
    *job = live->job;
    job->accepted_ms = live->at.ms;
    out->waits = job;
}

/* What becomes of an order with a unique key, as far as this node knows: of the jobs that wait here, none of which runs.
 * out_live: the one that has the key; number 0: none. One that cannot be read has none: it will be set aside. */
static err decide_unique(struct spooling *s, const struct accept_args *job, struct span tenant,
                         wall now, struct arena *a, enum unique_decision *out,
                         struct spooled *out_live, struct fault *f)
{
    struct unique_facts facts = {0};
    *out_live = (struct spooled){0};
    *out = UNIQUE_ACCEPT;
    if (!job->unique_key.n)
        return E_OK;
    arena_reset(s->own);
    err e = spool_live(s->spool, tenant, job->unique_key, a ? a : s->own, out_live, NULL);
    if (e == E_END || e == E_BAD_SYNTAX) {
        *out_live = (struct spooled){0};
        return E_OK;
    }
    if (e)
        return fail(f, e, "the job that waits here with this unique key cannot be read");
    facts = (struct unique_facts){.live = true, .state = state_of(&out_live->job, now)};
    *out = unique_decide(job->on_conflict, &facts);
    return *out == UNIQUE_REFUSE
               ? fail(
                     f, E_CONFLICT,
                     "job %.*s is about the same work and has not ended; it waits on this node "
                     "until the queue is back",
                     SP(out_live->job.id))
               : E_OK;
}

err spooling_take(struct spooling *s, const struct accept_args *job, enum store_mode mode,
                  wall now, struct arena *a, struct accept_reply *out, struct fault *f)
{
    struct spooled live;
    enum unique_decision unique = UNIQUE_ACCEPT;
    struct lane_name lane;
    struct spool_reply reply;
    int64_t room = files_free_bytes(s->dir);
    err e = asked_accept(job, &lane, f);
    if (!e)
        e = asked_mode(mode, f);
    if (!e && room < s->disk_floor_bytes)
        e = asked_disk(room, s->dir, f);
    if (!e)
        e = decide_unique(s, job, lane.tenant, now, a, &unique, &live, f);
    if (!e && unique == UNIQUE_EXISTING) {
        reply_existing(&live, now, a, out);
        return E_OK;
    }
    if (!e)
        e = spool_add(s->spool, job, now, &reply, f);
    if (!e && unique == UNIQUE_REPLACE)
        e = spool_replace(s->spool, live.number, job->id, f);
    if (e)
        return e;
    metric_add(METRIC_SPOOLED, TAKEN, !reply.replayed);
    reply_with(&reply, job, now, out);
    return E_OK;
}

bool spooling_has_key(struct spooling *s, const struct accept_args *job)
{
    struct lane_name lane;
    struct spooled live;
    if (!job->unique_key.n || job->idempotency_key.n || !lane_name_parse(job->lane, &lane))
        return false;
    arena_reset(s->own);
    return spool_live(s->spool, lane.tenant, job->unique_key, s->own, &live, NULL) == E_OK;
}

bool spooling_keeps(const struct spooling *s)
{
    return s->always;
}

void spooling_keep(struct spooling *s, const struct accept_args *job, wall now)
{
    struct spool_reply reply = {0};
    err e = files_free_bytes(s->dir) < s->disk_floor_bytes
                ? E_DISK_FULL
                : spool_add(s->spool, job, now, &reply, NULL);
    if (!e && reply.number)
        e = spool_handed_over(s->spool, reply.number, NULL);
    s->last = !e && reply.number ? reply.number : s->last;
    metric_add(METRIC_SPOOLED, e ? NOT_KEPT : KEPT, 1);
}

err spooling_find(struct spooling *s, const struct accept_args *job, struct accept_reply *out,
                  struct fault *f)
{
    struct spool_reply reply;
    err e = spool_find(s->spool, job, &reply, f);
    if (!e)
        reply_with(&reply, job, (wall){0}, out);
    return e;
}

err spooling_asked(struct spooling *s, struct span id, struct fault *f)
{
    return spool_has(s->spool, id, f);
}

err spooling_sync(struct spooling *s, struct fault *f)
{
    return spool_sync(s->spool, f);
}

/* ---- handing over ---- */

/* Without the key of its request when another job has that there: this one was accepted as well. One that its unique key keeps out
 * comes in as one that has ended. */
static err offer(struct store *queue, struct accept_args *job, wall now, struct fault *f)
{
    struct accept_reply reply = {0};
    struct fault first = {0};
    err e = store_accept(queue, job, now, &reply, &first);
    if (e == E_CONFLICT)
        return E_OK; /* it has this one */
    if (e == E_BAD_INPUT || (!e && !span_is(job->id, reply.id))) {
        job->idempotency_key = SPAN_NONE;
        first = (struct fault){0};
        e = store_accept(queue, job, now, &reply, &first);
    }
    if (!e && reply.state == JOB_CANCELLED)
        log_info("spool.cancelled", F_S("job", job->id),
                 F_C("what", "another job with its unique key was there; the job says which"));
    if (e && f && !f->code)
        *f = first;
    return e == E_CONFLICT ? E_BAD_INPUT : e; /* the id that a client chose is another job's */
}

/* For good: the queue is not the reason. */
static bool is_of_the_entry(err e)
{
    return e == E_BAD_INPUT || e == E_TOO_BIG || e == E_BAD_SYNTAX;
}

/* Who was answered 202 has to be told by somebody. */
static err set_aside(struct spooling *s, const struct spooled *entry, const struct fault *why,
                     struct fault *f)
{
    err e = spool_set_aside(s->spool, entry->number, span_of(why->words), f);
    if (e)
        return e;
    metric_add(METRIC_SPOOLED, ASIDE, 1);
    log_error("spool.aside", F_S("job", entry->job.id), F_N("entry", entry->number),
              F_C("why", why->words));
    return E_OK;
}

/* E_END: none waits. */
static err hand_over_one(struct spooling *s, struct store *queue, wall now, struct fault *f)
{
    struct spooled entry;
    struct fault refusal = {0};
    arena_reset(s->own);
    err e = spool_next(s->spool, s->own, &entry, &refusal);
    if (!e) {
        entry.job.accepted_ms = entry.at.ms;
        e = offer(queue, &entry.job, now, &refusal);
    }
    if (is_of_the_entry(e))
        return set_aside(s, &entry, &refusal, f);
    if (e)
        return e == E_END ? e : fail(f, e, "%s", refusal.words);
    metric_add(METRIC_SPOOLED, HANDED_OVER, 1);
    s->last = s->last > entry.number ? s->last : entry.number;
    return spool_handed_over(s->spool, entry.number, f);
}

/* What was handed over before the mark before this one goes: nothing was heard of a loss since. */
static err settle(struct spooling *s, struct fault *f)
{
    if (mono_left(mono_add(s->marked, KEEP_MS), clock_mono()) > 0)
        return E_OK;
    err e = spool_settle(s->spool, s->mark, f);
    s->mark = s->last;
    s->marked = clock_mono();
    return e;
}

err spooling_hand_over(struct spooling *s, struct store *queue, wall now, bool *out_more,
                       struct fault *f)
{
    struct spool_view v;
    err e = spool_look(s->spool, &v, f), handed = E_END;
    if (!e && v.waiting)
        e = store_begin(queue, f);
    if (e)
        return e;
    for (int i = 0; i < PIECE && v.waiting && !(i && handed); i++)
        handed = hand_over_one(s, queue, now, f);
    /* First the queue's group, then what it says about it here: the other way round a crash would lose them. */
    if (v.waiting)
        e = store_commit(queue, f);
    err settled = settle(s, f), synced = spooling_sync(s, f);
    *out_more = handed == E_OK;
    if (handed && handed != E_END)
        return handed;
    return e ? e : settled ? settled : synced;
}

err spooling_again(struct spooling *s, int64_t *out_count, struct fault *f)
{
    err e = spool_again(s->spool, out_count, f);
    return e ? e : spooling_sync(s, f);
}

#include "store/spooling.h"

#include "base/log.h"
#include "base/need.h"
#include "core/lane.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/files.h"
#include "store/asked.h"
#include "store/spooling_inside.h"

#include <string.h>

enum {
    PIECE = 100,
    ENTRY_BYTES = 4 * STORE_SPEC_MAX + (1 << 20),
    BATCH_BYTES = 2 * SPOOL_BATCH_BYTES, /* and what its jobs are beside their texts */
    /* What was handed over is kept at least so long: by then the queue's disk and its replicas have it. */
    KEEP_MS = 60000,
    NOTED = 1000, /* at once, of what the queue answered for */
    REFUSED =
        50, /* in a row, a large batch as several: what is behind them is offered in the next call */
    PASS_MS = 1000,
    GONE_MS = 3600000, /* a replica that is away for so long is taken to be gone */
};
enum state { WAITING, KEPT_ON, SET_ASIDE, STUCK };

static int64_t stuck_in(const struct line *l)
{
    return l->stuck > l->stuck_now ? l->stuck : l->stuck_now;
}

struct spooling_state spooling_state(struct spooling *s)
{
    struct spool_view v = {0};
    if (spool_look(s->spool, &v, NULL))
        v = (struct spool_view){0};
    int64_t age = v.oldest_ms ? clock_wall().ms - v.oldest_ms : 0;
    int64_t stuck = stuck_in(&s->lines[SPOOL_JOB]) + stuck_in(&s->lines[SPOOL_BATCH]);
    stuck = stuck < v.waiting ? stuck : v.waiting;
    metric_set(METRIC_SPOOL, WAITING, v.waiting);
    metric_set(METRIC_SPOOL, KEPT_ON, v.handed_over);
    metric_set(METRIC_SPOOL, SET_ASIDE, v.aside);
    metric_set(METRIC_SPOOL, STUCK, stuck);
    metric_set(METRIC_SPOOL_AGE, 0, age > 0 ? age : 0);
    return (struct spooling_state){.on = true,
                                   .waiting = v.waiting,
                                   .handed_over = v.handed_over,
                                   .most = v.most,
                                   .aside = v.aside,
                                   .stuck = stuck,
                                   .oldest_ms = v.oldest_ms};
}

err spooling_open(struct spooling **out, const struct spooling_config *config, struct fault *f)
{
    struct spooling *s = heap_new_of(struct spooling);
    int64_t again;
    span_copy(span_of(config->state_dir), s->dir, sizeof s->dir);
    s->always = config->always;
    s->disk_floor_bytes = config->disk_floor_bytes;
    s->retain_ms = config->retain_ms;
    s->clock = config->clock ? config->clock : clock_mono;
    s->own = arena_new(ENTRY_BYTES);
    s->of_batch = arena_new(BATCH_BYTES);
    for (int kind = 0; kind < SPOOL_KINDS; kind++) {
        s->lines[kind].kind = (enum spool_kind)kind;
        s->lines[kind].answered = BUF((size_t)config->most * 2 * sizeof(int64_t));
    }
    s->began = s->clock();
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
    arena_free(&(*s)->of_batch);
    for (int kind = 0; kind < SPOOL_KINDS; kind++)
        buf_free(&(*s)->lines[kind].answered);
    free(*s);
    *s = NULL;
}

/* ---- taking ---- */

enum job_state spooling_job_state(const struct accept_args *job, wall now)
{
    return job->held || job->run_at_ms > now.ms ? JOB_SCHEDULED : JOB_READY;
}

static void reply_with(const struct spool_reply *r, const struct accept_args *job, wall now,
                       struct accept_reply *out)
{
    *out = (struct accept_reply){.replayed = r->replayed,
                                 .state = spooling_job_state(job, now),
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

static bool is_answered(const struct line *l, int64_t number)
{
    for (size_t i = 0; i < l->answered.n; i += sizeof number)
        if (memcmp(l->answered.p + i, &number, sizeof number) == 0)
            return true;
    return false;
}

/* The queue knows better of one that it has answered for. */
static err find_live(struct spooling *s, struct span tenant, struct span key, struct arena *a,
                     struct spooled *out)
{
    err e = spool_live(s->spool, tenant, key, a, out, NULL);
    return !e && is_answered(&s->lines[out->kind], out->number) ? E_END : e;
}

err spooling_decide(struct spooling *s, const struct accept_args *job, struct span tenant,
                    wall now, struct arena *a, enum unique_decision *out,
                    struct spooled *out_live, struct fault *f)
{
    *out_live = (struct spooled){0};
    *out = UNIQUE_ACCEPT;
    if (!job->unique_key.n)
        return E_OK;
    arena_reset(s->own);
    err e = find_live(s, tenant, job->unique_key, a ? a : s->own, out_live);
    if (e == E_END || e == E_BAD_SYNTAX) {
        *out_live = (struct spooled){0};
        return E_OK;
    }
    if (e)
        return fail(f, e, "the job that waits here with this unique key cannot be read");
    return spooling_meet(job, &out_live->job, now, out, f);
}

err spooling_meet(const struct accept_args *job, const struct accept_args *live, wall now,
                  enum unique_decision *out, struct fault *f)
{
    struct unique_facts facts = {.live = true, .state = spooling_job_state(live, now)};
    *out = unique_decide(job->on_conflict, &facts);
    return *out == UNIQUE_REFUSE
               ? fail(
                     f, E_CONFLICT,
                     "job %.*s is about the same work and has not ended; it waits on this node "
                     "until the queue is back",
                     SP(live->id))
               : E_OK;
}

err spooling_may_take(struct spooling *s, enum store_mode mode, struct fault *f)
{
    int64_t room = files_free_bytes(s->dir);
    err e = asked_mode(mode, f);
    return !e && room < s->disk_floor_bytes ? asked_disk(room, s->dir, f) : e;
}

static err find(struct spooling *s, const struct accept_args *job, enum spool_known known,
                wall now, struct accept_reply *out, struct fault *f)
{
    struct spool_reply reply;
    err e = spool_find(s->spool, job, known, &reply, f);
    if (!e)
        reply_with(&reply, job, now, out);
    return e;
}

/* First whether it was taken before: what was answered once is answered again, whatever the modes, the disk and the unique keys
 * say by now, and nothing makes way for it a second time. */
err spooling_take(struct spooling *s, const struct accept_args *job, enum store_mode mode,
                  wall now, struct arena *a, struct accept_reply *out, struct fault *f)
{
    struct spooled live;
    enum unique_decision unique = UNIQUE_ACCEPT;
    struct lane_name lane;
    struct spool_reply reply;
    err e = asked_accept(job, &lane, f);
    if (e)
        return e;
    e = find(s, job, SPOOL_ALL, now, out, f);
    if (e != E_END)
        return e;
    e = spooling_may_take(s, mode, f);
    if (!e)
        e = spooling_decide(s, job, lane.tenant, now, a, &unique, &live, f);
    if (!e && unique == UNIQUE_EXISTING) {
        reply_existing(&live, now, a, out);
        return E_OK;
    }
    if (!e)
        e = spool_add(s->spool, job, now, &reply, f);
    if (!e && unique == UNIQUE_REPLACE)
        e = spool_replace(s->spool, &live, job->id, f);
    if (e)
        return e;
    metric_add(METRIC_SPOOLED, TAKEN, 1);
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
    return find_live(s, lane.tenant, job->unique_key, s->own, &live) == E_OK;
}

bool spooling_keeps(const struct spooling *s)
{
    return s->always;
}

struct spool_given spooling_given(const struct spooling *s, wall now)
{
    return (struct spool_given){s->round, now, span_of(s->queue)};
}

void spooling_keep(struct spooling *s, const struct accept_args *job, wall now)
{
    struct spool_given given = spooling_given(s, now);
    err e = files_free_bytes(s->dir) < s->disk_floor_bytes
                ? E_DISK_FULL
                : spool_add_copy(s->spool, job, now, &given, NULL);
    metric_add(METRIC_SPOOLED, e ? NOT_KEPT : KEPT, 1);
}

err spooling_find(struct spooling *s, const struct accept_args *job, wall now,
                  struct accept_reply *out, struct fault *f)
{
    return find(s, job, SPOOL_WAITS, now, out, f);
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

/* For good: the queue is not the reason. */
static bool is_of_the_entry(err e)
{
    return e == E_BAD_INPUT || e == E_TOO_BIG || e == E_BAD_SYNTAX;
}

/* Without the key of its request when another job has that there: this one was accepted as well. One that its unique key keeps out
 * comes in as one that has ended. */
static err offer(struct spooling *s, struct store *queue, struct spooled *entry, wall now,
                 struct fault *f)
{
    struct accept_args *job = &entry->job;
    struct line *l = &s->lines[SPOOL_JOB];
    bool ours = entry->given || l->untold == entry->number;
    struct accept_reply reply = {0};
    struct fault first = {0};
    err e = store_accept(queue, job, now, &reply, &first);
    if (e == E_CONFLICT)
        return E_OK; /* it has this one */
    if (e == E_BAD_INPUT || (!e && !span_is(job->id, reply.id))) {
        job->idempotency_key = SPAN_NONE;
        first = (struct fault){0};
        e = store_accept(queue, job, now, &reply, &first);
        if (e == E_CONFLICT && ours)
            return E_OK; /* it was handed over so before */
        if (e && e != E_CONFLICT && !is_of_the_entry(e))
            l->untold = entry->number;
        else if (l->untold == entry->number)
            l->untold = 0;
    }
    if (!e && reply.state == JOB_CANCELLED)
        log_info("spool.cancelled", F_S("job", job->id),
                 F_C("what", "another job with its unique key was there; the job says which"));
    if (e && f && !f->code)
        *f = first;
    return e == E_CONFLICT ? E_BAD_INPUT : e; /* the id that a client chose is another job's */
}

/* E_CONFLICT of one of its jobs: that id is another one's, unless it was handed over before and is gone. */
static err offer_batch(struct spooling *s, struct store *queue, struct spooled *entry, wall now,
                       struct fault *f)
{
    struct batch_args *batch = &entry->batch;
    struct batch_reply reply = {0};
    struct fault first = {0};
    err e = store_batch_create(queue, batch, now, s->of_batch, &reply, &first);
    if ((e == E_BAD_INPUT && !reply.refused_count) || (!e && !span_is(batch->id, reply.id))) {
        batch->idempotency_key =
            SPAN_NONE; /* another batch has it there: this one was accepted as well */
        first = (struct fault){0};
        reply = (struct batch_reply){0};
        e = store_batch_create(queue, batch, now, s->of_batch, &reply, &first);
    }
    if (e == E_CONFLICT && (!reply.refused_count || entry->given))
        return E_OK; /* it has this one, or had it */
    if (e && f && !f->code)
        *f = first;
    return e == E_CONFLICT ? E_BAD_INPUT : e;
}

static struct span id_of(const struct spooled *entry)
{
    return entry->kind == SPOOL_BATCH ? entry->batch.id : entry->job.id;
}

static const char *kind_of(const struct spooled *entry)
{
    return entry->kind == SPOOL_BATCH ? "batch" : "job";
}

static void offer_later(struct line *l, int64_t number)
{
    l->back_to = l->back_to && l->back_to < number ? l->back_to : number;
}

/* It waits on, and what is behind it goes on. Of each it is said once: all are looked at in their order. */
static void pass_over(struct line *l, const struct spooled *entry, const struct fault *why)
{
    offer_later(l, entry->number);
    l->stuck_now += entry->jobs;
    if (entry->number <= l->said)
        return;
    l->said = entry->number;
    log_warn("spool.stuck", F_S(kind_of(entry), id_of(entry)), F_N("entry", entry->number),
             F_C("why", why->words),
             F_C("do", "it is offered again; what is behind it is not held up"));
}

/* Who was answered 202 has to be told by somebody. */
static void set_aside(struct spooling *s, const struct spooled *entry, const struct fault *why)
{
    struct fault trouble = {0};
    err e =
        spool_set_aside(s->spool, entry->kind, entry->number, span_of(why->words), &trouble);
    err synced = spool_sync(s->spool, &trouble);
    if (e || synced) {
        pass_over(&s->lines[entry->kind], entry, &trouble);
        return;
    }
    metric_add(METRIC_SPOOLED, ASIDE, entry->jobs);
    log_error("spool.aside", F_S(kind_of(entry), id_of(entry)), F_N("entry", entry->number),
              F_C("why", why->words));
}

static void note_answered(struct line *l, const struct spooled *entry)
{
    int64_t number = entry->number;
    metric_add(METRIC_SPOOLED, HANDED_OVER, entry->jobs);
    buf_add(&l->answered, (struct span){(const char *)&number, sizeof number});
    if (l->answered.failed) { /* more than may wait: it is offered again */
        l->answered.failed = E_OK;
        offer_later(l, number);
    }
}

/* E_END: none waits any more. out: as many jobs as it is; out_passed: it was passed over. Otherwise an error is the queue's, or
 * that of the disk. */
static err hand_over_one(struct spooling *s, struct line *l, struct store *queue, wall now,
                         int64_t *out, bool *out_passed, struct fault *f)
{
    struct spooled entry;
    struct fault refusal = {0};
    struct arena *a = l->kind == SPOOL_BATCH ? s->of_batch : s->own;
    arena_reset(a);
    err e = spool_next(s->spool, l->kind, l->after, a, &entry, &refusal);
    if (e && !is_of_the_entry(e))
        return e == E_END ? e : fail(f, e, "%s", refusal.words);
    bool known = is_answered(l, entry.number);
    entry.job.accepted_ms = entry.at.ms;
    if (!e && !known)
        e = entry.kind == SPOOL_BATCH ? offer_batch(s, queue, &entry, now, &refusal)
                                      : offer(s, queue, &entry, now, &refusal);
    if (e && !is_of_the_entry(e) && (e == E_MOVED || store_is_away(queue)))
        return fail(f, e, "%s", refusal.words);
    l->after = entry.number;
    *out = entry.jobs;
    *out_passed = e && !is_of_the_entry(e);
    if (*out_passed)
        pass_over(l, &entry, &refusal);
    else if (e)
        set_aside(s, &entry, &refusal);
    else if (!known)
        note_answered(l, &entry);
    return E_OK;
}

/* From now on the new ones are looked at, and before them what was passed over. */
static void begin_anew(struct line *l)
{
    l->after = l->back_to ? l->back_to - 1 : l->after;
    l->back_to = 0;
    l->stuck = l->stuck_now;
    l->stuck_now = 0;
}

/* As many as a group may have, or until so many in a row are passed over that the queue is left alone for a while. out_more: it was
 * not, and there may be more. */
static err hand_over_piece(struct spooling *s, struct line *l, struct store *queue, wall now,
                           bool *out_more, struct fault *f)
{
    int64_t in_a_row = 0, jobs = 0;
    err e = E_OK;
    for (int64_t sum = 0; sum < PIECE && in_a_row < REFUSED && !e; sum += jobs) {
        bool passed = false;
        e = hand_over_one(s, l, queue, now, &jobs, &passed, f);
        in_a_row = passed ? in_a_row + 1 + jobs / PIECE : 0;
    }
    if (e == E_END)
        begin_anew(l);
    *out_more = !e && in_a_row < REFUSED;
    return e == E_END ? E_OK : e;
}

static err note_line(struct spooling *s, struct line *l, const struct spool_given *given,
                     size_t *out_bytes, struct fault *f)
{
    size_t all = l->answered.n / sizeof(int64_t), n = all < NOTED ? all : NOTED;
    err e = E_OK;
    for (size_t i = 0; !e && i < n; i++) {
        int64_t number;
        memcpy(&number, l->answered.p + i * sizeof number, sizeof number);
        e = spool_handed_over(s->spool, l->kind, number, given, f);
    }
    *out_bytes = n * sizeof(int64_t);
    return e;
}

/* What the queue answered for is noted here, as far as the disk lets it; the rest is not offered again by this process. */
static err note_handed_over(struct spooling *s, wall now, struct fault *f)
{
    struct spool_given given = spooling_given(s, now);
    size_t bytes[SPOOL_KINDS] = {0};
    err e = E_OK;
    for (int kind = 0; !e && kind < SPOOL_KINDS; kind++)
        e = note_line(s, &s->lines[kind], &given, &bytes[kind], f);
    err synced = spool_sync(s->spool, f);
    for (int kind = 0; !e && !synced && kind < SPOOL_KINDS; kind++)
        buf_drop(&s->lines[kind].answered, bytes[kind]);
    return e ? e : synced;
}

/* A loss is noticed by whoever asks the queue next; then all that it was given of late is due again. */
static void look_for_loss(struct spooling *s, const struct store *queue)
{
    int64_t count = store_loss(queue)->count;
    s->again_due = s->again_due || count != s->losses;
    s->losses = count;
}

/* Whether each replica has what the queue had then. One that was there may be the next primary, also when it is away. */
static bool replicas_have(const struct store_replication *had,
                          const struct store_replication *is, bool gone)
{
    if (!is->replicas)
        return !had->replicas || gone;
    return is->least >= had->offset;
}

static void say_behind(struct spooling *s, bool behind, const struct store_replication *is)
{
    if (behind && !s->behind)
        log_warn(
            "spool.replicas", F_N("replicas", is->replicas),
            F_N("bytes_behind", s->had.offset - is->least),
            F_C("do",
                "copies of what this node accepted are kept until the replicas of the Redis have it"));
    s->behind = behind;
}

/* Whether what was handed over in rounds before this one is where a failover does not lose it; *out_is: what the queue says now,
 * which is no less than it had when the next round begins. */
static err look_at_replicas(struct spooling *s, struct store *queue, bool *out_safe,
                            struct store_replication *out_is, struct fault *f)
{
    bool over = mono_past(mono_add(s->began, KEEP_MS), s->clock());
    bool gone = mono_past(mono_add(s->began, GONE_MS), s->clock());
    *out_safe = false;
    if (!mono_past(mono_add(s->asked, PASS_MS), s->clock()) || (s->had.history[0] && !over))
        return E_OK;
    s->asked = s->clock();
    err e = store_replication(queue, out_is, f);
    if (e)
        return store_is_away(queue) ? E_OK : e;
    if (strcmp(out_is->history, s->had.history) != 0) { /* or not known yet */
        s->had = *out_is;
        s->began = s->clock();
        return E_OK;
    }
    *out_safe = over && replicas_have(&s->had, out_is, gone);
    say_behind(s, over && !*out_safe, out_is);
    return E_OK;
}

/* What was handed over before the round before this one goes: nothing was heard of a loss since, and the replicas have it. */
static err settle(struct spooling *s, struct store *queue, struct fault *f)
{
    struct store_replication is;
    bool safe;
    if (s->again_due)
        return E_OK;
    err e = look_at_replicas(s, queue, &safe, &is, f);
    if (e || !safe)
        return e;
    e = spool_settle(s->spool, s->round, f);
    err synced = spool_sync(s->spool, f);
    s->round++;
    s->began = s->clock();
    s->had = is;
    return e ? e : synced;
}

/* A queue that is not the one of before, or that may have forgotten it, would do again what was done. */
static err pass_old(struct spooling *s, struct store *queue, wall now, struct fault *f)
{
    struct span is = store_id(queue);
    if (!s->pass_due && mono_left(mono_add(s->passed, PASS_MS), s->clock()) > 0)
        return E_OK;
    if (is.n)
        span_copy(is, s->queue, sizeof s->queue);
    err e = spool_pass(s->spool, is,
                       (wall){s->retain_ms > 0 ? now.ms - s->retain_ms : INT64_MIN}, f);
    err synced = spool_sync(s->spool, f);
    s->pass_due = e || synced;
    s->passed = s->clock();
    return e ? e : synced;
}

/* Of what goes on all the same it is said once. */
static void say_trouble(struct spooling *s, err e, const struct fault *f)
{
    if (e && !s->troubled)
        log_warn("spool.unnoted", F_X("result", e), F_C("why", f->words),
                 F_C("do", "what is handed over is not noted on this node's disk"));
    s->troubled = e != E_OK;
}

/* Nobody knows which of them the queue has. */
static void forget_answers(struct spooling *s)
{
    for (int kind = 0; kind < SPOOL_KINDS; kind++) {
        buf_clear(&s->lines[kind].answered);
        s->lines[kind].after = s->lines[kind].back_to = 0;
    }
}

/* As a group of the queue's. */
static err hand_over_group(struct spooling *s, struct store *queue, wall now, bool *out_more,
                           struct fault *f)
{
    struct spool_view v;
    err e = spool_look(s->spool, &v, f);
    if (!e && v.waiting)
        e = store_begin(queue, f);
    if (e || !v.waiting)
        return e;
    for (int kind = 0; !e && kind < SPOOL_KINDS; kind++) {
        bool more = false;
        e = hand_over_piece(s, &s->lines[kind], queue, now, &more, f);
        *out_more = *out_more || more;
    }
    err committed = store_commit(queue, f);
    if (committed)
        forget_answers(s);
    return e ? e : committed;
}

err spooling_hand_over(struct spooling *s, struct store *queue, wall now, bool *out_more,
                       struct fault *f)
{
    struct fault trouble = {0};
    int64_t again;
    *out_more = false;
    look_for_loss(s, queue);
    err own = s->again_due ? spooling_again(s, &again, &trouble) : E_OK;
    if (!own)
        own = pass_old(s, queue, now, &trouble);
    err e = hand_over_group(s, queue, now, out_more, f);
    /* First the queue's group, then what it says about it here: the other way round a crash would lose them. */
    err noted = note_handed_over(s, now, &trouble);
    look_for_loss(s, queue);
    if (!noted)
        noted = settle(s, queue, &trouble);
    own = own ? own : noted;
    say_trouble(s, own, &trouble);
    if (e || !own)
        return e;
    return fail(f, own, "%s", trouble.words);
}

err spooling_again(struct spooling *s, int64_t *out_count, struct fault *f)
{
    s->again_due = true;
    err e = spool_again(s->spool, out_count, f);
    err synced = spooling_sync(s, f);
    if (e || synced)
        return e ? e : synced;
    s->again_due = false;
    s->pass_due = true;
    forget_answers(s);
    for (int kind = 0; kind < SPOOL_KINDS; kind++)
        s->lines[kind].said = 0;
    return E_OK;
}

/* keys.c - accepting: the same request again makes no second job, whatever became of the first answer; of one unique key one
 * job is alive, besides one that waits for it to end; a result that is handed on is as young as was asked. */
#include "look.h"

#include <inttypes.h>
#include <stdio.h>

enum { FRESH_MS = 3 * 60 * 1000 };

static bool has_key(const struct watch_order *o)
{
    return o->work != WATCH_NOBODY && o->wish < WISH_FRESH;
}

/* Jobs with the unique key of this work that have not ended. */
struct equal {
    int64_t live, waits;  /* WATCH_NOBODY: there is none; waits: for the other one to end */
    enum job_state state; /* of the live one */
    int64_t lives;
};

static bool waits(struct watch *w, int64_t number)
{
    int64_t after = job_of(w, number)->after;
    return after != WATCH_NOBODY && !over(job_of(w, after)->state);
}

static struct equal find_equal(struct watch *w, int64_t work)
{
    struct equal found = {.live = WATCH_NOBODY, .waits = WATCH_NOBODY};
    for (int64_t i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = job_of(w, i);
        if (!j->exists || over(j->state) || !has_key(&w->orders[i]) ||
            w->orders[i].work != work)
            continue;
        if (waits(w, i) && found.waits != WATCH_NOBODY)
            broken(w, "jobs %" PRId64 " and %" PRId64 " both wait for equal work to end",
                   found.waits, i);
        if (waits(w, i)) {
            found.waits = i;
            continue;
        }
        if (found.live != WATCH_NOBODY)
            broken(w, "jobs %" PRId64 " and %" PRId64 " of one unique key are alive",
                   found.live, i);
        found.live = i;
        found.state = j->state;
    }
    return found;
}

void keys_audit(struct watch *w)
{
    for (int64_t work = 0; work < WATCH_WORKS; work++)
        (void)find_equal(w, work);
}

bool keys_taken(struct watch *w, int64_t number)
{
    if (!has_key(&w->orders[number]))
        return false;
    struct equal e = find_equal(w, w->orders[number].work);
    return e.live != WATCH_NOBODY || e.waits != WATCH_NOBODY;
}

/* ---- what an answer may be ---- */

bool keys_is_later(struct watch *w, int64_t lane, err e)
{
    enum store_mode mode = w->seen.mode;
    bool is = (e == E_DRAINING && mode == MODE_DRAINING) ||
              (e == E_MAINTENANCE && mode == MODE_MAINTENANCE) ||
              (e == E_CLOSED && w->seen.lanes[lane].closed) || disk_refuses(e);
    w->sights[SIGHT_turned_away] += is;
    w->sights[SIGHT_no_room] += disk_refuses(e);
    return is;
}

/* It is there already: the answer is the first one's, or that another body came with its key. */
static void check_again(struct watch *w, int64_t job, bool same_body, err e,
                        const struct accept_reply *r, const struct fault *f)
{
    const struct watch_job *j = job_of(w, job);
    err want = w->orders[job].keyless ? E_CONFLICT : same_body ? E_OK : E_BAD_INPUT;
    if (e != want)
        broken(w, "the request of job %" PRId64 " once more was answered: %s", job,
               e ? f->words : "accepted");
    if (!e && (!r->replayed || strcmp(r->id, j->id) != 0))
        broken(w, "job %" PRId64 ", asked for again, became %s", job, r->id);
    w->sights[SIGHT_replayed]++;
}

static void check_made(struct watch *w, int64_t job, const char *id, struct equal before,
                       const struct accept_reply *r)
{
    struct watch_job *j = job_of(w, job);
    const struct watch_order *o = &w->orders[job];
    if (r->replayed || strcmp(r->id, id) != 0 || !j->exists)
        broken(w, "job %" PRId64 ", asked for first, became %s", job, r->id);
    if (w->seen.mode >= MODE_DRAINING || w->seen.lanes[j->lane].closed)
        broken(w, "job %" PRId64 " was taken while none may be", job);
    if (r->state == JOB_BLOCKED && o->work != WATCH_NOBODY && o->wish == WISH_SHARE) {
        j->shares = true;
    } else if (r->state == JOB_BLOCKED) {
        if (!has_key(o) || o->wish != WISH_AFTER || before.state != JOB_ACTIVE)
            broken(w, "job %" PRId64 " waits for another one, and nobody asked for that", job);
        j->after = before.live;
        w->sights[SIGHT_in_line]++;
    } else if (has_key(o) && before.live != WATCH_NOBODY) {
        if (o->wish != WISH_REPLACE || before.state == JOB_ACTIVE)
            broken(w, "job %" PRId64 " was accepted beside job %" PRId64 " of the same key",
                   job, before.live);
        if (job_of(w, before.live)->state != JOB_CANCELLED)
            broken(w, "job %" PRId64 " took the place of job %" PRId64 ", which is %s", job,
                   before.live, job_state_name(job_of(w, before.live)->state));
        w->sights[SIGHT_replaced]++;
    }
}

/* Nothing was made: then a job of that key has to be there, and its wish has to say so. */
static void check_existing(struct watch *w, int64_t job, struct equal before,
                           const struct accept_reply *r)
{
    const struct watch_order *o = &w->orders[job];
    int64_t named = number_of(w, span_of(r->id));
    bool runs = before.live != WATCH_NOBODY && before.state == JOB_ACTIVE;
    if (!has_key(o) || named == WATCH_NOBODY || (named != before.live && named != before.waits))
        broken(w, "job %" PRId64 " was answered with %s, which is not alive with its key", job,
               r->id);
    if (o->wish == WISH_REJECT || (o->wish == WISH_REPLACE && !runs) ||
        (o->wish == WISH_AFTER && runs))
        broken(w, "job %" PRId64 " was answered with %s, and wanted something else", job,
               r->id);
    if (job_of(w, job)->exists)
        broken(w, "job %" PRId64 " was made and answered with %s", job, r->id);
    w->sights[SIGHT_existing]++;
}

static void check_refused(struct watch *w, int64_t job, struct equal before, err e,
                          const struct fault *f)
{
    const struct watch_order *o = &w->orders[job];
    bool alive = before.live != WATCH_NOBODY || before.waits != WATCH_NOBODY;
    if (e != E_CONFLICT || !has_key(o) || o->wish != WISH_REJECT || !alive)
        broken(w, "job %" PRId64 " was refused: %s", job, f->words);
    w->sights[SIGHT_refused]++;
}

static struct accept_args args_of(const struct watch *w, int64_t job, char text[2][48])
{
    const struct watch_order *o = &w->orders[job];
    struct accept_args a = {.site = SPAN("x"),
                            .kind = SPAN("posts"),
                            .lane = span_of(watch_lane_names[o->lane]),
                            .spec = SPAN("{}"),
                            .prio = o->prio,
                            .memory_bytes = o->memory_bytes};
    if (sessions_needed(o->lane)) {
        a.pool = SPAN(WATCH_POOL);
        a.operation = SPAN("read");
    }
    snprintf(text[0], 48, "key-%" PRId64 "-%" PRId64, w->round, job);
    snprintf(text[1], 48, "work-%" PRId64 "-%" PRId64, w->round, o->work);
    a.idempotency_key = o->keyless ? SPAN_NONE : span_of(text[0]);
    if (o->work == WATCH_NOBODY)
        return a;
    if (has_key(o)) {
        a.unique_key = span_of(text[1]);
        a.on_conflict = (enum unique_mode)o->wish;
        a.fresh_within_ms = o->young ? FRESH_MS : 0;
        return a;
    }
    a.work = 1 + w->round * WATCH_WORKS + o->work;
    a.max_age_ms = o->wish == WISH_FRESH ? FRESH_MS : 0;
    a.coalesce = o->wish == WISH_SHARE;
    return a;
}

err watch_accept(struct watch *w, int64_t job, int64_t try, uint64_t hash, int64_t now,
                 bool *out_wait)
{
    char id[ID_TEXT], text[2][48];
    struct fault f = {0};
    struct accept_reply reply = {.replayed = false};
    const struct watch_order *o = &w->orders[job];
    bool existed = job_of(w, job)->exists;
    struct equal before = find_equal(w, o->work);
    struct accept_args args = args_of(w, job, text);
    id_of_try(w, job, o->keyless ? 0 : try, id);
    args.id = args.target = span_of(id);
    args.request_hash = hash;
    err e = store_accept(w->s, &args, (wall){now}, &reply, &f);
    hear(w, now);
    /* Who asks again is told what became of the first time, whatever is taken now. */
    *out_wait = (!existed || o->keyless) && keys_is_later(w, o->lane, e);
    if (*out_wait)
        return e;
    if (existed)
        check_again(w, job, hash == 1, e, &reply, &f);
    else if (e)
        check_refused(w, job, before, e, &f);
    else if (reply.existing)
        check_existing(w, job, before, &reply);
    else
        check_made(w, job, id, before, &reply);
    (void)find_equal(w, o->work);
    return e;
}

/* ---- what comes of it ---- */

void keys_on_start(struct watch *w, int64_t number)
{
    const struct watch_order *o = &w->orders[number];
    if (waits(w, number))
        broken(w, "job %" PRId64 " was started before job %" PRId64 " had ended", number,
               job_of(w, number)->after);
    for (int64_t i = 0; o->work != WATCH_NOBODY && o->wish == WISH_SHARE && i < WATCH_ALL; i++)
        if (i != number && w->orders[i].work == o->work && job_of(w, i)->state == JOB_ACTIVE &&
            !job_of(w, i)->generation && !job_of(w, number)->generation)
            broken(w, "jobs %" PRId64 " and %" PRId64 " do the same work at once", i, number);
}

/* Without a lease of its own: the store counts one that it granted and ended itself. */
void keys_on_answer(struct watch *w, int64_t number, struct span body, int64_t now)
{
    struct watch_job *j = job_of(w, number);
    const struct watch_order *o = &w->orders[number];
    struct span source = text_in(body, "source");
    int64_t from = number_of(w, text_in(body, "from_job"));
    bool cached = span_is(source, "cache");
    if (o->work == WATCH_NOBODY || from == WATCH_NOBODY || w->orders[from].work != o->work ||
        job_of(w, from)->state != JOB_SUCCEEDED)
        broken(w, "job %" PRId64 " became succeeded without a lease", number);
    bool asked =
        cached ? o->wish == WISH_FRESH || o->young : o->wish == WISH_SHARE && j->shares;
    if (!asked)
        broken(w, "job %" PRId64 " has the result of job %" PRId64 ", and did not ask for it",
               number, from);
    int64_t owner = job_of(w, from)->from == WATCH_NOBODY ? from : job_of(w, from)->from;
    int64_t age = now - job_of(w, owner)->finished_ms;
    if (cached && age > FRESH_MS)
        broken(w,
               "job %" PRId64 " was answered with what job %" PRId64 " had read %" PRId64
               " ms before, and wanted it at most %d ms old",
               number, owner, age, FRESH_MS);
    j->from = owner;
    j->fence++;
    j->ends++;
    j->next_batch = job_of(w, owner)->next_batch;
    w->sights[o->young ? SIGHT_young : cached ? SIGHT_cached : SIGHT_shared]++;
}

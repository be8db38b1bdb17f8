/* hands.c - what people do: a cancel holds from its answer on, by force at once; nothing starts in what is paused, nothing comes
 * into what is closed or drained; who comes back after its end may do so. */
#include "look.h"

#include <inttypes.h>

void hands_on_start(struct watch *w, int64_t number)
{
    if (w->seen.mode == MODE_PAUSED || w->seen.mode == MODE_MAINTENANCE)
        broken(w, "job %" PRId64 " was started while the service is %s", number,
               mode_name(w->seen.mode));
    if (w->seen.lanes[job_of(w, number)->lane].paused)
        broken(w, "job %" PRId64 " was started in a lane that is paused", number);
}

/* ---- cancel ---- */

err watch_cancel(struct watch *w, int64_t job, struct watch_stop how, int64_t now,
                 bool *out_active)
{
    char id[ID_TEXT];
    struct fault f = {0};
    struct cancel_reply reply = {0};
    struct watch_job *j = job_of(w, job);
    enum job_state before = j->state;
    bool asked = j->cancelled;
    id_of(w, job, id);
    struct cancel_args args = {.id = span_of(id), .force = how.force, .grace_ms = how.grace_ms};
    err e = store_cancel(w->s, &args, (wall){now}, &reply, &f);
    hear(w, now);
    if (!j->exists) {
        if (e != E_NOT_FOUND)
            broken(w, "a job that was never accepted was cancelled");
        return e;
    }
    if ((e == E_CONFLICT) != (over(before) && before != JOB_CANCELLED))
        broken(w, "the cancel of job %" PRId64 " (%s) was answered: %s", job,
               job_state_name(before), e ? f.words : "done");
    if (e)
        return e;
    if (reply.active != (before == JOB_ACTIVE) ||
        (j->state != JOB_CANCELLED && (how.force || !reply.active)) ||
        (j->state == JOB_CANCELLED && j->nonce))
        broken(w, "job %" PRId64 ", which was %s, is %s after its cancel", job,
               job_state_name(before), job_state_name(j->state));
    if (reply.active && !how.force && how.grace_ms && !asked &&
        j->stop_by_ms != now + how.grace_ms)
        broken(w, "job %" PRId64 " was not asked to stop within %" PRId64 " ms", job,
               how.grace_ms);
    j->cancelled = true;
    w->sights[SIGHT_forced] += reply.active && how.force;
    *out_active = reply.active;
    return E_OK;
}

/* Whoever asked for it: a person, or an operation. */
void hands_on_stopping(struct watch *w, int64_t number, struct span body, int64_t now)
{
    struct watch_job *j = job_of(w, number);
    int64_t grace = number_in(body, "grace_ms");
    if (j->state != JOB_ACTIVE)
        broken(w, "job %" PRId64 " was asked to stop, and is %s", number,
               job_state_name(j->state));
    j->cancelled = true;
    j->stop_by_ms = grace ? now + grace : 0;
}

void hands_after_reap(struct watch *w, int64_t now)
{
    for (int64_t i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = job_of(w, i);
        if (j->state == JOB_ACTIVE && j->stop_by_ms && j->stop_by_ms <= now)
            broken(w, "job %" PRId64 " was to stop %" PRId64 " ms ago, and holds its lease", i,
                   now - j->stop_by_ms);
    }
}

/* ---- lanes and the whole ---- */

err watch_lane_act(struct watch *w, int64_t lane, enum lane_act act, int64_t now)
{
    struct fault f = {0};
    struct watch_lane *l = &w->seen.lanes[lane];
    struct lane_change change = {.name = span_of(watch_lane_names[lane]),
                                 .act = act,
                                 .by = SPAN("ann"),
                                 .why = SPAN("simulated")};
    if (store_lane_change(w->s, &change, (wall){now}, &f))
        broken(w, "a lane was not changed: %s", f.words);
    hear(w, now);
    w->sights[SIGHT_pauses] += act == LANE_ACT_PAUSE && !l->paused;
    w->sights[SIGHT_closed] += act == LANE_ACT_CLOSE && !l->closed;
    l->paused = act == LANE_ACT_PAUSE || (l->paused && act != LANE_ACT_RESUME);
    l->closed = act == LANE_ACT_CLOSE || (l->closed && act != LANE_ACT_OPEN);
    return E_OK;
}

err watch_mode(struct watch *w, enum store_mode mode, int64_t now)
{
    struct fault f = {0};
    if (store_mode_set(w->s, mode, SPAN("ann"), SPAN("simulated"), (wall){now}, &f))
        broken(w, "the mode was not set: %s", f.words);
    w->sights[SIGHT_modes] += w->seen.mode != mode;
    w->seen.mode = mode;
    hear(w, now);
    return E_OK;
}

/* ---- coming back ---- */

void hands_on_replay(struct watch *w, int64_t number, int64_t now)
{
    struct watch_job *j = job_of(w, number);
    (void)now;
    if (!over(j->state) || j->state == JOB_SUCCEEDED)
        broken(w, "job %" PRId64 ", which was %s, came back", number, job_state_name(j->state));
    if (keys_taken(w, number))
        broken(w, "job %" PRId64 " came back beside another one of its unique key", number);
    if (w->seen.mode >= MODE_DRAINING || w->seen.lanes[j->lane].closed)
        broken(w, "job %" PRId64 " came back while none may", number);
    batch_on_replay(w, number);
    j->state = JOB_READY;
    j->cancelled = false;
    j->generation++;
    w->sights[SIGHT_come_back]++;
}

err watch_replay(struct watch *w, int64_t job, bool reset, int64_t now)
{
    char id[ID_TEXT];
    struct fault f = {0};
    struct replay_reply reply = {0};
    struct watch_job *j = job_of(w, job);
    enum job_state was = j->state;
    bool may = j->exists && over(was) && was != JOB_SUCCEEDED && !keys_taken(w, job);
    id_of(w, job, id);
    err e = store_replay(w->s, &(struct replay_args){.id = span_of(id), .reset = reset},
                         (wall){now}, &reply, &f);
    hear(w, now);
    if (e && keys_is_later(w, j->lane, e))
        return e;
    if (may != (e == E_OK) || (e && e != (j->exists ? E_CONFLICT : E_NOT_FOUND)))
        broken(w, "the replay of job %" PRId64 ", which was %s, was answered: %s", job,
               j->exists ? job_state_name(was) : "not there", e ? f.words : "done");
    if (!e && (reply.was != was || reply.generation != j->generation || over(j->state)))
        broken(w, "job %" PRId64 " was replayed, and is %s of generation %" PRId64, job,
               job_state_name(j->state), reply.generation);
    w->sights[SIGHT_may_not_return] += e == E_CONFLICT;
    return e;
}

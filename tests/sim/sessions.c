/* sessions.c - logins: each is leased by one job at most, rests as long as the site said, and comes by turns. */
#include "look.h"

#include "store/sessions.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t BLOCKED_REST_MS = 15 * 60 * 1000; /* when a challenge was shown */

bool sessions_needed(int64_t lane)
{
    return lane == WATCH_SESSIONED || lane == WATCH_SESSIONED_ALONE;
}

void sessions_open(struct watch *w, int64_t now)
{
    for (int i = 0; i < WATCH_SESSIONS; i++) {
        struct watch_session *k = &w->seen.sessions[i];
        struct fault f = {0};
        char name[16];
        snprintf(k->id, sizeof k->id, "ses_%026d", i + 1);
        snprintf(name, sizeof name, "login-%d", i);
        k->job = WATCH_NOBODY;
        struct session_add add = {.id = span_of(k->id),
                                  .site = SPAN("x"),
                                  .pool = SPAN(WATCH_POOL),
                                  .name = span_of(name),
                                  .burst = 1,
                                  .max_active = 1};
        struct session_cookies cookies = {.session = span_of(k->id),
                                          .text = SPAN("[{\"name\":\"a\",\"value\":\"b\"}]"),
                                          .count = 1};
        if (store_session_add(w->s, &add, (wall){now}, &f) ||
            store_session_cookies(w->s, &cookies, (wall){now}, &f))
            broken(w, "a session was refused: %s", f.words);
    }
}

void sessions_on_start(struct watch *w, int64_t number, struct span body, int64_t now)
{
    struct span id = text_in(body, "session");
    struct watch_session *taken = NULL;
    if (sessions_needed(job_of(w, number)->lane) != (id.n > 0))
        broken(w, "job %" PRId64 " was started with session \"%.*s\"", number, SP(id));
    for (int i = 0; id.n && i < WATCH_SESSIONS; i++)
        if (span_is(id, w->seen.sessions[i].id))
            taken = &w->seen.sessions[i];
    if (!id.n)
        return;
    if (!taken)
        broken(w, "job %" PRId64 " has a session that nobody made", number);
    if (taken->job != WATCH_NOBODY)
        broken(w, "jobs %" PRId64 " and %" PRId64 " have one session", taken->job, number);
    if (now < taken->rests_until)
        broken(w, "job %" PRId64 " has a session that rests for %" PRId64 " ms", number,
               taken->rests_until - now);
    for (int i = 0; i < WATCH_SESSIONS; i++) {
        const struct watch_session *k = &w->seen.sessions[i];
        if (k->job == WATCH_NOBODY && k->may_rest_until <= now && k->used_ms < taken->used_ms)
            broken(w, "job %" PRId64 " has a session that was used later than another one",
                   number);
    }
    for (int i = 0; i < WATCH_SESSIONS; i++) /* by when is no answer: the clock may be set */
        if (w->seen.sessions[i].last == number)
            w->seen.sessions[i].last = WATCH_NOBODY;
    taken->job = number;
    taken->last = WATCH_NOBODY;
    taken->used_ms = now;
    w->sights[SIGHT_logins]++;
}

void sessions_on_end(struct watch *w, int64_t number)
{
    for (int i = 0; i < WATCH_SESSIONS; i++) {
        struct watch_session *k = &w->seen.sessions[i];
        k->last = k->job == number ? number : k->last;
        k->job = k->job == number ? WATCH_NOBODY : k->job;
    }
}

static struct watch_session *last_of(struct watch *w, int64_t number)
{
    for (int i = 0; i < WATCH_SESSIONS; i++)
        if (w->seen.sessions[i].last == number)
            return &w->seen.sessions[i];
    return NULL;
}

void sessions_on_finish(struct watch *w, int64_t number, struct watch_ending e, int64_t now)
{
    struct watch_session *k = last_of(w, number);
    int64_t rest = e.failure == FAILURE_BLOCKED        ? BLOCKED_REST_MS
                   : e.failure == FAILURE_RATE_LIMITED ? e.wait_ms
                                                       : 0;
    if (!k || e.budget != BUDGET_NONE)
        return;
    if (now + rest > k->rests_until)
        k->rests_until = now + rest;
    /* Without a time from the site it rests as long as the job would have: how long is not said. */
    int64_t may =
        e.failure == FAILURE_RATE_LIMITED && !rest ? 2 * w->limits.retry_cap_ms : rest;
    if (now + may > k->may_rest_until)
        k->may_rest_until = now + may;
    w->sights[SIGHT_rests] += rest > 0;
}

void sessions_audit(struct watch *w, int64_t now)
{
    for (int i = 0; i < WATCH_SESSIONS; i++) {
        const struct watch_session *k = &w->seen.sessions[i];
        struct session_view v;
        struct fault f = {0};
        if (store_session(w->s, span_of(k->id), (wall){now}, &v, &f))
            broken(w, "a session is not there: %s", f.words);
        if (v.active != (k->job != WATCH_NOBODY))
            broken(w, "session %d is leased by %" PRId64 " jobs, by what was heard it is %s", i,
                   v.active, k->job == WATCH_NOBODY ? "free" : "taken");
    }
}

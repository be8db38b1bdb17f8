/* A job that waits is changed, held, let go: the same on every store. */
#include "../lib/scenario.h"

#include "store/dead.h"

#include <string.h>

static struct job_change change_of(const char *id)
{
    return job_change_none(span_of(id));
}

static err try_change(const struct job_change *c)
{
    GROUPED(store_change(w->s, c, now(), &w->f));
}

static void change(const struct job_change *c)
{
    err e = try_change(c);
    if (e)
        fail_msg("change: %s: %s", err_name(e), w->f.words);
}

static void hold(const char *id, enum job_hold how)
{
    struct job_change c = change_of(id);
    c.hold = how;
    change(&c);
}

static void refused(const struct job_change *c, err why, const char *words)
{
    struct span before = look();
    assert_int_equal(try_change(c), why);
    if (!strstr(w->f.words, words))
        fail_msg("\"%s\" does not say \"%s\"", w->f.words, words);
    same_look(before, look());
}

static int64_t events_of(const char *id, const char *kind)
{
    struct event_view *events;
    size_t count;
    int64_t n = 0;
    assert_int_equal(store_events(w->s, 0, span_of(id), 500, w->a, &events, &count, &w->f),
                     E_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i].number, i + 1);
        n += span_is(events[i].kind, kind);
    }
    return n;
}

/* ---- hold ---- */

static void a_held_job_starts_when_it_is_let_go_and_not_before(void **state)
{
    (void)state;
    const char *id = accept_job();
    hold(id, HOLD_ON);
    struct job_view v = view(id);
    assert_int_equal(v.state, JOB_SCHEDULED);
    assert_true(v.held);
    assert_int_equal(v.waiting, WAITING_HOLD);
    assert_int_equal(v.waiting_until_ms, 0);
    for (int hour = 0; hour < 48; hour++) {
        pass(HOUR);
        assert_true(has_none());
        assert_int_equal(outlook().startable, 0);
    }
    assert_int_equal(outlook().next_ms, INT64_MAX);
    crash();
    assert_true(view(id).held && has_none());
    hold(id, HOLD_OFF);
    v = view(id);
    assert_int_equal(v.state, JOB_READY);
    assert_false(v.held);
    assert_int_equal(outlook().startable, 1);
    assert_string_equal(lease_next().id, id);
    assert_int_equal(events_of(id, "job.held"), 1);
    assert_int_equal(events_of(id, "job.unheld"), 1);
}

static void a_job_may_be_accepted_held(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.held = true;
    assert_int_equal(accept_args(&args).state, JOB_SCHEDULED);
    assert_true(view(args.id.p).held && has_none());
    const char *later = new_id();
    args.id = span_of(later);
    args.run_at_ms = w->now + HOUR;
    accept_args(&args);
    hold(later, HOLD_OFF);
    struct job_view v = view(later);
    assert_int_equal(v.state, JOB_SCHEDULED); /* its time has not come */
    assert_int_equal(v.run_at_ms, T0 + HOUR);
    assert_true(has_none());
    pass(HOUR);
    assert_string_equal(lease_next().id, later);
}

/* To hold what is held, to let go what nobody holds: nothing happens, and nobody is told. */
static void what_is_so_already_is_no_change(void **state)
{
    (void)state;
    const char *id = accept_job();
    hold(id, HOLD_OFF);
    struct span before = look();
    hold(id, HOLD_OFF);
    hold(id, HOLD_AS_IT_IS);
    same_look(before, look());
    hold(id, HOLD_ON);
    before = look();
    int64_t revision = view(id).revision;
    hold(id, HOLD_ON);
    same_look(before, look());
    assert_int_equal(view(id).revision, revision);
}

static void a_held_job_keeps_its_times(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.expires_ms = w->now + HOUR;
    accept_args(&args);
    hold(args.id.p, HOLD_ON);
    pass(HOUR);
    assert_int_equal(state_of(args.id.p), JOB_EXPIRED);

    const char *id = new_id();
    args = job_args(id, "x/normal");
    args.run_at_ms = w->now + 2 * HOUR;
    accept_args(&args);
    hold(id, HOLD_ON);
    assert_int_equal(view(id).run_at_ms, args.run_at_ms);
    pass(3 * HOUR);
    assert_true(has_none());
    hold(id, HOLD_OFF);
    assert_string_equal(lease_next().id, id);
}

/* Held after a failure: the backoff is not lost, and has passed when it is let go. */
static void a_held_retry_keeps_its_backoff(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease l = start_next();
    finish(&l, FAILURE_NETWORK);
    int64_t due = view(id).run_at_ms;
    assert_true(due > w->now);
    hold(id, HOLD_ON);
    hold(id, HOLD_OFF);
    assert_int_equal(view(id).state, JOB_SCHEDULED);
    assert_int_equal(view(id).run_at_ms, due);
    hold(id, HOLD_ON);
    pass(HOUR);
    hold(id, HOLD_OFF);
    assert_string_equal(lease_next().id, id);
}

static void a_held_job_that_waits_for_another_is_held_behind_it(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    accept_args(&args);
    struct lease l = start_next();
    const char *second = new_id();
    args.id = span_of(second);
    args.on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED);
    hold(second, HOLD_ON);
    assert_int_equal(view(second).state, JOB_BLOCKED);
    assert_true(view(second).held);
    finish(&l, FAILURE_NONE);
    assert_int_equal(view(second).state, JOB_SCHEDULED);
    assert_true(view(second).held);
    pass(HOUR);
    assert_true(has_none());
    hold(second, HOLD_OFF);
    assert_string_equal(lease_next().id, second);
}

static void a_held_job_is_cancelled_and_comes_back_free(void **state)
{
    (void)state;
    const char *id = accept_job();
    hold(id, HOLD_ON);
    cancel(id, false);
    assert_int_equal(state_of(id), JOB_CANCELLED);
    assert_false(view(id).held);
    struct replay_args args = {.id = span_of(id)};
    struct replay_reply reply;
    begin();
    assert_int_equal(store_replay(w->s, &args, now(), &reply, &w->f), E_OK);
    commit();
    assert_int_equal(view(id).state, JOB_READY);
    assert_string_equal(lease_next().id, id);
}

static struct accept_args same_work(const char *id)
{
    struct accept_args args = job_args(id, "x/normal");
    args.work = 77;
    args.coalesce = true;
    return args;
}

/* A job that does nothing holds up nobody who wants the same. */
static void nobody_shares_the_work_of_a_held_job(void **state)
{
    (void)state;
    const char *first = new_id(), *second = new_id();
    struct accept_args args = same_work(first);
    accept_args(&args);
    hold(first, HOLD_ON);
    args = same_work(second);
    assert_int_equal(accept_args(&args).state, JOB_READY);
    args = same_work(new_id());
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED); /* for the second */
    struct job_change c = change_of(second);
    c.hold = HOLD_ON;
    refused(&c, E_CONFLICT, "waits for the result");
    c = change_of(second);
    c.limit = 3;
    c.spec = SPAN("{\"limit\":3}");
    refused(&c, E_CONFLICT, "waits for the result");
    struct lease l = start_next();
    assert_string_equal(l.id, second);
    finish(&l, FAILURE_NONE);
    assert_int_equal(state_of(args.id.p), JOB_SUCCEEDED);
    assert_int_equal(state_of(first), JOB_SCHEDULED);
}

/* ---- priority, times, limit ---- */

static void a_priority_changes_whose_turn_it_is(void **state)
{
    (void)state;
    const char *first = accept_job(), *second = accept_job(), *third = accept_job();
    struct job_change c = change_of(third);
    c.prio = 9;
    change(&c);
    assert_int_equal(view(third).prio, 9);
    c = change_of(first);
    c.prio = 0;
    change(&c);
    assert_string_equal(lease_next().id, third);
    assert_string_equal(lease_next().id, second);
    assert_string_equal(lease_next().id, first);
    assert_int_equal(events_of(third, "job.changed"), 1);
}

static void a_priority_that_is_taken_back_is_that_of_its_lane(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct job_change c = change_of(id);
    c.prio = 1;
    change(&c);
    c.prio = CHANGE_PRIO_OF_LANE;
    change(&c);
    assert_int_equal(view(id).prio, 5); /* its lane has none */
    struct lane_change lane = lane_sets("x/normal");
    lane.settings.prio = 8;
    assert_int_equal(lane_change(&lane), E_OK);
    assert_int_equal(view(id).prio, 5); /* those that are there keep theirs */
    const char *other = accept_job();   /* with a priority of its own */
    change(&c);
    assert_int_equal(view(id).prio, 8);
    assert_int_equal(view(other).prio, 5);
    assert_string_equal(lease_next().id, id);
}

/* One that was given back stands in front of its lane, and still does when something else of it changes. */
static void a_change_of_other_things_keeps_the_place(void **state)
{
    (void)state;
    const char *first = accept_job();
    struct lease l = start_next();
    pass(MINUTE);
    const char *second = accept_job();
    give_back(&l, BUDGET_RELEASE);
    struct job_change c = change_of(first);
    c.expires_ms = w->now + HOUR;
    c.attempt_ms = 5000;
    change(&c);
    l = lease_next();
    assert_string_equal(l.id, first);
    assert_int_equal(l.attempt_ms, 5000);
    assert_string_equal(lease_next().id, second);
}

static void a_priority_survives_the_hold(void **state)
{
    (void)state;
    const char *first = accept_job(), *second = accept_job();
    hold(first, HOLD_ON);
    struct job_change c = change_of(first);
    c.prio = 8;
    change(&c);
    assert_true(view(first).held);
    hold(first, HOLD_OFF);
    assert_string_equal(lease_next().id, first);
    assert_string_equal(lease_next().id, second);
}

static void a_start_is_put_off_or_brought_forward(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct job_change c = change_of(id);
    c.run_at_ms = w->now + HOUR;
    change(&c);
    assert_int_equal(view(id).state, JOB_SCHEDULED);
    assert_int_equal(view(id).waiting, WAITING_TIME);
    assert_int_equal(outlook().next_ms, T0 + HOUR);
    assert_true(has_none());
    c.run_at_ms = w->now + MINUTE;
    change(&c);
    assert_int_equal(outlook().next_ms, T0 + MINUTE);
    c.run_at_ms = 0;
    change(&c);
    assert_int_equal(view(id).state, JOB_READY);
    assert_int_equal(outlook().startable, 1);
    struct lease l = start_next();
    finish(&l, FAILURE_NETWORK);
    assert_true(has_none());
    change(&c); /* a retry that somebody does not want to wait for */
    assert_string_equal(lease_next().id, id);
}

static void ends_are_put_off_and_taken_back(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.run_at_ms = w->now + 10 * HOUR;
    args.expires_ms = w->now + HOUR;
    args.deadline_ms = w->now + 2 * HOUR;
    accept_args(&args);
    struct job_change c = change_of(args.id.p);
    c.expires_ms = 0; /* then only the deadline holds */
    change(&c);
    assert_int_equal(view(args.id.p).expires_ms, T0 + 2 * HOUR);
    c = change_of(args.id.p);
    c.deadline_ms = T0 + 5 * HOUR;
    change(&c);
    assert_int_equal(view(args.id.p).deadline_ms, T0 + 5 * HOUR);
    pass(3 * HOUR);
    assert_int_equal(state_of(args.id.p), JOB_SCHEDULED);
    c.deadline_ms = 0;
    change(&c);
    pass(3 * HOUR);
    assert_int_equal(state_of(args.id.p), JOB_SCHEDULED);
    c.expires_ms = w->now + MINUTE;
    change(&c);
    assert_int_equal(outlook().next_ms, w->now + MINUTE);
    pass(MINUTE);
    assert_int_equal(state_of(args.id.p), JOB_EXPIRED);
}

static void a_limit_changes_with_its_options(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.limit = 10;
    args.spec = SPAN("{\"limit\":10}");
    args.work = 5;
    accept_args(&args);
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 4), E_OK);
    struct job_change c = change_of(args.id.p);
    c.limit = 20;
    c.spec = SPAN("{\"limit\":20}");
    c.work = 6;
    refused(&c, E_CONFLICT, "only a job that waits");
    give_back(&l, BUDGET_RELEASE);
    c.limit = 3;
    refused(&c, E_CONFLICT, "has 4 records already");
    c.limit = 20;
    change(&c);
    struct job_view v = view(args.id.p);
    assert_int_equal(v.limit, 20);
    assert_true(span_is(v.spec, "{\"limit\":20}") && span_is(v.kind, "posts") &&
                span_is(v.target, "nasa"));
    l = lease_next();
    assert_int_equal(l.limit, 20);
    assert_true(span_is(l.spec, "{\"limit\":20}"));
    assert_int_equal(l.have, 4);
    /* its work is another now: who wants what it was asked for first finds nobody who does that */
    struct accept_args other = same_work(new_id());
    other.work = 5;
    assert_int_equal(accept_args(&other).state, JOB_READY);
    other = same_work(new_id());
    other.work = 6;
    assert_int_equal(accept_args(&other).state, JOB_BLOCKED);
}

/* ---- labels ---- */

static void label(const char *id, const char *change_text)
{
    struct job_change c = change_of(id);
    c.labels = span_of(change_text);
    change(&c);
}

static void spec_is(const char *id, const char *spec)
{
    if (!span_is(view(id).spec, spec))
        fail_msg("%.*s, not %s", SP(view(id).spec), spec);
}

/* Whatever a job does, its labels change, and nothing else of it. */
static void labels_of_any_job_change(void **state)
{
    (void)state;
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.spec = SPAN("{\"limit\":5,\"labels\":{\"team\":\"press\"}}");
    args.limit = 5;
    accept_args(&args);
    label(id, "{\"desk\":\"Zürich } 1\",\"none\":null}");
    spec_is(id, "{\"limit\":5,\"labels\":{\"desk\":\"Zürich } 1\",\"team\":\"press\"}}");
    struct lease l = start_next();
    label(id, "{\"desk\":null,\"run\":\"1\"}");
    spec_is(id, "{\"limit\":5,\"labels\":{\"run\":\"1\",\"team\":\"press\"}}");
    assert_int_equal(state_of(id), JOB_ACTIVE);
    finish(&l, FAILURE_NONE);
    int64_t revision = view(id).revision;
    label(id, "{\"run\":null,\"team\":null}");
    crash();
    spec_is(id, "{\"limit\":5}");
    assert_int_equal(view(id).revision, revision + 1);
    assert_int_equal(state_of(id), JOB_SUCCEEDED);
    assert_int_equal(events_of(id, "job.changed"), 3);
    struct job_change c = change_of(id);
    c.labels = SPAN("{\"a\":\"b\"}");
    c.prio = 7;
    refused(&c, E_CONFLICT, "is succeeded");
}

static void labels_change_with_other_things(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct job_change c = change_of(id);
    c.labels = SPAN("{\"a\":\"b\"}");
    c.prio = 8;
    c.limit = 7;
    c.spec = SPAN("{\"limit\":7}");
    c.revision = view(id).revision;
    change(&c);
    spec_is(id, "{\"limit\":7,\"labels\":{\"a\":\"b\"}}");
    assert_int_equal(view(id).prio, 8);
    assert_int_equal(view(id).limit, 7);
    c = change_of(id);
    c.labels = SPAN("{\"a\":null}");
    c.revision = view(id).revision - 1;
    refused(&c, E_STALE, "changed meanwhile");
    c.revision = -1;
    c.labels = SPAN("{\"a b\":\"c\"}");
    refused(&c, E_BAD_INPUT, "labels");
    assert_string_equal(lease_next().id, id);
}

static void a_job_has_only_so_many_labels(void **state)
{
    (void)state;
    const char *id = accept_job();
    char one[40];
    for (int i = 0; i < 16; i++) {
        snprintf(one, sizeof one, "{\"n%02d\":\"v\"}", i);
        label(id, one);
    }
    struct job_change c = change_of(id);
    c.labels = SPAN("{\"more\":\"v\"}");
    refused(&c, E_TOO_BIG, "more than 16 labels");
    label(id, "{\"more\":\"v\",\"n00\":null}");
    label(id, "{\"n05\":\"w\"}");
    assert_true(span_find(view(id).spec, SPAN("\"more\":\"v\"")) < view(id).spec.n);
}

static void labels_fit_into_the_options(void **state)
{
    (void)state;
    static char spec[STORE_SPEC_MAX + 1];
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    int length =
        snprintf(spec, sizeof spec, "{\"limit\":5,\"pad\":\"%*s\"}", STORE_SPEC_MAX - 64, "");
    args.spec = (struct span){spec, (size_t)length};
    accept_args(&args);
    struct job_change c = change_of(id);
    c.labels = SPAN("{\"team\":\"0123456789012345678901234567890123456789\"}");
    refused(&c, E_TOO_BIG, "65536 bytes");
    label(id, "{\"a\":\"b\"}");
    assert_true(view(id).spec.n > STORE_SPEC_MAX - 64 && view(id).spec.n <= STORE_SPEC_MAX);
}

/* ---- refusals ---- */

static void what_does_not_wait_is_not_changed(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct job_change c = change_of(id);
    c.prio = 7;
    struct lease l = start_next();
    refused(&c, E_CONFLICT, "is active");
    finish(&l, FAILURE_NONE);
    refused(&c, E_CONFLICT, "is succeeded");
    c.id = SPAN("job_none");
    refused(&c, E_NOT_FOUND, "no job");
    c = change_of(accept_job());
    c.prio = 10;
    refused(&c, E_BAD_INPUT, "0 to 9");
    c.prio = CHANGE_NOT;
    c.run_at_ms = -5;
    refused(&c, E_BAD_INPUT, "times");
}

static void a_change_may_be_of_what_was_seen_only(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct job_change c = change_of(id);
    c.revision = view(id).revision;
    c.prio = 7;
    change(&c);
    assert_int_equal(view(id).revision, c.revision + 1);
    c.prio = 8;
    refused(&c, E_STALE, "changed meanwhile");
    assert_int_equal(view(id).prio, 7);
}

/* Of many that are held and let go none is lost, doubled or forgotten by a count. */
static void counts_follow_each_hold(void **state)
{
    (void)state;
    enum { JOBS = 60 };
    const char *ids[JOBS];
    for (int i = 0; i < JOBS; i++)
        ids[i] = accept_in(i % 2 ? "x/normal" : "y/bulk");
    for (int i = 0; i < JOBS; i += 3)
        hold(ids[i], HOLD_ON);
    assert_int_equal(outlook().by_state[JOB_SCHEDULED], JOBS / 3);
    assert_int_equal(outlook().by_state[JOB_READY], JOBS - JOBS / 3);
    int64_t started_jobs = 0;
    struct lease l;
    while (reserve(&l))
        started_jobs++;
    assert_int_equal(started_jobs, JOBS - JOBS / 3);
    for (int i = 0; i < JOBS; i += 3)
        hold(ids[i], HOLD_OFF);
    while (reserve(&l))
        started_jobs++;
    assert_int_equal(started_jobs, JOBS);
    assert_int_equal(lane("x/normal").active + lane("y/bulk").active, JOBS);
    assert_int_equal(lane("x/normal").scheduled + lane("y/bulk").scheduled, 0);
}

static const struct CMUnitTest tests[] = {
    S(a_held_job_starts_when_it_is_let_go_and_not_before),
    S(a_job_may_be_accepted_held),
    S(what_is_so_already_is_no_change),
    S(a_held_job_keeps_its_times),
    S(a_held_retry_keeps_its_backoff),
    S(a_held_job_that_waits_for_another_is_held_behind_it),
    S(a_held_job_is_cancelled_and_comes_back_free),
    S(nobody_shares_the_work_of_a_held_job),
    S(a_priority_changes_whose_turn_it_is),
    S(a_change_of_other_things_keeps_the_place),
    S(a_priority_survives_the_hold),
    S(a_priority_that_is_taken_back_is_that_of_its_lane),
    S(a_start_is_put_off_or_brought_forward),
    S(ends_are_put_off_and_taken_back),
    S(a_limit_changes_with_its_options),
    S(labels_of_any_job_change),
    S(labels_change_with_other_things),
    S(a_job_has_only_so_many_labels),
    S(labels_fit_into_the_options),
    S(what_does_not_wait_is_not_changed),
    S(a_change_may_be_of_what_was_seen_only),
    S(counts_follow_each_hold),
};

RUN_ON_ALL_STORES(tests)

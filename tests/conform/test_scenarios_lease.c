/* Scenarios S20-S30: one lease is in force, what it does counts once, and every one that was ever granted is
 * accounted for. */
#include "../lib/scenario.h"

#include <string.h>

static const int64_t LEASE = 15000, GAP = 5000;

/* By what is announced alone, until the job may start again; the time that took. */
static int64_t until_startable(void)
{
    int64_t began = w->now;
    while (outlook().startable == 0)
        if (!go_on(began + HOUR))
            fail_msg("the job does not come back");
    return w->now - began;
}

static void
s20_a_dead_worker_costs_one_crash_and_its_job_is_back_within_a_lease_and_two_gaps(void **state)
{
    (void)state;
    const char *id = accept_job();
    start_next();
    assert_true(until_startable() <= LEASE + 2 * GAP);
    struct job_view v = view(id);
    assert_int_equal(v.n_crash, 1);
    assert_int_equal(v.n_fail + v.n_release + v.n_throttle, 0);
    /* When its socket closes nobody waits for the lease. */
    struct lease l = start_next();
    assert_int_equal(commit_batch(&l, 0, 0, 1), E_OK);
    struct finish_reply r = give_back(&l, BUDGET_CRASH);
    assert_int_equal(r.state, JOB_SCHEDULED);
    assert_true(r.retry_in_ms <= 2 * w->limits.retry_base_ms); /* the second of its crashes */
    assert_int_equal(until_startable(), r.retry_in_ms);
    assert_int_equal(view(id).n_crash, 2);
}

static err late_evidence(const struct lease *l)
{
    struct evidence_args args = {.id = span_of(l->id),
                                 .nonce = l->nonce,
                                 .strategy = SPAN("capture"),
                                 .name = SPAN("page"),
                                 .url = SPAN("https://x.test/"),
                                 .headers = SPAN("{}"),
                                 .body = SPAN("late")};
    struct evidence_reply reply;
    GROUPED(store_evidence_add(w->s, &args, now(), &reply, &w->f));
}

static err late_file(const struct lease *l)
{
    struct file_take_args args = {
        .id = span_of(l->id), .nonce = l->nonce, .url = SPAN("https://x.test/a.jpg")};
    struct file_take_reply reply;
    GROUPED(store_file_take(w->s, &args, &reply, &w->f));
}

/* Whatever a worker may call by a lease that it no longer has. */
static void expect_stale(const struct lease *l, int64_t batch)
{
    struct span before = look();
    struct finish_reply r;
    static const enum failure_budget budgets[] = {BUDGET_NONE, BUDGET_RELEASE, BUDGET_CRASH};
    assert_int_equal(commit_batch(l, batch, 900, 3), E_STALE);
    assert_int_equal(commit_batch(l, batch + 1, 900, 3), E_STALE);
    assert_int_equal(heartbeat(l, NULL), E_STALE);
    assert_int_equal(started(l), E_STALE);
    assert_int_equal(late_evidence(l), E_STALE);
    assert_int_equal(late_file(l), E_STALE);
    for (int failure = 0; failure < FAILURE_COUNT; failure++) {
        for (int b = 0; b < 3; b++) {
            struct finish_args args = finish_args_of(l, (enum failure_class)failure);
            args.budget = budgets[b];
            args.wait_ms = HOUR;
            assert_int_equal(try_finish(&args, &r), E_STALE);
        }
    }
    same_look(before, look());
}

static void s21_a_worker_that_slept_past_its_lease_changes_nothing(void **state)
{
    (void)state;
    const char *id = accept_job();
    struct lease a = start_next();
    assert_int_equal(commit_batch(&a, 0, 0, 5), E_OK);
    until_startable();
    expect_stale(&a, 1); /* nobody has it yet */
    struct lease b = start_next();
    assert_int_equal(b.fence, a.fence + 1);
    expect_stale(&a, 1); /* somebody else has it */
    assert_int_equal(commit_batch(&b, 1, 5, 5), E_OK);
    expect_stale(&a, 2);
    assert_int_equal(finish(&b, FAILURE_NONE).state, JOB_SUCCEEDED);
    expect_stale(&a, 2); /* it has ended */
    struct job_view v = view(id);
    assert_int_equal(v.have, 10);
    assert_int_equal(v.next_batch, 2);
    assert_true(span_is(v.cursor, "cursor 1"));
}

static void s22_a_late_heartbeat_keeps_the_job_as_long_as_nobody_else_has_it(void **state)
{
    (void)state;
    accept_job();
    struct lease l = start_next();
    w->now += LEASE + 1; /* over, and nobody looked */
    assert_int_equal(heartbeat(&l, NULL), E_OK);
    assert_int_equal(reap().suspected, 0);
    w->now += LEASE;
    assert_int_equal(reap().suspected, 1);
    w->now += GAP - 1;
    assert_int_equal(heartbeat(&l, NULL), E_OK); /* under suspicion */
    w->now += GAP;
    assert_int_equal(reap().reaped, 0);
    assert_true(has_none());
    assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
    assert_int_equal(view(l.id).fence, 1);
}

static void s23_an_ending_that_comes_twice_has_one_effect(void **state)
{
    (void)state;
    static const enum failure_class endings[] = {FAILURE_NONE, FAILURE_NETWORK,
                                                 FAILURE_RATE_LIMITED, FAILURE_SUSPENDED,
                                                 FAILURE_BROWSER};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const char *id = accept_in("x/normal");
        struct lease l = start_next();
        assert_string_equal(l.id, id);
        finish(&l, endings[i]);
        struct finish_reply r;
        struct finish_args again = finish_args_of(&l, endings[i]);
        struct span before = look();
        assert_int_equal(try_finish(&again, &r),
                         E_STALE); /* what became of it is there to be asked for */
        same_look(before, look());
        struct cancel_reply c;
        (void)!try_cancel(id, false, &c);
        lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    }
}

static void
s24_an_ending_whose_answer_was_lost_succeeds_once_when_it_is_told_again(void **state)
{
    (void)state;
    struct finish_reply r;
    accept_job();
    struct lease l = start_next();
    struct finish_args done = finish_args_of(&l, FAILURE_NONE);
    begin(); /* it never reached the disk */
    assert_int_equal(try_finish(&done, &r), E_OK);
    crash();
    assert_int_equal(state_of(l.id), JOB_READY);
    assert_int_equal(try_finish(&done, &r), E_STALE);
    l = start_next();
    done = finish_args_of(&l, FAILURE_NONE);
    assert_int_equal(try_finish(&done, &r), E_OK); /* it did, and the answer got lost */
    crash();
    struct span before = look();
    assert_int_equal(try_finish(&done, &r), E_STALE);
    same_look(before, look());
    struct job_view v = view(l.id);
    assert_int_equal(v.state, JOB_SUCCEEDED);
    assert_int_equal(v.n_ok, 1);
    assert_int_equal(v.fence, 2);
    assert_int_equal(v.n_release, 1);
}

static void s25_of_an_ending_and_a_forced_cancel_exactly_one_wins(void **state)
{
    (void)state;
    struct finish_reply r;
    struct cancel_reply c;
    for (int group = 0; group < 2; group++) { /* each by itself; both in one */
        const char *id = accept_job();
        struct lease l = start_next();
        struct finish_args done = finish_args_of(&l, FAILURE_NONE);
        if (group)
            begin();
        assert_int_equal(try_finish(&done, &r), E_OK);
        assert_int_equal(try_cancel(id, true, &c), E_CONFLICT);
        assert_non_null(strstr(w->f.words, "succeeded")); /* the loser learns what it is */
        if (group)
            commit();
        assert_int_equal(state_of(id), JOB_SUCCEEDED);
        assert_int_equal(view(id).n_void, 0);
        id = accept_job();
        l = start_next();
        done = finish_args_of(&l, FAILURE_NONE);
        if (group)
            begin();
        assert_int_equal(try_cancel(id, true, &c), E_OK);
        assert_int_equal(try_finish(&done, &r), E_STALE);
        if (group)
            commit();
        assert_int_equal(state_of(id), JOB_CANCELLED);
        assert_int_equal(view(id).n_ok, 0);
        assert_int_equal(view(id).n_void, 1);
    }
}

static void s26_of_a_failure_and_the_reaper_exactly_one_is_charged(void **state)
{
    (void)state;
    struct finish_reply r;
    for (int reaper_first = 0; reaper_first < 2; reaper_first++) {
        const char *id = accept_job();
        struct lease l = start_next();
        struct finish_args failed = finish_args_of(&l, FAILURE_NETWORK);
        w->now += LEASE;
        reap();
        w->now += GAP;
        begin();
        if (reaper_first)
            assert_int_equal(reap().reaped, 1);
        assert_int_equal(try_finish(&failed, &r), reaper_first ? E_STALE : E_OK);
        if (!reaper_first)
            assert_int_equal(reap().reaped, 0);
        commit();
        struct job_view v = view(id);
        assert_int_equal(v.n_fail, !reaper_first);
        assert_int_equal(v.n_crash, reaper_first);
        assert_int_equal(v.fence, 1);
        cancel(id, false);
    }
}

static void
s27_a_service_that_dies_between_lease_and_start_charges_nothing_to_the_job(void **state)
{
    (void)state;
    struct job_view v;
    for (int point = 0; point < 3; point++) { /* not committed; not started; started */
        const char *id = accept_job();
        begin();
        struct lease l = lease_next();
        if (point > 0)
            commit();
        if (point > 1)
            assert_int_equal(started(&l), E_OK);
        crash();
        v = view(id);
        assert_int_equal(v.state, JOB_READY);
        assert_int_equal(v.fence, point > 0);
        assert_int_equal(v.n_release, point > 0);
        assert_int_equal(v.n_crash + v.n_fail + v.n_throttle + v.n_void, 0);
        expect_stale(&l, 0);
        l = start_next();
        assert_string_equal(l.id, id);
        finish(&l, FAILURE_NONE);
    }
    /* The answer to the lease got lost, the service lives: the same question gives the same lease, */
    const char *id = accept_job();
    struct lease l, again;
    struct reserve_args asked = {.needs = NEEDS_PAGE, .request = 1, .random = 77};
    assert_int_equal(reserve_as(&asked, &l), E_OK);
    asked.random = 78;
    assert_int_equal(reserve_as(&asked, &again), E_OK);
    assert_true(again.nonce == l.nonce && again.fence == l.fence);
    /* or it lapses, and that is no crash. */
    until_startable();
    v = view(id);
    assert_int_equal(v.n_release, 1);
    assert_int_equal(v.n_crash, 0);
}

static void expect_ten_batches(const char *id)
{
    struct item_view *items;
    struct job_view v = view(id);
    size_t n = items_of(id, &items);
    assert_int_equal(n, 50);
    for (size_t i = 0; i < n; i++) {
        char want[24];
        snprintf(want, sizeof want, "%zu", i);
        assert_true(span_is(items[i].id, want));
    }
    assert_int_equal(v.have, 50);
    assert_int_equal(v.next_batch, 10);
    assert_true(span_is(v.cursor, "cursor 9"));
}

static void
s28_a_run_that_a_crash_interrupts_goes_on_at_its_batch_and_stores_each_once(void **state)
{
    (void)state;
    for (int point = 0; point < 3; point++) { /* before, in, after the commit of batch 4 */
        const char *id = accept_job();
        struct lease l = start_next();
        int fetched = 0;
        for (int b = 0; b < 4; b++, fetched++)
            assert_int_equal(commit_batch(&l, b, b * 5, 5), E_OK);
        if (point == 1)
            begin();
        if (point > 0)
            assert_int_equal(commit_batch(&l, 4, 20, 5), E_OK);
        fetched++;
        crash();
        assert_int_equal(commit_batch(&l, 4, 20, 5), E_STALE);
        l = start_next();
        assert_int_equal(l.next_batch, point == 2 ? 5 : 4);
        assert_true(span_is(l.cursor, point == 2 ? "cursor 4" : "cursor 3"));
        for (int b = (int)l.next_batch; b < 10; b++, fetched++) {
            struct commit_reply c;
            assert_int_equal(commit_sized(&l, b + 1, 900, 1, 0, &c),
                             E_CONFLICT); /* none is left out */
            assert_int_equal(commit_sized(&l, b, b * 5, 5, 0, &c), E_OK);
            assert_int_equal(c.added, 5);
            assert_int_equal(commit_sized(&l, b, 900, 1, 0, &c),
                             E_OK); /* told again, whatever is in it */
            assert_true(c.duplicate);
        }
        assert_true(fetched <= 11);
        finish(&l, FAILURE_NONE);
        expect_ten_batches(id);
    }
}

static void s29_a_busy_job_is_not_suspected_as_long_as_somebody_speaks_for_it(void **state)
{
    (void)state;
    accept_job();
    struct lease l = start_next();
    for (int64_t t = 0; t < 5 * LEASE; t += LEASE / 3) {
        w->now += LEASE / 3;
        struct reap_reply r = reap();
        assert_int_equal(r.suspected + r.reaped, 0);
        assert_int_equal(heartbeat(&l, NULL), E_OK);
    }
    assert_int_equal(view(l.id).fence, 1);
}

/* Four workers; one whose job kills it is replaced. */
static void s30_a_job_that_kills_its_worker_dies_after_two_and_harms_no_other(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    struct lease held[WORKERS];
    bool busy[WORKERS] = {0};
    int crashes = 0;
    const char *bad = NULL;
    for (int i = 0; i < 100; i++) {
        accept_job();
        if (i == 50)
            bad = accept_job();
    }
    for (int turn = 0;
         turn < 4000 && outlook().by_state[JOB_SUCCEEDED] + !!(state_of(bad) == JOB_DEAD) < 101;
         turn++) {
        int k = (int)below(WORKERS);
        if (!busy[k])
            busy[k] = reserve(&held[k]) && started(&held[k]) == E_OK;
        else if (strcmp(held[k].id, bad) == 0) {
            assert_int_equal(held[k].quarantine, crashes == 1);
            if (held[k].quarantine)
                assert_int_equal(lane("default/x/quarantine").active, 1);
            give_back(&held[k], BUDGET_CRASH);
            busy[k] = false;
            crashes++;
        } else {
            assert_false(held[k].quarantine);
            finish(&held[k], FAILURE_NONE);
            busy[k] = false;
        }
        pass(50);
        drop_texts();
    }
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], 100);
    assert_int_equal(crashes, 2);
    struct job_view v = view(bad);
    assert_int_equal(v.state, JOB_DEAD);
    assert_int_equal(v.failure, FAILURE_CRASH);
    assert_int_equal(v.n_crash, 2);
}

/* The last event of that kind has this in it. */
static void expect_event(const char *id, const char *kind, const char *part)
{
    struct event_view *events;
    size_t n, at = 0;
    assert_int_equal(store_events(w->s, 0, span_of(id), 100, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++)
        if (span_is(events[i].kind, kind))
            at = i + 1;
    assert_true(at > 0);
    struct span body = events[at - 1].body;
    if (span_find(body, span_of(part)) == body.n)
        fail_msg("%s is %.*s", kind, SP(body));
}

static void end_with(struct lease *l, enum failure_class failure, const char *usage)
{
    struct finish_reply reply;
    struct finish_args args = finish_args_of(l, failure);
    args.usage = span_of(usage);
    assert_int_equal(try_finish(&args, &reply), E_OK);
}

/* Also where one says nothing, or a version before did not know some of it. */
static void what_attempts_took_is_summed_and_stays_with_each(void **state)
{
    (void)state;
    const char *id = accept_job();
    assert_int_equal(view(id).usage.n[USAGE_CPU_MS], USAGE_UNKNOWN);
    struct lease l = start_next();
    end_with(&l, FAILURE_NETWORK, "100 5000 70 2 -1 9");
    struct usage u = view(id).usage;
    assert_int_equal(u.n[USAGE_CPU_MS], 100);
    assert_int_equal(u.n[USAGE_CONTEXT_MS], USAGE_UNKNOWN);
    expect_event(id, "job.retrying",
                 "\"usage\":{\"cpu_ms\":100,\"peak_pss_bytes\":5000,\"net_bytes\":70,"
                 "\"requests\":2,\"context_ms\":null},\"phases\":{\"opening_ms\":9,");
    pass(3600000);
    l = start_next();
    assert_int_equal(l.usage.n[USAGE_NET_BYTES], 70); /* whoever goes on knows what it took */
    assert_int_equal(l.usage.n[USAGE_CONTEXT_MS], USAGE_UNKNOWN);
    give_back(&l, BUDGET_CRASH);
    pass(3600000);
    l = start_next();
    end_with(&l, FAILURE_NONE, "11 4000 -1 1 300 1 2 3 4 5 6 7 8");
    u = view(id).usage;
    assert_int_equal(u.n[USAGE_CPU_MS], 111);
    assert_int_equal(u.n[USAGE_PEAK_BYTES], 5000);
    assert_int_equal(u.n[USAGE_NET_BYTES], 70);
    assert_int_equal(u.n[USAGE_REQUESTS], 3);
    assert_int_equal(u.n[USAGE_CONTEXT_MS], 300);
    assert_int_equal(u.n[USAGE_OPENING], 10);
    assert_int_equal(u.n[USAGE_WORKING], 8);
    expect_event(id, "job.finished", "\"working_ms\":8}}");
}

/* What a job was ordered with made it fail: it would again, and says nothing of the site. */
static void a_failure_that_would_come_again_is_the_end(void **state)
{
    (void)state;
    for (int again = 0; again < 8; again++) {
        const char *id = accept_job();
        struct lease l = start_next();
        assert_string_equal(l.id, id);
        assert_int_equal(l.usage.n[USAGE_NET_BYTES], USAGE_UNKNOWN);
        struct finish_args args =
            finish_args_of(&l, again < 6 ? FAILURE_EMPTY_SUSPECT : FAILURE_RESOURCE);
        struct finish_reply reply;
        args.final = true;
        assert_int_equal(try_finish(&args, &reply), E_OK);
        assert_int_equal(reply.state, JOB_DEAD);
        assert_int_equal(reply.breaker_until_ms, 0);
        struct job_view v = view(id);
        assert_int_equal(v.failure, args.failure);
        assert_int_equal(v.n_fail, 1);
    }
    /* Given back, it is not its end, whatever it was told. */
    accept_job();
    struct lease l = start_next();
    struct finish_args args = finish_args_of(&l, FAILURE_RESOURCE);
    struct finish_reply reply;
    args.final = true;
    args.budget = BUDGET_RELEASE;
    assert_int_equal(try_finish(&args, &reply), E_OK);
    assert_int_equal(reply.state, JOB_READY);
}

static const struct CMUnitTest tests[] = {
    S(s20_a_dead_worker_costs_one_crash_and_its_job_is_back_within_a_lease_and_two_gaps),
    S(s21_a_worker_that_slept_past_its_lease_changes_nothing),
    S(s22_a_late_heartbeat_keeps_the_job_as_long_as_nobody_else_has_it),
    S(s23_an_ending_that_comes_twice_has_one_effect),
    S(s24_an_ending_whose_answer_was_lost_succeeds_once_when_it_is_told_again),
    S(s25_of_an_ending_and_a_forced_cancel_exactly_one_wins),
    S(s26_of_a_failure_and_the_reaper_exactly_one_is_charged),
    S(s27_a_service_that_dies_between_lease_and_start_charges_nothing_to_the_job),
    S(s28_a_run_that_a_crash_interrupts_goes_on_at_its_batch_and_stores_each_once),
    S(s29_a_busy_job_is_not_suspected_as_long_as_somebody_speaks_for_it),
    S(what_attempts_took_is_summed_and_stays_with_each),
    S(a_failure_that_would_come_again_is_the_end),
    S(s30_a_job_that_kills_its_worker_dies_after_two_and_harms_no_other),
};
RUN_ON_ALL_STORES(tests)

/* Scenarios S38-S42 and S70: nothing starts early, nobody polls, and what was reserved becomes free again. */
#include "../lib/scenario.h"

#include <string.h>

static void s38_jobs_start_at_their_times_and_nobody_polls(void **state)
{
    (void)state;
    enum { SPREAD = 10 * SECOND };
    int64_t jobs = scaled(10000), looks = 0, instants = 0, done = 0;
    static bool used[SPREAD];
    memset(used, 0, sizeof used);
    begin();
    for (int64_t i = 0; i < jobs; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        int64_t in = 1 + below(SPREAD - 1);
        args.run_at_ms = w->now + in;
        instants += !used[in];
        used[in] = true;
        accept_args(&args);
    }
    commit();
    for (struct lease l; done < jobs;) {
        int64_t next = outlook().next_ms;
        assert_true(next >
                    w->now); /* what is due was done: the next look is at a time to come */
        w->now = next;
        looks++;
        begin();
        for (struct reap_reply r = {.promoted = 64}; r.promoted == 64;)
            r = reap();
        for (; reserve(&l); done++) {
            assert_int_equal(view(l.id).run_at_ms, w->now);
            assert_int_equal(l.waited_ms, 0);
            finish(&l, FAILURE_NONE);
            drop_texts();
        }
        commit();
    }
    assert_int_equal(looks, instants);
    assert_true(outlook().next_ms == INT64_MAX);
}

/* The delays of `count` jobs that fail at the same instant, by job. */
static void fail_all(int64_t count, int64_t *delays)
{
    WITH(retry_base_ms, 10000);
    accept_many("x/normal", count);
    for (int64_t i = 0; i < count; i++) {
        if (i % 250 == 0)
            begin();
        struct lease l = lease_next();
        int64_t number = strtoll(l.id + 4, NULL, 10);
        struct finish_reply r = finish(&l, FAILURE_RESOURCE);
        assert_int_equal(r.state, JOB_SCHEDULED);
        delays[number - 1] = r.retry_in_ms;
        if (i % 250 == 249 || i + 1 == count)
            commit();
    }
}

static void
s39_jobs_that_fail_together_come_back_spread_out_and_the_same_way_each_time(void **state)
{
    (void)state;
    enum { JOBS = 1000, DELAY = 10000, BUCKET = 100 };
    static int64_t delays[JOBS], again[JOBS];
    int64_t least = INT64_MAX, most = 0, buckets[DELAY / BUCKET + 1] = {0};
    fail_all(JOBS, delays);
    for (int i = 0; i < JOBS; i++) {
        least = delays[i] < least ? delays[i] : least;
        most = delays[i] > most ? delays[i] : most;
        buckets[delays[i] / BUCKET]++;
    }
    assert_true(least >= DELAY / 2 && most <= DELAY);
    assert_true(most - least >= DELAY / 2 * 95 / 100);
    int64_t mean = JOBS / (DELAY / 2 / BUCKET);
    for (int i = 0; i <= DELAY / BUCKET; i++)
        assert_true(buckets[i] <= 5 * mean);
    struct world *first = w, *second = world_new();
    w = second;
    fail_all(JOBS, again);
    assert_memory_equal(delays, again, sizeof delays);
    world_free(second);
    w = first;
}

static void
s40_a_site_that_asks_to_wait_is_left_alone_as_long_and_no_failure_is_charged(void **state)
{
    (void)state;
    const char *other = NULL, *id = accept_job();
    struct lease l = start_next();
    struct finish_reply r = throttle(&l, 120 * SECOND);
    other = accept_job();
    assert_int_equal(r.state, JOB_SCHEDULED);
    assert_true(r.retry_in_ms >= 120 * SECOND && r.retry_in_ms <= 144 * SECOND);
    assert_int_equal(view(id).n_fail, 0);
    assert_int_equal(view(id).n_throttle, 1);
    int64_t asked = w->now;
    while (!reserve(&l)) /* the other one waits as long: the lane does */
        assert_true(go_on(asked + HOUR));
    assert_string_equal(l.id, other);
    assert_int_equal(w->now, asked + 120 * SECOND);
    while (!reserve(&l))
        assert_true(go_on(asked + HOUR));
    assert_string_equal(l.id, id);
    assert_int_equal(w->now, asked + r.retry_in_ms);
    /* A shorter wait that is told later takes nothing back. */
    throttle(&l, 100 * SECOND);
    accept_job();
    accept_job();
    assert_true(has_none());
    int64_t until = lane("x/normal").blocked_until_ms;
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    struct lease a = lease_next(), b = lease_next();
    throttle(&a, 100 * SECOND);
    until = lane("x/normal").blocked_until_ms;
    throttle(&b, 10 * SECOND);
    assert_int_equal(lane("x/normal").blocked_until_ms, until);
    crash();
    assert_int_equal(lane("x/normal").blocked_until_ms, until);
    /* Hours are kept as well, but not longer than a day: a server that errs closes nothing for ever. */
    accept_job();
    accept_job();
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    a = lease_next();
    throttle(&a, 5 * HOUR);
    assert_int_equal(lane("x/normal").blocked_until_ms, w->now + 5 * HOUR);
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
    b = lease_next();
    throttle(&b, 20 * 24 * HOUR);
    assert_int_equal(lane("x/normal").blocked_until_ms, w->now + 24 * HOUR);
}

static void s41_retries_take_a_fifth_of_the_starts_and_a_floor_and_the_rest_waits(void **state)
{
    (void)state;
    enum { FLOOR = 3, PERCENT = 20 };
    w->limits.retry_floor = FLOOR;
    w->limits.retry_percent = PERCENT;
    w->limits.fail_max = 100;
    reopen();
    int64_t starts = 0, retries = 0, began = w->now;
    struct lease l;
    for (int turn = 0; w->now < began + 10 * MINUTE - SECOND; turn++) {
        accept_job();
        while (reserve(&l)) {
            starts++;
            retries += l.attempt > 1;
            /* Errors that do not open the breaker: that would hold everything up. */
            finish(&l, below(10) < 9 ? FAILURE_RESOURCE : FAILURE_NONE);
        }
        for (int64_t at = w->now + SECOND; go_on(at);)
            ;
        w->now += below(2);
        drop_texts();
    }
    assert_true(starts > 500);
    assert_true(retries > FLOOR + starts * PERCENT / 100 / 2);
    assert_true(retries <= FLOOR + starts * PERCENT / 100 + 1);
    struct outlook o = outlook();
    assert_int_equal(o.by_state[JOB_DEAD], 0);
    assert_true(o.by_state[JOB_SCHEDULED] >
                100); /* those wait, and are done when there is room */
    for (int64_t i = 0; i < 40 && outlook().by_state[JOB_SCHEDULED] > 0; i++) {
        for (int64_t at = w->now + 10 * MINUTE; go_on(at);)
            while (reserve(&l))
                finish(&l, FAILURE_NONE);
        accept_many("x/normal", 500);
        drop_texts();
    }
    assert_int_equal(outlook().by_state[JOB_DEAD], 0);
}

/* ---- S42 ---- */

static struct accept_args with_key(enum unique_mode mode)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    args.on_conflict = mode;
    return args;
}

enum ending {
    BY_OK,
    BY_DEATH,
    BY_BUDGET,
    BY_CRASHES,
    BY_EXPIRY,
    BY_CANCEL,
    BY_FORCE,
    BY_RETENTION,
    ENDINGS
};

static void bring_to_its_end(const char *id, enum ending how)
{
    struct lease l = {0};
    if (how != BY_EXPIRY && how != BY_CANCEL)
        l = start_next();
    switch (how) {
    case BY_OK:
        finish(&l, FAILURE_NONE);
        break;
    case BY_DEATH:
        finish(&l, FAILURE_SUSPENDED);
        break;
    case BY_BUDGET:
        while (finish(&l, FAILURE_RESOURCE).state == JOB_SCHEDULED) {
            pass(HOUR);
            l = start_next();
        }
        break;
    case BY_CRASHES:
        while (state_of(id) == JOB_ACTIVE) {
            for (int i = 0; i < 8; i++)
                pass(5000);
            struct lease next;
            if (reserve(&next))
                assert_int_equal(started(&next), E_OK);
        }
        break;
    case BY_EXPIRY:
        pass(HOUR);
        break;
    case BY_CANCEL:
    case BY_FORCE:
        cancel(id, how == BY_FORCE);
        break;
    case BY_RETENTION:
        finish(&l, FAILURE_NONE);
        w->now += HOUR;
        retain(&(struct retain_args){.age_ms = 1});
        assert_false(exists(id));
        return;
    case ENDINGS:
        break;
    }
    assert_true(job_is_final(state_of(id)));
}

static void s42_a_unique_key_has_one_live_job_and_each_ending_frees_it(void **state)
{
    (void)state;
    struct accept_reply reply;
    struct accept_args args;
    for (int how = 0; how < ENDINGS; how++) {
        args = with_key(UNIQUE_REJECT);
        const char *id = args.id.p;
        args.expires_ms = how == BY_EXPIRY ? w->now + MINUTE : 0;
        accept_args(&args);
        crash(); /* the key is the job itself */
        args = with_key(UNIQUE_REJECT);
        assert_int_equal(try_accept(&args, &reply), E_CONFLICT);
        assert_non_null(strstr(w->f.words, id));
        args = with_key(UNIQUE_RETURN_EXISTING);
        reply = accept_args(&args);
        assert_true(reply.existing);
        assert_string_equal(reply.id, id);
        assert_false(exists(args.id.p));
        bring_to_its_end(id, (enum ending)how);
        args = with_key(UNIQUE_REJECT);
        accept_args(&args);
        cancel(args.id.p, false);
    }
    /* However long the job lives, waiting or running. */
    args = with_key(UNIQUE_REJECT);
    accept_args(&args);
    for (int running = 0; running < 2; running++) {
        w->now += 400LL * 24 * HOUR;
        reap();
        if (running)
            assert_int_equal(start_next().fence, 1);
        struct accept_args other = with_key(UNIQUE_REJECT);
        assert_int_equal(try_accept(&other, &reply), E_CONFLICT);
    }
    cancel(args.id.p, true);
    /* The newest stands, as long as none runs. */
    args = with_key(UNIQUE_REJECT);
    const char *first = args.id.p;
    accept_args(&args);
    args = with_key(UNIQUE_REPLACE_PENDING);
    const char *second = args.id.p;
    accept_args(&args);
    assert_int_equal(state_of(first), JOB_CANCELLED);
    assert_int_equal(state_of(second), JOB_READY);
    struct lease l = start_next();
    /* One more after the one that runs; a newer one takes its place; it starts when that one has ended. */
    args = with_key(UNIQUE_RUN_AFTER_ACTIVE);
    const char *after = args.id.p;
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED);
    args = with_key(UNIQUE_RUN_AFTER_ACTIVE);
    const char *last = args.id.p;
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED);
    assert_int_equal(state_of(after), JOB_CANCELLED);
    assert_true(has_none());
    crash();
    l = start_next();
    assert_string_equal(l.id, second);
    finish(&l, FAILURE_SUSPENDED);
    l = start_next();
    assert_string_equal(l.id, last);
    /* Another tenant's key is another key. */
    args = with_key(UNIQUE_REJECT);
    args.lane = SPAN("other/x/normal");
    accept_args(&args);
}

/* Equal work is not done twice, but the job that it replaces does it no more. */
static void s42_who_takes_the_place_of_equal_work_does_it_itself(void **state)
{
    (void)state;
    struct accept_args args = with_key(UNIQUE_REPLACE_PENDING);
    args.work = 7;
    args.coalesce = true;
    const char *first = args.id.p;
    accept_args(&args);
    args = with_key(UNIQUE_REPLACE_PENDING);
    args.work = 7;
    args.coalesce = true;
    const char *second = args.id.p;
    accept_args(&args);
    assert_int_equal(state_of(first), JOB_CANCELLED);
    assert_int_equal(state_of(second), JOB_READY);
    struct lease l = start_next();
    assert_string_equal(l.id, second);
    finish(&l, FAILURE_NONE);
    assert_int_equal(state_of(second), JOB_SUCCEEDED);
}

/* The one that runs is to be tried again, another one waits for it to end: who takes its place takes both. */
static void s42_the_newest_request_stands_also_when_one_waits_behind_the_other(void **state)
{
    (void)state;
    struct accept_args args = with_key(UNIQUE_REPLACE_PENDING);
    const char *first = args.id.p;
    accept_args(&args);
    struct lease l = start_next();
    args = with_key(UNIQUE_RUN_AFTER_ACTIVE);
    const char *behind = args.id.p;
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED);
    assert_int_equal(finish(&l, FAILURE_NETWORK).state, JOB_SCHEDULED);
    args = with_key(UNIQUE_REPLACE_PENDING);
    const char *newest = args.id.p;
    assert_int_equal(accept_args(&args).state, JOB_READY);
    assert_int_equal(state_of(first), JOB_CANCELLED);
    assert_int_equal(state_of(behind), JOB_CANCELLED);
    l = start_next();
    assert_string_equal(l.id, newest);
    assert_true(has_none());
    finish(&l, FAILURE_NONE);
    args = with_key(UNIQUE_REJECT);
    accept_args(&args);
}

/* Of a result that was handed on: it is as old as when it was read, not as when the last one got it. */
static void a_result_is_as_old_as_when_it_was_read(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    const char *first = args.id.p;
    args.work = 9;
    accept_args(&args);
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    w->now += 40 * MINUTE;
    args.max_age_ms = HOUR;
    args.id = span_of(new_id());
    assert_int_equal(accept_args(&args).source, SOURCE_CACHE);
    w->now += 10 * MINUTE;
    args.id = span_of(new_id());
    assert_int_equal(accept_args(&args).source, SOURCE_CACHE);
    struct job_view v = view(args.id.p);
    assert_int_equal(v.result_age_ms, 50 * MINUTE);
    assert_true(span_is(v.from_job, first));
    w->now += 20 * MINUTE;
    args.id = span_of(new_id());
    assert_int_equal(accept_args(&args).state, JOB_READY);
}

static struct accept_args fresh_order(int64_t within_ms)
{
    struct accept_args args = with_key(UNIQUE_RETURN_EXISTING);
    args.fresh_within_ms = within_ms;
    return args;
}

/* fresh_within: whoever ordered the work with the key, and however; none that is live is passed over for it. */
static void a_result_of_the_unique_key_will_do_when_it_is_young_enough(void **state)
{
    (void)state;
    struct accept_args args = with_key(UNIQUE_REJECT); /* it asked for no result itself */
    const char *first = args.id.p;
    args.work = 9;
    accept_args(&args);
    struct lease l = start_next();
    struct accept_args again = fresh_order(HOUR);
    assert_true(accept_args(&again).existing); /* it has not ended */
    assert_int_equal(commit_batch(&l, 0, 0, 7), E_OK);
    finish(&l, FAILURE_NONE);
    w->now += HOUR;
    again = fresh_order(HOUR);
    again.work = 10; /* the key says what is the same */
    struct accept_reply reply = accept_args(&again);
    assert_int_equal(reply.state, JOB_SUCCEEDED);
    assert_int_equal(reply.source, SOURCE_CACHE);
    struct job_view v = view(again.id.p);
    assert_true(span_is(v.from_job, first));
    assert_int_equal(v.result_age_ms, HOUR);
    assert_int_equal(items_count(again.id.p), 7);
    /* A moment later it is too old, also the one that was handed on just now. */
    w->now += 1;
    struct accept_args late = fresh_order(HOUR);
    reply = accept_args(&late);
    assert_int_equal(reply.state, JOB_READY);
    assert_int_equal(reply.source, SOURCE_OWN);
    l = start_next();
    assert_string_equal(l.id, late.id.p);
    /* What fails is no result; the older one is asked about again. */
    assert_int_equal(finish(&l, FAILURE_PROTECTED).state, JOB_DEAD);
    struct accept_args older = fresh_order(2 * HOUR);
    assert_int_equal(accept_args(&older).state, JOB_SUCCEEDED);
    /* Not for another key, another tenant, or records of another kind. */
    struct accept_args other = fresh_order(2 * HOUR);
    other.unique_key = SPAN("another");
    assert_int_equal(accept_args(&other).state, JOB_READY);
    other = fresh_order(2 * HOUR);
    other.lane = SPAN("press/x/normal");
    assert_int_equal(accept_args(&other).state, JOB_READY);
    other = fresh_order(2 * HOUR);
    other.counts = ITEM_USER;
    assert_int_equal(accept_args(&other).state, JOB_READY);
}

static void forget(const char *id)
{
    begin();
    assert_int_equal(store_forget(w->s, span_of(id), now(), &w->f), E_OK);
    commit();
}

/* The newest of those that are left. */
static void a_result_that_was_deleted_is_none_for_its_unique_key(void **state)
{
    (void)state;
    const char *ids[2];
    for (int i = 0; i < 2; i++) {
        struct accept_args args = with_key(UNIQUE_REJECT);
        ids[i] = args.id.p;
        accept_args(&args);
        struct lease l = start_next();
        finish(&l, FAILURE_NONE);
        w->now += MINUTE;
    }
    forget(ids[1]);
    struct accept_args args = fresh_order(HOUR);
    assert_int_equal(accept_args(&args).state, JOB_SUCCEEDED);
    assert_true(span_is(view(args.id.p).from_job, ids[0]));
    forget(args.id.p);
    forget(ids[0]);
    args = fresh_order(HOUR);
    assert_int_equal(accept_args(&args).state, JOB_READY);
}

/* ---- S70: the store is told other times than pass ---- */

static void
s70_a_clock_that_is_set_revives_no_lease_ends_none_early_and_lets_no_more_start(void **state)
{
    (void)state;
    static const int64_t steps[] = {
        -HOUR, HOUR, 10LL * 365 * 24 * HOUR, -10LL * 365 * 24 * HOUR, -SECOND, -SECOND, SECOND};
    struct lease dead, l, alive;
    accept_job();
    dead = start_next();
    pass(15000); /* its worker is lost */
    pass(5000);
    alive = start_next();
    assert_string_equal(alive.id, dead.id);
    lane_rate("y/normal", SECOND, 2);
    accept_many("y/normal", 400);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        w->now += steps[i];
        struct reap_reply r = reap();
        assert_int_equal(r.reaped, 0); /* one look is never enough */
        r = reap();
        assert_int_equal(r.reaped, 0);
        assert_int_equal(heartbeat(&alive, NULL), E_OK);
        assert_int_equal(heartbeat(&dead, NULL), E_STALE);
        int together = 0; /* whatever the clock says, no more than the burst */
        for (; together < 10 && reserve(&l) && span_is(l.lane, "y/normal"); together++)
            ;
        assert_true(together <= 2);
        assert_int_equal(commit_batch(&alive, (int64_t)i, (int)i, 1), E_OK);
    }
    assert_int_equal(finish(&alive, FAILURE_NONE).state, JOB_SUCCEEDED);
    assert_int_equal(view(alive.id).fence, view(alive.id).n_ok + view(alive.id).n_crash);
}

/* Time opens a lane that has a job, and goes back behind that. */
static void open_and_go_back(void)
{
    lane_rate("x/normal", 7 * SECOND, 1);
    accept_many("x/normal", 2);
    start_next();
    w->now += 7 * SECOND;
    assert_int_equal(outlook().startable, 1);
    w->now -= 5 * SECOND;
}

/* What an instant had opened, and nobody used, is closed again before it. */
static void s70_a_lane_that_was_open_is_not_before_its_time(void **state)
{
    (void)state;
    struct lease l;
    open_and_go_back();
    assert_true(has_none());
    assert_int_equal(outlook().startable, 0);
    int64_t next = outlook().next_ms;
    assert_true(next > w->now && next <= w->now + 5 * SECOND);
    w->now = next;
    assert_int_equal(outlook().startable, 1);
    assert_true(reserve(&l));
}

/* And who only looks ahead hears of the instant at which it opens again. */
static void s70_a_lane_that_time_closed_again_is_announced(void **state)
{
    (void)state;
    open_and_go_back();
    if (outlook().startable > 0)
        assert_true(has_none()); /* this store says so when it is asked */
    assert_int_equal(outlook().startable, 0);
    int64_t next = outlook().next_ms;
    assert_true(next > w->now && next <= w->now + 5 * SECOND);
}

static const struct CMUnitTest tests[] = {
    S(s38_jobs_start_at_their_times_and_nobody_polls),
    S(s39_jobs_that_fail_together_come_back_spread_out_and_the_same_way_each_time),
    S(s40_a_site_that_asks_to_wait_is_left_alone_as_long_and_no_failure_is_charged),
    S(s41_retries_take_a_fifth_of_the_starts_and_a_floor_and_the_rest_waits),
    S(s42_a_unique_key_has_one_live_job_and_each_ending_frees_it),
    S(s42_who_takes_the_place_of_equal_work_does_it_itself),
    S(s42_the_newest_request_stands_also_when_one_waits_behind_the_other),
    S(a_result_is_as_old_as_when_it_was_read),
    S(a_result_of_the_unique_key_will_do_when_it_is_young_enough),
    S(a_result_that_was_deleted_is_none_for_its_unique_key),
    S(s70_a_clock_that_is_set_revives_no_lease_ends_none_early_and_lets_no_more_start),
    S(s70_a_lane_that_was_open_is_not_before_its_time),
    S(s70_a_lane_that_time_closed_again_is_announced),
};
RUN_ON_ALL_STORES(tests)

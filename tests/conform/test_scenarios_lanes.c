/* Scenarios S45-S53: how many start, whose turn it is, and what a sick site costs the others. */
#include "../lib/scenario.h"

#include <string.h>

enum { HELD_MAX = 64 };

static void
s45_four_nodes_together_start_no_more_than_the_rate_and_nearly_all_of_it(void **state)
{
    (void)state;
    enum { EMIT = 200, BURST = 2, NODES = 4 };
    static int64_t starts[1000];
    const int64_t jobs = scaled_from(400, 1000);
    int64_t count = 0, began = w->now;
    lane_rate("x/normal", EMIT, BURST);
    accept_many("x/normal", jobs);
    while (count < jobs) {
        for (int node = 0; node < NODES; node++) { /* each asks, in turn and at once */
            struct lease l;
            char name[16];
            snprintf(name, sizeof name, "node%d", node);
            struct reserve_args args = {.needs = NEEDS_PAGE, .worker = span_of(name)};
            if (reserve_as(&args, &l))
                continue;
            starts[count++] = w->now;
            finish(&l, FAILURE_NONE);
        }
        if (outlook().startable == 0 && count < jobs) {
            if (below(5) == 0) /* somebody looks in between, or comes late */
                w->now += below(300);
            else
                assert_true(go_on(w->now + MINUTE));
        }
        if (count % 50 == 0)
            crash(); /* a restart forgets nothing of it */
        drop_texts();
    }
    for (int64_t i = 0; i < jobs; i++)
        for (int64_t k = i; k < jobs; k++)
            assert_true(k - i + 1 <= BURST + (starts[k] - starts[i]) / EMIT);
    int64_t allowed = BURST + (starts[jobs - 1] - began) / EMIT;
    assert_true(jobs * 100 >= allowed * 95);
    /* An hour without a start saves up no more than the burst. */
    accept_many("x/normal", 10);
    w->now += HOUR;
    int at_once = 0;
    for (struct lease l; reserve(&l); at_once++)
        ;
    assert_int_equal(at_once, BURST);
}

static void s46_a_lane_of_one_has_one_lease_whatever_workers_do(void **state)
{
    (void)state;
    static struct lease held[HELD_MAX];
    size_t count = 0;
    WITH(crash_max, 100);
    WITH(fail_max, 100);
    lane_max_active("x/normal", 1);
    lane_max_active("default/x/quarantine", 1);
    accept_many("x/normal", 60);
    for (int step = 0; step < 6000; step++) {
        struct finish_reply r;
        struct lease l;
        int what = (int)below(12);
        struct finish_args args = {0};
        if (count) {
            args = finish_args_of(&held[below((int64_t)(count < HELD_MAX ? count : HELD_MAX))],
                                  FAILURE_NONE);
            args.budget = what == 4 ? BUDGET_CRASH : what == 5 ? BUDGET_RELEASE : BUDGET_NONE;
            args.failure = what == 6   ? FAILURE_RESOURCE
                           : what == 4 ? FAILURE_CRASH
                                       : FAILURE_NONE;
        }
        if (what < 4) {
            if (reserve(&l)) {
                held[count++ % HELD_MAX] = l;
                if (below(2))
                    assert_int_equal(started(&l), E_OK);
            }
        } else if (what < 8 && count && below(3) == 0) { /* also late, and twice */
            err e = try_finish(&args, &r);
            assert_true(e == E_OK || e == E_STALE);
        } else if (what == 8 && below(60) == 0) {
            crash();
        } else {
            pass(below(8000));
        }
        assert_true(lane("x/normal").active <= 1);
        assert_true(outlook().by_state[JOB_ACTIVE] <=
                    2); /* its own and the one in quarantine */
        drop_texts();
    }
    for (int i = 0; i < 100; i++)
        pass(15000 + below(100));
    for (struct lease l; outlook().by_state[JOB_SCHEDULED] + outlook().by_state[JOB_READY] > 0;
         pass(MINUTE)) {
        while (reserve(&l))
            finish(&l, FAILURE_NONE);
        drop_texts();
    }
    assert_int_equal(outlook().by_state[JOB_ACTIVE], 0);
    assert_int_equal(lane("x/normal").active, 0);
    assert_int_equal(lane("default/x/quarantine").active, 0);
}

static void s47_a_lowered_limit_ends_nobody_and_a_raised_one_counts_at_once(void **state)
{
    (void)state;
    struct lease held[12];
    enum { LANE, TENANT, SITE, ALL, SCOPES };
    for (int scope = 0; scope < SCOPES; scope++) {
        int n = 0;
        accept_many("x/normal", 20);
        for (int turn = 0; turn < 3; turn++) {
            static const int64_t limits[] = {10, 2, 4};
            if (scope == LANE)
                lane_max_active("x/normal", limits[turn]);
            else
                limit_set(scope == TENANT ? LIMIT_TENANT
                          : scope == SITE ? LIMIT_SITE
                                          : LIMIT_ALL,
                          scope == TENANT ? "default"
                          : scope == SITE ? "x"
                                          : "",
                          limits[turn], scope == SITE ? 0 : LANE_UNCHANGED);
            if (turn == 2)
                assert_int_equal(outlook().startable, 2); /* at once, and told */
            while (n < 12 && reserve(&held[n]))
                n++;
            if (turn == 0) {
                assert_int_equal(n, 10);
            } else if (turn == 1) {
                assert_int_equal(n, 10);
                for (; n > 2; n--) {
                    assert_int_equal(heartbeat(&held[n - 1], NULL), E_OK);
                    assert_true(has_none());
                    finish(&held[n - 1], FAILURE_NONE);
                }
                assert_true(has_none()); /* two run, as many as may */
            } else {
                assert_int_equal(n, 4);
            }
        }
        while (n > 0)
            finish(&held[--n], FAILURE_NONE);
        if (scope == LANE)
            lane_max_active("x/normal", LANE_AS_CONFIGURED);
        else
            limit_set(scope == TENANT ? LIMIT_TENANT
                      : scope == SITE ? LIMIT_SITE
                                      : LIMIT_ALL,
                      scope == TENANT ? "default"
                      : scope == SITE ? "x"
                                      : "",
                      0, LANE_UNCHANGED);
        for (struct lease l; reserve(&l);)
            finish(&l, FAILURE_NONE);
    }
}

/* Work of starting and ending a job in each of 99 lanes, twice. */
static int64_t work_of_free_lanes(void)
{
    int64_t began = w->maker->work();
    for (int i = 0; i < 198; i++) {
        struct lease l = lease_next();
        (void)outlook();
        finish(&l, FAILURE_NONE);
        drop_texts();
    }
    return w->maker->work() - began;
}

static void fill_free_lanes(void)
{
    for (int i = 0; i < 99; i++) {
        char name[32];
        snprintf(name, sizeof name, "free%d/normal", i);
        accept_many(name, 2);
    }
}

static void s48_a_hundred_thousand_blocked_jobs_cost_the_free_lanes_nothing(void **state)
{
    (void)state;
    w->maker->count_work(true);
    reopen();
    fill_free_lanes();
    int64_t without = work_of_free_lanes(), none = work_of_none();
    accept_job();
    struct lease l = start_next();
    throttle(&l, HOUR);
    accept_many("x/normal", scaled(100000));
    fill_free_lanes();
    int64_t with = work_of_free_lanes();
    print_message("work of 198 jobs: %lld steps, beside the blocked ones %lld\n",
                  (long long)without, (long long)with);
    assert_true(with * 100 <= without * 105 && without * 100 <= with * 105);
    assert_int_equal(
        work_of_none(),
        none); /* and to find that none may start costs no more than when none waits */
}

static void s49_the_least_urgent_job_is_overtaken_for_a_bounded_time(void **state)
{
    (void)state;
    enum { SERVICE = 500 };
    struct accept_args args = job_args(new_id(), "x/normal");
    struct lease l;
    int64_t backlog = 40, began;
    lane_max_active("x/normal", 1);
    for (int64_t i = 0; i < backlog; i++) {
        struct accept_args first = job_args(new_id(), "x/normal");
        first.prio = 9;
        accept_args(&first);
    }
    began = w->now;
    args.prio = 0;
    const char *least = args.id.p;
    accept_args(&args);
    do { /* there is always one more that is more urgent */
        struct accept_args next = job_args(new_id(), "x/normal");
        next.prio = 9;
        accept_args(&next);
        l = lease_next();
        w->now += SERVICE;
        finish(&l, FAILURE_NONE);
        drop_texts();
        assert_true(w->now - began <= 9LL * LANE_AGING_MS + (backlog + 2) * SERVICE);
    } while (strcmp(l.id, least) != 0);
    assert_true(w->now - began >=
                9LL * LANE_AGING_MS); /* and not before that: urgent is urgent */
}

static void s50_classes_share_eight_to_three_to_one_and_sleepers_hoard_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"x/interactive", "x/normal", "x/bulk"};
    static const int weights[] = {8, 3, 1};
    int starts[3] = {0}, fresh[3] = {0};
    for (int i = 0; i < 3; i++)
        accept_many(names[i], 1100);
    for (int n = 0; n < 1000; n++) {
        struct lease l = lease_next();
        for (int i = 0; i < 3; i++)
            starts[i] += span_is(l.lane, names[i]);
        finish(&l, FAILURE_NONE);
        drop_texts();
    }
    for (int i = 0; i < 3; i++) {
        int wanted = 1000 * weights[i] / 12;
        assert_true(abs(starts[i] - wanted) * 20 <= wanted + 20);
    }
    /* The most urgent has nothing for an hour while others go on; then it gets its share, and no more. */
    for (struct lease l; lane("x/interactive").ready > 0; drop_texts()) {
        l = lease_next();
        finish(&l, FAILURE_NONE);
    }
    accept_many("x/normal", 400);
    accept_many("x/bulk", 400);
    for (int n = 0; n < 300; n++) {
        struct lease l = lease_next();
        w->now += 12 * SECOND;
        finish(&l, FAILURE_NONE);
        drop_texts();
    }
    accept_many("x/interactive", 200);
    for (int n = 0; n < 120; n++) {
        struct lease l = lease_next();
        for (int i = 0; i < 3; i++)
            fresh[i] += span_is(l.lane, names[i]);
        finish(&l, FAILURE_NONE);
        if (n == 23) /* from the first moment on */
            assert_true(fresh[0] >= 14 && fresh[0] <= 18);
        drop_texts();
    }
    assert_true(abs(fresh[0] - 80) <= 4 && abs(fresh[1] - 30) <= 3 && abs(fresh[2] - 10) <= 2);
}

/* Starts of the tenant "many" among the first 400, when its work lies in so many lanes. */
static int share_of_many(int64_t lanes, int64_t *out_wait_ms)
{
    enum { WORKERS = 16, SERVICE = 100, STARTS = 400, FEW = 10 };
    struct world *outer = w, *own = world_new();
    struct lease held[WORKERS];
    int64_t asked = 0, waits[FEW], waited = 0;
    int many = 0, running = 0, starts = 0;
    w = own;
    limit_set(LIMIT_TENANT, "many", WORKERS / 2, LANE_UNCHANGED);
    for (int64_t i = 0; i < lanes; i++) {
        char name[40];
        snprintf(name, sizeof name, "many/site%lld/normal", (long long)i);
        accept_many(name, 1000 / lanes + 1);
    }
    accept_many("even/x/normal", STARTS);
    while (starts < STARTS) {
        if (starts >= 40 && asked == 0) {
            accept_many("few/x/normal", FEW);
            asked = w->now;
        }
        while (running < WORKERS && reserve(&held[running])) {
            const struct lease *l = &held[running++];
            many += span_starts(l->lane, SPAN("many/"));
            if (span_starts(l->lane, SPAN("few/")))
                waits[waited++] = w->now - asked;
            starts++;
        }
        assert_true(lane("even/x/normal").active + WORKERS / 2 + FEW >= running);
        w->now += SERVICE / WORKERS;
        if (running == WORKERS) /* the one that began first is done */
            finish(&held[0], FAILURE_NONE);
        memmove(held, held + 1, sizeof held - sizeof *held);
        running--;
        drop_texts();
    }
    assert_int_equal(waited, FEW);
    *out_wait_ms = waits[FEW - 1];
    w = outer;
    world_free(own);
    return many;
}

static void s51_a_tenant_gains_nothing_by_many_lanes_and_small_ones_do_not_wait(void **state)
{
    (void)state;
    int64_t one_wait, many_wait;
    int one = share_of_many(1, &one_wait), many = share_of_many(1000, &many_wait);
    assert_true(many <= one + 2);
    assert_true(one_wait < 2 * SECOND && many_wait < 2 * SECOND);
}

/* ---- breakers ---- */

/* A job of its own fails or ends so. */
static struct finish_reply one_ends(enum failure_class failure)
{
    accept_job();
    struct lease l = start_next();
    struct finish_reply r = finish(&l, failure);
    struct cancel_reply c;
    (void)!try_cancel(l.id, true, &c); /* its next try is of no interest */
    return r;
}

static int64_t open_breaker(void)
{
    struct finish_reply r = {0};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(r.breaker_until_ms, 0);
        r = one_ends(FAILURE_NETWORK);
    }
    assert_true(r.breaker_until_ms > w->now);
    assert_string_equal(r.lane, "x/normal");
    return r.breaker_until_ms;
}

/* Who holds it, since when it is so, and of how many how many failed. */
static void a_breaker_says_since_when_and_how_many_failed_and_who_holds_it(void **state)
{
    (void)state;
    accept_job();
    struct lease first = start_next();
    finish(&first, FAILURE_NONE);
    assert_int_equal(lane("x/normal").breaker.since_ms, 0);
    one_ends(FAILURE_NETWORK);
    struct lane_view v = lane("x/normal");
    struct breaker_samples seen = breaker_samples(&v.breaker, w->now);
    assert_int_equal(seen.seen, 2);
    assert_int_equal(seen.bad, 1);
    w->now += 10 * 60 * 1000 + 1;
    seen = breaker_samples(&v.breaker, w->now);
    assert_int_equal(seen.seen + seen.bad, 0);
    one_ends(FAILURE_NONE);
    int64_t until = open_breaker();
    assert_int_equal(lane("x/normal").breaker.since_ms, w->now);
    accept_job();
    w->now = until;
    struct lease probe = start_next();
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_HALF_OPEN);
    assert_int_equal(lane("x/normal").breaker.since_ms, until);
    crash();
    assert_int_equal(lane("x/normal").breaker.since_ms, w->now); /* the probe said nothing */
    probe = start_next();
    w->now += 5;
    finish(&probe, FAILURE_NONE);
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
    assert_int_equal(lane("x/normal").breaker.since_ms, w->now);
    struct lane_change c = {.name = SPAN("x/normal"),
                            .act = LANE_ACT_BREAKER_OPEN,
                            .hold_ms = 60000,
                            .by = SPAN("anna"),
                            .why = SPAN("it is moved")};
    w->now += 7;
    assert_int_equal(lane_change(&c), E_OK);
    v = lane("x/normal");
    assert_int_equal(v.breaker.since_ms, w->now);
    assert_string_equal(v.hand.by, "anna");
    assert_string_equal(v.hand.why, "it is moved");
    assert_int_equal(v.hand.at_ms, w->now);
    assert_int_equal(v.hand.until_ms, w->now + c.hold_ms);
    crash();
    assert_string_equal(lane("x/normal").hand.why, "it is moved");
    w->now = v.hand.until_ms;
    assert_int_equal(lane("x/normal").hand.until_ms, 0);
    c.act = LANE_ACT_BREAKER_CLOSE;
    assert_int_equal(lane_change(&c), E_OK);
    assert_int_equal(lane("x/normal").hand.until_ms, w->now + c.hold_ms);
    c.act = LANE_ACT_BREAKER_RESET;
    assert_int_equal(lane_change(&c), E_OK);
    assert_int_equal(lane("x/normal").hand.until_ms, 0);
}

static size_t not_closed(void)
{
    struct lanes_query q = {.breakers = true, .limit = 10};
    struct lane_view *found;
    struct span next;
    size_t n;
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &found, &n, &next, &w->f), E_OK);
    return n;
}

/* Nobody blames the site for it, and no single job has to try. */
static void what_a_hand_opened_is_closed_when_its_time_is_over(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        int64_t until = w->now + MINUTE;
        accept_many("x/normal", way == 1 ? 0 : 3);
        lane_act("x/normal", LANE_ACT_BREAKER_OPEN, MINUTE);
        assert_true(way == 1 || has_none());
        assert_int_equal(not_closed(), 1);
        w->now = until - 1;
        assert_int_equal(lane("x/normal").breaker.state, BREAKER_OPEN);
        w->now = until + SECOND;
        if (way == 2)
            crash();
        struct lane_view v = lane("x/normal");
        assert_int_equal(v.breaker.state, BREAKER_CLOSED);
        assert_int_equal(v.breaker.since_ms, until);
        assert_int_equal(v.breaker.trips + v.breaker_forced_until_ms, 0);
        assert_int_equal(not_closed(), 0);
        if (way == 1) /* with nobody waiting when it was over */
            accept_many("x/normal", 3);
        assert_int_equal(lane("x/normal").waiting, WAITING_WORKER);
        assert_int_equal(outlook().startable, 3);
        struct lease l[3];
        for (int i = 0; i < 3; i++)
            l[i] = start_next();
        assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
        for (int i = 0; i < 3; i++)
            finish(&l[i], FAILURE_NONE);
        lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    }
    /* What the site had opened before goes on with one that tries. */
    w->now = open_breaker();
    lane_act("x/normal", LANE_ACT_BREAKER_OPEN, MINUTE);
    accept_many("x/normal", 3);
    w->now += MINUTE;
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_OPEN);
    assert_int_equal(outlook().startable, 1);
    struct lease probe = start_next();
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_HALF_OPEN);
    assert_true(has_none());
    finish(&probe, FAILURE_NONE);
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
}

/* Queues that ended something lately are found, whether it went well or not. */
static void those_that_counted_something_lately_are_found(void **state)
{
    (void)state;
    struct lanes_query q = {.counting = true, .limit = 10};
    struct lane_view *found;
    struct span next;
    size_t n;
    accept_job();
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &found, &n, &next, &w->f), E_OK);
    assert_int_equal(n, 0);
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &found, &n, &next, &w->f), E_OK);
    assert_int_equal(n, 1);
    w->now += 10 * 60 * 1000 + 1;
    assert_int_equal(store_lanes(w->s, &q, now(), w->a, &found, &n, &next, &w->f), E_OK);
    assert_int_equal(n, 0);
}

static void s52_a_sick_site_is_tried_once_after_a_pause_that_doubles(void **state)
{
    (void)state;
    /* What is a fact about the target says nothing against the site, */
    for (int i = 0; i < 30; i++)
        assert_int_equal(
            one_ends(i % 2 ? FAILURE_NOT_FOUND : FAILURE_SUSPENDED).breaker_until_ms, 0);
    int64_t until = open_breaker(), pause = until - w->now;
    for (int trip = 1; trip < 5; trip++) {
        accept_job();
        accept_job();
        assert_true(has_none());
        w->now = until - 1;
        assert_true(has_none());
        assert_int_equal(outlook().next_ms, until);
        w->now = until;
        struct lease probe = start_next();
        assert_true(has_none()); /* one is enough */
        crash();                 /* and it is known after a restart, too */
        probe = start_next();
        assert_true(has_none());
        struct finish_reply r = finish(&probe, trip < 4 ? FAILURE_NETWORK : FAILURE_NONE);
        if (trip < 4) {
            assert_int_equal(r.breaker_until_ms - w->now, pause * 2);
            pause *= 2;
            until = r.breaker_until_ms;
        }
        while (lane("x/normal").ready > 0) {
            begin();
            int64_t n;
            bool more;
            assert_int_equal(store_lane_purge(w->s,
                                              &(struct lane_purge){.name = SPAN("x/normal")},
                                              now(), &n, &more, &w->f),
                             E_OK);
            commit();
        }
    }
    accept_many("x/normal", 3); /* closed: all may start */
    for (int i = 0; i < 3; i++)
        lease_next();
    assert_int_equal(lane("x/normal").breaker.trips, 0);
}

static void s52_half_of_twenty_within_ten_minutes_opens_it_as_well(void **state)
{
    (void)state;
    struct finish_reply r = {0};
    for (int i = 0; i < 20; i++) {
        w->now += 20 * SECOND;
        assert_int_equal(r.breaker_until_ms, 0);
        r = one_ends(i % 2 ? FAILURE_NETWORK : FAILURE_NONE);
    }
    assert_true(r.breaker_until_ms > 0);
    accept_job();
    assert_true(has_none());
    lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    cancel(lease_next().id, true);
    /* What is closed already forgets what it counted all the same: after nineteen endings, of which the last went well, the next
     * failure is one of one. */
    for (int i = 0; i < 19; i++)
        assert_int_equal(one_ends(i % 2 ? FAILURE_NETWORK : FAILURE_NONE).breaker_until_ms, 0);
    w->now += SECOND;
    lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    struct breaker b = lane("x/normal").breaker;
    assert_int_equal(breaker_samples(&b, w->now).seen, 0);
    assert_int_equal(one_ends(FAILURE_NETWORK).breaker_until_ms, 0);
    b = lane("x/normal").breaker;
    assert_int_equal(breaker_samples(&b, w->now).bad, 1);
    w->now += 11 * MINUTE;
    for (int i = 0; i < 60; i++) { /* rarer ones do not */
        assert_int_equal(one_ends(i % 2 ? FAILURE_NETWORK : FAILURE_NONE).breaker_until_ms, 0);
        w->now += MINUTE;
    }
    for (int i = 0; i < 60; i++) { /* nor fewer than half */
        assert_int_equal(one_ends(i % 3 == 2 ? FAILURE_NETWORK : FAILURE_NONE).breaker_until_ms,
                         0);
        w->now += SECOND;
    }
}

static void s53_a_probe_that_says_nothing_is_followed_by_another(void **state)
{
    (void)state;
    enum { CRASHES, CANCELLED, FORCED, RELEASED, LOST, LOST_ON_THE_WAY, SERVICE_DIES, WAYS };
    WITH(crash_max, 100);
    for (int way = 0; way < WAYS; way++) {
        w->now = open_breaker();
        accept_job();
        struct lease l = way == LOST_ON_THE_WAY ? lease_next() : start_next();
        accept_job(); /* waits beside it */
        assert_true(has_none());
        if (way == CRASHES)
            give_back(&l, BUDGET_CRASH);
        if (way == CANCELLED) {
            cancel(l.id, false);
            finish(&l, FAILURE_CANCELLED);
        }
        if (way == FORCED)
            cancel(l.id, true);
        if (way == RELEASED)
            give_back(&l, BUDGET_RELEASE);
        if (way == LOST || way == LOST_ON_THE_WAY) {
            pass(15000);
            pass(5000);
        }
        if (way == SERVICE_DIES)
            crash();
        for (int i = 0; outlook().startable == 0; i++) {
            assert_true(i < 10);
            assert_true(go_on(w->now + MINUTE));
        }
        /* Its own lane has a probe again: what crashed goes on in quarantine. */
        struct lease next;
        do
            next = start_next();
        while (!span_is(next.lane, "x/normal") &&
               (finish(&next, FAILURE_NONE).state == JOB_SUCCEEDED));
        finish(&next, FAILURE_NONE);
        assert_int_equal(lane("x/normal").breaker.state, BREAKER_CLOSED);
        for (struct lease rest; pass(MINUTE), reserve(&rest);)
            finish(&rest, FAILURE_NONE);
        lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    }
}

/* ---- where a job stands, and when it will start ---- */

static const char *accept_prio(int prio)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.prio = prio;
    accept_args(&args);
    return id;
}

static void a_job_that_waits_says_how_many_are_before_it_and_when_it_starts(void **state)
{
    (void)state;
    const char *first = accept_prio(5), *second = accept_prio(5), *urgent = accept_prio(9);
    struct accept_args light = job_args(new_id(), "x/normal");
    light.needs = NEEDS_NOTHING;
    accept_args(&light);
    assert_int_equal(view(urgent).ahead, 0);
    assert_int_equal(view(first).ahead, 1);
    assert_int_equal(view(second).ahead, 2);
    assert_int_equal(view(light.id.p).ahead, 3);
    assert_int_equal(view(second).start_ms, 0); /* nothing has started yet: no pace */
    struct lease l = start_next();
    assert_string_equal(l.id, urgent);
    assert_int_equal(view(urgent).ahead, -1);
    finish(&l, FAILURE_NONE);
    assert_int_equal(view(first).ahead, 0);
    pass(120000);
    assert_in_range(view(first).start_ms, now().ms, now().ms + 1);
    /* one started in the two minutes, or a little more, since then */
    assert_in_range(view(second).start_ms, now().ms + 120000, now().ms + 180001);
    lane_act("x/normal", LANE_ACT_PAUSE, 0);
    assert_int_equal(view(second).ahead, 1);
    assert_int_equal(view(second).start_ms, 0); /* a person has to let it go on */
    struct accept_args later = job_args(new_id(), "x/normal");
    later.run_at_ms = now().ms + 5000000;
    accept_args(&later);
    assert_int_equal(view(later.id.p).ahead, -1);
    assert_int_equal(view(later.id.p).start_ms, later.run_at_ms);
}

/* ---- how many lanes there may be ---- */

static void one_lane_too_many_is_refused_with_the_number_and_the_way_out(void **state)
{
    (void)state;
    static const char *const names[] = {"a/normal", "b/normal", "c/normal"};
    char words[sizeof w->f.words];
    struct accept_args args = job_args(new_id(), "d/normal");
    struct accept_reply reply;
    struct lane_change change = lane_sets("d/normal");
    WITH(lanes_max, 3);
    for (int i = 0; i < 3; i++)
        accept_in(names[i]);
    assert_int_equal(try_accept(&args, &reply), E_BUSY);
    assert_non_null(strstr(w->f.words, "3 lanes"));
    assert_non_null(strstr(w->f.words, "queue.lanes_max"));
    assert_true(w->f.wait_ms > 0);
    memcpy(words, w->f.words, sizeof words);
    change.settings.max_active = 3;
    assert_int_equal(lane_change(&change), E_BUSY);
    assert_string_equal(w->f.words, words);
    lane_max_active("c/normal", 3); /* one that is there can be set */
    WITH(lanes_max, 4);
    assert_int_equal(accept_args(&args).state, JOB_READY);
}

static const struct CMUnitTest tests[] = {
    S(s45_four_nodes_together_start_no_more_than_the_rate_and_nearly_all_of_it),
    S(s46_a_lane_of_one_has_one_lease_whatever_workers_do),
    S(s47_a_lowered_limit_ends_nobody_and_a_raised_one_counts_at_once),
    S(s48_a_hundred_thousand_blocked_jobs_cost_the_free_lanes_nothing),
    S(s49_the_least_urgent_job_is_overtaken_for_a_bounded_time),
    S(s50_classes_share_eight_to_three_to_one_and_sleepers_hoard_nothing),
    S(s51_a_tenant_gains_nothing_by_many_lanes_and_small_ones_do_not_wait),
    S(s52_a_sick_site_is_tried_once_after_a_pause_that_doubles),
    S(s52_half_of_twenty_within_ten_minutes_opens_it_as_well),
    S(a_breaker_says_since_when_and_how_many_failed_and_who_holds_it),
    S(what_a_hand_opened_is_closed_when_its_time_is_over),
    S(those_that_counted_something_lately_are_found),
    S(s53_a_probe_that_says_nothing_is_followed_by_another),
    S(a_job_that_waits_says_how_many_are_before_it_and_when_it_starts),
    S(one_lane_too_many_is_refused_with_the_number_and_the_way_out),
};
RUN_ON_ALL_STORES(tests)

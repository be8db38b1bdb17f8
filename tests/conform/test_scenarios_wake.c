/* Scenarios S57-S59 and S83: whatever makes a job startable is announced, to as many as can use it. */
#include "../lib/scenario.h"

#include "store/batches.h"
#include "store/dead.h"
#include "store/sessions.h"

#include <string.h>

/* ---- S57: causes ----
 * `prepare` leaves a job that may not start; `happen` is the cause, NULL: time alone. */

static struct lease kept;

static void nothing(void)
{
}
static void one_waits_for_room_in_lane(void)
{
    lane_max_active("x/normal", 1);
    accept_many("x/normal", 2);
    kept = start_next();
}
static void room_ends(enum failure_class failure)
{
    finish(&kept, failure);
}
static void finish_well(void)
{
    room_ends(FAILURE_NONE);
}
static void finish_badly(void)
{
    room_ends(FAILURE_SUSPENDED);
}
static void finish_to_be_tried_again(void)
{
    room_ends(FAILURE_RESOURCE);
}
static void crash_of_the_attempt(void)
{
    give_back(&kept, BUDGET_CRASH);
}
static void release(void)
{
    give_back(&kept, BUDGET_RELEASE);
}
static void cancel_by_force(void)
{
    cancel(kept.id, true);
}
static void asked_and_not_stopping(void)
{
    struct cancel_reply c;
    one_waits_for_room_in_lane();
    begin();
    assert_int_equal(
        store_cancel(w->s, &(struct cancel_args){.id = span_of(kept.id), .grace_ms = 3000},
                     now(), &c, &w->f),
        E_OK);
    commit();
}
static void in_an_hour(void)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.run_at_ms = w->now + HOUR;
    accept_args(&args);
}
static void retry(void)
{
    accept_job();
    struct lease l = start_next();
    finish(&l, FAILURE_RESOURCE);
}
static void retry_beyond_the_budget(void)
{
    w->limits.retry_floor = 1;
    reopen();
    retry();
    pass(MINUTE / 2);
    struct lease l = start_next();
    finish(&l, FAILURE_RESOURCE);
    pass(3 * SECOND); /* due by its delay, and held back */
}
static void no_token(void)
{
    lane_rate("x/normal", 7 * SECOND, 1);
    accept_many("x/normal", 2);
    start_next();
}
static void no_token_of_the_site(void)
{
    accept_many("x/normal", 1);
    limit_set(LIMIT_SITE, "x", LANE_UNCHANGED, 7 * SECOND);
    start_next();
    accept_many("x/bulk", 1);
}
static void blocked_by_the_site(void)
{
    accept_job();
    struct lease l = start_next();
    throttle(&l, 30 * SECOND);
    cancel(l.id, true);
    accept_job();
}
static void unblock(void)
{
    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
}
static void broken(void)
{
    for (int i = 0; i < 5; i++) {
        accept_job();
        struct lease l = start_next();
        finish(&l, FAILURE_BLOCKED);
    }
    accept_job();
}
static void half_open(void)
{
    broken();
    accept_job();
    w->now = lane("x/normal").breaker.until_ms;
    kept = start_next();
}
static void reset_breaker(void)
{
    lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
}
static void close_breaker(void)
{
    lane_act("x/normal", LANE_ACT_BREAKER_CLOSE, HOUR);
}
static void forced_open(void)
{
    lane_act("x/normal", LANE_ACT_BREAKER_OPEN, MINUTE);
    accept_job();
}
static void paused(void)
{
    lane_act("x/normal", LANE_ACT_PAUSE, 0);
    accept_job();
}
static void resume(void)
{
    lane_act("x/normal", LANE_ACT_RESUME, 0);
}
static void mode_paused(void)
{
    accept_job();
    mode_set(MODE_PAUSED);
}
static void mode_maintenance(void)
{
    accept_job();
    mode_set(MODE_MAINTENANCE);
}
static void mode_normal(void)
{
    mode_set(MODE_NORMAL);
}
static void mode_draining(void)
{
    mode_set(MODE_DRAINING);
}
static void lane_limit_raised(void)
{
    lane_max_active("x/normal", 2);
}
static void full_tenant(void)
{
    limit_set(LIMIT_TENANT, "default", 1, LANE_UNCHANGED);
    accept_many("x/normal", 1);
    kept = start_next();
    accept_many("y/bulk", 1);
}
static void tenant_limit_raised(void)
{
    limit_set(LIMIT_TENANT, "default", 2, LANE_UNCHANGED);
}
static void full_site(void)
{
    limit_set(LIMIT_SITE, "x", 1, 0);
    accept_many("x/normal", 1);
    kept = start_next();
    accept_many("other/x/bulk", 1);
}
static void site_limit_raised(void)
{
    limit_set(LIMIT_SITE, "x", 2, LANE_UNCHANGED);
}
static void full_house(void)
{
    limit_set(LIMIT_ALL, "", 1, LANE_UNCHANGED);
    accept_many("x/normal", 1);
    kept = start_next();
    accept_many("other/y/bulk", 1);
}
static void limit_of_all_raised(void)
{
    limit_set(LIMIT_ALL, "", 2, LANE_UNCHANGED);
}
static void rate_raised(void)
{
    lane_rate("x/normal", 0, 1);
}
static void leased(void)
{
    accept_job();
    kept = start_next();
}
static void the_service_dies(void)
{
    crash();
}
static void behind_another(void)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    accept_args(&args);
    kept = start_next();
    args.id = span_of(new_id());
    args.on_conflict = UNIQUE_RUN_AFTER_ACTIVE;
    assert_int_equal(accept_args(&args).state, JOB_BLOCKED);
}
static void sharing_with_another(int64_t waiters)
{
    for (int64_t i = 0; i <= waiters; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.work = 77;
        args.coalesce = true;
        accept_args(&args);
        if (i == 0)
            kept = start_next();
    }
}
static void one_shares(void)
{
    sharing_with_another(1);
}
static void hundred_share(void)
{
    sharing_with_another(100);
}
static void replaced(void)
{
    lane_act("x/normal", LANE_ACT_PAUSE, 0);
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    accept_args(&args);
}
static void replace_in_another_lane(void)
{
    struct accept_args args = job_args(new_id(), "x/bulk");
    args.unique_key = SPAN("u");
    args.on_conflict = UNIQUE_REPLACE_PENDING;
    accept_args(&args);
}

/* ---- with a login session ---- */

static err session_lock(bool locked)
{
    GROUPED(store_session_lock(w->s, SPAN("anna"), locked, SPAN("looked at"), now(), &w->f));
}
static err session_add(void)
{
    struct session_add args = {.id = SPAN("ses_anna"),
                               .site = SPAN("x"),
                               .pool = SPAN("pool"),
                               .name = SPAN("anna"),
                               .burst = 1,
                               .max_active = 1};
    GROUPED(store_session_add(w->s, &args, now(), &w->f));
}
static err session_cookies(void)
{
    struct session_cookies args = {.session = SPAN("anna"),
                                   .text = SPAN("[{\"name\":\"auth_token\",\"value\":\"v\"}]"),
                                   .count = 1};
    GROUPED(store_session_cookies(w->s, &args, now(), &w->f));
}
static void accept_with_session(void)
{
    struct accept_args args = job_args(new_id(), "x/normal@pool.UserTweets");
    args.pool = SPAN("pool");
    args.operation = SPAN("UserTweets");
    accept_args(&args);
}
static void with_session(void)
{
    assert_int_equal(session_add(), E_OK);
    assert_int_equal(session_cookies(), E_OK);
    accept_with_session();
}
static void session_locked(void)
{
    with_session();
    assert_int_equal(session_lock(true), E_OK);
    assert_true(has_none()); /* who is woken finds the pool exhausted, and parks the lane */
}
static void session_unlocked(void)
{
    assert_int_equal(session_lock(false), E_OK);
}
static void session_renewed(void)
{
    assert_int_equal(session_cookies(), E_OK);
    assert_int_equal(session_lock(false), E_OK);
}
static void session_in_use(void)
{
    with_session();
    kept = start_next();
    accept_with_session();
    assert_true(has_none());
}
static void session_cools(void)
{
    session_in_use();
    throttle(&kept, 30 * SECOND);
    assert_true(has_none());
}

/* ---- in a batch ---- */

static err batch_of_two(void)
{
    struct accept_args jobs[2] = {job_args(new_id(), "x/normal"),
                                  job_args(new_id(), "x/normal")};
    struct batch_args args = {.id = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                              .tenant = SPAN("default"),
                              .parallel = 1,
                              .jobs = jobs,
                              .count = 2};
    struct batch_reply ignored;
    GROUPED(store_batch_create(w->s, &args, now(), w->a, &ignored, &w->f));
}
static void one_at_a_time(void)
{
    assert_int_equal(batch_of_two(), E_OK);
    kept = start_next();
}

/* ---- what has ended ---- */

static void dead(void)
{
    kept.id[0] = '\0';
    accept_job();
    kept = start_next();
    finish(&kept, FAILURE_DRIFT);
}
static err replay_kept(void)
{
    struct replay_args args = {.id = span_of(kept.id)};
    struct replay_reply ignored;
    GROUPED(store_replay(w->s, &args, now(), &ignored, &w->f));
}
static void replay_one(void)
{
    assert_int_equal(replay_kept(), E_OK);
}
static err replay_group(void)
{
    struct operation_args args = {.id = SPAN("opr_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                                  .kind = OPERATION_REPLAY,
                                  .filter = {.failure = -1}};
    struct operation_view ignored;
    GROUPED(store_operation_start(w->s, &args, now(), w->a, &ignored, &w->f));
}
static void replay_all(void)
{
    assert_int_equal(replay_group(), E_OK);
}

static const struct cause {
    const char *name;
    void (*prepare)(void);
    void (*happen)(void); /* NULL: time goes on */
} causes[] = {
    {"a job is accepted", nothing, NULL},
    {"a job comes due", in_an_hour, NULL},
    {"a retry comes due", retry, NULL},
    {"the retry budget has room again", retry_beyond_the_budget, NULL},
    {"a job of a full lane ends well", one_waits_for_room_in_lane, finish_well},
    {"a job of a full lane ends for good", one_waits_for_room_in_lane, finish_badly},
    {"a job of a full lane is tried again later", one_waits_for_room_in_lane,
     finish_to_be_tried_again},
    {"a job of a full lane crashes", one_waits_for_room_in_lane, crash_of_the_attempt},
    {"a job is given back", leased, release},
    {"a job of a full lane is cancelled by force", one_waits_for_room_in_lane, cancel_by_force},
    {"a job that was asked to stop is out of grace", asked_and_not_stopping, NULL},
    {"a job of a full lane is not heard of", one_waits_for_room_in_lane, NULL},
    {"a lease lapses", leased, NULL},
    {"the service starts again", leased, the_service_dies},
    {"the lane's rate allows one more", no_token, NULL},
    {"the lane's rate is taken off", no_token, rate_raised},
    {"the site's rate allows one more", no_token_of_the_site, NULL},
    {"the site's block ends", blocked_by_the_site, NULL},
    {"a block is lifted by hand", blocked_by_the_site, unblock},
    {"the breaker's time is over", broken, NULL},
    {"the breaker is reset", broken, reset_breaker},
    {"the breaker is closed by hand", broken, close_breaker},
    {"the breaker that was opened by hand is over", forced_open, NULL},
    {"the probe ends well", half_open, finish_well},
    {"the probe says nothing", half_open, release},
    {"a lane is resumed", paused, resume},
    {"the pause of all ends", mode_paused, mode_normal},
    {"maintenance ends", mode_maintenance, mode_normal},
    {"maintenance becomes draining", mode_maintenance, mode_draining},
    {"a lane's limit is raised", one_waits_for_room_in_lane, lane_limit_raised},
    {"a job of a full tenant ends", full_tenant, finish_well},
    {"a tenant's limit is raised", full_tenant, tenant_limit_raised},
    {"a job of a full site ends", full_site, finish_well},
    {"a site's limit is raised", full_site, site_limit_raised},
    {"a job ends where all is full", full_house, finish_well},
    {"the limit of all is raised", full_house, limit_of_all_raised},
    {"the job before it ends", behind_another, finish_well},
    {"the job before it is cancelled", behind_another, cancel_by_force},
    {"the job before it is lost", behind_another, NULL},
    {"the job whose result it would share dies", one_shares, finish_badly},
    {"the job whose result a hundred would share dies", hundred_share, finish_badly},
    {"the cookies of a locked session are new", session_locked, session_renewed},
    {"a session is unlocked", session_locked, session_unlocked},
    {"the job that has the session ends", session_in_use, finish_well},
    {"the session has cooled", session_cools, NULL},
    {"a batch has room for its next job", one_at_a_time, finish_well},
    {"a job of a full batch is cancelled by force", one_at_a_time, cancel_by_force},
    {"a job of a full batch is lost", one_at_a_time, NULL},
    {"a dead job comes back", dead, replay_one},
    {"an operation brings dead jobs back", dead, replay_all},
    {"a newer request takes the place of one in a paused lane", replaced,
     replace_in_another_lane},
};

static err tend(void)
{
    GROUPED(store_tend(w->s, now(), &w->f));
}

/* Nobody looks but when the store said that it is time. */
static void expect_announced(const struct cause *c)
{
    struct lease l;
    bool accept = c->prepare == nothing;
    c->prepare();
    if (outlook().startable != 0 || !has_none())
        fail_msg("%s: a job may start before that", c->name);
    if (accept)
        accept_job();
    else if (c->happen)
        c->happen();
    for (int i = 0; outlook().startable == 0; i++) {
        if (i == 20 || (c->happen && i == 2 && c->prepare != hundred_share) ||
            !go_on(w->now + 2 * HOUR))
            fail_msg("%s: nobody is told", c->name);
        assert_int_equal(tend(), E_OK);
        if (c->happen && c->prepare != leased && c->happen != finish_to_be_tried_again &&
            w->now > T0 + 3 * HOUR)
            fail_msg("%s: told late", c->name);
    }
    if (!reserve(&l))
        fail_msg("%s: told, and no job may start", c->name);
}

static void s57_whatever_makes_a_job_startable_is_announced(void **state)
{
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (i) {
            tear_down(state);
            set_up(state);
        }
        expect_announced(&causes[i]);
    }
}

/* Likewise in a group: what the group did shows at its end, and nothing when it was lost. */
static void s57_a_group_that_was_lost_announces_nothing(void **state)
{
    (void)state;
    begin();
    accept_job();
    crash();
    assert_int_equal(outlook().startable, 0);
    assert_true(outlook().next_ms == INT64_MAX);
    assert_true(has_none());
}

/* Who waits for an ended job is let go on in pieces; those that were left may end otherwise. */
static void s57_waiting_jobs_that_end_otherwise_leave_nothing_due(void **state)
{
    (void)state;
    const int64_t before = w->numbers;
    sharing_with_another(100);
    finish(&kept, FAILURE_NONE);
    assert_true(outlook().by_state[JOB_BLOCKED] > 0);
    assert_true(outlook().next_ms <= w->now);
    for (int64_t i = before + 1; i <= w->numbers; i++) {
        struct cancel_reply ignored;
        (void)!try_cancel(arena_fmt(w->ids, "job_%07lld", (long long)i), false, &ignored);
    }
    assert_int_equal(outlook().by_state[JOB_BLOCKED], 0);
    reap();
    assert_true(outlook().next_ms > w->now);
    assert_int_equal(reap().settled, 0);
}

static void s58_one_job_wakes_one_of_ten_thousand(void **state)
{
    (void)state;
    enum { RESERVERS = 10000 };
    struct lease l;
    w->maker->count_work(true);
    reopen();
    assert_int_equal(outlook().startable, 0);
    accept_job();
    assert_int_equal(outlook().startable, 1); /* so many are woken */
    lease_next();
    assert_int_equal(outlook().startable, 0);
    int64_t leased = 0, none = work_of_none();
    accept_job();
    begin();
    /* And should all come, one gets it, and the others find what they would find if none had come. */
    for (int i = 0; i < RESERVERS; i++)
        leased += reserve(&l);
    int64_t before = w->maker->work();
    for (int i = 0; i < RESERVERS; i++)
        leased += reserve(&l);
    assert_int_equal(w->maker->work() - before, RESERVERS * none);
    commit();
    assert_int_equal(leased, 1);
}

static bool reserve_for(const char *const *names, size_t count, struct lease *out)
{
    struct span sites[4];
    for (size_t i = 0; i < count; i++)
        sites[i] = span_of(names[i]);
    err e = reserve_as(
        &(struct reserve_args){.needs = NEEDS_PAGE, .sites = sites, .site_count = count}, out);
    assert_true(e == E_OK || e == E_END);
    return e == E_OK;
}

static void
s59_a_worker_gets_only_what_it_knows_and_the_rest_is_neither_taken_nor_charged(void **state)
{
    (void)state;
    static const char *const old[] = {"a"}, *const fresh[] = {"a", "b", "c"};
    struct lease l;
    for (int i = 0; i < 10; i++) { /* at the head of all */
        struct accept_args args = job_args(new_id(), i % 2 ? "b/interactive" : "c/interactive");
        args.prio = 9;
        accept_args(&args);
    }
    accept_many("a/bulk", 10);
    for (int i = 0; i < 10; i++) {
        assert_true(reserve_for(old, 1, &l));
        assert_string_equal(l.lane.p, "a/bulk");
        finish(&l, FAILURE_NONE);
    }
    struct span before = look();
    assert_false(reserve_for(old, 1, &l));
    assert_false(reserve_for(old, 0, &l));
    same_look(before, look());
    for (int i = 0; i < 10; i++) {
        assert_true(reserve_for(fresh, 3, &l));
        assert_int_equal(l.fence, 1);
    }
    /* Likewise by what there is: a worker without a page, without the memory, without the time. */
    struct accept_args args = job_args(new_id(), "a/normal");
    args.needs = NEEDS_PAGE;
    args.memory_bytes = 1000;
    args.attempt_ms = 5000;
    accept_args(&args);
    static const struct reserve_args poor[] = {
        {.needs = NEEDS_NOTHING},
        {.needs = NEEDS_PAGE, .memory_bytes = 999},
        {.needs = NEEDS_PAGE, .time_ms = 4999},
    };
    before = look();
    for (int i = 0; i < 3; i++)
        assert_int_equal(reserve_as(&poor[i], &l), E_END);
    same_look(before, look());
    assert_int_equal(
        reserve_as(
            &(struct reserve_args){.needs = NEEDS_PAGE, .memory_bytes = 1000, .time_ms = 5000},
            &l),
        E_OK);
}

/* In its lane, and in others: what needs more than there is waits, and everything else goes on by its rank. */
static void s59_a_job_that_does_not_fit_holds_up_nobody_behind_it(void **state)
{
    (void)state;
    enum { LARGE = 12 };
    struct lease l;
    char ids[3][ID_TEXT];
    for (int i = 0; i < LARGE; i++) {
        struct accept_args args = job_args(new_id(), "a/normal");
        args.prio = 9;
        args.memory_bytes = 4000;
        args.needs = i % 2 ? NEEDS_PAGE : NEEDS_NOTHING;
        accept_args(&args);
    }
    for (int i = 0; i < 3; i++) { /* the last of these comes first by its rank */
        struct accept_args args = job_args(new_id(), "a/normal");
        span_copy(args.id, ids[i], sizeof ids[i]);
        args.prio = 3 + i;
        args.memory_bytes = i == 0 ? 0 : 1000;
        args.needs = i == 1 ? NEEDS_PAGE : NEEDS_NOTHING;
        accept_args(&args);
    }
    const struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000},
                              none = {.needs = NEEDS_PAGE, .memory_bytes = STORE_MEMORY_UNSAID},
                              any = {.needs = NEEDS_PAGE};
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_string_equal(l.id, ids[2]);
    assert_int_equal(reserve_as(&none, &l), E_OK);
    assert_string_equal(l.id, ids[0]);
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_string_equal(l.id, ids[1]);
    struct span before = look();
    assert_int_equal(reserve_as(&little, &l), E_END);
    same_look(before, look());
    accept_many("b/normal", 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(reserve_as(&little, &l), E_OK);
    for (int i = 0; i < LARGE; i++)
        assert_int_equal(reserve_as(&any, &l), E_OK);
}

/* It is told how long the one has waited that was passed over, and can ask for that one alone when there is room. */
static void s59_a_job_that_was_passed_over_is_told_and_can_be_asked_for(void **state)
{
    (void)state;
    struct lease l;
    char large[ID_TEXT], larger[ID_TEXT], passed[ID_TEXT];
    struct accept_args args = job_args(new_id(), "a/normal");
    span_copy(args.id, large, sizeof large);
    args.memory_bytes = 4000;
    args.prio = 9;
    accept_args(&args);
    w->now += 10000;
    args = job_args(new_id(), "b/normal");
    span_copy(args.id, larger, sizeof larger);
    args.memory_bytes = 9000;
    accept_args(&args);
    accept_many("a/normal", 3);
    accept_many("b/normal", 3);
    w->now += 25000;
    struct reserve_args little = {
        .needs = NEEDS_PAGE, .memory_bytes = 1000, .room_after_ms = 35001};
    const struct reserve_args one = {.needs = NEEDS_PAGE, .memory_least = 4000},
                              none = {.needs = NEEDS_PAGE, .memory_least = 9001};
    int64_t passed_ms = 0, passed_bytes = 0;
    assert_int_equal(reserve_as(&little, &l), E_OK); /* who is more patient hears of none */
    assert_int_equal(l.passed_ms, 0);
    little.room_after_ms = 5000;
    for (int i = 0; i < 2; i++) { /* one of each lane: that of a tells of the older one */
        assert_int_equal(reserve_as(&little, &l), E_OK);
        if (l.passed_ms > passed_ms) {
            passed_ms = l.passed_ms;
            passed_bytes = l.passed_bytes;
            span_copy(span_of(l.passed), passed, sizeof passed);
        }
    }
    assert_int_equal(passed_ms, 35000);
    assert_int_equal(passed_bytes, 4000);
    assert_string_equal(passed, large);
    struct span before = look();
    assert_int_equal(reserve_as(&none, &l), E_END);
    same_look(before, look());
    bool first = false, second = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(reserve_as(&one, &l), E_OK);
        first |= span_is(span_of(l.id), large);
        second |= span_is(span_of(l.id), larger);
        assert_int_equal(l.passed_ms, 0);
    }
    assert_true(first && second);
    assert_int_equal(reserve_as(&one, &l), E_END);
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_int_equal(l.passed_ms, 0);
}

/* As far as one question looks past queues of which nothing fits; those behind come as the ones before them start. */
static void s59_queues_that_step_aside_hold_up_nobody_behind_as_far_as_is_promised(void **state)
{
    (void)state;
    enum { MORE = 20 };
    const struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000},
                              any = {.needs = NEEDS_PAGE};
    struct lease l;
    char name[32], small[ID_TEXT];
    for (int i = 0; i < RESERVE_ASIDE + MORE - 1; i++) {
        snprintf(name, sizeof name, "t%02d/normal", i);
        struct accept_args args = job_args(new_id(), name);
        args.memory_bytes = 4000;
        accept_args(&args);
        if (i == RESERVE_ASIDE - 2) { /* so many are looked past */
            accept_many("last/normal", 1);
            assert_int_equal(reserve_as(&little, &l), E_OK);
            assert_true(span_is(l.lane, "last/normal"));
        }
    }
    struct accept_args args = job_args(new_id(), "last/normal");
    span_copy(args.id, small, sizeof small);
    accept_args(&args);
    int started = 0;
    while (reserve_as(&little, &l) == E_END) {
        assert_int_equal(reserve_as(&any, &l), E_OK);
        if (strcmp(l.id, small) == 0)
            return; /* its turn has come among all of them */
        assert_true(++started <= MORE);
    }
    assert_string_equal(l.id, small);
}

static void accept_of(const char *name, int count, int64_t memory, enum store_needs needs,
                      int prio)
{
    for (int i = 0; i < count; i++) {
        struct accept_args args = job_args(new_id(), name);
        args.memory_bytes = memory;
        args.needs = needs;
        args.prio = prio;
        accept_args(&args);
    }
}

/* Behind so many queues as these, each with so many jobs of each kind of which none fits. The last queue is looked at last: of all
 * of them it has had a start. */
static void queues_before_the_last(int count, int light, int paged)
{
    char name[32];
    struct lease l;
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "t%02d/normal", i);
        accept_of(name, light, 4000, NEEDS_NOTHING, 5);
        accept_of(name, paged, 4000, NEEDS_PAGE, 5);
    }
    accept_of("last/normal", 1, 10, NEEDS_NOTHING, 5);
    assert_int_equal(
        reserve_as(&(struct reserve_args){.needs = NEEDS_PAGE, .memory_bytes = 1000}, &l),
        E_OK);
    assert_true(span_is(l.lane, "last/normal"));
}

/* 128 looks beside the first of each kind of a queue, counted alike by every store: 14 queues with nine each leave two. */
static void s59_the_looks_of_a_question_are_counted_beside_the_first_of_each_kind(void **state)
{
    (void)state;
    const struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000};
    struct lease l;
    queues_before_the_last(14, 10, 0);
    accept_of("last/normal", 3, 4000, NEEDS_NOTHING, 9);
    accept_of("last/normal", 1, 10, NEEDS_NOTHING, 5);
    struct span before = look();
    assert_int_equal(reserve_as(&little, &l), E_END); /* it would be the third */
    same_look(before, look());
}

/* One of the last queue fits that needs the second look, which is the last one there is. */
static void s59_the_last_look_of_a_question_finds_what_fits(void **state)
{
    (void)state;
    const struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000};
    struct lease l;
    queues_before_the_last(14, 10, 0);
    accept_of("last/normal", 2, 4000, NEEDS_NOTHING, 9);
    accept_of("last/normal", 1, 10, NEEDS_NOTHING, 5);
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_true(span_is(l.lane, "last/normal"));
}

/* 16 queues with four looks of each kind use them up; the first of each kind is looked at all the same. */
static void s59_the_first_of_each_kind_is_looked_at_without_looks(void **state)
{
    (void)state;
    const struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000};
    struct lease l;
    queues_before_the_last(16, 5, 5);
    accept_of("last/normal", 1, 4000, NEEDS_PAGE, 9);
    accept_of("last/normal", 2, 10, NEEDS_NOTHING, 5);
    accept_of("last/normal", 1, 10, NEEDS_PAGE,
              8); /* before it by rank, and behind the looks */
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_true(span_is(l.lane, "last/normal"));
    accept_of("last/normal", 1, 4000, NEEDS_NOTHING, 9);
    assert_int_equal(reserve_as(&little, &l), E_END);
}

static void s83_runnable_counts_what_nothing_but_workers_holds_up(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "s%d/normal", i);
        accept_many(name, 100);
    }
    assert_int_equal(outlook().runnable, 1000);
    for (int i = 1; i < 10; i++) { /* nine of ten are held up, each by something else */
        snprintf(name, sizeof name, "s%d/normal", i);
        if (i % 3 == 0)
            lane_act(name, LANE_ACT_PAUSE, 0);
        else if (i % 3 == 1)
            lane_act(name, LANE_ACT_BREAKER_OPEN, MINUTE);
    }
    int64_t left = 0;
    for (struct lease l; left < 2000 && outlook().runnable > 100; left++) {
        l = lease_next();
        if (strncmp(l.lane.p, "s0", 2) != 0)
            throttle(&l, MINUTE);
        else
            give_back(&l, BUDGET_RELEASE);
        drop_texts();
    }
    struct outlook o = outlook();
    assert_true(o.runnable >= 99 && o.runnable <= 100);
    assert_int_equal(o.by_state[JOB_READY], 1000 - o.by_state[JOB_SCHEDULED]);
    assert_int_equal(o.lanes[LANE_PAUSED], 3);
    assert_int_equal(o.lanes[LANE_BREAKER_OPEN], 3);
    assert_int_equal(o.lanes[LANE_BLOCKED], 3);
    assert_int_equal(o.lanes[LANE_OPEN], 1);
    w->now += MINUTE; /* what time opens counts again */
    assert_true(outlook().runnable >= 697);
}

static const struct CMUnitTest tests[] = {
    S(s57_whatever_makes_a_job_startable_is_announced),
    S(s57_a_group_that_was_lost_announces_nothing),
    S(s57_waiting_jobs_that_end_otherwise_leave_nothing_due),
    S(s58_one_job_wakes_one_of_ten_thousand),
    S(s59_a_worker_gets_only_what_it_knows_and_the_rest_is_neither_taken_nor_charged),
    S(s59_a_job_that_does_not_fit_holds_up_nobody_behind_it),
    S(s59_queues_that_step_aside_hold_up_nobody_behind_as_far_as_is_promised),
    S(s59_the_looks_of_a_question_are_counted_beside_the_first_of_each_kind),
    S(s59_the_last_look_of_a_question_finds_what_fits),
    S(s59_the_first_of_each_kind_is_looked_at_without_looks),
    S(s59_a_job_that_was_passed_over_is_told_and_can_be_asked_for),
    S(s83_runnable_counts_what_nothing_but_workers_holds_up),
};
RUN_ON_ALL_STORES(tests)

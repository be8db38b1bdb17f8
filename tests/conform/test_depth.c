/* How many jobs may wait in a lane, what becomes of one more, which priority one gets that names none, and what went through
 * it: the same on every store. */
#include "../lib/scenario.h"

#include "store/batches.h"
#include "store/dead.h"
#include "store/schedules.h"

#include <string.h>

static void set_depth(const char *name, int64_t depth, int64_t overflow)
{
    struct lane_change c = lane_sets(name);
    c.settings.depth = depth;
    c.settings.overflow = overflow;
    assert_int_equal(lane_change(&c), E_OK);
}

static const char *accept_prio(int prio)
{
    const char *id = new_id();
    struct accept_args args = job_args(id, "x/normal");
    args.prio = prio;
    accept_args(&args);
    return id;
}

static void refused(const struct accept_args *args, err why, const char *words)
{
    struct accept_reply reply;
    struct span before = look();
    assert_int_equal(try_accept(args, &reply), why);
    if (!strstr(w->f.words, words))
        fail_msg("\"%s\" does not say \"%s\"", w->f.words, words);
    same_look(before, look());
}

static void a_full_lane_refuses_one_more_and_others_take_it(void **state)
{
    (void)state;
    set_depth("x/normal", 3, OVERFLOW_REFUSE);
    assert_int_equal(lane("x/normal").settings.depth, 3);
    for (int i = 0; i < 3; i++)
        accept_job();
    struct accept_args args = job_args(new_id(), "x/normal");
    args.prio = 9;
    refused(&args, E_BUSY, "max_depth");
    accept_in("x/bulk");
    start_next(); /* what runs does not wait */
    start_next();
    accept_args(&args);
    crash(); /* it is kept */
    assert_int_equal(lane("x/normal").own.depth, 3);
    set_depth("x/normal", LANE_AS_CONFIGURED, LANE_AS_CONFIGURED);
    accept_many("x/normal", 20);
}

static void what_is_scheduled_or_blocked_waits_too(void **state)
{
    (void)state;
    set_depth("x/normal", 2, OVERFLOW_REFUSE);
    struct accept_args args = job_args(new_id(), "x/normal");
    args.run_at_ms = w->now + HOUR;
    accept_args(&args);
    args = job_args(new_id(), "x/normal");
    args.held = true;
    accept_args(&args);
    args = job_args(new_id(), "x/normal");
    refused(&args, E_BUSY, "max_depth");
}

/* The one that would start last makes way, and the one that would be last itself does not come in. */
static void the_last_makes_way_for_a_better_one(void **state)
{
    (void)state;
    set_depth("x/normal", 3, OVERFLOW_DROP_LAST);
    const char *high = accept_prio(8), *low = accept_prio(1), *middle = accept_prio(5);
    struct accept_args args = job_args(new_id(), "x/normal");
    args.prio = 0;
    refused(&args, E_BUSY, "max_depth");
    const char *urgent = accept_prio(9);
    struct job_view v = view(low);
    assert_int_equal(v.state, JOB_CANCELLED);
    assert_true(span_find(v.why, SPAN("a job that starts before it")) < v.why.n);
    assert_int_equal(lane("x/normal").ready, 3);
    assert_string_equal(lease_next().id, urgent);
    assert_string_equal(lease_next().id, high);
    assert_string_equal(lease_next().id, middle);
}

/* Nobody is dropped for a job that cannot start yet. */
static void a_job_that_waits_for_its_time_drops_nobody(void **state)
{
    (void)state;
    set_depth("x/normal", 1, OVERFLOW_DROP_LAST);
    accept_prio(0);
    struct accept_args args = job_args(new_id(), "x/normal");
    args.prio = 9;
    args.run_at_ms = w->now + HOUR;
    refused(&args, E_BUSY, "max_depth");
    args.run_at_ms = 0;
    args.held = true;
    refused(&args, E_BUSY, "max_depth");
}

static void equal_work_takes_its_own_place(void **state)
{
    (void)state;
    set_depth("x/normal", 1, OVERFLOW_REFUSE);
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    args.on_conflict = UNIQUE_REPLACE_PENDING;
    accept_args(&args);
    args.id = span_of(new_id());
    accept_args(&args);
    assert_int_equal(lane("x/normal").ready, 1);
    args.id = span_of(new_id());
    args.on_conflict = UNIQUE_RETURN_EXISTING;
    assert_true(accept_args(&args).existing); /* who asks for what is there needs no room */
}

/* Jobs of one lane, the first with the unique key of others; in one step of a store, or in several. */
static err create_batch_like(int64_t count, enum unique_mode mode)
{
    static struct accept_args orders[96];
    struct batch_reply reply;
    struct batch_args args = {.id = span_of(made_id("bat")),
                              .tenant = SPAN("default"),
                              .jobs = orders,
                              .count = (size_t)count};
    for (int64_t i = 0; i < count; i++)
        orders[i] = job_args(new_id(), "x/normal");
    orders[0].unique_key = SPAN("u");
    orders[0].on_conflict = mode;
    begin();
    w->f = (struct fault){0};
    err e = store_batch_create(w->s, &args, now(), w->a, &reply, &w->f);
    commit();
    return e;
}

static const char *accept_unique(enum unique_mode mode)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    args.on_conflict = mode;
    accept_args(&args);
    return args.id.p;
}

static const int64_t batch_sizes[] = {5, 80};

static void who_takes_the_place_of_others_in_a_batch_needs_no_room(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t size = batch_sizes[i];
        set_depth("x/normal", size, OVERFLOW_REFUSE);
        const char *old = accept_unique(UNIQUE_RETURN_EXISTING);
        assert_int_equal(create_batch_like(size + 1, UNIQUE_REPLACE_PENDING), E_BUSY);
        assert_int_equal(state_of(old), JOB_READY);
        assert_int_equal(create_batch_like(size, UNIQUE_REPLACE_PENDING), E_OK);
        assert_int_equal(state_of(old), JOB_CANCELLED);
        assert_int_equal(lane("x/normal").ready, size);
        for (int64_t k = 0; k < size; k++) {
            struct lease l = start_next();
            finish(&l, FAILURE_NONE);
        }
    }
}

static void who_comes_behind_one_that_runs_has_the_place_of_the_one_before(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t size = batch_sizes[i];
        set_depth("x/normal", size, OVERFLOW_REFUSE);
        accept_unique(UNIQUE_RETURN_EXISTING);
        struct lease running = start_next();
        const char *behind = accept_unique(UNIQUE_RUN_AFTER_ACTIVE);
        assert_int_equal(lane("x/normal").blocked, 1);
        assert_int_equal(create_batch_like(size + 1, UNIQUE_RUN_AFTER_ACTIVE), E_BUSY);
        assert_int_equal(create_batch_like(size, UNIQUE_RUN_AFTER_ACTIVE), E_OK);
        assert_int_equal(state_of(behind), JOB_CANCELLED);
        assert_int_equal(lane("x/normal").ready + lane("x/normal").blocked, size);
        finish(&running, FAILURE_NONE);
        for (int64_t k = 0; k < size; k++) {
            struct lease l = start_next();
            finish(&l, FAILURE_NONE);
        }
    }
}

/* One that is to be tried again, and one behind it. */
static void who_takes_the_place_of_two_in_a_batch_has_both(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t size = batch_sizes[i];
        set_depth("x/normal", size, OVERFLOW_REFUSE);
        const char *first = accept_unique(UNIQUE_RETURN_EXISTING);
        struct lease l = start_next();
        const char *behind = accept_unique(UNIQUE_RUN_AFTER_ACTIVE);
        finish(&l, FAILURE_NETWORK);
        assert_int_equal(state_of(first), JOB_SCHEDULED);
        assert_int_equal(state_of(behind), JOB_BLOCKED);
        assert_int_equal(create_batch_like(size + 1, UNIQUE_REPLACE_PENDING), E_BUSY);
        assert_int_equal(create_batch_like(size, UNIQUE_REPLACE_PENDING), E_OK);
        assert_int_equal(state_of(first), JOB_CANCELLED);
        assert_int_equal(state_of(behind), JOB_CANCELLED);
        for (int64_t k = 0; k < size; k++) {
            l = start_next();
            finish(&l, FAILURE_NONE);
        }
    }
}

/* A batch is taken wholly or not at all, also where it would not fit; and it drops nobody. */
static void a_batch_fits_into_a_lane_or_does_not(void **state)
{
    (void)state;
    struct accept_args jobs[3];
    struct batch_reply reply;
    set_depth("x/normal", 3, OVERFLOW_DROP_LAST);
    const char *first = accept_prio(0);
    for (int i = 0; i < 3; i++) {
        jobs[i] = job_args(new_id(), "x/normal");
        jobs[i].prio = 9;
    }
    struct batch_args args = {.id = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                              .tenant = SPAN("default"),
                              .jobs = jobs,
                              .count = 3};
    begin();
    assert_int_equal(store_batch_create(w->s, &args, now(), w->a, &reply, &w->f), E_BUSY);
    commit();
    assert_int_equal(lane("x/normal").ready, 1);
    args.count = 2;
    begin();
    err e = store_batch_create(w->s, &args, now(), w->a, &reply, &w->f);
    commit();
    assert_int_equal(e, E_OK);
    assert_int_equal(lane("x/normal").ready, 3);
    assert_int_equal(state_of(first), JOB_READY);
}

static void an_ended_job_does_not_come_back_into_a_full_lane(void **state)
{
    (void)state;
    const char *id = accept_job();
    cancel(id, false);
    accept_job();
    set_depth("x/normal", 1, OVERFLOW_DROP_LAST);
    struct replay_args args = {.id = span_of(id)};
    struct replay_reply reply;
    begin();
    assert_int_equal(store_replay(w->s, &args, now(), &reply, &w->f), E_BUSY);
    commit();
    assert_true(strstr(w->f.words, "x/normal") != NULL);
}

/* ---- the priority of a job that names none ---- */

static void set_priority(const char *name, int64_t prio)
{
    struct lane_change c = lane_sets(name);
    c.settings.prio = prio;
    assert_int_equal(lane_change(&c), E_OK);
}

/* As an order that names none. */
static struct accept_args without_priority(const char *id, const char *name)
{
    struct accept_args args = job_args(id, name);
    args.prio = LANE_PRIORITY;
    args.prio_of_lane = true;
    return args;
}

static const char *accept_without(const char *name)
{
    const char *id = new_id();
    struct accept_args args = without_priority(id, name);
    accept_args(&args);
    return id;
}

static void a_job_without_a_priority_gets_its_lanes(void **state)
{
    (void)state;
    const char *before = accept_without("x/normal"); /* there is no such lane yet */
    assert_int_equal(view(before).prio, 5);
    assert_int_equal(lane("x/normal").settings.prio, 5);
    assert_int_equal(lane("x/normal").own.prio, LANE_AS_CONFIGURED);
    set_priority("x/normal", 8);
    const char *given = accept_prio(7), *normal = accept_prio(5);
    const char *without = accept_without("x/normal");
    const char *other = accept_without("x/bulk");
    assert_int_equal(view(before).prio, 5); /* only those that come get it */
    assert_int_equal(view(given).prio, 7);
    assert_int_equal(view(normal).prio, 5);
    assert_int_equal(view(without).prio, 8);
    assert_int_equal(view(other).prio, 5);
    cancel(other, false);
    assert_string_equal(lease_next().id, without);
    assert_string_equal(lease_next().id, given);
    crash(); /* it is kept */
    assert_int_equal(lane("x/normal").settings.prio, 8);
    assert_int_equal(lane("x/normal").own.prio, 8);
    assert_int_equal(view(accept_without("x/normal")).prio, 8);
    set_priority("x/normal", 0); /* the lowest is one as well */
    assert_int_equal(lane("x/normal").own.prio, 0);
    assert_int_equal(view(accept_without("x/normal")).prio, 0);
    set_priority("x/normal", LANE_AS_CONFIGURED);
    assert_int_equal(view(accept_without("x/normal")).prio, 5);
}

/* It decides whose place the job takes, like one that was named. */
static void the_lanes_priority_counts_where_it_is_full(void **state)
{
    (void)state;
    set_depth("x/normal", 1, OVERFLOW_DROP_LAST);
    const char *first = accept_prio(6);
    struct accept_args args = without_priority(new_id(), "x/normal");
    refused(&args, E_BUSY, "max_depth");
    set_priority("x/normal", 7);
    accept_args(&args);
    assert_int_equal(state_of(first), JOB_CANCELLED);
}

/* A job that takes the place of equal work gets it too, one that is there already stays as it is. */
static void equal_work_has_the_priority_that_it_came_with(void **state)
{
    (void)state;
    struct accept_args args = without_priority(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    args.idempotency_key = SPAN("k");
    accept_args(&args);
    struct span first = args.id;
    set_priority("x/normal", 9);
    assert_true(accept_args(&args).replayed);
    args.idempotency_key = SPAN("");
    args.id = span_of(new_id());
    assert_true(accept_args(&args).existing);
    assert_int_equal(view(first.p).prio, 5);
    args.on_conflict = UNIQUE_REPLACE_PENDING;
    accept_args(&args);
    assert_int_equal(view(args.id.p).prio, 9);
    assert_int_equal(state_of(first.p), JOB_CANCELLED);
}

static void jobs_of_batches_get_it(void **state)
{
    (void)state;
    struct accept_args jobs[2] = {without_priority(new_id(), "x/normal"),
                                  job_args(new_id(), "x/normal")};
    struct accept_args last = without_priority("", "x/normal");
    struct batch_reply reply;
    jobs[1].prio = 3;
    struct batch_args args = {.id = SPAN("bat_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                              .tenant = SPAN("default"),
                              .jobs = jobs,
                              .count = 2};
    struct buf ticket = BUF(TICKET_MAX);
    last.id = SPAN_NONE;
    assert_int_equal(ticket_write(&last, &ticket, NULL), E_OK);
    args.calls[BATCH_COMPLETE] = buf_span(&ticket);
    set_priority("x/normal", 8);
    begin();
    err e = store_batch_create(w->s, &args, now(), w->a, &reply, &w->f);
    commit();
    assert_int_equal(e, E_OK);
    assert_int_equal(view(jobs[0].id.p).prio, 8);
    assert_int_equal(view(jobs[1].id.p).prio, 3);
    for (int i = 0; i < 2; i++) {
        struct lease l = lease_next();
        finish(&l, FAILURE_NONE);
    }
    begin();
    assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
    commit();
    assert_int_equal(view(lease_next().id).prio, 8); /* of its callback */
    buf_free(&ticket);
}

/* As it is when the job is made, not when the schedule was. */
static void jobs_of_schedules_get_it(void **state)
{
    (void)state;
    struct schedule_view v;
    struct schedule_fired fired;
    struct schedule_put put = {
        .id = SPAN("sch_01J00000000000000000000001"),
        .tenant = SPAN("default"),
        .name = SPAN("nasa"),
        .terms.rule = {.kind = SCHEDULE_INTERVAL, .interval_ms = HOUR, .grace_ms = 1000},
        .job = without_priority("", "x/normal"),
        .job_text = SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\"}"),
        .create = true,
        .slot_now = now()};
    struct schedule_ask ask = {
        .tenant = SPAN("default"), .id = put.id, .revision = -1, .slot_now = now()};
    put.job.id = SPAN_NONE;
    begin();
    assert_int_equal(store_schedule_put(w->s, &put, now(), w->a, &v, &w->f), E_OK);
    commit();
    set_priority("x/normal", 2);
    begin();
    assert_int_equal(store_schedule_trigger(w->s, &ask, now(), w->a, &fired, &w->f), E_OK);
    commit();
    assert_int_equal(fired.made, 1);
    assert_int_equal(view(fired.last_job).prio, 2);
}

static void a_lane_is_set_only_to_what_can_be(void **state)
{
    (void)state;
    struct lane_change c = lane_sets("x/normal");
    c.settings.overflow = OVERFLOWS;
    assert_int_equal(lane_change(&c), E_BAD_INPUT);
    c.settings.overflow = LANE_UNCHANGED;
    c.settings.depth = 1LL << 40;
    assert_int_equal(lane_change(&c), E_BAD_INPUT);
    c.settings.depth = LANE_UNCHANGED;
    c.settings.prio = 10;
    assert_int_equal(lane_change(&c), E_BAD_INPUT);
    assert_non_null(strstr(w->f.words, "default priority 0 to 9"));
}

/* ---- what went through it ---- */

static struct meter_sums meter(const char *name)
{
    struct meter_sums sums;
    err e = store_lane_meter(w->s, span_of(name), METER_WINDOW_MS, now(), &sums, &w->f);
    if (e)
        fail_msg("meter: %s", w->f.words);
    return sums;
}

static void what_came_started_and_ended_is_counted_for_ten_minutes(void **state)
{
    (void)state;
    struct meter_sums sums;
    assert_int_equal(
        store_lane_meter(w->s, SPAN("x/normal"), METER_WINDOW_MS, now(), &sums, &w->f),
        E_NOT_FOUND);
    for (int i = 0; i < 10; i++)
        accept_job();
    sums = meter("x/normal");
    assert_int_equal(sums.accepted, 10);
    assert_int_equal(sums.started + sums.ended, 0);
    assert_int_equal(sums.p50_ms, -1);
    struct lease l[5];
    for (int i = 0; i < 5; i++) {
        w->now += i < 4 ? 100 : 20000;
        l[i] = start_next();
    }
    for (int i = 0; i < 3; i++)
        finish(&l[i], FAILURE_NONE);
    cancel(accept_job(), false);
    sums = meter("x/normal");
    assert_int_equal(sums.accepted, 11);
    assert_int_equal(sums.started, 5);
    assert_int_equal(sums.ended, 4);
    assert_int_equal(sums.p50_ms, 500); /* 100, 200, 300, 400 and 20400 ms */
    assert_int_equal(sums.p99_ms, 30000);
    w->now += 3 * MINUTE;
    accept_job();
    assert_int_equal(store_lane_meter(w->s, SPAN("x/normal"), 2 * MINUTE, now(), &sums, &w->f),
                     E_OK);
    assert_int_equal(sums.accepted, 1);
    assert_int_equal(sums.started + sums.ended, 0);
    assert_int_equal(meter("x/normal").accepted, 12);
    w->now += 11 * MINUTE;
    assert_int_equal(meter("x/normal").accepted, 0);
    accept_job();
    assert_int_equal(meter("x/normal").accepted, 1);
    assert_int_equal(meter("x/normal").started, 0);
}

static const struct CMUnitTest tests[] = {
    S(a_full_lane_refuses_one_more_and_others_take_it),
    S(what_is_scheduled_or_blocked_waits_too),
    S(the_last_makes_way_for_a_better_one),
    S(a_job_that_waits_for_its_time_drops_nobody),
    S(equal_work_takes_its_own_place),
    S(who_takes_the_place_of_others_in_a_batch_needs_no_room),
    S(who_comes_behind_one_that_runs_has_the_place_of_the_one_before),
    S(who_takes_the_place_of_two_in_a_batch_has_both),
    S(a_batch_fits_into_a_lane_or_does_not),
    S(an_ended_job_does_not_come_back_into_a_full_lane),
    S(a_job_without_a_priority_gets_its_lanes),
    S(the_lanes_priority_counts_where_it_is_full),
    S(equal_work_has_the_priority_that_it_came_with),
    S(jobs_of_batches_get_it),
    S(jobs_of_schedules_get_it),
    S(a_lane_is_set_only_to_what_can_be),
    S(what_came_started_and_ended_is_counted_for_ten_minutes),
};

RUN_ON_ALL_STORES(tests)

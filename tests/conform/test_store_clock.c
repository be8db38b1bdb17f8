/* The promises of store/clock.h: whatever is done to the clock on the wall, what waits for elapsed time waits for
 * that, and what waits for a time of the wall for that one (S70). */
#include "../lib/calls.h"
#include "core/metrics.h"
#include "store/clock.h"
#include "store/lanes.h"

#include <stdatomic.h>

enum { SECOND = 1000, HOUR = 3600 * SECOND };
static const int64_t TEN_YEARS = INT64_C(10) * 365 * 86400 * 1000;

/* The clock on the wall, which the test sets. */
static atomic_llong set_by_ms,
    loses_from_ms; /* from then on it loses a second every second; 0: it does not */

static wall real_now(void)
{
    int64_t from = loses_from_ms, now = read_ms(CLOCK_BOOTTIME);
    int64_t lost = from ? (now - from) / 1000 * 1000 : 0;
    return (wall){read_ms(CLOCK_REALTIME) + set_by_ms - lost};
}

static int set_up(void **state)
{
    set_by_ms = loses_from_ms = 0;
    world_make(state, real_now, 20000);
    w->config.limits.fail_max = 1000;
    w->config.limits.retry_base_ms = 2000;
    w->config.limits.lane_burst = 2;
    w->config.elapsed = elapsed_now;
    return 0;
}

static void accept_at(const char *id, const char *lane, int64_t run_at_ms)
{
    struct call *c = call_new(1 << 16);
    prepare_accept(c, id);
    c->op.in.accept.lane = span_of(lane);
    c->op.in.accept.run_at_ms = run_at_ms;
    assert_int_equal(answer(c, STORE_ACCEPT), E_OK);
    call_free(&c);
}

static struct call *reserved(void)
{
    static uint64_t nonces;
    struct call *c = call_new(1 << 20);
    c->op.in.reserve =
        (struct reserve_args){.worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = ++nonces};
    assert_int_equal(answer(c, STORE_RESERVE), E_OK);
    return c;
}

static int64_t fail_it(const struct lease *l)
{
    struct call *c = call_new(1 << 16);
    c->op.in.finish = (struct finish_args){
        .id = span_of(l->id), .nonce = l->nonce, .failure = FAILURE_NETWORK};
    assert_int_equal(answer(c, STORE_FINISH), E_OK);
    assert_int_equal(c->op.out.finish.state, JOB_SCHEDULED);
    int64_t in = c->op.out.finish.retry_in_ms;
    call_free(&c);
    return in;
}

static struct job_view look(struct call *c, const char *id)
{
    arena_reset(c->arena);
    c->op.in.job.id = span_of(id);
    assert_int_equal(answer(c, STORE_JOB), E_OK);
    return c->op.out.job;
}

/* A job fails while the clock is set; its next try comes after its delay, neither much earlier nor later. */
static void a_delay_takes_its_time(int64_t step_ms)
{
    struct call *c = reserved();
    int64_t began = elapsed_now().ms;
    int64_t in = fail_it(&c->op.out.lease);
    set_by_ms += step_ms;
    wait_for(w->outlook.startable == 1);
    int64_t took = elapsed_now().ms - began;
    call_free(&c);
    if (took < in - in / STEADY_SLEW - 50 || took > in + in / 5 + 2000)
        fail_msg("set by %lld ms: a delay of %lld ms took %lld", (long long)step_ms,
                 (long long)in, (long long)took);
}

static void s70_delays_and_leases_last_as_long_whatever_is_done_to_the_clock(void **state)
{
    (void)state;
    static const int64_t steps[] = {-HOUR, HOUR, TEN_YEARS, -TEN_YEARS, HOUR, -HOUR};
    int64_t missed = metric_get(METRIC_MISSED_WAKEUPS, 0),
            set = metric_get(METRIC_CLOCK_STEPS, 0);
    start();
    accept_job("job_held"); /* is leased all the time */
    struct call *held = reserved(), *c = call_new(1 << 20);
    const struct lease *l = &held->op.out.lease;
    c->op.in.lease.id = span_of(l->id);
    c->op.in.lease.nonce = l->nonce;
    assert_int_equal(answer(c, STORE_STARTED), E_OK);
    accept_job("job_tried");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        wall before = store_thread_now(w->t);
        int64_t began = elapsed_now().ms;
        /* A fresh count, so that the delays stay short: it brings something. */
        struct call *batch = reserved();
        char id[32];
        snprintf(id, sizeof id, "item_%zu", i);
        struct store_item fresh = {.kind = ITEM_POST, .id = span_of(id), .json = SPAN("{}")};
        struct lease tried = batch->op.out.lease;
        batch->op.in.commit = (struct commit_args){.id = span_of(tried.id),
                                                   .nonce = tried.nonce,
                                                   .batch = tried.next_batch,
                                                   .items = &fresh,
                                                   .count = 1};
        assert_int_equal(answer(batch, STORE_COMMIT), E_OK);
        assert_true(fail_it(&tried) <= 2000);
        call_free(&batch);
        wait_for(w->outlook.startable == 1);
        a_delay_takes_its_time(steps[i]);
        int64_t passed = elapsed_now().ms - began,
                moved = store_thread_now(w->t).ms - before.ms;
        assert_true(moved >= passed - passed / STEADY_SLEW - 50 &&
                    moved <= passed + passed / STEADY_SLEW + 50);
        c->op.in.lease.id = span_of(l->id);
        c->op.in.lease.nonce = l->nonce;
        assert_int_equal(answer(c, STORE_HEARTBEAT), E_OK); /* in time: it is held */
    }
    struct job_view v = look(c, "job_held");
    assert_int_equal(v.state, JOB_ACTIVE);
    assert_int_equal(v.n_crash + v.n_release, 0);
    assert_true(metric_get(METRIC_CLOCK_STEPS, 0) >= set + 6);
    assert_int_equal(metric_get(METRIC_MISSED_WAKEUPS, 0), missed);
    call_free(&c);
    call_free(&held);
}

static void s70_a_clock_that_loses_a_second_every_second_stops_nothing(void **state)
{
    (void)state;
    start();
    accept_job("job_1");
    loses_from_ms = elapsed_now().ms;
    a_delay_takes_its_time(0);
    a_delay_takes_its_time(0);
}

/* A lease ends when nobody speaks for it, also under a clock that was set back. */
static void s70_a_lease_ends_though_the_clock_was_set_back(void **state)
{
    (void)state;
    w->config.limits.lease_ms = 600;
    start();
    accept_job("job_1");
    struct call *c = reserved(), *view = call_new(1 << 20);
    c->op.in.lease.id = SPAN("job_1");
    c->op.in.lease.nonce = c->op.out.lease.nonce;
    assert_int_equal(answer(c, STORE_STARTED), E_OK);
    set_by_ms = -HOUR;
    int64_t began = elapsed_now().ms;
    wait_for(look(view, "job_1").n_crash == 1);
    int64_t took = elapsed_now().ms - began;
    assert_true(took >= 500 && took < 6000);
    call_free(&c);
    call_free(&view);
}

/* What a client named is a time of the clock on the wall. */
static void a_job_with_a_time_of_its_own_starts_by_the_clock_on_the_wall(void **state)
{
    (void)state;
    start();
    struct call *view = call_new(1 << 20);
    accept_at("job_soon", "default/x/normal", real_now().ms + HOUR);
    accept_at("job_later", "default/x/normal", real_now().ms + 3 * HOUR);
    assert_int_equal(look(view, "job_soon").state, JOB_SCHEDULED);
    set_by_ms = -HOUR; /* two hours more */
    accept_at("job_now", "default/x/normal", real_now().ms - 1);
    wait_for(look(view, "job_now").state == JOB_READY);
    assert_int_equal(look(view, "job_soon").state, JOB_SCHEDULED);
    set_by_ms = 2 * HOUR;
    wait_for(look(view, "job_soon").state == JOB_READY);
    assert_int_equal(look(view, "job_later").state, JOB_SCHEDULED);
    set_by_ms = 4 * HOUR;
    wait_for(look(view, "job_later").state == JOB_READY);
    call_free(&view);
}

static void s70_a_rate_grants_no_more_whatever_is_done_to_the_clock(void **state)
{
    (void)state;
    enum { JOBS = 40, EMIT_MS = 200, BURST = 2 };
    w->config.limits.lane_emit_ms = EMIT_MS;
    start();
    for (int i = 0; i < JOBS; i++) {
        char id[ID_TEXT];
        snprintf(id, sizeof id, "job_%d", i);
        accept_job(id);
    }
    static const int64_t steps[] = {HOUR, -HOUR, TEN_YEARS, -TEN_YEARS, -HOUR, HOUR};
    int64_t began = elapsed_now().ms, starts = 0;
    while (elapsed_now().ms - began < 3000) {
        set_by_ms += steps[(starts + 1) % 6];
        struct call *c = call_new(1 << 20);
        c->op.in.reserve = (struct reserve_args){
            .worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = 1000 + (uint64_t)starts};
        err e = answer(c, STORE_RESERVE);
        assert_true(e == E_OK || e == E_END);
        starts += e == E_OK;
        call_free(&c);
    }
    int64_t passed = elapsed_now().ms - began,
            most = BURST + (passed + passed / STEADY_SLEW) / EMIT_MS + 1;
    if (starts > most || starts < 3000 / EMIT_MS / 2)
        fail_msg("%lld starts in %lld ms, at most %lld", (long long)starts, (long long)passed,
                 (long long)most);
}

static void time_goes_on_over_a_restart_with_a_clock_that_was_set_back(void **state)
{
    (void)state;
    wall last;
    start();
    accept_job("job_1");
    struct call *c = reserved(), *view = call_new(1 << 20);
    int64_t in = fail_it(&c->op.out.lease), began = elapsed_now().ms;
    wall before = store_thread_now(w->t);
    assert_int_equal(store_thread_clock_found(w->t, &last), STEADY_SOUND);
    store_thread_stop(&w->t);
    set_by_ms = -TEN_YEARS;
    start();
    assert_true(store_thread_now(w->t).ms >= before.ms - 50);
    assert_int_equal(store_thread_clock_found(w->t, &last), STEADY_BEHIND);
    assert_true(last.ms > 0 && last.ms <= before.ms);
    wait_for(w->outlook.startable == 1);
    assert_true(elapsed_now().ms - began < in + in / 5 + 2000);
    store_thread_stop(&w->t);
    set_by_ms = TEN_YEARS;
    start();
    assert_int_equal(store_thread_clock_found(w->t, &last), STEADY_AHEAD);
    assert_true(store_thread_now(w->t).ms >= before.ms + TEN_YEARS - 50); /* followed */
    assert_int_equal(look(view, "job_1").state, JOB_READY);
    call_free(&c);
    call_free(&view);
}

/* The store's time and the one of the wall are apart when somebody has set the clock: a hold lasts as long as was said. */
static void a_hold_lasts_as_long_whatever_is_done_to_the_clock(void **state)
{
    (void)state;
    struct fault f = {0};
    struct store *s = NULL;
    struct arena *a = arena_new(1 << 20);
    struct lane_view v;
    struct lane_change c = {.name = SPAN("x/normal"),
                            .act = LANE_ACT_BREAKER_OPEN,
                            .hold_ms = 60 * SECOND,
                            .why = SPAN("a drill")};
    wall now = real_now();
    assert_int_equal(store_open(&s, w->dir, &w->config.limits, 1, now, &f), E_OK);
    for (int64_t off = -5 * 60 * SECOND; off <= 5 * 60 * SECOND; off += 10 * 60 * SECOND) {
        now.ms += SECOND;
        store_clock_tell(s, off);
        assert_int_equal(store_begin(s, &f), E_OK);
        assert_int_equal(store_lane_change(s, &c, now, &f), E_OK);
        assert_int_equal(store_commit(s, &f), E_OK);
        assert_int_equal(store_lane(s, c.name, now, a, &v, &f), E_OK);
        assert_int_equal(v.breaker.until_ms, now.ms + 60 * SECOND);
    }
    store_close(&s);
    arena_free(&a);
}

/* In a store where nothing happens the time is kept as well. */
static void time_is_kept_while_nothing_happens(void **state)
{
    (void)state;
    struct fault f = {0};
    struct store *s = NULL;
    struct reap_reply reply;
    wall now = real_now(), at, last;
    assert_int_equal(store_open(&s, w->dir, &w->config.limits, 1, now, &f), E_OK);
    store_clock_tell(s, 0);
    now.ms += 5 * 60 * SECOND;
    assert_int_equal(store_begin(s, &f), E_OK);
    assert_int_equal(store_reap(s, now, &reply, &f), E_OK);
    assert_int_equal(store_commit(s, &f), E_OK);
    store_close(&s);
    assert_int_equal(store_open(&s, w->dir, &w->config.limits, 1, (wall){now.ms - HOUR}, &f),
                     E_OK);
    store_clock_found(s, &at, &last);
    assert_int_equal(at.ms, now.ms);
    assert_int_equal(last.ms, now.ms);
    store_close(&s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(s70_delays_and_leases_last_as_long_whatever_is_done_to_the_clock),
        T(s70_a_clock_that_loses_a_second_every_second_stops_nothing),
        T(s70_a_lease_ends_though_the_clock_was_set_back),
        T(s70_a_rate_grants_no_more_whatever_is_done_to_the_clock),
        T(a_job_with_a_time_of_its_own_starts_by_the_clock_on_the_wall),
        T(a_hold_lasts_as_long_whatever_is_done_to_the_clock),
        T(time_is_kept_while_nothing_happens),
        T(time_goes_on_over_a_restart_with_a_clock_that_was_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

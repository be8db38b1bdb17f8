/* The time of the queue in Redis is the server's, and somebody may set its clock: what was to last until a time of the clock
 * that was wrong does not hold the queue up for as long as the step (S70). */
#include "../lib/scenario.h"

#include "os/clock.h"

#include <string.h>

enum { STEP_MS = HOUR, LEASE_MS = 1500, EMIT_MS = 500, PATIENCE_MS = 30000 };

static struct reply heard;

static void ask(const char *const *words)
{
    struct redis_place *p = w->place;
    struct span spans[8];
    size_t n = 0;
    while (words[n]) {
        spans[n] = span_of(words[n]);
        n++;
    }
    w->f = (struct fault){0};
    if (link_ask(p->watch, spans, n, w->a, &heard, &w->f))
        fail_msg("%s: %s", words[0], w->f.words);
}
#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

/* Until now the server's clock was an hour ahead: the store was told its times. */
static void begin_ahead(void)
{
    w->limits.lease_ms = LEASE_MS;
    reopen();
    w->now = clock_wall().ms + STEP_MS;
}

/* Somebody sets it right. From here on the server says what time it is. */
static struct store *own;
static void set_right(void)
{
    struct redis_place *p = w->place;
    struct redis_config config = {.url = span_of(p->server.url),
                                  .node = SPAN("timed"),
                                  .records = &kept_records,
                                  .archive = p->archive};
    ASK("HSET", "fulmar:{q}:meta", "hw", arena_fmt(w->a, "%lld", (long long)w->now));
    own = w->s;
    if (redis_open(&w->s, &config, &w->limits, 7, clock_wall(), &w->f))
        fail_msg("open: %s", w->f.words);
    w->now = clock_wall().ms;
}

static void end_timed(void)
{
    store_close(&w->s);
    w->s = own;
}

/* Does what is due, and what starts, until `done` jobs have succeeded. */
static void run_until(int64_t done)
{
    mono until = mono_add(clock_mono(), PATIENCE_MS);
    while (outlook().by_state[JOB_SUCCEEDED] < done) {
        struct lease l;
        if (mono_past(until, clock_mono()))
            fail_msg("%lld of %lld jobs ended; the queue stands still",
                     (long long)outlook().by_state[JOB_SUCCEEDED], (long long)done);
        w->now = clock_wall().ms;
        reap();
        if (!reserve(&l)) {
            redis_nap();
            continue;
        }
        assert_int_equal(started(&l), E_OK);
        finish(&l, FAILURE_NONE);
    }
}

static int64_t steps_told(int64_t *out_back_ms)
{
    struct event_view *events;
    size_t n = 0;
    int64_t told = 0;
    assert_int_equal(store_events(w->s, 0, SPAN_NONE, 5000, w->a, &events, &n, &w->f), E_OK);
    for (size_t i = 0; i < n; i++) {
        if (!span_is(events[i].kind, "queue.clock"))
            continue;
        char *body = arena_text(w->a, events[i].body);
        assert_int_equal(sscanf(body, "{\"back_ms\":%lld}", (long long *)out_back_ms), 1);
        told++;
    }
    return told;
}

/* ---- S70 ---- */

static void
s70_a_rate_and_a_lease_last_no_longer_when_the_clock_of_redis_is_set_back(void **state)
{
    (void)state;
    int64_t back = 0;
    begin_ahead();
    accept_many("x/normal", 4);
    lane_rate("x/normal", EMIT_MS, 1);
    struct lease silent = start_next(); /* its worker is not heard of again */
    accept_many("y/normal", 3);
    limit_set(LIMIT_SITE, "y", 0, EMIT_MS);
    struct lease other = lease_next();
    assert_true(has_none()); /* both lanes wait for their rate */
    set_right();
    assert_int_equal(finish(&other, FAILURE_NONE).state, JOB_SUCCEEDED);
    run_until(7);
    assert_true(view(silent.id).fence > silent.fence);
    assert_int_equal(steps_told(&back), 1);
    assert_in_range(back, STEP_MS - PATIENCE_MS, STEP_MS);
    end_timed();
}

static void
s70_no_more_starts_in_a_window_than_its_rate_allows_when_the_clock_is_set_back(void **state)
{
    (void)state;
    begin_ahead();
    lane_rate("x/normal", EMIT_MS, 2);
    accept_many("x/normal", 8);
    struct lease l = start_next();
    finish(&l, FAILURE_NONE);
    l = start_next();
    finish(&l, FAILURE_NONE);
    int64_t at[8], n = 0;
    set_right();
    mono until = mono_add(clock_mono(), PATIENCE_MS);
    while (n < 6) {
        assert_false(mono_past(until, clock_mono()));
        w->now = clock_wall().ms;
        reap();
        if (!reserve(&l)) {
            redis_nap();
            continue;
        }
        finish(&l, FAILURE_NONE);
        at[n++] = view(l.id).started_ms;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = i + 2; k < n; k++)
            assert_true(at[k] - at[i] >= (k - i - 1) * EMIT_MS);
    end_timed();
}

static void s70_a_breaker_is_open_no_longer_than_it_may_when_the_clock_is_set_back(void **state)
{
    (void)state;
    begin_ahead();
    accept_many("x/normal", 8);
    for (int i = 0; i < 5; i++) {
        struct lease l = start_next();
        finish(&l, FAILURE_NETWORK);
    }
    assert_int_equal(lane("x/normal").breaker.state, BREAKER_OPEN);
    assert_true(lane("x/normal").breaker.until_ms > clock_wall().ms + STEP_MS / 2);
    set_right();
    reap();
    assert_true(lane("x/normal").breaker.until_ms <= clock_wall().ms + STEP_MS / 2);
    end_timed();
}

static void s70_a_pool_is_asked_again_when_the_clock_is_set_back(void **state)
{
    (void)state;
    begin_ahead();
    accept_many("x/normal", 1);
    ASK("HSET", "fulmar:{q}:l:x/normal", "pk",
        arena_fmt(w->a, "%lld", (long long)w->now + HOUR));
    accept_many("x/normal", 1);
    assert_true(has_none());
    set_right();
    run_until(2);
    end_timed();
}

static void s70_each_of_many_leases_and_lanes_is_looked_over_once(void **state)
{
    (void)state;
    enum { LANES = 150 };
    begin_ahead();
    for (int i = 0; i < LANES; i++) {
        const char *name = arena_fmt(w->ids, "x%d/normal", i);
        lane_rate(name, EMIT_MS, 1);
        accept_many(name, 2);
    }
    for (int i = 0; i < LANES; i++)
        lease_next();
    assert_true(has_none());
    set_right();
    run_until(2 * LANES);
    int64_t back = 0;
    assert_int_equal(steps_told(&back), 1);
    ASK("HGET", "fulmar:{q}:meta", "cw");
    assert_int_equal(heard.text.n, 0);
    end_timed();
}

/* A step that is not one: the mark stands, as queue.md §11 has it. */
static void two_seconds_back_are_waited_for_and_are_no_step(void **state)
{
    (void)state;
    int64_t back = 0;
    begin_ahead();
    w->now += 1000 - STEP_MS;
    accept_many("x/normal", 1);
    set_right();
    run_until(1);
    assert_int_equal(steps_told(&back), 0);
    end_timed();
}

int main(void)
{
    maker = &store_makers[1];
    const struct CMUnitTest tests[] = {
        S(s70_a_rate_and_a_lease_last_no_longer_when_the_clock_of_redis_is_set_back),
        S(s70_no_more_starts_in_a_window_than_its_rate_allows_when_the_clock_is_set_back),
        S(s70_a_breaker_is_open_no_longer_than_it_may_when_the_clock_is_set_back),
        S(s70_a_pool_is_asked_again_when_the_clock_is_set_back),
        S(s70_each_of_many_leases_and_lanes_is_looked_over_once),
        S(two_seconds_back_are_waited_for_and_are_no_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rules of the queue by their properties: rates, shares, fairness, sessions, unique keys. */
#include "core/lane.h"
#include "core/limit.h"
#include "core/pick.h"
#include "core/unique.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t random_state = 7;

static int64_t below(int64_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(random_state >> 33) % n;
}

/* ---- limit ---- */

/* I13: in any interval Δ at most burst + Δ/T starts, however often somebody asks. */
static void no_window_sees_more_than_the_rate_and_the_burst(void **state)
{
    (void)state;
    enum { STARTS = 400 };
    static int64_t starts[STARTS];
    for (int round = 0; round < 60; round++) {
        struct limit l = {.emit_ms = 1 + below(900), .burst = 1 + below(6)};
        int64_t now = 1000000, n = 0;
        while (n < STARTS) {
            now += below(4) ? below(l.emit_ms) : below(20 * l.emit_ms);
            bool open = limit_open_at(&l) <= now, taken = limit_take(&l, now);
            assert_int_equal(open, taken);
            if (taken)
                starts[n++] = now;
        }
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = i; k < n; k++)
                assert_true(k - i + 1 <= l.burst + (starts[k] - starts[i]) / l.emit_ms);
        }
    }
}

/* And somebody who asks all the time gets all of it (S45 asks for 95 %). */
static void the_whole_rate_can_be_had(void **state)
{
    (void)state;
    struct limit l = {.emit_ms = 200, .burst = 2};
    int64_t n = 0;
    for (int64_t now = 1000; now < 1000 + 600000; now += 10)
        n += limit_take(&l, now);
    assert_int_equal(n, 2 + 600000 / 200 - 1);
}

static void a_block_is_a_lower_bound_and_only_grows(void **state)
{
    (void)state;
    struct limit l = {.emit_ms = 100, .burst = 3};
    limit_block(&l, 1000, 120000);
    limit_block(&l, 2000, 5000);
    assert_int_equal(limit_open_at(&l), 121000);
    struct limit before = l;
    assert_false(limit_take(&l, 120999));
    assert_memory_equal(&l, &before, sizeof l); /* refused: nothing changed */
    assert_true(limit_take(&l, 121000));
    struct limit free_one = {0};
    for (int i = 0; i < 100; i++)
        assert_true(limit_take(&free_one, 5));
}

/* S41: with nine failures of ten, retries stay at a fifth of the starts and the floor. */
static void retries_take_a_fifth_of_the_starts_at_most(void **state)
{
    (void)state;
    static int64_t starts[20000];
    static bool retried[20000];
    struct limit_retries r = {0};
    const struct limit_retry_policy policy = {.floor = 3, .percent = 20};
    int64_t n = 0, waiting = 0;
    for (int64_t now = 1; now < 3600000 && n < 20000; now += 1000) {
        bool retry = waiting > 0 && limit_retry_at(&r, &policy, now) <= now;
        if (!retry && below(3))
            continue; /* a new job every three seconds */
        limit_started(&r, retry, now);
        starts[n] = now;
        retried[n++] = retry;
        waiting += (below(10) ? 1 : 0) - retry;
    }
    assert_true(waiting > 100); /* there was always one that would have liked to */
    for (int64_t k = 0; k < n; k++) {
        int64_t all = 0, retries = 0, slice = starts[k] / LIMIT_RETRY_SLICE_MS, in_slice = 0;
        for (int64_t i = k;
             i >= 0 && starts[i] / LIMIT_RETRY_SLICE_MS > slice - LIMIT_RETRY_SLICES; i--) {
            all++;
            retries += retried[i];
            in_slice += retried[i] && starts[i] / LIMIT_RETRY_SLICE_MS == slice;
        }
        if (retried[k] &&
            in_slice > 1) /* the first of a slice is let go on whatever was before */
            assert_true(retries <= policy.floor + all * policy.percent / 100 + 1);
    }
    /* The budget delays and never says never. */
    assert_true(limit_retry_at(&r, &policy, 3600000) <= 3600000 + LIMIT_RETRY_SLICE_MS);
    assert_int_equal(limit_retry_at(&r, &policy, 3600000 + 11 * LIMIT_RETRY_SLICE_MS),
                     3600000 + 11 * LIMIT_RETRY_SLICE_MS);
}

/* With no budget at all one goes on in each slice, and no second one. */
static void a_retry_goes_on_in_each_slice_whatever_the_budget(void **state)
{
    (void)state;
    struct limit_retries r = {0};
    const struct limit_retry_policy none = {0};
    for (int64_t now = 7 * LIMIT_RETRY_SLICE_MS + 5; now < 40 * LIMIT_RETRY_SLICE_MS;
         now += LIMIT_RETRY_SLICE_MS) {
        assert_int_equal(limit_retry_at(&r, &none, now), now);
        limit_retried(&r, now);
        assert_int_equal(limit_retry_at(&r, &none, now + 1), now - 5 + LIMIT_RETRY_SLICE_MS);
    }
}

/* ---- order within a lane ---- */

/* S49: one job of the lowest priority among endless ones of the highest. */
static void the_lowest_priority_is_overtaken_for_a_bounded_time(void **state)
{
    (void)state;
    enum { EVERY_MS = 100, BACKLOG = 50 };
    int64_t low = lane_rank(1000, 0);
    int64_t overtaken = 0, next = 1000 - BACKLOG * EVERY_MS;
    while (lane_rank(next, 9) < low) { /* each of these goes first */
        overtaken++;
        next += EVERY_MS;
    }
    /* They became ready less than 9·AGING after it: that bounds the wait. */
    assert_true(next - 1000 <= 9 * (int64_t)LANE_AGING_MS);
    assert_int_equal(overtaken, BACKLOG + 9 * LANE_AGING_MS / EVERY_MS);
}

/* ---- turns ---- */

static void shares_are_those_of_the_weights_at_every_moment(void **state)
{
    (void)state;
    struct pick_turn turns[LANE_QUARANTINE];
    int64_t starts[LANE_QUARANTINE] = {0}, vtime = 0, all = 0;
    for (int c = 0; c < LANE_QUARANTINE; c++) {
        turns[c] = (struct pick_turn){.weight = lane_class_weight((enum lane_class)c),
                                      .may_start = true};
        all += turns[c].weight;
    }
    for (int64_t n = 1; n <= 12000; n++) {
        int c = pick_next(turns, LANE_QUARANTINE);
        pick_started(&turns[c], &vtime);
        starts[c]++;
        /* Within two starts of the exact share, always. */
        for (int k = 0; k < LANE_QUARANTINE; k++)
            assert_true(llabs(starts[k] * all - n * turns[k].weight) <= 2 * all);
    }
}

/* S50: an hour of sleep is no hour of credit, and nobody waits longer than a round. */
static void sleepers_hoard_nothing_and_nobody_starves(void **state)
{
    (void)state;
    enum { TURNS = 20 };
    struct pick_turn turns[TURNS] = {0};
    int64_t vtime = 0, waited[TURNS] = {0}, least = INT64_MAX, all = 0;
    for (int i = 0; i < TURNS; i++) {
        turns[i].weight = 100 + below(700);
        least = turns[i].weight < least ? turns[i].weight : least;
        all += turns[i].weight;
    }
    for (int n = 0; n < 20000; n++) {
        int i = (int)below(TURNS);
        if (!turns[i].may_start)
            pick_woke(&turns[i], vtime);
        turns[i].may_start = below(3) > 0;
        int next = pick_next(turns, TURNS);
        if (next == PICK_NOBODY)
            continue;
        for (int k = 0; k < TURNS; k++)
            waited[k] = k == next || !turns[k].may_start ? 0 : waited[k] + 1;
        pick_started(&turns[next], &vtime);
        for (int k = 0; k < TURNS; k++)
            assert_true(waited[k] <= all / least + TURNS);
    }
}

static void newcomers_are_spread_over_their_first_stride(void **state)
{
    (void)state;
    enum { NEW = 200 };
    int64_t vtime = 5 * (int64_t)LANE_STRIDE, front = 0;
    for (int i = 0; i < NEW; i++) {
        char name[24];
        struct pick_turn t = {.weight = 300};
        snprintf(name, sizeof name, "site%d/normal", i);
        pick_joined(&t, span_of(name), vtime);
        assert_true(t.pass >= vtime && t.pass < vtime + LANE_STRIDE / 300);
        front += t.pass < vtime + LANE_STRIDE / 300 / 10;
    }
    assert_true(front < NEW / 4);
}

static void a_tenant_gains_nothing_by_many_lanes(void **state)
{
    (void)state;
    /* A has 1000 lanes, B one; the tenants take turns first, then the lanes of the one chosen. */
    struct pick_turn tenants[2] = {{.weight = 1, .may_start = true},
                                   {.weight = 1, .may_start = true}};
    static struct pick_turn lanes[1000];
    int64_t vtime = 0, lane_vtime = 0, of_b = 0;
    for (int i = 0; i < 1000; i++)
        lanes[i] = (struct pick_turn){.weight = 300, .may_start = true};
    for (int n = 0; n < 1000; n++) {
        int t = pick_next(tenants, 2);
        pick_started(&tenants[t], &vtime);
        if (t == 0)
            pick_started(&lanes[pick_next(lanes, 1000)], &lane_vtime);
        of_b += t == 1;
    }
    assert_int_equal(of_b, 500);
}

/* ---- sessions ---- */

/* S85: three sessions, one rests, one is used up: one start, and the lane waits for the first. */
static void the_longest_unused_session_is_taken_or_the_first_to_open_named(void **state)
{
    (void)state;
    struct pick_session s[3] = {
        {.healthy = true, .used_ms = 50}, {.healthy = true, .used_ms = 10}, {.healthy = true}};
    int64_t open_ms = -1;
    pick_session_rests(&s[1], 2, 5000);
    pick_session_rests(&s[1], 2, 400); /* a rest only grows */
    s[2].open_ms = 9000;
    assert_int_equal(pick_session(s, 3, 2, 1000, &open_ms), 0);
    assert_int_equal(pick_session(s, 3, 3, 1000, &open_ms),
                     1); /* it rests for the other operation only */
    assert_int_equal(open_ms, -1);
    s[0].open_ms = 7000;
    assert_int_equal(pick_session(s, 3, 2, 1000, &open_ms), PICK_NOBODY);
    assert_int_equal(open_ms, 5000);
    s[0].healthy = s[1].healthy = s[2].healthy = false;
    assert_int_equal(pick_session(s, 3, 2, 100000, &open_ms), PICK_NOBODY);
    assert_int_equal(open_ms, INT64_MAX);
}

static void sessions_are_used_in_turn(void **state)
{
    (void)state;
    struct pick_session s[5] = {0};
    int64_t uses[5] = {0}, open_ms;
    for (int i = 0; i < 5; i++)
        s[i].healthy = true;
    for (int64_t n = 1; n <= 1000; n++) {
        int i = pick_session(s, 5, 0, n, &open_ms);
        s[i].used_ms = n;
        uses[i]++;
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(uses[i], 200);
}

/* ---- unique keys ---- */

static void equal_work_follows_the_mode(void **state)
{
    (void)state;
    static const struct {
        enum unique_mode mode;
        enum unique_decision waits, runs, runs_with_successor;
    } rows[] = {
        {UNIQUE_RETURN_EXISTING, UNIQUE_EXISTING, UNIQUE_EXISTING, UNIQUE_EXISTING},
        {UNIQUE_REJECT, UNIQUE_REFUSE, UNIQUE_REFUSE, UNIQUE_REFUSE},
        {UNIQUE_REPLACE_PENDING, UNIQUE_REPLACE, UNIQUE_EXISTING, UNIQUE_EXISTING},
        {UNIQUE_RUN_AFTER_ACTIVE, UNIQUE_EXISTING, UNIQUE_ACCEPT_AFTER, UNIQUE_REPLACE_AFTER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct unique_facts facts = {0};
        assert_int_equal(unique_decide(rows[i].mode, &facts), UNIQUE_ACCEPT);
        facts.live = true;
        for (int s = JOB_BLOCKED; s <= JOB_READY; s++) {
            facts.state = (enum job_state)s;
            assert_int_equal(unique_decide(rows[i].mode, &facts), rows[i].waits);
        }
        facts.state = JOB_ACTIVE;
        assert_int_equal(unique_decide(rows[i].mode, &facts), rows[i].runs);
        facts.successor = true;
        assert_int_equal(unique_decide(rows[i].mode, &facts), rows[i].runs_with_successor);
        facts.state =
            JOB_SCHEDULED; /* it failed, is to be tried again, and one waits for it to end */
        assert_int_equal(unique_decide(rows[i].mode, &facts),
                         rows[i].mode == UNIQUE_REPLACE_PENDING ? UNIQUE_REPLACE_BOTH
                                                                : rows[i].waits);
    }
}

static void an_earlier_answer_is_used_while_it_is_good_enough(void **state)
{
    (void)state;
    struct unique_answer a = {.exists = true, .age_ms = 1000};
    assert_int_equal(unique_reuse(&a, 1000, -1), UNIQUE_FRESH);
    assert_int_equal(unique_reuse(&a, 999, 5000), UNIQUE_WORK);
    assert_int_equal(unique_reuse(&a, -1, -1), UNIQUE_WORK);
    a.failing = true;
    assert_int_equal(unique_reuse(&a, 999, 5000), UNIQUE_STALE);
    assert_int_equal(unique_reuse(&a, 999, 500), UNIQUE_WORK);
    assert_int_equal(unique_reuse(&a, 999, -1), UNIQUE_WORK);
    a.exists = false;
    assert_int_equal(unique_reuse(&a, 1000, 5000), UNIQUE_WORK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_sees_more_than_the_rate_and_the_burst),
        cmocka_unit_test(the_whole_rate_can_be_had),
        cmocka_unit_test(a_block_is_a_lower_bound_and_only_grows),
        cmocka_unit_test(retries_take_a_fifth_of_the_starts_at_most),
        cmocka_unit_test(a_retry_goes_on_in_each_slice_whatever_the_budget),
        cmocka_unit_test(the_lowest_priority_is_overtaken_for_a_bounded_time),
        cmocka_unit_test(shares_are_those_of_the_weights_at_every_moment),
        cmocka_unit_test(sleepers_hoard_nothing_and_nobody_starves),
        cmocka_unit_test(newcomers_are_spread_over_their_first_stride),
        cmocka_unit_test(a_tenant_gains_nothing_by_many_lanes),
        cmocka_unit_test(the_longest_unused_session_is_taken_or_the_first_to_open_named),
        cmocka_unit_test(sessions_are_used_in_turn),
        cmocka_unit_test(equal_work_follows_the_mode),
        cmocka_unit_test(an_earlier_answer_is_used_while_it_is_good_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/arena.h"
#include "base/yaml.h"
#include "core/failure.h"
#include "core/job.h"
#include "core/lane.h"
#include "core/limit.h"
#include "core/metrics.h"
#include "core/options.h"
#include "core/retry.h"
#include "core/settings.h"
#include "core/verdict.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#define assert_has(text, part) assert_true(span_find((text), span_of(part)) < (text).n)

/* ---- job ---- */

static bool is_start(enum job_state s)
{
    return s == JOB_BLOCKED || s == JOB_SCHEDULED || s == JOB_READY;
}

static void every_state_is_reachable_and_every_waiting_one_has_a_way_out(void **state)
{
    (void)state;
    bool reached[JOB_STATES] = {false};
    int ways[JOB_STATES] = {0};
    for (int s = 0; s < JOB_STATES; s++)
        reached[s] = is_start((enum job_state)s);
    for (int round = 0; round < JOB_STATES; round++) {
        for (int s = 0; s < JOB_STATES; s++) {
            for (int on = 0; on < JOB_EVENTS; on++) {
                enum job_state to = (enum job_state)s;
                if (!job_move(&to, (enum job_event)on))
                    continue;
                ways[s]++;
                if (reached[s])
                    reached[to] = true;
            }
        }
    }
    for (int s = 0; s < JOB_STATES; s++) {
        assert_true(reached[s]);
        if (!job_is_final((enum job_state)s))
            assert_true(ways[s] > 0);
    }
}

static void final_states_only_leave_by_replay_or_repair_and_success_never(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATES; s++) {
        for (int on = 0; on < JOB_EVENTS; on++) {
            enum job_state to = (enum job_state)s;
            bool moved = job_move(&to, (enum job_event)on);
            if (!moved)
                assert_int_equal(to, s);
            if (moved && job_is_final((enum job_state)s)) {
                assert_true(on == JOB_ON_REPLAY || (on == JOB_ON_REPAIR && s == JOB_DEAD));
                assert_int_not_equal(s, JOB_SUCCEEDED);
            }
        }
    }
}

static void every_event_is_used(void **state)
{
    (void)state;
    for (int on = 0; on < JOB_EVENTS; on++) {
        bool used = false;
        for (int s = 0; s < JOB_STATES; s++) {
            enum job_state to = (enum job_state)s;
            used = used || job_move(&to, (enum job_event)on);
        }
        assert_true(used);
    }
}

static void state_names_read_back(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATES; s++) {
        enum job_state back = JOB_STATES;
        assert_true(job_state_parse(span_of(job_state_name((enum job_state)s)), &back));
        assert_int_equal(back, s);
    }
    enum job_state none;
    assert_false(job_state_parse(SPAN("running"), &none));
}

/* ---- failure ---- */

static void every_failure_has_a_whole_row_and_a_unique_name(void **state)
{
    (void)state;
    bool budgets[BUDGET_RELEASE + 1] = {false};
    for (int c = 0; c < FAILURE_COUNT; c++) {
        const struct failure_row *row = failure_row((enum failure_class)c);
        enum failure_class back;
        assert_true(failure_parse(span_of(row->name), &back));
        assert_int_equal(back, c); /* a name used twice would give the first one */
        assert_true(strlen(row->meaning) > 10 || c == FAILURE_NONE);
        assert_true(strlen(row->advice) > 5);
        assert_true(row->http >= 200 && row->http < 600);
        assert_int_equal(row->exit_code == 0, c == FAILURE_NONE);
        /* A fact about the target is never tried again and never held against the site. */
        if (row->about_target) {
            assert_int_equal(row->budget, BUDGET_NONE);
            assert_false(row->breaker);
        }
        budgets[row->budget] = true;
    }
    for (int b = 0; b <= BUDGET_RELEASE; b++)
        assert_true(budgets[b]);
    enum failure_class none;
    assert_false(failure_parse(SPAN("unlucky"), &none));
}

static void exit_codes_are_those_of_the_manual(void **state)
{
    (void)state;
    static const struct {
        enum failure_class c;
        int code;
        enum failure_budget budget;
    } rows[] = {
        {FAILURE_BAD_INPUT, 65, BUDGET_NONE},       {FAILURE_NOT_FOUND, 5, BUDGET_NONE},
        {FAILURE_PROTECTED, 7, BUDGET_NONE},        {FAILURE_SUSPENDED, 7, BUDGET_NONE},
        {FAILURE_WITHHELD, 7, BUDGET_NONE},         {FAILURE_LOGIN_REQUIRED, 77, BUDGET_NONE},
        {FAILURE_SESSION_INVALID, 77, BUDGET_NONE}, {FAILURE_RATE_LIMITED, 8, BUDGET_THROTTLE},
        {FAILURE_BLOCKED, 8, BUDGET_NONE},          {FAILURE_NETWORK, 1, BUDGET_FAIL},
        {FAILURE_TIMEOUT, 1, BUDGET_FAIL},          {FAILURE_STUCK, 1, BUDGET_FAIL},
        {FAILURE_BROWSER, 1, BUDGET_RELEASE},       {FAILURE_DRIFT, 9, BUDGET_NONE},
        {FAILURE_EMPTY_SUSPECT, 6, BUDGET_FAIL},    {FAILURE_RESOURCE, 1, BUDGET_FAIL},
        {FAILURE_CRASH, 1, BUDGET_CRASH},           {FAILURE_CANCELLED, 4, BUDGET_NONE},
        {FAILURE_INTERNAL, 1, BUDGET_FAIL},
    };
    assert_int_equal(sizeof rows / sizeof rows[0], FAILURE_COUNT - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(failure_row(rows[i].c)->exit_code, rows[i].code);
        assert_int_equal(failure_row(rows[i].c)->budget, rows[i].budget);
    }
    assert_true(failure_row(FAILURE_DRIFT)->breaker);
}

/* ---- verdict ---- */

static void many_lost_posts_are_drift(void **state)
{
    (void)state;
    assert_false(verdict_is_drift(20, 0));
    assert_false(
        verdict_is_drift(18, 2)); /* one or two broken posts are no change of the site */
    assert_false(verdict_is_drift(17, 3));
    assert_true(verdict_is_drift(12, 3));
    assert_true(verdict_is_drift(16, 4));
    assert_true(verdict_is_drift(0, 3));
    assert_false(verdict_is_drift(0, 2)); /* the reader itself says so when none was read */
}

static void verdicts_follow_the_proof(void **state)
{
    (void)state;
    static const struct {
        struct verdict_facts facts;
        enum verdict want;
    } rows[] = {
        {{.posts = 10, .claimed = -1, .end = END_TERMINATE}, VERDICT_COMPLETE},
        {{.posts = 10, .claimed = 90, .sampled = true, .end = END_NO_NEW_IDS}, VERDICT_SAMPLED},
        {{.sampled = true, .source_said_empty = true, .end = END_TERMINATE}, VERDICT_NONE},
        {{.posts = 10, .claimed = -1, .end = END_NO_NEW_IDS}, VERDICT_COMPLETE},
        {{.posts = 10, .claimed = -1, .end = END_OLDEST_REACHED}, VERDICT_COMPLETE},
        {{.posts = 10, .lost = 1, .claimed = -1, .end = END_TERMINATE}, VERDICT_PARTIAL},
        {{.posts = 0, .lost = 1, .claimed = 0, .end = END_NO_NEW_IDS}, VERDICT_NONE},
        {{.posts = 10, .claimed = -1, .end = END_LIMIT}, VERDICT_PARTIAL},
        {{.posts = 10, .claimed = -1, .end = END_BUDGET}, VERDICT_PARTIAL},
        {{.posts = 10, .claimed = -1, .end = END_CURSOR_REPEAT}, VERDICT_PARTIAL},
        {{.posts = 10, .claimed = -1, .end = END_NONE}, VERDICT_PARTIAL},
        {{.posts = 0, .claimed = 7, .source_said_empty = true}, VERDICT_EMPTY_CONFIRMED},
        {{.posts = 0, .claimed = 0, .end = END_NO_NEW_IDS}, VERDICT_EMPTY_CONFIRMED},
        {{.posts = 0, .claimed = 9, .end = END_OLDEST_REACHED}, VERDICT_EMPTY_CONFIRMED},
        {{.posts = 0, .claimed = 9, .end = END_NO_NEW_IDS}, VERDICT_NONE},
        {{.posts = 0, .claimed = -1, .end = END_NO_NEW_IDS}, VERDICT_NONE},
        {{.posts = 0, .claimed = 0, .end = END_NONE}, VERDICT_NONE},
        /* a guest: fewer than there are, or out of the order of time; chronological and cut off by the job */
        {{.posts = 10, .guest = true, .claimed = 90, .pairs = 9, .end = END_NO_NEW_IDS},
         VERDICT_SAMPLED},
        {{.posts = 10, .guest = true, .claimed = 90, .pairs = 9, .end = END_TERMINATE},
         VERDICT_SAMPLED},
        {{.posts = 10, .guest = true, .claimed = 10, .pairs = 9, .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 10,
          .guest = true,
          .claimed = 10,
          .pairs = 9,
          .rises = 4,
          .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 10,
          .guest = true,
          .claimed = 14,
          .left_out = 4,
          .pairs = 9,
          .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 10, .guest = true, .claimed = 90, .pairs = 9, .end = END_LIMIT},
         VERDICT_PARTIAL},
        {{.posts = 10, .guest = true, .claimed = 90, .pairs = 9, .rises = 4, .end = END_LIMIT},
         VERDICT_SAMPLED},
        {{.posts = 10, .guest = true, .claimed = -1, .pairs = 9, .rises = 2, .end = END_LIMIT},
         VERDICT_PARTIAL},
        {{.posts = 10,
          .guest = true,
          .claimed = -1,
          .pairs = 9,
          .rises = 4,
          .end = END_OLDEST_REACHED},
         VERDICT_SAMPLED},
        {{.posts = 10,
          .guest = false,
          .claimed = 90,
          .pairs = 9,
          .rises = 4,
          .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 0, .guest = true, .claimed = 9, .source_said_empty = true},
         VERDICT_EMPTY_CONFIRMED},
        /* the tail that a site does not show */
        {{.posts = 3190, .claimed = 30000, .shows_at_most = 3200, .end = END_NO_NEW_IDS},
         VERDICT_PARTIAL},
        {{.posts = 3190, .claimed = 3190, .shows_at_most = 3200, .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 400, .claimed = 1000, .shows_at_most = 3200, .end = END_NO_NEW_IDS},
         VERDICT_COMPLETE},
        {{.posts = 5000, .claimed = 5000, .shows_at_most = 3200, .end = END_TERMINATE},
         VERDICT_COMPLETE},
        {{.posts = 3190, .claimed = 30000, .shows_at_most = 3200, .end = END_OLDEST_REACHED},
         VERDICT_COMPLETE},
        /* left out as the job asked */
        {{.posts = 0, .left_out = 9, .claimed = 9, .end = END_NO_NEW_IDS},
         VERDICT_EMPTY_CONFIRMED},
        {{.posts = 0, .left_out = 9, .claimed = 9, .end = END_BUDGET}, VERDICT_PARTIAL},
        {{.posts = 0, .left_out = 9, .lost = 1, .claimed = 9, .end = END_NO_NEW_IDS},
         VERDICT_NONE},
        /* only what is new */
        {{.posts = 3, .since_last = true, .claimed = 9, .end = END_KNOWN_REACHED},
         VERDICT_COMPLETE},
        {{.posts = 3, .since_last = true, .lost = 1, .claimed = 9, .end = END_KNOWN_REACHED},
         VERDICT_PARTIAL},
        {{.posts = 0, .since_last = true, .claimed = 9, .end = END_KNOWN_REACHED},
         VERDICT_COMPLETE},
        {{.posts = 0, .since_last = true, .left_out = 2, .claimed = 2, .end = END_TERMINATE},
         VERDICT_COMPLETE},
        {{.posts = 0,
          .since_last = true,
          .left_out = 2,
          .claimed = 9,
          .end = END_CURSOR_REPEAT},
         VERDICT_PARTIAL},
        {{.posts = 0, .since_last = true, .claimed = 9, .end = END_NO_NEW_IDS}, VERDICT_NONE},
        /* the same of a source that shows some of the list */
        {{.posts = 0,
          .sampled = true,
          .since_last = true,
          .claimed = 9,
          .end = END_KNOWN_REACHED},
         VERDICT_SAMPLED},
        {{.posts = 0, .sampled = true, .left_out = 9, .claimed = 9, .end = END_NO_NEW_IDS},
         VERDICT_SAMPLED},
        {{.posts = 0, .sampled = true, .claimed = 9, .end = END_OLDEST_REACHED},
         VERDICT_SAMPLED},
        {{.posts = 0,
          .sampled = true,
          .left_out = 9,
          .lost = 1,
          .claimed = 9,
          .end = END_NO_NEW_IDS},
         VERDICT_NONE},
        {{.posts = 0, .sampled = true, .claimed = 9, .end = END_NO_NEW_IDS}, VERDICT_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(verdict_decide(&rows[i].facts), rows[i].want);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        enum verdict back;
        assert_true(verdict_parse(span_of(verdict_name((enum verdict)v)), &back));
        assert_int_equal(back, v);
    }
    for (int r = 0; r < END_COUNT; r++) {
        enum end_reason back;
        assert_true(end_reason_parse(span_of(end_reason_name((enum end_reason)r)), &back));
        assert_int_equal(back, r);
    }
}

/* ---- retry ---- */

static void delays_stay_in_bounds_and_repeat(void **state)
{
    (void)state;
    const struct retry_policy p = {.base_ms = 2000, .cap_ms = 300000};
    int64_t sum = 0;
    for (int j = 0; j < 500; j++) {
        char id[32];
        snprintf(id, sizeof id, "job_%d", j);
        for (int n = 1; n <= 20; n++) {
            int64_t d = n < 9 ? (int64_t)2000 << (n - 1) : 300000;
            d = d < 300000 ? d : 300000;
            int64_t got = retry_delay_ms(&p, span_of(id), n, 42, 0);
            assert_true(got >= d / 2 && got <= d);
            assert_int_equal(got, retry_delay_ms(&p, span_of(id), n, 42, 0));
            if (n == 20)
                sum += got;
        }
    }
    /* Spread over the whole half, not clumped at an edge: the mean is near three quarters. */
    assert_true(sum / 500 > 215000 && sum / 500 < 235000);
}

static void delays_grow_by_the_factor_up_to_the_cap(void **state)
{
    (void)state;
    static const struct {
        struct retry_policy policy;
        int64_t longest[6];
    } rows[] = {
        {{100, 10000, 0}, {100, 200, 400, 800, 1600, 3200}}, /* not said: 2 */
        {{100, 10000, 1}, {100, 100, 100, 100, 100, 100}},
        {{100, 1000, 3}, {100, 300, 900, 1000, 1000, 1000}},
        {{1, 86400000, 10}, {1, 10, 100, 1000, 10000, 100000}},
        {{500, 100, 2}, {100, 100, 100, 100, 100, 100}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int n = 1; n <= 6; n++) {
            int64_t d = rows[i].longest[n - 1];
            int64_t got = retry_delay_ms(&rows[i].policy, SPAN("job_1"), n, 42, 0);
            if (got < d / 2 || got > d)
                fail_msg("row %zu, %d: %lld", i, n, (long long)got);
        }
    const struct retry_policy far = {3600000, 86400000, 10};
    int64_t last = retry_delay_ms(&far, SPAN("job_1"), 64, 42, 0);
    assert_true(last >= 43200000 && last <= 86400000);
}

static void what_a_job_asks_for_goes_before_what_is_configured(void **state)
{
    (void)state;
    const struct retry_policy configured = {2000, 300000, 0};
    static const struct {
        struct retry_policy own, wanted;
    } rows[] = {
        {{0, 0, 0}, {2000, 300000, 0}},
        {{500, 0, 0}, {500, 300000, 0}},
        {{0, 60000, 0}, {2000, 60000, 0}},
        {{0, 1000, 0}, {2000, 1000, 0}}, /* each is then 1000 */
        {{0, 0, 5}, {2000, 300000, 5}},
        {{400000, 0, 0}, {400000, 400000, 0}}, /* its own base is not cut */
        {{7, 8, 9}, {7, 8, 9}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct retry_policy p = retry_with(&rows[i].own, &configured);
        if (memcmp(&p, &rows[i].wanted, sizeof p))
            fail_msg("row %zu: %lld %lld %lld", i, (long long)p.base_ms, (long long)p.cap_ms,
                     (long long)p.factor);
    }
}

static void options_say_when_a_job_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        struct retry_policy wanted;
    } rows[] = {
        {"{}", {0}},
        {"", {0}},
        {"{\"limit\":5,\"retry\":{\"max_attempts\":3}}", {0}},
        {"{\"retry\":{\"backoff\":{\"base_ms\":5}},\"labels\":{\"a\":\"b\"}}", {5, 0, 0}},
        {"{\"retry\":{\"max_attempts\":3,\"backoff\":{\"base_ms\":5,\"max_ms\":60,\"factor\":7}}}",
         {5, 60, 7}},
        /* nothing that the API would write */
        {"{\"retry\":{\"backoff\":{\"base_ms\":-5,\"max_ms\":\"6\"}}}", {0}},
        {"{\"retry\":{\"backoff\":{", {0}},
        {"{\"product\":\"\\\"backoff\\\":{\\\"base_ms\\\":5}\"}", {0}},
    };
    struct json_parser *parser = json_parser_new(1 << 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct retry_policy p = options_retry(span_of(rows[i].options), parser);
        if (memcmp(&p, &rows[i].wanted, sizeof p))
            fail_msg("%s: %lld %lld %lld", rows[i].options, (long long)p.base_ms,
                     (long long)p.cap_ms, (long long)p.factor);
    }
    json_parser_free(&parser);
}

static void options_say_who_is_told_of_the_end(void **state)
{
    (void)state;
#define WHK "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    static const struct {
        const char *options, *wanted;
    } rows[] = {
        {"{}", ""},
        {"", ""},
        {"{\"callback\":{\"webhook_id\":\"" WHK "\"}}", WHK},
        {"{\"limit\":5,\"callback\":{\"webhook_id\":\"" WHK "\"},\"labels\":{\"a\":\"b\"}}",
         WHK},
        /* nothing that the API would write, and a text that only looks like it */
        {"{\"callback\":{\"webhook_id\":\"whk_1\"}}", ""},
        {"{\"product\":\"\\\"callback\\\":{\\\"webhook_id\\\":\\\"" WHK "\\\"}\"}", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!span_is(options_callback(span_of(rows[i].options)), rows[i].wanted))
            fail_msg("%s", rows[i].options);
#undef WHK
}

static void delays_differ_by_job_and_seed(void **state)
{
    (void)state;
    const struct retry_policy p = {.base_ms = 100000, .cap_ms = 300000};
    int same = 0;
    for (int j = 0; j < 200; j++) {
        char id[32];
        snprintf(id, sizeof id, "job_%d", j);
        same += retry_delay_ms(&p, span_of(id), 1, 1, 0) ==
                retry_delay_ms(&p, span_of(id), 1, 2, 0);
        same += retry_delay_ms(&p, span_of(id), 1, 1, 0) ==
                retry_delay_ms(&p, SPAN("job_x"), 1, 1, 0);
    }
    assert_true(same < 5);
}

static void jitter_only_adds_to_what_a_server_asked_for(void **state)
{
    (void)state;
    const struct retry_policy p = {.base_ms = 2000, .cap_ms = 300000};
    for (int n = 1; n < 12; n++) {
        for (int64_t hint = 1; hint < 4000000; hint = hint * 3 + 7) {
            int64_t own = retry_delay_ms(&p, SPAN("job_1"), n, 9, 0);
            int64_t got = retry_delay_ms(&p, SPAN("job_1"), n, 9, hint);
            int64_t least = own > hint ? own : hint;
            assert_true(got >= least && got <= least + hint / 5);
        }
    }
}

/* ---- lane ---- */

/* xorshift: a test needs numbers that are the same every time */
static uint64_t rnd(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void starts_in_any_window_are_bounded(void **state)
{
    (void)state;
    enum { STARTS = 400 };
    uint64_t x = 88172645463325252u;
    for (int episode = 0; episode < 50; episode++) {
        int64_t emit = 1 + (int64_t)(rnd(&x) % 900), burst = 1 + (int64_t)(rnd(&x) % 6);
        int64_t tat = 0, now = 1000000, at[STARTS];
        int n = 0;
        while (n < STARTS) {
            now += (int64_t)(rnd(&x) % (uint64_t)(emit / 2 + 2));
            if (!lane_may_start(tat, emit, burst, now)) {
                assert_true(lane_start_at(tat, emit, burst) > now);
                continue;
            }
            assert_true(lane_start_at(tat, emit, burst) <= now);
            tat = lane_next_tat(tat, emit, now);
            at[n++] = now;
        }
        for (int i = 0; i < STARTS; i++) {
            for (int j = i; j < STARTS; j++)
                assert_true(j - i + 1 <= burst + (at[j] - at[i]) / emit);
        }
    }
    assert_true(lane_may_start(INT64_MAX, 0, 1, 0)); /* no rate */
}

static void waiting_beats_priority_in_the_end(void **state)
{
    (void)state;
    assert_true(lane_rank(1000, 9) < lane_rank(1000, 5));
    assert_true(lane_rank(0, 0) < lane_rank((int64_t)9 * LANE_AGING_MS + 1, 9));
    assert_true(lane_next_pass(0, 800) < lane_next_pass(0, 100));
}

static void breaker_opens_after_five_and_closes_by_a_probe(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 4; i++)
        breaker_note(&b, BREAKER_HEALTH_ERROR, 1000);
    assert_int_equal(b.state, BREAKER_CLOSED);
    breaker_note(&b, BREAKER_HEALTH_ERROR, 1000);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(b.until_ms, 11000);
    assert_false(breaker_allows(&b, 0, 10999));
    assert_true(breaker_allows(&b, 0, 11000));
    assert_false(breaker_allows(&b, 1, 11000));
    breaker_started(&b, 10999);
    assert_int_equal(b.state, BREAKER_OPEN);
    breaker_started(&b, 11000);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_allows(&b, 1, 11000));
    breaker_note(&b, BREAKER_OK, 12000);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.trips, 0);
}

static void breaker_that_a_hand_opened_is_closed_when_the_hold_is_over(void **state)
{
    (void)state;
    struct breaker b = {.fails = 2};
    breaker_open(&b, 5000, 1000);
    assert_int_equal(breaker_after_hold(&b, 5000, 4999).state, BREAKER_OPEN);
    struct breaker after = breaker_after_hold(&b, 5000, 7000);
    assert_int_equal(after.state, BREAKER_CLOSED);
    assert_int_equal(after.since_ms, 5000);
    assert_int_equal(after.fails, 2); /* what was counted before is as it was */
    assert_int_equal(breaker_after_hold(&b, 0, 7000).state,
                     BREAKER_OPEN); /* by nobody's hand */
    assert_int_equal(breaker_after_hold(&b, 4000, 7000).state, BREAKER_OPEN);
    /* What the site had opened goes on with a probe. */
    b.trips = 1;
    assert_int_equal(breaker_after_hold(&b, 5000, 7000).state, BREAKER_OPEN);
    b = (struct breaker){0};
    breaker_close(&b, 1000);
    assert_int_equal(breaker_after_hold(&b, 5000, 7000).state, BREAKER_CLOSED);
    assert_int_equal(breaker_after_hold(&b, 5000, 7000).since_ms, b.since_ms);
}

static struct breaker noted(const char *signs, int64_t from_ms, int64_t step_ms)
{
    struct breaker b = {0};
    for (const char *c = signs; *c; c++, from_ms += step_ms)
        breaker_note(&b,
                     *c == 'x'   ? BREAKER_HEALTH_ERROR
                     : *c == 'o' ? BREAKER_OK
                                 : BREAKER_NO_VERDICT,
                     from_ms);
    return b;
}

static void breaker_opens_when_half_of_twenty_failed_in_ten_minutes(void **state)
{
    (void)state;
    static const int64_t minute = 60000;
    /* Never two in a row. */
    assert_int_equal(noted("oxoxoxoxoxoxoxoxoxo", 0, 1000).state, BREAKER_CLOSED);
    assert_int_equal(noted("oxoxoxoxoxoxoxoxoxox", 0, 1000).state, BREAKER_OPEN);
    assert_int_equal(noted("ooxoxoxoxoxoxoxoxoxox", 0, 1000).state,
                     BREAKER_CLOSED); /* 10 of 21 */
    assert_int_equal(noted("ox?ox?ox?ox?ox?ox?ox?ox?ox?ox", 0, 1000).state, BREAKER_OPEN);
    assert_int_equal(noted("ox?ox?ox?ox?ox?ox?ox?ox?ox?o", 0, 1000).state, BREAKER_CLOSED);
    /* The twentieth comes ten minutes after the first, or later. */
    assert_int_equal(noted("oxoxoxoxoxoxoxoxoxox", 0, 10 * minute / 19).state, BREAKER_OPEN);
    assert_int_equal(noted("oxoxoxoxoxoxoxoxoxox", 0, 10 * minute / 19 + 1).state,
                     BREAKER_CLOSED);
    /* Once open, they are counted anew. */
    struct breaker b = noted("oxoxoxoxoxoxoxoxoxox", 0, 1000);
    assert_int_equal(b.trips, 1);
    breaker_started(&b, b.until_ms);
    breaker_note(&b, BREAKER_OK, b.until_ms + 1);
    breaker_note(&b, BREAKER_HEALTH_ERROR, b.until_ms + 2);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.window_seen, 2);
}

static void breaker_says_since_when_it_is_in_its_state(void **state)
{
    (void)state;
    struct breaker b = {0};
    breaker_note(&b, BREAKER_OK, 5);
    assert_int_equal(b.since_ms, 0); /* it was in no other one */
    for (int i = 0; i < 5; i++)
        breaker_note(&b, BREAKER_HEALTH_ERROR, 10 + i);
    assert_int_equal(b.since_ms, 14);
    breaker_note(&b, BREAKER_HEALTH_ERROR, 20); /* says nothing new */
    assert_int_equal(b.since_ms, 14);
    int64_t until = b.until_ms;
    breaker_started(&b, until);
    assert_int_equal(b.since_ms, until);
    breaker_note(&b, BREAKER_HEALTH_ERROR, until + 7);
    assert_int_equal(b.since_ms, until + 7);
    breaker_started(&b, b.until_ms);
    breaker_note(&b, BREAKER_NO_VERDICT, b.until_ms + 1);
    assert_int_equal(b.since_ms, b.until_ms);
    breaker_started(&b, b.until_ms + 2);
    breaker_note(&b, BREAKER_OK, b.until_ms + 3);
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.since_ms, b.until_ms + 3);
    breaker_open(&b, 9000000, 8000000);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(b.since_ms, 8000000);
    breaker_open(&b, 9900000, 8000001); /* for longer: it was open before */
    assert_int_equal(b.since_ms, 8000000);
    assert_int_equal(b.until_ms, 9900000);
    breaker_close(&b, 8000002);
    assert_int_equal(b.since_ms, 8000002);
    assert_int_equal(b.fails + b.trips + b.until_ms, 0);
}

static void breaker_samples_are_those_of_the_window_that_is_counted_now(void **state)
{
    (void)state;
    static const int64_t minute = 60000;
    struct breaker b = noted("oxo", 100, 1000);
    struct breaker_samples seen = breaker_samples(&b, b.window_from_ms + 10 * minute);
    assert_int_equal(seen.seen, 3);
    assert_int_equal(seen.bad, 1);
    seen = breaker_samples(&b, b.window_from_ms + 10 * minute + 1);
    assert_int_equal(seen.seen + seen.bad, 0);
    assert_int_equal(breaker_samples(&(struct breaker){0}, 5).seen, 0);
    static const enum breaker_state order[] = {BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            assert_int_equal(breaker_worse(order[i], order[k]), order[i > k ? i : k]);
}

static void limit_has_room_for_what_it_would_let_start_one_by_one(void **state)
{
    (void)state;
    for (int64_t tat = 0; tat < 60; tat += 7) {
        for (int64_t burst = 0; burst < 5; burst++) {
            for (int64_t now = 0; now < 60; now += 3) {
                struct limit l = {.emit_ms = 10, .burst = burst, .tat_ms = tat}, one = l;
                int64_t n = 0;
                while (n < 100 && limit_take(&one, now))
                    n++;
                assert_int_equal(limit_room(&l, 100, now), n);
                assert_int_equal(limit_room(&l, 2, now), n < 2 ? n : 2);
            }
        }
    }
    struct limit none = {.blocked_until_ms = 50};
    assert_int_equal(limit_room(&none, 7, 49), 0);
    assert_int_equal(limit_room(&none, 7, 50), 7);
}

static void breaker_success_in_between_counts_anew(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 19; i++) { /* of 20 half would be enough */
        breaker_note(&b, i % 5 == 4 ? BREAKER_OK : BREAKER_HEALTH_ERROR, i);
        assert_int_equal(b.state, BREAKER_CLOSED);
    }
}

static void breaker_probe_without_verdict_is_armed_again(void **state)
{
    (void)state;
    struct breaker b = {.state = BREAKER_HALF_OPEN, .trips = 1};
    breaker_note(&b, BREAKER_NO_VERDICT, 5000);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_true(breaker_allows(&b, 0, 5000));
    breaker_started(&b, 5000);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_int_equal(b.trips, 1);
}

static void breaker_opens_longer_each_time_up_to_half_an_hour(void **state)
{
    (void)state;
    struct breaker b = {0};
    int64_t now = 0, before = 0;
    for (int i = 0; i < 5; i++)
        breaker_note(&b, BREAKER_HEALTH_ERROR, now);
    for (int trip = 0; trip < 15; trip++) {
        int64_t open_ms = b.until_ms - now;
        assert_true(open_ms >= before && open_ms <= 1800000);
        before = open_ms;
        now = b.until_ms;
        breaker_note(&b, BREAKER_HEALTH_ERROR,
                     now); /* a straggler from before says nothing new */
        assert_int_equal(b.until_ms, now);
        breaker_started(&b, now);
        breaker_note(&b, BREAKER_HEALTH_ERROR, now);
        assert_int_equal(b.state, BREAKER_OPEN);
    }
    assert_int_equal(before, 1800000);
}

/* ---- settings ---- */

static struct arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static err read_text(struct settings *s, const char *text, struct fault *f)
{
    struct ynode *root;
    settings_default(s);
    assert_int_equal(yaml_parse(arena, "fulmar.yaml", span_of(text), &root, f), E_OK);
    return settings_read(s, arena, "fulmar.yaml", root, f);
}

static void settings_are_read(void **state)
{
    (void)state;
    struct settings s;
    struct fault f = {0};
    assert_int_equal(
        read_text(&s,
                  "api:\n  port: 9000\n  body_max: 2MiB\nworker:\n"
                  "job:\n  attempt_timeout: 90s\negress:\n  only: true\n  ports: [80, 8443]\n"
                  "  allow: 10.0.0.1:80  10.0.0.2:80\nlog:\n  level: warn\n",
                  &f),
        E_OK);
    assert_int_equal(SETTING(&s, api, port), 9000);
    assert_int_equal(SETTING(&s, api, body_max), 2 << 20);
    assert_int_equal(SETTING(&s, job, attempt_timeout), 90000);
    assert_int_equal(SETTING(&s, egress, only), 1);
    assert_int_equal(SETTING(&s, log, level), 2);
    assert_true(span_is(SETTING_S(&s, egress, ports), "80 8443"));
    assert_true(span_is(SETTING_S(&s, egress, allow), "10.0.0.1:80 10.0.0.2:80"));
    assert_true(s.v[SET_api_port].given);
    assert_false(s.v[SET_worker_count].given);
    assert_int_equal(SETTING(&s, worker, count), 4);
}

static void setting_mistakes_name_place_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"api:\n  prot: 1\n",
         "fulmar.yaml:2:3: unknown setting 'prot' in 'api'; did you mean 'port'?"},
        {"appi:\n  port: 1\n", "fulmar.yaml:1:1: unknown section 'appi'; did you mean 'api'?"},
        {"zebra:\n  port: 1\n", "fulmar.yaml:1:1: unknown section 'zebra'"},
        {"api:\n  port: 70000\n",
         "'api.port' must be a whole number from 0 to 65535, not '70000'"},
        {"api:\n  port: many\n", "fulmar.yaml:2:9: 'api.port' must be a whole number"},
        {"job:\n  lease: 5\n",
         "'job.lease' must be a duration such as 30s from 1s to 10m, not '5'"},
        {"job:\n  lease: 11m\n", "from 1s to 10m, not '11m'"},
        {"api:\n  body_max: 1TB\n",
         "'api.body_max' must be a size such as 64MiB from 1KiB to 32MiB"},
        {"egress:\n  only: yes\n", "'egress.only' must be true or false, not 'yes'"},
        {"log:\n  level: loud\n",
         "'log.level' must be one of: debug info warn error; not 'loud'"},
        {"api: 5\n", "section 'api' must hold 'name: value' lines"},
        {"api:\n  host: [a, b]\n", "'api.host' must be a single value"},
        {"- a\n", "settings must be sections"},
        {"egress:\n  allow: [\"a b\"]\n", "must be a list of single words"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings s;
        struct fault f = {0};
        assert_int_equal(read_text(&s, rows[i].text, &f), E_CONFIG);
        if (!strstr(f.words, rows[i].words))
            fail_msg("'%s' is not in '%s'", rows[i].words, f.words);
    }
}

static void one_setting_can_be_set_from_the_command_line(void **state)
{
    (void)state;
    struct settings s;
    struct fault f = {0};
    settings_default(&s);
    assert_int_equal(settings_set(&s, arena, SPAN("worker.count=8"), &f), E_OK);
    assert_int_equal(SETTING(&s, worker, count), 8);
    assert_int_equal(settings_set(&s, arena, SPAN("egress.ports=80,81"), &f), E_OK);
    assert_true(span_is(SETTING_S(&s, egress, ports), "80 81"));
    assert_int_equal(settings_set(&s, arena, SPAN("site.base_url=x=http://127.0.0.1:1/"), &f),
                     E_OK);
    assert_true(span_is(SETTING_S(&s, site, base_url), "x=http://127.0.0.1:1/"));
    assert_int_equal(settings_set(&s, arena, SPAN("worker.cuont=8"), &f), E_CONFIG);
    assert_string_equal(f.words, "unknown setting 'cuont' in 'worker'; did you mean 'count'?");
    f = (struct fault){0};
    assert_int_equal(settings_set(&s, arena, SPAN("worker=8"), &f), E_CONFIG);
    assert_int_equal(SETTING(&s, worker, count), 8);
}

static void sample_file_documents_every_setting_and_changes_nothing(void **state)
{
    (void)state;
    struct buf out = BUF(1 << 16);
    struct settings s;
    struct fault f = {0};
    settings_write(&out, NULL);
    buf_add_char(&out, 0);
    assert_int_equal(out.failed, E_OK);
    assert_int_equal(read_text(&s, out.p, &f), E_OK);
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        assert_false(s.v[i].given);
        assert_has(buf_span(&out), setting_row((enum setting_id)i)->help);
    }
    buf_free(&out);
}

static void written_settings_read_back_the_same(void **state)
{
    (void)state;
    struct buf out = BUF(1 << 16);
    struct settings s, back;
    struct fault f = {0};
    settings_default(&s);
    assert_int_equal(settings_set(&s, arena, SPAN("store.path=/var/lib/ful mar: #1"), &f),
                     E_OK);
    assert_int_equal(settings_set(&s, arena, SPAN("egress.allow=[::1]:80 10.1.1.1:9"), &f),
                     E_OK);
    assert_int_equal(settings_set(&s, arena, SPAN("api.host=\"quoted\""), &f), E_OK);
    settings_write(&out, &s);
    assert_true(span_find_char(buf_span(&out), '\n') < out.n);
    buf_add_char(&out, 0);
    assert_int_equal(read_text(&back, out.p, &f), E_OK);
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        assert_true(back.v[i].given);
        assert_true(span_eq(back.v[i].text, s.v[i].text));
        assert_int_equal(back.v[i].number, s.v[i].number);
    }
    buf_free(&out);
}

/* ---- metrics ---- */

static void metrics_text_shows_every_row(void **state)
{
    (void)state;
    struct buf out = BUF(1 << 18);
    metric_add(METRIC_JOBS_SUBMITTED, 0, 3);
    metric_add(METRIC_JOB_FAILURES, metric_label(METRIC_JOB_FAILURES, SPAN("drift")), 2);
    metric_set(METRIC_JOBS, metric_label(METRIC_JOBS, SPAN("ready")), 7);
    metric_time(METRIC_STORE_TX, 3);
    metric_time(METRIC_STORE_TX, 1200);
    metric_time(METRIC_STORE_TX, 999999999);
    assert_int_equal(metric_label(METRIC_JOBS, SPAN("no such")), -1);
    assert_int_equal(metric_get(METRIC_STORE_TX, 0), 3);
    metrics_write(&out);
    assert_int_equal(out.failed, E_OK);
    struct span text = buf_span(&out);
    assert_has(text,
               "# TYPE fulmar_jobs_submitted_total counter\nfulmar_jobs_submitted_total 3\n");
    assert_has(text, "fulmar_job_failures_total{class=\"drift\"} 2\n");
    assert_has(text, "fulmar_job_failures_total{class=\"crash\"} 0\n");
    assert_has(text, "fulmar_jobs{state=\"ready\"} 7\n");
    assert_has(text, "fulmar_store_tx_seconds_bucket{le=\"0.002\"} 0\n");
    assert_has(text, "fulmar_store_tx_seconds_bucket{le=\"0.005\"} 1\n");
    assert_has(text, "fulmar_store_tx_seconds_bucket{le=\"2.500\"} 2\n");
    assert_has(text, "fulmar_store_tx_seconds_bucket{le=\"+Inf\"} 3\n");
    assert_has(text,
               "fulmar_store_tx_seconds_sum 1000001.202\nfulmar_store_tx_seconds_count 3\n");
    buf_free(&out);
}

static void metric_labels_agree_with_the_other_tables(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATES; s++)
        assert_int_equal(metric_label(METRIC_JOBS, span_of(job_state_name((enum job_state)s))),
                         s);
    for (int c = FAILURE_NONE + 1; c < FAILURE_COUNT; c++)
        assert_true(metric_label(METRIC_JOB_FAILURES,
                                 span_of(failure_name((enum failure_class)c))) >= 0);
    for (int v = VERDICT_NONE + 1; v < VERDICT_COUNT; v++)
        assert_true(
            metric_label(METRIC_JOBS_FINISHED, span_of(verdict_name((enum verdict)v))) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_is_reachable_and_every_waiting_one_has_a_way_out),
        cmocka_unit_test(final_states_only_leave_by_replay_or_repair_and_success_never),
        cmocka_unit_test(every_event_is_used),
        cmocka_unit_test(state_names_read_back),
        cmocka_unit_test(every_failure_has_a_whole_row_and_a_unique_name),
        cmocka_unit_test(exit_codes_are_those_of_the_manual),
        cmocka_unit_test(verdicts_follow_the_proof),
        cmocka_unit_test(many_lost_posts_are_drift),
        cmocka_unit_test(delays_stay_in_bounds_and_repeat),
        cmocka_unit_test(delays_grow_by_the_factor_up_to_the_cap),
        cmocka_unit_test(what_a_job_asks_for_goes_before_what_is_configured),
        cmocka_unit_test(options_say_when_a_job_is_tried_again),
        cmocka_unit_test(options_say_who_is_told_of_the_end),
        cmocka_unit_test(delays_differ_by_job_and_seed),
        cmocka_unit_test(jitter_only_adds_to_what_a_server_asked_for),
        cmocka_unit_test(starts_in_any_window_are_bounded),
        cmocka_unit_test(waiting_beats_priority_in_the_end),
        cmocka_unit_test(breaker_opens_after_five_and_closes_by_a_probe),
        cmocka_unit_test(breaker_that_a_hand_opened_is_closed_when_the_hold_is_over),
        cmocka_unit_test(breaker_opens_when_half_of_twenty_failed_in_ten_minutes),
        cmocka_unit_test(breaker_says_since_when_it_is_in_its_state),
        cmocka_unit_test(breaker_samples_are_those_of_the_window_that_is_counted_now),
        cmocka_unit_test(limit_has_room_for_what_it_would_let_start_one_by_one),
        cmocka_unit_test(breaker_success_in_between_counts_anew),
        cmocka_unit_test(breaker_probe_without_verdict_is_armed_again),
        cmocka_unit_test(breaker_opens_longer_each_time_up_to_half_an_hour),
        cmocka_unit_test_setup_teardown(settings_are_read, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(setting_mistakes_name_place_and_remedy, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(one_setting_can_be_set_from_the_command_line,
                                        make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(sample_file_documents_every_setting_and_changes_nothing,
                                        make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(written_settings_read_back_the_same, make_arena,
                                        drop_arena),
        cmocka_unit_test(metrics_text_shows_every_row),
        cmocka_unit_test(metric_labels_agree_with_the_other_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "core/schedule.h"
#include "core/steady.h"
#include "os/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const zones[] = {"Europe/Berlin",
                                    "America/New_York",
                                    "America/St_Johns",
                                    "Australia/Lord_Howe",
                                    "Asia/Kathmandu",
                                    "Africa/Casablanca",
                                    "America/Sao_Paulo",
                                    "Pacific/Apia",
                                    "Europe/Dublin",
                                    "America/Santiago",
                                    "UTC",
                                    "Asia/Tokyo"};
enum { ZONES = sizeof zones / sizeof zones[0] };

static uint64_t random_state = 1;

static int64_t below(int64_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(random_state >> 33) % n;
}

static void load(const char *name, struct zone *z)
{
    struct fault f = {0};
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        skip();
    if (zone_load(span_of(name), z, &f))
        fail_msg("%s: %s", name, f.words);
}

static int64_t at(const char *text)
{
    wall t;
    assert_true(when_parse(span_of(text), &t));
    return t.ms;
}

static struct cron parse(const char *text)
{
    struct cron c;
    struct fault f = {0};
    if (cron_parse(span_of(text), &c, &f))
        fail_msg("%s: %s", text, f.words);
    return c;
}

static void next_is(const char *cron, const struct zone *z, const char *after,
                    const char *expected)
{
    struct cron c = parse(cron);
    wall next;
    char text[WHEN_TEXT];
    assert_int_equal(cron_next(&c, z, (wall){at(after)}, &next), E_OK);
    assert_string_equal(when_text(next, text), expected);
}

/* ---- zones ---- */

/* The C library reads the same files by other code: two years at every change, and anywhere. */
static void offsets_are_those_of_the_c_library(void **state)
{
    (void)state;
    struct zone z;
    for (int i = 0; i < ZONES; i++) {
        load(zones[i], &z);
        setenv("TZ", zones[i], 1);
        tzset();
        for (int n = 0; n < 20000; n++) {
            time_t t = below(4102444800 + 2000000000) - 1000000000; /* 1938 to 2131 */
            if (n % 2 && z.count)
                t = z.at_s[below((int64_t)z.count)] + below(7) - 3;
            if (t < -2000000000)
                continue;
            struct tm tm;
            localtime_r(&t, &tm);
            if (zone_offset(&z, t) != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d, and not %ld", zones[i], (long long)t,
                         zone_offset(&z, t), tm.tm_gmtoff);
            struct civil c = civil_of(t + tm.tm_gmtoff);
            assert_true(c.year == tm.tm_year + 1900 && c.month == tm.tm_mon + 1 &&
                        c.day == tm.tm_mday && c.hour == tm.tm_hour && c.weekday == tm.tm_wday);
            assert_int_equal(civil_seconds(&c), t + tm.tm_gmtoff);
            /* What the clocks show is shown first at that instant or before it. */
            int64_t first = zone_instant(&z, t + tm.tm_gmtoff);
            assert_true(first <= t && first + zone_offset(&z, first) == t + tm.tm_gmtoff);
        }
    }
    unsetenv("TZ");
    tzset();
}

static void bad_names_and_bad_files_are_refused(void **state)
{
    (void)state;
    struct zone z;
    static const char *const bad[] = {
        "", "../etc/passwd", "/etc/passwd", "Europe/Berlin/", "a b", "x.y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(zone_load(span_of(bad[i]), &z, NULL), E_BAD_INPUT);
    assert_int_equal(zone_load(SPAN("Europe/Nowhere"), &z, NULL), E_NOT_FOUND);
    assert_int_equal(zone_load(SPAN("UTC"), &z, NULL), E_OK);
    assert_int_equal(zone_read(SPAN("TZif"), &z, NULL), E_BAD_SYNTAX);
}

/* ---- cron ---- */

static void texts_are_read_or_refused_with_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "five fields"},
        {"* * * *", "five fields"},
        {"* * * * * *", "after them"},
        {"60 * * * *", "minute"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day of the month"},
        {"* * * 13 *", "month"},
        {"* * * * 8", "weekday"},
        {"5-2 * * * *", "minute"},
        {"*/0 * * * *", "step"},
        {"*/99 * * * *", "step"},
        {"1,,2 * * * *", "minute"},
        {"1, * * * *", "empty"},
        {"-1 * * * *", "minute"},
        {"* * * foo *", "month"},
        {"1-2-3 * * * *", "minute"},
        {"@never", "minute"},
        {"*5 * * * *", "minute"},
        {"99999999999999999999 * * * *", "minute"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cron c;
        struct fault f = {0};
        assert_int_equal(cron_parse(span_of(bad[i].text), &c, &f), E_BAD_SYNTAX);
        if (span_find(span_of(f.words), span_of(bad[i].words)) == strlen(f.words))
            fail_msg("%s: %s", bad[i].text, f.words);
    }
    struct cron c = parse(" 1,5-7,*/30  9-17/4 * jan,MAR sun-tue,7 ");
    assert_true(c.minutes == (1u << 1 | 7u << 5 | 1u << 0 | 1u << 30) &&
                c.hours == (1u << 9 | 1u << 13 | 1u << 17));
    assert_true(c.months == (1u << 1 | 1u << 3) && c.weekdays == 7);
    assert_true(parse("5/20 * * * *").minutes ==
                ((uint64_t)1 << 5 | (uint64_t)1 << 25 | (uint64_t)1 << 45));
    assert_true(parse("@Hourly").minutes == 1);
}

static void the_usual_ones(void **state)
{
    (void)state;
    static const struct zone utc = {.goes_on = true};
    next_is("*/15 * * * *", &utc, "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z");
    next_is("0 3 * * *", &utc, "2026-01-31T03:00:00Z", "2026-02-01T03:00:00Z");
    next_is("0 0 29 2 *", &utc, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
    next_is("0 0 13 * fri", &utc, "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z"); /* either is enough */
    next_is("0 0 * * 7", &utc, "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
    next_is("59 23 31 12 *", &utc, "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z");
    struct cron never = parse("0 0 30 2 *");
    wall next;
    assert_int_equal(cron_next(&never, &utc, (wall){0}, &next), E_END);
}

static void a_day_has_its_run_on_both_sides_of_summer_time(void **state)
{
    (void)state;
    struct zone z;
    load("Europe/Berlin", &z);
    /* 29 March 2026: 02:00 to 03:00 does not exist. */
    next_is("30 2 * * *", &z, "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z");
    next_is("30 2 * * *", &z, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
    /* 25 October 2026: 02:00 to 03:00 comes twice. */
    next_is("30 2 * * *", &z, "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z");
    next_is("30 2 * * *", &z, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
    next_is("30 2 * * *", &z, "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z");
    load("America/New_York", &z); /* by the last line of the file */
    next_is("30 2 * * *", &z, "2090-03-11T08:00:00Z", "2090-03-12T07:00:00Z");
}

static bool matches(const struct cron *c, int64_t local_s)
{
    struct civil t = civil_of(local_s);
    bool day = c->days >> t.day & 1, weekday = c->weekdays >> t.weekday & 1;
    bool date = c->any_day || c->any_weekday ? day && weekday : day || weekday;
    return date && (c->minutes >> t.minute & 1) && (c->hours >> t.hour & 1) &&
           (c->months >> t.month & 1);
}

/* Minute by minute, as slow as it is plain. */
static bool is_due(const struct cron *c, const struct zone *z, int64_t utc_s)
{
    int32_t now = zone_offset(z, utc_s), before = zone_offset(z, utc_s - 60),
            long_ago = zone_offset(z, utc_s - 3 * 3600);
    if (now > before) {
        for (int64_t local = utc_s + before; local <= utc_s + now; local += 60) {
            if (matches(c, local))
                return true;
        }
        return false;
    }
    int64_t local = utc_s + now;
    bool second = long_ago > now && zone_offset(z, local - long_ago) == long_ago;
    return !second && matches(c, local);
}

static void next_is_what_going_minute_by_minute_finds(void **state)
{
    (void)state;
    static const char *const texts[] = {"* * * * *",      "*/7 * * * *",    "30 2 * * *",
                                        "0 */5 * * *",    "15 0-4 * * sun", "0 0 1 * *",
                                        "45 1,2,3 * * *", "0 12 1-7 * mon", "59 23 * * *"};
    struct zone z;
    for (int i = 0; i < ZONES; i++) {
        load(zones[i], &z);
        for (int n = 0; n < 60; n++) {
            struct cron c = parse(texts[below(sizeof texts / sizeof texts[0])]);
            int64_t near = z.count > 40 ? z.at_s[z.count - 1 - (size_t)below(40)] : 1700000000;
            int64_t utc_s = (near - below(6 * 3600)) / 60 * 60;
            wall next = {0};
            assert_int_equal(cron_next(&c, &z, (wall){utc_s * 1000}, &next), E_OK);
            int64_t expected = utc_s + 60;
            while (expected < next.ms / 1000 && !is_due(&c, &z, expected))
                expected += 60;
            if (expected * 1000 != next.ms || !is_due(&c, &z, expected))
                fail_msg("%s: after %lld comes %lld, and not %lld", zones[i], (long long)utc_s,
                         (long long)expected, (long long)next.ms / 1000);
        }
    }
}

/* ---- schedules ---- */

static const struct zone utc = {.goes_on = true};

static void missed_runs_follow_the_policy(void **state)
{
    (void)state;
    struct schedule s = {
        .kind = SCHEDULE_INTERVAL, .interval_ms = 60000, .start = {0}, .catch_up_ms = 150000};
    wall slots[SCHEDULE_CATCH_UP_MAX], last;
    wall before = {10 * 60000}, now = {15 * 60000 + 30000}; /* down across five slots */
    s.missed = SCHEDULE_SKIP;
    assert_int_equal(schedule_due(&s, &utc, before, now, slots, &last), 0);
    s.missed = SCHEDULE_ONCE;
    assert_int_equal(schedule_due(&s, &utc, before, now, slots, &last), 1);
    assert_int_equal(slots[0].ms, 15 * 60000);
    assert_int_equal(last.ms, 15 * 60000);
    s.missed = SCHEDULE_CATCH_UP;
    assert_int_equal(schedule_due(&s, &utc, before, now, slots, &last), 3);
    assert_int_equal(slots[0].ms, 13 * 60000);
    s.catch_up_ms = 10 * 60000;
    assert_int_equal(schedule_due(&s, &utc, before, now, slots, &last), 5);
    assert_int_equal(schedule_due(&s, &utc, last, now, slots, &last), 0); /* once */
    s.missed = SCHEDULE_SKIP;
    s.grace_ms = 40000; /* late, not missed */
    assert_int_equal(schedule_due(&s, &utc, before, now, slots, &last), 1);
    s.missed = SCHEDULE_CATCH_UP;
    s.catch_up_ms = INT64_C(1000) * 60000;
    assert_int_equal(
        schedule_due(&s, &utc, (wall){-1}, (wall){INT64_C(500) * 60000}, slots, &last),
        SCHEDULE_CATCH_UP_MAX);
    assert_int_equal(slots[SCHEDULE_CATCH_UP_MAX - 1].ms, INT64_C(500) * 60000);
}

static void what_is_settled_says_what_was_missed_and_what_comes(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_INTERVAL,
                         .interval_ms = 60000,
                         .missed = SCHEDULE_CATCH_UP,
                         .catch_up_ms = 3600000,
                         .catch_up_max = 3};
    static struct schedule_settled x;
    wall before = {10 * 60000}, now = {15 * 60000 + 30000};
    schedule_settle(&s, &utc, SPAN("a"), before, now, &x);
    assert_true(x.count == 3 && x.missed == 2 && x.settled.ms == 15 * 60000 &&
                x.next_ms == 16 * 60000);
    assert_int_equal(x.slots[0].ms, 13 * 60000);
    s.missed = SCHEDULE_SKIP;
    schedule_settle(&s, &utc, SPAN("a"), before, now, &x);
    assert_true(x.count == 0 && x.missed == 5 && x.next_ms == 16 * 60000);
    /* The clock was set back by an hour: it goes on from now, not in an hour. */
    s.missed = SCHEDULE_ONCE;
    schedule_settle(&s, &utc, SPAN("a"), (wall){now.ms + 3600000}, now, &x);
    assert_true(x.count == 0 && x.missed == 0 && x.next_ms == 16 * 60000);
    /* Its share of the jitter makes each slot so late. */
    s.jitter_ms = 50000;
    int64_t share = schedule_start(&s, SPAN("a"), (wall){0}).ms;
    assert_true(share > 0);
    schedule_settle(&s, &utc, SPAN("a"), before, (wall){11 * 60000 + share - 1}, &x);
    assert_true(x.count == 0 && x.next_ms == 11 * 60000);
    schedule_settle(&s, &utc, SPAN("a"), before, (wall){11 * 60000 + share}, &x);
    assert_true(x.count == 1 && x.slots[0].ms == 11 * 60000 && x.next_ms == 12 * 60000);
    s.end.ms = 11 * 60000;
    schedule_settle(&s, &utc, SPAN("a"), before, (wall){11 * 60000 + share}, &x);
    assert_true(x.count == 1 && x.next_ms == 0);
}

static void elapsed_time_neither_jumps_nor_stands_still(void **state)
{
    (void)state;
    struct steady s = {0};
    int64_t real = 1800000000000, mono_ms = 5000;
    assert_int_equal(steady_now(&s, (wall){real}, (mono){mono_ms}).ms, real);
    static const int64_t steps[] = {0,        3600000, -7200000,
                                    86400000, -1000,   20 * INT64_C(86400000)};
    int64_t last = real;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        real += steps[i];
        for (int n = 0; n < 500; n++) {
            int64_t pass = 1 + below(5000);
            real += pass;
            mono_ms += pass;
            int64_t at = steady_now(&s, (wall){real}, (mono){mono_ms}).ms;
            int64_t moved = at - last;
            assert_true(moved >= pass - pass / STEADY_SLEW - 1 &&
                        moved <= pass + pass / STEADY_SLEW + 2);
            last = at;
        }
    }
    s = (struct steady){.at = {real - 60000},
                        .seen = {mono_ms},
                        .runs = true}; /* it nears the clock, and stays */
    for (int n = 0; n < 1000; n++)
        last = steady_now(&s, (wall){real += 1000}, (mono){mono_ms += 1000}).ms;
    assert_int_equal(last, real);
}

/* Whatever is done to the clock: time runs by nine to eleven tenths of what passes, and nears the clock. */
static void elapsed_time_is_within_a_tenth_of_what_passed_whatever_the_clock_does(void **state)
{
    (void)state;
    for (int world = 0; world < 200; world++) {
        struct steady s = {0};
        int64_t real = 1800000000000, passed = 0;
        int64_t first = steady_now(&s, (wall){real}, (mono){7}).ms, last = first;
        for (int n = 0; n < 400; n++) {
            int64_t pass = below(3) ? below(2000) : below(12);
            if (below(5) == 0)
                real += (below(2) ? 1 : -1) * below(INT64_C(20) * 365 * 86400000);
            passed += pass;
            real += pass;
            last = steady_now(&s, (wall){real}, (mono){7 + passed}).ms;
            int64_t most = passed + passed / STEADY_SLEW, least = passed - passed / STEADY_SLEW;
            if (last - first > most + 12 || last - first < least - 12)
                fail_msg("world %d: %lld of %lld", world, (long long)(last - first),
                         (long long)passed);
        }
        int64_t off = real - last;
        for (int n = 0; n < 100; n++)
            last = steady_now(&s, (wall){real += 1000}, (mono){7 + (passed += 1000)}).ms;
        assert_true(llabs(real - last) < llabs(off) || real == last);
    }
}

static void time_goes_on_where_it_was_after_a_restart(void **state)
{
    (void)state;
    const wall last = {1800000000000};
    wall at;
    assert_int_equal(steady_start((wall){0}, last, &at), STEADY_SOUND);
    assert_int_equal(at.ms, last.ms);
    assert_int_equal(steady_start(last, (wall){last.ms + 86400000}, &at), STEADY_SOUND);
    assert_int_equal(at.ms, last.ms + 86400000);
    assert_int_equal(steady_start(last, (wall){last.ms - 1000}, &at), STEADY_SOUND);
    assert_int_equal(at.ms, last.ms);
    assert_int_equal(steady_start(last, (wall){last.ms - 3600000}, &at), STEADY_BEHIND);
    assert_int_equal(at.ms, last.ms);
    assert_int_equal(steady_start(last, (wall){last.ms + 2 * STEADY_FAR_MS}, &at),
                     STEADY_AHEAD);
    assert_int_equal(at.ms, last.ms + 2 * STEADY_FAR_MS);
}

static void start_end_and_jitter_are_kept(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_INTERVAL,
                         .interval_ms = 1000,
                         .start = {5000},
                         .end = {7000},
                         .jitter_ms = 300};
    wall slot;
    assert_int_equal(schedule_next(&s, &utc, (wall){-100}, &slot), E_OK);
    assert_int_equal(slot.ms, 5000);
    assert_int_equal(schedule_next(&s, &utc, (wall){5999}, &slot), E_OK);
    assert_int_equal(slot.ms, 6000);
    assert_int_equal(schedule_next(&s, &utc, (wall){7000}, &slot), E_END);
    int64_t share = schedule_start(&s, SPAN("a"), (wall){5000}).ms - 5000;
    assert_true(share >= 0 && share < 300);
    assert_int_equal(schedule_start(&s, SPAN("a"), (wall){6000}).ms - 6000, share);
}

static void a_slot_has_one_id_everywhere(void **state)
{
    (void)state;
    char a[ID_TEXT], b[ID_TEXT];
    schedule_slot_id(a, SPAN("nasa-daily"), (wall){1800000000000});
    schedule_slot_id(b, SPAN("nasa-daily"), (wall){1800000000000});
    assert_string_equal(a, b);
    assert_true(id_valid(span_of(a), "job"));
    schedule_slot_id(b, SPAN("nasa-daily"), (wall){1800000060000});
    assert_string_not_equal(a, b);
    schedule_slot_id(b, SPAN("esa-daily"), (wall){1800000000000});
    assert_string_not_equal(a, b);
}

static void a_run_that_meets_another_follows_the_policy(void **state)
{
    (void)state;
    for (int o = SCHEDULE_OVERLAP_SKIP; o <= SCHEDULE_OVERLAP_ALLOW; o++)
        assert_int_equal(schedule_meet((enum schedule_overlap)o, false, false), SCHEDULE_GO);
    assert_int_equal(schedule_meet(SCHEDULE_OVERLAP_ALLOW, true, true), SCHEDULE_GO);
    assert_int_equal(schedule_meet(SCHEDULE_OVERLAP_SKIP, true, false), SCHEDULE_GO_PASS);
    assert_int_equal(schedule_meet(SCHEDULE_OVERLAP_QUEUE_ONE, true, false), SCHEDULE_GO_AFTER);
    assert_int_equal(schedule_meet(SCHEDULE_OVERLAP_QUEUE_ONE, true, true), SCHEDULE_GO_PASS);
    assert_int_equal(schedule_meet(SCHEDULE_OVERLAP_CANCEL, true, false),
                     SCHEDULE_GO_AND_CANCEL);
}

/* A source with a steady rate: the interval settles where a run finds what is wanted. */
static void an_adaptive_interval_settles_and_stays_in_its_bounds(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_ADAPTIVE,
                         .interval_ms = 60000,
                         .least_ms = 30000,
                         .most_ms = 86400000,
                         .posts_wanted = 20};
    int64_t post_every_ms = 90000;
    for (int run = 0; run < 40; run++)
        s.interval_ms = schedule_adapt(&s, s.interval_ms / post_every_ms, s.interval_ms);
    assert_true(s.interval_ms >= 18 * post_every_ms && s.interval_ms <= 23 * post_every_ms);
    for (int run = 0; run < 40; run++)
        s.interval_ms = schedule_adapt(&s, 0, s.interval_ms);
    assert_int_equal(s.interval_ms, s.most_ms);
    assert_int_equal(schedule_adapt(&s, 1000000, s.interval_ms),
                     s.most_ms / 2); /* not all at once */
    for (int run = 0; run < 40; run++)
        s.interval_ms = schedule_adapt(&s, 1000000, s.interval_ms);
    assert_int_equal(s.interval_ms, s.least_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_those_of_the_c_library),
        cmocka_unit_test(bad_names_and_bad_files_are_refused),
        cmocka_unit_test(texts_are_read_or_refused_with_the_field),
        cmocka_unit_test(the_usual_ones),
        cmocka_unit_test(a_day_has_its_run_on_both_sides_of_summer_time),
        cmocka_unit_test(next_is_what_going_minute_by_minute_finds),
        cmocka_unit_test(missed_runs_follow_the_policy),
        cmocka_unit_test(what_is_settled_says_what_was_missed_and_what_comes),
        cmocka_unit_test(elapsed_time_neither_jumps_nor_stands_still),
        cmocka_unit_test(elapsed_time_is_within_a_tenth_of_what_passed_whatever_the_clock_does),
        cmocka_unit_test(time_goes_on_where_it_was_after_a_restart),
        cmocka_unit_test(start_end_and_jitter_are_kept),
        cmocka_unit_test(a_slot_has_one_id_everywhere),
        cmocka_unit_test(a_run_that_meets_another_follows_the_policy),
        cmocka_unit_test(an_adaptive_interval_settles_and_stays_in_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

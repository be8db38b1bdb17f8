/* An order: which list its mark is of, and whether it moves it. */
#include "api/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pack *pack;

static int open_pack(void **state)
{
    (void)state;
    struct fault f = {0};
    int fd = open(getenv("FULMAR_SITES") ? getenv("FULMAR_SITES") : "sites",
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = pack_open(&pack, fd, "x", &f);
    close(fd);
    return e != E_OK;
}

static int close_pack(void **state)
{
    (void)state;
    pack_close(&pack);
    return 0;
}

static void marks_belong_to_a_list(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        enum store_mark mark;
        const char *variant;
    } rows[] = {
        {"", MARK_WHEN_COMPLETE, "{}"},
        {",\"limit\":5,\"priority\":2,\"fields\":[\"text\"]", MARK_WHEN_COMPLETE, "{}"},
        {",\"max_pages\":5,\"max_bytes\":65536,\"timeouts\":{\"navigation_s\":5},"
         "\"resources\":{\"max_requests\":5}",
         MARK_WHEN_COMPLETE, "{}"},
        {",\"quality\":{\"min_posts\":3,\"on_empty\":\"fail\"}", MARK_WHEN_COMPLETE, "{}"},
        /* What is kept apart was not brought: such a list is another one. */
        {",\"quality\":{\"min_posts\":3,\"required_fields\":[\"text\"]}", MARK_WHEN_COMPLETE,
         "{\"required_fields\":[\"text\"]}"},
        {",\"since\":\"2026-02-06\"", MARK_STAYS, "{}"},
        {",\"until\":\"2026-02-06\"", MARK_STAYS, "{}"},
        {",\"since_last\":false", MARK_WHEN_COMPLETE, "{}"},
        {",\"since_last\":true", MARK_USED, "{}"},
        {",\"since_last\":true,\"until\":\"2026-02-06\",\"limit\":7", MARK_USED, "{}"},
        /* However it is written, it is one list. */
        {",\"since_last\":true,\"exclude\":[\"reposts\",\"replies\",\"reposts\"]", MARK_USED,
         "{\"exclude\":[\"replies\",\"reposts\"]}"},
        {",\"exclude\":[\"replies\",\"reposts\"]", MARK_WHEN_COMPLETE,
         "{\"exclude\":[\"replies\",\"reposts\"]}"},
        {",\"include\":[\"replies\"],\"exclude\":[\"quotes\"]", MARK_WHEN_COMPLETE,
         "{\"exclude\":[\"quotes\"],\"include\":[\"replies\"]}"},
    };
    struct json_parser *parser = json_parser_new(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1 << 20);
        struct order o;
        struct order_refusal refusal;
        char *body =
            arena_fmt(a, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", rows[i].options);
        if (!order_read(&o, &refusal, parser, &pack, 1, span_of(body), a))
            fail_msg("%s: %.*s", rows[i].options, SP(refusal.detail));
        if (o.mark != rows[i].mark || !span_is(o.variant, rows[i].variant))
            fail_msg("%s: %d %.*s", rows[i].options, (int)o.mark, SP(o.variant));
        arena_free(&a);
    }
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(order_read(&o, &refusal, parser, &pack, 1,
                           SPAN("{\"kind\":\"profile\",\"target\":\"@nasa\"}"), a));
    assert_int_equal(o.mark, MARK_STAYS);
    arena_free(&a);
    json_parser_free(&parser);
}

/* They say nothing about the records: neither another list, nor other work. */
static void labels_are_kept_and_make_no_other_work(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct json_parser *parser = json_parser_new(1 << 20);
    struct order o, plain;
    struct order_refusal refusal;
    assert_true(order_read(&plain, &refusal, parser, &pack, 1,
                           SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":5}"), a));
    assert_true(order_read(
        &o, &refusal, parser, &pack, 1,
        SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\",\"labels\":{\"team\":\"press\","
             "\"desk\":\"Zürich\"},\"limit\":5}"),
        a));
    assert_true(
        span_is(o.spec, "{\"limit\":5,\"labels\":{\"desk\":\"Zürich\",\"team\":\"press\"}}"));
    assert_true(o.work != 0 && o.work == plain.work && span_eq(o.variant, plain.variant));
    static const char *const wrong[] = {"{\"a b\":\"c\"}", "{\"a\":\"\"}",    "{\"a\":1}",
                                        "{\"a\":null}",    "{\"a\":\"\\n\"}", "7"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *body =
            arena_fmt(a, "{\"kind\":\"posts\",\"target\":\"@nasa\",\"labels\":%s}", wrong[i]);
        assert_false(order_read(&o, &refusal, parser, &pack, 1, span_of(body), a));
        assert_int_equal(refusal.status, 422);
        assert_true(span_starts(refusal.errors[0].pointer, SPAN("/labels")));
    }
    json_parser_free(&parser);
    arena_free(&a);
}

static void what_cannot_be_brought_in_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } rows[] = {
        {"{\"kind\":\"media\",\"target\":\"@nasa\",\"include\":[\"replies\"]}",
         "media has no replies to bring in"},
        {"{\"kind\":\"thread\",\"target\":\"20\",\"include\":[\"reposts\"]}",
         "thread has no reposts to bring in"},
        {"{\"kind\":\"profile\",\"target\":\"@nasa\",\"include\":[\"reposts\"]}",
         "profile has no posts to bring in"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"include\":[\"replys\"]}", "did you mean"},
        {"{\"kind\":\"posts\",\"target\":\"@nasa\",\"include\":[\"quotes\"],\"exclude\":[\"quotes\"]}",
         "both included and excluded"},
    };
    struct json_parser *parser = json_parser_new(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1 << 20);
        struct order o;
        struct order_refusal refusal;
        assert_false(order_read(&o, &refusal, parser, &pack, 1, span_of(rows[i].body), a));
        assert_int_equal(refusal.error_count, 1);
        struct span said = refusal.errors[0].detail;
        if (span_find(said, span_of(rows[i].words)) == said.n)
            fail_msg("row %zu: %.*s", i, SP(said));
        arena_free(&a);
    }
    json_parser_free(&parser);
}

static bool reads(const char *options, struct order *o, struct order_refusal *refusal,
                  struct arena *a)
{
    struct json_parser *parser = json_parser_new(1 << 20);
    char *body = arena_fmt(a, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", options);
    bool fine = order_read(o, refusal, parser, &pack, 1, span_of(body), a);
    json_parser_free(&parser);
    return fine;
}

static void an_order_says_how_it_stands_in_the_queue(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(reads("", &o, &refusal, a));
    assert_true(span_is(o.lane, "default/x/normal") && o.prio == LANE_PRIORITY &&
                o.needs == NEEDS_PAGE);
    assert_true(!o.terms.not_before_ms && !o.terms.expires_s && !o.terms.deadline_s &&
                !o.terms.unique_key.n);
    assert_int_equal(o.terms.coalesce, COALESCE_AS_CONFIGURED);
    assert_true(reads(
        ",\"class\":\"bulk\",\"tenant\":\"Press_1\",\"not_before\":\"2026-02-06T01:00:00+01:00\",\"expires_s\":60,"
        "\"deadline_s\":600,\"timeouts\":{\"attempt_s\":90,\"idle_s\":20},\"unique\":{\"key\":\"a/b\","
        "\"on_conflict\":\"run_after_active\"},\"max_age_s\":5,\"stale_if_error_s\":50,\"coalesce\":false",
        &o, &refusal, a));
    assert_true(span_is(o.lane, "Press_1/x/bulk") && span_is(o.terms.tenant, "Press_1"));
    assert_int_equal(o.terms.not_before_ms, 1770336000000);
    assert_true(o.terms.expires_s == 60 && o.terms.deadline_s == 600 &&
                o.terms.attempt_s == 90 && o.terms.idle_s == 20);
    assert_true(span_is(o.terms.unique_key, "a/b") &&
                o.terms.on_conflict == UNIQUE_RUN_AFTER_ACTIVE);
    assert_true(o.terms.max_age_s == 5 && o.terms.stale_if_error_s == 50 &&
                o.terms.coalesce == COALESCE_NO);
    assert_int_equal(o.terms.fresh_within_s, 0);
    assert_true(reads(
        ",\"unique\":{\"key\":\"k\",\"on_conflict\":\"fresh_within\",\"fresh_within_s\":60}",
        &o, &refusal, a));
    struct accept_args args = order_accept(&o, false, (wall){0});
    assert_int_equal(args.on_conflict, UNIQUE_RETURN_EXISTING);
    assert_int_equal(args.fresh_within_ms, 60000);
    /* null is not given. */
    assert_true(reads(
        ",\"class\":null,\"tenant\":null,\"not_before\":null,\"expires_s\":null,\"timeouts\":null,\"unique\":null,"
        "\"max_age_s\":null,\"coalesce\":null",
        &o, &refusal, a));
    assert_true(span_is(o.lane, "default/x/normal") &&
                o.terms.coalesce == COALESCE_AS_CONFIGURED);
    arena_free(&a);
}

static void what_it_may_take_is_kept_with_the_options(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(reads(",\"max_bytes\":65536,\"max_pages\":100000,\"labels\":{\"a\":\"b\"},"
                      "\"timeouts\":{\"navigation_s\":600,\"idle_s\":3}",
                      &o, &refusal, a));
    assert_true(span_is(o.spec,
                        "{\"max_pages\":100000,\"max_bytes\":65536,"
                        "\"timeouts\":{\"navigation_s\":600},\"labels\":{\"a\":\"b\"}}"));
    assert_true(o.terms.idle_s == 3);
    assert_true(
        reads(",\"resources\":{\"max_requests\":1000000,\"cpu_s\":86400,\"memory_mib\":8192}",
              &o, &refusal, a));
    assert_true(span_is(o.spec, "{\"resources\":{\"memory_mib\":8192,\"cpu_s\":86400,"
                                "\"max_requests\":1000000}}"));
    assert_int_equal(order_accept(&o, false, (wall){0}).memory_bytes, 8192LL << 20);
    /* What everybody gets is not said. */
    assert_true(reads(",\"quality\":{\"on_empty\":\"suspect\"}", &o, &refusal, a));
    assert_true(span_is(o.spec, "{}"));
    assert_true(reads(",\"limit\":9,\"quality\":{\"required_fields\":[\"id\",\"counts.like\"],"
                      "\"on_empty\":\"fail\",\"min_posts\":9}",
                      &o, &refusal, a));
    assert_true(span_is(o.spec,
                        "{\"limit\":9,\"quality\":{\"min_posts\":9,\"on_empty\":\"fail\","
                        "\"required_fields\":[\"id\",\"counts.like\"]}}"));
    arena_free(&a);
}

static void mistakes_in_terms_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *options, *pointer, *words;
    } rows[] = {
        {",\"class\":\"bluk\"", "/class", "did you mean \"bulk\"?"},
        {",\"class\":\"quarantine\"", "/class", "known are: interactive, normal, bulk"},
        {",\"class\":1", "/class", "must be a text such as"},
        {",\"tenant\":\"a/b\"", "/tenant", "letters, digits, _ and -"},
        {",\"tenant\":\"\"", "/tenant", "1 to 40 bytes"},
        {",\"tenant\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "/tenant",
         "1 to 40 bytes"},
        {",\"tenant\":7", "/tenant", "must be a text"},
        {",\"not_before\":\"tomorrow\"", "/not_before", "RFC 3339"},
        {",\"expires_s\":0", "/expires_s", "must be 1 to 31622400"},
        {",\"expires_s\":31622401", "/expires_s", "must be 1 to 31622400"},
        {",\"expires_s\":601,\"deadline_s\":600", "/expires_s",
         "not be longer than deadline_s"},
        {",\"deadline_s\":1.5", "/deadline_s", "whole number"},
        {",\"timeouts\":5", "/timeouts", "must be an object"},
        {",\"timeouts\":{\"atempt_s\":5}", "/timeouts/atempt_s", "did you mean \"attempt_s\"?"},
        {",\"timeouts\":{\"attempt_s\":86401}", "/timeouts/attempt_s", "must be 1 to 86400"},
        {",\"timeouts\":{\"idle_s\":3601}", "/timeouts/idle_s", "must be 1 to 3600"},
        {",\"timeouts\":{\"idle_s\":1,\"idle_s\":2}", "/timeouts/idle_s", "given 2 times"},
        {",\"timeouts\":{\"navigation_s\":601}", "/timeouts/navigation_s", "must be 1 to 600"},
        {",\"max_pages\":0", "/max_pages", "must be 1 to 100000"},
        {",\"max_pages\":\"3\"", "/max_pages", "whole number"},
        {",\"max_bytes\":65535", "/max_bytes", "must be 65536 to 1099511627776"},
        {",\"max_byte\":65536", "/max_byte", "did you mean \"max_bytes\"?"},
        {",\"resources\":\"512\"", "/resources", "must be an object"},
        {",\"resources\":{\"memory_mb\":512}", "/resources/memory_mb",
         "did you mean \"memory_mib\"?"},
        {",\"resources\":{\"memory_mib\":63}", "/resources/memory_mib", "must be 64 to 8192"},
        {",\"resources\":{\"cpu_s\":0}", "/resources/cpu_s", "must be 1 to 86400"},
        {",\"resources\":{\"max_requests\":1.5}", "/resources/max_requests", "whole number"},
        {",\"quality\":5", "/quality", "must be an object"},
        {",\"quality\":{\"min_post\":1}", "/quality/min_post", "did you mean \"min_posts\"?"},
        {",\"quality\":{\"min_posts\":0}", "/quality/min_posts", "must be 1 to 100000"},
        {",\"limit\":5,\"quality\":{\"min_posts\":6}", "/quality/min_posts",
         "must not be more than limit"},
        {",\"quality\":{\"on_empty\":\"acept\"}", "/quality/on_empty",
         "did you mean \"accept\"?"},
        {",\"quality\":{\"on_empty\":\"accept\",\"min_posts\":1}", "/quality/on_empty",
         "cannot be accepted"},
        {",\"quality\":{\"required_fields\":[]}", "/quality/required_fields",
         "must be a list of texts"},
        {",\"quality\":{\"required_fields\":[\"id\",\"likes\"]}", "/quality/required_fields/1",
         "did you mean \"counts.like\"?"},
        {",\"fields\":[\"likes\"]", "/fields/0", "did you mean \"counts.like\"?"},
        {",\"unique\":\"k\"", "/unique", "must be an object"},
        {",\"unique\":{}", "/unique/key", "which jobs are about the same work"},
        {",\"unique\":{\"key\":\"\"}", "/unique/key", "1 to 256 bytes"},
        {",\"unique\":{\"key\":\"k\",\"on_conflict\":\"rejects\"}", "/unique/on_conflict",
         "did you mean \"reject\"?"},
        {",\"unique\":{\"key\":\"k\",\"scope\":\"x\"}", "/unique/scope",
         "known are key, on_conflict, fresh_within_s"},
        {",\"unique\":{\"key\":\"k\",\"on_conflict\":\"fresh_within\"}",
         "/unique/fresh_within_s", "how old a result may be"},
        {",\"unique\":{\"key\":\"k\",\"on_conflict\":\"fresh_within\",\"fresh_within_s\":0}",
         "/unique/fresh_within_s", "must be 1 to"},
        {",\"unique\":{\"key\":\"k\",\"fresh_within_s\":5}", "/unique/fresh_within_s",
         "goes with"},
        {",\"since_last\":true,\"unique\":{\"key\":\"k\",\"on_conflict\":\"fresh_within\","
         "\"fresh_within_s\":5}",
         "/unique/on_conflict", "not together with since_last"},
        {",\"max_age_s\":-1", "/max_age_s", "must be 0 to"},
        {",\"coalesce\":\"yes\"", "/coalesce", "must be true or false"},
        {",\"since_last\":true,\"max_age_s\":5", "/max_age_s", "not together with since_last"},
        {",\"since_last\":true,\"stale_if_error_s\":5", "/stale_if_error_s",
         "not together with since_last"},
        {",\"since_last\":true,\"coalesce\":true", "/coalesce", "never share"},
        {",\"callback\":\"whk_1\"", "/callback", "must be an object such as"},
        {",\"callback\":{}", "/callback/webhook_id", "which webhook is told"},
        {",\"callback\":{\"webhook\":\"a\",\"webhook_id\":\"whk_01ARZ3NDEKTSV4RRFFQ69G5FAV\"}",
         "/callback/webhook", "known are webhook_id"},
        {",\"callback\":{\"webhook_id\":\"whk_1\"}", "/callback/webhook_id",
         "GET /v1/webhooks lists them"},
        {",\"callback\":{\"webhook_id\":\"job_01ARZ3NDEKTSV4RRFFQ69G5FAV\"}",
         "/callback/webhook_id", "must be the id of a webhook"},
        {",\"callback\":{\"webhook_id\":7}", "/callback/webhook_id", "id of a webhook"},
        {",\"retry\":3", "/retry", "must be an object such as {\"max_attempts\":3"},
        {",\"retry\":{\"max_attempt\":3}", "/retry/max_attempt",
         "did you mean \"max_attempts\"?"},
        {",\"retry\":{\"max_attempts\":0}", "/retry/max_attempts", "must be 1 to 20"},
        {",\"retry\":{\"max_attempts\":21}", "/retry/max_attempts", "must be 1 to 20"},
        {",\"retry\":{\"max_attempts\":\"3\"}", "/retry/max_attempts", "whole number"},
        {",\"retry\":{\"backoff\":2000}", "/retry/backoff", "must be an object such as"},
        {",\"retry\":{\"backoff\":{\"jitter\":\"full\"}}", "/retry/backoff/jitter",
         "known are base_ms, max_ms, factor"},
        {",\"retry\":{\"backoff\":{\"base_ms\":0}}", "/retry/backoff/base_ms",
         "must be 1 to 3600000"},
        {",\"retry\":{\"backoff\":{\"base_ms\":3600001}}", "/retry/backoff/base_ms",
         "must be 1 to 3600000"},
        {",\"retry\":{\"backoff\":{\"max_ms\":86400001}}", "/retry/backoff/max_ms",
         "must be 1 to 86400000"},
        {",\"retry\":{\"backoff\":{\"factor\":1.5}}", "/retry/backoff/factor", "whole number"},
        {",\"retry\":{\"backoff\":{\"factor\":11}}", "/retry/backoff/factor",
         "must be 1 to 10"},
        {",\"retry\":{\"backoff\":{\"base_ms\":5001,\"max_ms\":5000}}",
         "/retry/backoff/base_ms", "not be more than max_ms, 5000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1 << 20);
        struct order o;
        struct order_refusal r;
        if (reads(rows[i].options, &o, &r, a))
            fail_msg("%s: taken", rows[i].options);
        bool form = r.error_count && (strcmp(r.errors[0].code, "unknown_field") == 0 ||
                                      strcmp(r.errors[0].code, "duplicate_field") == 0);
        if (r.status != (form ? 400 : 422) || r.error_count != 1 ||
            !span_is(r.errors[0].pointer, rows[i].pointer) ||
            span_find(r.errors[0].detail, span_of(rows[i].words)) == r.errors[0].detail.n)
            fail_msg("%s: %d, %zu errors, %.*s: %.*s", rows[i].options, r.status, r.error_count,
                     SP(r.errors[0].pointer), SP(r.errors[0].detail));
        arena_free(&a);
    }
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal r;
    assert_false(reads(",\"tennant\":\"a\"", &o, &r, a));
    assert_int_equal(r.status, 400);
    assert_true(span_is(r.errors[0].detail, "did you mean \"tenant\"?"));
    arena_free(&a);
}

/* Whose work it is and how it is delivered makes no other work of it; what the records are does. */
static void equal_work_has_one_name(void **state)
{
    (void)state;
    static const char *const same[] = {
        ",\"limit\":5",
        ",\"limit\":5,\"tenant\":\"a\",\"class\":\"bulk\"",
        ",\"priority\":9,\"limit\":5,\"fields\":[\"text\"]",
        ",\"limit\":5,\"unique\":{\"key\":\"k\"},\"max_age_s\":5",
        ",\"limit\":5,\"timeouts\":{\"navigation_s\":5,\"attempt_s\":9}",
        ",\"limit\":5,\"resources\":{\"memory_mib\":512,\"cpu_s\":9}"};
    static const char *const others[] = {
        "",
        ",\"limit\":6",
        ",\"limit\":5,\"exclude\":[\"replies\"]",
        ",\"limit\":5,\"include\":[\"replies\"]",
        ",\"limit\":5,\"since\":\"2026-02-06\"",
        ",\"limit\":5,\"strategy\":\"dom\"",
        ",\"limit\":5,\"media\":\"download\"",
        ",\"limit\":5,\"evidence\":\"always\"",
        ",\"limit\":5,\"max_pages\":5",
        ",\"limit\":5,\"max_bytes\":65536",
        ",\"limit\":5,\"resources\":{\"max_requests\":5}",
        ",\"limit\":5,\"resources\":{\"max_requests\":6}",
        ",\"limit\":5,\"quality\":{\"min_posts\":1}",
        ",\"limit\":5,\"quality\":{\"on_empty\":\"fail\"}",
        ",\"limit\":5,\"quality\":{\"required_fields\":[\"id\"]}"};
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal r;
    int64_t work = 0, seen[sizeof others / sizeof *others];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_true(reads(same[i], &o, &r, a));
        assert_true(o.work != 0 && (i == 0 || o.work == work));
        work = o.work;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_true(reads(others[i], &o, &r, a));
        if (!o.work || o.work == work)
            fail_msg("%s is taken for the same work", others[i]);
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != o.work);
        seen[i] = o.work;
    }
    assert_true(reads(",\"since_last\":true", &o, &r, a));
    assert_true(o.work == 0);
    arena_free(&a);
}

#define WHK "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV"

/* It says nothing about the records; its options hold it in one form, which reads as it was asked. */
static void an_order_says_how_often_and_when_it_is_tried_again_and_who_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        struct followup wanted;
        const char *spec;
    } rows[] = {
        {"", {0}, "{}"},
        {",\"retry\":null", {0}, "{}"},
        {",\"retry\":{}", {0}, "{}"},
        {",\"retry\":{\"backoff\":{}}", {0}, "{}"},
        {",\"retry\":{\"max_attempts\":1}",
         {.max_attempts = 1},
         "{\"retry\":{\"max_attempts\":1}}"},
        {",\"retry\":{\"backoff\":{\"base_ms\":250}}",
         {.retry = {.base_ms = 250}},
         "{\"retry\":{\"backoff\":{\"base_ms\":250}}}"},
        {",\"retry\":{\"backoff\":{\"factor\":10,\"max_ms\":86400000,\"base_ms\":3600000},\"max_attempts\":20},"
         "\"limit\":5,\"labels\":{\"a\":\"b\"}",
         {.max_attempts = 20, .retry = {3600000, 86400000, 10}},
         "{\"limit\":5,\"retry\":{\"max_attempts\":20,\"backoff\":{\"base_ms\":3600000,\"max_ms\":86400000,"
         "\"factor\":10}},\"labels\":{\"a\":\"b\"}}"},
        {",\"callback\":null", {0}, "{}"},
        {",\"limit\":5,\"callback\":{\"webhook_id\":\"" WHK
         "\"},\"retry\":{\"max_attempts\":2}",
         {.max_attempts = 2, .webhook = SPAN(WHK)},
         "{\"limit\":5,\"retry\":{\"max_attempts\":2},\"callback\":{\"webhook_id\":\"" WHK
         "\"}}"},
    };
    struct arena *a = arena_new(1 << 20);
    struct order o, again, plain;
    struct order_refusal r;
    assert_true(reads(",\"limit\":5", &plain, &r, a));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(reads(rows[i].options, &o, &r, a));
        const struct followup *got = &o.followup, *wanted = &rows[i].wanted;
        if (got->max_attempts != wanted->max_attempts ||
            memcmp(&got->retry, &wanted->retry, sizeof got->retry) ||
            !span_eq(got->webhook, wanted->webhook) || !span_is(o.spec, rows[i].spec))
            fail_msg("%s: %.*s", rows[i].options, SP(o.spec));
        char *members = arena_fmt(a, ",%.*s", SP(span_cut(o.spec, 1, o.spec.n - 2)));
        assert_true(reads(o.spec.n > 2 ? members : "", &again, &r, a));
        assert_true(span_eq(again.spec, o.spec));
        assert_int_equal(order_accept(&o, true, (wall){0}).max_fail,
                         rows[i].wanted.max_attempts);
    }
    assert_true(o.work == plain.work && span_eq(o.variant, plain.variant));
    arena_free(&a);
}

static void a_page_is_needed_as_the_pack_and_the_strategy_say(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal r;
    assert_true(reads(",\"strategy\":\"fetch\"", &o, &r, a));
    assert_int_equal(o.needs, NEEDS_NOTHING);
    assert_true(reads(",\"strategy\":\"dom\"", &o, &r, a));
    assert_int_equal(o.needs, NEEDS_PAGE);
    arena_free(&a);
}

/* The pack may be replaced before the store has the order. */
static void an_order_keeps_nothing_of_the_pack(void **state)
{
    (void)state;
    struct json_parser *parser = json_parser_new(1 << 20);
    struct arena *a = arena_new(1 << 20);
    struct order o;
    struct order_refusal refusal;
    assert_true(order_read(&o, &refusal, parser, &pack, 1,
                           SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\"}"), a));
    close_pack(NULL);
    assert_true(span_is(o.site, "x") && span_is(o.kind, "posts") &&
                span_is(o.lane, "default/x/normal"));
    assert_int_equal(open_pack(NULL), 0);
    arena_free(&a);
    json_parser_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_belong_to_a_list),
        cmocka_unit_test(labels_are_kept_and_make_no_other_work),
        cmocka_unit_test(what_cannot_be_brought_in_is_refused),
        cmocka_unit_test(an_order_says_how_it_stands_in_the_queue),
        cmocka_unit_test(what_it_may_take_is_kept_with_the_options),
        cmocka_unit_test(mistakes_in_terms_are_named),
        cmocka_unit_test(equal_work_has_one_name),
        cmocka_unit_test(an_order_says_how_often_and_when_it_is_tried_again_and_who_is_told),
        cmocka_unit_test(a_page_is_needed_as_the_pack_and_the_strategy_say),
        cmocka_unit_test(an_order_keeps_nothing_of_the_pack),
    };
    return cmocka_run_group_tests(tests, open_pack, close_pack);
}

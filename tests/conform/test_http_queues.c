/* Queues, limits, breakers and modes over HTTP: every verb and every refusal, against a real API over a
 * real store. */
#include "../lib/asked.h"

static void submit(const char *target, const char *members)
{
    char body[512];
    snprintf(body, sizeof body, "{\"kind\":\"posts\",\"target\":\"%s\"%s}", target, members);
    EXPECT("POST", "/v1/jobs", body, 202, NULL);
}

/* ---- queues ---- */

static void a_queue_comes_with_its_first_job(void **state)
{
    (void)state;
    EXPECT("GET", "/v1/queues", "", 200, "object", "list", "data", "[]", "page.has_more",
           "false");
    EXPECT("GET", "/v1/queues/default/x/normal", "", 404, "code", "not_found");
    submit("@one", "");
    submit("@two", ",\"tenant\":\"press\",\"class\":\"bulk\",\"not_before\":\"2099-01-01\"");
    EXPECT("GET", "/v1/queues/default/x/normal", "", 200, "object", "queue", "name",
           "default/x/normal", "tenant", "default", "site", "x", "class", "normal", "share",
           "null", "pool", "null", "trouble", "null", "counts.ready", "1", "counts.active", "0",
           "waiting_for.reason", "worker", "paused", "false", "stopped", "null",
           "breaker.state", "closed", "settings.max_running", "64", "own.max_running", "null",
           "settings.weight", "300", "links.self", "/v1/queues/default/x/normal");
    EXPECT("GET", "/v1/queues/press/x/bulk", "", 200, "counts.scheduled", "1", "counts.ready",
           "0", "waiting_for", "null", "oldest_ready_at", "null", "settings.weight", "100");
    EXPECT("GET", "/v1/queues/press/x/b%75lk", "", 200, "name", "press/x/bulk");
    EXPECT("GET", "/v1/queues/press/x/blk", "", 404, "code", "not_found");
    EXPECT("GET", "/v1/queues/press/x", "", 404, "code", "not_found");
    EXPECT("GET", "/v1/queues/a/press/x/bulk", "", 404, "code", "not_found");
    EXPECT("DELETE", "/v1/queues/press/x/bulk", "", 405, "code", "method_not_allowed");
}

static void queues_are_listed_by_tenant_site_and_trouble(void **state)
{
    (void)state;
    struct answer_of a = ask("GET", "/v1/queues?tenant=press", "");
    assert_true(contains(&a.body, "\"press/x/bulk\"") &&
                !contains(&a.body, "\"default/x/normal\""));
    buf_free(&a.body);
    EXPECT("GET", "/v1/queues?site=mastodon", "", 200, "data", "[]");
    EXPECT("GET", "/v1/queues?troubled=true", "", 200, "data", "[]");
    EXPECT("GET", "/v1/queues?limit=1", "", 200, "page.has_more", "true", "page.next_after",
           "default/x/normal");
    a = ask("GET", "/v1/queues?limit=1&after=default/x/normal", "");
    assert_true(contains(&a.body, "\"press/x/bulk\"") &&
                contains(&a.body, "\"has_more\":false"));
    buf_free(&a.body);
    EXPECT("GET", "/v1/queues?limit=0", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/queues?tenant=a/b", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/queues?troubled=maybe", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/queues?tenannt=a", "", 400, "code", "unknown_parameter");
}

/* More lanes than the store looks at in one go, and trouble behind them: the list has it all the same. */
static void what_is_held_up_is_found_behind_thousands_that_are_not(void **state)
{
    (void)state;
    enum { LANES = LANES_LOOKED + 200, PART = 500 };
    struct answer_of a;
    struct buf body = BUF(1 << 20);
    char key[64];
    for (int at = 0; at < LANES; at += PART) {
        buf_clear(&body);
        buf_add_text(&body, "{\"jobs\":[");
        for (int i = at; i < at + PART; i++)
            buf_fmt(
                &body,
                "%s{\"kind\":\"posts\",\"target\":\"@a\",\"tenant\":\"m%05d\",\"not_before\":\"2099-01-01\"}",
                i > at ? "," : "", i);
        buf_add_text(&body, "]}");
        buf_add_char(&body, '\0');
        snprintf(key, sizeof key, "Idempotency-Key: lanes-%d", at);
        if_match = key; /* any header */
        a = ask("POST", "/v1/batches", body.p);
        if_match = "If-Match: *";
        if (a.status != 202)
            fail_msg("%d: %.*s", a.status, SP(span_cut(buf_span(&a.body), 0, 300)));
        buf_free(&a.body);
    }
    buf_free(&body);
    EXPECT("POST", "/v1/queues/zz/x/normal/pause", "{\"by\":\"me\",\"reason\":\"held\"}", 200,
           "paused", "true");
    a = ask("GET", "/v1/queues?troubled=true", "");
    assert_true(contains(&a.body, "\"zz/x/normal\"") &&
                contains(&a.body, "\"has_more\":false"));
    assert_false(contains(&a.body, "m00000"));
    buf_free(&a.body);
    a = ask("GET", "/v1/queues?tenant=zz&limit=1", "");
    assert_true(contains(&a.body, "\"zz/x/normal\"") &&
                contains(&a.body, "\"has_more\":false"));
    buf_free(&a.body);
    EXPECT("POST", "/v1/queues/zz/x/normal/resume", "", 200, "paused", "false");
}

static struct answer_of seen(const char *path, char tag[200])
{
    struct client_request q = {
        .method = "GET", .path = path, .timeout_ms = ANSWER_MS, .body_max = ANSWER_BYTES};
    struct client_answer a;
    struct fault f = {0};
    if (client_send(client, &q, &a, &f))
        fail_msg("GET %s: %s", path, f.words);
    snprintf(tag, 200, "If-Match: %.160s", a.etag);
    return (struct answer_of){a.status, a.body, 0};
}

static void find_limits(const struct buf *body, int *tenants, bool *hook)
{
    struct span rest = buf_span(body);
    size_t at;
    while ((at = span_find(rest, SPAN("{\"name\":\"m0"))) < rest.n) {
        ++*tenants;
        rest = span_cut(rest, at + 1, rest.n);
    }
    *hook = *hook || contains(body, "{\"name\":\"whk_");
}

/* Behind thousands of tenants that are in use: sites and webhooks are there as well, and can be set. */
static void limits_go_on_behind_a_page(void **state)
{
    (void)state;
    enum { TENANTS = LANES_LOOKED + 200 };
    char next[512] = "", path[640], tag[200], id[512];
    int tenants = 0, pages = 0;
    bool hook = false;
    struct answer_of a =
        ask("POST", "/v1/webhooks",
            "{\"url\":\"https://example.org/h\",\"types\":[\"job.finished\"]}");
    assert_int_equal(a.status, 201);
    member(&a.body, "id", id);
    buf_free(&a.body);
    do {
        snprintf(path, sizeof path, "/v1/limits%s%s", *next ? "?after=" : "", next);
        a = ask("GET", path, "");
        assert_int_equal(a.status, 200);
        find_limits(&a.body, &tenants, &hook);
        member(&a.body, "page.has_more", next);
        bool more = strcmp(next, "true") == 0;
        member(&a.body, "page.next_after", next);
        assert_int_equal(more, strncmp(next, "tenants/", 8) == 0);
        *next = more ? *next : '\0';
        buf_free(&a.body);
        pages++;
    } while (*next);
    assert_true(tenants > TENANTS - 500 && pages == tenants / LIMITS_PAGE + 1 && hook);
    /* What was seen of a page is held against that page, and says nothing of others. */
    a = seen("/v1/limits?limit=3&after=tenants/m01000", tag);
    assert_true(contains(&a.body, "\"name\":\"m01001\"") && !contains(&a.body, "m01004"));
    buf_free(&a.body);
    if_match = tag;
    EXPECT("PATCH", "/v1/limits/tenants/m02000", "{\"max_running\":3}", 412, "code",
           "precondition_failed");
    EXPECT("PATCH", "/v1/limits/tenants/m01000", "{\"max_running\":3}", 412, "code",
           "precondition_failed");
    a = ask("PATCH", "/v1/limits/tenants/m01003", "{\"max_running\":3}");
    assert_int_equal(a.status, 200); /* and the answer has it */
    assert_true(contains(&a.body, "{\"name\":\"m01003\",\"max_running\":3,"));
    buf_free(&a.body);
    EXPECT("PATCH", "/v1/limits/tenants/m01003", "{\"max_running\":0}", 412, "code",
           "precondition_failed");
    if_match = "If-Match: \"d00112233445566\"";
    EXPECT("PATCH", "/v1/limits/tenants/m01003", "{\"max_running\":0}", 412, "code",
           "precondition_failed");
    if_match = "If-Match: *";
    EXPECT("PATCH", "/v1/limits/tenants/m01003", "{\"max_running\":0}", 200, NULL);
    /* A webhook comes last of all. */
    snprintf(path, sizeof path, "/v1/limits/webhooks/%s", id);
    a = ask("PATCH", path, "{\"max_running\":2}");
    char row[640];
    snprintf(row, sizeof row, "{\"name\":\"%s\",\"max_running\":2,", id);
    assert_true(a.status == 200 && contains(&a.body, row));
    buf_free(&a.body);
    snprintf(path, sizeof path, "/v1/limits/effective?webhook=%s", id);
    EXPECT("GET", path, "", 200, "max_running.value", "2", "max_running.wins", "webhook");
    snprintf(path, sizeof path, "/v1/webhooks/%s", id);
    EXPECT("DELETE", path, "", 204, NULL);
    EXPECT("GET", "/v1/limits?after=nasa", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/limits?after=all/", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/limits?limit=1001", "", 400, "code", "bad_parameter");
}

static void a_queue_has_a_depth_and_says_what_went_through_it(void **state)
{
    (void)state;
    const char *path = "/v1/queues/deep/x/normal";
    EXPECT("PATCH", path, "{\"max_depth\":2}", 200, "settings.max_depth", "2", "own.max_depth",
           "2", "settings.overflow", "refuse", "own.overflow", "null");
    submit("@one", ",\"tenant\":\"deep\",\"priority\":5");
    submit("@two", ",\"tenant\":\"deep\",\"priority\":3");
    struct answer_of a = ask("POST", "/v1/jobs",
                             "{\"kind\":\"posts\",\"target\":\"@three\",\"tenant\":\"deep\"}");
    assert_int_equal(a.status, 503);
    assert_true(a.retry_after_s > 0 && contains(&a.body, "queue_full") &&
                contains(&a.body, "deep/x/normal") && contains(&a.body, "max_depth"));
    buf_free(&a.body);
    EXPECT("PATCH", path, "{\"overflow\":\"drop_last\"}", 200, "settings.overflow", "drop_last",
           "own.max_depth", "2");
    submit("@three", ",\"tenant\":\"deep\",\"priority\":9");
    EXPECT("GET", "/v1/jobs?tenant=deep&state=cancelled", "", 200, "page.has_more", "false");
    a = ask("GET", "/v1/jobs?tenant=deep&state=cancelled", "");
    assert_true(contains(&a.body, "\"target\":\"two\""));
    buf_free(&a.body);
    EXPECT("GET", "/v1/queues/deep/x/normal/metrics", "", 200, "object", "queue_metrics",
           "queue", "deep/x/normal", "window_s", "600", "waiting", "2", "ready", "2", "active",
           "0", "max_depth", "2", "accepted", "3", "started", "0", "ended", "1",
           "time_to_start_ms", "null");
    EXPECT("GET", "/v1/queues/deep/x/normal/metrics?window=150s", "", 200, "window_s", "120",
           "accepted", "3");
    EXPECT("GET", "/v1/queues/deep/x/normal/metrics?window=1h", "", 400, "code",
           "bad_parameter");
    EXPECT("GET", "/v1/queues/deep/x/normal/metrics?window=soon", "", 400, "code",
           "bad_parameter");
    EXPECT("GET", "/v1/queues/deep/x/bulk/metrics", "", 404, "code", "not_found");
    EXPECT("PATCH", path, "{\"max_depth\":null,\"overflow\":null}", 200, "settings.max_depth",
           "0", "own.max_depth", "null", "settings.overflow", "refuse");
    refused("PATCH", path, "{\"overflow\":\"drop\"}", 422, "/overflow", "drop_last");
    refused("PATCH", path, "{\"max_depth\":-1}", 422, "/max_depth", "0 to");
}

static void a_job_without_a_priority_gets_its_queues(void **state)
{
    (void)state;
    const char *path = "/v1/queues/urgent/x/normal", *jobs = "/v1/jobs",
               *order = "{\"kind\":\"posts\",\"target\":\"@one\",\"tenant\":\"urgent\"}",
               *given = "{\"kind\":\"posts\",\"target\":\"@two\",\"tenant\":\"urgent\","
                        "\"priority\":5}";
    EXPECT("POST", "/v1/jobs?dry_run=true", order, 200, "job.priority", "5");
    EXPECT("PATCH", path, "{\"default_priority\":8}", 200, "settings.default_priority", "8",
           "own.default_priority", "8");
    EXPECT("GET", path, "", 200, "settings.default_priority", "8");
    EXPECT("POST", "/v1/jobs?dry_run=true", order, 200, "job.priority", "8");
    EXPECT("POST", "/v1/jobs?dry_run=true", given, 200, "job.priority", "5");
    EXPECT("POST", "/v1/jobs?dry_run=true",
           "{\"kind\":\"posts\",\"target\":\"@one\",\"tenant\":\"urgent\",\"priority\":null}",
           200, "job.priority", "8");
    EXPECT("POST", jobs, order, 202, "priority", "8");
    EXPECT("POST", jobs, given, 202, "priority", "5");
    char list[512];
    snprintf(list, sizeof list, "[%s,%s,%s]", order, given, order);
    struct answer_of a = ask("POST", "/v1/jobs/bulk?dry_run=true", list);
    assert_int_equal(a.status, 200);
    assert_true(
        contains(&a.body,
                 "\"index\":0,\"status\":202,\"lane\":\"urgent/x/normal\",\"priority\":8}") &&
        contains(&a.body,
                 "\"index\":1,\"status\":202,\"lane\":\"urgent/x/normal\",\"priority\":5}") &&
        contains(&a.body,
                 "\"index\":2,\"status\":202,\"lane\":\"urgent/x/normal\",\"priority\":8}"));
    buf_free(&a.body);
    EXPECT("GET", "/v1/limits/effective?tenant=urgent", "", 200, "default_priority.value", "8",
           "default_priority.wins", "queue");
    EXPECT("GET", "/v1/limits/effective?tenant=urgent&class=bulk", "", 200,
           "default_priority.value", "5", "default_priority.wins", "null");
    refused("PATCH", path, "{\"default_priority\":10}", 422, "/default_priority", "0 to 9");
    refused("PATCH", path, "{\"default_priority\":\"high\"}", 422, "/default_priority",
            "whole number");
    EXPECT("PUT", path, "{\"weight\":3}", 200, "own.default_priority", "null",
           "settings.default_priority", "5");
    EXPECT("PUT", path, "{}", 200, NULL);
}

static void settings_are_changed_in_part_or_wholly(void **state)
{
    (void)state;
    const char *path = "/v1/queues/press/x/bulk";
    EXPECT("PATCH", path, "{\"max_running\":3,\"rate\":{\"every_ms\":500}}", 200,
           "settings.max_running", "3", "own.max_running", "3", "settings.rate.every_ms", "500",
           "own.rate.burst", "null", "own.weight", "null");
    EXPECT("PATCH", path, "{\"weight\":7}", 200, "own.max_running", "3", "own.weight", "7");
    EXPECT("PATCH", path, "{\"max_running\":null,\"rate\":null}", 200, "own.max_running",
           "null", "own.weight", "7", "own.rate.every_ms", "null");
    EXPECT("PUT", path, "{\"rate\":{\"burst\":4}}", 200, "own.weight", "null", "own.rate.burst",
           "4");
    EXPECT("PUT", path, "{}", 200, "own.rate.burst", "null");
    refused("PATCH", path, "{\"max_running\":0}", 422, "/max_running", "1 to 10000");
    refused("PATCH", path, "{\"weight\":\"7\"}", 422, "/weight", "whole number");
    refused("PATCH", path, "{\"rate\":7}", 422, "/rate", "must be an object");
    refused("PATCH", path, "{\"rate\":{\"every_ms\":86400001}}", 422, "/rate/every_ms",
            "0 to 86400000");
    refused("PATCH", path, "{\"rate\":{\"evry_ms\":1}}", 400, "/rate/evry_ms", "did you mean");
    refused("PATCH", path, "{\"max_runing\":1}", 400, "/max_runing", "did you mean");
    refused("PATCH", path, "", 400, "", "malformed_json");
    /* It need not be there, but its site must be known. */
    EXPECT("PATCH", "/v1/queues/new/x/normal", "{\"weight\":5}", 200, "counts.ready", "0",
           "own.weight", "5");
    EXPECT("PATCH", "/v1/queues/new/nosuch/normal", "{\"weight\":5}", 404, "code", "not_found");
    EXPECT("PATCH", "/v1/queues/new/x/quarantine", "{\"weight\":5}", 404, "code", "not_found");
    EXPECT("GET", "/v1/queues/new/nosuch/normal", "", 404, "code", "not_found");
}

static void a_stop_says_who_and_why_until_it_is_over(void **state)
{
    (void)state;
    refused("POST", "/v1/queues/default/x/normal/pause", "", 422, "/reason", "say why");
    refused("POST", "/v1/queues/default/x/normal/pause", "{\"reason\":\"\"}", 422, "/reason",
            "1 to 200 bytes");
    refused("POST", "/v1/queues/default/x/normal/pause", "{\"raeson\":\"a\"}", 400, "/raeson",
            "did you mean");
    refused("POST", "/v1/queues/default/x/normal/close", "{}", 422, "/reason", "say why");
    EXPECT("POST", "/v1/queues/default/x/normal/pause",
           "{\"by\":\"anna\",\"reason\":\"<moving>\"}", 200, "paused", "true", "stopped.by",
           "anna", "stopped.reason", "<moving>", "waiting_for.reason", "pause");
    EXPECT("POST", "/v1/queues/default/x/normal/pause",
           "{\"by\":\"bert\",\"reason\":\"other\"}", 200, "stopped.by", "anna");
    /* A change of settings does not paint over it. */
    EXPECT("PATCH", "/v1/queues/default/x/normal", "{\"weight\":5}", 200, "stopped.by", "anna",
           "own.weight", "5");
    EXPECT("PATCH", "/v1/queues/default/x/normal", "{\"weight\":null}", 200, NULL);
    struct answer_of a = ask("GET", "/v1/queues?troubled=true", "");
    assert_true(contains(&a.body, "\"trouble\":\"paused by anna since 20"));
    assert_true(contains(&a.body, ": <moving>\"") && !contains(&a.body, "press/x/bulk"));
    buf_free(&a.body);
    a = ask("GET", "/", "");
    assert_true(contains(&a.body, "&lt;moving&gt;") && !contains(&a.body, "<moving>"));
    assert_true(contains(&a.body, "queues: 1 paused"));
    buf_free(&a.body);
    EXPECT("GET", "/readyz?verbose", "", 200, "ready", "true", "mode", "normal",
           "queues.paused", "1", "jobs.ready", "1", "jobs.runnable", "0");
    EXPECT("GET", "/v1/jobs?limit=1", "", 200, NULL);
    a = ask("GET", "/v1/jobs?state=ready", "");
    assert_true(contains(&a.body, "\"waiting_for\":{\"reason\":\"pause\",\"until\":null}"));
    buf_free(&a.body);
    EXPECT("POST", "/v1/queues/default/x/normal/resume", "", 200, "paused", "false", "stopped",
           "null");
    EXPECT("POST", "/v1/queues/default/x/normal/resume", "{\"by\":\"anna\"}", 200, "paused",
           "false");
}

static void a_closed_queue_takes_no_jobs(void **state)
{
    (void)state;
    EXPECT("POST", "/v1/queues/press/x/bulk/close", "{\"reason\":\"full\"}", 200, "closed",
           "true", "stopped.by", "api");
    struct answer_of a =
        ask("POST", "/v1/jobs",
            "{\"kind\":\"posts\",\"target\":\"@a\",\"tenant\":\"press\",\"class\":\"bulk\"}");
    assert_int_equal(a.status, 503);
    assert_true(contains(&a.body, "\"code\":\"queue_closed\"") &&
                contains(&a.body, "press/x/bulk"));
    assert_int_equal(a.retry_after_s, 60);
    buf_free(&a.body);
    submit("@b", ",\"tenant\":\"press\"");
    EXPECT("POST", "/v1/queues/press/x/bulk/open", "", 200, "closed", "false", "stopped",
           "null");
    submit("@c", ",\"tenant\":\"press\",\"class\":\"bulk\"");
}

static void a_purge_cancels_what_waits_and_can_be_tried(void **state)
{
    (void)state;
    const char *dry = "/v1/queues/many/x/normal/purge?dry_run=true",
               *purge = "/v1/queues/many/x/normal/purge";
    for (int i = 0; i < 450; i++)
        submit("@many", ",\"tenant\":\"many\"");
    EXPECT("POST", dry, "{\"reason\":\"drill\"}", 200, "object", "dry_run", "action", "purge",
           "count", "450", "count_kind", "exact");
    EXPECT("POST", "/v1/queues/many/x/normal/purge?dry_run=1", "{\"reason\":\"drill\"}", 400,
           "code", "bad_parameter");
    refused("POST", purge, "", 422, "/reason", "say why");
    EXPECT("GET", "/v1/queues/many/x/normal", "", 200, "counts.ready", "450");
    EXPECT("POST", purge, "{\"by\":\"anna\",\"reason\":\"drill\"}", 200, "object", "purge",
           "queue", "many/x/normal", "cancelled", "450", "more", "false");
    EXPECT("GET", "/v1/queues/many/x/normal", "", 200, "counts.ready", "0");
    EXPECT("POST", "/v1/queues/nobody/x/normal/purge", "{\"reason\":\"drill\"}", 404, "code",
           "not_found");
    EXPECT("POST", "/v1/queues/nobody/x/normal/purge?dry_run=true", "{\"reason\":\"drill\"}",
           404, "code", "not_found");
    struct answer_of a = ask("GET", "/v1/jobs?state=cancelled&limit=1", "");
    assert_true(contains(&a.body, "its lane was purged by anna: drill"));
    buf_free(&a.body);
}

/* ---- breakers ---- */

/* Its clock is that of a server, and may be late: what it holds up is held up all the same. */
static void what_holds_a_queue_up_is_told_by_the_clock_of_the_store(void **state)
{
    (void)state;
    char text[512];
    server.behind_ms = 3600000;
    EXPECT("POST", "/v1/breakers/late/x/normal/open", "{\"reason\":\"drill\",\"ttl_s\":60}",
           200, "state", "open");
    struct answer_of a = ask("GET", "/v1/queues/late/x/normal", "");
    member(&a.body, "breaker.until", text);
    buf_free(&a.body);
    wall until;
    assert_true(when_parse(span_of(text), &until));
    assert_in_range(until.ms, clock_wall().ms - 3600000, clock_wall().ms - 3540000);
    EXPECT("POST", "/v1/breakers/late/x/normal/reset", "{\"reason\":\"drill\"}", 200, NULL);
    server.behind_ms = 0;
}

static void breakers_are_held_by_hand_for_a_time(void **state)
{
    (void)state;
    const char *lane = "/v1/breakers/default/x/normal";
    char path[128], text[512];
    EXPECT("GET", "/v1/breakers", "", 200, "data", "[]");
    EXPECT("GET", lane, "", 200, "object", "breaker", "queue", "default/x/normal", "state",
           "closed", "by_hand_until", "null");
    snprintf(path, sizeof path, "%s/open", lane);
    refused("POST", path, "", 422, "/reason", "say why");
    refused("POST", path, "{\"reason\":\"a\",\"ttl_s\":86401}", 422, "/ttl_s", "1 to 86400");
    struct answer_of a = ask("POST", path, "{\"reason\":\"drill\",\"ttl_s\":3600}");
    assert_int_equal(a.status, 200);
    member(&a.body, "by_hand_until", text);
    wall until;
    assert_true(when_parse(span_of(text), &until));
    assert_in_range(until.ms, clock_wall().ms + 3500000, clock_wall().ms + 3600000);
    member(&a.body, "state", text);
    assert_string_equal(text, "open");
    buf_free(&a.body);
    a = ask("GET", "/v1/breakers", "");
    assert_true(contains(&a.body, "\"queue\":\"default/x/normal\"") &&
                !contains(&a.body, "press/x"));
    buf_free(&a.body);
    EXPECT("GET", "/v1/queues/default/x/normal", "", 200, "waiting_for.reason", "breaker",
           "breaker.state", "open");
    snprintf(path, sizeof path, "%s/close", lane);
    refused("POST", path, "{}", 422, "/reason", "say why");
    EXPECT("POST", path, "{\"reason\":\"drill\"}", 200, "state", "closed");
    snprintf(path, sizeof path, "%s/reset", lane);
    refused("POST", path, "{\"ttl_s\":5}", 400, "/ttl_s", "known are by, reason");
    EXPECT("POST", path, "", 200, "state", "closed", "by_hand_until", "null", "failures", "0");
    EXPECT("GET", "/v1/breakers", "", 200, "data", "[]");
    EXPECT("POST", "/v1/breakers/default/nosuch/normal/open", "{\"reason\":\"a\"}", 404, "code",
           "not_found");
    refused("POST", "/v1/queues/default/x/normal/unblock", "", 422, "/reason", "say why");
    EXPECT("POST", "/v1/queues/default/x/normal/unblock", "{\"reason\":\"a mistaken hint\"}",
           200, "blocked_until", "null");
}

/* ---- limits ---- */

/* What is refused because it is too large or too many, with its use. */
static void shows_every_limit(void)
{
    static const char *const wanted[] = {
        "{\"name\":\"jobs_waiting\",\"unit\":\"jobs\",\"max\":100000,\"used\":",
        "\"setting\":\"store.ready_max\",\"status\":503}",
        "{\"name\":\"request_head\",\"unit\":\"bytes\",\"max\":32768,\"used\":null,\"setting\":null,\"status\":431}",
        "{\"name\":\"request_body\",\"unit\":\"bytes\",\"max\":65536,\"used\":null,\"setting\":\"api.body_max\",\"status\":413}",
        "{\"name\":\"job_text\",\"unit\":\"bytes\",\"max\":65536,\"used\":null,\"setting\":null,\"status\":422}",
    };
    struct answer_of a = ask("GET", "/v1/limits", "");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (span_find(buf_span(&a.body), span_of(wanted[i])) >= a.body.n)
            fail_msg("no %s in %.*s", wanted[i], SP(buf_span(&a.body)));
    buf_free(&a.body);
}

static void limits_are_set_seen_and_explained(void **state)
{
    (void)state;
    EXPECT("GET", "/v1/limits", "", 200, "object", "limits", "all.max_running", "0",
           "all.running", "0");
    shows_every_limit();
    EXPECT("GET", "/v1/limits/effective?tenant=press&class=bulk", "", 200, "object",
           "effective_limits", "queue", "press/x/bulk", "exists", "true", "max_running.value",
           "2", "max_running.wins", "workers", "rate.wins", "null", "share.tenant_weight",
           "100", "share.queue_weight", "100");
    EXPECT("GET", "/v1/limits/effective?domain=slow.example.org", "", 200, "object",
           "effective_limits", "rule", "*.example.org", "pages.every_ms", "9000", "pages.wins",
           "fetch.domains", "media.wins", "fetch.domains", "connections", "4");
    EXPECT("GET", "/v1/limits/effective?domain=example.com", "", 200, "rule", "null",
           "pages.every_ms", "2000", "pages.wins", "fetch.interval", "media.every_ms", "500",
           "media.wins", "media.interval");
    EXPECT("GET", "/v1/limits/effective?domain=a%20b", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/limits/effective?domain=a%00b", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/limits/effective?domain=", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/limits/effective?domain=example.com&site=x", "", 400, "code",
           "bad_parameter");
    EXPECT("PUT", "/v1/limits/tenants/press", "{\"max_running\":1,\"weight\":50}", 200,
           "object", "limits");
    EXPECT("GET", "/v1/limits/effective?tenant=press&class=bulk", "", 200, "max_running.value",
           "1", "max_running.wins", "tenant", "share.tenant_weight", "50", "max_running.why",
           "at most 1 jobs at once: the limit of tenant press is the narrowest");
    EXPECT("PUT", "/v1/limits/sites/x",
           "{\"max_running\":1,\"rate\":{\"every_ms\":2000,\"burst\":3}}", 200, NULL);
    EXPECT("GET", "/v1/limits/effective?site=x", "", 200, "max_running.wins", "site",
           "rate.wins", "site", "rate.every_ms", "2000", "rate.burst", "3");
    EXPECT("PATCH", "/v1/limits/sites/x", "{\"max_running\":5}", 200, NULL);
    EXPECT("GET", "/v1/limits/effective?site=x", "", 200, "max_running.wins", "workers",
           "rate.every_ms", "2000");
    EXPECT("PUT", "/v1/limits/sites/x", "{}", 200, NULL);
    EXPECT("GET", "/v1/limits/effective?site=x", "", 200, "rate.every_ms", "0");
    EXPECT("PUT", "/v1/limits/all", "{\"max_running\":1}", 200, "all.max_running", "1");
    EXPECT("GET", "/v1/limits/effective?class=interactive&tenant=nobody", "", 200, "exists",
           "false", "max_running.wins", "all", "share.queue_weight", "800",
           "share.tenant_weight", "100");
    EXPECT("PUT", "/v1/limits/all", "{}", 200, "all.max_running", "0");
    EXPECT("PUT", "/v1/limits/tenants/press", "{}", 200, NULL);
    refused("PUT", "/v1/limits/all", "{\"weight\":5}", 400, "/weight", "known are max_running");
    refused("PUT", "/v1/limits/tenants/press", "{\"weight\":0}", 422, "/weight", "1 to 10000");
    refused("PUT", "/v1/limits/sites/x", "{\"rate\":3}", 422, "/rate", "must be an object");
    EXPECT("PUT", "/v1/limits/sites/nosuch", "{\"max_running\":1}", 404, "code", "not_found");
    EXPECT("PUT", "/v1/limits/tenants/a%2Fb", "{\"max_running\":1}", 422, "code",
           "validation_failed");
    EXPECT("GET", "/v1/limits/effective?class=urgent", "", 400, "code", "bad_parameter");
}

/* ---- modes ---- */

static void modes_say_what_they_do(void **state)
{
    (void)state;
    EXPECT("GET", "/v1/mode", "", 200, "object", "mode", "mode", "normal", "effects.takes_jobs",
           "true", "effects.starts_jobs", "true");
    refused("PUT", "/v1/mode", "{}", 422, "/mode", "normal, paused, draining or maintenance");
    refused("PUT", "/v1/mode", "{\"mode\":\"drainng\",\"reason\":\"a\"}", 422, "/mode",
            "did you mean");
    refused("PUT", "/v1/mode", "{\"mode\":\"paused\"}", 422, "/reason", "say why");
    EXPECT("PUT", "/v1/mode", "{\"mode\":\"paused\",\"by\":\"anna\",\"reason\":\"drill\"}", 200,
           "mode", "paused", "by", "anna", "reason", "drill", "effects.takes_jobs", "true",
           "effects.starts_jobs", "false");
    submit("@paused", "");
    EXPECT("GET", "/v1/queues/default/x/normal", "", 200, "waiting_for.reason", "mode");
    EXPECT("GET", "/readyz?verbose", "", 200, "mode", "paused");
    static const char *const modes[] = {"draining", "maintenance"};
    for (size_t i = 0; i < 2; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"mode\":\"%s\",\"reason\":\"drill\"}", modes[i]);
        EXPECT("PUT", "/v1/mode", body, 200, "mode", modes[i], "effects.takes_jobs", "false",
               "effects.starts_jobs", i ? "false" : "true");
        struct answer_of a = ask("POST", "/v1/jobs", "{\"kind\":\"posts\",\"target\":\"@a\"}");
        assert_int_equal(a.status, 503);
        assert_true(a.retry_after_s > 0 && contains(&a.body, "\"retryable\":true"));
        snprintf(body, sizeof body, "\"code\":\"%s\"", modes[i]);
        assert_true(contains(&a.body, body));
        buf_free(&a.body);
        a = ask("GET", "/readyz", "");
        assert_int_equal(a.status, 503);
        assert_true(contains(&a.body, modes[i]));
        buf_free(&a.body);
        EXPECT("GET", "/v1/jobs", "", 200, "object", "list");
    }
    EXPECT("PUT", "/v1/mode", "{\"mode\":\"normal\"}", 200, "mode", "normal", "by", "api",
           "reason", "null");
    EXPECT("GET", "/readyz?verbose", "", 200, "mode", "normal");
    submit("@normal", "");
}

/* What a client saw is what it changes: settings of queues, limits, the mode. */
static void a_change_needs_to_know_what_it_changes(void **state)
{
    (void)state;
    static const struct {
        const char *see, *method, *path, *one, *other;
    } rows[] = {
        {"/v1/queues/etag/x/normal", "PATCH", "/v1/queues/etag/x/normal", "{\"weight\":5}",
         "{\"weight\":6}"},
        {"/v1/queues/etag/x/normal", "PUT", "/v1/queues/etag/x/normal", "{\"weight\":7}",
         "{\"weight\":8}"},
        {"/v1/queues/etag/x/normal", "PATCH", "/v1/queues/etag/x/normal",
         "{\"default_priority\":8}", "{\"default_priority\":0}"},
        {"/v1/queues/etag/x/normal", "PATCH", "/v1/queues/etag/x/normal", "{\"max_depth\":8}",
         "{\"max_depth\":9}"},
        {"/v1/queues/etag/x/normal", "PATCH", "/v1/queues/etag/x/normal",
         "{\"overflow\":\"drop_last\"}", "{\"overflow\":\"refuse\"}"},
        {"/v1/limits", "PUT", "/v1/limits/tenants/etag", "{\"max_running\":5}",
         "{\"max_running\":6}"},
        {"/v1/limits", "PATCH", "/v1/limits/all", "{\"max_running\":50}",
         "{\"max_running\":0}"},
        {"/v1/mode", "PUT", "/v1/mode", "{\"mode\":\"paused\",\"reason\":\"a\"}",
         "{\"mode\":\"normal\"}"},
    };
    char tag[200], later[200];
    if_match = "If-Match: *";
    EXPECT("PATCH", "/v1/queues/etag/x/normal", "{\"weight\":4}", 200, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if_match = NULL;
        EXPECT(rows[i].method, rows[i].path, rows[i].one, 428, "code", "precondition_required");
        struct answer_of a = seen(rows[i].see, tag);
        buf_free(&a.body);
        if_match = tag;
        EXPECT(rows[i].method, rows[i].path, rows[i].one, 200, NULL);
        EXPECT(rows[i].method, rows[i].path, rows[i].other, 412, "code", "precondition_failed");
        a = seen(rows[i].see, later);
        buf_free(&a.body);
        assert_string_not_equal(tag, later);
        if_match = later;
        EXPECT(rows[i].method, rows[i].path, rows[i].other, 200, NULL);
    }
    if_match = "If-Match: *";
}

static int start_anyhow(void **state)
{
    if_match = "If-Match: *";
    return asked_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_comes_with_its_first_job),
        cmocka_unit_test(queues_are_listed_by_tenant_site_and_trouble),
        cmocka_unit_test(settings_are_changed_in_part_or_wholly),
        cmocka_unit_test(a_stop_says_who_and_why_until_it_is_over),
        cmocka_unit_test(a_closed_queue_takes_no_jobs),
        cmocka_unit_test(a_purge_cancels_what_waits_and_can_be_tried),
        cmocka_unit_test(breakers_are_held_by_hand_for_a_time),
        cmocka_unit_test(what_holds_a_queue_up_is_told_by_the_clock_of_the_store),
        cmocka_unit_test(limits_are_set_seen_and_explained),
        cmocka_unit_test(modes_say_what_they_do),
        cmocka_unit_test(a_change_needs_to_know_what_it_changes),
        cmocka_unit_test(what_is_held_up_is_found_behind_thousands_that_are_not),
        cmocka_unit_test(limits_go_on_behind_a_page),
        cmocka_unit_test(a_queue_has_a_depth_and_says_what_went_through_it),
        cmocka_unit_test(a_job_without_a_priority_gets_its_queues),
    };
    return cmocka_run_group_tests(tests, start_anyhow, asked_stop);
}

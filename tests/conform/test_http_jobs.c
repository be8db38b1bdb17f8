/* Jobs over HTTP: changed, held, let go, deleted; each verb and each refusal, against a real API over a real store. */
#include "../lib/asked.h"

#include <sqlite3.h>

static char id[ID_TEXT], path[128];

/* A new job; `path` is where it is. */
static void submit(const char *members)
{
    char body[512], text[512];
    snprintf(body, sizeof body, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", members);
    struct answer_of a = ask("POST", "/v1/jobs", body);
    if (a.status != 202)
        fail_msg("%d: %.*s", a.status, SP(buf_span(&a.body)));
    member(&a.body, "id", text);
    span_copy(span_of(text), id, sizeof id);
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    buf_free(&a.body);
}

static const char *below(const char *rest)
{
    static char text[2][160];
    static int at;
    char *out = text[at++ % 2];
    snprintf(out, sizeof text[0], "%s%s", path, rest);
    return out;
}

static void finish(const struct lease *l)
{
    struct store_op op = {.verb = STORE_FINISH};
    op.in.finish = (struct finish_args){.id = span_of(l->id),
                                        .nonce = l->nonce,
                                        .verdict = VERDICT_EMPTY_CONFIRMED,
                                        .end = END_TERMINATE};
    run_op(&op);
    assert_int_equal(op.result, E_OK);
}

/* ---- hold ---- */

static void a_job_is_held_and_let_go(void **state)
{
    (void)state;
    submit("");
    EXPECT("GET", path, "", 200, "state", "ready", "held", "false");
    EXPECT("POST", below("/hold"), "{\"reason\":\"the site is being moved\"}", 200, "state",
           "scheduled", "held", "true", "waiting_for.reason", "hold", "waiting_for.until",
           "null");
    EXPECT("POST", below("/hold"), "", 200, "held", "true"); /* already so */
    EXPECT("POST", below("/release"), "", 200, "state", "ready", "held", "false");
    EXPECT("POST", below("/release"), "", 200, "held", "false");
    struct answer_of a = ask("GET", below("/events"), "");
    assert_true(contains(&a.body, "\"event\":\"job.held\"") &&
                contains(&a.body, "the site is being moved") &&
                contains(&a.body, "\"event\":\"job.unheld\""));
    buf_free(&a.body);
    refused("POST", below("/hold"), "{\"reson\":\"x\"}", 400, "/reson", "did you mean");
    refused("POST", below("/hold"), "{\"reason\":1}", 422, "/reason", "");
    EXPECT("POST", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/hold", "", 404, "code",
           "not_found");
    EXPECT("POST", below("/cancel"), "", 200, "state", "cancelled");
    refused("POST", below("/hold"), "", 409, "", "only a job that waits");
}

static void a_job_may_be_submitted_held(void **state)
{
    (void)state;
    submit(",\"hold\":true");
    EXPECT("GET", path, "", 200, "state", "scheduled", "held", "true", "not_before", "null",
           "options", "{}");
    EXPECT("POST", below("/release"), "", 200, "state", "ready");
    submit(",\"hold\":true,\"not_before\":\"2099-01-01\"");
    EXPECT("GET", path, "", 200, "held", "true", "not_before", "2099-01-01T00:00:00.000Z");
    EXPECT("POST", below("/release"), "", 200, "state", "scheduled", "held", "false",
           "not_before", "2099-01-01T00:00:00.000Z", "waiting_for.reason", "time");
    refused("POST", "/v1/jobs", "{\"kind\":\"posts\",\"target\":\"@nasa\",\"hold\":1}", 422,
            "/hold", "");
}

/* ---- a dry run ---- */

static void an_order_is_looked_at_and_not_taken(void **state)
{
    (void)state;
    const char *order =
        "{\"kind\":\"posts\",\"target\":\"@NASA\",\"tenant\":\"looked\",\"limit\":5,"
        "\"labels\":{\"a\":\"b\"}}";
    EXPECT("POST", "/v1/jobs?dry_run=true", order, 200, "object", "dry_run", "action", "create",
           "job.target", "NASA", "job.lane", "looked/x/normal", "job.options", "{\"limit\":5}",
           "job.labels.a", "b", "job.needs_page", "true");
    EXPECT("GET", "/v1/jobs?tenant=looked", "", 200, "data", "[]");
    refused("POST", "/v1/jobs?dry_run=true", "{\"kind\":\"posts\"}", 422, "/target", "");
    EXPECT("POST", "/v1/jobs?dry_run=perhaps", order, 400, "code", "bad_parameter");
    EXPECT("POST", "/v1/jobs?dry_run=false", order, 202, NULL);
}

/* ---- PATCH ---- */

static void what_a_job_is_about_stays_and_how_it_stands_changes(void **state)
{
    (void)state;
    submit(",\"limit\":10,\"fields\":[\"text\"],\"priority\":2");
    EXPECT("PATCH", path, "{\"priority\":8}", 200, "priority", "8", "limit", "10", "state",
           "ready");
    EXPECT("PATCH", path, "{\"priority\":null}", 200, "priority", "5");
    EXPECT("PATCH", path, "{\"limit\":25}", 200, "limit", "25", "options.limit", "25",
           "options.fields", "[\"text\"]");
    EXPECT("PATCH", path, "{\"limit\":null}", 200, "limit", "null", "options",
           "{\"fields\":[\"text\"]}");
    EXPECT("PATCH", path, "{\"not_before\":\"2099-01-01\",\"deadline_s\":60}", 200, "state",
           "scheduled", "not_before", "2099-01-01T00:00:00.000Z", "deadline_at",
           "2099-01-01T00:01:00.000Z", "expires_at", "2099-01-01T00:01:00.000Z");
    EXPECT("PATCH", path, "{\"deadline_s\":null}", 200, "deadline_at", "null", "expires_at",
           "null");
    EXPECT("PATCH", path, "{\"not_before\":null}", 200, "state", "ready");
    EXPECT("PATCH", path, "{\"timeouts\":{\"attempt_s\":60,\"idle_s\":null}}", 200, "state",
           "ready");
    EXPECT("PATCH", path, "{}", 200, "priority", "5");
    refused("PATCH", path, "{\"target\":\"@esa\"}", 422, "/target", "rerun");
    refused("PATCH", path, "{\"class\":\"bulk\"}", 422, "/class", "rerun");
    refused("PATCH", path, "{\"priority\":10}", 422, "/priority", "");
    refused("PATCH", path, "{\"prority\":1}", 400, "/prority", "did you mean");
    refused("PATCH", path, "{\"expires_s\":9,\"deadline_s\":5}", 422, "/expires_s",
            "longer than deadline_s");
    refused("PATCH", path, "{\"timeouts\":5}", 422, "/timeouts", "object");
    EXPECT("PATCH", path, "", 400, NULL);
    EXPECT("PATCH", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "{\"priority\":1}", 404, NULL);
    EXPECT("PATCH", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "{\"limit\":1}", 404, NULL);
}

/* Like everything that it is about: with the job, the one that repeats it, and not to be changed. */
static void what_a_job_may_take_stays_with_it(void **state)
{
    (void)state;
    submit(
        ",\"limit\":10,\"max_pages\":4,\"max_bytes\":65536,\"timeouts\":{\"navigation_s\":9,\"idle_s\":5},"
        "\"resources\":{\"cpu_s\":60},\"quality\":{\"min_posts\":6,\"required_fields\":[\"id\"]}");
    EXPECT("GET", path, "", 200, "options.max_pages", "4", "options.max_bytes", "65536",
           "options.timeouts", "{\"navigation_s\":9}", "options.resources", "{\"cpu_s\":60}",
           "options.quality", "{\"min_posts\":6,\"required_fields\":[\"id\"]}");
    refused("PATCH", path, "{\"max_pages\":5}", 422, "/max_pages", "rerun");
    refused("PATCH", path, "{\"quality\":null}", 422, "/quality", "rerun");
    refused("PATCH", path, "{\"resources\":{}}", 422, "/resources", "rerun");
    refused("PATCH", path, "{\"timeouts\":{\"navigation_s\":5}}", 422, "/timeouts/navigation_s",
            "rerun");
    EXPECT("PATCH", path, "{\"limit\":7,\"timeouts\":{\"idle_s\":7}}", 200, "options.limit",
           "7", "options.max_pages", "4", "options.timeouts.navigation_s", "9");
    refused("PATCH", path, "{\"limit\":5}", 422, "/quality/min_posts", "more than limit");
    EXPECT("POST", below("/rerun"),
           "{\"max_pages\":null,\"quality\":{\"min_posts\":null},\"rerun_of\":null,"
           "\"resources\":{\"cpu_s\":null,\"max_requests\":8}}",
           202, "options",
           "{\"limit\":7,\"max_bytes\":65536,\"timeouts\":{\"navigation_s\":9},\"resources\":{"
           "\"max_requests\":8},\"quality\":{\"required_fields\":[\"id\"]}}");
    EXPECT("POST", "/v1/jobs?dry_run=true",
           "{\"kind\":\"posts\",\"target\":\"@NASA\",\"resources\":{\"memory_mib\":256}}", 200,
           "job.options", "{\"resources\":{\"memory_mib\":256}}");
}

static void a_change_may_be_of_what_was_seen_only(void **state)
{
    (void)state;
    char seen[200];
    struct client_answer a;
    struct fault f = {0};
    struct client_request q = {
        .method = "GET", .timeout_ms = ANSWER_MS, .body_max = ANSWER_BYTES};
    submit("");
    q.path = path;
    assert_int_equal(client_send(client, &q, &a, &f), E_OK);
    snprintf(seen, sizeof seen, "If-Match: %s", a.etag);
    buf_free(&a.body);
    if_match = seen;
    EXPECT("PATCH", path, "{\"priority\":8}", 200, "priority", "8");
    EXPECT("PATCH", path, "{\"priority\":3}", 412, "code", "precondition_failed");
    EXPECT("PATCH", path, "{\"limit\":3}", 412, "code", "precondition_failed");
    if_match = "If-Match: *";
    EXPECT("PATCH", path, "{\"priority\":3}", 200, "priority", "3");
    if_match = "If-Match: r1";
    EXPECT("PATCH", path, "{\"priority\":3}", 400, "code", "bad_header");
    if_match = NULL;
}

static void a_job_that_runs_is_not_changed(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    submit(",\"priority\":9,\"tenant\":\"runs\"");
    struct lease l = lease_of(id, a);
    refused("PATCH", path, "{\"priority\":1}", 409, "", "only a job that waits");
    refused("POST", below("/hold"), "", 409, "", "cancel this one");
    refused("DELETE", path, "", 409, "", "cancel it first");
    finish(&l);
    refused("PATCH", path, "{\"limit\":1}", 409, "", "is succeeded");
    arena_free(&a);
}

/* ---- DELETE ---- */

static void an_ended_job_is_deleted_with_all_of_it(void **state)
{
    (void)state;
    submit("");
    refused("DELETE", path, "", 409, "", "cancel it first");
    EXPECT("POST", below("/cancel"), "", 200, "state", "cancelled");
    EXPECT("DELETE", path, "", 204, NULL);
    EXPECT("GET", path, "", 404, "code", "not_found");
    EXPECT("GET", below("/events"), "", 404, "code", "not_found");
    EXPECT("DELETE", path, "", 404, "code", "not_found");
}

/* A job whose records are another's stays as long as that one does. */
static void a_result_that_another_job_has_stays(void **state)
{
    (void)state;
    char first[128];
    struct arena *a = arena_new(1 << 20);
    submit(",\"priority\":9,\"tenant\":\"owner\",\"limit\":77");
    snprintf(first, sizeof first, "%s", path);
    struct lease l = lease_of(id, a);
    finish(&l);
    submit(",\"max_age_s\":600,\"limit\":77");
    EXPECT("GET", path, "", 200, "state", "succeeded", "result.source", "cache");
    refused("DELETE", first, "", 409, "", "has the result of job");
    refused("DELETE", below("?keep_results"), "", 400, "", "results go with their job");
    refused("DELETE", below("?keep_results=true"), "", 400, "", "read them first");
    EXPECT("DELETE", below("?keep_results=false"), "", 204, NULL);
    EXPECT("DELETE", first, "", 204, NULL);
    arena_free(&a);
}

/* The key says what is the same: the order of the second one is another. */
static void a_result_of_the_unique_key_answers_at_once(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    submit(",\"priority\":9,\"tenant\":\"owner\",\"limit\":78,\"unique\":{\"key\":\"f\"}");
    struct lease l = lease_of(id, a);
    finish(&l);
    submit(
        ",\"tenant\":\"owner\",\"limit\":79,\"unique\":{\"key\":\"f\",\"on_conflict\":\"fresh_within\","
        "\"fresh_within_s\":600}");
    EXPECT("GET", path, "", 200, "state", "succeeded", "result.source", "cache", "unique_key",
           "f", "result.from_job", l.id);
    arena_free(&a);
}

/* How far it has come, who has it, and how it ended. */
static void a_job_says_who_has_it_and_how_it_ended(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    submit(",\"priority\":9,\"limit\":40");
    EXPECT("GET", path, "", 200, "outcome", "null", "lease", "null", "progress.percent", "0");
    struct lease l = lease_of(id, a);
    char text[512];
    struct answer_of r = ask("GET", path, "");
    member(&r.body, "lease.worker", text);
    assert_true(text[0] && strcmp(text, "null") != 0);
    member(&r.body, "lease.expires_at", text);
    assert_true(strncmp(text, "20", 2) == 0);
    buf_free(&r.body);
    finish(&l);
    EXPECT("GET", path, "", 200, "outcome", "empty_confirmed", "lease", "null",
           "progress.pages", "0", "progress.phase", "null");
    submit("");
    EXPECT("POST", below("/cancel"), "", 200, "outcome", "cancelled", "progress.percent",
           "null");
    arena_free(&a);
}

/* ---- lists ---- */

static void jobs_are_listed_by_what_they_are(void **state)
{
    (void)state;
    char first[ID_TEXT], second[ID_TEXT], query[256];
    submit(",\"tenant\":\"listed\",\"class\":\"bulk\"");
    memcpy(first, id, sizeof first);
    submit(",\"tenant\":\"listed\",\"hold\":true");
    memcpy(second, id, sizeof second);
    EXPECT("GET", "/v1/jobs?tenant=listed&limit=1", "", 200, "page.has_more", "true",
           "page.next_after", second);
    struct answer_of a = ask("GET", "/v1/jobs?tenant=listed", "");
    assert_true(contains(&a.body, first) && contains(&a.body, second) &&
                contains(&a.body, "\"has_more\":false"));
    buf_free(&a.body);
    snprintf(query, sizeof query, "/v1/jobs?tenant=listed&sort=created_at&limit=1");
    EXPECT("GET", query, "", 200, "page.next_after", first);
    snprintf(query, sizeof query, "/v1/jobs?tenant=listed&limit=1&after=%s", second);
    a = ask("GET", query, "");
    assert_true(contains(&a.body, first) && !contains(&a.body, "\"has_more\":true"));
    buf_free(&a.body);
    static const struct {
        const char *query;
        bool first, second;
    } cases[] = {
        {"class=bulk", true, false},
        {"held=true", false, true},
        {"state=scheduled", false, true},
        {"state=ready,scheduled", true, true},
        {"state=dead", false, false},
        {"queue=listed/x/bulk", true, false},
        {"site=x&kind=posts&target=nasa", true, true},
        {"target=esa", false, false},
        {"failure=drift", false, false},
        {"created_after=2099-01-01", false, false},
        {"created_after=2026-01-01&created_before=2099-01-01", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(query, sizeof query, "/v1/jobs?tenant=listed&%s", cases[i].query);
        a = ask("GET", query, "");
        if (a.status != 200 || contains(&a.body, first) != cases[i].first ||
            contains(&a.body, second) != cases[i].second)
            fail_msg("%s: %.*s", query, SP(buf_span(&a.body)));
        buf_free(&a.body);
    }
    static const char *const wrong[] = {"state=redy", "class=bulky", "failure=none_such",
                                        "held=maybe", "sort=state",  "created_after=now",
                                        "tenant=",    "limit=0",     "after=job_1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(query, sizeof query, "/v1/jobs?%s", wrong[i]);
        EXPECT("GET", query, "", 400, "code", "bad_parameter");
    }
    EXPECT("GET", "/v1/jobs?stat=ready", "", 400, "code", "unknown_parameter");
}

/* ---- retries ---- */

static void jobs_say_how_often_and_when_they_are_tried_again(void **state)
{
    (void)state;
    static const char own[] =
        "{\"max_attempts\":4,\"backoff\":{\"base_ms\":250,\"max_ms\":9000,\"factor\":3}}";
    char body[512];
    submit("");
    EXPECT("GET", path, "", 200, "options", "{}", "attempts.max_failed", "5",
           "attempts.failed_in_row", "0");
    snprintf(body, sizeof body, ",\"limit\":5,\"retry\":%s", own);
    submit(body);
    EXPECT("GET", path, "", 200, "options.retry", own, "attempts.max_failed", "4");
    EXPECT("PATCH", path, "{\"limit\":6}", 200, "options.retry", own, "options.limit", "6",
           "attempts.max_failed", "4");
    EXPECT("POST", below("/rerun"), "{\"retry\":{\"backoff\":null}}", 202, "options.retry",
           "{\"max_attempts\":4}", "attempts.max_failed", "4");
    EXPECT("POST", below("/rerun"), "{\"retry\":null}", 202, "options.retry", "null",
           "attempts.max_failed", "5");
    EXPECT("POST", "/v1/jobs?dry_run=true",
           "{\"kind\":\"posts\",\"target\":\"@nasa\",\"retry\":{\"max_attempts\":1}}", 200,
           "job.options", "{\"retry\":{\"max_attempts\":1}}");
    refused("PATCH", path, "{\"retry\":{\"max_attempts\":3}}", 422, "/retry",
            "cannot be changed");
    refused("POST", "/v1/jobs",
            "{\"kind\":\"posts\",\"target\":\"@nasa\",\"retry\":{\"backoff\":{\"base_ms\":0}}}",
            422, "/retry/backoff/base_ms", "1 to 3600000");
    refused("POST", "/v1/jobs/bulk",
            "[{\"kind\":\"posts\",\"target\":\"@nasa\",\"retry\":{\"max_attempts\":21}}]", 207,
            "/retry/max_attempts", "1 to 20");
    refused(
        "POST", "/v1/schedules",
        "{\"name\":\"tried\",\"interval_s\":60,\"job\":{\"kind\":\"posts\",\"target\":\"@nasa\","
        "\"retry\":{\"max_attempts\":0}}}",
        422, "/job/retry/max_attempts", "1 to 20");
}

/* ---- labels ---- */

static void jobs_have_labels(void **state)
{
    (void)state;
    char first[ID_TEXT], text[512];
    submit(
        ",\"tenant\":\"labelled\",\"limit\":5,\"labels\":{\"team\":\"press\",\"desk\":\"heat & "
        "pump\"}");
    memcpy(first, id, sizeof first);
    EXPECT("GET", path, "", 200, "labels.team", "press", "labels.desk", "heat & pump",
           "options", "{\"limit\":5}");
    EXPECT("PATCH", path, "{\"labels\":{\"run\":\"7\",\"team\":null}}", 200, "labels",
           "{\"desk\":\"heat & pump\",\"run\":\"7\"}");
    EXPECT("PATCH", path, "{\"limit\":9,\"labels\":{\"team\":\"press\"}}", 200, "limit", "9",
           "labels.team", "press", "labels.run", "7", "options", "{\"limit\":9}");
    EXPECT("POST", below("/cancel"), "", 200, "state", "cancelled");
    EXPECT("PATCH", path, "{\"labels\":{\"run\":null}}", 200, "state", "cancelled", "labels",
           "{\"desk\":\"heat & pump\",\"team\":\"press\"}");
    EXPECT("POST", below("/rerun"), "{\"labels\":{\"desk\":null,\"run\":\"8\"}}", 202, "labels",
           "{\"run\":\"8\",\"team\":\"press\"}");
    submit(",\"tenant\":\"labelled\"");
    EXPECT("GET", path, "", 200, "labels", "{}");
    EXPECT("GET", "/v1/jobs?tenant=labelled&label.team=press&limit=1", "", 200, "page.has_more",
           "true");
    EXPECT("GET", "/v1/jobs?label.desk=heat%20%26%20pump&label.team=press", "", 200,
           "page.has_more", "false");
    struct answer_of a = ask("GET", "/v1/jobs?label.desk=heat%20%26%20pump", "");
    assert_true(contains(&a.body, first) && !contains(&a.body, id));
    buf_free(&a.body);
    EXPECT("GET", "/v1/jobs?label.=press", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/jobs?label.team=", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/jobs?labels.team=press", "", 400, "code", "unknown_parameter");
    refused("PATCH", path, "{\"labels\":{\"a b\":\"c\"}}", 422, "/labels/a b", "the name of");
    refused("PATCH", path, "{\"labels\":{\"a\":\"\"}}", 422, "/labels/a", "without quotes");
    refused("PATCH", path, "{\"labels\":[]}", 422, "/labels", "must be an object");
    for (int i = 0; i < 16; i++) {
        snprintf(text, sizeof text, "{\"labels\":{\"n%d\":\"v\"}}", i);
        EXPECT("PATCH", path, text, 200, NULL);
    }
    refused("PATCH", path, "{\"labels\":{\"more\":\"v\"}}", 422, "", "more than 16 labels");
}

/* The jobs that others make have the labels of their template. */
static void batches_and_schedules_label_their_jobs(void **state)
{
    (void)state;
    if_match = "Idempotency-Key: labelled-batch";
    EXPECT(
        "POST", "/v1/batches",
        "{\"template\":{\"kind\":\"posts\",\"labels\":{\"of\":\"batch\"}},\"targets\":[\"@a1\",\"@a2\"]}",
        202, NULL);
    if_match = NULL;
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"cancel\",\"filter\":{\"labels\":{\"of\":\"batch\"}}}", 202, "done",
           "2");
    EXPECT("POST", "/v1/schedules",
           "{\"name\":\"labelled\",\"interval_s\":3600,\"start_at\":\"2090-01-01\","
           "\"job\":{\"kind\":\"posts\",\"target\":\"@a3\",\"labels\":{\"of\":\"schedule\"}}}",
           201, "spec.job.labels.of", "schedule");
    EXPECT("POST", "/v1/schedules/labelled/trigger", "", 202, NULL);
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"cancel\",\"filter\":{\"labels\":{\"of\":\"schedule\"}}}", 202, "done",
           "1");
}

static void many_are_acted_on_by_their_labels(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        submit(i % 2 ? ",\"tenant\":\"acted\",\"labels\":{\"odd\":\"yes\"}"
                     : ",\"tenant\":\"acted\"");
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"hold\",\"filter\":{\"labels\":{\"odd\":\"yes\"}},\"dry_run\":true}",
           200, "count", "3");
    EXPECT(
        "POST", "/v1/jobs/actions",
        "{\"action\":\"cancel\",\"filter\":{\"tenant\":\"acted\",\"labels\":{\"odd\":\"yes\"}}}",
        202, "done", "3", "filter.labels", "{\"odd\":\"yes\"}");
    refused("POST", "/v1/jobs/actions",
            "{\"action\":\"cancel\",\"filter\":{\"labels\":{\"odd\":null}}}", 422,
            "/filter/labels/odd", "must be a text");
}

/* ---- many at once ---- */

static void what_would_be_done_to_many_is_told_and_done(void **state)
{
    (void)state;
    char text[512], operation[128];
    for (int i = 0; i < 15; i++)
        submit(",\"tenant\":\"many\"");
    const char *hold =
        "{\"action\":\"hold\",\"filter\":{\"tenant\":\"many\"},\"reason\":\"moving\"}";
    struct answer_of a = ask("POST", "/v1/jobs/actions?dry_run=true", hold);
    member(&a.body, "count", text);
    assert_string_equal(text, "15");
    member(&a.body, "count_kind", text);
    assert_string_equal(text, "exact");
    assert_true(contains(&a.body, "\"tenant\":\"many\""));
    buf_free(&a.body);
    EXPECT(
        "POST", "/v1/jobs/actions",
        "{\"action\":\"hold\",\"filter\":{\"tenant\":\"many\"},\"dry_run\":true,\"limit\":4}",
        200, "object", "dry_run", "action", "hold", "count", "4", "count_kind", "exact");
    EXPECT("GET", path, "", 200, "held", "false"); /* nothing was done */
    a = ask("POST", "/v1/jobs/actions", hold);
    assert_int_equal(a.status, 202);
    member(&a.body, "id", text);
    snprintf(operation, sizeof operation, "/v1/operations/%.40s", text);
    buf_free(&a.body);
    EXPECT("GET", operation, "", 200, "kind", "hold", "state", "done", "done", "15", "skipped",
           "0", "filter.tenant", "many", "reason", "moving", "filter.site", "null");
    EXPECT("GET", path, "", 200, "held", "true");
    EXPECT(
        "POST", "/v1/jobs/actions",
        "{\"action\":\"set_priority\",\"priority\":9,\"filter\":{\"tenant\":\"many\",\"held\":true},"
        "\"limit\":3}",
        202, "kind", "set_priority", "done", "3", "priority", "9", "limit", "3");
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"cancel\",\"filter\":{\"tenant\":\"many\"}}", 202, "done", "15");
    EXPECT(
        "POST", "/v1/jobs/actions",
        "{\"action\":\"retry\",\"filter\":{\"tenant\":\"many\",\"state\":[\"cancelled\"]},\"limit\":1}",
        202, "done", "1");
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"delete\",\"filter\":{\"tenant\":\"many\"}}", 202, "done", "14");
    EXPECT("GET", "/v1/jobs?tenant=many&state=cancelled", "", 200, "data", "[]");
}

static void mistakes_in_an_action_are_named(void **state)
{
    (void)state;
    const char *actions = "/v1/jobs/actions";
    refused("POST", actions, "{\"filter\":{}}", 422, "/action", "says what is done");
    refused("POST", actions, "{\"action\":\"hold\"}", 422, "/filter", "says which jobs");
    refused("POST", actions, "{\"action\":\"hodl\",\"filter\":{}}", 422, "/action", "hold");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{\"sate\":\"ready\"}}", 400,
            "/filter/sate", "did you mean");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{\"state\":\"redy\"}}", 422,
            "/filter/state", "ready");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{\"state\":[\"ready\",3]}}", 422,
            "/filter/state", "");
    refused("POST", actions, "{\"action\":\"set_priority\",\"filter\":{}}", 422, "/priority",
            "says which");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{},\"priority\":3}", 422,
            "/priority", "only set_priority");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{},\"reset\":true}", 422,
            "/reset", "only retry");
    refused("POST", actions, "{\"action\":\"hold\",\"filter\":{},\"limit\":0}", 422, "/limit",
            "");
    EXPECT("GET", actions, "", 405, "code", "method_not_allowed");
}

/* Each order for itself; sent again with its key, each gives its job again. */
static void many_orders_are_accepted_each_for_itself(void **state)
{
    (void)state;
    char text[512], again[512];
    const char *body =
        "[{\"kind\":\"posts\",\"target\":\"@nasa\",\"tenant\":\"bulked\"},"
        "{\"kind\":\"posts\"},"
        "{\"kind\":\"posts\",\"target\":\"@esa\",\"tenant\":\"bulked\",\"limmit\":3},"
        "{\"kind\":\"profile\",\"target\":\"@esa\",\"tenant\":\"bulked\"}]";
    if_match = "Idempotency-Key: bulk-1";
    struct answer_of a = ask("POST", "/v1/jobs/bulk", body);
    assert_int_equal(a.status, 207);
    member(&a.body, "accepted", text);
    assert_string_equal(text, "2");
    assert_true(contains(&a.body, "\"index\":1,\"status\":422,\"code\":\"validation_failed\""));
    assert_true(contains(&a.body, "\"index\":2,\"status\":400,\"code\":\"unknown_field\""));
    assert_true(contains(&a.body, "\"pointer\":\"/limmit\"") &&
                contains(&a.body, "\"pointer\":\"/target\""));
    assert_true(contains(&a.body, "\"state\":\"ready\",\"replayed\":false"));
    size_t at = span_find(buf_span(&a.body), SPAN("\"job\":\"")) + 7;
    span_copy(span_cut(buf_span(&a.body), at, 30), text, sizeof text);
    buf_free(&a.body);
    a = ask("POST", "/v1/jobs/bulk", body);
    assert_int_equal(a.status, 207);
    assert_true(contains(&a.body, "\"replayed\":true") && !contains(&a.body, "\"state\""));
    assert_true(contains(&a.body, text));
    buf_free(&a.body);
    a = ask("POST", "/v1/jobs/bulk",
            "[{\"kind\":\"posts\",\"target\":\"@another\",\"tenant\":\"bulked\"}]");
    assert_true(contains(&a.body, "\"status\":422,\"code\":\"idempotency_mismatch\""));
    buf_free(&a.body);
    if_match = NULL;
    a = ask("GET", "/v1/jobs?tenant=bulked", "");
    assert_true(contains(&a.body, text));
    buf_free(&a.body);
    snprintf(again, sizeof again, "/v1/jobs/%.40s", text);
    EXPECT("GET", again, "", 200, "kind", "posts", "target", "nasa");
    EXPECT("POST", "/v1/jobs/bulk", "[]", 422, "code", "validation_failed");
    EXPECT("POST", "/v1/jobs/bulk", "{}", 400, "code", "malformed_json");
}

/* More than one piece of them, one a line; more than a request may have is refused before any is accepted. */
static void hundreds_of_lines_are_accepted_in_pieces(void **state)
{
    (void)state;
    struct buf body = BUF(1 << 20);
    for (int i = 0; i < 250; i++)
        buf_fmt(&body, "{\"kind\":\"posts\",\"target\":\"@n%d\",\"tenant\":\"lines\"}\n\n", i);
    buf_add_char(&body, '\0');
    if_match = "Content-Type: application/x-ndjson";
    struct answer_of a = ask("POST", "/v1/jobs/bulk", body.p);
    char text[512];
    assert_int_equal(a.status, 207);
    member(&a.body, "accepted", text);
    assert_string_equal(text, "250");
    buf_free(&a.body);
    buf_clear(&body);
    for (int i = 0; i < 1001; i++)
        buf_add_text(&body, "{}\n");
    buf_add_char(&body, '\0');
    EXPECT("POST", "/v1/jobs/bulk", body.p, 422, "code", "validation_failed");
    if_match = NULL;
    buf_free(&body);
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"cancel\",\"filter\":{\"tenant\":\"lines\"},\"dry_run\":true}", 200,
           "count", "250", "count_kind", "exact");
}

/* A line's answer begins with its number, all of them are there in their order, and the last line sums up. */
static void check_stream(struct span body, int64_t count, int64_t refused_each, bool replayed)
{
    struct span line;
    char begins[64];
    int64_t n = 0;
    while (span_next(&body, '\n', &line) && n < count) {
        bool wrong = refused_each && n % refused_each == 0;
        snprintf(begins, sizeof begins, "{\"index\":%lld,\"status\":%d,", (long long)n,
                 wrong ? 422 : 202);
        if (!span_starts(line, span_of(begins)))
            fail_msg("%.*s is not %s", SP(line), begins);
        if (!wrong && replayed)
            assert_true(span_find(line, SPAN("\"replayed\":true")) < line.n);
        n++;
    }
    assert_int_equal(n, count);
    int64_t refused_lines = refused_each ? (count + refused_each - 1) / refused_each : 0;
    snprintf(begins, sizeof begins, "{\"object\":\"bulk\",\"accepted\":%lld,\"refused\":%lld,",
             (long long)(count - refused_lines), (long long)refused_lines);
    assert_true(span_starts(line, span_of(begins)));
    assert_true(span_find(line, SPAN("\"complete\":true")) < line.n && !body.n);
}

static const char *stream_key = "Idempotency-Key: streamed"; /* of the next streams */

static struct client_answer ask_stream(struct span body, const char *accept)
{
    struct client_answer a;
    struct fault f = {0};
    struct client_request q = {
        .method = "POST",
        .path = "/v1/jobs/bulk",
        .body = body,
        .headers = {"Content-Type: application/x-ndjson", accept, stream_key},
        .timeout_ms = 5 * ANSWER_MS,
        .body_max = 32 * ANSWER_BYTES};
    if (client_send(client, &q, &a, &f))
        fail_msg("%s", f.words);
    return a;
}

/* Many more than one answer could hold, and a body above api.body_max; again with its key, none is made twice. */
static void thousands_of_lines_come_back_as_they_are_accepted(void **state)
{
    (void)state;
    enum { LINES = 3000, WRONG_EACH = 700 };
    struct buf body = BUF(8 << 20);
    for (int i = 0; i < LINES; i++)
        buf_fmt(&body,
                i % WRONG_EACH
                    ? "{\"kind\":\"posts\",\"target\":\"@s%d\",\"tenant\":\"stream\"}\n%s"
                    : "{\"kind\":\"posts\",\"limit\":%d}\n%s",
                i, i % 5 ? "" : "\n");
    assert_true(body.n > 2 * 65536);
    const char *lines = "Accept: application/x-ndjson";
    struct client_answer a = ask_stream(buf_span(&body), lines);
    assert_int_equal(a.status, 207);
    check_stream(buf_span(&a.body), LINES, WRONG_EACH, false);
    buf_free(&a.body);
    a = ask_stream(buf_span(&body), lines);
    check_stream(buf_span(&a.body), LINES, WRONG_EACH, true);
    buf_free(&a.body);
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"cancel\",\"filter\":{\"tenant\":\"stream\"},\"dry_run\":true}", 200,
           "count", "2995");
    a = ask_stream(buf_span(&body), "Accept: application/json");
    assert_int_equal(a.status, 413); /* as one answer it is too much */
    buf_free(&a.body);
    buf_clear(&body);
    for (int i = 0; i < 100001; i++)
        buf_add_text(&body, "{\n");
    a = ask_stream(buf_span(&body), lines);
    assert_int_equal(a.status, 207);
    assert_true(contains(&a.body,
                         "{\"object\":\"bulk\",\"accepted\":0,\"refused\":100000,\"complete\":"
                         "false,\"code\":\"too_many\""));
    buf_free(&a.body);
    buf_clear(&body);
    buf_add_text(&body, "\n \n");
    a = ask_stream(buf_span(&body), lines);
    assert_int_equal(a.status, 422);
    buf_free(&a.body);
    buf_clear(&body);
    buf_add_text(&body, "{\"kind\":\"posts\",\"target\":\"");
    for (int i = 0; i < 70000; i++)
        buf_add_char(&body, 'a');
    buf_add_text(&body, "\"}\n");
    a = ask_stream(buf_span(&body), lines);
    assert_true(contains(&a.body, "{\"index\":0,\"status\":413,\"code\":\"body_too_large\""));
    buf_free(&a.body);
    buf_free(&body);
    a = (struct client_answer){.body = ask("GET", "/v1/limits", "").body};
    assert_true(contains(
        &a.body, "\"name\":\"bulk_streams\",\"unit\":\"streams\",\"max\":4,\"used\":0,"));
    buf_free(&a.body);
}

/* An order of so many bytes; blanks are part of its text. */
static void add_order(struct buf *body, const char *tenant, int number, size_t size)
{
    size_t start = body->n;
    buf_fmt(body, "{\"kind\":\"posts\",\"target\":\"@w%d\",\"tenant\":\"%s\"", number, tenant);
    while (body->n - start + 1 < size)
        buf_add_char(body, ' ');
    buf_add_char(body, '}');
}

static void check_wide_stream(int lines, size_t size, bool ends)
{
    char tenant[64];
    struct buf body = BUF(8 << 20);
    snprintf(tenant, sizeof tenant, "wide-%d-%zu-%d", lines, size, ends);
    for (int i = 0; i < lines; i++) {
        if (i)
            buf_add_char(&body, '\n');
        add_order(&body, tenant, i, size);
    }
    if (ends)
        buf_add_char(&body, '\n');
    struct client_answer a = ask_stream(buf_span(&body), "Accept: application/x-ndjson");
    assert_int_equal(a.status, 207);
    check_stream(buf_span(&a.body), lines, 0, false);
    buf_free(&a.body);
    buf_free(&body);
}

/* Pieces are cut by bytes as well, anywhere in a line, also in the last that comes; and the body may end without a newline. */
static void wide_orders_are_all_told_whether_a_newline_ends_them_or_not(void **state)
{
    (void)state;
    static const struct {
        int lines;
        size_t size;
    } rows[] = {{1, 100},   {99, 2000}, {100, 100}, {101, 1980}, {250, 2000},
                {60, 3300}, {61, 3300}, {4, 50000}, {5, 40000},  {5, 41000},
                {7, 65536}, {3, 65536}, {8, 28000}, {9, 24800},  {199, 1000}};
    stream_key = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_wide_stream(rows[i].lines, rows[i].size, false);
        check_wide_stream(rows[i].lines, rows[i].size, true);
    }
}

static void add_blanks(struct buf *body, int count)
{
    for (int i = 0; i < count; i++)
        buf_add_char(body, ' ');
}

/* Before an order they are nothing, however many; behind it they are part of its line, which may be too long. */
static void blanks_hide_no_order_of_a_stream(void **state)
{
    (void)state;
    enum { MANY = 70000 };
    struct buf body = BUF(1 << 20);
    struct span rest, line;
    stream_key = NULL;
    add_order(&body, "blank", 0, 100);
    buf_add_text(&body, "\r\n");
    add_blanks(&body, MANY);
    add_order(&body, "blank", 1, 65536);
    buf_add_text(&body, "\r\n");
    add_order(&body, "blank", 2, 100);
    add_blanks(&body, MANY);
    buf_add_text(&body, "and more\n");
    add_blanks(&body, MANY);
    struct client_answer a = ask_stream(buf_span(&body), "Accept: application/x-ndjson");
    assert_int_equal(a.status, 207);
    rest = buf_span(&a.body);
    static const char *const begins[] = {
        "{\"index\":0,\"status\":202,", "{\"index\":1,\"status\":202,",
        "{\"index\":2,\"status\":413,",
        "{\"object\":\"bulk\",\"accepted\":2,\"refused\":1,\"complete\":true"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!span_next(&rest, '\n', &line) || !span_starts(line, span_of(begins[i])))
            fail_msg("%.*s is not %s", SP(line), begins[i]);
    buf_free(&a.body);
    buf_free(&body);
}

static void with_the_file(const char *sql)
{
    char file[128];
    sqlite3 *db;
    snprintf(file, sizeof file, "%s/fulmar.db", server.folder);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, ANSWER_MS);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* With other settings. */
static void start_over(void)
{
    struct fault f = {0};
    char address[64];
    on_loop(start_anew, NULL);
    client_close(&client);
    snprintf(address, sizeof address, "http://127.0.0.1:%d", server.port);
    assert_int_equal(client_open(&client, span_of(address), &f), E_OK);
}

/* One order of the second piece is not taken: those around it are, and nothing behind that piece. Each of the piece is
 * then written alone, which takes as long as the disk does. */
static void what_a_stream_accepted_is_said_when_the_store_cannot_go_on(void **state)
{
    (void)state;
    stream_key = "Idempotency-Key: poisoned";
    enum { LINES = 250, POISON = 150, DONE = 200 };
    struct buf body = BUF(1 << 16);
    struct span rest, line;
    char begins[64];
    server.request_ms = ANSWER_MS;
    start_over();
    with_the_file("CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN NEW.target='poison'"
                  " BEGIN SELECT RAISE(ABORT,'poison'); END");
    for (int i = 0; i < LINES; i++)
        buf_fmt(&body, "{\"kind\":\"posts\",\"target\":\"@%s\",\"limit\":%d}\n",
                i == POISON ? "poison" : "sound", i + 1);
    struct client_answer a = ask_stream(buf_span(&body), "Accept: application/x-ndjson");
    assert_int_equal(a.status, 207);
    rest = buf_span(&a.body);
    for (int i = 0; i < DONE; i++) {
        snprintf(begins, sizeof begins, "{\"index\":%d,\"status\":%d,", i,
                 i == POISON ? 500 : 202);
        if (!span_next(&rest, '\n', &line) || !span_starts(line, span_of(begins)))
            fail_msg("%.*s is not %s", SP(line), begins);
        /* a mistake of the store's is one the next time too */
        if (i == POISON)
            assert_true(span_find(line, SPAN("\"retryable\":false")) < line.n);
    }
    assert_true(span_next(&rest, '\n', &line) && !rest.n);
    assert_true(span_starts(line, SPAN("{\"object\":\"bulk\",\"accepted\":199,\"refused\":0,"
                                       "\"complete\":false,\"code\":")));
    with_the_file("DROP TRIGGER poison");
    server.request_ms = REQUEST_MS;
    buf_free(&a.body);
    buf_free(&body);
}

/* The most of api.body_max: every request may be as large as a stream, and streams are counted off all the same. */
static void streams_end_where_every_body_may_be_as_large(void **state)
{
    (void)state;
    struct span one = SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\",\"tenant\":\"large\"}\n");
    stream_key = "Idempotency-Key: large";
    server.body_max = 32 << 20;
    start_over();
    for (int i = 0; i < 9; i++) { /* more than twice as many as there may be at once */
        struct client_answer a = ask_stream(one, "Accept: application/x-ndjson");
        assert_int_equal(a.status, 207);
        buf_free(&a.body);
    }
    struct answer_of a = ask("GET", "/v1/limits", "");
    assert_true(contains(
        &a.body, "\"name\":\"bulk_streams\",\"unit\":\"streams\",\"max\":4,\"used\":0,"));
    buf_free(&a.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_held_and_let_go),
        cmocka_unit_test(a_job_may_be_submitted_held),
        cmocka_unit_test(an_order_is_looked_at_and_not_taken),
        cmocka_unit_test(what_a_job_is_about_stays_and_how_it_stands_changes),
        cmocka_unit_test(what_a_job_may_take_stays_with_it),
        cmocka_unit_test(a_change_may_be_of_what_was_seen_only),
        cmocka_unit_test(a_job_that_runs_is_not_changed),
        cmocka_unit_test(an_ended_job_is_deleted_with_all_of_it),
        cmocka_unit_test(a_result_that_another_job_has_stays),
        cmocka_unit_test(a_result_of_the_unique_key_answers_at_once),
        cmocka_unit_test(a_job_says_who_has_it_and_how_it_ended),
        cmocka_unit_test(jobs_are_listed_by_what_they_are),
        cmocka_unit_test(jobs_say_how_often_and_when_they_are_tried_again),
        cmocka_unit_test(jobs_have_labels),
        cmocka_unit_test(batches_and_schedules_label_their_jobs),
        cmocka_unit_test(many_are_acted_on_by_their_labels),
        cmocka_unit_test(what_would_be_done_to_many_is_told_and_done),
        cmocka_unit_test(mistakes_in_an_action_are_named),
        cmocka_unit_test(many_orders_are_accepted_each_for_itself),
        cmocka_unit_test(hundreds_of_lines_are_accepted_in_pieces),
        cmocka_unit_test(thousands_of_lines_come_back_as_they_are_accepted),
        cmocka_unit_test(wide_orders_are_all_told_whether_a_newline_ends_them_or_not),
        cmocka_unit_test(blanks_hide_no_order_of_a_stream),
        cmocka_unit_test(what_a_stream_accepted_is_said_when_the_store_cannot_go_on),
        cmocka_unit_test(streams_end_where_every_body_may_be_as_large),
    };
    return cmocka_run_group_tests(tests, asked_start, asked_stop);
}

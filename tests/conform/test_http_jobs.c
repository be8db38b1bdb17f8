/* Jobs over HTTP: changed, held, let go, deleted; each verb and each refusal, against a real API over a real store. */
#include "../lib/asked.h"

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

static void a_change_may_be_of_what_was_seen_only(void **state)
{
    (void)state;
    char seen[80];
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
    EXPECT("DELETE", path, "", 204, NULL);
    EXPECT("DELETE", first, "", 204, NULL);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_held_and_let_go),
        cmocka_unit_test(a_job_may_be_submitted_held),
        cmocka_unit_test(what_a_job_is_about_stays_and_how_it_stands_changes),
        cmocka_unit_test(a_change_may_be_of_what_was_seen_only),
        cmocka_unit_test(a_job_that_runs_is_not_changed),
        cmocka_unit_test(an_ended_job_is_deleted_with_all_of_it),
        cmocka_unit_test(a_result_that_another_job_has_stays),
    };
    return cmocka_run_group_tests(tests, asked_start, asked_stop);
}

/* Webhooks over HTTP: every verb and every refusal, against a real API over a real store. Nobody delivers here:
 * upkeep is not running (tests/system/webhooks.sh has that). */
#include "../lib/asked.h"

#define URL "\"url\":\"https://desk.example/fulmar\""

static char id[40], path[700];

static void at(const char *rest)
{
    snprintf(path, sizeof path, "/v1/webhooks/%s%s", id, rest);
}

static void make(const char *body, char secret[512])
{
    char text[512];
    struct answer_of a = ask("POST", "/v1/webhooks", body);
    if (a.status != 201)
        fail_msg("%d: %.*s", a.status, SP(buf_span(&a.body)));
    member(&a.body, "id", text);
    span_copy(span_of(text), id, sizeof id);
    member(&a.body, "secret", secret);
    buf_free(&a.body);
}

static void one_is_made_changed_and_removed_and_its_secret_is_shown_once(void **state)
{
    (void)state;
    char secret[512], other[512];
    EXPECT("GET", "/v1/webhooks", "", 200, "object", "list", "data", "[]", "page.has_more",
           "false");
    make("{" URL ",\"name\":\"desk\",\"types\":[\"job.finished\",\"batch.*\"]}", secret);
    assert_true(span_starts(span_of(secret), SPAN("whsec_")));
    at("");
    EXPECT("GET", path, "", 200, "object", "webhook", "name", "desk", "url",
           "https://desk.example/fulmar", "types", "[\"job.finished\",\"batch.*\"]", "enabled",
           "true", "status.state", "active", "status.pending", "0", "status.missed_events", "0",
           "secret", "null", "revision", "1");
    EXPECT("PATCH", path, "{\"name\":\"night\"}", 428, "code", "precondition_required");
    EXPECT("DELETE", path, "", 428, "code", "precondition_required");
    if_match = "If-Match: \"r7\"";
    EXPECT("PATCH", path, "{\"name\":\"night\"}", 412, "code", "precondition_failed");
    EXPECT("DELETE", path, "", 412, "code", "precondition_failed");
    if_match = "If-Match: \"r1\"";
    EXPECT("PATCH", path, "{\"name\":\"night\",\"enabled\":false}", 200, "name", "night",
           "revision", "2", "types", "[\"job.finished\",\"batch.*\"]", "enabled", "false",
           "status.state", "disabled", "status.reason", "switched off");
    if_match = "If-Match: *";
    EXPECT("PATCH", path, "{\"enabled\":true,\"types\":[\"*\"]}", 200, "status.state", "active",
           "status.reason", "null", "types", "[\"*\"]");
    if_match = NULL;
    at("/rotate-secret");
    struct answer_of a = ask("POST", path, "{\"overlap_s\":3600}");
    assert_int_equal(a.status, 200);
    member(&a.body, "secret", other);
    assert_true(span_starts(span_of(other), SPAN("whsec_")) && strcmp(secret, other) != 0);
    assert_true(contains(&a.body, "\"old_secret_until\":\"20"));
    buf_free(&a.body);
    at("");
    if_match = "If-Match: *";
    a = ask("DELETE", path, "");
    assert_int_equal(a.status, 204);
    buf_free(&a.body);
    if_match = NULL;
    EXPECT("GET", path, "", 404, "code", "not_found");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    char secret[512];
    const char *all = "/v1/webhooks";
    refused("POST", all, "{}", 422, "/url", "where events are sent to");
    refused("POST", all, "{\"url\":\"ftp://a.example/\"}", 422, "/url", "http://");
    refused("POST", all, "{\"url\":\"https://me:pw@a.example/\"}", 422, "/url",
            "without a user");
    refused("POST", all, "{" URL ",\"typs\":[]}", 400, "/typs", "did you mean");
    refused("POST", all, "{" URL ",\"types\":\"*\"}", 422, "/types", "at most 40");
    refused("POST", all, "{" URL ",\"types\":[\"job.finnished\"]}", 422, "/types/0",
            "job.finished");
    refused("POST", all, "{" URL ",\"types\":[\"job.*\",7]}", 422, "/types/1",
            "must be a text");
    refused("POST", all, "{" URL ",\"secret\":\"whsec_short\"}", 422, "/secret",
            "24 to 64 bytes");
    refused("POST", all, "{" URL ",\"enabled\":1}", 422, "/enabled", "true or false");
    EXPECT("POST", all, "[]", 400, "code", "malformed_json");
    EXPECT("GET", "/v1/webhooks/whk_x", "", 404, "code", "not_found");
    EXPECT("GET", "/v1/webhooks/deliveries/dlv_x", "", 404, "code", "not_found");
    make("{" URL ",\"secret\":\"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"}", secret);
    assert_string_equal(secret, "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    at("/replay");
    refused("POST", path, "{}", 422, "/from", "since then");
    refused("POST", path, "{\"from\":\"soon\"}", 422, "/from", "RFC 3339");
    EXPECT("POST", path, "{\"from\":\"2026-02-06\"}", 200, "id", id);
    at("/rotate-secret");
    refused("POST", path, "{\"overlap_s\":-1}", 422, "/overlap_s", "0 to");
    at("/deliveries?state=lost");
    EXPECT("GET", path, "", 400, "code", "bad_parameter");
    at("/deliveries?after=job_1");
    EXPECT("GET", path, "", 400, "code", "bad_parameter");
    at("/ping");
    EXPECT("GET", path, "", 405, "code", "method_not_allowed");
}

/* ---- callbacks of jobs ---- */

#define NONE "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static void an_order_names_a_webhook_that_is_there(void **state)
{
    (void)state;
    char secret[512], job[512], where[600], body[1024], whk[40];
    make("{" URL ",\"types\":[]}", secret);
    memcpy(whk, id, sizeof whk);
    at("");
    EXPECT("GET", path, "", 200, "types", "[]");
    if_match = "If-Match: *";
    EXPECT("PATCH", path, "{\"types\":[\"job.*\"]}", 200, "types", "[\"job.*\"]");
    EXPECT("PATCH", path, "{\"types\":[]}", 200, "types", "[]");
    EXPECT("PATCH", path, "{\"name\":\"ends\"}", 200, "types", "[]");
    if_match = NULL;
#define ORDER "{\"kind\":\"posts\",\"target\":\"@nasa\",\"callback\":{\"webhook_id\":\"%s\"}}"
    snprintf(body, sizeof body, ORDER, whk);
    struct answer_of a = ask("POST", "/v1/jobs", body);
    assert_int_equal(a.status, 202);
    member(&a.body, "id", job);
    buf_free(&a.body);
    snprintf(where, sizeof where, "/v1/jobs/%s", job);
    EXPECT("GET", where, "", 200, "options.callback.webhook_id", whk);
    refused("PATCH", where, "{\"callback\":null}", 422, "/callback", "cannot be changed");
    EXPECT("PATCH", where, "{\"limit\":7}", 200, "options.callback.webhook_id", whk);
    EXPECT("POST", "/v1/jobs?dry_run=true", body, 200, "job.options.callback.webhook_id", whk);
    /* One that is not there is refused wherever an order is taken, with the place in the body. */
    snprintf(body, sizeof body, ORDER, NONE);
    const char *words = "there is no webhook " NONE "; GET /v1/webhooks lists them";
    refused("POST", "/v1/jobs", body, 422, "/callback/webhook_id", words);
    refused("POST", "/v1/jobs?dry_run=true", body, 422, "/callback/webhook_id", words);
    snprintf(where, sizeof where, "/v1/jobs/%s/rerun", job);
    EXPECT("POST", where, "", 202, "options.callback.webhook_id", whk);
    refused("POST", where, "{\"callback\":{\"webhook_id\":\"" NONE "\"}}", 422,
            "/callback/webhook_id", words);
    EXPECT("POST", where, "{\"callback\":null}", 202, "options.callback", "null");
    snprintf(body, sizeof body,
             "[" ORDER "," ORDER ",{\"kind\":\"posts\",\"target\":\"@nasa\"}]", NONE, whk);
    EXPECT("POST", "/v1/jobs/bulk", body, 207, "accepted", "2", "refused", "1");
    refused("POST", "/v1/jobs/bulk", body, 207, "/callback/webhook_id", words);
    snprintf(body, sizeof body, "[" ORDER "]", NONE);
    EXPECT("POST", "/v1/jobs/bulk", body, 207, "accepted", "0", "refused", "1");
    snprintf(body, sizeof body, "{\"name\":\"calling\",\"interval_s\":86400,\"job\":" ORDER "}",
             NONE);
    refused("POST", "/v1/schedules", body, 422, "/job/callback/webhook_id", words);
    snprintf(body, sizeof body, "{\"name\":\"calling\",\"interval_s\":86400,\"job\":" ORDER "}",
             whk);
    EXPECT("POST", "/v1/schedules", body, 201, "spec.job.callback.webhook_id", whk);
}

static void orders_of_a_batch_name_webhooks_that_are_there(void **state)
{
    (void)state;
    char secret[512], whk[40], body[2048];
    const char *words = "there is no webhook " NONE;
    make("{" URL ",\"types\":[]}", secret);
    memcpy(whk, id, sizeof whk);
    if_match = "Idempotency-Key: callbacks-1";
    snprintf(
        body, sizeof body,
        "{\"template\":{\"kind\":\"posts\",\"callback\":{\"webhook_id\":\"%s\"}},\"targets\":[\"@a\","
        "\"@b\"],\"mode\":\"partial\"}",
        NONE);
    refused("POST", "/v1/batches", body, 422, "/template/callback/webhook_id", words);
    snprintf(body, sizeof body, "{\"jobs\":[" ORDER "," ORDER "]}", whk, NONE);
    refused("POST", "/v1/batches", body, 422, "/jobs/1/callback/webhook_id", words);
    refused("POST", "/v1/batches?dry_run=true", body, 422, "/jobs/1/callback/webhook_id",
            words);
    snprintf(body, sizeof body, "{\"jobs\":[" ORDER "],\"callbacks\":{\"complete\":" ORDER "}}",
             whk, NONE);
    refused("POST", "/v1/batches", body, 422, "/callbacks/complete/callback/webhook_id", words);
    snprintf(body, sizeof body, "{\"jobs\":[" ORDER "],\"mode\":\"partial\"}", NONE);
    refused("POST", "/v1/batches", body, 422, "/jobs/0/callback/webhook_id", words);
    snprintf(body, sizeof body,
             "{\"jobs\":[" ORDER "," ORDER
             ",{\"kind\":\"posts\",\"target\":\"@c\"}],\"mode\":\"partial\","
             "\"callbacks\":{\"success\":" ORDER "}}",
             NONE, whk, whk);
    struct answer_of a = ask("POST", "/v1/batches", body);
    assert_int_equal(a.status, 202);
    assert_true(contains(&a.body, "\"added\":2") &&
                contains(&a.body, "\"index\":0,\"pointer\":\"/jobs/0/callback/webhook_id\""));
    buf_free(&a.body);
    if_match = NULL;
}

/* What was accepted is answered as it was, also when the webhook is gone. */
static void a_request_that_is_repeated_is_not_refused_for_a_webhook_that_is_gone(void **state)
{
    (void)state;
    char secret[512], body[512], job[512];
    make("{" URL ",\"types\":[]}", secret);
    snprintf(body, sizeof body, ORDER, id);
    if_match = "Idempotency-Key: callback-gone";
    struct answer_of a = ask("POST", "/v1/jobs", body);
    assert_int_equal(a.status, 202);
    member(&a.body, "id", job);
    buf_free(&a.body);
    at("");
    if_match = "If-Match: *";
    a = ask("DELETE", path, "");
    assert_int_equal(a.status, 204);
    buf_free(&a.body);
    if_match = "Idempotency-Key: callback-gone";
    EXPECT("POST", "/v1/jobs", body, 202, "id", job);
    if_match = NULL;
    refused("POST", "/v1/jobs", body, 422, "/callback/webhook_id", "there is no webhook");
}

static void a_batch_that_is_repeated_is_not_refused_for_a_webhook_that_is_gone(void **state)
{
    (void)state;
    char secret[512], whole[512], more[256], batch[512], jobs[600];
    make("{" URL ",\"types\":[]}", secret);
    snprintf(whole, sizeof whole,
             "{\"open\":true,\"mode\":\"partial\",\"jobs\":[" ORDER
             ",{\"kind\":\"posts\",\"target\":\"@c\"}]}",
             id);
    snprintf(more, sizeof more, "{\"jobs\":[" ORDER "]}", id);
    if_match = "Idempotency-Key: batch-gone";
    struct answer_of a = ask("POST", "/v1/batches", whole);
    assert_int_equal(a.status, 202);
    member(&a.body, "id", batch);
    buf_free(&a.body);
    snprintf(jobs, sizeof jobs, "/v1/batches/%s/jobs", batch);
    if_match = "Idempotency-Key: batch-gone-more";
    EXPECT("POST", jobs, more, 202, "id", batch, "counts.total", "3");
    at("");
    if_match = "If-Match: *";
    a = ask("DELETE", path, "");
    assert_int_equal(a.status, 204);
    buf_free(&a.body);
    if_match = "Idempotency-Key: batch-gone-more";
    EXPECT("POST", jobs, more, 202, "id", batch, "counts.total", "3", "added", "1");
    if_match = "Idempotency-Key: batch-gone";
    EXPECT("POST", "/v1/batches", whole, 202, "id", batch, "counts.total", "3", "refused",
           "[]");
    EXPECT("POST", "/v1/batches", more, 422, "code", "idempotency_mismatch");
    refused("POST", jobs, more, 422, "/jobs/0/callback/webhook_id", "there is no webhook");
    if_match = "Idempotency-Key: batch-gone-new";
    refused("POST", "/v1/batches", more, 422, "/jobs/0/callback/webhook_id",
            "there is no webhook");
    if_match = NULL;
}

static void deliveries_are_asked_for_listed_and_sent_again(void **state)
{
    (void)state;
    char secret[512], delivery[512], where[600];
    make("{" URL "}", secret);
    for (int i = 0; i < 3; i++) {
        at("/ping");
        struct answer_of a = ask("POST", path, "");
        assert_int_equal(a.status, 202);
        member(&a.body, "id", delivery);
        buf_free(&a.body);
    }
    snprintf(where, sizeof where, "/v1/webhooks/deliveries/%s", delivery);
    EXPECT("GET", where, "", 200, "object", "delivery", "webhook", id, "type", "ping", "state",
           "pending", "attempts", "0", "last_status", "null", "why", "null", "seq", "null",
           "event", delivery);
    at("/deliveries?limit=1");
    EXPECT("GET", path, "", 200, "page.has_more", "true", "page.next_after", delivery);
    snprintf(path, sizeof path, "/v1/webhooks/%s/deliveries?after=%s", id, delivery);
    struct answer_of a = ask("GET", path, "");
    assert_true(contains(&a.body, "\"has_more\":false") && !contains(&a.body, delivery));
    buf_free(&a.body);
    at("/deliveries?state=dead");
    EXPECT("GET", path, "", 200, "data", "[]");
    snprintf(where, sizeof where, "/v1/webhooks/deliveries/%s/redeliver", delivery);
    EXPECT("POST", where, "", 202, "event", delivery, "state", "pending", "type", "ping");
    at("");
    EXPECT("GET", path, "", 200, "status.pending", "4");
}

static void there_are_thirty_two_at_most(void **state)
{
    (void)state;
    struct answer_of a = {0};
    for (int i = 0; i < 33 && (i == 0 || a.status == 201); i++) {
        buf_free(&a.body);
        a = ask("POST", "/v1/webhooks", "{" URL "}");
    }
    assert_int_equal(a.status, 503);
    assert_true(contains(&a.body, "32 webhooks"));
    buf_free(&a.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_made_changed_and_removed_and_its_secret_is_shown_once),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(an_order_names_a_webhook_that_is_there),
        cmocka_unit_test(orders_of_a_batch_name_webhooks_that_are_there),
        cmocka_unit_test(a_request_that_is_repeated_is_not_refused_for_a_webhook_that_is_gone),
        cmocka_unit_test(a_batch_that_is_repeated_is_not_refused_for_a_webhook_that_is_gone),
        cmocka_unit_test(deliveries_are_asked_for_listed_and_sent_again),
        cmocka_unit_test(there_are_thirty_two_at_most),
    };
    return cmocka_run_group_tests(tests, asked_start, asked_stop);
}

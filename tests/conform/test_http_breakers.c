/* Breakers of all kinds over HTTP, and limits of webhooks, against a real API over a real store. */
#include "../lib/asked.h"

static char hook[40], session[40];

static void submit(const char *members)
{
    char body[256];
    snprintf(body, sizeof body, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", members);
    EXPECT("POST", "/v1/jobs", body, 202, NULL);
}

static void made(const char *path, const char *body, char out[40])
{
    char text[512];
    struct answer_of a = ask("POST", path, body);
    if (a.status != 201)
        fail_msg("%s: %d: %.*s", path, a.status, SP(buf_span(&a.body)));
    member(&a.body, "id", text);
    span_copy(span_of(text), out, 40);
    buf_free(&a.body);
}

static const char *at(const char *before, const char *id, const char *behind)
{
    static char path[200];
    snprintf(path, sizeof path, "/v1/%s%s%s", before, id, behind);
    return path;
}

/* Keys of the answer, a space behind each. */
static void keys_are(const char *path, const char *wanted)
{
    char key[512], found[2048] = "";
    struct answer_of a = ask("GET", path, "");
    assert_int_equal(a.status, 200);
    for (int i = 0;; i++) {
        struct json_parser *p = json_parser_new(ANSWER_BYTES);
        struct json root, one = JSON_MISSING;
        int n = 0;
        assert_int_equal(json_parse(p, buf_span(&a.body), &root, NULL), E_OK);
        for (struct json_iter k = json_each(json_get(root, SPAN("data"))); json_next(&k); n++)
            if (n == i)
                one = k.value;
        struct span text = SPAN_NONE;
        bool there = one.doc && json_text(json_get(one, SPAN("key")), &text);
        span_copy(there ? text : SPAN(""), key, sizeof key);
        json_parser_free(&p);
        if (!there)
            break;
        strncat(found, key, sizeof found - strlen(found) - 1);
        strncat(found, " ", sizeof found - strlen(found) - 1);
    }
    buf_free(&a.body);
    assert_string_equal(found, wanted);
}

static void one_list_has_all_kinds_in_one_form(void **state)
{
    (void)state;
    char wanted[512];
    submit("");
    submit(",\"class\":\"bulk\",\"tenant\":\"press\"");
    made("/v1/webhooks", "{\"url\":\"https://desk.example/in\"}", hook);
    made("/v1/sessions", "{\"name\":\"anna\"}", session);
    /* A session without cookies is of no use; all others are simply closed. */
    snprintf(wanted, sizeof wanted, "sessions/%s ", session);
    keys_are("/v1/breakers", wanted);
    keys_are("/v1/breakers?state=open", wanted);
    keys_are("/v1/breakers?kind=queue", "");
    keys_are("/v1/breakers?kind=store&all=true", "store ");
    keys_are("/v1/breakers?kind=site&state=closed&limit=1", "sites/x ");
    keys_are("/v1/breakers?kind=queue&all=true", "default/x/normal press/x/bulk ");
    keys_are("/v1/breakers?kind=queue&all=true&limit=1&after=default/x/normal",
             "press/x/bulk ");
    snprintf(wanted, sizeof wanted, "sites/x sessions/%s webhooks/%s default/x/normal ",
             session, hook);
    keys_are("/v1/breakers?all=true&limit=4&after=store", wanted);
    snprintf(wanted, sizeof wanted, "/v1/breakers?all=true&after=webhooks/%s", hook);
    keys_are(wanted, "default/x/normal press/x/bulk ");
    keys_are("/v1/breakers?all=true&limit=2", "store sites/x ");
    EXPECT("GET", "/v1/breakers?all=true&limit=2", "", 200, "page.has_more", "true",
           "page.next_after", "sites/x");
    EXPECT("GET", "/v1/breakers?kind=queues", "", 400, "code", "bad_parameter", "detail",
           "kind must be one of store, site, session, webhook, queue");
    EXPECT("GET", "/v1/breakers?state=ajar", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/breakers?all=yes", "", 400, "code", "bad_parameter");
    EXPECT("GET", "/v1/breakers/default/x/normal", "", 200, "key", "default/x/normal", "kind",
           "queue", "state", "closed", "since", "null", "failure_ratio", "null", "samples", "0",
           "failures", "0", "openings", "0", "until", "null", "next_probe_at", "null",
           "probes_left", "null", "forced", "false", "by", "null", "reason", "null", "ready",
           "1", "links.queue", "/v1/queues/default/x/normal");
    EXPECT("GET", at("breakers/sessions/", "anna", ""), "", 200, "kind", "session", "state",
           "open", "failures", "0", "openings", "null", "samples", "null", "failure_ratio",
           "null", "forced", "false", "trouble", "invalid: it has no cookies yet");
    EXPECT("GET", at("breakers/webhooks/", hook, ""), "", 200, "kind", "webhook", "state",
           "closed", "links.self", at("breakers/webhooks/", hook, ""));
    EXPECT("GET", "/v1/breakers/store", "", 200, "key", "store", "kind", "store", "state",
           "closed", "failures", "0", "since", "null");
    EXPECT("GET", "/v1/breakers/sites/nosuch", "", 404, "code", "not_found");
    EXPECT("GET", "/v1/breakers/sessions/nosuch", "", 404, "code", "not_found");
    EXPECT("GET", "/v1/breakers/webhooks/whk_1", "", 404, "code", "not_found");
}

static void the_store_is_not_held_by_hand(void **state)
{
    (void)state;
    static const char *const acts[] = {"open", "close", "reset"};
    for (int i = 0; i < 3; i++)
        EXPECT("POST", at("breakers/store/", acts[i], ""), "{\"reason\":\"a\"}", 409, "code",
               "conflict_state");
}

static void a_site_is_all_its_queues(void **state)
{
    (void)state;
    EXPECT("POST", "/v1/breakers/sites/x/open?dry_run=true", "{\"reason\":\"drill\"}", 200,
           "object", "dry_run", "action", "open", "count", "2", "count_kind", "exact");
    EXPECT("GET", "/v1/breakers/sites/x", "", 200, "state", "closed", "queues.open", "0");
    refused("POST", "/v1/breakers/sites/x/open", "{}", 422, "/reason", "say why");
    EXPECT("POST", "/v1/breakers/sites/x/open", "{\"by\":\"anna\",\"reason\":\"drill\"}", 200,
           "key", "sites/x", "kind", "site", "state", "open", "queues.open", "2", "forced",
           "true", "by", "anna", "reason", "drill", "links.queues", "/v1/queues?site=x");
    EXPECT("GET", "/v1/breakers/press/x/bulk", "", 200, "state", "open", "by", "anna", "reason",
           "drill");
    keys_are("/v1/breakers?state=open&kind=site", "sites/x ");
    keys_are("/v1/breakers?kind=queue", "default/x/normal press/x/bulk ");
    EXPECT("POST", "/v1/breakers/press/x/bulk/close", "{\"reason\":\"one\",\"ttl_s\":60}", 200,
           "state", "closed", "forced", "true", "reason", "one");
    EXPECT("GET", "/v1/breakers/sites/x", "", 200, "state", "open", "queues.open", "1");
    keys_are("/v1/breakers?kind=queue&state=closed", "press/x/bulk ");
    EXPECT("POST", "/v1/breakers/sites/x/reset", "", 200, "state", "closed", "queues.open", "0",
           "forced", "false");
    EXPECT("POST", "/v1/breakers/sites/nosuch/open", "{\"reason\":\"a\"}", 404, "code",
           "not_found");
    EXPECT("POST", "/v1/breakers/sites/x/open?dry_run=maybe", "{\"reason\":\"a\"}", 400, "code",
           "bad_parameter");
}

static void a_session_is_held_and_let_go(void **state)
{
    (void)state;
    const char *held = "{\"by\":\"anna\",\"reason\":\"a new device\",\"ttl_s\":60}";
    EXPECT("POST", at("breakers/sessions/", "anna", "/close"), "{\"reason\":\"a\"}", 409,
           "code", "conflict_state");
    EXPECT("POST", at("breakers/sessions/", "anna", "/close"), "{}", 422, "code",
           "validation_failed");
    EXPECT("POST", at("breakers/sessions/", "anna", "/close"), "{\"reason\":\"a\",\"ttl_s\":5}",
           400, "code", "unknown_field");
    EXPECT("POST", at("breakers/sessions/", session, "/open"), held, 200, "state", "open",
           "forced", "true", "by", "anna", "reason", "a new device");
    EXPECT("POST", at("breakers/sessions/", session, "/reset"), "", 409, NULL);
    EXPECT("POST", at("breakers/sessions/", "nosuch", "/open"), held, 404, NULL);
}

static void a_webhook_is_held_limited_and_let_go(void **state)
{
    (void)state;
    const char *held = "{\"by\":\"bert\",\"reason\":\"it is moved\",\"ttl_s\":60}";
    EXPECT("POST", at("breakers/webhooks/", hook, "/open"), held, 200, "state", "open",
           "forced", "true", "by", "bert", "reason", "it is moved", "failures", "0");
    EXPECT("GET", at("webhooks/", hook, ""), "", 200, "status.state", "resting");
    EXPECT("POST", at("breakers/webhooks/", hook, "/close"), "{\"reason\":\"a\"}", 200, "state",
           "closed", "forced", "false", "until", "null");
    EXPECT("POST", at("breakers/webhooks/", hook, "/close"), "{\"reason\":\"a\"}", 200, NULL);
    EXPECT("POST", at("breakers/webhooks/", hook, "/reset"), "", 200, "failures", "0");
    EXPECT("PUT", at("limits/webhooks/", hook, ""), "{\"max_running\":17}", 422, "code",
           "validation_failed");
    EXPECT("PUT", at("limits/webhooks/", hook, ""), "{\"weight\":3}", 400, NULL);
    EXPECT("PUT", "/v1/limits/webhooks/whk_00000000000000000000000000", "{\"max_running\":1}",
           404, "code", "not_found");
    EXPECT("PUT", at("limits/webhooks/", hook, ""),
           "{\"max_running\":2,\"rate\":{\"every_ms\":500}}", 200, "object", "limits");
    char wanted[200];
    struct answer_of a = ask("PATCH", at("limits/webhooks/", hook, ""), "{\"max_running\":9}");
    assert_int_equal(a.status, 200);
    snprintf(wanted, sizeof wanted,
             "\"webhooks\":[{\"name\":\"%s\",\"max_running\":9,\"rate\":{\"every_ms\":500,"
             "\"burst\":1},\"running\":0}]",
             hook);
    if (!contains(&a.body, wanted))
        fail_msg("no %s in %.*s", wanted, SP(buf_span(&a.body)));
    buf_free(&a.body);
    EXPECT("GET", at("limits/effective?webhook=", hook, ""), "", 200, "object",
           "effective_limits", "webhook", hook, "max_running.value", "9", "max_running.wins",
           "webhook", "max_running.running", "0", "rate.every_ms", "500", "rate.wins",
           "webhook", "trouble", "null");
    EXPECT("PUT", at("limits/webhooks/", hook, ""), "{}", 200, NULL);
    EXPECT("GET", at("limits/effective?webhook=", hook, ""), "", 200, "max_running.value", "4",
           "max_running.wins", "default", "rate.wins", "null", "rate.why", "it has no rate");
    EXPECT("GET", at("limits/effective?webhook=", hook, "&site=x"), "", 400, "code",
           "bad_parameter");
    EXPECT("GET", "/v1/limits/effective?webhook=whk_1", "", 404, "code", "not_found");
    EXPECT("PATCH", at("webhooks/", hook, ""), "{\"enabled\":false}", 200, NULL);
    EXPECT("GET", at("breakers/webhooks/", hook, ""), "", 200, "state", "open", "trouble",
           "switched off: switched off");
    EXPECT("POST", at("breakers/webhooks/", hook, "/close"), "{\"reason\":\"a\"}", 409, NULL);
}

static int start_anyhow(void **state)
{
    if_match = "If-Match: *";
    return asked_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_list_has_all_kinds_in_one_form),
        cmocka_unit_test(the_store_is_not_held_by_hand),
        cmocka_unit_test(a_site_is_all_its_queues),
        cmocka_unit_test(a_session_is_held_and_let_go),
        cmocka_unit_test(a_webhook_is_held_limited_and_let_go),
    };
    return cmocka_run_group_tests(tests, start_anyhow, asked_stop);
}

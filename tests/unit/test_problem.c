#include "wire/problem.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_problem_is_rfc_9457(void **state)
{
    (void)state;
    const struct problem_error errors[] = {
        {SPAN("/limit"), "range", SPAN("must be 1 to 100000")},
        {SPAN("/a~1b"), "unknown_field", SPAN("did you mean \"x\"?\n\x01")},
    };
    struct problem p = {.status = 422,
                        .code = "validation_failed",
                        .detail = SPAN("values \"were\" refused"),
                        .request_id = SPAN("req_1"),
                        .hint = "look",
                        .errors = errors,
                        .error_count = 2,
                        .retryable = true};
    struct buf out = BUF(4096);
    struct json_parser *parser = json_parser_new(4096);
    struct json root;
    struct span text;
    int64_t status;
    bool retryable = false;
    problem_write(&out, &p);
    assert_int_equal(json_parse(parser, buf_span(&out), &root, NULL), E_OK);
    assert_true(json_text(json_get(root, SPAN("type")), &text) &&
                span_is(text, "urn:fulmar:problem:validation-failed"));
    assert_true(json_text(json_get(root, SPAN("title")), &text) &&
                span_is(text, "Unprocessable Content"));
    assert_true(json_int(json_get(root, SPAN("status")), &status) && status == 422);
    assert_true(json_text(json_get(root, SPAN("detail")), &text) &&
                span_is(text, "values \"were\" refused"));
    assert_true(json_text(json_get(root, SPAN("code")), &text) &&
                span_is(text, "validation_failed"));
    assert_true(json_text(json_get(root, SPAN("request_id")), &text) && span_is(text, "req_1"));
    assert_true(json_bool(json_get(root, SPAN("retryable")), &retryable) && retryable);
    struct json rows = json_get(root, SPAN("errors"));
    assert_int_equal(json_count(rows), 2);
    assert_true(json_text(json_get(json_at(rows, 1), SPAN("pointer")), &text) &&
                span_is(text, "/a~1b"));
    assert_true(json_text(json_get(json_at(rows, 1), SPAN("detail")), &text) &&
                span_is(text, "did you mean \"x\"?\n\x01"));
    json_parser_free(&parser);
    buf_free(&out);
}

static void every_status_we_send_has_a_title(void **state)
{
    (void)state;
    static const int sent[] = {400, 403, 404, 405, 409, 413, 415, 421,
                               422, 429, 500, 501, 502, 503, 504, 507};
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++)
        assert_string_not_equal(problem_title(sent[i]), "Error");
    /* So has every error of ours that can become an answer. */
    for (int e = E_OK + 1; e < E_COUNT; e++)
        if (err_http((err)e) >= 400)
            assert_string_not_equal(problem_title(err_http((err)e)), "Error");
    assert_string_equal(problem_title(299), "Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_is_rfc_9457),
        cmocka_unit_test(every_status_we_send_has_a_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

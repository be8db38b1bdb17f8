#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include "wire/cdp.h"

#include <cmocka.h>

static void assert_span(struct span s, const char *text)
{
    if (!span_is(s, text))
        fail_msg("\"%.*s\" is not \"%s\"", SP(s), text);
}

static struct cdp_message read_good(const char *text)
{
    struct cdp_message m;
    assert_int_equal(cdp_read(span_of(text), &m), E_OK);
    return m;
}

static void answer(void **state)
{
    (void)state;
    struct cdp_message m =
        read_good("{\"id\":42,\"result\":{\"a\":\"}\"},\"sessionId\":\"ABC\"}");
    assert_true(m.answer);
    assert_false(m.refused);
    assert_int_equal(m.id, 42);
    assert_span(m.payload, "{\"a\":\"}\"}");
    assert_span(m.session, "ABC");
    m = read_good("{\"id\":1,\"result\":{}}");
    assert_span(m.payload, "{}");
    assert_int_equal(m.session.n, 0);
}

static void refusal(void **state)
{
    (void)state;
    struct cdp_message m = read_good("{\"id\":7,\"error\":{\"code\":-32000,\"message\":\"No "
                                     "\\\"x\\\"\"},\"sessionId\":\"S\"}");
    struct span words;
    int64_t code;
    assert_true(m.answer && m.refused);
    assert_true(cdp_member_text(m.payload, "message", &words));
    assert_span(words, "No \\\"x\\\"");
    assert_true(cdp_member_int(m.payload, "code", &code));
    assert_int_equal(code, -32000);
}

static void event(void **state)
{
    (void)state;
    struct cdp_message m = read_good("{\"method\":\"Page.loadEventFired\",\"params\":{"
                                     "\"timestamp\":1.5},\"sessionId\":\"S1\"}");
    assert_false(m.answer);
    assert_span(m.method, "Page.loadEventFired");
    assert_span(m.payload, "{\"timestamp\":1.5}");
    assert_span(m.session, "S1");
    m = read_good("{\"method\":\"A.b\",\"params\":{}}");
    assert_span(m.payload, "{}");
    m = read_good("{\"method\":\"A.b\"}");
    assert_int_equal(m.payload.n, 0);
}

/* A session named inside the payload, or inside a string, is not the message's session. */
static void foreign_session(void **state)
{
    (void)state;
    struct cdp_message m =
        read_good("{\"method\":\"T.a\",\"params\":{\"x\":1,\"sessionId\":\"INNER\"}}");
    assert_int_equal(m.session.n, 0);
    assert_span(m.payload, "{\"x\":1,\"sessionId\":\"INNER\"}");
    m = read_good("{\"method\":\"T.a\",\"params\":{\"s\":\",\\\"sessionId\\\":\\\"FORGED\\\"}"
                  "\"},\"sessionId\":\"REAL\"}");
    assert_span(m.session, "REAL");
}

static void other_order(void **state)
{
    (void)state;
    struct cdp_message m = read_good(" { \"sessionId\" : \"S\" , \"params\" : [1,{\"a\":[]}] , "
                                     "\"method\" : \"X.y\", \"extra\":null } ");
    assert_span(m.session, "S");
    assert_span(m.method, "X.y");
    assert_span(m.payload, "[1,{\"a\":[]}]");
    m = read_good("{\"result\":{},\"id\":9}");
    assert_int_equal(m.id, 9);
}

static void broken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "{}",
        "[]",
        "null",
        "{\"id\":}",
        "{\"id\":\"1\",\"result\":{}}",
        "{\"id\":1,\"result\":{}",
        "{\"id\":1,\"result\":{]}",
        "{\"method\":\"\"}",
        "{\"method\":\"a",
        "{\"id\":99999999999999999999,\"result\":{}}",
        "{\"id\":1,\"result\":{}}x",
        "{\"method\":1}",
        "{\"id\":1,\"method\":\"a\"} {",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cdp_message m;
        if (cdp_read(span_of(texts[i]), &m) != E_PROTOCOL)
            fail_msg("read \"%s\"", texts[i]);
    }
}

static void too_deep(void **state)
{
    (void)state;
    char text[CDP_DEPTH_MAX * 2 + 40] = "{\"x\":";
    size_t n = strlen(text);
    memset(text + n, '[', CDP_DEPTH_MAX + 1);
    struct cdp_message m;
    assert_int_equal(cdp_read(span_of(text), &m), E_PROTOCOL);
}

static void items(void **state)
{
    (void)state;
    struct span rest = SPAN("[{\"id\":1}, \"a,]\" ,3]"), v;
    assert_true(cdp_next_item(&rest, &v));
    assert_span(v, "{\"id\":1}");
    assert_true(cdp_next_item(&rest, &v));
    assert_span(v, "\"a,]\"");
    assert_true(cdp_next_item(&rest, &v));
    assert_span(v, "3");
    assert_false(cdp_next_item(&rest, &v));
    rest = SPAN("[]");
    assert_false(cdp_next_item(&rest, &v));
}

static void command(void **state)
{
    (void)state;
    struct buf out = BUF(1000);
    cdp_add_command(&out, 5, SPAN("S"), "Page.enable", SPAN_NONE);
    assert_span(buf_span(&out),
                "{\"id\":5,\"method\":\"Page.enable\",\"params\":{},\"sessionId\":\"S\"}");
    buf_clear(&out);
    cdp_add_command(&out, 6, SPAN_NONE, "Target.closeTarget", SPAN("{\"a\":1}"));
    assert_span(buf_span(&out),
                "{\"id\":6,\"method\":\"Target.closeTarget\",\"params\":{\"a\":1}}");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer),      cmocka_unit_test(refusal),
        cmocka_unit_test(event),       cmocka_unit_test(foreign_session),
        cmocka_unit_test(other_order), cmocka_unit_test(broken),
        cmocka_unit_test(too_deep),    cmocka_unit_test(items),
        cmocka_unit_test(command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

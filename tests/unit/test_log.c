/* Log lines, and the report of a broken promise. */
#include "base/log.h"

#include "base/json.h"
#include "base/need.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct buf got = BUF(4 * 1024 * 1024);
static enum log_level got_level;
static int got_count;

static wall test_now(void)
{
    return (wall){1770412185123};
}

static void sink(enum log_level level, struct span line, void *ctx)
{
    assert_string_equal(ctx, "ctx");
    got_level = level;
    got_count++;
    buf_clear(&got);
    buf_add(&got, line);
}

static void start(enum log_format format)
{
    static char ctx[] = "ctx";
    log_setup("node", format, LOG_INFO, test_now);
    log_divert(sink, ctx);
    buf_clear(&got);
    got_count = 0;
}

static int finish(void **state)
{
    (void)state;
    log_divert(NULL, NULL);
    buf_free(&got);
    return 0;
}

static void got_is(const char *expected)
{
    buf_add_char(&got, '\0');
    assert_string_equal(got.p, expected);
}

static void a_line_has_all_fields(void **state)
{
    (void)state;
    start(LOG_LOGFMT);
    log_info("job.done", F_S("job", SPAN("job_01J")), F_N("ms", 4182), F_X("result", E_OK),
             F_C("why", "a b"), F_N("min", INT64_MIN), F_S("empty", SPAN_NONE));
    assert_int_equal(got_level, LOG_INFO);
    got_is("2026-02-06T21:09:45.123Z info  node job.done job=job_01J ms=4182 result=E_OK "
           "why=\"a b\" min=-9223372036854775808 empty=\"\"");
    log_error("x", F_X("e", E_TIMEOUT));
    got_is("2026-02-06T21:09:45.123Z error node x e=E_TIMEOUT");
}

static void low_levels_are_left_out(void **state)
{
    (void)state;
    start(LOG_LOGFMT);
    log_debug("quiet", F_N("n", 1));
    assert_int_equal(got_count, 0);
    log_setup("node", LOG_LOGFMT, LOG_DEBUG, test_now);
    log_debug("quiet", F_N("n", 1));
    assert_int_equal(got_count, 1);
}

/* Whatever bytes a field has: one line, and a reader finds exactly our keys in it. */
static void a_field_cannot_forge(void **state)
{
    (void)state;
    start(LOG_LOGFMT);
    log_warn("page.said", F_C("text", "x\n2026-02-06T21:09:45.123Z error node job.lost job=1"));
    got_is("2026-02-06T21:09:45.123Z warn  node page.said "
           "text=\"x\\n2026-02-06T21:09:45.123Z error node job.lost job=1\"");
    log_warn("page.said", F_C("text", "x\" level=\"y"), F_C("url", "a=b"), F_C("back", "\\"));
    got_is(
        "2026-02-06T21:09:45.123Z warn  node page.said text=\"x\\\" level=\\\"y\" url=\"a=b\" "
        "back=\"\\\\\"");
    log_warn("page.said", F_C("text", "\x1b[2J\r\xc2\x85\u2028\u202e\xff\x7f\t"));
    got_is("2026-02-06T21:09:45.123Z warn  node page.said "
           "text=\"\\u001b[2J\\u000d\\u0085\\u2028\\u202e\ufffd\\u007f\\t\"");
    for (int c = 0; c < 256; c++) {
        char bytes[] = {'a', (char)c, 'b'};
        log_warn("page.said", F_S("text", ((struct span){bytes, 3})));
        for (size_t i = 0; i < got.n; i++)
            assert_true((unsigned char)got.p[i] >= ' ' && got.p[i] != 0x7f);
    }
}

static void json_lines_can_be_parsed(void **state)
{
    (void)state;
    start(LOG_JSON);
    log_info("page.said", F_C("text", "x\"}\n{\xff"), F_N("n", -5), F_X("e", E_NET));
    assert_int_equal(span_find_char(buf_span(&got), '\n'), got.n);
    struct json_parser *p = json_parser_new(100000);
    struct json root;
    struct span s;
    int64_t n;
    assert_int_equal(json_parse(p, buf_span(&got), &root, NULL), E_OK);
    assert_int_equal(json_count(root), 7);
    assert_true(json_text(json_get(root, SPAN("time")), &s));
    assert_true(span_is(s, "2026-02-06T21:09:45.123Z"));
    assert_true(json_text(json_get(root, SPAN("level")), &s) && span_is(s, "info"));
    assert_true(json_text(json_get(root, SPAN("role")), &s) && span_is(s, "node"));
    assert_true(json_text(json_get(root, SPAN("event")), &s) && span_is(s, "page.said"));
    assert_true(json_text(json_get(root, SPAN("text")), &s) && span_is(s, "x\"}\n{\ufffd"));
    assert_true(json_int(json_get(root, SPAN("n")), &n) && n == -5);
    assert_true(json_text(json_get(root, SPAN("e")), &s) && span_is(s, "E_NET"));
    json_parser_free(&p);
}

static void long_fields_are_cut(void **state)
{
    (void)state;
    static char large[100000];
    memset(large, 'x', sizeof large);
    struct span value = {large, sizeof large};
    struct json_parser *p = json_parser_new(100000);
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        start((enum log_format)format);
        memset(large, format == LOG_JSON ? '\x01' : 'x', sizeof large); /* six times as long */
        log_info("a", F_S("one", value), F_N("after", 1));
        assert_true(got.n > 2000 && got.n < 13000);
        assert_true(span_find(buf_span(&got), SPAN("after")) < got.n);
        log_info("a", F_S("b", value), F_S("c", value), F_S("d", value), F_S("e", value),
                 F_S("f", value), F_S("g", value), F_S("h", value), F_S("i", value),
                 F_S("j", value));
        assert_true(got.n < 16 * 1024);
        assert_true(span_find(buf_span(&got), SPAN("cut")) < got.n);
        struct json root;
        if (format == LOG_JSON)
            assert_int_equal(json_parse(p, buf_span(&got), &root, NULL), E_OK);
    }
    json_parser_free(&p);
}

static void collect(struct span line, void *ctx)
{
    struct buf *b = ctx;
    buf_add(b, line);
    buf_add_char(b, '\n');
}

static void the_last_64_lines_stay(void **state)
{
    (void)state;
    start(LOG_LOGFMT);
    for (int i = 0; i < 200; i++)
        log_info("count", F_N("i", i));
    struct buf b = BUF(100000);
    log_last_lines(collect, &b);
    struct span rest = buf_span(&b), line;
    for (int i = 200 - 64; i < 200; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "count i=%d", i);
        assert_true(span_next(&rest, '\n', &line));
        assert_true(span_ends(line, span_of(expected)));
    }
    assert_false(span_next(&rest, '\n', &line));
    buf_free(&b);
}

static void logging_sink(enum log_level level, struct span line, void *ctx)
{
    (void)level;
    (void)line;
    (*(int *)ctx)++;
    log_info("from.the.sink", F_N("n", 1)); /* dropped: it must not wait for itself */
}

static void a_sink_that_logs_does_not_hang(void **state)
{
    (void)state;
    int calls = 0;
    log_divert(logging_sink, &calls);
    log_info("a", F_N("n", 1));
    log_info("a", F_N("n", 1));
    assert_int_equal(calls, 2);
    log_divert(NULL, NULL);
}

/* Runs `action` in a child and returns what it wrote to stderr. */
static int in_child(void (*action)(void), struct buf *out)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        action();
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        char *room = buf_room(out, 4096);
        assert_non_null(room);
        ssize_t n = read(ends[0], room, 4096);
        if (n <= 0)
            break;
        out->n += (size_t)n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 300; i++)
        log_info("line", F_C("by", arg), F_N("i", i),
                 F_C("fill", "................................"));
    return NULL;
}

static void write_from_four_threads(void)
{
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    log_setup("node", LOG_LOGFMT, LOG_INFO, test_now);
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, write_lines, names[i]))
            _exit(1);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    struct buf b = BUF(1024 * 1024);
    assert_int_equal(in_child(write_from_four_threads, &b), 0);
    struct span rest = buf_span(&b), line;
    int count = 0;
    for (; span_next(&rest, '\n', &line); count++) {
        assert_true(span_starts(line, SPAN("2026-02-06T21:09:45.123Z info  node line by=")));
        assert_true(span_ends(line, SPAN(" fill=................................")));
    }
    assert_int_equal(count, 4 * 300);
    buf_free(&b);
}

static void break_a_promise(void)
{
    log_setup("worker", LOG_LOGFMT, LOG_INFO, test_now);
    log_info("before.the.end", F_N("n", 7));
    need_step("wait SearchTimeline");
    int two = 2;
    need(two == 2);
    need(two == 3);
}

static void sink_breaks(enum log_level level, struct span line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
    bug("in the sink");
}

static void break_a_promise_while_logging(void)
{
    log_divert(sink_breaks, NULL);
    log_info("line", F_N("n", 1));
}

static void a_broken_promise_is_reported(void **state)
{
    (void)state;
    struct buf b = BUF(100000);
    int status = in_child(break_a_promise, &b);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    struct span text = buf_span(&b);
    assert_true(span_find(text, SPAN("test_log.c:")) < text.n);
    assert_true(span_find(text, SPAN(": two == 3 role=worker step=wait SearchTimeline\n")) <
                text.n);
    assert_true(
        span_find(text,
                  SPAN("  | 2026-02-06T21:09:45.123Z info  worker before.the.end n=7\n")) <
        text.n);
    buf_clear(&b);
    status = in_child(break_a_promise_while_logging, &b);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(span_find(buf_span(&b), SPAN("in the sink")) < b.n);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_all_fields),
        cmocka_unit_test(low_levels_are_left_out),
        cmocka_unit_test(a_field_cannot_forge),
        cmocka_unit_test(json_lines_can_be_parsed),
        cmocka_unit_test(long_fields_are_cut),
        cmocka_unit_test(the_last_64_lines_stay),
        cmocka_unit_test(a_sink_that_logs_does_not_hang),
        cmocka_unit_test(threads_do_not_mix_lines),
        cmocka_unit_test(a_broken_promise_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}

/* Completion: what may come next, from the table of commands alone. */
#include "cli/complete.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { OUT_MAX = 1024 * 1024 };

/* In the place of the service: each thing has one name. */
static void on_ask(void *ctx, struct span what, struct complete *to)
{
    char name[64];
    (void)ctx;
    snprintf(name, sizeof name, "one-%.*s", SP(what));
    complete_add(to, span_of(name), SPAN("asked"));
}

#define OFFERS(expected, ...) offers(expected, (const char *const[]){__VA_ARGS__, NULL})
/* The candidates, without what they are, with commas; expected ending in "…": it begins so. */
static void offers(const char *expected, const char *const *words)
{
    struct buf out = BUF(OUT_MAX), names = BUF(OUT_MAX);
    struct complete to = {.words = words, .ask = on_ask, .out = &out};
    while (words[to.count])
        to.count++;
    complete_call(&to);
    struct span rest = buf_span(&out), line, wanted = span_of(expected);
    while (span_next(&rest, '\n', &line))
        buf_fmt(&names, "%s%.*s", names.n ? "," : "",
                SP(span_cut(line, 0, span_find_char(line, '\t'))));
    bool more = span_ends(wanted, SPAN("…"));
    if (more)
        wanted.n -= strlen("…");
    struct span got = buf_span(&names);
    if (more ? !span_starts(got, wanted) : !span_eq(got, wanted))
        fail_msg("wanted %s, got %.*s", expected, SP(got));
    buf_free(&out);
    buf_free(&names);
}

static void verbs_then_actions_then_what_they_take(void **state)
{
    (void)state;
    OFFERS("get,jobs,…", "");
    OFFERS("schedules", "sch");
    OFFERS("", "nothing");
    OFFERS("list,create,…", "jobs", "");
    OFFERS("create,cancel,conflicts", "jobs", "c");
}

static void places_are_those_of_the_action(void **state)
{
    (void)state;
    OFFERS("one-JOB", "jobs", "show", "");
    OFFERS("", "jobs", "show", "job_x", "");
    OFFERS("one-JOB", "jobs", "cancel", "job_x", "job_y", "");
    OFFERS("one-BATCH", "batches", "wait", "");
    OFFERS("one-JOB,one-BATCH,one-OPERATION", "follow", "");
    OFFERS("one-KIND", "get", "");
    OFFERS("one-TARGET", "get", "posts", "");
    OFFERS("one-KIND", "schedules", "create", "nasa", "");
    OFFERS("normal,paused,draining,maintenance", "mode", "set", "");
    OFFERS("bash,zsh,fish", "completion", "");
    OFFERS(":files", "backup", "verify", "");
    OFFERS(":folders", "site", "diff", "a", "b", "");
    OFFERS("get", "help", "ge");
    OFFERS("retry,rerun,release,rejected", "help", "jobs", "re");
}

static void flags_are_those_of_the_action(void **state)
{
    (void)state;
    OFFERS("--state", "jobs", "list", "--sta");
    OFFERS("", "jobs", "show", "--sta");
    OFFERS("--stale-if-error,--state", "jobs", "--sta"); /* some action takes it */
    OFFERS("--limit", "get", "posts", "@nasa", "--lim");
    OFFERS("", "get", "posts", "--", "--lim");
}

static void values_are_those_of_the_flag(void **state)
{
    (void)state;
    OFFERS("json,jsonl", "jobs", "list", "-o", "js");
    OFFERS("json,jsonl", "jobs", "list", "--output", "js");
    OFFERS("--output=json,--output=jsonl", "jobs", "list", "--output=js");
    OFFERS("json,jsonl", "jobs", "list", "--output", "=", "js"); /* as bash splits it */
    OFFERS("table,wide,json,…", "jobs", "list", "--output", "=");
    OFFERS("one-SITE", "get", "posts", "--site", "");
    OFFERS(":files", "get", "posts", "--out", "");
    OFFERS("one-TARGET", "get", "--site", "x", "posts", "");
    OFFERS("one-JOB", "jobs", "wait", "--timeout", "5m", "");
    OFFERS("one-KIND", "jobs", "create", "--wait", ""); /* takes its value only behind = */
    OFFERS("one-KIND", "jobs", "create", "--wait=5m", "");
}

/* What comes from outside cannot end a line or a column. */
static void a_candidate_is_one_line(void **state)
{
    (void)state;
    struct buf out = BUF(OUT_MAX);
    struct complete to = {.out = &out};
    complete_add(&to, SPAN("two\nlines"), SPAN(""));
    complete_add(&to, SPAN("a\tb"), SPAN(""));
    complete_add(&to, SPAN(""), SPAN(""));
    assert_int_equal(out.n, 0);
    complete_add(&to, SPAN("ok"), SPAN("red \x1b[31m\nend"));
    assert_true(span_starts(buf_span(&out), SPAN("ok\tred ")));
    assert_int_equal(span_find_char(buf_span(&out), '\x1b'), out.n);
    assert_int_equal(span_find_char(buf_span(&out), '\n'), out.n - 1);
    buf_free(&out);
}

/* Whatever is written, completing ends, and every verb and action leads somewhere. */
static void every_command_can_be_completed(void **state)
{
    (void)state;
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        const char *words[] = {all[i].verb, all[i].action, "--", NULL};
        const char *plain[] = {all[i].verb, "--", NULL};
        struct buf out = BUF(OUT_MAX);
        struct complete to = {.out = &out};
        to.words = *all[i].action ? words : plain;
        to.count = *all[i].action ? 3 : 2;
        complete_call(&to);
        if (!out.n)
            fail_msg("%s %s has no flags to offer", all[i].verb, all[i].action);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_then_actions_then_what_they_take),
        cmocka_unit_test(places_are_those_of_the_action),
        cmocka_unit_test(flags_are_those_of_the_action),
        cmocka_unit_test(values_are_those_of_the_flag),
        cmocka_unit_test(a_candidate_is_one_line),
        cmocka_unit_test(every_command_can_be_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

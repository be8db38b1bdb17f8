/* What the command line prints, against files in the tree: tests/golden. Each is a script: calls with their exit status and
 * all that they printed; what differs from run to run (ids, times) stands as its kind. GOLDEN=write writes them anew, for a
 * person to look at the difference. */
#include "../lib/service.h"

#include "../lib/called.h"

#include "cli/commands.h"
#include "os/files.h"

#include <ctype.h>
#include <fcntl.h>

enum { SCRIPT_MAX = 4 * 1024 * 1024, WORDS_MAX = 24 };

static char noted[8][40]; /* the newest id of each kind; [0] is unused */
static const char *const kinds[] = {"", "job", "bat", "opr", "sch"};

/* ---- what is the same in every run ---- */

static size_t id_at(struct span text)
{
    size_t n = 4;
    if (text.n < 30 || text.p[3] != '_')
        return 0;
    for (int i = 0; i < 3; i++)
        if (!islower((unsigned char)text.p[i]))
            return 0;
    while (n < 30 && (isupper((unsigned char)text.p[n]) || isdigit((unsigned char)text.p[n])))
        n++;
    return n == 30 ? n : 0;
}

static size_t like(struct span text, const char *shape)
{
    size_t n = strlen(shape);
    for (size_t i = 0; i < n; i++)
        if (i >= text.n ||
            (shape[i] == '0' ? !isdigit((unsigned char)text.p[i]) : text.p[i] != shape[i]))
            return 0;
    return n;
}

static size_t time_at(struct span text)
{
    size_t n = like(text, "0000-00-00T00:00:00.000Z");
    return n ? n : like(text, "0000-00-00T00:00:00Z");
}

static void note_id(struct span id)
{
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        if (span_starts(id, span_of(kinds[i])))
            span_copy(id, noted[i], sizeof noted[i]);
}

static void add_same(struct buf *out, struct span text)
{
    while (text.n) {
        size_t id = id_at(text), when = time_at(text);
        if (id) {
            note_id(span_cut(text, 0, id));
            buf_fmt(out, "%.*s_ID", 3, text.p);
        } else if (when) {
            buf_add_text(out, "TIME");
        } else {
            buf_add_char(out, text.p[0]);
        }
        text = span_cut(text, id ? id : when ? when : 1, text.n);
    }
}

/* ---- a script ---- */

/* {job} is the job that was named last. */
static const char *word_of(const char *word)
{
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        if (word[0] == '{' && strncmp(word + 1, kinds[i], 3) == 0)
            return noted[i];
    return word;
}

static void add_stream(struct buf *out, const char *sign, struct span text)
{
    struct buf same = BUF(SCRIPT_MAX);
    struct span line;
    add_same(&same, text);
    struct span rest = buf_span(&same);
    while (rest.n) {
        size_t n = span_find_char(rest, '\n');
        line = span_cut(rest, 0, n);
        rest = span_cut(rest, n + 1, rest.n);
        buf_fmt(out, "%s%s%.*s\n", sign, line.n ? " " : "", SP(line));
    }
    buf_free(&same);
}

/* One line of the script: words with blanks between, 'of several' between quotes. */
static void add_call(struct buf *out, const char *line, bool served)
{
    char text[1024];
    const char *args[WORDS_MAX + 2] = {NULL};
    size_t n = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *at = text; *at && n < WORDS_MAX;) {
        bool quoted = *at == '\'';
        char *end = strchr(at + quoted, quoted ? '\'' : ' ');
        args[n++] = word_of(at + quoted);
        if (!end)
            break;
        *end = '\0';
        at = end + 1 + (quoted && end[1] == ' ');
    }
    if (served)
        args[n++] = server_flag();
    struct call c = call(args);
    buf_fmt(out, "$ fulmar %s\n", line);
    add_stream(out, " ", buf_span(&c.out));
    add_stream(out, "!", buf_span(&c.err));
    buf_fmt(out, "= %d\n\n", c.code);
    drop(&c);
}

/* ---- the files ---- */

static void say_difference(const char *path, struct span is, struct span was)
{
    size_t at = 0, line = 1, from = 0;
    while (at < is.n && at < was.n && is.p[at] == was.p[at]) {
        if (is.p[at] == '\n') {
            line++;
            from = at + 1;
        }
        at++;
    }
    struct span new_line = span_cut(is, from, is.n), old_line = span_cut(was, from, was.n);
    fail_msg("%s:%zu is '%.*s' now, not '%.*s'; if that is right: GOLDEN=write", path, line,
             SP(span_cut(new_line, 0, span_find_char(new_line, '\n'))),
             SP(span_cut(old_line, 0, span_find_char(old_line, '\n'))));
}

static void same_as(const char *name, struct buf *out)
{
    char path[128];
    struct fault f = {0};
    struct buf was = BUF(SCRIPT_MAX);
    const char *how = getenv("GOLDEN");
    assert_false(out->failed);
    snprintf(path, sizeof path, "tests/golden/%s.txt", name);
    if (how && strcmp(how, "write") == 0) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(out->p, 1, out->n, file), out->n);
        assert_int_equal(fclose(file), 0);
    }
    if (files_read(AT_FDCWD, path, SCRIPT_MAX, &was, &f))
        fail_msg("%s", f.words);
    if (!span_eq(buf_span(out), buf_span(&was)))
        say_difference(path, buf_span(out), buf_span(&was));
    buf_free(&was);
    buf_free(out);
}

static void script(const char *name, const char *const *lines, bool served)
{
    struct buf out = BUF(SCRIPT_MAX);
    for (size_t i = 0; lines[i]; i++)
        add_call(&out, lines[i], served);
    same_as(name, &out);
}

static void the_help_of_every_verb(void **state)
{
    (void)state;
    size_t count;
    const struct verb *all = verbs_all(&count);
    struct buf out = BUF(SCRIPT_MAX);
    add_call(&out, "help", false);
    add_call(&out, "help exit-codes", false);
    for (size_t i = 0; i < count; i++) {
        char line[80];
        snprintf(line, sizeof line, "help %s", all[i].name);
        add_call(&out, line, false);
    }
    same_as("help", &out);
}

static void wrong_calls(void **state)
{
    (void)state;
    static const char *const lines[] = {"job list",
                                        "jobs lst",
                                        "jobs list --stat ready",
                                        "jobs list --force",
                                        "jobs show",
                                        "jobs show job_1",
                                        "jobs list -o tabel",
                                        "jobs list --color sometimes",
                                        "jobs list --time now",
                                        "jobs list --columns id",
                                        "jobs list --label team",
                                        "jobs cancel",
                                        "get posts",
                                        "get posts @nasa --limit 0",
                                        "get search x --exclude reposts --include reposts",
                                        "queues pause",
                                        "workers quiet",
                                        "workers scale many",
                                        "schedules create daily posts",
                                        "api GET",
                                        "limits set",
                                        NULL};
    script("wrong", lines, false);
}

static void jobs_and_what_is_done_with_them(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "jobs list",
        "jobs create posts @NASA --limit 5 --dry-run",
        "jobs create posts @nasa --limit 5 --not-before 2099-01-01 --label team=press",
        "jobs show {job}",
        "jobs list",
        "jobs list -o wide",
        "jobs list -o plain --columns kind,state,target,labels.team",
        "jobs list -o csv --columns kind,state,options.limit",
        "jobs list --jq .data[].labels",
        "jobs show {job} -o yaml --jq '{labels,options,limit,state}'",
        "jobs attempts {job}",
        "jobs set {job} --priority 7 --label desk=science --label team=",
        "jobs hold {job} --reason drill",
        "jobs show {job}",
        "jobs release {job}",
        "jobs log {job} -o none",
        "jobs cancel --label desk=science --dry-run",
        "jobs cancel --label desk=science",
        "jobs cancel --label desk=science --yes",
        "jobs retry {job}",
        "jobs cancel {job} --reason 'not needed'",
        "jobs delete {job}",
        "jobs delete {job} --yes",
        "jobs show {job}",
        "operations list",
        "operations show {opr}",
        "dead list",
        NULL};
    script("jobs", lines, true);
}

static void many_as_one_and_again_and_again(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "batches list",
        "batches create posts @a @b --limit 3 --name two --key k1",
        "batches list",
        "batches show {bat}",
        "batches jobs {bat}",
        "batches cancel {bat} --dry-run",
        "batches cancel {bat}",
        "schedules list",
        "schedules create daily posts @nasa --cron '30 2 * * *' --timezone Europe/Berlin --start 2099-01-01 --limit 5",
        "schedules list",
        "schedules show daily",
        "schedules preview daily --limit 2",
        "schedules pause daily --reason drill",
        "schedules runs daily",
        "schedules resume daily",
        "schedules delete daily",
        NULL};
    script("many", lines, true);
}

static void what_holds_jobs_up(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "jobs create posts @held --class bulk",
        "queues list -o plain --columns name,counts.ready,counts.active,settings.weight",
        "queues show x/bulk",
        "queues set x/bulk --max-running 2 --every 5s",
        "queues pause x/bulk --reason drill --by anna",
        "queues list --troubled -o plain --columns name,trouble",
        "queues purge x/bulk --dry-run --reason drill",
        "queues resume x/bulk --by anna",
        "limits show",
        "limits set tenant press --max-running 1",
        "limits explain --tenant press",
        "breakers list",
        "breakers open x/bulk --reason drill --by anna",
        "breakers list",
        "breakers reset x/bulk",
        "mode show",
        "mode set paused --reason drill --by anna",
        "mode set normal --by anna",
        "queues unblock x/bulk --reason drill --by anna",
        NULL};
    script("queues", lines, true);
}

static void what_does_the_work(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "workers list",          "workers list -o plain --columns number,state,hold,job",
        "workers show 2",        "workers dump 2",
        "workers quiet 2",       "workers resume 2",
        "workers scale",         "workers scale 3",
        "workers scale 5",       "browsers list",
        "browsers show 1",       "browsers recycle 1",
        "browsers recycle 2",    "sessions list",
        "sessions show anna",    "webhooks list",
        "api GET /v1/workers/1", NULL};
    script("workers", lines, true);
}

/* Where they are asked for, colours and what goes over the wire are there, and nowhere else. */
static void colours_and_exchanges_are_there_when_asked_for(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "workers", "list");
    assert_false(says(&c.out, "\x1b[") || says(&c.err, "\x1b["));
    drop(&c);
    c = CALL(server_flag(), "workers", "list", "--color=always");
    assert_true(says(&c.out, "\x1b[1mWORKER") && says(&c.out, "\x1b[0m"));
    drop(&c);
    c = CALL(server_flag(), "workers", "show", "9", "--color=always");
    assert_true(says(&c.err, "\x1b[31mfulmar:\x1b[0m "));
    drop(&c);
    setenv("CLICOLOR_FORCE", "1", 1);
    c = CALL(server_flag(), "workers", "list");
    assert_true(says(&c.out, "\x1b[1mWORKER"));
    drop(&c);
    setenv("NO_COLOR", "1", 1);
    c = CALL(server_flag(), "workers", "list");
    assert_false(says(&c.out, "\x1b["));
    drop(&c);
    unsetenv("NO_COLOR");
    unsetenv("CLICOLOR_FORCE");
    c = CALL(server_flag(), "mode", "set", "normal", "--by", "anna", "-v");
    assert_true(says(&c.err, "> PUT /v1/mode  ") && says(&c.err, "< 200  "));
    assert_false(says(&c.err, "anna"));
    drop(&c);
    c = CALL(server_flag(), "mode", "set", "normal", "--by", "anna", "-vv");
    assert_true(says(&c.err, "> {") && says(&c.err, "\"by\":\"anna\"") && says(&c.err, "< {"));
    drop(&c);
    c = CALL(server_flag(), "webhooks", "add", "https://desk.example/x", "-vv");
    assert_true(says(&c.err, "bytes, not shown") && !says(&c.err, "whsec_"));
    drop(&c);
}

static void times_are_said_as_from_now_when_asked_for(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@timed", "--not-before",
                         "2099-01-01", "-q");
    char id[64];
    span_copy(span_trim(buf_span(&c.out)), id, sizeof id);
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id, "--time", "relative");
    assert_true(says(&c.out, "not before in ") && says(&c.out, "accepted   ") &&
                says(&c.out, "s ago\n"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id, "--time=iso");
    assert_true(says(&c.out, "not before 2099-01-01T00:00:00.000Z\n"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id, "--json", "--time=relative");
    assert_true(says(&c.out, "\"not_before\":\"2099-01-01T00:00:00.000Z\""));
    drop(&c);
}

/* Two that ended differently: the exit status is the worse one, the bits say both. */
static void every_kind_of_ending_has_its_bit(void **state)
{
    (void)state;
    char ids[2][64];
    for (int i = 0; i < 2; i++) {
        struct call c = CALL(server_flag(), "jobs", "create", "posts", i ? "@m1" : "@m2",
                             "--not-before", "2099-01-01", "-q");
        span_copy(span_trim(buf_span(&c.out)), ids[i], sizeof ids[i]);
        drop(&c);
    }
    struct call c = CALL(server_flag(), "jobs", "cancel", ids[0], ids[1], "-q");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "jobs", "wait", ids[0], "job_01ARZ3NDEKTSV4RRFFQ69G5FAV",
             "--exit-mask");
    assert_true(
        says(&c.err, "exit-mask: 65\n")); /* one failed: it was cancelled; one is not there */
    drop(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_of_every_verb),
        cmocka_unit_test(wrong_calls),
        cmocka_unit_test(jobs_and_what_is_done_with_them),
        cmocka_unit_test(many_as_one_and_again_and_again),
        cmocka_unit_test(what_holds_jobs_up),
        cmocka_unit_test(what_does_the_work),
        cmocka_unit_test(colours_and_exchanges_are_there_when_asked_for),
        cmocka_unit_test(times_are_said_as_from_now_when_asked_for),
        cmocka_unit_test(every_kind_of_ending_has_its_bit),
    };
    unsetenv("FULMAR_SERVER");
    unsetenv("FULMAR_CONFIG");
    unsetenv("NO_COLOR");
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    return cmocka_run_group_tests(tests, group_start, group_stop);
}

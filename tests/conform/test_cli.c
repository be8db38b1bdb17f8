/* The command line against a real API over a real store. Every call runs in a process of its
 * own, as it does in life; a robot in the place of the workers answers the jobs. When a call
 * starts an embedded service it starts this program again, which then plays the service. */
#include "../lib/service.h"

#include "base/json.h"
#include "cli/cli.h"
#include "cli/rows.h"
#include "core/metrics.h"
#include "os/random.h"
#include "os/spawn.h"
#include "upkeep/config.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CALL_MS = 40 * 1000, OUTPUT_MAX = 4 * 1024 * 1024, POSTS = 25 };

/* ---- the robot: leases every job and ends it as its target says ---- */

static struct {
    struct store_op op;
    struct store_item items[600];
    struct lease lease;
    bool busy;
    int64_t count;
} robot;

static void robot_go(void);

static void robot_rest(struct store_op *op)
{
    (void)op;
    robot.busy = false;
    robot_go();
}

static void robot_post(enum store_verb verb, void (*then)(struct store_op *))
{
    robot.op.verb = verb;
    robot.op.on_done = then;
    robot.op.fault = (struct fault){0};
    store_thread_post(server.store, &robot.op);
}

static void robot_finish(struct store_op *op)
{
    (void)op;
    bool gone = span_is(robot.lease.target, "gone"), cut = span_is(robot.lease.target, "cut");
    bool limited = robot.lease.limit > 0;
    robot.op.in.finish = (struct finish_args){
        .id = span_of(robot.lease.id),
        .nonce = robot.lease.nonce,
        .failure = gone ? FAILURE_SUSPENDED : FAILURE_NONE,
        .verdict = gone             ? VERDICT_NONE
                   : cut || limited ? VERDICT_PARTIAL
                                    : VERDICT_COMPLETE,
        .end = gone      ? END_NONE
               : cut     ? END_BUDGET
               : limited ? END_LIMIT
                         : END_TERMINATE,
        .why = gone ? SPAN("it says \x1b[31msuspended") : SPAN(""),
    };
    robot_post(STORE_FINISH, robot_rest);
}

static struct span robot_record(bool user, int64_t i)
{
    struct arena *a = robot.op.arena;
    if (user)
        return span_of(arena_fmt(a, "{\"id\":\"1\",\"screen_name\":\"nasa\",\"name\":\"NASA\","
                                    "\"counts\":{\"followers\":5}}"));
    return span_of(
        arena_fmt(a,
                  "{\"id\":\"%lld\",\"created_at\":\"2026-02-06T21:09:45Z\",\"author\":{"
                  "\"screen_name\":\"nasa\"},"
                  "\"text\":\"=number \\\"%lld\\\", "
                  "two\",\"counts\":{\"like\":%lld,\"repost\":null},\"hashtags\":[\"a\"]}",
                  (long long)(1000 + i), (long long)i, (long long)i));
}

static void robot_commit(struct store_op *op)
{
    (void)op;
    bool user = span_is(robot.lease.kind, "profile");
    int64_t n = user                                               ? 1
                : robot.lease.limit > 0 && robot.lease.limit < 600 ? robot.lease.limit
                                                                   : POSTS;
    if (span_is(robot.lease.target, "gone"))
        n = 0;
    for (int64_t i = 0; i < n; i++)
        robot.items[i] = (struct store_item){
            .kind = user ? ITEM_USER : ITEM_POST,
            .id = span_of(arena_fmt(robot.op.arena, "%s-%lld", robot.lease.id, (long long)i)),
            .json = robot_record(user, i)};
    robot.op.in.commit = (struct commit_args){.id = span_of(robot.lease.id),
                                              .nonce = robot.lease.nonce,
                                              .batch = robot.lease.next_batch,
                                              .items = robot.items,
                                              .count = (size_t)n,
                                              .limit = robot.lease.limit};
    robot_post(STORE_COMMIT, robot_finish);
}

static void robot_leased(struct store_op *op)
{
    if (op->result) {
        robot.busy = false;
        return;
    }
    robot.lease = op->out.lease;
    if (span_is(robot.lease.target,
                "forever")) { /* it stays leased: somebody follows it in vain */
        robot.busy = false;
        return;
    }
    robot_commit(op);
}

static void robot_go(void)
{
    if (robot.busy || !server.store)
        return;
    if (!robot.op.arena)
        robot.op.arena = arena_new(16 * 1024 * 1024);
    arena_reset(robot.op.arena);
    robot.busy = true;
    robot.op.in.reserve.worker = SPAN("robot");
    robot.op.in.reserve.random = random_u64() | 1;
    robot_post(STORE_RESERVE, robot_leased);
}

/* After each group of the store. */
static void robot_hears(void)
{
    if (metric_get(METRIC_JOBS, JOB_READY) > 0)
        robot_go();
}

/* ---- calls ---- */

struct call {
    int code; /* exit code, or 1000 + signal */
    struct buf out, err;
    int out_fd, err_fd;
    pid_t pid;
};

static int spool(void)
{
    char path[] = "/tmp/fulmar-cli-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static struct call begin(const char *const *args)
{
    struct call c = {
        .out = BUF(OUTPUT_MAX), .err = BUF(OUTPUT_MAX), .out_fd = spool(), .err_fd = spool()};
    char *argv[20] = {NULL};
    int argc = 0;
    argv[argc++] = strdup("fulmar");
    for (; args[argc - 1] && argc < 19; argc++)
        argv[argc] = strdup(args[argc - 1]);
    fflush(NULL);
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        setpgid(0, 0);
        dup2(c.out_fd, STDOUT_FILENO);
        dup2(c.err_fd, STDERR_FILENO);
        int code = cli_main(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return c;
}

static void read_all(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, piece, sizeof piece, at)) > 0) {
        buf_add(out, (struct span){piece, (size_t)n});
        at += n;
    }
}

static void end(struct call *c)
{
    int status = 0;
    mono deadline = mono_add(clock_mono(), CALL_MS);
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (mono_past(deadline, clock_mono())) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, &status, 0);
            break;
        }
        poll(NULL, 0, 5);
    }
    c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    read_all(c->out_fd, &c->out);
    read_all(c->err_fd, &c->err);
    close(c->out_fd);
    close(c->err_fd);
}

static void drop(struct call *c)
{
    buf_free(&c->out);
    buf_free(&c->err);
}

#define CALL(...) call((const char *const[]){__VA_ARGS__, NULL})
static struct call call(const char *const *args)
{
    struct call c = begin(args);
    end(&c);
    return c;
}

static void expect_code(struct call *c, int code)
{
    if (c->code != code)
        fail_msg("wanted exit code %d, got %d; it said: %.*s", code, c->code,
                 SP(buf_span(&c->err)));
}

static bool says(const struct buf *b, const char *what)
{
    return span_find(buf_span(b), span_of(what)) < b->n;
}

static size_t lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

/* A call that must end with this code and say these words on standard error. */
#define EXPECT(code, words, ...)                                                               \
    do {                                                                                       \
        struct call c_ = CALL(__VA_ARGS__);                                                    \
        expect_code(&c_, code);                                                                \
        if (!says(&c_.err, words))                                                             \
            fail_msg("wanted '%s' in: %.*s", words, SP(buf_span(&c_.err)));                    \
        drop(&c_);                                                                             \
    } while (0)

/* ---- the call itself ---- */

static void no_word_gives_eight_lines(void **state)
{
    (void)state;
    struct call c = call((const char *const[]){NULL});
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 8);
    assert_int_equal(c.err.n, 0);
    drop(&c);
    c = CALL("--help");
    expect_code(&c, 0);
    assert_true(says(&c.out, "fulmar jobs list") && says(&c.out, "Exit status"));
    drop(&c);
    c = CALL("help", "get");
    expect_code(&c, 0);
    assert_true(says(&c.out, "--limit N"));
    drop(&c);
    c = CALL("get", "-h");
    expect_code(&c, 0);
    drop(&c);
}

static void mistakes_are_named_and_are_64(void **state)
{
    (void)state;
    EXPECT(64, "did you mean 'get'?", "gte", "posts", "@nasa");
    EXPECT(64, "did you mean '--limit'?", "get", "posts", "@nasa", "--limti", "5");
    EXPECT(64, "did you mean 'posts'?", "get", "post", "@nasa");
    EXPECT(64, "did you mean 'show'?", "jobs", "shwo", "x");
    EXPECT(64, "needs a value", "get", "posts", "@nasa", "--limit");
    EXPECT(64, "takes no value", "get", "posts", "@nasa", "--json=yes");
    EXPECT(64, "whole number", "get", "posts", "@nasa", "--limit", "many");
    EXPECT(64, "needs a kind and a target", "get", "posts");
    EXPECT(64, "between quotes", "get", "search", "heat", "pump");
    EXPECT(64, "does not know --csv", "jobs", "list", "--csv");
    EXPECT(64, "exclude each other", "get", "posts", "@nasa", "--csv", "--json");
    EXPECT(64, "needs the id", "jobs", "show");
    EXPECT(64, "server must be", "get", "posts", "@nasa", "--server", "ftp://x");
}

static void version_is_text_or_json(void **state)
{
    (void)state;
    struct call c = CALL("version");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("fulmar ")));
    drop(&c);
    c = CALL("version", "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"api\":\"v1\"") && says(&c.out, "\"sqlite\":\"3."));
    drop(&c);
}

/* ---- get ---- */

static char *server_flag(void)
{
    static char flag[200];
    snprintf(flag, sizeof flag, "--server=unix:%s", server.socket);
    return flag;
}

static void get_prints_records_one_a_line(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "get", "posts", "@nasa");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), POSTS);
    assert_true(span_starts(buf_span(&c.out), SPAN("{\"id\":\"1000\"")));
    assert_true(says(&c.err, "complete: 25 posts of @nasa") &&
                says(&c.err, "fulmar jobs show job_"));
    drop(&c);
    c = CALL(server_flag(), "get", "posts", "@nasa", "-n", "3", "-q");
    expect_code(&c, 0); /* as many as asked for: partial, and fine */
    assert_int_equal(lines(&c.out), 3);
    assert_int_equal(c.err.n, 0);
    drop(&c);
    c = CALL(server_flag(), "get", "posts", "@nasa", "--limit=550");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 550); /* more than one page */
    drop(&c);
    c = CALL(server_flag(), "get", "profile", "@nasa");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"screen_name\":\"nasa\""));
    drop(&c);
}

static void get_works_over_tcp_and_by_environment(void **state)
{
    (void)state;
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
    struct call c = CALL("get", "posts", "@nasa", "--server", url);
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), POSTS);
    drop(&c);
    setenv("FULMAR_SERVER", url, 1);
    c = CALL("get", "posts", "@nasa");
    expect_code(&c, 0);
    drop(&c);
    unsetenv("FULMAR_SERVER");
    EXPECT(69, "no service answers", "get", "posts", "@nasa", "--server", "http://127.0.0.1:1");
}

static void csv_is_safe_for_spreadsheets(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "get", "posts", "@nasa", "--limit", "2", "--csv");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 3);
    assert_true(span_starts(buf_span(&c.out), SPAN("id,url,kind,created_at,")));
    assert_true(says(&c.out, ",\"'=number \"\"0\"\", two\","));
    assert_true(says(&c.out, "\"[\"\"a\"\"]\""));
    drop(&c);
    static const struct {
        const char *text, *cell;
    } rows[] = {
        {"plain", "plain"},
        {"a,b", "\"a,b\""},
        {"say \"x\"", "\"say \"\"x\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"=1+1", "\"'=1+1\""},
        {"+1", "\"'+1\""},
        {"-1", "\"'-1\""},
        {"@nasa", "\"'@nasa\""},
        {"\tx", "\"'\tx\""},
        {"", ""},
        {"＝1", "\"'＝1\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf cell = BUF(100);
        rows_add_cell(&cell, span_of(rows[i].text));
        if (!span_is(buf_span(&cell), rows[i].cell))
            fail_msg("%s became %.*s", rows[i].text, SP(buf_span(&cell)));
        buf_free(&cell);
    }
}

static void out_is_all_or_nothing(void **state)
{
    (void)state;
    char path[200];
    struct stat info;
    snprintf(path, sizeof path, "%s/posts.json", server.folder);
    struct call c = CALL(server_flag(), "get", "posts", "@nasa", "--out", path);
    expect_code(&c, 0);
    assert_int_equal(c.out.n, 0);
    drop(&c);
    struct buf text = BUF(OUTPUT_MAX);
    assert_int_equal(files_read(AT_FDCWD, path, OUTPUT_MAX, &text, NULL), E_OK);
    assert_int_equal(lines(&text), POSTS);
    /* A job without a record leaves the older file alone. */
    EXPECT(7, "suspended", server_flag(), "get", "posts", "@gone", "--out", path);
    buf_clear(&text);
    assert_int_equal(files_read(AT_FDCWD, path, OUTPUT_MAX, &text, NULL), E_OK);
    assert_int_equal(lines(&text), POSTS);
    buf_free(&text);
    EXPECT(73, "create", server_flag(), "get", "posts", "@nasa", "--out",
           "/nonexistent/folder/x.json");
    snprintf(path, sizeof path, "%s/never.json", server.folder);
    EXPECT(65, "target", server_flag(), "get", "posts", "no handle!", "--out", path);
    assert_int_equal(stat(path, &info), -1);
}

static void endings_have_their_codes(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "get", "posts", "@gone");
    expect_code(&c, 7);
    assert_true(says(&c.err, "what to do:") && says(&c.err, "suspended"));
    assert_false(says(&c.err, "\x1b")); /* text from outside never reaches the terminal raw */
    drop(&c);
    EXPECT(2, "partial", server_flag(), "get", "posts", "@cut");
    EXPECT(65, "since:", server_flag(), "get", "posts", "@nasa", "--since", "yesterday");
    EXPECT(65, "limit: must be 1 to 100000", server_flag(), "get", "posts", "@nasa", "--limit",
           "999999");
    EXPECT(65, "site:", server_flag(), "get", "posts", "@nasa", "--site", "nowhere");
}

/* Waits until the call has said the words. */
static void until_says(struct call *c, const char *words)
{
    mono deadline = mono_add(clock_mono(), CALL_MS);
    for (;;) {
        struct buf text = BUF(OUTPUT_MAX);
        read_all(c->err_fd, &text);
        bool there = says(&text, words);
        if (!there && mono_past(deadline, clock_mono()))
            fail_msg("'%s' never came: %.*s", words, SP(buf_span(&text)));
        buf_free(&text);
        if (there)
            return;
        poll(NULL, 0, 10);
    }
}

static void one_interrupt_stops_following_only(void **state)
{
    (void)state;
    struct call c =
        begin((const char *const[]){server_flag(), "get", "posts", "@forever", NULL});
    until_says(&c, "accepted");
    kill(c.pid, SIGINT);
    end(&c);
    expect_code(&c, 130);
    assert_true(says(&c.err, "goes on") && says(&c.err, "fulmar jobs cancel job_"));
    drop(&c);
}

/* ---- jobs ---- */

static void jobs_are_listed_shown_cancelled_and_logged(void **state)
{
    (void)state;
    char id[64];
    struct call c =
        begin((const char *const[]){server_flag(), "get", "posts", "@forever", NULL});
    until_says(&c, "accepted");
    kill(c.pid, SIGINT);
    end(&c);
    struct span text = buf_span(&c.err);
    span_copy(span_cut(text, 0, span_find_char(text, ' ')), id, sizeof id);
    drop(&c);

    c = CALL(server_flag(), "jobs", "list");
    expect_code(&c, 0);
    assert_true(says(&c.out, id) && says(&c.out, "OUTCOME"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "x posts forever"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id, "--json");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("{\"object\":\"job\"")));
    drop(&c);
    c = CALL(server_flag(), "jobs", "log", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "job.accepted"));
    drop(&c);
    EXPECT(0, id, server_flag(), "jobs", "cancel", id);
    EXPECT(5, "not_found", server_flag(), "jobs", "show", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    EXPECT(65, "not the id of a job", server_flag(), "jobs", "show", "job_1");
    EXPECT(65, "state must be", server_flag(), "jobs", "list", "--state", "asleep");
}

/* ---- config, doctor ---- */

static void config_is_written_once_and_checked(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/new/fulmar.yaml", server.folder);
    EXPECT(0, "wrote", "config", "init", path);
    EXPECT(73, "is there already", "config", "init", path);
    struct call c = CALL("config", "check", path);
    expect_code(&c, 0);
    assert_true(says(&c.out, ": ok"));
    drop(&c);
    assert_int_equal(files_write(path, SPAN("api:\n  prot: 1\n"), NULL), E_OK);
    EXPECT(78, "did you mean 'port'?", "config", "check", path);
    EXPECT(66, "nonexistent", "config", "check", "/nonexistent.yaml");
}

static void doctor_checks_this_machine(void **state)
{
    (void)state;
    struct call c = CALL("doctor", "--json");
    assert_true(c.code == 0 || c.code == 10);
    struct json_parser *p = json_parser_new(1 << 20);
    struct json root;
    bool healthy = false, failed = false;
    assert_int_equal(json_parse(p, buf_span(&c.out), &root, NULL), E_OK);
    assert_true(json_bool(json_get(root, SPAN("healthy")), &healthy));
    assert_true(json_count(json_get(root, SPAN("checks"))) >= 12);
    for (struct json_iter i = json_each(json_get(root, SPAN("checks"))); json_next(&i);) {
        struct span health;
        assert_true(json_text(json_get(i.value, SPAN("state")), &health));
        failed |= span_is(health, "fail");
    }
    assert_int_equal(healthy, !failed);
    assert_int_equal(c.code, failed ? 10 : 0);
    json_parser_free(&p);
    drop(&c);
    c = CALL("doctor", "--config", "/nonexistent.yaml");
    expect_code(&c, 10);
    assert_true(says(&c.out, "FAIL  config"));
    drop(&c);
}

/* ---- an embedded service ---- */

static char embedded_config[200], embedded_state[200];

static void write_embedded_config(void)
{
    char text[600];
    snprintf(embedded_state, sizeof embedded_state, "%s/own", server.folder);
    snprintf(embedded_config, sizeof embedded_config, "%s/own.yaml", server.folder);
    snprintf(text, sizeof text, "store: {path: %s}\n", embedded_state);
    assert_int_equal(files_make_folder(embedded_state, 0700, NULL), E_OK);
    assert_int_equal(files_write(embedded_config, span_of(text), NULL), E_OK);
}

static void get_brings_its_own_service_and_takes_it_away(void **state)
{
    (void)state;
    char path[300];
    struct stat info;
    write_embedded_config();
    EXPECT(69, "start one: fulmar serve", "--config", embedded_config, "jobs", "list");
    for (int i = 0; i < 2; i++) {
        struct call c =
            CALL("--config", embedded_config, "get", "posts", "@nasa", "--limit", "4");
        expect_code(&c, 0);
        assert_int_equal(lines(&c.out), 4);
        assert_true(says(&c.err, "starting one for this command"));
        drop(&c);
        /* It wrote this as its last deed. */
        snprintf(path, sizeof path, "%s/stopped", embedded_state);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(unlink(path), 0);
    }
}

static void an_interrupt_cancels_the_job_of_an_embedded_service(void **state)
{
    (void)state;
    char path[300];
    struct stat info;
    write_embedded_config();
    struct call c = begin(
        (const char *const[]){"--config", embedded_config, "get", "posts", "@forever", NULL});
    until_says(&c, "accepted");
    kill(c.pid, SIGINT);
    end(&c);
    expect_code(&c, 130);
    assert_true(says(&c.err, "cancelling"));
    drop(&c);
    snprintf(path, sizeof path, "%s/stopped", embedded_state);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(unlink(path), 0);
}

static void an_embedded_service_that_fails_is_quoted(void **state)
{
    (void)state;
    write_embedded_config();
    setenv("TZ", "FAIL",
           1); /* the played service fails then; of what it inherits this is free for it */
    struct call c = CALL("--config", embedded_config, "get", "posts", "@nasa");
    unsetenv("TZ");
    expect_code(&c, 70);
    assert_true(says(&c.err, "ended with code 78") &&
                says(&c.err, "the disk is made of cheese"));
    drop(&c);
}

/* What this program does as `serve --embedded --config FILE`. */
static void on_life_end(void *ctx, bool readable, bool writable)
{
    (void)ctx;
    (void)readable;
    (void)writable;
    loop_stop(server.loop);
}

static int play_service(const char *config_file)
{
    static struct settings settings;
    char used[CONFIG_PATH_MAX], state[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX + 16];
    struct watch *life;
    const char *zone = getenv("TZ");
    if (zone && strcmp(zone, "FAIL") == 0) {
        fprintf(stderr, "2026-11-23T10:00:00Z error node start.failed why=\"the disk is made "
                        "of cheese\"\n");
        return 78;
    }
    struct arena *a = arena_new(1 << 20);
    if (config_load(a, config_file, NULL, &settings, used, NULL) ||
        config_state_dir(&settings, state, NULL))
        return 78;
    span_copy(span_of(state), server.folder, sizeof server.folder);
    snprintf(server.socket, sizeof server.socket, "%s/fulmar.sock", server.folder);
    unlink(server.socket);
    server.on_group = robot_hears;
    if (service_open_parts())
        return 78;
    if (watch_new(&life, server.loop, 3, true, false, on_life_end, NULL, "life"))
        return 78;
    struct task start = {.run = start_api};
    start_api(&start);
    loop_run(server.loop);
    unlink(server.socket);
    snprintf(path, sizeof path, "%s/stopped", state);
    int code = files_write(path, SPAN("done"), NULL) ? 1 : 0;
    _exit(code);
}

static int cli_group_start(void **state)
{
    server.on_group = robot_hears;
    return group_start(state);
}

static int cli_group_stop(void **state)
{
    int code = group_stop(state);
    arena_free(&robot.op.arena);
    return code;
}

int main(int argc, char **argv)
{
    spawn_init();
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return play_service(argc > 4 ? argv[4] : NULL);
    unsetenv("FULMAR_SERVER");
    unsetenv("FULMAR_CONFIG");
    char sites[200];
    if (getcwd(sites, sizeof sites - 10)) {
        size_t n = strlen(sites);
        snprintf(sites + n, sizeof sites - n, "/sites");
        setenv("FULMAR_SITES", sites, 1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_word_gives_eight_lines),
        cmocka_unit_test(mistakes_are_named_and_are_64),
        cmocka_unit_test(version_is_text_or_json),
        cmocka_unit_test(get_prints_records_one_a_line),
        cmocka_unit_test(get_works_over_tcp_and_by_environment),
        cmocka_unit_test(csv_is_safe_for_spreadsheets),
        cmocka_unit_test(out_is_all_or_nothing),
        cmocka_unit_test(endings_have_their_codes),
        cmocka_unit_test(one_interrupt_stops_following_only),
        cmocka_unit_test(jobs_are_listed_shown_cancelled_and_logged),
        cmocka_unit_test(config_is_written_once_and_checked),
        cmocka_unit_test(doctor_checks_this_machine),
        cmocka_unit_test(get_brings_its_own_service_and_takes_it_away),
        cmocka_unit_test(an_interrupt_cancels_the_job_of_an_embedded_service),
        cmocka_unit_test(an_embedded_service_that_fails_is_quoted),
    };
    return cmocka_run_group_tests(tests, cli_group_start, cli_group_stop);
}

/* The command line against a real API over a real store. Every call runs in a process of its
 * own, as it does in life; a robot in the place of the workers answers the jobs. When a call
 * starts an embedded service it starts this program again, which then plays the service. */
#include "../lib/service.h"

#include "base/json.h"
#include "cli/cli.h"
#include "cli/rows.h"
#include "core/metrics.h"
#include "net/client.h"
#include "os/random.h"
#include "os/spawn.h"
#include "upkeep/config.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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
    c = CALL("help", "serve");
    expect_code(&c, 0);
    assert_true(says(&c.out, "--set NAME=VALUE") && !says(&c.out, "--quiet"));
    drop(&c);
}

static void mistakes_are_named_and_are_64(void **state)
{
    (void)state;
    EXPECT(64, "did you mean 'get'?", "gte", "posts", "@nasa");
    EXPECT(64, "did you mean '--limit'?", "get", "posts", "@nasa", "--limti", "5");
    EXPECT(64, "did you mean 'show'?", "jobs", "shwo", "x");
    EXPECT(64, "needs a value", "get", "posts", "@nasa", "--limit");
    EXPECT(64, "takes no value", "get", "posts", "@nasa", "--json=yes");
    static const char *const limits[] = {
        "0", "-5", "many", "100001", "99999999999", "9e9", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        EXPECT(64, "--limit must be 1 to 100000", "get", "posts", "@nasa", "--limit",
               limits[i]);
    EXPECT(64, "--limit must be 1 to 200", "jobs", "list", "--limit", "201");
    EXPECT(64, "--priority must be 0 to 9", "get", "posts", "@nasa", "--priority", "10");
    EXPECT(64, "--evidence must be", "get", "posts", "@nasa", "--evidence", "sometimes");
    EXPECT(64, "needs the id of one job", "artifacts");
    EXPECT(64, "needs the id of one job, or --failed", "replay");
    EXPECT(64, "needs the id of one job, or --failed", "replay", "job_1", "--failed");
    EXPECT(64, "--class must be a failure", "replay", "--failed", "--class", "nonsense");
    EXPECT(64, "does not know --apply", "artifacts", "job_1", "--apply");
    EXPECT(65, "not the id of a job", "replay", "job_1");
    EXPECT(64, "--media must be urls or download, not 'all'", "get", "posts", "@nasa", "--media", "all");
    EXPECT(64, "--depth must be 0 to 100", "get", "thread", "20", "--depth", "-1");
    EXPECT(64, "--since must be a date", "get", "posts", "@nasa", "--since", "yesterday");
    EXPECT(64, "--until must be a date", "get", "posts", "@nasa", "--until", "2026-02-31");
    EXPECT(64, "later than --since", "get", "posts", "@nasa", "--since", "2026-02-06",
           "--until", "2026-02-06");
    EXPECT(64, "--out needs", "get", "posts", "@nasa", "--out", "");
    EXPECT(64, "serve comes first", "--config", "x.yaml", "serve");
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

static void fields_are_what_comes_out(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "get", "posts", "@nasa", "--limit", "2", "--fields", "text");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("{\"id\":\"1000\",\"text\":")));
    assert_false(says(&c.out, "hashtags"));
    drop(&c);
    c = CALL(server_flag(), "get", "posts", "@nasa", "--limit", "2", "--csv", "--fields", "text,author.screen_name");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("id,text,author.screen_name\r\n1000,")));
    drop(&c);
    EXPECT(64, "no record has 'likes'; did you mean 'counts.like'?", "get", "posts", "@nasa", "--fields", "id,likes");
    EXPECT(64, "no record has 'lang'", "get", "profile", "@nasa", "--fields", "lang");
    EXPECT(64, "did you mean 'replies'?", "get", "posts", "@nasa", "--exclude", "replys");
    EXPECT(64, "must be of replies, reposts and quotes", "get", "posts", "@nasa", "--exclude", "everything");
    EXPECT(64, "--include: did you mean 'replies'?", "get", "posts", "@nasa", "--include", "replys");
    EXPECT(64, "name the same kind", "get", "posts", "@nasa", "--include", "replies", "--exclude", "replies");
    c = CALL(server_flag(), "get", "posts", "@nasa", "--exclude", "replies,quotes", "-q");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "get", "profile", "@nasa", "--exclude", "replies");
    expect_code(&c, 65);
    assert_true(says(&c.err, "no posts to leave out"));
    drop(&c);
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

/* The text a reader of the pipe gets, while the call writes it. */
static void read_pipe(int fd, struct call *c, struct buf *out)
{
    char piece[4096];
    ssize_t n;
    mono deadline = mono_add(clock_mono(), CALL_MS);
    while (!mono_past(deadline, clock_mono())) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 10);
        n = p.revents & POLLIN ? read(fd, piece, sizeof piece) : -1;
        if (n > 0)
            buf_add(out, (struct span){piece, (size_t)n});
        else if (p.revents & POLLHUP)
            break;
    }
    end(c);
}

static void out_never_replaces_what_is_no_file(void **state)
{
    (void)state;
    char path[200], link[200];
    struct stat info;
    struct buf text = BUF(OUTPUT_MAX);
    snprintf(path, sizeof path, "%s/pipe", server.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    struct call c = begin(
        (const char *const[]){server_flag(), "get", "posts", "@nasa", "--out", path, NULL});
    read_pipe(reader, &c, &text);
    close(reader);
    expect_code(&c, 0);
    assert_int_equal(lines(&text), POSTS);
    assert_int_equal(c.out.n, 0);
    drop(&c);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));

    /* A link stays a link, and the file keeps its mode. */
    snprintf(path, sizeof path, "%s/linked.json", server.folder);
    snprintf(link, sizeof link, "%s/link.json", server.folder);
    assert_int_equal(files_write(path, SPAN("old"), NULL), E_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink(path, link), 0);
    EXPECT(0, "complete", server_flag(), "get", "posts", "@nasa", "--out", link);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode, S_IFREG | 0640);
    buf_clear(&text);
    assert_int_equal(files_read(AT_FDCWD, path, OUTPUT_MAX, &text, NULL), E_OK);
    assert_int_equal(lines(&text), POSTS);
    buf_free(&text);

    static const char *const outputs[] = {"-", "/dev/stdout"};
    for (size_t i = 0; i < 2; i++) {
        c = CALL(server_flag(), "get", "posts", "@nasa", "--out", outputs[i]);
        expect_code(&c, 0);
        assert_int_equal(lines(&c.out), POSTS);
        drop(&c);
    }
}

/* Nodes like /dev/null and /dev/full, but ours: a mistake here must not cost the machine its
 * own. */
static void out_writes_through_to_a_device(void **state)
{
    (void)state;
    char path[200];
    struct stat info;
    static const struct {
        const char *name;
        unsigned minor;
        int code;
    } devices[] = {{"null", 3, 0}, {"full", 7, 74}};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", server.folder, devices[i].name);
        int fd = mknod(path, S_IFCHR | 0600, makedev(1, devices[i].minor))
                     ? -1
                     : open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            skip(); /* only root may, and not everywhere */
        close(fd);
        EXPECT(devices[i].code, "", server_flag(), "get", "posts", "@nasa", "--out", path);
        assert_int_equal(lstat(path, &info), 0);
        assert_true(S_ISCHR(info.st_mode));
    }
}

static void what_cannot_be_written_is_said_before_a_job_is_submitted(void **state)
{
    (void)state;
    char path[200];
    EXPECT(73, "it is a folder", server_flag(), "get", "posts", "@neversent", "--out",
           server.folder);
    EXPECT(73, "create", server_flag(), "get", "posts", "@neversent", "--out",
           "/nonexistent/folder/x.json");
    EXPECT(73, "create", server_flag(), "get", "posts", "@neversent", "--out", "/proc/x.json");
    snprintf(path, sizeof path, "%s/", server.folder);
    EXPECT(73, "it is a folder", server_flag(), "get", "posts", "@neversent", "--out", path);
    struct call c = CALL(server_flag(), "jobs", "list", "--limit", "200", "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"nasa\"") && !says(&c.out, "neversent"));
    drop(&c);
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
    /* What the service refuses: the value and why come first. */
    EXPECT(65, "fulmar: site: known are: x\n", server_flag(), "get", "posts", "@nasa", "--site",
           "nowhere");
    EXPECT(64, "kind: did you mean \"posts\"?", server_flag(), "get", "post", "@nasa");
    EXPECT(64, "fulmar: kind: known are:", server_flag(), "get", "nothing", "@nasa");
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
    c = CALL(server_flag(), "get", "profile", "@onlyone");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "jobs", "list", "--limit", "1");
    expect_code(&c, 0);
    assert_true(says(&c.out, "RECORDS") && says(&c.out, "       1  onlyone\n"));
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

/* The page for people: an account is a record there as well. */
static void the_page_shows_the_same_jobs(void **state)
{
    (void)state;
    struct client *client;
    struct client_answer answer;
    char address[200];
    struct call c = CALL(server_flag(), "get", "profile", "@pageone");
    expect_code(&c, 0);
    drop(&c);
    snprintf(address, sizeof address, "unix:%s", server.socket);
    assert_int_equal(client_open(&client, span_of(address), NULL), E_OK);
    struct client_request q = {
        .method = "GET", .path = "/", .timeout_ms = 5000, .body_max = OUTPUT_MAX};
    assert_int_equal(client_send(client, &q, &answer, NULL), E_OK);
    assert_int_equal(answer.status, 200);
    struct span page = buf_span(&answer.body);
    size_t at = span_find(page, SPAN("pageone"));
    struct span row = span_cut(page, at, span_find(span_cut(page, at, page.n), SPAN("</tr>")));
    assert_true(span_find(row, SPAN("/users?limit=200\">1</a>")) < row.n);
    assert_true(says(&answer.body, "<script nonce=\""));
    buf_free(&answer.body);
    client_close(&client);
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
    EXPECT(66, "nonexistent", "get", "posts", "@nasa", "--config", "/nonexistent.yaml");
    c = CALL("config", "init", "-");
    expect_code(&c, 0);
    assert_true(says(&c.out, "api:\n") && c.err.n == 0);
    assert_int_equal(files_write(path, buf_span(&c.out), NULL), E_OK);
    drop(&c);
    c = CALL("config", "check", path);
    expect_code(&c, 0);
    drop(&c);
}

/* The recordings of tests/data/x are answers of the practice site. */
static void site_packs_are_shown_checked_and_tried(void **state)
{
    (void)state;
    char copy[200], file[300], map[300];
    struct call c = CALL("site", "check");
    expect_code(&c, 0);
    assert_true(says(&c.out, "x ") && says(&c.out, ": ok"));
    drop(&c);
    c = CALL("site", "list");
    expect_code(&c, 0);
    assert_true(says(&c.out, "x ") && says(&c.out, "hashtag"));
    drop(&c);
    c = CALL("site", "show", "x");
    expect_code(&c, 0);
    assert_true(says(&c.out, "UserTweets") && says(&c.out, "a handle such as @nasa"));
    assert_true(says(&c.out, "posts; --product latest, top, people, media"));
    assert_true(says(&c.out, "posts, --depth of the replies") && says(&c.out, "  records  users"));
    drop(&c);
    EXPECT(66, "nosuch", "site", "show", "nosuch");
    EXPECT(64, "did you mean 'check'?", "site", "chek");
    EXPECT(64, "does not take 1 words", "site", "test", "x");
    EXPECT(66, "no recording", "site", "test", "x", "src");
    EXPECT(0, " 0 differences", "site", "test", "x", "tests/data/x");
    EXPECT(0, " 0 differences", "site", "test", "bluesky", "tests/data/bluesky");
    EXPECT(0, " 0 differences", "site", "test", "mastodon", "tests/data/mastodon");
    EXPECT(0, " 0 differences", "site", "test", "generic-feed", "tests/data/generic-feed");

    /* A pack that reads less: every field and record that changes is named. */
    snprintf(copy, sizeof copy, "%s/changed", server.folder);
    char command[700];
    snprintf(command, sizeof command, "mkdir -p %s && cp -r sites/x %s/x", copy, copy);
    assert_int_equal(system(command), 0);
    snprintf(copy, sizeof copy, "%s/changed/x", server.folder);
    snprintf(map, sizeof map, "%s/maps/post.yaml", copy);
    snprintf(command, sizeof command, "sed -i 's/^  lang:.*/  lang: legacy.language/' %s", map);
    assert_int_equal(system(command), 0);
    c = CALL("site", "diff", "sites/x", copy, "tests/data/x");
    expect_code(&c, 9);
    assert_true(says(&c.out, " lang: \"") && says(&c.out, "→ null"));
    assert_false(says(&c.out, " text: "));
    drop(&c);
    c = CALL("site", "test", copy, "tests/data/x", "--json");
    expect_code(&c, 9);
    assert_true(says(&c.out, "\"field\":\"lang\""));
    drop(&c);
    /* A change far behind in a long value. */
    snprintf(copy, sizeof copy, "%s/long", server.folder);
    snprintf(command, sizeof command,
             "mkdir -p %s && printf '<rss><channel><item><guid>g</guid><description>%%06000d</description>"
             "</item></channel></rss>' 1 >%s/feed-1.xml",
             copy, copy);
    assert_int_equal(system(command), 0);
    EXPECT(0, " 1 records", "site", "test", "generic-feed", copy, "--accept");
    snprintf(command, sizeof command, "sed -i 's/0001\",/0002\",/' %s/feed-1.records.ndjson", copy);
    assert_int_equal(system(command), 0);
    EXPECT(9, " 1 differences", "site", "test", "generic-feed", copy);
    snprintf(copy, sizeof copy, "%s/changed/x", server.folder);
    snprintf(file, sizeof file, "%s/site.yaml", copy);
    snprintf(command, sizeof command, "echo 'nonsense: 1' >>%s", file);
    assert_int_equal(system(command), 0);
    EXPECT(65, "unknown key 'nonsense'", "site", "check", copy);
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

/* How the played service fails, by TZ: of what it inherits this is free for it. */
static const struct {
    const char *zone, *log;
    int code;
    const char *words;
    int want;
} failures[] = {
    {"FAIL",
     "Z error node start.failed why=\"the disk is made of \\\"cheese\\\"\"\nZ info bye\n", 78,
     "fulmar: the service did not start: the disk is made of \"cheese\"\n", 78},
    {"FAIL1",
     "Z error node node.start_failed why=first\nZ error supervisor child.ended name=node "
     "code=69\nfulmar: no Chromium is here\nZ info supervisor service.stopped code=69\n",
     69, "fulmar: the service did not start: no Chromium is here\n", 69},
    {"FAIL2",
     "Z error node node.start_failed why=disk\nZ error supervisor child.ended code=74\n", 74,
     "did not start: disk\n", 74},
    {"FAIL3", "fulmar: another service has it\n", 11, "another service has it", 69},
    {"FAIL4", "half a word", 1, "did not start: half a word\n", 70},
    {"FAIL5", "", 70, "code 70", 70},
};
enum { FAILURES = sizeof failures / sizeof failures[0] };

static void an_embedded_service_that_fails_says_why(void **state)
{
    (void)state;
    write_embedded_config();
    for (size_t i = 0; i < FAILURES; i++) {
        setenv("TZ", failures[i].zone, 1);
        EXPECT(failures[i].want, failures[i].words, "--config", embedded_config, "get", "posts",
               "@nasa");
        unsetenv("TZ");
    }
}

static void no_service_is_started_for_an_order_that_the_pack_refuses(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *words, *kind, *target;
    } orders[] = {
        {64, "fulmar: unknown kind 'nothing'; known are posts", "nothing", "@nasa"},
        {64, "did you mean 'posts'?", "post", "@nasa"},
        {65, "fulmar: target: ", "posts", "no handle!"},
    };
    write_embedded_config();
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct call c =
            CALL("--config", embedded_config, "get", orders[i].kind, orders[i].target);
        expect_code(&c, orders[i].code);
        if (!says(&c.err, orders[i].words) || says(&c.err, "starting one"))
            fail_msg("wanted '%s' and no service: %.*s", orders[i].words, SP(buf_span(&c.err)));
        drop(&c);
    }
    EXPECT(65, "fulmar: site: ", "--config", embedded_config, "get", "posts", "@nasa", "--site",
           "nowhere");
}

/* What this program does as `serve --embedded --config FILE`. */
static void on_life_end(void *ctx, bool readable, bool writable)
{
    (void)ctx;
    (void)readable;
    (void)writable;
    loop_stop(server.loop);
}

/* What follows `flag`; NULL when it is not there. */
static const char *value_of(char **argv, const char *flag, const char *starts)
{
    for (; *argv; argv++)
        if (strcmp(argv[0], flag) == 0 && argv[1] &&
            span_starts(span_of(argv[1]), span_of(starts)))
            return argv[1];
    return NULL;
}

static int play_service(char **argv)
{
    static struct settings settings;
    const char *config_file = value_of(argv, "--config", "");
    char used[CONFIG_PATH_MAX], state[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX + 16];
    struct watch *life;
    const char *zone = getenv("TZ");
    for (size_t i = 0; zone && i < FAILURES; i++) {
        if (strcmp(zone, failures[i].zone))
            continue;
        fputs(failures[i].log, stderr);
        return failures[i].code;
    }
    /* The port of the configuration may be another service's. */
    if (!value_of(argv, "--set", "api.port=0"))
        return 78;
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
        return play_service(argv);
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
        cmocka_unit_test(fields_are_what_comes_out),
        cmocka_unit_test(out_is_all_or_nothing),
        cmocka_unit_test(out_never_replaces_what_is_no_file),
        cmocka_unit_test(out_writes_through_to_a_device),
        cmocka_unit_test(what_cannot_be_written_is_said_before_a_job_is_submitted),
        cmocka_unit_test(endings_have_their_codes),
        cmocka_unit_test(one_interrupt_stops_following_only),
        cmocka_unit_test(jobs_are_listed_shown_cancelled_and_logged),
        cmocka_unit_test(the_page_shows_the_same_jobs),
        cmocka_unit_test(config_is_written_once_and_checked),
        cmocka_unit_test(site_packs_are_shown_checked_and_tried),
        cmocka_unit_test(doctor_checks_this_machine),
        cmocka_unit_test(get_brings_its_own_service_and_takes_it_away),
        cmocka_unit_test(an_interrupt_cancels_the_job_of_an_embedded_service),
        cmocka_unit_test(an_embedded_service_that_fails_says_why),
        cmocka_unit_test(no_service_is_started_for_an_order_that_the_pack_refuses),
    };
    return cmocka_run_group_tests(tests, cli_group_start, cli_group_stop);
}

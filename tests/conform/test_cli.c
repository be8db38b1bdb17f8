/* The command line against a real API over a real store. Every call runs in a process of its
 * own, as it does in life; a robot in the place of the workers answers the jobs. When a call
 * starts an embedded service it starts this program again, which then plays the service. */
#include "../lib/service.h"

#include "../lib/called.h"

#include "base/json.h"
#include "cli/cli.h"
#include "cli/rows.h"
#include "core/metrics.h"
#include "net/client.h"
#include "os/random.h"
#include "os/spawn.h"
#include "upkeep/config.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

enum { POSTS = 25 };

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
        .usage = SPAN("1200 -1 4096 -1"),
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
    robot.op.in.reserve = (struct reserve_args){.worker = SPAN("robot")};
    robot.op.in.reserve.needs = NEEDS_PAGE;
    robot.op.in.reserve.random = random_u64() | 1;
    robot_post(STORE_RESERVE, robot_leased);
}

/* After each group of the store. */
static void robot_hears(void)
{
    if (metric_get(METRIC_JOBS, JOB_READY) > 0)
        robot_go();
}

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
    EXPECT(64, "does not know --accept", "get", "posts", "@nasa",
           "--accept"); /* one of the last flags */
    EXPECT(64, "serve does not know --quiet", "--quiet", "serve");
    EXPECT(64, "does not know --from", "get", "posts", "@nasa", "--from", "cookies.txt");
    EXPECT(64, "sessions add needs a name", "sessions", "add");
    EXPECT(64, "did you mean 'unlock'", "sessions", "unlok", "anna");
    EXPECT(64, "cookies are read from", "sessions", "cookies", "anna", "auth_token=1");
    EXPECT(65, "no name of a session", "sessions", "show", "../jobs");
    EXPECT(65, "no name of a session", "sessions", "show", "..");
    EXPECT(65, "not the id of a job", "replay", "job_1");
    EXPECT(64, "--media must be urls or download, not 'all'", "get", "posts", "@nasa",
           "--media", "all");
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
    struct call c =
        CALL(server_flag(), "get", "posts", "@nasa", "--limit", "2", "--fields", "text");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("{\"id\":\"1000\",\"text\":")));
    assert_false(says(&c.out, "hashtags"));
    drop(&c);
    c = CALL(server_flag(), "get", "posts", "@nasa", "--limit", "2", "--csv", "--fields",
             "text,author.screen_name");
    expect_code(&c, 0);
    assert_true(span_starts(buf_span(&c.out), SPAN("id,text,author.screen_name\r\n1000,")));
    drop(&c);
    EXPECT(64, "no record has 'likes'; did you mean 'counts.like'?", "get", "posts", "@nasa",
           "--fields", "id,likes");
    EXPECT(64, "no record has 'lang'", "get", "profile", "@nasa", "--fields", "lang");
    EXPECT(64, "did you mean 'replies'?", "get", "posts", "@nasa", "--exclude", "replys");
    EXPECT(64, "must be of replies, reposts and quotes", "get", "posts", "@nasa", "--exclude",
           "everything");
    EXPECT(64, "--include: did you mean 'replies'?", "get", "posts", "@nasa", "--include",
           "replys");
    EXPECT(64, "name the same kind", "get", "posts", "@nasa", "--include", "replies",
           "--exclude", "replies");
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

/* Waits until the file has the words. */
static void until_has(int fd, const char *words)
{
    mono deadline = mono_add(clock_mono(), CALL_MS);
    for (;;) {
        struct buf text = BUF(OUTPUT_MAX);
        read_all(fd, &text);
        bool there = says(&text, words);
        if (!there && mono_past(deadline, clock_mono()))
            fail_msg("'%s' never came: %.*s", words, SP(buf_span(&text)));
        buf_free(&text);
        if (there)
            return;
        poll(NULL, 0, 10);
    }
}

static void until_says(struct call *c, const char *words)
{
    until_has(c->err_fd, words);
}

static void until_prints(struct call *c, const char *words)
{
    until_has(c->out_fd, words);
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
    c = begin((const char *const[]){server_flag(), "get", "posts", "@forever", NULL});
    until_says(&c, "accepted");
    kill(c.pid, SIGTERM);
    end(&c);
    expect_code(&c, 143);
    drop(&c);
}

/* ---- jobs ---- */

static void jobs_are_listed_shown_cancelled_and_logged(void **state)
{
    (void)state;
    char id[64], ended[64];
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
    text = buf_span(&c.err);
    text = span_cut(text, span_find(text, SPAN("job_")), SIZE_MAX);
    span_copy(span_cut(text, 0, 30), ended, sizeof ended);
    drop(&c);
    /* what is not known is not nothing */
    c = CALL(server_flag(), "jobs", "show", ended);
    expect_code(&c, 0);
    assert_true(says(&c.out, "1200 ms of a processor, - MiB at most, - requests, 4 KiB"));
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

/* ---- many jobs ---- */

/* The first line of what a call wrote: an id. */
static const char *id_of(struct call *c)
{
    static char ids[4][64];
    static int n;
    struct span rest = buf_span(&c->out), line = SPAN_NONE;
    span_next(&rest, '\n', &line);
    char *id = span_copy(line, ids[n++ % 4], sizeof ids[0]);
    drop(c);
    return id;
}

static void batches_are_made_waited_for_shown_and_read(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "batches", "create", "posts", "@nasa", "@esa",
                         "--limit", "3", "--name", "space");
    expect_code(&c, 0);
    assert_true(says(&c.err, "2 jobs; wait for them: fulmar batches wait bat_"));
    const char *id = id_of(&c);
    EXPECT(0, "success: 2 of 2 jobs succeeded", server_flag(), "batches", "wait", id);
    c = CALL(server_flag(), "batches", "show", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "space") && says(&c.out, "2, 2 succeeded") &&
                says(&c.out, "100 %"));
    drop(&c);
    c = CALL(server_flag(), "batches", "list");
    expect_code(&c, 0);
    assert_true(says(&c.out, id) && says(&c.out, "success"));
    drop(&c);
    c = CALL(server_flag(), "batches", "jobs", id);
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 3);
    drop(&c);
    c = CALL(server_flag(), "batches", "posts", id, "--fields", "id");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 6);
    assert_true(says(&c.out, "{\"id\":\"1000\"}"));
    drop(&c);
    EXPECT(0, "takes no more jobs", server_flag(), "batches", "seal", id); /* twice is fine */
}

static void write_targets(char *path, size_t size, int count, bool wrong)
{
    snprintf(path, size, "%s/targets", server.folder);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    for (int i = 0; i < count; i++)
        fprintf(to, "@t%d\n\n", i);
    fputs(wrong ? "this is no name\r\n" : "@gone\r\n", to);
    fclose(to);
}

static void targets_of_a_file_are_sent_in_parts_and_some_may_fail(void **state)
{
    (void)state;
    char path[128];
    write_targets(path, sizeof path, 1200, true);
    EXPECT(65, "targets/200", server_flag(), "batches", "create", "posts", "--targets", path);
    struct call c = CALL(server_flag(), "batches", "create", "posts", "--targets", path,
                         "--partial", "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.out, "1200 jobs would be made") &&
                says(&c.err, "left out: target 1201"));
    drop(&c);
    write_targets(path, sizeof path, 1200, false);
    c = CALL(server_flag(), "batches", "create", "posts", "--targets", path, "--limit", "1",
             "--key", "mine");
    expect_code(&c, 0);
    assert_true(says(&c.err, "1201 jobs"));
    char id[64];
    snprintf(id, sizeof id, "%s", id_of(&c));
    c = CALL(server_flag(), "batches", "create", "posts", "--targets", path, "--limit", "1",
             "--key", "mine");
    expect_code(&c, 0);
    assert_string_equal(id_of(&c), id);
    EXPECT(2, "1200 of 1201 jobs succeeded, 1 failed", server_flag(), "batches", "wait", id);
    c = CALL(server_flag(), "batches", "jobs", id, "--state", "dead");
    expect_code(&c, 0);
    assert_true(says(&c.out, "suspended") && lines(&c.out) == 2);
    drop(&c);
    c = CALL(server_flag(), "batches", "retry-failed", id, "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.out, "1 jobs would be taken up again"));
    drop(&c);
    EXPECT(0, "1 jobs taken up again", server_flag(), "batches", "retry-failed", id, "--reset");
    EXPECT(2, "1 failed", server_flag(), "batches", "wait", id);
    unlink(path);
    EXPECT(66, "No such file", server_flag(), "batches", "create", "posts", "--targets", path);
}

static void an_open_batch_is_cancelled(void **state)
{
    (void)state;
    struct call c =
        CALL(server_flag(), "batches", "create", "posts", "@forever", "@forever", "--open");
    expect_code(&c, 0);
    assert_true(says(&c.err, "fulmar batches seal bat_"));
    const char *id = id_of(&c);
    EXPECT(0, "takes no more jobs", server_flag(), "batches", "seal", id);
    c = CALL(server_flag(), "batches", "cancel", id, "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.out, "2 jobs would be cancelled"));
    drop(&c);
    EXPECT(0, "2 jobs cancelled or told to stop", server_flag(), "batches", "cancel", id);
}

static void wrong_calls_about_many_jobs_say_why(void **state)
{
    (void)state;
    EXPECT(64, "did you mean 'create'?", "batches", "creat", "posts", "@a");
    EXPECT(64, "needs a kind and targets", "batches", "create");
    EXPECT(64, "there is no target", "batches", "create", "posts");
    EXPECT(64, "needs the id of a batch", "batches", "wait");
    EXPECT(65, "not the id of a batch", "batches", "show", "job_1");
    EXPECT(64, "--limit must be 1 to 100000", "batches", "create", "posts", "@a", "--limit",
           "0");
    EXPECT(64, "--stop-after must be 1 to 1000", server_flag(), "batches", "create", "posts",
           "@a", "--stop-after", "0");
    EXPECT(64, "between quotes", server_flag(), "batches", "create", "posts", "@a",
           "--on-complete", "profile");
    EXPECT(64, "needs a job, a filter", "dead", "retry");
    EXPECT(64, "needs a job, a filter", "dead", "delete");
    EXPECT(64, "--class must be a failure", "dead", "list", "--class", "bad");
    EXPECT(64, "16 hexadecimal digits", "dead", "retry", "--fingerprint", "xyz");
    EXPECT(64, "not both", "dead", "retry", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "--all");
    EXPECT(64, "did you mean 'list'?", "operations", "lits");
    EXPECT(64, "needs the id of an operation", "operations", "show");
    EXPECT(5, "not_found", server_flag(), "batches", "show", "bat_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    EXPECT(5, "not_found", server_flag(), "operations", "cancel",
           "opr_01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

static void dead_jobs_are_listed_retried_and_deleted(void **state)
{
    (void)state;
    char id[64] = "", print[32] = "";
    EXPECT(7, "suspended", server_flag(), "get", "posts", "@gone");
    struct call c = CALL(server_flag(), "dead", "list", "--class", "suspended", "--json");
    expect_code(&c, 0);
    struct json_parser *parser = json_parser_new(1 << 20);
    struct json root;
    struct span text = SPAN("");
    assert_int_equal(json_parse(parser, buf_span(&c.out), &root, NULL), E_OK);
    struct json group = json_at(json_get(root, SPAN("data")), 0);
    json_text(json_get(json_at(json_get(group, SPAN("examples")), 0), SPAN("job")), &text);
    span_copy(text, id, sizeof id);
    json_text(json_get(group, SPAN("fingerprint")), &text);
    span_copy(text, print, sizeof print);
    json_parser_free(&parser);
    drop(&c);
    c = CALL(server_flag(), "dead", "list");
    expect_code(&c, 0);
    assert_true(says(&c.out, print) && says(&c.out, "suspended"));
    assert_false(says(&c.out, "\x1b")); /* words of the site are no commands to the terminal */
    drop(&c);
    c = CALL(server_flag(), "dead", "show", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "x posts gone") && says(&c.out, print));
    drop(&c);
    c = CALL(server_flag(), "dead", "retry", "--fingerprint", print, "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.out, "would be taken up again") && says(&c.out, print));
    drop(&c);
    EXPECT(0, "will run again", server_flag(), "jobs", "retry", id, "--reset");
    EXPECT(0, "fulmar operations show opr_", server_flag(), "dead", "retry", "--class",
           "suspended", "--per-minute", "1");
    c = CALL(server_flag(), "operations", "list");
    expect_code(&c, 0);
    struct span rest = buf_span(&c.out), line = SPAN_NONE;
    span_next(&rest, '\n', &line);
    span_next(&rest, '\n', &line);
    char operation[64];
    span_copy(span_cut(line, 0, span_find_char(line, ' ')), operation, sizeof operation);
    drop(&c);
    c = CALL(server_flag(), "operations", "cancel", operation);
    expect_code(&c, 0);
    assert_true(says(&c.out, "cancelled") && says(&c.out, "1 a minute"));
    drop(&c);
    EXPECT(64, "nothing was deleted", server_flag(), "dead", "delete", "--class", "suspended");
    EXPECT(0, "jobs deleted", server_flag(), "dead", "delete", "--class", "suspended", "--yes");
    EXPECT(5, "not_found", server_flag(), "dead", "delete", id, "--yes");
    EXPECT(5, "not_found", server_flag(), "jobs", "retry", id);
    EXPECT(0, "no dead job is so", server_flag(), "dead", "list", "--class", "suspended");
}

/* The page for people: an account is a record there as well. */
/* The id of a job that succeeded. */
static const char *done_id(void)
{
    static char id[64];
    struct call c = CALL(server_flag(), "jobs", "list", "--state", "succeeded", "--limit", "1");
    size_t at = span_find(buf_span(&c.out), SPAN("\njob_"));
    struct span rest = span_cut(buf_span(&c.out), at + 1, c.out.n);
    span_copy(span_cut(rest, 0, span_find_char(rest, ' ')), id, sizeof id);
    drop(&c);
    return id;
}

static void an_order_is_submitted_and_not_waited_for(void **state)
{
    (void)state;
    char id[64], second[64];
    struct call c = CALL(
        server_flag(), "jobs", "create", "posts", "@later", "--tenant", "press", "--class",
        "bulk", "--not-before", "2099-01-01", "--expires", "2h", "--deadline", "1d", "--unique",
        "k1", "--attempt-timeout", "90s", "--idle-timeout", "20s", "--priority", "8",
        "--max-pages", "3", "--max-bytes", "1MiB", "--navigation-timeout", "9s", "--memory",
        "256MiB", "--cpu", "1m", "--max-requests", "99", "--min-posts", "2", "--on-empty",
        "fail", "--require", "id,counts.like", "--retry-max", "3");
    expect_code(&c, 0);
    assert_true(lines(&c.out) == 1 && says(&c.err, "accepted; look: fulmar jobs show job_"));
    span_copy(span_trim(buf_span(&c.out)), id, sizeof id);
    drop(&c);
    c = CALL(server_flag(), "jobs", "show", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "press/x/bulk, priority 8") &&
                says(&c.out, "for time until 2099-01-01T00:00:00.000Z") &&
                says(&c.out, "unique     k1") && says(&c.out, "failures   0 of 3 in a row") &&
                says(&c.out,
                     "options    retry.max_attempts=3 max_pages=3 max_bytes=1048576 "
                     "timeouts.navigation_s=9 "
                     "resources.memory_mib=256 resources.cpu_s=60 resources.max_requests=99 "
                     "quality.min_posts=2 quality.on_empty=fail "
                     "quality.required_fields=[\"id\",\"counts.like\"]\n") &&
                says(&c.out, "expires    2099-01-01T02:00:00.000Z"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "create", "posts", "@other", "--retry-max", "3",
             "--retry-base", "500ms", "--retry-cap", "1m", "--retry-factor", "3", "--dry-run",
             "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "{\"retry\":{\"max_attempts\":3,\"backoff\":{\"base_ms\":500,"
                             "\"max_ms\":60000,\"factor\":3}}}"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "create", "posts", "@other", "--tenant", "press",
             "--unique", "k1");
    expect_code(&c, 0);
    span_copy(span_trim(buf_span(&c.out)), second, sizeof second);
    assert_true(says(&c.err, "is about the same and has not ended"));
    assert_string_equal(second, id);
    drop(&c);
    EXPECT(11, "unique_conflict", server_flag(), "jobs", "create", "posts", "@other",
           "--tenant", "press", "--unique", "k1", "--on-conflict", "reject");
    /* The same jobs by a filter: seen first, then cancelled. */
    c = CALL(server_flag(), "jobs", "cancel", "--state", "scheduled", "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.out, id) && says(&c.out, "1 jobs would be cancelled"));
    drop(&c);
    EXPECT(64, "this is to cancel 1 job: look first with --dry-run", server_flag(), "jobs",
           "cancel", "--state", "scheduled");
    EXPECT(0, "no such job", server_flag(), "jobs", "cancel", "--state", "scheduled", "--site",
           "mastodon", "--yes");
    EXPECT(0, "1 jobs cancelled", server_flag(), "jobs", "cancel", "--state", "scheduled",
           "--yes", "--reason", "not wanted");
    c = CALL(server_flag(), "jobs", "show", id);
    assert_true(says(&c.out, "cancelled") && says(&c.out, "not wanted"));
    drop(&c);
    /* All are tried; the first trouble is the code. */
    EXPECT(5, "conflict_state", server_flag(), "jobs", "cancel", "--force", id,
           "job_01ARZ3NDEKTSV4RRFFQ69G5FAV", done_id());
}

static void jobs_are_found_by_their_labels(void **state)
{
    (void)state;
    char id[64];
    struct call c =
        CALL(server_flag(), "jobs", "create", "posts", "@labelled", "--label", "team=press",
             "--label", "desk=heat & pump", "--not-before", "2099-01-01");
    expect_code(&c, 0);
    span_copy(span_trim(buf_span(&c.out)), id, sizeof id);
    drop(&c);
    EXPECT(0, "is changed", server_flag(), "jobs", "set", id, "--label", "run=7", "--label",
           "team=");
    c = CALL(server_flag(), "jobs", "show", id);
    expect_code(&c, 0);
    assert_true(says(&c.out, "labels     desk=heat & pump run=7\n"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "list", "--label", "desk=heat & pump", "--label", "run=7");
    expect_code(&c, 0);
    assert_true(says(&c.out, id) && lines(&c.out) == 2);
    drop(&c);
    EXPECT(0, "no such job", server_flag(), "jobs", "list", "--label", "team=press");
    EXPECT(0, "no such job", server_flag(), "jobs", "cancel", "--label", "team=press", "--yes");
    EXPECT(0, "1 jobs cancelled", server_flag(), "jobs", "cancel", "--label", "run=7", "--yes");
    EXPECT(64, "NAME=VALUE", server_flag(), "jobs", "list", "--label", "team");
    EXPECT(64, "NAME=VALUE", server_flag(), "jobs", "create", "posts", "@a", "--label",
           "team=");
    EXPECT(64, "NAME=VALUE", server_flag(), "jobs", "set", id, "--label", "a b=c");
    const char *many[2 * 17 + 6] = {server_flag(), "jobs", "create", "posts", "@a"};
    for (int i = 0; i < 17; i++) {
        many[5 + 2 * i] = "--label";
        many[6 + 2 * i] = "a=b";
    }
    c = call(many);
    expect_code(&c, 64);
    assert_true(says(&c.err, "at most 16 labels"));
    drop(&c);
}

static void workers_are_told_what_is_wanted_of_them(void **state)
{
    (void)state;
    EXPECT(0, "takes no further job", server_flag(), "workers", "quiet", "2", "--reason",
           "drill");
    assert_int_equal(server.acts[ACT_QUIET], 2);
    EXPECT(0, "gives its job back", server_flag(), "workers", "stop", "1");
    EXPECT(0, "was killed", server_flag(), "workers", "kill", "2");
    EXPECT(11, "scaled in", server_flag(), "workers", "resume", "2");
    EXPECT(5, "no worker 3", server_flag(), "workers", "quiet", "3");
    EXPECT(0, "replaced when its pages are done", server_flag(), "browsers", "recycle", "1");
    EXPECT(64, "needs a number", server_flag(), "workers", "quiet");
    EXPECT(64, "--number must be", server_flag(), "workers", "quiet", "two");
    EXPECT(64, "--wait goes with", server_flag(), "workers", "scale", "--wait");
    EXPECT(65, "0 to 4 workers", server_flag(), "workers", "scale", "5");
    struct call c = CALL(server_flag(), "workers", "scale", "3", "--wait=1s");
    expect_code(&c, 0);
    assert_true(says(&c.out, "workers      3 of at most 4, 2 configured\n") &&
                says(&c.out, "desired      4\n") && says(&c.out, "worker 2 has job_01ARZ3"));
    drop(&c);
    c = CALL(server_flag(), "workers", "dump", "2");
    expect_code(&c, 0);
    assert_true(
        says(&c.out, "cpu          1200 ms, 1 threads") &&
        says(&c.out, "progress     3 pages, 60 records") &&
        says(&c.out, "waits for    store\n") &&
        says(&c.out, "stack        poll+0x4f in libc.so.6\n             channel_next+0x111\n"));
    drop(&c);
}

static void an_earlier_result_will_do(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "get", "posts", "@cached", "--limit", "4", "--json");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "get", "posts", "@cached", "--limit", "4", "--json", "--max-age",
             "1h");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 4);
    assert_true(says(&c.err, "it is the result of job_") && says(&c.err, " s old"));
    drop(&c);
}

static void running_jobs_are_cancelled_by_force(void **state)
{
    (void)state;
    char id[64];
    struct call c =
        CALL(server_flag(), "jobs", "create", "posts", "@forever", "--limit", "77", "-q");
    expect_code(&c, 0);
    span_copy(span_trim(buf_span(&c.out)), id, sizeof id);
    drop(&c);
    for (int i = 0; i < 400; i++) {
        c = CALL(server_flag(), "jobs", "show", id);
        bool runs = says(&c.out, "active");
        drop(&c);
        if (runs)
            break;
        poll(NULL, 0, 25);
    }
    EXPECT(64, "one of --force and --grace", server_flag(), "jobs", "cancel", id, "--force",
           "--grace", "5s");
    EXPECT(64, "--grace must be", server_flag(), "jobs", "cancel", id, "--grace", "5");
    EXPECT(0, "is being stopped", server_flag(), "jobs", "cancel", id, "--grace", "5m");
    EXPECT(0, "by force", server_flag(), "jobs", "cancel", id, "--force", "--reason",
           "it hangs");
    c = CALL(server_flag(), "jobs", "show", id);
    assert_true(says(&c.out, "cancelled by force: it hangs") && says(&c.out, "1 made void"));
    drop(&c);
}

static void queues_are_listed_set_and_stopped(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "queues");
    expect_code(&c, 0);
    assert_true(says(&c.out, "QUEUE ") && says(&c.out, "default/x/normal ") &&
                says(&c.out, "press/x/bulk "));
    drop(&c);
    c = CALL(server_flag(), "queues", "list", "--tenant", "press");
    assert_false(says(&c.out, "default/x/normal"));
    drop(&c);
    c = CALL(server_flag(), "queues", "set", "x/bulk", "--max-running", "2", "--every",
             "1500ms", "--weight", "7");
    expect_code(&c, 0);
    assert_true(says(&c.out, "running    2 (own: 2)") &&
                says(&c.out, "every ms   1500 (own: 1500)"));
    drop(&c);
    c = CALL(server_flag(), "queues", "set", "default/x/bulk", "--max-running", "default");
    assert_true(says(&c.out, "running    64 (own: default)") &&
                says(&c.out, "weight     7 (own: 7)"));
    drop(&c);
    EXPECT(0, "default/x/bulk: paused by anna since ", server_flag(), "queues", "pause",
           "x/bulk", "--reason", "moving", "--by", "anna");
    c = CALL(server_flag(), "jobs", "create", "posts", "@held", "--class", "bulk", "-q");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "queues", "list", "--troubled");
    assert_true(says(&c.out, ": moving\n") && !says(&c.out, "default/x/normal"));
    drop(&c);
    EXPECT(0, "1 waiting jobs would be cancelled", server_flag(), "queues", "purge", "x/bulk",
           "--reason", "a", "--dry-run");
    EXPECT(64, "look first with --dry-run, then say --yes", server_flag(), "queues", "purge",
           "x/bulk", "--reason", "a");
    c = CALL(server_flag(), "queues", "purge", "x/bulk", "--reason", "a", "--yes", "--json");
    expect_code(&c, 0);
    assert_true(says(
        &c.out,
        "{\"object\":\"purge\",\"queue\":\"default/x/bulk\",\"cancelled\":1,\"more\":false}"));
    drop(&c);
    EXPECT(0, "default/x/bulk: open", server_flag(), "queues", "resume", "x/bulk");
    EXPECT(0, "closed by ", server_flag(), "queues", "close", "x/bulk", "--reason", "full");
    EXPECT(75, "queue_closed", server_flag(), "jobs", "create", "posts", "@held", "--class",
           "bulk");
    EXPECT(0, "default/x/bulk: open", server_flag(), "queues", "open", "x/bulk");
    EXPECT(5, "not_found", server_flag(), "queues", "show", "nobody/x/normal");
    EXPECT(64, "needs --reason", server_flag(), "queues", "pause", "x/bulk");
    EXPECT(64, "is no queue", server_flag(), "queues", "pause", "x", "--reason", "a");
    EXPECT(64, "say what to set", server_flag(), "queues", "set", "x/bulk");
    EXPECT(64, "--weight must be 1 to 10000", server_flag(), "queues", "set", "x/bulk",
           "--weight", "0");
    EXPECT(64, "did you mean 'pause'?", server_flag(), "queues", "puase", "x/bulk");
    EXPECT(64, "needs one queue", server_flag(), "queues", "pause");
}

static void limits_breakers_and_modes_are_set(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "limits", "set", "tenant", "press", "--max-running",
                         "3", "--weight", "50");
    expect_code(&c, 0);
    assert_true(says(
        &c.out, "tenant   press                                    0         3      50  -\n"));
    drop(&c);
    c = CALL(server_flag(), "limits", "set", "site", "x", "--every", "2s", "--burst", "9");
    assert_true(says(&c.out, "one in 2000 ms, 9 at once\n"));
    drop(&c);
    c = CALL(server_flag(), "limits", "explain", "--tenant", "press", "--class", "bulk");
    expect_code(&c, 0);
    assert_true(says(&c.out, "one start in 2000 ms") && says(&c.out, "whose tenant has 50"));
    drop(&c);
    c = CALL(server_flag(), "limits", "set", "site", "x", "--every", "0s");
    expect_code(&c, 0);
    drop(&c);
    EXPECT(64, "limits set takes", server_flag(), "limits", "set", "site", "x", "--weight",
           "3");
    EXPECT(64, "limits set takes", server_flag(), "limits", "set", "tenants", "x", "--weight",
           "3");
    EXPECT(64, "say what to set", server_flag(), "limits", "set", "all");
    EXPECT(5, "not_found", server_flag(), "limits", "set", "site", "nosuch", "--max-running",
           "3");

    EXPECT(0, "its breaker is open, by hand until 20", server_flag(), "breakers", "open",
           "x/bulk", "--reason", "drill", "--ttl", "1h");
    c = CALL(server_flag(), "breakers", "list");
    assert_true(says(&c.out, "default/x/bulk ") && says(&c.out, "  open "));
    drop(&c);
    EXPECT(0, "its breaker is closed", server_flag(), "breakers", "reset", "x/bulk");
    EXPECT(0, "all breakers are closed", server_flag(), "breakers", "list");
    EXPECT(64, "--ttl must be", server_flag(), "breakers", "open", "x/bulk", "--reason",
           "drill", "--ttl", "2d");
    EXPECT(64, "needs --reason", server_flag(), "breakers", "close", "x/bulk");
    EXPECT(0, "open of the breakers of ", server_flag(), "breakers", "open", "sites/x",
           "--reason", "drill", "--dry-run");
    EXPECT(0, "sites/x: its breaker is open, by hand until 20", server_flag(), "breakers",
           "open", "sites/x", "--reason", "drill");
    c = CALL(server_flag(), "breakers", "list", "--kind", "site", "--state", "open");
    assert_true(says(&c.out, "sites/x ") && says(&c.out, "  site     open "));
    drop(&c);
    c = CALL(server_flag(), "breakers", "show", "x/bulk");
    assert_true(says(&c.out, "reason     drill\n") &&
                says(&c.out, "0 in a row, opened 0 times"));
    drop(&c);
    EXPECT(0, "sites/x: its breaker is closed", server_flag(), "breakers", "reset", "sites/x");
    c = CALL(server_flag(), "breakers", "list", "--all", "--kind", "store");
    assert_true(says(&c.out, "store ") && says(&c.out, "  closed "));
    drop(&c);
    EXPECT(11, "is not held by hand", server_flag(), "breakers", "open", "store", "--reason",
           "drill");
    EXPECT(5, "not_found", server_flag(), "breakers", "open", "sessions/nobody", "--reason",
           "drill");
    EXPECT(64, "no --ttl", server_flag(), "breakers", "close", "sessions/nobody", "--reason",
           "drill", "--ttl", "1h");
    EXPECT(64, "--dry-run is for sites", server_flag(), "breakers", "open", "x/bulk",
           "--reason", "drill", "--dry-run");
    EXPECT(64, "is no queue", server_flag(), "breakers", "open", "site/x", "--reason", "drill");
    EXPECT(5, "not_found", server_flag(), "limits", "set", "webhook",
           "whk_00000000000000000000000000", "--max-running", "2");

    EXPECT(0, "no node has said yet", server_flag(), "nodes",
           "list"); /* no process does here */
    EXPECT(64, "too many words", server_flag(), "nodes", "list", "north");

    c = CALL(server_flag(), "mode", "set", "draining", "--reason", "a new version");
    expect_code(&c, 0);
    assert_true(says(&c.out, "draining: takes no jobs") && says(&c.out, "a new version"));
    drop(&c);
    EXPECT(75, "draining", server_flag(), "jobs", "create", "posts", "@nobody");
    c = CALL(server_flag(), "mode", "set", "normal");
    expect_code(&c, 0);
    drop(&c);
    c = CALL(server_flag(), "mode", "--json");
    assert_true(says(&c.out, "\"mode\":\"normal\""));
    drop(&c);
    EXPECT(64, "needs --reason", server_flag(), "mode", "set", "paused");
    EXPECT(64, "did you mean 'paused'?", server_flag(), "mode", "set", "puased", "--reason",
           "a");
}

static void flags_of_an_order_are_checked(void **state)
{
    (void)state;
    EXPECT(64, "did you mean 'bulk'?", "get", "posts", "@nasa", "--class", "bluk");
    EXPECT(64, "--tenant must be a word", "get", "posts", "@nasa", "--tenant", "a/b");
    EXPECT(64, "--expires must be a time", "get", "posts", "@nasa", "--expires", "60");
    EXPECT(64, "--expires must be a time", "get", "posts", "@nasa", "--expires", "1500ms");
    EXPECT(64, "--idle-timeout must be a time", "get", "posts", "@nasa", "--idle-timeout",
           "2h");
    EXPECT(64, "--not-before must be a date", "get", "posts", "@nasa", "--not-before",
           "tomorrow");
    EXPECT(64, "--on-conflict goes with --unique", "get", "posts", "@nasa", "--on-conflict",
           "reject");
    EXPECT(64, "--fresh-within goes with --unique", "get", "posts", "@nasa", "--fresh-within",
           "1h");
    EXPECT(64, "needs --fresh-within TIME", "get", "posts", "@nasa", "--unique", "k",
           "--on-conflict", "fresh_within");
    EXPECT(64, "not reject", "get", "posts", "@nasa", "--unique", "k", "--on-conflict",
           "reject", "--fresh-within", "1h");
    EXPECT(64, "did you mean 'replace'?", "get", "posts", "@nasa", "--unique", "k",
           "--on-conflict", "replce");
    EXPECT(64, "--max-pages must be 1 to 100000", "get", "posts", "@nasa", "--max-pages", "0");
    EXPECT(64, "--max-bytes must be a size such as", "get", "posts", "@nasa", "--max-bytes",
           "1KiB");
    EXPECT(64, "--memory must be a size such as", "get", "posts", "@nasa", "--memory", "much");
    EXPECT(64, "--cpu must be a time", "get", "posts", "@nasa", "--cpu", "10");
    EXPECT(64, "--max-requests must be 1 to", "get", "posts", "@nasa", "--max-requests", "a");
    EXPECT(64, "--navigation-timeout must be a time", "get", "posts", "@nasa",
           "--navigation-timeout", "11m");
    EXPECT(64, "--min-posts must be 1 to", "get", "posts", "@nasa", "--min-posts", "-1");
    EXPECT(64, "--on-empty: did you mean 'accept'?", "get", "posts", "@nasa", "--on-empty",
           "acept");
    EXPECT(64, "no record has 'likes'; did you mean 'counts.like'?", "get", "posts", "@nasa",
           "--require", "id,likes");
    EXPECT(64, "--coalesce must be one of yes, no", "get", "posts", "@nasa", "--coalesce",
           "maybe");
    EXPECT(64, "--retry-max must be 1 to 20", "get", "posts", "@nasa", "--retry-max", "21");
    EXPECT(64, "--retry-base must be a time", "get", "posts", "@nasa", "--retry-base", "2h");
    EXPECT(64, "--retry-cap must be a time", "get", "posts", "@nasa", "--retry-cap", "60");
    EXPECT(64, "--retry-factor must be 1 to 10", "get", "posts", "@nasa", "--retry-factor",
           "1.5");
    EXPECT(64, "--retry-base must not be more than --retry-cap", "get", "posts", "@nasa",
           "--retry-base", "2s", "--retry-cap", "1s");
    EXPECT(64, "--callback must be the id of a webhook", "get", "posts", "@nasa", "--callback",
           "desk");
    EXPECT(65, "there is no webhook whk_01ARZ3NDEKTSV4RRFFQ69G5FAV", server_flag(), "jobs",
           "create", "posts", "@nasa", "--callback", "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    EXPECT(64, "jobs create does not know --csv", "jobs", "create", "posts", "@nasa", "--csv");
    EXPECT(64, "jobs create does not know --force", "jobs", "create", "posts", "@nasa",
           "--force");
    EXPECT(64, "jobs list does not know --pool", "jobs", "list", "--pool", "a");
    EXPECT(64, "needs a kind and a target", "jobs", "create", "posts");
    EXPECT(64, "ids, or a filter such as --state and --site, not both", "jobs", "cancel",
           "job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "--state", "ready");
    EXPECT(64, "a filter such as --state, or --all", "jobs", "cancel");
    EXPECT(64, "--force goes with ids", "jobs", "cancel", "--all", "--force");
}

static void mistakes_about_schedules_are_named(void **state)
{
    (void)state;
    EXPECT(64, "did you mean 'create'?", "schedules", "craete");
    EXPECT(64, "needs a name, a kind and a target", "schedules", "create", "nasa");
    EXPECT(64, "say when", "schedules", "create", "nasa", "posts", "@nasa");
    EXPECT(64, "--every must be whole seconds", "schedules", "create", "nasa", "posts", "@nasa",
           "--every", "1500ms");
    EXPECT(64, "least and the most", "schedules", "create", "nasa", "posts", "@nasa",
           "--adaptive", "5m");
    EXPECT(64, "--limit must be", "schedules", "create", "nasa", "posts", "@nasa", "--every",
           "5m", "--limit", "0");
    EXPECT(64, "--limit must be 1 to 100", "schedules", "preview", "--every", "5m", "--limit",
           "101");
    EXPECT(64, "needs --from", "schedules", "backfill", "nasa");
    EXPECT(64, "needs the name", "schedules", "delete");
    EXPECT(64, "preview needs", "schedules", "preview");
    EXPECT(64, "does not know --cron", "get", "posts", "@nasa", "--cron", "@daily");
    EXPECT(65, "job/unique", server_flag(), "schedules", "create", "a", "posts", "@nasa",
           "--every", "5m", "--unique", "k");
    EXPECT(65, "job/not_before", server_flag(), "schedules", "create", "a", "posts", "@nasa",
           "--every", "5m", "--not-before", "2099-01-01");
    EXPECT(64, "did you mean 'bulk'?", server_flag(), "schedules", "create", "a", "posts",
           "@nasa", "--every", "5m", "--class", "bluk");
    EXPECT(65, "job/target", server_flag(), "schedules", "create", "a", "posts", "a b c",
           "--every", "5m");
    EXPECT(65, "did you mean \"queue_one\"", server_flag(), "schedules", "create", "a", "posts",
           "@nasa", "--every", "5m", "--overlap", "queue-one");
    EXPECT(65, "timezone", server_flag(), "schedules", "preview", "--cron", "@daily",
           "--timezone", "Mars/Base");
    EXPECT(5, "there is no schedule", server_flag(), "schedules", "show", "nobody");
    EXPECT(5, "there is no schedule", server_flag(), "schedules", "delete", "nobody");
}

#define SCHEDULES(...) CALL(server_flag(), "schedules", __VA_ARGS__)

static void expect_out(struct call c, const char *what)
{
    expect_code(&c, 0);
    if (!says(&c.out, what))
        fail_msg("wanted '%s' in: %.*s %.*s", what, SP(buf_span(&c.out)), SP(buf_span(&c.err)));
    drop(&c);
}

static void schedules_are_made_looked_at_and_deleted(void **state)
{
    (void)state;
    EXPECT(0, "make one", server_flag(), "schedules");
    EXPECT(0, "would be scheduled", server_flag(), "schedules", "create", "daily", "posts",
           "@nasa", "--cron", "30 2 * * *", "--dry-run");
    EXPECT(5, "there is no schedule", server_flag(), "schedules", "show", "daily");
    EXPECT(0, "daily is scheduled; next: 20", server_flag(), "schedules", "create", "daily",
           "posts", "@nasa", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin",
           "--since-last", "--limit", "7");
    EXPECT(11, "there is a schedule daily already", server_flag(), "schedules", "create",
           "daily", "posts", "@nasa", "--every", "1h");
    expect_out(SCHEDULES("list"), "30 2 * * * Europe/Berlin      posts @nasa");
    expect_out(SCHEDULES("show", "daily"), "when       30 2 * * * Europe/Berlin");
    expect_out(SCHEDULES("show", "daily", "--json"), "\"since_last\":true");
    expect_out(SCHEDULES("preview", "daily", "--from", "2026-10-24", "--limit", "3"),
               "2026-10-25T02:30:00  +02:00  2026-10-25T00:30:00.000Z\n"
               "2026-10-26T02:30:00  +01:00  2026-10-26T01:30:00.000Z\n");
    expect_out(SCHEDULES("preview", "--every", "1h", "--from", "2026-03-29"),
               "2026-03-29T09:00:00.000Z");

    EXPECT(0, "1 job would be made", server_flag(), "schedules", "trigger", "daily",
           "--dry-run");
    EXPECT(0, "look: fulmar jobs show job_", server_flag(), "schedules", "trigger", "daily");
    mono deadline = mono_add(clock_mono(), CALL_MS);
    for (bool ended = false; !ended;) { /* the robot ends it */
        struct call c = SCHEDULES("runs", "daily");
        expect_code(&c, 0);
        ended = says(&c.out, "trigger   ended     succeeded          7  job_");
        if (!ended && mono_past(deadline, clock_mono()))
            fail_msg("the run does not end: %.*s", SP(buf_span(&c.out)));
        drop(&c);
    }
    EXPECT(0, "2 jobs would be made", server_flag(), "schedules", "backfill", "daily", "--from",
           "2026-02-01", "--to", "2026-02-03", "--dry-run");
    EXPECT(0, "2 jobs made, 0 had one", server_flag(), "schedules", "backfill", "daily",
           "--from", "2026-02-01", "--to", "2026-02-03");
    EXPECT(0, "daily is paused", server_flag(), "schedules", "pause", "daily", "--reason",
           "too \x1b[31mloud");
    struct call c = SCHEDULES("show", "daily");
    expect_code(&c, 0);
    assert_true(says(&c.out, "state      paused") && says(&c.out, "loud") &&
                !says(&c.out, "\x1b"));
    drop(&c);
    EXPECT(0, "daily goes on; next: 20", server_flag(), "schedules", "resume", "daily");
    EXPECT(0, "daily is changed", server_flag(), "schedules", "change", "daily", "posts",
           "@nasa", "--every", "2h", "--start", "2090-01-01");
    expect_out(SCHEDULES("show", "daily"), "next       2090-01-01T00:00:00.000Z");
    EXPECT(0, "would be deleted", server_flag(), "schedules", "delete", "daily", "--dry-run");
    EXPECT(0, "daily is deleted", server_flag(), "schedules", "delete", "daily");
    EXPECT(5, "there is no schedule", server_flag(), "schedules", "runs", "daily");
}

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
    assert_true(says(&c.out, "posts, --depth of the replies") &&
                says(&c.out, "  records  users"));
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
    snprintf(
        command, sizeof command,
        "mkdir -p %s && printf '<rss><channel><item><guid>g</guid><description>%%06000d</description>"
        "</item></channel></rss>' 1 >%s/feed-1.xml",
        copy, copy);
    assert_int_equal(system(command), 0);
    EXPECT(0, " 1 records", "site", "test", "generic-feed", copy, "--accept");
    snprintf(command, sizeof command, "sed -i 's/0001\",/0002\",/' %s/feed-1.records.ndjson",
             copy);
    assert_int_equal(system(command), 0);
    EXPECT(9, " 1 differences", "site", "test", "generic-feed", copy);
    snprintf(copy, sizeof copy, "%s/changed/x", server.folder);
    snprintf(file, sizeof file, "%s/site.yaml", copy);
    snprintf(command, sizeof command, "echo 'nonsense: 1' >>%s", file);
    assert_int_equal(system(command), 0);
    EXPECT(65, "unknown key 'nonsense'", "site", "check", copy);
}

static void write_config(char *path, size_t size, const char *name, const char *state_dir)
{
    snprintf(path, size, "%s/%s.yaml", server.folder, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fprintf(to, "store:\n  path: %s\n", state_dir);
    fclose(to);
}

static void a_store_is_backed_up_while_it_runs_and_made_a_store_again(void **state)
{
    (void)state;
    char here[256], there[256], file[256], place[256];
    snprintf(place, sizeof place, "%s/restored", server.folder);
    snprintf(file, sizeof file, "%s/copy.db", server.folder);
    write_config(here, sizeof here, "here", server.folder);
    write_config(there, sizeof there, "there", place);
    struct call c = CALL("backup", "create", file, "--config", here);
    expect_code(&c, 0);
    assert_true(says(&c.out, file));
    drop(&c);
    c = CALL("backup", "create", file, "--config", here);
    expect_code(&c, 11);
    drop(&c);
    c = CALL("backup", "restore", file, "--config", here); /* the service runs there */
    expect_code(&c, 11);
    drop(&c);
    c = CALL("backup", "verify", file, "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"object\":\"backup\""));
    drop(&c);
    c = CALL("backup", "restore", file, "--config", there);
    expect_code(&c, 0);
    drop(&c);
    c = CALL("backup", "verify", here);
    expect_code(&c, 65);
    drop(&c);
    c = CALL("backup", "verify", "/nonexistent.db");
    expect_code(&c, 66);
    drop(&c);
    c = CALL("backup", "keep", file);
    expect_code(&c, 64);
    drop(&c);
}

/* Between two embedded stores, which need no servers; with those: test_move.c, tests/system/move.sh. */
static void a_store_is_moved_and_says_how_it_ended(void **state)
{
    (void)state;
    char here[256], other[256], file[256], place[256], from[300], to[300], nowhere[300];
    char target[300], busy[300];
    snprintf(place, sizeof place, "%s/moved", server.folder);
    snprintf(file, sizeof file, "%s/move.db", server.folder);
    snprintf(from, sizeof from, "sqlite:%s", place);
    snprintf(to, sizeof to, "sqlite:%s/target/fulmar.db", server.folder);
    snprintf(nowhere, sizeof nowhere, "sqlite:%s/nowhere", server.folder);
    snprintf(target, sizeof target, "%s/target", server.folder);
    snprintf(busy, sizeof busy, "sqlite:%s", server.folder);
    write_config(here, sizeof here, "here", server.folder);
    write_config(other, sizeof other, "other", place);
    struct call c = CALL("backup", "create", file, "--config", here);
    drop(&c);
    c = CALL("backup", "restore", file, "--config", other);
    expect_code(&c, 0);
    drop(&c);
    c = CALL("store", "move", "--from", from);
    expect_code(&c, 64);
    drop(&c);
    c = CALL("store", "move", "--from", "mysql://a", "--to", to, "--config", other);
    expect_code(&c, 65);
    assert_true(says(&c.err, "--from is no store"));
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", "shared", "--config", other);
    expect_code(&c, 78);
    drop(&c);
    c = CALL("store", "move", "--from", nowhere, "--to", to, "--config", other);
    expect_code(&c, 66);
    drop(&c);
    c = CALL("store", "move", "--from", "sqlite:", "--to", to, "--config", here);
    expect_code(&c, 11); /* the service runs there */
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", to, "--config", other, "--dry-run");
    expect_code(&c, 0);
    assert_true(says(&c.err, "nothing was"));
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", to, "--config", other, "--abandon");
    expect_code(&c, 11);
    assert_true(says(&c.err, "nothing to abandon"));
    drop(&c);
    assert_int_not_equal(access(target, F_OK), 0); /* nor was it made */
    c = CALL("store", "move", "--from", from, "--to", busy, "--config", other, "--abandon");
    expect_code(&c, 11); /* who is at work there may have all: it is not passed over */
    assert_true(says(&c.err, "stop it") && !says(&c.err, "abandon"));
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", to, "--config", other, "--gone");
    expect_code(&c, 64);
    drop(&c);
    c = CALL("store", "move", "--from", "sqlite:", "--to", to, "--config", other, "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"object\":\"store_move\"") && says(&c.out, "\"same\":true"));
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", to, "--config", other);
    expect_code(&c, 0);
    assert_true(says(&c.err, "was moved to") && says(&c.err, "before"));
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", nowhere, "--config", other);
    expect_code(&c, 11);
    assert_int_not_equal(access(nowhere + strlen("sqlite:"), F_OK), 0); /* nothing is left */
    drop(&c);
    c = CALL("store", "move", "--from", from, "--to", to, "--config", other, "--verify");
    expect_code(&c, 0);
    assert_true(says(&c.err, "hold the same"));
    drop(&c);
    c = CALL("store", "move", "--from", to, "--to", from, "--config", other);
    expect_code(&c, 0);
    drop(&c);
    c = CALL("store", "move", "--from", to, "--to", from, "--config", other, "--abandon",
             "--gone");
    expect_code(&c, 11); /* it is there */
    assert_true(says(&c.err, "move it back"));
    drop(&c);
    assert_int_equal(rename(place, nowhere + strlen("sqlite:")), 0);
    c = CALL("store", "move", "--from", to, "--to", from, "--config", other, "--abandon");
    expect_code(&c, 11);
    assert_true(says(&c.err, "no job store") && says(&c.err, "--gone"));
    drop(&c);
    c = CALL("store", "move", "--from", to, "--to", from, "--config", other, "--abandon",
             "--gone");
    expect_code(&c, 0);
    assert_true(says(&c.err, "may be used again"));
    drop(&c);
}

/* A Redis that says nothing: while it is asked a service begins in the folder that the move is to make. */
static void a_refused_move_takes_nothing_away_that_it_did_not_make(void **state)
{
    (void)state;
    char other[256], place[256], from[200], to[300], file[300], lock[300];
    char open_to_all[] = "/tmp/fulmar-move-XXXXXX"; /* as root the mover becomes another user */
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    assert_true(mkdtemp(open_to_all) && chmod(open_to_all, 0777) == 0);
    snprintf(place, sizeof place, "%s/meanwhile", open_to_all);
    snprintf(from, sizeof from, "redis://127.0.0.1:%d,postgresql://127.0.0.1:1/none",
             ntohs(at.sin_port));
    snprintf(to, sizeof to, "sqlite:%s", place);
    snprintf(file, sizeof file, "%s/fulmar.db", place);
    snprintf(lock, sizeof lock, "%s/fulmar.lock", place);
    write_config(other, sizeof other, "meanwhile", place);
    struct call c = begin(
        (const char *[]){"store", "move", "--from", from, "--to", to, "--config", other, NULL});
    struct pollfd came = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&came, 1, CALL_MS), 1);
    int asked = accept(listener, NULL, NULL);
    assert_true(asked >= 0);
    assert_true(mkdir(place, 0700) == 0 || errno == EEXIST); /* the mover did, as root */
    fclose(fopen(lock, "w"));
    fclose(fopen(file, "w"));
    close(listener);
    close(asked);
    end(&c);
    assert_true(c.code != 0 && c.code < 1000);
    assert_true(says(&c.err, "Redis"));
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(access(lock, F_OK), 0);
    assert_true(unlink(file) == 0 && unlink(lock) == 0);
    assert_true(rmdir(place) == 0 && rmdir(open_to_all) == 0);
    drop(&c);
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
    server.request_ms = 20 * 1000; /* a thousand jobs at once, on a slow disk */
    return group_start(state);
}

/* ---- forms, profiles, waiting, following ---- */

/* What a call must put on standard output. */
#define EXPECT_OUT(text, ...)                                                                  \
    do {                                                                                       \
        struct call c_ = CALL(__VA_ARGS__);                                                    \
        expect_code(&c_, 0);                                                                   \
        if (!says(&c_.out, text))                                                              \
            fail_msg("wanted '%s' in: %.*s", text, SP(buf_span(&c_.out)));                     \
        drop(&c_);                                                                             \
    } while (0)

static void data_comes_in_the_form_that_is_asked_for(void **state)
{
    (void)state;
    EXPECT(0, "complete", server_flag(), "get", "posts", "@formed", "-o", "none");
    EXPECT_OUT("target,state\r\nformed,succeeded\r\n", server_flag(), "jobs", "list", "-o",
               "csv", "--columns", "target,state", "-n", "1");
    EXPECT_OUT("state\tcounts.posts\nsucceeded\t25\n", server_flag(), "jobs", "list", "-o",
               "plain", "--columns", "state,counts.posts", "-n", "1");
    EXPECT_OUT("\n    target: formed\n", server_flag(), "jobs", "list", "-n", "1", "-o",
               "yaml");
    EXPECT_OUT("formed succeeded\n", server_flag(), "jobs", "list", "-n", "1", "--jq",
               ".data[] | .target + \" \" + .state");
    struct call c = CALL(server_flag(), "jobs", "list", "-n", "2", "-o", "jsonl");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 2);
    assert_true(span_starts(buf_span(&c.out), SPAN("{\"object\":\"job\"")));
    drop(&c);
    c = CALL(server_flag(), "jobs", "list", "-n", "1", "-o", "none");
    expect_code(&c, 0);
    assert_int_equal(c.out.n, 0);
    drop(&c);
    EXPECT(64, "-o: did you mean 'jsonl'?", "jobs", "list", "-o", "jsnl");
    EXPECT(64, "a file is --out FILE", "jobs", "list", "-o", "jobs.csv.gz");
    EXPECT(64, "exclude each other", "jobs", "list", "--json", "-o", "yaml");
    EXPECT(64, "--columns goes with", "jobs", "list", "--columns", "id");
    EXPECT(64, "syntax error", "jobs", "list", "--jq", ".data[");
    EXPECT(65, "Cannot", server_flag(), "jobs", "list", "--jq", ".data.id");
}

static void records_come_in_the_form_that_is_asked_for(void **state)
{
    (void)state;
    EXPECT_OUT("id: \"1000\"\n", server_flag(), "get", "posts", "@nasa", "-n", "2", "-o",
               "yaml");
    EXPECT_OUT("1000\n1001\n", server_flag(), "get", "posts", "@nasa", "-n", "2", "--jq",
               ".id");
    EXPECT_OUT("id\ttext\n1000\t=number \"0\", two\n", server_flag(), "get", "posts", "@nasa",
               "-n", "1", "-o", "plain", "--fields", "id,text");
    EXPECT_OUT("id,counts.like\r\n1000,0\r\n", server_flag(), "get", "posts", "@nasa", "-n",
               "1", "-o", "csv", "--columns", "id,counts.like");
    EXPECT_OUT("TIME", server_flag(), "get", "posts", "@nasa", "-n", "1", "-o", "table");
    EXPECT(65, "Cannot iterate over string", server_flag(), "get", "posts", "@nasa", "-n", "1",
           "--jq", ".text[]");
}

static void write_profiles(const char *text)
{
    char path[200];
    struct fault f = {0};
    snprintf(path, sizeof path, "%s/fulmar", server.folder);
    assert_int_equal(files_make_folder(path, 0700, &f), E_OK);
    snprintf(path, sizeof path, "%s/fulmar/client.yaml", server.folder);
    assert_int_equal(files_write(path, span_of(text), &f), E_OK);
}

static void a_profile_says_what_the_call_does_not(void **state)
{
    (void)state;
    char text[1000];
    setenv("XDG_CONFIG_HOME", server.folder, 1);
    snprintf(text, sizeof text,
             "profile: here\nprofiles:\n  here: {server: \"unix:%s\", output: jsonl}\n"
             "  away: {server: \"http://127.0.0.1:1\"}\n",
             server.socket);
    write_profiles(text);
    EXPECT_OUT("{\"object\":\"job\"", "jobs", "list", "-n", "1");
    EXPECT_OUT("OUTCOME", "jobs", "list", "-n", "1", "-o", "table");
    EXPECT(69, "no service answers", "jobs", "list", "--profile", "away");
    EXPECT_OUT("OUTCOME", server_flag(), "jobs", "list", "--profile", "away");
    EXPECT_OUT("client.yaml", "config", "show", "-o", "table");
    EXPECT_OUT("unix:", "config", "show", "--jq", "select(.name == \"server\") | .value");
    EXPECT(78, "no profile 'nowhere'; known are here, away", "jobs", "list", "--profile",
           "nowhere");
    write_profiles("profiles:\n  here:\n    serverr: x\n");
    EXPECT(78, "client.yaml:3:5: unknown key 'serverr'; did you mean 'server'?", "jobs",
           "list");
    write_profiles("profile: here\nprofiles: {here: {output: pretty}}\n");
    EXPECT(64, "-o must be", "jobs", "list");
    unsetenv("XDG_CONFIG_HOME");
}

/* Only a file of ours that nobody else may write says which service is asked. */
static void a_profile_of_somebody_else_is_not_read(void **state)
{
    (void)state;
    struct fault f = {0};
    char here[200];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(server.folder), 0);
    assert_int_equal(
        files_write(".fulmar.yaml",
                    SPAN("profile: p\nprofiles: {p: {server: \"http://127.0.0.1:1\"}}\n"), &f),
        E_OK);
    EXPECT(69, "127.0.0.1:1", "jobs", "list");
    assert_int_equal(chmod(".fulmar.yaml", 0666), 0);
    EXPECT_OUT("-", "config", "show", "--jq",
               ".data[] | select(.name == \"server\") | .value // \"-\"");
    assert_int_equal(unlink(".fulmar.yaml"), 0);
    assert_int_equal(chdir(here), 0);
}

/* A call that follows has its event stream open, and no older one does. */
static struct call begin_following(const char *const *args)
{
    mono deadline = mono_add(clock_mono(), CALL_MS);
    while (metric_get(METRIC_SSE_CLIENTS, 0) && !mono_past(deadline, clock_mono()))
        poll(NULL, 0, 5);
    assert_int_equal(metric_get(METRIC_SSE_CLIENTS, 0), 0);
    struct call c = begin(args);
    while (!metric_get(METRIC_SSE_CLIENTS, 0) && !mono_past(deadline, clock_mono()))
        poll(NULL, 0, 5);
    assert_int_equal(metric_get(METRIC_SSE_CLIENTS, 0), 1);
    return c;
}

static void waiting_ends_as_the_job_does(void **state)
{
    (void)state;
    EXPECT(0, "complete: 25 posts", server_flag(), "jobs", "create", "posts", "@nasa",
           "--wait");
    EXPECT(7, "suspended", server_flag(), "jobs", "create", "posts", "@gone", "--wait");
    EXPECT_OUT("succeeded\n", server_flag(), "jobs", "create", "posts", "@nasa", "--wait=30s",
               "--jq", ".state");
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@nasa", "-q");
    char well[64], gone[64], never[64];
    snprintf(well, sizeof well, "%s", id_of(&c));
    c = CALL(server_flag(), "jobs", "create", "posts", "@gone", "-q");
    snprintf(gone, sizeof gone, "%s", id_of(&c));
    c = CALL(server_flag(), "jobs", "create", "posts", "@forever", "-q");
    snprintf(never, sizeof never, "%s", id_of(&c));
    EXPECT(0, "complete", server_flag(), "jobs", "wait", well);
    EXPECT(7, "suspended", server_flag(), "jobs", "wait", well, gone);
    EXPECT(3, "the time to wait is over", server_flag(), "jobs", "wait", gone, never,
           "--timeout", "500ms");
    c = CALL(server_flag(), "jobs", "wait", never, "--timeout", "200ms", "--jq", ".id", "-q");
    expect_code(&c, 3);
    assert_string_equal(id_of(&c), never);
    EXPECT(5, "not_found", server_flag(), "jobs", "wait", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    EXPECT(64, "--timeout must be a time", "jobs", "wait", well, "--timeout", "soon");
    c = begin_following((const char *const[]){server_flag(), "jobs", "wait", never,
                                              "--cancel-on-interrupt", NULL});
    kill(c.pid, SIGINT);
    end(&c);
    expect_code(&c, 130);
    assert_true(says(&c.err, "is cancelled, or told to stop"));
    drop(&c);
    EXPECT(0, never, server_flag(), "jobs", "cancel", never, "--force");
    EXPECT(4, "cancelled", server_flag(), "jobs", "wait", never);
}

static void following_prints_what_happens_and_ends_with_it(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@nasa", "-q");
    char id[64];
    snprintf(id, sizeof id, "%s", id_of(&c));
    EXPECT_OUT("job.finished", server_flag(), "jobs", "follow", id);
    EXPECT_OUT("job.accepted\n", server_flag(), "follow", id, "--jq", ".event");
    c = begin_following((const char *const[]){server_flag(), "follow", NULL});
    EXPECT(0, "complete", server_flag(), "get", "posts", "@nasa", "-o", "none");
    until_prints(&c, "job.finished");
    kill(c.pid, SIGINT);
    end(&c);
    expect_code(&c, 130);
    drop(&c);
    c = CALL(server_flag(), "batches", "create", "posts", "@nasa", "@gone", "-q");
    snprintf(id, sizeof id, "%s", id_of(&c));
    EXPECT(2, "1 of 2 jobs succeeded", server_flag(), "follow", id);
    EXPECT(65, "not the id of a job", "jobs", "follow", id);
    EXPECT(64, "one at a time", "jobs", "follow");
}

static void jobs_are_found_by_what_they_are_and_many_are_touched_at_once(void **state)
{
    (void)state;
    char path[200];
    struct call c;
    for (int i = 0; i < 3; i++) {
        c = CALL(server_flag(), "jobs", "create", "posts", "@manyone", "--tenant", "many",
                 "--not-before", "2099-01-01", "--coalesce", "no", "-q");
        expect_code(&c, 0);
        drop(&c);
    }
    EXPECT_OUT("3\n", server_flag(), "jobs", "list", "--tenant", "many", "--jq",
               ".data | length");
    EXPECT_OUT("3\n", server_flag(), "jobs", "list", "--target", "manyone", "--queue",
               "many/x/normal", "--oldest", "--jq", ".data | length");
    EXPECT_OUT("{\"state\":\"scheduled\"}\n", server_flag(), "jobs", "list", "--tenant", "many",
               "--sort", "created_at", "--fields", "state", "--limit", "1", "-o", "jsonl");
    EXPECT(0, "3 jobs", server_flag(), "jobs", "list", "--tenant", "many", "--count", "exact");
    EXPECT(65, "sort is none of", server_flag(), "jobs", "list", "--sort", "end");
    EXPECT(64, "--fields goes with", server_flag(), "jobs", "list", "--fields", "id");
    EXPECT(64, "give one of them", server_flag(), "jobs", "list", "--oldest", "--sort",
           "created_at");
    EXPECT_OUT("0\n", server_flag(), "jobs", "list", "--tenant", "many", "--held", "--jq",
               ".data | length");
    EXPECT_OUT("3 jobs would be held", server_flag(), "jobs", "hold", "--tenant", "many",
               "--dry-run");
    EXPECT(64, "this is to hold 3 jobs", server_flag(), "jobs", "hold", "--tenant", "many");
    EXPECT(0, "2 jobs held", server_flag(), "jobs", "hold", "--tenant", "many", "--limit", "2",
           "--yes");
    EXPECT_OUT("2\n", server_flag(), "jobs", "list", "--tenant", "many", "--held", "--jq",
               ".data | length");
    EXPECT(0, "2 jobs released", server_flag(), "jobs", "release", "--held", "--yes");
    EXPECT(0, "3 jobs cancelled", server_flag(), "jobs", "cancel", "--tenant", "many", "--yes");
    EXPECT(0, "3 jobs deleted", server_flag(), "jobs", "delete", "--tenant", "many", "--yes");
    EXPECT(0, "no such job", server_flag(), "jobs", "list", "--tenant", "many");
    snprintf(path, sizeof path, "%s/orders", server.folder);
    assert_int_equal(
        files_write(path,
                    SPAN("{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":1}\n\n"
                         "{\"kind\":\"posts\",\"target\":\"no name\"}\n"
                         "{\"kind\":\"profile\",\"target\":\"@esa\"}\n"),
                    NULL),
        E_OK);
    c = CALL(server_flag(), "jobs", "bulk", path, "--dry-run");
    expect_code(&c, 2);
    assert_true(says(&c.out, "     1  202  default/x/normal") &&
                says(&c.out, "     2  422  /target: ") &&
                says(&c.err, "2 would be accepted, 1 refused"));
    drop(&c);
    EXPECT(0, "no such job", server_flag(), "jobs", "list", "--target", "@esa");
    c = CALL(server_flag(), "jobs", "bulk", path, "--key", "bulk-1");
    expect_code(&c, 2);
    assert_true(says(&c.out, "     1  202  job_") && says(&c.out, "     2  422  /target: ") &&
                says(&c.err, "2 accepted, 1 refused"));
    drop(&c);
    c = CALL(server_flag(), "jobs", "bulk", path, "--key", "bulk-1", "--jq",
             ".results[0].replayed");
    expect_code(&c, 2);
    assert_true(span_is(buf_span(&c.out), "true\n"));
    drop(&c);
    EXPECT(66, "No such file", "jobs", "bulk", "/nonexistent/orders");
}

static void records_of_a_job_or_a_batch_come_in_any_form(void **state)
{
    (void)state;
    char id[64], path[200];
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@nasa", "--wait", "-q");
    snprintf(id, sizeof id, "%s", id_of(&c));
    c = CALL(server_flag(), "posts", "list", id);
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), POSTS);
    drop(&c);
    EXPECT_OUT("id,text\r\n1000,", server_flag(), "posts", "list", id, "-o", "csv", "--fields",
               "id,text");
    c = CALL(server_flag(), "posts", "list", id, "-n", "3", "--jq", ".id");
    expect_code(&c, 0);
    assert_true(span_is(buf_span(&c.out), "1000\n1001\n1002\n"));
    drop(&c);
    snprintf(path, sizeof path, "%s/listed.csv", server.folder);
    c = CALL(server_flag(), "posts", "list", id, "--csv", "--out", path);
    expect_code(&c, 0);
    assert_int_equal(c.out.n, 0);
    drop(&c);
    struct buf text = BUF(OUTPUT_MAX);
    assert_int_equal(files_read(AT_FDCWD, path, OUTPUT_MAX, &text, NULL), E_OK);
    assert_int_equal(lines(&text), POSTS + 1);
    buf_free(&text);
    c = CALL(server_flag(), "batches", "create", "posts", "@nasa", "@esa", "-n", "2", "--wait",
             "-q");
    snprintf(id, sizeof id, "%s", id_of(&c));
    c = CALL(server_flag(), "posts", "list", id, "--all", "-o", "plain", "--columns", "id");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 5);
    drop(&c);
    EXPECT_OUT("id: \"1000\"\n", server_flag(), "batches", "posts", id, "-o", "yaml");
    EXPECT(5, "not_found", server_flag(), "users", "list", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    EXPECT(65, "not the id of a job or a batch", "posts", "list", "opr_1");
    EXPECT(64, "did you mean 'counts.like'?", server_flag(), "posts", "list", id, "--fields",
           "likes");
    EXPECT(73, "create", server_flag(), "posts", "list", id, "--out", "/nonexistent/x");
}

static void jobs_are_held_changed_run_again_and_deleted(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@nasa", "--not-before",
                         "2099-01-01", "-q");
    char id[64], again[64];
    snprintf(id, sizeof id, "%s", id_of(&c));
    EXPECT(0, "is held; let it go: fulmar jobs release job_", server_flag(), "jobs", "hold",
           id);
    EXPECT_OUT("true\n", server_flag(), "jobs", "show", id, "--jq", ".held");
    EXPECT(0, "is changed", server_flag(), "jobs", "set", id, "--priority", "9", "--limit", "3",
           "--not-before", "none", "--deadline", "1h");
    EXPECT_OUT("[9,3,null]\n", server_flag(), "jobs", "show", id, "--jq",
               "[.priority, .limit, .not_before]");
    EXPECT(0, "may start", server_flag(), "jobs", "release", id);
    EXPECT(0, "partial: 3 posts", server_flag(), "jobs", "wait", id);
    EXPECT(11, "conflict_state", server_flag(), "jobs", "set", id, "--priority", "1");
    EXPECT_OUT("   1  finished", server_flag(), "jobs", "attempts", id);
    c = CALL(server_flag(), "jobs", "rerun", id, "--limit", "7", "--wait");
    expect_code(&c, 0);
    assert_true(says(&c.err, "7 posts"));
    snprintf(again, sizeof again, "%s", id_of(&c));
    EXPECT_OUT(id, server_flag(), "jobs", "show", again, "--jq", ".options.rerun_of");
    EXPECT(64, "say --yes", "jobs", "delete", id);
    EXPECT(0, "is deleted", server_flag(), "jobs", "delete", id, again, "--yes");
    EXPECT(5, "not_found", server_flag(), "jobs", "show", id);
    EXPECT(5, "not_found", server_flag(), "jobs", "hold", id);
    EXPECT(64, "say what to set", "jobs", "set", id);
    EXPECT(64, "--priority must be 0 to 9", "jobs", "set", id, "--priority", "10");
    EXPECT(64, "--expires must be a time", "jobs", "set", id, "--expires", "never");
    EXPECT(65, "not the id of a job", "jobs", "rerun", "job_1");
}

static void status_says_what_is_wrong_and_what_to_do(void **state)
{
    (void)state;
    struct call c = CALL(server_flag(), "jobs", "create", "posts", "@gone", "--wait", "-q");
    expect_code(&c, 7);
    drop(&c);
    EXPECT(0, "default/x/normal: paused", server_flag(), "queues", "pause", "x/normal",
           "--reason", "to see \x1b[31mit");
    c = CALL(server_flag(), "status");
    assert_true(c.code == 0 || c.code == 10); /* nobody plays workers in this test */
    assert_true(says(&c.out, "dead jobs") && says(&c.out, "suspended, x posts"));
    assert_true(says(&c.out, "→ fulmar dead show job_"));
    assert_true(says(&c.out, "default/x/normal: paused") &&
                says(&c.out, "→ fulmar queues show default/x/normal"));
    assert_false(says(&c.out, "\x1b"));
    drop(&c);
    EXPECT(0, "default/x/normal", server_flag(), "queues", "resume", "x/normal");
    EXPECT(69, "no service answers", "status", "--server", "http://127.0.0.1:1");
    EXPECT(69, "no service answers", "top", "--server", "http://127.0.0.1:1");
    EXPECT(64, "--every must be 200ms to 1h", "top", "--every", "1ms");
    EXPECT(64, "too many words", "status", "now");
}

static void a_request_is_sent_as_it_is_said(void **state)
{
    (void)state;
    EXPECT_OUT("{\"object\":\"list\"", server_flag(), "api", "GET", "/v1/jobs?limit=1");
    struct call c = CALL(server_flag(), "api", "get", "/v1/jobs?limit=3", "--paginate", "-o",
                         "jsonl", "--jq", ".id");
    expect_code(&c, 0);
    assert_true(lines(&c.out) > 6);
    drop(&c);
    EXPECT_OUT("job_", server_flag(), "api", "POST", "/v1/jobs", "-d",
               "{\"kind\":\"posts\",\"target\":\"@nasa\"}", "-H", "Idempotency-Key: said-1",
               "-H", "X-Request-Id: mine");
    EXPECT(65, "idempotency", server_flag(), "api", "POST", "/v1/jobs", "-d",
           "{\"kind\":\"posts\",\"target\":\"@esa\"}", "-H", "Idempotency-Key: said-1");
    EXPECT(5, "not_found", server_flag(), "api", "GET",
           "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    c = CALL(server_flag(), "api", "HEAD", "/livez");
    expect_code(&c, 0);
    assert_int_equal(c.out.n, 0);
    drop(&c);
    EXPECT_OUT("ok\n", server_flag(), "api", "GET", "/livez");
    EXPECT(64, "did you mean 'PATCH'?", "api", "PACTH", "/v1/mode");
    EXPECT(64, "begins with a slash", "api", "GET", "v1/jobs");
    EXPECT(64, "must be one line", "api", "GET", "/v1/jobs", "-H", "nothing");
    EXPECT(66, "No such file", server_flag(), "api", "POST", "/v1/jobs", "-d",
           "@/nonexistent/x");
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
        cmocka_unit_test(an_order_is_submitted_and_not_waited_for),
        cmocka_unit_test(jobs_are_found_by_their_labels),
        cmocka_unit_test(workers_are_told_what_is_wanted_of_them),
        cmocka_unit_test(an_earlier_result_will_do),
        cmocka_unit_test(running_jobs_are_cancelled_by_force),
        cmocka_unit_test(queues_are_listed_set_and_stopped),
        cmocka_unit_test(limits_breakers_and_modes_are_set),
        cmocka_unit_test(flags_of_an_order_are_checked),
        cmocka_unit_test(batches_are_made_waited_for_shown_and_read),
        cmocka_unit_test(targets_of_a_file_are_sent_in_parts_and_some_may_fail),
        cmocka_unit_test(an_open_batch_is_cancelled),
        cmocka_unit_test(wrong_calls_about_many_jobs_say_why),
        cmocka_unit_test(dead_jobs_are_listed_retried_and_deleted),
        cmocka_unit_test(mistakes_about_schedules_are_named),
        cmocka_unit_test(schedules_are_made_looked_at_and_deleted),
        cmocka_unit_test(the_page_shows_the_same_jobs),
        cmocka_unit_test(config_is_written_once_and_checked),
        cmocka_unit_test(site_packs_are_shown_checked_and_tried),
        cmocka_unit_test(a_store_is_backed_up_while_it_runs_and_made_a_store_again),
        cmocka_unit_test(a_store_is_moved_and_says_how_it_ended),
        cmocka_unit_test(a_refused_move_takes_nothing_away_that_it_did_not_make),
        cmocka_unit_test(doctor_checks_this_machine),
        cmocka_unit_test(get_brings_its_own_service_and_takes_it_away),
        cmocka_unit_test(an_interrupt_cancels_the_job_of_an_embedded_service),
        cmocka_unit_test(an_embedded_service_that_fails_says_why),
        cmocka_unit_test(no_service_is_started_for_an_order_that_the_pack_refuses),
        cmocka_unit_test(data_comes_in_the_form_that_is_asked_for),
        cmocka_unit_test(records_come_in_the_form_that_is_asked_for),
        cmocka_unit_test(a_profile_says_what_the_call_does_not),
        cmocka_unit_test(a_profile_of_somebody_else_is_not_read),
        cmocka_unit_test(waiting_ends_as_the_job_does),
        cmocka_unit_test(following_prints_what_happens_and_ends_with_it),
        cmocka_unit_test(jobs_are_found_by_what_they_are_and_many_are_touched_at_once),
        cmocka_unit_test(records_of_a_job_or_a_batch_come_in_any_form),
        cmocka_unit_test(jobs_are_held_changed_run_again_and_deleted),
        cmocka_unit_test(status_says_what_is_wrong_and_what_to_do),
        cmocka_unit_test(a_request_is_sent_as_it_is_said),
    };
    return cmocka_run_group_tests(tests, cli_group_start, cli_group_stop);
}

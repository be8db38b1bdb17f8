/* The promises of store/archive.h, asked of a real PostgreSQL; and that it answers what the
 * embedded store answers. */
#include "../lib/scenario.h"

#include "../lib/postgres.h"
#include "base/arena.h"
#include "os/digest.h"
#include "store/archive.h"
#include "store/postgres/schema.h"

static struct postgres *server;
static struct archive *archive;
static struct arena *texts;
static struct fault fault;

#define CALL(expected, call)                                                                   \
    do {                                                                                       \
        fault = (struct fault){0};                                                             \
        err e_ = (call);                                                                       \
        if (e_ != (expected))                                                                  \
            fail_msg("%s: %s: %s", #call, err_name(e_), fault.words);                          \
    } while (0)

static struct archive *open_with(int64_t copy_bytes)
{
    struct archive *a = NULL;
    struct archive_config config = {.url = span_of(server->url), .copy_bytes = copy_bytes};
    CALL(E_OK, archive_open(&a, &config, &fault));
    return a;
}

/* What is counted is there, and nothing is there that nobody has. */
static void audit(void)
{
    assert_int_equal(
        postgres_number(
            server,
            "SELECT count(*) FROM fulmar_jobs j WHERE ROW(posts,users,unavailable,rejected,conflicts,bytes)"
            " IS DISTINCT FROM (SELECT ROW(count(*) FILTER (WHERE kind=0),count(*) FILTER (WHERE kind=1),"
            "count(*) FILTER (WHERE kind=2),count(*) FILTER (WHERE kind=3),count(*) FILTER (WHERE kind=4),"
            "coalesce(sum(octet_length(json)),0)::bigint) FROM fulmar_records r WHERE r.result=j.result)"),
        0);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_results r WHERE holders<>"
                                "(SELECT count(*) FROM fulmar_jobs j WHERE j.result=r.result)"),
        0);
    assert_int_equal(postgres_number(server,
                                     "SELECT count(*) FROM fulmar_records r WHERE NOT EXISTS"
                                     "(SELECT FROM fulmar_results x WHERE x.result=r.result)"),
                     0);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_bodies b WHERE refs<>"
                                "(SELECT count(*) FROM fulmar_evidence e WHERE e.hash=b.hash)"),
        0);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_evidence e WHERE NOT EXISTS"
                                "(SELECT FROM fulmar_jobs j WHERE j.seq=e.job) AND NOT EXISTS"
                                "(SELECT FROM fulmar_forgotten g WHERE g.seq=e.job)"),
        0);
}

static int open_archive(void **state)
{
    (void)state;
    if (!server)
        skip();
    postgres_clear(server);
    texts = arena_new(256 << 20);
    archive = open_with(0);
    return 0;
}

static int close_archive(void **state)
{
    (void)state;
    if (!server)
        return 0;
    audit();
    archive_close(&archive);
    arena_free(&texts);
    return 0;
}

/* ---- writing ---- */

static struct archive_lease lease(const char *job, int64_t epoch, int64_t fence)
{
    return (struct archive_lease){span_of(job), epoch, fence};
}

static struct store_item post(int number, const char *text)
{
    return (struct store_item){
        .kind = ITEM_POST,
        .id = span_of(arena_fmt(texts, "%d", number)),
        .created_ms = T0 - number,
        .json = span_of(arena_fmt(texts, "{\"id\":\"%d\",\"text\":\"%s\"}", number, text))};
}

static err try_commit(struct archive_lease l, int64_t batch, const struct store_item *items,
                      size_t count, int64_t limit, struct archive_committed *out)
{
    struct archive_commit args = {.lease = l,
                                  .site = SPAN("x"),
                                  .counts = ITEM_POST,
                                  .batch = batch,
                                  .items = items,
                                  .count = count,
                                  .limit = limit};
    fault = (struct fault){0};
    return archive_commit(archive, &args, (wall){T0}, out, &fault);
}

/* Posts first … first + count − 1, whose text says `text`. */
static struct archive_committed commit_posts(struct archive_lease l, int64_t batch, int first,
                                             int count, const char *text, int64_t limit)
{
    static struct store_item items[512];
    struct archive_committed out = {0};
    for (int i = 0; i < count; i++)
        items[i] = post(first + i, text);
    err e = try_commit(l, batch, items, (size_t)count, limit, &out);
    if (e)
        fail_msg("commit: %s: %s", err_name(e), fault.words);
    return out;
}

static size_t read_items(const char *job, int kind, struct item_view **out)
{
    size_t count = 0;
    CALL(E_OK, archive_items(archive, span_of(job), kind, -1, 10000, SIZE_MAX, texts, out,
                             &count, &fault));
    return count;
}

/* "id:text id:text …", in their order. */
static const char *told(const char *job)
{
    struct item_view *items;
    struct buf b = BUF(1 << 20);
    size_t count = read_items(job, -1, &items);
    for (size_t i = 0; i < count; i++) {
        size_t at = span_find(items[i].json, SPAN("\"text\":\"")) + 8;
        struct span text = span_cut(items[i].json, at, items[i].json.n);
        buf_fmt(&b, "%s%.*s:%.*s", i ? " " : "", SP(items[i].id),
                SP(span_cut(text, 0, span_find_char(text, '"'))));
    }
    const char *kept = arena_text(texts, buf_span(&b));
    buf_free(&b);
    return kept ? kept : "";
}

static void a_lease_that_was_overtaken_writes_nothing(void **state)
{
    (void)state;
    struct archive_committed c;
    struct store_item item = post(9, "late");
    struct archive_lease old = lease("job_1", 3, 7), newer = lease("job_1", 3, 8),
                         restored = lease("job_1", 4, 1);
    commit_posts(old, 0, 1, 2, "a", 0);
    commit_posts(newer, 1, 3, 1, "b", 0);
    assert_int_equal(try_commit(old, 2, &item, 1, 0, &c), E_STALE);
    assert_int_equal(archive_rewind(archive, &old, ITEM_POST, 0, &c, NULL), E_STALE);
    struct evidence_args piece = {
        .body = SPAN("body"), .strategy = SPAN("capture"), .name = SPAN("X")};
    struct evidence_reply reply;
    assert_int_equal(archive_evidence_add(archive, &old, &piece, &(struct archive_limits){0},
                                          (wall){T0}, &reply, NULL),
                     E_STALE);
    assert_string_equal(told("job_1"), "1:a 2:a 3:b");
    /* The store's epoch counts first: fences of a restored queue begin anew. */
    commit_posts(restored, 2, 4, 1, "c", 0);
    assert_int_equal(try_commit(newer, 3, &item, 1, 0, &c), E_STALE);
    assert_non_null(strstr(fault.words, "job_1"));
    assert_string_equal(told("job_1"), "1:a 2:a 3:b 4:c");
}

/* The lease that is being overtaken has its transaction open, or begins it at the same moment.
 */
static void of_two_leases_that_write_at_once_the_older_one_loses(void **state)
{
    (void)state;
    struct store_item item = post(9, "late");
    struct archive_committed c;
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "a", 0);
    PGconn *newer = postgres_connect(server);
    assert_true(
        postgres_say(newer, "BEGIN; UPDATE fulmar_jobs SET fence=2 WHERE id='job_1'", NULL, 0));
    pid_t pid = fork();
    if (pid == 0) { /* commits once the other one waits */
        PGconn *watch = postgres_connect(server);
        char waits[8] = "0";
        while (strcmp(waits, "1") != 0) {
            postgres_say(watch,
                         "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'",
                         waits, sizeof waits);
            postgres_pause();
        }
        _exit(postgres_say(newer, "COMMIT", NULL, 0) ? 0 : 1);
    }
    assert_int_equal(try_commit(lease("job_1", 1, 1), 1, &item, 1, 0, &c), E_STALE);
    assert_int_equal(postgres_wait(pid), 0);
    assert_string_equal(told("job_1"), "1:a 2:a");
    PQfinish(newer);
}

static void a_newer_lease_replaces_its_batch_and_what_is_behind_it(void **state)
{
    (void)state;
    for (int batch = 0; batch < 4; batch++)
        commit_posts(lease("job_1", 1, 1), batch, batch * 10, 2, "old", 0);
    struct archive_committed c = commit_posts(lease("job_1", 1, 2), 2, 25, 3, "new", 0);
    assert_int_equal(c.added, 3);
    assert_int_equal(c.have, 7);
    assert_string_equal(told("job_1"), "0:old 1:old 10:old 11:old 25:new 26:new 27:new");
    /* What had its first reading in a batch that is replaced is read anew. */
    c = commit_posts(lease("job_1", 1, 3), 1, 25, 1, "again", 0);
    assert_int_equal(c.added, 1);
    assert_string_equal(told("job_1"), "0:old 1:old 25:again");
    c = commit_posts(lease("job_1", 1, 4), 0, 5, 1, "zero", 0);
    assert_int_equal(c.have, 1);
    assert_string_equal(told("job_1"), "5:zero");
}

static void a_batch_repeated_by_its_lease_is_there_once(void **state)
{
    (void)state;
    struct archive_lease l = lease("job_1", 1, 1);
    commit_posts(l, 0, 1, 3, "a", 0);
    for (int i = 0; i < 3; i++) {
        struct archive_committed c = commit_posts(l, 1, 3, 3, "b", 0);
        assert_int_equal(c.added, 2); /* the answer is the same too */
        assert_int_equal(c.have, 5);
    }
    assert_string_equal(told("job_1"), "1:a 2:a 3:a 4:b 5:b");
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_records"), 5);
}

static void what_the_queue_does_not_know_is_taken_back(void **state)
{
    (void)state;
    struct archive_committed c;
    struct archive_lease l = lease("job_1", 1, 1);
    for (int batch = 0; batch < 3; batch++)
        commit_posts(l, batch, batch * 10, 2, "a", 0);
    CALL(E_OK, archive_rewind(archive, &l, ITEM_POST, 1, &c, &fault));
    assert_int_equal(c.have, 2);
    assert_int_equal(c.added, 0);
    assert_string_equal(told("job_1"), "0:a 1:a");
    CALL(E_OK, archive_rewind(archive, &l, ITEM_POST, 5, &c, &fault));
    assert_int_equal(c.have, 2);
    CALL(E_OK, archive_rewind(archive, &l, ITEM_POST, 0, &c, &fault));
    assert_int_equal(c.have, 0);
    struct archive_lease nobody = lease("job_2", 1, 1);
    CALL(E_OK, archive_rewind(archive, &nobody, ITEM_POST, 0, &c, &fault));
    assert_int_equal(c.have, 0);
}

static void the_first_reading_of_a_record_stands_and_other_jobs_do_not_change_it(void **state)
{
    (void)state;
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "first", 0);
    struct archive_committed c = commit_posts(lease("job_1", 1, 1), 1, 1, 3, "second", 0);
    assert_int_equal(c.added, 1);
    c = commit_posts(lease("job_2", 1, 9), 0, 1, 3, "other", 0);
    assert_int_equal(c.added, 3);
    assert_string_equal(told("job_1"), "1:first 2:first 3:second");
    assert_string_equal(told("job_2"), "1:other 2:other 3:other");
    struct store_item twice[] = {post(7, "one"), post(7, "two")};
    assert_int_equal(try_commit(lease("job_2", 1, 9), 1, twice, 2, 0, &c), E_OK);
    assert_int_equal(c.added, 1);
    assert_string_equal(told("job_2"), "1:other 2:other 3:other 7:one");
}

static void a_job_never_has_more_than_its_limit(void **state)
{
    (void)state;
    struct archive_lease l = lease("job_1", 1, 1);
    struct archive_committed c = commit_posts(l, 0, 1, 8, "a", 10);
    assert_int_equal(c.have, 8);
    c = commit_posts(l, 1, 5, 8, "b", 10); /* 5-8 are known, of 9-12 two fit */
    assert_int_equal(c.added, 2);
    assert_int_equal(c.have, 10);
    struct store_item others[] = {post(50, "c"), post(51, "c")};
    others[0].kind = ITEM_USER;
    others[1].kind = ITEM_UNAVAILABLE;
    assert_int_equal(try_commit(l, 2, others, 2, 10, &c),
                     E_OK); /* what is not counted has no limit */
    assert_int_equal(c.added, 0);
    assert_int_equal(c.users, 1);
    assert_string_equal(told("job_1"), "1:a 2:a 3:a 4:a 5:a 6:a 7:a 8:a 9:b 10:b 50:c 51:c");
    c = commit_posts(lease("job_1", 1, 2), 1, 100, 5, "d",
                     10); /* room again after a replacement */
    assert_int_equal(c.have, 10);
}

static void a_job_about_users_holds_no_posts(void **state)
{
    (void)state;
    struct store_item items[] = {post(1, "u"), post(2, "p")};
    struct archive_committed c;
    items[0].kind = ITEM_USER;
    struct archive_commit args = {.lease = lease("job_1", 1, 1),
                                  .site = SPAN("x"),
                                  .counts = ITEM_USER,
                                  .items = items,
                                  .count = 2,
                                  .limit = 1};
    assert_int_equal(archive_commit(archive, &args, (wall){T0}, &c, &fault), E_BAD_INPUT);
    assert_non_null(strstr(fault.words, "is about users"));
    args.count = 1;
    CALL(E_OK, archive_commit(archive, &args, (wall){T0}, &c, &fault));
    assert_int_equal(c.added, 1);
    assert_int_equal(c.have, 1);
    items[0].id = SPAN("3");
    args.batch = 1;
    CALL(E_OK, archive_commit(archive, &args, (wall){T0}, &c, &fault));
    assert_int_equal(c.have, 1);
}

static void rejected_and_conflicting_records_are_kept_apart(void **state)
{
    (void)state;
    struct store_item items[] = {post(1, "good"), post(2, "bad"), post(1, "differs"),
                                 post(1, "differs")};
    struct archive_committed c;
    struct item_view *views;
    items[1].kind = ITEM_REJECTED;
    items[2].kind = items[3].kind = ITEM_CONFLICT;
    assert_int_equal(try_commit(lease("job_1", 1, 1), 0, items, 4, 1, &c), E_OK);
    assert_int_equal(c.added, 1);
    assert_int_equal(c.rejected, 1);
    assert_int_equal(c.conflicts, 1);
    assert_int_equal(read_items("job_1", ITEM_REJECTED, &views), 1);
    assert_true(span_is(views[0].id, "2"));
    assert_int_equal(read_items("job_1", ITEM_CONFLICT, &views), 1);
    assert_int_equal(views[0].ord, 2);
    assert_int_equal(read_items("job_1", ITEM_POST, &views), 1);
}

static void what_cannot_be_a_batch_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    struct archive_committed c;
    struct store_item items[] = {post(1, "a"), post(2, "b")};
    struct archive_lease l = lease("job_1", 1, 1);
    items[1].json = SPAN("{\"a\":\"\xff\xfe\"}");
    assert_int_equal(try_commit(l, 0, items, 2, 0, &c), E_BAD_INPUT);
    assert_non_null(strstr(fault.words, "UTF-8"));
    items[1].json = SPAN("{\"a\":\"b\0c\"}");
    assert_int_equal(try_commit(l, 0, items, 2, 0, &c), E_BAD_INPUT);
    items[1] = post(2, "b");
    items[1].id = SPAN("a\0b");
    assert_int_equal(try_commit(l, 0, items, 2, 0, &c), E_BAD_INPUT);
    items[1].id = SPAN_NONE;
    assert_int_equal(try_commit(l, 0, items, 2, 0, &c), E_BAD_INPUT);
    items[1] = post(2, "b");
    items[1].kind = (enum item_kind)5;
    assert_int_equal(try_commit(l, 0, items, 2, 0, &c), E_BAD_INPUT);
    assert_int_equal(try_commit(l, -1, items, 1, 0, &c), E_BAD_INPUT);
    assert_int_equal(
        postgres_number(
            server,
            "SELECT (SELECT count(*) FROM fulmar_records)+(SELECT count(*) FROM fulmar_jobs)"),
        0);
    struct store_item *many = calloc(100001, sizeof *many);
    assert_int_equal(try_commit(l, 0, many, 100001, 0, &c), E_TOO_BIG);
    free(many);
    assert_int_equal(try_commit(l, 0, NULL, 0, 0, &c), E_OK); /* an empty one is one */
    assert_int_equal(c.have, 0);
}

/* ---- reading ---- */

static void records_come_in_their_order_page_by_page(void **state)
{
    (void)state;
    struct item_view *items;
    size_t count, seen = 0;
    int64_t after = -1;
    for (int batch = 0; batch < 3;
         batch++) /* later posts have smaller numbers: the order is that of coming */
        commit_posts(lease("job_1", 1, 1), batch, 5000 - 200 * batch, 150, "a", 0);
    do {
        CALL(E_OK, archive_items(archive, SPAN("job_1"), -1, after, 70, SIZE_MAX, texts, &items,
                                 &count, &fault));
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(items[i].ord > after);
            after = items[i].ord;
            assert_int_equal(items[i].ord, (int64_t)(seen / 150 * 100000 + seen % 150));
        }
    } while (count == 70);
    assert_int_equal(seen, 450);
    size_t one = items[0].json.n;
    CALL(E_OK, archive_items(archive, SPAN("job_1"), -1, -1, 400, 3 * one, texts, &items,
                             &count, &fault));
    assert_int_equal(count, 3);
    CALL(E_OK, archive_items(archive, SPAN("job_1"), -1, -1, 400, 3 * one + 1, texts, &items,
                             &count, &fault));
    assert_int_equal(count, 4);
    CALL(E_OK,
         archive_items(archive, SPAN("job_1"), -1, -1, 400, 0, texts, &items, &count, &fault));
    assert_int_equal(count, 1);
    CALL(E_OK, archive_items(archive, SPAN("job_9"), -1, -1, 400, SIZE_MAX, texts, &items,
                             &count, &fault));
    assert_int_equal(count, 0);
}

static void what_does_not_fit_waits_for_the_next_page(void **state)
{
    (void)state;
    struct item_view *items;
    size_t count;
    char *large = calloc(1, 100001);
    memset(large, 'l', 100000);
    struct store_item many[8];
    struct archive_committed c;
    for (int i = 0; i < 8; i++)
        many[i] = post(i, large);
    assert_int_equal(try_commit(lease("job_1", 1, 1), 0, many, 8, 0, &c), E_OK);
    struct arena *small = arena_new(350 * 1024);
    CALL(E_OK, archive_items(archive, SPAN("job_1"), -1, -1, 8, SIZE_MAX, small, &items, &count,
                             &fault));
    assert_in_range(count, 1, 7);
    arena_free(&small);
    small = arena_new(20 * 1024);
    CALL(E_TOO_BIG, archive_items(archive, SPAN("job_1"), -1, -1, 8, SIZE_MAX, small, &items,
                                  &count, &fault));
    arena_free(&small);
    free(large);
}

static void the_newest_posts_are_the_first_of_the_list(void **state)
{
    (void)state;
    struct span lines;
    struct store_item items[] = {post(5, "a"), post(4, "a"), post(3, "a"), post(2, "a")};
    struct archive_committed c;
    items[1].kind = ITEM_USER;
    items[2].id = SPAN("a\nb");
    assert_int_equal(try_commit(lease("job_1", 1, 1), 0, items, 4, 0, &c), E_OK);
    CALL(E_OK, archive_newest(archive, SPAN("job_1"), texts, &lines, &fault));
    assert_true(span_is(
        lines, arena_fmt(texts, "%lld 5\n%lld 2\n", (long long)T0 - 5, (long long)T0 - 2)));
    commit_posts(lease("job_1", 1, 1), 1, 1000, 300, "b", 0);
    CALL(E_OK, archive_newest(archive, SPAN("job_1"), texts, &lines, &fault));
    size_t n = 0;
    for (struct span line; span_next(&lines, '\n', &line); n++)
        continue;
    assert_int_equal(n, STORE_MARK_POSTS -
                            1); /* one of the first 200 has an id that is none for a line */
    CALL(E_OK, archive_newest(archive, SPAN("job_9"), texts, &lines, &fault));
    assert_int_equal(lines.n, 0);
}

/* ---- repair ---- */

static void repaired_records_take_their_places(void **state)
{
    (void)state;
    commit_posts(lease("job_1", 1, 1), 0, 1, 3, "old", 0);
    commit_posts(lease("job_1", 1, 1), 1, 50, 1, "nobody knows of it", 0);
    struct store_item items[] = {post(2, "new"), post(3, "old"), post(7, "one"),
                                 post(8, "x"),   post(7, "two"), post(9, "x")};
    struct archive_mending args = {.job = SPAN("job_1"),
                                   .site = SPAN("x"),
                                   .counts = ITEM_POST,
                                   .batch = 1,
                                   .limit = 5,
                                   .items = items,
                                   .count = 6};
    struct repair_reply reply;
    CALL(E_OK, archive_repair(archive, &args, (wall){T0}, &reply, &fault));
    assert_int_equal(reply.replaced, 1);
    assert_int_equal(reply.added, 2); /* 7 and 8: 9 is above the limit */
    assert_int_equal(reply.have, 5);
    assert_string_equal(told("job_1"), "1:old 2:new 3:old 7:two 8:x");
    struct item_view *views;
    assert_int_equal(read_items("job_1", -1, &views), 5);
    assert_int_equal(views[3].ord, 100002);
    items[0].kind = ITEM_REJECTED;
    assert_int_equal(archive_repair(archive, &args, (wall){T0}, &reply, NULL), E_BAD_INPUT);
    args.job = SPAN("job_new");
    items[0].kind = ITEM_POST;
    args.batch = 0;
    CALL(E_OK, archive_repair(archive, &args, (wall){T0}, &reply, &fault));
    assert_int_equal(reply.added, 5);
}

/* ---- sharing and forgetting ---- */

static void forget(const char *job)
{
    bool more = true;
    struct span id = span_of(job);
    while (more)
        CALL(E_OK, archive_forget(archive, &id, 1, &more, &fault));
}

static void a_shared_result_stays_as_long_as_one_job_has_it(void **state)
{
    (void)state;
    commit_posts(lease("job_1", 1, 1), 0, 1, 3, "a", 0);
    commit_posts(lease("job_2", 1, 1), 0, 50, 1, "before", 0);
    for (int i = 0; i < 2; i++) { /* repeating it changes nothing */
        CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_2"), &fault));
        CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_3"), &fault));
        assert_string_equal(told("job_2"), "1:a 2:a 3:a");
        audit();
    }
    CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_1"), &fault));
    CALL(E_OK, archive_share(archive, SPAN("job_9"), SPAN("job_1"),
                             &fault)); /* has nothing to give */
    struct archive_sizes sizes;
    CALL(E_OK, archive_sizes(archive, &sizes, &fault));
    assert_int_equal(sizes.jobs, 3);
    assert_int_equal(sizes.records, 3);
    forget("job_1");
    assert_string_equal(told("job_1"), "");
    assert_string_equal(told("job_2"), "1:a 2:a 3:a");
    forget("job_2");
    assert_string_equal(told("job_3"), "1:a 2:a 3:a");
    forget("job_3");
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_records"), 0);
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_results"), 0);
}

static void jobs_that_share_do_not_see_what_the_other_writes_later(void **state)
{
    (void)state;
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "a", 0);
    commit_posts(lease("job_1", 1, 1), 1, 3, 2, "b", 0);
    CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_2"), &fault));
    struct archive_committed c = commit_posts(lease("job_2", 1, 1), 1, 9, 1, "own", 0);
    assert_int_equal(c.have, 3);
    assert_string_equal(told("job_2"), "1:a 2:a 9:own");
    assert_string_equal(told("job_1"), "1:a 2:a 3:b 4:b");
    CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_3"), &fault));
    commit_posts(lease("job_1", 1, 2), 2, 10, 1, "more", 0);
    assert_string_equal(told("job_3"), "1:a 2:a 3:b 4:b");
    assert_string_equal(told("job_1"), "1:a 2:a 3:b 4:b 10:more");
    CALL(E_OK, archive_share(archive, SPAN("job_1"), SPAN("job_4"), &fault));
    struct archive_lease l = lease("job_4", 1, 1);
    CALL(E_OK, archive_rewind(archive, &l, ITEM_POST, 0, &c, &fault));
    assert_string_equal(told("job_4"), "");
    assert_string_equal(told("job_1"), "1:a 2:a 3:b 4:b 10:more");
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_results WHERE site<>'x'"), 0);
}

static void forgotten_jobs_are_gone_at_once_and_their_rows_in_pieces(void **state)
{
    (void)state;
    bool more = false;
    int calls = 0;
    struct evidence_args piece = {.strategy = SPAN("capture"), .name = SPAN("X")};
    struct evidence_reply reply;
    for (int batch = 0; batch < 16; batch++)
        commit_posts(lease("job_1", 1, 1), batch, batch * 512, 512, "a", 0);
    for (int i = 0; i < 120; i++) {
        struct archive_lease l = lease(i < 110 ? "job_1" : "job_2", 1, 1);
        piece.body = span_of(arena_fmt(texts, "body %d", i % 115)); /* some are of both */
        CALL(E_OK, archive_evidence_add(archive, &l, &piece, &(struct archive_limits){0},
                                        (wall){T0}, &reply, &fault));
    }
    struct span jobs[] = {SPAN("job_1"), SPAN("job_unknown")};
    CALL(E_OK, archive_forget(archive, jobs, 2, &more, &fault));
    assert_true(more);
    assert_string_equal(told("job_1"), "");
    assert_true(postgres_number(server, "SELECT count(*) FROM fulmar_records") >
                0); /* a bounded piece */
    assert_true(postgres_number(server, "SELECT count(*) FROM fulmar_evidence") > 10);
    for (calls = 1; more; calls++)
        CALL(E_OK, archive_forget(archive, NULL, 0, &more, &fault));
    assert_in_range(calls, 2, 4);
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_records"), 0);
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_evidence"), 10);
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_bodies"), 10);
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_forgotten"), 0);
}

static void jobs_are_listed_by_id(void **state)
{
    (void)state;
    struct span *ids, after = SPAN("");
    size_t count, seen = 0;
    char name[16];
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "job_%02d", (i * 7) % 25);
        commit_posts(lease(name, 1, 1), 0, 1, 1, "a", 0);
    }
    do {
        CALL(E_OK, archive_jobs(archive, after, 10, texts, &ids, &count, &fault));
        for (size_t i = 0; i < count; i++, seen++) {
            snprintf(name, sizeof name, "job_%02zu", seen);
            assert_true(span_is(ids[i], name));
            after = ids[i];
        }
    } while (count == 10);
    assert_int_equal(seen, 25);
}

/* ---- evidence ---- */

static void bytes_of_evidence_are_there_once_and_come_back_whole(void **state)
{
    (void)state;
    struct evidence_args piece = {.kind = EVIDENCE_RESPONSE,
                                  .batch = 2,
                                  .reason = FAILURE_DRIFT,
                                  .status = 200,
                                  .at_ms = T0,
                                  .strategy = SPAN("capture"),
                                  .name = SPAN("UserTweets"),
                                  .url = SPAN("https://x.test/a"),
                                  .headers = SPAN("{}"),
                                  .body = SPAN("the same bytes \0 and a zero")};
    struct archive_limits any = {0};
    struct evidence_reply reply;
    struct evidence_list list;
    struct evidence_view view;
    char hash[DIGEST_TEXT];
    for (int i = 0; i < 3; i++) {
        struct archive_lease l = lease(i < 2 ? "job_1" : "job_2", 1, 5 + i);
        CALL(E_OK, archive_evidence_add(archive, &l, &piece, &any, (wall){T0}, &reply, &fault));
        assert_int_equal(reply.gap, GAP_NONE);
        assert_int_equal(reply.n, i < 2 ? i + 1 : 1);
    }
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_bodies"), 1);
    CALL(E_OK, archive_evidence_list(archive, SPAN("job_1"), texts, &list, &fault));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.pieces[1].attempt, 6);
    CALL(E_OK, archive_evidence_read(archive, SPAN("job_1"), 2, texts, &view, &fault));
    assert_true(span_eq(view.body, piece.body));
    assert_true(span_is(view.hash, digest_text(piece.body, hash)));
    assert_true(span_is(view.url, "https://x.test/a"));
    assert_int_equal(view.reason, FAILURE_DRIFT);
    assert_int_equal(archive_evidence_read(archive, SPAN("job_1"), 3, texts, &view, &fault),
                     E_NOT_FOUND);
    assert_int_equal(archive_evidence_read(archive, SPAN("job_9"), 1, texts, &view, NULL),
                     E_NOT_FOUND);
    CALL(E_OK, archive_evidence_list(archive, SPAN("job_9"), texts, &list, &fault));
    assert_int_equal(list.count + list.gap_count, 0);
    /* Damaged bytes are said to be so. */
    assert_true(postgres_do(
        server, "UPDATE fulmar_bodies SET frame=set_byte(frame,length(frame)-1,7)"));
    assert_int_equal(archive_evidence_read(archive, SPAN("job_1"), 1, texts, &view, &fault),
                     E_STORE);
    assert_non_null(strstr(fault.words, "damaged"));
}

static void a_large_piece_of_evidence_comes_back_whole(void **state)
{
    (void)state;
    struct evidence_view view;
    struct evidence_reply reply;
    struct archive_lease l = lease("job_1", 1, 1);
    size_t n = EVIDENCE_PIECE_MAX;
    uint64_t x = 88172645463325252u;
    char *body = malloc(n + 1);
    for (size_t i = 0; i < n; i++) { /* nothing that could be made smaller */
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        body[i] = (char)x;
    }
    struct evidence_args piece = {.body = {body, n}};
    CALL(E_OK, archive_evidence_add(archive, &l, &piece, &(struct archive_limits){0},
                                    (wall){T0}, &reply, &fault));
    assert_int_equal(reply.gap, GAP_NONE);
    CALL(E_OK, archive_evidence_read(archive, SPAN("job_1"), 1, texts, &view, &fault));
    assert_true(span_eq(view.body, piece.body));
    piece.body.n++;
    CALL(E_OK, archive_evidence_add(archive, &l, &piece, &(struct archive_limits){0},
                                    (wall){T0}, &reply, &fault));
    assert_int_equal(reply.gap, GAP_TOO_LARGE);
    free(body);
}

/* ---- the same as the embedded store ---- */

static uint64_t dice_state;
static int64_t dice(int64_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((dice_state >> 33) % (uint64_t)sides);
}

struct pair { /* one job in both stores */
    const char *id;
    enum item_kind counts;
    int64_t limit, batch, epoch;
    bool ended;
};

static size_t random_items(struct store_item *items, enum item_kind counts, bool repair)
{
    size_t n = (size_t)dice(30);
    for (size_t i = 0; i < n; i++) {
        items[i] = post((int)dice(60), arena_fmt(texts, "t%d", (int)dice(4)));
        items[i].kind = (enum item_kind)dice(repair ? ITEM_UNAVAILABLE + 1 : ITEM_CONFLICT + 1);
        items[i].created_ms = dice(1000);
        if (counts == ITEM_USER && items[i].kind == ITEM_POST)
            items[i].kind = ITEM_USER;
    }
    return n;
}

static struct span random_counts(void)
{
    struct buf b = BUF(8192);
    for (int version = (int)dice(3); version > 0; version--) {
        buf_fmt(&b, "=1-%d\n", (int)dice(3));
        for (int line = (int)dice(6); line > 0; line--) {
            if (dice(4) == 0)
                buf_fmt(&b, "+post.new%d %d\n", (int)dice(4), (int)dice(30));
            else
                buf_fmt(&b, "post.f%d %d %d %d\n", (int)dice(5), (int)dice(40), (int)dice(40),
                        (int)dice(20));
        }
    }
    struct span kept = arena_keep(texts, buf_span(&b));
    buf_free(&b);
    return kept;
}

static void same_items(const char *id)
{
    struct item_view *a, *b;
    size_t na, nb, limit = (size_t)dice(300) + 1,
                   bytes = dice(2) ? SIZE_MAX : (size_t)dice(2000);
    int kind = (int)dice(6) - 1;
    int64_t after = dice(2) ? -1 : dice(300000);
    CALL(E_OK,
         store_items(w->s, span_of(id), kind, after, limit, bytes, texts, &a, &na, &fault));
    CALL(E_OK, archive_items(archive, span_of(id), kind, after, limit, bytes, texts, &b, &nb,
                             &fault));
    assert_int_equal(na, nb);
    for (size_t i = 0; i < na; i++) {
        assert_int_equal(a[i].ord, b[i].ord);
        assert_int_equal(a[i].kind, b[i].kind);
        assert_true(span_eq(a[i].id, b[i].id) && span_eq(a[i].json, b[i].json));
    }
}

static void same_fields(void)
{
    struct fields_view a, b;
    int64_t hours = 1 + dice(48), marks_a[DRIFT_MARKS], marks_b[DRIFT_MARKS];
    CALL(E_OK, store_fields(w->s, SPAN("x"), hours, now(), texts, &a, &fault));
    CALL(E_OK, archive_fields(archive, SPAN("x"), hours, now(), texts, &b, &fault));
    assert_true(span_eq(a.version, b.version));
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        struct field_view *x = &a.fields[i], *y = &b.fields[i];
        assert_true(span_eq(x->name, y->name));
        assert_int_equal(x->mark, y->mark);
        assert_int_equal(x->member, y->member);
        assert_int_equal(x->first_ms, y->first_ms);
        assert_memory_equal(&x->now, &y->now, sizeof x->now);
        assert_memory_equal(&x->before, &y->before, sizeof x->before);
    }
    CALL(E_OK, store_drift(w->s, now(), marks_a, &fault));
    CALL(E_OK, archive_drift(archive, now(), marks_b, &fault));
    assert_memory_equal(marks_a, marks_b, sizeof marks_a);
}

static void same_evidence(const char *id)
{
    struct evidence_list a, b;
    CALL(E_OK, store_evidence_list(w->s, span_of(id), texts, &a, &fault));
    CALL(E_OK, archive_evidence_list(archive, span_of(id), texts, &b, &fault));
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.gap_count, b.gap_count);
    for (size_t i = 0; i < a.count; i++) {
        struct evidence_view x, y;
        CALL(E_OK, store_evidence_read(w->s, span_of(id), a.pieces[i].n, texts, &x, &fault));
        CALL(E_OK,
             archive_evidence_read(archive, span_of(id), b.pieces[i].n, texts, &y, &fault));
        assert_true(x.n == y.n && x.attempt == y.attempt && x.batch == y.batch &&
                    x.at_ms == y.at_ms);
        assert_true(x.bytes == y.bytes && x.kind == y.kind && x.reason == y.reason &&
                    x.status == y.status);
        assert_true(span_eq(x.strategy, y.strategy) && span_eq(x.name, y.name) &&
                    span_eq(x.url, y.url));
        assert_true(span_eq(x.headers, y.headers) && span_eq(x.hash, y.hash) &&
                    span_eq(x.body, y.body));
    }
    for (size_t i = 0; i < a.gap_count; i++)
        assert_true(a.gaps[i].kind == b.gaps[i].kind && a.gaps[i].gap == b.gaps[i].gap &&
                    a.gaps[i].count == b.gaps[i].count);
}

static void commit_to_both(struct pair *p, const struct lease *l)
{
    static struct store_item items[32], lost[32];
    struct commit_reply a;
    struct archive_committed b;
    int64_t limit = dice(3) ? 0 : 1 + dice(40);
    int64_t both = p->limit && (!limit || p->limit < limit) ? p->limit : limit;
    size_t n = random_items(items, p->counts, false);
    struct archive_commit to = {.lease = lease(p->id, p->epoch, l->fence),
                                .site = SPAN("x"),
                                .counts = p->counts,
                                .batch = p->batch,
                                .items = items,
                                .count = n,
                                .limit = both};
    if (dice(4) == 0) { /* written once before, and the queue never heard of it */
        to.items = lost;
        to.count = random_items(lost, p->counts, false);
        CALL(E_OK, archive_commit(archive, &to, now(), &b, &fault));
        to.items = items;
        to.count = n;
    }
    CALL(E_OK, archive_commit(archive, &to, now(), &b, &fault));
    struct commit_args from = {.id = span_of(p->id),
                               .nonce = l->nonce,
                               .batch = p->batch,
                               .items = items,
                               .count = n,
                               .cursor = SPAN("c"),
                               .limit = limit,
                               .counts = random_counts()};
    begin();
    CALL(E_OK, store_commit_batch(w->s, &from, now(), &a, &fault));
    commit();
    CALL(E_OK, archive_fields_add(archive, SPAN("x"), from.counts, now(), &fault));
    assert_int_equal(a.added, b.added);
    assert_int_equal(a.have, b.have);
    assert_int_equal(a.rejected, b.rejected);
    assert_int_equal(a.conflicts, b.conflicts);
    p->batch++;
    struct job_view v;
    CALL(E_OK, store_job(w->s, span_of(p->id), now(), texts, &v, &fault));
    assert_int_equal(v.users, b.users);
}

static struct archive_limits limits_of_world(void)
{
    return (struct archive_limits){.age_ms = w->limits.evidence_age_ms,
                                   .bytes = w->limits.evidence_bytes,
                                   .job_bytes = w->limits.evidence_job_bytes,
                                   .job_count = w->limits.evidence_job_count};
}

static void evidence_to_both(const struct pair *p, const struct lease *l)
{
    struct archive_limits limits = limits_of_world();
    struct evidence_reply a, b;
    struct archive_lease held = lease(p->id, p->epoch, l->fence);
    size_t size = (size_t)dice(3000);
    char *body = arena_get(texts, size + 1);
    memset(body, (int)('a' + dice(3)), size);
    struct evidence_args args = {.id = span_of(p->id),
                                 .nonce = l->nonce,
                                 .kind = (enum evidence_kind)dice(EVIDENCE_KINDS),
                                 .gap = dice(8) ? GAP_NONE : GAP_PAGE_GONE,
                                 .gaps = dice(3),
                                 .batch = p->batch,
                                 .reason = dice(2) ? FAILURE_NONE : FAILURE_DRIFT,
                                 .status = (int)dice(500),
                                 .at_ms = w->now,
                                 .strategy = SPAN("capture"),
                                 .name = SPAN("UserTweets"),
                                 .url = SPAN("https://x.test/"),
                                 .headers = SPAN("{}"),
                                 .body = {body, size}};
    begin();
    CALL(E_OK, store_evidence_add(w->s, &args, now(), &a, &fault));
    commit();
    CALL(E_OK, archive_evidence_add(archive, &held, &args, &limits, now(), &b, &fault));
    assert_int_equal(a.gap, b.gap);
    assert_int_equal(a.n, b.n);
}

static void retain_both(void)
{
    struct archive_limits limits = limits_of_world();
    bool more_a = true, more_b = true;
    begin();
    CALL(E_OK, store_evidence_retain(w->s, now(), &more_a, &fault));
    CALL(E_OK, store_retain_fields(w->s, (wall){w->now - 40LL * HOUR}, &fault));
    commit();
    CALL(E_OK, archive_evidence_retain(archive, &limits, now(), &more_b, &fault));
    CALL(E_OK, archive_fields_retain(archive, (wall){w->now - 40LL * HOUR}, &fault));
    assert_int_equal(more_a, more_b);
}

static void repair_both(struct pair *p)
{
    static struct store_item items[32], once[32];
    struct repair_reply a, b;
    struct job_view v;
    size_t n = random_items(items, p->counts, true), kept = 0;
    for (size_t i = 0; i < n; i++) { /* a record twice is counted in another way */
        bool had = false;
        for (size_t k = 0; k < kept; k++)
            had = had || (once[k].kind == items[i].kind && span_eq(once[k].id, items[i].id));
        if (!had)
            once[kept++] = items[i];
    }
    CALL(E_OK, store_job(w->s, span_of(p->id), now(), texts, &v, &fault));
    struct repair_args from = {
        .id = span_of(p->id), .revision = v.revision, .items = once, .count = kept};
    struct archive_mending to = {.job = span_of(p->id),
                                 .site = SPAN("x"),
                                 .counts = p->counts,
                                 .batch = p->batch,
                                 .limit = p->limit,
                                 .items = once,
                                 .count = kept};
    begin();
    CALL(E_OK, store_repair(w->s, &from, now(), &a, &fault));
    commit();
    CALL(E_OK, archive_repair(archive, &to, now(), &b, &fault));
    assert_int_equal(a.added, b.added);
    assert_int_equal(a.replaced, b.replaced);
    assert_int_equal(a.have, b.have);
    p->batch++;
}

static void run_of_a_job(struct pair *p)
{
    struct lease l = start_next();
    struct pair *held = p;
    while (strcmp(held->id, l.id) != 0)
        held++;
    held->epoch = l.epoch;
    for (int64_t steps = dice(6); steps > 0; steps--) {
        if (dice(3))
            commit_to_both(held, &l);
        else
            evidence_to_both(held, &l);
    }
    switch (dice(3)) {
    case 0:
        give_back(&l, BUDGET_RELEASE);
        break;
    case 1:
        held->ended = finish(&l, FAILURE_DRIFT).state == JOB_DEAD;
        break;
    default:
        held->ended = finish(&l, FAILURE_SUSPENDED).state == JOB_DEAD;
    }
}

static void play(uint64_t seed)
{
    struct pair pairs[6] = {0};
    dice_state = seed;
    maker = &store_makers[0];
    w = world_new();
    w->limits.evidence_bytes = 600;
    w->limits.evidence_job_bytes = 6000;
    w->limits.evidence_job_count = 8;
    reopen();
    for (size_t i = 0; i < 6; i++) {
        pairs[i] = (struct pair){.id = new_id(),
                                 .counts = dice(3) ? ITEM_POST : ITEM_USER,
                                 .limit = dice(2) ? 0 : 1 + dice(60)};
        struct accept_args args = job_args(pairs[i].id, "x/normal");
        args.limit = pairs[i].limit;
        args.counts = pairs[i].counts;
        accept_args(&args);
    }
    for (int step = 0; step < 60; step++) {
        w->now += dice(4) ? MINUTE : 3LL * HOUR;
        reap();
        struct pair *p = &pairs[dice(6)];
        if (p->ended)
            repair_both(p);
        struct outlook o;
        CALL(E_OK, store_outlook(w->s, now(), &o, &fault));
        if (o.startable)
            run_of_a_job(pairs);
        if (dice(5) == 0)
            retain_both();
        same_items(p->id);
        same_evidence(p->id);
        same_fields();
        arena_reset(texts);
    }
    for (size_t i = 0; i < 6; i++) {
        struct span id = span_of(pairs[i].id), mark;
        same_items(pairs[i].id);
        CALL(E_OK, archive_newest(archive, id, texts, &mark, &fault));
    }
    tear_down(NULL);
}

static void it_answers_what_the_embedded_store_answers(void **state)
{
    (void)state;
    const char *seeds = getenv("ARCHIVE_SEEDS");
    int64_t last = 6;
    if (seeds)
        assert_true(span_int(span_of(seeds), &last));
    for (uint64_t seed = 1; seed <= (uint64_t)last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        archive_close(&archive);
        postgres_clear(server);
        archive = open_with(seed % 2 ? 0 : 1); /* with arrays, and by COPY */
        play(seed);
        audit();
    }
}

static void of_fields_so_much_is_kept_an_hour_and_no_more(void **state)
{
    (void)state;
    struct buf b = BUF(1 << 20);
    buf_fmt(&b, "=1-a\n");
    for (int i = 0; i < 600; i++)
        buf_fmt(&b, "+post.member%d 1\n", i);
    for (int i = 0; i < 5000; i++)
        buf_fmt(&b, "post.field%d 0 1\n", i);
    CALL(E_OK, archive_fields_add(archive, SPAN("x"), buf_span(&b), (wall){T0}, &fault));
    CALL(E_OK, archive_fields_add(archive, SPAN("x"), SPAN("=1-a\npost.other 0 1\n"),
                                  (wall){T0}, &fault));
    CALL(E_OK,
         archive_fields_add(archive, SPAN("x"), SPAN("no counts at all"), (wall){T0}, &fault));
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_fields"), 4096);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_fields WHERE path=-2"), 256);
    buf_free(&b);
}

/* ---- a large archive ---- */

static long long scans_of_whole_tables(void)
{
    return postgres_number(server,
                           "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN"
                           " ('fulmar_jobs','fulmar_records','fulmar_results',"
                           "'fulmar_evidence','fulmar_gaps','fulmar_fields')");
}

/* The server's process for this connection tells what it did when it ends. */
static void close_and_wait(void)
{
    archive_close(&archive);
    while (postgres_number(server, "SELECT count(*) FROM pg_stat_activity"
                                   " WHERE application_name='fulmar'") > 0)
        postgres_pause();
}

/* What comes by itself every day, as often as it takes a server to settle on its plans. */
static void ask_everything(int round)
{
    struct item_view *items;
    struct evidence_list list;
    struct evidence_reply reply;
    struct archive_committed c;
    struct repair_reply repaired;
    struct span text, *ids, job = span_of(arena_fmt(texts, "job_%d", round * 7));
    struct archive_lease l = {job, 9, round};
    struct store_item some[] = {post(1, "a"), post(2, "b"), post(1000 + round, "c")};
    struct evidence_args piece = {.body = job, .at_ms = T0};
    struct fields_view fields;
    size_t n;
    bool more;
    const char *name = arena_text(texts, job);
    commit_posts(l, 1, 100, 30, "x", 0);
    commit_posts(l, 2, 120, 30, "x", 0);
    commit_posts(l, 1, 500, 400, "by copy", 300);
    CALL(E_OK, archive_rewind(archive, &l, ITEM_POST, 1, &c, &fault));
    CALL(E_OK,
         archive_items(archive, job, ITEM_POST, 5, 50, 1 << 20, texts, &items, &n, &fault));
    CALL(E_OK, archive_newest(archive, job, texts, &text, &fault));
    struct archive_mending mending = {
        .job = job, .site = SPAN("x"), .batch = 1, .items = some, .count = 3};
    CALL(E_OK, archive_repair(archive, &mending, (wall){T0}, &repaired, &fault));
    CALL(E_OK, archive_share(archive, job, span_of(arena_fmt(texts, "%s_too", name)), &fault));
    CALL(E_OK, archive_evidence_add(archive, &l, &piece, &(struct archive_limits){0},
                                    (wall){T0}, &reply, &fault));
    CALL(E_OK, archive_evidence_list(archive, job, texts, &list, &fault));
    CALL(E_OK, archive_jobs(archive, job, 20, texts, &ids, &n, &fault));
    CALL(E_OK, archive_fields_add(archive, SPAN("x"), SPAN("=1-a\npost.f 1 2\n"), (wall){T0},
                                  &fault));
    CALL(E_OK, archive_fields(archive, SPAN("x"), 24, (wall){T0}, texts, &fields, &fault));
    CALL(E_OK, archive_forget(archive, &job, 1, &more, &fault));
}

static void what_a_call_reads_does_not_grow_with_the_archive(void **state)
{
    (void)state;
    assert_true(postgres_do(
        server,
        "INSERT INTO fulmar_results(site,holders) SELECT 'x',1 FROM generate_series(1,4000);"
        "INSERT INTO fulmar_jobs(id,epoch,fence,result,next_batch,posts,bytes)"
        " SELECT 'job_'||n,1,1,n,1,50,50*52 FROM generate_series(1,4000) n;"
        "INSERT INTO fulmar_records(result,ord,created_ms,kind,id,json)"
        " SELECT n,i,0,0,i::text,repeat('j',52) FROM generate_series(1,4000) n,"
        "generate_series(1,50) i;"
        "INSERT INTO fulmar_bodies(hash,bytes,stored,refs,frame)"
        " SELECT 'h'||n,1,1,5,'x' FROM generate_series(1,4000) n;"
        "INSERT INTO fulmar_evidence(job,n,kind,attempt,batch,reason,status,at,bytes,"
        "strategy,name,url,headers,hash) SELECT n,i,0,1,1,0,200,0,1,'','','','','h'||n"
        " FROM generate_series(1,4000) n,generate_series(1,5) i;"
        "INSERT INTO fulmar_gaps SELECT n,0,1,1 FROM generate_series(1,4000) n;"
        "INSERT INTO fulmar_fields SELECT h,1,i%5,'site'||s,'1-a','f'||i"
        " FROM generate_series(1,100) h,generate_series(1,100) i,generate_series(1,4) s"));
    assert_true(postgres_do(server, "ANALYZE"));
    close_and_wait(); /* making the tables and their indexes has read them */
    long long before = scans_of_whole_tables();
    archive = open_with(0);
    for (int round = 1; round <= 12; round++)
        ask_everything(round);
    close_and_wait();
    assert_int_equal(scans_of_whole_tables() - before, 0);
    archive = open_with(0);
}

/* ---- several nodes, several versions ---- */

static void nodes_that_open_at_once_make_one_archive(void **state)
{
    (void)state;
    pid_t pids[8];
    archive_close(&archive);
    for (int round = 0; round < 3; round++) {
        postgres_clear(server);
        for (int i = 0; i < 8; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                struct archive *own = NULL;
                struct archive_config config = {.url = span_of(server->url)};
                err e = archive_open(&own, &config, &fault);
                if (e)
                    fprintf(stderr, "open: %s\n", fault.words);
                archive_close(&own);
                _exit(e ? 1 : 0);
            }
        }
        for (int i = 0; i < 8; i++)
            assert_int_equal(postgres_wait(pids[i]), 0);
        assert_int_equal(postgres_number(server, "SELECT count(*) FROM fulmar_archive"), 1);
    }
    archive = open_with(0);
}

/* Each writes its own jobs, gives them to others' and deletes; all count the same fields and
 * bodies. */
static void write_at_random(int node)
{
    struct archive_limits any = {.bytes = 200};
    struct evidence_reply reply;
    bool more;
    archive = open_with(node % 2);
    dice_state = (uint64_t)node * 77;
    for (int i = 0; i < 60; i++) {
        arena_reset(texts);
        const char *job = arena_fmt(texts, "job_%d", (int)dice(6)),
                   *other = arena_fmt(texts, "job_%d", (int)dice(6));
        struct archive_lease l = lease(job, 1, i * 10 + node);
        struct store_item items[32];
        struct archive_committed c;
        struct evidence_args piece = {
            .at_ms = i, .body = span_of(arena_fmt(texts, "body %d", (int)dice(5)))};
        struct span id = span_of(job);
        err e = try_commit(l, dice(4), items, random_items(items, ITEM_POST, false), 0, &c);
        if (!e || e == E_STALE)
            e = archive_evidence_add(archive, &l, &piece, &any, (wall){T0}, &reply, &fault);
        if (!e || e == E_STALE)
            e = archive_share(archive, span_of(job), span_of(other), &fault);
        if (!e)
            e = archive_fields_add(archive, SPAN("x"), SPAN("=1-a\npost.b 0 1\npost.a 0 1\n"),
                                   (wall){T0}, &fault);
        if (!e && dice(4) == 0)
            e = archive_forget(archive, &id, 1, &more, &fault);
        if (!e && dice(4) == 0)
            e = archive_evidence_retain(archive, &any, (wall){T0}, &more, &fault);
        if (e && e != E_STALE) {
            fprintf(stderr, "node %d: %s: %s\n", node, err_name(e), fault.words);
            _exit(1);
        }
    }
    archive_close(&archive);
    _exit(0);
}

static void nodes_that_write_at_once_leave_a_whole_archive(void **state)
{
    (void)state;
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            write_at_random(i + 1);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(postgres_wait(pids[i]), 0);
    audit();
    assert_int_equal(
        postgres_number(server, "SELECT sum(n) FROM fulmar_fields WHERE name='post.a'"), 240);
    bool more = true;
    while (more)
        CALL(E_OK, archive_forget(archive, NULL, 0, &more, &fault));
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_results WHERE holders=0"), 0);
}

/* Brings the archive to a version that only this test knows. */
static err bring_to(const struct schema_step *more, size_t count)
{
    struct schema_step steps[8];
    struct schema_wanted wanted = {.steps = steps, .count = schema_step_count + count};
    struct pg *pg = NULL;
    memcpy(steps, schema_steps, schema_step_count * sizeof steps[0]);
    memcpy(steps + schema_step_count, more, count * sizeof steps[0]);
    fault = (struct fault){0};
    struct pg_config config = {.url = span_of(server->url)};
    assert_int_equal(pg_new(&pg, &config, &fault), E_OK);
    err e = pg_do(pg, PG_WRITES, schema_bring, &wanted, &fault);
    pg_free(&pg);
    return e;
}

static void an_upgrade_keeps_everything_and_the_version_before_goes_on_meanwhile(void **state)
{
    (void)state;
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "before", 0);
    const int64_t v = (int64_t)schema_step_count;
    const struct schema_step next[] = {
        {v, v, "ALTER TABLE fulmar_jobs ADD COLUMN note text NOT NULL DEFAULT 'none'"},
        {v, v + 2, "CREATE TABLE fulmar_later(n bigint)"}};
    assert_int_equal(bring_to(next, 1), E_OK);
    commit_posts(lease("job_1", 1, 1), 1, 3, 1, "meanwhile",
                 0);                      /* by the version before, connected since */
    struct archive *again = open_with(0); /* and that starts now */
    archive_close(&again);
    assert_string_equal(told("job_1"), "1:before 2:before 3:meanwhile");
    assert_int_equal(bring_to(next, 1), E_OK); /* nothing is left to do */
    assert_int_equal(postgres_number(server, "SELECT version FROM fulmar_archive"), v + 1);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM fulmar_jobs WHERE note='none'"), 1);

    assert_int_equal(bring_to(next, 2),
                     E_OK); /* and now one that the version before cannot write for */
    struct archive_config config = {.url = span_of(server->url)};
    assert_int_equal(archive_open(&again, &config, &fault), E_CONFIG);
    assert_non_null(strstr(fault.words, "newer Fulmar"));
    assert_non_null(strstr(fault.words, "upgrade it"));
}

/* Somebody changed the table: what it says is no reason to die. */
static void a_column_that_holds_no_number_is_told_and_nothing_of_it_is_kept(void **state)
{
    (void)state;
    int64_t batches[1] = {0};
    const struct span jobs[] = {SPAN("job_1")};
    static const char *const values[] = {"'abc'", "''::text", "'a longer text'"};
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "a", 0);
    assert_true(postgres_do(server, "ALTER TABLE fulmar_jobs ALTER next_batch DROP DEFAULT,"
                                    "ALTER next_batch TYPE text"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "UPDATE fulmar_jobs SET next_batch=%s", values[i]);
        assert_true(postgres_do(server, sql));
        struct archive *own = open_with(0);
        CALL(i == 1 ? E_OK : E_STORE, archive_move_jobs(own, jobs, 1, batches, &fault));
        if (i != 1)
            assert_non_null(strstr(fault.words, "no number"));
        archive_close(&own);
    }
    assert_true(postgres_do(server, "ALTER TABLE fulmar_jobs ALTER next_batch TYPE bigint "
                                    "USING 1,ALTER next_batch SET DEFAULT 0"));
    assert_string_equal(told("job_1"), "1:a 2:a");
}

static void a_step_that_fails_leaves_the_version_before(void **state)
{
    (void)state;
    const struct schema_step bad[] = {{1, 1, "CREATE TABLE fulmar_half(n bigint); SELECT 1/0"}};
    assert_int_equal(bring_to(bad, 1), E_BUG);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM pg_class WHERE relname='fulmar_half'"),
        0);
    assert_int_equal(postgres_number(server, "SELECT version FROM fulmar_archive"),
                     (long long)schema_step_count);
    commit_posts(lease("job_1", 1, 1), 0, 1, 1, "a", 0);
}

static void a_plain_role_in_a_schema_of_its_own_is_enough(void **state)
{
    (void)state;
    char url[400];
    assert_true(postgres_do(
        server,
        "DROP SCHEMA IF EXISTS own CASCADE; DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN;"
        "CREATE SCHEMA own AUTHORIZATION plain"));
    snprintf(url, sizeof url,
             "postgresql://plain@/postgres?host=%s&options=-csearch_path%%3Down", server->dir);
    struct archive *before = archive;
    struct archive_config config = {.url = span_of(url), .copy_bytes = 1};
    CALL(E_OK, archive_open(&archive, &config, &fault));
    commit_posts(lease("job_1", 1, 1), 0, 1, 2, "mine", 0);
    assert_string_equal(told("job_1"), "1:mine 2:mine");
    archive_close(&archive);
    archive = before;
    assert_string_equal(told("job_1"), ""); /* another archive beside it */
    assert_int_equal(postgres_number(server, "SELECT count(*) FROM own.fulmar_records"), 2);
    assert_true(postgres_do(server, "DROP SCHEMA own CASCADE; DROP ROLE plain"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_archive, close_archive)
    const struct CMUnitTest tests[] = {
        T(a_lease_that_was_overtaken_writes_nothing),
        T(of_two_leases_that_write_at_once_the_older_one_loses),
        T(a_newer_lease_replaces_its_batch_and_what_is_behind_it),
        T(a_batch_repeated_by_its_lease_is_there_once),
        T(what_the_queue_does_not_know_is_taken_back),
        T(the_first_reading_of_a_record_stands_and_other_jobs_do_not_change_it),
        T(a_job_never_has_more_than_its_limit),
        T(a_job_about_users_holds_no_posts),
        T(rejected_and_conflicting_records_are_kept_apart),
        T(what_cannot_be_a_batch_is_refused_and_leaves_nothing),
        T(records_come_in_their_order_page_by_page),
        T(what_does_not_fit_waits_for_the_next_page),
        T(the_newest_posts_are_the_first_of_the_list),
        T(repaired_records_take_their_places),
        T(a_shared_result_stays_as_long_as_one_job_has_it),
        T(jobs_that_share_do_not_see_what_the_other_writes_later),
        T(forgotten_jobs_are_gone_at_once_and_their_rows_in_pieces),
        T(jobs_are_listed_by_id),
        T(bytes_of_evidence_are_there_once_and_come_back_whole),
        T(a_large_piece_of_evidence_comes_back_whole),
        T(it_answers_what_the_embedded_store_answers),
        T(of_fields_so_much_is_kept_an_hour_and_no_more),
        T(what_a_call_reads_does_not_grow_with_the_archive),
        T(nodes_that_open_at_once_make_one_archive),
        T(nodes_that_write_at_once_leave_a_whole_archive),
        T(an_upgrade_keeps_everything_and_the_version_before_goes_on_meanwhile),
        T(a_column_that_holds_no_number_is_told_and_nothing_of_it_is_kept),
        T(a_step_that_fails_leaves_the_version_before),
        T(a_plain_role_in_a_schema_of_its_own_is_enough),
    };
    server = postgres_start(NULL, false);
    if (!server)
        return 0;
    int failed = cmocka_run_group_tests_name("archive", tests, NULL, NULL);
    postgres_stop(&server);
    return failed;
}

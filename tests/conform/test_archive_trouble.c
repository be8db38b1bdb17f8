/* What the archive does when PostgreSQL, or the way to it, does not do its part: each call ends
 * in time, with the right error, and leaves no half batch. The way is a proxy of our own, which
 * cuts where it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/postgres.h"
#include "os/clock.h"
#include "store/archive.h"
#include "store/postgres/pg.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

enum { STATEMENT_MS = 1000, CONNECT_MS = 600 };
/* Of one call: connect, and a statement that nobody answers; and a machine that does other
 * things too. */
enum { CALL_MOST_MS = CONNECT_MS + STATEMENT_MS + PG_MARGIN_MS + 3000 };

static struct postgres *server;
static struct archive *archive;
static struct fault fault;

/* ---- the proxy ---- */

static struct proxy { /* in memory that both processes see */
    char dir[64], url[256];
    pid_t pid;
    struct orders {
        volatile int64_t cut_after; /* bytes from the client of one connection; −1 never */
        volatile int64_t cuts;      /* connections to cut so; −1 all */
        volatile bool mute;         /* answers of the server are held back */
        volatile int64_t sent;      /* bytes from clients so far */
        volatile bool drop_commit;  /* the answer to a COMMIT is lost, with the connection */
    } * orders;
} proxy;

static bool pass_on(int from, int to, char *piece, size_t n)
{
    (void)from;
    for (size_t at = 0; at < n;) {
        ssize_t sent = write(to, piece + at, n - at);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

static bool has_commit(const char *piece, size_t n)
{
    return memmem(piece, n, "COMMIT", 7) != NULL; /* with the zero that ends a query */
}

/* One connection, until one side ends it or the order says so. */
static void serve_one(struct orders *o, int client, int upstream)
{
    char piece[8192];
    int64_t sent = 0;
    bool commit_seen = false;
    for (;;) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN},
                               {.fd = upstream, .events = o->mute ? 0 : POLLIN}};
        if (poll(fds, 2, 20) < 0)
            return;
        if (fds[0].revents) {
            int64_t most = sizeof piece;
            if (o->cut_after >= 0 && o->cuts != 0)
                most = o->cut_after - sent < most ? o->cut_after - sent : most;
            if (most <= 0) {
                o->cuts -= o->cuts > 0;
                return;
            }
            ssize_t n = read(client, piece, (size_t)most);
            if (n <= 0 || !pass_on(client, upstream, piece, (size_t)n))
                return;
            commit_seen = commit_seen || (o->drop_commit && has_commit(piece, (size_t)n));
            sent += n;
            o->sent += n;
        }
        if (fds[1].revents) {
            ssize_t n = read(upstream, piece, sizeof piece);
            if (n <= 0 || commit_seen)
                return;
            if (!pass_on(upstream, client, piece, (size_t)n))
                return;
        }
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int listen_in(const char *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", dir);
    unlink(address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void proxy_start(void)
{
    snprintf(proxy.dir, sizeof proxy.dir, "/tmp/fulmar-proxy-XXXXXX");
    assert_non_null(mkdtemp(proxy.dir));
    snprintf(proxy.url, sizeof proxy.url, "postgresql://fulmar@/postgres?host=%s", proxy.dir);
    proxy.orders = mmap(NULL, sizeof *proxy.orders, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    proxy.orders->cut_after = -1;
    int fd = listen_in(proxy.dir);
    char path[128];
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", server->dir);
    proxy.pid = fork();
    if (proxy.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        for (int client; (client = accept(fd, NULL, NULL)) >= 0;) {
            int upstream = connect_to(path);
            if (upstream >= 0)
                serve_one(proxy.orders, client, upstream);
            close(upstream);
            close(client);
        }
        _exit(0);
    }
    close(fd);
}

static void proxy_stop(void)
{
    char path[128];
    kill(proxy.pid, SIGKILL);
    postgres_wait(proxy.pid);
    munmap(proxy.orders, sizeof *proxy.orders);
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", proxy.dir);
    unlink(path);
    rmdir(proxy.dir);
}

/* ---- the archive ---- */

static err open_at(const char *url, struct archive **out)
{
    struct archive_config config = {.url = span_of(url),
                                    .connect_ms = CONNECT_MS,
                                    .statement_ms = STATEMENT_MS,
                                    .copy_bytes = 2000};
    fault = (struct fault){0};
    return archive_open(out, &config, &fault);
}

static int set_up_at(const char *url)
{
    postgres_clear(server);
    err e = open_at(url, &archive);
    if (e)
        fail_msg("open: %s", fault.words);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_at(server->url);
}

static int set_up_behind_proxy(void **state)
{
    (void)state;
    proxy_start();
    return set_up_at(proxy.url);
}

static char small[] = "/tmp/fulmar-small-XXXXXX"; /* where a small file system is mounted */
static bool small_mounted;

static int tear_down(void **state)
{
    (void)state;
    archive_close(&archive);
    if (small_mounted) {
        umount2(small, MNT_DETACH);
        rmdir(small);
        small_mounted = false;
    }
    if (proxy.pid)
        proxy_stop();
    proxy.pid = 0;
    return 0;
}

/* `count` posts of 100 bytes, from number `first` on. */
static err commit(int64_t fence, int64_t batch, int first, int count)
{
    static struct store_item items[2000];
    static char ids[2000][16], filler[101];
    memset(filler, 'f', 100);
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", first + i);
        items[i] = (struct store_item){
            .kind = ITEM_POST, .id = span_of(ids[i]), .json = {filler, 100}};
    }
    struct archive_commit args = {.lease = {SPAN("job_1"), 1, fence},
                                  .site = SPAN("x"),
                                  .counts = ITEM_POST,
                                  .batch = batch,
                                  .items = items,
                                  .count = (size_t)count};
    struct archive_committed out;
    fault = (struct fault){0};
    mono began = clock_mono();
    err e = archive_commit(archive, &args, (wall){1800000000000}, &out, &fault);
    assert_true(clock_mono().ms - began.ms < CALL_MOST_MS);
    return e;
}

static long long records(void)
{
    return postgres_number(server, "SELECT count(*) FROM fulmar_records");
}

/* The call goes well, or the test says why it did not. */
static void must_commit(int64_t batch, int first, int count)
{
    if (commit(1, batch, first, count))
        fail_msg("commit: %s: %s", err_name(fault.code), fault.words);
}

/* Calls until one is no failure of the connection: pauses between attempts are the archive's
 * own. */
static err commit_until_connected(int64_t batch, int first, int count)
{
    err e = E_STORE;
    for (int i = 0; i < 4000 && (e == E_STORE || e == E_BUSY); i++) {
        e = commit(1, batch, first, count);
        postgres_pause();
    }
    return e;
}

/* ---- the table ---- */

static void each_state_of_an_error_has_one_row_and_what_nobody_knows_has_one_too(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        err error;
        enum sqlstate_act act;
    } expected[] = {
        {"40001", E_BUSY, SQLSTATE_AGAIN},      {"40P01", E_BUSY, SQLSTATE_AGAIN},
        {"53100", E_DISK_FULL, SQLSTATE_KEEPS}, {"53200", E_BUSY, SQLSTATE_KEEPS},
        {"53300", E_BUSY, SQLSTATE_RENEWS},     {"55P03", E_BUSY, SQLSTATE_KEEPS},
        {"57014", E_BUSY, SQLSTATE_KEEPS},      {"57P01", E_STORE, SQLSTATE_LOST},
        {"57P02", E_STORE, SQLSTATE_LOST},      {"57P03", E_BUSY, SQLSTATE_RENEWS},
        {"08006", E_STORE, SQLSTATE_LOST},      {"25006", E_STORE, SQLSTATE_RENEWS},
        {"25P03", E_STORE, SQLSTATE_LOST},      {"28P01", E_STORE, SQLSTATE_RESTS},
        {"28000", E_STORE, SQLSTATE_RESTS},     {"3D000", E_STORE, SQLSTATE_RESTS},
        {"42501", E_STORE, SQLSTATE_RESTS},     {"42P01", E_STORE, SQLSTATE_RESTS},
        {"42601", E_BUG, SQLSTATE_KEEPS},       {"23505", E_BUG, SQLSTATE_KEEPS},
        {"22021", E_BAD_INPUT, SQLSTATE_KEEPS}, {"22003", E_BUG, SQLSTATE_KEEPS},
        {"54000", E_TOO_BIG, SQLSTATE_KEEPS},   {"40003", E_STORE, SQLSTATE_UNKNOWN},
        {"XX001", E_STORE, SQLSTATE_KEEPS},     {"ZZ999", E_STORE, SQLSTATE_KEEPS},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const struct sqlstate_row *row = sqlstate_find(span_of(expected[i].state));
        if (row->error != expected[i].error || row->act != expected[i].act)
            fail_msg("%s is %s", expected[i].state, err_name(row->error));
        assert_true(strlen(row->words) > 10);
    }
    for (size_t i = 0; i < sqlstate_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(sqlstate_rows[i].prefix, sqlstate_rows[k].prefix);
}

static void an_address_that_cannot_be_read_is_told_without_its_password(void **state)
{
    (void)state;
    static const struct {
        const char *url, *words;
    } bad[] = {
        {"redis://localhost", "begins with postgresql://"},
        {"host=localhost password=geheim", "begins with postgresql://"},
        {"", "begins with postgresql://"},
        {"postgresql://u:geheim@host/db?colour=geheim", "not one of libpq's"},
        {"postgresql://u:geh%eim@host/db", "cannot be read"},
        {"postgresql://u:ge/heim@host/db", "%2F"},
        {"postgresql://u:geheim@geheim@host/db", "%40"},
        {"postgresql://u:geheim@host:geheim/db", "cannot be read"},
        {"postgresql://u:geheim@host:70000/db", "cannot be read"},
        {"postgresql://u:geheim@a,b,c,d,e,f,g,h,i/db", "9 hosts"},
        {"postgresql://u:geheim@a:1,b:2/db?port=1,2,3", "3 ports for 2 hosts"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct archive *a = NULL;
        assert_int_equal(open_at(bad[i].url, &a), E_CONFIG);
        if (!strstr(fault.words, bad[i].words) || strstr(fault.words, "geheim") ||
            strstr(fault.words, "heim"))
            fail_msg("%s: %s", bad[i].url, fault.words);
    }
}

/* ---- connecting ---- */

static void who_is_not_let_in_is_told_what_to_look_at_and_no_password(void **state)
{
    (void)state;
    char path[160], url[400];
    struct archive *a = NULL;
    snprintf(path, sizeof path, "%s/pg_hba.conf", server->data);
    FILE *hba = fopen(path, "w");
    assert_non_null(hba);
    fprintf(hba, "local all locked scram-sha-256\nlocal all all trust\n");
    fclose(hba);
    assert_true(postgres_do(
        server,
        "SELECT pg_reload_conf(); DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'"));
    snprintf(url, sizeof url, "postgresql://locked:geheim@/postgres?host=%s", server->dir);
    err e = E_OK;
    for (int i = 0; i < 2000 && e != E_CONFIG; i++) { /* until the new rules hold */
        e = open_at(url, &a);
        archive_close(&a);
        postgres_pause();
    }
    assert_int_equal(e, E_CONFIG);
    assert_non_null(strstr(fault.words, "pg_hba.conf"));
    assert_null(strstr(fault.words, "geheim"));
    snprintf(url, sizeof url, "postgresql://fulmar@/nowhere?host=%s", server->dir);
    assert_int_equal(open_at(url, &a), E_CONFIG);
    assert_non_null(strstr(fault.words, "createdb"));
    assert_true(postgres_do(server, "DROP ROLE locked"));
}

static void a_database_of_another_encoding_is_refused(void **state)
{
    (void)state;
    char url[400];
    struct archive *a = NULL;
    assert_true(
        postgres_do(server, "CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0"));
    snprintf(url, sizeof url, "postgresql://fulmar@/old?host=%s", server->dir);
    assert_int_equal(open_at(url, &a), E_CONFIG);
    assert_non_null(strstr(fault.words, "LATIN1"));
    assert_true(postgres_do(server, "DROP DATABASE old"));
}

static void where_nobody_listens_the_answer_comes_at_once_and_pauses_grow(void **state)
{
    (void)state;
    struct archive *a = NULL;
    assert_int_equal(open_at("postgresql://fulmar:geheim@127.0.0.1:1/postgres", &a), E_STORE);
    assert_null(strstr(fault.words, "geheim"));
    assert_non_null(strstr(fault.words, "127.0.0.1:1"));
    postgres_end(server, SIGINT);
    int calls = 0, hinted = 0;
    mono began = clock_mono();
    while (clock_mono().ms - began.ms < 1000) {
        assert_true(commit(1, 0, 1, 5) != E_OK);
        hinted += fault.wait_ms > 0;
        calls++;
        postgres_pause();
    }
    assert_true(calls > 20 && hinted > calls / 2); /* most calls only told how long to wait */
    assert_true(postgres_run(server));
    assert_int_equal(commit_until_connected(0, 1, 5), E_OK);
    assert_int_equal(records(), 5);
}

static void a_server_that_never_answers_is_given_up_in_time(void **state)
{
    (void)state;
    char dir[] = "/tmp/fulmar-silent-XXXXXX", url[200];
    struct archive *a = NULL;
    assert_non_null(mkdtemp(dir));
    int fd = listen_in(dir);
    snprintf(url, sizeof url, "postgresql://fulmar@/postgres?host=%s", dir);
    mono began = clock_mono();
    assert_int_equal(open_at(url, &a), E_STORE);
    assert_true(clock_mono().ms - began.ms >= CONNECT_MS &&
                clock_mono().ms - began.ms < CALL_MOST_MS);
    assert_non_null(strstr(fault.words, "no answer in time"));
    /* Behind such a host the next one of the address is reached. */
    snprintf(url, sizeof url, "postgresql://fulmar@/postgres?host=%s,%s", dir, server->dir);
    postgres_clear(server);
    assert_int_equal(open_at(url, &a), E_OK);
    archive_close(&a);
    close(fd);
    char path[128];
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", dir);
    unlink(path);
    rmdir(dir);
}

/* ---- a connection that ends ---- */

static void a_restart_between_calls_is_not_noticed(void **state)
{
    (void)state;
    must_commit(0, 1, 5);
    postgres_end(server, SIGINT);
    assert_true(postgres_run(server));
    must_commit(1, 6, 5);
    assert_int_equal(records(), 10);
    postgres_end(server, SIGQUIT); /* a crash */
    assert_true(postgres_run(server));
    struct archive_sizes sizes;
    assert_int_equal(archive_sizes(archive, &sizes, &fault), E_OK); /* a reading call too */
    assert_int_equal(sizes.records, 10);
}

static void a_backend_that_is_terminated_is_replaced_within_the_call(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(postgres_do(
            server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='fulmar'"));
        must_commit(i, i * 100, 100);
        assert_int_equal(records(), (i + 1) * 100);
    }
}

/* Every byte that a commit sends is where the connection may end; a step of them, and both
 * sides of each. */
static void cut_at_any_byte_a_batch_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    struct orders *o = proxy.orders;
    int64_t before = o->sent, whole, unknown = 0, mended = 0;
    must_commit(0, 1, 60); /* 6 KB: by COPY */
    whole = o->sent - before;
    long long had = records();
    for (int64_t at = 0, n = 1; at < 2 * whole; at += 1 + whole / 60, n++) {
        o->cut_after = at;
        o->cuts = -1; /* the second try, on a new connection, is cut too */
        err e = commit(1, n, (int)n * 100, 60);
        o->cut_after = -1;
        assert_true(e == E_OK || e == E_STORE || e == E_BUSY);
        mended += e == E_OK;
        long long now = records();
        assert_true(now == had || now == had + 60);
        if (e == E_OK)
            assert_int_equal(now, had + 60);
        if (e && now == had + 60) { /* done, but nobody could say so */
            assert_non_null(strstr(fault.words, "may have been done"));
            unknown++;
        }
        assert_int_equal(commit_until_connected(n, (int)n * 100, 60), E_OK); /* asked again */
        had += 60;
        assert_int_equal(records(), had);
    }
    assert_true(mended >= 0 && unknown >= 0);
}

static void one_cut_inside_copy_is_mended_within_the_call(void **state)
{
    (void)state;
    struct orders *o = proxy.orders;
    for (int i = 0; i < 5; i++) {
        archive_close(&archive);
        assert_int_equal(open_at(proxy.url, &archive), E_OK);
        must_commit(2 * i, 20000 * i, 60);
        o->cuts = 1;
        o->cut_after =
            20000 +
            40000 * i; /* bytes of this connection: among the 250 KB of rows that follow */
        must_commit(2 * i + 1, 20000 * i + 10000, 1800);
        assert_int_equal(o->cuts, 0);
        o->cut_after = -1;
        assert_int_equal(records(), 1860 * (i + 1));
    }
}

static void a_lost_answer_to_commit_is_unknown_and_asking_again_is_harmless(void **state)
{
    (void)state;
    struct orders *o = proxy.orders;
    must_commit(0, 1, 5);
    o->drop_commit = true;
    assert_int_equal(commit(1, 1, 6, 5), E_STORE);
    o->drop_commit = false;
    assert_non_null(strstr(fault.words, "may have been done"));
    assert_int_equal(records(), 10); /* it was */
    assert_int_equal(commit_until_connected(1, 6, 5), E_OK);
    assert_int_equal(records(), 10);
}

static void a_server_that_falls_silent_is_given_up_in_time(void **state)
{
    (void)state;
    must_commit(0, 1, 5);
    proxy.orders->mute = true;
    assert_int_equal(commit(1, 1, 6, 5), E_STORE);
    assert_non_null(strstr(fault.words, "no answer in time"));
    proxy.orders->mute = false;
    assert_int_equal(records(), 5);
    assert_int_equal(commit_until_connected(1, 6, 5), E_OK);
    assert_int_equal(records(), 10);
}

static void another_archive_at_the_same_address_is_not_taken_for_this_one(void **state)
{
    (void)state;
    must_commit(0, 1, 5);
    postgres_clear(server);
    struct archive *other = NULL;
    assert_int_equal(open_at(server->url, &other), E_OK);
    archive_close(&other);
    assert_true(postgres_do(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='fulmar'"));
    assert_int_equal(commit(1, 1, 6, 5), E_STORE);
    assert_non_null(strstr(fault.words, "another archive"));
    assert_int_equal(records(), 0);
    postgres_clear(server); /* and where there is none, none is made by the way */
    err e = E_BUSY;
    for (int i = 0; i < 4000 && !strstr(fault.words, "is gone"); i++) {
        e = commit(1, 1, 6, 5);
        postgres_pause();
    }
    assert_int_equal(e, E_STORE);
    assert_int_equal(
        postgres_number(server, "SELECT count(*) FROM pg_class WHERE relname LIKE 'fulmar%'"),
        0);
}

/* ---- a server that refuses ---- */

static void who_waits_too_long_for_a_row_is_told_to_come_again(void **state)
{
    (void)state;
    must_commit(0, 1, 5);
    PGconn *holder = postgres_connect(server);
    assert_true(postgres_say(holder, "BEGIN; SELECT * FROM fulmar_jobs FOR UPDATE", NULL, 0));
    assert_int_equal(commit(1, 1, 6, 5), E_BUSY);
    assert_true(fault.wait_ms > 0);
    assert_non_null(strstr(fault.words, "another transaction"));
    assert_true(postgres_say(holder, "COMMIT", NULL, 0));
    must_commit(1, 6, 5); /* on the same connection */
    PQfinish(holder);
    assert_int_equal(records(), 10);
}

static void a_statement_that_takes_too_long_is_ended_by_the_server(void **state)
{
    (void)state;
    assert_true(postgres_do(
        server,
        "CREATE FUNCTION dream() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'"
        " LANGUAGE plpgsql; CREATE TRIGGER slow BEFORE INSERT ON fulmar_records FOR EACH ROW"
        " EXECUTE FUNCTION dream()"));
    assert_int_equal(commit(1, 0, 1, 5), E_BUSY);
    assert_non_null(strstr(fault.words, "longer than a statement may"));
    assert_true(postgres_do(server, "DROP FUNCTION dream CASCADE"));
    assert_int_equal(records(), 0);
    must_commit(0, 1, 5);
}

/* A trigger that raises this state for the first `times` rows. Sequences do not roll back. */
static void raise_at_first(const char *sqlstate, int times)
{
    char sql[600];
    snprintf(
        sql, sizeof sql,
        "DROP FUNCTION IF EXISTS refuse CASCADE; DROP SEQUENCE IF EXISTS refusals; CREATE SEQUENCE refusals;"
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN IF nextval('refusals')<=%d THEN"
        " RAISE 'not now' USING ERRCODE='%s'; END IF; RETURN NULL; END $$ LANGUAGE plpgsql;"
        "CREATE TRIGGER refuses AFTER INSERT ON fulmar_records FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
        times, sqlstate);
    assert_true(postgres_do(server, sql));
}

static void serialization_errors_are_mended_within_the_call_but_not_for_ever(void **state)
{
    (void)state;
    raise_at_first("40001", 3);
    must_commit(0, 1, 5);
    assert_int_equal(postgres_number(server, "SELECT last_value FROM refusals"), 4);
    raise_at_first("40P01", 3);
    must_commit(1, 6, 50); /* by COPY */
    assert_int_equal(records(), 55);
    raise_at_first("40001", 1000);
    assert_int_equal(commit(1, 2, 100, 5), E_BUSY);
    assert_in_range(postgres_number(server, "SELECT last_value FROM refusals"), 2, 20);
    assert_int_equal(records(), 55);
}

static void without_room_nothing_is_written_and_evidence_is_a_gap(void **state)
{
    (void)state;
    raise_at_first("53100", 1);
    assert_int_equal(commit(1, 0, 1, 5), E_DISK_FULL);
    assert_non_null(strstr(fault.words, "make room"));
    assert_int_equal(records(), 0);
    must_commit(0, 1, 5);
    assert_true(postgres_do(
        server,
        "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN RAISE 'full' USING ERRCODE='53100';"
        " END $$ LANGUAGE plpgsql; CREATE TRIGGER full_disk BEFORE INSERT ON fulmar_bodies"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()"));
    struct archive_lease lease = {SPAN("job_1"), 1, 1};
    struct evidence_args piece = {.body = SPAN("body")};
    struct evidence_reply reply;
    assert_int_equal(archive_evidence_add(archive, &lease, &piece, &(struct archive_limits){0},
                                          (wall){0}, &reply, &fault),
                     E_OK);
    assert_int_equal(reply.gap, GAP_DISK);
    assert_int_equal(postgres_number(server, "SELECT n FROM fulmar_gaps"), 1);
}

/* A tablespace on a file system of 8 MiB, where that can be mounted. */
static void a_disk_that_is_full_takes_batches_again_when_there_is_room(void **state)
{
    (void)state;
    char sql[300];
    const struct passwd *user = postgres_user();
    assert_non_null(mkdtemp(small));
    small_mounted = mount("small", small, "tmpfs", 0, "size=8m") == 0;
    if (!small_mounted) {
        print_message("SKIP: no file system can be mounted here\n");
        rmdir(small);
        skip();
    }
    assert_int_equal(chown(small, user->pw_uid, user->pw_gid), 0);
    snprintf(sql, sizeof sql, "CREATE TABLESPACE small LOCATION '%s'", small);
    assert_true(postgres_do(server, sql));
    assert_true(postgres_do(server, "ALTER TABLE fulmar_records SET TABLESPACE small"));
    err e = E_OK;
    int64_t batch = 0;
    for (; !e && batch < 100; batch++)
        e = commit(1, batch, (int)batch * 2000, 2000);
    assert_int_equal(e, E_DISK_FULL);
    assert_int_equal(records(), (batch - 1) * 2000); /* no half batch */
    assert_int_equal(mount("small", small, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    must_commit(batch - 1, (int)(batch - 1) * 2000, 2000);
    assert_int_equal(records(), batch * 2000);
    archive_close(&archive);
    assert_true(postgres_do(server, "ALTER TABLE fulmar_records SET TABLESPACE pg_default"));
    assert_true(postgres_do(server, "DROP TABLESPACE small"));
}

static void a_server_that_is_read_only_is_said_to_be_so(void **state)
{
    (void)state;
    assert_true(postgres_do(server, "ALTER SYSTEM SET default_transaction_read_only=on"));
    assert_true(postgres_do(server, "SELECT pg_reload_conf()"));
    err e = E_OK;
    for (int i = 0; i < 2000 && e == E_OK; i++)
        e = commit(1, i, 1, 5);
    assert_int_equal(e, E_STORE);
    assert_non_null(strstr(fault.words, "read-only"));
    PGconn *owner = postgres_connect(server);
    assert_true(postgres_say(owner, "SET default_transaction_read_only=off", NULL, 0));
    assert_true(
        postgres_say(owner, "ALTER SYSTEM RESET default_transaction_read_only", NULL, 0));
    assert_true(postgres_say(owner, "SELECT pg_reload_conf()", NULL, 0));
    PQfinish(owner);
    assert_int_equal(commit_until_connected(3000, 1, 5), E_OK);
}

/* The first host stands for a replica: it lets everybody in and takes no writes. */
static void of_several_hosts_the_one_that_takes_writes_is_found(void **state)
{
    (void)state;
    char url[400];
    struct postgres *replica = postgres_start(NULL, false);
    assert_true(postgres_do(replica, "ALTER SYSTEM SET default_transaction_read_only=on"));
    assert_true(postgres_do(replica, "SELECT pg_reload_conf()"));
    char on[8] = "";
    for (int i = 0; i < 2000 && strcmp(on, "on") != 0; i++) { /* until the new setting holds */
        assert_true(postgres_ask(replica, "SHOW default_transaction_read_only", on, sizeof on));
        postgres_pause();
    }
    snprintf(url, sizeof url, "postgresql://fulmar@/postgres?host=%s,%s", replica->dir,
             server->dir);
    archive_close(&archive);
    err e = open_at(url, &archive);
    postgres_stop(&replica);
    if (e)
        fail_msg("open: %s", fault.words);
    must_commit(0, 1, 5);
    assert_int_equal(records(), 5);
}

static void limits_of_the_address_hold_and_no_session_waits_for_ever(void **state)
{
    (void)state;
    char url[400];
    struct archive *a = NULL;
    snprintf(url, sizeof url,
             "%s&options=-cstatement_timeout%%3D60000%%20-csynchronous_commit%%3Doff",
             server->url);
    struct archive_config config = {.url = span_of(url)};
    assert_true(postgres_do(
        server,
        "CREATE TABLE seen(name text, value text); CREATE FUNCTION look() RETURNS trigger AS $$ BEGIN"
        " INSERT INTO seen SELECT name,setting FROM pg_settings WHERE name IN ('statement_timeout',"
        "'lock_timeout','idle_in_transaction_session_timeout','synchronous_commit'); RETURN NULL; END $$"
        " LANGUAGE plpgsql; CREATE TRIGGER looks AFTER INSERT ON fulmar_jobs FOR EACH STATEMENT"
        " EXECUTE FUNCTION look()"));
    assert_int_equal(archive_open(&a, &config, &fault), E_OK);
    archive_close(&archive);
    archive = a;
    must_commit(0, 1, 5);
    char text[200];
    assert_true(postgres_ask(server,
                             "SELECT string_agg(name||'='||value,' ' ORDER BY name) FROM seen",
                             text, sizeof text));
    assert_string_equal(
        text,
        "idle_in_transaction_session_timeout=20000 lock_timeout=5000 statement_timeout=10000"
        " synchronous_commit=on");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define P(name) cmocka_unit_test_setup_teardown(name, set_up_behind_proxy, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_of_an_error_has_one_row_and_what_nobody_knows_has_one_too),
        cmocka_unit_test(an_address_that_cannot_be_read_is_told_without_its_password),
        T(who_is_not_let_in_is_told_what_to_look_at_and_no_password),
        T(a_database_of_another_encoding_is_refused),
        T(where_nobody_listens_the_answer_comes_at_once_and_pauses_grow),
        T(a_server_that_never_answers_is_given_up_in_time),
        T(a_restart_between_calls_is_not_noticed),
        T(a_backend_that_is_terminated_is_replaced_within_the_call),
        P(cut_at_any_byte_a_batch_is_there_whole_or_not_at_all),
        P(one_cut_inside_copy_is_mended_within_the_call),
        P(a_lost_answer_to_commit_is_unknown_and_asking_again_is_harmless),
        P(a_server_that_falls_silent_is_given_up_in_time),
        T(another_archive_at_the_same_address_is_not_taken_for_this_one),
        T(who_waits_too_long_for_a_row_is_told_to_come_again),
        T(a_statement_that_takes_too_long_is_ended_by_the_server),
        T(serialization_errors_are_mended_within_the_call_but_not_for_ever),
        T(without_room_nothing_is_written_and_evidence_is_a_gap),
        T(a_disk_that_is_full_takes_batches_again_when_there_is_room),
        T(a_server_that_is_read_only_is_said_to_be_so),
        T(of_several_hosts_the_one_that_takes_writes_is_found),
        T(limits_of_the_address_hold_and_no_session_waits_for_ever),
    };
    server = postgres_start(NULL, false);
    if (!server)
        return 0;
    int failed = cmocka_run_group_tests_name("archive_trouble", tests, NULL, NULL);
    postgres_stop(&server);
    return failed;
}

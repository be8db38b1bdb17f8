/* archive.c - records a second into PostgreSQL through archive_commit(), beside plain COPY of
 * the same rows by the same client into a table with the same keys and into one with none;
 * batches of 20, 100 and 1000, each on the disk before the next. Usage: archive [directory]
 * (the disk that is measured; PostgreSQL's user must get in) [ms of each measurement] */
#include "../tests/lib/postgres.h"

#include "os/clock.h"
#include "store/archive.h"

enum { ROUNDS = 5, BATCH_MAX = 1000, JSON_BYTES = 1500, BATCHES_PER_JOB = 50 };

static struct postgres *server;
static int64_t run_ms = 2000, serial;
static struct store_item items[BATCH_MAX];
static char ids[BATCH_MAX][24], texts[BATCH_MAX][JSON_BYTES];

static void give_up(const char *what, const char *words)
{
    fprintf(stderr, "%s: %s\n", what, words);
    postgres_stop(&server);
    exit(1);
}

/* New posts: their ids, and texts that are no text twice. */
static void next_rows(int count)
{
    for (int i = 0; i < count; i++) {
        int n = snprintf(ids[i], sizeof ids[i], "%lld",
                         (long long)(1800000000000000000 + serial++));
        items[i].kind = ITEM_POST;
        items[i].id = (struct span){ids[i], (size_t)n};
        items[i].created_ms = 1800000000000 + serial;
        n = snprintf(texts[i], sizeof texts[i], "{\"id\":\"%s\",\"text\":\"", ids[i]);
        uint64_t x = (uint64_t)serial * 2654435761u + 1;
        for (; n < JSON_BYTES - 2; n++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            texts[i][n] = "abcdefghijklmnopqrstuvwxyz      "[x >> 59];
        }
        memcpy(texts[i] + n, "\"}", 2);
        items[i].json = (struct span){texts[i], JSON_BYTES};
    }
}

/* ---- plain COPY ---- */

static void say(PGconn *conn, const char *sql)
{
    if (!postgres_say(conn, sql, NULL, 0))
        give_up(sql, "failed");
}

static void copy_batch(PGconn *conn, const char *table, int64_t batch, int count)
{
    char line[JSON_BYTES + 200];
    PGresult *r = PQexec(conn, table);
    if (PQresultStatus(r) != PGRES_COPY_IN)
        give_up("COPY", PQerrorMessage(conn));
    PQclear(r);
    for (int i = 0; i < count; i++) {
        int n = snprintf(line, sizeof line, "%lld\t%lld\t%lld\t0\t%s\t%.*s\n",
                         (long long)(batch / BATCHES_PER_JOB),
                         (long long)(batch % BATCHES_PER_JOB * 100000 + i),
                         (long long)items[i].created_ms, ids[i], JSON_BYTES, texts[i]);
        if (PQputCopyData(conn, line, n) != 1)
            give_up("COPY", PQerrorMessage(conn));
    }
    if (PQputCopyEnd(conn, NULL) != 1)
        give_up("COPY", PQerrorMessage(conn));
    while ((r = PQgetResult(conn))) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            give_up("COPY", PQerrorMessage(conn));
        PQclear(r);
    }
}

static double rate(int64_t rows, int64_t began_us)
{
    return (double)rows / ((double)(clock_mono_us() - began_us) / 1e6);
}

static double plain_copy(bool keys, int count)
{
    PGconn *conn = postgres_connect(server);
    int64_t rows = 0, batch = 0;
    say(conn,
        "DROP TABLE IF EXISTS plain; CREATE TABLE plain(result bigint NOT NULL, ord bigint NOT NULL,"
        "created_ms bigint NOT NULL, kind smallint NOT NULL, id text COLLATE \"C\" NOT NULL, json text NOT NULL)");
    if (keys)
        say(conn, "ALTER TABLE plain ADD PRIMARY KEY(result,ord), ADD UNIQUE(result,kind,id)");
    int64_t began = clock_mono_us();
    for (; clock_mono_us() - began < run_ms * 1000; batch++, rows += count) {
        next_rows(count);
        copy_batch(conn, "COPY plain FROM STDIN", batch, count);
    }
    double result = rate(rows, began);
    PQfinish(conn);
    return result;
}

/* ---- the archive ---- */

static double through_archive(int count, int64_t copy_bytes)
{
    struct fault f = {0};
    struct archive *a = NULL;
    struct archive_config config = {.url = span_of(server->url), .copy_bytes = copy_bytes};
    char job[32];
    int64_t rows = 0, batch = 0;
    if (archive_open(&a, &config, &f))
        give_up("archive_open", f.words);
    int64_t began = clock_mono_us();
    for (; clock_mono_us() - began < run_ms * 1000; batch++, rows += count) {
        struct archive_committed out;
        next_rows(count);
        snprintf(job, sizeof job, "job_%lld_%lld", (long long)began,
                 (long long)(batch / BATCHES_PER_JOB));
        struct archive_commit args = {.lease = {span_of(job), 1, 1},
                                      .site = SPAN("x"),
                                      .batch = batch % BATCHES_PER_JOB,
                                      .items = items,
                                      .count = (size_t)count};
        if (archive_commit(a, &args, (wall){1800000000000}, &out, &f) || out.added != count)
            give_up("archive_commit", f.words);
    }
    double result = rate(rows, began);
    archive_close(&a);
    return result;
}

/* ---- one line a size of batch ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double of[ROUNDS])
{
    qsort(of, ROUNDS, sizeof of[0], by_size);
    return of[ROUNDS / 2];
}

static void measure(int count)
{
    double bare[ROUNDS], keys[ROUNDS], arrays[ROUNDS], copied[ROUNDS], usual[ROUNDS];
    for (int i = 0; i < ROUNDS;
         i++) { /* in turns: neighbours on the machine disturb all alike */
        bare[i] = plain_copy(false, count);
        keys[i] = plain_copy(true, count);
        usual[i] = through_archive(count, 0);
        arrays[i] = through_archive(count, INT64_MAX);
        copied[i] = through_archive(count, 1);
    }
    double floor = median(keys), ours = median(usual);
    printf("%8d  %13.0f  %15.0f  %14.0f  %5.0f %%  %9.0f  %7.0f\n", count, median(bare), floor,
           ours, 100 * ours / floor, median(arrays), median(copied));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 2 && (!span_int(span_of(argv[2]), &run_ms) || run_ms <= 0))
        return 64;
    server = postgres_start(argc > 1 ? argv[1] : "/tmp", true);
    if (!server)
        return 1;
    char version[32] = "";
    postgres_ask(server, "SHOW server_version", version, sizeof version);
    printf(
        "PostgreSQL %s, records of %d bytes, one connection, every batch on the disk; a second, median of %d\n",
        version, JSON_BYTES, ROUNDS);
    printf(
        "batch of  COPY, no keys  COPY, same keys  archive_commit  of COPY  as arrays  by COPY\n");
    measure(20);
    measure(100);
    measure(1000);
    postgres_stop(&server);
    return 0;
}

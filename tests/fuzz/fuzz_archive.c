/* What a PostgreSQL answers: rows of any texts and numbers, to each of the questions that the archive reads rows of. Nothing but an
 * error may come of it. The first byte is the question; then each answer has a byte, how many rows, and of each column a
 * byte, how long it is. As many rows as a statement always gives are there. pg.c, which asks, is not: this is its face; what a number is cell.c says
 * here as well. */
#include "base/need.h"
#include "store/postgres/inside.h"

#include <stdint.h>

enum { ARENA = 8 << 20, COLUMNS = 16, ROWS = 256, JOBS = 5, ITEMS = 12, NOW = 1800000000 };
struct pg_rows {
    size_t count;
    struct span cells[ROWS][COLUMNS];
};
static struct span left; /* of the input */
static struct arena *a;
static bool foreign; /* a cell held no number where one belongs */

static unsigned take_byte(void)
{
    unsigned byte = left.n ? (unsigned char)left.p[0] : 0;
    left = span_cut(left, 1, left.n);
    return byte;
}

static struct span take_text(void)
{
    unsigned n = take_byte();
    struct span text = span_cut(left, 0, n);
    left = span_cut(left, n, left.n);
    return text.n ? text : SPAN("");
}

/* ---- pg.h ---- */

static bool may_be_none(enum sql id)
{
    static const enum sql some[] = {
        SQL_FENCE,         SQL_JOB_LOCK,      SQL_RECORDS_KNOWN, SQL_RECORDS,
        SQL_NEWEST,        SQL_FORGET_JOBS,   SQL_FORGOTTEN,     SQL_RESULT_FREE,
        SQL_JOBS,          SQL_BODY_AGAIN,    SQL_BODY,          SQL_BODY_LESS,
        SQL_EVIDENCE_OLD,  SQL_EVIDENCE_LIST, SQL_EVIDENCE_ONE,  SQL_EVIDENCE_OF_JOB,
        SQL_FIELD_VERSION, SQL_FIELDS,        SQL_GAPS,          SQL_EVIDENCE_DELETE,
        SQL_MOVE_JOBS,     SQL_OUT_RECORDS,   SQL_OUT_EVIDENCE,  SQL_OUT_GAPS,
        SQL_OUT_BODIES,    SQL_OUT_FIELDS,    SQL_SCHEMA,
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        if (some[i] == id)
            return true;
    return false;
}

err pg_ask_args(struct pg *p, enum sql id, struct pg_rows **out, struct fault *f,
                const struct pg_arg *args, size_t n)
{
    (void)p;
    (void)args;
    need(n <= PG_ARGS_MAX);
    size_t count = take_byte();
    if (count == ROWS - 1)
        return fail(f, E_BUSY, "somebody is in the way");
    struct pg_rows *rows = heap_new_of(struct pg_rows);
    rows->count = count || may_be_none(id) ? count : 1;
    for (size_t i = 0; i < rows->count; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            rows->cells[i][c] = take_text();
    *out = rows;
    return E_OK;
}

err pg_run_args(struct pg *p, enum sql id, struct fault *f, const struct pg_arg *args, size_t n)
{
    (void)p;
    (void)id;
    (void)args;
    need(n <= PG_ARGS_MAX);
    return take_byte() == 1 ? fail(f, E_STORE, "the connection has ended") : E_OK;
}

err pg_do(struct pg *p, enum pg_mode mode, pg_work *work, void *ctx, struct fault *f)
{
    (void)mode;
    struct fault words = {0};
    foreign = false;
    err e = work(p, ctx, &words);
    if (e == E_BUSY) {
        words = (struct fault){0};
        foreign = false;
        e = work(p, ctx, &words);
    }
    if (!e && foreign)
        e = fail(&words, E_STORE, "a number is none");
    return e ? fail(f, e, "%s", words.words) : E_OK;
}

size_t pg_count(const struct pg_rows *r)
{
    return r->count;
}

struct span pg_text(const struct pg_rows *r, size_t row, int column)
{
    need(row < r->count && column >= 0 && column < COLUMNS);
    return r->cells[row][column];
}

int64_t pg_int(const struct pg_rows *r, size_t row, int column)
{
    int64_t v = 0;
    foreign = !pg_number(pg_text(r, row, column), &v) || foreign;
    return v;
}

err pg_keep(const struct pg_rows *r, size_t row, int column, struct arena *arena,
            struct span *out, struct fault *f)
{
    struct span kept = arena_keep(arena, pg_text(r, row, column));
    if (!kept.p)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    *out = kept;
    return E_OK;
}

void pg_end(struct pg_rows *r)
{
    free(r);
}

err pg_copy_open(struct pg *p, const char *sql, struct fault *f)
{
    (void)sql;
    return pg_run_args(p, SQL_RECORDS_ADD, f, NULL, 0);
}

err pg_copy_row(struct pg *p, struct fault *f, const struct pg_arg *args, size_t n)
{
    return pg_run_args(p, SQL_RECORDS_ADD, f, args, n);
}

err pg_copy_close(struct pg *p, struct fault *f)
{
    return pg_run_args(p, SQL_RECORDS_ADD, f, NULL, 0);
}

err pg_script(struct pg *p, const char *sql, struct fault *f)
{
    (void)sql;
    return pg_run_args(p, SQL_SCHEMA_MADE, f, NULL, 0);
}

err pg_new(struct pg **out, const struct pg_config *config, struct fault *f)
{
    (void)config;
    (void)f;
    *out = NULL;
    return E_OK;
}

void pg_free(struct pg **p)
{
    *p = NULL;
}

void pg_on_connect(struct pg *p, pg_work *check, void *ctx)
{
    (void)p;
    (void)check;
    (void)ctx;
}

err pg_connected(struct pg *p, struct fault *f)
{
    (void)p;
    return take_byte() == 1 ? fail(f, E_STORE, "nobody is there") : E_OK;
}

bool pg_was_denied(const struct pg *p)
{
    (void)p;
    return false;
}

/* ---- the questions; what comes of them is looked at by whoever asks, so here as well ---- */

static struct archive_lease lease(void)
{
    return (struct archive_lease){SPAN("job_1"), 1, 1};
}

static struct store_item items[ITEMS];
static struct store_item *make_items(void)
{
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct store_item){.kind = i % 3 ? ITEM_POST : ITEM_UNAVAILABLE,
                                       .id = span_of(arena_fmt(a, "%d", i % 9)),
                                       .created_ms = i,
                                       .json = SPAN("{}")};
    return items;
}

static err ask_items(struct archive *archive, struct fault *f)
{
    struct item_view *views;
    size_t n;
    err e = archive_items(archive, SPAN("job_1"), -1, 0, 20, 4000, a, &views, &n, f);
    need(e || n <= 20);
    for (size_t i = 0; !e && i < n; i++)
        need((unsigned)views[i].kind <= ITEM_CONFLICT);
    return e;
}

static err ask_newest(struct archive *archive, struct fault *f)
{
    struct span lines;
    err e = archive_newest(archive, SPAN("job_1"), a, &lines, f);
    need(e || lines.n <= 48 * 1024);
    return e;
}

static err ask_commit(struct archive *archive, struct fault *f)
{
    struct archive_committed out;
    struct archive_commit args = {.lease = lease(),
                                  .site = SPAN("x"),
                                  .batch = 2,
                                  .items = make_items(),
                                  .count = ITEMS,
                                  .limit = 7};
    err e = archive_commit(archive, &args, (wall){NOW}, &out, f);
    need(e || out.added <= 7);
    return e;
}

static err ask_rewind(struct archive *archive, struct fault *f)
{
    struct archive_committed out;
    struct archive_lease l = lease();
    return archive_rewind(archive, &l, ITEM_POST, 1, &out, f);
}

static err ask_repair(struct archive *archive, struct fault *f)
{
    struct repair_reply out;
    struct archive_mending args = {.job = SPAN("job_1"),
                                   .site = SPAN("x"),
                                   .batch = 2,
                                   .items = make_items(),
                                   .count = ITEMS};
    return archive_repair(archive, &args, (wall){NOW}, &out, f);
}

static err ask_share(struct archive *archive, struct fault *f)
{
    return archive_share(archive, SPAN("job_1"), SPAN("job_2"), f);
}

static err ask_forget(struct archive *archive, struct fault *f)
{
    bool more;
    const struct span jobs[JOBS] = {SPAN("a"), SPAN("b"), SPAN("c"), SPAN("d"), SPAN("e")};
    return archive_forget(archive, jobs, JOBS, &more, f);
}

static const struct archive_limits limits = {
    .age_ms = 1000, .bytes = 1000, .job_bytes = 1000, .job_count = 10};

static err ask_add_evidence(struct archive *archive, struct fault *f)
{
    struct evidence_reply out;
    struct archive_lease l = lease();
    struct evidence_args args = {
        .strategy = SPAN("s"), .name = SPAN("n"), .body = SPAN("bytes")};
    return archive_evidence_add(archive, &l, &args, &limits, (wall){NOW}, &out, f);
}

static void look_at_piece(const struct evidence_view *v)
{
    need((unsigned)v->kind < EVIDENCE_KINDS && (unsigned)v->reason < FAILURE_COUNT);
}

static err ask_evidence(struct archive *archive, struct fault *f)
{
    struct evidence_list list;
    err e = archive_evidence_list(archive, SPAN("job_1"), a, &list, f);
    for (size_t i = 0; !e && i < list.count; i++)
        look_at_piece(&list.pieces[i]);
    for (size_t i = 0; !e && i < list.gap_count; i++)
        need((unsigned)list.gaps[i].kind < EVIDENCE_KINDS && (unsigned)list.gaps[i].gap < GAPS);
    return e;
}

static err ask_piece(struct archive *archive, struct fault *f)
{
    struct evidence_view v;
    err e = archive_evidence_read(archive, SPAN("job_1"), 1, a, &v, f);
    if (!e)
        look_at_piece(&v);
    return e;
}

static err ask_retain(struct archive *archive, struct fault *f)
{
    bool more;
    return archive_evidence_retain(archive, &limits, (wall){NOW}, &more, f);
}

static err ask_add_fields(struct archive *archive, struct fault *f)
{
    return archive_fields_add(archive, SPAN("x"), SPAN("v1\nname 0 1 2 3\n"), (wall){NOW}, f);
}

static err ask_fields(struct archive *archive, struct fault *f)
{
    struct fields_view v;
    err e = archive_fields(archive, SPAN("x"), 24, (wall){NOW}, a, &v, f);
    for (size_t i = 0; !e && i < v.count; i++)
        need((unsigned)v.fields[i].mark < DRIFT_MARKS);
    return e;
}

static err ask_drift(struct archive *archive, struct fault *f)
{
    int64_t marks[DRIFT_MARKS];
    return archive_drift(archive, (wall){NOW}, marks, f);
}

static err ask_sizes(struct archive *archive, struct fault *f)
{
    struct archive_sizes sizes;
    return archive_sizes(archive, &sizes, f);
}

static err ask_jobs(struct archive *archive, struct fault *f)
{
    struct span *ids;
    size_t n;
    err e = archive_jobs(archive, SPAN(""), JOBS, a, &ids, &n, f);
    need(e || n <= JOBS);
    return e;
}

static err ask_known(struct archive *archive, struct fault *f)
{
    int64_t batches[JOBS];
    const struct span jobs[JOBS] = {SPAN("a"), SPAN("b"), SPAN("c"), SPAN("d"), SPAN("e")};
    return archive_move_jobs(archive, jobs, JOBS, batches, f);
}

static err ask_moved(struct archive *archive, struct fault *f)
{
    static const enum moved_kind kinds[] = {MOVE_RECORDS, MOVE_EVIDENCE, MOVE_GAPS, MOVE_BODIES,
                                            MOVE_FIELDS};
    enum moved_kind kind = kinds[take_byte() % (sizeof kinds / sizeof *kinds)];
    struct moved_page page;
    struct archive_move_ask ask = {.kind = kind, .job = SPAN("job_1"), .bound = 3};
    err e = archive_move_out(archive, &ask, a, &page, f);
    return e ? e : archive_move_in(archive, kind, &page, f);
}

static err ask_empty(struct archive *archive, struct fault *f)
{
    bool empty;
    return archive_move_empty(archive, &empty, f);
}

static err (*const questions[])(struct archive *archive, struct fault *f) = {
    ask_items,  ask_newest,     ask_commit,       ask_rewind,   ask_repair,
    ask_share,  ask_forget,     ask_add_evidence, ask_evidence, ask_piece,
    ask_retain, ask_add_fields, ask_fields,       ask_drift,    ask_sizes,
    ask_jobs,   ask_known,      ask_moved,        ask_empty,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct archive archive = {.copy_from = ARCHIVE_COPY_BYTES};
    struct fault f = {0};
    if (!a)
        a = arena_new(ARENA);
    arena_reset(a);
    left = (struct span){(const char *)bytes, n};
    err e = questions[take_byte() % (sizeof questions / sizeof *questions)](&archive, &f);
    need(!e || f.words[0] || e == E_BUSY);
    return 0;
}

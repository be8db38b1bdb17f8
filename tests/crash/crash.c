/* crash.c - the store under power loss and a disk that fails (vfs.h), by a scripted run (load.h).
 *
 * crash [stride=1] [seeds=6] [seed=1] [parts=power,twice,faults,tail,flips] [mistake=NAME]
 *   power   the power fails at every call of the run: what is left of the disk opens, is sound, has what
 *           was acknowledged and nothing but what was asked for, each group wholly or not at all, and the
 *           service goes on to the end of the script
 *   twice   it fails again while the store starts, or goes on after that
 *   faults  a call goes wrong, once or for a while: what was answered with success is there, also when
 *           the power fails at that answer
 *   tail    the log is torn at each byte of its last group
 *   flips   a bit of the database or of its log is flipped: refused with the file's name, or all is there
 *   stride  only every n-th call (those beside a sync, or a name made or removed, are always taken)
 *   mistake put in on purpose; exit 0 when it is found: sync (syncs are skipped), database (those of the
 *           file, not of the log), folder, early (answers before the group is written), same (after a
 *           failed sync what was written is not written again)
 * Exit 1: a promise was broken; says how to see it again. */
#include "load.h"
#include "vfs.h"

#include <sqlite3.h>

#include <ftw.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SNAPS = LOAD_ROUNDS + 2, NO_SNAP = -1, TRIES = 40 };

/* What was known when a group was acknowledged, and what the store held then. */
struct snap {
    struct load_view known;
    int64_t now, round;
    uint64_t nonces, digest;
};
/* One run on a disk, with its tape. The mark n: snap n was acknowledged. */
struct run {
    struct load l;
    struct disk *first, *disk; /* as it began; as it is */
    struct snap snaps[SNAPS];
    int64_t count;
    /* Where it began: what the client knew, and what may be on the disk before the first snap. */
    const struct snap *from;
    uint64_t before[2];
};

static struct {
    char dir[64];
    struct arena *a;
    int64_t stride, seeds, seed;
    const char *parts, *mistake;
    char at[200]; /* what is tried now */
    /* the table */
    int64_t calls, groups, ops, images, starts, faults, fault_runs, full_ended, tails, flips,
        refused, alone, unseen, same, again;
} g;

/* ---- words ---- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static _Noreturn void leave(int code)
{
    fflush(stdout);
    nftw(g.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    _Exit(code);
}

static _Noreturn void on_broken(const char *why)
{
    if (g.mistake) {
        printf("found after %" PRId64 " images: %s\n", g.images, why);
        leave(0);
    }
    printf("crash: %s\n  at %s, seed=%" PRId64 "\n", why, g.at, g.seed);
    leave(1);
}

static void __attribute__((format(printf, 1, 2))) trying(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(g.at, sizeof g.at, format, list);
    va_end(list);
}

static void __attribute__((format(printf, 1, 2))) must(const char *format, ...)
{
    char why[LOAD_WHY];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    on_broken(why);
}

/* ---- what a disk holds ---- */

static uint64_t digest_rows(sqlite3 *db, const char *sql, uint64_t digest)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        must("%s: %s", sql, sqlite3_errmsg(db));
    int code;
    while ((code = sqlite3_step(q)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(q); i++) {
            const char *p = (const char *)sqlite3_column_text(q, i);
            int64_t head = sqlite3_column_type(q, i) * 1000003LL + sqlite3_column_bytes(q, i);
            digest = span_hash((struct span){(const char *)&head, sizeof head}, digest);
            digest = span_hash((struct span){p, (size_t)sqlite3_column_bytes(q, i)}, digest);
        }
    }
    if (code != SQLITE_DONE)
        must("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(q);
    return digest;
}

static void check_integrity(sqlite3 *db)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW)
        must("integrity_check: %s", sqlite3_errmsg(db));
    const char *text = (const char *)sqlite3_column_text(q, 0);
    if (!text || strcmp(text, "ok") != 0)
        must("integrity_check: %s", text ? text : "nothing");
    sqlite3_finalize(q);
}

static sqlite3 *look_at(void)
{
    char path[96];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/fulmar.db", g.dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "power") != SQLITE_OK)
        must("the database does not open: %s", sqlite3_errmsg(db));
    return db;
}

/* Everything in the rows, 0 when there are none, by a connection of our own on a copy. */
static uint64_t digest_of(const struct disk *d, bool check)
{
    struct disk *copy = disk_copy(d);
    uint64_t digest = 0;
    disk_use(copy);
    sqlite3 *db = look_at();
    if (check)
        check_integrity(db);
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(db,
                           "SELECT name FROM sqlite_schema WHERE type='table' ORDER BY name",
                           -1, &q, NULL) != SQLITE_OK)
        must("the schema: %s", sqlite3_errmsg(db));
    while (sqlite3_step(q) == SQLITE_ROW) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT * FROM %s", (const char *)sqlite3_column_text(q, 0));
        digest = digest_rows(db, sql, digest + 1);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    disk_free(&copy);
    return digest;
}

static enum disk_lie lie_of(void)
{
    static const char *const names[] = {[LIE_SYNC] = "sync",
                                        [LIE_SYNC_DATABASE] = "database",
                                        [LIE_SYNC_FOLDER] = "folder",
                                        [LIE_SAME_BYTES] = "same"};
    for (size_t i = LIE_SYNC; g.mistake && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(g.mistake, names[i]) == 0)
            return (enum disk_lie)i;
    return LIE_NONE;
}

/* ---- a run with its tape ---- */

static void on_answer(void *ctx)
{
    struct run *r = ctx;
    disk_mark(r->disk, r->count);
}

static void keep_snap(void *ctx)
{
    struct run *r = ctx;
    if (r->count == SNAPS)
        must("the run has too many groups");
    r->snaps[r->count++] = (struct snap){.known = r->l.known,
                                         .now = r->l.now,
                                         .round = r->l.round,
                                         .nonces = r->l.nonces,
                                         .digest = digest_of(r->disk, false)};
    disk_use(r->disk);
}

/* The service starts anew after everything that was asked for before. */
static void let_time_pass(struct load *l, const struct run *r, int64_t acked)
{
    int64_t last = acked + 1 < r->count ? acked + 1 : r->count - 1;
    l->now = r->snaps[last].now + 1000;
}

static struct load new_load(const struct snap *from)
{
    struct load l = {.dir = g.dir, .limits = load_limits(), .a = g.a, .broken = on_broken};
    if (from) {
        l.known = from->known;
        l.now = from->now;
        l.round = from->round;
        l.nonces = from->nonces;
    }
    return l;
}

/* From `from` on (NULL: an empty disk) to the end of the script. Takes the disk. */
static struct run *new_run(struct disk *d, const struct snap *from, enum disk_lie lie)
{
    struct run *r = heap_new_of(struct run);
    r->l = new_load(from);
    r->l.on_answer = on_answer;
    r->l.on_group = keep_snap;
    r->l.ctx = r;
    r->l.mistake =
        g.mistake && strcmp(g.mistake, "early") == 0 ? LOAD_ANSWERS_EARLY : LOAD_HONEST;
    r->first = disk_killed(d);
    r->from = from;
    r->disk = d;
    disk_record(d);
    disk_use(d);
    load_open(&r->l, 1);
    disk_lies(d, lie);
    on_answer(r);
    keep_snap(r);
    if (from)
        load_after_crash(&r->l);
    while (load_round(&r->l))
        ;
    load_check_end(&r->l);
    load_close(&r->l);
    return r;
}

static void free_run(struct run **r)
{
    disk_free(&(*r)->first);
    disk_free(&(*r)->disk);
    free(*r);
    *r = NULL;
}

/* ---- after the power came back ---- */

/* Tables, and nobody has written into them yet. */
static bool is_new(const struct disk *d)
{
    struct disk *copy = disk_copy(d);
    sqlite3_stmt *q = NULL;
    disk_use(copy);
    sqlite3 *db = look_at();
    bool empty = sqlite3_prepare_v2(
                     db, "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM events)",
                     -1, &q, NULL) == SQLITE_OK &&
                 sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) == 0;
    sqlite3_finalize(q);
    sqlite3_close(db);
    disk_free(&copy);
    return empty;
}

/* Which of the two states that are possible it is: what was acknowledged, or the group after it too. */
static int64_t state_left(const struct run *r, int64_t acked, const struct disk *image)
{
    uint64_t digest = digest_of(image, true);
    if (acked != NO_SNAP && r->snaps[acked].digest == digest)
        return acked;
    if (acked + 1 < r->count && r->snaps[acked + 1].digest == digest)
        return acked + 1;
    if (acked == NO_SNAP && (digest == r->before[0] || digest == r->before[1]))
        return NO_SNAP;
    if (acked == NO_SNAP && !r->from &&
        is_new(image)) /* between the schema and the first group */
        return NO_SNAP;
    for (int64_t i = 0; i < r->count; i++)
        if (r->snaps[i].digest == digest)
            must("group %" PRId64 " was acknowledged, and the disk has only %" PRId64, acked,
                 i);
    must("the disk holds what the store never held; %" PRId64 " groups were acknowledged",
         acked);
    return 0;
}

static void go_on(struct load *l)
{
    load_after_crash(l);
    while (load_round(l))
        ;
    load_check_end(l);
    load_close(l);
}

/* Takes the image. */
static void check_image(const struct run *r, int64_t acked, struct disk *image, bool to_the_end)
{
    char why[LOAD_WHY];
    int64_t left = state_left(r, acked, image);
    struct load l = new_load(acked == NO_SNAP ? r->from : &r->snaps[acked]);
    g.images++;
    let_time_pass(&l, r, acked);
    disk_use(image);
    load_open(&l, 1);
    g.starts++;
    if (left != NO_SNAP)
        load_compare(&l, &r->snaps[left].known, true, why);
    if (left != NO_SNAP && why[0])
        must("%s", why);
    if (to_the_end) {
        go_on(&l);
        digest_of(image, true);
    } else {
        load_close(&l);
    }
    disk_free(&image);
}

/* ---- power ---- */

static bool changes_order(const struct disk_change *c)
{
    return c->kind != CHANGE_WRITE;
}

/* Beside a sync or a name something is decided; in between one write is as the other. */
static bool is_taken(const struct disk_change *tape, int64_t n, int64_t i, int64_t stride)
{
    for (int64_t k = i - 1; k <= i + 1; k++)
        if (k >= 0 && k < n && changes_order(&tape[k]))
            return i % ((stride + 3) / 4) == 0;
    return i % stride == 0;
}

/* The power fails after change i, at one of the calls until the next change. */
static void fail_after(const struct run *r, const struct disk *played, int64_t i, int64_t acked)
{
    for (int64_t v = 0; v < g.seeds; v++) {
        enum disk_mood mood = v < MOODS ? (enum disk_mood)v : MOOD_CHANCE;
        uint64_t seed = (uint64_t)(g.seed * 1000003 + i * 64 + v);
        trying("power, change %" PRId64 ", variant %" PRId64, i, v);
        check_image(r, acked, disk_after_power(played, mood, seed), v == 0 || v == i % g.seeds);
    }
}

static void sweep(const struct run *r, int64_t stride)
{
    int64_t n, acked = NO_SNAP;
    const struct disk_change *tape = disk_tape(r->disk, &n);
    struct disk *played = disk_killed(r->first);
    for (int64_t i = 0; i < n; i++) {
        disk_play(played, &tape[i]);
        if (tape[i].kind == CHANGE_MARK)
            acked = tape[i].n;
        if (is_taken(tape, n, i, stride))
            fail_after(r, played, i, acked);
    }
    disk_free(&played);
}

static struct run *whole_run(void)
{
    struct run *r = new_run(disk_new(), NULL, lie_of());
    g.calls = disk_calls(r->disk);
    g.groups = r->l.known.groups;
    g.ops = r->l.known.ops;
    return r;
}

/* ---- faults ---- */

/* A run on a disk that fails. */
struct trial {
    struct load l;
    struct disk *disk;
    int64_t looks; /* answers that are still to be looked at */
};

/* At an answer nothing is only believed to be on the disk: with the power off it is as it was seen. */
static void look_at_answer(void *ctx)
{
    struct trial *t = ctx;
    if (!disk_broken(t->disk) || t->looks-- <= 0)
        return;
    struct disk *after = disk_after_power(t->disk, MOOD_NOTHING, 1);
    if (digest_of(after, true) != digest_of(t->disk, true))
        must("what was acknowledged after the fault is not on the disk");
    g.images++;
    disk_free(&after);
    disk_use(t->disk);
}

static void try_run(struct trial *t)
{
    t->l = new_load(NULL);
    t->l.on_group = look_at_answer;
    t->l.ctx = t;
    t->looks = 2;
    disk_use(t->disk);
    load_open(&t->l, TRIES);
    while (load_round(&t->l))
        ;
    disk_break(t->disk, 0, FAULT_NONE, 0);
    load_check_end(&t->l);
    t->looks = 1;
    look_at_answer(t);
    load_close(&t->l);
    digest_of(t->disk, true);
    g.fault_runs++;
    g.faults += disk_broken(t->disk);
    g.starts += 1 + t->l.reopened;
}

static void try_fault(int64_t call, enum disk_call kind, enum disk_fault fault, int64_t count)
{
    struct trial t = {.disk = disk_new()};
    disk_lies(t.disk, lie_of());
    trying("call %" PRId64 " (%s): %s, %" PRId64 " times", call, disk_call_names[kind],
           disk_fault_names[fault], count);
    disk_break(t.disk, call, fault, count);
    try_run(&t);
    disk_free(&t.disk);
}

/* The disk is full from that call on; with the ballast given back there is room for what ends jobs. */
static void try_full(int64_t call)
{
    struct trial t = {.disk = disk_new()};
    char ballast[96];
    snprintf(ballast, sizeof ballast, "%s/fulmar.ballast", g.dir);
    trying("call %" PRId64 ": the disk is full from here on", call);
    disk_full_while(t.disk, call, ballast, 8);
    try_run(&t);
    if (t.l.full_stuck)
        must("%" PRId64 " operations that need no room were refused on a full disk",
             t.l.full_stuck);
    g.full_ended += t.l.full_ended;
    disk_free(&t.disk);
}

static bool may_be(enum disk_call kind, enum disk_fault fault)
{
    switch (fault) {
    case FAULT_EIO:
        return kind != CALL_SYNC;
    case FAULT_FULL:
    case FAULT_SHORT:
        return kind == CALL_WRITE;
    case FAULT_SYNC_DONE:
    case FAULT_SYNC_PENDING:
    case FAULT_SYNC_LOST:
    case FAULT_SYNC_GONE:
        return kind == CALL_SYNC;
    case FAULT_NONE:
    case DISK_FAULTS:
        break;
    }
    return false;
}

static void part_faults(const struct run *r)
{
    static const int64_t counts[] = {1, 2, 3, 7};
    int64_t turn = 0, every[DISK_CALL_KINDS] = {0};
    for (int64_t call = 1; call <= disk_calls(r->disk); call++) {
        enum disk_call kind = disk_call_kind(r->disk, call);
        int64_t stride = kind == CALL_SYNC ? (g.stride + 3) / 4
                         : g.stride == 1   ? 1
                                           : 6 * g.stride;
        if (every[kind]++ % stride)
            continue;
        for (int fault = FAULT_EIO; fault < DISK_FAULTS; fault++)
            if (may_be(kind, (enum disk_fault)fault))
                try_fault(call, kind, (enum disk_fault)fault, counts[turn++ % 4]);
        if (kind == CALL_WRITE && every[kind] % (4 * g.stride) == 1)
            try_full(call);
    }
}

/* ---- twice ---- */

/* After a power failure, or a kill, the store starts and goes on; at each call of that the power fails. */
static void fail_again(const struct run *r, int64_t acked, struct disk *d, bool killed)
{
    struct snap from = r->snaps[acked];
    int64_t left = state_left(r, acked, d);
    struct load l = new_load(&from);
    let_time_pass(&l, r, acked);
    /* What the group in flight did to the jobs is what the store shows; the client asks and learns. */
    from.known = r->snaps[left].known;
    from.now = l.now;
    struct run *second = new_run(d, &from, LIE_NONE);
    second->before[0] = r->snaps[left].digest;
    second->before[1] = r->snaps[killed ? acked : left].digest;
    int64_t images = g.images;
    sweep(second, 24 * g.stride);
    g.again += g.images - images;
    free_run(&second);
}

static void part_twice(const struct run *r)
{
    int64_t n, acked = NO_SNAP, turn = 0;
    const struct disk_change *tape = disk_tape(r->disk, &n);
    struct disk *played = disk_killed(r->first);
    for (int64_t i = 0; i < n; i++) {
        disk_play(played, &tape[i]);
        if (tape[i].kind == CHANGE_MARK)
            acked = tape[i].n;
        if (acked == NO_SNAP || i % 41 || turn++ % g.stride)
            continue;
        trying("twice, first at change %" PRId64, i);
        fail_again(r, acked, disk_after_power(played, MOOD_CHANCE, (uint64_t)(g.seed + i)),
                   false);
        trying("twice, killed at change %" PRId64, i);
        fail_again(r, acked, disk_killed(played), true);
    }
    disk_free(&played);
}

/* ---- a torn log ---- */

/* The disk as it was at mark `to`, with everything on it. */
static struct disk *disk_at(const struct run *r, int64_t to)
{
    int64_t n;
    const struct disk_change *tape = disk_tape(r->disk, &n);
    struct disk *played = disk_killed(r->first);
    for (int64_t i = 0; i < n && !(i && tape[i - 1].kind == CHANGE_MARK && tape[i - 1].n == to);
         i++)
        disk_play(played, &tape[i]);
    struct disk *image = disk_after_power(played, MOOD_ALL, 1);
    disk_free(&played);
    return image;
}

static int64_t log_bytes(const struct disk *d)
{
    return (int64_t)disk_read(d, "-wal").n;
}

/* The group whose part of the log is the shortest, but there: from where to where. */
static int64_t shortest_group(const struct run *r, int64_t *out_from, int64_t *out_to)
{
    int64_t best = 0, before = 0;
    *out_from = 0;
    *out_to = INT64_MAX;
    for (int64_t i = 0; i + 1 < r->count; i++) {
        struct disk *d = disk_at(r, i);
        int64_t now = log_bytes(d);
        disk_free(&d);
        if (before && now > before && now - before < *out_to - *out_from) {
            *out_from = before;
            *out_to = now;
            best = i;
        }
        before = now;
    }
    return best;
}

static void part_tail(const struct run *r)
{
    int64_t from, to, group = shortest_group(r, &from, &to);
    struct disk *whole = disk_at(r, group);
    int64_t stride = g.stride == 1 ? 1 : 2 * g.stride + 1;
    for (int64_t at = from; at < to; at += stride) {
        for (int variant = 0; variant < 2; variant++) {
            trying("the log torn at byte %" PRId64 ", %s", at,
                   variant ? "garbage behind" : "cut");
            struct disk *image = disk_copy(whole);
            if (variant)
                disk_fill(image, "-wal", at, (uint64_t)at);
            else
                disk_cut(image, "-wal", at);
            check_image(r, group - 1, image, (at - from) % (64 * stride) == 0);
            g.tails++;
        }
    }
    disk_free(&whole);
}

/* ---- flipped bits ---- */

struct flipped {
    const struct run *r;
    int64_t acked; /* what was acknowledged */
    const struct disk *whole;
    const char *file;  /* ".db", "-wal" */
    int64_t last_from; /* bytes from here on are of the last group, which may be lost */
};

static void after_refusal(const struct flipped *p, const struct disk *copy, err e,
                          const struct fault *f)
{
    if (e != E_STORE || (!strstr(f->words, "fulmar.db") && !strstr(f->words, "store.path")))
        must("refused, but without the file's name: %s", f->words);
    g.refused++;
    /* So that it is known what the check is for: SQLite takes what is behind the bit for never written. */
    if (p->file[0] == '-')
        g.alone += digest_of(copy, false) != p->r->snaps[p->acked].digest;
}

static void after_start(const struct flipped *p, const struct disk *copy, struct load *l,
                        bool may_lose)
{
    char why[LOAD_WHY];
    const struct snap *snaps = p->r->snaps;
    load_compare(l, &snaps[p->acked].known, false, why);
    if (why[0] && may_lose)
        load_compare(l, &snaps[p->acked - 1].known, false, why);
    if (why[0])
        must("silently: %s", why);
    load_close(l);
    uint64_t digest = digest_of(copy, false);
    if (digest == snaps[p->acked].digest || (may_lose && digest == snaps[p->acked - 1].digest))
        g.same++;
    else
        g.unseen++;
}

static void flip(const struct flipped *p, int64_t bit)
{
    trying("bit %" PRId64 " of byte %" PRId64 " of fulmar%s flipped", bit % 8, bit / 8,
           p->file);
    struct disk *image = disk_killed(p->whole);
    struct load l = new_load(&p->r->snaps[p->acked]);
    struct fault f = {0};
    disk_flip(image, p->file, bit);
    struct disk *copy = disk_killed(image);
    l.now += 1000;
    g.flips++;
    disk_use(image);
    err e = store_open(&l.s, g.dir, &l.limits, 7, (wall){l.now}, &f);
    if (e)
        after_refusal(p, copy, e, &f);
    else
        after_start(p, copy, &l, bit / 8 >= p->last_from);
    disk_free(&copy);
    disk_free(&image);
}

/* So many bits of these bytes, by chance; `holding`: of pages with this text. */
static void flip_some(const struct flipped *p, int64_t from, int64_t to, int64_t count,
                      const char *holding)
{
    uint64_t random = (uint64_t)g.seed * 77 + 1;
    struct span bytes = disk_read(p->whole, p->file);
    while (count > 0) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t bit = from * 8 + (int64_t)((random >> 20) % (uint64_t)((to - from) * 8));
        struct span page = span_cut(bytes, (size_t)(bit / 8 / 8192 * 8192), 8192);
        if (holding && span_find(page, span_of(holding)) == page.n)
            continue;
        flip(p, bit);
        count--;
    }
}

static void part_flips(const struct run *r)
{
    int64_t n = 4000 / g.stride + 1;
    struct flipped p = {.r = r, .file = ".db", .last_from = INT64_MAX};
    while (p.acked < r->count && !r->snaps[p.acked].known.restarted)
        p.acked++;
    struct disk *disk = disk_at(r, p.acked);
    p.whole = disk;
    int64_t bytes = (int64_t)disk_read(disk, p.file).n;
    flip_some(&p, 0, bytes, n, NULL);
    flip_some(&p, 0, bytes, 2 * n, "job_0"); /* jobs, their indexes, events */
    flip_some(&p, 0, 100, n / 2, NULL);      /* the header */
    disk_free(&disk);
    p.file = "-wal";
    for (p.acked = r->count - 1; p.acked > 0; p.acked--) { /* with the longest log */
        p.whole = disk = disk_at(r, p.acked);
        struct disk *before = disk_at(r, p.acked - 1);
        bytes = log_bytes(disk);
        p.last_from = log_bytes(before);
        disk_free(&before);
        if (bytes > p.last_from && p.last_from > (1 << 20))
            break;
        disk_free(&disk);
    }
    if (!disk)
        must("the run has no long log");
    flip_some(&p, 0, bytes, n, NULL);
    flip_some(&p, 0, 32, n / 4, NULL);
    disk_free(&disk);
}

/* ---- main ---- */

static bool wants(const char *part)
{
    return !g.parts || strstr(g.parts, part);
}

static void read_arguments(int argc, char **argv)
{
    struct {
        const char *name;
        int64_t *number;
        const char **text;
    } known[] = {{"stride=", &g.stride, NULL},
                 {"seeds=", &g.seeds, NULL},
                 {"seed=", &g.seed, NULL},
                 {"parts=", NULL, &g.parts},
                 {"mistake=", NULL, &g.mistake}};
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] &&
               strncmp(argv[i], known[k].name, strlen(known[k].name)) != 0)
            k++;
        if (k == sizeof known / sizeof known[0]) {
            fprintf(stderr, "crash: what is %s?\n", argv[i]);
            exit(2);
        }
        const char *value = argv[i] + strlen(known[k].name);
        if (known[k].text)
            *known[k].text = value;
        else
            *known[k].number = strtoll(value, NULL, 10);
    }
}

static void print_table(void)
{
    const struct {
        const char *what;
        int64_t n;
    } rows[] = {
        {"calls of one run", g.calls},
        {"  its groups", g.groups},
        {"  its operations", g.ops},
        {"disks after a power failure", g.images},
        {"  of them after a second one", g.again},
        {"  sectors dropped", disk_dropped()},
        {"  sectors torn", disk_torn()},
        {"runs on a failing disk", g.fault_runs},
        {"  calls that went wrong", g.faults},
        {"  operations done on a full disk", g.full_ended},
        {"logs torn in their last group", g.tails},
        {"bits flipped", g.flips},
        {"  refused, naming the file", g.refused},
        {"    SQLite alone drops jobs", g.alone},
        {"  all as it was", g.same},
        {"  all there, a value changed unseen", g.unseen},
        {"starts of the store", g.starts},
        {"broken promises", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        printf("%-36s %9" PRId64 "\n", rows[i].what, rows[i].n);
}

static void make_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(g.dir, sizeof g.dir, "%s/fulmar-crash-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (!mkdtemp(g.dir)) {
        perror("crash: no temporary folder");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    g.stride = 1;
    g.seeds = 6;
    g.seed = 1;
    read_arguments(argc, argv);
    make_folder();
    /* Big buffers come and go by the thousand. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    g.a = arena_new(32 << 20);
    struct run *r = whole_run();
    if (wants("power"))
        sweep(r, g.stride);
    if (wants("twice"))
        part_twice(r);
    if (wants("faults"))
        part_faults(r);
    if (wants("tail"))
        part_tail(r);
    if (wants("flips"))
        part_flips(r);
    free_run(&r);
    arena_free(&g.a);
    if (g.mistake) {
        printf("%s was not found\n", g.mistake);
        leave(1);
    }
    print_table();
    leave(0);
}

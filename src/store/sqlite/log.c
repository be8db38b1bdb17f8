#include "store/sqlite/log.h"

#include "base/need.h"

/* The format is SQLite's, and documented as unchanging: https://www.sqlite.org/fileformat2.html#walformat */
enum { HEADER = 32, FRAME_HEAD = 24, PAGE_MIN = 512, PAGE_MAX = 65536 };
static const uint32_t MAGIC = 0x377f0682; /* + 1: sums of big-endian numbers */

struct sum {
    uint32_t a, b;
};
struct frame {
    int64_t page;
    bool ends_group;
    bool of_log; /* has the salt of the log's header */
    struct sum stored;
    uint8_t *bytes; /* head and page */
};
struct walk {
    struct db *db;
    int64_t page_bytes, frames; /* whole ones in the file */
    bool big;
    uint8_t salt[8];
    struct frame now;
    /* the groups that SQLite sees */
    int64_t group_from, group_to; /* frames of the last one */
    int64_t broken;               /* first frame that does not follow; −1: none */
};

static uint32_t number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t number_of(const struct walk *w, const uint8_t *p)
{
    return w->big ? number(p) : __builtin_bswap32(number(p));
}

static struct sum add(const struct walk *w, struct sum s, const uint8_t *p, int64_t n)
{
    for (int64_t i = 0; i < n; i += 8) {
        s.a += number_of(w, p + i) + s.b;
        s.b += number_of(w, p + i + 4) + s.a;
    }
    return s;
}

static bool same(struct sum x, struct sum y)
{
    return x.a == y.a && x.b == y.b;
}

static int64_t frame_bytes(const struct walk *w)
{
    return FRAME_HEAD + w->page_bytes;
}

static int64_t place(const struct walk *w, int64_t frame)
{
    return HEADER + frame * frame_bytes(w);
}

static err read_frame(struct walk *w, int64_t i, struct fault *f)
{
    struct frame *n = &w->now;
    err e = db_log_read(w->db, place(w, i), n->bytes, frame_bytes(w), f);
    if (e)
        return e;
    n->page = number(n->bytes);
    n->ends_group = number(n->bytes + 4) != 0;
    n->of_log = memcmp(n->bytes + 8, w->salt, sizeof w->salt) == 0;
    n->stored = (struct sum){number(n->bytes + 16), number(n->bytes + 20)};
    return E_OK;
}

/* Of the frame just read, when the one before it had the sum `before`. */
static struct sum sum_after(const struct walk *w, struct sum before)
{
    return add(w, add(w, before, w->now.bytes, 8), w->now.bytes + FRAME_HEAD, w->page_bytes);
}

static bool follows(const struct walk *w, struct sum before)
{
    return w->now.of_log && w->now.page && same(sum_after(w, before), w->now.stored);
}

/* E_END: there is no log to speak of. out_whole: its header is. */
static err read_header(struct walk *w, bool *out_whole, struct sum *out_sum, struct fault *f)
{
    uint8_t h[HEADER];
    int64_t size;
    err e = db_log_size(w->db, &size, f);
    if (e)
        return e;
    w->broken = -1;
    w->page_bytes = db_page_bytes(w->db);
    need(w->page_bytes >= PAGE_MIN && w->page_bytes <= PAGE_MAX);
    w->frames = (size - HEADER) / frame_bytes(w);
    if (size < HEADER || w->frames <= 0)
        return E_END;
    e = db_log_read(w->db, 0, h, HEADER, f);
    if (e)
        return e;
    w->big = h[3] & 1;
    *out_sum = (struct sum){number(h + 24), number(h + 28)};
    *out_whole = (number(h) & ~1u) == MAGIC && number(h + 8) == (uint32_t)w->page_bytes &&
                 same(add(w, (struct sum){0, 0}, h, 24), *out_sum);
    memcpy(w->salt, h + 16, sizeof w->salt);
    return E_OK;
}

static err fail_damaged(const char *path, int64_t at, struct fault *f)
{
    return fail(
        f, E_STORE,
        "the log %.100s-wal is damaged at byte %lld: jobs behind it would be lost; restore a backup, "
        "or drop them (PRAGMA wal_checkpoint(TRUNCATE) in sqlite3)",
        path, (long long)at);
}

/* What was found behind the first broken frame, up to the frame before this one. */
struct behind {
    bool end; /* that frame ends a group, and its sum is right */
    /* the broken one says that it ends a group, and all frames since then go on from it */
    bool unsure;
};

/* A group that SQLite does not see was synced, and answered, when another one follows it: the frame
 * behind its end carries its sum on. The head of the broken frame itself may be half of another, left by
 * a write that failed, so behind that a whole group has to follow. */
static bool proves_damage(struct behind *b, const struct frame *now, bool goes_on)
{
    bool proof = goes_on && (b->end || (b->unsure && now->ends_group));
    b->end = goes_on && now->ends_group;
    b->unsure = b->unsure && goes_on;
    return proof;
}

static void take_frame(struct walk *w, int64_t i)
{
    if (!w->now.ends_group)
        return;
    w->group_from = w->group_to;
    w->group_to = i + 1;
}

static err walk_frames(struct walk *w, struct sum stored, const char *path, struct fault *f)
{
    struct behind behind = {0};
    struct sum right = stored; /* what the frame before should have stored */
    for (int64_t i = 0; i < w->frames; i++) {
        err e = read_frame(w, i, f);
        if (e)
            return e;
        bool goes_on = follows(w, stored);
        if (w->broken < 0 && goes_on) {
            take_frame(w, i);
        } else if (w->broken < 0) {
            w->broken = i;
            behind.unsure = w->now.ends_group;
        } else if (proves_damage(&behind, &w->now, goes_on || follows(w, right))) {
            return fail_damaged(path, place(w, w->broken), f);
        }
        right = sum_after(w, stored);
        stored = w->now.stored;
    }
    return E_OK;
}

/* The pages of a log without a header, up to the end of the last group. out_frames: how many. */
static err list_pages(struct walk *w, int64_t *pages, int64_t *out_frames, struct fault *f)
{
    struct sum sum = {0, 0};
    *out_frames = 0;
    for (int64_t i = 0; i < w->frames; i++) {
        err e = read_frame(w, i, f);
        if (e)
            return e;
        if (i == 0) {
            memcpy(w->salt, w->now.bytes + 8, sizeof w->salt);
            w->now.of_log = true;
        } else if (!follows(w, sum)) {
            break;
        }
        sum = w->now.stored;
        pages[i] = w->now.page;
        if (w->now.ends_group)
            *out_frames = i + 1;
    }
    return E_OK;
}

static bool comes_again(const int64_t *pages, int64_t i, int64_t n)
{
    for (int64_t k = i + 1; k < n; k++)
        if (pages[k] == pages[i])
            return true;
    return false;
}

/* The header is written anew only when all of the log is in the file: then it may be torn. When not all is
 * there, it was damaged. */
static err check_headless(struct walk *w, const char *path, struct fault *f)
{
    int64_t n = 0, *pages = heap_get((size_t)w->frames * sizeof *pages);
    uint8_t *page = heap_get((size_t)w->page_bytes);
    err e = list_pages(w, pages, &n, f);
    if (!e && n <= 1) { /* the header's word on the order of bytes may be what is wrong */
        w->big = !w->big;
        e = list_pages(w, pages, &n, f);
    }
    for (int64_t i = 0; !e && i < n; i++) {
        if (comes_again(pages, i, n))
            continue;
        e = read_frame(w, i, f);
        if (!e)
            e = db_page_read(w->db, pages[i], page, w->page_bytes, f);
        if (!e && memcmp(page, w->now.bytes + FRAME_HEAD, (size_t)w->page_bytes) != 0)
            e = fail_damaged(path, 0, f);
    }
    free(pages);
    free(page);
    return e;
}

static err write_again(struct walk *w, struct fault *f)
{
    err e = E_OK;
    for (int64_t i = w->group_from; !e && i < w->group_to; i++) {
        e = read_frame(w, i, f);
        if (!e)
            e = db_log_write(w->db, place(w, i), w->now.bytes, frame_bytes(w), f);
    }
    return e;
}

err log_settle(struct db *d, const char *path, bool doubted, struct fault *f)
{
    struct walk w = {.db = d};
    struct sum sum;
    bool whole;
    err e = read_header(&w, &whole, &sum, f);
    if (e)
        return e == E_END ? E_OK : e;
    w.now.bytes = heap_get((size_t)frame_bytes(&w));
    e = whole ? walk_frames(&w, sum, path, f) : check_headless(&w, path, f);
    if (!e && doubted)
        e = write_again(&w, f);
    if (!e && w.group_to > 0)
        e = db_log_sync(d, f);
    free(w.now.bytes);
    return e;
}

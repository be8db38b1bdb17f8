#include "store/transfer.h"

#include "base/need.h"
#include "core/evidence.h"
#include "store/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

/* ---- the shapes ---- */

#define NUMBER(field) {#field, MOVED_NUMBER},
#define HEX(field)    {#field, MOVED_HEX},
#define TEXT(field)   {#field, MOVED_TEXT},
#define FRAME(field)  {#field, MOVED_FRAME},
#define PATH(field)   {#field, MOVED_FILE},
#define LIST(name, FIELDS)                                                                     \
    static const struct moved_field name##_list[] = {FIELDS(NUMBER, HEX, TEXT, FRAME, PATH)};  \
    _Static_assert(sizeof name##_list / sizeof *name##_list <= MOVED_FIELDS, "too many fields")
#define JOBS_ALL(N, H, T, F, P) MOVED_JOBS(N, H, T, F, P) MOVED_JOBS_REST(N, H, T, F, P)
LIST(service, MOVED_SERVICE);
LIST(limits, MOVED_LIMITS);
LIST(lanes, MOVED_LANES);
LIST(sessions, MOVED_SESSIONS);
LIST(rests, MOVED_RESTS);
LIST(hours, MOVED_HOURS);
LIST(marks, MOVED_MARKS);
LIST(batches, MOVED_BATCHES);
LIST(calls, MOVED_CALLS);
LIST(adds, MOVED_ADDS);
LIST(schedules, MOVED_SCHEDULES);
LIST(operations, MOVED_OPERATIONS);
LIST(jobs, JOBS_ALL);
LIST(requests, MOVED_REQUESTS);
LIST(runs, MOVED_RUNS);
LIST(webhooks, MOVED_WEBHOOKS);
LIST(hands, MOVED_HANDS);
LIST(deliveries, MOVED_DELIVERIES);
LIST(events, MOVED_EVENTS);
LIST(records, MOVED_RECORDS);
LIST(bodies, MOVED_BODIES);
LIST(evidence, MOVED_EVIDENCE);
LIST(gaps, MOVED_GAPS);
LIST(fields, MOVED_FIELDS_COUNTED);
LIST(files, MOVED_FILES);
LIST(urls, MOVED_URLS);
LIST(holds, MOVED_HOLDS);
LIST(counters, MOVED_COUNTERS);

const struct moved_shape moved_shapes[MOVE_KINDS] = {
#define SHAPE(constant, fields, keys, words)                                                   \
    [MOVE_##constant] = {#fields, words, fields##_list,                                        \
                         sizeof fields##_list / sizeof *fields##_list, keys},
    MOVED_KINDS(SHAPE)
#undef SHAPE
};

size_t moved_at(enum moved_kind kind, const char *field)
{
    const struct moved_shape *s = &moved_shapes[kind];
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->fields[i].name, field) == 0)
            return i;
    bug("no such field");
}

/* ---- canonical form ---- */

static err read_frame(struct span frame, char out[DIGEST_TEXT], struct fault *f)
{
    struct buf body = BUF(EVIDENCE_PIECE_MAX);
    err e = compress_take(&body, frame, EVIDENCE_PIECE_MAX);
    if (e)
        e = fail(f, E_STORE, "the bytes of a piece of evidence are missing or damaged");
    else
        digest_text(buf_span(&body), out);
    buf_free(&body);
    return e;
}

static err read_file(struct span path, char out[DIGEST_TEXT], struct fault *f)
{
    char name[1024], *piece = heap_get(READ_BYTES);
    struct digest d;
    ssize_t n = 0;
    int fd = open(span_copy(path, name, sizeof name), O_RDONLY | O_CLOEXEC);
    digest_init(&d);
    while (fd >= 0 && ((n = read(fd, piece, READ_BYTES)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            digest_add(&d, (struct span){piece, (size_t)n});
    err e = fd < 0 || n < 0
                ? fail(f, E_STORE, "cannot read media file %.200s: %s", name, strerror(errno))
                : E_OK;
    if (!e)
        digest_end(&d, out);
    if (fd >= 0)
        close(fd);
    free(piece);
    return e;
}

static void put(struct buf *out, struct span text)
{
    buf_fmt(out, "%zu:", text.n);
    buf_add(out, text);
}

static err write_value(enum moved_type type, const struct moved_value *v, struct buf *out,
                       struct fault *f)
{
    char text[DIGEST_TEXT] = "";
    err e = E_OK;
    switch (type) {
    case MOVED_NUMBER:
        snprintf(text, sizeof text, "%lld", (long long)v->n);
        break;
    case MOVED_HEX:
        snprintf(text, sizeof text, "%016llx", (unsigned long long)v->n);
        break;
    case MOVED_FRAME:
        e = read_frame(v->text, text, f);
        break;
    case MOVED_FILE:
        e = v->text.n ? read_file(v->text, text, f) : E_OK;
        break;
    case MOVED_TEXT:
        put(out, v->text);
        return E_OK;
    }
    if (!e)
        put(out, span_of(text));
    return e;
}

err moved_write(enum moved_kind kind, const struct moved_row *row, struct buf *out,
                struct fault *f)
{
    const struct moved_shape *s = &moved_shapes[kind];
    err e = E_OK;
    buf_clear(out);
    for (size_t i = 0; !e && i < s->count; i++)
        e = write_value(s->fields[i].type, &row->v[i], out, f);
    if (!e && out->failed)
        e = fail(f, E_TOO_BIG, "a row of %s does not fit", s->words);
    return e;
}

void moved_key(enum moved_kind kind, const struct moved_row *row, struct buf *out)
{
    const struct moved_shape *s = &moved_shapes[kind];
    for (size_t i = 0; i < s->keys; i++) {
        if (i)
            buf_add_char(out, ' ');
        if (s->fields[i].type == MOVED_TEXT)
            buf_add(out, span_cut(row->v[i].text, 0, 120));
        else
            buf_fmt(out, "%lld", (long long)row->v[i].n);
    }
}

/* Takes the next value off; false: there is none. */
static bool next_value(struct span *rest, struct span *out)
{
    struct span length;
    int64_t n;
    if (!span_next(rest, ':', &length) || !span_int(length, &n) || n < 0 || (size_t)n > rest->n)
        return false;
    *out = span_cut(*rest, 0, (size_t)n);
    *rest = span_cut(*rest, (size_t)n, rest->n);
    return true;
}

const char *moved_differs(enum moved_kind kind, struct span one, struct span other)
{
    const struct moved_shape *s = &moved_shapes[kind];
    struct span a, b;
    for (size_t i = 0; i < s->count; i++)
        if (!next_value(&one, &a) || !next_value(&other, &b) || !span_eq(a, b))
            return s->fields[i].name;
    return NULL;
}

/* ---- sums ---- */

size_t moved_bucket(enum moved_kind kind, const struct moved_row *row)
{
    const struct moved_shape *s = &moved_shapes[kind];
    uint64_t h = 0;
    for (size_t i = 0; i < s->keys; i++) {
        const struct moved_value *v = &row->v[i];
        struct span n = {(const char *)&v->n, sizeof v->n};
        h = span_hash(s->fields[i].type == MOVED_TEXT ? v->text : n, h);
    }
    return (size_t)(h % MOVED_BUCKETS);
}

void moved_add(struct moved_sum *sum, struct span canonical)
{
    unsigned char digest[DIGEST_BYTES];
    uint64_t words[4];
    digest_sha256(canonical, digest);
    memcpy(words, digest, sizeof words);
    for (int i = 0; i < 4; i++)
        sum->words[i] += words[i];
    sum->count++;
}

struct moved_sum moved_total(const struct moved_sums *sums)
{
    struct moved_sum all = {0};
    for (size_t k = 0; k < MOVED_BUCKETS; k++) {
        all.count += sums->part[k].count;
        for (int i = 0; i < 4; i++)
            all.words[i] += sums->part[k].words[i];
    }
    return all;
}

bool moved_same(const struct moved_sum *a, const struct moved_sum *b)
{
    return a->count == b->count && memcmp(a->words, b->words, sizeof a->words) == 0;
}

char *moved_sum_text(const struct moved_sum *sum, char out[MOVED_SUM_TEXT])
{
    const unsigned char *bytes = (const unsigned char *)sum->words;
    for (int i = 0; i < (MOVED_SUM_TEXT - 1) / 2; i++)
        snprintf(out + (ptrdiff_t)2 * i, 3, "%02x", bytes[i]);
    return out;
}

/* ---- marks ---- */

bool transfer_holds(enum transfer_state state)
{
    return state != TRANSFER_NONE && state != TRANSFER_CAME;
}

err transfer_mark_place(struct transfer_mark *mark, const struct moved_place *place,
                        struct fault *f)
{
    if (place->one.n >= sizeof mark->one || place->two.n >= sizeof mark->two)
        return fail(f, E_TOO_BIG, "a place in the store is too long to be noted");
    mark->a = place->a;
    mark->b = place->b;
    span_copy(place->one, mark->one, sizeof mark->one);
    span_copy(place->two, mark->two, sizeof mark->two);
    return E_OK;
}

void transfer_place_write(const struct transfer_mark *mark, struct buf *out)
{
    buf_fmt(out, "%d %lld %lld ", mark->kind, (long long)mark->a, (long long)mark->b);
    put(out, span_of(mark->one));
    put(out, span_of(mark->two));
    put(out, span_of(mark->came));
}

bool transfer_place_read(struct span text, struct transfer_mark *out)
{
    int64_t numbers[3];
    struct span part;
    for (int i = 0; i < 3; i++)
        if (!span_next(&text, ' ', &part) || !span_int(part, &numbers[i]))
            return false;
    out->kind = (int)numbers[0];
    out->a = numbers[1];
    out->b = numbers[2];
    if (!next_value(&text, &part))
        return false;
    span_copy(part, out->one, sizeof out->one);
    if (!next_value(&text, &part))
        return false;
    span_copy(part, out->two, sizeof out->two);
    if (next_value(&text, &part)) /* earlier versions end here */
        span_copy(part, out->came, sizeof out->came);
    else if (out->state == TRANSFER_CAME)
        memcpy(out->came, out->id, sizeof out->came);
    return true;
}

err transfer_refuse(enum transfer_state state, struct span other, struct fault *f)
{
    static const char left[] =
        "this store was moved to %.*s: use that, move it back, or give it up (--abandon)";
    static const char on_the_way[] =
        "a move of this store (%s %.*s) is not done: give it again, or with --abandon";
    _Static_assert(sizeof left + TRANSFER_NAME <= sizeof f->words + 5 &&
                       sizeof on_the_way + TRANSFER_NAME <= sizeof f->words + 5,
                   "the name of a store is said whole");
    if (state == TRANSFER_LEFT)
        return fail(f, E_MOVED, left, SP(other));
    return fail(f, E_MOVED, on_the_way, state == TRANSFER_LEAVING ? "to" : "from", SP(other));
}

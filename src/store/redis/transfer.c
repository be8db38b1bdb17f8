/* transfer.c - rows of the queue for a move, and into it: scripts move_out.lua and move_in.lua. */
#include "store/redis/transfer.h"

#include "base/need.h"
#include "core/options.h"
#include "core/schedule.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "store/filed.h"
#include "store/redis/inside.h"

#include <time.h>

enum {
    CHUNK_BYTES = 32 << 20,
    MARK_BYTES = 16 * 1024,
    EXTRA_MOST = 8,
    STEPS_MOST = 100000000,
    LOOK_EVERY_MS = 500,
};

static const char USUAL_NAME[] = "fulmar"; /* of store.name, when nobody gave one */

struct queue {
    struct transfer head;
    struct store *s;
    char archive[40];
    struct buf packed, names; /* of one call */
};

static struct queue *of(struct transfer *t)
{
    return (struct queue *)t;
}

static struct call verb(const char *name)
{
    struct call c = {0};
    call_text(&c, span_of(name));
    return c;
}

static err ask(struct queue *q, enum script script, const struct call *c, struct reply *out,
               struct fault *f)
{
    return store_look(q->s, script, c, clock_wall(), out, f);
}

/* ---- the mark: "STATE ID AT ARCHIVE PLACE…other" ---- */

static void write_mark(const struct queue *q, const struct transfer_mark *m, struct buf *out)
{
    buf_fmt(out, "%d %s %lld %s ", (int)m->state, m->id[0] ? m->id : "-", (long long)m->at_ms,
            q->archive);
    packed_add(out, span_of(m->other));
    transfer_place_write(m, out);
}

static void read_mark(struct span text, struct transfer_mark *out)
{
    struct span part;
    int64_t n = 0;
    *out = (struct transfer_mark){.kind = -1};
    if (span_next(&text, ' ', &part) && span_int(part, &n))
        out->state = (enum transfer_state)n;
    if (span_next(&text, ' ', &part))
        span_copy(part, out->id, sizeof out->id);
    if (span_next(&text, ' ', &part))
        (void)span_int(part, &out->at_ms);
    if (span_next(&text, ' ', &part))
        span_copy(part, out->archive, sizeof out->archive);
    if (!span_next(&text, ':', &part) || !span_int(part, &n) || n < 0)
        return;
    span_copy(span_cut(text, 0, (size_t)n), out->other, sizeof out->other);
    (void)transfer_place_read(span_cut(text, (size_t)n, text.n), out);
}

enum { MARK_STATE = 1, MARK_REST, MARK_EPOCH, MARK_ARCHIVE };

static err queue_mark(struct transfer *t, struct transfer_mark *out, struct fault *f)
{
    struct reply r;
    struct call c = verb("mark");
    store_fresh(of(t)->s);
    call_text(&c, SPAN_NONE);
    err e = ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
    if (e)
        return e;
    read_mark(reply_text(&r, MARK_REST), out);
    if (out->state == TRANSFER_NONE) /* then the mark does not tell */
        out->archive[0] = '\0';
    if (!transfer_holds(out->state) && reply_text(&r, MARK_ARCHIVE).n)
        span_copy(reply_text(&r, MARK_ARCHIVE), out->archive, sizeof out->archive);
    return E_OK;
}

static err queue_set_mark(struct transfer *t, const struct transfer_mark *mark, struct fault *f)
{
    struct reply r;
    struct call c = verb("mark");
    struct buf text = BUF(MARK_BYTES);
    store_fresh(of(t)->s);
    if (mark->state == TRANSFER_NONE && !mark->came[0])
        buf_add_char(&text, '0'); /* nothing is left to be said */
    else
        write_mark(of(t), mark, &text);
    need(!text.failed);
    call_text(&c, buf_span(&text));
    call_number(&c, STORE_SCHEMA);
    call_number(&c, TRANSFER_SCHEMA);
    err e = ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
    buf_free(&text);
    return e;
}

/* ---- alone ---- */

/* By the server's clock, which is that of the beats. */
static err server_now(struct queue *q, wall *out, struct fault *f)
{
    struct reply r;
    err e = link_say(q->s->link, q->s->own, &r, f, "TIME", NULL);
    if (!e)
        *out = (wall){reply_number(&r, 0) * 1000 + reply_number(&r, 1) / 1000};
    return e;
}

/* One that said that it stops, and has no job any more or then missed a beat, has stopped: what it still says is refused. */
static bool is_there(const struct node_view *v, wall now)
{
    if (v->says.stopping && v->says.busy == 0)
        return false;
    int64_t silent_ms = v->says.stopping ? NODE_BEAT_MS + 1000 : NODE_SILENT_MS;
    return now.ms - v->heard_ms <= silent_ms;
}

/* The first node that may use the queue; *out_count 0: none. */
static err find_node(struct queue *q, struct arena *a, struct node_view *out, bool *out_there,
                     struct fault *f)
{
    struct node_view *nodes;
    size_t count;
    wall now = {0};
    *out_there = false;
    err e = redis_nodes(q->s, (wall){0}, a, &nodes, &count, f);
    if (!e)
        e = server_now(q, &now, f);
    for (size_t i = 0; !e && i < count && !*out_there; i++) {
        *out_there = is_there(&nodes[i], now);
        *out = nodes[i];
    }
    return e;
}

/* Who is heard of again while we wait is at work; who was killed falls silent. */
static err queue_alone(struct transfer *t, struct fault *f)
{
    struct arena *a = arena_new(4 << 20);
    struct node_view first = {0}, v;
    bool there = true;
    err e = E_OK;
    while (!e && there) {
        arena_reset(a);
        e = find_node(of(t), a, &v, &there, f);
        if (e || !there)
            break;
        if (first.name[0] && strcmp(first.name, v.name) == 0 && first.heard_ms != v.heard_ms &&
            !v.says.stopping)
            e = fail(f, E_CONFLICT, "node %s uses %.100s: stop it first", v.name, t->name);
        first = v;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
    arena_free(&a);
    return e;
}

/* ---- before it is read ---- */

static err release_all(struct queue *q, struct fault *f)
{
    struct reply r = {0};
    err e = E_OK;
    for (int i = 0; !e && i < STEPS_MOST && !(i && reply_number(&r, 1)); i++) {
        struct call c = verb("release");
        store_fresh(q->s);
        e = ask(q, SCRIPT_MOVE_IN, &c, &r, f);
    }
    return e;
}

static err make_index(struct queue *q, struct fault *f)
{
    struct reply r = {0};
    int64_t a = 0, b = 0;
    err e = E_OK;
    for (int i = 0; !e && i < STEPS_MOST && !(i && reply_number(&r, 3)); i++) {
        struct call c = verb("index");
        store_fresh(q->s);
        call_number(&c, a);
        call_number(&c, b);
        e = ask(q, SCRIPT_MOVE_OUT, &c, &r, f);
        a = reply_number(&r, 1);
        b = reply_number(&r, 2);
    }
    return e;
}

/* What nodes took while the Redis was away, and what they said of it last: nobody but them has that. */
static err no_spools(struct queue *q, struct fault *f)
{
    struct arena *a = arena_new(4 << 20);
    struct node_view *nodes;
    size_t count = 0;
    err e = redis_nodes(q->s, (wall){0}, a, &nodes, &count, f);
    for (size_t i = 0; !e && i < count; i++)
        if (nodes[i].says.spooled)
            e = fail(
                f, E_CONFLICT,
                "node %s has %lld jobs in its spool that the Redis does not have yet: start "
                "it once, so that it hands them over (it is forgotten a day after its last "
                "word)",
                nodes[i].name, (long long)nodes[i].says.spooled);
    arena_free(&a);
    return e;
}

static err queue_settle(struct transfer *t, bool dry, struct fault *f)
{
    err e = no_spools(of(t), f);
    if (!e && !dry)
        e = release_all(of(t), f);
    return e ? e : make_index(of(t), f);
}

static err queue_empty(struct transfer *t, bool *out, struct fault *f)
{
    struct reply r;
    struct call c = verb("empty");
    store_fresh(of(t)->s);
    err e = ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
    *out = !e && reply_number(&r, 1);
    return e;
}

static void call_new_id(struct call *c, char id[40])
{
    snprintf(id, 40, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    call_number(c, STORE_SCHEMA);
    call_text(c, span_of(id));
}

static err queue_clear(struct transfer *t, struct fault *f)
{
    struct reply r = {0};
    char cursor[32] = "0", id[40];
    err e = E_OK;
    for (int i = 0; !e && i < STEPS_MOST && (i == 0 || strcmp(cursor, "0") != 0); i++) {
        struct call c = verb("clear");
        store_fresh(of(t)->s);
        call_text(&c, span_of(cursor));
        call_new_id(&c, id);
        call_number(&c, TRANSFER_SCHEMA);
        e = ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
        if (!e)
            span_copy(reply_text(&r, 1), cursor, sizeof cursor);
    }
    return e;
}

/* ---- rows out ---- */

enum { OUT_A = 1, OUT_B, OUT_ONE, OUT_TWO, OUT_LAST, OUT_ROWS };

static err out_of(struct queue *q, const char *kind, const struct moved_place *place,
                  int64_t most, struct reply *r, struct fault *f)
{
    struct call c = verb(kind);
    store_fresh(q->s);
    call_number(&c, place->a);
    call_number(&c, place->b);
    call_text(&c, place->one);
    call_text(&c, place->two);
    call_number(&c, most);
    return ask(q, SCRIPT_MOVE_OUT, &c, r, f);
}

static int64_t hex_of(struct span text)
{
    char digits[NONCE_TEXT];
    return (int64_t)strtoull(span_copy(text, digits, sizeof digits), NULL, 16);
}

static err read_values(enum moved_kind kind, const struct reply *r, struct arena *a,
                       struct moved_row *row, struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    err e = E_OK;
    for (size_t i = 0; !e && i < shape->count; i++) {
        if (shape->fields[i].type == MOVED_NUMBER)
            row->v[i].n = reply_number(r, i);
        else if (shape->fields[i].type == MOVED_HEX)
            row->v[i].n = hex_of(reply_text(r, i));
        else
            e = store_keep(a, reply_text(r, i), &row->v[i].text, f);
    }
    return e;
}

static err read_event(struct queue *q, const struct reply *r, struct arena *a,
                      struct moved_row *row, struct fault *f)
{
    struct event_view v;
    err e = event_view_of(q->s, r, a, &v, f);
    if (e)
        return e;
    row->v[0].n = v.seq;
    row->v[1].text = v.job;
    row->v[2].n = v.number;
    row->v[3].text = v.kind;
    row->v[4].n = v.at_ms;
    row->v[5].text = v.body;
    return E_OK;
}

static void find_file(const struct queue *q, struct arena *a, struct moved_row *row)
{
    struct filed name;
    char path[FILED_PATH];
    span_copy(row->v[0].text, name.hash, sizeof name.hash);
    span_copy(row->v[1].text, name.suffix, sizeof name.suffix);
    bool there = q->s->files[0] && filed_path(q->s->files, &name, path) &&
                 filed_size(path) == row->v[3].n;
    row->v[5].text = arena_keep(a, there ? span_of(path) : SPAN(""));
}

static int64_t most_out(enum moved_kind kind)
{
    return kind == MOVE_JOBS ? 50 : 90;
}

static err queue_out(struct transfer *t, enum moved_kind kind, const struct moved_place *place,
                     struct arena *a, struct moved_page *out, struct fault *f)
{
    struct queue *q = of(t);
    struct reply r;
    err e = out_of(q, moved_shapes[kind].name, place, most_out(kind), &r, f);
    if (e)
        return e;
    size_t count = r.count > OUT_ROWS ? r.count - OUT_ROWS : 0;
    *out = (struct moved_page){
        .rows = arena_get(a, (count + 1) * sizeof(struct moved_row)),
        .next = {reply_number(&r, OUT_A), reply_number(&r, OUT_B), SPAN(""), SPAN("")},
        .last = reply_number(&r, OUT_LAST) != 0};
    e = store_keep(a, reply_text(&r, OUT_ONE), &out->next.one, f);
    if (!e)
        e = store_keep(a, reply_text(&r, OUT_TWO), &out->next.two, f);
    for (size_t i = 0; !e && i < count; i++) {
        const struct reply *row = reply_list(&r, OUT_ROWS + i);
        e = kind == MOVE_EVENTS ? read_event(q, row, a, &out->rows[i], f)
                                : read_values(kind, row, a, &out->rows[i], f);
        if (!e && kind == MOVE_FILES)
            find_file(q, a, &out->rows[i]);
    }
    out->count = e ? 0 : count;
    return e;
}

err transfer_queue_jobs(struct transfer *t, int64_t after, struct arena *a,
                        struct transfer_jobs *out, struct fault *f)
{
    enum { JOB_ID, JOB_BATCH, JOB_STATE, JOB_FENCE, JOB_COUNTS, JOB_HAS };
    struct reply r;
    struct moved_place place = {.a = after};
    err e = out_of(of(t), "ids", &place, 90, &r, f);
    if (e)
        return e;
    size_t n = r.count - OUT_ROWS;
    *out = (struct transfer_jobs){.ids = arena_get(a, (n + 1) * sizeof *out->ids),
                                  .next_batches = arena_get(a, (n + 1) * sizeof(int64_t)),
                                  .fences = arena_get(a, (n + 1) * sizeof(int64_t)),
                                  .have = arena_get(a, (n + 1) * sizeof(int64_t)),
                                  .counts = arena_get(a, (n + 1) * sizeof *out->counts),
                                  .live = arena_get(a, (n + 1) * sizeof *out->live),
                                  .next = reply_number(&r, OUT_A),
                                  .last = reply_number(&r, OUT_LAST) != 0};
    for (size_t i = 0; !e && i < n; i++) {
        const struct reply *row = reply_list(&r, OUT_ROWS + i);
        e = store_keep(a, reply_text(row, JOB_ID), &out->ids[i], f);
        out->next_batches[i] = reply_number(row, JOB_BATCH);
        out->live[i] = !job_is_final((enum job_state)reply_number(row, JOB_STATE));
        out->fences[i] = reply_number(row, JOB_FENCE);
        out->have[i] = reply_number(row, JOB_HAS);
        out->counts[i] = (enum item_kind)reply_number(row, JOB_COUNTS);
        out->count += e == E_OK;
    }
    return e;
}

/* ---- rows in ---- */

/* What a script cannot make of the row by itself, behind its fields; their names in extra_names. */
static const char *const extra_names[MOVE_KINDS] = {[MOVE_LIMITS] = "th",
                                                    [MOVE_LANES] = "te si cl th",
                                                    [MOVE_BATCHES] = "t0 p0 b0 j0 t1 p1 b1 j1",
                                                    [MOVE_SCHEDULES] = "share",
                                                    [MOVE_OPERATIONS] = "whyj",
                                                    [MOVE_JOBS] = "fixed hk",
                                                    [MOVE_RUNS] = "pending"};

static const struct moved_value *value(enum moved_kind kind, const struct moved_row *row,
                                       const char *field)
{
    return &row->v[moved_at(kind, field)];
}

static err put_lane(struct call *c, struct span name, struct fault *f)
{
    struct lane_name lane;
    err e = asked_lane(name, &lane, f);
    if (!e)
        call_lane(c, &lane);
    return e;
}

static void put_share(struct call *c, const struct moved_row *row)
{
    const struct schedule rule = {.jitter_ms = value(MOVE_SCHEDULES, row, "jitter_ms")->n};
    call_number(c, schedule_start(&rule, row->v[0].text, (wall){0}).ms);
}

static err put_fixed(struct store *s, struct call *c, const struct moved_row *row,
                     struct fault *f)
{
    static const char *const names[FIXED_TEXTS] = {"site",    "kind", "target",   "spec",
                                                   "variant", "pool", "operation"};
    struct buf b = BUF(4 * STORE_SPEC_MAX);
    for (int i = 0; i < FIXED_TEXTS; i++)
        packed_add(&b, value(MOVE_JOBS, row, names[i])->text);
    struct span kept = arena_keep(s->own, buf_span(&b));
    err e = b.failed || !kept.p ? fail(f, E_TOO_BIG, "the texts of a job do not fit") : E_OK;
    buf_free(&b);
    if (!e)
        call_text(c, kept);
    return e;
}

/* A run that waits for its turn has the id of the job that it will make. */
static void put_pending(struct store *s, struct call *c, const struct moved_row *row)
{
    char id[ID_TEXT];
    schedule_slot_id(id, row->v[0].text, (wall){value(MOVE_RUNS, row, "slot")->n});
    call_text(c, arena_keep(s->own, span_of(id)));
}

static err put_extras(struct store *s, enum moved_kind kind, const struct moved_row *row,
                      struct call *c, struct fault *f)
{
    err e = E_OK;
    switch (kind) {
    case MOVE_LIMITS:
        call_hex(c, span_hash(value(kind, row, "name")->text, 0) >> 1);
        return E_OK;
    case MOVE_LANES:
        return put_lane(c, row->v[0].text, f);
    case MOVE_BATCHES:
        e = callback_put(s, c, value(kind, row, "on_complete")->text, f);
        return e ? e : callback_put(s, c, value(kind, row, "on_success")->text, f);
    case MOVE_SCHEDULES:
        put_share(c, row);
        return E_OK;
    case MOVE_OPERATIONS:
        call_json(s, c, value(kind, row, "why")->text);
        return E_OK;
    case MOVE_JOBS:
        e = put_fixed(s, c, row, f);
        call_text(c, options_callback(value(kind, row, "spec")->text));
        return e;
    case MOVE_RUNS:
        put_pending(s, c, row);
        return E_OK;
    default: /* the fields say it all */
        return E_OK;
    }
}

/* Texts of a job that are in the packed one. */
static bool is_packed(enum moved_kind kind, size_t field)
{
    return kind == MOVE_JOBS && field >= 3 && field <= 9;
}

static err pack_row(struct queue *q, enum moved_kind kind, const struct moved_row *row,
                    struct fault *f)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    struct call extras = {0};
    char text[32];
    for (size_t i = 0; i < shape->count; i++) {
        enum moved_type type = shape->fields[i].type;
        int64_t n = row->v[i].n;
        bool empty_hex = type == MOVED_HEX && n == 0 && kind == MOVE_JOBS; /* no work */
        if (type == MOVED_NUMBER)
            snprintf(text, sizeof text, "%lld", (long long)n);
        else if (type == MOVED_HEX)
            snprintf(text, sizeof text, "%016llx", (unsigned long long)n);
        bool is_text = type != MOVED_NUMBER && type != MOVED_HEX;
        if (empty_hex || is_packed(kind, i) || type == MOVED_FILE)
            packed_add(&q->packed, SPAN(""));
        else
            packed_add(&q->packed, is_text ? row->v[i].text : span_of(text));
    }
    err e = put_extras(q->s, kind, row, &extras, f);
    for (size_t i = 0; !e && i < extras.count; i++)
        packed_add(&q->packed, extras.args[i]);
    return e;
}

static err keep_file(const struct queue *q, const struct moved_row *row, struct fault *f)
{
    struct filed name;
    char from[FILED_PATH];
    if (!row->v[5].text.n)
        return E_OK;
    span_copy(row->v[0].text, name.hash, sizeof name.hash);
    span_copy(row->v[1].text, name.suffix, sizeof name.suffix);
    return filed_copy(q->s->files, span_copy(row->v[5].text, from, sizeof from), &name, f);
}

static void write_names(struct queue *q, enum moved_kind kind)
{
    const struct moved_shape *shape = &moved_shapes[kind];
    buf_clear(&q->names);
    for (size_t i = 0; i < shape->count; i++)
        buf_fmt(&q->names, "%s ", shape->fields[i].name);
    buf_add_text(&q->names, extra_names[kind] ? extra_names[kind] : "");
}

/* One script: at most so many rows that Redis does nothing else for a few milliseconds. */
static size_t chunk_of(enum moved_kind kind)
{
    switch (kind) {
    case MOVE_JOBS:
        return 12;
    case MOVE_LANES:
    case MOVE_BATCHES:
    case MOVE_SCHEDULES:
        return 20;
    default:
        return 50;
    }
}

static err put_chunk(struct queue *q, enum moved_kind kind, const struct moved_row *rows,
                     size_t count, struct span mark, struct fault *f)
{
    struct reply r;
    struct call c = verb("rows");
    err e = E_OK;
    store_fresh(q->s);
    buf_clear(&q->packed);
    for (size_t i = 0; !e && i < count; i++)
        e = kind == MOVE_FILES ? keep_file(q, &rows[i], f) : E_OK;
    for (size_t i = 0; !e && i < count; i++)
        e = pack_row(q, kind, &rows[i], f);
    if (!e && q->packed.failed)
        e = fail(f, E_TOO_BIG, "rows of %s do not fit into one call", moved_shapes[kind].words);
    call_text(&c, span_of(moved_shapes[kind].name));
    call_text(&c, buf_span(&q->names));
    call_text(&c, buf_span(&q->packed));
    call_text(&c, mark);
    return e ? e : ask(q, SCRIPT_MOVE_IN, &c, &r, f);
}

static err queue_in(struct transfer *t, enum moved_kind kind, const struct moved_page *page,
                    const struct transfer_mark *mark, struct fault *f)
{
    struct queue *q = of(t);
    struct buf text = BUF(MARK_BYTES);
    size_t at = 0;
    err e = E_OK;
    write_mark(q, mark, &text);
    write_names(q, kind);
    do {
        size_t n = page->count - at < chunk_of(kind) ? page->count - at : chunk_of(kind);
        bool last = at + n == page->count;
        e = put_chunk(q, kind, page->rows + at, n, last ? buf_span(&text) : SPAN(""), f);
        at += n;
    } while (!e && at < page->count);
    buf_free(&text);
    return e;
}

static err queue_takes(struct transfer *t, enum moved_kind kind, const struct moved_row *row,
                       struct fault *f)
{
    const struct queue *q = of(t);
    if (kind == MOVE_FILES && row->v[5].text.n && !q->s->files[0])
        return fail(f, E_BAD_INPUT,
                    "media files need a folder that all machines share: set store.files");
    return E_OK;
}

static err queue_epoch(struct transfer *t, int64_t *out, struct fault *f)
{
    struct reply r;
    struct call c = verb("mark");
    store_fresh(of(t)->s);
    call_text(&c, SPAN_NONE);
    err e = ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
    *out = e ? 0 : reply_number(&r, MARK_EPOCH);
    return e;
}

static err queue_finish(struct transfer *t, int64_t epoch, struct fault *f)
{
    struct reply r;
    struct call c = verb("finish");
    char id[40];
    store_fresh(of(t)->s);
    call_number(&c, epoch);
    call_new_id(&c, id);
    return ask(of(t), SCRIPT_MOVE_IN, &c, &r, f);
}

static void queue_close(struct transfer **t)
{
    struct queue *q = of(*t);
    redis_close(&q->s);
    buf_free(&q->packed);
    buf_free(&q->names);
    free(q);
    *t = NULL;
}

static const struct transfer_ops queue_ops = {
    .close = queue_close,
    .mark = queue_mark,
    .set_mark = queue_set_mark,
    .alone = queue_alone,
    .settle = queue_settle,
    .empty = queue_empty,
    .clear = queue_clear,
    .out = queue_out,
    .in = queue_in,
    .takes = queue_takes,
    .epoch = queue_epoch,
    .finish = queue_finish,
};

/* One server has several stores, and Sentinels several servers. */
err transfer_queue_name(const struct redis_config *config, char out[TRANSFER_NAME],
                        struct fault *f)
{
    struct place place;
    char shown[PLACE_HOST + 32];
    char name[32] = "", database[16] = "";
    err e = place_parse(config->url, &place, f);
    if (e)
        return e;
    if (!span_is(config->name, USUAL_NAME))
        snprintf(name, sizeof name, "#%.*s", SP(span_cut(config->name, 0, 30)));
    if (place.database)
        snprintf(database, sizeof database, "/%d", place.database);
    snprintf(out, TRANSFER_NAME, "%.*s%s%.40s%s%s",
             SP(span_cut(place_shown(&place, shown), 0, 70)), place.primary[0] ? "/" : "",
             place.primary, database, name);
    return E_OK;
}

err transfer_queue(struct transfer **out, const struct redis_config *config,
                   struct span archive, const struct store_limits *limits, struct fault *f)
{
    struct queue *q = heap_new_of(struct queue);
    struct transfer *t = &q->head;
    t->ops = &queue_ops;
    q->packed = BUF(CHUNK_BYTES);
    q->names = BUF(4096);
    span_copy(archive, q->archive, sizeof q->archive);
    err e = transfer_queue_name(config, t->name, f);
    if (!e)
        e = store_of_mover(&q->s, config, limits, f);
    if (e) {
        queue_close(&t);
        return e;
    }
    *out = t;
    return E_OK;
}

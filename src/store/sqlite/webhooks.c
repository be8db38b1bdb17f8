/* webhooks.c - receivers, their place in the log of events, and the deliveries made of it. */
#include "store/webhooks.h"

#include "base/need.h"
#include "core/options.h"
#include "os/secret.h"
#include "store/delivery.h"
#include "store/sqlite/inside.h"

enum {
    STEP_EVENTS = 1000, /* of the log, for one webhook in one call */
    DRAW_STEP = 0x9e3779b9,
};
static const int64_t DAY_MS = 24 * 3600 * 1000;

/* ---- rows ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static err check_open(const struct store *s, struct fault *f)
{
    return s->db ? E_OK : fail(f, E_STORE, "the job store is closed");
}

static err keep_all(struct query *q, const int *columns, struct span *const *texts, size_t n,
                    struct arena *a, struct fault *f)
{
    err e = E_OK;
    for (size_t i = 0; !e && i < n; i++)
        e = db_keep(q, columns[i], a, texts[i], f);
    return e;
}

static err read_view(struct query *q, int64_t last_event, struct arena *a,
                     struct webhook_view *v, struct fault *f)
{
    static const int columns[] = {2, 3, 4, 5};
    *v = (struct webhook_view){.enabled = db_int(q, 6) != 0,
                               .off_ms = db_int(q, 7),
                               .old_until_ms = db_int(q, 8),
                               .open = db_int(q, 9),
                               .behind = last_event - db_int(q, 10),
                               .fails = db_int(q, 11),
                               .failing_ms = db_int(q, 12),
                               .rest_ms = db_int(q, 13),
                               .delivered = db_int(q, 14),
                               .failed = db_int(q, 15),
                               .dead = db_int(q, 16),
                               .missed = db_int(q, 17),
                               .last_ok_ms = db_int(q, 18),
                               .created_ms = db_int(q, 19),
                               .updated_ms = db_int(q, 20),
                               .revision = db_int(q, 21),
                               .hand = {.at_ms = db_int(q, 25), .until_ms = db_int(q, 26)}};
    span_copy(db_text(q, 23), v->hand.by, sizeof v->hand.by);
    span_copy(db_text(q, 24), v->hand.why, sizeof v->hand.why);
    span_copy(db_text(q, 1), v->id, sizeof v->id);
    return keep_all(q, columns,
                    (struct span *const[]){&v->name, &v->url, &v->types, &v->off_why}, 4, a, f);
}

struct found {
    int64_t wid, revision, secret_n, open, fails;
    int64_t rest_ms, hand_ms; /* rest_ms: also by hand */
    bool enabled;
};

/* E_NOT_FOUND; E_STALE: it is no longer at that revision (−1: any). */
static err find(struct store *s, struct span id, int64_t revision, struct found *out,
                struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_WEBHOOK, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    if (e == E_END)
        e = delivery_no_webhook(f);
    else if (!e)
        *out = (struct found){.wid = db_int(q, 0),
                              .revision = db_int(q, 21),
                              .secret_n = db_int(q, 22),
                              .open = db_int(q, 9),
                              .fails = db_int(q, 11),
                              .rest_ms = later(db_int(q, 13), db_int(q, 26)),
                              .hand_ms = db_int(q, 26),
                              .enabled = db_int(q, 6) != 0};
    db_end(q);
    if (!e && revision >= 0 && revision != out->revision)
        e = delivery_moved(out->revision, f);
    return e;
}

static err find_to_write(struct store *s, struct span id, int64_t revision, struct found *out,
                         struct fault *f)
{
    err e = store_usable(s, f);
    return e ? e : find(s, id, revision, out, f);
}

static err seal(struct store *s, struct span id, int64_t n, struct span secret, struct buf *out,
                struct fault *f)
{
    err e = store_key(s, true, f);
    return e ? e : delivery_seal(s->key, id, n, secret, out, f);
}

/* ---- operations on one ---- */

err sqlite_webhook_add(struct store *s, const struct webhook_put *args, wall now,
                       struct fault *f)
{
    struct query *q;
    struct buf sealed = BUF(1024);
    err e = store_usable(s, f);
    if (!e)
        e = db_ask_args(s->db, SQL_WEBHOOK_COUNT, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    if (!e && db_int(q, 0) >= WEBHOOKS_MAX)
        e = delivery_too_many(f);
    db_end(q);
    if (!e)
        e = seal(s, args->id, 1, args->secret, &sealed, f);
    if (!e)
        e = db_run(s->db, SQL_WEBHOOK_ADD, f, DB_T(args->id), DB_T(args->name), DB_T(args->url),
                   DB_T(args->types), DB_T(buf_span(&sealed)), DB_I(args->enabled != 0),
                   DB_I(s->now.last_event), DB_I(now.ms));
    buf_free(&sealed);
    return e;
}

static struct db_arg text_or_keep(struct span s)
{
    return s.p ? DB_T(s) : DB_NULL;
}

err sqlite_webhook_change(struct store *s, const struct webhook_put *args, wall now,
                          struct fault *f)
{
    struct found w;
    err e = find_to_write(s, args->id, args->revision, &w, f);
    if (e)
        return e;
    return db_run(s->db, SQL_WEBHOOK_CHANGE, f, DB_I(w.wid), text_or_keep(args->name),
                  text_or_keep(args->url), text_or_keep(args->types), DB_I(args->enabled),
                  DB_I(now.ms));
}

err sqlite_webhook_rotate(struct store *s, const struct webhook_ask *args, wall now,
                          struct fault *f)
{
    struct found w;
    struct buf sealed = BUF(1024);
    err e = find_to_write(s, args->id, args->revision, &w, f);
    if (!e)
        e = seal(s, args->id, w.secret_n + 1, args->secret, &sealed, f);
    if (!e)
        e = db_run(s->db, SQL_WEBHOOK_ROTATE, f, DB_I(w.wid), DB_T(buf_span(&sealed)),
                   DB_I(args->old_until_ms), DB_I(now.ms));
    buf_free(&sealed);
    return e;
}

err sqlite_webhook_remove(struct store *s, const struct webhook_ask *args, struct fault *f)
{
    struct found w;
    err e = find_to_write(s, args->id, args->revision, &w, f);
    if (!e)
        e = db_run(s->db, SQL_DELIVERIES_DELETE, f, DB_I(w.wid));
    if (!e)
        e = hand_drop(s, HAND_OF_WEBHOOK, args->id, f);
    if (!e)
        e = db_run(s->db, SQL_WEBHOOK_LIMIT_DELETE, f, DB_T(args->id));
    return e ? e : db_run(s->db, SQL_WEBHOOK_REMOVE, f, DB_I(w.wid));
}

/* ---- held by hand, limited ---- */

static err close_webhook(struct store *s, const struct found *w, const struct hand_change *c,
                         wall now, bool *out_changed, struct fault *f)
{
    bool resets = c->act == HAND_RESET;
    if (!w->enabled)
        return asked_webhook_off(c->key, f);
    *out_changed = w->rest_ms > now.ms || (resets && w->fails);
    if (!*out_changed)
        return E_OK;
    err e = db_run(s->db, SQL_WEBHOOK_RESTED, f, DB_I(w->wid), DB_I(resets));
    return e ? e : db_run(s->db, SQL_DELIVERIES_HURRY, f, DB_I(w->wid), DB_I(now.ms));
}

err webhooks_hand(struct store *s, const struct hand_change *c, wall now, char out_key[ID_TEXT],
                  bool *out_changed, struct fault *f)
{
    struct found w;
    err e = find(s, c->key, -1, &w, f);
    if (e)
        return e;
    span_copy(c->key, out_key, ID_TEXT);
    if (c->act != HAND_OPEN)
        return close_webhook(s, &w, c, now, out_changed, f);
    *out_changed = w.hand_ms != now.ms + c->hold_ms;
    return E_OK;
}

err webhooks_limits(struct store *s, struct span only, struct arena *a, struct limit_view *out,
                    size_t most, size_t *n, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_WEBHOOK_LIMITS, &q, f, DB_T(only.n ? only : SPAN("")),
                   DB_T(only.n ? only : SPAN("\x7f")));
    if (e)
        return e;
    while (*n < most && (e = db_step(q, f)) == E_OK) {
        struct limit_view *v = &out[(*n)++];
        *v = (struct limit_view){.scope = LIMIT_WEBHOOK,
                                 .name = only,
                                 .max_active = db_int(q, 1),
                                 .emit_ms = db_int(q, 2),
                                 .burst = db_int(q, 3),
                                 .active = db_int(q, 4)};
        if (!only.n)
            e = db_keep(q, 0, a, &v->name, f);
        if (e)
            break;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

/* The first event behind `seq`. E_END: none. */
static err event_after(struct store *s, int64_t seq, int64_t *out_seq, int64_t *out_at,
                       struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_EVENTS, &q, f, DB_I(seq), DB_I(1));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        *out_seq = db_int(q, 0);
        *out_at = db_int(q, 1);
    }
    db_end(q);
    return e;
}

err sqlite_webhook_replay(struct store *s, const struct webhook_ask *args, wall now,
                          struct fault *f)
{
    struct found w;
    int64_t place;
    (void)now;
    err e = find_to_write(s, args->id, args->revision, &w, f);
    if (!e)
        e = delivery_place(s, event_after, s->now.last_event, args->from_ms, &place, f);
    return e ? e : db_run(s->db, SQL_WEBHOOK_PLACE, f, DB_I(w.wid), DB_I(place), DB_I(0));
}

/* Asked of the rows: a reader knows nothing by heart. */
static err read_last_event(struct store *s, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask_args(s->db, SQL_EVENT_LAST, &q, f, NULL, 0);
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

err sqlite_webhook(struct store *s, struct span id, struct arena *a, struct webhook_view *out,
                   struct fault *f)
{
    struct query *q;
    int64_t last = 0;
    err e = check_open(s, f);
    if (!e)
        e = read_last_event(s, &last, f);
    if (!e)
        e = db_ask(s->db, SQL_WEBHOOK, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        e = read_view(q, last, a, out, f);
    else if (e == E_END)
        e = delivery_no_webhook(f);
    db_end(q);
    return e;
}

err sqlite_webhooks(struct store *s, struct arena *a, struct webhook_view **out,
                    size_t *out_count, struct fault *f)
{
    struct query *q;
    size_t n = 0;
    int64_t last = 0;
    err e = check_open(s, f);
    if (!e)
        e = read_last_event(s, &last, f);
    if (!e)
        e = db_ask_args(s->db, SQL_WEBHOOKS, &q, f, NULL, 0);
    if (e)
        return e;
    struct webhook_view *all = arena_get(a, WEBHOOKS_MAX * sizeof *all);
    while (n < WEBHOOKS_MAX && (e = db_step(q, f)) == E_OK) {
        e = read_view(q, last, a, &all[n], f);
        if (e)
            break;
        n++;
    }
    db_end(q);
    if (e && e != E_END)
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

/* ---- deliveries that people look at ---- */

static void make_delivery_id(struct store *s, wall now, char out[ID_TEXT])
{
    uint8_t random[10] = {0};
    uint64_t n = ++s->webhook_draws;
    uint64_t mixed = span_hash((struct span){(const char *)&n, sizeof n}, s->seed);
    memcpy(random, &mixed, sizeof mixed);
    memcpy(random + sizeof mixed, &n, sizeof random - sizeof mixed);
    id_make(out, "dlv", now, random);
}

static err read_delivery(struct query *q, struct arena *a, struct delivery_view *v,
                         struct fault *f)
{
    static const int columns[] = {3, 4, 5, 6};
    *v = (struct delivery_view){.state = (enum delivery_state)db_int(q, 7),
                                .seq = db_int(q, 8),
                                .attempts = db_int(q, 9),
                                .status = db_int(q, 10),
                                .at_ms = db_int(q, 11),
                                .ended_ms = db_int(q, 13)};
    v->due_ms = v->state == DELIVERY_PENDING ? db_int(q, 12) : 0;
    span_copy(db_text(q, 1), v->id, sizeof v->id);
    span_copy(db_text(q, 2), v->webhook, sizeof v->webhook);
    return keep_all(q, columns,
                    (struct span *const[]){&v->event, &v->subject, &v->type, &v->why}, 4, a, f);
}

struct delivery_found {
    int64_t did, wid;
    char webhook[ID_TEXT];
};

static err find_delivery(struct store *s, struct span id, struct arena *a,
                         struct delivery_view *out_view, struct delivery_found *out,
                         struct fault *f)
{
    struct query *q;
    err e = check_open(s, f);
    if (!e)
        e = db_ask(s->db, SQL_DELIVERY, &q, f, DB_T(id));
    if (e)
        return e;
    e = db_step(q, f);
    if (e == E_END) {
        e = delivery_none(f);
    } else if (!e) {
        *out = (struct delivery_found){.did = db_int(q, 0), .wid = db_int(q, 14)};
        span_copy(db_text(q, 2), out->webhook, sizeof out->webhook);
        if (out_view)
            e = read_delivery(q, a, out_view, f);
    }
    db_end(q);
    return e;
}

err sqlite_delivery(struct store *s, struct span id, struct arena *a, struct delivery_view *out,
                    struct fault *f)
{
    struct delivery_found found;
    return find_delivery(s, id, a, out, &found, f);
}

static err ask_deliveries(struct store *s, const struct deliveries_query *q, int64_t wid,
                          int64_t before, struct query **out, struct fault *f)
{
    if (q->state < 0)
        return db_ask(s->db, SQL_DELIVERIES, out, f, DB_I(wid), DB_I(before), DB_I(q->limit));
    return db_ask(s->db, SQL_DELIVERIES_IN, out, f, DB_I(wid), DB_I(before), DB_I(q->limit),
                  DB_I(q->state));
}

err sqlite_deliveries(struct store *s, const struct deliveries_query *q, struct arena *a,
                      struct delivery_view **out, size_t *out_count, struct fault *f)
{
    struct found w;
    struct delivery_found last = {.did = INT64_MAX};
    struct query *rows;
    size_t n = 0;
    need(q->limit > 0 && q->limit <= 501);
    err e = check_open(s, f);
    if (!e)
        e = find(s, q->webhook, -1, &w, f);
    if (!e && q->after.n)
        e = find_delivery(s, q->after, a, NULL, &last, f);
    if (!e)
        e = ask_deliveries(s, q, w.wid, last.did, &rows, f);
    if (e)
        return e;
    struct delivery_view *all = arena_get(a, q->limit * sizeof *all);
    while (n < q->limit && (e = db_step(rows, f)) == E_OK) {
        e = read_delivery(rows, a, &all[n], f);
        if (e)
            break;
        n++;
    }
    db_end(rows);
    if (e && e != E_END)
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

err sqlite_delivery_again(struct store *s, struct span id, wall now, char out_id[ID_TEXT],
                          struct fault *f)
{
    struct delivery_found d;
    struct found w;
    err e = store_usable(s, f);
    if (!e)
        e = find_delivery(s, id, NULL, NULL, &d, f);
    if (!e)
        e = find(s, span_of(d.webhook), -1, &w, f);
    if (!e)
        e = delivery_room(w.open, f);
    if (e)
        return e;
    make_delivery_id(s, now, out_id);
    return db_run(s->db, SQL_DELIVERY_AGAIN, f, DB_I(d.did), DB_T(span_of(out_id)),
                  DB_I(now.ms));
}

err sqlite_webhook_ping(struct store *s, struct span webhook, wall now, char out_id[ID_TEXT],
                        struct fault *f)
{
    struct found w;
    err e = find_to_write(s, webhook, -1, &w, f);
    if (!e)
        e = delivery_room(w.open, f);
    if (e)
        return e;
    make_delivery_id(s, now, out_id);
    struct span id = span_of(
        out_id); /* also of the event; and its own subject, so that it waits for nothing */
    return db_run(s->db, SQL_DELIVERY_ADD, f, DB_T(id), DB_I(w.wid), DB_I(0), DB_T(id),
                  DB_T(id), DB_T(SPAN("ping")), DB_I(now.ms), DB_T(SPAN("{}")), DB_I(now.ms));
}

/* ---- callbacks of jobs ---- */

/* Empty: it has none. */
static err callback_of(struct store *s, int64_t seq, char out[ID_TEXT], struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_SPEC, &q, f, DB_I(seq));
    if (e)
        return e;
    e = db_step(q, f);
    span_copy(e ? SPAN_NONE : options_callback(db_text(q, 0)), out, ID_TEXT);
    db_end(q);
    return e;
}

err webhooks_call_back(struct store *s, const struct job_row *r, struct json_w *body,
                       struct fault *f)
{
    char id[ID_TEXT] = "";
    struct query *q;
    err e = r->calls_back ? callback_of(s, r->seq, id, f) : E_OK;
    if (e || !id[0])
        return e;
    e = db_ask(s->db, SQL_WEBHOOK_IS, &q, f, DB_T(span_of(id)));
    if (e)
        return e;
    e = db_step(q, f);
    db_end(q);
    if (!e || e == E_END)
        json_kv_cstr(body, e ? DELIVERY_DROPPED : DELIVERY_CALLBACK, id);
    return e == E_END ? E_OK : e;
}

/* ---- from the log into deliveries ---- */

struct hook { /* that is on */
    int64_t wid, secret_n, old_until_ms, place, seen, rest_ms, fails, open;
    char id[ID_TEXT];
    struct span url, types, secret, old_secret; /* sealed */
    int64_t at_once;                            /* of its own; 0: WEBHOOK_AT_ONCE */
    struct limit rate;
};

static err read_hooks(struct store *s, struct arena *a, struct hook *out, size_t *out_count,
                      struct fault *f)
{
    static const int columns[] = {2, 3, 4, 6};
    struct query *q;
    size_t n = 0;
    err e = db_ask_args(s->db, SQL_WEBHOOKS_ON, &q, f, NULL, 0);
    if (e)
        return e;
    while (n < WEBHOOKS_MAX && (e = db_step(q, f)) == E_OK) {
        struct hook *h = &out[n++];
        *h = (struct hook){.wid = db_int(q, 0),
                           .secret_n = db_int(q, 5),
                           .old_until_ms = db_int(q, 7),
                           .place = db_int(q, 8),
                           .rest_ms = db_int(q, 9),
                           .fails = db_int(q, 10),
                           .open = db_int(q, 11),
                           .seen = db_int(q, 12),
                           .at_once = db_int(q, 13),
                           .rate = {.emit_ms = db_int(q, 14),
                                    .burst = db_int(q, 15),
                                    .tat_ms = db_int(q, 16)}};
        span_copy(db_text(q, 1), h->id, sizeof h->id);
        e = keep_all(q, columns,
                     (struct span *const[]){&h->url, &h->types, &h->secret, &h->old_secret}, 4,
                     a, f);
        if (e)
            break;
    }
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

/* Columns of SQL_EVENTS. */
static struct event_view event_of(struct query *q)
{
    return (struct event_view){.seq = db_int(q, 0),
                               .at_ms = db_int(q, 1),
                               .job = db_text(q, 2),
                               .kind = db_text(q, 3),
                               .body = db_text(q, 4),
                               .number = db_int(q, 5)};
}

static err add_delivery(struct store *s, const struct hook *h, const struct event_view *v,
                        wall now, struct fault *f)
{
    char id[ID_TEXT], name[DELIVERY_EVENT];
    make_delivery_id(s, now, id);
    delivery_event_id(v, name);
    return db_run(s->db, SQL_DELIVERY_ADD, f, DB_T(span_of(id)), DB_I(h->wid), DB_I(v->seq),
                  DB_T(v->job), DB_T(span_of(name)), DB_T(v->kind), DB_I(v->at_ms),
                  DB_T(v->body), DB_I(now.ms));
}

struct filling {
    int64_t place, missed;
    bool more;
};

static err fill_from(struct store *s, struct hook *h, struct query *events, wall now,
                     struct filling *out, struct fault *f)
{
    err e = E_OK;
    int looked = 0;
    while (h->open < WEBHOOK_OPEN_MAX && (e = db_step(events, f)) == E_OK) {
        struct event_view v = event_of(events);
        if (delivery_wants(h->types, h->id, &v)) {
            e = add_delivery(s, h, &v, now, f);
            h->open++;
        }
        if (e)
            return e;
        /* Numbers have no gaps but what was deleted; of a replay that is nothing new. */
        int64_t from = out->place > h->seen ? out->place : h->seen;
        out->missed += v.seq > from ? v.seq - from - 1 : 0;
        out->place = v.seq;
        looked++;
    }
    out->more = looked == STEP_EVENTS;
    return e == E_END ? E_OK : e;
}

static err fill(struct store *s, struct hook *h, wall now, struct webhooks_taken *out,
                struct fault *f)
{
    struct query *events;
    struct filling done = {.place = h->place};
    if (h->open >= WEBHOOK_OPEN_MAX || h->place >= s->now.last_event)
        return E_OK;
    err e = db_ask(s->db, SQL_EVENTS, &events, f, DB_I(h->place), DB_I(STEP_EVENTS));
    if (e)
        return e;
    e = fill_from(s, h, events, now, &done, f);
    db_end(events);
    if (!e && done.place > h->place)
        e = db_run(s->db, SQL_WEBHOOK_PLACE, f, DB_I(h->wid), DB_I(done.place),
                   DB_I(done.missed));
    out->missed += done.missed;
    if (done.more)
        out->next_ms = now.ms;
    return e;
}

/* ---- what is due ---- */

/* Columns of SQL_DELIVERIES_DUE. */
static err read_attempt(struct store *s, const struct hook *h, struct query *q, int64_t at_s,
                        wall now, struct arena *a, struct webhook_attempt *t, struct fault *f)
{
    struct event_view v = {.seq = db_int(q, 6),
                           .at_ms = db_int(q, 4),
                           .job = db_text(q, 7),
                           .kind = db_text(q, 3),
                           .body = db_text(q, 5)};
    struct webhook_secrets secrets = {.sealed = h->secret,
                                      .old_sealed = h->old_secret,
                                      .number = h->secret_n,
                                      .old_until_ms = h->old_until_ms};
    *t = (struct webhook_attempt){
        .did = db_int(q, 0), .number = db_int(q, 8) + 1, .url = h->url, .at_s = at_s};
    memcpy(t->webhook, h->id, sizeof t->webhook);
    span_copy(db_text(q, 1), t->delivery, sizeof t->delivery);
    err e = db_keep(q, 2, a, &t->event, f);
    if (!e)
        e = delivery_body(&v, a, t, f);
    if (!e)
        e = store_key(s, false, f);
    return e ? e : delivery_sign(s->key, &secrets, now, a, t, f);
}

/* How many may go now, and when the first of those that are under way counts as lost. */
static err room_of(struct store *s, const struct hook *h, wall now, size_t *out_room,
                   int64_t *out_next, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_DELIVERIES_SENT, &q, f, DB_I(h->wid), DB_I(now.ms));
    if (e)
        return e;
    e = db_step(q, f);
    int64_t sent = e ? 0 : db_int(q, 0);
    *out_next = sent ? db_int(q, 1) : INT64_MAX;
    db_end(q);
    int64_t most = webhook_at_once(h->fails, h->at_once);
    *out_room = sent < most ? (size_t)(most - sent) : 0;
    return e;
}

static err take_due(struct store *s, const struct hook *h, size_t most, int64_t at_s, wall now,
                    struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_DELIVERIES_DUE, &q, f, DB_I(h->wid), DB_I(now.ms), DB_I(most));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        e = read_attempt(s, h, q, at_s, now, a, &out->attempts[out->count], f);
        if (e)
            break;
        out->count++;
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err mark_sent(struct store *s, const struct webhooks_taken *t, size_t from,
                     int64_t until_ms, struct fault *f)
{
    err e = E_OK;
    for (size_t i = from; !e && i < t->count; i++)
        e = db_run(s->db, SQL_DELIVERY_SEND, f, DB_I(t->attempts[i].did), DB_I(until_ms));
    return e;
}

/* When the next one of this webhook is due, that may be sent then. */
static err next_due(struct store *s, const struct hook *h, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_DELIVERY_NEXT, &q, f, DB_I(h->wid));
    if (e)
        return e;
    e = db_step(q, f);
    int64_t due = e ? INT64_MAX : db_int(q, 0);
    db_end(q);
    if (due != INT64_MAX)
        due = later(due, later(h->rest_ms, limit_open_at(&h->rate)));
    *out = due < *out ? due : *out;
    return e == E_END ? E_OK : e;
}

/* What was taken uses its rate up. */
static err charge_rate(struct store *s, struct hook *h, size_t taken, wall now, struct fault *f)
{
    if (h->rate.emit_ms <= 0 || taken == 0)
        return E_OK;
    for (size_t i = 0; i < taken; i++)
        need(limit_take(&h->rate, now.ms));
    return db_run(s->db, SQL_LIMIT_TAT, f, DB_I(LIMIT_WEBHOOK), DB_T(span_of(h->id)),
                  DB_I(h->rate.tat_ms));
}

static err take_of(struct store *s, struct hook *h, const struct webhooks_take_args *args,
                   wall now, struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    size_t room = 0, before = out->count, left = args->most - out->count;
    int64_t lost;
    err e = room_of(s, h, now, &room, &lost, f);
    size_t most = (size_t)limit_room(&h->rate, (int64_t)(room < left ? room : left), now.ms);
    if (!e && most && h->rest_ms <= now.ms)
        e = take_due(s, h, most, args->at_s, now, a, out, f);
    if (!e)
        e = mark_sent(s, out, before, now.ms + args->lease_ms, f);
    if (!e)
        e = charge_rate(s, h, out->count - before, now, f);
    if (e)
        return e;
    if (out->count - before < room)
        return next_due(s, h, &out->next_ms, f);
    lost =
        out->count > before && now.ms + args->lease_ms < lost ? now.ms + args->lease_ms : lost;
    out->next_ms = lost < out->next_ms ? lost : out->next_ms;
    return E_OK;
}

err sqlite_webhooks_take(struct store *s, const struct webhooks_take_args *args, wall now,
                         struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    size_t count = 0;
    need(args->most > 0 && args->lease_ms > 0);
    err e = store_usable(s, f);
    if (e)
        return e;
    struct hook *hooks = arena_get(a, WEBHOOKS_MAX * sizeof *hooks);
    *out = (struct webhooks_taken){.attempts = arena_get(a, args->most * sizeof *out->attempts),
                                   .next_ms = INT64_MAX};
    e = read_hooks(s, a, hooks, &count, f);
    for (size_t i = 0; !e && i < count; i++)
        e = fill(s, &hooks[i], now, out, f);
    for (size_t i = 0; !e && i < count; i++)
        e = take_of(s, &hooks[i], args, now, a, out, f);
    out->active = (int64_t)count;
    return e;
}

/* ---- what became of it ---- */

struct sent {
    int64_t wid, attempts;
    char id[ID_TEXT];
};

/* E_END: it is no more, or has arrived meanwhile. */
static err find_sent(struct store *s, int64_t did, struct sent *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_DELIVERY_OPEN, &q, f, DB_I(did));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        *out = (struct sent){.wid = db_int(q, 0), .attempts = db_int(q, 1)};
        span_copy(db_text(q, 2), out->id, sizeof out->id);
    }
    db_end(q);
    return e;
}

static err end_delivery(struct store *s, const struct webhook_done_args *args,
                        const struct sent *d, enum delivery_state state, wall now,
                        struct fault *f)
{
    err e = db_run(s->db, SQL_DELIVERY_END, f, DB_I(args->did), DB_I(state), DB_I(args->status),
                   DB_T(span_cut(args->why, 0, WEBHOOK_WHY)), DB_I(now.ms));
    return e ? e
             : db_run(s->db, SQL_DELIVERIES_PRUNE, f, DB_I(d->wid), DB_I(WEBHOOK_ENDED_KEPT));
}

static err switch_off(struct store *s, int64_t wid, const char *id, const char *why, wall now,
                      struct fault *f)
{
    err e = db_run(s->db, SQL_WEBHOOK_OFF, f, DB_I(wid), DB_I(now.ms), DB_T(span_of(why)));
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "webhook", id);
    json_kv_cstr(&w, "why", why);
    return event_add(s, "", "webhook.disabled", now, &w, f);
}

static err say_dead(struct store *s, const char *webhook, const struct sent *d, wall now,
                    struct fault *f)
{
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "webhook", webhook);
    json_kv_cstr(&w, "delivery", d->id);
    return event_add(s, "", "webhook.dead", now, &w, f);
}

/* The receiver failed once more: it rests, and may be switched off. */
static err charge(struct store *s, const struct webhook_done_args *args, const struct sent *d,
                  int64_t rest_ms, wall now, struct webhook_done_reply *out, struct fault *f)
{
    struct query *q;
    char id[ID_TEXT] = "";
    err e = db_ask(s->db, SQL_WEBHOOK_ILL, &q, f, DB_I(d->wid), DB_I(now.ms), DB_I(rest_ms),
                   DB_I(out->dead));
    if (e)
        return e;
    e = db_step(q, f);
    int64_t since = e ? now.ms : db_int(q, 0);
    bool on = !e && db_int(q, 1);
    if (!e)
        span_copy(db_text(q, 2), id, sizeof id);
    db_end(q);
    if (e)
        return e == E_END ? E_OK : e;
    bool given_up = now.ms - since >= WEBHOOK_FAILING_DAYS * DAY_MS;
    if (on && (args->gone || given_up)) {
        out->off = true;
        e = switch_off(s, d->wid, id, delivery_off_why(args->gone), now, f);
    }
    if (!e && out->dead)
        e = say_dead(s, id, d, now, f);
    return e;
}

static err fails_of(struct store *s, int64_t wid, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_WEBHOOK_FAILS, &q, f, DB_I(wid));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

static err not_arrived(struct store *s, const struct webhook_done_args *args,
                       const struct sent *d, wall now, struct webhook_done_reply *out,
                       struct fault *f)
{
    int64_t fails = 0;
    uint64_t n = ++s->webhook_draws;
    err e = fails_of(s, d->wid, &fails, f);
    if (e)
        return e;
    int64_t rest_ms = webhook_rest_ms(fails + 1, args->base_ms);
    rest_ms = rest_ms > args->retry_after_ms ? rest_ms : args->retry_after_ms;
    out->dead = d->attempts >= WEBHOOK_ATTEMPTS;
    if (out->dead) {
        e = end_delivery(s, args, d, DELIVERY_DEAD, now, f);
    } else {
        int64_t wait_ms =
            webhook_delay_ms((int)d->attempts + 1, args->base_ms, args->retry_after_ms,
                             span_hash(span_of(d->id), s->seed + n * DRAW_STEP));
        e = db_run(s->db, SQL_DELIVERY_WAIT, f, DB_I(args->did), DB_I(args->status),
                   DB_T(span_cut(args->why, 0, WEBHOOK_WHY)), DB_I(now.ms + wait_ms));
    }
    return e ? e : charge(s, args, d, rest_ms ? now.ms + rest_ms : 0, now, out, f);
}

err sqlite_webhook_done(struct store *s, const struct webhook_done_args *args, wall now,
                        struct webhook_done_reply *out, struct fault *f)
{
    struct sent d;
    *out = (struct webhook_done_reply){0};
    err e = store_usable(s, f);
    if (!e)
        e = find_sent(s, args->did, &d, f);
    if (e == E_END || (!e && !args->arrived && d.attempts != args->number))
        return E_OK;
    if (!e && !args->arrived)
        return not_arrived(s, args, &d, now, out, f);
    if (!e)
        e = end_delivery(s, args, &d, DELIVERY_DELIVERED, now, f);
    return e ? e : db_run(s->db, SQL_WEBHOOK_WELL, f, DB_I(d.wid), DB_I(now.ms));
}

/* webhooks.c - receivers and the deliveries to them (store/webhooks.h): what webhook.lua says, as values. Which events become
 * deliveries, and what a delivery says, is in store/delivery.c. */
#include "store/webhooks.h"

#include "base/id.h"
#include "base/need.h"
#include "os/random.h"
#include "store/delivery.h"
#include "store/redis/inside.h"

enum {
    EVENTS_STEP = 100,
    STEPS_MOST = 10, /* of the log, for one webhook in one call */
    LIST_STEP = 100,
    FILL_BYTES = 32 << 20,
    TRIES = 8,
};
static const int64_t DAY_MS = 24 * 3600 * 1000;

static err ask(struct store *s, const struct call *c, wall now, struct reply *out,
               struct fault *f)
{
    return store_write(s, SCRIPT_WEBHOOK, c, now, out, f);
}

static struct call verb(const char *name, struct span id)
{
    struct call c = {0};
    call_text(&c, span_of(name));
    call_text(&c, id);
    return c;
}

/* What is wrong with a webhook that somebody named. */
static err check_said(const struct reply *r, struct fault *f)
{
    if (said(r) == SAID_NONE)
        return delivery_no_webhook(f);
    if (said(r) == SAID_STALE)
        return delivery_moved(reply_number(r, 1), f);
    return said(r) == SAID_FULL ? delivery_room(reply_number(r, 1), f) : E_OK;
}

struct field_text {
    const char *field;
    struct span *to;
};
static err keep_texts(const struct reply *fields, const struct field_text *texts, size_t count,
                      struct arena *a, struct fault *f)
{
    err e = E_OK;
    for (size_t i = 0; !e && i < count; i++)
        e = store_keep(a, reply_field_text(fields, texts[i].field), texts[i].to, f);
    return e;
}

/* ---- views ---- */

enum view_part { VIEW_ID, VIEW_FIELDS, VIEW_OPEN, VIEW_LAST };

static err read_view(const struct reply *r, struct arena *a, struct webhook_view *v,
                     struct fault *f)
{
    const struct reply *fields = reply_list(r, VIEW_FIELDS);
    *v = (struct webhook_view){.enabled = reply_field(fields, "en") != 0,
                               .off_ms = reply_field(fields, "of"),
                               .old_until_ms = reply_field(fields, "ou"),
                               .open = reply_number(r, VIEW_OPEN),
                               .behind = reply_number(r, VIEW_LAST) - reply_field(fields, "pl"),
                               .fails = reply_field(fields, "fa"),
                               .failing_ms = reply_field(fields, "fs"),
                               .rest_ms = reply_field(fields, "re"),
                               .delivered = reply_field(fields, "ok"),
                               .failed = reply_field(fields, "bad"),
                               .dead = reply_field(fields, "dd"),
                               .missed = reply_field(fields, "mi"),
                               .last_ok_ms = reply_field(fields, "lo"),
                               .created_ms = reply_field(fields, "ca"),
                               .updated_ms = reply_field(fields, "ua"),
                               .revision = reply_field(fields, "rv")};
    hand_fields(fields, &v->hand);
    span_copy(reply_text(r, VIEW_ID), v->id, sizeof v->id);
    const struct field_text texts[] = {
        {"na", &v->name}, {"ur", &v->url}, {"ty", &v->types}, {"ow", &v->off_why}};
    return keep_texts(fields, texts, sizeof texts / sizeof *texts, a, f);
}

static err find(struct store *s, struct span id, struct reply *out, struct fault *f)
{
    struct call c = verb("find", id);
    store_fresh(s);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, (wall){0}, out, f);
    return e ? e : check_said(out, f);
}

err redis_webhook(struct store *s, struct span id, struct arena *a, struct webhook_view *out,
                  struct fault *f)
{
    struct reply r;
    err e = find(s, id, &r, f);
    return e ? e : read_view(reply_list(&r, 1), a, out, f);
}

err redis_webhooks(struct store *s, struct arena *a, struct webhook_view **out,
                   size_t *out_count, struct fault *f)
{
    struct reply r;
    struct call c = verb("list", SPAN_NONE);
    size_t n = 0;
    store_fresh(s);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, (wall){0}, &r, f);
    struct webhook_view *all = arena_get(a, WEBHOOKS_MAX * sizeof *all);
    for (size_t i = 1; !e && i < r.count && n < WEBHOOKS_MAX; i++)
        e = read_view(reply_list(&r, i), a, &all[n++], f);
    if (e)
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

/* ---- operations on one ---- */

static err seal(struct store *s, struct span id, int64_t number, struct span secret,
                struct buf *out, struct fault *f)
{
    err e = node_key(s, true, f);
    return e ? e : delivery_seal(s->key, id, number, secret, out, f);
}

err redis_webhook_add(struct store *s, const struct webhook_put *args, wall now,
                      struct fault *f)
{
    struct reply r;
    struct buf sealed = BUF(1024);
    struct call c = verb("add", args->id);
    need(s->in_group);
    store_fresh(s);
    err e = seal(s, args->id, 1, args->secret, &sealed, f);
    if (!e) {
        call_text(&c, args->name);
        call_text(&c, args->url);
        call_text(&c, args->types);
        call_text(&c, buf_span(&sealed));
        call_flag(&c, args->enabled != 0);
        call_number(&c, WEBHOOKS_MAX);
        e = ask(s, &c, now, &r, f);
    }
    buf_free(&sealed);
    if (!e && said(&r) == SAID_FULL)
        e = delivery_too_many(f);
    if (!e && said(&r) == SAID_STATE)
        e = fail(f, E_CONFLICT, "there is a webhook %.*s already", SP(args->id));
    return e;
}

static void put_kept(struct call *c, struct span text)
{
    call_flag(c, text.p != NULL);
    call_text(c, text);
}

err redis_webhook_change(struct store *s, const struct webhook_put *args, wall now,
                         struct fault *f)
{
    struct reply r;
    struct call c = verb("change", args->id);
    need(s->in_group);
    store_fresh(s);
    call_number(&c, args->revision);
    put_kept(&c, args->name);
    put_kept(&c, args->url);
    put_kept(&c, args->types);
    call_number(&c, args->enabled);
    call_text(&c, SPAN("switched off"));
    err e = ask(s, &c, now, &r, f);
    return e ? e : check_said(&r, f);
}

/* Another node may do the same at the same time: it is sealed for the number that it gets. */
err redis_webhook_rotate(struct store *s, const struct webhook_ask *args, wall now,
                         struct fault *f)
{
    struct reply r;
    struct buf sealed = BUF(1024);
    need(s->in_group);
    err e = find(s, args->id, &r, f);
    if (e)
        return e;
    int64_t number = reply_field(reply_list(reply_list(&r, 1), VIEW_FIELDS), "sn") + 1;
    struct call c = verb("rotate", args->id);
    e = seal(s, args->id, number, args->secret, &sealed, f);
    if (!e) {
        call_number(&c, args->revision);
        call_number(&c, number);
        call_text(&c, buf_span(&sealed));
        call_number(&c, args->old_until_ms);
        e = ask(s, &c, now, &r, f);
    }
    buf_free(&sealed);
    return e ? e : check_said(&r, f);
}

err hand_webhook(struct store *s, const struct hand_change *h, wall now, struct fault *f)
{
    struct reply r;
    struct call c = verb("hand", h->key);
    store_fresh(s);
    hand_call(s, &c, h, h->key);
    err e = ask(s, &c, now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        return asked_webhook_off(h->key, f);
    return e ? e : check_said(&r, f);
}

err redis_webhook_remove(struct store *s, const struct webhook_ask *args, struct fault *f)
{
    struct reply r;
    int64_t revision = args->revision;
    err e;
    need(s->in_group);
    do {
        struct call c = verb("remove", args->id);
        store_fresh(s);
        call_number(&c, revision);
        e = ask(s, &c, (wall){0}, &r, f);
        if (!e)
            e = check_said(&r, f);
        revision = -1; /* it was the right one */
    } while (!e && reply_number(&r, 1));
    return e;
}

/* ---- the log ---- */

/* The first event behind `seq`. E_END: none. */
static err event_after(struct store *s, int64_t seq, int64_t *out_seq, int64_t *out_at_ms,
                       struct fault *f)
{
    struct event_view v;
    int64_t from = seq;
    while (from >= 0) {
        struct reply r;
        err e = events_next(s, SPAN_NONE, from, EVENTS_STEP, &r, f);
        if (e)
            return e;
        if (r.count > EVENTS_FIRST) {
            e = event_view_of(s, reply_list(&r, EVENTS_FIRST), s->own, &v, f);
            *out_seq = v.seq;
            *out_at_ms = v.at_ms;
            return e;
        }
        from = reply_number(&r, EVENTS_BEHIND);
    }
    return E_END;
}

err redis_webhook_replay(struct store *s, const struct webhook_ask *args, wall now,
                         struct fault *f)
{
    struct reply r;
    int64_t place;
    need(s->in_group);
    err e = find(s, args->id, &r, f);
    if (!e)
        e = delivery_place(s, event_after, reply_number(reply_list(&r, 1), VIEW_LAST),
                           args->from_ms, &place, f);
    if (e)
        return e;
    struct call c = verb("place", args->id);
    store_fresh(s);
    call_number(&c, args->revision);
    call_number(&c, place);
    e = ask(s, &c, now, &r, f);
    return e ? e : check_said(&r, f);
}

/* ---- deliveries that people look at ---- */

static void make_delivery_id(wall now, char out[ID_TEXT])
{
    uint8_t random[10];
    random_bytes(random, sizeof random);
    id_make(out, "dlv", now, random);
}

enum delivery_part { DELIVERY_NUMBER, DELIVERY_FIELDS };

static err read_delivery(const struct reply *r, struct arena *a, struct delivery_view *v,
                         struct fault *f)
{
    const struct reply *fields = reply_list(r, DELIVERY_FIELDS);
    *v = (struct delivery_view){.state = (enum delivery_state)reply_field(fields, "st"),
                                .seq = reply_field(fields, "sq"),
                                .attempts = reply_field(fields, "an"),
                                .status = reply_field(fields, "hs"),
                                .at_ms = reply_field(fields, "at"),
                                .ended_ms = reply_field(fields, "ea")};
    v->due_ms = v->state == DELIVERY_PENDING ? reply_field(fields, "du") : 0;
    span_copy(reply_field_text(fields, "id"), v->id, sizeof v->id);
    span_copy(reply_field_text(fields, "wh"), v->webhook, sizeof v->webhook);
    const struct field_text texts[] = {
        {"ev", &v->event}, {"su", &v->subject}, {"ki", &v->type}, {"wy", &v->why}};
    return keep_texts(fields, texts, sizeof texts / sizeof *texts, a, f);
}

static err find_delivery(struct store *s, struct span id, struct reply *out, struct fault *f)
{
    struct call c = verb("delivery", id);
    store_fresh(s);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, (wall){0}, out, f);
    return !e && said(out) == SAID_NONE ? delivery_none(f) : e;
}

err redis_delivery(struct store *s, struct span id, struct arena *a, struct delivery_view *out,
                   struct fault *f)
{
    struct reply r;
    err e = find_delivery(s, id, &r, f);
    return e ? e : read_delivery(reply_list(&r, 1), a, out, f);
}

static err next_deliveries(struct store *s, const struct deliveries_query *q, int64_t before,
                           size_t most, struct reply *out, struct fault *f)
{
    struct call c = verb("deliveries", q->webhook);
    store_fresh(s);
    call_number(&c, q->state);
    call_number(&c, before);
    call_number(&c, (int64_t)most);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, (wall){0}, out, f);
    return e ? e : check_said(out, f);
}

err redis_deliveries(struct store *s, const struct deliveries_query *q, struct arena *a,
                     struct delivery_view **out, size_t *out_count, struct fault *f)
{
    struct reply r = {0};
    int64_t before = -1;
    size_t n = 0, step;
    need(q->limit > 0 && q->limit <= 501);
    err e = q->after.n ? find_delivery(s, q->after, &r, f) : E_OK;
    if (!e && q->after.n)
        before = reply_number(reply_list(&r, 1), DELIVERY_NUMBER);
    struct delivery_view *all = arena_get(a, q->limit * sizeof *all);
    do {
        step = q->limit - n < LIST_STEP ? q->limit - n : LIST_STEP;
        if (!e)
            e = next_deliveries(s, q, before, step, &r, f);
        for (size_t i = 1; !e && i < r.count; i++) {
            before = reply_number(reply_list(&r, i), DELIVERY_NUMBER);
            e = read_delivery(reply_list(&r, i), a, &all[n++], f);
        }
    } while (!e && n < q->limit && r.count == step + 1);
    if (e)
        return e;
    *out = all;
    *out_count = n;
    return E_OK;
}

err redis_delivery_again(struct store *s, struct span id, wall now, char out_id[ID_TEXT],
                         struct fault *f)
{
    struct reply r;
    struct call c = verb("again", id);
    need(s->in_group);
    store_fresh(s);
    make_delivery_id(now, out_id);
    call_text(&c, span_of(out_id));
    call_number(&c, (int64_t)2 * WEBHOOK_OPEN_MAX);
    err e = ask(s, &c, now, &r, f);
    if (!e && said(&r) == SAID_NONE)
        e = delivery_none(f);
    return e ? e : check_said(&r, f);
}

err redis_webhook_ping(struct store *s, struct span webhook, wall now, char out_id[ID_TEXT],
                       struct fault *f)
{
    struct reply r;
    struct call c = verb("ping", webhook);
    need(s->in_group);
    store_fresh(s);
    make_delivery_id(now, out_id);
    call_text(&c, span_of(out_id));
    call_number(&c, (int64_t)2 * WEBHOOK_OPEN_MAX);
    err e = ask(s, &c, now, &r, f);
    return e ? e : check_said(&r, f);
}

/* ---- from the log into deliveries ---- */

struct hook { /* that is on */
    int64_t place, seen, open;
    char id[ID_TEXT];
    struct span url, types;
    struct webhook_secrets secrets;
};

static err read_hook(const struct reply *r, struct arena *a, struct hook *h, struct fault *f)
{
    const struct reply *fields = reply_list(r, VIEW_FIELDS);
    *h = (struct hook){.place = reply_field(fields, "pl"),
                       .seen = reply_field(fields, "see"),
                       .open = reply_number(r, VIEW_OPEN),
                       .secrets = {.number = reply_field(fields, "sn"),
                                   .old_until_ms = reply_field(fields, "ou")}};
    span_copy(reply_text(r, VIEW_ID), h->id, sizeof h->id);
    err e = store_keep(a, reply_field_text(fields, "ur"), &h->url, f);
    if (!e)
        e = store_keep(a, reply_field_text(fields, "ty"), &h->types, f);
    if (!e)
        e = store_keep(a, reply_field_text(fields, "se"), &h->secrets.sealed, f);
    return e ? e : store_keep(a, reply_field_text(fields, "os"), &h->secrets.old_sealed, f);
}

/* *out_last: the newest event. */
static err read_hooks(struct store *s, wall now, struct arena *a, struct hook *out,
                      size_t *out_count, int64_t *out_last, struct fault *f)
{
    struct reply r;
    struct call c = verb("on", SPAN_NONE);
    store_fresh(s);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, now, &r, f);
    for (size_t i = 1; !e && i < r.count && *out_count < WEBHOOKS_MAX; i++) {
        e = read_hook(reply_list(&r, i), a, &out[(*out_count)++], f);
        *out_last = reply_number(reply_list(&r, i), VIEW_LAST);
    }
    return e;
}

struct filling {
    int64_t place, missed, open;
    struct buf deliveries; /* as webhook.lua reads them */
};

static void add_number(struct buf *out, int64_t n)
{
    char text[CALL_NUMBER];
    snprintf(text, sizeof text, "%lld", (long long)n);
    packed_add(out, span_of(text));
}

static void add_delivery(struct filling *to, const struct event_view *v, wall now)
{
    char id[ID_TEXT], name[DELIVERY_EVENT];
    struct buf *out = &to->deliveries;
    make_delivery_id(now, id);
    delivery_event_id(v, name);
    packed_add(out, span_of(id));
    add_number(out, v->seq);
    packed_add(out, v->job);
    packed_add(out, span_of(name));
    packed_add(out, v->kind);
    add_number(out, v->at_ms);
    packed_add(out, v->body);
    to->open++;
}

/* Numbers have no gaps but what was deleted; of a replay that is nothing new. */
static void move_to(const struct hook *h, struct filling *to, int64_t seq, bool is_there)
{
    int64_t from = to->place > h->seen ? to->place : h->seen;
    to->missed += seq > from ? seq - from - is_there : 0;
    to->place = seq;
}

/* Events behind the place. *out_end: there are no more. */
static err read_step(struct store *s, const struct hook *h, struct filling *to, wall now,
                     bool *out_end, struct fault *f)
{
    struct reply r;
    err e = events_next(s, SPAN_NONE, to->place, EVENTS_STEP, &r, f);
    for (size_t i = EVENTS_FIRST; !e && i < r.count; i++) {
        struct event_view v;
        if (to->open >= WEBHOOK_OPEN_MAX)
            return E_OK;
        e = event_view_of(s, reply_list(&r, i), s->own, &v, f);
        if (!e && delivery_wants(h->types, h->id, &v))
            add_delivery(to, &v, now);
        if (!e)
            move_to(h, to, v.seq, true);
    }
    if (e)
        return e;
    int64_t behind = reply_number(&r, EVENTS_BEHIND);
    *out_end = behind < 0;
    if (behind > to->place)
        move_to(h, to, behind, false);
    return E_OK;
}

/* Unless another node has done it meanwhile. */
static err write_step(struct store *s, const struct hook *h, int64_t from,
                      const struct filling *to, wall now, bool *out_done, struct fault *f)
{
    struct reply r;
    struct call c = verb("fill", span_of(h->id));
    call_number(&c, from);
    call_number(&c, to->place);
    call_number(&c, to->missed);
    call_text(&c, buf_span(&to->deliveries));
    if (to->deliveries.failed)
        return fail(f, E_TOO_BIG, "the events of a webhook do not fit into one step");
    err e = ask(s, &c, now, &r, f);
    *out_done = !e && said(&r) == SAID_OK;
    return e;
}

static err fill(struct store *s, struct hook *h, int64_t last, wall now,
                struct webhooks_taken *out, struct fault *f)
{
    struct filling to = {.place = h->place, .open = h->open, .deliveries = BUF(FILL_BYTES)};
    bool end = h->place >= last, done = true;
    err e = E_OK;
    for (int i = 0; !e && !end && done && i < STEPS_MOST && to.open < WEBHOOK_OPEN_MAX; i++) {
        int64_t from = to.place;
        to.missed = 0;
        buf_clear(&to.deliveries);
        e = read_step(s, h, &to, now, &end, f);
        if (!e && to.place > from)
            e = write_step(s, h, from, &to, now, &done, f);
        out->missed += e || !done ? 0 : to.missed;
    }
    buf_free(&to.deliveries);
    if (!e && !end && done && to.open < WEBHOOK_OPEN_MAX)
        out->next_ms = now.ms;
    return e;
}

/* ---- what is due ---- */

static err read_attempt(struct store *s, const struct hook *h, const struct reply *r,
                        int64_t at_s, wall now, struct arena *a, struct webhook_attempt *t,
                        struct fault *f)
{
    const struct reply *d = reply_list(r, DELIVERY_FIELDS);
    struct event_view v = {.seq = reply_field(d, "sq"),
                           .at_ms = reply_field(d, "at"),
                           .job = reply_field_text(d, "su"),
                           .kind = reply_field_text(d, "ki"),
                           .body = reply_field_text(d, "bo")};
    *t = (struct webhook_attempt){.did = reply_number(r, DELIVERY_NUMBER),
                                  .number = reply_field(d, "an"),
                                  .url = h->url,
                                  .at_s = at_s};
    memcpy(t->webhook, h->id, sizeof t->webhook);
    span_copy(reply_field_text(d, "id"), t->delivery, sizeof t->delivery);
    err e = store_keep(a, reply_field_text(d, "ev"), &t->event, f);
    if (!e)
        e = delivery_body(&v, a, t, f);
    return e ? e : delivery_sign(s->key, &h->secrets, now, a, t, f);
}

static err take_of(struct store *s, const struct hook *h, const struct webhooks_take_args *args,
                   wall now, struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    enum { NEXT = 1, SERVER_TIME, TAKEN };
    struct reply r;
    struct call c = verb("take", span_of(h->id));
    store_fresh(s);
    call_number(&c, (int64_t)(args->most - out->count));
    call_number(&c, args->lease_ms);
    call_number(&c, WEBHOOK_AT_ONCE);
    call_number(&c, 1);
    call_number(&c, WEBHOOK_FAILS_MAX);
    err e = ask(s, &c, now, &r, f);
    if (e || said(&r) != SAID_OK) /* it was removed meanwhile */
        return e;
    const struct reply *taken = reply_list(&r, TAKEN);
    for (size_t i = 0; !e && i < taken->count; i++)
        e = read_attempt(s, h, reply_list(taken, i), args->at_s, now, a,
                         &out->attempts[out->count++], f);
    int64_t next = reply_number(&r, NEXT);
    if (next < 0)
        return e;
    next += now.ms - reply_number(&r, SERVER_TIME); /* by the clock of who asks */
    out->next_ms = next < out->next_ms ? next : out->next_ms;
    return e;
}

/* With the key that is here. Without it, or with another one, attempts would be used up for nothing: a node that has
 * it takes them. */
static err check_key(struct store *s, const struct hook *h, wall now, struct arena *a,
                     struct fault *f)
{
    struct webhook_attempt nothing = {.event = SPAN(""), .body = SPAN("")};
    memcpy(nothing.webhook, h->id, sizeof nothing.webhook);
    err e = node_key(s, false, f);
    return e ? e : delivery_sign(s->key, &h->secrets, now, a, &nothing, f);
}

err redis_webhooks_take(struct store *s, const struct webhooks_take_args *args, wall now,
                        struct arena *a, struct webhooks_taken *out, struct fault *f)
{
    size_t count = 0;
    int64_t last = 0;
    need(s->in_group && args->most > 0 && args->lease_ms > 0);
    struct hook *hooks = arena_get(a, WEBHOOKS_MAX * sizeof *hooks);
    *out = (struct webhooks_taken){.attempts = arena_get(a, args->most * sizeof *out->attempts),
                                   .next_ms = INT64_MAX};
    err e = read_hooks(s, now, a, hooks, &count, &last, f);
    for (size_t i = 0; !e && i < count; i++)
        e = check_key(s, &hooks[i], now, a, f);
    for (size_t i = 0; !e && i < count; i++)
        e = fill(s, &hooks[i], last, now, out, f);
    for (size_t i = 0; !e && i < count; i++)
        e = take_of(s, &hooks[i], args, now, a, out, f);
    if (!count)
        out->next_ms = now.ms + WEBHOOKS_LOOK_MS;
    out->active = (int64_t)count;
    return e;
}

/* ---- what became of it ---- */

static err say_arrived(struct store *s, const struct webhook_done_args *args, wall now,
                       struct call *c, struct fault *f)
{
    struct reply r;
    call_number(c, args->status);
    call_text(c, span_cut(args->why, 0, WEBHOOK_WHY));
    call_number(c, WEBHOOK_ENDED_KEPT);
    return ask(s, c, now, &r, f);
}

struct sent { /* as it was seen */
    int64_t attempts, fails;
};

/* E_STALE: it was seen as it is no more. */
static err say_failed(struct store *s, const struct webhook_done_args *args,
                      const struct sent *d, wall now, struct call *c,
                      struct webhook_done_reply *out, struct fault *f)
{
    struct reply r;
    int64_t rest_ms = webhook_rest_ms(d->fails + 1, args->base_ms);
    rest_ms = rest_ms > args->retry_after_ms ? rest_ms : args->retry_after_ms;
    call_number(c, d->attempts);
    call_number(c, d->fails);
    call_number(c, args->status);
    call_text(c, span_cut(args->why, 0, WEBHOOK_WHY));
    call_number(c, WEBHOOK_ENDED_KEPT);
    call_flag(c, d->attempts >= WEBHOOK_ATTEMPTS);
    call_number(c, d->attempts >= WEBHOOK_ATTEMPTS
                       ? 0
                       : webhook_delay_ms((int)d->attempts + 1, args->base_ms,
                                          args->retry_after_ms, random_u64()));
    call_number(c, rest_ms);
    call_flag(c, args->gone);
    call_text(c, span_of(delivery_off_why(true)));
    call_text(c, span_of(delivery_off_why(false)));
    call_number(c, WEBHOOK_FAILING_DAYS * DAY_MS);
    err e = ask(s, c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_STALE)
        return E_STALE;
    out->dead = reply_number(&r, 1) != 0;
    out->off = reply_number(&r, 2) != 0;
    return E_OK;
}

/* E_END: it is no more, or has arrived meanwhile. */
static err look_at_sent(struct store *s, struct span number, wall now, struct sent *out,
                        struct fault *f)
{
    enum { ATTEMPTS = 2, FAILS = 4 };
    struct reply r;
    struct call c = verb("sent", number);
    store_fresh(s);
    err e = store_look(s, SCRIPT_WEBHOOK, &c, now, &r, f);
    if (!e && said(&r) == SAID_END)
        return E_END;
    if (!e)
        *out = (struct sent){reply_number(&r, ATTEMPTS), reply_number(&r, FAILS)};
    return e;
}

err redis_webhook_done(struct store *s, const struct webhook_done_args *args, wall now,
                       struct webhook_done_reply *out, struct fault *f)
{
    char number[CALL_NUMBER];
    err e = E_STALE;
    need(s->in_group);
    *out = (struct webhook_done_reply){0};
    snprintf(number, sizeof number, "%lld", (long long)args->did);
    for (int i = 0; e == E_STALE && i < TRIES; i++) {
        struct sent d;
        e = look_at_sent(s, span_of(number), now, &d, f);
        if (e == E_END || (!e && !args->arrived && d.attempts != args->number))
            return E_OK;
        struct call c = verb(args->arrived ? "arrived" : "failed", span_of(number));
        if (!e)
            e = args->arrived ? say_arrived(s, args, now, &c, f)
                              : say_failed(s, args, &d, now, &c, out, f);
    }
    return e == E_STALE ? fail(f, E_BUSY, "the webhook is changed all the time") : e;
}

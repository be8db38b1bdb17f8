/* lanes.c - lanes and the limits above them as people see and set them. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "store/delivery.h"

enum { LANES_STEP = 64, PURGE_MAX = 200, PURGE_STEP = 50 };

/* ---- seeing ---- */

enum lane_part {
    LANE_NAME_AT,
    LANE_BLOCKED_JOBS,
    LANE_SCHEDULED,
    LANE_READY,
    LANE_ACTIVE,
    LANE_OLDEST,
    LANE_PAUSED_AT,
    LANE_CLOSED,
    LANE_BLOCKED_UNTIL,
    LANE_BREAKER,
    LANE_FAILS,
    LANE_UNTIL,
    LANE_TRIPS,
    LANE_FROM,
    LANE_SEEN,
    LANE_BAD,
    LANE_FORCED,
    LANE_SET,
    LANE_OWN = LANE_SET + 7,
    LANE_WAITING = LANE_OWN + 7,
    LANE_WAITING_UNTIL,
    LANE_BY,
    LANE_WHY,
    LANE_AT,
    LANE_HAND_BY,
    LANE_HAND_WHY,
    LANE_HAND_AT,
    LANE_HAND_UNTIL,
    LANE_SINCE,
    LANE_NOW, /* of the store: nobody else says whether a hold is over */
    LANE_PACE,
    LANE_PACE_SINCE,
};

static struct lane_settings settings_at(const struct reply *r, size_t at)
{
    return (struct lane_settings){.weight = reply_number(r, at),
                                  .max_active = reply_number(r, at + 1),
                                  .emit_ms = reply_number(r, at + 2),
                                  .burst = reply_number(r, at + 3),
                                  .depth = reply_number(r, at + 4),
                                  .overflow = reply_number(r, at + 5),
                                  .prio = reply_number(r, at + 6)};
}

static err keep_lane_texts(const struct reply *r, struct arena *a, struct lane_view *v,
                           struct fault *f)
{
    struct lane_name parts = {0};
    err e = store_keep(a, reply_text(r, LANE_NAME_AT), &v->name, f);
    if (!e && !lane_name_parse(v->name, &parts))
        e = fail(f, E_STORE, "the queue in Redis has a lane whose name is none");
    v->class = parts.class;
    v->site = parts.site;
    v->pool = parts.pool;
    v->operation = parts.operation;
    if (!e)
        e = store_keep(a, parts.tenant, &v->tenant, f);
    if (!e && (v->paused || v->closed))
        e = store_keep(a, reply_text(r, LANE_BY), &v->pause.by, f);
    if (!e && (v->paused || v->closed))
        e = store_keep(a, reply_text(r, LANE_WHY), &v->pause.why, f);
    return e;
}

static err read_lane(const struct reply *r, struct arena *a, struct lane_view *out,
                     struct fault *f)
{
    int64_t now_ms = reply_number(r, LANE_NOW);
    struct lane_view v = {
        .settings = settings_at(r, LANE_SET),
        .own = settings_at(r, LANE_OWN),
        .blocked = reply_number(r, LANE_BLOCKED_JOBS),
        .scheduled = reply_number(r, LANE_SCHEDULED),
        .ready = reply_number(r, LANE_READY),
        .active = reply_number(r, LANE_ACTIVE),
        .oldest_ready_ms = reply_number(r, LANE_OLDEST),
        .paused = reply_number(r, LANE_PAUSED_AT) != 0,
        .closed = reply_number(r, LANE_CLOSED) != 0,
        .blocked_until_ms = reply_number(r, LANE_BLOCKED_UNTIL),
        .breaker = {.state = (enum breaker_state)reply_number(r, LANE_BREAKER),
                    .fails = reply_number(r, LANE_FAILS),
                    .until_ms = reply_number(r, LANE_UNTIL),
                    .trips = reply_number(r, LANE_TRIPS),
                    .since_ms = reply_number(r, LANE_SINCE),
                    .window_from_ms = reply_number(r, LANE_FROM),
                    .window_seen = reply_number(r, LANE_SEEN),
                    .window_bad = reply_number(r, LANE_BAD)},
        .breaker_forced_until_ms =
            reply_number(r, LANE_FORCED) > now_ms ? reply_number(r, LANE_FORCED) : 0,
        .at_ms = now_ms,
    };
    if (reply_number(r, LANE_PACE) < LIMIT_PACE_ALL)
        v.pace =
            (struct limit_pace){reply_number(r, LANE_PACE), reply_number(r, LANE_PACE_SINCE)};
    if (v.ready) {
        v.waiting = (enum waiting)reply_number(r, LANE_WAITING);
        v.waiting_until_ms = reply_number(r, LANE_WAITING_UNTIL);
    }
    if (v.paused || v.closed)
        v.pause.at_ms = reply_number(r, LANE_AT);
    if (v.breaker_forced_until_ms && reply_number(r, LANE_HAND_UNTIL) > now_ms) {
        v.hand.at_ms = reply_number(r, LANE_HAND_AT);
        v.hand.until_ms = reply_number(r, LANE_HAND_UNTIL);
        span_copy(reply_text(r, LANE_HAND_BY), v.hand.by, sizeof v.hand.by);
        span_copy(reply_text(r, LANE_HAND_WHY), v.hand.why, sizeof v.hand.why);
    }
    err e = keep_lane_texts(r, a, &v, f);
    if (!e)
        *out = v;
    return e;
}

static bool is_wanted(const struct reply *r, const struct lanes_query *q)
{
    int64_t now_ms = reply_number(r, LANE_NOW);
    struct lane_name parts;
    if (!lane_name_parse(reply_text(r, LANE_NAME_AT), &parts) ||
        (q->tenant.n && !span_eq(q->tenant, parts.tenant)) ||
        (q->site.n && !span_eq(q->site, parts.site)))
        return false;
    bool breaks = reply_number(r, LANE_BREAKER) != BREAKER_CLOSED ||
                  reply_number(r, LANE_FAILS) > 0 || reply_number(r, LANE_TRIPS) > 0 ||
                  reply_number(r, LANE_FORCED) > now_ms;
    struct breaker window = {.window_from_ms = reply_number(r, LANE_FROM),
                             .window_seen = reply_number(r, LANE_SEEN)};
    bool counts = breaks || (q->counting && breaker_samples(&window, now_ms).seen > 0);
    if ((q->breakers || q->counting) && !counts)
        return false;
    enum waiting w = (enum waiting)reply_number(r, LANE_WAITING);
    return !q->troubled || reply_number(r, LANE_CLOSED) || reply_number(r, LANE_PAUSED_AT) ||
           w == WAITING_BREAKER || w == WAITING_SITE || w == WAITING_SESSION;
}

static err ask_lanes(struct store *s, const char *what, struct span name, size_t most, wall now,
                     struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, span_of(what));
    call_text(&c, name);
    call_number(&c, (int64_t)most);
    return store_look(s, SCRIPT_LANES, &c, now, out, f);
}

err redis_lanes(struct store *s, const struct lanes_query *q, wall now, struct arena *a,
                struct lane_view **out_lanes, size_t *out_count, struct span *out_next,
                struct fault *f)
{
    struct reply r = {0};
    char last[LANE_NAME];
    size_t n = 0, looked = 0;
    bool ended;
    need(q->limit >= 1 && q->limit <= 500);
    span_copy(q->after, last, sizeof last);
    struct lane_view *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        err e = ask_lanes(s, "list", span_of(last), LANES_STEP, now, &r, f);
        for (size_t i = 1; !e && i < r.count && n < q->limit; i++) {
            const struct reply *lane = reply_list(&r, i);
            span_copy(reply_text(lane, LANE_NAME_AT), last, sizeof last);
            if (!is_wanted(lane, q))
                continue;
            e = read_lane(lane, a, &all[n], f);
            n += e == E_OK;
        }
        if (e)
            return e;
        looked += LANES_STEP;
        ended = n < q->limit && r.count != LANES_STEP + 1;
    } while (n < q->limit && looked < LANES_LOOKED && !ended);
    *out_lanes = all;
    *out_count = n;
    *out_next = ended ? SPAN_NONE : arena_keep(a, span_of(last));
    return E_OK;
}

err redis_lane(struct store *s, struct span name, wall now, struct arena *a,
               struct lane_view *out, struct fault *f)
{
    struct reply r;
    err e = ask_lanes(s, "one", name, 1, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(name, 0, 120)));
    return read_lane(reply_list(&r, 1), a, out, f);
}

err redis_lane_meter(struct store *s, struct span name, int64_t window_ms, wall now,
                     struct meter_sums *out, struct fault *f)
{
    struct reply r;
    err e = ask_lanes(s, "meter", name, (size_t)meter_slices(window_ms), now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(name, 0, 120)));
    *out = (struct meter_sums){.accepted = reply_number(&r, 1),
                               .started = reply_number(&r, 2),
                               .ended = reply_number(&r, 3)};
    for (int i = 0; i < METER_WAITS; i++)
        out->waits[i] = reply_number(&r, 4 + (size_t)i);
    out->first_ms = reply_number(&r, 4 + METER_WAITS);
    meter_times(out);
    return E_OK;
}

/* ---- limits above lanes ---- */

static err read_limit(const struct reply *r, enum limit_scope scope, struct arena *a,
                      struct limit_view *out, struct fault *f)
{
    bool has_rate = scope == LIMIT_SITE || scope == LIMIT_WEBHOOK;
    *out = (struct limit_view){.scope = scope,
                               .max_active = reply_number(r, 1),
                               .weight = reply_number(r, 2),
                               .emit_ms = has_rate ? reply_number(r, 3) : 0,
                               .burst = has_rate ? reply_number(r, 4) : 0,
                               .active = reply_number(r, 5)};
    return store_keep(a, reply_text(r, 0), &out->name, f);
}

/* The settings that a lane would have which nobody has used yet. */
static struct lane_settings fresh_settings(const struct store *s, enum lane_class class)
{
    return (struct lane_settings){.weight = lane_class_weight(class),
                                  .max_active =
                                      class == LANE_QUARANTINE ? 1 : s->limits.lane_max_active,
                                  .emit_ms = s->limits.lane_emit_ms,
                                  .burst = s->limits.lane_burst,
                                  .prio = LANE_PRIORITY};
}

err redis_lane_bounds(struct store *s, struct span name, wall now, struct arena *a,
                      struct lane_bounds *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct lane_name parts;
    store_fresh(s);
    if (name.n >= LANE_NAME || !lane_name_parse(name, &parts))
        return fail(f, E_BAD_INPUT, "\"%.*s\" is no lane", SP(span_cut(name, 0, 60)));
    call_text(&c, SPAN("bounds"));
    call_text(&c, name);
    call_text(&c, parts.tenant);
    call_text(&c, parts.site);
    err e = store_look(s, SCRIPT_LANES, &c, now, &r, f);
    if (e)
        return e;
    struct lane_bounds b = {.exists = reply_list(&r, 1)->count > 0,
                            .lane.settings = fresh_settings(s, parts.class),
                            .lane.own = lane_settings_all(LANE_AS_CONFIGURED)};
    e = b.exists ? read_lane(reply_list(&r, 1), a, &b.lane, f) : E_OK;
    if (!e)
        e = read_limit(reply_list(&r, 2), LIMIT_ALL, a, &b.all, f);
    if (!e)
        e = read_limit(reply_list(&r, 3), LIMIT_TENANT, a, &b.tenant, f);
    if (!e)
        e = read_limit(reply_list(&r, 4), LIMIT_SITE, a, &b.site, f);
    if (!e)
        *out = b;
    return e;
}

/* Those of one scope, behind this name or from it on, until there is one more than is asked for. */
static err add_limits(struct store *s, enum limit_scope scope, const struct limits_query *q,
                      struct arena *a, struct limits_page *out, struct fault *f)
{
    struct reply r;
    char last[LANE_NAME] = "";
    bool with = q->scope == scope && q->with;
    if (q->scope == scope)
        span_copy(q->name, last, sizeof last);
    do {
        struct call c = {0};
        store_fresh(s);
        call_text(&c, SPAN("limits"));
        call_text(&c, scope == LIMIT_TENANT ? SPAN("tenants")
                      : scope == LIMIT_SITE ? SPAN("sites")
                                            : SPAN("hooks"));
        call_text(&c, span_of(last));
        call_number(&c, LANES_STEP);
        call_flag(&c, with);
        err e = store_look(s, SCRIPT_LANES, &c, (wall){0}, &r, f);
        if (!e)
            e = read_limit(reply_list(&r, 1), LIMIT_ALL, a, &out->all, f);
        for (size_t i = 2; !e && i < r.count && out->count <= q->limit; i++) {
            span_copy(reply_text(reply_list(&r, i), 0), last, sizeof last);
            e = read_limit(reply_list(&r, i), scope, a, &out->rows[out->count++], f);
        }
        if (e)
            return e;
        with = false;
    } while (out->count <= q->limit && r.count == LANES_STEP + 2);
    return E_OK;
}

err redis_limits(struct store *s, const struct limits_query *q, struct arena *a,
                 struct limits_page *out, struct fault *f)
{
    need(q->limit >= 1 && q->limit <= LIMITS_PAGE);
    struct limits_page page = {.rows = arena_try(a, (q->limit + 1) * sizeof *page.rows)};
    err e = page.rows ? E_OK : fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    for (int scope = LIMIT_TENANT; !e && scope < LIMIT_SCOPES && page.count <= q->limit;
         scope++)
        if (scope >= (int)q->scope)
            e = add_limits(s, (enum limit_scope)scope, q, a, &page, f);
    page.more = page.count > q->limit;
    page.count -= page.more;
    if (!e)
        *out = page;
    return e;
}

/* ---- setting ---- */

static void put_change_event(struct store *s, struct call *c, const struct lane_change *change)
{
    buf_clear(&s->scratch);
    struct json_w w = json_w(&s->scratch);
    json_open(&w);
    json_kv_text(&w, "lane", change->name);
    if (change->by.n)
        json_kv_text(&w, "by", change->by);
    if (change->why.n)
        json_kv_text(&w, "why", change->why);
    json_close(&w);
    call_text(c, span_of(asked_lane_event(change->act)));
    call_text(c, buf_span(&s->scratch));
}

err redis_lane_change(struct store *s, const struct lane_change *change, wall now,
                      struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct lane_name lane;
    need(s->in_group && (unsigned)change->act < LANE_ACTS);
    store_fresh(s);
    err e = asked_lane_change(change, f);
    if (!e)
        e = asked_lane(change->name, &lane, f);
    if (e)
        return e;
    call_text(&c, change->name);
    call_lane(&c, &lane);
    call_number(&c, change->act);
    call_number(&c, change->hold_ms);
    const struct lane_settings *set = &change->settings;
    const int64_t numbers[] = {set->weight, set->max_active, set->emit_ms, set->burst,
                               set->depth,  set->overflow,   set->prio};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        call_number(&c, numbers[i]);
    call_text(&c, change->by);
    call_text(&c, change->why);
    put_change_event(s, &c, change);
    e = store_write(s, SCRIPT_LANE_CHANGE, &c, now, &r, f);
    return !e && said(&r) == SAID_LANES ? asked_lanes_full(s->limits.lanes_max, f) : e;
}

err redis_lane_purge(struct store *s, const struct lane_purge *p, wall now,
                     int64_t *out_cancelled, bool *out_more, struct fault *f)
{
    int64_t done = 0;
    bool more = true;
    char words[PURGE_WORDS];
    need(s->in_group);
    err e = asked_purge(p, words, f);
    for (int i = 0; !e && more && i < PURGE_MAX / PURGE_STEP; i++) {
        struct reply r;
        struct call c = {0};
        store_fresh(s);
        call_text(&c, p->name);
        call_text(&c, span_of(words));
        call_json(s, &c, span_of(words));
        e = store_write(s, SCRIPT_LANE_PURGE, &c, now, &r, f);
        if (!e && said(&r) == SAID_NONE)
            e = fail(f, E_NOT_FOUND, "there is no lane %.*s", SP(span_cut(p->name, 0, 120)));
        done += e ? 0 : reply_number(&r, 1);
        more = !e && reply_number(&r, 2);
    }
    if (e)
        return e;
    *out_cancelled = done;
    *out_more = more;
    return E_OK;
}

err redis_limit_set(struct store *s, const struct limit_view *limit, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    err e = asked_limit(limit, f);
    if (e)
        return e;
    const int64_t numbers[] = {limit->max_active, limit->weight, limit->emit_ms, limit->burst};
    buf_clear(&s->scratch);
    struct json_w w = json_w(&s->scratch);
    json_open(&w);
    json_kv_cstr(&w, "scope", asked_scope(limit->scope));
    json_kv_text(&w, "name", limit->name);
    json_close(&w);
    call_number(&c, limit->scope);
    call_text(&c, limit->name);
    for (int i = 0; i < 4; i++)
        call_number(&c, numbers[i]);
    call_text(&c, buf_span(&s->scratch));
    call_hex(&c, span_hash(limit->name, 0) >> 1);
    e = store_write(s, SCRIPT_LIMIT_SET, &c, now, &r, f);
    return !e && said(&r) == SAID_NONE ? delivery_no_webhook(f) : e;
}

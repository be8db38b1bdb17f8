/* queues.c - lanes and their breakers: seen, set, stopped and let go.
 *
 * A path names a lane as it is, tenant/site/class. What changes a lane asks for it first: one that is not
 * there comes into being only when its site is known, so that a name mistyped is a 404 and no lane. */
#include "api/inside.h"
#include "api/lane_view.h"
#include "api/view.h"

#include "base/text.h"

enum {
    LIST_LIMIT = 50,
    LIST_MAX = 200,
    PURGE_STEPS = 50, /* of 200 jobs each, in one request */
    WEIGHT_MAX = 10000,
    RUNNING_MAX = 10000,
    DEPTH_MAX = 10000000,
    BURST_MAX = 10000,
    EVERY_MAX_MS = 86400000,
    TTL_MAX_S = 86400,
};

/* ---- one lane ---- */

/* The name of the path, "%40" and all read; false: answered 404. */
static bool read_name(struct call *c, struct span typed)
{
    struct buf name = BUF(LANE_NAME);
    struct lane_name parts;
    bool fine = text_add_url_unescaped(&name, typed) && !name.failed && name.n < LANE_NAME &&
                lane_name_parse(buf_span(&name), &parts);
    if (fine)
        c->kept = arena_keep(c->op.arena, buf_span(&name));
    else
        answer_problem(
            c->request, 404, "not_found",
            "there is no such queue; one is tenant/site/class, the class interactive, normal, bulk "
            "or quarantine");
    buf_free(&name);
    return fine;
}

static void answer_lane(struct call *c, const struct lane_view *lane)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    if (c->breaker)
        breakers_put_lane(&w, lane);
    else
        view_lane(&w, lane);
    buf_add_char(&body, '\n');
    char tag[VIEW_TAG];
    answer_json(c->request, 200, &body,
                (const char *const[]){c->breaker ? NULL : "ETag",
                                      view_digest_tag(lane_digest(lane), tag), NULL});
}

static void on_shown(struct call *c)
{
    if (!call_failed(c))
        answer_lane(c, &c->op.out.lane);
}

static void ask_lane(struct call *c, void (*then)(struct call *c))
{
    c->op.in.lane.name = c->kept;
    call_post(c, STORE_LANE, then);
}

static void show(struct api *a, struct request *r, struct span lane, bool breaker)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    c->breaker = breaker;
    if (read_name(c, lane))
        ask_lane(c, on_shown);
}

void queues_show(struct api *a, struct request *r, struct span lane)
{
    show(a, r, lane, false);
}

void breakers_show(struct api *a, struct request *r, struct span lane)
{
    show(a, r, lane, true);
}

/* ---- lists ---- */

struct lane_list {
    struct lane_view *lanes;
    size_t count, limit; /* one more than limit is asked for: is there a next page? */
};

static void answer_lanes(struct call *c, const struct lane_list *l)
{
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < l->count && i < l->limit; i++)
        view_lane(&w, &l->lanes[i]);
    answer_list(c->request, 200, &body, &w, l->limit,
                l->count > l->limit ? l->lanes[l->limit - 1].name : SPAN_NONE);
}

/* A piece of the walk: the store looks at so many lanes and lets others in between. */
static void on_listed(struct call *c)
{
    struct lane_list *l = c->more;
    if (call_failed(c))
        return;
    size_t found = c->op.out.lanes.count;
    memcpy(l->lanes + l->count, c->op.out.lanes.lanes, found * sizeof *l->lanes);
    l->count += found;
    if (l->count > l->limit || !c->op.out.lanes.next.n) {
        answer_lanes(c, l);
        return;
    }
    c->op.in.lanes.after = c->op.out.lanes.next;
    c->op.in.lanes.limit = l->limit + 1 - l->count;
    call_post(c, STORE_LANES, on_listed);
}

/* A query parameter that is a short plain word; false: answered 400. */
static bool query_word(struct call *c, const char *name, struct span *out)
{
    struct span text;
    if (!request_query(c->request, name, &text))
        return true;
    *out = arena_keep(c->op.arena, text);
    if (lane_word_is_plain(text))
        return true;
    answer_problem(c->request, 400, "bad_parameter",
                   "%s must be a word of letters, digits, _ and -", name);
    return false;
}

bool query_flag(struct request *r, const char *name, bool *out)
{
    struct span text;
    if (!request_query(r, name, &text))
        return true;
    *out = span_is(text, "true");
    if (*out || span_is(text, "false"))
        return true;
    answer_problem(r, 400, "bad_parameter", "%s must be true or false", name);
    return false;
}

void queues_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span after;
    struct call *c = call_new(a, r, id);
    struct lanes_query q = {0};
    if (!query_number(r, "limit", 1, LIST_MAX, &limit) || !query_word(c, "tenant", &q.tenant) ||
        !query_word(c, "site", &q.site) || !query_flag(r, "troubled", &q.troubled))
        return;
    if (request_query(r, "after", &after))
        q.after = arena_keep(c->op.arena, after);
    struct lane_list *l = arena_new_of(c->op.arena, struct lane_list);
    *l = (struct lane_list){.limit = (size_t)limit,
                            .lanes =
                                arena_get(c->op.arena, ((size_t)limit + 1) * sizeof *l->lanes)};
    c->more = l;
    q.limit = l->limit + 1;
    c->op.in.lanes = q;
    call_post(c, STORE_LANES, on_listed);
}

/* ---- changing ---- */

static void on_changed(struct call *c)
{
    if (!call_failed(c))
        ask_lane(c, on_shown);
}

static bool site_known(const struct api *a, struct span lane)
{
    struct lane_name parts;
    if (!lane_name_parse(lane, &parts) || parts.class == LANE_QUARANTINE)
        return false;
    return api_knows_site(a, parts.site);
}

/* The settings, when they are still what the client saw: in one transaction. */
static err run_set(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    const struct call *c = args;
    struct lane_view v = {.own = lane_settings_all(LANE_AS_CONFIGURED)};
    struct fault missing = {0}; /* comes into being with its settings */
    err e = store_lane(s, c->change.name, now, a, &v, &missing);
    if (e && e != E_NOT_FOUND)
        return fail(f, e, "%s", missing.words);
    e = digest_matches(c->match, lane_digest(&v), "queue", f);
    return e ? e : store_lane_change(s, &c->change, now, f);
}

static void on_found(struct call *c)
{
    if (c->op.result && !(c->op.result == E_NOT_FOUND && site_known(c->api, c->kept))) {
        (void)call_failed(c);
        return;
    }
    if (c->change.act == LANE_ACT_SET) {
        call_work(c, STORE_WRITE, run_set, c, on_changed);
        return;
    }
    c->op.in.lane_change = c->change;
    call_post(c, STORE_LANE_CHANGE, on_changed);
}

/* The body is read: the lane of the path is changed. */
static void change(struct call *c)
{
    c->change.name = c->kept;
    ask_lane(c, on_found);
}

bool queues_read_note(struct call *c, bool says_why, int64_t *ttl_s)
{
    static const char *const members[] = {"by", "reason", NULL};
    static const char *const members_ttl[] = {"by", "reason", "ttl_s", NULL};
    struct order_refusal refusal = {0};
    struct body b = {&refusal, c->op.arena};
    struct json root, v;
    c->change.by = SPAN("api");
    if (c->request->body.n && !body_is_json(c->request))
        return false;
    if (body_read(&b, c->api->json, c->request->body, true, ttl_s ? members_ttl : members,
                  &root)) {
        body_text(&b, root, "", "by", LANE_NOTE, &c->change.by);
        body_text(&b, root, "", "reason", LANE_NOTE, &c->change.why);
        if (ttl_s)
            body_number(&b, root, "", "ttl_s", 1, TTL_MAX_S, ttl_s);
        if (says_why && !body_given(root, "reason", &v))
            body_refuse(&b, SPAN("/reason"), "required",
                        "say why: whoever finds it so wants to know");
        if (body_fine(&b))
            return true;
    }
    answer_refusal(c->request, &refusal);
    return false;
}

static void act(struct api *a, struct request *r, struct span lane, enum lane_act act,
                bool says_why)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    c->change.act = act;
    if (read_name(c, lane) && queues_read_note(c, says_why, NULL))
        change(c);
}

void queues_pause(struct api *a, struct request *r, struct span lane)
{
    act(a, r, lane, LANE_ACT_PAUSE, true);
}

void queues_resume(struct api *a, struct request *r, struct span lane)
{
    act(a, r, lane, LANE_ACT_RESUME, false);
}

void queues_close(struct api *a, struct request *r, struct span lane)
{
    act(a, r, lane, LANE_ACT_CLOSE, true);
}

void queues_open(struct api *a, struct request *r, struct span lane)
{
    act(a, r, lane, LANE_ACT_OPEN, false);
}

void queues_unblock(struct api *a, struct request *r, struct span lane)
{
    act(a, r, lane, LANE_ACT_UNBLOCK, true);
}

static void act_breaker(struct api *a, struct request *r, struct span lane, enum lane_act act,
                        bool held)
{
    int64_t ttl_s = QUEUES_TTL_S;
    struct call *c = call_new(a, r, SPAN_NONE);
    c->breaker = true;
    c->change.act = act;
    if (!read_name(c, lane) || !queues_read_note(c, held, held ? &ttl_s : NULL))
        return;
    if (held)
        c->change.hold_ms = ttl_s * 1000;
    change(c);
}

void breakers_open(struct api *a, struct request *r, struct span lane)
{
    act_breaker(a, r, lane, LANE_ACT_BREAKER_OPEN, true);
}

void breakers_close(struct api *a, struct request *r, struct span lane)
{
    act_breaker(a, r, lane, LANE_ACT_BREAKER_CLOSE, true);
}

void breakers_reset(struct api *a, struct request *r, struct span lane)
{
    act_breaker(a, r, lane, LANE_ACT_BREAKER_RESET, false);
}

/* ---- settings ---- */

static void read_overflow(struct body *b, struct json root, int64_t *value)
{
    static const char *const names[] = {"refuse", "drop_last", NULL};
    struct json v = json_get(root, SPAN("overflow"));
    int at = -1;
    if (json_is(v, JSON_NULL))
        *value = LANE_AS_CONFIGURED;
    else if (body_choice(b, root, "", "overflow", names, &at))
        *value = at;
}

static bool read_settings(struct body *b, struct json_parser *parser, struct span text,
                          struct lane_change *out)
{
    static const char *const members[] = {"weight",    "max_running", "rate",
                                          "max_depth", "overflow",    "default_priority",
                                          "by",        "reason",      NULL};
    static const char *const rates[] = {"every_ms", "burst", NULL};
    struct lane_settings *set = &out->settings;
    struct json root;
    if (!body_read(b, parser, text, false, members, &root))
        return false;
    body_setting(b, root, "", "weight", 1, WEIGHT_MAX, LANE_AS_CONFIGURED, &set->weight);
    body_setting(b, root, "", "max_running", 1, RUNNING_MAX, LANE_AS_CONFIGURED,
                 &set->max_active);
    body_setting(b, root, "", "max_depth", 0, DEPTH_MAX, LANE_AS_CONFIGURED, &set->depth);
    read_overflow(b, root, &set->overflow);
    body_setting(b, root, "", "default_priority", 0, LANE_PRIORITY_MAX, LANE_AS_CONFIGURED,
                 &set->prio);
    body_text(b, root, "", "by", LANE_NOTE, &out->by);
    body_text(b, root, "", "reason", LANE_NOTE, &out->why);
    struct json rate = json_get(root, SPAN("rate"));
    if (rate.doc && json_is(rate, JSON_NULL)) {
        set->emit_ms = set->burst = LANE_AS_CONFIGURED;
    } else if (json_is(rate, JSON_OBJECT)) {
        body_members(b, rate, "/rate", rates);
        body_setting(b, rate, "/rate", "every_ms", 0, EVERY_MAX_MS, LANE_AS_CONFIGURED,
                     &set->emit_ms);
        body_setting(b, rate, "/rate", "burst", 1, BURST_MAX, LANE_AS_CONFIGURED, &set->burst);
    } else if (rate.doc) {
        body_refuse(b, SPAN("/rate"), "type",
                    "must be an object such as {\"every_ms\":2000,\"burst\":1}");
    }
    return body_fine(b);
}

/* PATCH changes what is named, PUT gives up what is not. */
static void set(struct api *a, struct request *r, struct span lane, int64_t missing)
{
    struct call *c = call_new(a, r, SPAN_NONE);
    struct order_refusal refusal = {0};
    c->change = (struct lane_change){
        .act = LANE_ACT_SET, .settings = lane_settings_all(missing), .by = SPAN("api")};
    c->ends_jobs = true; /* settings may be what is needed on a full disk */
    if (!read_name(c, lane) || !body_is_json(r) ||
        !if_match_digest(r, "queue", c->op.arena, &c->match))
        return;
    if (read_settings(&(struct body){&refusal, c->op.arena}, a->json, r->body, &c->change))
        change(c);
    else
        answer_refusal(r, &refusal);
}

void queues_put(struct api *a, struct request *r, struct span lane)
{
    set(a, r, lane, LANE_AS_CONFIGURED);
}

void queues_patch(struct api *a, struct request *r, struct span lane)
{
    set(a, r, lane, LANE_UNCHANGED);
}

/* ---- what went through it ---- */

struct measured {
    struct span name;
    int64_t window_ms;
    struct lane_view lane;
    struct meter_sums sums;
    wall now;
};

/* On the store's own thread, which knows lanes by heart; nothing is written. */
static err run_measure(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct measured *m = args;
    m->now = now;
    err e = store_lane(s, m->name, now, a, &m->lane, f);
    return e ? e : store_lane_meter(s, m->name, m->window_ms, now, &m->sums, f);
}

static void put_waits(struct json_w *w, const struct meter_sums *sums)
{
    json_key(w, "time_to_start_ms");
    if (sums->p50_ms < 0) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_int(w, "p50", sums->p50_ms);
    json_kv_int(w, "p95", sums->p95_ms);
    json_kv_int(w, "p99", sums->p99_ms);
    json_close(w);
}

static void put_rates(struct json_w *w, const struct meter_sums *sums, int64_t window_ms)
{
    const double minutes = (double)window_ms / 60000.0;
    json_kv_int(w, "accepted", sums->accepted);
    json_kv_int(w, "started", sums->started);
    json_kv_int(w, "ended", sums->ended);
    json_key(w, "per_minute");
    json_open(w);
    json_key(w, "accepted");
    json_put_real(w, (double)sums->accepted / minutes);
    json_key(w, "started");
    json_put_real(w, (double)sums->started / minutes);
    json_key(w, "ended");
    json_put_real(w, (double)sums->ended / minutes);
    json_close(w);
}

static void on_measured(struct call *c)
{
    const struct measured *m = c->more;
    if (call_failed(c))
        return;
    const struct lane_view *lane = &m->lane;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "queue_metrics");
    json_kv_text(&w, "queue", lane->name);
    json_kv_int(&w, "window_s", m->window_ms / 1000);
    json_kv_int(&w, "waiting", lane->blocked + lane->scheduled + lane->ready);
    json_kv_int(&w, "ready", lane->ready);
    json_kv_int(&w, "active", lane->active);
    if (lane->settings.depth)
        json_kv_int(&w, "max_depth", lane->settings.depth);
    else
        json_kv_null(&w, "max_depth");
    if (lane->oldest_ready_ms)
        json_kv_int(&w, "oldest_age_s", (m->now.ms - lane->oldest_ready_ms) / 1000);
    else
        json_kv_null(&w, "oldest_age_s");
    put_rates(&w, &m->sums, m->window_ms);
    put_waits(&w, &m->sums);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

/* "5m": whole minutes of those that are kept. */
static bool read_window(struct request *r, int64_t *out_ms)
{
    struct span text;
    *out_ms = METER_WINDOW_MS;
    if (!request_query(r, "window", &text))
        return true;
    if (!when_duration(text, out_ms) || *out_ms < METER_SLICE_MS || *out_ms > METER_WINDOW_MS) {
        answer_problem(r, 400, "bad_parameter",
                       "window is 1m to 10m; for longer, keep what /metrics says over time");
        return false;
    }
    *out_ms = meter_slices(*out_ms) * METER_SLICE_MS;
    return true;
}

void queues_metrics(struct api *a, struct request *r, struct span lane)
{
    int64_t window_ms;
    if (!read_window(r, &window_ms))
        return;
    struct call *c = call_new(a, r, SPAN_NONE);
    if (!read_name(c, lane))
        return;
    struct measured *m = arena_get(c->op.arena, sizeof *m);
    *m = (struct measured){.name = c->kept, .window_ms = window_ms};
    c->more = m;
    call_work(c, STORE_WRITE, run_measure, m, on_measured);
}

/* ---- purge ---- */

static void answer_purged(struct call *c, bool more)
{
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "purge");
    json_kv_text(&w, "queue", c->kept);
    json_kv_int(&w, "cancelled", c->purged);
    json_kv_bool(&w, "more", more);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

static void on_purged(struct call *c)
{
    if (call_failed(c))
        return;
    c->purged += c->op.out.purge.cancelled;
    c->left--;
    if (c->op.out.purge.more && c->left > 0)
        call_post(c, STORE_LANE_PURGE, on_purged);
    else
        answer_purged(c, c->op.out.purge.more);
}

/* What would be done. */
static void on_dry(struct call *c)
{
    if (call_failed(c))
        return;
    const struct lane_view *lane = &c->op.out.lane;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "dry_run");
    json_kv_cstr(&w, "action", "purge");
    json_kv_int(&w, "count", lane->blocked + lane->scheduled + lane->ready);
    json_kv_cstr(&w, "count_kind", "exact");
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void queues_purge(struct api *a, struct request *r, struct span lane)
{
    bool dry = false;
    struct call *c = call_new(a, r, SPAN_NONE);
    if (!query_flag(r, "dry_run", &dry) || !read_name(c, lane) ||
        !queues_read_note(c, true, NULL))
        return;
    if (dry) {
        ask_lane(c, on_dry);
        return;
    }
    c->left = PURGE_STEPS;
    c->op.in.purge =
        (struct lane_purge){.name = c->kept, .by = c->change.by, .why = c->change.why};
    call_post(c, STORE_LANE_PURGE, on_purged);
}

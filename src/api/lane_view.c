#include "api/lane_view.h"
#include "api/breaker_view.h"
#include "api/view.h"

#include "base/need.h"

enum { SENTENCE_MAX = 1024 };

static void put_text(struct json_w *w, const char *key, struct span text)
{
    json_kv_text(w, key, text.n ? text : SPAN_NONE);
}

/* ---- in words ---- */

/* "paused by anna since 2026-02-06T21:09:45Z: the disk is replaced" */
static void add_stop(struct buf *out, const char *what, const struct lane_note *note)
{
    char when[WHEN_TEXT];
    buf_add_text(out, what);
    if (note->by.n)
        buf_fmt(out, " by %.*s", SP(note->by));
    if (note->at_ms)
        buf_fmt(out, " since %s", when_text((wall){note->at_ms}, when));
    if (note->why.n)
        buf_fmt(out, ": %.*s", SP(note->why));
}

static void add_until(struct buf *out, int64_t ms)
{
    char when[WHEN_TEXT];
    if (ms > 0)
        buf_fmt(out, " until %s", when_text((wall){ms}, when));
}

void lane_breaker_trouble(struct buf *out, const struct lane_view *lane)
{
    if (lane->breaker.state == BREAKER_CLOSED)
        return;
    if (lane->breaker_forced_until_ms) {
        buf_add_text(out, "its breaker was opened by hand");
        add_until(out, lane->breaker_forced_until_ms);
    } else if (lane->breaker.state == BREAKER_HALF_OPEN) {
        buf_add_text(out,
                     "the site failed too often in a row; one job tries whether it is back");
    } else {
        buf_fmt(out, "the site failed too often in a row (opened %lld times)",
                (long long)lane->breaker.trips);
        if (lane->breaker.until_ms > lane->at_ms)
            add_until(out, lane->breaker.until_ms);
        else /* the time is over, and nothing has started since */
            buf_add_text(out, "; its next job tries whether it is back");
    }
}

/* Ends a sentence before another one begins. */
static void next(struct buf *out, size_t before)
{
    if (out->n > before)
        buf_add_text(out, "; ");
}

void lane_trouble(struct buf *out, const struct lane_view *lane)
{
    size_t before = out->n;
    bool both = lane->paused && lane->closed;
    if (lane->paused || lane->closed)
        add_stop(out,
                 both           ? "paused and closed"
                 : lane->paused ? "paused"
                                : "closed",
                 &lane->pause);
    if (lane->breaker.state != BREAKER_CLOSED) {
        next(out, before);
        lane_breaker_trouble(out, lane);
    }
    if (lane->blocked_until_ms > lane->at_ms) {
        next(out, before);
        buf_add_text(out, "the site asked to wait");
        add_until(out, lane->blocked_until_ms);
    }
    if (lane->waiting == WAITING_SESSION) {
        next(out, before);
        buf_fmt(out, "all sessions of pool %.*s rest", SP(lane->pool));
        add_until(out, lane->waiting_until_ms);
    }
}

/* ---- a lane ---- */

static void put_settings(struct json_w *w, const char *key, const struct lane_settings *s)
{
    const struct {
        const char *key;
        int64_t value;
    } rows[] = {{"weight", s->weight},
                {"max_running", s->max_active},
                {"every_ms", s->emit_ms},
                {"burst", s->burst}};
    json_key(w, key);
    json_open(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i == 2) {
            json_key(w, "rate");
            json_open(w);
        }
        if (rows[i].value == LANE_AS_CONFIGURED)
            json_kv_null(w, rows[i].key);
        else
            json_kv_int(w, rows[i].key, rows[i].value);
    }
    json_close(w);
    if (s->depth == LANE_AS_CONFIGURED)
        json_kv_null(w, "max_depth");
    else
        json_kv_int(w, "max_depth", s->depth);
    json_kv_cstr(w, "overflow",
                 s->overflow == LANE_AS_CONFIGURED
                     ? NULL
                     : lane_overflow_name((enum lane_overflow)s->overflow));
    json_kv_known(w, "default_priority", s->prio != LANE_AS_CONFIGURED, s->prio);
    json_close(w);
}

static void put_pace(struct json_w *w, const struct lane_view *lane)
{
    json_key(w, "pace");
    json_open(w);
    json_kv_int(w, "percent", limit_pace_percent(&lane->pace));
    json_kv_int(w, "every_ms", limit_paced(lane->settings.emit_ms, &lane->pace));
    view_time(w, "clean_since", lane->pace.since_ms <= lane->at_ms ? lane->pace.since_ms : 0);
    json_close(w);
}

static void put_waiting(struct json_w *w, const struct lane_view *lane)
{
    json_key(w, "waiting_for");
    if (lane->waiting == WAITING_NONE) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "reason", waiting_name(lane->waiting));
    view_time(w, "until", lane->waiting_until_ms);
    json_close(w);
}

static void put_note(struct json_w *w, const struct lane_note *note)
{
    json_key(w, "stopped");
    if (!note->at_ms) {
        json_put_null(w);
        return;
    }
    json_open(w);
    put_text(w, "by", note->by);
    put_text(w, "reason", note->why);
    view_time(w, "at", note->at_ms);
    json_close(w);
}

static void put_breaker_members(struct json_w *w, const struct lane_view *lane)
{
    const struct breaker *b = &lane->breaker;
    json_kv_cstr(w, "state", breaker_state_names[b->state]);
    json_kv_int(w, "failures", b->fails);
    json_kv_int(w, "openings", b->trips);
    view_time(w, "until",
              b->state == BREAKER_OPEN && b->until_ms > lane->at_ms ? b->until_ms : 0);
    view_time(w, "by_hand_until", lane->breaker_forced_until_ms);
}

static void put_link(struct json_w *w, const char *key, const char *before, struct span name)
{
    struct buf path = BUF(LANE_NAME + 32);
    buf_fmt(&path, "%s%.*s", before, SP(name));
    json_kv_text(w, key, buf_span(&path));
    buf_free(&path);
}

void view_lane(struct json_w *w, const struct lane_view *lane)
{
    struct lane_name parts = {0};
    struct buf words = BUF(SENTENCE_MAX);
    bool known = lane_name_parse(lane->name, &parts);
    lane_trouble(&words, lane);
    json_open(w);
    json_kv_cstr(w, "object", "queue");
    json_kv_text(w, "name", lane->name);
    json_kv_text(w, "tenant", lane->tenant);
    json_kv_text(w, "site", lane->site);
    json_kv_cstr(w, "class", lane_class_name(lane->class));
    put_text(w, "share", known ? parts.share : SPAN_NONE);
    put_text(w, "pool", lane->pool);
    put_text(w, "operation", lane->operation);
    put_text(w, "trouble", buf_span(&words));
    json_key(w, "counts");
    json_open(w);
    json_kv_int(w, "blocked", lane->blocked);
    json_kv_int(w, "scheduled", lane->scheduled);
    json_kv_int(w, "ready", lane->ready);
    json_kv_int(w, "active", lane->active);
    json_close(w);
    view_time(w, "oldest_ready_at", lane->oldest_ready_ms);
    put_waiting(w, lane);
    json_kv_bool(w, "paused", lane->paused);
    json_kv_bool(w, "closed", lane->closed);
    put_note(w, &lane->pause);
    view_time(w, "blocked_until",
              lane->blocked_until_ms > lane->at_ms ? lane->blocked_until_ms : 0);
    json_key(w, "breaker");
    json_open(w);
    put_breaker_members(w, lane);
    json_close(w);
    put_settings(w, "settings", &lane->settings);
    put_settings(w, "own", &lane->own);
    put_pace(w, lane);
    json_key(w, "links");
    json_open(w);
    put_link(w, "self", "/v1/queues/", lane->name);
    put_link(w, "breaker", "/v1/breakers/", lane->name);
    json_close(w);
    json_close(w);
    buf_free(&words);
}

/* ---- limits ---- */

static void put_rate(struct json_w *w, int64_t every_ms, int64_t burst)
{
    json_key(w, "rate");
    json_open(w);
    json_kv_int(w, "every_ms", every_ms);
    json_kv_int(w, "burst", burst > 0 ? burst : 1);
    json_close(w);
}

void view_limit(struct json_w *w, const struct limit_view *limit)
{
    json_open(w);
    if (limit->scope != LIMIT_ALL)
        json_kv_text(w, "name", limit->name);
    json_kv_int(w, "max_running", limit->max_active);
    if (limit->scope == LIMIT_TENANT)
        json_kv_int(w, "weight", limit->weight);
    if (limit->scope == LIMIT_SITE || limit->scope == LIMIT_WEBHOOK)
        put_rate(w, limit->emit_ms, limit->burst);
    json_kv_int(w, "running", limit->active);
    json_close(w);
}

/* One of those that could win. */
struct bound {
    const char *of;
    struct span name;
    int64_t most, used; /* most 0: any number */
};

static void put_bound(struct json_w *w, const struct bound *b)
{
    json_open(w);
    json_kv_cstr(w, "of", b->of);
    put_text(w, "name", b->name);
    json_kv_int(w, "max_running", b->most);
    json_kv_int(w, "running", b->used);
    json_close(w);
}

/* The narrowest; where two are as narrow, the first, which is the one nearer to the lane. */
static const struct bound *narrowest(const struct bound *all, size_t n)
{
    const struct bound *won = NULL;
    for (size_t i = 0; i < n; i++)
        if (all[i].most > 0 && (!won || all[i].most < won->most))
            won = &all[i];
    return won;
}

static void put_running(struct json_w *w, struct span name, const struct lane_bounds *b,
                        int64_t workers)
{
    const struct bound all[] = {
        {"queue", name, b->lane.settings.max_active, b->lane.active},
        {"tenant", b->tenant.name, b->tenant.max_active, b->tenant.active},
        {"site", b->site.name, b->site.max_active, b->site.active},
        {"all", SPAN_NONE, b->all.max_active, b->all.active},
        {"workers", SPAN_NONE, workers, b->all.active},
    };
    size_t count = sizeof all / sizeof *all;
    const struct bound *won = narrowest(all, count);
    struct buf why = BUF(SENTENCE_MAX);
    need(won); /* a lane always has a limit */
    buf_fmt(&why, "at most %lld jobs at once: the limit of %s%s%.*s is the narrowest",
            (long long)won->most, won->of, won->name.n ? " " : "",
            SP(won->name.n ? won->name : SPAN("")));
    json_key(w, "max_running");
    json_open(w);
    json_kv_int(w, "value", won->most);
    json_kv_cstr(w, "wins", won->of);
    json_kv_text(w, "why", buf_span(&why));
    json_key(w, "limits");
    json_open_array(w);
    for (size_t i = 0; i < count; i++)
        put_bound(w, &all[i]);
    json_close_array(w);
    json_close(w);
    buf_free(&why);
}

static void put_effective_rate(struct json_w *w, const struct lane_bounds *b)
{
    const struct lane_settings *lane = &b->lane.settings;
    int64_t own = limit_paced(lane->emit_ms, &b->lane.pace),
            percent = limit_pace_percent(&b->lane.pace);
    bool site = b->site.emit_ms > own;
    int64_t every = site ? b->site.emit_ms : own;
    struct buf why = BUF(SENTENCE_MAX);
    if (every == 0)
        buf_add_text(&why, "neither the queue nor its site has a rate");
    else
        buf_fmt(&why, "one start in %lld ms: the rate of the %s is the slower one",
                (long long)every, site ? "site, which all its queues share," : "queue");
    if (percent < LIMIT_PACE_ALL)
        buf_fmt(&why, "; the queue uses %lld %% of its own since the site asked to wait",
                (long long)percent);
    json_key(w, "rate");
    json_open(w);
    json_kv_int(w, "every_ms", every);
    json_kv_int(w, "burst", site ? b->site.burst : lane->burst);
    json_kv_cstr(w, "wins", every == 0 ? NULL : site ? "site" : "queue");
    json_kv_text(w, "why", buf_span(&why));
    json_close(w);
    buf_free(&why);
}

static void put_default_priority(struct json_w *w, const struct lane_bounds *b)
{
    bool own = b->lane.own.prio != LANE_AS_CONFIGURED;
    json_key(w, "default_priority");
    json_open(w);
    json_kv_int(w, "value", b->lane.settings.prio);
    json_kv_cstr(w, "wins", own ? "queue" : NULL);
    json_kv_cstr(
        w, "why",
        own ? "the queue has one: a job that comes without a priority gets it"
            : "the queue has none of its own: a job that comes without a priority gets the normal one");
    json_close(w);
}

void view_bounds(struct json_w *w, struct span name, const struct lane_bounds *b,
                 int64_t workers)
{
    struct buf words = BUF(SENTENCE_MAX);
    lane_trouble(&words, &b->lane);
    json_open(w);
    json_kv_cstr(w, "object", "effective_limits");
    json_kv_text(w, "queue", name);
    json_kv_bool(w, "exists", b->exists);
    put_running(w, name, b, workers);
    put_effective_rate(w, b);
    json_key(w, "share");
    json_open(w);
    json_kv_int(w, "tenant_weight", b->tenant.weight);
    json_kv_int(w, "queue_weight", b->lane.settings.weight);
    json_close(w);
    put_default_priority(w, b);
    put_waiting(w, &b->lane);
    put_text(w, "trouble", buf_span(&words));
    json_close(w);
    buf_free(&words);
}

uint64_t lane_digest(const struct lane_view *lane)
{
    const struct lane_settings *own = &lane->own;
    const int64_t set[] = {own->weight, own->max_active, own->emit_ms,
                           own->burst,  own->depth,      own->overflow,
                           own->prio,   lane->paused,    lane->closed};
    return span_hash((struct span){(const char *)set, sizeof set}, 1);
}

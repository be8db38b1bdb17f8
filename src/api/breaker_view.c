#include "api/breaker_view.h"

#include "api/lane_view.h"
#include "api/view.h"
#include "base/need.h"

const char *const breaker_kind_names[BREAKER_KINDS + 1] = {"store",   "site",  "session",
                                                           "webhook", "queue", NULL};
const char *const breaker_state_names[] = {[BREAKER_CLOSED] = "closed",
                                           [BREAKER_OPEN] = "open",
                                           [BREAKER_HALF_OPEN] = "half_open",
                                           NULL};

static void begin(struct breaker_view *out, enum breaker_kind kind)
{
    *out = (struct breaker_view){.kind = kind,
                                 .seen = BREAKER_NONE,
                                 .failures = BREAKER_NONE,
                                 .openings = BREAKER_NONE,
                                 .probes_left = BREAKER_NONE};
}

static int64_t to_come(int64_t ms, wall now)
{
    return ms > now.ms ? ms : 0;
}

static void say(struct breaker_view *out, struct buf *words)
{
    span_copy(buf_span(words), out->trouble, sizeof out->trouble);
    buf_free(words);
}

/* ---- queues ---- */

static void take_hand(struct breaker_view *out, const struct lane_view *lane)
{
    out->forced = lane->breaker_forced_until_ms > 0;
    out->hand = lane->hand;
    out->hand.until_ms = lane->breaker_forced_until_ms;
}

void breaker_of_lane(struct breaker_view *out, const struct lane_view *lane)
{
    const struct breaker *b = &lane->breaker;
    struct breaker_samples samples = breaker_samples(b, lane->at_ms);
    struct buf words = BUF(BREAKER_TROUBLE - 1);
    begin(out, BREAKER_OF_QUEUE);
    span_copy(lane->name, out->key, sizeof out->key);
    snprintf(out->thing, sizeof out->thing, "/v1/queues/%.*s", SP(lane->name));
    out->state = b->state;
    out->since_ms = b->since_ms;
    out->until_ms = b->state == BREAKER_OPEN ? to_come(b->until_ms, (wall){lane->at_ms}) : 0;
    out->seen = samples.seen;
    out->bad = samples.bad;
    out->failures = b->fails;
    out->openings = b->trips;
    if (b->state == BREAKER_HALF_OPEN)
        out->probes_left = lane->active == 0;
    take_hand(out, lane);
    out->troubled = b->state != BREAKER_CLOSED || b->fails || b->trips || out->forced;
    out->ready = lane->ready;
    out->active = lane->active;
    lane_breaker_trouble(&words, lane);
    say(out, &words);
}

/* ---- sites ---- */

void breaker_of_site(struct breaker_view *out, struct span site)
{
    begin(out, BREAKER_OF_SITE);
    snprintf(out->key, sizeof out->key, "sites/%.*s", SP(span_cut(site, 0, LANE_WORD_MAX)));
    snprintf(out->thing, sizeof out->thing, "/v1/queues?site=%.*s",
             SP(span_cut(site, 0, LANE_WORD_MAX)));
    out->seen = out->failures = out->openings = 0;
}

/* Of those in its state: since when the first, until when the first, and who holds one. */
static void take_worst(struct breaker_view *site, const struct breaker_view *lane)
{
    bool worse = site->state != lane->state;
    site->state = lane->state;
    if (worse || (lane->since_ms && (!site->since_ms || lane->since_ms < site->since_ms)))
        site->since_ms = lane->since_ms;
    if (worse || (lane->until_ms && (!site->until_ms || lane->until_ms < site->until_ms)))
        site->until_ms = lane->until_ms;
    if (worse || (lane->forced && lane->hand.until_ms > site->hand.until_ms)) {
        site->forced = lane->forced;
        site->hand = lane->hand;
    }
    if (worse || !site->trouble[0])
        memcpy(site->trouble, lane->trouble, sizeof site->trouble);
}

void breaker_add_lane(struct breaker_view *site, const struct lane_view *lane)
{
    struct breaker_view one;
    breaker_of_lane(&one, lane);
    site->queues++;
    site->open += one.state == BREAKER_OPEN;
    site->half_open += one.state == BREAKER_HALF_OPEN;
    site->seen += one.seen;
    site->bad += one.bad;
    site->failures = one.failures > site->failures ? one.failures : site->failures;
    site->openings = one.openings > site->openings ? one.openings : site->openings;
    if (breaker_worse(site->state, one.state) == one.state)
        take_worst(site, &one);
    site->troubled = site->troubled || one.troubled;
}

/* ---- sessions ---- */

static int64_t rests_wholly_until(const struct session_view *v)
{
    int64_t until = v->hand.until_ms;
    for (size_t i = 0; i < v->rest_count; i++)
        if (span_is(span_of(v->rests[i].operation), SESSION_EVERYTHING) &&
            v->rests[i].until_ms > until)
            until = v->rests[i].until_ms;
    return until;
}

static void say_session(struct breaker_view *out, const struct session_view *v, wall now)
{
    struct buf words = BUF(BREAKER_TROUBLE - 1);
    char when[WHEN_TEXT];
    bool shut = v->state != SESSION_ACTIVE && v->state != SESSION_COOLING;
    if (shut)
        buf_fmt(&words, "%s%s%s", session_state_name(v->state), v->reason[0] ? ": " : "",
                v->reason);
    if (v->hand.until_ms > now.ms)
        buf_fmt(&words, "%sheld by hand until %s", words.n ? "; " : "",
                when_text((wall){v->hand.until_ms}, when));
    for (size_t i = 0; i < v->rest_count; i++)
        buf_fmt(&words, "%srests for %s until %s", words.n ? "; " : "",
                span_is(span_of(v->rests[i].operation), SESSION_EVERYTHING)
                    ? "everything"
                    : v->rests[i].operation,
                when_text((wall){v->rests[i].until_ms}, when));
    say(out, &words);
}

/* A rest for one operation keeps it from nothing else: that is said in words, and it is closed. */
void breaker_of_session(struct breaker_view *out, const struct session_view *v, wall now)
{
    int64_t until = to_come(rests_wholly_until(v), now);
    bool shut = v->state != SESSION_ACTIVE && v->state != SESSION_COOLING;
    begin(out, BREAKER_OF_SESSION);
    snprintf(out->key, sizeof out->key, "sessions/%s", v->id);
    snprintf(out->thing, sizeof out->thing, "/v1/sessions/%s", v->id);
    out->state = shut || until ? BREAKER_OPEN : BREAKER_CLOSED;
    out->since_ms = v->since_ms;
    out->until_ms = shut ? 0 : until;
    out->failures = v->fails;
    out->hand = v->hand;
    out->forced = v->hand.until_ms > now.ms || v->state == SESSION_LOCKED;
    if (v->state == SESSION_LOCKED && !v->hand.until_ms)
        span_copy(span_of(v->reason), out->hand.why, sizeof out->hand.why);
    out->troubled = out->state != BREAKER_CLOSED || v->fails || v->rest_count;
    say_session(out, v, now);
}

/* ---- webhooks ---- */

static void say_webhook(struct breaker_view *out, const struct webhook_view *v, bool held,
                        wall now)
{
    struct buf words = BUF(BREAKER_TROUBLE - 1);
    char when[WHEN_TEXT];
    if (!v->enabled)
        buf_fmt(&words, "switched off%s%.*s", v->off_why.n ? ": " : "", SP(v->off_why));
    else if (held)
        buf_fmt(&words, "held by hand until %s", when_text((wall){v->hand.until_ms}, when));
    else if (v->rest_ms > now.ms)
        buf_fmt(&words, "failed %lld times in a row; nothing is sent until %s",
                (long long)v->fails, when_text((wall){v->rest_ms}, when));
    else if (v->fails)
        buf_fmt(&words, "failed %lld times in a row", (long long)v->fails);
    say(out, &words);
}

void breaker_of_webhook(struct breaker_view *out, const struct webhook_view *v, wall now)
{
    bool held = v->hand.until_ms > now.ms;
    int64_t rests = to_come(v->rest_ms > v->hand.until_ms ? v->rest_ms : v->hand.until_ms, now);
    begin(out, BREAKER_OF_WEBHOOK);
    snprintf(out->key, sizeof out->key, "webhooks/%s", v->id);
    snprintf(out->thing, sizeof out->thing, "/v1/webhooks/%s", v->id);
    out->state = !v->enabled || rests            ? BREAKER_OPEN
                 : v->fails >= WEBHOOK_FAILS_MAX ? BREAKER_HALF_OPEN
                                                 : BREAKER_CLOSED;
    out->since_ms = !v->enabled ? v->off_ms : held ? v->hand.at_ms : v->failing_ms;
    out->until_ms = v->enabled ? rests : 0;
    out->failures = v->fails;
    out->forced = held;
    if (held)
        out->hand = v->hand;
    out->troubled = out->state != BREAKER_CLOSED || v->fails;
    say_webhook(out, v, held, now);
}

/* ---- the store ---- */

void breaker_of_store(struct breaker_view *out, const struct store_trouble *t)
{
    begin(out, BREAKER_OF_STORE);
    span_copy(SPAN("store"), out->key, sizeof out->key);
    out->state = t->away || t->disk_full ? BREAKER_OPEN : BREAKER_CLOSED;
    out->since_ms = t->since_ms;
    out->failures = t->failures;
    out->troubled = out->state != BREAKER_CLOSED;
    if (t->away)
        span_copy(SPAN("the job store cannot be used; the log says why"), out->trouble,
                  sizeof out->trouble);
    else if (t->disk_full)
        span_copy(SPAN("the disk of the job store is full: jobs may end, and none starts"),
                  out->trouble, sizeof out->trouble);
}

/* ---- as JSON ---- */

static void put_number(struct json_w *w, const char *key, int64_t n)
{
    json_kv_known(w, key, n != BREAKER_NONE, n);
}

static void put_samples(struct json_w *w, const struct breaker_view *b)
{
    json_key(w, "failure_ratio");
    if (b->seen > 0)
        json_put_real(w, (double)b->bad / (double)b->seen);
    else
        json_put_null(w);
    put_number(w, "samples", b->seen);
}

static void put_hand(struct json_w *w, const struct breaker_view *b)
{
    json_kv_bool(w, "forced", b->forced);
    view_time(w, "by_hand_until", b->forced ? b->hand.until_ms : 0);
    json_kv_cstr(w, "by", b->forced && b->hand.by[0] ? b->hand.by : NULL);
    json_kv_cstr(w, "reason", b->forced && b->hand.why[0] ? b->hand.why : NULL);
}

/* Each kind says all of it, so that a list is a table. */
static void put_kind(struct json_w *w, const struct breaker_view *b)
{
    bool queue = b->kind == BREAKER_OF_QUEUE;
    json_kv_cstr(w, "queue", queue ? b->key : NULL);
    put_number(w, "ready", queue ? b->ready : BREAKER_NONE);
    put_number(w, "active", queue ? b->active : BREAKER_NONE);
    json_key(w, "queues");
    if (b->kind != BREAKER_OF_SITE) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_int(w, "counted", b->queues);
    json_kv_int(w, "open", b->open);
    json_kv_int(w, "half_open", b->half_open);
    json_close(w);
}

void view_breaker(struct json_w *w, const struct breaker_view *b)
{
    char path[BREAKER_KEY + 16];
    snprintf(path, sizeof path, "/v1/breakers/%s", b->key);
    json_open(w);
    json_kv_cstr(w, "object", "breaker");
    json_kv_cstr(w, "key", b->key);
    json_kv_cstr(w, "kind", breaker_kind_names[b->kind]);
    json_kv_cstr(w, "state", breaker_state_names[b->state]);
    view_time(w, "since", b->since_ms);
    put_samples(w, b);
    put_number(w, "failures", b->failures);
    put_number(w, "openings", b->openings);
    view_time(w, "until", b->until_ms);
    view_time(w, "next_probe_at", b->until_ms);
    put_number(w, "probes_left", b->probes_left);
    put_hand(w, b);
    json_kv_cstr(w, "trouble", b->trouble[0] ? b->trouble : NULL);
    put_kind(w, b);
    json_key(w, "links");
    json_open(w);
    json_kv_cstr(w, "self", path);
    if (b->thing[0])
        json_kv_cstr(w, b->kind == BREAKER_OF_SITE ? "queues" : breaker_kind_names[b->kind],
                     b->thing);
    json_close(w);
    json_close(w);
}

/* ---- limits of a webhook ---- */

void view_hook_bounds(struct json_w *w, const struct limit_view *limit, int64_t fails,
                      const struct breaker_view *breaker)
{
    const char *wins = fails >= WEBHOOK_FAILS_MAX ? "breaker"
                       : limit->max_active        ? "webhook"
                                                  : "default";
    int64_t most = webhook_at_once(fails, limit->max_active);
    struct buf why = BUF(BREAKER_TROUBLE);
    json_open(w);
    json_kv_cstr(w, "object", "effective_limits");
    json_kv_text(w, "webhook", limit->name);
    buf_fmt(&why, "at most %lld requests at once: %s", (long long)most,
            fails >= WEBHOOK_FAILS_MAX ? "it failed too often in a row"
            : limit->max_active        ? "its own limit"
                                       : "it has no limit of its own");
    json_key(w, "max_running");
    json_open(w);
    json_kv_int(w, "value", most);
    json_kv_cstr(w, "wins", wins);
    json_kv_text(w, "why", buf_span(&why));
    json_kv_int(w, "running", limit->active);
    json_close(w);
    buf_clear(&why);
    if (limit->emit_ms)
        buf_fmt(&why, "one request in %lld ms: its own rate", (long long)limit->emit_ms);
    else
        buf_add_text(&why, "it has no rate");
    json_key(w, "rate");
    json_open(w);
    json_kv_int(w, "every_ms", limit->emit_ms);
    json_kv_int(w, "burst", limit->burst > 0 ? limit->burst : 1);
    json_kv_cstr(w, "wins", limit->emit_ms ? "webhook" : NULL);
    json_kv_text(w, "why", buf_span(&why));
    json_close(w);
    view_time(w, "until", breaker->until_ms);
    json_kv_cstr(w, "trouble", breaker->trouble[0] ? breaker->trouble : NULL);
    json_close(w);
    buf_free(&why);
}

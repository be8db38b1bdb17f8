/* store.c - opening, groups, calls of scripts, outlook. What jobs go through is in jobs.c and lease.c, what time
 * does in time.c, what people see in views.c, lanes in lanes.c. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/random.h"

#include <assert.h>

enum { SCHEMA_LEAST = 1, REPLIES_BYTES = 96 << 20, CONF_NUMBERS = 19, OPEN_STEPS = 100000 };

/* ---- calls ---- */

static void add(struct call *c, struct span text)
{
    need(c->count < CALL_ARGS);
    c->args[c->count++] = text;
}

void call_text(struct call *c, struct span text)
{
    add(c, text.n ? text : SPAN(""));
}

void call_number(struct call *c, int64_t n)
{
    char *text = c->numbers[c->count];
    if (n >= 0 && n <= 9) { /* most are */
        text[0] = (char)('0' + n);
        text[1] = '\0';
    } else {
        snprintf(text, CALL_NUMBER, "%lld", (long long)n);
    }
    add(c, span_of(text));
}

void call_flag(struct call *c, bool flag)
{
    add(c, flag ? SPAN("1") : SPAN("0"));
}

void call_hex(struct call *c, uint64_t n)
{
    char *text = c->numbers[c->count];
    snprintf(text, CALL_NUMBER, "%016llx", (unsigned long long)n);
    add(c, span_of(text));
}

void call_json(struct store *s, struct call *c, struct span text)
{
    struct buf b = BUF(8 * text.n + 16);
    json_add_string(&b, text.n ? text : SPAN(""));
    struct span kept = arena_keep(s->own, buf_span(&b));
    buf_free(&b);
    need(kept.p);
    add(c, kept);
}

/* The head of a text in MessagePack; returns its end. */
static char *put_text_head(char *at, size_t n)
{
    enum { TEXT_FIX = 0xa0, TEXT_FIX_MOST = 31, TEXT_8 = 0xd9, TEXT_16, TEXT_32 };
    int bytes = n <= TEXT_FIX_MOST ? 0 : n <= UINT8_MAX ? 1 : n <= UINT16_MAX ? 2 : 4;
    *at++ = (char)(bytes == 0   ? TEXT_FIX | (int)n
                   : bytes == 1 ? TEXT_8
                   : bytes == 2 ? TEXT_16
                                : TEXT_32);
    for (int i = bytes - 1; i >= 0; i--)
        *at++ = (char)(n >> (8 * i));
    return at;
}

struct span call_packed(struct store *s, const struct call *c)
{
    enum { LIST_16 = 0xdc, LIST_HEAD = 3, TEXT_HEAD_MOST = 5 };
    size_t most = LIST_HEAD;
    for (size_t i = 0; i < c->count; i++)
        most += TEXT_HEAD_MOST + c->args[i].n;
    char *text = arena_get(s->own, most), *at = text;
    *at++ = (char)LIST_16;
    *at++ = 0;
    *at++ = (char)c->count;
    static_assert(CALL_ARGS <= UINT8_MAX, "their number has one byte");
    for (size_t i = 0; i < c->count; i++) {
        at = put_text_head(at, c->args[i].n);
        if (c->args[i].n)
            memcpy(at, c->args[i].p, c->args[i].n);
        at += c->args[i].n;
    }
    return (struct span){text, (size_t)(at - text)};
}

void packed_add(struct buf *out, struct span text)
{
    buf_fmt(out, "%zu:", text.n);
    buf_add(out, text);
}

void call_lane(struct call *c, const struct lane_name *lane)
{
    call_text(c, lane->tenant);
    call_text(c, lane->site);
    call_number(c, lane->class);
    call_hex(c, span_hash(lane->tenant, 0) >> 1);
}

void store_fresh(struct store *s)
{
    arena_reset(s->own);
}

void call_number_text(const struct store *s, uint64_t call, char out[2 * CALL_NUMBER])
{
    snprintf(out, (size_t)2 * CALL_NUMBER, "%llx.%llu", (unsigned long long)s->run,
             (unsigned long long)call);
}

enum { HEAD = 4, WALK_AGAIN_MS = 600000 }; /* before what is of one script alone: common.lua */

/* A script that failed half-way may have left an index that says something else than its job (queue-tests.md §C: then audit). */
static void walk_soon(struct store *s)
{
    struct history *h = &s->history;
    if (h->walks || !mono_past(h->walk_again, clock_mono()))
        return;
    h->walks = true;
    h->walks_before = -1;
    h->walks_wanted = 2;
    h->walk_again = mono_add(clock_mono(), WALK_AGAIN_MS);
}

static err run(struct store *s, enum script script, bool writes, const struct span *words,
               size_t count, wall now, struct reply *out, struct fault *f)
{
    struct span *args = arena_get(s->own, (count + HEAD) * sizeof *args);
    s->now =
        now.ms ? now : s->now; /* questions that no time is part of are of the time before */
    char at[CALL_NUMBER] = "", number[2 * CALL_NUMBER] = "";
    if (s->config.callers_time)
        snprintf(at, sizeof at, "%lld", (long long)s->now.ms);
    if (writes)
        call_number_text(s, ++s->calls, number);
    args[0] = span_of(at);
    args[1] = buf_span(&s->conf);
    args[2] = span_of(number);
    args[3] = span_of(s->node);
    for (size_t i = 0; i < count; i++)
        args[HEAD + i] = words[i];
    err e = link_run(s->link, script, args, count + HEAD, s->own, out, f);
    if (e && script != SCRIPT_AUDIT && link_state(s->link).trouble == TROUBLE_SCRIPT)
        walk_soon(s);
    if (!e && (out->kind != REPLY_LIST || out->count == 0))
        e = fail(f, E_STORE, "a script of the queue answered in a shape that is not ours");
    return e;
}

err store_write(struct store *s, enum script script, const struct call *c, wall now,
                struct reply *out, struct fault *f)
{
    return store_write_words(s, script, c->args, c->count, now, out, f);
}

err store_write_words(struct store *s, enum script script, const struct span *words,
                      size_t count, wall now, struct reply *out, struct fault *f)
{
    err e = run(s, script, true, words, count, now, out, f);
    const struct reply *ended = e || !out->count ? NULL : reply_list(out, out->count - 1);
    if (!ended || ended->count != OUTCOMES + 2)
        return e;
    for (size_t i = 0; i < OUTCOMES; i++)
        s->ended[i] += reply_number(ended, i);
    s->history.call = s->calls;
    s->last_event = reply_number(ended, OUTCOMES);
    history_note(s, s->last_event, reply_text(ended, OUTCOMES + 1));
    return e;
}

err store_look(struct store *s, enum script script, const struct call *c, wall now,
               struct reply *out, struct fault *f)
{
    return run(s, script, false, c->args, c->count, now, out, f);
}

struct span reply_field_text(const struct reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->count; i += 2)
        if (span_is(reply_text(fields, i), name))
            return reply_text(fields, i + 1);
    return SPAN("");
}

int64_t reply_field(const struct reply *fields, const char *name)
{
    int64_t n = 0;
    return span_int(reply_field_text(fields, name), &n) ? n : 0;
}

err store_keep(struct arena *a, struct span text, struct span *out, struct fault *f)
{
    *out = arena_keep(a, text.n ? text : SPAN(""));
    return out->p ? E_OK : fail(f, E_TOO_BIG, "the answer of the job store does not fit");
}

err fail_stale(struct span id, struct fault *f)
{
    return fail(f, E_STALE, "the lease of job %.*s is no longer held", SP(span_cut(id, 0, 60)));
}

err fail_no_job(struct span id, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no job %.*s", SP(span_cut(id, 0, 60)));
}

/* ---- open ---- */

/* In the order of common.lua. */
static void write_conf(struct store *s)
{
    const struct store_limits *l = &s->limits;
    const int64_t numbers[CONF_NUMBERS] = {(int64_t)(s->seed >> 32),
                                           (int64_t)(s->seed & UINT32_MAX),
                                           l->retry_base_ms,
                                           l->retry_cap_ms,
                                           l->lane_max_active,
                                           l->lane_emit_ms,
                                           l->lane_burst,
                                           l->retry_floor,
                                           l->retry_percent,
                                           l->active_max,
                                           l->lease_ms,
                                           l->attempt_ms,
                                           l->ready_max,
                                           asked_lanes_most(l->lanes_max),
                                           l->fail_max,
                                           l->crash_max,
                                           l->throttle_max,
                                           l->pace.least,
                                           l->pace.clean_ms};
    buf_clear(&s->conf);
    for (int i = 0; i < CONF_NUMBERS; i++)
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_add_char(&s->conf, (char)((uint64_t)numbers[i] >> shift));
    need(!s->conf.failed);
}

static struct span id_of_archive(const struct store *s)
{
    const struct records_ops *records = s->config.records;
    return records && records->id ? records->id(s->config.archive) : SPAN("");
}

/* Schema and epoch; then what an earlier process of this node had is given back. */
static err take_over(struct store *s, wall now, struct fault *f)
{
    char fresh[40], time[CALL_NUMBER] = "",
                    member[ID_TEXT + 16] = ""; /* of the last lease that was seen */
    snprintf(fresh, sizeof fresh, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    for (int step = 0; step < OPEN_STEPS; step++) {
        struct reply r;
        struct call c = {0};
        call_number(&c, STORE_SCHEMA);
        call_number(&c, SCHEMA_LEAST);
        call_text(&c, span_of(time));
        call_text(&c, span_of(member));
        call_text(&c, span_of(fresh));
        call_text(&c, id_of_archive(s));
        err e = store_write(s, SCRIPT_OPEN, &c, now, &r, f);
        if (e)
            return e;
        if (said(&r) == SAID_STATE)
            return fail(
                f, E_CONFIG,
                "the queue in Redis has schema %lld, this version of Fulmar knows %d; use the version "
                "that made it",
                (long long)reply_number(&r, 1), STORE_SCHEMA);
        s->epoch = reply_number(&r, 1);
        span_copy(reply_text(&r, 3), time, sizeof time);
        span_copy(reply_text(&r, 4), member, sizeof member);
        if (!time[0])
            return history_is(s, reply_text(&r, 5), f);
    }
    return fail(f, E_STORE, "leases of this node do not come to an end");
}

static void take_config(struct store *s, const struct redis_config *config)
{
    s->config = *config;
    s->config.url = s->config.name = s->config.node = SPAN_NONE;
    s->config.state_dir = s->config.files_dir = NULL;
    span_copy(span_of(config->state_dir), s->dir, sizeof s->dir);
    span_copy(span_of(config->files_dir), s->files, sizeof s->files);
    span_copy(config->node.n ? config->node : SPAN("node"), s->node, sizeof s->node);
}

static struct store *make(const struct redis_config *config, const struct store_limits *limits,
                          uint64_t seed)
{
    struct store *s = heap_new_of(struct store);
    s->head.ops = &redis_ops;
    s->limits = *limits;
    s->seed = seed;
    s->run = random_u64();
    s->conf = BUF(CONF_NUMBERS * 8);
    s->scratch = BUF(256 * 1024);
    s->own = arena_new(REPLIES_BYTES);
    take_config(s, config);
    write_conf(s);
    return s;
}

err store_of_mover(struct store **out, const struct redis_config *config,
                   const struct store_limits *limits, struct fault *f)
{
    struct link_config link = {.url = config->url,
                               .name = config->name.n ? config->name : SPAN("q")};
    struct store *s = make(config, limits, 0);
    s->node[0] = '\0';
    err e = link_new(&s->link, &link, f);
    if (e) {
        redis_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

err redis_open(struct store **out, const struct redis_config *config,
               const struct store_limits *limits, uint64_t seed, wall now, struct fault *f)
{
    struct store *s = make(config, limits, seed);
    struct link_config link = {.url = config->url,
                               .name = config->name.n ? config->name : SPAN("q"),
                               .greet = history_greet,
                               .ctx = s};
    err e = config->node.n > REDIS_NODE
                ? fail(f, E_CONFIG, "the name of a node may have %d bytes", REDIS_NODE)
                : link_new(&s->link, &link, f);
    if (!e)
        e = history_open(s, f);
    struct outlook first; /* also tells the newest event */
    if (!e)
        e = take_over(s, now, f);
    if (!e)
        e = redis_outlook(s, now, &first, f);
    if (e) {
        redis_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void redis_close(struct store **s)
{
    if (!*s)
        return;
    link_free(&(*s)->link);
    secret_key_close(&(*s)->key);
    buf_free(&(*s)->conf);
    buf_free(&(*s)->scratch);
    arena_free(&(*s)->own);
    free(*s);
    *s = NULL;
}

/* ---- groups: what was done in one is done ---- */

err redis_begin(struct store *s, struct fault *f)
{
    (void)f;
    need(!s->in_group);
    s->in_group = true;
    s->broke = false;
    return E_OK;
}

/* Another server than before, or one that was started anew, has settings of its own. */
static err know_server(struct store *s)
{
    struct link_state at = link_state(s->link);
    struct preflight_facts *facts = &s->config.facts;
    if (!facts->run_id[0]) /* those of the first are given */
        snprintf(facts->run_id, sizeof facts->run_id, "%s", at.run_id);
    return strcmp(facts->run_id, at.run_id) ? preflight_read(s->link, s->own, facts, NULL)
                                            : E_OK;
}

/* What was accepted is as safe as wanted, as far as that can be known. WAIT speaks of what this connection
 * wrote: behind another one it says nothing of what came before. */
static void make_sure(struct store *s)
{
    struct link_state at = link_state(s->link);
    if (know_server(s)) {
        s->confirmed = false;
        return;
    }
    durability_reach(s->link, &s->config.facts, &s->config.durability, s->own, &s->confirmed);
    if (s->config.durability.wanted != DURABILITY_MEMORY)
        s->confirmed =
            s->confirmed && !s->doubtful && link_state(s->link).connections == at.connections;
}

err redis_commit(struct store *s, struct fault *f)
{
    (void)f;
    need(s->in_group);
    s->in_group = false;
    store_fresh(s);
    if (s->accepted)
        make_sure(s);
    s->accepted = s->doubtful = false;
    for (int i = 0; i < OUTCOMES; i++)
        metric_add(METRIC_JOBS_FINISHED, i, s->ended[i]);
    for (int i = 0; i < RETAIN_LIMITS; i++)
        metric_add(METRIC_JOBS_DELETED, i, s->deleted[i]);
    memset(s->ended, 0, sizeof s->ended);
    memset(s->deleted, 0, sizeof s->deleted);
    return E_OK;
}

enum durability redis_durability(const struct store *s, bool *out_confirmed)
{
    *out_confirmed = s->confirmed;
    bool always =
        s->config.facts.sync == SYNC_ALWAYS && s->config.durability.wanted == DURABILITY_MEMORY;
    return always ? DURABILITY_FSYNC : s->config.durability.wanted;
}

err redis_replication(struct store *s, struct store_replication *out, struct fault *f)
{
    store_fresh(s);
    return preflight_replication(s->link, s->own, out, f);
}

const struct preflight_facts *redis_facts(const struct store *s)
{
    return &s->config.facts;
}

bool redis_is_away(const struct store *s)
{
    struct link_state at = link_state(s->link);
    enum trouble t = at.trouble || at.connected ? at.trouble : at.down;
    return trouble_rows[t].passes;
}

err redis_keeps(struct store *s, struct fault *f)
{
    const struct records_ops *records = s->config.records;
    return records && records->alive ? records->alive(s->config.archive, f) : E_OK;
}

/* What fails is said again by the next step, and by every other call. */
static bool walk(struct store *s)
{
    struct audit_reply reply;
    struct history *h = &s->history;
    s->audited = clock_mono();
    if (redis_audit(s, s->now, &reply, NULL))
        return false;
    if (h->walks_before < 0)
        h->walks_before = reply.walks;
    h->walks = h->walks && reply.walks < h->walks_before + h->walks_wanted;
    return true;
}

void redis_idle(struct store *s)
{
    enum { AUDIT_MS = 1000, AT_ONCE = 50 };
    need(!s->in_group);
    store_fresh(s);
    if (link_state(s->link).connected)
        (void)know_server(s); /* it is asked again */
    if (!s->history.walks && clock_mono().ms - s->audited.ms < AUDIT_MS)
        return;
    bool well = walk(s);
    for (int i = 1; well && s->history.walks && i < AT_ONCE; i++)
        well = walk(s);
}

/* ---- outlook ---- */

static int64_t instant(const struct reply *r, size_t i)
{
    return reply_number(r, i) < 0 ? INT64_MAX : reply_number(r, i);
}

err redis_outlook(struct store *s, wall now, struct outlook *out, struct fault *f)
{
    struct reply r;
    store_fresh(s);
    err e = store_look(s, SCRIPT_OUTLOOK, &(struct call){0}, now, &r, f);
    if (e)
        return e;
    struct outlook o = {.startable = reply_number(&r, 1),
                        .startable_light = reply_number(&r, 2),
                        .runnable = reply_number(&r, 3),
                        .next_ms = instant(&r, 4),
                        .mode = (enum store_mode)reply_number(&r, 5),
                        .schedule_ms = {instant(&r, 9), instant(&r, 10)}};
    for (size_t i = 0; i < JOB_STATES; i++)
        o.by_state[i] = reply_number(reply_list(&r, 6), i);
    for (size_t i = 0; i < LANE_WORDS; i++)
        o.lanes[i] = reply_number(reply_list(&r, 7), i);
    bool behind = reply_number(&r, 8) < s->history.event; /* a hand, and no other connection */
    s->last_event = reply_number(&r, 8);
    if (behind && (e = history_check(s, f)))
        return e;
    /* The server's instants, by the clock of who asks. */
    if (!s->config.callers_time && o.next_ms != INT64_MAX)
        o.next_ms += now.ms - reply_number(&r, 11);
    *out = o;
    return E_OK;
}

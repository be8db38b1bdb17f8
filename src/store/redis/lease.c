/* lease.c - what a worker does with a job: takes it, speaks for it, brings records, ends it. Records go to the
 * archive before the queue moves the cursor (store/archive.h). */
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/fingerprint.h"

enum { AGAIN_MOST = 50, WHY_SHOWN = 1000 };

/* ---- reserve ---- */

/* As reserving.lua puts them; what is 0 or nothing at the end is not there. */
enum lease_part {
    LEASE_ID,
    LEASE_FENCE,
    LEASE_NONCE,
    LEASE_FIXED,
    LEASE_LANE,
    LEASE_CLASS,
    LEASE_EPOCH,
    LEASE_WAITED,
    LEASE_LIMIT,
    LEASE_ATTEMPT,
    LEASE_STALL,
    LEASE_DEADLINE,
    LEASE_BATCH,
    LEASE_HAVE,
    LEASE_FILTERED,
    LEASE_WRITING,
    LEASE_COUNTS,
    LEASE_CURSOR,
    LEASE_KNOWN,
    LEASE_SESSION,
    LEASE_USAGE,
    LEASE_PASSED,
    LEASE_PASSED_BYTES,
    LEASE_PASSED_ID
};

static err read_lease(const struct reply *r, struct arena *a, struct lease *out,
                      struct fault *f)
{
    char nonce[NONCE_TEXT];
    struct span fixed[FIXED_TEXTS];
    struct lease l = {
        .fence = reply_number(r, LEASE_FENCE),
        .nonce = strtoull(span_copy(reply_text(r, LEASE_NONCE), nonce, sizeof nonce), NULL, 16),
        .limit = reply_number(r, LEASE_LIMIT),
        .next_batch = reply_number(r, LEASE_BATCH),
        .have = reply_number(r, LEASE_HAVE),
        .filtered = reply_number(r, LEASE_FILTERED),
        .attempt = reply_number(r, LEASE_FENCE),
        .waited_ms = reply_number(r, LEASE_WAITED),
        .epoch = reply_number(r, LEASE_EPOCH),
        .attempt_ms = reply_number(r, LEASE_ATTEMPT),
        .stall_ms = reply_number(r, LEASE_STALL),
        .deadline_ms = reply_number(r, LEASE_DEADLINE),
        .usage = usage_read(reply_text(r, LEASE_USAGE)),
        .passed_ms = reply_number(r, LEASE_PASSED),
        .passed_bytes = reply_number(r, LEASE_PASSED_BYTES),
        .quarantine = reply_number(r, LEASE_CLASS) == LANE_QUARANTINE};
    fixed_read(reply_text(r, LEASE_FIXED), fixed);
    span_copy(reply_text(r, LEASE_ID), l.id, sizeof l.id);
    span_copy(reply_text(r, LEASE_SESSION), l.session, sizeof l.session);
    span_copy(reply_text(r, LEASE_PASSED_ID), l.passed, sizeof l.passed);
    const struct {
        struct span *to, from;
    } texts[] = {{&l.site, fixed[FIXED_SITE]},
                 {&l.kind, fixed[FIXED_KIND]},
                 {&l.target, fixed[FIXED_TARGET]},
                 {&l.spec, fixed[FIXED_SPEC]},
                 {&l.cursor, reply_text(r, LEASE_CURSOR)},
                 {&l.known, reply_text(r, LEASE_KNOWN)},
                 {&l.lane, reply_text(r, LEASE_LANE)}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err e = store_keep(a, texts[i].from, texts[i].to, f);
        if (e)
            return e;
    }
    *out = l;
    return E_OK;
}

static struct span sites_of(struct store *s, const struct reserve_args *args)
{
    struct buf b = BUF(64 * 1024);
    if (!args->sites)
        return SPAN("*");
    for (size_t i = 0; i < args->site_count; i++) {
        buf_add(&b, args->sites[i]);
        buf_add_char(&b, '\n');
    }
    struct span text = arena_keep(s->own, buf_span(&b));
    buf_free(&b);
    return text;
}

/* What an earlier lease wrote to the archive and did not get to the cursor is taken back. */
static err rewind_records(struct store *s, const struct archive_lease *lease,
                          enum item_kind counts, int64_t batch, struct fault *f)
{
    struct archive_committed ignored;
    return s->config.records
               ? s->config.records->rewind(s->config.archive, lease, counts, batch, &ignored, f)
               : E_OK;
}

void reserve_put(struct store *s, struct call *c, const struct reserve_args *args)
{
    call_text(c, args->worker);
    call_hex(c, args->random ? args->random : 1);
    if (args->request)
        call_number(c, (int64_t)args->request);
    else
        call_text(c, SPAN_NONE);
    call_number(c, args->needs);
    call_number(c, args->memory_bytes);
    call_number(c, args->time_ms);
    call_text(c, sites_of(s, args));
    call_json(s, c, args->worker);
    call_number(c, args->memory_least);
    call_number(c, args->room_after_ms);
}

err reserve_read(struct store *s, const struct reply *r, struct arena *a, struct lease *out,
                 struct fault *f)
{
    struct lease l;
    if (said(r) == SAID_END)
        return E_END;
    const struct reply *lease = reply_list(r, 1);
    err e = read_lease(lease, a, &l, f);
    if (!e && reply_number(lease, LEASE_WRITING))
        e = rewind_records(s, &(struct archive_lease){span_of(l.id), l.epoch, l.fence},
                           (enum item_kind)reply_number(lease, LEASE_COUNTS), l.next_batch, f);
    if (!e)
        *out = l;
    return e;
}

err redis_reserve(struct store *s, const struct reserve_args *args, wall now, struct arena *a,
                  struct lease *out, struct fault *f)
{
    struct reply r = {0};
    struct call c = {0};
    need(s->in_group && (unsigned)args->needs < NEEDS_COUNT);
    store_fresh(s);
    reserve_put(s, &c, args);
    err e = E_OK;
    for (int i = 0;
         !e && (i == 0 || (i < AGAIN_MOST && said(&r) == SAID_END && reply_number(&r, 1))); i++)
        e = store_look(s, SCRIPT_RESERVE, &c, now, &r, f);
    return e ? e : reserve_read(s, &r, a, out, f);
}

/* ---- started, heartbeat ---- */

void speak_put(struct call *c, struct span id, uint64_t nonce, struct span what, int64_t batch)
{
    call_text(c, id);
    call_hex(c, nonce);
    call_text(c, what);
    call_number(c, batch);
}

static err speak(struct store *s, struct span id, uint64_t nonce, struct span what,
                 int64_t batch, wall now, struct reply *out, struct fault *f)
{
    struct call c = {0};
    speak_put(&c, id, nonce, what, batch);
    err e = store_write(s, SCRIPT_LEASE, &c, now, out, f);
    return !e && said(out) == SAID_STALE ? fail_stale(id, f) : e;
}

err redis_started(struct store *s, struct span id, uint64_t nonce, struct fault *f)
{
    struct reply r;
    need(s->in_group);
    store_fresh(s);
    return speak(s, id, nonce, SPAN("started"), 0, (wall){0}, &r, f);
}

err redis_heartbeat(struct store *s, struct span id, uint64_t nonce, wall now,
                    struct heartbeat_reply *out, struct fault *f)
{
    struct reply r;
    need(s->in_group);
    store_fresh(s);
    err e = speak(s, id, nonce, SPAN("heartbeat"), 0, now, &r, f);
    if (!e)
        out->cancel = reply_number(&r, 1) != 0;
    return e;
}

/* ---- commit ---- */

/* Places in the reply of lease.lua. */
enum held_part {
    HELD_EPOCH = 2,
    HELD_FENCE,
    HELD_BATCH,
    HELD_HAVE,
    HELD_USERS,
    HELD_LIMIT,
    HELD_COUNTS,
    HELD_SITE
};

err lease_held(struct store *s, struct span id, uint64_t nonce, struct archive_lease *out,
               struct fault *f)
{
    struct reply held;
    err e = speak(s, id, nonce, SPAN("look"), 0, (wall){0}, &held, f);
    if (!e)
        *out = (struct archive_lease){id, reply_number(&held, HELD_EPOCH),
                                      reply_number(&held, HELD_FENCE)};
    return e;
}

static err write_records(struct store *s, const struct commit_args *args,
                         const struct reply *held, wall now, struct archive_committed *out,
                         struct fault *f)
{
    struct archive_commit commit = {
        .lease = {args->id, reply_number(held, HELD_EPOCH), reply_number(held, HELD_FENCE)},
        .site = reply_text(held, HELD_SITE),
        .counts = (enum item_kind)reply_number(held, HELD_COUNTS),
        .batch = args->batch,
        .items = args->items,
        .count = args->count,
        .limit = asked_least(args->limit, reply_number(held, HELD_LIMIT))};
    if (!s->config.records)
        return fail(f, E_STORE, "the queue in Redis keeps no records; set store.archive");
    return s->config.records->commit(s->config.archive, &commit, now, out, f);
}

static err move_cursor(struct store *s, const struct commit_args *args,
                       const struct archive_committed *brought, wall now,
                       struct commit_reply *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    call_text(&c, args->id);
    call_hex(&c, args->nonce);
    call_number(&c, args->batch);
    call_text(&c, args->cursor);
    call_number(&c, args->filtered);
    if (args->count) {
        const int64_t numbers[] = {brought->have,  brought->users,    brought->bytes,
                                   brought->added, brought->rejected, brought->conflicts};
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            call_number(&c, numbers[i]);
    } else {
        for (int i = 0; i < 6; i++)
            call_text(&c, SPAN_NONE);
    }
    err e = store_write(s, SCRIPT_COMMIT, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_STALE)
        return fail_stale(args->id, f);
    if (said(&r) == SAID_STATE)
        return fail(f, E_CONFLICT, "batch %lld of job %.*s is not the next one, %lld",
                    (long long)args->batch, SP(args->id), (long long)reply_number(&r, 1));
    *out = (struct commit_reply){.duplicate = reply_number(&r, 1) != 0,
                                 .have = reply_number(&r, 2)};
    if (!out->duplicate) {
        out->added = brought->added;
        out->rejected = brought->rejected;
        out->conflicts = brought->conflicts;
    }
    return E_OK;
}

/* Behind what they are about, and once: asked again it is a duplicate. That a count of fields is missing is no
 * reason to answer that the batch is. */
static void add_fields(struct store *s, struct span site, struct span counts, wall now)
{
    struct fault ignored = {0};
    if (counts.n && s->config.records)
        (void)!s->config.records->fields_add(s->config.archive, site, counts, now, &ignored);
}

err redis_commit_batch(struct store *s, const struct commit_args *args, wall now,
                       struct commit_reply *out, struct fault *f)
{
    struct reply held;
    struct archive_committed brought = {0};
    need(s->in_group);
    store_fresh(s);
    err e = speak(s, args->id, args->nonce, args->count ? SPAN("write") : SPAN("look"),
                  args->batch, now, &held, f);
    if (e)
        return e;
    int64_t next = reply_number(&held, HELD_BATCH);
    if (args->batch == next) {
        e = asked_batch(args, (enum item_kind)reply_number(&held, HELD_COUNTS), f);
        if (!e && args->count)
            e = write_records(s, args, &held, now, &brought, f);
    }
    if (!e)
        e = move_cursor(s, args, &brought, now, out, f);
    if (!e && !out->duplicate)
        add_fields(s, reply_text(&held, HELD_SITE), args->counts, now);
    return e;
}

/* ---- finish ---- */

/* As it is kept, and as members of an event's body. */
static void put_usage(struct store *s, struct call *c, struct span text)
{
    struct buf body = BUF(4 * USAGE_TEXT);
    struct json_w w = json_w(&body);
    struct usage usage = usage_read(text);
    call_text(c, text);
    json_open(&w);
    usage_put(&w, &usage);
    json_close(&w);
    struct span members = buf_span(&body);
    call_text(c, text.n ? arena_keep(s->own, span_cut(members, 1, members.n - 2)) : SPAN_NONE);
    buf_free(&body);
}

/* What the job asks for, with what is configured besides; nothing: it asks for nothing. */
static void put_retry(struct store *s, struct call *c, const struct retry_policy *own)
{
    struct retry_policy p = {s->limits.retry_base_ms, s->limits.retry_cap_ms, RETRY_FACTOR};
    if (!own->base_ms && !own->cap_ms && !own->factor) {
        call_text(c, SPAN_NONE);
        return;
    }
    p = retry_with(own, &p);
    call_text(c, span_of(arena_fmt(s->own, "%lld %lld %lld", (long long)p.base_ms,
                                   (long long)p.cap_ms, (long long)p.factor)));
}

static void put_finish(struct store *s, struct call *c, const struct finish_args *a,
                       bool in_step, struct span posts, bool looked)
{
    bool overridden = a->budget == BUDGET_RELEASE || a->budget == BUDGET_CRASH;
    const struct failure_row *row = failure_row(a->failure);
    call_text(c, a->id);
    call_hex(c, a->nonce);
    call_number(c, a->failure);
    call_text(c, span_of(failure_name(a->failure)));
    call_number(c, overridden ? a->budget : failure_charged(a->failure, a->final));
    call_flag(c, overridden);
    call_number(c, a->verdict);
    call_number(c, a->end);
    call_text(c, span_of(end_reason_name(a->end)));
    call_text(c, a->why);
    call_json(s, c, span_cut(a->why, 0, WHY_SHOWN));
    call_text(c, a->report);
    call_number(c, a->wait_ms > 0 ? a->wait_ms : 0);
    call_flag(c, row->about_target);
    call_flag(c, row->breaker && !a->final);
    call_flag(c, in_step);
    call_text(c, posts);
    call_flag(c, looked);
    struct buf words = BUF(FINGERPRINT_WORDS);
    fingerprint_words(a->why, &words);
    call_text(c, arena_keep(s->own, buf_span(&words)));
    buf_free(&words);
    /* A limit is no fault of the session's, and our own troubles are none either. */
    call_flag(c, (row->session_cools || row->breaker) && !a->final &&
                     a->failure != FAILURE_RATE_LIMITED);
    put_usage(s, c, a->usage);
    put_retry(s, c, &a->retry);
}

void finish_put(struct store *s, struct call *c, const struct finish_args *a)
{
    put_finish(s, c, a, false, SPAN_NONE, false);
}

err finish_read(const struct reply *r, struct span id, struct finish_reply *out,
                struct fault *f)
{
    if (said(r) == SAID_STALE)
        return fail_stale(id, f);
    struct finish_reply reply = {.state = (enum job_state)reply_number(r, 1),
                                 .retry_in_ms = reply_number(r, 2),
                                 .breaker_until_ms = reply_number(r, 3)};
    if (reply.breaker_until_ms)
        span_copy(reply_text(r, 4), reply.lane, sizeof reply.lane);
    span_copy(reply_text(r, 5), reply.session, sizeof reply.session);
    *out = reply;
    return E_OK;
}

/* What the archive is asked before the job ends. */
static err settle_archive(struct store *s, struct span id, const struct reply *r,
                          struct span *out_posts, struct fault *f)
{
    struct archive_lease lease = {id, reply_number(r, 1), reply_number(r, 2)};
    err e = reply_number(r, 4) ? rewind_records(s, &lease, (enum item_kind)reply_number(r, 6),
                                                reply_number(r, 3), f)
                               : E_OK;
    if (!e && reply_number(r, 5) && s->config.records)
        e = s->config.records->newest(s->config.archive, id, s->own, out_posts, f);
    return e;
}

err redis_finish(struct store *s, const struct finish_args *args, wall now,
                 struct finish_reply *out, struct fault *f)
{
    struct reply r, held;
    struct span posts = SPAN_NONE;
    need(s->in_group && (unsigned)args->failure < FAILURE_COUNT);
    store_fresh(s);
    err e =
        args->counts.n ? speak(s, args->id, args->nonce, SPAN("look"), 0, now, &held, f) : E_OK;
    for (bool asked = false; !e; asked = true) {
        struct call c = {0};
        put_finish(s, &c, args, asked, posts, asked);
        e = store_write(s, SCRIPT_FINISH, &c, now, &r, f);
        if (e || said(&r) != SAID_FIRST)
            break;
        need(!asked);
        e = settle_archive(s, args->id, &r, &posts, f);
    }
    if (!e)
        e = finish_read(&r, args->id, out, f);
    if (!e && args->counts.n)
        add_fields(s, reply_text(&held, HELD_SITE), args->counts, now);
    return e;
}

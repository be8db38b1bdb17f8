/* sessions.c - login sessions: the facts are in Redis, the cookies too, sealed with the key of the state folder, which
 * is the same on every node. */
#include "store/sessions.h"

#include "base/need.h"
#include "store/redis/inside.h"

enum {
    LIST_MAX = 1000,
    LIST_STEP = 50,
    COOKIES_MAX = 1024 * 1024,
    PLACE_TEXT = 4 * SESSION_NAME,
    SEAL_NAME = 96
};

err node_key(struct store *s, bool make, struct fault *f)
{
    if (s->key)
        return E_OK;
    if (!s->dir[0])
        return fail(f, E_CONFIG, "the store has no folder for the key of login sessions");
    return secret_key_open(&s->key, s->dir, make, f);
}

/* What cookies are sealed for: this session, and no older ones put back. */
static struct span seal_name(struct span id, int64_t version, char out[SEAL_NAME])
{
    int n = snprintf(out, SEAL_NAME, "%.*s:%lld", SP(span_cut(id, 0, 60)), (long long)version);
    return (struct span){out, (size_t)n};
}

enum session_part {
    SHOWN_ID,
    SHOWN_FIELDS,
    SHOWN_RESTS,
    SHOWN_ACTIVE,
    SHOWN_LEASES,
    SHOWN_OPEN,
    SHOWN_PLACE,
    SHOWN_REQUESTS
};

/* ---- what people do ---- */

err redis_session_add(struct store *s, const struct session_add *a, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    store_fresh(s);
    err e = asked_session(a, f);
    if (e)
        return e;
    const struct span texts[] = {SPAN("add"), a->id, a->site, a->pool, a->name};
    for (int i = 0; i < 5; i++)
        call_text(&c, texts[i]);
    call_number(&c, a->emit_ms);
    call_number(&c, a->burst);
    call_number(&c, a->max_active);
    e = store_write(s, SCRIPT_SESSION, &c, now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        e = fail(f, E_CONFLICT, "there is a session %.*s of %.*s already", SP(a->name),
                 SP(a->site));
    if (!e && said(&r) == SAID_FULL)
        e = fail(f, E_BUSY, "the pool has %d sessions already", SESSIONS_IN_POOL);
    return e;
}

/* By id, or by its name when no other site has it. */
static err find(struct store *s, struct span session, wall now, struct reply *out,
                struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("find"));
    call_text(&c, session);
    err e = store_look(s, SCRIPT_SESSION, &c, now, out, f);
    if (!e && said(out) == SAID_TAKEN)
        e = fail(f, E_CONFLICT, "two sites have a session %.*s: name it by its id",
                 SP(span_cut(session, 0, 40)));
    if (!e && said(out) == SAID_NONE)
        e = fail(f, E_NOT_FOUND, "there is no session %.*s", SP(span_cut(session, 0, 40)));
    return e;
}

static err put_cookies(struct store *s, const struct session_cookies *a, struct span id,
                       int64_t version, struct span sealed, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    char print[SECRET_PRINT];
    call_text(&c, SPAN("cookies"));
    call_text(&c, id);
    call_number(&c, version);
    call_text(&c, sealed);
    call_number(&c, a->count);
    call_number(&c, a->expires_ms);
    call_text(&c, span_of(secret_print(s->key, a->text, print)));
    err e = store_write(s, SCRIPT_SESSION, &c, now, &r, f);
    if (!e && said(&r) != SAID_OK)
        e = fail(f, E_CONFLICT, "session %.*s was changed at the same time; try again", SP(id));
    return e;
}

/* view: of the session that was found. */
static err may_rotate(struct store *s, const struct session_cookies *a,
                      const struct reply *view, struct fault *f)
{
    char print[SECRET_PRINT];
    return asked_rotation(a, reply_field_text(reply_list(view, SHOWN_FIELDS), "print"),
                          secret_print(s->key, a->text, print), f);
}

err redis_session_cookies(struct store *s, const struct session_cookies *a, wall now,
                          struct fault *f)
{
    struct reply r;
    struct buf sealed = BUF(COOKIES_MAX);
    struct span text;
    char name[SEAL_NAME];
    need(s->in_group);
    if (!a->text.n || a->count < 1 || a->expires_ms < 0)
        return fail(f, E_BAD_INPUT, "no cookies came");
    err e = find(s, a->session, now, &r, f);
    if (!e)
        e = node_key(s, true, f);
    if (!e)
        e = may_rotate(s, a, reply_list(&r, 3), f);
    if (!e)
        e = secret_seal(s->key, seal_name(reply_text(&r, 1), reply_number(&r, 2) + 1, name),
                        a->text, &sealed, f);
    if (!e && buf_end(&sealed, &text))
        e = fail(f, E_TOO_BIG, "the cookies do not fit");
    if (!e)
        e = put_cookies(s, a, reply_text(&r, 1), reply_number(&r, 2), text, now, f);
    buf_free(&sealed);
    return e;
}

err redis_session_lock(struct store *s, struct span session, bool locked, struct span reason,
                       wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    err e = find(s, session, now, &r, f);
    if (e)
        return e;
    call_text(&c, SPAN("lock"));
    call_text(&c, reply_text(&r, 1));
    call_flag(&c, locked);
    call_text(&c, span_cut(reason, 0, SESSION_REASON - 1));
    return store_write(s, SCRIPT_SESSION, &c, now, &r, f);
}

err hand_session(struct store *s, const struct hand_change *h, wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    char id[ID_TEXT];
    err e = find(s, h->key, now, &r, f);
    if (e)
        return e;
    span_copy(reply_text(&r, 1), id, sizeof id);
    call_text(&c, SPAN("hand"));
    call_text(&c, span_of(id));
    hand_call(s, &c, h, span_of(id));
    e = store_write(s, SCRIPT_SESSION, &c, now, &r, f);
    if (e || said(&r) != SAID_STATE)
        return e;
    return asked_session_closes(span_of(id), reply_number(&r, 1) != 0, reply_number(&r, 2) != 0,
                                reply_number(&r, 3) != 0, f);
}

err redis_session_remove(struct store *s, struct span session, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group);
    err e = find(s, session, s->now, &r, f);
    if (e)
        return e;
    struct span id = reply_text(&r, 1);
    call_text(&c, SPAN("remove"));
    call_text(&c, id);
    e = store_write(s, SCRIPT_SESSION, &c, s->now, &r, f);
    if (!e && said(&r) == SAID_STATE)
        e = fail(f, E_CONFLICT,
                 "a job uses session %.*s: lock it, and remove it when the job has ended",
                 SP(id));
    return e;
}

err redis_session_open(struct store *s, struct span job, uint64_t nonce, struct secret *out,
                       struct fault *f)
{
    struct reply r;
    struct call c = {0};
    char name[SEAL_NAME];
    store_fresh(s);
    call_text(&c, SPAN("open"));
    call_text(&c, job);
    call_hex(&c, nonce);
    err e = store_look(s, SCRIPT_SESSION, &c, s->now, &r, f);
    if (!e && said(&r) == SAID_STALE)
        e = fail_stale(job, f);
    if (!e && said(&r) == SAID_NONE)
        e = fail(f, E_NOT_FOUND, "the job has no session, or its session no cookies");
    if (!e)
        e = node_key(s, false, f);
    return e ? e
             : secret_unseal(s->key, seal_name(reply_text(&r, 1), reply_number(&r, 2), name),
                             reply_text(&r, 3), out, f);
}

/* ---- queries ---- */

static void state_is(struct session_view *v, enum session_state st, struct span reason,
                     int64_t since_ms)
{
    v->state = st;
    v->since_ms = since_ms;
    span_copy(reason, v->reason, sizeof v->reason);
}

static void read_state(const struct reply *fields, wall now, struct session_view *v)
{
    int64_t locked = reply_field(fields, "locked"), refused = reply_field(fields, "refused");
    if (locked)
        state_is(v, SESSION_LOCKED, reply_field_text(fields, "reason"), locked);
    else if (!v->print[0])
        state_is(v, SESSION_INVALID, SPAN("it has no cookies yet"), v->created_ms);
    else if (refused)
        state_is(v, SESSION_INVALID, reply_field_text(fields, "refusal"), refused);
    else if (v->expires_ms && v->expires_ms <= now.ms)
        state_is(v, SESSION_EXPIRED, SPAN("its cookies have ended"), v->expires_ms);
    else if (v->hand.until_ms)
        state_is(v, SESSION_COOLING, SPAN("held by hand"), v->hand.at_ms);
    else if (v->rest_count)
        state_is(v, SESSION_COOLING, SPAN("the site's limit"), 0);
    else if (v->open_ms > now.ms)
        state_is(v, SESSION_COOLING, SPAN("its own rate"), 0);
}

static void read_view(const struct reply *r, wall now, struct session_view *v)
{
    const struct reply *fields = reply_list(r, SHOWN_FIELDS),
                       *rests = reply_list(r, SHOWN_RESTS);
    *v = (struct session_view){.emit_ms = reply_field(fields, "emit"),
                               .burst = reply_field(fields, "burst"),
                               .max_active = reply_field(fields, "most"),
                               .open_ms = reply_number(r, SHOWN_OPEN),
                               .active = reply_number(r, SHOWN_ACTIVE),
                               .used_ms = reply_field(fields, "used"),
                               .last_ok_ms = reply_field(fields, "ok"),
                               .leases_24h = reply_number(r, SHOWN_LEASES),
                               .requests_24h = reply_number(r, SHOWN_REQUESTS),
                               .fails = reply_field(fields, "fails"),
                               .cookie_count = reply_field(fields, "count"),
                               .expires_ms = reply_field(fields, "expires"),
                               .created_ms = reply_field(fields, "created"),
                               .updated_ms = reply_field(fields, "updated"),
                               .revision = reply_field(fields, "revision")};
    span_copy(reply_text(r, SHOWN_ID), v->id, sizeof v->id);
    span_copy(reply_field_text(fields, "site"), v->site, sizeof v->site);
    span_copy(reply_field_text(fields, "pool"), v->pool, sizeof v->pool);
    span_copy(reply_field_text(fields, "name"), v->name, sizeof v->name);
    span_copy(reply_field_text(fields, "print"), v->print, sizeof v->print);
    for (size_t i = 0; i < rests->count && v->rest_count < SESSION_RESTS; i++) {
        struct session_rest *rest = &v->rests[v->rest_count++];
        span_copy(reply_text(reply_list(rests, i), 0), rest->operation, sizeof rest->operation);
        rest->until_ms = reply_number(reply_list(rests, i), 1);
    }
    if (reply_field(fields, "hu") > now.ms)
        hand_fields(fields, &v->hand);
    read_state(fields, now, v);
}

err redis_session(struct store *s, struct span session, wall now, struct session_view *out,
                  struct fault *f)
{
    struct reply r;
    err e = find(s, session, now, &r, f);
    if (!e)
        read_view(reply_list(&r, 3), now, out);
    return e;
}

err redis_sessions(struct store *s, struct span site, struct span pool, wall now,
                   struct arena *a, struct session_view **out, size_t *out_count,
                   struct fault *f)
{
    char last[PLACE_TEXT] = "";
    struct reply r = {0};
    size_t n = 0;
    struct session_view *all = arena_try(a, LIST_MAX * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        struct call c = {0};
        store_fresh(s);
        call_text(&c, SPAN("list"));
        call_text(&c, span_of(last));
        call_number(&c, LIST_STEP);
        err e = store_look(s, SCRIPT_SESSION, &c, now, &r, f);
        if (e)
            return e;
        for (size_t i = 1; i < r.count && n < LIST_MAX; i++) {
            const struct reply *one = reply_list(&r, i);
            span_copy(reply_text(one, SHOWN_PLACE), last, sizeof last);
            read_view(one, now, &all[n]);
            n += (!site.n || span_is(site, all[n].site)) &&
                 (!pool.n || span_is(pool, all[n].pool));
        }
    } while (n < LIST_MAX && r.count == LIST_STEP + 1);
    *out = all;
    *out_count = n;
    return E_OK;
}

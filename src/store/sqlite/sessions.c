/* sessions.c - logins that jobs use: their rows, who may use one now, and what an ending says of it. */
#include "store/sessions.h"

#include "store/sqlite/inside.h"

#include "base/id.h"
#include "base/need.h"
#include "core/pick.h"

enum { LIST_MAX = 1000, HOURS = 24 };
static const int64_t HOUR_MS = 3600 * 1000;
/* A challenge was shown to it: long enough for a person to look. */
static const int64_t BLOCKED_REST_MS = 15 * 60 * 1000;

/* ---- the key ---- */

err store_key(struct store *s, bool make, struct fault *f)
{
    return s->key ? E_OK : secret_key_open(&s->key, s->dir, make, f);
}

/* What cookies are sealed for: this session, and no older ones put back. */
static struct span seal_name(struct span id, int64_t version, char out[96])
{
    int n = snprintf(out, 96, "%.*s:%lld", SP(span_cut(id, 0, 60)), (long long)version);
    return (struct span){out, (size_t)n};
}

/* ---- rows ---- */

struct session_row {
    int64_t sid, cookie_version;
    char id[ID_TEXT], site[SESSION_NAME], pool[SESSION_NAME], print[SECRET_PRINT];
};

static err find(struct store *s, struct span session, struct session_row *out, struct fault *f)
{
    struct query *q;
    size_t found = 0;
    err e = db_ask(s->db, SQL_SESSION_FIND, &q, f, DB_T(session));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        out->sid = db_int(q, 0);
        out->cookie_version = db_int(q, 4);
        span_copy(db_text(q, 1), out->id, sizeof out->id);
        span_copy(db_text(q, 2), out->site, sizeof out->site);
        span_copy(db_text(q, 3), out->pool, sizeof out->pool);
        span_copy(db_text(q, 5), out->print, sizeof out->print);
        found++;
    }
    db_end(q);
    if (e != E_END)
        return e;
    if (found > 1)
        return fail(f, E_CONFLICT, "two sites have a session %.*s: name it by its id",
                    SP(span_cut(session, 0, 40)));
    return found
               ? E_OK
               : fail(f, E_NOT_FOUND, "there is no session %.*s", SP(span_cut(session, 0, 40)));
}

/* ---- what people do ---- */

/* A session by itself, as if it were a pool: its id. */
static bool is_one(struct span pool)
{
    return id_valid(pool, "ses");
}

/* Who waits for this session, or for one of its pool, may go on, or not. */
static void say_changed(struct store *s, const struct session_row *r)
{
    lanes_pool_changed(s, span_of(r->site), span_of(r->pool));
    lanes_pool_changed(s, span_of(r->site), span_of(r->id));
}

static err number_of(struct store *s, enum sql id, struct span site, struct span text,
                     int64_t now_ms, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, id, &q, f, DB_T(site), DB_T(text), DB_I(now_ms));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e;
}

err sqlite_session_add(struct store *s, const struct session_add *a, wall now, struct fault *f)
{
    int64_t same = 0, in_pool = 0;
    err e = store_usable(s, f);
    if (!e)
        e = asked_session(a, f);
    if (!e)
        e = number_of(s, SQL_SESSIONS_NAMED, a->site, a->name, 0, &same, f);
    if (!e && same)
        e = fail(f, E_CONFLICT, "there is a session %.*s of %.*s already", SP(a->name),
                 SP(a->site));
    if (!e)
        e = number_of(s, SQL_SESSIONS_IN_POOL, a->site, a->pool, 0, &in_pool, f);
    if (!e && in_pool >= SESSIONS_IN_POOL)
        e = fail(f, E_BUSY, "the pool has %d sessions already", SESSIONS_IN_POOL);
    if (e)
        return e;
    return db_run(s->db, SQL_SESSION_ADD, f, DB_T(a->id), DB_T(a->site), DB_T(a->pool),
                  DB_T(a->name), DB_I(a->emit_ms), DB_I(a->burst), DB_I(a->max_active),
                  DB_I(now.ms));
}

err sqlite_session_cookies(struct store *s, const struct session_cookies *a, wall now,
                           struct fault *f)
{
    struct session_row r;
    struct buf sealed = BUF(1024 * 1024);
    struct span text;
    char name[96], print[SECRET_PRINT];
    err e = store_usable(s, f);
    if (!e && (!a->text.n || a->count < 1 || a->expires_ms < 0))
        e = fail(f, E_BAD_INPUT, "no cookies came");
    if (!e)
        e = find(s, a->session, &r, f);
    if (!e)
        e = store_key(s, true, f);
    if (!e)
        e = asked_rotation(a, span_of(r.print), secret_print(s->key, a->text, print), f);
    if (!e)
        e = secret_seal(s->key, seal_name(span_of(r.id), r.cookie_version + 1, name), a->text,
                        &sealed, f);
    if (!e && buf_end(&sealed, &text))
        e = fail(f, E_TOO_BIG, "the cookies do not fit");
    if (!e)
        e = db_run(s->db, SQL_SESSION_COOKIES, f, DB_I(r.sid), DB_T(text), DB_I(a->count),
                   DB_I(a->expires_ms), DB_T(span_of(print)), DB_I(now.ms));
    /* Limits and refusals were those of the login before. */
    if (!e)
        e = db_run(s->db, SQL_SESSION_RESTS_DELETE, f, DB_I(r.sid));
    buf_free(&sealed);
    if (!e)
        say_changed(s, &r);
    return e;
}

err sqlite_session_lock(struct store *s, struct span session, bool locked, struct span reason,
                        wall now, struct fault *f)
{
    struct session_row r;
    err e = store_usable(s, f);
    if (!e)
        e = find(s, session, &r, f);
    if (!e)
        e = db_run(s->db, SQL_SESSION_LOCK, f, DB_I(r.sid), DB_I(locked),
                   DB_T(reason.n ? span_cut(reason, 0, SESSION_REASON - 1) : SPAN("")),
                   DB_I(now.ms));
    if (!e)
        say_changed(s, &r);
    return e;
}

/* What a session has of what may keep it from being closed; and whether closing it changes anything. */
struct session_shut {
    bool cookies, refused, expired, changes;
};

static err read_shut(struct store *s, const struct session_row *r, const struct hand_change *c,
                     wall now, struct session_shut *out, struct fault *f)
{
    struct query *q;
    struct hand held;
    err e = hand_read(s, HAND_OF_SESSION, span_of(r->id), now, &held, f);
    if (!e)
        e = db_ask(s->db, SQL_SESSION_CLOSES, &q, f, DB_I(r->sid), DB_I(now.ms));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e)
        *out = (struct session_shut){.cookies = db_int(q, 0) != 0,
                                     .refused = db_int(q, 1) != 0,
                                     .expired = db_int(q, 2) != 0,
                                     .changes = held.until_ms || db_int(q, 3) || db_int(q, 4) ||
                                                (c->act == HAND_RESET && db_int(q, 5))};
    db_end(q);
    return e;
}

static err close_session(struct store *s, const struct session_row *r,
                         const struct hand_change *c, wall now, bool *out_changed,
                         struct fault *f)
{
    struct session_shut shut = {0};
    err e = read_shut(s, r, c, now, &shut, f);
    if (!e)
        e = asked_session_closes(span_of(r->id), shut.cookies, shut.refused, shut.expired, f);
    *out_changed = !e && shut.changes;
    if (e || !shut.changes)
        return e;
    e = db_run(s->db, SQL_SESSION_CLOSE, f, DB_I(r->sid), DB_I(c->act == HAND_RESET),
               DB_I(now.ms));
    return e ? e : db_run(s->db, SQL_SESSION_RESTS_DELETE, f, DB_I(r->sid));
}

err sessions_hand(struct store *s, const struct hand_change *c, wall now, char out_key[ID_TEXT],
                  bool *out_changed, struct fault *f)
{
    struct session_row r;
    struct hand held = {.until_ms = 0};
    err e = find(s, c->key, &r, f);
    if (e)
        return e;
    memcpy(out_key, r.id, ID_TEXT);
    if (c->act == HAND_OPEN) {
        e = hand_read(s, HAND_OF_SESSION, span_of(r.id), now, &held, f);
        *out_changed = !e && held.until_ms != now.ms + c->hold_ms;
        if (!e)
            e = db_run(s->db, SQL_SESSION_TOUCH, f, DB_I(r.sid), DB_I(now.ms));
    } else {
        e = close_session(s, &r, c, now, out_changed, f);
    }
    if (!e && *out_changed)
        say_changed(s, &r);
    return e;
}

err sqlite_session_remove(struct store *s, struct span session, struct fault *f)
{
    struct session_row r;
    int64_t used = 0;
    err e = store_usable(s, f);
    if (!e)
        e = find(s, session, &r, f);
    if (!e)
        e = number_of(s, SQL_SESSION_USED, span_of(r.id), SPAN(""), 0, &used, f);
    if (!e && used)
        e = fail(f, E_CONFLICT,
                 "a job uses session %s: lock it, and remove it when the job has ended", r.id);
    static const enum sql steps[] = {SQL_SESSION_RESTS_DELETE, SQL_SESSION_HOURS_DELETE,
                                     SQL_SESSION_DELETE};
    for (size_t i = 0; !e && i < sizeof steps / sizeof *steps; i++)
        e = db_run(s->db, steps[i], f, DB_I(r.sid));
    if (!e)
        e = hand_drop(s, HAND_OF_SESSION, span_of(r.id), f);
    if (!e)
        say_changed(s, &r);
    return e;
}

/* ---- which one ---- */

struct candidates {
    int64_t sid[SESSIONS_IN_POOL];
    char id[SESSIONS_IN_POOL][ID_TEXT];
    struct pick_session pick[SESSIONS_IN_POOL];
    size_t count;
};

static void read_candidate(struct query *q, struct candidates *c)
{
    struct limit rate = {
        .emit_ms = db_int(q, 4), .burst = db_int(q, 5), .tat_ms = db_int(q, 3)};
    bool taken = db_int(q, 7) >= db_int(q, 6);
    c->sid[c->count] = db_int(q, 0);
    span_copy(db_text(q, 1), c->id[c->count], ID_TEXT);
    /* One that is taken may be used again when it is given back, and nobody knows when: the lane is
     * looked at again then. */
    c->pick[c->count++] =
        (struct pick_session){.healthy = db_int(q, 9) != 0 && !taken,
                              .used_ms = db_int(q, 2),
                              .open_ms = rate.emit_ms ? limit_open_at(&rate) : 0,
                              .rests_until_ms = {db_int(q, 8)}};
}

err sessions_pick(struct store *s, struct span site, struct span pool, struct span operation,
                  wall now, struct session_pick *out, int64_t *out_open_ms, struct fault *f)
{
    struct candidates *c = heap_new_of(struct candidates);
    struct query *q;
    err e =
        db_ask(s->db, is_one(pool) ? SQL_SESSION_ALONE : SQL_SESSION_CANDIDATES, &q, f,
               DB_T(site), DB_T(pool), DB_T(operation), DB_I(now.ms), DB_I(SESSIONS_IN_POOL));
    while (!e && (e = db_step(q, f)) == E_OK)
        read_candidate(q, c);
    if (e == E_END) {
        db_end(q);
        int64_t open_ms = INT64_MAX;
        int best = pick_session(c->pick, c->count, 0, now.ms, &open_ms);
        if (best == PICK_NOBODY) {
            *out_open_ms = open_ms;
        } else {
            out->sid = c->sid[best];
            memcpy(out->id, c->id[best], ID_TEXT);
            e = E_OK;
        }
    }
    free(c);
    return e;
}

err sessions_take(struct store *s, const struct session_pick *p, int64_t job,
                  struct span operation, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_SESSION_TAKE, f, DB_I(p->sid), DB_I(now.ms));
    if (!e)
        e = db_run(s->db, SQL_SESSION_LEASE, f, DB_I(job), DB_I(p->sid), DB_T(operation));
    if (!e)
        e = db_run(s->db, SQL_SESSION_HOUR, f, DB_I(p->sid), DB_I(now.ms / HOUR_MS));
    if (!e)
        e = db_run(s->db, SQL_SESSION_HOURS_OLD, f, DB_I(p->sid),
                   DB_I(now.ms / HOUR_MS - HOURS));
    return e;
}

/* ---- the lease of a job ---- */

struct lease_row {
    struct session_row session;
    int64_t leased_version; /* of the cookies that the job was given */
    char operation[SESSION_NAME];
    bool alone; /* the job wanted this one, not one of a pool */
};

/* E_END: the job has none. */
static err find_lease(struct store *s, int64_t job, struct lease_row *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_SESSION_OF_JOB, &q, f, DB_I(job));
    if (e)
        return e;
    e = db_step(q, f);
    if (!e) {
        out->session.sid = db_int(q, 0);
        span_copy(db_text(q, 1), out->session.id, sizeof out->session.id);
        span_copy(db_text(q, 2), out->session.site, sizeof out->session.site);
        span_copy(db_text(q, 3), out->session.pool, sizeof out->session.pool);
        out->session.cookie_version = db_int(q, 4);
        out->leased_version = db_int(q, 5);
        span_copy(db_text(q, 6), out->operation, sizeof out->operation);
        out->alone = db_int(q, 7) != 0;
    }
    db_end(q);
    return e;
}

static err rest(struct store *s, int64_t sid, const char *operation, int64_t until_ms, wall now,
                struct fault *f)
{
    err e = db_run(s->db, SQL_SESSION_RESTS_OLD, f, DB_I(sid), DB_I(now.ms));
    return e ? e
             : db_run(s->db, SQL_SESSION_REST, f, DB_I(sid), DB_T(span_of(operation)),
                      DB_I(until_ms));
}

/* Refused by the site; unless other cookies came meanwhile: those are another login. */
static err refuse(struct store *s, const struct lease_row *l, struct span why, wall now,
                  struct session_noted *out, struct fault *f)
{
    if (l->leased_version == l->session.cookie_version) {
        err e = db_run(
            s->db, SQL_SESSION_REFUSED, f, DB_I(l->session.sid),
            DB_T(why.n ? span_cut(why, 0, SESSION_REASON - 1) : SPAN("the site refused it")),
            DB_I(now.ms));
        if (e)
            return e;
        out->lost = true;
    }
    int64_t healthy = 0;
    if (l->alone) {
        out->others = !out->lost; /* with other cookies it is another one */
        return E_OK;
    }
    err e = sessions_usable(s, span_of(l->session.site), span_of(l->session.pool), now,
                            &healthy, f);
    out->others = healthy > 0;
    return e;
}

err sessions_usable(struct store *s, struct span site, struct span pool, wall now, int64_t *out,
                    struct fault *f)
{
    return number_of(s, is_one(pool) ? SQL_SESSION_ALONE_USABLE : SQL_SESSIONS_USABLE, site,
                     pool, now.ms, out, f);
}

/* A limit is no fault of the session's, and our own troubles are none either. */
static bool counts_against(enum failure_class failure)
{
    const struct failure_row *row = failure_row(failure);
    return (row->session_cools || row->breaker) && failure != FAILURE_RATE_LIMITED;
}

err sessions_note(struct store *s, int64_t job, enum failure_class failure, int64_t rest_ms,
                  struct span why, int64_t requests, wall now, struct session_noted *out,
                  struct fault *f)
{
    struct lease_row l;
    struct session_noted noted = {0};
    err e = find_lease(s, job, &l, f);
    if (e == E_END) {
        *out = noted;
        return E_OK;
    }
    if (e)
        return e;
    noted.held = true;
    memcpy(noted.id, l.session.id, sizeof noted.id);
    if (failure == FAILURE_NONE || failure_row(failure)->about_target)
        e = db_run(s->db, SQL_SESSION_OK, f, DB_I(l.session.sid), DB_I(now.ms), DB_I(l.alone));
    else if (counts_against(failure))
        e = db_run(s->db, SQL_SESSION_FAILED, f, DB_I(l.session.sid), DB_I(now.ms));
    if (!e && requests > 0)
        e = db_run(s->db, SQL_SESSION_ASKED, f, DB_I(l.session.sid), DB_I(now.ms / HOUR_MS),
                   DB_I(requests));
    if (!e && failure == FAILURE_RATE_LIMITED)
        e = rest(s, l.session.sid, l.operation, now.ms + rest_ms, now, f);
    if (!e && failure == FAILURE_BLOCKED)
        e = rest(s, l.session.sid, SESSION_EVERYTHING, now.ms + BLOCKED_REST_MS, now, f);
    /* With cookies that ought to open it, a page that asks for a login says the same. */
    if (!e && (failure == FAILURE_SESSION_INVALID || failure == FAILURE_LOGIN_REQUIRED))
        e = refuse(s, &l, why, now, &noted, f);
    if (!e)
        *out = noted;
    return e;
}

err sessions_release(struct store *s, int64_t job, struct fault *f)
{
    struct lease_row l;
    err e = find_lease(s, job, &l, f);
    if (e)
        return e == E_END ? E_OK : e;
    e = db_run(s->db, SQL_SESSION_RELEASE, f, DB_I(job));
    if (!e)
        say_changed(s, &l.session);
    return e;
}

err sqlite_session_open(struct store *s, struct span job, uint64_t nonce, struct secret *out,
                        struct fault *f)
{
    struct job_row r;
    struct query *q;
    char name[96];
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = job_row_held(s, job, nonce, &r, f);
    if (!e)
        e = db_ask(s->db, SQL_SESSION_SEALED, &q, f, DB_I(r.seq));
    if (e)
        return e;
    e = db_step(q, f);
    if (e == E_END)
        e = fail(f, E_NOT_FOUND, "the job has no session, or its session no cookies");
    if (!e)
        e = store_key(s, false, f);
    if (!e)
        e = secret_unseal(s->key, seal_name(db_text(q, 0), db_int(q, 1), name), db_text(q, 2),
                          out, f);
    db_end(q);
    return e;
}

/* ---- queries ---- */

static err read_rests(struct store *s, int64_t sid, wall now, struct session_view *v,
                      struct fault *f)
{
    struct query *q;
    err e =
        db_ask(s->db, SQL_SESSION_RESTS, &q, f, DB_I(sid), DB_I(now.ms), DB_I(SESSION_RESTS));
    if (e)
        return e;
    while ((e = db_step(q, f)) == E_OK) {
        struct session_rest *r = &v->rests[v->rest_count++];
        span_copy(db_text(q, 0), r->operation, sizeof r->operation);
        r->until_ms = db_int(q, 1);
    }
    db_end(q);
    return e == E_END ? E_OK : e;
}

static void state_is(struct session_view *v, enum session_state st, struct span reason,
                     int64_t since_ms)
{
    v->state = st;
    v->since_ms = since_ms;
    span_copy(reason, v->reason, sizeof v->reason);
}

static void read_state(struct query *q, wall now, struct session_view *v)
{
    int64_t locked = db_int(q, 16), refused = db_int(q, 18);
    if (locked)
        state_is(v, SESSION_LOCKED, db_text(q, 17), locked);
    else if (!v->print[0])
        state_is(v, SESSION_INVALID, SPAN("it has no cookies yet"), v->created_ms);
    else if (refused)
        state_is(v, SESSION_INVALID, db_text(q, 19), refused);
    else if (v->expires_ms && v->expires_ms <= now.ms)
        state_is(v, SESSION_EXPIRED, SPAN("its cookies have ended"), v->expires_ms);
}

static void read_view(struct query *q, wall now, struct session_view *v)
{
    *v = (struct session_view){
        .emit_ms = db_int(q, 5),
        .burst = db_int(q, 6),
        .max_active = db_int(q, 8),
        .used_ms = db_int(q, 9),
        .last_ok_ms = db_int(q, 10),
        .fails = db_int(q, 11),
        .cookie_count = db_int(q, 12),
        .expires_ms = db_int(q, 13),
        .created_ms = db_int(q, 14),
        .updated_ms = db_int(q, 15),
        .revision = db_int(q, 21),
        .active = db_int(q, 22),
        .leases_24h = db_int(q, 23),
        .requests_24h = db_int(q, 24),
    };
    struct limit rate = {.emit_ms = v->emit_ms, .burst = v->burst, .tat_ms = db_int(q, 7)};
    v->open_ms = v->emit_ms ? limit_open_at(&rate) : 0;
    span_copy(db_text(q, 1), v->id, sizeof v->id);
    span_copy(db_text(q, 2), v->site, sizeof v->site);
    span_copy(db_text(q, 3), v->pool, sizeof v->pool);
    span_copy(db_text(q, 4), v->name, sizeof v->name);
    span_copy(db_text(q, 20), v->print, sizeof v->print);
    read_state(q, now, v);
}

/* Rows of a query that begins with the session's number; at most `most`. */
static err read_views(struct store *s, struct query *q, wall now, struct session_view *out,
                      size_t most, size_t *out_count, struct fault *f)
{
    size_t n = 0;
    err e = E_END;
    while (n < most && (e = db_step(q, f)) == E_OK) {
        struct session_view *v = &out[n++];
        read_view(q, now, v);
        e = read_rests(s, db_int(q, 0), now, v, f);
        if (e)
            break;
        e = hand_read(s, HAND_OF_SESSION, span_of(v->id), now, &v->hand, f);
        if (e)
            break;
        const char *rests = v->hand.until_ms      ? "held by hand"
                            : v->rest_count       ? "the site's limit"
                            : v->open_ms > now.ms ? "its own rate"
                                                  : NULL;
        if (v->state == SESSION_ACTIVE && rests)
            state_is(v, SESSION_COOLING, span_of(rests), v->hand.at_ms);
    }
    db_end(q);
    *out_count = n;
    return e == E_END ? E_OK : e;
}

err sqlite_session(struct store *s, struct span session, wall now, struct session_view *out,
                   struct fault *f)
{
    struct session_row r;
    struct query *q;
    size_t n = 0;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = find(s, session, &r, f);
    if (!e)
        e = db_ask(s->db, SQL_SESSION_VIEW, &q, f, DB_T(span_of(r.id)),
                   DB_I(now.ms / HOUR_MS - HOURS));
    return e ? e : read_views(s, q, now, out, 1, &n, f);
}

err sqlite_sessions(struct store *s, struct span site, struct span pool, wall now,
                    struct arena *a, struct session_view **out, size_t *out_count,
                    struct fault *f)
{
    struct query *q;
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    struct session_view *all = arena_try(a, LIST_MAX * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = db_ask(s->db, SQL_SESSION_VIEWS, &q, f, DB_T(site.n ? site : SPAN("")),
                   DB_T(site.n ? site : SPAN("\x7f")), DB_T(pool.n ? pool : SPAN("")),
                   DB_I(now.ms / HOUR_MS - HOURS));
    if (!e)
        e = read_views(s, q, now, all, LIST_MAX, out_count, f);
    if (!e)
        *out = all;
    return e;
}

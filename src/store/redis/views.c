/* views.c - jobs and their events as people see them; the mode. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "store/start.h"

enum { VIEWS_STEP = 50, EVENTS_STEP = 100, FIND_STEP = 500 /* jobs that view.lua looks at */ };

/* ---- jobs ---- */

enum view_part {
    VIEW_FIELDS,
    VIEW_FIXED,
    VIEW_CURSOR,
    VIEW_WHY,
    VIEW_REPORT,
    VIEW_WAITING,
    VIEW_UNTIL,
    VIEW_ID,
    VIEW_AHEAD
};

/* Fields of the hash j:ID that are shown, as common.lua calls them. */
/* clang-format off */
#define VIEW_NUMBERS(X)                                                                        \
    X("li", limit)                                                                             \
    X("ha", have)                                                                              \
    X("us", users)                                                                             \
    X("rj", rejected)                                                                          \
    X("cf", conflicts) X("fi", filtered) X("fe", fence) X("nf", n_fail) X("nc", n_crash)       \
        X("nt", n_throttle) X("nr", n_release) X("nb", next_batch) X("ca", created_ms)         \
            X("ra", run_at_ms) X("sa", started_ms) X("fa", finished_ms) X("rv", revision)      \
                X("nk", n_ok) X("nv", n_void) X("ge", generation) X("pr", prio)                \
                    X("ov", expires_ms) X("de", deadline_ms) X("rg", result_age_ms)            \
                        X("mf", max_fail) X("sq", number)
/* clang-format on */

static err keep_texts(const struct reply *r, const struct reply *fields, struct arena *a,
                      struct job_view *v, struct fault *f)
{
    struct span fixed[FIXED_TEXTS];
    fixed_read(reply_text(r, VIEW_FIXED), fixed);
    const struct {
        struct span *to, from;
    } texts[] = {{&v->site, fixed[FIXED_SITE]},
                 {&v->kind, fixed[FIXED_KIND]},
                 {&v->target, fixed[FIXED_TARGET]},
                 {&v->spec, fixed[FIXED_SPEC]},
                 {&v->lane, reply_field_text(fields, "ln")},
                 {&v->cursor, reply_text(r, VIEW_CURSOR)},
                 {&v->why, reply_text(r, VIEW_WHY)},
                 {&v->report, reply_text(r, VIEW_REPORT)},
                 {&v->unique_key, reply_field_text(fields, "uk")},
                 {&v->from_job, reply_field_text(fields, "sf")},
                 {&v->worker, v->lease_until_ms ? reply_field_text(fields, "wo") : SPAN_NONE}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        err e = store_keep(a, texts[i].from, texts[i].to, f);
        if (e)
            return e;
    }
    return E_OK;
}

static err job_view_of(const struct reply *r, struct arena *a, struct job_view *v,
                       struct fault *f)
{
    const struct reply *fields = reply_list(r, VIEW_FIELDS);
#define MEMBER(name, member) .member = reply_field(fields, name),
    *v = (struct job_view){VIEW_NUMBERS(MEMBER).state =
                               (enum job_state)reply_field(fields, "st"),
                           .failure = (enum failure_class)reply_field(fields, "fl"),
                           .verdict = (enum verdict)reply_field(fields, "ve"),
                           .end = (enum end_reason)reply_field(fields, "en"),
                           .counts = (enum item_kind)reply_field(fields, "co"),
                           .source = (enum store_source)reply_field(fields, "so"),
                           .cancel_asked = reply_field(fields, "cq") != 0,
                           .waiting = (enum waiting)reply_number(r, VIEW_WAITING),
                           .waiting_until_ms = reply_number(r, VIEW_UNTIL)};
#undef MEMBER
    v->fails = v->n_fail - reply_field(fields, "fb") + v->n_crash - reply_field(fields, "cb");
    v->lease_until_ms = v->state == JOB_ACTIVE ? reply_field(fields, "le") : 0;
    v->held = v->run_at_ms == STORE_HELD_MS && v->state <= JOB_SCHEDULED;
    if (v->held)
        v->run_at_ms = reply_field(fields, "hr");
    v->ahead = r->count > VIEW_AHEAD ? reply_number(r, VIEW_AHEAD) : -1;
    if (v->ahead > JOB_AHEAD_MOST)
        v->ahead = -1;
    start_guess(v, &(struct meter_sums){0}, (wall){0});
    v->usage = usage_read(reply_field_text(fields, "ug"));
    span_copy(reply_text(r, VIEW_ID), v->id, sizeof v->id);
    span_copy(reply_field_text(fields, "fp"), v->fingerprint, sizeof v->fingerprint);
    span_copy(reply_field_text(fields, "ba"), v->batch, sizeof v->batch);
    return keep_texts(r, fields, a, v, f);
}

static err guess_start(struct store *s, wall now, struct job_view *v, struct fault *f)
{
    struct meter_sums sums;
    err e = redis_lane_meter(s, v->lane, METER_WINDOW_MS, now, &sums, f);
    if (!e)
        start_guess(v, &sums, now);
    return e == E_NOT_FOUND ? E_OK : e; /* the job was the last of its lane, and is gone */
}

static err look_at_one(struct store *s, struct span id, wall now, struct reply *out,
                       struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("one"));
    call_text(&c, id);
    return store_look(s, SCRIPT_VIEW, &c, now, out, f);
}

err redis_job(struct store *s, struct span id, wall now, struct arena *a, struct job_view *out,
              struct fault *f)
{
    struct reply r;
    bool came = false;
    err e = look_at_one(s, id, now, &r, f);
    bool none = !e && said(&r) == SAID_NONE;
    if (none)
        e = batch_job_enter(s, id, now, &came, f);
    if (!e && came) {
        e = look_at_one(s, id, now, &r, f);
        none = !e && said(&r) == SAID_NONE;
    }
    if (!e && none)
        e = fail_no_job(id, f);
    if (!e)
        e = job_view_of(reply_list(&r, 1), a, out, f);
    return e || out->ahead < 0 ? e : guess_start(s, now, out, f);
}

err redis_keyed(struct store *s, struct span tenant, struct span key, wall now,
                char out_id[ID_TEXT], struct fault *f)
{
    struct reply r;
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("keyed"));
    call_text(&c, tenant);
    call_text(&c, key);
    err e = store_look(s, SCRIPT_VIEW, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return asked_no_key(f);
    span_copy(reply_text(&r, 1), out_id, ID_TEXT);
    return E_OK;
}

err job_place(struct store *s, struct span id, wall now, int64_t *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    call_text(&c, SPAN("one"));
    call_text(&c, id);
    err e = store_look(s, SCRIPT_VIEW, &c, now, &r, f);
    if (e)
        return e;
    if (said(&r) == SAID_NONE)
        return asked_no_after(id, f);
    *out = reply_field(reply_list(reply_list(&r, 1), VIEW_FIELDS), "sq");
    return E_OK;
}

static err next_views(struct store *s, int state, int64_t before, size_t most, wall now,
                      struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("list"));
    call_number(&c, state);
    call_number(&c, before);
    call_number(&c, (int64_t)most);
    return store_look(s, SCRIPT_VIEW, &c, now, out, f);
}

err job_views_add(const struct reply *r, struct arena *a, struct job_view *all, size_t *n,
                  int64_t *place, struct fault *f)
{
    err e = E_OK;
    for (size_t i = 1; !e && i < r->count; i++) {
        *place = reply_field(reply_list(reply_list(r, i), VIEW_FIELDS), "sq");
        e = job_view_of(reply_list(r, i), a, &all[*n], *n ? NULL : f);
        *n += e == E_OK;
    }
    return e;
}

err redis_jobs(struct store *s, const struct jobs_query *q, wall now, struct arena *a,
               struct job_view **out_jobs, size_t *out_count, struct fault *f)
{
    int64_t before = -1;
    size_t n = 0;
    struct reply r = {0};
    need(q->limit >= 1 && q->limit <= 500);
    store_fresh(s);
    err e = q->after.n ? job_place(s, q->after, now, &before, f) : E_OK;
    if (e)
        return e;
    struct job_view *all = arena_try(a, q->limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    do {
        size_t most = q->limit - n < VIEWS_STEP ? q->limit - n : VIEWS_STEP;
        e = next_views(s, q->state, before, most, now, &r, f);
        if (!e)
            e = job_views_add(&r, a, all, &n, &before, f);
    } while (!e && n < q->limit && r.count == VIEWS_STEP + 1);
    /* What fits is answered; the reader goes on after the last one. */
    if (e && !(e == E_TOO_BIG && n > 0))
        return e;
    *out_jobs = all;
    *out_count = n;
    return E_OK;
}

/* ---- by a filter ---- */

void call_filter(struct call *c, const struct jobs_filter *by)
{
    call_number(c, by->states);
    call_number(c, by->class);
    call_number(c, by->failure);
    call_number(c, by->since_ms);
    call_number(c, by->until_ms);
    call_flag(c, by->held);
    call_text(c, by->tenant);
    call_text(c, by->site);
    call_text(c, by->kind);
    call_text(c, by->target);
    call_text(c, by->lane);
    call_text(c, by->labels);
}

enum { FOUND_PLACE = 1, FOUND_ID, FOUND_LOOKED, FOUND_OLDEST, FOUND_NEWEST, FOUND_FIRST };

/* Where the next look begins: a number, or a time and whose end that was. */
struct behind {
    int64_t at;
    char id[ID_TEXT];
};

static err ended_at(struct store *s, struct span id, wall now, int64_t *out, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    call_text(&c, SPAN("one"));
    call_text(&c, id);
    err e = store_look(s, SCRIPT_VIEW, &c, now, &r, f);
    if (!e && said(&r) == SAID_NONE)
        e = asked_no_after(id, f);
    if (!e)
        *out = reply_field(reply_list(reply_list(&r, 1), VIEW_FIELDS), "fa");
    return !e && !*out ? asked_after_runs(id, f) : e;
}

static err start_of(struct store *s, const struct jobs_find *q, wall now, struct behind *out,
                    struct fault *f)
{
    *out = (struct behind){.at = -1};
    if (!q->after.n)
        return E_OK;
    span_copy(q->after, out->id, sizeof out->id);
    out->at = q->by_end ? q->after_ended_ms : q->after_number;
    if (out->at)
        return E_OK;
    return q->by_end ? ended_at(s, q->after, now, &out->at, f)
                     : job_place(s, q->after, now, &out->at, f);
}

static err next_found(struct store *s, const struct jobs_find *q, const struct behind *place,
                      size_t most, wall now, struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("find"));
    call_number(&c, place->at);
    call_number(&c, q->only_count ? 0 : (int64_t)(most < VIEWS_STEP ? most : VIEWS_STEP));
    call_flag(&c, q->oldest_first);
    call_filter(&c, &q->filter);
    call_flag(&c, q->by_end);
    call_text(&c, span_of(place->id));
    return store_look(s, SCRIPT_VIEW, &c, now, out, f);
}

static err add_found(const struct reply *r, struct arena *a, struct jobs_found *out,
                     struct fault *f)
{
    err e = E_OK;
    for (size_t i = FOUND_FIRST; !e && i < r->count; i++) {
        struct job_view *v = &out->jobs[out->count];
        e = job_view_of(reply_list(r, i), a, v, out->count ? NULL : f);
        if (!e) {
            memcpy(out->next, v->id, sizeof out->next);
            out->next_ended_ms = v->finished_ms;
            out->next_number = v->number;
        }
        out->count += e == E_OK;
    }
    return e;
}

static void pass_by(const struct reply *r, struct jobs_found *out)
{
    int64_t oldest = reply_number(r, FOUND_OLDEST), newest = reply_number(r, FOUND_NEWEST);
    out->looked += (size_t)reply_number(r, FOUND_LOOKED);
    if (oldest && (!out->oldest_ms || oldest < out->oldest_ms))
        out->oldest_ms = oldest;
    if (newest > out->newest_ms)
        out->newest_ms = newest;
}

err redis_jobs_find(struct store *s, const struct jobs_find *q, wall now, struct arena *a,
                    struct jobs_found *out, struct fault *f)
{
    need(q->limit >= 1 && q->limit <= FIND_MOST);
    struct reply r = {0};
    struct behind place;
    err e = asked_filter(&q->filter, f);
    store_fresh(s);
    if (!e)
        e = start_of(s, q, now, &place, f);
    if (e)
        return e;
    struct jobs_found found = {.jobs = arena_try(a, q->limit * sizeof *found.jobs)};
    if (!found.jobs)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    bool over = false;
    for (int looks = 0; !e && !over && looks < FIND_LOOKS / FIND_STEP; looks++) {
        e = next_found(s, q, &place, q->limit - found.count, now, &r, f);
        if (!e && q->only_count)
            found.count += (size_t)reply_number(&r, FOUND_FIRST);
        else if (!e)
            e = add_found(&r, a, &found, f);
        if (e)
            break;
        place.at = reply_number(&r, FOUND_PLACE);
        pass_by(&r, &found);
        found.next_ended_ms = q->by_end ? place.at : 0;
        found.next_number = q->by_end ? 0 : place.at;
        span_copy(reply_text(&r, FOUND_ID), found.next, sizeof found.next);
        memcpy(place.id, found.next, sizeof place.id);
        over = place.at < 0 || found.count >= q->limit;
    }
    /* What fits is answered; the reader goes on after the last one. */
    if (e && !(e == E_TOO_BIG && found.count > 0))
        return e;
    *out = found;
    return E_OK;
}

/* ---- events ---- */

enum event_part {
    EVENT_SEQ,
    EVENT_AT,
    EVENT_JOB,
    EVENT_KIND,
    EVENT_BODY,
    EVENT_NUMBER,
    EVENT_STATE,
    EVENT_LIMIT
};

/* The first event of a job is not stored: it says what the job was accepted as. */
static struct span first_body(struct store *s, const struct reply *r)
{
    struct span fixed[FIXED_TEXTS], text;
    fixed_read(reply_text(r, EVENT_BODY), fixed);
    buf_clear(&s->scratch);
    struct json_w w = json_w(&s->scratch);
    json_open(&w);
    json_kv_cstr(&w, "state", job_state_name((enum job_state)reply_number(r, EVENT_STATE)));
    json_kv_text(&w, "site", fixed[FIXED_SITE]);
    json_kv_text(&w, "kind", fixed[FIXED_KIND]);
    json_kv_text(&w, "target", fixed[FIXED_TARGET]);
    json_kv_int(&w, "limit", reply_number(r, EVENT_LIMIT));
    json_close(&w);
    return buf_end(&s->scratch, &text) ? SPAN("{}") : text;
}

err event_view_of(struct store *s, const struct reply *r, struct arena *a, struct event_view *v,
                  struct fault *f)
{
    bool first = reply_text(r, EVENT_KIND).n == 0;
    *v = (struct event_view){.seq = reply_number(r, EVENT_SEQ),
                             .number = reply_number(r, EVENT_NUMBER),
                             .at_ms = reply_number(r, EVENT_AT)};
    err e = store_keep(a, reply_text(r, EVENT_JOB), &v->job, f);
    if (!e)
        e = store_keep(a, first ? SPAN("job.accepted") : reply_text(r, EVENT_KIND), &v->kind,
                       f);
    if (!e)
        e = store_keep(a, first ? first_body(s, r) : reply_text(r, EVENT_BODY), &v->body, f);
    return e;
}

err events_next(struct store *s, struct span job, int64_t after, size_t most, struct reply *out,
                struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, job.n ? SPAN("job") : SPAN("all"));
    if (job.n)
        call_text(&c, job);
    call_number(&c, after);
    call_number(&c, (int64_t)most);
    return store_look(s, SCRIPT_EVENTS, &c, (wall){0}, out, f);
}

err redis_events(struct store *s, int64_t after, struct span job, size_t limit, struct arena *a,
                 struct event_view **out_events, size_t *out_count, struct fault *f)
{
    struct reply r;
    size_t n = 0;
    need(limit > 0 && limit <= 10000);
    struct event_view *all = arena_try(a, limit * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    err e = E_OK;
    while (!e && after >= 0 && n < limit) {
        e = events_next(s, job, after, EVENTS_STEP, &r, f);
        after = e ? -1 : reply_number(&r, EVENTS_BEHIND);
        for (size_t i = EVENTS_FIRST; !e && i < r.count && n < limit; i++) {
            e = event_view_of(s, reply_list(&r, i), a, &all[n], n ? NULL : f);
            n += e == E_OK;
        }
    }
    if (e && !(e == E_TOO_BIG && n > 0))
        return e;
    *out_events = all;
    *out_count = n;
    return E_OK;
}

/* That was heard of with the last write or outlook: whoever asks for it holds a lock, and must not wait for a server. */
int64_t redis_last_event(struct store *s)
{
    return s->last_event;
}

/* ---- the mode ---- */

static err ask_mode(struct store *s, struct reply *out, struct fault *f)
{
    struct call c = {0};
    store_fresh(s);
    call_text(&c, SPAN("get"));
    return store_look(s, SCRIPT_MODE, &c, (wall){0}, out, f);
}

err redis_mode_get(struct store *s, struct arena *a, struct mode_view *out, struct fault *f)
{
    struct reply r;
    err e = ask_mode(s, &r, f);
    if (e)
        return e;
    struct mode_view v = {.mode = (enum store_mode)reply_number(&r, 1),
                          .since_ms = reply_number(&r, 4)};
    e = store_keep(a, reply_text(&r, 2), &v.by, f);
    if (!e)
        e = store_keep(a, reply_text(&r, 3), &v.why, f);
    if (!e)
        *out = v;
    return e;
}

err redis_mode_set(struct store *s, enum store_mode mode, struct span by, struct span why,
                   wall now, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    need(s->in_group && (unsigned)mode < MODES);
    store_fresh(s);
    call_text(&c, SPAN("set"));
    call_number(&c, mode);
    call_text(&c, by);
    call_text(&c, why);
    buf_clear(&s->scratch);
    buf_fmt(&s->scratch, "{\"mode\":\"%s\",\"was\":\"", mode_name(mode));
    size_t was = s->scratch.n;
    buf_add_text(&s->scratch, "\",\"by\":");
    json_add_string(&s->scratch, by.n ? by : SPAN(""));
    buf_add_text(&s->scratch, ",\"why\":");
    json_add_string(&s->scratch, why.n ? why : SPAN(""));
    buf_add_char(&s->scratch, '}');
    call_text(&c, span_cut(buf_span(&s->scratch), 0, was));
    call_text(&c, span_cut(buf_span(&s->scratch), was, s->scratch.n));
    return store_write(s, SCRIPT_MODE, &c, now, &r, f);
}

#include "api/inside.h"
#include "api/merge.h"
#include "api/timetable.h"
#include "api/view.h"

#include "base/id.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/zone.h"

enum { LIST_LIMIT = 50, LIST_MAX = 200, WORDS_MAX = 500, SPEC_MAX = 128 * 1024 };
#define TENANT SPAN("default")

/* What a request needs besides its operation; in the call's arena. */
struct asked {
    char name[SCHEDULE_NAME_MAX + 1]; /* or id, of the path */
    struct timetable table;
    int64_t revision; /* of If-Match; −1: any */
    bool dry;
    struct span by, why; /* of a pause */
    wall from, to;       /* of a backfill */
    wall slots[SCHEDULE_CATCH_UP_MAX];
    bool create;
    struct callback_wish callback; /* of its job */
};

static struct asked *asked_of(struct call *c)
{
    return c->more;
}

static wall clock_of(struct api *a, enum schedule_kind kind)
{
    return a->config.clock ? a->config.clock(a->config.ctx, kind) : clock_wall();
}

/* ---- the answer ---- */

static void put_spec(struct json_w *w, const struct schedule_view *v)
{
    json_open(w);
    json_kv_text(w, "name", v->name);
    timetable_write(w, &v->terms, v->start_given_ms);
    json_key(w, "job");
    json_put_raw(w, v->job);
    json_close(w);
}

static void put_paused(struct json_w *w, const struct schedule_view *v)
{
    if (!v->paused_ms) {
        json_kv_null(w, "paused");
        return;
    }
    json_key(w, "paused");
    json_open(w);
    view_time(w, "since", v->paused_ms);
    json_kv_text(w, "by", v->paused_by.n ? v->paused_by : SPAN_NONE);
    json_kv_text(w, "reason", v->paused_why.n ? v->paused_why : SPAN_NONE);
    json_close(w);
}

static void put_status(struct json_w *w, const struct schedule_view *v)
{
    json_key(w, "status");
    json_open(w);
    json_kv_cstr(w, "state", v->paused_ms ? "paused" : v->next_ms ? "active" : "ended");
    put_paused(w, v);
    view_time(w, "next_at", v->next_ms);
    json_kv_cstr(w, "last_job", v->last_job[0] ? v->last_job : NULL);
    json_kv_int(w, "live", v->live);
    json_kv_int(w, "pending", v->pending);
    json_kv_int(w, "fired", v->fired);
    json_kv_int(w, "skipped", v->skipped);
    json_kv_int(w, "missed", v->missed);
    if (v->last_found >= 0)
        json_kv_int(w, "last_found", v->last_found);
    else
        json_kv_null(w, "last_found");
    if (v->terms.rule.kind == SCHEDULE_CRON)
        json_kv_null(w, "interval_s");
    else
        json_kv_int(w, "interval_s", v->terms.rule.interval_ms / 1000);
    json_close(w);
}

static void put_schedule(struct json_w *w, const struct schedule_view *v, bool dry)
{
    json_open(w);
    json_kv_cstr(w, "object", "schedule");
    json_kv_cstr(w, "id", v->id);
    json_kv_text(w, "name", v->name);
    view_time(w, "created_at", v->created_ms);
    view_time(w, "updated_at", v->updated_ms);
    json_kv_int(w, "revision", v->revision);
    if (dry)
        json_kv_bool(w, "dry_run", true);
    json_key(w, "spec");
    put_spec(w, v);
    put_status(w, v);
    json_close(w);
}

static void answer_schedule(struct call *c, int status)
{
    const struct schedule_view *v = &c->op.out.schedule;
    bool dry = asked_of(c)->dry;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    char tag[VIEW_TAG], location[64];
    put_schedule(&w, v, dry);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/schedules/%s", v->id);
    answer_json(c->request, dry ? 200 : status, &body,
                (const char *const[]){"ETag", view_tag(v->revision, tag),
                                      status == 201 && !dry ? "Location" : NULL, location,
                                      NULL});
}

static void on_changed(struct call *c)
{
    if (!call_failed(c))
        answer_schedule(c, 200);
}

static void on_created(struct call *c)
{
    if (!call_failed(c))
        answer_schedule(c, 201);
}

/* ---- what every request begins with ---- */

/* NULL: answered already. */
static struct call *begin(struct api *a, struct request *r, struct span name, bool needs_match)
{
    bool dry = false;
    int64_t revision = -1;
    if (name.n && !id_valid(name, "sch") && !timetable_name_valid(name)) {
        answer_problem(r, 404, "not_found", "there is no such schedule");
        return NULL;
    }
    if (!query_dry_run(r, &dry) || !if_match(r, needs_match, "schedule", &revision))
        return NULL;
    struct call *c = call_new(a, r, SPAN_NONE);
    struct asked *q = arena_new_of(c->op.arena, struct asked);
    span_copy(name, q->name, sizeof q->name);
    q->dry = dry;
    q->revision = revision;
    c->more = q;
    return c;
}

static void ask_for(struct call *c, enum store_verb verb, void (*then)(struct call *c))
{
    struct asked *q = asked_of(c);
    c->op.in.schedule_ask = (struct schedule_ask){
        .tenant = TENANT, .id = span_of(q->name), .revision = q->revision, .dry = q->dry};
    call_post(c, verb, then);
}

/* ---- create, change ---- */

/* False: answered. */
static bool read_text(struct call *c, struct span text, bool whole)
{
    struct api *a = c->api;
    struct order_refusal *refusal = arena_new_of(c->op.arena, struct order_refusal);
    if (timetable_read(&asked_of(c)->table, refusal, a->json, a->config.packs->pack,
                       a->config.packs->count, text, whole, clock_wall(), c->op.arena))
        return true;
    answer_refusal(c->request, refusal);
    return false;
}

static bool read_table(struct call *c, bool whole)
{
    return body_is_json(c->request) && read_text(c, c->request->body, whole);
}

static int64_t next_of(const struct schedule *rule, const struct zone *z, wall after)
{
    wall next;
    return schedule_next(rule, z, after, &next) ? 0 : next.ms;
}

static void post_put(struct call *c)
{
    struct asked *q = asked_of(c);
    bool create = q->create;
    const struct timetable *t = &q->table;
    wall now = clock_of(c->api, t->terms.rule.kind);
    c->op.in.schedule_put = (struct schedule_put){
        .id = span_of(create ? c->id : q->name),
        .tenant = TENANT,
        .name = t->name,
        .terms = t->terms,
        .job = order_accept(&t->order, c->api->config.coalesce,
                            (wall){0}), /* a run counts its times from its start */
        .job_text = t->job_text,
        .create = create,
        .revision = q->revision,
        .slot_now = now,
        .next_ms =
            t->terms.rule.kind == SCHEDULE_CRON ? next_of(&t->terms.rule, t->zone, now) : 0,
        .dry = q->dry,
    };
    call_post(c, STORE_SCHEDULE_PUT, create ? on_created : on_changed);
}

static void on_callback(struct call *c)
{
    struct asked *q = asked_of(c);
    struct order_refusal refusal = {0};
    struct body b = {&refusal, c->op.arena};
    if (q->callback.missing)
        callbacks_refuse(&b, SPAN("/job/callback/webhook_id"), q->callback.webhook);
    if (body_fine(&b))
        post_put(c);
    else
        answer_refusal(c->request, &refusal);
}

static void put(struct call *c, bool create)
{
    struct asked *q = asked_of(c);
    struct callback_wish **wish = arena_get(c->op.arena, sizeof *wish);
    q->create = create;
    q->callback = (struct callback_wish){.webhook = q->table.order.followup.webhook};
    *wish = &q->callback;
    if (q->callback.webhook.n)
        callbacks_look(c, wish, 1, on_callback);
    else
        post_put(c);
}

void schedules_create(struct api *a, struct request *r, struct span name)
{
    uint8_t random[10];
    struct call *c = begin(a, r, name, false);
    if (!c || !read_table(c, true))
        return;
    random_bytes(random, sizeof random);
    id_make(c->id, "sch", clock_wall(), random);
    put(c, true);
}

void schedules_change(struct api *a, struct request *r, struct span name)
{
    struct call *c = begin(a, r, name, true);
    if (c && read_table(c, true))
        put(c, false);
}

/* ---- PATCH: what there is, with the members of the body in it ---- */

/* The body as PUT would have it; in the arena. False: answered. */
static bool merge_body(struct call *c, const struct schedule_view *v, struct span *out)
{
    struct json_parser *parser = json_parser_new(SPEC_MAX);
    struct json before, after;
    struct buf spec = BUF(SPEC_MAX), merged = BUF(SPEC_MAX);
    struct json_w w = json_w(&spec);
    put_spec(&w, v);
    bool fine = json_parse(parser, buf_span(&spec), &before, NULL) == E_OK;
    need(fine); /* it is our own */
    fine = json_parse(c->api->json, c->request->body, &after, NULL) == E_OK &&
           json_is(after, JSON_OBJECT);
    if (fine) {
        merge_patch(&merged, before, after);
        fine = !merged.failed;
        *out = arena_keep(c->op.arena, buf_span(&merged));
    }
    json_parser_free(&parser);
    buf_free(&spec);
    buf_free(&merged);
    if (!fine)
        answer_problem(c->request, 400, "malformed_json",
                       "the body must be a JSON object of at most %d bytes", SPEC_MAX);
    return fine;
}

static void on_to_patch(struct call *c)
{
    struct asked *q = asked_of(c);
    const struct schedule_view *v = &c->op.out.schedule;
    struct span body;
    if (call_failed(c))
        return;
    if (q->revision >= 0 && q->revision != v->revision) {
        answer_problem(c->request, 412, "precondition_failed",
                       "the schedule is at revision r%lld now", (long long)v->revision);
        return;
    }
    q->revision = v->revision; /* nobody may change it between this look and the change */
    if (merge_body(c, v, &body) && read_text(c, body, true))
        put(c, false);
}

void schedules_patch(struct api *a, struct request *r, struct span name)
{
    struct call *c = body_is_json(r) ? begin(a, r, name, true) : NULL;
    if (c)
        ask_for(c, STORE_SCHEDULE, on_to_patch);
}

/* ---- show, list, delete ---- */

void schedules_show(struct api *a, struct request *r, struct span name)
{
    struct call *c = begin(a, r, name, false);
    if (c)
        ask_for(c, STORE_SCHEDULE, on_changed);
}

static void answer_page(struct call *c, struct buf *body, const char *path,
                        const char *next_after)
{
    struct buf link = BUF(2048);
    buf_add_char(body, '\n');
    buf_fmt(&link, "<%s?limit=%zu&after=%s", path, c->page, next_after ? next_after : "");
    request_query_copy(c->request, "fields", &link);
    buf_add_text(&link, ">; rel=\"next\"");
    buf_add_char(&link, '\0');
    bool more = next_after && !link.failed;
    answer_json(c->request, 200, body,
                (const char *const[]){more ? "Link" : NULL, link.p, NULL});
    buf_free(&link);
}

static void on_listed(struct call *c)
{
    if (call_failed(c))
        return;
    const struct schedules_list *list = &c->op.out.schedules;
    size_t count = list->count < c->page ? list->count : c->page;
    const char *next =
        list->count > count ? arena_text(c->op.arena, list->rows[count - 1].name) : NULL;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < count; i++)
        put_schedule(&w, &list->rows[i], false);
    view_list_close(&w, c->page, span_of(next));
    answer_page(c, &body, "/v1/schedules", next);
}

void schedules_list(struct api *a, struct request *r, struct span name)
{
    int64_t limit = LIST_LIMIT;
    struct span after = SPAN_NONE;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit))
        return;
    if (request_query(r, "after", &after) && !timetable_name_valid(after)) {
        answer_problem(r, 400, "bad_parameter", "after must be the name of a schedule");
        return;
    }
    struct call *c = begin(a, r, name, false);
    if (!c)
        return;
    c->page = (size_t)limit;
    c->op.in.schedules = (struct schedules_query){
        .tenant = TENANT, .after = arena_keep(c->op.arena, after), .limit = c->page + 1};
    call_post(c, STORE_SCHEDULES, on_listed);
}

static void on_deleted(struct call *c)
{
    if (call_failed(c))
        return;
    bool dry = asked_of(c)->dry;
    request_answer(c->request,
                   &(struct answer){.status = dry ? 200 : 204,
                                    .type = dry ? "application/json; charset=utf-8" : NULL,
                                    .body = dry ? SPAN("{\"dry_run\":true}\n") : SPAN_NONE});
}

void schedules_delete(struct api *a, struct request *r, struct span name)
{
    struct call *c = begin(a, r, name, true);
    if (c)
        ask_for(c, STORE_SCHEDULE_DELETE, on_deleted);
}

/* ---- runs ---- */

static void put_run(struct json_w *w, const struct schedule_run *run)
{
    json_open(w);
    json_kv_int(w, "n", run->n);
    view_time(w, "slot", run->slot.ms);
    json_kv_cstr(w, "cause", schedule_cause_name(run->cause));
    json_kv_cstr(w, "state", schedule_run_state_name(run->state));
    json_kv_cstr(w, "why", schedule_why_name(run->why));
    json_kv_int(w, "slots", run->slots);
    json_kv_cstr(w, "job", run->job[0] ? run->job : NULL);
    view_time(w, "at", run->at_ms);
    view_time(w, "ended_at", run->ended_ms);
    json_kv_cstr(w, "job_state", run->ended_ms ? job_state_name(run->job_state) : NULL);
    if (run->ended_ms)
        json_kv_int(w, "found", run->found);
    else
        json_kv_null(w, "found");
    json_close(w);
}

static void on_runs(struct call *c)
{
    if (call_failed(c))
        return;
    const struct schedule_runs *runs = &c->op.out.schedule_runs;
    size_t count = runs->count < c->page ? runs->count : c->page;
    char next[32], path[120];
    snprintf(next, sizeof next, "%lld", count ? (long long)runs->rows[count - 1].n : 0);
    snprintf(path, sizeof path, "/v1/schedules/%s/runs", asked_of(c)->name);
    const char *more = runs->count > count ? next : NULL;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < count; i++)
        put_run(&w, &runs->rows[i]);
    view_list_close(&w, c->page, span_of(more));
    answer_page(c, &body, path, more);
}

void schedules_runs(struct api *a, struct request *r, struct span name)
{
    int64_t limit = LIST_LIMIT, after = 0;
    if (!query_number(r, "limit", 1, LIST_MAX, &limit) ||
        !query_number(r, "after", 1, INT64_MAX, &after))
        return;
    struct call *c = begin(a, r, name, false);
    if (!c)
        return;
    c->page = (size_t)limit;
    c->op.in.schedule_runs = (struct schedule_runs_query){.tenant = TENANT,
                                                          .id = span_of(asked_of(c)->name),
                                                          .before = after,
                                                          .limit = c->page + 1};
    call_post(c, STORE_SCHEDULE_RUNS, on_runs);
}

/* ---- small bodies: an object of texts, or nothing ---- */

struct word {
    const char *name;
    struct span text;
    bool given;
};

/* False: answered. An empty body is an empty object. */
static bool read_words(struct call *c, struct word *words, size_t count)
{
    struct json root;
    struct fault f = {0};
    struct request *r = c->request;
    if (!r->body.n)
        return true;
    if (!body_is_json(r))
        return false;
    if (json_parse(c->api->json, r->body, &root, &f) || !json_is(root, JSON_OBJECT)) {
        answer_problem(r, 400, "malformed_json", "the body must be a JSON object");
        return false;
    }
    for (struct json_iter i = json_each(root); json_next(&i);) {
        struct word *w = NULL;
        for (size_t k = 0; k < count; k++)
            w = span_is(i.key, words[k].name) ? &words[k] : w;
        if (!w) {
            answer_problem(r, 400, "unknown_field", "the body may have %s%s%s", words[0].name,
                           count > 1 ? " and " : "", count > 1 ? words[1].name : "");
            return false;
        }
        if (json_is(i.value, JSON_NULL))
            continue;
        if (!json_text(i.value, &w->text) || w->text.n > WORDS_MAX) {
            answer_problem(r, 422, "validation_failed", "%s must be a text of at most %d bytes",
                           w->name, WORDS_MAX);
            return false;
        }
        w->text = arena_keep(c->op.arena, w->text);
        w->given = true;
    }
    return true;
}

/* ---- pause, resume ---- */

void schedules_pause(struct api *a, struct request *r, struct span name)
{
    struct word words[] = {{.name = "reason"}, {.name = "by"}};
    struct call *c = begin(a, r, name, false);
    if (!c || !read_words(c, words, 2))
        return;
    struct asked *q = asked_of(c);
    c->op.in.schedule_ask = (struct schedule_ask){.tenant = TENANT,
                                                  .id = span_of(q->name),
                                                  .revision = q->revision,
                                                  .dry = q->dry,
                                                  .paused = true,
                                                  .why = words[0].text,
                                                  .by = words[1].text};
    call_post(c, STORE_SCHEDULE_PAUSE, on_changed);
}

/* The zone of a cron schedule; false: answered. */
static bool load_zone(struct call *c, const struct schedule_view *v, const struct zone **out)
{
    static const struct zone utc = {.goes_on = true};
    struct fault f = {0};
    *out = &utc;
    if (v->terms.rule.kind != SCHEDULE_CRON)
        return true;
    struct zone *zone = arena_new_of(c->op.arena, struct zone);
    *out = zone;
    err e = zone_load(v->terms.zone, zone, &f);
    if (e)
        answer_fault(c->request, E_OS, &f);
    return !e;
}

static void on_resumable(struct call *c)
{
    const struct zone *zone;
    const struct schedule_view *v = &c->op.out.schedule;
    struct asked *q = asked_of(c);
    if (call_failed(c) || !load_zone(c, v, &zone))
        return;
    wall now = clock_of(c->api, v->terms.rule.kind);
    struct schedule_ask ask = {.tenant = TENANT,
                               .id = span_of(q->name),
                               .revision = q->revision >= 0 ? q->revision : v->revision,
                               .dry = q->dry,
                               .slot_now = now,
                               .next_ms = next_of(&v->terms.rule, zone, now)};
    c->op.in.schedule_ask = ask;
    call_post(c, STORE_SCHEDULE_PAUSE, on_changed);
}

void schedules_resume(struct api *a, struct request *r, struct span name)
{
    struct call *c = begin(a, r, name, false);
    if (c)
        ask_for(c, STORE_SCHEDULE, on_resumable);
}

/* ---- trigger, backfill ---- */

static void put_fired(struct json_w *w, const struct call *c)
{
    const struct schedule_fired *f = &c->op.out.schedule_fired;
    bool dry = ((const struct asked *)c->more)->dry;
    json_open(w);
    json_kv_cstr(w, "object", "schedule_fired");
    if (dry)
        json_kv_bool(w, "dry_run", true);
    json_kv_int(w, "made", f->made);
    json_kv_int(w, "known", f->known);
    json_kv_int(w, "pending", f->pending);
    json_kv_int(w, "skipped", f->skipped);
    json_kv_cstr(w, "job", f->last_job[0] ? f->last_job : NULL);
}

static void on_fired(struct call *c)
{
    if (call_failed(c))
        return;
    const struct schedule_fired *f = &c->op.out.schedule_fired;
    struct asked *q = asked_of(c);
    char location[64];
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    for (size_t i = 0; i < f->cancels && c->api->config.cancelled; i++)
        c->api->config.cancelled(c->api->config.ctx, span_of(f->cancelled[i]), false);
    if (!q->dry)
        metric_add(METRIC_JOBS_SUBMITTED, 0, f->made);
    put_fired(&w, c);
    json_close(&w);
    buf_add_char(&body, '\n');
    snprintf(location, sizeof location, "/v1/jobs/%s", f->last_job);
    answer_json(c->request, q->dry ? 200 : 202, &body,
                (const char *const[]){f->last_job[0] ? "Location" : NULL, location, NULL});
}

void schedules_trigger(struct api *a, struct request *r, struct span name)
{
    struct call *c = begin(a, r, name, false);
    if (c && read_words(c, (struct word[]){{.name = "nothing"}}, 0))
        ask_for(c, STORE_SCHEDULE_TRIGGER, on_fired);
}

/* Slots in [from, to]; false: answered, there are too many. */
static bool find_slots(struct call *c, const struct schedule_view *v, const struct zone *zone,
                       size_t *out_count)
{
    struct asked *q = asked_of(c);
    size_t n = 0;
    wall slot = {q->from.ms - 1};
    while (!schedule_next(&v->terms.rule, zone, slot, &slot) && slot.ms <= q->to.ms) {
        if (n == SCHEDULE_CATCH_UP_MAX) {
            answer_problem(c->request, 422, "validation_failed",
                           "more than %d slots lie between from and to; ask for them in pieces",
                           SCHEDULE_CATCH_UP_MAX);
            return false;
        }
        q->slots[n++] = slot;
    }
    *out_count = n;
    return true;
}

static void on_backfillable(struct call *c)
{
    const struct zone *zone;
    size_t count = 0;
    const struct schedule_view *v = &c->op.out.schedule;
    struct asked *q = asked_of(c);
    if (call_failed(c) || !load_zone(c, v, &zone) || !find_slots(c, v, zone, &count))
        return;
    c->op.in.schedule_backfill = (struct schedule_backfill){.tenant = TENANT,
                                                            .id = span_of(q->name),
                                                            .slots = q->slots,
                                                            .count = count,
                                                            .dry = q->dry};
    call_post(c, STORE_SCHEDULE_BACKFILL, on_fired);
}

void schedules_backfill(struct api *a, struct request *r, struct span name)
{
    struct word words[] = {{.name = "from"}, {.name = "to"}};
    struct call *c = begin(a, r, name, false);
    if (!c || !read_words(c, words, 2))
        return;
    struct asked *q = asked_of(c);
    wall now = clock_wall();
    q->to = now;
    if (!when_parse(words[0].text, &q->from) ||
        (words[1].given && !when_parse(words[1].text, &q->to))) {
        answer_problem(r, 422, "validation_failed",
                       "from, and to when it is given (else: now), must be dates or RFC 3339");
        return;
    }
    if (q->to.ms > now.ms || q->from.ms > q->to.ms) {
        answer_problem(r, 422, "validation_failed",
                       "from must not be after to, and to not in the future");
        return;
    }
    ask_for(c, STORE_SCHEDULE, on_backfillable);
}

/* ---- preview ---- */

static void put_offset(struct json_w *w, int32_t offset_s)
{
    char text[16];
    int32_t size = offset_s < 0 ? -offset_s : offset_s;
    snprintf(text, sizeof text, "%c%02d:%02d", offset_s < 0 ? '-' : '+', size / 3600 % 100,
             size / 60 % 60);
    json_kv_cstr(w, "utc_offset", text);
}

/* As the clocks of the zone show it: an offset that changes is a change of the clocks. */
static void put_slot(struct json_w *w, const struct zone *zone, wall slot)
{
    char text[WHEN_TEXT];
    int64_t utc_s = slot.ms / 1000;
    int32_t offset_s = zone_offset(zone, utc_s);
    struct civil local = civil_of(utc_s + offset_s);
    json_open(w);
    view_time(w, "at", slot.ms);
    snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)local.year % 10000,
             (unsigned)local.month % 100, (unsigned)local.day % 100, (unsigned)local.hour % 100,
             (unsigned)local.minute % 100, (unsigned)local.second % 100);
    json_kv_cstr(w, "local", text);
    put_offset(w, offset_s);
    json_close(w);
}

void schedules_preview(struct api *a, struct request *r, struct span name)
{
    (void)name;
    struct call *c = begin(a, r, SPAN_NONE, false);
    if (!c || !read_table(c, false))
        return;
    const struct timetable *t = &asked_of(c)->table;
    struct schedule rule = t->terms.rule;
    if (rule.kind != SCHEDULE_CRON && !rule.start.ms)
        rule.start = t->from;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    wall slot = rule.kind == SCHEDULE_CRON ? t->from : (wall){t->from.ms - 1};
    json_open(&w);
    json_kv_cstr(&w, "object", "preview");
    json_kv_text(&w, "timezone", rule.kind == SCHEDULE_CRON ? t->terms.zone : SPAN("UTC"));
    json_key(&w, "data");
    json_open_array(&w);
    for (int64_t i = 0; i < t->count && !schedule_next(&rule, t->zone, slot, &slot); i++)
        put_slot(&w, t->zone, slot);
    json_close_array(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

#include "api/timetable.h"

#include "base/text.h"
#include "os/zone.h"

static const int64_t DAY_S = 86400, YEAR_S = 366 * 86400;

struct reading {
    struct timetable *out;
    struct body body;
    struct arena *arena;
    bool whole;
};

static const char *const members[] = {
    "name",         "cron",     "timezone", "interval_s", "adaptive",
    "jitter_s",     "start_at", "end_at",   "missed",     "catch_up_s",
    "catch_up_max", "grace_s",  "overlap",  "job",        NULL};
static const char *const preview_members[] = {
    "name",   "cron",   "timezone",   "interval_s",   "adaptive", "jitter_s", "start_at",
    "end_at", "missed", "catch_up_s", "catch_up_max", "grace_s",  "overlap",  "job",
    "from",   "count",  NULL};
static const char *const adaptive_members[] = {"least_s", "most_s", "posts_wanted", NULL};
static const char *const missed_names[] = {"skip", "catch_up", "once", NULL};
static const char *const overlap_names[] = {"skip", "queue_one", "cancel_running", "allow",
                                            NULL};

/* Was it given? Read or refused. */
static bool read_number(struct reading *r, struct json object, const char *at, const char *key,
                        int64_t min, int64_t max, int64_t *value)
{
    struct json v;
    body_number(&r->body, object, at, key, min, max, value);
    return body_given(object, key, &v);
}

bool timetable_name_valid(struct span name)
{
    if (name.n == 0 || name.n > SCHEDULE_NAME_MAX || id_valid(name, "sch") ||
        span_is(name, "preview"))
        return false; /* the last one is a path of its own */
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (i == 0 || (c != '-' && c != '_' && c != '.')))
            return false;
    }
    return true;
}

static void read_name(struct reading *r, struct json body)
{
    struct json v;
    struct span name = SPAN_NONE;
    if (!body_given(body, "name", &v)) {
        if (r->whole)
            body_refuse(&r->body, SPAN("/name"), "required",
                        "a short name such as \"nasa-daily\"");
        return;
    }
    if (!json_text(v, &name) || !timetable_name_valid(name))
        body_refuse(
            &r->body, SPAN("/name"), "pattern",
            "must be 1 to %d of a-z, 0-9, - _ . that begin with a letter or digit, and not \"preview\"",
            SCHEDULE_NAME_MAX);
    r->out->name = arena_keep(r->arena, name);
}

/* ---- when ---- */

static void read_zone(struct reading *r, struct json body)
{
    struct json v;
    struct span name = SPAN("UTC");
    struct fault f = {0};
    struct zone *zone = arena_new_of(r->arena, struct zone);
    if (body_given(body, "timezone", &v) && !json_text(v, &name))
        body_refuse(&r->body, SPAN("/timezone"), "type",
                    "must be a text such as \"Europe/Berlin\"");
    else if (zone_load(name, zone, &f))
        body_refuse(&r->body, SPAN("/timezone"), "unknown", "%s",
                    f.words[0] ? f.words : "there is no such time zone");
    r->out->zone = zone;
    r->out->terms.zone = arena_keep(r->arena, name);
}

static void read_cron(struct reading *r, struct json body, struct json v)
{
    struct span text;
    struct fault f = {0};
    wall next;
    struct schedule *rule = &r->out->terms.rule;
    rule->kind = SCHEDULE_CRON;
    read_zone(r, body);
    if (!json_text(v, &text))
        body_refuse(&r->body, SPAN("/cron"), "type", "must be a text such as \"30 2 * * *\"");
    else if (cron_parse(text, &rule->cron, &f))
        body_refuse(&r->body, SPAN("/cron"), "pattern", "%s", f.words);
    else if (!r->body.refusal->error_count &&
             cron_next(&rule->cron, r->out->zone, (wall){0}, &next))
        body_refuse(&r->body, SPAN("/cron"), "range", "there is no such time");
    else
        r->out->terms.cron = arena_keep(r->arena, text);
}

static void read_adaptive(struct reading *r, struct json v)
{
    int64_t least_s = 300, most_s = DAY_S, wanted = 20;
    struct schedule *rule = &r->out->terms.rule;
    rule->kind = SCHEDULE_ADAPTIVE;
    if (!json_is(v, JSON_OBJECT)) {
        body_refuse(&r->body, SPAN("/adaptive"), "type",
                    "must be an object such as {\"least_s\": 300, \"most_s\": 86400}");
        return;
    }
    body_members(&r->body, v, "/adaptive", adaptive_members);
    read_number(r, v, "/adaptive", "least_s", 1, YEAR_S, &least_s);
    if (!read_number(r, v, "/adaptive", "most_s", 1, YEAR_S, &most_s) && most_s < least_s)
        most_s = least_s;
    read_number(r, v, "/adaptive", "posts_wanted", 1, 100000, &wanted);
    if (most_s < least_s)
        body_refuse(&r->body, SPAN("/adaptive/most_s"), "range", "must not be below least_s");
    rule->least_ms = least_s * 1000;
    rule->most_ms = most_s * 1000;
    rule->posts_wanted = wanted;
    rule->interval_ms = rule->interval_ms < rule->least_ms  ? rule->least_ms
                        : rule->interval_ms > rule->most_ms ? rule->most_ms
                                                            : rule->interval_ms;
}

static void read_timing(struct reading *r, struct json body)
{
    struct json cron, adaptive, other;
    int64_t interval_s = 0;
    bool has_cron = body_given(body, "cron", &cron),
         has_adaptive = body_given(body, "adaptive", &adaptive);
    bool has_interval = read_number(r, body, "", "interval_s", 1, YEAR_S, &interval_s);
    static const struct zone utc = {.goes_on = true};
    r->out->zone = &utc;
    r->out->terms.rule.kind = SCHEDULE_INTERVAL;
    r->out->terms.rule.interval_ms = interval_s * 1000;
    if (has_cron && (has_interval || has_adaptive))
        body_refuse(&r->body, SPAN("/cron"), "conflict",
                    "is one of cron, interval_s and adaptive: they exclude each other");
    else if (has_cron)
        read_cron(r, body, cron);
    else if (body_given(body, "timezone", &other))
        body_refuse(&r->body, SPAN("/timezone"), "conflict",
                    "only cron has one: an interval is elapsed time");
    else if (has_adaptive)
        read_adaptive(r, adaptive);
    else if (!has_interval)
        body_refuse(&r->body, SPAN("/interval_s"), "required",
                    "say when: one of cron, interval_s and adaptive");
}

static void read_policies(struct reading *r, struct json body)
{
    struct schedule *rule = &r->out->terms.rule;
    int64_t jitter_s = 0, catch_up_s = DAY_S, catch_up_max = SCHEDULE_CATCH_UP_MAX,
            grace_s = 60;
    int missed = SCHEDULE_ONCE, overlap = SCHEDULE_OVERLAP_SKIP;
    read_number(r, body, "", "jitter_s", 0, DAY_S, &jitter_s);
    read_number(r, body, "", "catch_up_s", 1, YEAR_S, &catch_up_s);
    read_number(r, body, "", "catch_up_max", 1, SCHEDULE_CATCH_UP_MAX, &catch_up_max);
    read_number(r, body, "", "grace_s", 0, DAY_S, &grace_s);
    body_time(&r->body, body, "", "start_at", &rule->start);
    body_time(&r->body, body, "", "end_at", &rule->end);
    if (rule->start.ms && rule->end.ms && rule->end.ms < rule->start.ms)
        body_refuse(&r->body, SPAN("/end_at"), "range", "must not be before start_at");
    body_choice(&r->body, body, "", "missed", missed_names, &missed);
    body_choice(&r->body, body, "", "overlap", overlap_names, &overlap);
    rule->missed = (enum schedule_missed)missed;
    rule->overlap = (enum schedule_overlap)overlap;
    rule->jitter_ms = jitter_s * 1000;
    rule->catch_up_ms = catch_up_s * 1000;
    rule->catch_up_max = (int)catch_up_max;
    rule->grace_ms = grace_s * 1000;
}

/* ---- what ---- */

/* The job's text, for order_read(): after it the body is no longer there. */
static struct span job_text(struct reading *r, struct json body)
{
    struct json v;
    struct buf text = BUF(SCHEDULE_JOB_MAX);
    struct span whole = SPAN_NONE;
    if (!body_given(body, "job", &v)) {
        body_refuse(&r->body, SPAN("/job"), "required",
                    "what each run collects, as in POST /v1/jobs");
    } else {
        json_add_raw(&text, v);
        if (buf_end(&text, &whole))
            body_refuse(&r->body, SPAN("/job"), "range", "may have %d bytes", SCHEDULE_JOB_MAX);
        else
            whole = arena_keep(r->arena, whole);
    }
    buf_free(&text);
    return whole;
}

static void read_job(struct reading *r, struct json_parser *parser, struct pack *const *packs,
                     size_t pack_count)
{
    struct order_refusal *inner = arena_new_of(r->arena, struct order_refusal);
    if (!r->out->job_text.n)
        return;
    if (!order_read(&r->out->order, inner, parser, packs, pack_count, r->out->job_text,
                    r->arena)) {
        if (!inner->error_count)
            body_refuse(&r->body, SPAN("/job"), inner->code, "%.*s", SP(inner->detail));
        for (size_t i = 0; i < inner->error_count; i++)
            body_refuse(&r->body,
                        span_of(arena_fmt(r->arena, "/job%.*s", SP(inner->errors[i].pointer))),
                        inner->errors[i].code, "%.*s", SP(inner->errors[i].detail));
        return;
    }
    const struct terms *terms = &r->out->order.terms;
    if (terms->not_before_ms)
        body_refuse(&r->body, SPAN("/job/not_before"), "not_supported",
                    "the schedule says when");
    if (terms->unique_key.n)
        body_refuse(&r->body, SPAN("/job/unique"), "not_supported",
                    "the schedule says what becomes of runs that overlap: overlap");
    if (r->out->terms.rule.kind == SCHEDULE_ADAPTIVE && r->out->order.mark != MARK_USED)
        body_refuse(&r->body, SPAN("/job/since_last"), "required",
                    "an adaptive schedule goes by what is new: the job needs since_last");
}

bool timetable_read(struct timetable *out, struct order_refusal *out_refusal,
                    struct json_parser *parser, struct pack *const *packs, size_t pack_count,
                    struct span body, bool whole, wall now, struct arena *a)
{
    *out = (struct timetable){.from = now, .count = TIMETABLE_PREVIEW};
    *out_refusal = (struct order_refusal){0};
    struct reading r = {.out = out, .body = {out_refusal, a}, .arena = a, .whole = whole};
    struct json root;
    if (!body_read(&r.body, parser, body, false, whole ? members : preview_members, &root))
        return false;
    read_name(&r, root);
    read_timing(&r, root);
    read_policies(&r, root);
    if (!whole) {
        body_time(&r.body, root, "", "from", &out->from);
        body_number(&r.body, root, "", "count", 1, TIMETABLE_PREVIEW_MAX, &out->count);
    } else {
        out->job_text = job_text(&r, root);
        read_job(&r, parser, packs, pack_count);
    }
    return body_fine(&r.body);
}

/* ---- and back ---- */

static void put_time(struct json_w *w, const char *key, int64_t ms)
{
    char text[WHEN_TEXT];
    if (ms)
        json_kv_cstr(w, key, when_text_ms((wall){ms}, text));
}

void timetable_write(struct json_w *w, const struct schedule_terms *terms,
                     int64_t start_given_ms)
{
    const struct schedule *r = &terms->rule;
    if (r->kind == SCHEDULE_CRON) {
        json_kv_text(w, "cron", terms->cron);
        json_kv_text(w, "timezone", terms->zone);
    } else if (r->kind == SCHEDULE_INTERVAL) {
        json_kv_int(w, "interval_s", r->interval_ms / 1000);
    } else {
        json_key(w, "adaptive");
        json_open(w);
        json_kv_int(w, "least_s", r->least_ms / 1000);
        json_kv_int(w, "most_s", r->most_ms / 1000);
        json_kv_int(w, "posts_wanted", r->posts_wanted);
        json_close(w);
    }
    if (r->jitter_ms)
        json_kv_int(w, "jitter_s", r->jitter_ms / 1000);
    put_time(w, "start_at", start_given_ms);
    put_time(w, "end_at", r->end.ms);
    json_kv_cstr(w, "missed", missed_names[r->missed]);
    if (r->missed == SCHEDULE_CATCH_UP) {
        json_kv_int(w, "catch_up_s", r->catch_up_ms / 1000);
        json_kv_int(w, "catch_up_max", r->catch_up_max);
    }
    json_kv_int(w, "grace_s", r->grace_ms / 1000);
    json_kv_cstr(w, "overlap", overlap_names[r->overlap]);
}

#include "api/timetable.h"

#include "base/text.h"
#include "os/zone.h"

static const int64_t DAY_S = 86400, YEAR_S = 366 * 86400;

struct reading {
    struct timetable *out;
    struct order_refusal *refusal;
    struct arena *arena;
    bool whole;
};

static const char *const members[] = {"name",     "cron",       "timezone", "interval_s", "adaptive", "jitter_s",
                                      "start_at", "end_at",     "missed",   "catch_up_s", "catch_up_max",
                                      "grace_s",  "overlap",    "job",      NULL};
static const char *const preview_members[] = {"name",     "cron",       "timezone", "interval_s", "adaptive", "jitter_s",
                                              "start_at", "end_at",     "missed",   "catch_up_s", "catch_up_max",
                                              "grace_s",  "overlap",    "job",      "from",       "count",    NULL};
static const char *const adaptive_members[] = {"least_s", "most_s", "posts_wanted", NULL};
static const char *const missed_names[] = {"skip", "catch_up", "once", NULL};
static const char *const overlap_names[] = {"skip", "queue_one", "cancel_running", "allow", NULL};

__attribute__((format(printf, 4, 5))) static void refuse(struct reading *r, const char *pointer, const char *code,
                                                         const char *fmt, ...)
{
    if (r->refusal->error_count == ORDER_ERRORS_MAX)
        return;
    struct buf text = BUF(512);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&text, fmt, ap);
    va_end(ap);
    r->refusal->errors[r->refusal->error_count++] = (struct problem_error){
        .pointer = arena_keep(r->arena, span_of(pointer)),
        .code = code,
        .detail = arena_keep(r->arena, buf_span(&text)),
    };
    buf_free(&text);
}

/* JSON Pointer of a member (RFC 6901), cut where it is absurdly long. */
static const char *pointer_of(struct reading *r, const char *before, struct span key)
{
    struct buf text = BUF(400);
    buf_fmt(&text, "%s/", before);
    for (size_t i = 0; i < key.n && i < 128; i++)
        buf_add_text(&text, key.p[i] == '~' ? "~0" : key.p[i] == '/' ? "~1" : (char[]){key.p[i], 0});
    const char *kept = arena_text(r->arena, buf_span(&text));
    buf_free(&text);
    return kept ? kept : before;
}

static void check_members(struct reading *r, struct json object, const char *before, const char *const *known)
{
    for (struct json_iter i = json_each(object); json_next(&i);) {
        size_t times = 0;
        bool found = false;
        for (size_t k = 0; known[k]; k++)
            found = found || span_is(i.key, known[k]);
        for (struct json_iter j = json_each(object); json_next(&j);)
            times += span_eq(i.key, j.key);
        const char *near = text_nearest(i.key, known);
        if (!found && near)
            refuse(r, pointer_of(r, before, i.key), "unknown_field", "did you mean \"%s\"?", near);
        else if (!found)
            refuse(r, pointer_of(r, before, i.key), "unknown_field", "there is no such member");
        else if (times > 1)
            refuse(r, pointer_of(r, before, i.key), "duplicate_field", "given %zu times", times);
    }
}

static bool given(struct json object, const char *key, struct json *out)
{
    *out = json_get(object, span_of(key));
    return out->doc && !json_is(*out, JSON_NULL);
}

/* Seconds or a count; *value stays when it is not given. */
static bool read_number(struct reading *r, struct json object, const char *before, const char *key, int64_t min,
                        int64_t max, int64_t *value)
{
    struct json v;
    int64_t n;
    if (!given(object, key, &v))
        return false;
    if (!json_int(v, &n))
        refuse(r, pointer_of(r, before, span_of(key)), "type", "must be a whole number");
    else if (n < min || n > max)
        refuse(r, pointer_of(r, before, span_of(key)), "range", "must be %lld to %lld", (long long)min, (long long)max);
    else
        *value = n;
    return true;
}

static void read_time(struct reading *r, struct json body, const char *key, wall *out)
{
    struct json v;
    struct span text;
    if (given(body, key, &v) && !(json_text(v, &text) && when_parse(text, out)))
        refuse(r, pointer_of(r, "", span_of(key)), "format",
               "must be a date (2026-02-06) or RFC 3339 (2026-02-06T12:00:00Z)");
}

static int read_choice(struct reading *r, struct json body, const char *key, const char *const *names, int otherwise)
{
    struct json v;
    struct span text = SPAN_NONE;
    if (!given(body, key, &v))
        return otherwise;
    json_text(v, &text);
    for (int i = 0; names[i]; i++)
        if (span_is(text, names[i]))
            return i;
    const char *near = text_nearest(text, names);
    struct buf words = BUF(256);
    for (int i = 0; names[i]; i++)
        buf_fmt(&words, "%s%s", i ? ", " : "", names[i]);
    if (near)
        refuse(r, pointer_of(r, "", span_of(key)), "unknown", "did you mean \"%s\"?", near);
    else
        refuse(r, pointer_of(r, "", span_of(key)), "unknown", "known are: %.*s", SP(buf_span(&words)));
    buf_free(&words);
    return otherwise;
}

bool timetable_name_valid(struct span name)
{
    if (name.n == 0 || name.n > SCHEDULE_NAME_MAX || id_valid(name, "sch") || span_is(name, "preview"))
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
    if (!given(body, "name", &v)) {
        if (r->whole)
            refuse(r, "/name", "required", "a short name such as \"nasa-daily\"");
        return;
    }
    if (!json_text(v, &name) || !timetable_name_valid(name))
        refuse(r, "/name", "pattern", "must be 1 to %d of a-z, 0-9, - _ . that begin with a letter or digit, and not \"preview\"",
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
    if (given(body, "timezone", &v) && !json_text(v, &name))
        refuse(r, "/timezone", "type", "must be a text such as \"Europe/Berlin\"");
    else if (zone_load(name, zone, &f))
        refuse(r, "/timezone", "unknown", "%s", f.words[0] ? f.words : "there is no such time zone");
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
        refuse(r, "/cron", "type", "must be a text such as \"30 2 * * *\"");
    else if (cron_parse(text, &rule->cron, &f))
        refuse(r, "/cron", "pattern", "%s", f.words);
    else if (!r->refusal->error_count && cron_next(&rule->cron, r->out->zone, (wall){0}, &next))
        refuse(r, "/cron", "range", "there is no such time");
    else
        r->out->terms.cron = arena_keep(r->arena, text);
}

static void read_adaptive(struct reading *r, struct json v)
{
    int64_t least_s = 300, most_s = DAY_S, wanted = 20;
    struct schedule *rule = &r->out->terms.rule;
    rule->kind = SCHEDULE_ADAPTIVE;
    if (!json_is(v, JSON_OBJECT)) {
        refuse(r, "/adaptive", "type", "must be an object such as {\"least_s\": 300, \"most_s\": 86400}");
        return;
    }
    check_members(r, v, "/adaptive", adaptive_members);
    read_number(r, v, "/adaptive", "least_s", 1, YEAR_S, &least_s);
    if (!read_number(r, v, "/adaptive", "most_s", 1, YEAR_S, &most_s) && most_s < least_s)
        most_s = least_s;
    read_number(r, v, "/adaptive", "posts_wanted", 1, 100000, &wanted);
    if (most_s < least_s)
        refuse(r, "/adaptive/most_s", "range", "must not be below least_s");
    rule->least_ms = least_s * 1000;
    rule->most_ms = most_s * 1000;
    rule->posts_wanted = wanted;
    rule->interval_ms = rule->interval_ms < rule->least_ms ? rule->least_ms
                        : rule->interval_ms > rule->most_ms ? rule->most_ms
                                                            : rule->interval_ms;
}

static void read_timing(struct reading *r, struct json body)
{
    struct json cron, adaptive, other;
    int64_t interval_s = 0;
    bool has_cron = given(body, "cron", &cron), has_adaptive = given(body, "adaptive", &adaptive);
    bool has_interval = read_number(r, body, "", "interval_s", 1, YEAR_S, &interval_s);
    static const struct zone utc = {.goes_on = true};
    r->out->zone = &utc;
    r->out->terms.rule.kind = SCHEDULE_INTERVAL;
    r->out->terms.rule.interval_ms = interval_s * 1000;
    if (has_cron && (has_interval || has_adaptive))
        refuse(r, "/cron", "conflict", "is one of cron, interval_s and adaptive: they exclude each other");
    else if (has_cron)
        read_cron(r, body, cron);
    else if (given(body, "timezone", &other))
        refuse(r, "/timezone", "conflict", "only cron has one: an interval is elapsed time");
    else if (has_adaptive)
        read_adaptive(r, adaptive);
    else if (!has_interval)
        refuse(r, "/interval_s", "required", "say when: one of cron, interval_s and adaptive");
}

static void read_policies(struct reading *r, struct json body)
{
    struct schedule *rule = &r->out->terms.rule;
    int64_t jitter_s = 0, catch_up_s = DAY_S, catch_up_max = SCHEDULE_CATCH_UP_MAX, grace_s = 60;
    read_number(r, body, "", "jitter_s", 0, DAY_S, &jitter_s);
    read_number(r, body, "", "catch_up_s", 1, YEAR_S, &catch_up_s);
    read_number(r, body, "", "catch_up_max", 1, SCHEDULE_CATCH_UP_MAX, &catch_up_max);
    read_number(r, body, "", "grace_s", 0, DAY_S, &grace_s);
    read_time(r, body, "start_at", &rule->start);
    read_time(r, body, "end_at", &rule->end);
    if (rule->start.ms && rule->end.ms && rule->end.ms < rule->start.ms)
        refuse(r, "/end_at", "range", "must not be before start_at");
    rule->missed = (enum schedule_missed)read_choice(r, body, "missed", missed_names, SCHEDULE_ONCE);
    rule->overlap = (enum schedule_overlap)read_choice(r, body, "overlap", overlap_names, SCHEDULE_OVERLAP_SKIP);
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
    if (!given(body, "job", &v)) {
        refuse(r, "/job", "required", "what each run collects, as in POST /v1/jobs");
    } else {
        json_add_raw(&text, v);
        if (buf_end(&text, &whole))
            refuse(r, "/job", "range", "may have %d bytes", SCHEDULE_JOB_MAX);
        else
            whole = arena_keep(r->arena, whole);
    }
    buf_free(&text);
    return whole;
}

static void read_job(struct reading *r, struct json_parser *parser, struct pack *const *packs, size_t pack_count)
{
    struct order_refusal *inner = arena_new_of(r->arena, struct order_refusal);
    if (!r->out->job_text.n)
        return;
    if (!order_read(&r->out->order, inner, parser, packs, pack_count, r->out->job_text, r->arena)) {
        if (!inner->error_count)
            refuse(r, "/job", inner->code, "%.*s", SP(inner->detail));
        for (size_t i = 0; i < inner->error_count; i++)
            refuse(r, arena_fmt(r->arena, "/job%.*s", SP(inner->errors[i].pointer)), inner->errors[i].code, "%.*s",
                   SP(inner->errors[i].detail));
        return;
    }
    const struct terms *terms = &r->out->order.terms;
    if (terms->not_before_ms)
        refuse(r, "/job/not_before", "not_supported", "the schedule says when");
    if (terms->unique_key.n)
        refuse(r, "/job/unique", "not_supported", "the schedule says what becomes of runs that overlap: overlap");
    if (r->out->terms.rule.kind == SCHEDULE_ADAPTIVE && r->out->order.mark != MARK_USED)
        refuse(r, "/job/since_last", "required", "an adaptive schedule goes by what is new: the job needs since_last");
}

static bool refused(struct order_refusal *out)
{
    static const char *const shapes[] = {"unknown_field", "duplicate_field", NULL};
    out->status = 422;
    out->code = "validation_failed";
    out->detail = SPAN("values were refused, see errors");
    for (size_t i = 0; i < out->error_count; i++)
        for (size_t k = 0; shapes[k] && out->status == 422; k++)
            if (strcmp(out->errors[i].code, shapes[k]) == 0) {
                out->status = 400;
                out->code = shapes[k];
                out->detail = k ? SPAN("the body names a member more than once")
                                : SPAN("the body has members that are not known");
            }
    return false;
}

bool timetable_read(struct timetable *out, struct order_refusal *out_refusal, struct json_parser *parser,
                    struct pack *const *packs, size_t pack_count, struct span body, bool whole, wall now,
                    struct arena *a)
{
    *out = (struct timetable){.from = now, .count = TIMETABLE_PREVIEW};
    *out_refusal = (struct order_refusal){0};
    struct reading r = {.out = out, .refusal = out_refusal, .arena = a, .whole = whole};
    struct fault f = {0};
    struct json root;
    err e = json_parse(parser, body, &root, &f);
    if (e || !json_is(root, JSON_OBJECT)) {
        out_refusal->status = 400;
        out_refusal->code = "malformed_json";
        out_refusal->detail = e ? span_of(arena_fmt(a, "the body is not JSON: %s", f.words))
                                : SPAN("the body must be a JSON object");
        return false;
    }
    check_members(&r, root, "", whole ? members : preview_members);
    read_name(&r, root);
    read_timing(&r, root);
    read_policies(&r, root);
    if (!whole) {
        read_time(&r, root, "from", &out->from);
        read_number(&r, root, "", "count", 1, TIMETABLE_PREVIEW_MAX, &out->count);
    } else {
        out->job_text = job_text(&r, root);
        read_job(&r, parser, packs, pack_count);
    }
    return out_refusal->error_count ? refused(out_refusal) : true;
}

/* ---- and back ---- */

static void put_time(struct json_w *w, const char *key, int64_t ms)
{
    char text[WHEN_TEXT];
    if (ms)
        json_kv_cstr(w, key, when_text_ms((wall){ms}, text));
}

void timetable_write(struct json_w *w, const struct schedule_terms *terms, int64_t start_given_ms)
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

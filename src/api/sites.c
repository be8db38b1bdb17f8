/* sites.c - what is known of the sites that are read: where the fields of their records came from. */
#include "api/inside.h"

enum { HOURS_DEFAULT = 24 };

static int64_t found(const struct drift_counts *c)
{
    int64_t n = 0;
    for (size_t i = 0; i < DRIFT_PATHS; i++)
        n += c->hits[i];
    return n;
}

/* A share with four digits; null of nothing. */
static void put_share(struct json_w *w, int64_t n, int64_t of)
{
    int64_t parts = of > 0 ? n * 10000 / of : 0;
    if (of > 0)
        json_put_real(w, (double)parts / 10000);
    else
        json_put_null(w);
}

static void put_counts(struct json_w *w, const char *key, const struct drift_counts *c)
{
    int64_t all = found(c) + c->missing;
    size_t paths = DRIFT_PATHS;
    while (paths > 0 && c->hits[paths - 1] == 0)
        paths--;
    json_key(w, key);
    json_open(w);
    json_kv_int(w, "records", all);
    json_key(w, "missing");
    put_share(w, c->missing, all);
    json_key(w, "paths");
    json_open_array(w);
    for (size_t i = 0; i < paths; i++)
        put_share(w, c->hits[i], all);
    json_close_array(w);
    json_close(w);
}

static void put_first(struct json_w *w, int64_t ms)
{
    char text[WHEN_TEXT];
    json_kv_cstr(w, "first_seen", when_text((wall){ms}, text));
}

static void put_mark(struct json_w *w, enum drift_mark mark)
{
    json_kv_cstr(w, "changed", mark == DRIFT_NONE ? NULL : drift_mark_name(mark));
}

static void put_fields(struct json_w *w, const struct fields_view *view)
{
    json_key(w, "fields");
    json_open_array(w);
    for (size_t i = 0; i < view->count; i++) {
        const struct field_view *v = &view->fields[i];
        if (v->member)
            continue;
        json_open(w);
        json_kv_text(w, "name", v->name);
        put_counts(w, "now", &v->now);
        put_counts(w, "before", &v->before);
        put_mark(w, v->mark);
        json_close(w);
    }
    json_close_array(w);
}

static void put_members(struct json_w *w, const struct fields_view *view)
{
    json_key(w, "unknown_members");
    json_open_array(w);
    for (size_t i = 0; i < view->count; i++) {
        const struct field_view *v = &view->fields[i];
        if (!v->member)
            continue;
        json_open(w);
        json_kv_text(w, "name", v->name);
        json_kv_int(w, "seen", v->now.hits[0]);
        json_kv_int(w, "seen_before", v->before.hits[0]);
        put_first(w, v->first_ms);
        put_mark(w, v->mark);
        json_close(w);
    }
    json_close_array(w);
}

static void on_fields(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    const struct fields_view *view = &c->op.out.fields;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    int64_t changed = 0;
    for (size_t i = 0; i < view->count; i++)
        changed += view->fields[i].mark != DRIFT_NONE;
    json_open(&w);
    json_kv_cstr(&w, "object", "fields");
    json_kv_cstr(&w, "site", c->id);
    json_kv_text(&w, "version", view->version.n ? view->version : SPAN_NONE);
    json_kv_int(&w, "hours", c->op.in.fields.hours);
    json_kv_int(&w, "days_before", FIELD_DAYS_BEFORE);
    json_kv_int(&w, "changed", changed);
    put_fields(&w, view);
    put_members(&w, view);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void sites_fields(struct api *a, struct request *r, struct span name)
{
    int64_t hours = HOURS_DEFAULT;
    if (!query_number(r, "hours", 1, FIELD_HOURS_MAX, &hours))
        return;
    if (name.n >= ID_TEXT) {
        answer_problem(r, 404, "not_found", "there is no such site");
        return;
    }
    struct call *c = call_new(a, r, name);
    c->op.in.fields.site = span_of(c->id);
    c->op.in.fields.hours = hours;
    call_post(c, STORE_FIELDS, on_fields);
}

#include "api/quality.h"

#include "api/order.h"

/* ---- names of fields ---- */

static void add_field(struct body *b, struct span pointer, struct span all, struct span name,
                      enum fields_of of, struct fields *out)
{
    const char *near = fields_near(of, name);
    if (fields_known(of, name)) {
        if (!fields_add(out, name))
            body_refuse(b, all, "range", "at most %d fields", FIELDS_MAX);
    } else if (near) {
        body_refuse(b, pointer, "unknown", "did you mean \"%s\"?", near);
    } else {
        body_refuse(b, pointer, "unknown",
                    "no record has this; names are dotted paths such as \"author.name\"");
    }
}

void order_fields(struct body *b, struct json object, const char *at, const char *key,
                  enum fields_of of, struct fields *out)
{
    struct json list;
    if (!body_texts(b, object, at, key, "[\"id\", \"text\", \"counts.like\"]", &list))
        return;
    struct span all = body_pointer(b, at, span_of(key));
    size_t n = 0;
    for (struct json_iter i = json_each(list); json_next(&i); n++) {
        struct span name = SPAN_NONE;
        json_text(i.value, &name);
        add_field(b, span_of(arena_fmt(b->arena, "%.*s/%zu", SP(all), n)), all, name, of, out);
    }
}

void order_fields_put(struct json_w *w, const char *key, const struct fields *f)
{
    if (!f->count)
        return;
    json_key(w, key);
    json_open_array(w);
    for (size_t i = 0; i < f->count; i++)
        json_put_text(w, f->path[i]);
    json_close_array(w);
}

/* ---- quality ---- */

static void check(struct body *b, const struct quality *q, int64_t limit)
{
    if (limit && q->min_posts > limit)
        body_refuse(b, SPAN("/quality/min_posts"), "range", "must not be more than limit");
    if (q->min_posts && q->on_empty == ON_EMPTY_ACCEPT)
        body_refuse(b, SPAN("/quality/on_empty"), "conflict",
                    "min_posts asks for one record at least: an empty list cannot be accepted");
}

void order_quality(struct body *b, struct json order, enum fields_of of, int64_t limit,
                   struct order_quality *out)
{
    static const char *const members[] = {"min_posts", "on_empty", "required_fields", NULL};
    struct json v;
    int on_empty = ON_EMPTY_SUSPECT;
    if (!body_given(order, "quality", &v))
        return;
    if (!json_is(v, JSON_OBJECT)) {
        body_refuse(b, SPAN("/quality"), "type",
                    "must be an object such as {\"min_posts\":1,\"on_empty\":\"suspect\"}");
        return;
    }
    body_members(b, v, "/quality", members);
    body_number(b, v, "/quality", "min_posts", 1, ORDER_LIMIT_MAX, &out->rules.min_posts);
    (void)body_choice(b, v, "/quality", "on_empty", on_empty_names, &on_empty);
    out->rules.on_empty = (enum on_empty)on_empty;
    order_fields(b, v, "/quality", "required_fields", of, &out->required);
    check(b, &out->rules, limit);
}

void order_quality_put(struct json_w *w, const struct order_quality *q)
{
    if (!q->rules.min_posts && !q->rules.on_empty && !q->required.count)
        return;
    json_key(w, "quality");
    json_open(w);
    if (q->rules.min_posts)
        json_kv_int(w, "min_posts", q->rules.min_posts);
    if (q->rules.on_empty)
        json_kv_cstr(w, "on_empty", on_empty_names[q->rules.on_empty]);
    order_fields_put(w, "required_fields", &q->required);
    json_close(w);
}

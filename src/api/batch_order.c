#include "api/batch_order.h"

#include "base/text.h"

enum { RAW_MAX = 64 * 1024 };

struct reading {
    struct batch_order *order;
    struct body body;
    struct arena *arena;
    struct json_parser *parser;
    struct pack *const *packs;
    size_t pack_count;
    struct span *raw; /* orders as JSON */
    size_t count;
    struct span calls[BATCH_CALLS];
};

static const char *const create_members[] = {"name", "jobs",   "template",  "targets", "mode",
                                             "open", "policy", "callbacks", NULL};
static const char *const add_members[] = {"jobs", "template", "targets", "mode", NULL};
static const char *const call_names[BATCH_CALLS + 1] = {"complete", "success", NULL};

static struct span at(struct reading *r, const char *list, size_t index, struct span rest)
{
    return span_of(arena_fmt(r->arena, "/%s/%zu%.*s", list, index, SP(rest)));
}

static struct span raw_of(struct reading *r, struct json v)
{
    struct buf text = BUF(RAW_MAX);
    json_add_raw(&text, v);
    struct span kept = text.failed ? SPAN_NONE : arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    return kept;
}

/* ---- the orders, as JSON ---- */

static void add_raw(struct reading *r, struct span text, struct span pointer)
{
    if (!text.p) {
        body_refuse(&r->body, pointer, "range", "a job may have %d bytes", RAW_MAX);
        return;
    }
    r->raw[r->count++] = text;
}

static bool list_fits(struct reading *r, struct json list, const char *name)
{
    if (!json_is(list, JSON_ARRAY) || json_count(list) == 0)
        body_refuse(&r->body, span_of(arena_fmt(r->arena, "/%s", name)), "type",
                    "must be a list that is not empty");
    else if (json_count(list) > BATCH_ADD_MOST)
        body_refuse(&r->body, span_of(arena_fmt(r->arena, "/%s", name)), "range",
                    "at most %d at once; make the batch open and add the others",
                    BATCH_ADD_MOST);
    else
        return true;
    return false;
}

static void collect_jobs(struct reading *r, struct json list)
{
    if (!list_fits(r, list, "jobs"))
        return;
    for (struct json_iter i = json_each(list); json_next(&i);)
        add_raw(r, raw_of(r, i.value), at(r, "jobs", r->count, SPAN("")));
}

/* The template with one target more. */
static struct span with_target(struct reading *r, struct json template, struct json target)
{
    struct buf text = BUF(RAW_MAX), raw = BUF(RAW_MAX);
    struct json_w w = json_w(&text);
    json_open(&w);
    for (struct json_iter i = json_each(template); json_next(&i);) {
        buf_clear(&raw);
        json_add_raw(&raw, i.value);
        json_key_span(&w, i.key);
        json_put_raw(&w, buf_span(&raw));
    }
    buf_clear(&raw);
    json_add_raw(&raw, target);
    json_key(&w, "target");
    json_put_raw(&w, buf_span(&raw));
    json_close(&w);
    struct span kept =
        text.failed || raw.failed ? SPAN_NONE : arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    buf_free(&raw);
    return kept;
}

static void collect_targets(struct reading *r, struct json template, struct json targets)
{
    if (!json_is(template, JSON_OBJECT))
        body_refuse(&r->body, SPAN("/template"), "type",
                    "must be an object such as {\"kind\":\"posts\"}");
    else if (json_get(template, SPAN("target")).doc)
        body_refuse(&r->body, SPAN("/template/target"), "unknown_field",
                    "the targets are in \"targets\"");
    else if (list_fits(r, targets, "targets"))
        for (struct json_iter i = json_each(targets); json_next(&i);)
            add_raw(r, with_target(r, template, i.value), at(r, "targets", r->count, SPAN("")));
}

static void collect(struct reading *r, struct json body)
{
    struct json jobs, template, targets;
    bool has_jobs = body_given(body, "jobs", &jobs),
         has_template = body_given(body, "template", &template);
    r->order->templated = body_given(body, "targets", &targets);
    r->raw = arena_get(r->arena, BATCH_ADD_MOST * sizeof *r->raw);
    if (has_jobs && (has_template || r->order->templated))
        body_refuse(&r->body, SPAN("/jobs"), "conflict",
                    "give jobs, or a template with targets, not both");
    else if (has_template != r->order->templated)
        body_refuse(&r->body, has_template ? SPAN("/targets") : SPAN("/template"), "required",
                    "template and targets go together");
    else if (r->order->templated)
        collect_targets(r, template, targets);
    else if (has_jobs)
        collect_jobs(r, jobs);
    else if (!r->order->open)
        body_refuse(&r->body, SPAN("/jobs"), "required",
                    "says what to collect; a batch without jobs must be open");
}

/* ---- the rest of the body ---- */

static void read_mode(struct reading *r, struct json body)
{
    static const char *const modes[] = {"atomic", "partial", NULL};
    int mode = 0;
    body_choice(&r->body, body, "", "mode", modes, &mode);
    r->order->partial = mode == 1;
}

static void read_policy(struct reading *r, struct json body)
{
    static const char *const members[] = {"on_failure", "n", "max_parallel", NULL};
    static const char *const words[] = {"continue", "cancel_all", "stop_after_n", NULL};
    enum { CONTINUE, CANCEL_ALL, STOP_AFTER_N };
    struct json policy, v;
    int on = CONTINUE;
    int64_t n = 0;
    if (!body_given(body, "policy", &policy))
        return;
    if (!json_is(policy, JSON_OBJECT)) {
        body_refuse(&r->body, SPAN("/policy"), "type",
                    "must be an object such as {\"on_failure\":\"cancel_all\"}");
        return;
    }
    body_members(&r->body, policy, "/policy", members);
    body_choice(&r->body, policy, "/policy", "on_failure", words, &on);
    body_number(&r->body, policy, "/policy", "n", 1, BATCH_STOP_MOST, &n);
    body_number(&r->body, policy, "/policy", "max_parallel", 1, BATCH_PARALLEL_MOST,
                &r->order->parallel);
    if (body_given(policy, "n", &v) != (on == STOP_AFTER_N))
        body_refuse(&r->body, SPAN("/policy/n"), "required",
                    "n goes with on_failure stop_after_n, and that with n");
    r->order->stop_after = on == CANCEL_ALL ? 1 : n;
}

static void read_calls(struct reading *r, struct json body)
{
    struct json calls, v;
    if (!body_given(body, "callbacks", &calls))
        return;
    if (!json_is(calls, JSON_OBJECT)) {
        body_refuse(&r->body, SPAN("/callbacks"), "type",
                    "must be an object with complete, success or both: jobs");
        return;
    }
    body_members(&r->body, calls, "/callbacks", call_names);
    for (int i = 0; i < BATCH_CALLS; i++) {
        if (!body_given(calls, call_names[i], &v))
            continue;
        r->order->has_call[i] = true;
        r->calls[i] = raw_of(r, v);
        if (!r->calls[i].p)
            body_refuse(&r->body, span_of(arena_fmt(r->arena, "/callbacks/%s", call_names[i])),
                        "range", "a job may have %d bytes", RAW_MAX);
    }
}

static void read_head(struct reading *r, struct json body)
{
    struct json v;
    struct span name = SPAN("");
    if (body_given(body, "name", &v) && (!json_text(v, &name) || name.n > BATCH_NAME_MOST ||
                                         span_find_char(name, '\n') < name.n))
        body_refuse(&r->body, SPAN("/name"), "type", "must be one line of at most %d bytes",
                    BATCH_NAME_MOST);
    r->order->name = arena_keep(r->arena, name);
    body_flag(&r->body, body, "", "open", &r->order->open);
    read_policy(r, body);
    read_calls(r, body);
}

/* ---- the orders, read ---- */

static struct span pointer_of(struct reading *r, size_t index, struct span inner)
{
    if (!r->order->templated)
        return at(r, "jobs", index, inner);
    if (span_is(inner, "/target"))
        return at(r, "targets", index, SPAN(""));
    return span_of(arena_fmt(r->arena, "/template%.*s", SP(inner)));
}

/* The first mistake of an order; one that has none of its own says its sentence. */
static struct problem_error first_of(struct reading *r, size_t index,
                                     const struct order_refusal *no)
{
    struct problem_error e = {.pointer = SPAN(""), .code = no->code, .detail = no->detail};
    if (no->error_count)
        e = no->errors[0];
    e.pointer = pointer_of(r, index, e.pointer);
    return e;
}

/* False: it makes no sense to read further ones: all have the same mistake, or there are many. */
static bool read_order(struct reading *r, size_t index)
{
    struct order_refusal no;
    struct batch_order *o = r->order;
    if (order_read(&o->orders[o->count], &no, r->parser, r->packs, r->pack_count, r->raw[index],
                   r->arena)) {
        o->indexes[o->count++] = index;
        return true;
    }
    struct problem_error e = first_of(r, index, &no);
    bool common = r->order->templated && span_starts(e.pointer, SPAN("/template"));
    if (o->partial && !common) {
        o->invalid[o->invalid_count++] = (struct batch_invalid){
            .index = index, .pointer = e.pointer, .code = e.code, .detail = e.detail};
        return true;
    }
    body_refuse(&r->body, e.pointer, e.code, "%.*s", SP(span_cut(e.detail, 0, 400)));
    return !common && r->body.refusal->error_count < ORDER_ERRORS_MAX;
}

static void read_call(struct reading *r, int call)
{
    struct order_refusal no;
    if (!r->order->has_call[call] ||
        order_read(&r->order->calls[call], &no, r->parser, r->packs, r->pack_count,
                   r->calls[call], r->arena))
        return;
    struct span inner = no.error_count ? no.errors[0].pointer : SPAN("");
    body_refuse(&r->body,
                span_of(arena_fmt(r->arena, "/callbacks/%s%.*s", call_names[call], SP(inner))),
                no.error_count ? no.errors[0].code : no.code, "%.*s",
                SP(span_cut(no.error_count ? no.errors[0].detail : no.detail, 0, 400)));
}

static void read_orders(struct reading *r)
{
    struct batch_order *o = r->order;
    o->orders = arena_get(r->arena, (r->count + 1) * sizeof *o->orders);
    o->indexes = arena_get(r->arena, (r->count + 1) * sizeof *o->indexes);
    o->invalid = arena_get(r->arena, (r->count + 1) * sizeof *o->invalid);
    for (int i = 0; i < BATCH_CALLS; i++)
        read_call(r, i);
    for (size_t i = 0; i < r->count && read_order(r, i);)
        i++;
    if (r->count && !o->count && o->invalid_count)
        body_refuse(&r->body, o->invalid[0].pointer, o->invalid[0].code,
                    "%.*s; none of the others is valid either",
                    SP(span_cut(o->invalid[0].detail, 0, 300)));
}

bool batch_order_read(struct batch_order *out, struct order_refusal *out_refusal,
                      struct json_parser *parser, struct pack *const *packs, size_t pack_count,
                      struct span body, bool adding, struct arena *a)
{
    *out = (struct batch_order){.open = adding};
    *out_refusal = (struct order_refusal){0};
    struct reading r = {.order = out,
                        .body = {out_refusal, a},
                        .arena = a,
                        .parser = parser,
                        .packs = packs,
                        .pack_count = pack_count};
    struct json root;
    if (!body_read(&r.body, parser, body, false, adding ? add_members : create_members, &root))
        return false;
    read_mode(&r, root);
    if (!adding)
        read_head(&r, root);
    collect(&r, root);
    if (adding && !r.count && !out_refusal->error_count)
        body_refuse(&r.body, SPAN("/jobs"), "required", "says what to add");
    if (!out_refusal->error_count)
        read_orders(&r); /* the body is no longer there */
    return body_fine(&r.body);
}

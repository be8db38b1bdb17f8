/* artifacts.c - what a job read, kept as evidence: the list, one piece, and its repair.
 *
 * A piece is bytes of a foreign site: it is given out as a download that no browser runs or shows as
 * ours (attachment, sandbox, nosniff). */
#include "api/inside.h"
#include "api/view.h"

#include "core/metrics.h"

enum { ITEMS_MAX = 10000, REPORT_MAX = 32768 };

/* ---- GET /v1/jobs/{id}/artifacts ---- */

static void put_headers(struct json_w *w, struct span headers, struct json_parser *parser)
{
    struct json root;
    struct buf small = BUF(64 * 1024);
    json_key(w, "headers");
    if (headers.n && json_parse(parser, headers, &root, NULL) == E_OK) {
        json_add_raw(&small, root);
        json_put_raw(w, buf_span(&small));
    } else {
        json_put_raw(w, SPAN("{}"));
    }
    buf_free(&small);
}

static void put_piece(struct json_w *w, const struct call *c, const struct evidence_view *v)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/jobs/%s/artifacts/%lld", c->id, (long long)v->n);
    json_open(w);
    json_kv_cstr(w, "object", "artifact");
    json_kv_int(w, "n", v->n);
    json_kv_cstr(w, "kind", evidence_kind_name(v->kind));
    json_kv_int(w, "attempt", v->attempt);
    json_kv_int(w, "batch", v->batch);
    json_kv_text(w, "strategy", v->strategy);
    json_kv_text(w, "name", v->name);
    json_kv_text(w, "url", v->url.n ? v->url : SPAN_NONE);
    if (v->status)
        json_kv_int(w, "status", v->status);
    else
        json_kv_null(w, "status");
    put_headers(w, v->headers, c->api->json);
    json_kv_int(w, "bytes", v->bytes);
    json_kv_text(w, "sha256", v->hash);
    json_kv_cstr(w, "reason", v->reason == FAILURE_NONE ? "always" : failure_name(v->reason));
    view_time(w, "collected_at", v->at_ms);
    json_kv_int(w, "collected_at_ms", v->at_ms);
    json_key(w, "links");
    json_open(w);
    json_kv_cstr(w, "self", path);
    json_close(w);
    json_close(w);
}

static void put_gap(struct json_w *w, const struct evidence_gap_view *g)
{
    json_open(w);
    json_kv_cstr(w, "kind", evidence_kind_name(g->kind));
    json_kv_cstr(w, "reason", evidence_gap_name(g->gap));
    json_kv_cstr(w, "meaning", evidence_gap_words(g->gap));
    json_kv_int(w, "count", g->count);
    json_close(w);
}

static void on_listed(struct call *c)
{
    const struct evidence_list *list = &c->op.out.list;
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < list->count; i++)
        put_piece(&w, c, &list->pieces[i]);
    json_close_array(&w);
    json_key(&w, "not_kept");
    json_open_array(&w);
    for (size_t i = 0; i < list->gap_count; i++)
        put_gap(&w, &list->gaps[i]);
    json_close_array(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

void artifacts_list(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    c->op.in.piece.id = span_of(c->id);
    call_post(c, STORE_EVIDENCE_LIST, on_listed);
}

/* ---- GET /v1/jobs/{id}/artifacts/{n} ---- */

/* A media type as the standard writes it: what a site sends must not get into our head. */
static bool is_media_type(struct span s)
{
    size_t slashes = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        slashes += c == '/';
        if (!letter && c != '/' && c != '+' && c != '-' && c != '.')
            return false;
    }
    return s.n > 2 && s.n < 80 && slashes == 1;
}

static const char *type_of(const struct call *c, const struct evidence_view *v)
{
    struct json headers;
    struct span type = SPAN_NONE;
    if (v->kind == EVIDENCE_SCREENSHOT)
        return "image/jpeg";
    if (v->kind == EVIDENCE_DOM)
        return "text/html; charset=utf-8";
    if (json_parse(c->api->json, v->headers, &headers, NULL))
        return "application/octet-stream";
    for (struct json_iter i = json_each(headers); json_next(&i);)
        if (span_eq_nocase(i.key, SPAN("content-type")))
            (void)json_text(i.value, &type);
    type = span_trim(span_cut(type, 0, span_find_char(type, ';')));
    if (!is_media_type(type))
        return "application/octet-stream";
    return arena_text(c->op.arena, type);
}

static const char *ending_of(const char *type)
{
    static const char *const endings[][2] = {{"image/jpeg", "jpg"},
                                             {"text/html", "html"},
                                             {"application/json", "json"},
                                             {"xml", "xml"}};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (span_find(span_of(type), span_of(endings[i][0])) < strlen(type))
            return endings[i][1];
    return "bin";
}

static void on_read(struct call *c)
{
    const struct evidence_view *v = &c->op.out.piece;
    if (c->op.result == E_STORE) {
        answer_problem(c->request, 410, "artifact_damaged",
                       "the file of this artifact is missing or damaged");
        return;
    }
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    const char *type = type_of(c, v);
    char name[120], tag[80];
    snprintf(name, sizeof name, "attachment; filename=\"%s-%lld.%s\"", c->id, (long long)v->n,
             ending_of(type ? type : ""));
    snprintf(tag, sizeof tag, "\"%.64s\"", v->hash.p);
    request_answer(
        c->request,
        &(struct answer){.status = 200,
                         .type = type ? type : "application/octet-stream",
                         .body = v->body,
                         .headers = {"Content-Disposition", name, "Content-Security-Policy",
                                     "sandbox; default-src 'none'", "ETag", tag,
                                     "Referrer-Policy", "no-referrer", NULL}});
}

void artifacts_show(struct api *a, struct request *r, struct span id)
{
    int64_t n;
    struct call *c = call_new(a, r, id);
    if (!path_number(r, "artifacts", &n))
        return;
    c->op.in.piece.id = span_of(c->id);
    c->op.in.piece.n = n;
    call_post(c, STORE_EVIDENCE_READ, on_read);
}

/* ---- POST /v1/jobs/{id}/repair ---- */

static bool item_kind_of(struct span name, enum item_kind *out)
{
    static const char *const names[] = {"post", "user", "unavailable"};
    for (int i = 0; i < 3; i++)
        if (span_is(name, names[i])) {
            *out = (enum item_kind)i;
            return true;
        }
    return false;
}

/* One record; its JSON is a text, so that it is stored as it was written, and a line. */
static bool read_item(struct json v, struct arena *a, struct store_item *out)
{
    struct span kind, id, text;
    if (!json_text(json_get(v, SPAN("kind")), &kind) || !item_kind_of(kind, &out->kind) ||
        !json_text(json_get(v, SPAN("id")), &id) || !id.n ||
        !json_text(json_get(v, SPAN("record")), &text) || !span_starts(text, SPAN("{")))
        return false;
    out->created_ms = 0;
    (void)json_int(json_get(v, SPAN("created_at_ms")), &out->created_ms);
    out->id = arena_keep(a, id);
    out->json = arena_keep(a, text);
    return out->id.p && out->json.p && span_find_char(text, '\n') == text.n &&
           span_find_char(text, '\r') == text.n;
}

static bool read_items(struct call *c, struct json list, struct repair_args *out)
{
    size_t count = json_count(list);
    if (!json_is(list, JSON_ARRAY) || count > ITEMS_MAX)
        return false;
    struct store_item *items = arena_try(c->op.arena, (count + 1) * sizeof *items);
    for (struct json_iter i = json_each(list); items && json_next(&i);)
        if (!read_item(i.value, c->op.arena, &items[out->count++]))
            return false;
    out->items = items;
    return items != NULL;
}

static bool read_end(struct call *c, struct json finish, struct repair_args *out)
{
    struct span verdict, end = SPAN("none"), report = SPAN_NONE;
    if (!finish.doc || json_is(finish, JSON_NULL))
        return true;
    out->done = true;
    (void)json_text(json_get(finish, SPAN("end_reason")), &end);
    (void)json_text(json_get(finish, SPAN("report")), &report);
    out->report = arena_keep(c->op.arena, report);
    return json_text(json_get(finish, SPAN("verdict")), &verdict) &&
           verdict_parse(verdict, &out->verdict) && out->verdict != VERDICT_NONE &&
           end_reason_parse(end, &out->end) && report.n <= REPORT_MAX;
}

static void on_repaired(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    if (c->op.in.repair.done)
        metric_add(METRIC_JOBS_REPAIRED, 0, 1);
    jobs_answer(c);
}

/* Whether every stored text is a JSON object: the parser is free again for them by now. */
static bool all_json(struct call *c, const struct repair_args *args)
{
    struct json root;
    for (size_t i = 0; i < args->count; i++)
        if (json_parse(c->api->json, args->items[i].json, &root, NULL) ||
            !json_is(root, JSON_OBJECT))
            return false;
    return !args->report.n || json_parse(c->api->json, args->report, &root, NULL) == E_OK;
}

void artifacts_repair(struct api *a, struct request *r, struct span id)
{
    struct json root;
    struct fault f = {0};
    struct call *c = call_new(a, r, id);
    struct repair_args args = {.id = span_of(c->id)};
    if (json_parse(a->json, r->body, &root, &f) || !json_is(root, JSON_OBJECT)) {
        answer_problem(r, 400, "malformed_json", "the body must be a JSON object");
        return;
    }
    if (!json_int(json_get(root, SPAN("revision")), &args.revision) ||
        !read_items(c, json_get(root, SPAN("items")), &args) ||
        !read_end(c, json_get(root, SPAN("finish")), &args) || !all_json(c, &args)) {
        answer_problem(
            r, 422, "validation_failed",
            "needed are revision, items (kind, id, record as one line of JSON) and, to "
            "end the job, finish with a verdict");
        return;
    }
    c->op.in.repair = args;
    call_post(c, STORE_REPAIR, on_repaired);
}

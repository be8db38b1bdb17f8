/* rejected.c - records that failed a hard check: what was read, the raw source and the reason, as one
 * record of its own that nobody can take for a result. */
#include "extract/answer.h"

enum { RAW_MAX = 256 * 1024 };

static void put_reason(struct json_w *w, const struct map_run *run)
{
    const struct check_row *row = check_row(run->failed);
    json_kv_cstr(w, "check", row->name);
    json_kv_cstr(w, "reason", row->why);
    json_key(w, "checks");
    json_open(w);
    for (int i = 0; i < CHECK_COUNT; i++)
        if (run->checks.result[i] != CHECK_NA)
            json_kv_cstr(w, check_row((enum check_id)i)->name,
                         check_result_name(run->checks.result[i]));
    json_close(w);
}

/* As the site sent it: the object, or the text of the element. */
static void put_raw(struct answer *a, struct json_w *w, const struct record_place *at)
{
    struct buf raw = BUF(RAW_MAX);
    json_key(w, "raw");
    if (at->node.at)
        html_read(a->doc, at->node, NULL, &raw);
    else
        json_add_raw(&raw, at->object);
    if (raw.failed)
        json_put_null(w); /* larger than any we keep */
    else if (at->node.at)
        json_put_text(w, buf_span(&raw));
    else
        json_put_raw(w, buf_span(&raw));
    buf_free(&raw);
}

static void put_head(struct json_w *w, const struct record *rec)
{
    json_kv_cstr(w, "schema", "xrejected/1");
    json_kv_text(w, "id", rec->id.n ? rec->id : SPAN_NONE);
    json_kv_cstr(w, "kind", rec->kind == RECORD_USER ? "user" : "post");
}

/* Its source is as good as that of any other: it is among the job's evidence. */
struct span record_incomplete(const struct record *r, struct json v, struct span field,
                              struct arena *a)
{
    static const struct span members[] = {{"source", 6}, {"op", 2}, {"collected_at", 12}};
    struct buf line = BUF(MAP_RECORD_BYTES + RAW_MAX);
    struct json_w w = json_w(&line);
    json_open(&w);
    put_head(&w, r);
    json_kv_cstr(&w, "check", "required_fields");
    json_kv_text(&w, "reason",
                 span_of(arena_fmt(a, "quality.required_fields names %.*s, which is null here",
                                   SP(span_cut(field, 0, 120)))));
    json_key(&w, "checks");
    json_open(&w);
    json_kv_cstr(&w, "required_fields", check_result_name(CHECK_FAIL));
    json_close(&w);
    json_key(&w, "record");
    json_put_raw(&w, r->json);
    json_kv_null(&w, "raw");
    json_key(&w, "provenance");
    json_open(&w);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct span text = SPAN_NONE;
        (void)json_text(json_get(json_get(v, SPAN("provenance")), members[i]), &text);
        json_key_span(&w, members[i]);
        json_put_text(&w, text);
    }
    json_close(&w);
    json_close(&w);
    struct span kept = line.failed ? SPAN_NONE : arena_keep(a, buf_span(&line));
    buf_free(&line);
    return kept;
}

struct span answer_rejected(struct answer *a, const struct map_run *run, struct record rec,
                            const struct record_place *at)
{
    struct buf line = BUF(MAP_RECORD_BYTES + RAW_MAX);
    struct json_w w = json_w(&line);
    json_open(&w);
    put_head(&w, &rec);
    put_reason(&w, run);
    json_key(&w, "record");
    json_put_raw(&w, rec.json);
    put_raw(a, &w, at);
    json_key(&w, "provenance");
    json_open(&w);
    json_kv_text(&w, "source", a->as);
    json_kv_text(&w, "op", a->op->name);
    json_kv_cstr(&w, "collected_at", a->collected);
    json_close(&w);
    json_close(&w);
    struct span kept = line.failed ? SPAN_NONE : answer_keep(a, buf_span(&line));
    buf_free(&line);
    return kept;
}

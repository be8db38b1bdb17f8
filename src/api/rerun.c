/* rerun.c - a new job that asks for what an earlier one asked for, with changes or without. */
#include "api/inside.h"
#include "api/merge.h"
#include "api/order.h"

#include "base/need.h"
#include "core/lane.h"

enum { ORDER_MAX = 2 * STORE_SPEC_MAX };

static void put_options(struct json_w *w, struct json spec, bool again)
{
    struct buf raw = BUF(STORE_SPEC_MAX);
    for (struct json_iter i = json_each(spec); json_next(&i);) {
        if (again && span_is(i.key, "rerun_of"))
            continue;
        buf_clear(&raw);
        json_add_raw(&raw, i.value);
        json_key_span(w, i.key);
        json_put_raw(w, buf_span(&raw));
    }
    buf_free(&raw);
}

/* The order that makes such a job: what it asks for, whose it is and how urgent; not when it was wanted, nor its unique
 * key. One in quarantine is tried as an ordinary one. again: it repeats this one. */
static void write_order(struct buf *out, struct json spec, const struct job_view *job,
                        bool again)
{
    struct json_w w = json_w(out);
    struct lane_name lane = {0};
    bool named = lane_name_parse(job->lane, &lane);
    json_open(&w);
    put_options(&w, spec, again);
    json_kv_text(&w, "site", job->site);
    json_kv_text(&w, "kind", job->kind);
    json_kv_text(&w, "target", job->target);
    json_kv_int(&w, "priority", job->prio);
    if (named) {
        json_kv_text(&w, "tenant", lane.tenant);
        json_kv_cstr(&w, "class",
                     lane_class_name(lane.class == LANE_QUARANTINE ? LANE_NORMAL : lane.class));
    }
    if (again)
        json_kv_cstr(&w, "rerun_of", job->id);
    json_close(&w);
}

bool rerun_read(struct call *c, const struct job_view *job, bool again, struct span changes,
                struct span *out)
{
    struct json_parser *parser = json_parser_new(ORDER_MAX);
    struct json spec, before, after;
    struct buf order = BUF(ORDER_MAX), merged = BUF(ORDER_MAX);
    bool ours = json_parse(parser, job->spec, &spec, NULL) == E_OK;
    need(ours);
    write_order(&order, spec, job, again);
    ours = json_parse(parser, buf_span(&order), &before, NULL) == E_OK;
    need(ours);
    bool fine =
        json_parse(c->api->json, changes, &after, NULL) == E_OK && json_is(after, JSON_OBJECT);
    if (fine) {
        merge_patch(&merged, before, after);
        fine = !merged.failed;
        *out = arena_keep(c->op.arena, buf_span(&merged));
    }
    json_parser_free(&parser);
    buf_free(&order);
    buf_free(&merged);
    if (!fine)
        answer_problem(c->request, 400, "malformed_json",
                       "the body must be a JSON object with members of an order, or empty");
    return fine;
}

static void on_job(struct call *c)
{
    struct order order;
    struct order_refusal refusal;
    struct span text, changes = c->request->body.n ? c->request->body : SPAN("{}");
    const struct packs *packs = c->api->config.packs;
    if (call_failed(c) || !rerun_read(c, &c->op.out.job, true, changes, &text))
        return;
    if (order_read(&order, &refusal, c->api->json, packs->pack, packs->count, text,
                   c->op.arena))
        jobs_submit(c, &order, text);
    else
        answer_refusal(c->request, &refusal);
}

void rerun_job(struct api *a, struct request *r, struct span id)
{
    if (r->body.n && !body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    if (!jobs_request_key(c))
        return;
    c->op.in.job.id = span_of(c->id);
    call_post(c, STORE_JOB, on_job);
}

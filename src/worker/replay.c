#include "worker/replay.h"

#include "base/need.h"
#include "worker/inside.h"

struct again {            /* one replay */
    struct dom_view view; /* dom: what the messages before have shown */
    struct collection *c;
    const struct replay_face *face;
    struct replay_result *out;
    struct fault *fault;
    err broken; /* of the face: nothing of it is the job's */
};

/* The collection is the first member that its callbacks see: the replay is found behind it. */
struct replayed {
    struct collection collection;
    struct again again;
};

static struct again *again_of(struct collection *c)
{
    return &((struct replayed *)(void *)c)->again;
}

static err keep_record(struct again *g, const struct frame_item *item)
{
    struct collection *c = g->c;
    bool counted = item->kind == (c->plan.users ? RECORD_USER : RECORD_POST);
    if (counted && c->order->limit > 0 && c->have >= c->order->limit)
        return E_OK;
    c->have += counted;
    g->out->posts += item->kind == RECORD_POST;
    g->out->users += item->kind == RECORD_USER;
    return g->face->on_record(g->face->ctx, item, g->fault);
}

static err keep(struct collection *c, struct span items, struct span cursor)
{
    struct again *g = again_of(c);
    struct frame_item item;
    int64_t had = c->have;
    (void)cursor;
    while (!g->broken && frame_next_item(&items, &item) == E_OK)
        g->broken = keep_record(g, &item);
    collection_note_page(c, c->have - had);
    c->told = c->filtered;
    return g->broken;
}

static err no_more(struct collection *c, struct span cursor)
{
    (void)c;
    (void)cursor;
    return E_OK;
}

static const struct plan_step *step_of(const struct plan *plan, struct span strategy)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (span_is(strategy, plan_strategy_name(plan->steps[i].strategy)))
            return &plan->steps[i];
    return NULL;
}

static const struct operation *operation_of(const struct collection *c,
                                            const struct replay_answer *a)
{
    const struct operation *op = plan_operation(&c->plan, a->url);
    return op ? op : pack_operation(c->page.pack, a->name);
}

/* What it shows is a sample again, too. */
static const struct operation *source_of(struct collection *c, struct span name)
{
    for (size_t i = 0; i < c->plan.source_count; i++)
        if (span_eq(source_operation(c->plan.sources[i])->name, name)) {
            c->sampled = source_is_sampled(c->plan.sources[i]);
            return source_operation(c->plan.sources[i]);
        }
    return NULL;
}

static err no_such(struct collection *c, const struct replay_answer *a)
{
    c->failure = FAILURE_DRIFT;
    return fail(&c->fault, E_SHAPE, "the pack does not read '%.*s' any more",
                SP(span_cut(a->name, 0, 60)));
}

static err read_message(struct collection *c, struct again *g, const struct replay_answer *a)
{
    if (!c->plan.shown || !span_eq(a->name, source_operation(c->plan.shown)->name))
        return no_such(c, a);
    arena_reset(c->page.page_arena);
    c->batch = a->batch;
    return dom_read_again(c, &g->view, a->headers, a->body, a->at);
}

static err read_answer(struct collection *c, struct again *g, const struct replay_answer *a)
{
    struct reading reading = {0};
    if (c->step->strategy == PLAN_DOM)
        return read_message(c, g, a);
    bool capture = c->step->strategy == PLAN_CAPTURE;
    const struct operation *op = capture ? operation_of(c, a) : source_of(c, a->name);
    if (!op)
        return no_such(c, a);
    arena_reset(c->page.page_arena);
    c->batch = a->batch; /* it names what has no id of its own */
    err e = capture ? reader_answer(c->page.reader, op, a->status, a->headers, a->body, a->at,
                                    c->page.page_arena, &reading, &c->fault)
                    : reader_document(c->page.reader, op->name, a->status, a->headers, a->body,
                                      a->at, c->page.page_arena, &reading, &c->fault);
    if (!capture)
        reading.terminated = reading.terminated || reading.says_empty;
    c->source = capture ? SPAN_NONE : op->name;
    if (!e && capture && collection_renews(c, &reading))
        return E_OK; /* what follows was asked for with a new token */
    return e ? e : collection_read(c, op, &reading);
}

struct part { /* of the evidence: one strategy of one attempt */
    int64_t attempt;
    const struct plan_step *step;
};

/* What the part before saw of the account and of the list stays known; what it said does not. */
static void begin(struct collection *c, const struct part *p)
{
    struct span user = c->user_id;
    int64_t claimed = c->claimed;
    bool same = c->step == p->step;
    collection_forget(c);
    if (same) {
        c->user_id = user;
        c->claimed = claimed;
        return;
    }
    collection_begin(c, p->step);
}

static err read_all(struct collection *c, struct again *g)
{
    struct part now = {0};
    struct replay_answer a;
    err e = E_OK, last = E_OK;
    while (!g->broken && (e = g->face->next(g->face->ctx, &a, g->fault)) == E_OK) {
        struct part next = {a.attempt, step_of(&c->plan, a.strategy)};
        if (!next.step) {
            last = no_such(c, &a);
            continue;
        }
        if (next.attempt != now.attempt || next.step != now.step) {
            begin(c, &next);
            g->view = (struct dom_view){0};
            last = E_OK;
        }
        now = next;
        g->out->answers++;
        /* What follows a failure, or the end, of a part is of no use for it. */
        if (!last && !c->end)
            last = read_answer(c, g, &a);
    }
    if (!last && c->step && c->step->strategy == PLAN_DOM)
        last = dom_end(c, &g->view);
    if (!g->broken && e != E_END)
        g->broken = e;
    return last;
}

err replay_collect(const struct pack *pack, struct reader *r, struct json_parser *parser,
                   const struct collect_order *order, const struct replay_face *face,
                   struct arena *a, struct arena *page_arena, struct replay_result *out,
                   struct fault *f)
{
    struct replayed *all = arena_new_of(a, struct replayed);
    struct collection *c = &all->collection;
    struct collect_order fresh = *order;
    fresh.have = fresh.next_batch = 0;
    fresh.cursor = SPAN_NONE;
    fresh.instances = SPAN(PLAN_ALL_SERVERS); /* what was read is there, whoever it came from */
    *out = (struct replay_result){0};
    collection_init(c, &fresh, a, parser);
    all->again = (struct again){.c = c, .face = face, .out = out, .fault = f};
    c->commit = keep;
    c->go_on = no_more;
    reader_forget(r);
    page_init(&c->page, NULL, pack, &c->plan, r, parser, NULL, a, page_arena, &c->fault);
    err e = collection_plan(c, pack);
    if (!e)
        e = read_all(c, &all->again);
    else
        c->failure = FAILURE_BAD_INPUT;
    if (all->again.broken) {
        collection_fini(c);
        return all->again.broken;
    }
    if (!e && out->answers == 0) {
        c->failure = FAILURE_EMPTY_SUSPECT;
        e = fail(&c->fault, E_PAGE, "there is no answer in the evidence");
    }
    if (!c->step)
        c->step = &c->plan.steps[0];
    if (!e && !c->end)
        c->end = END_BUDGET;
    collection_conclude(c, e, &out->ending);
    collection_fini(c);
    return E_OK;
}

bool replay_repairs(enum failure_class was, const struct collect_result *now, int64_t gained)
{
    if (now->failure != FAILURE_NONE || now->verdict == VERDICT_NONE || was == FAILURE_NONE)
        return false;
    return evidence_shows(was) || gained > 0;
}

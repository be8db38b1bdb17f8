/* capture.c - the strategy that opens the page in a browser and reads the answers of its own API. */
#include "worker/inside.h"

#include "base/log.h"
#include "os/clock.h"

enum { GUEST_MS = 2000 };

/* More of the list: from the open page, or from the page opened anew at the cursor, because a page
 * keeps all it has shown and would run out of memory in a long job. */
static err go_on(struct collection *c, struct span cursor)
{
    if (c->go_below) {
        c->go_below = false;
        c->pages_open = c->stalls = c->pages_without_new = 0;
        log_info("job.below", F_S("id", c->plan.below));
        return page_goto(&c->page, c->plan.url, SPAN_NONE, c->order->navigate_ms);
    }
    bool again = c->step->reopen_pages && c->pages_open >= c->step->reopen_pages && cursor.n &&
                 !span_eq(cursor, c->cursor);
    if (!again)
        return page_more(&c->page);
    c->pages_open = 0;
    c->reopened = true;
    return page_goto(&c->page, c->plan.url, cursor, c->order->navigate_ms);
}

/* The page opened anew asks with a new token. */
static err renew(struct collection *c)
{
    log_info("job.renew", F_N("pages", c->pages));
    return page_goto(&c->page, c->plan.url, c->cursor, c->order->navigate_ms);
}

/* Where an earlier attempt got to. A cursor with a name in front is that of a source, and means nothing
 * here, or of the list below a post. */
static err cursor_of(struct collection *c, struct span *out)
{
    struct span cursor = c->order->cursor, head = SPAN("~" CURSOR_BELOW "=");
    if (!span_starts(cursor, head)) {
        *out = span_starts(cursor, SPAN("~")) ? SPAN_NONE : cursor;
        return E_OK;
    }
    size_t colon = span_find_char(cursor, ':');
    *out = span_cut(cursor, colon + 1, cursor.n);
    return plan_go_below(&c->plan, c->page.pack, c->arena,
                         span_cut(cursor, head.n, colon - head.n), &c->fault);
}

/* Is what was shown to be weighed as what a guest is shown? Asked where it matters only. */
static void ask_who_looks(struct collection *c)
{
    if (c->step->wants_timeline && c->step->own_posts_only &&
        (c->claimed > c->have || c->rises))
        c->guest = page_has_guest(&c->page, GUEST_MS);
}

err capture_run(struct collection *c)
{
    const struct collect_order *o = c->order;
    struct span cursor = SPAN_NONE;
    c->go_on = go_on;
    err e = cursor_of(c, &cursor);
    if (!e)
        e = page_goto(&c->page, c->plan.url, cursor, o->navigate_ms);
    for (int turn = 0; !e && !c->end; turn++) {
        struct reading reading = {0};
        const struct operation *op = NULL;
        if (turn >= c->step->turns_max) {
            c->end = END_BUDGET;
            break;
        }
        e = page_next_batch(&c->page, clock_wall(), &reading, &op, o->batch_ms);
        if (e == E_TIMEOUT)
            return collection_explain_silence(c);
        if (!e && collection_renews(c, &reading))
            e = renew(c);
        else if (!e)
            e = collection_read(c, op, &reading);
    }
    if (e == E_END)
        e = collection_spent(c);
    if (!e)
        ask_who_looks(c);
    return e ? e : collection_ask_what_is_empty(c);
}

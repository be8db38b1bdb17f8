/* capture.c - the strategy that opens the page in a browser and reads the answers of its own API. */
#include "worker/inside.h"

#include "os/clock.h"

/* More of the list: from the open page, or from the page opened anew at the cursor, because a page
 * keeps all it has shown and would run out of memory in a long job. */
static err go_on(struct collection *c, struct span cursor)
{
    bool again = c->step->reopen_pages && c->pages_open >= c->step->reopen_pages && cursor.n &&
                 !span_eq(cursor, c->cursor);
    if (!again)
        return page_more(&c->page);
    c->pages_open = 0;
    c->reopened = true;
    return page_goto(&c->page, c->plan.url, cursor, c->order->navigate_ms);
}

err capture_run(struct collection *c)
{
    const struct collect_order *o = c->order;
    /* A cursor with a name in front is that of a source, and means nothing here. */
    struct span cursor = span_starts(o->cursor, SPAN("~")) ? SPAN_NONE : o->cursor;
    c->go_on = go_on;
    err e = page_goto(&c->page, c->plan.url, cursor, o->navigate_ms);
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
        if (!e)
            e = collection_read(c, op, &reading);
    }
    return e ? e : collection_ask_what_is_empty(c);
}

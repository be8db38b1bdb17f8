/* capture.c - the strategy that opens the page in a browser and reads the answers of its own API. */
#include "worker/inside.h"

#include "os/clock.h"

enum { SIGN_MS = 2000, SETTLED_MS = 4000 };

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

/* No data in time: the page may say why. */
static err explain_silence(struct collection *c)
{
    struct page_sign said = page_sign(&c->page, "state", SIGN_MS);
    if (said.is != FAILURE_NONE) {
        c->failure = said.is;
        c->why = said.why;
        return E_PAGE;
    }
    c->failure = c->pages || c->user_read ? FAILURE_STUCK : FAILURE_TIMEOUT;
    return fail(&c->fault, E_TIMEOUT, "no data from the page for %lld ms after %lld pages",
                (long long)c->order->batch_ms, (long long)c->pages);
}

/* Answers without posts prove nothing. What the page makes of them is the word of the site: that
 * there is nothing, or why nothing is shown. */
static err ask_what_is_empty(struct collection *c)
{
    bool nothing = c->have == 0 && !c->unparsed && !c->rejected;
    if (!c->step->wants_timeline || !nothing || c->source_said_empty)
        return E_OK;
    struct page_sign said = page_sign(&c->page, "settled", SETTLED_MS);
    if (c->page.told)
        return c->page.told;
    c->source_said_empty = said.says_empty;
    if (said.is == FAILURE_NONE)
        return E_OK;
    c->failure = said.is;
    c->why = said.why;
    return E_PAGE;
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
            return explain_silence(c);
        if (!e)
            e = collection_read(c, op, &reading);
    }
    return e ? e : ask_what_is_empty(c);
}

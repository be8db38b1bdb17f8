/* thread.c - the thread around a post: which branches were followed, and how deep a reply stands. */
#include "worker/inside.h"

static bool depth_matters(const struct collection *c)
{
    return c->plan.depth && c->thread.depth >= 0;
}

/* Answers come in any order within a page, so it is gone over until nothing more finds its place. */
void thread_measure(struct collection *c, const struct reading *r)
{
    struct thread *t = &c->thread;
    if (!depth_matters(c))
        return;
    for (size_t i = 0; i < r->count; i++) /* what all of it is about */
        if (r->records[i].kind == RECORD_POST && r->records[i].section == SECTION_MAIN)
            seen_add(&t->steps, c->arena, r->records[i].id, 0);
    if (c->plan.focus.n)
        seen_add(&t->steps, c->arena, c->plan.focus, 0);
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < r->count; i++) {
            const struct record *rec = &r->records[i];
            int64_t above;
            if (rec->kind == RECORD_POST && rec->section == SECTION_REPLY && rec->reply_to.n &&
                seen_find(&t->steps, rec->reply_to, &above))
                found |= seen_add(&t->steps, c->arena, rec->id, above + 1);
        }
    }
}

bool thread_wants(struct collection *c, const struct record *r)
{
    int64_t steps;
    if (!depth_matters(c) || r->section != SECTION_REPLY)
        return true;
    if (r->kind == RECORD_UNAVAILABLE)
        return c->thread.depth > 0;
    if (seen_find(&c->thread.steps, r->id, &steps))
        return steps <= c->thread.depth;
    c->thread.unplaced += c->thread.depth > 0;
    return false;
}

static void note_shown(struct collection *c, struct span cursor)
{
    struct thread *t = &c->thread;
    int64_t ignored;
    if (cursor.n && seen_add(&t->shown, c->arena, cursor, 0) &&
        !seen_find(&t->asked, cursor, &ignored))
        t->open++;
}

static void note_asked(struct collection *c, struct span cursor)
{
    struct thread *t = &c->thread;
    int64_t ignored;
    if (cursor.n && seen_add(&t->asked, c->arena, cursor, 0) &&
        seen_find(&t->shown, cursor, &ignored))
        t->open--;
}

static bool has_main(const struct reading *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->records[i].section == SECTION_MAIN)
            return true;
    return false;
}

void thread_note_shown(struct collection *c, const struct reading *r)
{
    if (c->plan.focus.n)
        c->thread.read = c->thread.read || has_main(r);
}

err thread_note_end(struct collection *c, const struct reading *r, int64_t fresh)
{
    struct thread *t = &c->thread;
    note_asked(c, c->page.asked);
    if (!r->terminated)
        note_shown(c, r->cursor);
    for (size_t i = 0; i < r->more_count; i++)
        note_shown(c, r->more[i]);
    t->read = t->read || has_main(r);
    if (!t->read) {
        c->failure = FAILURE_DRIFT;
        c->why = SPAN("the page of the thread does not have the post that it is about");
        return E_PAGE;
    }
    c->pages_without_new = fresh ? 0 : c->pages_without_new + 1;
    if (t->depth == 0 || t->open == 0)
        c->end = END_TERMINATE;
    else if (c->pages_without_new >= c->step->end_repeat_pages)
        c->end = END_NO_NEW_IDS;
    return E_OK;
}

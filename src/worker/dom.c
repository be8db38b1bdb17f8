/* dom.c - the strategy that opens the page in a browser and reads what it shows.
 *
 * Happy path: page_watch → page_goto → each message of what has come into sight is read as a
 * document and committed, and the list is moved on → it rests at its bottom, several times in a row
 * without anything new. It has no cursor: a job taken up again reads the list from its top, and ids
 * that it has are not committed twice.
 *
 * Failure modes: the page says why nothing is shown (its class); "Retry" that does not help (likewise);
 * posts that cannot be read (drift); silence or a list that loads for ever (timeout, stuck). */
#include "worker/inside.h"

#include "base/json.h"
#include "os/clock.h"
#include "os/faults.h"

#include <stdio.h>

enum { WINDOW_POSTS = 20, OLDER_MAX = 3 };

/* ---- what a message brings ---- */

/* A repost is the original on the page, and has no id of its own there: who passed it on makes it one.
 * Its time is the original's, not that of its place in the list. */
static bool take_repost(struct collection *c, struct record *r)
{
    if (collection_has_repost(c, r->id))
        return false;
    r->created_at = (wall){0};
    r->id = span_of(
        arena_fmt(c->page.page_arena, "%.*s#reposted-by=%.*s", SP(r->id), SP(r->passed_on)));
    return r->id.p != NULL;
}

/* Whose list of users it is does not belong to the list. */
static void drop_account(struct reading *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->records[i].kind != RECORD_USER || !r->user_id.n ||
            !span_eq(r->records[i].id, r->user_id))
            r->records[kept++] = r->records[i];
    r->count = kept;
}

static bool is_foreign(const struct collection *c, const struct record *rec)
{
    return rec->kind == RECORD_POST && c->step->own_posts_only && rec->author_id.n &&
           !span_eq_nocase(rec->author_id, c->plan.input);
}

/* Somebody else's post where only reposts of such stand: it is one, and the page says so in a way that we do
 * not know. */
static void count_strangers(const struct collection *c, struct reading *r)
{
    if (!c->step->no_others)
        return;
    for (size_t i = 0; i < r->count; i++) {
        bool lost = is_foreign(c, &r->records[i]) && !r->records[i].repost;
        r->unparsed += lost;
        r->posts -= lost;
    }
}

/* The page names authors by their handles only. Posts of others between those of the account are
 * context, and so is a repost that another strategy has read. */
static void take_records(struct collection *c, struct reading *r)
{
    if (c->plan.users && c->step->wants_timeline)
        drop_account(r);
    for (size_t i = 0; i < r->count; i++) {
        struct record *rec = &r->records[i];
        bool foreign = is_foreign(c, rec);
        if (rec->kind != RECORD_POST)
            continue;
        rec->author_id = SPAN_NONE;
        if (rec->repost ? !take_repost(c, rec) : foreign)
            rec->section = SECTION_RELATED;
    }
}

/* Head of the page: whose it is, and how many posts it claims. */
static void take_account(struct collection *c, const struct reading *r)
{
    if (!r->users || (!r->user_id.n && r->user_posts < 0))
        return;
    c->user_read = true;
    if (!c->plan.users) /* how many follow is not said where it can be relied on */
        c->claimed = r->user_posts;
}

/* Messages are small: records are counted over several of them before they are taken for drift. */
static bool has_drifted(const struct collection *c, struct dom_view *v, const struct reading *r)
{
    int64_t read = (int64_t)(c->plan.users ? r->users : r->posts);
    v->read += read;
    v->lost += (int64_t)(r->unparsed + r->rejected);
    v->seen += read;
    if (verdict_is_drift(v->read, v->lost))
        return true;
    if (v->read + v->lost >= WINDOW_POSTS)
        v->read = v->lost = 0;
    return false;
}

static err keep(struct collection *c, struct dom_view *v, struct reading *r)
{
    int64_t fresh = 0;
    count_strangers(c, r);
    c->promoted += (int64_t)r->promoted;
    c->rejected += (int64_t)r->rejected;
    c->unparsed += (int64_t)r->unparsed;
    if (has_drifted(c, v, r))
        return collection_drift(c, v->read, v->lost);
    if (!r->count)
        return E_OK;
    fault_point("worker.page");
    c->pages++;
    take_account(c, r);
    take_records(c, r);
    thread_note_shown(c, r);
    if (r->gone && !v->gone.is)
        v->gone = (struct page_sign){.is = r->gone, .why = r->gone_why};
    err e = collection_keep(c, r, &fresh);
    if (e || c->end != END_OLDEST_REACHED)
        v->older = fresh ? 0 : v->older;
    else if (++v->older < OLDER_MAX) /* one alone may be out of order */
        c->end = END_NONE;
    return e;
}

/* ---- what the page says ---- */

/* A limit says in its answer when it is over. */
static err fail_as_page_says(struct collection *c, struct page_sign said)
{
    struct page *p = &c->page;
    struct reading limit = {.sign = said.is, .why = said.why};
    if (said.is == FAILURE_RATE_LIMITED && p->limit_status && c->plan.operation_count)
        (void)!reader_answer(p->reader, &c->plan.operations[0], p->limit_status,
                             p->limit_headers, SPAN_NONE, clock_wall(), p->page_arena, &limit,
                             &c->fault);
    limit.sign = said.is;
    limit.why = said.why;
    return collection_fail(c, &limit);
}

/* "Something went wrong", with a button: pressed some times, unless the page says that it is no use. */
static err try_again(struct collection *c, struct dom_view *v)
{
    struct page_sign said = page_sign(&c->page, "state", c->order->batch_ms);
    if (c->page.told)
        return c->page.told;
    if (said.is == FAILURE_NONE)
        return E_OK; /* gone meanwhile: what comes of it is on its way */
    if (said.is != FAILURE_NETWORK || v->retries >= c->step->retries_max)
        return fail_as_page_says(c, said);
    v->retries++;
    page_step(&c->page, "retry");
    return page_retry(&c->page);
}

/* Words in place of posts. A page that shows nothing and says nothing is not finished yet. */
static err weigh(struct collection *c, struct dom_view *v, struct reading *r)
{
    bool account = !c->step->wants_timeline && r->users;
    if (r->says_empty && !v->seen) {
        c->source_said_empty = c->have == 0;
        c->end = END_TERMINATE;
        return E_OK;
    }
    if (r->terminated)
        c->end = END_TERMINATE;
    switch ((int)r->sign) {
    case FAILURE_NONE:
    case FAILURE_EMPTY_SUSPECT:
    case FAILURE_DRIFT: /* keep() counts what could not be read */
        return E_OK;
    case FAILURE_NETWORK:
        return v->shown.retry ? E_OK : collection_fail(c, r);
    case FAILURE_PROTECTED:
        if (!account)
            return collection_fail(c, r);
        r->sign = FAILURE_NONE; /* a protected profile is public */
        return E_OK;
    default:
        return collection_fail(c, r);
    }
}

/* The page as it was handed over, with what cannot be told from it; see shown_of(). */
static void keep_message(struct collection *c, const struct shown *s)
{
    char headers[128];
    snprintf(headers, sizeof headers,
             "{\"content-type\":\"text/html; charset=utf-8\",\"x-fulmar-page\":\"%s%s\"}",
             s->guest ? "guest " : "", s->retry ? "retry" : "");
    evidence_take(c->page.evidence,
                  &(struct evidence_note){.strategy = plan_strategy_name(PLAN_DOM),
                                          .name = source_operation(c->plan.shown)->name,
                                          .url = span_of(c->page.document_url),
                                          .headers = span_of(headers),
                                          .body = s->html,
                                          .status = c->page.document_status,
                                          .at = clock_wall()});
}

/* What keep_message() wrote of the page. */
static struct shown shown_of(struct collection *c, struct span headers, struct span html)
{
    struct json all;
    struct span words = SPAN_NONE;
    if (headers.n && json_parse(c->page.events, headers, &all, NULL) == E_OK)
        (void)json_text(json_get(all, SPAN("x-fulmar-page")), &words);
    return (struct shown){.number = 1,
                          .html = html,
                          .guest = span_find(words, SPAN("guest")) < words.n,
                          .retry = span_find(words, SPAN("retry")) < words.n};
}

static err read_message(struct collection *c, struct dom_view *v, struct reading *r)
{
    struct page *p = &c->page;
    struct span html = v->shown.html;
    if (v->shown.number != v->number + 1 && v->shown.number != 1)
        return fail(&c->fault, E_PROTOCOL, "message %lld of the page came after %lld",
                    (long long)v->shown.number, (long long)v->number);
    v->number = v->shown.number;
    c->guest = v->shown.guest;
    if (!html.n)
        return E_OK;
    keep_message(c, &v->shown);
    return reader_document(p->reader, source_operation(c->plan.shown)->name, 200, SPAN_NONE,
                           html, clock_wall(), p->page_arena, r, &c->fault);
}

/* What the message says of the page, and then its records. */
static err take(struct collection *c, struct dom_view *v, struct reading *r)
{
    err e = weigh(c, v, r);
    if (!e && !c->step->wants_timeline && r->users)
        return collection_read(c, source_operation(c->plan.shown), r);
    return !e && !c->end ? keep(c, v, r) : e;
}

err dom_read_again(struct collection *c, struct dom_view *v, struct span headers,
                   struct span html, wall at)
{
    struct reading r = {.user_posts = -1};
    v->shown = shown_of(c, headers, html);
    c->guest = v->shown.guest;
    err e = reader_document(c->page.reader, source_operation(c->plan.shown)->name, 200,
                            SPAN_NONE, html, at, c->page.page_arena, &r, &c->fault);
    v->offers = (struct page_sign){0};
    if (!e && v->shown.retry && r.sign == FAILURE_NETWORK)
        v->offers = (struct page_sign){.is = r.sign, .why = r.why};
    return e ? e : take(c, v, &r);
}

/* A thread without the post that it is about: what stands in its place says why. A visitor is shown it alone; a
 * branch that did not open is missing. */
static err end_of_thread(struct collection *c, const struct dom_view *v)
{
    if (c->thread.read) {
        c->thread.alone = v->shown.guest && v->seen <= 1;
        c->thread.unplaced += v->shown.shut;
        return E_OK;
    }
    if (v->gone.is)
        return fail_as_page_says(c, v->gone);
    if (c->have == 0 && c->source_said_empty)
        return E_OK;
    c->failure = FAILURE_DRIFT;
    c->why = SPAN("the page of the thread does not have the post that it is about");
    return E_PAGE;
}

err dom_end(struct collection *c, const struct dom_view *v)
{
    if (v->lost && !v->seen)
        return collection_drift(c, 0, v->lost);
    if (v->offers.is)
        return fail_as_page_says(c, v->offers);
    return c->plan.focus.n ? end_of_thread(c, v) : E_OK;
}

/* ---- turns ---- */

/* Nothing new, and the list has come to rest at its bottom, with nothing under way: tried again some
 * times, because a page may take its time before it asks for more. */
static err rest(struct collection *c, struct dom_view *v)
{
    const struct shown *s = &v->shown;
    if (s->busy || s->retry || s->more || c->page.request_count)
        return E_OK;
    if (s->answers && s->bottom && !s->folded) {
        v->last_new = clock_mono(); /* the page does answer */
        if (++v->rests >= c->step->end_repeat_pages)
            c->end = END_NO_NEW_IDS;
    }
    return c->end ? E_OK : page_more(&c->page);
}

static err silence(struct collection *c, struct dom_view *v)
{
    if (v->lost && !v->seen)
        return collection_drift(c, v->seen, v->lost);
    return collection_explain_silence(c);
}

static err turn(struct collection *c, struct dom_view *v)
{
    struct reading r = {.user_posts = -1};
    int64_t left = mono_left(mono_add(v->last_new, c->order->batch_ms), clock_mono());
    if (left <= 0)
        return silence(c, v);
    err e = page_next_shown(&c->page, &v->shown, left);
    if (e == E_TIMEOUT)
        return silence(c, v);
    if (!e)
        e = read_message(c, v, &r);
    if (!e)
        e = take(c, v, &r);
    if (e || c->end)
        return e;
    if (v->shown.retry)
        return try_again(c, v);
    if (c->thread.depth == 0 && c->thread.read && v->shown.answers)
        c->end = END_TERMINATE; /* nothing below the post is wanted */
    if (c->end)
        return E_OK;
    if (!r.entries && !r.unavailable)
        return rest(c, v);
    v->last_new = clock_mono();
    v->rests = v->retries = 0;
    return v->shown.more ? E_OK : page_more(&c->page);
}

err dom_run(struct collection *c)
{
    struct dom_view v = {.number = 0};
    int turns = 0;
    err e = page_watch(&c->page);
    if (!e)
        e = page_goto(&c->page, c->plan.shown_url.n ? c->plan.shown_url : c->plan.url,
                      SPAN_NONE, c->order->navigate_ms);
    v.last_new = clock_mono();
    while (!e && !c->end) {
        if (turns++ >= c->step->turns_max)
            c->end = END_BUDGET;
        else
            e = turn(c, &v);
    }
    if (e == E_END)
        return collection_spent(c);
    if (!e)
        e = dom_end(c, &v);
    return e ? e : collection_ask_what_is_empty(c);
}

#include "worker/inside.h"

#include "base/json.h"
#include "base/log.h"
#include "base/need.h"
#include "extract/include.h"
#include "os/clock.h"
#include "os/faults.h"

#include "core/drift.h"

enum {
    SIGN_MS = 2000,
    SETTLED_MS = 4000,
    COMMIT_MS =
        24 * 3600 * 1000, /* node keeps the page while its store is away, and has the clocks */
    REPORT_MAX = 32 * 1024,
    RECORD_MAX = 8 * 1024 * 1024,
};

/* Reposts have ids of their own, but not on every source. */
static struct span repost_key(const struct collection *c, struct span original)
{
    return span_of(
        arena_fmt(c->page.page_arena, "repost of %.*s", SP(span_cut(original, 0, 64))));
}

bool collection_has_repost(const struct collection *c, struct span original)
{
    int64_t number;
    return seen_find(&c->seen, repost_key(c, original), &number);
}

err collection_fail(struct collection *c, const struct reading *r)
{
    /* Nobody's session was refused: whoever is not logged in was. */
    bool as_nobody = r->sign == FAILURE_SESSION_INVALID && !c->logged_in;
    c->failure = as_nobody ? FAILURE_LOGIN_REQUIRED : r->sign;
    c->why = as_nobody && !r->why.n
                 ? SPAN("the site refused an answer to somebody who is not logged in")
             : as_nobody
                 ? span_of(arena_fmt(c->arena, "%s: %.*s",
                                     "nobody is logged in, and the site refused an answer",
                                     SP(r->why)))
                 : arena_keep(c->arena, r->why);
    if (r->sign == FAILURE_RATE_LIMITED && r->reset_at_s) {
        int64_t wait_ms = r->reset_at_s * 1000 - clock_wall().ms;
        c->wait_ms = wait_ms > 0 ? wait_ms : 1;
    }
    return E_PAGE;
}

/* What the profile says of the list that is read. */
static int64_t claimed_by(const struct reading *r, enum plan_claim claim)
{
    switch (claim) {
    case CLAIM_POSTS:
        return r->user_posts;
    case CLAIM_MEDIA:
        return r->user_media;
    case CLAIM_FOLLOWERS:
        return r->user_followers;
    case CLAIM_FOLLOWING:
        return r->user_following;
    case PLAN_CLAIMS:
        break;
    }
    bug("what does the profile claim?");
}

/* A profile's answer: facts about the target decide some jobs at once. */
static err read_user(struct collection *c, const struct reading *r)
{
    c->user_read = true;
    c->claimed = claimed_by(r, c->step->claim);
    c->user_id = arena_keep(c->arena, r->user_id);
    c->account_shut = r->user_shut;
    c->account_shut_why = r->user_shut_why;
    if (c->step->own_posts_only)
        reader_expect_author(c->page.reader, c->user_id);
    if (r->user_suspended || r->user_protected) {
        c->failure = r->user_suspended ? FAILURE_SUSPENDED : FAILURE_PROTECTED;
        c->why = r->user_suspended ? SPAN("the account is suspended")
                                   : SPAN("only approved followers can see the posts");
        /* The profile of a protected account is public; its posts are not. */
        return r->user_protected && !r->user_suspended && !c->step->wants_timeline ? E_OK
                                                                                   : E_PAGE;
    }
    return E_OK;
}

static bool wanted(const struct collection *c, const struct record *r)
{
    if (r->kind != RECORD_POST) /* the account of a list comes along; a profile has no posts */
        return c->step->wants_timeline || r->kind == RECORD_USER;
    if (c->plan.users || !c->step->wants_timeline || r->section == SECTION_RELATED)
        return false;
    if (c->step->own_posts_only && c->user_id.n && r->author_id.n && !r->repost &&
        !span_eq(r->author_id, c->user_id))
        return false;
    return true;
}

static bool too_old(const struct collection *c, const struct record *r)
{
    return c->has_since && r->kind == RECORD_POST && r->created_at.ms &&
           r->created_at.ms < c->since.ms;
}

static bool too_new(const struct collection *c, const struct record *r)
{
    return c->has_until && r->kind == RECORD_POST && r->created_at.ms >= c->until.ms;
}

static bool excluded(const struct collection *c, const struct record *r)
{
    struct json post;
    return c->exclude && r->kind == RECORD_POST &&
           !json_parse(c->records, r->json, &post, NULL) && exclude_takes(c->exclude, post);
}

/* Such a post is on the page all the same: a page of them is not one without new ids. */
static bool leave_out(struct collection *c, const struct record *r)
{
    if (r->id.n && !seen_add(&c->seen, c->arena, r->id, 0)) {
        c->repeated++;
        return false;
    }
    c->filtered++;
    return true;
}

/* What the job is there for: posts, or users. */
static bool counted(const struct collection *c, enum record_kind kind)
{
    return kind == (c->plan.users ? RECORD_USER : RECORD_POST);
}

/* A tombstone names no post: its entry is its name, or else its place in the job. */
static struct span name_of(const struct collection *c, const struct record *rec, size_t at)
{
    if (rec->id.n)
        return rec->id;
    if (rec->place.n)
        return span_of(arena_fmt(c->arena, "at-%.*s",
                                 (int)(rec->place.n > 200 ? 200 : rec->place.n), rec->place.p));
    return span_of(arena_fmt(c->arena, "at-%lld-%zu", (long long)c->batch, at));
}

/* The same digits name a post and a user: what was seen keeps them apart. */
static struct span seen_name(const struct collection *c, const struct record *rec,
                             struct span id)
{
    if (rec->kind == RECORD_POST)
        return id;
    return span_of(arena_fmt(c->arena, "%d %.*s", (int)rec->kind, SP(id)));
}

static bool add_seen(struct collection *c, const struct record *rec, struct span id)
{
    return seen_add(&c->seen, c->arena, seen_name(c, rec, id), 0);
}

/* Ids of posts grow with time; a shorter one is older. */
static bool is_below(struct span id, struct span lowest)
{
    return !lowest.n || id.n < lowest.n ||
           (id.n == lowest.n && memcmp(id.p, lowest.p, id.n) < 0);
}

/* Is the list in the order of time? Reposts have the ids of their originals where a page is read. */
static void note_order(struct collection *c, const struct record *rec)
{
    if (rec->kind != RECORD_POST || rec->section != SECTION_TIMELINE || rec->pinned ||
        rec->repost || !c->step->own_posts_only)
        return;
    struct span last = span_of(c->last_id);
    c->pairs += last.n > 0;
    c->rises += last.n > 0 && is_below(last, rec->id);
    span_copy(rec->id, c->last_id, sizeof c->last_id);
}

static struct span incomplete_key(const struct collection *c, struct span id)
{
    return span_of(arena_fmt(c->arena, "incomplete %.*s", SP(span_cut(id, 0, 200))));
}

/* Kept apart until a reading comes that has what this one lacks. True: it is not among the results. */
static bool set_aside(struct collection *c, const struct record *rec, struct span id,
                      struct buf *out, bool *out_filtered)
{
    struct json v;
    int64_t ignored;
    if (!c->required.count || !counted(c, rec->kind) ||
        json_parse(c->records, rec->json, &v, NULL))
        return false;
    struct span field = fields_lacking(&c->required, v);
    if (!field.n || seen_find(&c->seen, seen_name(c, rec, id), &ignored))
        return false;
    if (!seen_add(&c->seen, c->arena, incomplete_key(c, id), 0)) {
        c->repeated++;
        return true;
    }
    *out_filtered = true; /* a page of such posts is one with new ids */
    struct span line = record_incomplete(rec, v, field, c->page.page_arena);
    if (!thread_wants(c, rec) || !line.p)
        return true;
    c->incomplete++;
    struct frame_item item = {RECORD_REJECTED, rec->created_at.ms, id, line};
    frame_add_item(out, &item);
    return true;
}

static void note_fill(struct collection *c, const struct record *rec)
{
    struct json v;
    if (counted(c, rec->kind) && !json_parse(c->records, rec->json, &v, NULL))
        fill_add(&c->fill, v);
}

/* It was kept apart before, and is whole in this reading. */
static void note_whole(struct collection *c, const struct record *rec, struct span id)
{
    int64_t ignored;
    if (c->incomplete > 0 && counted(c, rec->kind) &&
        seen_find(&c->seen, incomplete_key(c, id), &ignored))
        c->incomplete--;
}

/* Puts the new records of a page into one batch. Returns how many that are counted are new. */
static int64_t fill_batch(struct collection *c, const struct reading *r, struct buf *out,
                          bool *out_filtered)
{
    int64_t fresh = 0;
    *out_filtered = false;
    bool older = false;
    size_t past = c->plan.ranked ? r->count : known_end(&c->known, r);
    for (size_t i = 0; i < past; i++) {
        const struct record *rec = &r->records[i];
        if (!wanted(c, rec))
            continue;
        note_order(c, rec);
        if (too_old(c, rec) && !c->plan.ranked) {
            older |= !rec->pinned;
            continue;
        }
        if (too_old(c, rec) || too_new(c, rec) || excluded(c, rec) ||
            known_has(&c->known, rec)) {
            *out_filtered |= leave_out(c, rec);
            continue;
        }
        struct span id = name_of(c, rec, i);
        if (set_aside(c, rec, id, out, out_filtered))
            continue;
        if (!add_seen(c, rec, id)) {
            c->repeated++;
            if (rec->kind == RECORD_POST)
                (void)conflict_find(&c->conflicts, c->arena, c->page.events, rec, out);
            continue;
        }
        if (!thread_wants(c, rec)) {
            *out_filtered = true;
            continue;
        }
        note_whole(c, rec, id);
        if (rec->repost && rec->passed_on.n)
            (void)seen_add(&c->seen, c->arena, repost_key(c, rec->passed_on), 0);
        if (rec->kind == RECORD_POST && !rec->pinned && is_below(rec->id, c->lowest))
            c->lowest = arena_keep(c->arena, rec->id);
        if (rec->kind == RECORD_POST)
            conflict_keep(&c->conflicts, c->arena, c->page.events, rec);
        fresh += counted(c, rec->kind);
        c->users += rec->kind == RECORD_USER;
        c->unavailable += rec->kind == RECORD_UNAVAILABLE;
        struct span json = rec->json;
        bool surplus = c->order->limit > 0 && c->have + fresh > c->order->limit;
        if (c->media.wanted && rec->kind == RECORD_POST && !surplus)
            json = media_fetch(c, json);
        struct frame_item item = {(int)rec->kind, rec->created_at.ms, id, json};
        frame_add_item(out, &item);
        if (!surplus)
            note_fill(c, rec);
    }
    if (older && fresh == 0 &&
        !r->disorder) /* a list out of its order may go on with newer ones */
        c->end = END_OLDEST_REACHED;
    else if (past < r->count)
        c->end = END_KNOWN_REACHED;
    return fresh;
}

/* Of the fields, since they were last told. */
static struct span counts_of(struct collection *c, struct arena *a)
{
    struct buf b = BUF(DRIFT_TEXT_MAX + 1024);
    reader_counts(c->page.reader, &b);
    struct span kept = arena_keep(a, buf_span(&b));
    buf_free(&b);
    return kept;
}

void collection_note_page(struct collection *c, int64_t added)
{
    bool first = c->batch == 0; /* the account, on most sites */
    c->brought += first || added > 0 || c->filtered > c->told;
}

static err commit_to_node(struct collection *c, struct span items, struct span cursor)
{
    page_step(&c->page, "commit");
    int64_t filtered = c->filtered;
    struct frame f = {.type = FRAME_RECORDS,
                      .n = {c->batch, c->pages, c->claimed, filtered - c->told},
                      .t = {cursor, items, SPAN_NONE}};
    f.t[2] = counts_of(c, c->page.page_arena);
    if (c->plan.below.n && cursor.n) /* a cursor belongs to the query that it came from */
        f.t[0] = span_of(
            arena_fmt(c->arena, "~" CURSOR_BELOW "=%.*s:%.*s", SP(c->plan.below), SP(cursor)));
    if (c->source.n && cursor.n) /* only this source can go on there */
        f.t[0] = span_of(arena_fmt(c->arena, "~%.*s:%.*s", SP(c->source), SP(cursor)));
    struct frame in;
    err e = channel_send(c->page.channel, &f);
    if (e)
        return E_SHUTDOWN;
    fault_point("worker.records");
    e = page_wait_frame(&c->page, FRAME_COMMITTED, &in, mono_add(clock_mono(), COMMIT_MS));
    if (e)
        return e;
    if (in.n[0] != E_OK)
        return in.n[0] > 0 && in.n[0] < E_COUNT ? (err)in.n[0] : E_PROTOCOL;
    c->have = in.n[2];
    collection_note_page(c, in.n[1]);
    c->told = filtered;
    c->batch++;
    c->evidence.batch = c->batch;
    return E_OK;
}

/* Pages without new ids prove the end of a timeline of X only: the pages of a source may be empty
 * while it goes on behind them, and its end is that it names no next one. */
static enum end_reason end_without_new(const struct collection *c, enum end_reason proof)
{
    return c->step->strategy == PLAN_FETCH ? END_CURSOR_REPEAT : proof;
}

/* A list that brings the same again and again proves nothing. It is asked again, some times; then below
 * the oldest post that it brought, where the site can be asked for that. */
static void note_stall(struct collection *c)
{
    int64_t id;
    if (c->stalls < c->step->end_repeat_pages)
        return;
    c->end = END_CURSOR_REPEAT;
    if (c->plan.ranked || !span_int(c->lowest, &id) || id < 1 || !c->step->reopen_pages)
        return;
    struct span below = span_of(arena_fmt(c->arena, "%lld", (long long)id - 1));
    if (span_eq(below, c->plan.below))
        return; /* that brought nothing new */
    c->go_below = plan_go_below(&c->plan, c->page.pack, c->arena, below, &c->fault) == E_OK;
    if (c->go_below)
        c->end = END_NONE;
}

/* Where the list ends (x-web.md §13): terminated; the same cursor again without a new id; three
 * pages in a row without a new id. A page without posts but with a new cursor is not the end. */
static void note_end(struct collection *c, const struct reading *r, int64_t fresh,
                     bool filtered)
{
    bool repeats = !fresh && !filtered && c->cursor.n && span_eq(r->cursor, c->cursor);
    c->pages_without_new = fresh || filtered ? 0 : c->pages_without_new + 1;
    c->stalls = repeats && r->entries ? c->stalls + 1 : 0;
    if (c->end)
        return;
    if (r->terminated) {
        c->end = END_TERMINATE;
        c->source_said_empty = c->pages == 1 && r->count == 0;
    } else if (c->claimed == 0 && c->have == 0 && r->entries == 0) {
        c->end = END_TERMINATE; /* the profile says: no posts; the list says the same */
        c->source_said_empty = true;
    } else if (repeats && r->entries) {
        note_stall(c);
    } else if (repeats) {
        /* Only cursors, and the same again: the site's way to say "no more". */
        c->end = end_without_new(c, END_NO_NEW_IDS);
    } else if (c->pages_without_new >= c->step->end_repeat_pages) {
        c->end = end_without_new(c, END_NO_NEW_IDS);
    }
}

/* So many pages have brought something, or will have with this one. A list has one page at least. */
static bool pages_used(const struct collection *c, int64_t more)
{
    return bounds_reached(&c->bounds, BOUND_PAGES, c->brought + more);
}

static void end_by_pages(struct collection *c)
{
    c->end = END_BUDGET;
    c->page.spent = (struct spent){BOUND_PAGES, c->bounds.most[BOUND_PAGES], c->brought};
}

err collection_spent(struct collection *c)
{
    c->end = END_BUDGET;
    return E_OK;
}

/* The next page, unless nothing more may be asked for: what was read is kept all the same. */
static err ask_more(struct collection *c, struct span cursor)
{
    err e = c->page.spent.which ? E_END : c->go_on(c, cursor);
    return e == E_END ? collection_spent(c) : e;
}

static err read_timeline(struct collection *c, const struct reading *r)
{
    struct buf items = BUF(16 * 1024 * 1024);
    struct span text;
    c->pages++;
    c->pages_open++;
    bool filtered;
    bool thread = c->plan.focus.n > 0;
    thread_measure(c, r);
    int64_t gone = c->unavailable, had = c->have, fresh = fill_batch(c, r, &items, &filtered);
    if (c->media.wanted &&
        c->page.told) { /* not all of the files were asked for: the page comes again */
        buf_free(&items);
        return c->page.told;
    }
    if (c->reopened && r->entries && !fresh && !filtered) {
        buf_free(&items);
        return fail(&c->fault, E_PAGE, "the page opened anew did not go on where it was");
    }
    c->reopened = false;
    /* Also the last page of a list has its cursors, or says that it is the last. */
    if (!thread && (c->pages > 1 || c->claimed != 0) && !r->entries && !r->count &&
        !r->cursor.n && !r->terminated) {
        buf_free(&items);
        c->failure = FAILURE_DRIFT;
        c->why = SPAN("a page of the list has nothing in it that we know, not even a cursor");
        return E_PAGE;
    }
    bool full = (c->order->limit > 0 && c->have + fresh >= c->order->limit) || pages_used(c, 1);
    err e = E_OK;
    if (thread)
        e = thread_note_end(c, r, fresh + c->unavailable - gone + filtered);
    else
        note_end(c, r, fresh, filtered);
    if (!e)
        e = buf_end(&items, &text);
    /* Ask for the next page before the commit: the site works while the disk does. A thread has no one
     * place to go on from: it is read anew, and what is known is known. */
    struct span cursor = thread ? SPAN_NONE : arena_keep(c->arena, r->cursor);
    bool went_below = c->go_below;
    if (!e && !full && !c->end)
        e = ask_more(c, cursor);
    if (!e && went_below && text.n)
        e = c->commit(c, text, SPAN_NONE);
    else if (!e && !went_below &&
             (text.n || c->filtered > c->told || !span_eq(cursor, c->cursor)))
        e = c->commit(c, text, cursor);
    bool known = c->end == END_KNOWN_REACHED && had + fresh <= c->order->limit;
    if (!e && c->order->limit > 0 && c->have >= c->order->limit && !known)
        c->end = END_LIMIT;
    else if (!e && !c->end && pages_used(c, 0))
        end_by_pages(c);
    else if (!e && full && !c->end) /* ids known from an earlier attempt: not full after all */
        e = ask_more(c, cursor);
    c->cursor = went_below ? SPAN_NONE : cursor;
    buf_free(&items);
    return e;
}

/* All that a visitor is shown of a thread. */
static err read_alone(struct collection *c, const struct reading *r)
{
    struct buf items = BUF(1024 * 1024);
    struct span text;
    bool filtered;
    c->pages++;
    (void)fill_batch(c, r, &items, &filtered);
    err e = buf_end(&items, &text);
    if (!e && text.n)
        e = c->commit(c, text, SPAN_NONE);
    c->thread.alone = true;
    c->end = END_TERMINATE;
    buf_free(&items);
    return e;
}

err collection_keep(struct collection *c, const struct reading *r, int64_t *out_fresh)
{
    struct buf items = BUF(16 * 1024 * 1024);
    struct span text;
    bool filtered;
    thread_measure(c, r);
    *out_fresh = fill_batch(c, r, &items, &filtered);
    err e = c->media.wanted ? c->page.told : E_OK; /* not all of the files were asked for */
    if (!e)
        e = buf_end(&items, &text);
    if (!e && text.n)
        e = c->commit(c, text, SPAN_NONE);
    if (!e && c->order->limit > 0 && c->have >= c->order->limit && c->step->wants_timeline)
        c->end = END_LIMIT;
    else if (!e && !c->end && c->pages > 0 && c->step->wants_timeline && pages_used(c, 0))
        end_by_pages(c);
    buf_free(&items);
    return e;
}

/* Nothing of such a page is kept: what could be read of it would pass for the whole. */
err collection_drift(struct collection *c, int64_t read, int64_t lost)
{
    c->failure = FAILURE_DRIFT;
    c->why = span_of(arena_fmt(c->arena, "%lld of %lld %s of a page could not be read",
                               (long long)lost, (long long)(lost + read),
                               c->plan.users ? "users" : "posts"));
    return E_PAGE;
}

err collection_read(struct collection *c, const struct operation *op, const struct reading *r)
{
    fault_point_if(op->role == OP_TIMELINE, "worker.page");
    c->promoted += (int64_t)r->promoted;
    c->rejected += (int64_t)r->rejected;
    c->disorder += (int64_t)r->disorder;
    c->unparsed += (int64_t)r->unparsed;
    if (r->sign != FAILURE_NONE)
        return collection_fail(c, r);
    int64_t lost = (int64_t)(r->unparsed + r->rejected);
    int64_t read = (int64_t)(c->plan.users ? r->users : r->posts), fresh = 0;
    if (verdict_is_drift(read, lost))
        return collection_drift(c, read, lost);
    if (op->role == OP_TIMELINE)
        return c->step->wants_timeline ? read_timeline(c, r) : E_OK;
    if (op->role == OP_POST)
        return c->thread.read ? E_OK : read_alone(c, r);
    if (op->role == OP_PART)
        return collection_keep(c, r, &fresh);
    err e = read_user(c, r);
    if (e)
        return e;
    /* Whose list of users it is does not belong to the list. */
    if (!c->plan.users || !c->step->wants_timeline)
        e = collection_keep(c, r, &fresh);
    if (!e && !c->step->wants_timeline)
        c->end = END_TERMINATE;
    return e;
}

err collection_explain_silence(struct collection *c)
{
    struct page_sign said = page_sign(&c->page, "state", SIGN_MS);
    if (said.is != FAILURE_NONE) {
        c->failure = said.is;
        c->why = said.why;
        return E_PAGE;
    }
    c->failure = c->pages || c->user_read ? FAILURE_STUCK : FAILURE_TIMEOUT;
    return fail(&c->fault, E_TIMEOUT, "no data from the page for %lld ms after %lld pages%s",
                (long long)c->order->batch_ms, (long long)c->pages,
                said.loading ? ": it is still loading" : "");
}

/* Another page stands in for the list: what it shows is some of it, and where it ends proves nothing. */
static bool is_stand_in(const struct collection *c)
{
    return c->step->strategy == PLAN_DOM && c->plan.shown_url.n > 0;
}

static struct verdict_facts facts_of(const struct collection *c)
{
    return (struct verdict_facts){
        .posts = c->have,
        .lost = c->unparsed + c->rejected + c->incomplete + c->thread.unplaced,
        .since_last = c->known.given,
        .left_out = c->filtered,
        .claimed = c->claimed,
        .source_said_empty = c->source_said_empty,
        .sampled = c->sampled || is_stand_in(c),
        /* Files are counted otherwise than the posts that have them. */
        .guest = c->guest && c->step->claim == CLAIM_POSTS,
        .pairs = c->pairs,
        .rises = c->rises,
        .shows_at_most = c->step->shows_at_most,
        .end = c->end};
}

/* Nothing, and no word why. What the profile said may be the reason. */
static void suspect(struct collection *c)
{
    bool shut = c->account_shut != FAILURE_NONE;
    c->failure = shut ? c->account_shut : FAILURE_EMPTY_SUSPECT;
    if (shut)
        c->why = c->account_shut_why;
    else if (c->incomplete)
        c->why = span_of(arena_fmt(
            c->arena, "none of the %lld records has all that quality.required_fields names",
            (long long)c->incomplete));
    else if (is_stand_in(c))
        c->why = SPAN(
            "a search in place of the list brought nothing, which proves nothing of the list");
    else
        c->why = SPAN(
            "the site answered, but without records and without saying that there are none");
}

/* It ended because nothing more may be asked for, not because its pages were read. */
static bool was_cut(const struct collection *c)
{
    return c->end == END_BUDGET && c->page.spent.which && c->page.spent.which != BOUND_PAGES;
}

/* What the order allows was not enough for a single record: the next attempt has no more. */
static bool nothing_allowed(struct collection *c)
{
    char words[BOUND_WORDS];
    const struct spent *s = &c->page.spent;
    if (!was_cut(c))
        return false;
    c->failure = FAILURE_RESOURCE;
    c->why = arena_keep(c->arena, bounds_words(s->which, s->most, s->taken, words));
    return true;
}

err collection_ask_what_is_empty(struct collection *c)
{
    bool nothing = c->have == 0 && !c->unparsed && !c->rejected && !c->incomplete;
    if (!c->step->wants_timeline || !nothing || c->source_said_empty || was_cut(c))
        return E_OK;
    struct page_sign said = page_sign(&c->page, "settled", SETTLED_MS);
    if (c->page.told)
        return c->page.told;
    c->source_said_empty = said.says_empty;
    if (said.is != FAILURE_NONE) {
        c->failure = said.is;
        c->why = said.why;
        return E_PAGE;
    }
    struct verdict_facts facts = facts_of(c);
    if (verdict_decide(&facts) != VERDICT_NONE || c->thread.alone)
        return E_OK;
    suspect(c); /* another strategy may see more */
    return E_PAGE;
}

static enum failure_class class_of(const struct collection *c, err e)
{
    if (c->failure != FAILURE_NONE)
        return c->failure;
    switch ((int)e) {
    case E_TIMEOUT:
        return FAILURE_TIMEOUT;
    case E_NET:
    case E_PAGE:
        return FAILURE_NETWORK;
    case E_THROTTLED:
        return FAILURE_RATE_LIMITED;
    case E_PAGE_GONE:
        return FAILURE_CRASH;
    case E_BROWSER_GONE:
        return FAILURE_BROWSER;
    case E_CANCELLED:
    case E_SHUTDOWN:
    case E_STALE:
        return FAILURE_CANCELLED;
    case E_TOO_BIG:
    case E_NO_MEMORY:
    case E_DISK_FULL:
        return FAILURE_RESOURCE;
    case E_SHAPE:
        return FAILURE_DRIFT;
    default:
        return FAILURE_INTERNAL;
    }
}

/* Which path each field with several came from, in the pack's order: a change of the site shows
 * here first. */
static void report_paths(const struct collection *c, struct json_w *w)
{
    const struct field_hits *fields;
    size_t count = reader_fields(c->page.reader, &fields);
    json_key(w, "field_paths");
    json_open(w);
    for (size_t i = 0; i < count; i++) {
        uint64_t later = 0;
        for (size_t path = 1; path < fields[i].paths && path < FIELD_PATHS_MAX; path++)
            later += fields[i].hits[path];
        const char *name =
            later ? arena_fmt(c->arena, "%.*s.%.*s", SP(fields[i].map), SP(fields[i].field))
                  : NULL;
        if (!name)
            continue;
        json_key(w, name);
        json_open_array(w);
        for (size_t path = 0; path < fields[i].paths && path < FIELD_PATHS_MAX; path++)
            json_put_int(w, (int64_t)fields[i].hits[path]);
        json_close_array(w);
    }
    json_close(w);
}

/* Which strategy gave what, in the order in which they ran. */
static void report_attempts(const struct collection *c, struct json_w *w)
{
    json_key(w, "sources");
    json_open_array(w);
    for (size_t i = 0; i < c->attempt_count; i++) {
        const struct attempt *t = &c->attempts[i];
        json_open(w);
        json_kv_cstr(w, "source", plan_strategy_name(t->strategy));
        json_kv_int(w, "pages", t->pages);
        json_kv_int(w, "posts", t->posts);
        json_kv_cstr(w, "state", t->failure ? failure_name(t->failure) : "ok");
        json_kv_text(w, "first_error", t->failure ? t->why : SPAN_NONE);
        json_close(w);
    }
    json_close_array(w);
}

/* Which one ended it, and how much of it was used then. */
static void report_budget(const struct collection *c, struct json_w *w)
{
    const struct spent *s = &c->page.spent;
    if (c->end != END_BUDGET || !s->which)
        return;
    json_key(w, "budget");
    json_open(w);
    json_kv_cstr(w, "name", bound_name(s->which));
    json_kv_int(w, "most", s->most);
    json_kv_int(w, "used", s->taken);
    json_close(w);
}

static struct span report(const struct collection *c)
{
    struct buf b = BUF(REPORT_MAX);
    struct json_w w = json_w(&b);
    json_open(&w);
    json_key(&w, "pack");
    json_open(&w);
    pack_put_name(&w, c->page.pack);
    json_close(&w);
    json_kv_cstr(&w, "source", c->step ? plan_strategy_name(c->step->strategy) : NULL);
    report_attempts(c, &w);
    json_kv_int(&w, "pages", c->pages);
    json_kv_int(&w, "posts", c->plan.users ? 0 : c->have);
    json_kv_int(&w, "users", c->plan.users ? c->have : c->users);
    json_kv_int(&w, "unavailable", c->unavailable);
    json_kv_int(&w, "promoted_dropped", c->promoted);
    json_kv_int(&w, "duplicates", c->repeated);
    json_kv_int(&w, "filtered", c->filtered);
    json_kv_cstr(&w, "order", c->plan.ranked ? "ranked" : "time");
    report_budget(c, &w);
    /* Between what this job brought and what was known there may be posts that nobody has. */
    if (c->known.given)
        json_kv_bool(&w, "gap",
                     !c->plan.ranked && (c->end == END_LIMIT || c->end == END_BUDGET ||
                                         c->end == END_CURSOR_REPEAT));
    json_kv_int(&w, "rejected", c->rejected + c->incomplete);
    if (c->accepted_empty)
        json_kv_bool(&w, "accepted_empty", true);
    json_kv_int(&w, "conflicts", c->conflicts.found);
    json_kv_int(&w, "out_of_order", c->disorder);
    json_kv_int(&w, "unparsed", c->unparsed);
    report_paths(c, &w);
    media_report(c, &w);
    json_kv_int(&w, "media", c->fill.media);
    json_key(&w, "quality");
    fill_put(&c->fill, &w);
    json_kv_int(&w, "requests", c->page.api_calls);
    if (c->thread.unplaced)
        json_kv_int(&w, "unplaced", c->thread.unplaced);
    bool posts = c->claimed >= 0 && c->step && c->step->claim == CLAIM_POSTS;
    if (posts)
        json_kv_int(&w, "posts_claimed", c->claimed);
    else
        json_kv_null(&w, "posts_claimed");
    if (c->claimed >= 0 && !posts)
        json_kv_int(&w, "claimed", c->claimed);
    json_close(&w);
    struct span kept = arena_keep(c->arena, buf_span(&b));
    buf_free(&b);
    return kept;
}

static unsigned kinds_of(struct json list)
{
    unsigned kinds = 0;
    struct span name;
    for (struct json_iter i = json_each(list); json_next(&i);)
        if (json_text(i.value, &name))
            kinds |= exclude_bit(name);
    return kinds;
}

static void read_spec(struct collection *c, struct json_parser *parser)
{
    struct json spec;
    struct span since, until, product, media, strategy;
    c->thread.depth = -1;
    if (!c->order->spec.n || json_parse(parser, c->order->spec, &spec, NULL))
        return;
    (void)json_int(json_get(spec, SPAN("depth")), &c->thread.depth);
    if (json_text(json_get(spec, SPAN("since")), &since))
        c->has_since = when_parse(since, &c->since);
    if (json_text(json_get(spec, SPAN("until")), &until))
        c->has_until = when_parse(until, &c->until);
    if (json_text(json_get(spec, SPAN("media")), &media))
        c->media.wanted = span_is(media, "download");
    if (json_text(json_get(spec, SPAN("product")), &product))
        c->product = arena_keep(c->arena, product);
    if (json_text(json_get(spec, SPAN("strategy")), &strategy))
        c->has_strategy = plan_strategy_parse(strategy, &c->strategy);
    c->logged_in = json_is(json_get(spec, SPAN("session")), JSON_OBJECT);
    c->exclude = kinds_of(json_get(spec, SPAN("exclude")));
    c->include = kinds_of(json_get(spec, SPAN("include")));
    c->bounds = bounds_read(spec);
    c->quality = quality_read(spec);
    fields_read(&c->required, json_path(spec, "quality.required_fields"));
}

static struct span words_of(const struct collection *c, err e)
{
    struct span words = c->why.n ? c->why : arena_keep(c->arena, span_of(c->fault.words));
    return words.n ? words : span_of(err_text(e));
}

/* What the failed strategy said must not pass for what the next one says, and what it lost the next
 * one reads: it begins at the top of the list. */
void collection_forget(struct collection *c)
{
    c->unparsed = c->rejected = 0;
    c->failure = FAILURE_NONE;
    c->why = SPAN_NONE;
    c->wait_ms = 0;
    c->fault = (struct fault){0};
    c->cursor = c->source = c->user_id =
        SPAN_NONE; /* not every source names authors by their ids */
    c->claimed = -1;
    c->end = END_NONE;
    c->pages_without_new = c->pages_open = 0;
    c->reopened = c->source_said_empty = c->user_read = c->guest = c->sampled = false;
    c->account_shut = FAILURE_NONE;
    c->last_id[0] = '\0';
    c->pairs = c->rises = 0;
    c->thread = (struct thread){.depth = c->thread.depth};
    c->renewed_at = -1;
    reader_focus(c->page.reader, c->plan.focus);
    c->known.row = 0;
}

void collection_begin(struct collection *c, const struct plan_step *step)
{
    c->step = step;
    reader_expect_author(c->page.reader, SPAN_NONE);
    reader_expect_handle(c->page.reader, step->strategy == PLAN_FETCH && step->no_others
                                             ? c->plan.input
                                             : SPAN_NONE);
}

/* A list goes on where it was; a thread is folded again, and read from its start. */
bool collection_renews(struct collection *c, const struct reading *r)
{
    if (!r->renews || c->page.told || c->renewed_at == c->pages)
        return false;
    c->renewed_at = c->pages;
    if (c->plan.focus.n)
        c->thread = (struct thread){.depth = c->thread.depth};
    reader_focus(c->page.reader, c->plan.focus);
    c->pages_open = 0;
    c->reopened = c->cursor.n > 0;
    return true;
}

bool collection_may_go_on(const struct collection *c, err e)
{
    enum failure_class class = class_of(c, e);
    return !c->page.told && class != FAILURE_CANCELLED && !failure_row(class)->about_target;
}

/* The next strategy that is worth its while after this; the number of strategies when there is none. */
static size_t fall_back(const struct collection *c, size_t next, enum failure_class class)
{
    if (c->page.told || !c->plan.fallback_on[class])
        return c->plan.step_count;
    while (next < c->plan.step_count && c->plan.steps[next].has_after &&
           !c->plan.steps[next].after[class])
        next++;
    return next;
}

/* The strategies in the pack's order: the next one where the one before failed in a way that the pack
 * names, and nobody told the job to end. */
static err collect(struct collection *c)
{
    err e = E_BUG;
    /* An attempt before came so far and did not get to say so. */
    if (c->have > 0 && pages_used(c, 0)) {
        collection_begin(c, &c->plan.steps[0]);
        end_by_pages(c);
        return E_OK;
    }
    for (size_t i = 0; i < c->plan.step_count;) {
        int64_t pages = c->pages, had = c->have;
        collection_begin(c, &c->plan.steps[i]);
        switch (c->step->strategy) {
        case PLAN_CAPTURE:
            e = capture_run(c);
            break;
        case PLAN_DOM:
            e = dom_run(c);
            break;
        case PLAN_FETCH:
            e = fetch_run(c);
            break;
        case PLAN_STRATEGIES:
            break;
        }
        enum failure_class class = e ? class_of(c, e) : FAILURE_NONE;
        c->attempts[c->attempt_count++] =
            (struct attempt){.strategy = c->step->strategy,
                             .pages = c->pages - pages,
                             .posts = c->have - had,
                             .failure = class,
                             .why = e ? words_of(c, e) : SPAN_NONE};
        i = e ? fall_back(c, i + 1, class) : c->plan.step_count;
        if (i >= c->plan.step_count)
            break;
        evidence_end(&c->evidence, class); /* what this one read shows why it failed */
        if (c->step->strategy != PLAN_FETCH)
            page_picture(&c->page, class);
        log_info("job.fallback", F_C("from", plan_strategy_name(c->step->strategy)),
                 F_C("failure", failure_name(class)));
        collection_forget(c);
    }
    return e;
}

/* How it ended, by what was read. */
static void weigh(struct collection *c, err e, struct collect_result *out)
{
    if (e) {
        out->failure = class_of(c, e);
        out->why = words_of(c, e);
        return;
    }
    bool kept_apart = c->incomplete && c->have == 0;
    if ((!c->step->wants_timeline && !was_cut(c) && !kept_apart) || c->thread.alone) {
        out->verdict = c->thread.alone ? VERDICT_SAMPLED : VERDICT_COMPLETE;
        return;
    }
    struct verdict_facts facts = facts_of(c);
    out->verdict = verdict_decide(&facts);
    if (out->verdict != VERDICT_NONE)
        return;
    if (nothing_allowed(c))
        out->final = true;
    else
        suspect(c);
    out->failure = c->failure;
    out->why = c->why;
}

/* Of the budgets that are over all attempts. */
static bool is_spent(const struct collection *c)
{
    enum bound which = c->page.spent.which;
    return c->end == END_BUDGET && (which == BOUND_PAGES || which == BOUND_BYTES);
}

/* What the order makes of it. */
static void judge(struct collection *c, struct collect_result *out)
{
    const char *what = c->plan.users ? "users" : "posts";
    struct judged j = {out->failure, out->verdict, out->final};
    bool lost = c->unparsed + c->rejected + c->incomplete > 0;
    switch (quality_judge(&c->quality, c->have, lost, is_spent(c), &j)) {
    case QUALITY_NOTHING:
        return;
    case QUALITY_ACCEPTED:
        c->accepted_empty = true;
        out->why = SPAN_NONE;
        break;
    case QUALITY_EMPTY:
        out->why =
            span_of(arena_fmt(c->arena, "there are no %s, and quality.on_empty is fail", what));
        break;
    case QUALITY_TOO_FEW:
        c->starts_over = !j.final;
        out->why =
            span_of(arena_fmt(c->arena, "%lld %s came, and quality.min_posts asks for %lld",
                              (long long)c->have, what, (long long)c->quality.min_posts));
        break;
    }
    out->failure = j.failure;
    out->verdict = j.verdict;
    out->final = j.final;
}

void collection_conclude(struct collection *c, err e, struct collect_result *out)
{
    *out = (struct collect_result){.wait_ms = c->wait_ms, .end = c->end};
    weigh(c, e, out);
    judge(c, out);
    out->counts = counts_of(c, c->arena);
    out->report = report(c);
}

/* Where this attempt came to is the end of the list: the next one may find more in between. */
static void start_over(struct collection *c)
{
    c->source = c->plan.below = SPAN_NONE;
    if (!c->page.told)
        (void)!c->commit(c, SPAN_NONE, SPAN(CURSOR_TOP));
}

void collection_init(struct collection *c, const struct collect_order *order, struct arena *a,
                     struct json_parser *parser)
{
    *c = (struct collection){.order = order,
                             .arena = a,
                             .commit = commit_to_node,
                             .batch = order->next_batch,
                             .brought = order->next_batch,
                             .have = order->have,
                             .filtered = order->filtered,
                             .told = order->filtered,
                             .renewed_at = -1,
                             .claimed = -1};
    known_read(&c->known, order->known);
    c->records = json_parser_new(RECORD_MAX);
    read_spec(c, parser);
}

void collection_fini(struct collection *c)
{
    json_parser_free(&c->records);
}

err collection_plan(struct collection *c, const struct pack *pack)
{
    const struct collect_order *o = c->order;
    struct include_way way = {0};
    err e = pack_include(pack, o->kind, o->target, c->include, c->arena, &way, &c->fault);
    if (!e)
        e = plan_make(&c->plan, pack, c->arena, way.kind, o->target, o->base_url, &c->fault);
    if (!e && c->product.n)
        e = plan_choose(&c->plan, pack, c->arena, c->product, &c->fault);
    if (!e)
        e = plan_add_words(&c->plan, pack, c->arena, way.words, way.url, &c->fault);
    if (!e)
        e = plan_configure(&c->plan, o->instances, c->arena, &c->fault);
    if (!e && c->has_strategy)
        e = plan_only(&c->plan, c->strategy, &c->fault);
    c->fill.of = c->plan.users ? FIELDS_OF_USERS : FIELDS_OF_POSTS;
    reader_focus(c->page.reader, e ? SPAN_NONE : c->plan.focus);
    reader_expect_order(c->page.reader, !c->plan.ranked);
    return e;
}

void collect_run(struct channel *channel, const struct pack *pack, struct reader *r,
                 struct json_parser *events, const struct collect_order *order, struct arena *a,
                 struct arena *page_arena, struct collect_result *out)
{
    struct collection *c = arena_new_of(a, struct collection);
    collection_init(c, order, a, events);
    reader_forget(r);
    evidence_init(&c->evidence, channel, order->keep);
    c->evidence.batch = c->batch;
    page_init(&c->page, channel, pack, &c->plan, r, events, &c->evidence, a, page_arena,
              &c->fault);
    c->page.own_navigation = c->bounds.navigation_s > 0;
    err e = collection_plan(c, pack);
    if (!e)
        e = collect(c);
    else
        c->failure = FAILURE_BAD_INPUT;
    collection_conclude(c, e, out);
    if (c->starts_over)
        start_over(c);
    evidence_end(&c->evidence, out->failure);
    evidence_fini(&c->evidence);
    page_fini(&c->page);
    collection_fini(c);
}

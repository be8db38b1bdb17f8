#include "graphql_lists.h"

#include "answer.h"
#include "lists.h"

enum { SCAN_POSTS = 2000 }; /* posts looked at for one page of a grid */

/* ---- frames ---- */

/* {"data":{A:{B:{...{"instructions":[ */
static void open_frame(struct answer *an, const char *const *members)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_key(w, "data");
    for (; *members; members++) {
        json_open(w);
        json_key(w, *members);
    }
    json_open(w);
    json_key(w, "instructions");
    json_open_array(w);
}

static void close_frame(struct answer *an, const char *const *members)
{
    json_close_array(&an->w);
    json_close(&an->w);
    for (; *members; members++)
        json_close(&an->w);
    json_close(&an->w);
}

static const char *const of_user[] = {"user", "result", "timeline", "timeline", NULL};
static const char *const of_search[] = {"search_by_raw_query", "search_timeline", "timeline",
                                        NULL};
static const char *const of_list[] = {"list", "tweets_timeline", "timeline", NULL};
static const char *const of_community[] = {"communityResults", "result",
                                           "ranked_community_timeline", "timeline", NULL};
static const char *const of_thread[] = {"threaded_conversation_with_injections_v2", NULL};

static int bad_cursor(struct buf *out)
{
    graphql_error(out, 214, "BadRequest: cursor cannot be read", "Validation");
    return 400;
}

/* One page of a list: where it begins, and the cursor that leads on. */
struct page {
    struct place at, next;
    uint64_t key;
    bool empty, first;
};

static bool page_begin(struct answer *an, struct page *p, uint64_t key, struct span cursor)
{
    *p = (struct page){.key = key, .first = cursor.n == 0};
    if (cursor.n && !graphql_cursor_parse(cursor, key, &p->at))
        return false;
    p->empty = graphql_page_is_empty(an->spoil, an->model, key, p->at);
    p->next = (struct place){p->at.index, (uint16_t)(p->at.attempt + 1)};
    an->sort = 2085474410189291520 - (int64_t)p->at.index * 3;
    return true;
}

/* Past the end the same cursor comes again. */
static void page_reached(struct page *p, uint32_t index)
{
    if (!p->empty)
        p->next = index == p->at.index ? p->at : (struct place){index, 0};
}

static void put_cursors(struct answer *an, const struct page *p)
{
    graphql_put_cursor_entry(an, "Top", graphql_cursor_text(an, p->key, 'T', p->at));
    graphql_put_cursor_entry(an, "Bottom", graphql_cursor_text(an, p->key, 'B', p->next));
}

static void put_end(struct answer *an, const struct page *p, uint32_t count,
                    enum timeline_end end)
{
    bool past = p->at.index >= count, last = p->next.index >= count && !past;
    if (p->empty || end == END_REPEATS || !(past || (last && end == END_SAID_WITH_LAST)))
        return;
    /* Both words are about: that there is nothing newer, and that there is nothing older. */
    graphql_put_bare_instruction(an, "TimelineTerminateTimeline",
                                 end == END_SAID_ALONE ? "TopAndBottom" : "Bottom");
}

/* ---- modules ---- */

static void open_module(struct answer *an, const char *entry, const char *display)
{
    graphql_open_entry(an, entry);
    graphql_put_entry_type(an, "TimelineTimelineModule");
    json_kv_cstr(&an->w, "displayType", display);
    json_key(&an->w, "items");
    json_open_array(&an->w);
}

static void close_module(struct answer *an)
{
    json_close_array(&an->w);
    graphql_close_entry(an);
}

static void open_addition(struct answer *an, const char *module)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "type", "TimelineAddToModule");
    json_kv_cstr(&an->w, "moduleEntryId", module);
    json_kv_bool(&an->w, "prepend", false);
    json_key(&an->w, "moduleItems");
    json_open_array(&an->w);
}

static void close_addition(struct answer *an)
{
    json_close_array(&an->w);
    json_close(&an->w);
}

static void open_item(struct answer *an, const char *entry)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "entryId", entry);
    json_key(&an->w, "item");
    json_open(&an->w);
}

static void close_item(struct answer *an)
{
    json_close(&an->w);
    json_close(&an->w);
}

static const char *item_name(struct answer *an, const char *module, const char *what,
                             uint64_t id)
{
    return arena_fmt(an->arena, "%s-%s-%llu", module, what, (unsigned long long)id);
}

static void put_item(struct answer *an, const char *module, const struct post *p,
                     enum tweet_role role)
{
    open_item(an,
              item_name(an, module, role == ROLE_PROMOTED ? "promoted-tweet" : "tweet", p->id));
    graphql_put_tweet_item(an, p, role);
    close_item(an);
}

/* ---- tabs of a profile ---- */

static bool known_user(struct answer *an, uint64_t user_id, struct account *out)
{
    if (!model_account_by_id(an->model, user_id, out)) {
        json_put_raw(&an->w, SPAN("{\"data\":{\"user\":{}}}"));
        return false;
    }
    if (out->state != ACCOUNT_SUSPENDED)
        return true;
    json_open(&an->w);
    json_key(&an->w, "data");
    json_open(&an->w);
    json_key(&an->w, "user");
    json_open(&an->w);
    json_key(&an->w, "result");
    graphql_put_unavailable_user(an);
    json_close(&an->w);
    json_close(&an->w);
    json_close(&an->w);
    return false;
}

static void put_conversation(struct answer *an, const struct post *p)
{
    struct account other;
    uint32_t index;
    if (!p->reply_to_id || !model_status(an->model, p->reply_to_id, &other, &index)) {
        graphql_put_tweet_entry(an, p, ROLE_NORMAL);
        return;
    }
    const char *module = arena_fmt(an->arena, "profile-conversation-%lld", (long long)an->sort);
    open_module(an, module, "VerticalConversation");
    put_item(an, module, model_post(an->model, &other, index, an->arena), ROLE_NORMAL);
    put_item(an, module, p, ROLE_NORMAL);
    close_module(an);
}

static void put_replies(struct answer *an, const struct account *a, struct page *p)
{
    uint32_t count = a->state == ACCOUNT_OPEN ? a->posts.count : 0, i = p->at.index;
    open_frame(an, of_user);
    graphql_open_entries(an);
    for (; !p->empty && i < count && i < p->at.index + PAGE_POSTS; i++) {
        if (i == p->at.index + 4)
            graphql_put_advertisement(an, model_mix(p->key, 1, i));
        put_conversation(an, model_post(an->model, a, i, an->arena));
    }
    page_reached(p, i);
    put_cursors(an, p);
    graphql_close_entries(an);
    put_end(an, p, count, a->end);
    close_frame(an, of_user);
}

int graphql_replies(const struct model *m, uint64_t user_id, struct span cursor,
                    const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct account a;
    struct page p;
    int status = 200;
    graphql_init(&an, m, spoil, out);
    if (!known_user(&an, user_id, &a))
        goto out;
    if (!page_begin(&an, &p, model_mix(a.posts.key, 0xa1, 0), cursor))
        status = bad_cursor(out);
    else
        put_replies(&an, &a, &p);
out:
    graphql_fini(&an);
    return status;
}

/* ---- grids ---- */

/* Where the posts of a grid come from: an account's own, or a search. */
struct grid {
    const struct account *account;
    const struct search *search;
    const char *module;
};

static uint32_t grid_count(const struct grid *g)
{
    if (g->search)
        return g->search->past - g->search->first;
    return g->account->state == ACCOUNT_OPEN ? g->account->posts.count : 0;
}

static const struct post *grid_post(struct answer *an, const struct grid *g, uint32_t at)
{
    if (g->search)
        return model_search_post(an->model, g->search, g->search->first + at, an->arena);
    const struct post *p = model_post(an->model, g->account, at, an->arena);
    return p->media_count && !p->reposted ? p : NULL;
}

/* The items of a page; returns the place after them. */
static uint32_t put_grid_items(struct answer *an, const struct grid *g, const struct page *p)
{
    uint32_t i = p->at.index, given = 0, count = grid_count(g);
    for (; i < count && given < PAGE_POSTS && i < p->at.index + SCAN_POSTS; i++) {
        const struct post *post = grid_post(an, g, i);
        if (!post)
            continue;
        put_item(an, g->module, post, ROLE_NORMAL);
        given++;
    }
    return i;
}

static void put_grid(struct answer *an, const struct grid *g, struct page *p,
                     const char *const *frame, enum timeline_end end)
{
    uint32_t reached = p->at.index;
    open_frame(an, frame);
    if (!p->first && !p->empty && p->at.index < grid_count(g)) {
        open_addition(an, g->module);
        reached = put_grid_items(an, g, p);
        close_addition(an);
    }
    graphql_open_entries(an);
    if (p->first && !p->empty) {
        open_module(an, g->module, "VerticalGrid");
        reached = put_grid_items(an, g, p);
        close_module(an);
    }
    page_reached(p, reached);
    put_cursors(an, p);
    graphql_close_entries(an);
    put_end(an, p, grid_count(g), end);
    close_frame(an, frame);
}

int graphql_media(const struct model *m, uint64_t user_id, struct span cursor,
                  const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct account a;
    struct page p;
    int status = 200;
    graphql_init(&an, m, spoil, out);
    if (!known_user(&an, user_id, &a))
        goto out;
    if (!page_begin(&an, &p, model_mix(a.posts.key, 0xa2, 0), cursor))
        status = bad_cursor(out);
    else
        put_grid(&an, &(struct grid){.account = &a, .module = "profile-grid-0"}, &p, of_user,
                 a.end);
out:
    graphql_fini(&an);
    return status;
}

/* ---- rows of accounts ---- */

static void put_user_entry(struct answer *an, const struct account *a, bool there,
                           bool promoted)
{
    struct json_w *w = &an->w;
    graphql_open_entry(an, arena_fmt(an->arena, "user-%llu", (unsigned long long)a->id));
    graphql_put_entry_type(an, "TimelineTimelineItem");
    json_key(w, "itemContent");
    json_open(w);
    json_kv_cstr(w, "itemType", "TimelineUser");
    json_kv_cstr(w, "__typename", "TimelineUser");
    json_key(w, an->spoil->drift ? "account_results" : "user_results");
    json_open(w);
    json_key(w, "result");
    if (there)
        graphql_put_user(an, a);
    else
        graphql_put_unavailable_user(an);
    json_close(w);
    json_kv_cstr(w, "userDisplayType", "User");
    if (promoted) {
        json_key(w, "promotedMetadata");
        json_open(w);
        json_kv_cstr(w, "disclosureType", "NoDisclosure");
        json_close(w);
    }
    json_close(w);
    graphql_close_entry(an);
}

static void put_crowd(struct answer *an, const struct crowd *c, struct page *p,
                      const char *const *frame, enum timeline_end end)
{
    uint32_t i = p->at.index;
    struct account a;
    open_frame(an, frame);
    if (p->first)
        graphql_put_bare_instruction(an, "TimelineClearCache", NULL);
    graphql_open_entries(an);
    for (; !p->empty && i < c->count && i < p->at.index + PAGE_USERS; i++) {
        if (i == p->at.index + 7) {
            model_account_number(an->model, (uint32_t)(c->key % ACCOUNTS_NUMBERED), &a);
            put_user_entry(an, &a, true, true);
        }
        bool there = lists_account(an->model, c, i, &a);
        put_user_entry(an, &a, there, false);
    }
    page_reached(p, i);
    put_cursors(an, p);
    graphql_close_entries(an);
    put_end(an, p, c->count, end);
    close_frame(an, frame);
}

int graphql_follows(const struct model *m, uint64_t user_id, bool followers, struct span cursor,
                    const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct account a;
    struct page p;
    int status = 200;
    graphql_init(&an, m, spoil, out);
    if (!known_user(&an, user_id, &a))
        goto out;
    struct crowd c = followers ? lists_followers(m, &a) : lists_following(m, &a);
    if (a.state != ACCOUNT_OPEN)
        c.count = 0;
    if (!page_begin(&an, &p, c.key, cursor))
        status = bad_cursor(out);
    else
        put_crowd(&an, &c, &p, of_user, a.end);
out:
    graphql_fini(&an);
    return status;
}

/* ---- products of a search ---- */

static bool search_begin(struct answer *an, const struct model *m, struct span query,
                         const struct spoil *spoil, struct search *s, struct buf *out)
{
    graphql_init(an, m, spoil, out);
    if (model_search(m, query, an->arena, s))
        return true;
    graphql_error(out, 214, "BadRequest: SearchQueryParsingException(ERROR_EMPTY_QUERY)",
                  "Validation");
    return false;
}

int graphql_people(const struct model *m, struct span query, struct span cursor,
                   const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct search s;
    struct page p;
    int status = 200;
    if (search_begin(&an, m, query, spoil, &s, out)) {
        struct crowd c = lists_people(&s);
        if (!page_begin(&an, &p, model_mix(c.key, span_hash(query, 3), 3), cursor))
            status = bad_cursor(out);
        else
            put_crowd(&an, &c, &p, of_search, END_REPEATS);
    }
    graphql_fini(&an);
    return status;
}

int graphql_search_media(const struct model *m, struct span query, struct span cursor,
                         const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct search s;
    struct page p;
    int status = 200;
    if (search_begin(&an, m, query, spoil, &s, out)) {
        s.media = FILTER_ONLY;
        if (!page_begin(&an, &p, model_mix(s.stream.key, span_hash(query, 3), 4), cursor))
            status = bad_cursor(out);
        else
            put_grid(&an, &(struct grid){.search = &s, .module = "search-grid-0"}, &p,
                     of_search, END_REPEATS);
    }
    graphql_fini(&an);
    return status;
}

/* ---- lists and communities ---- */

static void put_feed(struct answer *an, const struct search *s, struct page *p,
                     const char *const *frame)
{
    uint32_t i = p->at.index;
    open_frame(an, frame);
    graphql_open_entries(an);
    for (; !p->empty && i < s->past && i < p->at.index + PAGE_POSTS; i++) {
        if (i == p->at.index + 9)
            graphql_put_advertisement(an, model_mix(p->key, 2, i));
        if (p->first && i == 2)
            graphql_put_people(an, "who-to-follow", "Who to follow", p->key);
        graphql_put_tweet_entry(an, model_search_post(an->model, s, i, an->arena), ROLE_NORMAL);
    }
    page_reached(p, i);
    put_cursors(an, p);
    graphql_close_entries(an);
    put_end(an, p, s->past, s->past % 2 ? END_REPEATS : END_SAID_ALONE);
    close_frame(an, frame);
}

static int feed(const struct model *m, enum feed_kind kind, uint64_t id, struct span cursor,
                const struct spoil *spoil, struct buf *out)
{
    struct answer an;
    struct search s;
    struct page p;
    int status = 200;
    graphql_init(&an, m, spoil, out);
    if (!lists_feed(m, kind, id, &s))
        buf_add_text(out, kind == FEED_LIST ? "{\"data\":{\"list\":{}}}"
                                            : "{\"data\":{\"communityResults\":{}}}");
    else if (!page_begin(&an, &p, model_mix(s.stream.key, 0xa5, kind), cursor))
        status = bad_cursor(out);
    else
        put_feed(&an, &s, &p, kind == FEED_LIST ? of_list : of_community);
    graphql_fini(&an);
    return status;
}

int graphql_list(const struct model *m, uint64_t id, struct span cursor,
                 const struct spoil *spoil, struct buf *out)
{
    return feed(m, FEED_LIST, id, cursor, spoil, out);
}

int graphql_community(const struct model *m, uint64_t id, struct span cursor,
                      const struct spoil *spoil, struct buf *out)
{
    return feed(m, FEED_COMMUNITY, id, cursor, spoil, out);
}

/* ---- threads ---- */

static const char gone_words[] = "This Post was deleted by the Post author. Learn more";

/* A value in place of a post. */
static void put_gone_post(struct answer *an, const char *words)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_kv_cstr(w, "__typename", "TweetTombstone");
    json_key(w, "tombstone");
    json_open(w);
    json_kv_cstr(w, "__typename", "TextTombstone");
    json_key(w, "text");
    json_open(w);
    json_kv_bool(w, "rtl", false);
    json_kv_cstr(w, "text", words);
    json_close(w);
    json_close(w);
    json_close(w);
}

static void open_tweet_content(struct answer *an)
{
    struct json_w *w = &an->w;
    json_key(w, "itemContent");
    json_open(w);
    json_kv_cstr(w, "itemType", "TimelineTweet");
    json_kv_cstr(w, "__typename", "TimelineTweet");
    json_key(w, "tweet_results");
    json_open(w);
    json_key(w, "result");
}

static void close_tweet_content(struct answer *an)
{
    json_close(&an->w);
    json_kv_cstr(&an->w, "tweetDisplayType", "Tweet");
    json_close(&an->w);
}

static void open_tweet_entry(struct answer *an, uint64_t id)
{
    graphql_open_entry(an, arena_fmt(an->arena, "tweet-%llu", (unsigned long long)id));
    graphql_put_entry_type(an, "TimelineTimelineItem");
    open_tweet_content(an);
}

static void close_tweet_entry(struct answer *an)
{
    close_tweet_content(an);
    graphql_close_entry(an);
}

static void put_gone_entry(struct answer *an, uint64_t id, const char *words)
{
    open_tweet_entry(an, id);
    put_gone_post(an, words);
    close_tweet_entry(an);
}

/* As an item: the place of a cursor in a list of items. */
static void put_cursor_item(struct answer *an, const char *type, const char *value)
{
    struct json_w *w = &an->w;
    json_key(w, "itemContent");
    json_open(w);
    json_kv_cstr(w, "itemType", "TimelineTimelineCursor");
    json_kv_cstr(w, "__typename", "TimelineTimelineCursor");
    json_kv_cstr(w, "value", value);
    json_kv_cstr(w, "cursorType", type);
    json_key(w, "displayTreatment");
    json_open(w);
    json_kv_cstr(w, "actionText", type[8] == 'T' ? "Show more replies" : "Show replies");
    json_close(w);
    json_close(w);
}

/* The site has two ways to say that an answer is gone. */
static void put_gone_branch(struct answer *an, uint64_t id)
{
    struct json_w *w = &an->w;
    const char *module =
        arena_fmt(an->arena, "conversationthread-%llu", (unsigned long long)id);
    open_module(an, module, "VerticalConversation");
    open_item(an, item_name(an, module, "tombstone", id));
    if (id % 2) {
        open_tweet_content(an);
        put_gone_post(an, gone_words);
        close_tweet_content(an);
    } else {
        json_key(w, "itemContent");
        json_open(w);
        json_kv_cstr(w, "itemType", "TimelineTombstone");
        json_kv_cstr(w, "__typename", "TimelineTombstone");
        json_key(w, "tombstoneInfo");
        json_open(w);
        json_kv_cstr(w, "text", "");
        json_key(w, "richText");
        json_open(w);
        json_kv_cstr(w, "text", gone_words);
        json_close(w);
        json_close(w);
        json_close(w);
    }
    close_item(an);
    close_module(an);
}

/* Posts of a branch from `depth` on, and the cursor to the rest. */
static void put_branch_items(struct answer *an, const struct thread *t, uint64_t key,
                             const char *module, uint32_t branch, uint32_t depth)
{
    uint32_t length = lists_branch_length(t, branch), given = 0;
    for (; depth <= length && given < PAGE_ANSWERS; depth++, given++) {
        put_item(an, module, lists_branch_post(an->model, t, branch, depth, an->arena),
                 ROLE_NORMAL);
        if (branch % 11 == 4 && depth == 1)
            put_item(an, module, lists_branch_post(an->model, t, branch + 1000, 1, an->arena),
                     ROLE_PROMOTED);
    }
    if (depth > length)
        return;
    open_item(an, arena_fmt(an->arena, "%s-cursor-showmore-%u", module, depth));
    put_cursor_item(an, "ShowMore",
                    graphql_cursor_text(an, key, 'B', (struct place){branch, (uint16_t)depth}));
    close_item(an);
}

static uint64_t branch_id(struct answer *an, const struct thread *t, uint32_t branch)
{
    return lists_branch_post(an->model, t, branch, 1, an->arena)->id;
}

static void put_branch(struct answer *an, const struct thread *t, uint64_t key, uint32_t branch)
{
    uint64_t id = branch_id(an, t, branch);
    if (!lists_branch_length(t, branch)) {
        put_gone_branch(an, id);
        return;
    }
    const char *module =
        arena_fmt(an->arena, "conversationthread-%llu", (unsigned long long)id);
    open_module(an, module, "VerticalConversation");
    put_branch_items(an, t, key, module, branch, 1);
    close_module(an);
}

/* Where this page of branches ends: after ten, and where the hidden ones begin. */
static uint32_t branches_end(const struct thread *t, uint32_t at)
{
    uint32_t end = at + PAGE_BRANCHES;
    if (at < t->hidden_from && end > t->hidden_from)
        end = t->hidden_from;
    return end < t->branches ? end : t->branches;
}

static void put_more_branches(struct answer *an, const struct thread *t, uint64_t key,
                              uint32_t at)
{
    const char *value = graphql_cursor_text(an, key, 'B', (struct place){at, 0});
    bool hidden = at == t->hidden_from;
    if (at == PAGE_BRANCHES && !hidden) {
        graphql_put_cursor_entry(an, "Bottom", value);
        return;
    }
    const char *type = hidden ? "ShowMoreThreadsPrompt" : "ShowMoreThreads";
    graphql_open_entry(an, arena_fmt(an->arena, "cursor-%s-%lld",
                                     hidden ? "showmorethreadsprompt" : "showmorethreads",
                                     (long long)an->sort));
    graphql_put_entry_type(an, "TimelineTimelineItem");
    put_cursor_item(an, type, value);
    graphql_close_entry(an);
}

/* "Discover more": posts that have nothing to do with the thread. */
static void put_related(struct answer *an, const struct thread *t)
{
    const char *module =
        arena_fmt(an->arena, "tweetdetailrelatedtweets-%lld", (long long)an->sort);
    open_module(an, module, "Vertical");
    for (uint32_t i = 0; i < 3; i++) {
        const struct post *p = graphql_some_post(an, model_mix(t->key, 0xa7, i));
        if (p)
            put_item(an, module, p, ROLE_NORMAL);
    }
    json_close_array(&an->w);
    json_key(&an->w, "header");
    json_open(&an->w);
    json_kv_cstr(&an->w, "displayType", "Classic");
    json_kv_cstr(&an->w, "text", "Discover more");
    json_close(&an->w);
    graphql_close_entry(an);
}

static void put_thread_page(struct answer *an, const struct thread *t, uint64_t key,
                            struct place at, bool first)
{
    uint32_t end = branches_end(t, at.index);
    const struct post *above = first ? lists_thread_above(an->model, t, an->arena) : NULL;
    open_frame(an, of_thread);
    graphql_open_entries(an);
    if (above && t->above_gone)
        put_gone_entry(an, above->id, gone_words);
    else if (above)
        graphql_put_tweet_entry(an, above, ROLE_NORMAL);
    if (first)
        graphql_put_tweet_entry(an, t->focal, ROLE_NORMAL);
    for (uint32_t i = at.index; i < end; i++) {
        if (i == at.index + 2)
            graphql_put_advertisement(an, model_mix(key, 3, i));
        put_branch(an, t, key, i);
    }
    if (end < t->branches)
        put_more_branches(an, t, key, end);
    else if (first || at.index < t->branches)
        put_related(an, t);
    if (end == t->branches && t->end == END_REPEATS)
        graphql_put_cursor_entry(an, "Bottom",
                                 graphql_cursor_text(an, key, 'B', (struct place){end, 0}));
    graphql_close_entries(an);
    if (end == t->branches && t->end != END_REPEATS)
        graphql_put_bare_instruction(an, "TimelineTerminateTimeline",
                                     t->end == END_SAID_ALONE ? "Bottom" : "TopAndBottom");
    close_frame(an, of_thread);
}

static void put_branch_page(struct answer *an, const struct thread *t, uint64_t key,
                            struct place at)
{
    const char *module = arena_fmt(an->arena, "conversationthread-%llu",
                                   (unsigned long long)branch_id(an, t, at.index));
    open_frame(an, of_thread);
    open_addition(an, module);
    put_branch_items(an, t, key, module, at.index, at.attempt);
    close_addition(an);
    close_frame(an, of_thread);
}

/* In place of the thread: its post cannot be seen. */
static void put_shut_thread(struct answer *an, const struct account *a, uint64_t id)
{
    open_frame(an, of_thread);
    graphql_open_entries(an);
    if (a->state == ACCOUNT_SUSPENDED && (id >> 22) % 2) {
        open_tweet_entry(an, id);
        json_open(&an->w);
        json_kv_cstr(&an->w, "__typename", "TweetUnavailable");
        json_kv_cstr(&an->w, "reason", "Suspended");
        json_close(&an->w);
        close_tweet_entry(an);
    } else {
        put_gone_entry(
            an, id,
            a->state == ACCOUNT_SUSPENDED
                ? "This Post is from a suspended account. Learn more"
                : "You\xe2\x80\x99re unable to view this Post because this account owner "
                  "limits who can view their Posts. Learn more");
    }
    graphql_close_entries(an);
    close_frame(an, of_thread);
}

static int no_status(struct buf *out)
{
    graphql_error(out, 144, "_Missing: No status found with that ID", "NonFatal");
    return 200;
}

int graphql_thread(const struct model *m, uint64_t id, struct span cursor,
                   const struct spoil *spoil, struct buf *out)
{
    struct account a;
    uint32_t index;
    struct place at = {0};
    struct thread t;
    int status = 200;
    if (!model_status(m, id, &a, &index))
        return no_status(out);
    if (a.state == ACCOUNT_PROTECTED && (id >> 22) % 2) {
        graphql_error(out, 179, "Sorry, you are not authorized to see this status.",
                      "Permissions");
        return 200;
    }
    struct answer an;
    graphql_init(&an, m, spoil, out);
    if (a.state != ACCOUNT_OPEN) {
        put_shut_thread(&an, &a, id);
        goto out;
    }
    lists_thread(m, &a, index, an.arena, &t);
    uint64_t key = model_mix(t.key, 0xa6, 0);
    an.sort = INT64_MAX - (int64_t)(t.focal->id >> 22) * 1024;
    if (cursor.n && !graphql_cursor_parse(cursor, key, &at))
        status = bad_cursor(out);
    else if (at.attempt)
        put_branch_page(&an, &t, key, at);
    else
        put_thread_page(&an, &t, key, at, cursor.n == 0);
out:
    graphql_fini(&an);
    return status;
}

int graphql_post_alone(const struct model *m, uint64_t id, const struct spoil *spoil,
                       struct buf *out)
{
    struct account a;
    uint32_t index;
    if (!model_status(m, id, &a, &index)) {
        buf_add_text(out, "{\"data\":{\"tweetResult\":{}}}");
        return 200;
    }
    struct answer an;
    graphql_init(&an, m, spoil, out);
    json_open(&an.w);
    json_key(&an.w, "data");
    json_open(&an.w);
    json_key(&an.w, "tweetResult");
    json_open(&an.w);
    json_key(&an.w, "result");
    if (a.state == ACCOUNT_OPEN) {
        graphql_put_post(&an, model_post(m, &a, index, an.arena));
    } else {
        json_open(&an.w);
        json_kv_cstr(&an.w, "__typename", "TweetUnavailable");
        json_kv_cstr(&an.w, "reason", a.state == ACCOUNT_SUSPENDED ? "Suspended" : "Protected");
        json_close(&an.w);
    }
    json_close(&an.w);
    json_close(&an.w);
    json_close(&an.w);
    graphql_fini(&an);
    return 200;
}

#include "truth.h"

#include "top.h"

#include "base/json.h"

enum { ARENA_MAX = 8 * 1024 * 1024 };

static void put_id(struct json_w *w, const char *key, uint64_t id)
{
    char text[24] = {0};
    size_t at = sizeof(text) - 1;
    for (uint64_t v = id; at > 0; v /= 10) {
        text[--at] = (char)('0' + v % 10);
        if (v < 10)
            break;
    }
    json_kv_text(w, key, (struct span){text + at, sizeof(text) - 1 - at});
}

static void put_id_or_null(struct json_w *w, const char *key, uint64_t id)
{
    if (id)
        put_id(w, key, id);
    else
        json_kv_null(w, key);
}

/* Negative: not known. */
static void put_count(struct json_w *w, const char *key, int64_t v)
{
    if (v < 0)
        json_kv_null(w, key);
    else
        json_kv_int(w, key, v);
}

static void put_time(struct json_w *w, const char *key, int64_t ms)
{
    char text[WHEN_TEXT];
    json_kv_cstr(w, key, when_text((wall){ms}, text));
}

static void put_counts(struct json_w *w, const struct post *p)
{
    bool wrapper = p->reposted != NULL; /* its own numbers mean nothing */
    json_key(w, "counts");
    json_open(w);
    put_count(w, "reply", wrapper ? -1 : p->reply);
    put_count(w, "repost", wrapper ? -1 : p->repost);
    put_count(w, "like", wrapper ? -1 : p->like);
    put_count(w, "quote", wrapper ? -1 : p->quote);
    put_count(w, "bookmark", wrapper ? -1 : p->bookmark);
    put_count(w, "view", wrapper ? -1 : p->view);
    json_close(w);
}

static void put_tags(struct json_w *w, const char *key, const struct tag_entity *tags, size_t n)
{
    json_key(w, key);
    json_open_array(w);
    for (size_t i = 0; i < n; i++)
        json_put_text(w, tags[i].text);
    json_close_array(w);
}

static void put_entities(struct json_w *w, const struct words *text)
{
    json_key(w, "urls");
    json_open_array(w);
    for (size_t i = 0; i < text->url_count; i++) {
        const struct url_entity *u = &text->urls[i];
        json_open(w);
        json_kv_text(w, "url", u->url);
        json_kv_text(w, "expanded", u->expanded);
        json_kv_text(w, "display", u->display);
        json_kv_int(w, "start", u->start);
        json_kv_int(w, "end", u->end);
        json_close(w);
    }
    json_close_array(w);
    put_tags(w, "hashtags", text->hashtags, text->hashtag_count);
    put_tags(w, "cashtags", text->cashtags, text->cashtag_count);
    json_key(w, "mentions");
    json_open_array(w);
    for (size_t i = 0; i < text->mention_count; i++) {
        json_open(w);
        put_id(w, "id", text->mentions[i].id);
        json_kv_text(w, "screen_name", text->mentions[i].handle);
        json_kv_text(w, "name", text->mentions[i].name);
        json_close(w);
    }
    json_close_array(w);
}

static const struct variant *best_variant(const struct media *v)
{
    const struct variant *best = &v->variants[0];
    for (size_t i = 1; i < v->variant_count; i++)
        if (v->variants[i].bitrate > best->bitrate)
            best = &v->variants[i];
    return best;
}

static void put_media_names(struct json_w *w, const struct media *v, struct arena *line)
{
    static const char *const prefixes[] = {"3", "13", "16"};
    static const char *const types[] = {"photo", "video", "gif"};
    put_id(w, "id", v->id);
    json_kv_text(w, "key", v->key);
    json_kv_cstr(w, "media_key",
                 arena_fmt(line, "%s_%llu", prefixes[v->type], (unsigned long long)v->id));
    json_kv_cstr(w, "type", types[v->type]);
    if (v->type != MEDIA_PHOTO) {
        json_kv_text(w, "url", best_variant(v)->url);
        json_kv_null(w, "url_orig");
        json_kv_text(w, "thumb_url", v->url);
        return;
    }
    struct span format = span_cut(v->url, v->url.n - 3, 3);
    json_kv_text(w, "url", v->url);
    json_kv_cstr(w, "url_orig",
                 arena_fmt(line, "https://pbs.twimg.com/media/%.*s?format=%.*s&name=orig",
                           SP(v->key), SP(format)));
    json_kv_null(w, "thumb_url");
}

static void put_media(struct json_w *w, const struct post *p, struct arena *line)
{
    json_key(w, "media");
    json_open_array(w);
    for (size_t i = 0; i < p->media_count; i++) {
        const struct media *v = &p->media[i];
        json_open(w);
        put_media_names(w, v, line);
        json_kv_int(w, "width", v->width);
        json_kv_int(w, "height", v->height);
        put_count(w, "duration_ms", v->duration_ms);
        json_kv_text(w, "alt", v->alt);
        json_key(w, "variants");
        json_open_array(w);
        for (size_t k = 0; k < v->variant_count; k++) {
            json_open(w);
            json_kv_text(w, "url", v->variants[k].url);
            json_kv_cstr(w, "content_type",
                         v->variants[k].bitrate < 0 ? "application/x-mpegURL" : "video/mp4");
            put_count(w, "bitrate", v->variants[k].bitrate);
            json_close(w);
        }
        json_close_array(w);
        json_close(w);
    }
    json_close_array(w);
}

static void put_poll(struct json_w *w, const struct card *c)
{
    json_key(w, "poll");
    json_open(w);
    json_key(w, "options");
    json_open_array(w);
    for (size_t i = 0; i < c->choice_count; i++) {
        json_open(w);
        json_kv_text(w, "label", c->choice[i]);
        json_kv_int(w, "votes", c->votes[i]);
        json_close(w);
    }
    json_close_array(w);
    put_time(w, "ends_at", c->ends_ms);
    json_kv_int(w, "duration_min", c->duration_min);
    json_kv_bool(w, "final", c->is_final);
    json_close(w);
}

static void put_card(struct json_w *w, const struct card *c, struct arena *line)
{
    json_key(w, "card");
    if (c->type == CARD_NONE) {
        json_put_null(w);
        return;
    }
    json_open(w);
    if (c->type == CARD_POLL)
        json_kv_cstr(w, "name", arena_fmt(line, "poll%zuchoice_text_only", c->choice_count));
    else
        json_kv_cstr(w, "name", "summary_large_image");
    json_kv_text(w, "title", c->title);
    json_kv_text(w, "url", c->url);
    json_kv_text(w, "domain", c->domain);
    if (c->type == CARD_POLL)
        put_poll(w, c);
    else
        json_kv_null(w, "poll");
    json_close(w);
}

static void put_reply(struct json_w *w, const struct post *p)
{
    json_key(w, "reply_to");
    if (!p->reply_to_id) {
        json_put_null(w);
        return;
    }
    json_open(w);
    put_id(w, "post_id", p->reply_to_id);
    put_id(w, "user_id", p->reply_to_user);
    json_kv_text(w, "screen_name", p->reply_to_handle);
    json_close(w);
}

static const char *kind_name(enum post_kind kind)
{
    static const char *const names[] = {"post", "reply", "quote", "repost"};
    return names[kind];
}

/* Who, when, where: of a repost the wrapper's own. */
static void put_head(struct json_w *w, const struct post *p, struct arena *line)
{
    json_kv_cstr(w, "schema", "xpost/1");
    put_id(w, "id", p->id);
    json_kv_cstr(w, "url",
                 arena_fmt(line, "https://x.com/%s/status/%llu", p->author.handle,
                           (unsigned long long)p->id));
    json_kv_cstr(w, "kind", kind_name(p->kind));
    json_key(w, "author");
    json_open(w);
    put_id(w, "id", p->author.id);
    json_kv_cstr(w, "screen_name", p->author.handle);
    json_kv_text(w, "name", p->author_name);
    json_close(w);
    put_time(w, "created_at", p->ms);
    json_kv_int(w, "created_at_ms", p->ms);
}

/* What it says: of a repost the original's. */
static void put_body(struct json_w *w, const struct post *p, struct arena *line)
{
    const struct post *o = p->reposted ? p->reposted : p;
    const struct words *text = o->is_long ? &o->note : &o->sent;
    json_kv_text(w, "text", o->clean);
    json_kv_text(w, "text_raw", text->text);
    json_kv_bool(w, "text_truncated", false);
    json_kv_bool(w, "is_long", o->is_long);
    json_kv_cstr(w, "lang", o->lang);
    put_counts(w, p);
    put_entities(w, text);
    put_media(w, o, line);
}

/* A repost is in no community, whatever its original is. */
static void put_parts(struct json_w *w, const struct post *p, const struct post *o)
{
    json_key(w, "article");
    if (o->article_id) {
        json_open(w);
        put_id(w, "id", o->article_id);
        json_kv_text(w, "title", o->article_title);
        json_kv_text(w, "preview", o->article_preview);
        json_kv_text(w, "cover_url", o->article_cover);
        json_close(w);
    } else {
        json_put_null(w);
    }
    json_key(w, "community");
    if (p->community_id) {
        json_open(w);
        put_id(w, "id", p->community_id);
        json_kv_text(w, "name", p->community_name);
        json_close(w);
    } else {
        json_put_null(w);
    }
    json_kv_text(w, "community_note", o->readers_note);
}

static void put_tail(struct json_w *w, const struct post *p, struct arena *line)
{
    const struct post *o = p->reposted ? p->reposted : p;
    json_kv_cstr(w, "source_app", o->app);
    json_key(w, "possibly_sensitive");
    if (o->sensitive < 0)
        json_put_null(w);
    else
        json_put_bool(w, o->sensitive == 1);
    put_card(w, &o->card, line);
    put_parts(w, p, o);
}

enum pinned { PINNED_UNKNOWN, PINNED_NO, PINNED_YES };

static void put_pinned(struct json_w *w, enum pinned pinned)
{
    if (pinned == PINNED_UNKNOWN)
        json_kv_null(w, "is_pinned");
    else
        json_kv_bool(w, "is_pinned", pinned == PINNED_YES);
}

static void put_nested(struct json_w *w, const char *id_key, const char *key,
                       const struct post *p, struct arena *line)
{
    put_id_or_null(w, id_key, p ? p->id : 0);
    json_key(w, key);
    if (!p) {
        json_put_null(w);
        return;
    }
    json_open(w);
    put_head(w, p, line);
    put_body(w, p, line);
    put_id(w, "conversation_id", p->conversation_id);
    put_reply(w, p);
    /* Originals never quote or repost: depth is 1. */
    json_kv_null(w, "quote_of");
    json_kv_null(w, "quoted");
    json_kv_null(w, "repost_of");
    json_kv_null(w, "reposted");
    put_pinned(w, PINNED_UNKNOWN);
    put_tail(w, p, line);
    json_close(w);
}

static void put_post(struct buf *out, const struct post *p, enum pinned pinned,
                     struct arena *line)
{
    struct json_w w = json_w(out);
    json_open(&w);
    put_head(&w, p, line);
    put_body(&w, p, line);
    put_id(&w, "conversation_id", p->conversation_id);
    put_reply(&w, p);
    put_nested(&w, "quote_of", "quoted", p->quoted, line);
    put_nested(&w, "repost_of", "reposted", p->reposted, line);
    put_pinned(&w, pinned);
    put_tail(&w, p, line);
    json_close(&w);
    buf_add_char(out, '\n');
}

/* ---- lists ---- */

static void truth_init(struct truth *t, const struct model *m, int64_t limit)
{
    *t = (struct truth){.model = m, .left = limit < 0 ? INT64_MAX : limit};
    t->arena = arena_new(ARENA_MAX);
    t->line = arena_new(ARENA_MAX);
}

bool truth_open_posts(struct truth *t, const struct model *m, struct span handle, int64_t limit)
{
    struct account a;
    if (!model_account(m, handle, &a))
        return false;
    truth_init(t, m, limit);
    if (a.state != ACCOUNT_OPEN)
        a.posts.count = 0;
    t->next = a.first;
    t->account = a;
    return true;
}

bool truth_open_search(struct truth *t, const struct model *m, struct span query,
                       enum truth_order order, int64_t limit)
{
    truth_init(t, m, limit);
    t->kind = TRUTH_SEARCH;
    t->order = order;
    if (!model_search(m, query, t->arena, &t->search)) {
        truth_close(t);
        return false;
    }
    if (order == TRUTH_MEDIA)
        t->search.media = FILTER_ONLY;
    return true;
}

bool truth_open_tab(struct truth *t, const struct model *m, struct span handle,
                    enum truth_kind kind, int64_t limit)
{
    if (!truth_open_posts(t, m, handle, limit))
        return false;
    t->kind = kind;
    t->pinned_done = true; /* these tabs show no pinned post */
    t->account.pinned = -1;
    return true;
}

bool truth_open_follows(struct truth *t, const struct model *m, struct span handle,
                        bool followers, int64_t limit)
{
    struct account a;
    if (!model_account(m, handle, &a))
        return false;
    truth_init(t, m, limit);
    t->kind = TRUTH_CROWD;
    t->crowd = followers ? lists_followers(m, &a) : lists_following(m, &a);
    if (a.state != ACCOUNT_OPEN)
        t->crowd.count = 0;
    return true;
}

bool truth_open_people(struct truth *t, const struct model *m, struct span query, int64_t limit)
{
    if (!truth_open_search(t, m, query, TRUTH_LATEST, limit))
        return false;
    t->kind = TRUTH_CROWD;
    t->crowd = lists_people(&t->search);
    return true;
}

bool truth_open_feed(struct truth *t, const struct model *m, enum feed_kind kind, uint64_t id,
                     int64_t limit)
{
    struct search s;
    if (!lists_feed(m, kind, id, &s))
        return false;
    truth_init(t, m, limit);
    t->kind = TRUTH_SEARCH;
    t->search = s;
    return true;
}

bool truth_open_thread(struct truth *t, const struct model *m, uint64_t id, int64_t depth,
                       int64_t limit)
{
    struct account a;
    uint32_t index;
    if (!model_status(m, id, &a, &index) || a.state != ACCOUNT_OPEN)
        return false;
    truth_init(t, m, limit);
    t->kind = TRUTH_THREAD;
    t->depth = depth;
    lists_thread(m, &a, index, t->arena, &t->thread);
    return true;
}

void truth_close(struct truth *t)
{
    arena_free(&t->arena);
    arena_free(&t->line);
}

static struct post *next_of_search(struct truth *t)
{
    const struct search *s = &t->search;
    while (s->first + t->next < s->past) {
        uint32_t index = s->first + t->next;
        if (t->order == TRUTH_TOP)
            index = top_index(s->stream.key, s->first, s->past, t->next);
        t->next++;
        struct post *p = model_search_post(t->model, s, index, t->line);
        if (p)
            return p;
        arena_reset(t->line);
    }
    return NULL;
}

static bool is_ahead(const struct truth *t, uint32_t index)
{
    for (size_t i = 0; i < (t->ahead_count < 16 ? t->ahead_count : 16); i++)
        if (t->ahead[i] == index)
            return true;
    return false;
}

/* An answer to an own post comes behind it: both are the account's. */
static struct post *next_of_replies(struct truth *t)
{
    const struct account *a = &t->account;
    uint32_t parent;
    if (t->held) {
        uint32_t index = t->held - 1;
        t->held = 0;
        return model_post(t->model, a, index, t->line);
    }
    while (t->next < a->posts.count && is_ahead(t, t->next))
        t->next++;
    if (t->next >= a->posts.count)
        return NULL;
    uint32_t index = t->next++;
    struct post *p = model_post(t->model, a, index, t->line);
    if (p->reply_to_user != a->id || !model_stream_find(&a->posts, p->reply_to_id, &parent) ||
        is_ahead(t, parent))
        return p;
    t->ahead[t->ahead_count++ % 16] = parent;
    t->held = index + 1;
    return model_post(t->model, a, parent, t->line);
}

static struct post *next_of_timeline(struct truth *t, enum pinned *out_pinned)
{
    const struct account *a = &t->account;
    *out_pinned = PINNED_NO;
    if (!t->pinned_done && a->pinned >= 0 && a->posts.count > 0) {
        t->pinned_done = true;
        *out_pinned = PINNED_YES;
        return model_post(t->model, a, (uint32_t)a->pinned, t->line);
    }
    if (a->pinned >= 0 && t->next == (uint32_t)a->pinned)
        t->next++;
    while (t->next < a->posts.count) {
        struct post *p = model_post(t->model, a, t->next++, t->line);
        if (t->kind != TRUTH_GRID || (p->media_count && !p->reposted))
            return p;
        arena_reset(t->line);
    }
    return NULL;
}

/* The post above, the post itself, then branch by branch. */
static const struct post *next_of_thread(struct truth *t)
{
    const struct thread *h = &t->thread;
    if (t->next == 0) {
        t->next++;
        const struct post *above =
            h->above_gone ? NULL : lists_thread_above(t->model, h, t->line);
        if (above)
            return above;
    }
    if (t->next == 1) {
        t->next++;
        return h->focal;
    }
    for (; t->next - 2 < h->branches; t->next++, t->below = 0) {
        uint32_t branch = t->next - 2;
        uint32_t most = lists_branch_length(h, branch);
        if (t->depth >= 0 && (int64_t)most > t->depth)
            most = (uint32_t)t->depth;
        if (t->below < most)
            return lists_branch_post(t->model, h, branch, ++t->below, t->line);
    }
    return NULL;
}

static void put_user_line(struct buf *out, const struct model *m, const struct account *a,
                          struct arena *line);

static bool next_of_crowd(struct truth *t, struct buf *out)
{
    struct account a;
    while (t->next < t->crowd.count) {
        if (!lists_account(t->model, &t->crowd, t->next++, &a))
            continue;
        put_user_line(out, t->model, &a, t->line);
        return true;
    }
    return false;
}

bool truth_next(struct truth *t, struct buf *out)
{
    if (t->left <= 0)
        return false;
    enum pinned pinned = PINNED_NO;
    arena_reset(t->line);
    const struct post *p = NULL;
    switch (t->kind) {
    case TRUTH_REPLIES:
        p = next_of_replies(t);
        break;
    case TRUTH_POSTS:
    case TRUTH_GRID:
        p = next_of_timeline(t, &pinned);
        break;
    case TRUTH_SEARCH:
        p = next_of_search(t);
        break;
    case TRUTH_THREAD:
        p = next_of_thread(t);
        break;
    case TRUTH_CROWD:
        t->left--;
        return next_of_crowd(t, out);
    }
    if (!p)
        return false;
    t->left--;
    put_post(out, p, pinned, t->line);
    return true;
}

/* ---- accounts ---- */

static void put_user_counts(struct json_w *w, const struct account *a, const struct profile *p)
{
    json_key(w, "counts");
    json_open(w);
    json_kv_int(w, "followers", p->followers);
    json_kv_int(w, "following", p->following);
    json_kv_int(w, "posts", a->posts.count - a->first);
    json_kv_int(w, "media", p->media);
    json_kv_int(w, "likes_given", p->likes);
    put_count(w, "listed",
              a->layout == LAYOUT_L3 ? -1 : p->listed); /* gone from the newest layout */
    json_close(w);
}

static void put_user(struct json_w *w, const struct model *m, const struct account *a,
                     struct arena *line)
{
    struct profile p;
    model_profile(m, a, line, &p);
    json_kv_cstr(w, "schema", "xuser/1");
    put_id(w, "id", a->id);
    json_kv_cstr(w, "screen_name", a->handle);
    json_kv_text(w, "name", model_account_name(m, a, line));
    json_kv_cstr(w, "url", arena_fmt(line, "https://x.com/%s", a->handle));
    put_time(w, "created_at", a->created_ms);
    json_kv_text(w, "description", p.description);
    json_kv_text(w, "location", p.location);
    json_kv_text(w, "website", p.website);
    json_kv_text(w, "website_tco", p.website_tco);
    size_t cut = span_find(p.avatar, SPAN("_normal"));
    json_kv_cstr(w, "avatar_url", arena_fmt(line, "%.*s.jpg", (int)cut, p.avatar.p));
    json_kv_cstr(w, "avatar_shape", p.verified_type.p ? "Square" : "Circle");
    json_kv_text(w, "banner_url", p.banner);
    put_user_counts(w, a, &p);
    json_kv_bool(w, "protected", a->state == ACCOUNT_PROTECTED);
    json_key(w, "verified");
    json_open(w);
    json_kv_bool(w, "blue", p.blue);
    json_kv_text(w, "type", p.verified_type);
    json_kv_bool(w, "legacy", false);
    json_close(w);
    json_kv_text(w, "category", p.category);
    json_key(w, "pinned_ids");
    json_open_array(w);
    if (a->pinned >= 0)
        json_put_text(w, span_of(arena_fmt(line, "%llu",
                                           (unsigned long long)model_stream_id(
                                               &a->posts, (uint32_t)a->pinned))));
    json_close_array(w);
}

static void put_user_line(struct buf *out, const struct model *m, const struct account *a,
                          struct arena *line)
{
    struct json_w w = json_w(out);
    json_open(&w);
    put_user(&w, m, a, line);
    json_kv_cstr(&w, "state", model_account_state_name(a->state));
    json_close(&w);
    buf_add_char(out, '\n');
}

bool truth_user(const struct model *m, struct span handle, struct buf *out)
{
    struct account a;
    if (!model_account(m, handle, &a))
        return false;
    struct arena *line = arena_new(ARENA_MAX);
    struct json_w w = json_w(out);
    json_open(&w);
    if (a.state == ACCOUNT_SUSPENDED) { /* the site tells nothing else of it */
        json_kv_cstr(&w, "schema", "xuser/1");
        json_kv_cstr(&w, "screen_name", a.handle);
    } else {
        put_user(&w, m, &a, line);
    }
    json_kv_cstr(&w, "state", model_account_state_name(a.state));
    json_close(&w);
    buf_add_char(out, '\n');
    arena_free(&line);
    return true;
}

void truth_account(const struct model *m, uint32_t number, struct buf *out)
{
    struct account a;
    model_account_number(m, number, &a);
    struct json_w w = json_w(out);
    json_open(&w);
    json_kv_cstr(&w, "screen_name", a.handle);
    put_id(&w, "id", a.id);
    json_kv_int(&w, "posts", a.posts.count);
    json_kv_cstr(&w, "state", model_account_state_name(a.state));
    json_close(&w);
    buf_add_char(out, '\n');
}

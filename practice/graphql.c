#include "answer.h"

#include "top.h"

#include "base/json.h"

#include <stdio.h>

enum { SCAN_MAX = 400 }; /* posts looked at for one page of a filtered search */

/* ---- small things ---- */

static struct span id_text(struct answer *an, uint64_t id)
{
    return span_of(arena_fmt(an->arena, "%llu", (unsigned long long)id));
}

static void put_id(struct answer *an, const char *key, uint64_t id)
{
    json_kv_text(&an->w, key, id_text(an, id));
}

/* "Wed Jul 08 21:59:10 +0000 2026" */
static void put_time(struct answer *an, const char *key, int64_t ms)
{
    static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char iso[WHEN_TEXT];
    when_text((wall){ms}, iso); /* YYYY-MM-DDTHH:MM:SSZ */
    int64_t month = 0;
    (void)span_int((struct span){iso + 5, 2}, &month);
    json_kv_cstr(&an->w, key,
                 arena_fmt(an->arena, "%s %s %.2s %.8s +0000 %.4s", days[(ms / 86400000) % 7],
                           months[(month - 1) % 12], iso + 8, iso + 11, iso));
}

static void put_range(struct answer *an, const char *key, uint32_t start, uint32_t end)
{
    json_key(&an->w, key);
    json_open_array(&an->w);
    json_put_int(&an->w, start);
    json_put_int(&an->w, end);
    json_close_array(&an->w);
}

/* A number that the site writes as text. */
static void put_digits(struct answer *an, const char *key, int64_t v)
{
    json_kv_cstr(&an->w, key, arena_fmt(an->arena, "%lld", (long long)v));
}

/* ---- accounts ---- */

static void put_url_list(struct answer *an, const struct profile *p)
{
    struct json_w *w = &an->w;
    json_key(w, "entities");
    json_open(w);
    json_key(w, "description");
    json_open(w);
    json_close(w);
    if (p->website.p) {
        json_key(w, "url");
        json_open(w);
        json_key(w, "urls");
        json_open_array(w);
        json_open(w);
        json_kv_text(w, "display_url", p->website_shown);
        json_kv_text(w, "expanded_url", p->website);
        put_range(an, "indices", 0, 23);
        json_kv_text(w, "url", p->website_tco);
        json_close(w);
        json_close_array(w);
        json_close(w);
    }
    json_close(w);
}

static void put_pinned_ids(struct answer *an, const char *key, const struct account *a)
{
    json_key(&an->w, key);
    json_open_array(&an->w);
    if (a->pinned >= 0)
        json_put_text(&an->w, id_text(an, model_stream_id(&a->posts, (uint32_t)a->pinned)));
    json_close_array(&an->w);
}

/* The `legacy` of the first two generations; only the first carries what later moved out. */
static void put_user_legacy(struct answer *an, const struct account *a, const struct profile *p,
                            struct span name)
{
    struct json_w *w = &an->w;
    bool first = a->layout == LAYOUT_L1;
    json_key(w, "legacy");
    json_open(w);
    if (first) {
        put_time(an, "created_at", a->created_ms);
        json_kv_text(w, "name", name);
        json_kv_cstr(w, "screen_name", a->handle);
        json_kv_text(w, "profile_image_url_https", p->avatar);
        json_kv_text(w, "location", p->location);
        json_kv_bool(w, "protected", a->state == ACCOUNT_PROTECTED);
        json_kv_bool(w, "verified", false);
        if (p->verified_type.p)
            json_kv_text(w, "verified_type", p->verified_type);
    }
    json_kv_bool(w, "default_profile", false);
    json_kv_bool(w, "default_profile_image", false);
    json_kv_text(w, "description", p->description);
    put_url_list(an, p);
    json_kv_int(w, "fast_followers_count", 0);
    json_kv_int(w, "favourites_count", p->likes);
    json_kv_int(w, "followers_count", p->followers);
    json_kv_int(w, "friends_count", p->following);
    json_kv_bool(w, "has_custom_timelines", true);
    json_kv_bool(w, "is_translator", false);
    json_kv_int(w, "listed_count", p->listed);
    json_kv_int(w, "media_count", p->media);
    json_kv_int(w, "normal_followers_count", p->followers);
    put_pinned_ids(an, "pinned_tweet_ids_str", a);
    json_kv_bool(w, "possibly_sensitive", false);
    if (p->banner.p)
        json_kv_text(w, "profile_banner_url", p->banner);
    json_kv_cstr(w, "profile_interstitial_type", "");
    json_kv_int(w, "statuses_count", a->posts.count - a->first);
    json_kv_cstr(w, "translator_type", "none");
    if (p->website.p)
        json_kv_text(w, "url", p->website_tco);
    json_kv_bool(w, "want_retweets", false);
    json_close(w);
}

/* Members that moved out of `legacy` with the second generation. */
static void put_user_modern(struct answer *an, const struct account *a, const struct profile *p,
                            struct span name)
{
    struct json_w *w = &an->w;
    json_key(w, "avatar");
    json_open(w);
    json_kv_text(w, "image_url", p->avatar);
    json_close(w);
    json_key(w, "core");
    json_open(w);
    put_time(an, "created_at", a->created_ms);
    json_kv_text(w, "name", name);
    json_kv_cstr(w, "screen_name", a->handle);
    json_close(w);
    json_key(w, "location");
    json_open(w);
    json_kv_text(w, "location", p->location);
    json_close(w);
    json_key(w, "privacy");
    json_open(w);
    json_kv_bool(w, "protected", a->state == ACCOUNT_PROTECTED);
    json_close(w);
    json_key(w, "verification");
    json_open(w);
    json_kv_bool(w, "verified", false);
    if (p->verified_type.p)
        json_kv_text(w, "verified_type", p->verified_type);
    json_close(w);
    json_key(w, "relationship_perspectives");
    json_open(w);
    json_kv_bool(w, "blocked_by", false);
    json_kv_bool(w, "blocking", false);
    json_kv_bool(w, "followed_by", false);
    json_kv_bool(w, "following", false);
    json_kv_bool(w, "muting", false);
    json_close(w);
}

static void put_number_object(struct answer *an, const char *key, const char *first,
                              int64_t first_value, const char *second, int64_t second_value)
{
    json_key(&an->w, key);
    json_open(&an->w);
    json_kv_int(&an->w, first, first_value);
    if (second)
        json_kv_int(&an->w, second, second_value);
    json_close(&an->w);
}

/* The third generation: no `legacy` at all. */
static void put_user_newest(struct answer *an, const struct account *a, const struct profile *p)
{
    struct json_w *w = &an->w;
    put_number_object(an, "action_counts", "favorites_count", p->likes, NULL, 0);
    put_number_object(an, "relationship_counts", "followers", p->followers, "following",
                      p->following);
    put_number_object(an, "tweet_counts", "media_tweets", p->media, "tweets",
                      a->posts.count - a->first);
    if (p->banner.p) {
        json_key(w, "banner");
        json_open(w);
        json_kv_text(w, "image_url", p->banner);
        json_close(w);
    }
    json_key(w, "pinned_items");
    json_open(w);
    put_pinned_ids(an, "tweet_ids_str", a);
    json_close(w);
    json_key(w, "profile_metadata");
    json_open(w);
    json_kv_cstr(w, "profile_interstitial_type", "");
    json_close(w);
    if (p->website.p) {
        json_key(w, "website");
        json_open(w);
        json_kv_text(w, "url", p->website_tco);
        json_close(w);
    }
}

/* One value: the account as an object. */
void graphql_put_user(struct answer *an, const struct account *a)
{
    struct json_w *w = &an->w;
    struct profile p;
    model_profile(an->model, a, an->arena, &p);
    struct span name = model_account_name(an->model, a, an->arena);
    const char *plain = arena_fmt(an->arena, "User:%llu", (unsigned long long)a->id);
    char encoded[64];
    model_base64url((const uint8_t *)plain, strlen(plain), encoded);
    static const char *const padding[] = {"", "==", "="}; /* the site pads this one */
    json_open(w);
    json_kv_cstr(w, "__typename", "User");
    json_kv_cstr(w, "id", arena_fmt(an->arena, "%s%s", encoded, padding[strlen(plain) % 3]));
    put_id(an, "rest_id", a->id);
    json_key(w, "affiliates_highlighted_label");
    json_open(w);
    json_close(w);
    json_kv_bool(w, "has_graduated_access", true);
    json_kv_bool(w, "is_blue_verified", p.blue);
    json_kv_cstr(w, "profile_image_shape", p.verified_type.p ? "Square" : "Circle");
    if (a->layout != LAYOUT_L1)
        put_user_modern(an, a, &p, name);
    if (a->layout == LAYOUT_L3)
        put_user_newest(an, a, &p);
    else
        put_user_legacy(an, a, &p, name);
    if (a->layout != LAYOUT_L1) {
        json_key(w, "profile_bio");
        json_open(w);
        json_kv_text(w, "description", p.description);
        if (a->layout == LAYOUT_L3)
            put_url_list(an, &p);
        json_close(w);
    }
    if (p.category.p) {
        json_key(w, "professional");
        json_open(w);
        put_id(an, "rest_id", a->id + 77);
        json_kv_cstr(w, "professional_type", "Business");
        json_key(w, "category");
        json_open_array(w);
        json_open(w);
        json_kv_int(w, "id", 1009);
        json_kv_text(w, "name", p.category);
        json_kv_cstr(w, "icon_name", "IconBriefcaseStroke");
        json_close(w);
        json_close_array(w);
        json_close(w);
    }
    json_close(w);
}

/* ---- entities, media, cards ---- */

static void put_tags(struct answer *an, const char *key, const struct tag_entity *tags,
                     size_t n, bool always)
{
    if (n == 0 && !always)
        return;
    json_key(&an->w, key);
    json_open_array(&an->w);
    for (size_t i = 0; i < n; i++) {
        json_open(&an->w);
        put_range(an, "indices", tags[i].start, tags[i].end);
        json_kv_text(&an->w, "text", tags[i].text);
        json_close(&an->w);
    }
    json_close_array(&an->w);
}

static void put_urls(struct answer *an, const struct words *t, bool always)
{
    if (t->url_count == 0 && !always)
        return;
    struct json_w *w = &an->w;
    json_key(w, "urls");
    json_open_array(w);
    for (size_t i = 0; i < t->url_count; i++) {
        json_open(w);
        json_kv_text(w, "display_url", t->urls[i].display);
        json_kv_text(w, "expanded_url", t->urls[i].expanded);
        put_range(an, "indices", t->urls[i].start, t->urls[i].end);
        json_kv_text(w, "url", t->urls[i].url);
        json_close(w);
    }
    json_close_array(w);
}

static void put_mentions(struct answer *an, const struct words *t, bool always)
{
    if (t->mention_count == 0 && !always)
        return;
    struct json_w *w = &an->w;
    json_key(w, "user_mentions");
    json_open_array(w);
    for (size_t i = 0; i < t->mention_count; i++) {
        json_open(w);
        put_id(an, "id_str", t->mentions[i].id);
        put_range(an, "indices", t->mentions[i].start, t->mentions[i].end);
        json_kv_text(w, "name", t->mentions[i].name);
        json_kv_text(w, "screen_name", t->mentions[i].handle);
        json_close(w);
    }
    json_close_array(w);
}

static void put_size(struct answer *an, const char *key, const struct media *v,
                     int32_t width_max, const char *resize)
{
    struct json_w *w = &an->w;
    int32_t width = v->width < width_max ? v->width : width_max;
    json_key(w, key);
    json_open(w);
    json_kv_int(w, "h", (int64_t)v->height * width / v->width);
    json_kv_cstr(w, "resize", resize);
    json_kv_int(w, "w", width);
    json_close(w);
}

static void put_video_info(struct answer *an, const struct media *v)
{
    struct json_w *w = &an->w;
    json_key(w, "video_info");
    json_open(w);
    put_range(an, "aspect_ratio", (uint32_t)v->aspect_w, (uint32_t)v->aspect_h);
    if (v->duration_ms >= 0)
        json_kv_int(w, "duration_millis", v->duration_ms);
    json_key(w, "variants");
    json_open_array(w);
    for (size_t i = 0; i < v->variant_count; i++) {
        json_open(w);
        if (v->variants[i].bitrate >= 0)
            json_kv_int(w, "bitrate", v->variants[i].bitrate);
        json_kv_cstr(w, "content_type",
                     v->variants[i].bitrate < 0 ? "application/x-mpegURL" : "video/mp4");
        json_kv_text(w, "url", v->variants[i].url);
        json_close(w);
    }
    json_close_array(w);
    json_close(w);
}

static void put_one_media(struct answer *an, const struct post *p, const struct media *v)
{
    static const char *const types[] = {"photo", "video", "animated_gif"};
    static const char *const prefixes[] = {"3", "13", "16"};
    struct json_w *w = &an->w;
    struct span code = span_cut(p->media_link, sizeof("https://t.co/") - 1, p->media_link.n);
    const char *key =
        arena_fmt(an->arena, "%s_%llu", prefixes[v->type], (unsigned long long)v->id);
    json_open(w);
    json_kv_cstr(w, "display_url", arena_fmt(an->arena, "pic.x.com/%.*s", SP(code)));
    json_kv_cstr(w, "expanded_url",
                 arena_fmt(an->arena, "https://x.com/%s/status/%llu/%s/1", p->author.handle,
                           (unsigned long long)p->id,
                           v->type == MEDIA_VIDEO ? "video" : "photo"));
    if (v->alt.p)
        json_kv_text(w, "ext_alt_text", v->alt);
    json_key(w, "ext_media_availability");
    json_open(w);
    json_kv_cstr(w, "status", "Available");
    json_close(w);
    put_id(an, "id_str", v->id);
    put_range(an, "indices", p->sent.media_start, p->sent.media_end);
    json_kv_cstr(w, "media_key", key);
    json_key(w, "media_results");
    json_open(w);
    json_key(w, "result");
    json_open(w);
    json_kv_cstr(w, "media_key", key);
    json_close(w);
    json_close(w);
    json_kv_text(w, "media_url_https", v->url);
    json_key(w, "original_info");
    json_open(w);
    json_key(w, "focus_rects");
    json_open_array(w);
    json_close_array(w);
    json_kv_int(w, "height", v->height);
    json_kv_int(w, "width", v->width);
    json_close(w);
    json_key(w, "sizes");
    json_open(w);
    put_size(an, "large", v, 2048, "fit");
    put_size(an, "medium", v, 1200, "fit");
    put_size(an, "small", v, 680, "fit");
    put_size(an, "thumb", v, 150, "crop");
    json_close(w);
    json_kv_cstr(w, "type", types[v->type]);
    json_kv_text(w, "url", p->media_link);
    if (v->type != MEDIA_PHOTO)
        put_video_info(an, v);
    json_close(w);
}

static void put_media_list(struct answer *an, const struct post *p)
{
    json_key(&an->w, "media");
    json_open_array(&an->w);
    for (size_t i = 0; i < p->media_count; i++)
        put_one_media(an, p, &p->media[i]);
    json_close_array(&an->w);
}

static void put_binding(struct answer *an, const char *key, struct span text)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_kv_cstr(w, "key", key);
    json_key(w, "value");
    json_open(w);
    json_kv_text(w, "string_value", text);
    json_kv_cstr(w, "type", "STRING");
    json_close(w);
    json_close(w);
}

static void put_poll_bindings(struct answer *an, const struct card *c)
{
    struct json_w *w = &an->w;
    char ends[WHEN_TEXT];
    for (size_t i = 0; i < c->choice_count; i++) {
        put_binding(an, arena_fmt(an->arena, "choice%zu_label", i + 1), c->choice[i]);
        put_binding(an, arena_fmt(an->arena, "choice%zu_count", i + 1),
                    span_of(arena_fmt(an->arena, "%lld", (long long)c->votes[i])));
    }
    put_binding(an, "end_datetime_utc", span_of(when_text((wall){c->ends_ms}, ends)));
    put_binding(an, "duration_minutes",
                span_of(arena_fmt(an->arena, "%lld", (long long)c->duration_min)));
    put_binding(an, "api", SPAN("capi://passthrough/1"));
    put_binding(an, "card_url", c->url);
    json_open(w);
    json_kv_cstr(w, "key", "counts_are_final");
    json_key(w, "value");
    json_open(w);
    json_kv_bool(w, "boolean_value", c->is_final);
    json_kv_cstr(w, "type", "BOOLEAN");
    json_close(w);
    json_close(w);
}

static void put_card(struct answer *an, const struct post *p)
{
    const struct card *c = &p->card;
    struct json_w *w = &an->w;
    if (c->type == CARD_NONE)
        return;
    const char *card_id = arena_fmt(an->arena, "card://%llu", (unsigned long long)p->id);
    json_key(w, "card");
    json_open(w);
    json_key(w, "legacy");
    json_open(w);
    json_key(w, "binding_values");
    json_open_array(w);
    if (c->type == CARD_POLL) {
        put_poll_bindings(an, c);
    } else {
        put_binding(an, "title", c->title);
        put_binding(an, "description", c->description);
        put_binding(an, "domain", c->domain);
        put_binding(an, "vanity_url", c->domain);
        put_binding(an, "card_url", c->url);
    }
    json_close_array(w);
    if (c->type == CARD_POLL)
        json_kv_cstr(w, "name",
                     arena_fmt(an->arena, "poll%zuchoice_text_only", c->choice_count));
    else
        json_kv_cstr(w, "name", "summary_large_image");
    if (c->type == CARD_POLL)
        json_kv_cstr(w, "url", card_id);
    else
        json_kv_text(w, "url", c->url);
    json_close(w);
    json_kv_cstr(w, "rest_id", card_id);
    json_close(w);
}

/* ---- posts ---- */

static void put_note(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    const char *plain =
        arena_fmt(an->arena, "NoteTweet:%llu", (unsigned long long)(p->id - 17));
    char encoded[64];
    model_base64url((const uint8_t *)plain, strlen(plain), encoded);
    json_key(w, "note_tweet");
    json_open(w);
    json_kv_bool(w, "is_expandable", true);
    json_key(w, "note_tweet_results");
    json_open(w);
    json_key(w, "result");
    json_open(w);
    json_key(w, "entity_set");
    json_open(w);
    put_tags(an, "hashtags", p->note.hashtags, p->note.hashtag_count, true);
    put_tags(an, "symbols", p->note.cashtags, p->note.cashtag_count, true);
    put_urls(an, &p->note, true);
    put_mentions(an, &p->note, true);
    json_close(w);
    json_kv_cstr(w, "id", encoded);
    json_kv_text(w, "text", p->note.text);
    json_close(w);
    json_close(w);
    json_close(w);
}

static void put_quote_link(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    const struct post *q = p->quoted;
    put_id(an, "quoted_status_id_str", q->id);
    json_key(w, "quoted_status_permalink");
    json_open(w);
    json_kv_cstr(w, "display", arena_fmt(an->arena, "x.com/%s/st…", q->author.handle));
    json_kv_cstr(w, "expanded",
                 arena_fmt(an->arena, "https://twitter.com/%s/status/%llu", q->author.handle,
                           (unsigned long long)q->id));
    json_kv_text(w, "url", p->quote_link);
    json_close(w);
}

static void put_legacy_counts(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    if (p->bookmark >= 0)
        json_kv_int(w, "bookmark_count", p->bookmark);
    json_kv_int(w, "favorite_count", p->like);
    json_kv_int(w, "quote_count", p->quote);
    json_kv_int(w, "reply_count", p->reply);
    json_kv_int(w, "retweet_count", p->repost);
}

static void put_legacy(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_key(w, "legacy");
    json_open(w);
    put_legacy_counts(an, p);
    json_kv_bool(w, "bookmarked", false);
    put_id(an, "conversation_id_str", p->conversation_id);
    put_time(an, "created_at", p->ms);
    put_range(an, "display_text_range", p->sent.shown_from, p->sent.shown_to);
    json_key(w, "entities");
    json_open(w);
    if (p->media_count)
        put_media_list(an, p);
    put_tags(an, "hashtags", p->sent.hashtags, p->sent.hashtag_count, false);
    put_tags(an, "symbols", p->sent.cashtags, p->sent.cashtag_count, false);
    put_urls(an, &p->sent, false);
    put_mentions(an, &p->sent, false);
    json_close(w);
    if (p->media_count) {
        json_key(w, "extended_entities");
        json_open(w);
        put_media_list(an, p);
        json_close(w);
    }
    json_kv_bool(w, "favorited", false);
    json_kv_text(w, an->spoil->drift ? "body_text" : "full_text", p->sent.text);
    put_id(an, "id_str", p->id);
    if (p->reply_to_id) {
        json_kv_text(w, "in_reply_to_screen_name", p->reply_to_handle);
        put_id(an, "in_reply_to_status_id_str", p->reply_to_id);
        put_id(an, "in_reply_to_user_id_str", p->reply_to_user);
    }
    json_kv_bool(w, "is_quote_status", p->quoted != NULL);
    json_kv_cstr(w, "lang", p->lang);
    if (p->sensitive >= 0) {
        json_kv_bool(w, "possibly_sensitive", p->sensitive == 1);
        json_kv_bool(w, "possibly_sensitive_editable", true);
    }
    if (p->quoted)
        put_quote_link(an, p);
    json_kv_bool(w, "retweeted", false);
    if (p->reposted) {
        json_key(w, "retweeted_status_result");
        json_open(w);
        json_key(w, "result");
        graphql_put_post(an, p->reposted);
        json_close(w);
    }
    put_id(an, "user_id_str", p->author.id);
    json_close(w);
}

static void put_edit_control(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_key(w, "edit_control");
    json_open(w);
    json_key(w, "edit_tweet_ids");
    json_open_array(w);
    json_put_text(w, id_text(an, p->id));
    json_close_array(w);
    put_digits(an, "editable_until_msecs", p->ms + 3600000);
    json_kv_cstr(w, "edits_remaining", "5");
    json_kv_bool(w, "is_edit_eligible", !p->reposted && !p->reply_to_id);
    json_close(w);
}

static void put_views(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_key(w, "views");
    json_open(w);
    if (p->view >= 0)
        put_digits(an, "count", p->view);
    json_kv_cstr(w, "state", p->view >= 0 ? "EnabledWithCount" : "Enabled");
    json_close(w);
}

static const char *app_anchor(struct answer *an, const char *app)
{
    struct buf escaped = BUF(256);
    for (const char *c = app; *c; c++) {
        if (*c == '&')
            buf_add_text(&escaped, "&amp;");
        else
            buf_add_char(&escaped, *c);
    }
    const char *anchor = arena_fmt(
        an->arena, "<a href=\"https://apps.example/client\" rel=\"nofollow\">%.*s</a>",
        SP(buf_span(&escaped)));
    buf_free(&escaped);
    return anchor;
}

static void put_article(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_key(w, "article");
    json_open(w);
    json_key(w, "article_results");
    json_open(w);
    json_key(w, "result");
    json_open(w);
    put_id(an, "rest_id", p->article_id);
    json_kv_text(w, "title", p->article_title);
    json_kv_text(w, "preview_text", p->article_preview);
    json_key(w, "cover_media");
    json_open(w);
    json_key(w, "media_info");
    json_open(w);
    json_kv_text(w, "original_img_url", p->article_cover);
    for (int i = 0; i < 5; i++)
        json_close(w);
}

static void put_parts(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    if (p->article_id)
        put_article(an, p);
    if (p->community_id) {
        json_key(w, "community_results");
        json_open(w);
        json_key(w, "result");
        json_open(w);
        json_kv_cstr(w, "__typename", "Community");
        put_id(an, "id_str", p->community_id);
        json_kv_text(w, "name", p->community_name);
        json_close(w);
        json_close(w);
    }
    if (p->readers_note.p) {
        json_kv_bool(w, "has_birdwatch_notes", true);
        json_key(w, "birdwatch_pivot");
        json_open(w);
        json_kv_cstr(w, "title", "Readers added context");
        json_key(w, "subtitle");
        json_open(w);
        json_kv_text(w, "text", p->readers_note);
        json_close(w);
        json_close(w);
    }
}

static void put_post_members(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    put_parts(an, p);
    put_card(an, p);
    json_key(w, "core");
    json_open(w);
    json_key(w, "user_results");
    json_open(w);
    json_key(w, "result");
    graphql_put_user(an, &p->author);
    json_close(w);
    json_close(w);
    put_edit_control(an, p);
    json_kv_bool(w, "is_translatable", false);
    put_legacy(an, p);
    if (p->is_long)
        put_note(an, p);
    if (p->quoted) {
        json_key(w, "quoted_status_result");
        json_open(w);
        json_key(w, "result");
        graphql_put_post(an, p->quoted);
        json_close(w);
    }
    put_id(an, "rest_id", p->id);
    json_kv_cstr(w, "source", app_anchor(an, p->app));
    json_key(w, "unmention_data");
    json_open(w);
    json_close(w);
    put_views(an, p);
}

/* One value. Nesting ends by itself: quoted posts and originals refer to nothing. */
void graphql_put_post(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_open(w);
    if (!p->is_limited) {
        json_kv_cstr(w, "__typename", "Tweet");
        put_post_members(an, p);
        json_close(w);
        return;
    }
    json_kv_cstr(w, "__typename", "TweetWithVisibilityResults");
    json_key(w, "limitedActionResults");
    json_open(w);
    json_key(w, "limited_actions");
    json_open_array(w);
    json_close_array(w);
    json_close(w);
    json_key(w, "tweet");
    json_open(w);
    put_post_members(an, p);
    json_close(w);
    json_close(w);
}

/* ---- timeline entries ---- */

void graphql_open_entry(struct answer *an, const char *entry_id)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "entryId", entry_id);
    put_digits(an, "sortIndex", an->sort--);
    json_key(&an->w, "content");
    json_open(&an->w);
}

void graphql_close_entry(struct answer *an)
{
    json_close(&an->w);
    json_close(&an->w);
}

void graphql_put_entry_type(struct answer *an, const char *type)
{
    json_kv_cstr(&an->w, "entryType", type);
    json_kv_cstr(&an->w, "__typename", type);
}

static void put_promotion(struct answer *an, const struct post *p)
{
    struct json_w *w = &an->w;
    json_key(w, "promotedMetadata");
    json_open(w);
    json_key(w, "advertiser_results");
    json_open(w);
    json_key(w, "result");
    graphql_put_user(an, &p->author);
    json_close(w);
    json_kv_cstr(w, "disclosureType", "NoDisclosure");
    json_kv_cstr(w, "impressionId",
                 arena_fmt(an->arena, "%llx", (unsigned long long)(p->id >> 8)));
    json_close(w);
}

void graphql_put_tweet_item(struct answer *an, const struct post *p, enum tweet_role role)
{
    struct json_w *w = &an->w;
    json_key(w, "itemContent");
    json_open(w);
    json_kv_cstr(w, "itemType", "TimelineTweet");
    json_kv_cstr(w, "__typename", "TimelineTweet");
    json_key(w, an->spoil->drift ? "post_results" : "tweet_results");
    json_open(w);
    json_key(w, "result");
    graphql_put_post(an, p);
    json_close(w);
    json_kv_cstr(w, "tweetDisplayType", "Tweet");
    if (role == ROLE_PINNED) {
        json_key(w, "socialContext");
        json_open(w);
        json_kv_cstr(w, "type", "TimelineGeneralContext");
        json_kv_cstr(w, "contextType", "Pin");
        json_kv_cstr(w, "text", "Pinned");
        json_close(w);
    }
    if (role == ROLE_PROMOTED)
        put_promotion(an, p);
    json_close(w);
}

void graphql_put_tweet_entry(struct answer *an, const struct post *p, enum tweet_role role)
{
    unsigned long long id = (unsigned long long)p->id;
    const char *entry = role == ROLE_PROMOTED
                            ? arena_fmt(an->arena, "promoted-tweet-%llu-%llx", id, id >> 20)
                            : arena_fmt(an->arena, "tweet-%llu", id);
    graphql_open_entry(an, entry);
    graphql_put_entry_type(an, "TimelineTimelineItem");
    graphql_put_tweet_item(an, p, role);
    json_key(&an->w, "clientEventInfo");
    json_open(&an->w);
    json_kv_cstr(&an->w, "component", role == ROLE_PINNED ? "pinned_tweets" : "tweet");
    json_kv_cstr(&an->w, "element", "tweet");
    json_close(&an->w);
    graphql_close_entry(an);
}

static void put_cursor_content(struct answer *an, const char *type, const char *value)
{
    graphql_put_entry_type(an, "TimelineTimelineCursor");
    json_kv_cstr(&an->w, "value", value);
    json_kv_cstr(&an->w, "cursorType", type);
}

void graphql_put_cursor_entry(struct answer *an, const char *type, const char *value)
{
    graphql_open_entry(an, arena_fmt(an->arena, "cursor-%s-%lld",
                                     type[0] == 'T' ? "top" : "bottom", (long long)an->sort));
    put_cursor_content(an, type, value);
    graphql_close_entry(an);
}

/* A box of three accounts: "Who to follow" on a profile, "People" in a Top search. */
void graphql_put_people(struct answer *an, const char *prefix, const char *title, uint64_t key)
{
    struct json_w *w = &an->w;
    const char *entry = arena_fmt(an->arena, "%s-%lld", prefix, (long long)an->sort);
    graphql_open_entry(an, entry);
    graphql_put_entry_type(an, "TimelineTimelineModule");
    json_kv_cstr(w, "displayType", "Vertical");
    json_key(w, "items");
    json_open_array(w);
    for (uint64_t i = 0; i < 3; i++) {
        struct account a;
        model_account_number(an->model, (uint32_t)(model_mix(key, 0x90, i) % ACCOUNTS_NUMBERED),
                             &a);
        json_open(w);
        json_kv_cstr(w, "entryId",
                     arena_fmt(an->arena, "%s-user-%llu", entry, (unsigned long long)a.id));
        json_key(w, "item");
        json_open(w);
        json_key(w, "itemContent");
        json_open(w);
        json_kv_cstr(w, "itemType", "TimelineUser");
        json_kv_cstr(w, "__typename", "TimelineUser");
        json_key(w, "user_results");
        json_open(w);
        json_key(w, "result");
        graphql_put_user(an, &a);
        json_close(w);
        json_kv_cstr(w, "userDisplayType", "User");
        json_close(w);
        json_close(w);
        json_close(w);
    }
    json_close_array(w);
    json_key(w, "header");
    json_open(w);
    json_kv_cstr(w, "displayType", "Classic");
    json_kv_cstr(w, "text", title);
    json_close(w);
    graphql_close_entry(an);
}

const struct post *graphql_some_post(struct answer *an, uint64_t key)
{
    struct account a;
    for (uint64_t turn = 0; turn < 8; turn++) {
        uint64_t draw = model_mix(key, 0x91, turn);
        model_account_number(an->model, (uint32_t)(draw % ACCOUNTS_NUMBERED), &a);
        if (a.posts.count == 0)
            continue;
        const struct post *p =
            model_post(an->model, &a, (uint32_t)((draw >> 32) % a.posts.count), an->arena);
        if (!p->reposted)
            return p;
    }
    return NULL;
}

void graphql_put_advertisement(struct answer *an, uint64_t key)
{
    const struct post *p = graphql_some_post(an, key);
    if (p)
        graphql_put_tweet_entry(an, p, ROLE_PROMOTED);
}

/* ---- cursors ---- */

static uint32_t cursor_check(uint64_t key, const struct place *at)
{
    return (uint32_t)(model_mix(key, 0x92, ((uint64_t)at->index << 16) | at->attempt) >> 32);
}

/* No list of the real site has one like this; a reader must not choke on it. */
static char *long_cursor_text(struct answer *an)
{
    enum { LONG = 400000 };
    char *text = arena_get(an->arena, LONG + 1);
    memset(text, 'A', LONG);
    text[LONG] = '\0';
    return text;
}

char *graphql_cursor_text(struct answer *an, uint64_t key, char side, struct place at)
{
    if (an->spoil && an->spoil->long_cursor)
        return long_cursor_text(an);
    uint32_t check = cursor_check(key, &at);
    uint8_t b[15] = {0x0c, 0x00, 0x07, (uint8_t)side, 0x0a};
    for (size_t i = 0; i < 4; i++) {
        b[5 + i] = (uint8_t)(at.index >> (24 - 8 * i));
        b[11 + i] = (uint8_t)(check >> (24 - 8 * i));
    }
    b[9] = (uint8_t)(at.attempt >> 8);
    b[10] = (uint8_t)at.attempt;
    char encoded[24];
    model_base64url(b, sizeof(b), encoded);
    return arena_fmt(an->arena, "DAAH%s", encoded);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool graphql_cursor_parse(struct span text, uint64_t key, struct place *out)
{
    if (text.n != 24 || !span_starts(text, SPAN("DAAH")))
        return false;
    uint8_t b[15];
    for (size_t i = 0; i < 5; i++) {
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = digit_of(text.p[4 + i * 4 + k]);
            if (digit < 0)
                return false;
            v = (v << 6) | (uint32_t)digit;
        }
        b[i * 3] = (uint8_t)(v >> 16);
        b[i * 3 + 1] = (uint8_t)(v >> 8);
        b[i * 3 + 2] = (uint8_t)v;
    }
    struct place at = {0};
    uint32_t check = 0;
    for (size_t i = 0; i < 4; i++) {
        at.index = (at.index << 8) | b[5 + i];
        check = (check << 8) | b[11 + i];
    }
    at.attempt = (uint16_t)((b[9] << 8) | b[10]);
    if (check != cursor_check(key, &at) || b[3] != 'B')
        return false;
    *out = at;
    return true;
}

bool graphql_page_is_empty(const struct spoil *spoil, const struct model *m, uint64_t key,
                           struct place at)
{
    if (spoil->empty_always)
        return true;
    uint64_t draw =
        model_mix(m->seed ^ key, 0x93, ((uint64_t)at.index << 16) | at.attempt) >> 11;
    return (double)draw / 9007199254740992.0 < spoil->empty_page;
}

/* ---- documents ---- */

void graphql_init(struct answer *an, const struct model *m, const struct spoil *spoil,
                  struct buf *out)
{
    *an = (struct answer){
        .w = json_w(out), .model = m, .spoil = spoil, .arena = arena_new(ARENA_MAX)};
}

void graphql_fini(struct answer *an)
{
    arena_free(&an->arena);
}

void graphql_error(struct buf *out, int code, const char *message, const char *kind)
{
    struct json_w w = json_w(out);
    json_open(&w);
    json_key(&w, "errors");
    json_open_array(&w);
    json_open(&w);
    json_kv_cstr(&w, "message", message);
    json_kv_int(&w, "code", code);
    json_kv_cstr(&w, "kind", kind);
    json_key(&w, "extensions");
    json_open(&w);
    json_kv_int(&w, "code", code);
    json_kv_cstr(&w, "kind", kind);
    json_close(&w);
    json_close(&w);
    json_close_array(&w);
    json_key(&w, "data");
    json_open(&w);
    json_close(&w);
    json_close(&w);
}

void graphql_put_unavailable_user(struct answer *an)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_kv_cstr(w, "__typename", "UserUnavailable");
    json_kv_cstr(w, "message", "User is suspended");
    json_kv_cstr(w, "reason", "Suspended");
    json_close(w);
}

static const struct spoil unspoilt;

int graphql_user(const struct model *m, struct span handle, struct buf *out)
{
    struct account a;
    if (!model_account(m, handle, &a)) {
        buf_add_text(out, "{\"data\":{}}");
        return 200;
    }
    struct answer an;
    graphql_init(&an, m, &unspoilt, out);
    json_open(&an.w);
    json_key(&an.w, "data");
    json_open(&an.w);
    json_key(&an.w, "user");
    json_open(&an.w);
    if (a.state == ACCOUNT_SUSPENDED)
        put_id(&an, "rest_id", a.id);
    json_key(&an.w, "result");
    if (a.state == ACCOUNT_SUSPENDED)
        graphql_put_unavailable_user(&an);
    else
        graphql_put_user(&an, &a);
    json_close(&an.w);
    json_close(&an.w);
    json_close(&an.w);
    graphql_fini(&an);
    return 200;
}

static void open_timeline(struct answer *an, const struct account *a)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_key(w, "data");
    json_open(w);
    json_key(w, "user");
    json_open(w);
    json_key(w, "result");
    json_open(w);
    json_kv_cstr(w, "__typename", "User");
    /* The envelope was called otherwise before 2025-03. */
    json_key(w, a->layout == LAYOUT_L1 ? "timeline_v2" : "timeline");
    json_open(w);
    json_key(w, "timeline");
    json_open(w);
    json_key(w, "instructions");
    json_open_array(w);
}

static void close_timeline(struct answer *an)
{
    json_close_array(&an->w);
    for (int i = 0; i < 6; i++)
        json_close(&an->w);
}

void graphql_put_bare_instruction(struct answer *an, const char *type, const char *direction)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "type", type);
    if (direction)
        json_kv_cstr(&an->w, "direction", direction);
    json_close(&an->w);
}

void graphql_open_entries(struct answer *an)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "type", "TimelineAddEntries");
    json_key(&an->w, "entries");
    json_open_array(&an->w);
}

void graphql_close_entries(struct answer *an)
{
    json_close_array(&an->w);
    json_close(&an->w);
}

static void put_pin(struct answer *an, const struct account *a)
{
    json_open(&an->w);
    json_kv_cstr(&an->w, "type", "TimelinePinEntry");
    json_key(&an->w, "entry");
    graphql_put_tweet_entry(an, model_post(an->model, a, (uint32_t)a->pinned, an->arena),
                            ROLE_PINNED);
    json_close(&an->w);
}

/* Posts [at, end), with advertisements and the people box between them. */
static void put_timeline_posts(struct answer *an, const struct account *a, uint32_t at,
                               uint32_t end)
{
    uint64_t key = model_mix(a->posts.key, 0x94, at);
    uint32_t ad_place = (uint32_t)(key % 3 ? (key >> 8) % PAGE_POSTS : PAGE_POSTS);
    for (uint32_t i = at; i < end; i++) {
        if (i - at == ad_place)
            graphql_put_advertisement(an, key);
        if (at == 0 && i == 3)
            graphql_put_people(an, "who-to-follow", "Who to follow", key);
        graphql_put_tweet_entry(an, model_post(an->model, a, i, an->arena), ROLE_NORMAL);
    }
}

/* What a visitor without a session is shown of an account: the best liked of its newest posts, best first,
 * and after these pages with only a cursor. */
enum { GUEST_POSTS = 10, GUEST_LOOKS = 200 };
static void put_guest_timeline(struct answer *an, const struct account *a, struct place at,
                               bool first)
{
    const struct post *best[GUEST_POSTS] = {NULL};
    uint32_t count = a->state == ACCOUNT_OPEN ? a->posts.count : 0;
    for (uint32_t i = a->first; first && i < count && i < a->first + GUEST_LOOKS; i++) {
        const struct post *p = model_post(an->model, a, i, an->arena);
        for (size_t k = 0; k < GUEST_POSTS && !p->reposted; k++)
            if (!best[k] || best[k]->like < p->like) {
                const struct post *worse = best[k];
                best[k] = p;
                if (!worse)
                    break;
                p = worse;
            }
    }
    an->sort = (int64_t)(((uint64_t)(a->posts.newest_ms - 1288834974657) << 22));
    open_timeline(an, a);
    if (first && a->pinned >= 0 && count > 0)
        put_pin(an, a);
    graphql_open_entries(an);
    for (size_t k = 0; k < GUEST_POSTS && best[k]; k++)
        graphql_put_tweet_entry(an, best[k], ROLE_NORMAL);
    graphql_put_cursor_entry(an, "Top", graphql_cursor_text(an, a->posts.key, 'T', at));
    graphql_put_cursor_entry(an, "Bottom", graphql_cursor_text(an, a->posts.key, 'B', at));
    graphql_close_entries(an);
    close_timeline(an);
}

static void put_user_timeline(struct answer *an, const struct account *a, struct place at,
                              bool first)
{
    if (an->spoil->guest) {
        put_guest_timeline(an, a, at, first);
        return;
    }
    uint32_t count = a->state == ACCOUNT_OPEN ? a->posts.count : 0;
    bool empty = graphql_page_is_empty(an->spoil, an->model, a->posts.key, at);
    uint32_t end = at.index;
    if (!empty && at.index < count)
        end = count - at.index > PAGE_POSTS ? at.index + PAGE_POSTS : count;
    uint32_t from = at.index;
    struct place next = {end, empty ? (uint16_t)(at.attempt + 1) : 0};
    if (an->spoil->repeat && at.index > 0 && !empty) {
        from = at.index > PAGE_POSTS ? at.index - PAGE_POSTS : 0;
        end = at.index;
        next = at;
    }
    if (end == from && !empty)
        next = at; /* the end: the same cursor again */
    an->sort = (int64_t)(((uint64_t)(a->posts.newest_ms - 1288834974657) << 22)) -
               (int64_t)at.index * 3;
    open_timeline(an, a);
    if (first)
        graphql_put_bare_instruction(an, "TimelineClearCache", NULL);
    /* Beside the list: also where the page of it came empty. */
    if (first && a->pinned >= 0 && count > 0 && !an->spoil->empty_always)
        put_pin(an, a);
    graphql_open_entries(an);
    put_timeline_posts(an, a, from, end);
    graphql_put_cursor_entry(an, "Top", graphql_cursor_text(an, a->posts.key, 'T', at));
    graphql_put_cursor_entry(an, "Bottom", graphql_cursor_text(an, a->posts.key, 'B', next));
    graphql_close_entries(an);
    bool past_end = at.index >= count && !empty && a->end != END_REPEATS;
    bool with_last =
        a->end == END_SAID_WITH_LAST && end > at.index && from == at.index && end == count;
    if (a->state == ACCOUNT_OPEN && (past_end || with_last))
        graphql_put_bare_instruction(an, "TimelineTerminateTimeline", "Bottom");
    close_timeline(an);
}

int graphql_user_tweets(const struct model *m, uint64_t user_id, struct span cursor,
                        const struct spoil *spoil, struct buf *out)
{
    struct account a;
    if (!model_account_by_id(m, user_id, &a)) {
        buf_add_text(out, "{\"data\":{\"user\":{}}}");
        return 200;
    }
    struct place at = {0};
    if (cursor.n && !graphql_cursor_parse(cursor, a.posts.key, &at)) {
        graphql_error(out, 214, "BadRequest: cursor cannot be read", "Validation");
        return 400;
    }
    if (!cursor.n)
        at.index = a.first;
    struct answer an;
    graphql_init(&an, m, spoil, out);
    if (a.state == ACCOUNT_SUSPENDED) {
        json_open(&an.w);
        json_key(&an.w, "data");
        json_open(&an.w);
        json_key(&an.w, "user");
        json_open(&an.w);
        json_key(&an.w, "result");
        graphql_put_unavailable_user(&an);
        json_close(&an.w);
        json_close(&an.w);
        json_close(&an.w);
    } else {
        put_user_timeline(&an, &a, at, cursor.n == 0);
    }
    graphql_fini(&an);
    return 200;
}

/* ---- search ---- */

/* Writes up to a page of results from place at; returns the place after them. */
static uint32_t put_results(struct answer *an, const struct search *s, bool top, uint32_t at)
{
    uint64_t key = model_mix(s->stream.key, 0x95, at);
    uint32_t ad_place = (uint32_t)(key % 3 ? (key >> 8) % PAGE_POSTS : PAGE_POSTS);
    uint32_t given = 0, looked = 0;
    while (s->first + at < s->past && given < PAGE_POSTS && looked < SCAN_MAX) {
        uint32_t index = top ? top_index(s->stream.key, s->first, s->past, at) : s->first + at;
        const struct post *p = model_search_post(an->model, s, index, an->arena);
        at++;
        looked++;
        if (!p)
            continue;
        if (given == ad_place)
            graphql_put_advertisement(an, key);
        graphql_put_tweet_entry(an, p, ROLE_NORMAL);
        given++;
    }
    return at;
}

static void put_replaced_cursor(struct answer *an, const char *entry, const char *type,
                                const char *value)
{
    struct json_w *w = &an->w;
    json_open(w);
    json_kv_cstr(w, "type", "TimelineReplaceEntry");
    json_kv_cstr(w, "entry_id_to_replace", entry);
    json_key(w, "entry");
    graphql_open_entry(an, entry);
    put_cursor_content(an, type, value);
    graphql_close_entry(an);
    json_close(w);
}

static void put_search_cursors(struct answer *an, bool first, const char *top,
                               const char *bottom)
{
    static const char top_entry[] = "cursor-top-9223372036854775807";
    static const char bottom_entry[] = "cursor-bottom-0";
    if (!first) {
        graphql_close_entries(an);
        put_replaced_cursor(an, top_entry, "Top", top);
        put_replaced_cursor(an, bottom_entry, "Bottom", bottom);
        return;
    }
    graphql_open_entry(an, top_entry);
    put_cursor_content(an, "Top", top);
    graphql_close_entry(an);
    graphql_open_entry(an, bottom_entry);
    put_cursor_content(an, "Bottom", bottom);
    graphql_close_entry(an);
    graphql_close_entries(an);
}

static void put_search(struct answer *an, const struct search *s, bool top, uint64_t key,
                       struct place at, bool first)
{
    struct json_w *w = &an->w;
    an->sort = 2085474410189291520 - (int64_t)at.index * 3;
    json_open(w);
    json_key(w, "data");
    json_open(w);
    json_key(w, "search_by_raw_query");
    json_open(w);
    json_key(w, "search_timeline");
    json_open(w);
    json_key(w, "timeline");
    json_open(w);
    json_key(w, "instructions");
    json_open_array(w);
    graphql_open_entries(an);
    bool empty = graphql_page_is_empty(an->spoil, an->model, key, at);
    struct place next = {at.index, (uint16_t)(at.attempt + 1)};
    if (!empty) {
        if (first && top && s->past > s->first)
            graphql_put_people(an, "toptabsrpusermodule", "People", key);
        bool again = at.index > 0 &&
                     (an->spoil->repeat || (an->spoil->stall && at.index >= an->spoil->stall));
        uint32_t from = !again ? at.index : at.index > PAGE_POSTS ? at.index - PAGE_POSTS : 0;
        uint32_t after = put_results(an, s, top, from);
        next = again || after == at.index ? at : (struct place){after, 0};
    }
    put_search_cursors(an, first, graphql_cursor_text(an, key, 'T', at),
                       graphql_cursor_text(an, key, 'B', next));
    json_close_array(w);
    for (int i = 0; i < 5; i++)
        json_close(w);
}

int graphql_search(const struct model *m, struct span query, struct span product,
                   struct span cursor, const struct spoil *spoil, struct buf *out)
{
    if (query.n > 512) {
        graphql_error(out, 214, "BadRequest: Raw query length exceeds max allowed 512",
                      "Validation");
        return 200;
    }
    struct answer an;
    graphql_init(&an, m, spoil, out);
    struct search s;
    int status = 200;
    bool top = !span_is(product, "Latest");
    if (!model_search(m, query, an.arena, &s)) {
        graphql_error(out, 214, "BadRequest: SearchQueryParsingException(ERROR_EMPTY_QUERY)",
                      "Validation");
        goto out;
    }
    /* A cursor belongs to one query with one product. */
    uint64_t key = model_mix(s.stream.key, span_hash(query, 3), top ? 1 : 2);
    struct place at = {0};
    if (cursor.n && !graphql_cursor_parse(cursor, key, &at)) {
        graphql_error(out, 214, "BadRequest: cursor cannot be read", "Validation");
        status = 400;
        goto out;
    }
    put_search(&an, &s, top, key, at, cursor.n == 0);
out:
    graphql_fini(&an);
    return status;
}

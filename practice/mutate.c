#include "mutate.h"

#include "base/json.h"
#include "base/need.h"

enum mutation_kind {
    RENAME, /* every `from` is `to` */
    WRAP,   /* the object behind every `from` lies in another one, as its member `wrapped` */
    LIFT,   /* the object behind every `from` is null, and its members stand beside it */
    INSERT, /* `to` behind every `from` */
};

static const struct {
    const char *name;
    enum mutation_kind kind;
    const char *from, *to;
} mutations[MUTATIONS] = {
    {"text_renamed", RENAME, "\"full_text\":", "\"body_text\":"},
    {"id_renamed", RENAME, "\"rest_id\":", "\"entity_id\":"},
    {"author_moved", RENAME, "\"core\":{\"user_results\":", "\"writer\":{\"user_results\":"},
    {"time_renamed", RENAME, "\"created_at\":", "\"posted_at\":"},
    {"time_format", RENAME, " +0000 ", " GMT+00:00 "},
    {"envelope_renamed", RENAME,
     "\"timeline\":{\"instructions\":", "\"stream\":{\"instructions\":"},
    {"instructions_renamed", RENAME, "\"instructions\":", "\"steps\":"},
    {"entries_renamed", RENAME, "\"entries\":", "\"rows\":"},
    {"results_renamed", RENAME, "\"tweet_results\":", "\"post_results\":"},
    {"item_type_renamed", RENAME, "\"TimelineTweet\"", "\"TimelinePost\""},
    {"entry_ids_renamed", RENAME, "\"entryId\":\"tweet-", "\"entryId\":\"post-"},
    {"counts_gone", RENAME, "\"favorite_count\":", "\"unknown_1\":"},
    {"names_renamed", RENAME, "\"screen_name\":", "\"handle\":"},
    {"cursor_type_renamed", RENAME, "\"cursorType\":\"Bottom\"", "\"cursorType\":\"Older\""},
    {"cursor_value_renamed", RENAME, "\"value\":\"DAAH", "\"token\":\"DAAH"},
    {"original_renamed", RENAME, "\"retweeted_status_result\":", "\"reposted_original\":"},
    {"original_result_renamed", RENAME,
     "\"retweeted_status_result\":{\"result\":", "\"retweeted_status_result\":{\"post\":"},
    {"note_renamed", RENAME, "\"note_tweet\":", "\"long_post\":"},
    {"note_results_renamed", RENAME, "\"note_tweet_results\":", "\"long_post_results\":"},
    {"note_text_renamed", RENAME, "\"result\":{\"entity_set\":", "\"words\":{\"entity_set\":"},
    {"promoted_renamed", RENAME, "\"promotedMetadata\":", "\"paidMetadata\":"},
    {"pin_renamed", RENAME, "\"TimelinePinEntry\"", "\"TimelineFixEntry\""},
    {"add_to_module_renamed", RENAME, "\"TimelineAddToModule\"", "\"TimelineExtendModule\""},
    {"add_entries_renamed", RENAME, "\"TimelineAddEntries\"", "\"TimelinePutEntries\""},
    {"reply_renamed", RENAME, "\"in_reply_to_", "\"answer_to_"},
    {"quote_renamed", RENAME, "\"quoted_status_result\":", "\"quoted_post\":"},
    {"quote_id_renamed", RENAME, "\"quoted_status_id_str\":", "\"quoted_id\":"},
    {"media_moved", RENAME, "\"extended_entities\":", "\"attachments\":"},
    {"media_renamed", RENAME, "\"media\":[", "\"files\":["},
    {"media_type_renamed", RENAME, "\"type\":\"photo\"", "\"type\":\"image\""},
    {"media_url_renamed", RENAME, "\"media_url_https\":", "\"file_url\":"},
    {"video_renamed", RENAME, "\"video_info\":", "\"clip\":"},
    {"variants_renamed", RENAME, "\"variants\":", "\"renditions\":"},
    {"bitrate_renamed", RENAME, "\"bitrate\":", "\"bits\":"},
    {"urls_renamed", RENAME, "\"urls\":[", "\"links\":["},
    {"hashtags_renamed", RENAME, "\"hashtags\":[", "\"tags\":["},
    {"mentions_renamed", RENAME, "\"user_mentions\":[", "\"people\":["},
    {"visibility_renamed", RENAME,
     "\"limited_actions\":[]},\"tweet\":", "\"limited_actions\":[]},\"post\":"},
    {"item_renamed", RENAME, "\"itemContent\":", "\"itemBody\":"},
    {"content_renamed", RENAME, "\"content\":{", "\"body\":{"},
    {"entry_id_renamed", RENAME, "\"entryId\":", "\"entryName\":"},
    {"items_renamed", RENAME, "\"items\":[", "\"parts\":["},
    {"related_renamed", RENAME, "\"tweetdetailrelatedtweets-", "\"morelikethis-"},
    {"box_renamed", RENAME, "\"who-to-follow-", "\"people-box-"},
    {"legacy_lifted", LIFT, "\"legacy\":", NULL},
    {"legacy_wrapped", WRAP, "\"legacy\":", NULL},
    {"records_wrapped", WRAP, "\"tweet_results\":{\"result\":", NULL},
    {"new_entry_type", INSERT, "\"entries\":[",
     "{\"entryId\":\"spotlight-1\",\"sortIndex\":\"1\",\"content\":{\"entryType\":\"TimelineTimelineItem\","
     "\"__typename\":\"TimelineTimelineItem\",\"itemContent\":{\"itemType\":\"TimelineSpotlight\","
     "\"__typename\":\"TimelineSpotlight\",\"spotlight\":{\"title\":\"Tonight\"}}}},"},
};

/* All but the last are parts of what the page shows of a post; the last ones carry the list itself. */
static const struct {
    const char *name, *from, *to;
} page_mutations[PAGE_MUTATIONS] = {
    {"tweet", "tweet", "postCell"},
    {"tweetText", "tweetText", "postBody"},
    {"socialContext", "socialContext", "postContext"},
    {"tweetPhoto", "tweetPhoto", "postPicture"},
    {"User-Name", "User-Name", "Post-Name"},
    {"UserAvatar", "UserAvatar-Container-", "Face-Of-"},
    {"show_more", "tweet-text-show-more-link", "post-more"},
    {"card", "card.wrapper", "postCard"},
    {"poll", "cardPoll", "cardVotes"},
    {"reply_button", "reply", "answer"},
    {"ad_mark", "placementTracking", "paidTracking"},
    {"cell", "cellInnerDiv", "cellBox"},
    {"column", "primaryColumn", "mainColumn"},
    {"UserCell", "UserCell", "PersonCell"},
};

const char *mutate_name(int number)
{
    need(number >= 1 && number <= MUTATIONS);
    return mutations[number - 1].name;
}

const char *mutate_page_name(int number)
{
    need(number >= 1 && number <= PAGE_MUTATIONS);
    return page_mutations[number - 1].name;
}

void mutate_page_words(int number, struct span *out_from, struct span *out_to)
{
    need(number >= 1 && number <= PAGE_MUTATIONS);
    *out_from = span_of(page_mutations[number - 1].from);
    *out_to = span_of(page_mutations[number - 1].to);
}

void mutate_add_undo(int number, struct buf *out)
{
    static const char *const kinds[] = {
        [RENAME] = "rename", [WRAP] = "wrap", [LIFT] = "lift", [INSERT] = "insert"};
    need(number >= 1 && number <= MUTATIONS);
    struct json_w w = json_w(out);
    json_open_array(&w);
    json_put_text(&w, span_of(kinds[mutations[number - 1].kind]));
    if (mutations[number - 1].kind == RENAME) {
        json_put_text(&w, span_of(mutations[number - 1].from));
        json_put_text(&w, span_of(mutations[number - 1].to));
    }
    json_close_array(&w);
}

/* Bytes of the object at the start of the text, its braces included. */
static size_t object_length(struct span s)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return s.n;
}

enum { NESTED_MAX = 64 };

/* Text in which objects are being changed: where each of them ends, in the old text. */
struct rewriting {
    struct buf *out;
    size_t ends[NESTED_MAX];
    size_t depth;
    enum mutation_kind kind;
};

static void put_until(struct rewriting *r, struct span text, size_t *at, size_t to)
{
    while (r->depth && r->ends[r->depth - 1] <= to) {
        size_t end = r->ends[--r->depth];
        bool lift = r->kind == LIFT;
        buf_add(r->out, span_cut(text, *at, end - *at - lift)); /* without the brace */
        if (!lift)
            buf_add_char(r->out, '}');
        *at = end;
    }
    buf_add(r->out, span_cut(text, *at, to - *at));
    *at = to;
}

/* Objects behind `from` lie in one another: a post in the repost of it. */
static void change_objects(struct rewriting *r, struct span from, struct span text)
{
    size_t at = 0, look = 0;
    while (look < text.n) {
        size_t found = look + span_find(span_cut(text, look, text.n), from);
        if (found >= text.n)
            break;
        size_t value = found + from.n;
        look = value;
        if (value >= text.n || text.p[value] != '{' || r->depth == NESTED_MAX)
            continue;
        put_until(r, text, &at, value);
        size_t end = value + object_length(span_cut(text, value, text.n));
        bool empty = end == value + 2;
        buf_add_text(r->out, r->kind == LIFT ? empty ? "null" : "null," : "{\"wrapped\":");
        at = r->kind == LIFT ? value + 1 : value;
        r->ends[r->depth++] = end;
    }
    put_until(r, text, &at, text.n);
}

static void replace(struct buf *out, struct span rest, struct span from, struct span to,
                    bool keeps)
{
    for (;;) {
        size_t at = span_find(rest, from);
        buf_add(out, span_cut(rest, 0, at));
        if (at == rest.n)
            return;
        rest = span_cut(rest, at + from.n, SIZE_MAX);
        if (keeps)
            buf_add(out, from);
        buf_add(out, keeps && rest.n && rest.p[0] == ']' ? span_cut(to, 0, to.n - 1)
                                                         : to); /* the comma */
    }
}

void mutate_apply(int number, struct buf *body)
{
    need(number >= 1 && number <= MUTATIONS);
    struct buf changed = BUF(body->max);
    enum mutation_kind kind = mutations[number - 1].kind;
    struct span from = span_of(mutations[number - 1].from), text = buf_span(body);
    if (kind == RENAME || kind == INSERT)
        replace(&changed, text, from, span_of(mutations[number - 1].to), kind == INSERT);
    else
        change_objects(&(struct rewriting){.out = &changed, .kind = kind}, from, text);
    buf_free(body);
    *body = changed;
}

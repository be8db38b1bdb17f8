#include "mutate.h"

#include "base/need.h"

static const struct {
    const char *name, *from, *to;
} mutations[MUTATIONS] = {
    {"text_renamed", "\"full_text\":", "\"body_text\":"},
    {"id_renamed", "\"rest_id\":", "\"entity_id\":"},
    {"author_moved", "\"core\":{\"user_results\":", "\"writer\":{\"user_results\":"},
    {"time_renamed", "\"created_at\":", "\"posted_at\":"},
    {"time_format", " +0000 ", " GMT+00:00 "},
    {"envelope_renamed", "\"timeline\":{\"instructions\":", "\"stream\":{\"instructions\":"},
    {"instructions_renamed", "\"instructions\":", "\"steps\":"},
    {"entries_renamed", "\"entries\":", "\"rows\":"},
    {"results_renamed", "\"tweet_results\":", "\"post_results\":"},
    {"item_type_renamed", "\"TimelineTweet\"", "\"TimelinePost\""},
    {"entry_ids_renamed", "\"entryId\":\"tweet-", "\"entryId\":\"post-"},
    {"counts_gone", "\"favorite_count\":", "\"unknown_1\":"},
    {"names_renamed", "\"screen_name\":", "\"handle\":"},
    {"cursor_type_renamed", "\"cursorType\":\"Bottom\"", "\"cursorType\":\"Older\""},
};

const char *mutate_name(int number)
{
    need(number >= 1 && number <= MUTATIONS);
    return mutations[number - 1].name;
}

void mutate_words(int number, struct span *out_from, struct span *out_to)
{
    need(number >= 1 && number <= MUTATIONS);
    *out_from = span_of(mutations[number - 1].from);
    *out_to = span_of(mutations[number - 1].to);
}

void mutate_apply(int number, struct buf *body)
{
    struct span from, to, rest = buf_span(body);
    struct buf changed = BUF(body->max);
    mutate_words(number, &from, &to);
    for (;;) {
        size_t at = span_find(rest, from);
        buf_add(&changed, span_cut(rest, 0, at));
        if (at == rest.n)
            break;
        buf_add(&changed, to);
        rest = span_cut(rest, at + from.n, SIZE_MAX);
    }
    buf_free(body);
    *body = changed;
}

#include "extract/exclude.h"

const char *const exclude_names[] = {"replies", "reposts", "quotes", NULL};

unsigned exclude_bit(struct span name)
{
    for (unsigned i = 0; exclude_names[i]; i++)
        if (span_is(name, exclude_names[i]))
            return 1u << i;
    return 0;
}

static bool is_kind(struct json post, const char *kind)
{
    struct span text;
    return json_text(json_get(post, SPAN("kind")), &text) && span_is(text, kind);
}

bool exclude_takes(unsigned excluded, struct json post)
{
    struct span id;
    if (is_kind(post, "repost") || json_is(json_get(post, SPAN("reposted")), JSON_OBJECT) ||
        json_is(json_get(post, SPAN("reposted_by")), JSON_OBJECT))
        return excluded & EXCLUDE_REPOSTS;
    if (excluded & EXCLUDE_REPLIES &&
        (is_kind(post, "reply") || json_text(json_path(post, "reply_to.post_id"), &id)))
        return true;
    return excluded & EXCLUDE_QUOTES &&
           (is_kind(post, "quote") || json_text(json_get(post, SPAN("quote_of")), &id));
}

#include "extract/fill.h"

#include <assert.h>

/* clang-format off */
static const char *const posts[] = {
    "text", "lang", "created_at", "author.id", "author.screen_name", "author.name",
    "counts.reply", "counts.repost", "counts.like", "counts.quote", "counts.bookmark", "counts.view",
    "urls", "hashtags", "mentions", "media", "conversation_id", "reply_to", "quote_of", "repost_of", "card", "source_app", NULL};
static const char *const users[] = {
    "screen_name", "name", "created_at", "description", "location", "website", "avatar_url", "banner_url",
    "counts.followers", "counts.following", "counts.posts", "protected", "verified.blue", NULL};
/* clang-format on */
static_assert(sizeof posts / sizeof *posts <= FILL_FIELDS_MAX, "one count a field");
static_assert(sizeof users / sizeof *users <= FILL_FIELDS_MAX, "one count a field");

const char *const *fill_names(enum fields_of of)
{
    return of == FIELDS_OF_USERS ? users : posts;
}

static bool is_filled(struct json v)
{
    struct span text;
    switch (json_type(v)) {
    case JSON_NONE:
    case JSON_NULL:
        return false;
    case JSON_TEXT:
        return json_text(v, &text) && text.n > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_count(v) > 0;
    case JSON_BOOL:
    case JSON_INT:
    case JSON_REAL:
        return true;
    }
    return false;
}

void fill_add(struct fill *f, struct json record)
{
    int64_t score;
    const char *const *names = fill_names(f->of);
    f->records++;
    for (size_t i = 0; names[i]; i++)
        f->filled[i] += is_filled(json_path(record, names[i]));
    f->media += (int64_t)json_count(json_get(record, SPAN("media")));
    if (json_int(json_path(record, "quality.score"), &score)) {
        f->scored++;
        f->scores += score;
    }
}

void fill_put(const struct fill *f, struct json_w *w)
{
    const char *const *names = fill_names(f->of);
    json_open(w);
    json_kv_int(w, "records", f->records);
    json_key(w, "score");
    if (f->scored)
        json_put_real(w, (double)f->scores / 100.0 / (double)f->scored);
    else
        json_put_null(w);
    json_key(w, "field_fill");
    json_open(w);
    for (size_t i = 0; names[i] && f->records; i++) {
        json_key(w, names[i]);
        json_put_real(w, (double)f->filled[i] / (double)f->records);
    }
    json_close(w);
    json_close(w);
}

#include "extract/fields.h"

#include "base/text.h"

enum { DEPTH_MAX = 8 };

/* clang-format off */
static const char *const posts[] = {
    "schema", "id", "uri", "cid", "rkey", "site", "url", "kind", "title",
    "author", "author.id", "author.screen_name", "author.name",
    "created_at", "created_at_ms", "edited_at", "indexed_at",
    "text", "text_raw", "text_truncated", "is_long", "lang", "content_warning",
    "counts", "counts.reply", "counts.repost", "counts.like", "counts.quote", "counts.bookmark", "counts.view",
    "urls", "urls.url", "urls.expanded", "urls.display", "urls.start", "urls.end",
    "hashtags", "cashtags",
    "mentions", "mentions.id", "mentions.screen_name", "mentions.name", "mentions.url",
    "media", "media.id", "media.key", "media.media_key", "media.type", "media.url", "media.url_orig",
    "media.thumb_url", "media.width", "media.height", "media.duration_ms", "media.aspect", "media.bytes",
    "media.content_type", "media.alt", "media.variants", "media.variants.url", "media.variants.content_type",
    "media.variants.bitrate", "media.available", "media.unavailable_reason", "media.sensitive",
    "media.from_post_id", "media.from_user", "media.from_user.id", "media.from_user.screen_name",
    "media.from_user.name", "media.tagged_users", "media.tagged_users.id", "media.tagged_users.screen_name",
    "media.tagged_users.name", "media.file",
    "media_pending", "conversation_id", "thread_id", "is_self_thread",
    "reply_to", "reply_to.post_id", "reply_to.user_id", "reply_to.screen_name",
    "quote_of", "quoted", "quoted.state", "quoted.where", "quoted.reason_text",
    "repost_of", "reposted", "reposted.state", "reposted.where", "reposted.reason_text",
    "reposted_by", "reposted_by.id", "reposted_by.screen_name", "reposted_by.name",
    "is_pinned", "position", "position.page", "position.index", "position.section",
    "source_app", "possibly_sensitive", "sensitive_flags",
    "card", "card.name", "card.title", "card.description", "card.url", "card.domain", "card.image",
    "card.broadcast_id", "card.space_id", "card.poll", "card.poll.options", "card.poll.options.label",
    "card.poll.options.votes", "card.poll.options.percent", "card.poll.total_votes", "card.poll.ends_at",
    "card.poll.duration_min", "card.poll.final",
    "article", "article.id", "article.title", "article.preview", "article.cover_url",
    "community", "community.id", "community.name", "community_note",
    "place", "place.id", "place.full_name", "place.name", "place.type", "place.country", "place.country_code",
    "coordinates", "coordinates.lon", "coordinates.lat",
    "edit", "edit.ids", "edit.initial_id", "edit.editable_until_ms", "edit.edits_left", "edit.is_latest",
    "withheld", "withheld.countries", "withheld.scope", "withheld.copyright", "limited_actions", "voice",
    "provenance", "provenance.source", "provenance.op", "provenance.collected_at", "provenance.fields",
    "provenance.fields.created_at", "provenance.fields.created_at_ms", "provenance.fields.url",
    "quality", "quality.checks", "quality.score", "raw_ref", NULL};
static const char *const users[] = {
    "schema", "id", "site", "screen_name", "name", "url", "created_at", "description", "description_urls",
    "location", "website", "website_tco", "avatar_url", "avatar_shape", "banner_url",
    "counts", "counts.followers", "counts.following", "counts.posts", "counts.media", "counts.likes_given",
    "counts.listed", "counts_exact", "protected",
    "verified", "verified.blue", "verified.type", "verified.legacy", "verified.since_ms", "verified.identity",
    "verified.trusted_verifier", "affiliate", "affiliate.screen_name", "affiliate.label", "category", "bot", "suspended",
    "locked", "labels", "links", "links.name", "links.value", "links.verified_at", "pinned_ids",
    "about", "about.based_in", "about.location_accurate", "about.source", "about.name_changes",
    "about.last_change_ms", "state", "collected_at",
    "provenance", "provenance.source", "provenance.op", "provenance.collected_at", "provenance.fields",
    "provenance.fields.url",
    "quality", "quality.checks", "quality.score", "raw_ref", NULL};
/* clang-format on */

static bool listed(const char *const *names, struct span name)
{
    for (size_t i = 0; names[i]; i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

static const char *const *fields_names(enum fields_of of)
{
    return of == FIELDS_OF_USERS ? users : posts;
}

/* "quoted.text" is a post's "text". */
static struct span without_outer(struct span path)
{
    static const struct span outer[] = {{"quoted.", 7}, {"reposted.", 9}};
    for (size_t i = 0; i < 2; i++)
        if (span_starts(path, outer[i]))
            return span_cut(path, outer[i].n, path.n);
    return path;
}

bool fields_known(enum fields_of of, struct span path)
{
    if (listed(fields_names(of), path))
        return true;
    return of == FIELDS_OF_POSTS && listed(posts, without_outer(path));
}

const char *fields_near(enum fields_of of, struct span path)
{
    /* "like" or "likes" is "counts.like": the last part of a name. */
    for (size_t i = 0; fields_names(of)[i]; i++) {
        struct span name = span_of(fields_names(of)[i]), last = name;
        for (struct span part; span_next(&name, '.', &part);)
            last = part;
        bool plural =
            path.n == last.n + 1 && span_ends(path, SPAN("s")) && span_starts(path, last);
        if (span_eq(path, last) || plural)
            return fields_names(of)[i];
    }
    return text_nearest(path, fields_names(of));
}

bool fields_add(struct fields *f, struct span path)
{
    if (f->count == FIELDS_MAX || path.n > FIELDS_TEXT_MAX - f->used)
        return false;
    memcpy(f->text + f->used, path.p, path.n);
    f->path[f->count++] = (struct span){f->text + f->used, path.n};
    f->used += path.n;
    return true;
}

void fields_read(struct fields *f, struct json names)
{
    struct span name;
    for (struct json_iter i = json_each(names); json_next(&i);)
        if (json_text(i.value, &name))
            (void)!fields_add(f, name);
}

/* ---- asking ---- */

/* As deep as the path is long: none is longer than the table's. */
static bool has(struct json v, struct span path, int depth)
{
    if (json_is(v, JSON_ARRAY)) {
        bool all = true;
        for (struct json_iter i = json_each(v); all && depth < DEPTH_MAX && json_next(&i);)
            all = has(i.value, path, depth + 1);
        return all;
    }
    if (!path.n || !json_is(v, JSON_OBJECT))
        return !path.n && !json_is(v, JSON_NULL) && !json_is(v, JSON_NONE);
    size_t dot = span_find_char(path, '.');
    struct span rest = span_cut(path, dot + 1, path.n);
    return depth < DEPTH_MAX && has(json_get(v, span_cut(path, 0, dot)), rest, depth + 1);
}

struct span fields_lacking(const struct fields *f, struct json record)
{
    for (size_t i = 0; i < f->count; i++)
        if (!has(record, f->path[i], 0))
            return f->path[i];
    return SPAN_NONE;
}

/* ---- picking ---- */

/* What is wanted below the member: true when all of it is. */
static bool below(const struct span *paths, size_t count, struct span key, struct span *out,
                  size_t *out_count)
{
    *out_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (span_eq(paths[i], key))
            return true;
        if (span_starts(paths[i], key) && paths[i].n > key.n && paths[i].p[key.n] == '.')
            out[(*out_count)++] = span_cut(paths[i], key.n + 1, paths[i].n);
    }
    return false;
}

static void put_raw(struct json v, struct json_w *w)
{
    struct buf raw = BUF(16 * 1024 * 1024);
    json_add_raw(&raw, v);
    json_put_raw(w, buf_span(&raw));
    buf_free(&raw);
}

static void put_members(struct json object, const struct span *paths, size_t count, int depth,
                        struct json_w *w);

static void put_below(struct json v, const struct span *paths, size_t count, int depth,
                      struct json_w *w)
{
    if (json_is(v, JSON_OBJECT)) {
        put_members(v, paths, count, depth + 1, w);
    } else if (json_is(v, JSON_ARRAY)) {
        json_open_array(w);
        for (struct json_iter i = json_each(v); json_next(&i);)
            if (json_is(i.value, JSON_OBJECT))
                put_members(i.value, paths, count, depth + 1, w);
        json_close_array(w);
    } else {
        json_put_null(w); /* null, of which nothing is known */
    }
}

/* As deep as the paths are long: none is longer than the table's. */
static void put_members(struct json object, const struct span *paths, size_t count, int depth,
                        struct json_w *w)
{
    struct span inner[FIELDS_MAX + 2];
    size_t inner_count;
    json_open(w);
    for (struct json_iter i = json_each(object); depth < DEPTH_MAX && json_next(&i);) {
        bool whole = below(paths, count, i.key, inner, &inner_count);
        if (!whole && !inner_count)
            continue;
        json_key_span(w, i.key);
        if (whole)
            put_raw(i.value, w);
        else
            put_below(i.value, inner, inner_count, depth, w);
    }
    json_close(w);
}

void fields_put(const struct fields *f, struct json record, struct json_w *w)
{
    struct span paths[FIELDS_MAX + 2] = {SPAN("schema"), SPAN("id")};
    memcpy(paths + 2, f->path, f->count * sizeof paths[0]);
    if (f->count)
        put_members(record, paths, f->count + 2, 0, w);
    else
        put_raw(record, w);
}

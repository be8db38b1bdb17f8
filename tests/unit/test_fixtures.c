/* Recorded answers of the site, each with what a correct extractor must yield. The table
 * printed at the end says what was compared; any difference fails.
 *
 * FULMAR_FIXTURES names the directory (default ../shared/fixtures/x); without it the test is
 * skipped. FULMAR_SITES names the site packs (default sites). */
#include "base/json.h"
#include "extract/reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES = 16 * 1024 * 1024, FILES_MAX = 200, SHOWN_MAX = 60 };

static const char *fixtures;
static struct pack *pack;
static struct json_parser *expect_parser, *record_parser;
static size_t files, posts, nested, users, compared, differences, unsaid, shown;
static bool body_says_location; /* of the file being compared */

/* ---- comparing ---- */

static struct span raw_of(struct json v, struct buf *room)
{
    buf_clear(room);
    json_add_raw(room, v);
    return buf_span(room);
}

static void compare(const char *file, struct span id, const char *field, struct json want,
                    struct json got)
{
    struct buf a = BUF(FILE_BYTES), b = BUF(FILE_BYTES);
    struct span w = raw_of(want, &a), g = raw_of(got, &b);
    compared++;
    if (!span_eq(w, g)) {
        differences++;
        if (shown++ < SHOWN_MAX)
            printf("%s %.*s %s: wanted %.*s, got %.*s\n", file, SP(id), field,
                   (int)(w.n > 300 ? 300 : w.n), w.p ? w.p : "(nothing)",
                   (int)(g.n > 300 ? 300 : g.n), g.p ? g.p : "(nothing)");
    }
    buf_free(&a);
    buf_free(&b);
}

/* A list of texts against a list of objects with one member each that counts. */
static void compare_list(const char *file, struct span id, const char *field, struct json want,
                         struct json got, const char *member)
{
    compared++;
    size_t n = json_count(want);
    bool same = n == json_count(got) && json_is(got, JSON_ARRAY);
    for (size_t i = 0; i < n && same; i++) {
        struct span w, g;
        same = json_text(json_at(want, i), &w) &&
               json_text(member ? json_path(json_at(got, i), member) : json_at(got, i), &g) &&
               span_eq(w, g);
    }
    if (same)
        return;
    compare(file, id, field, want, got);
}

struct pair {
    const char *want, *got;
};

static void compare_pairs(const char *file, struct span id, struct json want, struct json got,
                          const struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        compare(file, id, pairs[i].want, json_path(want, pairs[i].want),
                json_path(got, pairs[i].got));
}

static void compare_media(const char *file, struct span id, struct json want, struct json got)
{
    static const struct pair pairs[] = {
        {"type", "type"},
        {"url", "url"},
        {"thumb", "thumb_url"},
        {"width", "width"},
        {"height", "height"},
        {"alt", "alt"},
        {"duration_ms", "duration_ms"},
    };
    compared++;
    if (json_count(want) != json_count(got)) {
        compare(file, id, "media", want, got);
        return;
    }
    for (size_t i = 0; i < json_count(want); i++)
        compare_pairs(file, id, json_at(want, i), json_at(got, i), pairs,
                      sizeof pairs / sizeof pairs[0]);
}

static void compare_card(const char *file, struct span id, struct json want, struct json got)
{
    static const struct pair pairs[] = {
        {"card.name", "card.name"},
        {"card.title", "card.title"},
        {"card.url", "card.url"},
        {"card.domain", "card.domain"},
    };
    static const struct pair poll[] = {
        {"card.poll.options", "card.poll.options"},
        {"card.poll.final", "card.poll.final"},
        {"card.poll.end", "card.poll.ends_at"},
    };
    struct json w = json_get(want, SPAN("card"));
    if (!json_is(w, JSON_OBJECT)) {
        compare(file, id, "card", w, json_get(got, SPAN("card")));
        return;
    }
    compare_pairs(file, id, want, got, pairs, sizeof pairs / sizeof pairs[0]);
    if (json_is(json_path(want, "card.poll"), JSON_OBJECT))
        compare_pairs(file, id, want, got, poll, sizeof poll / sizeof poll[0]);
}

static void compare_post(const char *file, struct json want, struct json got, bool outer)
{
    static const struct pair pairs[] = {
        {"id", "id"},
        {"url", "url"},
        {"author", "author.screen_name"},
        {"author_id", "author.id"},
        {"author_name", "author.name"},
        {"created_at", "created_at"},
        {"lang", "lang"},
        {"text", "text"},
        {"text_raw", "text_raw"},
        {"is_long", "is_long"},
        {"conversation_id", "conversation_id"},
        {"quote_of", "quote_of"},
        {"repost_of", "repost_of"},
        {"possibly_sensitive", "possibly_sensitive"},
        {"edit_ids", "edit.ids"},
    };
    static const struct pair counts[] = {
        {"counts.reply", "counts.reply"},       {"counts.repost", "counts.repost"},
        {"counts.like", "counts.like"},         {"counts.quote", "counts.quote"},
        {"counts.bookmark", "counts.bookmark"}, {"counts.view", "counts.view"},
    };
    struct span id = SPAN("?");
    json_text(json_get(want, SPAN("id")), &id);
    compare_pairs(file, id, want, got, pairs, sizeof pairs / sizeof pairs[0]);
    if (json_is(json_get(want, SPAN("counts")), JSON_OBJECT))
        compare_pairs(file, id, want, got, counts, sizeof counts / sizeof counts[0]);
    else
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            compare(file, id, counts[i].got, json_get(want, SPAN("counts")),
                    json_path(got, counts[i].got));
    compare_list(file, id, "urls", json_get(want, SPAN("urls")), json_get(got, SPAN("urls")),
                 "expanded");
    compare_list(file, id, "hashtags", json_get(want, SPAN("hashtags")),
                 json_get(got, SPAN("hashtags")), NULL);
    compare_list(file, id, "cashtags", json_get(want, SPAN("cashtags")),
                 json_get(got, SPAN("cashtags")), NULL);
    compare_list(file, id, "mentions", json_get(want, SPAN("mentions")),
                 json_get(got, SPAN("mentions")), "screen_name");
    compare_media(file, id, json_get(want, SPAN("media")), json_get(got, SPAN("media")));
    compare_card(file, id, want, got);
    if (json_is(json_get(want, SPAN("reply_to_id")), JSON_TEXT) ||
        json_is(json_get(want, SPAN("reply_to_author")), JSON_TEXT)) {
        compare(file, id, "reply_to_id", json_get(want, SPAN("reply_to_id")),
                json_path(got, "reply_to.post_id"));
        compare(file, id, "reply_to_author", json_get(want, SPAN("reply_to_author")),
                json_path(got, "reply_to.screen_name"));
    } else {
        compare(file, id, "reply_to", json_get(want, SPAN("reply_to_id")),
                json_get(got, SPAN("reply_to")));
    }
    if (json_is(json_get(want, SPAN("repost_of_author")), JSON_TEXT))
        compare(file, id, "repost_of_author", json_get(want, SPAN("repost_of_author")),
                json_path(got, "reposted.author.screen_name"));
    if (!outer || !json_get(want, SPAN("section")).doc)
        return;
    compare(file, id, "pinned", json_get(want, SPAN("pinned")),
            json_get(got, SPAN("is_pinned")));
    compare(file, id, "section", json_get(want, SPAN("section")),
            json_path(got, "position.section"));
}

static void compare_user(const char *file, struct json want, struct json got)
{
    static const struct pair pairs[] = {
        {"id", "id"},
        {"screen_name", "screen_name"},
        {"name", "name"},
        {"created_at", "created_at"},
        {"followers", "counts.followers"},
        {"following", "counts.following"},
        {"posts", "counts.posts"},
        {"media_count", "counts.media"},
        {"likes", "counts.likes_given"},
        {"listed", "counts.listed"},
        {"description", "description"},
        {"url", "website"},
        {"avatar", "avatar_url"},
        {"banner", "banner_url"},
        {"protected", "protected"},
        {"blue_verified", "verified.blue"},
        {"verified_type", "verified.type"},
        {"pinned", "pinned_ids"},
    };
    struct span id = SPAN("?");
    json_text(json_get(want, SPAN("id")), &id);
    compare_pairs(file, id, want, got, pairs, sizeof pairs / sizeof pairs[0]);
    /* Answers without any location: the expectation writes "", our records say null, because
     * the source does not say. Counted apart, and only where the answer really has no such
     * member. */
    struct json location = json_get(got, SPAN("location"));
    if (!body_says_location && json_is(location, JSON_NULL))
        unsaid++;
    else
        compare(file, id, "location", json_get(want, SPAN("location")), location);
}

/* Quoted and reposted posts lie inside the outer records: each wanted one must be there, equal.
 */
static void compare_nested(const char *file, struct json want, const struct reading *r)
{
    struct span id = SPAN_NONE;
    json_text(json_get(want, SPAN("id")), &id);
    for (size_t i = 0; i < r->count; i++) {
        static const char *const places[] = {"quoted", "reposted", "reposted.quoted"};
        struct json root;
        if (span_find(r->records[i].json, id) == r->records[i].json.n)
            continue;
        assert_int_equal(json_parse(record_parser, r->records[i].json, &root, NULL), E_OK);
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            struct span got;
            struct json v = json_path(root, places[k]);
            if (json_text(json_get(v, SPAN("id")), &got) && span_eq(got, id)) {
                compare_post(file, want, v, false);
                return;
            }
        }
        if (span_eq(r->records[i].id, id)) {
            compare_post(file, want, root, false);
            return;
        }
    }
    differences++;
    if (shown++ < SHOWN_MAX)
        printf("%s: nested post %.*s is nowhere\n", file, SP(id));
}

/* ---- files ---- */

static struct span read_file(const char *path, struct buf *out)
{
    buf_clear(out);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (;;) {
        char *room = buf_room(out, 65536);
        assert_non_null(room);
        size_t n = fread(room, 1, 65536, f);
        if (n == 0)
            break;
        out->n += n;
    }
    fclose(f);
    return buf_span(out);
}

static void take(const struct reading *r, enum record_kind kind, size_t *at)
{
    while (*at < r->count && r->records[*at].kind != kind)
        (*at)++;
}

static void compare_records(const char *file, struct json want, const struct reading *r,
                            enum record_kind kind)
{
    size_t at = 0, n = json_count(want);
    bool post = kind == RECORD_POST;
    size_t have = post ? r->posts : r->users;
    compared++;
    if (n != have) {
        differences++;
        printf("%s: wanted %zu %s, got %zu\n", file, n, post ? "posts" : "users", have);
    }
    for (size_t i = 0; i < n; i++, at++) {
        struct json root;
        take(r, kind, &at);
        if (at >= r->count)
            return;
        assert_int_equal(json_parse(record_parser, r->records[at].json, &root, NULL), E_OK);
        if (post)
            compare_post(file, json_at(want, i), root, true);
        else
            compare_user(file, json_at(want, i), root);
    }
}

static enum failure_class class_of_state(struct span state)
{
    if (span_is(state, "query_rejected"))
        return FAILURE_BAD_INPUT;
    if (span_is(state, "suspended"))
        return FAILURE_SUSPENDED;
    return FAILURE_NONE;
}

static void compare_rest(const char *file, struct json expect, const struct reading *r)
{
    struct span want;
    size_t promoted = json_count(json_get(expect, SPAN("promoted")));
    size_t unavailable = json_count(json_get(expect, SPAN("unavailable")));
    compared += 2;
    if (promoted != r->promoted || unavailable != r->unavailable) {
        differences++;
        printf("%s: wanted %zu promoted and %zu unavailable, got %zu and %zu\n", file, promoted,
               unavailable, r->promoted, r->unavailable);
    }
    compared++;
    if (!json_text(json_path(expect, "cursors.Bottom"), &want))
        want = SPAN("");
    if (!span_eq(want, r->cursor)) {
        differences++;
        printf("%s: wanted cursor %.*s, got %.*s\n", file, SP(want), SP(r->cursor));
    }
    /* A tombstone among other entries is a record; only an answer that is nothing else is a
     * sign. */
    bool whole = json_text(json_get(expect, SPAN("state")), &want) && r->entries == 0;
    compared++;
    if (whole && !span_is(want, "no_posts") && class_of_state(want) != r->sign) {
        differences++;
        printf("%s: wanted sign for %.*s, got %s (%.*s)\n", file, SP(want),
               failure_name(r->sign), SP(r->why));
    }
    if (r->unparsed || r->rejected) {
        differences++;
        printf("%s: %zu unparsed, %zu rejected\n", file, r->unparsed, r->rejected);
    }
}

static bool is_user_file(const char *name)
{
    return strncmp(name, "user_by_", 8) == 0 || strncmp(name, "user_about", 10) == 0 ||
           strncmp(name, "user_suspended", 14) == 0;
}

static void check_file(const char *dir, const char *name)
{
    static const struct operation timeline = {.name = {"Timeline", 8}, .role = OP_TIMELINE};
    static const struct operation user = {.name = {"User", 4}, .role = OP_USER};
    char path[1024], label[512];
    struct buf body = BUF(FILE_BYTES), text = BUF(FILE_BYTES);
    struct arena *arena = arena_new(FILE_BYTES * 4);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct reading r;
    struct json expect;
    size_t stem = strlen(name) - strlen(".json");
    snprintf(label, sizeof label, "%s/%s", dir, name);
    snprintf(path, sizeof path, "%s/graphql/%s/%s", fixtures, dir, name);
    read_file(path, &body);
    snprintf(path, sizeof path, "%s/graphql/%s/%.*s.expect.json", fixtures, dir, (int)stem,
             name);
    assert_int_equal(json_parse(expect_parser, read_file(path, &text), &expect, NULL), E_OK);
    assert_int_equal(reader_answer(reader, is_user_file(name) ? &user : &timeline, 200,
                                   SPAN_NONE, buf_span(&body), (wall){1786093200000}, arena, &r,
                                   NULL),
                     E_OK);
    body_says_location = span_find(buf_span(&body), SPAN("\"location\"")) < body.n;
    files++;
    posts += r.posts;
    users += r.users;
    compare_records(label, json_get(expect, SPAN("posts")), &r, RECORD_POST);
    compare_records(label, json_get(expect, SPAN("users")), &r, RECORD_USER);
    struct json inner = json_get(expect, SPAN("nested_posts"));
    for (size_t i = 0; i < json_count(inner); i++, nested++)
        compare_nested(label, json_at(inner, i), &r);
    compare_rest(label, expect, &r);
    reader_free(&reader);
    arena_free(&arena);
    buf_free(&body);
    buf_free(&text);
}

static bool is_data_file(const char *name)
{
    struct span s = span_of(name);
    return span_ends(s, SPAN(".json")) && !span_ends(s, SPAN(".expect.json"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_dir(const char *dir)
{
    char path[1024], *names[FILES_MAX];
    size_t n = 0, had[4] = {files, posts + users, compared, differences};
    snprintf(path, sizeof path, "%s/graphql/%s", fixtures, dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e && n < FILES_MAX; e = readdir(d))
        if (is_data_file(e->d_name))
            names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    for (size_t i = 0; i < n; i++) {
        check_file(dir, names[i]);
        free(names[i]);
    }
    printf("%-8s %6zu %8zu %9zu %12zu\n", dir, files - had[0], posts + users - had[1],
           compared - had[2], differences - had[3]);
}

/* ---- the other sources ---- */

/* What is compared of a post: only what the expectation has. exact: byte for byte. */
struct field_pair {
    const char *want, *got;
    bool exact;
};

/* White space as one space, none around: how a page is laid out does not count. */
static void add_collapsed(struct buf *out, struct json v)
{
    struct span s = SPAN("");
    json_text(v, &s);
    s = span_trim(s);
    for (size_t i = 0; i < s.n; i++) {
        bool space = strchr(" \t\r\n", s.p[i]) != NULL;
        if (!space)
            buf_add_char(out, s.p[i]);
        else if (out->n && out->p[out->n - 1] != ' ')
            buf_add_char(out, ' ');
    }
}

static void differ(const char *file, struct span id, const char *field, struct span want,
                   struct span got)
{
    differences++;
    if (shown++ < SHOWN_MAX)
        printf("%s %.*s %s: wanted %.*s, got %.*s\n", file, SP(id), field,
               (int)(want.n > 300 ? 300 : want.n), want.p ? want.p : "(nothing)",
               (int)(got.n > 300 ? 300 : got.n), got.p ? got.p : "(nothing)");
}

static void compare_text(const char *file, struct span id, const char *field, struct json want,
                         struct json got)
{
    struct buf w = BUF(FILE_BYTES), g = BUF(FILE_BYTES);
    add_collapsed(&w, want);
    add_collapsed(&g, got);
    compared++;
    if (!span_eq(buf_span(&w), buf_span(&g)))
        differ(file, id, field, buf_span(&w), buf_span(&g));
    buf_free(&w);
    buf_free(&g);
}

static void compare_said(const char *file, struct span id, struct json want, struct json got,
                         const struct field_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct json w = json_path(want, pairs[i].want), g = json_path(got, pairs[i].got);
        if (!w.doc)
            continue;
        if (pairs[i].exact)
            compare(file, id, pairs[i].want, w, g);
        else
            compare_text(file, id, pairs[i].want, w, g);
    }
}

static void compare_shown_media(const char *file, struct span id, struct json want,
                                struct json got)
{
    static const struct field_pair pairs[] = {
        {"type", "type", true},          {"url", "url", true},
        {"thumb", "thumb_url", true},    {"width", "width", true},
        {"height", "height", true},      {"alt", "alt", true},
        {"duration_ms", "duration_ms", true},
    };
    compared++;
    if (json_count(want) != json_count(got))
        compare(file, id, "media", want, got);
    for (size_t i = 0; i < json_count(want) && i < json_count(got); i++)
        compare_said(file, id, json_at(want, i), json_at(got, i), pairs,
                     sizeof pairs / sizeof pairs[0]);
}

static void compare_quote(const char *file, struct span id, struct json want, struct json got)
{
    static const struct field_pair pairs[] = {
        {"id", "id", true},
        {"author", "author.screen_name", true},
        {"author_id", "author.id", true},
        {"created_at", "created_at", true},
        {"text", "text", false},
        {"counts.reply", "counts.reply", true},
        {"counts.repost", "counts.repost", true},
        {"counts.like", "counts.like", true},
        {"unavailable", "reason_text", false},
    };
    compared++;
    if (json_is(want, JSON_OBJECT) != json_is(got, JSON_OBJECT)) {
        compare(file, id, "quote", want, got);
        return;
    }
    if (!json_is(want, JSON_OBJECT))
        return;
    compare_said(file, id, want, got, pairs, sizeof pairs / sizeof pairs[0]);
    if (json_get(want, SPAN("media")).doc)
        compare_shown_media(file, id, json_get(want, SPAN("media")),
                            json_get(got, SPAN("media")));
}

static void compare_lists(const char *file, struct span id, struct json want, struct json got)
{
    static const struct {
        const char *field, *member;
    } lists[] = {
        {"urls", "expanded"}, {"hashtags", NULL}, {"cashtags", NULL}, {"mentions", "screen_name"}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct json w = json_path(want, lists[i].field);
        if (w.doc)
            compare_list(file, id, lists[i].field, w, json_path(got, lists[i].field),
                         lists[i].member);
    }
}

static void compare_shown_card(const char *file, struct span id, struct json want,
                               struct json got)
{
    struct json card = json_get(want, SPAN("card")), poll = json_get(want, SPAN("has_poll"));
    struct span label, title, domain;
    bool has = false;
    if (json_bool(poll, &has)) {
        compared++;
        if (has != json_is(json_path(got, "card.poll"), JSON_OBJECT))
            differ(file, id, "has_poll", SPAN("another"), SPAN("answer"));
    }
    if (!json_text(json_get(card, SPAN("label")), &label)) {
        if (card.doc)
            compare_card(file, id, want, got);
        return;
    }
    compare(file, id, "card.url", json_get(card, SPAN("url")), json_path(got, "card.url"));
    compared++;
    if (!json_text(json_path(got, "card.title"), &title) ||
        !json_text(json_path(got, "card.domain"), &domain) || !span_starts(label, domain) ||
        !span_ends(label, title))
        differ(file, id, "card.label", label, SPAN("other words"));
}

/* The page cannot tell a reply of the thread's author from others: "thread" is not compared. */
static void compare_place(const char *file, struct span id, struct json want, struct json got)
{
    struct span section;
    if (json_text(json_get(want, SPAN("section")), &section) && !span_is(section, "thread"))
        compare(file, id, "section", json_get(want, SPAN("section")),
                json_path(got, "position.section"));
    if (json_get(want, SPAN("pinned")).doc && json_is(json_path(got, "is_pinned"), JSON_BOOL))
        compare(file, id, "pinned", json_get(want, SPAN("pinned")),
                json_get(got, SPAN("is_pinned")));
}

static void compare_shown(const char *file, struct json want, struct json got)
{
    static const struct field_pair pairs[] = {
        {"id", "id", true},
        {"author", "author.screen_name", true},
        {"author_id", "author.id", true},
        {"author_name", "author.name", false},
        {"created_at", "created_at", true},
        {"lang", "lang", true},
        {"text", "text", false},
        {"text_tco", "text", false},
        {"text_truncated", "text_truncated", true},
        {"counts.reply", "counts.reply", true},
        {"counts.repost", "counts.repost", true},
        {"counts.like", "counts.like", true},
        {"counts.quote", "counts.quote", true},
        {"counts.bookmark", "counts.bookmark", true},
        {"counts.view", "counts.view", true},
        {"reply_to_id", "reply_to.post_id", true},
        {"reply_to_author", "reply_to.screen_name", true},
        {"reposted_by", "reposted_by.screen_name", true},
        {"reposted_by_name", "reposted_by.name", false},
        {"repost_of", "repost_of", true},
        {"repost_of_author", "reposted.author.screen_name", true},
        {"possibly_sensitive", "possibly_sensitive", true},
        {"edit_ids", "edit.ids", true},
    };
    struct span id = SPAN("?"), day, time;
    json_text(json_get(want, SPAN("id")), &id);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        /* null where our record has no such place at all */
        struct json w = json_path(want, pairs[i].want), g = json_path(got, pairs[i].got);
        if (json_is(w, JSON_NULL) && !g.doc)
            compared++;
        else
            compare_said(file, id, want, got, &pairs[i], 1);
    }
    if (json_text(json_get(want, SPAN("created_date")), &day)) {
        compared++;
        if (!json_text(json_get(got, SPAN("created_at")), &time) || !span_starts(time, day))
            differ(file, id, "created_date", day, SPAN("another day"));
    }
    if (json_get(want, SPAN("media")).doc)
        compare_shown_media(file, id, json_get(want, SPAN("media")),
                            json_get(got, SPAN("media")));
    if (json_get(want, SPAN("quote")).doc)
        compare_quote(file, id, json_get(want, SPAN("quote")), json_get(got, SPAN("quoted")));
    compare_lists(file, id, want, got);
    compare_shown_card(file, id, want, got);
    compare_place(file, id, want, got);
}

static void compare_account(const char *file, struct json want, struct json got)
{
    static const struct field_pair pairs[] = {
        {"id", "id", true},
        {"screen_name", "screen_name", true},
        {"name", "name", false},
        {"description", "description", false},
        {"bio", "description", false},
        {"location", "location", false},
        {"followers", "counts.followers", true},
        {"following", "counts.following", true},
        {"posts", "counts.posts", true},
        {"url", "website", true},
        {"blue_verified", "verified.blue", true},
    };
    struct span id = SPAN("profile"), w, g;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) /* what the page says at all */
        if (json_path(got, pairs[i].got).doc)
            compare_said(file, id, want, got, &pairs[i], 1);
    /* Nitter says the minute. */
    if (json_text(json_get(want, SPAN("created_at")), &w) &&
        json_text(json_get(got, SPAN("created_at")), &g)) {
        compared++;
        if (!span_starts(g, span_cut(w, 0, sizeof "2013-12-14T04:35" - 1)))
            differ(file, id, "created_at", w, g);
    }
    /* With or without the mark of its size. */
    if (json_text(json_get(want, SPAN("avatar")), &w) &&
        json_text(json_get(got, SPAN("avatar_url")), &g)) {
        compared++;
        if (!span_starts(w, span_cut(g, 0, span_find_char(g, '?') - sizeof ".jpg" + 1)))
            differ(file, id, "avatar", w, g);
    }
}

static void compare_documents(const char *file, struct json want, const struct reading *r,
                              enum record_kind kind,
                              void (*compare_one)(const char *, struct json, struct json))
{
    size_t at = 0, n = json_count(want);
    compared++;
    if (kind == RECORD_POST && n != r->posts) {
        differences++;
        printf("%s: wanted %zu posts, got %zu\n", file, n, r->posts);
    }
    for (size_t i = 0; i < n; i++, at++) {
        struct json root;
        take(r, kind, &at);
        if (at >= r->count)
            return;
        assert_int_equal(json_parse(record_parser, r->records[at].json, &root, NULL), E_OK);
        compare_one(file, json_at(want, i), root);
    }
}

static void compare_page(const char *file, struct json expect, const struct reading *r)
{
    struct span want;
    struct json profile = json_get(expect, SPAN("profile")), root;
    compare_documents(file, json_get(expect, SPAN("posts")), r, RECORD_POST, compare_shown);
    compare_documents(file, json_get(expect, SPAN("users")), r, RECORD_USER, compare_account);
    size_t at = 0;
    take(r, RECORD_USER, &at);
    if (json_is(profile, JSON_OBJECT) && at < r->count) {
        assert_int_equal(json_parse(record_parser, r->records[at].json, &root, NULL), E_OK);
        compare_account(file, profile, root);
    } else if (json_is(profile, JSON_OBJECT)) {
        differ(file, SPAN("profile"), "profile", SPAN("one"), SPAN_NONE);
    }
    compared += 3;
    if (json_count(json_get(expect, SPAN("promoted"))) != r->promoted)
        differ(file, SPAN("page"), "promoted", SPAN("another"), SPAN("number"));
    if (json_is(json_get(expect, SPAN("unavailable")), JSON_ARRAY) &&
        json_count(json_get(expect, SPAN("unavailable"))) != r->unavailable)
        differ(file, SPAN("page"), "unavailable", SPAN("another"), SPAN("number"));
    if (json_text(json_path(expect, "cursors.Bottom"), &want) && !span_eq(want, r->cursor))
        differ(file, SPAN("page"), "cursor", want, r->cursor);
    json_text(json_get(expect, SPAN("state")), &want);
    bool fine = span_is(want, "ok") ? r->sign == FAILURE_NONE && r->state.n == 0
                                    : span_eq(want, r->state);
    if (!fine)
        differ(file, SPAN("page"), "state", want, r->state);
    if (r->unparsed || r->rejected)
        differ(file, SPAN("page"), "unparsed", SPAN("0"), SPAN("some"));
}

static bool load_expectation(const char *path, struct buf *text, struct json *out)
{
    char expect[1024];
    size_t stem = strlen(path) - strlen(strrchr(path, '.'));
    snprintf(expect, sizeof expect, "%.*s.expect.json", (int)stem, path);
    if (access(expect, R_OK) != 0)
        return false;
    assert_int_equal(json_parse(expect_parser, read_file(expect, text), out, NULL), E_OK);
    return true;
}

static void check_document(const char *source, const char *label, const char *path)
{
    struct buf body = BUF(FILE_BYTES), text = BUF(FILE_BYTES);
    struct json expect;
    if (!load_expectation(path, &text, &expect)) {
        buf_free(&text);
        return;
    }
    struct arena *arena = arena_new(FILE_BYTES * 4);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct reading r;
    struct fault f = {0};
    if (reader_document(reader, span_of(source), 200, SPAN_NONE, read_file(path, &body),
                        (wall){1786093200000}, arena, &r, &f))
        fail_msg("%s: %s", label, f.words);
    files++;
    posts += r.posts;
    users += r.users;
    compare_page(label, expect, &r);
    reader_free(&reader);
    arena_free(&arena);
    buf_free(&body);
    buf_free(&text);
}

/* ---- answers as they come over HTTP ---- */

static enum failure_class class_of_http(struct span state)
{
    static const struct {
        const char *state;
        enum failure_class is;
    } rows[] = {
        {"not_found", FAILURE_NOT_FOUND},
        {"session_banned_or_soft_blocked", FAILURE_SESSION_INVALID},
        {"transient_server", FAILURE_NETWORK},
        {"partial_empty", FAILURE_TIMEOUT}, /* tried again from the same cursor: no end */
        {"login_wall", FAILURE_LOGIN_REQUIRED},
        {"bad_request_client", FAILURE_DRIFT},
        {"auth_dead", FAILURE_SESSION_INVALID},
        {"account_locked", FAILURE_SESSION_INVALID},
        {"csrf_mismatch", FAILURE_SESSION_INVALID},
        {"bad_request_signature_or_stale_query", FAILURE_BLOCKED},
        {"rate_limited", FAILURE_RATE_LIMITED},
        {"edge_blocked", FAILURE_BLOCKED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (span_is(state, rows[i].state))
            return rows[i].is;
    fail_msg("no row for the state %.*s", SP(state));
    return FAILURE_NONE;
}

static int read_http(struct span raw, struct buf *headers, struct span *out_body)
{
    struct span line, rest = raw;
    struct json_w w = json_w(headers);
    int64_t status = 0;
    assert_true(span_next(&rest, '\n', &line));
    assert_true(span_int(span_cut(line, sizeof "HTTP/1.1 " - 1, 3), &status));
    json_open(&w);
    while (span_next(&rest, '\n', &line) && span_trim(line).n) {
        size_t colon = span_find_char(line, ':');
        json_key_span(&w, span_cut(line, 0, colon));
        json_put_text(&w, span_trim(span_cut(line, colon + 1, line.n)));
    }
    json_close(&w);
    *out_body = span_trim(rest);
    return (int)status;
}

static void check_http(const char *label, const char *path)
{
    static const struct operation ops[] = {{.name = {"Timeline", 8}, .role = OP_TIMELINE},
                                           {.name = {"User", 4}, .role = OP_USER}};
    struct buf raw = BUF(FILE_BYTES), text = BUF(FILE_BYTES), headers = BUF(FILE_BYTES);
    struct arena *arena = arena_new(FILE_BYTES);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct json expect;
    struct reading r;
    struct span body, want;
    int64_t reset = 0;
    assert_true(load_expectation(path, &text, &expect));
    int status = read_http(read_file(path, &raw), &headers, &body);
    bool user = strstr(path, "user") != NULL;
    assert_int_equal(reader_answer(reader, &ops[user], status, buf_span(&headers), body,
                                   (wall){1786093200000}, arena, &r, NULL),
                     E_OK);
    files++;
    compared += 3;
    assert_true(json_text(json_get(expect, SPAN("state")), &want));
    if (class_of_http(want) != r.sign)
        differ(label, SPAN("answer"), "state", want, span_of(failure_name(r.sign)));
    if (json_int(json_get(expect, SPAN("retry_at")), &reset) && reset != r.reset_at_s)
        differ(label, SPAN("answer"), "retry_at", SPAN("another"), SPAN("time"));
    if (json_text(json_path(expect, "cursors.Bottom"), &want) && !span_eq(want, r.cursor))
        differ(label, SPAN("answer"), "cursor", want, r.cursor);
    reader_free(&reader);
    arena_free(&arena);
    buf_free(&raw);
    buf_free(&text);
    buf_free(&headers);
}

static const char *source_of(const char *dir, const char *name)
{
    size_t n = strlen(name);
    if (strstr(name, ".expect.json") || n < 5)
        return NULL;
    if (strcmp(dir, "nitter") == 0)
        return strcmp(name + n - 4, ".xml") == 0 ? "nitter_feed" : "nitter_timeline";
    if (strcmp(dir, "syndication") == 0)
        return strcmp(name + n - 5, ".html") == 0 ? "timeline_profile" : "tweet_result";
    if (strcmp(dir, "http") == 0)
        return "http";
    return strcmp(dir, "oembed") == 0 ? "oembed" : "dom";
}

static void check_sources(const char *dir)
{
    char path[1024], label[512], *names[FILES_MAX];
    size_t n = 0, had[4] = {files, posts + users, compared, differences};
    snprintf(path, sizeof path, "%s/%s", fixtures, dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e && n < FILES_MAX; e = readdir(d))
        if (e->d_name[0] != '.' && source_of(dir, e->d_name))
            names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    for (size_t i = 0; i < n; i++) {
        const char *source = source_of(dir, names[i]);
        snprintf(path, sizeof path, "%s/%s/%s", fixtures, dir, names[i]);
        snprintf(label, sizeof label, "%s/%s", dir, names[i]);
        if (strcmp(source, "http") == 0)
            check_http(label, path);
        else
            check_document(source, label, path);
        free(names[i]);
    }
    printf("%-13s %6zu %8zu %9zu %12zu\n", dir, files - had[0], posts + users - had[1],
           compared - had[2], differences - had[3]);
}

/* The windows of a list that shows only a part of itself overlap; together they are all of it. */
static void check_union(void)
{
    char path[1024];
    struct buf body = BUF(FILE_BYTES), text = BUF(FILE_BYTES), seen = BUF(FILE_BYTES);
    struct json expect;
    size_t unique = 0;
    snprintf(path, sizeof path, "%s/dom/synthetic/scroll_UNION.html", fixtures);
    assert_true(load_expectation(path, &text, &expect));
    for (int i = 1; i <= 5; i++) {
        struct arena *arena = arena_new(FILE_BYTES);
        struct reader *reader = reader_new(pack, FILE_BYTES);
        struct reading r;
        snprintf(path, sizeof path, "%s/dom/synthetic/scroll_%02d.html", fixtures, i);
        assert_int_equal(reader_document(reader, SPAN("dom"), 200, SPAN_NONE,
                                         read_file(path, &body), (wall){1786093200000}, arena,
                                         &r, NULL),
                         E_OK);
        for (size_t k = 0; k < r.count; k++) {
            if (seen.n && span_find(buf_span(&seen), r.records[k].id) < seen.n)
                continue;
            struct span want;
            assert_true(json_text(
                json_path(json_at(json_get(expect, SPAN("posts")), unique), "id"), &want));
            compared++;
            if (!span_eq(want, r.records[k].id))
                differ("scroll_UNION", r.records[k].id, "order", want, r.records[k].id);
            buf_add(&seen, r.records[k].id);
            buf_add_char(&seen, ' ');
            unique++;
        }
        reader_free(&reader);
        arena_free(&arena);
    }
    compared++;
    if (unique != json_count(json_get(expect, SPAN("posts"))))
        differ("scroll_UNION", SPAN("all"), "posts", SPAN("another"), SPAN("number"));
    buf_free(&body);
    buf_free(&text);
    buf_free(&seen);
}

static void open_all(void)
{
    struct fault f = {0};
    const char *sites = getenv("FULMAR_SITES");
    int fd = open(sites ? sites : "sites", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (pack_open(&pack, fd, "x", &f) != E_OK)
        fail_msg("%s", f.words);
    close(fd);
    expect_parser = json_parser_new(FILE_BYTES);
    record_parser = json_parser_new(FILE_BYTES);
}

static void close_all(void)
{
    json_parser_free(&expect_parser);
    json_parser_free(&record_parser);
    pack_close(&pack);
}

static void test_sources(void **state)
{
    static const char *const dirs[] = {"nitter", "syndication",   "oembed",
                                       "http",   "dom/real",      "dom/synthetic"};
    (void)state;
    if (access(fixtures, R_OK) != 0) {
        printf("no fixtures at %s: skipped\n", fixtures);
        skip();
    }
    open_all();
    files = posts = users = compared = differences = shown = 0;
    printf("%-13s %6s %8s %9s %12s\n", "folder", "files", "records", "compared", "differences");
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        check_sources(dirs[i]);
    check_union();
    printf("%-13s %6zu %8zu %9zu %12zu\n", "all", files, posts + users, compared, differences);
    close_all();
    assert_true(files >= 70);
    assert_true(posts >= 200);
    assert_int_equal(differences, 0);
}

static void test_all(void **state)
{
    static const char *const dirs[] = {"l1", "l2", "l3", "cases", "errors", "seq"};
    (void)state;
    if (access(fixtures, R_OK) != 0) {
        printf("no fixtures at %s: skipped\n", fixtures);
        skip();
    }
    open_all();
    printf("%-8s %6s %8s %9s %12s\n", "folder", "files", "records", "compared", "differences");
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        check_dir(dirs[i]);
    printf("%-8s %6zu %8zu %9zu %12zu (%zu posts, %zu nested, %zu users; %zu locations "
           "not in the answer: null)\n",
           "all", files, posts + users, compared, differences, posts, nested, users, unsaid);
    close_all();
    assert_true(files >= 40);
    assert_true(posts >= 400);
    assert_int_equal(differences, 0);
}

int main(void)
{
    const char *where = getenv("FULMAR_FIXTURES");
    fixtures = where ? where : "../shared/fixtures/x";
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_sources)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

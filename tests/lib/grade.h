/* grade.h - what was read of a recorded page against what a correct extractor must yield: every
 * difference is printed (the first SHOWN_MAX of them) and counted. Include it once, in the program's
 * only file. */
#pragma once

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

/* A program uses what it needs. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"

static struct json_parser *expect_parser, *record_parser;
static size_t files, posts, nested, users, compared, differences, unsaid, shown;

/* A row of the table that everybody sees: tests/run.sh passes lines through that begin with '|'. Zeroed
 * by table_head(), and again after each row. */
static struct table {
    size_t files, records, compared, unsaid, differences;
} had, all;

static void table_head(const char *what)
{
    files = posts = nested = users = compared = differences = unsaid = shown = 0;
    had = all = (struct table){0};
    printf("| %-28s | %5s | %7s | %8s | %6s | %11s |\n", what, "files", "records", "compared",
           "unsaid", "differences");
}

static void table_line(const char *name, const struct table *t)
{
    printf("| %-28s | %5zu | %7zu | %8zu | %6zu | %11zu |\n", name, t->files, t->records,
           t->compared, t->unsaid, t->differences);
}

/* What was counted since the row before; nothing when there was nothing. */
static void table_row(const char *name)
{
    struct table now = {files, posts + users + nested, compared, unsaid, differences};
    struct table row = {now.files - had.files, now.records - had.records,
                        now.compared - had.compared, now.unsaid - had.unsaid,
                        now.differences - had.differences};
    had = now;
    if (row.files)
        table_line(name, &row);
}

static void table_end(void)
{
    all = (struct table){files, posts + users + nested, compared, unsaid, differences};
    table_line("all", &all);
}

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

/* What the form of expectations has no word for, by the record's own paths ("media.0.from_post_id"): only our
 * own recordings say that. */
static void compare_also(const char *file, struct span id, struct json want, struct json got)
{
    for (struct json_iter i = json_each(want); json_next(&i);) {
        struct json at = got;
        struct span rest = i.key, part;
        while (span_next(&rest, '.', &part)) {
            int64_t n;
            at = span_int(part, &n) ? json_at(at, (size_t)n) : json_get(at, part);
        }
        char name[128];
        span_copy(i.key, name, sizeof name);
        compare(file, id, name, i.value, at);
    }
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

/* What an expectation says and nobody compares is a difference: words are names, a space each. */
static void all_compared(const char *file, struct json object, const char *names)
{
    for (struct json_iter i = json_each(object); json_next(&i);) {
        struct span rest = span_of(names), name;
        bool known = false;
        while (span_next(&rest, ' ', &name))
            known = known || span_eq(name, i.key);
        if (!known) {
            differences++;
            printf("%s: the expectation says '%.*s', which is not compared\n", file, SP(i.key));
        }
    }
}

/* ---- documents ---- */

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
        {"type", "type", true},
        {"url", "url", true},
        {"thumb", "thumb_url", true},
        {"width", "width", true},
        {"height", "height", true},
        {"alt", "alt", true},
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
    } lists[] = {{"urls", "expanded"},
                 {"hashtags", NULL},
                 {"cashtags", NULL},
                 {"mentions", "screen_name"}};
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

/* A page for previews has one picture; the mark of its size does not belong to the file. */
static void compare_picture(const char *file, struct span id, struct json want, struct json got)
{
    struct span w = SPAN_NONE, g = SPAN_NONE;
    (void)json_text(want, &w);
    if (!json_text(json_get(got, SPAN("url")), &g))
        (void)json_text(json_get(got, SPAN("thumb_url")), &g);
    compared++;
    if (w.n ? !g.n || !span_starts(w, g) : g.n > 0)
        differ(file, id, "image", w, g);
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
        {"media_pending", "media_pending", true},
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
    /* promoted: those that are have been left out */
    all_compared(
        file, want,
        "id author author_id author_name created_at created_date lang text text_tco text_truncated "
        "media_pending counts reply_to_id parent_id reply_to_author reposted_by reposted_by_name repost_of "
        "repost_of_author possibly_sensitive edit_ids media quote urls hashtags cashtags mentions card "
        "has_poll section pinned promoted image also");
    compare_also(file, id, json_get(want, SPAN("also")), got);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        /* null where our record has no such place at all */
        struct json w = json_path(want, pairs[i].want), g = json_path(got, pairs[i].got);
        if (json_is(w, JSON_NULL) && !g.doc)
            compared++;
        else
            compare_said(file, id, want, got, &pairs[i], 1);
    }
    /* The post above, where it came along: the one that is answered. */
    if (json_is(json_get(want, SPAN("parent_id")), JSON_TEXT))
        compare(file, id, "parent_id", json_get(want, SPAN("parent_id")),
                json_path(got, "reply_to.post_id"));
    if (json_get(want, SPAN("image")).doc)
        compare_picture(file, id, json_get(want, SPAN("image")),
                        json_at(json_get(got, SPAN("media")), 0));
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

/* What a page does not show is null in the record and counted as unsaid; what it shows is as expected. */
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
        {"media_count", "counts.media", true},
        {"likes", "counts.likes_given", true},
        {"listed", "counts.listed", true},
        {"url", "website", true},
        {"blue_verified", "verified.blue", true},
        {"verified_type", "verified.type", true},
        {"protected", "protected", true},
        {"banner", "banner_url", true},
        {"pinned", "pinned_ids", true},
    };
    struct span id = SPAN("profile"), w, g;
    all_compared(
        file, want,
        "id screen_name name description bio location followers following posts media_count likes listed "
        "url blue_verified verified_type protected banner pinned created_at avatar links");
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct json value = json_path(got, pairs[i].got);
        bool said = json_type(value) != JSON_NONE && json_type(value) != JSON_NULL;
        if (said)
            compare_said(file, id, want, got, &pairs[i], 1);
        else if (json_path(want, pairs[i].want).doc &&
                 !json_is(json_path(want, pairs[i].want), JSON_NULL))
            unsaid++;
    }
    /* The short form of the site's address and the whole one. */
    struct json links = json_get(want, SPAN("links"));
    if (json_count(links) == 2) {
        compare(file, id, "links", json_at(links, 0), json_get(got, SPAN("website_tco")));
        compare(file, id, "links", json_at(links, 1), json_get(got, SPAN("website")));
    }
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

/* ---- what cannot be shown, and what is not passed on ---- */

/* "tombstone: words", "UserUnavailable: Suspended", "unavailable: Suspended", "words" or a type alone. */
static void compare_reason(const char *file, struct span reason, struct json got)
{
    static const struct {
        const char *reason, *state;
    } states[] = {{"Suspended", "suspended"},
                  {"Protected", "protected"},
                  {"Deleted", "deleted"},
                  {"NsfwLoggedOut", "age_restricted"}};
    struct span type = span_cut(reason, 0, span_find(reason, SPAN(": "))),
                rest = span_cut(reason, type.n + 2, reason.n);
    struct span state = SPAN_NONE, words = SPAN_NONE;
    (void)json_text(json_get(got, SPAN("state")), &state);
    (void)json_text(json_get(got, SPAN("reason_text")), &words);
    compared++;
    if (span_ends(type, SPAN("navailable"))) {
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
            if (span_is(rest, states[i].reason) && !span_is(state, states[i].state))
                differ(file, rest, "state", span_of(states[i].state), state);
        return;
    }
    /* The help that is offered with it may be missing. */
    struct span wanted = span_is(type, "tombstone") ? rest : reason;
    struct span core =
        span_ends(wanted, SPAN(" Learn more")) ? span_cut(wanted, 0, wanted.n - 11) : wanted;
    if (!span_starts(span_trim(words), core))
        differ(file, SPAN("unavailable"), "reason", wanted, words);
}

static void compare_unavailable(const char *file, struct json want, const struct reading *r)
{
    size_t at = 0, n = json_count(want);
    compared++;
    if (n != r->unavailable)
        differ(file, SPAN("page"), "unavailable", SPAN("another"), SPAN("number"));
    for (size_t i = 0; i < n; i++, at++) {
        struct json w = json_at(want, i), root;
        struct span text;
        take(r, RECORD_UNAVAILABLE, &at);
        if (at >= r->count)
            return;
        assert_int_equal(json_parse(record_parser, r->records[at].json, &root, NULL), E_OK);
        if (json_text(json_get(w, SPAN("entry")), &text)) {
            compared++;
            if (!span_eq(text, r->records[at].place))
                differ(file, SPAN("unavailable"), "entry", text, r->records[at].place);
        }
        if (json_text(json_get(w, SPAN("id")), &text))
            compare(file, text, "unavailable.id", json_get(w, SPAN("id")),
                    json_get(root, SPAN("id")));
        if (json_text(json_get(w, SPAN("reason")), &text))
            compare_reason(file, text, root);
    }
}

/* Each of these was told apart, so none of them is a record. */
static void compare_promoted(const char *file, struct json want, const struct reading *r)
{
    compared++;
    if (json_count(want) != r->promoted)
        differ(file, SPAN("page"), "promoted", SPAN("another"), SPAN("number"));
    for (size_t i = 0; i < json_count(want); i++) {
        struct span id = SPAN("");
        compared++;
        (void)json_text(json_at(want, i), &id);
        for (size_t k = 0; k < r->count; k++)
            if (r->records[k].kind == RECORD_POST && span_eq(r->records[k].id, id))
                differ(file, id, "promoted", SPAN("left out"), SPAN("a post"));
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
    /* kind and source say what it is, token is compared where there is a URL to make */
    all_compared(
        file, expect,
        "schema source kind state posts users profile promoted unavailable cursors token");
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
    compare_promoted(file, json_get(expect, SPAN("promoted")), r);
    if (json_is(json_get(expect, SPAN("unavailable")), JSON_ARRAY))
        compare_unavailable(file, json_get(expect, SPAN("unavailable")), r);
    compared += 2;
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

/* Recorded answers of the site, each with what a correct extractor must yield. Every statement of an
 * expectation is compared; one that nobody compares is a difference itself. The table says what was.
 *
 * tests/data/shapes has the project's own (tests/data/make.py writes them). FULMAR_FIXTURES names a folder
 * of the same form with real ones (default ../shared/fixtures/x); without it that part is skipped.
 * FULMAR_SITES names the site packs (default sites). */
#include "core/drift.h"
#include "core/failure.h"
#include "extract/merge.h"
#include "extract/token.h"
#include "os/clock.h"
#include "worker/replay.h"

#include "../lib/grade.h"
#include "../lib/pack.h"

static const char *fixtures; /* the root that is read */
static struct pack *pack;
static bool body_says_location; /* of the file being compared */

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
    all_compared(
        file, want,
        "id url author author_id author_name created_at lang text text_raw is_long conversation_id "
        "quote_of repost_of possibly_sensitive edit_ids counts urls hashtags cashtags mentions media card "
        "reply_to_id reply_to_author repost_of_author pinned section also");
    compare_also(file, id, json_get(want, SPAN("also")), got);
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
    all_compared(
        file, want,
        "id screen_name name created_at followers following posts media_count likes listed description url "
        "avatar banner protected blue_verified verified_type pinned location also");
    compare_also(file, id, json_get(want, SPAN("also")), got);
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

/* ---- ways: which of its paths each field came from, over all files of a set ---- */

enum { WAYS_MAX = 2000 };
struct way {
    char name[DRIFT_NAME];
    int64_t missing, hits[DRIFT_PATHS];
};
struct ways {
    size_t count;
    struct way all[WAYS_MAX];
};
static struct ways own_ways, real_ways, *walked;

static struct way *way_of(struct ways *w, struct span name)
{
    for (size_t i = 0; i < w->count; i++)
        if (span_is(name, w->all[i].name))
            return &w->all[i];
    assert_true(w->count < WAYS_MAX);
    struct way *fresh = &w->all[w->count++];
    *fresh = (struct way){.missing = 0};
    span_copy(name, fresh->name, sizeof fresh->name);
    return fresh;
}

static void note_ways(struct reader *r)
{
    struct buf text = BUF(1 << 20);
    reader_counts(r, &text);
    struct span rest = buf_span(&text), version = SPAN_NONE;
    struct drift_line line;
    while (drift_next_line(&rest, &version, &line)) {
        if (line.news)
            continue;
        struct way *w = way_of(walked, line.name);
        w->missing += line.missing;
        for (size_t i = 0; i < line.paths; i++)
            w->hits[i] += line.hits[i];
    }
    buf_free(&text);
}

/* ---- the same post in several files ---- */

enum { READ_MAX = 4000 };
static struct read_before {
    char id[32], file[128];
    struct merge_side side;
} read_before[READ_MAX];
static size_t read_count, read_again, disagreements;
static struct arena *read_arena;

/* Nobody disagrees with another source, or with another page of the same one. What is written for previews has the
 * short links, and no job reads it; one page has words of its own in real posts. */
static void compare_readings(const char *file, const struct reading *r)
{
    bool others_words = strstr(file, "trap_text") || strncmp(file, "oembed/", 7) == 0 ||
                        strncmp(file, "ssr/", 4) == 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct record *rec = &r->records[i];
        struct merge_side now;
        struct json root;
        if (rec->kind != RECORD_POST || rec->repost || others_words)
            continue;
        assert_int_equal(json_parse(record_parser, rec->json, &root, NULL), E_OK);
        assert_true(merge_read(root, read_arena, &now));
        size_t k = 0;
        while (k < read_count && !span_is(rec->id, read_before[k].id))
            k++;
        for (int f = 0; k < read_count && f < MERGE_FIELDS; f++)
            if (merge_conflict((enum merge_field)f, &read_before[k].side, &now)) {
                disagreements++;
                printf("%s %.*s %s: here %.*s, in %s %.*s\n", file, SP(rec->id),
                       merge_field_name((enum merge_field)f), SP(now.value[f]),
                       read_before[k].file, SP(read_before[k].side.value[f]));
            }
        read_again += k < read_count;
        if (k < read_count)
            continue;
        assert_true(read_count < READ_MAX);
        span_copy(rec->id, read_before[k].id, sizeof read_before[k].id);
        snprintf(read_before[k].file, sizeof read_before[k].file, "%s", file);
        read_before[read_count++].side = now;
    }
}

/* ---- files ---- */

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
    static const struct {
        const char *state;
        enum failure_class is;
    } rows[] = {{"query_rejected", FAILURE_BAD_INPUT},
                {"suspended", FAILURE_SUSPENDED},
                {"protected", FAILURE_PROTECTED},
                {"deleted", FAILURE_NOT_FOUND},
                {"age_restricted", FAILURE_WITHHELD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (span_is(state, rows[i].state))
            return rows[i].is;
    fail_msg("no row for the state %.*s", SP(state));
    return FAILURE_NONE;
}

/* An answer without posts that is none of a list's: it may be no shape of ours, but it is not the word of the
 * site that there is nothing. */
static bool fits_state(struct span state, const struct reading *r)
{
    if (span_is(state, "no_posts"))
        return !r->posts && !r->says_empty && !failure_row(r->sign)->about_target;
    return class_of_state(state) == r->sign;
}

static bool is_followed(const struct reading *r, struct span cursor)
{
    for (size_t i = 0; i < r->more_count; i++)
        if (span_eq(r->more[i], cursor))
            return true;
    return false;
}

/* Bottom is the next page; those of a thread lead to what is folded; Top leads to what is newer, and nobody
 * goes there. */
static void compare_cursors(const char *file, struct json want, const struct reading *r)
{
    struct span value = SPAN(""), bottom = SPAN("");
    size_t folded = 0;
    (void)json_text(json_get(want, SPAN("Bottom")), &bottom);
    compared++;
    if (!span_eq(bottom, r->cursor))
        differ(file, SPAN("cursor"), "Bottom", bottom, r->cursor);
    for (struct json_iter i = json_each(want); json_next(&i);) {
        assert_true(json_text(i.value, &value));
        if (span_is(i.key, "Bottom"))
            continue;
        bool top = span_is(i.key, "Top"), followed = is_followed(r, value);
        folded += !top;
        compared++;
        if (followed == top || (top && span_eq(value, r->cursor) && !span_eq(value, bottom)))
            differ(file, SPAN("cursor"), "which one", i.key,
                   top ? SPAN("followed") : SPAN("not followed"));
    }
    compared++;
    if ((r->more_count == 0) != (folded == 0))
        differ(file, SPAN("cursor"), "of folded branches", SPAN("others"), SPAN("these"));
}

/* One code, which the sign of the answer follows, and words that the sign keeps. */
static void compare_errors(const char *file, struct json want, const struct reading *r)
{
    for (size_t i = 0; i < json_count(want); i++) {
        struct json e = json_at(want, i);
        struct span message = SPAN("");
        int64_t code = 0;
        all_compared(file, e, "code message name");
        assert_true(json_int(json_get(e, SPAN("code")), &code));
        assert_true(json_text(json_get(e, SPAN("message")), &message));
        compared += 2;
        if (code != 214 || r->sign != FAILURE_BAD_INPUT)
            differ(file, SPAN("errors"), "code", SPAN("bad_input for 214"),
                   span_of(failure_name(r->sign)));
        if (!span_eq(r->why, message))
            differ(file, SPAN("errors"), "message", message, r->why);
    }
}

static void compare_rest(const char *file, struct json expect, const struct reading *r)
{
    struct span want;
    all_compared(
        file, expect,
        "schema source state posts nested_posts users authors promoted unavailable cursors errors");
    compare_promoted(file, json_get(expect, SPAN("promoted")), r);
    compare_unavailable(file, json_get(expect, SPAN("unavailable")), r);
    compare_cursors(file, json_get(expect, SPAN("cursors")), r);
    compare_errors(file, json_get(expect, SPAN("errors")), r);
    /* A tombstone among other entries is a record; only an answer that is nothing else is a
     * sign, and of a thread only where it is the post that was asked for: test_thread(). */
    bool whole = json_text(json_get(expect, SPAN("state")), &want) && r->entries == 0;
    compared++;
    if (whole && !fits_state(want, r))
        differ(file, SPAN("answer"), "sign", want, span_of(failure_name(r->sign)));
    if (r->unparsed || r->rejected) {
        differences++;
        printf("%s: %zu unparsed, %zu rejected\n", file, r->unparsed, r->rejected);
    }
}

/* ---- whose posts they are ---- */

/* The last of them: one account may stand there several times, and its numbers grow meanwhile. */
static struct json find_author(struct json v, struct span id, int depth)
{
    struct span got;
    struct json at = json_path(v, "user_results.result"), found = JSON_MISSING;
    if (json_text(json_path(at, "rest_id"), &got) && span_eq(got, id))
        found = at;
    for (struct json_iter i = json_each(v); depth < 40 && json_next(&i);) {
        if (!json_is(i.value, JSON_OBJECT) && !json_is(i.value, JSON_ARRAY))
            continue;
        struct json later = find_author(i.value, id, depth + 1);
        found = later.doc ? later : found;
    }
    return found;
}

/* Records name their authors and no more; the map of users reads them whole, so it has to. */
static void compare_authors(const char *file, struct json want, struct span body)
{
    static const struct operation user = {.name = {"User", 4}, .role = OP_USER};
    struct json_parser *parser = json_parser_new(FILE_BYTES);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct json root;
    assert_int_equal(json_parse(parser, body, &root, NULL), E_OK);
    for (struct json_iter i = json_each(want); json_next(&i);) {
        struct json at = find_author(root, i.key, 0), got;
        struct arena *a = arena_new(FILE_BYTES);
        struct buf alone = BUF(FILE_BYTES);
        struct reading r;
        buf_add_text(&alone, "{\"data\":{\"user\":{\"result\":");
        json_add_raw(&alone, at);
        buf_add_text(&alone, "}}}");
        assert_int_equal(reader_answer(reader, &user, 200, SPAN_NONE, buf_span(&alone),
                                       (wall){1786093200000}, a, &r, NULL),
                         E_OK);
        if (!at.doc || r.users != 1) {
            differ(file, i.key, "author", SPAN("one"), r.why);
        } else {
            body_says_location = span_find(buf_span(&alone), SPAN("\"location\"")) < alone.n;
            assert_int_equal(json_parse(record_parser, r.records[0].json, &got, NULL), E_OK);
            compare_user(file, i.value, got);
            users++;
        }
        buf_free(&alone);
        arena_free(&a);
    }
    reader_free(&reader);
    json_parser_free(&parser);
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
    compare_authors(label, json_get(expect, SPAN("authors")), buf_span(&body));
    note_ways(reader);
    compare_readings(label, &r);
    reader_free(&reader);
    arena_free(&arena);
    buf_free(&body);
    buf_free(&text);
}

static bool is_data_file(const char *dir, const char *name)
{
    struct span s = span_of(name);
    (void)dir;
    return span_ends(s, SPAN(".json")) && !span_ends(s, SPAN(".expect.json"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the files of a folder that a test takes, in their order; false where there is no such folder. */
static bool list_folder(const char *dir, bool (*takes)(const char *dir, const char *name),
                        char **names, size_t *out_n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", fixtures, dir);
    DIR *d = opendir(path);
    *out_n = 0;
    if (!d)
        return false;
    for (struct dirent *e = readdir(d); e && *out_n < FILES_MAX; e = readdir(d))
        if (e->d_name[0] != '.' && takes(dir, e->d_name))
            names[(*out_n)++] = strdup(e->d_name);
    closedir(d);
    qsort(names, *out_n, sizeof names[0], by_name);
    return true;
}

static void check_dir(const char *dir)
{
    char folder[64], *names[FILES_MAX];
    size_t n;
    snprintf(folder, sizeof folder, "graphql/%s", dir);
    assert_true(list_folder(folder, is_data_file, names, &n));
    for (size_t i = 0; i < n; i++) {
        check_file(dir, names[i]);
        free(names[i]);
    }
    table_row(folder);
}

/* ---- pages of a list, one after the other ---- */

struct tape {
    struct buf bodies[FILES_MAX];
    size_t count, at;
    const char *operation;
    struct json want; /* the posts that have to come, in this order */
    size_t came;
    const char *label;
};

static err next_page(void *ctx, struct replay_answer *out, struct fault *f)
{
    struct tape *t = ctx;
    (void)f;
    if (t->at == t->count)
        return E_END;
    *out = (struct replay_answer){.attempt = 1,
                                  .batch = (int64_t)t->at,
                                  .strategy = SPAN("capture"),
                                  .name = span_of(t->operation),
                                  .headers = SPAN("{}"),
                                  .body = buf_span(&t->bodies[t->at]),
                                  .status = 200,
                                  .at = {1786093200000}};
    t->at++;
    return E_OK;
}

static err next_record(void *ctx, const struct frame_item *i, struct fault *f)
{
    struct tape *t = ctx;
    struct json root;
    (void)f;
    if (i->kind != RECORD_POST)
        return E_OK;
    assert_int_equal(json_parse(record_parser, i->json, &root, NULL), E_OK);
    posts++;
    compare_post(t->label, json_at(t->want, t->came++), root, false);
    return E_OK;
}

static bool is_union(const char *dir, const char *name)
{
    (void)dir;
    return span_ends(span_of(name), SPAN("_UNION.expect.json"));
}

/* Where the list ends, and what that proves: by the collection itself. */
static void check_end(const char *label, struct json expect, const struct replay_result *out)
{
    static const struct {
        const char *reason;
        enum end_reason end;
    } rows[] = {{"empty page + repeated cursor", END_NO_NEW_IDS}, {"terminate", END_TERMINATE}};
    struct span reason;
    enum end_reason want = END_BUDGET; /* the recording stops before the list does */
    if (json_text(json_get(expect, SPAN("end_reason")), &reason)) {
        want = END_NONE;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (span_is(reason, rows[i].reason))
                want = rows[i].end;
        assert_int_not_equal(want, END_NONE);
    }
    compared += 2;
    if (out->ending.end != want)
        differ(label, SPAN("list"), "end_reason", span_of(end_reason_name(want)),
               span_of(end_reason_name(out->ending.end)));
    enum verdict verdict = want == END_BUDGET ? VERDICT_PARTIAL : VERDICT_COMPLETE;
    if (out->ending.failure || out->ending.verdict != verdict)
        differ(label, SPAN("list"), "verdict", span_of(verdict_name(verdict)),
               span_of(verdict_name(out->ending.verdict)));
}

static void check_list(const char *name)
{
    static const struct {
        const char *begins, *kind, *operation;
    } rows[] = {{"search", "search", "SearchTimeline"},
                {"media", "media", "UserMedia"},
                {"posts", "posts", "UserTweets"}};
    char path[1024], label[512];
    struct buf text = BUF(FILE_BYTES);
    struct json expect;
    struct tape t = {.label = label};
    struct collect_order order = {.target = SPAN("harbour_notes")};
    snprintf(label, sizeof label, "graphql/seq/%s", name);
    snprintf(path, sizeof path, "%s/graphql/seq/%s", fixtures, name);
    assert_int_equal(json_parse(expect_parser, read_file(path, &text), &expect, NULL), E_OK);
    all_compared(label, expect, "schema kind sources end_reason posts");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(name, rows[i].begins, strlen(rows[i].begins)) == 0) {
            order.kind = span_of(rows[i].kind);
            t.operation = rows[i].operation;
        }
    assert_true(order.kind.n > 0);
    struct json sources = json_get(expect, SPAN("sources"));
    for (size_t i = 0; i < json_count(sources); i++) {
        struct span source;
        assert_true(json_text(json_at(sources, i), &source));
        snprintf(path, sizeof path, "%s/%.*s", fixtures, SP(source));
        t.bodies[t.count] = BUF(FILE_BYTES);
        read_file(path, &t.bodies[t.count++]);
    }
    t.want = json_get(expect, SPAN("posts"));
    struct replay_result out;
    struct fault f = {0};
    struct arena *a = arena_new(FILE_BYTES * 4), *page = arena_new(FILE_BYTES * 4);
    struct reader *reader = reader_new(pack, FILE_BYTES);
    struct json_parser *parser = json_parser_new(1 << 20);
    struct replay_face face = {next_page, next_record, &t};
    assert_int_equal(replay_collect(pack, reader, parser, &order, &face, a, page, &out, &f),
                     E_OK);
    files++;
    compared++;
    if (t.came != json_count(t.want))
        differ(label, SPAN("list"), "posts", SPAN("another"), SPAN("number"));
    check_end(label, expect, &out);
    json_parser_free(&parser);
    reader_free(&reader);
    arena_free(&a);
    arena_free(&page);
    for (size_t i = 0; i < t.count; i++)
        buf_free(&t.bodies[i]);
    buf_free(&text);
}

static void check_lists(void)
{
    char *names[FILES_MAX];
    size_t n;
    assert_true(list_folder("graphql/seq", is_union, names, &n));
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        check_list(names[i]);
        free(names[i]);
    }
    table_row("graphql/seq, as one list");
}

/* ---- the other sources ---- */

/* What lies in one folder may be of several kinds. */
static const char *source_of_kind(struct json expect, const char *source)
{
    struct span kind;
    return json_text(json_get(expect, SPAN("kind")), &kind) && span_is(kind, "nitter-people")
               ? "nitter_search_people"
               : source;
}

/* The word that the URL of such an answer needs, made from the post's id. */
static void compare_token(const char *file, struct json expect, const struct reading *r)
{
    struct span want;
    char token[TOKEN_MAX];
    if (!json_text(json_get(expect, SPAN("token")), &want) || !r->count)
        return;
    compared++;
    if (!token_of_id(r->records[0].id, token) || !span_is(want, token))
        differ(file, r->records[0].id, "token", want, span_of(token));
}

static void check_document(const char *source, const char *label, const char *path)
{
    struct buf body = BUF(FILE_BYTES), text = BUF(FILE_BYTES);
    struct json expect;
    if (!load_expectation(path, &text, &expect)) {
        buf_free(&text);
        return;
    }
    source = source_of_kind(expect, source);
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
    compare_token(label, expect, &r);
    note_ways(reader);
    compare_readings(label, &r);
    reader_free(&reader);
    arena_free(&arena);
    buf_free(&body);
    buf_free(&text);
}

/* ---- answers as they come over HTTP ---- */

/* What the state means, and what has to follow (the expectation's `action`, in the terms of the failure
 * table): tried again, and against which count; the login session rests; the whole lane slows down. */
struct http_row {
    const char *state;
    enum failure_class is;
    enum failure_budget again;
    bool about_target, session_rests, lane_slows;
};

static const struct http_row *http_row(struct span state)
{
    static const struct http_row rows[] = {
        /* post deleted or never existed; no such account */
        {"not_found", FAILURE_NOT_FOUND, BUDGET_NONE, true, false, false},
        /* no matter of the window: bench the session */
        {"session_banned_or_soft_blocked", FAILURE_SESSION_INVALID, BUDGET_NONE, false, true,
         false},
        /* retry with backoff */
        {"transient_server", FAILURE_NETWORK, BUDGET_FAIL, false, false, true},
        /* keep data, retry the same cursor before concluding the end */
        {"partial_empty", FAILURE_TIMEOUT, BUDGET_FAIL, false, false, true},
        /* needs a session */
        {"login_wall", FAILURE_LOGIN_REQUIRED, BUDGET_NONE, false, false, false},
        /* client definition is stale */
        {"bad_request_client", FAILURE_DRIFT, BUDGET_NONE, false, false, true},
        /* session invalid; a person; a new csrf word: the page opened anew has one, and what refuses that as well
         * refuses the session */
        {"auth_dead", FAILURE_SESSION_INVALID, BUDGET_NONE, false, true, false},
        {"account_locked", FAILURE_SESSION_INVALID, BUDGET_NONE, false, true, false},
        {"csrf_mismatch", FAILURE_SESSION_INVALID, BUDGET_NONE, false, true, false},
        /* not "user not found" */
        {"bad_request_signature_or_stale_query", FAILURE_BLOCKED, BUDGET_NONE, false, true,
         true},
        /* wait until reset, another session */
        {"rate_limited", FAILURE_RATE_LIMITED, BUDGET_THROTTLE, false, true, false},
        /* back off the egress. The expectation adds "not the session"; the table rests it too, because a
         * challenge that was not solved is often held against the session that met it. */
        {"edge_blocked", FAILURE_BLOCKED, BUDGET_NONE, false, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (span_is(state, rows[i].state))
            return &rows[i];
    fail_msg("no row for the state %.*s", SP(state));
    return NULL;
}

static void compare_action(const char *file, const struct http_row *want, enum failure_class is)
{
    const struct failure_row *row = failure_row(is);
    compared++;
    if (row->budget != want->again || row->about_target != want->about_target ||
        row->session_cools != want->session_rests || row->breaker != want->lane_slows)
        differ(file, SPAN("answer"), "action", span_of(want->state), span_of(row->name));
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
    compared += 4;
    all_compared(label, expect, "schema source kind state action retry_at cursors");
    assert_true(json_text(json_get(expect, SPAN("state")), &want));
    const struct http_row *row = http_row(want);
    if (row->is != r.sign)
        differ(label, SPAN("answer"), "state", want, span_of(failure_name(r.sign)));
    compare_action(label, row, r.sign);
    if (r.renews != span_is(want, "csrf_mismatch"))
        differ(label, SPAN("answer"), "a new token", SPAN("another"), SPAN("answer"));
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
    if (strcmp(dir, "oembed") == 0 || strcmp(dir, "ssr") == 0)
        return strcmp(dir, "ssr") == 0 ? "ssr" : "oembed";
    return "dom";
}

static bool has_source(const char *dir, const char *name)
{
    return source_of(dir, name) != NULL;
}

static void check_sources(const char *dir)
{
    char path[1024], label[512], *names[FILES_MAX];
    size_t n;
    if (!list_folder(dir, has_source, names, &n))
        return;
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
    table_row(dir);
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
    all_compared("scroll_UNION", expect, "schema kind sources posts");
    struct json sources = json_get(expect, SPAN("sources"));
    for (size_t i = 0; i < json_count(sources); i++) {
        struct arena *arena = arena_new(FILE_BYTES);
        struct reader *reader = reader_new(pack, FILE_BYTES);
        struct reading r;
        struct span source;
        assert_true(json_text(json_at(sources, i), &source));
        snprintf(path, sizeof path, "%s/%.*s", fixtures, SP(source));
        assert_int_equal(reader_document(reader, SPAN("dom"), 200, SPAN_NONE,
                                         read_file(path, &body), (wall){1786093200000}, arena,
                                         &r, NULL),
                         E_OK);
        for (size_t k = 0; k < r.count; k++) {
            struct json root;
            if (r.records[k].kind != RECORD_POST ||
                (seen.n && span_find(buf_span(&seen), r.records[k].id) < seen.n))
                continue;
            assert_int_equal(json_parse(record_parser, r.records[k].json, &root, NULL), E_OK);
            compare_shown("scroll_UNION", json_at(json_get(expect, SPAN("posts")), unique++),
                          root);
            posts++;
            buf_add(&seen, r.records[k].id);
            buf_add_char(&seen, ' ');
        }
        reader_free(&reader);
        arena_free(&arena);
    }
    files++;
    compared++;
    if (unique != json_count(json_get(expect, SPAN("posts"))))
        differ("scroll_UNION", SPAN("all"), "posts", SPAN("another"), SPAN("number"));
    buf_free(&body);
    buf_free(&text);
    buf_free(&seen);
    table_row("dom/synthetic, as one list");
}

static void open_all(void)
{
    pack = open_site("x");
    expect_parser = json_parser_new(FILE_BYTES);
    record_parser = json_parser_new(FILE_BYTES);
}

static void close_all(void)
{
    json_parser_free(&expect_parser);
    json_parser_free(&record_parser);
    pack_close(&pack);
}

static void check_all(void)
{
    static const char *const api[] = {"l1", "l2", "l3", "cases", "errors", "seq"};
    static const char *const dirs[] = {"nitter", "syndication", "oembed",       "ssr",
                                       "http",   "dom/real",    "dom/synthetic"};
    open_all();
    read_count = read_again = disagreements = 0;
    read_arena = arena_new(64 * 1024 * 1024);
    walked = strncmp(fixtures, "tests/", 6) == 0 ? &own_ways : &real_ways;
    table_head(strncmp(fixtures, "tests/", 6) == 0 ? "our own recordings"
                                                   : "recordings of real pages");
    for (size_t i = 0; i < sizeof api / sizeof api[0]; i++)
        check_dir(api[i]);
    check_lists();
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        check_sources(dirs[i]);
    check_union();
    table_end();
    printf("| posts read again elsewhere   | %5zu | disagreements %zu\n", read_again,
           disagreements);
    close_all();
    arena_free(&read_arena);
    assert_int_equal(differences, 0);
    assert_int_equal(disagreements, 0);
    assert_true(read_again >= 100);
}

/* unsaid: a real page's expectation has the truth, the page itself does not show it, the record says null. */
static void test_real_recordings(void **state)
{
    const char *where = getenv("FULMAR_FIXTURES");
    (void)state;
    fixtures = where ? where : "../shared/fixtures/x";
    if (access(fixtures, R_OK) != 0) {
        printf("skipped: no recordings of real pages at %s\n", fixtures);
        skip();
    }
    check_all();
    assert_true(all.files >= 120 && all.records >= 1100);
}

static void test_own_recordings(void **state)
{
    (void)state;
    fixtures = "tests/data/shapes";
    check_all();
    assert_true(all.files >= 130 && all.records >= 350);
}

/* Every field that a real page brought by one of its paths, or did not bring, does so in our own recordings: what
 * only the real ones showed would be untested in a fresh clone. */
static void test_own_recordings_go_every_way_of_the_real_ones(void **state)
{
    (void)state;
    size_t ways = 0, gaps = 0;
    if (!real_ways.count) {
        printf("skipped: no recordings of real pages\n");
        skip();
    }
    for (size_t i = 0; i < real_ways.count; i++) {
        const struct way *real = &real_ways.all[i],
                         *own = way_of(&own_ways, span_of(real->name));
        for (size_t k = 0; k <= DRIFT_PATHS; k++) {
            int64_t there = k ? real->hits[k - 1] : real->missing,
                    here = k ? own->hits[k - 1] : own->missing;
            ways += there > 0;
            if (!there || here)
                continue;
            gaps++;
            printf("%s: %lld times %s%zu in real recordings, never in ours\n", real->name,
                   (long long)there, k ? "by path " : "missing ", k);
        }
    }
    printf("| ways that real fields came     | %5zu |\n", ways);
    assert_true(ways > 300);
    assert_int_equal(gaps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_recordings), cmocka_unit_test(test_real_recordings),
        cmocka_unit_test(test_own_recordings_go_every_way_of_the_real_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Recorded answers of the site, each with what a correct extractor must yield. The table
 * printed at the end says what was compared; any difference fails.
 *
 * FULMAR_FIXTURES names the directory (default ../shared/fixtures/x); without it the test is
 * skipped. FULMAR_SITES names the site packs (default sites). */
#include "../lib/grade.h"

static const char *fixtures;
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

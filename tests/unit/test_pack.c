/* Site packs: the real one, broken copies of it, targets, plans and resumed requests. */
#include "extract/include.h"
#include "base/json.h"
#include "extract/plan.h"
#include "extract/reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 1024 * 1024 };

static const char *const pack_files[] = {
    "site.yaml",
    "signs.yaml",
    "maps/dom_head.yaml",
    "maps/dom_page.yaml",
    "maps/dom_post.yaml",
    "maps/dom_schema.yaml",
    "maps/dom_thread_page.yaml",
    "maps/dom_user.yaml",
    "maps/nitter_feed_page.yaml",
    "maps/nitter_feed_post.yaml",
    "maps/nitter_page.yaml",
    "maps/nitter_person.yaml",
    "maps/nitter_post.yaml",
    "maps/nitter_user.yaml",
    "maps/oembed_page.yaml",
    "maps/oembed_post.yaml",
    "maps/post.yaml",
    "maps/ssr_page.yaml",
    "maps/ssr_post.yaml",
    "maps/syndication_page.yaml",
    "maps/syndication_post.yaml",
    "maps/timeline.yaml",
    "maps/timeline_profile_page.yaml",
    "maps/timeline_profile_post.yaml",
    "maps/user.yaml",
};
enum { PACK_FILES = sizeof pack_files / sizeof pack_files[0] };

static const char *sites_dir(void)
{
    const char *s = getenv("FULMAR_SITES");
    return s ? s : "sites";
}

static struct pack *open_real(void)
{
    struct fault f = {0};
    struct pack *p = NULL;
    int fd = open(sites_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (pack_open(&p, fd, "x", &f))
        fail_msg("%s", f.words);
    close(fd);
    return p;
}

/* ---- broken copies ---- */

static char temp[256];

static void read_whole(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_clear(out);
    char *room = buf_room(out, FILE_BYTES / 2);
    assert_non_null(room);
    out->n += fread(room, 1, FILE_BYTES / 2, f);
    fclose(f);
}

static void write_whole(const char *path, struct span text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

/* Copies the real pack into a temporary directory as "x", one text of one file replaced.
 * Returns the line and column where the replacement starts. */
static void copy_pack(const char *file, const char *old, const char *new, int *out_line,
                      int *out_column)
{
    char path[600];
    struct buf text = BUF(FILE_BYTES), changed = BUF(FILE_BYTES);
    snprintf(path, sizeof path, "%s/x", temp);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/x/maps", temp);
    mkdir(path, 0700);
    for (size_t i = 0; i < PACK_FILES; i++) {
        snprintf(path, sizeof path, "%s/x/%s", sites_dir(), pack_files[i]);
        read_whole(path, &text);
        struct span s = buf_span(&text);
        if (strcmp(pack_files[i], file) == 0) {
            size_t at = span_find(s, span_of(old));
            if (at == s.n)
                fail_msg("%s has no '%s' to replace", file, old);
            *out_line = *out_column = 1;
            for (size_t k = 0; k < at; k++) {
                *out_line += s.p[k] == '\n';
                *out_column = s.p[k] == '\n' ? 1 : *out_column + 1;
            }
            buf_clear(&changed);
            buf_add(&changed, span_cut(s, 0, at));
            buf_add_text(&changed, new);
            buf_add(&changed, span_cut(s, at + strlen(old), s.n));
            s = buf_span(&changed);
        }
        snprintf(path, sizeof path, "%s/x/%s", temp, pack_files[i]);
        write_whole(path, s);
    }
    buf_free(&text);
    buf_free(&changed);
}

static err open_copy(struct fault *f, struct pack **out)
{
    int fd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    err e = pack_open(out, fd, "x", f);
    close(fd);
    return e;
}

static void remove_copy(void)
{
    char path[600];
    for (size_t i = 0; i < PACK_FILES; i++) {
        snprintf(path, sizeof path, "%s/x/%s", temp, pack_files[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/x/maps", temp);
    rmdir(path);
    snprintf(path, sizeof path, "%s/x", temp);
    rmdir(path);
}

/* The words must hold "x/FILE:LINE:COLUMN: " + words, with the place where the replacement
 * starts plus `shift` columns. */
static void broken(const char *file, const char *old, const char *new, int shift,
                   const char *words)
{
    struct fault f = {0};
    struct pack *p = NULL;
    int line = 0, column = 0;
    char wanted[400];
    copy_pack(file, old, new, &line, &column);
    err e = open_copy(&f, &p);
    remove_copy();
    if (!e)
        fail_msg("'%s' was accepted", new);
    assert_null(p);
    snprintf(wanted, sizeof wanted, "x/%s:%d:%d: %s", file, line, column + shift, words);
    if (strncmp(f.words, wanted, strlen(wanted)) != 0)
        fail_msg("wanted: %s\n     got: %s", wanted, f.words);
}

static void test_broken(void **state)
{
    (void)state;
    broken("site.yaml", "operations: [UserByScreenName, UserTweets]",
           "operatons: [UserByScreenName, UserTweets]", 0,
           "unknown key 'operatons' in capture; did you mean 'operations'?");
    broken("site.yaml", "[UserByScreenName, UserTweets]", "[UserByScreenName, UserTwets]", 0,
           "unknown operation 'UserTwets'; did you mean 'UserTweets'?");
    broken("site.yaml", "input: tag", "input: tga", 7,
           "unknown input 'tga'; did you mean 'tag'?");
    broken("site.yaml", "role: user", "role: usr", 6,
           "unknown role 'usr'; did you mean 'user'?");
    broken("site.yaml", "longest: 15", "longest: many", 9,
           "'longest' has to be a whole number");
    broken("site.yaml", "needs_session: true", "needs_session: yes", 15,
           "'needs_session' has to be true or false");
    broken("site.yaml", "base_url: https://x.com", "base_url: https://x.com/", 10,
           "'base_url' is https://host without a slash at the end");
    broken("site.yaml", "turns_max: 1\n", "turns_max: 0\n", 11,
           "'turns_max' has to be a whole number from 1");
    broken("site.yaml", "[image/jpeg, image/png,", "[image/jpg, image/png,", 0,
           "'image/jpg' is no type of file that is kept");
    broken("site.yaml", "[\"https://pbs.twimg.com/media/\"]",
           "[\"http://pbs.twimg.com/media/\"]", 0,
           "'places' are beginnings of URLs: https://host/path/");
    broken("site.yaml", "largest_mib: 64", "largest: 64", 0,
           "unknown key 'largest' in a kind of media");
    broken("maps/post.yaml", "lang: {content: true, from: legacy.lang}",
           "lang: {content: true, form: legacy.lang}", 6, "field 'lang' needs one of: from");
    broken("maps/post.yaml", "as: snowflake_ms", "as: snowflake_m", 4,
           "unknown conversion 'snowflake_m'; did you mean 'snowflake_ms'?");
    broken("maps/post.yaml", "\"indices[0]\"", "\"indices[0\"", 0,
           "'[' without ']' in path 'indices[0'");
    broken("maps/post.yaml", "\"indices[0]\"", "\"indices[-1]\"", 0,
           "cannot read '[-1]' in path");
    broken("maps/post.yaml", "text_raw: {content: true, from: [\"@note.text\"",
           "text_raw: {content: true, from: [\"@nte.text\"", 33,
           "there is no prefix 'nte' in this map; did you mean 'note'?");
    broken("maps/post.yaml", "from: legacy.bookmark_count", "from: legacy..bookmark_count", 6,
           "empty step in path 'legacy..bookmark_count'");
    broken("maps/user.yaml", "url: {template: \"{base}/{screen_name}\"}",
           "url: {template: \"{base}/{handle}\"}", 5,
           "template: there is no plain field 'handle'");
    broken("maps/user.yaml", "posts: counts.posts", "posts: counts.postz", 7,
           "there is no field 'counts.postz' in this map; did you mean 'counts.posts'?");
    broken("maps/post.yaml", "need: [id,", "need: [idd,", 6,
           "there is no field 'idd' in this map; did you mean 'id'?");
    /* checks, flags, same, known */
    broken("maps/post.yaml", "{check: conversation,", "{check: conversaton,", 8,
           "unknown check 'conversaton'; did you mean 'conversation'?");
    broken("maps/post.yaml", "{check: conversation,", "{check: order,", 0,
           "'order' is checked where the list is read, not in a map");
    broken("maps/post.yaml", "{check: conversation, of:", "{check: conversation, off:", 22,
           "unknown key 'off' in a check; did you mean 'of'?");
    broken("maps/post.yaml",
           "- {snowflake: [rest_id, legacy.id_str], time_x: legacy.created_at}",
           "- {snowflake: [rest_id, legacy.id_str]}", 2, "a check is {check, of, against}");
    broken("maps/user.yaml", "{check: user_node, of: rest_id, against: id,",
           "{check: user_node, of: rest_id,", 0, "'against' of a check needs a path");
    broken("maps/post.yaml", "          of: [rest_id, legacy.id_str]",
           "          off: [rest_id, legacy.id_str]", 10,
           "unknown key 'off' in same; did you mean 'of'?");
    broken("maps/post.yaml", "\"edit_control.edit_tweet_ids[last]\"",
           "\"edit_control.edit_tweet_ids[lst]\"", 0, "cannot read '[lst]' in path");
    broken("maps/post.yaml", "{context: page}", "{context: pge}", 10,
           "unknown context 'pge'; did you mean 'page'?");
    broken("maps/dom_post.yaml", "name: dom_post", "known: [a]\nname: dom_post", 7,
           "'known' is for maps of JSON");
    broken("maps/dom_post.yaml", "locator: html", "locator: htlm", 9,
           "unknown locator 'htlm'; did you mean 'html'?");
    broken("maps/dom_post.yaml", "read: [\"{words}\",", "read: [\"{wrds}\",", 7,
           "there is no prefix 'wrds' in this file; did you mean 'words'?");
    broken("maps/nitter_page.yaml", "frame:", "fram:", 0,
           "unknown key 'fram' in a page; did you mean 'frame'?");
    broken("maps/syndication_page.yaml", "known: [__typename]", "items_: x", 0,
           "unknown key 'items_' in a page; did you mean 'items'?");
    broken("site.yaml", "order: entries", "order: entrys", 7,
           "unknown order 'entrys'; did you mean 'entries'?");
    broken("site.yaml", "oembed: {role: timeline", "oembed: {order: ids, role: timeline", 16,
           "unknown order 'ids'");
    broken("maps/timeline.yaml", "sort: [sortIndex", "sorted: [sortIndex", 0,
           "unknown key 'sorted' in entry; did you mean 'sort'?");
    broken("signs.yaml", "{has: [\"no more items\"], state: end, says: end}",
           "{has: [\"no more items\"], state: end, says: ends}", 43,
           "unknown 'says' 'ends'; did you mean 'end'?");
    broken("site.yaml", "include: {replies: {target: replies}",
           "include: {replyes: {target: replies}", 19,
           "unknown kind of posts 'replyes'; did you mean 'replies'?");
    broken("site.yaml", "include: {replies: {target: replies}",
           "include: {replies: {target: replys}", 9,
           "unknown kind of target 'replys'; did you mean 'replies'?");
    broken("site.yaml", "include: {replies: {target: replies}",
           "include: {replies: {target: search}", 9, "target 'search' is typed in another way");
    broken("site.yaml", "include: {replies: {target: replies}",
           "include: {replies: {targt: replies}", 20,
           "unknown key 'targt' in a kind of posts; did you mean 'target'?");
    broken("site.yaml", "include: {replies: {target: replies}", "include: {replies: yes", 19,
           "a kind of posts is {target: NAME}, {words: TEXT}, or {} where it is there anyway");
    broken("signs.yaml", "error_rules:", "error_rule:", 0,
           "unknown key 'error_rule' in signs; did you mean 'error_rules'?");
    broken("signs.yaml", "- {type: TweetPreviewDisplay, state: preview_only}",
           "- {type: TweetPreviewDisplay}", 2, "'state' is missing here");
    broken("maps/timeline.yaml", "moduleItems", "moduleItems, itmes: x", 13,
           "unknown key 'itmes' in a step; did you mean 'items'?");
    broken("site.yaml", "role: timeline, as: oembed", "rol: timeline, as: oembed", 0,
           "unknown key 'rol' in a source; did you mean 'role'?");
    broken("site.yaml", "post: maps/syndication_post.yaml", "post: maps/nitter_post.yaml", 6,
           "this source needs a map with 'locator: json'");
    broken("maps/nitter_post.yaml", "has-class('tweet-content')]\"",
           "has-class('tweet-content'\"", -8, "XPath './/div[has-class(");
    broken("maps/nitter_page.yaml", "is: skip", "is: skipp", 4,
           "unknown kind 'skipp'; did you mean 'skip'?");
    broken("maps/dom_page.yaml", "format: html", "format: htm", 8,
           "unknown format 'htm'; did you mean 'html'?");
    broken("maps/syndication_page.yaml", "section: main", "section: mian", 9,
           "unknown section 'mian'; did you mean 'main'?");
    broken("signs.yaml", "{codes: [144], is: not_found", "{codes: [144], is: not_fond", 19,
           "unknown failure class 'not_fond'; did you mean 'not_found'?");
    broken("signs.yaml", "{status: 429,", "{status: 4290,", 9,
           "'status' is a number such as 429");
}

static void test_broken_files(void **state)
{
    (void)state;
    struct fault f = {0};
    struct pack *p = NULL;
    int line, column;
    copy_pack("site.yaml", "post: maps/post.yaml", "post: ../../etc/passwd", &line, &column);
    assert_int_equal(open_copy(&f, &p), E_CONFIG);
    assert_non_null(strstr(f.words, "below its own directory"));
    f = (struct fault){0};
    copy_pack("site.yaml", "post: maps/post.yaml", "post: maps/pots.yaml", &line, &column);
    assert_int_equal(open_copy(&f, &p), E_NOT_FOUND);
    assert_non_null(strstr(f.words, "x/maps/pots.yaml"));
    f = (struct fault){0};
    copy_pack("site.yaml", "name: x\n", "name: [x\n", &line, &column);
    assert_int_equal(open_copy(&f, &p), E_BAD_SYNTAX);
    f = (struct fault){0};
    copy_pack("site.yaml", "name: x\n", "name: y\n", &line, &column);
    assert_int_equal(open_copy(&f, &p), E_CONFIG);
    assert_non_null(strstr(f.words, "calls itself 'y'"));
    remove_copy();
    f = (struct fault){0};
    assert_int_equal(open_copy(&f, &p), E_NOT_FOUND);
    int fd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pack_open(&p, fd, "../x", NULL), E_CONFIG);
    assert_int_equal(pack_open(&p, fd, "", NULL), E_CONFIG);
    close(fd);
    assert_null(p);
}

/* ---- the real pack ---- */

static void test_facts(void **state)
{
    (void)state;
    struct pack *p = open_real();
    const struct span *list = NULL;
    assert_true(span_is(pack_name(p), "x"));
    assert_true(span_is(pack_base_url(p), "https://x.com"));
    assert_true(span_starts(pack_version(p), SPAN("1-")));
    assert_int_equal(pack_version(p).n, 10);
    assert_int_equal(pack_targets(p, &list), 11);
    assert_true(span_is(list[0], "posts"));
    assert_true(span_is(list[7], "search"));
    size_t n = pack_hosts(p, &list);
    bool twimg = false;
    for (size_t i = 0; i < n; i++)
        twimg = twimg || span_is(list[i], "*.twimg.com");
    assert_true(twimg);
    assert_true(pack_blocked(p, &list) > 0);
    assert_true(pack_expression(p, SPAN("scroll")).n > 0);
    assert_true(pack_expression(p, SPAN("retry")).n > 0);
    assert_true(pack_expression(p, SPAN("unfold")).n > 0);
    assert_true(pack_expression(p, SPAN("state")).n > 0);
    assert_null(pack_expression(p, SPAN("alert(1)")).p);
    pack_close(&p);
    assert_null(p);
    pack_close(&p);
}

static void test_version_follows_content(void **state)
{
    (void)state;
    struct pack *p = NULL, *q = NULL;
    int line, column;
    copy_pack("signs.yaml", "X asks for a login", "X wants a login", &line, &column);
    assert_int_equal(open_copy(NULL, &q), E_OK);
    remove_copy();
    p = open_real();
    assert_false(span_eq(pack_version(p), pack_version(q)));
    pack_close(&p);
    pack_close(&q);
}

static void accepts(const struct pack *p, const char *kind, const char *input,
                    const char *canonical)
{
    struct buf out = BUF(4096);
    struct fault f = {0};
    if (pack_target(p, span_of(kind), span_of(input), &out, &f))
        fail_msg("%s", f.words);
    if (!span_is(buf_span(&out), canonical))
        fail_msg("%s: wanted %s, got %.*s", input, canonical, SP(buf_span(&out)));
    buf_free(&out);
}

static void refuses(const struct pack *p, const char *kind, const char *input,
                    const char *words)
{
    struct buf out = BUF(4096);
    struct fault f = {0};
    assert_int_equal(pack_target(p, span_of(kind), span_of(input), &out, &f), E_BAD_INPUT);
    if (!strstr(f.words, words))
        fail_msg("%s: wanted '%s' in: %s", input, words, f.words);
    assert_int_equal(out.n, 0);
    buf_free(&out);
}

static void test_targets(void **state)
{
    (void)state;
    struct pack *p = open_real();
    char longest[600];
    memset(longest, 'a', sizeof longest);
    longest[512] = 0;
    accepts(p, "posts", "@nasa", "nasa");
    accepts(p, "posts", "  NASA ", "NASA");
    accepts(p, "profile", "https://x.com/nasa", "nasa");
    accepts(p, "profile", "https://www.twitter.com/@Na_5a", "Na_5a");
    accepts(p, "hashtag", "#opendata", "opendata");
    accepts(p, "hashtag", "＃Zürich2025", "Zürich2025");
    accepts(p, "hashtag", "東京", "東京");
    accepts(p, "search", "heat pump lang:en", "heat pump lang:en");
    accepts(p, "search", "\"a (b OR c)\" -d", "\"a (b OR c)\" -d");
    accepts(p, "search", longest, longest);
    longest[512] = 'a';
    longest[513] = 0;
    refuses(p, "search", longest, "is too long");
    refuses(p, "search", "  ", "is empty");
    refuses(p, "search", "a\nb", "has a character that cannot be in it");
    refuses(p, "posts", "@", "is empty");
    refuses(p, "posts", "a_handle_that_is_long", "is too long");
    refuses(p, "posts", "na-sa", "1 to 15 letters, digits or underscores");
    refuses(p, "posts", "nasa/status/1", "has a character that cannot be in it");
    refuses(p, "posts", "\xFF\xFE", "is not valid UTF-8");
    refuses(p, "posts", "Home", "is a page of the site");
    refuses(p, "hashtag", "#2025", "has no letter in it");
    refuses(p, "hashtag", "open data", "has a character");
    refuses(p, "post", "nasa", "did you mean 'posts'?");
    refuses(p, "quarks", "nasa", "there are: posts, replies, media, profile, followers");
    accepts(p, "thread", "1800000000000000001", "1800000000000000001");
    accepts(p, "thread", "https://x.com/nasa/status/1800000000000000001",
            "1800000000000000001");
    accepts(p, "thread", "https://twitter.com/i/web/status/20?s=20#top", "20");
    accepts(p, "thread", "x.com/a/status/12/photo/1", "12");
    refuses(p, "thread", "https://x.com/nasa", "a post by its id or its URL");
    refuses(p, "thread", "https://x.com/nasa/status/", "is empty");
    refuses(p, "thread", "123456789012345678901", "is too long");
    accepts(p, "list", "https://x.com/i/lists/84839422", "84839422");
    accepts(p, "list", "84839422", "84839422");
    refuses(p, "list", "https://x.com/i/communities/5", "a list by its id");
    accepts(p, "community", "https://x.com/i/communities/1493446837214187523/media",
            "1493446837214187523");
    accepts(p, "followers", "https://x.com/nasa", "nasa");
    pack_close(&p);
}

static void product_is(const struct pack *p, const char *kind, const char *product,
                       const char *name, bool users)
{
    struct span got = SPAN_NONE;
    bool got_users = !users;
    struct fault f = {0};
    if (pack_product(p, span_of(kind), span_of(product), &got, &got_users, &f))
        fail_msg("%s: %s", kind, f.words);
    assert_true(span_is(got, name));
    assert_int_equal(got_users, users);
}

static void no_product(const struct pack *p, const char *kind, const char *product,
                       const char *words)
{
    struct span name;
    bool users;
    struct fault f = {0};
    assert_int_equal(pack_product(p, span_of(kind), span_of(product), &name, &users, &f),
                     E_BAD_INPUT);
    if (!strstr(f.words, words))
        fail_msg("wanted '%s' in: %s", words, f.words);
}

static void test_products(void **state)
{
    (void)state;
    struct pack *p = open_real();
    product_is(p, "search", "", "latest", false);
    product_is(p, "search", "top", "top", false);
    product_is(p, "search", "people", "people", true);
    product_is(p, "hashtag", "media", "media", false);
    product_is(p, "posts", "", "", false);
    product_is(p, "profile", "", "", true);
    product_is(p, "followers", "", "", true);
    no_product(p, "search", "peopel", "did you mean 'people'?");
    no_product(p, "search", "xyzzy", "there are: latest, top, people, media");
    no_product(p, "posts", "latest", "posts has no products to choose from");
    no_product(p, "quarks", "latest", "unknown kind of target");
    assert_true(pack_has_depth(p, SPAN("thread")));
    assert_false(pack_has_depth(p, SPAN("search")));
    assert_false(pack_has_depth(p, SPAN("quarks")));
    struct target_view v;
    assert_true(pack_target_view(p, SPAN("search"), &v));
    assert_int_equal(v.product_count, 4);
    assert_true(span_is(v.products[0], "latest"));
    assert_false(v.users || v.depth);
    assert_true(pack_target_view(p, SPAN("thread"), &v));
    assert_true(v.depth && !v.users && v.product_count == 0);
    pack_close(&p);
}

/* Strategies of a target: what is wrong with them is said where it stands. */
static void test_broken_strategies(void **state)
{
    (void)state;
    const char *limits =
        "    dom: {source: dom_profile, turns_max: 1000, after: [drift, timeout, stuck, blocked]}\n"
        "    fetch: {sources: [nitter_profile], after: [drift, blocked, login_required], turns_max: 1}\n"
        "    fallback_on: [drift, timeout, stuck, blocked, login_required]\n";
    struct {
        const char *text, *words;
    } rows[] = {
        {"    dom: {source: dom_profile}\n    strategies: [capture, fetsh]\n",
         "unknown strategy 'fetsh'; did you mean 'fetch'?"},
        {"    dom: {source: dom_profile}\n    strategies: [dom]\n",
         "'strategies' names each strategy of the target once"},
        {"    fallback_on: [drifted]\n",
         "unknown failure class 'drifted'; did you mean 'drift'?"},
        {"    fetch: {sources: [nosuch]}\n", "unknown source 'nosuch'"},
        {"    fetch: {sources: [oembed]}\n", "source 'oembed' has no 'url' to fetch"},
        {"    dom: {source: dom_profil}\n",
         "unknown source 'dom_profil'; did you mean 'dom_profile'?"},
        {"    dom: {source: nitter_feed}\n", "'dom' needs a source of the format html"},
        {"    dom: {turns_max: 1}\n", "'source' is missing"},
        {"    fetch: {sources: [nitter_timeline, nitter_profile]}\n",
         "lists have to be the last of the sources"},
        {"    dom: {source: dom_profile, after: [drifd]}\n",
         "unknown failure class 'drifd'; did you mean 'drift'?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fault f = {0};
        struct pack *p = NULL;
        int line = 0, column = 0;
        copy_pack("site.yaml", limits, rows[i].text, &line, &column);
        err e = open_copy(&f, &p);
        remove_copy();
        if (e != E_CONFIG || !strstr(f.words, rows[i].words) ||
            strncmp(f.words, "x/site.yaml:", 12) != 0)
            fail_msg("row %zu: %s", i, f.words);
    }
}

static void test_one_strategy(void **state)
{
    (void)state;
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    const char *names[4];
    enum plan_strategy s;
    assert_int_equal(pack_strategies(p, SPAN("posts"), SPAN_NONE, names, 4), 3);
    assert_string_equal(names[0], "capture");
    assert_string_equal(names[1], "dom");
    assert_int_equal(pack_strategies(p, SPAN("posts"), SPAN_NONE, names, 1), 1);
    assert_int_equal(pack_strategies(p, SPAN("nosuch"), SPAN_NONE, names, 4), 0);
    assert_true(plan_strategy_parse(SPAN("dom"), &s) && s == PLAN_DOM);
    assert_false(plan_strategy_parse(SPAN("don"), &s));
    assert_int_equal(plan_make(&plan, p, a, SPAN("posts"), SPAN("nasa"), SPAN_NONE, NULL),
                     E_OK);
    assert_int_equal(plan.step_count, 3);
    assert_int_equal(plan_only(&plan, PLAN_DOM, NULL), E_OK);
    assert_int_equal(plan.step_count, 1);
    assert_int_equal(plan.steps[0].strategy, PLAN_DOM);
    assert_true(plan.steps[0].wants_timeline && plan.shown);
    assert_int_equal(plan_only(&plan, PLAN_CAPTURE, NULL), E_BAD_INPUT);
    arena_free(&a);
    pack_close(&p);
}

/* What is wrong with a product is said where it stands. */
static void test_broken_products(void **state)
{
    (void)state;
    const char *top = "top: {order: ranked, strategies: [capture, dom]}";
    struct {
        const char *text, *words;
    } rows[] = {
        {"top: {order: ranked, strategies: [capture, dmo]}",
         "unknown strategy 'dmo'; did you mean 'dom'?"},
        {"top: {order: ranked, strategy: [dom]}", "unknown key 'strategy' in a product"},
        {"top: {sources: [nitter_serch]}",
         "unknown source 'nitter_serch'; did you mean 'nitter_search'?"},
        {"top: {sources: [oembed]}", "source 'oembed' has no 'url' to fetch"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fault f = {0};
        struct pack *p = NULL;
        int line = 0, column = 0;
        copy_pack("site.yaml", top, rows[i].text, &line, &column);
        err e = open_copy(&f, &p);
        remove_copy();
        if (e != E_CONFIG || !strstr(f.words, rows[i].words) ||
            strncmp(f.words, "x/site.yaml:", 12) != 0)
            fail_msg("row %zu: %s", i, f.words);
    }
}

/* A product is read by the strategies that can show it, and from sources of its own. */
static void test_products_of_strategies(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *product, *strategies, *first_url;
        size_t sources;
    } rows[] = {
        {"search", "latest", "capture dom fetch ",
         "https://n.test/search?f=tweets&q=a%20b&e-nativeretweets=on", 2},
        {"search", "top", "capture dom ", "", 0},
        {"search", "people", "capture dom fetch ", "https://n.test/search?f=users&q=a%20b", 1},
        {"search", "media", "capture dom fetch ",
         "https://n.test/search?f=tweets&q=a%20b&e-nativeretweets=on&f-media=on", 2},
        {"hashtag", "latest", "capture dom fetch ",
         "https://n.test/search?f=tweets&q=%23a%20b&e-nativeretweets=on", 2},
        {"hashtag", "people", "capture dom fetch ", "https://n.test/search?f=users&q=%23a%20b",
         1},
        {"list", "", "capture dom fetch ", "https://n.test/i/lists/a%20b", 2},
        {"thread", "", "capture dom fetch ", "https://n.test/i/status/a%20b", 1},
        {"media", "", "capture dom fetch ", "https://n.test/a%20b/media", 2},
        {"replies", "", "capture dom fetch ", "https://n.test/a%20b/with_replies", 2},
        {"profile", "", "capture dom fetch ", "https://n.test/a%20b", 1},
        {"followers", "", "capture dom ", "", 0},
    };
    struct pack *p = open_real();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena *a = arena_new(1024 * 1024);
        struct plan plan;
        struct buf text = BUF(1024), url = BUF(4096);
        const char *names[4];
        struct source_vars v = {.input = SPAN("a b"),
                                .instances = SPAN("nitter=https://n.test")};
        size_t n =
            pack_strategies(p, span_of(rows[i].kind), span_of(rows[i].product), names, 4);
        assert_int_equal(
            plan_make(&plan, p, a, span_of(rows[i].kind), SPAN("a b"), SPAN_NONE, NULL), E_OK);
        if (rows[i].product[0])
            assert_int_equal(plan_choose(&plan, p, a, span_of(rows[i].product), NULL), E_OK);
        assert_int_equal(plan_configure(&plan, v.instances, a, NULL), E_OK);
        assert_int_equal(plan.step_count, n);
        for (size_t k = 0; k < n; k++) {
            assert_string_equal(names[k], plan_strategy_name(plan.steps[k].strategy));
            buf_fmt(&text, "%s ", names[k]);
        }
        if (!span_is(buf_span(&text), rows[i].strategies))
            fail_msg("%s %s: %.*s", rows[i].kind, rows[i].product, SP(buf_span(&text)));
        if (rows[i].first_url[0]) {
            assert_int_equal(plan.source_count, rows[i].sources);
            assert_int_equal(source_url(plan.sources[0], &v, &url), E_OK);
        }
        if (!span_is(buf_span(&url), rows[i].first_url))
            fail_msg("%s %s: %.*s", rows[i].kind, rows[i].product, SP(buf_span(&url)));
        buf_free(&text);
        buf_free(&url);
        arena_free(&a);
    }
    pack_close(&p);
}

/* What a list leaves out by itself: another target, more words, or it is there anyway. */
static void test_inclusions(void **state)
{
    (void)state;
    enum { REPLIES = EXCLUDE_REPLIES, REPOSTS = EXCLUDE_REPOSTS, QUOTES = EXCLUDE_QUOTES };
    static const struct {
        const char *kind, *target, *product;
        unsigned kinds;
        const char *url, *older; /* NULL: refused */
    } rows[] = {
        {"posts", "nasa", "", 0, "https://x.com/nasa", NULL},
        {"posts", "nasa", "", REPOSTS | QUOTES, "https://x.com/nasa", NULL},
        {"posts", "nasa", "", REPLIES | REPOSTS, "https://x.com/nasa/with_replies", NULL},
        {"search", "heat pump", "", REPOSTS,
         "https://x.com/search?q=heat%20pump%20include%3Anativeretweets&src=typed_query&f=live",
         "https://x.com/search?q=heat%20pump%20include%3Anativeretweets%20max_id%3A9&src=typed_query&f=live"},
        {"search", "heat pump", "top", REPOSTS,
         "https://x.com/search?q=heat%20pump%20include%3Anativeretweets&src=typed_query", NULL},
        {"hashtag", "nasa", "", REPLIES, "https://x.com/hashtag/nasa?f=live", NULL},
        {"hashtag", "nasa", "", REPOSTS,
         "https://x.com/search?q=%23nasa%20include%3Anativeretweets&src=typed_query&f=live",
         "https://x.com/search?q=%23nasa%20include%3Anativeretweets%20max_id%3A9&src=typed_query&f=live"},
        {"media", "nasa", "", REPLIES, NULL, NULL},
        {"quarks", "nasa", "", REPLIES, NULL, NULL},
    };
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct include_way way;
        struct plan plan;
        struct span target = span_of(rows[i].target);
        err e = pack_include(p, span_of(rows[i].kind), target, rows[i].kinds, a, &way, NULL);
        assert_int_equal(e, rows[i].url ? E_OK : E_BAD_INPUT);
        if (e)
            continue;
        assert_int_equal(plan_make(&plan, p, a, way.kind, target, SPAN_NONE, NULL), E_OK);
        if (rows[i].product[0])
            assert_int_equal(plan_choose(&plan, p, a, span_of(rows[i].product), NULL), E_OK);
        assert_int_equal(plan_add_words(&plan, p, a, way.words, way.url, NULL), E_OK);
        if (!span_is(plan.url, rows[i].url))
            fail_msg("%s: %.*s", rows[i].kind, SP(plan.url));
        if (rows[i].older) {
            assert_int_equal(plan_go_below(&plan, p, a, SPAN("9"), NULL), E_OK);
            if (!span_is(plan.url, rows[i].older))
                fail_msg("%s: %.*s", rows[i].kind, SP(plan.url));
        }
    }
    char long_words[600];
    struct include_way way;
    memset(long_words, 'a', sizeof long_words - 1);
    long_words[500] = '\0';
    assert_int_equal(
        pack_include(p, SPAN("search"), span_of(long_words), REPOSTS, a, &way, NULL),
        E_BAD_INPUT);
    arena_free(&a);
    pack_close(&p);
}

/* A source is read where its server is known; a strategy without a source is none. */
static void test_instances(void **state)
{
    (void)state;
    static const struct {
        const char *instances;
        size_t sources, steps;
    } rows[] = {
        {"", 0, 2},
        {"other=https://o.test", 0, 2},
        {"nitter=https://n.test", 2, 3},
        {"syndication=https://s.test nitter=https://n.test", 3, 3},
    };
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    struct buf url = BUF(4096);
    assert_true(span_is(pack_instances(p), "syndication=https://syndication.twitter.com "
                                           "tweet_result=https://cdn.syndication.twimg.com"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(plan_make(&plan, p, a, SPAN("posts"), SPAN("nasa"), SPAN_NONE, NULL),
                         E_OK);
        assert_int_equal(plan_configure(&plan, span_of(rows[i].instances), a, NULL), E_OK);
        assert_int_equal(plan.source_count, rows[i].sources);
        assert_int_equal(plan.step_count, rows[i].steps);
    }
    struct source_vars v = {.input = SPAN("nasa"), .instances = span_of(rows[3].instances)};
    assert_int_equal(source_url(plan.sources[0], &v, &url), E_OK);
    assert_true(span_is(buf_span(&url), "https://n.test/nasa"));
    assert_true(source_is_sampled(plan.sources[0]) && source_is_sampled(plan.sources[2]));
    v.cursor = SPAN("ab=/");
    buf_clear(&url);
    assert_int_equal(source_url(plan.sources[0], &v, &url), E_OK);
    assert_true(span_is(buf_span(&url), "https://n.test/nasa?cursor=ab%3D%2F"));
    buf_free(&url);
    arena_free(&a);
    pack_close(&p);
}

/* Packs that need no browser. */
static struct pack *open_named(const char *name)
{
    struct fault f = {0};
    struct pack *p = NULL;
    int fd = open(sites_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (pack_open(&p, fd, name, &f))
        fail_msg("%s", f.words);
    close(fd);
    return p;
}

static void base_is(const struct pack *p, const char *kind, const char *canonical,
                    const char *base_url, const char *wanted)
{
    struct buf b = BUF(1000);
    assert_int_equal(
        pack_base(p, span_of(kind), span_of(canonical), span_of(base_url), &b, NULL), E_OK);
    if (!span_is(buf_span(&b), wanted))
        fail_msg("wanted %s, got %.*s", wanted, SP(buf_span(&b)));
    buf_free(&b);
}

static void test_fetched_sites(void **state)
{
    (void)state;
    struct pack *p = open_named("bluesky");
    accepts(p, "posts", "@alice.bsky.social", "alice.bsky.social");
    accepts(p, "posts", "did:plc:z72i7hdynmk6r22z27h6tvur", "did:plc:z72i7hdynmk6r22z27h6tvur");
    accepts(p, "profile", "https://bsky.app/profile/alice.test", "alice.test");
    accepts(p, "hashtag", "#Zürich", "Zürich");
    refuses(p, "posts", "alice/../bob", "has a character that cannot be in it");
    refuses(p, "posts", "alice test", "has a character that cannot be in it");
    refuses(p, "posts", "a?b=c", "has a character that cannot be in it");
    assert_false(pack_needs_page(p, SPAN("posts"), SPAN_NONE) ||
                 pack_needs_page(p, SPAN_NONE, SPAN_NONE));
    base_is(p, "posts", "alice.test", "", "https://public.api.bsky.app");
    base_is(p, "posts", "alice.test", "http://127.0.0.1:1", "http://127.0.0.1:1");
    pack_close(&p);
    p = open_named("mastodon");
    accepts(p, "posts", "@alice@Mastodon.Social", "alice@mastodon.social");
    accepts(p, "hashtag", "#opendata@example.test", "opendata@example.test");
    accepts(p, "search", "a@b heat@x.example.test", "a@b heat@x.example.test");
    static const char *const wrong[] = {
        "@alice",          "alice@",         "alice@localhost",  "alice@127.0.0.1",
        "alice@a.test:80", "alice@a.test/b", "alice@.test",      "alice@a..test",
        "alice@a.test.",   "alice@[::1]",    "alice@2130706433", "alice@user:b@c.test/",
        "alice@-a.test",   "@@a.test",       "alice@a_b.test",   "alice@ a.test"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses(p, "posts", wrong[i], "wanted: an account with its instance");
    assert_false(pack_needs_page(p, SPAN_NONE, SPAN_NONE));
    base_is(p, "posts", "alice@example.test", "", "https://example.test");
    base_is(p, "search", "a@b c@example.test", "", "https://example.test");
    unsigned share = pack_share(p, SPAN("posts"), SPAN("alice@example.test")), other = share;
    assert_true(share >= 1 && share <= PACK_SHARES);
    assert_int_equal(pack_share(p, SPAN("hashtag"), SPAN("opendata@example.test")), share);
    for (int i = 0; i < 20 && other == share; i++) {
        char name[40];
        snprintf(name, sizeof name, "alice@h%d.test", i);
        other = pack_share(p, SPAN("posts"), span_of(name));
    }
    assert_int_not_equal(other, share);
    pack_close(&p);
    p = open_named("generic-feed");
    share = pack_share(p, SPAN("posts"), SPAN("https://Example.test/feed.xml?a=b"));
    assert_int_equal(pack_share(p, SPAN("posts"), SPAN("https://example.test:443/b")), share);
    assert_int_equal(pack_share(p, SPAN("posts"), SPAN("http://example.test")), share);
    pack_close(&p);
    p = open_real();
    assert_int_equal(pack_share(p, SPAN("posts"), SPAN("nasa")), 0);
    assert_true(pack_needs_page(p, SPAN("posts"), SPAN_NONE) &&
                pack_needs_page(p, SPAN_NONE, SPAN_NONE));
    assert_false(pack_needs_page(p, SPAN("nosuch"), SPAN_NONE));
    base_is(p, "posts", "nasa", "", "https://x.com");
    pack_close(&p);
}

static void source_url_is(const struct source_vars *v, const char *wanted)
{
    struct pack *p = open_named("bluesky");
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    struct buf b = BUF(4000);
    assert_int_equal(plan_make(&plan, p, a, SPAN("search"), SPAN("heat pump"), SPAN_NONE, NULL),
                     E_OK);
    assert_int_equal(plan.source_count, 1);
    err e = source_url(plan.sources[0], v, &b);
    if (wanted ? e || !span_is(buf_span(&b), wanted) : e != E_NOT_FOUND)
        fail_msg("wanted %s, got %.*s", wanted ? wanted : "nothing", SP(buf_span(&b)));
    buf_free(&b);
    arena_free(&a);
    pack_close(&p);
}

static void test_source_urls(void **state)
{
    (void)state;
    struct source_vars v = {.base = SPAN("https://b"), .input = SPAN("heat & pump")};
    source_url_is(
        &v,
        "https://b/xrpc/app.bsky.feed.searchPosts?q=heat%20%26%20pump&sort=latest&limit=100");
    v.limit = 7;
    v.cursor = SPAN("a=b&c");
    source_url_is(&v, "https://b/xrpc/app.bsky.feed.searchPosts?q=heat%20%26%20pump&sort=latest"
                      "&limit=7&cursor=a%3Db%26c");
    v.cursor = SPAN("https://b/next?x");
    source_url_is(&v, "https://b/next?x");
    v = (struct source_vars){.input = SPAN("x")};
    source_url_is(&v, NULL);
}

/* ---- plans ---- */

static void plan_url(const struct pack *p, const char *kind, const char *canonical,
                     const char *base, const char *url)
{
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    assert_int_equal(
        plan_make(&plan, p, a, span_of(kind), span_of(canonical), span_of(base), NULL), E_OK);
    if (!span_is(plan.url, url))
        fail_msg("wanted %s, got %.*s", url, SP(plan.url));
    arena_free(&a);
}

static void test_plan(void **state)
{
    (void)state;
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    struct fault f = {0};
    plan_url(p, "posts", "nasa", NULL, "https://x.com/nasa");
    plan_url(p, "hashtag", "Zürich", NULL, "https://x.com/hashtag/Z%C3%BCrich?f=live");
    plan_url(p, "search", "a b&c{base}", "http://127.0.0.1:8080",
             "http://127.0.0.1:8080/search?q=a%20b%26c%7Bbase%7D&src=typed_query&f=live");
    assert_int_equal(plan_make(&plan, p, a, SPAN("posts"), SPAN("nasa"), SPAN_NONE, &f), E_OK);
    assert_int_equal(plan.step_count, 3);
    assert_true(plan.fallback_on[FAILURE_DRIFT] && plan.fallback_on[FAILURE_BLOCKED]);
    assert_false(plan.fallback_on[FAILURE_SUSPENDED] || plan.fallback_on[FAILURE_RATE_LIMITED]);
    assert_true(plan.steps[0].wants_timeline && plan.steps[0].own_posts_only);
    assert_int_equal(plan.steps[0].end_repeat_pages, 3);
    assert_int_equal(plan.steps[0].strategy, PLAN_CAPTURE);
    const struct operation *op = plan_operation(
        &plan, SPAN("https://x.com/i/api/graphql/abc_-1/UserTweets?variables=%7B%7D"));
    assert_non_null(op);
    assert_int_equal(op->role, OP_TIMELINE);
    assert_non_null(
        plan_operation(&plan, SPAN("https://api.x.com/graphql/q/UserByScreenName")));
    assert_null(plan_operation(
        &plan, SPAN("https://x.com/i/api/graphql/q/UserTweetsAndReplies?a=/UserTweets")));
    assert_null(plan_operation(&plan, SPAN("https://x.com/i/api/graphql/q/NotUserTweets")));
    assert_null(plan_operation(&plan, SPAN("")));
    assert_int_equal(plan_make(&plan, p, a, SPAN("profile"), SPAN("nasa"), SPAN_NONE, &f),
                     E_OK);
    assert_true(!plan.steps[0].wants_timeline);
    assert_int_equal(plan_make(&plan, p, a, SPAN("search"), SPAN("nasa"), SPAN_NONE, &f), E_OK);
    assert_true(plan.steps[0].wants_timeline);
    assert_int_equal(plan_make(&plan, p, a, SPAN("serch"), SPAN("nasa"), SPAN_NONE, &f),
                     E_BAD_INPUT);
    assert_non_null(strstr(f.words, "did you mean 'search'?"));
    arena_free(&a);
    pack_close(&p);
}

static void chosen_url(const struct pack *p, const char *kind, const char *product,
                       const char *url, bool users)
{
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    assert_int_equal(plan_make(&plan, p, a, span_of(kind), SPAN("q"), SPAN_NONE, NULL), E_OK);
    assert_int_equal(plan_choose(&plan, p, a, span_of(product), NULL), E_OK);
    if (!span_is(plan.url, url))
        fail_msg("wanted %s, got %.*s", url, SP(plan.url));
    assert_true(span_is(plan.product, product));
    assert_int_equal(plan.users, users);
    arena_free(&a);
}

/* The page that stands in for what shows no whole posts. */
static void shown_url(const struct pack *p, const char *kind, const char *product,
                      const char *url)
{
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    assert_int_equal(plan_make(&plan, p, a, span_of(kind), SPAN("q"), SPAN_NONE, NULL), E_OK);
    if (product[0])
        assert_int_equal(plan_choose(&plan, p, a, span_of(product), NULL), E_OK);
    if (!span_is(plan.shown_url, url))
        fail_msg("wanted %s, got %.*s", url, SP(plan.shown_url));
    arena_free(&a);
}

/* A product without a word of its own leaves its parameter out. */
static void test_chosen_products(void **state)
{
    (void)state;
    struct pack *p = open_real();
    chosen_url(p, "search", "latest", "https://x.com/search?q=q&src=typed_query&f=live", false);
    chosen_url(p, "search", "top", "https://x.com/search?q=q&src=typed_query", false);
    chosen_url(p, "search", "people", "https://x.com/search?q=q&src=typed_query&f=user", true);
    chosen_url(p, "hashtag", "top", "https://x.com/hashtag/q", false);
    chosen_url(p, "hashtag", "media", "https://x.com/hashtag/q?f=media", false);
    shown_url(p, "hashtag", "media",
              "https://x.com/search?q=%23q%20filter%3Amedia&src=typed_query&f=live");
    shown_url(p, "search", "media",
              "https://x.com/search?q=q%20filter%3Amedia&src=typed_query&f=live");
    shown_url(p, "search", "latest", "");
    shown_url(p, "media", "",
              "https://x.com/search?q=from%3Aq%20filter%3Amedia&src=typed_query&f=live");
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    assert_int_equal(plan_make(&plan, p, a, SPAN("followers"), SPAN("q"), SPAN_NONE, NULL),
                     E_OK);
    assert_true(plan.users && span_is(plan.url, "https://x.com/q/followers"));
    assert_int_equal(plan.steps[0].claim, CLAIM_FOLLOWERS);
    assert_int_equal(plan_choose(&plan, p, a, SPAN("top"), NULL), E_BAD_INPUT);
    assert_true(span_is(plan.more, "scroll") && plan.focus.n == 0);
    assert_int_equal(plan_make(&plan, p, a, SPAN("thread"), SPAN("20"), SPAN_NONE, NULL), E_OK);
    assert_true(span_is(plan.more, "unfold") && span_is(plan.focus, "20"));
    arena_free(&a);
    pack_close(&p);
}

static void test_request_cursor(void **state)
{
    (void)state;
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    struct buf out = BUF(256), small = BUF(2);
    const char *asked = "https://x.com/i/api/graphql/q/TweetDetail?features=%7B%7D&variables="
                        "%7B%22cursor%22%3A%22a%2Bb%22%7D";
    assert_int_equal(plan_make(&plan, p, a, SPAN("thread"), SPAN("20"), SPAN_NONE, NULL), E_OK);
    assert_true(plan_request_cursor(&plan, span_of(asked), &out));
    assert_true(span_is(buf_span(&out), "a+b"));
    buf_clear(&out);
    assert_false(plan_request_cursor(&plan, span_of(asked), &small));
    assert_false(plan_request_cursor(
        &plan, SPAN("https://x.com/q/TweetDetail?variables=%7B%22a%22%3A1%7D"), &out));
    assert_false(
        plan_request_cursor(&plan, SPAN("https://x.com/q/TweetDetail?variables=%7B"), &out));
    assert_false(plan_request_cursor(&plan, SPAN("https://x.com/q/TweetDetail"), &out));
    assert_false(
        plan_request_cursor(&plan, SPAN("https://x.com/q/Other?variables=%7B%7D"), &out));
    assert_false(plan_request_cursor(
        &plan, SPAN("https://x.com/q/TweetResultByRestId?variables=%7B%7D"), &out));
    assert_int_equal(out.n, 0);
    buf_free(&out);
    buf_free(&small);
    arena_free(&a);
    pack_close(&p);
}

static void resumes(const struct plan *plan, const char *url, const char *cursor,
                    const char *wanted)
{
    struct buf out = BUF(65536);
    assert_int_equal(plan_resume_url(plan, span_of(url), span_of(cursor), &out), E_OK);
    if (!span_is(buf_span(&out), wanted))
        fail_msg("wanted %s\n     got %.*s", wanted, SP(buf_span(&out)));
    buf_free(&out);
}

static void test_resume(void **state)
{
    (void)state;
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    struct plan plan;
    struct buf small = BUF(64), out = BUF(65536);
    assert_int_equal(plan_make(&plan, p, a, SPAN("posts"), SPAN("nasa"), SPAN_NONE, NULL),
                     E_OK);
    resumes(&plan,
            "https://x.com/i/api/graphql/Q/"
            "UserTweets?variables=%7B%22userId%22%3A%2211348282%22%2C%22count%22%3A20%7D&"
            "features=%7B%22a%22%3Atrue%7D",
            "DAA\"x+/=",
            "https://x.com/i/api/graphql/Q/"
            "UserTweets?variables=%7B%22userId%22%3A%2211348282%22%2C%22count%22%3A20%2C%"
            "22cursor%22%3A%22DAA%5C%22x%2B%2F%3D%22%7D&features=%7B%22a%22%3Atrue%7D");
    resumes(&plan,
            "https://x.com/g/"
            "UserTweets?features=%7B%7D&variables=%7B%22cursor%22%3A%22old%22%2C%22a%22%3A%5B1%"
            "2C%7B%22b%22%3Anull%7D%5D%7D#top",
            "new",
            "https://x.com/g/"
            "UserTweets?features=%7B%7D&variables=%7B%22cursor%22%3A%22new%22%2C%22a%22%3A%5B1%"
            "2C%7B%22b%22%3Anull%7D%5D%7D");
    assert_int_equal(
        plan_resume_url(&plan, SPAN("https://x.com/g/Other?variables=%7B%7D"), SPAN("c"), &out),
        E_NOT_FOUND);
    assert_int_equal(plan_resume_url(&plan,
                                     SPAN("https://x.com/g/UserByScreenName?variables=%7B%7D"),
                                     SPAN("c"), &out),
                     E_NOT_FOUND);
    assert_int_equal(plan_resume_url(&plan, SPAN("https://x.com/g/UserTweets?features=%7B%7D"),
                                     SPAN("c"), &out),
                     E_SHAPE);
    assert_int_equal(plan_resume_url(&plan, SPAN("https://x.com/g/UserTweets?variables=%7B%22"),
                                     SPAN("c"), &out),
                     E_SHAPE);
    assert_int_equal(plan_resume_url(&plan, SPAN("https://x.com/g/UserTweets?variables=%5B%5D"),
                                     SPAN("c"), &out),
                     E_SHAPE);
    assert_int_equal(plan_resume_url(&plan, SPAN("https://x.com/g/UserTweets?variables=%ZZ"),
                                     SPAN("c"), &out),
                     E_SHAPE);
    assert_int_equal(
        plan_resume_url(&plan,
                        SPAN("https://x.com/i/api/graphql/Q/"
                             "UserTweets?variables=%7B%22userId%22%3A%2211348282%22%7D"),
                        SPAN("cccc"), &small),
        E_TOO_BIG);
    buf_free(&small);
    buf_free(&out);
    arena_free(&a);
    pack_close(&p);
}

static int make_temp(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(temp, sizeof temp, "%s/fulmar-pack-XXXXXX", base ? base : "/tmp");
    return mkdtemp(temp) ? 0 : -1;
}

static int drop_temp(void **state)
{
    (void)state;
    remove_copy();
    return rmdir(temp);
}

/* A list that stalls is asked for what is older, where the site can be asked for that. */
static void test_going_below(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *target, *product, *url;
    } rows[] = {
        {"search", "heat pump", "",
         "https://x.com/search?q=heat%20pump%20max_id%3A123&src=typed_query&f=live"},
        {"hashtag", "opendata", "",
         "https://x.com/search?q=%23opendata%20max_id%3A123&src=typed_query&f=live"},
        {"search", "heat pump", "top", NULL}, /* old ones stand between new ones */
        {"posts", "nasa", "", NULL},
    };
    struct pack *p = open_real();
    struct arena *a = arena_new(1024 * 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan plan;
        assert_int_equal(plan_make(&plan, p, a, span_of(rows[i].kind), span_of(rows[i].target),
                                   SPAN_NONE, NULL),
                         E_OK);
        if (rows[i].product[0])
            assert_int_equal(plan_choose(&plan, p, a, span_of(rows[i].product), NULL), E_OK);
        err e = plan_go_below(&plan, p, a, SPAN("123"), NULL);
        assert_int_equal(e, rows[i].url ? E_OK : E_NOT_FOUND);
        if (rows[i].url && !span_is(plan.url, rows[i].url))
            fail_msg("wanted %s, got %.*s", rows[i].url, SP(plan.url));
        assert_int_equal(plan.below.n, rows[i].url ? 3 : 0);
    }
    arena_free(&a);
    pack_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_going_below),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_version_follows_content),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_chosen_products),
        cmocka_unit_test(test_request_cursor),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_fetched_sites),
        cmocka_unit_test(test_inclusions),
        cmocka_unit_test(test_broken_products),
        cmocka_unit_test(test_products_of_strategies),
        cmocka_unit_test(test_broken_strategies),
        cmocka_unit_test(test_one_strategy),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_source_urls),
    };
    return cmocka_run_group_tests(tests, make_temp, drop_temp);
}

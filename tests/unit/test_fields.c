/* Fields of records: the table against the maps, picking some, and kinds of posts that are left out. */
#include "extract/exclude.h"
#include "extract/fill.h"
#include "extract/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the table ---- */

static size_t checked;

static void check_members(const struct field *fields, size_t count, const char *before,
                          enum fields_of of)
{
    for (size_t i = 0; i < count; i++) {
        const struct field *f = &fields[i];
        char path[200];
        int n = snprintf(path, sizeof path, "%s%s%.*s", before, *before ? "." : "", SP(f->key));
        assert_true(n > 0 && (size_t)n < sizeof path);
        if (!fields_known(of, span_of(path)))
            fail_msg("src/extract/fields.c does not know '%s' of %s, which a map writes", path,
                     of == FIELDS_OF_USERS ? "users" : "posts");
        checked++;
        if (f->kind == FIELD_OBJECT)
            check_members(f->fields, f->field_count, path, of);
        if (f->kind == FIELD_LIST && !f->scalar && f->element)
            check_members(f->element->fields, f->element->field_count, path, of);
        for (size_t k = 0;
             (f->kind == FIELD_ITEMS || f->kind == FIELD_RECORD) && k < f->field_count; k++)
            check_members(f->fields[k].fields, f->fields[k].field_count, path, of);
    }
}

static void check_map(const struct map *m, enum fields_of of)
{
    if (m)
        check_members(m->fields, m->field_count, "", of);
}

static void every_member_that_a_map_writes_is_in_the_table(void **state)
{
    (void)state;
    static const char *const names[] = {"x", "bluesky", "mastodon", "generic-feed"};
    int fd = open(getenv("FULMAR_SITES") ? getenv("FULMAR_SITES") : "sites",
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pack *p = NULL;
        struct fault f = {0};
        if (pack_open(&p, fd, names[i], &f))
            fail_msg("%s", f.words);
        check_map(p->post, FIELDS_OF_POSTS);
        check_map(p->user, FIELDS_OF_USERS);
        for (size_t k = 0; k < p->source_count; k++) {
            check_map(p->sources[k].post, FIELDS_OF_POSTS);
            check_map(p->sources[k].user, FIELDS_OF_USERS);
            check_map(p->sources[k].head, FIELDS_OF_USERS);
        }
        pack_close(&p);
    }
    close(fd);
    assert_true(checked > 500);
}

static void names_of_inner_posts_are_those_of_posts(void **state)
{
    (void)state;
    assert_true(fields_known(FIELDS_OF_POSTS, SPAN("quoted.author.name")));
    assert_true(fields_known(FIELDS_OF_POSTS, SPAN("reposted.counts.like")));
    assert_false(fields_known(FIELDS_OF_POSTS, SPAN("quoted.quoted.author.nam")));
    assert_false(fields_known(FIELDS_OF_POSTS, SPAN("")));
    assert_false(fields_known(FIELDS_OF_POSTS, SPAN("counts.followers")));
    assert_true(fields_known(FIELDS_OF_USERS, SPAN("counts.followers")));
    assert_false(fields_known(FIELDS_OF_USERS, SPAN("quoted.screen_name")));
}

static void what_was_meant_is_said(void **state)
{
    (void)state;
    assert_string_equal(fields_near(FIELDS_OF_POSTS, SPAN("like")), "counts.like");
    assert_string_equal(fields_near(FIELDS_OF_POSTS, SPAN("likes")), "counts.like");
    assert_string_equal(fields_near(FIELDS_OF_POSTS, SPAN("counts.likes")), "counts.like");
    assert_string_equal(fields_near(FIELDS_OF_POSTS, SPAN("txt")), "text");
    assert_string_equal(fields_near(FIELDS_OF_USERS, SPAN("followers")), "counts.followers");
    assert_null(fields_near(FIELDS_OF_POSTS, SPAN("nothing like it at all")));
}

/* ---- picking ---- */

static const char RECORD[] =
    "{\"schema\":\"xpost/1\",\"id\":\"7\",\"author\":{\"id\":\"9\",\"screen_name\":\"a\",\"name\":null},"
    "\"text\":\"\\\"q\\\" \xc3\xa9\",\"counts\":{\"like\":3,\"view\":null},\"reply_to\":null,"
    "\"media\":[{\"url\":\"u1\",\"type\":\"photo\"},{\"url\":\"u2\",\"type\":\"gif\"}],\"hashtags\":[\"x\"],"
    "\"quoted\":{\"id\":\"8\",\"text\":\"t\"}}";

static void expect_picked(const char *names, const char *expected)
{
    struct fields f = {0};
    struct json_parser *parser = json_parser_new(1 << 20);
    struct json record;
    struct span list = span_of(names), name;
    struct buf out = BUF(4096);
    struct json_w w = json_w(&out);
    while (span_next(&list, ',', &name))
        assert_true(fields_add(&f, name));
    assert_int_equal(json_parse(parser, span_of(RECORD), &record, NULL), E_OK);
    fields_put(&f, record, &w);
    if (!span_is(buf_span(&out), expected))
        fail_msg("%s: %.*s", names, SP(buf_span(&out)));
    buf_free(&out);
    json_parser_free(&parser);
}

static void records_carry_what_was_asked_for(void **state)
{
    (void)state;
    expect_picked("", RECORD);
    expect_picked("text",
                  "{\"schema\":\"xpost/1\",\"id\":\"7\",\"text\":\"\\\"q\\\" \xc3\xa9\"}");
    /* The record's own order, each once, whatever was asked twice. */
    expect_picked(
        "counts.like,author.name,id,counts.like",
        "{\"schema\":\"xpost/1\",\"id\":\"7\",\"author\":{\"name\":null},\"counts\":{\"like\":3}}");
    expect_picked(
        "counts,counts.like",
        "{\"schema\":\"xpost/1\",\"id\":\"7\",\"counts\":{\"like\":3,\"view\":null}}");
    expect_picked(
        "media.url,quoted.text",
        "{\"schema\":\"xpost/1\",\"id\":\"7\",\"media\":[{\"url\":\"u1\"},{\"url\":\"u2\"}],"
        "\"quoted\":{\"text\":\"t\"}}");
    /* Unknown stays unknown; what the site does not have is not there. */
    expect_picked("reply_to.post_id,title",
                  "{\"schema\":\"xpost/1\",\"id\":\"7\",\"reply_to\":null}");
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    struct fields f = {0}, g = {0};
    for (int i = 0; i < FIELDS_MAX; i++)
        assert_true(fields_add(&f, SPAN("text")));
    assert_false(fields_add(&f, SPAN("text")));
    char longest[FIELDS_TEXT_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_false(fields_add(&g, (struct span){longest, sizeof longest}));
    assert_true(fields_add(&g, (struct span){longest, FIELDS_TEXT_MAX}));
    assert_false(fields_add(&g, SPAN("a")));
}

/* ---- leaving out ---- */

static bool taken(unsigned excluded, const char *text)
{
    struct json_parser *parser = json_parser_new(1 << 20);
    struct json post;
    assert_int_equal(json_parse(parser, span_of(text), &post, NULL), E_OK);
    bool is = exclude_takes(excluded, post);
    json_parser_free(&parser);
    return is;
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *post;
        unsigned kinds;
    } rows[] = {
        {"{\"kind\":\"post\",\"reply_to\":null,\"quote_of\":null,\"reposted\":null}", 0},
        {"{\"kind\":\"reply\"}", EXCLUDE_REPLIES},
        {"{\"kind\":\"quote\",\"quote_of\":\"8\"}", EXCLUDE_QUOTES},
        {"{\"kind\":\"quote\",\"quote_of\":\"8\",\"reply_to\":{\"post_id\":\"3\"}}",
         EXCLUDE_QUOTES | EXCLUDE_REPLIES},
        {"{\"kind\":\"post\",\"reply_to\":{\"post_id\":null}}", 0},
        /* What is passed on may be an answer: the repost is none. */
        {"{\"kind\":\"repost\",\"reply_to\":{\"post_id\":\"3\"},\"quote_of\":\"8\"}",
         EXCLUDE_REPOSTS},
        {"{\"kind\":\"reply\",\"reposted_by\":{\"id\":\"5\"}}", EXCLUDE_REPOSTS},
        {"{}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned bit = 1; bit <= EXCLUDE_QUOTES; bit <<= 1)
            if (taken(bit, rows[i].post) != ((rows[i].kinds & bit) != 0))
                fail_msg("row %zu, bit %u", i, bit);
    assert_int_equal(exclude_bit(SPAN("replies")), EXCLUDE_REPLIES);
    assert_int_equal(exclude_bit(SPAN("quotes")), EXCLUDE_QUOTES);
    assert_int_equal(exclude_bit(SPAN("reply")), 0);
}

static void a_record_lacks_what_is_null_in_it(void **state)
{
    (void)state;
    static const struct {
        const char *names, *record, *lacking;
    } rows[] = {
        {"[\"id\"]", "{\"id\":\"5\"}", ""},
        {"[\"id\",\"text\"]", "{\"id\":\"5\",\"text\":null}", "text"},
        {"[\"id\",\"text\"]", "{\"id\":\"5\"}", "text"},
        /* Said to be nothing is something. */
        {"[\"text\",\"counts.like\",\"is_pinned\",\"urls\"]",
         "{\"text\":\"\",\"counts\":{\"like\":0},\"is_pinned\":false,\"urls\":[]}", ""},
        {"[\"counts.like\"]", "{\"counts\":{\"like\":null}}", "counts.like"},
        {"[\"place.name\"]", "{\"place\":null}", "place.name"},
        {"[\"place.name\"]", "{\"place\":\"Bonn\"}", "place.name"},
        /* Of a list each element. */
        {"[\"media.url\"]", "{\"media\":[{\"url\":\"a\"},{\"url\":null}]}", "media.url"},
        {"[\"media.url\"]", "{\"media\":[{\"url\":\"a\"},{\"url\":\"b\"}]}", ""},
        {"[\"media.url\"]", "{\"media\":[]}", ""},
        {"[\"media.url\"]", "{\"media\":null}", "media.url"},
        {"[\"quoted.author.name\"]", "{\"quoted\":{\"author\":{\"name\":\"A\"}}}", ""},
        {"[]", "{}", ""},
    };
    struct json_parser *parser = json_parser_new(1 << 16), *other = json_parser_new(1 << 16);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fields f = {0};
        struct json names, record;
        assert_int_equal(json_parse(parser, span_of(rows[i].names), &names, NULL), E_OK);
        assert_int_equal(json_parse(other, span_of(rows[i].record), &record, NULL), E_OK);
        fields_read(&f, names);
        struct span lacking = fields_lacking(&f, record);
        if (!span_eq(lacking, span_of(rows[i].lacking)))
            fail_msg("%s of %s: lacks '%.*s'", rows[i].names, rows[i].record, SP(lacking));
    }
    json_parser_free(&parser);
    json_parser_free(&other);
}

/* ---- how full they are ---- */

static void add_filled(struct fill *f, struct json_parser *parser, const char *text)
{
    struct json record;
    assert_int_equal(json_parse(parser, span_of(text), &record, NULL), E_OK);
    fill_add(f, record);
}

static void what_is_there_and_not_empty_is_filled(void **state)
{
    (void)state;
    struct json_parser *parser = json_parser_new(1 << 16);
    struct fill f = {.of = FIELDS_OF_POSTS};
    struct buf b = BUF(4096);
    struct json_w w = json_w(&b);
    struct json root;
    double share;
    add_filled(
        &f, parser,
        "{\"text\":\"a\",\"lang\":\"\",\"counts\":{\"like\":0,\"view\":null},\"hashtags\":[],"
        "\"media\":[{},{}],\"quality\":{\"score\":100}}");
    add_filled(&f, parser, "{\"text\":\"\",\"hashtags\":[\"b\"],\"quality\":{\"score\":50}}");
    add_filled(&f, parser, "{\"text\":\"c\",\"quality\":{\"score\":null}}");
    add_filled(&f, parser, "{\"text\":\"d\"}");
    assert_int_equal(f.records, 4);
    assert_int_equal(f.media, 2);
    fill_put(&f, &w);
    assert_int_equal(json_parse(parser, buf_span(&b), &root, NULL), E_OK);
    static const struct {
        const char *path;
        double share;
    } rows[] = {{"score", 0.75},
                {"field_fill.text", 0.75},
                {"field_fill.hashtags", 0.25},
                {"field_fill.media", 0.25},
                {"field_fill.lang", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(json_real(json_path(root, rows[i].path), &share));
        assert_true(share == rows[i].share);
    }
    struct json fills = json_get(root, SPAN("field_fill"));
    assert_true(json_real(json_get(fills, SPAN("counts.like")), &share));
    assert_true(share == 0.25); /* zero is a value */
    assert_true(json_real(json_get(fills, SPAN("counts.view")), &share));
    assert_true(share == 0);
    buf_free(&b);
    json_parser_free(&parser);
}

static void fields_that_are_counted_are_fields_of_records(void **state)
{
    (void)state;
    for (enum fields_of of = FIELDS_OF_POSTS; of <= FIELDS_OF_USERS; of++)
        for (size_t i = 0; fill_names(of)[i]; i++)
            assert_true(fields_known(of, span_of(fill_names(of)[i])));
}

static void of_no_record_nothing_is_said(void **state)
{
    (void)state;
    struct buf b = BUF(200);
    struct json_w w = json_w(&b);
    fill_put(&(struct fill){.of = FIELDS_OF_USERS}, &w);
    assert_true(span_is(buf_span(&b), "{\"records\":0,\"score\":null,\"field_fill\":{}}"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_that_a_map_writes_is_in_the_table),
        cmocka_unit_test(names_of_inner_posts_are_those_of_posts),
        cmocka_unit_test(what_was_meant_is_said),
        cmocka_unit_test(records_carry_what_was_asked_for),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(a_record_lacks_what_is_null_in_it),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(what_is_there_and_not_empty_is_filled),
        cmocka_unit_test(fields_that_are_counted_are_fields_of_records),
        cmocka_unit_test(of_no_record_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

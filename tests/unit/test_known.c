/* Where a list goes over into what is known. */
#include "worker/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MARK "5000\n5000 p5\n4000 p4\n3000 at://did:plc:x/app.bsky.feed.post/3\n1000 p1\n"

/* Posts as letters: n new, k known, o older than the newest known, O such a repost, P pinned and old,
 * p pinned and known, t known but in a thread, u a user. */
static size_t end_of(struct known *k, const char *page)
{
    static struct record records[64];
    struct reading r = {.records = records};
    for (; *page; page++) {
        struct record *rec = &records[r.count++];
        *rec = (struct record){.kind = RECORD_POST, .id = SPAN("other"), .created_at = {6000}};
        if (strchr("kpt", *page))
            *rec = (struct record){.kind = RECORD_POST, .id = SPAN("p4"), .created_at = {4000}};
        if (strchr("oOP", *page))
            rec->created_at.ms = 4500;
        rec->repost = *page == 'O';
        rec->pinned = strchr("Pp", *page) != NULL;
        rec->section = rec->pinned    ? SECTION_PINNED
                       : *page == 't' ? SECTION_THREAD
                                      : SECTION_TIMELINE;
        if (*page == 'u')
            rec->kind = RECORD_USER;
    }
    return known_end(k, &r);
}

static void three_in_a_row_are_the_border(void **state)
{
    (void)state;
    static const struct {
        const char *page;
        size_t end;
    } rows[] = {
        {"nnn", 3},    {"", 0},         {"kkk", 0},    {"nnkkkn", 2},
        {"nnooon", 2}, {"nkonkokn", 4}, /* a thread that goes on: its old posts stand above new ones */
        {"nknkn", 5},  {"kkn", 3},      {"nkk", 3},    {"nOOOn", 5},
        {"pnkkk", 2},  {"Pnnn", 4},     {"nkukuk", 1}, /* users lie between */
        {"ntttn", 5},  {"noko", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct known k;
        known_read(&k, SPAN(MARK));
        size_t end = end_of(&k, rows[i].page);
        if (end != rows[i].end)
            fail_msg("%s: %zu, not %zu", rows[i].page, end, rows[i].end);
    }
}

static void a_row_goes_on_over_pages(void **state)
{
    (void)state;
    struct known k;
    known_read(&k, SPAN(MARK));
    assert_int_equal(end_of(&k, "nnkk"), 4);
    assert_int_equal(end_of(&k, "knn"), 0);
    known_read(&k, SPAN(MARK));
    assert_int_equal(end_of(&k, "nnkk"), 4);
    assert_int_equal(end_of(&k, "nknn"), 4);
}

static void without_a_mark_nothing_is_known(void **state)
{
    (void)state;
    struct known k;
    static const struct span nothing[] = {{NULL, 0}, {"", 0}, {"no number\n1 a\n", 14}};
    for (size_t i = 0; i < 3; i++) {
        known_read(&k, nothing[i]);
        assert_false(k.given);
        assert_int_equal(end_of(&k, "kkkk"), 4);
    }
}

static void what_is_known_is_left_out(void **state)
{
    (void)state;
    struct known k;
    known_read(&k, SPAN(MARK "not a line\n"));
    assert_int_equal(k.newest_ms, 5000);
    assert_int_equal(k.count, 5);
    struct record r = {.kind = RECORD_POST, .id = SPAN("at://did:plc:x/app.bsky.feed.post/3")};
    assert_true(known_has(&k, &r));
    r.id = SPAN("p");
    assert_false(known_has(&k, &r));
    r.created_at.ms = 100; /* unknown, old: an author may date a post as he likes */
    assert_false(known_has(&k, &r));
    r.pinned = true; /* but what is pinned is old, and was there before */
    assert_true(known_has(&k, &r));
    r.kind = RECORD_USER;
    assert_false(known_has(&k, &r));
}

static void more_than_fits_is_no_harm(void **state)
{
    (void)state;
    struct known k;
    struct buf b = BUF(64 * 1024);
    buf_add_text(&b, "5000\n");
    for (int i = 0; i < KNOWN_MAX * 2; i++)
        buf_fmt(&b, "%d p%d\n", 5000 - i, i);
    known_read(&k, buf_span(&b));
    assert_int_equal(k.count, KNOWN_MAX);
    assert_int_equal(end_of(&k, "nkkk"), 1);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_in_a_row_are_the_border),
        cmocka_unit_test(a_row_goes_on_over_pages),
        cmocka_unit_test(without_a_mark_nothing_is_known),
        cmocka_unit_test(what_is_known_is_left_out),
        cmocka_unit_test(more_than_fits_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

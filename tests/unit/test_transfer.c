/* The shape in which stores are moved: canonical form, sums, places. */
#include "store/transfer.h"

#include "store/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static struct moved_row limit(int64_t scope, const char *name, int64_t most)
{
    struct moved_row row = {0};
    row.v[0].n = scope;
    row.v[1].text = span_of(name);
    row.v[2].n = most;
    return row;
}

static void write_row(enum moved_kind kind, const struct moved_row *row, struct buf *out)
{
    struct fault f = {0};
    if (moved_write(kind, row, out, &f))
        fail_msg("%s", f.words);
}

static void every_kind_has_a_shape(void **state)
{
    (void)state;
    for (int k = 0; k < MOVE_KINDS; k++) {
        const struct moved_shape *s = &moved_shapes[k];
        assert_true(s->count > 0 && s->count <= MOVED_FIELDS && s->keys <= s->count);
        for (size_t i = 0; i < s->count; i++)
            assert_int_equal(moved_at((enum moved_kind)k, s->fields[i].name), i);
    }
}

static void the_canonical_form_tells_every_row_apart(void **state)
{
    (void)state;
    struct buf a = BUF(4096), b = BUF(4096);
    struct moved_row one = limit(1, "ab", 23), other = limit(1, "a", 23);
    write_row(MOVE_LIMITS, &one, &a);
    assert_true(span_is(buf_span(&a), "1:12:ab2:231:01:01:01:0"));
    other.v[1].text = SPAN("ab2:23");
    write_row(MOVE_LIMITS, &other, &b);
    assert_false(span_eq(buf_span(&a), buf_span(&b)));
    assert_string_equal(moved_differs(MOVE_LIMITS, buf_span(&a), buf_span(&b)), "name");
    assert_null(moved_differs(MOVE_LIMITS, buf_span(&a), buf_span(&a)));
    struct moved_row add = {0};
    add.v[2].n = -1;
    write_row(MOVE_ADDS, &add, &a);
    assert_true(span_is(buf_span(&a), "0:0:16:ffffffffffffffff1:0"));
    buf_free(&a);
    buf_free(&b);
}

static void bytes_beside_a_row_count_as_what_is_in_them(void **state)
{
    (void)state;
    struct buf frame = BUF(4096), a = BUF(4096);
    struct fault f = {0};
    char path[] = "/tmp/fulmar-transfer-XXXXXX";
    struct moved_row body = {0}, file = {0};
    assert_int_equal(compress_add(&frame, SPAN("abc")), E_OK);
    body.v[2].text = buf_span(&frame);
    write_row(MOVE_BODIES, &body, &a);
    assert_true(
        span_ends(buf_span(&a), SPAN("64:ba7816bf8f01cfea414140de5dae2223b00361a396177a9c"
                                     "b410ff61f20015ad")));
    body.v[2].text.n--;
    assert_int_equal(moved_write(MOVE_BODIES, &body, &a, &f), E_STORE);
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "abc", 3) == 3);
    close(fd);
    file.v[5].text = span_of(path);
    write_row(MOVE_FILES, &file, &a);
    assert_true(span_find(buf_span(&a), SPAN("ba7816bf")) < a.n);
    unlink(path);
    f = (struct fault){0};
    assert_int_equal(moved_write(MOVE_FILES, &file, &a, &f), E_STORE);
    buf_free(&frame);
    buf_free(&a);
}

static void a_sum_knows_no_order_and_counts_what_is_there_twice(void **state)
{
    (void)state;
    struct moved_sum a = {0}, b = {0};
    char one[MOVED_SUM_TEXT], other[MOVED_SUM_TEXT];
    moved_add(&a, SPAN("x"));
    moved_add(&a, SPAN("y"));
    moved_add(&b, SPAN("y"));
    assert_false(moved_same(&a, &b));
    moved_add(&b, SPAN("x"));
    assert_true(moved_same(&a, &b));
    assert_string_equal(moved_sum_text(&a, one), moved_sum_text(&b, other));
    moved_add(&a, SPAN("x"));
    moved_add(&b, SPAN("y"));
    assert_int_equal(a.count, b.count);
    assert_false(moved_same(&a, &b));
}

static void parts_add_up(void **state)
{
    (void)state;
    struct moved_sums *parts = calloc(1, sizeof *parts);
    struct moved_sum whole = {0};
    struct buf text = BUF(4096);
    bool used[MOVED_BUCKETS] = {false};
    size_t kinds = 0;
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        struct moved_row row = limit(1 + i % 2, name, i);
        write_row(MOVE_LIMITS, &row, &text);
        size_t part = moved_bucket(MOVE_LIMITS, &row);
        kinds += !used[part];
        used[part] = true;
        moved_add(&parts->part[part], buf_span(&text));
        moved_add(&whole, buf_span(&text));
    }
    struct moved_sum sum = moved_total(parts);
    assert_true(moved_same(&whole, &sum));
    assert_true(kinds > MOVED_BUCKETS / 2);
    buf_free(&text);
    free(parts);
}

static void a_place_comes_back_as_it_was_noted(void **state)
{
    (void)state;
    struct transfer_mark *m = calloc(1, sizeof *m), *again = calloc(1, sizeof *again);
    struct buf text = BUF(32 * 1024);
    char long_text[9001];
    struct fault f = {0};
    memset(long_text, 'u', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    struct moved_place place = {
        -7, INT64_MAX, SPAN("a b:c\n"), {long_text, sizeof long_text - 2}};
    m->kind = MOVE_URLS;
    assert_int_equal(transfer_mark_place(m, &place, &f), E_OK);
    transfer_place_write(m, &text);
    assert_true(transfer_place_read(buf_span(&text), again));
    assert_int_equal(again->kind, MOVE_URLS);
    assert_int_equal(again->a, -7);
    assert_int_equal(again->b, INT64_MAX);
    assert_string_equal(again->one, m->one);
    assert_string_equal(again->two, m->two);
    assert_false(transfer_place_read(span_cut(buf_span(&text), 0, 30), again));
    assert_false(transfer_place_read(SPAN(""), again));
    place.two.n++;
    assert_int_equal(transfer_mark_place(m, &place, &f), E_TOO_BIG);
    buf_free(&text);
    free(m);
    free(again);
}

static void a_refusal_says_the_way_out(void **state)
{
    (void)state;
    struct fault f = {0};
    assert_int_equal(transfer_refuse(TRANSFER_LEFT, SPAN("redis://a"), &f), E_MOVED);
    assert_non_null(strstr(f.words, "was moved to redis://a"));
    assert_non_null(strstr(f.words, "move it back"));
    assert_non_null(strstr(f.words, "--abandon"));
    f = (struct fault){0};
    assert_int_equal(transfer_refuse(TRANSFER_ARRIVING, SPAN("sqlite:/s"), &f), E_MOVED);
    assert_non_null(strstr(f.words, "from sqlite:/s"));
    assert_non_null(strstr(f.words, "--abandon"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_shape),
        cmocka_unit_test(the_canonical_form_tells_every_row_apart),
        cmocka_unit_test(bytes_beside_a_row_count_as_what_is_in_them),
        cmocka_unit_test(a_sum_knows_no_order_and_counts_what_is_there_twice),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(a_place_comes_back_as_it_was_noted),
        cmocka_unit_test(a_refusal_says_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

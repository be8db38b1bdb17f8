#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    char sender;
    int numbers, texts;
} rows[FRAME_TYPES] = {
#define ROW(name, sender, numbers, texts, size, help) [name] = {sender, numbers, texts},
    FRAME_TABLE(ROW)
#undef ROW
};

static struct frame any_frame(enum frame_type type, unsigned seed)
{
    static char bytes[256];
    struct frame f = {.type = type};
    for (int i = 0; i < rows[type].numbers; i++)
        f.n[i] = (int64_t)seed * 1099511628211 - i;
    for (int i = 0; i < rows[type].texts; i++)
        f.t[i] = (struct span){bytes, (seed + (unsigned)i) % 12};
    return f;
}

static void every_type_survives_the_wire(void **state)
{
    (void)state;
    for (int t = 1; t < FRAME_TYPES; t++)
        for (unsigned seed = 0; seed < 50; seed++) {
            struct buf b = BUF(1 << 20);
            struct frame in = any_frame((enum frame_type)t, seed), out;
            size_t size = 0;
            frame_add(&b, &in);
            assert_int_equal(frame_read(buf_span(&b), rows[t].sender, &out, &size), E_OK);
            assert_int_equal(size, b.n);
            assert_int_equal(out.type, t);
            for (int i = 0; i < rows[t].numbers; i++)
                assert_int_equal(out.n[i], in.n[i]);
            for (int i = 0; i < rows[t].texts; i++)
                assert_true(span_eq(out.t[i], in.t[i]));
            buf_free(&b);
        }
}

static void what_does_not_fit_is_known_before(void **state)
{
    (void)state;
    static char bytes[300];
    struct frame f = {.type = FRAME_PROGRESS, .t = {{bytes, 200}}};
    assert_true(frame_fits(&f));
    f.t[0].n = 251;
    assert_true(frame_fits(&f)); /* with the type and the length exactly 256 */
    f.t[0].n = 252;
    assert_false(frame_fits(&f));
}

static void a_cut_frame_waits_for_the_rest(void **state)
{
    (void)state;
    struct buf b = BUF(1 << 20);
    struct frame in = any_frame(FRAME_RECORDS, 9), out;
    size_t size = 0;
    frame_add(&b, &in);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(frame_read((struct span){b.p, n}, 'w', &out, &size), E_BUSY);
    buf_free(&b);
}

static void the_other_side_may_not_send_it(void **state)
{
    (void)state;
    for (int t = 1; t < FRAME_TYPES; t++) {
        struct buf b = BUF(1 << 20);
        struct frame in = any_frame((enum frame_type)t, 1), out;
        size_t size = 0;
        frame_add(&b, &in);
        assert_int_equal(
            frame_read(buf_span(&b), rows[t].sender == 'n' ? 'w' : 'n', &out, &size),
            E_PROTOCOL);
        buf_free(&b);
    }
}

static void a_length_that_lies_is_refused(void **state)
{
    (void)state;
    struct buf b = BUF(1 << 20);
    struct frame in = any_frame(FRAME_LOG, 11), out;
    size_t size = 0;
    frame_add(&b, &in);
    b.p[3] = 0x7f; /* length above the row's maximum */
    assert_int_equal(frame_read(buf_span(&b), 'w', &out, &size), E_PROTOCOL);
    b.p[3] = 0;
    b.p[FRAME_HEAD + 8] = 0x7f; /* a text longer than its frame */
    assert_int_equal(frame_read(buf_span(&b), 'w', &out, &size), E_PROTOCOL);
    b.p[4] = (char)200; /* no such type */
    assert_int_equal(frame_read(buf_span(&b), 'w', &out, &size), E_PROTOCOL);
    buf_free(&b);
}

static void items_come_back_in_order(void **state)
{
    (void)state;
    struct buf b = BUF(1 << 20);
    char id[16];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "%d", i);
        struct frame_item item = {i % 3, i * 1000, span_of(id), SPAN("{\"a\":1}")};
        frame_add_item(&b, &item);
    }
    struct span rest = buf_span(&b);
    struct frame_item item;
    for (int i = 0; i < 100; i++) {
        int64_t n = 0;
        assert_int_equal(frame_next_item(&rest, &item), E_OK);
        assert_true(span_int(item.id, &n));
        assert_int_equal(n, i);
        assert_int_equal(item.created_ms, i * 1000);
    }
    assert_int_equal(frame_next_item(&rest, &item), E_END);
    rest = (struct span){b.p, b.n - 1};
    for (int i = 0; i < 99; i++)
        assert_int_equal(frame_next_item(&rest, &item), E_OK);
    assert_int_equal(frame_next_item(&rest, &item), E_PROTOCOL);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_survives_the_wire),
        cmocka_unit_test(what_does_not_fit_is_known_before),
        cmocka_unit_test(a_cut_frame_waits_for_the_rest),
        cmocka_unit_test(the_other_side_may_not_send_it),
        cmocka_unit_test(a_length_that_lies_is_refused),
        cmocka_unit_test(items_come_back_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

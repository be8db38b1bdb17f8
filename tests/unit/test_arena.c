/* Arenas. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(64 * 1024 * 1024);
    static char *pieces[2000];
    static size_t sizes[2000];
    uint32_t dice = 1;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 2000; i++) {
            dice = dice * 1664525 + 1013904223;
            sizes[i] = dice >> 8 & (i % 50 == 0 ? 0x1ffff : 0xff);
            pieces[i] = arena_get(a, sizes[i]);
            assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
            assert_true(is_zero(pieces[i], sizes[i]));
            if (sizes[i] > 0)
                memset(pieces[i], (int)(i % 255) + 1, sizes[i]);
        }
        for (size_t i = 0; i < 2000; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal((unsigned char)pieces[i][k], i % 255 + 1);
        arena_reset(a);
    }
    arena_free(&a);
    assert_null(a);
    arena_free(&a);
}

static void limit_holds(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    assert_null(arena_try(a, 1001));
    assert_null(arena_try(a, SIZE_MAX));
    assert_null(arena_try(a, SIZE_MAX - 8));
    size_t n = 0;
    while (arena_try(a, 10))
        n++;
    assert_int_equal(n, 62); /* 16 bytes each */
    assert_null(arena_text(a, SPAN("0123456789")));
    assert_null(arena_keep(a, SPAN("0123456789")).p);
    assert_null(arena_fmt(a, "%d", 123456));
    arena_reset(a);
    assert_non_null(arena_try(a, 992));
    arena_free(&a);
}

static void many_small_pieces_reach_the_limit(void **state)
{
    (void)state;
    struct arena *a = arena_new(8 * 1024 * 1024);
    size_t n = 0;
    while (arena_try(a, 64))
        n++;
    assert_int_equal(n, 8 * 1024 * 1024 / 64);
    arena_free(&a);
}

static void reset_keeps_the_first_block(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024 * 1024);
    char *first = arena_get(a, 100);
    memset(first, 'x', 100);
    assert_non_null(arena_try(a, 500 * 1024));
    arena_reset(a);
    char *again = arena_get(a, 100);
    assert_ptr_equal(first, again);
    assert_true(is_zero(again, 100));
    arena_free(&a);
}

static void large_first_piece_then_small(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024 * 1024);
    for (int round = 0; round < 3; round++) {
        char *large = arena_get(a, 300 * 1024);
        char *small = arena_get(a, 10);
        memset(large, 1, 300 * 1024);
        assert_true(is_zero(small, 10));
        small[0] = 'x';
        arena_reset(a);
    }
    arena_free(&a);
}

static void keeps_and_formats_text(void **state)
{
    (void)state;
    struct arena *a = arena_new(4096);
    char source[] = "hello";
    struct span kept = arena_keep(a, (struct span){source, 5});
    source[0] = 'X';
    assert_true(span_is(kept, "hello"));
    assert_int_equal(kept.p[5], 0);
    assert_string_equal(arena_text(a, SPAN("abc")), "abc");
    assert_string_equal(arena_fmt(a, "%s-%d", "n", 5), "n-5");
    struct span empty = arena_keep(a, SPAN_NONE);
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(limit_holds),
        cmocka_unit_test(many_small_pieces_reach_the_limit),
        cmocka_unit_test(reset_keeps_the_first_block),
        cmocka_unit_test(large_first_piece_then_small),
        cmocka_unit_test(keeps_and_formats_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

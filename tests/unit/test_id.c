/* Identifiers. */
#include "base/id.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t zeros[10];
static const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static void known_values(void **state)
{
    (void)state;
    char id[ID_TEXT];
    id_make(id, "job", (wall){0}, zeros);
    assert_string_equal(id, "job_00000000000000000000000000");
    id_make(id, "job", (wall){(INT64_C(1) << 48) - 1}, ones);
    assert_string_equal(id, "job_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    /* The example of the ULID specification. */
    id_make(id, "job", (wall){1469918176385}, zeros);
    assert_memory_equal(id, "job_01ARYZ6S41", 14);
    const uint8_t counting[10] = {0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf};
    id_make(id, "key", (wall){0}, counting);
    assert_string_equal(id, "key_00000000000123456789ABCDEF");
}

static void sorts_by_time(void **state)
{
    (void)state;
    char before[ID_TEXT], after[ID_TEXT];
    for (int64_t ms = 1; ms < INT64_C(1) << 47; ms = ms * 3 + 1) {
        id_make(before, "job", (wall){ms - 1}, ones);
        id_make(after, "job", (wall){ms}, zeros);
        assert_true(strcmp(before, after) < 0);
    }
}

static void every_random_bit_shows(void **state)
{
    (void)state;
    char base[ID_TEXT], other[ID_TEXT];
    id_make(base, "job", (wall){1}, zeros);
    for (size_t bit = 0; bit < 80; bit++) {
        uint8_t random[10] = {0};
        random[bit / 8] = (uint8_t)(1U << bit % 8);
        id_make(other, "job", (wall){1}, random);
        assert_string_not_equal(base, other);
        assert_true(id_valid(span_of(other), "job"));
    }
}

static void refuses_other_texts(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "job_",
        "job_0000000000000000000000000",
        "job_000000000000000000000000000",
        "key_00000000000000000000000000",
        "job-00000000000000000000000000",
        "job_0000000000000000000000000I",
        "job_0000000000000000000000000u",
        "job_80000000000000000000000000",
        "job_0000000000000000000000000 ",
        "job_0000000000000000000000000'",
    };
    assert_true(id_valid(SPAN("job_01ARZ3NDEKTSV4RRFFQ69G5FAV"), "job"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(id_valid(span_of(bad[i]), "job"));
    assert_false(id_valid(SPAN("job_0000000000000\0000000000000"), "job"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(sorts_by_time),
        cmocka_unit_test(every_random_bit_shows),
        cmocka_unit_test(refuses_other_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

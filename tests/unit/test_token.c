/* The token of an id, digit for digit as scripts of the site compute it. */
#include "base/json.h"
#include "extract/token.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ids_have_their_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *id, *token;
    } rows[] = {
        {"1", "bhi2ay3f28n"},
        {"9", "2vdikqiurk6"},
        {"318309886183791", "14"},
        {"1000000000000000", "353i5ab8p5f"},
        {"1629307668568633344", "3y6mctgwzxo"},
        {"1349129669960257538", "39qeyycx4mx"},
        {"20", "6dq1a2xwd93"},
        {"2096265792845325677", "52xm2q5ch7o"},
    };
    char got[TOKEN_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(token_of_id(span_of(rows[i].id), got));
        assert_string_equal(got, rows[i].token);
    }
}

static void other_texts_have_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",   "nasa", "12a",
                                        "-1", "1.5",  "123456789012345678901"};
    char got[TOKEN_MAX];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(token_of_id(span_of(texts[i]), got));
    assert_false(token_of_id(SPAN("0"), got)); /* nothing but zeros */
}

/* Every vector of a file, as {"vectors":[["id","token"],...]}. */
static void compare_vectors(const char *path, size_t least)
{
    char got[TOKEN_MAX];
    struct buf text = BUF(1 << 20);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    text.n = fread(buf_room(&text, 1 << 20), 1, 1 << 20, f);
    fclose(f);
    struct json_parser *p = json_parser_new(1 << 20);
    struct json root, list;
    assert_int_equal(json_parse(p, buf_span(&text), &root, NULL), E_OK);
    list = json_get(root, SPAN("vectors"));
    assert_true(json_count(list) >= least);
    for (size_t i = 0; i < json_count(list); i++) {
        struct span id = SPAN_NONE, token = SPAN_NONE;
        assert_true(json_text(json_at(json_at(list, i), 0), &id) &&
                    json_text(json_at(json_at(list, i), 1), &token));
        assert_true(token_of_id(id, got));
        if (!span_is(token, got))
            fail_msg("%.*s: wanted %.*s, got %s", SP(id), SP(token), got);
    }
    json_parser_free(&p);
    buf_free(&text);
}

/* Computed by tests/data/make.py, which has an arithmetic of its own: ids over the whole range, and those next
 * to where the number of digits changes. */
static void own_vectors(void **state)
{
    (void)state;
    compare_vectors("tests/data/shapes/syndication/token_vectors.json", 200);
}

static void recorded_vectors(void **state)
{
    (void)state;
    const char *where = getenv("FULMAR_FIXTURES");
    char path[1024];
    snprintf(path, sizeof path, "%s/syndication/token_vectors.json",
             where ? where : "../shared/fixtures/x");
    if (access(path, R_OK) != 0) {
        printf("skipped: no vectors at %s\n", path);
        skip();
    }
    compare_vectors(path, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_their_tokens),
        cmocka_unit_test(other_texts_have_none),
        cmocka_unit_test(own_vectors),
        cmocka_unit_test(recorded_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

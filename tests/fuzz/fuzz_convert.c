/* Every conversion on the same bytes, as a JSON value and as a text of a document. The first line is the
 * argument, the second the words of a label or table, the rest the value. */
#include "base/need.h"
#include "base/text.h"
#include "extract/convert.h"

#include <stdlib.h>

enum { WORDS = 3, VALUE_BYTES = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena *arena;
static struct json_parser *parser;

static struct span line_of(struct span *rest)
{
    size_t end = span_find_char(*rest, '\n');
    struct span line = span_cut(*rest, 0, end);
    *rest = span_cut(*rest, end + 1, rest->n);
    return line;
}

/* What a record may hold: text that is UTF-8, numbers that keep their promise. */
static void check(enum conversion as, struct value v)
{
    if (v.kind == VALUE_TEXT)
        need(v.text.n == 0 || v.text.p);
    if (as == CONV_COUNT && v.kind == VALUE_INT)
        need(v.number >= 0);
    if (as == CONV_NOT_EMPTY && v.kind == VALUE_TEXT)
        need(v.text.n > 0);
    if (as == CONV_ID && v.kind == VALUE_TEXT)
        for (size_t i = 0; i < v.text.n; i++)
            need(v.text.p[i] >= '0' && v.text.p[i] <= '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct span words[WORDS];
    struct json value = JSON_MISSING;
    wall t;
    if (!arena) {
        arena = arena_new(16 * 1024 * 1024);
        parser = json_parser_new(VALUE_BYTES);
    }
    if (size > VALUE_BYTES)
        return 0;
    struct span argument = line_of(&rest), list = line_of(&rest);
    for (size_t i = 0; i < WORDS; i++)
        if (!span_next(&list, ' ', &words[i]))
            words[i] = SPAN("like");
    const struct conv_row rows[] = {{words[0], words[1]}, {words[2], SPAN_NONE}};
    const struct conv_table table = {rows, 2, size & 1};
    struct conv_extra extra = {.argument = argument,
                               .table = &table,
                               .take = words[0],
                               .rank = words[1],
                               .where = words[2],
                               .equals = argument,
                               .words = words,
                               .among = words,
                               .word_count = 1,
                               .among_count = WORDS,
                               .absent = (size & 2) ? 0 : -1,
                               .strip = words,
                               .strip64 = words + 1,
                               .hosts = words,
                               .strip_count = 2,
                               .strip64_count = 1,
                               .host_count = 1,
                               .without_query = size & 4};
    bool parsed = json_parse(parser, rest, &value, NULL) == E_OK;
    for (int as = 0; as < CONV_COUNT_OF; as++) {
        arena_reset(arena);
        if (parsed)
            check((enum conversion)as, convert((enum conversion)as, &extra, value, arena));
        check((enum conversion)as, convert_text((enum conversion)as, &extra, rest, arena));
    }
    (void)convert_snowflake(rest, &t);
    return 0;
}

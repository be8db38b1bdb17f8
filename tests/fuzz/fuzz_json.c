/* Any bytes as JSON: no crash, what is accepted survives a round trip, and the two scanners
 * agree on what JSON is. */
#include "base/json.h"
#include "base/jsonscan.h"
#include "base/need.h"
#include "base/text.h"

#include <stdlib.h>

enum { MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Visits every value through the public face; returns how many there are. */
static size_t walk(struct json v, int depth)
{
    size_t count = 1;
    struct span text;
    need(depth <= JSON_DEPTH_MOST + 1);
    if (json_text(v, &text))
        need(text_valid(text));
    size_t children = 0;
    for (struct json_iter i = json_each(v); json_next(&i); children++) {
        if (i.object) {
            need(text_valid(i.key));
            need(json_find(v, i.key, json_type(i.value)).doc);
            need(json_get(v, i.key).doc);
        }
        /* Quadratic by nature: enough of it for the fuzzer. */
        if (children < 16 && !i.object)
            need(json_at(v, children).at == i.value.at);
        count += walk(i.value, depth + 1);
    }
    need(children == json_count(v));
    return count;
}

static void check_round_trip(struct json root)
{
    struct buf first = BUF(16 * MAX), second = BUF(16 * MAX);
    struct json_parser *again = json_parser_new(16 * MAX);
    json_add_raw(&first, root);
    need(!first.failed);
    struct json copy;
    need(json_parse(again, buf_span(&first), &copy, NULL) == E_OK);
    need(walk(root, 1) == walk(copy, 1));
    json_add_raw(&second, copy);
    need(span_eq(buf_span(&first), buf_span(&second)));
    json_parser_free(&again);
    buf_free(&first);
    buf_free(&second);
}

static void check_scan(const uint8_t *data, size_t size, err parsed, const struct fault *f)
{
    char *copy = malloc(size + 1);
    size_t mends;
    struct fault why = {0};
    need(copy);
    memcpy(copy, data, size);
    err scanned = jsonscan_mend(copy, size, &mends, &why);
    if (parsed == E_OK)
        need(scanned == E_OK || scanned == E_TOO_BIG); /* an empty bracket on level 65 */
    else if (scanned == E_OK)
        need(strstr(f->words, "number")); /* too large even for a double */
    else
        need(scanned == parsed);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_parser *p;
    if (!p)
        p = json_parser_new(MAX);
    if (size == 0 || size > MAX)
        return 0;
    struct json root;
    struct fault f = {0};
    struct span text = {(const char *)data, size};
    err e = json_parse(p, text, &root, &f);
    if (!span_starts(text, SPAN("\xef\xbb\xbf")))
        check_scan(data, size, e, &f);
    if (e == E_OK)
        check_round_trip(root);
    return 0;
}

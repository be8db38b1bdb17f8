/* Bytes of a page through the reader with the real pack: the first byte chooses the operation, the status and
 * whether it is a thread, the rest is the answer. FULMAR_SITES names the site packs (default sites). */
#include "base/json.h"
#include "base/need.h"

#include "../lib/reading.h"

enum { BODY_BYTES = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct operation ops[] = {
        {.name = {"UserTweets", 10}, .role = OP_TIMELINE},
        {.name = {"UserByScreenName", 16}, .role = OP_USER},
        {.name = {"TweetResultByRestId", 19}, .role = OP_POST},
        {.name = {"SearchTimeline", 14}, .role = OP_TIMELINE, .order = ORDER_IDS},
    };
    static const int statuses[] = {200, 403, 429, 500};
    struct reading r;
    struct json root;
    if (!pack)
        open_reading("x", BODY_BYTES);
    if (size == 0)
        return 0;
    struct span body = {(const char *)data + 1, size - 1};
    arena_reset(arena);
    reader_focus(reader, data[0] & 16 ? SPAN("20") : SPAN_NONE);
    err e = reader_answer(reader, &ops[(data[0] & 1) | (data[0] >> 2 & 2)],
                          statuses[data[0] >> 1 & 3], SPAN_NONE, body, (wall){1786093200000},
                          arena, &r, NULL);
    if (e)
        return 0;
    /* Whatever came in, what goes out is JSON, with an id where one is promised. */
    for (size_t i = 0; i < r.count; i++) {
        need(json_parse(parser, r.records[i].json, &root, NULL) == E_OK);
        need(r.records[i].kind == RECORD_UNAVAILABLE || r.records[i].kind == RECORD_REJECTED ||
             r.records[i].id.n > 0);
    }
    reader_page_sign(pack, body, 0, body);
    return 0;
}

/* Bytes of a page or a feed through every other source of the real pack: the first byte chooses the
 * source (its low four bits) and the status, the rest is the body. FULMAR_SITES names the site packs (default sites). */
#include "base/json.h"
#include "base/need.h"
#include "extract/format.h"

#include "../lib/reading.h"

enum { BODY_BYTES = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Formats of times and numbers on the same bytes: no answer is fine, a crash is not. */
static void formats(struct span text)
{
    wall t = {0};
    int64_t n = 0;
    double real = 0;
    if (format_time(SPAN("%b %d, %Y · %I:%M %p %z"), text, &t) || format_time(text, text, &t))
        need(t.ms > 0 || t.ms <= 0);
    if (format_count(text, true, &n))
        need(n >= 0);
    if (format_percent(text, &real))
        need(real >= 0 && real <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sources[] = {"nitter_timeline",
                                          "nitter_profile",
                                          "nitter_feed",
                                          "tweet_result",
                                          "timeline_profile",
                                          "oembed",
                                          "dom",
                                          "dom_profile",
                                          "dom_thread",
                                          "nitter_status",
                                          "nitter_search_people",
                                          "ssr",
                                          "nitter_search_feed",
                                          "nitter_list",
                                          "nitter_hashtag_media",
                                          "nitter_replies"};
    static const int statuses[] = {200, 404, 429, 500};
    struct reading r;
    struct json root;
    if (!pack)
        open_reading("x", BODY_BYTES);
    if (size == 0)
        return 0;
    struct span body = {(const char *)data + 1, size - 1};
    arena_reset(arena);
    formats(body);
    reader_focus(reader, (data[0] & 15) == 8 ? SPAN("2063561603797745664") : SPAN_NONE);
    err e = reader_document(reader, span_of(sources[data[0] & 15]), statuses[data[0] >> 4 & 3],
                            SPAN_NONE, body, (wall){1786093200000}, arena, &r, NULL);
    if (e)
        return 0;
    /* Whatever came in, what goes out is JSON, with an id where one is promised. */
    for (size_t i = 0; i < r.count; i++) {
        need(json_parse(parser, r.records[i].json, &root, NULL) == E_OK);
        need(r.records[i].kind == RECORD_UNAVAILABLE || r.records[i].kind == RECORD_REJECTED ||
             r.records[i].id.n > 0);
    }
    return 0;
}

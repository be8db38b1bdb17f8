/* What a site says about media: ranges never lead outside of a file, and no record makes a URL outside of
 * the pack's places. */
#include "base/need.h"
#include "core/filetype.h"
#include "extract/media.h"
#include "wire/range.h"

static const struct span places[] = {{"https://a.test/m/", 17}, {"https://*.{host}/", 17}};
static const struct span hosts[] = {{"a.test", 6}, {"*.{host}", 8}};
static const struct span tries[] = {
    {"{stem}?format={format}&name=orig", 32}, {"{url}", 5}, {"https://a.test/m/{key}", 22}};
static const struct span types[] = {{"image/jpeg", 10}};
static const struct media_rule rule = {.kind = {"photo", 5},
                                       .places = places,
                                       .hosts = hosts,
                                       .place_count = 2,
                                       .tries = tries,
                                       .try_count = 3,
                                       .variants = {"video/mp4", 9},
                                       .types = types,
                                       .type_count = 1,
                                       .bytes_max = 1000};

static void try_ranges(struct span text, int64_t size)
{
    static const int status[] = {200, 206, 416, 404};
    int64_t from = -1, count = -1, total = -1;
    if (range_read(text, size, &from, &count) == RANGE_PART)
        need(from >= 0 && count > 0 && from < size && count <= size - from);
    for (size_t i = 0; i < 4; i++)
        if (range_judge(status[i], text, size, &total) == RANGE_REST)
            need(status[i] == 206 && (total == -1 || total >= size));
}

static void try_record(struct span text)
{
    struct json media;
    struct span urls[MEDIA_URLS_MAX];
    struct json_parser *p = json_parser_new(65536);
    struct arena *a = arena_new(1 << 20);
    size_t n = json_parse(p, text, &media, NULL)
                   ? 0
                   : media_urls(&rule, media, SPAN("b.test"), a, urls);
    need(n <= MEDIA_URLS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct span origin = media_origin(urls[i]);
        need(media_allows(&rule, urls[i], SPAN("b.test")));
        need(span_starts(urls[i], places[0]) || span_ends(origin, SPAN(".b.test")) ||
             span_ends(origin, SPAN(".B.TEST")) ||
             span_eq_nocase(span_cut(origin, origin.n - 7, 7), SPAN(".b.test")));
        need(!memchr(urls[i].p, '\n', urls[i].n) && !memchr(urls[i].p, '\0', urls[i].n));
    }
    arena_free(&a);
    json_parser_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct span all = {(const char *)bytes, n};
    try_ranges(all, n ? bytes[0] * 10 : 0);
    try_record(all);
    const struct filetype *t = filetype_find(all);
    if (t)
        (void)filetype_fits(t, all);
    return 0;
}

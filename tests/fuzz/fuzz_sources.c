/* Answers of the sites that need no browser, through their sources: the first byte chooses the pack and
 * the source, the second the status, the rest is the body. FULMAR_SITES names the site packs (default
 * sites). */
#include "base/json.h"
#include "base/need.h"
#include "extract/reader.h"

#include "../lib/pack.h"

enum { BODY_BYTES = 1024 * 1024, PACKS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[PACKS] = {"bluesky", "mastodon", "generic-feed"};
static struct pack *packs[PACKS];
static struct reader *readers[PACKS];
static struct arena *arena;
static struct json_parser *parser;

static void set_up(void)
{
    for (int i = 0; i < PACKS; i++) {
        packs[i] = open_site(names[i]);
        readers[i] = reader_new(packs[i], BODY_BYTES);
    }
    arena = arena_new(64 * 1024 * 1024);
    parser = json_parser_new(4 * 1024 * 1024);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        int pack;
        const char *source;
    } rows[] = {{0, "author_feed"}, {0, "profile"}, {0, "search"},    {0, "thread"},
                {0, "followers"},   {1, "account"}, {1, "statuses"},  {1, "search"},
                {1, "status"},      {1, "context"}, {1, "followers"}, {2, "feed"}};
    static const int statuses[] = {200, 400, 404, 429};
    static const char *const headers[] = {
        "{}", "{\"link\":\"<https://a.test/x?max_id=1>; rel=\\\"next\\\"\"}",
        "{\"retry-after\":\"7\"}", "{\"link\":\"<<>;rel=\"}"};
    struct reading r;
    struct json root;
    if (!arena)
        set_up();
    if (size < 2)
        return 0;
    size_t row = data[0] % (sizeof rows / sizeof rows[0]);
    struct span body = {(const char *)data + 2, size - 2};
    arena_reset(arena);
    err e = reader_document(readers[rows[row].pack], span_of(rows[row].source),
                            statuses[data[1] & 3], span_of(headers[data[1] >> 2 & 3]), body,
                            (wall){1786093200000}, arena, &r, NULL);
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

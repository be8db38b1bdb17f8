/* Bytes as a message of what watches a page, and the HTML in it through the source that reads it.
 * FULMAR_SITES names the site packs (default sites). */
#include "base/need.h"
#include "extract/shown.h"

#include "../lib/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shown s = {.number = -1};
    struct reading r;
    struct fault f = {0};
    if (!pack)
        open_reading("x", SHOWN_HTML_MAX);
    arena_reset(arena);
    if (shown_read(parser, (struct span){(const char *)data, size}, &s, &f)) {
        need(s.number == -1 && f.words[0]);
        return 0;
    }
    need(s.number >= 1 && s.html.n <= SHOWN_HTML_MAX);
    if (s.html.n && !reader_document(reader, s.guest ? SPAN("dom") : SPAN("dom_profile"), 200,
                                     SPAN_NONE, s.html, (wall){1786093200000}, arena, &r, &f))
        need(r.posts + r.users + r.unavailable + r.rejected >= r.count);
    return 0;
}

/* What comes from pages and files on the way into evidence and out of it: URLs, base64 of pictures, zstd
 * frames, text for a WARC. Nothing grows past its limit, and what was written is read back. */
#include "base/base64.h"
#include "base/need.h"
#include "core/evidence.h"
#include "store/compress.h"
#include "wire/warc.h"

#include <stddef.h>
#include <stdint.h>

enum { MOST = 1 << 20 };

static void url(struct span text)
{
    struct buf once = BUF(MOST), again = BUF(MOST);
    evidence_url(&once, text);
    evidence_url(&again, buf_span(&once));
    if (span_find(text, SPAN("://")) == text.n && !span_starts(text, SPAN("//")))
        need(span_eq(buf_span(&once), buf_span(&again))); /* what is clean stays as it is */
    need(span_find_char(buf_span(&once), '#') == once.n);
    buf_free(&once);
    buf_free(&again);
}

static void frame(struct span bytes)
{
    struct buf pressed = BUF(MOST), back = BUF(MOST);
    if (compress_take(&back, bytes, MOST / 2) == E_OK)
        need(back.n <= MOST / 2);
    buf_clear(&back);
    if (compress_add(&pressed, bytes) == E_OK) {
        need(compress_take(&back, buf_span(&pressed), bytes.n) == E_OK);
        need(span_eq(buf_span(&back), bytes));
    }
    buf_free(&pressed);
    buf_free(&back);
}

static void head(struct span text)
{
    struct buf out = BUF(MOST);
    struct warc_record r = {.uri = text, .content_type = text, .file_name = text};
    warc_add(&out, &r);
    struct span rest = buf_span(&out), line;
    size_t lines = 0;
    while (span_next(&rest, '\n', &line))
        lines++;
    need(lines == 8 + 3 - (text.n ? 0 : 3));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data, size > 65536 ? 65536 : size};
    struct buf plain = BUF(MOST);
    bool whole = base64_add_plain(&plain, input);
    need(whole ? plain.n <= input.n / 4 * 3 : plain.n == 0);
    buf_free(&plain);
    (void)evidence_header_kept(input);
    url(input);
    frame(input);
    head(input);
    return 0;
}

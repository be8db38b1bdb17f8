/* The reader of event streams: any bytes, in two different cuts, must give the same frames. */
#include "base/need.h"
#include "wire/sse.h"

struct sum {
    uint64_t hash;
    int64_t count;
};

static void on_event(void *ctx, int64_t id, struct span event, struct span data)
{
    struct sum *s = ctx;
    s->count++;
    s->hash = span_hash(data, span_hash(event, s->hash + (uint64_t)id));
}

static err read_in_pieces(struct span all, size_t piece, struct sum *out)
{
    struct sse_reader r = sse_reader(512);
    err e = E_OK;
    for (size_t at = 0; at < all.n && !e; at += piece)
        e = sse_read(&r, span_cut(all, at, piece), on_event, out);
    sse_reader_fini(&r);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct span all = {(const char *)bytes, n};
    struct sum whole = {0}, cut = {0};
    size_t piece = n ? bytes[0] % 7U + 1U : 1;
    err a = read_in_pieces(all, n ? n : 1, &whole);
    err b = read_in_pieces(all, piece, &cut);
    need(a == b && whole.count == cut.count && whole.hash == cut.hash);
    return 0;
}

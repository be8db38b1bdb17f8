#include "files.h"

#include "model.h"

enum { LARGE_BYTES = 3 * 1024 * 1024, PAGE_BYTES = 2048 };

static const char *const names[] = {
#define FILE_NAME(name, what) #name,
    FILE_OUTCOMES(FILE_NAME)
#undef FILE_NAME
};

const char *files_outcome(enum file_outcome o)
{
    return names[o];
}

/* Of a hundred, so many of each. */
static enum file_outcome draw(uint64_t key)
{
    static const struct {
        unsigned below;
        enum file_outcome outcome;
    } shares[] = {{5, FILE_missing}, {10, FILE_no_orig},  {14, FILE_too_large},
                  {17, FILE_html},   {20, FILE_pretends}, {27, FILE_cut},
                  {29, FILE_slow},   {32, FILE_limited}};
    unsigned of = (unsigned)(model_mix(key, 0x0ffe, 1) % 100);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        if (of < shares[i].below)
            return shares[i].outcome;
    return FILE_fine;
}

static bool full_size(struct span name)
{
    return span_is(name, "orig") || span_is(name, "4096x4096") || span_is(name, "large");
}

static void find_photo(struct span path, struct span format, struct span name, uint64_t seed,
                       struct practice_file *out)
{
    struct span stem = span_cut(path, 0, span_find_char(path, '.'));
    uint64_t key = span_hash(stem, seed);
    out->outcome = full_size(name) ? draw(key) : FILE_fine;
    if (out->outcome == FILE_no_orig && !span_is(name, "orig"))
        out->outcome = FILE_fine;
    /* Too large, or no picture, in its full size only. */
    bool only_orig = out->outcome == FILE_too_large || out->outcome == FILE_html;
    if (only_orig && !span_is(name, "orig"))
        out->outcome = FILE_fine;
    bool png = span_is(format, "png") || span_ends(path, SPAN(".png"));
    out->type = png ? "image/png" : "image/jpeg";
    out->key = span_hash(name, key);
    out->bytes = 2000 + (size_t)(model_mix(out->key, 1, 1) % 40000);
}

static void find_video(struct span path, uint64_t seed, struct practice_file *out)
{
    uint64_t key = span_hash(path, seed);
    out->outcome = draw(key);
    if (out->outcome == FILE_no_orig)
        out->outcome = FILE_missing;
    out->type = "video/mp4";
    out->key = key;
    out->bytes = 100000 + (size_t)(model_mix(key, 2, 2) % 600000);
}

bool files_find(struct span path, struct span format, struct span name, uint64_t seed,
                struct practice_file *out)
{
    bool video = span_starts(path, SPAN("/amplify_video/")) ||
                 span_starts(path, SPAN("/ext_tw_video/")) ||
                 span_starts(path, SPAN("/tweet_video/"));
    *out = (struct practice_file){0};
    if (span_starts(path, SPAN("/media/")))
        find_photo(path, format, name, seed, out);
    else if (video && span_ends(path, SPAN(".mp4")))
        find_video(path, seed, out);
    else
        return false;
    if (out->outcome == FILE_too_large)
        out->bytes = LARGE_BYTES;
    if (out->outcome == FILE_html || out->outcome == FILE_pretends)
        out->bytes = PAGE_BYTES;
    if (out->outcome == FILE_html)
        out->type = "text/html; charset=utf-8";
    return true;
}

static struct span front_of(const struct practice_file *file)
{
    if (file->outcome == FILE_html || file->outcome == FILE_pretends)
        return SPAN("<!doctype html><title>Sorry</title><p>Something went wrong.</p>");
    if (strcmp(file->type, "image/png") == 0)
        return (struct span){"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16};
    if (strcmp(file->type, "video/mp4") == 0)
        return (struct span){"\0\0\0\x18"
                             "ftypmp42\0\0\0\0mp42isom",
                             24};
    return (struct span){"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20};
}

void files_add(const struct practice_file *file, struct buf *out)
{
    struct span front = front_of(file);
    buf_add(out, front);
    for (size_t n = front.n; n < file->bytes; n += 8) {
        uint64_t word = model_mix(file->key, n, 7);
        size_t left = file->bytes - n;
        buf_add(out, (struct span){(const char *)&word, left < 8 ? left : 8});
    }
}

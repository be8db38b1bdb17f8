#include "core/filetype.h"

/* Bytes at an offset, and for containers a second place that says which kind it is. */
struct sign {
    size_t at;
    struct span bytes;
};

static const struct row {
    struct filetype type;
    struct sign first, second;
} rows[] = {
    {{"image/jpeg", "jpg"}, {0, {"\xff\xd8\xff", 3}}, {0, {NULL, 0}}},
    {{"image/png", "png"}, {0, {"\x89PNG\r\n\x1a\n", 8}}, {0, {NULL, 0}}},
    {{"image/gif", "gif"}, {0, {"GIF8", 4}}, {5, {"a", 1}}},
    {{"image/webp", "webp"}, {0, {"RIFF", 4}}, {8, {"WEBP", 4}}},
    {{"video/mp4", "mp4"}, {4, {"ftyp", 4}}, {0, {NULL, 0}}},
    {{"video/webm", "webm"}, {0, {"\x1a\x45\xdf\xa3", 4}}, {0, {NULL, 0}}},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const struct filetype *filetype_find(struct span mime)
{
    struct span name = span_trim(span_cut(mime, 0, span_find_char(mime, ';')));
    for (size_t i = 0; i < ROWS; i++)
        if (span_eq_nocase(name, span_of(rows[i].type.mime)))
            return &rows[i].type;
    return NULL;
}

static bool sign_fits(const struct sign *s, struct span front)
{
    return span_eq(span_cut(front, s->at, s->bytes.n), s->bytes);
}

bool filetype_fits(const struct filetype *t, struct span front)
{
    const struct row *r = (const struct row *)(const void *)t;
    return sign_fits(&r->first, front) && (!r->second.bytes.n || sign_fits(&r->second, front));
}

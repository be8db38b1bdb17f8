#include "wire/frame.h"

#include "base/need.h"

struct frame_row {
    const char *name;
    char sender;
    uint8_t numbers, texts;
    size_t size_max;
};

static const struct frame_row rows[FRAME_TYPES] = {[FRAME_NONE] = {"FRAME_NONE", 0, 0, 0, 0},
#define FRAME_ROW(name, sender, numbers, texts, size, help)                                    \
    [name] = {#name, sender, numbers, texts, size},
                                                   FRAME_TABLE(FRAME_ROW)
#undef FRAME_ROW
};

static void add_u32(struct buf *out, uint32_t v)
{
    char b[4] = {(char)(v & 0xff), (char)(v >> 8 & 0xff), (char)(v >> 16 & 0xff),
                 (char)(v >> 24 & 0xff)};
    buf_add(out, (struct span){b, sizeof b});
}

static void add_i64(struct buf *out, int64_t v)
{
    uint64_t u = (uint64_t)v;
    add_u32(out, (uint32_t)(u & 0xffffffffu));
    add_u32(out, (uint32_t)(u >> 32));
}

static void add_text(struct buf *out, struct span s)
{
    need(s.n <= UINT32_MAX);
    add_u32(out, (uint32_t)s.n);
    buf_add(out, s);
}

static bool take_u32(struct span *rest, uint32_t *out)
{
    if (rest->n < 4)
        return false;
    const unsigned char *p = (const unsigned char *)rest->p;
    *out = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    rest->p += 4;
    rest->n -= 4;
    return true;
}

static bool take_i64(struct span *rest, int64_t *out)
{
    uint32_t low = 0, high = 0;
    if (!take_u32(rest, &low) || !take_u32(rest, &high))
        return false;
    *out = (int64_t)((uint64_t)high << 32 | low);
    return true;
}

static bool take_text(struct span *rest, struct span *out)
{
    uint32_t n = 0;
    if (!take_u32(rest, &n) || rest->n < n)
        return false;
    *out = (struct span){rest->p, n};
    rest->p += n;
    rest->n -= n;
    return true;
}

static size_t size_of(const struct frame *f)
{
    need(f->type > FRAME_NONE && f->type < FRAME_TYPES);
    size_t size = 1 + (size_t)rows[f->type].numbers * 8;
    for (size_t i = 0; i < rows[f->type].texts; i++)
        size += 4 + f->t[i].n;
    return size;
}

bool frame_fits(const struct frame *f)
{
    return size_of(f) <= rows[f->type].size_max;
}

void frame_add(struct buf *out, const struct frame *f)
{
    const struct frame_row *row = &rows[f->type];
    size_t size = size_of(f);
    need(size <= row->size_max);
    add_u32(out, (uint32_t)size);
    buf_add_char(out, (char)f->type);
    for (size_t i = 0; i < row->numbers; i++)
        add_i64(out, f->n[i]);
    for (size_t i = 0; i < row->texts; i++)
        add_text(out, f->t[i]);
}

err frame_read(struct span bytes, char sender, struct frame *out, size_t *out_size)
{
    struct span rest = bytes;
    uint32_t size = 0;
    if (bytes.n < FRAME_HEAD)
        return E_BUSY;
    (void)take_u32(&rest, &size);
    unsigned type = (unsigned char)rest.p[0];
    if (type == FRAME_NONE || type >= FRAME_TYPES)
        return E_PROTOCOL;
    const struct frame_row *row = &rows[type];
    if (row->sender != sender || size > row->size_max || size < 1 + (size_t)row->numbers * 8)
        return E_PROTOCOL;
    if (rest.n < size)
        return E_BUSY;
    rest = (struct span){rest.p + 1, size - 1};
    struct frame f = {.type = (enum frame_type)type};
    for (size_t i = 0; i < row->numbers; i++)
        if (!take_i64(&rest, &f.n[i]))
            return E_PROTOCOL;
    for (size_t i = 0; i < row->texts; i++)
        if (!take_text(&rest, &f.t[i]))
            return E_PROTOCOL;
    if (rest.n)
        return E_PROTOCOL;
    *out = f;
    *out_size = (size_t)size + 4;
    return E_OK;
}

void frame_add_item(struct buf *out, const struct frame_item *i)
{
    buf_add_char(out, (char)i->kind);
    add_i64(out, i->created_ms);
    add_text(out, i->id);
    add_text(out, i->json);
}

err frame_next_item(struct span *rest, struct frame_item *out)
{
    struct span at = *rest;
    struct frame_item i = {0};
    if (!at.n)
        return E_END;
    i.kind = (unsigned char)at.p[0];
    at.p++;
    at.n--;
    if (!take_i64(&at, &i.created_ms) || !take_text(&at, &i.id) || !take_text(&at, &i.json))
        return E_PROTOCOL;
    *rest = at;
    *out = i;
    return E_OK;
}

#include "worker/conflict.h"

#include "wire/frame.h"

enum { SLOTS = 16384, LINE_MAX = 16 * 1024 }; /* SLOTS: two for each post */
_Static_assert(CONFLICT_POSTS <= UINT16_MAX && CONFLICT_POSTS * 2 <= SLOTS, "a place for each");

/* The post's place: its own, or the free one it would get. 0 stands for a free slot. */
static size_t place_of(const struct conflict_book *b, struct span id, uint64_t *out_hash)
{
    uint64_t hash = span_hash(id, 0) | 1;
    size_t at = (size_t)(hash >> 1) & (SLOTS - 1);
    while (b->ids[at] && b->ids[at] != hash)
        at = (at + 1) & (SLOTS - 1);
    *out_hash = hash;
    return at;
}

void conflict_keep(struct conflict_book *b, struct arena *a, struct json_parser *parser,
                   const struct record *rec)
{
    struct json root;
    uint64_t hash = 0;
    if (b->used >= CONFLICT_POSTS || json_parse(parser, rec->json, &root, NULL))
        return;
    if (!b->sides) {
        b->sides = arena_get(a, CONFLICT_POSTS * sizeof *b->sides);
        b->ids = arena_get(a, SLOTS * sizeof *b->ids);
        b->at = arena_get(a, SLOTS * sizeof *b->at);
    }
    size_t slot = place_of(b, rec->id, &hash);
    if (b->ids[slot] || !merge_read(root, a, &b->sides[b->used]))
        return;
    b->ids[slot] = hash;
    b->at[slot] = (uint16_t)b->used++;
}

static void put_values(struct json_w *w, enum merge_field f, const struct merge_side *first,
                       const struct merge_side *second)
{
    bool same = span_eq(first->source, second->source);
    struct buf name = BUF(200);
    buf_fmt(&name, "%.*s%s", SP(span_cut(second->source, 0, 64)), same ? "#2" : "");
    json_key(w, "values");
    json_open(w);
    json_key_span(w, first->source);
    json_put_text(w, first->value[f]);
    json_key_span(w, buf_span(&name));
    json_put_text(w, second->value[f]);
    json_close(w);
    json_kv_text(w, "kept", first->source);
    json_kv_text(w, "by_rule", merge_pick(f, first, second) ? buf_span(&name) : first->source);
    buf_free(&name);
}

static void add_item(struct buf *out, const struct record *rec, enum merge_field f,
                     const struct merge_side *first, const struct merge_side *second)
{
    struct buf line = BUF(LINE_MAX), name = BUF(300);
    struct json_w w = json_w(&line);
    buf_fmt(&name, "%.*s %s", SP(span_cut(rec->id, 0, 200)), merge_field_name(f));
    json_open(&w);
    json_kv_cstr(&w, "schema", "xconflict/1");
    json_kv_text(&w, "id", rec->id);
    json_kv_cstr(&w, "field", merge_field_name(f));
    put_values(&w, f, first, second);
    json_close(&w);
    struct frame_item item = {(int)RECORD_CONFLICT, rec->created_at.ms, buf_span(&name),
                              buf_span(&line)};
    if (!line.failed)
        frame_add_item(out, &item);
    buf_free(&line);
    buf_free(&name);
}

size_t conflict_find(struct conflict_book *b, struct arena *a, struct json_parser *parser,
                     const struct record *rec, struct buf *out_items)
{
    struct merge_side second;
    struct json root;
    uint64_t hash = 0;
    size_t found = 0;
    if (!b->sides || b->found >= CONFLICTS_MAX || json_parse(parser, rec->json, &root, NULL))
        return 0;
    size_t slot = place_of(b, rec->id, &hash);
    if (!b->ids[slot] || !merge_read(root, a, &second))
        return 0;
    const struct merge_side *first = &b->sides[b->at[slot]];
    for (int f = 0; f < MERGE_FIELDS; f++) {
        if (!merge_conflict((enum merge_field)f, first, &second))
            continue;
        add_item(out_items, rec, (enum merge_field)f, first, &second);
        found++;
    }
    b->found += (int64_t)found;
    return found;
}

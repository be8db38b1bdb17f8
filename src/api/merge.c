#include "api/merge.h"

struct merging {
    struct json_w w;
    struct buf raw; /* one value on its way */
};

static void put_value(struct merging *m, struct json v)
{
    buf_clear(&m->raw);
    json_add_raw(&m->raw, v);
    json_put_raw(&m->w, buf_span(&m->raw));
}

static void merge(struct merging *m, struct json target, struct json patch, int depth);

/* A member that is in both. Not at all when the patch says null. */
static void merge_member(struct merging *m, struct span key, struct json before,
                         struct json after, int depth)
{
    if (json_is(after, JSON_NULL))
        return;
    json_key_span(&m->w, key);
    bool objects = json_is(before, JSON_OBJECT) && json_is(after, JSON_OBJECT);
    if (objects && depth < MERGE_DEPTH)
        merge(m, before, after, depth + 1);
    else
        put_value(m, after);
}

static void merge(struct merging *m, struct json target, struct json patch, int depth)
{
    json_open(&m->w);
    for (struct json_iter i = json_each(target); json_next(&i);) {
        struct json after = json_get(patch, i.key);
        if (after.doc) {
            merge_member(m, i.key, i.value, after, depth);
            continue;
        }
        json_key_span(&m->w, i.key);
        put_value(m, i.value);
    }
    for (struct json_iter i = json_each(patch); json_next(&i);)
        if (!json_get(target, i.key).doc)
            merge_member(m, i.key, JSON_MISSING, i.value, depth);
    json_close(&m->w);
}

void merge_patch(struct buf *out, struct json target, struct json patch)
{
    struct merging m = {.w = json_w(out), .raw = BUF(out->max)};
    merge(&m, target, patch, 0);
    if (m.raw.failed)
        out->failed = m.raw.failed;
    buf_free(&m.raw);
}

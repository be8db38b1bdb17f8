#include "cli/parts.h"

#include "base/text.h"

static const char *part_value(const struct cli *c, const struct part *part)
{
    return *(const char *const *)(const void *)((const char *)c + part->at);
}

bool parts_any(const struct cli *c, const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (part_value(c, &parts[i]))
            return true;
    return false;
}

void parts_add_query(struct buf *path, const struct cli *c, const struct part *parts,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = part_value(c, &parts[i]);
        if (!value)
            continue;
        buf_fmt(path, "&%s=", parts[i].name);
        text_add_url_escaped(path, span_of(value));
    }
}

void parts_put(struct json_w *w, const struct cli *c, const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (part_value(c, &parts[i]))
            json_kv_cstr(w, parts[i].name, part_value(c, &parts[i]));
}

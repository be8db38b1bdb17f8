#include "core/options.h"

#include "base/id.h"

struct retry_policy options_retry(struct span options, struct json_parser *parser)
{
    struct retry_policy p = {0};
    struct json root;
    if (span_find(options, SPAN("\"backoff\":{")) == options.n ||
        json_parse(parser, options, &root, NULL))
        return p;
    struct json backoff = json_get(json_get(root, SPAN("retry")), SPAN("backoff"));
    const struct {
        const char *key;
        int64_t *to;
    } members[] = {{"base_ms", &p.base_ms}, {"max_ms", &p.cap_ms}, {"factor", &p.factor}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_int(json_get(backoff, span_of(members[i].key)), members[i].to) ||
            *members[i].to < 0)
            *members[i].to = 0;
    return p;
}

struct span options_callback(struct span options)
{
    struct span member = SPAN("\"callback\":{\"webhook_id\":\"");
    size_t at = span_find(options, member);
    if (at == options.n)
        return SPAN_NONE;
    struct span id = span_cut(options, at + member.n, options.n);
    id = span_cut(id, 0, span_find_char(id, '"'));
    return id_valid(id, "whk") ? id : SPAN_NONE;
}

#include "core/options.h"

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

#include "extract/shown.h"

static err wrong(struct fault *f)
{
    return fail(f, E_SHAPE, "what watches the page said something in a shape we do not know");
}

err shown_read(struct json_parser *parser, struct span message, struct shown *out,
               struct fault *f)
{
    struct json v;
    struct shown s = {0};
    const struct {
        const char *name;
        bool *to;
    } flags[] = {{"answers", &s.answers}, {"bottom", &s.bottom}, {"busy", &s.busy},
                 {"retry", &s.retry},     {"more", &s.more},     {"guest", &s.guest},
                 {"folded", &s.folded},   {"shut", &s.shut}};
    if (json_parse(parser, message, &v, &(struct fault){0}) || !json_is(v, JSON_OBJECT) ||
        !json_int(json_get(v, SPAN("n")), &s.number) || s.number < 1 ||
        !json_text(json_get(v, SPAN("html")), &s.html))
        return wrong(f);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (!json_bool(json_get(v, span_of(flags[i].name)), flags[i].to))
            return wrong(f);
    if (s.html.n > SHOWN_HTML_MAX)
        return fail(f, E_TOO_BIG, "the page showed %zu bytes at once; the limit is %d",
                    s.html.n, SHOWN_HTML_MAX);
    *out = s;
    return E_OK;
}

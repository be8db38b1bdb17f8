#include "extract/media.h"

#include "extract/site.h"

#include "core/filetype.h"

enum { URL_MAX = 4096, HEAD = 8 /* "https://" */, MIB = 1024 * 1024, MIB_MAX = 16 * 1024 };

struct span media_origin(struct span url)
{
    struct span rest = span_cut(url, HEAD, url.n);
    size_t slash = span_find_char(rest, '/'), query = span_find_char(rest, '?');
    return span_cut(url, 0, url.n - rest.n + (slash < query ? slash : query));
}

/* ---- the section ---- */

static void read_places(struct form *f, const struct ynode *n, struct media_rule *r)
{
    r->place_count = form_texts(f, n, "places", true, &r->places);
    if (r->place_count > MEDIA_PLACES_MAX)
        form_wrong(f, ynode_find(n, "places"), "more than %d places", MEDIA_PLACES_MAX);
    struct span *hosts = arena_get(f->arena, (r->place_count + 1) * sizeof *hosts);
    for (size_t i = 0; i < r->place_count && !f->failed; i++) {
        struct span origin = media_origin(r->places[i]);
        if (!span_starts(r->places[i], SPAN("https://")) || origin.n == HEAD ||
            origin.n == r->places[i].n)
            form_wrong(f, ynode_find(n, "places"),
                       "'places' are beginnings of URLs: https://host/path/");
        hosts[i] = span_cut(origin, HEAD, origin.n);
    }
    r->hosts = hosts;
}

static void read_types(struct form *f, const struct ynode *n, struct media_rule *r)
{
    r->type_count = form_texts(f, n, "types", true, &r->types);
    for (size_t i = 0; i < r->type_count && !f->failed; i++)
        if (!filetype_find(r->types[i]))
            form_wrong(f, ynode_find(n, "types"), "'%.*s' is no type of file that is kept",
                       (int)(r->types[i].n > 60 ? 60 : r->types[i].n), r->types[i].p);
}

static void read_rule(struct form *f, const struct ynode *n, struct media_rule *r)
{
    static const char *const keys[] = {"places", "tries",       "variants",
                                       "types",  "largest_mib", NULL};
    if (!form_keys(f, n, "a kind of media", keys))
        return;
    r->kind = n->key;
    read_places(f, n, r);
    r->try_count = form_texts(f, n, "tries", true, &r->tries);
    r->variants = form_text(f, n, "variants", false);
    read_types(f, n, r);
    r->bytes_max = form_int(f, n, "largest_mib", 64, 1, MIB_MAX) * MIB;
}

void media_read(struct form *f, const struct ynode *map, struct pack *p)
{
    struct media_rule *rows = arena_get(f->arena, ((map ? map->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = map ? map->first : NULL; n && !f->failed; n = n->next)
        read_rule(f, n, &rows[p->media_count++]);
    p->media = rows;
}

/* ---- asking ---- */

bool pack_has_media(const struct pack *p)
{
    return p->media_count > 0;
}

const struct media_rule *pack_media(const struct pack *p, struct span kind)
{
    for (size_t i = 0; i < p->media_count; i++)
        if (span_eq(p->media[i].kind, kind))
            return &p->media[i];
    return NULL;
}

struct span pack_target_host(const struct pack *p, struct span kind, struct span canonical)
{
    const struct target *t = NULL;
    size_t at = canonical.n;
    if (pack_find_target(p, kind, &t, NULL) || !t->input->host)
        return SPAN_NONE;
    while (at > 0 && canonical.p[at - 1] != '@')
        at--;
    return at ? span_cut(canonical, at, canonical.n) : SPAN_NONE;
}

void media_host(struct span pattern, struct span host, struct buf *out)
{
    struct span word = SPAN("{host}");
    size_t at = span_find(pattern, word);
    if (at < pattern.n && !host.n)
        return;
    buf_add(out, span_cut(pattern, 0, at));
    if (at < pattern.n)
        buf_fmt(out, "%.*s%.*s", SP(host), SP(span_cut(pattern, at + word.n, pattern.n)));
}

/* Is the host of a URL that of a place, or, for "*.name", one below it? */
static bool host_fits(struct span pattern, struct span host, struct span of_url)
{
    enum { HOST_MAX = 600 };
    struct buf text = BUF(HOST_MAX);
    media_host(pattern, host, &text);
    struct span name = buf_span(&text);
    bool open = span_starts(name, SPAN("*."));
    struct span tail = open ? span_cut(name, 1, name.n) : name;
    bool fits = open ? of_url.n > tail.n &&
                           span_eq_nocase(span_cut(of_url, of_url.n - tail.n, tail.n), tail)
                     : name.n && span_eq_nocase(of_url, name);
    fits = fits && !text.failed;
    buf_free(&text);
    return fits;
}

static bool is_fixed(const struct media_rule *r, size_t place)
{
    return span_find_char(r->hosts[place], '{') == r->hosts[place].n;
}

bool pack_media_origin(const struct pack *p, struct span origin, struct span host)
{
    struct span name = span_cut(origin, HEAD, origin.n);
    for (size_t i = 0; i < p->media_count; i++)
        for (size_t k = 0; k < p->media[i].place_count; k++)
            if (span_starts(origin, SPAN("https://")) &&
                host_fits(p->media[i].hosts[k], host, name))
                return true;
    return false;
}

static bool lies_in(const struct media_rule *r, size_t place, struct span url,
                    struct span origin, struct span host)
{
    struct span whole = r->places[place], of_place = media_origin(whole);
    struct span path = span_cut(whole, of_place.n, whole.n),
                rest = span_cut(url, origin.n, url.n);
    if (is_fixed(r, place))
        return span_starts(url, whole) && url.n > whole.n;
    return span_starts(url, SPAN("https://")) && span_starts(rest, path) && rest.n > path.n &&
           host_fits(r->hosts[place], host, span_cut(origin, HEAD, origin.n));
}

/* What could be read in two ways is no URL of ours: no control characters, nothing that climbs. */
bool media_allows(const struct media_rule *r, struct span url, struct span host)
{
    struct span origin = media_origin(url);
    if (url.n > URL_MAX || span_find_char(origin, '@') < origin.n)
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || strchr("\"<>\\^`{|}#", url.p[i]))
            return false;
    struct span path = span_cut(url, 0, span_find_char(url, '?'));
    static const char *const climbs[] = {"/.", "%2e", "%2E", "%2f", "%2F"};
    for (size_t i = 0; i < sizeof climbs / sizeof climbs[0]; i++)
        if (span_find(path, span_of(climbs[i])) < path.n)
            return false;
    for (size_t i = 0; i < r->place_count; i++)
        if (lies_in(r, i, url, origin, host))
            return true;
    return false;
}

/* ---- templates ---- */

static struct span member_text(struct json media, struct span name)
{
    struct span text = SPAN_NONE;
    (void)json_text(json_get(media, name), &text);
    return text;
}

/* Length of the URL before the suffix of its file's name; without a suffix, before the query. */
static size_t stem_length(struct span url)
{
    size_t path = span_find_char(url, '?'), dot = path;
    while (dot > 0 && url.p[dot - 1] != '.' && url.p[dot - 1] != '/')
        dot--;
    return dot > 0 && url.p[dot - 1] == '.' ? dot - 1 : path;
}

/* "jpg" of ".../A.jpg" and of ".../A?format=jpg&name=orig". */
static struct span format_of(struct span url)
{
    size_t path = span_find_char(url, '?'), stem = stem_length(url);
    if (stem < path)
        return span_cut(url, stem + 1, path - stem - 1);
    size_t at = span_find(url, SPAN("format="));
    struct span rest = span_cut(url, at + sizeof "format=" - 1, url.n);
    return span_cut(rest, 0, span_find_char(rest, '&'));
}

static struct span value_of(struct json media, struct span name)
{
    struct span url = member_text(media, SPAN("url"));
    if (span_is(name, "stem"))
        return span_cut(url, 0, stem_length(url));
    if (span_is(name, "format"))
        return format_of(url);
    return member_text(media, name);
}

/* False: something that the template names is not there. */
static bool fill(struct span template, struct json media, struct buf *out)
{
    while (template.n) {
        size_t open = span_find_char(template, '{'), close = span_find_char(template, '}');
        buf_add(out, span_cut(template, 0, open));
        if (open == template.n)
            return !out->failed;
        struct span value =
            close > open ? value_of(media, span_cut(template, open + 1, close - open - 1))
                         : SPAN_NONE;
        if (!value.n)
            return false;
        buf_add(out, value);
        template = span_cut(template, close + 1, template.n);
    }
    return !out->failed;
}

/* ---- the order ---- */

struct choice {
    const struct media_rule *rule;
    struct span host;
    struct arena *arena;
    struct span *out;
    size_t count;
};

static void offer(struct choice *c, struct span url)
{
    if (c->count == MEDIA_URLS_MAX || !media_allows(c->rule, url, c->host))
        return;
    for (size_t i = 0; i < c->count; i++)
        if (span_eq(c->out[i], url))
            return;
    struct span kept = arena_keep(c->arena, url);
    if (kept.p)
        c->out[c->count++] = kept;
}

/* The highest bitrate below `under`; a variant that tells none has 0. */
static bool next_variant(const struct choice *c, struct json media, int64_t under,
                         int64_t *out_rate)
{
    bool found = false;
    for (struct json_iter i = json_each(json_get(media, SPAN("variants"))); json_next(&i);) {
        int64_t rate = 0;
        (void)json_int(json_get(i.value, SPAN("bitrate")), &rate);
        if (!span_eq(member_text(i.value, SPAN("content_type")), c->rule->variants) ||
            rate >= under || (found && rate <= *out_rate))
            continue;
        *out_rate = rate;
        found = true;
    }
    return found;
}

static void offer_rate(struct choice *c, struct json media, int64_t wanted)
{
    for (struct json_iter i = json_each(json_get(media, SPAN("variants"))); json_next(&i);) {
        int64_t rate = 0;
        (void)json_int(json_get(i.value, SPAN("bitrate")), &rate);
        if (rate == wanted &&
            span_eq(member_text(i.value, SPAN("content_type")), c->rule->variants))
            offer(c, member_text(i.value, SPAN("url")));
    }
}

size_t media_urls(const struct media_rule *r, struct json media, struct span host,
                  struct arena *a, struct span out[MEDIA_URLS_MAX])
{
    struct choice c = {.rule = r, .host = host, .arena = a, .out = out};
    int64_t rate = INT64_MAX;
    while (r->variants.n && c.count < MEDIA_URLS_MAX && next_variant(&c, media, rate, &rate))
        offer_rate(&c, media, rate);
    for (size_t i = 0; i < r->try_count; i++) {
        struct buf url = BUF(URL_MAX);
        if (fill(r->tries[i], media, &url))
            offer(&c, buf_span(&url));
        buf_free(&url);
    }
    return c.count;
}

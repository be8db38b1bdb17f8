#include "wire/cookies.h"

#include "base/need.h"

struct reading {
    const struct cookies_wanted *wanted;
    wall now;
    struct json_w w;
    struct cookies_facts facts;
    size_t seen;
    uint64_t login;      /* bit for each name that was there */
    bool forever;        /* one that is kept does not end */
    int64_t first, last; /* ends of the login's, of all */
    struct fault *fault;
};
enum { LOGIN_MAX = 32 };

/* ---- one cookie ---- */

static bool name_fits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '=' || s.p[i] == ';' || s.p[i] == ',')
            return false;
    return s.n > 0 && s.n <= COOKIE_NAME_MAX;
}

static bool value_fits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == ';')
            return false;
    return s.n <= COOKIE_VALUE_MAX;
}

static bool plain(struct span s, size_t most)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ';')
            return false;
    return s.n <= most;
}

static void note_end(struct reading *r, const struct cookie *c)
{
    bool login = false;
    for (size_t i = 0; i < r->wanted->login_count && i < LOGIN_MAX; i++) {
        if (!span_eq(c->name, r->wanted->login[i]))
            continue;
        r->login |= 1ULL << i;
        login = true;
    }
    r->forever |= c->expires_ms == 0;
    if (login && c->expires_ms && (!r->first || c->expires_ms < r->first))
        r->first = c->expires_ms;
    if (c->expires_ms > r->last)
        r->last = c->expires_ms;
}

static err keep(struct reading *r, const struct cookie *c)
{
    struct span domain = c->domain.n ? c->domain : r->wanted->domain;
    if (++r->seen > COOKIES_MAX)
        return fail(r->fault, E_TOO_BIG, "more than %d cookies", COOKIES_MAX);
    if (!name_fits(c->name))
        return fail(r->fault, E_BAD_INPUT,
                    "the name of cookie %zu is empty, too long, or no name", r->seen);
    if (!value_fits(c->value) || !plain(domain, 255) || !plain(c->path, 1024))
        return fail(
            r->fault, E_BAD_INPUT,
            "cookie %zu has a value, domain or path that is too long or that no cookie may have",
            r->seen);
    struct span bare = span_cut(domain, domain.n && domain.p[0] == '.', domain.n);
    if (!r->wanted->belongs(r->wanted->ctx, bare)) {
        r->facts.foreign++;
        return E_OK;
    }
    if (c->expires_ms && c->expires_ms <= r->now.ms) {
        r->facts.ended++;
        return E_OK;
    }
    note_end(r, c);
    r->facts.kept++;
    json_open(&r->w);
    json_kv_text(&r->w, "name", c->name);
    json_kv_text(&r->w, "value", c->value.p ? c->value : SPAN(""));
    json_kv_text(&r->w, "domain", domain);
    json_kv_text(&r->w, "path", c->path.n ? c->path : SPAN("/"));
    json_kv_bool(&r->w, "secure", c->secure);
    json_kv_bool(&r->w, "httpOnly", c->http_only);
    if (c->expires_ms)
        json_kv_int(&r->w, "expires", c->expires_ms / 1000);
    json_close(&r->w);
    return E_OK;
}

/* ---- JSON ---- */

static struct span text_of(struct json object, const char *key)
{
    struct span text = SPAN_NONE;
    json_text(json_get(object, span_of(key)), &text);
    return text;
}

/* Seconds since 1970 under one of the names that are in use; −1 and none are no end. */
static int64_t end_of(struct json object)
{
    static const char *const names[] = {"expires", "expirationDate", "expiry"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double s;
        if (json_real(json_get(object, span_of(names[i])), &s) && s > 0)
            return s < 253402300799.0 ? (int64_t)s * 1000 : 0;
    }
    return 0;
}

struct cookie cookie_of(struct json v)
{
    struct cookie c = {.name = text_of(v, "name"),
                       .value = text_of(v, "value"),
                       .domain = text_of(v, "domain"),
                       .path = text_of(v, "path"),
                       .expires_ms = end_of(v)};
    json_bool(json_get(v, SPAN("secure")), &c.secure);
    json_bool(json_get(v, SPAN("httpOnly")), &c.http_only);
    return c;
}

static err read_list(struct reading *r, struct json list)
{
    err e = E_OK;
    for (struct json_iter i = json_each(list); !e && json_next(&i);) {
        struct cookie c = cookie_of(i.value);
        e = keep(r, &c);
    }
    return e;
}

static err read_map(struct reading *r, struct json map)
{
    err e = E_OK;
    for (struct json_iter i = json_each(map); !e && json_next(&i);) {
        struct cookie c = {.name = i.key, .secure = true};
        if (!json_text(i.value, &c.value))
            return fail(r->fault, E_BAD_INPUT, "cookie %zu is no text", r->seen + 1);
        e = keep(r, &c);
    }
    return e;
}

static err read_json(struct reading *r, struct span text, struct json_parser *parser)
{
    struct json root;
    if (json_parse(parser, text, &root, NULL)) /* its words might tell of a value */
        return fail(r->fault, E_BAD_INPUT, "the cookies begin like JSON, but are none");
    if (json_is(root, JSON_ARRAY))
        return read_list(r, root);
    struct json list = json_get(root, SPAN("cookies"));
    if (json_is(list, JSON_ARRAY))
        return read_list(r, list);
    return json_is(root, JSON_OBJECT)
               ? read_map(r, root)
               : fail(r->fault, E_BAD_INPUT, "the JSON is no list of cookies");
}

/* ---- cookies.txt ---- */

static const char http_only[] = "#HttpOnly_";

static err read_line(struct reading *r, struct span line, size_t number)
{
    struct span field[7] = {{0}}, rest = line;
    size_t n = 0;
    struct cookie c = {.http_only = span_starts(line, span_of(http_only))};
    if (c.http_only)
        rest = span_cut(line, sizeof http_only - 1, line.n);
    for (; n < 6; n++) {
        size_t at = span_find_char(rest, '\t');
        field[n] = span_cut(rest, 0, at);
        if (at == rest.n)
            break;
        rest = span_cut(rest, at + 1, rest.n);
    }
    field[6] = n == 6 ? rest : SPAN_NONE;
    int64_t end = 0;
    if (n < 5 || !span_int(field[4], &end))
        return fail(r->fault, E_BAD_INPUT, "line %zu of cookies.txt has not seven fields",
                    number);
    c.domain = field[0];
    c.path = field[2];
    c.secure = span_eq_nocase(field[3], SPAN("TRUE"));
    c.expires_ms = end > 0 && end < 253402300800 ? end * 1000 : 0;
    c.name = field[5];
    c.value = field[6];
    return keep(r, &c);
}

static err read_netscape(struct reading *r, struct span text)
{
    struct span line;
    err e = E_OK;
    for (size_t number = 1; !e && span_next(&text, '\n', &line); number++) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        bool comment = span_starts(line, SPAN("#")) && !span_starts(line, span_of(http_only));
        if (span_trim(line).n && !comment)
            e = read_line(r, line, number);
    }
    return e;
}

/* ---- Cookie: a=1; b=2 ---- */

static err read_header(struct reading *r, struct span text)
{
    struct span pair, name = SPAN("cookie:");
    err e = E_OK;
    if (span_eq_nocase(span_cut(text, 0, name.n), name))
        text = span_cut(text, name.n, text.n);
    text = span_trim(text);
    while (!e && span_next(&text, ';', &pair)) {
        pair = span_trim(pair);
        size_t at = span_find_char(pair, '=');
        if (!pair.n)
            continue;
        if (at == pair.n)
            return fail(
                r->fault, E_BAD_INPUT,
                "these are no cookies: send JSON, cookies.txt, or the text of a Cookie header");
        struct cookie c = {.name = span_cut(pair, 0, at),
                           .value = span_cut(pair, at + 1, pair.n),
                           .secure = true};
        e = keep(r, &c);
    }
    return e;
}

/* ---- all ---- */

static err read_any(struct reading *r, struct span text, struct json_parser *parser)
{
    struct span from = span_trim(text);
    if (!from.n)
        return fail(r->fault, E_BAD_INPUT, "no cookies came");
    if (from.p[0] == '[' || from.p[0] == '{')
        return read_json(r, from, parser);
    if (from.p[0] == '#' || span_find_char(from, '\t') < from.n)
        return read_netscape(r, text);
    return read_header(r, from);
}

static err check(const struct reading *r)
{
    const struct cookies_wanted *w = r->wanted;
    if (!r->facts.kept)
        return fail(r->fault, E_BAD_INPUT, "none of %zu cookies is of the site and still good",
                    r->seen);
    for (size_t i = 0; i < w->login_count && i < LOGIN_MAX; i++)
        if (!(r->login & 1ULL << i))
            return fail(r->fault, E_BAD_INPUT,
                        "there is no cookie %.*s, without which nobody is logged in",
                        SP(span_cut(w->login[i], 0, 80)));
    return E_OK;
}

err cookies_read(struct span text, const struct cookies_wanted *wanted, wall now,
                 struct json_parser *parser, struct buf *out, struct cookies_facts *out_facts,
                 struct fault *f)
{
    struct reading r = {.wanted = wanted, .now = now, .w = json_w(out), .fault = f};
    struct span written;
    need(wanted->belongs);
    if (text.n > COOKIES_TEXT_MAX)
        return fail(f, E_TOO_BIG, "cookies may have %d bytes", COOKIES_TEXT_MAX);
    json_open_array(&r.w);
    err e = read_any(&r, text, parser);
    json_close_array(&r.w);
    if (!e)
        e = check(&r);
    if (!e && buf_end(out, &written))
        e = fail(f, E_TOO_BIG, "the cookies do not fit into %d bytes", COOKIES_TEXT_MAX);
    if (e)
        return e;
    r.facts.expires_ms = wanted->login_count ? r.first : r.forever ? 0 : r.last;
    *out_facts = r.facts;
    return E_OK;
}

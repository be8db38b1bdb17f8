/* login.c - the session of a job: its cookies go into the job's own browser context before its page opens,
 * or with its requests to the site itself, and nowhere else. The worker never sees them: node
 * opens them, and what comes back from the site with their values in it is blackened first. */
#include "pool/inside.h"

#include "wire/cookies.h"

/* Shorter values ("en", "1") stand in every page. */
enum { HIDDEN_LEAST = 12, SET_MS = 5000, PARAMS_MAX = 512 * 1024 };

struct login {
    struct secret text;              /* the list, as it was sealed */
    struct secret values;            /* one after the other */
    struct span hidden[COOKIES_MAX]; /* in values */
    size_t count;
};

/* ---- what is hidden ---- */

static void add_values(struct login *l, struct json list)
{
    size_t at = 0;
    for (struct json_iter i = json_each(list); json_next(&i) && l->count < COOKIES_MAX;) {
        struct span value = cookie_of(i.value).value;
        if (value.n < HIDDEN_LEAST || at + value.n > l->values.n)
            continue;
        memcpy(l->values.p + at, value.p, value.n);
        l->hidden[l->count++] = (struct span){l->values.p + at, value.n};
        at += value.n;
    }
}

/* A parser of its own each time: it keeps what it read, so it does not stay. */
static bool read_list(const struct login *l, struct json_parser **out_parser, struct json *out)
{
    *out_parser = json_parser_new((size_t)COOKIES_TEXT_MAX * 2);
    return json_parse(*out_parser, secret_span(&l->text), out, NULL) == E_OK &&
           json_is(*out, JSON_ARRAY);
}

bool slot_login_open(struct slot *s, struct secret *text)
{
    struct login *l = heap_new_of(struct login);
    struct json_parser *parser;
    struct json list;
    l->text = *text;
    *text = (struct secret){0};
    bool fine = read_list(l, &parser, &list);
    l->values = secret_new(l->text.n); /* a value is never longer than how it is written */
    if (fine)
        add_values(l, list);
    json_parser_free(&parser);
    s->login = l;
    return fine;
}

void slot_login_close(struct slot *s)
{
    struct login *l = s->login;
    s->login = NULL;
    if (!l)
        return;
    secret_free(&l->text);
    secret_free(&l->values);
    free(l);
}

/* A site may give the session other values while the job runs; they stand behind these names, as DevTools
 * tells of headers. */
static const char *const headers[] = {"\"cookie\":\"", "\"set-cookie\":\"",
                                      "\"x-csrf-token\":\"", "\"authorization\":\""};
enum { HEADERS = sizeof headers / sizeof headers[0] };

/* Where the value of such a header begins; text.n when there is none. */
static size_t header_in(struct span text, size_t from)
{
    for (size_t at = from; at < text.n; at++) {
        at += span_find_char(span_cut(text, at, text.n), '"');
        for (size_t i = 0; i < HEADERS; i++) {
            size_t n = strlen(headers[i]);
            if (span_eq_nocase(span_cut(text, at, n), span_of(headers[i])))
                return at + n;
        }
    }
    return text.n;
}

static void hide_headers(char *text, size_t n)
{
    struct span all = {text, n};
    for (size_t at = header_in(all, 0); at < n; at = header_in(all, at))
        for (; at < n && text[at] != '"'; at++)
            text[at] = '*';
}

static bool stands_in(const struct slot *s, struct span text)
{
    for (size_t i = 0; s->login && i < s->login->count; i++)
        if (span_find(text, s->login->hidden[i]) < text.n)
            return true;
    return false;
}

void slot_login_hide(const struct slot *s, char *text, size_t n)
{
    for (size_t i = 0; s->login && i < s->login->count; i++) {
        struct span value = s->login->hidden[i];
        for (size_t at = 0; at < n;) {
            size_t found = span_find((struct span){text + at, n - at}, value);
            if (found == n - at)
                break;
            memset(text + at + found, '*', value.n);
            at += found + value.n;
        }
    }
}

void slot_login_blacken(const struct slot *s, struct frame *f, struct buf copy[FRAME_TEXTS_MAX])
{
    for (size_t i = 0; i < FRAME_TEXTS_MAX; i++) {
        /* What the site says is left as it is but for the values: a record may have such a member. */
        bool headed = f->type == FRAME_EVENT && header_in(f->t[i], 0) < f->t[i].n;
        copy[i] = BUF(SLOT_OUT_MAX);
        if (!headed && !stands_in(s, f->t[i]))
            continue;
        buf_add(&copy[i], f->t[i]);
        slot_login_hide(s, copy[i].p, copy[i].n);
        if (headed)
            hide_headers(copy[i].p, copy[i].n);
        f->t[i] = buf_span(&copy[i]);
    }
}

/* ---- whose they are ---- */

/* "https://x.com:443/…" → "x.com" */
static struct span host_of(struct span url)
{
    size_t at = span_find(url, SPAN("://"));
    struct span host = span_cut(url, at < url.n ? at + 3 : url.n, url.n);
    host = span_cut(host, 0, span_find_char(host, '/'));
    return span_cut(host, 0, span_find_char(host, ':'));
}

static bool reaches(struct span domain, struct span host)
{
    if (domain.n && domain.p[0] == '.')
        domain = span_cut(domain, 1, domain.n);
    if (!domain.n || host.n < domain.n ||
        !span_eq_nocase(span_cut(host, host.n - domain.n, domain.n), domain))
        return false;
    return host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

/* Where the site is read from another place (site.base_url), the cookies of its own host are that place's. */
static bool moved(const struct slot *s)
{
    return s->site.base_url.n > 0;
}

static struct span base_of(const struct slot *s)
{
    return moved(s) ? s->site.base_url : pack_base_url(s->site.pack);
}

static bool is_for_base(const struct slot *s, const struct cookie *c)
{
    return reaches(c->domain, host_of(base_of(s))) ||
           (moved(s) && reaches(c->domain, host_of(pack_base_url(s->site.pack))));
}

/* ---- into the page's context ---- */

static void put_cookie(const struct slot *s, struct json_w *w, const struct cookie *c)
{
    bool here = moved(s) && is_for_base(s, c);
    json_open(w);
    json_kv_text(w, "name", c->name);
    json_kv_text(w, "value", c->value.p ? c->value : SPAN(""));
    if (here)
        json_kv_text(w, "url", s->site.base_url);
    else
        json_kv_text(w, "domain", c->domain);
    json_kv_text(w, "path", c->path.n ? c->path : SPAN("/"));
    json_kv_bool(w, "secure", here ? span_starts(s->site.base_url, SPAN("https:")) : c->secure);
    json_kv_bool(w, "httpOnly", c->http_only);
    if (c->expires_ms)
        json_kv_int(w, "expires", c->expires_ms / 1000);
    json_close(w);
}

/* Network.setCookies sets them for the page's own context. Storage.setCookies on a page's session, without
 * the name of a context, was seen to set them for the whole browser's. */
err slot_login_start(struct slot *s)
{
    struct buf b = BUF(PARAMS_MAX);
    struct json_w w = json_w(&b);
    struct json_parser *parser;
    struct json list;
    struct span params;
    err e = read_list(s->login, &parser, &list) ? E_OK : E_SHAPE;
    json_open(&w);
    json_key(&w, "cookies");
    json_open_array(&w);
    for (struct json_iter i = json_each(e ? JSON_MISSING : list); json_next(&i);) {
        struct cookie c = cookie_of(i.value);
        put_cookie(s, &w, &c);
    }
    json_close_array(&w);
    json_close(&w);
    if (!e)
        e = buf_end(&b, &params);
    if (!e)
        e = tab_call(s->tab, LOGIN_CALL, "Network.setCookies", params, SET_MS);
    json_parser_free(&parser);
    secret_wipe_buf(&b);
    return e;
}

/* ---- with a request ---- */

void slot_login_header(const struct slot *s, struct span url, struct buf *out)
{
    struct json_parser *parser;
    struct json list;
    bool any = false;
    struct span base = base_of(s);
    if (!s->login || !span_starts(url, base))
        return;
    struct span path = span_cut(url, base.n, url.n);
    if (read_list(s->login, &parser, &list)) {
        for (struct json_iter i = json_each(list); json_next(&i);) {
            struct cookie c = cookie_of(i.value);
            bool plain = c.secure && !moved(s) && !span_starts(url, SPAN("https:"));
            bool below = c.path.n <= 1 || span_starts(path, c.path);
            if (plain || !below || !is_for_base(s, &c))
                continue;
            buf_fmt(out, "%s%.*s=%.*s", any ? "; " : "Cookie: ", SP(c.name), SP(c.value));
            any = true;
        }
    }
    json_parser_free(&parser);
}

#include "store/redis/place.h"

#include "base/text.h"

static err bad(struct fault *f, const char *what)
{
    return fail(
        f, E_CONFIG,
        "store.queue: %s; write redis://[:PASSWORD@]HOST[:PORT][/DATABASE], unix:///PATH, or "
        "sentinel://HOST[:PORT],HOST[:PORT]/NAME",
        what);
}

static bool take_word(struct span s, char out[PLACE_WORD])
{
    struct buf word = BUF(PLACE_WORD - 1);
    bool well = text_add_url_unescaped(&word, s) && !word.failed &&
                !memchr(word.p ? word.p : "", 0, word.n);
    if (well)
        span_copy(buf_span(&word), out, PLACE_WORD);
    buf_free(&word);
    return well;
}

/* "user:password@" off the front of *rest; a password may hold an "@" only percent-encoded. */
static err take_user(struct span *rest, struct place *a, struct fault *f)
{
    size_t end = span_find_char(*rest, '/'), at = span_find_char(*rest, '@');
    if (at == rest->n || (at > end && a->kind != PLACE_UNIX))
        return E_OK;
    struct span who = span_cut(*rest, 0, at);
    size_t colon = span_find_char(who, ':');
    if (!take_word(span_cut(who, 0, colon), a->user) ||
        !take_word(span_cut(who, colon < who.n ? colon + 1 : who.n, who.n), a->password))
        return bad(f, "user or password is too long, or not percent-encoded");
    if (!a->password[0])
        return bad(f, "there is an \"@\" but no password before it");
    *rest = span_cut(*rest, at + 1, rest->n);
    return E_OK;
}

static err take_database(struct span text, struct place *a, struct fault *f)
{
    int64_t n;
    if (!span_int(text, &n) || n < 0 || n > 1000000)
        return bad(f, "the database is not a number");
    a->database = (int)n;
    return E_OK;
}

/* "?db=3" off the end of *rest. */
static err take_query(struct span *rest, struct place *a, struct fault *f)
{
    size_t at = span_find_char(*rest, '?');
    if (at == rest->n)
        return E_OK;
    struct span query = span_cut(*rest, at + 1, rest->n);
    *rest = span_cut(*rest, 0, at);
    if (!span_starts(query, SPAN("db=")))
        return bad(f, "nothing but ?db=DATABASE may follow");
    return take_database(span_cut(query, 3, query.n), a, f);
}

static err take_host(struct span text, int port, struct place *a, struct fault *f)
{
    if (a->host_count == PLACE_HOSTS)
        return bad(f, "more than eight hosts");
    struct place_host *h = &a->hosts[a->host_count];
    size_t close = text.n && text.p[0] == '[' ? span_find_char(text, ']') : text.n;
    struct span name = close < text.n ? span_cut(text, 1, close - 1)
                                      : span_cut(text, 0, span_find_char(text, ':'));
    struct span rest =
        close < text.n ? span_cut(text, close + 1, text.n) : span_cut(text, name.n, text.n);
    int64_t number = port;
    if (rest.n && (rest.p[0] != ':' || !span_int(span_cut(rest, 1, rest.n), &number) ||
                   number < 1 || number > 65535))
        return bad(f, "the port is not a number from 1 to 65535");
    if (!name.n || name.n >= sizeof h->name)
        return bad(f, "there is no host");
    span_copy(name, h->name, sizeof h->name);
    h->port = (int)number;
    a->host_count++;
    return E_OK;
}

static err take_path(struct span rest, struct place *a, struct fault *f)
{
    if (rest.n < 2 || rest.p[0] != '/' || rest.n > 100)
        return bad(
            f, "the path of the socket has to begin with \"/\" and to have at most 100 bytes");
    span_copy(rest, a->hosts[0].name, sizeof a->hosts[0].name);
    a->host_count = 1;
    return E_OK;
}

static err take_hosts(struct span rest, struct place *a, struct fault *f)
{
    int port = a->kind == PLACE_SENTINEL ? PLACE_SENTINEL_PORT : PLACE_PORT;
    size_t slash = span_find_char(rest, '/');
    struct span hosts = span_cut(rest, 0, slash),
                behind = span_cut(rest, slash < rest.n ? slash + 1 : slash, rest.n);
    if (a->kind == PLACE_TCP && span_find_char(hosts, ',') < hosts.n)
        return bad(f, "several hosts are those of Sentinels: sentinel://");
    struct span host;
    err e = hosts.n ? E_OK : bad(f, "there is no host");
    while (!e && span_next(&hosts, ',', &host))
        e = take_host(host, port, a, f);
    if (e || (a->kind == PLACE_TCP && !behind.n))
        return e;
    if (a->kind == PLACE_TCP)
        return take_database(behind, a, f);
    return behind.n && take_word(behind, a->primary)
               ? E_OK
               : bad(f, "the name that the Sentinels know is missing");
}

err place_parse(struct span url, struct place *out, struct fault *f)
{
    static const char *const schemes[] = {
        [PLACE_TCP] = "redis://", [PLACE_UNIX] = "unix://", [PLACE_SENTINEL] = "sentinel://"};
    struct place a = {0};
    int kind = PLACE_TCP;
    while (kind <= PLACE_SENTINEL && !span_starts(url, span_of(schemes[kind])))
        kind++;
    if (span_starts(url, SPAN("rediss://")))
        return bad(
            f,
            "TLS is not spoken here; put a TLS sidecar beside Fulmar, or use a private network");
    if (kind > PLACE_SENTINEL)
        return bad(f, "not an address of a Redis");
    a.kind = (enum place_kind)kind;
    struct span rest = span_cut(url, strlen(schemes[kind]), url.n);
    err e = take_user(&rest, &a, f);
    if (!e)
        e = take_query(&rest, &a, f);
    if (!e)
        e = a.kind == PLACE_UNIX ? take_path(rest, &a, f) : take_hosts(rest, &a, f);
    if (!e)
        *out = a;
    return e;
}

struct span place_shown(const struct place *a, char out[PLACE_HOST + 32])
{
    const struct place_host *h = &a->hosts[0];
    if (a->kind == PLACE_UNIX)
        snprintf(out, PLACE_HOST + 32, "%s", h->name);
    else if (strchr(h->name, ':'))
        snprintf(out, PLACE_HOST + 32, "[%s]:%d", h->name, h->port);
    else
        snprintf(out, PLACE_HOST + 32, "%s:%d", h->name, h->port);
    return span_of(out);
}

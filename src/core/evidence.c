#include "core/evidence.h"

#include "base/need.h"

static const char *const keep_names[] = {[EVIDENCE_NEVER] = "never",
                                         [EVIDENCE_ON_FAILURE] = "on_failure",
                                         [EVIDENCE_ALWAYS] = "always"};
_Static_assert(sizeof keep_names / sizeof *keep_names == EVIDENCE_KEEPS, "a name each");

static const char *const kind_names[] = {[EVIDENCE_RESPONSE] = "response",
                                         [EVIDENCE_SCREENSHOT] = "screenshot",
                                         [EVIDENCE_DOM] = "dom"};
_Static_assert(sizeof kind_names / sizeof *kind_names == EVIDENCE_KINDS, "a name each");

static const struct {
    const char *name, *words;
} gaps[] = {
    [GAP_NONE] = {"none", "nothing is missing"},
    [GAP_COUNT] = {"job_count", "the job has as many pieces as evidence.job_count allows"},
    [GAP_BYTES] = {"job_bytes", "the job has as many bytes as evidence.job_bytes allows"},
    [GAP_TOO_LARGE] = {"too_large", "the piece alone is larger than 8 MiB"},
    [GAP_DISK] = {"disk", "there was no room on the disk"},
    [GAP_OLDER] = {"older_pages", "only the last pages of an attempt are held until it fails"},
    [GAP_EXPIRED] = {"expired", "older than evidence.age, or the oldest above evidence.bytes"},
    [GAP_PAGE_GONE] = {"page_gone", "the page or its browser had ended"},
    [GAP_PAGE_SILENT] = {"page_silent", "the page did not answer in time"},
    [GAP_BUSY] = {"busy", "too much evidence was on its way to the disk at once"},
};
_Static_assert(sizeof gaps / sizeof *gaps == GAPS, "a row each");

static int find_name(const char *const *names, int count, struct span name)
{
    for (int i = 0; i < count; i++)
        if (span_is(name, names[i]))
            return i;
    return -1;
}

bool evidence_keep_parse(struct span name, enum evidence_keep *out)
{
    int i = find_name(keep_names, EVIDENCE_KEEPS, name);
    if (i >= 0)
        *out = (enum evidence_keep)i;
    return i >= 0;
}

const char *evidence_keep_name(enum evidence_keep k)
{
    need((unsigned)k < EVIDENCE_KEEPS);
    return keep_names[k];
}

const char *evidence_kind_name(enum evidence_kind k)
{
    need((unsigned)k < EVIDENCE_KINDS);
    return kind_names[k];
}

bool evidence_kind_parse(struct span name, enum evidence_kind *out)
{
    int i = find_name(kind_names, EVIDENCE_KINDS, name);
    if (i >= 0)
        *out = (enum evidence_kind)i;
    return i >= 0;
}

const char *evidence_gap_name(enum evidence_gap g)
{
    need((unsigned)g < GAPS);
    return gaps[g].name;
}

const char *evidence_gap_words(enum evidence_gap g)
{
    need((unsigned)g < GAPS);
    return gaps[g].words;
}

bool evidence_of_failure(enum evidence_keep k, enum failure_class failure)
{
    return k != EVIDENCE_NEVER && failure != FAILURE_NONE && failure != FAILURE_CANCELLED &&
           failure != FAILURE_BAD_INPUT;
}

bool evidence_wants_picture(enum evidence_keep k, enum failure_class failure)
{
    return k != EVIDENCE_NEVER &&
           (failure == FAILURE_DRIFT || failure == FAILURE_STUCK ||
            failure == FAILURE_TIMEOUT || failure == FAILURE_EMPTY_SUSPECT ||
            failure == FAILURE_BROWSER);
}

bool evidence_shows(enum failure_class failure)
{
    static const bool shows[FAILURE_COUNT] = {
        [FAILURE_NOT_FOUND] = true,      [FAILURE_PROTECTED] = true,
        [FAILURE_SUSPENDED] = true,      [FAILURE_WITHHELD] = true,
        [FAILURE_LOGIN_REQUIRED] = true, [FAILURE_SESSION_INVALID] = true,
        [FAILURE_RATE_LIMITED] = true,   [FAILURE_BLOCKED] = true,
        [FAILURE_DRIFT] = true,          [FAILURE_EMPTY_SUSPECT] = true,
    };
    need((unsigned)failure < FAILURE_COUNT);
    return shows[failure];
}

/* ---- what may be stored ---- */

/* A '*' at the end stands for any rest. No cookie, no authorization, nothing that a site sets to know
 * somebody again; ETag too can be such a mark, but says which version was read. */
bool evidence_header_kept(struct span name)
{
    static const char *const kept[] = {"content-type",   "content-language",
                                       "content-length", "date",
                                       "last-modified",  "etag",
                                       "expires",        "age",
                                       "cache-control",  "server",
                                       "retry-after",    "link",
                                       "x-rate-limit-*", "x-ratelimit-*",
                                       "ratelimit",      "ratelimit-*",
                                       "x-fulmar-page" /* ours: worker/dom.c */};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        struct span k = span_of(kept[i]);
        bool open = span_ends(k, SPAN("*"));
        k.n -= open;
        if (span_eq_nocase(open ? span_cut(name, 0, k.n) : name, k))
            return true;
    }
    return false;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Whether the name of a parameter holds one of the words that secrets go by. */
static bool is_secret(struct span name)
{
    static const char *const words[] = {"token",      "secret", "passw",   "auth",
                                        "session",    "apikey", "api_key", "signature",
                                        "credential", "cookie", "csrf"};
    char small[64];
    size_t n = name.n < sizeof small ? name.n : sizeof small;
    for (size_t i = 0; i < n; i++)
        small[i] = lower(name.p[i]);
    struct span s = {small, n};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_find(s, span_of(words[i])) < n)
            return true;
    return span_is(s, "key") || span_is(s, "sig");
}

static void add_parameter(struct buf *out, struct span part)
{
    size_t equals = span_find_char(part, '=');
    bool secret = equals < part.n && is_secret(span_cut(part, 0, equals));
    buf_add(out, secret ? span_cut(part, 0, equals + 1) : part);
    if (secret)
        buf_add_text(out, "***");
}

static void add_query(struct buf *out, struct span query)
{
    for (char before = '?';; before = '&') {
        size_t end = span_find_char(query, '&');
        buf_add_char(out, before);
        add_parameter(out, span_cut(query, 0, end));
        if (end == query.n)
            return;
        query = span_cut(query, end + 1, query.n);
    }
}

void evidence_url(struct buf *out, struct span url)
{
    url = span_cut(url, 0, span_find_char(url, '#'));
    size_t scheme = span_find(url, SPAN("://"));
    size_t start = scheme < url.n ? scheme + 3 : 0;
    struct span head = span_cut(url, 0, start), rest = span_cut(url, start, url.n);
    size_t question = span_find_char(rest, '?');
    struct span place = span_cut(rest, 0, question);
    struct span host = span_cut(place, 0, span_find_char(place, '/'));
    size_t at = start ? span_find_char(host, '@') : host.n;
    buf_add(out, head);
    buf_add(out, at < host.n ? span_cut(place, at + 1, place.n) : place);
    if (question < rest.n)
        add_query(out, span_cut(rest, question + 1, rest.n));
}

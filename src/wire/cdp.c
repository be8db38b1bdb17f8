#include "wire/cdp.h"

/* ---- skipping JSON values ---- */

static void skip_space(struct span s, size_t *at)
{
    while (*at < s.n &&
           (s.p[*at] == ' ' || s.p[*at] == '\t' || s.p[*at] == '\n' || s.p[*at] == '\r'))
        (*at)++;
}

/* *at stands on the opening quote; moves behind the closing one. */
static bool skip_text(struct span s, size_t *at, struct span *out_inner)
{
    size_t from = ++*at;
    while (*at < s.n) {
        const char *quote = memchr(s.p + *at, '"', s.n - *at);
        if (!quote)
            return false;
        size_t end = (size_t)(quote - s.p), slashes = 0;
        while (end - slashes > from && s.p[end - slashes - 1] == '\\')
            slashes++;
        *at = end + 1;
        if (slashes % 2 == 0) {
            if (out_inner)
                *out_inner = span_cut(s, from, end - from);
            return true;
        }
    }
    return false;
}

static bool skip_nest(struct span s, size_t *at)
{
    char open[CDP_DEPTH_MAX];
    size_t depth = 0;
    while (*at < s.n) {
        char c = s.p[*at];
        if (c == '"') {
            if (!skip_text(s, at, NULL))
                return false;
            continue;
        }
        (*at)++;
        if (c == '{' || c == '[') {
            if (depth == CDP_DEPTH_MAX)
                return false;
            open[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (open[--depth] != c)
                return false;
            if (depth == 0)
                return true;
        }
    }
    return false;
}

static bool skip_plain(struct span s, size_t *at)
{
    size_t from = *at;
    while (*at < s.n && !memchr(",]} \t\r\n\"[{:", s.p[*at], 11))
        (*at)++;
    return *at > from;
}

static bool skip_value(struct span s, size_t *at, struct span *out)
{
    skip_space(s, at);
    if (*at >= s.n)
        return false;
    size_t from = *at;
    bool good;
    if (s.p[from] == '"')
        good = skip_text(s, at, NULL);
    else if (s.p[from] == '{' || s.p[from] == '[')
        good = skip_nest(s, at);
    else
        good = skip_plain(s, at);
    if (good)
        *out = span_cut(s, from, *at - from);
    return good;
}

/* ---- members ---- */

struct member {
    struct span key, value;
};

/* *at starts at 0. false at the end (*ended) or when the text is broken. */
static bool next_member(struct span s, size_t *at, struct member *out, bool *ended)
{
    skip_space(s, at);
    if (*at >= s.n)
        return false;
    char c = s.p[*at];
    if (c == '}') {
        (*at)++;
        *ended = true;
        return false;
    }
    if (c != '{' && c != ',')
        return false;
    (*at)++;
    skip_space(s, at);
    if (c == '{' && *at < s.n && s.p[*at] == '}') {
        (*at)++;
        *ended = true;
        return false;
    }
    if (*at >= s.n || s.p[*at] != '"' || !skip_text(s, at, &out->key))
        return false;
    skip_space(s, at);
    if (*at >= s.n || s.p[*at] != ':')
        return false;
    (*at)++;
    return skip_value(s, at, &out->value);
}

bool cdp_member(struct span object, const char *key, struct span *out_value)
{
    size_t at = 0;
    bool ended = false;
    skip_space(object, &at);
    if (at >= object.n || object.p[at] != '{')
        return false;
    struct member m;
    while (next_member(object, &at, &m, &ended)) {
        if (span_is(m.key, key)) {
            *out_value = m.value;
            return true;
        }
    }
    return false;
}

bool cdp_member_text(struct span object, const char *key, struct span *out_text)
{
    struct span v;
    if (!cdp_member(object, key, &v) || v.n < 2 || v.p[0] != '"')
        return false;
    *out_text = span_cut(v, 1, v.n - 2);
    return true;
}

bool cdp_member_int(struct span object, const char *key, int64_t *out_value)
{
    struct span v;
    return cdp_member(object, key, &v) && span_int(v, out_value);
}

bool cdp_next_item(struct span *rest, struct span *out_value)
{
    size_t at = 0;
    skip_space(*rest, &at);
    if (at >= rest->n || (rest->p[at] != '[' && rest->p[at] != ','))
        return false;
    bool first = rest->p[at] == '[';
    at++;
    skip_space(*rest, &at);
    if (first && at < rest->n && rest->p[at] == ']')
        return false;
    if (!skip_value(*rest, &at, out_value))
        return false;
    *rest = span_cut(*rest, at, SIZE_MAX);
    return true;
}

/* ---- the envelope ---- */

/* Takes `,"sessionId":"…"}` or `}` off the end. In a JSON text that stands at top level: inside
 * a string the quotes would be escaped, and the last brace closes the message. */
static bool cut_tail(struct span *s, struct span *out_session)
{
    const struct span key = SPAN(",\"sessionId\":\"");
    if (s->n < 2 || s->p[s->n - 1] != '}')
        return false;
    *out_session = SPAN_NONE;
    if (s->p[s->n - 2] != '"') {
        s->n--;
        return true;
    }
    size_t end = s->n - 2, from = end;
    while (from > 0 && s->p[from - 1] != '"' && end - from < CDP_SESSION_MAX)
        from--;
    if (from < key.n || !span_eq(span_cut(*s, from - key.n, key.n), key))
        return false;
    *out_session = span_cut(*s, from, end - from);
    s->n = from - key.n;
    return true;
}

/* Behind the head stands either nothing or `,"NAME":` and the payload up to the end. */
static bool payload_at(struct span s, const char *name, struct span *out)
{
    struct span rest = s;
    if (!span_starts(rest, SPAN(",\"")))
        return false;
    rest = span_cut(rest, 2, SIZE_MAX);
    if (!span_starts(rest, span_of(name)))
        return false;
    rest = span_cut(rest, strlen(name), SIZE_MAX);
    if (!span_starts(rest, SPAN("\":{")) || rest.p[rest.n - 1] != '}')
        return false;
    *out = span_cut(rest, 2, SIZE_MAX);
    return true;
}

static bool read_fast_answer(struct span s, struct cdp_message *m)
{
    size_t digits = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (!span_int(span_cut(s, 0, digits), &m->id))
        return false;
    m->answer = true;
    struct span rest = span_cut(s, digits, SIZE_MAX);
    if (payload_at(rest, "result", &m->payload))
        return true;
    m->refused = true;
    return payload_at(rest, "error", &m->payload);
}

static bool read_fast_event(struct span s, struct cdp_message *m)
{
    size_t quote = span_find_char(s, '"');
    if (quote == s.n || quote == 0)
        return false;
    m->method = span_cut(s, 0, quote);
    if (span_find_char(m->method, '\\') != m->method.n)
        return false;
    struct span rest = span_cut(s, quote + 1, SIZE_MAX);
    return rest.n == 0 || payload_at(rest, "params", &m->payload);
}

static bool read_fast(struct span text, struct cdp_message *m)
{
    const struct span answer = SPAN("{\"id\":"), event = SPAN("{\"method\":\"");
    if (!cut_tail(&text, &m->session))
        return false;
    if (span_starts(text, answer))
        return read_fast_answer(span_cut(text, answer.n, SIZE_MAX), m);
    if (span_starts(text, event))
        return read_fast_event(span_cut(text, event.n, SIZE_MAX), m);
    return false;
}

static bool text_of(struct span value, struct span *out)
{
    if (value.n < 2 || value.p[0] != '"')
        return false;
    *out = span_cut(value, 1, value.n - 2);
    return true;
}

static bool take_member(const struct member *m, struct cdp_message *out)
{
    if (span_is(m->key, "id"))
        return out->answer = span_int(m->value, &out->id);
    if (span_is(m->key, "method"))
        return text_of(m->value, &out->method);
    if (span_is(m->key, "sessionId"))
        return text_of(m->value, &out->session) && out->session.n <= CDP_SESSION_MAX;
    if (span_is(m->key, "error"))
        out->refused = true;
    if (span_is(m->key, "error") || span_is(m->key, "result") || span_is(m->key, "params"))
        out->payload = m->value;
    return true;
}

static bool read_slowly(struct span text, struct cdp_message *out)
{
    size_t at = 0;
    bool ended = false;
    struct member m;
    skip_space(text, &at);
    if (at >= text.n || text.p[at] != '{')
        return false;
    while (next_member(text, &at, &m, &ended)) {
        if (!take_member(&m, out))
            return false;
    }
    skip_space(text, &at);
    return ended && at == text.n && (out->answer ? out->method.n == 0 : out->method.n > 0);
}

err cdp_read(struct span text, struct cdp_message *out)
{
    *out = (struct cdp_message){0};
    if (read_fast(text, out))
        return E_OK;
    *out = (struct cdp_message){0};
    return read_slowly(text, out) ? E_OK : E_PROTOCOL;
}

void cdp_add_command(struct buf *out, uint32_t id, struct span session, const char *method,
                     struct span params)
{
    buf_fmt(out, "{\"id\":%u,\"method\":\"%s\",\"params\":", id, method);
    if (params.n > 0)
        buf_add(out, params);
    else
        buf_add_text(out, "{}");
    if (session.n > 0)
        buf_fmt(out, ",\"sessionId\":\"%.*s\"", SP(session));
    buf_add_char(out, '}');
}

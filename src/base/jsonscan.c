#include "base/jsonscan.h"

#include "base/text.h"

enum want {
    WANT_VALUE,
    WANT_ITEM_OR_END, /* after [ */
    WANT_KEY_OR_END,  /* after { */
    WANT_KEY,
    WANT_AFTER, /* comma or closing bracket */
};

struct scan {
    char *p;
    size_t n, at;
    size_t mends;
    uint64_t objects; /* the innermost open bracket is bit 0: 1 = object */
    int depth;
    enum want want;
    struct fault *f;
};

static err broken(struct scan *s, const char *what)
{
    return fail(s->f, E_BAD_SYNTAX, "JSON is broken at offset %zu: %s", s->at, what);
}

static bool is_at(const struct scan *s, char c)
{
    return s->at < s->n && s->p[s->at] == c;
}

static bool is_digit_at(const struct scan *s)
{
    return s->at < s->n && s->p[s->at] >= '0' && s->p[s->at] <= '9';
}

static void skip_white(struct scan *s)
{
    while (is_at(s, ' ') || is_at(s, '\n') || is_at(s, '\t') || is_at(s, '\r'))
        s->at++;
}

/* Four hexadecimal digits at `at`; -1 when they are not there. */
static int32_t hex4(const struct scan *s, size_t at)
{
    int32_t value = 0;
    if (s->n - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        char c = s->p[i];
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool is_half(int32_t unit, int32_t first)
{
    return unit >= first && unit < first + 0x400;
}

static err scan_escape(struct scan *s)
{
    size_t start = s->at++;
    if (s->at == s->n)
        return broken(s, "text ends inside a string");
    char c = s->p[s->at];
    if (c != 'u') {
        if (!memchr("\"\\/bfnrt", c, 8))
            return broken(s, "unknown escape");
        s->at++;
        return E_OK;
    }
    int32_t unit = hex4(s, start + 2);
    if (unit < 0)
        return broken(s, "\\u needs four hexadecimal digits");
    s->at = start + 6;
    if (is_half(unit, 0xd800) && s->n - s->at >= 6 && s->p[s->at] == '\\' &&
        s->p[s->at + 1] == 'u' && is_half(hex4(s, s->at + 2), 0xdc00)) {
        s->at += 6;
    } else if (is_half(unit, 0xd800) || is_half(unit, 0xdc00)) {
        memcpy(s->p + start, "\\ufffd", 6);
        s->mends++;
    }
    return E_OK;
}

static err scan_string(struct scan *s)
{
    s->at++;
    while (s->at < s->n) {
        unsigned char c = (unsigned char)s->p[s->at];
        err e = E_OK;
        if (c == '"') {
            s->at++;
            return E_OK;
        }
        if (c == '\\') {
            e = scan_escape(s);
        } else if (c < ' ') {
            e = broken(s, "control character inside a string");
        } else if (c < 0x80) {
            s->at++;
        } else {
            size_t after = s->at;
            text_next((struct span){s->p, s->n}, &after);
            if (after == s->at + 1)
                e = broken(s, "not UTF-8");
            s->at = after;
        }
        if (e)
            return e;
    }
    return broken(s, "text ends inside a string");
}

static bool fits_64_bits(struct span digits, bool minus)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.n; i++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digits.p[i] - '0'), &value))
            return false;
    return !minus || value <= (uint64_t)INT64_MAX + 1;
}

static err scan_digits(struct scan *s)
{
    if (!is_digit_at(s))
        return broken(s, "a digit is missing");
    while (is_digit_at(s))
        s->at++;
    return E_OK;
}

static err scan_number(struct scan *s)
{
    bool minus = is_at(s, '-');
    s->at += minus;
    size_t start = s->at;
    err e = scan_digits(s);
    if (e)
        return e;
    struct span digits = {s->p + start, s->at - start};
    if (digits.n > 1 && digits.p[0] == '0') {
        s->at = start;
        return broken(s, "a number starts with 0");
    }
    bool real = false;
    if (is_at(s, '.')) {
        real = true;
        s->at++;
        e = scan_digits(s);
        if (e)
            return e;
    }
    if (is_at(s, 'e') || is_at(s, 'E')) {
        real = true;
        s->at++;
        if (is_at(s, '+') || is_at(s, '-'))
            s->at++;
        e = scan_digits(s);
        if (e)
            return e;
    }
    if (!real && !fits_64_bits(digits, minus)) {
        memcpy(s->p + s->at - 2, "e2", 2);
        s->mends++;
    }
    return E_OK;
}

static err scan_word(struct scan *s, struct span word)
{
    if (!span_starts((struct span){s->p + s->at, s->n - s->at}, word))
        return broken(s, "a value is missing");
    s->at += word.n;
    return E_OK;
}

static err scan_open(struct scan *s, bool object)
{
    if (s->depth == JSON_DEPTH_MOST)
        return fail(s->f, E_TOO_BIG, "JSON is nested deeper than %d levels at offset %zu",
                    JSON_DEPTH_MOST, s->at);
    s->depth++;
    s->objects = s->objects << 1 | object;
    s->want = object ? WANT_KEY_OR_END : WANT_ITEM_OR_END;
    s->at++;
    return E_OK;
}

static void scan_close(struct scan *s)
{
    s->depth--;
    s->objects >>= 1;
    s->want = WANT_AFTER;
    s->at++;
}

static err scan_value(struct scan *s)
{
    char c = s->p[s->at];
    if (c == '{' || c == '[')
        return scan_open(s, c == '{');
    s->want = WANT_AFTER;
    if (c == '"')
        return scan_string(s);
    if (c == '-' || is_digit_at(s))
        return scan_number(s);
    return scan_word(s, c == 't' ? SPAN("true") : c == 'f' ? SPAN("false") : SPAN("null"));
}

static err scan_key(struct scan *s)
{
    if (!is_at(s, '"'))
        return broken(s, "a key is missing");
    err e = scan_string(s);
    if (e)
        return e;
    skip_white(s);
    if (!is_at(s, ':'))
        return broken(s, "a colon is missing");
    s->at++;
    s->want = WANT_VALUE;
    return E_OK;
}

static err scan_after(struct scan *s)
{
    bool object = s->objects & 1;
    if (s->depth == 0)
        return broken(s, "there is more after the end");
    if (is_at(s, object ? '}' : ']')) {
        scan_close(s);
        return E_OK;
    }
    if (!is_at(s, ','))
        return broken(s, object ? "a comma or } is missing" : "a comma or ] is missing");
    s->at++;
    s->want = object ? WANT_KEY : WANT_VALUE;
    return E_OK;
}

static err scan_step(struct scan *s)
{
    switch (s->want) {
    case WANT_ITEM_OR_END:
    case WANT_KEY_OR_END:
        if (is_at(s, s->want == WANT_KEY_OR_END ? '}' : ']')) {
            scan_close(s);
            return E_OK;
        }
        return s->want == WANT_KEY_OR_END ? scan_key(s) : scan_value(s);
    case WANT_VALUE:
        return scan_value(s);
    case WANT_KEY:
        return scan_key(s);
    case WANT_AFTER:
        return scan_after(s);
    }
    return E_BUG;
}

err jsonscan_mend(char *text, size_t n, size_t *out_mends, struct fault *f)
{
    struct scan s = {.p = text, .n = n, .want = WANT_VALUE, .f = f};
    for (skip_white(&s); s.at < n; skip_white(&s)) {
        err e = scan_step(&s);
        if (e)
            return e;
    }
    if (s.depth > 0 || s.want != WANT_AFTER)
        return broken(&s, "text ends too early");
    *out_mends = s.mends;
    return E_OK;
}

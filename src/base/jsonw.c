/* The writer half of json.h. */
#include "base/json.h"

#include "base/need.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MOST = 60 };

struct json_w json_w(struct buf *out)
{
    return (struct json_w){.out = out, .first = 1};
}

static bool is_first(const struct json_w *w)
{
    return w->first >> w->depth & 1;
}

/* What stands before a key or a value: a comma, or nothing. */
static void begin(struct json_w *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (is_first(w)) {
        w->first &= ~(UINT64_C(1) << w->depth);
        return;
    }
    need(w->depth > 0); /* a text holds one value */
    buf_add_char(w->out, ',');
}

static void nest(struct json_w *w, char c)
{
    begin(w);
    need(w->depth < DEPTH_MOST);
    w->depth++;
    w->first |= UINT64_C(1) << w->depth;
    buf_add_char(w->out, c);
}

static void unnest(struct json_w *w, char c)
{
    need(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_add_char(w->out, c);
}

void json_open(struct json_w *w)
{
    nest(w, '{');
}

void json_close(struct json_w *w)
{
    unnest(w, '}');
}

void json_open_array(struct json_w *w)
{
    nest(w, '[');
}

void json_close_array(struct json_w *w)
{
    unnest(w, ']');
}

void json_key(struct json_w *w, const char *key)
{
    json_key_span(w, span_of(key));
}

void json_key_span(struct json_w *w, struct span key)
{
    need(w->depth > 0 && !w->after_key);
    begin(w);
    json_add_string(w->out, key);
    buf_add_char(w->out, ':');
    w->after_key = true;
}

void json_put_text(struct json_w *w, struct span s)
{
    begin(w);
    json_add_string(w->out, s);
}

void json_put_int(struct json_w *w, int64_t v)
{
    begin(w);
    buf_fmt(w->out, "%" PRId64, v);
}

void json_put_real(struct json_w *w, double v)
{
    if (!isfinite(v)) {
        json_put_null(w);
        return;
    }
    begin(w);
    /* The shortest text that reads back as the same number. */
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (!(strtod(text, NULL) < v) && !(strtod(text, NULL) > v))
            break;
    }
    buf_add_text(w->out, text);
    if (!strpbrk(text, ".e"))
        buf_add_text(w->out, ".0");
}

void json_put_bool(struct json_w *w, bool v)
{
    begin(w);
    buf_add_text(w->out, v ? "true" : "false");
}

void json_put_null(struct json_w *w)
{
    begin(w);
    buf_add_text(w->out, "null");
}

void json_put_raw(struct json_w *w, struct span json)
{
    begin(w);
    buf_add(w->out, json.n > 0 ? json : SPAN("null"));
}

void json_kv_text(struct json_w *w, const char *key, struct span s)
{
    json_key(w, key);
    if (s.p)
        json_put_text(w, s);
    else
        json_put_null(w);
}

void json_kv_cstr(struct json_w *w, const char *key, const char *s)
{
    json_kv_text(w, key, span_of(s));
}

void json_kv_int(struct json_w *w, const char *key, int64_t v)
{
    json_key(w, key);
    json_put_int(w, v);
}

void json_kv_given(struct json_w *w, const char *key, int64_t v)
{
    if (v)
        json_kv_int(w, key, v);
}

void json_kv_known(struct json_w *w, const char *key, bool known, int64_t v)
{
    if (known)
        json_kv_int(w, key, v);
    else
        json_kv_null(w, key);
}

void json_kv_bool(struct json_w *w, const char *key, bool v)
{
    json_key(w, key);
    json_put_bool(w, v);
}

void json_kv_null(struct json_w *w, const char *key)
{
    json_key(w, key);
    json_put_null(w);
}

/* ---- strings ---- */

static bool is_special(unsigned char c)
{
    return c < ' ' || c == '"' || c == '\\' || c == 0x7f;
}

static void add_special(struct buf *out, unsigned char c)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    const char *at = c ? strchr(from, c) : NULL;
    if (at)
        buf_fmt(out, "\\%c", to[at - from]);
    else
        buf_fmt(out, "\\u%04x", c);
}

/* s is well-formed UTF-8: runs of ordinary characters are copied whole. */
static void add_runs(struct buf *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!is_special(c))
            continue;
        buf_add(out, span_cut(s, from, i - from));
        add_special(out, c);
        from = i + 1;
    }
    buf_add(out, span_cut(s, from, s.n));
}

static void add_mended(struct buf *out, struct span s)
{
    for (size_t at = 0; at < s.n;) {
        uint32_t c = text_next(s, &at);
        if (c < 0x80 && is_special((unsigned char)c))
            add_special(out, (unsigned char)c);
        else
            text_add_code(out, c);
    }
}

void json_add_string(struct buf *out, struct span s)
{
    buf_add_char(out, '"');
    if (text_valid(s))
        add_runs(out, s);
    else
        add_mended(out, s);
    buf_add_char(out, '"');
}

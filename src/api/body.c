#include "api/body.h"

#include "base/text.h"
#include "core/failure.h"

enum { WORDS_MAX = 512, POINTER_MAX = 300, KEY_SHOWN = 128, KNOWN_MAX = 1024 };

void body_refuse(struct body *b, struct span pointer, const char *code, const char *fmt, ...)
{
    if (b->refusal->error_count == ORDER_ERRORS_MAX)
        return;
    struct buf text = BUF(WORDS_MAX + KNOWN_MAX);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&text, fmt, ap);
    va_end(ap);
    b->refusal->errors[b->refusal->error_count++] = (struct problem_error){
        .pointer = arena_keep(b->arena, pointer),
        .code = code,
        .detail = arena_keep(b->arena, buf_span(&text)),
    };
    buf_free(&text);
}

/* What is wrong with the whole. */
static bool refused(struct body *b, int status, const char *code, const char *detail)
{
    b->refusal->status = status;
    b->refusal->code = code;
    b->refusal->detail = span_of(detail);
    return false;
}

/* RFC 6901: ~ and / are escaped. */
struct span body_pointer(struct body *b, const char *at, struct span key)
{
    struct buf text = BUF(POINTER_MAX);
    buf_fmt(&text, "%s/", at);
    for (size_t i = 0; i < key.n && i < KEY_SHOWN; i++) {
        if (key.p[i] == '~')
            buf_add_text(&text, "~0");
        else if (key.p[i] == '/')
            buf_add_text(&text, "~1");
        else
            buf_add_char(&text, key.p[i]);
    }
    struct span pointer = arena_keep(b->arena, buf_span(&text));
    buf_free(&text);
    return pointer;
}

static void add_names(struct buf *out, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        buf_fmt(out, "%s%s", i ? ", " : "", names[i]);
}

void body_refuse_name(struct body *b, struct span pointer, struct span wrong,
                      const char *const *names)
{
    const char *near = text_nearest(wrong, names);
    struct buf known = BUF(KNOWN_MAX);
    add_names(&known, names);
    if (near)
        body_refuse(b, pointer, "unknown", "did you mean \"%s\"?", near);
    else
        body_refuse(b, pointer, "unknown", "known are: %.*s", SP(buf_span(&known)));
    buf_free(&known);
}

static bool is_known(struct span key, const char *const *members)
{
    for (size_t i = 0; members[i]; i++)
        if (span_is(key, members[i]))
            return true;
    return false;
}

static void refuse_unknown(struct body *b, struct json object, const char *at,
                           const char *const *members)
{
    struct buf known = BUF(KNOWN_MAX);
    add_names(&known, members);
    for (struct json_iter i = json_each(object); json_next(&i);) {
        const char *near = is_known(i.key, members) ? NULL : text_nearest(i.key, members);
        if (near)
            body_refuse(b, body_pointer(b, at, i.key), "unknown_field", "did you mean \"%s\"?",
                        near);
        else if (!is_known(i.key, members))
            body_refuse(b, body_pointer(b, at, i.key), "unknown_field", "known are %.*s",
                        SP(buf_span(&known)));
    }
    buf_free(&known);
}

static void refuse_twice(struct body *b, struct json object, const char *at,
                         const char *const *members)
{
    for (size_t m = 0; members[m]; m++) {
        size_t times = 0;
        for (struct json_iter i = json_each(object); json_next(&i);)
            times += span_is(i.key, members[m]);
        if (times > 1)
            body_refuse(b, body_pointer(b, at, span_of(members[m])), "duplicate_field",
                        "given %zu times", times);
    }
}

void body_members(struct body *b, struct json object, const char *at,
                  const char *const *members)
{
    refuse_unknown(b, object, at, members);
    refuse_twice(b, object, at, members);
}

bool body_read(struct body *b, struct json_parser *parser, struct span text, bool may_be_empty,
               const char *const *members, struct json *out_root)
{
    struct fault f = {0};
    if (may_be_empty && !span_trim(text).n)
        text = SPAN("{}");
    if (json_parse(parser, text, out_root, &f)) {
        char *words = arena_fmt(b->arena, "the body is not JSON: %s", f.words);
        return refused(b, 400, "malformed_json", words);
    }
    if (!json_is(*out_root, JSON_OBJECT))
        return refused(b, 400, "malformed_json", "the body must be a JSON object");
    refuse_unknown(b, *out_root, "", members);
    if (b->refusal->error_count)
        return body_fine(b);
    refuse_twice(b, *out_root, "", members);
    return body_fine(b);
}

static bool has(const struct body *b, const char *code)
{
    for (size_t i = 0; i < b->refusal->error_count; i++)
        if (strcmp(b->refusal->errors[i].code, code) == 0)
            return true;
    return false;
}

bool body_fine(struct body *b)
{
    if (!b->refusal->error_count)
        return true;
    if (has(b, "unknown_field"))
        return refused(b, 400, "unknown_field", "the body has members that are not known");
    if (has(b, "duplicate_field"))
        return refused(b, 400, "duplicate_field", "the body names a member more than once");
    return refused(b, 422, "validation_failed", "values were refused, see errors");
}

bool body_given(struct json object, const char *key, struct json *out)
{
    *out = json_get(object, span_of(key));
    return out->doc && !json_is(*out, JSON_NULL);
}

void body_number(struct body *b, struct json object, const char *at, const char *key,
                 int64_t min, int64_t max, int64_t *value)
{
    struct json v;
    int64_t n;
    if (!body_given(object, key, &v))
        return;
    struct span pointer = body_pointer(b, at, span_of(key));
    if (!json_int(v, &n))
        body_refuse(b, pointer, "type", "must be a whole number");
    else if (n < min || n > max)
        body_refuse(b, pointer, "range", "must be %lld to %lld", (long long)min,
                    (long long)max);
    else
        *value = n;
}

void body_flag(struct body *b, struct json object, const char *at, const char *key, bool *value)
{
    struct json v;
    if (body_given(object, key, &v) && !json_bool(v, value))
        body_refuse(b, body_pointer(b, at, span_of(key)), "type", "must be true or false");
}

void body_text(struct body *b, struct json object, const char *at, const char *key, size_t most,
               struct span *value)
{
    struct json v;
    struct span text;
    if (!body_given(object, key, &v))
        return;
    struct span pointer = body_pointer(b, at, span_of(key));
    if (!json_text(v, &text))
        body_refuse(b, pointer, "type", "must be a text");
    else if (text.n < 1 || text.n > most)
        body_refuse(b, pointer, "range", "must have 1 to %zu bytes", most);
    else
        *value = arena_keep(b->arena, text);
}

bool body_time(struct body *b, struct json object, const char *at, const char *key, wall *value)
{
    struct json v;
    struct span text;
    if (!body_given(object, key, &v))
        return false;
    if (json_text(v, &text) && when_parse(text, value))
        return true;
    body_refuse(b, body_pointer(b, at, span_of(key)), "format",
                "must be a date (2026-02-06) or RFC 3339 (2026-02-06T12:00:00Z)");
    return false;
}

bool body_texts(struct body *b, struct json object, const char *at, const char *key,
                const char *example, struct json *out)
{
    if (!body_given(object, key, out))
        return false;
    bool texts = json_is(*out, JSON_ARRAY) && json_count(*out) > 0;
    for (struct json_iter i = json_each(*out); texts && json_next(&i);)
        texts = json_is(i.value, JSON_TEXT);
    if (!texts)
        body_refuse(b, body_pointer(b, at, span_of(key)), "type",
                    "must be a list of texts such as %s", example);
    return texts;
}

bool body_choice(struct body *b, struct json object, const char *at, const char *key,
                 const char *const *names, int *value)
{
    struct json v;
    struct span text;
    if (!body_given(object, key, &v))
        return false;
    struct span pointer = body_pointer(b, at, span_of(key));
    if (!json_text(v, &text)) {
        body_refuse(b, pointer, "type", "must be a text such as \"%s\"", names[0]);
        return false;
    }
    for (int i = 0; names[i]; i++) {
        if (!span_is(text, names[i]))
            continue;
        *value = i;
        return true;
    }
    body_refuse_name(b, pointer, text, names);
    return false;
}

void body_failure(struct body *b, struct json object, const char *at, const char *key,
                  int *value)
{
    const char *names[FAILURE_COUNT] = {NULL};
    int place = 0;
    for (int i = 1; i < FAILURE_COUNT; i++)
        names[i - 1] = failure_name((enum failure_class)i);
    if (body_choice(b, object, at, key, names, &place))
        *value = place + 1; /* the first class is none */
}

void body_setting(struct body *b, struct json object, const char *at, const char *key,
                  int64_t min, int64_t max, int64_t of_null, int64_t *value)
{
    if (json_is(json_get(object, span_of(key)), JSON_NULL))
        *value = of_null;
    else
        body_number(b, object, at, key, min, max, value);
}

#include "cli/filter.h"

#include "base/arena.h"

#include <jq.h>

struct filter {
    jq_state *jq;
    struct buf words; /* what libjq said last */
};

static void on_error(void *ctx, jv message)
{
    struct filter *filter = ctx;
    if (jv_get_kind(message) == JV_KIND_STRING && !filter->words.n)
        buf_add_text(&filter->words, jv_string_value(message));
    jv_free(message);
}

/* "error: syntax error, unexpected end of file (Unix shell quoting issues?) at <top-level>, line 1:\n.[" */
static err refuse(const struct filter *filter, struct fault *f)
{
    struct span line = buf_span(&filter->words);
    if (span_starts(line, SPAN("jq: ")))
        line = span_cut(line, 4, line.n);
    line = span_cut(line, 0, span_find_char(line, '\n'));
    return fail(f, E_BAD_INPUT, "--jq: %.*s", SP(span_cut(line, 0, 200)));
}

err filter_new(struct filter **out, const char *expression, struct fault *f)
{
    struct filter *filter = heap_new_of(struct filter);
    filter->words = BUF(4096);
    filter->jq = jq_init();
    if (!filter->jq) {
        free(filter);
        return fail(f, E_NO_MEMORY, "libjq could not be started");
    }
    jq_set_error_cb(filter->jq, on_error, filter);
    if (!jq_compile(filter->jq, expression)) {
        err e = refuse(filter, f);
        filter_free(&filter);
        return e;
    }
    *out = filter;
    return E_OK;
}

void filter_free(struct filter **handle)
{
    struct filter *filter = *handle;
    if (!filter)
        return;
    jq_teardown(&filter->jq);
    buf_free(&filter->words);
    free(filter);
    *handle = NULL;
}

static err hand_over(jv result, err (*each)(void *ctx, struct span result, bool is_text),
                     void *ctx)
{
    bool is_text = jv_get_kind(result) == JV_KIND_STRING;
    jv text = is_text ? jv_copy(result) : jv_dump_string(jv_copy(result), 0);
    struct span said = {jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text))};
    err e = each(ctx, said, is_text);
    jv_free(text);
    jv_free(result);
    return e;
}

/* What the expression says when it stops: nothing at its end. */
static err stopped(jv last, struct fault *f)
{
    if (!jv_invalid_has_msg(jv_copy(last))) {
        jv_free(last);
        return E_OK;
    }
    jv message = jv_invalid_get_msg(last);
    jv text = jv_get_kind(message) == JV_KIND_STRING ? jv_copy(message)
                                                     : jv_dump_string(jv_copy(message), 0);
    err e = fail(f, E_BAD_INPUT, "--jq: %.200s", jv_string_value(text));
    jv_free(text);
    jv_free(message);
    return e;
}

err filter_run(struct filter *filter, struct span json,
               err (*each)(void *ctx, struct span result, bool is_text), void *ctx,
               struct fault *f)
{
    jv document = jv_parse_sized(json.p, (int)json.n);
    err e = E_OK;
    if (!jv_is_valid(document)) {
        jv_free(document);
        return fail(f, E_BAD_SYNTAX, "the answer is no JSON");
    }
    jq_start(filter->jq, document, 0);
    jv result = jq_next(filter->jq);
    while (!e && jv_is_valid(result)) {
        e = hand_over(result, each, ctx);
        result = e ? jv_invalid() : jq_next(filter->jq);
    }
    err end = stopped(result, f);
    return e ? e : end;
}

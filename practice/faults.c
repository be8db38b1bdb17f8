#include "faults.h"

#include "model.h"

#include "base/text.h"

#include <stdlib.h>

static const struct {
    const char *name;
    double most;
    const char *help;
} kinds[FAULT_COUNT] = {
#define FAULT_ROW(name, most, help) {#name, most, help},
    FAULT_KINDS(FAULT_ROW)
#undef FAULT_ROW
};

const char *faults_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

const char *faults_help(enum fault_kind kind)
{
    return kinds[kind].help;
}

static bool kind_find(struct span name, enum fault_kind *out_kind)
{
    if (span_is(name, "latency"))
        name = SPAN("latency_ms");
    if (span_is(name, "5xx"))
        name = SPAN("error5xx");
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (span_is(name, kinds[i].name)) {
            *out_kind = (enum fault_kind)i;
            return true;
        }
    }
    return false;
}

static err kind_unknown(struct span name, struct fault *f)
{
    const char *names[FAULT_COUNT + 1] = {NULL};
    struct buf all = BUF(512);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        names[i] = kinds[i].name;
        buf_fmt(&all, "%s%s", i ? " " : "", kinds[i].name);
    }
    const char *near = text_nearest(name, names);
    err e =
        near ? fail(f, E_BAD_INPUT, "unknown fault '%.*s'; did you mean '%s'?", SP(name), near)
             : fail(f, E_BAD_INPUT, "unknown fault '%.*s'; there are: %.*s", SP(name),
                    SP(buf_span(&all)));
    buf_free(&all);
    return e;
}

static err put_value(struct faults *set, enum fault_kind kind, double value, struct fault *f)
{
    if (!(value >= 0 && value <= kinds[kind].most))
        return fail(f, E_BAD_INPUT, "fault %s must be between 0 and %g", kinds[kind].name,
                    kinds[kind].most);
    set->value[kind] = value;
    return E_OK;
}

static bool number_parse(struct span text, double *out_value)
{
    char copy[32], *end = NULL;
    if (!text.n || text.n >= sizeof(copy))
        return false;
    span_copy(text, copy, sizeof(copy));
    *out_value = strtod(copy, &end);
    return *end == '\0';
}

err faults_set(struct faults *set, struct span text, struct fault *f)
{
    size_t at = span_find_char(text, '=');
    if (at == text.n)
        at = span_find_char(text, ':');
    struct span name = span_cut(text, 0, at);
    struct span value_text = span_cut(text, at + 1, text.n);
    enum fault_kind kind;
    double value = 1;
    if (!kind_find(name, &kind))
        return kind_unknown(name, f);
    size_t slash = span_find_char(value_text, '/');
    if (kind == FAULT_rate429 && slash < value_text.n) {
        double seconds = 0;
        if (!number_parse(span_cut(value_text, slash + 1, value_text.n), &seconds))
            return fail(f, E_BAD_INPUT, "fault rate429 takes CHANCE/SECONDS");
        err e = put_value(set, FAULT_rate429_s, seconds, f);
        if (e)
            return e;
        value_text = span_cut(value_text, 0, slash);
    }
    if (at < text.n && !number_parse(value_text, &value))
        return fail(f, E_BAD_INPUT, "fault %s needs a number, not '%.*s'", kinds[kind].name,
                    SP(value_text));
    return put_value(set, kind, value, f);
}

err faults_set_json(struct faults *set, struct span json, struct fault *f)
{
    struct faults next = *set;
    struct json_parser *parser = json_parser_new(64 * 1024);
    struct json root;
    err e = json_parse(parser, json, &root, f);
    if (!e && !json_is(root, JSON_OBJECT))
        e = fail(f, E_BAD_INPUT, "the body must be an object of fault kinds and numbers");
    struct json_iter i = json_each(e ? JSON_MISSING : root);
    while (!e && json_next(&i)) {
        enum fault_kind kind;
        double value = 0;
        bool on = false;
        if (!kind_find(i.key, &kind))
            e = kind_unknown(i.key, f);
        else if (json_real(i.value, &value))
            e = put_value(&next, kind, value, f);
        else if (json_bool(i.value, &on))
            e = put_value(&next, kind, on ? 1 : 0, f);
        else
            e = fail(f, E_BAD_INPUT, "fault %s needs a number", kinds[kind].name);
    }
    if (!e)
        *set = next;
    json_parser_free(&parser);
    return e;
}

static void put_values(struct json_w *w, const struct faults *set)
{
    json_open(w);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        json_key(w, kinds[i].name);
        json_put_real(w, set->value[i]);
    }
    json_close(w);
}

void faults_add_json(struct buf *out, const struct faults *set, bool with_help)
{
    struct json_w w = json_w(out);
    if (!with_help) {
        put_values(&w, set);
        return;
    }
    json_open(&w);
    json_key(&w, "values");
    put_values(&w, set);
    json_key(&w, "help");
    json_open(&w);
    for (size_t i = 0; i < FAULT_COUNT; i++)
        json_kv_cstr(&w, kinds[i].name, kinds[i].help);
    json_close(&w);
    json_close(&w);
}

static double draw(struct fault_draws *d, enum fault_kind kind)
{
    uint64_t n = atomic_fetch_add(&d->drawn[kind], 1);
    return (double)(model_mix(d->seed, 0xfa17u + (uint64_t)kind, n) >> 11) / 9007199254740992.0;
}

bool faults_draw(struct fault_draws *d, enum fault_kind kind, double chance)
{
    if (chance <= 0)
        return false;
    return draw(d, kind) < chance;
}

int64_t faults_draw_below(struct fault_draws *d, enum fault_kind kind, int64_t limit)
{
    return limit <= 0 ? 0 : (int64_t)(draw(d, kind) * (double)(limit + 1));
}

#include "extract/plan.h"

#include "base/json.h"
#include "base/text.h"
#include "extract/site.h"

enum {
    URL_BYTES = 64 * 1024,
    VARIABLES_BYTES = 32 * 1024,
};

/* ---- making ---- */

const char *plan_strategy_name(enum plan_strategy s)
{
    static const char *const names[PLAN_STRATEGIES] = {
        [PLAN_CAPTURE] = "capture", [PLAN_DOM] = "dom", [PLAN_FETCH] = "fetch"};
    return names[s];
}

/* A parameter of the query without a value is left out: back to the '?' or '&' before it. */
static void drop_parameter(struct buf *out)
{
    while (out->n > 0 && out->p[out->n - 1] != '?' && out->p[out->n - 1] != '&')
        out->n--;
    if (out->n > 0)
        out->n--;
}

bool plan_strategy_parse(struct span name, enum plan_strategy *out)
{
    for (int i = 0; i < PLAN_STRATEGIES; i++)
        if (span_is(name, plan_strategy_name((enum plan_strategy)i))) {
            *out = (enum plan_strategy)i;
            return true;
        }
    return false;
}

struct span pack_instances(const struct pack *p)
{
    return p->instances;
}

err plan_configure(struct plan *plan, struct span instances, struct arena *a, struct fault *f)
{
    const struct source **kept = arena_get(a, (plan->source_count + 1) * sizeof *kept);
    size_t count = 0, steps = 0;
    if (!kept)
        return fail(f, E_NO_MEMORY, "no memory for the plan");
    for (size_t i = 0; i < plan->source_count; i++)
        if (span_is(instances, PLAN_ALL_SERVERS) ||
            source_is_configured(plan->sources[i], instances))
            kept[count++] = plan->sources[i];
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].strategy != PLAN_FETCH || count)
            plan->steps[steps++] = plan->steps[i];
    plan->sources = kept;
    plan->source_count = count;
    plan->step_count = steps;
    return E_OK;
}

err plan_only(struct plan *plan, enum plan_strategy s, struct fault *f)
{
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].strategy == s) {
            plan->steps[0] = plan->steps[i];
            plan->step_count = 1;
            return E_OK;
        }
    return fail(f, E_BAD_INPUT, "'%.*s' cannot be read by the strategy %s here", SP(plan->kind),
                plan_strategy_name(s));
}

static err fill_url(struct buf *out, struct span pattern, const struct plan *plan)
{
    while (pattern.n) {
        size_t open = span_find_char(pattern, '{');
        buf_add(out, span_cut(pattern, 0, open));
        pattern = span_cut(pattern, open, pattern.n);
        if (span_starts(pattern, SPAN("{base}"))) {
            buf_add(out, plan->base);
            pattern = span_cut(pattern, sizeof "{base}" - 1, pattern.n);
        } else if (span_starts(pattern, SPAN("{host}"))) {
            buf_add(out, plan->host);
            pattern = span_cut(pattern, sizeof "{host}" - 1, pattern.n);
        } else if (span_starts(pattern, SPAN("{input}"))) {
            text_add_url_escaped(out, plan->input);
            pattern = span_cut(pattern, sizeof "{input}" - 1, pattern.n);
        } else if (span_starts(pattern, SPAN("{id}"))) {
            buf_add(out, plan->below);
            pattern = span_cut(pattern, sizeof "{id}" - 1, pattern.n);
        } else if (span_starts(pattern, SPAN("{item}"))) {
            text_add_url_escaped(out, plan->item);
            pattern = span_cut(pattern, sizeof "{item}" - 1, pattern.n);
        } else if (span_starts(pattern, SPAN("{product}"))) {
            if (plan->product_url.n)
                text_add_url_escaped(out, plan->product_url);
            else
                drop_parameter(out);
            pattern = span_cut(pattern, sizeof "{product}" - 1, pattern.n);
        } else if (pattern.n) {
            buf_add_char(out, pattern.p[0]);
            pattern = span_cut(pattern, 1, pattern.n);
        }
    }
    return out->failed;
}

/* "alice@example.org" in two, at the last '@'; "alice.test/post/3k2" at what the pack says. */
static void cut_target(const struct target *t, struct plan *plan)
{
    size_t at = plan->canonical.n;
    plan->input = plan->canonical;
    struct span split = t->input->split;
    if (split.n) {
        size_t cut = span_find(plan->canonical, split);
        plan->input = span_cut(plan->canonical, 0, cut);
        plan->item = span_cut(plan->canonical, cut + split.n, plan->canonical.n);
    }
    while (t->input->host && at > 0 && plan->canonical.p[at - 1] != '@')
        at--;
    if (!t->input->host || at == 0)
        return;
    plan->input = span_cut(plan->canonical, 0, at - 1);
    plan->host = span_cut(plan->canonical, at, plan->canonical.n);
}

static err add_base(const struct pack *p, const struct plan *plan, struct span base_url,
                    struct buf *out, struct fault *f)
{
    err e = E_OK;
    if (base_url.n)
        buf_add(out, base_url);
    else if (span_is(p->base_url, "{input}"))
        buf_add(out, plan->input);
    else
        e = fill_url(out, p->base_url, plan);
    return e || out->failed ? fail(f, E_TOO_BIG, "the site's URL is too long") : E_OK;
}

err pack_base(const struct pack *p, struct span kind, struct span canonical,
              struct span base_url, struct buf *out, struct fault *f)
{
    const struct target *t = NULL;
    struct plan plan = {.canonical = canonical};
    err e = pack_find_target(p, kind, &t, f);
    if (e)
        return e;
    cut_target(t, &plan);
    return add_base(p, &plan, base_url, out, f);
}

unsigned pack_share(const struct pack *p, struct span kind, struct span canonical)
{
    enum { HOST_MAX = 256 };
    struct buf base = BUF(URL_BYTES), host = BUF(HOST_MAX);
    unsigned share = 0;
    if (span_find_char(p->base_url, '{') < p->base_url.n &&
        pack_base(p, kind, canonical, SPAN_NONE, &base, NULL) == E_OK) {
        struct span s = buf_span(&base);
        size_t scheme = span_find(s, SPAN("://"));
        s = span_cut(s, scheme < s.n ? scheme + 3 : 0, s.n);
        for (size_t i = 0; i < s.n && !strchr("/?#:", s.p[i]); i++)
            buf_add_char(&host,
                         s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i]);
        share = (unsigned)(span_hash(buf_span(&host), 0) % PACK_SHARES) + 1;
    }
    buf_free(&base);
    buf_free(&host);
    return share;
}

bool pack_needs_page(const struct pack *p, struct span kind, struct span strategy)
{
    for (size_t i = 0; i < p->target_count; i++) {
        const struct target *t = &p->targets[i];
        for (size_t k = 0; (!kind.n || span_eq(t->kind, kind)) && k < t->step_count; k++) {
            enum plan_strategy by = t->steps[k].strategy;
            if (by != PLAN_FETCH && (!strategy.n || span_is(strategy, plan_strategy_name(by))))
                return true;
        }
    }
    return false;
}

static bool product_reads(const struct product *product, enum plan_strategy s)
{
    return !product || !product->has_reads || product->reads[s];
}

static struct span shown_pattern(const struct target *t, const struct product *product)
{
    return product && product->shown_url.n ? product->shown_url : t->shown_url;
}

/* Both pages, as what is asked for stands now. */
static err fill_pages(struct plan *plan, struct span pattern, struct arena *a, struct fault *f)
{
    struct buf url = BUF(URL_BYTES), shown = BUF(URL_BYTES);
    err e = E_OK;
    if (fill_url(&url, pattern, plan) || fill_url(&shown, plan->shown_pattern, plan))
        e = fail(f, E_TOO_BIG, "the target's URL is too long");
    plan->url = e ? plan->url : arena_keep(a, buf_span(&url));
    plan->shown_url = e ? plan->shown_url : arena_keep(a, buf_span(&shown));
    buf_free(&url);
    buf_free(&shown);
    return !e && (!plan->url.p || !plan->shown_url.p)
               ? fail(f, E_NO_MEMORY, "no memory for the plan")
               : e;
}

static void take_product(struct plan *plan, const struct target *t,
                         const struct product *product)
{
    bool own = product && product->sources;
    plan->step_count = 0;
    for (size_t i = 0; i < t->step_count; i++)
        if (product_reads(product, t->steps[i].strategy))
            plan->steps[plan->step_count++] = t->steps[i];
    plan->sources = own ? product->sources : t->sources;
    plan->source_count = own ? product->source_count : t->source_count;
    plan->users = product ? product->users : t->users;
    plan->ranked = t->ranked || (product && product->ranked);
    plan->product = product ? product->name : SPAN_NONE;
    plan->product_url = product ? product->value : SPAN_NONE;
    plan->shown_pattern = shown_pattern(t, product);
}

size_t pack_strategies(const struct pack *p, struct span kind, struct span product,
                       const char **out_names, size_t max)
{
    const struct target *t = NULL;
    const struct product *chosen = NULL;
    size_t n = 0;
    if (pack_find_target(p, kind, &t, NULL))
        return 0;
    (void)!target_product(t, product, &chosen, NULL);
    for (size_t k = 0; k < t->step_count && n < max; k++)
        if (product_reads(chosen, t->steps[k].strategy))
            out_names[n++] = plan_strategy_name(t->steps[k].strategy);
    return n;
}

static err fill_texts(struct plan *plan, const struct target *t, const struct pack *p,
                      struct arena *a, struct span base_url, struct fault *f)
{
    struct buf base = BUF(URL_BYTES);
    plan->canonical = arena_keep(a, plan->canonical);
    cut_target(t, plan);
    err e = add_base(p, plan, base_url, &base, f);
    plan->base = e ? SPAN_NONE : arena_keep(a, buf_span(&base));
    buf_free(&base);
    if (!e && (!plan->base.p || !plan->canonical.p))
        e = fail(f, E_NO_MEMORY, "no memory for the plan");
    return e ? e : fill_pages(plan, t->url, a, f);
}

err plan_make(struct plan *out, const struct pack *p, struct arena *a, struct span kind,
              struct span canonical, struct span base_url, struct fault *f)
{
    const struct target *t = NULL;
    err e = pack_find_target(p, kind, &t, f);
    if (e)
        return e;
    struct plan plan = {
        .kind = t->kind,
        .canonical = canonical,
        .operations = t->operations,
        .operation_count = t->operation_count,
        .shown = t->shown,
        .more = t->more.n ? t->more : SPAN("scroll"),
        .ranked = t->ranked,
        .depth = t->depth,
    };
    memcpy(plan.fallback_on, t->fallback_on, sizeof plan.fallback_on);
    take_product(&plan, t, t->product_count ? &t->products[0] : NULL);
    e = fill_texts(&plan, t, p, a, base_url, f);
    if (e)
        return e;
    plan.focus = t->thread ? plan.input : SPAN_NONE;
    *out = plan;
    return E_OK;
}

err plan_choose(struct plan *plan, const struct pack *p, struct arena *a, struct span product,
                struct fault *f)
{
    const struct target *t = NULL;
    const struct product *chosen = NULL;
    err e = pack_find_target(p, plan->kind, &t, f);
    if (!e)
        e = target_product(t, product, &chosen, f);
    if (e)
        return e;
    take_product(plan, t, chosen);
    return fill_pages(plan, t->url, a, f);
}

err plan_add_words(struct plan *plan, const struct pack *p, struct arena *a, struct span words,
                   struct span pattern, struct fault *f)
{
    const struct target *t = NULL;
    err e = pack_find_target(p, plan->kind, &t, f);
    if (e || !words.n)
        return e;
    plan->input = span_of(arena_fmt(a, "%.*s%.*s", SP(plan->input), SP(words)));
    if (!plan->input.p)
        return fail(f, E_NO_MEMORY, "no memory for the plan");
    return fill_pages(plan, pattern.n ? pattern : t->url, a, f);
}

err plan_go_below(struct plan *plan, const struct pack *p, struct arena *a, struct span id,
                  struct fault *f)
{
    const struct target *t = NULL;
    err e = pack_find_target(p, plan->kind, &t, f);
    if (!e && (!t->older.n || plan->ranked))
        return E_NOT_FOUND;
    plan->below = e ? SPAN_NONE : arena_keep(a, id);
    return e ? e : fill_pages(plan, t->older, a, f);
}

/* ---- the page's own requests ---- */

static struct span url_query(struct span url, struct span *out_before)
{
    size_t hash = span_find_char(url, '#');
    struct span whole = span_cut(url, 0, hash);
    size_t mark = span_find_char(whole, '?');
    *out_before = span_cut(whole, 0, mark);
    return span_cut(whole, mark + 1, whole.n);
}

const struct operation *plan_operation(const struct plan *plan, struct span request_url)
{
    struct span path;
    url_query(request_url, &path);
    for (size_t i = 0; i < plan->operation_count; i++) {
        struct span name = plan->operations[i].name;
        if (path.n > name.n && span_ends(path, name) && path.p[path.n - name.n - 1] == '/')
            return &plan->operations[i];
    }
    return NULL;
}

/* In a query '+' is a space. */
static err query_value(struct span escaped, struct buf *out)
{
    struct buf plain = BUF(VARIABLES_BYTES);
    for (size_t i = 0; i < escaped.n; i++)
        buf_add_char(&plain, escaped.p[i] == '+' ? ' ' : escaped.p[i]);
    bool fine = !plain.failed && text_add_url_unescaped(out, buf_span(&plain));
    buf_free(&plain);
    return !fine ? E_SHAPE : out->failed;
}

/* The object with one member replaced, or added at its end. */
static err with_member(struct json object, struct span member, struct span text,
                       struct buf *out)
{
    struct json_w w = json_w(out);
    if (!json_is(object, JSON_OBJECT))
        return E_SHAPE;
    bool written = false;
    json_open(&w);
    for (struct json_iter i = json_each(object); json_next(&i);) {
        json_key_span(&w, i.key);
        if (span_eq(i.key, member)) {
            json_put_text(&w, text);
            written = true;
            continue;
        }
        struct buf raw = BUF(VARIABLES_BYTES);
        json_add_raw(&raw, i.value);
        json_put_raw(&w, buf_span(&raw));
        err e = raw.failed;
        buf_free(&raw);
        if (e)
            return e;
    }
    if (!written) {
        json_key_span(&w, member);
        json_put_text(&w, text);
    }
    json_close(&w);
    return out->failed;
}

static err resumed_value(const struct operation *op, struct span value, struct span cursor,
                         struct buf *out)
{
    struct buf plain = BUF(VARIABLES_BYTES), changed = BUF(VARIABLES_BYTES);
    struct json_parser *parser = json_parser_new(VARIABLES_BYTES);
    struct json root;
    err e = query_value(value, &plain);
    if (!e && json_parse(parser, buf_span(&plain), &root, NULL) != E_OK)
        e = E_SHAPE;
    if (!e)
        e = with_member(root, op->cursor_member, cursor, &changed);
    if (!e) {
        text_add_url_escaped(out, buf_span(&changed));
        e = out->failed;
    }
    json_parser_free(&parser);
    buf_free(&plain);
    buf_free(&changed);
    return e;
}

bool plan_request_cursor(const struct plan *plan, struct span request_url, struct buf *out)
{
    const struct operation *op = plan_operation(plan, request_url);
    struct span before, part, query = url_query(request_url, &before), text = SPAN_NONE;
    if (!op || !op->cursor_parameter.n)
        return false;
    while (span_next(&query, '&', &part)) {
        size_t eq = span_find_char(part, '=');
        if (eq == part.n || !span_eq(span_cut(part, 0, eq), op->cursor_parameter))
            continue;
        struct buf plain = BUF(VARIABLES_BYTES);
        struct json_parser *parser = json_parser_new(VARIABLES_BYTES);
        struct json root;
        if (!query_value(span_cut(part, eq + 1, part.n), &plain) &&
            json_parse(parser, buf_span(&plain), &root, NULL) == E_OK &&
            json_text(json_get(root, op->cursor_member), &text))
            buf_add(out, text);
        json_parser_free(&parser);
        buf_free(&plain);
        return text.n > 0 && !out->failed;
    }
    return false;
}

err plan_resume_url(const struct plan *plan, struct span request_url, struct span cursor,
                    struct buf *out_url)
{
    const struct operation *op = plan_operation(plan, request_url);
    struct span before, part;
    bool done = false, first = true;
    if (!op || op->cursor_parameter.n == 0)
        return E_NOT_FOUND;
    struct span query = url_query(request_url, &before);
    buf_add(out_url, before);
    while (span_next(&query, '&', &part)) {
        size_t eq = span_find_char(part, '=');
        buf_add_char(out_url, first ? '?' : '&');
        first = false;
        if (done || eq == part.n || !span_eq(span_cut(part, 0, eq), op->cursor_parameter)) {
            buf_add(out_url, part);
            continue;
        }
        buf_add(out_url, span_cut(part, 0, eq + 1));
        err e = resumed_value(op, span_cut(part, eq + 1, part.n), cursor, out_url);
        if (e)
            return e;
        done = true;
    }
    if (!done)
        return E_SHAPE;
    return out_url->failed;
}

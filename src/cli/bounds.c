#include "cli/bounds.h"

#include "api/order.h"
#include "api/quality.h"
#include "core/bounds.h"
#include "core/quality.h"

static int check_size(const char *verb, const char *flag, const char *text, int64_t least,
                      int64_t most, int64_t *out)
{
    if (!text || (settings_size(span_of(text), out) && *out >= least && *out <= most))
        return EXIT_DONE;
    return cli_usage(
        verb,
        "--%s must be a size such as 64KiB, 50MiB or 2GiB, %lld to %lld bytes, not '%.40s'",
        flag, (long long)least, (long long)most, text);
}

/* Whether the records are posts or users is for the service to say. */
static int check_required(const struct cli *c, const char *verb, struct fields *out)
{
    struct span list = span_of(c->require), name;
    while (span_next(&list, ',', &name)) {
        const char *near = fields_near(FIELDS_OF_POSTS, name);
        if (fields_known(FIELDS_OF_USERS, name) || fields_known(FIELDS_OF_POSTS, name)) {
            if (!fields_add(out, name))
                return cli_usage(verb, "--require may name %d at most", FIELDS_MAX);
        } else if (near) {
            return cli_usage(verb, "--require: no record has '%.*s'; did you mean '%s'?",
                             SP(span_cut(name, 0, 40)), near);
        } else {
            return cli_usage(verb, "--require: no record has '%.*s'",
                             SP(span_cut(name, 0, 40)));
        }
    }
    return EXIT_DONE;
}

static int check_resources(const struct cli *c, const char *verb, struct bounds_flags *out)
{
    enum { MIB = 1 << 20 };
    int64_t bytes = 0, ms = 0;
    int code = check_size(verb, "memory", c->memory, (int64_t)BOUND_MEMORY_MIN_MIB * MIB,
                          (int64_t)BOUND_MEMORY_MAX_MIB * MIB, &bytes);
    if (!code && c->cpu)
        code = cli_duration(verb, "cpu", c->cpu, 1000, (int64_t)BOUND_CPU_MAX_S * 1000, &ms);
    if (!code && c->max_requests)
        code = cli_number(verb, "max-requests", c->max_requests, 1, BOUND_REQUESTS_MAX,
                          &out->max_requests);
    out->memory_mib = (bytes + MIB - 1) / MIB;
    out->cpu_s = ms / 1000;
    return code;
}

int bounds_check(const struct cli *c, const char *verb, struct bounds_flags *out)
{
    int code = EXIT_DONE;
    if (c->max_pages)
        code = cli_number(verb, "max-pages", c->max_pages, 1, BOUND_PAGES_MAX, &out->max_pages);
    if (!code)
        code = check_size(verb, "max-bytes", c->max_bytes, BOUND_BYTES_MIN, BOUND_BYTES_MAX,
                          &out->max_bytes);
    if (!code)
        code = check_resources(c, verb, out);
    if (!code && c->min_posts)
        code = cli_number(verb, "min-posts", c->min_posts, 1, ORDER_LIMIT_MAX, &out->min_posts);
    if (!code)
        code = cli_one_of(verb, "on-empty", c->on_empty, on_empty_names);
    return code ? code : check_required(c, verb, &out->required);
}

static void put_quality(struct json_w *w, const struct cli *c, const struct bounds_flags *b)
{
    if (!b->min_posts && !c->on_empty && !b->required.count)
        return;
    json_key(w, "quality");
    json_open(w);
    json_kv_given(w, "min_posts", b->min_posts);
    if (c->on_empty)
        json_kv_cstr(w, "on_empty", c->on_empty);
    order_fields_put(w, "required_fields", &b->required);
    json_close(w);
}

void bounds_flags_put(struct json_w *w, const struct cli *c, const struct bounds_flags *b)
{
    json_kv_given(w, "max_pages", b->max_pages);
    json_kv_given(w, "max_bytes", b->max_bytes);
    if (b->memory_mib || b->cpu_s || b->max_requests) {
        json_key(w, "resources");
        json_open(w);
        json_kv_given(w, "memory_mib", b->memory_mib);
        json_kv_given(w, "cpu_s", b->cpu_s);
        json_kv_given(w, "max_requests", b->max_requests);
        json_close(w);
    }
    put_quality(w, c, b);
}

#include "cli/wish.h"

#include "cli/parts.h"

#include "api/order.h"
#include "base/text.h"
#include "base/when.h"
#include "core/evidence.h"
#include "extract/include.h"

static int check_kinds(const char *verb, const char *option, const char *kinds, unsigned *out)
{
    struct span list = span_of(kinds), name;
    while (span_next(&list, ',', &name)) {
        const char *near = text_nearest(name, exclude_names);
        *out |= exclude_bit(name);
        if (exclude_bit(name))
            continue;
        if (near)
            return cli_usage(verb, "--%s: did you mean '%s'?", option, near);
        return cli_usage(verb, "--%s must be of replies, reposts and quotes, not '%.40s'",
                         option, kinds);
    }
    return EXIT_DONE;
}

static int check_lists(const struct cli *c, const char *verb)
{
    unsigned out = 0, in = 0;
    int code = check_kinds(verb, "exclude", c->exclude, &out);
    if (!code)
        code = check_kinds(verb, "include", c->include, &in);
    if (!code && out & in)
        return cli_usage(verb, "--include and --exclude name the same kind of posts");
    return code;
}

/* What the records are is known. */
int wish_fields_of(struct cli *c, const char *verb, enum fields_of of)
{
    struct span list = span_of(c->fields), name;
    while (span_next(&list, ',', &name)) {
        const char *near = fields_near(of, name);
        if (fields_known(of, name))
            continue;
        char *shown = cli_printable(c, span_cut(name, 0, 40));
        return near ? cli_usage(verb, "--fields: no record has '%s'; did you mean '%s'?", shown,
                                near)
                    : cli_usage(verb, "--fields: no record has '%s'", shown);
    }
    return EXIT_DONE;
}

static int check_fields(struct wish *wish, struct cli *c, const char *verb)
{
    /* Whether the records are posts or users is for the pack, or the service, to say. */
    struct span list = span_of(c->fields), name;
    while (span_next(&list, ',', &name)) {
        if (!fields_known(FIELDS_OF_USERS, name) && !fields_known(FIELDS_OF_POSTS, name))
            return wish_fields_of(c, verb, FIELDS_OF_POSTS);
        if (!fields_add(&wish->fields, name))
            return cli_usage(verb, "--fields may name %d at most", FIELDS_MAX);
    }
    return EXIT_DONE;
}

/* Numbers and dates are judged here, so that a wrong flag is a wrong call whatever answers. */
int wish_check(struct wish *wish, struct cli *c, const char *verb)
{
    static const char dates[] = "a date (2026-02-06) or a date and time (2026-02-06T12:00:00Z)";
    wall since, until;
    wish->download = c->media && strcmp(c->media, "download") == 0;
    if (c->media && !wish->download && strcmp(c->media, "urls") != 0)
        return cli_usage(verb, "--media must be urls or download, not '%.40s'", c->media);
    if (c->limit && (!span_int(span_of(c->limit), &wish->limit) || wish->limit < 1 ||
                     wish->limit > ORDER_LIMIT_MAX))
        return cli_usage(verb, "--limit must be 1 to %d, not '%.40s'", ORDER_LIMIT_MAX,
                         c->limit);
    if (c->priority && (!span_int(span_of(c->priority), &wish->priority) ||
                        wish->priority < 0 || wish->priority > 9))
        return cli_usage(verb, "--priority must be 0 to 9, not '%.40s'", c->priority);
    enum evidence_keep keep;
    if (c->evidence && !evidence_keep_parse(span_of(c->evidence), &keep))
        return cli_usage(verb, "--evidence must be never, on_failure or always, not '%.40s'",
                         c->evidence);
    if (c->since && !when_parse(span_of(c->since), &since))
        return cli_usage(verb, "--since must be %s, not '%.40s'", dates, c->since);
    if (c->until && !when_parse(span_of(c->until), &until))
        return cli_usage(verb, "--until must be %s, not '%.40s'", dates, c->until);
    if (c->since && c->until && since.ms >= until.ms)
        return cli_usage(verb, "--until must be later than --since");
    if (c->depth && (!span_int(span_of(c->depth), &wish->depth) || wish->depth < 0 ||
                     wish->depth > ORDER_DEPTH_MAX))
        return cli_usage(verb, "--depth must be 0 to %d, not '%.40s'", ORDER_DEPTH_MAX,
                         c->depth);
    int code = check_lists(c, verb);
    if (!code)
        code = parts_check_labels(c, verb, false);
    if (!code)
        code = terms_check(c, verb, &wish->terms);
    if (!code)
        code = followup_check(c, verb, &wish->followup);
    if (!code)
        code = bounds_check(c, verb, &wish->bounds);
    return code ? code : check_fields(wish, c, verb);
}

static void put_list(struct json_w *w, const char *key, const char *text)
{
    struct span list = span_of(text), name;
    if (!list.n)
        return;
    json_key(w, key);
    json_open_array(w);
    while (span_next(&list, ',', &name))
        json_put_text(w, name);
    json_close_array(w);
}

/* The call as the body of a request; what only the site packs can judge is left to the service.
 */
void wish_write(const struct wish *wish, const struct cli *c, const char *kind,
                const char *target, struct json_w *w)
{
    json_open(w);
    if (c->site)
        json_kv_cstr(w, "site", c->site);
    if (kind)
        json_kv_cstr(w, "kind", kind);
    if (target)
        json_kv_cstr(w, "target", target);
    if (c->limit)
        json_kv_int(w, "limit", wish->limit);
    if (c->since)
        json_kv_cstr(w, "since", c->since);
    if (c->until)
        json_kv_cstr(w, "until", c->until);
    if (c->strategy)
        json_kv_cstr(w, "strategy", c->strategy);
    if (c->priority)
        json_kv_int(w, "priority", wish->priority);
    if (c->product)
        json_kv_cstr(w, "product", c->product);
    if (c->depth)
        json_kv_int(w, "depth", wish->depth);
    if (c->evidence)
        json_kv_cstr(w, "evidence", c->evidence);
    if (c->since_last)
        json_kv_bool(w, "since_last", true);
    if (c->pool) {
        json_key(w, "session");
        json_open(w);
        json_kv_cstr(w, "pool", c->pool);
        json_close(w);
    }
    put_list(w, "exclude", c->exclude);
    put_list(w, "include", c->include);
    put_list(w, "fields", c->fields);
    if (c->media)
        json_kv_cstr(w, "media", c->media);
    parts_put_labels(w, c);
    terms_put(w, c, &wish->terms);
    followup_write(w, &wish->followup);
    bounds_flags_put(w, c, &wish->bounds);
    json_close(w);
}

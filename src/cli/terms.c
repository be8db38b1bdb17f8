#include "cli/terms.h"

#include "api/terms.h"
#include "base/text.h"
#include "base/when.h"

static const char fresh[] = "fresh_within";

static int check_fresh(const struct cli *c, const char *verb)
{
    bool is_asked = c->on_conflict && strcmp(c->on_conflict, fresh) == 0;
    if (c->fresh_within && !c->unique)
        return cli_usage(verb, "--fresh-within goes with --unique KEY");
    if (c->fresh_within && c->on_conflict && !is_asked)
        return cli_usage(verb, "--fresh-within goes with --on-conflict fresh_within, not %.20s",
                         c->on_conflict);
    return is_asked && !c->fresh_within
               ? cli_usage(verb, "--on-conflict fresh_within needs --fresh-within TIME")
               : EXIT_DONE;
}

int terms_check(const struct cli *c, const char *verb, struct terms_flags *out)
{
    const struct {
        const char *flag, *text;
        int64_t most_s, *to;
    } times[] = {
        {"expires", c->expires, TERMS_WAIT_MAX_S, &out->expires_s},
        {"deadline", c->deadline, TERMS_WAIT_MAX_S, &out->deadline_s},
        {"attempt-timeout", c->attempt_timeout, TERMS_ATTEMPT_MAX_S, &out->attempt_s},
        {"idle-timeout", c->idle_timeout, TERMS_IDLE_MAX_S, &out->idle_s},
        {"navigation-timeout", c->navigation_timeout, BOUND_NAVIGATION_MAX_S,
         &out->navigation_s},
        {"max-age", c->max_age, TERMS_WAIT_MAX_S, &out->max_age_s},
        {"fresh-within", c->fresh_within, TERMS_WAIT_MAX_S, &out->fresh_within_s},
        {"stale-if-error", c->stale_if_error, TERMS_WAIT_MAX_S, &out->stale_if_error_s},
    };
    static const char *const yes_no[] = {"yes", "no", NULL};
    int code = EXIT_DONE;
    wall when;
    for (size_t i = 0; !code && i < sizeof times / sizeof *times; i++) {
        if (!times[i].text)
            continue;
        code = cli_duration(verb, times[i].flag, times[i].text, 1000, times[i].most_s * 1000,
                            times[i].to);
        *times[i].to /= 1000;
    }
    if (!code)
        code = cli_one_of(verb, "class", c->class, terms_classes);
    if (!code)
        code = cli_one_of(verb, "on-conflict", c->on_conflict, terms_conflicts);
    if (!code)
        code = cli_one_of(verb, "coalesce", c->coalesce, yes_no);
    if (!code && c->on_conflict && !c->unique)
        code = cli_usage(verb, "--on-conflict goes with --unique KEY");
    if (!code)
        code = check_fresh(c, verb);
    if (!code && c->tenant && !lane_word_is_plain(span_of(c->tenant)))
        code =
            cli_usage(verb, "--tenant must be a word of letters, digits, _ and -, not '%.40s'",
                      c->tenant);
    if (!code && c->not_before && !when_parse(span_of(c->not_before), &when))
        code = cli_usage(verb,
                         "--not-before must be a date (2026-02-06) or a date and time "
                         "(2026-02-06T12:00:00Z), not '%.40s'",
                         c->not_before);
    return code;
}

static void put_text(struct json_w *w, const char *key, const char *text)
{
    if (text)
        json_kv_cstr(w, key, text);
}

void terms_put(struct json_w *w, const struct cli *c, const struct terms_flags *t)
{
    put_text(w, "class", c->class);
    put_text(w, "tenant", c->tenant);
    put_text(w, "not_before", c->not_before);
    json_kv_given(w, "expires_s", t->expires_s);
    json_kv_given(w, "deadline_s", t->deadline_s);
    json_kv_given(w, "max_age_s", t->max_age_s);
    json_kv_given(w, "stale_if_error_s", t->stale_if_error_s);
    if (t->attempt_s || t->idle_s || t->navigation_s) {
        json_key(w, "timeouts");
        json_open(w);
        json_kv_given(w, "attempt_s", t->attempt_s);
        json_kv_given(w, "idle_s", t->idle_s);
        json_kv_given(w, "navigation_s", t->navigation_s);
        json_close(w);
    }
    if (c->unique) {
        json_key(w, "unique");
        json_open(w);
        put_text(w, "key", c->unique);
        put_text(w, "on_conflict", c->fresh_within ? fresh : c->on_conflict);
        json_kv_given(w, "fresh_within_s", t->fresh_within_s);
        json_close(w);
    }
    if (c->coalesce)
        json_kv_bool(w, "coalesce", strcmp(c->coalesce, "yes") == 0);
}

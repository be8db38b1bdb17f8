#include "net/domains.h"

#include "base/when.h"
#include "net/address.h"

enum { HOST_MAX = 253 };

static bool is_of(struct span text, const char *signs)
{
    for (size_t i = 0; i < text.n; i++)
        if (!text.p[i] || !strchr(signs, text.p[i]))
            return false;
    return text.n > 0;
}

bool domain_host_valid(struct span host)
{
    if (host.n > HOST_MAX)
        return false;
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return is_of(span_cut(host, 1, host.n - 2), "0123456789abcdefABCDEF:.");
    return is_of(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
}

static bool is_pattern(struct span text)
{
    return domain_host_valid(span_starts(text, SPAN("*.")) ? span_cut(text, 2, text.n) : text);
}

static bool read_rule(struct span word, struct domain_rule *out)
{
    size_t at = span_find_char(word, '=');
    out->pattern = span_cut(word, 0, at);
    if (out->pattern.n > 1 && span_ends(out->pattern, SPAN(".")))
        out->pattern.n--; /* the root's name, which no URL needs */
    return at < word.n && is_pattern(out->pattern) &&
           when_duration(span_cut(word, at + 1, word.n), &out->every_ms) && out->every_ms > 0 &&
           out->every_ms <= DOMAIN_EVERY_MAX_MS;
}

err domain_rules_read(struct span words, struct domain_rules *out, struct fault *f)
{
    struct domain_rules read = {.count = 0};
    struct span word;
    while (span_next(&words, ' ', &word)) {
        if (!word.n)
            continue;
        if (read.count == DOMAIN_RULES_MAX)
            return fail(f, E_CONFIG, "fetch.domains names more than %d hosts",
                        DOMAIN_RULES_MAX);
        if (!read_rule(word, &read.rule[read.count++]))
            return fail(f, E_CONFIG,
                        "fetch.domains: '%.*s' is not HOST=TIME of at most 1h, such as "
                        "example.org=5s or *.example.org=1s",
                        SP(span_cut(word, 0, 100)));
    }
    *out = read;
    return E_OK;
}

const struct domain_rule *domain_rule_of(const struct domain_rules *rules, struct span host)
{
    const struct domain_rule *slowest = NULL;
    for (size_t i = 0; rules && i < rules->count; i++)
        if (address_host_matches(host, rules->rule[i].pattern) &&
            (!slowest || rules->rule[i].every_ms > slowest->every_ms))
            slowest = &rules->rule[i];
    return slowest;
}

int64_t domain_every_ms(const struct domain_rules *rules, struct span host, int64_t every_ms)
{
    const struct domain_rule *rule = domain_rule_of(rules, host);
    return rule && rule->every_ms > every_ms ? rule->every_ms : every_ms;
}

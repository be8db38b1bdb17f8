/* domains.h - how rarely the configuration lets a host be asked (fetch.domains): "example.org=5s" is that host,
 * "*.example.org=1s" any below it. Where several match, the slowest holds. It makes requests rarer than they would be
 * without it, never more frequent. Pure. */
#pragma once

#include "base/span.h"

enum { DOMAIN_RULES_MAX = 64, DOMAIN_EVERY_MAX_MS = 3600000 };

struct domain_rule {
    struct span pattern; /* borrowed from the text that was read */
    int64_t every_ms;    /* least time between two requests */
};
struct domain_rules {
    struct domain_rule rule[DOMAIN_RULES_MAX];
    size_t count;
};

/* Whether it could be a host as a URL has it: a name, an address, one of IPv6 in brackets; without a port. */
bool domain_host_valid(struct span host);
/* Words separated by spaces. E_CONFIG names the one that is none. */
MUST_USE err domain_rules_read(struct span words, struct domain_rules *out, struct fault *f);
/* The slowest that matches the host; NULL: none does. */
const struct domain_rule *domain_rule_of(const struct domain_rules *rules, struct span host);
/* every_ms, or more where a rule says so. rules NULL: none. */
int64_t domain_every_ms(const struct domain_rules *rules, struct span host, int64_t every_ms);

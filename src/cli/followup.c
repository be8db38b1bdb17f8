#include "cli/followup.h"

#include "base/id.h"

int followup_check(const struct cli *c, const char *verb, struct followup *out)
{
    struct retry_policy *p = &out->retry;
    int code = EXIT_DONE;
    if (c->retry_max)
        code = cli_number(verb, "retry-max", c->retry_max, 1, FOLLOWUP_ATTEMPTS_MAX,
                          &out->max_attempts);
    if (!code && c->retry_base)
        code = cli_duration(verb, "retry-base", c->retry_base, 1, FOLLOWUP_BASE_MAX_MS,
                            &p->base_ms);
    if (!code && c->retry_cap)
        code =
            cli_duration(verb, "retry-cap", c->retry_cap, 1, FOLLOWUP_CAP_MAX_MS, &p->cap_ms);
    if (!code && c->retry_factor)
        code = cli_number(verb, "retry-factor", c->retry_factor, 1, FOLLOWUP_FACTOR_MAX,
                          &p->factor);
    if (!code && p->base_ms && p->cap_ms && p->base_ms > p->cap_ms)
        code = cli_usage(verb, "--retry-base must not be more than --retry-cap");
    out->webhook = span_of(c->callback);
    if (!code && c->callback && !id_valid(out->webhook, "whk"))
        code = cli_usage(
            verb,
            "--callback must be the id of a webhook, whk_..., not '%.40s'; see: fulmar "
            "webhooks list",
            c->callback);
    return code;
}

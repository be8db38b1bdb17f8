#include "core/unique.h"

#include "base/need.h"

enum unique_decision unique_decide(enum unique_mode mode, const struct unique_facts *facts)
{
    if (!facts->live)
        return UNIQUE_ACCEPT;
    need(!job_is_final(facts->state));
    bool runs = facts->state == JOB_ACTIVE;
    switch (mode) {
    case UNIQUE_RETURN_EXISTING:
        return UNIQUE_EXISTING;
    case UNIQUE_REJECT:
        return UNIQUE_REFUSE;
    case UNIQUE_REPLACE_PENDING:
        if (runs)
            return UNIQUE_EXISTING;
        return facts->successor ? UNIQUE_REPLACE_BOTH : UNIQUE_REPLACE;
    case UNIQUE_RUN_AFTER_ACTIVE:
        if (!runs)
            return UNIQUE_EXISTING;
        return facts->successor ? UNIQUE_REPLACE_AFTER : UNIQUE_ACCEPT_AFTER;
    }
    bug("unknown mode");
}

enum unique_reuse unique_reuse(const struct unique_answer *a, int64_t max_age_ms,
                               int64_t stale_if_error_ms)
{
    if (!a->exists)
        return UNIQUE_WORK;
    if (max_age_ms >= 0 && a->age_ms <= max_age_ms)
        return UNIQUE_FRESH;
    if (a->failing && stale_if_error_ms >= 0 && a->age_ms <= stale_if_error_ms)
        return UNIQUE_STALE;
    return UNIQUE_WORK;
}

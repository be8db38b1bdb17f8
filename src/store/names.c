/* names.c - what people call what stores answer, and which names they may give. */
#include "base/need.h"
#include "store/ops.h"

const char *waiting_name(enum waiting w)
{
    static const char *const names[] = {
        [WAITING_NONE] = "none",   [WAITING_TIME] = "time",       [WAITING_WORKER] = "worker",
        [WAITING_RATE] = "rate",   [WAITING_LANE] = "lane",       [WAITING_SITE] = "site",
        [WAITING_DISK] = "disk",   [WAITING_BREAKER] = "breaker", [WAITING_PAUSE] = "pause",
        [WAITING_LIMIT] = "limit", [WAITING_SESSION] = "session", [WAITING_JOB] = "job",
        [WAITING_MODE] = "mode",   [WAITING_HOLD] = "hold",
    };
    need((unsigned)w < sizeof names / sizeof *names);
    return names[w];
}

const char *lane_word_name(enum lane_word w)
{
    static const char *const names[] = {
        [LANE_OPEN] = "open",       [LANE_FULL] = "full",
        [LANE_BLOCKED] = "blocked", [LANE_BREAKER_OPEN] = "breaker_open",
        [LANE_PAUSED] = "paused",   [LANE_SESSION] = "session",
    };
    need((unsigned)w < sizeof names / sizeof *names);
    return names[w];
}

int limit_order(enum limit_scope a, struct span a_name, enum limit_scope b, struct span b_name)
{
    size_t shorter = a_name.n < b_name.n ? a_name.n : b_name.n;
    if (a != b)
        return a < b ? -1 : 1;
    int order = shorter ? memcmp(a_name.p, b_name.p, shorter) : 0;
    return order ? order : (a_name.n > b_name.n) - (a_name.n < b_name.n);
}

const char *lane_overflow_name(enum lane_overflow o)
{
    static const char *const names[] = {"refuse", "drop_last"};
    need((unsigned)o < OVERFLOWS);
    return names[o];
}

const char *source_name(enum store_source s)
{
    static const char *const names[] = {"own", "shared", "cache", "stale"};
    need((unsigned)s < sizeof names / sizeof *names);
    return names[s];
}

const char *schedule_run_state_name(enum schedule_run_state s)
{
    static const char *const names[] = {"pending", "live", "ended", "skipped"};
    need((unsigned)s < sizeof names / sizeof *names);
    return names[s];
}

const char *schedule_cause_name(enum schedule_cause c)
{
    static const char *const names[] = {"slot", "trigger", "backfill"};
    need((unsigned)c < sizeof names / sizeof *names);
    return names[c];
}

const char *schedule_why_name(enum schedule_why w)
{
    static const char *const names[] = {NULL, "overlap", "missed", "paused", "refused"};
    need((unsigned)w < sizeof names / sizeof *names);
    return names[w];
}

const char *operation_kind_name(enum operation_kind k)
{
    static const char *const names[] = {"replay", "delete",  "cancel",
                                        "hold",   "release", "set_priority"};
    _Static_assert(sizeof names / sizeof names[0] == OPERATION_KINDS, "a name each");
    need((unsigned)k < OPERATION_KINDS);
    return names[k];
}

const char *operation_state_name(enum operation_state s)
{
    static const char *const names[] = {"running", "done", "cancelled"};
    need((unsigned)s < sizeof names / sizeof *names);
    return names[s];
}

const char *session_state_name(enum session_state st)
{
    static const char *const names[] = {[SESSION_ACTIVE] = "active",
                                        [SESSION_COOLING] = "cooling",
                                        [SESSION_LOCKED] = "locked",
                                        [SESSION_INVALID] = "invalid",
                                        [SESSION_EXPIRED] = "expired"};
    need((unsigned)st < SESSION_STATES);
    return names[st];
}

static bool word_valid(struct span s, bool dots)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-' && c != '_' && !(dots && c == '.'))
            return false;
    }
    return s.n >= 1 && s.n <= 32 && s.p[0] != '.'; /* no part of a path */
}

bool session_name_valid(struct span name)
{
    return word_valid(name, true) && !span_starts(name, SPAN("ses_"));
}

bool session_pool_valid(struct span pool)
{
    return word_valid(pool, false);
}

const char *mode_name(enum store_mode m)
{
    static const char *const names[] = {
        [MODE_NORMAL] = "normal",
        [MODE_PAUSED] = "paused",
        [MODE_DRAINING] = "draining",
        [MODE_MAINTENANCE] = "maintenance",
    };
    _Static_assert(sizeof names / sizeof names[0] == MODES, "a name each");
    need((unsigned)m < MODES);
    return names[m];
}

static const char *const delivery_states[DELIVERY_STATES] = {"pending", "delivered", "dead"};

const char *delivery_state_name(enum delivery_state s)
{
    need((unsigned)s < DELIVERY_STATES);
    return delivery_states[s];
}

bool delivery_state_parse(struct span text, enum delivery_state *out)
{
    for (int i = 0; i < DELIVERY_STATES; i++) {
        if (!span_is(text, delivery_states[i]))
            continue;
        *out = (enum delivery_state)i;
        return true;
    }
    return false;
}

enum node_state node_state(const struct node_view *v, wall now)
{
    if (now.ms - v->heard_ms > NODE_SILENT_MS)
        return v->says.stopping ? NODE_STOPPED : NODE_SILENT;
    return v->says.stopping ? NODE_STOPPING : NODE_UP;
}

const char *node_state_name(enum node_state s)
{
    static const char *const names[NODE_STATES] = {"up", "stopping", "stopped", "silent"};
    need((unsigned)s < NODE_STATES);
    return names[s];
}

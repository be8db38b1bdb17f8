#include "core/job.h"

#include "base/need.h"

static const char *const state_names[] = {
    [JOB_BLOCKED] = "blocked",     [JOB_SCHEDULED] = "scheduled", [JOB_READY] = "ready",
    [JOB_ACTIVE] = "active",       [JOB_SUCCEEDED] = "succeeded", [JOB_DEAD] = "dead",
    [JOB_CANCELLED] = "cancelled", [JOB_EXPIRED] = "expired",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == JOB_STATES, "a name each");

/* What is not written here cannot happen. */
static const struct move {
    enum job_state from;
    enum job_event on;
    enum job_state to;
} moves[] = {
    {JOB_BLOCKED, JOB_ON_DUE, JOB_READY},
    {JOB_BLOCKED, JOB_ON_CANCEL, JOB_CANCELLED},
    {JOB_SCHEDULED, JOB_ON_DUE, JOB_READY},
    {JOB_SCHEDULED, JOB_ON_CANCEL, JOB_CANCELLED},
    {JOB_SCHEDULED, JOB_ON_EXPIRE, JOB_EXPIRED},
    {JOB_READY, JOB_ON_RESERVE, JOB_ACTIVE},
    {JOB_READY, JOB_ON_CANCEL, JOB_CANCELLED},
    {JOB_READY, JOB_ON_EXPIRE, JOB_EXPIRED},
    {JOB_ACTIVE, JOB_ON_DONE, JOB_SUCCEEDED},
    {JOB_ACTIVE, JOB_ON_RETRY, JOB_SCHEDULED},
    {JOB_ACTIVE, JOB_ON_THROTTLE, JOB_SCHEDULED},
    {JOB_ACTIVE, JOB_ON_RELEASE, JOB_READY},
    {JOB_ACTIVE, JOB_ON_LOST, JOB_SCHEDULED},
    {JOB_ACTIVE, JOB_ON_GIVE_UP, JOB_DEAD},
    {JOB_ACTIVE, JOB_ON_CANCEL, JOB_CANCELLED},
    {JOB_DEAD, JOB_ON_REPLAY, JOB_READY},
    {JOB_CANCELLED, JOB_ON_REPLAY, JOB_READY},
    {JOB_EXPIRED, JOB_ON_REPLAY, JOB_READY},
    {JOB_DEAD, JOB_ON_REPAIR, JOB_SUCCEEDED},
    {JOB_READY, JOB_ON_HOLD, JOB_SCHEDULED},
    {JOB_SCHEDULED, JOB_ON_HOLD, JOB_SCHEDULED},
    {JOB_BLOCKED, JOB_ON_EXPIRE, JOB_EXPIRED},
    {JOB_BLOCKED, JOB_ON_WAIT_OVER, JOB_SCHEDULED},
    {JOB_BLOCKED, JOB_ON_ANSWER, JOB_SUCCEEDED},
    {JOB_READY, JOB_ON_ANSWER, JOB_SUCCEEDED},
    {JOB_SCHEDULED, JOB_ON_ANSWER, JOB_SUCCEEDED},
};

bool job_move(enum job_state *state, enum job_event on)
{
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        if (moves[i].from == *state && moves[i].on == on) {
            *state = moves[i].to;
            return true;
        }
    }
    return false;
}

bool job_is_final(enum job_state s)
{
    return s >= JOB_SUCCEEDED;
}

const char *job_state_name(enum job_state s)
{
    need((unsigned)s < JOB_STATES);
    return state_names[s];
}

bool job_state_parse(struct span name, enum job_state *out)
{
    for (int i = 0; i < JOB_STATES; i++) {
        if (span_is(name, state_names[i])) {
            *out = (enum job_state)i;
            return true;
        }
    }
    return false;
}

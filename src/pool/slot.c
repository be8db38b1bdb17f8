#include "pool/slot.h"

#include <stddef.h>

static const struct {
    enum slot_state from;
    enum slot_event on;
    enum slot_state to;
} moves[] = {
    {SLOT_EMPTY, SLOT_ON_SPAWNED, SLOT_STARTING},
    {SLOT_STARTING, SLOT_ON_READY, SLOT_IDLE},
    {SLOT_STARTING, SLOT_ON_WORKER_GONE, SLOT_EMPTY},
    {SLOT_IDLE, SLOT_ON_ASK, SLOT_RESERVING},
    {SLOT_IDLE, SLOT_ON_WORKER_GONE, SLOT_EMPTY},
    {SLOT_RESERVING, SLOT_ON_NO_JOB, SLOT_IDLE},
    {SLOT_RESERVING, SLOT_ON_JOB, SLOT_OPENING},
    {SLOT_OPENING, SLOT_ON_TAB, SLOT_RUNNING},
    {SLOT_OPENING, SLOT_ON_OVER, SLOT_ENDING},
    {SLOT_RUNNING, SLOT_ON_STOP, SLOT_STOPPING},
    {SLOT_RUNNING, SLOT_ON_OVER, SLOT_ENDING},
    {SLOT_STOPPING, SLOT_ON_OVER, SLOT_ENDING},
    {SLOT_ENDING, SLOT_ON_CLEAN, SLOT_IDLE},
    {SLOT_IDLE, SLOT_ON_STOP, SLOT_EMPTY}, /* retired, or the service stops */
};

static const char *const names[SLOT_STATES] = {"empty",   "starting", "idle",     "reserving",
                                               "opening", "running",  "stopping", "ending"};

bool slot_move(enum slot_state *state, enum slot_event on)
{
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].from == *state && moves[i].on == on) {
            *state = moves[i].to;
            return true;
        }
    return false;
}

const char *slot_state_name(enum slot_state s)
{
    return names[s];
}

int slot_worker_label(enum slot_state state)
{
    enum { STARTING, IDLE, BUSY, STOPPING };
    switch (state) {
    case SLOT_STARTING:
        return STARTING;
    case SLOT_IDLE:
    case SLOT_RESERVING:
        return IDLE;
    case SLOT_OPENING:
    case SLOT_RUNNING:
        return BUSY;
    case SLOT_STOPPING:
    case SLOT_ENDING:
        return STOPPING;
    case SLOT_EMPTY:
    case SLOT_STATES:
        break;
    }
    return -1;
}

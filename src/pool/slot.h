/* slot.h - the states of a slot and the moves between them. Pure table; pool.c does the effects. */
#pragma once

#include <stdbool.h>

enum slot_state {
    SLOT_EMPTY,    /* no worker */
    SLOT_STARTING, /* worker process started, READY not yet here */
    SLOT_IDLE,
    SLOT_RESERVING, /* the store is asked for a job */
    SLOT_OPENING,   /* has a job, waits for its tab */
    SLOT_RUNNING,   /* the worker works */
    SLOT_STOPPING,  /* the worker was told to stop; grace runs */
    SLOT_ENDING,    /* the job is over here: tab closes, the store writes the ending */
    SLOT_STATES
};

enum slot_event {
    SLOT_ON_SPAWNED,
    SLOT_ON_READY,
    SLOT_ON_ASK,
    SLOT_ON_NO_JOB,
    SLOT_ON_JOB,
    SLOT_ON_TAB,
    SLOT_ON_STOP,  /* somebody or a clock wants this job to end */
    SLOT_ON_OVER,  /* DONE or FAIL, tab never came, worker died with a job, lease lost */
    SLOT_ON_CLEAN, /* tab closed, ending stored */
    SLOT_ON_WORKER_GONE,
    SLOT_EVENTS
};

bool slot_move(enum slot_state *state, enum slot_event on);
const char *slot_state_name(enum slot_state s);
/* Label of METRIC_WORKERS that shows a slot in this state; -1: no worker is there. */
int slot_worker_label(enum slot_state state);

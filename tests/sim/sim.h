/* sim.h - inside sim.c: the world of a storm, and what its parts know of each other.
 *
 * sim.c: chance, events, clients, runs. plan.c: what is drawn before a storm begins. service.c: the process around the store, and
 * its receiver. nodes.c: who asks for jobs and does them, and what befalls them. */
#pragma once

#include "watch.h"

#include <setjmp.h>

enum {
    NODES = 3,
    WORKERS = 2, /* of each node */
    EVENTS = 8192,
    TRACE = 60, /* last lines that are printed with a broken promise */
    LINE = 160,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    STORM_MS = 20 * MINUTE, /* then the faults stop */
    ANSWER_MS = 2 * SECOND, /* a call without an answer is made again */
    POLL_MS = 5 * SECOND,
    FULL_AFTER = 8, /* storms */
    HELD_SLACK = 64 << 10,
};
static const int64_t MIB = 1 << 20, NODE_BYTES = 1024 * MIB; /* for jobs of a node */
enum {
    PATIENCE_MS = 10 * SECOND, /* job.memory_patience */
    IF_ANY = 1,                /* of a WAKE: when the store says that a job could start */
    MISFIT_MS = SECOND / 2,    /* no job fitted: others give memory back without a word */
    LARGE_MS =
        60 *
        SECOND, /* after that a large job has started, in fair weather, when nobody else waits for room */
    CROWDED_MS = 8 * MINUTE, /* of a crowded storm: until then the weather is fair */
};
static const int64_t T0 = 1800000000000;
static const int64_t CALM_MS = 24 * 60 * (int64_t)MINUTE; /* every job ended by then */

enum what {
    SUBMIT, /* a client sends */
    HEARD,  /* it is answered */
    HAND,   /* an operator sends */
    ARRIVE, /* a message is at the service */
    FLUSH,  /* the service does what has arrived, as one group */
    TEND,
    ANSWER, /* a message is at the node */
    WAKE,
    ASK_AGAIN, /* the node heard nothing */
    BEAT,
    STEP,    /* the worker has done a piece */
    GIVE_UP, /* by its own clock the lease is over */
    CRASH,
    UP,
    STOP,
    CONTINUE,
    LOOK, /* a node looks after schedules */
    SEND, /* … after what the receiver is to be told, */
    TOLD, /* who hears of it, or is not there, */
    SENT, /* and what the node hears of that */
    POWER,
    CLOCK,
    OUTAGE,
    FULL, /* the disk is, */
    ROOM, /* and is no more */
};
enum call {
    ACCEPT, /* of clients */
    BATCH,
    ADD,
    SEAL,
    CANCEL, /* of operators */
    LANE,
    MODE,
    REPLAY,
    RETRY,
    FIRE,    /* of nodes, in no worker's name */
    RESERVE, /* of nodes */
    STARTED,
    HEARTBEAT,
    RECORDS,
    FINISH
};

struct message {
    enum call call;
    int node, worker;
    int64_t life, ask; /* of the node that sent it; which question of the worker */
    int64_t sent;
    int64_t job, batch;
    int64_t try; /* of a client's request */
    struct watch_due due;
    struct watch_sent sent_event;
    bool arrived;
    struct ask memory;
    int64_t passed_ms, passed_bytes;
    int64_t kind; /* of what an operator does */
    uint64_t nonce;
    struct watch_ending ending;
    /* the answer */
    err result;
    bool cancel, wait;
};
struct event {
    int64_t at, order;
    enum what what;
    struct message m;
};
enum worker_state { IDLE, ASKING, WORKING, TELLING, ENDING };
struct worker {
    enum worker_state state;
    /* numbers of its questions and leases: what is for an earlier one is late */
    int64_t ask, lease;
    int64_t job, batch, trusts_until;
    uint64_t nonce;
    struct watch_ending ending;
    struct room_offer offer; /* while it asks */
    int64_t promised, taken; /* bytes, while it works; promised: 0 when the job does not say */
};
struct node {
    bool up, stopped;
    struct room_turn turn;
    int64_t rest_until;
    int64_t life;
    struct worker workers[WORKERS];
    struct event held[256]; /* what came while it was stopped */
    size_t held_count;
};
struct held { /* by this process and the store */
    int64_t bytes, descriptors, file_bytes;
};
struct sim {
    uint64_t seed, random;
    int64_t storms, stormy; /* so many; time with faults */
    struct held first;
    int64_t now, order, steps, offset, down_until[WATCH_LANES];
    struct event events[EVENTS]; /* a heap */
    size_t event_count;
    struct node nodes[NODES];
    struct message inbox[512];
    size_t inbox_count;
    bool flush_set, rude, over;
    /* Memory is short and everybody is there: no faults for CROWDED_MS. foul_ms: the last time that something held jobs up. */
    bool crowded;
    int64_t foul_ms, came_ms[WATCH_ALL];
    int64_t tend_at;
    struct watch watch;
    bool heard[WATCH_JOBS]; /* what became of its request; that of a batch by its first job */
    char dir[64];
    bool trace, disk_fills;
    char lines[TRACE][LINE];
    int64_t line_count;
    uint64_t hash; /* of all lines */
    jmp_buf end;
    char why[WATCH_WHY];
};

/* ---- sim.c ---- */

void say(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t below(struct sim *s, int64_t n);
bool one_in(struct sim *s, int64_t n); /* never, when the storm is over */
int64_t between(struct sim *s, int64_t from, int64_t to);
void put(struct sim *s, int64_t in_ms, enum what what, struct message m);
/* A message takes its time, comes twice, or is lost. */
void post(struct sim *s, enum what what, struct message m);

/* ---- service.c ---- */

int64_t store_now(const struct sim *s);
/* Tells idle workers that there is work, and sets the one timer. */
void look_ahead(struct sim *s);
void arrive(struct sim *s, struct message m);
void flush(struct sim *s);
void tend(struct sim *s);
/* Each node by itself: between looking and firing others may have done so. */
void look_after_schedules(struct sim *s, int node);
void send_events(struct sim *s, int node);
void told(struct sim *s, struct message m);
void sent(struct sim *s, const struct message *m);

/* ---- nodes.c ---- */

void trouble(struct sim *s, const struct event *e);
void at_node(struct sim *s, const struct event *e);
void go_on(struct sim *s, int node);

/* ---- plan.c ---- */

void plan(struct sim *s);
/* Nobody holds anything up any more. */
void calm(struct sim *s);
/* By which of its jobs it is known what became of the later requests. */
int64_t added_job(int64_t batch);
int64_t sealed_job(int64_t batch);

/* inside.h - a slot and its pool, shared by pool.c and calls.c. Private to the pool. */
#pragma once

#include "base/json.h"
#include "base/log.h"
#include "base/need.h"
#include "core/bounds.h"
#include "core/fence.h"
#include "pool/ask.h"
#include "pool/pool.h"
#include "pool/slot.h"
#include "wire/frame.h"
#include "worker/worker.h"

enum {
    SLOT_MAGIC = 0x510751,
    SLOT_IN_MAX = 36 * 1024 * 1024,
    SLOT_OUT_MAX = 72 * 1024 * 1024,
    JOB_ARENA_MAX = 1024 * 1024,
    RESPAWN_MS = 200,
    /* it keeps five descriptors open, the packs at its start a few more */
    WORKER_FILES_MAX = 64,
    RETIRE_MS = 2000, /* a worker whose socket was closed leaves by itself, or is killed */
    START_MS = 10000, /* a worker says READY in this time, or is killed */
    EVENT_KEEP_MAX = 64 * 1024,
    STEP_SIZE = 32,
    REST_MS = 1000,
    MISFITS_MAX = 3,
    MISFIT_MS = 100,
    COMMIT_AGAIN_MS = 500, /* the first time; twice as long each time, up to: */
    COMMIT_PAUSE_MS = 8000,
    ITEMS_MAX = 100000,  /* of one batch, as the store allows */
    LOG_LINES_MAX = 100, /* of one worker in a second */
};

struct slot {
    int magic, number;
    struct pool *pool;
    enum slot_state state;
    enum worker_wish wish;
    /* the worker */
    pid_t pid;
    struct stream *stream;
    struct buf in;
    struct packs *packs; /* that the worker was started with; held */
    int64_t jobs_served;
    struct stack_page *stack; /* of the worker; it answers from READY on */
    bool worker_gone, killed;
    mono log_until; /* of the second in which log_lines are counted */
    int64_t log_lines;
    pid_t retired; /* the one before, until it has left; no other starts meanwhile */
    struct timer *respawn, *deadline;
    /* the job, from RESERVING to ENDING */
    struct arena *arena;
    enum store_needs asked; /* from RESERVING on: what could be met */
    struct room_offer offer;
    int64_t memory_taken; /* by its job, when pool->memory was looked at */
    struct lease lease;
    struct {
        const struct pack *pack; /* of packs */
        struct span base_url;    /* empty = the pack's own */
        /* where files of media are asked for; empty = where their URLs say */
        struct span media_base;
        struct span instances; /* "NAME=URL NAME=URL": where its sources may be read from */
    } site;
    struct tab *tab; /* NULL also for a job that needs no page */
    bool tab_open, tab_closed, tab_gone;
    /* the page is asked for pictures before it is closed */
    bool picturing, screen_done, dom_done;
    int pictures_left;
    enum failure_class picture_reason;
    /* of the worker that waits for them, and goes on then; 0: the job has ended */
    uint32_t picture_call;
    struct timer *picture;
    struct login *login; /* cookies of its session; NULL: it has none. See login.c */
    bool opening_login;  /* the store opens them */
    struct store_op login_op;
    struct fetch *fetch; /* the one request without a browser */
    int64_t fetch_call;
    struct media_call *media;      /* the one file of media that is asked for */
    enum failure_class stop_class; /* why it was told to stop; FAILURE_NONE: it was not */
    bool lease_lost, release;
    /* its lease could not be renewed in time, so that it was stopped; every answer was heard before */
    bool fenced, fence_heard;
    struct fence fence;
    mono asked_at, beat_at; /* when the store was asked for the lease; for its heartbeat */
    bool taken;             /* the worker has said something since it was given the job */
    bool watching;          /* what the pack's expression says of the page is passed on */
    uint32_t watch_call;
    err watch_failed;
    bool too_big;         /* something for the worker did not fit into a frame */
    char step[STEP_SIZE]; /* where the worker says it is */
    mono started, progressed;
    struct slot_meter {
        struct usage usage;
        enum usage_part phase;
        mono since, page_since; /* of the phase; of the page, 0: there is none */
        int64_t cpu_before_ms;  /* of the worker, which serves one job after the other */
        int64_t own_before;     /* likewise its memory, bytes */
        int64_t most_before;    /* likewise the most that it had at once */
    } meter;
    struct slot_bounds { /* see bounds.c */
        struct bounds allowed;
        enum bound spent;  /* its worker was told so */
        enum bound broken; /* the ceiling that it is above, with so much */
        int64_t taken;
    } bounds;
    struct timer *attempt, *stall, *grace, *beat, *look, *fenced_at;
    mono grace_by; /* of the worker's grace; of its end, grace is the time to the next try */
    mono over_at;  /* the job was over on this side */
    int64_t finish_pause_ms; /* before the store is told once more */
    struct buf records;      /* the RECORDS frame being committed */
    bool commit_waits;       /* the store could not take them: they are brought again */
    int64_t commit_pause_ms; /* behind the last time */
    struct timer *commit_again;
    bool committing, finishing, finished, beating, starting_op;
    struct finish_args ending;
    struct store_op reserve_op, started_op, beat_op, commit_op, finish_op;
    struct arena *beat_arena, *commit_arena;
    struct store_item *items;
};

struct pool {
    struct loop *loop;
    struct store_thread *store;
    struct browsers *browsers;
    struct pool_config config;
    struct slot *slots;
    int wanted; /* of them: the first so many */
    struct {
        mono looked; /* 0: never */
        int64_t there;
        struct room_turn turn;
        char passed[ID_TEXT]; /* the job that room is made for */
        bool asking;          /* the store, whether it is still there */
        struct timer *again;
        struct store_op op;
        struct arena *arena;  /* of its answer */
    } memory;                 /* bounds.c */
    struct json_parser *json; /* of what was stored with a job */
    size_t evidence_bytes;    /* on their way to the store */
    int64_t startable, light; /* as the store said last; light: those that need no page */
    int spawn_failures;
    int misfits; /* questions in a row that no job had the memory for, or nobody had a job */
    struct timer *rest; /* the store could not reserve: nothing is asked while it runs */
    bool draining;
    bool away;            /* the store could not keep what a job would bring */
    int commits_waiting;  /* slots with commit_waits */
    bool commits_refused; /* one of them was, and nothing was taken since */
    void (*on_drained)(void *ctx);
    void *drain_ctx;
    struct timer *drain;
    struct packs *packs; /* of the next worker; held */
    char body_max[24];
};

static inline struct slot *slot_of(void *ctx)
{
    struct slot *s = ctx;
    need(s && s->magic == SLOT_MAGIC);
    return s;
}

bool slot_has_job(const struct slot *s);
/* hands.c: nobody wants a process for it; it takes further jobs. */
bool slot_is_left(const struct slot *s);
bool slot_takes_jobs(const struct slot *s);
/* A worker that has ended already has no pid, though its socket may still be open. */
void slot_kill(struct slot *s);
/* Its job is to end: the worker is told why, and has its grace. */
void slot_stop(struct slot *s, enum failure_class why, err told);
/* The store itself is in trouble; no fault of the job's. */
static inline bool slot_store_cannot(err e)
{
    return e == E_STORE || e == E_DISK_FULL || e == E_BUSY;
}
void slot_tell(struct slot *s, const struct frame *f);
/* Its worker has so long to end by itself, or as long as it had before, whichever is over first. */
void slot_grace(struct slot *s, int64_t ms);
/* Progress was made: the stall clock starts over. */
void slot_progress(struct slot *s);
/* A request of its waits for its turn at a host, which is no standstill: the stall clock goes on behind that. */
bool slot_waits_for_turn(struct slot *s);
/* The one function that moves a slot on; safe to call at any time. */
void slot_advance(struct slot *s);
/* meter.c: a lease begins; its worker is in a step; its page is there; it asked the site without one; its page did. */
void slot_meter_start(struct slot *s);
void slot_meter_step(struct slot *s, struct span step);
void slot_meter_page(struct slot *s);
void slot_meter_request(struct slot *s, int64_t bytes);
void slot_meter_event(struct slot *s, struct span method, struct span params);
/* It is over: all of it, as text of core/usage.h in the arena of the job. */
struct span slot_meter_end(struct slot *s);
/* bounds.c: memory for the next job, beside all that runs and that is asked for. */
struct room_offer pool_memory_offer(struct pool *p);
struct ask pool_memory_ask(const struct pool *p, struct room_offer offer); /* of the store */
void pool_memory_open(struct pool *p);
void pool_memory_close(struct pool *p);
/* The store has answered what it was asked for the slot. True: that was for one job alone, and others may be there. */
bool pool_memory_heard(struct slot *s, const struct store_op *op);
/* There is none. Others give memory back without a word; the answer to a question that is on its way is news of its own. */
void pool_memory_wait(struct pool *p);
/* What the attempt has taken so far; 0 where it cannot be measured. */
struct slot_taken {
    int64_t cpu_ms, bytes;
};
struct slot_taken slot_meter_now(struct slot *s);
/* bounds.c: a lease begins; its worker was told; something of the site has come. */
void slot_bounds_start(struct slot *s);
void slot_bounds_watch(struct slot *s);
void slot_bounds_on_look(void *ctx);
/* Its page was ended for its memory: was it more than the order allows? */
void slot_bounds_outgrown(struct slot *s);
/* Why it was stopped, when a ceiling is the reason; else nothing. */
struct span slot_bounds_broken(struct slot *s);
void slot_bounds_look(struct slot *s);
/* A budget is used up: the site is asked for nothing more. */
bool slot_bounds_spent(const struct slot *s);
int64_t slot_bounds_bytes_left(const struct slot *s); /* INT64_MAX: any number */
int64_t slot_navigate_ms(const struct slot *s);
/* lease.c: the store has given one, asked for at slot->asked_at; it is renewed, or ends the job in time. */
void slot_lease_start(struct slot *s);
void slot_lease_on_beat(void *ctx);
void slot_lease_on_fence(void *ctx);
/* commit.c: FRAME_RECORDS. False: it breaks the protocol. */
bool slot_commit(struct slot *s, const struct frame *f);
void slot_commit_again(void *ctx);
/* The job is over: what the store did not take by now it is not brought again. */
void slot_commit_drop(struct slot *s);
/* media.c: FRAME_DOWNLOAD. */
void slot_download(struct slot *s, const struct frame *f);
/* The job is over: nothing is fetched any more. While slot->media is there, the store still works. */
void slot_media_stop(struct slot *s);
/* Whether the job asked for files of media. */
bool slot_wants_media(const struct slot *s);
/* The URL as it is asked for: at site.media_base, when there is one. */
void slot_media_url(const struct slot *s, struct span url, struct buf *out);
/* What a worker may ask of its tab, and of the site without one. False when the frame is no such call. */
bool slot_call(struct slot *s, const struct frame *f);

/* ---- login.c ---- */
#define LOGIN_CALL (UINT32_MAX - 1) /* the number of node's call that sets the cookies */
/* Takes the cookies that the store opened. False: they cannot be read. */
bool slot_login_open(struct slot *s, struct secret *text);
void slot_login_close(struct slot *s);
/* Into the context of the tab, whose reply to LOGIN_CALL says how it went. */
MUST_USE err slot_login_start(struct slot *s);
/* "Cookie: a=1; b=2" for a request to the site itself; nothing for one that goes elsewhere. */
void slot_login_header(const struct slot *s, struct span url, struct buf *out);
/* Stars in the place of their values: in a text, in copies of those texts of a frame that need it. */
void slot_login_hide(const struct slot *s, char *text, size_t n);
void slot_login_blacken(const struct slot *s, struct frame *f,
                        struct buf copy[FRAME_TEXTS_MAX]);

/* ---- evidence.c ---- */
/* What of the job is kept: as it asks, else as configured. */
enum evidence_keep slot_keep(const struct slot *s);
/* A piece of evidence from the worker. False: it breaks the protocol. */
bool slot_evidence(struct slot *s, const struct frame *f);
/* The worker's strategy has failed and another follows: asks for pictures of its page. Answered when they are there,
 * or will not come: slot_pictures_tell(). False: it breaks the protocol. */
bool slot_picture(struct slot *s, const struct frame *f);
void slot_pictures_tell(struct slot *s);
/* Is it an answer to these questions? No other may know of it. */
bool slot_pictures_asked(uint32_t call);
/* The job has failed, its tab is still there: asks for pictures. True: s->picturing, and the tab stays
 * until slot_pictures_reply() is true, or slot_pictures_give_up(). */
bool slot_pictures_start(struct slot *s);
bool slot_pictures_reply(struct slot *s, uint32_t call, err e, struct span reply);
void slot_pictures_give_up(struct slot *s, enum evidence_gap gap);
/* What the expression that watches the page calls; no script of the page itself has it. */
#define WATCH_HAND  "fulmar_hand"
#define WATCH_WORLD "fulmar"
#define WATCH_STEP  UINT32_MAX /* the number of node's own calls for it */

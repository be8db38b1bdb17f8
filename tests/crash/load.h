/* load.h - a scripted run of the store: two dozen jobs of all kinds through store.h, group by group, by a
 * client and workers that remember only what was acknowledged.
 *
 * The same load on the same disk does the same calls. After a crash or a failed group it goes on as the
 * service and its clients would: what was not acknowledged is asked for again with the same ids, leases
 * of before the crash are stale, and the script runs to its end. */
#pragma once

#include "base/arena.h"
#include "store/store.h"

enum {
    LOAD_JOBS = 24,
    LOAD_ITEMS = 4,   /* of a batch */
    LOAD_FAT = 30000, /* bytes of a big record */
    LOAD_WHY = 300,
    LOAD_ROUNDS = 400, /* more than any run needs */
};

/* What the outside knows of a job. */
struct load_job {
    bool accepted; /* acknowledged */
    bool cancel_asked, started, over;
    bool gone;      /* retention takes it, or has taken it */
    uint64_t nonce; /* of the lease it holds; 0 none */
    int64_t batches, attempts, beaten_ms;
    enum job_state state;
};
struct load_view {
    struct load_job jobs[LOAD_JOBS];
    int64_t groups, ops; /* acknowledged */
    bool retained, restarted;
};
enum load_mistake { LOAD_HONEST, LOAD_ANSWERS_EARLY };

struct load {
    struct store *s;
    const char *dir;
    struct store_limits limits;
    struct arena *a;
    struct load_view known;
    int64_t now, round;
    uint64_t nonces;
    /* after a crash or a failure: what was asked for may be there already */
    bool clients_repeat;
    int64_t failed, full; /* groups; of them for want of room */
    int64_t refused;      /* operations of a sound group, for want of room */
    /* operations on a full disk that need no room: done, refused */
    int64_t full_ended, full_stuck;
    int64_t reopened; /* store_open() that failed and was tried again */
    enum load_mistake mistake;
    void (*on_answer)(void *ctx); /* a group is acknowledged */
    void (*on_group)(void *ctx);  /* and the client has looked at its jobs */
    void *ctx;
    void (*broken)(const char *why); /* does not return */
};

struct store_limits load_limits(void);
/* The service starts. Tries again, up to `tries` times, when the disk refuses. */
void load_open(struct load *l, int tries);
void load_close(struct load *l);
/* One group of operations; false when every job has ended as it should and was seen to. */
bool load_round(struct load *l);
/* The service was started anew: the old leases are tried, and are stale. */
void load_after_crash(struct load *l);
/* What the store shows is what is known of these jobs, but for leases, which a start ends. "" or why not.
 * values: not only that the jobs are there, and in their states. */
void load_compare(struct load *l, const struct load_view *v, bool values, char why[LOAD_WHY]);
/* Everything ended as the script says, every record once, events dense and in the order of a life. */
void load_check_end(struct load *l);

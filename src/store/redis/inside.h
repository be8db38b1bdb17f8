/* inside.h - what the files of this folder share. Nobody else includes it. */
#pragma once

#include "base/json.h"
#include "os/secret.h"
#include "store/asked.h"
#include "store/redis/link.h"
#include "store/redis/redis.h"

enum { CALL_ARGS = 48, CALL_NUMBER = 24, OUTCOMES = VERDICT_COUNT - 1 + 3, NONCE_TEXT = 17 };

/* What this node knows of the queue's past: history.c. */
enum { RECENT_JOBS = 256 };
struct history {
    char id[40];             /* of the store; empty: it has not used one yet */
    char mark[ID_TEXT + 24]; /* of the last event that it wrote */
    int64_t event;           /* its number; 0: none */
    uint64_t call; /* the last one that changed something, and was answered; 0: none */
    struct recent {
        char id[ID_TEXT]; /* of a job that was accepted; empty: none */
        mono at;
    } recent[RECENT_JOBS];
    size_t next;
    struct store_loss loss; /* so far */
    bool walks; /* the walk that follows a loss, or a script that failed, is not done yet */
    int64_t walks_before; /* it: done before; −1: nobody knows yet */
    int64_t walks_wanted; /* ends of walks: 1 where it began anew, 2 where it stood somewhere */
    mono walk_again;      /* not before for a script that failed */
};

struct store {
    struct store_head head;
    struct link *link;
    struct redis_config config; /* its texts are gone */
    struct store_limits limits;
    uint64_t seed;
    char node[REDIS_NODE + 1];
    char dir[512];          /* of the key; empty: none */
    struct secret_key *key; /* NULL until it is needed */
    char files[512];        /* of media, shared by all nodes; empty: none */
    int sweep_at;           /* folder of them that is looked through next; 256: all were */
    int64_t parts_swept_ms; /* 0: never */
    struct buf conf;        /* limits, as scripts read them */
    struct arena *own;      /* of one operation: replies, texts of arguments */
    struct buf scratch;     /* JSON of an event */
    int64_t epoch;
    /* which process of the node, and which call of it: the number of a call */
    uint64_t run, calls;
    bool in_group;
    bool broke;    /* a script of several operations, in this group: what it wrote is there */
    bool accepted; /* a job, in this group */
    bool doubtful; /* a connection was made in between: nobody knows what WAIT would speak of */
    bool confirmed;          /* the jobs of the last group are as safe as wanted */
    mono audited;            /* the last step of the walk */
    wall now;                /* of the last call */
    int64_t ended[OUTCOMES]; /* in this group, by outcome */
    int64_t deleted[RETAIN_LIMITS];
    int64_t last_event; /* that was heard of */
    struct history history;
};
/* A script of this node wrote this event; mark empty: it wrote none. */
void history_note(struct store *s, int64_t event, struct span mark);
void history_accepted(struct store *s, const char *id);
void history_forget(struct store *s, struct span id); /* somebody deleted it */
MUST_USE err history_open(struct store *s, struct fault *f);
/* The store that was opened has this id: from now on no other one will do. */
MUST_USE err history_is(struct store *s, struct span id, struct fault *f);
/* E_STORE: another store, or an emptied one. What is lost is noted, and no error. */
MUST_USE err history_check(struct store *s, struct fault *f);
MUST_USE err history_greet(void *ctx, struct fault *f);

/* What scripts answer first; R_… in common.lua. */
enum said {
    SAID_OK,
    SAID_END,
    SAID_STALE,
    SAID_NONE,
    SAID_STATE,
    SAID_TAKEN,
    SAID_FULL,
    SAID_MODE,
    SAID_CLOSED,
    SAID_BODY,
    SAID_LANES,
    SAID_SESSION,
    SAID_FIRST,  /* the archive is to be asked first */
    SAID_ALONE,  /* of several operations: this one is to be asked alone */
    SAID_COMING, /* jobs that were accepted are about to come in: when they have, ask again */
};

/* Arguments of a script. */
struct call {
    struct span args[CALL_ARGS];
    size_t count;
    char numbers[CALL_ARGS][CALL_NUMBER];
};
void call_text(struct call *c, struct span text);
void call_number(struct call *c, int64_t n);
void call_flag(struct call *c, bool flag);
void call_hex(struct call *c, uint64_t n); /* 16 digits: what may be above 2^53 */
/* As a JSON string, in the arena of the operation. */
void call_json(struct store *s, struct call *c, struct span text);
/* All of them as one, as cmsgpack.unpack() reads them, in the arena of the operation: what a script is asked several times. Each
 * argument costs Redis as much as a command does. */
struct span call_packed(struct store *s, const struct call *c);
/* A text behind others, as M.texts_of() of common.lua reads them. */
void packed_add(struct buf *out, struct span text);
/* Lane, tenant, site, class and the tenant's place among those whose turn is the same. */
void call_lane(struct call *c, const struct lane_name *lane);

/* As find.lua reads it. */
void call_filter(struct call *c, const struct jobs_filter *by);

/* Of this process, which of its calls it is: as the queue remembers its answer. */
void call_number_text(const struct store *s, uint64_t call, char out[2 * CALL_NUMBER]);
/* Runs it. A writing script has a number, so that it may be asked again. The reply lives until the next
 * operation begins. */
MUST_USE err store_write(struct store *s, enum script script, const struct call *c, wall now,
                         struct reply *out, struct fault *f);
/* As store_write(), of more words than a call has. */
MUST_USE err store_write_words(struct store *s, enum script script, const struct span *words,
                               size_t count, wall now, struct reply *out, struct fault *f);
MUST_USE err store_look(struct store *s, enum script script, const struct call *c, wall now,
                        struct reply *out, struct fault *f);
static inline enum said said(const struct reply *r)
{
    return (enum said)reply_number(r, 0);
}
/* Without a node of its own: nothing is taken over, and nobody is greeted. */
MUST_USE err store_of_mover(struct store **out, const struct redis_config *config,
                            const struct store_limits *limits, struct fault *f);
enum { STORE_SCHEMA = 1 };
/* At the begin of each operation: forgets the replies of the one before. */
void store_fresh(struct store *s);

/* Of a hash as Redis answers it, fields and values in turn: 0 or empty when it has none of that name. */
int64_t reply_field(const struct reply *fields, const char *name);
struct span reply_field_text(const struct reply *fields, const char *name);
/* Copies into the caller's arena; E_TOO_BIG. */
MUST_USE err store_keep(struct arena *a, struct span text, struct span *out, struct fault *f);
MUST_USE err fail_stale(struct span id, struct fault *f);
MUST_USE err fail_no_job(struct span id, struct fault *f);

/* The lease, when this nonce holds it; else E_STALE. Its job borrows from the argument. */
MUST_USE err lease_held(struct store *s, struct span id, uint64_t nonce,
                        struct archive_lease *out, struct fault *f);

/* The fixed texts of a job, in the order of common.lua's M.fixed(). */
enum fixed {
    FIXED_SITE,
    FIXED_KIND,
    FIXED_TARGET,
    FIXED_SPEC,
    FIXED_VARIANT,
    FIXED_POOL,
    FIXED_OPERATION,
    FIXED_TEXTS
};
/* Puts what take.lua is asked behind the other arguments. E_BAD_INPUT, E_TOO_BIG. */
MUST_USE err accept_put(struct store *s, struct call *c, const struct accept_args *a,
                        struct fault *f);
/* Those arguments as one. */
struct span accept_packed(struct store *s, struct call *c);
/* What accept.lua answered; so many connections had been made before that was asked. */
MUST_USE err accept_read(struct store *s, const struct accept_args *a, const struct reply *r,
                         int64_t connections, struct accept_reply *out, struct fault *f);
/* What reserve.lua is asked, and what it answered: E_END. */
void reserve_put(struct store *s, struct call *c, const struct reserve_args *a);
MUST_USE err reserve_read(struct store *s, const struct reply *r, struct arena *a,
                          struct lease *out, struct fault *f);
/* Likewise of finish.lua, for a job whose archive was not asked. */
void finish_put(struct store *s, struct call *c, const struct finish_args *a);
MUST_USE err finish_read(const struct reply *r, struct span id, struct finish_reply *out,
                         struct fault *f);
/* Likewise of lease.lua; what: "started", "heartbeat". */
void speak_put(struct call *c, struct span id, uint64_t nonce, struct span what, int64_t batch);
/* Jobs came in; so many connections had been made before that was asked. */
void accepted_some(struct store *s, int64_t connections);
/* Why a job may not come in, or not come back. */
MUST_USE err accept_refused(struct store *s, const struct reply *r, struct span id,
                            struct span lane, struct span site, struct span pool,
                            struct fault *f);
/* Borrows from the text; what is not there is empty. */
void fixed_read(struct span text, struct span out[FIXED_TEXTS]);

/* The views of a reply, behind its first member, behind the n that are there; place: number of the last one. A first
 * one that does not fit is E_TOO_BIG with words. */
MUST_USE err job_views_add(const struct reply *r, struct arena *a, struct job_view *all,
                           size_t *n, int64_t *place, struct fault *f);
/* What scripts say of an operation. */
MUST_USE err operation_view_of(const struct reply *r, struct arena *a,
                               struct operation_view *out, struct fault *f);
/* The number of the job, which a list goes on behind. E_NOT_FOUND. */
MUST_USE err job_place(struct store *s, struct span id, wall now, int64_t *out,
                       struct fault *f);
/* Ticket, packed job, and why there can be none, of a callback, behind the other arguments. */
MUST_USE err callback_put(struct store *s, struct call *c, struct span ticket, struct fault *f);
/* Jobs of batches that a node accepted and did not live to bring in. */
MUST_USE err batches_enter(struct store *s, wall now, struct fault *f);
/* A job that is none yet comes in when it was accepted with a batch; out: whether it was. */
MUST_USE err batch_job_enter(struct store *s, struct span id, wall now, bool *out,
                             struct fault *f);
/* Callbacks of batches that could not be accepted before, and are due. */
MUST_USE err callbacks_again(struct store *s, wall now, struct fault *f);

/* A page of the log, or of one job's events; it begins behind `from`. */
enum events_part { EVENTS_BEHIND = 1, EVENTS_FIRST }; /* BEHIND: where to go on; -1: the end */
MUST_USE err events_next(struct store *s, struct span job, int64_t from, size_t most,
                         struct reply *out, struct fault *f);
MUST_USE err event_view_of(struct store *s, const struct reply *r, struct arena *a,
                           struct event_view *v, struct fault *f);

/* The key of login sessions and webhooks, the same on each node, into s->key. */
MUST_USE err node_key(struct store *s, bool make, struct fault *f);

/* ---- hands.c ---- */
void hand_fields(const struct reply *fields, struct hand *out);
/* What a script needs of the change: act, until, by, why, event, its body. key: the id of the thing. */
void hand_call(struct store *s, struct call *c, const struct hand_change *h, struct span key);
MUST_USE err hand_session(struct store *s, const struct hand_change *h, wall now,
                          struct fault *f); /* sessions.c */
MUST_USE err hand_webhook(struct store *s, const struct hand_change *h, wall now,
                          struct fault *f); /* webhooks.c */

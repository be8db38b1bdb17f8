/* inside.h - what the files of this room share. Nobody else includes it.
 *
 * A request that needs the store owns a `struct call`: one store operation and the arena that
 * its texts live in. The call outlives the request when the client goes away first: it then
 * waits for its operation and frees itself. */
#pragma once

#include "api/api.h"
#include "api/body.h"
#include "api/http.h"
#include "base/json.h"
#include "extract/fields.h"
#include "store/batches.h"
#include "wire/problem.h"

enum {
    ANSWER_MAX = 4 * 1024 * 1024,
    WRITTEN_BYTES =
        1
        << 20, /* of the jobs of a list, before what was not asked for is left out: behind it no further row begins */
    LIST_BYTES = ANSWER_MAX - ANSWER_MAX / 8, /* of a list: behind it no further row begins */
    PAGE_BYTES = 256 * 1024,                  /* of a stream's page */
    EVENT_STREAMS_MAX = 200,
    WAITERS_MAX = 200,
    BULK_MOST = 1000,
    BULK_STREAM_MOST = 100 * 1000,
    BULK_STREAM_BYTES = 32 * 1024 * 1024,
    BULK_STREAMS_MAX = 4, /* at once */
    REQUEST_KEY_MAX = 255,
};

struct lookout;

struct api {
    struct loop *loop;
    struct store_thread *store;
    struct api_config config;
    struct http *http;
    struct json_parser *json;
    struct list streams; /* open event streams: calls */
    size_t stream_count;
    size_t bulk_count;   /* requests with bodies of BULK_STREAM_BYTES */
    struct list waiters; /* calls with Prefer: wait */
    size_t waiter_count;
    struct lookout *lookout; /* for all of them */
    struct list counts;      /* calls whose count waits for its turn */
    struct call *counting;   /* whose slice of a count is at the store; NULL: nobody's */
    struct timer *heartbeat;
    int64_t last_event;
    bool draining;
};

struct route {
    const char *
        path; /* "{id}" stands for a job's id, "{name}" for a word, "{batch}" and "{operation}" likewise, "{lane}" for a lane with its two
                          slashes, "/{n}" at the end for a number */
    const char *allow;        /* "GET, HEAD", or its one method */
    bool store;               /* needs a call */
    const char *const *query; /* parameters it knows; NULL-terminated */
    void (*run)(struct api *a, struct request *r, struct span id);
    bool secret; /* its body is wiped */
};

struct call;
/* How a call that may wait looks at what it is about, and what it answers. */
struct wait_face {
    void (*look)(struct call *c, void (*then)(struct call *c));
    bool (*over)(
        const struct call *c); /* after a look that succeeded: there is nothing to wait for */
    void (*answer)(struct call *c); /* after any look */
};

struct call {
    struct store_op op; /* first: found from the operation */
    struct api *api;
    struct request *request;      /* NULL once the client is gone */
    void (*then)(struct call *c); /* the operation came back, and the client is there */
    bool busy;                    /* the operation is at the store */
    size_t posted;                /* of call_accept_all(): not answered yet */
    struct list node;             /* in api->streams */
    struct list waits;            /* in api->waiters */
    struct list turns;            /* in api->counts */
    struct count *count;          /* that goes on; count.c's own */
    const struct wait_face *wait;
    struct timer *bell; /* rings when it has waited long enough; NULL: it does not wait */
    bool stirred, late; /* something happened since the last look; the bell rang */
    char applied[16];   /* "wait=20" of Preference-Applied; empty: no wait */
    bool chosen, once;  /* its id is the client's; and was to be new */
    char id[ID_TEXT];   /* job of the request; empty = none */
    char key[256];      /* Idempotency-Key */
    int64_t after;      /* last position given out */
    int64_t left;       /* of a limited page; −1 = everything there is */
    int64_t asked_at;   /* event streams: newest event when the operation was posted */
    int kind;           /* enum item_kind */
    size_t page;        /* rows asked for */
    bool paged;         /* so many, not all of them as one stream */
    bool replayed;
    bool existing;              /* a job with this unique key was there */
    enum durability durability; /* of the job that was accepted */
    bool confirmed;
    bool ends_jobs;        /* of call_work(): may use the ballast of a full disk */
    bool job_fields;       /* of the job, once it is known */
    bool as_media;         /* of posts, their media */
    struct buf secret;     /* cookies on their way to the store: wiped with the call */
    struct fields *fields; /* of each record; NULL: all of it */
    void *lines;           /* how far a stream of a batch has come; freed with the call, */
    void (*lines_end)(void *lines);                /* after this; NULL: nothing hangs on it */
    void (*on_pull)(void *ctx, struct request *r); /* of call_stream_lines() */
    void *more;                                    /* of whoever made the call; in its arena */
    struct span kept;          /* in the arena: of an earlier operation of the call */
    int64_t purged;            /* so far */
    struct lane_change change; /* of queues.c, and of */
    struct limit_view limit;
    struct span match; /* of If-Match, see if_match_digest() */
    bool breaker;      /* the answer is the lane's breaker, not the lane */
};

/* ---- wait.c ---- */
/* Looks, and answers: at once, or with Prefer: wait=N when it is over or N seconds are. The arena of the call may be
 * reset by a look. */
void wait_for(struct call *c, const struct wait_face *face);
void wait_more(struct api *a); /* last_event moved */
void wait_forget(struct call *c);
void wait_end_all(struct api *a); /* everybody is answered with how it is */
struct lookout *wait_lookout_new(struct api *a);
void wait_lookout_free(struct lookout **l);

/* ---- api.c ---- */
struct call *call_new(struct api *a, struct request *r, struct span id);
void call_free(struct call *c); /* nobody listens, and nothing is at the store */
void call_post(struct call *c, enum store_verb verb, void (*then)(struct call *c));
/* So many jobs at once, in the call's arena, each as of STORE_ACCEPT alone: `then` when all are answered, their results in
 * the operations. */
void call_accept_all(struct call *c, struct store_op *ops, size_t n,
                     void (*then)(struct call *c));
/* An operation of the store that has no verb: STORE_WRITE or STORE_READ. args live in the call's arena. */
void call_work(struct call *c, enum store_verb verb,
               err (*run)(struct store *s, void *args, struct arena *a, wall now,
                          struct fault *f),
               void *args, void (*then)(struct call *c));
/* Answers with a stream of NDJSON about the job c->id, or 404. on_pull's request->owner is the call. */
void call_stream_lines(struct call *c, void (*on_pull)(void *ctx, struct request *r));

bool api_knows_site(const struct api *a, struct span name); /* there is a pack */
struct buf answer_buf(void);
/* Sends what is in the buf, which is freed; headers: name, value, …, NULL, or NULL. */
void answer_json(struct request *r, int status, struct buf *body, const char *const *headers);
/* If-None-Match of a reading request: the client has what this tag is of. It is answered 304 then, with the body that the
 * answer would have: http.h. */
bool client_has(const struct request *r, const char *tag);
/* Of an answer with an ETag: kept, and asked for before it is used. */
#define CACHE_ASKED "private, no-cache"
/* The end of a list that view_list() began, and the answer. */
void answer_list(struct request *r, int status, struct buf *body, struct json_w *w,
                 size_t limit, struct span next_after);
__attribute__((format(printf, 4, 5))) void
answer_problem(struct request *r, int status, const char *code, const char *fmt, ...);
void answer_busy(struct request *r, int status, const char *code, const char *detail);
void answer_fault(struct request *r, err e, const struct fault *f);
/* The code of its problem. */
const char *fault_code(err e);
/* What a client is told: that the store cannot be used is E_STORE, and never that the queue is full. */
err fault_told(err e, const struct fault *f);
/* True when the operation failed, and that was said. E_STALE: somebody else was faster, 412. */
bool call_failed(struct call *c);
bool call_failed_also(struct call *c, const char *also); /* with these words behind its own */
/* Query parameter as a number in a range; false: answered 400. *value stays when it is not
 * given. */
MUST_USE bool query_number(struct request *r, const char *name, int64_t min, int64_t max,
                           int64_t *value);

/* Likewise a date or RFC 3339. */
MUST_USE bool query_time(struct request *r, const char *name, int64_t *out);
/* What stands for {n} at the end of the path; false: answered 404. */
MUST_USE bool path_number(struct request *r, const char *nouns, int64_t *out);

/* If-Match: "r7" with its quotes, or * or none: −1. False: answered (428 when it is required). */
MUST_USE bool if_match(struct request *r, bool required, const char *noun,
                       int64_t *out_revision);

/* Likewise, required, of what view_digest_tag() wrote: kept in the arena; empty: any. */
MUST_USE bool if_match_digest(struct request *r, const char *noun, struct arena *a,
                              struct span *out_tag);
/* Whether that is still the tag. E_STALE: it is not. */
MUST_USE err digest_matches(struct span tag, uint64_t digest, const char *noun,
                            struct fault *f);

struct order;
struct order_refusal;
/* ---- jobs.c ---- */
/* Or there is no Content-Type; of a PATCH it may also be a merge patch. False: answered 415. */
MUST_USE bool body_is_json(struct request *r);
/* Idempotency-Key, with or without quotes, empty when it is not there; false: not 1 to 255 visible ASCII
 * characters. */
bool request_key(struct request *r, char out[REQUEST_KEY_MAX + 1]);
/* Likewise of a text that is there. */
bool key_read(struct span key, char out[REQUEST_KEY_MAX + 1]);
/* Of an order that the store did not take; keyed: its request has a key. */
struct accept_problem {
    int status;
    const char *code;
    bool retryable;
};
struct accept_problem accept_problem(err e, bool keyed);
/* Into c->key; false: answered 400. */
/* As the header and the results of many orders say it. */
const char *jobs_durability(enum durability d, bool confirmed);
MUST_USE bool jobs_request_key(struct call *c);
void answer_refusal(struct request *r, const struct order_refusal *refusal);
void make_id(char out[ID_TEXT], const char *kind);
/* Accepts it; answers 202 with the job. text: of the request, for its Idempotency-Key. */
void jobs_submit(struct call *c, const struct order *order, struct span text);
void jobs_create(struct api *a, struct request *r, struct span id);
void jobs_put(struct api *a, struct request *r, struct span id);
void jobs_result(struct api *a, struct request *r, struct span id);
void jobs_list(struct api *a, struct request *r, struct span id);
void jobs_show(struct api *a, struct request *r, struct span id);
void jobs_cancel(struct api *a, struct request *r, struct span id);

/* The operation is done: answers 200 with the job as it is now. */
void jobs_answer(struct call *c);
/* Likewise, 202 with its Location: it will run. */
void jobs_answer_accepted(struct call *c);

/* ---- priority.c ---- */
/* Those that name no priority get the one that they would have in their lanes as these are now, then `then`. The array and
 * the jobs live as long as the call. */
void priorities_look(struct call *c, struct accept_args *const *jobs, size_t count,
                     void (*then)(struct call *c));

/* ---- callbacks.c ---- */
struct callback_wish { /* of an order */
    struct span webhook;
    struct span tenant, key; /* with which it may have been accepted before; empty: not */
    bool missing;            /* the answer: there is no such webhook */
};
/* Looks for them, then goes on, whatever the result of the operation: a store that cannot be asked has them all, for what is
 * not there when a job ends is said there. The wishes live as long as the call. */
void callbacks_look(struct call *c, struct callback_wish *const *wishes, size_t count,
                    void (*then)(struct call *c));
/* What is said of one that is missing. */
void callbacks_refuse(struct body *b, struct span pointer, struct span webhook);

/* ---- batches.c ---- */
void batches_create(struct api *a, struct request *r, struct span id);
void batches_list(struct api *a, struct request *r, struct span id);
void batches_show(struct api *a, struct request *r, struct span id);
void batches_add(struct api *a, struct request *r, struct span id);
void batches_seal(struct api *a, struct request *r, struct span id);
void batches_cancel(struct api *a, struct request *r, struct span id);
void batches_retry(struct api *a, struct request *r, struct span id);
void batches_jobs(struct api *a, struct request *r, struct span id);
void batches_posts(struct api *a, struct request *r, struct span id);
void batches_users(struct api *a, struct request *r, struct span id);

/* ---- dead.c ---- */
void dead_list(struct api *a, struct request *r, struct span id);
void dead_show(struct api *a, struct request *r, struct span id);
void dead_retry_job(struct api *a, struct request *r,
                    struct span id); /* also of a cancelled one */
void dead_retry(struct api *a, struct request *r, struct span id);
void dead_delete(struct api *a, struct request *r, struct span id);
void dead_delete_job(struct api *a, struct request *r, struct span id);

/* ---- operations.c ---- */
struct operation_call { /* a call that begins an operation: args of its run, and its answer */
    struct operation_args args;
    struct span batch;
    struct operation_view view;
};
void operations_list(struct api *a, struct request *r, struct span id);
void operations_show(struct api *a, struct request *r, struct span id);
void operations_cancel(struct api *a, struct request *r, struct span id);
/* 202 with the operation of the call (c->op.in.work.args is a struct operation_call), or why not. */
void operations_answer(struct call *c);
/* ?dry_run=true; false: answered 400. */
MUST_USE bool query_dry_run(struct request *r, bool *out_dry);
/* {"per_minute": …, "reset": …} and, where *filter is not NULL, {"filter": {…}} of a body that may be
 * empty. False: answered. */
MUST_USE bool operations_read(struct api *a, struct request *r, struct arena *arena,
                              struct operation_args *out, bool with_filter);
/* 200: what would be done. */
void answer_dry_run(struct request *r, const char *action, int64_t count, bool exact);

/* ---- queues.c ---- */
void queues_list(struct api *a, struct request *r, struct span id);
void queues_show(struct api *a, struct request *r, struct span lane);
void queues_put(struct api *a, struct request *r, struct span lane);
void queues_patch(struct api *a, struct request *r, struct span lane);
void queues_pause(struct api *a, struct request *r, struct span lane);
void queues_resume(struct api *a, struct request *r, struct span lane);
void queues_close(struct api *a, struct request *r, struct span lane);
void queues_open(struct api *a, struct request *r, struct span lane);
void queues_unblock(struct api *a, struct request *r, struct span lane);
void queues_metrics(struct api *a, struct request *r, struct span lane);
void queues_purge(struct api *a, struct request *r, struct span lane);
enum { QUEUES_TTL_S = 600 }; /* as long as nothing is said */
/* {"by": …, "reason": …, "ttl_s": …} into c->change; a ttl_s where it is not NULL. False: answered. */
MUST_USE bool queues_read_note(struct call *c, bool says_why, int64_t *ttl_s);
/* Query parameter that is true or false; false: answered 400. */
MUST_USE bool query_flag(struct request *r, const char *name, bool *out);
void breakers_show(struct api *a, struct request *r, struct span lane);
void breakers_open(struct api *a, struct request *r, struct span lane);
void breakers_close(struct api *a, struct request *r, struct span lane);
void breakers_reset(struct api *a, struct request *r, struct span lane);

/* ---- breakers.c: those of all kinds; of one queue: queues.c ---- */
void breakers_put_lane(struct json_w *w, const struct lane_view *lane);
void breakers_list(struct api *a, struct request *r, struct span id);
void breakers_store(struct api *a, struct request *r, struct span id);
void breakers_store_act(struct api *a, struct request *r, struct span id);
void breakers_site(struct api *a, struct request *r, struct span site);
void breakers_site_open(struct api *a, struct request *r, struct span site);
void breakers_site_close(struct api *a, struct request *r, struct span site);
void breakers_site_reset(struct api *a, struct request *r, struct span site);
void breakers_session(struct api *a, struct request *r, struct span name);
void breakers_session_open(struct api *a, struct request *r, struct span name);
void breakers_session_close(struct api *a, struct request *r, struct span name);
void breakers_session_reset(struct api *a, struct request *r, struct span name);
void breakers_webhook(struct api *a, struct request *r, struct span id);
void breakers_webhook_open(struct api *a, struct request *r, struct span id);
void breakers_webhook_close(struct api *a, struct request *r, struct span id);
void breakers_webhook_reset(struct api *a, struct request *r, struct span id);

/* ---- workers.c ---- */
void workers_list(struct api *a, struct request *r, struct span id);
void workers_show(struct api *a, struct request *r, struct span id);
void browsers_list(struct api *a, struct request *r, struct span id);
void browsers_show(struct api *a, struct request *r, struct span id);
void workers_quiet(struct api *a, struct request *r, struct span id);
void workers_resume(struct api *a, struct request *r, struct span id);
void workers_stop(struct api *a, struct request *r, struct span id);
void workers_kill(struct api *a, struct request *r, struct span id);
void workers_dump(struct api *a, struct request *r, struct span id);
void workers_scale(struct api *a, struct request *r, struct span id);
void workers_scale_show(struct api *a, struct request *r, struct span id);
void browsers_recycle_one(struct api *a, struct request *r, struct span id);

/* ---- limits.c ---- */
void limits_show(struct api *a, struct request *r, struct span id);
void limits_set_all(struct api *a, struct request *r, struct span id);
void limits_set_tenant(struct api *a, struct request *r, struct span name);
void limits_set_site(struct api *a, struct request *r, struct span name);
void limits_set_webhook(struct api *a, struct request *r, struct span id);
void limits_effective(struct api *a, struct request *r, struct span id);
void mode_show(struct api *a, struct request *r, struct span id);
void mode_put(struct api *a, struct request *r, struct span id);

/* ---- artifacts.c ---- */
void artifacts_list(struct api *a, struct request *r, struct span id);
void artifacts_show(struct api *a, struct request *r, struct span id);
void artifacts_repair(struct api *a, struct request *r, struct span id);

/* ---- items.c ---- */
void items_posts(struct api *a, struct request *r, struct span id);
void items_users(struct api *a, struct request *r, struct span id);
void items_media(struct api *a, struct request *r, struct span id);
void items_unavailable(struct api *a, struct request *r, struct span id);
void items_rejected(struct api *a, struct request *r, struct span id);
void items_conflicts(struct api *a, struct request *r, struct span id);
/* One record as a line, with the fields of the call. */
void items_add_record(struct buf *out, const struct call *c, struct span json);
/* ?fields=; c->kind says of what. False: answered 400. */
MUST_USE bool items_query_fields(struct call *c, struct span list);
/* The job of the call is known: what it wants of each record. */
void items_job_known(struct call *c);

/* ---- sites.c ---- */
void sites_fields(struct api *a, struct request *r, struct span name);

/* ---- schedules.c ---- */
void schedules_create(struct api *a, struct request *r, struct span name);
void schedules_change(struct api *a, struct request *r, struct span name);
void schedules_patch(struct api *a, struct request *r, struct span name);
void schedules_show(struct api *a, struct request *r, struct span name);
void schedules_list(struct api *a, struct request *r, struct span name);
void schedules_delete(struct api *a, struct request *r, struct span name);
void schedules_runs(struct api *a, struct request *r, struct span name);
void schedules_pause(struct api *a, struct request *r, struct span name);
void schedules_resume(struct api *a, struct request *r, struct span name);
void schedules_trigger(struct api *a, struct request *r, struct span name);
void schedules_backfill(struct api *a, struct request *r, struct span name);
void schedules_preview(struct api *a, struct request *r, struct span name);
/* ---- sessions.c ---- */
void sessions_create(struct api *a, struct request *r, struct span id);
void sessions_list(struct api *a, struct request *r, struct span id);
void sessions_show(struct api *a, struct request *r, struct span name);
void sessions_cookies(struct api *a, struct request *r, struct span name);
void sessions_rotate(struct api *a, struct request *r, struct span name);
void sessions_lock(struct api *a, struct request *r, struct span name);
void sessions_unlock(struct api *a, struct request *r, struct span name);
void sessions_validate(struct api *a, struct request *r, struct span name);
void sessions_remove(struct api *a, struct request *r, struct span name);

/* ---- nodes.c ---- */
void nodes_list(struct api *a, struct request *r, struct span id);

/* ---- webhooks.c ---- */
void webhooks_create(struct api *a, struct request *r, struct span id);
void webhooks_list(struct api *a, struct request *r, struct span id);
void webhooks_show(struct api *a, struct request *r, struct span id);
void webhooks_change(struct api *a, struct request *r, struct span id);
void webhooks_remove(struct api *a, struct request *r, struct span id);
void webhooks_ping(struct api *a, struct request *r, struct span id);
void webhooks_rotate(struct api *a, struct request *r, struct span id);
void webhooks_replay(struct api *a, struct request *r, struct span id);
void webhooks_deliveries(struct api *a, struct request *r, struct span id);
void webhooks_delivery(struct api *a, struct request *r, struct span id);
void webhooks_redeliver(struct api *a, struct request *r, struct span id);

/* ---- files.c ---- */
void files_show(struct api *a, struct request *r, struct span hash);

/* ---- attempts.c ---- */
void attempts_list(struct api *a, struct request *r, struct span id);
void attempts_show(struct api *a, struct request *r, struct span id);

/* ---- bulk.c ---- */
/* Lines that are answered as lines: its body may be larger than others. */
bool bulk_is_stream(struct request *r);
/* Such a request begins: its body is taken as it comes. False: answered. */
MUST_USE bool bulk_begin(struct api *a, struct request *r);
void bulk_create(struct api *a, struct request *r, struct span id);

/* ---- pick.c ---- */
/* ?fields= of a list, where there is one, has only names that its rows have. False: answered 400. */
MUST_USE bool pick_known(struct request *r, const struct route *route);
/* Rows of the list that is open in w, with what the request names of each, as many as fit into one answer; how many these are:
 * one at least, of any. */
size_t pick_jobs(struct request *r, struct json_parser *parser, const struct job_view *jobs,
                 size_t count, struct buf *list, struct json_w *w);
/* Leaves of each row of the request's list what it names; other answers stay as they are. */
void pick_rows(struct request *r, struct buf *list);

/* ---- find.c ---- */
void jobs_actions(struct api *a, struct request *r, struct span id);

/* ---- change.c ---- */
void change_job(struct api *a, struct request *r, struct span id);
void change_hold(struct api *a, struct request *r, struct span id);
void change_release(struct api *a, struct request *r, struct span id);
void change_delete(struct api *a, struct request *r, struct span id);

/* ---- rerun.c ---- */
struct job_view;
/* The order of a job, with changes as a merge patch, in the arena of the call. again: of a job that repeats it. False:
 * answered. */
MUST_USE bool rerun_read(struct call *c, const struct job_view *job, bool again,
                         struct span changes, struct span *out);
void rerun_job(struct api *a, struct request *r, struct span id);

/* ---- events.c ---- */
void events_of_job(struct api *a, struct request *r, struct span id);
void events_of_batch(struct api *a, struct request *r, struct span id);
void events_stream(struct api *a, struct request *r, struct span id);
void events_log(struct api *a, struct request *r, struct span id);
void events_heartbeat(void *api); /* timer */
void events_more(struct api *a);  /* last_event moved */
void events_forget(struct call *c);

/* ---- health.c ---- */
/* Jobs that come now would be taken, and could run. */
bool health_is_ready(const struct api *a, const struct api_status *s);
const char *health_why(const struct api *a, const struct api_status *s); /* when it is not */
void health_live(struct api *a, struct request *r, struct span id);
void health_ready(struct api *a, struct request *r, struct span id);
void health_metrics(struct api *a, struct request *r, struct span id);

/* ---- front.c ---- */
void front_show(struct api *a, struct request *r, struct span id);
void front_style(struct api *a, struct request *r, struct span id);

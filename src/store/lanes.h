/* lanes.h - lanes as people see and set them: operations of the store (store.h has the rules of all
 * of them). A lane comes into being with its first job, or when something of it is set.
 *
 * Pausing a lane stops starts, not what runs; closing it stops intake. What was set by hand says who did
 * it, why and when. */
#pragma once

#include "core/lane.h"
#include "core/limit.h"
#include "core/meter.h"
#include "store/hands.h"

enum { LANE_AS_CONFIGURED = -1, LANE_NOTE = 200 };
struct lane_settings {
    int64_t weight;     /* 1-10000; its share among the lanes of its tenant */
    int64_t max_active; /* jobs at once, 1-10000 */
    int64_t emit_ms;    /* least time between two starts; 0 no limit */
    int64_t burst;      /* starts that may come at once */
    int64_t depth;      /* jobs that may wait; 0 any number */
    int64_t overflow;   /* enum lane_overflow: what becomes of one more */
    int64_t prio;       /* 0-9, of a job that comes without one */
};
enum lane_overflow {
    OVERFLOW_REFUSE,
    OVERFLOW_DROP_LAST, /* the ready one that would start last ends as cancelled, unless that is the new one */
    OVERFLOWS
};
const char *lane_overflow_name(enum lane_overflow o); /* "refuse", "drop_last" */
static inline struct lane_settings lane_settings_all(int64_t value)
{
    return (struct lane_settings){value, value, value, value, value, value, value};
}

struct lane_note { /* who stopped it and why; empty `by`: nobody */
    struct span by, why;
    int64_t at_ms;
};
struct lane_view {
    struct span name, tenant, site, pool, operation;
    enum lane_class class;
    /* in force; own: LANE_AS_CONFIGURED where it has none */
    struct lane_settings settings, own;
    struct limit_pace pace;                    /* how much of its rate it uses (core/limit.h) */
    int64_t blocked, scheduled, ready, active; /* jobs */
    int64_t oldest_ready_ms;                   /* since when; 0: none is ready */
    bool paused, closed;
    struct lane_note pause;
    enum waiting waiting; /* what its next job waits for; WAITING_NONE: none is ready */
    int64_t waiting_until_ms;
    int64_t blocked_until_ms; /* the site asked to wait; 0 or past: not */
    struct breaker breaker;
    int64_t breaker_forced_until_ms; /* set by hand until then; 0 not */
    struct hand hand;                /* by whom, as long as that is in force */
    int64_t
        at_ms; /* when all this was so, by the clock of the store: times above are held against it */
};
struct lanes_query {
    struct span after;        /* name of the last seen lane */
    struct span tenant, site; /* empty: all */
    bool troubled;            /* only those that something holds up */
    /* only those with a breaker that is not closed, counts errors, or was set by hand */
    bool breakers;
    bool counting; /* as breakers, and those that counted endings in the last ten minutes */
    size_t limit;  /* 1-500 */
};
/* By name. At most LANES_LOOKED of them are looked at in a call, so there may be fewer than `limit` although
 * there are more; *out_next is what `after` has to be to go on, empty when these were the last. */
enum { LANES_LOOKED = 4096 };
MUST_USE err store_lanes(struct store *s, const struct lanes_query *q, wall now,
                         struct arena *a, struct lane_view **out_lanes, size_t *out_count,
                         struct span *out_next, struct fault *f);
/* E_NOT_FOUND. */
MUST_USE err store_lane(struct store *s, struct span name, wall now, struct arena *a,
                        struct lane_view *out, struct fault *f);
/* What went through it in this time, at most METER_WINDOW_MS; the embedded store: since it was opened. E_NOT_FOUND. */
MUST_USE err store_lane_meter(struct store *s, struct span name, int64_t window_ms, wall now,
                              struct meter_sums *out, struct fault *f);

/* ---- limits above lanes ---- */
enum limit_scope { LIMIT_ALL, LIMIT_TENANT, LIMIT_SITE, LIMIT_WEBHOOK, LIMIT_SCOPES };
struct limit_view {
    enum limit_scope scope;
    struct span name; /* of tenant or site, id of a webhook; empty for LIMIT_ALL */
    /* jobs, of a webhook requests; 0: any number, of a webhook WEBHOOK_AT_ONCE */
    int64_t max_active;
    int64_t weight;         /* of a tenant; 0 else */
    int64_t emit_ms, burst; /* of a site or webhook */
    int64_t active;
};

/* All that bounds a lane, whether there is one or not. */
struct lane_bounds {
    /* name empty: there is none yet; settings are those that it would have */
    struct lane_view lane;
    bool exists;
    struct limit_view all, tenant, site;
};
/* E_BAD_INPUT: not the name of a lane. */
MUST_USE err store_lane_bounds(struct store *s, struct span name, wall now, struct arena *a,
                               struct lane_bounds *out, struct fault *f);

enum lane_act {
    LANE_ACT_SET, /* settings; members LANE_UNCHANGED stay, LANE_AS_CONFIGURED give up their own */
    LANE_ACT_PAUSE, /* with by and why */
    LANE_ACT_RESUME,
    LANE_ACT_CLOSE, /* takes no more jobs; with by and why */
    LANE_ACT_OPEN,
    LANE_ACT_BREAKER_OPEN, /* hold_ms: for how long it is held so, at most a day; then closed by itself */
    LANE_ACT_BREAKER_CLOSE,
    LANE_ACT_BREAKER_RESET, /* closed, errors and openings forgotten, by itself again */
    LANE_ACT_UNBLOCK,       /* forgets that the site asked to wait */
    LANE_ACTS
};
enum { LANE_UNCHANGED = -2 };
struct lane_change {
    struct span name;
    enum lane_act act;
    struct lane_settings settings; /* LANE_ACT_SET */
    int64_t hold_ms; /* from when the store does it, by its clock: nobody else's has to agree */
    struct span by, why;
};
/* E_BAD_INPUT. What is as wanted already is E_OK and changes nothing. */
MUST_USE err store_lane_change(struct store *s, const struct lane_change *c, wall now,
                               struct fault *f);
/* Cancels jobs of the lane that wait, at most 200 in a call. */
struct lane_purge {
    struct span name;
    struct span by, why; /* at most LANE_NOTE bytes; may be empty */
};
MUST_USE err store_lane_purge(struct store *s, const struct lane_purge *p, wall now,
                              int64_t *out_cancelled, bool *out_more, struct fault *f);

/* All that is set, what is in use without being set, and one of each webhook: by scope, then by name, page by page. */
enum { LIMITS_PAGE = 1000 };
struct limits_query {
    enum limit_scope scope; /* behind this one; LIMIT_ALL: from the first tenant on */
    struct span name;
    bool with;    /* from this one on */
    size_t limit; /* 1 to LIMITS_PAGE */
};
struct limits_page {
    struct limit_view all; /* on every page */
    struct limit_view *rows;
    size_t count;
    bool more;
};
MUST_USE err store_limits(struct store *s, const struct limits_query *q, struct arena *a,
                          struct limits_page *out, struct fault *f);
/* Where it stands among them: below 0 before, above 0 behind. */
int limit_order(enum limit_scope a, struct span a_name, enum limit_scope b, struct span b_name);
/* Members LANE_UNCHANGED stay. E_BAD_INPUT; E_NOT_FOUND: there is no such webhook. */
MUST_USE err store_limit_set(struct store *s, const struct limit_view *limit, wall now,
                             struct fault *f);

/* lanes.h - lanes, their tenants and sites, and whose turn it is. Private to this folder.
 *
 * They are asked for all the time and change with every start, so they live in memory and are written
 * to their rows by sqlite_commit(). What may start stands in queues by turn, what time will open again
 * stands in one queue by time, and all others stand in none: a lane that is blocked, full or paused
 * costs nothing until something that concerns it happens. Every change of a lane ends in lane_place(),
 * the one function that says where it stands.
 *
 * Turns are two stages of stride scheduling: between the tenants, and between the lanes of a tenant,
 * so that nobody gains by splitting work over many lanes. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/pqueue.h"
#include "core/lane.h"
#include "core/limit.h"
#include "store/sqlite/db.h"
#include "store/lanes.h"

/* Who shares: a cap on what runs at once, and for sites a rate (GCRA). */
struct store_tenant {
    char *name;
    int64_t active, max_active; /* 0: any number */
    int64_t weight, pass;
    int64_t ready; /* jobs; none: it sleeps */
    int64_t vtime; /* pass of the last start: where a lane of it that wakes up begins */
    int64_t lanes; /* that name it */
    struct pqueue turns[NEEDS_COUNT]; /* its lanes that may start, by pass */
    struct pq_node turn[NEEDS_COUNT]; /* its place among the tenants */
};
struct store_site {
    char *name;
    int64_t active, max_active; /* 0: any number */
    int64_t emit_ms, burst, tat_ms;
    int64_t lanes, ready;
    int64_t counted, counted_at; /* scratch of lanes_outlook() */
    struct list full;            /* lanes that wait for one of its jobs to end */
    struct list rated;           /* it has a rate */
    bool dirty;
};

/* What a rollback takes back. */
struct lane_facts {
    int64_t pass, tat_ms, blocked_until_ms;
    struct breaker breaker; /* its window is not kept over a restart */
    /* somebody set the breaker by hand: until then it stays so; 0 nobody */
    int64_t forced_until_ms;
    struct limit_pace pace; /* of its rate */
    int64_t last_bad;       /* job whose health error was counted last; 0 none */
    int64_t blocked, scheduled, active;
    int64_t ready[NEEDS_COUNT];
    struct lane_settings own; /* LANE_AS_CONFIGURED: not its own */
    bool paused, closed;
};
struct store_lane {
    int64_t id;
    char *name;
    struct store_tenant *tenant;
    struct store_site *site;
    enum lane_class class;
    struct span pool, operation; /* in name */
    struct lane_facts now;
    struct limit_retries retries; /* since the store was opened */
    struct meter *meter;          /* likewise; NULL: nothing went through it */
    /* none of its sessions can be used before; INT64_MAX: nobody knows when */
    int64_t parked_until_ms;
    int64_t used_ms; /* something happened in it last; since the opening */
    bool dirty;      /* differs from its row */
    bool touched;    /* its facts of before the group are in store->undo */
    struct pq_node turn[NEEDS_COUNT], wait;
    struct list full;
    enum lane_word word; /* as counted in lane_book */
    int64_t runnable;    /* likewise */
};

/* All of it; one in struct store. */
struct lane_book {
    struct store_lane **by_id; /* index id, NULL where there is none */
    size_t room, count;
    int64_t last_id;
    struct map lanes, tenants, sites;
    struct pqueue tenants_turn[NEEDS_COUNT], waits;
    /* of all; 0: any number; set: by hand, 0 as configured */
    int64_t active, active_max, active_set;
    int64_t tenant_vtime;
    struct list rated;         /* sites with a rate */
    int64_t looks;             /* of lanes_outlook() */
    int64_t placed_ms;         /* the latest instant at which one was given its place */
    int64_t words[LANE_WORDS]; /* lanes with jobs, by what holds them up */
    int64_t runnable;          /* ready jobs of lanes that nothing holds up */
    struct lane_undo {
        struct store_lane *lane;
        struct lane_facts before;
        bool added;
    } * undo;
    size_t undo_count, undo_room;
    /* of the first marked_count of them, as they were at lanes_mark() */
    struct lane_facts *marked;
    size_t marked_count, marked_room;
};

struct store;
MUST_USE err lanes_load(struct store *s, wall now, struct fault *f);
void lanes_free(struct store *s);
MUST_USE err lanes_flush(struct store *s, struct fault *f);
void lanes_after_group(struct store *s, bool committed);
/* A part of the group begins that may be taken back alone; it is kept or not. */
void lanes_mark(struct store *s);
void lanes_after_mark(struct store *s, bool kept);

/* The lane of that name; NULL none. */
struct store_lane *lanes_find(const struct store *s, struct span name);
struct store_lane *lanes_by_id(const struct store *s, int64_t id);
/* E_BUSY: there are as many lanes as there may be. */
MUST_USE err lanes_room(const struct store *s, struct fault *f);
/* E_BAD_INPUT: not the name of a lane; E_BUSY as above. */
MUST_USE err lanes_want(struct store *s, struct span name, wall now, struct store_lane **out,
                        struct fault *f);
/* Where jobs of this lane go that ended their worker's life. */
MUST_USE err lanes_quarantine_of(struct store *s, const struct store_lane *l, wall now,
                                 struct store_lane **out, struct fault *f);

/* A job of the lane came, started or ended. */
void lanes_meter(struct store_lane *l, enum meter_event event, int64_t waited_ms,
                 int64_t now_ms);
/* A job moves; JOB_STATES as `from`: it is new, as `to`: it is deleted. */
void lanes_count(struct store *s, struct store_lane *l, enum store_needs needs,
                 enum job_state from, enum job_state to, int64_t now_ms);
/* True: its rate is used otherwise from now on, which lanes_say_pace() logs. */
MUST_USE bool lanes_started(struct store *s, struct store_lane *l, int64_t now_ms);
MUST_USE bool lanes_block(struct store *s, struct store_lane *l, int64_t until_ms,
                          int64_t now_ms);
MUST_USE err lanes_say_pace(struct store *s, const struct store_lane *l, wall now,
                            struct fault *f);
void lanes_sign(struct store *s, struct store_lane *l, enum breaker_sign sign, int64_t job,
                int64_t now_ms);
/* None of its login sessions can be used before until_ms; INT64_MAX: nobody knows when one can. */
void lanes_park(struct store *s, struct store_lane *l, int64_t until_ms, int64_t now_ms);
/* The lanes of this pool of sessions are looked at again: one may be used that could not. */
void lanes_pool_changed(struct store *s, struct span site, struct span pool);
/* The lane's facts will be changed: keeps those of before the group. */
struct lane_facts *lanes_touch(struct store *s, struct store_lane *l);
/* Where it stands now. */
void lanes_place(struct store *s, struct store_lane *l, int64_t now_ms);

/* The lane whose turn it is among those with a job that needs at most `needs`; NULL: none may start. */
struct store_lane *lanes_pick(struct store *s, enum store_needs needs, int64_t now_ms);
/* Takes it out of its turn until lanes_place(). */
void lanes_set_aside(struct store *s, struct store_lane *l);
/* The cap of a tenant or site was changed. */
struct store_tenant *lanes_tenant(struct store *s, struct span name);
struct store_site *lanes_site(struct store *s, struct span name);
void lanes_tenant_changed(struct store *s, struct store_tenant *t);
void lanes_site_changed(struct store *s, struct store_site *t, int64_t now_ms);
/* Forgets lanes of which nothing is known any more, some per call. */
MUST_USE err lanes_retain(struct store *s, bool *out_more, struct fault *f);

struct lane_settings lanes_settings(const struct store *s, const struct store_lane *l);
/* As it is now, when what a hand had opened is over by itself. */
struct breaker lanes_breaker(const struct store_lane *l, int64_t now_ms);
enum waiting lanes_waiting(const struct store *s, const struct store_lane *l, int64_t now_ms,
                           int64_t *out_until_ms);
void lanes_outlook(struct store *s, int64_t now_ms, struct outlook *out);

/* lane.h - rules of a lane: its name, rate (GCRA), order, fairness (stride), breaker. Pure; the store
 * keeps the numbers. All times are store time in ms. */
#pragma once

#include "base/span.h"

/* A lane is "tenant/site/class": whose jobs, on which site, how urgent. A class may have shares
 * ("mastodon/normal-7": hosts of one site kept apart), and a lane whose jobs need a login session names
 * the pool and what is done there ("x/normal@research.search"), so that one exhausted pool holds up
 * nobody else. Without a tenant it is the tenant "default". */
enum { LANE_WORD_MAX = 40 };
enum lane_class { LANE_INTERACTIVE, LANE_NORMAL, LANE_BULK, LANE_QUARANTINE, LANE_CLASSES };
struct lane_name {
    struct span tenant, site, share; /* borrowed from the text */
    enum lane_class class;
    struct span pool, operation; /* empty: no session */
};
/* False: not a name of a lane. */
MUST_USE bool lane_name_parse(struct span text, struct lane_name *out);
const char *lane_class_name(enum lane_class c);
/* Classes share a site 8:3:1; jobs in quarantine come last. */
int64_t lane_class_weight(enum lane_class c);
/* Tenants and pools are short plain words: letters, digits, "_", "-". */
bool lane_word_is_plain(struct span word);

/* GCRA: one integer per key. emit_ms = T, burst >= 1. */
bool lane_may_start(int64_t tat_ms, int64_t emit_ms, int64_t burst, int64_t now_ms);
int64_t lane_next_tat(int64_t tat_ms, int64_t emit_ms, int64_t now_ms);
int64_t lane_start_at(int64_t tat_ms, int64_t emit_ms, int64_t burst); /* earliest instant */

/* rank = ready_at − prio·AGING: waiting adds the same to everybody, so order never changes. */
enum { LANE_AGING_MS = 30000, LANE_STRIDE = 1 << 20 };
int64_t lane_rank(int64_t ready_at_ms, int prio);
enum { LANE_PRIORITY = 5, LANE_PRIORITY_MAX = 9 }; /* normal, highest; 0 is the lowest */
/* Of a job that comes into a lane: `asked`, unless nobody chose one and the lane has its own (own: negative without). */
int lane_priority(int asked, bool chosen, int64_t own);
int64_t lane_next_pass(int64_t pass, int64_t weight);

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
struct breaker {
    enum breaker_state state;
    int64_t fails;    /* health errors in a row */
    int64_t until_ms; /* open until */
    int64_t trips;    /* openings since the last success */
    int64_t since_ms; /* it is in this state; 0: it was in no other one */
    /* endings with a verdict while it is closed */
    int64_t window_from_ms, window_seen, window_bad;
};
enum breaker_sign { BREAKER_OK, BREAKER_HEALTH_ERROR, BREAKER_NO_VERDICT };
/* closed → open after 5 health errors in a row, or when half of at least 20 endings within ten minutes
 * were such errors; open 10 s·2^trips, at most 30 min; then one probe. A probe without verdict (crash,
 * cancel, release) re-arms the probe. */
void breaker_note(struct breaker *b, enum breaker_sign sign, int64_t now_ms);
bool breaker_allows(const struct breaker *b, int64_t active, int64_t now_ms);
void breaker_started(struct breaker *b, int64_t now_ms); /* open and due → half open */
/* By hand: open until then, or closed with nothing counted. */
void breaker_open(struct breaker *b, int64_t until_ms, int64_t now_ms);
void breaker_close(struct breaker *b, int64_t now_ms);
/* As it is at `now_ms`, when a person has set it until `forced_until_ms` (0: nobody has). When that is over, what only a
 * hand has opened is closed from then on: no probe, for the site has done nothing. With openings since the last success
 * it goes on with a probe. */
struct breaker breaker_after_hold(const struct breaker *b, int64_t forced_until_ms,
                                  int64_t now_ms);
/* Endings with a verdict in the window that is counted now, and how many of them were health errors; 0 of 0:
 * none, or the window is over. */
struct breaker_samples {
    int64_t seen, bad;
};
struct breaker_samples breaker_samples(const struct breaker *b, int64_t now_ms);
/* The worse of two: open, half open, closed. */
enum breaker_state breaker_worse(enum breaker_state one, enum breaker_state other);

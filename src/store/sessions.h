/* sessions.h - people's own logins at a site, kept for jobs: operations of the store (store.h has
 * the rules of all of them).
 *
 * A session is a row of facts beside cookies that are sealed (os/secret.h) and that no query
 * answers: only who holds the lease of a job that uses the session can open them. Sessions of a
 * site lie in pools. A job that names a pool is leased together with the session of it that was
 * used longest ago; one that rests (for this operation, or by its own rate), is locked, refused by
 * the site or used up is left out, and when none is left the job's lane is parked until the first
 * can be used: the job does not move and nothing is charged.
 *
 * The id of a session is a pool of that one alone, also while the site is said to refuse it: a job that ends
 * well with it takes that back. */
#pragma once

#include "base/arena.h"
#include "core/failure.h"
#include "os/secret.h"
#include "store/hands.h"

enum {
    SESSION_NAME = 64, /* of names, pools and operations, with the end */
    SESSIONS_IN_POOL = 256,
    SESSION_RESTS = 16, /* shown of one */
    SESSION_REASON = 240,
};
#define SESSION_EVERYTHING "*" /* rests for every operation */

enum session_state {
    SESSION_ACTIVE,
    SESSION_COOLING,
    SESSION_LOCKED,
    SESSION_INVALID,
    SESSION_EXPIRED,
    SESSION_STATES
};
const char *session_state_name(enum session_state s);

/* Letters, digits, '-', '_' and '.' for names, no '.' in pools: 1 to 32 characters. */
bool session_name_valid(struct span name);
bool session_pool_valid(struct span pool);

struct session_add {
    struct span id; /* "ses_…", made by the caller */
    struct span site, pool, name;
    int64_t emit_ms, burst; /* its own rate, jobs: one each emit_ms, burst at once; 0 none */
    int64_t max_active;     /* jobs that may use it at once; 1 */
};
/* E_CONFLICT: the site has one of that name; E_BAD_INPUT; E_BUSY: the pool is full. */
MUST_USE err store_session_add(struct store *s, const struct session_add *args, wall now,
                               struct fault *f);

struct session_cookies {
    struct span session; /* id, or its name when no other site has it */
    struct span text; /* the list that wire/cookies.h writes; sealed here, kept nowhere else */
    int64_t count, expires_ms; /* 0: never */
    bool rotates; /* in the place of other ones: E_CONFLICT when it has none, or has these */
};
/* Also makes an invalid or expired one active again; what runs goes on with those before. E_NOT_FOUND, E_CONFLICT (two of that name), E_DENIED
 * (the key), E_BAD_INPUT. */
MUST_USE err store_session_cookies(struct store *s, const struct session_cookies *args,
                                   wall now, struct fault *f);

/* A person's word: not to be used until unlocked. What runs with it goes on. The same again is fine. */
MUST_USE err store_session_lock(struct store *s, struct span session, bool locked,
                                struct span reason, wall now, struct fault *f);
/* E_CONFLICT while a job uses it. */
MUST_USE err store_session_remove(struct store *s, struct span session, struct fault *f);

/* ---- queries: facts, never cookies ---- */
struct session_rest {
    char operation[SESSION_NAME];
    int64_t until_ms;
};
struct session_view {
    char id[ID_TEXT], site[SESSION_NAME], pool[SESSION_NAME], name[SESSION_NAME];
    enum session_state state;
    char reason[SESSION_REASON]; /* of a state that is not active, in words */
    int64_t since_ms;            /* of locked, invalid, expired */
    char print[SECRET_PRINT];    /* keyed digest of the cookies; empty: it has none */
    int64_t cookie_count, expires_ms;
    struct session_rest rests[SESSION_RESTS];
    size_t rest_count;
    int64_t emit_ms, burst, max_active, open_ms; /* open_ms: by its own rate */
    int64_t active;                              /* jobs that use it now */
    int64_t used_ms, last_ok_ms;
    int64_t requests_24h;      /* that its jobs made, as far as it was measured */
    int64_t leases_24h, fails; /* fails: in a row */
    struct hand hand;          /* held by hand: it rests for every operation until then */
    int64_t created_ms, updated_ms, revision;
};
MUST_USE err store_session(struct store *s, struct span session, wall now,
                           struct session_view *out, struct fault *f);
/* By site, pool and name; site and pool may be empty = all. out in the arena, at most 1000. */
MUST_USE err store_sessions(struct store *s, struct span site, struct span pool, wall now,
                            struct arena *a, struct session_view **out, size_t *out_count,
                            struct fault *f);

/* The cookies of the session that this lease has, to be freed by the caller. E_STALE; E_NOT_FOUND: it has
 * none; E_DENIED: they cannot be opened. */
MUST_USE err store_session_open(struct store *s, struct span job, uint64_t nonce,
                                struct secret *out, struct fault *f);

/* members.h - those who have an account at the practice site and can be logged in: their cookies, as the
 * real site names them, are computed from the seed. The panel can end or lock a member's session.
 * Thread-safe. */
#pragma once

#include "base/span.h"

#include <stdatomic.h>

enum { MEMBERS = 32 };

enum member_state { MEMBER_GOOD, MEMBER_INVALID, MEMBER_LOCKED, MEMBER_STATES };
const char *member_state_name(enum member_state s);
bool member_state_parse(struct span name, enum member_state *out);

struct members {
    uint64_t seed;
    atomic_uchar state[MEMBERS];
};
/* Whose auth_token that is; MEMBERS: nobody's. */
unsigned member_of(const struct members *m, struct span token);

/* What the site says to a call with these cookies and this x-csrf-token. */
enum member_answer {
    MEMBER_GUEST,
    MEMBER_IN,
    MEMBER_NO_SESSION,
    MEMBER_WRONG_CSRF,
    MEMBER_IS_LOCKED
};
enum member_answer member_ask(const struct members *m, struct span token,
                              struct span csrf_cookie, struct span csrf_header);

/* The cookies as they are exported: "header", "netscape", "json" (of an extension). host: of the site. False:
 * there is no such form. */
bool member_export(const struct members *m, unsigned member, struct span form, struct span host,
                   struct buf *out);

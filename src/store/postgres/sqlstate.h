/* sqlstate.h - what PostgreSQL, or the way to it, may answer instead of a result, and what is
 * done then: THE table. Pure. */
#pragma once

#include "base/span.h"

/* What becomes of the call, and of the connection. */
enum sqlstate_act {
    SQLSTATE_KEEPS, /* not done; the connection is fine */
    SQLSTATE_AGAIN, /* not done; the whole transaction once more, a few times, within the call
                     */
    SQLSTATE_LOST, /* the connection has ended: once more on a new one, unless COMMIT was on its
                      way */
    SQLSTATE_RENEWS, /* not done; closed, the next call opens another */
    SQLSTATE_RESTS,  /* not done; closed, opened again after a while: a person has to look at it
                      */
    SQLSTATE_UNKNOWN, /* perhaps done: the caller asks again */
};
struct sqlstate_row {
    const char *prefix; /* of the SQLSTATE; the longest that fits counts */
    err error;
    enum sqlstate_act act;
    const char *words; /* what is so, and the way out */
};
extern const struct sqlstate_row sqlstate_rows[];
extern const size_t sqlstate_count;

/* Never NULL: the last row fits everything. */
const struct sqlstate_row *sqlstate_find(struct span state);

/* Where no server has spoken. */
extern const struct sqlstate_row sqlstate_refused; /* no connection: nothing was sent */
extern const struct sqlstate_row sqlstate_lost;    /* cut after something was sent */
extern const struct sqlstate_row sqlstate_late;    /* no answer in time */

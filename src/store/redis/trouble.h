/* trouble.h - what Redis, or the way to it, may answer instead of a reply, and what is done then: THE table
 * (queue-tests.md §C). Pure. */
#pragma once

#include "base/span.h"

enum trouble {
    TROUBLE_NONE,
    TROUBLE_NOSCRIPT,    /* it restarted, or its cache was emptied */
    TROUBLE_LOADING,     /* it reads its file */
    TROUBLE_READONLY,    /* it has become a replica */
    TROUBLE_MASTERDOWN,  /* a replica without a primary */
    TROUBLE_BUSY,        /* another script blocks it */
    TROUBLE_OOM,         /* maxmemory is reached */
    TROUBLE_NOREPLICAS,  /* fewer replicas than min-replicas-to-write */
    TROUBLE_CLUSTERDOWN, /* nobody serves the slot */
    TROUBLE_MOVED,       /* another server has the slot: MOVED, ASK */
    TROUBLE_TRYAGAIN,    /* the slot is on its way */
    TROUBLE_CROSSSLOT,   /* keys of several slots: our mistake */
    TROUBLE_MISCONF,     /* it cannot write its file */
    TROUBLE_SCRIPT, /* foreign data under our keys, or a mistake in a script: WRONGTYPE, Lua errors */
    TROUBLE_ACCESS,  /* NOAUTH, WRONGPASS, NOPERM */
    TROUBLE_CLIENTS, /* it has as many connections as it may */
    TROUBLE_REFUSED, /* no connection: nothing was sent */
    TROUBLE_LOST,    /* cut, or no reply in time, after something was sent */
    TROUBLE_FOREIGN, /* it does not have the store that was used before */
    TROUBLE_LEFT,    /* the store was moved elsewhere */
    TROUBLE_MOVES,   /* it is being moved, or filled */
    TROUBLE_SHAPE, /* it answered in a way that is not Redis's, or an error that nobody knows */
    TROUBLES
};

/* What becomes of the call. */
enum trouble_act {
    ACT_RESEND,  /* at once, once */
    ACT_RESOLVE, /* find the primary again, then once more */
    ACT_LATER,   /* not done: the caller comes again (E_BUSY, after wait_ms) */
    ACT_FULL,    /* not done: no room (E_DISK_FULL) */
    ACT_UNKNOWN, /* perhaps done: the caller asks again with the same ids (E_STORE) */
    ACT_STOP,  /* not done, and asking again cannot help before a person has looked (E_STORE) */
    ACT_LEAVE, /* not done: the store is not to be used here any more (E_MOVED) */
};
/* What becomes of the connection. */
enum trouble_link {
    LINK_KEEPS,
    LINK_RENEWS,   /* closed; the next call opens another */
    LINK_RESOLVES, /* likewise, and asks Sentinel again where there is one */
    LINK_RESTS,    /* closed; opened again after half a minute */
};
struct trouble_row {
    const char *name;   /* for logs and the label of a metric: "noscript" */
    const char *prefix; /* the error's first word; NULL: told otherwise */
    enum trouble_act act;
    enum trouble_link link;
    bool passes;       /* by itself: a node may keep the jobs that come meanwhile */
    int64_t wait_ms;   /* hint for the caller; 0: as the connection's own pause says */
    const char *words; /* what is so, and the way out */
};
extern const struct trouble_row trouble_rows[TROUBLES];

/* Of the text of an error reply, without its "-". */
enum trouble trouble_of(struct span error);

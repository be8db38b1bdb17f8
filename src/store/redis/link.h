/* link.h - the connection of the store thread to Redis: one at a time, blocking, with deadlines.
 *
 * link_run() runs one transition (scripts.h). What Redis or the network may answer instead of a reply, and
 * what is done then, is the table in trouble.h; what a link can mend by itself (scripts that Redis forgot, a
 * connection that was idle and died, a server that has become a replica) it mends within the call. What is
 * left is an error: E_BUSY, not done, with a hint when to come again; E_DISK_FULL, not done; E_STORE, link_state()
 * says whether it may have been done all the same.
 *
 * A transition whose outcome is unknown is asked again once, and may be asked again by the caller, with the
 * same ids: each script answers the second time what it answered the first. */
#pragma once

#include "base/arena.h"
#include "base/when.h"
#include "store/redis/place.h"
#include "store/redis/scripts.h"
#include "store/redis/trouble.h"

enum reply_kind { REPLY_NIL, REPLY_NUMBER, REPLY_TEXT, REPLY_LIST };
struct reply { /* texts and lists in the arena of the call */
    enum reply_kind kind;
    int64_t number;
    struct span text; /* also of a status, "OK" */
    struct reply *list;
    size_t count;
};
/* Members of a list of a known shape; a member that is not there or not of this kind is 0 or empty. */
int64_t reply_number(const struct reply *list, size_t i); /* a number, or a text that is one */
struct span reply_text(const struct reply *list, size_t i);
const struct reply *reply_list(const struct reply *list, size_t i); /* never NULL */

struct link;
struct link_config {
    struct span url;    /* place.h */
    struct span name;   /* of the store, in the hash tag of its keys */
    int64_t connect_ms; /* 0: LINK_CONNECT_MS */
    int64_t call_ms;    /* longest wait for one reply; 0: LINK_CALL_MS */
    /* Each new connection begins with it, before anything else is sent; what it runs is not resent. NULL: nothing. */
    err (*greet)(void *ctx, struct fault *f);
    void *ctx;
};
enum {
    LINK_CONNECT_MS = 2000,
    LINK_CALL_MS = 5000,
    LINK_REPLY_BYTES = 64 << 20,
    LINK_NAME = 64,
};

/* Reads the address, E_CONFIG with the part that is wrong; does not connect. */
MUST_USE err link_new(struct link **out, const struct link_config *config, struct fault *f);
void link_free(struct link **l);

/* Runs a script with KEYS[1] = the store's prefix, "fulmar:{NAME}:", and these arguments. Connects when
 * there is no connection; after a failed attempt only when its pause is over (100 ms doubling to 5 s). */
MUST_USE err link_run(struct link *l, enum script script, const struct span *args, size_t count,
                      struct arena *a, struct reply *out, struct fault *f);
/* Any other command, for preflight and audit; not resent when the connection was lost after sending.
 * E_DENIED: this user may not give it, or this server does not know it; the connection stays. */
MUST_USE err link_ask(struct link *l, const struct span *words, size_t count, struct arena *a,
                      struct reply *out, struct fault *f);
/* As link_ask(), the words being C strings, the last NULL. */
MUST_USE err link_say(struct link *l, struct arena *a, struct reply *out, struct fault *f, ...)
    __attribute__((sentinel));

/* What is there is not what the caller used: hangs up, and looks again after half a minute. Returns E_STORE. */
MUST_USE err link_foreign(struct link *l, struct fault *f);

/* ---- what it has seen ---- */
struct link_state {
    bool connected;
    enum trouble trouble; /* that the last call ended with; TROUBLE_NONE: it did not */
    enum trouble down;    /* why there is no connection; TROUBLE_NONE: there never was one */
    bool unknown;         /* and whether it may have been done all the same */
    int64_t connections;  /* made so far */
    int64_t retry_ms;     /* until the next attempt to connect */
    char server[PLACE_HOST +
                32]; /* "host:port" or the path; of the primary that Sentinel named */
    char run_id[48]; /* of the server; another one than before: history may be lost */
    char replication_id[48];
};
struct link_state link_state(const struct link *l);

#include "store/redis/trouble.h"

#include "base/need.h"

/* clang-format off */
const struct trouble_row trouble_rows[TROUBLES] = {
    [TROUBLE_NONE] = {"none", NULL, ACT_UNKNOWN, LINK_KEEPS, false, 0, ""},
    [TROUBLE_NOSCRIPT] = {"noscript", "NOSCRIPT", ACT_RESEND, LINK_KEEPS, false, 0,
        "Redis forgot the scripts again and again; is somebody running SCRIPT FLUSH on it?"},
    [TROUBLE_LOADING] = {"loading", "LOADING", ACT_LATER, LINK_KEEPS, true, 250,
        "Redis is still reading its file; it goes on by itself when that is done"},
    [TROUBLE_READONLY] = {"readonly", "READONLY", ACT_RESOLVE, LINK_RESOLVES, true, 0,
        "this Redis is a replica and takes no writes; give the address of the primary, or those of the Sentinels"},
    [TROUBLE_MASTERDOWN] = {"masterdown", "MASTERDOWN", ACT_RESOLVE, LINK_RESOLVES, true, 0,
        "this Redis is a replica and has lost its primary; it goes on when there is a primary again"},
    [TROUBLE_BUSY] = {"busy", "BUSY", ACT_LATER, LINK_KEEPS, true, 100,
        "another script blocks Redis; SLOWLOG GET and INFO on it say which"},
    [TROUBLE_OOM] = {"oom", "OOM", ACT_FULL, LINK_KEEPS, true, 5000,
        "Redis has reached maxmemory: nothing was stored; raise maxmemory, or lower what is kept (store.retention)"},
    [TROUBLE_NOREPLICAS] = {"noreplicas", "NOREPLICAS", ACT_LATER, LINK_KEEPS, true, 1000,
        "Redis has fewer replicas than min-replicas-to-write asks for; start them, or lower it"},
    [TROUBLE_CLUSTERDOWN] = {"clusterdown", "CLUSTERDOWN", ACT_LATER, LINK_KEEPS, true, 1000,
        "the Redis Cluster does not serve this store's slot at the moment"},
    [TROUBLE_MOVED] = {"moved", "MOVED", ACT_STOP, LINK_KEEPS, false, 0,
        "another server of the Redis Cluster has this store's slot; give its address (one store is one hash tag)"},
    [TROUBLE_TRYAGAIN] = {"tryagain", "TRYAGAIN", ACT_LATER, LINK_KEEPS, true, 50,
        "this store's slot is on its way to another server of the Redis Cluster"},
    [TROUBLE_CROSSSLOT] = {"crossslot", "CROSSSLOT", ACT_STOP, LINK_KEEPS, false, 0,
        "a script named keys of several slots: a mistake of Fulmar; please report it"},
    [TROUBLE_MISCONF] = {"misconf", "MISCONF", ACT_LATER, LINK_KEEPS, true, 1000,
        "Redis cannot write its file and takes no writes; look at its disk and its log"},
    [TROUBLE_SCRIPT] = {"script", NULL, ACT_STOP, LINK_KEEPS, false, 0,
        "a script failed in Redis: foreign data under this store's keys, or a mistake of Fulmar"},
    [TROUBLE_ACCESS] = {"access", NULL, ACT_STOP, LINK_RESTS, false, 30000,
        "Redis refuses this user; check user and password in store.queue, and what the ACL allows"},
    [TROUBLE_CLIENTS] = {"clients", NULL, ACT_LATER, LINK_RENEWS, true, 0,
        "Redis has as many connections as maxclients allows"},
    [TROUBLE_REFUSED] = {"refused", NULL, ACT_LATER, LINK_RESOLVES, true, 0,
        "Redis cannot be reached: nothing was sent to it"},
    [TROUBLE_LOST] = {"lost", NULL, ACT_UNKNOWN, LINK_RESOLVES, true, 0,
        "the connection to Redis was lost before it answered: perhaps it was done, perhaps not"},
    [TROUBLE_FOREIGN] = {"foreign", NULL, ACT_STOP, LINK_RESTS, false, 30000,
        "this Redis does not have the store that this node used: it was emptied, or is another one; bring that one back, "
        "or, when what was in it may be lost, remove queue.id in store.path of each node and start them again"},
    [TROUBLE_LEFT] = {"left", "FULMARLEFT", ACT_LEAVE, LINK_KEEPS, false, 0,
        "this store was moved elsewhere: use that one, or move it back with fulmar store move; --abandon when that is lost"},
    [TROUBLE_MOVES] = {"moves", "FULMARMOVES", ACT_LEAVE, LINK_KEEPS, false, 0,
        "a move of this store is not done: give the same fulmar store move again, or with --abandon"},
    [TROUBLE_SHAPE] = {"shape", NULL, ACT_UNKNOWN, LINK_RENEWS, false, 0,
        "what answers there is not Redis, or one that we do not know"},
};

/* What begins otherwise. A command that failed within a script is told as if it had been sent by itself, with
 * the script's name behind (Redis 7). */
static const struct {
    const char *prefix;
    enum trouble trouble;
} others[] = {
    {"ASK ", TROUBLE_MOVED},
    {"NOAUTH", TROUBLE_ACCESS}, {"WRONGPASS", TROUBLE_ACCESS}, {"NOPERM", TROUBLE_ACCESS},
    {"ERR invalid password", TROUBLE_ACCESS}, {"ERR AUTH", TROUBLE_ACCESS}, {"ERR Client sent AUTH", TROUBLE_ACCESS},
    {"ERR max number of clients", TROUBLE_CLIENTS},
    {"WRONGTYPE", TROUBLE_SCRIPT}, {"ERR user_script", TROUBLE_SCRIPT}, {"ERR Error running script", TROUBLE_SCRIPT},
    {"ERR Error compiling script", TROUBLE_SCRIPT}, {"ERR Wrong number of args", TROUBLE_SCRIPT},
    {"UNKILLABLE", TROUBLE_BUSY},
};
/* clang-format on */

enum trouble trouble_of(struct span error)
{
    for (int t = TROUBLE_NONE + 1; t < TROUBLES; t++)
        if (trouble_rows[t].prefix && span_starts(error, span_of(trouble_rows[t].prefix)))
            return (enum trouble)t;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (span_starts(error, span_of(others[i].prefix)))
            return others[i].trouble;
    return span_find(error, SPAN("script: ")) < error.n ? TROUBLE_SCRIPT : TROUBLE_SHAPE;
}

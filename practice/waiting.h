/* waiting.h - connections that are not to be answered yet, or ever, without a thread for each.
 *
 * One thread watches all of them. It wakes a connection when its time has come or when the peer
 * has gone away, whichever is first; the request handler is then called again. */
#pragma once

#include "base/list.h"
#include "base/when.h"

struct MHD_Connection;
struct waiting;

/* Sits inside the request that waits. */
struct wait_entry {
    struct list node;
    struct MHD_Connection *connection;
    int socket;
    mono until;    /* ms = INT64_MAX: never */
    bool is_over;  /* woken; written before the connection is resumed */
    bool was_lost; /* the peer left, or the site is closing: no answer is wanted */
};

mono waiting_now(void);
struct waiting *waiting_new(void);
/* Wakes everybody, ends the thread, and makes later waiting_add() calls wake at once. */
void waiting_stop(struct waiting *w);
void waiting_free(struct waiting **w);
/* The connection is suspended by this call. */
void waiting_add(struct waiting *w, struct wait_entry *entry);

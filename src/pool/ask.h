/* ask.h - what a node asks the store for, as its memory goes, and what the answer means for the room that it makes
 * (core/room.h). Pure: the pool and the simulation ask alike. Times are milliseconds of one clock of the node. */
#pragma once

#include "core/room.h"
#include "store/store.h"

struct ask { /* members of struct reserve_args */
    int64_t memory_bytes, memory_least, room_after_ms;
};
/* willing: the node would make room, when a job was passed over. */
struct ask ask_of(const struct room_turn *t, struct room_offer offer, bool willing,
                  int64_t patience_ms, int64_t now_ms);
enum ask_news {
    ASK_NOTHING,
    ASK_BEGINS, /* the node makes room from now on */
    ASK_MADE,   /* it did, and the job is here, or another node's */
};
/* result: of the question; lease: when it is E_OK. */
enum ask_news ask_heard(struct room_turn *t, const struct ask *asked, err result,
                        const struct lease *lease, int64_t patience_ms, int64_t now_ms);
/* What is kept for a job that says so many bytes (0: nothing), or would usually take it. */
int64_t ask_promised(int64_t said_bytes, enum store_needs needs);

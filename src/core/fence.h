/* fence.h - until when a node may work on a job whose lease it cannot renew. The queue counts a lease from the moment it hears
 * of it, which is never before the node asked: who counts from asking ends in time, whatever became of the answer.
 * What proves a lease is a start and a heartbeat; a batch is refused without it and does not lengthen it. Pure. */
#pragma once

#include "base/when.h"

struct fence {
    mono asked;       /* the last question whose answer was that the lease holds */
    int64_t lease_ms; /* from then on */
};
void fence_start(struct fence *f, mono asked, int64_t lease_ms);
/* Likewise, a heartbeat; answers that come late, or out of turn, take nothing away. */
void fence_prove(struct fence *f, mono asked);
/* Time until the job is told to stop: a third of the lease before its end, that the end is over by then. 0: now. */
int64_t fence_left_ms(const struct fence *f, mono now);
/* How long the thread of the store may wait for a server that says nothing, so that a heartbeat that came to be due behind that is
 * still asked before jobs are told to stop; not less than three seconds: a shorter lease is not kept so. */
int64_t fence_patience_ms(int64_t lease_ms);
/* How long the job has for its end then: grace_ms, but nothing beyond the lease. */
int64_t fence_grace_ms(const struct fence *f, int64_t grace_ms, mono now);

/* look.h - inside watch.h: what its parts know of each other. */
#pragma once

#include "watch.h"

/* Ends the run: a promise does not hold. */
_Noreturn void broken(struct watch *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct watch_job *job_of(struct watch *w, int64_t job);
bool over(enum job_state s);
/* Under which it is known; as long as it is not, of its first try. */
void id_of(const struct watch *w, int64_t job, char out[ID_TEXT]);
void id_of_try(const struct watch *w, int64_t job, int64_t try, char out[ID_TEXT]);
int64_t number_of(const struct watch *w, struct span id); /* WATCH_NOBODY: of none */
/* A member of an event's body; empty: there is none. */
struct span text_in(struct span body, const char *name);
int64_t number_in(struct span body, const char *name); /* 0: likewise */

/* Reads what the last operation said; then the jobs that it touched have to agree. */
void hear(struct watch *w, int64_t now);
/* One job as the store shows it, and against what was seen. */
void look(struct watch *w, int64_t number, int64_t now, struct job_view *v);
void check_job(struct watch *w, int64_t number, const struct job_view *v);
void same(struct watch *w, int64_t number, const char *what, int64_t seen, int64_t store);

/* No more than burst starts at once, and none faster than the rate after that. emit_ms 0: there is no rate. */
void check_rate(struct watch *w, struct watch_rate *r, int64_t burst, int64_t emit_ms,
                const char *of, int64_t now);

/* fair.c */
void fair_open(struct watch *w, int64_t now);
void fair_on_start(struct watch *w, int64_t number, int64_t now);

/* hooks.c */
void hooks_open(struct watch *w, int64_t now);
void hooks_audit(struct watch *w, bool all_over);

/* disk.c: not done, because the disk is full. */
bool disk_refuses(err e);
void disk_after_reap(void);

/* refused.c: before any store is opened. */
void refused_watch(void);

/* keys.c: what is said of a job that starts, or that has another one's result. */
void keys_on_start(struct watch *w, int64_t number);
void keys_on_answer(struct watch *w, int64_t number, struct span body, int64_t now);
void keys_audit(struct watch *w);
/* Whether another job keeps this one from coming back. */
bool keys_taken(struct watch *w, int64_t number);
/* The store takes no jobs of this lane now, and says so. */
bool keys_is_later(struct watch *w, int64_t lane, err e);

/* batches.c */
bool batch_takes(struct watch *w, const struct event_view *v); /* it was of a batch */
void batch_on_start(struct watch *w, int64_t number);
void batch_on_replay(struct watch *w, int64_t number);
void batch_tend(struct watch *w, int64_t now);
void batch_audit(struct watch *w, bool all_over);

/* hands.c */
void hands_on_start(struct watch *w, int64_t number);
void hands_on_replay(struct watch *w, int64_t number, int64_t now);
void hands_on_stopping(struct watch *w, int64_t number, struct span body, int64_t now);
void hands_after_reap(struct watch *w, int64_t now);

/* sessions.c */
bool sessions_needed(int64_t lane);
void sessions_open(struct watch *w, int64_t now);
void sessions_on_start(struct watch *w, int64_t number, struct span body, int64_t now);
void sessions_on_end(struct watch *w, int64_t number);
void sessions_on_finish(struct watch *w, int64_t number, struct watch_ending e, int64_t now);
void sessions_audit(struct watch *w, int64_t now);

/* schedules.c: a job that nobody asked for was made. */
void schedules_on_made(struct watch *w, struct span id);

/* loop.h - the event loop: the only room that knows libuv.
 *
 * One loop per process, one thread. A call that starts something either returns an error and will
 * never call back, or succeeds and calls back never before it has returned. After x_close() no
 * callback of that object comes; its memory is freed by the loop when libuv is done with it. Names
 * are constants. A callback that holds the loop above 2 ms is counted (fulmar_loop_slow_callbacks_total)
 * and named at debug level, above 50 ms as a warning. */
#pragma once

#include "base/when.h"

struct loop;
struct loop *loop_new(void);
void loop_free(struct loop **l); /* runs out closing handles first */
void loop_run(struct loop *l);   /* until loop_stop() */
void loop_stop(struct loop *l);
mono loop_now(struct loop *l); /* clock_mono(), cached per turn */

/* One-shot timer; may be started again at any time (also from its own callback). */
struct timer;
struct timer *timer_new(struct loop *l, void (*on_fire)(void *ctx), void *ctx,
                        const char *name);
void timer_start(struct timer *t, int64_t ms);
void timer_stop(struct timer *t);
bool timer_on(const struct timer *t);
void timer_close(struct timer **t);

/* Readiness of a descriptor owned by the caller. */
struct watch;
MUST_USE err watch_new(struct watch **out, struct loop *l, int fd, bool read, bool write,
                       void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx,
                       const char *name);
/* What to wait for from now on; both false: nothing. After an error on the descriptor on_ready comes
 * with both true, whatever was asked: read or write to learn which error it is. */
void watch_set(struct watch *w, bool read, bool write);
void watch_close(struct watch **w);

/* Wakes the loop from another thread; several wakes may arrive as one. */
struct waker;
struct waker *waker_new(struct loop *l, void (*on_wake)(void *ctx), void *ctx,
                        const char *name);
void waker_wake(struct waker *w); /* any thread */
void waker_close(struct waker **w);

/* Signals of this process (SIGCHLD, SIGTERM, …). */
struct listener_signal;
MUST_USE err signal_new(struct listener_signal **out, struct loop *l, int signum,
                        void (*on_signal)(void *ctx, int signum), void *ctx);
void signal_close(struct listener_signal **s);

/* Bytes both ways over a pair of descriptors (may be the same one), which it owns from now on. It
 * reads always. Sends are queued up to out_max bytes; above it stream_send() answers E_TOO_BIG and
 * the stream should be closed. on_end comes once: end of file (E_END), or an error. */
struct stream;
MUST_USE err stream_new(struct stream **out, struct loop *l, int read_fd, int write_fd,
                        size_t out_max, void (*on_bytes)(void *ctx, struct span bytes),
                        void (*on_end)(void *ctx, err why), void *ctx, const char *name);
/* Copies what cannot be written at once. */
MUST_USE err stream_send(struct stream *s, struct span bytes);
size_t stream_queued(const struct stream *s);
void stream_close(struct stream **s); /* drops what is queued */

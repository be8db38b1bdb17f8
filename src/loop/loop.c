#include "loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"

enum {
    READ_SIZE = 256 * 1024,
    READS_PER_TURN = 8,         /* then others get their turn */
    QUEUE_KEPT = 256 * 1024,    /* memory of an emptied queue above this is given back */
    QUEUE_COMPACT = 128 * 1024, /* written bytes at the front are dropped above this */
};

struct loop {
    uv_loop_t uv;
    mono now;
    uint64_t now_of; /* uv_now() that `now` belongs to */
    char *read_room; /* READ_SIZE bytes, shared by all streams: one thread */
};

static void need_ok(int result)
{
    if (result < 0)
        bug(uv_strerror(result));
}

struct loop *loop_new(void)
{
    /* A peer that went away is an error of write(), not the end of this process. */
    signal(SIGPIPE, SIG_IGN);
    struct loop *l = heap_new_of(struct loop);
    need_ok(uv_loop_init(&l->uv));
    l->read_room = heap_get(READ_SIZE);
    l->now = clock_mono();
    l->now_of = uv_now(&l->uv);
    return l;
}

static void close_forgotten(uv_handle_t *h, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

void loop_free(struct loop **l)
{
    if (!*l)
        return;
    uv_walk(&(*l)->uv, close_forgotten, NULL);
    while (uv_run(&(*l)->uv, UV_RUN_DEFAULT))
        ;
    need_ok(uv_loop_close(&(*l)->uv));
    free((*l)->read_room);
    free(*l);
    *l = NULL;
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

mono loop_now(struct loop *l)
{
    uint64_t turn = uv_now(&l->uv);
    if (turn != l->now_of) {
        l->now_of = turn;
        l->now = clock_mono();
    }
    return l->now;
}

/* ---- the watchdog: nothing may hold the loop for long ---- */

enum {
    SLOW_US = 2000,
    VERY_SLOW_US = 50000,
};

struct turn {
    const char *name; /* copied: the object may be closed meanwhile, its name is a constant */
    int64_t began_us;
};

static struct turn turn_begin(const char *name)
{
    need_step(name);
    return (struct turn){name, clock_mono_us()};
}

static void turn_end(const struct turn *t)
{
    int64_t took_us = clock_mono_us() - t->began_us;
    if (took_us <= SLOW_US)
        return;
    metric_add(METRIC_LOOP_SLOW, 0, 1);
    log_at(took_us > VERY_SLOW_US ? LOG_WARN : LOG_DEBUG, "loop.slow", F_C("callback", t->name),
           F_N("us", took_us));
}

/* The last handle of an object frees it. */
static void free_object(uv_handle_t *h)
{
    free(h->data);
}

/* ---- timer ---- */

struct timer {
    uv_timer_t uv;
    void (*on_fire)(void *ctx);
    void *ctx;
    const char *name;
};

struct timer *timer_new(struct loop *l, void (*on_fire)(void *ctx), void *ctx, const char *name)
{
    struct timer *t = heap_new_of(struct timer);
    need_ok(uv_timer_init(&l->uv, &t->uv));
    t->uv.data = t;
    t->on_fire = on_fire;
    t->ctx = ctx;
    t->name = name;
    return t;
}

static void timer_fired(uv_timer_t *uv)
{
    struct timer *t = uv->data;
    struct turn turn = turn_begin(t->name);
    t->on_fire(t->ctx);
    turn_end(&turn);
}

void timer_start(struct timer *t, int64_t ms)
{
    /* libuv counts from the start of this turn; a callback that took long would fire it early.
     */
    uv_update_time(t->uv.loop);
    need_ok(uv_timer_start(&t->uv, timer_fired, ms > 0 ? (uint64_t)ms : 0, 0));
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->uv);
}

bool timer_on(const struct timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv) != 0;
}

void timer_close(struct timer **t)
{
    if (!*t)
        return;
    uv_close((uv_handle_t *)&(*t)->uv, free_object);
    *t = NULL;
}

/* ---- watch ---- */

struct watch {
    uv_poll_t uv;
    void (*on_ready)(void *ctx, bool readable, bool writable);
    void *ctx;
    const char *name;
    int events;
    bool closed;
};

static void watch_ready(uv_poll_t *uv, int status, int events);

static void watch_apply(struct watch *w)
{
    if (w->events)
        need_ok(uv_poll_start(&w->uv, w->events, watch_ready));
    else
        need_ok(uv_poll_stop(&w->uv));
}

static void watch_ready(uv_poll_t *uv, int status, int events)
{
    struct watch *w = uv->data;
    struct turn turn = turn_begin(w->name);
    /* An error condition: whoever reads or writes next sees which one. libuv has stopped. */
    bool broken = status < 0;
    w->on_ready(w->ctx, broken || (events & UV_READABLE), broken || (events & UV_WRITABLE));
    turn_end(&turn);
    if (broken && !w->closed)
        watch_apply(w);
}

err watch_new(struct watch **out, struct loop *l, int fd, bool read, bool write,
              void (*on_ready)(void *ctx, bool readable, bool writable), void *ctx,
              const char *name)
{
    struct watch *w = heap_new_of(struct watch);
    if (uv_poll_init(&l->uv, &w->uv, fd) != 0) {
        free(w);
        return E_OS;
    }
    w->uv.data = w;
    w->on_ready = on_ready;
    w->ctx = ctx;
    w->name = name;
    w->events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    watch_apply(w);
    *out = w;
    return E_OK;
}

void watch_set(struct watch *w, bool read, bool write)
{
    int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    if (events == w->events)
        return;
    w->events = events;
    watch_apply(w);
}

void watch_close(struct watch **w)
{
    if (!*w)
        return;
    (*w)->closed = true;
    uv_close((uv_handle_t *)&(*w)->uv, free_object);
    *w = NULL;
}

/* ---- waker ---- */

struct waker {
    uv_async_t uv;
    void (*on_wake)(void *ctx);
    void *ctx;
    const char *name;
};

static void waker_woken(uv_async_t *uv)
{
    struct waker *w = uv->data;
    if (uv_is_closing((uv_handle_t *)uv))
        return;
    struct turn turn = turn_begin(w->name);
    w->on_wake(w->ctx);
    turn_end(&turn);
}

struct waker *waker_new(struct loop *l, void (*on_wake)(void *ctx), void *ctx, const char *name)
{
    struct waker *w = heap_new_of(struct waker);
    need_ok(uv_async_init(&l->uv, &w->uv, waker_woken));
    w->uv.data = w;
    w->on_wake = on_wake;
    w->ctx = ctx;
    w->name = name;
    return w;
}

void waker_wake(struct waker *w)
{
    need_ok(uv_async_send(&w->uv));
}

void waker_close(struct waker **w)
{
    if (!*w)
        return;
    uv_close((uv_handle_t *)&(*w)->uv, free_object);
    *w = NULL;
}

/* ---- signal ---- */

struct listener_signal {
    uv_signal_t uv;
    void (*on_signal)(void *ctx, int signum);
    void *ctx;
};

static void signal_came(uv_signal_t *uv, int signum)
{
    struct listener_signal *s = uv->data;
    struct turn turn = turn_begin("signal");
    s->on_signal(s->ctx, signum);
    turn_end(&turn);
}

err signal_new(struct listener_signal **out, struct loop *l, int signum,
               void (*on_signal)(void *ctx, int signum), void *ctx)
{
    struct listener_signal *s = heap_new_of(struct listener_signal);
    need_ok(uv_signal_init(&l->uv, &s->uv));
    s->uv.data = s;
    s->on_signal = on_signal;
    s->ctx = ctx;
    if (uv_signal_start(&s->uv, signal_came, signum) != 0) {
        uv_close((uv_handle_t *)&s->uv, free_object);
        return E_OS;
    }
    *out = s;
    return E_OK;
}

void signal_close(struct listener_signal **s)
{
    if (!*s)
        return;
    uv_close((uv_handle_t *)&(*s)->uv, free_object);
    *s = NULL;
}

/* ---- stream ---- */

struct stream {
    struct loop *loop;
    struct watch *reader, *writer; /* the same descriptor: reader does both */
    int read_fd, write_fd;
    void (*on_bytes)(void *ctx, struct span bytes);
    void (*on_end)(void *ctx, err why);
    void *ctx;
    struct buf queue;
    size_t written;     /* of the queue */
    struct timer *late; /* frees it, or tells of a failed send, in a later turn */
    err ended;          /* to be told by `late` */
    bool told, closed;
};

static void stream_interest(struct stream *s)
{
    bool pending = s->queue.n > s->written;
    if (s->writer)
        watch_set(s->writer, false, pending);
    else if (s->reader)
        watch_set(s->reader, true, pending);
}

static void stream_drop(struct stream *s)
{
    watch_close(&s->reader);
    watch_close(&s->writer);
    if (s->read_fd >= 0)
        close(s->read_fd);
    if (s->write_fd >= 0 && s->write_fd != s->read_fd)
        close(s->write_fd);
    s->read_fd = s->write_fd = -1;
    buf_free(&s->queue);
    s->written = 0;
}

static void stream_tell_end(struct stream *s, err why)
{
    if (s->told || s->closed)
        return;
    s->told = true;
    watch_close(&s->reader);
    watch_close(&s->writer);
    s->on_end(s->ctx, why);
}

static err error_of(int error)
{
    return error == EPIPE || error == ECONNRESET ? E_END : E_OS;
}

static ssize_t put_bytes(int fd, struct span bytes)
{
    ssize_t put;
    do
        put = write(fd, bytes.p, bytes.n);
    while (put < 0 && errno == EINTR);
    return put;
}

/* false when the peer is gone; errno says why. */
static bool stream_flush(struct stream *s)
{
    while (s->queue.n > s->written) {
        ssize_t put =
            put_bytes(s->write_fd, span_cut(buf_span(&s->queue), s->written, SIZE_MAX));
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0)
            return false;
        s->written += (size_t)put;
    }
    if (s->written == s->queue.n) {
        s->written = 0;
        if (s->queue.cap > QUEUE_KEPT)
            buf_free(&s->queue);
        else
            buf_clear(&s->queue);
    } else if (s->written > QUEUE_COMPACT && s->written > s->queue.n / 2) {
        buf_drop(&s->queue, s->written);
        s->written = 0;
    }
    return true;
}

static void stream_read(struct stream *s)
{
    for (int i = 0; i < READS_PER_TURN && !s->closed && !s->told; i++) {
        ssize_t got = read(s->read_fd, s->loop->read_room, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            stream_tell_end(s, got == 0 ? E_END : error_of(errno));
            return;
        }
        s->on_bytes(s->ctx, (struct span){s->loop->read_room, (size_t)got});
        if (got < READ_SIZE / 2)
            return;
    }
}

static void stream_ready(void *ctx, bool readable, bool writable)
{
    struct stream *s = ctx;
    if (writable && s->queue.n > s->written && !stream_flush(s)) {
        err why = error_of(errno);
        /* What the peer said before it left still counts. */
        if (readable)
            stream_read(s);
        stream_tell_end(s, why);
        return;
    }
    stream_interest(s);
    if (readable)
        stream_read(s);
}

static void writer_ready(void *ctx, bool readable, bool writable)
{
    (void)readable;
    struct stream *s = ctx;
    if (!writable)
        return;
    if (!stream_flush(s)) {
        watch_close(&s->writer);
        stream_tell_end(s, error_of(errno));
        return;
    }
    stream_interest(s);
}

static void stream_late(void *ctx)
{
    struct stream *s = ctx;
    if (!s->closed)
        stream_tell_end(s, s->ended);
}

err stream_new(struct stream **out, struct loop *l, int read_fd, int write_fd, size_t out_max,
               void (*on_bytes)(void *ctx, struct span bytes),
               void (*on_end)(void *ctx, err why), void *ctx, const char *name)
{
    struct stream *s = heap_new_of(struct stream);
    s->loop = l;
    s->queue = BUF(out_max + QUEUE_COMPACT * 2);
    s->on_bytes = on_bytes;
    s->on_end = on_end;
    s->ctx = ctx;
    err e = watch_new(&s->reader, l, read_fd, true, false, stream_ready, s, name);
    if (!e && write_fd != read_fd)
        e = watch_new(&s->writer, l, write_fd, false, false, writer_ready, s, name);
    if (e) {
        watch_close(&s->reader);
        free(s);
        return e;
    }
    s->read_fd = read_fd;
    s->write_fd = write_fd;
    s->late = timer_new(l, stream_late, s, name);
    *out = s;
    return E_OK;
}

err stream_send(struct stream *s, struct span bytes)
{
    if (s->told || s->closed || s->ended)
        return E_END;
    if (s->queue.n == s->written) {
        ssize_t put = put_bytes(s->write_fd, bytes);
        if (put < 0 && errno != EAGAIN) {
            s->ended = error_of(errno);
            timer_start(s->late, 0);
            return s->ended;
        }
        if (put > 0)
            bytes = span_cut(bytes, (size_t)put, SIZE_MAX);
    }
    if (bytes.n == 0)
        return E_OK;
    size_t out_max = s->queue.max - QUEUE_COMPACT * 2;
    if (stream_queued(s) + bytes.n > out_max)
        return E_TOO_BIG;
    /* What was written already must not count against the maximum. */
    if (s->queue.n + bytes.n > s->queue.max) {
        buf_drop(&s->queue, s->written);
        s->written = 0;
    }
    buf_add(&s->queue, bytes);
    stream_interest(s);
    return s->queue.failed;
}

size_t stream_queued(const struct stream *s)
{
    return s->queue.n - s->written;
}

static void stream_free(uv_handle_t *h)
{
    struct timer *t = h->data;
    free(t->ctx);
    free(t);
}

void stream_close(struct stream **at)
{
    struct stream *s = *at;
    if (!s)
        return;
    *at = NULL;
    s->closed = true;
    stream_drop(s);
    /* The memory must outlive the callback we may be in: it goes with the timer's handle. */
    uv_close((uv_handle_t *)&s->late->uv, stream_free);
}

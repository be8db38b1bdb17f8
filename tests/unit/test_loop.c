#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "base/arena.h"
#include "loop/loop.h"
#include "os/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What a test keeps; every callback counts and may stop the loop. */
struct seen {
    struct loop *loop;
    struct timer *timer, *guard;
    struct stream *a, *b;
    struct watch *watch;
    int fired, stop_at;
    mono at;
    size_t bytes, stop_at_bytes;
    unsigned sum;
    err ended;
    int fd;
};

static void on_guard(void *ctx)
{
    (void)ctx;
    abort(); /* a test that waits for ever fails here */
}

static struct seen setup(void)
{
    return (struct seen){.loop = loop_new()};
}

static void run(struct seen *s)
{
    s->guard = timer_new(s->loop, on_guard, s, "guard");
    timer_start(s->guard, 20000);
    loop_run(s->loop);
    timer_close(&s->guard);
}

static void on_fire(void *ctx)
{
    struct seen *s = ctx;
    s->at = clock_mono();
    if (++s->fired == s->stop_at)
        loop_stop(s->loop);
    else
        timer_start(s->timer, 5);
}

static void timers(void **state)
{
    (void)state;
    struct seen s = setup();
    s.stop_at = 3;
    s.timer = timer_new(s.loop, on_fire, &s, "test");
    mono from = clock_mono();
    timer_start(s.timer, 20);
    assert_true(timer_on(s.timer));
    run(&s);
    assert_int_equal(s.fired, 3);
    assert_true(s.at.ms - from.ms >= 29);
    assert_false(timer_on(s.timer));
    timer_start(s.timer, 0);
    timer_stop(s.timer);
    timer_close(&s.timer);
    assert_null(s.timer);
    assert_true(loop_now(s.loop).ms >= from.ms);
    loop_free(&s.loop);
}

static void on_wake(void *ctx)
{
    struct seen *s = ctx;
    s->fired++;
    loop_stop(s->loop);
}

static void *wake_thread(void *w)
{
    waker_wake(w);
    return NULL;
}

static void wakers(void **state)
{
    (void)state;
    struct seen s = setup();
    struct waker *w = waker_new(s.loop, on_wake, &s, "test");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_thread, w), 0);
    run(&s);
    pthread_join(thread, NULL);
    assert_int_equal(s.fired, 1);
    waker_close(&w);
    loop_free(&s.loop);
}

static void on_signal(void *ctx, int signum)
{
    struct seen *s = ctx;
    s->fired = signum;
    loop_stop(s->loop);
}

static void signals(void **state)
{
    (void)state;
    struct seen s = setup();
    struct listener_signal *l;
    assert_int_equal(signal_new(&l, s.loop, SIGUSR1, on_signal, &s), E_OK);
    kill(getpid(), SIGUSR1);
    run(&s);
    assert_int_equal(s.fired, SIGUSR1);
    signal_close(&l);
    loop_free(&s.loop);
}

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct seen *s = ctx;
    char byte;
    if (writable) {
        s->fired += 100;
        watch_set(s->watch, true, false);
        assert_int_equal(write(s->fd, "x", 1), 1);
    }
    if (readable && read(s->fd, &byte, 1) == 1) {
        s->fired++;
        watch_close(&s->watch);
        loop_stop(s->loop);
    }
}

/* Both ends of one socket pair in one process: what goes into `other` comes out of `fd`. */
static void *echo_thread(void *ctx)
{
    int fd = *(int *)ctx;
    char byte;
    if (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
        return NULL;
    return ctx;
}

static void watches(void **state)
{
    (void)state;
    struct seen s = setup();
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    s.fd = pair[0];
    assert_int_equal(watch_new(&s.watch, s.loop, pair[0], false, true, on_ready, &s, "test"),
                     E_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, echo_thread, &pair[1]), 0);
    run(&s);
    void *failed;
    pthread_join(thread, &failed);
    assert_null(failed);
    assert_int_equal(s.fired, 101);
    close(pair[0]);
    close(pair[1]);
    loop_free(&s.loop);
}

static void watch_of_a_file(void **state)
{
    (void)state;
    struct seen s = setup();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(watch_new(&s.watch, s.loop, fd, true, false, on_ready, &s, "test"), E_OS);
    close(fd);
    loop_free(&s.loop);
}

static void on_bytes(void *ctx, struct span bytes)
{
    struct seen *s = ctx;
    for (size_t i = 0; i < bytes.n; i++)
        s->sum = s->sum * 31 + (unsigned char)bytes.p[i];
    s->bytes += bytes.n;
    if (s->stop_at_bytes && s->bytes >= s->stop_at_bytes)
        loop_stop(s->loop);
}

static void on_end(void *ctx, err why)
{
    struct seen *s = ctx;
    s->ended = why;
    s->fired++;
    loop_stop(s->loop);
}

static void ignore_bytes(void *ctx, struct span bytes)
{
    (void)ctx;
    (void)bytes;
}

static void ignore_end(void *ctx, err why)
{
    (void)ctx;
    (void)why;
}

/* More than the kernel holds goes through in order; above out_max the sender is told. */
static void streams(void **state)
{
    (void)state;
    struct seen s = setup();
    enum { SIZE = 4 << 20 };
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(
        stream_new(&s.a, s.loop, pair[0], pair[0], SIZE, ignore_bytes, ignore_end, &s, "a"),
        E_OK);
    assert_int_equal(
        stream_new(&s.b, s.loop, pair[1], pair[1], SIZE, on_bytes, on_end, &s, "b"), E_OK);
    char *text = heap_get(SIZE);
    unsigned sum = 0;
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = (char)(i * 7 + i / 1000);
        sum = sum * 31 + (unsigned char)text[i];
    }
    assert_int_equal(stream_send(s.a, (struct span){text, SIZE}), E_OK);
    assert_true(stream_queued(s.a) > 0);
    assert_int_equal(stream_send(s.a, (struct span){text, SIZE}), E_TOO_BIG);
    s.stop_at_bytes = SIZE;
    run(&s);
    assert_int_equal(s.bytes, SIZE);
    assert_int_equal(s.sum, sum);
    assert_int_equal(stream_queued(s.a), 0);
    stream_close(&s.a);
    run(&s);
    assert_int_equal(s.fired, 1);
    assert_int_equal(s.ended, E_END);
    assert_int_equal(stream_send(s.b, SPAN("x")), E_END);
    stream_close(&s.b);
    free(text);
    loop_free(&s.loop);
}

/* Two pipes, as with a browser; the reader of ours goes away. */
static void stream_of_pipes(void **state)
{
    (void)state;
    struct seen s = setup();
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    assert_int_equal(
        stream_new(&s.a, s.loop, from[0], to[1], 1 << 20, on_bytes, on_end, &s, "a"), E_OK);
    assert_int_equal(write(from[1], "hello", 5), 5);
    s.stop_at_bytes = 5;
    run(&s);
    assert_int_equal(s.bytes, 5);
    close(to[0]);
    assert_int_equal(stream_send(s.a, SPAN("x")), E_END);
    assert_int_equal(s.fired, 0); /* never from inside the call */
    run(&s);
    assert_int_equal(s.fired, 1);
    close(from[1]);
    stream_close(&s.a);
    loop_free(&s.loop);
}

static void close_inside(void *ctx, struct span bytes)
{
    struct seen *s = ctx;
    s->bytes += bytes.n;
    s->fired++;
    stream_close(&s->a);
    loop_stop(s->loop);
}

static void stream_closed_inside(void **state)
{
    (void)state;
    struct seen s = setup();
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(
        stream_new(&s.a, s.loop, pair[0], pair[0], 1 << 20, close_inside, on_end, &s, "a"),
        E_OK);
    assert_int_equal(write(pair[1], "hello", 5), 5);
    close(pair[1]);
    run(&s);
    assert_int_equal(s.fired, 1); /* no on_end after the close */
    loop_free(&s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers),          cmocka_unit_test(wakers),
        cmocka_unit_test(signals),         cmocka_unit_test(watches),
        cmocka_unit_test(watch_of_a_file), cmocka_unit_test(streams),
        cmocka_unit_test(stream_of_pipes), cmocka_unit_test(stream_closed_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* calls.h - a thread of the store in a folder of its own, and calls to it, for tests of store/thread.h. Include it
 * once, in the program's only file. */
#pragma once

#include "store/thread.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

struct call {
    struct store_op op;
    struct arena *arena;
    char id[ID_TEXT];
    int done;
};

struct world {
    char dir[64];
    struct store_thread_config config;
    struct store_thread *t;
    int wake_fd;
    struct outlook outlook;
    int64_t last_event, answered;
    uint64_t nonces;
};
static struct world *w;

static inline int64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline mono elapsed_now(void)
{
    return (mono){read_ms(CLOCK_BOOTTIME)};
}

static inline void wake(void *ctx)
{
    const uint64_t one = 1;
    if (write(((struct world *)ctx)->wake_fd, &one, sizeof one) != sizeof one)
        abort();
}

static inline int remove_entry(const char *path, const struct stat *st, int type,
                               struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void start(void)
{
    struct fault f = {0};
    if (store_thread_start(&w->t, &w->config, &f))
        fail_msg("store_thread_start: %s", f.words);
}

/* Everything but the thread itself: the program may say more of it, then start(). */
static inline void world_make(void **state, wall (*real_now)(void), int64_t lease_ms)
{
    const char *tmp = getenv("TMPDIR");
    w = calloc(1, sizeof *w);
    *state = w;
    snprintf(w->dir, sizeof w->dir, "%s/fulmar-thread-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->config = (struct store_thread_config){
        .state_dir = w->dir,
        .limits = {.ready_max = 1000000,
                   .fail_max = 3,
                   .crash_max = 2,
                   .throttle_max = 4,
                   .retry_base_ms = 20,
                   .retry_cap_ms = 60000,
                   .lane_max_active = 1000,
                   .retry_floor = 1000000,
                   .lane_burst = 1,
                   .lease_ms = lease_ms},
        .seed = 3,
        .now = real_now,
        .wake = wake,
        .wake_ctx = w,
    };
}

static inline int tear_down(void **state)
{
    (void)state;
    store_thread_stop(&w->t);
    close(w->wake_fd);
    nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    w = NULL;
    return 0;
}

/* ---- the loop of the test ---- */

static inline void turn(int timeout_ms)
{
    struct pollfd p = {.fd = w->wake_fd, .events = POLLIN};
    uint64_t n;
    if (poll(&p, 1, timeout_ms) == 1 && read(w->wake_fd, &n, sizeof n) < 0)
        assert_int_equal(errno, EAGAIN);
    store_thread_collect(w->t, &w->outlook, &w->last_event);
}

#define wait_for(condition)                                                                    \
    do {                                                                                       \
        int64_t until = elapsed_now().ms + 60000;                                              \
        while (!(condition)) {                                                                 \
            if (elapsed_now().ms > until)                                                      \
                fail_msg("waited in vain for %s", #condition);                                 \
            turn(200);                                                                         \
        }                                                                                      \
    } while (0)

static inline void on_done(struct store_op *op)
{
    struct call *c = op->ctx;
    c->done++;
    w->answered++;
}

static inline struct call *call_new(size_t arena_max)
{
    struct call *c = calloc(1, sizeof *c);
    c->arena = arena_new(arena_max);
    return c;
}

static inline void call_free(struct call **c)
{
    arena_free(&(*c)->arena);
    free(*c);
    *c = NULL;
}

static inline void post(struct call *c, enum store_verb verb)
{
    c->op.verb = verb;
    c->op.on_done = on_done;
    c->op.ctx = c;
    c->op.arena = c->arena;
    c->done = 0;
    store_thread_post(w->t, &c->op);
}

static inline err answer(struct call *c, enum store_verb verb)
{
    post(c, verb);
    wait_for(c->done == 1);
    return c->op.result;
}

static inline void prepare_accept(struct call *c, const char *id)
{
    snprintf(c->id, sizeof c->id, "%s", id);
    c->op.in.accept = (struct accept_args){.id = span_of(c->id),
                                           .site = SPAN("x"),
                                           .kind = SPAN("posts"),
                                           .target = SPAN("nasa"),
                                           .lane = SPAN("default/x/normal"),
                                           .spec = SPAN("{}"),
                                           .prio = 5};
}

static inline void accept_job(const char *id)
{
    struct call *c = call_new(1 << 16);
    prepare_accept(c, id);
    assert_int_equal(answer(c, STORE_ACCEPT), E_OK);
    call_free(&c);
}

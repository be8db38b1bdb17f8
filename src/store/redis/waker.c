#include "store/redis/waker.h"

#include "base/need.h"
#include "os/clock.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

struct waker {
    struct waker_config config;
    struct link *link; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
    mono answered; /* 0: never */
    int64_t wakes, connections;
};

static bool is_stopping(struct waker *w)
{
    pthread_mutex_lock(&w->lock);
    bool stopping = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return stopping;
}

static void rest(struct waker *w, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->lock);
    while (!w->stopping && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

static void note_answer(struct waker *w, bool marker)
{
    pthread_mutex_lock(&w->lock);
    w->answered = clock_mono();
    w->wakes += marker;
    w->connections = link_state(w->link).connections;
    pthread_mutex_unlock(&w->lock);
}

static void *waker_thread(void *ctx)
{
    struct waker *w = ctx;
    struct arena *a = arena_new(1 << 16);
    char key[LINK_NAME + 32], seconds[24];
    snprintf(key, sizeof key, "fulmar:{%.*s}:wake", SP(w->config.name));
    snprintf(seconds, sizeof seconds, "%lld.%03lld", (long long)(w->config.wait_ms / 1000),
             (long long)(w->config.wait_ms % 1000));
    while (!is_stopping(w)) {
        struct reply r = {0};
        arena_reset(a);
        if (link_say(w->link, a, &r, NULL, "BZPOPMIN", key, seconds, (char *)NULL)) {
            int64_t pause = link_state(w->link).retry_ms;
            rest(w, pause > 100 ? pause : 100);
            continue;
        }
        note_answer(w, r.kind == REPLY_LIST);
        if (r.kind == REPLY_LIST)
            w->config.wake(w->config.ctx);
    }
    arena_free(&a);
    return NULL;
}

err waker_start(struct waker **out, const struct waker_config *config, struct fault *f)
{
    struct waker *w = heap_new_of(struct waker);
    w->config = *config;
    w->config.wait_ms = config->wait_ms ? config->wait_ms : WAKER_WAIT_MS;
    struct link_config link = {
        .url = config->url, .name = config->name, .call_ms = 2 * w->config.wait_ms};
    err e = link_new(&w->link, &link, f);
    if (e) {
        free(w);
        return e;
    }
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, &steady);
    pthread_condattr_destroy(&steady);
    sigset_t all, before; /* signals belong to the loop */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    need(pthread_create(&w->thread, NULL, waker_thread, w) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *out = w;
    return E_OK;
}

void waker_stop(struct waker **w)
{
    if (!*w)
        return;
    pthread_mutex_lock(&(*w)->lock);
    (*w)->stopping = true;
    pthread_cond_broadcast(&(*w)->changed);
    pthread_mutex_unlock(&(*w)->lock);
    pthread_join((*w)->thread, NULL);
    link_free(&(*w)->link);
    pthread_cond_destroy(&(*w)->changed);
    pthread_mutex_destroy(&(*w)->lock);
    free(*w);
    *w = NULL;
}

struct waker_state waker_state(struct waker *w)
{
    pthread_mutex_lock(&w->lock);
    struct waker_state state = {
        .answered_ms = w->answered.ms ? clock_mono().ms - w->answered.ms : -1,
        .wakes = w->wakes,
        .connections = w->connections,
    };
    pthread_mutex_unlock(&w->lock);
    return state;
}

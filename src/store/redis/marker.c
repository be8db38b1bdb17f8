#include "store/redis/marker.h"

#include "base/need.h"
#include "os/clock.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum {
    PAUSE_MS = 100,  /* after trouble */
    BETWEEN_MS = 10, /* two wakes: work that nobody here can do must not keep this node busy */
};

struct marker {
    struct marker_config config;
    char key[LINK_NAME + 32], seconds[24]; /* of the question */
    struct link *link;                     /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping, hungry;
    mono answered; /* 0: never */
    mono asked;    /* the first question that was not answered since */
    int64_t wakes, connections;
};

/* False: it is over. */
static bool wait_for_hunger(struct marker *m)
{
    pthread_mutex_lock(&m->lock);
    while (!m->stopping && !m->hungry)
        pthread_cond_wait(&m->changed, &m->lock);
    bool stopping = m->stopping;
    pthread_mutex_unlock(&m->lock);
    return !stopping;
}

static bool is_hungry(struct marker *m)
{
    pthread_mutex_lock(&m->lock);
    bool hungry = m->hungry;
    pthread_mutex_unlock(&m->lock);
    return hungry;
}

static void rest(struct marker *m, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&m->lock);
    while (!m->stopping && pthread_cond_timedwait(&m->changed, &m->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&m->lock);
}

static void note_answer(struct marker *m, bool marker)
{
    pthread_mutex_lock(&m->lock);
    m->answered = m->asked = clock_mono();
    m->wakes += marker;
    m->connections = link_state(m->link).connections;
    pthread_mutex_unlock(&m->lock);
}

static void *marker_thread(void *ctx)
{
    struct marker *m = ctx;
    struct arena *a = arena_new(1 << 16);
    while (wait_for_hunger(m)) {
        struct reply r = {0};
        arena_reset(a);
        if (link_say(m->link, a, &r, NULL, "BZPOPMIN", m->key, m->seconds, (char *)NULL)) {
            int64_t pause = link_state(m->link).retry_ms;
            rest(m, pause > PAUSE_MS ? pause : PAUSE_MS);
            continue;
        }
        note_answer(m, r.kind == REPLY_LIST);
        if (r.kind != REPLY_LIST)
            continue;
        if (is_hungry(m))
            m->config.wake(m->config.ctx);
        else
            (void)!link_say(m->link, a, &r, NULL, "ZADD", m->key, "0", "w",
                            (char *)NULL); /* for others */
        rest(m, BETWEEN_MS);
    }
    arena_free(&a);
    return NULL;
}

err marker_start(struct marker **out, const struct marker_config *config, struct fault *f)
{
    struct marker *m = heap_new_of(struct marker);
    m->config = *config;
    m->config.wait_ms = config->wait_ms ? config->wait_ms : MARKER_WAIT_MS;
    snprintf(m->key, sizeof m->key, "fulmar:{%.*s}:wake", SP(m->config.name));
    snprintf(m->seconds, sizeof m->seconds, "%lld.%03lld",
             (long long)(m->config.wait_ms / 1000), (long long)(m->config.wait_ms % 1000));
    struct link_config link = {
        .url = config->url, .name = config->name, .call_ms = 2 * m->config.wait_ms};
    err e = link_new(&m->link, &link, f);
    if (e) {
        free(m);
        return e;
    }
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, &steady);
    pthread_condattr_destroy(&steady);
    sigset_t all, before; /* signals belong to the loop */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    need(pthread_create(&m->thread, NULL, marker_thread, m) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *out = m;
    return E_OK;
}

void marker_stop(struct marker **m)
{
    if (!*m)
        return;
    pthread_mutex_lock(&(*m)->lock);
    (*m)->stopping = true;
    pthread_cond_broadcast(&(*m)->changed);
    pthread_mutex_unlock(&(*m)->lock);
    pthread_join((*m)->thread, NULL);
    link_free(&(*m)->link);
    pthread_cond_destroy(&(*m)->changed);
    pthread_mutex_destroy(&(*m)->lock);
    free(*m);
    *m = NULL;
}

void marker_hungry(struct marker *m, bool hungry)
{
    pthread_mutex_lock(&m->lock);
    if (hungry && !m->hungry) {
        m->asked = clock_mono();
        pthread_cond_broadcast(&m->changed);
    }
    m->hungry = hungry;
    pthread_mutex_unlock(&m->lock);
}

struct marker_state marker_state(struct marker *m)
{
    pthread_mutex_lock(&m->lock);
    struct marker_state state = {
        .answered_ms = m->answered.ms ? clock_mono().ms - m->answered.ms : -1,
        .silent_ms = m->hungry ? clock_mono().ms - m->asked.ms : 0,
        .wakes = m->wakes,
        .connections = m->connections,
    };
    pthread_mutex_unlock(&m->lock);
    return state;
}

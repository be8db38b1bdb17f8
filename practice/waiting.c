#include "waiting.h"

#include <microhttpd.h>

#include "base/arena.h"
#include "base/need.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct waiting {
    pthread_mutex_t lock;
    pthread_t thread;
    struct list entries;
    size_t count;
    int bell; /* eventfd: the list changed */
    bool stopped;
};

mono waiting_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (mono){(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static void ring(struct waiting *w)
{
    uint64_t one = 1;
    ssize_t n = write(w->bell, &one, sizeof(one));
    (void)n; /* a full counter rings as well */
}

/* Under the lock. After the resume the entry belongs to its request again. */
static void wake(struct waiting *w, struct wait_entry *e, bool lost)
{
    struct MHD_Connection *connection = e->connection;
    list_remove(&e->node);
    w->count--;
    e->was_lost = lost;
    e->is_over = true;
    MHD_resume_connection(connection);
}

/* What poll() said, then the clock. Entries added since stay for the next turn. */
static int64_t sweep(struct waiting *w, const struct pollfd *polled, size_t polled_count)
{
    mono now = waiting_now();
    int64_t next_ms = 60000;
    list_each(&w->entries, at, after)
    {
        struct wait_entry *e = LIST_OF(at, struct wait_entry, node);
        bool lost = w->stopped;
        for (size_t i = 0; i < polled_count && !lost; i++)
            lost = polled[i].fd == e->socket &&
                   (polled[i].revents & (POLLRDHUP | POLLHUP | POLLERR));
        if (lost || mono_past(e->until, now)) {
            wake(w, e, lost);
            continue;
        }
        int64_t left = mono_left(e->until, now);
        if (left < next_ms)
            next_ms = left;
    }
    return next_ms;
}

static size_t fill(struct waiting *w, struct pollfd **polled, size_t *cap)
{
    size_t want = w->count + 1, n = 0;
    if (want > *cap) {
        free(*polled);
        *cap = want * 2;
        *polled = heap_get(*cap * sizeof(struct pollfd));
    }
    (*polled)[n++] = (struct pollfd){.fd = w->bell, .events = POLLIN};
    list_each(&w->entries, at, after)
    {
        struct wait_entry *e = LIST_OF(at, struct wait_entry, node);
        (*polled)[n++] = (struct pollfd){.fd = e->socket, .events = POLLRDHUP};
    }
    return n;
}

static void *watch(void *ctx)
{
    struct waiting *w = ctx;
    struct pollfd *polled = NULL;
    size_t cap = 0, n = 0;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        int64_t next_ms = sweep(w, polled ? polled + 1 : NULL, n ? n - 1 : 0);
        bool stopped = w->stopped;
        n = stopped ? 0 : fill(w, &polled, &cap);
        pthread_mutex_unlock(&w->lock);
        if (stopped)
            break;
        if (poll(polled, (nfds_t)n, (int)next_ms) > 0 && (polled[0].revents & POLLIN)) {
            uint64_t rings;
            ssize_t got = read(w->bell, &rings, sizeof(rings));
            (void)got;
        }
    }
    free(polled);
    return NULL;
}

struct waiting *waiting_new(void)
{
    struct waiting *w = heap_new_of(struct waiting);
    pthread_mutex_init(&w->lock, NULL);
    list_init(&w->entries);
    w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    need(w->bell >= 0);
    need(pthread_create(&w->thread, NULL, watch, w) == 0);
    return w;
}

void waiting_stop(struct waiting *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopped = true;
    pthread_mutex_unlock(&w->lock);
    ring(w);
    pthread_join(w->thread, NULL);
}

void waiting_free(struct waiting **w)
{
    if (!*w)
        return;
    close((*w)->bell);
    pthread_mutex_destroy(&(*w)->lock);
    free(*w);
    *w = NULL;
}

void waiting_add(struct waiting *w, struct wait_entry *entry)
{
    MHD_suspend_connection(entry->connection);
    pthread_mutex_lock(&w->lock);
    list_add(&w->entries, &entry->node);
    w->count++;
    if (w->stopped)
        wake(w, entry, true);
    pthread_mutex_unlock(&w->lock);
    ring(w);
}

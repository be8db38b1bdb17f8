/* reader.c - connections that read beside the one that writes, and the gate they pass.
 *
 * A reader keeps the part of the log that it may look at from being moved into the file, and the file's locks of
 * this process from being taken anew. So whoever owns the store can let nobody in until the log is moved
 * (gate_shut), and have every other connection closed before it opens its own again (gate_close). A reader
 * that runs is given its time, asked at every statement and within long ones, and never waited for by the
 * writer but in gate_close(), which cuts it off. */
#include "store/sqlite/inside.h"
#include "store/sqlite/sqlite.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum gate_state {
    GATE_OPEN,
    GATE_SHUT,  /* come in later */
    GATE_BROKEN /* there is nothing to be read */
};

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool cut;  /* who is inside has to go */
    atomic_bool shut; /* as the state says */
    /* under the lock */
    enum gate_state state;
    int inside;
    struct store *readers;
};

struct gate *gate_new(void)
{
    struct gate *g = heap_new_of(struct gate);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    return g;
}

void gate_free(struct gate **g)
{
    need(!(*g)->readers);
    pthread_cond_destroy(&(*g)->changed);
    pthread_mutex_destroy(&(*g)->lock);
    free(*g);
    *g = NULL;
}

/* ---- of the thread that owns the store ---- */

static void set_state(struct gate *g, enum gate_state state, bool cut)
{
    pthread_mutex_lock(&g->lock);
    g->state = state;
    atomic_store(&g->shut, state == GATE_SHUT);
    atomic_store(&g->cut, cut);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void gate_shut(struct store *s, bool cut)
{
    set_state(s->gate, GATE_SHUT, cut);
}

void gate_open(struct store *s, bool sound)
{
    set_state(s->gate, sound ? GATE_OPEN : GATE_BROKEN, false);
}

bool gate_is_shut(struct store *s)
{
    pthread_mutex_lock(&s->gate->lock);
    bool shut = s->gate->state == GATE_SHUT;
    pthread_mutex_unlock(&s->gate->lock);
    return shut;
}

bool gate_has_readers(struct store *s)
{
    pthread_mutex_lock(&s->gate->lock);
    bool has = s->gate->inside > 0;
    pthread_mutex_unlock(&s->gate->lock);
    return has;
}

void gate_close(struct store *s)
{
    struct gate *g = s->gate;
    pthread_mutex_lock(&g->lock);
    g->state = GATE_SHUT;
    atomic_store(&g->cut, true);
    while (g->inside > 0)
        pthread_cond_wait(&g->changed, &g->lock);
    for (struct store *r = g->readers; r; r = r->reading->next)
        db_close(&r->db);
    pthread_mutex_unlock(&g->lock);
}

/* ---- of readers ---- */

static bool is_over(void *ctx)
{
    struct store *r = ctx;
    bool makes_way = r->reading->makes_way && atomic_load(&r->gate->shut);
    if (!atomic_load(&r->gate->cut) && !atomic_load(&r->reading->stopped) && !makes_way &&
        !mono_past(r->reading->until, clock_mono()))
        return false;
    r->reading->was_cut = true;
    return true;
}

static char *copy_of(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(heap_get(n), text, n);
}

err sqlite_reader_open(struct store **out, struct store *of, int64_t most_ms, struct fault *f)
{
    (void)f;
    need(!of->reading && most_ms > 0);
    struct store *r = heap_new_of(struct store);
    r->head.ops = of->head.ops;
    r->gate = of->gate;
    r->reading = heap_new_of(struct reading);
    r->reading->most_ms = most_ms;
    r->dir = copy_of(of->dir);
    r->path = copy_of(of->path);
    r->lock_fd = -1;
    pthread_mutex_lock(&r->gate->lock);
    r->reading->next = r->gate->readers;
    r->gate->readers = r;
    pthread_mutex_unlock(&r->gate->lock);
    *out = r;
    return E_OK;
}

void reader_leave(struct store *r)
{
    struct gate *g = r->gate;
    pthread_mutex_lock(&g->lock);
    struct store **at = &g->readers;
    while (*at != r)
        at = &(*at)->reading->next;
    *at = r->reading->next;
    pthread_mutex_unlock(&g->lock);
    free(r->reading);
    r->reading = NULL;
}

static err come_in(struct gate *g, struct fault *f)
{
    pthread_mutex_lock(&g->lock);
    while (g->state == GATE_SHUT)
        pthread_cond_wait(&g->changed, &g->lock);
    bool sound = g->state == GATE_OPEN;
    g->inside += sound;
    pthread_mutex_unlock(&g->lock);
    return sound ? E_OK : fail(f, E_STORE, "the job store is closed");
}

static bool go_out(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    need(g->inside > 0);
    g->inside--;
    bool wanted = g->state == GATE_SHUT && g->inside == 0;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    return wanted;
}

err sqlite_reader_begin(struct store *r, struct fault *f)
{
    need(r->reading);
    err e = come_in(r->gate, f);
    if (e)
        return e;
    struct reading *g = r->reading;
    g->until = mono_add(clock_mono(), g->most_ms);
    g->was_cut = g->makes_way = false;
    g->unsure = NULL;
    struct db_patience patience = {.over = is_over, .ctx = r};
    if (!r->db)
        e = db_open_reader(&r->db, r->path, &patience, f);
    /* What one answer is made of is of one moment. */
    if (!e)
        e = db_script(r->db, "BEGIN", f);
    if (e)
        (void)go_out(r->gate);
    return e;
}

void sqlite_reader_stop(struct store *r)
{
    atomic_store(&r->reading->stopped, true);
}

static err end_view(struct store *r, struct fault *f)
{
    return db_in_transaction(r->db) ? db_script(r->db, "ROLLBACK", f) : E_OK;
}

bool sqlite_reader_end(struct store *r, struct unsure **out_unsure)
{
    struct fault ignored = {0};
    /* A connection that cannot even do this is of no use: the next reading opens another. */
    if (end_view(r, &ignored))
        db_close(&r->db);
    metric_add(METRIC_STORE_READS_CUT, 0, r->reading->was_cut && !r->reading->makes_way);
    *out_unsure = r->reading->unsure;
    return go_out(r->gate);
}

err reader_look_again(struct store *s, struct fault *f)
{
    if (!s->reading)
        return E_OK;
    err e = end_view(s, f);
    return e ? e : db_script(s->db, "BEGIN", f);
}

/* ---- what a reader does not know ---- */

static bool any_ready(const struct job_view *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].state == JOB_READY)
            return true;
    }
    return false;
}

void reader_unsure(struct store *s, struct arena *a, struct job_view *jobs, size_t count)
{
    if (!s->reading || !any_ready(jobs, count))
        return;
    struct unsure *u = arena_try(a, sizeof *u);
    if (!u)
        return; /* no room to say what they wait for: then it is not said */
    *u = (struct unsure){.jobs = jobs, .count = count, .next = s->reading->unsure};
    s->reading->unsure = u;
}

void sqlite_reader_finish(struct store *of, struct unsure *unsure, wall now)
{
    for (struct unsure *u = unsure; of->db && u; u = u->next) {
        for (size_t i = 0; i < u->count; i++)
            job_view_waiting(of, now, &u->jobs[i]);
    }
}

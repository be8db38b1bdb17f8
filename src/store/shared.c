#include "store/shared.h"

#include "base/log.h"
#include "core/fence.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/secret.h"
#include "store/absent.h"
#include "store/archive.h"
#include "store/redis/marker.h"
#include "store/redis/preflight.h"
#include "store/redis/redis.h"

#include <pthread.h>

enum {
    SILENT_MS = 10000 /* of the marker, whose answer takes a second */,
    JOIN_MS = 500,
    TEXTS_BYTES = 1 << 16
};

struct shared {
    struct shared_config config; /* its texts in the arena */
    struct arena *texts;
    char *urls[2]; /* of them those with passwords: wiped when they have served */
    struct store_limits limits;
    uint64_t seed;
    struct archive *archive;
    struct store *store, *absent; /* one of them is NULL */
    mono again;                   /* not tried before */
    struct preflight_facts facts;
    bool silent;           /* it was said that the marker has no answer */
    pthread_mutex_t lock;  /* of what follows */
    struct marker *marker; /* NULL: not there yet */
    bool hungry;
    struct preflight_finding findings[PREFLIGHT_MOST];
    size_t finding_count;
    int64_t looks; /* times that there were others */
};

/* ---- one attempt ---- */

static void keep_findings(struct shared *s, const struct preflight_finding *found, size_t count)
{
    pthread_mutex_lock(&s->lock);
    memcpy(s->findings, found, count * sizeof *found);
    s->finding_count = count;
    s->looks++;
    pthread_mutex_unlock(&s->lock);
}

/* Looks at the Redis before anything is written to it. out_passes: what is wrong with it does by itself. */
static err check_redis(struct shared *s, bool *out_passes, struct fault *f)
{
    const struct shared_config *c = &s->config;
    struct preflight p = {.url = span_of(c->queue),
                          .name = span_of(c->name),
                          .wanted = c->durability,
                          .insists = c->insists};
    err e = preflight_check(&p, f);
    *out_passes = p.passes;
    s->facts = p.facts;
    keep_findings(s, p.findings, p.finding_count);
    return e;
}

static err open_queue(struct shared *s, wall now, struct fault *f)
{
    const struct shared_config *c = &s->config;
    struct redis_config queue = {.url = span_of(c->queue),
                                 .name = span_of(c->name),
                                 .node = span_of(c->node),
                                 .records = &records_of_archive,
                                 .archive = s->archive,
                                 .state_dir = c->state_dir,
                                 .files_dir = c->files_dir,
                                 .facts = s->facts,
                                 .durability = {c->durability, c->replicas, c->wait_ms}};
    return redis_open(&s->store, &queue, &s->limits, s->seed, now, f);
}

static err start_marker(struct shared *s, struct fault *f)
{
    const struct shared_config *c = &s->config;
    struct marker_config config = {
        .url = span_of(c->queue), .name = span_of(c->name), .wake = c->wake, .ctx = c->ctx};
    struct marker *m = NULL;
    err e = marker_start(&m, &config, f);
    if (e)
        return e;
    pthread_mutex_lock(&s->lock);
    s->marker = m;
    marker_hungry(m, s->hungry);
    pthread_mutex_unlock(&s->lock);
    return E_OK;
}

/* What an attempt that failed had opened is closed again. */
static err join(struct shared *s, wall now, bool *out_passes, struct fault *f)
{
    struct archive_config archive = {.url = span_of(s->config.archive),
                                     .patience_ms = fence_patience_ms(s->limits.lease_ms)};
    err e = check_redis(s, out_passes, f);
    if (e)
        return e;
    *out_passes = true; /* without its records a job can wait all the same */
    e = archive_open(&s->archive, &archive, f);
    if (!e) {
        e = open_queue(s, now, f);
        *out_passes = e == E_BUSY || e == E_DISK_FULL;
    }
    if (!e)
        e = start_marker(s, f);
    if (!e)
        return E_OK;
    store_close(&s->store);
    archive_close(&s->archive);
    return e;
}

/* A server may come back, or be set right meanwhile. */
static bool is_worth_waiting(err e)
{
    return e == E_BUSY || e == E_STORE || e == E_DISK_FULL || e == E_TIMEOUT;
}

static void forget_passwords(struct shared *s)
{
    for (size_t i = 0; i < 2; i++)
        secret_wipe(s->urls[i], strlen(s->urls[i]));
}

/* At most half of the time is spent on it: an attempt may wait long for a server that says nothing. */
static err attempt(struct shared *s, wall now, struct fault *f)
{
    mono began = clock_mono();
    bool passes = false;
    err e = join(s, now, &passes, f);
    int64_t took = clock_mono().ms - began.ms;
    s->again = mono_add(clock_mono(), took > JOIN_MS ? took : JOIN_MS);
    if (e) {
        absent_because(s->absent, f, passes);
        return e;
    }
    forget_passwords(s);
    store_close(&s->absent);
    return E_OK;
}

/* ---- face ---- */

static void take_config(struct shared *s, const struct shared_config *c)
{
    const char **texts[] = {&s->config.name, &s->config.node, &s->config.state_dir,
                            &s->config.files_dir};
    s->config = *c;
    s->config.queue = s->urls[0] = arena_text(s->texts, span_of(c->queue));
    s->config.archive = s->urls[1] = arena_text(s->texts, span_of(c->archive));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i])
            *texts[i] = arena_text(s->texts, span_of(*texts[i]));
}

err shared_open(struct shared **out, const struct shared_config *c,
                const struct store_limits *limits, uint64_t seed, wall now, struct fault *f)
{
    struct shared *s = heap_new_of(struct shared);
    struct fault why = {0};
    s->limits = *limits;
    s->seed = seed;
    s->texts = arena_new(TEXTS_BYTES);
    s->absent = absent_new();
    pthread_mutex_init(&s->lock, NULL);
    take_config(s, c);
    err e = attempt(s, now, &why);
    if (e && !is_worth_waiting(e)) {
        shared_close(&s);
        return fail(f, e, "%s", why.words);
    }
    *out = s;
    return E_OK;
}

bool shared_join(struct shared *s, wall now)
{
    struct fault why = {0};
    return s->absent && mono_past(s->again, clock_mono()) && attempt(s, now, &why) == E_OK;
}

void shared_close(struct shared **s)
{
    if (!*s)
        return;
    marker_stop(&(*s)->marker);
    store_close(&(*s)->store);
    store_close(&(*s)->absent);
    archive_close(&(*s)->archive);
    pthread_mutex_destroy(&(*s)->lock);
    forget_passwords(*s);
    arena_free(&(*s)->texts);
    free(*s);
    *s = NULL;
}

struct store *shared_store(struct shared *s)
{
    return s->absent ? s->absent : s->store;
}

void shared_hungry(struct shared *s, bool hungry)
{
    pthread_mutex_lock(&s->lock);
    s->hungry = hungry;
    if (s->marker)
        marker_hungry(s->marker, hungry);
    pthread_mutex_unlock(&s->lock);
}

/* While nobody tells it what others left, this node finds it by looking, each second. */
static void look_at_marker(struct shared *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t silent = s->marker ? marker_state(s->marker).silent_ms : 0;
    pthread_mutex_unlock(&s->lock);
    bool is = silent >= SILENT_MS && s->store && !store_is_away(s->store);
    metric_set(METRIC_QUEUE_SILENT, 0, silent >= SILENT_MS ? silent : 0);
    if (is && !s->silent)
        log_warn(
            "queue.wake_silent", F_N("silent_ms", silent),
            F_C("do",
                "the Redis answers other questions: see its slow log and its clients (BZPOPMIN); "
                "until then work that other nodes leave is found up to a second later"));
    s->silent = is;
}

void shared_look(struct shared *s)
{
    look_at_marker(s);
    struct preflight_finding found[PREFLIGHT_MOST];
    const struct preflight_facts *facts = s->store ? redis_facts(s->store) : NULL;
    if (!facts || strcmp(facts->run_id, s->facts.run_id) == 0)
        return;
    s->facts = *facts;
    keep_findings(s, found, preflight_judge(facts, s->config.durability, found));
}

size_t shared_findings(struct shared *s, struct preflight_finding out[PREFLIGHT_MOST],
                       int64_t *out_looks)
{
    pthread_mutex_lock(&s->lock);
    size_t count = s->finding_count;
    *out_looks = s->looks;
    memcpy(out, s->findings, count * sizeof *out);
    pthread_mutex_unlock(&s->lock);
    return count;
}

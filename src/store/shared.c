#include "store/shared.h"

#include "store/archive.h"
#include "store/redis/marker.h"
#include "store/redis/preflight.h"
#include "store/redis/redis.h"

struct shared {
    struct archive *archive;
    struct store *store;
    struct marker *marker;
    struct preflight_facts facts;
    struct preflight_finding findings[PREFLIGHT_MOST];
    size_t finding_count;
};

/* Looks at the Redis before anything is written to it. */
static err check_redis(struct shared *s, const struct shared_config *c, struct fault *f)
{
    struct link_config config = {.url = span_of(c->queue), .name = span_of(c->name)};
    struct link *l = NULL;
    struct arena *a = arena_new(1 << 20);
    err e = link_new(&l, &config, f);
    if (!e)
        e = preflight_read(l, a, &s->facts, f);
    if (!e)
        s->finding_count = preflight_judge(&s->facts, c->durability, s->findings);
    for (size_t i = 0; !e && !c->insists && i < s->finding_count; i++)
        if (s->findings[i].refuses)
            e = fail(f, E_CONFIG, "%s; or set store.strict to false", s->findings[i].words);
    link_free(&l);
    arena_free(&a);
    return e;
}

err shared_open(struct shared **out, const struct shared_config *c,
                const struct store_limits *limits, uint64_t seed, wall now, struct fault *f)
{
    struct shared *s = heap_new_of(struct shared);
    struct archive_config archive = {.url = span_of(c->archive)};
    struct marker_config marker = {
        .url = span_of(c->queue), .name = span_of(c->name), .wake = c->wake, .ctx = c->ctx};
    err e = check_redis(s, c, f);
    if (!e)
        e = archive_open(&s->archive, &archive, f);
    struct redis_config queue = {.url = span_of(c->queue),
                                 .name = span_of(c->name),
                                 .node = span_of(c->node),
                                 .records = &records_of_archive,
                                 .archive = s->archive,
                                 .state_dir = c->state_dir,
                                 .files_dir = c->files_dir,
                                 .facts = s->facts,
                                 .durability = {c->durability, c->replicas, c->wait_ms}};
    if (!e)
        e = redis_open(&s->store, &queue, limits, seed, now, f);
    if (!e)
        e = marker_start(&s->marker, &marker, f);
    if (e) {
        shared_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void shared_close(struct shared **s)
{
    if (!*s)
        return;
    marker_stop(&(*s)->marker);
    store_close(&(*s)->store);
    archive_close(&(*s)->archive);
    free(*s);
    *s = NULL;
}

struct store *shared_store(struct shared *s)
{
    return s->store;
}

void shared_hungry(struct shared *s, bool hungry)
{
    marker_hungry(s->marker, hungry);
}

size_t shared_findings(const struct shared *s, struct preflight_finding out[PREFLIGHT_MOST])
{
    memcpy(out, s->findings, s->finding_count * sizeof *out);
    return s->finding_count;
}

/* archive.h - an archive of records in the memory of a test program, for a queue that keeps none itself: what
 * store/archive.h promises of them (not of evidence), as simply as it can be done. It outlives a crash of the queue, as a database does,
 * so that what was written for a batch whose cursor never moved is there when the job goes on. */
#pragma once

#include "base/map.h"
#include "store/asked.h"
#include "store/redis/records.h"

#include <stdlib.h>

struct kept_item {
    int64_t ord, created_ms;
    enum item_kind kind;
    struct span id, json; /* in own */
    char *own;            /* its key, "KIND ID" first */
};
struct kept_job {
    char id[ID_TEXT];
    int64_t epoch, fence;
    enum item_kind counts;
    struct kept_item **items; /* by ord */
    size_t count, room;
    struct map by_key;
};
struct archive {
    struct map jobs;
};

static inline struct archive *kept_open(void)
{
    return calloc(1, sizeof(struct archive));
}

static inline void kept_drop(struct kept_job *j, size_t from)
{
    for (; j->count > from; j->count--) {
        struct kept_item *it = j->items[j->count - 1];
        map_remove(&j->by_key, span_of(it->own));
        free(it->own);
        free(it);
    }
}

static inline void kept_forget(struct archive *a, struct kept_job *j)
{
    kept_drop(j, 0);
    map_free(&j->by_key);
    map_remove(&a->jobs, span_of(j->id));
    free(j->items);
    free(j);
}

static inline void kept_close(struct archive *a)
{
    while (a->jobs.count)
        map_each(&a->jobs, e)
        {
            kept_forget(a, e->value);
            break;
        }
    map_free(&a->jobs);
    free(a);
}

static inline struct kept_job *kept_job(struct archive *a, struct span id)
{
    struct kept_job *j = map_find(&a->jobs, id);
    if (j)
        return j;
    j = calloc(1, sizeof *j);
    span_copy(id, j->id, sizeof j->id);
    map_add(&a->jobs, span_of(j->id), j);
    return j;
}

static inline struct archive_committed kept_sums(const struct kept_job *j)
{
    struct archive_committed sums = {0};
    for (size_t i = 0; i < j->count; i++) {
        sums.have += j->items[i]->kind == j->counts;
        sums.users += j->items[i]->kind == ITEM_USER;
        sums.bytes += (int64_t)j->items[i]->json.n;
    }
    return sums;
}

static inline err kept_lease(struct kept_job *j, const struct archive_lease *l, struct fault *f)
{
    if (l->epoch < j->epoch || (l->epoch == j->epoch && l->fence < j->fence))
        return fail(f, E_STALE, "a newer lease has written for job %s", j->id);
    j->epoch = l->epoch;
    j->fence = l->fence;
    return E_OK;
}

static inline void kept_rewind_to(struct kept_job *j, int64_t batch)
{
    size_t n = j->count;
    while (n > 0 && j->items[n - 1]->ord >= batch * ORD_PER_BATCH)
        n--;
    kept_drop(j, n);
}

static inline bool kept_put(struct kept_job *j, const struct store_item *it, int64_t ord)
{
    char *own = NULL;
    int head = asprintf(&own, "%d %.*s", (int)it->kind, SP(it->id));
    if (head < 0 || map_find(&j->by_key, span_of(own))) {
        free(own);
        return false;
    }
    size_t key = (size_t)head + 1;
    own = realloc(own, key + it->json.n + 1);
    if (it->json.n)
        memcpy(own + key, it->json.p, it->json.n);
    struct kept_item *kept = malloc(sizeof *kept);
    *kept = (struct kept_item){
        .ord = ord, .created_ms = it->created_ms, .kind = it->kind, .own = own};
    kept->id = (struct span){own + 2, (size_t)head - 2};
    kept->json = (struct span){own + key, it->json.n};
    if (j->count == j->room) {
        j->room = j->room ? 2 * j->room : 16;
        j->items = realloc(j->items, j->room * sizeof *j->items);
    }
    j->items[j->count++] = kept;
    map_add(&j->by_key, span_of(kept->own), kept);
    return true;
}

static inline err kept_commit(struct archive *a, const struct archive_commit *args, wall now,
                              struct archive_committed *out, struct fault *f)
{
    struct kept_job *j = kept_job(a, args->lease.job);
    (void)now;
    err e = kept_lease(j, &args->lease, f);
    if (e)
        return e;
    j->counts = args->counts;
    kept_rewind_to(j, args->batch);
    struct archive_committed sums = kept_sums(j);
    for (size_t i = 0; i < args->count; i++) {
        const struct store_item *it = &args->items[i];
        bool counted = it->kind == args->counts;
        if ((counted && args->limit > 0 && sums.have >= args->limit) ||
            !kept_put(j, it, args->batch * ORD_PER_BATCH + (int64_t)i))
            continue;
        sums.have += counted;
        sums.added += counted;
        sums.users += it->kind == ITEM_USER;
        sums.rejected += it->kind == ITEM_REJECTED;
        sums.conflicts += it->kind == ITEM_CONFLICT;
        sums.bytes += (int64_t)it->json.n;
    }
    *out = sums;
    return E_OK;
}

static inline err kept_rewind(struct archive *a, const struct archive_lease *lease,
                              enum item_kind counts, int64_t batch,
                              struct archive_committed *out, struct fault *f)
{
    struct kept_job *j = kept_job(a, lease->job);
    err e = kept_lease(j, lease, f);
    if (e)
        return e;
    j->counts = counts;
    kept_rewind_to(j, batch);
    *out = kept_sums(j);
    return E_OK;
}

static inline err kept_items(struct archive *a, struct span job, int kind, int64_t after,
                             size_t limit, size_t bytes_max, struct arena *arena,
                             struct item_view **out, size_t *out_count, struct fault *f)
{
    const struct kept_job *j = map_find(&a->jobs, job);
    size_t n = 0, bytes = 0;
    size_t most = j && j->count < limit ? j->count : j ? limit : 0;
    struct item_view *all = arena_try(arena, (most + 1) * sizeof *all);
    if (!all)
        return fail(f, E_TOO_BIG, "the answer does not fit");
    for (size_t i = 0; j && i < j->count && n < limit && (n == 0 || bytes < bytes_max); i++) {
        const struct kept_item *it = j->items[i];
        if (it->ord <= after || (kind >= 0 && (int)it->kind != kind))
            continue;
        all[n] = (struct item_view){it->ord, it->kind, arena_keep(arena, it->id),
                                    arena_keep(arena, it->json)};
        bytes += it->json.n;
        n++;
    }
    *out = all;
    *out_count = n;
    return E_OK;
}

/* New records; a text that is there stays. */
static inline err kept_repair(struct archive *a, const struct archive_mending *args, wall now,
                              struct repair_reply *out, struct fault *f)
{
    struct kept_job *j = kept_job(a, args->job);
    (void)now;
    (void)f;
    j->counts = args->counts;
    kept_rewind_to(j, args->batch);
    *out = (struct repair_reply){0};
    for (size_t i = 0; i < args->count; i++)
        out->added += kept_put(j, &args->items[i], args->batch * ORD_PER_BATCH + (int64_t)i);
    out->have = kept_sums(j).have;
    return E_OK;
}

static inline err kept_newest(struct archive *a, struct span job, struct arena *arena,
                              struct span *out, struct fault *f)
{
    const struct kept_job *j = map_find(&a->jobs, job);
    struct buf b = BUF(256 * 1024);
    for (size_t i = 0; j && i < j->count; i++)
        if (j->items[i]->kind == ITEM_POST)
            buf_fmt(&b, "%lld %.*s\n", (long long)j->items[i]->created_ms, SP(j->items[i]->id));
    *out = arena_keep(arena, buf_span(&b));
    buf_free(&b);
    return out->p ? E_OK : fail(f, E_TOO_BIG, "the answer does not fit");
}

static inline err kept_forget_jobs(struct archive *a, const struct span *jobs, size_t count,
                                   bool *out_more, struct fault *f)
{
    size_t left = 5000; /* records, in one call */
    (void)f;
    *out_more = false;
    for (size_t i = 0; i < count && !*out_more; i++) {
        struct kept_job *j = map_find(&a->jobs, jobs[i]);
        if (!j)
            continue;
        *out_more = j->count > left;
        size_t goes = *out_more ? left : j->count;
        kept_drop(j, j->count - goes);
        left -= goes;
        if (!*out_more)
            kept_forget(a, j);
    }
    return E_OK;
}

static inline err kept_fields(struct archive *a, struct span site, struct span counts, wall now,
                              struct fault *f)
{
    (void)a;
    (void)site;
    (void)counts;
    (void)now;
    (void)f;
    return E_OK;
}

static const struct records_ops kept_records = {
    .commit = kept_commit,
    .rewind = kept_rewind,
    .items = kept_items,
    .repair = kept_repair,
    .newest = kept_newest,
    .forget = kept_forget_jobs,
    .fields_add = kept_fields,
};

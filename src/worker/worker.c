#include "worker/worker.h"

#include "base/json.h"
#include "base/log.h"
#include "base/need.h"
#include "os/clock.h"
#include "os/faults.h"
#include "os/sandbox.h"
#include "extract/packs.h"
#include "os/spawn.h"
#include "os/stack.h"
#include "worker/collect.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    JOB_ARENA_MAX = 128 * 1024 * 1024,
    PAGE_ARENA_MAX = 128 * 1024 * 1024,
    EVENT_MAX = 48 * 1024 * 1024
};

struct worker {
    struct channel channel;
    size_t body_max;
    struct pack *packs[PACKS_MAX];
    struct reader *readers[PACKS_MAX];
    size_t pack_count;
    struct json_parser *events;
    struct arena *arena, *page_arena;
};

static void send_log(enum log_level level, struct span line, void *ctx)
{
    struct worker *w = ctx;
    struct frame f = {.type = FRAME_LOG, .n = {level}, .t = {span_cut(line, 0, 4000)}};
    (void)!channel_send(&w->channel, &f);
}

/* From the memory that node gave: what lies in the folder may be another version by now. */
static err open_packs(struct worker *w, char **names, int count, size_t body_max,
                      struct fault *f)
{
    struct buf image;
    err e = packs_read_image(WORKER_PACKS_FD, &image, f);
    for (int i = 0; !e && i < count && w->pack_count < PACKS_MAX; i++) {
        struct pack **p = &w->packs[w->pack_count];
        e = pack_open_image(p, buf_span(&image), names[i], f);
        if (!e)
            w->readers[w->pack_count++] = reader_new(*p, body_max);
    }
    buf_free(&image);
    return e;
}

static err start(struct worker *w, int argc, char **argv, struct fault *f)
{
    size_t body_max = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
    w->body_max = body_max;
    channel_init(&w->channel, WORKER_SOCKET_FD);
    err e = open_packs(w, argv + 3, argc - 3, body_max, f);
    if (e)
        return e;
    close(WORKER_PACKS_FD);
    close(spawn_self_fd()); /* a worker starts nothing */
    e = stack_tell(WORKER_STACK_FD, f);
    if (e)
        return e;
    w->events = json_parser_new(EVENT_MAX);
    w->arena = arena_new(JOB_ARENA_MAX);
    w->page_arena = arena_new(PAGE_ARENA_MAX);
    log_setup("worker", LOG_LOGFMT, LOG_INFO, clock_wall);
    log_divert(send_log, w);
    return sandbox_worker(f);
}

static void finish(struct worker *w)
{
    for (size_t i = 0; i < w->pack_count; i++) {
        reader_free(&w->readers[i]);
        pack_close(&w->packs[i]);
    }
    json_parser_free(&w->events);
    arena_free(&w->arena);
    arena_free(&w->page_arena);
    channel_fini(&w->channel);
}

static enum evidence_keep keep_of(int64_t n)
{
    return n >= 0 && n < EVIDENCE_KEEPS ? (enum evidence_keep)n : EVIDENCE_NEVER;
}

/* The frame's texts are gone at the next read: the job keeps its own. */
static void keep_order(struct arena *a, const struct frame *f, struct collect_order *out)
{
    *out = (struct collect_order){.limit = f->n[0],
                                  .next_batch = f->n[1],
                                  .have = f->n[2],
                                  .navigate_ms = f->n[3],
                                  .batch_ms = f->n[4],
                                  .fetch_ms = f->n[5],
                                  .keep = keep_of(f->n[6]),
                                  .filtered = f->n[7],
                                  .site = arena_keep(a, f->t[1]),
                                  .kind = arena_keep(a, f->t[2]),
                                  .target = arena_keep(a, f->t[3]),
                                  .spec = arena_keep(a, f->t[4]),
                                  .cursor = arena_keep(a, f->t[5]),
                                  .base_url = arena_keep(a, f->t[6]),
                                  .instances = arena_keep(a, f->t[7]),
                                  .known = arena_keep(a, f->t[8])};
}

/* The first word of each job: who dies without it has not seen the job, and the job is not charged. */
static err tell_taken(struct worker *w)
{
    need_step("take the job");
    return channel_send(&w->channel,
                        &(struct frame){.type = FRAME_PROGRESS, .t = {SPAN("take the job")}});
}

/* What reading a job's pages took is no other job's, which may be allowed less: parsers and buffers keep the size of the
 * largest page that they have seen, and free() keeps pages of memory. */
static void give_memory_back(struct worker *w, size_t at)
{
    arena_reset(w->arena);
    arena_reset(w->page_arena);
    if (at < w->pack_count) {
        reader_free(&w->readers[at]);
        w->readers[at] = reader_new(w->packs[at], w->body_max);
    }
    json_parser_free(&w->events);
    w->events = json_parser_new(EVENT_MAX);
    channel_shrink(&w->channel);
    (void)malloc_trim(0);
}

static err run_job(struct worker *w, const struct frame *job)
{
    struct collect_order order;
    struct collect_result result = {.failure = FAILURE_BAD_INPUT, .why = SPAN("no such site")};
    keep_order(w->arena, job, &order);
    err told = tell_taken(w);
    if (told)
        return told;
    size_t at = 0;
    while (at < w->pack_count && !span_eq(pack_name(w->packs[at]), order.site))
        at++;
    if (at < w->pack_count)
        collect_run(&w->channel, w->packs[at], w->readers[at], w->events, &order, w->arena,
                    w->page_arena, &result);
    struct frame f = {.type = result.failure ? FRAME_FAIL : FRAME_DONE,
                      .t = {span_cut(result.why, 0, 1000), result.report, result.counts}};
    f.n[0] = result.failure ? (int64_t)result.failure : (int64_t)result.verdict;
    f.n[1] = result.failure ? result.wait_ms : (int64_t)result.end;
    f.n[2] = result.failure && result.final;
    fault_point("worker.finish");
    err e = channel_send(&w->channel, &f);
    give_memory_back(w, at);
    return e;
}

static err serve(struct worker *w)
{
    struct buf versions = BUF(PACKS_MAX * 128);
    for (size_t i = 0; i < w->pack_count; i++)
        packs_add_version(&versions, w->packs[i]);
    struct frame f = {.type = FRAME_READY, .n = {getpid()}, .t = {buf_span(&versions)}};
    err e = channel_send(&w->channel, &f);
    buf_free(&versions);
    while (!e) {
        need_step("idle");
        e = channel_next(&w->channel, CHANNEL_FOREVER, &f);
        if (!e && f.type == FRAME_JOB)
            e = run_job(w, &f);
        /* Anything else is a late answer to the last job. */
    }
    return e;
}

int worker_main(int argc, char **argv)
{
    struct worker w = {0};
    struct fault fault = {0};
    err e = start(&w, argc, argv, &fault);
    if (e)
        log_error("worker.start_failed", F_X("result", e), F_C("why", fault.words));
    else
        e = serve(&w);
    log_divert(NULL, NULL);
    finish(&w);
    return e == E_END || e == E_OK ? 0 : 70;
}

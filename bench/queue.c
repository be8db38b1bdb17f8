/* queue.c - the queue in Redis, one node that asks one thing after the other, and one with so many things that wait at the
 * same moment, which it asks as its store's thread does: transitions a second, the time of the server and the
 * commands for one; bytes of its memory for a waiting job with a target and options of 200 bytes.
 * Usage: queue URL [jobs]. The Redis is one of its own: bench/queue.sh. */
#include "store/redis/redis.h"
#include "store/apply.h"

#include "os/clock.h"
#include "store/redis/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 100000, SPEC = 200, AT_ONCE_MOST = 64 };

static struct link *watch;
static struct arena *texts;
static struct store *store;
static struct fault fault;

static void must(err e, const char *what)
{
    if (!e)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, err_name(e), fault.words);
    exit(1);
}

/* A number of INFO. */
static double says(const char *section, const char *name)
{
    struct reply r = {0};
    arena_reset(texts);
    must(link_say(watch, texts, &r, &fault, "INFO", section, NULL), "INFO");
    size_t at = span_find(r.text, span_of(name));
    return at < r.text.n ? strtod(r.text.p + at + strlen(name), NULL) : 0;
}

static double cpu_us;

static double server_cpu_us(void)
{
    return 1e6 * (says("cpu", "used_cpu_sys_main_thread:") +
                  says("cpu", "used_cpu_user_main_thread:"));
}

static void begin_part(void)
{
    struct reply r = {0};
    must(link_say(watch, texts, &r, &fault, "CONFIG", "RESETSTAT", NULL), "CONFIG");
    cpu_us = server_cpu_us();
}

/* A script's time is that of the server's thread: others may run on this machine. */
static void end_part(const char *name, int64_t count, mono began)
{
    double seconds = (double)(clock_mono().ms - began.ms) / 1000,
           used = server_cpu_us() - cpu_us;
    double commands = says("stats", "total_commands_processed:");
    printf("| %s | %.0f | %.1f | %.1f |\n", name, (double)count / seconds, used / (double)count,
           commands / (double)count);
}

static struct accept_args job_number(int64_t i, char id[ID_TEXT])
{
    static char spec[SPEC + 1];
    memset(spec, 's', SPEC);
    snprintf(id, ID_TEXT, "job_01JD0QZ8Z8%08x00000000", (unsigned)i);
    return (struct accept_args){.id = span_of(id),
                                .site = SPAN("x"),
                                .kind = SPAN("posts"),
                                .target = SPAN("nasa"),
                                .lane = SPAN("default/x/normal"),
                                .spec = span_of(spec),
                                .prio = 5};
}

static void accept_jobs(int64_t from, int64_t count)
{
    for (int64_t i = from; i < from + count; i++) {
        char id[ID_TEXT];
        struct accept_reply reply;
        struct accept_args args = job_number(i, id);
        must(store_begin(store, &fault), "begin");
        must(store_accept(store, &args, clock_wall(), &reply, &fault), "accept");
        must(store_commit(store, &fault), "commit");
    }
}

static void run_jobs(int64_t count)
{
    struct arena *a = arena_new(1 << 20);
    for (int64_t i = 0; i < count; i++) {
        struct lease l;
        struct finish_reply reply;
        struct reserve_args args = {
            .worker = SPAN("w1"), .random = (uint64_t)i + 1, .needs = NEEDS_PAGE};
        must(store_begin(store, &fault), "begin");
        must(store_reserve(store, &args, clock_wall(), a, &l, &fault), "reserve");
        struct finish_args done = {.id = span_of(l.id),
                                   .nonce = l.nonce,
                                   .verdict = VERDICT_COMPLETE,
                                   .end = END_TERMINATE};
        must(store_finish(store, &done, clock_wall(), &reply, &fault), "finish");
        must(store_commit(store, &fault), "commit");
        arena_reset(a);
    }
    arena_free(&a);
}

/* ---- several at once ---- */

static struct store_op ops[AT_ONCE_MOST];
static char ids[AT_ONCE_MOST][ID_TEXT];

/* A group of the store's thread. */
static void group(size_t n)
{
    struct store_op *all[AT_ONCE_MOST];
    wall now = clock_wall();
    must(store_begin(store, &fault), "begin");
    for (size_t i = 0; i < n; i++) {
        all[i] = &ops[i];
        ops[i].answered = false;
        ops[i].fault = (struct fault){0};
    }
    store_together(store, all, n, now);
    for (size_t i = 0; i < n; i++) {
        if (!ops[i].answered)
            ops[i].result = apply_write(store, &ops[i], now);
        fault = ops[i].fault;
        must(ops[i].result, "one of several");
    }
    must(store_commit(store, &fault), "commit");
}

static void accept_together(int64_t from, int64_t count, int64_t at_once)
{
    for (int64_t i = from; i < from + count; i += at_once) {
        for (int64_t k = 0; k < at_once; k++)
            ops[k] =
                (struct store_op){.verb = STORE_ACCEPT, .in.accept = job_number(i + k, ids[k])};
        group((size_t)at_once);
    }
}

/* Workers, each of which ends its job and takes the next one. */
static void run_together(int64_t count, int64_t at_once)
{
    static struct lease leases[AT_ONCE_MOST];
    struct arena *a = arena_new(4 << 20);
    for (int64_t i = 0; i < count; i += at_once) {
        for (int64_t k = 0; k < at_once; k++)
            ops[k] = (struct store_op){.verb = STORE_RESERVE,
                                       .arena = a,
                                       .in.reserve = {.worker = SPAN("w1"),
                                                      .random = (uint64_t)(i + k) + 1,
                                                      .needs = NEEDS_PAGE}};
        group((size_t)at_once);
        for (int64_t k = 0; k < at_once; k++) {
            leases[k] = ops[k].out.lease;
            ops[k] = (struct store_op){.verb = STORE_FINISH,
                                       .in.finish = {.id = span_of(leases[k].id),
                                                     .nonce = leases[k].nonce,
                                                     .verdict = VERDICT_COMPLETE,
                                                     .end = END_TERMINATE}};
        }
        group((size_t)at_once);
        arena_reset(a);
    }
    arena_free(&a);
}

static void measure_together(int64_t from, int64_t jobs)
{
    static const int64_t at_once[] = {16, 64};
    mono began;
    char name[64];
    for (size_t i = 0; i < 2; i++, from += jobs) {
        begin_part();
        began = clock_mono();
        accept_together(from, jobs, at_once[i]);
        snprintf(name, sizeof name, "accept, %lld at once", (long long)at_once[i]);
        end_part(name, jobs, began);
    }
    begin_part();
    began = clock_mono();
    run_together(jobs, 64);
    end_part("a whole job (reserve and finish), 64 at once", jobs, began);
}

int main(int argc, char **argv)
{
    struct store_limits limits = {.ready_max = 10000000,
                                  .fail_max = 3,
                                  .crash_max = 2,
                                  .throttle_max = 4,
                                  .retry_base_ms = 1000,
                                  .retry_cap_ms = 60000,
                                  .lane_max_active = 1000,
                                  .lane_burst = 1,
                                  .lease_ms = 30000};
    if (argc < 2) {
        fputs("usage: queue URL [jobs]\n", stderr);
        return 2;
    }
    int64_t jobs = argc > 2 ? strtoll(argv[2], NULL, 10) : JOBS;
    struct redis_config config = {.url = span_of(argv[1])};
    texts = arena_new(1 << 20);
    must(link_new(&watch, &(struct link_config){.url = config.url, .name = SPAN("watch")},
                  &fault),
         "link");
    must(redis_open(&store, &config, &limits, 7, clock_wall(), &fault), "open");
    double before = says("memory", "used_memory:");
    puts(
        "| transition | a second | µs of the server for one | commands for one |\n|---|---:|---:|---:|");
    begin_part();
    mono began = clock_mono();
    accept_jobs(0, jobs);
    end_part("accept", jobs, began);
    double bytes = (says("memory", "used_memory:") - before) / (double)jobs;
    begin_part();
    began = clock_mono();
    run_jobs(jobs / 10);
    end_part("a whole job (reserve and finish)", jobs / 10, began);
    measure_together(jobs, jobs / 64 * 32);
    printf("\nbytes of Redis for a waiting job, of %lld: %.0f\n", (long long)jobs, bytes);
    store_close(&store);
    link_free(&watch);
    arena_free(&texts);
    return 0;
}

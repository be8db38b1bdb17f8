/* queue.c - the queue in Redis, one node that asks one thing after the other: transitions a second and the time
 * of their scripts in the server; bytes of its memory for a waiting job with a target and options of 200 bytes.
 * Usage: queue URL [jobs]. The Redis is one of its own: bench/queue.sh. */
#include "store/redis/redis.h"

#include "os/clock.h"
#include "store/redis/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 100000, SPEC = 200 };

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
    double calls = says("commandstats", "cmdstat_evalsha:calls=");
    double commands = says("stats", "total_commands_processed:");
    printf("| %s | %.0f | %.0f | %.0f |\n", name, (double)count / seconds, used / calls,
           commands / calls);
}

static void accept_jobs(int64_t from, int64_t count)
{
    static char spec[SPEC + 1];
    memset(spec, 's', SPEC);
    for (int64_t i = from; i < from + count; i++) {
        char id[ID_TEXT];
        struct accept_reply reply;
        snprintf(id, sizeof id, "job_01JD0QZ8Z8%08x00000000", (unsigned)i);
        struct accept_args args = {.id = span_of(id),
                                   .site = SPAN("x"),
                                   .kind = SPAN("posts"),
                                   .target = SPAN("nasa"),
                                   .lane = SPAN("default/x/normal"),
                                   .spec = span_of(spec),
                                   .prio = 5};
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
        "| transition | a second | µs of the server for one | commands in it |\n|---|---:|---:|---:|");
    begin_part();
    mono began = clock_mono();
    accept_jobs(0, jobs);
    end_part("accept", jobs, began);
    double bytes = (says("memory", "used_memory:") - before) / (double)jobs;
    begin_part();
    began = clock_mono();
    run_jobs(jobs / 10);
    end_part("reserve and finish", jobs / 5, began);
    printf("\nbytes of Redis for a waiting job, of %lld: %.0f\n", (long long)jobs, bytes);
    store_close(&store);
    link_free(&watch);
    arena_free(&texts);
    return 0;
}

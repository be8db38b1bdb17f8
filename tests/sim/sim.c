/* sim.c - the queue under everything that may happen to it, in virtual time.
 *
 * Three nodes with two workers each, a service around the real store, clients and operators talk by
 * messages that come late, twice or not at all. Nodes crash, are stopped and go on later as if nothing
 * had been; the power fails before and after a group is written; the clock is set; sites fail, ask to
 * wait, and come back. After each step the promises of the queue are checked (watch.h). Then the faults
 * stop, and every job has to end. The same seed does the same again, step by step.
 *
 * sim [seed=1] [count=1] [storms=1] [disk=full] [mistake=NAME] [trace]
 *   count    so many seeds, one after another
 *   storms   so many of each, one after the other on one store, a quiet day between two: nothing that is held (memory,
 *            descriptors, the file) may grow. 72 are a day of faults
 *   disk     full: now and then it is, for a while
 *   mistake  fence, early, loss, twice, sleep: put in on purpose; exit 0 when it is found
 * Exit 1: a promise was broken; the seed, the step and the last steps are printed. */
#include "sim.h"

#include "base/text.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void say(struct sim *s, const char *format, ...)
{
    char *line = s->lines[s->line_count++ % TRACE];
    int n = snprintf(line, LINE, "%6" PRId64 " %10" PRId64 " ", s->steps, s->now);
    va_list list;
    va_start(list, format);
    vsnprintf(line + n, LINE - (size_t)n, format, list);
    va_end(list);
    s->hash = span_hash(span_of(line), s->hash);
    if (s->trace)
        puts(line);
}

static void on_broken(void *ctx, const char *why)
{
    struct sim *s = ctx;
    snprintf(s->why, sizeof s->why, "%s", why);
    longjmp(s->end, 1);
}

/* ---- chance ---- */

int64_t below(struct sim *s, int64_t n)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((s->random >> 33) % (uint64_t)n);
}

bool one_in(struct sim *s, int64_t n)
{
    return !s->over && below(s, n) == 0;
}

int64_t between(struct sim *s, int64_t from, int64_t to)
{
    return from + below(s, to - from + 1);
}

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void put(struct sim *s, int64_t in_ms, enum what what, struct message m)
{
    if (s->event_count == EVENTS)
        on_broken(s, "the simulation has too many events");
    size_t i = s->event_count++;
    struct event e = {s->now + in_ms, s->order++, what, m};
    for (; i && sooner(&e, &s->events[(i - 1) / 2]); i = (i - 1) / 2)
        s->events[i] = s->events[(i - 1) / 2];
    s->events[i] = e;
}

static struct event take(struct sim *s)
{
    struct event first = s->events[0], last = s->events[--s->event_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->event_count)
            break;
        if (child + 1 < s->event_count && sooner(&s->events[child + 1], &s->events[child]))
            child++;
        if (!sooner(&s->events[child], &last))
            break;
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return first;
}

void post(struct sim *s, enum what what, struct message m)
{
    if (one_in(s, 40))
        return;
    int64_t delay =
        one_in(s, 50) ? between(s, SECOND, 3 * s->watch.limits.lease_ms) : between(s, 1, 40);
    put(s, delay, what, m);
    if (one_in(s, 40))
        put(s, delay + between(s, 1, 4 * s->watch.limits.lease_ms), what, m);
}
/* ---- clients ---- */

/* Until it is answered the same request comes again, with another id; now and then with another body, and refused. */
static void submit(struct sim *s, const struct message *m)
{
    struct message call = {
        .call = m->call, .job = m->job, .batch = m->batch, .try = m->try, .nonce = 1};
    struct message next = *m;
    if (s->heard[m->job]) {
        if (m->call == ACCEPT && one_in(s, 4) && s->watch.seen.jobs[m->job].acknowledged) {
            call.nonce = 2;
            post(s, ARRIVE, call);
        }
        return;
    }
    post(s, ARRIVE, call);
    next.try++;
    put(s, ANSWER_MS, SUBMIT, next);
}

static void step(struct sim *s, const struct event *e)
{
    struct message m = e->m;
    switch (e->what) {
    case SUBMIT:
        submit(s, &m);
        return;
    case HEARD:
        s->heard[m.job] |= !m.wait;
        return;
    case HAND:
        s->foul_ms = m.call == LANE || m.call == MODE ? s->now : s->foul_ms;
        post(s, ARRIVE, m);
        return;
    case ARRIVE:
        arrive(s, m);
        return;
    case FLUSH:
        flush(s);
        return;
    case TEND:
        tend(s);
        return;
    case CONTINUE:
        go_on(s, m.node);
        return;
    case LOOK:
        look_after_schedules(s, m.node);
        return;
    case SEND:
        send_events(s, m.node);
        return;
    case TOLD:
        told(s, m);
        return;
    case SENT:
        sent(s, &m);
        return;
    case CRASH:
    case UP:
    case STOP:
    case POWER:
    case CLOCK:
    case OUTAGE:
    case FULL:
    case ROOM:
        trouble(s, e);
        return;
    case WAKE:
    case ANSWER:
    case ASK_AGAIN:
    case BEAT:
    case STEP:
    case GIVE_UP:
        at_node(s, e);
        return;
    }
}
/* ---- a run ---- */

static bool all_over(const struct sim *s)
{
    for (int i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[i];
        int64_t in = i < WATCH_JOBS ? (i - WATCH_ALONE) % WATCH_BATCH_JOBS : WATCH_NOBODY;
        int64_t batch = (i - WATCH_ALONE) / WATCH_BATCH_JOBS;
        bool asked = i < WATCH_ALONE || in == 0 ||
                     (in > 0 && s->watch.batch_orders[batch].open &&
                      (i == added_job(batch) || i == sealed_job(batch)));
        if ((asked && !s->heard[i]) || (j->exists && !job_is_final(j->state)))
            return false;
    }
    return !s->watch.seen.operation.running && watch_batches_called(&s->watch) &&
           watch_hook_knows_all(&s->watch);
}

/* Everybody is there again, and nothing is on its way. */
static void start_over(struct sim *s)
{
    s->event_count = s->inbox_count = 0;
    s->flush_set = s->over = false;
    s->tend_at = 0;
    memset(s->nodes, 0, sizeof s->nodes);
    memset(s->down_until, 0, sizeof s->down_until);
    memset(s->heard, 0, sizeof s->heard);
    memset(s->came_ms, 0, sizeof s->came_ms);
}

static void storm(struct sim *s)
{
    int64_t began = s->now;
    s->foul_ms = began;
    plan(s);
    watch_begin(&s->watch, store_now(s), false);
    watch_schedules_put(&s->watch, store_now(s));
    (void)watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    while (s->event_count && s->now < began + STORM_MS + CALM_MS && !(s->over && all_over(s))) {
        struct event e = take(s);
        s->now = e.at;
        s->steps++;
        bool first = !s->over && s->now >= began + STORM_MS;
        s->over = s->now >= began + STORM_MS;
        if (first)
            calm(s);
        step(s, &e);
    }
    watch_audit(&s->watch, store_now(s), true);
    s->stormy += s->now - began;
    s->now += CALM_MS;
    watch_clear(&s->watch, store_now(s));
}

/* Of this process and the store, when nothing is left of what was there to do. */
static struct held look_at_held(const struct sim *s)
{
    struct held h = {.bytes = (int64_t)mallinfo2().uordblks};
    char path[sizeof s->dir + 16];
    struct stat st;
    DIR *open_now = opendir("/proc/self/fd");
    for (; open_now && readdir(open_now);)
        h.descriptors++;
    if (open_now)
        closedir(open_now);
    snprintf(path, sizeof path, "%s/fulmar.db", s->dir);
    h.file_bytes = stat(path, &st) ? 0 : st.st_size;
    return h;
}

static void most(int64_t *a, int64_t b)
{
    *a = b > *a ? b : *a;
}

/* The same again, and again: what is held must not grow. It swings with what the store has looked at last, so that the
 * most after the first storms is what counts. */
static void check_held(struct sim *s, int64_t round)
{
    struct held now = look_at_held(s), *first = &s->first;
    if (round < FULL_AFTER) {
        most(&first->bytes, now.bytes);
        most(&first->descriptors, now.descriptors);
        most(&first->file_bytes, now.file_bytes);
        return;
    }
    if (now.descriptors > first->descriptors)
        snprintf(s->why, sizeof s->why,
                 "%" PRId64 " descriptors after storm %" PRId64 ", %" PRId64 " before",
                 now.descriptors, round + 1, first->descriptors);
    else if (now.bytes > first->bytes + first->bytes / 20 + HELD_SLACK)
        snprintf(s->why, sizeof s->why,
                 "%" PRId64 " bytes of memory after storm %" PRId64 ", %" PRId64 " before",
                 now.bytes, round + 1, first->bytes);
    else if (now.file_bytes > 2 * first->file_bytes)
        snprintf(s->why, sizeof s->why,
                 "a file of %" PRId64 " bytes after storm %" PRId64 ", %" PRId64 " before",
                 now.file_bytes, round + 1, first->file_bytes);
    else
        return;
    longjmp(s->end, 1);
}

static void play(struct sim *s)
{
    watch_open(&s->watch, store_now(s));
    for (int64_t round = 0; round < s->storms; round++) {
        if (round) {
            start_over(s);
            watch_next_round(&s->watch, store_now(s));
        }
        storm(s);
        check_held(s, round);
    }
}

static void draw_limits(struct sim *s)
{
    s->watch.limits = (struct store_limits){
        .ready_max = 2 * WATCH_ALL,
        .fail_max = between(s, 2, 5),
        .crash_max = between(s, 2, 3),
        .throttle_max = between(s, 2, 50),
        .retry_base_ms = between(s, 200, 5000),
        .retry_cap_ms = between(s, 10000, 600000),
        .lane_max_active = between(s, 1, 4),
        .retry_floor = 1000000,
        .lane_emit_ms = below(s, 2) ? 0 : between(s, 200, 4000),
        .lane_burst = between(s, 1, 4),
        .lease_ms = 3000 * between(s, 1, 5),
    };
    struct store_limits *l = &s->watch.limits;
    if (l->fail_max % 2) /* not drawn, so that each seed is the storm that it was */
        l->pace = (struct limit_pace_policy){5 * l->lane_burst, l->retry_cap_ms / 4};
    s->watch.site_limit = s->watch.tenant_limit = (struct watch_limit){.burst = 1};
    if (s->crowded) {
        s->watch.limits.lane_max_active = NODES * WORKERS;
        s->watch.limits.lane_emit_ms = 0;
        return;
    }
    if (below(s, 2))
        s->watch.site_limit = (struct watch_limit){
            between(s, 0, 2), below(s, 2) ? 0 : between(s, 200, 6000), between(s, 1, 3)};
    if (below(s, 2))
        s->watch.tenant_limit.most = between(s, 2, 5); /* tenants have no rate */
}

static void remove_dir(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command))
        fprintf(stderr, "%s is left\n", dir);
}

/* One seed; false: a promise was broken. */
static bool run(struct sim *s, uint64_t seed, int64_t storms, enum watch_mistake mistake,
                bool trace, bool disk_fills, int64_t totals[SIGHTS])
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->storms = storms;
    s->random = seed * 0x9e3779b97f4a7c15u + 1;
    s->trace = trace;
    s->disk_fills = disk_fills;
    for (int i = 0; i < 4; i++)
        (void)below(s, 2);
    s->rude =
        below(s, 3) == 0; /* nodes that do not stop by themselves when their lease is over */
    s->crowded = below(s, 4) == 0;
    draw_limits(s);
    snprintf(s->dir, sizeof s->dir, "%s/fulmar-sim-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(s->dir)) {
        perror(s->dir);
        exit(2);
    }
    s->watch.dir = s->dir;
    s->watch.store_seed = seed;
    s->watch.mistake = mistake;
    s->watch.a = arena_new(4 << 20);
    watch_disk(&s->watch, false);
    s->watch.broken = on_broken;
    s->watch.ctx = s;
    bool good = setjmp(s->end) == 0;
    if (good)
        play(s);
    if (s->watch.s)
        watch_close(&s->watch);
    arena_free(&s->watch.a);
    remove_dir(s->dir);
    for (int i = 0; i < SIGHTS; i++)
        totals[i] += s->watch.sights[i];
    return good;
}

static void tell_broken(const struct sim *s)
{
    int64_t from = s->line_count > TRACE ? s->line_count - TRACE : 0;
    for (int64_t i = from; !s->trace && i < s->line_count; i++)
        puts(s->lines[i % TRACE]);
    printf("BROKEN: %s\nseed %" PRIu64 ", step %" PRId64 ", %" PRId64
           " ms; again with: make sim SEED=%" PRIu64 " STORMS=%" PRId64 "%s\n",
           s->why, s->seed, s->steps, s->now, s->seed, s->storms,
           s->disk_fills ? " DISK=full" : "");
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int find_mistake(struct sim *s, enum watch_mistake mistake, uint64_t seed, int64_t count)
{
    int64_t totals[SIGHTS] = {0};
    for (int64_t i = 0; i < count; i++) {
        if (run(s, seed + (uint64_t)i, 1, mistake, false, false, totals))
            continue;
        printf("found with seed %" PRIu64 " at step %" PRId64 ": %s\n", s->seed, s->steps,
               s->why);
        return 0;
    }
    printf("NOT FOUND in %" PRId64 " seeds\n", count);
    return 1;
}

/* A simulation in which nothing happens proves nothing. */
static int tell_sights(const int64_t totals[SIGHTS], int64_t count, bool disk_fills)
{
    int missing = 0;
    for (int i = 0; i < SIGHTS; i++) {
        if (!disk_fills && (i == SIGHT_full_disks || i == SIGHT_no_room))
            continue;
        printf("  %-14s %" PRId64 "\n", watch_sight_names[i], totals[i]);
        missing += count >= 50 && !totals[i];
    }
    if (missing)
        puts("some of these never happened");
    return missing != 0;
}

static int simulate(struct sim *s, uint64_t seed, int64_t count, int64_t storms, bool trace,
                    bool disk_fills)
{
    int64_t totals[SIGHTS] = {0}, ignored[SIGHTS] = {0};
    double began = seconds();
    int64_t virtual_ms = 0, steps = 0;
    for (int64_t i = 0; i < count; i++) {
        bool good = run(s, seed + (uint64_t)i, storms, MISTAKE_NONE, trace, disk_fills, totals);
        uint64_t hash = s->hash;
        virtual_ms += s->stormy;
        steps += s->steps;
        if (!good) {
            tell_broken(s);
            return 1;
        }
        if (i % 100 == 0 && storms == 1 &&
            (!run(s, seed + (uint64_t)i, storms, MISTAKE_NONE, false, disk_fills, ignored) ||
             s->hash != hash)) {
            printf("seed %" PRIu64 " did not do the same again\n", s->seed);
            return 1;
        }
    }
    double took = seconds() - began;
    printf("%" PRId64 " seeds from %" PRIu64 ": every promise kept in %" PRId64
           " steps; %.1f h in %.1f s, %.0f times as fast\n",
           count, seed, steps, (double)virtual_ms / 3600e3, took,
           (double)virtual_ms / 1000 / took);
    return tell_sights(totals, count, disk_fills);
}

int main(int argc, char **argv)
{
    static const char *const mistakes[MISTAKES] = {"none", "fence", "early",
                                                   "loss", "twice", "sleep"};
    static struct sim sim;
    uint64_t seed = 1;
    int64_t count = 1, storms = 1;
    enum watch_mistake mistake = MISTAKE_NONE;
    bool trace = false, disk_fills = false;
    disk_put_under();
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "seed=%" SCNu64, &seed) == 1 ||
            sscanf(argv[i], "count=%" SCNd64, &count) == 1 ||
            sscanf(argv[i], "storms=%" SCNd64, &storms) == 1)
            continue;
        if (strcmp(argv[i], "trace") == 0) {
            trace = true;
            continue;
        }
        if (strcmp(argv[i], "disk=full") == 0) {
            disk_fills = true;
            continue;
        }
        for (int k = 1; k < MISTAKES; k++)
            if (strncmp(argv[i], "mistake=", 8) == 0 && strcmp(argv[i] + 8, mistakes[k]) == 0)
                mistake = (enum watch_mistake)k;
        if (mistake == MISTAKE_NONE) {
            fprintf(
                stderr,
                "sim: %s is not known; [seed=N] [count=N] [storms=N] [disk=full] [mistake=fence|early|loss|twice|sleep] [trace]\n",
                argv[i]);
            return 2;
        }
    }
    return mistake ? find_mistake(&sim, mistake, seed, count)
                   : simulate(&sim, seed, count, storms, trace, disk_fills);
}

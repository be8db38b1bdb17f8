#include "look.h"

#include "core/lane.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

const char *const watch_lane_names[WATCH_LANES] = {"x/normal",
                                                   "y/normal",
                                                   "x/bulk",
                                                   "x/normal@" WATCH_POOL ".read",
                                                   "default/x/quarantine",
                                                   "default/y/quarantine",
                                                   "default/x/quarantine@" WATCH_POOL ".read"};
#define X(name) #name,
const char *const watch_sight_names[SIGHTS] = {WATCH_SIGHTS(X)};
#undef X

void broken(struct watch *w, const char *format, ...)
{
    char why[WATCH_WHY];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    w->broken(w->ctx, why);
    abort();
}

/* "job_", the number of the job, that of the try. */
enum { ID_NUMBER = 20, ID_TRY = 6 };

void id_of_try(const struct watch *w, int64_t job, int64_t try, char out[ID_TEXT])
{
    snprintf(out, ID_TEXT, "job_%0*" PRId64 "%0*" PRId64, ID_NUMBER,
             w->round * WATCH_JOBS + job + 1, ID_TRY, try);
}

void id_of(const struct watch *w, int64_t job, char out[ID_TEXT])
{
    if (w->seen.jobs[job].id[0])
        memcpy(out, w->seen.jobs[job].id, ID_TEXT);
    else
        id_of_try(w, job, 0, out);
}

static int64_t number_of_made(const struct watch *w, struct span id)
{
    for (int64_t i = 0; i < w->seen.made; i++)
        if (span_is(id, w->seen.jobs[WATCH_JOBS + i].id))
            return WATCH_JOBS + i;
    return WATCH_NOBODY;
}

int64_t number_of(const struct watch *w, struct span id)
{
    int64_t n;
    if (!span_starts(id, SPAN("job_")) ||
        !span_int(span_cut(id, sizeof "job_" - 1, ID_NUMBER), &n))
        return number_of_made(w, id);
    n -= w->round * WATCH_JOBS + 1;
    return n >= 0 && n < WATCH_JOBS ? n : WATCH_NOBODY;
}

int64_t watch_batches(int64_t job)
{
    return 1 + job % 4;
}

struct watch_job *job_of(struct watch *w, int64_t job)
{
    return &w->seen.jobs[job];
}

bool over(enum job_state s)
{
    return job_is_final(s);
}

/* ---- one job as the store shows it, against what was seen ---- */

void look(struct watch *w, int64_t number, int64_t now, struct job_view *v)
{
    char id[ID_TEXT];
    struct fault f = {0};
    id_of(w, number, id);
    arena_reset(w->a);
    err e = store_job(w->s, span_of(id), (wall){now}, w->a, v, &f);
    if (e)
        broken(w, "job %" PRId64 " was accepted and is not there: %s", number, f.words);
}

void same(struct watch *w, int64_t number, const char *what, int64_t seen, int64_t store)
{
    if (seen != store)
        broken(w,
               "%s of job %" PRId64 " is %" PRId64 " in the store, but %" PRId64
               " by what was answered",
               what, number, store, seen);
}

void check_job(struct watch *w, int64_t number, const struct job_view *v)
{
    const struct watch_job *j = job_of(w, number);
    int64_t active = v->state == JOB_ACTIVE, good = v->state == JOB_SUCCEEDED;
    int64_t counted =
        v->n_fail + v->n_crash + v->n_throttle + v->n_release + v->n_ok + v->n_void;
    same(w, number, "the fence", j->fence, v->fence);
    same(w, number, "the number of leases that ended", j->ends + active, v->fence);
    same(w, number, "whether there is a lease", j->nonce != 0, active);
    same(w, number, "the next batch", j->next_batch, v->next_batch);
    same(w, number, "the number of records", j->next_batch * WATCH_BATCH, v->have);
    same(w, number, "the number of good ends", good, v->n_ok);
    same(w, number, "the number of leases as they are counted", v->fence, counted + active);
    if (v->n_void > j->voids)
        broken(w, "%" PRId64 " leases of job %" PRId64 " were void, %" PRId64 " were cancelled",
               v->n_void, number, j->voids);
    same(w, number, "the generation", j->generation, v->generation);
    if (v->n_throttle > w->limits.throttle_max * (1 + j->generation))
        broken(w, "job %" PRId64 " overdrew its throttles: %" PRId64, number, v->n_throttle);
}

/* ---- events: what the store says happened ---- */

void check_rate(struct watch *w, struct watch_rate *r, int64_t burst, int64_t emit_ms,
                const char *of, int64_t now)
{
    if (r->count == WATCH_STARTS)
        memmove(r->starts, r->starts + 1, (size_t)(--r->count) * sizeof r->starts[0]);
    r->starts[r->count++] = now;
    for (int64_t back = burst; emit_ms && back < r->count; back++) {
        int64_t span = now - r->starts[r->count - 1 - back];
        if (span < (back - burst + 1) * emit_ms)
            broken(w, "%s had %" PRId64 " starts within %" PRId64 " ms", of, back + 1, span);
    }
}

static void on_start(struct watch *w, int64_t number, struct span body, int64_t now)
{
    struct watch_job *j = job_of(w, number);
    struct watch_lane *l = &w->seen.lanes[j->lane];
    if (j->state != JOB_READY || j->nonce)
        broken(w, "job %" PRId64 " was started in the state %s", number,
               job_state_name(j->state));
    if (j->cancelled)
        broken(w, "job %" PRId64 " was started after its cancel was answered", number);
    keys_on_start(w, number);
    hands_on_start(w, number);
    batch_on_start(w, number);
    sessions_on_start(w, number, body, now);
    if (now < j->not_before)
        broken(w, "job %" PRId64 " was started %" PRId64 " ms early", number,
               j->not_before - now);
    if (now < l->blocked_until)
        broken(w, "job %" PRId64 " was started %" PRId64 " ms before the site allowed it",
               number, l->blocked_until - now);
    if (now < l->breaker_until)
        broken(w, "job %" PRId64 " was started %" PRId64 " ms before the breaker let it",
               number, l->breaker_until - now);
    if (l->breaker_until) /* half open from here on, whatever the clock is set to; it is not closed yet */
        l->breaker_until = 1;
    int64_t most = j->lane < WATCH_ASKED ? w->limits.lane_max_active : 1;
    if (++l->active > most)
        broken(w, "lane %s has %" PRId64 " active jobs", watch_lane_names[j->lane], l->active);
    if (l->breaker_until && l->active > 1)
        broken(w, "lane %s was tried by more than one job while its breaker was open",
               watch_lane_names[j->lane]);
    w->sights[SIGHT_full_lanes] += l->active == most;
    check_rate(w, &l->rate, w->limits.lane_burst, w->limits.lane_emit_ms,
               watch_lane_names[j->lane], now);
    if (l->percent)
        check_rate(w, &l->paced, w->limits.lane_burst,
                   (w->limits.lane_emit_ms * 100 + l->percent - 1) / l->percent,
                   watch_lane_names[j->lane], now);
    fair_on_start(w, number, now);
    j->fence++;
    j->state = JOB_ACTIVE;
    j->progressed = false;
    j->lapses_ms = now + w->limits.lease_ms;
    w->sights[SIGHT_starts]++;
}

/* `"state":"…"` is the first member of every event's body. */
static enum job_state state_in(struct watch *w, struct span body)
{
    enum job_state s = JOB_STATES;
    struct span rest = span_cut(body, sizeof "{\"state\":\"" - 1, SIZE_MAX);
    if (!job_state_parse(span_cut(rest, 0, span_find_char(rest, '"')), &s))
        broken(w, "an event without a state: %.*s", (int)body.n, body.p);
    return s;
}

struct span text_in(struct span body, const char *name)
{
    char start[32];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    size_t at = span_find(body, span_of(start));
    if (at >= body.n)
        return SPAN_NONE;
    struct span rest = span_cut(body, at + strlen(start), SIZE_MAX);
    return span_cut(rest, 0, span_find_char(rest, '"'));
}

int64_t number_in(struct span body, const char *name)
{
    char start[32];
    int64_t n = 0;
    snprintf(start, sizeof start, "\"%s\":", name);
    size_t at = span_find(body, span_of(start));
    struct span rest = span_cut(body, at + strlen(start), SIZE_MAX);
    size_t end = 0;
    while (end < rest.n && rest.p[end] >= '0' && rest.p[end] <= '9')
        end++;
    return at < body.n && span_int(span_cut(rest, 0, end), &n) ? n : 0;
}

/* A lease ended: how, the store says; whether it may, is for us to say. */
static void on_left(struct watch *w, int64_t number, struct span body, int64_t now)
{
    enum job_state to = state_in(w, body);
    struct watch_job *j = job_of(w, number);
    if (over(j->state))
        broken(w, "job %" PRId64 " was %s and became %s", number, job_state_name(j->state),
               job_state_name(to));
    if (j->state == JOB_ACTIVE) {
        w->seen.lanes[j->lane].active--;
        sessions_on_end(w, number);
        j->ends++;
        j->voids += to == JOB_CANCELLED;
        w->sights[SIGHT_overdue] +=
            to == JOB_CANCELLED && j->stop_by_ms && now >= j->stop_by_ms;
        j->last_nonce = j->nonce;
        j->nonce = 0;
    } else if (to == JOB_SUCCEEDED) {
        keys_on_answer(w, number, body, now);
    } else if (to != JOB_CANCELLED && to != JOB_EXPIRED) {
        broken(w, "job %" PRId64 " became %s without a lease", number, job_state_name(to));
    }
    /* Ready and scheduled are one here: which of them is a matter of time. */
    j->state = to == JOB_SCHEDULED ? JOB_READY : to;
    j->not_before = 0;
    j->finished_ms = now;
    j->stop_by_ms = 0;
    for (int64_t i = 0; over(j->state) && i < WATCH_ALL; i++)
        if (w->seen.jobs[i].exists && w->seen.jobs[i].after == number)
            w->seen.jobs[i].after = WATCH_NOBODY;
    j->successes += to == JOB_SUCCEEDED;
    w->sights[SIGHT_successes] += to == JOB_SUCCEEDED;
    w->sights[SIGHT_deaths] += to == JOB_DEAD;
    w->sights[SIGHT_cancels] += to == JOB_CANCELLED;
    if (j->successes > 1)
        broken(w, "job %" PRId64 " succeeded twice", number);
}

static bool leaves(struct span kind)
{
    static const char *const kinds[] = {"job.finished", "job.cancelled", "job.dead",
                                        "job.released", "job.throttled", "job.retrying",
                                        "job.expired"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (span_is(kind, kinds[i]))
            return true;
    return false;
}

/* The store made it by itself. */
static int64_t make_room_for(struct watch *w, struct span id)
{
    if (w->seen.made == WATCH_MADE)
        broken(w, "the store made more jobs than it was asked for");
    int64_t number = WATCH_JOBS + w->seen.made++;
    if (w->firing)
        schedules_on_made(w, id);
    w->orders[number] = (struct watch_order){.lane = WATCH_CALLED, .work = WATCH_NOBODY};
    return number;
}

/* It uses more or less of its rate from now on. */
static void on_pace(struct watch *w, struct span body)
{
    struct span name = text_in(body, "lane");
    int64_t lane = 0, percent = number_in(body, "percent");
    while (lane < WATCH_LANES && !span_is(name, watch_lane_names[lane]))
        lane++;
    if (lane == WATCH_LANES || percent < w->limits.pace.least || percent > 100)
        broken(w, "lane %.*s uses %" PRId64 " %% of its rate", (int)name.n, name.p, percent);
    struct watch_lane *l = &w->seen.lanes[lane];
    w->sights[percent < (l->percent ? l->percent : 100) ? SIGHT_slowed : SIGHT_quickened]++;
    l->percent = percent == 100 ? 0 : percent;
    l->paced.count = 0;
}

static void on_event(struct watch *w, const struct event_view *v, int64_t now)
{
    int64_t number = number_of(w, v->job);
    if (v->seq != w->seen.last_event + 1)
        broken(w, "event %" PRId64 " follows %" PRId64, v->seq, w->seen.last_event);
    w->seen.last_event = v->seq;
    if (span_is(v->kind, "lane.paced"))
        on_pace(w, v->body);
    if (batch_takes(w, v))
        return;
    if (number < 0 && span_is(v->kind, "job.accepted"))
        number = make_room_for(w, v->job);
    if (number < 0)
        return;
    struct watch_job *j = job_of(w, number);
    j->events++;
    if (span_is(v->kind, "job.accepted")) {
        if (j->exists)
            broken(w, "job %" PRId64 " was accepted twice", number);
        span_copy(v->job, j->id, sizeof j->id);
        j->exists = true;
        j->accepted_ms = now;
        j->state = JOB_READY;
        j->after = j->from = WATCH_NOBODY;
        j->lane = w->orders[number].lane;
    } else if (span_is(v->kind, "job.started")) {
        on_start(w, number, v->body, now);
    } else if (span_is(v->kind, "job.stopping")) {
        hands_on_stopping(w, number, v->body, now);
    } else if (span_is(v->kind, "job.replayed")) {
        hands_on_replay(w, number, now);
    } else if (leaves(v->kind)) {
        on_left(w, number, v->body, now);
    }
}

/* Reads what the last operation said; then the jobs that it touched have to agree. */
void hear(struct watch *w, int64_t now)
{
    int64_t touched[256];
    for (;;) {
        struct event_view *events;
        struct fault f = {0};
        size_t count, jobs = 0;
        arena_reset(w->a);
        err e =
            store_events(w->s, w->seen.last_event, SPAN_NONE, 256, w->a, &events, &count, &f);
        if (e)
            broken(w, "the events cannot be read: %s", f.words);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            on_event(w, &events[i], now);
            touched[jobs] = number_of(w, events[i].job);
            jobs += touched[jobs] >= 0;
        }
        for (size_t i = 0; i < jobs; i++) {
            struct job_view v;
            if (w->seen.jobs[touched[i]].state == JOB_ACTIVE)
                continue; /* after its nonce or batch is known */
            look(w, touched[i], now, &v);
            check_job(w, touched[i], &v);
        }
    }
}

/* ---- opening ---- */

static void attach(struct watch *w, int64_t now)
{
    struct fault f = {0};
    err e = store_open(&w->s, w->dir, &w->limits, w->store_seed, (wall){now}, &f);
    if (e)
        broken(w, "the store does not open: %s", f.words);
}

void watch_open(struct watch *w, int64_t now)
{
    struct fault f = {0};
    refused_watch();
    disk_after_reap(); /* that of a storm before */
    attach(w, now);
    if (store_begin(w->s, &f))
        broken(w, "no group: %s", f.words);
    sessions_open(w, now);
    fair_open(w, now);
    hooks_open(w, now);
    if (store_commit(w->s, &f))
        broken(w, "the sessions were not written: %s", f.words);
    w->saved = w->seen;
    watch_audit(w, now, false);
    watch_ahead(w, now);
}

void watch_close(struct watch *w)
{
    if (w->in_group) /* a broken promise ended the run */
        (void)!store_commit(w->s, &(struct fault){0});
    store_close(&w->s);
}

/* ---- what lies on the disk ---- */

static void copy_file(struct watch *w, const char *from_name, const char *to_name)
{
    static char bytes[1 << 18];
    char from[160], to[160];
    snprintf(from, sizeof from, "%s/%s", w->dir, from_name);
    snprintf(to, sizeof to, "%s/%s", w->dir, to_name);
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    if (!in || !out)
        broken(w, "%s cannot be copied to %s", from, to);
    setvbuf(in, NULL, _IONBF, 0);
    setvbuf(out, NULL, _IONBF, 0);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        if (fwrite(bytes, 1, n, out) != n)
            broken(w, "%s cannot be written", to);
    fclose(in);
    if (fclose(out))
        broken(w, "%s cannot be written", to);
}

/* The files as they are between two groups, when all that was acknowledged is in them. */
static void keep_disk(struct watch *w)
{
    copy_file(w, "fulmar.db", "kept");
    copy_file(w, "fulmar.db-wal", "kept-wal");
    w->kept = true;
}

static void bring_back_disk(struct watch *w)
{
    char path[160];
    snprintf(path, sizeof path, "%s/fulmar.db-shm", w->dir);
    (void)unlink(path);
    copy_file(w, "kept", "fulmar.db");
    copy_file(w, "kept-wal", "fulmar.db-wal");
    w->kept = false;
}

/* The group is not on the disk, whatever the process believed. */
static void lose_group(struct watch *w)
{
    struct fault f = {0};
    w->in_group = false;
    err e = store_commit(w->s, &f);
    if (e && !disk_refuses(e))
        broken(w, "the group was not written: %s", f.words);
    store_close(&w->s);
    bring_back_disk(w);
}

void watch_power(struct watch *w, int64_t now)
{
    if (w->kept)
        lose_group(w);
    else
        store_close(&w->s);
    w->sights[SIGHT_lost_groups] += w->saved.last_event != w->seen.last_event;
    w->sights[SIGHT_restarts]++;
    w->seen = w->saved;
    attach(w, now);
    hear(w, now); /* what ran is given back */
    watch_audit(w, now, false);
    w->saved = w->seen;
    watch_ahead(w, now);
}

/* ---- groups ---- */

/* Nothing becomes startable but by an operation or at an announced instant. */
static void check_announced(struct watch *w, int64_t now)
{
    struct outlook o;
    struct fault f = {0};
    if (now >= w->seen.next_ms)
        return;
    if (store_outlook(w->s, (wall){now}, &o, &f))
        broken(w, "no outlook: %s", f.words);
    if (o.startable > w->seen.startable)
        broken(w,
               "%" PRId64 " jobs can start, %" PRId64
               " were announced, the next instant only in %" PRId64 " ms",
               o.startable, w->seen.startable, w->seen.next_ms - now);
}

void watch_begin(struct watch *w, int64_t now, bool to_be_lost)
{
    struct fault f = {0};
    check_announced(w, now);
    w->saved = w->seen;
    if (to_be_lost || (w->mistake == MISTAKE_LOSS && w->seen.last_event > 50))
        keep_disk(w);
    if (store_begin(w->s, &f))
        broken(w, "no group: %s", f.words);
    w->in_group = true;
}

err watch_commit(struct watch *w, int64_t now)
{
    struct fault f = {0};
    w->in_group = false;
    if (w->mistake == MISTAKE_LOSS && w->kept && w->saved.last_event < w->seen.last_event) {
        lose_group(w);
        attach(w, now);
        hear(w, now);
        watch_audit(w, now, false);
        w->saved = w->seen;
        return E_OK;
    }
    err e = store_commit(w->s, &f);
    if (e && !disk_refuses(e))
        broken(w, "the group was not written: %s", f.words);
    w->sights[SIGHT_full_disks] += e != E_OK;
    if (e)
        w->seen = w->saved;
    w->saved = w->seen;
    return e;
}

int64_t watch_ahead(struct watch *w, int64_t now)
{
    struct outlook o;
    struct fault f = {0};
    if (store_outlook(w->s, (wall){now}, &o, &f))
        broken(w, "no outlook: %s", f.words);
    w->seen.startable = o.startable;
    w->seen.next_ms = w->mistake == MISTAKE_SLEEP ? INT64_MAX : o.next_ms;
    return o.next_ms;
}

void watch_clock(struct watch *w, int64_t before)
{
    w->clock_was_set = true;
    for (int i = 0; i < WATCH_LANES; i++)
        w->seen.lanes[i].rate.count = w->seen.lanes[i].paced.count = 0;
    w->seen.site.count = w->seen.tenant.count = 0;
    for (int i = 0; i < WATCH_SESSIONS; i++)
        if (w->seen.sessions[i].rests_until <= before)
            w->seen.sessions[i].rests_until = 0;
    for (int i = 0; i < WATCH_ALL; i++)
        if (w->seen.jobs[i].not_before <= before)
            w->seen.jobs[i].not_before = 0;
}

/* ---- operations ---- */

/* A job leaves its lane for one reason only. */
static void note_lane(struct watch *w, struct watch_job *j, const struct lease *l)
{
    bool moved = !span_is(l->lane, watch_lane_names[j->lane]);
    if (moved)
        j->lane = sessions_needed(j->lane)              ? WATCH_SESSIONED_ALONE
                  : watch_lane_names[j->lane][0] == 'x' ? WATCH_ASKED
                                                        : WATCH_ASKED + 1;
    if (!span_is(l->lane, watch_lane_names[j->lane]) ||
        l->quarantine != (j->lane >= WATCH_ASKED))
        broken(w, "job %s was leased in lane %.*s", l->id, SP(l->lane));
    w->sights[SIGHT_quarantined] += moved;
}

/* It fits what the node had for it; who asked for one job alone has that. */
static void check_memory(struct watch *w, int64_t number, const struct ask *memory,
                         const struct lease *l)
{
    int64_t takes = w->orders[number].memory_bytes;
    if ((memory->memory_bytes != STORE_MEMORY_ANY && takes > memory->memory_bytes) ||
        takes < memory->memory_least)
        broken(w,
               "job %" PRId64 " takes %" PRId64 " bytes, the node had %" PRId64
               " and wanted one of %" PRId64,
               number, takes, memory->memory_bytes, memory->memory_least);
    if (l->passed_bytes && (!memory->room_after_ms || l->passed_ms < memory->room_after_ms ||
                            l->passed_bytes <= memory->memory_bytes))
        broken(w, "a job of %" PRId64 " bytes is said to be passed over for %" PRId64 " ms",
               l->passed_bytes, l->passed_ms);
    w->sights[SIGHT_sized] += takes > 0;
    w->sights[SIGHT_passed_over] += l->passed_bytes > 0;
    w->sights[SIGHT_alone] += memory->memory_least > 0;
}

err watch_reserve(struct watch *w, uint64_t random, const struct ask *memory, int64_t now,
                  struct watch_lease *out)
{
    struct lease l;
    struct outlook o;
    struct fault f = {0};
    int64_t at = now + (w->mistake == MISTAKE_EARLY ? 60000 : 0);
    struct arena *a = w->a;
    if (store_outlook(w->s, (wall){at}, &o, &f))
        broken(w, "no outlook: %s", f.words);
    arena_reset(a);
    err e = store_reserve(w->s,
                          &(struct reserve_args){.worker = SPAN("node"),
                                                 .random = random,
                                                 .needs = NEEDS_PAGE,
                                                 .memory_bytes = memory->memory_bytes,
                                                 .memory_least = memory->memory_least,
                                                 .room_after_ms = memory->room_after_ms},
                          (wall){at}, a, &l, &f);
    if (e != E_OK && e != E_END)
        broken(w, "reserve: %s", f.words);
    bool any = memory->memory_bytes == STORE_MEMORY_ANY && !memory->memory_least;
    if (any && e == E_END && o.startable && store_outlook(w->s, (wall){at}, &o, &f))
        broken(w, "no outlook: %s",
               f.words); /* a lane whose sessions all rest is known as such now */
    if ((e == E_OK && !o.startable) || (any && e == E_END && o.startable))
        broken(w, "%" PRId64 " jobs are said to be startable, reserve %s", o.startable,
               e ? "has none" : "has one");
    if (e)
        return e;
    int64_t number = number_of(w, span_of(l.id)), fence = l.fence, batch = l.next_batch;
    uint64_t nonce = l.nonce;
    struct watch_job *j = job_of(w, number);
    note_lane(w, j, &l);
    check_memory(w, number, memory, &l);
    w->alone = memory->memory_least > 0;
    hear(w, now);
    w->alone = false;
    if (j->state != JOB_ACTIVE)
        broken(w, "job %" PRId64 " was leased without a word", number);
    j->nonce = nonce;
    same(w, number, "the fence of the lease", j->fence, fence);
    same(w, number, "the batch of the lease", j->next_batch, batch);
    *out = (struct watch_lease){number, batch, nonce, l.passed_ms, l.passed_bytes};
    return E_OK;
}

/* An answer to a lease that is not in force has to be E_STALE; mistakes are made here. */
static uint64_t nonce_of(const struct watch *w, int64_t job, uint64_t nonce)
{
    const struct watch_job *j = &w->seen.jobs[job];
    return w->mistake == MISTAKE_FENCE && j->nonce ? j->nonce : nonce;
}

static void check_answer(struct watch *w, int64_t job, uint64_t nonce, err e, const char *call,
                         const struct fault *f)
{
    const struct watch_job *j = job_of(w, job);
    bool current = j->nonce && j->nonce == nonce;
    w->sights[SIGHT_stale] += !current;
    if (current && e)
        broken(w, "%s of job %" PRId64 " under its lease: %s", call, job, f->words);
    if (!current && e != E_STALE)
        broken(w, "%s of job %" PRId64 " under an old lease was answered %s", call, job,
               err_text(e));
}

err watch_started(struct watch *w, int64_t job, uint64_t nonce, int64_t now)
{
    char id[ID_TEXT];
    struct fault f = {0};
    id_of(w, job, id);
    err e = store_started(w->s, span_of(id), nonce_of(w, job, nonce), &f);
    check_answer(w, job, nonce, e, "the start", &f);
    hear(w, now);
    return e;
}

err watch_heartbeat(struct watch *w, int64_t job, uint64_t nonce, int64_t now, bool *out_cancel)
{
    char id[ID_TEXT];
    struct fault f = {0};
    struct heartbeat_reply reply = {0};
    struct watch_job *j = job_of(w, job);
    id_of(w, job, id);
    err e =
        store_heartbeat(w->s, span_of(id), nonce_of(w, job, nonce), (wall){now}, &reply, &f);
    check_answer(w, job, nonce, e, "a heartbeat", &f);
    hear(w, now);
    if (e)
        return e;
    w->sights[SIGHT_late_renewals] += now > j->lapses_ms;
    j->lapses_ms = now + w->limits.lease_ms;
    *out_cancel = reply.cancel;
    return e;
}

static void item_id(int64_t job, int64_t ord, char out[40])
{
    snprintf(out, 40, "%" PRId64 "-%" PRId64, job, ord);
}

err watch_records(struct watch *w, int64_t job, uint64_t nonce, int64_t batch, int64_t now)
{
    char id[ID_TEXT], ids[WATCH_BATCH][40];
    struct fault f = {0};
    struct commit_reply reply = {0};
    struct watch_job *j = job_of(w, job);
    struct store_item items[WATCH_BATCH];
    int64_t as = w->mistake == MISTAKE_TWICE && j->nonce == nonce && batch < j->next_batch
                     ? j->next_batch
                     : batch;
    id_of(w, job, id);
    for (int i = 0; i < WATCH_BATCH; i++) {
        item_id(job, as * WATCH_BATCH + i, ids[i]);
        items[i] = (struct store_item){ITEM_POST, span_of(ids[i]), now, SPAN("{}")};
    }
    struct commit_args args = {.id = span_of(id),
                               .nonce = nonce_of(w, job, nonce),
                               .batch = as,
                               .items = items,
                               .count = WATCH_BATCH};
    err e = store_commit_batch(w->s, &args, (wall){now}, &reply, &f);
    if (disk_refuses(e) && j->nonce == nonce)
        return e;
    /* One that is older than the last is not even looked at. */
    if (batch >= j->next_batch - 1 || j->nonce != nonce)
        check_answer(w, job, nonce, e, "a batch", &f);
    if (!e && batch == j->next_batch) {
        if (reply.duplicate || reply.added != WATCH_BATCH)
            broken(w, "batch %" PRId64 " of job %" PRId64 " added %" PRId64 " records", batch,
                   job, reply.added);
        j->next_batch++;
        j->progressed = true;
    } else if (!e && !reply.duplicate) {
        broken(w, "batch %" PRId64 " of job %" PRId64 " was taken again", batch, job);
    }
    w->sights[SIGHT_duplicates] += reply.duplicate;
    hear(w, now);
    if (!e) {
        struct job_view v;
        look(w, job, now, &v);
        check_job(w, job, &v);
    }
    return e;
}

/* What the ending means for the lane and for the next start. */
static void note_finish(struct watch *w, int64_t job, struct watch_ending e,
                        const struct finish_reply *r, int64_t now)
{
    struct watch_job *j = job_of(w, job);
    struct watch_lane *l = &w->seen.lanes[j->lane];
    const struct failure_row *row = failure_row(e.failure);
    enum failure_budget budget = e.budget ? e.budget : row->budget;
    if (r->state == JOB_SCHEDULED)
        j->not_before = now + r->retry_in_ms;
    bool login = sessions_needed(j->lane);
    if (login)
        sessions_on_finish(w, job, e, now);
    if (r->state == JOB_SCHEDULED && r->retry_in_ms < e.wait_ms && !login)
        broken(w, "job %" PRId64 " is tried again in %" PRId64 " ms, the site said %" PRId64,
               job, r->retry_in_ms, e.wait_ms);
    if (budget == BUDGET_THROTTLE && e.wait_ms && !login && now + e.wait_ms > l->blocked_until)
        l->blocked_until = now + e.wait_ms;
    w->sights[SIGHT_throttled] += budget == BUDGET_THROTTLE;
    bool verdict = budget != BUDGET_RELEASE && budget != BUDGET_CRASH;
    if (verdict && (e.failure == FAILURE_NONE || row->about_target || j->progressed))
        l->breaker_until = 0;
    if (r->breaker_until_ms) {
        l->breaker_until = r->breaker_until_ms;
        w->sights[SIGHT_breakers]++;
    }
}

err watch_finish(struct watch *w, int64_t job, uint64_t nonce, struct watch_ending e,
                 int64_t now)
{
    char id[ID_TEXT];
    struct fault f = {0};
    struct finish_reply reply = {0};
    struct watch_job *j = job_of(w, job);
    bool current = j->nonce && j->nonce == nonce;
    bool again = !j->nonce && j->last_nonce == nonce;
    id_of(w, job, id);
    struct finish_args args = {.id = span_of(id),
                               .nonce = nonce_of(w, job, nonce),
                               .failure = e.failure,
                               .verdict = e.failure ? VERDICT_NONE : VERDICT_COMPLETE,
                               .budget = e.budget,
                               .wait_ms = e.wait_ms,
                               .why = SPAN("simulated")};
    err answer = store_finish(w->s, &args, (wall){now}, &reply, &f);
    /* The same ending once more may be answered like the first time. */
    if (current || !(again && answer == E_OK))
        check_answer(w, job, nonce, answer, "the ending", &f);
    hear(w, now);
    if (current && j->nonce)
        broken(w, "job %" PRId64 " ended and kept its lease", job);
    if (current)
        note_finish(w, job, e, &reply, now);
    return answer;
}

void watch_tend(struct watch *w, int64_t now)
{
    struct fault f = {0};
    struct reap_reply reply;
    err e = store_reap(w->s, (wall){now}, &reply, &f);
    if (e)
        broken(w, "reap: %s", f.words);
    w->sights[SIGHT_reaped] += reply.reaped;
    w->sights[SIGHT_suspected] += reply.suspected;
    disk_after_reap();
    hear(w, now);
    hands_after_reap(w, now);
    batch_tend(w, now);
}

/* ---- everything once more ---- */

static void audit_records(struct watch *w, int64_t number)
{
    char id[ID_TEXT], want[40];
    struct fault f = {0};
    struct item_view *items;
    size_t count;
    int64_t from = job_of(w, number)->from, owner = from == WATCH_NOBODY ? number : from;
    id_of(w, number, id);
    arena_reset(w->a);
    err e = store_items(w->s, span_of(id), -1, -1, 500, 1 << 20, w->a, &items, &count, &f);
    if (e && e != E_END)
        broken(w, "the records of job %" PRId64 ": %s", number, f.words);
    same(w, number, "the number of records in pages",
         job_of(w, number)->next_batch * WATCH_BATCH, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        item_id(owner, (int64_t)i, want);
        if (!span_is(items[i].id, want))
            broken(w, "record %zu of job %" PRId64 " is %.*s", i, number, SP(items[i].id));
    }
}

void watch_audit(struct watch *w, int64_t now, bool all_over)
{
    int64_t active[WATCH_LANES] = {0}, exist = 0, counted = 0;
    struct outlook o;
    struct fault f = {0};
    for (int64_t i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = job_of(w, i);
        struct job_view v;
        if (j->acknowledged && !j->exists)
            broken(w, "job %" PRId64 " was acknowledged and never stored", i);
        if (!j->exists)
            continue;
        exist++;
        look(w, i, now, &v);
        check_job(w, i, &v);
        active[j->lane] += v.state == JOB_ACTIVE;
        if (all_over && !over(v.state))
            broken(w, "job %" PRId64 " never ended: %s, attempt %" PRId64, i,
                   job_state_name(v.state), v.fence);
        if (v.state == JOB_SUCCEEDED)
            same(w, i, "the number of batches of a good end",
                 watch_batches(j->from == WATCH_NOBODY ? i : j->from), v.next_batch);
        audit_records(w, i);
    }
    keys_audit(w);
    batch_audit(w, all_over);
    sessions_audit(w, now);
    hooks_audit(w, all_over);
    for (int64_t i = 0; i < WATCH_LANES; i++)
        if (active[i] != w->seen.lanes[i].active)
            broken(w, "lane %s has %" PRId64 " active jobs, not %" PRId64, watch_lane_names[i],
                   active[i], w->seen.lanes[i].active);
    if (store_outlook(w->s, (wall){now}, &o, &f))
        broken(w, "no outlook: %s", f.words);
    for (int i = 0; i < JOB_STATES; i++)
        counted += o.by_state[i];
    if (counted != exist)
        broken(w, "%" PRId64 " jobs are counted, there are %" PRId64, counted, exist);
}

void watch_clear(struct watch *w, int64_t now)
{
    struct fault f = {0};
    struct outlook o;
    struct retain_args args = {.age_ms = 1, .dead_age_ms = 1};
    struct retain_reply r = {.more = true};
    int64_t deleted = 0;
    /* What others have the result of goes behind those. */
    for (int i = 0; (r.more || deleted) && i < 10000; i++) {
        bool more;
        if (store_begin(w->s, &f) || store_retain(w->s, &args, (wall){now + 2}, &r, &f) ||
            store_retain_batches(w->s, (wall){now + 2}, &more, &f) || store_commit(w->s, &f))
            broken(w, "retention: %s", f.words);
        deleted = 0;
        for (int k = 0; k < RETAIN_LIMITS; k++)
            deleted += r.deleted[k];
    }
    if (r.more || deleted || store_outlook(w->s, (wall){now}, &o, &f))
        broken(w, "retention comes to no end");
    for (int i = 0; i < JOB_STATES; i++)
        if (o.by_state[i])
            broken(w, "%" PRId64 " jobs are left that are %s", o.by_state[i],
                   job_state_name((enum job_state)i));
}

void watch_next_round(struct watch *w, int64_t now)
{
    w->round++;
    memset(w->seen.jobs, 0, sizeof w->seen.jobs);
    memset(w->seen.batches, 0, sizeof w->seen.batches);
    memset(w->told, 0, sizeof w->told);
    w->seen.operation = (struct watch_operation){.running = false};
    memset(w->seen.schedules, 0, sizeof w->seen.schedules);
    w->seen.made = w->seen.slots = 0;
    w->clock_was_set = false;
    hear(w, now); /* of what was deleted */
    w->saved = w->seen;
    watch_ahead(w, now);
}

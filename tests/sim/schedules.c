/* schedules.c - any number of nodes fire; each slot has one job at most, and what was passed over is counted. */
#include "look.h"

#include "os/zone.h"

#include <inttypes.h>
#include <stdio.h>

static void id_of_schedule(const struct watch *w, int64_t schedule, char out[ID_TEXT])
{
    snprintf(out, ID_TEXT, "sch_%026" PRId64, w->round * WATCH_SCHEDULES + schedule + 1);
}

static struct schedule_view view_of(struct watch *w, int64_t schedule)
{
    char id[ID_TEXT];
    struct schedule_view v;
    struct fault f = {0};
    id_of_schedule(w, schedule, id);
    arena_reset(w->a);
    if (store_schedule(w->s, SPAN("default"), span_of(id), w->a, &v, &f))
        broken(w, "schedule %" PRId64 " is not there: %s", schedule, f.words);
    return v;
}

static void put_one(struct watch *w, int64_t schedule, struct schedule_terms terms, int64_t now)
{
    char id[ID_TEXT], name[32];
    struct schedule_view v;
    struct fault f = {0};
    wall next = {0};
    id_of_schedule(w, schedule, id);
    snprintf(name, sizeof name, "schedule-%" PRId64 "-%" PRId64, w->round, schedule);
    if (terms.cron.n && (cron_parse(terms.cron, &terms.rule.cron, &f) ||
                         schedule_next(&terms.rule, &w->zone, (wall){now}, &next)))
        broken(w, "a schedule has no slot: %s", f.words);
    struct schedule_put p = {.id = span_of(id),
                             .tenant = SPAN("default"),
                             .name = span_of(name),
                             .terms = terms,
                             .job = {.site = SPAN("x"),
                                     .kind = SPAN("posts"),
                                     .target = SPAN("again-and-again"),
                                     .lane = span_of(watch_lane_names[WATCH_CALLED]),
                                     .spec = SPAN("{}")},
                             .job_text = SPAN("{}"),
                             .create = true,
                             .revision = -1,
                             .slot_now = {now},
                             .next_ms = next.ms};
    arena_reset(w->a);
    if (store_schedule_put(w->s, &p, (wall){now}, w->a, &v, &f))
        broken(w, "schedule %" PRId64 " was refused: %s", schedule, f.words);
    w->seen.schedules[schedule] = (struct watch_schedule){.exists = true};
}

/* By the wall, where the last slot stands for those that were passed over; and by elapsed time, where some are made up for. */
void watch_schedules_put(struct watch *w, int64_t now)
{
    enum { MINUTE = 60 * 1000 };
    struct fault f = {0};
    if (zone_load(SPAN("UTC"), &w->zone, &f))
        broken(w, "no time zone: %s", f.words);
    put_one(w, 0,
            (struct schedule_terms){.cron = SPAN("*/2 * * * *"),
                                    .zone = SPAN("UTC"),
                                    .rule = {.kind = SCHEDULE_CRON,
                                             .missed = SCHEDULE_ONCE,
                                             .overlap = SCHEDULE_OVERLAP_ALLOW,
                                             .grace_ms = MINUTE}},
            now);
    put_one(w, 1,
            (struct schedule_terms){.rule = {.kind = SCHEDULE_INTERVAL,
                                             .interval_ms = 3 * MINUTE / 2,
                                             .missed = SCHEDULE_CATCH_UP,
                                             .catch_up_ms = 10 * MINUTE,
                                             .catch_up_max = 4,
                                             .overlap = SCHEDULE_OVERLAP_ALLOW,
                                             .grace_ms = MINUTE}},
            now);
    hear(w, now);
}

/* ---- firing ---- */

void schedules_on_made(struct watch *w, struct span id)
{
    int64_t schedule = w->firing - 1;
    char of[ID_TEXT], want[ID_TEXT];
    id_of_schedule(w, schedule, of);
    for (size_t i = 0; i < w->slot_count; i++) {
        schedule_slot_id(want, span_of(of), w->slots[i]);
        if (!span_is(id, want))
            continue;
        w->seen.schedules[schedule].runs++;
        w->seen.slots++;
        return;
    }
    broken(w, "schedule %" PRId64 " made job %.*s, which is none of its slots", schedule,
           SP(id));
}

size_t watch_due(struct watch *w, int64_t now, struct watch_due out[WATCH_SCHEDULES])
{
    struct schedules_due due;
    struct fault f = {0};
    size_t n = 0;
    arena_reset(w->a);
    if (store_schedules_due(w->s, (wall){now}, (wall){now}, true, w->a, &due, &f))
        broken(w, "no schedules: %s", f.words);
    for (size_t i = 0; i < due.count; i++)
        for (int64_t k = 0; k < WATCH_SCHEDULES; k++) {
            char id[ID_TEXT];
            id_of_schedule(w, k, id);
            if (strcmp(id, due.due[i].id) == 0 && n < WATCH_SCHEDULES)
                out[n++] = (struct watch_due){k, due.due[i].revision, due.due[i].last.ms, now};
        }
    hear(w, now);
    return n;
}

err watch_fire(struct watch *w, const struct watch_due *due, int64_t now)
{
    struct schedule_settled x;
    struct schedule_fired fired = {.stale = false};
    struct fault f = {0};
    char id[ID_TEXT];
    struct watch_schedule *k = &w->seen.schedules[due->schedule];
    if (!k->exists)
        return E_NOT_FOUND;
    struct schedule_view v = view_of(w, due->schedule);
    bool stale = v.last.ms != due->last_ms || v.revision != due->revision;
    int64_t before = k->runs;
    id_of_schedule(w, due->schedule, id);
    schedule_settle(&v.terms.rule, &w->zone, span_of(id), (wall){due->last_ms},
                    (wall){due->at_ms}, &x);
    struct schedule_fire fire = {.id = span_of(id),
                                 .revision = due->revision,
                                 .last = {due->last_ms},
                                 .slots = x.slots,
                                 .count = x.count,
                                 .missed = x.missed,
                                 .settled = x.settled,
                                 .next_ms = x.next_ms};
    memcpy(w->slots, x.slots, sizeof w->slots);
    w->slot_count = x.count;
    w->firing = due->schedule + 1;
    arena_reset(w->a);
    err e = store_schedule_fire(w->s, &fire, (wall){now}, w->a, &fired, &f);
    hear(w, now);
    w->firing = 0;
    if (e && !keys_is_later(w, WATCH_CALLED, e))
        broken(w, "schedule %" PRId64 " was not fired: %s", due->schedule, f.words);
    if (!e && (fired.stale != stale || (stale && k->runs != before)))
        broken(w,
               "schedule %" PRId64 " was fired by somebody who had seen it at %" PRId64
               ", it was at %" PRId64,
               due->schedule, due->last_ms, v.last.ms);
    if (!e && fired.made != k->runs - before)
        broken(w, "schedule %" PRId64 " says that it made %" PRId64 " jobs, and made %" PRId64,
               due->schedule, fired.made, k->runs - before);
    w->sights[SIGHT_fired] += k->runs - before;
    w->sights[SIGHT_fired_late] += stale;
    return e;
}

/* ---- all of it ---- */

/* Slots that a schedule has behind it, the one of the instant at which it was made among them. */
static int64_t passed(struct watch *w, const struct schedule_view *v)
{
    int64_t n = 0;
    wall at = {v->created_ms - 1};
    while (schedule_next(&v->terms.rule, &w->zone, at, &at) == E_OK && at.ms <= v->last.ms)
        n++;
    return n;
}

void watch_schedules_end(struct watch *w, int64_t now)
{
    for (int64_t i = 0; i < WATCH_SCHEDULES; i++) {
        char id[ID_TEXT];
        struct fault f = {0};
        struct watch_schedule *k = &w->seen.schedules[i];
        struct schedule_view v = view_of(w, i);
        same(w, i, "the number of runs of the schedule", k->runs, v.fired);
        int64_t settled = v.fired + v.skipped + v.missed;
        if (!w->clock_was_set && settled != passed(w, &v))
            broken(w,
                   "schedule %" PRId64 " has passed %" PRId64 " slots, and counts %" PRId64
                   " (%" PRId64 " runs, %" PRId64 " left out)",
                   i, passed(w, &v), settled, v.fired, v.skipped + v.missed);
        id_of_schedule(w, i, id);
        struct schedule_ask gone = {
            .tenant = SPAN("default"), .id = span_of(id), .revision = -1};
        if (store_schedule_delete(w->s, &gone, &f))
            broken(w, "schedule %" PRId64 " was not deleted: %s", i, f.words);
        k->exists = false;
    }
    hear(w, now);
}

#include "store/timetable.h"

#include "store/ticket.h"

/* ---- what people change ---- */

err timetable_asked(const struct schedule_put *p, struct fault *f)
{
    if (p->name.n == 0 || p->name.n > SCHEDULE_NAME_MAX || p->job_text.n > SCHEDULE_JOB_MAX)
        return fail(f, E_BAD_INPUT,
                    "the name of a schedule has 1 to %d characters, its job %d bytes at most",
                    SCHEDULE_NAME_MAX, SCHEDULE_JOB_MAX);
    return E_OK;
}

err timetable_revision(const struct schedule_view *v, int64_t seen, struct fault *f)
{
    if (seen < 0 || seen == v->revision)
        return E_OK;
    return fail(f, E_STALE,
                "the schedule was changed meanwhile: it is at revision %lld, not %lld",
                (long long)v->revision, (long long)seen);
}

err timetable_none(struct span id, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no schedule %.*s", SP(span_cut(id, 0, 70)));
}

err timetable_taken(struct span name, struct fault *f)
{
    return fail(f, E_CONFLICT, "there is a schedule %.*s already", SP(name));
}

err timetable_full(struct fault *f)
{
    return fail(f, E_BUSY, "there are %d schedules already", SCHEDULES_MAX);
}

static bool same_timing(const struct schedule_view *v, const struct schedule_put *p)
{
    const struct schedule *a = &v->terms.rule, *b = &p->terms.rule;
    bool interval = a->kind == SCHEDULE_ADAPTIVE
                        ? a->least_ms == b->least_ms && a->most_ms == b->most_ms
                        : a->interval_ms == b->interval_ms;
    return a->kind == b->kind && span_eq(v->terms.cron, p->terms.cron) &&
           span_eq(v->terms.zone, p->terms.zone) && interval && a->end.ms == b->end.ms &&
           v->start_given_ms == b->start.ms;
}

/* A new interval starts with a run; cron waits for its time. */
static struct timetable_place place_new(const struct schedule_put *p)
{
    struct schedule rule = p->terms.rule;
    struct timetable_place at = {
        .interval_ms = rule.interval_ms, .last_ms = p->slot_now.ms - 1, .next_ms = p->next_ms};
    if (rule.kind == SCHEDULE_CRON)
        return at;
    at.anchor_ms = rule.start.ms ? rule.start.ms : p->slot_now.ms;
    rule.start.ms = at.anchor_ms;
    at.next_ms = timetable_next(&rule, (wall){at.last_ms});
    return at;
}

static int64_t within(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

struct timetable_place timetable_place(const struct schedule_put *p,
                                       const struct schedule_view *v)
{
    struct schedule rule = p->terms.rule;
    if (!v)
        return place_new(p);
    const struct schedule *old = &v->terms.rule;
    if (same_timing(v, p))
        return (struct timetable_place){.interval_ms = old->interval_ms,
                                        .anchor_ms =
                                            rule.kind == SCHEDULE_CRON ? 0 : old->start.ms,
                                        .last_ms = v->last.ms,
                                        .next_ms = v->next_ms};
    if (rule.kind == SCHEDULE_CRON || old->kind == SCHEDULE_CRON)
        return place_new(p);
    if (rule.kind == SCHEDULE_ADAPTIVE && old->kind == SCHEDULE_ADAPTIVE)
        rule.interval_ms = within(old->interval_ms, rule.least_ms, rule.most_ms);
    struct timetable_place at = {.interval_ms = rule.interval_ms, .last_ms = p->slot_now.ms};
    at.anchor_ms = rule.start.ms ? rule.start.ms : old->start.ms;
    rule.start.ms = at.anchor_ms;
    at.next_ms = timetable_next(&rule, (wall){at.last_ms});
    return at;
}

void timetable_preview(const struct schedule_put *p, const struct timetable_place *at, wall now,
                       struct schedule_view *v)
{
    if (p->create) {
        span_copy(p->id, v->id, sizeof v->id);
        v->created_ms = now.ms;
        v->last_found = -1;
    }
    v->tenant = p->tenant;
    v->name = p->name;
    v->terms = p->terms;
    v->start_given_ms = p->terms.rule.start.ms;
    v->terms.rule.interval_ms = at->interval_ms;
    v->job = p->job_text;
    v->last.ms = at->last_ms;
    v->next_ms = v->paused_ms ? 0 : at->next_ms;
    v->updated_ms = now.ms;
    v->revision++;
}

/* ---- slots ---- */

int64_t timetable_next(const struct schedule *rule, wall after)
{
    wall next;
    return schedule_next(rule, NULL, after, &next) ? 0 : next.ms;
}

int64_t timetable_wake(const struct schedule *rule, struct span id, int64_t next_ms)
{
    return next_ms ? schedule_start(rule, id, (wall){next_ms}).ms : 0;
}

bool timetable_is_due(const struct schedule_view *v, wall clock)
{
    int64_t wake = timetable_wake(&v->terms.rule, span_of(v->id), v->next_ms);
    return !v->paused_ms && wake && (wake <= clock.ms || v->last.ms > clock.ms);
}

/* ---- runs ---- */

void timetable_trigger_id(const struct schedule_view *v, wall at, char out[ID_TEXT])
{
    char name[ID_TEXT + 4];
    snprintf(name, sizeof name, "%s/now", v->id);
    schedule_slot_id(out, span_of(name), at);
}

err timetable_overlap(struct span job, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "%s%.*s is not ended yet, and the schedule leaves out what overlaps",
                job.n ? "job " : "a pending run", SP(job));
}

err timetable_triggered(const struct schedule_fired *done, struct fault *f)
{
    if (done->known)
        return fail(f, E_CONFLICT, "it was triggered this very millisecond");
    if (done->skipped)
        return fail(f, E_BAD_INPUT,
                    "the job of this schedule is not accepted any more; change it");
    return E_OK;
}

void timetable_note(struct schedule_view *v, int64_t *read_at_ms,
                    const struct timetable_ended *run)
{
    struct schedule *rule = &v->terms.rule;
    if (run->state != JOB_SUCCEEDED)
        return;
    if (rule->kind == SCHEDULE_ADAPTIVE && *read_at_ms && run->at_ms > *read_at_ms)
        rule->interval_ms = schedule_adapt(rule, run->found, run->at_ms - *read_at_ms);
    *read_at_ms = run->at_ms > *read_at_ms ? run->at_ms : *read_at_ms;
    v->last_found = run->found;
}

void timetable_adapted(struct schedule_view *v, int64_t was_ms, wall elapsed)
{
    struct schedule *rule = &v->terms.rule;
    if (rule->kind != SCHEDULE_ADAPTIVE || rule->interval_ms == was_ms ||
        v->last.ms < rule->start.ms)
        return;
    int64_t least = elapsed.ms - rule->interval_ms;
    rule->start.ms = v->last.ms > least ? v->last.ms : least;
    wall from = {rule->start.ms > v->last.ms ? rule->start.ms : v->last.ms};
    if (!v->paused_ms)
        v->next_ms = timetable_next(rule, from);
}

#include "core/schedule.h"

#include "base/need.h"

/* A text hashed twice with these gives the 80 bits of an id. */
#define SLOT_HASH_ONE 0x9e3779b97f4a7c15u
#define SLOT_HASH_TWO 0xd1b54a32d192ed03u
enum { SLOTS_PER_LOOK = 100000 }; /* of a schedule that nobody looked at for very long */

static err next_interval(const struct schedule *s, wall after, wall *out_slot)
{
    need(s->interval_ms > 0);
    int64_t since = after.ms - s->start.ms;
    out_slot->ms =
        since < 0 ? s->start.ms : s->start.ms + (since / s->interval_ms + 1) * s->interval_ms;
    return E_OK;
}

err schedule_next(const struct schedule *s, const struct zone *z, wall after, wall *out_slot)
{
    wall slot;
    wall from = after.ms < s->start.ms ? (wall){s->start.ms - 1} : after;
    err e = s->kind == SCHEDULE_CRON ? cron_next(&s->cron, z, from, &slot)
                                     : next_interval(s, from, &slot);
    if (!e && s->end.ms && slot.ms > s->end.ms)
        e = E_END;
    if (!e)
        *out_slot = slot;
    return e;
}

/* Slots older than this are passed over. */
static int64_t oldest_wanted(const struct schedule *s, wall now)
{
    switch (s->missed) {
    case SCHEDULE_SKIP:
        return now.ms - s->grace_ms;
    case SCHEDULE_CATCH_UP:
        return now.ms - (s->catch_up_ms > s->grace_ms ? s->catch_up_ms : s->grace_ms);
    case SCHEDULE_ONCE:
        return INT64_MIN;
    }
    bug("unknown policy");
}

static size_t kept_at_most(const struct schedule *s)
{
    if (s->missed == SCHEDULE_ONCE)
        return 1;
    return s->catch_up_max > 0 && s->catch_up_max < SCHEDULE_CATCH_UP_MAX
               ? (size_t)s->catch_up_max
               : SCHEDULE_CATCH_UP_MAX;
}

size_t schedule_due(const struct schedule *s, const struct zone *z, wall last, wall now,
                    wall out_slots[SCHEDULE_CATCH_UP_MAX], wall *out_last)
{
    size_t keep = kept_at_most(s), n = 0;
    int64_t oldest = oldest_wanted(s, now);
    if (last.ms > now.ms)
        last = now;
    wall slot = last;
    if (s->missed != SCHEDULE_ONCE && slot.ms < oldest - 1)
        slot.ms = oldest - 1; /* nothing to look at before that */
    for (int looked = 0; looked < SLOTS_PER_LOOK; looked++) {
        wall next;
        if (schedule_next(s, z, slot, &next) != E_OK || next.ms > now.ms)
            break;
        slot = next;
        if (n == keep) { /* the newest are kept */
            memmove(out_slots, out_slots + 1, (keep - 1) * sizeof *out_slots);
            n--;
        }
        out_slots[n++] = slot;
    }
    *out_last = slot.ms > last.ms ? slot : last;
    return n;
}

/* How many slots lie in (after, until]. */
static int64_t count_slots(const struct schedule *s, const struct zone *z, wall after,
                           wall until)
{
    int64_t n = 0;
    wall slot = after;
    while (n < SLOTS_PER_LOOK && schedule_next(s, z, slot, &slot) == E_OK &&
           slot.ms <= until.ms)
        n++;
    return n;
}

void schedule_settle(const struct schedule *s, const struct zone *z, struct span schedule,
                     wall last, wall now, struct schedule_settled *out)
{
    wall next, start = {now.ms - (schedule_start(s, schedule, now).ms - now.ms)};
    wall from = last.ms > start.ms ? start : last;
    out->count = schedule_due(s, z, last, start, out->slots, &out->settled);
    out->missed = count_slots(s, z, from, out->settled) - (int64_t)out->count;
    out->next_ms = schedule_next(s, z, out->settled, &next) ? 0 : next.ms;
}

void schedule_slot_id(char out[ID_TEXT], struct span schedule, wall slot)
{
    uint8_t bytes[10];
    uint64_t one = span_hash(schedule, SLOT_HASH_ONE ^ (uint64_t)slot.ms);
    uint64_t two = span_hash(schedule, SLOT_HASH_TWO + (uint64_t)slot.ms);
    memcpy(bytes, &one, 8);
    memcpy(bytes + 8, &two, 2);
    id_make(out, "job", slot, bytes);
}

wall schedule_start(const struct schedule *s, struct span schedule, wall slot)
{
    if (s->jitter_ms <= 0)
        return slot;
    return (wall){slot.ms +
                  (int64_t)(span_hash(schedule, SLOT_HASH_ONE) % (uint64_t)s->jitter_ms)};
}

enum schedule_go schedule_meet(enum schedule_overlap o, bool running, bool waiting)
{
    if (o == SCHEDULE_OVERLAP_ALLOW || (!running && !waiting))
        return SCHEDULE_GO;
    switch (o) {
    case SCHEDULE_OVERLAP_SKIP:
        return SCHEDULE_GO_PASS;
    case SCHEDULE_OVERLAP_QUEUE_ONE:
        return waiting ? SCHEDULE_GO_PASS : SCHEDULE_GO_AFTER;
    case SCHEDULE_OVERLAP_CANCEL:
        return SCHEDULE_GO_AND_CANCEL;
    case SCHEDULE_OVERLAP_ALLOW:
        break;
    }
    bug("unknown policy");
}

static int64_t between(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

int64_t schedule_adapt(const struct schedule *s, int64_t new_posts, int64_t elapsed_ms)
{
    need(s->least_ms > 0 && s->most_ms >= s->least_ms && s->posts_wanted > 0);
    int64_t now_ms = between(s->interval_ms, s->least_ms, s->most_ms);
    /* Nothing new says: seldomer, and not how much. */
    int64_t aim = new_posts > 0 ? elapsed_ms / new_posts * s->posts_wanted : INT64_MAX;
    aim = between(aim, now_ms / 2, now_ms > INT64_MAX / 2 ? INT64_MAX : now_ms * 2);
    return between(aim, s->least_ms, s->most_ms);
}

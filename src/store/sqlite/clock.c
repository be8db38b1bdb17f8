/* clock.c - store/clock.h: what is kept of the time, and the two clocks of one store. */
#include "store/sqlite/inside.h"
#include "store/sqlite/sqlite.h"

#include "core/steady.h"

/* What happened has its time in the log of events; this is for stores where nothing does. */
static const int64_t KEEP_EVERY_MS = 60 * 1000;

err clock_load(struct store *s, struct fault *f)
{
    int64_t event_ms = 0;
    wall at;
    err e = db_number(s->db, SQL_CLOCK, &s->clock_kept_ms, f);
    if (!e)
        e = db_number(s->db, SQL_EVENT_LAST_AT, &event_ms, f);
    if (e)
        return e;
    s->last_ms = event_ms > s->clock_kept_ms ? event_ms : s->clock_kept_ms;
    (void)steady_start((wall){s->last_ms}, (wall){s->group_ms}, &at);
    s->found_ms = s->group_ms = at.ms;
    return E_OK;
}

err clock_keep(struct store *s, wall now, struct fault *f)
{
    if (!s->clock_told || now.ms - s->clock_kept_ms < KEEP_EVERY_MS)
        return E_OK;
    err e = db_run(s->db, SQL_CLOCK_KEEP, f, DB_I(now.ms));
    if (!e)
        s->clock_kept_ms = now.ms; /* should the group fail, the next minute does it */
    return e;
}

int64_t clock_of_client(const struct store *s, int64_t ms)
{
    return ms ? ms - s->real_ahead_ms : 0;
}

void sqlite_clock_found(struct store *s, wall *out_at, wall *out_last)
{
    *out_at = (wall){s->found_ms};
    *out_last = (wall){s->last_ms};
}

void sqlite_clock_tell(struct store *s, int64_t real_ahead_ms)
{
    s->clock_told = true;
    s->real_ahead_ms = real_ahead_ms;
}

/* timetable.h - what a client asks for in POST /v1/schedules and its preview: the body read, checked,
 * made canonical. Reads the zone files of the system, else pure.
 *
 * As in order.h: unknown members are 400 with the nearest known name, wrong values 422, all listed at
 * once; what is wrong with the job is named below /job. Everything lives in the arena given. */
#pragma once

#include "api/order.h"
#include "store/schedules.h"

enum { TIMETABLE_PREVIEW = 10, TIMETABLE_PREVIEW_MAX = 100 };

struct timetable {
    struct span name;
    struct schedule_terms terms;
    const struct zone *zone; /* of cron; UTC for the others */
    struct order order;      /* of the job */
    struct span job_text;    /* as it was given */
    wall from;               /* preview: slots after that */
    int64_t count;
};

/* whole: a schedule; else only its times, for a preview, which may have a name and a job that nobody looks
 * at. False: refusal says why. */
MUST_USE bool timetable_read(struct timetable *out, struct order_refusal *out_refusal,
                             struct json_parser *parser, struct pack *const *packs,
                             size_t pack_count, struct span body, bool whole, wall now,
                             struct arena *a);
/* The members again, but for name and job, as they are to be given. */
void timetable_write(struct json_w *w, const struct schedule_terms *terms,
                     int64_t start_given_ms);
bool timetable_name_valid(struct span name);

/* Any text as cron: refused with words, or its next times go forward and match, within the steps. */
#include "base/need.h"
#include "core/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct zone berlin = {
        .goes_on = true,
        .has_summer = true,
        .standard_s = 3600,
        .summer_s = 7200,
        .summer_starts = {.kind = ZONE_DAY_OF_WEEK, .month = 3, .week = 5, .at_s = 7200},
        .summer_ends = {.kind = ZONE_DAY_OF_WEEK, .month = 10, .week = 5, .at_s = 10800},
    };
    struct cron c;
    struct fault f = {0};
    wall t = {1774600000000}; /* shortly before summer time begins */
    err e = cron_parse((struct span){(const char *)data, size}, &c, &f);
    need(e ? f.code == e && f.words[0]
           : c.minutes && c.hours && c.days && c.months && c.weekdays);
    for (int i = 0; !e && i < 50; i++) {
        wall next;
        if (cron_next(&c, &berlin, t, &next))
            break;
        need(next.ms > t.ms && next.ms % 60000 == 0);
        t = next;
    }
    return 0;
}

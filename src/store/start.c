#include "store/start.h"

/* What holds it up ends by itself, and jobs start meanwhile. */
static bool goes_on(const struct job_view *v)
{
    return v->waiting_until_ms || v->waiting == WAITING_WORKER || v->waiting == WAITING_LANE ||
           v->waiting == WAITING_LIMIT;
}

void start_guess(struct job_view *view, const struct meter_sums *sums, wall now)
{
    if (view->state == JOB_SCHEDULED && !view->held)
        view->start_ms = view->run_at_ms;
    else if (view->state == JOB_READY && view->ahead >= 0 && goes_on(view))
        view->start_ms = meter_start_ms(sums, view->ahead, view->waiting_until_ms, now.ms);
}

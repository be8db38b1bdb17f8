/* hooks.c - a receiver that is told what happens to jobs: each event at least once, under one id, and of each job in their order,
 * whichever node sends it, whatever of its answers is lost, and though the store comes back as it was before. */
#include "look.h"

#include "store/webhooks.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t LEASE_MS = 20000, FIRST_DELAY_MS = 200;

void hooks_open(struct watch *w, int64_t now)
{
    struct fault f = {0};
    snprintf(w->hook, sizeof w->hook, "whk_%026d", 1);
    struct webhook_put put = {.id = span_of(w->hook),
                              .name = SPAN("receiver"),
                              .url = SPAN("https://receiver.example/"),
                              .types = SPAN("*"),
                              .secret = SPAN("whsec_c2ltdWxhdGVkc2ltdWxhdGVkc2ltdWxhdGVk"),
                              .enabled = 1,
                              .revision = -1};
    if (store_webhook_add(w->s, &put, (wall){now}, &f))
        broken(w, "a webhook was refused: %s", f.words);
}

size_t watch_hook_take(struct watch *w, int64_t now, struct watch_sent out[WATCH_SENT])
{
    struct webhooks_taken taken;
    struct fault f = {0};
    struct webhooks_take_args args = {
        .most = WATCH_SENT, .lease_ms = LEASE_MS, .at_s = now / 1000};
    arena_reset(w->a);
    if (store_webhooks_take(w->s, &args, (wall){now}, w->a, &taken, &f))
        broken(w, "deliveries cannot be taken: %s", f.words);
    for (size_t i = 0; i < taken.count; i++) {
        struct span event = taken.attempts[i].event;
        size_t colon = span_find_char(event, ':');
        out[i] = (struct watch_sent){.did = taken.attempts[i].did,
                                     .number = taken.attempts[i].number,
                                     .job = WATCH_NOBODY};
        if (colon < event.n && span_int(span_cut(event, colon + 1, event.n), &out[i].event))
            out[i].job = number_of(w, span_cut(event, 0, colon));
    }
    hear(w, now);
    return taken.count;
}

void watch_hook_hear(struct watch *w, const struct watch_sent *sent)
{
    int64_t *told;
    if (sent->job == WATCH_NOBODY) /* of no job, or of one of a storm before */
        return;
    told = &w->told[sent->job];
    if (sent->event > *told + 1)
        broken(w,
               "the receiver was told of event %" PRId64 " of job %" PRId64
               " before event %" PRId64,
               sent->event, sent->job, *told + 1);
    w->sights[sent->event > *told ? SIGHT_told : SIGHT_told_again]++;
    *told = sent->event > *told ? sent->event : *told;
}

void watch_hook_done(struct watch *w, const struct watch_sent *sent, bool arrived, int64_t now)
{
    struct fault f = {0};
    struct webhook_done_reply reply;
    struct webhook_done_args args = {.did = sent->did,
                                     .number = sent->number,
                                     .arrived = arrived,
                                     .status = arrived ? 200 : 503,
                                     .why = SPAN("simulated"),
                                     .base_ms = FIRST_DELAY_MS};
    if (store_webhook_done(w->s, &args, (wall){now}, &reply, &f))
        broken(w, "the end of a delivery cannot be told: %s", f.words);
    if (reply.dead || reply.off)
        broken(w, "a delivery was given up");
    hear(w, now);
}

bool watch_hook_knows_all(const struct watch *w)
{
    for (int64_t i = 0; i < WATCH_ALL; i++)
        if (w->seen.jobs[i].exists && w->told[i] != w->seen.jobs[i].events)
            return false;
    return true;
}

void hooks_audit(struct watch *w, bool all_over)
{
    for (int64_t i = 0; i < WATCH_ALL; i++) {
        const struct watch_job *j = job_of(w, i);
        if (w->told[i] > j->events)
            broken(w,
                   "the receiver was told of %" PRId64 " events of job %" PRId64
                   ", and %" PRId64 " happened",
                   w->told[i], i, j->events);
        if (all_over && j->exists && w->told[i] != j->events)
            broken(w, "the receiver never heard of event %" PRId64 " of job %" PRId64,
                   w->told[i] + 1, i);
    }
}

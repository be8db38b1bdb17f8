/* meter.c - what an attempt takes: asked of /proc, of the page's renderers, and counted from what passes through node. */
#include "pool/inside.h"

#include "browser/process.h"
#include "wire/cdp.h"

/* From here on the attempt is in that phase. */
static void enter(struct slot *s, enum usage_part phase)
{
    mono now = loop_now(s->pool->loop);
    usage_count(&s->meter.usage, s->meter.phase, now.ms - s->meter.since.ms);
    s->meter.phase = phase;
    s->meter.since = now;
}

void slot_meter_start(struct slot *s)
{
    s->meter = (struct slot_meter){.usage = usage_none(),
                                   .phase = USAGE_OPENING,
                                   .since = loop_now(s->pool->loop),
                                   .cpu_before_ms = s->pid > 0 ? process_cpu_ms(s->pid) : -1,
                                   .own_before = s->pid > 0 ? process_own(s->pid) : -1,
                                   .most_before = s->pid > 0 ? process_most(s->pid) : -1};
    s->memory_taken = 0;
    for (int i = USAGE_OPENING; i < USAGE_PARTS; i++)
        s->meter.usage.n[i] = 0;
    s->meter.usage.n[USAGE_NET_BYTES] = s->meter.usage.n[USAGE_REQUESTS] = 0;
    s->meter.usage.n[USAGE_CONTEXT_MS] = 0;
}

void slot_meter_step(struct slot *s, struct span step)
{
    enter(s, usage_phase_of(step));
}

void slot_meter_page(struct slot *s)
{
    s->meter.page_since = loop_now(s->pool->loop);
}

void slot_meter_request(struct slot *s, int64_t bytes)
{
    usage_count(&s->meter.usage, USAGE_REQUESTS, 1);
    usage_count(&s->meter.usage, USAGE_NET_BYTES, bytes);
    slot_bounds_look(s);
}

void slot_meter_event(struct slot *s, struct span method, struct span params)
{
    int64_t bytes;
    if (span_is(method, "Network.requestWillBeSent"))
        usage_count(&s->meter.usage, USAGE_REQUESTS, 1);
    else if (span_is(method, "Network.loadingFinished") &&
             cdp_member_int(params, "encodedDataLength", &bytes))
        usage_count(&s->meter.usage, USAGE_NET_BYTES, bytes);
    else
        return;
    slot_bounds_look(s);
}

/* At its most in this attempt, which may have been between two looks: then it never had so much before. */
static int64_t worker_memory(const struct slot *s)
{
    int64_t before = s->meter.most_before, now = s->pid > 0 ? process_pss(s->pid) : -1;
    int64_t most = s->pid > 0 ? process_most(s->pid) : -1, all;
    if (now < 0 || before < 0 || most <= before)
        return now;
    all = process_resident(s->pid); /* more than its share of what others have as well */
    most -= all > now ? all - now : 0;
    return most > now ? most : now;
}

/* What the page took is known as long as its tab is there, and the worker while it lives: without the worker the sum is not
 * known, though the page is. One that ended and was not waited for yet has no memory any more. */
static void look(struct slot *s)
{
    struct usage *u = &s->meter.usage;
    int64_t cpu = s->pid > 0 ? process_cpu_ms(s->pid) : -1, before = s->meter.cpu_before_ms;
    int64_t memory = worker_memory(s);
    struct tab_cost page = s->tab ? tab_cost(s->tab) : (struct tab_cost){-1, -1};
    if (before >= 0 && cpu >= before) {
        usage_count(u, USAGE_CPU_MS, cpu - before);
        usage_count(u, USAGE_CPU_MS, page.cpu_ms);
    }
    if (memory > 0) {
        usage_count(u, USAGE_PEAK_BYTES, memory);
        usage_count(u, USAGE_PEAK_BYTES, page.peak_pss_bytes);
    }
    if (s->meter.page_since.ms)
        usage_count(u, USAGE_CONTEXT_MS, loop_now(s->pool->loop).ms - s->meter.page_since.ms);
}

/* The kernel takes its time to tell what is shared: of the worker only what is its own is looked at, and of that what
 * came since the job did: it may have served others. */
struct slot_taken slot_meter_now(struct slot *s)
{
    struct slot_taken now = {0};
    int64_t cpu = s->pid > 0 ? process_cpu_ms(s->pid) : -1, before = s->meter.cpu_before_ms;
    int64_t own = s->pid > 0 ? process_own(s->pid) : -1, own_before = s->meter.own_before;
    struct tab_cost page = s->tab ? tab_cost(s->tab) : (struct tab_cost){-1, -1};
    now.cpu_ms =
        (before >= 0 && cpu > before ? cpu - before : 0) + (page.cpu_ms > 0 ? page.cpu_ms : 0);
    now.bytes = (own_before >= 0 && own > own_before ? own - own_before : 0) +
                (page.peak_pss_bytes > 0 ? page.peak_pss_bytes : 0);
    return now;
}

struct span slot_meter_end(struct slot *s)
{
    char text[USAGE_TEXT];
    enter(s, USAGE_WORKING);
    look(s);
    return arena_keep(s->arena, usage_write(&s->meter.usage, text));
}

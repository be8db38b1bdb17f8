/* count.c - see count.h. */
#include "api/count.h"

#include "api/inside.h"

#include "base/need.h"

enum {
    SLICE_MS = 20, /* of a slice of short looks: those that found as many as one may */
    PAGE_MAX = 16 * 1024 * 1024,
};
/* Jobs are numbered about in the order of their times, but for clocks that were set and for jobs that waited somewhere else to be
 * taken: a bound on the time of acceptance ends a count where all of a look are so far beyond it. */
static const int64_t MARGIN_MS = 24LL * 3600 * 1000;

/* ---- at the store ---- */

static bool is_beyond(const struct count *n)
{
    const struct jobs_filter *by = &n->filter;
    if (!n->found.oldest_ms || n->found.count)
        return false;
    return n->find.oldest_first ? n->found.oldest_ms > by->until_ms + MARGIN_MS
                                : by->since_ms && n->found.newest_ms < by->since_ms - MARGIN_MS;
}

static void note_look(struct count *n)
{
    const struct jobs_found *found = &n->found;
    n->counted += (int64_t)found->count;
    n->more = found->next[0] && !is_beyond(n);
    memcpy(n->after, found->next, sizeof n->after);
    n->find.after = span_of(n->after);
    n->find.after_number = found->next_number;
}

static err run_slice(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct count *n = args;
    mono until = mono_add(clock_mono(), SLICE_MS);
    err e;
    (void)a;
    do {
        struct arena *page = arena_new(PAGE_MAX);
        e = store_jobs_find(s, &n->find, now, page, &n->found, f);
        arena_free(&page);
        if (!e)
            note_look(n);
    } while (!e && !n->guess && n->more && n->counted < n->most &&
             n->found.count >= FIND_MOST && !mono_past(until, clock_mono()));
    return e;
}

/* ---- what comes of it ---- */

static bool is_of_states_only(const struct jobs_filter *by)
{
    return by->class < 0 && by->failure < 0 && !by->held && !by->tenant.n && !by->site.n &&
           !by->kind.n && !by->target.n && !by->lane.n && !by->labels.n && !by->since_ms &&
           !by->until_ms;
}

static void guess_from(struct count *n)
{
    int64_t looked = (int64_t)n->found.looked;
    if (!n->more || !looked) /* all of them, or none that says anything about them */
        return;
    int64_t share = n->total * n->counted / looked;
    n->value = share > n->value ? share : n->value;
    n->guessed = true;
    n->more = false;
}

static void settle(struct count *n, bool went_well)
{
    bool over = n->counted > n->most;
    int64_t seen = over ? n->most : n->counted;
    n->more = n->more || over || !went_well;
    if (!n->more || seen > n->value)
        n->value = seen;
    if (n->guess && went_well)
        guess_from(n);
}

static void finish(struct call *c, bool went_well)
{
    struct count *n = c->count;
    c->count = NULL;
    settle(n, went_well);
    n->then(c);
}

/* ---- the line ---- */

static void line_up(struct call *c)
{
    c->busy = true; /* it waits as for the store */
    list_add(&c->api->counts, &c->turns);
}

static void on_slice(struct call *c)
{
    const struct count *n = c->count;
    if (c->op.result || n->guess || !n->more || n->counted >= n->most)
        finish(c, !c->op.result);
    else
        line_up(c);
}

static void take_turn(struct call *c)
{
    struct count *n = c->count;
    list_remove(&c->turns);
    c->busy = false;
    if (!c->request) {
        call_free(c);
        return;
    }
    if (mono_past(n->until, clock_mono())) {
        n->more = true;
        finish(c, false);
        return;
    }
    c->api->counting = c;
    call_work(c, STORE_READ, run_slice, n, on_slice);
}

void count_next(struct api *a)
{
    while (!a->counting && !list_empty(&a->counts))
        take_turn(LIST_OF(a->counts.next, struct call, turns));
}

struct api *count_back(struct call *c)
{
    struct api *a = c->count ? c->api : NULL;
    if (!a || a->counting != c)
        return NULL;
    a->counting = NULL;
    return a;
}

void count_end_all(struct api *a)
{
    if (a->counting)
        a->counting->count = NULL;
    a->counting = NULL;
    while (!list_empty(&a->counts)) {
        struct call *c = LIST_OF(a->counts.next, struct call, turns);
        need(!c->request);
        list_remove(&c->turns);
        call_free(c);
    }
}

/* Of several ends of jobs the index has no others than ended ones; otherwise each job comes once, whatever becomes of it. */
static bool looks_by_end(const struct count *n)
{
    const unsigned ended =
        1U << JOB_SUCCEEDED | 1U << JOB_DEAD | 1U << JOB_CANCELLED | 1U << JOB_EXPIRED;
    unsigned states = n->filter.states;
    return n->guess && states && !(states & ~ended) && (states & (states - 1));
}

void count_start(struct call *c, struct count *n, void (*then)(struct call *c))
{
    n->then = then;
    c->count = n;
    n->until = mono_add(clock_mono(), n->most_ms);
    if (n->guess && is_of_states_only(&n->filter)) {
        c->count = NULL;
        n->value = n->total > n->value ? n->total : n->value;
        n->guessed = true;
        then(c);
        return;
    }
    n->find = (struct jobs_find){.filter = n->filter,
                                 .oldest_first = n->filter.until_ms && !n->filter.since_ms,
                                 .by_end = looks_by_end(n),
                                 .limit = FIND_MOST,
                                 .only_count = true};
    line_up(c);
    count_next(c->api);
}

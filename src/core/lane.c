#include "core/lane.h"

#include "base/need.h"

enum {
    BREAKER_FAILS_MAX = 5,
    BREAKER_OPEN_MS = 10000,
    BREAKER_OPEN_MAX_MS = 30 * 60 * 1000,
    BREAKER_WINDOW_MS = 10 * 60 * 1000,
    BREAKER_WINDOW_LEAST = 20, /* endings; of fewer half may well be chance */
};

static const char *const class_names[] = {
    [LANE_INTERACTIVE] = "interactive",
    [LANE_NORMAL] = "normal",
    [LANE_BULK] = "bulk",
    [LANE_QUARANTINE] = "quarantine",
};
_Static_assert(sizeof class_names / sizeof class_names[0] == LANE_CLASSES, "a name each");

const char *lane_class_name(enum lane_class c)
{
    need((unsigned)c < LANE_CLASSES);
    return class_names[c];
}

static bool lane_class_parse(struct span name, enum lane_class *out)
{
    for (int i = 0; i < LANE_CLASSES; i++) {
        if (!span_is(name, class_names[i]))
            continue;
        *out = (enum lane_class)i;
        return true;
    }
    return false;
}

int64_t lane_class_weight(enum lane_class c)
{
    static const int64_t weights[] = {800, 300, 100, 100};
    need((unsigned)c < LANE_CLASSES);
    return weights[c];
}

bool lane_word_is_plain(struct span word)
{
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return word.n > 0 && word.n <= LANE_WORD_MAX;
}

/* Takes what stands behind the last `mark` off *text; false when there is none. */
static bool take_tail(struct span *text, char mark, struct span *out_tail)
{
    size_t at = span_find_char(*text, mark);
    if (at == text->n)
        return false;
    *out_tail = span_cut(*text, at + 1, text->n);
    *text = span_cut(*text, 0, at);
    return true;
}

bool lane_name_parse(struct span text, struct lane_name *out)
{
    struct lane_name n = {.tenant = SPAN("default")};
    struct span parts[3], rest, part;
    size_t count = 0;
    if (take_tail(&text, '@', &n.pool)) {
        if (take_tail(&n.pool, '.', &n.operation) && !lane_word_is_plain(n.operation))
            return false;
        if (!lane_word_is_plain(n.pool))
            return false;
    }
    for (rest = text; span_next(&rest, '/', &part); count++) {
        if (count == 3)
            return false;
        parts[count] = part;
    }
    if (count < 2)
        return false;
    if (count == 3)
        n.tenant = parts[0];
    n.site = parts[count - 2];
    struct span class = parts[count - 1];
    if (take_tail(&class, '-', &n.share) && !lane_word_is_plain(n.share))
        return false;
    if (!lane_class_parse(class, &n.class) || !lane_word_is_plain(n.tenant) ||
        !lane_word_is_plain(n.site))
        return false;
    *out = n;
    return true;
}

bool lane_may_start(int64_t tat_ms, int64_t emit_ms, int64_t burst, int64_t now_ms)
{
    return emit_ms <= 0 || now_ms >= lane_start_at(tat_ms, emit_ms, burst);
}

int64_t lane_next_tat(int64_t tat_ms, int64_t emit_ms, int64_t now_ms)
{
    if (emit_ms <= 0)
        return tat_ms;
    return (tat_ms > now_ms ? tat_ms : now_ms) + emit_ms;
}

int64_t lane_start_at(int64_t tat_ms, int64_t emit_ms, int64_t burst)
{
    if (emit_ms <= 0)
        return 0;
    return tat_ms - ((burst > 1 ? burst : 1) - 1) * emit_ms;
}

int64_t lane_rank(int64_t ready_at_ms, int prio)
{
    return ready_at_ms - (int64_t)prio * LANE_AGING_MS;
}

int lane_priority(int asked, bool chosen, int64_t own)
{
    return !chosen && own >= 0 ? (int)own : asked;
}

int64_t lane_next_pass(int64_t pass, int64_t weight)
{
    need(weight > 0);
    return pass + LANE_STRIDE / weight;
}

static void become(struct breaker *b, enum breaker_state state, int64_t now_ms)
{
    if (b->state != state)
        b->since_ms = now_ms;
    b->state = state;
}

static void trip(struct breaker *b, int64_t now_ms)
{
    /* 10 s · 2^8 is already past the longest opening. */
    int64_t doublings = b->trips < 8 ? b->trips : 8;
    int64_t open_ms = (int64_t)BREAKER_OPEN_MS << doublings;
    become(b, BREAKER_OPEN, now_ms);
    b->until_ms = now_ms + (open_ms < BREAKER_OPEN_MAX_MS ? open_ms : BREAKER_OPEN_MAX_MS);
    b->trips++;
    b->fails = b->window_from_ms = b->window_seen = b->window_bad = 0;
}

/* Every other attempt failing never makes five in a row, and the site is sick all the same. */
static void note_window(struct breaker *b, bool bad, int64_t now_ms)
{
    if (b->state != BREAKER_CLOSED)
        return;
    if (b->window_seen == 0 || now_ms - b->window_from_ms > BREAKER_WINDOW_MS) {
        b->window_from_ms = now_ms;
        b->window_seen = b->window_bad = 0;
    }
    b->window_seen++;
    b->window_bad += bad;
}

static bool has_enough(const struct breaker *b)
{
    return b->state == BREAKER_HALF_OPEN || b->fails >= BREAKER_FAILS_MAX ||
           (b->window_seen >= BREAKER_WINDOW_LEAST && 2 * b->window_bad >= b->window_seen);
}

void breaker_note(struct breaker *b, enum breaker_sign sign, int64_t now_ms)
{
    switch (sign) {
    case BREAKER_OK:
        b->fails = 0;
        b->trips = 0;
        if (b->state == BREAKER_HALF_OPEN)
            become(b, BREAKER_CLOSED, now_ms);
        note_window(b, false, now_ms);
        return;
    case BREAKER_HEALTH_ERROR:
        /* Attempts that started before it opened say nothing new. */
        if (b->state == BREAKER_OPEN)
            return;
        b->fails++;
        note_window(b, true, now_ms);
        if (has_enough(b))
            trip(b, now_ms);
        return;
    case BREAKER_NO_VERDICT:
        if (b->state == BREAKER_HALF_OPEN) {
            become(b, BREAKER_OPEN, now_ms);
            b->until_ms = now_ms;
        }
        return;
    }
    bug("unknown breaker sign");
}

bool breaker_allows(const struct breaker *b, int64_t active, int64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        return now_ms >= b->until_ms && active == 0;
    case BREAKER_HALF_OPEN:
        return active == 0;
    }
    bug("unknown breaker state");
}

void breaker_started(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_OPEN && now_ms >= b->until_ms)
        become(b, BREAKER_HALF_OPEN, now_ms);
}

void breaker_open(struct breaker *b, int64_t until_ms, int64_t now_ms)
{
    become(b, BREAKER_OPEN, now_ms);
    b->until_ms = until_ms;
}

void breaker_close(struct breaker *b, int64_t now_ms)
{
    become(b, BREAKER_CLOSED, now_ms);
    *b = (struct breaker){.since_ms = b->since_ms};
}

struct breaker breaker_after_hold(const struct breaker *b, int64_t forced_until_ms,
                                  int64_t now_ms)
{
    struct breaker after = *b;
    if (b->state != BREAKER_OPEN || b->trips > 0 || b->until_ms != forced_until_ms ||
        forced_until_ms <= 0 || forced_until_ms > now_ms)
        return after;
    become(&after, BREAKER_CLOSED, forced_until_ms);
    after.until_ms = 0;
    return after;
}

struct breaker_samples breaker_samples(const struct breaker *b, int64_t now_ms)
{
    if (b->window_seen == 0 || now_ms - b->window_from_ms > BREAKER_WINDOW_MS)
        return (struct breaker_samples){0, 0};
    return (struct breaker_samples){b->window_seen, b->window_bad};
}

enum breaker_state breaker_worse(enum breaker_state one, enum breaker_state other)
{
    if (one == BREAKER_OPEN || other == BREAKER_OPEN)
        return BREAKER_OPEN;
    return one == BREAKER_HALF_OPEN ? one : other;
}

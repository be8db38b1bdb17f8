#include "core/verdict.h"

#include "base/need.h"

static const char *const verdict_names[] = {
    [VERDICT_NONE] = "none",       [VERDICT_COMPLETE] = "complete",
    [VERDICT_PARTIAL] = "partial", [VERDICT_EMPTY_CONFIRMED] = "empty_confirmed",
    [VERDICT_SAMPLED] = "sampled",
};
_Static_assert(sizeof verdict_names / sizeof verdict_names[0] == VERDICT_COUNT, "a name each");

static const char *const end_names[] = {
    [END_NONE] = "none",
    [END_LIMIT] = "limit",
    [END_TERMINATE] = "terminate",
    [END_NO_NEW_IDS] = "no_new_ids",
    [END_OLDEST_REACHED] = "oldest_reached",
    [END_CURSOR_REPEAT] = "cursor_repeat",
    [END_BUDGET] = "budget",
    [END_KNOWN_REACHED] = "known_reached",
};
_Static_assert(sizeof end_names / sizeof end_names[0] == END_COUNT, "a name each");

static bool end_is_proven(enum end_reason r)
{
    return r == END_TERMINATE || r == END_NO_NEW_IDS || r == END_OLDEST_REACHED ||
           r == END_KNOWN_REACHED;
}

bool verdict_is_drift(int64_t read, int64_t lost)
{
    enum { LOST_LEAST = 3, LOST_SHARE = 5 };
    return lost >= LOST_LEAST && lost * LOST_SHARE >= read + lost;
}

static int64_t seen(const struct verdict_facts *facts)
{
    return facts->posts + facts->left_out + facts->lost;
}

/* Does what was seen end where the site stopped showing it? */
static bool ran_out(enum end_reason r)
{
    return r == END_TERMINATE || r == END_NO_NEW_IDS || r == END_CURSOR_REPEAT;
}

static bool is_sample(const struct verdict_facts *facts)
{
    enum { RISES_SHARE = 4 };
    if (!facts->guest || facts->posts <= 0)
        return false;
    if (ran_out(facts->end) && facts->claimed >= 0)
        return facts->claimed > seen(facts);
    return facts->rises > 0 && facts->rises * RISES_SHARE >= facts->pairs;
}

/* So near to the most that is ever shown, and not all that there is. */
static bool is_cut(const struct verdict_facts *facts)
{
    enum { NEARLY_OF_16 = 15 };
    return facts->shows_at_most > 0 && ran_out(facts->end) && facts->claimed > seen(facts) &&
           seen(facts) >= facts->shows_at_most * NEARLY_OF_16 / 16;
}

/* No post counts, and yet some came: known ones, older ones than asked for, such as the job leaves out. */
static bool was_read(const struct verdict_facts *facts)
{
    return facts->left_out > 0 || facts->end == END_OLDEST_REACHED ||
           (facts->since_last && facts->end == END_KNOWN_REACHED);
}

enum verdict verdict_decide(const struct verdict_facts *facts)
{
    if (facts->sampled || is_sample(facts))
        return facts->posts > 0 || (!facts->lost && was_read(facts)) ? VERDICT_SAMPLED
                                                                     : VERDICT_NONE;
    if (facts->posts > 0)
        return end_is_proven(facts->end) && !facts->lost && !is_cut(facts) ? VERDICT_COMPLETE
                                                                           : VERDICT_PARTIAL;
    if (facts->lost)
        return VERDICT_NONE;
    if (facts->source_said_empty)
        return VERDICT_EMPTY_CONFIRMED;
    /* Posts came, and every one of them was older than asked for. */
    if (facts->end == END_OLDEST_REACHED)
        return VERDICT_EMPTY_CONFIRMED;
    /* Nothing new, and what came proves that the list was read: complete up to what was known. */
    if (facts->since_last && (facts->left_out || facts->end == END_KNOWN_REACHED) &&
        end_is_proven(facts->end))
        return VERDICT_COMPLETE;
    /* Posts came, and every one of them was of a kind or a time that the job leaves out. */
    if (facts->left_out)
        return end_is_proven(facts->end) ? VERDICT_EMPTY_CONFIRMED : VERDICT_PARTIAL;
    /* Empty pages prove nothing by themselves; with a profile that claims no post they do. */
    if (facts->claimed == 0 && end_is_proven(facts->end))
        return VERDICT_EMPTY_CONFIRMED;
    return VERDICT_NONE;
}

const char *verdict_name(enum verdict v)
{
    need((unsigned)v < VERDICT_COUNT);
    return verdict_names[v];
}

const char *end_reason_name(enum end_reason r)
{
    need((unsigned)r < END_COUNT);
    return end_names[r];
}

bool verdict_parse(struct span name, enum verdict *out)
{
    for (int i = 0; i < VERDICT_COUNT; i++) {
        if (span_is(name, verdict_names[i])) {
            *out = (enum verdict)i;
            return true;
        }
    }
    return false;
}

bool end_reason_parse(struct span name, enum end_reason *out)
{
    for (int i = 0; i < END_COUNT; i++) {
        if (span_is(name, end_names[i])) {
            *out = (enum end_reason)i;
            return true;
        }
    }
    return false;
}

#include "core/quality.h"

const char *const on_empty_names[] = {
    [ON_EMPTY_SUSPECT] = "suspect",
    [ON_EMPTY_ACCEPT] = "accept",
    [ON_EMPTY_FAIL] = "fail",
    NULL,
};

struct quality quality_read(struct json options)
{
    struct quality q = {0};
    struct json v = json_get(options, SPAN("quality"));
    struct span name = SPAN_NONE;
    (void)json_int(json_get(v, SPAN("min_posts")), &q.min_posts);
    (void)json_text(json_get(v, SPAN("on_empty")), &name);
    for (int i = 0; on_empty_names[i]; i++)
        if (span_is(name, on_empty_names[i]))
            q.on_empty = (enum on_empty)i;
    return q;
}

static enum quality_says fails(struct judged *j, bool final, enum quality_says says)
{
    *j = (struct judged){.failure = FAILURE_EMPTY_SUSPECT, .final = final};
    return says;
}

enum quality_says quality_judge(const struct quality *q, int64_t have, bool lost, bool spent,
                                struct judged *j)
{
    bool accepts = q->on_empty == ON_EMPTY_ACCEPT && have == 0 && !lost;
    if (j->failure == FAILURE_EMPTY_SUSPECT && accepts) {
        *j = (struct judged){.verdict = VERDICT_PARTIAL};
        return QUALITY_ACCEPTED;
    }
    if (j->failure != FAILURE_NONE)
        return QUALITY_NOTHING;
    if (have == 0 && q->on_empty == ON_EMPTY_FAIL)
        return fails(j, true, QUALITY_EMPTY);
    if (have < q->min_posts)
        return fails(j, spent, QUALITY_TOO_FEW);
    return QUALITY_NOTHING;
}

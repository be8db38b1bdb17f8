#include "api/terms.h"

const char *const terms_classes[] = {"interactive", "normal", "bulk", NULL};
/* Of a live job it is as return_existing; besides a result of the key will do that is young enough. */
enum { FRESH_WITHIN = UNIQUE_RUN_AFTER_ACTIVE + 1 };
const char *const terms_conflicts[] = {
    [UNIQUE_RETURN_EXISTING] = "return_existing",
    [UNIQUE_REJECT] = "reject",
    [UNIQUE_REPLACE_PENDING] = "replace",
    [UNIQUE_RUN_AFTER_ACTIVE] = "run_after_active",
    [FRESH_WITHIN] = "fresh_within",
    NULL,
};

static void read_lane(struct body *b, struct json order, struct terms *t)
{
    int class = LANE_NORMAL;
    body_choice(b, order, "", "class", terms_classes, &class);
    t->class = (enum lane_class) class;
    t->tenant = SPAN("default");
    body_text(b, order, "", "tenant", LANE_WORD_MAX, &t->tenant);
    if (!lane_word_is_plain(t->tenant))
        body_refuse(b, SPAN("/tenant"), "pattern",
                    "must be a word of letters, digits, _ and -");
}

static void read_times(struct body *b, struct json order, struct terms *t)
{
    static const char *const members[] = {"attempt_s", "idle_s", "navigation_s", NULL};
    struct json timeouts;
    wall not_before;
    if (body_time(b, order, "", "not_before", &not_before))
        t->not_before_ms = not_before.ms > 0 ? not_before.ms : 0;
    body_number(b, order, "", "expires_s", 1, TERMS_WAIT_MAX_S, &t->expires_s);
    body_number(b, order, "", "deadline_s", 1, TERMS_WAIT_MAX_S, &t->deadline_s);
    if (!body_given(order, "timeouts", &timeouts))
        return;
    if (!json_is(timeouts, JSON_OBJECT)) {
        body_refuse(b, SPAN("/timeouts"), "type",
                    "must be an object such as {\"attempt_s\":300,\"idle_s\":30}");
        return;
    }
    body_members(b, timeouts, "/timeouts", members);
    body_number(b, timeouts, "/timeouts", "attempt_s", 1, TERMS_ATTEMPT_MAX_S, &t->attempt_s);
    body_number(b, timeouts, "/timeouts", "idle_s", 1, TERMS_IDLE_MAX_S, &t->idle_s);
    body_number(b, timeouts, "/timeouts", "navigation_s", 1, BOUND_NAVIGATION_MAX_S,
                &t->navigation_s);
}

static void read_fresh(struct body *b, struct json unique, bool fresh, struct terms *t)
{
    struct json within;
    bool given = body_given(unique, "fresh_within_s", &within);
    if (fresh && !given)
        body_refuse(b, SPAN("/unique/fresh_within_s"), "required",
                    "says how old a result may be, in seconds");
    else if (given && !fresh)
        body_refuse(b, SPAN("/unique/fresh_within_s"), "not_supported",
                    "goes with \"on_conflict\":\"fresh_within\"");
    body_number(b, unique, "/unique", "fresh_within_s", 1, TERMS_WAIT_MAX_S,
                &t->fresh_within_s);
}

static void read_unique(struct body *b, struct json order, bool since_last, struct terms *t)
{
    static const char *const members[] = {"key", "on_conflict", "fresh_within_s", NULL};
    struct json unique, key;
    int mode = UNIQUE_RETURN_EXISTING;
    if (!body_given(order, "unique", &unique))
        return;
    if (!json_is(unique, JSON_OBJECT)) {
        body_refuse(
            b, SPAN("/unique"), "type",
            "must be an object such as {\"key\":\"nasa-daily\",\"on_conflict\":\"return_existing\"}");
        return;
    }
    body_members(b, unique, "/unique", members);
    if (!body_given(unique, "key", &key))
        body_refuse(b, SPAN("/unique/key"), "required",
                    "says which jobs are about the same work");
    body_text(b, unique, "/unique", "key", TERMS_KEY_MAX, &t->unique_key);
    body_choice(b, unique, "/unique", "on_conflict", terms_conflicts, &mode);
    read_fresh(b, unique, mode == FRESH_WITHIN, t);
    if (mode == FRESH_WITHIN && since_last)
        body_refuse(b, SPAN("/unique/on_conflict"), "not_supported",
                    "no earlier result is what is new: not together with since_last");
    t->on_conflict = mode == FRESH_WITHIN ? UNIQUE_RETURN_EXISTING : (enum unique_mode)mode;
}

static void read_reuse(struct body *b, struct json order, bool since_last, struct terms *t)
{
    static const char *const reuses[] = {"max_age_s", "stale_if_error_s"};
    bool coalesce = false;
    struct json v;
    body_number(b, order, "", "max_age_s", 0, TERMS_WAIT_MAX_S, &t->max_age_s);
    body_number(b, order, "", "stale_if_error_s", 0, TERMS_WAIT_MAX_S, &t->stale_if_error_s);
    for (size_t i = 0; since_last && i < sizeof reuses / sizeof *reuses; i++)
        if (body_given(order, reuses[i], &v))
            body_refuse(b, body_pointer(b, "", span_of(reuses[i])), "not_supported",
                        "no earlier result is what is new: not together with since_last");
    body_flag(b, order, "", "coalesce", &coalesce);
    if (body_given(order, "coalesce", &v))
        t->coalesce = coalesce ? COALESCE_YES : COALESCE_NO;
    if (since_last && coalesce)
        body_refuse(b, SPAN("/coalesce"), "not_supported",
                    "jobs with since_last never share their work; leave it out");
}

void terms_read(struct body *b, struct json order, bool since_last, struct terms *out)
{
    *out = (struct terms){0};
    read_lane(b, order, out);
    read_times(b, order, out);
    read_unique(b, order, since_last, out);
    read_reuse(b, order, since_last, out);
    body_flag(b, order, "", "hold", &out->hold);
    /* Waiting is for an answer that is late; nobody asks for one that would come too late. */
    if (out->deadline_s && out->expires_s > out->deadline_s)
        body_refuse(b, SPAN("/expires_s"), "range", "must not be longer than deadline_s");
}

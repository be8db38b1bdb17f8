#include "cli/outcome.h"

#include "cli/ask.h"

#include "core/failure.h"
#include "core/job.h"
#include "core/verdict.h"

static bool has_gap(struct json job)
{
    bool gap = false;
    return json_bool(json_path(job, "report.gap"), &gap) && gap;
}

static enum job_state state_of(struct json job)
{
    enum job_state state = JOB_DEAD;
    (void)job_state_parse(ask_text(job, "state"), &state);
    return state;
}

static const struct failure_row *failure_of(struct json job)
{
    enum failure_class class;
    if (!failure_parse(ask_text(job, "failure.class"), &class))
        class = state_of(job) == JOB_CANCELLED ? FAILURE_CANCELLED : FAILURE_INTERNAL;
    return failure_row(class);
}

int outcome_code(struct json job)
{
    enum verdict v;
    enum end_reason end;
    if (state_of(job) != JOB_SUCCEEDED) {
        int code = failure_of(job)->exit_code;
        return code ? code : EXIT_JOB_FAILED;
    }
    bool partial = verdict_parse(ask_text(job, "verdict"), &v) && v == VERDICT_PARTIAL;
    /* As many as asked for is what was asked for. */
    bool limited = end_reason_parse(ask_text(job, "end_reason"), &end) && end == END_LIMIT;
    return has_gap(job) || (partial && !limited) ? EXIT_PARTIAL : EXIT_DONE;
}

int outcome_say_failure(struct json job, long long records, struct cli *c)
{
    const struct failure_row *row = failure_of(job);
    struct span why = ask_text(job, "failure.why");
    cli_say("%s: %s", row->name, row->meaning);
    if (why.n)
        fprintf(stderr, "  why: %s\n", cli_printable(c, why));
    fprintf(stderr, "  what to do: %s\n", row->advice);
    if (records)
        fprintf(stderr, "  %lld records came before that\n", records);
    return outcome_code(job);
}

void outcome_say_gap(const struct cli *c, struct json job)
{
    if (has_gap(job))
        cli_note(
            c,
            "it stopped before it came to what was known: older posts that are new as well are missing, "
            "and --since-last will not bring them; use --since, or a higher --limit next time");
}

int outcome_say(struct cli *c, struct json job)
{
    bool users = span_is(ask_text(job, "records"), "users");
    long long count = ask_number(job, users ? "counts.users" : "counts.posts");
    struct span end = ask_text(job, "end_reason");
    if (state_of(job) != JOB_SUCCEEDED)
        return outcome_say_failure(job, count, c);
    cli_note(c, "%s: %s: %lld %s%s (%s)", cli_printable(c, ask_text(job, "id")),
             cli_printable(c, ask_text(job, "verdict")), count, users ? "user" : "post",
             count == 1 ? "" : "s", end.n ? cli_printable(c, end) : "done");
    outcome_say_gap(c, job);
    return outcome_code(job);
}

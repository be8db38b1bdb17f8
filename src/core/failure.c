#include "core/failure.h"

/* clang-format off */
static const struct failure_row rows[] = {
    [FAILURE_NONE] = {
        .name = "none", .meaning = "Nothing went wrong.", .advice = "Nothing to do.",
        .budget = BUDGET_NONE, .exit_code = 0, .http = 200},
    [FAILURE_BAD_INPUT] = {
        .name = "bad_input", .meaning = "The input cannot name anything on this site.",
        .advice = "Correct the target or the options and submit the job again.",
        .budget = BUDGET_NONE, .exit_code = 65, .http = 422},
    [FAILURE_NOT_FOUND] = {
        .name = "not_found", .meaning = "The site says that the account, post or list does not exist.",
        .advice = "Check the spelling; the account may have been renamed or deleted.",
        .budget = BUDGET_NONE, .about_target = true, .exit_code = 5, .http = 404},
    [FAILURE_PROTECTED] = {
        .name = "protected", .meaning = "The account shows its posts only to approved followers.",
        .advice = "Nothing to do: the posts are not public.",
        .budget = BUDGET_NONE, .about_target = true, .exit_code = 7, .http = 403},
    [FAILURE_SUSPENDED] = {
        .name = "suspended", .meaning = "The site has suspended the account.",
        .advice = "Nothing to do while the account is suspended.",
        .budget = BUDGET_NONE, .about_target = true, .exit_code = 7, .http = 410},
    [FAILURE_WITHHELD] = {
        .name = "withheld", .meaning = "The site does not show the content; `why` says for what reason: withheld by law, an age limit, a page of caution, subscribers only, or none given.",
        .advice = "Read `why`: what an age limit or a page of caution hides, a login of your own may show; the rest is not public here.",
        .budget = BUDGET_NONE, .about_target = true, .exit_code = 7, .http = 451},
    [FAILURE_LOGIN_REQUIRED] = {
        .name = "login_required", .meaning = "The site shows this only to people who are logged in.",
        .advice = "Add a login of your own (fulmar sessions add) and name its pool with the job, or ask for something that the site shows to everybody.",
        .budget = BUDGET_NONE, .exit_code = 77, .http = 403},
    [FAILURE_SESSION_INVALID] = {
        .name = "session_invalid", .meaning = "The site no longer accepts the login session.",
        .advice = "Log in again, replace the session, and submit the job again.",
        .budget = BUDGET_NONE, .session_cools = true, .exit_code = 77, .http = 503},
    [FAILURE_RATE_LIMITED] = {
        .name = "rate_limited", .meaning = "The site asked us to wait before the next request.",
        .advice = "Wait; lower lane.max_active or raise lane.emit when it happens often.",
        .budget = BUDGET_THROTTLE, .session_cools = true, .exit_code = 8, .http = 429},
    [FAILURE_BLOCKED] = {
        .name = "blocked", .meaning = "The site refused this browser or address: with a challenge, at its edge, or by not taking the page's own calls.",
        .advice = "Slow down, and look at the site from this address by hand before trying again.",
        .budget = BUDGET_NONE, .breaker = true, .session_cools = true, .exit_code = 8, .http = 502},
    [FAILURE_NETWORK] = {
        .name = "network", .meaning = "The site could not be reached or cut the connection.",
        .advice = "Check the connection and the egress settings when it persists.",
        .budget = BUDGET_FAIL, .breaker = true, .exit_code = 1, .http = 502},
    [FAILURE_TIMEOUT] = {
        .name = "timeout", .meaning = "The attempt took longer than its limit.",
        .advice = "Ask for less per job, or raise job.attempt_timeout.",
        .budget = BUDGET_FAIL, .breaker = true, .exit_code = 1, .http = 504},
    [FAILURE_STUCK] = {
        .name = "stuck", .meaning = "The attempt made no progress for too long and was stopped.",
        .advice = "Look at the last step in the job's report; raise job.stall_timeout for a slow site.",
        .budget = BUDGET_FAIL, .breaker = true, .exit_code = 1, .http = 504},
    [FAILURE_BROWSER] = {
        .name = "browser", .meaning = "The browser under the job died or was replaced.",
        .advice = "Nothing to do; look at the browser metrics when it happens often.",
        .budget = BUDGET_RELEASE, .exit_code = 1, .http = 503},
    [FAILURE_DRIFT] = {
        .name = "drift", .meaning = "The page answered in a shape we do not know.",
        .advice = "Update the site pack and try it with `fulmar replay JOB`; `field_paths` in the job's report shows where each field came from.",
        .budget = BUDGET_NONE, .breaker = true, .exit_code = 9, .http = 502},
    [FAILURE_EMPTY_SUSPECT] = {
        .name = "empty_suspect", .meaning = "The page came without posts and without proof that there are none, or with fewer than the job's order wants.",
        .advice = "Look at the page by hand; a login wall or a silent limit looks like this. Where `why` names quality, ask for less.",
        .budget = BUDGET_FAIL, .breaker = true, .exit_code = 6, .http = 502},
    [FAILURE_RESOURCE] = {
        .name = "resource", .meaning = "The job ran into its limit of memory, files or processor time.",
        .advice = "Ask for less per job, or raise job.memory_max or worker.memory_max; where `why` names a member of the order, raise that: the job is not tried again by itself.",
        .budget = BUDGET_FAIL, .exit_code = 1, .http = 503},
    [FAILURE_CRASH] = {
        .name = "crash", .meaning = "The process that ran the attempt died.",
        .advice = "Report it with the lines of the log about this job and its worker.",
        .budget = BUDGET_CRASH, .exit_code = 1, .http = 500},
    [FAILURE_CANCELLED] = {
        .name = "cancelled", .meaning = "Somebody asked to stop the job.",
        .advice = "Nothing to do.",
        .budget = BUDGET_NONE, .exit_code = 4, .http = 409},
    [FAILURE_INTERNAL] = {
        .name = "internal", .meaning = "Something went wrong inside Fulmar.",
        .advice = "Report it with the job's report and the log.",
        .budget = BUDGET_FAIL, .exit_code = 1, .http = 500},
};
/* clang-format on */
_Static_assert(sizeof rows / sizeof rows[0] == FAILURE_COUNT, "one row per class");

const struct failure_row *failure_row(enum failure_class c)
{
    if ((unsigned)c >= FAILURE_COUNT)
        return &rows[FAILURE_INTERNAL];
    return &rows[c];
}

const char *failure_name(enum failure_class c)
{
    return failure_row(c)->name;
}

enum failure_budget failure_charged(enum failure_class c, bool final)
{
    return final ? BUDGET_NONE : failure_row(c)->budget;
}

bool failure_parse(struct span name, enum failure_class *out_class)
{
    for (int i = 0; i < FAILURE_COUNT; i++) {
        if (span_is(name, rows[i].name)) {
            *out_class = (enum failure_class)i;
            return true;
        }
    }
    return false;
}

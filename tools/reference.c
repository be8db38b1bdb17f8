/* Writes the reference pages that come from the tables: reference failures|settings|metrics. */
#include "core/failure.h"
#include "core/metrics.h"
#include "core/settings.h"

#include <stdio.h>
#include <string.h>

static const char *const budgets[] = {
    [BUDGET_NONE] = "no, final at once",
    [BUDGET_FAIL] = "yes, `job.fail_max` times with backoff",
    [BUDGET_CRASH] = "yes, `job.crash_max` times",
    [BUDGET_THROTTLE] = "yes, when the site says, `job.throttle_max` times",
    [BUDGET_RELEASE] = "yes, at once and without blame",
};

static void failures(void)
{
    puts(
        "# Failure classes\n\nWritten by `make reference` from `src/core/failure.c`. A class that is a "
        "fact about the target is an answer, not a failure of the service.\n");
    puts(
        "| class | meaning | tried again | counts for the breaker | fact about the target | exit code | "
        "what to do |\n|---|---|---|---|---|---:|---|");
    for (int c = FAILURE_NONE + 1; c < FAILURE_COUNT; c++) {
        const struct failure_row *r = failure_row((enum failure_class)c);
        printf("| `%s` | %s | %s | %s | %s | %d | %s |\n", r->name, r->meaning,
               budgets[r->budget], r->breaker ? "yes" : "no", r->about_target ? "yes" : "no",
               r->exit_code, r->advice);
    }
}

static void settings(void)
{
    puts(
        "# Settings\n\nWritten by `make reference` from `src/core/settings.h`. `fulmar config init` writes "
        "the same as a file.\n\n| setting | default | range | meaning |\n|---|---|---|---|");
    for (int i = 0; i < SETTINGS_COUNT; i++) {
        const struct setting_row *r = setting_row((enum setting_id)i);
        bool ranged =
            r->type == SETTING_INT || r->type == SETTING_DURATION || r->type == SETTING_SIZE;
        char range[64] = "";
        if (ranged)
            snprintf(range, sizeof range, "%lld to %lld%s", (long long)r->min,
                     (long long)r->max,
                     r->type == SETTING_DURATION ? " ms"
                     : r->type == SETTING_SIZE   ? " bytes"
                                                 : "");
        printf("| `%s.%s` | %s%s%s | %s | %s |\n", r->section, r->name,
               r->fallback[0] ? "`" : "", r->fallback, r->fallback[0] ? "`" : "",
               r->choices[0] ? r->choices : range, r->help);
    }
}

static void metrics(void)
{
    static const struct {
        const char *name, *key, *values, *help;
        enum metric_type type;
    } rows[] = {
#define ROW(id, name, type, key, values, help) {name, key, values, help, type},
        METRICS_TABLE(ROW)
#undef ROW
    };
    static const char *const types[] = {"counter", "gauge", "histogram"};
    puts(
        "# Metrics\n\nWritten by `make reference` from `src/core/metrics.h`; served at `/metrics`.\n\n"
        "| metric | type | label: values | meaning |\n|---|---|---|---|");
    for (size_t i = 0; i < METRICS_COUNT; i++)
        printf("| `%s` | %s | %s%s%s | %s |\n", rows[i].name, types[rows[i].type], rows[i].key,
               rows[i].key[0] ? ": " : "", rows[i].values, rows[i].help);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "failures") == 0)
        failures();
    else if (argc == 2 && strcmp(argv[1], "settings") == 0)
        settings();
    else if (argc == 2 && strcmp(argv[1], "metrics") == 0)
        metrics();
    else
        return fputs("usage: reference failures|settings|metrics\n", stderr), 64;
    return 0;
}

/* status.c - the verb status: whether a running service is well, and if not, what is wrong, on one screen. */
#include "cli/ask.h"
#include "cli/checks.h"
#include "cli/vitals.h"

enum { SHOWN_MOST = 5, FIX_BYTES = 300 };

struct status {
    struct cli *cli;
    struct vitals vitals;
    struct checks *checks;
};

static const char *words(struct status *s, struct json v, const char *path)
{
    return cli_printable(s->cli, ask_text(v, path));
}

static size_t rows_of(const struct status *s, enum vital which, struct json *out_data)
{
    *out_data = vitals_get(&s->vitals, which, "data");
    return json_count(*out_data);
}

/* ---- each thing ---- */

static void check_service(struct status *s)
{
    struct json ready = s->vitals.all[VITAL_READY].root;
    bool is_ready = false;
    json_bool(json_path(ready, "ready"), &is_ready);
    if (is_ready)
        checks_add(s->checks, "service", HEALTH_OK, NULL, "ready at %s, isolation %s",
                   s->vitals.service.shown, words(s, ready, "isolation"));
    else
        checks_add(s->checks, "service", HEALTH_FAIL,
                   "its log says more; what this machine lacks: fulmar doctor",
                   "not ready at %s: %s", s->vitals.service.shown, words(s, ready, "why"));
}

static void check_mode(struct status *s)
{
    struct json mode = s->vitals.all[VITAL_MODE].root;
    struct span reason = ask_text(mode, "reason"), by = ask_text(mode, "by");
    if (!ask_text(mode, "mode").n)
        return;
    if (span_is(ask_text(mode, "mode"), "normal"))
        checks_add(s->checks, "mode", HEALTH_OK, NULL, "normal");
    else
        checks_add(s->checks, "mode", HEALTH_WARN, "fulmar mode set normal",
                   "%s since %s%s%s%s%s", words(s, mode, "mode"), words(s, mode, "since"),
                   by.n ? " by " : "", by.n ? words(s, mode, "by") : "", reason.n ? ": " : "",
                   reason.n ? words(s, mode, "reason") : "");
}

static void check_workers(struct status *s)
{
    const struct vitals *v = &s->vitals;
    long long idle = vitals_number(v, VITAL_READY, "workers.idle"),
              busy = vitals_number(v, VITAL_READY, "workers.busy"),
              starting = vitals_number(v, VITAL_READY, "workers.starting");
    checks_add(s->checks, "workers", idle + busy ? HEALTH_OK : HEALTH_FAIL,
               "no worker is there: the log of the service says why they end",
               "%lld busy, %lld idle, %lld starting", busy, idle, starting);
    long long browsers = vitals_number(v, VITAL_READY, "browsers.ready");
    checks_add(s->checks, "browsers", browsers ? HEALTH_OK : HEALTH_WARN,
               "jobs that need a page wait for one; what this machine lacks: fulmar doctor",
               "%lld ready, %lld pages open", browsers,
               vitals_number(v, VITAL_READY, "browsers.tabs_open"));
}

static void check_nodes(struct status *s)
{
    struct json data;
    size_t count = rows_of(s, VITAL_NODES, &data), up = 0;
    for (struct json_iter i = json_each(data); json_next(&i);) {
        up += span_is(ask_text(i.value, "state"), "up");
        if (span_is(ask_text(i.value, "state"), "silent"))
            checks_add(s->checks, "node", HEALTH_WARN,
                       "it hangs, is cut off or is gone; its jobs go on elsewhere",
                       "%s on %s is silent since %s%s", words(s, i.value, "name"),
                       words(s, i.value, "host"), words(s, i.value, "heard_at"),
                       json_is(json_get(i.value, SPAN("spooled")), JSON_INT)
                           ? "; jobs that it took while the Redis was away are on its disk "
                             "until it is started again"
                           : "");
    }
    if (count > 1)
        checks_add(s->checks, "nodes", HEALTH_OK, NULL, "%zu of %zu are up", up, count);
}

static void check_jobs(struct status *s)
{
    const struct vitals *v = &s->vitals;
    checks_add(s->checks, "jobs", HEALTH_OK, NULL,
               "%lld running, %lld ready (%lld of them could start), %lld later, %lld behind "
               "another job",
               vitals_number(v, VITAL_READY, "jobs.active"),
               vitals_number(v, VITAL_READY, "jobs.ready"),
               vitals_number(v, VITAL_READY, "jobs.runnable"),
               vitals_number(v, VITAL_READY, "jobs.scheduled"),
               vitals_number(v, VITAL_READY, "jobs.blocked"));
}

static void say_more(struct status *s, const char *name, size_t count, const char *how)
{
    if (count > SHOWN_MOST)
        checks_add(s->checks, name, HEALTH_INFO, NULL, "and %zu more: %s", count - SHOWN_MOST,
                   how);
}

static void check_queues(struct status *s)
{
    struct json data;
    size_t count = rows_of(s, VITAL_TROUBLE, &data), i = 0;
    if (!count)
        checks_add(s->checks, "queues", HEALTH_OK, NULL, "nothing holds any queue up");
    for (struct json_iter q = json_each(data); i < SHOWN_MOST && json_next(&q); i++) {
        bool open = span_is(ask_text(q.value, "breaker.state"), "open");
        const char *name = words(s, q.value, "name");
        checks_add(s->checks, "queue", open ? HEALTH_FAIL : HEALTH_WARN,
                   arena_fmt(s->cli->arena, "fulmar queues show %s", name),
                   "%s: %s (%lld ready)", name, words(s, q.value, "trouble"),
                   ask_number(q.value, "counts.ready"));
    }
    say_more(s, "queue", count, "fulmar queues list --troubled");
}

static void check_dead(struct status *s)
{
    struct json data;
    size_t count = rows_of(s, VITAL_DEAD, &data), i = 0;
    if (!count)
        checks_add(s->checks, "dead jobs", HEALTH_OK, NULL, "none in the last day");
    for (struct json_iter g = json_each(data); i < SHOWN_MOST && json_next(&g); i++)
        checks_add(
            s->checks, "dead jobs", HEALTH_WARN,
            arena_fmt(
                s->cli->arena, "fulmar dead show %s",
                cli_printable(
                    s->cli, ask_text(json_at(json_get(g.value, SPAN("examples")), 0), "job"))),
            "%lld in the last day: %s, %s %s", ask_number(g.value, "count"),
            words(s, g.value, "class"), words(s, g.value, "site"), words(s, g.value, "kind"));
    say_more(s, "dead jobs", count, "fulmar dead list");
}

static void check_sites(struct status *s)
{
    struct json sites = vitals_get(&s->vitals, VITAL_READY, "sites");
    for (struct json_iter i = json_each(sites); json_next(&i);) {
        struct span error = ask_text(i.value, "last_error");
        const char *name = words(s, i.value, "name");
        if (error.n)
            checks_add(s->checks, "site", HEALTH_FAIL,
                       arena_fmt(s->cli->arena, "fulmar site check %s", name), "%s: %s", name,
                       words(s, i.value, "last_error"));
        else
            checks_add(s->checks, "site", HEALTH_OK, NULL, "%s, version %lld", name,
                       ask_number(i.value, "version"));
    }
}

static void check_sessions(struct status *s)
{
    struct json data;
    size_t count = rows_of(s, VITAL_SESSIONS, &data), well = 0;
    for (struct json_iter i = json_each(data); json_next(&i);) {
        struct span state = ask_text(i.value, "state");
        const char *name = words(s, i.value, "name");
        well += span_is(state, "active");
        if (span_is(state, "invalid") || span_is(state, "expired"))
            checks_add(
                s->checks, "session", HEALTH_WARN,
                arena_fmt(s->cli->arena, "new cookies: fulmar sessions cookies %s", name),
                "%s of pool %s is %s", name, words(s, i.value, "pool"),
                words(s, i.value, "state"));
    }
    if (count)
        checks_add(s->checks, "sessions", HEALTH_OK, NULL, "%zu of %zu can be used now", well,
                   count);
}

static void check_webhooks(struct status *s)
{
    struct json data;
    size_t count = rows_of(s, VITAL_WEBHOOKS, &data);
    long long pending = 0, dead = 0;
    for (struct json_iter i = json_each(data); json_next(&i);) {
        const char *id = words(s, i.value, "id");
        pending += ask_number(i.value, "status.pending");
        dead += ask_number(i.value, "status.dead");
        if (ask_text(i.value, "status.failing_since").n)
            checks_add(s->checks, "webhook", HEALTH_WARN,
                       arena_fmt(s->cli->arena, "fulmar webhooks deliveries %s", id),
                       "%s is failing since %s", id, words(s, i.value, "status.failing_since"));
    }
    if (count)
        checks_add(s->checks, "webhooks", HEALTH_OK, NULL,
                   "%zu, %lld deliveries pending, %lld dead", count, pending, dead);
}

static void check_operations(struct status *s)
{
    struct json data;
    (void)rows_of(s, VITAL_OPERATIONS, &data);
    for (struct json_iter i = json_each(data); json_next(&i);)
        if (span_is(ask_text(i.value, "state"), "running"))
            checks_add(s->checks, "operation", HEALTH_INFO, NULL, "%s: %s, %lld jobs so far",
                       words(s, i.value, "id"), words(s, i.value, "kind"),
                       ask_number(i.value, "done"));
}

static void check_store(struct status *s)
{
    if (vitals_metric(&s->vitals, "fulmar_store_check", "") > 1)
        checks_add(s->checks, "store", HEALTH_FAIL,
                   "the log of the service says what; a copy: fulmar backup create FILE",
                   "its last check found something wrong");
    else
        checks_add(s->checks, "store", HEALTH_OK, NULL, "%lld posts committed since the start",
                   (long long)vitals_metric(&s->vitals, "fulmar_posts_extracted_total", ""));
}

/* Of several machines: jobs that this node took while the queue was away, and what that had lost. */
static void check_shared(struct status *s)
{
    const struct vitals *v = &s->vitals;
    long long waiting = vitals_number(v, VITAL_READY, "spool.waiting"),
              aside = vitals_number(v, VITAL_READY, "spool.aside"),
              stuck = vitals_number(v, VITAL_READY, "spool.stuck"),
              jobs = vitals_number(v, VITAL_READY, "lost.jobs"),
              times = vitals_number(v, VITAL_READY, "lost.times"),
              events = vitals_number(v, VITAL_READY, "lost.events");
    if (waiting > 0)
        checks_add(s->checks, "spool", HEALTH_WARN,
                   "they are handed over when the Redis is back; docs: what is lost when",
                   "%lld of %lld jobs wait on this node's disk since %s", waiting,
                   vitals_number(v, VITAL_READY, "spool.most"),
                   words(s, s->vitals.all[VITAL_READY].root, "spool.oldest_at"));
    if (stuck > 0)
        checks_add(
            s->checks, "spool", HEALTH_WARN,
            "the log of the service names them, with the reason (spool.stuck): they are offered again "
            "until it has gone",
            "%lld jobs on this node's disk are not taken, though the Redis is there", stuck);
    if (aside > 0)
        checks_add(
            s->checks, "spool", HEALTH_FAIL,
            "the log of the service names them (spool.aside): order them again; docs: what is lost when",
            "%lld jobs on this node's disk could not be handed over", aside);
    if (times > 0)
        checks_add(s->checks, "queue", HEALTH_WARN,
                   "the log of the service names the jobs (queue.lost_job): order them again",
                   "the Redis had lost %lld events, %lld jobs of this node among them", events,
                   jobs);
}

/* ---- the verb ---- */

static void check_all(struct status *s)
{
    static void (*const steps[])(struct status * s) = {
        check_service, check_mode,       check_workers, check_nodes,    check_jobs,
        check_queues,  check_dead,       check_sites,   check_sessions, check_webhooks,
        check_store,   check_operations, check_shared,
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        steps[i](s);
}

static int read_all(struct status *s)
{
    static const enum vital wanted[] = {VITAL_READY,      VITAL_MODE,     VITAL_TROUBLE,
                                        VITAL_DEAD,       VITAL_SESSIONS, VITAL_WEBHOOKS,
                                        VITAL_OPERATIONS, VITAL_NODES,    VITALS};
    struct fault f = {0};
    err e = vitals_read(&s->vitals, wanted, &f);
    if (!e)
        e = vitals_read_metrics(&s->vitals, &f);
    if (e)
        cli_say("%s", f.words[0] ? f.words : err_text(e));
    return e ? cli_exit_of(e) : EXIT_DONE;
}

/* What is wrong comes first. */
static void print(struct cli *c, const struct checks *k)
{
    size_t wrong = 0, odd = 0;
    for (size_t i = 0; i < k->count; i++) {
        wrong += k->all[i].health == HEALTH_FAIL;
        odd += k->all[i].health == HEALTH_WARN;
    }
    if (wrong)
        printf("%zu %s wrong, %zu to look at\n", wrong, wrong == 1 ? "thing is" : "things are",
               odd);
    else if (odd)
        printf("well, and %zu to look at\n", odd);
    else if (!c->quiet)
        printf("well\n");
    checks_print(c, k, 0);
}

int status_run(struct cli *c)
{
    struct status s = {.cli = c, .checks = arena_new_of(c->arena, struct checks)};
    if (c->word_count > 1)
        return cli_usage("status", "too many words");
    int code = vitals_open(&s.vitals, c);
    if (code)
        return code;
    code = read_all(&s);
    if (!code)
        check_all(&s);
    if (!code && c->json)
        checks_put(c, s.checks, "status");
    else if (!code)
        print(c, s.checks);
    if (!code && !checks_pass(s.checks))
        code = EXIT_UNHEALTHY;
    vitals_close(&s.vitals);
    return code;
}

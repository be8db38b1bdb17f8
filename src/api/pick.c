/* pick.c - ?fields= of lists: some members of each row. A list knows the names of its rows' members, so that a wrong one is
 * refused also while the list is empty; a test holds the table against the rows. */
#include "api/inside.h"
#include "api/view.h"

#include "base/text.h"

enum { NAME_SHOWN = 40 };

/* clang-format off */
static const char *const job_members[] = {
    "object", "id", "site", "kind", "target", "records", "lane", "tenant", "class", "priority", "unique_key",
    "result", "batch", "fingerprint", "generation", "expires_at", "deadline_at", "held", "options", "labels",
    "state", "verdict", "end_reason", "outcome", "failure", "limit", "counts", "progress", "lease", "attempts", "created_at", "not_before",
    "waiting_for", "queue_position", "est_start_at", "started_at", "finished_at", "timings", "usage",
    "cancel_requested", "revision", "links", NULL};
static const char *const batch_members[] = {
    "object", "id", "name", "state", "sealed", "policy", "counts", "percent", "eta", "callbacks", "operation",
    "created_at", "updated_at", "completed_at", "revision", "links", NULL};
static const char *const schedule_members[] = {
    "object", "id", "name", "created_at", "updated_at", "revision", "spec", "status", NULL};
static const char *const run_members[] = {
    "n", "slot", "cause", "state", "why", "slots", "job", "at", "ended_at", "job_state", "found", NULL};
static const char *const queue_members[] = {
    "object", "name", "tenant", "site", "class", "share", "pool", "operation", "trouble", "counts",
    "oldest_ready_at", "waiting_for", "paused", "closed", "stopped", "blocked_until", "breaker", "settings",
    "own", "pace", "links", NULL};
static const char *const breaker_members[] = {
    "object", "key", "kind", "state", "since", "failure_ratio", "samples", "failures", "openings", "until",
    "next_probe_at", "probes_left", "forced", "by_hand_until", "by", "reason", "trouble", "queue", "ready",
    "active", "queues", "links", NULL};
static const char *const operation_members[] = {
    "object", "id", "kind", "state", "batch", "filter", "per_minute", "limit", "priority", "reason", "reset",
    "done", "skipped", "created_at", "updated_at", "next_at", "finished_at", NULL};
static const char *const session_members[] = {
    "object", "id", "site", "pool", "name", "state", "reason", "since", "cooldowns", "rate", "max_active",
    "active", "requests_24h", "leases_24h", "failures_in_a_row", "used_at", "last_ok_at", "fingerprint",
    "cookies", "expires_at", "created_at", "updated_at", "revision", NULL};
static const char *const webhook_members[] = {
    "object", "id", "name", "url", "types", "enabled", "status", "created_at", "updated_at", "revision", NULL};
static const char *const delivery_members[] = {
    "object", "id", "webhook", "event", "type", "subject", "seq", "state", "attempts", "last_status", "why",
    "at", "next_attempt_at", "ended_at", NULL};
static const char *const worker_members[] = {
    "object", "number", "state", "hold", "pid", "jobs_served", "job", "attempt", "step", "running_ms",
    "has_page", NULL};
static const char *const browser_members[] = {
    "object", "number", "state", "pid", "pages", "jobs", "launches", "age_s", "pss_bytes", "recycle_reason", "probe", NULL};
static const char *const node_members[] = {
    "object", "name", "state", "host", "version", "workers", "browsers", "spooled", "started_at",
    "heard_at", NULL};
static const char *const attempt_members[] = {
    "object", "job", "number", "state", "worker", "session", "waited_ms", "started_at", "ended_at", "took_ms",
    "batches", "added", "stop_requested", "verdict", "failure", "why", "retry_in_ms", "usage", "phases", NULL};
static const char *const group_members[] = {
    "object", "class", "meaning", "advice", "site", "kind", "fingerprint", "count", "count_kind", "first_at",
    "last_at", "examples", NULL};
/* clang-format on */

static const struct {
    void (*run)(struct api *a, struct request *r, struct span id);
    const char *const *members;
} lists[] = {
    {jobs_list, job_members},
    {batches_jobs, job_members},
    {batches_list, batch_members},
    {schedules_list, schedule_members},
    {schedules_runs, run_members},
    {queues_list, queue_members},
    {breakers_list, breaker_members},
    {dead_list, group_members},
    {operations_list, operation_members},
    {sessions_list, session_members},
    {webhooks_list, webhook_members},
    {webhooks_deliveries, delivery_members},
    {workers_list, worker_members},
    {browsers_list, browser_members},
    {nodes_list, node_members},
    {attempts_list, attempt_members},
};

static const char *const *members_of(const struct route *route)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].run == route->run)
            return lists[i].members;
    return NULL;
}

static bool has_name(struct span names, struct span name)
{
    struct span one;
    while (span_next(&names, ',', &one))
        if (span_eq(one, name))
            return true;
    return false;
}

static bool is_member(const char *const *members, struct span name)
{
    for (; *members; members++)
        if (span_is(name, *members))
            return true;
    return false;
}

static void refuse(struct request *r, const char *const *members, struct span name)
{
    struct buf known = BUF(1024);
    const char *near = name.n ? text_nearest(name, members) : NULL;
    for (size_t i = 0; members[i]; i++)
        buf_fmt(&known, "%s%s", i ? ", " : "", members[i]);
    answer_problem(r, 400, "bad_parameter",
                   "fields names \"%.*s\", which no row of this list has%s%s; it may name %.*s",
                   SP(span_cut(name, 0, NAME_SHOWN)), near ? "; did you mean " : "",
                   near ? near : "", SP(buf_span(&known)));
    buf_free(&known);
}

bool pick_known(struct request *r, const struct route *route)
{
    struct span names, name;
    const char *const *members = members_of(route);
    if (!members || !request_query(r, "fields", &names))
        return true;
    if (!names.n) {
        refuse(r, members, names);
        return false;
    }
    while (span_next(&names, ',', &name)) {
        if (is_member(members, name))
            continue;
        refuse(r, members, name);
        return false;
    }
    return true;
}

static void put_value(struct json_w *w, struct json v, struct buf *scratch)
{
    buf_clear(scratch);
    json_add_raw(scratch, v);
    json_put_raw(w, buf_span(scratch));
}

static void put_row(struct json_w *w, struct json row, struct span names, struct buf *scratch)
{
    json_open(w);
    for (struct json_iter i = json_each(row); json_next(&i);) {
        if (!has_name(names, i.key))
            continue;
        json_key_span(w, i.key);
        put_value(w, i.value, scratch);
    }
    json_close(w);
}

static void put_list(struct json_w *w, struct json root, struct span names)
{
    struct buf scratch = BUF(ANSWER_MAX);
    json_open(w);
    for (struct json_iter i = json_each(root); json_next(&i);) {
        json_key_span(w, i.key);
        if (!span_is(i.key, "data")) {
            put_value(w, i.value, &scratch);
            continue;
        }
        json_open_array(w);
        for (struct json_iter row = json_each(i.value); json_next(&row);)
            put_row(w, row.value, names, &scratch);
        json_close_array(w);
    }
    json_close(w);
    buf_free(&scratch);
}

/* What is left of the row; as it is, where nothing was asked for. */
static void pick_row(struct request *r, struct json_parser *parser, struct span names,
                     struct buf *row)
{
    struct json root;
    if (!r->route || !members_of(r->route) || json_parse(parser, buf_span(row), &root, NULL))
        return;
    struct buf picked = answer_buf(), scratch = BUF(ANSWER_MAX);
    struct json_w w = json_w(&picked);
    put_row(&w, root, names, &scratch);
    buf_free(&scratch);
    buf_free(row);
    *row = picked;
}

size_t pick_jobs(struct request *r, struct json_parser *parser, const struct job_view *jobs,
                 size_t count, struct buf *list, struct json_w *w)
{
    struct span names;
    bool picks = request_query(r, "fields", &names);
    size_t n = 0, written = 0;
    r->picked = true;
    for (bool fits = true; fits && n < count && written < WRITTEN_BYTES; n += fits) {
        struct buf row = answer_buf();
        struct json_w of_row = json_w(&row);
        view_job(&of_row, &jobs[n], parser, false);
        written += row.n;
        if (picks)
            pick_row(r, parser, names, &row);
        fits = !n || list->n + row.n <= LIST_BYTES;
        if (fits && row.failed)
            list->failed = true; /* a row that is too large by itself is said to be */
        else if (fits)
            json_put_raw(w, buf_span(&row));
        buf_free(&row);
    }
    return n;
}

void pick_rows(struct request *r, struct buf *list)
{
    struct span names;
    struct json root;
    if (r->picked || !r->route || !members_of(r->route) || !request_query(r, "fields", &names))
        return;
    struct json_parser *parser = json_parser_new(ANSWER_MAX);
    struct buf picked = answer_buf();
    struct json_w w = json_w(&picked);
    if (!json_parse(parser, buf_span(list), &root, NULL)) {
        put_list(&w, root, names);
        buf_add_char(&picked, '\n');
        buf_free(list);
        *list = picked;
    }
    json_parser_free(&parser);
}

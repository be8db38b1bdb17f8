#include "api/count.h"
#include "api/inside.h"
#include "api/view.h"

#include "base/log.h"
#include "base/need.h"
#include "base/text.h"
#include "wire/cookies.h"

enum {
    CALL_ARENA_MAX = 16 * 1024 * 1024, /* a page of 500 jobs with their texts */
    BUSY_S = 5,                        /* of Retry-After, when nobody knows better */
    HEARTBEAT_MS = 15 * 1000,          /* below the usual 30-60 s of proxies */
    JSON_MAX = 32 * 1024 * 1024,
};

static const char *const no_query[] = {NULL};
static const char *const forget_query[] = {"keep_results", NULL};
static const char *const wait_query[] = {"wait_for", NULL};
static const char *const window_query[] = {"window", NULL};
static const char *const ready_query[] = {"verbose", NULL};
static const char *const jobs_query[] = {
    "state",           "site",  "kind",          "tenant",         "target",  "queue", "class",
    "failure",         "held",  "created_after", "created_before", "sort",    "count", "fields",
    "idempotency_key", "limit", "after",         "cursor",         "label.*", NULL};
static const char *const list_query[] = {"state", "limit", "after", "fields", NULL};
static const char *const items_query[] = {"after", "limit", NULL};
static const char *const fields_query[] = {"hours", NULL};
static const char *const records_query[] = {"after", "limit", "fields", NULL};
static const char *const dry_query[] = {"dry_run", NULL};
static const char *const queues_query[] = {"tenant", "site",   "troubled", "limit",
                                           "after",  "fields", NULL};
static const char *const breakers_query[] = {"kind",  "state",  "all", "limit",
                                             "after", "fields", NULL};
static const char *const limits_query[] = {"limit", "after", NULL};
static const char *const effective_query[] = {"tenant",  "site",   "class",
                                              "webhook", "domain", NULL};
static const char *const page_query[] = {"limit", "after", "fields", NULL};
static const char *const rows_query[] = {"fields", NULL};
static const char *const record_query[] = {"fields", "dedupe", NULL};
static const char *const dead_query[] = {"class", "site",  "kind",  "fingerprint", "since",
                                         "until", "limit", "after", "fields",      NULL};
static const char *const delete_query[] = {"class", "site", "kind",    "fingerprint", "since",
                                           "until", "all",  "dry_run", NULL};
static const char *const sessions_query[] = {"site", "pool", "fields", NULL};
static const char *const events_query[] = {"after", "job", NULL};

/* Every path, in the order they are tried. */
static const struct route routes[] = {
    {"/livez", "GET, HEAD", false, no_query, health_live, false},
    {"/readyz", "GET, HEAD", false, ready_query, health_ready, false},
    {"/metrics", "GET, HEAD", false, no_query, health_metrics, false},
    {"/", "GET, HEAD", true, no_query, front_show, false},
    {"/style.css", "GET, HEAD", false, no_query, front_style, false},
    {"/v1/events", "GET, HEAD", true, events_query, events_stream, false},
    {"/v1/jobs", "POST", true, dry_query, jobs_create, false},
    {"/v1/jobs", "GET, HEAD", true, jobs_query, jobs_list, false},
    {"/v1/jobs/bulk", "POST", true, dry_query, bulk_create, false},
    {"/v1/jobs/actions", "POST", true, dry_query, jobs_actions, false},
    {"/v1/jobs/{id}", "GET, HEAD", true, wait_query, jobs_show, false},
    {"/v1/jobs/{id}", "PUT", true, no_query, jobs_put, false},
    {"/v1/jobs/{id}", "PATCH", true, no_query, change_job, false},
    {"/v1/jobs/{id}", "DELETE", true, forget_query, change_delete, false},
    {"/v1/jobs/{id}/hold", "POST", true, no_query, change_hold, false},
    {"/v1/jobs/{id}/release", "POST", true, no_query, change_release, false},
    {"/v1/jobs/{id}/result", "GET, HEAD", true, no_query, jobs_result, false},
    {"/v1/jobs/{id}/rerun", "POST", true, no_query, rerun_job, false},
    {"/v1/jobs/{id}/attempts", "GET, HEAD", true, page_query, attempts_list, false},
    {"/v1/jobs/{id}/attempts/{n}", "GET, HEAD", true, no_query, attempts_show, false},
    {"/v1/jobs/{id}/events", "GET, HEAD", true, items_query, events_of_job, false},
    {"/v1/jobs/{id}/cancel", "POST", true, no_query, jobs_cancel, false},
    {"/v1/jobs/{id}/retry", "POST", true, no_query, dead_retry_job, false},
    {"/v1/jobs/{id}/artifacts", "GET, HEAD", true, no_query, artifacts_list, false},
    {"/v1/jobs/{id}/artifacts/{n}", "GET, HEAD", true, no_query, artifacts_show, false},
    {"/v1/jobs/{id}/repair", "POST", true, no_query, artifacts_repair, false},
    {"/v1/jobs/{id}/posts", "GET, HEAD", true, records_query, items_posts, false},
    {"/v1/jobs/{id}/users", "GET, HEAD", true, records_query, items_users, false},
    {"/v1/jobs/{id}/media", "GET, HEAD", true, items_query, items_media, false},
    {"/v1/jobs/{id}/unavailable", "GET, HEAD", true, items_query, items_unavailable, false},
    {"/v1/jobs/{id}/rejected", "GET, HEAD", true, items_query, items_rejected, false},
    {"/v1/jobs/{id}/conflicts", "GET, HEAD", true, items_query, items_conflicts, false},
    {"/v1/sites/{name}/fields", "GET, HEAD", true, fields_query, sites_fields, false},
    {"/v1/files/{name}", "GET, HEAD", true, no_query, files_show, false},
    {"/v1/jobs/{id}/log", "GET, HEAD", true, items_query, events_log, false},
    {"/v1/schedules", "POST", true, dry_query, schedules_create, false},
    {"/v1/schedules", "GET, HEAD", true, page_query, schedules_list, false},
    {"/v1/schedules/preview", "POST", true, no_query, schedules_preview, false},
    {"/v1/schedules/{name}/pause", "POST", true, dry_query, schedules_pause, false},
    {"/v1/schedules/{name}/resume", "POST", true, dry_query, schedules_resume, false},
    {"/v1/schedules/{name}/trigger", "POST", true, dry_query, schedules_trigger, false},
    {"/v1/schedules/{name}/backfill", "POST", true, dry_query, schedules_backfill, false},
    {"/v1/schedules/{name}/runs", "GET, HEAD", true, page_query, schedules_runs, false},
    {"/v1/schedules/{name}", "GET, HEAD", true, no_query, schedules_show, false},
    {"/v1/schedules/{name}", "PUT", true, dry_query, schedules_change, false},
    {"/v1/schedules/{name}", "PATCH", true, dry_query, schedules_patch, false},
    {"/v1/schedules/{name}", "DELETE", true, dry_query, schedules_delete, false},
    {"/v1/webhooks", "POST", true, no_query, webhooks_create, true},
    {"/v1/nodes", "GET, HEAD", true, rows_query, nodes_list, false},
    {"/v1/webhooks", "GET, HEAD", true, rows_query, webhooks_list, false},
    {"/v1/webhooks/deliveries/{delivery}", "GET, HEAD", true, no_query, webhooks_delivery,
     false},
    {"/v1/webhooks/deliveries/{delivery}/redeliver", "POST", true, no_query, webhooks_redeliver,
     false},
    {"/v1/webhooks/{webhook}", "GET, HEAD", true, no_query, webhooks_show, false},
    {"/v1/webhooks/{webhook}", "PATCH", true, no_query, webhooks_change, false},
    {"/v1/webhooks/{webhook}", "DELETE", true, no_query, webhooks_remove, false},
    {"/v1/webhooks/{webhook}/ping", "POST", true, no_query, webhooks_ping, false},
    {"/v1/webhooks/{webhook}/rotate-secret", "POST", true, no_query, webhooks_rotate, true},
    {"/v1/webhooks/{webhook}/replay", "POST", true, no_query, webhooks_replay, false},
    {"/v1/webhooks/{webhook}/deliveries", "GET, HEAD", true, list_query, webhooks_deliveries,
     false},
    {"/v1/queues", "GET, HEAD", true, queues_query, queues_list, false},
    {"/v1/queues/{lane}", "GET, HEAD", true, no_query, queues_show, false},
    {"/v1/queues/{lane}/metrics", "GET, HEAD", true, window_query, queues_metrics, false},
    {"/v1/queues/{lane}", "PUT", true, no_query, queues_put, false},
    {"/v1/queues/{lane}", "PATCH", true, no_query, queues_patch, false},
    {"/v1/queues/{lane}/pause", "POST", true, no_query, queues_pause, false},
    {"/v1/queues/{lane}/resume", "POST", true, no_query, queues_resume, false},
    {"/v1/queues/{lane}/close", "POST", true, no_query, queues_close, false},
    {"/v1/queues/{lane}/open", "POST", true, no_query, queues_open, false},
    {"/v1/queues/{lane}/unblock", "POST", true, no_query, queues_unblock, false},
    {"/v1/queues/{lane}/purge", "POST", true, dry_query, queues_purge, false},
    {"/v1/breakers", "GET, HEAD", true, breakers_query, breakers_list, false},
    {"/v1/breakers/store", "GET, HEAD", true, no_query, breakers_store, false},
    {"/v1/breakers/store/open", "POST", true, no_query, breakers_store_act, false},
    {"/v1/breakers/store/close", "POST", true, no_query, breakers_store_act, false},
    {"/v1/breakers/store/reset", "POST", true, no_query, breakers_store_act, false},
    {"/v1/breakers/sites/{name}", "GET, HEAD", true, no_query, breakers_site, false},
    {"/v1/breakers/sites/{name}/open", "POST", true, dry_query, breakers_site_open, false},
    {"/v1/breakers/sites/{name}/close", "POST", true, dry_query, breakers_site_close, false},
    {"/v1/breakers/sites/{name}/reset", "POST", true, dry_query, breakers_site_reset, false},
    {"/v1/breakers/sessions/{name}", "GET, HEAD", true, no_query, breakers_session, false},
    {"/v1/breakers/sessions/{name}/open", "POST", true, no_query, breakers_session_open, false},
    {"/v1/breakers/sessions/{name}/close", "POST", true, no_query, breakers_session_close,
     false},
    {"/v1/breakers/sessions/{name}/reset", "POST", true, no_query, breakers_session_reset,
     false},
    {"/v1/breakers/webhooks/{webhook}", "GET, HEAD", true, no_query, breakers_webhook, false},
    {"/v1/breakers/webhooks/{webhook}/open", "POST", true, no_query, breakers_webhook_open,
     false},
    {"/v1/breakers/webhooks/{webhook}/close", "POST", true, no_query, breakers_webhook_close,
     false},
    {"/v1/breakers/webhooks/{webhook}/reset", "POST", true, no_query, breakers_webhook_reset,
     false},
    {"/v1/breakers/{lane}", "GET, HEAD", true, no_query, breakers_show, false},
    {"/v1/breakers/{lane}/open", "POST", true, no_query, breakers_open, false},
    {"/v1/breakers/{lane}/close", "POST", true, no_query, breakers_close, false},
    {"/v1/breakers/{lane}/reset", "POST", true, no_query, breakers_reset, false},
    {"/v1/workers", "GET, HEAD", false, rows_query, workers_list, false},
    {"/v1/workers/scale", "POST", false, no_query, workers_scale, false},
    {"/v1/workers/scale", "GET, HEAD", false, no_query, workers_scale_show, false},
    {"/v1/workers/{n}", "GET, HEAD", false, no_query, workers_show, false},
    {"/v1/workers/{number}/quiet", "POST", false, no_query, workers_quiet, false},
    {"/v1/workers/{number}/resume", "POST", false, no_query, workers_resume, false},
    {"/v1/workers/{number}/stop", "POST", false, no_query, workers_stop, false},
    {"/v1/workers/{number}/kill", "POST", false, no_query, workers_kill, false},
    {"/v1/workers/{number}/dump", "POST", false, no_query, workers_dump, false},
    {"/v1/browsers", "GET, HEAD", false, rows_query, browsers_list, false},
    {"/v1/browsers/{n}", "GET, HEAD", false, no_query, browsers_show, false},
    {"/v1/browsers/{number}/recycle", "POST", false, no_query, browsers_recycle_one, false},
    {"/v1/limits", "GET, HEAD", true, limits_query, limits_show, false},
    {"/v1/limits/effective", "GET, HEAD", true, effective_query, limits_effective, false},
    {"/v1/limits/all", "PUT", true, no_query, limits_set_all, false},
    {"/v1/limits/all", "PATCH", true, no_query, limits_set_all, false},
    {"/v1/limits/tenants/{name}", "PUT", true, no_query, limits_set_tenant, false},
    {"/v1/limits/tenants/{name}", "PATCH", true, no_query, limits_set_tenant, false},
    {"/v1/limits/sites/{name}", "PUT", true, no_query, limits_set_site, false},
    {"/v1/limits/sites/{name}", "PATCH", true, no_query, limits_set_site, false},
    {"/v1/limits/webhooks/{webhook}", "PUT", true, no_query, limits_set_webhook, false},
    {"/v1/limits/webhooks/{webhook}", "PATCH", true, no_query, limits_set_webhook, false},
    {"/v1/mode", "GET, HEAD", true, no_query, mode_show, false},
    {"/v1/mode", "PUT", true, no_query, mode_put, false},
    {"/v1/sessions", "POST", true, no_query, sessions_create, false},
    {"/v1/sessions", "GET, HEAD", true, sessions_query, sessions_list, false},
    {"/v1/sessions/{name}", "GET, HEAD", true, no_query, sessions_show, false},
    {"/v1/sessions/{name}", "DELETE", true, no_query, sessions_remove, false},
    {"/v1/sessions/{name}/cookies", "POST", true, no_query, sessions_cookies, true},
    {"/v1/sessions/{name}/rotate", "POST", true, no_query, sessions_rotate, true},
    {"/v1/sessions/{name}/validate", "POST", true, no_query, sessions_validate, false},
    {"/v1/sessions/{name}/lock", "POST", true, no_query, sessions_lock, false},
    {"/v1/sessions/{name}/unlock", "POST", true, no_query, sessions_unlock, false},
    {"/v1/batches", "POST", true, dry_query, batches_create, false},
    {"/v1/batches", "GET, HEAD", true, page_query, batches_list, false},
    {"/v1/batches/{batch}", "GET, HEAD", true, no_query, batches_show, false},
    {"/v1/batches/{batch}/jobs", "POST", true, dry_query, batches_add, false},
    {"/v1/batches/{batch}/jobs", "GET, HEAD", true, list_query, batches_jobs, false},
    {"/v1/batches/{batch}/events", "GET, HEAD", true, items_query, events_of_batch, false},
    {"/v1/batches/{batch}/seal", "POST", true, no_query, batches_seal, false},
    {"/v1/batches/{batch}/cancel", "POST", true, dry_query, batches_cancel, false},
    {"/v1/batches/{batch}/retry-failed", "POST", true, dry_query, batches_retry, false},
    {"/v1/batches/{batch}/posts", "GET, HEAD", true, record_query, batches_posts, false},
    {"/v1/batches/{batch}/users", "GET, HEAD", true, record_query, batches_users, false},
    {"/v1/dead-letters", "GET, HEAD", true, dead_query, dead_list, false},
    {"/v1/dead-letters", "DELETE", true, delete_query, dead_delete, false},
    {"/v1/dead-letters/retry", "POST", true, dry_query, dead_retry, false},
    {"/v1/dead-letters/{id}", "GET, HEAD", true, no_query, dead_show, false},
    {"/v1/dead-letters/{id}", "DELETE", true, no_query, dead_delete_job, false},
    {"/v1/dead-letters/{id}/retry", "POST", true, no_query, dead_retry_job, false},
    {"/v1/operations", "GET, HEAD", true, page_query, operations_list, false},
    {"/v1/operations/{operation}", "GET, HEAD", true, no_query, operations_show, false},
    {"/v1/operations/{operation}/cancel", "POST", true, no_query, operations_cancel, false},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

bool api_knows_site(const struct api *a, struct span name)
{
    return packs_find(a->config.packs, name) != PACKS_MAX;
}

/* ---- answers ---- */

struct buf answer_buf(void)
{
    return BUF(ANSWER_MAX);
}

static void send_answer(struct request *r, struct answer *a, const char *const *headers)
{
    const struct call *c = r->owner;
    size_t n = 0;
    for (; headers && headers[n]; n++)
        a->headers[n] = headers[n];
    need(n + 3 < sizeof a->headers / sizeof a->headers[0]);
    if (c && c->applied[0]) {
        a->headers[n++] = "Preference-Applied";
        a->headers[n] = c->applied;
    }
    request_answer(r, a);
}

static bool reads_only(const struct request *r)
{
    return r->head || span_is(r->method, "GET");
}

/* An answer without a tag of its own has that of its text: whoever has the very same one need not have it again. */
static bool wants_tag(const struct request *r, const char *const *headers)
{
    for (; headers && headers[0]; headers += 2)
        if (strcmp(headers[0], "ETag") == 0)
            return false;
    return reads_only(r) && span_starts(r->path, SPAN("/v1/"));
}

static void send_tagged(struct request *r, struct answer *a, const char *const *headers)
{
    enum { SEED = 0x626f6479, HEADERS = 12, OF_TAG = 4 };
    const char *all[HEADERS] = {NULL};
    char tag[VIEW_TAG];
    size_t n = 0;
    for (; headers && headers[n]; n++) {
        need(n + 1 + OF_TAG < HEADERS);
        all[n] = headers[n];
    }
    snprintf(tag, sizeof tag, "\"b%016llx\"", (unsigned long long)span_hash(a->body, SEED));
    all[n] = "ETag";
    all[n + 1] = tag;
    all[n + 2] = "Cache-Control";
    all[n + 3] = CACHE_ASKED;
    a->status = client_has(r, tag) ? 304 : a->status;
    send_answer(r, a, all);
}

void answer_json(struct request *r, int status, struct buf *body, const char *const *headers)
{
    struct span text;
    if (status == 200)
        pick_rows(r, body);
    if (buf_end(body, &text)) {
        buf_free(body);
        answer_problem(r, 500, "internal", "the answer is larger than %d bytes", ANSWER_MAX);
        return;
    }
    struct answer a = {
        .status = status, .type = "application/json; charset=utf-8", .body = text};
    if (status == 200 && wants_tag(r, headers))
        send_tagged(r, &a, headers);
    else
        send_answer(r, &a, headers);
    buf_free(body);
}

bool client_has(const struct request *r, const char *tag)
{
    struct span header = request_header(r, "If-None-Match");
    return reads_only(r) && header.n &&
           (span_is(header, "*") || span_find(header, span_of(tag)) < header.n);
}

void answer_list(struct request *r, int status, struct buf *body, struct json_w *w,
                 size_t limit, struct span next_after)
{
    view_list_close(w, limit, next_after);
    buf_add_char(body, '\n');
    answer_json(r, status, body, NULL);
}

static void send_problem(struct request *r, struct problem *p, const char *const *headers)
{
    struct buf body = answer_buf();
    p->request_id = r->id;
    problem_write(&body, p);
    struct answer a = {
        .status = p->status, .type = "application/problem+json", .body = buf_span(&body)};
    send_answer(r, &a, headers);
    buf_free(&body);
}

void answer_problem(struct request *r, int status, const char *code, const char *fmt, ...)
{
    struct buf detail = BUF(1024);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&detail, fmt, ap);
    va_end(ap);
    struct problem p = {.status = status, .code = code, .detail = buf_span(&detail)};
    send_problem(r, &p, NULL);
    buf_free(&detail);
}

static void answer_later(struct request *r, int status, const char *code, const char *detail,
                         int64_t wait_ms)
{
    char seconds[24];
    struct problem p = {
        .status = status, .code = code, .detail = span_of(detail), .retryable = true};
    snprintf(seconds, sizeof seconds, "%lld",
             (long long)(wait_ms > 0 ? (wait_ms + 999) / 1000 : BUSY_S));
    send_problem(r, &p, (const char *const[]){"Retry-After", seconds, NULL});
}

void answer_busy(struct request *r, int status, const char *code, const char *detail)
{
    answer_later(r, status, code, detail, 0);
}

/* The code of a problem for an error of the store. */
const char *fault_code(err e)
{
    if (e == E_NOT_FOUND)
        return "not_found";
    if (e == E_CONFLICT)
        return "conflict_state";
    if (e == E_BAD_INPUT)
        return "validation_failed";
    if (e == E_TOO_BIG)
        return "too_many";
    if (e == E_ABSENT)
        return "not_implemented";
    if (e == E_BUSY)
        return "queue_full";
    if (e == E_DRAINING)
        return "draining";
    if (e == E_MAINTENANCE)
        return "maintenance";
    if (e == E_CLOSED)
        return "queue_closed";
    if (e == E_DISK_FULL)
        return "disk_full";
    if (e == E_MOVED)
        return "store_moved";
    if (e == E_STORE)
        return "store_failed";
    return "internal";
}

err fault_told(err e, const struct fault *f)
{
    return e == E_BUSY && f->away ? E_STORE : e;
}

/* What a client may read of it. Words about our own troubles name files and addresses: they are for
 * the log. */
static const char *public_words(err e, const struct fault *f, bool ours)
{
    if (e == E_DISK_FULL)
        return "the disk of the job store is full: free space where store.path is, then try again";
    return ours || !f->words[0] ? err_text(e) : f->words;
}

static void answer_fault_also(struct request *r, err e, const struct fault *f, const char *also)
{
    char words[2 * sizeof f->words];
    if (e ==
        E_SESSION) { /* not the site's refusal: nobody is there whom a job could be given */
        answer_problem(r, 409, "session_unavailable", "%s", f->words);
        return;
    }
    e = fault_told(e, f);
    enum err_class class = err_class(e);
    bool ours = class != ERR_FINAL && class != ERR_WAIT;
    if (ours || e == E_DISK_FULL)
        log_error("api.failed", F_X("result", e), F_C("why", f->words), F_S("request", r->id));
    snprintf(words, sizeof words, "%s%s", public_words(e, f, ours), also);
    if (class == ERR_WAIT || class == ERR_RETRY)
        answer_later(r, err_http(e), fault_code(e), words, f->wait_ms);
    else
        answer_problem(r, err_http(e), fault_code(e), "%s", words);
}

void answer_fault(struct request *r, err e, const struct fault *f)
{
    answer_fault_also(r, e, f, "");
}

bool call_failed(struct call *c)
{
    return call_failed_also(c, "");
}

bool call_failed_also(struct call *c, const char *also)
{
    if (c->op.result == E_STALE)
        answer_problem(c->request, 412, "precondition_failed", "%s", c->op.fault.words);
    else if (c->op.result)
        answer_fault_also(c->request, c->op.result, &c->op.fault, also);
    return c->op.result != E_OK;
}

bool query_number(struct request *r, const char *name, int64_t min, int64_t max, int64_t *value)
{
    struct span text;
    int64_t n;
    if (!request_query(r, name, &text))
        return true;
    if (span_int(text, &n) && n >= min && n <= max) {
        *value = n;
        return true;
    }
    answer_problem(r, 400, "bad_parameter", "%s must be a whole number from %lld to %lld", name,
                   (long long)min, (long long)max);
    return false;
}

bool query_time(struct request *r, const char *name, int64_t *out)
{
    struct span text;
    wall when;
    if (!request_query(r, name, &text))
        return true;
    if (when_parse(text, &when)) {
        *out = when.ms;
        return true;
    }
    answer_problem(r, 400, "bad_parameter",
                   "%s must be a date (2026-02-06) or RFC 3339 (2026-02-06T12:00:00Z)", name);
    return false;
}

bool path_number(struct request *r, const char *nouns, int64_t *out)
{
    size_t slash = r->path.n;
    while (slash && r->path.p[slash - 1] != '/')
        slash--;
    if (span_int(span_cut(r->path, slash, r->path.n), out) && *out >= 1)
        return true;
    answer_problem(r, 404, "not_found", "%s have numbers from 1", nouns);
    return false;
}

bool if_match(struct request *r, bool required, const char *noun, int64_t *out_revision)
{
    struct span tag = request_header(r, "If-Match");
    *out_revision = -1;
    if (!tag.p && required)
        answer_problem(r, 428, "precondition_required",
                       "send If-Match with the ETag of the %s that you saw, or If-Match: *",
                       noun);
    if (!tag.p)
        return !required;
    if (span_is(tag, "*") ||
        (tag.n > 3 && span_starts(tag, SPAN("\"r")) &&
         span_int(span_cut(tag, 2, tag.n - 3), out_revision) && *out_revision >= 0))
        return true;
    answer_problem(r, 400, "bad_header",
                   "If-Match must be an ETag such as \"r3\" with its quotes, or *");
    return false;
}

bool if_match_digest(struct request *r, const char *noun, struct arena *a, struct span *out_tag)
{
    struct span tag = request_header(r, "If-Match");
    *out_tag = SPAN_NONE;
    if (!tag.p) {
        answer_problem(r, 428, "precondition_required",
                       "send If-Match with the ETag of the %s that you saw, or If-Match: *",
                       noun);
        return false;
    }
    if (!span_is(tag, "*"))
        *out_tag = arena_keep(a, tag);
    return true;
}

err digest_matches(struct span tag, uint64_t digest, const char *noun, struct fault *f)
{
    char now[VIEW_TAG];
    if (!tag.n || span_is(tag, view_digest_tag(digest, now)))
        return E_OK;
    return fail(f, E_STALE, "the %s was changed meanwhile: its ETag is %s now", noun, now);
}

/* ---- calls ---- */

void call_free(struct call *c)
{
    secret_wipe_buf(&c->secret);
    arena_free(&c->op.arena);
    free(c->fields);
    if (c->lines_end)
        c->lines_end(c->lines);
    free(c->lines);
    free(c);
}

static void on_op_done(struct store_op *op)
{
    struct call *c = (struct call *)(void *)op;
    struct api *a = count_back(c);
    c->busy = false;
    if (c->request)
        c->then(c);
    else
        call_free(c);
    if (a)
        count_next(a);
}

struct call *call_new(struct api *a, struct request *r, struct span id)
{
    struct call *c = heap_new_of(struct call);
    c->api = a;
    c->request = r;
    c->op.arena = arena_new(CALL_ARENA_MAX);
    c->left = -1;
    c->secret = BUF(COOKIES_TEXT_MAX);
    span_copy(id, c->id, sizeof c->id);
    r->owner = c;
    return c;
}

void call_post(struct call *c, enum store_verb verb, void (*then)(struct call *c))
{
    need(!c->busy);
    c->busy = true;
    c->then = then;
    c->op.verb = verb;
    c->op.on_done = on_op_done;
    c->op.result = E_OK;
    c->op.fault = (struct fault){0};
    if (!c->request->stream)
        request_hold(c->request);
    store_thread_post(c->api->store, &c->op);
}

static void on_one_done(struct store_op *op)
{
    struct call *c = op->ctx;
    if (--c->posted == 0)
        on_op_done(&c->op);
}

void call_accept_all(struct call *c, struct store_op *ops, size_t n,
                     void (*then)(struct call *c))
{
    need(!c->busy && n > 0);
    c->busy = true;
    c->then = then;
    c->posted = n;
    for (size_t i = 0; i < n; i++) {
        ops[i].verb = STORE_ACCEPT;
        ops[i].on_done = on_one_done;
        ops[i].ctx = c;
        ops[i].arena = c->op.arena;
    }
    request_hold(c->request);
    store_thread_post_all(c->api->store, ops, n);
}

void call_work(struct call *c, enum store_verb verb,
               err (*run)(struct store *s, void *args, struct arena *a, wall now,
                          struct fault *f),
               void *args, void (*then)(struct call *c))
{
    c->op.in.work = (struct store_work){
        .run = run, .args = args, .ends_jobs = c->ends_jobs, .about = span_of(c->id)};
    call_post(c, verb, then);
}

static void on_job_known(struct call *c)
{
    if (c->op.result) {
        answer_fault(c->request, c->op.result, &c->op.fault);
        return;
    }
    items_job_known(c);
    struct answer head = {.status = 200,
                          .type = "application/x-ndjson",
                          .headers = {"Job-State", job_state_name(c->op.out.job.state), NULL}};
    request_stream(c->request, &head, &(struct stream_face){.on_pull = c->on_pull});
}

void call_stream_lines(struct call *c, void (*on_pull)(void *ctx, struct request *r))
{
    c->on_pull = on_pull;
    c->op.in.job.id = span_of(c->id);
    call_post(c, STORE_JOB, on_job_known);
}

/* ---- routing ---- */

/* True when the path has the route's shape; *out_id is what stands for {id}, {name} or {lane}. */
static bool matches(struct span path, const char *pattern, struct span *out_id)
{
    struct span p = span_of(pattern);
    if (span_ends(p, SPAN("/{n}"))) {
        while (path.n && path.p[path.n - 1] >= '0' && path.p[path.n - 1] <= '9')
            path.n--;
        if (!span_ends(path, SPAN("/")))
            return false;
        path.n--;
        p.n -= 4;
    }
    size_t hole = span_find_char(p, '{'), end = span_find_char(p, '}');
    *out_id = SPAN_NONE;
    if (hole == p.n)
        return span_eq(path, p);
    struct span before = span_cut(p, 0, hole), behind = span_cut(p, end + 1, p.n);
    if (path.n <= before.n + behind.n || !span_starts(path, before) || !span_ends(path, behind))
        return false;
    *out_id = span_cut(path, hole, path.n - before.n - behind.n);
    size_t slashes = 0;
    for (size_t i = 0; i < out_id->n; i++)
        slashes += out_id->p[i] == '/';
    return slashes == (span_is(span_cut(p, hole, end + 1 - hole), "{lane}") ? 2U : 0U);
}

static bool accepts(const struct route *route, const struct request *r)
{
    if (strcmp(route->allow, "GET, HEAD") == 0)
        return r->head || span_is(r->method, "GET");
    return span_is(r->method, route->allow);
}

static void refuse_method(struct request *r, const char *allow)
{
    struct problem p = {.status = 405,
                        .code = "method_not_allowed",
                        .detail = span_of("this path knows other methods")};
    send_problem(r, &p, (const char *const[]){"Allow", allow, NULL});
}

static void refuse_unknown_path(struct request *r)
{
    struct problem p = {
        .status = 404,
        .code = "not_found",
        .detail = span_of("there is nothing at this path"),
        .hint =
            "paths are /v1/jobs, /v1/batches, /v1/dead-letters, /v1/operations, /v1/schedules, /v1/queues, /v1/limits, /v1/breakers, /v1/mode, /v1/sessions, /v1/webhooks, /v1/files, /v1/events, "
            "/livez, /readyz and /metrics"};
    send_problem(r, &p, NULL);
}

static const struct route *route_of(struct request *r, struct span *out_id)
{
    struct buf allow = BUF(128);
    /* A path that is written out is not a name as well, and one with a name in it is no queue. */
    bool exact = false, named = false;
    for (size_t i = 0; i < ROUTES; i++) {
        bool hole = strchr(routes[i].path, '{') != NULL;
        bool lane = strstr(routes[i].path, "{lane}") != NULL;
        if ((hole && exact) || (lane && named) || !matches(r->path, routes[i].path, out_id))
            continue;
        exact = exact || !hole;
        named = named || !lane;
        if (accepts(&routes[i], r)) {
            buf_free(&allow);
            return &routes[i];
        }
        if (allow.n)
            buf_add_text(&allow, ", ");
        buf_add_text(&allow, routes[i].allow);
    }
    char text[128];
    if (allow.n)
        refuse_method(r, span_copy(buf_span(&allow), text, sizeof text));
    else
        refuse_unknown_path(r);
    buf_free(&allow);
    return NULL;
}

static bool query_known(struct request *r, const struct route *route)
{
    struct span unknown = request_query_unknown(r, route->query);
    if (!unknown.n)
        return true;
    const char *near = text_nearest(unknown, route->query);
    if (near)
        answer_problem(r, 400, "unknown_parameter",
                       "unknown query parameter; did you mean \"%s\"?", near);
    else
        answer_problem(r, 400, "unknown_parameter", "unknown query parameter \"%.*s\"",
                       (int)(unknown.n < 64 ? unknown.n : 64), unknown.p);
    return false;
}

static bool brings_jobs(const struct route *route)
{
    return route->run == jobs_create || route->run == jobs_put || route->run == rerun_job ||
           route->run == bulk_create || route->run == batches_create ||
           route->run == batches_add || route->run == batches_retry ||
           route->run == sessions_validate || route->run == dead_retry ||
           route->run == dead_retry_job;
}

/* Only so many at once: they keep the store busy. */
static bool take_large_body(struct api *a, struct request *r)
{
    if (a->bulk_count == BULK_STREAMS_MAX) {
        answer_busy(r, 503, "too_many_streams",
                    "other requests with as many orders are being read");
        return false;
    }
    a->bulk_count++;
    r->large = true;
    r->body_max = BULK_STREAM_BYTES;
    return true;
}

static void on_head(void *ctx, struct request *r)
{
    struct api *a = ctx;
    struct span id;
    const struct route *route = route_of(r, &id);
    if (!route || !query_known(r, route) || !pick_known(r, route))
        return;
    static const struct {
        const char *hole, *kind, *noun;
    } things[] = {{"{id}", "job", "job"},
                  {"{batch}", "bat", "batch"},
                  {"{operation}", "opr", "operation"},
                  {"{webhook}", "whk", "webhook"},
                  {"{delivery}", "dlv", "delivery"}};
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        if (strstr(route->path, things[i].hole) && !id_valid(id, things[i].kind)) {
            answer_problem(r, 404, "not_found", "there is no such %s", things[i].noun);
            return;
        }
    }
    if (a->draining && brings_jobs(route)) {
        answer_busy(r, 503, "draining", "the service is stopping and accepts no more jobs");
        return;
    }
    if (route->run == bulk_create && bulk_is_stream(r) &&
        !(take_large_body(a, r) && bulk_begin(a, r)))
        return;
    r->route = route;
    r->secret = route->secret;
}

static void on_request(void *ctx, struct request *r)
{
    struct span id;
    const struct route *route = r->route;
    need(route && matches(r->path, route->path, &id));
    route->run(ctx, r, id);
}

static void on_gone(void *ctx, struct request *r)
{
    struct api *a = ctx;
    struct call *c = r->owner;
    r->owner = NULL;
    a->bulk_count -= r->large;
    if (!c)
        return;
    events_forget(c);
    wait_forget(c);
    c->request = NULL;
    if (!c->busy)
        call_free(c);
}

static void on_late(void *ctx, struct request *r)
{
    (void)ctx;
    struct call *c = r->owner;
    if (c) { /* the operation goes on; nobody hears of it */
        need(c->busy);
        wait_forget(c);
        c->request = NULL;
        r->owner = NULL;
    }
    answer_busy(r, 504, "timeout",
                "no answer in time; what was asked may still happen: repeat a POST with the "
                "same Idempotency-Key");
}

/* ---- starting and stopping ---- */

err api_start(struct api **out, struct loop *l, struct store_thread *store,
              const struct api_config *config, struct fault *f)
{
    struct api *a = heap_new_of(struct api);
    a->loop = l;
    a->store = store;
    a->config = *config;
    packs_hold(a->config.packs);
    a->json = json_parser_new(JSON_MAX);
    a->heartbeat = timer_new(l, events_heartbeat, a, "event streams' heartbeat");
    list_init(&a->streams);
    list_init(&a->waiters);
    list_init(&a->counts);
    a->lookout = wait_lookout_new(a);
    struct http_config http = {
        .listeners = {config->listeners[0], config->listeners[1]},
        .body_max = config->body_max,
        .header_timeout_ms = config->header_timeout_ms,
        .request_timeout_ms = config->request_timeout_ms,
        .connections_max = config->connections_max,
    };
    struct http_face face = {.on_head = on_head,
                             .on_request = on_request,
                             .on_gone = on_gone,
                             .on_late = on_late,
                             .ctx = a};
    err e = http_start(&a->http, l, &http, &face, f);
    if (e) {
        api_stop(&a);
        return e;
    }
    timer_start(a->heartbeat, HEARTBEAT_MS);
    *out = a;
    return E_OK;
}

void api_use(struct api *a, struct packs *packs)
{
    packs_hold(packs);
    packs_drop(&a->config.packs);
    a->config.packs = packs;
}

void api_drain(struct api *a)
{
    a->draining = true;
    wait_end_all(a);
}

void api_mode(struct api *a, enum store_mode mode)
{
    http_say_mode(a->http, mode == MODE_NORMAL ? NULL : mode_name(mode));
}

void api_new_events(struct api *a, int64_t last_event)
{
    if (last_event <= a->last_event)
        return;
    a->last_event = last_event;
    events_more(a);
    wait_more(a);
}

void api_stop(struct api **handle)
{
    struct api *a = *handle;
    if (!a)
        return;
    http_stop(&a->http);
    count_end_all(a);
    timer_close(&a->heartbeat);
    wait_lookout_free(&a->lookout);
    json_parser_free(&a->json);
    packs_drop(&a->config.packs);
    free(a);
    *handle = NULL;
}

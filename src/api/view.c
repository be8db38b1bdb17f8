#include "api/view.h"

#include "core/labels.h"
#include "core/lane.h"

enum { STORED_MAX = 1024 * 1024 };

void view_time(struct json_w *w, const char *key, int64_t ms)
{
    char text[WHEN_TEXT];
    json_kv_cstr(w, key, ms > 0 ? when_text_ms((wall){ms}, text) : NULL);
}

char *view_tag(int64_t revision, char out[VIEW_TAG])
{
    snprintf(out, VIEW_TAG, "\"r%lld\"", (long long)revision);
    return out;
}

char *view_digest_tag(uint64_t digest, char out[VIEW_TAG])
{
    snprintf(out, VIEW_TAG, "\"d%016llx\"", (unsigned long long)digest);
    return out;
}

struct json_w view_list(struct buf *body)
{
    struct json_w w = json_w(body);
    json_open(&w);
    json_kv_cstr(&w, "object", "list");
    json_key(&w, "data");
    json_open_array(&w);
    return w;
}

void view_list_page(struct json_w *w, size_t limit, struct span next_after)
{
    json_close_array(w);
    json_key(w, "page");
    json_open(w);
    json_kv_int(w, "limit", (int64_t)limit);
    json_kv_bool(w, "has_more", next_after.n > 0);
    json_kv_text(w, "next_after", next_after.n ? next_after : SPAN_NONE);
}

void view_list_close(struct json_w *w, size_t limit, struct span next_after)
{
    view_list_page(w, limit, next_after);
    json_close(w);
    json_close(w);
}

/* Stored JSON as a value: it came from another process, so it is looked at before it is passed
 * on. */
static void put_stored(struct json_w *w, const char *key, struct span text,
                       struct json_parser *parser)
{
    struct json root;
    struct buf small = BUF(STORED_MAX);
    json_key(w, key);
    if (!text.n) {
        json_put_null(w);
    } else if (json_parse(parser, text, &root, NULL)) {
        json_put_text(w, text);
    } else {
        json_add_raw(&small, root);
        json_put_raw(w, buf_span(&small));
    }
    buf_free(&small);
}

void view_options(struct json_w *w, struct span spec, struct json_parser *parser)
{
    struct span rest, labels = labels_of(spec, &rest);
    struct buf options = BUF(STORED_MAX);
    buf_add(&options, rest);
    buf_add_char(&options, '}');
    put_stored(w, "options", labels.n ? buf_span(&options) : spec, parser);
    put_stored(w, "labels", labels.n ? labels : SPAN("{}"), parser);
    buf_free(&options);
}

static void put_failure(struct json_w *w, const struct job_view *job)
{
    json_key(w, "failure");
    if (job->failure == FAILURE_NONE) {
        json_put_null(w);
        return;
    }
    const struct failure_row *row = failure_row(job->failure);
    json_open(w);
    json_kv_cstr(w, "class", row->name);
    json_kv_cstr(w, "meaning", row->meaning);
    json_kv_cstr(w, "advice", row->advice);
    json_kv_text(w, "why", job->why.n ? job->why : SPAN_NONE);
    json_kv_bool(w, "about_target", row->about_target);
    json_kv_bool(w, "final", job_is_final(job->state));
    view_time(w, "next_attempt_at",
              job->state == JOB_SCHEDULED && !job->held ? job->run_at_ms : 0);
    json_close(w);
}

/* How it ended, in one word: its verdict, the class of its failure, or how it was ended; NULL: it has not. */
static const char *outcome_of(const struct job_view *job)
{
    if (!job_is_final(job->state))
        return NULL;
    if (job->state == JOB_SUCCEEDED)
        return verdict_name(job->verdict);
    return job->state == JOB_DEAD ? failure_name(job->failure) : job_state_name(job->state);
}

/* A share of what it is to bring, where that is known. */
static void put_progress(struct json_w *w, const struct job_view *job)
{
    bool whole = job->state == JOB_SUCCEEDED && job->verdict == VERDICT_COMPLETE;
    json_key(w, "progress");
    json_open(w);
    json_kv_cstr(w, "phase", job->phase);
    json_kv_int(w, "posts", job->counts == ITEM_POST ? job->have : 0);
    json_kv_int(w, "users", job->users);
    json_kv_int(w, "pages", job->next_batch);
    if (whole || job->limit > 0)
        json_kv_int(w, "percent", whole ? 100 : job->have * 100 / job->limit);
    else
        json_kv_null(w, "percent");
    json_close(w);
}

static void put_lease(struct json_w *w, const struct job_view *job)
{
    json_key(w, "lease");
    if (!job->lease_until_ms) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_text(w, "worker", job->worker.n ? job->worker : SPAN_NONE);
    view_time(w, "expires_at", job->lease_until_ms);
    json_close(w);
}

/* Why a job has not started yet, so that nobody has to guess. */
static void put_waiting(struct json_w *w, const struct job_view *job)
{
    json_key(w, "waiting_for");
    if (job->waiting == WAITING_NONE) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "reason", waiting_name(job->waiting));
    view_time(w, "until", job->waiting_until_ms);
    json_close(w);
}

static void put_counts(struct json_w *w, const struct job_view *job)
{
    json_key(w, "counts");
    json_open(w);
    json_kv_int(w, "posts", job->counts == ITEM_POST ? job->have : 0);
    json_kv_int(w, "users", job->users);
    json_kv_int(w, "rejected", job->rejected);
    json_kv_int(w, "conflicts", job->conflicts);
    json_kv_int(w, "filtered", job->filtered);
    json_kv_int(w, "batches", job->next_batch);
    json_close(w);
    json_key(w, "attempts");
    json_open(w);
    json_kv_int(w, "started", job->fence);
    json_kv_int(w, "failed", job->n_fail);
    json_kv_int(w, "crashed", job->n_crash);
    json_kv_int(w, "throttled", job->n_throttle);
    json_kv_int(w, "released", job->n_release);
    json_kv_int(w, "voided", job->n_void);
    json_kv_int(w, "failed_in_row", job->fails);
    if (job->max_fail)
        json_kv_int(w, "max_failed", job->max_fail);
    else
        json_kv_null(w, "max_failed");
    json_close(w);
}

/* Whose job it is, and how it stands among the others. */
static void put_terms(struct json_w *w, const struct job_view *job)
{
    struct lane_name lane = {0};
    bool known = lane_name_parse(job->lane, &lane);
    json_kv_text(w, "lane", job->lane);
    json_kv_text(w, "tenant", known ? lane.tenant : SPAN_NONE);
    json_kv_cstr(w, "class", known ? lane_class_name(lane.class) : NULL);
    json_kv_int(w, "priority", job->prio);
    json_kv_text(w, "unique_key", job->unique_key.n ? job->unique_key : SPAN_NONE);
}

/* As the attempt that ended it reported; null where nothing says (jobs of earlier versions, lists), or where that attempt
 * had nothing to count because others had brought what there is. */
static void put_quality(struct json_w *w, const struct job_view *job,
                        struct json_parser *parser, bool with_report)
{
    struct json report;
    int64_t media = 0, records = 0;
    bool told = with_report && job->report.n && !json_parse(parser, job->report, &report, NULL);
    struct json quality = told ? json_get(report, SPAN("quality")) : JSON_MISSING;
    bool counted = told && json_int(json_get(report, SPAN("media")), &media);
    bool some = json_int(json_get(quality, SPAN("records")), &records) && records > 0;
    json_kv_known(w, "media", counted && (some || job->have + job->users == 0), media);
    struct buf text = BUF(STORED_MAX);
    if (some)
        json_add_raw(&text, quality);
    json_key(w, "quality");
    json_put_raw(w, buf_span(&text)); /* nothing is null */
    buf_free(&text);
}

/* What it is and where its records come from; null while there is no result. */
static void put_result(struct json_w *w, const struct job_view *job, struct json_parser *parser,
                       bool with_report)
{
    json_key(w, "result");
    if (job->state != JOB_SUCCEEDED) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "source", source_name(job->source));
    if (job->source == SOURCE_CACHE || job->source == SOURCE_STALE)
        json_kv_int(w, "age_s", job->result_age_ms / 1000);
    else
        json_kv_null(w, "age_s");
    json_kv_text(w, "from_job", job->from_job.n ? job->from_job : SPAN_NONE);
    json_kv_int(w, "posts", job->counts == ITEM_POST ? job->have : 0);
    json_kv_int(w, "users", job->users);
    json_kv_bool(w, "complete",
                 job->verdict == VERDICT_COMPLETE || job->verdict == VERDICT_EMPTY_CONFIRMED);
    put_quality(w, job, parser, with_report);
    json_close(w);
}

static void put_link(struct json_w *w, const char *key, const char *id, const char *rest)
{
    struct buf path = BUF(128);
    buf_fmt(&path, "/v1/jobs/%s%s", id, rest);
    json_kv_text(w, key, buf_span(&path));
    buf_free(&path);
}

static void put_links(struct json_w *w, const char *id)
{
    struct buf path = BUF(128);
    json_key(w, "links");
    json_open(w);
    put_link(w, "self", id, "");
    put_link(w, "posts", id, "/posts");
    put_link(w, "users", id, "/users");
    put_link(w, "media", id, "/media");
    put_link(w, "unavailable", id, "/unavailable");
    put_link(w, "rejected", id, "/rejected");
    put_link(w, "conflicts", id, "/conflicts");
    put_link(w, "result", id, "/result");
    put_link(w, "attempts", id, "/attempts");
    put_link(w, "log", id, "/log");
    put_link(w, "artifacts", id, "/artifacts");
    put_link(w, "cancel", id, "/cancel");
    put_link(w, "hold", id, "/hold");
    put_link(w, "release", id, "/release");
    put_link(w, "retry", id, "/retry");
    put_link(w, "rerun", id, "/rerun");
    buf_fmt(&path, "/v1/events?job=%s&after=0", id);
    json_kv_text(w, "events", buf_span(&path));
    json_close(w);
    buf_free(&path);
}

static void put_duration(struct json_w *w, const char *key, int64_t from, int64_t to)
{
    if (from > 0 && to >= from)
        json_kv_int(w, key, to - from);
    else
        json_kv_null(w, key);
}

void view_job(struct json_w *w, const struct job_view *job, struct json_parser *parser,
              bool with_report)
{
    json_open(w);
    json_kv_cstr(w, "object", "job");
    json_kv_cstr(w, "id", job->id);
    json_kv_text(w, "site", job->site);
    json_kv_text(w, "kind", job->kind);
    json_kv_text(w, "target", job->target);
    json_kv_cstr(w, "records", job->counts == ITEM_USER ? "users" : "posts");
    put_terms(w, job);
    view_options(w, job->spec, parser);
    json_kv_cstr(w, "state", job_state_name(job->state));
    json_kv_cstr(w, "verdict",
                 job->verdict == VERDICT_NONE ? NULL : verdict_name(job->verdict));
    json_kv_cstr(w, "end_reason", job->end == END_NONE ? NULL : end_reason_name(job->end));
    json_kv_cstr(w, "outcome", outcome_of(job));
    put_failure(w, job);
    put_result(w, job, parser, with_report);
    if (job->limit > 0)
        json_kv_int(w, "limit", job->limit);
    else
        json_kv_null(w, "limit");
    put_counts(w, job);
    put_progress(w, job);
    put_lease(w, job);
    view_time(w, "created_at", job->created_ms);
    bool timed =
        job->state == JOB_SCHEDULED && (!job->held || job->run_at_ms > job->created_ms);
    view_time(w, "not_before", timed ? job->run_at_ms : 0);
    json_kv_bool(w, "held", job->held);
    view_time(w, "expires_at", job->expires_ms);
    view_time(w, "deadline_at", job->deadline_ms);
    put_waiting(w, job);
    if (job->ahead >= 0)
        json_kv_int(w, "queue_position", job->ahead + 1);
    else
        json_kv_null(w, "queue_position");
    view_time(w, "est_start_at", job->start_ms);
    view_time(w, "started_at", job->started_ms);
    view_time(w, "finished_at", job->finished_ms);
    json_key(w, "timings");
    json_open(w);
    put_duration(w, "queued_ms", job->created_ms, job->started_ms);
    put_duration(w, "running_ms", job->started_ms, job->finished_ms);
    usage_put_phases(w, &job->usage);
    json_close(w);
    usage_put_sums(w, &job->usage);
    json_kv_bool(w, "cancel_requested", job->cancel_asked);
    json_kv_cstr(w, "batch", job->batch[0] ? job->batch : NULL);
    json_kv_int(w, "generation", job->generation);
    json_kv_cstr(w, "fingerprint", job->fingerprint[0] ? job->fingerprint : NULL);
    json_kv_int(w, "revision", job->revision);
    if (with_report)
        put_stored(w, "report", job->report, parser);
    put_links(w, job->id);
    json_close(w);
}

#include "api/inside.h"
#include "api/view.h"

#include "core/metrics.h"

static void answer_text(struct request *r, int status, const char *text)
{
    request_answer(
        r, &(struct answer){.status = status,
                            .type = "text/plain; charset=utf-8",
                            .body = span_of(text),
                            .headers = {status == 503 ? "Retry-After" : NULL, "5", NULL}});
}

/* Touches nothing: that the loop got here is the answer. */
void health_live(struct api *a, struct request *r, struct span id)
{
    (void)a;
    (void)id;
    answer_text(r, 200, "ok\n");
}

static void put_sites(struct json_w *w, const struct api_status *s)
{
    char text[WHEN_TEXT];
    json_open_array(w);
    for (size_t i = 0; i < s->site_count; i++) {
        const struct api_site *site = &s->sites[i];
        json_open(w);
        if (site->pack)
            pack_put_name(w, site->pack);
        else
            json_kv_cstr(w, "name", site->name);
        json_kv_cstr(w, "loaded_at", site->pack ? when_text_ms(site->loaded, text) : NULL);
        json_kv_cstr(w, "last_error", site->error);
        json_close(w);
    }
    json_close_array(w);
}

/* How the queue is: what it does as a whole, its jobs and its lanes by what holds them up. */
static void put_queue(struct json_w *w, const struct outlook *o)
{
    json_kv_cstr(w, "mode", mode_name(o->mode));
    json_key(w, "jobs");
    json_open(w);
    for (int i = 0; i <= JOB_ACTIVE; i++)
        json_kv_int(w, job_state_name((enum job_state)i), o->by_state[i]);
    json_kv_int(w, "runnable", o->runnable);
    json_close(w);
    json_key(w, "queues");
    json_open(w);
    for (int i = 0; i < LANE_WORDS; i++)
        json_kv_int(w, lane_word_name((enum lane_word)i), o->lanes[i]);
    json_close(w);
}

/* Jobs that this node took while the queue was away; null: it takes none then. */
static void put_spool(struct json_w *w, const struct spooling_state *s)
{
    json_key(w, "spool");
    if (!s->on) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_int(w, "waiting", s->waiting);
    json_kv_int(w, "handed_over", s->handed_over);
    json_kv_int(w, "aside", s->aside);
    json_kv_int(w, "stuck", s->stuck);
    json_kv_int(w, "most", s->most);
    view_time(w, "oldest_at", s->oldest_ms);
    json_close(w);
}

/* What the queue of several machines was found to have lost, since this node started. */
static void put_lost(struct json_w *w, const struct store_loss *lost)
{
    json_key(w, "lost");
    json_open(w);
    json_kv_int(w, "times", lost->count);
    json_kv_int(w, "events", lost->events);
    json_kv_int(w, "jobs", lost->jobs);
    json_close(w);
}

/* Whether this node hears of work. */
static void put_work(struct json_w *w)
{
    json_key(w, "work");
    json_open(w);
    view_time(w, "looked_at", metric_get(METRIC_QUEUE_LOOKED, 0) * 1000);
    json_kv_int(w, "wake_silent_ms", metric_get(METRIC_QUEUE_SILENT, 0));
    json_close(w);
}

static void add_verbose(struct buf *out, const struct api_status *s, bool ready,
                        const char *why)
{
    struct json_w w = json_w(out);
    json_open(&w);
    json_kv_bool(&w, "ready", ready);
    json_kv_cstr(&w, "why", ready ? NULL : why);
    json_kv_cstr(&w, "isolation", s->isolation);
    json_key(&w, "workers");
    json_open(&w);
    json_kv_int(&w, "starting", s->workers_starting);
    json_kv_int(&w, "idle", s->workers_idle);
    json_kv_int(&w, "busy", s->workers_busy);
    json_close(&w);
    json_key(&w, "browsers");
    json_open(&w);
    json_kv_int(&w, "ready", s->browsers_ready);
    json_kv_int(&w, "tabs_open", s->tabs_open);
    json_close(&w);
    put_queue(&w, &s->queue);
    put_spool(&w, &s->spool);
    put_lost(&w, &s->lost);
    put_work(&w);
    json_key(&w, "sites");
    put_sites(&w, s);
    json_kv_int(&w, "event_streams", metric_get(METRIC_SSE_CLIENTS, 0));
    json_close(&w);
    buf_add_char(out, '\n');
}

static bool takes_jobs(enum store_mode m)
{
    return m == MODE_NORMAL || m == MODE_PAUSED;
}

bool health_is_ready(const struct api *a, const struct api_status *s)
{
    return s->ready && !a->draining && takes_jobs(s->queue.mode);
}

const char *health_why(const struct api *a, const struct api_status *s)
{
    if (a->draining)
        return "the service is stopping";
    if (!s->ready)
        return s->why ? s->why : "not ready yet";
    return s->queue.mode == MODE_DRAINING ? "the service takes no jobs: mode draining"
                                          : "the service takes no jobs: mode maintenance";
}

void health_ready(struct api *a, struct request *r, struct span id)
{
    (void)id;
    struct api_status status = {0};
    struct span verbose;
    a->config.status(a->config.ctx, &status);
    bool ready = health_is_ready(a, &status);
    const char *why = health_why(a, &status);
    if (request_query(r, "verbose", &verbose)) {
        struct buf body = answer_buf();
        add_verbose(&body, &status, ready, why);
        answer_json(r, ready ? 200 : 503, &body,
                    (const char *const[]){ready ? NULL : "Retry-After", "5", NULL});
        return;
    }
    char text[256];
    snprintf(text, sizeof text, "%s\n", ready ? "ok" : why);
    answer_text(r, ready ? 200 : 503, text);
}

void health_metrics(struct api *a, struct request *r, struct span id)
{
    (void)a;
    (void)id;
    struct buf body = answer_buf();
    struct span text;
    metrics_write(&body);
    if (buf_end(&body, &text))
        answer_problem(r, 500, "internal", "the metrics are larger than %d bytes", ANSWER_MAX);
    else
        request_answer(r, &(struct answer){.status = 200,
                                           .type = "text/plain; version=0.0.4; charset=utf-8",
                                           .body = text});
    buf_free(&body);
}

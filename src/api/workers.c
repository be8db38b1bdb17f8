/* workers.c - the workers and browsers of this node, and what each does now. */
#include "api/inside.h"
#include "api/view.h"

enum { VIEWS_MAX = 256 };

static void put_number(struct json_w *w, const char *key, bool known, int64_t n)
{
    if (known)
        json_kv_int(w, key, n);
    else
        json_kv_null(w, key);
}

static void put_worker(struct json_w *w, const struct api_worker *v)
{
    bool works = v->job[0] != '\0';
    json_open(w);
    json_kv_cstr(w, "object", "worker");
    json_kv_int(w, "number", v->number);
    json_kv_cstr(w, "state", v->state);
    put_number(w, "pid", v->pid > 0, v->pid);
    json_kv_int(w, "jobs_served", v->jobs_served);
    json_kv_cstr(w, "job", works ? v->job : NULL);
    put_number(w, "attempt", works, v->attempt);
    json_kv_cstr(w, "step", works && v->step[0] ? v->step : NULL);
    put_number(w, "running_ms", works, v->running_ms);
    json_kv_bool(w, "has_page", v->has_page);
    json_close(w);
}

static void put_browser(struct json_w *w, const struct api_browser *v)
{
    json_open(w);
    json_kv_cstr(w, "object", "browser");
    json_kv_int(w, "number", v->number);
    json_kv_cstr(w, "state", v->state);
    json_kv_int(w, "pid", v->pid);
    json_kv_int(w, "pages", v->pages);
    json_kv_int(w, "jobs", v->jobs);
    json_kv_int(w, "age_s", v->age_ms / 1000);
    put_number(w, "pss_bytes", v->pss_bytes > 0, v->pss_bytes);
    json_close(w);
}

void workers_list(struct api *a, struct request *r, struct span id)
{
    (void)id;
    struct api_worker *all = arena_get(r->arena, VIEWS_MAX * sizeof *all);
    size_t n = a->config.workers ? a->config.workers(a->config.ctx, all, VIEWS_MAX) : 0;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_list_open(&w);
    for (size_t i = 0; i < n; i++)
        put_worker(&w, &all[i]);
    view_list_close(&w, VIEWS_MAX, SPAN_NONE);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

void workers_show(struct api *a, struct request *r, struct span id)
{
    int64_t number;
    (void)id;
    if (!path_number(r, "workers", &number))
        return;
    struct api_worker *all = arena_get(r->arena, VIEWS_MAX * sizeof *all);
    size_t n = a->config.workers ? a->config.workers(a->config.ctx, all, VIEWS_MAX) : 0;
    for (size_t i = 0; i < n; i++) {
        if (all[i].number != number)
            continue;
        struct buf body = answer_buf();
        struct json_w w = json_w(&body);
        put_worker(&w, &all[i]);
        buf_add_char(&body, '\n');
        answer_json(r, 200, &body, NULL);
        return;
    }
    answer_problem(r, 404, "not_found",
                   "this node has no worker %lld; GET /v1/workers lists them",
                   (long long)number);
}

void browsers_list(struct api *a, struct request *r, struct span id)
{
    (void)id;
    struct api_browser *all = arena_get(r->arena, VIEWS_MAX * sizeof *all);
    size_t n = a->config.browsers ? a->config.browsers(a->config.ctx, all, VIEWS_MAX) : 0;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    view_list_open(&w);
    for (size_t i = 0; i < n; i++)
        put_browser(&w, &all[i]);
    view_list_close(&w, VIEWS_MAX, SPAN_NONE);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

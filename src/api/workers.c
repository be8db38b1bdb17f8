/* workers.c - the workers and browsers of this node, what each does now, and what is wanted of them. */
#include "api/body.h"
#include "api/inside.h"
#include "api/view.h"

#include "base/log.h"
#include "os/clock.h"

enum {
    VIEWS_MAX = 256,
    REASON_MAX = 200,
    STACK_MS = 1000, /* that a worker has to say where it is */
    STACK_LOOK_MS = 5,
};

static void put_worker(struct json_w *w, const struct api_worker *v)
{
    bool works = v->job[0] != '\0';
    json_open(w);
    json_kv_cstr(w, "object", "worker");
    json_kv_int(w, "number", v->number);
    json_kv_cstr(w, "state", v->state);
    json_kv_cstr(w, "hold", v->hold);
    json_kv_known(w, "pid", v->pid > 0, v->pid);
    json_kv_int(w, "jobs_served", v->jobs_served);
    json_kv_cstr(w, "job", works ? v->job : NULL);
    json_kv_known(w, "attempt", works, v->attempt);
    json_kv_cstr(w, "step", works && v->step[0] ? v->step : NULL);
    json_kv_known(w, "running_ms", works, v->running_ms);
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
    json_kv_int(w, "launches", v->launches);
    json_kv_int(w, "age_s", v->age_ms / 1000);
    json_kv_known(w, "pss_bytes", v->pss_bytes > 0, v->pss_bytes);
    json_kv_cstr(w, "recycle_reason", v->recycle_reason);
    json_key(w, "probe");
    json_open(w);
    json_kv_bool(w, "ok", v->probe_ok);
    json_kv_int(w, "misses", v->probe_misses);
    json_kv_known(w, "latency_ms", v->probe_ms >= 0, v->probe_ms);
    view_time(w, "last_ok_at", v->probe_age_ms >= 0 ? clock_wall().ms - v->probe_age_ms : 0);
    json_close(w);
    json_close(w);
}

/* ---- what there is ---- */

static size_t all_workers(struct api *a, struct request *r, struct api_worker **out)
{
    *out = arena_get(r->arena, VIEWS_MAX * sizeof **out);
    return a->config.workers ? a->config.workers(a->config.ctx, *out, VIEWS_MAX) : 0;
}

static size_t all_browsers(struct api *a, struct request *r, struct api_browser **out)
{
    *out = arena_get(r->arena, VIEWS_MAX * sizeof **out);
    return a->config.browsers ? a->config.browsers(a->config.ctx, *out, VIEWS_MAX) : 0;
}

void workers_list(struct api *a, struct request *r, struct span id)
{
    (void)id;
    struct api_worker *all;
    size_t n = all_workers(a, r, &all);
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < n; i++)
        put_worker(&w, &all[i]);
    answer_list(r, 200, &body, &w, VIEWS_MAX, SPAN_NONE);
}

void browsers_list(struct api *a, struct request *r, struct span id)
{
    (void)id;
    struct api_browser *all;
    size_t n = all_browsers(a, r, &all);
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    for (size_t i = 0; i < n; i++)
        put_browser(&w, &all[i]);
    answer_list(r, 200, &body, &w, VIEWS_MAX, SPAN_NONE);
}

static void answer_worker(struct api *a, struct request *r, int64_t number)
{
    struct api_worker *all;
    size_t n = all_workers(a, r, &all), at = 0;
    while (at < n && all[at].number != number)
        at++;
    if (at == n) {
        answer_problem(r, 404, "not_found",
                       "this node has no worker %lld; GET /v1/workers lists them",
                       (long long)number);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_worker(&w, &all[at]);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

void workers_show(struct api *a, struct request *r, struct span id)
{
    int64_t number;
    (void)id;
    if (path_number(r, "workers", &number))
        answer_worker(a, r, number);
}

void browsers_show(struct api *a, struct request *r, struct span id)
{
    int64_t number;
    struct api_browser *all;
    (void)id;
    if (!path_number(r, "browsers", &number))
        return;
    size_t n = all_browsers(a, r, &all), at = 0;
    while (at < n && all[at].number != number)
        at++;
    if (at == n) {
        answer_problem(r, 404, "not_found",
                       "this node has no browser %lld; GET /v1/browsers lists them",
                       (long long)number);
        return;
    }
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    put_browser(&w, &all[at]);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

/* ---- what is wanted of them ---- */

/* False: answered. out_count may be NULL: the body has none. */
static bool read_wish(struct api *a, struct request *r, int64_t *out_count,
                      struct span *out_reason)
{
    static const char *const with[] = {"count", "reason", NULL};
    const char *const *members = out_count ? with : with + 1;
    struct order_refusal refusal = {0};
    struct body b = {&refusal, r->arena};
    struct json root, v;
    *out_reason = SPAN_NONE;
    if (r->body.n && !body_is_json(r))
        return false;
    bool fine = body_read(&b, a->json, r->body, !out_count, members, &root);
    if (fine && out_count && !body_given(root, "count", &v))
        body_refuse(&b, SPAN("/count"), "required", "says how many workers are wanted");
    if (fine && out_count)
        body_number(&b, root, "", "count", 0, VIEWS_MAX, out_count);
    if (fine)
        body_text(&b, root, "", "reason", REASON_MAX, out_reason);
    fine = fine && body_fine(&b);
    if (!fine)
        answer_refusal(r, &refusal);
    return fine;
}

static void answer_refused(struct request *r, err e, const struct fault *f)
{
    int status = e == E_NOT_FOUND ? 404 : e == E_CONFLICT ? 409 : 422;
    const char *code = e == E_NOT_FOUND  ? "not_found"
                       : e == E_CONFLICT ? "conflict_state"
                                         : "validation_failed";
    answer_problem(r, status, code, "%s", f->words);
}

/* "…/7/quiet": what stands for {word}. False: answered 404. */
static bool number_of(struct request *r, struct span id, const char *nouns, int64_t *out)
{
    if (span_int(id, out) && *out >= 1)
        return true;
    answer_problem(r, 404, "not_found", "%s have numbers from 1", nouns);
    return false;
}

static void act(struct api *a, struct request *r, struct span id, enum api_act what)
{
    static const char *const names[] = {"quiet", "resume", "stop", "kill"};
    int64_t number;
    struct span reason;
    struct fault f = {0};
    if (!number_of(r, id, "workers", &number) || !read_wish(a, r, NULL, &reason))
        return;
    err e = a->config.worker_act ? a->config.worker_act(a->config.ctx, number, what, &f)
                                 : fail(&f, E_NOT_FOUND, "this node has no workers");
    if (e) {
        answer_refused(r, e, &f);
        return;
    }
    log_info("worker.asked", F_N("number", number), F_C("to", names[what]), F_S("why", reason));
    answer_worker(a, r, number);
}

void workers_quiet(struct api *a, struct request *r, struct span id)
{
    act(a, r, id, ACT_QUIET);
}

void workers_resume(struct api *a, struct request *r, struct span id)
{
    act(a, r, id, ACT_RESUME);
}

void workers_stop(struct api *a, struct request *r, struct span id)
{
    act(a, r, id, ACT_STOP);
}

void workers_kill(struct api *a, struct request *r, struct span id)
{
    act(a, r, id, ACT_KILL);
}

static void put_waits(struct json_w *w, const struct api_worker_dump *d)
{
    const struct {
        const char *name;
        bool is;
    } waits[] = {{"store", d->for_store},
                 {"fetch", d->for_fetch},
                 {"media", d->for_media},
                 {"pictures", d->for_pictures}};
    json_key(w, "waits_for");
    json_open_array(w);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (waits[i].is)
            json_put_text(w, span_of(waits[i].name));
    json_close_array(w);
}

static void put_process(struct json_w *w, const struct api_worker_dump *d)
{
    const char state[] = {d->process_state, '\0'};
    json_key(w, "process");
    if (!d->alive) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "state", state);
    json_kv_int(w, "cpu_ms", d->cpu_ms);
    json_kv_int(w, "threads", d->threads);
    json_kv_known(w, "pss_bytes", d->memory_bytes > 0, d->memory_bytes);
    json_close(w);
}

static void put_progress(struct json_w *w, const struct api_worker_dump *d)
{
    json_key(w, "progress");
    if (!d->worker.job[0]) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "lane", d->lane);
    json_kv_int(w, "batches", d->batches);
    json_kv_int(w, "records", d->records);
    json_kv_int(w, "requests", d->requests);
    json_kv_int(w, "net_bytes", d->net_bytes);
    json_kv_int(w, "silent_ms", d->quiet_ms);
    json_kv_bool(w, "stop_asked", d->stop_asked);
    json_close(w);
}

/* By the names that DevTools has for it. */
static void put_page(struct json_w *w, const struct tab_view *page)
{
    json_key(w, "page");
    if (!page->state) {
        json_put_null(w);
        return;
    }
    json_open(w);
    json_kv_cstr(w, "state", page->state);
    json_kv_int(w, "browser", page->browser);
    json_kv_cstr(w, "context", page->context[0] ? page->context : NULL);
    json_kv_cstr(w, "target", page->target[0] ? page->target : NULL);
    json_kv_cstr(w, "session", page->session[0] ? page->session : NULL);
    json_kv_int(w, "open_calls", page->open_calls);
    json_kv_int(w, "renderers", page->renderers);
    json_kv_known(w, "cpu_ms", page->cost.cpu_ms >= 0, page->cost.cpu_ms);
    json_kv_known(w, "peak_pss_bytes", page->cost.peak_pss_bytes >= 0,
                  page->cost.peak_pss_bytes);
    json_close(w);
}

/* A dump whose worker was asked for its stack. */
struct dump {
    struct api_worker_dump facts;
    int64_t number, pid;
    mono until;
    const char *const *stack;
    size_t frames;
    struct fault fault; /* why there is none */
};

static void put_stack(struct json_w *w, const struct dump *d)
{
    json_key(w, "stack");
    if (!d->stack)
        json_put_null(w);
    else
        json_open_array(w);
    for (size_t i = 0; d->stack && i < d->frames; i++)
        json_put_text(w, span_of(d->stack[i]));
    if (d->stack)
        json_close_array(w);
    json_kv_cstr(w, "stack_missing", d->stack ? NULL : d->fault.words);
}

static void answer_dump(struct request *r, const struct dump *dump)
{
    const struct api_worker_dump *d = &dump->facts;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "worker_dump");
    json_key(&w, "worker");
    put_worker(&w, &d->worker);
    put_process(&w, d);
    put_stack(&w, dump);
    put_progress(&w, d);
    put_page(&w, &d->page);
    put_waits(&w, d);
    json_kv_int(&w, "unread_bytes", d->unread_bytes);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

static void look_at_stack(void *ctx)
{
    struct call *c = ctx;
    struct dump *d = c->more;
    const struct api_config *config = &c->api->config;
    d->fault = (struct fault){0};
    err e = config->worker_stack_take(config->ctx, d->number, d->pid, c->op.arena, &d->stack,
                                      &d->frames, &d->fault);
    if (e == E_BUSY && !mono_past(d->until, clock_mono())) {
        timer_start(c->bell, STACK_LOOK_MS);
        return;
    }
    if (e == E_BUSY) {
        d->fault = (struct fault){0};
        (void)fail(&d->fault, E_TIMEOUT,
                   "it did not answer within %d ms: it is stopped, or the kernel holds it",
                   STACK_MS);
    }
    answer_dump(c->request, d);
}

void workers_dump(struct api *a, struct request *r, struct span id)
{
    int64_t number;
    struct span reason;
    struct fault f = {0};
    if (!number_of(r, id, "workers", &number) || !read_wish(a, r, NULL, &reason))
        return;
    struct call *c = call_new(a, r, SPAN_NONE);
    struct dump *d = arena_new_of(c->op.arena, struct dump);
    d->number = number;
    err e = a->config.worker_dump ? a->config.worker_dump(a->config.ctx, number, &d->facts, &f)
                                  : fail(&f, E_NOT_FOUND, "this node has no workers");
    if (e) {
        answer_refused(r, e, &f);
        return;
    }
    c->more = d;
    if (a->config.worker_stack_ask(a->config.ctx, number, &d->pid, &d->fault)) {
        answer_dump(r, d);
        return;
    }
    d->until = mono_add(clock_mono(), STACK_MS);
    c->bell = timer_new(a->loop, look_at_stack, c, "worker stack");
    timer_start(c->bell, STACK_LOOK_MS);
    request_hold_long(r);
}

/* ---- how many ---- */

/* Which jobs would be in the way of a node that goes: who has them, and for how long. */
static void put_leases(struct api *a, struct request *r, struct json_w *w)
{
    struct api_worker *all;
    size_t n = all_workers(a, r, &all);
    json_key(w, "leases");
    json_open_array(w);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].job[0])
            continue;
        json_open(w);
        json_kv_int(w, "worker", all[i].number);
        json_kv_cstr(w, "hold", all[i].hold);
        json_kv_cstr(w, "job", all[i].job);
        json_kv_int(w, "attempt", all[i].attempt);
        json_kv_int(w, "running_ms", all[i].running_ms);
        json_close(w);
    }
    json_close_array(w);
}

static void answer_scale(struct api *a, struct request *r)
{
    struct api_scale s = {0};
    if (a->config.workers_scale_view)
        a->config.workers_scale_view(a->config.ctx, &s);
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "scale");
    json_kv_int(&w, "count", s.count);
    json_kv_int(&w, "most", s.most);
    json_kv_int(&w, "configured", s.at_start);
    json_kv_int(&w, "busy", s.busy);
    json_kv_int(&w, "runnable", s.runnable);
    json_kv_int(&w, "desired", s.desired);
    put_leases(a, r, &w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(r, 200, &body, NULL);
}

void workers_scale_show(struct api *a, struct request *r, struct span id)
{
    (void)id;
    answer_scale(a, r);
}

void workers_scale(struct api *a, struct request *r, struct span id)
{
    int64_t count = 0;
    struct span reason;
    struct fault f = {0};
    (void)id;
    if (!read_wish(a, r, &count, &reason))
        return;
    err e = a->config.workers_scale ? a->config.workers_scale(a->config.ctx, count, &f)
                                    : fail(&f, E_CONFLICT, "this node has no workers");
    if (e) {
        answer_refused(r, e, &f);
        return;
    }
    log_info("workers.asked", F_N("count", count), F_S("why", reason));
    answer_scale(a, r);
}

void browsers_recycle_one(struct api *a, struct request *r, struct span id)
{
    int64_t number;
    struct span reason;
    struct fault f = {0};
    struct api_browser *all;
    if (!number_of(r, id, "browsers", &number) || !read_wish(a, r, NULL, &reason))
        return;
    err e = a->config.browser_recycle ? a->config.browser_recycle(a->config.ctx, number, &f)
                                      : fail(&f, E_NOT_FOUND, "this node has no browsers");
    if (e) {
        answer_refused(r, e, &f);
        return;
    }
    log_info("browser.asked", F_N("number", number), F_C("to", "recycle"), F_S("why", reason));
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    size_t n = all_browsers(a, r, &all);
    for (size_t i = 0; i < n; i++)
        if (all[i].number == number)
            put_browser(&w, &all[i]);
    answer_list(r, 202, &body, &w, VIEWS_MAX, SPAN_NONE);
}

#include "api/inside.h"

#include "base/text.h"
#include "os/clock.h"

enum { PAGE_JOBS = 50, REFRESH_S = 5 };

static const char style[] =
    ":root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\n"
    "body{max-width:70rem;margin:2rem auto;padding:0 1rem}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.35rem .75rem .35rem 0;border-bottom:1px solid "
    "#8884;vertical-align:top}\n"
    "td.n,th.n{text-align:right}\n"
    "code{font:13px ui-monospace,monospace}\n"
    ".dead,.warn{color:#b3261e}.succeeded,.ok{color:#1b7f3b}.active{color:#1a5fb4}\n"
    "@media(prefers-color-scheme:dark){.dead,.warn{color:#ff8a80}.succeeded,.ok{color:#7bd88f}."
    "active{color:#8ab4f8}}\n";

/* No script, no form, nothing from elsewhere, in no frame. */
static const char policy[] =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static void add_text(struct buf *out, struct span text)
{
    text_add_escaped_html(out, text);
}

static void add_cell(struct buf *out, struct span text)
{
    buf_add_text(out, "<td>");
    add_text(out, text);
    buf_add_text(out, "</td>");
}

static struct span outcome(const struct job_view *job)
{
    if (job->failure != FAILURE_NONE)
        return span_of(failure_name(job->failure));
    return job->verdict == VERDICT_NONE ? SPAN("") : span_of(verdict_name(job->verdict));
}

static void add_job(struct buf *out, const struct job_view *job)
{
    char when[WHEN_TEXT];
    const char *state = job_state_name(job->state);
    buf_fmt(out, "<tr><td><a href=\"/v1/jobs/%s\"><code>%s</code></a></td>", job->id, job->id);
    add_cell(out, job->site);
    add_cell(out, job->kind);
    add_cell(out, job->target);
    buf_fmt(out, "<td class=\"%s\">%s</td>", state, state);
    add_cell(out, outcome(job));
    buf_fmt(out, "<td class=\"n\"><a href=\"/v1/jobs/%s/posts?limit=200\">%lld</a>", job->id,
            (long long)job->have);
    if (job->limit > 0)
        buf_fmt(out, " / %lld", (long long)job->limit);
    buf_fmt(out, "</td><td>%s</td>", when_text((wall){job->created_ms}, when));
    add_cell(out, job->why);
    buf_add_text(out, "</tr>\n");
}

static void add_top(struct buf *out, const struct api *a, const struct api_status *s)
{
    bool ready = s->ready && !a->draining;
    char when[WHEN_TEXT];
    buf_fmt(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fulmar</title>"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<meta http-equiv=\"refresh\" content=\"%d\">"
        "<link rel=\"stylesheet\" href=\"/style.css\"></head><body>\n<h1>Fulmar</h1>\n<p>",
        REFRESH_S);
    if (ready) {
        buf_add_text(out, "<strong class=\"ok\">ready</strong>");
    } else {
        buf_add_text(out, "<strong class=\"warn\">not ready</strong>: ");
        add_text(out, span_of(a->draining ? "the service is stopping" : s->why));
    }
    buf_fmt(out,
            " · workers: %lld busy, %lld idle, %lld starting · browsers: %lld ready, %lld tabs "
            "open · isolation: ",
            (long long)s->workers_busy, (long long)s->workers_idle,
            (long long)s->workers_starting, (long long)s->browsers_ready,
            (long long)s->tabs_open);
    add_text(out, span_of(s->isolation));
    buf_fmt(out,
            " · %s</p>\n<p><a href=\"/metrics\">metrics</a> · <a "
            "href=\"/readyz?verbose\">readiness</a> · "
            "<a href=\"/v1/jobs\">jobs as JSON</a></p>\n",
            when_text(clock_wall(), when));
}

static void on_jobs(struct call *c)
{
    struct request *r = c->request;
    if (c->op.result) {
        answer_fault(r, c->op.result, &c->op.fault);
        return;
    }
    struct api_status status = {0};
    c->api->config.status(c->api->config.ctx, &status);
    struct buf body = answer_buf();
    struct span text;
    add_top(&body, c->api, &status);
    buf_add_text(
        &body,
        "<table><thead><tr><th>job</th><th>site</th><th>kind</th><th>target</th><th>state</th>"
        "<th>outcome</th><th "
        "class=\"n\">posts</th><th>accepted</th><th>why</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < c->op.out.jobs.count; i++)
        add_job(&body, &c->op.out.jobs.jobs[i]);
    buf_add_text(&body, "</tbody></table>\n");
    if (!c->op.out.jobs.count)
        buf_add_text(&body,
                     "<p>No job yet. <code>fulmar get posts @nasa --limit 20</code></p>\n");
    buf_add_text(&body, "</body></html>\n");
    if (buf_end(&body, &text))
        answer_problem(r, 500, "internal", "the page is larger than %d bytes", ANSWER_MAX);
    else
        request_answer(r, &(struct answer){.status = 200,
                                           .type = "text/html; charset=utf-8",
                                           .body = text,
                                           .headers = {"Content-Security-Policy", policy,
                                                       "Referrer-Policy", "no-referrer",
                                                       "X-Frame-Options", "DENY", NULL}});
    buf_free(&body);
}

void front_show(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    c->op.in.jobs = (struct jobs_query){.state = -1, .limit = PAGE_JOBS};
    call_post(c, STORE_JOBS, on_jobs);
}

void front_style(struct api *a, struct request *r, struct span id)
{
    (void)a;
    (void)id;
    request_answer(r, &(struct answer){.status = 200,
                                       .type = "text/css; charset=utf-8",
                                       .body = span_of(style)});
}

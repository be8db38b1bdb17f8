#include "api/inside.h"
#include "api/lane_view.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/random.h"

enum {
    PAGE_JOBS = 50,
    PAGE_LANES = 20,
    TROUBLE_MAX = 64 * 1024,
    REFRESH_S = 5,
    NONCE_BYTES = 16
};

static const char style[] =
    ":root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\n"
    "body{max-width:80rem;margin:2rem auto;padding:0 1rem}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.35rem 1rem .35rem 0;border-bottom:1px solid "
    "#8884;vertical-align:top}\n"
    "td.n,th.n{text-align:right}\n"
    ".n,.when,.state,.kind,code{white-space:nowrap}.target,.outcome{overflow-wrap:anywhere}\n"
    "td.outcome{width:35%}\n"
    "code{font:13px ui-monospace,monospace}\n"
    "small{display:block;font-size:13px;opacity:.8}\n"
    ".dead,.warn{color:#b3261e}.succeeded,.ok{color:#1b7f3b}.active{color:#1a5fb4}\n"
    "@media(prefers-color-scheme:dark){.dead,.warn{color:#ff8a80}.succeeded,.ok{color:#7bd88f}."
    "active{color:#8ab4f8}}\n"
    /* A narrow screen gets a card for each job instead of a row. */
    "@media(max-width:45rem){body{margin:1rem auto}table,tbody{display:block}"
    "thead{display:none}\n"
    "tr{display:grid;grid-template-columns:auto 1fr auto;gap:0 1rem;padding:.6rem 0;"
    "border-bottom:1px solid #8884;"
    "grid-template-areas:\"target target kind\" \"state outcome n\" \"when when when\"}\n"
    "td,td.outcome{border:0;padding:0;width:auto}.target{grid-area:target}"
    ".kind{grid-area:kind;text-align:right}.state{grid-area:state}"
    ".outcome{grid-area:outcome}td.n{grid-area:n}.when{grid-area:when;opacity:.8}"
    ".when::before{content:\"accepted \"}}\n";

/* Puts the new state in the place of the old one, so that the page stays where it was scrolled
 * to; waits while somebody selects text or looks elsewhere. */
static const char script[] =
    "const lost=document.getElementById('lost');\n"
    "async function renew(){\n"
    "  const old=document.getElementById('live');\n"
    "  if(document.hidden||String(getSelection()))return;\n"
    "  const answer=await fetch('/',{cache:'no-store',signal:AbortSignal.timeout(10000)});\n"
    "  if(!answer.ok)throw answer.status;\n"
    "  const page=new DOMParser().parseFromString(await answer.text(),'text/html');\n"
    "  const at=old.contains(document.activeElement)&&"
    "document.activeElement.getAttribute('href');\n"
    "  old.replaceWith(page.getElementById('live'));\n"
    "  for(const link of at?document.links:[])\n"
    "    if(link.getAttribute('href')===at)link.focus({preventScroll:true});\n"
    "  lost.hidden=true;\n"
    "}\n"
    "(async()=>{for(;;){\n"
    "  await new Promise(go=>setTimeout(go,PAUSE_MS));\n"
    "  await renew().catch(()=>{lost.hidden=false});\n"
    "}})();\n";

/* Of scripts only ours, no form, nothing from elsewhere, in no frame. */
static const char policy[] =
    "default-src 'none'; style-src 'self'; script-src 'nonce-%s'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* Another one for each answer: what gets into the page by a hole cannot know it. */
static void draw_nonce(char out[2 * NONCE_BYTES + 1])
{
    unsigned char bytes[NONCE_BYTES];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void add_text(struct buf *out, struct span text)
{
    text_add_escaped_html(out, text);
}

static struct span outcome(const struct job_view *job)
{
    if (job->failure != FAILURE_NONE)
        return span_of(failure_name(job->failure));
    return job->verdict == VERDICT_NONE ? SPAN("") : span_of(verdict_name(job->verdict));
}

static void add_small(struct buf *out, struct span text)
{
    if (!text.n)
        return;
    buf_add_text(out, "<small>");
    add_text(out, text);
    buf_add_text(out, "</small>");
}

static void add_state(struct buf *out, const struct job_view *job)
{
    char when[WHEN_TEXT];
    const char *state = job_state_name(job->state);
    buf_fmt(out, "<td class=\"state\"><span class=\"%s\">%s</span>", state, state);
    if (job->waiting != WAITING_NONE)
        buf_fmt(out, "<small>waits for %s</small>", waiting_name(job->waiting));
    if (job->waiting != WAITING_NONE && job->waiting_until_ms)
        buf_fmt(out, "<small>until %s</small>", when_text((wall){job->waiting_until_ms}, when));
    buf_add_text(out, "</td>");
}

/* What the job is there for. */
static void add_records(struct buf *out, const struct job_view *job)
{
    bool users = job->counts == ITEM_USER;
    buf_fmt(out, "<td class=\"n\"><a href=\"/v1/jobs/%s/%s?limit=200\">%lld</a>", job->id,
            users ? "users" : "posts", (long long)job->have);
    if (job->limit > 0)
        buf_fmt(out, " / %lld", (long long)job->limit);
    buf_add_text(out, "</td>");
}

static void add_job(struct buf *out, const struct job_view *job)
{
    char when[WHEN_TEXT];
    buf_add_text(out, "<tr><td class=\"target\">");
    add_text(out, job->target);
    buf_fmt(out, "<small><a href=\"/v1/jobs/%s\"><code>%s</code></a></small></td>", job->id,
            job->id);
    buf_add_text(out, "<td class=\"kind\">");
    add_text(out, job->site);
    buf_add_char(out, ' ');
    add_text(out, job->kind);
    buf_add_text(out, "</td>");
    add_state(out, job);
    buf_add_text(out, "<td class=\"outcome\">");
    if (job->failure != FAILURE_NONE && !job_is_final(job->state))
        buf_add_text(out, "last try: ");
    add_text(out, outcome(job));
    add_small(out, job->why);
    buf_add_text(out, "</td>");
    add_records(out, job);
    buf_fmt(out, "<td class=\"when\">%s</td></tr>\n", when_text((wall){job->created_ms}, when));
}

/* "mode paused · jobs: 3 ready (1 could start), 2 active · queues: 4 open, 1 paused" */
static void add_queue(struct buf *out, const struct outlook *o)
{
    const char *before = " ";
    if (o->mode != MODE_NORMAL)
        buf_fmt(out, "<strong class=\"warn\">mode %s</strong> · ", mode_name(o->mode));
    buf_fmt(out, "jobs: %lld ready (%lld could start), %lld scheduled, %lld active · queues:",
            (long long)o->by_state[JOB_READY], (long long)o->runnable,
            (long long)o->by_state[JOB_SCHEDULED], (long long)o->by_state[JOB_ACTIVE]);
    for (int i = 0; i < LANE_WORDS; i++) {
        if (!o->lanes[i])
            continue;
        buf_fmt(out, "%s%lld %s", before, (long long)o->lanes[i],
                lane_word_name((enum lane_word)i));
        before = ", ";
    }
    if (before[0] == ' ')
        buf_add_text(out, " none has jobs");
}

static void add_top(struct buf *out, const struct api *a, const struct api_status *s)
{
    bool ready = health_is_ready(a, s);
    char when[WHEN_TEXT];
    buf_fmt(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fulmar</title>"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<noscript><meta http-equiv=\"refresh\" content=\"%d\"></noscript>"
        "<link rel=\"stylesheet\" href=\"/style.css\"></head><body>\n<h1>Fulmar</h1>\n"
        "<p id=\"lost\" class=\"warn\" hidden>The service does not answer; this is what it "
        "said "
        "last.</p>\n<main id=\"live\"><p>",
        REFRESH_S);
    if (ready) {
        buf_add_text(out, "<strong class=\"ok\">ready</strong>");
    } else {
        buf_add_text(out, "<strong class=\"warn\">not ready</strong>: ");
        add_text(out, span_of(health_why(a, s)));
    }
    buf_fmt(out,
            " · workers: %lld busy, %lld idle, %lld starting · browsers: %lld ready, %lld tabs "
            "open · isolation: ",
            (long long)s->workers_busy, (long long)s->workers_idle,
            (long long)s->workers_starting, (long long)s->browsers_ready,
            (long long)s->tabs_open);
    add_text(out, span_of(s->isolation));
    buf_fmt(out, " · %s</p>\n<p>", when_text(clock_wall(), when));
    add_queue(out, &s->queue);
    buf_add_text(
        out,
        "</p>\n<p><a href=\"/metrics\">metrics</a> · <a href=\"/readyz?verbose\">readiness</a> · "
        "<a href=\"/v1/jobs\">jobs as JSON</a> · <a href=\"/v1/queues\">queues as JSON</a></p>\n");
}

/* The queues that something holds up, each with what and until when. */
static void add_troubled(struct buf *out, const struct lane_view *lanes, size_t count,
                         bool more)
{
    struct buf words = BUF(2048);
    if (!count)
        return;
    buf_add_text(
        out,
        "<table><thead><tr><th>queue that is held up</th><th>why</th><th class=\"n\">waiting</th>"
        "</tr></thead><tbody>\n");
    for (size_t i = 0; i < count; i++) {
        buf_clear(&words);
        lane_trouble(&words, &lanes[i]);
        buf_add_text(out, "<tr><td class=\"target\">");
        add_text(out, lanes[i].name);
        buf_add_text(out, "</td><td class=\"outcome warn\">");
        add_text(out, buf_span(&words));
        buf_fmt(out, "</td><td class=\"n\">%lld</td></tr>\n",
                (long long)(lanes[i].blocked + lanes[i].scheduled + lanes[i].ready));
    }
    buf_add_text(out, "</tbody></table>\n");
    if (more)
        buf_add_text(
            out,
            "<p>There may be more: <a href=\"/v1/queues?troubled=true\">all that are held up</a></p>\n");
    buf_free(&words);
}

static void add_table(struct buf *out, const struct job_view *jobs, size_t count)
{
    buf_add_text(
        out, "<table><thead><tr><th>target, job</th><th>kind</th><th>state</th><th>outcome</th>"
             "<th class=\"n\">records</th><th>accepted</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < count; i++)
        add_job(out, &jobs[i]);
    buf_add_text(out, "</tbody></table>\n");
    if (!count)
        buf_add_text(out,
                     "<p>No job yet. <code>fulmar get posts @nasa --limit 20</code></p>\n");
}

static void add_script(struct buf *out, const char *nonce)
{
    buf_fmt(out, "<script nonce=\"%s\">const PAUSE_MS=%d;\n%s</script>\n", nonce,
            REFRESH_S * 1000, script);
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
    char nonce[2 * NONCE_BYTES + 1], rules[sizeof policy + sizeof nonce];
    draw_nonce(nonce);
    snprintf(rules, sizeof rules, policy, nonce);
    add_top(&body, c->api, &status);
    buf_add(&body, c->kept);
    add_table(&body, c->op.out.jobs.jobs, c->op.out.jobs.count);
    buf_add_text(&body, "</main>\n");
    add_script(&body, nonce);
    buf_add_text(&body, "</body></html>\n");
    if (buf_end(&body, &text))
        answer_problem(r, 500, "internal", "the page is larger than %d bytes", ANSWER_MAX);
    else
        request_answer(
            r, &(struct answer){.status = 200,
                                .type = "text/html; charset=utf-8",
                                .body = text,
                                .headers = {"Content-Security-Policy", rules, "Referrer-Policy",
                                            "no-referrer", "X-Frame-Options", "DENY", NULL}});
    buf_free(&body);
}

static void on_lanes(struct call *c)
{
    struct buf text = BUF(TROUBLE_MAX);
    if (!c->op.result)
        add_troubled(&text, c->op.out.lanes.lanes, c->op.out.lanes.count,
                     c->op.out.lanes.next.n > 0);
    c->kept = text.failed ? SPAN("") : arena_keep(c->op.arena, buf_span(&text));
    buf_free(&text);
    c->op.in.jobs = (struct jobs_query){.state = -1, .limit = PAGE_JOBS};
    call_post(c, STORE_JOBS, on_jobs);
}

void front_show(struct api *a, struct request *r, struct span id)
{
    struct call *c = call_new(a, r, id);
    c->op.in.lanes = (struct lanes_query){.troubled = true, .limit = PAGE_LANES};
    call_post(c, STORE_LANES, on_lanes);
}

void front_style(struct api *a, struct request *r, struct span id)
{
    (void)a;
    (void)id;
    request_answer(r, &(struct answer){.status = 200,
                                       .type = "text/css; charset=utf-8",
                                       .body = span_of(style)});
}

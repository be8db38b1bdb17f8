#include "cli/ask.h"
#include "cli/files.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/outcome.h"
#include "cli/records.h"
#include "cli/service.h"
#include "cli/wait.h"
#include "cli/wish.h"

#include "api/order.h"
#include "base/text.h"
#include "core/job.h"
#include "extract/include.h"
#include "extract/fields.h"
#include "extract/pack.h"
#include "os/clock.h"
#include "os/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DRAW_MS = 100,        /* at most ten times a second */
    PLAIN_MS = 30 * 1000, /* without a terminal: a line now and then keeps CI logs alive */
    FETCH_MS = 500,
    FETCH_ROWS = 500,
    FETCH_MAX = 8 * 1024 * 1024,
    PATIENCE_MS = 30 * 1000, /* a service that is started again is back by then */
    ANSWER_MS = 40 * 1000,
    LINE_COLUMNS = 200,
    KINDS_MAX = 32, /* of a site pack, for words */
    TARGET_MAX = 4096,
};

/* ---- one get ---- */

struct get {
    struct cli *cli;
    struct service service;
    struct rows *rows;
    struct json_parser *parser;
    struct fault fault;
    struct buf body; /* the order as JSON */
    struct wish wish;
    const char *kind, *target;
    const char *shown; /* the target, fit for a terminal */
    char id[64];
    enum job_state state;
    int64_t have, batches, attempt, after;
    mono began, drawn, fetched;
    bool on_terminal, users, drawing;
    bool broken;               /* records cannot be written */
    bool existing;             /* a job with this unique key was there */
    struct media_files *files; /* of media, to be put beside the records; NULL: they are not */
};

/* ---- the line of progress ---- */

static void clear_line(struct get *g)
{
    if (g->drawing)
        fputs("\r\x1b[K", stderr);
    g->drawing = false;
}

static void add_progress(struct buf *out, const struct get *g)
{
    buf_fmt(out, "%s  %s  %lld", g->shown, g->kind, (long long)g->have);
    if (g->wish.limit)
        buf_fmt(out, "/%lld", (long long)g->wish.limit);
    buf_fmt(out, "  p%lld  %llds", (long long)g->batches,
            (long long)((clock_mono().ms - g->began.ms) / 1000));
    if (g->attempt > 1)
        buf_fmt(out, "  attempt %lld", (long long)g->attempt);
    buf_fmt(out, "  [%s]",
            g->state == JOB_ACTIVE ? "running"
            : g->id[0]             ? job_state_name(g->state)
                                   : "starting");
}

static void show_progress(struct get *g)
{
    mono now = clock_mono();
    int64_t pause = g->on_terminal ? DRAW_MS : PLAIN_MS;
    if (g->cli->quiet || now.ms - g->drawn.ms < pause)
        return;
    g->drawn = now;
    struct buf line = BUF(4096), cut = BUF(4096);
    add_progress(&line, g);
    size_t columns = g->on_terminal ? records_columns(STDERR_FILENO) - 1 : LINE_COLUMNS;
    text_add_cut(&cut, buf_span(&line), columns);
    if (g->on_terminal)
        fprintf(stderr, "\r%.*s\x1b[K", SP(buf_span(&cut)));
    else
        fprintf(stderr, "%.*s\n", SP(buf_span(&cut)));
    g->drawing = g->on_terminal;
    fflush(stderr);
    buf_free(&line);
    buf_free(&cut);
}

/* ---- what the site pack says, before a whole service is started to say it ---- */

static int check_kind(struct cli *c, const struct pack *pack)
{
    const char *names[KINDS_MAX + 1] = {NULL};
    const struct span *kinds;
    struct buf known = BUF(1024);
    size_t count = pack_targets(pack, &kinds);
    for (size_t i = 0; i < count && i < KINDS_MAX; i++) {
        if (span_is(kinds[i], c->words[1])) {
            buf_free(&known);
            return EXIT_DONE;
        }
        names[i] = arena_text(c->arena, kinds[i]);
        buf_fmt(&known, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = text_nearest(span_of(c->words[1]), names);
    int code =
        near ? cli_usage("get", "unknown kind '%.40s'; did you mean '%s'?", c->words[1], near)
             : cli_usage("get", "unknown kind '%.40s'; known are %.*s", c->words[1],
                         SP(buf_span(&known)));
    buf_free(&known);
    return code;
}

static int check_include(struct cli *c, const struct pack *pack)
{
    struct fault f = {0};
    struct include_way way;
    struct span list = span_of(c->include), name;
    unsigned kinds = 0;
    while (span_next(&list, ',', &name))
        kinds |= exclude_bit(name);
    struct arena *a = arena_new(16 * 1024);
    err e = pack_include(pack, span_of(c->words[1]), span_of(c->words[2]), kinds, a, &way, &f);
    arena_free(&a);
    if (e)
        cli_say("include: %s", cli_printable(c, span_of(f.words)));
    return e ? EXIT_DATA : EXIT_DONE;
}

static int check_options(struct cli *c, const struct pack *pack)
{
    struct fault f = {0};
    struct span name;
    bool users;
    if (pack_product(pack, span_of(c->words[1]), span_of(c->product), &name, &users, &f)) {
        cli_say("product: %s", cli_printable(c, span_of(f.words)));
        return EXIT_DATA;
    }
    if (c->depth && !pack_has_depth(pack, span_of(c->words[1]))) {
        cli_say("depth: %s has no depth: only a thread does", c->words[1]);
        return EXIT_DATA;
    }
    if (c->include && check_include(c, pack))
        return EXIT_DATA;
    return wish_fields_of(c, "get", users ? FIELDS_OF_USERS : FIELDS_OF_POSTS);
}

static int check_target(struct cli *c, const struct pack *pack)
{
    struct fault f = {0};
    struct buf canonical = BUF(TARGET_MAX);
    err e = pack_target(pack, span_of(c->words[1]), span_of(c->words[2]), &canonical, &f);
    buf_free(&canonical);
    if (!e)
        return EXIT_DONE;
    cli_say("target: %s", cli_printable(c, span_of(f.words[0] ? f.words : err_text(e))));
    return EXIT_DATA;
}

static int check_strategy(struct cli *c, const struct pack *pack)
{
    const char *tried[KINDS_MAX + 1] = {NULL};
    struct buf known = BUF(1024);
    size_t count =
        pack_strategies(pack, span_of(c->words[1]), span_of(c->product), tried, KINDS_MAX);
    bool fits = !c->strategy;
    for (size_t i = 0; i < count; i++) {
        fits = fits || strcmp(c->strategy, tried[i]) == 0;
        buf_fmt(&known, "%s%s", i ? ", " : "", tried[i]);
    }
    if (!fits)
        cli_say("strategy: '%.40s' cannot read %s; known are %.*s", c->strategy, c->words[1],
                SP(buf_span(&known)));
    buf_free(&known);
    return fits ? EXIT_DONE : EXIT_DATA;
}

/* Before a service is embedded: its packs are the ones that this process finds as well. */
static int ask_pack(struct cli *c)
{
    char folder[CONFIG_PATH_MAX];
    const char *site = c->site ? c->site : "x";
    struct pack *pack = NULL;
    struct fault f = {0};
    int fd = config_sites_dir(&c->settings, folder, &f)
                 ? -1
                 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return EXIT_DONE; /* the service says what is wrong with the folder */
    err e = pack_open(&pack, fd, site, &f);
    close(fd);
    if (e) {
        cli_say("%s%s", e == E_NOT_FOUND ? "site: " : "",
                cli_printable(c, span_of(f.words[0] ? f.words : err_text(e))));
        return e == E_NOT_FOUND ? EXIT_DATA : EXIT_CONFIG;
    }
    int code = check_kind(c, pack);
    if (!code)
        code = check_target(c, pack);
    if (!code)
        code = check_options(c, pack);
    if (!code)
        code = check_strategy(c, pack);
    pack_close(&pack);
    return code;
}

/* ---- submitting ---- */

static int say_fault(struct get *g, err e, const struct fault *f)
{
    clear_line(g);
    if (service_died(&g->service))
        return g->service.code;
    cli_say("%s", f->words[0] ? f->words : err_text(e));
    if (!g->broken)
        return cli_exit_of(e);
    return f->code == E_BAD_INPUT ? EXIT_DATA : EXIT_IO; /* --jq does not fit the records */
}

static bool on_wait(void *ctx)
{
    struct get *g = ctx;
    show_progress(g);
    return !interrupted();
}

/* An unknown kind is a wrong call, whether the service or this process knows the pack. */
static bool refuses_kind(struct get *g, const struct client_answer *answer)
{
    struct json problem;
    struct span pointer;
    if (json_parse(g->parser, buf_span(&answer->body), &problem, NULL))
        return false;
    struct json_iter i = json_each(json_get(problem, SPAN("errors")));
    return json_next(&i) && json_text(json_get(i.value, SPAN("pointer")), &pointer) &&
           span_is(pointer, "/kind");
}

static int read_accepted(struct get *g, const struct client_answer *answer)
{
    struct json job;
    struct span id, records;
    clear_line(g);
    if (answer->status != 202 && answer->status != 200) {
        int code = cli_problem(answer);
        return refuses_kind(g, answer) ? EXIT_USAGE : code;
    }
    if (json_parse(g->parser, buf_span(&answer->body), &job, NULL) ||
        !json_text(json_get(job, SPAN("id")), &id)) {
        cli_say("the answer is not a job; is this a Fulmar service?");
        return EXIT_PROTOCOL;
    }
    span_copy(id, g->id, sizeof g->id);
    g->existing = answer->status == 200;
    if (json_text(json_get(job, SPAN("records")), &records))
        g->users = span_is(records, "users");
    if (!g->rows && g->cli->json && !g->cli->wait) /* jobs create */
        cli_put(g->cli, buf_span(&answer->body));
    if (g->rows && rows_about(g->rows, g->users, &g->fault)) {
        cli_say("%s", g->fault.words);
        return EXIT_IO;
    }
    return EXIT_DONE;
}

static int submit(struct get *g)
{
    struct client_answer answer = {0};
    struct fault f = {0};
    int code = EXIT_DONE;
    struct client_request q = {.method = "POST",
                               .path = "/v1/jobs",
                               .body = buf_span(&g->body),
                               .timeout_ms = ANSWER_MS,
                               .on_tick = on_wait,
                               .ctx = g};
    err e = client_send(g->service.client, &q, &answer, &f);
    if (e == E_CANCELLED)
        code = EXIT_INTERRUPTED;
    else if (e)
        code = say_fault(g, e, &f);
    else
        code = read_accepted(g, &answer);
    buf_free(&answer.body);
    return code;
}

/* ---- records ---- */

static err add_lines(struct get *g, struct span text, int64_t *out_count)
{
    struct span line;
    int64_t n = 0;
    err e = E_OK;
    while (!e && span_next(&text, '\n', &line)) {
        if (!line.n)
            continue;
        e = rows_add(g->rows, line, &g->fault);
        if (g->files)
            media_files_note(g->files, g->parser, line);
        n++;
    }
    if (!e && n)
        e = rows_flush(g->rows, &g->fault);
    *out_count = n;
    return e;
}

/* One page of what is new. Sets g->broken when writing fails: then nothing makes sense any
 * more. */
static err fetch_page(struct get *g, int64_t *out_count)
{
    char path[200];
    struct client_answer answer;
    if (g->after >= 0)
        snprintf(path, sizeof path, "/v1/jobs/%s/%s?limit=%d&after=%lld", g->id,
                 g->users ? "users" : "posts", FETCH_ROWS, (long long)g->after);
    else
        snprintf(path, sizeof path, "/v1/jobs/%s/%s?limit=%d", g->id,
                 g->users ? "users" : "posts", FETCH_ROWS);
    struct client_request q = {
        .method = "GET", .path = path, .timeout_ms = ANSWER_MS, .body_max = FETCH_MAX};
    *out_count = 0;
    err e = client_send(g->service.second, &q, &answer, &g->fault);
    if (!e && answer.status != 200)
        e = fail(&g->fault, E_PROTOCOL, "the records cannot be read: status %d", answer.status);
    if (!e && answer.body.n) {
        clear_line(g);
        e = add_lines(g, buf_span(&answer.body), out_count);
        g->broken = e != E_OK;
        if (!e && answer.next_after >= 0)
            g->after = answer.next_after;
    }
    buf_free(&answer.body);
    return e;
}

static err fetch_all(struct get *g)
{
    int64_t n = 0;
    err e;
    do
        e = fetch_page(g, &n);
    while (!e && n > 0 && !interrupted());
    return e;
}

/* ---- following ---- */

static bool on_event(void *ctx, struct span text, struct json event)
{
    (void)text;
    struct get *g = ctx;
    struct span state;
    int64_t batch;
    struct json body = json_get(event, SPAN("data"));
    if (json_text(json_get(body, SPAN("state")), &state) && !job_state_parse(state, &g->state))
        return true; /* a state that this version does not know */
    json_int(json_get(body, SPAN("have")), &g->have);
    json_int(json_get(body, SPAN("attempt")), &g->attempt);
    if (json_int(json_get(body, SPAN("batch")), &batch))
        g->batches = batch + 1;
    return !job_is_final(g->state);
}

static bool on_follow(void *ctx)
{
    struct get *g = ctx;
    mono now = clock_mono();
    if (g->have > rows_count(g->rows) && now.ms - g->fetched.ms >= FETCH_MS) {
        int64_t n;
        g->fetched = now;
        err e = fetch_page(g, &n);
        if (e && g->broken)
            return false;
        g->fault = (struct fault){0}; /* the service may come back; the last fetch tells */
    }
    show_progress(g);
    return !interrupted();
}

/* By asking: it may have ended while nobody was connected. */
static bool is_over(void *ctx)
{
    struct get *g = ctx;
    char path[100];
    struct client_answer answer;
    struct json job;
    struct span state;
    snprintf(path, sizeof path, "/v1/jobs/%s", g->id);
    struct client_request q = {.method = "GET", .path = path, .timeout_ms = 5000};
    bool known = !client_send(g->service.second, &q, &answer, NULL) && answer.status == 200 &&
                 !json_parse(g->parser, buf_span(&answer.body), &job, NULL) &&
                 json_text(json_get(job, SPAN("state")), &state) &&
                 job_state_parse(state, &g->state);
    buf_free(&answer.body);
    return known && job_is_final(g->state);
}

static void on_cut(void *ctx)
{
    struct get *g = ctx;
    clear_line(g);
    cli_note(g->cli, "the connection was lost; reconnecting…");
}

static int follow(struct get *g)
{
    struct follow f = {.service = &g->service,
                       .id = g->id,
                       .after = 0,
                       .patience_ms = PATIENCE_MS,
                       .on_event = on_event,
                       .on_tick = on_follow,
                       .on_cut = on_cut,
                       .is_over = is_over,
                       .ctx = g};
    if (job_is_final(g->state))
        return EXIT_DONE;
    int code = follow_events(&f);
    if (interrupted())
        return EXIT_INTERRUPTED;
    return g->broken ? say_fault(g, E_OS, &g->fault) : code;
}

/* ---- the end ---- */

static struct span text_of(struct json v, const char *path)
{
    struct span text = SPAN("");
    json_text(json_path(v, path), &text);
    return text;
}

/* A command that works as it is printed: it asks where this one asked. */
static void next_command(struct get *g)
{
    const struct cli *c = g->cli;
    const char *flag = c->server ? " --server " : c->config ? " --config " : "";
    const char *value = c->server ? c->server : c->config ? c->config : "";
    cli_note(c, "%s: fulmar jobs show %s%s%s",
             g->service.embedded ? "it is kept; with `fulmar serve` running" : "more", g->id,
             flag, value);
}

static int report_success(struct get *g, struct json job)
{
    struct span verdict = text_of(job, "verdict"), end = text_of(job, "end_reason");
    long long seconds = (long long)((clock_mono().ms - g->began.ms) / 1000);
    long long count = (long long)rows_count(g->rows);
    cli_note(g->cli, "%s: %lld %s%s of %s in %lld s (%s)", cli_printable(g->cli, verdict),
             count, g->users ? "user" : "post", count == 1 ? "" : "s",
             cli_printable(g->cli, span_of(g->target)), seconds,
             end.n ? cli_printable(g->cli, end) : "done");
    struct span from = text_of(job, "result.from_job");
    int64_t age_s = 0;
    if (from.n && json_int(json_path(job, "result.age_s"), &age_s))
        cli_note(g->cli, "it is the result of %s, %lld s old", cli_printable(g->cli, from),
                 (long long)age_s);
    else if (from.n)
        cli_note(g->cli, "it is the result of %s, which did the same at the same time",
                 cli_printable(g->cli, from));
    outcome_say_gap(g->cli, job);
    next_command(g);
    return outcome_code(job);
}

static int report_failure(struct get *g, struct json job)
{
    int code = outcome_say_failure(job, (long long)rows_count(g->rows), g->cli);
    next_command(g);
    return code;
}

static int save_files(struct get *g)
{
    if (g->wish.download && !g->files)
        cli_note(
            g->cli,
            "files are kept by the service, below its state folder; --out FOLDER/ puts them "
            "beside the records");
    if (!g->files)
        return EXIT_DONE;
    err e = media_files_save(g->files, g->service.second, on_wait, g, &g->fault);
    clear_line(g);
    if (e)
        return say_fault(g, e, &g->fault);
    cli_note(g->cli, "%lld media files", (long long)media_files_count(g->files));
    return EXIT_DONE;
}

static int conclude(struct get *g)
{
    char path[100];
    struct client_answer answer;
    struct json job;
    struct fault f = {0};
    err e = fetch_all(g);
    clear_line(g);
    if (e)
        return say_fault(g, e, &g->fault);
    int saved = save_files(g);
    if (saved)
        return saved;
    snprintf(path, sizeof path, "/v1/jobs/%s", g->id);
    struct client_request q = {.method = "GET", .path = path, .timeout_ms = ANSWER_MS};
    e = client_send(g->service.client, &q, &answer, &f);
    int code;
    if (e)
        code = say_fault(g, e, &f);
    else if (answer.status != 200 || json_parse(g->parser, buf_span(&answer.body), &job, NULL))
        code = cli_problem(&answer);
    else if (g->state == JOB_SUCCEEDED)
        code = report_success(g, job);
    else
        code = report_failure(g, job);
    buf_free(&answer.body);
    return code;
}

static void say_interrupted(struct get *g)
{
    clear_line(g);
    if (!g->id[0])
        return;
    if (!g->service.embedded && g->cli->cancel_on_interrupt) {
        (void)wait_interrupted(g->cli, &g->service, g->id);
        return;
    }
    if (!g->service.embedded) {
        cli_note(g->cli,
                 "stopped following; %s goes on\nlook: fulmar jobs show %s · stop it: fulmar "
                 "jobs cancel %s",
                 g->id, g->id, g->id);
        return;
    }
    char path[100];
    struct client_answer answer;
    cli_note(g->cli, "cancelling %s and stopping the service of this command", g->id);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", g->id);
    struct client_request q = {.method = "POST", .path = path, .timeout_ms = 5000};
    if (client_send(g->service.second, &q, &answer, NULL))
        cli_note(g->cli, "the service did not answer; it is stopped all the same");
    buf_free(&answer.body);
}

/* ---- the verb ---- */

/* With files, --out may name a folder: one that is there, or a name that ends in a slash. */
static bool out_is_folder(const struct get *g)
{
    const char *out = g->cli->out;
    struct stat st;
    if (!g->wish.download || !out)
        return false;
    return span_ends(span_of(out), SPAN("/")) || (stat(out, &st) == 0 && S_ISDIR(st.st_mode));
}

static err use_folder(struct get *g)
{
    struct cli *c = g->cli;
    struct span folder = span_of(c->out);
    while (folder.n > 1 && folder.p[folder.n - 1] == '/')
        folder.n--;
    const char *path = arena_text(c->arena, folder);
    err e = files_make_folder(path, 0777, &g->fault);
    g->files = media_files_new(c->arena, path);
    c->out = arena_fmt(c->arena, "%s/%s.%s", path, g->users ? "users" : "posts",
                       c->form == SHAPE_CSV     ? "csv"
                       : c->form == SHAPE_PLAIN ? "tsv"
                       : c->form == SHAPE_YAML  ? "yaml"
                                                : "ndjson");
    return e;
}

static int open_rows(struct get *g)
{
    struct cli *c = g->cli;
    if (out_is_folder(g) && use_folder(g)) {
        cli_say("%s", g->fault.words);
        return EXIT_CANNOT_CREATE;
    }
    return records_open(c, &g->wish.fields, &g->rows);
}

static int collect(struct get *g)
{
    int code = service_open(&g->service, g->cli, ask_pack, interrupted);
    if (!code)
        code = submit(g);
    if (!code) {
        clear_line(g);
        cli_note(g->cli,
                 g->existing ? "%s is about the same and has not ended: following it"
                             : "%s accepted",
                 g->id);
        code = follow(g);
    }
    if (!code)
        code = conclude(g);
    if (interrupted()) {
        say_interrupted(g);
        code = EXIT_INTERRUPTED;
    }
    return code;
}

/* What came is kept whenever the job itself has ended, also when it failed half-way; a job that
 * failed without a record leaves no file, so that an older one is not lost to it. */
static bool worth_keeping(const struct get *g, int code)
{
    if (!job_is_final(g->state) || g->broken || code == EXIT_INTERRUPTED)
        return false;
    return g->state == JOB_SUCCEEDED || rows_count(g->rows) > 0;
}

int get_run(struct cli *c)
{
    if (c->word_count < 3)
        return cli_usage(
            "get",
            "get needs a kind and a target: fulmar get posts @nasa (put #tags between quotes)");
    if (c->word_count > 3)
        return cli_usage(
            "get",
            "one target at a time; put a search between quotes: fulmar get search 'heat pump'");
    struct get g = {
        .cli = c, .kind = c->words[1], .target = c->words[2], .after = -1, .state = JOB_READY};
    g.shown = cli_printable(c, span_of(g.target));
    g.on_terminal = isatty(STDERR_FILENO) && !c->quiet;
    g.began = clock_mono();
    if (!g.on_terminal)
        g.drawn = g.began;

    int code = wish_check(&g.wish, c, "get");
    if (!code && c->out && !*c->out)
        code = cli_usage("get", "--out needs the name of a file, or - for standard output");
    if (!code)
        code = open_rows(&g);
    if (code)
        return code;
    g.body = BUF(64 * 1024);
    struct json_w w = json_w(&g.body);
    wish_write(&g.wish, c, g.kind, g.target, &w);
    interrupt_catch();
    g.parser = json_parser_new(FETCH_MAX);
    show_progress(&g);
    code = collect(&g);
    struct fault f = {0};
    if (rows_close(&g.rows, worth_keeping(&g, code), &f)) {
        cli_say("%s", f.words);
        code = EXIT_IO;
    }
    service_close(&g.service);
    json_parser_free(&g.parser);
    buf_free(&g.body);
    return code;
}

/* Submits what get would, and does not wait: words[2] and [3] are kind and target. */
/* Nothing is made: what would be, in the words of the service. */
static int say_order(struct get *g)
{
    struct client_answer answer;
    struct json root;
    int code =
        service_ask(&g->service, "POST", "/v1/jobs?dry_run=true", buf_span(&g->body), &answer);
    if (code)
        return code;
    if (g->cli->json) {
        cli_put(g->cli, buf_span(&answer.body));
    } else if (json_parse(g->parser, buf_span(&answer.body), &root, NULL)) {
        return service_not_ours(&answer);
    } else {
        struct json job = json_get(root, SPAN("job"));
        struct buf options = BUF(64 * 1024);
        json_add_raw(&options, json_get(job, SPAN("options")));
        printf("would be accepted: %s %s %s in %s, options %s\n",
               cli_printable(g->cli, ask_text(job, "site")),
               cli_printable(g->cli, ask_text(job, "kind")),
               cli_printable(g->cli, ask_text(job, "target")),
               cli_printable(g->cli, ask_text(job, "lane")),
               cli_printable(g->cli, buf_span(&options)));
        buf_free(&options);
    }
    buf_free(&answer.body);
    return EXIT_DONE;
}

int get_create(struct cli *c)
{
    if (c->word_count != 4)
        return cli_usage(
            "jobs", "jobs create needs a kind and a target: fulmar jobs create posts @nasa");
    struct get g = {.cli = c, .kind = c->words[2], .target = c->words[3], .state = JOB_READY};
    g.shown = cli_printable(c, span_of(g.target));
    int64_t wait_ms;
    int code = wish_check(&g.wish, c, "jobs");
    if (!code)
        code = wait_limit(c, "jobs", &wait_ms);
    if (!code)
        code = service_open(&g.service, c, NULL, NULL);
    if (code)
        return code;
    g.began = g.drawn = clock_mono();
    g.body = BUF(64 * 1024);
    g.parser = json_parser_new(FETCH_MAX);
    struct json_w w = json_w(&g.body);
    wish_write(&g.wish, c, g.kind, g.target, &w);
    code = c->dry_run ? say_order(&g) : submit(&g);
    if (!code && !c->json && !c->dry_run) {
        printf("%s\n", g.id);
        fflush(stdout);
        cli_note(c,
                 g.existing
                     ? "%s is about the same and has not ended; look: fulmar jobs show %s"
                     : "%s accepted; look: fulmar jobs show %s",
                 g.id, g.id);
    }
    const char *id = g.id;
    if (!code && c->wait && !c->dry_run)
        code = wait_for_jobs(c, &g.service, &id, 1);
    service_close(&g.service);
    json_parser_free(&g.parser);
    buf_free(&g.body);
    return code;
}

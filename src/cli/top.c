/* top.c - the verb top: what a service does now, on one screen that is drawn again every second. */
#include "cli/ask.h"
#include "cli/screen.h"
#include "cli/vitals.h"

#include "base/text.h"
#include "base/when.h"
#include "os/clock.h"

enum {
    EVERY_MS = 1000,
    EVERY_LEAST_MS = 200,
    EVERY_MOST_MS = 3600 * 1000,
    FRAME_MAX = 64 * 1024,
    FRAME_ARENA = 16 * 1024 * 1024,
    LINE_BYTES = 4096,
    FIXED_LINES = 8, /* above, between and below the two lists */
    PLAIN_COLUMNS = 120,
    PLAIN_ROWS = 60,
};

/* Counters of the service at one moment: rates are between two of them. */
struct sample {
    mono at;
    int64_t posts, well, ended;
};

struct top {
    struct cli *cli;
    struct vitals vitals;
    struct arena *arena; /* of one frame */
    struct buf frame;
    size_t columns, rows;
    struct sample now, last;
    char trouble[240]; /* nobody answers; "": somebody does */
    bool paused, helps;
};

/* ---- lines ---- */

__attribute__((format(printf, 2, 3))) static void add_line(struct top *t, const char *fmt, ...)
{
    struct buf line = BUF(LINE_BYTES), safe = BUF(4 * LINE_BYTES);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&line, fmt, ap);
    va_end(ap);
    text_add_printable(&safe, buf_span(&line));
    text_add_cut(&t->frame, buf_span(&safe), t->columns);
    buf_add_char(&t->frame, '\n');
    buf_free(&line);
    buf_free(&safe);
}

/* "12s", "3m", "2h" since then. */
static const char *since(struct top *t, struct span when)
{
    wall at;
    if (!when.n || !when_parse(when, &at))
        return "-";
    int64_t s = (clock_wall().ms - at.ms) / 1000;
    s = s < 0 ? 0 : s;
    return s < 120      ? arena_fmt(t->arena, "%llds", (long long)s)
           : s < 7200   ? arena_fmt(t->arena, "%lldm", (long long)(s / 60))
           : s < 172800 ? arena_fmt(t->arena, "%lldh", (long long)(s / 3600))
                        : arena_fmt(t->arena, "%lldd", (long long)(s / 86400));
}

static long long of(struct top *t, const char *path)
{
    return vitals_number(&t->vitals, VITAL_READY, path);
}

/* A rate with one digit behind the point; "-" until there are two samples. */
static const char *rate(struct top *t, int64_t before, int64_t now, int64_t per_ms)
{
    int64_t passed = t->now.at.ms - t->last.at.ms;
    if (!t->last.at.ms || passed <= 0 || now < before)
        return "-";
    int64_t tenths = (now - before) * 10 * per_ms / passed;
    return arena_fmt(t->arena, "%lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
}

/* Of a node that shares a queue: jobs on its own disk. */
static bool has_spooled(struct top *t)
{
    return of(t, "spool.waiting") || of(t, "spool.aside");
}

static void add_head(struct top *t)
{
    char at[WHEN_TEXT];
    struct json ready = t->vitals.all[VITAL_READY].root;
    bool is_ready = false;
    json_bool(json_path(ready, "ready"), &is_ready);
    struct span why = ask_text(ready, "why"), mode = ask_text(ready, "mode");
    if (t->trouble[0])
        add_line(t, "fulmar top  %s  NO ANSWER: %s", when_text(clock_wall(), at), t->trouble);
    else if (is_ready)
        add_line(t, "fulmar top  %s  ready, mode %.*s  %s", when_text(clock_wall(), at),
                 SP(mode), t->vitals.service.shown);
    else
        add_line(t, "fulmar top  %s  NOT READY: %.*s", when_text(clock_wall(), at), SP(why));
    add_line(t,
             "jobs      %5lld running  %6lld ready (%lld can start)  %lld later  %lld blocked",
             of(t, "jobs.active"), of(t, "jobs.ready"), of(t, "jobs.runnable"),
             of(t, "jobs.scheduled"), of(t, "jobs.blocked"));
    add_line(
        t, "workers   %5lld busy  %lld idle  %lld starting    browsers  %lld ready  %lld pages",
        of(t, "workers.busy"), of(t, "workers.idle"), of(t, "workers.starting"),
        of(t, "browsers.ready"), of(t, "browsers.tabs_open"));
    add_line(t, "rates     %5s posts/s  %s jobs/min done, %s of them well",
             rate(t, t->last.posts, t->now.posts, 1000),
             rate(t, t->last.ended, t->now.ended, 60000),
             rate(t, t->last.well, t->now.well, 60000));
    if (has_spooled(t))
        add_line(
            t,
            "spool     %5lld wait on this node's disk for the queue  %lld could not be handed over",
            of(t, "spool.waiting"), of(t, "spool.aside"));
}

/* ---- the two lists ---- */

static bool is_busy(struct json queue)
{
    return ask_text(queue, "trouble").n || ask_number(queue, "counts.ready") ||
           ask_number(queue, "counts.active");
}

static void add_queue(struct top *t, struct json q)
{
    struct span trouble = ask_text(q, "trouble"), waits = ask_text(q, "waiting_for.reason");
    char running[48];
    snprintf(running, sizeof running, "%lld/%lld", ask_number(q, "counts.active"),
             ask_number(q, "settings.max_running"));
    add_line(t, "%-30.*s  %6lld  %8s  %6s  %s%.*s", SP(span_cut(ask_text(q, "name"), 0, 30)),
             ask_number(q, "counts.ready"), running, since(t, ask_text(q, "oldest_ready_at")),
             trouble.n ? "!! "
             : waits.n ? "waits for "
                       : "-",
             SP(trouble.n ? trouble : waits));
}

/* Those that something holds up come first, and what is idle not at all. */
static void add_queues(struct top *t, size_t most)
{
    struct json data = vitals_get(&t->vitals, VITAL_QUEUES, "data");
    size_t shown = 0;
    add_line(t, "%-30s  %6s  %8s  %6s  %s", "QUEUE", "READY", "RUNNING", "OLDEST", "NOW");
    for (int pass = 0; pass < 2; pass++)
        for (struct json_iter i = json_each(data); shown < most && json_next(&i);) {
            bool troubled = ask_text(i.value, "trouble").n > 0;
            if (troubled != (pass == 0) || !is_busy(i.value))
                continue;
            add_queue(t, i.value);
            shown++;
        }
    if (!shown)
        add_line(t, "no queue has anything to do");
}

static void add_running(struct top *t, size_t most)
{
    struct json data = vitals_get(&t->vitals, VITAL_RUNNING, "data");
    size_t shown = 0;
    add_line(t, "%-30s  %-9s  %7s  %5s  %s", "JOB", "KIND", "RECORDS", "FOR", "TARGET");
    for (struct json_iter i = json_each(data); shown < most && json_next(&i); shown++) {
        bool users = span_is(ask_text(i.value, "records"), "users");
        add_line(t, "%-30.*s  %-9.*s  %7lld  %5s  %.*s", SP(ask_text(i.value, "id")),
                 SP(span_cut(ask_text(i.value, "kind"), 0, 9)),
                 ask_number(i.value, users ? "counts.users" : "counts.posts"),
                 since(t, ask_text(i.value, "started_at")), SP(ask_text(i.value, "target")));
    }
    if (!shown)
        add_line(t, "no job runs");
}

static void add_help(struct top *t)
{
    static const char *const lines[] = {
        "q  quit, as Ctrl-C does",
        "p  hold the picture, and go on",
        "r  look again now",
        "?  this, and back",
        "",
        "jobs      ready: may start; later: wait for their time; blocked: for another job",
        "rates     between the last two looks",
        "QUEUE     those that something holds up (!!) come first: fulmar queues show QUEUE",
        "JOB       what runs now: fulmar jobs follow JOB",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        add_line(t, "%s", lines[i]);
}

static void draw(struct top *t, bool keys)
{
    buf_clear(&t->frame);
    add_head(t);
    add_line(t, "%s", "");
    size_t fixed = FIXED_LINES + has_spooled(t);
    size_t lists = t->rows > fixed + 2 ? t->rows - fixed : 2;
    if (t->helps) {
        add_help(t);
    } else {
        add_queues(t, lists / 2);
        add_line(t, "%s", "");
        add_running(t, lists - lists / 2);
    }
    if (keys)
        add_line(t, "%sq quit  p hold  r now  ? help", t->paused ? "[held]  " : "");
    arena_reset(t->arena);
}

/* ---- looking ---- */

static void take_sample(struct top *t)
{
    t->last = t->now;
    t->now = (struct sample){
        .at = clock_mono(),
        .posts = vitals_metric(&t->vitals, "fulmar_posts_extracted_total", ""),
        .ended = vitals_metric(&t->vitals, "fulmar_jobs_finished_total", ""),
        .well = vitals_metric(&t->vitals, "fulmar_jobs_finished_total", "\"succeeded\""),
    };
}

static err look(struct top *t)
{
    static const enum vital wanted[] = {VITAL_READY, VITAL_QUEUES, VITAL_RUNNING, VITALS};
    struct fault f = {0};
    err e = vitals_read(&t->vitals, wanted, &f);
    if (!e)
        e = vitals_read_metrics(&t->vitals, &f);
    snprintf(t->trouble, sizeof t->trouble, "%s", !e ? "" : f.words[0] ? f.words : err_text(e));
    if (!e)
        take_sample(t);
    return e;
}

static void live(struct top *t, int64_t every_ms)
{
    for (char key = 0; key != 'q';) {
        screen_size(&t->columns, &t->rows);
        draw(t, true);
        screen_draw(buf_span(&t->frame));
        key = screen_key(t->paused ? EVERY_MOST_MS : (int)every_ms);
        t->paused ^= key == 'p';
        t->helps ^= key == '?';
        if (!t->paused || key == 'r')
            (void)look(t); /* what went wrong is on the screen */
    }
}

static int run(struct top *t, int64_t every_ms)
{
    err e = look(t);
    if (e) {
        cli_say("%s", t->trouble);
        return cli_exit_of(e);
    }
    if (screen_open()) {
        live(t, every_ms);
        screen_close();
        return EXIT_DONE;
    }
    t->columns = PLAIN_COLUMNS;
    t->rows = PLAIN_ROWS;
    draw(t, false);
    fwrite(t->frame.p, 1, t->frame.n, stdout);
    return EXIT_DONE;
}

int top_run(struct cli *c)
{
    struct top t = {.cli = c, .frame = BUF(FRAME_MAX)};
    int64_t every_ms = EVERY_MS;
    int code = c->word_count > 1 ? cli_usage("top", "too many words") : EXIT_DONE;
    if (!code && c->every &&
        (!when_duration(span_of(c->every), &every_ms) || every_ms < EVERY_LEAST_MS ||
         every_ms > EVERY_MOST_MS))
        code = cli_usage("top", "--every must be 200ms to 1h, not '%.40s'", c->every);
    if (!code)
        code = vitals_open(&t.vitals, c);
    if (code)
        return code;
    t.arena = arena_new(FRAME_ARENA);
    code = run(&t, every_ms);
    arena_free(&t.arena);
    buf_free(&t.frame);
    vitals_close(&t.vitals);
    return code;
}

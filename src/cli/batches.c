#include "cli/batches.h"
#include "cli/interrupt.h"
#include "cli/records.h"
#include "cli/wait.h"
#include "cli/wish.h"

#include "base/id.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/random.h"
#include "store/batches.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LIST_ROWS = 20,
    LIST_MAX = 100,
    JOBS_MAX = 200,
    TARGETS_BYTES = 16 * 1024 * 1024,
    BODY_BYTES = 512 * 1024, /* half of what a service takes by default */
    POLL_MS = 500,
    PLAIN_MS = 30 * 1000,
};

/* ---- what to collect ---- */

struct list {
    struct span *all;
    size_t count;
    struct wish wish; /* of each */
};

static int read_stream(FILE *from, const char *name, struct buf *out)
{
    char piece[8 * 1024];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, from)) > 0)
        buf_add(out, (struct span){piece, n});
    if (ferror(from)) {
        cli_say("%s cannot be read: %s", name, strerror(errno));
        return EXIT_IO;
    }
    if (out->failed) {
        cli_say("%s is larger than %d MiB", name, TARGETS_BYTES >> 20);
        return EXIT_DATA;
    }
    return EXIT_DONE;
}

static int read_file(struct cli *c, struct span *out)
{
    bool standard = strcmp(c->targets, "-") == 0;
    FILE *from = standard ? stdin : fopen(c->targets, "re");
    struct buf text = BUF(TARGETS_BYTES);
    if (!from) {
        cli_say("%s: %s", cli_printable(c, span_of(c->targets)), strerror(errno));
        return EXIT_NO_INPUT;
    }
    int code = read_stream(from, standard ? "standard input" : c->targets, &text);
    if (!standard)
        fclose(from);
    if (!code)
        *out = arena_keep(c->arena, buf_span(&text));
    buf_free(&text);
    return code;
}

static int add_target(struct list *l, struct span target)
{
    target = span_trim(target);
    if (!target.n)
        return EXIT_DONE;
    if (l->count == BATCH_JOBS_MOST) {
        cli_say("a batch may have %d jobs; make several", BATCH_JOBS_MOST);
        return EXIT_DATA;
    }
    l->all[l->count++] = target;
    return EXIT_DONE;
}

/* Words, then lines. */
static int collect(struct cli *c, struct list *l)
{
    struct span text = SPAN_NONE, line;
    int code = EXIT_DONE;
    l->all = arena_get(c->arena, BATCH_JOBS_MOST * sizeof *l->all);
    for (size_t i = 3; !code && i < c->word_count; i++)
        code = add_target(l, span_of(c->words[i]));
    if (!code && c->targets)
        code = read_file(c, &text);
    while (!code && span_next(&text, '\n', &line))
        code = add_target(l, line);
    if (!code && !l->count && !c->open)
        return cli_usage("batches", "there is no target: give some, or --targets FILE");
    return code;
}

static void put_template(struct json_w *w, const struct cli *c, const struct wish *wish)
{
    json_key(w, "template");
    wish_write(wish, c, c->words[2], NULL, w);
}

/* "profile @nasa" */
static int put_call(struct json_w *w, const struct cli *c, const char *key, const char *text)
{
    struct span s = span_trim(span_of(text));
    size_t space = span_find_char(s, ' ');
    if (!text)
        return EXIT_DONE;
    if (space == s.n)
        return cli_usage("batches",
                         "--on-%s needs a kind and a target between quotes: 'profile @nasa'",
                         key);
    json_key(w, key);
    json_open(w);
    if (c->site)
        json_kv_cstr(w, "site", c->site);
    json_kv_text(w, "kind", span_cut(s, 0, space));
    json_kv_text(w, "target", span_trim(span_cut(s, space, s.n)));
    json_close(w);
    return EXIT_DONE;
}

static int put_policy(struct json_w *w, const struct cli *c)
{
    int64_t n = 0, parallel = 0;
    int code = c->stop_after
                   ? cli_number("batches", "stop-after", c->stop_after, 1, BATCH_STOP_MOST, &n)
                   : EXIT_DONE;
    if (!code && c->parallel)
        code =
            cli_number("batches", "parallel", c->parallel, 1, BATCH_PARALLEL_MOST, &parallel);
    if (code || (!n && !parallel))
        return code;
    json_key(w, "policy");
    json_open(w);
    if (n)
        json_kv_cstr(w, "on_failure", n == 1 ? "cancel_all" : "stop_after_n");
    if (n > 1)
        json_kv_int(w, "n", n);
    if (parallel)
        json_kv_int(w, "max_parallel", parallel);
    json_close(w);
    return EXIT_DONE;
}

static int put_head(struct json_w *w, const struct cli *c, bool open)
{
    int code = EXIT_DONE;
    if (c->name)
        json_kv_cstr(w, "name", c->name);
    if (open)
        json_kv_bool(w, "open", true);
    code = put_policy(w, c);
    if (code)
        return code;
    if (c->on_complete || c->on_success) {
        json_key(w, "callbacks");
        json_open(w);
        code = put_call(w, c, "complete", c->on_complete);
        if (!code)
            code = put_call(w, c, "success", c->on_success);
        json_close(w);
    }
    return code;
}

/* Targets from *at on, as many as one request may have; moves *at on. */
static void put_part(struct json_w *w, const struct cli *c, const struct list *l, size_t *at)
{
    if (c->partial)
        json_kv_cstr(w, "mode", "partial");
    if (*at == l->count)
        return;
    put_template(w, c, &l->wish);
    json_key(w, "targets");
    json_open_array(w);
    for (size_t n = 0;
         *at < l->count && n < BATCH_ADD_MOST && (n == 0 || w->out->n < BODY_BYTES); n++)
        json_put_text(w, l->all[(*at)++]);
    json_close_array(w);
}

/* ---- create ---- */

struct making {
    struct ask *a;
    const struct list *list;
    size_t at;
    char key[200], id[ID_TEXT];
    long long jobs; /* of a dry run: that would be made */
    bool dry;
};

static void say_refused(struct ask *a, size_t first)
{
    for (struct json_iter i = json_each(json_get(a->root, SPAN("refused"))); json_next(&i);)
        cli_say("left out: target %lld: %s",
                (long long)first + 1 + ask_number(i.value, "index"),
                ask_shown(a, i.value, "detail"));
}

/* The first part makes the batch, others are added to it; each with a key of its own, so that the whole
 * command can be given again. */
static int send_part(struct making *m, bool open)
{
    struct ask *a = m->a;
    struct buf body = BUF(2 * BODY_BYTES);
    struct json_w w = json_w(&body);
    size_t first = m->at;
    char key[240], path[120];
    json_open(&w);
    bool adds = first > 0 && !m->dry;
    int code = first ? EXIT_DONE : put_head(&w, a->c, open);
    put_part(&w, a->c, m->list, &m->at);
    json_close(&w);
    snprintf(key, sizeof key, first ? "%s.%zu" : "%s", m->key, first);
    snprintf(path, sizeof path, adds ? "/v1/batches/%s/jobs%s" : "/v1/batches%s%s",
             adds ? m->id : "", m->dry ? "?dry_run=true" : "");
    if (!code && body.failed) {
        cli_say("a target, or the options, are too long");
        code = EXIT_DATA;
    }
    if (!code)
        code = ask_send(a, "POST", path, key, buf_span(&body));
    buf_free(&body);
    if (code && first)
        cli_say("targets are counted from the %zuth here", first + 1);
    if (code)
        return code;
    m->jobs =
        m->dry ? m->jobs + ask_number(a->root, "count") : ask_number(a->root, "counts.total");
    if (!first && !m->dry)
        span_copy(ask_text(a->root, "id"), m->id, sizeof m->id);
    if (m->dry == a->c->dry_run)
        say_refused(a, first);
    return EXIT_DONE;
}

static int seal(struct ask *a, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/batches/%s/seal", id);
    return ask_send(a, "POST", path, NULL, SPAN_NONE);
}

static int finish_create(struct making *m, bool several)
{
    struct cli *c = m->a->c;
    int code = EXIT_DONE;
    if (c->dry_run) {
        printf("%lld jobs would be made\n", m->jobs);
        return EXIT_DONE;
    }
    if (several && !c->open)
        code = seal(m->a, m->id);
    if (code)
        return code;
    if (c->json) {
        if (!c->wait)
            ask_print(m->a);
        return EXIT_DONE;
    }
    printf("%s\n", m->id);
    fflush(stdout);
    if (c->open)
        cli_note(c, "%lld jobs, and it takes more until: fulmar batches seal %s", m->jobs,
                 m->id);
    else
        cli_note(
            c,
            "%lld jobs; wait for them: fulmar batches wait %s · their posts: fulmar batches posts %s",
            m->jobs, m->id, m->id);
    return EXIT_DONE;
}

static int send_all(struct making *m, bool open, bool dry)
{
    m->at = 0;
    m->jobs = 0;
    m->dry = dry;
    int code = send_part(m, open);
    while (!code && m->at < m->list->count)
        code = send_part(m, open);
    return code;
}

static int wait_for(struct ask *a, const char *id);

static int create(struct ask *a, const struct list *l)
{
    struct making m = {.a = a, .list = l};
    struct cli *c = a->c;
    if (c->key)
        snprintf(m.key, sizeof m.key, "%s", c->key);
    else
        snprintf(m.key, sizeof m.key, "cli-%016llx%016llx", (unsigned long long)random_u64(),
                 (unsigned long long)random_u64());
    size_t bytes = 0;
    for (size_t i = 0; i < l->count; i++)
        bytes += l->all[i].n + 8;
    bool several = l->count > BATCH_ADD_MOST || bytes > BODY_BYTES / 2;
    /* In parts it is not one transaction: what is wrong is found before the first of them. */
    int code = several && !c->partial && !c->dry_run ? send_all(&m, false, true) : EXIT_DONE;
    if (!code)
        code = send_all(&m, c->open || several, c->dry_run);
    if (code && m.id[0])
        cli_say("%s has %lld jobs and is open; the same command with --key %s goes on", m.id,
                m.jobs, m.key);
    if (!code)
        code = finish_create(&m, several);
    return code || !c->wait || c->dry_run ? code
                                          : wait_for(a, arena_text(c->arena, span_of(m.id)));
}

/* ---- list, show ---- */

static void put_row(struct ask *a, struct json b)
{
    long long live = ask_number(b, "counts.scheduled") + ask_number(b, "counts.ready") +
                     ask_number(b, "counts.active");
    printf("%-31s  %-10s  %6lld  %6lld  %6lld  %6lld  %s\n", ask_shown(a, b, "id"),
           ask_shown(a, b, "state"), ask_number(b, "counts.total"),
           ask_number(b, "counts.succeeded"), ask_number(b, "counts.dead"), live,
           ask_shown(a, b, "name"));
}

static int list(struct ask *a, int64_t limit)
{
    static const struct ask_table table = {
        .heading =
            "BATCH                            STATE         JOBS    WELL    DEAD    LIVE  NAME",
        .when_empty = "no batch; make one: fulmar batches create posts @nasa @esa",
        .put_row = put_row,
    };
    char path[100];
    snprintf(path, sizeof path, "/v1/batches?limit=%lld", (long long)limit);
    return ask_list(a, path, &table);
}

static int ask_batch(struct ask *a, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    return ask_send(a, "GET", path, NULL, SPAN_NONE);
}

static void print_callback(struct ask *a, const char *name, const char *key)
{
    struct json call = json_get(json_get(a->root, SPAN("callbacks")), span_of(key));
    struct span at = ask_text(call, "at"), job = ask_text(call, "job");
    if (!at.n)
        return;
    printf("%-12s %s%s%s\n", name, ask_shown(a, call, "at"), job.n ? "  " : "",
           job.n ? ask_shown(a, call, "job") : "");
    if (ask_text(call, "why").n)
        printf("%-12s %s\n", "", ask_shown(a, call, "why"));
}

static int show(struct ask *a, const char *id)
{
    int code = ask_batch(a, id);
    if (code)
        return code;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    struct json b = a->root;
    ask_line(a, "batch", b, "id");
    ask_line(a, "name", b, "name");
    ask_line(a, "state", b, "state");
    static const char *const states[] = {"scheduled", "ready",     "active",  "succeeded",
                                         "dead",      "cancelled", "expired", "deleted"};
    printf("%-12s %lld", "jobs", ask_number(b, "counts.total"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char at[32];
        snprintf(at, sizeof at, "counts.%s", states[i]);
        if (ask_number(b, at))
            printf(", %lld %s", ask_number(b, at), states[i]);
    }
    printf("\n");
    if (json_is(json_get(b, SPAN("percent")), JSON_INT))
        printf("%-12s %lld %%\n", "ended", ask_number(b, "percent"));
    ask_line(a, "expected", b, "eta");
    ask_line(a, "made", b, "created_at");
    print_callback(a, "complete", "complete");
    print_callback(a, "success", "success");
    if (ask_number(b, "counts.dead"))
        cli_note(a->c,
                 "which failed: fulmar batches jobs %s --state dead · again: fulmar batches "
                 "retry-failed %s",
                 id, id);
    return EXIT_DONE;
}

/* ---- wait ---- */

static void draw(struct ask *a, bool terminal, mono *drawn)
{
    mono now = clock_mono();
    if (a->c->quiet || (!terminal && now.ms - drawn->ms < PLAIN_MS))
        return;
    *drawn = now;
    struct json b = a->root;
    struct buf state = BUF(4096); /* not in the arena of the call: this may go on for weeks */
    text_add_printable(&state, ask_text(b, "state"));
    fprintf(stderr, "%s%lld/%lld ended  %lld well  %lld dead  [%.*s]%s", terminal ? "\r" : "",
            ask_number(b, "counts.total") - ask_number(b, "counts.scheduled") -
                ask_number(b, "counts.ready") - ask_number(b, "counts.active"),
            ask_number(b, "counts.total"), ask_number(b, "counts.succeeded"),
            ask_number(b, "counts.dead"), SP(buf_span(&state)), terminal ? "\x1b[K" : "\n");
    fflush(stderr);
    buf_free(&state);
}

int batches_outcome(struct ask *a)
{
    const char *id = ask_shown(a, a->root, "id");
    struct json b = a->root;
    long long well = ask_number(b, "counts.succeeded"), total = ask_number(b, "counts.total"),
              dead = ask_number(b, "counts.dead") + ask_number(b, "counts.expired");
    if (a->c->json)
        ask_print(a);
    else
        cli_note(a->c, "%s: %lld of %lld jobs succeeded, %lld failed, %lld were cancelled",
                 ask_shown(a, b, "state"), well, total, dead,
                 ask_number(b, "counts.cancelled"));
    if (span_is(ask_text(b, "state"), "success"))
        return EXIT_DONE;
    if (dead)
        cli_note(
            a->c,
            "why: fulmar batches jobs %s --state dead · again: fulmar batches retry-failed %s",
            id, id);
    if (!dead && ask_number(b, "counts.cancelled"))
        return EXIT_CANCELLED;
    return well ? EXIT_PARTIAL : EXIT_JOB_FAILED;
}

static int wait_for(struct ask *a, const char *id)
{
    bool terminal = isatty(STDERR_FILENO);
    mono drawn = clock_mono(), began = drawn;
    int64_t limit_ms;
    int code = wait_limit(a->c, "batches", &limit_ms);
    interrupt_catch();
    while (!code && !interrupted()) {
        code = ask_batch(a, id);
        if (code)
            return code;
        struct span state = ask_text(a->root, "state");
        if (span_is(state, "complete") || span_is(state, "success"))
            return batches_outcome(a);
        if (limit_ms && clock_mono().ms - began.ms > limit_ms) {
            cli_note(a->c, "%s goes on; the time to wait is over; look: fulmar batches show %s",
                     id, id);
            return EXIT_WAIT_TIMEOUT;
        }
        draw(a, terminal, &drawn);
        poll(NULL, 0, POLL_MS);
    }
    if (code)
        return code;
    cli_note(
        a->c,
        "stopped waiting; %s goes on\nlook: fulmar batches show %s · stop it: fulmar batches cancel %s",
        id, id, id);
    return EXIT_INTERRUPTED;
}

/* ---- its jobs ---- */

static int jobs(struct ask *a, const char *id)
{
    struct buf path = BUF(4096);
    buf_fmt(&path, "/v1/batches/%s/jobs?limit=%d", id, JOBS_MAX);
    if (a->c->state) {
        buf_add_text(&path, "&state=");
        text_add_url_escaped(&path, span_of(a->c->state));
    }
    buf_add_char(&path, '\0');
    const char *base = arena_text(a->c->arena, (struct span){path.p, path.n ? path.n - 1 : 0});
    char after[ID_TEXT] = "";
    bool more = !path.failed;
    int code = more ? EXIT_DONE : cli_usage("batches", "--state is too long");
    buf_free(&path);
    while (!code && more) {
        const char *page = after[0] ? arena_fmt(a->c->arena, "%s&after=%s", base, after) : base;
        code = ask_send(a, "GET", page, NULL, SPAN_NONE);
        if (code)
            break;
        struct json data = json_get(a->root, SPAN("data"));
        if (a->c->json)
            ask_print(a);
        else if (!after[0] && json_count(data))
            printf("%-31s  %-8s  %-10s  %-15s  %s\n", "JOB", "KIND", "STATE", "OUTCOME",
                   "TARGET");
        for (struct json_iter i = json_each(data); !a->c->json && json_next(&i);) {
            bool failed = ask_text(i.value, "failure.class").n > 0;
            printf("%-31s  %-8s  %-10s  %-15s  %s\n", ask_shown(a, i.value, "id"),
                   ask_shown(a, i.value, "kind"), ask_shown(a, i.value, "state"),
                   ask_shown(a, i.value, failed ? "failure.class" : "verdict"),
                   ask_shown(a, i.value, "target"));
        }
        if (!json_bool(json_path(a->root, "page.has_more"), &more))
            more = false;
        span_copy(ask_text(a->root, "page.next_after"), after, sizeof after);
    }
    return code;
}

/* ---- seal, cancel, retry-failed ---- */

static int seal_one(struct ask *a, const char *id)
{
    int code = seal(a, id);
    if (!code && a->c->json)
        ask_print(a);
    else if (!code)
        cli_note(a->c, "%s takes no more jobs; wait for it: fulmar batches wait %s", id, id);
    return code;
}

static int cancel(struct ask *a, const char *id)
{
    char path[120];
    snprintf(path, sizeof path, "/v1/batches/%s/cancel%s", id,
             a->c->dry_run ? "?dry_run=true" : "");
    int code = ask_send(a, "POST", path, NULL, SPAN_NONE);
    if (code)
        return code;
    return a->c->dry_run ? ask_dry_run(a, "jobs") : ask_operation(a);
}

static int retry_failed(struct ask *a, const char *id)
{
    char path[120], body[100];
    int64_t rate = 0;
    const struct cli *c = a->c;
    if (c->per_minute &&
        (!span_int(span_of(c->per_minute), &rate) || rate < 1 || rate > OPERATION_RATE_MOST))
        return cli_usage("batches", "--per-minute must be 1 to %d, not '%.40s'",
                         OPERATION_RATE_MOST, c->per_minute);
    snprintf(path, sizeof path, "/v1/batches/%s/retry-failed%s", id,
             c->dry_run ? "?dry_run=true" : "");
    if (rate)
        snprintf(body, sizeof body, "{\"per_minute\":%lld,\"reset\":%s}", (long long)rate,
                 c->reset ? "true" : "false");
    else
        snprintf(body, sizeof body, "{\"reset\":%s}", c->reset ? "true" : "false");
    int code = ask_send(a, "POST", path, NULL, span_of(body));
    if (code)
        return code;
    return c->dry_run ? ask_dry_run(a, "jobs") : ask_operation(a);
}

/* ---- the verb ---- */

static int act(struct ask *a, const char *action, const char *id, const struct list *l,
               int64_t limit)
{
    static const struct {
        const char *name;
        int (*run)(struct ask *a, const char *id);
    } acts[] = {{"show", show},     {"wait", wait_for}, {"jobs", jobs},
                {"seal", seal_one}, {"cancel", cancel}, {"retry-failed", retry_failed}};
    if (strcmp(action, "create") == 0)
        return create(a, l);
    if (strcmp(action, "list") == 0)
        return list(a, limit);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(action, acts[i].name) == 0)
            return acts[i].run(a, id);
    return records_of(a->c, &a->service, id, action);
}

int batches_run(struct cli *c)
{
    const char *action = c->action, *id = NULL;
    struct list *l = arena_new_of(c->arena, struct list); /* the names of fields are many */
    int64_t limit = LIST_ROWS;
    int code = EXIT_DONE;
    bool creates = strcmp(action, "create") == 0, lists = strcmp(action, "list") == 0;
    if (creates && c->word_count < 3)
        return cli_usage(
            "batches",
            "batches create needs a kind and targets: fulmar batches create posts @nasa @esa");
    if (creates)
        code = wish_check(&l->wish, c, "batches");
    if (creates && !code)
        code = collect(c, l);
    else if (lists && c->limit &&
             (!span_int(span_of(c->limit), &limit) || limit < 1 || limit > LIST_MAX))
        code = cli_usage("batches", "--limit must be 1 to %d, not '%.40s'", LIST_MAX, c->limit);
    else if (!creates && !lists)
        id = ask_id(c, "batches", "bat", "batch", &code);
    if (code)
        return code;
    struct ask a;
    code = ask_open(&a, c);
    if (code)
        return code;
    code = act(&a, action, id, l, limit);
    ask_close(&a);
    return code;
}

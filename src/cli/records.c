/* records.c - the verbs posts and users: records of a job or of a batch, however it ended. */
#include "cli/records.h"

#include "cli/ask.h"
#include "cli/interrupt.h"
#include "cli/wish.h"

#include "base/id.h"
#include "base/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum {
    COLUMNS = 80,
    SILENT_MS = 60 * 1000,
    LINE_MAX = 16 * 1024 * 1024,
    PATH_BYTES = 8 * 1024
};

size_t records_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return COLUMNS;
}

int records_open(struct cli *c, const struct fields *fields, struct rows **out)
{
    struct fault f = {0};
    bool to_people = !c->out && isatty(STDOUT_FILENO);
    bool shaped = c->jq || c->columns || c->form == SHAPE_YAML || c->form == SHAPE_NONE;
    struct rows_config config = {.form =
                                     c->json || to_people || c->output ? c->form : SHAPE_JSONL,
                                 .shape = shaped ? c->shape : NULL,
                                 .fields = fields,
                                 .columns = records_columns(STDOUT_FILENO),
                                 .path = c->out && strcmp(c->out, "-") ? c->out : NULL};
    err e = rows_open(out, &config, &f);
    if (!e)
        return EXIT_DONE;
    cli_say("%s", f.words);
    return EXIT_CANNOT_CREATE;
}

/* ---- a stream ---- */

struct stream {
    struct rows *rows;
    struct buf line; /* the beginning of one whose end has not come yet */
    struct fault fault;
    int64_t limit; /* 0: all */
    err broken;    /* records cannot be written */
};

static bool is_enough(const struct stream *s)
{
    return s->limit && rows_count(s->rows) >= s->limit;
}

static bool add_line(struct stream *s, struct span line)
{
    if (line.n && !is_enough(s))
        s->broken = rows_add(s->rows, line, &s->fault);
    return !s->broken;
}

static bool on_bytes(void *ctx, struct span bytes)
{
    struct stream *s = ctx;
    while (bytes.n && !s->broken) {
        size_t end = span_find_char(bytes, '\n');
        buf_add(&s->line, span_cut(bytes, 0, end));
        if (end == bytes.n)
            break;
        struct span line;
        s->broken = buf_end(&s->line, &line);
        if (!s->broken)
            add_line(s, line);
        buf_clear(&s->line);
        bytes = span_cut(bytes, end + 1, bytes.n);
    }
    return !s->broken && !is_enough(s);
}

static bool on_tick(void *ctx)
{
    (void)ctx;
    return !interrupted();
}

static int say_end(const struct stream *s, err e, struct client_answer *answer,
                   const struct fault *f)
{
    if (interrupted())
        return EXIT_INTERRUPTED;
    if (s->broken) {
        cli_say("%s", s->fault.words[0] ? s->fault.words : err_text(s->broken));
        return s->broken == E_BAD_INPUT ? EXIT_DATA : EXIT_IO;
    }
    if (is_enough(s))
        return EXIT_DONE;
    if (!e)
        return answer->status == 200 ? EXIT_DONE : cli_problem(answer);
    cli_say("%s", f->words[0] ? f->words : err_text(e));
    return cli_exit_of(e);
}

static int write_all(struct cli *c, struct service *service, const char *path, bool users)
{
    struct wish wish = {0};
    struct stream s = {.line = BUF(LINE_MAX)};
    struct client_answer answer;
    struct fault f = {0};
    int code = wish_check(&wish, c, c->words[0]);
    if (!code)
        code = wish_fields_of(c, c->words[0], users ? FIELDS_OF_USERS : FIELDS_OF_POSTS);
    if (!code)
        code = records_open(c, &wish.fields, &s.rows);
    if (code)
        return code;
    s.limit = wish.limit;
    s.broken = rows_about(s.rows, users, &s.fault);
    struct client_request q = {.method = "GET",
                               .path = path,
                               .stall_ms = SILENT_MS,
                               .on_bytes = on_bytes,
                               .on_tick = on_tick,
                               .ctx = &s};
    interrupt_catch();
    err e = client_send(service->client, &q, &answer, &f);
    code = say_end(&s, e, &answer, &f);
    buf_free(&answer.body);
    buf_free(&s.line);
    f = (struct fault){0};
    if (rows_close(&s.rows, code == EXIT_DONE, &f) && !code) {
        cli_say("%s", f.words);
        code = EXIT_IO;
    }
    return code;
}

/* ---- the verbs ---- */

/* "/v1/jobs/ID/posts?fields=…"; in the arena, NULL: too long. */
static const char *path_of(struct cli *c, const char *id, const char *what)
{
    bool batch = id_valid(span_of(id), "bat");
    struct buf path = BUF(PATH_BYTES);
    buf_fmt(&path, "/v1/%s/%s/%s%s", batch ? "batches" : "jobs", id, what,
            !batch   ? ""
            : c->all ? "?dedupe=false"
                     : "?dedupe=true");
    if (c->fields) {
        buf_add_text(&path, batch ? "&fields=" : "?fields=");
        text_add_url_escaped(&path, span_of(c->fields));
    }
    const char *kept = path.failed ? NULL : arena_text(c->arena, buf_span(&path));
    buf_free(&path);
    return kept;
}

int records_of(struct cli *c, struct service *s, const char *id, const char *what)
{
    const char *path = path_of(c, id, what);
    return path ? write_all(c, s, path, strcmp(what, "users") == 0)
                : cli_usage(c->words[0], "--fields is too long");
}

/* posts list JOB, users list BATCH */
int records_run(struct cli *c)
{
    struct ask a;
    const char *id = c->word_count == 3 ? c->words[2] : NULL;
    if (!id)
        return cli_usage(c->words[0], "%s list needs the id of one job or batch", c->words[0]);
    bool batch = id_valid(span_of(id), "bat");
    if (!batch && !id_valid(span_of(id), "job")) {
        cli_say("'%s' is not the id of a job or a batch", cli_printable(c, span_of(id)));
        return EXIT_DATA;
    }
    if (c->all && !batch)
        return cli_usage(c->words[0], "--all goes with a batch");
    int code = ask_open(&a, c);
    if (code)
        return code;
    code = records_of(c, &a.service, id, c->words[0]);
    ask_close(&a);
    return code;
}

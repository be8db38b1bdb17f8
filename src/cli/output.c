#include "cli/face.h"
#include "cli/inside.h"

#include "base/text.h"

enum { PIECE_MAX = 128 * 1024 * 1024 };

/* -o, --json and --csv say the same thing in two ways. */
static int form_of(struct cli *c)
{
    bool known = true;
    c->form = c->json ? SHAPE_JSON : c->csv ? SHAPE_CSV : SHAPE_TABLE;
    if ((c->json && c->csv) || (c->output && (c->json || c->csv)))
        return cli_usage(c->words[0], "--json, --csv and -o exclude each other");
    c->wide = c->output && strcmp(c->output, "wide") == 0;
    if (c->output && !c->wide)
        known = shape_parse(span_of(c->output), &c->form);
    if (known)
        return EXIT_DONE;
    const char *near = text_nearest(span_of(c->output), shape_names());
    if (near)
        return cli_usage(c->words[0], "-o: did you mean '%s'?", near);
    return cli_usage(
        c->words[0],
        "-o must be table, wide, json, jsonl, csv, plain, yaml or none, not '%.40s'; a file is --out FILE",
        c->output);
}

int cli_open_output(struct cli *c)
{
    struct fault f = {0};
    int code = form_of(c);
    if (!code)
        code = face_start(c);
    if (code)
        return code;
    if (c->columns && c->form != SHAPE_CSV && c->form != SHAPE_PLAIN)
        return cli_usage(c->words[0], "--columns goes with -o csv or -o plain");
    if (c->jq && c->form == SHAPE_TABLE)
        c->form = SHAPE_JSON;
    c->json = c->form != SHAPE_TABLE;
    if (shape_new(&c->shape, c->form, c->jq, c->columns, &f))
        return cli_usage(c->words[0], "%s", f.words);
    return EXIT_DONE;
}

void cli_put(struct cli *c, struct span json)
{
    struct buf text = BUF(PIECE_MAX);
    struct fault f = {0};
    if (c->broken)
        return;
    err e = shape_add(c->shape, json, &text, &f);
    bool written = !text.n || fwrite(text.p, 1, text.n, stdout) == text.n;
    buf_free(&text);
    if (!written) {
        cli_say("standard output cannot be written");
        c->broken = EXIT_IO;
    } else if (e) {
        cli_say("%s", f.words[0] ? f.words : err_text(e));
        c->broken = e == E_BAD_INPUT ? EXIT_DATA : EXIT_PROTOCOL;
    }
}

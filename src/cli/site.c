#include "cli/inside.h"

#include "cli/fields.h"
#include "cli/replay.h"
#include "extract/plan.h"
#include "os/files.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 512, RECORDING_ARENA = 256 * 1024 * 1024, SHOWN_BYTES = 100 };

/* ---- finding packs ---- */

static int open_sites(struct cli *c, char folder[CONFIG_PATH_MAX])
{
    struct fault f = {0};
    int fd = config_sites_dir(&c->settings, folder, &f)
                 ? -1
                 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        cli_say("%s", f.words[0] ? f.words : "the folder of the site packs cannot be opened");
    return fd;
}

int cli_open_pack(struct cli *c, const char *name, struct pack **out)
{
    struct fault f = {0};
    char folder[CONFIG_PATH_MAX], path[PATH_BYTES], again[PATH_BYTES];
    int fd;
    if (strchr(name, '/') || access(name, F_OK) == 0) {
        int n = snprintf(path, sizeof path, "%s", name);
        if (n < 0 || (size_t)n >= sizeof path)
            return cli_usage("site", "the path is too long");
        memcpy(again, path, sizeof again);
        fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        name = basename(again);
        if (fd < 0) {
            cli_say("%s: no such folder", path);
            return EXIT_NO_INPUT;
        }
    } else {
        fd = open_sites(c, folder);
        if (fd < 0)
            return EXIT_CONFIG;
    }
    err e = pack_open(out, fd, name, &f);
    close(fd);
    if (!e)
        return EXIT_DONE;
    cli_say("%s", f.words);
    return e == E_NOT_FOUND ? EXIT_NO_INPUT : EXIT_DATA;
}

static bool has_pack(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s/site.yaml", folder, name);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

/* Calls each(pack) for all packs of the configured folder; the worst code wins. */
static int each_pack(struct cli *c, void (*each)(struct cli *c, const struct pack *p))
{
    struct fault f = {0};
    char folder[CONFIG_PATH_MAX];
    char **names = NULL;
    size_t count = 0;
    int fd = open_sites(c, folder), code = EXIT_DONE;
    if (fd < 0)
        return EXIT_CONFIG;
    if (files_list(folder, c->arena, &names, &count, &f)) {
        cli_say("%s", f.words);
        code = EXIT_IO;
    }
    for (size_t i = 0; i < count; i++) {
        struct pack *p = NULL;
        struct fault broken = {0};
        if (!has_pack(folder, names[i]))
            continue;
        if (pack_open(&p, fd, names[i], &broken)) {
            cli_say("%s", broken.words);
            code = EXIT_DATA;
            continue;
        }
        each(c, p);
        pack_close(&p);
    }
    close(fd);
    return code;
}

/* ---- list, show, check ---- */

static void list_one(struct cli *c, const struct pack *p)
{
    const struct span *kinds;
    size_t count = pack_targets(p, &kinds);
    struct buf line = BUF(4096);
    if (c->json) {
        struct json_w w = json_w(&line);
        json_open(&w);
        pack_put_name(&w, p);
        json_kv_text(&w, "base_url", pack_base_url(p));
        json_key(&w, "targets");
        json_open_array(&w);
        for (size_t i = 0; i < count; i++)
            json_put_text(&w, kinds[i]);
        json_close_array(&w);
        json_close(&w);
        cli_put(c, buf_span(&line));
    } else {
        buf_fmt(&line, "%-12.*s %-12.*s", SP(pack_name(p)), SP(pack_version(p)));
        for (size_t i = 0; i < count; i++)
            buf_fmt(&line, " %.*s", SP(kinds[i]));
        printf("%.*s\n", SP(buf_span(&line)));
    }
    buf_free(&line);
}

static void check_one(struct cli *c, const struct pack *p)
{
    const struct span *kinds;
    if (!c->quiet)
        printf("%.*s %.*s: ok, %zu targets\n", SP(pack_name(p)), SP(pack_version(p)),
               pack_targets(p, &kinds));
}

/* Strategies in the order in which they are tried, and what each reads. */
static void show_strategies(const struct pack *p, const struct target_view *t)
{
    const char *names[PLAN_STRATEGIES];
    size_t n = pack_strategies(p, t->kind, SPAN_NONE, names, PLAN_STRATEGIES);
    for (size_t i = 0; i < n; i++) {
        printf("  %-8s", names[i]);
        for (size_t o = 0; strcmp(names[i], "capture") == 0 && o < t->operation_count; o++)
            printf(" %.*s", SP(t->operations[o].name));
        for (size_t o = 0; strcmp(names[i], "fetch") == 0 && o < t->source_count; o++)
            printf(" %.*s", SP(t->sources[o]));
        printf("%s\n", strcmp(names[i], "dom") == 0 ? " what the page shows" : "");
    }
}

static void show_target(const struct pack *p, const struct target_view *t)
{
    bool usual = span_is(pack_name(p), "x");
    printf(
        "\n%.*s\n  takes    %.*s\n  example  fulmar get %.*s '%.*s'%s%.*s\n  page     %.*s%s\n",
        SP(t->kind), SP(t->accepts), SP(t->kind), SP(t->example), usual ? "" : " --site ",
        SP(usual ? SPAN("") : pack_name(p)), SP(t->url),
        t->needs_session ? "  (shown to people who are logged in)" : "");
    show_strategies(p, t);
    printf("  records  %s%s", t->users ? "users" : "posts",
           t->depth ? ", --depth of the replies" : "");
    for (size_t o = 0; o < t->product_count; o++)
        printf("%s%.*s", o ? ", " : "; --product ", SP(t->products[o]));
    printf("\n");
}

static int show(struct cli *c, const char *name)
{
    struct pack *p = NULL;
    const struct span *kinds, *hosts;
    int code = cli_open_pack(c, name, &p);
    if (code)
        return code;
    size_t host_count = pack_hosts(p, &hosts);
    printf("%.*s, version %.*s, %.*s\nhosts:", SP(pack_name(p)), SP(pack_version(p)),
           SP(pack_base_url(p)));
    for (size_t i = 0; i < host_count; i++)
        printf(" %.*s", SP(hosts[i]));
    printf("\n");
    for (size_t i = 0; i < pack_targets(p, &kinds); i++) {
        struct target_view t;
        if (pack_target_view(p, kinds[i], &t))
            show_target(p, &t);
    }
    pack_close(&p);
    return EXIT_DONE;
}

static int check(struct cli *c, const char *name)
{
    struct pack *p = NULL;
    if (!name)
        return each_pack(c, check_one);
    int code = cli_open_pack(c, name, &p);
    if (!code)
        check_one(c, p);
    pack_close(&p);
    return code;
}

/* ---- test, diff ---- */

static void print_text(struct cli *c, const struct difference *d)
{
    const char *nothing = "(not there)";
    char *before = cli_printable(c, span_cut(d->before, 0, SHOWN_BYTES));
    char *after = cli_printable(c, span_cut(d->after, 0, SHOWN_BYTES));
    printf("%s: %.*s%s%s: %s → %s\n", d->recording,
           SP(d->id.n ? d->id : SPAN("(the answer as a whole)")), d->field ? " " : "",
           d->field ? d->field : "", d->before.n ? before : nothing,
           d->after.n ? after : nothing);
}

static void print_json(struct cli *c, const struct difference *d)
{
    struct buf line = BUF(16384);
    struct json_w w = json_w(&line);
    json_open(&w);
    json_kv_cstr(&w, "recording", d->recording);
    json_kv_text(&w, "id", d->id);
    json_kv_cstr(&w, "field", d->field);
    json_kv_text(&w, "before", d->before);
    json_kv_text(&w, "after", d->after);
    json_close(&w);
    cli_put(c, buf_span(&line));
    buf_free(&line);
}

static void print_difference(void *ctx, const struct difference *d)
{
    struct cli *c = ctx;
    if (c->json)
        print_json(c, d);
    else
        print_text(c, d);
}

static int conclude(struct cli *c, const struct replay *r, err e, const struct fault *f)
{
    if (e) {
        cli_say("%s", f->words[0] ? f->words : err_text(e));
        return e == E_NOT_FOUND ? EXIT_NO_INPUT : e == E_BAD_INPUT ? EXIT_DATA : cli_exit_of(e);
    }
    cli_note(c, "%zu recordings, %zu records, %zu fields compared, %zu differences",
             r->recordings, r->records, r->fields, r->differences);
    if (r->unexpected && !c->accept)
        cli_note(c, "%zu recordings have nothing to compare with: test --accept writes it",
                 r->unexpected);
    return r->differences ? EXIT_DRIFT : EXIT_DONE;
}

static int test(struct cli *c, const char *name, const char *folder)
{
    struct fault f = {0};
    struct pack *p = NULL;
    int code = cli_open_pack(c, name, &p);
    if (code)
        return code;
    struct replay r = {
        .arena = arena_new(RECORDING_ARENA), .on_difference = print_difference, .ctx = c};
    err e = replay_test(&r, p, folder, c->accept, &f);
    code = conclude(c, &r, e, &f);
    arena_free(&r.arena);
    pack_close(&p);
    return code;
}

static int diff(struct cli *c, const char *before, const char *after, const char *folder)
{
    struct fault f = {0};
    struct pack *old = NULL, *new = NULL;
    int code = cli_open_pack(c, before, &old);
    if (!code)
        code = cli_open_pack(c, after, &new);
    if (!code) {
        struct replay r = {
            .arena = arena_new(RECORDING_ARENA), .on_difference = print_difference, .ctx = c};
        err e = replay_diff(&r, old, new, folder, &f);
        code = conclude(c, &r, e, &f);
        arena_free(&r.arena);
    }
    pack_close(&old);
    pack_close(&new);
    return code;
}

int site_run(struct cli *c)
{
    const char *action = c->action;
    size_t words = c->word_count > 2 ? c->word_count - 2 : 0;
    const char *const *word = c->words + 2;
    int code = cli_settings(c);
    if (code)
        return code;
    if (strcmp(action, "list") == 0 && words == 0)
        return each_pack(c, list_one);
    if (strcmp(action, "show") == 0 && words == 1)
        return show(c, word[0]);
    if (strcmp(action, "check") == 0 && words <= 1)
        return check(c, words ? word[0] : NULL);
    if (strcmp(action, "test") == 0 && words == 2)
        return test(c, word[0], word[1]);
    if (strcmp(action, "diff") == 0 && words == 3)
        return diff(c, word[0], word[1], word[2]);
    if (strcmp(action, "fields") == 0 && words <= 1)
        return fields_show(c, words ? word[0] : "x");
    return cli_usage("site", "site %s does not take %zu words", action, words);
}

#include "cli/profile.h"

#include "base/text.h"
#include "base/yaml.h"
#include "os/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024, FILES = 3 };

/* What a profile may say. variable NULL: the environment does not say it. */
static const struct key {
    const char *name, *variable;
} keys[] = {{"server", "FULMAR_SERVER"},
            {"config", "FULMAR_CONFIG"},
            {"output", NULL},
            {"site", NULL},
            {"tenant", NULL},
            {"pool", NULL},
            {"by", NULL}};
enum { KEYS = sizeof keys / sizeof *keys };

struct profile_file {
    const char *path;
    struct ynode *root; /* NULL: not there, or not to be read */
};

struct profiles {
    struct profile_file files[FILES];
    const char *name; /* of the profile in use; NULL: none */
    const char *name_from;
};

static const char *environment(const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

/* ---- the files ---- */

static int refuse(const char *path, const struct ynode *at, const char *what, const char *near)
{
    cli_say("%s:%d:%d: %s '%.*s'%s%s%s", path, at->key_line, at->key_column, what,
            SP(span_cut(at->key, 0, 60)), near ? "; did you mean '" : "", near ? near : "",
            near ? "'?" : "");
    return EXIT_CONFIG;
}

static int check_profile(const char *path, const struct ynode *profile)
{
    const char *known[KEYS + 1] = {NULL};
    for (size_t i = 0; i < KEYS; i++)
        known[i] = keys[i].name;
    if (profile->kind != YNODE_MAP)
        return refuse(path, profile, "no members in the profile", NULL);
    for (const struct ynode *n = profile->first; n; n = n->next) {
        bool is_known = false;
        for (size_t i = 0; i < KEYS; i++)
            is_known |= span_is(n->key, keys[i].name);
        if (!is_known)
            return refuse(path, n, "unknown key", text_nearest(n->key, known));
        if (n->kind != YNODE_TEXT)
            return refuse(path, n, "no text behind", NULL);
    }
    return EXIT_DONE;
}

static int check_file(const char *path, const struct ynode *root)
{
    static const char *const known[] = {"profile", "profiles", NULL};
    int code = EXIT_DONE;
    for (const struct ynode *n = root->first; !code && n; n = n->next) {
        bool one = span_is(n->key, "profile"), all = span_is(n->key, "profiles");
        if (root->kind != YNODE_MAP || (!one && !all))
            code = refuse(path, n, "unknown key", text_nearest(n->key, known));
        else if (n->kind != (one ? YNODE_TEXT : YNODE_MAP))
            code = refuse(path, n, one ? "no text behind" : "no profiles below", NULL);
        for (const struct ynode *p = all ? n->first : NULL; !code && p; p = p->next)
            code = check_profile(path, p);
    }
    return code;
}

static int read_file(struct cli *c, struct profile_file *file)
{
    struct buf text = BUF(FILE_MAX);
    struct fault f = {0};
    err e = files_read(AT_FDCWD, file->path, FILE_MAX, &text, &f);
    if (!e)
        e = yaml_parse(c->arena, file->path, buf_span(&text), &file->root, &f);
    buf_free(&text);
    if (e)
        cli_say("%s", f.words);
    return e ? EXIT_CONFIG : check_file(file->path, file->root);
}

/* In a folder that others may write to, somebody else could say which service is asked. */
static bool is_ours(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == getuid() &&
           !(info.st_mode & (S_IWGRP | S_IWOTH));
}

static const char *user_file(struct cli *c)
{
    const char *xdg = environment("XDG_CONFIG_HOME"), *home = environment("HOME");
    if (xdg && xdg[0] == '/')
        return arena_fmt(c->arena, "%s/fulmar/client.yaml", xdg);
    return home ? arena_fmt(c->arena, "%s/.config/fulmar/client.yaml", home) : NULL;
}

static int read_files(struct cli *c, struct profiles *p)
{
    const char *paths[FILES] = {".fulmar.yaml", user_file(c), "/etc/fulmar/client.yaml"};
    int code = EXIT_DONE;
    for (size_t i = 0; !code && i < FILES; i++) {
        p->files[i].path = paths[i];
        if (paths[i] && (i ? access(paths[i], F_OK) == 0 : is_ours(paths[i])))
            code = read_file(c, &p->files[i]);
    }
    return code;
}

/* ---- the profile in use ---- */

static const struct ynode *profile_in(const struct profile_file *file, const char *name)
{
    const struct ynode *all = file->root ? ynode_find(file->root, "profiles") : NULL;
    return all && name ? ynode_find(all, name) : NULL;
}

static void each_name(const struct profiles *p, void (*each)(void *ctx, struct span name),
                      void *ctx)
{
    for (size_t i = 0; i < FILES; i++) {
        struct ynode *all = p->files[i].root ? ynode_find(p->files[i].root, "profiles") : NULL;
        for (struct ynode *n = all ? all->first : NULL; n; n = n->next)
            each(ctx, n->key);
    }
}

void profile_each(struct cli *c, void (*each)(void *ctx, struct span name), void *ctx)
{
    struct profiles p = {0};
    if (read_files(c, &p) == EXIT_DONE)
        each_name(&p, each, ctx);
}

static void add_name(void *ctx, struct span name)
{
    struct buf *known = ctx;
    buf_fmt(known, "%s%.*s", known->n ? ", " : "", SP(name));
}

static int unknown_profile(struct cli *c, const struct profiles *p)
{
    struct buf known = BUF(4096);
    each_name(p, add_name, &known);
    if (known.n)
        cli_say("there is no profile '%.60s'; known are %s", p->name,
                cli_printable(c, buf_span(&known)));
    else
        cli_say("there is no profile '%.60s', and no file with profiles: %s", p->name,
                p->files[1].path ? p->files[1].path : p->files[2].path);
    buf_free(&known);
    return EXIT_CONFIG;
}

static int choose(struct cli *c, struct profiles *p)
{
    const char *said = environment("FULMAR_PROFILE");
    p->name = c->profile ? c->profile : said;
    p->name_from = c->profile ? "--profile" : "$FULMAR_PROFILE";
    for (size_t i = 0; !p->name && i < FILES; i++) {
        struct ynode *n = p->files[i].root ? ynode_find(p->files[i].root, "profile") : NULL;
        if (!n)
            continue;
        p->name = arena_text(c->arena, n->text);
        p->name_from = p->files[i].path;
    }
    for (size_t i = 0; p->name && i < FILES; i++)
        if (profile_in(&p->files[i], p->name))
            return EXIT_DONE;
    return p->name ? unknown_profile(c, p) : EXIT_DONE;
}

static int open_profiles(struct cli *c, struct profiles *p)
{
    *p = (struct profiles){0};
    int code = read_files(c, p);
    return code ? code : choose(c, p);
}

/* What the profile says of a key, in the nearest file that says it. */
static const char *value_of(struct cli *c, const struct profiles *p, const struct key *key,
                            const char **out_from)
{
    for (size_t i = 0; i < FILES; i++) {
        const struct ynode *profile = profile_in(&p->files[i], p->name);
        const struct ynode *value = profile ? ynode_find(profile, key->name) : NULL;
        if (!value)
            continue;
        *out_from = p->files[i].path;
        return arena_text(c->arena, value->text);
    }
    return NULL;
}

static const char **flag_value(struct cli *c, const struct key *key)
{
    return (const char **)(void *)((char *)c + flag_named(span_of(key->name))->at);
}

static bool is_given(struct cli *c, const struct key *key)
{
    bool shown = strcmp(key->name, "output") == 0 && (c->json || c->csv);
    return *flag_value(c, key) || shown;
}

int profile_apply(struct cli *c, const struct command *command)
{
    struct profiles p;
    if (!command_takes(command, flag_named(SPAN("profile"))))
        return EXIT_DONE;
    int code = open_profiles(c, &p);
    for (size_t i = 0; !code && i < KEYS; i++) {
        const char *from;
        /* Whoever uses the value looks into the environment as well. */
        if (is_given(c, &keys[i]) || environment(keys[i].variable) ||
            !command_takes(command, flag_named(span_of(keys[i].name))))
            continue;
        *flag_value(c, &keys[i]) = value_of(c, &p, &keys[i], &from);
    }
    return code;
}

/* ---- fulmar config show ---- */

static void put_row(struct cli *c, struct json_w *w, const char *name, const char *value,
                    const char *from)
{
    if (!c->json) {
        printf("%-10s  %-36s  %s\n", name, value ? cli_printable(c, span_of(value)) : "-",
               value ? from : "-");
        return;
    }
    json_open(w);
    json_kv_cstr(w, "name", name);
    json_kv_cstr(w, "value", value);
    json_kv_cstr(w, "from", value ? from : NULL);
    json_close(w);
}

static void put_key(struct cli *c, struct json_w *w, const struct profiles *p,
                    const struct key *key)
{
    const char *said = environment(key->variable), *from = NULL;
    const char *value = said ? said : value_of(c, p, key, &from);
    put_row(c, w, key->name, value, said ? arena_fmt(c->arena, "$%s", key->variable) : from);
}

int profile_show(struct cli *c)
{
    struct profiles p;
    struct buf text = BUF(64 * 1024);
    struct json_w w = json_w(&text);
    int code = open_profiles(c, &p);
    if (code)
        return code;
    if (!c->json)
        printf("%-10s  %-36s  %s\n", "NAME", "VALUE", "FROM");
    json_open(&w);
    json_kv_cstr(&w, "object", "list");
    json_key(&w, "data");
    json_open_array(&w);
    put_row(c, &w, "profile", p.name, p.name_from);
    for (size_t i = 0; i < KEYS; i++)
        put_key(c, &w, &p, &keys[i]);
    json_close_array(&w);
    json_close(&w);
    if (c->json)
        cli_put(c, buf_span(&text));
    buf_free(&text);
    return EXIT_DONE;
}

#include "cli/profile.h"

#include "os/files.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLE_MAX = 256 * 1024 };

static int check(struct cli *c, const char *path)
{
    if (path)
        c->config = path;
    int code = cli_settings(c);
    if (code)
        return code;
    char place[CONFIG_PATH_MAX];
    struct fault f = {0};
    err e = config_state_dir(&c->settings, place, &f);
    if (!e)
        e = config_socket(&c->settings, place, &f);
    if (e) {
        cli_say("%s", f.words);
        return cli_exit_of(e);
    }
    if (!c->quiet)
        printf("%s: ok\n", c->config_file[0]
                               ? c->config_file
                               : "no configuration file, every setting has its default");
    return EXIT_DONE;
}

/* Where `init` writes when it is not told. */
static const char *usual_place(struct cli *c)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return arena_fmt(c->arena, "%s/fulmar/fulmar.yaml", xdg);
    if (getuid() != 0 && home && *home)
        return arena_fmt(c->arena, "%s/.config/fulmar/fulmar.yaml", home);
    return "/etc/fulmar/fulmar.yaml";
}

static err make_folder_of(struct cli *c, const char *path, struct fault *f)
{
    char *folder = arena_text(c->arena, span_of(path));
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash || slash == folder)
        return E_OK;
    *slash = '\0';
    return files_make_folder(folder, 0755, f);
}

/* The sample on standard output. */
static int print_sample(void)
{
    struct buf text = BUF(SAMPLE_MAX);
    settings_write(&text, NULL);
    fwrite(text.p, 1, text.n, stdout);
    buf_free(&text);
    return EXIT_DONE;
}

static int init(struct cli *c, const char *path)
{
    struct fault f = {0};
    if (path && strcmp(path, "-") == 0)
        return print_sample();
    if (!path)
        path = c->config ? c->config : usual_place(c);
    if (make_folder_of(c, path, &f)) {
        cli_say("%s", f.words);
        return EXIT_CANNOT_CREATE;
    }
    if (access(path, F_OK) == 0) {
        cli_say("%s is there already; it is left as it is", path);
        return EXIT_CANNOT_CREATE;
    }
    struct buf text = BUF(SAMPLE_MAX);
    settings_write(&text, NULL);
    err e = files_write(path, buf_span(&text), &f);
    buf_free(&text);
    if (e) {
        cli_say("%s", f.words);
        return e == E_DISK_FULL ? EXIT_IO : EXIT_CANNOT_CREATE;
    }
    chmod(path, 0644); /* no secrets in it, and the service may run as another user */
    cli_note(c, "wrote %s; change it, then: fulmar config check %s", path, path);
    return EXIT_DONE;
}

int config_run(struct cli *c)
{
    const char *path = c->word_count > 2 ? c->words[2] : NULL;
    if (strcmp(c->action, "show") == 0)
        return c->word_count > 2 ? cli_usage("config", "too many words") : profile_show(c);
    if (c->word_count > 3)
        return cli_usage("config", "too many words");
    return strcmp(c->action, "check") == 0 ? check(c, path) : init(c, path);
}

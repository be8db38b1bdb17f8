#include "upkeep/config.h"

#include "net/domains.h"
#include "os/files.h"
#include "os/sandbox.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FILE_MAX = 256 * 1024, /* a configuration with every setting and its comment is 10 KB */
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The user's home, or NULL. */
static const char *home(void)
{
    const char *path = environment("HOME");
    if (path)
        return path;
    const struct passwd *entry = getpwuid(getuid());
    return entry && entry->pw_dir && *entry->pw_dir ? entry->pw_dir : NULL;
}

__attribute__((format(printf, 3, 4))) static err path_of(char out[CONFIG_PATH_MAX],
                                                         struct fault *f, const char *fmt, ...)
{
    char path[CONFIG_PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(path, sizeof path, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= CONFIG_PATH_MAX)
        return fail(f, E_CONFIG, "path is longer than %d bytes: %.80s…", CONFIG_PATH_MAX - 1,
                    path);
    memcpy(out, path, (size_t)n + 1);
    return E_OK;
}

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Below an XDG base folder: $variable/rest, else ~/fallback/rest. E_NOT_FOUND without a home.
 */
static err xdg(char out[CONFIG_PATH_MAX], const char *variable, const char *fallback,
               const char *rest, struct fault *f)
{
    const char *base = environment(variable);
    if (base && base[0] == '/') /* the specification says: ignore relative ones */
        return path_of(out, f, "%s/%s", base, rest);
    const char *user_home = home();
    if (!user_home)
        return E_NOT_FOUND;
    return path_of(out, f, "%s/%s/%s", user_home, fallback, rest);
}

/* out is "" when there is no configuration file. */
static err find_file(const char *path, char out[CONFIG_PATH_MAX], struct fault *f)
{
    const char *named = path ? path : environment("FULMAR_CONFIG");
    if (named)
        return path_of(out, f, "%s", named);
    err e = xdg(out, "XDG_CONFIG_HOME", ".config", "fulmar/fulmar.yaml", f);
    if (e && e != E_NOT_FOUND)
        return e;
    if (!e && there(out))
        return E_OK;
    if (environment("XDG_CONFIG_HOME") && home()) {
        e = path_of(out, f, "%s/.config/fulmar/fulmar.yaml", home());
        if (e || there(out))
            return e;
    }
    e = path_of(out, f, "/etc/fulmar/fulmar.yaml");
    if (e || there(out))
        return e;
    out[0] = '\0';
    return E_OK;
}

static err read_file(struct arena *a, const char *file, struct settings *s, struct fault *f)
{
    struct buf text = BUF(FILE_MAX);
    struct ynode *root;
    err e = files_read(AT_FDCWD, file, FILE_MAX, &text, f);
    /* Every text of the tree is copied into the arena by the reader, so the file's bytes may
     * go. */
    if (!e)
        e = yaml_parse(a, file, buf_span(&text), &root, f);
    if (!e)
        e = settings_read(s, a, file, root, f);
    buf_free(&text);
    return e;
}

err config_load(struct arena *a, const char *path, const char *const *set, struct settings *out,
                char out_file[CONFIG_PATH_MAX], struct fault *f)
{
    out_file[0] = '\0';
    err e = find_file(path, out_file, f);
    if (e)
        return e;
    struct settings read;
    settings_default(&read);
    if (out_file[0])
        e = read_file(a, out_file, &read, f);
    for (; !e && set && *set; set++)
        e = settings_set(&read, a, span_of(*set), f);
    struct domain_rules domains;
    if (!e)
        e = domain_rules_read(SETTING_S(&read, fetch, domains), &domains, f);
    if (!e)
        *out = read;
    return e;
}

err config_state_dir(const struct settings *s, char out[CONFIG_PATH_MAX], struct fault *f)
{
    struct span set = SETTING_S(s, store, path);
    if (set.n)
        return path_of(out, f, "%.*s", SP(set));
    const char *base = environment("XDG_STATE_HOME");
    if (getuid() == 0 && !(base && base[0] == '/'))
        return path_of(out, f, "/var/lib/fulmar");
    err e = xdg(out, "XDG_STATE_HOME", ".local/state", "fulmar", f);
    if (e == E_NOT_FOUND)
        return fail(f, E_CONFIG,
                    "no home folder to keep the state in; set store.path or $XDG_STATE_HOME");
    return e;
}

err config_socket(const struct settings *s, char out[CONFIG_PATH_MAX], struct fault *f)
{
    char path[CONFIG_PATH_MAX];
    struct span set = SETTING_S(s, api, socket);
    err e;
    if (set.n) {
        e = path_of(path, f, "%.*s", SP(set));
    } else {
        char state[CONFIG_PATH_MAX];
        e = config_state_dir(s, state, f);
        if (!e)
            e = path_of(path, f, "%s/fulmar.sock", state);
    }
    if (e)
        return e;
    size_t longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    if (strlen(path) > longest)
        return fail(f, E_CONFIG,
                    "the path of the Unix socket is longer than %zu bytes; set api.socket to a "
                    "shorter one",
                    longest);
    memcpy(out, path, strlen(path) + 1);
    return E_OK;
}

/* Folder of the running program, without a slash at the end. */
static err program_folder(char out[CONFIG_PATH_MAX], struct fault *f)
{
    char path[CONFIG_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return files_fault(f, "find the running program", "/proc/self/exe");
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return fail(f, E_OS, "the running program has no folder");
    *slash = '\0';
    memcpy(out, path, strlen(path) + 1);
    return E_OK;
}

static err nearest_above(char folder[CONFIG_PATH_MAX], char out[CONFIG_PATH_MAX],
                         struct fault *f)
{
    for (;;) {
        char probe[CONFIG_PATH_MAX];
        err e = path_of(probe, NULL, "%s/sites/x/site.yaml", folder);
        if (!e && there(probe))
            return path_of(out, f, "%s/sites", folder);
        char *slash = strrchr(folder, '/');
        if (!slash)
            return E_NOT_FOUND;
        *slash = '\0';
    }
}

err config_sites_dir(const struct settings *s, char out[CONFIG_PATH_MAX], struct fault *f)
{
    struct span set = SETTING_S(s, site, path);
    if (set.n)
        return path_of(out, f, "%.*s", SP(set));
    const char *named = environment("FULMAR_SITES");
    if (named)
        return path_of(out, f, "%s", named);

    char folder[CONFIG_PATH_MAX], beside[CONFIG_PATH_MAX];
    err e = program_folder(folder, f);
    if (e)
        return e;
    e = path_of(beside, NULL, "%s/../share/fulmar/sites", folder);
    if (!e && there(beside))
        return path_of(out, f, "%s", beside);
    e = nearest_above(folder, out, f);
    if (e == E_NOT_FOUND)
        return fail(f, E_NOT_FOUND,
                    "no site packs beside the program; set site.path or $FULMAR_SITES to the "
                    "folder that holds x/site.yaml");
    return e;
}

const char *config_user(const struct settings *s, char out[CONFIG_USER_MAX])
{
    struct span wanted = SETTING_S(s, service, user);
    if (!wanted.n)
        wanted = sandbox_user_exists("fulmar") ? SPAN("fulmar") : SPAN("nobody");
    return span_copy(wanted, out, CONFIG_USER_MAX);
}

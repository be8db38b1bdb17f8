#include "main/roles.h"

#include "base/log.h"
#include "extract/pack.h"
#include "os/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETTINGS_MAX = 256 * 1024 };

err role_settings(struct arena *a, struct settings *out, struct fault *f)
{
    struct buf text = BUF(SETTINGS_MAX);
    char *room;
    ssize_t n = 0;
    while ((room = buf_room(&text, 4096)) && (n = read(ROLE_SETTINGS_FD, room, 4096)) > 0)
        text.n += (size_t)n;
    close(ROLE_SETTINGS_FD);
    struct ynode *root = NULL;
    settings_default(out);
    err e = room ? yaml_parse(a, "settings", buf_span(&text), &root, f) : E_TOO_BIG;
    if (!e)
        e = settings_read(out, a, "settings", root, f);
    buf_free(&text);
    return e;
}

void role_log(const char *role, const struct settings *s)
{
    log_setup(role, (enum log_format)SETTING(s, log, format), (enum log_level)SETTING(s, log, level),
              clock_wall);
}

/* Never waits: a supervisor that is stopped must not stop us. */
static void tell(const char *text, size_t n)
{
    (void)!send(ROLE_SUPERVISOR_FD, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void role_beat(void)
{
    tell(ROLE_BEAT, strlen(ROLE_BEAT));
}

void role_why(const char *words)
{
    char text[256];
    int n = snprintf(text, sizeof text, ROLE_WHY "%s", words);
    if (n > 0)
        tell(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

/* "x=http://127.0.0.1:8471" among the words of site.base_url. */
static struct span base_url_of(const struct settings *s, struct span name)
{
    struct span rest = SETTING_S(s, site, base_url), word;
    while (span_next(&rest, ' ', &word)) {
        size_t at = span_find_char(word, '=');
        if (at < word.n && span_eq(span_cut(word, 0, at), name))
            return span_cut(word, at + 1, word.n);
    }
    return SPAN_NONE;
}

static bool is_pack(int dirfd, const char *name)
{
    char path[300];
    struct buf b = BUF(sizeof path);
    if (name[0] == '.')
        return false;
    buf_fmt(&b, "%s/site.yaml", name);
    span_copy(buf_span(&b), path, sizeof path);
    buf_free(&b);
    return faccessat(dirfd, path, R_OK, 0) == 0;
}

int64_t role_stop_ms(const struct settings *s)
{
    enum { STEP_MS = 3000, STEPS = 3, AIR_MS = 3000 };
    return SETTING(s, browser, dispose_timeout) + STEP_MS * STEPS + AIR_MS;
}

err sites_open(struct site_list *out, int sites_dirfd, const struct settings *s, struct fault *f)
{
    *out = (struct site_list){0};
    int copy = openat(sites_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder)
        return fail(f, E_CONFIG, "the folder of the site packs cannot be read; set site.path");
    err e = E_OK;
    struct dirent *entry;
    while (!e && (entry = readdir(folder)) && out->count < 16) {
        if (!is_pack(sites_dirfd, entry->d_name))
            continue;
        e = pack_open(&out->packs[out->count], sites_dirfd, entry->d_name, f);
        if (e) { /* whatever it is, the pack must be mended */
            e = e == E_OS || e == E_NO_MEMORY ? e : E_CONFIG;
            break;
        }
        out->base_urls[out->count] = base_url_of(s, pack_name(out->packs[out->count]));
        out->count++;
    }
    closedir(folder);
    if (!e && out->count == 0)
        e = fail(f, E_CONFIG, "no site pack found; set site.path to the folder that holds x/site.yaml");
    if (e)
        sites_close(out);
    return e;
}

void sites_close(struct site_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        pack_close(&l->packs[i]);
    l->count = 0;
}

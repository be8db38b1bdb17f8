#include "main/place.h"

#include "base/log.h"
#include "main/roles.h"
#include "os/files.h"
#include "os/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static err listen_tcp(struct place *p, struct fault *f)
{
    char host[64];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)SETTING(&p->settings, api, port))};
    int one = 1;
    span_copy(SETTING_S(&p->settings, api, host), host, sizeof host);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        return fail(f, E_CONFIG, "api.host '%s' is not an IPv4 address", host);
    /* There are no keys yet: whoever reaches the port may submit and read. */
    if (ntohl(a.sin_addr.s_addr) >> 24 != 127)
        return fail(
            f, E_CONFIG,
            "api.host '%s' is not a loopback address (127.0.0.0/8): the API has no keys yet, so only this "
            "machine may reach it",
            host);
    p->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->tcp < 0)
        return fail(f, E_OS, "no TCP socket: %s", strerror(errno));
    (void)setsockopt(p->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(p->tcp, (struct sockaddr *)&a, sizeof a) || listen(p->tcp, BACKLOG))
        return fail(f, E_CONFLICT,
                    "cannot listen on %s port %lld (%s): stop what uses it or set api.port",
                    host, (long long)SETTING(&p->settings, api, port), strerror(errno));
    socklen_t size = sizeof a;
    if (!getsockname(p->tcp, (struct sockaddr *)&a, &size))
        p->settings.v[SET_api_port].number = ntohs(a.sin_port);
    return E_OK;
}

/* Two services that start at the same moment must not take each other's socket. The lock is on the
 * folder itself: nothing is left when the service ends. */
static err lock_state(struct place *p, struct fault *f)
{
    p->lock = open(p->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0)
        return files_fault(f, "open", p->state_dir);
    if (flock(p->lock, LOCK_EX | LOCK_NB))
        return fail(f, E_CONFLICT,
                    "another service uses %s: stop it, or set another store.path",
                    p->state_dir);
    return E_OK;
}

static err remove_old_socket(const struct place *p, struct fault *f)
{
    struct stat st;
    if (lstat(p->socket_path, &st))
        return E_OK;
    if (!S_ISSOCK(st.st_mode))
        return fail(f, E_CONFIG, "%s is there and is no socket: set another api.socket",
                    p->socket_path);
    return unlink(p->socket_path) ? files_fault(f, "remove the old socket", p->socket_path)
                                  : E_OK;
}

int place_settings(const struct place *p, bool node)
{
    struct buf text = BUF(256 * 1024);
    struct settings told = p->settings;
    if (!node)
        told.v[SET_store_queue].text = told.v[SET_store_archive].text = SPAN_NONE;
    settings_write(&text, &told);
    int fd = memfd_create("settings", MFD_CLOEXEC);
    bool ok = fd >= 0 && !text.failed && write(fd, text.p, text.n) == (ssize_t)text.n &&
              lseek(fd, 0, SEEK_SET) == 0;
    buf_free(&text);
    if (ok || fd < 0)
        return ok ? fd : -1;
    close(fd);
    return -1;
}

void place_leave(const struct place *p)
{
    struct stat st;
    if (p->socket_inode && !lstat(p->socket_path, &st) && st.st_ino == p->socket_inode)
        (void)unlink(p->socket_path);
}

static err listen_unix(struct place *p, struct fault *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    span_copy(span_of(p->socket_path), a.sun_path, sizeof a.sun_path);
    p->unix_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->unix_ < 0)
        return fail(f, E_OS, "no Unix socket: %s", strerror(errno));
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof a) == 0;
    if (probe >= 0)
        close(probe);
    if (taken)
        return fail(f, E_CONFLICT,
                    "a service already answers on %s: stop it, or set another store.path",
                    p->socket_path);
    err e = remove_old_socket(p, f);
    if (e)
        return e;
    mode_t before = umask(0117);
    int bad = bind(p->unix_, (struct sockaddr *)&a, sizeof a) || listen(p->unix_, BACKLOG);
    umask(before);
    struct stat st;
    if (bad || lstat(p->socket_path, &st))
        return files_fault(f, "listen on", p->socket_path);
    p->socket_inode = st.st_ino;
    return E_OK;
}

/* Chromium runs as this user: as root its own sandbox would not start, and it must stay on. */
static err find_user(struct place *p, struct passwd **out, struct fault *f)
{
    char name[CONFIG_USER_MAX];
    *out = getpwnam(config_user(&p->settings, name));
    if (!*out)
        return fail(f, E_CONFIG, "there is no user '%s': create it or set service.user", name);
    if ((*out)->pw_uid == 0)
        return fail(
            f, E_CONFIG,
            "service.user is '%s', which is root: Chromium must not run as root; name an unprivileged "
            "user, or leave it empty for 'fulmar' or 'nobody'",
            name);
    return E_OK;
}

static err prepare_folder(const char *path, const struct passwd *user, struct fault *f)
{
    return user ? files_make_folder_of(path, user->pw_uid, user->pw_gid, f)
                : files_make_folder(path, 0700, f);
}

/* The state folder, and that of files which machines share. */
static err prepare_state(struct place *p, struct fault *f)
{
    struct passwd *user = NULL;
    char files[PATH_MAX];
    struct span shared = SETTING_S(&p->settings, store, files);
    err e = geteuid() == 0 ? find_user(p, &user, f) : E_OK;
    if (!e)
        e = prepare_folder(p->state_dir, user, f);
    if (!e && shared.n > 0 && shared.n < sizeof files)
        e = prepare_folder(span_copy(shared, files, sizeof files), user, f);
    return e;
}

static err open_all(struct place *p, struct fault *f)
{
    err e = config_state_dir(&p->settings, p->state_dir, f);
    if (!e)
        e = config_socket(&p->settings, p->socket_path, f);
    if (!e)
        e = config_sites_dir(&p->settings, p->sites_dir, f);
    role_log("supervisor", &p->settings);
    if (!e)
        e = prepare_state(p, f);
    if (!e)
        e = lock_state(p, f);
    if (!e)
        e = listen_tcp(p, f);
    if (!e)
        e = listen_unix(p, f);
    if (e)
        return e;
    p->sites = open(p->sites_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->sites < 0)
        return files_fault(f, "open the site packs in", p->sites_dir);
    if (geteuid() == 0) {
        char name[CONFIG_USER_MAX];
        struct passwd *user = getpwnam(config_user(&p->settings, name));
        if (user && chown(p->socket_path, user->pw_uid, user->pw_gid))
            return files_fault(f, "hand over", p->socket_path);
        log_info("service.user", F_C("name", name));
        e = sandbox_become_user(name, f);
    }
    return e;
}

err place_open(struct place *p, struct arena *a, const char *config_file,
               const char *const *set, struct fault *f)
{
    char used[CONFIG_PATH_MAX];
    err e = config_load(a, config_file, set, &p->settings, used, f);
    if (e)
        return e;
    e = open_all(p, f);
    return e == E_NOT_FOUND ? E_CONFIG : e; /* a setting that leads nowhere */
}

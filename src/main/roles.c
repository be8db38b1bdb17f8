#include "main/roles.h"

#include "base/log.h"
#include "os/clock.h"

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
    log_setup(role, (enum log_format)SETTING(s, log, format),
              (enum log_level)SETTING(s, log, level), clock_wall);
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

int64_t role_stop_ms(const struct settings *s)
{
    enum { STEP_MS = 3000, STEPS = 3, AIR_MS = 3000 };
    return SETTING(s, browser, dispose_timeout) + STEP_MS * STEPS + AIR_MS;
}

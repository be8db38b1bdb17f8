#include "main/roles.h"

#include "base/log.h"
#include "net/egress.h"

#include <stdio.h>
#include <unistd.h>

enum { WORDS_MAX = 256, ARENA_MAX = 4 * 1024 * 1024 };

static size_t words_of(struct span list, struct span *out, size_t max)
{
    size_t n = 0;
    struct span word;
    while (n < max && span_next(&list, ' ', &word))
        if (word.n)
            out[n++] = word;
    return n;
}

int egress_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    static struct settings s;
    static struct span allow[WORDS_MAX], port_words[64];
    static uint16_t ports[64];
    struct fault f = {0};
    struct arena *a = arena_new(ARENA_MAX);
    err e = role_settings(a, &s, &f);
    role_log("egress", &s);
    if (e) {
        log_error("egress.start_failed", F_X("result", e), F_C("why", f.words));
        role_why(f.words);
        return e == E_OS ? 74 : 78;
    }
    close(ROLE_SITES_FD);
    struct egress_config c = {.allow = allow,
                              .allow_count =
                                  words_of(SETTING_S(&s, egress, allow), allow, WORDS_MAX),
                              .only = SETTING(&s, egress, only) != 0,
                              .hosts_told = true,
                              .ports = ports,
                              .beat = role_beat,
                              .beat_ms = ROLE_BEAT_MS,
                              .connect_timeout_ms = SETTING(&s, egress, connect_timeout),
                              .idle_timeout_ms = SETTING(&s, egress, idle_timeout)};
    size_t n = words_of(SETTING_S(&s, egress, ports), port_words, 64);
    for (size_t i = 0; i < n; i++) {
        int64_t port = 0;
        if (span_int(port_words[i], &port) && port > 0 && port < 65536)
            ports[c.port_count++] = (uint16_t)port;
    }
    int code = egress_run(&c, ROLE_PEER_FD);
    arena_free(&a);
    return code;
}

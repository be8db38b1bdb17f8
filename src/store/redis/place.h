/* place.h - where a Redis is, as people write it. Pure.
 *
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *   unix:///PATH[?db=DATABASE]                      [USER]:PASSWORD@ before the path likewise
 *   sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT],.../NAME[?db=DATABASE]
 *
 * User and password may be percent-encoded; HOST may be an IPv6 address in brackets. */
#pragma once

#include "base/span.h"

enum {
    PLACE_HOSTS = 8,
    PLACE_HOST = 256,
    PLACE_WORD = 256,
    PLACE_PORT = 6379,
    PLACE_SENTINEL_PORT = 26379,
};
enum place_kind { PLACE_TCP, PLACE_UNIX, PLACE_SENTINEL };
struct place_host {
    char name[PLACE_HOST]; /* or the path of a socket */
    int port;
};
struct place {
    enum place_kind kind;
    struct place_host hosts[PLACE_HOSTS]; /* of Sentinels: several */
    size_t host_count;
    char user[PLACE_WORD], password[PLACE_WORD]; /* empty: none */
    char primary[PLACE_WORD];                    /* name that the Sentinels know */
    int database;
};
/* E_CONFIG names the part that is wrong, never the password. */
MUST_USE err place_parse(struct span url, struct place *out, struct fault *f);
/* "redis://host:port/0", without user and password. */
struct span place_shown(const struct place *a, char out[PLACE_HOST + 32]);

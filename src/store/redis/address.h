/* address.h - where a Redis is, as people write it. Pure.
 *
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *   unix:///PATH[?db=DATABASE]                      [USER]:PASSWORD@ before the path likewise
 *   sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT],.../NAME[?db=DATABASE]
 *
 * User and password may be percent-encoded; HOST may be an IPv6 address in brackets. */
#pragma once

#include "base/span.h"

enum {
    ADDRESS_HOSTS = 8,
    ADDRESS_HOST = 256,
    ADDRESS_WORD = 256,
    ADDRESS_PORT = 6379,
    ADDRESS_SENTINEL_PORT = 26379,
};
enum address_kind { ADDRESS_TCP, ADDRESS_UNIX, ADDRESS_SENTINEL };
struct address_host {
    char name[ADDRESS_HOST]; /* or the path of a socket */
    int port;
};
struct address {
    enum address_kind kind;
    struct address_host hosts[ADDRESS_HOSTS]; /* of Sentinels: several */
    size_t host_count;
    char user[ADDRESS_WORD], password[ADDRESS_WORD]; /* empty: none */
    char primary[ADDRESS_WORD];                      /* name that the Sentinels know */
    int database;
};
/* E_CONFIG names the part that is wrong, never the password. */
MUST_USE err address_parse(struct span url, struct address *out, struct fault *f);
/* "redis://host:port/0", without user and password. */
struct span address_shown(const struct address *a, char out[ADDRESS_HOST + 32]);

/* faults.h - what may be wrong with the practice site on purpose.
 *
 * A set of faults comes from the command line, from the panel, or from one request's own
 * `fault` parameters. Chances are drawn from the seed and a counter per kind, so the n-th draw
 * of a kind is the same in every run with that seed. */
#pragma once

#include "base/json.h"

#include <stdatomic.h>

/*        name           bounds           help */
#define FAULT_KINDS(X)                                                                                 \
    X(latency_ms, 600000, "every page and API answer waits this long")                                 \
    X(latency_random_ms, 600000, "and up to this much longer, drawn anew each time")                   \
    X(rate429, 1, "chance that an API call is answered 429")                                           \
    X(rate429_s, 86400, "seconds until the limit of such a 429 is over (default 5)")                   \
    X(error5xx, 1, "chance that an API call is answered 503")                                          \
    X(cut, 1, "chance that the connection ends in the middle of an API answer")                        \
    X(never, 1, "chance that an API call is never answered")                                           \
    X(empty_page, 1, "chance of a page without posts, whose cursor leads on")                          \
    X(repeat, 1,                                                                                       \
      "chance that a page of a timeline brings the one before and its cursor again")                   \
    X(stall, 100000, "a search brings the same for ever after so many results")                        \
    X(drift, 1, "1: members of the API's JSON have other names")                                       \
    X(mutation, 48, "number of a change of the API (mutate.h); the page itself knows it")              \
    X(mutation_page, 14, "number of a change of the page's test ids (mutate.h)")                       \
    X(drift_dom, 1, "1: test ids of the page have other names")                                        \
    X(guest, 1,                                                                                        \
      "1: visitors without a session see a post without its thread, and the best liked of an account") \
    X(renamed, 1, "1: calls of the API have other names; the page itself knows them")                  \
    X(pictures_far, 1, "1: pictures have the addresses of the real site")                              \
    X(pictures_late_ms, 600000, "pictures of posts come so much later than the posts")                 \
    X(held, 50000, "so many of the newest posts of accounts growing_N are not written yet")            \
    X(login, 1,                                                                                        \
      "1: searches, hashtags, lists and whole timelines are for members who are logged in")            \
    X(token, 2, "1: the API does not take the token of a browser's first page; 2: of no page")         \
    X(login_wall, 1, "chance that a page without a session leads to the login page")

enum fault_kind {
#define FAULT_ENUM(name, most, help) FAULT_##name,
    FAULT_KINDS(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_COUNT
};

struct faults {
    double value[FAULT_COUNT];
};
struct fault_draws {
    uint64_t seed;
    atomic_uint_fast64_t drawn[FAULT_COUNT];
};

/* "KIND=VALUE" or "KIND:VALUE"; "latency" means latency_ms, "5xx" error5xx, "rate429=P/SECONDS"
 * both of them. E_BAD_INPUT with a sentence that names the kinds. */
MUST_USE err faults_set(struct faults *set, struct span text, struct fault *f);
/* One JSON object of kinds and numbers; kinds that are not named stay. Nothing changes on
 * failure. */
MUST_USE err faults_set_json(struct faults *set, struct span json, struct fault *f);
/* {"latency_ms":0,…}; with_help: {"values":{…},"help":{…}} */
void faults_add_json(struct buf *out, const struct faults *set, bool with_help);

bool faults_draw(struct fault_draws *d, enum fault_kind kind, double chance);
/* A number in [0, limit]. */
int64_t faults_draw_below(struct fault_draws *d, enum fault_kind kind, int64_t limit);
const char *faults_name(enum fault_kind kind);
const char *faults_help(enum fault_kind kind);

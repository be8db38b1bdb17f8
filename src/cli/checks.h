/* checks.h - what doctor and status find: each a name, how well it is, a sentence, and what to do. */
#pragma once

#include "cli/inside.h"

enum health { HEALTH_OK, HEALTH_INFO, HEALTH_WARN, HEALTH_FAIL };

enum { CHECKS_MAX = 64, CHECK_WORDS = 300 };

struct check {
    const char *name;
    enum health health;
    char detail[CHECK_WORDS];
    const char *fix; /* NULL: nothing to mend */
};

struct checks {
    struct check all[CHECKS_MAX];
    size_t count;
};

__attribute__((format(printf, 5, 6))) void checks_add(struct checks *k, const char *name,
                                                      enum health health, const char *fix,
                                                      const char *fmt, ...);
bool checks_pass(const struct checks *k); /* nothing has to be mended */
/* A line each of those from `first` on, and what to do; with --quiet only what is not well. */
void checks_print(struct cli *c, const struct checks *k, size_t first);
/* {"object":…,"healthy":…,"checks":[{"name","state","detail","fix"}]} */
void checks_put(struct cli *c, const struct checks *k, const char *object);

/* complete.h - what may come next in a call that is being written: for the shells' completion.
 *
 * All of it comes from the table of commands; ids and names are asked of the service, briefly. A shell calls
 * `fulmar __complete WORD…`, the last word being the one at hand, and gets lines "candidate TAB what it is", or one of
 * ":files" and ":folders". */
#pragma once

#include "cli/commands.h"

struct complete {
    const char *const *words; /* behind `fulmar` */
    size_t count;             /* at least 1: the last one is the one at hand */
    /* Adds candidates for what only others know: "JOB", "SITE", …; NULL: none. */
    void (*ask)(void *ctx, struct span what, struct complete *to);
    void *ctx;
    struct buf *out;
    /* set by complete_call() */
    const struct command *command; /* NULL: not known yet */
    struct span prefix;            /* of the word at hand: only what begins so is added */
    struct span before;            /* "--flag=", put before each candidate */
};

/* Pure, but for `ask`. */
void complete_call(struct complete *to);
/* A candidate, when it begins as the word at hand does. */
void complete_add(struct complete *to, struct span candidate, struct span what);

/* `fulmar __complete …`: answers whatever happens; a shell must never wait or be told of an error. */
int complete_main(int argc, char **argv);

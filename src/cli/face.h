/* face.h - how an answer looks to people: colours, how a time is said, and what goes over the wire. */
#pragma once

#include "base/span.h"
#include "base/when.h"

struct cli;
struct client;

/* --color, --time and -v of the call, and the environment: NO_COLOR, CLICOLOR_FORCE, TERM. 0 or an exit code. */
int face_start(struct cli *c);

enum color { COLOR_PLAIN, COLOR_BOLD, COLOR_RED, COLOR_GREEN, COLOR_YELLOW };
/* Around what is printed; nothing where that file gets no colour. */
const char *face_on(FILE *to, enum color color);
const char *face_off(FILE *to);
/* The colour of a state of a job, a queue, a worker. It is never all that tells: the word is there as well. */
enum color face_of_state(struct span state);

/* "2026-02-06T21:09:45.123Z" → "3m ago", "in 2h". False: it is no time of an answer. */
MUST_USE bool face_relative(struct span text, wall now, char *out, size_t size);

/* Each exchange of the client is said on standard error: -v a line, -vv also its bodies, but for secrets. */
void face_watch(struct cli *c, struct client *client);

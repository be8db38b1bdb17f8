/* ask.h - one request after the other to a running service, each answer read as JSON: for the verbs
 * about many jobs. */
#pragma once

#include "cli/service.h"

struct ask {
    struct cli *c;
    struct service service;
    struct json_parser *parser;
    struct client_answer answer;
    struct json root; /* of the last answer, until the next one */
    bool match;       /* sends If-Match: *: whatever it is now */
};
/* 0 or an exit code, the words printed. A service must be running. */
int ask_open(struct ask *a, struct cli *c);
void ask_close(struct ask *a);
/* key: Idempotency-Key, or NULL. body: JSON, may be empty. 0, or an exit code with the problem printed. */
int ask_send(struct ask *a, const char *method, const char *path, const char *key,
             struct span body);
/* Of the last answer, or of a value in it. */
struct span ask_text(struct json v, const char *path);
long long ask_number(struct json v, const char *path);
char *ask_shown(struct ask *a, struct json v, const char *path); /* fit for a terminal */
void ask_print(struct ask *a); /* the answer as it came: --json */
void ask_line(struct ask *a, const char *name, struct json v,
              const char *path); /* "name  value" */

/* A list of the service as a table; with --json the answer as it came. 0 or an exit code. */
struct ask_table {
    const char *heading, *when_empty;
    void (*put_row)(struct ask *a, struct json row);
};
int ask_list(struct ask *a, const char *path, const struct ask_table *t);

/* What an operation is about and how far it came, with the next command. Prints the answer with --json. */
int ask_operation(struct ask *a);
/* What would be done: the answer of a dry run. */
int ask_dry_run(struct ask *a, const char *noun);
/* words[2] as an id of that kind. NULL: missing or wrong, said; *out_code. */
const char *ask_id(struct cli *c, const char *verb, const char *kind, const char *noun,
                   int *out_code);
/* words[2] and, when there may be several, those behind it as ids of jobs. 0 or an exit code. */
int ask_jobs(struct cli *c, bool several);

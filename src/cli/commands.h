/* commands.h - the one table of the command line: its verbs, their actions, and the flags that each takes.
 *
 * Reading a call, help, completion, and the checks of the man page and of docs/reference/cli.md go by it and by
 * nothing else. What is not a row is no command. */
#pragma once

#include "cli/inside.h"

enum flag_takes {
    FLAG_SWITCH, /* nothing */
    FLAG_COUNT,  /* nothing; how often it came counts */
    FLAG_VALUE,  /* the next word, or what is behind '=' */
    FLAG_MAYBE,  /* only what is behind '=' */
    FLAG_MANY,   /* as FLAG_VALUE, and it may come again */
};

struct flag {
    const char *name;
    char letter; /* 0: none */
    const char
        *value; /* what it takes, for the help: words with | between them are all there are */
    enum flag_takes takes;
    size_t
        at; /* in struct cli: a bool of a switch, an int of a count, CLI_MANY_MAX texts of FLAG_MANY, else a text */
    const char *help;
};

static inline bool flag_is_alone(const struct flag *f)
{
    return f->takes == FLAG_SWITCH || f->takes == FLAG_COUNT;
}

struct command {
    const char *verb, *action; /* action "": the verb has none */
    const char *words;         /* what follows: "JOB..." */
    const char *flags;         /* their names, a space before and behind each */
    int (*run)(struct cli *c);
    const char *what;
};

struct verb {
    const char *name;
    const char *usual; /* its action when none is named; NULL: one must be */
    const char *what;
    const char *examples; /* lines */
    const char *more;     /* lines, in the help of the verb alone; NULL: nothing */
};

struct exit_row {
    int code;
    const char *name, *meaning;
};

const struct flag *flags_all(size_t *out_count);
const struct command *commands_all(size_t *out_count);
const struct verb *verbs_all(size_t *out_count);
const struct exit_row *exits_all(size_t *out_count);

/* By --name or by -letter; NULL: there is none. */
const struct flag *flag_named(struct span name);
const struct verb *verb_named(const char *name);
/* action NULL: the verb's usual one. NULL: there is none. */
const struct command *command_named(const char *verb, const char *action);
/* The actions of a verb into out, NULL-terminated; their number. */
size_t actions_of(const char *verb, const char **out, size_t most);
bool command_takes(const struct command *command, const struct flag *flag);

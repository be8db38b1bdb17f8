/* inside.h - what the verbs share. Nobody outside of this room includes it. */
#pragma once

#include "base/json.h"
#include "cli/shape.h"
#include "base/when.h"
#include "core/settings.h"
#include "extract/pack.h"
#include "net/client.h"
#include "upkeep/config.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_JOB_FAILED = 1,
    EXIT_PARTIAL = 2,
    EXIT_WAIT_TIMEOUT = 3,
    EXIT_CANCELLED = 4,
    EXIT_NOT_FOUND = 5,
    EXIT_EMPTY = 6,
    EXIT_UNREACHED = 7,
    EXIT_BLOCKED = 8,
    EXIT_DRIFT = 9,
    EXIT_UNHEALTHY = 10,
    EXIT_CONFLICT = 11,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_NO_INPUT = 66,
    EXIT_UNAVAILABLE = 69,
    EXIT_SOFTWARE = 70,
    EXIT_CANNOT_CREATE = 73,
    EXIT_IO = 74,
    EXIT_TRY_LATER = 75,
    EXIT_PROTOCOL = 76,
    EXIT_NO_PERMISSION = 77,
    EXIT_CONFIG = 78,
    EXIT_INTERRUPTED = 130,
    EXIT_TERMINATED = 143,
};

enum {
    CLI_WORDS_MAX = 128,
    CLI_FLAGS_MAX = 160,
    CLI_MANY_MAX = 18 /* LABELS_MOST, one more, NULL */
};

struct cli {
    struct arena *arena;              /* until the program ends */
    const char *words[CLI_WORDS_MAX]; /* verb and what follows it, without flags */
    size_t word_count;
    const char *action;       /* of the table; "" of a verb that has none */
    bool used[CLI_FLAGS_MAX]; /* which flags of the table were given */
    /* flags; NULL or false = not given */
    const char *server, *config, *limit, *since, *until, *priority, *product, *depth, *site,
        *out, *state;
    const char *exclude, *include, *fields, *strategy, *evidence, *class, *warc, *hours, *media;
    const char *targets, *name, *stop_after, *on_complete, *on_success, *key, *per_minute,
        *kind, *fingerprint;
    const char *cron, *timezone, *every, *adaptive, *wanted, *jitter, *start, *end, *overlap,
        *missed, *catch_up;
    const char *catch_up_max, *grace, *reason, *from, *to;
    const char *parallel, *pool, *types, *url, *secret;
    const char *output, *jq, *columns, *profile, *wait, *after, *timeout, *data, *target,
        *queue, *failure, *max_depth, *overflow, *default_priority, *window;
    const char *headers[CLI_MANY_MAX];
    const char *labels[CLI_MANY_MAX]; /* NAME=VALUE */
    const char *set;                  /* of serve, which reads it itself: here for the help */
    const char *tenant, *not_before, *expires, *deadline, *attempt_timeout, *idle_timeout,
        *navigation_timeout, *max_pages, *max_bytes, *memory, *cpu, *max_requests, *min_posts,
        *on_empty, *require, *unique, *on_conflict;
    const char *max_age, *stale_if_error, *fresh_within, *coalesce;
    const char *retry_max, *retry_base, *retry_cap, *retry_factor, *callback;
    const char *sort, *count, *cursor;
    const char *by, *weight, *max_running, *burst, *ttl;
    const char *color, *time; /* read by face_start() */
    int verbose;              /* how often -v was given */
    bool relative;            /* times are said as from now; */
    wall now;                 /* from then */
    bool wide;                /* -o wide: tables with more columns */
    bool quiet, exit_mask, json, csv, help, accept, failed, apply, since_last, force, dry_run,
        yes, troubled;
    bool verify, abandon, gone, leave_aside;
    bool open, partial, reset, all, no_input, cancel_on_interrupt, paginate, held, oldest;
    /* filled by cli_open_output() */
    enum shape_form form; /* `json` is then set for every form but tables */
    struct shape *shape;
    int broken; /* exit code of the first cli_put() that failed */
    /* filled by cli_settings() */
    struct settings settings;
    char config_file[CONFIG_PATH_MAX];
};

/* Reads the configuration; prints what is wrong with it. 0 or an exit code. */
int cli_settings(struct cli *c);
/* -o, --json, --csv, --jq and --columns are read. 0 or an exit code. */
int cli_open_output(struct cli *c);
/* JSON of an answer to standard output, in the form of the call. What goes wrong is said, once, and is the exit code
 * of a call that went well otherwise. */
void cli_put(struct cli *c, struct span json);
/* "fulmar: …" on standard error. */
__attribute__((format(printf, 1, 2))) void cli_say(const char *fmt, ...);
/* The same, unless --quiet. */
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *c, const char *fmt, ...);
/* Words of a wrong call, and where help is. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *verb, const char *fmt, ...);
int cli_exit_of_status(int status); /* of an HTTP answer */
int cli_exit_of(err e);             /* of an operation of ours that failed */
/* Prints a problem document (or what came instead of one) and returns the exit code. */
int cli_problem(const struct client_answer *a);
/* Text fit for a terminal: control characters become visible. In the arena. */
char *cli_printable(struct cli *c, struct span text);

/* Asks on a terminal whether to do what cannot be undone; without one it takes --yes. 0: do it. */
int cli_confirm(const struct cli *c, const char *verb, const char *what);
/* The place of the call's action in the list of its verb, which has all of the table. */
int cli_action(const struct cli *c, const char *const *actions);
/* Says which there are, or which was meant. EXIT_USAGE. word NULL: none was named. */
int cli_unknown_verb(const char *word);
int cli_unknown_action(const char *verb, const char *word);
/* What is said about who did it: --by, else the user's name. */
const char *cli_user(struct cli *c);
/* "2h" of a flag as ms; 0 or an exit code. */
int cli_duration(const char *verb, const char *flag, const char *text, int64_t min_ms,
                 int64_t max_ms, int64_t *out_ms);
/* A whole number of a flag; 0 or an exit code. */
int cli_number(const char *verb, const char *flag, const char *text, int64_t min, int64_t max,
               int64_t *out);

/* A word of a flag, NULL: it was not given; names are NULL-terminated. 0 or an exit code. */
int cli_one_of(const char *verb, const char *flag, const char *value, const char *const *names);

/* A pack by its name below the configured folder, or by the path of its own folder. 0 or an exit code. */
int cli_open_pack(struct cli *c, const char *name, struct pack **out);

/* ---- verbs ---- */
int help_run(struct cli *c);
int follow_run(struct cli *c);
int raw_run(struct cli *c);
int status_run(struct cli *c);
int top_run(struct cli *c);
int completion_run(struct cli *c);
int change_run(struct cli *c);
int hands_run(struct cli *c);
int bulk_run(struct cli *c);
int records_run(struct cli *c);
int nodes_run(struct cli *c);
int change_many_run(struct cli *c);
int serve_run(struct cli *c);
int batches_run(struct cli *c);
int dead_run(struct cli *c);
int operations_run(struct cli *c);
int webhooks_run(struct cli *c);
int get_run(struct cli *c);
int get_create(struct cli *c); /* jobs create */
int jobs_run(struct cli *c);
int queues_run(struct cli *c);
int breakers_run(struct cli *c);
int limits_run(struct cli *c);
int mode_run(struct cli *c);
int doctor_run(struct cli *c);
int backup_run(struct cli *c);
int store_run(struct cli *c);
int config_run(struct cli *c);
int version_run(struct cli *c);
int site_run(struct cli *c);
int artifacts_run(struct cli *c);
int replay_run(struct cli *c);
int schedules_run(struct cli *c);
int sessions_run(struct cli *c);

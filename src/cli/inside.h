/* inside.h - what the verbs share. Nobody outside of this room includes it. */
#pragma once

#include "base/json.h"
#include "core/settings.h"
#include "extract/pack.h"
#include "net/client.h"
#include "upkeep/config.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_JOB_FAILED = 1,
    EXIT_PARTIAL = 2,
    EXIT_CANCELLED = 4,
    EXIT_NOT_FOUND = 5,
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
};

enum { CLI_WORDS_MAX = 128 };

struct cli {
    struct arena *arena;              /* until the program ends */
    const char *words[CLI_WORDS_MAX]; /* verb and what follows it, without flags */
    size_t word_count;
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
    const char *set; /* of serve, which reads it itself: here for the help */
    const char *tenant, *not_before, *expires, *deadline, *attempt_timeout, *idle_timeout,
        *unique, *on_conflict;
    const char *max_age, *stale_if_error, *coalesce;
    const char *by, *weight, *max_running, *burst, *ttl;
    bool quiet, json, csv, help, accept, failed, apply, since_last, force, dry_run, yes,
        troubled;
    bool open, partial, reset, all;
    /* filled by cli_settings() */
    struct settings settings;
    char config_file[CONFIG_PATH_MAX];
};

/* Reads the configuration; prints what is wrong with it. 0 or an exit code. */
int cli_settings(struct cli *c);
/* "fulmar: …" on standard error. */
__attribute__((format(printf, 1, 2))) void cli_say(const char *fmt, ...);
/* The same, unless --quiet. */
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *c, const char *fmt, ...);
/* Words of a wrong call, and where help is. Returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage(const char *verb, const char *fmt, ...);
int cli_exit_of(err e); /* of an operation of ours that failed */
/* Prints a problem document (or what came instead of one) and returns the exit code. */
int cli_problem(const struct client_answer *a);
/* Text fit for a terminal: control characters become visible. In the arena. */
char *cli_printable(struct cli *c, struct span text);

/* Asks on a terminal whether to do what cannot be undone; without one it takes --yes. 0: do it. */
int cli_confirm(const struct cli *c, const char *verb, const char *what);
/* An action of a verb: its place in the list, or -1 with the words said. */
int cli_action(struct cli *c, const char *verb, const char *const *actions);
/* What is said about who did it: --by, else the user's name. */
const char *cli_user(struct cli *c);
/* "2h" of a flag as ms; 0 or an exit code. */
int cli_duration(const char *verb, const char *flag, const char *text, int64_t min_ms,
                 int64_t max_ms, int64_t *out_ms);
/* A whole number of a flag; 0 or an exit code. */
int cli_number(const char *verb, const char *flag, const char *text, int64_t min, int64_t max,
               int64_t *out);

/* A pack by its name below the configured folder, or by the path of its own folder. 0 or an exit code. */
int cli_open_pack(struct cli *c, const char *name, struct pack **out);

/* ---- verbs ---- */
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
int config_run(struct cli *c);
int version_run(struct cli *c);
int site_run(struct cli *c);
int artifacts_run(struct cli *c);
int replay_run(struct cli *c);
int schedules_run(struct cli *c);
int sessions_run(struct cli *c);

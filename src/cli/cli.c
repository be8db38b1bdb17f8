#include "cli/cli.h"

#include "cli/inside.h"

#include "base/text.h"

#include <signal.h>
#include <unistd.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

enum {
    IN_GET = 1,
    IN_JOBS = 2,
    IN_DOCTOR = 4,
    IN_CONFIG = 8,
    IN_VERSION = 16,
    IN_SERVE = 32,
    IN_SITE = 64,
    IN_ARTIFACTS = 128,
    IN_REPLAY = 256,
    IN_SERVED = IN_GET | IN_JOBS | IN_ARTIFACTS | IN_REPLAY,
    IN_CLIENT = 31 | IN_SITE | IN_ARTIFACTS | IN_REPLAY, /* everything but the service itself */
    IN_ALL = IN_CLIENT | IN_SERVE,
};

/* ---- the tables ---- */

/* clang-format off */
static const struct flag {
    const char *name;
    char letter;       /* 0 = none */
    const char *value; /* what it takes, for the help; NULL = nothing */
    size_t at;         /* in struct cli */
    int verbs;
    const char *help;
} flags[] = {
    {"limit", 'n', "N", offsetof(struct cli, limit), IN_GET | IN_JOBS, "get: records wanted, 1-100000, else all; jobs list: rows, 1-200, else 20"},
    {"since", 0, "DATE", offsetof(struct cli, since), IN_GET, "no posts older than this: 2026-02-06 or 2026-02-06T12:00:00Z"},
    {"until", 0, "DATE", offsetof(struct cli, until), IN_GET, "no posts newer than this"},
    {"product", 0, "NAME", offsetof(struct cli, product), IN_GET, "of a search or hashtag: latest (default), top, people, media"},
    {"depth", 0, "N", offsetof(struct cli, depth), IN_GET, "of a thread: replies at most N steps below the post; 0 none; else all"},
    {"priority", 0, "0-9", offsetof(struct cli, priority), IN_GET, "0 before all others, 5 normal, 9 last"},
    {"since-last", 0, NULL, offsetof(struct cli, since_last), IN_GET, "only posts that earlier jobs of the same target have not brought"},
    {"include", 0, "KINDS", offsetof(struct cli, include), IN_GET, "bring in posts of kinds that the list leaves out: replies,reposts,quotes"},
    {"exclude", 0, "KINDS", offsetof(struct cli, exclude), IN_GET, "leave out posts of these kinds: replies,reposts,quotes"},
    {"fields", 0, "NAMES", offsetof(struct cli, fields), IN_GET, "only these of each record: id,text,counts.like"},
    {"site", 0, "NAME", offsetof(struct cli, site), IN_GET | IN_REPLAY, "site pack to use, default x; replay: or the folder of one, default that of the job"},
    {"evidence", 0, "WHEN", offsetof(struct cli, evidence), IN_GET, "what is read is kept: never, on_failure or always; else as configured"},
    {"failed", 0, NULL, offsetof(struct cli, failed), IN_REPLAY, "all dead jobs of --class"},
    {"class", 0, "CLASS", offsetof(struct cli, class), IN_REPLAY, "with --failed: how they ended; default drift"},
    {"apply", 0, NULL, offsetof(struct cli, apply), IN_REPLAY, "keep what is read now as the job's result"},
    {"warc", 0, "FILE", offsetof(struct cli, warc), IN_ARTIFACTS, "write them as a WARC 1.1 file; compressed when it ends with .gz"},
    {"strategy", 0, "NAME", offsetof(struct cli, strategy), IN_GET, "only this way of reading the site: capture, dom or fetch"},
    {"json", 0, NULL, offsetof(struct cli, json), IN_SERVED | IN_DOCTOR | IN_VERSION | IN_SITE, "JSON; for records one a line"},
    {"csv", 0, NULL, offsetof(struct cli, csv), IN_GET, "CSV with a header line"},
    {"out", 'o', "FILE", offsetof(struct cli, out), IN_GET | IN_ARTIFACTS, "get: write the records there, all or nothing, - is standard output; with --media download a folder; artifacts: a folder"},
    {"media", 0, "WHAT", offsetof(struct cli, media), IN_GET, "urls: of media in the records (default); download: their files as well"},
    {"state", 0, "STATE", offsetof(struct cli, state), IN_JOBS, "list only: scheduled, ready, active, succeeded, cancelled or dead"},
    {"hours", 0, "N", offsetof(struct cli, hours), IN_SITE, "fields only: the last hours that are looked at, 1-744; default 24"},
    {"server", 0, "ADDRESS", offsetof(struct cli, server), IN_SERVED | IN_SITE, "unix:/path or http://host:port; else $FULMAR_SERVER, else the local socket"},
    {"config", 0, "FILE", offsetof(struct cli, config), IN_ALL, "configuration; else ~/.config/fulmar/fulmar.yaml or /etc/fulmar/fulmar.yaml"},
    {"accept", 0, NULL, offsetof(struct cli, accept), IN_SITE, "test only: what the pack reads now becomes what is expected"},
    {"set", 0, "NAME=VALUE", offsetof(struct cli, set), IN_SERVE, "a setting such as api.port=8471; wins over the file; may come again"},
    {"quiet", 'q', NULL, offsetof(struct cli, quiet), IN_CLIENT, "say nothing but errors"},
    {"help", 'h', NULL, offsetof(struct cli, help), IN_ALL, "this"},
};
enum { FLAGS = sizeof flags / sizeof flags[0] };

/* The service has its own process and its own reading of the call; only its help is here. */
static int serve_run(struct cli *c)
{
    (void)c;
    return cli_usage("serve", "serve comes first: fulmar serve --config FILE");
}

static const struct verb {
    const char *name;
    int bit;
    int (*run)(struct cli *c);
    const char *usage; /* lines */
    const char *what;
    const char *more;  /* lines, in the help of the verb alone; NULL = nothing */
} verbs[] = {
    {"get", IN_GET, get_run,
     "fulmar get posts @nasa --limit 200\n"
     "fulmar get hashtag '#opendata' --since 2026-02-01 --csv --out opendata.csv\n"
     "fulmar get search 'heat pump lang:en' -n 50 --json\n"
     "fulmar get posts @nasa --exclude replies,reposts --fields created_at,text,counts.like --csv\n"
     "fulmar get search 'heat pump' --product people --limit 100\n"
     "fulmar get thread https://x.com/nasa/status/1800000000000000000 --depth 1\n"
     "fulmar get followers @nasa --csv --out followers.csv\n"
     "fulmar get posts @nasa --limit 50 --media download --out nasa/\n",
     "collect posts or users; starts a service for itself when none is running",
     "Records go to standard output: a table on a terminal, else JSON, one record a line.\n"
     "Progress and the verdict go to standard error; the exit status says how it ended.\n"
     "A file given with --out gets its name when the job has ended; a device or a pipe is\n"
     "written as records come. Ctrl-C stops following; the job of a running service goes on.\n"
     "--media download --out FOLDER/ writes FOLDER/posts.ndjson and FOLDER/media/POST-1.jpg.\n"},
    {"jobs", IN_JOBS, jobs_run,
     "fulmar jobs list [--state active] [--limit 20]\n"
     "fulmar jobs show JOB\n"
     "fulmar jobs cancel JOB\n"
     "fulmar jobs log JOB\n"
     "fulmar jobs rejected JOB\n"
     "fulmar jobs conflicts JOB\n",
     "look at jobs of a running service, and stop them",
     "Without an action it lists. JOB is the id that get and jobs list print: job_...\n"
     "rejected: records that failed a check and are no results, with their source and the reason.\n"
     "conflicts: fields on which two readings of one record disagree.\n"},
    {"artifacts", IN_ARTIFACTS, artifacts_run,
     "fulmar artifacts JOB [--out FOLDER] [--warc FILE.warc.gz]\n",
     "what a job read, kept as evidence: answers, screenshot, page",
     "Without --out and --warc it lists them. By default only jobs that fail keep evidence;\n"
     "see evidence.keep in the configuration, and get --evidence. Ends with 5 when there is none.\n"},
    {"replay", IN_REPLAY, replay_run,
     "fulmar replay JOB [--site FOLDER] [--apply]\n"
     "fulmar replay --failed [--class drift] [--site FOLDER] [--apply]\n",
     "read a job's evidence again with today's site pack, without any traffic",
     "Says which records would come, go or change, and how the job would end. With --apply a dead\n"
     "job that reads well now gets these records and succeeds: partial, unless the evidence shows\n"
     "the end of the list. Ends with 0 when it reads well, else as the job would end (9 the site\n"
     "changed), 5 without evidence; with --failed with 2 when some do not read well.\n"},
    {"serve", IN_SERVE, serve_run,
     "fulmar serve [--config FILE] [--set NAME=VALUE]...\n",
     "run the service in the foreground: API and page on http://127.0.0.1:8470",
     "Stop it with Ctrl-C or SIGTERM; jobs that were running go on at the next start.\n"
     "Every setting with its range and meaning: fulmar config init -\n"},
    {"site", IN_SITE, site_run,
     "fulmar site list\n"
     "fulmar site show x\n"
     "fulmar site check [NAME or FOLDER]\n"
     "fulmar site test x RECORDINGS [--accept]\n"
     "fulmar site diff FOLDER_BEFORE FOLDER_AFTER RECORDINGS\n"
     "fulmar site fields [NAME] [--hours 24]\n",
     "look at site packs, and try them on recorded answers without any traffic",
     "FOLDER is that of a pack, with site.yaml in it. RECORDINGS is a folder with bodies of the\n"
     "site's answers, OPERATION-anything.json; beside each may lie what is expected of it,\n"
     "OPERATION-anything.records.ndjson (test --accept writes it).\n"
     "fields asks a running service where the fields of its records came from, and marks what is\n"
     "not as it was in the days before; NAME is x unless given.\n"
     "Ends with 9 when test or diff finds a difference, 65 when a pack is broken.\n"},
    {"doctor", IN_DOCTOR, doctor_run, "fulmar doctor [--json]\n",
     "check this machine; says how to mend what is wrong",
     "Ends with 10 when something has to be mended.\n"},
    {"config", IN_CONFIG, config_run,
     "fulmar config check [FILE]\n"
     "fulmar config init [FILE]\n",
     "check the configuration, or write a sample with every setting",
     "check: without FILE it reads the one that the service would read.\n"
     "init:  FILE - is standard output; without FILE it writes ~/.config/fulmar/fulmar.yaml,\n"
     "       as root /etc/fulmar/fulmar.yaml, and says so. It never writes over a file.\n"},
    {"version", IN_VERSION, version_run, "fulmar version [--json]\n", "what this is", NULL},
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

/* clang-format on */

static const struct verb *verb_of(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* ---- words for people ---- */

/* A line of progress may stand where we write. */
static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
}

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    clear_progress();
    fputs("fulmar: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
    if (c->quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    clear_progress();
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("fulmar: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nhelp: fulmar %s%s--help\n", verb ? verb : "", verb ? " " : "");
    return EXIT_USAGE;
}

char *cli_printable(struct cli *c, struct span text)
{
    struct buf safe = BUF(64 * 1024);
    text_add_printable(&safe, span_cut(text, 0, 16 * 1024));
    char *kept = arena_text(c->arena, buf_span(&safe));
    buf_free(&safe);
    return kept ? kept : arena_fmt(c->arena, "…");
}

int cli_exit_of(err e)
{
    switch (e) {
    case E_OK:
        return EXIT_DONE;
    case E_CONFIG:
    case E_BAD_SYNTAX:
        return EXIT_CONFIG;
    case E_NOT_FOUND:
        return EXIT_NO_INPUT;
    case E_BAD_INPUT:
        return EXIT_USAGE;
    case E_NET:
        return EXIT_UNAVAILABLE;
    case E_TIMEOUT:
    case E_BUSY:
        return EXIT_TRY_LATER;
    case E_DISK_FULL:
        return EXIT_IO;
    case E_PROTOCOL:
    case E_TOO_BIG:
        return EXIT_PROTOCOL;
    default:
        return EXIT_SOFTWARE;
    }
}

/* Of an HTTP answer. */
static int exit_of_status(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return EXIT_DATA;
    case 401:
    case 403:
    case 421:
        return EXIT_NO_PERMISSION;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
        return EXIT_CONFLICT;
    case 429:
    case 503:
    case 504:
        return EXIT_TRY_LATER;
    case 507:
        return EXIT_IO;
    default:
        return status >= 500 ? EXIT_SOFTWARE : EXIT_PROTOCOL;
    }
}

static void print_filtered(const char *before, struct span text, const char *after)
{
    struct buf safe = BUF(16 * 1024);
    text_add_printable(&safe, span_cut(text, 0, 2000));
    fprintf(stderr, "%s%.*s%s", before, SP(buf_span(&safe)), after);
    buf_free(&safe);
}

/* "limit: must be …" */
static void print_error(const char *before, struct json error)
{
    struct span pointer = SPAN("?"), detail = SPAN("");
    json_text(json_get(error, SPAN("pointer")), &pointer);
    json_text(json_get(error, SPAN("detail")), &detail);
    print_filtered(before, span_cut(pointer, span_starts(pointer, SPAN("/")), pointer.n), ": ");
    print_filtered("", detail, "\n");
}

/* The first value that was refused says more than the sentence that some were. */
static void print_detail(struct json problem, struct span detail)
{
    bool first = true;
    for (struct json_iter i = json_each(json_get(problem, SPAN("errors"))); json_next(&i);) {
        print_error(first ? "fulmar: " : "  ", i.value);
        first = false;
    }
    if (first)
        print_filtered("fulmar: ", detail, "\n");
}

int cli_problem(const struct client_answer *a)
{
    struct json_parser *parser = json_parser_new(2 * 1024 * 1024);
    struct json problem;
    struct span detail, code, id, hint;
    if (json_parse(parser, buf_span(&a->body), &problem, NULL) ||
        !json_text(json_get(problem, SPAN("detail")), &detail)) {
        cli_say("the server answered %d without saying why; is it Fulmar?", a->status);
        json_parser_free(&parser);
        return a->status >= 500 ? EXIT_SOFTWARE : EXIT_PROTOCOL;
    }
    print_detail(problem, detail);
    if (json_text(json_get(problem, SPAN("hint")), &hint))
        print_filtered("  ", hint, "\n");
    if (a->retry_after_s > 0)
        fprintf(stderr, "  try again in %lld s\n", (long long)a->retry_after_s);
    if (json_text(json_get(problem, SPAN("code")), &code) &&
        json_text(json_get(problem, SPAN("request_id")), &id)) {
        print_filtered("  ", code, " ");
        print_filtered("(", id, ")\n");
    }
    json_parser_free(&parser);
    return exit_of_status(a->status);
}

int cli_settings(struct cli *c)
{
    struct fault f = {0};
    err e = config_load(c->arena, c->config, NULL, &c->settings, c->config_file, &f);
    if (!e)
        return EXIT_DONE;
    cli_say("%s", f.words[0] ? f.words : err_text(e));
    return cli_exit_of(e);
}

/* ---- help ---- */

static void print_short(FILE *to)
{
    fputs("Fulmar collects public posts and says exactly how each job ended.\n"
          "\n"
          "  fulmar get posts @nasa --limit 20     posts of an account\n"
          "  fulmar get search 'heat pump' --csv   posts that match\n"
          "  fulmar serve                          run the service: API on "
          "http://127.0.0.1:8470\n"
          "  fulmar doctor                         check this machine\n"
          "\n"
          "All verbs and flags: fulmar --help. It sends no usage data anywhere.\n",
          to);
}

static void print_flags(int bits)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if (!(flags[i].verbs & bits))
            continue;
        char left[64];
        snprintf(left, sizeof left, "%s%c%s --%s %s", flags[i].letter ? "-" : " ",
                 flags[i].letter ? flags[i].letter : ' ', flags[i].letter ? "," : " ",
                 flags[i].name, flags[i].value ? flags[i].value : "");
        printf("  %-22s  %s\n", left, flags[i].help);
    }
}

static void print_lines(const char *text)
{
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line))
        printf("  %.*s\n", SP(line));
}

/* NULL: the whole. */
static void help(const char *name)
{
    const struct verb *verb = name ? verb_of(name) : NULL;
    if (verb) {
        printf("fulmar %s: %s\n\n", verb->name, verb->what);
        print_lines(verb->usage);
        if (verb->more) {
            printf("\n");
            print_lines(verb->more);
        }
        printf("\n");
        print_flags(verb->bit);
        return;
    }
    printf("Fulmar collects public posts and says exactly how each job ended.\n\n");
    for (size_t i = 0; i < VERBS; i++) {
        print_lines(verbs[i].usage);
        printf("      %s\n", verbs[i].what);
    }
    printf("\n");
    print_flags(IN_ALL);
    printf("\nExit status: 0 done; 1 job failed; 2 partial; 4 cancelled; 5 not found; 6 empty "
           "without proof;\n"
           "7 protected, suspended or withheld; 8 blocked or rate-limited; 9 the site changed; "
           "10 unhealthy;\n"
           "11 conflict; 64 wrong call; 65 wrong value; 66 no such file; 69 no service; 70 "
           "internal error;\n"
           "73 cannot create output; 74 read or write error; 75 try again later; 76 not our "
           "server;\n"
           "77 not permitted; 78 configuration; 130 interrupted.\n"
           "One verb: fulmar help get. All of it: man fulmar\n");
}

/* ---- reading the call ---- */

static const struct flag *flag_named(struct span name)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (span_is(name, flags[i].name) || (name.n == 1 && flags[i].letter == name.p[0]))
            return &flags[i];
    return NULL;
}

static const char **value_at(struct cli *c, const struct flag *f)
{
    return (const char **)(void *)((char *)c + f->at);
}

static int unknown_flag(struct span name, int bits)
{
    const char *known[FLAGS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < FLAGS; i++)
        if (flags[i].verbs & bits)
            known[n++] = flags[i].name;
    const char *near = text_nearest(name, known);
    if (near)
        return cli_usage(NULL, "unknown flag '--%.*s'; did you mean '--%s'?",
                         SP(span_cut(name, 0, 60)), near);
    return cli_usage(NULL, "unknown flag '%.*s'", SP(span_cut(name, 0, 60)));
}

/* One word that begins with '-'; *at moves on when the flag's value is the next word. */
static int read_flag(struct cli *c, int argc, char **argv, int *at, int *out_used)
{
    const char *word = argv[*at];
    struct span rest = span_of(word + (word[1] == '-' ? 2 : 1));
    size_t equals = word[1] == '-' ? span_find_char(rest, '=') : rest.n;
    struct span name = span_cut(rest, 0, equals);
    const struct flag *f = flag_named(name);
    if (!f || (word[1] != '-' && name.n != 1) || (word[1] == '-' && name.n == 1))
        return unknown_flag(name, IN_ALL);
    *out_used |= 1 << (f - flags);
    if (!f->value) {
        if (equals < rest.n)
            return cli_usage(NULL, "--%s takes no value", f->name);
        *(bool *)(void *)((char *)c + f->at) = true;
        return EXIT_DONE;
    }
    if (equals < rest.n) {
        *value_at(c, f) = rest.p + equals + 1;
        return EXIT_DONE;
    }
    if (*at + 1 >= argc)
        return cli_usage(NULL, "--%s needs a value: %s", f->name, f->value);
    *value_at(c, f) = argv[++*at];
    return EXIT_DONE;
}

static int read_call(struct cli *c, int argc, char **argv, int *out_used)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(argv[i], "--version") == 0 && c->word_count == 0) {
            c->words[c->word_count++] = "version";
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            int code = read_flag(c, argc, argv, &i, out_used);
            if (code)
                return code;
        } else if (c->word_count == CLI_WORDS_MAX) {
            return cli_usage(
                NULL,
                "too many words; put a search between quotes: fulmar get search 'heat pump'");
        } else {
            c->words[c->word_count++] = argv[i];
        }
    }
    return EXIT_DONE;
}

static int flags_fit(const struct verb *verb, int used)
{
    for (size_t i = 0; i < FLAGS; i++)
        if ((used >> i & 1) && !(flags[i].verbs & verb->bit))
            return cli_usage(verb->name, "%s does not know --%s", verb->name, flags[i].name);
    return EXIT_DONE;
}

static int unknown_verb(const char *word)
{
    const char *known[VERBS + 2] = {"help"};
    for (size_t i = 0; i < VERBS; i++)
        known[i + 1] = verbs[i].name;
    const char *near = text_nearest(span_of(word), known);
    if (near)
        return cli_usage(NULL, "unknown verb '%.60s'; did you mean '%s'?", word, near);
    return cli_usage(NULL, "unknown verb '%.60s'", word);
}

static int run(struct cli *c, int argc, char **argv)
{
    int used = 0;
    int code = read_call(c, argc, argv, &used);
    if (code)
        return code;
    if (!c->word_count) {
        if (c->help)
            help(NULL);
        else if (argc > 1)
            return cli_usage(NULL, "a verb is missing, such as get");
        else
            print_short(stdout);
        return EXIT_DONE;
    }
    if (strcmp(c->words[0], "help") == 0) {
        if (c->word_count > 1 && !verb_of(c->words[1]))
            return unknown_verb(c->words[1]);
        help(c->word_count > 1 ? c->words[1] : NULL);
        return EXIT_DONE;
    }
    const struct verb *verb = verb_of(c->words[0]);
    if (!verb)
        return unknown_verb(c->words[0]);
    if (c->help) {
        help(verb->name);
        return EXIT_DONE;
    }
    code = flags_fit(verb, used);
    return code ? code : verb->run(c);
}

int cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL); /* `fulmar … | head` ends quietly, whatever our parent ignores */
    static struct cli c;
    c.arena = arena_new(ARENA_MAX);
    int code = run(&c, argc, argv);
    if (fflush(stdout) && code == EXIT_DONE) {
        cli_say("standard output cannot be written");
        code = EXIT_IO;
    }
    arena_free(&c.arena);
    return code;
}

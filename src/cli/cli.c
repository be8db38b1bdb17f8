#include "cli/cli.h"

#include "cli/commands.h"
#include "cli/face.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/profile.h"

#include "base/need.h"
#include "base/text.h"
#include "base/when.h"

#include <signal.h>
#include <unistd.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

enum { KNOWN_MAX = 128, ACTIONS_MAX = 40 };

/* The service has its own process and its own reading of the call; only its help is here. */
int serve_run(struct cli *c)
{
    (void)c;
    return cli_usage("serve", "serve comes first: fulmar serve --config FILE");
}

/* ---- words for people ---- */

/* A line of progress may stand where we write. */
static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
}

static void print_name(void)
{
    fprintf(stderr, "%sfulmar:%s ", face_on(stderr, COLOR_RED), face_off(stderr));
}

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    clear_progress();
    print_name();
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
    char from_now[40];
    struct buf safe = BUF(64 * 1024);
    if (c->relative && face_relative(text, c->now, from_now, sizeof from_now))
        text = span_of(from_now);
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

int cli_exit_of_status(int status)
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
    case 412:
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
        if (first)
            print_name();
        print_error(first ? "" : "  ", i.value);
        first = false;
    }
    if (!first)
        return;
    print_name();
    print_filtered("", detail, "\n");
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
    return cli_exit_of_status(a->status);
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

/* ---- small things that the verbs share ---- */

int cli_confirm(const struct cli *c, const char *verb, const char *what)
{
    if (c->yes)
        return EXIT_DONE;
    if (c->no_input || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_usage(verb, "this %s: look first with --dry-run, then say --yes", what);
    char line[16] = "";
    fprintf(stderr, "This %s. Go on? [y/N] ", what);
    bool yes = fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
    if (!yes)
        cli_say("nothing was done");
    return yes ? EXIT_DONE : EXIT_CANCELLED;
}

int cli_action(const struct cli *c, const char *const *actions)
{
    for (int i = 0; actions[i]; i++)
        if (strcmp(actions[i], c->action) == 0)
            return i;
    bug("an action of the table that its verb does not know");
}

const char *cli_user(struct cli *c)
{
    const char *user = c->by ? c->by : getenv("USER");
    return user && *user ? user : arena_fmt(c->arena, "user %u", (unsigned)getuid());
}

int cli_duration(const char *verb, const char *flag, const char *text, int64_t min_ms,
                 int64_t max_ms, int64_t *out_ms)
{
    int64_t ms;
    if (when_duration(span_of(text), &ms) && ms >= min_ms && ms <= max_ms &&
        (min_ms < 1000 || ms % 1000 == 0)) {
        *out_ms = ms;
        return EXIT_DONE;
    }
    return cli_usage(
        verb, "--%s must be a time such as 30s, 5m, 2h or 7d, at most %llds, not '%.40s'", flag,
        (long long)(max_ms / 1000), text);
}

int cli_one_of(const char *verb, const char *flag, const char *value, const char *const *names)
{
    struct buf known = BUF(512);
    for (size_t i = 0; value && names[i]; i++) {
        if (strcmp(value, names[i]) == 0) {
            value = NULL;
            break;
        }
        buf_fmt(&known, "%s%s", i ? ", " : "", names[i]);
    }
    int code = EXIT_DONE;
    const char *near = value ? text_nearest(span_of(value), names) : NULL;
    if (near)
        code = cli_usage(verb, "--%s: did you mean '%s'?", flag, near);
    else if (value)
        code = cli_usage(verb, "--%s must be one of %.*s, not '%.40s'", flag,
                         SP(buf_span(&known)), value);
    buf_free(&known);
    return code;
}

int cli_number(const char *verb, const char *flag, const char *text, int64_t min, int64_t max,
               int64_t *out)
{
    int64_t n;
    if (span_int(span_of(text), &n) && n >= min && n <= max) {
        *out = n;
        return EXIT_DONE;
    }
    return cli_usage(verb, "--%s must be %lld to %lld, not '%.40s'", flag, (long long)min,
                     (long long)max, text);
}

/* ---- what there is not ---- */

int cli_unknown_verb(const char *word)
{
    size_t count;
    const struct verb *all = verbs_all(&count);
    const char *known[KNOWN_MAX] = {NULL};
    for (size_t i = 0; i < count && i + 1 < KNOWN_MAX; i++)
        known[i] = all[i].name;
    const char *near = text_nearest(span_of(word), known);
    if (near)
        return cli_usage(NULL, "unknown verb '%.60s'; did you mean '%s'?", word, near);
    return cli_usage(NULL, "unknown verb '%.60s'", word);
}

int cli_unknown_action(const char *verb, const char *word)
{
    const char *known[ACTIONS_MAX];
    struct buf list = BUF(1024);
    size_t count = actions_of(verb, known, ACTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        buf_fmt(&list, "%s%s", i ? ", " : "", known[i]);
    const char *near = word ? text_nearest(span_of(word), known) : NULL;
    int code = !count  ? cli_usage(verb, "%s has no actions", verb)
               : !word ? cli_usage(verb, "%s needs an action: %.*s", verb, SP(buf_span(&list)))
               : near
                   ? cli_usage(verb, "unknown action '%.40s'; did you mean '%s'?", word, near)
                   : cli_usage(verb, "unknown action '%.40s'; known are %.*s", word,
                               SP(buf_span(&list)));
    buf_free(&list);
    return code;
}

static int unknown_flag(struct span name)
{
    size_t count;
    const struct flag *all = flags_all(&count);
    const char *known[KNOWN_MAX] = {NULL};
    for (size_t i = 0; i < count && i + 1 < KNOWN_MAX; i++)
        known[i] = all[i].name;
    const char *near = text_nearest(name, known);
    if (near)
        return cli_usage(NULL, "unknown flag '--%.*s'; did you mean '--%s'?",
                         SP(span_cut(name, 0, 60)), near);
    return cli_usage(NULL, "unknown flag '%.*s'", SP(span_cut(name, 0, 60)));
}

/* ---- reading the call ---- */

/* Of a flag that may come again the first CLI_MANY_MAX - 1 are kept, behind each other. */
static void set_value(struct cli *c, const struct flag *f, const char *value)
{
    const char **at = (const char **)(void *)((char *)c + f->at);
    for (size_t i = 0; f->takes == FLAG_MANY && *at && i + 2 < CLI_MANY_MAX; i++)
        at++;
    *at = value;
}

static bool same_letters(struct span name)
{
    size_t same = 0;
    while (same < name.n && name.p[same] == name.p[0])
        same++;
    return name.n > 1 && same == name.n;
}

/* One word that begins with '-'; *at moves on when the flag's value is the next word. */
static int read_flag(struct cli *c, int argc, char **argv, int *at)
{
    size_t count;
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    struct span rest = span_of(word + (is_long ? 2 : 1));
    size_t equals = is_long ? span_find_char(rest, '=') : rest.n;
    struct span name = span_cut(rest, 0, equals);
    if (!is_long && same_letters(name)) /* -vv */
        name.n = 1;
    const struct flag *f = flag_named(name);
    if (f && name.n < rest.n && !is_long && f->takes != FLAG_COUNT)
        return unknown_flag(rest);
    if (!f || is_long == (name.n == 1))
        return unknown_flag(name);
    c->used[f - flags_all(&count)] = true;
    const char *given = equals < rest.n ? rest.p + equals + 1 : NULL;
    if (flag_is_alone(f) && given)
        return cli_usage(NULL, "--%s takes no value", f->name);
    if (f->takes == FLAG_SWITCH)
        *(bool *)(void *)((char *)c + f->at) = true;
    else if (f->takes == FLAG_COUNT)
        *(int *)(void *)((char *)c + f->at) += (int)rest.n > 1 && !is_long ? (int)rest.n : 1;
    else if (given || f->takes == FLAG_MAYBE)
        set_value(c, f, given ? given : "");
    else if (*at + 1 >= argc)
        return cli_usage(NULL, "--%s needs a value: %s", f->name, f->value);
    else
        set_value(c, f, argv[++*at]);
    return EXIT_DONE;
}

static int read_call(struct cli *c, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(argv[i], "--version") == 0 && c->word_count == 0) {
            c->words[c->word_count++] = "version";
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            int code = read_flag(c, argc, argv, &i);
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

static int flags_fit(const struct cli *c, const struct command *command)
{
    size_t count;
    const struct flag *all = flags_all(&count);
    for (size_t i = 0; i < count; i++)
        if (c->used[i] && !command_takes(command, &all[i]))
            return cli_usage(command->verb, "%s%s%s does not know --%s", command->verb,
                             *command->action ? " " : "", command->action, all[i].name);
    return EXIT_DONE;
}

/* A call without a word. */
static int run_nothing(const struct cli *c, int argc)
{
    if (c->help)
        help_print(NULL, NULL);
    else if (argc > 1)
        return cli_usage(NULL, "a verb is missing, such as get");
    else
        help_short(stdout);
    return EXIT_DONE;
}

static int run(struct cli *c, int argc, char **argv)
{
    int code = read_call(c, argc, argv);
    if (code)
        return code;
    if (!c->word_count)
        return run_nothing(c, argc);
    const char *verb = c->words[0], *action = c->word_count > 1 ? c->words[1] : NULL;
    if (!verb_named(verb))
        return cli_unknown_verb(verb);
    if (c->help) {
        help_print(verb, action);
        return EXIT_DONE;
    }
    const struct command *command = command_named(verb, action);
    if (!command)
        return cli_unknown_action(verb, action);
    c->action = command->action;
    code = flags_fit(c, command);
    if (!code)
        code = profile_apply(c, command);
    if (!code)
        code = cli_open_output(c);
    if (!code)
        code = command->run(c);
    return code ? code : c->broken;
}

int cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL); /* `fulmar … | head` ends quietly, whatever our parent ignores */
    if (argc > 1 && strcmp(argv[1], "__complete") == 0)
        return complete_main(argc, argv);
    static struct cli c;
    c.arena = arena_new(ARENA_MAX);
    int code = run(&c, argc, argv);
    if (fflush(stdout) && code == EXIT_DONE) {
        cli_say("standard output cannot be written");
        code = EXIT_IO;
    }
    if (code == EXIT_INTERRUPTED)
        code = interrupt_code();
    shape_free(&c.shape);
    arena_free(&c.arena);
    return code;
}

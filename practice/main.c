#include "limits.h"
#include "server.h"
#include "truth.h"

#include "base/text.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, EXIT_NOT_FOUND = 66, EXIT_BUSY = 69, EXIT_SYSTEM = 71 };

static const char help[] =
    "fulmar-practice - a site to practise on: it behaves like a social network's web app,\n"
    "its data is computed from a seed, and it breaks on demand.\n"
    "\n"
    "  fulmar-practice [--seed N] [--port P] [--host ADDRESS] [--threads N]\n"
    "                  [--layout l1|l2|l3|mixed] [--rate-limit CALLS/SECONDS]\n"
    "                  [--fault KIND=VALUE]...\n"
    "  fulmar-practice truth posts @NAME     [--seed N] [--limit N]\n"
    "  fulmar-practice truth hashtag TAG     [--seed N] [--limit N] [--product Latest|Top|Media]\n"
    "  fulmar-practice truth search QUERY    [--seed N] [--limit N] [--product Latest|Top|Media]\n"
    "  fulmar-practice truth replies|media|followers|following @NAME   [--seed N] [--limit N]\n"
    "  fulmar-practice truth list|community ID   [--seed N] [--limit N]\n"
    "  fulmar-practice truth thread ID       [--seed N] [--limit N]\n"
    "  fulmar-practice truth user @NAME      [--seed N] [--layout ...]\n"
    "  fulmar-practice truth accounts        [--seed N] [--limit N]\n"
    "\n"
    "  --seed N         which world (default 1); the same seed gives the same world "
    "everywhere\n"
    "  --port P         0 (default) takes a free port; the address is printed on the first "
    "line\n"
    "  --host ADDRESS   default 127.0.0.1\n"
    "  --threads N      1 to 64, default 2\n"
    "  --layout L       which generation of user objects the API sends, default l3\n"
    "  --rate-limit C/S refuse a client's calls of one operation after C within S seconds\n"
    "                   (site: as many as the real site allows in 15 minutes)\n"
    "  --fault K=V      break things from the start; may be repeated\n"
    "\n"
    "Accounts: practice_N has N posts (practice_empty, _small, _huge: 0, 7, 100000);\n"
    "suspended_*, protected_*, missing_*; many more under /truth/accounts?count=N.\n"
    "fault_loop crash memory never hang cut 5xx drift empty login 429 alert redirect event cursor break in\n"
    "one way each. The hashtag #practice_N has N posts. Panel: /panel\n"
    "Members 0 to 31 can be logged in: /panel/login?member=0&form=header|netscape|json gives their\n"
    "cookies; POST /panel/members {\"member\":0,\"state\":\"good|invalid|locked\"}. With --fault login=1\n"
    "only they see searches, hashtags, lists and whole timelines.\n"
    "\n"
    "Faults (also as ?fault=KIND:VALUE on any page, and at /panel/faults):\n";

static const char *const option_names[] = {"--seed",    "--port",       "--host",  "--threads",
                                           "--layout",  "--rate-limit", "--fault", "--limit",
                                           "--product", "--help",       NULL};

struct command {
    struct server_options server;
    const char *truth_kind; /* NULL: serve */
    const char *truth_what;
    int64_t limit;
    enum truth_order order;
};

static _Noreturn void usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("fulmar-practice: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\nTry: fulmar-practice --help\n", stderr);
    va_end(ap);
    exit(EXIT_USAGE);
}

static void print_help(void)
{
    fputs(help, stdout);
    for (int i = 0; i < FAULT_COUNT; i++)
        printf("  %-18s %s\n", faults_name((enum fault_kind)i),
               faults_help((enum fault_kind)i));
}

static int64_t read_number(const char *option, struct span text, int64_t least, int64_t most)
{
    int64_t value = 0;
    if (!span_int(text, &value) || value < least || value > most)
        usage("%s needs a number from %lld to %lld, not '%.*s'", option, (long long)least,
              (long long)most, SP(text));
    return value;
}

static void read_rate(struct server_options *o, struct span text)
{
    if (span_is(text, "site")) {
        o->rate_limit = LIMITS_OF_SITE;
        o->rate_window_s = 900;
        return;
    }
    size_t slash = span_find_char(text, '/');
    if (slash == text.n)
        usage("--rate-limit needs CALLS/SECONDS such as 50/900, not '%.*s'", SP(text));
    o->rate_limit = read_number("--rate-limit", span_cut(text, 0, slash), 1, 1000000);
    o->rate_window_s = read_number("--rate-limit", span_cut(text, slash + 1, text.n), 1, 86400);
}

static enum layout read_layout(struct span text)
{
    static const char *const names[] = {"l1", "l2", "l3", "mixed"};
    for (size_t i = 0; i < 4; i++)
        if (span_is(text, names[i]))
            return (enum layout)i;
    usage("--layout is one of l1, l2, l3, mixed, not '%.*s'", SP(text));
}

static enum truth_order read_product(struct span text)
{
    if (span_is(text, "Top"))
        return TRUTH_TOP;
    if (span_is(text, "Media"))
        return TRUTH_MEDIA;
    if (!span_is(text, "Latest"))
        usage("--product is Latest, Top or Media, not '%.*s'", SP(text));
    return TRUTH_LATEST;
}

static void read_option(struct command *c, const char *option, struct span value)
{
    struct fault f = {0};
    if (strcmp(option, "--seed") == 0)
        c->server.model.seed = (uint64_t)read_number(option, value, 0, INT64_MAX);
    else if (strcmp(option, "--port") == 0)
        c->server.port = (uint16_t)read_number(option, value, 0, 65535);
    else if (strcmp(option, "--host") == 0)
        c->server.host = value.p;
    else if (strcmp(option, "--threads") == 0)
        c->server.threads = (unsigned)read_number(option, value, 1, 64);
    else if (strcmp(option, "--layout") == 0)
        c->server.model.layout = read_layout(value);
    else if (strcmp(option, "--rate-limit") == 0)
        read_rate(&c->server, value);
    else if (strcmp(option, "--limit") == 0)
        c->limit = read_number(option, value, 0, INT64_MAX);
    else if (strcmp(option, "--product") == 0)
        c->order = read_product(value);
    else if (strcmp(option, "--fault") == 0 && faults_set(&c->server.faults, value, &f))
        usage("%s", f.words);
}

/* "--name value" or "--name=value" at argv[*at]; moves *at to the last word used. */
static void take_option(struct command *c, int argc, char **argv, int *at)
{
    struct span word = span_of(argv[*at]);
    size_t equals = span_find_char(word, '=');
    struct span name = span_cut(word, 0, equals);
    for (size_t i = 0; option_names[i]; i++) {
        if (!span_is(name, option_names[i]))
            continue;
        if (equals < word.n) {
            read_option(c, option_names[i], span_cut(word, equals + 1, word.n));
        } else {
            if (*at + 1 >= argc)
                usage("%s needs a value", option_names[i]);
            read_option(c, option_names[i], span_of(argv[++*at]));
        }
        return;
    }
    const char *near = text_nearest(name, option_names);
    if (near)
        usage("unknown option '%.*s'; did you mean '%s'?", SP(name), near);
    usage("unknown option '%.*s'", SP(name));
}

static void read_command(struct command *c, int argc, char **argv)
{
    *c = (struct command){.limit = -1,
                          .server = {.host = "127.0.0.1",
                                     .threads = 2,
                                     .model = {.seed = 1, .layout = LAYOUT_L3}}};
    int words = 0;
    for (int i = 1; i < argc; i++) {
        struct span word = span_of(argv[i]);
        if (span_is(word, "--help") || span_is(word, "-h")) {
            print_help();
            exit(0);
        }
        if (span_starts(word, SPAN("--"))) {
            take_option(c, argc, argv, &i);
            continue;
        }
        words++;
        if (words == 1 && !span_is(word, "truth"))
            usage("unexpected '%s'; the only command is 'truth'", argv[i]);
        if (words == 2)
            c->truth_kind = argv[i];
        if (words == 3)
            c->truth_what = argv[i];
        if (words > 3)
            usage("unexpected '%s'; put a search with spaces in quotes", argv[i]);
    }
    if (words == 1)
        usage(
            "truth needs to know of what: posts, followers, thread, hashtag, search, user, …");
}

/* ---- truth ---- */

static int print_list(struct truth *t)
{
    struct buf line = BUF(4 * 1024 * 1024);
    while (truth_next(t, &line) && fwrite(line.p, 1, line.n, stdout) == line.n)
        buf_clear(&line);
    buf_free(&line);
    truth_close(t);
    return fflush(stdout) || ferror(stdout) ? EXIT_SYSTEM : 0;
}

static int print_accounts(const struct command *c)
{
    struct buf line = BUF(4096);
    int64_t count = c->limit < 0 ? 100 : c->limit;
    for (int64_t i = 0; i < count && i < ACCOUNTS_NUMBERED; i++) {
        truth_account(&c->server.model, (uint32_t)i, &line);
        fwrite(line.p, 1, line.n, stdout);
        buf_clear(&line);
    }
    buf_free(&line);
    return fflush(stdout) ? EXIT_SYSTEM : 0;
}

static int not_found(struct span what)
{
    fprintf(stderr, "fulmar-practice: there is no '%.*s' in this world; see: truth accounts\n",
            SP(what));
    return EXIT_NOT_FOUND;
}

static int print_user(const struct command *c, struct span name)
{
    struct buf line = BUF(64 * 1024);
    bool found = truth_user(&c->server.model, name, &line);
    if (found)
        fwrite(line.p, 1, line.n, stdout);
    buf_free(&line);
    return found ? 0 : not_found(name);
}

static int print_search(const struct command *c, struct span query)
{
    struct truth t;
    if (!truth_open_search(&t, &c->server.model, query, c->order, c->limit))
        usage("there is nothing to search for");
    return print_list(&t);
}

/* Tabs of a profile, lists and threads; false when the kind is none of these. */
static bool open_list(const struct command *c, struct span kind, struct span what,
                      struct truth *t, bool *out_found)
{
    const struct model *m = &c->server.model;
    int64_t id = 0;
    (void)span_int(what, &id);
    if (span_is(kind, "replies"))
        *out_found = truth_open_tab(t, m, what, TRUTH_REPLIES, c->limit);
    else if (span_is(kind, "media"))
        *out_found = truth_open_tab(t, m, what, TRUTH_GRID, c->limit);
    else if (span_is(kind, "followers") || span_is(kind, "following"))
        *out_found = truth_open_follows(t, m, what, span_is(kind, "followers"), c->limit);
    else if (span_is(kind, "list") || span_is(kind, "community"))
        *out_found = truth_open_feed(t, m, span_is(kind, "list") ? FEED_LIST : FEED_COMMUNITY,
                                     (uint64_t)id, c->limit);
    else if (span_is(kind, "thread"))
        *out_found = truth_open_thread(t, m, (uint64_t)id, -1, c->limit);
    else
        return false;
    return true;
}

static int run_truth(const struct command *c)
{
    struct span kind = span_of(c->truth_kind), what = span_of(c->truth_what);
    struct truth t;
    if (span_is(kind, "accounts"))
        return print_accounts(c);
    if (!what.n)
        usage("truth %s needs a name or a query", c->truth_kind);
    if (span_is(kind, "search"))
        return print_search(c, what);
    if (span_is(kind, "hashtag")) {
        struct buf query = BUF(4096);
        buf_fmt(&query, "%s%.*s", what.p[0] == '#' ? "" : "#", SP(what));
        int code = print_search(c, buf_span(&query));
        buf_free(&query);
        return code;
    }
    if (what.p[0] == '@')
        what = span_cut(what, 1, what.n);
    if (span_is(kind, "user"))
        return print_user(c, what);
    bool found;
    if (open_list(c, kind, what, &t, &found))
        return found ? print_list(&t) : not_found(what);
    if (!span_is(kind, "posts"))
        usage(
            "truth of '%s'? There are posts, replies, media, followers, following, list, community, "
            "thread, hashtag, search, user, accounts",
            c->truth_kind);
    if (!truth_open_posts(&t, &c->server.model, what, c->limit))
        return not_found(what);
    return print_list(&t);
}

/* ---- serving ---- */

static int run_server(const struct command *c)
{
    struct server *server = NULL;
    struct fault f = {0};
    sigset_t stops;
    int signal_number = 0;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops,
                NULL); /* before there are threads: only sigwait() sees them */
    signal(SIGPIPE, SIG_IGN);
    /* Every answer takes and gives back the same few hundred KB: keep the pages, or a quarter
     * of the time goes into faulting them in again. */
    mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
    err e = server_open(&c->server, &server, &f);
    if (e) {
        fprintf(stderr, "fulmar-practice: %s\n", f.words);
        return e == E_BAD_INPUT                   ? EXIT_USAGE
               : e == E_CONFLICT || e == E_DENIED ? EXIT_BUSY
                                                  : EXIT_SYSTEM;
    }
    bool is_v6 = strchr(c->server.host, ':') != NULL;
    printf("listening on http://%s%s%s:%u\n", is_v6 ? "[" : "", c->server.host,
           is_v6 ? "]" : "", server_port(server));
    fflush(stdout);
    sigwait(&stops, &signal_number);
    server_close(&server);
    return 0;
}

int main(int argc, char **argv)
{
    struct command c;
    read_command(&c, argc, argv);
    return c.truth_kind ? run_truth(&c) : run_server(&c);
}

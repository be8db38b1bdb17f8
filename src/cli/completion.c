/* completion.c - the verb completion, and what a shell asks while somebody writes a call. */
#include "cli/ask.h"
#include "cli/complete.h"
#include "cli/profile.h"

#include "api/terms.h"
#include "core/failure.h"
#include "core/job.h"
#include "os/files.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    ASK_MS = 150, /* people feel more than that */
    LIST_MAX = 1024 * 1024,
    OUT_MAX = 1024 * 1024,
    ARENA_MAX = 64 * 1024 * 1024,
};

/* Each asks this program what may come next; nothing of the table of commands is in them. */
static const char bash[] =
    "# fulmar completion bash >/etc/bash_completion.d/fulmar, or: eval \"$(fulmar completion bash)\"\n"
    "_fulmar()\n"
    "{\n"
    "    local line\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r line _; do\n"
    "        case $line in\n"
    "        :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$2\") ;;\n"
    "        :folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$2\") ;;\n"
    "        ?*) COMPREPLY+=(\"$line\") ;;\n"
    "        esac\n"
    "    done < <(\"$1\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _fulmar fulmar\n";
static const char zsh[] =
    "#compdef fulmar\n"
    "# fulmar completion zsh >a folder of $fpath/_fulmar, or: eval \"$(fulmar completion zsh)\"\n"
    "_fulmar()\n"
    "{\n"
    "    local line tab=$'\\t'\n"
    "    local -a rows\n"
    "    for line in \"${(@f)$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
    "        case $line in\n"
    "        :files) _files ;;\n"
    "        :folders) _files -/ ;;\n"
    "        ?*) rows+=(\"${${line%%$tab*}//:/\\\\:}:${line#*$tab}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    (( ${#rows} )) && _describe fulmar rows\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _fulmar ]; then _fulmar \"$@\"; else compdef _fulmar fulmar; fi\n";
static const char fish[] =
    "# fulmar completion fish >~/.config/fish/completions/fulmar.fish\n"
    "function __fulmar_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l word (commandline -ct)\n"
    "    for line in ($words[1] __complete $words[2..] \"$word\" 2>/dev/null)\n"
    "        switch $line\n"
    "            case :files\n"
    "                __fish_complete_path \"$word\"\n"
    "            case :folders\n"
    "                __fish_complete_directories \"$word\"\n"
    "            case '*'\n"
    "                echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c fulmar -f -a '(__fulmar_complete)'\n";

int completion_run(struct cli *c)
{
    static const struct {
        const char *name, *script;
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells && c->word_count == 2; i++) {
        if (strcmp(c->words[1], shells[i].name) != 0)
            continue;
        fputs(shells[i].script, stdout);
        return EXIT_DONE;
    }
    return cli_usage("completion", "say for which shell: bash, zsh or fish");
}

/* ---- what only the service knows ---- */

static const struct listed {
    const char *what, *path, *name, *about;
} lists[] = {
    {"JOB", "/v1/jobs?limit=100", "id", "target"},
    {"BATCH", "/v1/batches?limit=100", "id", "name"},
    {"OPERATION", "/v1/operations?limit=100", "id", "kind"},
    {"SCHEDULE", "/v1/schedules?limit=200", "name", "spec.job.target"},
    {"SESSION", "/v1/sessions", "name", "state"},
    {"POOL", "/v1/sessions", "pool", "site"},
    {"WEBHOOK", "/v1/webhooks", "id", "url"},
    {"QUEUE", "/v1/queues?limit=200", "name", "trouble"},
};

static void add_listed(struct cli *c, const struct listed *l, struct complete *to)
{
    struct service service;
    struct client_answer answer;
    struct json root;
    if (service_open(&service, c, NULL, NULL))
        return;
    struct json_parser *parser = json_parser_new(LIST_MAX);
    struct client_request q = {
        .method = "GET", .path = l->path, .timeout_ms = ASK_MS, .body_max = LIST_MAX};
    if (!client_send(service.client, &q, &answer, NULL) && answer.status == 200 &&
        !json_parse(parser, buf_span(&answer.body), &root, NULL))
        for (struct json_iter i = json_each(json_get(root, SPAN("data"))); json_next(&i);)
            complete_add(to, ask_text(i.value, l->name), ask_text(i.value, l->about));
    buf_free(&answer.body);
    json_parser_free(&parser);
    service_close(&service);
}

/* ---- what this machine knows ---- */

static void add_sites(struct cli *c, struct complete *to)
{
    char folder[CONFIG_PATH_MAX], **names;
    size_t count = 0;
    if (cli_settings(c) || config_sites_dir(&c->settings, folder, NULL) ||
        files_list(folder, c->arena, &names, &count, NULL))
        return;
    for (size_t i = 0; i < count; i++)
        if (access(arena_fmt(c->arena, "%s/%s/site.yaml", folder, names[i]), R_OK) == 0)
            complete_add(to, span_of(names[i]), SPAN("site pack"));
}

static void add_kinds(struct cli *c, struct complete *to)
{
    struct pack *pack = NULL;
    const struct span *kinds;
    if (cli_settings(c) || cli_open_pack(c, c->site ? c->site : "x", &pack))
        return;
    size_t count = pack_targets(pack, &kinds);
    for (size_t i = 0; i < count; i++)
        complete_add(to, kinds[i], SPAN(""));
    pack_close(&pack);
}

/* The failures by which dead jobs are told apart, or how urgent a job is. */
static void add_classes(struct cli *c, struct complete *to)
{
    bool urgent = to->command && command_takes(to->command, flag_named(SPAN("priority")));
    (void)c;
    for (size_t i = 0; urgent && terms_classes[i]; i++)
        complete_add(to, span_of(terms_classes[i]), SPAN(""));
    for (int i = FAILURE_NONE + 1; !urgent && i < FAILURE_COUNT; i++)
        complete_add(to, span_of(failure_name((enum failure_class)i)),
                     span_of(failure_row((enum failure_class)i)->meaning));
}

static void add_states(struct cli *c, struct complete *to)
{
    (void)c;
    for (int i = 0; i < JOB_STATES; i++)
        complete_add(to, span_of(job_state_name((enum job_state)i)), SPAN(""));
}

static void on_profile(void *ctx, struct span name)
{
    complete_add(ctx, name, SPAN("profile"));
}

static void add_profiles(struct cli *c, struct complete *to)
{
    profile_each(c, on_profile, to);
}

static void on_ask(void *ctx, struct span what, struct complete *to)
{
    static const struct {
        const char *what;
        void (*add)(struct cli *c, struct complete *to);
    } own[] = {{"SITE", add_sites},
               {"KIND", add_kinds},
               {"CLASS", add_classes},
               {"STATE", add_states},
               {"PROFILE", add_profiles}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (span_is(what, own[i].what))
            own[i].add(ctx, to);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (span_is(what, lists[i].what))
            add_listed(ctx, &lists[i], to);
}

/* Which service, which site: what the call says so far. */
static void read_flags(struct cli *c, const char *const *words, size_t count)
{
    const struct {
        const char *name;
        const char **value;
    } flags[] = {{"--server", &c->server},
                 {"--config", &c->config},
                 {"--profile", &c->profile},
                 {"--site", &c->site}};
    for (size_t i = 0; i + 1 < count; i++)
        for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
            size_t n = strlen(flags[k].name);
            bool split = strcmp(words[i + 1], "=") == 0 && i + 2 < count;
            if (strcmp(words[i], flags[k].name) == 0)
                *flags[k].value = words[split ? i + 2 : i + 1];
            else if (strncmp(words[i], flags[k].name, n) == 0 && words[i][n] == '=')
                *flags[k].value = words[i] + n + 1;
        }
}

int complete_main(int argc, char **argv)
{
    static struct cli c;
    struct buf out = BUF(OUT_MAX);
    const char *const *words = (const char *const *)argv + 2;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (argc < 3)
        return EXIT_DONE;
    if (null >= 0)
        dup2(null, STDERR_FILENO);
    c.arena = arena_new(ARENA_MAX);
    struct complete to = {
        .words = words, .count = (size_t)argc - 2, .ask = on_ask, .ctx = &c, .out = &out};
    read_flags(&c, words, to.count);
    if (!profile_apply(&c, command_named("jobs", "list")))
        complete_call(&to);
    if (out.n)
        fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
    arena_free(&c.arena);
    return EXIT_DONE;
}

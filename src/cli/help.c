#include "cli/commands.h"
#include "cli/help.h"

#include "base/text.h"

enum { LEFT = 24, ACTIONS_MAX = 40 };

void help_short(FILE *to)
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

static void print_lines(const char *text)
{
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line))
        printf("  %.*s\n", SP(line));
}

static void print_flag(const struct flag *f)
{
    char left[160];
    snprintf(left, sizeof left, "%c%c%c --%s%s%s%s", f->letter ? '-' : ' ',
             f->letter ? f->letter : ' ', f->letter ? ',' : ' ', f->name,
             f->takes == FLAG_MAYBE ? "[="
             : f->value             ? " "
                                    : "",
             f->value ? f->value : "", f->takes == FLAG_MAYBE ? "]" : "");
    printf("  %-*s  %s\n", LEFT, left, f->help);
}

/* verb NULL: those of all. action NULL: those of all its actions. */
static bool taken(const struct flag *f, const char *verb, const char *action)
{
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        bool meant = (!verb || strcmp(all[i].verb, verb) == 0) &&
                     (!action || strcmp(all[i].action, action) == 0);
        if (meant && command_takes(&all[i], f))
            return true;
    }
    return false;
}

static void print_flags(const char *verb, const char *action)
{
    size_t count;
    const struct flag *all = flags_all(&count);
    for (size_t i = 0; i < count; i++)
        if (taken(&all[i], verb, action))
            print_flag(&all[i]);
}

static void print_actions(const char *verb)
{
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        char left[100];
        if (strcmp(all[i].verb, verb) != 0 || !*all[i].action)
            continue;
        snprintf(left, sizeof left, "%s %s", all[i].action, all[i].words);
        printf("  %-*s  %s\n", LEFT, left, all[i].what);
    }
}

static void print_verb(const struct verb *v)
{
    const char *some[ACTIONS_MAX];
    printf("fulmar %s: %s\n\n", v->name, v->what);
    print_lines(v->examples);
    if (actions_of(v->name, some, ACTIONS_MAX)) {
        printf("\n");
        print_actions(v->name);
    }
    if (v->more) {
        printf("\n");
        print_lines(v->more);
    }
    printf("\n");
    print_flags(v->name, NULL);
}

static void print_action(const struct command *command)
{
    printf("fulmar %s %s %s\n      %s\n\n", command->verb, command->action, command->words,
           command->what);
    print_flags(command->verb, command->action);
    printf("\nWith examples: fulmar help %s\n", command->verb);
}

static void print_exits(void)
{
    size_t count;
    const struct exit_row *all = exits_all(&count);
    for (size_t i = 0; i < count; i++)
        printf("  %3d  %-18s  %s\n", all[i].code, all[i].name, all[i].meaning);
}

static void print_all(void)
{
    size_t count;
    const struct verb *all = verbs_all(&count);
    printf("Fulmar collects public posts and says exactly how each job ended.\n\n");
    for (size_t i = 0; i < count; i++) {
        print_lines(all[i].examples);
        printf("      %s\n", all[i].what);
    }
    printf("\n");
    print_flags(NULL, NULL);
    printf("\nExit status:\n");
    print_exits();
    printf(
        "\nOne verb: fulmar help get. All of it: man fulmar. It sends no usage data anywhere.\n");
}

void help_print(const char *verb, const char *action)
{
    const struct command *command = verb && action ? command_named(verb, action) : NULL;
    if (command && *command->action)
        print_action(command);
    else if (verb)
        print_verb(verb_named(verb));
    else
        print_all();
}

int help_run(struct cli *c)
{
    const char *verb = c->word_count > 1 ? c->words[1] : NULL;
    if (verb && strcmp(verb, "exit-codes") == 0) {
        print_exits();
        return EXIT_DONE;
    }
    if (verb && !verb_named(verb))
        return cli_unknown_verb(verb);
    if (c->word_count > 2 && !command_named(verb, c->words[2]))
        return cli_unknown_action(verb, c->words[2]);
    help_print(verb, c->word_count > 2 ? c->words[2] : NULL);
    return EXIT_DONE;
}

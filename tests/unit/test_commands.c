/* The table of commands: whole in itself, and the same as the man page and docs/reference/cli.md. */
#include "cli/commands.h"

#include "core/failure.h"
#include "os/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PAGE_MAX = 1024 * 1024 };

static bool has_command(const char *verb, const char *action)
{
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].verb, verb) == 0 && (!action || strcmp(all[i].action, action) == 0))
            return true;
    return false;
}

static void every_row_has_its_place(void **state)
{
    (void)state;
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(verb_named(all[i].verb));
        assert_ptr_equal(command_named(all[i].verb, all[i].action), &all[i]);
        assert_true(all[i].run && *all[i].what);
        struct span rest = span_of(all[i].flags), name;
        while (span_next(&rest, ' ', &name))
            if (name.n && !flag_named(name))
                fail_msg("%s %s takes --%.*s, which is no flag", all[i].verb, all[i].action,
                         SP(name));
    }
    const struct verb *verbs = verbs_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (!has_command(verbs[i].name, NULL))
            fail_msg("%s has no command", verbs[i].name);
        if (verbs[i].usual && !has_command(verbs[i].name, verbs[i].usual))
            fail_msg("%s has no %s", verbs[i].name, verbs[i].usual);
    }
}

static void every_flag_is_taken_by_somebody_and_once(void **state)
{
    (void)state;
    size_t count, commands;
    const struct flag *all = flags_all(&count);
    const struct command *takers = commands_all(&commands);
    assert_true(count <= CLI_FLAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        bool taken = false;
        for (size_t k = 0; k < commands; k++)
            taken |= command_takes(&takers[k], &all[i]);
        if (!taken)
            fail_msg("nothing takes --%s", all[i].name);
        assert_true(flag_is_alone(&all[i]) == !all[i].value);
        for (size_t k = 0; k < i; k++)
            if (strcmp(all[i].name, all[k].name) == 0 || all[i].at == all[k].at ||
                (all[i].letter && all[i].letter == all[k].letter))
                fail_msg("--%s and --%s are the same", all[i].name, all[k].name);
    }
}

/* The words of an example, quotes kept together, as far as its end or a pipe. */
static size_t split(struct span line, struct span *words, size_t most)
{
    size_t n = 0;
    for (size_t at = 0; at < line.n && n < most;) {
        while (at < line.n && line.p[at] == ' ')
            at++;
        size_t from = at;
        bool quoted = false;
        while (at < line.n && (quoted || line.p[at] != ' ')) {
            quoted ^= line.p[at] == '\'';
            at++;
        }
        struct span word = {line.p + from, at - from};
        if (span_is(word, ">") || span_is(word, "|") || span_starts(word, SPAN("<")))
            break;
        if (word.n)
            words[n++] = word;
    }
    return n;
}

/* "show|runs" of an example are several actions; "[--flag" is one that may be left out. */
static void example_holds(const char *verb, struct span line)
{
    struct span words[32], action;
    size_t n = split(line, words, 32);
    assert_true(n > 1 && span_is(words[0], "fulmar") && span_is(words[1], verb));
    struct span actions = n > 2 ? words[2] : SPAN("");
    bool plain = command_named(verb, "") != NULL;
    if (plain)
        actions = SPAN("-");
    while (span_next(&actions, '|', &action)) {
        char name[64];
        const struct command *c = command_named(verb, span_copy(action, name, sizeof name));
        if (!c)
            fail_msg("%.*s: no such command", SP(line));
        for (size_t i = 2; i < n; i++) {
            struct span word = words[i];
            while (word.n && (word.p[0] == '[' || word.p[0] == '('))
                word = span_cut(word, 1, word.n);
            if (!span_starts(word, SPAN("-")) || word.n < 2)
                continue;
            word = span_cut(word, span_starts(word, SPAN("--")) ? 2 : 1, word.n);
            size_t end = 0;
            while (end < word.n && !strchr("=]|.", word.p[end]))
                end++;
            const struct flag *f = flag_named(span_cut(word, 0, end));
            if (!f || !command_takes(c, f))
                fail_msg("%.*s: %s does not take --%.*s", SP(line), name, SP(word));
            i += end == word.n && !flag_is_alone(f); /* its value may begin with a "-" too */
        }
    }
}

static void every_example_is_a_call_that_there_is(void **state)
{
    (void)state;
    size_t count;
    const struct verb *all = verbs_all(&count);
    for (size_t i = 0; i < count; i++) {
        struct span rest = span_of(all[i].examples), line;
        while (span_next(&rest, '\n', &line))
            if (line.n)
                example_holds(all[i].name, line);
    }
}

/* ---- the pages ---- */

static void read_page(const char *path, struct buf *out)
{
    struct fault f = {0};
    if (files_read(AT_FDCWD, path, PAGE_MAX, out, &f))
        fail_msg("%s", f.words);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
}

/* The word stands there, and is no part of another one. */
static bool names(struct span page, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= page.n; at++) {
        at += span_find(span_cut(page, at, page.n), span_of(word));
        if (at + n > page.n)
            return false;
        bool free_before = at == 0 || !is_word(page.p[at - 1]);
        bool free_behind = at + n == page.n || !is_word(page.p[at + n]);
        if (free_before && free_behind)
            return true;
    }
    return false;
}

/* The lines of a page that speak of the verb. */
static void lines_about(struct span page, const char *verb, struct buf *out)
{
    struct span line;
    char start[64];
    snprintf(start, sizeof start, "fulmar %s", verb);
    while (span_next(&page, '\n', &line))
        if (span_find(line, span_of(start)) < line.n) {
            buf_add(out, line);
            buf_add_char(out, '\n');
        }
}

static void the_reference_names_everything(void **state)
{
    (void)state;
    struct buf page = BUF(PAGE_MAX);
    size_t count;
    read_page("docs/reference/cli.md", &page);
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        struct buf about = BUF(PAGE_MAX);
        lines_about(buf_span(&page), commands[i].verb, &about);
        if (!about.n || (*commands[i].action && !names(buf_span(&about), commands[i].action)))
            fail_msg("docs/reference/cli.md does not name fulmar %s %s", commands[i].verb,
                     commands[i].action);
        buf_free(&about);
    }
    const struct flag *flags = flags_all(&count);
    for (size_t i = 0; i < count; i++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", flags[i].name);
        if (!names(buf_span(&page), word))
            fail_msg("docs/reference/cli.md does not name %s", word);
    }
    const struct exit_row *exits = exits_all(&count);
    for (size_t i = 0; i < count; i++) {
        char row[16];
        snprintf(row, sizeof row, "\n| %d |", exits[i].code);
        if (span_find(buf_span(&page), span_of(row)) == page.n)
            fail_msg("docs/reference/cli.md does not say what exit status %d is",
                     exits[i].code);
    }
    buf_free(&page);
}

/* "Fl -name" for a long flag, "Fl n" for a letter. */
static bool man_names_flag(struct span page, const struct flag *f)
{
    char word[64];
    snprintf(word, sizeof word, "Fl -%s", f->name);
    return names(page, word);
}

static void the_man_page_names_everything(void **state)
{
    (void)state;
    struct buf page = BUF(PAGE_MAX);
    size_t count;
    read_page("deploy/man/fulmar.1", &page);
    const struct flag *flags = flags_all(&count);
    for (size_t i = 0; i < count; i++)
        if (!man_names_flag(buf_span(&page), &flags[i]))
            fail_msg("fulmar.1 does not name --%s", flags[i].name);
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        char word[64];
        snprintf(word, sizeof word, "Cm %s", commands[i].verb);
        if (!names(buf_span(&page), word) ||
            (*commands[i].action && !names(buf_span(&page), commands[i].action)))
            fail_msg("fulmar.1 does not name %s %s", commands[i].verb, commands[i].action);
    }
    buf_free(&page);
}

/* Every code with which a job can end is in the table, and no code is there twice. */
static void every_end_of_a_job_has_a_documented_code(void **state)
{
    (void)state;
    size_t count;
    const struct exit_row *all = exits_all(&count);
    for (int class = FAILURE_NONE; class < FAILURE_COUNT; class ++) {
        bool there = false;
        for (size_t i = 0; i < count; i++)
            there |= all[i].code == failure_row((enum failure_class) class)->exit_code;
        if (!there)
            fail_msg("%s ends with a code that is not in the table",
                     failure_name((enum failure_class) class));
    }
    for (size_t i = 1; i < count; i++)
        assert_true(all[i].code > all[i - 1].code);
}

/* And the man page names no flag that there is not. */
static void the_man_page_promises_nothing_else(void **state)
{
    (void)state;
    struct buf page = BUF(PAGE_MAX);
    read_page("deploy/man/fulmar.1", &page);
    struct span rest = buf_span(&page);
    for (size_t at; (at = span_find(rest, SPAN("Fl -"))) < rest.n;) {
        rest = span_cut(rest, at + 4, rest.n);
        size_t end = 0;
        while (end < rest.n && is_word(rest.p[end]))
            end++;
        struct span name = span_cut(rest, 0, end);
        if (name.n && !span_is(name, "version") && !flag_named(name))
            fail_msg("fulmar.1 names --%.*s, which is no flag", SP(name));
    }
    buf_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_place),
        cmocka_unit_test(every_flag_is_taken_by_somebody_and_once),
        cmocka_unit_test(every_example_is_a_call_that_there_is),
        cmocka_unit_test(the_reference_names_everything),
        cmocka_unit_test(the_man_page_names_everything),
        cmocka_unit_test(every_end_of_a_job_has_a_documented_code),
        cmocka_unit_test(the_man_page_promises_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

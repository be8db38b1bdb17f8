#include "cli/complete.h"

#include "base/text.h"

enum { WHAT_COLUMNS = 60 };

/* What the words before the one at hand say. */
struct said {
    const char *verb, *action;
    const struct command *command; /* NULL: not known yet */
    const struct flag *pending;    /* the word at hand is its value */
    size_t places;                 /* words behind verb and action */
    bool only_words;               /* behind -- */
};

void complete_add(struct complete *to, struct span candidate, struct span what)
{
    struct buf safe = BUF(64 * 1024);
    if (!candidate.n || !span_starts(candidate, to->prefix) ||
        span_find_char(candidate, '\n') < candidate.n ||
        span_find_char(candidate, '\t') < candidate.n)
        return;
    buf_add(to->out, to->before);
    buf_add(to->out, candidate);
    buf_add_char(to->out, '\t');
    text_add_printable(&safe, what);
    text_add_cut(to->out, buf_span(&safe), WHAT_COLUMNS);
    buf_add_char(to->out, '\n');
    buf_free(&safe);
}

/* ---- the words before ---- */

static void read_word(struct said *s, const char *word)
{
    const struct verb *verb;
    if (!s->verb) {
        s->verb = word;
        verb = verb_named(word);
        s->command = verb && !verb->usual ? command_named(word, NULL) : NULL;
    } else if (!s->action && !(s->command && !*s->command->action)) {
        s->action = word;
        s->command = command_named(s->verb, word);
    } else {
        s->places++;
    }
}

/* A shell may have split --flag=value: "--flag", "=", "value". */
static void read_flag_word(struct said *s, struct span word)
{
    bool is_long = span_starts(word, SPAN("--"));
    struct span name = span_cut(word, is_long ? 2 : 1, word.n);
    size_t equals = span_find_char(name, '=');
    const struct flag *f = flag_named(span_cut(name, 0, equals));
    s->pending = f && equals == name.n && !flag_is_alone(f) ? f : NULL;
}

static struct said read_words(const struct complete *to)
{
    struct said s = {0};
    for (size_t i = 0; i + 1 < to->count; i++) {
        struct span word = span_of(to->words[i]);
        bool joins = span_is(word, "=") && s.pending;
        bool was_maybe = s.pending && s.pending->takes == FLAG_MAYBE;
        if (joins)
            continue;
        if (s.pending && !was_maybe) {
            s.pending = NULL;
            continue;
        }
        s.pending = NULL;
        if (!s.only_words && span_is(word, "--"))
            s.only_words = true;
        else if (!s.only_words && word.n > 1 && word.p[0] == '-')
            read_flag_word(&s, word);
        else
            read_word(&s, to->words[i]);
    }
    /* Its value comes only behind '=', which this word is not. */
    bool split = to->count > 1 && strcmp(to->words[to->count - 2], "=") == 0;
    if (s.pending && s.pending->takes == FLAG_MAYBE && !split)
        s.pending = NULL;
    return s;
}

/* ---- candidates ---- */

static bool is_name(struct span word)
{
    return word.n && word.p[0] >= 'A' && word.p[0] <= 'Z';
}

/* "table|json" are words, "JOB" and the like stand for something. */
static void add_what(struct complete *to, struct span what)
{
    struct span one;
    while (span_next(&what, '|', &one)) {
        if (span_is(one, "FILE"))
            buf_add_text(to->out, ":files\n");
        else if (span_is(one, "FOLDER"))
            buf_add_text(to->out, ":folders\n");
        else if (span_is(one, "VERB") || span_is(one, "ACTION"))
            continue;
        else if (!is_name(one))
            complete_add(to, one, SPAN(""));
        else if (to->ask)
            to->ask(to->ctx, one, to);
    }
}

/* "[JOB...]" is JOB; the last place takes all that come. */
static struct span place_of(const struct command *command, size_t at)
{
    struct span rest = span_of(command->words), word, last = SPAN_NONE;
    while (span_next(&rest, ' ', &word)) {
        while (word.n && word.p[0] == '[')
            word = span_cut(word, 1, word.n);
        while (word.n && strchr("].", word.p[word.n - 1]))
            word.n--;
        last = word;
        if (at-- == 0)
            return word;
    }
    bool many = span_find(span_of(command->words), SPAN("...")) < strlen(command->words);
    return many ? last : SPAN_NONE;
}

static void add_flags(struct complete *to, const struct said *s)
{
    size_t count, commands;
    const struct flag *all = flags_all(&count);
    const struct command *takers = commands_all(&commands);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        bool taken = s->command ? command_takes(s->command, &all[i]) : false;
        for (size_t k = 0; k < commands && !s->command; k++)
            taken |= (!s->verb || strcmp(takers[k].verb, s->verb) == 0) &&
                     command_takes(&takers[k], &all[i]);
        snprintf(name, sizeof name, "--%s", all[i].name);
        if (taken)
            complete_add(to, span_of(name), span_of(all[i].help));
    }
}

static void add_verbs(struct complete *to)
{
    size_t count;
    const struct verb *all = verbs_all(&count);
    for (size_t i = 0; i < count; i++)
        complete_add(to, span_of(all[i].name), span_of(all[i].what));
}

static void add_actions(struct complete *to, const char *verb)
{
    size_t count;
    const struct command *all = commands_all(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].verb, verb) == 0)
            complete_add(to, span_of(all[i].action), span_of(all[i].what));
}

/* help VERB ACTION */
static void add_help(struct complete *to, const struct said *s)
{
    if (s->places == 0)
        add_verbs(to);
    else if (s->places == 1)
        add_actions(to, to->words[to->count - 2]);
}

/* "--flag=va" of a shell that does not split it. */
static bool add_value_in_word(struct complete *to, struct span word)
{
    size_t equals = span_find_char(word, '=');
    const struct flag *f = equals < word.n ? flag_named(span_cut(word, 2, equals - 2)) : NULL;
    if (!f || !f->value)
        return false;
    to->before = span_cut(word, 0, equals + 1);
    to->prefix = span_cut(word, equals + 1, word.n);
    add_what(to, span_of(f->value));
    return true;
}

void complete_call(struct complete *to)
{
    struct said s = read_words(to);
    struct span word = span_of(to->words[to->count - 1]);
    to->command = s.command;
    to->prefix = s.pending && span_is(word, "=") ? SPAN("") : word;
    if (s.pending)
        add_what(to, span_of(s.pending->value));
    else if (!s.only_words && span_starts(word, SPAN("--")) && add_value_in_word(to, word))
        return;
    else if (!s.only_words && span_starts(word, SPAN("-")))
        add_flags(to, &s);
    else if (!s.verb)
        add_verbs(to);
    else if (strcmp(s.verb, "help") == 0)
        add_help(to, &s);
    else if (!s.command && !s.action)
        add_actions(to, s.verb);
    else if (s.command)
        add_what(to, place_of(s.command, s.places));
}

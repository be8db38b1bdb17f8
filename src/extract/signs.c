#include "extract/signs.h"

enum { NORMAL_BYTES = 1024 };

struct json paths_get(const struct paths *p, struct json v)
{
    for (size_t i = 0; i < p->count; i++) {
        struct json at = json_path(v, p->path[i]);
        enum json_type t = json_type(at);
        if (t != JSON_NONE && t != JSON_NULL)
            return at;
    }
    return JSON_MISSING;
}

void paths_read(struct form *f, const struct ynode *map, const char *key, bool need,
                struct paths *out)
{
    const struct span *list = NULL;
    size_t n = form_texts(f, map, key, need, &list);
    if (n > SIGNS_PATHS_MAX) {
        form_wrong(f, map, "'%s' has more than %d paths", key, SIGNS_PATHS_MAX);
        return;
    }
    out->count = n;
    for (size_t i = 0; i < n; i++)
        out->path[i] = arena_text(f->arena, list[i]);
}

/* ---- reading ---- */

static enum failure_class read_class(struct form *f, const struct ynode *map, const char *key,
                                     bool need)
{
    struct span name = form_text(f, map, key, need);
    enum failure_class c = FAILURE_NONE;
    if (!name.p || f->failed || failure_parse(name, &c))
        return c;
    const char *names[FAILURE_COUNT + 1] = {NULL};
    for (int i = 0; i < FAILURE_COUNT; i++)
        names[i] = failure_name((enum failure_class)i);
    form_word(f, ynode_find(map, key), "failure class", names);
    return FAILURE_NONE;
}

static void read_status(struct form *f, const struct ynode *map, struct sign_rule *r)
{
    struct span text = form_text(f, map, "status", false), rest = text, part;
    int64_t from = 0, to = 0;
    if (!text.p)
        return;
    bool fine = span_next(&rest, '-', &part) && span_int(part, &from);
    to = from;
    if (fine && rest.n)
        fine = span_int(rest, &to);
    if (!fine || from < 100 || to > 599 || to < from) {
        form_wrong(f, ynode_find(map, "status"),
                   "'status' is a number such as 429 or a range such "
                   "as 500-599");
        return;
    }
    r->status_from = (int)from;
    r->status_to = (int)to;
}

static void read_rule(struct form *f, const struct ynode *n, struct sign_rule *r)
{
    static const char *const keys[] = {
        "status", "codes",           "has", "header", "header_has", "path",           "body",
        "is",     "with_quota_left", "why", "state",  "says",       "quota_left_why", NULL};
    static const char *const bodies[] = {"any", "empty", "html", NULL};
    static const char *const says[] = {"nothing", "empty", "end", "wait", "renew", NULL};
    if (!form_keys(f, n, "a sign", keys))
        return;
    read_status(f, n, r);
    r->code_count = form_texts(f, n, "codes", false, &r->codes);
    r->has_count = form_texts(f, n, "has", false, &r->has);
    r->header = form_text(f, n, "header", false);
    r->header_has = form_text(f, n, "header_has", false);
    r->path = form_text(f, n, "path", false);
    const struct ynode *body = ynode_find(n, "body");
    int shape = body ? form_word(f, body, "body", bodies) : 0;
    r->body = shape > 0 ? (enum body_shape)shape : BODY_ANY;
    const struct ynode *word = ynode_find(n, "says");
    int said = word ? form_word(f, word, "'says'", says) : 0;
    r->says = said > 0 ? (enum sign_says)said : SAYS_NOTHING;
    r->state = form_text(f, n, "state", false);
    r->is = read_class(f, n, "is", r->says == SAYS_NOTHING || r->says == SAYS_RENEW);
    r->quota_left = read_class(f, n, "with_quota_left", false);
    r->quota_left_why = form_text(f, n, "quota_left_why", r->quota_left != FAILURE_NONE);
    r->why = form_text(f, n, "why", false);
}

void signs_read_table(struct form *f, const struct ynode *root, const char *key, bool need,
                      struct sign_table *out)
{
    static const char *const keys[] = {"rules", "otherwise", NULL};
    const struct ynode *map = form_map(f, root, key, need);
    if (!map || !form_keys(f, map, key, keys))
        return;
    const struct ynode *list = form_list(f, map, "rules", true);
    struct sign_rule *rules =
        arena_get(f->arena, ((list ? list->count : 0) + 1) * sizeof *rules);
    for (const struct ynode *n = list ? list->first : NULL; n && !f->failed; n = n->next)
        read_rule(f, n, &rules[out->count++]);
    out->rule = rules;
    out->otherwise = read_class(f, map, "otherwise", false);
}

static void read_absences(struct form *f, const struct ynode *list, struct signs *s)
{
    static const char *const keys[] = {"type", "state", "reason", "text", "empty", "id", NULL};
    struct absence *rows = arena_get(f->arena, ((list ? list->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = list ? list->first : NULL; n; n = n->next) {
        if (!form_keys(f, n, "a type", keys))
            return;
        struct absence *a = &rows[s->absence_count++];
        a->type = form_text(f, n, "type", true);
        a->state = form_text(f, n, "state", true);
        paths_read(f, n, "reason", false, &a->reason);
        paths_read(f, n, "text", false, &a->text);
        paths_read(f, n, "empty", false, &a->empty);
        paths_read(f, n, "id", false, &a->id);
    }
    s->absences = rows;
}

static void read_reasons(struct form *f, const struct ynode *map, struct signs *s)
{
    struct word_pair *rows = arena_get(f->arena, ((map ? map->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = map ? map->first : NULL; n; n = n->next)
        rows[s->reason_count++] = (struct word_pair){n->key, n->text};
    s->reasons = rows;
}

static void read_texts(struct form *f, const struct ynode *list, struct signs *s)
{
    static const char *const keys[] = {"has", "state", NULL};
    struct sign_rule *rows = arena_get(f->arena, ((list ? list->count : 0) + 1) * sizeof *rows);
    for (const struct ynode *n = list ? list->first : NULL; n; n = n->next) {
        if (!form_keys(f, n, "a text", keys))
            return;
        struct sign_rule *r = &rows[s->text_count++];
        r->has_count = form_texts(f, n, "has", true, &r->has);
        r->why = form_text(f, n, "state", true);
    }
    s->texts = rows;
}

static void read_classes(struct form *f, const struct ynode *map, struct signs *s)
{
    static const char *const keys[] = {"is", "why", NULL};
    for (const struct ynode *n = map ? map->first : NULL; n; n = n->next) {
        if (!form_keys(f, n, "a state", keys))
            return;
        if (s->class_count >= sizeof s->classes / sizeof s->classes[0]) {
            form_wrong(f, n, "too many states");
            return;
        }
        s->classes[s->class_count].state = n->key;
        s->classes[s->class_count].is = read_class(f, n, "is", true);
        s->classes[s->class_count].why = form_text(f, n, "why", false);
        s->class_count++;
    }
}

static void read_unavailable(struct form *f, const struct ynode *n, struct signs *s)
{
    static const char *const keys[] = {"type", "types", "reasons", "texts", "states", NULL};
    if (!form_keys(f, n, "unavailable", keys))
        return;
    s->type = form_text(f, n, "type", true);
    read_absences(f, form_list(f, n, "types", true), s);
    read_reasons(f, form_map(f, n, "reasons", true), s);
    read_texts(f, form_list(f, n, "texts", true), s);
    read_classes(f, form_map(f, n, "states", true), s);
}

void signs_read(struct form *f, const struct ynode *root, struct signs *out)
{
    static const char *const keys[] = {"headers", "errors", "error_rules", "answers",
                                       "pages",   "states", "unavailable", NULL};
    static const char *const header_keys[] = {"reset", "remaining", "retry_after", NULL};
    static const char *const error_keys[] = {"list", "code", "message", NULL};
    if (!form_keys(f, root, "signs", keys))
        return;
    /* A site that is only fetched has its signs in its pages. */
    const struct ynode *headers = form_map(f, root, "headers", true);
    const struct ynode *errors = form_map(f, root, "errors", false);
    if (!form_keys(f, headers, "headers", header_keys))
        return;
    out->header_reset = form_text(f, headers, "reset", false);
    out->header_remaining = form_text(f, headers, "remaining", false);
    out->header_retry_after = form_text(f, headers, "retry_after", false);
    bool all = errors != NULL;
    if (all && form_keys(f, errors, "errors", error_keys)) {
        out->errors = form_text(f, errors, "list", true);
        paths_read(f, errors, "code", true, &out->code);
        paths_read(f, errors, "message", true, &out->message);
    }
    signs_read_table(f, root, "error_rules", all, &out->error_rules);
    signs_read_table(f, root, "answers", all, &out->answers);
    signs_read_table(f, root, "pages", all, &out->pages);
    signs_read_table(f, root, "states", all, &out->states);
    const struct ynode *gone = form_map(f, root, "unavailable", all);
    if (gone)
        read_unavailable(f, gone, out);
}

/* ---- matching ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Lower case, typographic apostrophe made plain, cut to NORMAL_BYTES. */
static struct span normal(struct span s, char out[NORMAL_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < NORMAL_BYTES; i++) {
        if (s.n - i >= 3 && memcmp(s.p + i, "\xE2\x80\x99", 3) == 0) {
            out[n++] = '\'';
            i += 2;
        } else {
            out[n++] = lower(s.p[i]);
        }
    }
    return (struct span){out, n};
}

static bool has_words(const struct sign_rule *r, struct span text)
{
    for (size_t i = 0; i < r->has_count; i++)
        if (r->has[i].n && span_find(text, r->has[i]) < text.n)
            return true;
    return r->has_count == 0;
}

static bool has_code(const struct sign_rule *r, struct json code)
{
    int64_t n = 0, want = 0;
    struct span text;
    bool number = json_int(code, &n) || (json_text(code, &text) && span_int(text, &n));
    for (size_t i = 0; i < r->code_count && number; i++)
        if (span_int(r->codes[i], &want) && want == n)
            return true;
    return r->code_count == 0;
}

struct span signs_header(struct json headers, struct span name)
{
    struct span value;
    for (struct json_iter i = json_each(headers); name.n && json_next(&i);)
        if (span_eq_nocase(i.key, name) && json_text(i.value, &value))
            return value;
    return SPAN_NONE;
}

static struct sign sign_of(const struct sign_rule *r)
{
    return (struct sign){.is = r->is, .why = r->why, .state = r->state, .says = r->says};
}

void signs_read_one(struct form *f, const struct ynode *map, const char *key, struct sign *out)
{
    struct sign_rule r = {0};
    const struct ynode *n = form_map(f, map, key, false);
    if (!n)
        return;
    read_rule(f, n, &r);
    *out = sign_of(&r);
}

struct sign signs_errors(const struct signs *s, struct json root, int64_t remaining)
{
    struct sign first = {.is = FAILURE_NONE};
    for (struct json_iter i = json_each(json_get(root, s->errors)); json_next(&i);) {
        struct json code = paths_get(&s->code, i.value);
        struct span message = SPAN_NONE;
        char room[NORMAL_BYTES];
        if (!json_text(paths_get(&s->message, i.value), &message))
            message = SPAN("the site sent an error without words");
        struct span words = normal(message, room);
        for (size_t k = 0; k < s->error_rules.count; k++) {
            const struct sign_rule *r = &s->error_rules.rule[k];
            if (!has_code(r, code) || !has_words(r, words))
                continue;
            bool other = r->quota_left != FAILURE_NONE && remaining > 0;
            struct sign sign = sign_of(r);
            sign.is = other ? r->quota_left : r->is;
            sign.why = other ? r->quota_left_why : r->why.p ? r->why : message;
            return sign;
        }
        if (first.is == FAILURE_NONE)
            first = (struct sign){.is = s->error_rules.otherwise, .why = message};
    }
    return first;
}

static enum body_shape shape_of(struct span body)
{
    struct span b = span_trim(body);
    if (b.n == 0)
        return BODY_EMPTY;
    return b.p[0] == '<' ? BODY_HTML : BODY_ANY;
}

struct sign signs_answer_by(const struct sign_table *t, int status, struct json headers,
                            struct span body)
{
    char room[NORMAL_BYTES];
    for (size_t i = 0; i < t->count; i++) {
        const struct sign_rule *r = &t->rule[i];
        if (r->status_from && (status < r->status_from || status > r->status_to))
            continue;
        if (r->body != BODY_ANY && r->body != shape_of(body))
            continue;
        if (r->header.n) {
            struct span value = signs_header(headers, r->header);
            if (!value.p || (r->header_has.n && span_find(normal(value, room), r->header_has) ==
                                                    normal(value, room).n))
                continue;
        }
        if (r->has_count && !has_words(r, normal(body, room)))
            continue;
        return sign_of(r);
    }
    return (struct sign){.is = t->otherwise};
}

struct sign signs_answer(const struct signs *s, int status, struct json headers,
                         struct span body)
{
    return signs_answer_by(&s->answers, status, headers, body);
}

static struct span path_of_url(struct span url)
{
    size_t scheme = span_find(url, SPAN("://"));
    struct span rest = scheme < url.n ? span_cut(url, scheme + 3, url.n) : url;
    return span_cut(rest, span_find_char(rest, '/'), rest.n);
}

struct sign signs_words(const struct signs *s, struct span state_text)
{
    char room[NORMAL_BYTES];
    struct span words = normal(state_text, room);
    for (size_t i = 0; i < s->states.count && words.n; i++)
        if (has_words(&s->states.rule[i], words))
            return sign_of(&s->states.rule[i]);
    return (struct sign){.is = FAILURE_NONE};
}

struct sign signs_page(const struct signs *s, struct span url, int status,
                       struct span state_text)
{
    struct span path = path_of_url(url);
    for (size_t i = 0; i < s->pages.count; i++)
        if (span_starts(path, s->pages.rule[i].path))
            return sign_of(&s->pages.rule[i]);
    struct sign said = signs_words(s, state_text);
    if (said.is != FAILURE_NONE || said.state.n)
        return said;
    for (size_t i = 0; i < s->answers.count && status >= 300; i++) {
        const struct sign_rule *r = &s->answers.rule[i];
        if (r->body == BODY_ANY && !r->header.n && !r->has_count && status >= r->status_from &&
            status <= r->status_to)
            return sign_of(r);
    }
    return (struct sign){.is = FAILURE_NONE};
}

/* ---- objects in place of records ---- */

struct span signs_text_state(const struct signs *s, struct span words)
{
    char room[NORMAL_BYTES];
    struct span text = normal(words, room);
    for (size_t i = 0; i < s->text_count; i++)
        if (has_words(&s->texts[i], text))
            return s->texts[i].why;
    return SPAN("unknown");
}

static struct span reason_state(const struct signs *s, struct span reason)
{
    for (size_t i = 0; i < s->reason_count; i++)
        if (span_eq(s->reasons[i].from, reason))
            return s->reasons[i].to;
    return SPAN_NONE;
}

bool signs_absence(const struct signs *s, struct json object, struct absent *out)
{
    struct span type;
    if (!json_text(json_get(object, s->type), &type))
        return false;
    for (size_t i = 0; i < s->absence_count; i++) {
        const struct absence *a = &s->absences[i];
        struct span reason, text = SPAN_NONE, state = SPAN_NONE;
        struct json holder = paths_get(&a->empty, object);
        if (!span_eq(a->type, type) ||
            (a->empty.count && !(json_is(holder, JSON_OBJECT) && json_count(holder) == 0)))
            continue;
        bool has_text = json_text(paths_get(&a->text, object), &text);
        if (json_text(paths_get(&a->reason, object), &reason)) {
            state = reason_state(s, reason);
            text = has_text ? text : reason;
        } else if (has_text) {
            state = signs_text_state(s, text);
        }
        *out = (struct absent){.state = state.p ? state : a->state, .words = text};
        json_text(paths_get(&a->id, object), &out->id);
        return true;
    }
    return false;
}

struct sign signs_of_state(const struct signs *s, struct span state)
{
    for (size_t i = 0; i < s->class_count; i++)
        if (span_eq(s->classes[i].state, state))
            return (struct sign){
                .is = s->classes[i].is, .why = s->classes[i].why, .state = s->classes[i].state};
    return (struct sign){.is = FAILURE_NONE};
}

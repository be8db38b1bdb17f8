#include "store/ticket.h"

#include <limits.h>

#include "base/need.h"

enum member_type { MEMBER_TEXT, MEMBER_WIDE, MEMBER_INT, MEMBER_ENUM, MEMBER_YES };
struct member {
    const char *name;
    enum member_type type;
    size_t at;
    int64_t most;
};

/* An enum without negative values is an unsigned int to both compilers. */
#define TYPE_OF(m)                                                                             \
    _Generic(((struct accept_args *)0)->m, struct span                                         \
             : MEMBER_TEXT, int64_t                                                            \
             : MEMBER_WIDE, int                                                                \
             : MEMBER_INT, unsigned                                                            \
             : MEMBER_ENUM, bool                                                               \
             : MEMBER_YES)
#define MEMBER(m, most) {#m, TYPE_OF(m), offsetof(struct accept_args, m), most},
static const struct member members[] = {TICKET_TABLE(MEMBER)};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* Members are reached by memcpy: they have many types. */
static int64_t number_get(const struct member *m, const void *at)
{
    int64_t wide = 0;
    int narrow = 0;
    unsigned word = 0;
    bool yes = false;
    switch (m->type) {
    case MEMBER_WIDE:
        memcpy(&wide, at, sizeof wide);
        return wide;
    case MEMBER_INT:
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    case MEMBER_ENUM:
        memcpy(&word, at, sizeof word);
        return word;
    case MEMBER_YES:
        memcpy(&yes, at, sizeof yes);
        return yes;
    case MEMBER_TEXT:
        break;
    }
    bug("a text is no number");
}

static void number_set(const struct member *m, void *at, int64_t value)
{
    int narrow = (int)value;
    unsigned word = (unsigned)value;
    bool yes = value != 0;
    switch (m->type) {
    case MEMBER_WIDE:
        memcpy(at, &value, sizeof value);
        return;
    case MEMBER_INT:
        memcpy(at, &narrow, sizeof narrow);
        return;
    case MEMBER_ENUM:
        memcpy(at, &word, sizeof word);
        return;
    case MEMBER_YES:
        memcpy(at, &yes, sizeof yes);
        return;
    case MEMBER_TEXT:
        break;
    }
    bug("a text is no number");
}

static err write_text(const struct member *m, struct span text, struct json_w *w,
                      struct fault *f)
{
    if ((int64_t)text.n > m->most)
        return fail(f, E_TOO_BIG, "%s of a job is longer than %lld bytes", m->name,
                    (long long)m->most);
    if (text.n)
        json_kv_text(w, m->name, text);
    return E_OK;
}

static err write_member(const struct member *m, const struct accept_args *job, struct json_w *w,
                        struct fault *f)
{
    const char *at = (const char *)job + m->at;
    if (m->type == MEMBER_TEXT) {
        struct span text;
        memcpy(&text, at, sizeof text);
        return write_text(m, text, w, f);
    }
    int64_t value = number_get(m, at);
    if (value < 0 || value > m->most)
        return fail(f, E_TOO_BIG, "%s of a job is not between 0 and %lld", m->name,
                    (long long)m->most);
    if (m->type == MEMBER_YES && value)
        json_kv_bool(w, m->name, true);
    else if (value)
        json_kv_int(w, m->name, value);
    return E_OK;
}

err ticket_write(const struct accept_args *job, struct buf *out, struct fault *f)
{
    struct json_w w = json_w(out);
    struct span text;
    err e = E_OK;
    json_open(&w);
    for (size_t i = 0; i < MEMBERS && !e; i++)
        e = write_member(&members[i], job, &w, f);
    if (e)
        return e;
    json_close(&w);
    e = buf_end(out, &text);
    return e ? fail(f, e, "a job needs more than %zu bytes to be kept", out->max) : E_OK;
}

static err refuse(const struct member *m, struct fault *f)
{
    return fail(f, E_BAD_SYNTAX, "a kept job has a %s that this version cannot read", m->name);
}

static err read_member(const struct member *m, struct json value, struct arena *a,
                       struct accept_args *job, struct fault *f)
{
    char *at = (char *)job + m->at;
    struct span text;
    int64_t number = 0;
    bool yes = false;
    if (m->type == MEMBER_TEXT) {
        if (!json_text(value, &text) || (int64_t)text.n > m->most)
            return refuse(m, f);
        text = arena_keep(a, text);
        memcpy(at, &text, sizeof text);
        return text.p ? E_OK
                      : fail(f, E_TOO_BIG, "a kept job is longer than its reader has room for");
    }
    if (m->type == MEMBER_YES ? !json_bool(value, &yes) : !json_int(value, &number))
        return refuse(m, f);
    number = m->type == MEMBER_YES ? yes : number;
    if (number < 0 || number > m->most || (m->type != MEMBER_WIDE && number > INT_MAX))
        return refuse(m, f);
    number_set(m, at, number);
    return E_OK;
}

err ticket_read(struct span ticket, struct json_parser *parser, struct arena *a,
                struct accept_args *out, struct fault *f)
{
    struct accept_args job = {0};
    struct json root;
    err e = json_parse(parser, ticket, &root, f);
    if (e)
        return e;
    if (!json_is(root, JSON_OBJECT))
        return fail(f, E_BAD_SYNTAX, "a kept job is not an object");
    for (size_t i = 0; i < MEMBERS; i++) {
        struct json value = json_get(root, span_of(members[i].name));
        if (!json_is(value, JSON_NONE))
            e = read_member(&members[i], value, a, &job, f);
        if (e)
            return e;
    }
    *out = job;
    return E_OK;
}

err ticket_job(struct span ticket, wall now, struct arena *a, struct accept_args *out,
               struct fault *f)
{
    struct json_parser *parser = json_parser_new(TICKET_MAX);
    err e = ticket_read(ticket, parser, a, out, f);
    json_parser_free(&parser);
    if (e)
        return e;
    out->expires_ms += out->expires_ms ? now.ms : 0;
    out->deadline_ms += out->deadline_ms ? now.ms : 0;
    return E_OK;
}

#include "base/err.h"

#include "base/need.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct row {
    const char *name;
    enum err_class cls;
    int http;
    const char *text;
};

#define ROW(name, cls, http, text) {#name, cls, http, text},
static const struct row rows[] = {{"E_OK", ERR_NONE, 200, "ok"}, ERR_TABLE(ROW)};
#undef ROW
_Static_assert(sizeof rows / sizeof rows[0] == E_COUNT, "one row per error");

static const struct row *row_of(err e)
{
    need((unsigned)e < E_COUNT);
    return &rows[e];
}

enum err_class err_class(err e)
{
    return row_of(e)->cls;
}

int err_http(err e)
{
    return row_of(e)->http;
}

const char *err_name(err e)
{
    return row_of(e)->name;
}

const char *err_text(err e)
{
    return row_of(e)->text;
}

/* Words go into log lines and answers: one line, and no half of a character at the cut. */
static void tidy(char *words, size_t n)
{
    size_t head = n;
    while (head > 0 && ((unsigned char)words[head - 1] & 0xc0) == 0x80)
        head--;
    if (head > 0 && (unsigned char)words[head - 1] >= 0xc0) {
        unsigned char lead = (unsigned char)words[head - 1];
        size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (n - (head - 1) < whole)
            words[head - 1] = '\0';
    }
    for (; *words; words++)
        if ((unsigned char)*words < ' ' || *words == 0x7f)
            *words = ' ';
}

err fail(struct fault *f, err e, const char *fmt, ...)
{
    need(e != E_OK);
    if (!f || f->code != E_OK)
        return e;
    f->code = e;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(f->words, sizeof f->words, fmt, ap);
    va_end(ap);
    need(n >= 0);
    tidy(f->words, (size_t)n < sizeof f->words ? (size_t)n : sizeof f->words - 1);
    return e;
}

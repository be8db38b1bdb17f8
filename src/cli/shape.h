/* shape.h - JSON on its way out, in the form that -o names: text in, text out, no I/O.
 *
 * In comes what the API answers: a document, or several, one a line. Forms of rows (jsonl, csv, plain) take a list
 * apart into its "data". With an expression (--jq) out comes what it makes of each document, in forms of rows of
 * each row. */
#pragma once

#include "base/span.h"

enum shape_form {
    SHAPE_TABLE, /* for people; nobody shapes it */
    SHAPE_JSON,  /* as it came */
    SHAPE_JSONL, /* a row a line */
    SHAPE_CSV,   /* RFC 4180, with titles */
    SHAPE_PLAIN, /* columns between tabs, with titles; tab, line end and backslash as \t \n \r \\ */
    SHAPE_YAML,
    SHAPE_NONE, /* nothing */
};
const char *const *shape_names(void); /* in that order, NULL-terminated */
bool shape_parse(struct span name, enum shape_form *out_form);

struct shape;
/* expression, columns: may be NULL; columns are names of members with commas between them, for csv and plain:
 * else those of the first rows. E_BAD_INPUT: the expression cannot be read, in words. */
MUST_USE err shape_new(struct shape **out, enum shape_form form, const char *expression,
                       const char *columns, struct fault *f);
void shape_free(struct shape **s);
/* E_BAD_SYNTAX: no JSON. E_BAD_INPUT: the expression does not fit it. E_TOO_BIG. What was added before stays. */
MUST_USE err shape_add(struct shape *s, struct span text, struct buf *out, struct fault *f);
/* A cell of plain. */
void shape_add_plain(struct buf *out, struct span text);

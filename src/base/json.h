/* json.h - reading and writing JSON.
 *
 * Reader: simdjson's DOM (json.cc is the only C++ file) behind a value of two words. A document is
 * parsed once into a parser that keeps its memory for the next page; values are valid until the
 * next json_parse() on that parser. Depth is limited to 64. Integers above 2^53 keep their digits
 * (json_int), ids should travel as strings anyway; beyond 64 bits they become reals. A \u escape of
 * half a surrogate pair reads as U+FFFD. Member lookup is linear, in document order.
 *
 * Writer: straight lines into a bounded buf; commas and nesting are kept by the writer; invalid
 * UTF-8 is replaced by U+FFFD. */
#pragma once

#include "base/arena.h"
#include "base/span.h"

enum json_type {
    JSON_NONE,
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_REAL,
    JSON_TEXT,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_parser;
struct json {
    const void *doc; /* NULL = no value: every getter answers "not there" */
    size_t at;       /* position on the document's tape */
};
#define JSON_MISSING ((struct json){NULL, 0})

struct json_parser *json_parser_new(size_t max_bytes);
void json_parser_free(struct json_parser **p);
/* E_BAD_SYNTAX with the offset in words, E_TOO_BIG. The text may be freed afterwards. */
MUST_USE err json_parse(struct json_parser *p, struct span text, struct json *out_root,
                        struct fault *f);

enum json_type json_type(struct json v);
bool json_is(struct json v, enum json_type t);
/* Typed getters: false and *out untouched when the type is another. Text borrows from the parser. */
bool json_text(struct json v, struct span *out);
bool json_int(struct json v, int64_t *out); /* JSON_INT only; false when it does not fit */
bool json_real(struct json v, double *out); /* JSON_INT or JSON_REAL */
bool json_bool(struct json v, bool *out);
struct json json_get(struct json object, struct span key); /* JSON_MISSING when not there */
struct json json_at(struct json array, size_t index);
size_t json_count(struct json array_or_object);
/* Dotted path such as "data.user.result": members only. */
struct json json_path(struct json v, const char *path);

/* for (struct json_iter i = json_each(v); json_next(&i);) use i.key (objects), i.value */
struct json_iter {
    struct span key;
    struct json value;
    const void *doc;
    size_t at, end;
    bool object;
};
struct json_iter json_each(struct json array_or_object); /* other types: no turns */
bool json_next(struct json_iter *i);

/* First value, depth first, document order, whose key is `key` and whose type is `t`, anywhere at
 * or below v; JSON_MISSING when there is none. */
struct json json_find(struct json v, struct span key, enum json_type t);
/* The value written back as minified JSON text. */
void json_add_raw(struct buf *out, struct json v);

/* ---- writer ---- */
struct json_w {
    struct buf *out;
    uint64_t first; /* bit per level: nothing written yet */
    uint8_t depth;  /* at most 60; deeper is a bug of ours */
    bool after_key;
};
struct json_w json_w(struct buf *out);
void json_open(struct json_w *w);  /* { */
void json_close(struct json_w *w); /* } */
void json_open_array(struct json_w *w);
void json_close_array(struct json_w *w);
void json_key(struct json_w *w, const char *key);
void json_key_span(struct json_w *w, struct span key);
void json_put_text(struct json_w *w, struct span s);
void json_put_int(struct json_w *w, int64_t v);
void json_put_real(struct json_w *w, double v); /* NaN and infinities become null */
void json_put_bool(struct json_w *w, bool v);
void json_put_null(struct json_w *w);
void json_put_raw(struct json_w *w, struct span json); /* trusted JSON text as one value */
/* key and value in one call */
void json_kv_text(struct json_w *w, const char *key,
                  struct span s); /* s.p == NULL writes null */
void json_kv_cstr(struct json_w *w, const char *key, const char *s); /* NULL writes null */
void json_kv_int(struct json_w *w, const char *key, int64_t v);
void json_kv_given(struct json_w *w, const char *key, int64_t v); /* 0 writes nothing */
void json_kv_known(struct json_w *w, const char *key, bool known,
                   int64_t v); /* not known writes null */
void json_kv_bool(struct json_w *w, const char *key, bool v);
void json_kv_null(struct json_w *w, const char *key);
void json_add_string(struct buf *out, struct span s); /* one quoted, escaped string */

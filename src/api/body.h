/* body.h - a JSON body read member by member, everything that is wrong with it collected. Pure.
 *
 * Unknown members are 400 with the nearest known name; wrong values are 422; all of them are listed at
 * once, each with a JSON Pointer. `at` is the pointer of the object that is read, "" for the body
 * itself. Members that are missing or null leave what they are read into as it was. */
#pragma once

#include "base/json.h"
#include "base/when.h"
#include "wire/problem.h"

enum { ORDER_ERRORS_MAX = 16 };
struct order_refusal {
    int status;
    const char *code;
    struct span detail;
    struct problem_error errors[ORDER_ERRORS_MAX];
    size_t error_count;
};

struct body {
    struct order_refusal *refusal;
    struct arena *arena; /* texts of errors and values live in it */
};

__attribute__((format(printf, 4, 5))) void body_refuse(struct body *b, struct span pointer,
                                                       const char *code, const char *fmt, ...);
/* "/unique/key": at most 300 bytes of it. */
struct span body_pointer(struct body *b, const char *at, struct span key);
/* The name that was meant, else what is known. Takes at most 32 names. */
void body_refuse_name(struct body *b, struct span pointer, struct span wrong,
                      const char *const *names);

/* The body as an object with none but these members, each once; empty: an object without members where
 * `may_be_empty`. False: refused, 400. */
MUST_USE bool body_read(struct body *b, struct json_parser *parser, struct span text,
                        bool may_be_empty, const char *const *members, struct json *out_root);
/* The members of an object below the root; refuses others. */
void body_members(struct body *b, struct json object, const char *at,
                  const char *const *members);
/* Was anything refused? Then the whole is: 400 when a member is not known or there twice, wherever it
 * is, else 422. */
MUST_USE bool body_fine(struct body *b);

/* A member that is there and not null. */
bool body_given(struct json object, const char *key, struct json *out);
void body_number(struct body *b, struct json object, const char *at, const char *key,
                 int64_t min, int64_t max, int64_t *value);
void body_flag(struct body *b, struct json object, const char *at, const char *key,
               bool *value);
/* Between 1 and `most` bytes. */
void body_text(struct body *b, struct json object, const char *at, const char *key, size_t most,
               struct span *value);
bool body_time(struct body *b, struct json object, const char *at, const char *key,
               wall *value);
/* Name of a failure class. */
void body_failure(struct body *b, struct json object, const char *at, const char *key,
                  int *value);
/* A number; null is `of_null`. */
void body_setting(struct body *b, struct json object, const char *at, const char *key,
                  int64_t min, int64_t max, int64_t of_null, int64_t *value);
/* A list of one text or more; false when it is not given, or was refused. */
bool body_texts(struct body *b, struct json object, const char *at, const char *key,
                const char *example, struct json *out);
/* One of the names; its place in the list. */
bool body_choice(struct body *b, struct json object, const char *at, const char *key,
                 const char *const *names, int *value);

/* signs.h - how a login wall, a limit, a missing or suspended account look: tables of the pack
 * that turn what the site says into a failure class. Pure. */
#pragma once

#include "base/json.h"
#include "core/failure.h"
#include "extract/form.h"

enum { SIGNS_PATHS_MAX = 16 };

/* Dotted member paths, tried in order. */
struct paths {
    size_t count;
    const char *path[SIGNS_PATHS_MAX];
};
/* The first value that is there and not null. */
struct json paths_get(const struct paths *p, struct json v);
void paths_read(struct form *f, const struct ynode *map, const char *key, bool need,
                struct paths *out);

enum body_shape { BODY_ANY, BODY_EMPTY, BODY_HTML };
/* What a page says of itself that is no failure. */
enum sign_says {
    SAYS_NOTHING,
    SAYS_EMPTY, /* there is nothing here, on the word of the site */
    SAYS_END,   /* the list ends here */
    SAYS_WAIT,  /* it is still loading */
    SAYS_RENEW, /* with a failure: the page's token is used up, and the page opened anew has another */
};
struct sign_rule {
    int status_from, status_to; /* 0: any */
    const struct span *codes;   /* decimal texts */
    size_t code_count;
    const struct span *has; /* lower-case words, one of which is in the text */
    size_t has_count;
    struct span header, header_has; /* header's name in lower case; empty: any */
    struct span path;               /* start of a page URL's path */
    enum body_shape body;
    struct span state; /* the word for it: "suspended", "search_empty", ... */
    enum sign_says says;
    enum failure_class is;         /* FAILURE_NONE only where it says something */
    enum failure_class quota_left; /* instead of `is` while requests remain; FAILURE_NONE: no */
    struct span why, quota_left_why;
};
struct sign_table {
    const struct sign_rule *rule;
    size_t count;
    enum failure_class otherwise;
};

struct absence { /* one type of object that stands where a record should be */
    struct span type, state;
    struct paths reason, text;
    struct paths empty; /* only when this is an object without members */
    struct paths id;    /* what it would be called if it were there; may be nothing */
};
struct word_pair {
    struct span from, to;
};
struct signs {
    struct span header_reset, header_remaining, header_retry_after;
    struct span errors; /* member of the answer's root: list of errors */
    struct paths code, message;
    struct sign_table error_rules, answers, pages, states;
    struct span type; /* member that names an object's type */
    const struct absence *absences;
    size_t absence_count;
    const struct word_pair *reasons; /* word of the site -> state */
    size_t reason_count;
    const struct sign_rule *texts; /* has -> state in `why` */
    size_t text_count;
    struct {
        struct span state;
        enum failure_class is;
        struct span why;
    } classes[32];
    size_t class_count;
};

void signs_read(struct form *f, const struct ynode *root, struct signs *out);
/* One table {rules, otherwise} below a key; a missing one stays empty unless needed. */
void signs_read_table(struct form *f, const struct ynode *map, const char *key, bool need,
                      struct sign_table *out);

/* What a sign says. */
struct sign {
    enum failure_class is; /* FAILURE_NONE: nothing matched, or it only says something */
    struct span why;       /* the pack's words, else the site's */
    struct span state;     /* the pack's word for it; may be empty */
    enum sign_says says;
};
/* One sign {is, why, state, says} below a key; a missing one stays empty. */
void signs_read_one(struct form *f, const struct ynode *map, const char *key, struct sign *out);
/* The error list of an answer; remaining: requests left in the window, -1 unknown. */
struct sign signs_errors(const struct signs *s, struct json root, int64_t remaining);
/* The answer as such: status, headers (may be JSON_MISSING), body. */
struct sign signs_answer(const struct signs *s, int status, struct json headers,
                         struct span body);
/* The same by the table of another source. */
struct sign signs_answer_by(const struct sign_table *t, int status, struct json headers,
                            struct span body);
/* What a page says in place of records, by the table `states`. */
struct sign signs_words(const struct signs *s, struct span words);
struct sign signs_page(const struct signs *s, struct span url, int status,
                       struct span state_text);
/* Value of a header by lower-case name; SPAN_NONE when missing. */
struct span signs_header(struct json headers, struct span name);
struct absent {
    struct span state, words, id; /* id may be empty */
};
/* What stands in place of a record: false when the object is of no such type. */
bool signs_absence(const struct signs *s, struct json object, struct absent *out);
/* The same for a text alone ("This Post is from a suspended account."). */
struct span signs_text_state(const struct signs *s, struct span words);
struct sign signs_of_state(const struct signs *s, struct span state);

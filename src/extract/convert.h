/* convert.h - one JSON value, or one text of a document, to one value of a record. Pure; nothing
 * here knows a site. */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "base/when.h"
#include "extract/html.h"

/* Each row: constant, name in a map file, what it does. */
#define CONVERSIONS(X)                                                                           \
    X(CONV_TEXT, "text")     /* text as it is */                                                 \
    X(CONV_ID, "id")         /* digits, from text or a whole number; written as text */          \
    X(CONV_INT, "int")       /* whole number, also written as text */                            \
    X(CONV_COUNT, "count")   /* the same, never negative */                                      \
    X(CONV_BOOL, "bool")     /* true or false, also "true" and "false" */                        \
    X(CONV_TIME_X, "time_x") /* "Wed Jul 08 21:59:10 +0000 2026" */                              \
    X(CONV_TIME_RFC3339, "time_rfc3339") /* "2026-07-08T21:59:10Z" */                            \
    X(CONV_TIME_MS, "time_ms")           /* Unix milliseconds, number or text */                 \
    X(CONV_SNOWFLAKE_MS,                                                                         \
      "snowflake_ms")            /* the milliseconds inside an id; none before 2010-11 */        \
    X(CONV_UNESCAPE, "unescape") /* text with HTML entities decoded */                           \
    X(CONV_ENUM, "enum")         /* by the field's table */                                      \
    X(CONV_BEST, "best")         /* of a list: the member of the element ranked highest */       \
    X(CONV_ANCHOR_TEXT, "anchor_text") /* the words between <a ...> and </a> */                  \
    X(CONV_FILE_STEM, "file_stem")     /* of a URL: last path segment, without its ending */     \
    X(CONV_URL_AS_FORMAT, "url_as_format") /* .../KEY.jpg to .../KEY?format=jpg + argument */    \
    X(CONV_AFTER_COLON, "after_colon")     /* without a leading "digits:" */                     \
    X(CONV_TEXT_MEMBER,                                                                          \
      "text_member") /* of JSON in a text: the text of the first member named by the argument */ \
    X(CONV_WITHOUT, "without")     /* text without the first occurrence of the argument */       \
    X(CONV_NOT_EMPTY, "not_empty") /* text; the empty text counts as missing */                  \
    X(CONV_SNOWFLAKE_TIME, "snowflake_time") /* the second inside an id */                       \
    X(CONV_TIME_FORMAT, "time_format")       /* by the argument, see format.h */                 \
    X(CONV_COUNT_TEXT, "count_text")   /* "1,234 votes": whole number at the start, or none */   \
    X(CONV_COUNT_SHORT, "count_short") /* the same, also "8.7K" and "1.2M" */                    \
    X(CONV_COUNT_LABEL, "count_label") /* of "3 replies, 25 reposts": the number of a word */    \
    X(CONV_PERCENT, "percent")         /* "69.8%" */                                             \
    X(CONV_DIGITS_AFTER, "digits_after") /* the digits behind the argument */                    \
    X(CONV_UNPROXY, "unproxy")           /* a URL from the path of a proxy for images */         \
    X(CONV_FORMAT_AS_ENDING, "format_as_ending") /* .../KEY?format=jpg&... to .../KEY.jpg */     \
    X(CONV_HTML_TEXT, "html_text")               /* HTML in a text: what a person reads */       \
    X(CONV_REAL, "real")                         /* a number with or without a point */          \
    X(CONV_TRIM, "trim")           /* text without white space around; none when empty */        \
    X(CONV_WHOLE_URL, "whole_url") /* http or https; of an element: by xml:base and its page */

enum conversion {
#define CONV_ENUMERATE(id, name) id,
    CONVERSIONS(CONV_ENUMERATE)
#undef CONV_ENUMERATE
        CONV_COUNT_OF
};
const char *const *convert_names(void); /* NULL-terminated, in enum order */

struct conv_row {
    struct span from, to; /* to.p == NULL: null */
};
struct conv_table {
    const struct conv_row *rows;
    size_t count;
    bool as_bool; /* "true" and "false" in the table are truth values */
};

/* What a conversion may need beside the value. */
struct conv_extra {
    /* without, text_member, url_as_format, time_format, digits_after, unproxy; snowflakes: the id stands
     * behind these words */
    struct span argument;
    const struct conv_table *table;        /* enum */
    struct span take, rank, where, equals; /* best */
    /* count_label: the words that name this number, and all words of the label. A part with a word
     * that is none of `among` is a label we cannot read; a word that is not there counts `absent`.
     */
    const struct span *words, *among;
    size_t word_count, among_count;
    int64_t absent; /* -1: none */
    /* unproxy: beginnings of the path that go, '*' standing for one segment; what is left is
     * percent-decoded, or base64 after one of strip64. Left without a scheme it gets https:// when it
     * starts with one of `hosts`, else the argument in front. */
    const struct span *strip, *strip64, *hosts;
    size_t strip_count, strip64_count, host_count;
    bool without_query; /* unproxy */
    bool stem;          /* unproxy, format_as_ending: of what comes out, file_stem */
    /* The text is HTML, and what a person reads in this place of it is converted. */
    const struct html_path *below;
};

enum value_kind { VALUE_NONE, VALUE_TEXT, VALUE_INT, VALUE_BOOL, VALUE_REAL };
struct value {
    enum value_kind kind;
    struct span text;
    int64_t number; /* VALUE_INT; VALUE_BOOL: 0 or 1 */
    double real;    /* VALUE_REAL */
};
#define NO_VALUE ((struct value){.kind = VALUE_NONE})

/* VALUE_NONE when the value is missing, null or cannot be converted. Text borrows from the
 * document, the pack or `scratch`. */
struct value convert(enum conversion as, const struct conv_extra *extra, struct json v,
                     struct arena *scratch);
/* The same for a text that was found in a document. */
struct value convert_text(enum conversion as, const struct conv_extra *extra, struct span s,
                          struct arena *scratch);
/* The time inside a snowflake id; false for ids that are plain counters (before November 2010).
 */
bool convert_snowflake(struct span id, wall *out_time);

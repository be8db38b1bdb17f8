/* check.h - what one record says twice, and whether both agree. Pure rules: a text and another text
 * in, ok, fail or not applicable out. Which values are compared is said by the pack (`checks` of a
 * map); what a failure means is said here, with the reason.
 *
 * Hard: the record would say something false of somebody. It is kept apart, with its source, and never
 * among the results. Soft: the record stands, and its quality says which check failed. */
#pragma once

#include "base/arena.h"
#include "base/when.h"

enum check_weight { CHECK_SOFT, CHECK_HARD };
enum check_rule {
    RULE_GIVEN, /* known where it is read: order of the list, whose page it is, links of a text */
    RULE_SNOWFLAKE,  /* the second inside an id is that of a time */
    RULE_SUFFIX,     /* a text ends in another */
    RULE_BEGINS,     /* a text begins with one of the words of another */
    RULE_AT_MOST,    /* an id is not larger than another */
    RULE_BELOW,      /* an id is smaller than another */
    RULE_FIRST8,     /* base64: its first eight bytes are an id */
    RULE_BASE64_ID,  /* base64 of the argument and an id */
    RULE_NOT_BEFORE, /* the time inside an id is not before that inside another */
    RULE_PASSED_ON, /* a text that begins with the argument was never passed on: against is 0 */
};

/*  X(id, "name in records and packs", rule, weight, "p"osts and "u"sers it is for, "why this weight") */
#define CHECKS(X)                                                                                 \
    X(CHECK_ID_TIME, "id_time", RULE_SNOWFLAKE, CHECK_HARD, "p",                                  \
      "id and time are one number told twice: when they differ, the parts are of two posts")      \
    X(CHECK_MEDIA_KEY, "media_key", RULE_SUFFIX, CHECK_HARD, "p",                                 \
      "the key of a file names the file: when it does not, the files are another post's")         \
    X(CHECK_USER_NODE, "user_node", RULE_BASE64_ID, CHECK_HARD, "pu",                             \
      "one account told twice: when they differ, nobody can say whose the record is")             \
    X(CHECK_CONVERSATION, "conversation", RULE_AT_MOST, CHECK_HARD, "p",                          \
      "written once, when the post is: a conversation cannot begin after its posts")              \
    X(CHECK_REPLY, "reply", RULE_BELOW, CHECK_HARD, "p",                                          \
      "written once, when the post is: nobody answers what is not there yet")                     \
    X(CHECK_AUTHOR, "author", RULE_GIVEN, CHECK_HARD, "p",                                        \
      "an account's own list: another account's post there is not this account's")                \
    X(CHECK_ORIGINAL, "original", RULE_PASSED_ON, CHECK_HARD, "p",                                \
      "the cut copy that a repost carries is not what anybody wrote: its original was not found") \
    X(CHECK_LINKS, "links", RULE_GIVEN, CHECK_HARD, "p",                                          \
      "the site puts each link and file of a text into a list: one that is in none was not read") \
    X(CHECK_QUOTED, "quoted", RULE_BELOW, CHECK_SOFT, "p",                                        \
      "an edit gives the quoted post a new id, which may be the larger one")                      \
    X(CHECK_REPOSTED, "reposted", RULE_BELOW, CHECK_SOFT, "p",                                    \
      "an edit gives the original a new id, which may be the larger one")                         \
    X(CHECK_EDITS, "edits", RULE_AT_MOST, CHECK_SOFT, "p",                                        \
      "an older version names newer ones; only the list of versions would be wrong")              \
    X(CHECK_MEDIA_TYPE, "media_type", RULE_BEGINS, CHECK_SOFT, "p",                               \
      "a new kind of file may bring a new prefix")                                                \
    X(CHECK_MEDIA_FILE, "media_file", RULE_FIRST8, CHECK_HARD, "p",                               \
      "a photo's name holds its id: when it does not, the picture is another one's")              \
    X(CHECK_MEDIA_TIME, "media_time", RULE_NOT_BEFORE, CHECK_SOFT, "p",                           \
      "only the file's own age would be wrong")                                                   \
    X(CHECK_ORDER, "order", RULE_GIVEN, CHECK_HARD, "p",                                          \
      "the site sorts the list itself: what stands in the wrong place does not belong there")     \
    X(CHECK_TIMES, "times", RULE_GIVEN, CHECK_SOFT, "p",                                          \
      "a time is that of whoever wrote the post; no end by date is concluded")

enum check_id {
#define CHECK_ENUMERATE(id, name, rule, weight, of, why) id,
    CHECKS(CHECK_ENUMERATE)
#undef CHECK_ENUMERATE
        CHECK_COUNT
};
struct check_row {
    const char *name;
    enum check_rule rule;
    enum check_weight weight;
    const char *of, *why;
};
const struct check_row *check_row(enum check_id id);
const char *const *check_names(void); /* NULL-terminated, in enum order */

enum check_result { CHECK_NA, CHECK_OK, CHECK_FAIL };
const char *check_result_name(enum check_result r);

/* One rule over two texts; `argument` as the rule says. CHECK_NA when one of them is missing or of a
 * kind that the rule says nothing about: ids from before November 2010, keys that are not base64. */
struct check_input {
    struct span of, against, argument;
    int64_t within_s; /* RULE_SNOWFLAKE: seconds between them that are fine */
};
enum check_result check_apply(enum check_rule rule, const struct check_input *in);
/* The snowflake rule with a time that is already read. */
enum check_result check_snowflake(struct span id, wall said, int64_t within_s);

/* The results of one record. */
struct check_sheet {
    enum check_result result[CHECK_COUNT];
};
/* A failure stays, an agreement covers what did not apply. */
void check_note(struct check_sheet *s, enum check_id id, enum check_result r);
/* The first hard check that failed; CHECK_COUNT when none did. */
enum check_id check_hard_failure(const struct check_sheet *s);
/* Checks that held, in percent of those that could be made; -1 when none could. */
int check_score(const struct check_sheet *s);

/* reader.h - turning one answer into records: of the page's own API (reader_answer), or of any other
 * source that the pack names (reader_document).
 *
 * A reader keeps its JSON parser and its counters from answer to answer; one reader serves one
 * thread. Everything that a reading points to lives in the arena given to reader_answer().
 *
 * An answer that cannot be used is not an error of reader_answer(): it is a reading with a
 * sign. Data and errors may come together; then the data is kept, sign stays FAILURE_NONE and
 * `why` has the words. */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "base/when.h"
#include "core/failure.h"
#include "extract/pack.h"
#include "extract/plan.h"

enum record_kind {
    RECORD_POST,
    RECORD_USER,
    RECORD_UNAVAILABLE,
    RECORD_REJECTED, /* failed a hard check (check.h): kept apart, with what was read and its source */
    RECORD_CONFLICT, /* two readings of one record disagree: made by who sees both, see merge.h */
};
enum record_section {
    SECTION_TIMELINE,
    SECTION_PINNED,
    SECTION_REPLY,
    SECTION_RELATED, /* "discover more": shown, but not part of what was asked for */
    SECTION_MAIN,    /* the answer is this one record */
    SECTION_THREAD,  /* part of the thread around it, before or after */
};

struct record {
    enum record_kind kind;
    enum record_section section;
    struct span id; /* digits; of a user whose source names no ids "@handle"; may be empty for
                              RECORD_UNAVAILABLE */
    struct span author_id; /* posts: whose it is (the reposter's for a repost); may be empty */
    struct span reply_to;  /* posts: id of the post it answers; empty when it answers none */
    struct span place; /* RECORD_UNAVAILABLE: name of the entry it stands in; may be empty */
    wall created_at;   /* posts and users; 0 when unknown */
    struct span json;  /* the normalised record, one line */
    bool pinned;
    bool repost;
    /* of a repost: what the map's role `repost` says: the original's id, or who passed it
     * on; may be empty */
    struct span passed_on;
};

/* The line of a record without a field that the order requires, as of one that failed a check: v is its JSON, read. In
 * the arena; .p NULL when it does not fit. */
struct span record_incomplete(const struct record *r, struct json v, struct span field,
                              struct arena *a);

struct reading {
    struct record *records; /* in page order, every id once */
    size_t count;
    struct span cursor;      /* for the next page; empty when there is none */
    const struct span *more; /* cursors of what is folded: more answers, more of one branch */
    size_t more_count;
    bool terminated; /* the source said: this is the end */
    /* What was on the page. entries: timeline entries and module items that hold a post (or, in
     * a list of users, a user), promoted ones included; rejected: records that failed a hard check; unparsed:
     * entries that should be a record and could not be read; users: user records. */
    size_t entries, posts, promoted, unavailable, unparsed, rejected, repeated, users;
    size_t fallbacks; /* fields read from another than the first path */
    size_t disorder;  /* posts out of the order that the operation promises */
    enum failure_class sign;
    struct span why;   /* one sentence for a person; empty when there is nothing to say */
    struct span state; /* the pack's word for what the page says of itself: "suspended",
                           "search_empty", "loading", ...; empty when it says nothing */
    bool says_empty;   /* the site itself says that there is nothing */
    bool loading;      /* the page had not finished */
    /* with a sign: the page's token is used up, the page opened anew has another */
    bool renews;
    /* what the first record that cannot be seen would mean, were it all there is */
    enum failure_class gone;
    struct span gone_why;
    int64_t reset_at_s; /* Unix seconds: when the rate limit opens again; 0 unknown */
    int64_t remaining;  /* requests left in this window; -1 unknown */
    /* Facts about the target, from OP_USER. */
    bool user_protected, user_suspended;
    /* what it is when the account's list stays empty; FAILURE_NONE: not known */
    enum failure_class user_shut;
    struct span user_shut_why;                                      /* borrows from the pack */
    int64_t user_posts, user_media, user_followers, user_following; /* -1 unknown */
    struct span user_id;
};

struct reader;

/* The pack must outlive the reader. max_body: largest answer read, in bytes. Never NULL. */
enum {
    READER_CURSOR_MAX = 8192
}; /* a longer one is none: the answer has a shape we do not know */
struct reader *reader_new(const struct pack *p, size_t max_body);
void reader_free(struct reader **r);

/* The answers that follow are a thread about this post (digits, borrowed): it is the main record, plain
 * posts before it are the thread above, others are replies; when it is not there, that is the sign
 * of the answer. Empty: lists again. */
void reader_focus(struct reader *r, struct span post_id);

/* headers_json: the headers object of the DevTools response as text, may be empty. collected_at
 * goes into the records. E_TOO_BIG (body over max_body), E_NO_MEMORY (arena full). */
MUST_USE err reader_answer(struct reader *r, const struct operation *op, int http_status,
                           struct span headers_json, struct span body, wall collected_at,
                           struct arena *a, struct reading *out, struct fault *f);

/* The same for a source of the pack's section `sources`, by its name: HTML, XML or plain JSON.
 * Records are as those of reader_answer(), with what that source can know; where a page tells whose
 * it is, that account comes as a user record. E_NOT_FOUND when the pack has no such source. */
MUST_USE err reader_document(struct reader *r, struct span source_name, int http_status,
                             struct span headers_json, struct span body, wall collected_at,
                             struct arena *a, struct reading *out, struct fault *f);

/* Where the documents from now on were got: links in them are made whole by it. Borrowed until the next
 * call; empty: not known. */
void reader_page_url(struct reader *r, struct span url);

/* What a page says of itself, beside any answer: by its final URL (login redirect, locked account),
 * the status of its document (0 unknown) and the words that the "state" expression returned (may be
 * empty). Everything is empty when there is nothing to see. */
struct page_sign {
    enum failure_class is;
    struct span why, state;   /* borrow from the pack */
    bool says_empty, loading; /* as in struct reading */
};
struct page_sign reader_page_sign(const struct pack *p, struct span page_url, int http_status,
                                  struct span state_text);

/* The account whose own list is read: an entry of the list by another, that is no repost, fails the check
 * `author`. Empty: any may come. Forgotten by reader_forget(). */
void reader_expect_author(struct reader *r, struct span id);
/* The same for sources that name authors by their handles: a post of the list that is by another, and neither a
 * repost nor part of a thread, fails the check. Borrowed. Empty: any may come. */
void reader_expect_handle(struct reader *r, struct span handle);
/* Whether the list is in the order that its operation promises, or was asked for by rank. Expected after
 * reader_forget(). */
void reader_expect_order(struct reader *r, bool expected);

/* How often each field came from which of its paths, since reader_new() or reader_forget():
 * drift shows here before data is lost. */
enum { FIELD_PATHS_MAX = 20 };
struct field_hits {
    struct span map, field; /* "post", "author.name" */
    /* per path, in the pack's order; the last one takes the rest */
    uint64_t hits[FIELD_PATHS_MAX];
    uint64_t missing;
    size_t paths;
};
/* What was counted since the last call, as text of core/drift.h: the pack's version, fields, and members
 * that no map knows. Nothing counted: nothing is added. */
void reader_counts(struct reader *r, struct buf *out);
/* Borrowed from the reader, valid until reader_free(). */
size_t reader_fields(const struct reader *r, const struct field_hits **out_fields);
void reader_forget(struct reader *r); /* a new job begins: counters, page numbers, the author */

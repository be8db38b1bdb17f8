/* model.h - the world of the practice site: accounts and posts, computed from a seed.
 *
 * Nothing is stored. Post `index` of any account (0 = newest) is a pure function of seed,
 * account and index, so a server, a command line and a test that share a seed agree on every
 * post.
 *
 * Promises: ids are snowflakes that agree with created_at; a timeline descends strictly in
 * time; originals of reposts, quoted posts and answered posts are older than the post that
 * refers to them, and are real posts of their own author's timeline. What is not promised:
 * posts found by a hashtag or by words live in the search only, like replies that a profile
 * does not show.
 *
 * All text lives in the arena that the caller passes; nothing here keeps state. */
#pragma once

#include "base/arena.h"
#include "base/when.h"

#include <stdatomic.h>

/* How user objects look: three generations of the web app's answers. */
enum layout { LAYOUT_L1, LAYOUT_L2, LAYOUT_L3, LAYOUT_MIXED };

struct model {
    uint64_t seed;
    enum layout layout;
    /* So many of the newest posts of accounts named growing_N are not there yet; less of it, and
     * they have been written. Set while others read. */
    _Atomic uint32_t held;
};

enum account_state { ACCOUNT_OPEN, ACCOUNT_PROTECTED, ACCOUNT_SUSPENDED };
enum account_class { CLASS_NUMBERED, CLASS_COUNTED, CLASS_NAMED, CLASS_SHUT };
enum timeline_end {
    END_REPEATS,        /* pages with only cursors, for ever */
    END_SAID_ALONE,     /* a terminate instruction on a page without posts */
    END_SAID_WITH_LAST, /* a terminate instruction beside the last posts */
};
/* Handles that break in one way each; fault_none for all others. */
enum account_fault {
    AFAULT_NONE,
    AFAULT_LOOP,
    AFAULT_CRASH,
    AFAULT_MEMORY,
    AFAULT_NEVER,
    AFAULT_HANG,
    AFAULT_CUT,
    AFAULT_5XX,
    AFAULT_DRIFT,
    AFAULT_EMPTY,
    AFAULT_LOGIN,
    AFAULT_429,
    AFAULT_ALERT,
    AFAULT_REDIRECT,
    AFAULT_EVENT,
    AFAULT_CURSOR,
};

/* A descending row of posts: where the times and ids of a timeline or a search come from. */
struct stream {
    uint64_t key;
    /* step > 0: post i lies in (newest-(i+1)*step, newest-i*step] */
    int64_t newest_ms, step_ms;
    uint32_t count;
    /* Ids of an account's own posts name the account in their low bits, so that a post is found by its
     * id alone; those of other streams do not. */
    bool owned;
    uint32_t owner;
};

struct account {
    char handle[16];
    uint64_t id;
    int64_t created_ms;
    struct stream posts;
    uint32_t first; /* index of the newest post that is there: 0 but for growing_N */
    int32_t pinned; /* index of the pinned post, -1 when there is none */
    enum account_state state;
    enum account_class class;
    enum account_fault fault;
    enum timeline_end end;
    enum layout layout;
};

/* The parts of an account that only a profile shows. Spans live in the arena. */
struct profile {
    struct span description, location, website_tco, website, website_shown;
    struct span avatar, banner;          /* banner.p == NULL: none */
    struct span category, verified_type; /* .p == NULL: none */
    int64_t followers, following, media, likes, listed;
    bool blue;
};

enum post_kind { POST_PLAIN, POST_REPLY, POST_QUOTE, POST_REPOST };
enum media_type { MEDIA_PHOTO, MEDIA_VIDEO, MEDIA_GIF };
enum card_type { CARD_NONE, CARD_LINK, CARD_POLL };
enum {
    URLS_MAX = 3,
    TAGS_MAX = 4,
    MENTIONS_MAX = 4,
    MEDIA_MAX = 4,
    VARIANTS_MAX = 4,
    CHOICES_MAX = 4
};

/* start and end are code points in the text they belong to (see struct words). */
struct url_entity {
    struct span url, expanded, display;
    uint32_t start, end;
};
struct tag_entity {
    struct span text; /* without its sign */
    uint32_t start, end;
};
struct mention_entity {
    uint64_t id;
    struct span handle, name;
    uint32_t start, end;
};
/* One rendering of a post's text as it is sent, with its entities. */
struct words {
    struct span text;
    struct url_entity urls[URLS_MAX];
    struct tag_entity hashtags[TAGS_MAX], cashtags[TAGS_MAX];
    struct mention_entity mentions[MENTIONS_MAX];
    size_t url_count, hashtag_count, cashtag_count, mention_count;
    uint32_t length;                 /* code points */
    uint32_t shown_from, shown_to;   /* display_text_range */
    uint32_t media_start, media_end; /* where the media link stands; equal when there is none */
};
struct variant {
    struct span url;
    int64_t bitrate; /* -1: a playlist, which has none */
};
struct media {
    uint64_t id;
    enum media_type type;
    struct span key; /* file name part */
    struct span url; /* media_url_https: the photo, or the poster of a video */
    struct span alt; /* .p == NULL: none */
    struct variant variants[VARIANTS_MAX];
    size_t variant_count;
    int64_t duration_ms; /* -1: not said */
    int32_t width, height, aspect_w, aspect_h;
};
struct card {
    enum card_type type;
    struct span title, description, url, domain;
    struct span choice[CHOICES_MAX];
    int64_t votes[CHOICES_MAX];
    size_t choice_count;
    int64_t ends_ms, duration_min;
    bool is_final;
};
struct post {
    struct account author;
    struct span author_name;
    uint64_t id;
    int64_t ms; /* Unix time */
    enum post_kind kind;
    bool is_long;      /* note: full text beside a cut copy */
    bool is_limited;   /* sent inside TweetWithVisibilityResults */
    struct words sent; /* legacy.full_text: HTML-escaped, of a long post the cut copy */
    struct words note; /* only of a long post: not escaped */
    struct span clean; /* what a reader should end up with */
    const char *lang;
    int64_t reply, repost, like, quote, bookmark, view; /* -1: not delivered */
    struct media media[MEDIA_MAX];
    size_t media_count;
    struct span media_link; /* the t.co of all media of the post */
    struct card card;
    uint64_t conversation_id;
    uint64_t reply_to_id, reply_to_user; /* 0: not a reply */
    struct span reply_to_handle;
    struct post *quoted, *reposted; /* depth 1 */
    struct span quote_link;         /* t.co of the permalink */
    const char *app;                /* name in the source anchor */
    int sensitive;                  /* -1 not said, 0, 1 */
    /* Parts that few posts have; an id of 0, .p == NULL: none. */
    uint64_t article_id, community_id;
    struct span article_title, article_preview, article_cover, community_name, readers_note;
};

enum search_filter { FILTER_ANY, FILTER_ONLY, FILTER_WITHOUT };
/* A search as understood. Operators: from: since: until: since_time: until_time: since_id:
 * max_id: lang: filter:replies filter:media (also with a minus); anything else is a word, a
 * #tag, a $SYM that every result contains. */
struct search {
    struct stream stream;
    bool from_account;
    struct account author; /* when from_account */
    struct span words[8];
    size_t word_count;
    struct span lang;
    enum search_filter replies, media;
    uint32_t first, past; /* indexes of the stream inside the asked time */
};

uint64_t model_mix(uint64_t seed, uint64_t a, uint64_t b);
/* URL-safe base 64 without padding; out takes 4 characters for every 3 bytes and the end. */
void model_base64url(const uint8_t *bytes, size_t n, char *out);

/* False when there is no such account. A suspended account is found; look at its state. */
bool model_account(const struct model *m, struct span handle, struct account *out_account);
bool model_account_by_id(const struct model *m, uint64_t id, struct account *out_account);
/* The n-th account of the generator, n < ACCOUNTS_NUMBERED. */
enum { ACCOUNTS_NUMBERED = 100000 };
void model_account_number(const struct model *m, uint32_t n, struct account *out_account);
struct span model_account_name(const struct model *m, const struct account *a,
                               struct arena *arena);
void model_profile(const struct model *m, const struct account *a, struct arena *arena,
                   struct profile *out_profile);
const char *model_account_state_name(enum account_state s);

uint64_t model_stream_id(const struct stream *s, uint32_t index);
/* Index of the post with this id in the stream; false when there is none. */
bool model_stream_find(const struct stream *s, uint64_t id, uint32_t *out_index);

struct post *model_post(const struct model *m, const struct account *a, uint32_t index,
                        struct arena *arena);

/* The account of an own post and its index, by the id alone; false when there is no such post. The
 * account may be suspended or protected. */
bool model_status(const struct model *m, uint64_t id, struct account *out_account,
                  uint32_t *out_index);
/* A post that answers `parent`, of a stream of its own. */
struct post *model_answer(const struct model *m, const struct account *author,
                          const struct stream *s, const struct post *parent,
                          uint64_t conversation_id, struct arena *arena);

/* A list of posts by many authors that is no search: as a search without words. */
void model_feed(const struct model *m, uint64_t key, uint32_t count, struct search *out_search);

/* Spans of the search borrow from `query`, which must outlive it. False: nothing to search for.
 */
bool model_search(const struct model *m, struct span query, struct arena *arena,
                  struct search *out_search);
/* Post at index of the search's stream, or NULL where a filter leaves it out. */
struct post *model_search_post(const struct model *m, const struct search *s, uint32_t index,
                               struct arena *arena);

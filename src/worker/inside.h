/* inside.h - one job being collected: what collect.c shares with the strategies. Private to the
 * worker. */
#pragma once

#include "base/json.h"
#include "core/quality.h"
#include "extract/fill.h"
#include "worker/collect.h"
#include "worker/conflict.h"
#include "worker/known.h"

struct attempt { /* one strategy, as it ended */
    enum plan_strategy strategy;
    int64_t pages, posts;
    enum failure_class failure;
    struct span why;
};

/* Ids seen in this attempt: open addressing, texts live in the arena. */
struct seen_slot {
    struct span id;
    int64_t number;
};
struct seen {
    struct seen_slot *slots;
    size_t size, used;
};
/* False when it was there; its number stays. */
bool seen_add(struct seen *s, struct arena *a, struct span id, int64_t number);
bool seen_find(const struct seen *s, struct span id, int64_t *out_number);

/* A thread has several cursors at a time: one of the list and one of each branch that is folded. It is
 * whole when each that was shown was also followed. */
struct thread {
    int64_t depth;            /* replies are wanted so many steps below the post; -1 all */
    struct seen steps;        /* of a post: how many steps it stands below the post */
    struct seen shown, asked; /* cursors */
    size_t open;              /* shown and not asked for */
    int64_t unplaced;         /* replies to something that was not shown, where depth matters */
    bool read;                /* the post itself was read */
    bool alone;               /* a visitor is shown the post, and nothing around it */
};

enum { MEDIA_HOSTS_MAX = 8 };
struct media_host { /* what robots.txt of a host of media files says */
    struct span origin, robots;
    enum failure_class closed; /* the file cannot be had: nothing is asked there */
};
struct media_work {
    bool wanted; /* the job asked for the files */
    int64_t files, reused, failed, bytes;
    struct media_host hosts[MEDIA_HOSTS_MAX];
    size_t host_count;
};

struct collection {
    struct page page;
    struct evidence evidence;
    const struct collect_order *order;
    struct plan plan;
    const struct plan_step *step; /* of the plan: what is tried now */
    /* Puts the items of a page where they belong, and counts what is had. */
    err (*commit)(struct collection *c, struct span items, struct span cursor);
    /* Asks for more of the list, from here; the answer is read later. */
    err (*go_on)(struct collection *c, struct span cursor);
    struct attempt attempts[PLAN_STRATEGIES];
    size_t attempt_count;
    struct arena *arena;
    struct seen seen;
    struct thread thread;
    struct conflict_book conflicts;
    struct span source;            /* fetch: name of the source that is read */
    struct span robots, robots_of; /* what the site asks of robots, and which one */
    struct span product;           /* of the target, as ordered; empty: its first */
    struct span cursor;            /* of the last page */
    struct span user_id;
    wall since, until;
    bool has_since, has_until, has_strategy;
    bool logged_in;              /* the job has a session */
    enum plan_strategy strategy; /* the only one wanted */
    int64_t batch, have, claimed;
    int64_t
        brought; /* batches of earlier attempts, and of this one those that brought something */
    struct known known; /* by earlier jobs of the same target */
    /* enum exclude; include: to be brought in where the list lacks them */
    unsigned exclude, include;
    struct json_parser *records; /* reads records */
    struct fill fill;            /* of those that the job counts, in this attempt */
    int64_t filtered, told;      /* posts left out as the job asked; told: as node knows */
    int64_t pages, users, promoted, unavailable, rejected, repeated, unparsed, disorder;
    struct span lowest; /* id of the oldest post that was read */
    int stalls;         /* in a row: the same entries and the same cursor again */
    bool go_below;      /* the list is to be asked for anew, below `lowest` */
    int pages_without_new, pages_open; /* open: read since the page was opened */
    bool reopened; /* the next timeline page is the first of a page opened anew */
    /* pages read when the page was last opened anew for a new token; -1 never */
    int64_t renewed_at;
    bool source_said_empty, user_read;
    enum failure_class account_shut; /* as the profile says: why a list without a post is one */
    struct span account_shut_why;
    bool guest;       /* nobody is logged in */
    char last_id[32]; /* of the list's last post; the numbers are those of verdict.h */
    int64_t pairs, rises;
    bool sampled; /* what was read is no more than a sample of the list */
    struct bounds bounds;
    struct quality quality;
    struct fields required; /* that each record has to have */
    int64_t incomplete;     /* records without one of them, kept apart */
    bool accepted_empty,
        starts_over; /* as the order wants; the next attempt reads from the top */
    enum end_reason end;
    struct media_work media;
    enum failure_class failure; /* what a page said, when it said something */
    int64_t wait_ms;
    struct span why;
    struct fault fault;
};

/* Takes one answer in: counts, verdicts on the target, commit, end of the list. E_PAGE: the answer says
 * why in c->failure. */
MUST_USE err collection_read(struct collection *c, const struct operation *op,
                             const struct reading *r);
/* ---- thread.c ---- */
/* Notes how deep the replies of the answer stand. */
void thread_measure(struct collection *c, const struct reading *r);
/* Notes whether what a page shows in pieces brought the post itself. */
void thread_note_shown(struct collection *c, const struct reading *r);
/* Is the record within the depth that was asked for? Always outside threads. */
bool thread_wants(struct collection *c, const struct record *r);
/* What the answer says of the end; E_PAGE when it is no thread. fresh: records that are new. */
MUST_USE err thread_note_end(struct collection *c, const struct reading *r, int64_t fresh);

/* media.c: the record with `file` or `file_error` in each of its media. A failed file fails nothing; after
 * the job was told to end, the record comes back as it is. In the page's arena. */
struct span media_fetch(struct collection *c, struct span record);
/* Members of the report about files; nothing when the job did not ask for them. */
void media_report(const struct collection *c, struct json_w *w);
/* What every way of collecting begins and ends with; the plan is made when the page is. */
MUST_USE err collection_plan(struct collection *c, const struct pack *pack);
void collection_init(struct collection *c, const struct collect_order *order, struct arena *a,
                     struct json_parser *parser);
void collection_fini(struct collection *c);
/* Nothing that the part before said passes for what the next one says. */
void collection_forget(struct collection *c);
/* A step begins: whose posts its list may hold. */
void collection_begin(struct collection *c, const struct plan_step *step);
void collection_conclude(struct collection *c, err e, struct collect_result *out);
/* The same for what a page shows, in pieces: new records are committed, the rest is the caller's. */
MUST_USE err collection_keep(struct collection *c, const struct reading *r, int64_t *out_fresh);
/* A page is stored, with so many records that the job counts and did not have: it counts against max_pages
 * where it brought some, or new posts that the job leaves out. What is read again in a later attempt does
 * not; the first batch of a job always does. Before `batch` and `told` move on. */
void collection_note_page(struct collection *c, int64_t added);
/* Was a repost of this post read already, under an id of its own? */
bool collection_has_repost(const struct collection *c, struct span original);
/* Another server may know better; not where the target itself is the reason, or the job was told to end. */
bool collection_may_go_on(const struct collection *c, err e);
/* What a sign says becomes the failure; with the time that its limit names. */
err collection_fail(struct collection *c, const struct reading *r);
/* The page's token was refused and may be had anew: once, until another page of the list was read. What the list
 * was before is forgotten then. */
bool collection_renews(struct collection *c, const struct reading *r);
/* No data in time: the page may say why. */
err collection_explain_silence(struct collection *c);
/* Node asks the site for nothing more: the list ends here. E_OK. */
err collection_spent(struct collection *c);
/* A list that ended without a post: what the page makes of it is the word of the site, that there is
 * nothing, or why nothing is shown. */
MUST_USE err collection_ask_what_is_empty(struct collection *c);
/* A page lost so much that it is not the one we know. */
err collection_drift(struct collection *c, int64_t read, int64_t lost);
#define CURSOR_TOP   "~:"    /* no strategy goes on there: from the top */
#define CURSOR_BELOW "below" /* "~below=ID:CURSOR": of the list below this post */

/* What the strategy dom knows of the page that it reads. */
struct dom_view {
    struct shown shown; /* the last message */
    int64_t number;
    mono last_new; /* when something came into sight that was not there before */
    int rests;     /* times in a row that the list rested at its bottom with nothing new */
    int older;     /* messages in a row with nothing but posts older than asked for */
    int retries;   /* "Retry" pressed since something new came */
    int64_t read, lost, seen; /* posts or users: of the window, of the window, in all */
    struct page_sign offers;  /* read again: why the last message offers to try again */
    struct page_sign gone;    /* of a thread: what the first post that cannot be seen says */
};
/* A message that is kept as evidence, taken in again: its HTML, and what its headers say of the page. */
MUST_USE err dom_read_again(struct collection *c, struct dom_view *v, struct span headers,
                            struct span html, wall at);
/* Nothing more comes: posts of which none could be read are drift, and what was offered to be tried again stays
 * as it is. */
MUST_USE err dom_end(struct collection *c, const struct dom_view *v);

/* The strategies; each runs to its end. */
MUST_USE err capture_run(struct collection *c);
MUST_USE err dom_run(struct collection *c);
MUST_USE err fetch_run(struct collection *c);

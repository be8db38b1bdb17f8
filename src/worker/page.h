/* page.h - the worker's view of its tab: blocking verbs, each with a budget.
 *
 * The worker holds no DevTools session: it asks node by number, node stamps the session. It may open
 * URLs of the pack's hosts, fetch them without a browser, read bodies of responses it saw, evaluate the pack's own expressions by
 * name, and move the page's own first request to a cursor. After the tab or the browser is gone, or
 * the job was told to stop, every verb returns at once with that code, so a flow falls through to
 * its end. */
#pragma once

#include "base/arena.h"
#include "core/bounds.h"
#include "extract/reader.h"
#include "extract/shown.h"
#include "worker/channel.h"
#include "worker/evidence.h"

enum { PAGE_REQUESTS_MAX = 32, PAGE_REQUEST_ID_MAX = 64 };

struct page_request { /* one API call of the page that the plan wants to read */
    char id[PAGE_REQUEST_ID_MAX];
    const struct operation *operation;
    struct span cursor; /* of a thread: what it asks for, in the arena; empty: its first page */
    int status;
    char failed[96];          /* Chromium's error text; empty when it did not fail */
    struct span url, headers; /* of the response, in the arena */
    bool finished;
};

struct spent { /* a budget that is used up; BOUND_NONE: none is */
    enum bound which;
    int64_t most, taken;
};

struct page {
    struct channel *channel;
    const struct pack *pack;
    const struct plan *plan;
    struct reader *reader;
    struct arena *arena;      /* the job's */
    struct arena *page_arena; /* what was read last; empty again at the next read */
    struct json_parser *events;
    struct evidence *evidence; /* takes what is read; borrowed */
    struct fault *fault;
    uint32_t last_call;
    err told;            /* gone, cancelled, timed out: what every verb answers from then on */
    struct spent spent;  /* node asks the site for nothing more: E_END */
    bool own_navigation; /* the order says how long a page may take to open */
    char document_url[2048];
    int document_status;
    struct span asked; /* the cursor of the answer that was read last; of a thread only */
    bool watching;     /* dom: what the page shows is handed over as it comes */
    int64_t world;     /* where the expression runs that does it, as its messages name it */
    struct buf shown;  /* its messages not taken yet: length in four bytes, text */
    int limit_status;  /* of the last API call that was refused as too many; 0 none */
    struct span limit_headers;
    struct span resume_cursor; /* put into the first timeline request; empty when done */
    struct page_request requests[PAGE_REQUESTS_MAX]; /* in order of their start */
    size_t request_count;
    int64_t api_calls;
};

void page_init(struct page *p, struct channel *c, const struct pack *pack,
               const struct plan *plan, struct reader *r, struct json_parser *events,
               struct evidence *evidence, struct arena *a, struct arena *page_arena,
               struct fault *f);
void page_fini(struct page *p);
/* Says where the job is: for crash records here, for node in FRAME_PROGRESS. */
void page_step(struct page *p, const char *step); /* without a channel nobody hears it */
/* Opens the plan's URL, also once more in the same tab: requests of the page before are forgotten. With
 * a cursor the page's own first timeline request starts there. E_NET, E_TIMEOUT, E_END (a budget is used up),
 * or what ended the page. */
MUST_USE err page_goto(struct page *p, struct span url, struct span cursor, int64_t budget_ms);
/* The next answer of the page's API calls, read; it lives until the next call. Waits for data, never sleeps; nudges the page (scroll)
 * each second in which no request is under way. E_TIMEOUT: nothing came in the budget. E_END: a budget of the job is used
 * up, and all that was under way has been read. */
MUST_USE err page_next_batch(struct page *p, wall now, struct reading *out,
                             const struct operation **out_operation, int64_t budget_ms);
/* From the next page_goto() on the pack's expression "watch" hands over what the page shows; bodies
 * of the page's API calls are no longer read. */
MUST_USE err page_watch(struct page *p);
/* The next message of it; it borrows until the next call. Asks for more ("more") each second in which
 * nothing comes. E_TIMEOUT: nothing came in the budget, or nothing will. E_END as above, E_SHAPE, E_TOO_BIG. */
MUST_USE err page_next_shown(struct page *p, struct shown *out, int64_t budget_ms);
/* Presses "Retry". Does not wait for what comes of it. */
MUST_USE err page_retry(struct page *p);
/* Asks the page for more: the plan's expression for it, mostly "scroll", or "more" of a page that is
 * watched. Does not wait for an answer. */
MUST_USE err page_more(struct page *p);
/* An answer without a browser: node asks for the URL, for the pack's source of that name. It waits
 * for its turn at the host. Headers and body live in the page's arena. Words of a failure are in the
 * fault. */
struct page_answer {
    int status;
    struct span url, headers, body;
};
MUST_USE err page_fetch(struct page *p, struct span source, struct span url, int64_t budget_ms,
                        struct page_answer *out);
/* The strategy ended so and another follows: the page as it stands becomes evidence, where a picture explains that.
 * Returns when it has. */
void page_picture(struct page *p, enum failure_class failure);
/* What the page itself says: login wall, suspended, nothing found, … `expression` of the pack returns
 * the words: "state" those that stand there now, "settled" those that come to stand there. */
struct page_sign page_sign(struct page *p, const char *expression, int64_t budget_ms);
/* Is nobody logged in, as the pack's expression "guest" sees it? False when that cannot be told. */
bool page_has_guest(struct page *p, int64_t budget_ms);
/* robots.txt of a host of media files. The body is valid until the next verb; the arenas stay as they
 * are. */
MUST_USE err page_media_robots(struct page *p, struct span url, int64_t budget_ms,
                               int *out_status, struct span *out_body);
/* One file of media: node fetches and keeps it, or has it already. Texts are valid until the next verb.
 * The error says what a failure was (net/download.h); *out then holds its words and the status. */
struct page_file {
    int status;
    int64_t bytes, at_ms;
    bool known; /* it was there */
    struct span hash, mime, path, words;
};
MUST_USE err page_download(struct page *p, struct span kind, struct span url,
                           struct page_file *out);
/* Handles what has arrived meanwhile and waits for a frame of this type (COMMITTED). */
MUST_USE err page_wait_frame(struct page *p, enum frame_type type, struct frame *out,
                             mono deadline);

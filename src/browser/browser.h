/* browser.h - Chromium processes, and tabs in them.
 *
 * Happy path: browsers_start() → launcher process (own network namespace) → Chromium on a
 * DevTools pipe → Browser.getVersion → one prepared context. tab_open() takes a context with
 * every set-up command answered (barrier) → tab_call()s and on_event → tab_close() →
 * Target.disposeBrowserContext answered and the renderer gone → on_closed.
 *
 * Failure modes: renderer crash (on_gone E_PAGE_GONE; every pending call is answered first),
 * browser killed (end of file → on_gone E_BROWSER_GONE), browser stopped or half dead (probe:
 * open, navigate through egress, evaluate, dispose; two misses → killed as a group; after one
 * such end the next waits for a good probe of any browser, or a minute: what is wrong with all
 * of them is not mended by killing them), browser that never starts (again with a growing pause;
 * after three times an error with the remedy, once a minute), page that
 * never answers (every call has its own deadline), page that eats memory (resident memory
 * watched twice a second; above the job's limit its renderer is killed → E_PAGE_GONE with words
 * "memory").
 *
 * Retirement: after jobs_max jobs, age_max, growth_max; the replacement starts first. The stop
 * ladder of a tab: dispose → dispose_timeout → kill its renderer → 3 s → kill the browser. A
 * tab's place is free only when on_closed came. Everything on the loop's thread; nothing here
 * interprets page bytes: only the envelope (id, method, sessionId) is read; params and results
 * travel as bytes. */
#pragma once

#include "loop/loop.h"
#include "os/sandbox.h"

struct browsers;
struct tab;

struct browsers_config {
    const char *binary;       /* absolute path of the real binary, not the shell script */
    const char *run_folder;   /* private folder for profiles: run_folder/browser-PID-N */
    int egress_fd;            /* control socket to egress (net/egress.h); borrowed */
    enum isolation isolation; /* tier to use */
    int count, contexts_max;
    int64_t jobs_max, age_max_ms, growth_max_percent;
    int64_t probe_every_ms, probe_timeout_ms, command_timeout_ms, dispose_timeout_ms,
        start_timeout_ms;
    int64_t memory_max, body_max;
    struct span user_agent;     /* empty = Chromium's own */
    const struct span *blocked; /* URL patterns never loaded; borrowed for the call only */
    size_t blocked_count;
};

/* Finds the binary: configured path, else /usr/lib/chromium/chromium-headless-shell, else
 * /usr/lib/chromium/chromium. E_NOT_FOUND with the way out. */
MUST_USE err browser_find(struct span configured, char out_path[256], struct fault *f);

MUST_USE err browsers_start(struct browsers **out, struct loop *l,
                            const struct browsers_config *config,
                            void (*on_capacity)(void *ctx), void *ctx, struct fault *f);
/* Ends every browser (pages still open hear on_gone, or on_ready, with E_SHUTDOWN), removes the
 * profile folders; on_stopped comes once, when no process is left. browsers_free() only after
 * it; it frees tabs that were never closed, too. */
/* Other patterns for the pages opened from now on; borrowed for the call. */
void browsers_block(struct browsers *f, const struct span *patterns, size_t count);
void browsers_stop(struct browsers *b, void (*on_stopped)(void *ctx), void *ctx);
void browsers_free(struct browsers **b);
int browsers_room(const struct browsers *b);   /* tabs that could be opened now */
bool browsers_ready(const struct browsers *b); /* a probe succeeded lately */
/* A child of node ended (from SIGCHLD): true when it was one of ours. */
bool browsers_child_ended(struct browsers *b, pid_t pid, int status);
/* Egress (re)started and said hello: hand it every listener again. */
void browsers_egress_hello(struct browsers *b);
/* Egress answered what it was asked at `asked`. From the first time on a browser that misses its
 * probes is killed only when egress answered a question asked after the miss. Does it answer late
 * or not at all, the way out is what is sick, and the misses are forgotten. */
void browsers_egress_answered(struct browsers *b, mono asked);
/* Why none becomes ready, for a person; NULL: no reason is known. Valid until the next step. */
const char *browsers_trouble(const struct browsers *b);

struct browser_view { /* for the API and the status page */
    int slot;
    pid_t pid;
    const char *state; /* starting, ready, draining */
    int tabs;
    int64_t jobs, age_ms, pss_bytes;
    int64_t launches;               /* of this slot, this one included */
    const char *worn;               /* why it is to be replaced; NULL: it is not */
    bool healthy;                   /* the last probe was good; */
    int misses;                     /* in a row */
    int64_t probe_ms, probe_age_ms; /* of the last good one; −1: there was none */
};
size_t browsers_view(const struct browsers *b, struct browser_view *out, size_t max);

/* Replaced when its turn comes: a new one is ready first, and its pages stay until they are done. number: slot. E_NOT_FOUND,
 * E_CONFLICT: it is not ready, or is replaced already. */
MUST_USE err browsers_recycle(struct browsers *b, int64_t slot, struct fault *f);

struct tab_face {
    void (*on_ready)(void *ctx, err e,
                     const char *words); /* once; E_OK, E_BROWSER_GONE, E_SHUTDOWN */
    /* E_OK with JSON of "result"; E_BAD_INPUT with the browser's message (as it stands in the
     * JSON) when it refused; else no bytes. */
    void (*on_reply)(void *ctx, uint32_t call, err e, struct span result);
    void (*on_event)(void *ctx, struct span method, struct span params);
    void (*on_gone)(void *ctx, err e,
                    const char *words); /* at most once, after on_ready(E_OK) */
    void (*on_closed)(void *ctx);       /* once, after tab_close(); tab is freed then */
};
/* E_BUSY when there is no room (wait for on_capacity). */
MUST_USE err tab_open(struct tab **out, struct browsers *b, const struct tab_face *face,
                      void *ctx, struct fault *f);
/* Sends a command on the tab's session; on_reply comes exactly once with this call number,
 * E_TIMEOUT after timeout_ms, E_PAGE_GONE/E_BROWSER_GONE when it cannot come. At most 64 open
 * (E_BUSY). E_CONFLICT before on_ready and after tab_close(). E_DENIED: methods that reach
 * beyond the page (Browser.*, Target.*, files of this machine) and Page.navigate to anything
 * but http, https and about:blank; its "url" must stand there once and plainly. */
MUST_USE err tab_call(struct tab *t, uint32_t call, const char *method, struct span params_json,
                      int64_t timeout_ms);
/* What the renderers took that are known to be the page's: those it shares with nobody. −1: none is known. */
struct tab_cost {
    int64_t cpu_ms, peak_pss_bytes;
};
struct tab_cost tab_cost(struct tab *t);
/* The page as DevTools knows it, and how it stands; for people. */
enum { TAB_ID_SIZE = 64 };
struct tab_view {
    const char *state;
    char context[TAB_ID_SIZE], target[TAB_ID_SIZE], session[TAB_ID_SIZE]; /* empty: not yet */
    int open_calls, renderers;
    int64_t browser; /* number of its slot, from 1 */
    struct tab_cost cost;
};
void tab_look(struct tab *t, struct tab_view *out);
/* Once, always, also after on_gone and after on_ready with an error. Calls that are still open
 * are forgotten: from now on only on_closed comes. */
void tab_close(struct tab *t);

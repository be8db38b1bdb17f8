/* inside.h - what the files of this room share. Nobody outside includes it.
 *
 * browser.c keeps the fleet: slots, starts, ends, retirement. browser process → struct browser
 * (process of life in life.c), its pages → struct tab (tab.c), its renderers → memory.c, its
 * health → probe.c.
 *
 * Rule of this room: callbacks of the DevTools pipe change states and ask; freeing happens only
 * in browsers_step(), which runs from a timer and from nowhere else. */
#pragma once

#include "base/list.h"
#include "browser/broker.h"
#include "browser/browser.h"
#include "browser/pipe.h"
#include "browser/profile.h"
#include "os/clock.h"

enum {
    ID_SIZE = TAB_ID_SIZE,
    WORDS_SIZE = 160,
    TAB_CALLS_MAX = 64,
    TAB_RENDERERS_MAX = 8,
    RENDERERS_MAX = 128,
    PROCESSES_MAX = 192,
    KILL_WAIT_MS = 3000,
    END_WAIT_MS = 2000,
};

/* What becomes of a browser:
 *   STARTING → READY → DRAINING → ENDING → KILLED → gone
 * ENDING: pipe closed, it leaves by itself. KILLED: its group was killed. Both wait for the
 * process to be reaped and for the group to be empty. */
enum browser_state {
    BROWSER_STARTING,
    BROWSER_READY,
    BROWSER_DRAINING,
    BROWSER_ENDING,
    BROWSER_KILLED,
    BROWSER_GONE
};

/* A page and its context:
 *   QUEUED → CONTEXT → TARGET → ATTACH → SETUP → OPEN → DISPOSE → RENDERER → CLOSED
 * OPEN without an owner is the prepared one. LOST: its browser died; CLOSED once that is
 * confirmed. */
enum tab_state {
    TAB_QUEUED,
    TAB_CONTEXT,
    TAB_TARGET,
    TAB_ATTACH,
    TAB_SETUP,
    TAB_OPEN,
    TAB_DISPOSE,
    TAB_RENDERER,
    TAB_LOST,
    TAB_CLOSED
};

struct renderer {
    struct list node;
    struct browser *browser;
    struct tab *tab; /* NULL: not known whose */
    pid_t pid;
    int fd;         /* of the process */
    uint64_t order; /* in which they were first seen */
    int64_t cpu_ms; /* as it was looked at last */
    struct watch *watch;
    bool too_big; /* killed for its memory */
};

struct tab {
    struct list node; /* in browser->tabs */
    struct browser *browser;
    enum tab_state state;
    const struct tab_face *face; /* NULL: the prepared one, which has no owner */
    void *ctx;
    bool probe;
    bool context_asked; /* its id is on the way */
    bool close_asked, ready_told, gone_told;
    err gone; /* why, once it is */
    char gone_words[WORDS_SIZE];
    char context[ID_SIZE], target[ID_SIZE], session[ID_SIZE];
    int setup_left;
    err setup_failed;
    char setup_words[WORDS_SIZE];
    int calls;
    bool disposed; /* the browser said so */
    bool renderer_killed;
    mono deadline; /* of the state, on the way out */
    struct tab_cost cost;
    int64_t flood_bytes; /* of events, in the window */
    mono flood_until;
};

struct probe {
    struct tab *tab;
    mono next, deadline;
    bool running;
    int misses;
    mono missed; /* the last one */
    mono began;
    int64_t took_ms; /* the last good one */
};

struct browser {
    struct list node; /* in browsers->all */
    struct browsers *fleet;
    int slot;
    enum browser_state state;
    const char *worn; /* why it is to be replaced when its turn comes, NULL: it is not */
    bool retire;      /* its replacement is on the way */
    pid_t pid;
    bool reaped;
    struct profile profile;
    struct devpipe *pipe;
    struct broker *broker;
    int control_fd, listener_fd, life_read, life_write;
    struct watch *control;
    int stderr_fd;
    struct watch *complaints;
    char complaint[WORDS_SIZE]; /* the last thing it wrote there */
    mono started, ready_at, deadline;
    int64_t jobs;
    struct list tabs, renderers;
    uint64_t renderer_order;
    /* renderers up to this order were there before the tab being prepared */
    uint64_t fresh_after;
    struct tab *preparing;
    uint32_t prepare_number; /* of the tab being prepared, never 0 */
    mono prepare_after;      /* after one failed, the next prepared tab waits */
    bool pids_asked;
    pid_t pids[PROCESSES_MAX]; /* all but renderers: what is compared for growth */
    size_t pid_count;
    int64_t pss_bytes, pss_first;
    int64_t
        shared_part; /* of what its renderers share, a renderer's part in proportional memory */
    mono memory_next, growth_next, too_big_until;
    struct probe probe;
    mono last_good_probe;
    bool probed_good;
};

struct slot {
    mono next_start;
    int failures;
    int64_t launches; /* since the start of this node */
};

struct browsers {
    struct loop *loop;
    struct browsers_config config;
    char *binary, *run_folder;
    struct span user_agent;
    char *blocked_json; /* params of Network.setBlockedURLs */
    void (*on_capacity)(void *ctx);
    void *ctx;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
    struct timer *tick;
    struct list all;
    struct slot slots[64];
    uint64_t number; /* of the next folder */
    bool stopping, stopped_told;
    bool capacity_grew;
    bool soon;         /* a step was asked for */
    mono egress_asked; /* the last question that egress answered; 0: it never did */
    mono probe_kill;   /* the last end for missed probes; 0: none, or a probe succeeded since */
    int early_deaths;  /* in a row, before the first word */
    mono early_said;
    char trouble[2 * WORDS_SIZE];
};

/* browser.c */
void browsers_soon(struct browsers *f); /* a step in the next turn */

/* life.c: one browser process */
MUST_USE err browser_start(struct browsers *f, int slot, struct fault *fault);
void browser_end(struct browser *b); /* gently */
/* At once; its tabs are lost. reason: a label of METRIC_BROWSER_EXITS. */
void browser_kill(struct browser *b, const char *reason, const char *why);
void browser_step(struct browser *b, mono now);
void browser_free(struct browser *b);
bool browser_takes_calls(const struct browser *b);
void browser_give(struct browser *b); /* its listener to egress */
MUST_USE err browser_ask(struct browser *b, const void *owner, struct span session,
                         const char *method, struct span params, int64_t timeout_ms,
                         broker_answer *on_answer, void *ctx, uint32_t tag);

/* tab.c */
struct tab *tab_new(struct browser *b, const struct tab_face *face, void *ctx, bool probe);
void tab_take(struct tab *t, const struct tab_face *face,
              void *ctx); /* the prepared one gets its owner */
void tab_prepare_next(struct browser *b);
void tab_gone(struct tab *t, err e, const char *words);
void tab_lost(struct tab *t, const char *words);
void tab_event(struct browser *b, const struct cdp_message *m);
/* Tells what is to be told; true when the tab was freed. */
bool tab_step(struct tab *t, mono now);
void tab_renderer_ended(struct tab *t);
void tab_mapped(
    struct browser *b); /* the processes are known: the tab being prepared is ready */
void tab_free(struct tab *t);

/* memory.c */
void memory_step(struct browser *b, mono now);
/* Looks at the renderers of the page: t->cost. */
void memory_cost(struct browser *b, struct tab *t);
/* Learn the processes. for_new: a new renderer belongs to the tab being prepared; then
 * tab_mapped() comes. */
void memory_ask(struct browser *b, bool for_new);
size_t memory_renderers_of(const struct browser *b, const struct tab *t);
void memory_kill_of(struct browser *b, const struct tab *t);
void memory_forget_tab(struct browser *b, const struct tab *t);
void memory_end(struct browser *b);

/* probe.c */
void probe_step(struct browser *b, mono now);
void probe_end(struct browser *b);

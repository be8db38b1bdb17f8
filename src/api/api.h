/* api.h - the HTTP face: jobs, posts, events, health, metrics and one plain page (docs: api/openapi.yaml).
 *
 * libmicrohttpd's epoll descriptor lives inside the node's loop; requests that need the store are
 * suspended until the store thread answered. Every request has an absolute deadline. Ambiguous
 * messages (two Hosts, Content-Length with chunked, …) are refused with 400 and the connection is
 * closed. Errors are RFC 9457 problem+json. */
#pragma once

#include "net/domains.h"
#include "browser/browser.h"
#include "core/settings.h"
#include "extract/packs.h"
#include "loop/loop.h"
#include "store/thread.h"

struct api;

/* One row of the status page and of /readyz?verbose; filled by the node. */
struct api_status {
    bool ready;            /* store open, a browser healthy, egress there */
    const char *why;       /* when not ready: one sentence; stays until the next status */
    const char *isolation; /* tier reached */
    int64_t workers_idle, workers_busy, workers_starting;
    int64_t browsers_ready, tabs_open;
    struct api_site {
        const char *name;
        const struct pack *pack; /* in use; NULL: there never was a good one */
        wall loaded;
        const char *error; /* why what lies in the folder is not in use; NULL: it is */
    } sites[16];
    size_t site_count;
    struct outlook queue; /* as the store said last */
    struct spooling_state spool;
    struct store_loss lost;
};

/* What a worker does now. */
struct api_worker {
    int number;        /* from 1 */
    const char *state; /* "idle", "running", …: a literal */
    const char *hold;  /* why it takes no job: "quiet", "stopped", "scaled_in"; NULL: it does */
    int64_t pid, jobs_served, attempt, running_ms;
    char job[ID_TEXT]; /* empty: none */
    char step[32];     /* where it says it is; empty: it has not said */
    bool has_page;
};
struct api_worker_dump { /* what is known about one now */
    struct api_worker worker;
    bool alive; /* of process_state and what follows */
    char process_state;
    int64_t cpu_ms, threads, memory_bytes;
    char lane[LANE_NAME];
    int64_t batches, records, quiet_ms, unread_bytes, requests, net_bytes;
    struct tab_view page; /* state NULL: it has none */
    bool for_store, for_fetch, for_media, for_pictures, stop_asked; /* what it waits for */
};
enum api_act { ACT_QUIET, ACT_RESUME, ACT_STOP, ACT_KILL };
struct api_scale {
    int64_t count, most, at_start; /* workers wanted, allowed, configured */
    int64_t busy, runnable, desired;
};
struct api_browser {
    int number;
    const char *state;
    int64_t pid, pages, jobs, launches, age_ms, pss_bytes;
    const char *recycle_reason; /* NULL: it stays */
    bool probe_ok;
    int64_t probe_misses, probe_ms,
        probe_age_ms; /* the last two of the last good one; −1: none */
};

struct api_config {
    /* listening sockets, inherited: TCP and Unix; −1 none. Owned by the api from now on */
    int listeners[2];
    int64_t body_max, header_timeout_ms, request_timeout_ms, connections_max;
    int64_t waiting_max, lanes_max; /* store.ready_max, queue.lanes_max: to show them */
    const char *files_dir;          /* where files of media lie */
    const char *state_dir;          /* for answers that wait for the end of their request */
    struct packs *packs;            /* for validation; held */
    bool coalesce; /* equal work is done once, where an order says nothing about it */
    void (*status)(void *ctx, struct api_status *out);
    /* A cancel was stored for a job that is running: the pool tells its worker now; by force it kills it. */
    void (*cancelled)(void *ctx, struct span job_id, bool force);
    /* Now, by the clock that such a schedule goes by; NULL: the wall's for all. */
    wall (*clock)(void *ctx, enum schedule_kind kind);
    /* Of this node, at most so many; NULL: it has none. */
    size_t (*workers)(void *ctx, struct api_worker *out, size_t most);
    size_t (*browsers)(void *ctx, struct api_browser *out, size_t most);
    /* What people want of them. E_NOT_FOUND, E_CONFLICT, E_BAD_INPUT. */
    err (*worker_act)(void *ctx, int64_t number, enum api_act act, struct fault *f);
    err (*worker_dump)(void *ctx, int64_t number, struct api_worker_dump *out, struct fault *f);
    /* Where its process is in its own code: asked, and what it said, by name, in the arena. E_CONFLICT: there is none that could
     * say it; E_BUSY: not yet. */
    err (*worker_stack_ask)(void *ctx, int64_t number, int64_t *out_pid, struct fault *f);
    err (*worker_stack_take)(void *ctx, int64_t number, int64_t pid, struct arena *a,
                             const char *const **out, size_t *out_count, struct fault *f);
    err (*workers_scale)(void *ctx, int64_t count, struct fault *f);
    void (*workers_scale_view)(void *ctx, struct api_scale *out);
    err (*browser_recycle)(void *ctx, int64_t number, struct fault *f);
    /* How rarely hosts are asked without a browser, and how long a request to this one would wait now. */
    const struct domain_rules *domains; /* borrowed; NULL: none */
    int64_t fetch_every_ms, media_every_ms;
    int64_t (*host_turn_ms)(void *ctx, struct span host);
    /* A webhook was changed, or a delivery asked for; may be NULL. */
    void (*webhook_changed)(void *ctx);
    void *ctx;
};

MUST_USE err api_start(struct api **out, struct loop *l, struct store_thread *store,
                       const struct api_config *config, struct fault *f);
void api_use(struct api *a, struct packs *packs); /* other packs from now on */
void api_drain(struct api *a);                    /* accepts answer 503 from now on */
/* Likewise: while it is not normal each answer says so. */
void api_mode(struct api *a, enum store_mode mode);
void api_new_events(struct api *a,
                    int64_t last_event); /* after each store group: wakes event streams */
void api_stop(struct api **a);

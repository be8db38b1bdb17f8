/* follow.h - the events of the service as they come: each once and in order, over cuts and restarts.
 *
 * Happy path: a stream of GET /v1/events is opened behind the newest event that is known, and read until on_event or
 * on_tick says enough. Failure modes: the connection breaks, is silent for a minute, or the service is gone: it is
 * opened again with Last-Event-ID, until nobody has answered for patience_ms. */
#pragma once

#include "cli/service.h"

struct follow {
    struct service *service;
    const char *id;      /* of a job, a batch or an operation; NULL: all events */
    int64_t after;       /* number of the newest event that is known; -1: from now on */
    int64_t patience_ms; /* how long nobody may answer */
    /* One event, {"seq":…,"event":…,"data":…}; text as it came. False: enough. */
    bool (*on_event)(void *ctx, struct span text, struct json event);
    bool (*on_tick)(void *ctx); /* about ten times a second; false: enough */
    void (*on_cut)(void *ctx);  /* the connection is lost; once until it is back */
    bool (*is_over)(void *ctx); /* asked then: nothing more will come. NULL: never */
    void *ctx;
};

/* 0: somebody said enough, or it is over; else an exit code with everything said. */
int follow_events(struct follow *f);
